/* piece_counts.h - count files of BytePiece: of n-grams, and of the pieces that a model of n-grams cuts a text into. */
#ifndef PM_TRAIN_PIECE_COUNTS_H
#define PM_TRAIN_PIECE_COUNTS_H

#include "train/train.h"

/* The settings of a count file of the job's n-grams, or of its pieces under the model of n-grams that job->ngrams names; ended by a NUL. The splitter and
 * job->corpus_settings must be there. */
pm_status pm_train_ngram_settings(pm_buf *out, const pm_train_job *job, pm_error *err);
pm_status pm_train_piece_settings(pm_buf *out, const pm_train_job *job, pm_error *err);

/* Training from piece counts (job->o.counts): takes from their settings what the options leave open (defaults), makes the splitter and the settings of the
 * corpus, and refuses what does not fit. PM_INVALID_ARGUMENT names the setting; errors of pm_count_reader_open. */
pm_status pm_train_open_pieces(pm_train_job *job, pm_error *err);

/* Counting pieces under the model of an n-gram count file: takes order, digits and pattern from it, likewise. The job's corpus must become
 * documents as that of the file did (job->corpus_settings). Sets job->ngrams. */
pm_status pm_train_open_ngrams(pm_train_job *job, const char *path, pm_error *err);

/* The file that says what counting was done by, of these checksums. */
void pm_train_name_ngrams(pm_train_job *job, const uint64_t *sums, size_t n);

#endif
