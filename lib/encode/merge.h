/* merge.h - the merging itself: from the first tokens of a word to its last. Used by bpe.c and derive.c. */
#ifndef PM_ENCODE_MERGE_H
#define PM_ENCODE_MERGE_H

#include "encode/pairs.h"

enum { PM_MERGE_SHORT = 64 }; /* words of at most this many tokens are merged by scanning */

/* One thread's memory for words longer than that. {0} is an empty one. */
typedef struct pm_merge_scratch {
    uint32_t *ranks; /* of the merge of the pair that begins at each token, PM_NO_RANK: none */
    uint32_t *next, *previous;
    uint64_t *heap;
    size_t cap; /* tokens that the arrays have room for (the heap: twice that) */
} pm_merge_scratch;

/* Room for words of n tokens; words longer than PM_MERGE_SHORT need it before pm_merge_long. Errors: PM_LIMIT (2^32
 * tokens or more), PM_NO_MEMORY. */
pm_status pm_merge_reserve(pm_merge_scratch *scratch, size_t n, pm_error *err);
void pm_merge_scratch_release(pm_merge_scratch *scratch);

#define PM_MERGE_NONE INT32_MAX /* above every rank and place; signed, since processors have a minimum for that */

/* A short word that is merged beside others. Tokens stay at the place of their first byte; `alive` has a bit for each.
 * */
typedef struct pm_merge_lane {
    uint64_t alive;
    size_t n;                           /* places: 1 to PM_MERGE_SHORT */
    pm_id ids[PM_MERGE_SHORT];          /* of the token at each place */
    int32_t order[PM_MERGE_SHORT + 16]; /* rank of the merge with the next token << 6 | place; PM_MERGE_NONE: none */
    size_t at, before; /* the places whose pairs the last merge made, those pairs, and where to look for them */
    uint64_t left, right;
    const uint64_t *left_bucket, *right_bucket;
} pm_merge_lane;

/* Begins a word of n tokens, 1 to PM_MERGE_SHORT; then each token and the rank of the merge with the one behind it,
 * PM_NO_RANK for the last. */
static inline void pm_merge_lane_begin(pm_merge_lane *lane, size_t n) {
    lane->n = n;
    lane->alive = UINT64_MAX >> (PM_MERGE_SHORT - n);
    for (size_t i = n; i < n + 16; i++) {
        lane->order[i] = PM_MERGE_NONE;
    }
}

static inline void pm_merge_lane_set(pm_merge_lane *lane, size_t i, pm_id id, uint32_t rank) {
    lane->ids[i] = id;
    lane->order[i] = rank == PM_NO_RANK ? PM_MERGE_NONE : (int32_t)(rank << 6 | (uint32_t)i);
}

/* Merges by "repeat: join the leftmost pair of lowest rank". Up to PM_MERGE_LANES words in turn, so that their cache
 * misses overlap. */
enum { PM_MERGE_LANES = 8 };
void pm_merge_lanes(const pm_pairs *pairs, pm_merge_lane *lanes, size_t n_lanes);

/* Copies what is left; returns how many. */
size_t pm_merge_lane_end(const pm_merge_lane *lane, pm_id *ids);

/* One word, of more than PM_MERGE_SHORT tokens; their ranks are in scratch->ranks. Returns how many ids are left. */
size_t pm_merge_long(const pm_pairs *pairs, pm_merge_scratch *scratch, pm_id *ids, size_t n);

/* A word of up to PM_MERGE_WINDOW tokens, merged by scanning as well: blocks of PM_MERGE_BLOCK places have their
 * minimum beside them. */
enum { PM_MERGE_WINDOW = 512, PM_MERGE_BLOCK = 16 };
typedef struct pm_merge_window {
    size_t n;
    pm_id ids[PM_MERGE_WINDOW];
    int32_t order[PM_MERGE_WINDOW + PM_MERGE_BLOCK]; /* rank << 9 | place; PM_MERGE_NONE: none */
    int32_t lowest[PM_MERGE_WINDOW / PM_MERGE_BLOCK + 4];
    uint64_t alive[PM_MERGE_WINDOW / 64 + 2]; /* a word of no tokens at each end */
} pm_merge_window;

/* Merges window->ids[0..n), 1 <= n <= PM_MERGE_WINDOW; ranks[i], i < n - 1, is that of the merge of tokens i and i +
 * 1. Returns how many ids are left in window->ids. */
size_t pm_merge_in_window(const pm_pairs *pairs, pm_merge_window *window, const uint32_t *ranks, size_t n);

/* The same for one word of any length, also saying with which of the first tokens each of the last begins. `places` has room for n; may be NULL. Errors: as
 * pm_merge_reserve. */
pm_status pm_merge_placed(const pm_pairs *pairs, pm_merge_scratch *scratch, pm_id *ids, size_t n, uint32_t *places, size_t *n_ids, pm_error *err);

/* With dropout: before each merge all that could be done are looked at from the best on, and each is passed over with probability `dropout`, 0 to 1; the first that is
 * not is done. Where all are passed over, it ends. `key` seeds it. */
pm_status pm_merge_dropped(const pm_pairs *pairs, pm_merge_scratch *scratch, pm_id *ids, size_t n, double dropout, uint64_t key, uint32_t *places,
                           size_t *n_ids, pm_error *err);

/* Looks the pairs up, then one of the two above. */
pm_status pm_merge_word(const pm_pairs *pairs, pm_merge_scratch *scratch, pm_id *ids, size_t n, size_t *n_ids,
                        pm_error *err);

#endif
