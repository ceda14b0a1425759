/* ngram_shard.h - the counted n-grams of one shard (ngrams.h): in a hash table, in sorted runs of a file, and merged.
 */
#ifndef PM_COUNT_NGRAM_SHARD_H
#define PM_COUNT_NGRAM_SHARD_H

#include "base/file.h"
#include "count/ngrams.h"

/* A key is one word, from the top: order * 8 bits of bytes (zeros behind a short n-gram), 3 bits of length, and as many
 * zeros as a word in the table has for its count. */
static inline unsigned pm_ngram_count_bits(unsigned order) { return 61 - 8 * order; }

typedef struct pm_ngram_carry { /* a count is n << count bits more than the word with this key says */
    uint64_t key, n;
} pm_ngram_carry;

typedef struct pm_ngram_run { /* sorted n-grams in the file */
    uint64_t offset, bytes;
} pm_ngram_run;

typedef struct pm_ngram_shard_counts {
    pthread_mutex_t lock;
    uint64_t *words; /* a key and a count each; 0: free. Sorted: the first n are in rising order */
    size_t cap, n;
    pm_ngram_carry *carries;
    size_t n_carries, cap_carries;
    pm_ngram_run *runs;
    size_t n_runs, cap_runs;
} pm_ngram_shard_counts;

/* What counting comes to. */
typedef struct pm_ngram_counts {
    unsigned order;
    bool wide;                                     /* see pm_ngram_counter_widen */
    uint64_t singles[256];                         /* n-grams of one byte */
    pm_ngram_shard_counts shards[PM_NGRAM_SHARDS]; /* all others */
    pm_scratch_file file;                          /* of their runs */
} pm_ngram_counts;

/* Ends counting. The counts are the counter's. */
pm_status pm_ngram_counter_finish(pm_ngram_counter *counter, pm_ngram_counts **counts, pm_error *err);

typedef struct pm_ngram_sorter { /* one thread's memory; {0} is an empty one */
    uint64_t *spare;
    size_t cap_spare;
    uint8_t *coded;
} pm_ngram_sorter;

void pm_ngram_sorter_release(pm_ngram_sorter *sorter);

/* Bytes of memory, without those of `runs`. */
static inline uint64_t pm_ngram_shard_bytes(const pm_ngram_shard_counts *s) {
    return s->cap * sizeof *s->words + s->cap_carries * sizeof *s->carries;
}

/* A table for `want` words at least, with what was in the old one. */
pm_status pm_ngram_shard_enlarge(pm_ngram_shard_counts *s, unsigned bits, size_t want, pm_error *err);
size_t pm_ngram_shard_next_cap(const pm_ngram_shard_counts *s, size_t want); /* what it would have then */
/* Adds to the carry of a key. */
pm_status pm_ngram_shard_carry(pm_ngram_shard_counts *s, uint64_t key, uint64_t n, pm_error *err);

/* Sorts the table, which is none afterwards. */
pm_status pm_ngram_shard_sort(pm_ngram_shard_counts *s, unsigned bits, pm_ngram_sorter *sorter, pm_error *err);
/* Sorts the table and writes it to the file as a run; where there are many runs, one is made of all of them. The table
 * is empty and has no memory then. */
pm_status pm_ngram_shard_spill(pm_ngram_shard_counts *s, unsigned bits, pm_scratch_file *file, pm_ngram_sorter *sorter,
                               pm_error *err);
/* The same, and one run is made of what the shard has, unless it has nothing. */
pm_status pm_ngram_shard_unite(pm_ngram_shard_counts *s, unsigned bits, pm_scratch_file *file, pm_ngram_sorter *sorter,
                               pm_error *err);
void pm_ngram_shard_release(pm_ngram_shard_counts *s); /* all but the lock */

/* ---- reading a sorted shard in rising order ---- */

typedef struct pm_ngram_source { /* a run */
    uint64_t key, count;         /* at hand */
    uint64_t offset, left;       /* what was not read */
    uint8_t *buffer;
    size_t at, end;
} pm_ngram_source;

typedef struct pm_ngram_cursor {
    uint64_t key, count; /* read last; count is 0 at the end */
    const pm_ngram_shard_counts *shard;
    unsigned bits;
    size_t word, carry;                /* the next ones in memory */
    uint64_t memory_key, memory_count; /* with runs: what memory has at hand, count 0: nothing more */
    const pm_scratch_file *file;
    size_t buffer_bytes;
    pm_ngram_source *sources;
    uint32_t *heap; /* numbers of sources by their keys, the least first */
    size_t n_sources, n_heap;
    uint8_t *buffers;
} pm_ngram_cursor;

/* `memory`: about how many bytes buffers may take; some KB for each run at least. */
pm_status pm_ngram_cursor_open(pm_ngram_cursor *c, const pm_ngram_shard_counts *s, unsigned bits,
                               const pm_scratch_file *file, uint64_t memory, pm_error *err);
void pm_ngram_cursor_close(pm_ngram_cursor *c);                     /* {0} is a closed one */
pm_status pm_ngram_cursor_merge(pm_ngram_cursor *c, pm_error *err); /* the next one, where there are runs */

/* The next one in memory: a word, its carries, or both. */
static inline void pm_ngram_cursor_word(pm_ngram_cursor *c, uint64_t *key, uint64_t *count) {
    const pm_ngram_shard_counts *s = c->shard;
    const uint64_t ones = (UINT64_C(1) << c->bits) - 1, none = ~UINT64_C(0);
    uint64_t word = c->word < s->n ? s->words[c->word] & ~ones : none,
             carry = c->carry < s->n_carries ? s->carries[c->carry].key : none;
    *key = word < carry ? word : carry;
    *count = 0;
    if (word == *key && word != none) {
        *count = s->words[c->word++] & ones;
    }
    for (; c->carry < s->n_carries && s->carries[c->carry].key == *key; c->carry++) {
        *count += s->carries[c->carry].n << c->bits;
    }
}

/* Reads the next n-gram; each is there once. */
static inline pm_status pm_ngram_cursor_next(pm_ngram_cursor *c, pm_error *err) {
    if (c->n_sources) {
        return pm_ngram_cursor_merge(c, err);
    }
    pm_ngram_cursor_word(c, &c->key, &c->count);
    return PM_OK;
}

#endif
