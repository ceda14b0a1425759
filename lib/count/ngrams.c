/* ngrams.c - counting byte n-grams.
 *
 * The count of an n-gram k is the sum of the counts of the n-grams one byte longer that begin with k, and the number of
 * times that k stands at the very end of a chunk. So only one n-gram is counted for each position: the highest order
 * that fits, that is `order` bytes, or what is left of the chunk. All lower orders follow by adding up sorted keys
 * (ngram_model.c). Order 3, the chunk "abab":
 *
 *     aba 1   bab 1   ab 1   b 1           so  a: 2 (aba, ab)   b: 2 (bab, b)   ab: 2   ba: 1
 *
 * Shards. The first two bytes choose one of 512 shards, so that n-grams with a common prefix of two bytes are together
 * and each shard can be finished by itself. A thread collects the keys for a shard and hands them over some hundreds at
 * a time, under the shard's lock: the shard's table (ngram_shard.c) is hashed into with prefetches, and most of it
 * stays in cache. The order in which threads come changes where a key lies in its table, and nothing else: tables are
 * sorted before use.
 *
 * Weights. A position of a run with weight w counts w times: what fits the count bits of a word goes with the key, the
 * rest to the carries.
 *
 * Memory. With a bound, a table that would have to grow beyond it is not enlarged: the thread that wants it goes round
 * all shards, from where the last one stopped, and writes each that has its share to the file as a sorted run, until
 * there is room. So no thread waits for others, runs are long, and the shards that a text needs most get the memory. A
 * bound changes when things are written, and nothing of what comes out.
 *
 * In order. Shards are by a hash of the first two bytes, but n-grams with the same two bytes stand together in their
 * shard's order. So the n-grams of all shards in one order are had without comparing any: for each two bytes in turn,
 * those of the shard they belong to.
 *
 * Cost: 10 to 15 bytes of memory for a distinct n-gram, one access to a table for each position, mostly. */
#include "count/ngrams.h"

#include <stdatomic.h>

#include "count/ngram_shard.h"

enum { SHARDS = PM_NGRAM_SHARDS, BATCH = 256, AHEAD = 16, LEAST_TABLES = 1 << 12 };

static const uint64_t most_positions = UINT64_C(1) << 62;

typedef struct feeder { /* one thread's */
    uint64_t *batch;    /* BATCH words for each shard: keys, each with what it counts */
    uint16_t n[SHARDS];
    uint64_t singles[256];
    uint64_t positions; /* counted */
    pm_ngram_sorter sorter;
} feeder;

struct pm_ngram_counter {
    pm_ngram_counts counts;
    unsigned threads, bits;
    feeder *feeders;
    uint64_t memory;           /* that tables may take; UINT64_MAX: any */
    atomic_uint_fast64_t used; /* by them */
    atomic_uint next;          /* the shard to be written next */
};

pm_status pm_ngram_counter_new(pm_ngram_counter **out, unsigned order, const pm_count_work *work, pm_error *err) {
    pm_ngram_counter *c = pm_calloc(1, sizeof *c);

    *out = NULL;
    if (!c) {
        return pm_fail_memory(err);
    }
    c->counts.order = order;
    c->bits = pm_ngram_count_bits(order);
    c->threads = work->threads ? work->threads : 1;
    uint64_t apart =
        c->threads * (SHARDS * BATCH * sizeof(uint64_t)); /* and as much for buffers; an eighth is for sorting */
    c->memory = work->memory == UINT64_MAX                ? UINT64_MAX
                : work->memory < 2 * apart + LEAST_TABLES ? LEAST_TABLES
                                                          : (work->memory - 2 * apart) / 8 * 7;
    pm_scratch_file_init(&c->counts.file, work->tmpdir);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&c->counts.shards[i].lock, NULL);
    }
    c->feeders = pm_calloc(c->threads, sizeof *c->feeders);
    bool made = c->feeders != NULL;
    for (unsigned t = 0; made && t < c->threads; t++) {
        c->feeders[t].batch = pm_alloc(SHARDS * BATCH, sizeof *c->feeders[t].batch);
        made = c->feeders[t].batch != NULL;
    }
    if (!made) {
        pm_ngram_counter_free(c);
        return pm_fail_memory(err);
    }
    *out = c;
    return PM_OK;
}

static void release_feeders(pm_ngram_counter *c) {
    for (unsigned t = 0; c->feeders && t < c->threads; t++) {
        pm_free(c->feeders[t].batch);
        pm_ngram_sorter_release(&c->feeders[t].sorter);
    }
    pm_free(c->feeders);
    c->feeders = NULL;
}

void pm_ngram_counter_free(pm_ngram_counter *c) {
    if (c) {
        for (size_t i = 0; i < SHARDS; i++) {
            pm_ngram_shard_release(&c->counts.shards[i]);
            pthread_mutex_destroy(&c->counts.shards[i].lock);
        }
        pm_scratch_file_release(&c->counts.file);
        release_feeders(c);
        pm_free(c);
    }
}

unsigned pm_ngram_counter_order(const pm_ngram_counter *c) { return c->counts.order; }

void pm_ngram_counter_widen(pm_ngram_counter *c) { c->counts.wide = true; }

/* ---------------------------------------------------------------- memory ---- */

/* Writes a shard to the file, unless it has little. */
static pm_status make_way(pm_ngram_counter *c, feeder *f, unsigned number, pm_error *err) {
    pm_ngram_shard_counts *s = &c->counts.shards[number];
    pm_status status = PM_OK;

    pthread_mutex_lock(&s->lock);
    uint64_t before = pm_ngram_shard_bytes(s);
    if (before > c->memory / SHARDS / 4) {
        status = pm_ngram_shard_spill(s, c->bits, &c->counts.file, &f->sorter, err);
        atomic_fetch_sub(&c->used, before - pm_ngram_shard_bytes(s));
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

/* Room for `bytes` more: the table of this shard, enlarged. It is written itself when sorting it would take too much.
 */
static pm_status make_room(pm_ngram_counter *c, feeder *f, unsigned number, uint64_t bytes, pm_error *err) {
    if (bytes > c->memory / 8 / c->threads) {
        PM_TRY(make_way(c, f, number, err));
    }
    for (unsigned n = 0; n < SHARDS && atomic_load(&c->used) + bytes > c->memory; n++) {
        PM_TRY(make_way(c, f, atomic_fetch_add(&c->next, 1) % SHARDS, err));
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- counting ---- */

/* Counts the key of `item` as often as its low bits say, beginning at its home. There is room. */
static inline pm_status add(pm_ngram_shard_counts *s, unsigned bits, uint64_t item, size_t at, pm_error *err) {
    const uint64_t ones = (UINT64_C(1) << bits) - 1;
    for (;; at = at + 1 == s->cap ? 0 : at + 1) {
        uint64_t word = s->words[at];
        if (!word) {
            s->words[at] = item;
            s->n++;
            return PM_OK;
        }
        if (!((word ^ item) & ~ones)) {
            uint64_t count = (word & ones) + (item & ones);
            s->words[at] = (word & ~ones) | (count & ones);
            return count > ones ? pm_ngram_shard_carry(s, item & ~ones, 1, err) : PM_OK;
        }
    }
}

/* Counts the keys into the table, which has room for them all. */
static pm_status add_all(pm_ngram_shard_counts *s, unsigned bits, const uint64_t *items, size_t n, pm_error *err) {
    size_t homes[BATCH];
    for (size_t i = 0; i < n + AHEAD; i++) {
        if (i < n) {
            homes[i] = pm_ngram_home(items[i] >> bits, s->cap);
            __builtin_prefetch(s->words + homes[i], 1);
        }
        if (i >= AHEAD) {
            PM_TRY(add(s, bits, items[i - AHEAD], homes[i - AHEAD], err));
        }
    }
    return PM_OK;
}

/* Hands a thread's keys for one shard over. */
static pm_status hand_over(pm_ngram_counter *c, feeder *f, unsigned number, pm_error *err) {
    pm_ngram_shard_counts *s = &c->counts.shards[number];
    const uint64_t *items = f->batch + (size_t)number * BATCH;
    size_t n = f->n[number];
    pm_status status = PM_OK;

    f->n[number] = 0;
    pthread_mutex_lock(&s->lock);
    if (s->n + n > s->cap / 5 * 4 && c->memory != UINT64_MAX) {
        uint64_t more = pm_ngram_shard_next_cap(s, s->n + n) * sizeof *s->words;
        pthread_mutex_unlock(&s->lock);
        PM_TRY(make_room(c, f, number, more, err));
        pthread_mutex_lock(&s->lock);
    }
    uint64_t before = pm_ngram_shard_bytes(s);
    if (s->n + n > s->cap / 5 * 4) {
        status = pm_ngram_shard_enlarge(s, c->bits, s->n + n, err);
    }
    if (status == PM_OK) {
        status = add_all(s, c->bits, items, n, err);
    }
    atomic_fetch_add(&c->used, pm_ngram_shard_bytes(s) - before);
    pthread_mutex_unlock(&s->lock);
    return status;
}

/* Counts the key 2^bits times n. */
static pm_status carry(pm_ngram_counter *c, unsigned number, uint64_t key, uint64_t n, pm_error *err) {
    pm_ngram_shard_counts *s = &c->counts.shards[number];
    pthread_mutex_lock(&s->lock);
    uint64_t before = pm_ngram_shard_bytes(s);
    pm_status status = pm_ngram_shard_carry(s, key, n, err);
    atomic_fetch_add(&c->used, pm_ngram_shard_bytes(s) - before);
    pthread_mutex_unlock(&s->lock);
    return status;
}

static inline pm_status take(pm_ngram_counter *c, feeder *f, uint64_t key, uint64_t weight, pm_error *err) {
    const unsigned bits = c->bits;
    unsigned to = pm_ngram_shard_of(key);
    if (weight >> bits) {
        PM_TRY(carry(c, to, key, weight >> bits, err));
        weight &= (UINT64_C(1) << bits) - 1;
        if (!weight) { /* a word that counts nothing must not be there without its carry, which may be in the file by then */
            return PM_OK;
        }
    }
    f->batch[(size_t)to * BATCH + f->n[to]++] = key | weight;
    return f->n[to] == BATCH ? hand_over(c, f, to, err) : PM_OK;
}

pm_status pm_ngram_count(pm_ngram_counter *c, unsigned thread, const pm_chunks *run, pm_error *err) {
    feeder *f = &c->feeders[thread];
    const unsigned order = c->counts.order, bits = c->bits;
    const uint64_t weight = run->weight ? run->weight : 1;
    size_t at = 0;

    f->positions += run->len * weight; /* below 2^32 * 2^20 */
    if (f->positions > most_positions / c->threads) {
        return pm_fail(err, PM_LIMIT, "the corpus holds more than 2^62 bytes, each as often as its weight says");
    }
    for (size_t i = 0; i < run->n; i++) {
        const size_t end = run->ends[i];
        for (; at + order <= end && order > 1; at++) {
            PM_TRY(
                take(c, f, pm_ngram_keep(pm_ngram_load(run->text + at), order) | (uint64_t)order << bits, weight, err));
        }
        for (; at + 1 < end && order > 1; at++) {
            unsigned len = (unsigned)(end - at);
            PM_TRY(take(c, f, pm_ngram_keep(pm_ngram_load(run->text + at), len) | (uint64_t)len << bits, weight, err));
        }
        for (; at < end; at++) {
            f->singles[run->text[at]] += weight;
        }
    }
    return PM_OK;
}

pm_status pm_ngram_counter_finish(pm_ngram_counter *c, pm_ngram_counts **counts, pm_error *err) {
    for (unsigned t = 0; t < c->threads; t++) {
        for (unsigned i = 0; i < SHARDS; i++) {
            PM_TRY(hand_over(c, &c->feeders[t], i, err));
        }
        for (int b = 0; b < 256; b++) {
            c->counts.singles[b] += c->feeders[t].singles[b];
        }
    }
    release_feeders(c);
    *counts = &c->counts;
    return PM_OK;
}

/* ---------------------------------------------------------------- in order ---- */

typedef struct stream {
    pm_ngram_counts *counts;
    unsigned bits;
    const pm_count_work *work;
    pm_ngram_sorter *sorters;
    bool on_disk; /* all of it */
    pm_ngram_cursor cursors[SHARDS];
    pm_ngram_fn fn;
    void *ctx;
} stream;

static pm_status task_sort(void *ctx, unsigned thread, size_t i, pm_error *err) {
    stream *s = ctx;
    pm_ngram_shard_counts *shard = &s->counts->shards[i];
    return s->on_disk ? pm_ngram_shard_unite(shard, s->bits, &s->counts->file, &s->sorters[thread], err)
                      : pm_ngram_shard_sort(shard, s->bits, &s->sorters[thread], err);
}

static pm_status give(stream *s, uint64_t word, unsigned len, uint64_t count, pm_error *err) {
    const pm_ngram ngram = {word, len, count};
    return s->fn(s->ctx, &ngram, err);
}

/* All that begin with these two bytes. */
static pm_status give_prefix(stream *s, uint64_t prefix, pm_error *err) {
    unsigned number = pm_ngram_shard_of(prefix << 48);
    pm_ngram_cursor *c = &s->cursors[number];

    while (c->count && c->key >> 48 == prefix) {
        unsigned len = (unsigned)(c->key >> s->bits & 7);
        PM_TRY(give(s, pm_ngram_keep(c->key, len), len, c->count, err));
        PM_TRY(pm_ngram_cursor_next(c, err));
    }
    if (!c->count) {
        pm_ngram_cursor_close(c);
        pm_ngram_shard_release(&s->counts->shards[number]);
    }
    return PM_OK;
}

static pm_status give_all(stream *s, pm_error *err) {
    pm_ticker *ticker = s->work->ticker;

    if (ticker) {
        PM_TRY(pm_ticker_phase(ticker, "sort n-grams", "shards", SHARDS, err));
    }
    PM_TRY(pm_parallel(s->work->threads, SHARDS, task_sort, s, ticker, err));
    if (ticker) {
        PM_TRY(pm_ticker_phase(ticker, "write n-grams", "prefixes", 1 << 16, err));
    }
    for (unsigned i = 0; i < SHARDS; i++) {
        PM_TRY(pm_ngram_cursor_open(&s->cursors[i], &s->counts->shards[i], s->bits, &s->counts->file, 0, err));
        PM_TRY(pm_ngram_cursor_next(&s->cursors[i], err));
    }
    for (uint64_t prefix = 0; prefix < 1 << 16; prefix++) {
        uint64_t single = s->counts->singles[prefix >> 8];
        if (!(prefix & 0xFF) && single) {
            PM_TRY(give(s, prefix << 48, 1, single, err));
        }
        PM_TRY(give_prefix(s, prefix, err));
        if (ticker) {
            PM_TRY(pm_ticker_tick(ticker, prefix, err));
        }
    }
    return PM_OK;
}

pm_status pm_ngram_counter_stream(pm_ngram_counter *c, const pm_count_work *work, pm_ngram_fn fn, void *ctx,
                                  pm_error *err) {
    stream *s = pm_calloc(1, sizeof *s);
    pm_status status = s && (s->sorters = pm_calloc(work->threads, sizeof *s->sorters)) ? PM_OK : pm_fail_memory(err);

    if (status == PM_OK) {
        s->work = work;
        s->fn = fn;
        s->ctx = ctx;
        s->bits = c->bits;
        status = pm_ngram_counter_finish(c, &s->counts, err);
    }
    if (status == PM_OK) {
        s->on_disk = s->counts->file.fd >= 0;
        status = give_all(s, err);
    }
    for (unsigned i = 0; s && i < SHARDS; i++) {
        pm_ngram_cursor_close(&s->cursors[i]);
    }
    for (unsigned t = 0; s && s->sorters && t < work->threads; t++) {
        pm_ngram_sorter_release(&s->sorters[t]);
    }
    pm_free(s ? s->sorters : NULL);
    pm_free(s);
    return status;
}
