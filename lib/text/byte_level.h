/* byte_level.h - a character that can be seen for each byte, as GPT-2's vocabulary and those after it are written. */
#ifndef PM_TEXT_BYTE_LEVEL_H
#define PM_TEXT_BYTE_LEVEL_H

#include "base/alloc.h"

/* The code point that stands for a byte: itself for 33-126, 161-172 and 174-255, else U+0100 and following. */
uint32_t pm_byte_character(uint8_t byte);
/* The byte that a code point stands for, or -1. */
int pm_byte_of_character(uint32_t character);

/* Appends one character (UTF-8) for each byte. */
pm_status pm_byte_level_append(pm_buf *out, pm_bytes bytes, pm_error *err);
/* Appends one byte for each character; false, and out keeps its length: some character stands for no byte. Room for
 * text.len bytes must have been reserved. */
bool pm_byte_level_decode(pm_buf *out, pm_bytes text);

#endif
