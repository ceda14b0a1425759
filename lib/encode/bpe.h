/* bpe.h - byte-pair encoding of pre-tokens. */
#ifndef PM_ENCODE_BPE_H
#define PM_ENCODE_BPE_H

#include "model/model.h"

typedef struct pm_bpe pm_bpe;                 /* the tables; immutable, borrows the tokenizer's vocabulary */
typedef struct pm_bpe_scratch pm_bpe_scratch; /* one thread's */

pm_status pm_bpe_new(pm_bpe **out, const pm_tokenizer *tok, pm_error *err);
void pm_bpe_free(pm_bpe *bpe);
pm_status pm_bpe_scratch_new(pm_bpe_scratch **out, pm_error *err);
void pm_bpe_scratch_free(pm_bpe_scratch *scratch);
void pm_bpe_scratch_trim(pm_bpe_scratch *scratch); /* gives back what long pre-tokens needed; keeps what was learnt */

/* More ids than there are may be written: so many behind the most there can be. */
enum { PM_BPE_SLACK = 4 };

/* The ids of the n pre-tokens text[start..ends[0]), text[ends[0]..ends[1]), ..., one after another, into ids, which
 * has room for ends[n - 1] - start + PM_BPE_SLACK of them; NULL: they are counted. At most as many ids as bytes. O(len
 * log len). All of text[0..len) may be read. Errors: PM_NO_MEMORY, PM_LIMIT (a pre-token of 4 GiB or more). */
pm_status pm_bpe_encode_words(const pm_bpe *bpe, pm_bpe_scratch *scratch, const uint8_t *text, size_t len, size_t start,
                              const size_t *ends, size_t n, pm_id *ids, size_t *n_ids, pm_error *err);

/* For tests: whether a piece encodes to itself by merges alone. */
bool pm_bpe_reachable(const pm_bpe *bpe, pm_id id);

#endif
