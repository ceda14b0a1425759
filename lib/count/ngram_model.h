/* ngram_model.h - conditional log-probabilities of byte n-grams, made from their counts. */
#ifndef PM_COUNT_NGRAM_MODEL_H
#define PM_COUNT_NGRAM_MODEL_H

#include "count/ngrams.h"

/* One shard: n-grams whose first two bytes fall there. Buckets of 64 bytes. `whole`: n-grams of the highest order.
 * `part`: shorter ones, where some text goes on with a byte that makes an n-gram too rare, or ends. */
typedef struct pm_ngram_shard {
    uint8_t *whole, *part;
    uint32_t n_whole, n_part; /* buckets; 0: none (the tables still point at 64 readable bytes) */
} pm_ngram_shard;

/* Immutable, when it is not in parts. */
typedef struct pm_ngram_model {
    unsigned order;
    bool wide;             /* slots of 32 bytes instead of 16 */
    double first[256];     /* log-probability of each byte */
    double log_first[256]; /* the logarithm of its count */
    double *logs;          /* the logarithm of a count, by its rank; rank 0 (too rare): -INFINITY */
    pm_ngram_shard shards[PM_NGRAM_SHARDS];
    uint8_t *memory; /* of all tables, or of those of one part */
    size_t bytes;
    unsigned n_parts; /* 1: all tables are there */
    uint16_t part_of[PM_NGRAM_SHARDS];
    struct pm_ngram_records *records; /* what parts are made of; NULL: it is whole */
} pm_ngram_model;

/* Makes the model: an n-gram k of more than one byte seen less than min_count times is not there; the others have ln
 * count(k) - ln count(k without its last byte). Bytes never seen count once. The counter can only be freed afterwards.
 * Records and tables take up to work->memory beside the counter's; a model whose tables are more than that is in parts.
 */
pm_status pm_ngram_model_new(pm_ngram_model **out, pm_ngram_counter *counter, uint64_t min_count,
                             const pm_count_work *work, pm_error *err);
void pm_ngram_model_free(pm_ngram_model *model);
/* Of a model in parts: makes the tables of one part, those of the part before are gone; and gives their memory back. */
pm_status pm_ngram_model_load(pm_ngram_model *model, unsigned part, const pm_count_work *work, pm_error *err);
void pm_ngram_model_unload(pm_ngram_model *model);

/* The same from n-grams as pm_ngram_counter_stream gives them, in rising order:
 *     pm_ngram_builder_new(&b, ...); pm_ngram_builder_add(b, &ngram, err) x n; pm_ngram_builder_finish(&model, b, err);
 * pm_ngram_builder_free(b) An n-gram is longer than `order` or empty, or not after the one before: PM_BAD_FORMAT. All
 * counts together are above 2^62: PM_LIMIT. */
typedef struct pm_ngram_builder pm_ngram_builder;
pm_status pm_ngram_builder_new(pm_ngram_builder **out, unsigned order, uint64_t min_count, const pm_count_work *work,
                               pm_error *err);
pm_status pm_ngram_builder_add(pm_ngram_builder *b, const pm_ngram *ngram, pm_error *err);
pm_status pm_ngram_builder_finish(pm_ngram_model **out, pm_ngram_builder *b, pm_error *err);
void pm_ngram_builder_free(pm_ngram_builder *b);

/* ---- looking up ---- */

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
