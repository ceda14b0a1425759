/* countmerge.h - words in rising order: from a store of records by sorting, from count files by merging. */
#ifndef PM_COUNT_COUNTMERGE_H
#define PM_COUNT_COUNTMERGE_H

#include "base/thread.h"
#include "count/countfile.h"
#include "count/store.h"

/* What the calls below may use. */
typedef struct pm_count_work {
    unsigned threads;
    uint64_t memory;    /* bytes for sorting, beside what the stores hold; UINT64_MAX: no bound. Some megabytes are taken whatever it says */
    const char *tmpdir; /* as in pm_train_options */
    pm_ticker *ticker;
} pm_count_work;

/* Takes words in rising order, each once. */
typedef struct pm_word_sink {
    pm_status (*take)(struct pm_word_sink *to, const uint8_t *word, size_t len, uint64_t count, uint64_t documents, pm_error *err);
} pm_word_sink;

/* One that puts words into a store, in any order; they are given to s.sink.take. */
typedef struct pm_store_sink {
    pm_word_sink sink;
    pm_store *store;
    pm_chunk *chunk;
    uint64_t min_documents;
    uint64_t text;     /* bytes of what was put in, as often as it was counted */
    uint64_t more;     /* bytes of records behind the first of a word */
    uint64_t distinct; /* words seen */
} pm_store_sink;

/* Words found in fewer than min_documents documents are left out; the store has `room` bytes of memory. */
pm_status pm_store_sink_open(pm_store_sink *s, uint64_t min_documents, uint64_t room, const char *tmpdir, pm_error *err);
/* The store in *out; NULL after a failure, which `status` may be. */
pm_status pm_store_sink_close(pm_store_sink *s, pm_status status, pm_store **out, pm_error *err);

/* Records in a store are as pm_count_words (words.h) leaves them: cells of one byte, behind them the number of documents if that is counted.
 * Records of the same word are added up. */

/* Writes the words of a store to a count file at `path` (settings as in countfile.h; with documents=yes the records must have them). The store's
 * chunks are taken out of it as they are needed. Of the totals, documents, bytes and lines_split are the caller's, the rest is filled in. */
pm_status pm_count_store_write(pm_store *store, const char *path, const char *settings, pm_count_totals *totals, const pm_count_work *work,
                               pm_error *err);
/* Puts the words found in min_documents documents or more into a new store with `room` bytes of memory, without the numbers of documents. The
 * chunks of `store`, whose records have those numbers, are taken out of it. */
pm_status pm_count_store_filter(pm_store **out, pm_store *store, uint64_t min_documents, uint64_t room, const pm_count_work *work, pm_error *err);

/* Settings and totals of n count files together (distinct is then the sum, an upper bound). PM_INVALID_ARGUMENT when settings differ; errors of
 * pm_count_reader_open. */
pm_status pm_count_files_look(const char *const *paths, size_t n, pm_buf *settings, pm_count_totals *totals, pm_error *err);
/* Merges count files into one at `path`, which may be one of them; *totals are what stands in it. */
pm_status pm_count_files_merge(const char *path, const char *const *paths, size_t n, pm_count_totals *totals, const pm_count_work *work, pm_error *err);
/* Puts the words of count files that are found in min_documents documents or more (0: all) into a new store with `room` bytes of memory, without
 * the numbers of documents. The totals are those of all words, with their true number in distinct. Errors as pm_count_files_look; PM_LIMIT: counts
 * that no text gives (2^62 bytes of it). */
pm_status pm_count_files_read(pm_store **out, const char *const *paths, size_t n, uint64_t min_documents, uint64_t room, pm_count_totals *totals,
                              const pm_count_work *work, pm_error *err);

/* ---- word by word ---- */

typedef struct pm_count_stream pm_count_stream;

/* The words of a store, whose chunks are taken out of it; what does not fit in work->memory lies in temporary files. `documents`: records have them. */
pm_status pm_count_stream_store(pm_count_stream **out, pm_store *store, bool documents, const pm_count_work *work, pm_error *err);
/* The words of n count files with equal settings; *totals are those of all (distinct: an upper bound). Errors as pm_count_files_look. */
pm_status pm_count_stream_files(pm_count_stream **out, const char *const *paths, size_t n, pm_count_totals *totals, const pm_count_work *work,
                                pm_error *err);
/* The next word in rising order, with all its counts; the text lives until the next call. *more is false behind the last. On the calling thread; it
 * polls the ticker. Errors as pm_count_reader_next, PM_LIMIT (a sum above 2^64), the ticker's. */
pm_status pm_count_stream_next(pm_count_stream *stream, pm_counted_word *word, bool *more, pm_error *err);
void pm_count_stream_free(pm_count_stream *stream); /* NULL is accepted */

#endif
