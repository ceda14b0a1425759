/* corpus.h - the inside of pm_corpus: blocks of documents for the trainers.
 *
 * A block is a run of bytes and the ends of the documents in it. Reading happens on one thread (the caller's: see
 * pm_stream), blocks go to any thread. */
#ifndef PM_CORPUS_CORPUS_H
#define PM_CORPUS_CORPUS_H

#include "base/alloc.h"
#include "base/thread.h"

typedef struct pm_block {
    pm_buf text;
    size_t *ends; /* document i is text.data[i ? ends[i - 1] : 0 .. ends[i]) */
    size_t n, cap;
    uint32_t weight; /* each of its documents counts as this many equal ones; at least 1 */
} pm_block;

void pm_block_release(pm_block *block);

/* Fills the block (its old content is gone) with whole documents of one weight, about `want` bytes of them, at least one; n is 0 at the
 * end. Empty documents are kept. Errors as pm_corpus_read. */
pm_status pm_corpus_fill(pm_corpus *corpus, pm_block *block, size_t want, pm_error *err);

/* With remove_duplicates: the hashes may take this many bytes of memory (0: no limit), then they go to files in tmpdir (borrowed, as in pm_train_options). */
void pm_corpus_limit_hashes(pm_corpus *corpus, uint64_t most, const char *tmpdir);

/* A document of a file that is longer than this fails the read with PM_LIMIT, before more of it is held in memory; 0: no
 * limit. */
void pm_corpus_limit_documents(pm_corpus *corpus, uint64_t most);

/* The ticker (borrowed; NULL: none) is polled every megabyte or sooner of a long document, between documents of a callback, and while bytes of
 * a pipe are waited for; its failure is that of the read. Calling thread only. */
void pm_corpus_watch(pm_corpus *corpus, pm_ticker *ticker);

/* Some source has a weight other than 1, or will have it. */
bool pm_corpus_is_weighted(const pm_corpus *corpus);
/* Weights are in parts of PM_TEMPERATURE_UNIT. */
bool pm_corpus_has_temperature(const pm_corpus *corpus);
/* Some source gives single lines of plain text (for the summary). */
bool pm_corpus_splits_lines(const pm_corpus *corpus);
/* A name for the way documents are cut: "line", "paragraph", "document". */
const char *pm_corpus_split_name(const pm_corpus *corpus);
bool pm_corpus_removes_duplicates(const pm_corpus *corpus);
/* Appends "key=value\n" lines that tell which documents there are, for models and count files: split, and where they are set sample, seed,
 * temperature, remove_duplicates. PM_NO_MEMORY. */
pm_status pm_corpus_settings(const pm_corpus *corpus, pm_buf *out, pm_error *err);

#endif
