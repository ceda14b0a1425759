/* prune.h - from all pieces that were counted to the vocabularies: BytePiece's pruning rounds. */
#ifndef PM_TRAIN_PRUNE_H
#define PM_TRAIN_PRUNE_H

#include "count/countmerge.h"

/* Zeros leave things out. */
typedef struct pm_prune_options {
    size_t max_length;  /* pieces that are longer */
    uint64_t min_count; /* or rarer are dropped first, single bytes excepted */
    const pm_bytes *required, *excluded; /* pieces that stay whatever their count, and such that are dropped; borrowed. None stands in both, no single byte in
                                            the second, none twice */
    size_t n_required, n_excluded;
    unsigned threads;
    uint64_t memory;    /* bytes that dropped pieces may take while they wait; above it they go to a file. UINT64_MAX: any number */
    const char *tmpdir; /* as in pm_train_options */
} pm_prune_options;

/* Candidates and, for each vocabulary, their counts (0: not in it). */
typedef struct pm_pruned {
    pm_bytes *pieces; /* the first 256 are the single bytes */
    size_t n;
    uint64_t **counts; /* of each vocabulary */
    size_t n_sizes;
    pm_arena *arenas; /* where the pieces lie */
    unsigned n_arenas;
} pm_pruned;

typedef struct pm_pruner pm_pruner;

/* The options' pieces must live as long as the pruner. */
pm_status pm_pruner_new(pm_pruner **out, const pm_prune_options *options, pm_ticker *ticker, pm_error *err);
void pm_pruner_free(pm_pruner *pruner);

/* Takes a piece and its count; in any order, each piece once. Kept ones are copied, dropped ones put into a store. PM_LIMIT: counts that no text gives. */
pm_status pm_pruner_add(pm_pruner *pruner, pm_bytes piece, uint64_t count, pm_error *err);
/* All pieces of a store at once, where each stands in one record (pm_word_counts.doubles is false): kept ones are copied, the others stay where they are until
 * pm_pruner_run takes them out. Once, the store must live until then. */
pm_status pm_pruner_add_store(pm_pruner *pruner, pm_store *store, pm_error *err);

/* Makes one vocabulary of at most sizes[i] pieces (256 and the required ones, or more) for each i; sizes go from the largest down. Once. The phase of the
 * ticker is the caller's. */
pm_status pm_pruner_run(pm_pruner *pruner, pm_pruned *out, const size_t *sizes, size_t n_sizes, pm_error *err);
void pm_pruned_release(pm_pruned *pruned);

#endif
