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
 * used. The lookups of a tile of positions are prepared, with a prefetch, while the tile before is worked on. */
#include "train/segment.h"

#include <math.h>

enum { TILE = 32, RING = 8 };

typedef struct tile {
    uint64_t words[TILE];
    const uint8_t *buckets[TILE]; /* of the first lookup */
    uint8_t lengths[TILE];        /* bytes left in the chunk, at most order */
    unsigned n;
} tile;

typedef struct cursor { /* where the next tile begins */
    const uint8_t *text;
    const uint32_t *ends;
    size_t n_chunks, chunk, at;
} cursor;

typedef struct path {
    double ring[RING][RING]; /* [position % RING][state]: values */
    double scores[RING];
} path;

static inline __attribute__((always_inline)) void prepare(tile *t, cursor *c, const pm_ngram_model *m,
                                                          const unsigned order) {
    unsigned n = 0;
    while (n < TILE && c->chunk < c->n_chunks) {
        size_t left = c->ends[c->chunk] - c->at;
        if (left == 0) {
            c->chunk++;
            continue;
        }
        unsigned len = left < order ? (unsigned)left : order;
        uint64_t word = pm_ngram_keep(pm_ngram_load(c->text + c->at++), len);
        t->words[n] = word;
        t->lengths[n] = (uint8_t)len;
        if (len > 1) {
            const pm_ngram_shard *sh = &m->shards[pm_ngram_shard_of(word)];
            const uint8_t *bucket = len == order
                                        ? pm_ngram_bucket(sh->whole, sh->n_whole, pm_ngram_whole_key(order, word))
                                        : pm_ngram_bucket(sh->part, sh->n_part, pm_ngram_part_key(order, word, len));
            __builtin_prefetch(bucket);
            t->buckets[n] = bucket;
        }
        n++;
    }
    t->n = n;
}

/* The record of the longest n-gram that begins here and is there, and its length (1: none). */
static inline __attribute__((always_inline)) const uint8_t *
look_up(const tile *t, unsigned i, const pm_ngram_model *m, const unsigned order, const bool wide, unsigned *found) {
    uint64_t word = t->words[i];
    const pm_ngram_shard *sh = &m->shards[pm_ngram_shard_of(word)];
    unsigned len = t->lengths[i];
    const uint8_t *bucket = t->buckets[i], *slot;

    if (len == order && order > 1) {
        slot = pm_ngram_find(sh->whole, sh->n_whole, bucket, pm_ngram_whole_key(order, word), wide);
        if (slot) {
            *found = order;
            return slot;
        }
        len--;
        bucket = NULL;
    }
    for (; len > 1; len--, bucket = NULL) {
        uint64_t key = pm_ngram_part_key(order, word, len);
        slot = pm_ngram_find(sh->part, sh->n_part, bucket ? bucket : pm_ngram_bucket(sh->part, sh->n_part, key), key,
                             wide);
        if (slot) {
            *found = len;
            return slot;
        }
    }
    *found = 1;
    return NULL;
}

/* Puts the values of the n-grams that begin at position s into the ring. */
static inline __attribute__((always_inline)) void put_values(path *p, size_t s, uint8_t byte, const uint8_t *slot,
                                                             unsigned found, const pm_ngram_model *m,
                                                             const double *start, const unsigned order,
                                                             const bool wide) {
    double before = m->log_first[byte];
    p->ring[s % RING][0] = start[byte];
    if (found == order) {
        for (unsigned j = 2; j <= order; j++) {
            double log = m->logs[pm_ngram_slot_rank(slot, wide, j)];
            p->ring[(s + j - 1) % RING][j - 1] = log - before;
            before = log;
        }
        return;
    }
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

/* One byte on. Returns where state 0 came from, and 8 if the last state came from itself. */
static inline __attribute__((always_inline)) uint8_t step(double *scores, const double *values, const unsigned order) {
    double best = scores[0] + values[0], next[RING];
    uint8_t route = 0;
    const unsigned last = order - 1;

    for (unsigned p = 1; p < order; p++) {
        double sum = scores[p] + values[0];
        route = sum > best ? (uint8_t)p : route;
        best = sum > best ? sum : best;
    }
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

static inline __attribute__((always_inline)) void run(pm_segmenter *g, const pm_ngram_model *m, const double *start,
                                                      const uint8_t *text, const uint32_t *ends, size_t n,
                                                      const unsigned order, const bool wide) {
    cursor c = {text, ends, n, 0, 0};
    tile tiles[2];
    path p;
    size_t at = 0, chunk = 0, begin = 0, end = 0;

    prepare(&tiles[0], &c, m, order);
    for (unsigned which = 0; tiles[which].n; which ^= 1) {
        const tile *t = &tiles[which];
        prepare(&tiles[which ^ 1], &c, m, order);
        for (unsigned i = 0; i < t->n; i++, at++) {
            unsigned found;
            if (at == end) {
                while (ends[chunk] == at) {
                    chunk++; /* an empty chunk */
                }
                begin = at;
                end = ends[chunk++];
                begin_chunk(&p);
            }
            const uint8_t *slot = look_up(t, i, m, order, wide, &found);
            put_values(&p, at, text[at], slot, found, m, start, order, wide);
            g->routes[at - begin] = step(p.scores, p.ring[at % RING], order);
            if (at + 1 == end) {
                read_path(g, &p, begin, end, order);
            }
        }
    }
}

pm_status pm_segment(pm_segmenter *g, const pm_ngram_model *m, bool ensure_unicode, const uint8_t *text,
                     const uint32_t *ends, size_t n, pm_error *err) {
    double start[256];
    size_t longest = 0, total = n ? ends[n - 1] : 0;

    for (size_t i = 0; i < n; i++) {
        size_t len = ends[i] - (i ? ends[i - 1] : 0);
        longest = len > longest ? len : longest;
    }
    PM_TRY(pm_grow((void **)&g->routes, &g->cap_routes, longest, 1, err));
    PM_TRY(pm_grow((void **)&g->spans, &g->cap, total, sizeof *g->spans, err));
    g->n = 0;
    for (unsigned b = 0; b < 256; b++) {
        start[b] = ensure_unicode && b >= 0x80 && b < 0xC0 ? -INFINITY : m->first[b];
    }
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
