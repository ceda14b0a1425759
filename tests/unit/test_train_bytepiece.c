/* test_train_bytepiece.c - the BytePiece trainer and encoder against their twin on small random corpora; chunks;
 * spooling; options. */
#include <stdio.h>

#include "../oracle/bytepiece.h"
#include "count/spool.h"
#include "pretok/split.h"
#include "support.h"
#include "text/chunk.h"
#include "train/segment.h"

enum { MAX_DOCS = 60, MAX_BYTES = 6000, MAX_SIZES = 3 };

typedef struct text {
    uint8_t data[MAX_BYTES];
    size_t ends[MAX_DOCS], n;
} text;

static pm_bytes document(const text *t, size_t i) {
    size_t begin = i ? t->ends[i - 1] : 0;
    return (pm_bytes){t->data + begin, t->ends[i] - begin};
}

/* Documents of words that repeat, from one of several alphabets; all of it is in NFC. */
static void random_documents(text *t, uint64_t *state, unsigned kind) {
    static const char *const units[][8] = {
        {"a", "b", "c", " ", "ab", "\n", "the ", "ing "},
        {"中", "文", "字", "的", "，", "中文", "\n", "a1"},
        {"1", "٣", "９", "x", "😀", "\n\n", "12", "é"},
        {"\x80", "\xFF", "a", "\xE4\xB8", "中", "\xC0", "\n", "\xF0\x9F\x98"},
        {"a", "a", "a", "aa", "aaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "b", "\n"},
    };
    char words[12][24];
    size_t at = 0;
    for (int w = 0; w < 12; w++) {
        words[w][0] = 0;
        for (uint64_t k = 1 + random_word(state) % 4; k > 0 && strlen(words[w]) < 16; k--) {
            const char *unit = units[kind][random_word(state) % 8];
            strncat(words[w], unit, sizeof words[w] - strlen(words[w]) - 1);
        }
    }
    t->n = random_word(state) % MAX_DOCS;
    size_t room = 20 + random_word(state) % (MAX_BYTES - 200);
    for (size_t i = 0; i < t->n; i++) {
        for (uint64_t k = random_word(state) % 40; k > 0 && at + 64 < room; k--) {
            const char *word =
                random_word(state) % 5 ? words[random_word(state) % 12] : units[kind][random_word(state) % 8];
            memcpy(t->data + at, word, strlen(word));
            at += strlen(word);
            if (random_word(state) % 50 == 0) {
                t->data[at++] = 0;
            }
        }
        t->ends[i] = at;
    }
}

typedef struct setup {
    oracle_options oracle;
    uint32_t sizes[MAX_SIZES];
    size_t n_sizes;
    unsigned threads;
} setup;

static setup random_setup(uint64_t *state) {
    setup s = {.oracle = {.order = 1 + (unsigned)(random_word(state) % 7),
                          .min_count = random_word(state) % 3 ? 2 : random_word(state) % 5,
                          .max_piece_length = random_word(state) % 2 ? 36 : 1 + random_word(state) % 9,
                          .isolate_digits = random_word(state) % 3 == 0,
                          .ensure_unicode = random_word(state) % 4 != 0},
               .n_sizes = 1 + random_word(state) % MAX_SIZES,
               .threads = 1 + (unsigned)(random_word(state) % 3)};
    for (size_t i = 0; i < s.n_sizes; i++) {
        s.sizes[i] = 259 + (uint32_t)(random_word(state) % 120);
    }
    return s;
}

static pm_status train(const text *t, const setup *s, pm_tokenizer **out, pm_train_summary *summary, pm_error *err) {
    pm_corpus *corpus;
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    ck_assert_int_eq(pm_corpus_new(&corpus, NULL, err), PM_OK);
    for (size_t i = 0; i < t->n; i++) {
        ck_assert_int_eq(pm_corpus_add_document(corpus, document(t, i), err), PM_OK);
    }
    o.vocab_sizes = s->sizes;
    o.n_vocab_sizes = s->n_sizes;
    o.ngram_order = s->oracle.order;
    o.min_count = s->oracle.min_count;
    o.max_piece_length = (uint32_t)s->oracle.max_piece_length;
    o.isolate_digits = s->oracle.isolate_digits;
    o.ensure_unicode = s->oracle.ensure_unicode;
    o.threads = s->threads;
    o.summary = summary;
    pm_status status = pm_train(out, s->n_sizes, corpus, &o, err);
    pm_corpus_free(corpus);
    return status;
}

static void compare_model(const pm_tokenizer *tok, const oracle_dict *pieces) {
    size_t n = 0;
    for (pm_id id = 0; id < pm_tokenizer_vocab_size(tok); id++) {
        if (pm_tokenizer_kind(tok, id) != PM_KIND_PIECE) {
            continue;
        }
        pm_bytes piece = pm_tokenizer_piece(tok, id);
        const oracle_entry *e = oracle_dict_find(pieces, piece);
        ck_assert_msg(e != NULL, "piece of id %u is not the twin's", id);
        ck_assert_uint_eq(e->count, pm_tokenizer_count(tok, id));
        if (n++) { /* sorted by (length, bytes) */
            pm_bytes before = pm_tokenizer_piece(tok, id - 1);
            ck_assert(before.len < piece.len ||
                      (before.len == piece.len && memcmp(before.data, piece.data, piece.len) < 0));
        }
    }
    ck_assert_uint_eq(n, pieces->n);
    ck_assert_uint_eq(pm_tokenizer_vocab_size(tok), n + 3);
}

static void compare_ids(const pm_tokenizer *tok, oracle_dict *pieces, const pm_bytes *chunks, size_t n_chunks,
                        pm_bytes all) {
    pm_error err = {0};
    pm_encoder *enc;
    pm_id ids[3 * MAX_BYTES];
    size_t n, ends[MAX_BYTES];
    oracle_set_logs(pieces);
    assert_ok(pm_encoder_new(&enc, tok, &err));
    for (size_t c = 0; c < n_chunks; c++) { /* a chunk ends at newlines only: encoded by itself it is one again */
        assert_ok(pm_encode(enc, chunks[c], NULL, ids, sizeof ids / sizeof *ids, &n, &err));
        ck_assert_uint_eq(n, oracle_best(pieces, chunks[c], ends));
        for (size_t i = 0; i < n; i++) {
            size_t begin = i ? ends[i - 1] : 0;
            pm_bytes piece = pm_tokenizer_piece(tok, ids[i]);
            ck_assert_uint_eq(piece.len, ends[i] - begin);
            ck_assert_mem_eq(piece.data, chunks[c].data + begin, piece.len);
        }
    }
    (void)all;
    pm_encoder_free(enc);
}

static void compare_once(uint64_t *state, unsigned kind) {
    static text t;
    static pm_bytes chunks[MAX_BYTES];
    pm_error err = {0};
    pm_tokenizer *toks[MAX_SIZES];
    oracle_dict pieces[MAX_SIZES];
    pm_train_summary summary;
    size_t n = 0, ends[MAX_BYTES], sorted[MAX_SIZES];
    setup s = random_setup(state);

    random_documents(&t, state, kind);
    for (size_t i = 0; i < t.n; i++) {
        pm_bytes doc = document(&t, i);
        size_t k = oracle_chunks(doc.data, doc.len, s.oracle.isolate_digits, ends);
        for (size_t c = 0; c < k; c++) {
            size_t begin = c ? ends[c - 1] : 0;
            chunks[n++] = (pm_bytes){doc.data + begin, ends[c] - begin};
        }
    }
    pm_status status = train(&t, &s, toks, &summary, &err);
    if (n == 0) {
        ck_assert_int_eq(status, PM_EMPTY_CORPUS);
        return;
    }
    assert_ok(status);
    ck_assert_uint_eq(summary.words, n);
    for (size_t i = 0; i < s.n_sizes; i++) { /* the twin wants sizes going down */
        size_t k = i;
        for (; k > 0 && sorted[k - 1] < s.sizes[i] - 3; k--) {
            sorted[k] = sorted[k - 1];
        }
        sorted[k] = s.sizes[i] - 3;
    }
    oracle_train(&s.oracle, chunks, n, sorted, s.n_sizes, pieces);
    for (size_t i = 0; i < s.n_sizes; i++) {
        size_t k = 0;
        while (sorted[k] != s.sizes[i] - 3) {
            k++;
        }
        compare_model(toks[i], &pieces[k]);
        compare_ids(toks[i], &pieces[k], chunks, n < 40 ? n : 40, (pm_bytes){t.data, t.n ? t.ends[t.n - 1] : 0});
        pm_tokenizer_free(toks[i]);
    }
    for (size_t i = 0; i < s.n_sizes; i++) {
        oracle_dict_free(&pieces[i]);
    }
}

START_TEST(models_and_ids_equal_the_twin) {
    uint64_t state = (uint64_t)_i + 1;
    for (int round = 0; round < 40; round++) {
        compare_once(&state, (unsigned)_i);
    }
}
END_TEST

START_TEST(chunks_equal_the_twin) {
    static uint8_t data[70000];
    static size_t ends[70001];
    static const size_t runs[] = {0, 1, 9999, 10000, 10001, 20000, 20001};
    for (size_t i = 0; i < sizeof runs / sizeof *runs * 8; i++) {
        size_t len = 0, n;
        const char *unit = i % 8 < 3 ? "a" : i % 8 < 6 ? "中" : i % 8 == 6 ? "\x80" : "4";
        for (size_t k = 0; k < runs[i / 8] && len + 300 < sizeof data; k++) {
            memcpy(data + len, unit, strlen(unit));
            len += strlen(unit);
        }
        memset(data + len, '\n', i % 3 * 100 + i % 2);
        len += i % 3 * 100 + i % 2;
        memcpy(data + len, "x1\nz", 4);
        len += 4;
        for (int isolate = 0; isolate < 2; isolate++) {
            n = oracle_chunks(data, len, isolate, ends);
            size_t at = 0;
            for (size_t c = 0; c < n; c++) {
                at += pm_chunk_next(data + at, len - at, isolate);
                ck_assert_uint_eq(at, ends[c]);
            }
            ck_assert_uint_eq(at, len);
        }
    }
}
END_TEST

START_TEST(digits_are_those_of_unicode) {
    ck_assert(pm_is_decimal_digit('0') && pm_is_decimal_digit('9') && !pm_is_decimal_digit('/') &&
              !pm_is_decimal_digit(':'));
    ck_assert(!pm_is_decimal_digit(0xB2) && !pm_is_decimal_digit(0x65F) && pm_is_decimal_digit(0x660) &&
              pm_is_decimal_digit(0x669));
    ck_assert(!pm_is_decimal_digit(0x66A) && pm_is_decimal_digit(0x1D7FF) && !pm_is_decimal_digit(0x1D800) &&
              !pm_is_decimal_digit(0x10FFFF));
    ck_assert(pm_is_decimal_digit(0x10D40)); /* Garay: Unicode 16 */
}
END_TEST

static pm_ngram_model *model_of(const uint8_t *data, const uint32_t *ends, size_t n, unsigned order, bool wide) {
    pm_error err = {0};
    pm_ngram_counter *counter;
    pm_ngram_model *model;
    const pm_count_work work = {.threads = 1, .memory = UINT64_MAX};
    const pm_chunks run = {.text = (uint8_t *)data, .ends = (uint32_t *)ends, .len = ends[n - 1], .n = n, .weight = 1};
    assert_ok(pm_ngram_counter_new(&counter, order, &work, &err));
    if (wide) {
        pm_ngram_counter_widen(counter);
    }
    assert_ok(pm_ngram_count(counter, 0, &run, &err));
    assert_ok(pm_ngram_model_new(&model, counter, 2, &work, &err));
    ck_assert_int_eq(model->wide, wide);
    pm_ngram_counter_free(counter);
    return model;
}

/* Half a megabyte: bits of counts wrap, counts pass what a code can say directly. */
START_TEST(wide_slots_give_what_narrow_ones_give) {
    enum { LEN = 500000, CHUNK = 2500 };
    static uint8_t data[LEN + 8];
    static uint32_t ends[LEN / CHUNK];
    uint64_t state = 4;
    for (size_t i = 0; i < LEN; i++) {
        uint64_t r = random_word(&state);
        data[i] = (uint8_t)(r % 8 ? 'a' + (r >> 8) % 2 : i > 9 ? data[i - 1 - (r >> 8) % 9] : r >> 8);
    }
    for (size_t i = 0; i < LEN / CHUNK; i++) {
        ends[i] = (uint32_t)(i + 1) * CHUNK;
    }
    for (unsigned order = 1; order <= 6; order++) {
        pm_error err = {0};
        pm_ngram_model *narrow = model_of(data, ends, LEN / CHUNK, order, false),
                       *wide = model_of(data, ends, LEN / CHUNK, order, true);
        pm_segmenter a = {0}, b = {0};
        assert_ok(pm_segment(&a, narrow, true, data, ends, LEN / CHUNK, &err));
        assert_ok(pm_segment(&b, wide, true, data, ends, LEN / CHUNK, &err));
        ck_assert_uint_eq(a.n, b.n);
        ck_assert_mem_eq(a.spans, b.spans, a.n * sizeof *a.spans);
        pm_segmenter_release(&a);
        pm_segmenter_release(&b);
        pm_ngram_model_free(narrow);
        pm_ngram_model_free(wide);
    }
}
END_TEST

/* What a spool gives back is what it was given, whether it went through memory or the file, and as often as it is asked for. */
static void check_run(const pm_chunks *c, int i) {
    ck_assert_uint_eq(c->n, (size_t)i + 1);
    ck_assert_uint_eq(c->weight, (uint32_t)i);
    ck_assert_uint_eq(c->section, (uint64_t)i / 3);
    ck_assert_uint_eq(c->n_docs, (size_t)i % 4);
    for (size_t d = 0; d < c->n_docs; d++) {
        ck_assert_uint_eq(c->docs[d], (uint32_t)i + 1);
    }
    for (int k = 0; k <= i; k++) {
        size_t begin = k ? c->ends[k - 1] : 0;
        ck_assert_uint_eq(c->ends[k] - begin, (size_t)(k % 50));
        for (size_t b = begin; b < c->ends[k]; b++) {
            ck_assert_uint_eq(c->text[b], (uint8_t)(i + k));
        }
    }
}

START_TEST(spool_keeps_runs_in_memory_and_file) {
    pm_error err = {0};
    pm_spool *spool;
    pm_chunks c = {0}, buffer = {0};
    const pm_chunks *run;
    assert_ok(pm_spool_new(&spool, 3000, NULL, &err));
    for (int i = 0; i < 20; i++) {
        for (int k = 0; k <= i; k++) {
            uint8_t chunk[50];
            memset(chunk, i + k, sizeof chunk);
            assert_ok(pm_chunks_add(&c, chunk, (size_t)(k % 50), &err));
        }
        for (int d = 0; d < i % 4; d++) {
            assert_ok(pm_chunks_end_document(&c, &err));
        }
        c.weight = (uint32_t)i;
        c.section = (uint64_t)i / 3;
        assert_ok(pm_spool_put(spool, &c, &err));
        ck_assert_uint_eq(c.n, 0);
    }
    ck_assert_uint_eq(pm_spool_size(spool), 20);
    for (int i = 19; i >= 0; i--) {
        for (int times = 0; times < 2; times++) {
            assert_ok(pm_spool_get(spool, (size_t)i, &buffer, &run, &err));
            check_run(run, i);
        }
        ck_assert_uint_eq(pm_spool_section(spool, (size_t)i), (uint64_t)i / 3);
        assert_ok(pm_spool_take(spool, (size_t)i, &c, &err));
        check_run(&c, i);
    }
    pm_chunks_release(&c);
    pm_chunks_release(&buffer);
    pm_spool_free(spool);
}
END_TEST

static pm_bytes bytes_of(const char *s) { return (pm_bytes){(const uint8_t *)s, strlen(s)}; }

START_TEST(special_tokens_and_reserved_slots_come_behind_the_pieces) {
    pm_error err = {0};
    pm_corpus *corpus;
    pm_tokenizer *tok;
    pm_train_summary summary = {0};
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    const uint32_t size = 300;
    const pm_special_token specials[] = {{bytes_of("<|end|>"), PM_ID_NONE}, {bytes_of("<|user|>"), PM_ID_NONE}};
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    for (int i = 0; i < 50; i++) {
        assert_ok(pm_corpus_add_document(corpus, bytes_of("the quick brown fox jumps over the lazy dog and on <|end|>"),
                                         &err));
        assert_ok(pm_corpus_add_document(corpus, bytes_of("pack my box with five dozen liquor jugs"), &err));
    }
    o.vocab_sizes = &size;
    o.n_vocab_sizes = 1;
    o.special_tokens = specials;
    o.n_special_tokens = 2;
    o.reserve = 5;
    o.round_to = 64;
    o.summary = &summary;
    assert_ok(pm_train(&tok, 1, corpus, &o, &err));
    pm_corpus_free(corpus);
    ck_assert_uint_eq(pm_tokenizer_vocab_size(tok) % 64, 0);
    ck_assert_uint_eq(summary.documents_with_special, 50);
    ck_assert_uint_eq(summary.documents, 100);
    ck_assert(summary.smaller_than_asked); /* a few dozen pieces are all that this text gives */
    for (pm_id id = 0; id < 3; id++) {
        ck_assert_int_eq(pm_tokenizer_kind(tok, id), PM_KIND_CONTROL);
    }
    pm_id end = pm_tokenizer_find(tok, bytes_of("<|end|>"));
    ck_assert_int_eq(pm_tokenizer_kind(tok, end), PM_KIND_SPECIAL);
    ck_assert_int_eq(pm_tokenizer_kind(tok, end - 1), PM_KIND_PIECE);
    ck_assert_int_eq(pm_tokenizer_kind(tok, end + 1), PM_KIND_SPECIAL);
    ck_assert_int_eq(pm_tokenizer_kind(tok, end + 2), PM_KIND_RESERVED);
    ck_assert_int_eq(pm_tokenizer_kind(tok, pm_tokenizer_vocab_size(tok) - 1), PM_KIND_RESERVED);
    ck_assert_ptr_nonnull(strstr(pm_tokenizer_settings(tok), "ngram_order=6\n"));
    pm_tokenizer_free(tok);
}
END_TEST

static uint64_t allowed;
static bool allow_some(void) { return allowed && allowed--; }

START_TEST(every_failed_allocation_is_reported) {
    static text t;
    uint64_t state = 5;
    setup s = {.oracle = {6, 2, 36, false, true}, .sizes = {300, 280}, .n_sizes = 2, .threads = 1};
    pm_tokenizer *toks[MAX_SIZES];
    pm_status status = PM_NO_MEMORY;
    do {
        random_documents(&t, &state, 0);
    } while (t.n < 5);
    for (uint64_t n = 0; status != PM_OK; n += n < 200 ? 1 : 1 + n / 200) {
        pm_error err = {0};
        pm_corpus *corpus;
        pm_train_options o = PM_TRAIN_OPTIONS_INIT;
        assert_ok(pm_corpus_new(&corpus, NULL, &err));
        for (size_t i = 0; i < t.n; i++) {
            assert_ok(pm_corpus_add_document(corpus, document(&t, i), &err));
        }
        o.vocab_sizes = s.sizes;
        o.n_vocab_sizes = s.n_sizes;
        o.threads = 1;
        allowed = n;
        pm_alloc_test_hook = allow_some;
        status = pm_train(toks, s.n_sizes, corpus, &o, &err);
        pm_alloc_test_hook = NULL;
        pm_corpus_free(corpus);
        ck_assert_msg(status == PM_OK || status == PM_NO_MEMORY, "%s: %s", pm_status_name(status), err.message);
        ck_assert_int_eq(toks[0] != NULL, status == PM_OK);
    }
    pm_tokenizer_free(toks[0]);
    pm_tokenizer_free(toks[1]);
}
END_TEST

static pm_tokenizer *train_documents(const pm_bytes *docs, size_t n, const char *pattern, unsigned threads) {
    pm_error err = {0};
    pm_corpus *corpus;
    pm_tokenizer *tok;
    const uint32_t size = 330;
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    for (size_t i = 0; i < n; i++) {
        assert_ok(pm_corpus_add_document(corpus, docs[i], &err));
    }
    o.vocab_sizes = &size;
    o.n_vocab_sizes = 1;
    o.patterns = &pattern;
    o.n_patterns = pattern != NULL;
    o.threads = threads;
    assert_ok(pm_train(&tok, 1, corpus, &o, &err));
    pm_corpus_free(corpus);
    return tok;
}

static void same_pieces(const pm_tokenizer *a, const pm_tokenizer *b) {
    ck_assert_uint_eq(pm_tokenizer_vocab_size(a), pm_tokenizer_vocab_size(b));
    for (pm_id id = 0; id < pm_tokenizer_vocab_size(a); id++) {
        pm_bytes x = pm_tokenizer_piece(a, id), y = pm_tokenizer_piece(b, id);
        ck_assert(x.len == y.len && memcmp(x.data, y.data, x.len) == 0);
        ck_assert_uint_eq(pm_tokenizer_count(a, id), pm_tokenizer_count(b, id));
    }
}

/* The ids of the parts of a document, each encoded alone by `apart`, are those that `tok` gives for the whole. */
static void same_ids(const pm_tokenizer *tok, const pm_tokenizer *apart, pm_bytes doc, const pm_bytes *parts, size_t n, double alpha) {
    static pm_id whole[MAX_BYTES], part[MAX_BYTES];
    pm_error err = {0};
    pm_encoder *enc, *enc_apart;
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    size_t n_whole, at = 0, n_part;
    o.alpha = alpha;
    o.seed = 3;
    assert_ok(pm_encoder_new(&enc, tok, &err));
    assert_ok(pm_encoder_new(&enc_apart, apart, &err));
    assert_ok(pm_encode(enc, doc, &o, whole, MAX_BYTES, &n_whole, &err));
    for (size_t i = 0; i < n; i++) {
        assert_ok(pm_encode(enc_apart, parts[i], NULL, part, MAX_BYTES, &n_part, &err));
        if (alpha < 0) {
            ck_assert(at + n_part <= n_whole);
            ck_assert_mem_eq(whole + at, part, n_part * sizeof *part);
            at += n_part;
        } else { /* other segmentations, but none across the end of a part */
            size_t len = 0;
            while (len < parts[i].len) {
                len += pm_tokenizer_piece(tok, whole[at++]).len;
            }
            ck_assert_uint_eq(len, parts[i].len);
        }
    }
    ck_assert_uint_eq(at, n_whole);
    pm_encoder_free(enc);
    pm_encoder_free(enc_apart);
}

/* Training under a pattern is training from its pre-tokens as documents, and encoding too cuts by it first. */
START_TEST(a_pattern_cuts_before_anything_else) {
    static const char *const patterns[] = {"gpt2", "o200k_base", "[a-c]+|\\s"};
    static text t;
    static pm_bytes docs[MAX_DOCS], parts[MAX_BYTES];
    uint64_t state = 17;
    for (unsigned i = 0; i < 9; i++) {
        const char *pattern = patterns[i % 3];
        pm_splitter *splitter;
        pm_split_scratch *scratch;
        pm_error err = {0};
        size_t n = 0, first[MAX_DOCS + 1] = {0};
        do {
            random_documents(&t, &state, i % 3);
        } while (t.n < 3 || t.ends[t.n - 1] == 0);
        assert_ok(pm_splitter_new(&splitter, &pattern, 1, &err));
        assert_ok(pm_split_scratch_new(&scratch, splitter, &err));
        for (size_t d = 0; d < t.n; d++) {
            docs[d] = document(&t, d);
            pm_split_begin(scratch, docs[d].data, docs[d].len);
            for (size_t end = 0, begin = 0, got = 1; got; begin = end) {
                assert_ok(pm_split_next(scratch, &end, 1, &got, &err));
                parts[n] = (pm_bytes){docs[d].data + begin, end - begin};
                n += got;
            }
            first[d + 1] = n;
        }
        pm_tokenizer *tok = train_documents(docs, t.n, pattern, 1 + i % 2), *apart = train_documents(parts, n, NULL, 1);
        same_pieces(tok, apart);
        for (size_t d = 0; d < t.n; d++) {
            same_ids(tok, apart, docs[d], parts + first[d], first[d + 1] - first[d], -1);
            same_ids(tok, apart, docs[d], parts + first[d], first[d + 1] - first[d], 0.1);
        }
        const char *path = temporary_path("pattern.piecemill");
        char saved[PM_HASH_HEX], loaded[PM_HASH_HEX];
        pm_tokenizer_hash(tok, saved);
        assert_ok(pm_tokenizer_save(tok, path, PM_FORMAT_NATIVE, &err));
        assert_fails(pm_tokenizer_save(tok, path, PM_FORMAT_BYTEPIECE, &err), PM_UNSUPPORTED, "no room for a pattern");
        pm_tokenizer_free(tok);
        assert_ok(pm_tokenizer_load(&tok, path, NULL, &err));
        pm_tokenizer_hash(tok, loaded);
        ck_assert_str_eq(saved, loaded);
        ck_assert_str_eq(pm_tokenizer_pattern_name(tok), i % 3 == 2 ? "" : pattern);
        same_ids(tok, apart, docs[0], parts, first[1], -1);
        pm_tokenizer_free(tok);
        pm_tokenizer_free(apart);
        pm_split_scratch_free(scratch);
        pm_splitter_free(splitter);
    }
}
END_TEST

Suite *suite_train_bytepiece(void);
Suite *suite_train_bytepiece(void) {
    Suite *suite = suite_create("train_bytepiece");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, models_and_ids_equal_the_twin, 0, 5);
    tcase_add_test(tc, chunks_equal_the_twin);
    tcase_add_test(tc, digits_are_those_of_unicode);
    tcase_add_test(tc, wide_slots_give_what_narrow_ones_give);
    tcase_add_test(tc, spool_keeps_runs_in_memory_and_file);
    tcase_add_test(tc, special_tokens_and_reserved_slots_come_behind_the_pieces);
    tcase_add_test(tc, a_pattern_cuts_before_anything_else);
    tcase_add_test(tc, every_failed_allocation_is_reported);
    suite_add_tcase(suite, tc);
    return suite;
}
