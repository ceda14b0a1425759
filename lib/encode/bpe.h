/* bpe.h - byte-pair encoding of one pre-token. Used by encode.c; format/tiktoken.c uses it to find each entry's merge. */
#ifndef PM_ENCODE_BPE_H
#define PM_ENCODE_BPE_H

#include "model/model.h"

typedef struct pm_bpe pm_bpe;                 /* the tables; immutable */
typedef struct pm_bpe_scratch pm_bpe_scratch; /* one thread's */

pm_status pm_bpe_new(pm_bpe **out, const pm_tokenizer *tok, pm_error *err);
void pm_bpe_free(pm_bpe *bpe);
pm_status pm_bpe_scratch_new(pm_bpe_scratch **out, pm_error *err);
void pm_bpe_scratch_free(pm_bpe_scratch *scratch);

/* The ids of one pre-token of len > 0 bytes, at most len of them, into ids. O(len log len). Error: PM_NO_MEMORY. */
pm_status pm_bpe_encode(const pm_bpe *bpe, pm_bpe_scratch *scratch, const uint8_t *word, size_t len, pm_id *ids, size_t *n_ids, pm_error *err);

#endif
