/* test_pipeline.c - texts through the steps of general tokenizers: ids, their places, decoded text, batches, and failures. */
#include <stdio.h>

#include "encode/engine.h"
#include "encode/inside.h"
#include "support.h"

enum { MOST = 256 };

/* A model of a few words and letters: WordPiece behind steps that normalize, with added tokens of both kinds. */
static void put_token(pm_model *model, pm_id id, const char *text, pm_kind kind, unsigned added) {
    ck_assert_int_eq(pm_model_set(model, id, kind, (pm_bytes){(const uint8_t *)text, strlen(text)}, 0, false, NULL), PM_OK);
    if (added) {
        ck_assert_int_eq(pm_model_set_added(model, id, (uint8_t)added, NULL), PM_OK);
    }
}

static void put_step(pm_steps *steps, pm_step step) {
    ck_assert_int_eq(pm_grow((void **)&steps->items, &steps->cap, steps->n + 1, sizeof step, NULL), PM_OK);
    steps->items[steps->n++] = step;
}

static pm_bytes text_of(const char *text) { return (pm_bytes){(const uint8_t *)text, strlen(text)}; }

static pm_tokenizer *make_words(void) {
    pm_model model = {.algorithm = PM_ALGORITHM_WORDPIECE, .general = true, .has_unknown = true, .max_word = 100, .prefix = text_of("##")};
    static const char *const pieces[] = {"low", "##er", "##est", "a", "b", "."};
    pm_tokenizer *tok;
    pm_error err = {0};
    put_token(&model, 0, "[UNK]", PM_KIND_SPECIAL, PM_ADDED);
    put_token(&model, 1, "[CLS]", PM_KIND_SPECIAL, PM_ADDED);
    put_token(&model, 2, "[SEP]", PM_KIND_SPECIAL, PM_ADDED);
    for (pm_id i = 0; i < 6; i++) {
        put_token(&model, 3 + i, pieces[i], PM_KIND_PIECE, 0);
    }
    put_token(&model, 9, "<M>", PM_KIND_SPECIAL, PM_ADDED | PM_ADDED_LSTRIP | PM_ADDED_ALONE);
    put_token(&model, 10, "LOWE", PM_KIND_PIECE, PM_ADDED | PM_ADDED_NORMALIZED | PM_ADDED_SINGLE_WORD | PM_ADDED_ALONE);
    put_step(&model.normalizer, (pm_step){.type = PM_STEP_BERT, .flags = PM_STEP_CLEAN_TEXT | PM_STEP_CHINESE_CHARS | PM_STEP_LOWER});
    put_step(&model.pre_tokenizer, (pm_step){.type = PM_STEP_BERT_SPLIT});
    put_step(&model.post_processor, (pm_step){.type = PM_STEP_BERT_ENDS, .a = text_of("[SEP]"), .n = 2, .b = text_of("[CLS]"), .m = 1});
    put_step(&model.decoder, (pm_step){.type = PM_STEP_WORDPIECE, .a = text_of("##"), .flags = PM_STEP_CLEANUP});
    assert_ok(pm_tokenizer_make(&tok, &model, &err));
    return tok;
}

/* "id[begin,end) ..." of a text. */
static const char *places(const pm_tokenizer *tok, const char *text, bool add, pm_special_mode allowed) {
    static char line[4096];
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    pm_encoder *enc;
    pm_tokens tokens;
    pm_error err = {0};
    pm_id ids[MOST];
    size_t n, at = 0;
    o.add_special_tokens = add;
    o.allowed = allowed;
    o.disallowed = PM_SPECIAL_NONE;
    assert_ok(pm_encoder_new(&enc, tok, &err));
    assert_ok(pm_encode_offsets(enc, (pm_text){text, strlen(text), PM_TEXT_UTF8}, &o, &tokens, &err));
    assert_ok(pm_encode(enc, text_of(text), &o, ids, MOST, &n, &err));
    ck_assert_uint_eq(n, tokens.n);
    line[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(ids[i], tokens.items[i].id);
        at += (size_t)snprintf(line + at, sizeof line - at, "%s%u[%u,%u)", i ? " " : "", ids[i], (unsigned)tokens.items[i].begin, (unsigned)tokens.items[i].end);
    }
    pm_tokens_release(&tokens);
    pm_encoder_free(enc);
    return line;
}

START_TEST(ids_and_their_places_are_those_of_the_steps) {
    pm_tokenizer *tok = make_words();
    ck_assert_str_eq(places(tok, "", false, PM_SPECIAL_ALL), "");
    ck_assert_str_eq(places(tok, "Lower a.", false, PM_SPECIAL_ALL), "3[0,3) 4[3,5) 6[6,7) 8[7,8)");
    ck_assert_str_eq(places(tok, "L\xC3\x96West", true, PM_SPECIAL_ALL), "1[0,0) 3[0,4) 5[4,7) 2[0,0)"); /* the accent goes */
    ck_assert_str_eq(places(tok, "a  <M>b", false, PM_SPECIAL_ALL), "6[0,1) 9[1,6) 7[6,7)");
    ck_assert_str_eq(places(tok, "a  <M>b", false, PM_SPECIAL_NONE), "6[0,1) 0[3,4) 0[4,5) 0[5,6) 7[6,7)");
    ck_assert_str_eq(places(tok, "LowE lower", false, PM_SPECIAL_NONE), "10[0,4) 3[5,8) 4[8,10)"); /* one that is no special token always matches */
    ck_assert_str_eq(places(tok, "zz\xFF", false, PM_SPECIAL_ALL), "0[0,2)");
    ck_assert(!pm_tokenizer_lossless(tok));
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(a_text_decodes_by_the_steps) {
    static const pm_id ids[] = {1, 3, 4, 6, 8, 10, 2}, wrong[] = {3, 11};
    pm_tokenizer *tok = make_words();
    pm_error err = {0};
    uint8_t out[64];
    size_t n;
    assert_ok(pm_decode(tok, ids, 7, out, sizeof out, &n, &err));
    ck_assert_uint_eq(n, strlen("[CLS] lower a. lowe [SEP]"));
    ck_assert_int_eq(memcmp(out, "[CLS] lower a. lowe [SEP]", n), 0);
    assert_ok(pm_decode(tok, ids, 7, NULL, 0, &n, &err));
    ck_assert_int_eq(pm_decode(tok, ids, 7, out, 3, &n, &err), PM_NO_SPACE);
    ck_assert_uint_eq(n, 25);
    ck_assert_int_eq(pm_decode(tok, wrong, 2, out, sizeof out, &n, &err), PM_BAD_ID);
    ck_assert_uint_eq(err.offset, 1);
    pm_tokenizer_free(tok);
}
END_TEST

/* What a special token does where it is refused, and where it is only noticed. */
START_TEST(special_tokens_go_by_the_rules) {
    pm_tokenizer *tok = make_words();
    pm_encoder *enc;
    pm_batch batch;
    pm_error err = {0};
    pm_bytes docs[] = {text_of("a b"), text_of("\xC3\x96 [SEP]"), text_of("")};
    size_t n;
    assert_ok(pm_encoder_new(&enc, tok, &err));
    ck_assert_int_eq(pm_encode(enc, docs[1], NULL, NULL, 0, &n, &err), PM_SPECIAL_IN_TEXT);
    ck_assert_uint_eq(err.offset, 3);
    pm_encoder_free(enc);
    assert_ok(pm_encode_batch(tok, docs, 3, NULL, &batch, &err));
    ck_assert_uint_eq(batch.documents_with_special, 1);
    ck_assert_uint_eq(batch.offsets[1], 2);
    ck_assert_uint_eq(batch.offsets[3], batch.offsets[2]);
    pm_batch_release(&batch);
    pm_tokenizer_free(tok);
}
END_TEST

/* Many documents on several threads: what one by one gives, whatever the room. */
START_TEST(a_batch_is_its_documents) {
    enum { N = 3000 };
    pm_tokenizer *tok = make_words();
    pm_bytes *docs = pm_alloc(N, sizeof *docs);
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    pm_encoder *enc;
    pm_batch batch;
    pm_error err = {0};
    pm_id ids[MOST];
    size_t n;
    o.threads = 3;
    o.add_special_tokens = true;
    for (size_t i = 0; i < N; i++) {
        docs[i] = i % 3 ? text_of("lower lowest a b . lowa. lowerest low low low low") : text_of("xyz");
    }
    assert_ok(pm_encode_batch(tok, docs, N, &o, &batch, &err));
    assert_ok(pm_encoder_new(&enc, tok, &err));
    for (size_t i = 0; i < N; i++) {
        assert_ok(pm_encode(enc, docs[i], &o, ids, MOST, &n, &err));
        ck_assert_uint_eq(n, batch.offsets[i + 1] - batch.offsets[i]);
        ck_assert_int_eq(memcmp(ids, batch.ids + batch.offsets[i], n * sizeof *ids), 0);
    }
    pm_encoder_free(enc);
    pm_batch_release(&batch);
    pm_free(docs);
    pm_tokenizer_free(tok);
}
END_TEST

/* Each allocation of making and using one fails once: nothing leaks, and the answer is PM_NO_MEMORY. */
static size_t countdown;
static bool allow(void) { return countdown == 0 || --countdown > 0; }

static pm_status make_from(const char *path, pm_error *err) {
    pm_tokenizer *tok;
    pm_encoder *enc;
    pm_tokens tokens = {0};
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    size_t n;
    uint8_t out[256];
    o.allowed = PM_SPECIAL_ALL;
    pm_status status = pm_tokenizer_load(&tok, path, NULL, err);
    if (status != PM_OK) {
        return status;
    }
    status = pm_encoder_new(&enc, tok, err);
    if (status == PM_OK) {
        status = pm_encode_offsets(enc, (pm_text){"the ab", 6, PM_TEXT_UTF8}, &o, &tokens, err);
        status = status == PM_OK ? pm_encode(enc, text_of("the ab"), &o, NULL, 0, &n, err) : status;
        pm_tokens_release(&tokens);
        pm_encoder_free(enc);
    }
    const pm_id id = 0;
    status = status == PM_OK ? pm_decode(tok, &id, 1, out, sizeof out, &n, err) : status;
    pm_tokenizer_free(tok);
    return status;
}

START_TEST(every_failed_allocation_is_told) {
    char path[512];
    pm_error err = {0};
    size_t failures = 0;
    snprintf(path, sizeof path, "%s", source_path("tests/models/good-general-not-byte-level.tokenizer.json"));
    assert_ok(make_from(path, &err));
    pm_alloc_test_hook = allow;
    for (size_t i = 1; i < 400; i++) {
        countdown = i;
        pm_status status = make_from(path, &err);
        ck_assert(status == PM_OK || status == PM_NO_MEMORY);
        failures += status == PM_NO_MEMORY;
    }
    pm_alloc_test_hook = NULL;
    ck_assert_uint_gt(failures, 30);
}
END_TEST

Suite *suite_pipeline(void) {
    Suite *s = suite_create("pipeline");
    TCase *t = tcase_create("pipeline");
    tcase_add_test(t, ids_and_their_places_are_those_of_the_steps);
    tcase_add_test(t, a_text_decodes_by_the_steps);
    tcase_add_test(t, special_tokens_go_by_the_rules);
    tcase_add_test(t, a_batch_is_its_documents);
    tcase_add_test(t, every_failed_allocation_is_told);
    suite_add_tcase(s, t);
    return s;
}
