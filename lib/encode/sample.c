/* sample.c - a segmentation drawn at random: forward filtering, one draw for each end, then the path is read from the
 * back.
 *
 * weight[e] is the sum over all segmentations of text[0 .. e) of the product of exp(alpha * logp) of their pieces. It
 * grows by one term for each piece text[s .. e), weight[s] * exp(alpha * logp), and with each term the draw decides
 * whether this piece is the one that ends at e: with probability term / sum so far. When all terms are in, each has
 * been kept with probability term / weight[e] (a reservoir of one). Reading from the end, the piece that ends at e is
 * kept with just the probability that it is the last piece of a segmentation of text[0 .. e), so the whole path has
 * probability exp(alpha * sum of logp) / weight[len]. This is bytepiece's distribution; its draws come from libc's
 * rand.
 *
 * Draws are a function of (key, e, s): a counter-based generator, so the result depends on key and text only.
 *
 * Sums become far smaller than a double reaches: a weight is a mantissa and an exponent of 64 bits. exp is our own
 * (reduction by ln 2 and the series to degree 13, about one unit in the last place), so that a draw is the same on
 * every machine.
 *
 * Cost: an exponential (some 8 ns) for each piece of the lattice. The window is lattice.c's. */
#include <math.h>

#include "base/hash.h"
#include "encode/lattice_table.h"
#include "text/utf8.h"

typedef struct weight {
    double mantissa;
    int64_t power;
} weight;

/* 2^n; 0 far below. */
static double power_of_two(int64_t n) {
    if (n < -1022) {
        return 0.0;
    }
    uint64_t bits = (uint64_t)(n + 1023) << 52; /* n <= 1023: callers pass n <= 0 */
    double result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

static weight exponential(double x) {
    static const double one_by[] = {
        1.0,        1.0,         1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,       1.0 / 720,
        1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
    /* Below this a piece is as good as never drawn; exponents of a whole text fit 64 bits. */
    x = x < -1e9 ? -1e9 : x > 1e9 ? 1e9 : x;
    int64_t power = (int64_t)(x * 1.44269504088896338700e+00 + (x < 0 ? -0.5 : 0.5));
    double rest = (x - (double)power * 6.93147180369123816490e-01) - (double)power * 1.90821492927058770002e-10;
    double sum = one_by[13];
    for (int i = 12; i >= 0; i--) {
        sum = sum * rest + one_by[i];
    }
    return (weight){sum, power};
}

/* Brings the mantissa into [1, 2). */
static weight normalized(weight w) {
    uint64_t bits;
    memcpy(&bits, &w.mantissa, sizeof bits);
    int64_t exponent = (int64_t)(bits >> 52 & 0x7FF) - 1023;
    bits = (bits & ~(UINT64_C(0x7FF) << 52)) | UINT64_C(1023) << 52;
    memcpy(&w.mantissa, &bits, sizeof bits);
    w.power += exponent;
    return w;
}

/* Uniform in [0, 1), for the piece text[s .. e). */
static double draw(uint64_t key, size_t s, size_t e) {
    uint64_t word = pm_hash_word(pm_hash_word(key ^ pm_hash_word(e + UINT64_C(0x9E3779B97F4A7C15))) +
                                 (e - s) * UINT64_C(0xD1B54A32D192ED03));
    return (double)(word >> 11) * 0x1p-53;
}

/* A position: the sum of weights so far, where it is in the text, and how the piece chosen ends there. */
typedef struct position {
    weight sum;
    size_t place;
    pm_lattice_code code;
} position;

/* Offers the piece text[s.place .. to->place) to the position `to`. */
static void offer(position *to, const position *s, double logp, double alpha, uint64_t key, pm_lattice_code code) {
    if (logp == -INFINITY) {
        return;
    }
    weight w = exponential(alpha * logp), term = {s->sum.mantissa * w.mantissa, s->sum.power + w.power};
    bool first = to->sum.mantissa == 0.0;
    if (first) {
        to->sum.power = term.power;
    }
    int64_t apart = term.power - to->sum.power;
    if (apart > 0) {
        to->sum.mantissa *= power_of_two(-apart);
        to->sum.power = term.power;
    } else {
        term.mantissa *= power_of_two(apart);
    }
    to->sum.mantissa += term.mantissa;
    if (first || draw(key, s->place, to->place) * to->sum.mantissa < term.mantissa) {
        to->code = code;
    }
}

/* The last character of `to` as single bytes. */
static void offer_spelled(const pm_lattice *l, position *to, const position *s, uint32_t cp, double alpha,
                          uint64_t key) {
    uint8_t bytes[4];
    position at = *s;

    for (unsigned i = 0, n = pm_utf8_write(cp, bytes); i < n; i++) {
        position next = {.place = at.place + 1};
        if (i + 1 == n) {
            offer(to, &at, l->bytes[bytes[i]], alpha, key, PM_LATTICE_SPELLED);
        } else {
            offer(&next, &at, l->bytes[bytes[i]], alpha, key, PM_LATTICE_SPELLED);
            at = next;
            at.sum = normalized(next.sum);
        }
    }
}

static unsigned bytes_of(uint32_t cp) {
    uint8_t bytes[4];
    return cp & PM_LATTICE_BYTE ? 1 : pm_utf8_write(cp & PM_LATTICE_CODE, bytes);
}

/* Offers to p[0] all pieces that end there. */
static void step(const pm_lattice *l, uint32_t at, position *p, double alpha, uint64_t key) {
    if (at == PM_LATTICE_STOP) {
        *p = (position){{1.0, 0}, 0, PM_LATTICE_SPELLED};
        return;
    }
    bool strange = at & PM_LATTICE_RARE;
    const pm_lattice_ends *e = &l->ends[strange ? PM_LATTICE_STRANGE : at];
    uint32_t last = strange ? at & PM_LATTICE_CODE : e->last & (PM_LATTICE_CODE | PM_LATTICE_BYTE);
    unsigned k = PM_LATTICE_SPELLED;

    *p = (position){.place = p[-1].place + bytes_of(last)};
    for (uint32_t i = e->longer; i; i = l->longer[i].next) {
        offer(p, p - l->longer[i].len, l->longer[i].logp, alpha, key, (pm_lattice_code)++k);
    }
    for (ptrdiff_t len = PM_LATTICE_INLINE; e->row && len > PM_LATTICE_NEAR; len--) {
        offer(p, p - len, l->rows[e->row][PM_LATTICE_INLINE - len], alpha, key,
              (pm_lattice_code)(1u << (PM_LATTICE_INLINE - len)));
    }
    for (ptrdiff_t len = PM_LATTICE_NEAR; len > 0; len--) {
        offer(p, p - len, e->near[PM_LATTICE_NEAR - len], alpha, key,
              (pm_lattice_code)(1u << (PM_LATTICE_INLINE - len)));
    }
    if (!(last & PM_LATTICE_BYTE)) {
        offer_spelled(l, p, p - 1, last, alpha, key);
    }
    p->sum = normalized(p->sum);
}

typedef struct drawing {
    position *positions; /* the last `before` before a block, the block's first position, and so on */
    size_t before;
    double alpha;
    uint64_t key;
} drawing;

static void draw_block(const pm_lattice *l, void *state, const uint32_t *ends, size_t n, pm_lattice_code *codes) {
    drawing *d = state;
    position *p = d->positions + d->before;
    for (size_t i = 0; i < n; i++) {
        step(l, ends[i], &p[i + 1], d->alpha, d->key);
        codes[i] = p[i + 1].code;
    }
    memmove(d->positions, d->positions + n, (d->before + 1) * sizeof *d->positions);
}

pm_status pm_lattice_sample(const pm_lattice *lattice, pm_lattice_scratch *scratch, pm_bytes text, double alpha,
                            uint64_t key, pm_lattice_sink sink, void *user, pm_error *err) {
    drawing d = {NULL, pm_lattice_reach(lattice), alpha, key};

    if (!(alpha >= 0)) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "alpha must not be negative");
    }
    PM_TRY(pm_grow(&scratch->positions, &scratch->cap_positions, d.before + 1 + pm_lattice_block(lattice),
                   sizeof(position), err));
    d.positions = scratch->positions;
    d.positions[d.before] = (position){{1.0, 0}, 0, PM_LATTICE_SPELLED};
    return pm_lattice_run(lattice, scratch, &text, 1, draw_block, &d, sink, user, err);
}
