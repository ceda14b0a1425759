/* test_cpu.c - PIECEMILL_CPU: what it may be, and who refuses what it may not. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "pretok/classes.h"
#include "pretok/split.h"
#include "support.h"

START_TEST(each_name_is_forced_or_refused) {
    pm_error err = {0};
    pm_cpu cpu;
    for (pm_cpu wish = PM_CPU_PORTABLE; wish < PM_N_CPUS; wish++) {
        setenv("PIECEMILL_CPU", pm_cpu_name(wish), 1);
        if (pm_cpu_has(wish)) {
            assert_ok(pm_cpu_choose(&cpu, &err));
            ck_assert_int_eq(cpu, wish);
            ck_assert_str_eq(pm_processor(), pm_cpu_name(wish));
        } else {
            ck_assert_ptr_null(pm_processor());
            assert_fails(pm_cpu_choose(&cpu, &err), PM_UNSUPPORTED, "this machine has portable");
            ck_assert_ptr_nonnull(strstr(err.message, "PIECEMILL_CPU"));
            ck_assert_ptr_nonnull(strstr(err.message, pm_cpu_name(wish)));
            ck_assert_int_eq(cpu, PM_CPU_PORTABLE);
        }
        ck_assert_ptr_nonnull(pm_classes_for(cpu));
    }
    ck_assert(pm_cpu_has(PM_CPU_PORTABLE));
    ck_assert(!pm_cpu_has(PM_CPU_NEON) || !pm_cpu_has(PM_CPU_AVX2));
    ck_assert(pm_cpu_has(PM_CPU_AVX2) || !pm_cpu_has(PM_CPU_AVX512));
}
END_TEST

START_TEST(without_a_wish_the_best_is_taken) {
    pm_error err = {0};
    pm_cpu cpu, same;
    unsetenv("PIECEMILL_CPU");
    assert_ok(pm_cpu_choose(&cpu, &err));
    ck_assert(pm_cpu_has(cpu));
    for (pm_cpu better = cpu + 1; better < PM_N_CPUS; better++) {
        ck_assert(!pm_cpu_has(better));
    }
    setenv("PIECEMILL_CPU", "", 1);
    assert_ok(pm_cpu_choose(&same, NULL));
    ck_assert_int_eq(cpu, same);
}
END_TEST

START_TEST(unknown_names_are_refused) {
    static const char *const unknown[] = {"avx", "AVX2", "avx2 ", "portable,avx2", "1", "%s%n"};
    pm_error err = {0};
    pm_cpu cpu;
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        setenv("PIECEMILL_CPU", unknown[i], 1);
        assert_fails(pm_cpu_choose(&cpu, &err), PM_INVALID_ARGUMENT, "portable, avx2, avx512, neon");
        ck_assert_ptr_nonnull(strstr(err.message, unknown[i]));
        ck_assert_int_eq(pm_cpu_choose(&cpu, NULL), PM_INVALID_ARGUMENT);
    }
}
END_TEST

/* ---- where it is read ---- */

static const char *write_tiktoken(void) {
    char text[256 * 12];
    size_t len = 0;
    for (unsigned b = 0; b < 256; b++) {
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        len += (size_t)snprintf(text + len, sizeof text - len, "%c%c== %u\n", digits[b >> 2], digits[(b & 3) << 4], b);
    }
    return temporary_file("bytes.tiktoken", text, len);
}

START_TEST(splitters_refuse) {
    static const char *const gpt2 = "gpt2";
    pm_error err = {0};
    pm_splitter *splitter;
    setenv("PIECEMILL_CPU", "pentium", 1);
    assert_fails(pm_splitter_new(&splitter, &gpt2, 1, &err), PM_INVALID_ARGUMENT, "PIECEMILL_CPU=pentium");
    ck_assert_ptr_null(splitter);
    setenv("PIECEMILL_CPU", "portable", 1);
    assert_ok(pm_splitter_new(&splitter, &gpt2, 1, &err));
    pm_splitter_free(splitter);
}
END_TEST

START_TEST(loading_refuses) {
    const char *path = write_tiktoken();
    pm_error err = {0};
    pm_tokenizer *tok;
    setenv("PIECEMILL_CPU", "pentium", 1);
    assert_fails(pm_tokenizer_load(&tok, path, NULL, &err), PM_INVALID_ARGUMENT, "PIECEMILL_CPU=pentium");
    ck_assert_ptr_null(tok);
    setenv("PIECEMILL_CPU", "portable", 1);
    assert_ok(pm_tokenizer_load(&tok, path, NULL, &err));
    pm_tokenizer_free(tok);
#ifdef PM_HAVE_YAJL
    path = source_path("tests/models/good-compact.bytepiece.json");
    assert_ok(pm_tokenizer_load(&tok, path, NULL, &err));
    pm_tokenizer_free(tok);
    setenv("PIECEMILL_CPU", "pentium", 1);
    assert_fails(pm_tokenizer_load(&tok, path, NULL, &err), PM_INVALID_ARGUMENT, "PIECEMILL_CPU=pentium");
    ck_assert_ptr_null(tok);
#endif
}
END_TEST

static int never(void *user, const pm_progress *progress) {
    (void)progress;
    *(bool *)user = true;
    return 0;
}

/* Before the corpus is read, not at the end of a long training. */
START_TEST(training_refuses_at_once) {
    static const pm_algorithm algorithms[] = {PM_ALGORITHM_BPE, PM_ALGORITHM_BYTEPIECE};
    const char *path = temporary_file("corpus", "some text", 9);
    pm_error err = {0};
    for (size_t i = 0; i < 2; i++) {
        const uint32_t size = 300;
        bool called = false;
        pm_train_options options = PM_TRAIN_OPTIONS_INIT;
        pm_corpus *corpus;
        pm_tokenizer *tok;
        options.algorithm = algorithms[i];
        options.vocab_sizes = &size;
        options.n_vocab_sizes = 1;
        options.progress = never;
        options.progress_user = &called;
        assert_ok(pm_corpus_new(&corpus, NULL, &err));
        assert_ok(pm_corpus_add_file(corpus, path, &err));
        setenv("PIECEMILL_CPU", "pentium", 1);
        assert_fails(pm_train(&tok, 1, corpus, &options, &err), PM_INVALID_ARGUMENT, "PIECEMILL_CPU=pentium");
        ck_assert(!called);
        ck_assert_ptr_null(tok);
        pm_corpus_free(corpus);
    }
}
END_TEST

static char *wish; /* what PIECEMILL_CPU is outside */

static void keep_wish(void) {
    const char *value = getenv("PIECEMILL_CPU");
    wish = value ? strdup(value) : NULL;
}

static void bring_wish_back(void) {
    if (wish) {
        setenv("PIECEMILL_CPU", wish, 1);
    } else {
        unsetenv("PIECEMILL_CPU");
    }
    free(wish);
}

Suite *suite_cpu(void);
Suite *suite_cpu(void) {
    Suite *suite = suite_create("cpu");
    TCase *tcase = tcase_create("cpu");
    tcase_add_checked_fixture(tcase, keep_wish, bring_wish_back);
    tcase_add_test(tcase, each_name_is_forced_or_refused);
    tcase_add_test(tcase, without_a_wish_the_best_is_taken);
    tcase_add_test(tcase, unknown_names_are_refused);
    tcase_add_test(tcase, splitters_refuse);
    tcase_add_test(tcase, loading_refuses);
    tcase_add_test(tcase, training_refuses_at_once);
    suite_add_tcase(suite, tcase);
    return suite;
}
