/* test_bpe_vocab.c - the vocabulary that BPE training grows: what it forbids, beginning with merges, bringing words to them. */
#include <string.h>

#include "../oracle/bpe_train.h"
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
    assert_ok(pm_bpe_vocab_init(vocab, NULL, 0, &err));
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
    for (uint64_t seed = 1; seed <= 150; seed++) {
        uint64_t state = seed;
        make_words(&m, &state, "abcd", 1 + seed % 4);
        make_words(&other, &state, "abcd", 4);
        size_t n = slow_bpe_train(m.words, m.n, seed % 5 ? 1 + random_word(&state) % 40 : MAX_MERGES * (seed % 2), 0, NULL, 0, merges);
        compare_replay(&m, merges, n, seed % 3 ? 2 : 4);
        compare_replay(&other, merges, n, 2);
    }
}
END_TEST

Suite *suite_bpe_vocab(void) {
    Suite *suite = suite_create("bpe_vocab");
    TCase *replay = tcase_create("replay");
    tcase_set_timeout(replay, 120);
    tcase_add_test(replay, replaying_is_making_the_merges_in_turn);
    suite_add_tcase(suite, replay);
    return suite;
}
