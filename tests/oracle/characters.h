/* characters.h - the slow, obviously right twin of BPE over characters: training by sentencepiece's rule, and encoding by it. Texts stand for symbols. */
#ifndef PM_ORACLE_CHARACTERS_H
#define PM_ORACLE_CHARACTERS_H

#include "bpe_train.h"

enum { SLOW_TEXT = 64 };

/* A piece in code points, a blank being U+2581. */
typedef struct slow_piece {
    uint32_t text[SLOW_TEXT];
    size_t n;
    uint64_t count;
} slow_piece;

/* The alphabet of the words by a share of all characters. Writes at most `most`; returns how many there are. */
size_t slow_alphabet(const slow_word *words, size_t n, double coverage, slow_piece *alphabet, size_t most);

/* Writes at most `wanted` pieces in the order in which they are made; returns how many there are. Words are at most SLOW_TEXT bytes. */
size_t slow_characters_train(const slow_word *words, size_t n, const slow_piece *alphabet, size_t n_alphabet, size_t wanted, uint64_t min_count,
                             size_t max_length, slow_piece *pieces);

/* A text's ids by the rule of sentencepiece's encoder: of all neighbours that make a piece, the one made first, the leftmost of these. `first`: whether a blank is
 * put before it. Room for len + 1 ids. Nothing is split. */
size_t slow_characters_encode(const pm_tokenizer *tok, bool first, const uint8_t *text, size_t len, pm_id *ids);

#endif
