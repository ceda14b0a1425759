/* characters.h - a map from code points to numbers below 2^32 - 1: a table of tables, in which two loads answer. */
#ifndef PM_TEXT_CHARACTERS_H
#define PM_TEXT_CHARACTERS_H

#include "base/alloc.h"

#define PM_NO_CHARACTER UINT32_MAX

/* The blank, and how sentencepiece writes one. */
enum { PM_BLANK = ' ', PM_BLANK_MARK = 0x2581 };
#define PM_BLANK_MARK_UTF8 "\xE2\x96\x81"

/* {0} is an empty one. Blocks of 256 code points, made when one of them gets a number. */
typedef struct pm_characters {
    uint32_t *blocks[0x110000 >> 8];
} pm_characters;

/* Gives a code point (below 0x110000) its number. Errors: PM_NO_MEMORY. */
pm_status pm_characters_set(pm_characters *map, uint32_t character, uint32_t number, pm_error *err);
void pm_characters_release(pm_characters *map);

/* PM_NO_CHARACTER: it has none. */
static inline uint32_t pm_characters_get(const pm_characters *map, uint32_t character) {
    const uint32_t *block = map->blocks[character >> 8];
    return block ? block[character & 0xFF] : PM_NO_CHARACTER;
}

#endif
