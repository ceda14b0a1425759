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
 * A segmentation of a piece is lattice.c's, with log-probabilities ln(count) - ln(sum of all counts). One trie over
 * everything kept in step 2 serves all rounds: what vanished later has log-probability minus infinity. Threads add to
 * counters of their own; sums of integers do not depend on their order. */
#include "train/prune.h"

#include <math.h>

#include "base/log.h"
#include "encode/lattice.h"

enum { SPLITS = 2048 /* pieces a task */, WAITING = 64 };

typedef struct drop { /* a piece to be split */
    pm_bytes piece;
    uint64_t count;
    uint32_t number; /* among the candidates */
} drop;

typedef struct splitter { /* one thread's */
    pm_lattice_scratch *scratch;
    uint64_t *counts;
    pm_bytes pieces[WAITING]; /* to be split together */
    uint64_t weights[WAITING];
    size_t n, now; /* now: the one whose parts come next */
} splitter;

typedef struct pruner {
    pm_pruned *out;
    const pm_piece_table *table;
    size_t max_length;
    uint64_t min_count;
    pm_lattice *lattice;
    uint64_t *counts; /* of the candidates now; 0: gone */
    double *logp;
    drop *drops; /* those to be split now */
    size_t n_drops;
    splitter *splitters;
    unsigned threads;
    pm_ticker *ticker;
} pruner;

/* ---------------------------------------------------------------- splitting ---- */

static pm_status add_weights(void *user, const uint32_t *pieces, size_t n, pm_error *err) {
    splitter *s = user;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        if (pieces[i] == PM_LATTICE_END) {
            s->now++;
        } else {
            s->counts[pieces[i]] += s->weights[s->now];
        }
    }
    return PM_OK;
}

/* Splits the pieces that are waiting. */
static pm_status split_waiting(const pruner *p, splitter *s, pm_error *err) {
    size_t n = s->n;

    s->n = s->now = 0;
    return pm_lattice_best(p->lattice, s->scratch, s->pieces, n, add_weights, s, err);
}

static pm_status split(const pruner *p, splitter *s, pm_bytes piece, uint64_t weight, pm_error *err) {
    s->pieces[s->n] = piece;
    s->weights[s->n++] = weight;
    return s->n < WAITING ? PM_OK : split_waiting(p, s, err);
}

static pm_status task_split(void *ctx, unsigned thread, size_t task, pm_error *err) {
    const pruner *p = ctx;
    size_t end = (task + 1) * SPLITS < p->n_drops ? (task + 1) * SPLITS : p->n_drops;
    for (size_t i = task * SPLITS; i < end; i++) {
        PM_TRY(split(p, &p->splitters[thread], p->drops[i].piece, p->drops[i].count, err));
    }
    return split_waiting(p, &p->splitters[thread], err);
}

static bool is_kept(const pruner *p, const pm_piece_slot *slot) {
    return pm_piece_len(slot) == 1 || (pm_piece_len(slot) <= p->max_length && pm_piece_count(slot) >= p->min_count);
}

/* Step 2 for one shard of the table. */
static pm_status task_split_shard(void *ctx, unsigned thread, size_t task, pm_error *err) {
    const pruner *p = ctx;
    const pm_piece_shard *sh = &p->table->shards[task];
    for (size_t i = 0; i < sh->cap; i++) {
        const pm_piece_slot *slot = &sh->slots[i];
        if (slot->count_and_len && !is_kept(p, slot)) {
            PM_TRY(split(p, &p->splitters[thread], (pm_bytes){sh->bytes.data + slot->at, pm_piece_len(slot)},
                         pm_piece_count(slot), err));
        }
    }
    return split_waiting(p, &p->splitters[thread], err);
}

/* Adds what the threads counted to p->counts. */
static void collect(pruner *p) {
    for (unsigned t = 0; t < p->threads; t++) {
        uint64_t *from = p->splitters[t].counts;
        for (size_t i = 0; i < p->out->n; i++) {
            p->counts[i] += from[i];
            from[i] = 0;
        }
    }
}

static void set_logs(pruner *p) {
    uint64_t sum = 0;
    for (size_t i = 0; i < p->out->n; i++) {
        sum += p->counts[i];
    }
    double log_sum = pm_log_u64(sum);
    for (size_t i = 0; i < p->out->n; i++) {
        p->logp[i] = p->counts[i] ? pm_log_u64(p->counts[i]) - log_sum : -INFINITY;
    }
    if (p->lattice) {
        pm_lattice_set(p->lattice, p->logp);
    }
}

static pm_status split_drops(pruner *p, pm_error *err) {
    return pm_parallel(p->threads, (p->n_drops + SPLITS - 1) / SPLITS, task_split, p, p->ticker, err);
}

/* ---------------------------------------------------------------- rounds ---- */

/* Lists all pieces that are left. */
static void list_left(pruner *p) {
    p->n_drops = 0;
    for (size_t i = 0; i < p->out->n; i++) {
        if (p->counts[i]) {
            p->drops[p->n_drops++] = (drop){p->out->pieces[i], p->counts[i], (uint32_t)i};
        }
    }
}

/* Step 3. */
static pm_status settle(pruner *p, pm_error *err) {
    size_t before;
    list_left(p);
    do {
        before = p->n_drops;
        set_logs(p);
        PM_TRY(split_drops(p, err));
        memset(p->counts, 0, p->out->n * sizeof *p->counts);
        collect(p);
        list_left(p);
    } while (p->n_drops != before);
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

/* Step 4 for one size; the list of what is left is fresh. */
static pm_status cut(pruner *p, size_t size, pm_error *err) {
    if (p->n_drops <= size) {
        return PM_OK;
    }
    qsort(p->drops, p->n_drops, sizeof *p->drops, by_use);
    for (size_t i = size; i < p->n_drops; i++) {
        p->counts[p->drops[i].number] = 0;
        p->drops[i - size] = p->drops[i];
    }
    p->n_drops -= size;
    set_logs(p);
    PM_TRY(split_drops(p, err));
    collect(p);
    return settle(p, err);
}

/* ---------------------------------------------------------------- candidates ---- */

static size_t count_candidates(const pruner *p) {
    size_t n = 256;
    for (size_t k = 0; k < PM_PIECE_SHARDS; k++) {
        const pm_piece_shard *sh = &p->table->shards[k];
        for (size_t i = 0; i < sh->cap; i++) {
            n += sh->slots[i].count_and_len && is_kept(p, &sh->slots[i]) && pm_piece_len(&sh->slots[i]) > 1;
        }
    }
    return n;
}

static void fill_candidates(pruner *p) {
    static const uint8_t bytes[256] = {
#define ROW(x)                                                                                                         \
    x, x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7, x + 8, x + 9, x + 10, x + 11, x + 12, x + 13, x + 14, x + 15
        ROW(0),   ROW(16),  ROW(32),  ROW(48),  ROW(64),  ROW(80),  ROW(96), ROW(112), ROW(128),
        ROW(144), ROW(160), ROW(176), ROW(192), ROW(208), ROW(224), ROW(240)
#undef ROW
    };
    size_t n = 256;
    for (size_t b = 0; b < 256; b++) {
        p->out->pieces[b] = (pm_bytes){&bytes[b], 1};
        p->counts[b] = 1;
    }
    for (size_t k = 0; k < PM_PIECE_SHARDS; k++) {
        const pm_piece_shard *sh = &p->table->shards[k];
        for (size_t i = 0; i < sh->cap; i++) {
            const pm_piece_slot *slot = &sh->slots[i];
            if (!slot->count_and_len || !is_kept(p, slot)) {
                continue;
            }
            const uint8_t *data = sh->bytes.data + slot->at;
            if (pm_piece_len(slot) == 1) {
                p->counts[data[0]] = pm_piece_count(slot);
            } else {
                p->out->pieces[n] = (pm_bytes){data, pm_piece_len(slot)};
                p->counts[n++] = pm_piece_count(slot);
            }
        }
    }
}

static pm_status gather(pruner *p, pm_error *err) {
    size_t n = count_candidates(p);

    if (n >= UINT32_MAX) {
        return pm_fail(err, PM_LIMIT, "more than 2^32 - 1 pieces are left after min_count");
    }
    p->out->n = n;
    p->out->pieces = pm_alloc(n, sizeof *p->out->pieces);
    p->counts = pm_alloc(n, sizeof *p->counts);
    p->logp = pm_alloc(n, sizeof *p->logp);
    p->drops = pm_alloc(n, sizeof *p->drops);
    p->splitters = pm_calloc(p->threads, sizeof *p->splitters);
    if (!p->out->pieces || !p->counts || !p->logp || !p->drops || !p->splitters) {
        return pm_fail_memory(err);
    }
    for (unsigned t = 0; t < p->threads; t++) {
        PM_TRY(pm_lattice_scratch_new(&p->splitters[t].scratch, err));
        p->splitters[t].counts = pm_calloc(n, sizeof *p->splitters[t].counts);
        if (!p->splitters[t].counts) {
            return pm_fail_memory(err);
        }
    }
    fill_candidates(p);
    set_logs(p);
    return pm_lattice_new(&p->lattice, p->out->pieces, NULL, p->logp, n, err);
}

static pm_status save_counts(pruner *p, size_t size, pm_error *err) {
    uint64_t *copy = p->out->counts[size] = pm_alloc(p->out->n, sizeof *copy);
    if (!copy) {
        return pm_fail_memory(err);
    }
    memcpy(copy, p->counts, p->out->n * sizeof *copy);
    return PM_OK;
}

static pm_status prune(pruner *p, const size_t *sizes, size_t n_sizes, pm_error *err) {
    p->out->counts = pm_calloc(n_sizes, sizeof *p->out->counts);
    if (!p->out->counts) {
        return pm_fail_memory(err);
    }
    p->out->n_sizes = n_sizes;
    PM_TRY(gather(p, err));
    PM_TRY(pm_parallel(p->threads, PM_PIECE_SHARDS, task_split_shard, p, p->ticker, err));
    collect(p);
    PM_TRY(settle(p, err));
    for (size_t i = 0; i < n_sizes; i++) {
        PM_TRY(cut(p, sizes[i], err));
        PM_TRY(save_counts(p, i, err));
    }
    return PM_OK;
}

pm_status pm_prune(pm_pruned *out, const pm_piece_table *table, const size_t *sizes, size_t n_sizes, size_t max_length,
                   uint64_t min_count, unsigned threads, pm_ticker *ticker, pm_error *err) {
    pruner p = {.out = out,
                .table = table,
                .max_length = max_length,
                .min_count = min_count,
                .threads = threads ? threads : 1,
                .ticker = ticker};

    *out = (pm_pruned){0};
    pm_status status = prune(&p, sizes, n_sizes, err);
    for (unsigned t = 0; p.splitters && t < p.threads; t++) {
        pm_lattice_scratch_free(p.splitters[t].scratch);
        pm_free(p.splitters[t].counts);
    }
    pm_free(p.splitters);
    pm_free(p.counts);
    pm_free(p.logp);
    pm_free(p.drops);
    pm_lattice_free(p.lattice);
    if (status != PM_OK) {
        pm_pruned_release(out);
    }
    return status;
}

void pm_pruned_release(pm_pruned *pruned) {
    for (size_t i = 0; pruned->counts && i < pruned->n_sizes; i++) {
        pm_free(pruned->counts[i]);
    }
    pm_free(pruned->counts);
    pm_free(pruned->pieces);
    *pruned = (pm_pruned){0};
}
