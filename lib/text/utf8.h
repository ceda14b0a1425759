/* utf8.h - reading UTF-8, well-formed as the Unicode standard's table 3-7 has it (no surrogates, no overlong forms). */
#ifndef PM_TEXT_UTF8_H
#define PM_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PM_BAD_BYTE UINT32_C(0xFFFD) /* what a byte outside well-formed UTF-8 reads as */

/* The code point at p < end, and its length in *len. A byte that does not begin a well-formed sequence gives PM_BAD_BYTE and
 * length 1 (U+FFFD itself has length 3). */
static inline uint32_t pm_utf8_read(const uint8_t *p, const uint8_t *end, unsigned *len) {
    uint32_t a = p[0];
    size_t left = (size_t)(end - p);

    *len = 1;
    if (a < 0x80) {
        return a;
    }
    if (a < 0xC2 || a > 0xF4 || left < 2 || (p[1] & 0xC0) != 0x80) {
        return PM_BAD_BYTE;
    }
    uint32_t b = p[1] & 0x3Fu;
    if (a < 0xE0) {
        *len = 2;
        return (a & 0x1F) << 6 | b;
    }
    if (left < 3 || (p[2] & 0xC0) != 0x80) {
        return PM_BAD_BYTE;
    }
    uint32_t c = p[2] & 0x3Fu;
    if (a < 0xF0) {
        uint32_t cp = (a & 0x0F) << 12 | b << 6 | c;
        if (cp < 0x800 || (cp >= 0xD800 && cp < 0xE000)) {
            return PM_BAD_BYTE;
        }
        *len = 3;
        return cp;
    }
    if (left < 4 || (p[3] & 0xC0) != 0x80) {
        return PM_BAD_BYTE;
    }
    uint32_t cp = (a & 0x07) << 18 | b << 12 | c << 6 | (p[3] & 0x3Fu);
    if (cp < 0x10000 || cp > 0x10FFFF) {
        return PM_BAD_BYTE;
    }
    *len = 4;
    return cp;
}

/* Writes a code point's UTF-8 (cp is a scalar value); returns its length. */
static inline unsigned pm_utf8_write(uint32_t cp, uint8_t out[4]) {
    if (cp < 0x80) {
        out[0] = (uint8_t)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (uint8_t)(0xC0 | cp >> 6);
        out[1] = (uint8_t)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (uint8_t)(0xE0 | cp >> 12);
        out[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (cp & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | cp >> 18);
    out[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (cp >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (cp & 0x3F));
    return 4;
}

/* The first place from `at` on where no ASCII is, or `end`; eight bytes at a time. */
static inline size_t pm_utf8_skip_ascii(const uint8_t *text, size_t at, size_t end) {
    uint64_t word;
    while (end - at >= sizeof word &&
           (memcpy(&word, text + at, sizeof word), (word & UINT64_C(0x8080808080808080)) == 0)) {
        at += sizeof word;
    }
    while (at < end && text[at] < 0x80) {
        at++;
    }
    return at;
}

#endif
