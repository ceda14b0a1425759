/* ngrams.h - counts of byte n-grams. Used by the BytePiece trainer. */
#ifndef PM_COUNT_NGRAMS_H
#define PM_COUNT_NGRAMS_H

#include "count/countmerge.h"
#include "count/spool.h"

enum {
    PM_NGRAM_MAX_ORDER = 7,
    PM_NGRAM_SHARD_BITS = 9,
    PM_NGRAM_SHARDS = 1 << PM_NGRAM_SHARD_BITS /* by the first two bytes */
};

/* What counting gives: for each position of the text one n-gram, `order` bytes or what is left of the chunk there. The
 * count of any shorter n-gram is the sum over those that begin with it. */
typedef struct pm_ngram {
    uint64_t word; /* its bytes, the first in the highest bits; zeros behind */
    unsigned len;  /* 1 .. order */
    uint64_t count;
} pm_ngram;

typedef struct pm_ngram_counter pm_ngram_counter;

/* Counts n-grams of 1 .. order bytes (order at most 7), fed by up to work->threads threads. All that it takes keeps to
 * work->memory, when that is pm_ngram_least_memory or more; counts beyond it go to a temporary file. */
pm_status pm_ngram_counter_new(pm_ngram_counter **out, unsigned order, const pm_count_work *work, pm_error *err);
void pm_ngram_counter_free(pm_ngram_counter *counter);
unsigned pm_ngram_counter_order(const pm_ngram_counter *counter);
/* With less, counting and pm_ngram_counter_stream take this much all the same. */
static inline uint64_t pm_ngram_least_memory(unsigned threads) {
    return (UINT64_C(4) << 20) + ((uint64_t)threads << 22);
}
/* For tests: the model will have wide slots, which otherwise only order 7 and more than 65,535 different counts bring.
 */
void pm_ngram_counter_widen(pm_ngram_counter *counter);

/* Counts all n-grams inside the chunks, run->weight times each. `thread` < threads: calls with the same number must not
 * overlap. PM_LIMIT: 2^62 bytes, each as often as its weight says. */
pm_status pm_ngram_count(pm_ngram_counter *counter, unsigned thread, const pm_chunks *run, pm_error *err);

/* Gives all n-grams in the rising order of their bytes (as memcmp and then the length have it), each once. Once: the
 * counter is empty afterwards, on failure too. `work` may be another than while counting. */
typedef pm_status (*pm_ngram_fn)(void *ctx, const pm_ngram *ngram, pm_error *err);
pm_status pm_ngram_counter_stream(pm_ngram_counter *counter, const pm_count_work *work, pm_ngram_fn fn, void *ctx,
                                  pm_error *err);

/* ---- words ---- */

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

/* A place in a table of `cap` for a key. */
static inline size_t pm_ngram_home(uint64_t key, size_t cap) {
    return (size_t)((unsigned __int128)pm_ngram_hash(key) * cap >> 64);
}

#endif
