/* ngram_model.c - from counts of byte n-grams to a table of conditional log-probabilities.
 *
 * For a position of the text the log-probabilities of the n-grams of all orders that begin there are wanted. They lie
 * in one record: the n-gram of the highest order has a slot with the ranks of the counts of all its prefixes of two
 * bytes or more (a rank indexes a table of logarithms, so that a slot has 16 bytes and exact doubles come out). Where
 * that n-gram is too rare or the chunk ends, the longest prefix that is not is looked for in a second table, which has
 * just those that can be needed. Below two bytes a table of 256 answers.
 *
 *     value of order j = logs[rank j] - logs[rank j-1], one subtraction of two rounded logarithms, as bytepiece does
 *
 * Adding up. Sorted n-grams are walked with one open group for each order: the prefix of the current n-gram. A group is
 * closed when the next n-gram has another prefix: then its count is known; it is added to the group above; if frequent
 * it becomes a record (when it is of the highest order or was found to be needed), and the code of its count is written
 * into all records made since the group was opened, which are those it is a prefix of. Shards are walked in parallel,
 * or n-grams come one by one from elsewhere: groups of two bytes and more belong to one shard in either case.
 *
 * Cost: 32 bytes for a frequent n-gram, and 32 more while the table is made. */
#include "count/ngram_model.h"

#include <math.h>

#include "base/log.h"
#include "count/ngram_shard.h"
#include "count/ngram_tables.h"

enum { SHARDS = PM_NGRAM_SHARDS };

static const uint64_t most_positions = UINT64_C(1) << 62;

/* ---------------------------------------------------------------- adding up ---- */

/* Codes of counts: itself below DIRECT, else DIRECT + its number in a list. Rank 0 and code 0 mean "too rare". */
enum { DIRECT = 60000 };

struct pm_ngram_builder {
    pm_ngram_model *model;
    pm_count_work work;
    uint64_t min_count;
    bool wide;
    uint64_t singles[256];
    pm_ngram_records *records;
    atomic_uint_fast64_t in_memory; /* bytes of them */
    pthread_mutex_t lock;
    uint64_t *big; /* counts of DIRECT and more */
    size_t n_big, cap_big;
    uint8_t direct[DIRECT]; /* 1: the count occurs in a record */
    struct summing *in;     /* n-grams that come one by one */
    pm_ngram before;
    size_t before_shard; /* records of the shard that it belongs to, when that was turned to */
    uint64_t positions;
};

typedef struct group {
    uint64_t count;
    size_t begins[2]; /* how many records of each kind there were when it was opened */
    bool needed;
} group;

typedef struct summing { /* n-grams in order, those of one shard at a time */
    pm_ngram_builder *b;
    pm_ngram_record_list *kinds[2]; /* where records go */
    group groups[PM_NGRAM_MAX_ORDER + 1];
    uint64_t word; /* the current n-gram's bytes */
    unsigned depth;
    uint64_t first[256]; /* counts by first byte */
    uint8_t direct[DIRECT];
} summing;

static pm_status code_of(summing *s, uint64_t count, uint32_t *code, pm_error *err) {
    pm_ngram_builder *b = s->b;
    if (count < DIRECT) {
        *code = (uint32_t)count;
        s->direct[count] = 1;
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

static pm_status add_record(pm_ngram_record_list *r, uint64_t key, pm_error *err) {
    PM_TRY(pm_grow((void **)&r->items, &r->cap, r->n + 1, sizeof *r->items, err));
    r->items[r->n++] = (pm_ngram_record){.key = key};
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
        PM_TRY(add_record(s->kinds[0], pm_ngram_whole_key(order, s->word), err));
    } else if (g->needed) {
        PM_TRY(add_record(s->kinds[1], pm_ngram_part_key(order, s->word, depth), err));
    }
    if (s->kinds[0]->n == g->begins[0] && s->kinds[1]->n == g->begins[1]) {
        return PM_OK;
    }
    PM_TRY(code_of(s, g->count, &code, err));
    for (int kind = 0; kind < 2; kind++) {
        pm_ngram_record_list *r = s->kinds[kind];
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
        s->groups[++s->depth] = (group){.begins = {s->kinds[0]->n, s->kinds[1]->n}};
    }
    s->groups[len].count += count;
    s->groups[len].needed |= len < s->b->model->order;
    return PM_OK;
}

/* ---------------------------------------------------------------- from a counter ---- */

typedef struct adder { /* one thread's */
    pm_ngram_sorter sorter;
    summing sum;
    pm_ngram_record_list kinds[2];
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

/* Whether so many more bytes of records may lie in memory; they count if so. */
static bool keep_in_memory(pm_ngram_builder *b, uint64_t bytes) {
    uint64_t used = atomic_fetch_add(&b->in_memory, bytes) + bytes;
    if (b->work.memory == UINT64_MAX || used <= b->work.memory / 3) {
        return true;
    }
    atomic_fetch_sub(&b->in_memory, bytes);
    return false;
}

/* Puts a shard's records where they belong. */
static pm_status keep_records(pm_ngram_builder *b, pm_ngram_shard_records *to, pm_ngram_record_list *from,
                              pm_error *err) {
    if (!keep_in_memory(b, from->n * sizeof *from->items)) {
        return pm_ngram_records_write(b->records, to, from, err);
    }
    if (from->n) {
        to->memory.items = pm_alloc(from->n, sizeof *from->items);
        if (!to->memory.items) {
            return pm_fail_memory(err);
        }
        memcpy(to->memory.items, from->items, from->n * sizeof *from->items);
        to->memory.n = to->memory.cap = from->n;
    }
    return PM_OK;
}

static pm_status task_sum(void *ctx, unsigned thread, size_t i, pm_error *err) {
    adding *a = ctx;
    adder *own = &a->adders[thread];
    pm_ngram_shard_counts *shard = &a->counts->shards[i];

    own->sum.b = a->b;
    own->sum.depth = 1;
    for (int kind = 0; kind < 2; kind++) {
        own->sum.kinds[kind] = &own->kinds[kind];
        own->kinds[kind].n = 0;
    }
    PM_TRY(pm_ngram_shard_sort(shard, a->bits, &own->sorter, err));
    PM_TRY(sum_shard(a, &own->sum, shard, err));
    pm_ngram_shard_release(shard);
    for (int kind = 0; kind < 2; kind++) {
        PM_TRY(keep_records(a->b, &a->b->records->shards[i][kind], &own->kinds[kind], err));
    }
    return PM_OK;
}

/* What one summing found beside records. */
static void gather(pm_ngram_builder *b, const summing *s) {
    for (int byte = 0; byte < 256; byte++) {
        b->singles[byte] += s->first[byte];
    }
    for (size_t count = 0; count < DIRECT; count++) {
        b->direct[count] |= s->direct[count];
    }
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
        gather(b, &a.adders[t].sum);
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
    pm_status status =
        b->model && b->in ? pm_ngram_records_new(&b->records, work->memory, work->tmpdir, err) : pm_fail_memory(err);
    if (status != PM_OK) {
        pm_ngram_builder_free(b);
        *out = NULL;
        return status;
    }
    b->model->order = order;
    b->in->b = b;
    b->in->depth = 1;
    return PM_OK;
}

void pm_ngram_builder_free(pm_ngram_builder *b) {
    if (b) {
        pm_ngram_records_free(b->records);
        pm_ngram_model_free(b->model);
        pm_free(b->in);
        pm_free(b->big);
        pthread_mutex_destroy(&b->lock);
        pm_free(b);
    }
}

/* Moves all records to the file. */
static pm_status write_all(pm_ngram_builder *b, pm_error *err) {
    for (size_t i = 0; i < SHARDS; i++) {
        for (int kind = 0; kind < 2; kind++) {
            pm_ngram_shard_records *s = &b->records->shards[i][kind];
            PM_TRY(pm_ngram_records_write(b->records, s, &s->memory, err));
            pm_free(s->memory.items);
            s->memory = (pm_ngram_record_list){0};
        }
    }
    atomic_store(&b->in_memory, 0);
    return PM_OK;
}

/* The n-grams that come now begin with other two bytes: of another shard. */
static pm_status turn_to(pm_ngram_builder *b, unsigned shard, pm_error *err) {
    summing *s = b->in;
    pm_ngram_shard_records *to = b->records->shards[shard];

    PM_TRY(close_all(s, err));
    if (s->kinds[0]) {
        uint64_t bytes = (s->kinds[0]->n + s->kinds[1]->n - b->before_shard) * sizeof(pm_ngram_record);
        if (!keep_in_memory(b, bytes + bytes / 2)) { /* lists have room to grow */
            PM_TRY(write_all(b, err));
        }
    }
    s->kinds[0] = &to[0].memory;
    s->kinds[1] = &to[1].memory;
    b->before_shard = s->kinds[0]->n + s->kinds[1]->n;
    return PM_OK;
}

pm_status pm_ngram_builder_add(pm_ngram_builder *b, const pm_ngram *g, pm_error *err) {
    const pm_ngram *before = &b->before;
    summing *s = b->in;

    if (g->len < 1 || g->len > b->model->order) {
        return pm_fail(err, PM_BAD_FORMAT, "an n-gram of %u bytes, where 1 to %u are possible", g->len,
                       b->model->order);
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
        PM_TRY(turn_to(b, pm_ngram_shard_of(g->word), err));
    }
    return sum_up(s, g->word, g->len, g->count, err);
}

/* ---------------------------------------------------------------- the model ---- */

/* Numbers the codes that occur, in rising order, and makes the table of logarithms. */
static pm_status rank_codes(pm_ngram_builder *b, pm_error *err) {
    const size_t n_codes = DIRECT + b->n_big;
    uint32_t *ranks = b->records->ranks = pm_calloc(n_codes, sizeof *ranks), n = 1;

    if (!ranks) {
        return pm_fail_memory(err);
    }
    for (size_t c = 1; c < n_codes; c++) {
        ranks[c] = c >= DIRECT || b->direct[c] ? n++ : 0;
    }
    b->model->logs = pm_alloc(n, sizeof *b->model->logs);
    if (!b->model->logs) {
        return pm_fail_memory(err);
    }
    b->model->logs[0] = -INFINITY;
    for (size_t c = 1; c < n_codes; c++) {
        if (ranks[c]) {
            b->model->logs[ranks[c]] = pm_log_u64(c < DIRECT ? c : b->big[c - DIRECT]);
        }
    }
    b->model->wide = b->wide || b->model->order > 6 || n > UINT16_MAX || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__;
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
    gather(b, b->in);
    first_order(b->model, b->singles);
    PM_TRY(rank_codes(b, err));
    PM_TRY(pm_ngram_tables_make(b->model, &b->records, &b->work, err));
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
