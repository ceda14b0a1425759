/* ngrams.h - counts of byte n-grams, and the table of conditional log-probabilities made from them. Used by the
 * BytePiece trainer. */
#ifndef PM_COUNT_NGRAMS_H
#define PM_COUNT_NGRAMS_H

#include "base/thread.h"

enum { PM_NGRAM_MAX_ORDER = 7 };

/* ---- counting ---- */

typedef struct pm_ngram_counter pm_ngram_counter;

/* Counts n-grams of 1 .. order bytes (order at most 7), fed by up to `threads` threads. */
pm_status pm_ngram_counter_new(pm_ngram_counter **out, unsigned order, unsigned threads, pm_error *err);
void pm_ngram_counter_free(pm_ngram_counter *counter);
/* For tests: the model will have wide slots, which otherwise only order 7 and more than 65,535 different counts bring.
 */
void pm_ngram_counter_widen(pm_ngram_counter *counter);

/* Counts all n-grams inside the chunks; chunk i is text[ends[i - 1] .. ends[i]). 8 bytes behind the text must be
 * readable. `thread` < threads: calls with the same number must not overlap. */
pm_status pm_ngram_count(pm_ngram_counter *counter, unsigned thread, const uint8_t *text, const uint32_t *ends,
                         size_t n, pm_error *err);

/* ---- the model ---- */

/* One shard: n-grams whose first two bytes fall there. Buckets of 64 bytes. `whole`: n-grams of the highest order.
 * `part`: shorter ones, where some text goes on with a byte that makes an n-gram too rare, or ends. */
typedef struct pm_ngram_shard {
    uint8_t *whole, *part;
    uint32_t n_whole, n_part; /* buckets; 0: none (the tables still point at 64 readable bytes) */
} pm_ngram_shard;

enum { PM_NGRAM_SHARD_BITS = 9, PM_NGRAM_SHARDS = 1 << PM_NGRAM_SHARD_BITS };

/* See ngrams.c for the layout. Immutable. */
typedef struct pm_ngram_model {
    unsigned order;
    bool wide;             /* slots of 32 bytes instead of 16 */
    double first[256];     /* log-probability of each byte */
    double log_first[256]; /* the logarithm of its count */
    double *logs;          /* the logarithm of a count, by its rank; rank 0 (too rare): -INFINITY */
    pm_ngram_shard shards[PM_NGRAM_SHARDS];
    uint8_t *memory; /* of all tables */
    size_t bytes;
} pm_ngram_model;

/* Makes the model: an n-gram k of more than one byte seen less than min_count times is not there; the others have ln
 * count(k) - ln count(k without its last byte). Bytes never seen count once. The counter is empty afterwards, on
 * failure too. */
pm_status pm_ngram_model_new(pm_ngram_model **out, pm_ngram_counter *counter, uint64_t min_count, unsigned threads,
                             pm_ticker *ticker, pm_error *err);
void pm_ngram_model_free(pm_ngram_model *model);

/* ---- looking up ---- */

/* The first 8 bytes at p, the first in the highest bits. */
static inline uint64_t pm_ngram_load(const uint8_t *p) {
    uint64_t word;
    __builtin_memcpy(&word, p, sizeof word);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline uint64_t pm_ngram_keep(uint64_t word, unsigned bytes) {
    return word & (~UINT64_C(0) << (64 - 8 * bytes));
}

/* Which shard, by the first two bytes. */
static inline unsigned pm_ngram_shard_of(uint64_t word) {
    return (uint16_t)((word >> 48) * 0x9E35u) >> (16 - PM_NGRAM_SHARD_BITS);
}

/* A word spread over 64 bits; the high half serves as 32-bit hash. */
static inline uint64_t pm_ngram_hash(uint64_t key) {
    key *= UINT64_C(0x9E3779B97F4A7C15);
    key ^= key >> 32;
    return key * UINT64_C(0xD6E8FEB86659FD93);
}

/* Keys of the two tables; never equal for different n-grams of one table. */
static inline uint64_t pm_ngram_whole_key(unsigned order, uint64_t word) { return word >> (64 - 8 * order); }
static inline uint64_t pm_ngram_part_key(unsigned order, uint64_t word, unsigned len) {
    return pm_ngram_keep(word, len) >> (72 - 8 * order) << 3 | len;
}

static inline uint8_t *pm_ngram_bucket(uint8_t *table, uint32_t n, uint64_t key) {
    return table + ((pm_ngram_hash(key) >> 32) * n >> 32 << 6);
}

/* Narrow slot: key in the low 48 bits of the first 8 bytes, then ranks of the counts of orders 2 .. 6, 16 bits each.
 * Wide: a 64-bit key, ranks of orders 2 .. 7 of 32 bits. A slot whose first rank is 0 is empty. */
static inline uint64_t pm_ngram_slot_key(const uint8_t *slot, bool wide) {
    uint64_t key;
    __builtin_memcpy(&key, slot, sizeof key);
    return wide ? key : key & UINT64_C(0xFFFFFFFFFFFF);
}

static inline uint32_t pm_ngram_slot_rank(const uint8_t *slot, bool wide, unsigned order) {
    uint32_t rank32;
    uint16_t rank16;
    if (wide) {
        __builtin_memcpy(&rank32, slot + 8 + 4 * (order - 2), sizeof rank32);
        return rank32;
    }
    __builtin_memcpy(&rank16, slot + 6 + 2 * (order - 2), sizeof rank16);
    return rank16;
}

/* The slot of a key from its bucket on, or NULL. */
static inline const uint8_t *pm_ngram_find(const uint8_t *table, uint32_t n, const uint8_t *bucket, uint64_t key,
                                           bool wide) {
    const unsigned slot_bytes = wide ? 32 : 16;
    if (!n) {
        return NULL;
    }
    for (const uint8_t *end = table + (size_t)n * 64;;) {
        for (unsigned i = 0; i < 64; i += slot_bytes) {
            if (pm_ngram_slot_key(bucket + i, wide) == key) {
                return pm_ngram_slot_rank(bucket + i, wide, 2) ? bucket + i : NULL;
            }
        }
        if (!pm_ngram_slot_rank(bucket + 64 - slot_bytes, wide, 2)) {
            return NULL; /* slots are filled in order: the last one is empty */
        }
        bucket = bucket + 64 == end ? table : bucket + 64;
    }
}

#endif
