/* chunk.c - see chunk.h.
 *
 * The first alternative of the pattern takes up to 10,000 characters and must then see a newline; giving characters
 * back never helps, since none of them is one. So a chunk is the longest run of up to 10,000 characters, and the
 * newlines (up to 100) if they come right behind. */
#include "text/chunk.h"

#include <string.h>

#include "text/digit_table.h"
#include "text/utf8.h"

bool pm_is_decimal_digit(uint32_t cp) {
    if (cp < 0x660) {
        return cp - '0' < 10;
    }
    size_t low = 0, high = sizeof digit_zeros / sizeof *digit_zeros; /* zeros[low] <= cp < zeros[high] */
    while (high - low > 1) {
        size_t mid = (low + high) / 2;
        if (digit_zeros[mid] <= cp) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return cp - digit_zeros[low] < 10;
}

/* The bytes of up to 10,000 characters that are no newline (and no digit); *digit: the first character is a digit, its
 * length. */
static size_t run_length(const uint8_t *text, size_t len, bool isolate_digits, size_t *digit) {
    size_t at = 0;

    *digit = 0;
    for (size_t n = 0; n < PM_CHUNK_CHARACTERS && at < len && text[at] != '\n'; n++) {
        unsigned width;
        uint32_t cp = pm_utf8_read(text + at, text + len, &width);
        if (isolate_digits && pm_is_decimal_digit(cp)) {
            *digit = at == 0 ? width : 0;
            break;
        }
        at += width;
    }
    return at;
}

size_t pm_chunk_next(const uint8_t *text, size_t len, bool isolate_digits) {
    size_t at, digit = 0;

    if (isolate_digits) {
        at = run_length(text, len, true, &digit);
    } else {
        /* A line of at most 10,000 bytes has no more characters than that. */
        size_t look = len < PM_CHUNK_CHARACTERS ? len : PM_CHUNK_CHARACTERS;
        const uint8_t *newline = memchr(text, '\n', look);
        at = newline ? (size_t)(newline - text) : look == len ? len : run_length(text, len, false, &digit);
    }
    if (digit) {
        return digit;
    }
    size_t end = at;
    while (end < len && end - at < PM_CHUNK_NEWLINES && text[end] == '\n') {
        end++;
    }
    return end;
}
