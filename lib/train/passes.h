/* passes.h - BytePiece's two passes over a text: its n-grams are counted, then a model of them cuts it into pieces, which are counted.
 *
 *     pm_passes_init(&p, corpus, job)           for text, or for a second pass alone
 *     pm_passes_read(&p, stop, true, true)      counts n-grams and keeps the chunks
 *     pm_passes_model(&p)                       from what was counted; or pm_passes_model_from files
 *     pm_passes_pieces(&p, from, to, &store)    of what was kept
 *
 * Each step may be done alone: on many machines, or in rounds (count files, checkpoint.h). */
#ifndef PM_TRAIN_PASSES_H
#define PM_TRAIN_PASSES_H

#include "count/ngram_model.h"
#include "count/words.h"
#include "train/chunks.h"

typedef struct pm_passes {
    pm_train_job *job;
    pm_chunker chunker;
    uint64_t first_section; /* chunks of sections before it are not kept */
    pm_ngram_counter *counter;
    pm_spool *spool;
    pm_ngram_model *model;
    pm_word_counts pieces; /* found last */
} pm_passes;

/* Released after a failure too. */
pm_status pm_passes_init(pm_passes *p, pm_corpus *corpus, pm_train_job *job, pm_error *err);
void pm_passes_release(pm_passes *p);

/* Reads on until `stop` bytes of text were read in all, or to the end: counts n-grams, keeps chunks for the second pass, both or nothing. */
pm_status pm_passes_read(pm_passes *p, uint64_t stop, bool count, bool keep, pm_error *err);
/* Fills in the summary; PM_EMPTY_CORPUS. */
pm_status pm_passes_ended(pm_passes *p, pm_error *err);

/* Writes the n-grams counted so far, which are forgotten, to a count file. Of the totals, documents, bytes and lines_split are the caller's. */
pm_status pm_passes_write_ngrams(pm_passes *p, const char *path, const char *settings, pm_count_totals *totals, pm_error *err);

/* Makes the model of the n-grams counted so far, which are forgotten; or of those in count files. */
pm_status pm_passes_model(pm_passes *p, pm_error *err);
pm_status pm_passes_model_from(pm_passes *p, const char *const *paths, size_t n, pm_error *err);

/* Counts the pieces of the chunks kept of sections from .. to - 1 into a store; p->pieces says what became of them. With to == UINT64_MAX the model and
 * the chunks are gone afterwards. */
pm_status pm_passes_pieces(pm_passes *p, uint64_t from, uint64_t to, pm_store *store, pm_error *err);

#endif
