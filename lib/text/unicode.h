/* unicode.h - the character classes that splitting patterns speak of, from one generated table.
 *
 * The table (unicode_table.h) is made by scripts/make_unicode_table.py; its first line names the Unicode version. */
#ifndef PM_TEXT_UNICODE_H
#define PM_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Classes as bits, so that a set is a mask. Every code point has exactly one of the first group. */
enum {
    PM_CLASS_LU = 1 << 0,      /* \p{Lu} and \p{Lt}: no named pattern tells them apart */
    PM_CLASS_LL = 1 << 1,      /* \p{Ll} */
    PM_CLASS_LO = 1 << 2,      /* \p{Lm} and \p{Lo} */
    PM_CLASS_MARK = 1 << 3,    /* \p{M} */
    PM_CLASS_NUMBER = 1 << 4,  /* \p{N} */
    PM_CLASS_SPACE = 1 << 5,   /* White_Space but CR and LF */
    PM_CLASS_NEWLINE = 1 << 6, /* CR and LF */
    PM_CLASS_PUNCT = 1 << 7,   /* \p{P} */
    PM_CLASS_SYMBOL = 1 << 8,  /* \p{S} */
    PM_CLASS_OTHER = 1 << 9, /* everything else: controls, formats, unassigned, private use; U+FFFD is a SYMBOL (So) */
    /* On top of those: */
    PM_CLASS_HAN = 1 << 10, /* \p{Han}: kimi_k2 asks for it */
    PM_CLASS_LETTER = PM_CLASS_LU | PM_CLASS_LL | PM_CLASS_LO
};

extern const char pm_unicode_version[]; /* "16.0.0" */

/* The two stages of the table: the block of a code point, and the blocks' bytes: number of the class's bit, plus 16
 * for Han. */
#define PM_UNICODE_SHIFT 7
extern const uint8_t pm_unicode_blocks[];
extern const uint8_t pm_unicode_codes[];

/* The class of a code point up to 0x10FFFF: two look-ups, no branch. */
static inline uint32_t pm_class(uint32_t cp) {
    uint32_t block = pm_unicode_blocks[cp >> PM_UNICODE_SHIFT];
    uint32_t code = pm_unicode_codes[block << PM_UNICODE_SHIFT | (cp & ((1u << PM_UNICODE_SHIFT) - 1))];
    return UINT32_C(1) << (code & 15) | (code & 16) << 6;
}

/* The range that deepseek_v3 splits apart: ideographs of the first block, and kana with what stands among them. */
static inline bool pm_is_cjk(uint32_t cp) { return (cp >= 0x4E00 && cp <= 0x9FA5) || (cp >= 0x3040 && cp <= 0x30FF); }

#endif
