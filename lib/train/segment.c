/* segment.c - the per-byte Viterbi of BytePiece.
 *
 * The state at a byte says how much of its piece is known: state j means that the (j + 1)-gram that ends here lies
 * within the piece; the last state absorbs longer ones. State 0 begins a piece. From state p a step leads to 0 (a new
 * piece) or to p + 1 (to itself from the last). The byte i in state j scores the log-probability of the (j + 1)-gram
 * that ends at i. So a piece of bytes b0 b1 b2 ... has the probability P(b0) P(b1|b0) P(b2|b0 b1) ... with contexts of
 * at most order - 1 bytes, and the text is cut where beginning anew is likelier than going on.
 *
 * Equality with bytepiece's Trainer._tokenize rests on:
 *   - scores are doubles, absolute sums from the start of the chunk, one addition a byte: previous score + value of
 *     this byte;
 *   - into state 0: all previous states, compared AFTER the addition (two different scores may round to the same sum);
 *     the first of equal ones wins;
 *   - into the last state: from the one before, unless the last itself gives strictly more;
 *   - at the end the first of the best states wins;
 *   - an n-gram that is not there is minus infinity, and so is one that would begin before the chunk; with
 *     ensure_unicode so is state 0 at bytes 80 .. BF;
 *   - where all previous scores are minus infinity, the way back leads to state 0. So when no state is possible at some
 *     byte (a character's own n-gram is too rare and it cannot be cut), none is to the end of the chunk, and the whole
 *     tail comes out as single bytes.
 *
 * On the way only two choices need be stored: where state 0 came from (3 bits) and whether the last state came from
 * itself (1 bit).
 *
 * Values come from the n-gram model by the START of the n-gram: one record has the values of all orders for n-grams
 * that begin at s; the one of order j is used at byte s + j - 1 in state j - 1. A ring of 8 rows holds those not yet
 * used. Records are looked up for a tile of positions at a time, in steps that are a tile or two apart, so that what
 * one step asks for (a prefetch) has come when the next takes it:
 *
 *     tile k + 3    the bucket of the longest n-gram is asked for
 *     tile k + 2    it is looked for there; where it is not goes on a list, without a branch, and shorter ones are asked for
 *     tile k        those on the list are looked for; then the steps of the Viterbi
 *
 * It is mispredicted branches that cost here, not memory: with tables half full instead of three quarters, where a
 * search in vain seldom goes to a second bucket, a third of the time was saved.
 *
 * A model in parts. No sorting by n-gram and back by position is needed: for each part the text is read in order, and
 * what the part has for a position (how long an n-gram, and its ranks) is written behind what it had for those before.
 * In a last reading each position takes the next record of the part that its first two bytes belong to:
 *
 *     text                 a b c d ...      parts of ab.. bc.. cd..: 1 0 1
 *     file of part 0       bc
 *     file of part 1       ab cd            so the last reading takes from 1, 0, 1
 *
 * The text is worked on in slices of chunks, so that what one slice has from all parts fits in memory. Traffic: the
 * text once for each part, and about 10 bytes a byte of text written and read. */
#include "train/segment.h"

#include <math.h>

#define FORCE_INLINE static inline __attribute__((always_inline))

enum { RING = 8, TILE = 32, STAGES = 4, SLICE_BYTES = 1 << 16, WHOLE = UINT16_MAX /* no part: all n-grams */ };

typedef struct tile { /* positions, and what is known of their n-grams */
    uint64_t words[TILE];
    const uint8_t *slots[TILE]; /* the bucket where to look first; later the record, or NULL */
    uint8_t lengths[TILE];      /* of the n-gram that is looked for, later of the one found; 0: behind the end */
    uint8_t missed[TILE + 1];   /* places whose n-gram is not in its first bucket */
    unsigned n, n_missed;
} tile;

typedef struct cursor { /* the next position */
    const uint8_t *text;
    const uint32_t *ends;
    size_t n_chunks, chunk, at;
} cursor;

typedef struct lookups {
    const pm_ngram_model *model;
    cursor cursor;
    tile tiles[STAGES]; /* tile k of the text is tiles[k % STAGES] */
    size_t n;           /* tiles begun */
} lookups;

typedef struct path {
    double ring[RING][RING]; /* [position % RING][state]: values */
    double scores[RING];
} path;

/* The bucket of the n-gram of this length (2 or more). */
FORCE_INLINE const uint8_t *bucket_of(const pm_ngram_model *m, uint64_t word, unsigned len, const unsigned order) {
    const pm_ngram_shard *sh = &m->shards[pm_ngram_shard_of(word)];
    return len == order ? pm_ngram_bucket(sh->whole, sh->n_whole, pm_ngram_whole_key(order, word))
                        : pm_ngram_bucket(sh->part, sh->n_part, pm_ngram_part_key(order, word, len));
}

FORCE_INLINE uint64_t key_of(uint64_t word, unsigned len, const unsigned order) {
    return len == order ? pm_ngram_whole_key(order, word) : pm_ngram_part_key(order, word, len);
}

/* The record of the n-gram in its first bucket, or NULL; without a branch. */
FORCE_INLINE const uint8_t *find_here(const uint8_t *bucket, uint64_t key, const bool wide) {
    const unsigned n = wide ? 2 : 4, slot_bytes = wide ? 32 : 16;
    unsigned equal = 1u << n;
#pragma GCC unroll 8
    for (unsigned i = 0; i < n; i++) {
        equal |= (unsigned)(pm_ngram_slot_key(bucket + slot_bytes * i, wide) == key) << i;
    }
    unsigned at = (unsigned)__builtin_ctz(equal);
    const uint8_t *slot = bucket + slot_bytes * (at & (n - 1));
    return ((at < n) & (pm_ngram_slot_rank(slot, wide, 2) != 0)) ? slot : NULL;
}

/* The record, or NULL, of one that is not in its first bucket. */
FORCE_INLINE const uint8_t *find_behind(const pm_ngram_model *m, const uint8_t *bucket, uint64_t word, unsigned len,
                                        const unsigned order, const bool wide) {
    if (__builtin_expect(!pm_ngram_slot_rank(bucket + (wide ? 32 : 48), wide, 2), 1)) {
        return NULL; /* it is not full */
    }
    const pm_ngram_shard *sh = &m->shards[pm_ngram_shard_of(word)];
    return len == order ? pm_ngram_find(sh->whole, sh->n_whole, bucket, key_of(word, len, order), wide)
                        : pm_ngram_find(sh->part, sh->n_part, bucket, key_of(word, len, order), wide);
}

/* Begins a tile: asks for what its positions need first. Of a model in parts only positions that belong to `part` are
 * looked at. */
FORCE_INLINE void enter(lookups *l, tile *t, const unsigned order, const unsigned part) {
    const pm_ngram_model *m = l->model;
    cursor *c = &l->cursor;
    unsigned n = 0;

    while (n < TILE && c->chunk < c->n_chunks) {
        const size_t left = c->ends[c->chunk] - c->at;
        if (left == 0) {
            c->chunk++;
            continue;
        }
        const unsigned len = left < order ? (unsigned)left : order;
        uint64_t word = pm_ngram_keep(pm_ngram_load(c->text + c->at++), len);
        if (part != WHOLE && (len < 2 || m->part_of[pm_ngram_shard_of(word)] != part)) {
            continue;
        }
        t->words[n] = word;
        t->lengths[n] = (uint8_t)len;
        t->slots[n] = len > 1 ? bucket_of(m, word, len, order) : NULL;
        __builtin_prefetch(t->slots[n]);
        n++;
    }
    t->n = n;
}

/* Looks for the n-grams that are as long as they may be, each in its first bucket. */
FORCE_INLINE void look_up(tile *t, const unsigned order, const bool wide) {
    unsigned n = 0;
    for (unsigned i = 0; i < t->n; i++) {
        const unsigned len = t->lengths[i];
        if (len > 1) {
            const uint8_t *slot = find_here(t->slots[i], key_of(t->words[i], len, order), wide);
            t->missed[n] = (uint8_t)i;
            n += !slot;
            t->slots[i] = slot ? slot : t->slots[i];
        }
    }
    t->n_missed = n;
}

/* Asks for the next shorter n-gram of the missed places, or for the one after that. */
FORCE_INLINE void ask_shorter(const pm_ngram_model *m, const tile *t, const unsigned by, const unsigned order) {
    for (unsigned k = 0; k < t->n_missed; k++) {
        const unsigned i = t->missed[k], len = t->lengths[i];
        __builtin_prefetch(bucket_of(m, t->words[i], len > by + 1 ? len - by : 2, order));
    }
}

/* The missed places are looked up behind their first bucket. */
FORCE_INLINE void look_behind(const pm_ngram_model *m, tile *t, const unsigned order, const bool wide) {
    unsigned n = 0;
    for (unsigned k = 0; k < t->n_missed; k++) {
        const unsigned i = t->missed[k];
        const uint8_t *slot = find_behind(m, t->slots[i], t->words[i], t->lengths[i], order, wide);
        t->slots[i] = slot;
        t->missed[n] = (uint8_t)i;
        n += !slot;
    }
    t->n_missed = n;
}

/* Looks for shorter ones: for all missed places, then for those where that was in vain, and so on. */
FORCE_INLINE void look_shorter(const pm_ngram_model *m, tile *t, const unsigned order, const bool wide) {
    while (t->n_missed) {
        unsigned n = 0;
        for (unsigned k = 0; k < t->n_missed; k++) {
            const unsigned i = t->missed[k], len = --t->lengths[i];
            const uint64_t word = t->words[i];
            if (len < 2) {
                continue;
            }
            const uint8_t *bucket = bucket_of(m, word, len, order),
                          *slot = find_here(bucket, key_of(word, len, order), wide);
            slot = slot ? slot : find_behind(m, bucket, word, len, order, wide);
            t->slots[i] = slot;
            t->missed[n] = (uint8_t)i;
            n += !slot;
        }
        t->n_missed = n;
        ask_shorter(m, t, 2, order);
    }
}

/* The next tile, with all that is to be known; n is 0 at the end. Each step was asked for a tile or two before it is
 * taken. */
FORCE_INLINE const tile *next_tile(lookups *l, const unsigned order, const bool wide, const unsigned part) {
    tile *t = l->tiles;
    const size_t k = l->n++;
    enter(l, &t[(k + 3) % STAGES], order, part);
    look_up(&t[(k + 2) % STAGES], order, wide);
    look_behind(l->model, &t[(k + 2) % STAGES], order, wide);
    ask_shorter(l->model, &t[(k + 2) % STAGES], 1, order);
    ask_shorter(l->model, &t[(k + 2) % STAGES], 2, order);
    look_shorter(l->model, &t[k % STAGES], order, wide);
    return &t[k % STAGES];
}

/* Of the chunks from .. to of text. */
FORCE_INLINE void begin_lookups(lookups *l, const pm_ngram_model *m, const uint8_t *text, const uint32_t *ends,
                                size_t from, size_t to, const unsigned order, const bool wide, const unsigned part) {
    l->model = m;
    l->cursor = (cursor){text, ends, to, from, from ? ends[from - 1] : 0};
    l->n = 0;
    for (unsigned k = 0; k < STAGES; k++) {
        l->tiles[k].n = l->tiles[k].n_missed = 0;
    }
    for (unsigned k = 0; k < 3; k++) {
        enter(l, &l->tiles[k], order, part);
        if (k < 2) {
            look_up(&l->tiles[k], order, wide);
            look_behind(m, &l->tiles[k], order, wide);
        }
    }
}

/* Puts the values of the n-grams that begin at position s into the ring. */
FORCE_INLINE void put_values(path *p, size_t s, uint8_t byte, const uint8_t *slot, unsigned found,
                             const pm_ngram_model *m, const double *start, const unsigned order, const bool wide) {
    double before = m->log_first[byte];
    p->ring[s % RING][0] = start[byte];
    if (found == order) {
#pragma GCC unroll 8
        for (unsigned j = 2; j <= order; j++) {
            double log = m->logs[pm_ngram_slot_rank(slot, wide, j)];
            p->ring[(s + j - 1) % RING][j - 1] = log - before;
            before = log;
        }
        return;
    }
#pragma GCC unroll 8
    for (unsigned j = 2; j <= order; j++) {
        double value = -INFINITY;
        if (j <= found) {
            double log = m->logs[pm_ngram_slot_rank(slot, wide, j)];
            value = log - before;
            before = log;
        }
        p->ring[(s + j - 1) % RING][j - 1] = value;
    }
}

/* One byte on. Returns where state 0 came from, and 8 if the last state came from itself. State 0 is compared with the
 * best of the others, since its score is known last: so what must be waited for from byte to byte is one addition and
 * one comparison. */
FORCE_INLINE uint8_t step(double *scores, const double *values, const unsigned order) {
    double from_first = scores[0] + values[0], best = -INFINITY, next[RING];
    uint8_t route = 1;
    const unsigned last = order - 1;

#pragma GCC unroll 8
    for (unsigned p = 1; p < order; p++) {
        double sum = scores[p] + values[0];
        route = sum > best ? (uint8_t)p : route;
        best = sum > best ? sum : best;
    }
    route = from_first >= best ? 0 : route;
    best = from_first >= best ? from_first : best;
#pragma GCC unroll 8
    for (unsigned c = 1; c < last; c++) {
        next[c] = scores[c - 1] + values[c];
    }
    if (last > 0) {
        double from_before = scores[last - 1] + values[last], from_itself = scores[last] + values[last];
        bool itself = from_itself > from_before;
        next[last] = itself ? from_itself : from_before;
        route |= itself ? 8 : 0;
    }
    scores[0] = best;
#pragma GCC unroll 8
    for (unsigned c = 1; c < order; c++) {
        scores[c] = next[c];
    }
    return route;
}

static void begin_chunk(path *p) {
    for (unsigned i = 0; i < RING; i++) {
        for (unsigned j = 0; j < RING; j++) {
            p->ring[i][j] = -INFINITY;
        }
        p->scores[i] = -INFINITY;
    }
    p->scores[0] = 0.0; /* so that state 0 of the first byte is 0 + its value */
}

/* Reads the best path of text[begin .. end) from the back. Room for the spans was made. */
static void read_path(pm_segmenter *g, const path *p, size_t begin, size_t end, unsigned order) {
    const unsigned last = order - 1;
    unsigned state = 0;
    size_t piece_end = end;

    for (unsigned c = 1; c < order; c++) {
        state = p->scores[c] > p->scores[state] ? c : state;
    }
    for (size_t i = end; i-- > begin;) {
        uint8_t route = g->routes[i - begin];
        if (state == 0) {
            g->spans[g->n++] = (pm_span){(uint32_t)i, (uint32_t)(piece_end - i)};
            piece_end = i;
            state = route & 7;
        } else if (state < last || !(route & 8)) {
            state--;
        }
    }
}

/* Bytes of a rank, and the bytes before the first one in a slot. */
static inline unsigned rank_bytes(bool wide) { return wide ? 4 : 2; }
static inline unsigned key_bytes(bool wide) { return wide ? 8 : 6; }

FORCE_INLINE void run(pm_segmenter *g, const pm_ngram_model *m, const double *start, const uint8_t *text,
                      const uint32_t *ends, size_t n, const unsigned order, const bool wide) {
    lookups l;
    path p;
    size_t at = 0;

    begin_lookups(&l, m, text, ends, 0, n, order, wide, WHOLE);
    const tile *t = next_tile(&l, order, wide, WHOLE);
    for (size_t chunk = 0, i = 0; chunk < n; chunk++) {
        const size_t begin = at, end = ends[chunk];
        begin_chunk(&p);
        for (; at < end; at++, i++) {
            if (i == TILE) {
                t = next_tile(&l, order, wide, WHOLE);
                i = 0;
            }
            put_values(&p, at, text[at], t->slots[i], t->lengths[i], m, start, order, wide);
            g->routes[at - begin] = step(p.scores, p.ring[at % RING], order);
        }
        read_path(g, &p, begin, end, order);
    }
}

static void set_start(double *start, const pm_ngram_model *m, bool ensure_unicode) {
    for (unsigned b = 0; b < 256; b++) {
        start[b] = ensure_unicode && b >= 0x80 && b < 0xC0 ? -INFINITY : m->first[b];
    }
}

/* Room for these chunks; there are no spans yet. */
static pm_status make_room(pm_segmenter *g, const uint32_t *ends, size_t n, pm_error *err) {
    size_t longest = 0, total = n ? ends[n - 1] : 0;
    for (size_t i = 0; i < n; i++) {
        size_t len = ends[i] - (i ? ends[i - 1] : 0);
        longest = len > longest ? len : longest;
    }
    PM_TRY(pm_grow((void **)&g->routes, &g->cap_routes, longest, 1, err));
    PM_TRY(pm_grow((void **)&g->spans, &g->cap, total, sizeof *g->spans, err));
    g->n = 0;
    return PM_OK;
}

pm_status pm_segment(pm_segmenter *g, const pm_ngram_model *m, bool ensure_unicode, const uint8_t *text,
                     const uint32_t *ends, size_t n, pm_error *err) {
    double start[256];

    PM_TRY(make_room(g, ends, n, err));
    set_start(start, m, ensure_unicode);
    if (m->wide) {
        run(g, m, start, text, ends, n, m->order, true);
        return PM_OK;
    }
    switch (m->order) {
    case 1: run(g, m, start, text, ends, n, 1, false); break;
    case 2: run(g, m, start, text, ends, n, 2, false); break;
    case 3: run(g, m, start, text, ends, n, 3, false); break;
    case 4: run(g, m, start, text, ends, n, 4, false); break;
    case 5: run(g, m, start, text, ends, n, 5, false); break;
    default: run(g, m, start, text, ends, n, 6, false); break;
    }
    return PM_OK;
}

void pm_segmenter_release(pm_segmenter *g) {
    pm_free(g->routes);
    pm_free(g->spans);
    *g = (pm_segmenter){0};
}

/* ---------------------------------------------------------------- a spool ---- */

typedef struct extent { /* what a part has for a slice */
    uint64_t offset, bytes;
} extent;

typedef struct worker { /* one thread's */
    pm_chunks buffer;
    pm_segmenter segmenter;
    pm_buf found;
    const uint8_t **at; /* of each part: the next record of the slice */
} worker;

typedef struct job {
    pm_ngram_model *model;
    pm_spool *spool;
    const size_t *numbers; /* of the runs; NULL: all */
    size_t n;
    const pm_count_work *work;
    pm_segment_fn fn;
    void *ctx;
    bool ensure_unicode;
    worker *workers;
    /* of a model in parts */
    double start[256];
    unsigned part;
    pm_scratch_file file;
    extent **extents; /* of each run, by slice and part */
} job;

static size_t number_of(const job *j, size_t i) { return j->numbers ? j->numbers[i] : i; }

static pm_status task_segment(void *ctx, unsigned thread, size_t i, pm_error *err) {
    job *j = ctx;
    worker *w = &j->workers[thread];
    pm_segmenter *g = &w->segmenter;
    PM_TRY(pm_spool_take(j->spool, number_of(j, i), &w->buffer, err));
    PM_TRY(pm_segment(g, j->model, j->ensure_unicode, w->buffer.text, w->buffer.ends, w->buffer.n, err));
    return j->fn(j->ctx, thread, &w->buffer, g->spans, g->n, err);
}

/* The chunk behind the slice that begins with this one. */
static size_t slice_end(const pm_chunks *run, size_t chunk) {
    size_t begin = chunk ? run->ends[chunk - 1] : 0;
    while (chunk < run->n && run->ends[chunk] - begin < SLICE_BYTES) {
        chunk++;
    }
    return chunk < run->n ? chunk + 1 : chunk;
}

/* Appends what the part that is loaded has for the positions of the slice. */
static pm_status look_up_slice(const job *j, const pm_chunks *run, size_t chunk, size_t end, pm_buf *out,
                               pm_error *err) {
    const pm_ngram_model *m = j->model;
    const unsigned order = m->order, ranks = key_bytes(m->wide), width = rank_bytes(m->wide);
    const size_t begin = chunk ? run->ends[chunk - 1] : 0, n = run->ends[end - 1] - begin;
    lookups l;

    PM_TRY(pm_buf_reserve(out, n * (1 + width * (order - 1)), err));
    begin_lookups(&l, m, run->text, run->ends, chunk, end, order, m->wide, j->part);
    for (const tile *t; (t = next_tile(&l, order, m->wide, j->part))->n;) {
        for (unsigned i = 0; i < t->n; i++) {
            const unsigned bytes = width * (t->lengths[i] - 1u);
            out->data[out->len++] = t->lengths[i];
            if (bytes) {
                memcpy(out->data + out->len, t->slots[i] + ranks, bytes);
                out->len += bytes;
            }
        }
    }
    return PM_OK;
}

static pm_status task_look_up(void *ctx, unsigned thread, size_t i, pm_error *err) {
    job *j = ctx;
    worker *w = &j->workers[thread];
    const pm_chunks *run;
    size_t n = 0;

    PM_TRY(pm_spool_get(j->spool, number_of(j, i), &w->buffer, &run, err));
    for (size_t chunk = 0; chunk < run->n; chunk = slice_end(run, chunk)) {
        n++;
    }
    if (!j->extents[i] && !(j->extents[i] = pm_calloc(n * j->model->n_parts, sizeof *j->extents[i]))) {
        return pm_fail_memory(err);
    }
    extent *e = j->extents[i] + j->part;
    for (size_t chunk = 0, end; chunk < run->n; chunk = end, e += j->model->n_parts) {
        end = slice_end(run, chunk);
        w->found.len = 0;
        PM_TRY(look_up_slice(j, run, chunk, end, &w->found, err));
        e->bytes = w->found.len;
        PM_TRY(pm_scratch_file_reserve(&j->file, e->bytes, &e->offset, err));
        PM_TRY(pm_write_at(j->file.fd, w->found.data, e->bytes, e->offset, j->file.name, err));
    }
    return PM_OK;
}

/* Reads what all parts have for a slice. */
static pm_status read_slice(const job *j, worker *w, const extent *e, pm_error *err) {
    const unsigned ahead = key_bytes(true); /* a record is read as if it were a slot */
    size_t total = ahead;

    for (unsigned p = 0; p < j->model->n_parts; p++) {
        total += e[p].bytes;
    }
    w->found.len = 0;
    PM_TRY(pm_buf_reserve(&w->found, total, err));
    memset(w->found.data, 0, ahead);
    uint8_t *to = w->found.data + ahead;
    for (unsigned p = 0; p < j->model->n_parts; p++) {
        PM_TRY(pm_read_at(j->file.fd, to, e[p].bytes, e[p].offset, j->file.name, err));
        w->at[p] = to;
        to += e[p].bytes;
    }
    return PM_OK;
}

/* As run(), with records that were looked up before. */
static void run_slice(const job *j, worker *w, size_t chunk, size_t n) {
    const pm_ngram_model *m = j->model;
    const pm_chunks *c = &w->buffer;
    path p;

    for (; chunk < n; chunk++) {
        size_t begin = chunk ? c->ends[chunk - 1] : 0, end = c->ends[chunk];
        begin_chunk(&p);
        for (size_t at = begin; at < end; at++) {
            unsigned found = 1;
            const uint8_t *slot = NULL;
            if (end - at > 1 && m->order > 1) {
                const uint8_t **record = &w->at[m->part_of[pm_ngram_shard_of(pm_ngram_load(c->text + at))]];
                found = *(*record)++;
                slot = *record - key_bytes(m->wide);
                *record += rank_bytes(m->wide) * (found - 1);
            }
            put_values(&p, at, c->text[at], slot, found, m, j->start, m->order, m->wide);
            w->segmenter.routes[at - begin] = step(p.scores, p.ring[at % RING], m->order);
        }
        if (end > begin) {
            read_path(&w->segmenter, &p, begin, end, m->order);
        }
    }
}

static pm_status task_segment_found(void *ctx, unsigned thread, size_t i, pm_error *err) {
    job *j = ctx;
    worker *w = &j->workers[thread];
    pm_segmenter *g = &w->segmenter;

    PM_TRY(pm_spool_take(j->spool, number_of(j, i), &w->buffer, err));
    PM_TRY(make_room(g, w->buffer.ends, w->buffer.n, err));
    const extent *e = j->extents[i];
    for (size_t chunk = 0, end; chunk < w->buffer.n; chunk = end, e += j->model->n_parts) {
        end = slice_end(&w->buffer, chunk);
        PM_TRY(read_slice(j, w, e, err));
        run_slice(j, w, chunk, end);
    }
    pm_free(j->extents[i]);
    j->extents[i] = NULL;
    return j->fn(j->ctx, thread, &w->buffer, g->spans, g->n, err);
}

/* All parts, one after the other. */
static pm_status look_up_all(job *j, pm_error *err) {
    pm_ticker *ticker = j->work->ticker;

    j->extents = pm_calloc(j->n, sizeof *j->extents);
    if (!j->extents) {
        return pm_fail_memory(err);
    }
    for (unsigned t = 0; t < j->work->threads; t++) {
        j->workers[t].at = pm_alloc(j->model->n_parts, sizeof *j->workers[t].at);
        if (!j->workers[t].at) {
            return pm_fail_memory(err);
        }
    }
    set_start(j->start, j->model, j->ensure_unicode);
    for (j->part = 0; j->part < j->model->n_parts; j->part++) {
        PM_TRY(ticker ? pm_ticker_phase(ticker, "look up n-grams", "runs", j->n, err) : PM_OK);
        PM_TRY(pm_ngram_model_load(j->model, j->part, j->work, err));
        PM_TRY(pm_parallel(j->work->threads, j->n, task_look_up, j, ticker, err));
    }
    pm_ngram_model_unload(j->model);
    return PM_OK;
}

static pm_status segment_all(job *j, pm_error *err) {
    const bool whole = j->model->n_parts == 1;
    pm_ticker *ticker = j->work->ticker;

    PM_TRY(whole ? PM_OK : look_up_all(j, err));
    PM_TRY(ticker ? pm_ticker_phase(ticker, "count pieces", "runs", j->n, err) : PM_OK);
    return pm_parallel(j->work->threads, j->n, whole ? task_segment : task_segment_found, j, ticker, err);
}

pm_status pm_segment_spool(pm_ngram_model *model, pm_spool *spool, const size_t *numbers, size_t n, bool ensure_unicode,
                           const pm_count_work *work, pm_segment_fn fn, void *ctx, pm_error *err) {
    job j = {.model = model,
             .spool = spool,
             .numbers = numbers,
             .n = numbers ? n : pm_spool_size(spool),
             .work = work,
             .fn = fn,
             .ctx = ctx,
             .ensure_unicode = ensure_unicode};

    j.workers = pm_calloc(work->threads, sizeof *j.workers);
    if (!j.workers) {
        return pm_fail_memory(err);
    }
    pm_scratch_file_init(&j.file, work->tmpdir);
    pm_status status = segment_all(&j, err);
    pm_scratch_file_release(&j.file);
    for (size_t i = 0; j.extents && i < j.n; i++) {
        pm_free(j.extents[i]);
    }
    pm_free(j.extents);
    for (unsigned t = 0; t < work->threads; t++) {
        worker *w = &j.workers[t];
        pm_chunks_release(&w->buffer);
        pm_segmenter_release(&w->segmenter);
        pm_buf_release(&w->found);
        pm_free(w->at);
    }
    pm_free(j.workers);
    return status;
}
