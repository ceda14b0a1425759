/* classes.h - the classes of a stretch of text as bitmaps: 64 bytes at a time, a bit for each byte.
 *
 * Bit i of a word speaks of byte i. All bytes of a character have the class of the character, so that runs of
 * characters are runs of bits. */
#ifndef PM_PRETOK_CLASSES_H
#define PM_PRETOK_CLASSES_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

typedef struct pm_class_word {
    uint64_t upper, lower, letter;     /* \p{Lu} and \p{Lt}; \p{Ll}; \p{Lm} and \p{Lo} */
    uint64_t mark, number, punct;      /* \p{M}, \p{N}, \p{P} and \p{S} */
    uint64_t space, newline;           /* White_Space but CR and LF; CR and LF */
    uint64_t han;                      /* \p{Han}, on top of the others */
    uint64_t cjk;                      /* pm_is_cjk() (text/unicode.h), on top of the others */
    uint64_t high;                     /* bytes from 0x80 on, also those outside well-formed UTF-8 */
    uint64_t inside;                   /* bytes of a character behind its first */
    uint64_t blank, apostrophe, slash; /* these three characters, on top of the others: 0x20, 0x27, 0x2F */
} pm_class_word; /* a character with no bit of the first two groups is of class OTHER (text/unicode.h) */

/* Fills words[0..(len + 63) / 64) for text[0..len), which begins with a character; a character whose first byte is
 * before len is read up to text[readable), readable >= len, no further. Bits from len on are zero. Bytes outside
 * well-formed UTF-8 read as U+FFFD of length one. */
typedef void (*pm_classes_fn)(const uint8_t *text, size_t len, size_t readable, pm_class_word *words);

void pm_classes_portable(const uint8_t *text, size_t len, size_t readable, pm_class_word *words);
void pm_classes_avx2(const uint8_t *text, size_t len, size_t readable, pm_class_word *words);
void pm_classes_avx512(const uint8_t *text, size_t len, size_t readable, pm_class_word *words);
void pm_classes_neon(const uint8_t *text, size_t len, size_t readable, pm_class_word *words);

/* The version for a processor that this machine has (base/cpu.h). All give the same words. */
pm_classes_fn pm_classes_for(pm_cpu cpu);

#endif
