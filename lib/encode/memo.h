/* memo.h - what an encoder has seen: from a unit (a pre-token or a segment of one) to its ids, in one cache line.
 *
 * Text repeats itself. Of a unit that was encoded once the ids are kept, pieces of the vocabulary and merged words
 * alike, so that nearly all text is one look-up a unit, always in the same small table, which holds only what the text
 * at hand is made of. A slot has 32 bytes, two are a bucket and a cache line:
 *
 *     key    15 bytes of text and their number | of longer units a hash of 64 bits and the length
 *     ids    up to three, and how many         | of more, or of longer units: where in `store` the rest is
 *
 * The answer of nearly every unit is thus 16 bytes that are copied as they are, ids and number, whatever the number. A
 * record of the store is the ids, and behind them the bytes of a longer unit, which are compared: a hash alone proves
 * nothing.
 *
 * The table begins small and grows with what is put in, up to a bound; then a new unit takes the place of an old one.
 * A unit lies in its bucket or one of the three beside it, so no look-up is long, whatever the keys. When the store is
 * full all is forgotten. Forgetting costs time, never an answer. */
#ifndef PM_ENCODE_MEMO_H
#define PM_ENCODE_MEMO_H

#include "encode/words.h"

enum {
    PM_MEMO_NEAR = 3,
    PM_MEMO_NEIGHBOURS = 4 /* buckets that a unit may lie in: the number of its own, xor 0 to 3 */,
    PM_MEMO_LONGEST = 255 /* bytes of a unit that is kept */
};
#define PM_MEMO_FAR UINT32_C(0x80000000) /* slot.n: the ids are in the store, from ids[0] on, ids[1] of them */

typedef struct pm_memo_slot {
    pm_word_key key; /* {0, 0}: free */
    pm_id ids[PM_MEMO_NEAR];
    uint32_t n;
} pm_memo_slot;

/* {0} is an empty one. */
typedef struct pm_memo {
    pm_memo_slot *slots;
    size_t mask; /* buckets - 1 */
    size_t n;    /* slots in use */
    pm_id *store;
    size_t store_len, store_cap;
} pm_memo;

pm_status pm_memo_init(pm_memo *memo, pm_error *err);
void pm_memo_release(pm_memo *memo);

/* The key of a unit longer than PM_WORD_MAX and at most PM_MEMO_LONGEST. */
pm_word_key pm_memo_long_key(const uint8_t *unit, size_t len);
static inline bool pm_memo_key_is_long(pm_word_key key) { return key.high >> 62 & 1; }
/* Another key: of the unit as a segment, where a segment may have other ids than a pre-token. */
static inline pm_word_key pm_memo_segment_key(pm_word_key key) {
    return (pm_word_key){key.low, key.high | UINT64_C(1) << 63};
}

static inline uint64_t pm_memo_hash(pm_word_key key) {
    unsigned __int128 product =
        (unsigned __int128)(key.low ^ UINT64_C(0x9E3779B97F4A7C15)) * (key.high ^ UINT64_C(0xD6E8FEB86659FD93));
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline void pm_memo_prefetch(const pm_memo *memo, uint64_t hash) {
    __builtin_prefetch(&memo->slots[(hash & memo->mask) * 2]);
}

static inline unsigned pm_memo_differs(const pm_memo_slot *slot, pm_word_key key) {
    return ((slot->key.low ^ key.low) | (slot->key.high ^ key.high)) != 0;
}

/* The slot of a key, or NULL. For a long one only the hash agrees: see pm_memo_is. */
static inline const pm_memo_slot *pm_memo_find(const pm_memo *memo, pm_word_key key, uint64_t hash) {
    const pm_memo_slot *slot = &memo->slots[(hash & memo->mask) * 2];
    slot += pm_memo_differs(slot, key);
    if (__builtin_expect(!pm_memo_differs(slot, key), 1)) {
        return slot;
    }
    for (size_t i = 1; i < PM_MEMO_NEIGHBOURS; i++) {
        slot = &memo->slots[((hash & memo->mask) ^ i) * 2];
        slot += pm_memo_differs(slot, key);
        if (!pm_memo_differs(slot, key)) {
            return slot;
        }
    }
    return NULL;
}

/* Whether the slot of a long key is that of these bytes. */
bool pm_memo_is(const pm_memo *memo, const pm_memo_slot *slot, const uint8_t *unit, size_t len);

/* Keeps a unit that is not there. `unit` is read for long keys only. Without memory nothing is kept. Slots found
 * before are no longer valid. */
void pm_memo_add(pm_memo *memo, pm_word_key key, const uint8_t *unit, size_t len, const pm_id *ids, size_t n);

#endif
