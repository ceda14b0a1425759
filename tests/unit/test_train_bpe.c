/* test_train_bpe.c - counting pre-tokens and training BPE, against the slow twin. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "../oracle/bpe_encode.h"
#include "../oracle/bpe_train.h"
#include "base/file.h"
#include "count/words.h"
#include "encode/inside.h"
#include "model/model.h"
#include "support.h"
#include "train/bpe.h"
#include "train/bpe_fragments.h"

static pm_error err;

/* ---------------------------------------------------------------- corpora ---- */

enum { MAX_WORDS = 400, MAX_MERGES = 300 };

typedef struct made {
    uint8_t bytes[MAX_WORDS * 32];
    slow_word words[MAX_WORDS];
    size_t n;
} made;

/* Words of few letters, so that counts are equal and runs are long; heavy: weights near 2^32. */
static void make_words(made *m, uint64_t *state, unsigned letters, bool heavy) {
    uint8_t *p = m->bytes;
    uint8_t base = (uint8_t)(random_word(state) % 256);
    m->n = 1 + random_word(state) % MAX_WORDS;
    m->n = random_word(state) % 3 ? m->n % 40 + 1 : m->n;
    for (size_t i = 0; i < m->n; i++) {
        size_t len = 1 + random_word(state) % (random_word(state) % 4 ? 8 : 32);
        for (size_t k = 0; k < len; k++) {
            p[k] = (uint8_t)(base + random_word(state) % letters * 37);
        }
        uint64_t weight = 1 + random_word(state) % 5;
        m->words[i] = (slow_word){{p, len}, heavy ? weight * UINT64_C(3000000000) : weight};
        p += len;
    }
}

/* The words as records of bytes; a weight above 32 bits as several. */
static pm_records records_of(const made *m) {
    pm_records records = {0};
    for (size_t i = 0; i < m->n; i++) {
        for (uint64_t left = m->words[i].weight; left;) {
            size_t bytes = pm_record_bytes(m->words[i].text.len, 1);
            pm_record *r = pm_records_reserve(&records, bytes);
            ck_assert_ptr_nonnull(r);
            r->weight = left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
            r->n = (uint32_t)m->words[i].text.len;
            memcpy(pm_record_cells(r), m->words[i].text.data, r->n);
            left -= r->weight;
            records.last->used += bytes;
            if (random_word(&(uint64_t){i}) % 8 == 0) {
                ck_assert_ptr_nonnull(pm_records_add_chunk(&records, 1)); /* so that there is work for several threads */
            }
        }
    }
    return records;
}

static const pm_bpe_memory no_bound = {UINT64_MAX, UINT64_MAX};

/* The records in a store that keeps `memory` bytes in memory. */
static pm_store *store_of(pm_records *records, uint64_t memory) {
    pm_store *store;
    assert_ok(pm_store_new(&store, memory, NULL, &err));
    assert_ok(pm_store_put_all(store, records, &err));
    return store;
}

static void compare(const made *m, size_t wanted, uint64_t min_count, const pm_special_token *specials, size_t n_specials, unsigned threads,
                    const pm_bpe_plan *plan, uint64_t seed) {
    static slow_merge slow[MAX_MERGES];
    size_t n = slow_bpe_train(m->words, m->n, wanted < MAX_MERGES ? wanted : MAX_MERGES, min_count, specials, n_specials, slow);
    pm_records records = records_of(m);
    pm_bpe_vocab vocab;
    pm_ticker ticker;
    pm_ticker_init(&ticker, NULL, NULL, 0);
    assert_ok(pm_bpe_vocab_init(&vocab, &(pm_bpe_rules){.specials = specials, .n_specials = n_specials}, &err));
    pm_store *store = store_of(&records, seed % 4 ? UINT64_MAX : seed % 8 ? PM_CHUNK_BYTES : 0);
    assert_ok(pm_bpe_learn(&vocab, store, wanted, min_count, threads, plan, &no_bound, &ticker, &err));
    if (n < MAX_MERGES || wanted == MAX_MERGES) {
        ck_assert_msg(vocab.n_merges == n, "seed %llu: %zu merges instead of %zu", (unsigned long long)seed, vocab.n_merges, n);
    }
    for (size_t i = 0; i < n; i++) {
        const pm_bpe_merge *x = &vocab.merges[i];
        ck_assert_msg(x->left == slow[i].left && x->right == slow[i].right && x->count == slow[i].count,
                      "seed %llu: merge %zu is (%u, %u) %llu instead of (%u, %u) %llu", (unsigned long long)seed, i, x->left, x->right,
                      (unsigned long long)x->count, slow[i].left, slow[i].right, (unsigned long long)slow[i].count);
    }
    pm_bpe_vocab_release(&vocab);
}

/* The last three shed words as soon as they can, at too low a bound, at about the right one, and at one so high that the whole words must come back. */
static const pm_bpe_plan plans[] = {{0.45, 8, 1 << 15, 0, 0, 0}, {0.45, 4, 0, 500, 0, 0}, {0.1, 2, 0, 0, 0, 0},      {0.9, 1000, 0, 0, 0, 0},
                                    {0, 2, 0, 100, 0, 0},        {0.1, 2, 0, 0, 0.2, 1},  {0.2, 2, 0, 0, 0.9, 1}, {0, 2, 0, 0, 8, 1}};
enum { N_PLANS = sizeof plans / sizeof *plans };

/* ---------------------------------------------------------------- the merges ---- */

START_TEST(merges_equal_the_twin_on_small_corpora) {
    static made m;
    for (uint64_t seed = 1; seed <= (quick() ? 150 : 600); seed++) {
        uint64_t state = seed;
        make_words(&m, &state, 1 + (unsigned)(seed % 5), false);
        compare(&m, 1 + random_word(&state) % 120, seed % 3 ? 0 : random_word(&state) % 20, NULL, 0, 1 + (unsigned)(seed % 3), &plans[seed % N_PLANS],
                seed);
    }
}
END_TEST

START_TEST(merges_equal_the_twin_until_nothing_is_left) {
    static made m;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t state = seed + 1000;
        make_words(&m, &state, 1 + (unsigned)(seed % 5), false);
        m.n = m.n > 20 ? 20 : m.n;
        compare(&m, MAX_MERGES, 0, NULL, 0, 1 + (unsigned)(seed % 3), &plans[seed % N_PLANS], seed);
    }
}
END_TEST

/* A count that does not fit 32 bits was cut off before it was compared in one draft. */
START_TEST(counts_above_32_bits) {
    static made m;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t state = seed + 2000;
        make_words(&m, &state, 2 + (unsigned)(seed % 3), true);
        compare(&m, 60, seed % 2 ? 0 : UINT64_C(9000000000), NULL, 0, 1 + (unsigned)(seed % 3), &plans[seed % N_PLANS], seed);
    }
}
END_TEST

START_TEST(a_pair_that_spells_a_special_token_is_never_merged) {
    static made m;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        uint64_t state = seed + 3000;
        make_words(&m, &state, 2, false);
        pm_special_token specials[3];
        for (size_t i = 0; i < 3; i++) {
            pm_bytes text = m.words[random_word(&state) % m.n].text;
            specials[i] = (pm_special_token){{text.data, text.len < 2 + i ? text.len : 2 + i}, PM_ID_NONE};
        }
        compare(&m, 60, 0, specials, 3, 1 + (unsigned)(seed % 3), &plans[seed % N_PLANS], seed);
    }
}
END_TEST

/* Above 65536 symbols the cells of the words are 4 bytes wide. */
START_TEST(wide_cells_give_the_same_merges) {
    static made m;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        uint64_t state = seed + 4000;
        make_words(&m, &state, 3, false);
        compare(&m, 100000, 1 + random_word(&state) % 10, NULL, 0, 1 + (unsigned)(seed % 3), &plans[seed % N_PLANS], seed);
    }
}
END_TEST

/* Hashed slots are used above 256 symbols or so: a corpus with many. */
static pm_records random_text(uint64_t seed, size_t n_words) {
    pm_records records = {0};
    for (size_t i = 0; i < n_words; i++) {
        size_t len = 1 + random_word(&seed) % 12, bytes = pm_record_bytes(len, 1);
        pm_record *r = pm_records_reserve(&records, bytes);
        ck_assert_ptr_nonnull(r);
        *r = (pm_record){1 + (uint32_t)(random_word(&seed) % 3), (uint32_t)len};
        for (size_t k = 0; k < len; k++) {
            uint64_t x = random_word(&seed) % 64;
            ((uint8_t *)pm_record_cells(r))[k] = (uint8_t)(97 + x * x / 160); /* skewed */
        }
        records.last->used += bytes;
    }
    return records;
}

/* Counting fills chunks to their last byte; a cut of 16 bytes at once read behind it. */
START_TEST(a_chunk_that_is_full_to_its_end) {
    pm_records records = {0};
    pm_chunk *chunk = pm_records_add_chunk(&records, 1);
    size_t n = 0;
    pm_bpe_vocab vocab;
    pm_ticker ticker;
    ck_assert_ptr_nonnull(chunk);
    while (chunk->used < chunk->size) {
        pm_record *r = pm_record_at(chunk, chunk->used);
        *r = (pm_record){1, 8};
        memcpy(pm_record_cells(r), "abcdefgh", 8);
        chunk->used += pm_record_bytes(8, 1);
        n++;
    }
    ck_assert_uint_eq(chunk->used, chunk->size);
    pm_ticker_init(&ticker, NULL, NULL, 0);
    assert_ok(pm_bpe_vocab_init(&vocab, NULL, &err));
    assert_ok(pm_bpe_learn(&vocab, store_of(&records, UINT64_MAX), 20, 0, 1, &plans[1], &no_bound, &ticker, &err));
    ck_assert_uint_eq(vocab.n_merges, 7);
    ck_assert_uint_eq(vocab.merges[6].count, n);
    pm_bpe_vocab_release(&vocab);
}
END_TEST

START_TEST(plans_and_threads_do_not_show) {
    pm_bpe_vocab first = {0};
    for (unsigned i = 0; i < 2 * N_PLANS; i++) {
        pm_records records = random_text(7, quick() ? 30000 : 60000);
        pm_bpe_vocab vocab;
        pm_ticker ticker;
        pm_ticker_init(&ticker, NULL, NULL, 0);
        assert_ok(pm_bpe_vocab_init(&vocab, NULL, &err));
        pm_store *store = store_of(&records, i % 2 ? UINT64_MAX : 1 << 20);
        assert_ok(pm_bpe_learn(&vocab, store, i == 9 || i == 15 ? 66000 : 3000, 5, 1 + i % 3, &plans[i % N_PLANS], &no_bound, &ticker, &err));
        if (i == 0) {
            ck_assert_uint_eq(vocab.n_merges, 3000);
            first = vocab;
            continue;
        }
        ck_assert_uint_ge(vocab.n_merges, 3000);
        ck_assert_mem_eq(vocab.merges, first.merges, 3000 * sizeof *first.merges);
        pm_bpe_vocab_release(&vocab);
    }
    pm_bpe_vocab_release(&first);
}
END_TEST

/* One phase by hand. */
static void run_phase(pm_bpe_words *words, pm_bpe_vocab *vocab, uint32_t threshold, size_t wanted, pm_ticker *ticker) {
    pm_fragments *fragments;
    uint32_t left_end;
    assert_ok(pm_bpe_words_cut(words, &threshold, UINT32_MAX, &left_end, ticker, &fragments, &err));
    assert_ok(pm_bpe_merge_fragments(vocab, fragments, threshold, left_end, wanted, 1, ticker, &err));
    assert_ok(pm_bpe_words_count(words, pm_bpe_vocab_size(vocab), threshold, 1, ticker, &err));
}

/* Words that are shed while symbols have two bytes, and come back when they have four. */
START_TEST(whole_words_come_back_wider) {
    enum { WORDS = 220000, MERGES = 50000 };
    pm_records records[2] = {random_text(7, WORDS), random_text(7, WORDS)};
    pm_bpe_vocab vocabs[2];
    pm_bpe_words *words;
    pm_ticker ticker;
    pm_ticker_init(&ticker, NULL, NULL, 0);
    assert_ok(pm_bpe_vocab_init(&vocabs[0], NULL, &err));
    assert_ok(pm_bpe_learn(&vocabs[0], store_of(&records[0], UINT64_MAX), MERGES, 0, 2, &plans[0], &no_bound, &ticker, &err));
    assert_ok(pm_bpe_vocab_init(&vocabs[1], NULL, &err));
    assert_ok(pm_bpe_words_new(&words, store_of(&records[1], 1 << 20), &vocabs[1], 2, &no_bound, &ticker, &err));
    run_phase(words, &vocabs[1], 2000, MERGES, &ticker);
    assert_ok(pm_bpe_words_shed(words, 4, false, 2000, 4, &ticker, &err));
    run_phase(words, &vocabs[1], 100, MERGES, &ticker);
    run_phase(words, &vocabs[1], 4, MERGES, &ticker);
    ck_assert_uint_gt(pm_bpe_vocab_size(&vocabs[1]), 1 << 15);
    assert_ok(pm_bpe_words_restore(words, 4, 3, &ticker, &err));
    run_phase(words, &vocabs[1], 3, MERGES, &ticker);
    ck_assert_uint_eq(vocabs[0].n_merges, MERGES);
    ck_assert_uint_eq(vocabs[1].n_merges, MERGES);
    ck_assert_mem_eq(vocabs[0].merges, vocabs[1].merges, MERGES * sizeof *vocabs[0].merges);
    pm_bpe_words_free(words);
    pm_bpe_vocab_release(&vocabs[0]);
    pm_bpe_vocab_release(&vocabs[1]);
}
END_TEST

/* Fragments that take too much raise the threshold on the way, in every phase. */
START_TEST(bounds_of_memory_do_not_show) {
    static const uint64_t fragments[] = {UINT64_MAX, 8 << 20, 6 << 20, 4 << 20};
    pm_bpe_vocab first = {0};
    for (unsigned i = 0; i < sizeof fragments / sizeof *fragments; i++) {
        pm_records records = random_text(11, 20000);
        pm_bpe_memory memory = {i ? 1 << 20 : UINT64_MAX, fragments[i]};
        pm_bpe_vocab vocab;
        pm_ticker ticker;
        pm_ticker_init(&ticker, NULL, NULL, 0);
        assert_ok(pm_bpe_vocab_init(&vocab, NULL, &err));
        assert_ok(pm_bpe_learn(&vocab, store_of(&records, i ? 0 : UINT64_MAX), 3000, 5, 1 + i % 3, &plans[1], &memory, &ticker, &err));
        ck_assert_uint_eq(vocab.n_merges, 3000);
        if (i == 0) {
            first = vocab;
            continue;
        }
        ck_assert_mem_eq(vocab.merges, first.merges, 3000 * sizeof *first.merges);
        pm_bpe_vocab_release(&vocab);
    }
    pm_bpe_vocab_release(&first);
}
END_TEST

/* So many pairs of one count that they are merged by their left symbols. Before, that was an error. */
START_TEST(ties_that_take_too_much_go_by_symbol) {
    static const uint64_t fragments[] = {UINT64_MAX, 2 << 20, 1 << 20, 3 << 18};
    pm_bpe_vocab first = {0};
    for (unsigned i = 0; i < sizeof fragments / sizeof *fragments; i++) {
        pm_records records = random_text(11, 20000);
        pm_bpe_memory memory = {1 << 20, fragments[i]};
        pm_bpe_vocab vocab;
        pm_ticker ticker;
        pm_ticker_init(&ticker, NULL, NULL, 0);
        assert_ok(pm_bpe_vocab_init(&vocab, NULL, &err));
        assert_ok(pm_bpe_learn(&vocab, store_of(&records, i ? 0 : UINT64_MAX), 12000, 0, 1 + i % 2, &plans[i % 2 ? 1 : 5], &memory, &ticker, &err));
        ck_assert_uint_eq(vocab.n_merges, 12000);
        if (i == 0) {
            first = vocab;
            continue;
        }
        ck_assert_mem_eq(vocab.merges, first.merges, 12000 * sizeof *first.merges);
        pm_bpe_vocab_release(&vocab);
    }
    pm_bpe_vocab_release(&first);
}
END_TEST

START_TEST(fragments_that_cannot_be_held_are_an_error) {
    pm_records records = random_text(11, 20000);
    pm_bpe_memory memory = {1 << 20, 2000};
    pm_bpe_vocab vocab;
    pm_ticker ticker;
    pm_ticker_init(&ticker, NULL, NULL, 0);
    assert_ok(pm_bpe_vocab_init(&vocab, NULL, &err));
    assert_fails(pm_bpe_learn(&vocab, store_of(&records, 0), 3000, 5, 2, &plans[1], &memory, &ticker, &err), PM_LIMIT, "memory_limit is too small");
    pm_bpe_vocab_release(&vocab);
}
END_TEST

static long io_calls;
static int count_io(void) {
    io_calls++;
    return 0;
}

/* Pairs that are all about as frequent: the room held all of them or nearly none, and thresholds went down by one, with two passes over all words each. */
START_TEST(pairs_that_are_alike_take_few_passes) {
    pm_bpe_vocab first = {0};
    uint64_t state = 1;
    for (unsigned i = 0; i < 2; i++) {
        pm_records records = {0};
        pm_bpe_memory memory = {1 << 20, i ? 2 << 20 : UINT64_MAX};
        pm_bpe_vocab vocab;
        pm_ticker ticker;
        state = 1;
        for (unsigned w = 0; w < 60000; w++) {
            pm_record *r = pm_records_reserve(&records, pm_record_bytes(24, 1));
            ck_assert_ptr_nonnull(r);
            *r = (pm_record){1, 24};
            for (unsigned k = 0; k < 24; k++) {
                state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
                ((uint8_t *)pm_record_cells(r))[k] = (uint8_t)"0123456789abcdef"[state >> 60];
            }
            records.last->used += pm_record_bytes(24, 1);
        }
        pm_ticker_init(&ticker, NULL, NULL, 0);
        assert_ok(pm_bpe_vocab_init(&vocab, NULL, &err));
        io_calls = 0;
        pm_io_test_hook = count_io;
        assert_ok(pm_bpe_learn(&vocab, store_of(&records, 0), 300, 0, 1, &pm_bpe_plan_default, &memory, &ticker, &err));
        pm_io_test_hook = NULL;
        if (i == 0) {
            first = vocab;
            continue;
        }
        ck_assert_int_lt(io_calls, 2000); /* 15 chunks or so, each read and written once a phase */
        ck_assert_uint_eq(vocab.n_merges, 300);
        ck_assert_mem_eq(vocab.merges, first.merges, 300 * sizeof *first.merges);
        pm_bpe_vocab_release(&vocab);
    }
    pm_bpe_vocab_release(&first);
}
END_TEST

static long io_left;
static int fail_io_later(void) { return io_left-- > 0 ? 0 : ENOSPC; }

/* Every read and write of the phases, one after the other. */
START_TEST(a_disk_that_fails_in_the_phases_is_an_error) {
    const pm_bpe_plan *plan = _i ? &plans[N_PLANS - 1] : &plans[2];
    long n = 0;
    pm_status status = PM_IO;
    for (; status != PM_OK; n++) {
        pm_records records = random_text(11, 3000);
        pm_bpe_vocab vocab;
        pm_ticker ticker;
        pm_ticker_init(&ticker, NULL, NULL, 0);
        pm_store *store = store_of(&records, 0);
        assert_ok(pm_bpe_vocab_init(&vocab, NULL, &err));
        io_left = n;
        pm_io_test_hook = fail_io_later;
        status = pm_bpe_learn(&vocab, store, 500, 2, 1 + (unsigned)(n % 2), plan, &no_bound, &ticker, &err);
        pm_io_test_hook = NULL;
        ck_assert_msg(status == PM_OK || (status == PM_IO && strstr(err.message, "No space left") && err.file[0]), "%s: %s", pm_status_name(status),
                      err.message);
        pm_bpe_vocab_release(&vocab);
    }
    ck_assert_int_gt(n, 20);
}
END_TEST

/* Fragment k: of two to thirteen cells, so that some are longer than a key has room for, and each has k in it. Its weight in the first and in the second table. */
static uint32_t cells_of_fragment(uint32_t k, uint16_t cells[13]) {
    uint32_t n = 2 + k % 12;
    for (uint32_t i = 0; i < n; i++) {
        cells[i] = (uint16_t)(i ? 300 + (k * i) % 700 : k);
    }
    return n;
}
static uint64_t weight_of_fragment(uint32_t k, bool second) { return k % 7 ? 1 + k + 5 * (uint64_t)second : (UINT64_C(1) << 31) - 2 + k; }

static void add_fragments(pm_fragments *f, uint32_t from, uint32_t to, bool second) {
    uint16_t cells[13];
    uint32_t number;
    assert_ok(pm_fragments_begin(f, &err));
    for (uint32_t k = from; k < to; k++) {
        uint32_t n = cells_of_fragment(k, cells);
        assert_ok(pm_fragments_add_cells(f, cells, n, 2, weight_of_fragment(k, second), &number, &err));
        ck_assert_uint_eq(number, k - from);
    }
}

START_TEST(tables_of_fragments_are_added_up) {
    enum { OLD = 12000, SHARED = 5000, ALL = 20000 };
    static uint32_t numbers[ALL], symbols[256];
    for (uint32_t i = 0; i < 256; i++) {
        symbols[i] = 255 - i;
    }
    for (unsigned threads = 1; threads <= 3; threads++) {
        bool last = threads == 2;
        pm_fragments f = {0}, from = {0};
        pm_ticker ticker;
        pm_ticker_init(&ticker, NULL, NULL, 0);
        add_fragments(&f, 0, OLD, false);
        add_fragments(&from, OLD - SHARED, ALL, true);
        assert_ok(pm_fragments_join(&f, &from, 2, numbers, last, threads, &ticker, &err));
        ck_assert_uint_eq(f.n, ALL);
        for (uint32_t k = OLD - SHARED; k < ALL; k++) {
            ck_assert_uint_eq(numbers[k - (OLD - SHARED)], k);
        }
        for (uint32_t k = 0; k < ALL && !last; k++) { /* all can be looked up */
            uint16_t cells[13];
            uint32_t number, n = cells_of_fragment(k, cells);
            assert_ok(pm_fragments_add_cells(&f, cells, n, 2, 0, &number, &err));
            ck_assert_uint_eq(number, k);
        }
        assert_ok(pm_fragments_decode(&f, 2, symbols, threads, &ticker, &err));
        size_t at = 1;
        ck_assert_uint_eq(f.cells[0].symbol, PM_BPE_BORDER);
        for (uint32_t k = 0; k < ALL; k++) {
            uint16_t cells[13];
            uint32_t n = cells_of_fragment(k, cells);
            uint64_t weight = (k < OLD ? weight_of_fragment(k, false) : 0) + (k >= OLD - SHARED ? weight_of_fragment(k, true) : 0);
            ck_assert(f.items[k].weight == weight && f.items[k].n == n && f.items[k].at == at);
            for (uint32_t i = 0; i < n; i++, at++) {
                uint32_t w = f.cells[at].weight;
                ck_assert_uint_eq(f.cells[at].symbol, cells[i] < 256 ? symbols[cells[i]] : cells[i]);
                ck_assert_uint_eq(w < PM_BPE_HEAVY ? w : f.heavy[w - PM_BPE_HEAVY], weight);
            }
            ck_assert_uint_eq(f.cells[at++].symbol, PM_BPE_BORDER);
        }
        ck_assert_uint_eq(f.n_cells, at);
        pm_fragments_release(&f);
        pm_fragments_release(&from);
    }
}
END_TEST

/* ---------------------------------------------------------------- counting ---- */

static pm_corpus *corpus_of(const pm_bytes *docs, size_t n) {
    pm_corpus *corpus;
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    for (size_t i = 0; i < n; i++) {
        assert_ok(pm_corpus_add_document(corpus, docs[i], &err));
    }
    return corpus;
}

/* ---------------------------------------------------------------- pm_train ---- */

static const pm_bytes hug[] = {{(const uint8_t *)"hug hug pug hugs", 16}, {(const uint8_t *)"", 0}, {(const uint8_t *)"bun pun<s>", 10}};
enum { N_HUG = sizeof hug / sizeof *hug };

static pm_train_options options_for(const uint32_t *size) {
    static const char *const gpt2[] = {"gpt2"};
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    o.algorithm = PM_ALGORITHM_BPE;
    o.vocab_sizes = size;
    o.n_vocab_sizes = 1;
    o.patterns = gpt2;
    o.n_patterns = 1;
    o.threads = 1;
    return o;
}

/* The trainer says so without looking (pm_model.derived). The tables are there when an encoder is. */
static void assert_pieces_encode_to_themselves(const pm_tokenizer *tok) {
    const pm_engine *engine = tok->engine;
    pm_encoder *enc;
    ck_assert_ptr_null(engine->bpe);
    assert_ok(pm_encoder_new(&enc, tok, &err));
    pm_encoder_free(enc);
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        static pm_id ids[6000];
        pm_bytes piece = pm_tokenizer_piece(tok, id);
        ck_assert_uint_le(piece.len, sizeof ids / sizeof *ids);
        ck_assert_uint_eq(oracle_bpe_encode(&tok->model, false, piece.data, piece.len, ids), 1);
        ck_assert_uint_eq(ids[0], id);
        ck_assert(pm_bpe_reachable(engine->bpe, id));
    }
}

/* Every merge joins what the twin joins: words found by the splitter itself. */
START_TEST(training_from_documents_equals_the_twin) {
    static const char *const patterns[] = {"", "gpt2", "o200k_base", "[ab]+|\\s"};
    static slow_merge slow[100];
    static slow_word words[4000];
    static pm_bytes docs[200];
    static uint8_t text[200 * 30];
    uint64_t state = 11;
    for (unsigned round = 0; round < 40; round++) {
        const char *pattern = patterns[round % 4];
        for (size_t i = 0; i < 200; i++) {
            docs[i] = (pm_bytes){text + 30 * i, random_word(&state) % 30};
            for (size_t k = 0; k < docs[i].len; k++) {
                text[30 * i + k] = (uint8_t) "aabbAB 1  \n\xC3\xA9'"[random_word(&state) % 14];
            }
        }
        uint32_t size = 256 + 1 + (uint32_t)(random_word(&state) % 90);
        pm_train_options o = options_for(&size);
        pm_train_summary summary;
        pm_tokenizer *tok;
        o.patterns = &pattern;
        o.threads = 1 + round % 3;
        o.summary = &summary;
        pm_corpus *corpus = corpus_of(docs, 200);
        assert_ok(pm_train(&tok, 1, corpus, &o, &err));

        pm_splitter *splitter;
        pm_split_scratch *scratch;
        size_t n = 0, ends[8], got;
        assert_ok(pm_splitter_new(&splitter, &pattern, 1, &err));
        assert_ok(pm_split_scratch_new(&scratch, splitter, &err));
        for (size_t i = 0; i < 200; i++) {
            size_t start = 0;
            pm_split_begin(scratch, docs[i].data, docs[i].len);
            while (pm_split_next(scratch, ends, 8, &got, &err) == PM_OK && got) {
                for (size_t k = 0; k < got; k++) {
                    words[n++] = (slow_word){{docs[i].data + start, ends[k] - start}, 1};
                    start = ends[k];
                }
            }
        }
        pm_split_scratch_free(scratch);
        pm_splitter_free(splitter);
        ck_assert_uint_eq(summary.words, n);
        ck_assert_uint_eq(summary.documents, 200);
        size_t n_merges = slow_bpe_train(words, n, size - 256, 0, NULL, 0, slow);
        ck_assert_uint_eq(pm_tokenizer_n_merges(tok), n_merges);
        ck_assert_uint_eq(pm_tokenizer_vocab_size(tok), 256 + n_merges);
        ck_assert_int_eq(summary.smaller_than_asked, n_merges < size - 256);
        for (uint32_t i = 0; i < n_merges; i++) {
            pm_id left, right, result;
            ck_assert(pm_tokenizer_merge(tok, i, &left, &right, &result));
            ck_assert(left == slow[i].left && right == slow[i].right && result == 256 + i);
            ck_assert_uint_eq(pm_tokenizer_count(tok, result), slow[i].count);
        }
        assert_pieces_encode_to_themselves(tok);
        pm_tokenizer_free(tok);
        pm_corpus_free(corpus);
    }
}
END_TEST

START_TEST(a_small_corpus_gives_a_small_model_and_says_so) {
    uint32_t size = 1000;
    pm_train_options o = options_for(&size);
    pm_train_summary summary;
    pm_tokenizer *tok;
    pm_special_token specials[2] = {{{(const uint8_t *)"<s>", 3}, PM_ID_NONE}, {{(const uint8_t *)"hug", 3}, PM_ID_NONE}};
    o.summary = &summary;
    o.special_tokens = specials;
    o.n_special_tokens = 2;
    o.reserve = 3;
    o.round_to = 64;
    pm_corpus *corpus = corpus_of(hug, N_HUG);
    assert_ok(pm_train(&tok, 1, corpus, &o, &err));
    ck_assert(summary.smaller_than_asked && !summary.lines_split);
    ck_assert_uint_eq(summary.documents, 3);
    ck_assert_uint_eq(summary.bytes, 26);
    ck_assert_uint_eq(summary.documents_with_special, 2);
    uint32_t n = 256 + pm_tokenizer_n_merges(tok);
    ck_assert_uint_eq(pm_tokenizer_vocab_size(tok) % 64, 0);
    ck_assert_uint_eq(summary.vocab_size, pm_tokenizer_vocab_size(tok));
    ck_assert_int_eq(pm_tokenizer_kind(tok, n - 1), PM_KIND_PIECE);
    ck_assert_uint_eq(pm_tokenizer_find(tok, specials[0].text), n);
    ck_assert_uint_eq(pm_tokenizer_find(tok, specials[1].text), n + 1); /* not a piece: never merged */
    for (pm_id id = n + 2; id < pm_tokenizer_vocab_size(tok); id++) {
        ck_assert_int_eq(pm_tokenizer_kind(tok, id), PM_KIND_RESERVED);
    }
    const char *settings = pm_tokenizer_settings(tok);
    ck_assert_ptr_nonnull(strstr(settings, "algorithm=bpe\n"));
    ck_assert_ptr_nonnull(strstr(settings, "pattern=gpt2\n"));
    ck_assert_ptr_nonnull(strstr(settings, "documents=3\n"));
    ck_assert_ptr_nonnull(strstr(settings, "min_count=0\n"));
    pm_tokenizer_free(tok);
    pm_corpus_free(corpus);
}
END_TEST

/* What an encoder needs is built by the first that comes; so many come at once. */
static pm_status encode_hug(void *ctx, unsigned thread, size_t i, pm_error *error) {
    static const pm_bytes text = {(const uint8_t *)"hug", 3};
    const pm_tokenizer *tok = ctx;
    pm_encoder *enc;
    pm_id ids[8];
    size_t n;
    (void)thread;
    (void)i;
    PM_TRY(pm_encoder_new(&enc, tok, error));
    pm_status status = pm_encode(enc, text, NULL, ids, 8, &n, error);
    pm_encoder_free(enc);
    return status == PM_OK && (n != 1 || ids[0] != pm_tokenizer_find(tok, text)) ? pm_fail(error, PM_BAD_INPUT, "%zu ids", n) : status;
}

static bool no_memory(void) { return false; }

START_TEST(a_trained_tokenizer_meets_its_first_encoders) {
    uint32_t size = 1000;
    pm_train_options o = options_for(&size);
    for (int round = 0; round < 20; round++) {
        pm_corpus *corpus = corpus_of(hug, N_HUG);
        pm_tokenizer *tok;
        pm_encoder *enc;
        assert_ok(pm_train(&tok, 1, corpus, &o, &err));
        pm_alloc_test_hook = no_memory;
        ck_assert_int_eq(pm_encoder_new(&enc, tok, &err), PM_NO_MEMORY); /* and that is no reason to fail for ever */
        pm_alloc_test_hook = NULL;
        assert_ok(pm_parallel(4, 16, encode_hug, tok, NULL, &err));
        pm_tokenizer_free(tok);
        pm_corpus_free(corpus);
    }
}
END_TEST

START_TEST(layouts_move_ids_and_leave_merges) {
    uint32_t size = 256 + 2 + 1 + 5;
    pm_special_token specials[2] = {{{(const uint8_t *)"<s>", 3}, PM_ID_NONE}, {{(const uint8_t *)"</s>", 4}, PM_ID_NONE}};
    pm_tokenizer *toks[2];
    for (int layout = 0; layout < 2; layout++) {
        pm_train_options o = options_for(&size);
        o.layout = (pm_layout)layout;
        o.special_tokens = specials;
        o.n_special_tokens = 2;
        o.reserve = 1;
        specials[1].id = layout ? 0 : size - 1;
        pm_corpus *corpus = corpus_of(hug, N_HUG);
        assert_ok(pm_train(&toks[layout], 1, corpus, &o, &err));
        pm_corpus_free(corpus);
        ck_assert_uint_eq(pm_tokenizer_vocab_size(toks[layout]), size);
        ck_assert_uint_eq(pm_tokenizer_find(toks[layout], specials[1].text), specials[1].id);
        ck_assert_uint_eq(pm_tokenizer_n_merges(toks[layout]), 5);
    }
    ck_assert_uint_eq(pm_tokenizer_find(toks[0], specials[0].text), 261);
    ck_assert_int_eq(pm_tokenizer_kind(toks[0], 262), PM_KIND_RESERVED);
    ck_assert_uint_eq(pm_tokenizer_find(toks[1], specials[0].text), 1);
    ck_assert_int_eq(pm_tokenizer_kind(toks[1], size - 1), PM_KIND_RESERVED);
    for (uint32_t i = 0; i < 5; i++) {
        pm_id a, b, c, x, y, z;
        ck_assert(pm_tokenizer_merge(toks[0], i, &a, &b, &c) && pm_tokenizer_merge(toks[1], i, &x, &y, &z));
        ck_assert(a + 2 == x && b + 2 == y && c + 2 == z);
    }
    pm_tokenizer_free(toks[0]);
    pm_tokenizer_free(toks[1]);
}
END_TEST

static void refuse(const pm_train_options *o, size_t n_out, pm_status status, const char *words) {
    pm_tokenizer *toks[2] = {(pm_tokenizer *)&err, (pm_tokenizer *)&err};
    pm_corpus *corpus = corpus_of(hug, N_HUG);
    assert_fails(pm_train(toks, n_out, corpus, o, &err), status, words);
    ck_assert_ptr_null(toks[0]);
    pm_corpus_free(corpus);
}

START_TEST(bad_options_are_refused_with_a_sentence) {
    uint32_t sizes[2] = {300, 301};
    pm_special_token specials[3] = {{{(const uint8_t *)"<s>", 3}, PM_ID_NONE}, {{(const uint8_t *)"<s>", 3}, PM_ID_NONE}, {{NULL, 0}, PM_ID_NONE}};
    pm_train_options good = options_for(sizes), o = good;
    refuse(NULL, 1, PM_INVALID_ARGUMENT, "PM_TRAIN_OPTIONS_INIT");
    o.size = 0;
    refuse(&o, 1, PM_INVALID_ARGUMENT, "PM_TRAIN_OPTIONS_INIT");
    o = good;
    o.algorithm = (pm_algorithm)7;
    refuse(&o, 1, PM_INVALID_ARGUMENT, "algorithm 7");
    o = good;
    o.n_vocab_sizes = 0;
    refuse(&o, 1, PM_INVALID_ARGUMENT, "no vocabulary size");
    o.n_vocab_sizes = 2;
    refuse(&o, 2, PM_INVALID_ARGUMENT, "BPE takes one");
    refuse(&good, 2, PM_INVALID_ARGUMENT, "room for 2");
    o = good;
    o.reserve = 45;
    refuse(&o, 1, PM_INVALID_ARGUMENT, "at least 301");
    o = good;
    const uint32_t too_many = (1u << 21) + 1;
    o.vocab_sizes = &too_many;
    refuse(&o, 1, PM_INVALID_ARGUMENT, "2097152 is the limit");
    o = good;
    o.special_tokens = specials;
    o.n_special_tokens = 2;
    refuse(&o, 1, PM_INVALID_ARGUMENT, "given twice");
    o.special_tokens = specials + 1;
    refuse(&o, 1, PM_INVALID_ARGUMENT, "empty");
    specials[0].id = 5;
    o.special_tokens = specials;
    o.n_special_tokens = 1;
    refuse(&o, 1, PM_INVALID_ARGUMENT, "from 299 to 299");
    o = good;
    o.layout = (pm_layout)2;
    refuse(&o, 1, PM_INVALID_ARGUMENT, "layout 2");
    o = good;
    o.ngram_order = 8;
    refuse(&o, 1, PM_INVALID_ARGUMENT, "ngram_order is 8");
    o = good;
    const char *bad = "(";
    o.patterns = &bad;
    refuse(&o, 1, PM_BAD_PATTERN, "");
    o = good;
    o.algorithm = PM_ALGORITHM_BYTEPIECE;
    o.patterns = &bad;
    refuse(&o, 1, PM_BAD_PATTERN, "");
    o.n_patterns = 0;
    o.max_words = 1;
    refuse(&o, 1, PM_INVALID_ARGUMENT, "max_words");
    o.max_words = 0;
    sizes[0] = 258;
    refuse(&o, 1, PM_INVALID_ARGUMENT, "at least 259");
}
END_TEST

/* split_scripts is the pattern "scripts" behind those given; alone where these split nothing. */
START_TEST(scripts_are_split_apart) {
    static const char text[] = "LINEで漢字を LINEで漢字を LINEで漢字を LINEで漢字を";
    static const char *const names[] = {"", "o200k_base", "gpt2", "scripts"};
    uint32_t size = 290;
    for (size_t i = 0; i < 6; i++) {
        pm_train_options o = options_for(&size);
        pm_tokenizer *tok;
        o.patterns = i < 4 ? &names[i] : &names[2];
        o.n_patterns = i < 4 ? 1 : i == 4 ? 0 : 2; /* none: the usual pattern; gpt2 and scripts, which is not put there twice */
        o.split_scripts = true;
        pm_corpus *corpus = corpus_of(&(pm_bytes){(const uint8_t *)text, sizeof text - 1}, 1);
        assert_ok(pm_train(&tok, 1, corpus, &o, &err));
        pm_corpus_free(corpus);
        size_t n = pm_tokenizer_n_patterns(tok);
        ck_assert_uint_eq(n, i % 3 ? 2 : 1);
        ck_assert_str_eq(pm_tokenizer_pattern(tok, n - 1), pm_pattern_regex("scripts", 0));
        ck_assert_str_eq(pm_tokenizer_pattern(tok, 0), pm_pattern_regex(i % 3 == 0 ? "scripts" : names[i == 4 ? 1 : i == 5 ? 2 : i], 0));
        ck_assert_uint_ne(pm_tokenizer_find(tok, (pm_bytes){(const uint8_t *)"漢字", 6}), PM_ID_NONE);
        ck_assert_uint_ne(pm_tokenizer_find(tok, (pm_bytes){(const uint8_t *)" LINE", 5}), PM_ID_NONE);
        ck_assert_uint_eq(pm_tokenizer_find(tok, (pm_bytes){(const uint8_t *)"で漢", 6}), PM_ID_NONE);
        pm_tokenizer_free(tok);
    }
}
END_TEST

START_TEST(an_empty_corpus_is_an_error) {
    uint32_t size = 300;
    pm_train_options o = options_for(&size);
    pm_tokenizer *tok;
    pm_bytes empty = {NULL, 0};
    for (size_t n = 0; n < 2; n++) {
        pm_corpus *corpus = corpus_of(&empty, n);
        assert_fails(pm_train(&tok, 1, corpus, &o, &err), PM_EMPTY_CORPUS, "no text");
        pm_corpus_free(corpus);
        pm_train_options b = o;
        b.algorithm = PM_ALGORITHM_BYTEPIECE;
        b.n_patterns = 0;
        corpus = corpus_of(&empty, n);
        assert_fails(pm_train(&tok, 1, corpus, &b, &err), PM_EMPTY_CORPUS, "no text");
        pm_corpus_free(corpus);
    }
}
END_TEST

typedef struct watcher {
    const char *phase; /* cancel in this one */
    unsigned calls;
} watcher;

static int watch(void *user, const pm_progress *p) {
    watcher *w = user;
    w->calls++;
    return w->phase && strcmp(p->phase, w->phase) == 0;
}

START_TEST(a_callback_sees_phases_and_can_cancel) {
    static const char *const phases[] = {NULL, "count words", "add up", "merge"};
    uint32_t size = 270;
    for (size_t i = 0; i < 4; i++) {
        pm_train_options o = options_for(&size);
        watcher w = {phases[i], 0};
        pm_tokenizer *tok;
        o.threads = 2;
        o.progress = watch;
        o.progress_user = &w;
        pm_corpus *corpus = corpus_of(hug, N_HUG);
        if (i) {
            assert_fails(pm_train(&tok, 1, corpus, &o, &err), PM_CANCELLED, phases[i]);
            ck_assert_ptr_null(tok);
        } else {
            assert_ok(pm_train(&tok, 1, corpus, &o, &err));
            ck_assert_uint_ge(w.calls, 3);
            pm_tokenizer_free(tok);
        }
        pm_corpus_free(corpus);
    }
}
END_TEST

typedef struct long_document {
    pm_bytes text;
    unsigned asked, calls;
} long_document;

static int give_once(void *user, pm_bytes *document) {
    long_document *d = user;
    *document = d->text;
    return d->asked++ == 0;
}

/* Begin of the phase, document read, inside of it; each call takes so long that the next tick is a call again. */
static int cancel_inside(void *user, const pm_progress *p) {
    long_document *d = user;
    (void)p;
    usleep(120 * 1000);
    return ++d->calls == 3;
}

/* A document was counted to its end before the callback was asked: seconds for a line of 1 GB. */
START_TEST(training_is_cancelled_inside_a_document) {
    enum { LEN = 4 << 20 };
    uint32_t size = 300;
    pm_tokenizer *tok;
    uint8_t *text = malloc(LEN);
    for (size_t i = 0; i < LEN; i++) {
        text[i] = i % 7 ? (uint8_t)('a' + i % 26) : ' ';
    }
    for (int i = 0; i < 2; i++) {
        pm_train_options o = options_for(&size);
        long_document d = {.text = {text, LEN}};
        pm_corpus *corpus;
        o.algorithm = i ? PM_ALGORITHM_BYTEPIECE : PM_ALGORITHM_BPE;
        o.n_patterns = i ? 0 : o.n_patterns;
        o.threads = 1;
        o.progress = cancel_inside;
        o.progress_user = &d;
        assert_ok(pm_corpus_new(&corpus, NULL, &err));
        assert_ok(pm_corpus_add_callback(corpus, give_once, &d, &err));
        assert_fails(pm_train(&tok, 1, corpus, &o, &err), PM_CANCELLED, "count");
        ck_assert_uint_eq(d.asked, 1); /* the second time comes behind the document */
        pm_corpus_free(corpus);
    }
    free(text);
}
END_TEST

START_TEST(a_memory_limit_too_small_to_work_in_says_so) {
    uint32_t size = 300, large = 1 << 20;
    pm_train_options o = options_for(&size);
    pm_tokenizer *tok;
    o.threads = 2;
    o.memory_limit = (32 << 20) - 1;
    pm_corpus *corpus = corpus_of(&(pm_bytes){(const uint8_t *)"some text", 9}, 1);
    assert_fails(pm_train(&tok, 1, corpus, &o, &err), PM_LIMIT, "with 2 threads it must be 33554432 at least");
    o.memory_limit++;
    o.vocab_sizes = &large;
    assert_fails(pm_train(&tok, 1, corpus, &o, &err), PM_LIMIT, "it must be 230162432 at least");
    o.vocab_sizes = &size;
    assert_ok(pm_train(&tok, 1, corpus, &o, &err));
    pm_tokenizer_free(tok);
    pm_corpus_free(corpus);
}
END_TEST

/* Counting, store, counts and fragments all reach their bounds here; not under sanitizers, whose own memory counts too. */
START_TEST(a_memory_limit_does_not_show) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    enum { LEN = 2 << 20, LIMIT = 512 << 20 };
#else
    enum { LEN = 8 << 20, LIMIT = 28 << 20 };
#endif
    uint32_t size = 2000;
    pm_train_options o = options_for(&size);
    pm_tokenizer *tok[2];
    uint64_t state = 3;
    uint8_t *text = malloc(LEN);
    for (size_t i = 0; i < LEN; i++) {
        uint64_t x = random_word(&state) % 64;
        text[i] = x % 9 == 0 ? (x ? ' ' : '\n') : (uint8_t)('a' + x * x / 160);
    }
    const char *path = temporary_file("many.txt", text, LEN);
    for (unsigned i = 0; i < 2; i++) {
        pm_corpus *corpus;
        assert_ok(pm_corpus_new(&corpus, NULL, &err));
        assert_ok(pm_corpus_add_file(corpus, path, &err));
        o.memory_limit = i ? LIMIT : 0;
        o.threads = 1 + !i;
        assert_ok(pm_train(&tok[i], 1, corpus, &o, &err));
        pm_corpus_free(corpus);
    }
    free(text);
    ck_assert_uint_eq(pm_tokenizer_n_merges(tok[0]), pm_tokenizer_n_merges(tok[1]));
    for (uint32_t i = 0; i < pm_tokenizer_n_merges(tok[0]); i++) {
        pm_id a[3], b[3];
        pm_tokenizer_merge(tok[0], i, &a[0], &a[1], &a[2]);
        pm_tokenizer_merge(tok[1], i, &b[0], &b[1], &b[2]);
        ck_assert(a[0] == b[0] && a[1] == b[1] && a[2] == b[2]);
    }
    pm_tokenizer_free(tok[0]);
    pm_tokenizer_free(tok[1]);
}
END_TEST

/* A line of a file is no longer than the limit allows in memory either: 64 MB of zero bytes took 64 MB under a limit of 4. */
START_TEST(a_line_longer_than_the_memory_limit_is_not_read) {
    enum { LEN = 64 << 20 };
    static const char *const names[] = {"long.txt", "long.jsonl"};
    uint32_t size = 300;
    pm_train_options o = options_for(&size);
    pm_tokenizer *tok;
    char *text = calloc(LEN, 1);
    memcpy(text, "\n\n", 2);
    o.memory_limit = 32 << 20;
    for (size_t i = 0; i < 2; i++) {
        pm_corpus *corpus;
        uint64_t done, total;
        assert_ok(pm_corpus_new(&corpus, NULL, &err));
        assert_ok(pm_corpus_add_file(corpus, temporary_file(names[i], text, LEN), &err));
        assert_fails(pm_train(&tok, 1, corpus, &o, &err), PM_LIMIT, "bytes at byte 2");
        ck_assert(strstr(err.file, names[i]) != NULL);
        pm_corpus_position(corpus, &done, &total);
        ck_assert_msg(done < 8 << 20, "%llu bytes were read", (unsigned long long)done);
        pm_corpus_free(corpus);
    }
    free(text);
}
END_TEST

/* Trains from a file with this text, encodes all of it and decodes the ids: nothing may be lost. */
static void goes_round(pm_algorithm algorithm, uint8_t *text, size_t len, uint64_t documents) {
    uint32_t size = 500;
    pm_train_options o = options_for(&size);
    pm_encode_options exact = PM_ENCODE_OPTIONS_INIT;
    pm_train_summary summary;
    pm_corpus *corpus;
    pm_tokenizer *tok;
    pm_batch batch;
    size_t n;
    o.algorithm = algorithm;
    o.n_patterns = algorithm == PM_ALGORITHM_BPE;
    o.threads = 2;
    o.min_count = 1;
    o.summary = &summary;
    exact.no_normalize = true;
    exact.threads = 2;
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    assert_ok(pm_corpus_add_file(corpus, temporary_file("round.txt", text, len), &err));
    assert_ok(pm_train(&tok, 1, corpus, &o, &err));
    pm_corpus_free(corpus);
    ck_assert_uint_eq(summary.documents, documents);
    ck_assert_uint_eq(summary.bytes, len);
    assert_ok(pm_encode_batch(tok, &(pm_bytes){text, len}, 1, &exact, &batch, &err));
    uint8_t *back = malloc(len);
    assert_ok(pm_decode(tok, batch.ids, (size_t)batch.offsets[1], back, len, &n, &err));
    ck_assert(n == len && memcmp(back, text, len) == 0);
    free(back);
    pm_batch_release(&batch);
    pm_tokenizer_free(tok);
}

START_TEST(zero_bytes_and_carriage_returns_are_text) {
    static const char line[] = "one\r\n\0two\0\r\n\r\nthree\rfour\r\n";
    enum { LINE = sizeof line - 1, LINES = 40 };
    static uint8_t text[LINE * LINES];
    for (size_t i = 0; i < LINES; i++) {
        memcpy(text + i * LINE, line, LINE);
    }
    goes_round(PM_ALGORITHM_BPE, text, sizeof text, 4 * LINES);
    goes_round(PM_ALGORITHM_BYTEPIECE, text, sizeof text, 4 * LINES);
}
END_TEST

/* One line between two short ones: 64 MB, 1 GB with PM_LONG=1, less under sanitizers. */
START_TEST(a_very_long_line_goes_round) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    size_t len = 4 << 20;
#else
    size_t len = getenv("PM_LONG") ? 1 << 30 : 64 << 20;
#endif
    uint8_t *text = malloc(len);
    uint64_t state = 5;
    for (size_t i = 0; i < len; i++) { /* words of a few letters, again and again */
        text[i] = i < 60000 ? (uint8_t)" abcde"[random_word(&state) % 6] : text[i - 60000];
    }
    memcpy(text, "first\n", 6);
    memcpy(text + len - 6, "\nlast\n", 6);
    goes_round(PM_ALGORITHM_BPE, text, len, 3);
    goes_round(PM_ALGORITHM_BYTEPIECE, text, len, 3);
    free(text);
}
END_TEST

/* Runs until the n-th allocation does not fail any more: every failure must be reported and leave nothing behind. */
static unsigned allocations_left;

static bool allow_some(void) { return allocations_left > 0 && allocations_left-- > 0; }

/* Memory that ends while words are cut, shed, brought back. */
START_TEST(every_allocation_of_the_phases_may_fail) {
    pm_status status = PM_NO_MEMORY;
    unsigned n = 0;
    for (; status != PM_OK; n++) {
        pm_records records = random_text(11, 1500);
        pm_store *store = store_of(&records, 0);
        pm_bpe_vocab vocab;
        pm_ticker ticker;
        pm_ticker_init(&ticker, NULL, NULL, 0);
        assert_ok(pm_bpe_vocab_init(&vocab, NULL, &err));
        allocations_left = n;
        pm_alloc_test_hook = allow_some;
        status = pm_bpe_learn(&vocab, store, 400, 2, 1, &plans[N_PLANS - 1], &no_bound, &ticker, &err);
        pm_alloc_test_hook = NULL;
        ck_assert_msg(status == PM_OK || status == PM_NO_MEMORY, "%s", err.message);
        pm_bpe_vocab_release(&vocab);
    }
    ck_assert_uint_gt(n, 40);
}
END_TEST

START_TEST(every_allocation_may_fail) {
    uint32_t size = 270;
    pm_special_token special = {{(const uint8_t *)"<s>", 3}, PM_ID_NONE};
    pm_status status = PM_NO_MEMORY;
    unsigned n = 0;
    for (; status != PM_OK; n++) {
        pm_train_options o = options_for(&size);
        pm_tokenizer *tok;
        o.special_tokens = &special;
        o.n_special_tokens = 1;
        o.split_scripts = true;
        pm_corpus *corpus = corpus_of(hug, N_HUG);
        allocations_left = n;
        pm_alloc_test_hook = allow_some;
        status = pm_train(&tok, 1, corpus, &o, &err);
        pm_alloc_test_hook = NULL;
        ck_assert(status == PM_OK || (status == PM_NO_MEMORY && tok == NULL));
        pm_tokenizer_free(tok);
        pm_corpus_free(corpus);
    }
    ck_assert_uint_gt(n, 40);
}
END_TEST

Suite *suite_train_bpe(void) {
    Suite *suite = suite_create("train_bpe");
    TCase *merges = tcase_create("merges"), *call = tcase_create("call"), *round = tcase_create("round");
    tcase_set_timeout(merges, 120);
    tcase_set_timeout(call, 60);
    tcase_set_timeout(round, getenv("PM_LONG") ? 1000 : 120);
    tcase_add_test(merges, merges_equal_the_twin_on_small_corpora);
    tcase_add_test(merges, merges_equal_the_twin_until_nothing_is_left);
    tcase_add_test(merges, counts_above_32_bits);
    tcase_add_test(merges, a_pair_that_spells_a_special_token_is_never_merged);
    tcase_add_test(merges, wide_cells_give_the_same_merges);
    tcase_add_test(merges, tables_of_fragments_are_added_up);
    tcase_add_test(merges, a_chunk_that_is_full_to_its_end);
    tcase_add_test(merges, whole_words_come_back_wider);
    tcase_add_test(merges, bounds_of_memory_do_not_show);
    tcase_add_test(merges, ties_that_take_too_much_go_by_symbol);
    tcase_add_test(merges, fragments_that_cannot_be_held_are_an_error);
    tcase_add_test(merges, pairs_that_are_alike_take_few_passes);
    tcase_add_loop_test(merges, a_disk_that_fails_in_the_phases_is_an_error, 0, 2);
    tcase_add_test(merges, plans_and_threads_do_not_show);
    tcase_add_test(call, training_from_documents_equals_the_twin);
    tcase_add_test(call, a_small_corpus_gives_a_small_model_and_says_so);
    tcase_add_test(call, a_trained_tokenizer_meets_its_first_encoders);
    tcase_add_test(call, layouts_move_ids_and_leave_merges);
    tcase_add_test(call, bad_options_are_refused_with_a_sentence);
    tcase_add_test(call, scripts_are_split_apart);
    tcase_add_test(call, an_empty_corpus_is_an_error);
    tcase_add_test(call, a_callback_sees_phases_and_can_cancel);
    tcase_add_test(call, training_is_cancelled_inside_a_document);
    tcase_add_test(call, a_memory_limit_too_small_to_work_in_says_so);
    tcase_add_test(call, a_memory_limit_does_not_show);
    tcase_add_test(call, a_line_longer_than_the_memory_limit_is_not_read);
    tcase_add_test(call, every_allocation_may_fail);
    tcase_add_test(merges, every_allocation_of_the_phases_may_fail);
    suite_add_tcase(suite, merges);
    tcase_add_test(round, zero_bytes_and_carriage_returns_are_text);
    tcase_add_test(round, a_very_long_line_goes_round);
    suite_add_tcase(suite, call);
    suite_add_tcase(suite, round);
    return suite;
}
