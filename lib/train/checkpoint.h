/* checkpoint.h - a folder where training leaves what it needs to go on after it was stopped at any moment. See checkpoint.c. */
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

/* ---- BPE ---- */

/* The words to train from, as pm_train_words gives them, and the summary: counts what was not counted yet. PM_BAD_INPUT: the corpus is not
 * the one that was counted. */
pm_status pm_checkpoint_words(pm_store **out, pm_checkpoint *c, pm_corpus *corpus, pm_train_job *job, pm_error *err);

/* Adds the merges that were kept behind those that the vocabulary begins with, up to `wanted` in all. Behind the words: when they are complete. */
pm_status pm_checkpoint_load_merges(const pm_checkpoint *c, pm_bpe_vocab *vocab, size_t wanted, pm_error *err);
pm_status pm_checkpoint_keep_merges(const pm_checkpoint *c, const pm_bpe_vocab *vocab, pm_error *err);

/* ---- BytePiece ---- */

/* How many files, and where; their checksums. */
typedef struct pm_checkpoint_paths {
    char **list;
    uint64_t *sums;
    size_t n;
} pm_checkpoint_paths;

/* The count files of pieces to train from, and the summary: counts what was not counted yet. Errors as pm_checkpoint_words. */
pm_status pm_checkpoint_pieces(pm_checkpoint_paths *out, pm_checkpoint *c, pm_corpus *corpus, pm_train_job *job, pm_error *err);
void pm_checkpoint_paths_free(pm_checkpoint_paths *paths);

/* ---- rounds: for who counts ---- */

/* What the rounds have of the text. */
typedef struct pm_checkpoint_text {
    uint64_t documents, bytes, words, documents_with_special;
    uint64_t hash; /* of all that was read */
    bool ended;    /* that is the whole corpus */
} pm_checkpoint_text;

/* Rounds of what is counted while text is read, and of pieces. */
typedef enum pm_checkpoint_kind { PM_CHECKPOINT_TEXT, PM_CHECKPOINT_PIECES, PM_CHECKPOINT_KINDS } pm_checkpoint_kind;

const pm_checkpoint_text *pm_checkpoint_text_of(const pm_checkpoint *c);
/* Where the round that begins behind so many bytes ends; behind those that are there. */
uint64_t pm_checkpoint_after(uint64_t bytes);
uint64_t pm_checkpoint_next_stop(const pm_checkpoint *c);
uint64_t pm_checkpoint_section_bytes(void);
/* PM_BAD_INPUT when the text that was read again is another one. */
pm_status pm_checkpoint_same_text(const pm_checkpoint *c, uint64_t documents, uint64_t bytes, uint64_t hash, pm_error *err);
/* The path of the next round's file, to be freed; a round whose file was written there, with an end of the caller's; and the step behind both that makes all
 * that was kept so far last. */
pm_status pm_checkpoint_new_round(const pm_checkpoint *c, pm_checkpoint_kind kind, char **path, pm_error *err);
pm_status pm_checkpoint_keep_round(pm_checkpoint *c, pm_checkpoint_kind kind, uint64_t end, const char *path, pm_error *err);
pm_status pm_checkpoint_keep_text(pm_checkpoint *c, const pm_checkpoint_text *text, pm_error *err);
/* The end of the last round; 0: there is none. */
uint64_t pm_checkpoint_end(const pm_checkpoint *c, pm_checkpoint_kind kind);
pm_status pm_checkpoint_paths_of(const pm_checkpoint *c, pm_checkpoint_kind kind, pm_checkpoint_paths *out, pm_error *err);
/* PM_EMPTY_CORPUS. */
pm_status pm_checkpoint_summary(const pm_checkpoint *c, pm_train_job *job, pm_error *err);

#endif
