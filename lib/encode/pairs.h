/* pairs.h - which two tokens merge, and at what rank: one hash table, half a cache line a question, no branch on the
 * answer.
 *
 * A slot is a 64-bit word: the left token, the right token and the rank of their merge, 21 bits each. A bucket is four
 * of them, filled from its first on, one and a half on average, so that the last slot of nearly all is free; what does
 * not fit goes to the next bucket. A slot less the pair looked for is the rank, if it is that pair's slot, and else,
 * since it is unsigned, at least 2^21: the lowest of the four differences is the answer.
 *
 * Most pairs that merging asks for are no merge, and the table of a large vocabulary (4 MB) is larger than the cache
 * that is near. So a filter of 1/16 of its size is asked first: a bit for each pair. Where it says no, an empty bucket
 * stands in for the pair's. */
#ifndef PM_ENCODE_PAIRS_H
#define PM_ENCODE_PAIRS_H

#include "base/alloc.h"

enum { PM_PAIR_BITS = 21, PM_PAIRS_IN_BUCKET = 4 };
#define PM_PAIR_LIMIT (UINT32_C(1) << PM_PAIR_BITS) /* tokens and ranks are below */
#define PM_NO_RANK UINT32_MAX                       /* above every rank: no merge */
#define PM_NO_PAIR UINT64_MAX                       /* no two tokens; an empty slot */

typedef struct pm_pairs {
    uint64_t *slots; /* the bucket behind the others stays empty */
    size_t mask;     /* buckets - 1 */
    unsigned shift;
    uint64_t *filter;      /* of a pair in the table, its bit is set */
    unsigned filter_shift; /* the word of its bit is the hash's bits from here up, the bit its lowest six */
    pm_id *results;        /* of the merge of each rank; not asked when all are rank + base */
    pm_id base;
    bool is_plain; /* they are: so with nearly every vocabulary */
    size_t n;
} pm_pairs;

/* How large a table for n pairs is, without one. */
void pm_pairs_shape(pm_pairs *pairs, size_t n);
/* An empty table for at most n pairs of ranks below n_ranks. Errors: PM_LIMIT (n_ranks above PM_PAIR_LIMIT),
 * PM_NO_MEMORY. */
pm_status pm_pairs_init(pm_pairs *pairs, size_t n, size_t n_ranks, pm_error *err);
void pm_pairs_release(pm_pairs *pairs);

/* Adds a pair of tokens below PM_PAIR_LIMIT unless it is there already (the first one, of lower rank, stays). */
void pm_pairs_add(pm_pairs *pairs, pm_id left, pm_id right, uint32_t rank, pm_id result);

static inline uint64_t pm_pairs_key(pm_id left, pm_id right) {
    return (uint64_t)left << 2 * PM_PAIR_BITS | (uint64_t)right << PM_PAIR_BITS;
}

/* The upper bits of a product are well mixed: the table takes them, and the filter, whose bits within a word are the
 * ones below. */
static inline uint64_t pm_pairs_hash(uint64_t key) {
    uint64_t product = (key ^ key >> 32) * UINT64_C(0x9E3779B97F4A7C15);
    return product ^ product >> 32;
}

/* The bucket of a pair, asked for: its own or, if the filter knows better or `wanted` is 0, the empty one. */
static inline const uint64_t *pm_pairs_bucket(const pm_pairs *pairs, uint64_t key, uint64_t wanted) {
    uint64_t hash = pm_pairs_hash(key);
    size_t own = (size_t)(hash >> pairs->shift), empty = pairs->mask + 1;
    size_t held = (size_t)0 - ((size_t)(pairs->filter[hash >> pairs->filter_shift] >> (hash & 63)) &
                               (wanted != 0)); /* all bits or none: half would be guessed wrong */
    const uint64_t *slots = &pairs->slots[(empty ^ ((empty ^ own) & held)) * PM_PAIRS_IN_BUCKET];
    __builtin_prefetch(slots);
    return slots;
}

/* What the merge of a rank gives. */
static inline pm_id pm_pairs_result(const pm_pairs *pairs, uint32_t rank) {
    return pairs->is_plain ? rank + pairs->base : pairs->results[rank];
}

/* The rank of a pair's merge, or PM_NO_RANK. */
static inline uint32_t pm_pairs_look_up(const pm_pairs *pairs, const uint64_t *bucket, uint64_t key) {
    for (;;) {
        uint64_t a = bucket[0] - key, b = bucket[1] - key, c = bucket[2] - key, d = bucket[3] - key, best;
        a = a < b ? a : b;
        c = c < d ? c : d;
        best = a < c ? a : c;
        if (__builtin_expect(bucket[PM_PAIRS_IN_BUCKET - 1] == PM_NO_PAIR || best < PM_PAIR_LIMIT, 1)) {
            return best < PM_PAIR_LIMIT ? (uint32_t)best : PM_NO_RANK;
        }
        bucket += PM_PAIRS_IN_BUCKET;
        bucket = bucket == &pairs->slots[(pairs->mask + 1) * PM_PAIRS_IN_BUCKET] ? pairs->slots : bucket;
    }
}

static inline uint32_t pm_pairs_find(const pm_pairs *pairs, pm_id left, pm_id right) {
    uint64_t key = pm_pairs_key(left, right);
    return pm_pairs_look_up(pairs, pm_pairs_bucket(pairs, key, 1), key);
}

#endif
