/* ngram_model.c - from counts of byte n-grams to a table of conditional log-probabilities.
 *
 * For a position of the text the log-probabilities of the n-grams of all orders that begin there are wanted. They lie in
 * one record: the n-gram of the highest order has a slot with the ranks of the counts of all its prefixes of two bytes or
 * more (a rank indexes a table of logarithms, so that a slot has 16 bytes and exact doubles come out). Where that n-gram
 * is too rare or the chunk ends, the longest prefix that is not is looked for in a second table, which has just those that
 * can be needed. Below two bytes a table of 256 answers.
 *
 *     value of order j = logs[rank j] - logs[rank j-1], one subtraction of two rounded logarithms, as bytepiece does
 *
 * Adding up. Sorted n-grams are walked with one open group for each order: the prefix of the current n-gram. A group is
 * closed when the next n-gram has another prefix: then its count is known; it is added to the group above; if frequent
 * it becomes a record (when it is of the highest order or was found to be needed), and the code of its count is written
 * into all records made since the group was opened, which are those it is a prefix of. Shards are walked in parallel, or
 * n-grams come one by one from elsewhere: groups of two bytes and more belong to one shard in either case.
 *
 * Cost: 16 / 0.75 bytes for a frequent n-gram, 32 while the table is made. */
#include "count/ngram_model.h"

#include <math.h>

#include "base/log.h"
#include "count/ngram_shard.h"

enum { SHARDS = PM_NGRAM_SHARDS, MAX_RANKS = PM_NGRAM_MAX_ORDER - 1 };

static const uint64_t most_positions = UINT64_C(1) << 62;

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

struct pm_ngram_builder {
    pm_ngram_model *model;
    pm_count_work work;
    uint64_t min_count;
    bool wide;
    uint64_t singles[256];
    records shards[SHARDS][2]; /* whole, part */
    pthread_mutex_t lock;
    uint64_t *big; /* counts of DIRECT and more */
    size_t n_big, cap_big;
    uint32_t *ranks; /* of each code */
    struct summing *in; /* n-grams that come one by one */
    pm_ngram before;
    uint64_t positions;
};

typedef struct group {
    uint64_t count;
    size_t begins[2]; /* how many records of each kind there were when it was opened */
    bool needed;
} group;

typedef struct summing { /* n-grams in order, those of one shard at a time */
    pm_ngram_builder *b;
    records *kinds;    /* two: where records go */
    group groups[PM_NGRAM_MAX_ORDER + 1];
    uint64_t word;     /* the current n-gram's bytes */
    unsigned depth;
    uint64_t first[256]; /* counts by first byte */
} summing;

static pm_status code_of(pm_ngram_builder *b, uint64_t count, uint32_t *code, pm_error *err) {
    if (count < DIRECT) {
        *code = (uint32_t)count;
        return PM_OK;
    }
    pthread_mutex_lock(&b->lock);
    pm_status status = b->n_big >= UINT32_MAX - DIRECT
                           ? pm_fail_memory(err)
                           : pm_grow((void **)&b->big, &b->cap_big, b->n_big + 1, sizeof *b->big, err);
    if (status == PM_OK) {
        *code = DIRECT + (uint32_t)b->n_big;
        b->big[b->n_big++] = count;
    }
    pthread_mutex_unlock(&b->lock);
    return status;
}

static pm_status add_record(records *r, uint64_t key, pm_error *err) {
    PM_TRY(pm_grow((void **)&r->items, &r->cap, r->n + 1, sizeof *r->items, err));
    r->items[r->n++] = (record){.key = key};
    return PM_OK;
}

/* Closes the deepest group. */
static pm_status close_group(summing *s, pm_error *err) {
    const unsigned depth = s->depth--, order = s->b->model->order;
    const group *g = &s->groups[depth];
    uint32_t code;

    if (depth > 2) {
        s->groups[depth - 1].count += g->count;
    } else {
        s->first[s->word >> 56] += g->count;
    }
    if (g->count < s->b->min_count) {
        s->groups[depth - 1].needed = true;
        return PM_OK;
    }
    if (depth == order) {
        PM_TRY(add_record(&s->kinds[0], pm_ngram_whole_key(order, s->word), err));
    } else if (g->needed) {
        PM_TRY(add_record(&s->kinds[1], pm_ngram_part_key(order, s->word, depth), err));
    }
    PM_TRY(code_of(s->b, g->count, &code, err));
    for (int kind = 0; kind < 2; kind++) {
        records *r = &s->kinds[kind];
        for (size_t i = g->begins[kind]; i < r->n; i++) {
            r->items[i].codes[depth - 2] = code;
        }
    }
    return PM_OK;
}

static pm_status close_all(summing *s, pm_error *err) {
    while (s->depth > 1) {
        PM_TRY(close_group(s, err));
    }
    return PM_OK;
}

static unsigned common_prefix(uint64_t a, uint64_t b, unsigned len_a, unsigned len_b) {
    unsigned same = a == b ? 8 : (unsigned)__builtin_clzll(a ^ b) / 8;
    unsigned shorter = len_a < len_b ? len_a : len_b;
    return same < shorter ? same : shorter;
}

/* The next n-gram, of two bytes or more. */
static inline pm_status sum_up(summing *s, uint64_t word, unsigned len, uint64_t count, pm_error *err) {
    unsigned same = common_prefix(s->word, word, s->depth, len);
    while (s->depth > same && s->depth > 1) {
        PM_TRY(close_group(s, err));
    }
    s->word = word;
    while (s->depth < len) {
        s->groups[++s->depth] = (group){.begins = {s->kinds[0].n, s->kinds[1].n}};
    }
    s->groups[len].count += count;
    s->groups[len].needed |= len < s->b->model->order;
    return PM_OK;
}

/* Gives back what an array is longer than needed; a failure to do so is none. */
static void trim(records *r) {
    record *items = r->n ? pm_realloc(r->items, r->n, sizeof *items) : NULL;
    if (!r->n) {
        pm_free(r->items);
        *r = (records){0};
    } else if (items) {
        r->items = items;
        r->cap = r->n;
    }
}

/* ---------------------------------------------------------------- from a counter ---- */

typedef struct adder { /* one thread's */
    pm_ngram_sorter sorter;
    summing sum;
    records kinds[2];
} adder;

typedef struct adding {
    pm_ngram_builder *b;
    pm_ngram_counts *counts;
    unsigned bits;
    adder *adders;
} adding;

static pm_status sum_shard(adding *a, summing *s, pm_ngram_shard_counts *shard, pm_error *err) {
    const pm_count_work *work = &a->b->work;
    pm_ngram_cursor c;
    pm_status status;

    PM_TRY(pm_ngram_cursor_open(&c, shard, a->bits, &a->counts->file, work->memory / 8 / work->threads, err));
    while ((status = pm_ngram_cursor_next(&c, err)) == PM_OK && c.count) {
        unsigned len = (unsigned)(c.key >> a->bits & 7);
        status = sum_up(s, pm_ngram_keep(c.key, len), len, c.count, err);
        if (status != PM_OK) {
            break;
        }
    }
    pm_ngram_cursor_close(&c);
    return status == PM_OK ? close_all(s, err) : status;
}

static pm_status task_sum(void *ctx, unsigned thread, size_t i, pm_error *err) {
    adding *a = ctx;
    adder *own = &a->adders[thread];
    pm_ngram_shard_counts *shard = &a->counts->shards[i];

    own->sum.b = a->b;
    own->sum.kinds = own->kinds;
    own->sum.depth = 1;
    own->kinds[0].n = own->kinds[1].n = 0;
    PM_TRY(pm_ngram_shard_sort(shard, a->bits, &own->sorter, err));
    PM_TRY(sum_shard(a, &own->sum, shard, err));
    pm_ngram_shard_release(shard);
    for (int kind = 0; kind < 2; kind++) {
        const records *from = &own->kinds[kind];
        records *to = &a->b->shards[i][kind];
        to->items = from->n ? pm_alloc(from->n, sizeof *to->items) : NULL;
        if (from->n && !to->items) {
            return pm_fail_memory(err);
        }
        if (from->n) {
            memcpy(to->items, from->items, from->n * sizeof *to->items);
        }
        to->n = to->cap = from->n;
    }
    return PM_OK;
}

static pm_status add_counts(pm_ngram_builder *b, pm_ngram_counter *counter, pm_error *err) {
    adding a = {.b = b};
    pm_status status = PM_OK;

    PM_TRY(pm_ngram_counter_finish(counter, &a.counts, err));
    a.bits = pm_ngram_count_bits(a.counts->order);
    b->wide = a.counts->wide;
    a.adders = pm_calloc(b->work.threads, sizeof *a.adders);
    if (!a.adders) {
        return pm_fail_memory(err);
    }
    if (b->work.ticker) {
        status = pm_ticker_phase(b->work.ticker, "sort n-grams", "shards", SHARDS, err);
    }
    if (status == PM_OK) {
        status = pm_parallel(b->work.threads, SHARDS, task_sum, &a, b->work.ticker, err);
    }
    for (int byte = 0; byte < 256; byte++) {
        b->singles[byte] = a.counts->singles[byte];
    }
    for (unsigned t = 0; t < b->work.threads; t++) {
        for (int byte = 0; byte < 256; byte++) {
            b->singles[byte] += a.adders[t].sum.first[byte];
        }
        pm_ngram_sorter_release(&a.adders[t].sorter);
        pm_free(a.adders[t].kinds[0].items);
        pm_free(a.adders[t].kinds[1].items);
    }
    pm_free(a.adders);
    return status;
}

/* ---------------------------------------------------------------- one by one ---- */

pm_status pm_ngram_builder_new(pm_ngram_builder **out, unsigned order, uint64_t min_count, const pm_count_work *work,
                               pm_error *err) {
    pm_ngram_builder *b = *out = pm_calloc(1, sizeof *b);
    if (!b) {
        return pm_fail_memory(err);
    }
    pthread_mutex_init(&b->lock, NULL);
    b->min_count = min_count;
    b->work = *work;
    b->work.threads = work->threads ? work->threads : 1;
    b->model = pm_calloc(1, sizeof *b->model);
    b->in = pm_calloc(1, sizeof *b->in);
    if (!b->model || !b->in) {
        pm_ngram_builder_free(b);
        *out = NULL;
        return pm_fail_memory(err);
    }
    b->model->order = order;
    *b->in = (summing){.b = b, .depth = 1};
    return PM_OK;
}

void pm_ngram_builder_free(pm_ngram_builder *b) {
    if (b) {
        for (size_t i = 0; i < SHARDS; i++) {
            pm_free(b->shards[i][0].items);
            pm_free(b->shards[i][1].items);
        }
        pm_ngram_model_free(b->model);
        pm_free(b->in);
        pm_free(b->big);
        pm_free(b->ranks);
        pthread_mutex_destroy(&b->lock);
        pm_free(b);
    }
}

pm_status pm_ngram_builder_add(pm_ngram_builder *b, const pm_ngram *g, pm_error *err) {
    const pm_ngram *before = &b->before;
    summing *s = b->in;

    if (g->len < 1 || g->len > b->model->order) {
        return pm_fail(err, PM_BAD_FORMAT, "an n-gram of %u bytes, where 1 to %u are possible", g->len, b->model->order);
    }
    if (before->len && (g->word < before->word || (g->word == before->word && g->len <= before->len))) {
        return pm_fail(err, PM_BAD_FORMAT, "n-grams are not in rising order");
    }
    if (g->count > most_positions - b->positions) {
        return pm_fail(err, PM_LIMIT, "the n-grams are more than 2^62, each as often as it was counted");
    }
    bool same_prefix = before->len > 1 && before->word >> 48 == g->word >> 48;
    b->positions += g->count;
    b->before = *g;
    if (g->len == 1) {
        b->singles[g->word >> 56] += g->count;
        return PM_OK;
    }
    if (!same_prefix) {
        PM_TRY(close_all(s, err));
        s->kinds = b->shards[pm_ngram_shard_of(g->word)];
    }
    return sum_up(s, g->word, g->len, g->count, err);
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
static pm_status place_tables(pm_ngram_builder *b, pm_error *err) {
    pm_ngram_model *model = b->model;
    uint64_t total = 0;

    for (size_t i = 0; i < SHARDS; i++) {
        uint64_t whole = buckets_for(b->shards[i][0].n, model->wide),
                 part = buckets_for(b->shards[i][1].n, model->wide);
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
    pm_ngram_builder *b = ctx;
    const pm_ngram_shard *sh = &b->model->shards[i];
    (void)thread;
    (void)err;
    build_table(sh->whole, sh->n_whole, &b->shards[i][0], b->model->wide, b->ranks);
    build_table(sh->part, sh->n_part, &b->shards[i][1], b->model->wide, b->ranks);
    return PM_OK;
}

/* Numbers the codes that occur, in rising order, and makes the table of logarithms. */
static pm_status rank_codes(pm_ngram_builder *b, pm_error *err) {
    size_t n_codes = DIRECT + b->n_big;
    uint32_t n = 1;

    b->ranks = pm_calloc(n_codes, sizeof *b->ranks);
    if (!b->ranks) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < SHARDS; i++) {
        for (int kind = 0; kind < 2; kind++) {
            const records *r = &b->shards[i][kind];
            for (size_t k = 0; k < r->n; k++) {
                for (unsigned j = 0; j < MAX_RANKS; j++) {
                    b->ranks[r->items[k].codes[j]] = 1;
                }
            }
        }
    }
    b->ranks[0] = 0;
    for (size_t c = 1; c < n_codes; c++) {
        b->ranks[c] = b->ranks[c] ? n++ : 0;
    }
    b->model->logs = pm_alloc(n, sizeof *b->model->logs);
    if (!b->model->logs) {
        return pm_fail_memory(err);
    }
    b->model->logs[0] = -INFINITY;
    for (size_t c = 1; c < n_codes; c++) {
        if (b->ranks[c]) {
            b->model->logs[b->ranks[c]] = pm_log_u64(c < DIRECT ? c : b->big[c - DIRECT]);
        }
    }
    b->model->wide =
        b->wide || b->model->order > 6 || n > UINT16_MAX || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__;
    return PM_OK;
}

/* Bytes that were never seen count once, and the sum counts them too. */
static void first_order(pm_ngram_model *model, const uint64_t *singles) {
    uint64_t counts[256], sum = 0;
    for (int b = 0; b < 256; b++) {
        counts[b] = singles[b] + (singles[b] == 0);
        sum += counts[b];
    }
    double log_sum = pm_log_u64(sum);
    for (int b = 0; b < 256; b++) {
        model->log_first[b] = pm_log_u64(counts[b]);
        model->first[b] = model->log_first[b] - log_sum;
    }
}

pm_status pm_ngram_builder_finish(pm_ngram_model **out, pm_ngram_builder *b, pm_error *err) {
    *out = NULL;
    PM_TRY(close_all(b->in, err));
    for (int byte = 0; byte < 256; byte++) {
        b->singles[byte] += b->in->first[byte];
    }
    for (size_t i = 0; i < SHARDS; i++) {
        trim(&b->shards[i][0]);
        trim(&b->shards[i][1]);
    }
    first_order(b->model, b->singles);
    PM_TRY(rank_codes(b, err));
    PM_TRY(place_tables(b, err));
    PM_TRY(pm_parallel_part(b->work.threads, SHARDS, task_build, b, b->work.ticker, err));
    *out = b->model;
    b->model = NULL;
    return PM_OK;
}

pm_status pm_ngram_model_new(pm_ngram_model **out, pm_ngram_counter *counter, uint64_t min_count,
                             const pm_count_work *work, pm_error *err) {
    pm_ngram_builder *b;

    *out = NULL;
    PM_TRY(pm_ngram_builder_new(&b, pm_ngram_counter_order(counter), min_count, work, err));
    pm_status status = add_counts(b, counter, err);
    if (status == PM_OK) {
        status = pm_ngram_builder_finish(out, b, err);
    }
    pm_ngram_builder_free(b);
    return status;
}

void pm_ngram_model_free(pm_ngram_model *model) {
    if (model) {
        pm_pages_free(model->memory, model->bytes);
        pm_free(model->logs);
        pm_free(model);
    }
}
