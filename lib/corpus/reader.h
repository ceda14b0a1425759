/* reader.h - the bytes of one file, decompressed on the way.
 *
 * What the rest of the corpus sees is a stream of text and positions in it; which library unpacks it stays in decompress.c. */
#ifndef PM_CORPUS_READER_H
#define PM_CORPUS_READER_H

#include "base/alloc.h"
#include "base/thread.h"

typedef enum pm_packing {
    PM_PACKING_NONE,
    PM_PACKING_GZIP,
    PM_PACKING_ZSTD,
    PM_PACKING_GUESS /* by the first bytes; becomes one of the others at the first read */
} pm_packing;

typedef struct pm_reader {
    int fd; /* -1: not open */
    bool keep_fd, waits; /* waits: a pipe, a terminal: its bytes come when they come */
    const char *path; /* for errors; borrowed */
    pm_packing packing;
    unsigned window_log; /* zstd: the largest window accepted is 2^window_log */
    uint64_t raw;        /* bytes read from the file */
    uint64_t given;      /* bytes of text given */
    uint8_t *in;         /* raw bytes not used yet: in[in_pos .. in_len) */
    size_t in_pos, in_len;
    bool in_end;  /* the file has no more than what is in `in` */
    bool ended;   /* all text was given */
    bool between; /* packed: no member or frame is open */
    void *state;  /* packed: the library's */
    pm_ticker *ticker; /* NULL, or polled while we wait for bytes; its failure is that of the read. The caller sets it after opening */
} pm_reader;

/* Begins to read the open file `fd`, which pm_reader_close closes unless keep_fd. */
void pm_reader_open(pm_reader *r, int fd, bool keep_fd, const char *path, pm_packing packing, unsigned window_log);

/* Gives the next bytes of text, `cap` of them, fewer at the end only. Errors name the file and the offset in the text: PM_IO, PM_BAD_INPUT
 * (truncated or damaged, trailing garbage), PM_LIMIT (a zstd window that is too large), PM_UNSUPPORTED, PM_NO_MEMORY. */
pm_status pm_reader_read(pm_reader *r, uint8_t *out, size_t cap, size_t *n, pm_error *err);
void pm_reader_close(pm_reader *r);

/* ---- inside: reader.c to decompress.c ---- */

/* Refills `in` when it is empty; in_end tells that there is no more. */
pm_status pm_reader_refill(pm_reader *r, pm_error *err);

/* Whether this packing was compiled in: PM_OK or PM_UNSUPPORTED with the name of what is missing. */
pm_status pm_packing_supported(pm_packing packing, const char *path, pm_error *err);

/* The packing that the first n bytes of a file speak of. */
pm_packing pm_packing_guess(const uint8_t *data, size_t n);

/* Unpacks up to cap bytes; *n < cap at the end only. */
pm_status pm_unpack(pm_reader *r, uint8_t *out, size_t cap, size_t *n, pm_error *err);
void pm_unpack_release(pm_reader *r);

#endif
