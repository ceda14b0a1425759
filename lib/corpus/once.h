/* once.h - a set of 128-bit hashes: has this text been there before? */
#ifndef PM_CORPUS_ONCE_H
#define PM_CORPUS_ONCE_H

#include "base/alloc.h"
#include "corpus/once_runs.h"

enum { PM_ONCE_SHARDS = 8 };

typedef struct pm_once_shard {
    XXH128_hash_t *slots;
    size_t cap, n;  /* cap: a power of two; 0: nothing yet */
    unsigned shift; /* cap is 1 << (64 - shift) */
} pm_once_shard;

/* {0} is an empty one. */
typedef struct pm_once {
    pm_once_shard shards[PM_ONCE_SHARDS]; /* by the top bits of the hash */
    uint64_t most;                        /* bytes of memory that it may take, else it goes on in temporary files; 0: any number */
    uint64_t bytes;                       /* of the tables */
    uint64_t n;
    pm_once_runs *runs; /* NULL: all is in memory */
    const char *tmpdir; /* as in pm_train_options; borrowed, as the ticker, which may be NULL and is polled while files are merged */
    pm_ticker *ticker;
} pm_once;

/* Asks for the memory where the hash is looked for, some time before pm_once_add. */
static inline void pm_once_prefetch(const pm_once *set, XXH128_hash_t hash) {
    const pm_once_shard *shard = &set->shards[hash.high64 >> 61];
    if (shard->cap) {
        __builtin_prefetch(&shard->slots[hash.low64 >> shard->shift]);
    }
    if (set->runs) {
        pm_once_runs_prefetch(set->runs, hash);
    }
}

/* Adds a hash; *added is false when it was there. Errors: those of temporary files, PM_LIMIT (`most` is too little even so: files of 500 times as many bytes),
 * PM_NO_MEMORY. After an error it can only be released. */
pm_status pm_once_add(pm_once *set, XXH128_hash_t hash, bool *added, pm_error *err);

/* Frees everything; the set is empty then and keeps its limit. */
void pm_once_release(pm_once *set);

#endif
