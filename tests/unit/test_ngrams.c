/* test_ngrams.c - counts of n-grams against a list that is sorted, with any memory and weights; models from counts and
 * from the n-grams one by one. */
#include "count/ngram_model.h"
#include "support.h"
#include "train/segment.h"

enum { MAX_LEN = 400000 };

typedef struct corpus { /* in runs of one weight each */
    pm_chunks runs[8];
    size_t n;
} corpus;

/* Chunks of 0 .. 60 bytes of an alphabet. */
static void random_corpus(corpus *c, uint64_t *state, size_t len, unsigned letters, bool weighted) {
    pm_error err = {0};
    *c = (corpus){.n = 1 + random_word(state) % 8};
    for (size_t i = 0; i < c->n; i++) {
        pm_chunks *run = &c->runs[i];
        const uint64_t shift = random_word(state) % 21, any = random_word(state) >> 44;
        run->weight = !weighted ? 1 : i % 2 ? 1u << shift : 1 + (uint32_t)(any >> shift); /* powers of two leave no count beside the carry */
        while (run->len < len / c->n) {
            uint8_t chunk[60];
            size_t n = random_word(state) % sizeof chunk;
            for (size_t k = 0; k < n; k++) {
                uint64_t r = random_word(state);
                chunk[k] = (uint8_t)(r % 64 == 0 ? 0 : r % 3 == 0 && k ? chunk[k - 1] : (r >> 8) % letters);
            }
            assert_ok(pm_chunks_add(run, chunk, n, &err));
        }
    }
}

static void corpus_release(corpus *c) {
    for (size_t i = 0; i < c->n; i++) {
        pm_chunks_release(&c->runs[i]);
    }
}

static pm_status feed(pm_ngram_counter **counter, const corpus *c, unsigned order, const pm_count_work *work,
                      pm_error *err) {
    PM_TRY(pm_ngram_counter_new(counter, order, work, err));
    for (size_t i = 0; i < c->n; i++) {
        PM_TRY(pm_ngram_count(*counter, (unsigned)(i % work->threads), &c->runs[i], err));
    }
    return PM_OK;
}

/* ---- the twin ---- */

typedef struct list {
    pm_ngram *items;
    size_t n, cap;
} list;

static pm_status append(void *ctx, const pm_ngram *ngram, pm_error *err) {
    list *l = ctx;
    PM_TRY(pm_grow((void **)&l->items, &l->cap, l->n + 1, sizeof *l->items, err));
    l->items[l->n++] = *ngram;
    return PM_OK;
}

static int in_order(const void *left, const void *right) {
    const pm_ngram *a = left, *b = right;
    return a->word != b->word ? (a->word > b->word ? 1 : -1) : (a->len > b->len) - (a->len < b->len);
}

static list plain_count(const corpus *c, unsigned order) {
    pm_error err = {0};
    list l = {0};
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        const pm_chunks *run = &c->runs[i];
        for (size_t k = 0, at = 0; k < run->n; k++) {
            for (; at < run->ends[k]; at++) {
                pm_ngram g = {0, run->ends[k] - at < order ? (unsigned)(run->ends[k] - at) : order, run->weight};
                for (unsigned b = 0; b < g.len; b++) {
                    g.word |= (uint64_t)run->text[at + b] << (56 - 8 * b);
                }
                assert_ok(append(&l, &g, &err));
            }
        }
    }
    qsort(l.items, l.n, sizeof *l.items, in_order);
    for (size_t i = 0; i < l.n; i++) {
        if (n && in_order(&l.items[n - 1], &l.items[i]) == 0) {
            l.items[n - 1].count += l.items[i].count;
        } else {
            l.items[n++] = l.items[i];
        }
    }
    l.n = n;
    return l;
}

static void assert_equal_lists(const list *a, const list *b) {
    ck_assert_uint_eq(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        ck_assert_uint_eq(a->items[i].word, b->items[i].word);
        ck_assert_uint_eq(a->items[i].len, b->items[i].len);
        ck_assert_uint_eq(a->items[i].count, b->items[i].count);
    }
}

/* What a counter with these settings makes of the corpus. */
static void check_counts(const corpus *c, unsigned order, const pm_count_work *work, const list *want) {
    pm_error err = {0};
    pm_ngram_counter *counter;
    list got = {0};
    assert_ok(feed(&counter, c, order, work, &err));
    assert_ok(pm_ngram_counter_stream(counter, work, append, &got, &err));
    assert_equal_lists(want, &got);
    pm_ngram_counter_free(counter);
    pm_free(got.items);
}

/* ---- tests ---- */

START_TEST(counts_equal_those_of_a_sorted_list) {
    const unsigned order = 1 + (unsigned)_i;
    uint64_t state = order;
    for (int round = 0; round < 8; round++) {
        static const unsigned letters[] = {2, 256, 20, 3};
        corpus c;
        random_corpus(&c, &state, round < 4 ? 2000 : 20000, letters[round % 4], round % 2);
        list want = plain_count(&c, order);
        for (unsigned threads = 1; threads < 4; threads += 2) {
            for (int limited = 0; limited < 2; limited++) {
                const pm_count_work work = {.threads = threads, .memory = limited ? 0 : UINT64_MAX};
                check_counts(&c, order, &work, &want);
            }
        }
        pm_free(want.items);
        corpus_release(&c);
    }
}
END_TEST

/* So many runs of a shard that they are united, more than once. */
START_TEST(many_runs_are_united) {
    const pm_count_work work = {.threads = 1};
    corpus c;
    uint64_t state = 9;
    random_corpus(&c, &state, MAX_LEN, 2, false);
    list want = plain_count(&c, 6);
    check_counts(&c, 6, &work, &want);
    pm_free(want.items);
    corpus_release(&c);
}
END_TEST

static pm_ngram_model *model_one_by_one(const list *l, unsigned order, const pm_count_work *work) {
    pm_error err = {0};
    pm_ngram_builder *b;
    pm_ngram_model *model;
    assert_ok(pm_ngram_builder_new(&b, order, 2, work, &err));
    for (size_t i = 0; i < l->n; i++) {
        assert_ok(pm_ngram_builder_add(b, &l->items[i], &err));
    }
    assert_ok(pm_ngram_builder_finish(&model, b, &err));
    pm_ngram_builder_free(b);
    return model;
}

static void assert_equal_models(const pm_ngram_model *a, const pm_ngram_model *b, const corpus *c) {
    pm_error err = {0};
    pm_segmenter one = {0}, other = {0};
    ck_assert_uint_eq(a->bytes, b->bytes);
    ck_assert_mem_eq(a->first, b->first, sizeof a->first);
    for (size_t i = 0; i < c->n; i++) {
        const pm_chunks *run = &c->runs[i];
        assert_ok(pm_segment(&one, a, false, run->text, run->ends, run->n, &err));
        assert_ok(pm_segment(&other, b, false, run->text, run->ends, run->n, &err));
        ck_assert_uint_eq(one.n, other.n);
        ck_assert_mem_eq(one.spans, other.spans, one.n * sizeof *one.spans);
    }
    pm_segmenter_release(&one);
    pm_segmenter_release(&other);
}

START_TEST(a_model_is_the_same_from_memory_from_runs_and_one_by_one) {
    const unsigned order = 1 + (unsigned)_i;
    uint64_t state = order;
    pm_error err = {0};
    corpus c;
    random_corpus(&c, &state, 30000, 5, true);
    list counts = plain_count(&c, order);
    const pm_count_work work = {.threads = 2, .memory = UINT64_MAX}, little = {.threads = 2};
    pm_ngram_model *models[3] = {NULL, NULL, model_one_by_one(&counts, order, &work)};
    for (int i = 0; i < 2; i++) {
        pm_ngram_counter *counter;
        assert_ok(feed(&counter, &c, order, i ? &little : &work, &err));
        assert_ok(pm_ngram_model_new(&models[i], counter, 2, &work, &err));
        pm_ngram_counter_free(counter);
    }
    assert_equal_models(models[0], models[1], &c);
    assert_equal_models(models[0], models[2], &c);
    for (int i = 0; i < 3; i++) {
        pm_ngram_model_free(models[i]);
    }
    pm_free(counts.items);
    corpus_release(&c);
}
END_TEST

/* ---- a model in parts ---- */

typedef struct found { /* the spans of each run, by its section */
    pm_buf spans[8];
} found;

static pm_status keep_spans(void *ctx, unsigned thread, const pm_chunks *run, const pm_span *spans, size_t n,
                            pm_error *err) {
    found *f = ctx;
    (void)thread;
    return pm_buf_append(&f->spans[run->section], spans, n * sizeof *spans, err);
}

static void found_release(found *f) {
    for (size_t i = 0; i < 8; i++) {
        pm_buf_release(&f->spans[i]);
    }
}

static pm_status spool_of(pm_spool **spool, const corpus *c, uint64_t memory, pm_error *err) {
    PM_TRY(pm_spool_new(spool, memory, NULL, err));
    for (size_t i = 0; i < c->n; i++) {
        pm_chunks copy = {.section = i};
        pm_status status = PM_OK;
        for (size_t k = 0, at = 0; status == PM_OK && k < c->runs[i].n; at = c->runs[i].ends[k++]) {
            status = pm_chunks_add(&copy, c->runs[i].text + at, c->runs[i].ends[k] - at, err);
        }
        status = status == PM_OK ? pm_spool_put(*spool, &copy, err) : status;
        pm_chunks_release(&copy);
        PM_TRY(status);
    }
    return PM_OK;
}

static pm_status segment_all(found *f, const corpus *c, unsigned order, bool wide, const pm_count_work *work,
                             unsigned *parts, pm_error *err) {
    pm_ngram_counter *counter = NULL;
    pm_ngram_model *model = NULL;
    pm_spool *spool = NULL;
    pm_status status = feed(&counter, c, order, work, err);
    if (status == PM_OK && wide) {
        pm_ngram_counter_widen(counter);
    }
    status = status == PM_OK ? pm_ngram_model_new(&model, counter, 2, work, err) : status;
    status = status == PM_OK ? spool_of(&spool, c, work->memory, err) : status;
    status = status == PM_OK ? pm_segment_spool(model, spool, NULL, 0, true, work, keep_spans, f, err) : status;
    *parts = model ? model->n_parts : 0;
    pm_spool_free(spool);
    pm_ngram_model_free(model);
    pm_ngram_counter_free(counter);
    return status;
}

START_TEST(a_model_in_parts_finds_the_same_pieces) {
    const unsigned order = 1 + (unsigned)_i;
    uint64_t state = order + 20;
    pm_error err = {0};
    corpus c;
    random_corpus(&c, &state, 300000, 6, true);
    for (int wide = 0; wide < 2; wide++) {
        for (unsigned threads = 1; threads < 3; threads++) {
            const pm_count_work all = {.threads = 1, .memory = UINT64_MAX},
                                little = {.threads = threads, .memory = 20000};
            found want = {0}, got = {0};
            unsigned parts;
            assert_ok(segment_all(&want, &c, order, wide, &all, &parts, &err));
            ck_assert_uint_eq(parts, 1);
            assert_ok(segment_all(&got, &c, order, wide, &little, &parts, &err));
            ck_assert_uint_ge(parts, order > 3 ? 3 : 1);
            for (size_t i = 0; i < c.n; i++) {
                ck_assert_uint_eq(want.spans[i].len, got.spans[i].len);
                ck_assert_mem_eq(want.spans[i].data, got.spans[i].data, got.spans[i].len);
            }
            found_release(&want);
            found_release(&got);
        }
    }
    corpus_release(&c);
}
END_TEST

START_TEST(a_builder_refuses_what_counting_does_not_give) {
    static const struct {
        pm_ngram first, second;
        pm_status status;
    } cases[] = {
        {{UINT64_C(0x61) << 56, 1, 1}, {UINT64_C(0x6162) << 48, 0, 1}, PM_BAD_FORMAT},
        {{UINT64_C(0x61) << 56, 1, 1}, {UINT64_C(0x6162636465) << 24, 5, 1}, PM_BAD_FORMAT},
        {{UINT64_C(0x61) << 56, 1, 1}, {UINT64_C(0x61) << 56, 1, 1}, PM_BAD_FORMAT},
        {{UINT64_C(0x61) << 56, 2, 1}, {UINT64_C(0x61) << 56, 1, 1}, PM_BAD_FORMAT},
        {{UINT64_C(0x6162) << 48, 2, 1}, {UINT64_C(0x6161) << 48, 3, 1}, PM_BAD_FORMAT},
        {{UINT64_C(0x6162) << 48, 2, 1}, {UINT64_C(0x6162) << 48, 3, (UINT64_C(1) << 62) - 1}, PM_OK},
        {{UINT64_C(0x6162) << 48, 2, 1}, {UINT64_C(0x6162) << 48, 3, UINT64_C(1) << 62}, PM_LIMIT},
    };
    const pm_count_work work = {.threads = 1, .memory = UINT64_MAX};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pm_error err = {0};
        pm_ngram_builder *b;
        assert_ok(pm_ngram_builder_new(&b, 4, 2, &work, &err));
        assert_ok(pm_ngram_builder_add(b, &cases[i].first, &err));
        ck_assert_int_eq(pm_ngram_builder_add(b, &cases[i].second, &err), cases[i].status);
        pm_ngram_builder_free(b);
    }
}
END_TEST

START_TEST(more_than_2_to_62_positions_are_refused) {
    pm_error err = {0};
    const pm_count_work work = {.threads = 1, .memory = UINT64_MAX};
    pm_ngram_counter *counter;
    pm_chunks run = {0};
    assert_ok(pm_chunks_add(&run, (const uint8_t *)"aaaaaaaaa", 9, &err));
    assert_ok(pm_ngram_counter_new(&counter, 2, &work, &err));
    run.weight = 1 << 20;
    run.len = UINT32_MAX; /* says that it is longer than it is: only the sum is looked at */
    for (int i = 0; i < 1024; i++) {
        assert_ok(pm_ngram_count(counter, 0, &run, &err));
    }
    ck_assert_int_eq(pm_ngram_count(counter, 0, &run, &err), PM_LIMIT);
    pm_ngram_counter_free(counter);
    pm_chunks_release(&run);
}
END_TEST

static uint64_t allowed;
static bool allow_some(void) { return allowed && allowed--; }
static int allow_some_io(void) { return allowed && allowed-- ? 0 : 5; }

static pm_status try_all(const corpus *c, const pm_count_work *work, pm_error *err) {
    pm_ngram_counter *counter = NULL;
    pm_ngram_model *model = NULL;
    list got = {0};
    pm_status status = feed(&counter, c, 4, work, err);
    if (status == PM_OK) {
        status = pm_ngram_counter_stream(counter, work, append, &got, err);
    }
    pm_ngram_counter_free(counter);
    pm_free(got.items);
    counter = NULL;
    if (status == PM_OK) {
        status = feed(&counter, c, 4, work, err);
    }
    if (status == PM_OK) {
        status = pm_ngram_model_new(&model, counter, 2, work, err);
    }
    pm_ngram_counter_free(counter);
    pm_ngram_model_free(model);
    if (status == PM_OK) {
        found f = {0};
        unsigned parts;
        status = segment_all(&f, c, 4, false, work, &parts, err);
        ck_assert(status != PM_OK || parts > 1);
        found_release(&f);
    }
    return status;
}

START_TEST(every_failure_is_reported) {
    pm_error err = {0};
    const pm_count_work work = {.threads = 1};
    corpus c;
    uint64_t state = 3;
    random_corpus(&c, &state, 3000, 3, false);
    for (int kind = 0; kind < 2; kind++) {
        pm_status status = PM_NO_MEMORY;
        for (uint64_t n = 0; status != PM_OK; n += 1 + n / 16) {
            ck_assert_uint_lt(n, 100000);
            allowed = n;
            pm_io_test_hook = kind ? allow_some_io : NULL;
            pm_alloc_test_hook = kind ? NULL : allow_some;
            status = try_all(&c, &work, &err);
            pm_alloc_test_hook = NULL;
            pm_io_test_hook = NULL;
            ck_assert(status == PM_OK || status == (kind ? PM_IO : PM_NO_MEMORY));
        }
    }
    corpus_release(&c);
}
END_TEST

Suite *suite_ngrams(void);
Suite *suite_ngrams(void) {
    Suite *suite = suite_create("ngrams");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 240);
    tcase_add_loop_test(tc, counts_equal_those_of_a_sorted_list, 0, 7);
    tcase_add_test(tc, many_runs_are_united);
    tcase_add_loop_test(tc, a_model_is_the_same_from_memory_from_runs_and_one_by_one, 0, 7);
    tcase_add_loop_test(tc, a_model_in_parts_finds_the_same_pieces, 0, 7);
    tcase_add_test(tc, a_builder_refuses_what_counting_does_not_give);
    tcase_add_test(tc, more_than_2_to_62_positions_are_refused);
    tcase_add_test(tc, every_failure_is_reported);
    suite_add_tcase(suite, tc);
    return suite;
}
