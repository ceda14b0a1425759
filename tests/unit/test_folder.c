/* test_folder.c - vocab.json with merges.txt, and folders as Hugging Face's libraries have them. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "encode/engine.h"
#include "format/roles.h"
#include "model/model.h"
#include "support.h"

static const char *model_path(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "tests/models/%s", name);
    return source_path(path);
}

static pm_status load_as(pm_tokenizer **tok, const char *path, pm_format format, pm_error *err) {
    pm_load_options o = PM_LOAD_OPTIONS_INIT;
    o.format = format;
    return pm_tokenizer_load(tok, path, &o, err);
}

static pm_tokenizer *load_path(const char *path) {
    pm_error err = {0};
    pm_tokenizer *tok;
    assert_ok(load_as(&tok, path, PM_FORMAT_AUTO, &err));
    return tok;
}

/* BPE over bytes with gpt2's pattern and the special token <|endoftext|>. */
static pm_tokenizer *make_gpt2(void) {
    static const char *const gpt2[] = {"gpt2"}, *const merges[][2] = {{"t", "h"}, {"th", "e"}, {" ", "the"}};
    pm_error err = {0};
    pm_model model = {.algorithm = PM_ALGORITHM_BPE};
    pm_tokenizer *tok;
    for (unsigned b = 0; b < 256; b++) {
        assert_ok(pm_model_set(&model, b, PM_KIND_PIECE, (pm_bytes){&pm_byte_order[b], 1}, 0, true, &err));
    }
    for (unsigned i = 0; i < 3; i++) {
        char text[8];
        pm_id ids[2] = {PM_ID_NONE, PM_ID_NONE};
        snprintf(text, sizeof text, "%s%s", merges[i][0], merges[i][1]);
        for (pm_id id = 0; id < model.vocab_size; id++) {
            for (int k = 0; k < 2; k++) {
                pm_bytes piece = model.pieces[id];
                ids[k] = piece.len == strlen(merges[i][k]) && memcmp(piece.data, merges[i][k], piece.len) == 0 ? id : ids[k];
            }
        }
        assert_ok(pm_model_set(&model, 256 + i, PM_KIND_PIECE, (pm_bytes){(const uint8_t *)text, strlen(text)}, 0, false, &err));
        assert_ok(pm_model_add_merge(&model, ids[0], ids[1], 256 + i, &err));
    }
    assert_ok(pm_model_set(&model, 260, PM_KIND_SPECIAL, (pm_bytes){(const uint8_t *)"<|endoftext|>", 13}, 0, false, &err)); /* 259 is a hole */
    assert_ok(pm_setting_set_text(&model, "eos_token", (pm_bytes){(const uint8_t *)"<|endoftext|>", 13}, &err));
    assert_ok(pm_setting_set_text(&model, PM_CHAT_TEMPLATE, (pm_bytes){(const uint8_t *)"{{ \"a\" }}\n", 10}, &err));
    assert_ok(pm_setting_set_text(&model, "model_max_length", (pm_bytes){(const uint8_t *)"1024", 4}, &err));
    assert_ok(pm_splitter_new(&model.splitter, gpt2, 1, &err));
    assert_ok(pm_tokenizer_make(&tok, &model, &err));
    return tok;
}

static void assert_same_ids(const pm_tokenizer *a, const pm_tokenizer *b) {
    ck_assert_uint_eq(pm_tokenizer_vocab_size(a), pm_tokenizer_vocab_size(b));
    for (pm_id id = 0; id < a->vocab_size; id++) {
        pm_bytes x = pm_tokenizer_piece(a, id), y = pm_tokenizer_piece(b, id);
        ck_assert_int_eq(pm_tokenizer_kind(a, id), pm_tokenizer_kind(b, id));
        ck_assert(x.len == y.len && (x.len == 0 || memcmp(x.data, y.data, x.len) == 0));
    }
    ck_assert_uint_eq(a->model.n_merges, b->model.n_merges);
    ck_assert(memcmp(a->model.merges, b->model.merges, a->model.n_merges * sizeof *a->model.merges) == 0);
    ck_assert_str_eq(pm_tokenizer_pattern_name(a), pm_tokenizer_pattern_name(b));
}

/* A folder that is empty, in a static buffer. */
static const char *make_folder(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s", temporary_path(name));
    ck_assert_int_eq(mkdir(path, 0777), 0);
    return path;
}

static const char *in_folder(const char *folder, const char *name) {
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put_file(const char *path, const char *text) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert(fputs(text, f) >= 0);
    ck_assert_int_eq(fclose(f), 0);
}

static void assert_text(const pm_tokenizer *tok, const char *key, const char *wanted) {
    pm_error err = {0};
    pm_buf text = {0};
    bool there;
    assert_ok(pm_setting_get_text(&tok->model, key, &text, &there, &err));
    ck_assert_msg(there && text.len == strlen(wanted) && memcmp(text.data, wanted, text.len) == 0, "%s is not %s", key, wanted);
    pm_buf_release(&text);
}

START_TEST(vocab_and_merges_are_read_by_either_name) {
    pm_error err = {0};
    pm_tokenizer *tok = make_gpt2(), *again;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", make_folder("vocab"));
    assert_ok(pm_tokenizer_save(tok, in_folder(folder, "x-vocab.json"), PM_FORMAT_AUTO, &err));
    again = load_path(in_folder(folder, "x-vocab.json"));
    assert_same_ids(tok, again);
    pm_tokenizer_free(again);
    again = load_path(in_folder(folder, "x-merges.txt"));
    assert_same_ids(tok, again);
    pm_tokenizer_free(again);
    /* Without the other one, the error names what is missing. */
    ck_assert_int_eq(unlink(in_folder(folder, "x-merges.txt")), 0);
    assert_fails(load_as(&again, in_folder(folder, "x-vocab.json"), PM_FORMAT_AUTO, &err), PM_NOT_FOUND, "cannot open");
    ck_assert_ptr_nonnull(strstr(err.file, "x-merges.txt"));
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(a_folder_is_written_and_read) {
    pm_error err = {0};
    pm_tokenizer *tok = make_gpt2(), *again;
    char folder[512], slash[520];
    snprintf(folder, sizeof folder, "%s", temporary_path("made"));
    snprintf(slash, sizeof slash, "%s/", folder);
    assert_ok(pm_tokenizer_save(tok, slash, PM_FORMAT_AUTO, &err)); /* is made */
    assert_ok(pm_tokenizer_save(tok, folder, PM_FORMAT_HF, &err));  /* is there now */
    again = load_path(folder);
    assert_same_ids(tok, again);
    assert_text(again, PM_CHAT_TEMPLATE, "{{ \"a\" }}\n");
    assert_text(again, "model_max_length", "1024");
    assert_text(again, "eos_token", "<|endoftext|>");
    pm_tokenizer_free(again);
    assert_ok(pm_tokenizer_save(tok, folder, PM_FORMAT_HF_VOCAB, &err));
    assert_ok(load_as(&again, folder, PM_FORMAT_HF_VOCAB, &err));
    assert_same_ids(tok, again);
    pm_tokenizer_free(again);
    assert_fails(pm_tokenizer_save(tok, folder, PM_FORMAT_NATIVE, &err), PM_IO, "is a folder");
    put_file(in_folder(folder, "chat_template.jinja"), "other");
    again = load_path(folder);
    assert_text(again, PM_CHAT_TEMPLATE, "other"); /* goes before the one in the configuration */
    pm_tokenizer_free(again);
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(wrong_folders_and_files_are_named) {
    pm_error err = {0};
    pm_tokenizer *tok = make_gpt2(), *again;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", make_folder("wrong"));
    assert_fails(load_as(&again, folder, PM_FORMAT_AUTO, &err), PM_NOT_FOUND, "holds no tokenizer that");
    ck_assert_str_eq(err.file, folder);
    assert_fails(load_as(&again, folder, PM_FORMAT_BERT, &err), PM_NOT_FOUND, "of this format");
    assert_fails(pm_tokenizer_save(tok, "/nobody/here/", PM_FORMAT_HF, &err), PM_NOT_FOUND, "cannot make the folder");
    assert_ok(pm_tokenizer_save(tok, folder, PM_FORMAT_HF_VOCAB, &err));
    static const struct {
        const char *name, *text, *words;
        pm_status status;
    } cases[] = {
        {"merges.txt", "#version: 0.2\nt h\nth e extra\n", "must be entries", PM_BAD_FORMAT},
        {"merges.txt", "t h\nthe\n", "expected a merge", PM_BAD_FORMAT},
        {"merges.txt", "t h</w>\n", "only a tokenizer.json", PM_UNSUPPORTED},
        {"merges.txt", "z z\n", "must be entries", PM_BAD_FORMAT},
        {"vocab.json", "{\"!\": 0, \"\u0120\": 1}", "lacks the single byte", PM_UNSUPPORTED},
        {"vocab.json", "{\"!\": 0, \"\u0120\": 0}", "id 0 was given already", PM_BAD_FORMAT},
        {"vocab.json", "{\"!\": 0, \"\u0120\": 4000000000}", "expected an id", PM_BAD_FORMAT},
        {"vocab.json", "{\"!\": 0, \"\u0120\": \"1\"}", "expected an id", PM_BAD_FORMAT},
        {"vocab.json", "{\"!\": 0, \"\u0120\": 1, \"a b\": 2}", "not in byte-level characters", PM_UNSUPPORTED},
        {"vocab.json", "{\"!\": 0, \"\u0120\": 1, \"!\": 2}", "given already, with id 0", PM_BAD_FORMAT},
        {"vocab.json", "{\"!\": 0, \"\u0120\": 1", "", PM_BAD_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_ok(pm_tokenizer_save(tok, folder, PM_FORMAT_HF_VOCAB, &err));
        put_file(in_folder(folder, cases[i].name), cases[i].text);
        assert_fails(load_as(&again, folder, PM_FORMAT_HF_VOCAB, &err), cases[i].status, cases[i].words);
        ck_assert_msg(strstr(err.file, cases[i].name) != NULL, "%s", err.file);
        ck_assert_ptr_null(again);
    }
    assert_ok(pm_tokenizer_save(tok, folder, PM_FORMAT_HF_VOCAB, &err));
    put_file(in_folder(folder, "tokenizer_config.json"), "{\"eos_token\": ");
    assert_fails(load_as(&again, folder, PM_FORMAT_AUTO, &err), PM_BAD_FORMAT, "");
    ck_assert_ptr_nonnull(strstr(err.file, "tokenizer_config.json"));
    put_file(in_folder(folder, "tokenizer_config.json"), "[]");
    assert_fails(load_as(&again, folder, PM_FORMAT_AUTO, &err), PM_BAD_FORMAT, "expected an object");
    put_file(in_folder(folder, "tokenizer_config.json"), "{\"eos_token\": {\"content\": \"<|endoftext|>\"}, \"bos_token\": null, \"pad_token\": 3}");
    again = load_path(folder);
    assert_text(again, "eos_token", "<|endoftext|>");
    pm_tokenizer_free(again);
    pm_tokenizer_free(tok);
}
END_TEST

static const char *last_lost;
static int n_lost;

static void keep_lost(void *user, const char *what) {
    static char copy[512];
    ck_assert_ptr_eq(user, &n_lost);
    snprintf(copy, sizeof copy, "%s", what);
    last_lost = copy;
    n_lost++;
}

START_TEST(what_is_lost_is_refused_or_told) {
    pm_error err = {0};
    pm_tokenizer *tok = load_path(model_path("good-bpe.piecemill"));
    char path[512];
    pm_save_options o = PM_SAVE_OPTIONS_INIT;
    snprintf(path, sizeof path, "%s/vocab.json", make_folder("lossy"));
    o.lost = keep_lost;
    o.lost_user = &n_lost;
    n_lost = 0;
    assert_fails(pm_tokenizer_save_with(tok, path, &o, &err), PM_UNSUPPORTED, "a lossy conversion goes on without");
    ck_assert_int_eq(n_lost, 0);
    ck_assert_int_ne(access(path, F_OK), 0);
    o.flags = PM_SAVE_LOSSY;
    assert_ok(pm_tokenizer_save_with(tok, path, &o, &err));
    ck_assert_int_ge(n_lost, 1);
    ck_assert_ptr_nonnull(strstr(last_lost, "vocab.json"));
    pm_tokenizer_free(tok);
}
END_TEST

Suite *suite_folder(void);
Suite *suite_folder(void) {
    Suite *suite = suite_create("folder");
    TCase *tc = tcase_create("folder");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, vocab_and_merges_are_read_by_either_name);
    tcase_add_test(tc, a_folder_is_written_and_read);
    tcase_add_test(tc, wrong_folders_and_files_are_named);
    tcase_add_test(tc, what_is_lost_is_refused_or_told);
    suite_add_tcase(suite, tc);
    return suite;
}
