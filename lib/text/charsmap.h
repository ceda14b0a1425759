/* charsmap.h - sentencepiece's precompiled_charsmap: what is written in place of what, as a trie laid out in an array.
 *
 *     4 bytes   length of the trie in bytes, little-endian: a multiple of 1024
 *     trie      units of 4 bytes, little-endian: a double array of the library darts-clone
 *     texts     each ended by a 0 byte; a trie's value is where one begins
 *
 * The blob comes from a file: everything that could lead a search out of it is looked at once, when it is opened. */
#ifndef PM_TEXT_CHARSMAP_H
#define PM_TEXT_CHARSMAP_H

#include "base/alloc.h"

typedef struct pm_charsmap {
    const uint8_t *units; /* in the blob, which is borrowed; aligned or not */
    pm_bytes texts;
    bool begins[256];     /* some rule begins with this byte */
    uint32_t pairs[2048]; /* a bit for each two bytes: some rule begins with them, or is the first of them alone */
} pm_charsmap;

/* Whether some rule may stand at p, where `left` bytes are left, at least 1. */
static inline bool pm_charsmap_may_begin(const pm_charsmap *map, const uint8_t *p, size_t left) {
    unsigned pair = left > 1 ? (unsigned)p[0] << 8 | p[1] : 0;
    return left > 1 ? map->pairs[pair >> 5] >> (pair & 31) & 1 : map->begins[p[0]];
}

enum {
    PM_CHARSMAP_LONGEST = 1024 /* bytes of the longest rule that is taken; sentencepiece itself has rules of some 60 */
};

/* With `characters` each text that a rule leads to must be well-formed UTF-8 (tokenizers). Errors: PM_BAD_FORMAT with
 * the offset in the blob, PM_NO_MEMORY. O(blob). */
pm_status pm_charsmap_init(pm_charsmap *map, pm_bytes blob, bool characters, pm_error *err);

/* The longest rule at the begin of text, as sentencepiece finds it: how many bytes it replaces (0: there is none) and
 * what by. */
size_t pm_charsmap_longest(const pm_charsmap *map, pm_bytes text, pm_bytes *by);
/* The shortest, which is what tokenizers replaces all of `text` by; false: none. Nothing is looked at behind a 0 byte,
 * as there. */
bool pm_charsmap_shortest(const pm_charsmap *map, pm_bytes text, pm_bytes *by);

#endif
