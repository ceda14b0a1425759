/* chunks.h - the documents of a corpus as runs of chunks: what BytePiece counts. */
#ifndef PM_TRAIN_CHUNKS_H
#define PM_TRAIN_CHUNKS_H

#include "base/hash.h"
#include "count/spool.h"
#include "encode/special.h"
#include "train/train.h"

/* Takes a run of one weight and one section, on the thread that made it; a run that is not taken over (count/spool.h) is used again. */
typedef pm_status (*pm_run_fn)(void *ctx, unsigned thread, pm_chunks *run, pm_error *err);

typedef struct pm_chunker {
    /* settings, which may change between calls */
    uint64_t section_bytes; /* of text; a document belongs to the section that it begins in. 0: all is one section */
    bool whole_documents;   /* runs hold whole documents and say where they end */
    XXH3_state_t *hash;     /* updated with all text that is read, the ends of its documents and their weights; NULL: none */
    /* what was read so far */
    uint64_t documents, bytes, chunks;
    uint64_t with_special; /* documents that held the text of a special token */
    bool ended;            /* the corpus is at its end */
    /* the rest is chunks.c's */
    pm_corpus *corpus;
    pm_train_job *job;
    pm_specials *specials; /* NULL: none */
    struct pm_chunker_thread *threads;
    uint64_t stop;
    pm_run_fn take;
    void *ctx;
} pm_chunker;

/* The job's splitter (NULL: none) and options decide the chunks. Released after a failure too; {0} is an empty one. */
pm_status pm_chunker_init(pm_chunker *c, pm_corpus *corpus, pm_train_job *job, pm_error *err);
void pm_chunker_release(pm_chunker *c);

/* Reads until at least `stop` bytes of text were read in all, or to the end of the corpus, and gives everything to `take` (NULL: nobody wants it). Where it stops depends on
 * the documents only. The phase of the ticker is the caller's. */
pm_status pm_chunker_read(pm_chunker *c, uint64_t stop, pm_run_fn take, void *ctx, pm_error *err);

#endif
