/* checkpoint.h - a folder where BPE training leaves what it needs to go on after it was stopped at any moment. See checkpoint.c. */
#ifndef PM_TRAIN_CHECKPOINT_H
#define PM_TRAIN_CHECKPOINT_H

#include "count/store.h"
#include "train/bpe_vocab.h"
#include "train/train.h"

typedef struct pm_checkpoint pm_checkpoint;

/* For tests only: the least text of a round. */
extern uint64_t pm_checkpoint_round_bytes;

/* Opens job->o.checkpoint, or begins it; the folder is this run's alone until pm_checkpoint_close. The job's splitter and corpus_settings must be
 * there. Errors: PM_INVALID_ARGUMENT (begun with other settings: names the first), PM_BAD_FORMAT, PM_BAD_VERSION, PM_NOT_FOUND (a file is damaged or
 * gone), PM_IO (also: another run has it), PM_NO_MEMORY. */
pm_status pm_checkpoint_open(pm_checkpoint **out, const pm_train_job *job, pm_error *err);
void pm_checkpoint_close(pm_checkpoint *c);

/* The words to train from, as pm_train_words gives them, and the summary: counts what was not counted yet. PM_BAD_INPUT: the corpus is not
 * the one that was counted. */
pm_status pm_checkpoint_words(pm_store **out, pm_checkpoint *c, pm_corpus *corpus, pm_train_job *job, pm_error *err);

/* Adds the merges that were kept behind those that the vocabulary begins with, up to `wanted` in all. Behind the words: when they are complete. */
pm_status pm_checkpoint_load_merges(const pm_checkpoint *c, pm_bpe_vocab *vocab, size_t wanted, pm_error *err);
pm_status pm_checkpoint_keep_merges(const pm_checkpoint *c, const pm_bpe_vocab *vocab, pm_error *err);

#endif
