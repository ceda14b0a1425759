/* oniguruma.c - see oniguruma.h.
 *
 * A regex means here what it means in Rust where the two differ and it is not refused (dialect.c). A tokenizer.json is
 * read by Oniguruma, so its regexes are put in other words when they come in and when they go out:
 *
 *            here                                   Oniguruma
 *   ^        the begin of the text                  of each line: behind a \n, but not behind a \n that ends the text
 *   $        the end of the text                    of each line: before a \n too
 *   \w       Alphabetic, L, M, Nd, Pc, joiners      the first four and Pc; outside of classes also B2 B3 B9 BC BD BE
 *   \b       by that \w                             by its \w outside of classes
 *
 *     a tokenizer.json with            \s+$            loaded as   \s+(?=\n|\z)
 *     a pattern trained with here      \s+$            saved as    \s+\z
 *
 * What the words are made of means the same in both (tests/cases/dialect.txt), so a regex that went through one
 * direction comes through the other unchanged. One pass, token by token; a token is an escape, a comment, one
 * character, or the begin of a class, where ^ and ] may follow that are no operators.
 *
 * Source: Oniguruma 6.9, regexec.c (BEGIN_LINE, END_LINE), unicode.c; each row tried in tokenizers 0.23.3 over all code
 * points. */
#include "pretok/oniguruma.h"

#define LIST "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}"
#define OURS LIST "\\x{200C}\\x{200D}"
#define THEIRS LIST "\\x{B2}\\x{B3}\\x{B9}\\x{BC}\\x{BD}\\x{BE}"
#define WORD(word)                                                                                                     \
    "(?-i:[" word "])" /* folding case leads to no other character, but a property under (?i) is refused */
#define NO_WORD(word) "(?-i:[^" word "])"
#define EDGE(word) "(?-i:(?<=[" word "])(?![" word "])|(?<![" word "])(?=[" word "]))"
#define NO_EDGE(word) "(?-i:(?<=[" word "])(?=[" word "])|(?<![" word "])(?![" word "]))"

/* What to write for the constructs that differ. */
typedef struct words {
    const char *begin, *end;              /* ^ $ */
    const char *word, *not_word;          /* \w \W outside of classes */
    const char *class_word, *class_other; /* and inside */
    const char *edge, *no_edge;           /* \b \B */
} words;

static const words from_oniguruma = {
    .begin = "(?:\\A|(?<=\\n)(?!\\z))",
    .end = "(?=\\n|\\z)",
    .word = WORD(THEIRS),
    .not_word = NO_WORD(THEIRS),
    .class_word = LIST,
    .class_other = "[^" LIST "]",
    .edge = EDGE(THEIRS),
    .no_edge = NO_EDGE(THEIRS),
};
static const words to_oniguruma = {
    .begin = "\\A",
    .end = "\\z",
    .word = WORD(OURS),
    .not_word = NO_WORD(OURS),
    .class_word = OURS,
    .class_other = "[^" OURS "]",
    .edge = EDGE(OURS),
    .no_edge = NO_EDGE(OURS),
};

/* The words for the escape of one letter, NULL: it means the same in both. */
static const char *words_for_escape(const words *w, uint8_t letter, bool in_class) {
    switch (letter) {
    case 'w': return in_class ? w->class_word : w->word;
    case 'W': return in_class ? w->class_other : w->not_word;
    case 'b': return in_class ? NULL : w->edge;
    case 'B': return in_class ? NULL : w->no_edge;
    default: return NULL;
    }
}

/* Where the token that begins at `at` ends, in a regex that may have any fault. */
static size_t token_end(pm_bytes regex, size_t at, bool in_class) {
    const uint8_t *p = regex.data + at;
    size_t left = regex.len - at, end = 1;

    if (p[0] == '\\' && left > 1) {
        end = 2;
        if (left > 2 && (p[1] == 'p' || p[1] == 'P') && p[2] == '{') { /* \p{^L} */
            const uint8_t *close = memchr(p, '}', left);
            end = close ? (size_t)(close - p) + 1 : left;
        }
    } else if (p[0] == '[') {
        end += left > end && p[end] == '^';
        end += left > end && p[end] == ']';
    } else if (!in_class && left > 2 && memcmp(p, "(?#", 3) == 0) {
        const uint8_t *close = memchr(p, ')', left);
        end = close ? (size_t)(close - p) + 1 : left;
    }
    return at + end;
}

static pm_status rewrite(const words *w, pm_buf *out, pm_bytes regex, pm_error *err) {
    size_t depth = 0; /* of classes */

    for (size_t at = 0, end; at < regex.len; at = end) {
        const uint8_t *p = regex.data + at;
        const char *other = NULL;
        end = token_end(regex, at, depth > 0);
        if (p[0] == '\\' && end == at + 2) {
            other = words_for_escape(w, p[1], depth > 0);
        } else if (p[0] == '[') {
            depth++;
        } else if (p[0] == ']') {
            depth -= depth > 0;
        } else if (depth == 0 && (p[0] == '^' || p[0] == '$')) {
            other = p[0] == '^' ? w->begin : w->end;
        }
        PM_TRY(other ? pm_buf_append(out, other, strlen(other), err) : pm_buf_append(out, p, end - at, err));
    }
    return PM_OK;
}

pm_status pm_regex_from_oniguruma(pm_buf *out, pm_bytes regex, pm_error *err) {
    return rewrite(&from_oniguruma, out, regex, err);
}

pm_status pm_regex_to_oniguruma(pm_buf *out, pm_bytes regex, pm_error *err) {
    return rewrite(&to_oniguruma, out, regex, err);
}
