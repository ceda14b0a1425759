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

/* Offers a term to window position `at`; `first` when it has none yet. */
static void offer(pm_lattice_window *w, size_t at, weight term, uint32_t node, uint32_t len, double uniform) {
    pm_lattice_cell *cell = &w->cells[at];
    bool first = cell->score == 0.0;
    if (first) {
        w->power[at] = term.power;
    }
    int64_t apart = term.power - w->power[at];
    if (apart > 0) {
        cell->score *= power_of_two(-apart);
        w->power[at] = term.power;
    } else {
        term.mantissa *= power_of_two(apart);
    }
    cell->score += term.mantissa;
    if (first || uniform * cell->score < term.mantissa) {
        cell->node = node;
        cell->len = len;
    }
}

static void walk(const pm_lattice *lattice, pm_lattice_window *window, pm_lattice_place *place, const uint8_t *text,
                 size_t len, size_t stop, double alpha, uint64_t key) {
    for (size_t s = place->next; s < stop; s++) {
        size_t from = place->from;
        weight sum = normalized((weight){window->cells[s - from].score, window->power[s - from]});
        uint32_t parent = 0;
        place->gap = place->reach <= s ? s : place->gap;
        for (size_t e = s; e < len;) {
            uint32_t child = lattice->nodes[parent].base ^ text[e];
            const pm_lattice_node *node = &lattice->nodes[child];
            if (node->parent != parent) {
                break;
            }
            e++;
            parent = child;
            if (node->logp > -INFINITY) {
                weight w = exponential(alpha * node->logp);
                offer(window, e - from, (weight){sum.mantissa * w.mantissa, sum.power + w.power}, child,
                      (uint32_t)(e - s), draw(key, s, e));
                place->reach = e > place->reach ? e : place->reach;
            }
        }
    }
    place->next = stop;
}

pm_status pm_lattice_sample(const pm_lattice *lattice, pm_lattice_scratch *scratch, const uint8_t *text, size_t len,
                            double alpha, uint64_t key, pm_lattice_sink sink, void *user, pm_error *err) {
    pm_lattice_place place = {0};
    size_t room = PM_LATTICE_WINDOW, ready = 0;

    if (!(alpha >= 0)) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "alpha must not be negative");
    }
    PM_TRY(pm_lattice_check(lattice, text, len, err));
    while (place.next < len) {
        size_t left = len - place.from, wanted = left < room ? left : room;
        size_t ends = left - wanted > lattice->longest ? wanted + lattice->longest : left;
        PM_TRY(pm_lattice_room(scratch, ends + 1, true, err));
        for (; ready <= ends; ready++) {
            scratch->window.cells[ready].score = ready ? 0.0 : 1.0;
            scratch->window.power[ready] = 0;
        }
        walk(lattice, &scratch->window, &place, text, len, place.from + wanted, alpha, key);
        if (place.next == len) {
            return pm_lattice_emit(lattice, scratch, &place, len, 0, true, sink, user, err);
        }
        if (place.gap > place.from) {
            ready -= place.gap - place.from;
            PM_TRY(pm_lattice_emit(lattice, scratch, &place, place.gap, ready, true, sink, user, err));
        } else {
            room *= 2;
        }
    }
    return PM_OK;
}
