/* records.c - see records.h. */
#include "count/records.h"

pm_chunk *pm_records_add_chunk(pm_records *records, size_t bytes) {
    if (bytes > PTRDIFF_MAX - 2 * (size_t)PM_CHUNK_BYTES) {
        return NULL;
    }
    size_t size = (sizeof(pm_chunk) + bytes + PM_RECORDS_PAD + PM_CHUNK_BYTES - 1) / PM_CHUNK_BYTES * PM_CHUNK_BYTES;
    pm_chunk *chunk = pm_pages_alloc(size);
    if (!chunk) {
        return NULL;
    }
    chunk->next = NULL;
    chunk->size = size;
    chunk->used = sizeof *chunk;
    if (records->last) {
        records->last->next = chunk;
    } else {
        records->first = chunk;
    }
    records->last = chunk;
    records->n_chunks++;
    return chunk;
}

void pm_records_join(pm_records *to, pm_records *from) {
    if (from->first) {
        if (to->last) {
            to->last->next = from->first;
        } else {
            to->first = from->first;
        }
        to->last = from->last;
        to->n_chunks += from->n_chunks;
    }
    *from = (pm_records){0};
}

void pm_chunk_free(pm_chunk *chunk) {
    if (chunk) {
        pm_pages_free(chunk, chunk->size);
    }
}

void pm_records_release(pm_records *records) {
    while (records->first) {
        pm_chunk *next = records->first->next;
        pm_chunk_free(records->first);
        records->first = next;
    }
    *records = (pm_records){0};
}
