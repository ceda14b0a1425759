/* test_characters.c - BPE over characters with byte tokens: the alphabet, training, encoding and decoding against the slow twin; its file. */
#include <stdio.h>
#include <string.h>

#include "../oracle/characters.h"
#include "encode/engine.h"
#include "support.h"
#include "text/characters.h"
#include "text/utf8.h"
#include "train/alphabet.h"
#include "train/bpe.h"

static pm_error err;

enum { MAX_WORDS = 60, MAX_PIECES = 150, MAX_TEXT = 4000 };

/* ---------------------------------------------------------------- corpora ---- */

/* Sets of characters, one a string; the last ones hold bytes that are none. */
static const char *const sets[][8] = {
    {"a", "b", NULL},
    {"a", NULL},
    {" ", "a", "b", "c", NULL},
    {"\u4e2d", "\u56fd", "\u4eba", " ", NULL},
    {"\u00e9", "a", "\U0001f600", "\u2581", " ", "\t", NULL},
    {"a", "b", "\xe4", "\xb8", "\xff", "\u4e2d", NULL},
    {"\xe2\x96", "\u2581", "a", "\xf0\x9f\x98", "\U0001f600", "\n", NULL},
};
enum { N_SETS = sizeof sets / sizeof *sets };

/* Appends n members of a set, at most `room` bytes; returns how many bytes. */
static size_t draw_text(uint8_t *out, size_t room, size_t n, size_t set, uint64_t *state) {
    size_t members = 0, len = 0;
    while (sets[set][members]) {
        members++;
    }
    for (size_t i = 0; i < n; i++) {
        const char *one = sets[set][random_word(state) % members];
        if (len + strlen(one) > room) {
            break;
        }
        memcpy(out + len, one, strlen(one));
        len += strlen(one);
    }
    return len;
}

typedef struct made {
    uint8_t bytes[MAX_WORDS * SLOW_TEXT];
    slow_word words[MAX_WORDS];
    size_t n;
} made;

static void make_words(made *m, uint64_t *state, size_t set) {
    uint8_t *p = m->bytes;
    m->n = 1 + random_word(state) % MAX_WORDS;
    for (size_t i = 0; i < m->n; i++) {
        size_t len = draw_text(p, SLOW_TEXT, 1 + random_word(state) % (random_word(state) % 4 ? 6 : 40), set, state);
        m->words[i] = (slow_word){{p, len}, random_word(state) % 5};
        p += len;
    }
}

static pm_store *store_of(const made *m, bool in_file) {
    pm_records records = {0};
    pm_store *store;
    for (size_t i = 0; i < m->n; i++) {
        size_t bytes = pm_record_bytes(m->words[i].text.len, 1);
        pm_record *r = pm_records_reserve(&records, bytes);
        ck_assert_ptr_nonnull(r);
        *r = (pm_record){(uint32_t)m->words[i].weight, (uint32_t)m->words[i].text.len};
        if (r->n) {
            memcpy(pm_record_cells(r), m->words[i].text.data, r->n);
        }
        records.last->used += bytes;
        if (i % 16 == 15) {
            ck_assert_ptr_nonnull(pm_records_add_chunk(&records, 1)); /* so that there is work for several threads */
        }
    }
    assert_ok(pm_store_new(&store, in_file ? 0 : UINT64_MAX, NULL, &err));
    assert_ok(pm_store_put_all(store, &records, &err));
    return store;
}

/* ---------------------------------------------------------------- training ---- */

static bool is_text(pm_bytes text, const slow_piece *piece) {
    uint8_t bytes[4 * SLOW_TEXT];
    size_t n = 0;
    for (size_t i = 0; i < piece->n; i++) {
        uint32_t c = piece->text[i] == PM_BLANK_MARK ? PM_BLANK : piece->text[i];
        n += pm_utf8_write(c, bytes + n);
    }
    return text.len == n && memcmp(text.data, bytes, n) == 0;
}

static const pm_bpe_plan plans[] = {{0.45, 8, 1 << 15, 0, 0, 0}, {0.45, 4, 0, 500, 0, 0}, {0.1, 2, 0, 0, 0.3, 1}, {0.9, 1000, 0, 0, 0, 0}, {0, 2, 0, 0, 8, 1}};
enum { N_PLANS = sizeof plans / sizeof *plans };

static void compare(const made *m, uint64_t seed, double coverage, size_t wanted, uint64_t min_count, unsigned max_length) {
    static slow_piece alphabet[MAX_WORDS * SLOW_TEXT], pieces[MAX_PIECES];
    const pm_bpe_memory no_bound = {UINT64_MAX, UINT64_MAX};
    unsigned threads = 1 + (unsigned)(seed % 3);
    pm_bpe_vocab vocab;
    pm_ticker ticker;
    size_t n_alphabet = slow_alphabet(m->words, m->n, coverage, alphabet, MAX_WORDS * SLOW_TEXT);
    size_t n = slow_characters_train(m->words, m->n, alphabet, n_alphabet, wanted, min_count, max_length, pieces);
    pm_ticker_init(&ticker, NULL, NULL, 0);
    assert_ok(pm_bpe_vocab_init(&vocab, &(pm_bpe_rules){.max_length = max_length, .characters = true}, &err));
    pm_store *store = store_of(m, seed % 5 == 0);
    assert_ok(pm_bpe_alphabet(&vocab, store, coverage, threads, &ticker, &err));
    ck_assert_msg(vocab.n_characters == n_alphabet, "seed %llu: %zu characters instead of %zu", (unsigned long long)seed, vocab.n_characters, n_alphabet);
    for (size_t i = 0; i < n_alphabet; i++) {
        ck_assert_msg(is_text(vocab.texts[256 + i], &alphabet[i]) && vocab.counts[i] == alphabet[i].count, "seed %llu: character %zu",
                      (unsigned long long)seed, i);
    }
    assert_ok(pm_bpe_learn(&vocab, store, wanted, min_count, threads, &plans[seed % N_PLANS], &no_bound, &ticker, &err));
    ck_assert_msg(vocab.n_merges == n, "seed %llu: %zu merges instead of %zu", (unsigned long long)seed, vocab.n_merges, n);
    for (size_t i = 0; i < n; i++) {
        pm_bytes text = vocab.texts[pm_bpe_vocab_base(&vocab) + i];
        ck_assert_msg(is_text(text, &pieces[i]) && vocab.merges[i].count == pieces[i].count, "seed %llu: merge %zu is '%.*s' %llu, not %llu times",
                      (unsigned long long)seed, i, (int)text.len, (const char *)text.data, (unsigned long long)vocab.merges[i].count,
                      (unsigned long long)pieces[i].count);
    }
    pm_bpe_vocab_release(&vocab);
}

START_TEST(merges_equal_the_twin) {
    static made m;
    for (uint64_t seed = 1; seed <= (quick() ? 40 : 140); seed++) {
        uint64_t state = seed;
        make_words(&m, &state, seed % N_SETS);
        compare(&m, seed, seed % 4 ? 1.0 : 0.5 + (double)(seed % 50) / 100, 1 + random_word(&state) % MAX_PIECES, seed % 3 ? 0 : random_word(&state) % 6,
                seed % 6 ? 0 : 2 + (unsigned)(random_word(&state) % 5));
    }
}
END_TEST

/* So many characters that symbols do not fit 16 bits, and words longer than what is merged by scanning. */
START_TEST(an_alphabet_above_16_bits) {
    pm_corpus *corpus;
    pm_tokenizer *tok;
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    uint32_t size = 71000;
    pm_buf text = {0};
    uint8_t utf8[4];
    for (uint32_t c = 0x4E00; c < 0x4E00 + 70000; c++) {
        uint32_t shown = c < 0xD800 ? c : c + 0x8000;
        assert_ok(pm_buf_append(&text, utf8, pm_utf8_write(shown, utf8), &err));
    }
    for (int i = 0; i < 3; i++) { /* two rare characters, often together */
        assert_ok(pm_buf_append(&text, "\U00020000\U00020001", 8, &err));
    }
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    assert_ok(pm_corpus_add_document(corpus, (pm_bytes){text.data, text.len}, &err));
    o.algorithm = PM_ALGORITHM_BPE;
    o.vocab_sizes = &size;
    o.n_vocab_sizes = 1;
    o.level = PM_LEVEL_CHARACTER;
    o.character_coverage = 1;
    o.min_count = 2;
    assert_ok(pm_train(&tok, 1, corpus, &o, &err));
    ck_assert_uint_eq(pm_tokenizer_vocab_size(tok), 3 + 256 + 2 + 70003); /* the two together, those twice; a blank */
    ck_assert_uint_eq(pm_tokenizer_find(tok, (pm_bytes){(const uint8_t *)"\U00020000\U00020001", 8}), 3 + 256);
    pm_tokenizer_free(tok);
    pm_corpus_free(corpus);
    pm_buf_release(&text);
}
END_TEST

/* ---------------------------------------------------------------- tokenizers ---- */

static pm_status train_with(pm_tokenizer **tok, const char *text, uint32_t size, pm_train_options o) {
    pm_corpus *corpus;
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    assert_ok(pm_corpus_add_document(corpus, (pm_bytes){(const uint8_t *)text, strlen(text)}, &err));
    o.algorithm = PM_ALGORITHM_BPE;
    o.vocab_sizes = &size;
    o.n_vocab_sizes = 1;
    o.level = PM_LEVEL_CHARACTER;
    pm_status status = pm_train(tok, 1, corpus, &o, &err);
    pm_corpus_free(corpus);
    return status;
}

static pm_tokenizer *train(const char *text, uint32_t size) {
    pm_tokenizer *tok;
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    o.character_coverage = 1;
    assert_ok(train_with(&tok, text, size, o));
    return tok;
}

/* The same tokenizer, and a blank is put before texts. */
static pm_tokenizer *with_prefix(const pm_tokenizer *tok) {
    pm_tokenizer *out;
    pm_model model = {.algorithm = PM_ALGORITHM_BPE, .characters = true, .normalize = true, .add_prefix = true};
    const char *name = pm_tokenizer_pattern_name(tok);
    assert_ok(pm_splitter_new(&model.splitter, &name, 1, &err));
    for (pm_id id = 0; id < pm_tokenizer_vocab_size(tok); id++) {
        assert_ok(pm_model_set(&model, id, pm_tokenizer_kind(tok, id), pm_tokenizer_piece(tok, id), pm_tokenizer_count(tok, id), false, &err));
    }
    for (uint32_t i = 0; i < pm_tokenizer_n_merges(tok); i++) {
        pm_id a, b, c;
        ck_assert(pm_tokenizer_merge(tok, i, &a, &b, &c));
        assert_ok(pm_model_add_merge(&model, a, b, c, &err));
    }
    assert_ok(pm_tokenizer_make(&out, &model, &err));
    return out;
}

static size_t encode(const pm_tokenizer *tok, const uint8_t *text, size_t len, bool normalize, pm_id *ids) {
    pm_encoder *enc;
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    size_t n;
    o.disallowed = PM_SPECIAL_NONE;
    o.no_normalize = !normalize;
    assert_ok(pm_encoder_new(&enc, tok, &err));
    assert_ok(pm_encode(enc, (pm_bytes){text, len}, &o, ids, 2 * MAX_TEXT + 2, &n, &err));
    pm_encoder_free(enc);
    return n;
}

static size_t decode(const pm_tokenizer *tok, const pm_id *ids, size_t n_ids, uint8_t *out) {
    size_t n, again;
    assert_ok(pm_decode(tok, ids, n_ids, NULL, 0, &n, &err));
    assert_ok(pm_decode(tok, ids, n_ids, out, n, &again, &err));
    ck_assert_uint_eq(n, again);
    return n;
}

static pm_tokenizer *random_tokenizer(size_t set, uint64_t *state) {
    static char text[2000];
    size_t len = draw_text((uint8_t *)text, sizeof text - 1, 600, set, state);
    text[len] = '\0';
    return train(text, 262 + 12 + (uint32_t)(random_word(state) % 80));
}

static void compare_encoding(const pm_tokenizer *tok, bool first, const uint8_t *text, size_t len) {
    static pm_id ids[2 * MAX_TEXT + 2], slow[2 * MAX_TEXT + 2];
    size_t n = encode(tok, text, len, true, ids), n_slow = slow_characters_encode(tok, first, text, len, slow);
    ck_assert_msg(n == n_slow && (n == 0 || memcmp(ids, slow, n * sizeof *ids) == 0), "%zu ids instead of %zu, of %.*s", n, n_slow, (int)len,
                  (const char *)text);
}

START_TEST(ids_equal_the_twin) {
    static uint8_t text[MAX_TEXT];
    for (uint64_t seed = 1; seed <= (quick() ? 14 : 42); seed++) {
        uint64_t state = seed;
        pm_tokenizer *tok = random_tokenizer(seed % N_SETS, &state), *prefixed = with_prefix(tok);
        for (int i = 0; i < 12; i++) {
            size_t set = i % 3 ? seed % N_SETS : random_word(&state) % N_SETS;
            size_t len = draw_text(text, 300, random_word(&state) % 100, set, &state);
            compare_encoding(tok, false, text, len);
            compare_encoding(prefixed, true, text, len);
        }
        pm_tokenizer_free(tok);
        pm_tokenizer_free(prefixed);
    }
}
END_TEST

/* Units longer than a window are merged in windows, which may begin inside a character that is byte tokens and end inside any. */
START_TEST(long_words_equal_the_twin) {
    static uint8_t text[MAX_TEXT];
    for (uint64_t seed = 1; seed <= (quick() ? 1 : 3); seed++) {
        uint64_t state = seed + 50;
        pm_tokenizer *tok = train("aab abab aaaa bbab \u4e2d\u4e2d \u4e2d\u56fd\u4e2d\u56fd ab\u4e2d ab\u4e2d aaaa aaaa", 259 + 16);
        size_t set = seed % 3 == 0 ? 1 : seed % 3 == 1 ? 5 : 0, len = draw_text(text, 1500, 1500, set, &state);
        compare_encoding(tok, false, text, len);
        pm_tokenizer_free(tok);
    }
}
END_TEST

START_TEST(decoding_gives_the_text_back) {
    static uint8_t text[MAX_TEXT], plain[MAX_TEXT], back[MAX_TEXT + 1];
    static pm_id ids[2 * MAX_TEXT + 2];
    for (uint64_t seed = 1; seed <= 42; seed++) {
        uint64_t state = seed;
        pm_tokenizer *tok = random_tokenizer(seed % N_SETS, &state), *prefixed = with_prefix(tok);
        size_t len = draw_text(text, MAX_TEXT, random_word(&state) % 800, random_word(&state) % N_SETS, &state), n_plain = 0;
        for (size_t i = 0; i < len; i++) {
            bool mark = len - i >= 3 && memcmp(text + i, PM_BLANK_MARK_UTF8, 3) == 0;
            plain[n_plain++] = mark ? ' ' : text[i];
            i += mark ? 2 : 0;
        }
        size_t n = decode(tok, ids, encode(tok, text, len, true, ids), back);
        ck_assert(n == n_plain && memcmp(back, plain, n) == 0);
        n = decode(prefixed, ids, encode(prefixed, text, len, true, ids), back);
        ck_assert(n == n_plain && memcmp(back, plain, n) == 0);
        n = decode(tok, ids, encode(tok, text, len, false, ids), back);
        ck_assert(n == len && memcmp(back, text, n) == 0);
        pm_tokenizer_free(tok);
        pm_tokenizer_free(prefixed);
    }
}
END_TEST

START_TEST(layout_of_ids) {
    pm_tokenizer *tok;
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    const pm_special_token specials[] = {{{(const uint8_t *)"<|x|>", 5}, PM_ID_NONE}, {{(const uint8_t *)"<pad>", 5}, 3}};
    o.special_tokens = specials;
    o.n_special_tokens = 2;
    o.reserve = 2;
    assert_ok(train_with(&tok, "ab ab ab b", 3 + 2 + 256 + 2 + 3 + 2, o));
    const struct {
        pm_id id;
        pm_kind kind;
        const char *text;
        uint64_t count;
    } rows[] = {{0, PM_KIND_CONTROL, "<unk>", 0}, {1, PM_KIND_CONTROL, "<s>", 0}, {2, PM_KIND_CONTROL, "</s>", 0}, {3, PM_KIND_CONTROL, "<pad>", 0},
                {4, PM_KIND_SPECIAL, "<|x|>", 0}, {5 + 'a', PM_KIND_BYTE, "a", 0}, {261, PM_KIND_PIECE, "ab", 3}, {262, PM_KIND_PIECE, " ab", 2},
                {263, PM_KIND_PIECE, "b", 4}, {264, PM_KIND_PIECE, "a", 3}, {265, PM_KIND_PIECE, " ", 3}, {266, PM_KIND_RESERVED, "", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pm_bytes piece = pm_tokenizer_piece(tok, rows[i].id);
        ck_assert_msg(pm_tokenizer_kind(tok, rows[i].id) == rows[i].kind && piece.len == strlen(rows[i].text) &&
                          (piece.len == 0 || memcmp(piece.data, rows[i].text, piece.len) == 0) && pm_tokenizer_count(tok, rows[i].id) == rows[i].count,
                      "id %u is %d '%.*s' %llu", rows[i].id, (int)pm_tokenizer_kind(tok, rows[i].id), (int)piece.len, (const char *)piece.data,
                      (unsigned long long)pm_tokenizer_count(tok, rows[i].id));
    }
    ck_assert_uint_eq(pm_tokenizer_vocab_size(tok), 268);
    ck_assert_str_eq(pm_tokenizer_pattern_name(tok), "sentencepiece");
    ck_assert_uint_eq(pm_tokenizer_find(tok, (pm_bytes){(const uint8_t *)"a", 1}), 264);  /* the character, not the byte */
    ck_assert_uint_eq(pm_tokenizer_find(tok, (pm_bytes){(const uint8_t *)"z", 1}), 5 + 'z');
    ck_assert(!pm_tokenizer_lossless(tok));
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(control_tokens_around_a_text) {
    pm_tokenizer *tok = train("ab ab ab", 3 + 256 + 6), *prefixed = with_prefix(tok);
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    pm_encoder *enc;
    pm_id ids[16];
    uint8_t text[16];
    size_t n;
    o.add_special_tokens = true;
    assert_ok(pm_encoder_new(&enc, prefixed, &err));
    assert_ok(pm_encode(enc, (pm_bytes){(const uint8_t *)"ab", 2}, &o, ids, 16, &n, &err));
    ck_assert(n == 3 && ids[0] == 1 && ids[2] == 2);
    ck_assert(decode(prefixed, ids, n, text) == 2 && memcmp(text, "ab", 2) == 0); /* the prefix is not the first id here */
    assert_ok(pm_encode(enc, (pm_bytes){NULL, 0}, &o, ids, 16, &n, &err));
    ck_assert(n == 2); /* nothing is put before nothing */
    ck_assert_uint_eq(decode(prefixed, ids, n, text), 0);
    pm_encoder_free(enc);
    pm_tokenizer_free(tok);
    pm_tokenizer_free(prefixed);
}
END_TEST

START_TEST(specials_lie_between_texts) {
    pm_tokenizer *tok, *prefixed;
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    pm_special_token special = {{(const uint8_t *)"X", 1}, PM_ID_NONE};
    pm_encode_options e = PM_ENCODE_OPTIONS_INIT;
    const pm_bytes doc = {(const uint8_t *)"XabXXbX", 7};
    pm_batch batch;
    o.special_tokens = &special;
    o.n_special_tokens = 1;
    assert_ok(train_with(&tok, "ab ab ab b", 3 + 1 + 256 + 5, o));
    prefixed = with_prefix(tok);
    e.allowed = PM_SPECIAL_ALL;
    assert_ok(pm_encode_batch(prefixed, &doc, 1, &e, &batch, &err));
    static const uint8_t expected[] = "X abXX bX";
    ck_assert_uint_eq(batch.offsets[1], 7);
    uint8_t text[32];
    size_t n = 0;
    for (size_t i = 0; i < batch.offsets[1]; i++) {
        pm_bytes piece = pm_tokenizer_piece(prefixed, batch.ids[i]);
        memcpy(text + n, piece.data, piece.len);
        n += piece.len;
    }
    ck_assert(n == sizeof expected - 1 && memcmp(text, expected, n) == 0);
    pm_batch_release(&batch);
    pm_tokenizer_free(tok);
    pm_tokenizer_free(prefixed);
}
END_TEST

/* ---------------------------------------------------------------- its file ---- */

START_TEST(a_file_gives_the_same_tokenizer) {
    static uint8_t text[MAX_TEXT];
    static pm_id ids[2 * MAX_TEXT + 2], again[2 * MAX_TEXT + 2];
    uint64_t state = 7;
    pm_tokenizer *tok = random_tokenizer(4, &state), *prefixed = with_prefix(tok), *loaded;
    char path[512], one[PM_HASH_HEX], two[PM_HASH_HEX];
    snprintf(path, sizeof path, "%s", temporary_path("characters.piecemill"));
    for (int i = 0; i < 2; i++) {
        const pm_tokenizer *from = i ? prefixed : tok;
        assert_ok(pm_tokenizer_save(from, path, PM_FORMAT_AUTO, &err));
        assert_ok(pm_tokenizer_load(&loaded, path, NULL, &err));
        pm_tokenizer_hash(from, one);
        pm_tokenizer_hash(loaded, two);
        ck_assert_str_eq(one, two);
        size_t len = draw_text(text, MAX_TEXT, 800, 6, &state), n = encode(from, text, len, true, ids);
        ck_assert(n == encode(loaded, text, len, true, again) && memcmp(ids, again, n * sizeof *ids) == 0);
        pm_tokenizer_free(loaded);
    }
    pm_tokenizer_hash(tok, one);
    ck_assert_str_ne(one, two); /* the prefix decides ids */
    assert_fails(pm_tokenizer_save(tok, temporary_path("x.tiktoken"), PM_FORMAT_AUTO, &err), PM_UNSUPPORTED, "over characters");
    pm_tokenizer_free(tok);
    pm_tokenizer_free(prefixed);
}
END_TEST

/* Models that are not what they say. */
START_TEST(models_that_do_not_fit) {
    static const struct {
        const char *words, *piece;
        bool characters, bytes, twice, blank;
    } rows[] = {
        {"byte token", "a", false, true, false, true},      {"not a byte token", "a", true, false, false, true},
        {"are the same byte", "a", true, true, true, true}, {"not made of characters", "\xe4\xb8", true, true, false, true},
        {"holds U+2581", "\u2581", true, true, false, true}, {"a blank is not a piece", "a", true, true, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pm_model model = {.algorithm = PM_ALGORITHM_BPE, .characters = rows[i].characters};
        pm_tokenizer *tok;
        uint8_t byte = 0;
        for (pm_id id = 0; id < 256; id++, byte++) {
            assert_ok(pm_model_set(&model, id, rows[i].bytes ? PM_KIND_BYTE : PM_KIND_CONTROL, (pm_bytes){&byte, 1}, 0, false, &err));
        }
        if (rows[i].twice) {
            assert_ok(pm_model_set(&model, 256, PM_KIND_BYTE, (pm_bytes){&byte, 1}, 0, false, &err));
        }
        assert_ok(pm_model_set(&model, 257, PM_KIND_PIECE, (pm_bytes){(const uint8_t *)rows[i].piece, strlen(rows[i].piece)}, 0, false, &err));
        if (rows[i].blank) {
            assert_ok(pm_model_set(&model, 258, PM_KIND_PIECE, (pm_bytes){(const uint8_t *)" ", 1}, 0, false, &err));
        }
        assert_fails(pm_tokenizer_make(&tok, &model, &err), PM_BAD_FORMAT, rows[i].words);
    }
}
END_TEST

/* ---------------------------------------------------------------- options ---- */

START_TEST(options_that_do_not_fit) {
    const pm_special_token unk = {{(const uint8_t *)"<unk>", 5}, PM_ID_NONE}, far = {{(const uint8_t *)"X", 1}, 4};
    const pm_bytes piece = {(const uint8_t *)"ab", 2};
    pm_tokenizer *tok, *base = train("ab ab", 265);
    const struct {
        const char *words;
        pm_train_options o;
    } rows[] = {
        {"character_coverage is 1.5", {.character_coverage = 1.5}},
        {"character_coverage is -1", {.character_coverage = -1}},
        {"layout is an option of level byte", {.layout = PM_LAYOUT_HF}},
        {"required_pieces is an option of level byte", {.required_pieces = &piece, .n_required_pieces = 1}},
        {"not a BPE one over bytes", {.extend = base}},
        {"'<unk>': at level char it is in every vocabulary", {.special_tokens = &unk, .n_special_tokens = 1}},
        {"they lie from 3 to 3", {.special_tokens = &far, .n_special_tokens = 1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pm_train_options o = rows[i].o;
        o.size = sizeof o;
        o.min_count = PM_MIN_COUNT_DEFAULT;
        assert_fails(train_with(&tok, "ab ab", 300, o), PM_INVALID_ARGUMENT, rows[i].words);
    }
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    assert_fails(train_with(&tok, "ab ab", 258, o), PM_INVALID_ARGUMENT, "at least 259");
    assert_fails(train_with(&tok, "ab ab", 261, o), PM_INVALID_ARGUMENT, "3 characters of the text are in the alphabet");
    assert_ok(train_with(&tok, "ab ab", 262, o));
    pm_tokenizer_free(tok);
    pm_tokenizer_free(base);
}
END_TEST

START_TEST(coverage_is_of_level_char) {
    pm_corpus *corpus;
    pm_tokenizer *tok;
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    uint32_t size = 300;
    o.vocab_sizes = &size;
    o.n_vocab_sizes = 1;
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    o.algorithm = PM_ALGORITHM_BPE;
    o.character_coverage = 0.5;
    assert_fails(pm_train(&tok, 1, corpus, &o, &err), PM_INVALID_ARGUMENT, "option of level char");
    o.character_coverage = 0;
    o.level = (pm_level)7;
    assert_fails(pm_train(&tok, 1, corpus, &o, &err), PM_INVALID_ARGUMENT, "level 7 is not known");
    o.level = PM_LEVEL_CHARACTER;
    o.algorithm = PM_ALGORITHM_BYTEPIECE;
    assert_fails(pm_train(&tok, 1, corpus, &o, &err), PM_INVALID_ARGUMENT, "level is an option of BPE");
    pm_corpus_free(corpus);
}
END_TEST

/* Under a limit words go to a file and phases are more; the tokenizer is the same. So it is from a checkpoint that has some of the merges. */
START_TEST(limits_and_checkpoints_change_nothing) {
    pm_tokenizer *tok[4];
    char hash[4][PM_HASH_HEX], folder[512];
    snprintf(folder, sizeof folder, "%s", temporary_path("characters.checkpoint"));
    for (int i = 0; i < 4; i++) {
        pm_corpus *corpus;
        pm_train_options o = PM_TRAIN_OPTIONS_INIT;
        uint32_t size = i == 2 ? 4000 : 4500; /* what the third has found, the fourth goes on from */
        assert_ok(pm_corpus_new(&corpus, NULL, &err));
        assert_ok(pm_corpus_add_file(corpus, source_path("corpora/zh.txt"), &err));
        o.algorithm = PM_ALGORITHM_BPE;
        o.level = PM_LEVEL_CHARACTER;
        o.vocab_sizes = &size;
        o.n_vocab_sizes = 1;
        o.threads = 1 + (unsigned)i % 2;
        o.memory_limit = i == 1 ? 32 << 20 : 0;
        o.checkpoint = i >= 2 ? folder : NULL;
        assert_ok(pm_train(&tok[i], 1, corpus, &o, &err));
        pm_tokenizer_hash(tok[i], hash[i]);
        pm_corpus_free(corpus);
    }
    ck_assert_str_eq(hash[0], hash[1]);
    ck_assert_str_ne(hash[0], hash[2]);
    ck_assert_str_eq(hash[0], hash[3]);
    ck_assert_uint_gt(pm_tokenizer_n_merges(tok[2]), 100);
    for (int i = 0; i < 4; i++) {
        pm_tokenizer_free(tok[i]);
    }
}
END_TEST

Suite *suite_characters(void);
Suite *suite_characters(void) {
    Suite *suite = suite_create("characters");
    TCase *tcase = tcase_create("characters");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, merges_equal_the_twin);
    tcase_add_test(tcase, an_alphabet_above_16_bits);
    tcase_add_test(tcase, ids_equal_the_twin);
    tcase_add_test(tcase, long_words_equal_the_twin);
    tcase_add_test(tcase, decoding_gives_the_text_back);
    tcase_add_test(tcase, layout_of_ids);
    tcase_add_test(tcase, control_tokens_around_a_text);
    tcase_add_test(tcase, specials_lie_between_texts);
    tcase_add_test(tcase, a_file_gives_the_same_tokenizer);
    tcase_add_test(tcase, models_that_do_not_fit);
    tcase_add_test(tcase, options_that_do_not_fit);
    tcase_add_test(tcase, coverage_is_of_level_char);
    tcase_add_test(tcase, limits_and_checkpoints_change_nothing);
    suite_add_tcase(suite, tcase);
    return suite;
}
