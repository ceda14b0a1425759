/* countfile.h - count files: the words of a corpus in rising order of their bytes, each with how often it occurs. docs/FORMAT.md.
 *
 * A writer takes words in order and a reader gives them in order, so that files of any size are merged with the memory of a block each
 * (countmerge.h). What words are counted depends on settings (the pattern, how text is cut into documents, ...): they stand in the file as
 * lines "key=value", and only files with equal settings belong together. */
#ifndef PM_COUNT_COUNTFILE_H
#define PM_COUNT_COUNTFILE_H

#include "base/file.h"

/* ---- settings ---- */

/* Lines "key=value\n" and a NUL that `len` does not count; "\n" in a value is written "\n\t", so that a line that begins with a tab goes on
 * with the value before it. The keys come in a fixed order, so that equal settings are equal bytes. */
pm_status pm_count_setting_add(pm_buf *settings, const char *key, const char *value, pm_error *err);
pm_status pm_count_setting_add_number(pm_buf *settings, const char *key, uint64_t value, pm_error *err);
/* Appends the value of the i-th line with this key (from 0) and a NUL; *found is false and nothing is appended when there is none. */
pm_status pm_count_setting_get(const char *settings, const char *key, size_t i, pm_buf *value, bool *found, pm_error *err);
/* There is "documents=yes": each word has the number of documents that it was found in. */
bool pm_count_settings_have_documents(const char *settings);
/* PM_INVALID_ARGUMENT with file `path` and a sentence that names the first setting that differs and both values; `other` says where b is from. */
pm_status pm_count_settings_compare(const char *a, const char *path, const char *b, const char *other, pm_error *err);

/* ---- what a file says of the corpus besides ---- */

typedef struct pm_count_totals {
    uint64_t documents, bytes; /* read */
    uint64_t words, distinct;  /* occurrences of words that are counted, and words */
    bool lines_split;          /* some documents were single lines of plain text */
} pm_count_totals;

/* Adds documents, bytes, words and lines_split; not distinct, which depends on the words. PM_LIMIT: a sum above 64 bits. */
pm_status pm_count_totals_add(pm_count_totals *to, const pm_count_totals *more, pm_error *err);

/* ---- writing ---- */

typedef struct pm_count_writer {
    pm_writer file;   /* of a path; else file.fd is that of a temporary file */
    const char *name; /* for errors: borrowed */
    pm_buf block;     /* head and payload of the block that is being filled */
    pm_buf word;      /* the last one */
    uint64_t n;       /* words in the block */
    uint64_t sum;     /* checksum of the block before */
    uint64_t words, distinct;
    bool documents;   /* the settings say documents=yes */
} pm_count_writer;

/* Begins a file beside `path`, which must live as long as the writer; path NULL: an unnamed temporary file in `tmpdir`.
 *     pm_status s = pm_count_writer_open(&w, path, NULL, settings, err);
 *     if (s == PM_OK) s = pm_count_writer_add(&w, ..., err);
 *     return pm_count_writer_close(&w, s, &totals, err);        -- the file gets its name when s is PM_OK, else it is removed
 * or, for a temporary file, pm_count_writer_keep instead of close. */
pm_status pm_count_writer_open(pm_count_writer *w, const char *path, const char *tmpdir, const char *settings, pm_error *err);
/* A word greater than the one before; count is at least 1. `documents` counts where the settings ask for it. */
pm_status pm_count_writer_add(pm_count_writer *w, const uint8_t *word, size_t len, uint64_t count, uint64_t documents, pm_error *err);
/* Of the totals, documents, bytes and lines_split are the caller's; words and distinct are filled in from what was added. */
pm_status pm_count_writer_close(pm_count_writer *w, pm_status status, pm_count_totals *totals, pm_error *err);
/* As above; *fd is the caller's to close (-1 after a failure). */
pm_status pm_count_writer_keep(pm_count_writer *w, pm_status status, pm_count_totals *totals, int *fd, pm_error *err);

/* ---- reading ---- */

typedef struct pm_count_reader {
    int fd;
    char *name;      /* for errors */
    uint64_t at, size; /* the block that comes next, or is being read; bytes of the file */
    uint64_t sum, last_sum; /* checksums: of the frame before, and of the last block as the totals have it */
    pm_buf settings; /* ends with a NUL */
    pm_count_totals totals;
    bool documents;
    uint8_t *block;  /* its head, payload, checksum, and the head of the next */
    size_t cap, pos, end; /* of the payload */
    uint64_t left;   /* words in the block that are still to come */
    bool first;      /* the next is the first of its block */
    uint64_t words, distinct; /* seen */
    /* the word that was read last; len is 0 at the end */
    pm_buf word;
    uint64_t count, in_documents;
} pm_count_reader;

/* Opens a file and reads settings and totals. Errors: PM_NOT_FOUND, PM_IO, PM_BAD_FORMAT (with offset), PM_BAD_VERSION. */
pm_status pm_count_reader_open(pm_count_reader *r, const char *path, pm_error *err);
/* The same with a file that is open; fd is the reader's, after a failure too. */
pm_status pm_count_reader_open_fd(pm_count_reader *r, int fd, const char *name, pm_error *err);
/* Reads the next word into r->word, count and in_documents (0 where documents are not counted). Whatever the file holds, words come in
 * rising order, and at the end their number and sum have been found to be those of the totals. Errors: PM_BAD_FORMAT, PM_IO, PM_NO_MEMORY. */
pm_status pm_count_reader_next(pm_count_reader *r, pm_error *err);
void pm_count_reader_close(pm_count_reader *r); /* {.fd = -1} is a closed one */

#endif
