/* pairs.c - see pairs.h. */
#include "encode/pairs.h"

pm_status pm_pairs_init(pm_pairs *pairs, size_t n, pm_error *err) {
    unsigned bits = 5; /* so that filter_shift stays below 64 */
    while (bits < 40 && ((size_t)1 << bits) < 2 * n) {
        bits++;
    }
    size_t slots = (size_t)1 << bits;
    *pairs = (pm_pairs){.mask = slots - 1, .shift = 64 - bits};
    pairs->slots = pm_pages_alloc(slots * sizeof *pairs->slots);
    /* A word of the filter for 16 slots: 21 to 10 bits a pair, of 100 absent pairs 1 to 5 pass. */
    pairs->filter_shift = pairs->shift + 4;
    pairs->filter = pm_calloc(slots >> 4, sizeof *pairs->filter);
    if (!pairs->slots || !pairs->filter) {
        pm_pairs_release(pairs);
        return pm_fail_memory(err);
    }
    memset(pairs->slots, 0xFF, slots * sizeof *pairs->slots);
    return PM_OK;
}

void pm_pairs_release(pm_pairs *pairs) {
    pm_free(pairs->filter);
    pm_pages_free(pairs->slots, (pairs->mask + 1) * sizeof *pairs->slots);
    *pairs = (pm_pairs){0};
}

void pm_pairs_add(pm_pairs *pairs, pm_id left, pm_id right, uint32_t rank, pm_id result) {
    uint64_t key = pm_pairs_key(left, right);
    uint64_t hash = pm_pairs_hash(key);
    size_t i = (size_t)(hash >> pairs->shift);
    while (pairs->slots[i].key != PM_NO_PAIR) {
        if (pairs->slots[i].key == key) {
            return;
        }
        i = (i + 1) & pairs->mask;
    }
    pairs->slots[i] = (pm_pair_slot){key, (uint64_t)rank << 32 | result};
    pairs->filter[hash >> pairs->filter_shift] |= pm_pairs_bits(hash);
    pairs->n++;
}
