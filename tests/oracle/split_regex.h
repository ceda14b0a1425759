/* split_regex.h - the slow, obvious twin of the scanners: a backtracking matcher for the regexes of the named patterns,
 * read from their text.
 *
 * It knows what those regexes use and no more: alternatives, (?:..), (?i:..), (?!X) on one class, \z, [..] with ranges,
 * escapes, \p{..}, ^ and &&, and the quantifiers ? * + {m,n}, greedy. A class is a table with one bit a code point. The text is
 * an array of code points; a bad byte is U+FFFD. The program is the usual one of a backtracking machine: CLASS,
 * NOT_AHEAD, AT_END, SPLIT (first, then second on failure), JUMP, MATCH; jumps are relative, so that a block can be moved to
 * put a SPLIT before it. Unknown syntax aborts. */
#ifndef PM_ORACLE_SPLIT_REGEX_H
#define PM_ORACLE_SPLIT_REGEX_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/script.h"
#include "text/unicode.h"
#include "text/utf8.h"

enum { ORACLE_MAX_OPS = 512, ORACLE_N_CODE_POINTS = 0x110000 };

typedef struct oracle_op {
    enum { ORACLE_CLASS, ORACLE_NOT_AHEAD, ORACLE_AT_END, ORACLE_SPLIT, ORACLE_JUMP, ORACLE_MATCH } kind;
    uint8_t *set; /* CLASS, NOT_AHEAD */
    int a, b;     /* where to go on, relative: SPLIT to a, else b; JUMP to a */
} oracle_op;

typedef struct oracle_regex {
    oracle_op ops[ORACLE_MAX_OPS];
    int n_ops;
    const uint8_t *p, *end; /* what is left to read of the pattern */
    bool any_case;
} oracle_regex;

static void *oracle_check(void *p) {
    if (!p) {
        abort();
    }
    return p;
}

/* ---- reading a pattern ---- */

static bool oracle_has(const uint8_t *set, uint32_t cp) { return (set[cp / 8] >> cp % 8 & 1) != 0; }

static void oracle_put(uint8_t *set, uint32_t cp) { set[cp / 8] = (uint8_t)(set[cp / 8] | 1 << cp % 8); }

static uint8_t *oracle_new_set(void) { return oracle_check(calloc(ORACLE_N_CODE_POINTS / 8, 1)); }

static uint32_t oracle_next_char(oracle_regex *r) {
    unsigned n;
    if (r->p >= r->end) {
        abort();
    }
    uint32_t cp = pm_utf8_read(r->p, r->end, &n);
    r->p += n;
    return cp;
}

static bool oracle_accept(oracle_regex *r, const char *word) {
    size_t n = strlen(word);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0) {
        return false;
    }
    r->p += n;
    return true;
}

static void oracle_expect(oracle_regex *r, const char *word) {
    if (!oracle_accept(r, word)) {
        abort();
    }
}

static void oracle_add_classes(uint8_t *set, uint32_t mask, bool negated) {
    for (uint32_t cp = 0; cp < ORACLE_N_CODE_POINTS; cp++) {
        if (((pm_class(cp) & mask) != 0) != negated) {
            oracle_put(set, cp);
        }
    }
}

static void oracle_add_script(uint8_t *set, unsigned script) {
    for (uint32_t cp = 0; cp < ORACLE_N_CODE_POINTS; cp++) {
        if (pm_script(cp) == script) {
            oracle_put(set, cp);
        }
    }
}

/* Behind a backslash: a class is added to the set, or the character it stands for is given (then true). */
static bool oracle_escape(oracle_regex *r, uint8_t *set, uint32_t *cp) {
    static const struct {
        const char *name;
        uint32_t mask;
    } names[] = {{"p{Lu}", PM_CLASS_LU},    {"p{Lt}", PM_CLASS_LU},    {"p{Ll}", PM_CLASS_LL},
                 {"p{Lm}", PM_CLASS_LO},    {"p{Lo}", PM_CLASS_LO},    {"p{L}", PM_CLASS_LETTER},
                 {"p{M}", PM_CLASS_MARK},   {"p{N}", PM_CLASS_NUMBER}, {"p{P}", PM_CLASS_PUNCT},
                 {"p{S}", PM_CLASS_SYMBOL}, {"p{Han}", PM_CLASS_HAN},  {"s", PM_CLASS_SPACE | PM_CLASS_NEWLINE}};
    static const struct {
        const char *name;
        unsigned script;
    } scripts[] = {{"p{Common}", PM_SCRIPT_COMMON},     {"p{Inherited}", PM_SCRIPT_INHERITED}, {"p{Latin}", PM_SCRIPT_LATIN},
                   {"p{Hiragana}", PM_SCRIPT_HIRAGANA}, {"p{Katakana}", PM_SCRIPT_KATAKANA},   {"p{Hangul}", PM_SCRIPT_HANGUL}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (oracle_accept(r, names[i].name)) {
            oracle_add_classes(set, names[i].mask, false);
            return false;
        }
    }
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        if (oracle_accept(r, scripts[i].name)) {
            oracle_add_script(set, scripts[i].script);
            return false;
        }
    }
    if (oracle_accept(r, "S")) {
        oracle_add_classes(set, PM_CLASS_SPACE | PM_CLASS_NEWLINE, true);
        return false;
    }
    *cp = oracle_accept(r, "r") ? '\r' : oracle_accept(r, "n") ? '\n' : oracle_next_char(r);
    return true;
}

/* Adds a character, and under (?i:..) those that fold to the same one. */
static void oracle_add_char(const oracle_regex *r, uint8_t *set, uint32_t cp) {
    oracle_put(set, cp);
    if (r->any_case && ((cp | 0x20) >= 'a' && (cp | 0x20) <= 'z')) {
        oracle_put(set, cp ^ 0x20);
        if ((cp | 0x20) == 's') {
            oracle_put(set, 0x17F);
        } else if ((cp | 0x20) == 'k') {
            oracle_put(set, 0x212A);
        }
    }
}

/* Behind `[`. */
static uint8_t *oracle_bracket(oracle_regex *r) {
    bool negated = oracle_accept(r, "^");
    uint8_t *set = oracle_new_set(), *other = NULL;
    while (!oracle_accept(r, "]")) {
        uint32_t first, last;
        if (oracle_accept(r, "&&[")) {
            other = oracle_bracket(r);
            continue;
        }
        first = oracle_next_char(r);
        if (first == '\\' && !oracle_escape(r, set, &first)) {
            continue;
        }
        last = first;
        if (r->end - r->p >= 2 && r->p[0] == '-' && r->p[1] != ']') {
            r->p++;
            last = oracle_next_char(r);
        }
        for (uint32_t cp = first; cp <= last; cp++) {
            oracle_add_char(r, set, cp);
        }
    }
    for (size_t i = 0; i < ORACLE_N_CODE_POINTS / 8; i++) {
        uint8_t bits = other ? set[i] & other[i] : set[i];
        set[i] = negated ? (uint8_t)~bits : bits;
    }
    free(other);
    return set;
}

static oracle_op *oracle_insert(oracle_regex *r, int at) {
    if (r->n_ops == ORACLE_MAX_OPS) {
        abort();
    }
    memmove(r->ops + at + 1, r->ops + at, (size_t)(r->n_ops++ - at) * sizeof *r->ops);
    return &r->ops[at];
}

static void oracle_emit(oracle_regex *r, oracle_op op) { *oracle_insert(r, r->n_ops) = op; }

static void oracle_alternatives(oracle_regex *r);

static void oracle_atom(oracle_regex *r) {
    if (oracle_accept(r, "(?i:")) {
        r->any_case = true;
        oracle_alternatives(r);
        oracle_expect(r, ")");
        r->any_case = false;
    } else if (oracle_accept(r, "(?:")) {
        oracle_alternatives(r);
        oracle_expect(r, ")");
    } else if (oracle_accept(r, "\\z")) {
        oracle_emit(r, (oracle_op){ORACLE_AT_END, NULL, 0, 0});
    } else if (oracle_accept(r, "(?!")) {
        int at = r->n_ops;
        oracle_atom(r);
        oracle_expect(r, ")");
        r->ops[at].kind = ORACLE_NOT_AHEAD;
    } else if (oracle_accept(r, "[")) {
        oracle_emit(r, (oracle_op){ORACLE_CLASS, oracle_bracket(r), 0, 0});
    } else {
        uint8_t *set = oracle_new_set();
        uint32_t cp = oracle_next_char(r);
        if (cp != '\\' || oracle_escape(r, set, &cp)) {
            oracle_add_char(r, set, cp);
        }
        oracle_emit(r, (oracle_op){ORACLE_CLASS, set, 0, 0});
    }
}

/* Puts the quantifier that follows, if one does, round the block that begins at `at`. */
static void oracle_quantifier(oracle_regex *r, int at) {
    int n = r->n_ops - at;
    if (oracle_accept(r, "?")) {
        *oracle_insert(r, at) = (oracle_op){ORACLE_SPLIT, NULL, 1, n + 1};
    } else if (oracle_accept(r, "*")) {
        *oracle_insert(r, at) = (oracle_op){ORACLE_SPLIT, NULL, 1, n + 2};
        oracle_emit(r, (oracle_op){ORACLE_JUMP, NULL, -(n + 1), 0});
    } else if (oracle_accept(r, "+")) {
        oracle_emit(r, (oracle_op){ORACLE_SPLIT, NULL, -n, 1});
    } else if (oracle_accept(r, "{1,3}")) {
        for (int i = 0; i < 2; i++) {
            oracle_emit(r, (oracle_op){ORACLE_SPLIT, NULL, 1, n + 1});
            for (int k = 0; k < n; k++) {
                oracle_emit(r, r->ops[at + k]);
            }
        }
    }
}

static void oracle_alternatives(oracle_regex *r) {
    int start = r->n_ops;
    while (r->p < r->end && *r->p != '|' && *r->p != ')') {
        int at = r->n_ops;
        oracle_atom(r);
        oracle_quantifier(r, at);
    }
    if (oracle_accept(r, "|")) {
        int n = r->n_ops - start;
        *oracle_insert(r, start) = (oracle_op){ORACLE_SPLIT, NULL, 1, n + 2};
        int jump = r->n_ops;
        oracle_emit(r, (oracle_op){ORACLE_JUMP, NULL, 0, 0});
        oracle_alternatives(r);
        r->ops[jump].a = r->n_ops - jump;
    }
}

/* Kept until the program ends: nothing frees a regex of a test. */
static oracle_regex *oracle_regex_new(const char *pattern) {
    oracle_regex *r = oracle_check(calloc(1, sizeof *r));
    r->p = (const uint8_t *)pattern;
    r->end = r->p + strlen(pattern);
    oracle_alternatives(r);
    if (r->p != r->end) {
        abort();
    }
    oracle_emit(r, (oracle_op){ORACLE_MATCH, NULL, 0, 0});
    return r;
}

/* ---- matching ---- */

/* A document as code points; offsets[i] is where code point i begins, offsets[n] the end. */
typedef struct oracle_text {
    uint32_t *cps;
    size_t *offsets;
    size_t n;
} oracle_text;

static oracle_text oracle_text_new(const uint8_t *text, size_t len) {
    oracle_text t = {oracle_check(malloc((len + 1) * sizeof *t.cps)),
                     oracle_check(malloc((len + 1) * sizeof *t.offsets)), 0};
    for (size_t at = 0; at < len; t.n++) {
        unsigned n;
        t.cps[t.n] = pm_utf8_read(text + at, text + len, &n);
        t.offsets[t.n] = at;
        at += n;
    }
    t.offsets[t.n] = len;
    return t;
}

static void oracle_text_free(oracle_text *t) {
    free(t->cps);
    free(t->offsets);
}

/* The end of the match that begins at `start` in cps[..end), or `start` when there is none. */
static size_t oracle_match_at(const oracle_regex *r, const oracle_text *t, size_t start, size_t end) {
    size_t cap = 64, n = 0, result = start;
    struct {
        int op;
        size_t at;
    } now = {0, start}, *stack = oracle_check(malloc(cap * sizeof *stack));
    for (;;) {
        const oracle_op *op = &r->ops[now.op];
        bool failed = false;
        switch (op->kind) {
        case ORACLE_CLASS:
            failed = now.at == end || !oracle_has(op->set, t->cps[now.at]);
            now.op++;
            now.at++;
            break;
        case ORACLE_NOT_AHEAD:
            failed = now.at < end && oracle_has(op->set, t->cps[now.at]);
            now.op++;
            break;
        case ORACLE_AT_END:
            failed = now.at < end;
            now.op++;
            break;
        case ORACLE_SPLIT:
            if (n == cap) {
                stack = oracle_check(realloc(stack, (cap *= 2) * sizeof *stack));
            }
            stack[n] = now;
            stack[n++].op += op->b;
            now.op += op->a;
            break;
        case ORACLE_JUMP: now.op += op->a; break;
        case ORACLE_MATCH: result = now.at; goto done;
        }
        if (failed) {
            if (n == 0) {
                goto done;
            }
            now = stack[--n];
        }
    }
done:
    free(stack);
    return result;
}

/* Marks the ends of pieces in ends[1..t->n]: a piece of the former regexes is cut into matches and what is between
 * them. */
static void oracle_split_by(const oracle_regex *r, const oracle_text *t, bool *ends) {
    for (size_t begin = 0, end; begin < t->n; begin = end) {
        for (end = begin + 1; !ends[end]; end++) {
        }
        for (size_t at = begin; at < end;) {
            size_t match = oracle_match_at(r, t, at, end);
            if (match > at) {
                ends[at] = ends[match] = true;
                at = match;
            } else {
                at++;
            }
        }
    }
}

/* Cuts a document by regexes in turn. Writes the ends of its pieces as byte offsets (room for len of them) and returns
 * their number. */
static size_t oracle_split(oracle_regex *const *regexes, size_t n_regexes, const uint8_t *text, size_t len,
                           size_t *out) {
    oracle_text t = oracle_text_new(text, len);
    bool *ends = oracle_check(calloc(t.n + 1, sizeof *ends));
    size_t n = 0;
    ends[t.n] = true;
    for (size_t i = 0; i < n_regexes; i++) {
        oracle_split_by(regexes[i], &t, ends);
    }
    for (size_t i = 1; i <= t.n; i++) {
        if (ends[i]) {
            out[n++] = t.offsets[i];
        }
    }
    oracle_text_free(&t);
    free(ends);
    return n;
}

#endif
