/* pieces.h - a table of distinct byte strings and how often each was seen, filled by several threads. */
#ifndef PM_COUNT_PIECES_H
#define PM_COUNT_PIECES_H

#include "base/alloc.h"
#include "base/thread.h"

typedef struct pm_span { /* text[at .. at + len) */
    uint32_t at, len;
} pm_span;

enum { PM_PIECE_SHARD_BITS = 7, PM_PIECE_SHARDS = 1 << PM_PIECE_SHARD_BITS, PM_PIECE_MAX_BYTES = 0xFFFF };

typedef struct pm_piece_slot {
    uint32_t hash;
    uint32_t at;            /* in the shard's bytes */
    uint64_t count_and_len; /* count << 16 | length; 0: free */
} pm_piece_slot;

static inline uint64_t pm_piece_count(const pm_piece_slot *s) { return s->count_and_len >> 16; }
static inline size_t pm_piece_len(const pm_piece_slot *s) { return s->count_and_len & 0xFFFF; }

typedef struct pm_piece_shard {
    struct pm_piece_lock *lock;
    pm_piece_slot *slots;
    size_t cap, n;
    pm_buf bytes;
} pm_piece_shard;

typedef struct pm_piece_table {
    pm_piece_shard shards[PM_PIECE_SHARDS]; /* which one: by the hash */
} pm_piece_table;

typedef struct pm_piece_feeder { /* one thread's; {0} is an empty one */
    uint64_t *hashes;
    uint32_t *order;
    size_t cap_hashes, cap_order;
} pm_piece_feeder;

pm_status pm_piece_table_new(pm_piece_table **out, pm_error *err);
void pm_piece_table_free(pm_piece_table *table);
void pm_piece_feeder_release(pm_piece_feeder *feeder);

/* Counts n pieces of at most PM_PIECE_MAX_BYTES bytes, which are copied. Counts go to 2^48 - 1. Any number of threads,
 * each with its feeder. */
pm_status pm_piece_table_add(pm_piece_table *table, pm_piece_feeder *feeder, const uint8_t *text, const pm_span *spans,
                             size_t n, pm_error *err);
/* The number of distinct pieces; while no thread adds. */
size_t pm_piece_table_size(const pm_piece_table *table);

#endif
