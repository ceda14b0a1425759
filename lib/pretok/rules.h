/* rules.h - the named patterns as rules: one row a pattern, for the scanner (scan.c) and the search of starts (starts.c).
 *
 * A row's regexes stand in names.c. Both files compile one body with each row as a constant, so the compiler folds the
 * choices into one function a pattern. A next model's pattern of these families is a row here and one in names.c. */
#ifndef PM_PRETOK_RULES_H
#define PM_PRETOK_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum pm_family {
    PM_FAMILY_GPT2,    /* a blank is the prefix of all but white space; line ends are white space as any other */
    PM_FAMILY_CL100K,  /* [^\r\n\p{L}\p{N}]? is the prefix of words; a pre-token of white space ends behind a line end */
    PM_FAMILY_DEEPSEEK /* three regexes in turn, so zones; words are [\p{L}\p{M}]+ */
} pm_family;

typedef enum pm_contraction {
    PM_CONTRACTION_NONE,
    PM_CONTRACTION_FIRST, /* an alternative of its own, before words */
    PM_CONTRACTION_AFTER  /* an optional end of a word */
} pm_contraction;

typedef struct pm_rules {
    pm_family family;
    pm_contraction contraction; /* in gpt2 lower case only */
    unsigned digits;            /* \p{N}{1,digits}; 0: \p{N}+ */
    bool cased;                 /* words are [UB]*[lB]+ or [UB]+[lB]* (see scan.c), else \p{L}+ */
    bool han_apart;             /* [\p{Han}]+ before all else, and no Han in words */
    bool slash;                 /* punctuation is followed by [\r\n/]*, else by [\r\n]* */
    bool phrases;               /* words are [\p{L}\p{M}]+, and those with single blanks between them are one pre-token */
} pm_rules;

/* clang-format off */
#define PM_RULES(ROW) \
    ROW(gpt2,        .family = PM_FAMILY_GPT2,     .contraction = PM_CONTRACTION_FIRST) \
    ROW(cl100k,      .family = PM_FAMILY_CL100K,   .contraction = PM_CONTRACTION_FIRST, .digits = 3) \
    ROW(qwen2,       .family = PM_FAMILY_CL100K,   .contraction = PM_CONTRACTION_FIRST, .digits = 1) \
    ROW(o200k,       .family = PM_FAMILY_CL100K,   .contraction = PM_CONTRACTION_AFTER, .digits = 3, .cased = true, .slash = true) \
    ROW(tekken,      .family = PM_FAMILY_CL100K,                                        .digits = 1, .cased = true, .slash = true) \
    ROW(kimi_k2,     .family = PM_FAMILY_CL100K,   .contraction = PM_CONTRACTION_AFTER, .digits = 3, .cased = true, .han_apart = true) \
    ROW(deepseek_v3, .family = PM_FAMILY_DEEPSEEK,                                      .digits = 3)

/* Rows for the scanner alone. */
#define PM_SCANNED_RULES(ROW) \
    ROW(superbpe,    .family = PM_FAMILY_CL100K,   .contraction = PM_CONTRACTION_AFTER, .digits = 3, .slash = true, .phrases = true)
/* clang-format on */

/* Where the contraction `(?i:'s|'t|'re|'ve|'m|'ll|'d)` that begins at text[pos], pos < len, ends; pos: there is none.
 * Without any_case, in lower case only. (?i) folds U+017F (long s) to s. No branch asks which it is: nobody can foresee
 * that. */
static inline size_t pm_contraction_end(const uint8_t *text, size_t len, size_t pos, bool any_case) {
    const uint32_t one_letter = 1u << ('s' - 'a') | 1u << ('t' - 'a') | 1u << ('m' - 'a') | 1u << ('d' - 'a');
    const uint32_t before_e = 1u << ('r' - 'a') | 1u << ('v' - 'a'), before_l = 1u << ('l' - 'a');

    if (len - pos < 2 || text[pos] != '\'') {
        return pos;
    }
    uint8_t fold = any_case ? 0x20 : 0, second = len - pos > 2 ? text[pos + 2] : 0;
    unsigned letter = (text[pos + 1] | fold) - (unsigned)'a';
    if (letter >= 26) {
        return any_case && text[pos + 1] == 0xC5 && second == 0xBF ? pos + 3 : pos; /* U+017F */
    }
    second |= fold;
    uint32_t two_letters = (second == 'e' ? before_e : 0) | (second == 'l' ? before_l : 0);
    return pos + 2 * (one_letter >> letter & 1) + 3 * (two_letters >> letter & 1);
}

#endif
