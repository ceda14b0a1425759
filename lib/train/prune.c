/* prune.c - BytePiece's pruning: pieces that are dropped are split into those that stay, whose counts grow by that.
 *
 * The rounds, in this order, which the result depends on (bytepiece's Trainer.prune_pieces):
 *   1. Every single byte that is no piece becomes one with count 1.
 *   2. Kept are single bytes, and pieces of at most max_length bytes seen min_count times. The others are dropped: each
 *     is split by the best segmentation under the kept ones with their counts as they are BEFORE anything is added;
 *     then all is added.
 *   3. Every kept piece is split under the kept ones, and the counts become what comes out: a piece that is less likely
 *     than a sequence of others vanishes. This is repeated until the NUMBER of pieces stays the same; the counts are
 *     those of the last repetition.
 *   4. For each size from the largest down, beginning with the result of the size before: if there are more pieces,
 *     they are sorted by (longer than one byte, count descending, length descending, bytes), cut to the size, the rest
 *     dropped as in 2, and 3 is repeated.
 *
 * Required pieces, which bytepiece does not know, are treated as single bytes are: kept in 2 (with count 1 if they were never seen), never split in 3, before all
 * others in 4. Excluded ones are dropped in 2.
 *
 * A segmentation of a piece is the lattice's (parts.c), with log-probabilities ln(count) - ln(sum of all counts). One trie over
 * everything kept in step 2 serves all rounds: what vanished later has log-probability minus infinity. Threads add to
 * counters of their own; sums of integers do not depend on their order. */
#include "train/prune.h"

#include <math.h>

#include "base/bytes.h"
#include "base/log.h"
#include "train/parts.h"

enum {
    SPLITS = 2048, /* pieces a task */
    MAX_TEXT_LOG = 62,
    FEW = 4096,    /* most counts are below */
    FINE = 16,     /* classes of counts a power of two */
    CLASSES = 64 * FINE
};

typedef struct drop { /* a piece to be split */
    pm_bytes piece;
    uint64_t count;
    uint32_t number; /* among the candidates */
} drop;

typedef struct candidate {
    pm_bytes piece; /* of the arena */
    uint64_t count;
} candidate;

typedef struct picker { /* what a thread found to keep */
    pm_arena arena;
    candidate *list;
    size_t n, cap;
} picker;

struct pm_pruner {
    pm_prune_options o;
    pm_ticker *ticker;
    pm_bytes *required, *excluded; /* sorted */
    uint64_t text;       /* bytes of what was added, as often as it was counted */
    pm_store_sink drops; /* pieces that were added one by one, */
    pm_store *store;     /* and those of a store, that are to be split */
    picker *pickers;
    pm_pruned *out;
    bool *fixed;         /* of the candidates: is required */
    pm_parts *parts;
    uint64_t *counts;    /* of the candidates now; 0: gone */
    double *logp;
    double few[FEW]; /* logarithms of 1, 2 ... */
    drop *left; /* those to be split now */
    size_t n_left;
    pm_parts_splitter **splitters; /* one a thread */
};

/* ---------------------------------------------------------------- which are kept ---- */

static int by_bytes(const void *left, const void *right) { return pm_bytes_compare(*(const pm_bytes *)left, *(const pm_bytes *)right); }

static bool is_in(const pm_bytes *list, size_t n, pm_bytes piece) { return n && bsearch(&piece, list, n, sizeof *list, by_bytes); }

static bool is_kept(const pm_pruner *p, pm_bytes piece, uint64_t count) {
    if (piece.len == 1 || is_in(p->required, p->o.n_required, piece)) {
        return true;
    }
    return count >= p->o.min_count && piece.len <= p->o.max_length && !is_in(p->excluded, p->o.n_excluded, piece);
}

static pm_status keep(picker *k, pm_bytes piece, uint64_t count, pm_error *err) {
    PM_TRY(pm_grow((void **)&k->list, &k->cap, k->n + 1, sizeof *k->list, err));
    uint8_t *copy = pm_arena_copy(&k->arena, piece.data, piece.len);
    if (!copy) {
        return pm_fail_memory(err);
    }
    k->list[k->n++] = (candidate){{copy, piece.len}, count};
    return PM_OK;
}

pm_status pm_pruner_add(pm_pruner *p, pm_bytes piece, uint64_t count, pm_error *err) {
    uint64_t text;
    if (__builtin_mul_overflow(count, piece.len, &text) || __builtin_add_overflow(p->text, text, &p->text) || p->text >> MAX_TEXT_LOG) {
        return pm_fail(err, PM_LIMIT, "the pieces counted are more than 2^%d bytes of text", MAX_TEXT_LOG);
    }
    return is_kept(p, piece, count) ? keep(p->pickers, piece, count, err)
                                    : p->drops.sink.take(&p->drops.sink, piece.data, piece.len, count, 0, err);
}

static pm_bytes piece_of(const pm_record *r) { return (pm_bytes){pm_record_cells(r), r->n}; }

/* Copies what is kept of a chunk of the store. */
static pm_status task_pick(void *ctx, unsigned thread, size_t task, pm_error *err) {
    const pm_pruner *p = ctx;
    pm_chunk *buffer = NULL;
    const pm_chunk *chunk;
    pm_status status = pm_store_get(p->store, task, &buffer, &chunk, err);
    for (size_t at = sizeof *chunk; status == PM_OK && at < chunk->used;) {
        const pm_record *r = pm_record_at(chunk, at);
        at += pm_record_bytes(r->n, 1);
        if (r->weight && is_kept(p, piece_of(r), r->weight)) {
            status = keep(&p->pickers[thread], piece_of(r), r->weight, err);
        }
    }
    pm_chunk_free(buffer);
    return status;
}

/* ---------------------------------------------------------------- splitting ---- */

static pm_status task_split(void *ctx, unsigned thread, size_t task, pm_error *err) {
    const pm_pruner *p = ctx;
    pm_parts_splitter *s = p->splitters[thread];
    size_t end = (task + 1) * SPLITS < p->n_left ? (task + 1) * SPLITS : p->n_left;
    for (size_t i = task * SPLITS; i < end; i++) {
        const drop *d = &p->left[i];
        if (p->fixed[d->number]) {
            pm_parts_counts(s)[d->number] += d->count;
        } else {
            PM_TRY(pm_parts_split(s, d->piece, d->count, err));
        }
    }
    return PM_OK;
}

/* Step 2 for a chunk of the stores. */
static pm_status split_chunk(const pm_pruner *p, pm_parts_splitter *s, const pm_chunk *chunk, pm_error *err) {
    for (size_t at = sizeof *chunk; at < chunk->used;) {
        const pm_record *r = pm_record_at(chunk, at);
        at += pm_record_bytes(r->n, 1);
        if (r->weight && !is_kept(p, piece_of(r), r->weight)) {
            PM_TRY(pm_parts_split(s, piece_of(r), r->weight, err));
        }
    }
    return PM_OK;
}

static pm_status task_split_chunk(void *ctx, unsigned thread, size_t task, pm_error *err) {
    const pm_pruner *p = ctx;
    size_t n = p->store ? pm_store_size(p->store) : 0;
    pm_chunk *spare = NULL, *chunk;
    PM_TRY(task < n ? pm_store_take(p->store, task, &spare, &chunk, err) : pm_store_take(p->drops.store, task - n, &spare, &chunk, err));
    pm_status status = split_chunk(p, p->splitters[thread], chunk, err);
    pm_chunk_free(chunk);
    return status;
}

/* Adds what the threads counted to p->counts. */
static void collect(pm_pruner *p) {
    for (unsigned t = 0; t < p->o.threads; t++) {
        uint64_t *from = pm_parts_counts(p->splitters[t]);
        pm_parts_finish(p->splitters[t]);
        for (size_t i = 0; i < p->out->n; i++) {
            p->counts[i] += from[i];
            from[i] = 0;
        }
    }
}

static double log_of(const pm_pruner *p, uint64_t count) { return count <= FEW ? p->few[count - 1] : pm_log_u64(count); }

static void set_logs(pm_pruner *p) {
    uint64_t sum = 0;
    for (size_t i = 0; i < p->out->n; i++) {
        sum += p->counts[i];
    }
    double log_sum = pm_log_u64(sum);
    for (size_t i = 0; i < p->out->n; i++) {
        p->logp[i] = p->counts[i] ? log_of(p, p->counts[i]) - log_sum : -INFINITY;
    }
    pm_parts_set(p->parts, p->logp);
}

static pm_status split_dropped(pm_pruner *p, pm_error *err) {
    size_t n = pm_store_size(p->drops.store) + (p->store ? pm_store_size(p->store) : 0);
    PM_TRY(pm_parallel(p->o.threads, n, task_split_chunk, p, p->ticker, err));
    collect(p);
    return PM_OK;
}

static pm_status split_left(pm_pruner *p, pm_error *err) {
    return pm_parallel(p->o.threads, (p->n_left + SPLITS - 1) / SPLITS, task_split, p, p->ticker, err);
}

/* ---------------------------------------------------------------- rounds ---- */

/* Lists all pieces that are left. */
static void list_left(pm_pruner *p) {
    p->n_left = 0;
    for (size_t i = 0; i < p->out->n; i++) {
        if (p->counts[i]) {
            p->left[p->n_left++] = (drop){p->out->pieces[i], p->counts[i], (uint32_t)i};
        }
    }
}

/* Step 3. */
static pm_status settle(pm_pruner *p, pm_error *err) {
    size_t before;
    list_left(p);
    do {
        before = p->n_left;
        set_logs(p);
        PM_TRY(split_left(p, err));
        memset(p->counts, 0, p->out->n * sizeof *p->counts);
        collect(p);
        list_left(p);
    } while (p->n_left != before);
    return PM_OK;
}

static int by_use(const void *left, const void *right) {
    const drop *a = left, *b = right;
    if ((a->piece.len > 1) != (b->piece.len > 1)) {
        return a->piece.len > 1 ? 1 : -1;
    }
    if (a->count != b->count) {
        return a->count > b->count ? -1 : 1;
    }
    if (a->piece.len != b->piece.len) {
        return a->piece.len > b->piece.len ? -1 : 1;
    }
    return memcmp(a->piece.data, b->piece.data, a->piece.len);
}

/* Counts in classes: in a higher one all are higher. */
static unsigned class_of(uint64_t count) {
    unsigned log = count < FINE ? 0 : 63u - (unsigned)__builtin_clzll(count) - 3;
    return FINE * log + (unsigned)(log ? count >> (log - 1) & (FINE - 1) : count);
}

/* Moves those of left[from .. n_left) to the front that `is` says; returns where the others begin. */
static size_t bring_forward(pm_pruner *p, size_t from, unsigned class, bool (*is)(const pm_pruner *p, const drop *d, unsigned class)) {
    for (size_t i = from; i < p->n_left; i++) {
        drop d = p->left[i];
        if (is(p, &d, class)) {
            p->left[i] = p->left[from];
            p->left[from++] = d;
        }
    }
    return from;
}

static bool is_fixed(const pm_pruner *p, const drop *d, unsigned class) {
    (void)class;
    return d->piece.len == 1 || p->fixed[d->number];
}
static bool is_above(const pm_pruner *p, const drop *d, unsigned class) {
    (void)p;
    return class_of(d->count) > class;
}
static bool is_of_class(const pm_pruner *p, const drop *d, unsigned class) {
    (void)p;
    return class_of(d->count) == class;
}

/* Brings the `size` pieces that are used most to the front, single bytes and required ones before all others: only those whose counts are of the class in
 * which the last of them falls are sorted. */
static void most_used_first(pm_pruner *p, size_t size) {
    size_t classes[CLASSES] = {0}, n = bring_forward(p, 0, 0, is_fixed), above = n;
    unsigned class = CLASSES - 1;
    for (size_t i = n; i < p->n_left; i++) {
        classes[class_of(p->left[i].count)]++;
    }
    for (; class && above + classes[class] < size; class--) {
        above += classes[class];
    }
    n = bring_forward(p, n, class, is_above);
    qsort(p->left + n, bring_forward(p, n, class, is_of_class) - n, sizeof *p->left, by_use);
}

/* Step 4 for one size; the list of what is left is fresh. */
static pm_status cut(pm_pruner *p, size_t size, pm_error *err) {
    if (p->n_left <= size) {
        return PM_OK;
    }
    most_used_first(p, size);
    for (size_t i = size; i < p->n_left; i++) {
        p->counts[p->left[i].number] = 0;
        p->left[i - size] = p->left[i];
    }
    p->n_left -= size;
    set_logs(p);
    PM_TRY(split_left(p, err));
    collect(p);
    return settle(p, err);
}

/* ---------------------------------------------------------------- candidates ---- */

static const uint8_t single_bytes[256] = {
#define ROW(x)                                                                                                         \
    x, x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7, x + 8, x + 9, x + 10, x + 11, x + 12, x + 13, x + 14, x + 15
    ROW(0),   ROW(16),  ROW(32),  ROW(48),  ROW(64),  ROW(80),  ROW(96), ROW(112), ROW(128),
    ROW(144), ROW(160), ROW(176), ROW(192), ROW(208), ROW(224), ROW(240)
#undef ROW
};

/* The candidates that the pickers found, the single bytes first; required[i] becomes true when the i-th was found. */
static size_t join_picked(pm_pruner *p, bool *required) {
    size_t n = 256;
    for (size_t b = 0; b < 256; b++) {
        p->out->pieces[b] = (pm_bytes){&single_bytes[b], 1};
        p->counts[b] = 1;
    }
    for (unsigned t = 0; t < p->o.threads; t++) {
        for (size_t i = 0; i < p->pickers[t].n; i++) {
            candidate c = p->pickers[t].list[i];
            const pm_bytes *found = p->o.n_required ? bsearch(&c.piece, p->required, p->o.n_required, sizeof *p->required, by_bytes) : NULL;
            size_t at = c.piece.len == 1 ? c.piece.data[0] : n++;
            p->out->pieces[at] = c.piece;
            p->counts[at] = c.count;
            if (found) {
                p->fixed[at] = required[found - p->required] = true;
            }
        }
        pm_free(p->pickers[t].list);
        p->pickers[t].list = NULL;
    }
    return n;
}

static pm_status fill_candidates(pm_pruner *p, pm_error *err) {
    bool *found = pm_calloc(p->o.n_required, sizeof *found);
    if (!found) {
        return pm_fail_memory(err);
    }
    size_t n = join_picked(p, found);
    for (size_t i = 0; i < p->o.n_required; i++) {
        if (!found[i] && p->required[i].len > 1) {
            p->out->pieces[n] = p->required[i];
            p->fixed[n] = true;
            p->counts[n++] = 1;
        }
    }
    p->out->n = n;
    pm_free(found);
    return PM_OK;
}

/* Makes the arrays for n candidates. */
static pm_status make_arrays(pm_pruner *p, size_t n, pm_error *err) {
    p->out->pieces = pm_alloc(n, sizeof *p->out->pieces);
    p->counts = pm_alloc(n, sizeof *p->counts);
    p->fixed = pm_calloc(n, sizeof *p->fixed);
    p->logp = pm_alloc(n, sizeof *p->logp);
    p->left = pm_alloc(n, sizeof *p->left);
    p->splitters = pm_calloc(p->o.threads, sizeof *p->splitters);
    if (!p->out->pieces || !p->counts || !p->fixed || !p->logp || !p->left || !p->splitters) {
        return pm_fail_memory(err);
    }
    return PM_OK;
}

static pm_status gather(pm_pruner *p, pm_error *err) {
    size_t n = 256 + p->o.n_required;
    for (unsigned t = 0; t < p->o.threads; t++) {
        n += p->pickers[t].n;
    }
    if (n >= UINT32_MAX) {
        return pm_fail(err, PM_LIMIT, "more than 2^32 - 1 pieces are left after min_count");
    }
    PM_TRY(make_arrays(p, n, err));
    PM_TRY(fill_candidates(p, err));
    PM_TRY(pm_parts_new(&p->parts, p->out->pieces, p->out->n, p->ticker, err));
    for (unsigned t = 0; t < p->o.threads; t++) {
        PM_TRY(pm_parts_splitter_new(&p->splitters[t], p->parts, err));
    }
    set_logs(p);
    return PM_OK;
}

/* ---------------------------------------------------------------- the calls ---- */

static pm_status sorted_copy(pm_bytes **out, const pm_bytes *list, size_t n, pm_error *err) {
    *out = pm_alloc(n, sizeof **out);
    if (!*out) {
        return pm_fail_memory(err);
    }
    if (n) {
        memcpy(*out, list, n * sizeof **out);
        qsort(*out, n, sizeof **out, by_bytes);
    }
    return PM_OK;
}

static pm_status init(pm_pruner *p, pm_error *err) {
    p->pickers = pm_calloc(p->o.threads, sizeof *p->pickers);
    if (!p->pickers) {
        return pm_fail_memory(err);
    }
    PM_TRY(sorted_copy(&p->required, p->o.required, p->o.n_required, err));
    PM_TRY(sorted_copy(&p->excluded, p->o.excluded, p->o.n_excluded, err));
    return pm_store_sink_open(&p->drops, 0, p->o.memory, p->o.tmpdir, err);
}

pm_status pm_pruner_new(pm_pruner **out, const pm_prune_options *options, pm_ticker *ticker, pm_error *err) {
    pm_pruner *p = *out = pm_calloc(1, sizeof *p);
    if (!p) {
        return pm_fail_memory(err);
    }
    p->o = *options;
    p->o.threads = options->threads ? options->threads : 1;
    p->ticker = ticker;
    for (unsigned i = 0; i < FEW; i++) {
        p->few[i] = pm_log_u64(i + 1);
    }
    pm_status status = init(p, err);
    if (status != PM_OK) {
        pm_pruner_free(p);
        *out = NULL;
    }
    return status;
}

void pm_pruner_free(pm_pruner *p) {
    if (!p) {
        return;
    }
    for (unsigned t = 0; p->pickers && t < p->o.threads; t++) {
        pm_arena_release(&p->pickers[t].arena);
        pm_free(p->pickers[t].list);
    }
    for (unsigned t = 0; p->splitters && t < p->o.threads; t++) {
        pm_parts_splitter_free(p->splitters[t]);
    }
    pm_chunk_free(p->drops.chunk);
    pm_store_free(p->drops.store);
    void *all[] = {p->pickers, p->splitters, p->required, p->excluded, p->fixed, p->counts, p->logp, p->left, p};
    pm_parts_free(p->parts);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        pm_free(all[i]);
    }
}

pm_status pm_pruner_add_store(pm_pruner *p, pm_store *store, pm_error *err) {
    p->store = store;
    return pm_parallel_part(p->o.threads, pm_store_size(store), task_pick, p, p->ticker, err);
}

static pm_status save_counts(pm_pruner *p, size_t size, pm_error *err) {
    uint64_t *copy = p->out->counts[size] = pm_alloc(p->out->n, sizeof *copy);
    if (!copy) {
        return pm_fail_memory(err);
    }
    memcpy(copy, p->counts, p->out->n * sizeof *copy);
    return PM_OK;
}

static pm_status prune(pm_pruner *p, const size_t *sizes, size_t n_sizes, pm_error *err) {
    p->out->counts = pm_calloc(n_sizes, sizeof *p->out->counts);
    if (!p->out->counts) {
        return pm_fail_memory(err);
    }
    p->out->n_sizes = n_sizes;
    PM_TRY(pm_store_sink_close(&p->drops, PM_OK, &p->drops.store, err));
    PM_TRY(gather(p, err));
    PM_TRY(split_dropped(p, err));
    PM_TRY(settle(p, err));
    for (size_t i = 0; i < n_sizes; i++) {
        PM_TRY(cut(p, sizes[i], err));
        PM_TRY(save_counts(p, i, err));
    }
    return PM_OK;
}

/* The pieces' bytes become those of the result. */
static pm_status give_arenas(pm_pruner *p, pm_error *err) {
    p->out->arenas = pm_alloc(p->o.threads, sizeof *p->out->arenas);
    if (!p->out->arenas) {
        return pm_fail_memory(err);
    }
    p->out->n_arenas = p->o.threads;
    for (unsigned t = 0; t < p->o.threads; t++) {
        p->out->arenas[t] = p->pickers[t].arena;
        p->pickers[t].arena = (pm_arena){0};
    }
    return PM_OK;
}

pm_status pm_pruner_run(pm_pruner *p, pm_pruned *out, const size_t *sizes, size_t n_sizes, pm_error *err) {
    *out = (pm_pruned){0};
    p->out = out;
    pm_status status = prune(p, sizes, n_sizes, err);
    if (status == PM_OK) {
        status = give_arenas(p, err);
    }
    if (status != PM_OK) {
        pm_pruned_release(out);
    }
    return status;
}

void pm_pruned_release(pm_pruned *pruned) {
    for (size_t i = 0; pruned->counts && i < pruned->n_sizes; i++) {
        pm_free(pruned->counts[i]);
    }
    for (unsigned i = 0; i < pruned->n_arenas; i++) {
        pm_arena_release(&pruned->arenas[i]);
    }
    pm_free(pruned->counts);
    pm_free(pruned->pieces);
    pm_free(pruned->arenas);
    *pruned = (pm_pruned){0};
}
