/* test_balance.c - weights of languages by temperature. */
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include "corpus/balance.h"
#include "corpus/corpus.h"
#include "support.h"

/* The obvious twin. False: too near to the middle between two numbers to tell. */
static bool oracle_weight(uint64_t bytes, uint64_t most, double temperature, uint64_t *weight) {
    long double w = 64 * powl((long double)most / (long double)bytes, 1 - 1 / (long double)temperature);
    *weight = (uint64_t)(w + 0.5L);
    return fabsl(w + 0.5L - roundl(w + 0.5L)) > 1e-9L * w;
}

START_TEST(weights_are_the_root_s) {
    static const double temperatures[] = {1.0000001, 1.25, 2, 3.3333, 5, 100, 1e9, INFINITY};
    uint64_t seed = 5;
    size_t compared = 0;
    for (size_t i = 0; i < 4000; i++) {
        double temperature = temperatures[i % 8];
        pm_balanced s[4];
        uint64_t most = 0, wanted;
        pm_error err = {0};
        for (size_t k = 0; k < 4; k++) {
            s[k] = (pm_balanced){"x", 1 + random_word(&seed) % (1000 << i % 4), 1, false};
            s[k].bytes <<= i % 30; /* so that sizes grow and ratios stay within the limit */
            most = s[k].bytes > most ? s[k].bytes : most;
        }
        pm_balanced before[4];
        memcpy(before, s, sizeof s);
        assert_ok(pm_balance(s, 4, temperature, &err));
        for (size_t k = 0; k < 4; k++) {
            if (oracle_weight(before[k].bytes, most, temperature, &wanted)) {
                ck_assert_uint_eq(s[k].weight, wanted);
                compared++;
            }
            ck_assert(before[k].bytes != most || s[k].weight == 64);
        }
    }
    ck_assert_uint_gt(compared, 10000);
}
END_TEST

START_TEST(folders_are_languages_and_weights_multiply) {
    pm_balanced s[] = {{"c/en/1", 500, 1, true}, {"zh/1", 100, 1, true},    {"c/en/2", 400, 3, true}, {"zh/2", 125, 1, true},
                       {"c/en/3", 0, 1, true},   {"documents", 9, 1, false}, {"plain", 9, 1, true},    {"other", 0, 2, true},
                       {"c/e", 9, 1, true},      {"callback", 0, 7, false}};
    static const uint32_t wanted[] = {64, 128, 192, 128, 64, 640, 640 /* with "other": of no folder */, 1280, 640, 448};
    pm_error err = {0};
    assert_ok(pm_balance(s, 10, 2, &err));
    for (size_t i = 0; i < 10; i++) {
        ck_assert_uint_eq(s[i].weight, wanted[i]);
    }
}
END_TEST

START_TEST(weights_have_an_end) {
    pm_error err = {0};
    pm_balanced s[] = {{"much", 16384, 1, false}, {"one", 1, 1, false}};
    assert_ok(pm_balance(s, 2, INFINITY, &err));
    ck_assert_uint_eq(s[1].weight, PM_WEIGHT_MAX);
    pm_balanced more[] = {{"much", 16390, 1, false}, {"one", 1, 1, false}};
    ck_assert_int_eq(pm_balance(more, 2, INFINITY, &err), PM_INVALID_ARGUMENT);
    ck_assert_str_eq(err.file, "one");
    pm_balanced huge[] = {{"much", UINT64_C(1) << 62, 1, false}, {"one", 1, PM_WEIGHT_MAX, false}};
    ck_assert_int_eq(pm_balance(huge, 2, INFINITY, &err), PM_INVALID_ARGUMENT);
    assert_ok(pm_balance(NULL, 0, 2, &err));
}
END_TEST

/* ---------------------------------------------------------------- training ---- */

/* Two folders with files whose texts are 4 : 1, 3 + 1 of the first in two files, the second JSONL. */
static const char *write_sources(int i) {
    static const char *const names[] = {"large/a.txt", "large/b.txt", "small/c.jsonl"};
    static char path[512];
    pm_buf text = {0};
    uint64_t seed = (uint64_t)i + 1;
    if (i == 0) {
        mkdir(temporary_path("large"), 0700);
        mkdir(temporary_path("small"), 0700);
    }
    for (size_t n = 0; n < (i == 0 ? 3000u : 1000u); n++) {
        char word[] = "....";
        for (size_t k = 0; k < 4; k++) {
            word[k] = (char)((i == 2 ? 'n' : 'a') + random_word(&seed) % 6);
        }
        ck_assert(pm_buf_printf(&text, NULL, i == 2 ? "{\"text\": \"%s \"}\n" : "%s\n", word) == PM_OK);
    }
    snprintf(path, sizeof path, "%s", temporary_path(names[i]));
    FILE *f = fopen(path, "w");
    ck_assert(f && fwrite(text.data, 1, text.len, f) == text.len && fclose(f) == 0);
    pm_buf_release(&text);
    return path;
}

static pm_tokenizer *train(pm_corpus *corpus, pm_algorithm algorithm, uint64_t min_count, unsigned threads) {
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    uint32_t size = 300;
    pm_tokenizer *tok;
    pm_error err = {0};
    o.algorithm = algorithm;
    o.vocab_sizes = &size;
    o.n_vocab_sizes = 1;
    o.min_count = min_count;
    o.threads = threads;
    assert_ok(pm_train(&tok, 1, corpus, &o, &err));
    return tok;
}

static void assert_equal_tokenizers(const pm_tokenizer *a, const pm_tokenizer *b) {
    ck_assert_uint_eq(pm_tokenizer_vocab_size(a), pm_tokenizer_vocab_size(b));
    for (pm_id id = 0; id < pm_tokenizer_vocab_size(a); id++) {
        pm_bytes x = pm_tokenizer_piece(a, id), y = pm_tokenizer_piece(b, id);
        ck_assert(x.len == y.len && (!x.len || memcmp(x.data, y.data, x.len) == 0));
        ck_assert_uint_eq(pm_tokenizer_count(a, id), pm_tokenizer_count(b, id));
    }
}

/* A temperature of 2 is the weights 64 and 128, and min_count in that unit. */
START_TEST(training_with_a_temperature_is_training_with_weights) {
    pm_algorithm algorithm = _i % 2 ? PM_ALGORITHM_BYTEPIECE : PM_ALGORITHM_BPE;
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    pm_corpus *warm, *weighted;
    pm_source_report row;
    pm_error err = {0};
    options.temperature = 2;
    options.temperature_by_folder = true;
    assert_ok(pm_corpus_new(&warm, &options, &err));
    assert_ok(pm_corpus_new(&weighted, NULL, &err));
    for (int i = 0; i < 3; i++) {
        const char *path = write_sources(i);
        assert_ok(pm_corpus_add_file(warm, path, &err));
        assert_ok(pm_corpus_add_file_weighted(weighted, path, i == 2 ? 128 : 64, &err));
    }
    pm_tokenizer *a = train(warm, algorithm, 3, 1 + (unsigned)_i / 2), *b = train(weighted, algorithm, 3 * 64, 1);
    assert_equal_tokenizers(a, b);
    for (size_t i = 0; pm_corpus_source(warm, i, &row); i++) {
        ck_assert_uint_eq(row.weight, i == 2 ? 128 : 64);
    }
    ck_assert(strstr(pm_tokenizer_settings(a), "temperature=2 by folder\n"));
    ck_assert(strstr(pm_tokenizer_settings(a), "min_count=3\n"));
    pm_tokenizer_free(a);
    pm_tokenizer_free(b);
    pm_corpus_free(warm);
    pm_corpus_free(weighted);
}
END_TEST

/* ---------------------------------------------------------------- what is refused ---- */

static int no_document(void *user, pm_bytes *document) {
    (void)user;
    (void)document;
    return 0;
}

START_TEST(a_temperature_needs_sizes) {
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    pm_corpus *corpus;
    pm_error err = {0};
    const pm_bytes *docs;
    size_t n;
    static const double wrong[] = {0.5, -1, NAN, -INFINITY};
    for (size_t i = 0; i < 4; i++) {
        options.temperature = wrong[i];
        ck_assert_int_eq(pm_corpus_new(&corpus, &options, &err), PM_INVALID_ARGUMENT);
        ck_assert(!corpus);
    }
    options.temperature = 0;
    options.temperature_by_folder = true;
    ck_assert_int_eq(pm_corpus_new(&corpus, &options, &err), PM_INVALID_ARGUMENT);
    options.temperature = 2;
    assert_ok(pm_corpus_new(&corpus, &options, &err));
    assert_ok(pm_corpus_add_callback(corpus, no_document, NULL, &err));
    ck_assert_int_eq(pm_corpus_read(corpus, 0, &docs, &n, &err), PM_INVALID_ARGUMENT);
    ck_assert(strstr(err.message, "temperature"));
    pm_corpus_free(corpus);
}
END_TEST

START_TEST(count_files_have_no_temperature) {
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    pm_corpus *corpus;
    pm_error err = {0};
    options.temperature = 2;
    assert_ok(pm_corpus_new(&corpus, &options, &err));
    assert_ok(pm_corpus_add_document(corpus, (pm_bytes){(const uint8_t *)"ab ab", 5}, &err));
    ck_assert_int_eq(pm_count(temporary_path("no.counts"), corpus, NULL, &err), PM_INVALID_ARGUMENT);
    ck_assert(strstr(err.message, "temperature"));
    pm_corpus_free(corpus);
}
END_TEST

Suite *suite_balance(void) {
    Suite *suite = suite_create("balance");
    TCase *tc = tcase_create("balance");
    tcase_add_test(tc, weights_are_the_root_s);
    tcase_add_test(tc, folders_are_languages_and_weights_multiply);
    tcase_add_test(tc, weights_have_an_end);
    tcase_add_loop_test(tc, training_with_a_temperature_is_training_with_weights, 0, 4);
    tcase_add_test(tc, a_temperature_needs_sizes);
    tcase_add_test(tc, count_files_have_no_temperature);
    suite_add_tcase(suite, tc);
    return suite;
}
