/* spool.h - chunks of text kept for a second pass: in memory up to a bound, behind it in a temporary file. */
#ifndef PM_COUNT_SPOOL_H
#define PM_COUNT_SPOOL_H

#include "base/alloc.h"

typedef struct pm_spool pm_spool;

/* A run of chunks: chunk i is text[ends[i - 1] .. ends[i]). 8 bytes behind the text are readable. {0} is an empty one.
 */
typedef struct pm_chunks {
    uint8_t *text;
    uint32_t *ends;
    size_t len, n;
    size_t cap_text, cap_ends;
} pm_chunks;

enum { PM_CHUNKS_PAD = 8 };

/* Room for a chunk of `len` bytes, and its end; then the chunk. */
pm_status pm_chunks_add(pm_chunks *c, const uint8_t *text, size_t len, pm_error *err);
void pm_chunks_release(pm_chunks *c);

pm_status pm_spool_new(pm_spool **out, uint64_t memory, const char *tmpdir, pm_error *err);
void pm_spool_free(pm_spool *spool);

/* Takes the run over; *c is empty afterwards. Any thread. */
pm_status pm_spool_put(pm_spool *spool, pm_chunks *c, pm_error *err);
size_t pm_spool_size(const pm_spool *spool); /* runs */
/* Gives run i back, once, into *c (whose memory is used or freed). Any thread. */
pm_status pm_spool_take(pm_spool *spool, size_t i, pm_chunks *c, pm_error *err);

#endif
