/* words.h - the words that BPE is trained from: counted in a corpus, or read from count files. */
#ifndef PM_TRAIN_WORDS_H
#define PM_TRAIN_WORDS_H

#include "count/countmerge.h"
#include "count/words.h"
#include "train/train.h"

/* Count files (job->o.counts) instead of a corpus: reads their settings and totals, makes the splitter and the settings of the corpus from them, and
 * refuses what does not fit the options. PM_INVALID_ARGUMENT names the setting; errors of pm_count_reader_open. */
pm_status pm_train_open_counts(pm_train_job *job, pm_error *err);

/* The settings of a count file for what the job counts, ended by a NUL. The splitter and job->corpus_settings must be there. */
pm_status pm_train_count_settings(pm_buf *out, const pm_train_job *job, pm_error *err);

/* Counts the corpus's words into a new store and the summary; with job->count_documents, records have the number of documents. */
pm_status pm_train_count(pm_store **out, pm_corpus *corpus, pm_train_job *job, pm_error *err);

/* The words to train from, in a new store, from the corpus or the count files, without those in fewer than min_documents documents. */
pm_status pm_train_words(pm_store **out, pm_corpus *corpus, pm_train_job *job, pm_error *err);

/* What the job counts. */
pm_count_options pm_train_count_options(const pm_train_job *job);
/* How much memory sorting and merging may take, beside the store. */
pm_count_work pm_train_count_work(pm_train_job *job);

/* ---- parts of settings ---- */

/* The pattern, if there is a splitter, and the versions of Unicode's tables. */
pm_status pm_train_add_pattern(pm_buf *out, const pm_splitter *splitter, pm_error *err);
/* Makes the job's splitter from the lines of a pattern. */
pm_status pm_train_splitter_of(pm_train_job *job, const char *settings, pm_error *err);
/* max_count_per_document is the file's unless the options have one. */
pm_status pm_train_take_max_count(pm_train_job *job, const char *settings, pm_error *err);
/* Where the settings of the corpus begin in those of a count file. */
const char *pm_train_corpus_settings(const char *settings);

#endif
