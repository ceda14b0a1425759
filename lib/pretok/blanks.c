/* blanks.c - the pattern `sentencepiece` without a regex engine: words begin at blanks.
 *
 * A word is a blank and what follows up to the next one; U+2581, as which sentencepiece writes a blank, is one as well. A line feed is
 * alone: sentencepiece reads lines and never sees it.
 *
 *     text        "to be\n\n  or"
 *     pre-tokens  "to" | " be" | "\n" | "\n" | " " | " or"
 *
 * Cost: each byte is looked at once, and the one behind a pre-token once more. Source: SplitIntoWords in sentencepiece's
 * model_interface.cc; the regex in names.c is the twin in tests. */
#include "pretok/scan.h"
#include "text/characters.h"

/* Bytes of the blank at p, 0: there is none. */
static inline size_t blank_at(const uint8_t *p, size_t left) {
    enum { MARK_BYTES = sizeof PM_BLANK_MARK_UTF8 - 1 };
    if (*p == PM_BLANK) {
        return 1;
    }
    return *p == 0xE2 && left >= MARK_BYTES && memcmp(p, PM_BLANK_MARK_UTF8, MARK_BYTES) == 0 ? MARK_BYTES : 0;
}

size_t pm_scan_sentencepiece(const uint8_t *text, size_t len, size_t pos) {
    if (text[pos] == '\n') {
        return pos + 1;
    }
    size_t blank = blank_at(text + pos, len - pos);
    pos += blank ? blank : 1;
    while (pos < len && text[pos] != '\n' && !blank_at(text + pos, len - pos)) {
        pos++;
    }
    return pos;
}
