/* once.c - see once.h.
 *
 * Open addressing with linear probing, 16 bytes a slot, at most three quarters full: 21 to 43 bytes a text. The set is
 * 8 tables that grow one after the other, so that while one is copied to twice its size little more than the set itself
 * is held. A hash's home is told by its top bits, so that copying goes through both tables from front to back. A slot
 * of zeros is an empty one; for the hash of zeros stands 1. */
#include "corpus/once.h"

enum { FIRST_CAP = 256, FIRST_SHIFT = 56 }; /* 4 KiB */

static size_t slot_of(const pm_once_shard *shard, XXH128_hash_t hash) {
    size_t mask = shard->cap - 1, at = hash.low64 >> shard->shift;
    while ((shard->slots[at].low64 | shard->slots[at].high64) &&
           (shard->slots[at].low64 != hash.low64 || shard->slots[at].high64 != hash.high64)) {
        at = (at + 1) & mask;
    }
    return at;
}

static pm_status grow(pm_once *set, pm_once_shard *shard, pm_error *err) {
    size_t old = shard->cap * sizeof *shard->slots;
    pm_once_shard wider = {.cap = shard->cap ? 2 * shard->cap : FIRST_CAP,
                           .n = shard->n,
                           .shift = shard->cap ? shard->shift - 1 : FIRST_SHIFT};
    size_t bytes = wider.cap * sizeof *wider.slots;
    if (set->most && set->bytes + bytes > set->most) {
        return pm_fail(err, PM_LIMIT,
                       "memory_limit is too small for remove_duplicates: the hashes of more than %llu documents need "
                       "more than %llu bytes",
                       (unsigned long long)set->n, (unsigned long long)set->most);
    }
    wider.slots = pm_pages_alloc(bytes);
    if (!wider.slots) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < shard->cap; i++) {
        if (shard->slots[i].low64 | shard->slots[i].high64) {
            wider.slots[slot_of(&wider, shard->slots[i])] = shard->slots[i];
        }
    }
    if (old) {
        pm_pages_free(shard->slots, old);
    }
    set->bytes += bytes - old;
    *shard = wider;
    return PM_OK;
}

pm_status pm_once_add(pm_once *set, XXH128_hash_t hash, bool *added, pm_error *err) {
    pm_once_shard *shard = &set->shards[hash.high64 >> 61];
    if (!(hash.low64 | hash.high64)) {
        hash.low64 = 1;
    }
    if (shard->n + 1 > shard->cap / 4 * 3) {
        PM_TRY(grow(set, shard, err));
    }
    size_t at = slot_of(shard, hash);
    *added = !(shard->slots[at].low64 | shard->slots[at].high64);
    if (*added) {
        shard->slots[at] = hash;
        shard->n++;
        set->n++;
    }
    return PM_OK;
}

void pm_once_release(pm_once *set) {
    for (size_t i = 0; i < PM_ONCE_SHARDS; i++) {
        if (set->shards[i].cap) {
            pm_pages_free(set->shards[i].slots, set->shards[i].cap * sizeof *set->shards[i].slots);
        }
    }
    *set = (pm_once){.most = set->most};
}
