/* test_gguf.c - GGUF files: what is written is read again, the names of patterns, the tokens' roles. Bad files are in tests/models. */
#include <stdio.h>

#include "format/gguf.h"
#include "format/roles.h"
#include "model/model.h"
#include "support.h"

static const char *model_path(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "tests/models/%s", name);
    return source_path(path);
}

static pm_tokenizer *load_path(const char *path) {
    pm_error err = {0};
    pm_tokenizer *tok;
    assert_ok(pm_tokenizer_load(&tok, path, NULL, &err));
    return tok;
}

static void assert_same_bytes(const char *a, const char *b) {
    pm_buf x = read_file(a), y = read_file(b);
    ck_assert_uint_eq(x.len, y.len);
    ck_assert(memcmp(x.data, y.data, x.len) == 0);
    pm_buf_release(&x);
    pm_buf_release(&y);
}

START_TEST(what_a_file_holds_is_written_again) {
    static const char *const names[] = {"good-gpt2.gguf",    "good-big-endian.gguf", "good-version-two.gguf", "good-ranks.gguf",
                                        "good-default.gguf", "good-tensors.gguf",    "good-llama.gguf",       "good-llama-prefix.gguf"};
    pm_error err = {0};
    char first[512], second[512];
    snprintf(first, sizeof first, "%s", temporary_path("first.gguf"));
    snprintf(second, sizeof second, "%s", temporary_path("second.gguf"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        pm_tokenizer *tok = load_path(model_path(names[i]));
        assert_ok(pm_tokenizer_save(tok, first, PM_FORMAT_AUTO, &err));
        pm_tokenizer *again = load_path(first);
        char a[65] = "", b[65] = "";
        pm_tokenizer_hash(tok, a);
        pm_tokenizer_hash(again, b);
        ck_assert_msg(strcmp(a, b) == 0, "%s", names[i]);
        ck_assert_uint_eq(pm_tokenizer_vocab_size(tok), pm_tokenizer_vocab_size(again));
        for (pm_id id = 0; id < tok->vocab_size; id++) {
            ck_assert_int_eq(pm_tokenizer_kind(tok, id), pm_tokenizer_kind(again, id));
        }
        assert_ok(pm_tokenizer_save(again, second, PM_FORMAT_GGUF, &err));
        assert_same_bytes(first, second);
        pm_tokenizer_free(again);
        pm_tokenizer_free(tok);
    }
}
END_TEST

START_TEST(either_byte_order_and_version_is_the_same_tokenizer) {
    char a[65] = "", b[65] = "";
    pm_tokenizer *one = load_path(model_path("good-gpt2.gguf")), *two = load_path(model_path("good-big-endian.gguf"));
    pm_tokenizer_hash(one, a);
    pm_tokenizer_hash(two, b);
    ck_assert_str_eq(a, b);
    ck_assert_uint_eq(pm_tokenizer_vocab_size(one), 266);
    ck_assert_int_eq(pm_tokenizer_kind(one, 263), PM_KIND_SPECIAL);
    ck_assert_int_eq(pm_tokenizer_kind(one, 264), PM_KIND_PIECE);
    ck_assert_uint_eq(one->model.added[264] & PM_ADDED, PM_ADDED);
    ck_assert_int_eq(pm_tokenizer_kind(one, 265), PM_KIND_RESERVED);
    ck_assert_str_eq(pm_tokenizer_pattern_name(one), "gpt2");
    ck_assert(!one->model.whole_first);
    pm_tokenizer_free(one);
    pm_tokenizer_free(two);
    pm_tokenizer *ranks = load_path(model_path("good-ranks.gguf"));
    ck_assert_uint_eq(pm_tokenizer_n_merges(ranks), 7);
    ck_assert_str_eq(pm_tokenizer_pattern_name(ranks), "kimi_k2");
    pm_tokenizer_free(ranks);
}
END_TEST

START_TEST(roles_ends_and_the_chat_template_are_kept) {
    static const char template[] = "{% for m in messages %}\n{{ m['content'] }}\\n{% endfor %}";
    pm_error err = {0};
    pm_tokenizer *tok = load_path(model_path("good-gpt2.gguf"));
    pm_id before, behind, id;
    pm_buf text = {0};
    bool there;
    ck_assert(pm_ends_get(&tok->model.post_processor, &before, &behind));
    ck_assert_uint_eq(before, 263);
    ck_assert_uint_eq(behind, PM_ID_NONE);
    assert_ok(pm_role_id(tok, PM_ROLE_EOS, &id, &err));
    ck_assert_uint_eq(id, 263);
    assert_ok(pm_role_id(tok, PM_ROLE_PAD, &id, &err));
    ck_assert_uint_eq(id, PM_ID_NONE);
    assert_ok(pm_setting_get_text(&tok->model, PM_CHAT_TEMPLATE, &text, &there, &err));
    ck_assert(there);
    ck_assert_uint_eq(text.len, sizeof template - 1);
    ck_assert(memcmp(text.data, template, text.len) == 0);
    pm_buf_release(&text);
    pm_tokenizer_free(tok);
    tok = load_path(model_path("good-llama.gguf"));
    ck_assert(pm_ends_get(&tok->model.post_processor, &before, &behind));
    ck_assert_uint_eq(before, 1); /* llama.cpp puts <s> before a text where the file does not say */
    ck_assert(!tok->model.add_prefix);
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(texts_of_settings_hold_any_bytes) {
    static const uint8_t odd[] = "a\\n\n\0=\\\\\r\xFF";
    pm_error err = {0};
    pm_model model = {0};
    pm_buf text = {0};
    bool there;
    assert_ok(pm_model_setting(&model, "odder", "other", &err));
    assert_ok(pm_setting_set_text(&model, "odd", (pm_bytes){odd, sizeof odd - 1}, &err));
    assert_ok(pm_setting_set_text(&model, "odd", (pm_bytes){odd, 1}, &err)); /* the first one stays */
    assert_ok(pm_setting_get_text(&model, "odd", &text, &there, &err));
    ck_assert(there && text.len == sizeof odd - 1 && memcmp(text.data, odd, text.len) == 0);
    ck_assert(memchr(model.settings.data, 0, model.settings.len) == NULL);
    assert_ok(pm_setting_get_text(&model, "od", &text, &there, &err));
    ck_assert(!there);
    pm_buf_release(&text);
    pm_model_release(&model);
}
END_TEST

static void check_name(const char *name) {
    pm_error err = {0};
    const pm_gguf_pre *pre = pm_gguf_pre_find((pm_bytes){(const uint8_t *)name, strlen(name)});
    const char *regexes[PM_GGUF_MOST_REGEXES], *others[PM_GGUF_MOST_REGEXES];
    pm_splitter *splitter;
    ck_assert_ptr_nonnull(pre);
    size_t n = pm_gguf_pre_regexes(pre, regexes);
    assert_ok(pm_splitter_new(&splitter, regexes, n, &err));
    const pm_gguf_pre *first = pm_gguf_pre_of(splitter, pre->whole_first, false);
    ck_assert_ptr_nonnull(first);
    ck_assert_uint_eq(pm_gguf_pre_regexes(first, others), n);
    ck_assert(first->whole_first == pre->whole_first);
    for (size_t i = 0; i < n; i++) {
        ck_assert_str_eq(regexes[i], others[i]);
    }
    pm_splitter_free(splitter);
}

START_TEST(every_name_is_a_pattern_that_compiles) {
    static const char *const names[] = {
        "gpt-2",      "roberta-bpe", "llama-bpe", "dbrx",   "qwen2",   "gpt-4o", "granite-embed-multi-97m", "tekken",     "deepseek-v3", "kimi-k2",   "starcoder",
        "command-r",  "falcon",      "default",   "bloom",  "viking",  "qwen35", "deepseek-coder",          "ufakzeka",   "seed-coder",  "bailingmoe", "minicpm5",
        "exaone-moe", "smollm",      "llama4",    "glm4",   "grok-2",  "lfm2",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        check_name(names[i]);
    }
    ck_assert_ptr_null(pm_gguf_pre_find((pm_bytes){(const uint8_t *)"gpt", 3}));
}
END_TEST

static void assert_refused(const char *name, const char *words) {
    pm_error err = {0};
    pm_tokenizer *tok = load_path(model_path(name));
    assert_fails(pm_tokenizer_save(tok, temporary_path("refused.gguf"), PM_FORMAT_GGUF, &err), PM_UNSUPPORTED, words);
    pm_tokenizer_free(tok);
}

START_TEST(what_gguf_cannot_hold_is_refused) {
    assert_refused("good-two-regexes.piecemill", "those to train with are gpt2");
    assert_refused("good-no-pattern.tokenizer.json", "has none for this pattern");
    assert_refused("good-bytepiece.piecemill", "32-bit");
    /* Whole entries first, and an entry that no merge makes: llama.cpp has gpt-2 without that only. */
    pm_error err = {0};
    pm_model model = {.algorithm = PM_ALGORITHM_BPE, .whole_first = true};
    for (unsigned b = 0; b < 256; b++) {
        assert_ok(pm_model_set(&model, b, PM_KIND_PIECE, (pm_bytes){&pm_byte_order[b], 1}, 0, false, &err));
    }
    assert_ok(pm_model_set(&model, 256, PM_KIND_PIECE, (pm_bytes){(const uint8_t *)"zq", 2}, 0, false, &err));
    const char *const gpt2[] = {"gpt2"};
    assert_ok(pm_splitter_new(&model.splitter, gpt2, 1, &err));
    ck_assert_ptr_nonnull(pm_gguf_pre_of(model.splitter, true, true));
    ck_assert_ptr_null(pm_gguf_pre_of(model.splitter, true, false));
    pm_model_release(&model);
}
END_TEST

START_TEST(a_pattern_that_is_given_goes_before_the_files_own) {
    pm_error err = {0};
    pm_tokenizer *tok;
    pm_load_options o = PM_LOAD_OPTIONS_INIT;
    const char *const patterns[] = {"[a-z]+|\\s+"};
    o.patterns = patterns;
    o.n_patterns = 1;
    assert_ok(pm_tokenizer_load(&tok, model_path("bad-pre.gguf"), &o, &err)); /* its own is not known */
    ck_assert_str_eq(pm_tokenizer_pattern(tok, 0), patterns[0]);
    pm_tokenizer_free(tok);
    assert_ok(pm_tokenizer_load(&tok, model_path("good-gpt2.gguf"), &o, &err));
    ck_assert_str_eq(pm_tokenizer_pattern(tok, 0), patterns[0]);
    pm_tokenizer_free(tok);
    assert_fails(pm_tokenizer_load(&tok, model_path("good-llama.gguf"), &o, &err), PM_INVALID_ARGUMENT, "has none");
}
END_TEST

Suite *suite_gguf(void);
Suite *suite_gguf(void) {
    Suite *suite = suite_create("gguf");
    TCase *tc = tcase_create("gguf");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, what_a_file_holds_is_written_again);
    tcase_add_test(tc, either_byte_order_and_version_is_the_same_tokenizer);
    tcase_add_test(tc, roles_ends_and_the_chat_template_are_kept);
    tcase_add_test(tc, texts_of_settings_hold_any_bytes);
    tcase_add_test(tc, every_name_is_a_pattern_that_compiles);
    tcase_add_test(tc, what_gguf_cannot_hold_is_refused);
    tcase_add_test(tc, a_pattern_that_is_given_goes_before_the_files_own);
    suite_add_tcase(suite, tc);
    return suite;
}
