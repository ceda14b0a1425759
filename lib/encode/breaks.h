/* breaks.h - where a pre-token may be cut before merging, because no piece reaches across. The essay is in breaks.c. */
#ifndef PM_ENCODE_BREAKS_H
#define PM_ENCODE_BREAKS_H

#include "encode/words.h"

enum { PM_BREAKS_PAIR_BITS = 20, PM_BREAKS_PART_BITS = 16, PM_BREAKS_FLAG_BITS = 14 };
enum { PM_BREAKS_ON_THE_RIGHT = 1, PM_BREAKS_ON_THE_LEFT = 2 };

/* All tables may say "uncertain" too often, never too rarely. 156 KB. */
typedef struct pm_breaks {
    uint64_t pairs[1 << (PM_BREAKS_PAIR_BITS - 6)]; /* a bit for the hash of two characters that stand together in a piece */
    uint64_t parts[1 << (PM_BREAKS_PART_BITS - 6)]; /* of a character and one byte of another, cut off by an end of the piece */
    uint64_t ends[64]; /* of the last byte of one and the first byte of another, both cut off: bit first & 63 of [last & 63] */
    uint8_t flags[1 << PM_BREAKS_FLAG_BITS]; /* by a hash of a character: it has a part of another on its right, on its left */
} pm_breaks;

/* {0} is one without pieces: everything is cut. Adds a piece. */
void pm_breaks_add(pm_breaks *breaks, const uint8_t *piece, size_t len);

/* Writes the ends of the segments of text[start..end), start < end <= len, and returns how many. All of text[0..len) may be read. After `room` of
 * them the last may lie before `end`; go on from there. ends has room for one more than `room` >= 1. Linear time. */
size_t pm_breaks_cut(const pm_breaks *breaks, const uint8_t *text, size_t len, size_t start, size_t end, size_t *ends, size_t room);

#endif
