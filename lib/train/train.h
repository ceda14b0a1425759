/* train.h - what the two trainers share; pm_train (train.c) checks the options and calls one of them. */
#ifndef PM_TRAIN_TRAIN_H
#define PM_TRAIN_TRAIN_H

#include "base/thread.h"
#include "corpus/corpus.h"
#include "model/model.h"
#include "train/memory.h"

/* Options after checking: defaults filled in, special tokens known to be distinct and not empty, sizes known to hold them. */
typedef struct pm_train_job {
    pm_train_options o;   /* threads, min_count, ... hold real values */
    pm_splitter *splitter;/* NULL: BytePiece without a pattern */
    uint32_t extra;       /* ids beside pieces: special tokens + reserved slots, + control tokens with words of characters */
    const char **patterns;/* of the tokenizer that is extended, when none are given */
    pm_special_token *specials; /* likewise */
    pm_ticker ticker;
    pm_train_summary summary;
    pm_buf corpus_settings; /* "key=value" lines that say how the corpus became documents, ended by a NUL; they begin with split */
    pm_train_memory memory; /* BPE */
    pm_bytepiece_memory bytepiece_memory; /* BytePiece */
    bool count_documents;   /* count too in how many documents each word (BPE) or piece (BytePiece) is */
    uint64_t window;        /* BytePiece: bytes of text whose n-grams are looked up in one go, where the model is in parts */
    uint32_t unit;          /* counts are in parts of so many: 1, or PM_TEMPERATURE_UNIT; o.min_count too */
    char ngrams[17];        /* BytePiece: a name of the n-gram counts that pieces were cut by; "" when nobody asks */
} pm_train_job;

/* Sets the scene for a job whose options are checked: ticker, splitter, corpus_settings, and a watch over the corpus (NULL with count files). To be
 * ended, after a failure too. */
pm_status pm_train_job_begin(pm_train_job *job, pm_corpus *corpus, pm_error *err);
void pm_train_job_end(pm_train_job *job, pm_corpus *corpus);

/* Each fills a pm_model per vocabulary size and hands it to pm_tokenizer_make; out[0..n_vocab_sizes) are NULL on failure. */
pm_status pm_train_bpe(pm_tokenizer **out, pm_corpus *corpus, pm_train_job *job, pm_error *err);
pm_status pm_train_bytepiece(pm_tokenizer **out, pm_corpus *corpus, pm_train_job *job, pm_error *err);

#endif
