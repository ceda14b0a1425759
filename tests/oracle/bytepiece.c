/* bytepiece.c - see bytepiece.h. Quadratic where that is plainer; aborts when memory is out. */
#include "bytepiece.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "text/utf8.h"

/* ---------------------------------------------------------------- dictionaries ---- */

static int compare(pm_bytes a, pm_bytes b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.data, b.data, n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

static int compare_entries(const void *a, const void *b) {
    return compare(((const oracle_entry *)a)->key, ((const oracle_entry *)b)->key);
}

static void *must(void *p) {
    if (!p) {
        abort();
    }
    return p;
}

void oracle_dict_add(oracle_dict *d, pm_bytes key, uint64_t count) {
    if (d->n == d->cap) {
        d->cap = d->cap ? 2 * d->cap : 64;
        d->items = must(realloc(d->items, d->cap * sizeof *d->items));
    }
    d->items[d->n++] = (oracle_entry){key, count, 0};
}

void oracle_dict_settle(oracle_dict *d) {
    size_t n = 0;
    if (d->n) {
        qsort(d->items, d->n, sizeof *d->items, compare_entries);
    }
    for (size_t i = 0; i < d->n; i++) {
        if (n && compare(d->items[n - 1].key, d->items[i].key) == 0) {
            d->items[n - 1].count += d->items[i].count;
        } else {
            d->items[n++] = d->items[i];
        }
    }
    d->n = n;
}

oracle_entry *oracle_dict_find(const oracle_dict *d, pm_bytes key) {
    oracle_entry wanted = {.key = key};
    return d->n ? bsearch(&wanted, d->items, d->n, sizeof wanted, compare_entries) : NULL;
}

void oracle_dict_free(oracle_dict *d) {
    free(d->items);
    *d = (oracle_dict){0};
}

static oracle_dict copy_dict(const oracle_dict *d) {
    oracle_dict copy = {0};
    for (size_t i = 0; i < d->n; i++) {
        oracle_dict_add(&copy, d->items[i].key, d->items[i].count);
    }
    return copy;
}

/* ---------------------------------------------------------------- chunks ---- */

/* Category Nd, as far as the tests use it. */
static bool is_digit(uint32_t cp) {
    return (cp >= '0' && cp <= '9') || (cp >= 0x661 && cp <= 0x669) || (cp >= 0xFF10 && cp <= 0xFF19);
}

size_t oracle_chunks(const uint8_t *text, size_t len, bool isolate_digits, size_t *ends) {
    size_t n = 0, at = 0;
    while (at < len) {
        /* Greedy run of up to 10,000 characters other than newline (and digits). */
        size_t end = at, characters = 0;
        bool digit_first = false;
        while (end < len && characters < 10000 && text[end] != '\n') {
            unsigned width;
            uint32_t cp = pm_utf8_read(text + end, text + len, &width);
            if (isolate_digits && is_digit(cp)) {
                digit_first = end == at;
                break;
            }
            end += width;
            characters++;
        }
        if (digit_first) {
            unsigned width;
            pm_utf8_read(text + at, text + len, &width);
            end = at + width;
        } else {
            for (int i = 0; i < 100 && end < len && text[end] == '\n'; i++) {
                end++;
            }
        }
        ends[n++] = at = end;
    }
    return n;
}

/* ---------------------------------------------------------------- n-grams ---- */

static pm_bytes part(pm_bytes text, size_t from, size_t to) { return (pm_bytes){text.data + from, to - from}; }

static const uint8_t all_bytes[256] = {
#define ROW(x)                                                                                                         \
    x, x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7, x + 8, x + 9, x + 10, x + 11, x + 12, x + 13, x + 14, x + 15
    ROW(0),   ROW(16),  ROW(32),  ROW(48),  ROW(64),  ROW(80),  ROW(96), ROW(112), ROW(128),
    ROW(144), ROW(160), ROW(176), ROW(192), ROW(208), ROW(224), ROW(240)
#undef ROW
};

static pm_bytes one_byte(unsigned b) { return (pm_bytes){&all_bytes[b], 1}; }

static void count_ngrams(oracle_dict *ngrams, unsigned order, const pm_bytes *chunks, size_t n) {
    for (size_t c = 0; c < n; c++) {
        for (size_t i = 0; i < chunks[c].len; i++) {
            for (unsigned j = 0; j <= order; j++) {
                size_t end = i + j < chunks[c].len ? i + j : chunks[c].len;
                oracle_dict_add(&ngrams[j], part(chunks[c], i, end), 1);
            }
        }
    }
    for (unsigned j = 0; j <= order; j++) {
        oracle_dict_settle(&ngrams[j]);
    }
}

static void prune_ngrams(oracle_dict *ngrams, unsigned order, uint64_t min_count) {
    for (unsigned b = 0; b < 256; b++) {
        if (!oracle_dict_find(&ngrams[1], one_byte(b))) {
            oracle_dict_add(&ngrams[1], one_byte(b), 1);
            oracle_dict_settle(&ngrams[1]);
            ngrams[0].items[0].count++;
        }
    }
    for (unsigned j = order + 1; j-- > 0;) {
        size_t kept = 0;
        for (size_t i = 0; i < ngrams[j].n; i++) {
            oracle_entry *e = &ngrams[j].items[i];
            if (e->key.len == j && (j < 2 || e->count >= min_count)) {
                e->value = pm_log_u64(e->count);
                ngrams[j].items[kept++] = *e;
            }
        }
        ngrams[j].n = kept;
        for (size_t i = 0; j < order && i < ngrams[j + 1].n; i++) {
            oracle_entry *e = &ngrams[j + 1].items[i];
            e->value -= ((oracle_entry *)must(oracle_dict_find(&ngrams[j], part(e->key, 0, j))))->value;
        }
    }
}

/* ---------------------------------------------------------------- Trainer._tokenize ---- */

static double node(const oracle_dict *ngrams, const oracle_options *o, pm_bytes text, size_t i, unsigned j) {
    if (i < j || (o->ensure_unicode && j == 0 && text.data[i] >= 128 && text.data[i] < 192)) {
        return -INFINITY;
    }
    const oracle_entry *e = oracle_dict_find(&ngrams[j + 1], part(text, i - j, i + 1));
    return e ? e->value : -INFINITY;
}

/* Adds the pieces of a chunk to the dictionary. */
static void tokenize(const oracle_dict *ngrams, const oracle_options *o, pm_bytes text, oracle_dict *pieces) {
    unsigned order = o->order;
    double *nodes = must(calloc(text.len * order, sizeof *nodes));
    unsigned *routes = must(calloc(text.len * order, sizeof *routes)), state = 0;

    for (size_t i = 0; i < text.len; i++) {
        for (unsigned c = 0; c < order; c++) {
            double value = node(ngrams, o, text, i, c), best = -INFINITY;
            unsigned route = 0;
            for (unsigned p = 0; i > 0 && p < order; p++) {
                double trans = c == 0 || c == (p + 1 < order ? p + 1 : order - 1) ? 0.0 : -INFINITY;
                double score = nodes[(i - 1) * order + p] + trans + value;
                if (score > best) {
                    best = score;
                    route = p;
                }
            }
            nodes[i * order + c] = i ? best : value;
            routes[i * order + c] = route;
        }
    }
    for (unsigned c = 1; c < order; c++) {
        state = nodes[(text.len - 1) * order + c] > nodes[(text.len - 1) * order + state] ? c : state;
    }
    size_t end = text.len;
    for (size_t i = text.len; i-- > 0;) {
        unsigned from = routes[i * order + state];
        if (state == 0) {
            oracle_dict_add(pieces, part(text, i, end), 1);
            end = i;
        }
        state = from;
    }
    free(nodes);
    free(routes);
}

/* ---------------------------------------------------------------- pruning ---- */

void oracle_set_logs(oracle_dict *pieces) {
    uint64_t sum = 0;
    for (size_t i = 0; i < pieces->n; i++) {
        sum += pieces->items[i].count;
    }
    for (size_t i = 0; i < pieces->n; i++) {
        pieces->items[i].value = pm_log_u64(pieces->items[i].count) - pm_log_u64(sum);
    }
}

size_t oracle_best(const oracle_dict *pieces, pm_bytes text, size_t *ends) {
    double *scores = must(calloc(text.len + 1, sizeof *scores));
    size_t *starts = must(calloc(text.len + 1, sizeof *starts)), n = 0, longest = 0;

    for (size_t i = 0; i < pieces->n; i++) {
        longest = pieces->items[i].key.len > longest ? pieces->items[i].key.len : longest;
    }
    for (size_t e = 1; e <= text.len; e++) {
        scores[e] = -INFINITY;
        for (size_t s = e > longest ? e - longest : 0; s < e; s++) { /* the longest first */
            const oracle_entry *piece = oracle_dict_find(pieces, part(text, s, e));
            if (piece && scores[s] + piece->value > scores[e]) {
                scores[e] = scores[s] + piece->value;
                starts[e] = s;
            }
        }
    }
    for (size_t e = text.len; e > 0; e = starts[e]) {
        ends[n++] = e;
    }
    for (size_t i = 0; i < n / 2; i++) {
        size_t swap = ends[i];
        ends[i] = ends[n - 1 - i];
        ends[n - 1 - i] = swap;
    }
    free(scores);
    free(starts);
    return n;
}

/* The counter of split_pieces(keep, drop). */
static oracle_dict split(oracle_dict *keep, const oracle_dict *drop) {
    oracle_dict counter = {0};
    oracle_set_logs(keep);
    for (size_t i = 0; i < drop->n; i++) {
        pm_bytes piece = drop->items[i].key;
        size_t *ends = must(calloc(piece.len, sizeof *ends)), n = oracle_best(keep, piece, ends);
        for (size_t k = 0; k < n; k++) {
            oracle_dict_add(&counter, part(piece, k ? ends[k - 1] : 0, ends[k]), drop->items[i].count);
        }
        free(ends);
    }
    oracle_dict_settle(&counter);
    return counter;
}

/* Splits the dropped, adds to the kept, then repeats with the kept themselves. */
static void drop_and_settle(oracle_dict *keep, const oracle_dict *drop) {
    oracle_dict more = split(keep, drop);
    for (size_t i = 0; i < more.n; i++) {
        oracle_dict_add(keep, more.items[i].key, more.items[i].count);
    }
    oracle_dict_free(&more);
    oracle_dict_settle(keep);
    for (size_t before = 0; before != keep->n;) {
        before = keep->n;
        oracle_dict next = split(keep, keep);
        oracle_dict_free(keep);
        *keep = next;
    }
}

static int by_use(const void *left, const void *right) {
    const oracle_entry *a = left, *b = right;
    bool long_a = a->key.len > 1, long_b = b->key.len > 1;
    if (long_a != long_b) {
        return long_a - long_b;
    }
    if (a->count != b->count) {
        return a->count > b->count ? -1 : 1;
    }
    if (a->key.len != b->key.len) {
        return a->key.len > b->key.len ? -1 : 1;
    }
    return compare(a->key, b->key);
}

static void prune_pieces(oracle_dict *pieces, const oracle_options *o, const size_t *sizes, size_t n_sizes,
                         oracle_dict *out) {
    oracle_dict keep = {0}, drop = {0};
    for (unsigned b = 0; b < 256; b++) {
        if (!oracle_dict_find(pieces, one_byte(b))) {
            oracle_dict_add(pieces, one_byte(b), 1);
            oracle_dict_settle(pieces);
        }
    }
    for (size_t i = 0; i < pieces->n; i++) {
        const oracle_entry *e = &pieces->items[i];
        bool kept = e->key.len == 1 || (e->key.len <= o->max_piece_length && e->count >= o->min_count);
        oracle_dict_add(kept ? &keep : &drop, e->key, e->count);
    }
    drop_and_settle(&keep, &drop);
    oracle_dict_free(&drop);
    for (size_t i = 0; i < n_sizes; i++) {
        if (keep.n > sizes[i]) {
            qsort(keep.items, keep.n, sizeof *keep.items, by_use);
            for (size_t k = sizes[i]; k < keep.n; k++) {
                oracle_dict_add(&drop, keep.items[k].key, keep.items[k].count);
            }
            keep.n = sizes[i];
            oracle_dict_settle(&keep);
            drop_and_settle(&keep, &drop);
            oracle_dict_free(&drop);
        }
        out[i] = copy_dict(&keep);
    }
    oracle_dict_free(&keep);
}

void oracle_train(const oracle_options *o, const pm_bytes *chunks, size_t n, const size_t *sizes, size_t n_sizes,
                  oracle_dict *out) {
    oracle_dict ngrams[8] = {{0}}, pieces = {0};
    count_ngrams(ngrams, o->order, chunks, n);
    prune_ngrams(ngrams, o->order, o->min_count);
    for (size_t i = 0; i < n; i++) {
        tokenize(ngrams, o, chunks[i], &pieces);
    }
    oracle_dict_settle(&pieces);
    prune_pieces(&pieces, o, sizes, n_sizes, out);
    oracle_dict_free(&pieces);
    for (unsigned j = 0; j < 8; j++) {
        oracle_dict_free(&ngrams[j]);
    }
}
