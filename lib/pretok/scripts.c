/* scripts.c - the pattern `scripts` without a regex engine: where one script meets another.
 *
 * Each character is of a group: Latin, Han, kana, Hangul, one of the other scripts (which are one group), of no script
 * (Common: punctuation, digits, white space), or of what stands before it (Inherited: marks, joiners). A pre-token has
 * letters of one group only. It ends behind the last of them, marks included, before the characters of no script that
 * stand between it and a letter of another group; at the end of the text those stay with it. Hiragana and
 * katakana are one group: kana; behind them the long-vowel mark and the half-width voicing marks, which are of no
 * script, belong to it.
 *
 *     text        "LINEで、スーパーkana 漢字."
 *     pre-tokens  "LINE" | "で、スーパー" | "kana" | " 漢字."
 *
 * Cost. Characters of no script are looked at twice where a pre-token ends before them, all others once, each by
 * two look-ups in a table.
 *
 * Source: the regex in names.c, which PCRE2 and Oniguruma read alike; it is the twin in tests. */
#include "pretok/scan.h"
#include "text/script.h"
#include "text/unicode.h"
#include "text/utf8.h"

typedef enum group { NONE, MARK, LATIN, HAN, KANA, HANGUL, OTHER } group;

static group group_of(uint32_t cp) {
    if (cp < 0x80) {
        return (pm_class(cp) & PM_CLASS_LETTER) != 0 ? LATIN : NONE;
    }
    switch (pm_script(cp)) {
    case PM_SCRIPT_COMMON: return NONE;
    case PM_SCRIPT_INHERITED: return MARK;
    case PM_SCRIPT_LATIN: return LATIN;
    case PM_SCRIPT_HAN: return HAN;
    case PM_SCRIPT_HIRAGANA:
    case PM_SCRIPT_KATAKANA: return KANA;
    case PM_SCRIPT_HANGUL: return HANGUL;
    default: return OTHER;
    }
}

/* Is a character of no script that goes on with kana. */
static bool goes_with_kana(uint32_t cp) { return cp == 0x30FC || cp == 0xFF70 || cp == 0xFF9E || cp == 0xFF9F; }

size_t pm_scan_scripts(const uint8_t *text, size_t len, size_t pos) {
    group own = NONE;    /* of the pre-token; NONE: no letter has come yet */
    bool inside = false; /* the character before is a letter of the group, or goes on with it */
    size_t end = pos;
    while (pos < len) {
        unsigned n;
        uint32_t cp = pm_utf8_read(text + pos, text + len, &n);
        group here = group_of(cp);
        if (here > MARK) {
            if (own != NONE && here != own) {
                return end;
            }
            own = here;
            inside = true;
        } else if (here == NONE) {
            inside = inside && own == KANA && goes_with_kana(cp);
        }
        pos += n;
        end = inside ? pos : end;
    }
    return len;
}
