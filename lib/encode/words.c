/* words.c - see words.h. */
#include "encode/words.h"

#define FIRST(n) (UINT64_MAX >> (64 - 8 * (n))) /* 0 < n <= 8 bytes */
const pm_word_key pm_word_masks[PM_WORD_MAX + 1] = {
    {0, 0},
    {FIRST(1), 0},
    {FIRST(2), 0},
    {FIRST(3), 0},
    {FIRST(4), 0},
    {FIRST(5), 0},
    {FIRST(6), 0},
    {FIRST(7), 0},
    {FIRST(8), 0},
    {FIRST(8), FIRST(1)},
    {FIRST(8), FIRST(2)},
    {FIRST(8), FIRST(3)},
    {FIRST(8), FIRST(4)},
    {FIRST(8), FIRST(5)},
    {FIRST(8), FIRST(6)},
    {FIRST(8), FIRST(7)},
};

void pm_words_shape(pm_words *words, size_t n) {
    unsigned bits = 1;
    while (bits < 40 && (size_t)2 << bits < n + n / 4) { /* 1.6 words a bucket at most */
        bits++;
    }
    *words = (pm_words){.mask = ((size_t)1 << bits) - 1, .shift = 64 - bits};
}

pm_status pm_words_init(pm_words *words, size_t n, pm_error *err) {
    pm_words_shape(words, n);
    words->buckets = pm_pages_alloc((words->mask + 1) * sizeof *words->buckets);
    return words->buckets ? PM_OK : pm_fail_memory(err);
}

void pm_words_release(pm_words *words) {
    pm_pages_free(words->buckets, (words->mask + 1) * sizeof *words->buckets);
    *words = (pm_words){0};
}

void pm_words_add(pm_words *words, pm_word_key key, pm_id id) {
    for (size_t at = pm_words_bucket(words, key);; at = (at + 1) & words->mask) {
        pm_word_bucket *b = &words->buckets[at];
        for (int i = 0; i < PM_WORDS_IN_BUCKET; i++) {
            if (b->keys[i].high == 0) {
                b->keys[i] = key;
                b->ids[i] = id;
                return;
            }
        }
        b->more = 1;
    }
}
