/* bpe_vocab.h - the vocabulary that BPE training grows.
 *
 * Symbols are numbered as ranks: 0 to 255 are the bytes in the order of pm_byte_order, then the merges in their order. */
#ifndef PM_TRAIN_BPE_VOCAB_H
#define PM_TRAIN_BPE_VOCAB_H

#include "base/alloc.h"

typedef struct pm_bpe_merge {
    uint32_t left, right;
    uint64_t count;
} pm_bpe_merge;

typedef struct pm_bpe_vocab {
    pm_bpe_merge *merges; /* merge k makes symbol 256 + k */
    size_t n_merges, cap_merges;
    pm_bytes *texts; /* of every symbol */
    size_t cap_texts;
    pm_arena arena;
    const pm_special_token *specials; /* a pair that joins into one of these texts is never merged */
    size_t n_specials;
} pm_bpe_vocab;

pm_status pm_bpe_vocab_init(pm_bpe_vocab *vocab, const pm_special_token *specials, size_t n_specials, pm_error *err);
pm_status pm_bpe_vocab_add(pm_bpe_vocab *vocab, uint32_t left, uint32_t right, uint64_t count, pm_error *err);
bool pm_bpe_vocab_forbids(const pm_bpe_vocab *vocab, uint32_t left, uint32_t right);
static inline size_t pm_bpe_vocab_size(const pm_bpe_vocab *vocab) { return 256 + vocab->n_merges; }
void pm_bpe_vocab_release(pm_bpe_vocab *vocab);

#endif
