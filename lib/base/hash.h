/* hash.h - the hash functions of the library: XXH3, inlined, and the mixing of one 64-bit word. */
#ifndef PM_BASE_HASH_H
#define PM_BASE_HASH_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stddef.h>
#include <stdint.h>

static inline uint64_t pm_hash(const void *data, size_t len) { return XXH3_64bits(data, len); }

/* Every bit of the result depends on every bit of the word (the finalizer of MurmurHash3). */
static inline uint64_t pm_hash_word(uint64_t x) {
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    x ^= x >> 33;
    return x;
}

#endif
