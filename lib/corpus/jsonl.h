/* jsonl.h - the text of one record of JSONL. */
#ifndef PM_CORPUS_JSONL_H
#define PM_CORPUS_JSONL_H

#include "base/alloc.h"
#include "base/thread.h"

typedef struct pm_jsonl {
    const char *field; /* borrowed */
    size_t field_len;
    pm_buf stack; /* the open brackets, one bit each */
    pm_buf key;   /* a key that had escapes, decoded */
    pm_ticker *ticker; /* NULL, or polled every megabyte of a long line; its failure is that of the read */
} pm_jsonl;

void pm_jsonl_init(pm_jsonl *j, const char *field);
void pm_jsonl_release(pm_jsonl *j);

/* Appends the text of a line's field to *out; *found is false for a line of white space only. Of several fields of this name the last counts,
 * as in Python's json. Errors: PM_BAD_INPUT with the offset in the line (not JSON, not an object, no such field, not a string, half a
 * surrogate pair), PM_NO_MEMORY; *out is unchanged then. */
pm_status pm_jsonl_read(pm_jsonl *j, const uint8_t *line, size_t len, pm_buf *out, bool *found, pm_error *err);

#endif
