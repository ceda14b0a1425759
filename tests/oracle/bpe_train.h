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

#endif
