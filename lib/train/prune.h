/* prune.h - from all pieces that were counted to the vocabularies: BytePiece's pruning rounds. */
#ifndef PM_TRAIN_PRUNE_H
#define PM_TRAIN_PRUNE_H

#include "base/thread.h"
#include "count/pieces.h"

/* Candidates and, for each vocabulary, their counts (0: not in it). */
typedef struct pm_pruned {
    pm_bytes *pieces; /* the first 256 are the single bytes; the others' bytes lie in the piece table */
    size_t n;
    uint64_t **counts; /* of each vocabulary */
    size_t n_sizes;
} pm_pruned;

/* Makes one vocabulary of at most sizes[i] pieces (256 or more) for each i; sizes go from the largest down. Pieces
 * longer than max_length or seen less than min_count times are dropped first, single bytes excepted. The phase of the
 * ticker is the caller's. */
pm_status pm_prune(pm_pruned *out, const pm_piece_table *table, const size_t *sizes, size_t n_sizes, size_t max_length,
                   uint64_t min_count, unsigned threads, pm_ticker *ticker, pm_error *err);
void pm_pruned_release(pm_pruned *pruned);

#endif
