/* parts.h - the best segmentation of many short texts under a unigram model, as counts of the pieces they fall into: what pruning does millions of times. */
#ifndef PM_TRAIN_PARTS_H
#define PM_TRAIN_PARTS_H

#include "base/thread.h"

typedef struct pm_parts pm_parts;                 /* pieces and log-probabilities */
typedef struct pm_parts_splitter pm_parts_splitter; /* one thread's */

enum { PM_PARTS_MAX_BYTES = 0xFFFF }; /* of a text or a piece */

/* n distinct, non-empty pieces, which are not needed afterwards; all 256 single bytes must be among them. No log-probabilities yet. The ticker is polled. */
pm_status pm_parts_new(pm_parts **out, const pm_bytes *pieces, size_t n, pm_ticker *ticker, pm_error *err);
/* Piece i has log-probability logp[i] from now on: 64 at most either way, or -INFINITY (it is not there), which no single byte may have. While no
 * splitter has texts waiting. */
void pm_parts_set(pm_parts *parts, const double *logp);
void pm_parts_free(pm_parts *parts);

/* `parts` must live as long as the splitter. */
pm_status pm_parts_splitter_new(pm_parts_splitter **out, const pm_parts *parts, pm_error *err);
void pm_parts_splitter_free(pm_parts_splitter *splitter);

/* Adds `weight` to the counts of the pieces of the text's best segmentation, which is that of pm_lattice_best (encode/lattice.h); an empty text has none. The text
 * may wait: it is not needed after the call, but its weights are in the counts only after pm_parts_finish. */
pm_status pm_parts_split(pm_parts_splitter *splitter, pm_bytes text, uint64_t weight, pm_error *err);
void pm_parts_finish(pm_parts_splitter *splitter);
/* One for each piece: the caller's to read and to set to 0 while no text waits. */
uint64_t *pm_parts_counts(pm_parts_splitter *splitter);

#endif
