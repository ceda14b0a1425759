/* merge.h - the merging itself: from the first tokens of a word to its last. Used by bpe.c and derive.c. */
#ifndef PM_ENCODE_MERGE_H
#define PM_ENCODE_MERGE_H

#include "encode/pairs.h"

enum { PM_MERGE_SHORT = 64 }; /* words of at most this many tokens are merged by scanning */

/* One thread's memory for words longer than that. {0} is an empty one. */
typedef struct pm_merge_scratch {
    uint64_t *answers; /* of the pair that begins at each token */
    uint32_t *next, *previous;
    uint64_t *heap;
    size_t cap; /* tokens that the arrays have room for (the heap: twice that) */
} pm_merge_scratch;

/* Room for words of n tokens; words longer than PM_MERGE_SHORT need it before pm_merge_long. Errors: PM_LIMIT (2^32 tokens or more), PM_NO_MEMORY. */
pm_status pm_merge_reserve(pm_merge_scratch *scratch, size_t n, pm_error *err);
void pm_merge_scratch_release(pm_merge_scratch *scratch);

/* Both merge ids[0..n) in place by "repeat: join the leftmost pair of lowest rank" and return how many ids are left. answers[i], i < n - 1, holds
 * pm_pairs_find(ids[i], ids[i + 1]) on entry and has room for n words; pm_merge_long takes scratch->answers for it. */
size_t pm_merge_short(const pm_pairs *pairs, pm_id *ids, uint64_t *answers, size_t n);
size_t pm_merge_long(const pm_pairs *pairs, pm_merge_scratch *scratch, pm_id *ids, size_t n);

/* Looks the pairs up, then one of the two above. */
pm_status pm_merge_word(const pm_pairs *pairs, pm_merge_scratch *scratch, pm_id *ids, size_t n, size_t *n_ids, pm_error *err);

#endif
