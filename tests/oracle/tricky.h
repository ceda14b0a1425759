/* tricky.h - random text made of the characters that splitting patterns tell apart, and of those that only seem to
 * belong to them. */
#ifndef PM_ORACLE_TRICKY_H
#define PM_ORACLE_TRICKY_H

#include <stdint.h>

#include "text/utf8.h"

/* Code points; TRICKY_BYTE(b) is the byte b alone. */
#define TRICKY_BYTE(b) (UINT32_C(0x80000000) | (b))

static const uint32_t tricky_characters[] = {
    /* white space, and what looks like it */
    ' ', ' ', ' ', '\n', '\n', '\r', '\t', 0x0B, 0x85, 0xA0, 0x3000, 0x2028, 0x180E, 0x200B, 0xFEFF,
    /* contractions; the long s is an s to (?i), the Kelvin sign a k, the ligature of s and t neither */
    '\'', '\'', '\'', 's', 't', 'm', 'd', 'r', 'e', 'v', 'l', 'S', 'T', 'L', 'E', 0x17F, 0x212A, 0xFB06, 0x2019,
    /* letters: both cases, title case, modifier, without case, beyond 16 bits, new in Unicode 16 */
    'a', 'b', 'z', 'A', 'Z', 0xE9, 0xC9, 0x1C5, 0x2B0, 0xAA, 0x5D0, 0x430, 0x410, 0xAC00, 0x10400, 0x10428, 0x10D50,
    0x10D70,
    /* Han: letters, at the ends of ranges, a number, a mark, symbols and punctuation */
    0x4E00, 0x9FA5, 0x9FA6, 0x9FFF, 0x3400, 0x4DBF, 0x4DC0, 0x20000, 0x323AF, 0x323B0, 0x3005, 0x3007, 0x2E80, 0x3021,
    0x16FF0, 0x16FE2,
    /* kana: letters, marks, punctuation, symbols, unassigned */
    0x3041, 0x30A2, 0x30FB, 0x30A0, 0x309B, 0x3099, 0x3040, 0x3097, 0x30FC, 0x30FF, 0x31F0,
    /* numbers, marks */
    '0', '1', '9', 0xFF11, 0xB2, 0xBD, 0x660, 0x301, 0x302, 0x20DD, 0x93E, 0xFE0F,
    /* punctuation and symbols, neighbours of ASCII letters */
    '!', '.', '/', '/', '-', '_', '$', '@', '[', '`', '{', '~', '#', 0x3002, 0xFF0C, 0x1F600, 0xFFFD, 0x20AC,
    /* controls, formats, private use, unassigned */
    0x00, 0x01, 0x7F, 0xAD, 0x200D, 0xE000, 0x378, 0x10FFFF,
    /* bytes that are no UTF-8 */
    TRICKY_BYTE(0x80), TRICKY_BYTE(0xBF), TRICKY_BYTE(0xC5), TRICKY_BYTE(0xE4), TRICKY_BYTE(0xE5), TRICKY_BYTE(0xF0),
    TRICKY_BYTE(0xFF)};

enum { TRICKY_N = sizeof tricky_characters / sizeof *tricky_characters, TRICKY_MAX_LENGTH = 4 };

/* Writes one of them; returns its length. */
static unsigned tricky_write(uint32_t number, uint8_t *out) {
    uint32_t cp = tricky_characters[number % TRICKY_N];
    if (cp >= UINT32_C(0x80000000)) {
        *out = (uint8_t)cp;
        return 1;
    }
    return pm_utf8_write(cp, out);
}

#endif
