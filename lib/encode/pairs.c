/* pairs.c - see pairs.h. */
#include "encode/pairs.h"

static size_t table_bytes(const pm_pairs *pairs) {
    return (pairs->mask + 2) * PM_PAIRS_IN_BUCKET * sizeof *pairs->slots;
}

void pm_pairs_shape(pm_pairs *pairs, size_t n) {
    unsigned bits = 3;

    *pairs = (pm_pairs){0};
    while (((size_t)2 << bits) < n) { /* two pairs a bucket at most */
        bits++;
    }
    pairs->mask = ((size_t)1 << bits) - 1;
    pairs->shift = 64 - bits;
    pairs->filter_shift =
        pairs->shift + 2; /* a word for four buckets: 8 to 16 bits a pair, of 100 absent pairs 6 to 12 pass */
}

pm_status pm_pairs_init(pm_pairs *pairs, size_t n, size_t n_ranks, pm_error *err) {
    pm_pairs_shape(pairs, n);
    if (n_ranks > PM_PAIR_LIMIT) {
        return pm_fail(err, PM_LIMIT, "%zu merges are too many: %u is the limit", n_ranks, (unsigned)PM_PAIR_LIMIT);
    }
    pairs->slots = pm_pages_alloc(table_bytes(pairs));
    pairs->filter = pm_calloc((pairs->mask + 1) / 4, sizeof *pairs->filter);
    pairs->results = pm_alloc(n_ranks, sizeof *pairs->results);
    if (!pairs->slots || !pairs->filter || !pairs->results) {
        pm_pairs_release(pairs);
        return pm_fail_memory(err);
    }
    memset(pairs->slots, 0xFF, table_bytes(pairs));
    return PM_OK;
}

void pm_pairs_release(pm_pairs *pairs) {
    pm_free(pairs->filter);
    pm_free(pairs->results);
    pm_pages_free(pairs->slots, table_bytes(pairs));
    *pairs = (pm_pairs){0};
}

void pm_pairs_add(pm_pairs *pairs, pm_id left, pm_id right, uint32_t rank, pm_id result) {
    uint64_t key = pm_pairs_key(left, right), hash = pm_pairs_hash(key);
    size_t bucket = (size_t)(hash >> pairs->shift);

    for (;; bucket = (bucket + 1) & pairs->mask) {
        uint64_t *slots = &pairs->slots[bucket * PM_PAIRS_IN_BUCKET];
        for (int i = 0; i < PM_PAIRS_IN_BUCKET; i++) {
            if (slots[i] - key < PM_PAIR_LIMIT) {
                return;
            }
            if (slots[i] == PM_NO_PAIR) {
                slots[i] = key | rank;
                pairs->base = pairs->n ? pairs->base : result - rank;
                pairs->is_plain = (pairs->n == 0 || pairs->is_plain) && result - rank == pairs->base;
                pairs->results[rank] = result;
                pairs->filter[hash >> pairs->filter_shift] |= UINT64_C(1) << (hash & 63);
                pairs->n++;
                return;
            }
        }
    }
}
