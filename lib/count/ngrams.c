/* ngrams.c - counting byte n-grams and turning the counts into a table of conditional log-probabilities.
 *
 * Counting. The count of an n-gram k is the sum of the counts of the n-grams one byte longer that begin with k, and the
 * number of times that k stands at the very end of a chunk. So only one n-gram is counted for each position: the
 * highest order that fits, that is `order` bytes, or what is left of the chunk. All lower orders follow by adding up
 * sorted keys. (Single bytes are counted by themselves.)
 *
 * A key and its count share one word of 64 bits, from the top: order * 8 bits of bytes (zeros behind a short one), 3
 * bits of length, and the rest counts. Example, order 6, "ab" at the end of a chunk seen 5 times:
 *
 *     61 62 00 00 00 00 | 010 | 0000000000101            (13 bits of count)
 *
 * When the count bits wrap the key goes to a list, once for each 2^13. The length keeps "ab" apart from "ab\0"; words
 * sort as strings do.
 *
 * Shards. The first two bytes choose one of 512 shards, so that n-grams with a common prefix of two bytes are together
 * and each shard can be finished by itself. A thread collects the keys for a shard and hands them over some hundreds at
 * a time, under the shard's lock: the shard's table is hashed into with prefetches, and most of it stays in cache.
 * Hashing is by multiplication, the high bits index; linear probing, at most 4/5 full. The order in which threads come
 * changes where a key lies in its table, and nothing else: tables are sorted before use.
 *
 * The model. For a position of the text the log-probabilities of the n-grams of all orders that begin there are wanted.
 * They lie in one record: the n-gram of the highest order has a slot with the ranks of the counts of all its prefixes
 * of two bytes or more (a rank indexes a table of logarithms, so that a slot has 16 bytes and exact doubles come out).
 * Where that n-gram is too rare or the chunk ends, the longest prefix that is not is looked for in a second table,
 * which has just those that can be needed. Below two bytes a table of 256 answers.
 *
 *     value of order j = logs[rank j] - logs[rank j-1], one subtraction of two rounded logarithms, as bytepiece does
 *
 * Adding up. Sorted keys are walked with one open group for each order: the prefix of the current key. A group is
 * closed when the next key has another prefix: then its count is known; it is added to the group above; if frequent it
 * becomes a record (when it is of the highest order or was found to be needed), and the code of its count is written
 * into all records made since the group was opened, which are those it is a prefix of.
 *
 * Cost: 10 to 15 bytes of memory for a distinct n-gram while counting, 16 / 0.75 bytes for a frequent one in the model;
 * one access to a table for each position in both passes, mostly. */
#include "count/ngrams.h"

#include <math.h>
#include <pthread.h>

#include "base/alloc.h"
#include "base/log.h"

enum { SHARDS = PM_NGRAM_SHARDS, BATCH = 256, AHEAD = 16, MAX_RANKS = PM_NGRAM_MAX_ORDER - 1 };

/* ---------------------------------------------------------------- counting ---- */

typedef struct shard {
    pthread_mutex_t lock;
    uint64_t *words; /* 0: free */
    size_t cap, n;
    uint64_t *wraps; /* words with count 0, once for each time the count bits wrapped */
    size_t n_wraps, cap_wraps;
} shard;

typedef struct feeder { /* one thread's */
    uint64_t *batch;    /* BATCH words for each shard */
    uint16_t n[SHARDS];
    uint64_t bytes[256];
} feeder;

struct pm_ngram_counter {
    unsigned order, threads;
    bool wide;
    shard shards[SHARDS];
    feeder *feeders;
};

static unsigned count_bits(unsigned order) { return 61 - 8 * order; }

pm_status pm_ngram_counter_new(pm_ngram_counter **out, unsigned order, unsigned threads, pm_error *err) {
    pm_ngram_counter *c = pm_calloc(1, sizeof *c);

    *out = NULL;
    if (!c) {
        return pm_fail_memory(err);
    }
    c->order = order;
    c->threads = threads ? threads : 1;
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&c->shards[i].lock, NULL);
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

static void release_shard(shard *s) {
    pm_free(s->words);
    pm_free(s->wraps);
    s->words = s->wraps = NULL;
    s->cap = s->n = s->n_wraps = s->cap_wraps = 0;
}

static void release_feeders(pm_ngram_counter *c) {
    for (unsigned t = 0; c->feeders && t < c->threads; t++) {
        pm_free(c->feeders[t].batch);
    }
    pm_free(c->feeders);
    c->feeders = NULL;
}

void pm_ngram_counter_free(pm_ngram_counter *c) {
    if (c) {
        for (size_t i = 0; i < SHARDS; i++) {
            release_shard(&c->shards[i]);
            pthread_mutex_destroy(&c->shards[i].lock);
        }
        release_feeders(c);
        pm_free(c);
    }
}

void pm_ngram_counter_widen(pm_ngram_counter *c) { c->wide = true; }

static size_t home(uint64_t key, size_t cap) { return (size_t)((unsigned __int128)pm_ngram_hash(key) * cap >> 64); }

static pm_status enlarge(shard *s, unsigned bits, size_t need, pm_error *err) {
    size_t cap = s->cap + s->cap / 2;
    cap = cap < need / 4 * 5 + 64 ? need / 4 * 5 + 64 : cap;
    uint64_t *words = pm_calloc(cap, sizeof *words);
    if (!words) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < s->cap; i++) {
        if (s->words[i]) {
            size_t at = home(s->words[i] >> bits, cap);
            while (words[at]) {
                at = at + 1 == cap ? 0 : at + 1;
            }
            words[at] = s->words[i];
        }
    }
    pm_free(s->words);
    s->words = words;
    s->cap = cap;
    return PM_OK;
}

/* Counts one more of the key (a word with count 0) whose home is `at`. There is room. */
static inline pm_status add(shard *s, unsigned bits, uint64_t key, size_t at, pm_error *err) {
    const uint64_t ones = (UINT64_C(1) << bits) - 1;
    for (;; at = at + 1 == s->cap ? 0 : at + 1) {
        uint64_t word = s->words[at];
        if ((word & ~ones) == key && word) {
            if ((word & ones) == ones) {
                PM_TRY(pm_grow((void **)&s->wraps, &s->cap_wraps, s->n_wraps + 1, sizeof *s->wraps, err));
                s->wraps[s->n_wraps++] = key;
                s->words[at] = key;
            } else {
                s->words[at] = word + 1;
            }
            return PM_OK;
        }
        if (!word) {
            s->words[at] = key + 1;
            s->n++;
            return PM_OK;
        }
    }
}

/* Hands a thread's keys for one shard over. */
static pm_status hand_over(pm_ngram_counter *c, feeder *f, unsigned number, pm_error *err) {
    shard *s = &c->shards[number];
    const uint64_t *keys = f->batch + (size_t)number * BATCH;
    unsigned bits = count_bits(c->order);
    size_t n = f->n[number], homes[BATCH];
    pm_status status = PM_OK;

    f->n[number] = 0;
    pthread_mutex_lock(&s->lock);
    if (s->n + n > s->cap / 5 * 4) {
        status = enlarge(s, bits, s->n + n, err);
    }
    for (size_t i = 0; status == PM_OK && i < n + AHEAD; i++) {
        if (i < n) {
            homes[i] = home(keys[i] >> bits, s->cap);
            __builtin_prefetch(s->words + homes[i], 1);
        }
        if (i >= AHEAD) {
            status = add(s, bits, keys[i - AHEAD], homes[i - AHEAD], err);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

pm_status pm_ngram_count(pm_ngram_counter *c, unsigned thread, const uint8_t *text, const uint32_t *ends, size_t n,
                         pm_error *err) {
    feeder *f = &c->feeders[thread];
    const unsigned order = c->order, bits = count_bits(order);
    size_t at = 0;

    for (size_t i = 0; i < n; at = ends[i++]) {
        for (; at < ends[i]; at++) {
            size_t left = ends[i] - at;
            unsigned len = left < order ? (unsigned)left : order;
            f->bytes[text[at]]++;
            if (len < 2) {
                continue;
            }
            uint64_t word = pm_ngram_keep(pm_ngram_load(text + at), len);
            unsigned to = pm_ngram_shard_of(word);
            f->batch[(size_t)to * BATCH + f->n[to]++] = word | (uint64_t)len << bits;
            if (f->n[to] == BATCH) {
                PM_TRY(hand_over(c, f, to, err));
            }
        }
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- sorting ---- */

/* Sorts words by bytes from the lowest that differs between any two; `spare` has the same length. */
static void sort_words(uint64_t *words, uint64_t *spare, size_t n) {
    uint64_t differ = 0;
    uint64_t *from = words, *to = spare;

    for (size_t i = 1; i < n; i++) {
        differ |= words[i] ^ words[0];
    }
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if (!(differ >> shift & 0xFF)) {
            continue;
        }
        size_t starts[257] = {0};
        for (size_t i = 0; i < n; i++) {
            starts[(from[i] >> shift & 0xFF) + 1]++;
        }
        for (size_t b = 0; b < 256; b++) {
            starts[b + 1] += starts[b];
        }
        for (size_t i = 0; i < n; i++) {
            to[starts[from[i] >> shift & 0xFF]++] = from[i];
        }
        uint64_t *other = from;
        from = to;
        to = other;
    }
    if (from != words) {
        memcpy(words, from, n * sizeof *words);
    }
}

/* ---------------------------------------------------------------- adding up ---- */

/* Codes of counts: itself below DIRECT, else DIRECT + its number in a list. Rank 0 and code 0 mean "too rare". */
enum { DIRECT = 60000 };

typedef struct record {
    uint64_t key;
    uint32_t codes[MAX_RANKS];
} record;

typedef struct records {
    record *items;
    size_t n, cap;
} records;

typedef struct scratch { /* one thread's */
    uint64_t *spare;
    size_t cap_spare;
    records kinds[2]; /* whole, part */
} scratch;

typedef struct maker {
    pm_ngram_model *model;
    pm_ngram_counter *counter;
    uint64_t min_count;
    scratch *scratches;
    records packed[SHARDS][2]; /* exact length */
    pthread_mutex_t lock;
    uint64_t *big; /* counts of DIRECT and more */
    size_t n_big, cap_big;
    uint32_t *ranks; /* of each code */
} maker;

typedef struct group {
    uint64_t count;
    size_t begins[2]; /* how many records of each kind there were when it was opened */
    bool needed;
} group;

typedef struct summing {
    maker *m;
    scratch *out;
    group groups[PM_NGRAM_MAX_ORDER + 1];
    uint64_t word; /* the current key's bytes */
    unsigned depth;
} summing;

static pm_status code_of(maker *m, uint64_t count, uint32_t *code, pm_error *err) {
    if (count < DIRECT) {
        *code = (uint32_t)count;
        return PM_OK;
    }
    pthread_mutex_lock(&m->lock);
    pm_status status = m->n_big >= UINT32_MAX - DIRECT
                           ? pm_fail_memory(err)
                           : pm_grow((void **)&m->big, &m->cap_big, m->n_big + 1, sizeof *m->big, err);
    if (status == PM_OK) {
        *code = DIRECT + (uint32_t)m->n_big;
        m->big[m->n_big++] = count;
    }
    pthread_mutex_unlock(&m->lock);
    return status;
}

static pm_status add_record(records *r, uint64_t key, pm_error *err) {
    PM_TRY(pm_grow((void **)&r->items, &r->cap, r->n + 1, sizeof *r->items, err));
    r->items[r->n++] = (record){.key = key};
    return PM_OK;
}

/* Closes the deepest group. */
static pm_status close_group(summing *s, pm_error *err) {
    unsigned depth = s->depth--, order = s->m->model->order;
    group *g = &s->groups[depth];
    uint32_t code;

    if (depth > 2) {
        s->groups[depth - 1].count += g->count;
    }
    if (g->count < s->m->min_count) {
        s->groups[depth - 1].needed = true;
        return PM_OK;
    }
    if (depth == order) {
        PM_TRY(add_record(&s->out->kinds[0], pm_ngram_whole_key(order, s->word), err));
    } else if (g->needed) {
        PM_TRY(add_record(&s->out->kinds[1], pm_ngram_part_key(order, s->word, depth), err));
    }
    PM_TRY(code_of(s->m, g->count, &code, err));
    for (int kind = 0; kind < 2; kind++) {
        records *r = &s->out->kinds[kind];
        for (size_t i = g->begins[kind]; i < r->n; i++) {
            r->items[i].codes[depth - 2] = code;
        }
    }
    return PM_OK;
}

static unsigned common_prefix(uint64_t a, uint64_t b, unsigned len_a, unsigned len_b) {
    unsigned same = a == b ? 8 : (unsigned)__builtin_clzll(a ^ b) / 8;
    unsigned shorter = len_a < len_b ? len_a : len_b;
    return same < shorter ? same : shorter;
}

/* Walks a shard's sorted words (and sorted wraps) and makes its records. */
static pm_status sum_up(maker *m, scratch *out, const shard *sh, pm_error *err) {
    const unsigned order = m->model->order, bits = count_bits(order);
    const uint64_t ones = (UINT64_C(1) << bits) - 1;
    summing s = {.m = m, .out = out, .depth = 1};
    size_t wrap = 0;

    for (size_t i = 0; i < sh->n; i++) {
        uint64_t key = sh->words[i] & ~ones, count = sh->words[i] & ones;
        unsigned len = (unsigned)(key >> bits & 7);
        uint64_t word = pm_ngram_keep(key, len);
        for (; wrap < sh->n_wraps && sh->wraps[wrap] == key; wrap++) {
            count += ones + 1;
        }
        unsigned same = i ? common_prefix(s.word, word, s.depth, len) : 1;
        while (s.depth > same && s.depth > 1) {
            PM_TRY(close_group(&s, err));
        }
        s.word = word;
        while (s.depth < len) {
            s.groups[++s.depth] = (group){.begins = {out->kinds[0].n, out->kinds[1].n}};
        }
        s.groups[len].count += count;
        s.groups[len].needed = s.groups[len].needed || len < order;
    }
    while (s.depth > 1) {
        PM_TRY(close_group(&s, err));
    }
    return PM_OK;
}

static pm_status task_sum(void *ctx, unsigned thread, size_t i, pm_error *err) {
    maker *m = ctx;
    shard *sh = &m->counter->shards[i];
    scratch *out = &m->scratches[thread];
    size_t n = 0;

    for (size_t k = 0; k < sh->cap; k++) {
        if (sh->words[k]) {
            sh->words[n++] = sh->words[k];
        }
    }
    PM_TRY(pm_grow((void **)&out->spare, &out->cap_spare, n > sh->n_wraps ? n : sh->n_wraps, sizeof *out->spare, err));
    sort_words(sh->words, out->spare, n);
    sort_words(sh->wraps, out->spare, sh->n_wraps);
    out->kinds[0].n = out->kinds[1].n = 0;
    PM_TRY(sum_up(m, out, sh, err));
    release_shard(sh);
    for (int kind = 0; kind < 2; kind++) {
        records *from = &out->kinds[kind], *to = &m->packed[i][kind];
        to->items = pm_alloc(from->n, sizeof *to->items);
        if (!to->items) {
            return pm_fail_memory(err);
        }
        if (from->n) {
            memcpy(to->items, from->items, from->n * sizeof *to->items);
        }
        to->n = to->cap = from->n;
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- the tables ---- */

static void put_slot(uint8_t *slot, bool wide, const record *r, const uint32_t *ranks) {
    memcpy(slot, &r->key, sizeof r->key);
    for (unsigned j = 0; j < (wide ? 6 : 5); j++) {
        uint32_t rank32 = ranks[r->codes[j]];
        uint16_t rank16 = (uint16_t)rank32;
        if (wide) {
            memcpy(slot + 8 + 4 * j, &rank32, sizeof rank32);
        } else {
            memcpy(slot + 6 + 2 * j, &rank16, sizeof rank16);
        }
    }
}

/* Buckets for n records: three quarters full. */
static uint64_t buckets_for(size_t n, bool wide) { return n ? (uint64_t)n * (wide ? 32 : 16) / 48 + 1 : 0; }

static void build_table(uint8_t *table, uint32_t n, records *r, bool wide, const uint32_t *ranks) {
    const unsigned slot_bytes = wide ? 32 : 16;
    uint8_t *end = table + (size_t)n * 64;

    for (size_t i = 0; i < r->n; i++) {
        uint8_t *bucket = pm_ngram_bucket(table, n, r->items[i].key);
        unsigned at = 0;
        while (pm_ngram_slot_rank(bucket + at, wide, 2)) {
            at += slot_bytes;
            if (at == 64) {
                at = 0;
                bucket = bucket + 64 == end ? table : bucket + 64;
            }
        }
        put_slot(bucket + at, wide, &r->items[i], ranks);
    }
    pm_free(r->items);
    *r = (records){0};
}

/* Gives every shard its part of one stretch of memory. */
static pm_status place_tables(maker *m, pm_error *err) {
    pm_ngram_model *model = m->model;
    uint64_t total = 0;

    for (size_t i = 0; i < SHARDS; i++) {
        uint64_t whole = buckets_for(m->packed[i][0].n, model->wide),
                 part = buckets_for(m->packed[i][1].n, model->wide);
        if (whole > UINT32_MAX || part > UINT32_MAX) {
            return pm_fail(err, PM_LIMIT, "too many distinct n-grams: more than 2^32 buckets in a shard");
        }
        model->shards[i].n_whole = (uint32_t)whole;
        model->shards[i].n_part = (uint32_t)part;
        total += whole + part;
    }
    model->bytes = (total + 1) * 64; /* a shard without n-grams points at something too */
    model->memory = pm_pages_alloc(model->bytes);
    if (!model->memory) {
        return pm_fail_memory(err);
    }
    uint8_t *at = model->memory;
    for (size_t i = 0; i < SHARDS; i++) {
        model->shards[i].whole = at;
        at += (size_t)model->shards[i].n_whole * 64;
        model->shards[i].part = at;
        at += (size_t)model->shards[i].n_part * 64;
    }
    return PM_OK;
}

static pm_status task_build(void *ctx, unsigned thread, size_t i, pm_error *err) {
    maker *m = ctx;
    const pm_ngram_shard *sh = &m->model->shards[i];
    (void)thread;
    (void)err;
    build_table(sh->whole, sh->n_whole, &m->packed[i][0], m->model->wide, m->ranks);
    build_table(sh->part, sh->n_part, &m->packed[i][1], m->model->wide, m->ranks);
    return PM_OK;
}

/* Numbers the codes that occur, in rising order, and makes the table of logarithms. */
static pm_status rank_codes(maker *m, pm_error *err) {
    size_t n_codes = DIRECT + m->n_big;
    uint32_t n = 1;

    m->ranks = pm_calloc(n_codes, sizeof *m->ranks);
    if (!m->ranks) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < SHARDS; i++) {
        for (int kind = 0; kind < 2; kind++) {
            const records *r = &m->packed[i][kind];
            for (size_t k = 0; k < r->n; k++) {
                for (unsigned j = 0; j < MAX_RANKS; j++) {
                    m->ranks[r->items[k].codes[j]] = 1;
                }
            }
        }
    }
    m->ranks[0] = 0;
    for (size_t c = 1; c < n_codes; c++) {
        m->ranks[c] = m->ranks[c] ? n++ : 0;
    }
    m->model->logs = pm_alloc(n, sizeof *m->model->logs);
    if (!m->model->logs) {
        return pm_fail_memory(err);
    }
    m->model->logs[0] = -INFINITY;
    for (size_t c = 1; c < n_codes; c++) {
        if (m->ranks[c]) {
            m->model->logs[m->ranks[c]] = pm_log_u64(c < DIRECT ? c : m->big[c - DIRECT]);
        }
    }
    m->model->wide =
        m->counter->wide || m->model->order > 6 || n > UINT16_MAX || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__;
    return PM_OK;
}

/* Bytes that were never seen count once, and the sum counts them too. */
static void first_order(pm_ngram_model *model, const pm_ngram_counter *c) {
    uint64_t counts[256], sum = 0;
    for (int b = 0; b < 256; b++) {
        counts[b] = 0;
        for (unsigned t = 0; t < c->threads; t++) {
            counts[b] += c->feeders[t].bytes[b];
        }
        counts[b] += counts[b] == 0;
        sum += counts[b];
    }
    double log_sum = pm_log_u64(sum);
    for (int b = 0; b < 256; b++) {
        model->log_first[b] = pm_log_u64(counts[b]);
        model->first[b] = model->log_first[b] - log_sum;
    }
}

static pm_status make_model(maker *m, unsigned threads, pm_ticker *ticker, pm_error *err) {
    pm_ngram_counter *c = m->counter;

    for (unsigned t = 0; t < c->threads; t++) {
        for (unsigned i = 0; i < SHARDS; i++) {
            PM_TRY(hand_over(c, &c->feeders[t], i, err));
        }
    }
    first_order(m->model, c);
    release_feeders(c);
    if (ticker) {
        PM_TRY(pm_ticker_phase(ticker, "sort n-grams", "shards", SHARDS, err));
    }
    PM_TRY(pm_parallel(threads, SHARDS, task_sum, m, ticker, err));
    PM_TRY(rank_codes(m, err));
    PM_TRY(place_tables(m, err));
    return pm_parallel(threads, SHARDS, task_build, m, ticker, err);
}

pm_status pm_ngram_model_new(pm_ngram_model **out, pm_ngram_counter *counter, uint64_t min_count, unsigned threads,
                             pm_ticker *ticker, pm_error *err) {
    pm_status status = PM_NO_MEMORY;
    maker *m = pm_calloc(1, sizeof *m);

    *out = NULL;
    threads = threads ? threads : 1;
    if (m) {
        pthread_mutex_init(&m->lock, NULL);
        m->counter = counter;
        m->min_count = min_count;
        m->model = pm_calloc(1, sizeof *m->model);
        m->scratches = pm_calloc(threads, sizeof *m->scratches);
    }
    if (m && m->model && m->scratches) {
        m->model->order = counter->order;
        status = make_model(m, threads, ticker, err);
    } else {
        pm_fail_memory(err);
    }
    for (size_t i = 0; m && i < SHARDS; i++) {
        pm_free(m->packed[i][0].items);
        pm_free(m->packed[i][1].items);
    }
    for (unsigned t = 0; m && m->scratches && t < threads; t++) {
        pm_free(m->scratches[t].spare);
        pm_free(m->scratches[t].kinds[0].items);
        pm_free(m->scratches[t].kinds[1].items);
    }
    if (m && status == PM_OK) {
        *out = m->model;
    } else if (m) {
        pm_ngram_model_free(m->model);
    }
    if (m) {
        pm_free(m->scratches);
        pm_free(m->big);
        pm_free(m->ranks);
        pthread_mutex_destroy(&m->lock);
        pm_free(m);
    }
    return status;
}

void pm_ngram_model_free(pm_ngram_model *model) {
    if (model) {
        pm_pages_free(model->memory, model->bytes);
        pm_free(model->logs);
        pm_free(model);
    }
}
