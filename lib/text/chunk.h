/* chunk.h - the chunks that BytePiece trains on. */
#ifndef PM_TEXT_CHUNK_H
#define PM_TEXT_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PM_CHUNK_CHARACTERS = 10000,
    PM_CHUNK_NEWLINES = 100 /* no chunk is longer than 4 * 10000 + 100 bytes */
};

/* The length in bytes of the chunk that begins at text; len > 0, the result is at least 1. It is what Python's re finds
 * on characters for
 * `.{,10000}\n{1,100}|.{1,10000}`, or with isolate_digits for `\d|[^\n\d]{,10000}\n{1,100}|[^\n\d]{1,10000}`; \d is
 * category Nd. A byte outside well-formed UTF-8 is one character. */
size_t pm_chunk_next(const uint8_t *text, size_t len, bool isolate_digits);

/* Category Nd of Unicode 16. */
bool pm_is_decimal_digit(uint32_t cp);

#endif
