/* test_second_stage.c - training in two stages: a vocabulary of words, then pieces of several words by the pattern
 * superbpe. Against the slow twin, which brings words to symbols and goes on merging. */
#include "../oracle/bpe_train.h"
#include "pretok/split.h"
#include "support.h"

static pm_error err;

enum { FIRST = 300, ALL = 500, MAX_WORDS = 20000, TEXT = 40000, MAX_SYMBOLS = 1 << 16 };

/* The beginning of the English sample, whole lines. */
static pm_bytes sample(pm_buf *file) {
    *file = read_file(source_path("corpora/en.txt"));
    ck_assert_uint_gt(file->len, TEXT);
    size_t len = TEXT;
    while (file->data[len - 1] != '\n') {
        len--;
    }
    return (pm_bytes){file->data, len};
}

static pm_tokenizer *train(pm_bytes text, uint32_t size, const char *pattern, const pm_tokenizer *first, uint32_t max_words) {
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    pm_corpus *corpus;
    pm_tokenizer *tok;
    o.algorithm = PM_ALGORITHM_BPE;
    o.vocab_sizes = &size;
    o.n_vocab_sizes = 1;
    o.patterns = &pattern;
    o.n_patterns = 1;
    o.threads = 2;
    o.extend = first;
    o.max_words = max_words;
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    assert_ok(pm_corpus_add_document(corpus, text, &err));
    assert_ok(pm_train(&tok, 1, corpus, &o, &err));
    pm_corpus_free(corpus);
    return tok;
}

/* The pre-tokens of a text, each with weight 1. */
static size_t words_of(pm_bytes text, const char *pattern, slow_word *words) {
    pm_splitter *splitter;
    pm_split_scratch *scratch;
    size_t n = 0, start = 0, ends[64], got;
    assert_ok(pm_splitter_new(&splitter, &pattern, 1, &err));
    assert_ok(pm_split_scratch_new(&scratch, splitter, &err));
    pm_split_begin(scratch, text.data, text.len);
    while (pm_split_next(scratch, ends, 64, &got, &err) == PM_OK && got) {
        for (size_t k = 0; k < got; k++) {
            ck_assert_uint_lt(n, MAX_WORDS);
            words[n++] = (slow_word){{text.data + start, ends[k] - start}, 1};
            start = ends[k];
        }
    }
    pm_split_scratch_free(scratch);
    pm_splitter_free(splitter);
    return n;
}

/* The merges of a tokenizer whose ids are ranks. */
static size_t merges_of(const pm_tokenizer *tok, slow_merge *merges) {
    uint32_t n = pm_tokenizer_n_merges(tok);
    for (uint32_t i = 0; i < n; i++) {
        pm_id result;
        ck_assert(pm_tokenizer_merge(tok, i, &merges[i].left, &merges[i].right, &result));
        ck_assert_uint_eq(result, 256 + i);
    }
    return n;
}

static size_t words_in(pm_bytes piece) {
    size_t n = 0;
    for (size_t i = 0; i < piece.len; i++) {
        n += piece.data[i] != ' ' && (i == 0 || piece.data[i - 1] == ' ');
    }
    return n;
}

START_TEST(a_second_stage_equals_the_twin) {
    static slow_word words[MAX_WORDS];
    static slow_merge slow[ALL], got[ALL];
    pm_buf file;
    pm_bytes text = sample(&file);
    size_t n = words_of(text, "superbpe", words);
    pm_tokenizer *first = train(text, 256 + FIRST, "o200k_base", NULL, 0);
    for (uint32_t max_words = 0; max_words <= 4; max_words += 2) {
        pm_tokenizer *second = train(text, 256 + ALL, "superbpe", first, max_words);
        slow_rules rules = {.max_words = max_words};
        size_t n_first = merges_of(first, slow), most = 0;
        ck_assert_uint_eq(n_first, FIRST);
        size_t n_slow = slow_bpe_go_on(words, n, ALL, 0, &rules, slow, n_first);
        ck_assert_uint_eq(merges_of(second, got), n_slow);
        for (size_t i = 0; i < n_slow; i++) {
            ck_assert_msg(got[i].left == slow[i].left && got[i].right == slow[i].right, "max_words %u: merge %zu", max_words, i);
            size_t in_piece = words_in(pm_tokenizer_piece(second, (pm_id)(256 + i)));
            most = in_piece > most ? in_piece : most;
        }
        ck_assert_uint_ge(most, 2); /* several words, and no more than asked for */
        ck_assert_uint_le(most, max_words ? max_words : ALL);
        pm_tokenizer_free(second);
    }
    pm_tokenizer_free(first);
    pm_buf_release(&file);
}
END_TEST

/* Ids of the two stages' vocabulary are those of making its merges in turn in each pre-token; nothing is lost. */
START_TEST(encoding_makes_the_merges_of_both_stages) {
    static slow_word words[MAX_WORDS];
    static slow_merge merges[ALL];
    static pm_id ids[MAX_SYMBOLS];
    static uint32_t wanted[MAX_SYMBOLS];
    static uint8_t back[TEXT];
    pm_buf file;
    pm_bytes text = sample(&file);
    pm_encoder *encoder;
    size_t n_ids, n_back, n_wanted = 0;
    pm_tokenizer *first = train(text, 256 + FIRST, "o200k_base", NULL, 0);
    pm_tokenizer *second = train(text, 256 + ALL, "superbpe", first, 4);
    size_t n = words_of(text, "superbpe", words), n_merges = merges_of(second, merges);
    for (size_t i = 0; i < n; i++) {
        n_wanted += slow_bpe_replay(words[i].text, merges, n_merges, wanted + n_wanted);
    }
    assert_ok(pm_encoder_new(&encoder, second, &err));
    assert_ok(pm_encode(encoder, text, NULL, ids, MAX_SYMBOLS, &n_ids, &err));
    ck_assert_uint_eq(n_ids, n_wanted);
    ck_assert_mem_eq(ids, wanted, n_ids * sizeof *ids);
    assert_ok(pm_decode(second, ids, n_ids, back, TEXT, &n_back, &err));
    ck_assert(n_back == text.len && memcmp(back, text.data, n_back) == 0);
    pm_encoder_free(encoder);
    pm_tokenizer_free(second);
    pm_tokenizer_free(first);
    pm_buf_release(&file);
}
END_TEST

Suite *suite_second_stage(void);
Suite *suite_second_stage(void) {
    Suite *suite = suite_create("second_stage");
    TCase *tcase = tcase_create("second_stage");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, a_second_stage_equals_the_twin);
    tcase_add_test(tcase, encoding_makes_the_merges_of_both_stages);
    suite_add_tcase(suite, tcase);
    return suite;
}
