/* pairs.c - see pairs.h. */
#include "encode/pairs.h"

pm_status pm_pairs_init(pm_pairs *pairs, size_t n, pm_error *err) {
    unsigned bits = 4;
    while (bits < 40 && ((size_t)1 << bits) < 2 * n) {
        bits++;
    }
    size_t slots = (size_t)1 << bits;
    *pairs = (pm_pairs){.mask = slots - 1, .shift = 64 - bits};
    pairs->slots = pm_pages_alloc(slots * sizeof *pairs->slots);
    if (!pairs->slots) {
        return pm_fail_memory(err);
    }
    memset(pairs->slots, 0xFF, slots * sizeof *pairs->slots);
    return PM_OK;
}

void pm_pairs_release(pm_pairs *pairs) {
    pm_pages_free(pairs->slots, (pairs->mask + 1) * sizeof *pairs->slots);
    *pairs = (pm_pairs){0};
}

void pm_pairs_add(pm_pairs *pairs, pm_id left, pm_id right, uint32_t rank, pm_id result) {
    uint64_t key = (uint64_t)left << 32 | right;
    size_t i = pm_pairs_slot(pairs, key);
    while (pairs->slots[i].key != PM_NO_MERGE) {
        if (pairs->slots[i].key == key) {
            return;
        }
        i = (i + 1) & pairs->mask;
    }
    pairs->slots[i] = (pm_pair_slot){key, (uint64_t)rank << 32 | result};
    pairs->n++;
}
