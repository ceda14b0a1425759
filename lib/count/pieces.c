/* pieces.c - see pieces.h.
 *
 * A hash of 64 bits chooses the shard (top bits) and the slot in it (the next 32 bits, which the slot keeps, so that
 * bytes are compared only when they agree). The bytes of a shard's pieces lie one behind the other. A call's pieces are
 * first sorted by shard, then each shard is locked once and its slots are prefetched some pieces ahead. Linear probing,
 * at most 3/4 full: 16 / 0.6 bytes a piece, and its own bytes. */
#include "count/pieces.h"

#include <pthread.h>

#include "base/hash.h"

enum { AHEAD = 8 };

struct pm_piece_lock {
    pthread_mutex_t mutex;
};

pm_status pm_piece_table_new(pm_piece_table **out, pm_error *err) {
    pm_piece_table *t = pm_calloc(1, sizeof *t);

    *out = NULL;
    if (!t) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < PM_PIECE_SHARDS; i++) {
        t->shards[i].lock = pm_alloc(1, sizeof *t->shards[i].lock);
        if (!t->shards[i].lock) {
            pm_piece_table_free(t);
            return pm_fail_memory(err);
        }
        pthread_mutex_init(&t->shards[i].lock->mutex, NULL);
    }
    *out = t;
    return PM_OK;
}

void pm_piece_table_free(pm_piece_table *t) {
    for (size_t i = 0; t && i < PM_PIECE_SHARDS; i++) {
        pm_piece_shard *s = &t->shards[i];
        if (s->lock) {
            pthread_mutex_destroy(&s->lock->mutex);
        }
        pm_free(s->lock);
        pm_free(s->slots);
        pm_buf_release(&s->bytes);
    }
    pm_free(t);
}

void pm_piece_feeder_release(pm_piece_feeder *f) {
    pm_free(f->hashes);
    pm_free(f->order);
    *f = (pm_piece_feeder){0};
}

static unsigned shard_of(uint64_t hash) { return (unsigned)(hash >> (64 - PM_PIECE_SHARD_BITS)); }
static size_t home(uint32_t hash, size_t cap) { return (size_t)((uint64_t)hash * cap >> 32); }

static pm_status enlarge(pm_piece_shard *s, size_t need, pm_error *err) {
    size_t cap = s->cap + s->cap / 2;
    cap = cap < need / 3 * 4 + 64 ? need / 3 * 4 + 64 : cap;
    pm_piece_slot *slots = pm_calloc(cap, sizeof *slots);
    if (!slots) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < s->cap; i++) {
        if (s->slots[i].count_and_len) {
            size_t at = home(s->slots[i].hash, cap);
            while (slots[at].count_and_len) {
                at = at + 1 == cap ? 0 : at + 1;
            }
            slots[at] = s->slots[i];
        }
    }
    pm_free(s->slots);
    s->slots = slots;
    s->cap = cap;
    return PM_OK;
}

static pm_status add(pm_piece_shard *s, uint32_t hash, const uint8_t *piece, uint32_t len, pm_error *err) {
    size_t at = home(hash, s->cap);
    pm_piece_slot *slot;

    while ((slot = &s->slots[at])->count_and_len) {
        if (slot->hash == hash && pm_piece_len(slot) == len && memcmp(s->bytes.data + slot->at, piece, len) == 0) {
            slot->count_and_len += 1u << 16;
            return PM_OK;
        }
        at = at + 1 == s->cap ? 0 : at + 1;
    }
    if (s->bytes.len > UINT32_MAX - len) {
        return pm_fail(err, PM_LIMIT, "the distinct pieces of a shard take more than 4 GB");
    }
    uint32_t begin = (uint32_t)s->bytes.len;
    PM_TRY(pm_buf_append(&s->bytes, piece, len, err));
    *slot = (pm_piece_slot){hash, begin, UINT64_C(1) << 16 | len};
    s->n++;
    return PM_OK;
}

static pm_status add_to_shard(pm_piece_shard *s, const uint64_t *hashes, const uint32_t *order, size_t n,
                              const uint8_t *text, const pm_span *spans, pm_error *err) {
    pm_status status = PM_OK;
    pthread_mutex_lock(&s->lock->mutex);
    if (s->n + n > s->cap / 4 * 3) {
        status = enlarge(s, s->n + n, err);
    }
    for (size_t i = 0; status == PM_OK && i < n; i++) {
        if (i + AHEAD < n) {
            __builtin_prefetch(&s->slots[home((uint32_t)hashes[order[i + AHEAD]], s->cap)]);
        }
        const pm_span *span = &spans[order[i]];
        status = add(s, (uint32_t)hashes[order[i]], text + span->at, span->len, err);
    }
    pthread_mutex_unlock(&s->lock->mutex);
    return status;
}

pm_status pm_piece_table_add(pm_piece_table *t, pm_piece_feeder *f, const uint8_t *text, const pm_span *spans, size_t n,
                             pm_error *err) {
    uint32_t starts[PM_PIECE_SHARDS + 1] = {0};

    if (n > UINT32_MAX) {
        return pm_fail(err, PM_LIMIT, "more than 2^32 pieces in one call");
    }
    PM_TRY(pm_grow((void **)&f->hashes, &f->cap_hashes, n, sizeof *f->hashes, err));
    PM_TRY(pm_grow((void **)&f->order, &f->cap_order, n, sizeof *f->order, err));
    for (size_t i = 0; i < n; i++) {
        f->hashes[i] = pm_hash(text + spans[i].at, spans[i].len);
        starts[shard_of(f->hashes[i]) + 1]++;
    }
    for (size_t k = 0; k < PM_PIECE_SHARDS; k++) {
        starts[k + 1] += starts[k];
    }
    for (size_t i = 0; i < n; i++) {
        f->order[starts[shard_of(f->hashes[i])]++] = (uint32_t)i;
    }
    uint32_t at = 0;
    for (size_t k = 0; k < PM_PIECE_SHARDS; k++) { /* starts[k] is now where k ends */
        if (starts[k] > at) {
            PM_TRY(add_to_shard(&t->shards[k], f->hashes, f->order + at, starts[k] - at, text, spans, err));
        }
        at = starts[k];
    }
    return PM_OK;
}

size_t pm_piece_table_size(const pm_piece_table *t) {
    size_t n = 0;
    for (size_t i = 0; i < PM_PIECE_SHARDS; i++) {
        n += t->shards[i].n;
    }
    return n;
}
