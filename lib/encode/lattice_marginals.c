/* lattice_marginals.c - how probable each piece of the lattice is, over all segmentations.
 *
 * With W(e) as in sample.c, and B(s) the same from the other end (the sum over all segmentations of text[s .. len)),
 * the segmentations that have the piece text[s .. e) in them weigh W(s) exp(alpha * logp) B(e) together, of W(len) in
 * all. W is filled from the left, B from the right; when B(e) is complete, all pieces that end at e are given out, and
 * what they add to B(s) lies to the left. The bytes of a character that is spelled belong together: no piece but they
 * begins or ends between them (lattice.c).
 *
 * Cost: two exponentials for each piece of the lattice, 36 bytes for each symbol of the text. Source: Baum and Welch's
 * forward and backward sums, 1970. */
#include "encode/ways.h"
#include "encode/weight.h"

typedef struct place {
    pm_weight before, behind; /* W and B */
    size_t byte;
} place;

typedef struct sums {
    place *places; /* window.n + 1 of them */
    pm_lattice_way *ways;
    double alpha;
} sums;

static void fill_before(const pm_lattice *l, const pm_lattice_window *w, const sums *t) {
    t->places[0] = (place){.before = {1.0, 0}};
    for (size_t p = 1; p <= w->n; p++) {
        place *to = &t->places[p];
        *to = (place){.byte = to[-1].byte + pm_lattice_last_bytes(l, w->ends[p - 1])};
        for (size_t i = 0, n = pm_lattice_ways(l, w->ends[p - 1], t->ways); i < n; i++) {
            const place *from = to - t->ways[i].len;
            pm_weight term = pm_weight_times(from->before, pm_weight_exp(t->alpha * t->ways[i].logp));
            pm_weight_add(&to->before, &term);
        }
        to->before = pm_weight_normalized(to->before);
    }
}

/* Appends what a way stands for, from the back. */
static pm_status append(const pm_lattice *l, uint32_t at, const place *from, const place *to, pm_lattice_code code,
                        double probability, pm_marginals *out, pm_error *err) {
    uint32_t ids[4], len;
    unsigned n = pm_lattice_put(l, at, code, ids + 4, &len);
    size_t bytes = n == 1 ? to->byte - from->byte : 1, end = to->byte;

    PM_TRY(pm_grow((void **)&out->items, &out->cap, out->n + n, sizeof *out->items, err));
    for (unsigned i = 1; i <= n; i++, end -= bytes) {
        out->items[out->n++] = (pm_marginal){end - bytes, end, ids[4 - i], probability};
    }
    return PM_OK;
}

/* a / b as a double, for a <= b but for rounding. */
static double share(pm_weight a, pm_weight b) {
    double ratio = a.mantissa / b.mantissa;
    int64_t apart = a.power - b.power;
    for (; apart > 0; apart--) {
        ratio *= 2;
    }
    ratio *= pm_weight_two_to(apart);
    return ratio < 1 ? ratio : 1;
}

static pm_status give_out(const pm_lattice *l, const pm_lattice_window *w, const sums *t, pm_marginals *out,
                          pm_error *err) {
    pm_weight all = t->places[w->n].before;

    t->places[w->n].behind = (pm_weight){1.0, 0};
    for (size_t p = w->n; p > 0; p--) {
        place *to = &t->places[p];
        to->behind = pm_weight_normalized(to->behind);
        for (size_t i = 0, n = pm_lattice_ways(l, w->ends[p - 1], t->ways); i < n; i++) {
            const pm_lattice_way *way = &t->ways[i];
            place *from = to - way->len;
            pm_weight term = pm_weight_times(to->behind, pm_weight_exp(t->alpha * way->logp));
            double probability = share(pm_weight_times(from->before, term), all);
            PM_TRY(append(l, w->ends[p - 1], from, to, way->code, probability, out, err));
            pm_weight_add(&from->behind, &term);
        }
    }
    return PM_OK;
}

static void turn_around(pm_marginal *items, size_t n) {
    for (size_t i = 0; i < n / 2; i++) {
        pm_marginal moved = items[i];
        items[i] = items[n - 1 - i];
        items[n - 1 - i] = moved;
    }
}

pm_status pm_lattice_marginals(const pm_lattice *lattice, pm_lattice_scratch *scratch, pm_bytes text, double alpha,
                               pm_marginals *out, pm_error *err) {
    sums t = {.alpha = alpha};
    size_t before = out->n;

    PM_TRY(pm_lattice_read(lattice, scratch, text, err));
    PM_TRY(pm_lattice_room_for_ways(lattice, scratch, &t.ways, err));
    t.places = pm_alloc(scratch->window.n + 1, sizeof *t.places);
    if (!t.places) {
        return pm_fail_memory(err);
    }
    fill_before(lattice, &scratch->window, &t);
    pm_status status = give_out(lattice, &scratch->window, &t, out, err);
    turn_around(out->items + before, out->n - before);
    pm_free(t.places);
    pm_lattice_forget_long(scratch);
    return status;
}
