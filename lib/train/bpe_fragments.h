/* bpe_fragments.h - fragments of words added up in a hash table. See bpe_fragments.c.
 *
 * One thread fills a table; a second thread has another. */
#ifndef PM_TRAIN_BPE_FRAGMENTS_H
#define PM_TRAIN_BPE_FRAGMENTS_H

#include "train/bpe.h"

/* What a fragment is looked up by: its cells, 1, 2 or 4 bytes wide, as bytes. */
enum {
    PM_FRAGMENT_SHORT = 16
}; /* so many bytes, zeros behind, are in `key`; longer ones have their place in pm_fragments.keys and their hash there
    */
typedef struct pm_fragment_key {
    uint64_t key[2], hash;
    uint32_t n; /* cells */
} pm_fragment_key;

extern const uint8_t pm_fragment_masks[PM_FRAGMENT_SHORT + 1][PM_FRAGMENT_SHORT];

static inline uint64_t pm_fragment_hash(uint64_t a, uint64_t b, uint32_t n) {
    unsigned __int128 product =
        (unsigned __int128)(a ^ UINT64_C(0x9E3779B97F4A7C15)) * ((b + n) ^ UINT64_C(0xD6E8FEB86659FD93));
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The key of n cells of `bytes` bytes in all, at most PM_FRAGMENT_SHORT; that many can be read from `cells`. */
static inline void pm_fragment_key_short(pm_fragment_key *k, const void *cells, uint32_t n, size_t bytes) {
    uint64_t mask[2];
    memcpy(k->key, cells, sizeof k->key);
    memcpy(mask, pm_fragment_masks[bytes], sizeof mask);
    k->key[0] &= mask[0];
    k->key[1] &= mask[1];
    k->n = n;
    k->hash = pm_fragment_hash(k->key[0], k->key[1], n);
}

/* Begins anew, with {0} or a used one, whose size is taken for a hint. */
pm_status pm_fragments_begin(pm_fragments *f, pm_error *err);
void pm_fragments_release(pm_fragments *f);

static inline uint32_t pm_fragment_tag(uint64_t hash) { return (uint32_t)(hash >> 32); }
/* Asks for the memory that a look-up will need: first for the slot, then, when that is there, for the fragment. */
static inline void pm_fragments_prefetch_slot(const pm_fragments *f, uint64_t hash) {
    __builtin_prefetch(&f->slots[pm_fragment_tag(hash) >> (32 - f->bits)]);
}
static inline void pm_fragments_prefetch(const pm_fragments *f, uint64_t hash) {
    const pm_fragment_slot *slot = &f->slots[pm_fragment_tag(hash) >> (32 - f->bits)];
    if (slot->index) {
        __builtin_prefetch(&f->items[slot->index - 1], 1);
    }
}

/* Adds a weight to the fragment with this short key; *number is its place in items. */
pm_status pm_fragments_add(pm_fragments *f, const pm_fragment_key *key, uint64_t weight, uint32_t *number,
                           pm_error *err);
/* The same for n cells of `width` bytes, of any number. */
pm_status pm_fragments_add_cells(pm_fragments *f, const void *cells, uint32_t n, unsigned width, uint64_t weight,
                                 uint32_t *number, pm_error *err);
/* Adds all of `from`; numbers[i] is the place of its i-th. After the `last` nothing can be looked up any more. */
pm_status pm_fragments_join(pm_fragments *f, const pm_fragments *from, unsigned width, uint32_t *numbers, bool last,
                            unsigned threads, pm_ticker *ticker, pm_error *err);
/* Fills `cells` for merging. `symbols` has the symbol of each cell's value below 256. Nothing can be looked up any
 * more. */
pm_status pm_fragments_decode(pm_fragments *f, unsigned width, const uint32_t *symbols, unsigned threads,
                              pm_ticker *ticker, pm_error *err);
/* After merging: gives back what symbols, which are fewer than cells, leave free; and all of it. */
void pm_fragments_shrink(pm_fragments *f);
void pm_fragments_free_cells(pm_fragments *f);
/* An upper bound of the memory that the fragments take, or will take when they are merged, in bytes. */
static inline uint64_t pm_fragments_cost(const pm_fragments *f) { return (uint64_t)f->n * 72 + f->sum * 20; }

/* An upper bound of what the table alone takes (arrays grow by half). */
static inline uint64_t pm_fragments_table_bytes(const pm_fragments *f) {
    return (f->n * sizeof *f->items + f->keys.len) / 2 * 3 + (sizeof *f->slots << f->bits);
}
/* A fragment's n cells, `width` bytes each, as they were added. */
static inline const void *pm_fragment_cells(const pm_fragments *f, const pm_fragment *item, unsigned width) {
    return (size_t)item->n * width > PM_FRAGMENT_SHORT ? (const void *)(f->keys.data + item->key[0]) : item->key;
}

#endif
