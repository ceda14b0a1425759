/* breaks.h - where a pre-token may be cut before merging, because no piece reaches across. The essay is in breaks.c. */
#ifndef PM_ENCODE_BREAKS_H
#define PM_ENCODE_BREAKS_H

#include "encode/words.h"

enum { PM_BREAKS_PAIR_BITS = 20, PM_BREAKS_PART_BITS = 16, PM_BREAKS_FLAG_BITS = 14 };
enum { PM_BREAKS_ON_THE_RIGHT = 1, PM_BREAKS_ON_THE_LEFT = 2 };

/* All tables may say "uncertain" too often, never too rarely. 216 KB. */
typedef struct pm_breaks {
    /* A bit for the hash of two characters that stand together in a piece. */
    uint64_t pairs[1 << (PM_BREAKS_PAIR_BITS - 6)];
    /* Of a character and one byte of another, cut off by an end of the piece. */
    uint64_t parts[1 << (PM_BREAKS_PART_BITS - 6)];
    /* Of the last byte of one and the first byte of another, both cut off: bit first & 63 of [last & 63]. */
    uint64_t ends[64];
    /* A character has a part of another on its right, on its left: those of three bytes by their sixteen bits, behind
     * them the others by a hash. */
    uint8_t flags[(1 << 16) + (1 << PM_BREAKS_FLAG_BITS)];
} pm_breaks;

/* {0} is one without pieces: everything is cut. Adds a piece. */
void pm_breaks_add(pm_breaks *breaks, const uint8_t *piece, size_t len);

/* Writes the ends of the segments of the pre-tokens text[start..words[0]), text[words[0]..words[1]), ..., start <
 * words[0] <= len, and returns how many. The first of n_words pre-tokens is cut whatever it is, then those behind it
 * as long as they begin as ideographs, kana and their punctuation do. *n_done: pre-tokens of which the end was
 * written. All of text[0..len) may be read. After `room` of them the last may lie inside a pre-token; go on from
 * there. ends has room for one more than `room` >= 1. Linear time. */
size_t pm_breaks_cut(const pm_breaks *breaks, const uint8_t *text, size_t len, size_t start, const size_t *words,
                     size_t n_words, size_t *n_done, size_t *ends, size_t room);

/* Whether a pre-token that begins with this byte, or has it behind a prefix of one byte, is cut before it is looked
 * up: E2-E9 and EF. */
static inline unsigned pm_breaks_cuts_first(uint8_t byte) {
    return (unsigned)(UINT64_C(0x83FC00000000) >> (byte & 63)) & (byte >= 0xC0);
}

#endif
