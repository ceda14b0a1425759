/* memo.c - see memo.h. */
#include "encode/memo.h"

#include "base/hash.h"

enum {
    FIRST_BUCKETS = 1 << 9,
    MOST_BUCKETS = 1 << 18,
    FIRST_STORE = 1 << 12,
    MOST_STORE = 1 << 21 /* ids of 4 bytes */
};

static size_t table_bytes(size_t buckets) { return buckets * 2 * sizeof(pm_memo_slot); }

/* Address space for the largest table at once: what is not touched is no memory. */
pm_status pm_memo_init(pm_memo *memo, pm_error *err) {
    *memo = (pm_memo){.mask = FIRST_BUCKETS - 1};
    memo->slots = pm_pages_alloc(table_bytes(MOST_BUCKETS));
    return memo->slots ? PM_OK : pm_fail_memory(err);
}

void pm_memo_release(pm_memo *memo) {
    if (memo->slots) {
        pm_pages_free(memo->slots, table_bytes(MOST_BUCKETS));
    }
    pm_free(memo->store);
    *memo = (pm_memo){0};
}

pm_word_key pm_memo_long_key(const uint8_t *unit, size_t len) {
    return (pm_word_key){pm_hash(unit, len), UINT64_C(1) << 62 | (uint64_t)len << 32};
}

bool pm_memo_is(const pm_memo *memo, const pm_memo_slot *slot, const uint8_t *unit, size_t len) {
    return memcmp(memo->store + slot->ids[0] + slot->ids[1], unit, len) == 0;
}

static bool is_free(const pm_memo_slot *slot) { return slot->key.high == 0; }

/* A free slot for a key, or NULL. */
static pm_memo_slot *free_slot(pm_memo_slot *slots, size_t bucket) {
    for (size_t i = 0; i < 2 * PM_MEMO_NEIGHBOURS; i++) {
        pm_memo_slot *slot = &slots[(bucket ^ i >> 1) * 2 + (i & 1)];
        if (is_free(slot)) {
            return slot;
        }
    }
    return NULL;
}

/* Twice the buckets, where they are: what has the new bit in its hash moves up by the old number of buckets, to
 * neighbours that are free still, so all of it finds room, and both halves are gone through in order. */
static void grow(pm_memo *memo) {
    size_t buckets = memo->mask + 1;

    memo->mask = buckets * 2 - 1;
    for (size_t i = 0; i < buckets * 2; i++) {
        pm_memo_slot *slot = &memo->slots[i];
        uint64_t hash = pm_memo_hash(slot->key);
        if (!is_free(slot) && (hash & buckets)) {
            *free_slot(memo->slots, hash & memo->mask) = *slot;
            *slot = (pm_memo_slot){0};
        }
    }
}

static void forget(pm_memo *memo) {
    memset(memo->slots, 0, table_bytes(memo->mask + 1));
    memo->n = 0;
    memo->store_len = 0;
}

/* Room for n words of 4 bytes in the store. */
static bool reserve(pm_memo *memo, size_t n) {
    if (memo->store_len + n > MOST_STORE) {
        forget(memo);
    }
    if (memo->store_len + n > memo->store_cap) {
        size_t cap = memo->store_cap ? memo->store_cap * 2 : FIRST_STORE;
        pm_id *store = pm_realloc(memo->store, cap, sizeof *store);
        if (!store) {
            return false;
        }
        memo->store = store;
        memo->store_cap = cap;
    }
    return true;
}

/* Puts ids, and the bytes of a long unit, into the store. */
static bool put_far(pm_memo *memo, pm_memo_slot *value, const uint8_t *unit, size_t len, const pm_id *ids, size_t n) {
    size_t bytes = pm_memo_key_is_long(value->key) ? len : 0, words = n + (bytes + sizeof *ids - 1) / sizeof *ids;

    if (!reserve(memo, words)) {
        return false;
    }
    value->ids[0] = (pm_id)memo->store_len;
    value->ids[1] = (pm_id)n;
    value->n = PM_MEMO_FAR;
    memcpy(memo->store + memo->store_len, ids, n * sizeof *ids);
    memcpy(memo->store + memo->store_len + n, unit, bytes);
    memo->store_len += words;
    return true;
}

void pm_memo_add(pm_memo *memo, pm_word_key key, const uint8_t *unit, size_t len, const pm_id *ids, size_t n) {
    pm_memo_slot value = {.key = key, .n = (uint32_t)n};

    if (memo->n > memo->mask / 4 * 3 && memo->mask + 1 < MOST_BUCKETS) { /* three of eight slots are taken */
        grow(memo);
    }
    if (n <= PM_MEMO_NEAR && !pm_memo_key_is_long(key)) {
        memcpy(value.ids, ids, n * sizeof *ids);
    } else if (!put_far(memo, &value, unit, len, ids, n)) {
        return;
    }
    size_t bucket = pm_memo_hash(key) & memo->mask;
    pm_memo_slot *slot = free_slot(memo->slots, bucket);
    if (slot) {
        memo->n++;
    } else {
        slot = &memo->slots[bucket * 2 + (key.low & 1)];
    }
    *slot = value;
}
