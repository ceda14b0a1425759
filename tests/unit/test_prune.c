/* test_prune.c - the parts of many texts against the twin's; pruning fed in each of its ways; required and excluded pieces. */
#include <stdio.h>

#include "../oracle/bytepiece.h"
#include "base/bytes.h"
#include "support.h"
#include "train/parts.h"
#include "train/prune.h"

/* ---------------------------------------------------------------- parts ---- */

enum { MAX_PIECES = 500, MAX_PIECE = 120, MAX_TEXT = 1500 };

typedef struct vocabulary {
    uint8_t bytes[MAX_PIECES][MAX_PIECE];
    pm_bytes pieces[MAX_PIECES];
    double logp[MAX_PIECES];
    uint64_t counts[MAX_PIECES]; /* that the twin finds */
    size_t n;
    oracle_dict dict; /* of those that are there */
    pm_parts *parts;
    pm_parts_splitter *splitter;
} vocabulary;

static const char *const alphabets[][6] = {
    {"a", "b", "a", "b", "a", "b"},
    {"a", "a", "a", "a", "a", "a"},
    {"the ", "in", "g", " ", "e", "\n"},
    {"\xC3\xA9", "\xE4\xB8\xAD", "\xE6\x96\x87", "\xF0\x9F\x98\x80", "x", "\xE4\xB8\xAD"},
    {"\xE4", "\xB8", "\xAD", "\xFF", "a", "\xE4\xB8\xAD"},
};
enum { ALPHABETS = sizeof alphabets / sizeof *alphabets };

static size_t random_text(uint8_t *text, size_t units, size_t most, unsigned alphabet, uint64_t *state) {
    size_t len = 0;
    for (size_t i = 0; i < units; i++) {
        const char *unit = alphabets[alphabet][random_word(state) % 6];
        if (len + strlen(unit) > most) {
            break;
        }
        memcpy(text + len, unit, strlen(unit));
        len += strlen(unit);
    }
    return len;
}

static size_t number_of(const vocabulary *v, pm_bytes piece) {
    size_t i = 0;
    while (!pm_bytes_equal(v->pieces[i], piece)) {
        i++;
    }
    return i;
}

/* The bytes, and random pieces that are all different. */
static void make(vocabulary *v, size_t n, size_t longest, unsigned alphabet, uint64_t *state) {
    pm_error err = {0};
    *v = (vocabulary){0};
    for (size_t i = 0; i < 256 + n; i++) {
        uint8_t *bytes = v->bytes[v->n];
        size_t len = i < 256 ? 1 : random_text(bytes, 1 + random_word(state) % longest, MAX_PIECE, alphabet, state);
        bytes[0] = i < 256 ? (uint8_t)i : bytes[0];
        v->pieces[v->n] = (pm_bytes){bytes, len};
        v->n += number_of(v, v->pieces[v->n]) == v->n;
    }
    pm_ticker ticker;
    pm_ticker_init(&ticker, NULL, NULL, 0);
    assert_ok(pm_parts_new(&v->parts, v->pieces, v->n, &ticker, &err));
    assert_ok(pm_parts_splitter_new(&v->splitter, v->parts, &err));
}

/* New log-probabilities, with ties; some pieces are not there. */
static void set(vocabulary *v, uint64_t *state) {
    bool rare_bytes = random_word(state) % 2;
    oracle_dict_free(&v->dict);
    v->dict = (oracle_dict){0};
    for (size_t i = 0; i < v->n; i++) {
        uint64_t count = 1 + random_word(state) % (random_word(state) % 2 ? 3 : 1000);
        v->logp[i] = -1.0 / 0.0;
        if (i < 256 || random_word(state) % 4) {
            oracle_dict_add(&v->dict, v->pieces[i], i < 256 && rare_bytes ? 1 : count);
        }
    }
    oracle_dict_settle(&v->dict);
    oracle_set_logs(&v->dict);
    for (size_t i = 0; i < v->dict.n; i++) {
        v->logp[number_of(v, v->dict.items[i].key)] = v->dict.items[i].value;
    }
    pm_parts_set(v->parts, v->logp);
}

static void split_both(vocabulary *v, pm_bytes text, uint64_t weight) {
    static size_t ends[MAX_TEXT];
    pm_error err = {0};
    uint8_t *copy = malloc(text.len ? text.len : 1); /* so that a sanitizer sees a byte read behind the text, or later */
    memcpy(copy, text.data, text.len);
    assert_ok(pm_parts_split(v->splitter, (pm_bytes){copy, text.len}, weight, &err));
    free(copy);
    for (size_t i = 0, n = oracle_best(&v->dict, text, ends); i < n; i++) {
        size_t begin = i ? ends[i - 1] : 0;
        v->counts[number_of(v, (pm_bytes){text.data + begin, ends[i] - begin})] += weight;
    }
}

static void compare(vocabulary *v) {
    pm_parts_finish(v->splitter);
    for (size_t i = 0; i < v->n; i++) {
        ck_assert_msg(pm_parts_counts(v->splitter)[i] == v->counts[i], "piece %zu, '%.*s'", i, (int)v->pieces[i].len, v->pieces[i].data);
    }
}

static void release(vocabulary *v) {
    pm_parts_splitter_free(v->splitter);
    pm_parts_free(v->parts);
    oracle_dict_free(&v->dict);
}

START_TEST(parts_equal_the_twins) {
    static vocabulary v;
    static uint8_t text[MAX_TEXT];
    uint64_t state = 3;
    for (int round = 0; round < (quick() ? 10 : 40); round++) {
        unsigned alphabet = (unsigned)round % ALPHABETS;
        make(&v, (size_t)(round * 6), 1 + (size_t)round % 27, alphabet, &state);
        for (int k = 0; k < 3; k++) {
            set(&v, &state);
            for (int i = 0; i < 20; i++) {
                size_t len = random_text(text, random_word(&state) % (i ? 60 : 1500), MAX_TEXT, alphabet, &state);
                if (len && random_word(&state) % 4 == 0) {
                    text[random_word(&state) % len] = (uint8_t)random_word(&state); /* mostly ill-formed, or strange */
                }
                split_both(&v, (pm_bytes){text, len}, 1 + random_word(&state) % 1000);
            }
            size_t len = random_text(text, 20, MAX_TEXT - 4, alphabet, &state);
            memcpy(text + len, "\xE2\x82\xAC", 3); /* in no piece */
            split_both(&v, (pm_bytes){text, len + 3}, 7);
            compare(&v);
        }
        release(&v);
    }
}
END_TEST

START_TEST(each_piece_of_a_vocabulary_is_found_alone) {
    static vocabulary v;
    uint64_t state = 5;
    make(&v, 200, 20, 2, &state);
    for (size_t i = 0; i < v.n; i++) {
        v.logp[i] = -8;
    }
    pm_error err = {0};
    pm_parts_set(v.parts, v.logp);
    for (size_t i = 0; i < v.n; i++) { /* of one part: none is better */
        assert_ok(pm_parts_split(v.splitter, v.pieces[i], i + 1, &err));
        v.counts[i] = i + 1;
    }
    compare(&v);
    release(&v);
}
END_TEST

START_TEST(too_long_a_text_is_refused) {
    static vocabulary v;
    uint64_t state = 6;
    pm_error err = {0};
    uint8_t *text = calloc(PM_PARTS_MAX_BYTES + 1, 1);
    make(&v, 0, 1, 0, &state);
    set(&v, &state);
    assert_fails(pm_parts_split(v.splitter, (pm_bytes){text, PM_PARTS_MAX_BYTES + 1}, 1, &err), PM_LIMIT, "at most 65535");
    assert_ok(pm_parts_split(v.splitter, (pm_bytes){text, PM_PARTS_MAX_BYTES}, 1, &err));
    v.counts[0] = PM_PARTS_MAX_BYTES;
    compare(&v);
    free(text);
    release(&v);
}
END_TEST

/* ---------------------------------------------------------------- pruning ---- */

enum { MAX_COUNTED = 3000 };

typedef struct counted {
    uint8_t bytes[MAX_COUNTED][64];
    pm_bytes pieces[MAX_COUNTED];
    uint64_t counts[MAX_COUNTED];
    size_t n;
} counted;

static int by_bytes(const void *left, const void *right) { return pm_bytes_compare(*(const pm_bytes *)left, *(const pm_bytes *)right); }

static void random_counted(counted *c, unsigned alphabet, uint64_t *state) {
    size_t n = 1 + random_word(state) % MAX_COUNTED, distinct = 0;
    for (size_t i = 0; i < n; i++) {
        c->pieces[i] = (pm_bytes){c->bytes[i], random_text(c->bytes[i], 1 + random_word(state) % 9, 64, alphabet, state)};
    }
    qsort(c->pieces, n, sizeof *c->pieces, by_bytes);
    for (size_t i = 0; i < n; i++) {
        if (!distinct || !pm_bytes_equal(c->pieces[distinct - 1], c->pieces[i])) {
            c->counts[distinct] = 1 + random_word(state) % (random_word(state) % 3 ? 2 : 50);
            c->pieces[distinct++] = c->pieces[i];
        }
    }
    c->n = distinct;
}

static pm_store *store_of(const counted *c, uint64_t room) {
    pm_store_sink sink;
    pm_store *store;
    pm_error err = {0};
    assert_ok(pm_store_sink_open(&sink, 0, room, NULL, &err));
    for (size_t i = 0; i < c->n; i++) {
        assert_ok(sink.sink.take(&sink.sink, c->pieces[i].data, c->pieces[i].len, c->counts[i], 0, &err));
    }
    assert_ok(pm_store_sink_close(&sink, PM_OK, &store, &err));
    return store;
}

/* One of the ways to feed it, by number. */
enum { WAYS = 4 };

static void prune(pm_pruned *out, const counted *c, pm_prune_options o, const size_t *sizes, size_t n_sizes, int way) {
    pm_error err = {0};
    pm_ticker ticker;
    pm_pruner *p;
    pm_store *store = way < 2 ? store_of(c, way ? 0 : UINT64_MAX) : NULL;
    pm_ticker_init(&ticker, NULL, NULL, 0);
    o.threads = way % 2 ? 3 : 1;
    o.memory = way == 3 ? 0 : UINT64_MAX;
    assert_ok(pm_pruner_new(&p, &o, &ticker, &err));
    if (store) {
        assert_ok(pm_pruner_add_store(p, store, &err));
    }
    for (size_t i = 0; !store && i < c->n; i++) {
        size_t k = (i * 7 + 1) % c->n; /* in some other order where it can be */
        k = c->n % 7 ? k : i;
        assert_ok(pm_pruner_add(p, c->pieces[k], c->counts[k], &err));
    }
    assert_ok(pm_pruner_run(p, out, sizes, n_sizes, &err));
    pm_pruner_free(p);
    pm_store_free(store);
}

static oracle_dict dict_of(const pm_pruned *p, size_t size) {
    oracle_dict d = {0};
    for (size_t i = 0; i < p->n; i++) {
        if (p->counts[size][i]) {
            oracle_dict_add(&d, p->pieces[i], p->counts[size][i]);
        }
    }
    oracle_dict_settle(&d);
    return d;
}

static void assert_same(const oracle_dict *a, const oracle_dict *b) {
    ck_assert_uint_eq(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        ck_assert(pm_bytes_equal(a->items[i].key, b->items[i].key));
        ck_assert_uint_eq(a->items[i].count, b->items[i].count);
    }
}

/* Pruning with required and excluded pieces, as the essay in prune.c has it. */
static bool among(pm_bytes piece, const pm_bytes *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (pm_bytes_equal(piece, list[i])) {
            return true;
        }
    }
    return false;
}

static void twin_split(oracle_dict *into, const oracle_dict *keep, pm_bytes piece, uint64_t count) {
    size_t ends[64];
    for (size_t i = 0, n = oracle_best(keep, piece, ends); i < n; i++) {
        size_t begin = i ? ends[i - 1] : 0;
        oracle_dict_add(into, (pm_bytes){piece.data + begin, ends[i] - begin}, count);
    }
}

static void twin_settle(oracle_dict *keep, const pm_prune_options *o) {
    size_t before;
    do {
        oracle_dict next = {0};
        before = keep->n;
        oracle_set_logs(keep);
        for (size_t i = 0; i < keep->n; i++) {
            oracle_entry e = keep->items[i];
            if (among(e.key, o->required, o->n_required)) {
                oracle_dict_add(&next, e.key, e.count);
            } else {
                twin_split(&next, keep, e.key, e.count);
            }
        }
        oracle_dict_settle(&next);
        oracle_dict_free(keep);
        *keep = next;
    } while (keep->n != before);
}

/* Adds the parts of what is dropped, all found before any is added, and settles. */
static void twin_drop(oracle_dict *keep, oracle_dict *drop, const pm_prune_options *o) {
    oracle_dict parts = {0};
    oracle_set_logs(keep);
    for (size_t i = 0; i < drop->n; i++) {
        twin_split(&parts, keep, drop->items[i].key, drop->items[i].count);
    }
    for (size_t i = 0; i < parts.n; i++) {
        oracle_dict_add(keep, parts.items[i].key, parts.items[i].count);
    }
    oracle_dict_settle(keep);
    oracle_dict_free(&parts);
    oracle_dict_free(drop);
    twin_settle(keep, o);
}

static const pm_prune_options *twin_options;

static int by_use(const void *left, const void *right) {
    const oracle_entry *a = left, *b = right;
    bool fixed_a = a->key.len == 1 || among(a->key, twin_options->required, twin_options->n_required),
         fixed_b = b->key.len == 1 || among(b->key, twin_options->required, twin_options->n_required);
    if (fixed_a != fixed_b) {
        return fixed_a ? -1 : 1;
    }
    if (a->count != b->count) {
        return a->count > b->count ? -1 : 1;
    }
    return a->key.len != b->key.len ? (a->key.len > b->key.len ? -1 : 1) : pm_bytes_compare(a->key, b->key);
}

static oracle_dict twin_begin(const counted *c, const pm_prune_options *o) {
    static uint8_t single[256];
    oracle_dict keep = {0}, drop = {0}, all = {0};
    for (size_t i = 0; i < c->n; i++) {
        oracle_dict_add(&all, c->pieces[i], c->counts[i]);
    }
    oracle_dict_settle(&all);
    for (size_t i = 0; i < 256 + o->n_required; i++) {
        pm_bytes piece = i < 256 ? (pm_bytes){&single[i], 1} : o->required[i - 256];
        single[i % 256] = i < 256 ? (uint8_t)i : single[i % 256];
        if (!oracle_dict_find(&all, piece) && !(i >= 256 && piece.len == 1)) {
            oracle_dict_add(&keep, piece, 1);
        }
    }
    for (size_t i = 0; i < all.n; i++) {
        oracle_entry e = all.items[i];
        bool kept = e.key.len == 1 || among(e.key, o->required, o->n_required) ||
                    (e.key.len <= o->max_length && e.count >= o->min_count && !among(e.key, o->excluded, o->n_excluded));
        oracle_dict_add(kept ? &keep : &drop, e.key, e.count);
    }
    oracle_dict_settle(&keep);
    oracle_dict_free(&all);
    twin_drop(&keep, &drop, o);
    return keep;
}

static void twin_cut(oracle_dict *keep, size_t size, const pm_prune_options *o) {
    oracle_dict drop = {0};
    if (keep->n <= size) {
        return;
    }
    twin_options = o;
    qsort(keep->items, keep->n, sizeof *keep->items, by_use);
    for (size_t i = size; i < keep->n; i++) {
        oracle_dict_add(&drop, keep->items[i].key, keep->items[i].count);
    }
    keep->n = size;
    oracle_dict_settle(keep);
    twin_drop(keep, &drop, o);
}

static void choose_pieces(const counted *c, pm_bytes *required, pm_bytes *excluded, pm_prune_options *o, uint64_t *state) {
    o->required = required;
    o->excluded = excluded;
    for (size_t i = 0; i < c->n; i++) {
        uint64_t k = random_word(state) % 40;
        if (k == 0) {
            required[o->n_required++] = c->pieces[i];
        } else if (k == 1 && c->pieces[i].len > 1) {
            excluded[o->n_excluded++] = c->pieces[i];
        }
    }
    required[o->n_required++] = (pm_bytes){(const uint8_t *)"never seen", 10};
    excluded[o->n_excluded++] = (pm_bytes){(const uint8_t *)"nor this", 8};
}

START_TEST(pruning_equals_its_twin_however_it_is_fed) {
    static counted c;
    static pm_bytes required[MAX_COUNTED + 1], excluded[MAX_COUNTED + 1];
    uint64_t state = 17;
    for (int round = 0; round < (quick() ? 4 : 12); round++) {
        pm_prune_options o = {.max_length = 1 + random_word(&state) % 30, .min_count = random_word(&state) % 4};
        random_counted(&c, (unsigned)round % ALPHABETS, &state);
        if (round % 3) {
            choose_pieces(&c, required, excluded, &o, &state);
        }
        size_t sizes[] = {256 + o.n_required + random_word(&state) % 300, 0};
        sizes[1] = 256 + o.n_required + random_word(&state) % (sizes[0] - 255 - o.n_required);
        oracle_dict keep = twin_begin(&c, &o), first = {0};
        twin_cut(&keep, sizes[0], &o);
        for (size_t i = 0; i < keep.n; i++) {
            oracle_dict_add(&first, keep.items[i].key, keep.items[i].count);
        }
        oracle_dict_settle(&first);
        twin_cut(&keep, sizes[1], &o);
        for (int way = 0; way < WAYS; way++) {
            pm_pruned out;
            prune(&out, &c, o, sizes, 2, way);
            oracle_dict found[2] = {dict_of(&out, 0), dict_of(&out, 1)};
            assert_same(&found[0], &first);
            assert_same(&found[1], &keep);
            for (size_t i = 0; i < o.n_required; i++) {
                ck_assert(oracle_dict_find(&found[1], required[i]) != NULL);
            }
            for (size_t i = 0; i < o.n_excluded; i++) {
                ck_assert(oracle_dict_find(&found[0], excluded[i]) == NULL);
            }
            oracle_dict_free(&found[0]);
            oracle_dict_free(&found[1]);
            pm_pruned_release(&out);
        }
        oracle_dict_free(&first);
        oracle_dict_free(&keep);
    }
}
END_TEST

START_TEST(counts_that_no_text_gives_are_refused) {
    pm_error err = {0};
    pm_ticker ticker;
    pm_pruner *p;
    pm_pruned out;
    pm_prune_options o = {.max_length = 36, .min_count = 2, .threads = 1, .memory = UINT64_MAX};
    const uint8_t *text = (const uint8_t *)"ab";
    size_t size = 300;
    pm_ticker_init(&ticker, NULL, NULL, 0);
    assert_ok(pm_pruner_new(&p, &o, &ticker, &err));
    assert_fails(pm_pruner_add(p, (pm_bytes){text, 2}, UINT64_MAX, &err), PM_LIMIT, "2^62");
    pm_pruner_free(p);
    assert_ok(pm_pruner_new(&p, &o, &ticker, &err));
    assert_ok(pm_pruner_add(p, (pm_bytes){text, 2}, UINT64_C(1) << 60, &err)); /* as large as possible */
    assert_ok(pm_pruner_add(p, (pm_bytes){text, 1}, 1, &err));
    assert_ok(pm_pruner_run(p, &out, &size, 1, &err));
    oracle_dict found = dict_of(&out, 0);
    ck_assert_uint_eq(oracle_dict_find(&found, (pm_bytes){text, 2})->count, UINT64_C(1) << 60);
    oracle_dict_free(&found);
    pm_pruned_release(&out);
    pm_pruner_free(p);
}
END_TEST

Suite *suite_prune(void);
Suite *suite_prune(void) {
    Suite *s = suite_create("prune");
    TCase *t = tcase_create("parts");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, parts_equal_the_twins);
    tcase_add_test(t, each_piece_of_a_vocabulary_is_found_alone);
    tcase_add_test(t, too_long_a_text_is_refused);
    suite_add_tcase(s, t);
    t = tcase_create("pruning");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, pruning_equals_its_twin_however_it_is_fed);
    tcase_add_test(t, counts_that_no_text_gives_are_refused);
    suite_add_tcase(s, t);
    return s;
}
