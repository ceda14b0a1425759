/* bpe_train.h - the slow, obviously right twin of the BPE trainer: counts every pair of every word again for each merge. */
#ifndef PM_ORACLE_BPE_TRAIN_H
#define PM_ORACLE_BPE_TRAIN_H

#include "include/piecemill.h"

typedef struct slow_word {
    pm_bytes text;
    uint64_t weight;
} slow_word;

typedef struct slow_merge {
    uint32_t left, right; /* ranks: bytes 33-126, 161-172, 174-255, then the others, then merges */
    uint64_t count;
} slow_merge;

/* Writes at most `wanted` merges; returns how many there are. Aborts when memory is out: it is for tests. */
size_t slow_bpe_train(const slow_word *words, size_t n, size_t wanted, uint64_t min_count, const pm_special_token *specials,
                      size_t n_specials, slow_merge *merges);

/* What may not become a piece; 0 and false: no such rule. */
typedef struct slow_rules {
    const pm_special_token *specials;
    size_t n_specials;
    const pm_bytes *excluded;
    size_t n_excluded;
    size_t max_length; /* in bytes */
    size_t max_words;  /* stretches without white space (that of ASCII) */
    bool utf8;         /* a piece is whole characters or a part of one */
} slow_rules;

/* As slow_bpe_train, but the merges [0, n_first) are there already: they are made in turn in all words before. */
size_t slow_bpe_go_on(const slow_word *words, size_t n, size_t wanted, uint64_t min_count, const slow_rules *rules, slow_merge *merges,
                      size_t n_first);

/* A word's symbols when these merges have been made in turn, from the left; room for text.len. Returns how many there are. */
size_t slow_bpe_replay(pm_bytes text, const slow_merge *merges, size_t n_merges, uint32_t *symbols);

/* May this become a piece? */
bool slow_bpe_allows(const slow_rules *rules, const uint8_t *text, size_t len);

#endif
