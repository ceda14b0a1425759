/* once.h - a set of 128-bit hashes: has this text been there before? */
#ifndef PM_CORPUS_ONCE_H
#define PM_CORPUS_ONCE_H

#include "base/alloc.h"
#include "base/hash.h"

enum { PM_ONCE_SHARDS = 8 };

typedef struct pm_once_shard {
    XXH128_hash_t *slots;
    size_t cap, n;  /* cap: a power of two; 0: nothing yet */
    unsigned shift; /* cap is 1 << (64 - shift) */
} pm_once_shard;

/* {0} is an empty one. */
typedef struct pm_once {
    pm_once_shard shards[PM_ONCE_SHARDS]; /* by the top bits of the hash */
    uint64_t most;                        /* bytes that it may take; 0: any number */
    uint64_t bytes;
    uint64_t n;
} pm_once;

/* Asks for the memory where the hash is looked for, some time before pm_once_add. */
static inline void pm_once_prefetch(const pm_once *set, XXH128_hash_t hash) {
    const pm_once_shard *shard = &set->shards[hash.high64 >> 61];
    if (shard->cap) {
        __builtin_prefetch(&shard->slots[hash.low64 >> shard->shift]);
    }
}

/* Adds a hash; *added is false when it was there. Errors: PM_LIMIT (more than `most` bytes are needed), PM_NO_MEMORY.
 */
pm_status pm_once_add(pm_once *set, XXH128_hash_t hash, bool *added, pm_error *err);

/* Frees everything; the set is empty then and keeps its limit. */
void pm_once_release(pm_once *set);

#endif
