/* pairs.h - which two tokens merge, at what rank, into what: one hash table, one cache line a question.
 *
 * A pair is the 64-bit word left << 32 | right, its answer the 64-bit word rank << 32 | result, so that the lower of two
 * answers is the merge that goes first. Open addressing, at most half full, the slot found by one multiplication.
 *
 * Most pairs that merging asks for are no merge, and the table of a large vocabulary (8 MB) is larger than the cache that is near. So a
 * filter of 1/32 of its size is asked first: two bits of one word for each pair. It turned 16 MB/s of Chinese into 26. */
#ifndef PM_ENCODE_PAIRS_H
#define PM_ENCODE_PAIRS_H

#include "base/alloc.h"

#define PM_NO_MERGE UINT64_MAX /* above every answer */
#define PM_NO_PAIR UINT64_MAX  /* no two tokens, PM_ID_NONE is none: an empty slot's key */

typedef struct pm_pair_slot {
    uint64_t key, answer;
} pm_pair_slot;

typedef struct pm_pairs {
    pm_pair_slot *slots;
    size_t mask;
    unsigned shift;
    uint64_t *filter;      /* of a pair in the table, both bits are set in its word */
    unsigned filter_shift; /* the word is the hash's bits from here up */
    size_t n;
} pm_pairs;

/* An empty table for at most n pairs. */
pm_status pm_pairs_init(pm_pairs *pairs, size_t n, pm_error *err);
void pm_pairs_release(pm_pairs *pairs);

/* Adds a pair unless it is there already (the first one, of lower rank, stays). */
void pm_pairs_add(pm_pairs *pairs, pm_id left, pm_id right, uint32_t rank, pm_id result);

static inline uint64_t pm_pairs_hash(uint64_t key) { return (key ^ key >> 32) * UINT64_C(0x9E3779B97F4A7C15); }

static inline uint64_t pm_pairs_bits(uint64_t hash) {
    return UINT64_C(1) << (hash >> 32 & 63) | UINT64_C(1) << (hash >> 26 & 63);
}

static inline uint64_t pm_pairs_key(pm_id left, pm_id right) { return (uint64_t)left << 32 | right; }

/* false: the pair is not in the table. */
static inline bool pm_pairs_may_hold(const pm_pairs *pairs, uint64_t key) {
    uint64_t hash = pm_pairs_hash(key), bits = pm_pairs_bits(hash);
    return (pairs->filter[hash >> pairs->filter_shift] & bits) == bits;
}

static inline void pm_pairs_prefetch(const pm_pairs *pairs, uint64_t key) {
    __builtin_prefetch(&pairs->slots[pm_pairs_hash(key) >> pairs->shift]);
}

/* Looks into the table without asking the filter: rank << 32 | result, or PM_NO_MERGE. */
static inline uint64_t pm_pairs_look_up(const pm_pairs *pairs, uint64_t key) {
    for (size_t i = (size_t)(pm_pairs_hash(key) >> pairs->shift);; i = (i + 1) & pairs->mask) {
        const pm_pair_slot *slot = &pairs->slots[i];
        if (slot->key == key || slot->key == PM_NO_PAIR) {
            return slot->answer; /* an empty slot's is PM_NO_MERGE */
        }
    }
}

static inline uint64_t pm_pairs_find(const pm_pairs *pairs, pm_id left, pm_id right) {
    uint64_t key = pm_pairs_key(left, right);
    return pm_pairs_may_hold(pairs, key) ? pm_pairs_look_up(pairs, key) : PM_NO_MERGE;
}

#endif
