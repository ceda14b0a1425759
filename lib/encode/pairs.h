/* pairs.h - which two tokens merge, at what rank, into what: one hash table, one cache line a question.
 *
 * A pair is the 64-bit word left << 32 | right, its answer the 64-bit word rank << 32 | result, so that the lower of two
 * answers is the merge that goes first. Open addressing, at most half full, the slot found by one multiplication. */
#ifndef PM_ENCODE_PAIRS_H
#define PM_ENCODE_PAIRS_H

#include "base/alloc.h"

#define PM_NO_MERGE UINT64_MAX /* above every answer; as a key: an empty slot (PM_ID_NONE is never a token) */

typedef struct pm_pair_slot {
    uint64_t key, answer;
} pm_pair_slot;

typedef struct pm_pairs {
    pm_pair_slot *slots;
    size_t mask;
    unsigned shift;
    size_t n;
} pm_pairs;

/* An empty table for at most n pairs. */
pm_status pm_pairs_init(pm_pairs *pairs, size_t n, pm_error *err);
void pm_pairs_release(pm_pairs *pairs);

/* Adds a pair unless it is there already (the first one, of lower rank, stays). */
void pm_pairs_add(pm_pairs *pairs, pm_id left, pm_id right, uint32_t rank, pm_id result);

static inline size_t pm_pairs_slot(const pm_pairs *pairs, uint64_t key) {
    return (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> pairs->shift);
}

/* rank << 32 | result, or PM_NO_MERGE. */
static inline uint64_t pm_pairs_find(const pm_pairs *pairs, pm_id left, pm_id right) {
    uint64_t key = (uint64_t)left << 32 | right;
    for (size_t i = pm_pairs_slot(pairs, key);; i = (i + 1) & pairs->mask) {
        const pm_pair_slot *slot = &pairs->slots[i];
        if (slot->key == key) {
            return slot->answer;
        }
        if (slot->key == PM_NO_MERGE) {
            return PM_NO_MERGE;
        }
    }
}

#endif
