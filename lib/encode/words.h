/* words.h - from a short word's bytes to its id: a table in which one cache line answers.
 *
 * A word of at most 15 bytes is two 64-bit words: its bytes, zeros, and its length in the last byte, so that comparing
 * is two instructions and "a\0" is not "a". A bucket is a cache line of three such keys with their ids; what does not
 * fit goes to the next bucket, and `more` on the way says so. The table is filled once and then only read. */
#ifndef PM_ENCODE_WORDS_H
#define PM_ENCODE_WORDS_H

#include "base/alloc.h"

enum { PM_WORD_MAX = 15, PM_WORDS_IN_BUCKET = 3 };

typedef struct pm_word_key {
    uint64_t low, high;
} pm_word_key;

typedef struct pm_word_bucket {
    pm_word_key keys[PM_WORDS_IN_BUCKET]; /* {0, 0}: free; no word has length 0 */
    pm_id ids[PM_WORDS_IN_BUCKET];
    uint32_t more; /* a word that belongs here, or in a bucket before, lies further on */
} pm_word_bucket;

typedef struct pm_words {
    pm_word_bucket *buckets;
    size_t mask;
    unsigned shift;
} pm_words;

void pm_words_shape(pm_words *words, size_t n); /* how large a table for n is, without one */
pm_status pm_words_init(pm_words *words, size_t n, pm_error *err); /* room for n */
void pm_words_release(pm_words *words);
void pm_words_add(pm_words *words, pm_word_key key, pm_id id);

static inline uint64_t pm_little_endian(uint64_t x) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(x);
#else
    return x;
#endif
}

/* What of two 64-bit words belongs to a word of a length: a table, since a comparison with 8 would be guessed wrong as
 * often as right. */
extern const pm_word_key pm_word_masks[PM_WORD_MAX + 1];

/* The key of word[0..len), 0 < len <= PM_WORD_MAX; 16 bytes may be read. */
static inline pm_word_key pm_word_key_near(const uint8_t *word, size_t len) {
    uint64_t low, high;
    memcpy(&low, word, sizeof low);
    memcpy(&high, word + sizeof low, sizeof high);
    return (pm_word_key){pm_little_endian(low) & pm_word_masks[len].low,
                         (pm_little_endian(high) & pm_word_masks[len].high) | (uint64_t)len << 56};
}

/* The same where `readable` >= len bytes may be read. */
static inline pm_word_key pm_word_key_of(const uint8_t *word, size_t len, size_t readable) {
    uint8_t copy[16] = {0};

    if (__builtin_expect(readable >= sizeof copy, 1)) {
        return pm_word_key_near(word, len);
    }
    memcpy(copy, word, len);
    return pm_word_key_near(copy, len);
}

static inline size_t pm_words_bucket(const pm_words *words, pm_word_key key) {
    uint64_t h = (key.low ^ key.low >> 32) * UINT64_C(0x9E3779B97F4A7C15) + key.high * UINT64_C(0xD6E8FEB86659FD93);
    return (size_t)(((h ^ h >> 29) * UINT64_C(0xBF58476D1CE4E5B9)) >> words->shift);
}

/* The id of a word whose bucket is known, or PM_ID_NONE. */
static inline pm_id pm_words_find(const pm_words *words, pm_word_key key, size_t bucket) {
    for (;; bucket = (bucket + 1) & words->mask) {
        const pm_word_bucket *b = &words->buckets[bucket];
        for (int i = 0; i < PM_WORDS_IN_BUCKET; i++) {
            if (b->keys[i].low == key.low && b->keys[i].high == key.high) {
                return b->ids[i];
            }
        }
        if (!b->more) {
            return PM_ID_NONE;
        }
    }
}

#endif
