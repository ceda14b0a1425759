/* bpe_begin.h - the vocabulary that BPE training begins with. See bpe_begin.c. */
#ifndef PM_TRAIN_BPE_BEGIN_H
#define PM_TRAIN_BPE_BEGIN_H

#include "train/bpe_vocab.h"
#include "train/train.h"

/* Rules of the job's options, merges of the tokenizer that is extended, merges for the required pieces: at most `wanted`. Errors:
 * PM_INVALID_ARGUMENT with what does not go together, PM_CANCELLED, PM_NO_MEMORY. Nothing is to be released on failure. */
pm_status pm_bpe_begin(pm_bpe_vocab *vocab, size_t wanted, pm_train_job *job, pm_error *err);

#endif
