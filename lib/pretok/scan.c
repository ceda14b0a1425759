/* scan.c - the named patterns without a regex engine.
 *
 * Idea. A backtracking engine tries a pattern's alternatives in turn at a position and takes the first that matches.
 * In these patterns each alternative is a few runs of character classes, so what the engine would find in the end can
 * be said directly: look at the class of the first character, walk one or two runs, done. The patterns of one family
 * differ in a handful of choices (rules.h); one body serves the family and the compiler folds the choices into
 * one function a pattern.
 *
 * What backtracking comes to, case by case (X stands for a character of class X, X^n for n of them):
 *
 *   Spaces. `\s*[\r\n]+|\s+(?!\S)|\s+` walks the whole run of white space. If it holds a CR or LF, the first
 *   alternative gives back characters until [\r\n]+ matches: the match ends behind the last CR or LF. Else the second
 *   gives back one character when something follows the run, which then can be the prefix of a word; a run of one
 *   character is left to the third.
 *       "a  \n  b"      ->  "a" "  \n" " " " b"
 *
 *   Cased words (o200k_base, kimi_k2, tekken). Upper case is U, lower case l, and B is both: modifiers, letters
 *   without case, marks. The word is [UB]*[lB]+ if that matches, else [UB]+[lB]*. Walk [UB]* to its end. An l there:
 *   go on through [lB]*. No l: [lB]+ needs a B of the run, and giving back stops at the last one; the match ends
 *   behind it, whatever U follow. No B either: only U, and the second alternative takes them all.
 *       "XMLHttp"       ->  "XMLHttp"
 *       "\u65E5ABC"     ->  "\u65E5" "ABC"
 *
 *   The prefix `[^\r\n\p{L}\p{N}]?` is taken when a word follows. A mark can be prefix or word: if only U^n follow,
 *   the first alternative fails with it as prefix, then matches the mark alone, before the second gets its turn.
 *       "\u0301ABC"     ->  "\u0301" "ABC"
 *
 *   Contractions. (?i:'s) matches U+017F (long s) too: simple case folding maps it to s. No other letter of the list
 *   has such a relative.
 *
 *   Phrases (superbpe). `(?: [\p{L}\p{M}]+..)*` behind a word: as long as a single blank and a word follow. A mark as a
 *   prefix changes nothing: it would be the word's first character, and the match ends at the same place.
 *       "one two  three, four"   ->  "one two" " " " three" "," " four"
 *
 *   Punctuation. `[^\s\p{L}\p{N}]+[\r\n/]*` never has to give back anything.
 *
 *   deepseek_v3 is three regexes in turn, each on the pieces of the former: groups of up to three \p{N}; runs of the
 *   CJK range; in what is between and within those runs, the third. So each character belongs to a zone (number, CJK,
 *   other), a piece of the third regex ends at the zone's end at the latest, and its (?!\S) sees the end of text
 *   there. What the third does not match (controls, formats, unassigned) is a piece up to where its next match begins.
 *       "a  1"          ->  "a" "  " "1"        (cl100k_base: "a" " " " " "1")
 *       "\x01\x01\x01a" ->  "\x01\x01" "\x01a"  (the last \x01 is a prefix)
 *
 * Cost. A scan looks at the characters of its pre-token and at most at one run behind it: spaces behind the last
 * newline, U behind the last B, U behind a mark. The next one or two pre-tokens take that run whole, so a character
 * is looked at a fixed number of times and any document takes linear time. Words of ASCII letters are walked eight
 * bytes at a time in a 64-bit register, CJK ideographs without the table.
 *
 * Sources: the regexes in names.c. Bytes that are no UTF-8 read as U+FFFD, a symbol, of length one. */
#include "pretok/scan.h"

#include <stdbool.h>
#include <string.h>

#include "text/unicode.h"
#include "text/utf8.h"

#define INLINE static inline __attribute__((always_inline))

/* Sets of classes that patterns speak of. */
enum {
    WHITE = PM_CLASS_SPACE | PM_CLASS_NEWLINE,                                       /* \s */
    PUNCTUATION = PM_CLASS_MARK | PM_CLASS_PUNCT | PM_CLASS_SYMBOL | PM_CLASS_OTHER, /* [^\s\p{L}\p{N}] */
    UPPER = PM_CLASS_LU | PM_CLASS_LO | PM_CLASS_MARK,                               /* U and B */
    LOWER = PM_CLASS_LL | PM_CLASS_LO | PM_CLASS_MARK,                               /* l and B */
    BOTH = PM_CLASS_LO | PM_CLASS_MARK                                               /* B */
};

/* ---- characters and runs ---- */

/* ASCII begins the table's first block, and none of it is Han. */
INLINE uint32_t ascii_class(uint8_t byte) { return UINT32_C(1) << pm_unicode_codes[byte]; }

/* The class of the character at pos < len, and its length. */
INLINE uint32_t class_at(const uint8_t *text, size_t len, size_t pos, unsigned *n) {
    if (text[pos] < 0x80) {
        *n = 1;
        return ascii_class(text[pos]);
    }
    return pm_class(pm_utf8_read(text + pos, text + len, n));
}

/* True when U+4E00..U+9FFF begins at pos: class LO and Han, three bytes. */
INLINE bool ideograph_at(const uint8_t *text, size_t len, size_t pos) {
    if (len - pos < 3) {
        return false;
    }
    unsigned lead = (unsigned)text[pos] << 8 | text[pos + 1];
    return lead - 0xE4B8u <= 0xE9BFu - 0xE4B8u && (text[pos + 1] & 0xC0) == 0x80 && (text[pos + 2] & 0xC0) == 0x80;
}

/* 0x80 in each byte of x that is in first..last (ASCII), 0 in the others. */
INLINE uint64_t bytes_in_range(uint64_t x, uint8_t first, uint8_t last) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t low = x & ones * 0x7F;
    uint64_t reached = low + ones * (0x80u - first);
    uint64_t passed = low + ones * (0x7Fu - last);
    return reached & ~passed & ~x & ones * 0x80;
}

/* How many of the eight bytes at p are, from the first on, ASCII letters (lower case only, if so asked). */
INLINE unsigned letters_in_word(const uint8_t *p, bool lower_only) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
    uint64_t other =
        ~bytes_in_range(lower_only ? x : x | UINT64_C(0x2020202020202020), 'a', 'z') & UINT64_C(0x8080808080808080);
    if (other == 0) {
        return 8;
    }
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return (unsigned)__builtin_clzll(other) >> 3;
#else
    return (unsigned)__builtin_ctzll(other) >> 3;
#endif
}

/* The end of the run of characters in `set` that begins at pos; with `no_han`, Han characters are not in the set. */
INLINE size_t run(const uint8_t *text, size_t len, size_t pos, uint32_t set, bool no_han) {
    if ((set & PM_CLASS_LL) != 0) {
        unsigned n = 8;
        while (n == 8 && len - pos >= 8) {
            n = letters_in_word(text + pos, (set & PM_CLASS_LU) == 0);
            pos += n;
        }
    }
    while (pos < len) {
        unsigned n = 1;
        uint8_t byte = text[pos];
        if (byte < 0x80) {
            if ((ascii_class(byte) & set) == 0) {
                return pos;
            }
        } else if ((set & (PM_CLASS_LO | PM_CLASS_HAN)) != 0 && ideograph_at(text, len, pos)) {
            if (no_han) {
                return pos;
            }
            n = 3;
        } else {
            uint32_t class = pm_class(pm_utf8_read(text + pos, text + len, &n));
            if ((class & set) == 0 || (no_han && (class & PM_CLASS_HAN) != 0)) {
                return pos;
            }
        }
        pos += n;
    }
    return pos;
}

/* ---- parts of patterns ---- */

/* The end of the white space that is a pre-token of its own, from white space at pos on:
 * [`\s*[\r\n]+|`]`\s+(?!\S)|\s+`. */
INLINE size_t white_space(const uint8_t *text, size_t len, size_t pos, bool newline_rule) {
    size_t end = pos, last = pos, behind_newline = 0;
    while (end < len) {
        unsigned n;
        uint32_t class = class_at(text, len, end, &n);
        if ((class & WHITE) == 0) {
            break;
        }
        last = end;
        end += n;
        if (newline_rule && (class & PM_CLASS_NEWLINE) != 0) {
            behind_newline = end;
        }
    }
    if (behind_newline != 0) {
        return behind_newline;
    }
    return end == len || last == pos ? end : last;
}

/* The end of at most max characters of \p{N}, the first of which ends at pos. */
INLINE size_t more_digits(const uint8_t *text, size_t len, size_t pos, unsigned max) {
    for (unsigned i = 1; i < max && pos < len; i++) {
        unsigned n;
        if ((class_at(text, len, pos, &n) & PM_CLASS_NUMBER) == 0) {
            break;
        }
        pos += n;
    }
    return pos;
}

/* The end of `[\r\n]*`, or of `[\r\n/]*`. */
INLINE size_t line_ends(const uint8_t *text, size_t len, size_t pos, bool slash) {
    while (pos < len && (text[pos] == '\n' || text[pos] == '\r' || (slash && text[pos] == '/'))) {
        pos++;
    }
    return pos;
}

/* The end of the cased word at pos, or pos when there is none. *only_upper: it matched the second alternative alone, as
 * U^n. */
INLINE size_t cased_word(const uint8_t *text, size_t len, size_t pos, bool no_han, bool *only_upper) {
    size_t end = pos, behind_both = 0;
    *only_upper = false;
    while (end < len) {
        unsigned n = 1;
        uint32_t class;
        uint8_t byte = text[end];
        if (byte < 0x80) {
            class = ascii_class(byte);
        } else if (ideograph_at(text, len, end)) {
            class = PM_CLASS_LO | PM_CLASS_HAN;
            n = 3;
        } else {
            class = pm_class(pm_utf8_read(text + end, text + len, &n));
        }
        if (no_han && (class & PM_CLASS_HAN) != 0) {
            break;
        }
        if ((class & PM_CLASS_LL) != 0) {
            return run(text, len, end, LOWER, no_han);
        }
        if ((class & UPPER) == 0) {
            break;
        }
        end += n;
        if ((class & BOTH) != 0) {
            behind_both = end;
        }
    }
    if (behind_both != 0) {
        return behind_both;
    }
    *only_upper = end > pos;
    return end;
}

/* The end of a word at pos, its contraction included, or pos when there is none. */
INLINE size_t word(const uint8_t *text, size_t len, size_t pos, const pm_rules *r, bool *only_upper) {
    size_t end;
    if (r->cased) {
        end = cased_word(text, len, pos, r->han_apart, only_upper);
    } else {
        end = run(text, len, pos, r->phrases ? PM_CLASS_LETTER | PM_CLASS_MARK : PM_CLASS_LETTER, false);
    }
    return r->contraction == PM_CONTRACTION_AFTER && end > pos ? pm_contraction_end(text, len, end, true) : end;
}

/* word(), or with `phrases` as many words as stand there with single blanks between them. */
INLINE size_t words(const uint8_t *text, size_t len, size_t pos, const pm_rules *r, bool *only_upper) {
    size_t end = word(text, len, pos, r, only_upper), next = end;
    while (r->phrases && next > pos && len - next > 1 && text[next] == ' ') {
        pos = next + 1;
        next = word(text, len, pos, r, only_upper);
        end = next > pos ? next : end;
    }
    return end;
}

/* ---- the families ---- */

/* One pre-token of a pattern of the cl100k_base and o200k_base families. */
INLINE size_t scan_cl100k(const uint8_t *text, size_t len, size_t pos, const pm_rules *r) {
    unsigned n;
    bool only_upper = false;
    uint32_t class = class_at(text, len, pos, &n);
    size_t next = pos + n;

    if (r->han_apart && (class & PM_CLASS_HAN) != 0) {
        return run(text, len, next, PM_CLASS_HAN, false);
    }
    if ((class & (r->phrases ? PM_CLASS_LETTER | PM_CLASS_MARK : PM_CLASS_LETTER)) != 0) {
        return words(text, len, pos, r, &only_upper);
    }
    if ((class & PM_CLASS_NUMBER) != 0) {
        return more_digits(text, len, next, r->digits);
    }
    if ((class & PM_CLASS_NEWLINE) != 0) {
        return white_space(text, len, pos, true);
    }
    if (r->contraction == PM_CONTRACTION_FIRST && text[pos] == '\'') {
        size_t end = pm_contraction_end(text, len, pos, true);
        if (end > pos) {
            return end;
        }
    }
    size_t end = words(text, len, next, r, &only_upper); /* the character at pos is its prefix */
    if (r->cased && (class & PM_CLASS_MARK) != 0 && (end == next || only_upper)) {
        bool contracted = r->contraction == PM_CONTRACTION_AFTER; /* the mark is the word */
        return contracted ? pm_contraction_end(text, len, next, true) : next;
    }
    if (end > next) {
        return end;
    }
    if ((class & PM_CLASS_SPACE) != 0) {
        if (text[pos] != ' ' || next == len || (class_at(text, len, next, &n) & PUNCTUATION) == 0) {
            return white_space(text, len, pos, true);
        }
    }
    return line_ends(text, len, run(text, len, next, PUNCTUATION, false), r->slash);
}

/* gpt2: an optional space, then a run of letters, of numbers or of the rest. */
INLINE size_t scan_gpt2(const uint8_t *text, size_t len, size_t pos) {
    unsigned n;
    uint32_t class = class_at(text, len, pos, &n);
    size_t next = pos + n;

    if (text[pos] == '\'') {
        size_t end = pm_contraction_end(text, len, pos, false);
        if (end > pos) {
            return end;
        }
    } else if (text[pos] == ' ' && next < len) {
        uint32_t second = class_at(text, len, next, &n);
        if ((second & WHITE) == 0) {
            class = second;
            next += n;
        }
    }
    if ((class & PM_CLASS_LETTER) != 0) {
        return run(text, len, next, PM_CLASS_LETTER, false);
    }
    if ((class & PM_CLASS_NUMBER) != 0) {
        return run(text, len, next, PM_CLASS_NUMBER, false);
    }
    if ((class & WHITE) != 0) {
        return white_space(text, len, pos, false);
    }
    return run(text, len, next, PUNCTUATION, false);
}

/* ---- deepseek_v3 ---- */

enum { PUNCT_SYMBOL = PM_CLASS_PUNCT | PM_CLASS_SYMBOL, LETTER_MARK = PM_CLASS_LETTER | PM_CLASS_MARK };

/* The class of the character at pos if it belongs to this zone (CJK or other); 0 where the zone or the text ends.
 * Numbers end both. */
INLINE uint32_t class_in_zone(const uint8_t *text, size_t len, size_t pos, bool cjk, unsigned *n) {
    *n = 1;
    if (pos >= len) {
        return 0;
    }
    uint32_t cp = text[pos];
    uint32_t class;
    if (cp < 0x80) {
        class = cjk ? 0 : ascii_class((uint8_t)cp);
    } else {
        cp = pm_utf8_read(text + pos, text + len, n);
        class = pm_is_cjk(cp) == cjk ? pm_class(cp) : 0;
    }
    return (class & PM_CLASS_NUMBER) != 0 ? 0 : class;
}

/* The end of the run of characters in `set` within the zone. */
INLINE size_t run_in_zone(const uint8_t *text, size_t len, size_t pos, uint32_t set, bool cjk) {
    unsigned n = 8;
    if (!cjk && (set & PM_CLASS_LETTER) != 0) {
        while (n == 8 && len - pos >= 8) {
            n = letters_in_word(text + pos, false);
            pos += n;
        }
    }
    for (;;) {
        if (cjk && (set & PM_CLASS_LETTER) != 0 && ideograph_at(text, len, pos) && text[pos] < 0xE9) {
            n = 3; /* U+4E00..U+8FFF */
        } else if ((class_in_zone(text, len, pos, cjk, &n) & set) == 0) {
            return pos;
        }
        pos += n;
    }
}

/* The end of `[\p{P}\p{S}]+[\r\n]*` from pos on; CR and LF are not of the CJK zone. */
INLINE size_t punctuation_in_zone(const uint8_t *text, size_t len, size_t pos, bool cjk) {
    size_t end = run_in_zone(text, len, pos, PUNCT_SYMBOL, cjk);
    return cjk ? end : line_ends(text, len, end, false);
}

/* white_space() within a zone: (?!\S) holds at its end. */
INLINE size_t white_space_in_zone(const uint8_t *text, size_t len, size_t pos, bool cjk) {
    size_t end = pos, last = pos, behind_newline = 0;
    unsigned n;
    uint32_t class;
    while (((class = class_in_zone(text, len, end, cjk, &n)) & WHITE) != 0) {
        last = end;
        end += n;
        if ((class & PM_CLASS_NEWLINE) != 0) {
            behind_newline = end;
        }
    }
    if (behind_newline != 0) {
        return behind_newline;
    }
    return class == 0 || last == pos ? end : last;
}

/* The end of what the third regex does not match: characters of class OTHER from pos on, but the last where it is the
 * prefix of a word. */
INLINE size_t unmatched_in_zone(const uint8_t *text, size_t len, size_t pos, bool cjk) {
    size_t end = pos, last = pos;
    unsigned n;
    uint32_t class;
    while (((class = class_in_zone(text, len, end, cjk, &n)) & PM_CLASS_OTHER) != 0) {
        last = end;
        end += n;
    }
    return (class & LETTER_MARK) != 0 ? last : end;
}

/* All three regexes: groups of numbers, and zones (in each of which the third is at work). */
INLINE size_t scan_deepseek(const uint8_t *text, size_t len, size_t pos) {
    unsigned n;
    uint32_t cp = pm_utf8_read(text + pos, text + len, &n);
    uint32_t class = pm_class(cp);
    bool cjk = pm_is_cjk(cp);
    size_t next = pos + n;

    if ((class & PM_CLASS_NUMBER) != 0) {
        return more_digits(text, len, next, 3);
    }
    if ((class & PM_CLASS_LETTER) != 0) {
        return run_in_zone(text, len, next, LETTER_MARK, cjk);
    }
    uint32_t second = class_in_zone(text, len, next, cjk, &n);
    if ((class & PUNCT_SYMBOL) != 0) {
        if (cp < 0x80 && next < len && text[next] < 0x80 && (second & PM_CLASS_LETTER) != 0) { /* `[!"#...][A-Za-z]+` */
            while (next < len && text[next] < 0x80 && (ascii_class(text[next]) & PM_CLASS_LETTER) != 0) {
                next++;
            }
            return next;
        }
        return punctuation_in_zone(text, len, next, cjk);
    }
    if ((class & PM_CLASS_MARK) != 0 || ((class & PM_CLASS_NEWLINE) == 0 && (second & LETTER_MARK) != 0)) {
        return run_in_zone(text, len, next, LETTER_MARK, cjk);
    }
    if (cp == ' ' && (second & PUNCT_SYMBOL) != 0) {
        return punctuation_in_zone(text, len, next, cjk);
    }
    if ((class & WHITE) != 0) {
        return white_space_in_zone(text, len, pos, cjk);
    }
    return unmatched_in_zone(text, len, pos, cjk);
}

/* ---- the named patterns ---- */

INLINE size_t scan(const uint8_t *text, size_t len, size_t pos, const pm_rules *r) {
    switch (r->family) {
    case PM_FAMILY_GPT2: return scan_gpt2(text, len, pos);
    case PM_FAMILY_DEEPSEEK: return scan_deepseek(text, len, pos);
    default: return scan_cl100k(text, len, pos, r);
    }
}

#define DEFINE_SCAN(name, ...)                                                                                         \
    size_t pm_scan_##name(const uint8_t *text, size_t len, size_t pos) {                                               \
        static const pm_rules r = {__VA_ARGS__};                                                                       \
        return scan(text, len, pos, &r);                                                                               \
    }
PM_RULES(DEFINE_SCAN)
PM_SCANNED_RULES(DEFINE_SCAN)
