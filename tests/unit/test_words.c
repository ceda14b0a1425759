/* test_words.c - counting pre-tokens, against a twin that sorts all occurrences: threads, limits, documents, weights, rounds. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/file.h"
#include "count/words.h"
#include "support.h"

static pm_error err;

/* As ck_assert, which takes a system call each time. */
static void check(bool holds) {
    if (!holds) {
        ck_abort_msg("a check failed: %s", err.message);
    }
}

/* ---------------------------------------------------------------- texts ---- */

enum { FILES = 3, MAX_OCCURRENCES = 150000, LONG = 700000 };

static const uint32_t weights[FILES] = {1, 3, PM_WEIGHT_MAX};

/* Lines of words: some frequent, most of them rare and longer than a pair of numbers. */
static void add_lines(pm_buf *text, uint64_t *state, unsigned lines) {
    for (unsigned i = 0; i < lines; i++) {
        for (uint64_t k = random_word(state) % 30; k; k--) {
            uint64_t word = random_word(state) % 3 ? random_word(state) : random_word(state) % 500;
            char letters[32] = " abcdefghijklmnopqrstuvwxyz";
            size_t len = 2 + word % 24;
            for (uint64_t rest = word / 24; rest && len > 4; rest /= 26) {
                letters[1 + rest % (len - 1)] = (char)('a' + rest % 26);
            }
            check(pm_buf_append(text, letters, len, &err) == PM_OK);
        }
        check(pm_buf_append(text, "\n", 1, &err) == PM_OK);
    }
}

/* File i: the first has words longer than a chunk of records (the end of them looked at, too), the last one word so often that its weight
 * passes 32 bits. */
static pm_buf make_text(unsigned i) {
    pm_buf text = {0};
    uint64_t state = 100 + i;
    add_lines(&text, &state, i == 2 ? 100 : 2000);
    if (i == 0) {
        for (unsigned k = 0; k < 4; k++) {
            assert_ok(pm_buf_reserve(&text, LONG + 1, &err));
            memset(text.data + text.len, 'x', LONG - k / 2);
            text.len += LONG - k / 2;
            text.data[text.len++] = '\n';
            add_lines(&text, &state, 400);
        }
    }
    for (unsigned k = 0; i == 2 && k < 9000; k++) {
        check(pm_buf_printf(&text, &err, " again%s", k % 9 ? "" : "\n") == PM_OK);
    }
    return text;
}

static pm_corpus *open_corpus(pm_buf texts[FILES]) {
    pm_corpus *corpus;
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    for (unsigned i = 0; i < FILES; i++) {
        const char *path = temporary_file("words.txt", texts[i].data, texts[i].len);
        char named[600];
        snprintf(named, sizeof named, "%s.%u.txt", path, i);
        ck_assert_int_eq(rename(path, named), 0);
        assert_ok(pm_corpus_add_file_weighted(corpus, named, weights[i], &err));
    }
    return corpus;
}

static pm_splitter *new_splitter(void) {
    static const char *const name = "gpt2";
    pm_splitter *splitter;
    assert_ok(pm_splitter_new(&splitter, &name, 1, &err));
    return splitter;
}

/* ---------------------------------------------------------------- the twin ---- */

typedef struct counted {
    pm_bytes text;
    uint64_t document; /* the occurrence's */
    uint64_t weight, documents;
} counted;

static int by_text(const void *a, const void *b) {
    const counted *x = a, *y = b;
    size_t least = x->text.len < y->text.len ? x->text.len : y->text.len;
    int order = memcmp(x->text.data, y->text.data, least);
    order = order ? order : (x->text.len > y->text.len) - (x->text.len < y->text.len);
    return order ? order : (x->document > y->document) - (x->document < y->document);
}

static bool same_text(const counted *x, const counted *y) {
    return x->text.len == y->text.len && memcmp(x->text.data, y->text.data, x->text.len) == 0;
}

/* All words of all files, each occurrence for itself, sorted. */
static size_t list_occurrences(counted *out, pm_buf texts[FILES], const pm_splitter *splitter) {
    pm_split_scratch *scratch;
    size_t n = 0, end, got;
    uint64_t document = 0;
    assert_ok(pm_split_scratch_new(&scratch, splitter, &err));
    for (unsigned i = 0; i < FILES; i++) {
        const uint8_t *p = texts[i].data, *stop = p + texts[i].len;
        while (p < stop) {
            const uint8_t *newline = memchr(p, '\n', (size_t)(stop - p));
            size_t len = newline ? (size_t)(newline + 1 - p) : (size_t)(stop - p), start = 0;
            pm_split_begin(scratch, p, len);
            document++;
            do {
                check(pm_split_next(scratch, &end, 1, &got, &err) == PM_OK);
                if (got) {
                    check(n < MAX_OCCURRENCES);
                    out[n++] = (counted){{p + start, end - start}, document, weights[i], 0};
                    start = end;
                }
            } while (got);
            p += len;
        }
    }
    pm_split_scratch_free(scratch);
    qsort(out, n, sizeof *out, by_text);
    return n;
}

/* Words with what they weigh when at most `most` occurrences in a document count. */
static size_t add_occurrences(counted *out, const counted *all, size_t n_all, uint64_t most) {
    size_t n = 0;
    uint64_t here = 0;
    for (size_t i = 0; i < n_all; i++) {
        bool word = i == 0 || !same_text(&all[i], &all[i - 1]), document = word || all[i].document != all[i - 1].document;
        if (word) {
            out[n++] = (counted){all[i].text, 0, 0, 0};
        }
        here = document ? 1 : here + 1;
        out[n - 1].documents += document ? all[i].weight : 0;
        out[n - 1].weight += here <= most ? all[i].weight : 0;
    }
    return n;
}

/* ---------------------------------------------------------------- what was counted ---- */

/* The records of a store, copied to the arena, sorted, equal ones added up. */
static size_t list_store(counted *out, pm_store *store, bool documents, pm_arena *arena) {
    pm_chunk *buffer = NULL;
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < pm_store_size(store); i++) {
        const pm_chunk *c;
        assert_ok(pm_store_get(store, i, &buffer, &c, &err));
        for (size_t at = sizeof *c; at < c->used;) {
            const pm_record *r = pm_record_at(c, at);
            const uint8_t *cells = pm_record_cells(r);
            at += pm_word_record_bytes(r->n, documents);
            if (r->weight) {
                check(n < MAX_OCCURRENCES);
                out[n++] = (counted){{pm_arena_copy(arena, cells, r->n), r->n}, 0, r->weight, documents ? pm_word_record_documents(r) : 0};
            }
            for (size_t k = r->n; k % 8; k++) {
                check(cells[k] == 0); /* filled up with zeros */
            }
        }
        ck_assert_uint_le(c->used, c->size);
    }
    pm_chunk_free(buffer);
    qsort(out, n, sizeof *out, by_text);
    for (size_t i = 0; i < n; i++) {
        if (kept && same_text(&out[kept - 1], &out[i])) {
            out[kept - 1].weight += out[i].weight;
            out[kept - 1].documents += out[i].documents;
        } else {
            out[kept++] = out[i];
        }
    }
    return kept;
}

static void compare(const counted *got, const counted *expected, size_t n, bool documents) {
    for (size_t i = 0; i < n; i++) {
        check(same_text(&got[i], &expected[i]));
        check(got[i].weight == expected[i].weight);
        check(got[i].documents == (documents ? expected[i].documents : 0));
    }
}

static const struct way {
    unsigned threads;
    uint64_t memory, store_memory, stop, most;
    bool documents;
} ways[] = {
    {1, 0, UINT64_MAX, 0, 0, false},      {2, 0, UINT64_MAX, 0, 0, false}, {3, 0, 0, 0, 0, false},      {1, 1, UINT64_MAX, 0, 0, false},
    {2, 1, 0, 0, 0, false},               {3, 1, 1 << 20, 0, 0, false},    {1, 0, UINT64_MAX, 0, 0, true}, {3, 0, 0, 0, 0, true},
    {1, 1, 0, 0, 0, true},                {2, 1, 1 << 20, 0, 0, true},     {1, 0, UINT64_MAX, 0, 1, false}, {2, 1, 0, 0, 1, false},
    {2, 1, 0, 0, 2, true},                {1, 1, 0, 0, 5, false},          {1, 0, UINT64_MAX, 600000, 0, false}, {3, 1, 0, 600000, 0, true},
    {2, 6 << 20, 0, 1, 0, false},
};
enum { WAYS = sizeof ways / sizeof *ways };

/* Counts in rounds until the corpus ends. Returns their number; the sums in *all. */
static unsigned count_rounds(pm_word_counts *all, pm_store *store, pm_corpus *corpus, const pm_count_options *options) {
    pm_ticker ticker;
    pm_word_counts counts;
    unsigned rounds = 0;
    *all = (pm_word_counts){0};
    pm_ticker_init(&ticker, NULL, NULL, 0);
    do {
        assert_ok(pm_count_words(&counts, store, corpus, options, &ticker, &err));
        ck_assert(counts.ended || counts.bytes >= options->stop);
        ck_assert(options->stop || counts.ended);
        all->words += counts.words;
        all->distinct += counts.distinct;
        all->documents += counts.documents;
        all->bytes += counts.bytes;
        all->documents_with_special += counts.documents_with_special;
        all->evicted += counts.evicted;
        rounds++;
    } while (!counts.ended);
    return rounds;
}

START_TEST(words_are_counted_alike_in_every_way) {
    static counted all[MAX_OCCURRENCES], expected[MAX_OCCURRENCES], got[MAX_OCCURRENCES];
    const struct way *w = &ways[_i];
    pm_buf texts[FILES];
    uint64_t bytes = 0, documents = 0, with_special = 0;
    XXH3_state_t hash, text_hash;
    pm_arena arena = {0};
    pm_splitter *splitter = new_splitter();
    XXH3_64bits_reset(&hash);
    XXH3_64bits_reset(&text_hash);
    for (unsigned i = 0; i < FILES; i++) {
        texts[i] = make_text(i);
        bytes += texts[i].len;
        for (uint8_t *p = texts[i].data, *stop = p + texts[i].len, *end; p < stop; p = end) {
            end = memchr(p, '\n', (size_t)(stop - p));
            end = end ? end + 1 : stop;
            documents++;
            with_special += memmem(p, (size_t)(end - p), "cdef", 4) || memmem(p, (size_t)(end - p), "aa", 2);
        }
    }
    size_t n_all = list_occurrences(all, texts, splitter), n = add_occurrences(expected, all, n_all, w->most ? w->most : UINT64_MAX);

    pm_special_token specials[2] = {{{(const uint8_t *)"cdef", 4}, PM_ID_NONE}, {{(const uint8_t *)"aa", 2}, PM_ID_NONE}};
    pm_count_options options = {splitter, specials, 2, w->threads, w->memory, w->stop, w->documents, w->most, &hash};
    pm_store *store;
    pm_word_counts counts, skipped_counts;
    pm_corpus *again = open_corpus(texts);
    pm_ticker ticker;
    pm_ticker_init(&ticker, NULL, NULL, 0);
    assert_ok(pm_count_skip(&skipped_counts, again, bytes / 3, &text_hash, &ticker, &err)); /* in two parts */
    ck_assert(skipped_counts.bytes >= bytes / 3 && skipped_counts.bytes < bytes && !skipped_counts.ended);
    uint64_t first_bytes = skipped_counts.bytes, first_documents = skipped_counts.documents;
    assert_ok(pm_count_skip(&skipped_counts, again, UINT64_MAX, &text_hash, &ticker, &err));
    ck_assert(skipped_counts.ended);
    ck_assert_uint_eq(first_bytes + skipped_counts.bytes, bytes);
    ck_assert_uint_eq(first_documents + skipped_counts.documents, documents);
    pm_corpus_free(again);
    pm_corpus *corpus = open_corpus(texts);
    assert_ok(pm_store_new(&store, w->store_memory, NULL, &err));
    unsigned rounds = count_rounds(&counts, store, corpus, &options);
    ck_assert_uint_eq(counts.words, n_all);
    ck_assert_uint_eq(counts.documents, documents);
    ck_assert_uint_eq(counts.bytes, bytes);
    ck_assert_uint_eq(counts.documents_with_special, with_special);
    ck_assert_uint_eq(XXH3_64bits_digest(&hash), XXH3_64bits_digest(&text_hash));
    ck_assert_uint_eq(counts.evicted > 0, w->memory == 1);
    ck_assert_uint_eq(list_store(got, store, w->documents, &arena), n);
    compare(got, expected, n, w->documents);
    if (!w->memory && !w->stop) {
        ck_assert_uint_eq(counts.distinct, n);
    } else {
        ck_assert_uint_ge(counts.distinct, n);
    }
    unsigned most_rounds = w->stop ? (unsigned)(bytes / (w->stop > 1 << 17 ? w->stop : 1 << 17)) + FILES + 1 : 1; /* a block has one weight */
    ck_assert_uint_le(rounds, most_rounds);
    ck_assert_uint_ge(rounds, w->stop ? 3 : 1);
    pm_store_free(store);
    pm_corpus_free(corpus);
    pm_splitter_free(splitter);
    pm_arena_release(&arena);
    for (unsigned i = 0; i < FILES; i++) {
        pm_buf_release(&texts[i]);
    }
}
END_TEST

/* ---------------------------------------------------------------- failures ---- */

static atomic_long left;
static bool refuse(void) { return atomic_fetch_sub(&left, 1) != 1; }
static int no_space(void) { return atomic_fetch_sub(&left, 1) == 1 ? ENOSPC : 0; }

/* The call fails as it should when its n-th allocation does, and the n-th read or write; n goes up until there is no n-th. */
START_TEST(allocations_and_writes_may_fail) {
    pm_buf text = {0};
    uint64_t state = 1;
    add_lines(&text, &state, 3000);
    pm_splitter *splitter = new_splitter();
    pm_count_options options = {.splitter = splitter, .threads = 1 + (unsigned)_i % 2, .memory = 1, .documents = _i % 2};
    bool allocations = _i / 2;
    pm_status status = PM_BAD_INPUT;
    unsigned failed = 0;
    for (long n = 1; status != PM_OK; n += n < 12 ? 1 : 11) {
        pm_corpus *corpus;
        pm_store *store;
        pm_word_counts counts;
        pm_ticker ticker;
        pm_ticker_init(&ticker, NULL, NULL, 0);
        assert_ok(pm_corpus_new(&corpus, NULL, &err));
        assert_ok(pm_corpus_add_document(corpus, (pm_bytes){text.data, text.len / 2}, &err));
        assert_ok(pm_corpus_add_document(corpus, (pm_bytes){text.data + text.len / 2, text.len / 2}, &err));
        assert_ok(pm_store_new(&store, 0, NULL, &err));
        atomic_store(&left, n);
        pm_alloc_test_hook = allocations ? refuse : NULL;
        pm_io_test_hook = allocations ? NULL : no_space;
        status = pm_count_words(&counts, store, corpus, &options, &ticker, &err);
        pm_alloc_test_hook = NULL;
        pm_io_test_hook = NULL;
        ck_assert_int_eq(status, status == PM_OK ? PM_OK : allocations ? PM_NO_MEMORY : PM_IO);
        ck_assert(status != PM_OK || options.threads > 1 || counts.evicted);
        failed += status != PM_OK;
        pm_store_free(store);
        pm_corpus_free(corpus);
    }
    ck_assert_uint_gt(failed, 2);
    pm_splitter_free(splitter);
    pm_buf_release(&text);
}
END_TEST

/* Asked at every tick. */
static int stop_later(void *user, const pm_progress *p) {
    ((pm_ticker *)user)->last = -1;
    return p->done > 1200000;
}

START_TEST(counting_can_be_cancelled) {
    pm_buf texts[FILES];
    pm_splitter *splitter = new_splitter();
    for (unsigned i = 0; i < FILES; i++) {
        texts[i] = make_text(i);
    }
    for (unsigned threads = 1; threads <= 2; threads++) {
        pm_corpus *corpus = open_corpus(texts);
        pm_store *store;
        pm_word_counts counts;
        pm_ticker ticker;
        pm_count_options options = {.splitter = splitter, .threads = threads};
        assert_ok(pm_store_new(&store, UINT64_MAX, NULL, &err));
        pm_ticker_init(&ticker, stop_later, &ticker, 0);
        assert_fails(pm_count_words(&counts, store, corpus, &options, &ticker, &err), PM_CANCELLED, "cancelled");
        ck_assert_uint_lt(counts.bytes, 1200000 + 6 * (1 << 17) + LONG);
        pm_store_free(store);
        pm_corpus_free(corpus);
    }
    pm_splitter_free(splitter);
    for (unsigned i = 0; i < FILES; i++) {
        pm_buf_release(&texts[i]);
    }
}
END_TEST

Suite *suite_words(void) {
    Suite *suite = suite_create("words");
    TCase *tc = tcase_create("words");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, words_are_counted_alike_in_every_way, 0, WAYS);
    tcase_add_loop_test(tc, allocations_and_writes_may_fail, 0, 4);
    tcase_add_test(tc, counting_can_be_cancelled);
    suite_add_tcase(suite, tc);
    return suite;
}
