/* alphabet.c - the characters that BPE over characters begins with: the most frequent ones, until they cover enough of the text.
 *
 * This is sentencepiece's rule (TrainerInterface::LoadSentences in trainer_interface.cc). Characters are taken by their number, of equal ones the lower
 * code point first, as long as those taken before are less than `coverage` of all, both as 32-bit floats:
 *
 *     to be or not to be    blank 5  o 4  t 3  b 2  e 2  n 1  r 1    coverage 0.9: behind "e" there are 16 of 18 = 0.889, so n is taken, then 17 of 18 = 0.944: r is not
 *
 * U+2581 is counted as a blank, which it stands for. NUL and bytes outside well-formed UTF-8 are never characters, nor is the line feed, which
 * sentencepiece never sees. What is left out becomes byte tokens when it is encoded, and no piece
 * holds it. A blank is always taken, as the last if need be: the token of a blank that is no piece would have to be that of U+2581 in sentencepiece's
 * files, and nobody could tell them apart.
 *
 * Each thread counts for itself, in tables of 256 code points that are made when one of them is met. */
#include "train/alphabet.h"

#include "text/characters.h"
#include "text/utf8.h"

enum { BLOCKS = 0x110000 >> 8 };

typedef struct counter {
    uint64_t *blocks[BLOCKS];
    pm_chunk *buffer;
} counter;

typedef struct counting {
    pm_store *store;
    counter *counters; /* of each thread */
} counting;

typedef struct counted {
    uint32_t character;
    uint64_t count;
} counted;

/* ---------------------------------------------------------------- counting ---- */

static pm_status make_block(counter *k, uint32_t character, pm_error *err) {
    k->blocks[character >> 8] = pm_calloc(256, sizeof **k->blocks);
    return k->blocks[character >> 8] ? PM_OK : pm_fail_memory(err);
}

static inline pm_status add(counter *k, uint32_t character, uint64_t count, pm_error *err) {
    if (__builtin_expect(!k->blocks[character >> 8], 0)) {
        PM_TRY(make_block(k, character, err));
    }
    k->blocks[character >> 8][character & 0xFF] += count;
    return PM_OK;
}

static pm_status count_word(counter *k, const pm_record *record, pm_error *err) {
    const uint8_t *at = pm_record_cells(record), *end = at + record->n;
    while (at < end) {
        unsigned n;
        uint32_t c = pm_utf8_read(at, end, &n);
        at += n;
        if (c && c != '\n' && (c != PM_BAD_BYTE || n > 1)) {
            PM_TRY(add(k, c == PM_BLANK ? PM_BLANK_MARK : c, record->weight, err));
        }
    }
    return PM_OK;
}

static pm_status count_chunk(void *ctx, unsigned thread, size_t number, pm_error *err) {
    counting *c = ctx;
    const pm_chunk *chunk;
    PM_TRY(pm_store_get(c->store, number, &c->counters[thread].buffer, &chunk, err));
    for (size_t at = sizeof *chunk; at < chunk->used;) {
        const pm_record *record = pm_record_at(chunk, at);
        at += pm_record_bytes(record->n, 1);
        PM_TRY(count_word(&c->counters[thread], record, err));
    }
    return PM_OK;
}

/* Adds what other threads counted to the first one's. */
static pm_status join(counter *to, const counter *from, pm_error *err) {
    for (uint32_t block = 0; block < BLOCKS; block++) {
        for (uint32_t i = 0; from->blocks[block] && i < 256; i++) {
            if (from->blocks[block][i]) {
                PM_TRY(add(to, block << 8 | i, from->blocks[block][i], err));
            }
        }
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- choosing ---- */

static int by_count(const void *a, const void *b) {
    const counted *x = a, *y = b;
    if (x->count != y->count) {
        return x->count > y->count ? -1 : 1;
    }
    return x->character < y->character ? -1 : x->character > y->character;
}

/* All characters, the most frequent first. */
static pm_status list(const counter *k, counted **out, size_t *n, uint64_t *all, pm_error *err) {
    size_t cap = 0;
    *out = NULL;
    *all = *n = 0;
    for (uint32_t c = 0; c < (uint32_t)BLOCKS << 8; c++) {
        const uint64_t *block = k->blocks[c >> 8];
        if (!block || !block[c & 0xFF]) {
            continue;
        }
        pm_status status = pm_grow((void **)out, &cap, *n + 1, sizeof **out, err);
        if (status != PM_OK) {
            pm_free(*out);
            return status;
        }
        (*out)[(*n)++] = (counted){c, block[c & 0xFF]};
        *all += block[c & 0xFF];
    }
    if (*n) {
        qsort(*out, *n, sizeof **out, by_count);
    }
    return PM_OK;
}

static pm_status choose(pm_bpe_vocab *vocab, const counter *k, double coverage, pm_error *err) {
    counted *characters;
    size_t n;
    uint64_t all, taken = 0;
    PM_TRY(list(k, &characters, &n, &all, err));
    pm_status status = PM_OK;
    uint64_t blanks = k->blocks[PM_BLANK_MARK >> 8] ? k->blocks[PM_BLANK_MARK >> 8][PM_BLANK_MARK & 0xFF] : 0;
    bool has_blank = false;
    for (size_t i = 0; i < n && status == PM_OK && (float)((double)taken / (double)all) < (float)coverage; i++) {
        const counted *c = &characters[i];
        bool blank = c->character == PM_BLANK_MARK;
        taken += c->count;
        has_blank |= blank;
        status = pm_bpe_vocab_add_character(vocab, blank ? PM_BLANK : c->character, c->count, err);
    }
    pm_free(characters);
    return status != PM_OK || has_blank ? status : pm_bpe_vocab_add_character(vocab, PM_BLANK, blanks, err);
}

/* ---------------------------------------------------------------- the call ---- */

static pm_status count_and_choose(pm_bpe_vocab *vocab, counting *c, double coverage, unsigned threads, pm_ticker *ticker, pm_error *err) {
    PM_TRY(pm_parallel_part(threads, pm_store_size(c->store), count_chunk, c, ticker, err));
    for (unsigned i = 1; i < threads; i++) {
        PM_TRY(join(&c->counters[0], &c->counters[i], err));
    }
    return choose(vocab, &c->counters[0], coverage, err);
}

pm_status pm_bpe_alphabet(pm_bpe_vocab *vocab, pm_store *store, double coverage, unsigned threads, pm_ticker *ticker, pm_error *err) {
    counting c = {store, pm_calloc(threads, sizeof *c.counters)};
    if (!c.counters) {
        return pm_fail_memory(err);
    }
    pm_status status = count_and_choose(vocab, &c, coverage, threads, ticker, err);
    for (unsigned i = 0; i < threads; i++) {
        for (size_t block = 0; block < BLOCKS; block++) {
            pm_free(c.counters[i].blocks[block]);
        }
        pm_chunk_free(c.counters[i].buffer);
    }
    pm_free(c.counters);
    return status;
}
