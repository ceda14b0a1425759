/* sample.c - a segmentation drawn at random: forward filtering, one draw for each way to each end, then the path is
 * read from the back.
 *
 * W(e) is the sum over all segmentations of text[0 .. e) of the product of exp(alpha * logp) of their pieces: W(0) = 1,
 * and W(e) is the sum of W(s) exp(alpha * logp) over the pieces text[s .. e). It is added up term by term, and with
 * each term a draw decides whether this piece is the one that ends at e: with probability term / sum so far. So the
 * i-th of n terms t_1 .. t_n with sums T_1 .. T_n is the last that was taken with probability
 *
 *     t_i / T_i * (1 - t_(i+1) / T_(i+1)) * ... * (1 - t_n / T_n)
 *   = t_i / T_i * T_i / T_(i+1) * ... * T_(n-1) / T_n  =  t_i / W(e)
 *
 * (a reservoir of one), in whatever order they come. Draws at different ends are independent, and a path takes one
 * piece at each of its ends. So a path through ends e_1 < ... < e_m = len has probability
 *
 *     product of W(e_(i-1)) exp(alpha * logp_i) / W(e_i)  =  exp(alpha * sum of logp_i) / W(len)
 *
 * since all W but the first, which is 1, and the last cancel: segmentations are drawn with probability proportional to
 * exp(alpha * score), exactly; and chunks of a document independently.
 *
 * That is what bytepiece's _tokenize (faster.pyx) draws with alpha >= 0, which does the same with logarithms:
 * scores[e] = log W(e), choice(x, y) is true when rand() < exp(x - y) * RAND_MAX. What differs: rand() is one of 2^31
 * numbers with glibc, so each of its probabilities is t_i / T_i rounded up to a multiple of about 2^-31; the first way
 * to an end, which should be taken for certain, is not taken when rand() gives RAND_MAX, once in 2^31, and then, if no
 * later one is, its loop never ends; and its draws depend on all that was drawn before. Here draws have 53 bits and are
 * a function of (key, s, e): a counter-based generator, so the result depends on key and text only. The key is a hash
 * of seed, document and the chunk's place (encode.c).
 *
 * Sums become far smaller than a double reaches, so they are pm_weight.
 *
 * Cost: an exponential (some 8 ns) for each piece of the lattice. The window is lattice.c's. Source of the method:
 * forward filtering, backward sampling (Scott, 2002); the reservoir: Chao, 1982. */
#include "base/hash.h"
#include "encode/ways.h"
#include "encode/weight.h"

/* Uniform in [0, 1), for the piece text[s .. e). */
static double draw(uint64_t key, size_t s, size_t e) {
    uint64_t word = pm_hash_word(pm_hash_word(key ^ pm_hash_word(e + UINT64_C(0x9E3779B97F4A7C15))) +
                                 (e - s) * UINT64_C(0xD1B54A32D192ED03));
    return (double)(word >> 11) * 0x1p-53;
}

/* A position: the sum of weights so far, where it is in the text, and how the piece chosen ends there. */
typedef struct position {
    pm_weight sum;
    size_t place;
    pm_lattice_code code;
} position;

typedef struct drawing {
    position *positions; /* the last `before` before a block, the block's first position, and so on */
    pm_lattice_way *ways;
    size_t before;
    double alpha;
    uint64_t key;
} drawing;

static const position beginning = {{1.0, 0}, 0, PM_LATTICE_SPELLED};

/* Fills p[0], where the state is `at`, from the positions before. */
static void step(const pm_lattice *l, const drawing *d, uint32_t at, position *p) {
    if (at == PM_LATTICE_STOP) {
        *p = beginning;
        return;
    }
    *p = (position){.place = p[-1].place + pm_lattice_last_bytes(l, at)};
    for (size_t i = 0, n = pm_lattice_ways(l, at, d->ways); i < n; i++) {
        const pm_lattice_way *way = &d->ways[i];
        const position *from = p - way->len;
        pm_weight term = pm_weight_times(from->sum, pm_weight_exp(d->alpha * way->logp));
        pm_weight_add(&p->sum, &term);
        /* a character that is spelled ends with a byte, as no other way does */
        size_t begin = way->code == PM_LATTICE_SPELLED ? p->place - 1 : from->place;
        if (i == 0 || draw(d->key, begin, p->place) * p->sum.mantissa < term.mantissa) {
            p->code = way->code;
        }
    }
    p->sum = pm_weight_normalized(p->sum);
}

static void draw_block(const pm_lattice *l, void *state, const uint32_t *ends, size_t n, pm_lattice_code *codes) {
    drawing *d = state;
    position *p = d->positions + d->before;
    for (size_t i = 0; i < n; i++) {
        step(l, d, ends[i], &p[i + 1]);
        codes[i] = p[i + 1].code;
    }
    memmove(d->positions, d->positions + n, (d->before + 1) * sizeof *d->positions);
}

pm_status pm_lattice_sample(const pm_lattice *lattice, pm_lattice_scratch *scratch, pm_bytes text, double alpha,
                            uint64_t key, pm_lattice_sink sink, void *user, pm_error *err) {
    drawing d = {.before = pm_lattice_reach(lattice), .alpha = alpha, .key = key};

    if (!(alpha >= 0 && alpha <= PM_ALPHA_MAX)) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "alpha must be from 0 to %.0f", PM_ALPHA_MAX);
    }
    PM_TRY(pm_grow(&scratch->positions, &scratch->cap_positions, d.before + 1 + pm_lattice_block(lattice),
                   sizeof(position), err));
    PM_TRY(pm_lattice_room_for_ways(lattice, scratch, &d.ways, err));
    d.positions = scratch->positions;
    d.positions[d.before] = beginning;
    return pm_lattice_run(lattice, scratch, &text, 1, draw_block, &d, sink, user, err);
}
