/* spool.h - chunks of text kept for further passes: in memory up to a bound, behind it in a temporary file. */
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
    uint32_t weight; /* all counts are multiplied by it; 0 is 1 */
    uint32_t *docs;  /* where documents end, in chunks: only where that matters, and then runs hold whole documents */
    size_t n_docs;
    uint64_t section; /* the part of the corpus that it is of */
    size_t cap_text, cap_ends, cap_docs;
} pm_chunks;

static inline uint32_t pm_chunks_weight(const pm_chunks *c) { return c->weight ? c->weight : 1; }

enum { PM_CHUNKS_PAD = 8 };

/* Room for a chunk of `len` bytes, at most 65,535, and its end; then the chunk. */
pm_status pm_chunks_add(pm_chunks *c, const uint8_t *text, size_t len, pm_error *err);
/* A document ends behind the last chunk. */
pm_status pm_chunks_end_document(pm_chunks *c, pm_error *err);
void pm_chunks_release(pm_chunks *c);

pm_status pm_spool_new(pm_spool **out, uint64_t memory, const char *tmpdir, pm_error *err);
void pm_spool_free(pm_spool *spool);

/* Takes the run over; *c is empty afterwards. Any thread. */
pm_status pm_spool_put(pm_spool *spool, pm_chunks *c, pm_error *err);
size_t pm_spool_size(const pm_spool *spool);                /* runs */
uint64_t pm_spool_section(const pm_spool *spool, size_t i); /* of run i, while none is put */
uint64_t pm_spool_bytes(const pm_spool *spool, size_t i);   /* of text, likewise */
/* Run i, to be read until the next call with the same *buffer, which is where one from the file goes. Any thread. */
pm_status pm_spool_get(pm_spool *spool, size_t i, pm_chunks *buffer, const pm_chunks **run, pm_error *err);
/* Gives run i back, once, into *c (whose memory is used or freed). Any thread. */
pm_status pm_spool_take(pm_spool *spool, size_t i, pm_chunks *c, pm_error *err);

#endif
