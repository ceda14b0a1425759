/* placer.h - where the steps of an automaton's states go in a double array: lattice_build.c, train/parts.c. */
#ifndef PM_ENCODE_PLACER_H
#define PM_ENCODE_PLACER_H

#include "base/alloc.h"

typedef struct pm_step {
    uint32_t symbol, node; /* the node is the caller's affair */
} pm_step;

enum { PM_PLACER_HINTS = 16 };

/* {.n_symbols, .most} is an empty one. */
typedef struct pm_placer {
    size_t n_symbols;
    size_t most;            /* cells are fewer */
    uint64_t *full, *based; /* bits: cells in use, bases in use */
    size_t cap_full, cap_based, n_words;
    size_t hints[PM_PLACER_HINTS];
} pm_placer;

/* A base, above 0 and of no other state, under which the cells base + symbol of all n > 0 steps are free; they are taken then. Cells up to
 * base + n_symbols may be read. PM_LIMIT: there is none below `most`. */
pm_status pm_placer_place(pm_placer *placer, const pm_step *steps, size_t n, uint32_t *base, pm_error *err);
void pm_placer_release(pm_placer *placer);

#endif
