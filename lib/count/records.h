/* records.h - weighted sequences of symbols in memory, as a list of chunks. What counting gives and merging rewrites.
 *
 * A record says: this sequence of n cells was seen `weight` times. Records add up: the same sequence may stand in several records, and a
 * weight above 32 bits is written as several records. A record of weight 0 is dead. Cells are 1, 2 or 4 bytes wide, alike in all records of a
 * list; records begin at multiples of 8 bytes. Chunks are made and freed one by one, so that a pass which reads one list and
 * writes another holds little more than one of them. */
#ifndef PM_COUNT_RECORDS_H
#define PM_COUNT_RECORDS_H

#include "base/alloc.h"

typedef struct pm_record {
    uint32_t weight, n; /* n cells follow */
} pm_record;

enum { PM_CHUNK_BYTES = 1 << 18 }; /* of an ordinary chunk, its head included; a long record gets a chunk of several times this */

enum { PM_RECORDS_PAD = 64 }; /* bytes that pm_records_reserve and a store leave free at the end of a chunk */

typedef struct pm_chunk {
    struct pm_chunk *next;
    size_t size, used; /* bytes, this head included */
    size_t mark;       /* for who fills it; 0 in a new one */
} pm_chunk;

typedef struct pm_records {
    pm_chunk *first, *last;
    size_t n_chunks;
} pm_records;

static inline size_t pm_record_bytes(size_t n, size_t width) { return sizeof(pm_record) + ((n * width + 7) & ~(size_t)7); }

/* The record at `at` and its cells. */
static inline pm_record *pm_record_at(const pm_chunk *chunk, size_t at) { return (pm_record *)((uint8_t *)chunk + at); }
static inline void *pm_record_cells(const pm_record *record) { return (void *)(record + 1); }

/* Appends an empty chunk with room for a record of `bytes` bytes (pm_record_bytes). NULL: out of memory. */
pm_chunk *pm_records_add_chunk(pm_records *records, size_t bytes);
/* Room for a record of at most `bytes` bytes at the end; the caller fills it and then adds its true size to last->used. NULL: out of memory. */
static inline pm_record *pm_records_reserve(pm_records *records, size_t bytes) {
    pm_chunk *chunk = records->last;
    if (!chunk || chunk->size - chunk->used < bytes + PM_RECORDS_PAD) {
        chunk = pm_records_add_chunk(records, bytes);
    }
    return chunk ? pm_record_at(chunk, chunk->used) : NULL;
}
/* Moves all chunks of `from` behind those of `to`. */
void pm_records_join(pm_records *to, pm_records *from);
void pm_chunk_free(pm_chunk *chunk);
void pm_records_release(pm_records *records);

#endif
