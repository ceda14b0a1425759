/* source.h - one thing that documents come from, and for a file: what it is, by its name and a look at it. */
#ifndef PM_CORPUS_SOURCE_H
#define PM_CORPUS_SOURCE_H

#include <sys/types.h>

#include "corpus/reader.h"

/* What tells that a file is still the one that was looked at. */
typedef struct pm_stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    int64_t seconds, nanoseconds; /* of the last change of its content */
} pm_stamp;

typedef struct pm_file_source {
    char *path; /* the name in errors */
    int fd;     /* what stays open; -1: opened when its turn comes */
    bool keep_fd, jsonl;
    bool regular; /* it can be opened again, and its stamp and size are known */
    pm_packing packing;
    pm_stamp stamp;
    uint64_t size; /* bytes on disk */
} pm_file_source;

typedef enum pm_source_kind { PM_SOURCE_FILE, PM_SOURCE_DOCUMENT, PM_SOURCE_CALLBACK } pm_source_kind;

typedef struct pm_source {
    pm_source_kind kind;
    uint32_t weight;
    size_t row; /* of the report */
    union {
        pm_file_source *file;
        pm_bytes document;
        struct {
            pm_next_fn next;
            void *user;
        } callback;
    } as;
} pm_source;

/* Looks at a file ("-": standard input, which holds JSONL if `records`). Errors: PM_NOT_FOUND, PM_IO, PM_UNSUPPORTED,
 * PM_NO_MEMORY. */
pm_status pm_file_source_new(pm_file_source **out, const char *path, bool records, pm_error *err);
void pm_file_source_free(pm_file_source *file);

/* Begins to read it; a stream can be read once. PM_BAD_INPUT: it is not the file that it was. */
pm_status pm_file_source_open(pm_file_source *file, pm_reader *reader, unsigned window_log, pm_error *err);

/* PM_BAD_INPUT when the open file was written to since the first look at it (it is a regular one). */
pm_status pm_file_source_unchanged(const pm_file_source *file, int fd, pm_error *err);

#endif
