/* once.c - see once.h.
 *
 * Open addressing with linear probing, 16 bytes a slot, at most three quarters full: 21 to 43 bytes a text. The set is
 * 8 tables that grow one after the other, so that while one is copied to twice its size little more than the set itself
 * is held. A hash's home is told by its top bits, so that copying goes through both tables from front to back. A slot
 * of zeros is an empty one; for the hash of zeros stands 1.
 *
 * With a bound, half of it is for the tables. When one would grow past that, all hashes are sorted where they are (they nearly are, since homes
 * ascend with the hash), go to disk as a run (once_runs.h, whose filter has a quarter of the bound), and the tables are empty again. What was found on
 * disk is entered into them too, so that a text which comes again and again is soon found there. */
#include "corpus/once.h"

enum { FIRST_CAP = 256, FIRST_SHIFT = 56 }; /* 4 KiB */

static bool is_empty(const XXH128_hash_t *slot) { return !(slot->low64 | slot->high64); }

static size_t slot_of(const pm_once_shard *shard, XXH128_hash_t hash) {
    size_t mask = shard->cap - 1, at = hash.low64 >> shard->shift;
    while (!is_empty(&shard->slots[at]) && (shard->slots[at].low64 != hash.low64 || shard->slots[at].high64 != hash.high64)) {
        at = (at + 1) & mask;
    }
    return at;
}

/* ---------------------------------------------------------------- to disk ---- */

/* Moves the hashes to the front, in order. What wrapped around the end lies first and passes all others; it is a few. */
static void sort_shard(pm_once_shard *shard) {
    size_t n = 0;
    for (size_t i = 0; i < shard->cap; i++) {
        XXH128_hash_t hash = shard->slots[i];
        size_t at = n;
        if (is_empty(&hash)) {
            continue;
        }
        for (; at > 0 && pm_once_compare(&shard->slots[at - 1], &hash) > 0; at--) {
            shard->slots[at] = shard->slots[at - 1];
        }
        shard->slots[at] = hash;
        n++;
    }
}

static pm_status check_memory(const pm_once *set, pm_error *err) {
    if (set->runs && pm_once_runs_memory(set->runs) > set->most / 4) {
        return pm_fail(err, PM_LIMIT,
                       "memory_limit is too small for remove_duplicates: what tells where the hashes of more than %llu documents lie on disk needs more "
                       "than %llu bytes",
                       (unsigned long long)set->n, (unsigned long long)set->most / 4);
    }
    return PM_OK;
}

/* Empties the tables. */
static pm_status spill(pm_once *set, pm_error *err) {
    if (!set->runs) {
        PM_TRY(pm_once_runs_new(&set->runs, set->most / 4, set->tmpdir, set->ticker, err));
    }
    for (size_t i = 0; i < PM_ONCE_SHARDS; i++) {
        pm_once_shard *shard = &set->shards[i];
        sort_shard(shard);
        PM_TRY(pm_once_runs_put(set->runs, shard->slots, shard->n, err));
        if (shard->cap) {
            memset(shard->slots, 0, shard->cap * sizeof *shard->slots);
        }
        shard->n = 0;
    }
    PM_TRY(pm_once_runs_end(set->runs, err));
    return check_memory(set, err);
}

/* ---------------------------------------------------------------- in memory ---- */

static pm_status grow(pm_once *set, pm_once_shard *shard, pm_error *err) {
    size_t old = shard->cap * sizeof *shard->slots;
    pm_once_shard wider = {.cap = shard->cap ? 2 * shard->cap : FIRST_CAP,
                           .n = shard->n,
                           .shift = shard->cap ? shard->shift - 1 : FIRST_SHIFT};
    size_t bytes = wider.cap * sizeof *wider.slots;
    if (set->most && shard->cap && set->bytes + bytes > set->most / 2) {
        return spill(set, err);
    }
    wider.slots = pm_pages_alloc(bytes);
    if (!wider.slots) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < shard->cap; i++) {
        if (!is_empty(&shard->slots[i])) {
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
    bool on_disk = false;
    if (!(hash.low64 | hash.high64)) {
        hash.low64 = 1;
    }
    if (shard->n + 1 > shard->cap / 4 * 3) {
        PM_TRY(grow(set, shard, err));
    }
    size_t at = slot_of(shard, hash);
    *added = false;
    if (is_empty(&shard->slots[at])) {
        PM_TRY(set->runs ? pm_once_runs_find(set->runs, hash, &on_disk, err) : PM_OK);
        shard->slots[at] = hash;
        shard->n++;
        set->n += !on_disk;
        *added = !on_disk;
    }
    return PM_OK;
}

void pm_once_release(pm_once *set) {
    for (size_t i = 0; i < PM_ONCE_SHARDS; i++) {
        if (set->shards[i].cap) {
            pm_pages_free(set->shards[i].slots, set->shards[i].cap * sizeof *set->shards[i].slots);
        }
    }
    pm_once_runs_free(set->runs);
    *set = (pm_once){.most = set->most, .tmpdir = set->tmpdir, .ticker = set->ticker};
}
