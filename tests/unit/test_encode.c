/* test_encode.c - byte-pair encoding against its twin, special tokens, batches, decoding. */
#include <stdio.h>

#include "base/thread.h"
#include "bpe_encode.h"
#include "encode/breaks.h"
#include "encode/derive.h"
#include "encode/inside.h"
#include "support.h"

static pm_bytes bytes_of(const char *s) { return (pm_bytes){(const uint8_t *)s, strlen(s)}; }

/* A tokenizer and what it was made from (the twin needs a model that was not taken over). */
typedef struct pair {
    pm_model model;
    pm_tokenizer *tok;
    pm_encoder *enc;
} pair;

static pair make_pair(uint64_t seed, size_t n, const char *alphabet, bool shuffled, bool whole_first) {
    pm_error err = {0};
    pm_model taken;
    pair p;
    ck_assert(oracle_random_model(&p.model, seed, n, alphabet, shuffled));
    ck_assert(oracle_random_model(&taken, seed, n, alphabet, shuffled));
    taken.whole_first = p.model.whole_first = whole_first;
    assert_ok(pm_tokenizer_make(&p.tok, &taken, &err));
    assert_ok(pm_encoder_new(&p.enc, p.tok, &err));
    return p;
}

static void free_pair(pair *p) {
    pm_encoder_free(p->enc);
    pm_tokenizer_free(p->tok);
    pm_model_release(&p->model);
}

static void random_text(uint8_t *text, size_t len, const char *alphabet, uint64_t *state) {
    size_t letters = strlen(alphabet);
    for (size_t i = 0; i < len; i++) {
        text[i] = (uint8_t)alphabet[random_word(state) % letters];
    }
}

/* A copy that ends where the memory does, so that a sanitizer sees a read past it. */
static uint8_t *exact_copy(const uint8_t *text, size_t len) {
    uint8_t *copy = malloc(len + (len == 0));
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, len);
    return copy;
}

static void compare_one(const pair *p, const uint8_t *text, size_t len) {
    pm_error err = {0};
    pm_id *ids = malloc((len + 1) * sizeof *ids), *wanted = malloc((len + 1) * sizeof *wanted);
    uint8_t *copy = exact_copy(text, len), *back = malloc(len + 1);
    size_t n, n_back;
    size_t n_wanted = oracle_bpe_encode(&p->model, p->model.whole_first, text, len, wanted);

    assert_ok(pm_encode(p->enc, (pm_bytes){copy, len}, NULL, ids, len, &n, &err));
    ck_assert_uint_eq(n, n_wanted);
    ck_assert_mem_eq(ids, wanted, n * sizeof *ids);
    assert_ok(pm_decode(p->tok, ids, n, back, len, &n_back, &err));
    ck_assert_uint_eq(n_back, len);
    ck_assert_mem_eq(back, text, len);
    free(ids);
    free(wanted);
    free(copy);
    free(back);
}

static void compare_lengths(const pair *p, const char *alphabet, uint64_t *state) {
    uint8_t text[10000];
    for (size_t len = 1; len <= 300; len += 1 + len / 100) {
        random_text(text, len, alphabet, state);
        compare_one(p, text, len);
    }
    random_text(text, sizeof text, alphabet, state);
    compare_one(p, text, sizeof text);
    memset(text, alphabet[0], sizeof text);
    compare_one(p, text, 3000 + random_word(state) % 100);
}

START_TEST(ids_equal_the_definition) {
    static const char *const alphabets[] = {"ab", "abcdef", "a\x80\xff "};
    uint64_t state = 7;
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < sizeof alphabets / sizeof *alphabets; i++) {
            pair p = make_pair(random_word(&state), 60 + 40 * (size_t)round, alphabets[i], round % 2, false);
            compare_lengths(&p, alphabets[i], &state);
            free_pair(&p);
        }
    }
}
END_TEST

/* Bytes, and "ab" again and again doubled, up to 512 bytes. */
static void fill_doubled(pm_model *model) {
    pm_error err = {0};
    uint8_t text[512];
    *model = (pm_model){.algorithm = PM_ALGORITHM_BPE};
    for (unsigned i = 0; i < sizeof text; i++) {
        text[i] = i % 2 ? 'b' : 'a';
    }
    for (pm_id id = 0; id < 256; id++) {
        uint8_t byte = (uint8_t)id;
        assert_ok(pm_model_set(model, id, PM_KIND_PIECE, (pm_bytes){&byte, 1}, 0, false, &err));
    }
    for (pm_id id = 256, len = 2; len <= sizeof text; id++, len *= 2) {
        assert_ok(pm_model_set(model, id, PM_KIND_PIECE, (pm_bytes){text, len}, 0, false, &err));
        assert_ok(pm_model_add_merge(model, id > 256 ? id - 1 : 'a', id > 256 ? id - 1 : 'b', id, &err));
    }
}

/* Long units are merged window by window: texts that repeat themselves with any period, and pieces longer than windows overlap, or than windows. */
START_TEST(ids_of_long_units_equal_the_definition) {
    pm_error err = {0};
    uint64_t state = 10;
    uint8_t text[3000];
    for (int round = 0; round < 12; round += quick() ? 5 : 1) {
        pair p = make_pair(random_word(&state), 40 + 60 * (size_t)(round % 6), round % 2 ? "ab" : "abc", round % 4 == 3, false);
        for (size_t period = 1; period < sizeof text; period += 1 + period / 2) {
            size_t len = 600 + random_word(&state) % (sizeof text - 600);
            random_text(text, len, round % 2 ? "ab" : "abc", &state);
            for (size_t i = period; i < len; i++) {
                text[i] = text[i - period];
            }
            compare_one(&p, text, len);
        }
        free_pair(&p);
    }
    pair p;
    pm_model taken;
    fill_doubled(&p.model);
    fill_doubled(&taken);
    assert_ok(pm_tokenizer_make(&p.tok, &taken, &err));
    assert_ok(pm_encoder_new(&p.enc, p.tok, &err));
    for (int round = 0; round < 100; round++) {
        size_t len = 600 + random_word(&state) % (sizeof text - 600);
        for (size_t i = 0; i < len; i++) { /* in places that are rarer each time, a letter is left out */
            text[i] = i == 0 || random_word(&state) % (10 + 10 * (uint64_t)round) == 0 ? 'a' : (uint8_t)('a' + 'b' - text[i - 1]);
        }
        compare_one(&p, text, len);
    }
    free_pair(&p);
}
END_TEST

/* A piece too long for the memo that merging does not lead to: a whole pre-token is found as it, a part of one is not. (It was looked up as a part once.) */
START_TEST(a_long_piece_without_merges_is_found_as_a_whole) {
    pm_error err = {0};
    pm_model models[2];
    uint8_t text[400];
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (uint8_t)('a' + i % 3);
    }
    for (int i = 0; i < 2; i++) {
        fill_doubled(&models[i]);
        models[i].whole_first = true;
        assert_ok(pm_model_set(&models[i], models[i].vocab_size, PM_KIND_PIECE, (pm_bytes){text, 300}, 0, false, &err));
    }
    pair p = {.model = models[0]};
    assert_ok(pm_tokenizer_make(&p.tok, &models[1], &err));
    assert_ok(pm_encoder_new(&p.enc, p.tok, &err));
    pm_id ids[400];
    size_t n;
    assert_ok(pm_encode(p.enc, (pm_bytes){text, 300}, NULL, ids, 400, &n, &err));
    ck_assert_uint_eq(n, 1);
    for (size_t len = 250; len <= sizeof text; len += 50) {
        compare_one(&p, text, len);
    }
    free_pair(&p);
}
END_TEST

START_TEST(ids_equal_the_definition_with_whole_words_first) {
    uint64_t state = 8;
    for (int round = 0; round < 4; round++) {
        pair p = make_pair(random_word(&state), 250, "abc", round % 2, true);
        for (pm_id id = 0; id < p.model.vocab_size; id++) {
            compare_one(&p, p.model.pieces[id].data, p.model.pieces[id].len);
        }
        compare_lengths(&p, "abc", &state);
        free_pair(&p);
    }
}
END_TEST

/* Words of exactly the lengths where the way of merging or of looking up changes, made of pieces, all starts in a block. */
START_TEST(pieces_are_found_exactly_when_they_are_reachable) {
    uint64_t state = 9;
    size_t unreachable = 0;
    for (int round = 0; round < 6; round++) {
        pair p = make_pair(random_word(&state), 250, "ab", true, false);
        const pm_engine *engine = p.tok->engine;
        for (pm_id id = 0; id < p.model.vocab_size; id++) {
            pm_id ids[24];
            size_t n = oracle_bpe_encode(&p.model, false, p.model.pieces[id].data, p.model.pieces[id].len, ids);
            ck_assert_int_eq(pm_bpe_reachable(engine->bpe, id), n == 1 && ids[0] == id);
            unreachable += n != 1;
            compare_one(&p, p.model.pieces[id].data, p.model.pieces[id].len);
        }
        free_pair(&p);
    }
    ck_assert_uint_gt(unreachable, 100); /* the test is about these */
}
END_TEST

START_TEST(words_of_a_block_are_encoded_one_by_one) {
    pm_error err = {0};
    uint64_t state = 10;
    pair p = make_pair(3, 200, "abc", false, true);
    const pm_engine *engine = p.tok->engine;
    pm_bpe_scratch *scratch;
    uint8_t text[3000];
    assert_ok(pm_bpe_scratch_new(&scratch, &err));
    for (int round = 0; round < (quick() ? 60 : 300); round++) {
        size_t ends[300], n = 1 + random_word(&state) % 300, at = 0, n_ids, n_wanted = 0;
        pm_id ids[sizeof text], wanted[sizeof text];
        random_text(text, sizeof text, "abc", &state);
        for (size_t i = 0; i < n; i++) {
            size_t start = at;
            at += 1 + random_word(&state) % (random_word(&state) % 50 ? 9 : 40);
            at = at > sizeof text - (n - i) ? start + 1 : at;
            ends[i] = at;
            n_wanted += oracle_bpe_encode(&p.model, true, text + start, at - start, wanted + n_wanted);
        }
        uint8_t *copy = exact_copy(text, at);
        assert_ok(pm_bpe_encode_words(engine->bpe, scratch, copy, at, 0, ends, n, ids, &n_ids, &err));
        ck_assert_uint_eq(n_ids, n_wanted);
        ck_assert_mem_eq(ids, wanted, n_ids * sizeof *ids);
        free(copy);
    }
    pm_bpe_scratch_free(scratch);
    free_pair(&p);
}
END_TEST

/* ---------------------------------------------------------------- certain breaks ---- */

/* Characters of one to four bytes with equal beginnings and ends, and now and then a byte that belongs to none. */
static size_t random_characters(uint8_t *text, size_t len, uint64_t *state) {
    static const char *const characters[] = {"a", " ", "\xC3\xA9", "\xC3\xA8", "\xD0\xB8", "\xE4\xB8\xAD", "\xE4\xB8\xAE", "\xE4\xBA\xAD", "\xE5\xB8\xA9",
                                             "\xE5\x8C\x97", "\xE9\xB8\xAD", "\xF0\x9F\x98\x80", "\xF0\x9F\x98\xB8", "\xF0\x9F\xB8\xAD"};
    static const uint8_t bad[] = {0xB8, 0xE4, 0xFF, 0xC3, 0xF0, 0xF8};
    size_t at = 0;
    while (at + 4 <= len) {
        const char *c = characters[random_word(state) % (sizeof characters / sizeof *characters)];
        if (random_word(state) % 60 == 0) {
            text[at++] = bad[random_word(state) % sizeof bad];
        } else {
            memcpy(text + at, c, strlen(c));
            at += strlen(c);
        }
    }
    return at;
}

static pair make_pair_of_characters(uint64_t seed, bool shuffled, bool whole_first) {
    pm_error err = {0};
    pm_model taken;
    pair p;
    uint8_t text[400];
    uint64_t state = seed;
    size_t len = random_characters(text, sizeof text, &state), n = 40 + seed % 200;
    ck_assert(oracle_model_of_text(&p.model, seed, n, text, len, shuffled));
    ck_assert(oracle_model_of_text(&taken, seed, n, text, len, shuffled));
    taken.whole_first = p.model.whole_first = whole_first;
    assert_ok(pm_tokenizer_make(&p.tok, &taken, &err));
    assert_ok(pm_encoder_new(&p.enc, p.tok, &err));
    return p;
}

static bool some_piece_reaches_across(const pm_model *model, const uint8_t *text, size_t len, size_t at) {
    for (pm_id id = 0; id < model->vocab_size; id++) {
        pm_bytes piece = model->pieces[id];
        for (size_t before = 1; before < piece.len; before++) {
            if (before <= at && piece.len - before <= len - at && memcmp(text + at - before, piece.data, piece.len) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* No piece reaches across a cut; where none does, nearly all places between characters are cut; any room gives the same cuts. */
START_TEST(cuts_are_where_no_piece_reaches_across) {
    uint64_t state = 21;
    size_t cuts = 0, left_out = 0;
    for (int round = 0; round < 60; round++) {
        pair p = make_pair_of_characters(random_word(&state), round % 2, false);
        pm_breaks *breaks = calloc(1, sizeof *breaks);
        uint8_t text[200];
        size_t ends[sizeof text + 1], some[8], len = random_characters(text, sizeof text, &state), k = 0;
        ck_assert_ptr_nonnull(breaks);
        for (pm_id id = 0; id < p.model.vocab_size; id++) {
            pm_breaks_add(breaks, p.model.pieces[id].data, p.model.pieces[id].len);
        }
        uint8_t *copy = exact_copy(text, len);
        size_t done, n = pm_breaks_cut(breaks, copy, len, 0, &len, 1, &done, ends, sizeof text);
        ck_assert_uint_eq(done, 1);
        ck_assert_uint_eq(ends[n - 1], len);
        for (size_t i = 0; i + 1 < n; i++) {
            ck_assert(!some_piece_reaches_across(&p.model, text, len, ends[i]));
        }
        for (size_t at = 1, i = 0; at < len; at++) {
            i += ends[i] < at;
            left_out += ends[i] != at && (text[at] & 0xC0) != 0x80 && !some_piece_reaches_across(&p.model, text, len, at);
        }
        for (size_t start = 0; start < len; start = ends[k - 1]) {
            size_t m = pm_breaks_cut(breaks, copy, len, start, &len, 1, &done, some, 1 + random_word(&state) % 7);
            for (size_t i = 0; i < m; i++) {
                ck_assert_uint_eq(some[i], ends[k++]);
            }
        }
        ck_assert_uint_eq(k, n);
        cuts += n - 1;
        free(copy);
        free(breaks);
        free_pair(&p);
    }
    ck_assert_uint_gt(cuts, 600); /* the test is about these */
    ck_assert_uint_gt(cuts, left_out);
}
END_TEST

/* Several pre-tokens at once are cut as each alone; those that are not done are what the next call begins with. */
START_TEST(pre_tokens_are_cut_together_as_alone) {
    uint64_t state = 23;
    size_t together = 0;
    for (int round = 0; round < 400; round++) {
        pair p = make_pair_of_characters(random_word(&state), round % 2, false);
        pm_breaks *breaks = calloc(1, sizeof *breaks);
        uint8_t text[200];
        size_t ends[sizeof text + 1], words[sizeof text], some[8], len = random_characters(text, sizeof text, &state), n_words = 0, n = 0, k = 0;
        for (size_t at = 1; at < len; at++) {
            if ((text[at] & 0xC0) != 0x80 && random_word(&state) % 4 == 0) {
                words[n_words++] = at;
            }
        }
        words[n_words++] = len;
        for (pm_id id = 0; id < p.model.vocab_size; id++) {
            pm_breaks_add(breaks, p.model.pieces[id].data, p.model.pieces[id].len);
        }
        uint8_t *copy = exact_copy(text, len);
        for (size_t i = 0, start = 0, done; i < n_words; start = words[i++]) {
            n += pm_breaks_cut(breaks, copy, len, start, &words[i], 1, &done, ends + n, sizeof text);
        }
        for (size_t i = 0, start = 0, done; i < n_words; i += done) {
            size_t m = pm_breaks_cut(breaks, copy, len, start, words + i, n_words - i, &done, some, 1 + random_word(&state) % 7);
            for (size_t j = 0; j < m; j++) {
                ck_assert_uint_eq(some[j], ends[k++]);
            }
            start = some[m - 1];
            ck_assert(done < 2 || words[i + done - 1] <= start);
            together += done > 1;
        }
        ck_assert_uint_eq(k, n);
        free(copy);
        free(breaks);
        free_pair(&p);
    }
    ck_assert_uint_gt(together, 600); /* the test is about these */
}
END_TEST

START_TEST(ids_of_characters_equal_the_definition) {
    uint64_t state = 22;
    size_t unreachable = 0;
    const int rounds = quick() ? 40 : 160;
    for (int round = 0; round < rounds; round++) {
        pair p = make_pair_of_characters(random_word(&state), round % 2, round / 2 % 2);
        const pm_engine *engine = p.tok->engine;
        uint8_t text[700];
        for (pm_id id = 256; id < p.model.vocab_size; id++) {
            pm_bytes piece = p.model.pieces[id];
            unreachable += p.model.whole_first && !pm_bpe_reachable(engine->bpe, id);
            compare_one(&p, piece.data, piece.len);
            memcpy(text, piece.data, piece.len); /* the piece with something before and behind it */
            size_t len = piece.len + random_characters(text + piece.len, 4 + random_word(&state) % 12, &state);
            compare_one(&p, text, len);
            len = random_characters(text, 4 + random_word(&state) % 12, &state);
            memcpy(text + len, piece.data, piece.len);
            compare_one(&p, text, len + piece.len);
        }
        for (size_t room = 4; room < sizeof text; room += 1 + room / 8) {
            compare_one(&p, text, random_characters(text, room, &state));
        }
        free_pair(&p);
    }
    ck_assert_uint_gt(unreachable, 100); /* and about these */
}
END_TEST

/* Pre-tokens that are cut among others that are not, ends inside characters too. */
START_TEST(words_of_a_block_of_characters_are_encoded_one_by_one) {
    pm_error err = {0};
    uint64_t state = 23;
    for (int round = 0; round < (quick() ? 20 : 60); round++) {
        pair p = make_pair_of_characters(random_word(&state), true, round % 2);
        const pm_engine *engine = p.tok->engine;
        pm_bpe_scratch *scratch;
        uint8_t text[3000];
        size_t len = random_characters(text, sizeof text, &state), ends[sizeof text], n = 0, n_ids, n_wanted = 0;
        pm_id ids[sizeof text + PM_BPE_SLACK], wanted[sizeof text];
        assert_ok(pm_bpe_scratch_new(&scratch, &err));
        for (size_t start = 0; start < len; start = ends[n - 1]) {
            pm_bytes piece = p.model.pieces[random_word(&state) % p.model.vocab_size];
            size_t size = 1 + random_word(&state) % (random_word(&state) % 20 ? 18 : 300);
            if (random_word(&state) % 3 == 0 && piece.len <= len - start) {
                memcpy(text + start, piece.data, piece.len);
                size = piece.len;
            }
            ends[n++] = size < len - start ? start + size : len;
            n_wanted += oracle_bpe_encode(&p.model, p.model.whole_first, text + start, ends[n - 1] - start, wanted + n_wanted);
        }
        uint8_t *copy = exact_copy(text, len);
        assert_ok(pm_bpe_encode_words(engine->bpe, scratch, copy, len, 0, ends, n, ids, &n_ids, &err));
        ck_assert_uint_eq(n_ids, n_wanted);
        ck_assert_mem_eq(ids, wanted, n_ids * sizeof *ids);
        free(copy);
        pm_bpe_scratch_free(scratch);
        free_pair(&p);
    }
}
END_TEST

/* ---------------------------------------------------------------- derived merges ---- */

/* The ids of the pieces of a random model are put in random order: then some entries' merges have parts of a higher rank, and some have none. */
START_TEST(derived_merges_encode_as_ranks_do) {
    pm_error err = {0};
    uint64_t state = 11;
    size_t without = 0, higher = 0;
    for (int round = 0; round < (quick() ? 16 : 40); round++) {
        pm_model random, model = {.algorithm = PM_ALGORITHM_BPE};
        pm_id order[512];
        ck_assert(oracle_random_model(&random, random_word(&state), 120, "abc", false));
        for (pm_id i = 0; i < random.vocab_size; i++) {
            order[i] = i;
        }
        for (pm_id i = random.vocab_size; round % 4 && i > 257; i--) {
            pm_id j = 256 + (pm_id)(random_word(&state) % (i - 256)), swap = order[i - 1];
            order[i - 1] = order[j];
            order[j] = swap;
        }
        for (pm_id i = 0; i < random.vocab_size; i++) {
            assert_ok(pm_model_set(&model, i, PM_KIND_PIECE, random.pieces[order[i]], 0, false, &err));
        }
        assert_ok(pm_bpe_derive_merges(&model, &err));
        ck_assert(model.whole_first);
        without += random.n_merges - model.n_merges;
        for (size_t i = 0; i < model.n_merges; i++) {
            ck_assert(i == 0 || model.merges[i - 1].result < model.merges[i].result);
            higher += model.merges[i].left > model.merges[i].result || model.merges[i].right > model.merges[i].result;
        }
        for (pm_id id = 0; id < model.vocab_size; id++) { /* those that encode to themselves are the bytes and the merges' results */
            pm_id ids[24];
            bool derived = model.pieces[id].len == 1;
            for (size_t i = 0; i < model.n_merges; i++) {
                derived |= model.merges[i].result == id;
            }
            size_t n = oracle_bpe_encode(&model, false, model.pieces[id].data, model.pieces[id].len, ids);
            ck_assert_int_eq(derived, n == 1 && ids[0] == id);
        }
        for (size_t len = 1; len < 200; len += 1 + len / 8) {
            uint8_t text[200];
            pm_id ids[200], wanted[200];
            random_text(text, len, "abc", &state);
            size_t n = oracle_bpe_encode(&model, false, text, len, ids);
            ck_assert_uint_eq(n, oracle_rank_encode(&model, text, len, wanted));
            ck_assert_mem_eq(ids, wanted, n * sizeof *ids);
        }
        pm_model_release(&random);
        pm_model_release(&model);
    }
    ck_assert_uint_gt(without, 100);
    ck_assert_uint_gt(higher, 100);
}
END_TEST

START_TEST(derived_merges_need_each_byte) {
    pm_error err;
    pm_model model = {.algorithm = PM_ALGORITHM_BPE};
    for (unsigned b = 0; b < 255; b++) {
        uint8_t byte = (uint8_t)b;
        assert_ok(pm_model_set(&model, b, PM_KIND_PIECE, (pm_bytes){&byte, 1}, 0, false, &err));
    }
    assert_fails(pm_bpe_derive_merges(&model, &err), PM_BAD_FORMAT, "0xFF is not an entry");
    pm_model_release(&model);
}
END_TEST

/* ---------------------------------------------------------------- hostile texts ---- */

/* Merges that double a run: aa, aaaa, ..., and steps of other sizes, for each of the bytes. */
static pm_tokenizer *doubling(void) {
    pm_error err = {0};
    pm_model model;
    pm_tokenizer *tok;
    ck_assert(oracle_random_model(&model, 5, 400, "a^ ", false));
    uint8_t run[256];
    for (const char *c = "a^ \xE4" "0"; *c; c++) {
        memset(run, *c == '0' ? 0 : *c, sizeof run);
        pm_id last = run[0];
        for (size_t len = 2; len <= 256; len *= 2) {
            pm_id id = PM_ID_NONE;
            for (pm_id i = 256; i < model.vocab_size; i++) {
                id = model.pieces[i].len == len && memcmp(model.pieces[i].data, run, len) == 0 ? i : id;
            }
            if (id == PM_ID_NONE) {
                id = model.vocab_size;
                assert_ok(pm_model_set(&model, id, PM_KIND_PIECE, (pm_bytes){run, len}, 0, false, &err));
            }
            assert_ok(pm_model_add_merge(&model, last, last, id, &err));
            last = id;
        }
    }
    assert_ok(pm_tokenizer_make(&tok, &model, &err));
    return tok;
}

START_TEST(no_text_takes_quadratic_time) {
    static const char *const patterns[] = {"a", "^", "\xE4\xB8\xAD", " ", "\0", "ab", "a^ ", "a\xCC\x81\xCC\xA3"};
    static const size_t lengths[] = {1, 1, 3, 1, 1, 2, 3, 5};
    enum { SIZE = 1 << 20 };
    pm_error err = {0};
    pm_tokenizer *tok = doubling();
    pm_encoder *enc;
    uint8_t *text = malloc(SIZE), *back = malloc(SIZE);
    pm_id *ids = malloc(SIZE * sizeof *ids);
    assert_ok(pm_encoder_new(&enc, tok, &err));
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t n, n_back;
        for (size_t k = 0; k < SIZE; k++) {
            text[k] = (uint8_t)patterns[i][k % lengths[i]];
        }
        double start = pm_now();
        assert_ok(pm_encode(enc, (pm_bytes){text, SIZE}, NULL, ids, SIZE, &n, &err));
        double seconds = pm_now() - start;
        ck_assert_msg(seconds < 5, "text %zu took %.1f s", i, seconds); /* 0.1 to 0.3 s without a sanitizer; quadratic would be hours */
        assert_ok(pm_decode(tok, ids, n, back, SIZE, &n_back, &err));
        ck_assert_uint_eq(n_back, SIZE);
        ck_assert_mem_eq(back, text, SIZE);
    }
    free(text);
    free(back);
    free(ids);
    pm_encoder_free(enc);
    pm_tokenizer_free(tok);
}
END_TEST

/* ---------------------------------------------------------------- special tokens ---- */

static pm_tokenizer *with_specials(const char *const *specials, size_t n) {
    pm_error err = {0};
    pm_model model;
    pm_tokenizer *tok;
    ck_assert(oracle_random_model(&model, 1, 0, "a", false));
    for (size_t i = 0; i < n; i++) {
        assert_ok(pm_model_set(&model, 1000 + (pm_id)i, PM_KIND_SPECIAL, bytes_of(specials[i]), 0, false, &err));
    }
    assert_ok(pm_tokenizer_make(&tok, &model, &err));
    return tok;
}

static const char *const specials[] = {"<|a|>", "<|a|>b", "<|aa|>", "xyx", "\xE4\xB8\xAD!", "<"};
enum { N_SPECIALS = 6 };

/* One call: lists of token numbers in `allowed` and `refused` ("*" all, NULL the default, "-" none), the ids in decimal, or an error at a position. */
typedef struct special_case {
    const char *text, *allowed, *refused, *ids;
    int at;
} special_case;

static const special_case special_cases[] = {
    /* The default: each token in the text is an error, the leftmost is named. */
    {"ab", NULL, NULL, "97 98", 0},
    {"", NULL, NULL, "", 0},
    {"ab<|a|>", NULL, NULL, NULL, 2},
    {"xyxyx", NULL, NULL, NULL, 0},
    {"<|", NULL, NULL, NULL, 0},
    /* Nothing refused, nothing allowed: ordinary text. */
    {"<|a|>", NULL, "-", "60 124 97 124 62", 0},
    {"xyx", "-", "-", "120 121 120", 0},
    /* Allowed: leftmost, longest; what overlaps it is text again. */
    {"<|a|>", "0", "-", "1000", 0},
    {"<|a|><|a|>", "0", "-", "1000 1000", 0},
    {"<|a|>b", "01", "-", "1001", 0},
    {"<|a|>b", "0", "-", "1000 98", 0},
    {"<|a|>b", "1", "-", "1001", 0},
    {"<|a|>c", "*", "-", "1000 99", 0},
    {"<|aa|>", "*", "-", "1002", 0},
    {"<|ab", "*", "-", "1005 124 97 98", 0},
    {"<<|a|>", "0", "-", "60 1000", 0},
    {"xyxyx", "3", "-", "1003 121 120", 0},
    {"xxyx", "3", "-", "120 1003", 0},
    {"xyxxyx", "3", "-", "1003 1003", 0},
    {"xy", "3", "-", "120 121", 0},
    {"\xE4\xB8\xAD!a", "4", "-", "1004 97", 0},
    {"\xE4\xB8\xAD", "4", "-", "228 184 173", 0},
    /* Some allowed, the others refused. */
    {"<|a|>xyx", "0", "*", NULL, 0}, /* "<" is refused, and begins there */
    {"xyx<|a|>", "3", NULL, NULL, 3},
    {"xyx", "3", NULL, "1003", 0},
    {"xyx", "*", "*", "1003", 0},
    {"xyx", "*", NULL, "1003", 0},
    {"xyx", "3", "3", NULL, 0}, /* listed in both: refused, as tiktoken does */
    {"a<|aa|>", "0", "3", "97 60 124 97 97 124 62", 0},
    {"<|a|>xyx", "0", "3", NULL, 5},
    {"<|a|>b", "0", "1", NULL, 0}, /* a refused one counts where it overlaps an allowed one */
    {"xyxyx", "3", "5", "1003 121 120", 0},
    {"x<yx", "3", "5", NULL, 1},
};

static size_t list_of(const char *numbers, pm_special_mode *mode, pm_bytes *list) {
    size_t n = 0;
    if (!numbers) {
        *mode = PM_SPECIAL_DEFAULT;
    } else if (*numbers == '*' || *numbers == '-') {
        *mode = *numbers == '*' ? PM_SPECIAL_ALL : PM_SPECIAL_NONE;
    } else {
        *mode = PM_SPECIAL_LIST;
        for (; *numbers; numbers++) {
            list[n++] = bytes_of(specials[*numbers - '0']);
        }
    }
    return n;
}

static void print_ids(char *out, size_t room, const pm_id *ids, size_t n) {
    *out = '\0';
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(out);
        snprintf(out + used, room - used, "%s%u", i ? " " : "", ids[i]);
    }
}

START_TEST(special_tokens_are_matched_refused_or_text) {
    pm_error err = {0};
    pm_tokenizer *tok = with_specials(specials, N_SPECIALS);
    pm_encoder *enc;
    assert_ok(pm_encoder_new(&enc, tok, &err));
    for (size_t i = 0; i < sizeof special_cases / sizeof *special_cases; i++) {
        const special_case *c = &special_cases[i];
        pm_bytes allowed[N_SPECIALS], refused[N_SPECIALS];
        pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
        pm_id ids[100];
        size_t n;
        char got[500];
        o.n_allowed = list_of(c->allowed, &o.allowed, allowed);
        o.allowed_list = allowed;
        o.n_disallowed = list_of(c->refused, &o.disallowed, refused);
        o.disallowed_list = refused;
        size_t len = strlen(c->text);
        uint8_t *copy = exact_copy((const uint8_t *)c->text, len);
        pm_status status = pm_encode(enc, (pm_bytes){copy, len}, &o, ids, 100, &n, &err);
        free(copy);
        if (c->ids) {
            ck_assert_msg(status == PM_OK, "case %zu: %s", i, err.message);
            print_ids(got, sizeof got, ids, n);
            ck_assert_msg(strcmp(got, c->ids) == 0, "case %zu: %s instead of %s", i, got, c->ids);
        } else {
            ck_assert_msg(status == PM_SPECIAL_IN_TEXT, "case %zu: %s", i, pm_status_name(status));
            ck_assert_msg(err.offset == (uint64_t)c->at, "case %zu: at %llu", i, (unsigned long long)err.offset);
            ck_assert_uint_eq(n, 0);
        }
    }
    pm_encoder_free(enc);
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(special_token_errors_name_the_token) {
    pm_error err = {0};
    pm_tokenizer *tok = with_specials(specials, N_SPECIALS);
    pm_encoder *enc;
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    pm_bytes unknown = bytes_of("<|z|>");
    size_t n;
    assert_ok(pm_encoder_new(&enc, tok, &err));
    assert_fails(pm_encode(enc, bytes_of("--<|a|>b"), NULL, NULL, 0, &n, &err), PM_SPECIAL_IN_TEXT, "'<|a|>b'");
    o.allowed = PM_SPECIAL_LIST;
    o.allowed_list = &unknown;
    o.n_allowed = 1;
    assert_fails(pm_encode(enc, bytes_of("a"), &o, NULL, 0, &n, &err), PM_INVALID_ARGUMENT, "'<|z|>'");
    o = (pm_encode_options)PM_ENCODE_OPTIONS_INIT;
    o.alpha = 0.5;
    assert_fails(pm_encode(enc, bytes_of("a"), &o, NULL, 0, &n, &err), PM_INVALID_ARGUMENT, "alpha");
    o = (pm_encode_options)PM_ENCODE_OPTIONS_INIT;
    o.size = 3;
    assert_fails(pm_encode(enc, bytes_of("a"), &o, NULL, 0, &n, &err), PM_INVALID_ARGUMENT, "size 3");
    o.size = offsetof(pm_encode_options, alpha); /* of an older header: the rest is the default */
    o.alpha = 0.5;
    assert_ok(pm_encode(enc, bytes_of("a"), &o, NULL, 0, &n, &err));
    ck_assert_uint_eq(n, 1);
    pm_encoder_free(enc);
    pm_tokenizer_free(tok);
}
END_TEST

/* The finder against a search by hand, over texts made of the tokens' own bytes. */
START_TEST(special_tokens_are_found_wherever_they_are) {
    pm_error err = {0};
    uint64_t state = 12;
    for (int round = 0; round < 200; round++) {
        pm_special_token tokens[8];
        char texts[8][8];
        uint8_t bits[8], text[200];
        size_t n = 0;
        for (int i = 0; i < 8; i++) {
            size_t len = 1 + random_word(&state) % 7;
            bool twice = false;
            random_text((uint8_t *)texts[n], len, round % 3 ? "<|a" : "<", &state);
            if (round % 2) {
                texts[n][0] = '<';
            }
            for (size_t k = 0; k < n; k++) {
                twice |= tokens[k].text.len == len && memcmp(texts[k], texts[n], len) == 0;
            }
            if (!twice) {
                tokens[n] = (pm_special_token){{(uint8_t *)texts[n], len}, (pm_id)n};
                bits[n++] = (uint8_t)(random_word(&state) % 8);
            }
        }
        pm_specials *s;
        assert_ok(pm_specials_new(&s, tokens, n, &err));
        random_text(text, sizeof text, "<|ab", &state);
        pm_special_rules rules = {bits, 0};
        size_t from = 0;
        for (size_t at = 0; at <= sizeof text; at++) {
            pm_special_hit wanted = {at, PM_ID_NONE, PM_ID_NONE, PM_ID_NONE}, hit;
            size_t longest[3] = {0};
            uint32_t *which[3] = {&wanted.match, &wanted.refuse, &wanted.notice};
            for (size_t k = 0; k < n; k++) {
                size_t len = tokens[k].text.len;
                for (int b = 0; b < 3; b++) {
                    if (len <= sizeof text - at && memcmp(text + at, texts[k], len) == 0 && (bits[k] >> b & 1) && len > longest[b]) {
                        longest[b] = len;
                        *which[b] = (uint32_t)k;
                    }
                }
            }
            bool here = longest[0] || longest[1] || longest[2];
            if (here || at == sizeof text) {
                ck_assert_int_eq(pm_specials_next(s, rules, text, sizeof text, from, &hit), here);
                ck_assert(!here || (hit.at == at && hit.match == wanted.match && hit.refuse == wanted.refuse && hit.notice == wanted.notice));
                from = at + 1;
            }
        }
        pm_specials_free(s);
    }
}
END_TEST

START_TEST(a_text_of_half_tokens_is_scanned_once) {
    pm_error err = {0};
    char names[1000][40];
    const char *list[1000];
    for (int i = 0; i < 1000; i++) {
        snprintf(names[i], sizeof names[i], "<|reserved_special_token_%d|>", i);
        list[i] = names[i];
    }
    pm_tokenizer *tok = with_specials(list, 1000);
    pm_encoder *enc;
    enum { SIZE = 1 << 20 };
    uint8_t *text = malloc(SIZE);
    static const char *const fill[] = {"<", "<|", "<|reserved_special_token_"};
    assert_ok(pm_encoder_new(&enc, tok, &err));
    for (int i = 0; i < 3; i++) {
        size_t n, len = strlen(fill[i]);
        for (size_t k = 0; k < SIZE; k++) {
            text[k] = (uint8_t)fill[i][k % len];
        }
        double start = pm_now();
        assert_ok(pm_encode(enc, (pm_bytes){text, SIZE}, NULL, NULL, 0, &n, &err));
        ck_assert_uint_eq(n, SIZE);
        ck_assert_msg(pm_now() - start < 5, "%s: %.1f s", fill[i], pm_now() - start);
    }
    free(text);
    pm_encoder_free(enc);
    pm_tokenizer_free(tok);
}
END_TEST

/* ---------------------------------------------------------------- arrays ---- */

START_TEST(ids_that_do_not_fit_are_counted) {
    pm_error err = {0};
    uint64_t state = 13;
    pair p = make_pair(2, 100, "ab", false, false);
    uint8_t text[500];
    random_text(text, sizeof text, "ab", &state);
    pm_bytes doc = {text, sizeof text};
    pm_id all[500], some[501];
    size_t need, n;
    assert_ok(pm_encode(p.enc, doc, NULL, NULL, 0, &need, &err));
    assert_ok(pm_encode(p.enc, doc, NULL, all, 500, &n, &err));
    ck_assert_uint_eq(n, need);
    for (size_t cap = 0; cap < need + 2; cap++) {
        memset(some, 0xAA, sizeof some);
        pm_status status = pm_encode(p.enc, doc, NULL, some, cap, &n, &err);
        ck_assert_int_eq(status, cap < need ? PM_NO_SPACE : PM_OK);
        ck_assert_uint_eq(n, need);
        size_t written = cap < need ? cap : need;
        ck_assert_mem_eq(some, all, written * sizeof *all);
        for (size_t i = cap; i < 501; i++) {
            ck_assert_uint_eq(some[i], 0xAAAAAAAA);
        }
    }
    assert_ok(pm_encode(p.enc, (pm_bytes){NULL, 0}, NULL, some, 0, &n, &err));
    ck_assert_uint_eq(n, 0);
    free_pair(&p);
}
END_TEST

START_TEST(decode_writes_what_fits_and_refuses_what_is_not_there) {
    pm_error err = {0};
    pm_model model;
    pm_tokenizer *tok;
    uint8_t long_piece[40], out[200], all[200];
    memset(long_piece, 'l', sizeof long_piece);
    ck_assert(oracle_random_model(&model, 1, 0, "a", false));
    assert_ok(pm_model_set(&model, 256, PM_KIND_SPECIAL, bytes_of("<s>"), 0, false, &err));
    assert_ok(pm_model_set(&model, 258, PM_KIND_RESERVED, (pm_bytes){NULL, 0}, 0, false, &err));
    assert_ok(pm_model_set(&model, 259, PM_KIND_SPECIAL, (pm_bytes){long_piece, 40}, 0, false, &err));
    assert_ok(pm_model_set(&model, 260, PM_KIND_SPECIAL, bytes_of("123456789012345"), 0, false, &err));
    assert_ok(pm_model_set(&model, 261, PM_KIND_SPECIAL, bytes_of("1234567890123456"), 0, false, &err));
    assert_ok(pm_tokenizer_make(&tok, &model, &err));
    pm_id ids[] = {'a', 256, 258, 259, 'b', 260, 261, 'c', 'd'};
    const char *wanted = "a<s>llllllllllllllllllllllllllllllllllllllllb1234567890123451234567890123456cd";
    size_t need = strlen(wanted), n;
    for (size_t cap = 0; cap <= need + 20; cap++) {
        memset(out, 0xAA, sizeof out);
        ck_assert_int_eq(pm_decode(tok, ids, 9, out, cap, &n, &err), cap < need ? PM_NO_SPACE : PM_OK);
        ck_assert_uint_eq(n, need);
        ck_assert_mem_eq(out, wanted, cap < need ? cap : need);
        memset(all, 0xAA, sizeof all);
        ck_assert_mem_eq(out + cap, all, sizeof all - cap); /* nothing behind cap */
    }
    assert_ok(pm_decode(tok, ids, 9, NULL, 0, &n, &err));
    ck_assert_uint_eq(n, need);
    assert_ok(pm_decode(tok, NULL, 0, NULL, 0, &n, &err));
    ck_assert_uint_eq(n, 0);
    static const pm_id bad[] = {257, 262, 1u << 31, PM_ID_NONE};
    for (size_t i = 0; i < 4; i++) {
        pm_id some[3] = {'a', 'b', bad[i]};
        assert_fails(pm_decode(tok, some, 3, out, sizeof out, &n, &err), PM_BAD_ID, "not in the vocabulary");
        ck_assert_uint_eq(err.offset, 2);
        ck_assert_uint_eq(n, 0);
    }
    pm_tokenizer_free(tok);
}
END_TEST

/* ---------------------------------------------------------------- batches ---- */

enum { N_DOCS = 700 };

/* Documents of all lengths, many empty ones, one large, some that hold the text of a special token. */
static pm_bytes *make_docs(uint8_t **text, uint64_t *n_special) {
    static pm_bytes docs[N_DOCS];
    uint64_t state = 14;
    size_t len = 1 << 20, at = 0;
    *text = malloc(len);
    *n_special = 0;
    random_text(*text, len, "abcd", &state);
    for (size_t i = 0; i < N_DOCS; i++) {
        size_t size = i == 300 ? 400000 : random_word(&state) % 3 ? random_word(&state) % 1500 : 0;
        size = size < len - at ? size : len - at;
        docs[i] = (pm_bytes){*text + at, size};
        if (size > 20 && i % 10 == 0) {
            memcpy(*text + at + size / 2, "<s>", 3);
            ++*n_special;
        }
        at += size;
    }
    return docs;
}

static pm_tokenizer *batch_tokenizer(void) {
    pm_error err = {0};
    pm_model model;
    pm_tokenizer *tok;
    ck_assert(oracle_random_model(&model, 6, 200, "abcd", false));
    assert_ok(pm_model_set(&model, 1000, PM_KIND_SPECIAL, bytes_of("<s>"), 0, false, &err));
    assert_ok(pm_tokenizer_make(&tok, &model, &err));
    return tok;
}

static void check_batch(const pm_tokenizer *tok, const pm_bytes *docs, size_t n_docs, const pm_encode_options *o, uint64_t with_special) {
    pm_error err = {0};
    pm_batch batch;
    pm_encoder *enc;
    pm_encode_options single = *o;
    single.disallowed = PM_SPECIAL_NONE;
    assert_ok(pm_encode_batch(tok, docs, n_docs, o, &batch, &err));
    ck_assert_uint_eq(batch.n_docs, n_docs);
    ck_assert_uint_eq(batch.offsets[0], 0);
    ck_assert_uint_eq(batch.documents_with_special, with_special);
    assert_ok(pm_encoder_new(&enc, tok, &err));
    for (size_t i = 0; i < n_docs; i++) {
        size_t n, got = batch.offsets[i + 1] - batch.offsets[i];
        pm_id *ids = malloc((docs[i].len + 1) * sizeof *ids);
        assert_ok(pm_encode(enc, docs[i], &single, ids, docs[i].len, &n, &err));
        ck_assert_uint_eq(n, got);
        ck_assert_mem_eq(ids, batch.ids + batch.offsets[i], n * sizeof *ids);
        free(ids);
    }
    pm_encoder_free(enc);
    pm_batch_release(&batch);
    ck_assert_ptr_null(batch.ids);
}

START_TEST(a_batch_equals_its_documents) {
    uint8_t *text;
    uint64_t n_special;
    pm_bytes *docs = make_docs(&text, &n_special);
    pm_tokenizer *tok = batch_tokenizer();
    for (unsigned threads = 0; threads <= 4; threads++) {
        pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
        o.threads = threads;
        check_batch(tok, docs, N_DOCS, &o, n_special);
        o.allowed = PM_SPECIAL_ALL;
        check_batch(tok, docs, N_DOCS, &o, 0);
        check_batch(tok, docs, 1, &o, 0);
        check_batch(tok, docs, 0, &o, 0);
        check_batch(tok, docs + 300, 1, &o, 0);
    }
    free(text);
    pm_tokenizer_free(tok);
}
END_TEST

/* ---------------------------------------------------------------- BytePiece ---- */

/* Every byte counted once, and a few longer pieces counted often. */
static pm_status make_bytepiece(pm_tokenizer **tok, unsigned skip, unsigned zero, pm_error *why) {
    pm_error err = {0};
    static const char *const pieces[] = {"the", " the", "th", "\n\n", "b\n", "\xC3\xA9", "ab\n\nab"};
    pm_model model = {.algorithm = PM_ALGORITHM_BYTEPIECE, .normalize = true};
    pm_id id = 3;
    assert_ok(pm_model_set(&model, 0, PM_KIND_CONTROL, bytes_of("<pad>"), 0, false, &err));
    assert_ok(pm_model_set(&model, 1, PM_KIND_CONTROL, bytes_of("<bos>"), 0, false, &err));
    assert_ok(pm_model_set(&model, 2, PM_KIND_CONTROL, bytes_of("<eos>"), 0, false, &err));
    for (unsigned b = 0; b < 256; b++) {
        uint8_t byte = (uint8_t)b;
        if (b != skip) {
            assert_ok(pm_model_set(&model, id++, PM_KIND_PIECE, (pm_bytes){&byte, 1}, b != zero, false, &err));
        }
    }
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        assert_ok(pm_model_set(&model, 300 + (pm_id)i, PM_KIND_PIECE, bytes_of(pieces[i]), 10, false, &err));
    }
    assert_ok(pm_model_set(&model, 400, PM_KIND_SPECIAL, bytes_of("<s>"), 0, false, &err));
    return pm_tokenizer_make(tok, &model, why);
}

/* Ids in decimal: byte b is b + 3. */
static const struct {
    const char *text, *ids, *raw; /* raw: without normalization, where it differs */
} bytepiece_cases[] = {
    {"", "", NULL},
    {" the", "301", NULL},
    {"thex", "300 123", NULL},
    {"ab\n\nab", "100 101 303 100 101", NULL}, /* no piece spans two chunks */
    {"ab\n", "100 304", NULL},
    {"\n\n\n", "13 303", NULL},
    {"e\xCC\x81", "305", "104 207 132"},         /* U+0301 joins e in NFC */
    {"e\xCC\x81\nthe\n", "305 13 300 13", "104 207 132 13 300 13"},
    {"the<s>the", "300 400 300", NULL},
    {"e<s>\xCC\x81", "104 400 207 132", NULL},   /* and does not beyond a special token */
    {"\xC3the\xFF", "198 300 258", NULL},
};

START_TEST(bytepiece_goes_by_chunks_in_normal_form) {
    pm_error err = {0};
    pm_tokenizer *tok;
    pm_encoder *enc;
    assert_ok(make_bytepiece(&tok, 256, 256, &err));
    assert_ok(pm_encoder_new(&enc, tok, &err));
    for (size_t i = 0; i < sizeof bytepiece_cases / sizeof *bytepiece_cases; i++) {
        for (int raw = 0; raw < 2; raw++) {
            pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
            const char *wanted = raw && bytepiece_cases[i].raw ? bytepiece_cases[i].raw : bytepiece_cases[i].ids;
            char got[500], framed[500];
            pm_id ids[100];
            size_t n;
            o.allowed = PM_SPECIAL_ALL;
            o.no_normalize = raw;
            assert_ok(pm_encode(enc, bytes_of(bytepiece_cases[i].text), &o, ids, 100, &n, &err));
            print_ids(got, sizeof got, ids, n);
            ck_assert_msg(strcmp(got, wanted) == 0, "case %zu: %s instead of %s", i, got, wanted);
            o.add_special_tokens = true;
            assert_ok(pm_encode(enc, bytes_of(bytepiece_cases[i].text), &o, ids, 100, &n, &err));
            print_ids(got, sizeof got, ids, n);
            snprintf(framed, sizeof framed, "1%s%s 2", *wanted ? " " : "", wanted);
            ck_assert_str_eq(got, framed);
        }
    }
    pm_encoder_free(enc);
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(bytepiece_needs_each_byte_with_a_count) {
    pm_error err = {0};
    pm_tokenizer *tok;
    assert_fails(make_bytepiece(&tok, 65, 256, &err), PM_BAD_FORMAT, "0x41");
    ck_assert_ptr_null(tok);
    assert_fails(make_bytepiece(&tok, 256, 66, &err), PM_BAD_FORMAT, "0x42");
}
END_TEST

START_TEST(samples_depend_on_seed_document_and_place_only) {
    pm_error err = {0};
    pm_tokenizer *tok;
    enum { DOCS = 3000 };
    static pm_bytes docs[DOCS];
    pm_batch one, batch;
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    assert_ok(make_bytepiece(&tok, 256, 256, &err));
    for (size_t i = 0; i < DOCS; i++) {
        docs[i] = bytes_of("the the the\nthe the the the the the the the\n\nab\n\nab the the the the the");
    }
    o.alpha = 0.1;
    o.seed = 5;
    o.threads = 1;
    assert_ok(pm_encode_batch(tok, docs, DOCS, &o, &one, &err));
    ck_assert_uint_ne(one.offsets[1], one.offsets[2] - one.offsets[1]); /* these two differ, as nearly all pairs do */
    for (unsigned threads = 2; threads <= 4; threads++) {
        o.threads = threads;
        assert_ok(pm_encode_batch(tok, docs, DOCS, &o, &batch, &err));
        ck_assert_mem_eq(batch.offsets, one.offsets, (DOCS + 1) * sizeof *one.offsets);
        ck_assert_mem_eq(batch.ids, one.ids, one.offsets[DOCS] * sizeof *one.ids);
        pm_batch_release(&batch);
    }
    o.document = 1000; /* in parts, as from the whole */
    assert_ok(pm_encode_batch(tok, docs + 1000, 2000, &o, &batch, &err));
    ck_assert_uint_eq(batch.offsets[2000], one.offsets[DOCS] - one.offsets[1000]);
    ck_assert_mem_eq(batch.ids, one.ids + one.offsets[1000], batch.offsets[2000] * sizeof *one.ids);
    pm_batch_release(&batch);
    o.document = 0;
    o.seed = 6;
    assert_ok(pm_encode_batch(tok, docs, DOCS, &o, &batch, &err));
    ck_assert(batch.offsets[DOCS] != one.offsets[DOCS] || memcmp(batch.ids, one.ids, one.offsets[DOCS] * sizeof *one.ids) != 0);
    pm_batch_release(&batch);
    pm_batch_release(&one);
    pm_tokenizer_free(tok);
}
END_TEST

/* ---------------------------------------------------------------- n-best and marginals ---- */

static pm_text utf8(const char *text) { return (pm_text){text, strlen(text), PM_TEXT_UTF8}; }

static pm_bytes document(const pm_batch *b, size_t i) {
    return (pm_bytes){(const uint8_t *)(b->ids + b->offsets[i]), (size_t)(b->offsets[i + 1] - b->offsets[i]) * sizeof *b->ids};
}

static bool same_bytes(pm_bytes a, pm_bytes b) { return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0); }

enum { ALL = 4000 };

/* Best first, the first is pm_encode's, no two are equal, and each spells the same. */
static void check_nbest(pm_encoder *enc, const pm_tokenizer *tok, const char *text, const pm_encode_options *o) {
    pm_error err = {0};
    static double scores[ALL], fewer_scores[7];
    uint8_t first[100], other[100];
    pm_id ids[100];
    size_t n, n_first, n_other;
    pm_batch all, fewer;
    assert_ok(pm_encode(enc, bytes_of(text), o, ids, 100, &n, &err));
    assert_ok(pm_decode(tok, ids, n, first, 100, &n_first, &err));
    assert_ok(pm_encode_nbest(enc, utf8(text), ALL, o, &all, scores, &err));
    assert_ok(pm_encode_nbest(enc, utf8(text), 7, o, &fewer, fewer_scores, &err));
    ck_assert(same_bytes(document(&all, 0), (pm_bytes){(const uint8_t *)ids, n * sizeof *ids}));
    ck_assert_uint_eq(fewer.n_docs, all.n_docs < 7 ? all.n_docs : 7);
    for (size_t i = 0; i < all.n_docs; i++) {
        pm_bytes list = document(&all, i);
        assert_ok(pm_decode(tok, (const pm_id *)(const void *)list.data, list.len / sizeof *ids, other, 100, &n_other, &err));
        ck_assert(same_bytes((pm_bytes){first, n_first}, (pm_bytes){other, n_other}));
        ck_assert(i == 0 || scores[i] <= scores[i - 1]);
        ck_assert(i >= fewer.n_docs || (same_bytes(list, document(&fewer, i)) && scores[i] == fewer_scores[i]));
        for (size_t k = 0; k < i && k < 200; k++) {
            ck_assert(!same_bytes(list, document(&all, k)));
        }
    }
    pm_batch_release(&all);
    pm_batch_release(&fewer);
}

/* Pieces that cover a byte sum to 1, special tokens are certain. */
static void check_marginals(pm_encoder *enc, const pm_tokenizer *tok, const char *text, const pm_encode_options *o) {
    pm_error err = {0};
    double sums[100] = {0};
    uint64_t end = 0;
    pm_marginals m;
    assert_ok(pm_encode_marginals(enc, utf8(text), o, &m, &err));
    for (size_t i = 0; i < m.n; i++) {
        ck_assert_uint_ge(m.items[i].end, end);
        end = m.items[i].end;
        ck_assert_uint_eq(pm_tokenizer_piece(tok, m.items[i].id).len, end - m.items[i].begin);
        ck_assert(m.items[i].id != 400 || m.items[i].probability == 1);
        for (uint64_t at = m.items[i].begin; at < end; at++) {
            sums[at] += m.items[i].probability;
        }
    }
    for (uint64_t at = 0; at < end; at++) {
        ck_assert(sums[at] > 1 - 1e-12 && sums[at] < 1 + 1e-12);
    }
    ck_assert(end == strlen(text) || !o->no_normalize);
    pm_marginals_release(&m);
    ck_assert_ptr_null(m.items);
}

START_TEST(alternatives_of_documents) {
    pm_error err = {0};
    pm_tokenizer *tok;
    pm_encoder *enc;
    assert_ok(make_bytepiece(&tok, 256, 256, &err));
    assert_ok(pm_encoder_new(&enc, tok, &err));
    for (size_t i = 0; i < sizeof bytepiece_cases / sizeof *bytepiece_cases; i++) {
        for (unsigned how = 0; how < 4; how++) {
            pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
            o.allowed = PM_SPECIAL_ALL;
            o.no_normalize = how & 1;
            o.add_special_tokens = how & 2;
            check_nbest(enc, tok, bytepiece_cases[i].text, &o);
            check_marginals(enc, tok, bytepiece_cases[i].text, &o);
        }
    }
    pm_encoder_free(enc);
    pm_tokenizer_free(tok);
}
END_TEST

typedef struct sum {
    double score;
    size_t a, b;
} sum;

static int by_score(const void *x, const void *y) {
    const sum *a = x, *b = y;
    if (a->score != b->score) {
        return a->score > b->score ? -1 : 1;
    }
    return a->b != b->b ? (a->b > b->b) - (a->b < b->b) : (a->a > b->a) - (a->a < b->a);
}

/* Of two chunks: all sums, sorted. */
START_TEST(alternatives_of_chunks_are_combined) {
    static const char *const first = "the the\n", *const second = " thethe", *const both = "the the\n thethe";
    static double a_scores[ALL], b_scores[ALL], scores[ALL];
    static sum sums[ALL];
    pm_error err = {0};
    pm_tokenizer *tok;
    pm_encoder *enc;
    pm_batch a, b, all;
    size_t n = 0;
    assert_ok(make_bytepiece(&tok, 256, 256, &err));
    assert_ok(pm_encoder_new(&enc, tok, &err));
    assert_ok(pm_encode_nbest(enc, utf8(first), ALL, NULL, &a, a_scores, &err));
    assert_ok(pm_encode_nbest(enc, utf8(second), ALL, NULL, &b, b_scores, &err));
    ck_assert_uint_le(a.n_docs * b.n_docs, ALL);
    for (size_t i = 0; i < a.n_docs; i++) {
        for (size_t k = 0; k < b.n_docs; k++) {
            sums[n++] = (sum){a_scores[i] + b_scores[k], i, k};
        }
    }
    qsort(sums, n, sizeof *sums, by_score);
    for (size_t most = 1; most <= ALL; most = 3 * most - 1) {
        assert_ok(pm_encode_nbest(enc, utf8(both), most, NULL, &all, scores, &err));
        ck_assert_uint_eq(all.n_docs, most < n ? most : n);
        for (size_t i = 0; i < all.n_docs; i++) {
            pm_bytes head = document(&a, sums[i].a), tail = document(&b, sums[i].b), whole = document(&all, i);
            ck_assert(scores[i] == sums[i].score);
            ck_assert(same_bytes((pm_bytes){whole.data, head.len}, head));
            ck_assert(same_bytes((pm_bytes){whole.data + head.len, whole.len - head.len}, tail));
        }
        pm_batch_release(&all);
        most += most == 1;
    }
    pm_batch_release(&a);
    pm_batch_release(&b);
    pm_encoder_free(enc);
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(alternatives_refuse_what_has_no_meaning) {
    pm_error err = {0};
    pm_tokenizer *tok, *bpe = batch_tokenizer();
    pm_encoder *enc;
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    pm_batch out;
    pm_marginals m;
    assert_ok(make_bytepiece(&tok, 256, 256, &err));
    assert_ok(pm_encoder_new(&enc, tok, &err));
    assert_fails(pm_encode_nbest(enc, utf8("a"), 0, NULL, &out, NULL, &err), PM_INVALID_ARGUMENT, "must not be 0");
    assert_fails(pm_encode_nbest(enc, utf8("a<s>"), 2, NULL, &out, NULL, &err), PM_SPECIAL_IN_TEXT, "<s>");
    ck_assert_uint_eq(err.offset, 1);
    ck_assert_ptr_null(out.ids);
    assert_fails(pm_encode_marginals(enc, utf8("a<s>"), NULL, &m, &err), PM_SPECIAL_IN_TEXT, "<s>");
    ck_assert_ptr_null(m.items);
    o.alpha = 0.5;
    assert_fails(pm_encode_nbest(enc, utf8("a"), 2, &o, &out, NULL, &err), PM_INVALID_ARGUMENT, "alpha");
    assert_ok(pm_encode_marginals(enc, utf8("the"), &o, &m, &err));
    pm_marginals_release(&m);
    o.alpha = 1e7;
    assert_fails(pm_encode_marginals(enc, utf8("a"), &o, &m, &err), PM_INVALID_ARGUMENT, "alpha must be at most 1000000");
    pm_encoder_free(enc);
    assert_ok(pm_encoder_new(&enc, bpe, &err));
    assert_fails(pm_encode_nbest(enc, utf8("a"), 2, NULL, &out, NULL, &err), PM_INVALID_ARGUMENT, "BPE");
    assert_fails(pm_encode_marginals(enc, utf8("a"), NULL, &m, &err), PM_INVALID_ARGUMENT, "BPE");
    pm_encoder_free(enc);
    pm_tokenizer_free(bpe);
    pm_tokenizer_free(tok);
}
END_TEST

/* ---------------------------------------------------------------- memory ---- */

static atomic_int refuse_after;
static bool refuse_once(void) { return atomic_fetch_sub(&refuse_after, 1) != 0; }

/* The address space for all bounds is refused: the documents are counted first. Every single allocation is refused in turn, too. */
START_TEST(a_batch_goes_on_without_address_space_and_fails_cleanly_without_memory) {
    pm_error err = {0};
    uint8_t *text;
    uint64_t n_special;
    pm_bytes *docs = make_docs(&text, &n_special);
    pm_tokenizer *tok = batch_tokenizer();
    pm_batch wanted;
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    o.threads = (unsigned)_i;
    assert_ok(pm_encode_batch(tok, docs, N_DOCS, &o, &wanted, &err));
    int n, failed = 0, good = 0;
    for (n = 0; good < 3; n++) { /* one success without the address space, then allocations that never come */
        pm_batch batch;
        pm_tokenizer_free(tok); /* a tokenizer keeps encoders, which then need no memory */
        tok = batch_tokenizer();
        refuse_after = n;
        pm_alloc_test_hook = refuse_once;
        pm_status status = pm_encode_batch(tok, docs, N_DOCS, &o, &batch, &err);
        pm_alloc_test_hook = NULL;
        if (status == PM_OK) {
            good++;
            ck_assert_mem_eq(batch.ids, wanted.ids, wanted.offsets[N_DOCS] * sizeof *batch.ids);
            ck_assert_mem_eq(batch.offsets, wanted.offsets, (N_DOCS + 1) * sizeof *batch.offsets);
            ck_assert_uint_eq(batch.documents_with_special, n_special);
        } else {
            ck_assert_int_eq(status, PM_NO_MEMORY);
            ck_assert_ptr_null(batch.ids);
            failed++;
        }
        pm_batch_release(&batch);
    }
    ck_assert_int_gt(failed, 3);
    pm_batch_release(&wanted);
    free(text);
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(a_batch_names_the_first_document_that_fails) {
    pm_error err = {0};
    uint8_t *text;
    uint64_t n_special;
    pm_bytes *docs = make_docs(&text, &n_special);
    pm_tokenizer *tok = batch_tokenizer();
    pm_batch batch;
    for (unsigned threads = 1; threads <= 4; threads++) {
        pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
        char wanted[60];
        size_t i = 0;
        while (docs[i].len <= 20 || i % 10) {
            i++;
        }
        o.threads = threads;
        o.disallowed = PM_SPECIAL_ALL;
        snprintf(wanted, sizeof wanted, "document %zu: the text holds", i);
        assert_fails(pm_encode_batch(tok, docs, N_DOCS, &o, &batch, &err), PM_SPECIAL_IN_TEXT, wanted);
        ck_assert_uint_eq(err.offset, docs[i].len / 2);
        ck_assert_ptr_null(batch.ids);
        ck_assert_ptr_null(batch.offsets);
    }
    free(text);
    pm_tokenizer_free(tok);
}
END_TEST

/* Fails one allocation after the other while a tokenizer is made and a text encoded; a sanitizer sees what leaks. */
START_TEST(making_and_encoding_survive_every_failed_allocation) {
    pm_error err = {0};
    uint8_t text[300];
    memset(text, 'a', sizeof text);
    bool done = false;
    for (int n = 0; !done; n++) {
        pm_model model;
        pm_tokenizer *tok = NULL;
        pm_encoder *enc = NULL;
        size_t n_ids;
        ck_assert(oracle_random_model(&model, 1, 30, "ab", true));
        assert_ok(pm_model_set(&model, 1000, PM_KIND_SPECIAL, bytes_of("<s>"), 0, false, &err));
        refuse_after = n;
        pm_alloc_test_hook = refuse_once;
        pm_status status = pm_tokenizer_make(&tok, &model, &err);
        if (status == PM_OK) {
            status = pm_encoder_new(&enc, tok, &err);
        }
        if (status == PM_OK) {
            status = pm_encode(enc, (pm_bytes){text, sizeof text}, NULL, NULL, 0, &n_ids, &err);
        }
        done = refuse_after >= 0;
        pm_alloc_test_hook = NULL;
        ck_assert_int_eq(status, done ? PM_OK : PM_NO_MEMORY);
        pm_encoder_free(enc);
        pm_tokenizer_free(tok);
    }
}
END_TEST

Suite *suite_encode(void);
Suite *suite_encode(void) {
    Suite *suite = suite_create("encode");
    TCase *tc = tcase_create("encode");
    tcase_set_tags(tc, "one-thread");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, ids_equal_the_definition);
    tcase_add_test(tc, ids_of_long_units_equal_the_definition);
    tcase_add_test(tc, a_long_piece_without_merges_is_found_as_a_whole);
    tcase_add_test(tc, ids_equal_the_definition_with_whole_words_first);
    tcase_add_test(tc, pre_tokens_are_cut_together_as_alone);
    tcase_add_test(tc, pieces_are_found_exactly_when_they_are_reachable);
    tcase_add_test(tc, words_of_a_block_are_encoded_one_by_one);
    tcase_add_test(tc, cuts_are_where_no_piece_reaches_across);
    tcase_add_test(tc, ids_of_characters_equal_the_definition);
    tcase_add_test(tc, words_of_a_block_of_characters_are_encoded_one_by_one);
    tcase_add_test(tc, derived_merges_encode_as_ranks_do);
    tcase_add_test(tc, derived_merges_need_each_byte);
    tcase_add_test(tc, no_text_takes_quadratic_time);
    tcase_add_test(tc, special_tokens_are_matched_refused_or_text);
    tcase_add_test(tc, special_token_errors_name_the_token);
    tcase_add_test(tc, special_tokens_are_found_wherever_they_are);
    tcase_add_test(tc, a_text_of_half_tokens_is_scanned_once);
    tcase_add_test(tc, ids_that_do_not_fit_are_counted);
    tcase_add_test(tc, decode_writes_what_fits_and_refuses_what_is_not_there);
    suite_add_tcase(suite, tc);
    tc = tcase_create("batch");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, a_batch_equals_its_documents);
    tcase_add_test(tc, bytepiece_goes_by_chunks_in_normal_form);
    tcase_add_test(tc, bytepiece_needs_each_byte_with_a_count);
    tcase_add_test(tc, alternatives_of_documents);
    tcase_add_test(tc, alternatives_of_chunks_are_combined);
    tcase_add_test(tc, alternatives_refuse_what_has_no_meaning);
    tcase_add_test(tc, samples_depend_on_seed_document_and_place_only);
    tcase_add_loop_test(tc, a_batch_goes_on_without_address_space_and_fails_cleanly_without_memory, 1, 4);
    tcase_add_test(tc, a_batch_names_the_first_document_that_fails);
    tcase_add_test(tc, making_and_encoding_survive_every_failed_allocation);
    suite_add_tcase(suite, tc);
    return suite;
}
