/* classes_block.h - what the vector versions of classes.h share: classes_avx2.c, classes_avx512.c, classes_neon.c.
 *
 * Idea. A block of 64 bytes is worked on as a whole; nothing depends on the order of its bytes, so there is no loop
 * over them and no branch but on what kinds of characters there are at all.
 *
 *   Flags. Each byte gets a byte of eight flags, one for each class. For ASCII that is one table of 128 bytes; a block
 *   of nothing else is done: a flag of all 64 bytes is a word.
 *
 *   Firsts. Whether a well-formed character of n bytes begins at a byte is decided by the byte and the next three alone
 *   (Unicode's table 3-7), so it is decided for all bytes at once, from the text loaded at p, p + 1, p + 2, p + 3. The
 *   n - 1 bytes behind a first one are inside; they follow from the firsts by shifting, the bits that leave the block
 *   being carried into the next. What is beyond ASCII and neither a first nor inside is a bad byte, a symbol. No first
 *   can be inside another character, since bytes inside begin no character.
 *
 *   Classes. Ideographs and hangul are ranges of the first two bytes. Other characters share a row: the 64 code points
 *   that differ in the last byte only, whose classes lie side by side in the table of text/unicode.h. A loop takes the
 *   first character that has no class yet and looks up, in its row, all characters of the block that have the same
 *   beginning. Text of one script has few rows: Cyrillic two, Greek two, Thai two; 128 code points (two rows) at once
 *   where the processor has a look-up that wide. The rows of CJK punctuation (U+3000) and full-width forms (U+FF00)
 *   are looked up in any case: as guesses of a branch they were wrong too often.
 *
 *   Spreading. The flags of a first byte are copied to the bytes inside its character by shifting the whole block's
 *   flags by one, two and three bytes, the last bytes of the block before coming in.
 *
 *     text       "d"   "\xC3" "\xA9"   "\xE4" "\xB8" "\xAD"   "\xFF"
 *     firsts           1      .        1      .      .
 *     inside           .      1        .      1      1
 *     bad                                                      1
 *     flags      lower lower  .        letter .      .         punct
 *     spread     lower lower  lower    letter letter letter    punct
 *
 * Bytes that cannot be read are zeros: the last blocks of the readable text are copied into a block of zeros, where a
 * character that is cut off is found ill-formed.
 *
 * Cost. Blocks of ASCII: a load, the look-up, a few tests. Others some 40 to 80 instructions and about ten for each row
 * behind the first two that Chinese text has (U+3000 and U+FF00), at worst 32 rows: no slower than one by one.
 *
 * Sources: the look-up of classes by nibbles is that of simdjson (Langdale and Lemire, Parsing gigabytes of JSON per
 * second, 2019); the rows, the spreading and the layout are ours. */
#ifndef PM_PRETOK_CLASSES_BLOCK_H
#define PM_PRETOK_CLASSES_BLOCK_H

#include <string.h>

#include "pretok/classes.h"
#include "text/unicode.h"

/* The flags of a byte. The last means CR and LF in ASCII, and Han elsewhere. */
enum {
    FLAG_UPPER = 1,
    FLAG_LOWER = 2,
    FLAG_LETTER = 4,
    FLAG_MARK = 8,
    FLAG_NUMBER = 16,
    FLAG_PUNCT = 32,
    FLAG_SPACE = 64,
    FLAG_TOP = 128
};

/* By the number of a class, as pm_unicode_codes has them: the number of the bit PM_CLASS_*, plus 16 for Han. */
enum { CODE_LETTER = 2, CODE_PUNCT = 7, CODE_OTHER = 9, CODE_HAN = 16, CODE_IDEOGRAPH = CODE_HAN | CODE_LETTER };
#define FLAGS_BY_CODE(top)                                                                                             \
    FLAG_UPPER | (top), FLAG_LOWER | (top), FLAG_LETTER | (top), FLAG_MARK | (top), FLAG_NUMBER | (top),               \
        FLAG_SPACE | (top), (top), FLAG_PUNCT | (top), FLAG_PUNCT | (top), (top), 0, 0, 0, 0, 0, 0

/* ---- tables for processors that look up 64 bytes at once ---- */

#define PM_BLOCK_TABLE __attribute__((aligned(64)))

static const uint8_t pm_ascii_flags[128] PM_BLOCK_TABLE = {
    ['A' ... 'Z'] = FLAG_UPPER,   ['a' ... 'z'] = FLAG_LOWER, ['0' ... '9'] = FLAG_NUMBER, ['!' ... '/'] = FLAG_PUNCT,
    [':' ... '@'] = FLAG_PUNCT,   ['[' ... '`'] = FLAG_PUNCT, ['{' ... '~'] = FLAG_PUNCT,  ['\t'] = FLAG_SPACE,
    ['\v' ... '\f'] = FLAG_SPACE, [' '] = FLAG_SPACE,         ['\n'] = FLAG_TOP,           ['\r'] = FLAG_TOP,
};

/* What a second byte can be, by its low six bits; and what the first byte of two or three (its low six bits again) asks
 * of the second, for the character to be well-formed, an ideograph or a hangul syllable. */
enum { ANY = 1, BELOW_A0 = 2, FROM_A0 = 4, FROM_B8 = 8, TO_BD = 16, FROM_B0 = 32, BELOW_9E = 64, FROM_81_TO_83 = 128 };
static const uint8_t pm_seconds[64] PM_BLOCK_TABLE = {
    [0x00] = ANY | BELOW_A0 | TO_BD | BELOW_9E,
    [0x01 ... 0x03] = ANY | BELOW_A0 | TO_BD | BELOW_9E | FROM_81_TO_83,
    [0x04 ... 0x1D] = ANY | BELOW_A0 | TO_BD | BELOW_9E,
    [0x1E ... 0x1F] = ANY | BELOW_A0 | TO_BD,
    [0x20 ... 0x2F] = ANY | FROM_A0 | TO_BD,
    [0x30 ... 0x37] = ANY | FROM_A0 | TO_BD | FROM_B0,
    [0x38 ... 0x3D] = ANY | FROM_A0 | TO_BD | FROM_B0 | FROM_B8,
    [0x3E ... 0x3F] = ANY | FROM_A0 | FROM_B0 | FROM_B8,
};
static const uint8_t pm_well_formed[64] PM_BLOCK_TABLE = {
    [0x02 ... 0x1F] = ANY, [0x20] = FROM_A0, [0x21 ... 0x2C] = ANY, [0x2D] = BELOW_A0, [0x2E ... 0x2F] = ANY};
static const uint8_t pm_ideographs[64] PM_BLOCK_TABLE = {[0x24] = FROM_B8, [0x25 ... 0x28] = ANY, [0x29] = TO_BD};
static const uint8_t pm_hangul[64] PM_BLOCK_TABLE = {[0x2A] = FROM_B0, [0x2B ... 0x2C] = ANY, [0x2D] = BELOW_9E};

/* ---- small helps ---- */

/* The 64 bytes at text, or copies of the `left` that can be read, with zeros behind; 67 can be read at the result. */
static inline const uint8_t *pm_block_at(const uint8_t *text, size_t left, uint8_t padded[128]) {
    if (left >= 67) {
        return text;
    }
    memset(padded, 0, 128);
    memcpy(padded, text, left);
    return padded;
}

/* Takes away the bits of a word from n < 64 on. */
static inline void pm_class_word_keep(pm_class_word *w, unsigned n) {
    uint64_t *fields = (uint64_t *)w, keep = (UINT64_C(1) << n) - 1;

    for (size_t i = 0; i < sizeof *w / sizeof *fields; i++) {
        fields[i] &= keep;
    }
}

/* Where the rows of a code point's 128 neighbours are. */
static inline const uint8_t *pm_rows_of(uint32_t cp) {
    return pm_unicode_codes + ((size_t)pm_unicode_blocks[cp >> PM_UNICODE_SHIFT] << PM_UNICODE_SHIFT);
}

#endif
