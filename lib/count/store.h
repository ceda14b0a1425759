/* store.h - chunks of records (records.h): in memory while there is room, the rest in one unnamed temporary file.
 *
 * What counting fills, and each pass of the trainer reads and rewrites. Whether a chunk is in memory or in the file
 * does not show but in time:
 *
 *     store.put(chunk) x n        a pass that reads:  get(0) get(1) ...          one that rewrites:  take(0) put(...)
 * take(1) ... then compact
 *
 * Any thread may put, get and take at the same time as others, each chunk being taken by one. */
#ifndef PM_COUNT_STORE_H
#define PM_COUNT_STORE_H

#include "count/records.h"

typedef struct pm_store pm_store;

/* Chunks take up to `memory` bytes of memory (UINT64_MAX: no bound, no file). The file lies in `tmpdir` as in
 * pm_train_options; it is made when it is needed. The string must live as long as the store. */
pm_status pm_store_new(pm_store **out, uint64_t memory, const char *tmpdir, pm_error *err);
/* An empty one with the same bound and folder. */
pm_status pm_store_new_like(pm_store **out, const pm_store *store, pm_error *err);
void pm_store_free(pm_store *store);
/* Changes the bound for what is put from now on: chunks that lie in memory stay there. */
void pm_store_set_memory(pm_store *store, uint64_t memory);
uint64_t pm_store_bound(const pm_store *store);

/* Puts *chunk behind those that are there. *chunk is NULL afterwards when its memory was taken over, else it is the
 * caller's to fill again
 * (`used` is that of an empty one; the old bytes are still in it). Errors (the chunk is the caller's still): PM_IO and
 * PM_NOT_FOUND with the name of the folder, PM_NO_MEMORY. */
pm_status pm_store_put(pm_store *store, pm_chunk **chunk, pm_error *err);
/* Moves all chunks into the file, where those that are put from now on go too. No other call at the same time. Errors as above; then some lie in
 * memory still. */
pm_status pm_store_spill(pm_store *store, pm_error *err);
/* Puts all chunks of the list, which is empty afterwards, also after a failure. */
pm_status pm_store_put_all(pm_store *store, pm_records *records, pm_error *err);

/* Chunks have numbers from 0 up. */
size_t pm_store_size(const pm_store *store);
/* Bytes of all records, wherever they lie (what is taken does not count); bytes of memory in chunks; the longest the
 * file has been. */
uint64_t pm_store_bytes(const pm_store *store);
uint64_t pm_store_memory(const pm_store *store);
uint64_t pm_store_file_bytes(const pm_store *store);

/* Chunk i to read, valid until the next call with the same *buffer: *buffer (NULL at first, pm_chunk_free at last) is
 * where one from the file goes. */
pm_status pm_store_get(pm_store *store, size_t i, pm_chunk **buffer, const pm_chunk **chunk, pm_error *err);
/* Chunk i for the caller to keep, change or free, once. If it lies in the file, *spare (may be NULL) is used for it
 * when large enough, and NULL then. */
pm_status pm_store_take(pm_store *store, size_t i, pm_chunk **spare, pm_chunk **chunk, pm_error *err);
/* Forgets the numbers of chunks that were taken: the others move down, in order. No other call at the same time. */
void pm_store_compact(pm_store *store);

#endif
