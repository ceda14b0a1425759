/* kinds.h - what Hugging Face's tokenizers take a character for, where it is not what text/unicode.h says.
 *
 * Its pre-tokenizers ask classes of several versions of Unicode (docs/unicode.md has the differences); vocabularies that come from there are cut
 * as they were cut there. The table (kinds_table.h) is made by scripts/make_kinds_table.py. */
#ifndef PM_PRETOK_KINDS_H
#define PM_PRETOK_KINDS_H

#include <stdint.h>

enum {
    PM_CHAR_WORD = 1,    /* \w of Rust's regex */
    PM_CHAR_NUMERIC = 2, /* char::is_numeric */
    PM_CHAR_PUNCT = 4,   /* of ASCII all that is no letter, digit, blank or control; else \p{P} of an older Unicode */
    PM_CHAR_SPACE = 8    /* White_Space */
};

#define PM_KINDS_SHIFT 7
extern const uint8_t pm_kinds_blocks[], pm_kinds_codes[];
extern const uint8_t pm_kinds_script_blocks[], pm_kinds_script_codes[];

static inline unsigned pm_kinds_look_up(const uint8_t *blocks, const uint8_t *codes, uint32_t cp) {
    return codes[(uint32_t)blocks[cp >> PM_KINDS_SHIFT] << PM_KINDS_SHIFT | (cp & ((1u << PM_KINDS_SHIFT) - 1))];
}

/* The PM_CHAR_ bits of a code point up to 0x10FFFF. */
static inline unsigned pm_char_kinds(uint32_t cp) { return pm_kinds_look_up(pm_kinds_blocks, pm_kinds_codes, cp); }

/* The number of its script as UnicodeScripts has them, kana being Han; 0: it goes with any. */
static inline unsigned pm_char_script(uint32_t cp) {
    return pm_kinds_look_up(pm_kinds_script_blocks, pm_kinds_script_codes, cp);
}

#endif
