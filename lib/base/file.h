/* file.h - whole files in, and outputs that are never half-written. */
#ifndef PM_BASE_FILE_H
#define PM_BASE_FILE_H

#include <pthread.h>

#include "base/alloc.h"

/* For tests only: when set, asked before each read and write; an errno value other than 0 makes it fail so. */
extern int (*pm_io_test_hook)(void);

/* A file's bytes, mapped or read into memory. */
typedef struct pm_file {
    const uint8_t *data;
    size_t len;
    size_t mapped; /* bytes mapped; 0: data is from pm_alloc */
    const char *path; /* the caller's: for who reads what lies beside it while the file is being read */
} pm_file;

/* Maps a regular file (or reads it: copy, or not a regular file). A folder is PM_IO "is a folder". */
pm_status pm_file_open(pm_file *out, const char *path, bool copy, pm_error *err);
void pm_file_close(pm_file *file);

/* read(2) and write(2) of all `len` bytes, through the test hook, restarted when interrupted. pm_read returns fewer at the end only. */
pm_status pm_read(int fd, void *data, size_t len, size_t *n, const char *path, pm_error *err);
/* One read(2) of at most `len` bytes; *n is 0 at the end only. */
pm_status pm_read_some(int fd, void *data, size_t len, size_t *n, const char *path, pm_error *err);
pm_status pm_write(int fd, const void *data, size_t len, const char *path, pm_error *err);
/* The same at an offset, on any thread: pread(2) and pwrite(2). An end of the file before `len` bytes is PM_IO. */
pm_status pm_read_at(int fd, void *data, size_t len, uint64_t offset, const char *path, pm_error *err);
pm_status pm_write_at(int fd, const void *data, size_t len, uint64_t offset, const char *path, pm_error *err);

/* Writes beside `path`, then renames. A path that exists and is no regular file (a pipe, /dev/stdout) is written in place.
 *     pm_status s = pm_writer_open(&w, path, err);
 *     if (s == PM_OK) s = pm_writer_write(&w, ..., err);
 *     return pm_writer_close(&w, s, err);                 -- renames when s is PM_OK, else removes */
typedef struct pm_writer {
    char *path, *temporary; /* temporary is NULL when written in place */
    int fd;                 /* -1: not open */
    pm_buf buf;
} pm_writer;

pm_status pm_writer_open(pm_writer *w, const char *path, pm_error *err);
pm_status pm_writer_write(pm_writer *w, const void *data, size_t len, pm_error *err);
pm_status pm_writer_close(pm_writer *w, pm_status status, pm_error *err);

/* An open, unnamed temporary file in `dir` (NULL: $TMPDIR, else /tmp); gone when closed. And the name of that folder. */
const char *pm_temporary_folder(const char *dir);
pm_status pm_temporary_file(int *fd, const char *dir, pm_error *err);

/* A temporary file that any thread writes new parts of (pm_write_at, pm_read_at). It is made when it is needed first. */
typedef struct pm_scratch_file {
    pthread_mutex_t lock;
    int fd; /* -1: none yet */
    uint64_t len;
    const char *dir;  /* borrowed */
    const char *name; /* of the folder, for errors */
} pm_scratch_file;

void pm_scratch_file_init(pm_scratch_file *file, const char *dir);
void pm_scratch_file_release(pm_scratch_file *file);
/* The offset of a new part of this many bytes, of which fewer may be written. */
pm_status pm_scratch_file_reserve(pm_scratch_file *file, uint64_t bytes, uint64_t *offset, pm_error *err);
/* Bytes that are not needed any more: the system gets their disk back, where it takes it. */
void pm_scratch_file_discard(const pm_scratch_file *file, uint64_t offset, uint64_t bytes);

#endif
