/* test_bpe_vocab.c - the vocabulary that BPE training grows: what it forbids, beginning with merges, bringing words to them. */
#include <string.h>

#include "../oracle/bpe_train.h"
#include "encode/engine.h"
#include "model/model.h"
#include "support.h"
#include "train/bpe.h"
#include "train/bpe_replay.h"

static pm_error err;

enum { MAX_WORDS = 200, MAX_LENGTH = 300, MAX_MERGES = 200 };

typedef struct made {
    uint8_t bytes[MAX_WORDS * MAX_LENGTH];
    slow_word words[MAX_WORDS];
    size_t n;
} made;

/* Words over a small alphabet, most of them short, some longer than PM_MERGE_SHORT. */
static void make_words(made *m, uint64_t *state, const char *letters, size_t n_letters) {
    uint8_t *p = m->bytes;
    m->n = 1 + random_word(state) % (random_word(state) % 4 ? 40 : MAX_WORDS);
    for (size_t i = 0; i < m->n; i++) {
        size_t len = 1 + random_word(state) % (random_word(state) % 8 ? 12 : MAX_LENGTH);
        for (size_t k = 0; k < len; k++) {
            p[k] = (uint8_t)letters[random_word(state) % n_letters];
        }
        m->words[i] = (slow_word){{p, len}, random_word(state) % 5};
        p += len;
    }
}

static pm_records records_of(const made *m) {
    pm_records records = {0};
    for (size_t i = 0; i < m->n; i++) {
        size_t bytes = pm_record_bytes(m->words[i].text.len, 1);
        pm_record *r = pm_records_reserve(&records, bytes);
        ck_assert_ptr_nonnull(r);
        *r = (pm_record){(uint32_t)m->words[i].weight, (uint32_t)m->words[i].text.len};
        memcpy(pm_record_cells(r), m->words[i].text.data, r->n);
        records.last->used += bytes;
    }
    return records;
}

static void fill_vocab(pm_bpe_vocab *vocab, const slow_merge *merges, size_t n) {
    assert_ok(pm_bpe_vocab_init(vocab, NULL, &err));
    for (size_t i = 0; i < n; i++) {
        assert_ok(pm_bpe_vocab_add(vocab, merges[i].left, merges[i].right, merges[i].count, &err));
    }
}

/* ---------------------------------------------------------------- replay ---- */

/* A number for a weighted sequence of symbols; the sum over all does not depend on their order. */
static uint64_t print_of(const uint32_t *symbols, size_t n, uint64_t weight) {
    uint64_t state = n;
    for (size_t i = 0; i < n; i++) {
        state = random_word(&state) + symbols[i];
    }
    return random_word(&state) * weight;
}

static uint64_t print_of_records(const pm_records *records, unsigned width, size_t *n_words) {
    uint64_t sum = 0;
    for (const pm_chunk *chunk = records->first; chunk; chunk = chunk->next) {
        for (size_t at = sizeof *chunk; at < chunk->used;) {
            const pm_record *r = pm_record_at(chunk, at);
            uint32_t symbols[MAX_LENGTH];
            for (size_t i = 0; i < r->n; i++) {
                symbols[i] = width == 2 ? ((uint16_t *)pm_record_cells(r))[i] : ((uint32_t *)pm_record_cells(r))[i];
            }
            sum += print_of(symbols, r->n, r->weight);
            ++*n_words;
            at += pm_record_bytes(r->n, width);
        }
    }
    return sum;
}

static void compare_replay(const made *m, const slow_merge *merges, size_t n_merges, unsigned width) {
    pm_bpe_vocab vocab;
    pm_bpe_replay replay;
    pm_bpe_replayer replayer = {0};
    pm_records in = records_of(m), out = {0};
    uint64_t wanted = 0;
    size_t n_wanted = 0, n_got = 0;
    fill_vocab(&vocab, merges, n_merges);
    assert_ok(pm_bpe_replay_init(&replay, &vocab, &err));
    for (const pm_chunk *chunk = in.first; chunk; chunk = chunk->next) {
        assert_ok(pm_bpe_replay_chunk(&replay, &replayer, chunk, width, &out, &err));
    }
    for (size_t i = 0; i < m->n; i++) {
        uint32_t symbols[MAX_LENGTH];
        size_t n = slow_bpe_replay(m->words[i].text, merges, n_merges, symbols);
        if (n > 1 && m->words[i].weight) {
            wanted += print_of(symbols, n, m->words[i].weight);
            n_wanted++;
        }
    }
    ck_assert_uint_eq(print_of_records(&out, width, &n_got), wanted);
    ck_assert_uint_eq(n_got, n_wanted);
    pm_records_release(&in);
    pm_records_release(&out);
    pm_bpe_replayer_release(&replayer);
    pm_bpe_replay_release(&replay);
    pm_bpe_vocab_release(&vocab);
}

START_TEST(replaying_is_making_the_merges_in_turn) {
    static made m, other;
    static slow_merge merges[MAX_MERGES];
    for (uint64_t seed = 1; seed <= 80; seed++) {
        uint64_t state = seed;
        make_words(&m, &state, "abcd", 1 + seed % 4);
        make_words(&other, &state, "abcd", 4);
        size_t n = slow_bpe_train(m.words, m.n, seed % 5 ? 1 + random_word(&state) % 40 : MAX_MERGES * (seed % 2), 0, NULL, 0, merges);
        compare_replay(&m, merges, n, seed % 3 ? 2 : 4);
        compare_replay(&other, merges, n, 2);
    }
}
END_TEST

/* ---------------------------------------------------------------- going on ---- */

static const pm_bpe_plan plans[] = {{0.45, 8, 1 << 15, 0, 0, 0}, {0.45, 4, 0, 500, 0, 0}, {0.1, 2, 0, 0, 0.3, 1}, {0, 2, 0, 100, 0, 0}, {0, 2, 0, 0, 8, 1}};
enum { N_PLANS = sizeof plans / sizeof *plans };

/* Trains on with the merges [0, n_first) there, and compares with the twin, which leaves its merges in `merges`. */
static size_t compare(const made *m, size_t wanted, uint64_t min_count, const slow_rules *rules, slow_merge *merges, size_t n_first, uint64_t seed) {
    size_t n = slow_bpe_go_on(m->words, m->n, wanted, min_count, rules, merges, n_first);
    pm_bpe_rules same = {rules->specials, rules->n_specials, rules->excluded, rules->n_excluded, (uint32_t)rules->max_length,
                         (uint32_t)rules->max_words, rules->utf8, false};
    const pm_bpe_memory no_bound = {UINT64_MAX, UINT64_MAX};
    pm_records records = records_of(m);
    pm_store *store;
    pm_bpe_vocab vocab;
    pm_ticker ticker;
    pm_ticker_init(&ticker, NULL, NULL, 0);
    assert_ok(pm_store_new(&store, seed % 4 ? UINT64_MAX : 0, NULL, &err));
    assert_ok(pm_store_put_all(store, &records, &err));
    assert_ok(pm_bpe_vocab_init(&vocab, &same, &err));
    for (size_t i = 0; i < n_first; i++) {
        assert_ok(pm_bpe_vocab_add(&vocab, merges[i].left, merges[i].right, merges[i].count, &err));
    }
    assert_ok(pm_bpe_learn(&vocab, store, wanted, min_count, 1 + (unsigned)(seed % 3), &plans[seed % N_PLANS], &no_bound, &ticker, &err));
    ck_assert_msg(vocab.n_merges == n, "seed %llu: %zu merges instead of %zu", (unsigned long long)seed, vocab.n_merges, n);
    for (size_t i = 0; i < n; i++) {
        const pm_bpe_merge *x = &vocab.merges[i];
        ck_assert_msg(x->left == merges[i].left && x->right == merges[i].right && x->count == merges[i].count,
                      "seed %llu: merge %zu is (%u, %u) %llu instead of (%u, %u) %llu", (unsigned long long)seed, i, x->left, x->right,
                      (unsigned long long)x->count, merges[i].left, merges[i].right, (unsigned long long)merges[i].count);
    }
    pm_bpe_vocab_release(&vocab);
    return n;
}

START_TEST(training_goes_on_from_merges_that_are_there) {
    static made first, m;
    static slow_merge merges[MAX_MERGES];
    slow_rules none = {0};
    for (uint64_t seed = 1; seed <= 70; seed++) {
        uint64_t state = seed + 500;
        make_words(&first, &state, "abcd", 1 + seed % 4);
        make_words(&m, &state, "abcde", 2 + seed % 4);
        size_t n = slow_bpe_train(first.words, first.n, 1 + random_word(&state) % 60, 0, NULL, 0, merges);
        compare(&m, n + random_word(&state) % 60, seed % 4 ? 0 : 3, &none, merges, n, seed);
    }
}
END_TEST

/* ---------------------------------------------------------------- rules ---- */

/* Letters, white space, characters of two to four bytes and their parts, bytes that are in no character. */
static const char tricky[] = "ab \n\t\xC3\xA9\xE4\xB8\xAD\xE3\x80\x80\xF0\x9F\x98\x80\xED\xA0\xE0\xF4\x8F\x90\xC0\xFF\xEF\xBF\xBD";
enum { N_TRICKY = sizeof tricky - 1 };

static void check_pair(pm_bpe_vocab *vocab, const slow_rules *rules, uint32_t left, uint32_t right) {
    uint8_t joined[4096];
    pm_bytes a = vocab->texts[left], b = vocab->texts[right];
    memcpy(joined, a.data, a.len);
    memcpy(joined + a.len, b.data, b.len);
    bool wanted = !slow_bpe_allows(rules, joined, a.len + b.len);
    ck_assert_msg(pm_bpe_vocab_forbids(vocab, left, right) == wanted, "'%.*s' + '%.*s'", (int)a.len, (const char *)a.data, (int)b.len,
                  (const char *)b.data);
}

/* Symbols of any bytes, joined without regard for the rules. */
START_TEST(each_rule_says_what_its_twin_says) {
    enum { SYMBOLS = 400 };
    static const slow_rules kinds[] = {{.max_length = 5}, {.max_words = 1}, {.max_words = 2}, {.utf8 = true}, {.max_length = 3, .max_words = 2, .utf8 = true}};
    for (uint64_t seed = 0; seed < 20; seed++) {
        slow_rules rules = kinds[seed % 5];
        pm_bpe_rules same = {.max_length = (uint32_t)rules.max_length, .max_words = (uint32_t)rules.max_words, .utf8_boundaries = rules.utf8};
        pm_bpe_vocab vocab;
        uint64_t state = seed;
        uint32_t rank[256];
        assert_ok(pm_bpe_vocab_init(&vocab, &same, &err));
        for (uint32_t i = 0; i < 256; i++) {
            rank[pm_byte_order[i]] = i;
        }
        for (uint32_t i = 0; i < SYMBOLS; i++) {
            uint32_t left = i < 200 ? rank[(uint8_t)tricky[random_word(&state) % N_TRICKY]] : 256 + (uint32_t)(random_word(&state) % i);
            uint32_t right = i % 3 ? rank[(uint8_t)tricky[random_word(&state) % N_TRICKY]] : i ? 256 + (uint32_t)(random_word(&state) % i) : 0;
            if (vocab.texts[left].len + vocab.texts[right].len > 1000) {
                left = right = 0;
            }
            assert_ok(pm_bpe_vocab_add(&vocab, left, right, 0, &err));
        }
        for (uint32_t i = 0; i < 3000; i++) {
            uint32_t left = (uint32_t)(random_word(&state) % (256 + SYMBOLS)), right = (uint32_t)(random_word(&state) % (256 + SYMBOLS));
            check_pair(&vocab, &rules, left, right);
        }
        pm_bpe_vocab_release(&vocab);
    }
}
END_TEST

/* All parts of characters of two and three bytes that two bytes can make. */
START_TEST(any_two_bytes_join_as_the_twin_says) {
    slow_rules rules = {.utf8 = true};
    pm_bpe_rules same = {.utf8_boundaries = true};
    pm_bpe_vocab vocab;
    assert_ok(pm_bpe_vocab_init(&vocab, &same, &err));
    for (uint32_t left = 0; left < 256; left++) {
        for (uint32_t right = 0; right < 256; right++) {
            check_pair(&vocab, &rules, left, right);
            if (random_word(&(uint64_t){left * 256 + right}) % (quick() ? 64 : 16) == 0) {
                assert_ok(pm_bpe_vocab_add(&vocab, left, right, 0, &err));
            }
        }
    }
    for (uint32_t left = 256; left < pm_bpe_vocab_size(&vocab); left++) {
        for (uint32_t right = 0; right < 256; right++) {
            check_pair(&vocab, &rules, left, right);
            check_pair(&vocab, &rules, right, left);
        }
    }
    pm_bpe_vocab_release(&vocab);
}
END_TEST

START_TEST(merges_under_rules_equal_the_twin) {
    static made m;
    static slow_merge merges[MAX_MERGES];
    for (uint64_t seed = 1; seed <= 120; seed++) {
        uint64_t state = seed + 9000;
        const char *letters = seed % 2 ? "ab c\n" : tricky;
        make_words(&m, &state, letters, seed % 2 ? 5 : 2 + random_word(&state) % (N_TRICKY - 1));
        pm_bytes excluded[4];
        slow_rules rules = {.excluded = excluded};
        if (random_word(&state) % 2) {
            rules.max_length = 2 + random_word(&state) % 5;
        }
        if (random_word(&state) % 2) {
            rules.max_words = 1 + random_word(&state) % 3;
        }
        rules.utf8 = random_word(&state) % 3 == 0;
        for (; rules.n_excluded < random_word(&state) % 5 && rules.n_excluded < 4; rules.n_excluded++) {
            pm_bytes text = m.words[random_word(&state) % m.n].text;
            excluded[rules.n_excluded] = (pm_bytes){text.data, text.len < 3 ? text.len : 2 + random_word(&state) % 2};
        }
        compare(&m, 100, seed % 3 ? 0 : 2, &rules, merges, 0, seed);
    }
}
END_TEST

/* Pairs that rules keep apart for ever were counted and never cut: with max_piece_length 3, 20 MB of Chinese took 185 MB instead of 61, and a limit of
 * 48 MB was "too small". */
START_TEST(pairs_kept_apart_for_ever_are_cut) {
    const pm_bpe_memory no_bound = {UINT64_MAX, UINT64_MAX};
    static made m;
    for (int i = 0; i < 3; i++) {
        pm_bpe_rules rules = {.max_length = i == 1 ? 2 : 0, .max_words = i == 2 ? 1 : 0};
        pm_bpe_vocab vocab;
        pm_bpe_words *words;
        pm_store *store;
        pm_ticker ticker;
        pm_ticker_init(&ticker, NULL, NULL, 0);
        m.n = 1;
        m.words[0] = (slow_word){{(const uint8_t *)"a a a a ", 8}, 7};
        pm_records records = records_of(&m);
        assert_ok(pm_store_new(&store, UINT64_MAX, NULL, &err));
        assert_ok(pm_store_put_all(store, &records, &err));
        assert_ok(pm_bpe_vocab_init(&vocab, &rules, &err));
        uint32_t rank[256];
        for (uint32_t k = 0; k < 256; k++) {
            rank[pm_byte_order[k]] = k;
        }
        assert_ok(pm_bpe_vocab_add(&vocab, rank['a'], rank[' '], 0, &err)); /* a_a_a_a_ is four symbols of two bytes and a word each */
        assert_ok(pm_bpe_words_new(&words, store, &vocab, 1, &no_bound, &ticker, &err));
        ck_assert_uint_eq(pm_bpe_words_cells(words), 4);
        ck_assert_uint_eq(pm_bpe_words_highest(words), i ? 0 : 21);
        pm_bpe_words_free(words);
        pm_bpe_vocab_release(&vocab);
    }
}
END_TEST

/* ---------------------------------------------------------------- the call ---- */

static const char *const no_pattern = "";

static pm_train_options options_for(const uint32_t *size) {
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    o.algorithm = PM_ALGORITHM_BPE;
    o.vocab_sizes = size;
    o.n_vocab_sizes = 1;
    o.patterns = &no_pattern;
    o.n_patterns = 1;
    o.threads = 2;
    return o;
}

static pm_bytes bytes_of(const char *s) { return (pm_bytes){(const uint8_t *)s, strlen(s)}; }

static pm_corpus *corpus_of(const char *const *docs, size_t n) {
    pm_corpus *corpus;
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    for (size_t i = 0; i < n; i++) {
        assert_ok(pm_corpus_add_document(corpus, bytes_of(docs[i]), &err));
    }
    return corpus;
}

static const char *const docs[] = {"low lower lowest", "new newer newest", "\xE4\xB8\xAD\xE6\x96\x87 and \xE4\xB8\xAD\xE5\x9B\xBD", "wide wider widest low low"};
enum { N_DOCS = sizeof docs / sizeof *docs };

static pm_tokenizer *train(const pm_train_options *o) {
    pm_tokenizer *tok;
    pm_corpus *corpus = corpus_of(docs, N_DOCS);
    assert_ok(pm_train(&tok, 1, corpus, o, &err));
    pm_corpus_free(corpus);
    return tok;
}

static void refuse(const pm_train_options *o, const char *words) {
    pm_tokenizer *tok;
    pm_corpus *corpus = corpus_of(docs, N_DOCS);
    assert_fails(pm_train(&tok, 1, corpus, o, &err), PM_INVALID_ARGUMENT, words);
    ck_assert_ptr_null(tok);
    pm_corpus_free(corpus);
}

/* The words of the documents, for the twin. */
static void words_of(made *m) {
    for (m->n = 0; m->n < N_DOCS; m->n++) {
        m->words[m->n] = (slow_word){bytes_of(docs[m->n]), 1};
    }
}

static void has_merges(const pm_tokenizer *tok, const slow_merge *merges, size_t n) {
    ck_assert_uint_eq(pm_tokenizer_n_merges(tok), n);
    for (uint32_t i = 0; i < n; i++) {
        pm_id left, right, result;
        ck_assert(pm_tokenizer_merge(tok, i, &left, &right, &result));
        ck_assert_msg(left == merges[i].left && right == merges[i].right && result == 256 + i, "merge %u is (%u, %u), not (%u, %u)", i, left, right,
                      merges[i].left, merges[i].right);
    }
}

START_TEST(options_reach_the_rules) {
    uint32_t size = 300;
    static made m;
    static slow_merge merges[MAX_MERGES];
    pm_bytes excluded[] = {bytes_of("low"), bytes_of("new")};
    for (int i = 0; i < 4; i++) {
        pm_train_options o = options_for(&size);
        slow_rules rules = {0};
        o.max_piece_length = i == 0 ? 3 : 0;
        o.max_words = i == 1;
        o.utf8_boundaries = i == 2;
        o.excluded_pieces = excluded;
        o.n_excluded_pieces = i == 3 ? 2 : 0;
        rules = (slow_rules){.excluded = excluded, .n_excluded = o.n_excluded_pieces, .max_length = o.max_piece_length, .max_words = o.max_words,
                             .utf8 = o.utf8_boundaries};
        words_of(&m);
        size_t n = slow_bpe_go_on(m.words, m.n, size - 256, 0, &rules, merges, 0);
        pm_tokenizer *tok = train(&o);
        has_merges(tok, merges, n);
        static const char *const settings[] = {"max_piece_length=3\n", "max_words=1\n", "utf8_boundaries=1\n", "excluded_pieces=2\n"};
        for (int k = 0; k < 4; k++) {
            ck_assert((strstr(pm_tokenizer_settings(tok), settings[k]) != NULL) == (k == i));
        }
        pm_tokenizer_free(tok);
    }
}
END_TEST

/* The merges of the required pieces alone, then those of the corpus. */
START_TEST(required_pieces_are_made_first) {
    uint32_t size = 290;
    static made m;
    static slow_merge merges[MAX_MERGES];
    pm_bytes required[] = {bytes_of("hello"), bytes_of("shell"), bytes_of("hell"), bytes_of("\xE4\xB8\xAD\xE6\x96\x87"), bytes_of("x"), bytes_of("hello")};
    slow_rules none = {0};
    pm_train_options o = options_for(&size);
    o.required_pieces = required;
    o.n_required_pieces = 6;
    for (m.n = 0; m.n < 6; m.n++) {
        m.words[m.n] = (slow_word){required[m.n], 1};
    }
    size_t n = slow_bpe_go_on(m.words, m.n, MAX_MERGES, 1, &none, merges, 0);
    words_of(&m);
    n = slow_bpe_go_on(m.words, m.n, size - 256, 0, &none, merges, n);
    pm_tokenizer *tok = train(&o);
    has_merges(tok, merges, n);
    pm_encoder *enc;
    assert_ok(pm_encoder_new(&enc, tok, &err));
    for (size_t i = 0; i < 6; i++) {
        pm_id id;
        size_t n_ids;
        assert_ok(pm_encode(enc, required[i], NULL, &id, 1, &n_ids, &err));
        ck_assert_uint_eq(n_ids, 1);
        ck_assert_uint_eq(id, pm_tokenizer_find(tok, required[i]));
        ck_assert_uint_eq(pm_tokenizer_count(tok, id), 0);
    }
    pm_encoder_free(enc);
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(required_pieces_that_cannot_be_are_refused) {
    uint32_t size = 290;
    pm_bytes required[] = {bytes_of("abcdef"), bytes_of("")}, excluded[] = {bytes_of("abcdef"), bytes_of("a")};
    pm_special_token special = {bytes_of("abcdef"), PM_ID_NONE};
    pm_train_options o = options_for(&size);
    o.required_pieces = required;
    o.n_required_pieces = 1;
    pm_train_options bad = o;
    bad.excluded_pieces = excluded;
    bad.n_excluded_pieces = 1;
    refuse(&bad, "required piece 0, 'abcdef', cannot be made");
    bad.n_excluded_pieces = 2;
    refuse(&bad, "excluded piece 1 is a single byte");
    bad = o;
    bad.excluded_pieces = required + 1;
    bad.n_excluded_pieces = 1;
    refuse(&bad, "excluded piece 0 is empty");
    bad = o;
    bad.n_required_pieces = 2;
    refuse(&bad, "required piece 1 has 0 bytes");
    bad = o;
    bad.max_piece_length = 5;
    refuse(&bad, "cannot be made");
    bad = o;
    bad.special_tokens = &special;
    bad.n_special_tokens = 1;
    refuse(&bad, "cannot be made");
    bad = o;
    uint32_t small = 260;
    bad.vocab_sizes = &small;
    refuse(&bad, "take 5 merges; the vocabulary size leaves room for 4");
}
END_TEST

/* A part of the merges, then the rest: the same as all at once. Pattern and special tokens are taken over. */
START_TEST(a_tokenizer_is_extended) {
    uint32_t small = 262, size = 281;
    const char *pattern = "gpt2", *regexes[] = {"[a-z]+", "low|er"};
    pm_special_token special = {bytes_of("<s>"), PM_ID_NONE};
    for (int i = 0; i < 3; i++) {
        pm_train_options o = options_for(&small);
        o.patterns = i == 0 ? &pattern : i == 1 ? regexes : o.patterns;
        o.n_patterns = i == 1 ? 2 : 1;
        o.special_tokens = &special;
        o.n_special_tokens = 1;
        pm_tokenizer *base = train(&o);
        o.vocab_sizes = &size;
        pm_tokenizer *whole = train(&o);
        pm_train_options extending = options_for(&size);
        extending.n_patterns = 0;
        extending.extend = base;
        pm_tokenizer *tok = train(&extending);
        char hash[PM_HASH_HEX], wanted[PM_HASH_HEX];
        pm_tokenizer_hash(tok, hash);
        pm_tokenizer_hash(whole, wanted);
        ck_assert_str_eq(hash, wanted);
        for (pm_id id = 0; id < size; id++) {
            ck_assert_uint_eq(pm_tokenizer_count(tok, id), pm_tokenizer_count(whole, id));
        }
        pm_tokenizer_hash(base, hash);
        ck_assert(strstr(pm_tokenizer_settings(tok), hash) != NULL);
        pm_tokenizer_free(tok);
        pm_tokenizer_free(whole);
        pm_tokenizer_free(base);
    }
}
END_TEST

/* From any layout and with required pieces behind the tokenizer's merges; a different pattern. */
START_TEST(extending_goes_with_other_options) {
    uint32_t small = 270, size = 290;
    static made m;
    static slow_merge merges[MAX_MERGES];
    slow_rules none = {0};
    pm_bytes required = bytes_of("lower west");
    pm_train_options o = options_for(&small);
    pm_special_token special = {bytes_of("<s>"), PM_ID_NONE};
    o.layout = PM_LAYOUT_HF;
    o.special_tokens = &special;
    o.n_special_tokens = 1;
    pm_tokenizer *base = train(&o);
    words_of(&m);
    size_t n = slow_bpe_go_on(m.words, m.n, small - 257, 0, &none, merges, 0);
    m.n = 1;
    m.words[0] = (slow_word){required, 1};
    n = slow_bpe_go_on(m.words, m.n, MAX_MERGES, 1, &none, merges, n);
    words_of(&m);
    n = slow_bpe_go_on(m.words, m.n, size - 257, 0, &none, merges, n);
    o = options_for(&size);
    o.extend = base;
    o.required_pieces = &required;
    o.n_required_pieces = 1;
    pm_tokenizer *tok = train(&o);
    has_merges(tok, merges, n);
    ck_assert_uint_eq(pm_tokenizer_find(tok, special.text), size - 1);
    pm_tokenizer_free(tok);
    pm_tokenizer_free(base);
}
END_TEST

START_TEST(tokenizers_that_cannot_be_extended_are_refused) {
    uint32_t small = 280, size = 270;
    pm_train_options o = options_for(&small), bad = options_for(&size);
    pm_bytes low = bytes_of("low");
    pm_special_token special = {low, PM_ID_NONE};
    pm_tokenizer *base = train(&o);
    bad.extend = base;
    refuse(&bad, "has 24 merges already, the vocabulary size leaves room for 14");
    bad = options_for(&small);
    bad.extend = base;
    bad.excluded_pieces = &low;
    bad.n_excluded_pieces = 1;
    refuse(&bad, "'low' is a piece of the tokenizer");
    bad.n_excluded_pieces = 0;
    bad.special_tokens = &special;
    bad.n_special_tokens = 1;
    size = 300;
    bad.vocab_sizes = &size;
    refuse(&bad, "'low' is a piece of the tokenizer");
    pm_tokenizer_free(base);
    o.algorithm = PM_ALGORITHM_BYTEPIECE;
    o.n_patterns = 0;
    base = train(&o);
    bad = options_for(&size);
    bad.extend = base;
    refuse(&bad, "the tokenizer is not a BPE one");
    pm_tokenizer_free(base);
}
END_TEST

/* Bytes, then pieces 256.. joined as `merges` says; a hole in the order of merges is what vocabularies from elsewhere may have. */
static pm_tokenizer *tokenizer_of(const char *const *pieces, size_t n_pieces, const pm_merge *merges, size_t n_merges) {
    pm_model model = {.algorithm = PM_ALGORITHM_BPE};
    pm_tokenizer *tok;
    for (pm_id i = 0; i < 256; i++) {
        assert_ok(pm_model_set(&model, i, PM_KIND_PIECE, (pm_bytes){&pm_byte_order[i], 1}, 0, false, &err));
    }
    for (pm_id i = 0; i < n_pieces; i++) {
        assert_ok(pm_model_set(&model, 256 + i, PM_KIND_PIECE, bytes_of(pieces[i]), 0, false, &err));
    }
    for (size_t i = 0; i < n_merges; i++) {
        assert_ok(pm_model_add_merge(&model, merges[i].left, merges[i].right, merges[i].result, &err));
    }
    assert_ok(pm_splitter_new(&model.splitter, &no_pattern, 1, &err));
    assert_ok(pm_tokenizer_make(&tok, &model, &err));
    return tok;
}

START_TEST(each_piece_of_an_extended_tokenizer_comes_of_one_merge) {
    static const char *const pieces[] = {"ab", "abc", "bc"};
    enum { A = 'a' - 33, B, C, AB = 256, ABC, BC };
    static const pm_merge twice[] = {{A, B, AB}, {AB, C, ABC}, {B, C, BC}, {A, BC, ABC}}, later[] = {{AB, C, ABC}, {A, B, AB}, {B, C, BC}},
                          never[] = {{A, B, AB}, {AB, C, ABC}};
    static const struct {
        const pm_merge *merges;
        size_t n;
        const char *words;
    } cases[] = {{twice, 4, "two merges of the tokenizer make 'abc'"},
                 {later, 3, "merge 0, which makes 'abc', joins a piece that no merge before it makes"},
                 {never, 2, "no merge of the tokenizer makes 'bc'"}};
    uint32_t size = 300;
    for (size_t i = 0; i < 3; i++) {
        pm_train_options o = options_for(&size);
        pm_tokenizer *base = tokenizer_of(pieces, 3, cases[i].merges, cases[i].n);
        o.extend = base;
        refuse(&o, cases[i].words);
        pm_tokenizer_free(base);
    }
}
END_TEST

static unsigned allocations_left;

static bool allow_some(void) { return allocations_left > 0 && allocations_left-- > 0; }

START_TEST(every_allocation_may_fail) {
    uint32_t small = 262, size = 290;
    pm_bytes required[] = {bytes_of("hello"), bytes_of("shell")}, excluded = bytes_of("widest");
    pm_train_options o = options_for(&small);
    pm_special_token special = {bytes_of("<s>"), PM_ID_NONE};
    o.special_tokens = &special;
    o.n_special_tokens = 1;
    pm_tokenizer *base = train(&o);
    pm_status status = PM_NO_MEMORY;
    unsigned n = 0;
    for (; status != PM_OK; n++) {
        pm_tokenizer *tok;
        pm_corpus *corpus = corpus_of(docs, N_DOCS);
        o = options_for(&size);
        o.n_patterns = 0;
        o.extend = base;
        o.required_pieces = required;
        o.n_required_pieces = 2;
        o.excluded_pieces = &excluded;
        o.n_excluded_pieces = 1;
        allocations_left = n;
        pm_alloc_test_hook = allow_some;
        status = pm_train(&tok, 1, corpus, &o, &err);
        pm_alloc_test_hook = NULL;
        ck_assert_msg(status == PM_OK || (status == PM_NO_MEMORY && tok == NULL), "%u: %s", n, err.message);
        pm_tokenizer_free(tok);
        pm_corpus_free(corpus);
    }
    ck_assert_uint_gt(n, 60);
    pm_tokenizer_free(base);
}
END_TEST

Suite *suite_bpe_vocab(void) {
    Suite *suite = suite_create("bpe_vocab");
    TCase *merges = tcase_create("merges"), *call = tcase_create("call");
    tcase_set_timeout(merges, 120);
    tcase_set_timeout(call, 60);
    tcase_add_test(merges, replaying_is_making_the_merges_in_turn);
    tcase_add_test(merges, training_goes_on_from_merges_that_are_there);
    tcase_add_test(merges, each_rule_says_what_its_twin_says);
    tcase_add_test(merges, any_two_bytes_join_as_the_twin_says);
    tcase_add_test(merges, merges_under_rules_equal_the_twin);
    tcase_add_test(merges, pairs_kept_apart_for_ever_are_cut);
    tcase_add_test(call, options_reach_the_rules);
    tcase_add_test(call, required_pieces_are_made_first);
    tcase_add_test(call, required_pieces_that_cannot_be_are_refused);
    tcase_add_test(call, a_tokenizer_is_extended);
    tcase_add_test(call, extending_goes_with_other_options);
    tcase_add_test(call, tokenizers_that_cannot_be_extended_are_refused);
    tcase_add_test(call, each_piece_of_an_extended_tokenizer_comes_of_one_merge);
    tcase_add_test(call, every_allocation_may_fail);
    suite_add_tcase(suite, merges);
    suite_add_tcase(suite, call);
    return suite;
}
