/* bpe_encode.h - byte-pair encoding as its definition reads, and small vocabularies to try it on. */
#ifndef PM_ORACLE_BPE_ENCODE_H
#define PM_ORACLE_BPE_ENCODE_H

#include "encode/engine.h"

/* "Repeat: join the leftmost pair of lowest rank." Quadratic and worse. `ids` has room for len ids; returns how many there are. `whole_first`: a word
 * that is a piece is that piece. */
size_t oracle_bpe_encode(const pm_model *model, bool whole_first, const uint8_t *word, size_t len, pm_id *ids);

/* tiktoken's rule, by bytes: join the neighbours whose bytes together are the piece of lowest id. Ignores the merges. */
size_t oracle_rank_encode(const pm_model *model, const uint8_t *word, size_t len, pm_id *ids);

/* A BPE model of the 256 bytes and up to n merges of random pieces over the bytes `alphabet`; ids and ranks agree unless `shuffled`, which puts
 * the merges in random order (a merge may then come before those that make its parts). false: out of memory. */
bool oracle_random_model(pm_model *model, uint64_t seed, size_t n, const char *alphabet, bool shuffled);

/* A BPE model of the 256 bytes and up to n merges of neighbours in text[0..len), len <= 1000, taken at random places: pieces that hold the text's characters,
 * parts of them, and straddle them. `shuffled` as above. false: out of memory. */
bool oracle_model_of_text(pm_model *model, uint64_t seed, size_t n, const uint8_t *text, size_t len, bool shuffled);

#endif
