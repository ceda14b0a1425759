/* test_batch.c - documents in other forms than UTF-8, encoders that wait with their tokenizer, slices that finish out of order. */
#include "base/thread.h"
#include "bpe_encode.h"
#include "encode/inside.h"
#include "support.h"
#include "text/utf8.h"

enum { N_DOCS = 700 };

static pm_tokenizer *make_tokenizer(void) {
    pm_error err = {0};
    pm_model model;
    pm_tokenizer *tok;
    static const char text[] = "\xE4\xB8\xAD\xE6\x96\x87 abab \xC3\xA9t\xC3\xA9 \xF0\x9F\x98\x80\xF0\x9F\x98\x81";
    ck_assert(oracle_model_of_text(&model, 3, 60, (const uint8_t *)text, sizeof text - 1, false));
    assert_ok(pm_model_set(&model, 1000, PM_KIND_SPECIAL, (pm_bytes){(const uint8_t *)"<s>", 3}, 0, false, &err));
    assert_ok(pm_tokenizer_make(&tok, &model, &err));
    return tok;
}

/* ---------------------------------------------------------------- forms ---- */

static unsigned unit_bytes(pm_text_form form) {
    return form == PM_TEXT_UTF32 ? 4 : form == PM_TEXT_UCS2 || form == PM_TEXT_UTF16 ? 2 : 1;
}

static size_t put_unit(uint8_t *out, unsigned width, uint32_t unit) {
    uint16_t two = (uint16_t)unit;
    uint8_t one = (uint8_t)unit;
    memcpy(out, width == 1 ? (void *)&one : width == 2 ? (void *)&two : (void *)&unit, width);
    return width;
}

/* Appends a character in a form. */
static size_t put_character(uint8_t *out, pm_text_form form, uint32_t c) {
    unsigned width = unit_bytes(form);
    if (form == PM_TEXT_UTF8) {
        return pm_utf8_write(c, out);
    }
    if (form == PM_TEXT_UTF16 && c >= 0x10000) {
        size_t n = put_unit(out, 2, 0xD800 + ((c - 0x10000) >> 10));
        return n + put_unit(out + n, 2, 0xDC00 + (c & 0x3FF));
    }
    return put_unit(out, width, c);
}

/* A character that the form has, and that the tokenizer's pieces are made of more often than not. */
static uint32_t random_character(pm_text_form form, uint64_t *state) {
    static const uint32_t some[] = {'a', 'b', ' ', '<', 's', '>', 0xE9, 't', 0x4E2D, 0x6587, 0x1F600, 0x1F601};
    uint32_t c = some[random_word(state) % (form == PM_TEXT_LATIN1 ? 8 : form == PM_TEXT_UCS2 ? 10 : 12)];
    return random_word(state) % 20 ? c : (uint32_t)random_word(state) % 0xFF + 1;
}

/* Documents in all forms, and the same as UTF-8. */
typedef struct sample {
    pm_text texts[N_DOCS];
    pm_bytes bytes[N_DOCS];
} sample;

static sample *make_sample(void) {
    sample *s = malloc(sizeof *s);
    uint64_t state = 11;
    for (size_t i = 0; i < N_DOCS; i++) {
        size_t n = i == 100 ? 300000 : random_word(&state) % 3 ? random_word(&state) % 700 : 0, len = 0, len8 = 0;
        pm_text_form form = (pm_text_form)(random_word(&state) % 5);
        uint8_t *text = malloc(4 * n + 1), *utf8 = malloc(4 * n + 1);
        for (size_t k = 0; k < n; k++) {
            uint32_t c = random_character(form, &state);
            len += put_character(text + len, form, c);
            len8 += pm_utf8_write(c, utf8 + len8);
        }
        s->texts[i] = (pm_text){realloc(text, len ? len : 1), len / unit_bytes(form), form};
        s->bytes[i] = (pm_bytes){utf8, len8};
    }
    return s;
}

static void free_sample(sample *s) {
    for (size_t i = 0; i < N_DOCS; i++) {
        free((void *)s->texts[i].data);
        free((void *)s->bytes[i].data);
    }
    free(s);
}

START_TEST(the_form_of_a_text_does_not_matter) {
    pm_error err = {0};
    pm_tokenizer *tok = make_tokenizer();
    sample *s = make_sample();
    pm_encoder *enc;
    assert_ok(pm_encoder_new(&enc, tok, &err));
    for (unsigned threads = 1; threads <= 4; threads++) {
        pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
        pm_batch a, b;
        o.threads = threads;
        o.allowed = threads % 2 ? PM_SPECIAL_ALL : PM_SPECIAL_NONE;
        assert_ok(pm_encode_batch(tok, s->bytes, N_DOCS, &o, &a, &err));
        assert_ok(pm_encode_batch_texts(tok, s->texts, N_DOCS, &o, &b, &err));
        ck_assert_mem_eq(a.offsets, b.offsets, (N_DOCS + 1) * sizeof *a.offsets);
        ck_assert_mem_eq(a.ids, b.ids, a.offsets[N_DOCS] * sizeof *a.ids);
        ck_assert_uint_eq(a.documents_with_special, b.documents_with_special);
        o.disallowed = PM_SPECIAL_NONE;
        for (size_t i = 0; i < N_DOCS; i++) {
            size_t n, wanted = a.offsets[i + 1] - a.offsets[i];
            pm_id *ids = malloc(wanted * sizeof *ids + 1);
            assert_ok(pm_encode_text(enc, s->texts[i], &o, ids, wanted, &n, &err));
            ck_assert_uint_eq(n, wanted);
            ck_assert_mem_eq(ids, a.ids + a.offsets[i], n * sizeof *ids);
            free(ids);
        }
        pm_batch_release(&a);
        pm_batch_release(&b);
    }
    pm_encoder_free(enc);
    free_sample(s);
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(a_text_that_is_none_is_named_with_its_unit) {
    pm_error err = {0};
    pm_tokenizer *tok = make_tokenizer();
    sample *s = make_sample();
    uint16_t units[2000];
    pm_batch batch;
    for (size_t i = 0; i < 2000; i++) {
        units[i] = 'a';
    }
    units[1234] = 0xDC01;
    pm_text saved[4];
    memcpy(saved, s->texts + 400, sizeof saved);
    for (unsigned threads = 1; threads <= 3; threads++) {
        pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
        o.threads = threads;
        s->texts[400] = (pm_text){units, 2000, PM_TEXT_UTF16};
        s->texts[400 + threads] = (pm_text){units + 1234, 1, PM_TEXT_UCS2};
        assert_fails(pm_encode_batch_texts(tok, s->texts, N_DOCS, &o, &batch, &err), PM_BAD_INPUT, "document 400: U+DC01");
        ck_assert_uint_eq(err.offset, 1234);
        ck_assert_ptr_null(batch.ids);
        s->texts[400] = (pm_text){units, 1, (pm_text_form)9};
        assert_fails(pm_encode_batch_texts(tok, s->texts, N_DOCS, &o, &batch, &err), PM_INVALID_ARGUMENT, "form 9");
    }
    memcpy(s->texts + 400, saved, sizeof saved);
    pm_tokenizer_free(tok);
    free_sample(s);
}
END_TEST

/* ---------------------------------------------------------------- idle encoders ---- */

START_TEST(a_freed_encoder_waits_for_the_next) {
    pm_error err = {0};
    pm_tokenizer *tok = make_tokenizer();
    pm_engine *engine = tok->engine;
    enum { MANY = 70 };
    pm_encoder *first, *again, *many[MANY];
    ck_assert_uint_ge(engine->idle.n, 1);
    assert_ok(pm_encoder_new(&first, tok, &err));
    pm_encoder_free(first);
    assert_ok(pm_encoder_new(&again, tok, &err));
    ck_assert_ptr_eq(first, again);
    assert_ok(pm_encoder_new(&many[0], tok, &err));
    ck_assert_ptr_ne(many[0], again);
    pm_encoder_free(again);
    for (size_t i = 1; i < MANY; i++) {
        assert_ok(pm_encoder_new(&many[i], tok, &err));
    }
    for (size_t i = 0; i < MANY; i++) {
        pm_encoder_free(many[i]);
    }
    size_t kept = 0;
    for (size_t i = 0; i < PM_IDLE_MOST; i++) {
        kept += engine->idle.slots[i] != NULL;
    }
    ck_assert_uint_eq(kept, engine->idle.n);
    pm_tokenizer_free(tok);
}
END_TEST

static bool refuse(void) { return false; }

START_TEST(a_call_that_finds_an_idle_encoder_allocates_nothing) {
    pm_error err = {0};
    pm_tokenizer *tok = make_tokenizer();
    pm_encoder *enc;
    pm_id ids[8];
    size_t n;
    assert_ok(pm_encoder_new(&enc, tok, &err));
    assert_ok(pm_encode(enc, (pm_bytes){(const uint8_t *)"abab", 4}, NULL, ids, 8, &n, &err));
    pm_encoder_free(enc);
    pm_alloc_test_hook = refuse;
    pm_status made = pm_encoder_new(&enc, tok, &err);
    pm_status status = pm_encode(enc, (pm_bytes){(const uint8_t *)"abab", 4}, NULL, ids, 8, &n, &err);
    pm_alloc_test_hook = NULL;
    assert_ok(made);
    assert_ok(status);
    pm_encoder_free(enc);
    pm_tokenizer_free(tok);
}
END_TEST

/* A buffer that one long document has grown is given back with the encoder. */
START_TEST(an_idle_encoder_is_small) {
    pm_error err = {0};
    pm_tokenizer *tok = make_tokenizer();
    pm_encoder *enc;
    enum { LONG = 1 << 20 };
    uint16_t *units = malloc(LONG * sizeof *units);
    size_t n;
    for (size_t i = 0; i < LONG; i++) {
        units[i] = i % 2 ? 0x4E2D : 0x6587;
    }
    assert_ok(pm_encoder_new(&enc, tok, &err));
    assert_ok(pm_encode_text(enc, (pm_text){units, LONG, PM_TEXT_UCS2}, NULL, NULL, 0, &n, &err));
    ck_assert_uint_ge(enc->utf8.cap, 3 * LONG);
    pm_encoder_free(enc);
    ck_assert_uint_eq(enc->utf8.cap + enc->spill_cap + enc->normalized.cap, 0);
    units[LONG - 1] = 0xDC00;
    assert_ok(pm_encoder_new(&enc, tok, &err));
    assert_fails(pm_encode_text(enc, (pm_text){units, LONG, PM_TEXT_UCS2}, NULL, NULL, 0, &n, &err), PM_BAD_INPUT, "surrogate");
    pm_encoder_free(enc);
    ck_assert_uint_eq(enc->utf8.cap, 0);
    free(units);
    pm_tokenizer_free(tok);
}
END_TEST

typedef struct hammer {
    const pm_tokenizer *tok;
    pm_id wanted[40];
    size_t n_wanted;
} hammer;

static pm_status take_and_give(void *ctx, unsigned thread, size_t i, pm_error *err) {
    const hammer *h = ctx;
    static const char text[] = "\xE4\xB8\xAD\xE6\x96\x87 abab";
    (void)thread;
    for (size_t k = 0; k < 200 + i % 7; k++) {
        pm_encoder *enc;
        pm_id ids[40];
        size_t n;
        PM_TRY(pm_encoder_new(&enc, h->tok, err));
        pm_status status = pm_encode(enc, (pm_bytes){(const uint8_t *)text, sizeof text - 1}, NULL, ids, 40, &n, err);
        pm_encoder_free(enc);
        if (status != PM_OK || n != h->n_wanted || memcmp(ids, h->wanted, n * sizeof *ids) != 0) {
            return pm_fail(err, PM_INVALID_ARGUMENT, "other ids");
        }
    }
    return PM_OK;
}

START_TEST(threads_share_idle_encoders) {
    pm_error err = {0};
    pm_tokenizer *tok = make_tokenizer();
    hammer h = {.tok = tok};
    pm_encoder *enc;
    assert_ok(pm_encoder_new(&enc, tok, &err));
    assert_ok(pm_encode(enc, (pm_bytes){(const uint8_t *)"\xE4\xB8\xAD\xE6\x96\x87 abab", 11}, NULL, h.wanted, 40, &h.n_wanted, &err));
    pm_encoder_free(enc);
    assert_ok(pm_parallel(8, 64, take_and_give, &h, NULL, &err));
    pm_tokenizer_free(tok);
}
END_TEST

/* ---------------------------------------------------------------- slices out of order ---- */

/* The first document takes longer than all others together, so that their slices wait for their place. */
START_TEST(slices_behind_a_long_document) {
    pm_error err = {0};
    pm_tokenizer *tok = make_tokenizer();
    enum { SHORT = 500, N = 2000 };
    const size_t LONG = quick() ? 1200000 : 3000000;
    uint8_t *text = malloc(LONG);
    pm_bytes docs[N];
    pm_batch one, some;
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    uint64_t state = 4;
    for (size_t i = 0; i < LONG; i++) {
        text[i] = (uint8_t) "ab \xE4\xB8\xAD"[random_word(&state) % 6];
    }
    for (size_t i = 0; i < N; i++) {
        docs[i] = (pm_bytes){text + i, i == 0 || i == 1000 ? LONG - i : SHORT};
    }
    o.threads = 1;
    assert_ok(pm_encode_batch(tok, docs, N, &o, &one, &err));
    for (o.threads = 2; o.threads <= 5; o.threads++) {
        assert_ok(pm_encode_batch(tok, docs, N, &o, &some, &err));
        ck_assert_mem_eq(one.offsets, some.offsets, (N + 1) * sizeof *one.offsets);
        ck_assert_mem_eq(one.ids, some.ids, one.offsets[N] * sizeof *one.ids);
        pm_batch_release(&some);
    }
    pm_batch_release(&one);
    free(text);
    pm_tokenizer_free(tok);
}
END_TEST

/* ---------------------------------------------------------------- memory of results ---- */

enum { LARGE = 1500000 };

/* Text of which a batch makes pages. */
static uint8_t *make_large(uint64_t state) {
    uint8_t *text = malloc(LARGE);
    for (size_t i = 0; i < LARGE; i++) {
        text[i] = (uint8_t) "ab xy"[random_word(&state) % 5];
    }
    return text;
}

static pm_status encode_large(const pm_tokenizer *tok, const uint8_t *text, size_t len, unsigned threads, pm_batch *out, pm_error *err) {
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    pm_bytes docs[3] = {{text, len / 2}, {text + len / 2, len / 4}, {text + len / 2, len - len / 2}};
    o.threads = threads;
    return pm_encode_batch(tok, docs, 3, &o, out, err);
}

static void same_batch(const pm_batch *a, const pm_batch *b) {
    ck_assert_mem_eq(a->offsets, b->offsets, (a->n_docs + 1) * sizeof *a->offsets);
    ck_assert_mem_eq(a->ids, b->ids, a->offsets[a->n_docs] * sizeof *a->ids);
}

/* What a released result leaves behind must not be seen in the next, whatever their sizes. */
START_TEST(results_follow_each_other_in_the_same_memory) {
    pm_error err = {0};
    pm_tokenizer *tok = make_tokenizer(), *fresh;
    uint8_t *text = make_large(1), *other = make_large(2);
    static const size_t lens[] = {LARGE, 100000, LARGE / 2, LARGE, 600000, 300000, LARGE};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        pm_batch a, b, c;
        unsigned threads = (unsigned)i % 3 + 1;
        assert_ok(encode_large(tok, i % 2 ? other : text, lens[i], threads, &a, &err));
        assert_ok(encode_large(tok, i % 2 ? text : other, lens[i], threads, &b, &err)); /* while a has its own */
        fresh = make_tokenizer();
        assert_ok(encode_large(fresh, i % 2 ? other : text, lens[i], 1, &c, &err));
        same_batch(&a, &c);
        pm_tokenizer_free(fresh);
        same_batch(&a, &c); /* a result outlives its tokenizer */
        pm_batch_release(&c);
        pm_batch_release(&a);
        pm_batch_release(&b);
    }
    free(text);
    free(other);
    pm_tokenizer_free(tok);
}
END_TEST

typedef struct large {
    const pm_tokenizer *tok;
    const uint8_t *text;
    pm_batch wanted;
} large;

static pm_status encode_again(void *ctx, unsigned thread, size_t i, pm_error *err) {
    const large *l = ctx;
    pm_batch batch;
    PM_TRY(encode_large(l->tok, l->text, LARGE, 1 + (thread + (unsigned)i) % 2, &batch, err));
    bool same = memcmp(batch.ids, l->wanted.ids, l->wanted.offsets[3] * sizeof *batch.ids) == 0;
    pm_batch_release(&batch);
    return same ? PM_OK : pm_fail(err, PM_INVALID_ARGUMENT, "other ids");
}

START_TEST(threads_share_the_memory_of_results) {
    pm_error err = {0};
    large l = {.tok = make_tokenizer(), .text = make_large(3)};
    assert_ok(encode_large(l.tok, l.text, LARGE, 1, &l.wanted, &err));
    assert_ok(pm_parallel(4, quick() ? 8 : 24, encode_again, &l, NULL, &err));
    pm_batch_release(&l.wanted);
    free((void *)l.text);
    pm_tokenizer_free((pm_tokenizer *)l.tok);
}
END_TEST

Suite *suite_batch(void) {
    Suite *suite = suite_create("batch");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 120);
    tcase_add_test(all, the_form_of_a_text_does_not_matter);
    tcase_add_test(all, a_text_that_is_none_is_named_with_its_unit);
    tcase_add_test(all, a_freed_encoder_waits_for_the_next);
    tcase_add_test(all, a_call_that_finds_an_idle_encoder_allocates_nothing);
    tcase_add_test(all, an_idle_encoder_is_small);
    tcase_add_test(all, threads_share_idle_encoders);
    tcase_add_test(all, slices_behind_a_long_document);
    tcase_add_test(all, results_follow_each_other_in_the_same_memory);
    tcase_add_test(all, threads_share_the_memory_of_results);
    suite_add_tcase(suite, all);
    return suite;
}
