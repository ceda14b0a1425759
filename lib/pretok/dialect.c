/* dialect.c - see dialect.h.
 *
 * One pass over the regex, token by token, writes PCRE2's text; a mark for each token leads from there back to the
 * user's bytes, so that PCRE2's own complaints can be shown where the user wrote what they are about.
 *
 *     user     \p{N}{1,3}|\h+|[\p{L}&&[^\p{Han}]]|(?i:'s)
 *     PCRE2    [\p{N}\x{11F50}-\x{11F59}..]{1,3}|[0-9a-fA-F]+|(?:(?=[\p{L}..])(?:[^\p{sc:Han}..]))|(?i:'s)
 *
 * What is translated
 *
 *   \p{..} \pL  Unicode of text/unicode.h where its tables know the property: L, Lu, Ll, M, N, P, S, Lm with Lo in one
 *               class, and the scripts Han, Hiragana, Katakana, Hangul, Latin, Common and Inherited. Else PCRE2's own,
 *               and `engine_tables` is set. A script is Script, not PCRE2's Script_Extensions. Long names, any case,
 *               spaces and underscores as in the other engines.
 *   \s \d \h    White_Space (with U+0085, without U+180E); Nd; a hexadecimal digit (in PCRE2, a space).
 *   \w \b       Alphabetic, M, Nd, Pc and the two joiners, as Unicode's Technical Standard 18 and Rust have it.
 *               Oniguruma differs in eight characters: it takes B2 B3 B9 BC BD BE in and leaves 200C 200D out.
 *               tokenizer.json's regexes are put in other words (oniguruma.c), for ^ and $ too.
 *   ^ $         The begin and the end of the text, as in Rust and in PCRE2 with DOLLAR_ENDONLY. Oniguruma's are those
 *               of every line.
 *   [a[b]] &&   Union and intersection of classes, by alternatives and lookaheads.
 *   \v {,n}     U+000B; {0,n}. \uHHHH \UHHHHHHHH \u{H} are code points.
 *
 * What is refused, because the engines differ or because a pattern that cuts text has no use for it
 *
 *   {n,m}+      Oniguruma repeats, fancy-regex is possessive. {n}? too.
 *   [[:alpha:]] ASCII or Unicode. \xHH from 80 on without braces: a byte or a character. (?m): lines or the dot.
 *   (?i)        bare, with a later | of its group; with \p{L} and the other properties that folding widens in Rust
 *               only; with letters that Oniguruma folds to several ("ss" matches U+00DF there).
 *   -- ~~       as class operators. (?x), \G \K \C \X \R \Q..\E, callouts, verbs (*..), recursion and subroutine
 *               calls, conditions, branch reset.
 *
 * A set item is either a list for inside of [..] or the negation of one. Negations cannot stand in a list ([\W_]): they
 * become alternatives, (?:[_]|[^..]). Classes nest to 8 levels on a stack of our own; groups to 250, PCRE2's own limit.
 *
 * Sources: Oniguruma's doc/RE, the documentation of Rust's regex and fancy-regex, pcre2pattern(3); every line was tried
 * in tokenizers 0.23.3 and tiktoken 0.14 (tests/peers/test_dialect.py). */
#include "pretok/dialect.h"

#include "pretok/property.h"
#include "text/utf8.h"

enum { GROUPS_DEEP = 250, CLASSES_DEEP = 8, NAME_MAX_BYTES = 48 };

#define WHITE_SPACE                                                                                                    \
    "\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"
#define HEX_DIGIT "0-9a-fA-F"
#define ANY "[\\x{0}-\\x{10FFFF}]"

typedef struct group {
    bool caseless;   /* to go back to at the closing parenthesis */
    bool late_flags; /* a bare (?i) stood behind the begin of an alternative */
    size_t at;
} group;

/* One class being read: [ factor && factor .. ], a factor being items and alternatives in union. */
typedef struct class_level {
    bool negated;
    bool has_lm, has_lo; /* only one of them: PCRE2's tables decide */
    pm_buf items;        /* what stands inside of [..] */
    pm_buf others;       /* alternatives, each with a '|' behind it: nested classes and negated items */
    pm_buf factors;      /* "(?=..)" of each factor before the last && */
    size_t at;
} class_level;

typedef struct parser {
    pm_dialect *d;
    const uint8_t *s;
    size_t n, i;
    bool published;
    bool caseless;
    bool at_begin; /* of an alternative */
    uint32_t last; /* the literal just before, 0 if none: for foldings of two letters */
    group groups[GROUPS_DEEP];
    size_t depth;
    class_level classes[CLASSES_DEEP];
    size_t n_classes;
    pm_buf set; /* the items of the last set item */
    pm_properties properties;
    pm_error *err;
} parser;

/* What an escape stands for. */
typedef struct item {
    enum { ITEM_CHAR, ITEM_SET, ITEM_TEXT } kind;
    uint32_t cp;      /* CHAR */
    bool negated;     /* SET: of what parser.set lists */
    const char *text; /* TEXT: for outside of classes */
    bool lm, lo;
} item;

/* ---- writing ---- */

static pm_status refuse(parser *p, size_t at, const char *sentence) {
    return pm_fail_at(p->err, PM_BAD_PATTERN, at, "%s", sentence);
}

static pm_status mark(parser *p, size_t in) {
    pm_dialect *d = p->d;
    PM_TRY(pm_grow((void **)&d->marks, &d->cap_marks, d->n_marks + 1, sizeof *d->marks, p->err));
    d->marks[d->n_marks++] = (pm_dialect_mark){d->text.len, in};
    return PM_OK;
}

static pm_status put(parser *p, pm_buf *out, const char *text) {
    return pm_buf_append(out, text, strlen(text), p->err);
}
static pm_status put_buf(parser *p, pm_buf *out, const pm_buf *text) {
    return pm_buf_append(out, text->data, text->len, p->err);
}
static pm_status emit(parser *p, const char *text) { return put(p, &p->d->text, text); }

/* A character that means itself, in a class and outside. */
static pm_status put_char(parser *p, pm_buf *out, uint32_t cp) {
    if ((cp >= '0' && cp <= '9') || (cp >= 'A' && cp <= 'Z') || (cp >= 'a' && cp <= 'z')) {
        char c = (char)cp;
        return pm_buf_append(out, &c, 1, p->err);
    }
    return pm_buf_printf(out, p->err, "\\x{%X}", (unsigned)cp);
}

/* ---- reading ---- */

static int peek(const parser *p, size_t ahead) { return p->n - p->i > ahead ? p->s[p->i + ahead] : -1; }
static bool follows(const parser *p, const char *text) {
    size_t n = strlen(text);
    return p->n - p->i >= n && memcmp(p->s + p->i, text, n) == 0;
}
static bool is_digit(int c) { return c >= '0' && c <= '9'; }
static bool is_letter(int c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static int hex_value(int c) {
    if (is_digit(c)) {
        return c - '0';
    }
    int lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static pm_status read_char(parser *p, uint32_t *cp) {
    unsigned n;
    *cp = pm_utf8_read(p->s + p->i, p->s + p->n, &n);
    if (*cp == PM_BAD_BYTE && n == 1) {
        return refuse(p, p->i, "the pattern is not well-formed UTF-8");
    }
    p->i += n;
    return PM_OK;
}

/* Hexadecimal digits: {1 to 8 of them} or exactly `digits`. */
static pm_status read_hex(parser *p, size_t at, unsigned digits, uint32_t *cp) {
    bool braces = peek(p, 0) == '{';
    uint64_t value = 0;
    unsigned n = 0;

    p->i += braces;
    while (hex_value(peek(p, 0)) >= 0 && n < (braces ? 8u : digits)) {
        value = value << 4 | (unsigned)hex_value(peek(p, 0));
        p->i++;
        n++;
    }
    if (n == 0 || (!braces && n < digits) || (braces && peek(p, 0) != '}')) {
        return refuse(p, at, "hexadecimal digits are missing");
    }
    p->i += braces;
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
        return refuse(p, at, "no such code point");
    }
    if (!braces && digits == 2 && value >= 0x80) {
        return refuse(p, at, "\\xHH from 80 on is a byte in Oniguruma and a character elsewhere: write \\x{HH}");
    }
    *cp = (uint32_t)value;
    return PM_OK;
}

/* ---- case folding ---- */

/* Characters whose full case folding is several characters, which Oniguruma follows and Rust does not. */
static bool folds_to_several(uint32_t first, uint32_t last) {
    static const uint32_t ranges[][2] = {
        {0xDF, 0xDF},     {0x130, 0x130},   {0x149, 0x149},   {0x1F0, 0x1F0},   {0x390, 0x390},   {0x3B0, 0x3B0},
        {0x587, 0x587},   {0x1E96, 0x1E9A}, {0x1E9E, 0x1E9E}, {0x1F50, 0x1F56}, {0x1F80, 0x1FAF}, {0x1FB2, 0x1FBC},
        {0x1FC2, 0x1FCC}, {0x1FD2, 0x1FD7}, {0x1FE2, 0x1FE7}, {0x1FF2, 0x1FFC}, {0xFB00, 0xFB17},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (first <= ranges[i][1] && last >= ranges[i][0]) {
            return true;
        }
    }
    return false;
}

static uint32_t lower(uint32_t cp) { return cp >= 'A' && cp <= 'Z' ? cp + 32 : cp; }

static bool pair_folds(uint32_t a, uint32_t b) {
    static const char pairs[][3] = {"ss", "ff", "fi", "fl", "st"};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (lower(a) == (uint32_t)pairs[i][0] && lower(b) == (uint32_t)pairs[i][1]) {
            return true;
        }
    }
    return false;
}

static pm_status check_folding(parser *p, size_t at, uint32_t first, uint32_t last) {
    if (!p->caseless) {
        return PM_OK;
    }
    if (folds_to_several(first, last)) {
        return refuse(p, at,
                      "under (?i) this character equals several in Oniguruma and one in Rust: move it out of (?i)");
    }
    if (last >= 0x80) {
        p->d->engine_tables = true; /* its other cases are PCRE2's */
    }
    return PM_OK;
}

/* ---- properties ---- */

enum {
    TAKES_PART = 1, /* may stand under (?i): folding leads to no character outside of it */
    STABLE = 2,     /* the same in every version of Unicode */
    REFUSED = 4,
    SCRIPT = 8
};

typedef struct property_name {
    const char *name; /* lower case, without separators */
    const char *item; /* "L": of property.h; else PCRE2's text */
    unsigned flags;
} property_name;

/* clang-format off */
static const property_name property_names[] = {
    {"l", "L", 0}, {"letter", "L", 0},
    {"lu", "Lu", 0}, {"uppercaseletter", "Lu", 0},
    {"ll", "Ll", 0}, {"lowercaseletter", "Ll", 0},
    {"lt", "\\p{Lt}", STABLE}, {"titlecaseletter", "\\p{Lt}", STABLE},
    {"lm", "\\p{Lm}", 0}, {"modifierletter", "\\p{Lm}", 0},
    {"lo", "Lo", 0}, {"otherletter", "Lo", 0},
    {"m", "M", 0}, {"mark", "M", 0}, {"combiningmark", "M", 0},
    {"mn", "\\p{Mn}", 0}, {"nonspacingmark", "\\p{Mn}", 0},
    {"mc", "\\p{Mc}", TAKES_PART}, {"spacingmark", "\\p{Mc}", TAKES_PART},
    {"me", "\\p{Me}", TAKES_PART}, {"enclosingmark", "\\p{Me}", TAKES_PART},
    {"n", "N", TAKES_PART}, {"number", "N", TAKES_PART},
    {"nd", "\\p{Nd}", TAKES_PART}, {"decimalnumber", "\\p{Nd}", TAKES_PART}, {"digit", "\\p{Nd}", TAKES_PART},
    {"nl", "\\p{Nl}", TAKES_PART}, {"letternumber", "\\p{Nl}", TAKES_PART},
    {"no", "\\p{No}", TAKES_PART}, {"othernumber", "\\p{No}", TAKES_PART},
    {"p", "P", TAKES_PART}, {"punctuation", "P", TAKES_PART}, {"punct", "P", TAKES_PART},
    {"pc", "\\p{Pc}", TAKES_PART}, {"connectorpunctuation", "\\p{Pc}", TAKES_PART},
    {"pd", "\\p{Pd}", TAKES_PART}, {"dashpunctuation", "\\p{Pd}", TAKES_PART},
    {"ps", "\\p{Ps}", TAKES_PART}, {"openpunctuation", "\\p{Ps}", TAKES_PART},
    {"pe", "\\p{Pe}", TAKES_PART}, {"closepunctuation", "\\p{Pe}", TAKES_PART},
    {"pi", "\\p{Pi}", TAKES_PART}, {"initialpunctuation", "\\p{Pi}", TAKES_PART},
    {"pf", "\\p{Pf}", TAKES_PART}, {"finalpunctuation", "\\p{Pf}", TAKES_PART},
    {"po", "\\p{Po}", TAKES_PART}, {"otherpunctuation", "\\p{Po}", TAKES_PART},
    {"s", "S", TAKES_PART}, {"symbol", "S", TAKES_PART},
    {"sm", "\\p{Sm}", TAKES_PART}, {"mathsymbol", "\\p{Sm}", TAKES_PART},
    {"sc", "\\p{Sc}", TAKES_PART}, {"currencysymbol", "\\p{Sc}", TAKES_PART},
    {"sk", "\\p{Sk}", TAKES_PART}, {"modifiersymbol", "\\p{Sk}", TAKES_PART},
    {"so", "\\p{So}", TAKES_PART}, {"othersymbol", "\\p{So}", TAKES_PART},
    {"z", "\\p{Z}", TAKES_PART | STABLE}, {"separator", "\\p{Z}", TAKES_PART | STABLE},
    {"zs", "\\p{Zs}", TAKES_PART | STABLE}, {"spaceseparator", "\\p{Zs}", TAKES_PART | STABLE},
    {"zl", "\\p{Zl}", TAKES_PART | STABLE}, {"lineseparator", "\\p{Zl}", TAKES_PART | STABLE},
    {"zp", "\\p{Zp}", TAKES_PART | STABLE}, {"paragraphseparator", "\\p{Zp}", TAKES_PART | STABLE},
    {"c", "\\p{C}", TAKES_PART}, {"other", "\\p{C}", TAKES_PART},
    {"cc", "\\p{Cc}", TAKES_PART | STABLE}, {"control", "\\p{Cc}", TAKES_PART | STABLE},
    {"cf", "\\p{Cf}", TAKES_PART}, {"format", "\\p{Cf}", TAKES_PART},
    {"co", "\\p{Co}", TAKES_PART | STABLE}, {"privateuse", "\\p{Co}", TAKES_PART | STABLE},
    {"cn", "\\p{Cn}", TAKES_PART}, {"unassigned", "\\p{Cn}", TAKES_PART},
    {"any", "\\x{0}-\\x{10FFFF}", TAKES_PART | STABLE},
    {"ascii", "\\x{0}-\\x{7F}", STABLE},
    {"han", "Han", TAKES_PART | SCRIPT}, {"hiragana", "Hiragana", TAKES_PART | SCRIPT}, {"katakana", "Katakana", TAKES_PART | SCRIPT},
    {"hangul", "Hangul", TAKES_PART | SCRIPT}, {"latin", "Latin", SCRIPT}, {"common", "Common", SCRIPT}, {"inherited", "Inherited", SCRIPT},
    {"whitespace", WHITE_SPACE, TAKES_PART | STABLE}, {"wspace", WHITE_SPACE, TAKES_PART | STABLE}, {"space", WHITE_SPACE, TAKES_PART | STABLE},
    {"alphabetic", "\\p{Alphabetic}", 0}, {"alpha", "\\p{Alphabetic}", 0},
    {"uppercase", "\\p{Uppercase}", 0}, {"upper", "\\p{Uppercase}", 0},
    {"lowercase", "\\p{Lowercase}", 0}, {"lower", "\\p{Lowercase}", 0},
    {"emoji", "\\p{Emoji}", TAKES_PART}, {"emojipresentation", "\\p{Emoji_Presentation}", TAKES_PART},
    {"extendedpictographic", "\\p{Extended_Pictographic}", TAKES_PART}, {"ideographic", "\\p{Ideographic}", TAKES_PART},
    {"thai", "\\p{sc:Thai}", TAKES_PART}, {"arabic", "\\p{sc:Arabic}", TAKES_PART}, {"hebrew", "\\p{sc:Hebrew}", TAKES_PART},
    {"devanagari", "\\p{sc:Devanagari}", TAKES_PART},
    {"cs", NULL, REFUSED}, {"surrogate", NULL, REFUSED}, {"alnum", NULL, REFUSED}, {"blank", NULL, REFUSED}, {"cntrl", NULL, REFUSED},
    {"graph", NULL, REFUSED}, {"print", NULL, REFUSED}, {"word", NULL, REFUSED}, {"xdigit", NULL, REFUSED},
};
/* clang-format on */

static const property_name *find_property(const char *name) {
    for (size_t i = 0; i < sizeof property_names / sizeof property_names[0]; i++) {
        if (strcmp(property_names[i].name, name) == 0) {
            return &property_names[i];
        }
    }
    return NULL;
}

/* Appends an item of property.h to the set. */
static pm_status add_known(parser *p, const char *name) {
    bool found;
    return pm_property_items(&p->properties, name, &p->set, &found, p->err);
}

static pm_status set_property(parser *p, size_t at, const property_name *known, item *it) {
    bool found;

    if (known->flags & REFUSED) {
        return refuse(p, at, "this property is not the same in Oniguruma and Rust: write the class out");
    }
    if (p->caseless && !(known->flags & TAKES_PART)) {
        return refuse(p, at, "under (?i) this property is not the same in Oniguruma and Rust: move it out of (?i)");
    }
    PM_TRY(pm_property_items(&p->properties, known->item, &p->set, &found, p->err));
    it->lm = strcmp(known->item, "\\p{Lm}") == 0;
    it->lo = strcmp(known->item, "Lo") == 0;
    if (!found) {
        p->d->engine_tables |= !(known->flags & STABLE) && !it->lm;
        PM_TRY(put(p, &p->set, known->item));
    }
    return PM_OK;
}

/* A name that is in no list of ours: a script. */
static pm_status set_script(parser *p, size_t at, const char *name) {
    char text[NAME_MAX_BYTES + 16] = "\\p{sc:";
    bool known;

    strcat(text, name);
    strcat(text, "}");
    PM_TRY(pm_property_known(text, &known, p->err));
    if (!known) {
        return refuse(p, at, "unknown property");
    }
    if (p->caseless) {
        return refuse(p, at, "under (?i) this property is not the same in Oniguruma and Rust: move it out of (?i)");
    }
    p->d->engine_tables = true;
    return put(p, &p->set, text);
}

static pm_status set_named(parser *p, size_t at, const char *name, item *it) {
    static const char *const category[] = {"gc=", "generalcategory="}, *const script[] = {"sc=", "script="};

    for (size_t i = 0; i < 2; i++) {
        if (strncmp(name, category[i], strlen(category[i])) == 0) {
            const property_name *known = find_property(name + strlen(category[i]));
            return known ? set_property(p, at, known, it) : refuse(p, at, "unknown property");
        }
        if (strncmp(name, script[i], strlen(script[i])) == 0) {
            name += strlen(script[i]);
            const property_name *known = find_property(name);
            return known && (known->flags & SCRIPT) ? set_property(p, at, known, it) : set_script(p, at, name);
        }
    }
    if (strcmp(name, "lc") == 0 || strcmp(name, "casedletter") == 0) {
        PM_TRY(set_property(p, at, find_property("lu"), it));
        PM_TRY(add_known(p, "Ll"));
        return put(p, &p->set, "\\p{Lt}");
    }
    if (strcmp(name, "assigned") == 0) {
        it->negated = !it->negated;
        name = "cn";
    }
    const property_name *known = find_property(name);
    return known ? set_property(p, at, known, it) : set_script(p, at, name);
}

/* Behind "\p" or "\P". */
static pm_status read_property(parser *p, size_t at, bool negated, item *it) {
    char name[NAME_MAX_BYTES];
    size_t n = 0;

    *it = (item){.kind = ITEM_SET, .negated = negated};
    if (is_letter(peek(p, 0))) {
        name[n++] = (char)lower((uint32_t)p->s[p->i++]);
    } else if (peek(p, 0) == '{') {
        p->i++;
        if (peek(p, 0) == '^') {
            it->negated = !it->negated;
            p->i++;
        }
        for (; peek(p, 0) >= 0 && peek(p, 0) != '}'; p->i++) {
            int c = peek(p, 0);
            if (c == ' ' || c == '_' || c == '-') {
                continue;
            }
            if (!(is_letter(c) || is_digit(c) || c == '=' || c == ':') || n + 1 >= sizeof name) {
                return refuse(p, at, "unknown property");
            }
            name[n++] = c == ':' ? '=' : (char)lower((uint32_t)c);
        }
        if (peek(p, 0) != '}') {
            return refuse(p, at, "\\p{ is not closed");
        }
        p->i++;
    }
    if (n == 0) {
        return refuse(p, at, "\\p needs a property: \\p{L}");
    }
    name[n] = '\0';
    return set_named(p, at, name, it);
}

/* ---- escapes ---- */

static pm_status set_word(parser *p) {
    PM_TRY(put(p, &p->set, "\\p{Alphabetic}\\p{Nd}\\p{Pc}\\x{200C}\\x{200D}"));
    PM_TRY(add_known(p, "L"));
    PM_TRY(add_known(p, "M"));
    p->d->engine_tables = true;
    return PM_OK;
}

/* An escape that stands for a set: true in *is. */
static pm_status read_set_escape(parser *p, size_t at, int c, item *it, bool *is) {
    *is = true;
    *it = (item){.kind = ITEM_SET, .negated = c < 'a'};
    switch (c) {
    case 'p':
    case 'P': return read_property(p, at, c == 'P', it);
    case 's':
    case 'S': return put(p, &p->set, WHITE_SPACE);
    case 'h':
    case 'H': return put(p, &p->set, HEX_DIGIT);
    case 'd':
    case 'D': p->d->engine_tables = true; return put(p, &p->set, "\\p{Nd}");
    case 'w':
    case 'W': return set_word(p);
    default: *is = false; return PM_OK;
    }
}

/* An escape that stands for one character: true in *is. */
static pm_status read_char_escape(parser *p, size_t at, int c, uint32_t *cp, bool *is) {
    static const char letters[] = "aefnrtv", values[] = "\x07\x1B\x0C\x0A\x0D\x09\x0B";
    const char *found = memchr(letters, c, sizeof letters - 1);

    *is = true;
    if (found) {
        *cp = (uint8_t)values[found - letters];
        return PM_OK;
    }
    if (c == 'x' || c == 'u') {
        return read_hex(p, at, c == 'x' ? 2 : 4, cp);
    }
    if (c == 'U') {
        return read_hex(p, at, 8, cp);
    }
    *is = false;
    return PM_OK;
}

/* Behind a backslash, for what is the same in a class and outside. *it stays TEXT with NULL when it is neither. */
static pm_status read_escape(parser *p, size_t at, item *it) {
    bool is;
    int c = peek(p, 0);

    *it = (item){.kind = ITEM_TEXT};
    p->set.len = 0;
    if (c < 0) {
        return refuse(p, at, "a backslash ends the pattern");
    }
    if (c < 0x80 && !is_letter(c) && !is_digit(c) && c != '<' && c != '>') { /* punctuation stands for itself */
        it->kind = ITEM_CHAR;
        return read_char(p, &it->cp);
    }
    if (!is_letter(c)) {
        return PM_OK;
    }
    p->i++;
    PM_TRY(read_set_escape(p, at, c, it, &is));
    if (is) {
        return PM_OK;
    }
    *it = (item){.kind = ITEM_CHAR};
    PM_TRY(read_char_escape(p, at, c, &it->cp, &is));
    if (!is) {
        *it = (item){.kind = ITEM_TEXT};
        p->i--;
    }
    return PM_OK;
}

/* ---- classes ---- */

static class_level *top_class(parser *p) { return &p->classes[p->n_classes - 1]; }

static pm_status add_set(parser *p, const item *it) {
    class_level *c = top_class(p);

    c->has_lm |= it->lm;
    c->has_lo |= it->lo;
    if (!it->negated) {
        return put_buf(p, &c->items, &p->set);
    }
    PM_TRY(put(p, &c->others, "[^"));
    PM_TRY(put_buf(p, &c->others, &p->set));
    return put(p, &c->others, "]|");
}

static pm_status open_class(parser *p) {
    if (p->n_classes == CLASSES_DEEP) {
        return refuse(p, p->i, "classes are nested too deep");
    }
    class_level *c = &p->classes[p->n_classes++];
    c->items.len = c->others.len = c->factors.len = 0;
    c->has_lm = c->has_lo = c->negated = false;
    c->at = p->i++;
    if (peek(p, 0) == '^') {
        c->negated = true;
        p->i++;
    }
    if (peek(p, 0) == ']') { /* here it stands for itself */
        p->i++;
        return put_char(p, &c->items, ']');
    }
    return PM_OK;
}

/* The factor read so far, as an expression that matches one character. */
static pm_status put_factor(parser *p, class_level *c, pm_buf *out) {
    if (c->items.len + c->others.len == 0) {
        return refuse(p, c->at, "an empty class");
    }
    PM_TRY(put(p, out, "(?:"));
    if (c->items.len) {
        PM_TRY(put(p, out, "["));
        PM_TRY(put_buf(p, out, &c->items));
        PM_TRY(put(p, out, "]|"));
    }
    PM_TRY(put_buf(p, out, &c->others));
    out->data[out->len - 1] = ')'; /* in place of the last '|' */
    c->items.len = c->others.len = 0;
    return PM_OK;
}

static pm_status intersect(parser *p) {
    class_level *c = top_class(p);
    PM_TRY(put(p, &c->factors, "(?="));
    PM_TRY(put_factor(p, c, &c->factors));
    p->i += 2;
    return put(p, &c->factors, ")");
}

static pm_status put_class(parser *p, class_level *c, pm_buf *out) {
    if (c->others.len == 0 && c->factors.len == 0 && c->items.len) {
        PM_TRY(put(p, out, c->negated ? "[^" : "["));
        PM_TRY(put_buf(p, out, &c->items));
        return put(p, out, "]");
    }
    PM_TRY(put(p, out, c->negated ? "(?:(?!" : "(?:"));
    PM_TRY(put_buf(p, out, &c->factors));
    PM_TRY(put_factor(p, c, out));
    return put(p, out, c->negated ? ")" ANY ")" : ")");
}

static pm_status close_class(parser *p) {
    class_level *c = top_class(p);

    p->i++;
    p->d->engine_tables |= c->has_lm != c->has_lo;
    p->n_classes--;
    if (p->n_classes == 0) {
        return put_class(p, c, &p->d->text);
    }
    pm_buf *others = &top_class(p)->others;
    PM_TRY(put_class(p, c, others));
    return put(p, others, "|");
}

/* "[:alpha:]" and its like. */
static bool is_posix(const parser *p) {
    if (!follows(p, "[:")) {
        return false;
    }
    size_t i = p->i + 2;
    while (i < p->n && (is_letter(p->s[i]) || p->s[i] == '^')) {
        i++;
    }
    return p->n - i >= 2 && p->s[i] == ':' && p->s[i + 1] == ']';
}

/* One character or escape of a class. */
static pm_status read_class_item(parser *p, item *it) {
    size_t at = p->i;

    if (peek(p, 0) != '\\') {
        *it = (item){.kind = ITEM_CHAR};
        return read_char(p, &it->cp);
    }
    p->i++;
    if (peek(p, 0) == 'b') { /* backspace in Oniguruma and PCRE2, an error in Rust */
        return refuse(p, at, "\\b inside a class: write \\x08 for a backspace");
    }
    PM_TRY(read_escape(p, at, it));
    if (it->kind == ITEM_TEXT) {
        return refuse(p, at, "unknown or unsupported escape inside a class");
    }
    return PM_OK;
}

/* Is there a '-' that makes a range of what stands before it? */
static bool range_follows(const parser *p) {
    return peek(p, 0) == '-' && peek(p, 1) != ']' && peek(p, 1) != '-' && peek(p, 1) >= 0;
}

static pm_status class_item(parser *p) {
    class_level *c = top_class(p);
    size_t at = p->i;
    item first, last;

    PM_TRY(read_class_item(p, &first));
    if (first.kind == ITEM_SET) {
        if (range_follows(p)) {
            return refuse(p, p->i, "a range cannot begin with a set: write \\- for a hyphen");
        }
        return add_set(p, &first);
    }
    if (first.cp == '-' && range_follows(p)) {
        return refuse(p, at, "write \\- for a hyphen here");
    }
    last = first;
    if (range_follows(p)) {
        p->i++;
        size_t last_at = p->i;
        if (peek(p, 0) == '[') {
            return refuse(p, last_at, "write a backslash before this character of a range");
        }
        PM_TRY(read_class_item(p, &last));
        if (last.kind != ITEM_CHAR || last.cp < first.cp) {
            return refuse(p, at, last.kind == ITEM_CHAR ? "a range out of order" : "a range cannot end with a set");
        }
        if (range_follows(p)) {
            return refuse(p, p->i, "write \\- for a hyphen here");
        }
    }
    PM_TRY(check_folding(p, at, first.cp, last.cp));
    PM_TRY(put_char(p, &c->items, first.cp));
    if (last.cp != first.cp) {
        PM_TRY(put(p, &c->items, "-"));
        PM_TRY(put_char(p, &c->items, last.cp));
    }
    return PM_OK;
}

static pm_status read_class(parser *p) {
    size_t at = p->i;

    PM_TRY(open_class(p));
    while (p->n_classes) {
        if (p->i == p->n) {
            return refuse(p, at, "a class is not closed");
        }
        if (peek(p, 0) == ']') {
            PM_TRY(close_class(p));
        } else if (is_posix(p)) {
            return refuse(p, p->i, "[:..:] is ASCII in Rust and Unicode in Oniguruma: write \\p{..} or the characters");
        } else if (peek(p, 0) == '[') {
            PM_TRY(open_class(p));
        } else if (follows(p, "&&")) {
            PM_TRY(intersect(p));
        } else if (follows(p, "--") || follows(p, "~~")) {
            return refuse(p, p->i, "a class operator of Rust that Oniguruma does not have: use && or a backslash");
        } else {
            PM_TRY(class_item(p));
        }
    }
    return PM_OK;
}

/* ---- outside of classes ---- */

static pm_status literal(parser *p, size_t at, uint32_t cp) {
    PM_TRY(check_folding(p, at, cp, cp));
    if (p->caseless && p->last && pair_folds(p->last, cp)) {
        return refuse(p, at, "under (?i) these two letters equal a ligature in Oniguruma: put (?:) between them");
    }
    p->last = cp;
    return put_char(p, &p->d->text, cp);
}

/* \b and \B in terms of \w. */
static pm_status boundary(parser *p, bool negated) {
    static const char *const format = "(?:(?<=[%.*s])(?%c[%.*s])|(?<![%.*s])(?%c[%.*s]))";
    p->set.len = 0;
    PM_TRY(set_word(p));
    int n = (int)p->set.len;
    const char *w = (const char *)p->set.data;
    return pm_buf_printf(&p->d->text, p->err, format, n, w, negated ? '=' : '!', n, w, n, w, negated ? '!' : '=', n, w);
}

static pm_status backreference(parser *p) {
    uint64_t number = 0;
    size_t at = p->i - 1;

    if (peek(p, 0) == '0') {
        return refuse(p, at, "an octal escape: write \\x{..}");
    }
    while (is_digit(peek(p, 0)) && number < 100000) {
        number = number * 10 + (unsigned)(peek(p, 0) - '0');
        p->i++;
    }
    p->d->references = true;
    return pm_buf_printf(&p->d->text, p->err, "\\g{%llu}", (unsigned long long)number);
}

/* A group's name up to `close`, written out with it. */
static pm_status group_name(parser *p, size_t at, char close) {
    size_t begin = p->i;

    while (is_letter(peek(p, 0)) || peek(p, 0) == '_' || (p->i > begin && is_digit(peek(p, 0)))) {
        p->i++;
    }
    if (p->i == begin || p->i - begin > 32 || peek(p, 0) != close) {
        return refuse(p, at, "a group's name is up to 32 ASCII letters, digits and _");
    }
    p->i++;
    return pm_buf_append(&p->d->text, p->s + begin, p->i - begin, p->err);
}

/* The escapes that make sense outside of classes only. */
static pm_status other_escape(parser *p, size_t at) {
    int c = peek(p, 0);

    if (is_digit(c)) {
        return backreference(p);
    }
    p->i++;
    switch (c) {
    case 'b':
    case 'B':
        if (peek(p, 0) == '{') {
            return refuse(p, at, "\\b{..} is Rust's only");
        }
        return boundary(p, c == 'B');
    case 'A': return emit(p, "\\A");
    case 'z': return emit(p, "\\z");
    case 'Z': return emit(p, "\\Z");
    case 'k':
        if (peek(p, 0) != '<') {
            return refuse(p, at, "a reference to a group by name is \\k<name>");
        }
        p->i++;
        p->d->references = true;
        PM_TRY(emit(p, "\\k<"));
        return group_name(p, at, '>');
    case 'g': return refuse(p, at, "calls of groups are not supported");
    case 'G':
    case 'K': return refuse(p, at, "\\G and \\K are not supported: use a lookbehind");
    case 'C': return refuse(p, at, "\\C is not supported: patterns match characters");
    default: return refuse(p, at, "unknown or unsupported escape");
    }
}

static pm_status escape(parser *p) {
    size_t at = p->i++;
    item it;

    PM_TRY(read_escape(p, at, &it));
    if (it.kind == ITEM_CHAR) {
        return literal(p, at, it.cp);
    }
    p->last = 0;
    if (it.kind == ITEM_TEXT) {
        return other_escape(p, at);
    }
    p->d->engine_tables |= it.lm || it.lo;
    PM_TRY(emit(p, it.negated ? "[^" : "["));
    PM_TRY(put_buf(p, &p->d->text, &p->set));
    return emit(p, "]");
}

/* ---- groups ---- */

static pm_status push_group(parser *p, size_t at, const char *text) {
    if (p->depth == GROUPS_DEEP) {
        return refuse(p, at, "groups are nested too deep");
    }
    p->groups[p->depth++] = (group){p->caseless, false, at};
    p->at_begin = true;
    return emit(p, text);
}

/* "(?i)", "(?s-i:": behind "(?". */
static pm_status flags(parser *p, size_t at) {
    bool on = true, caseless = p->caseless, late = !p->at_begin;
    char text[16] = "(?";
    size_t n = 2;

    for (;; p->i++) {
        int c = peek(p, 0);
        if (c == 'i') {
            caseless = on;
        } else if (c == 'm' || c == 'x') {
            return refuse(p, at,
                          c == 'm' ? "(?m) means different things in Oniguruma and Rust"
                                   : "(?x) is not supported: write the pattern without spaces");
        } else if (c != 's' && c != 'u' && c != '-') {
            break;
        }
        if ((c == 'u' && !on) || (c == '-' && !on) || n > 10) {
            return refuse(p, at, "unsupported flags");
        }
        on = on && c != '-';
        if (c != 'u') {
            text[n++] = (char)c;
        }
    }
    int end = peek(p, 0);
    if ((end != ')' && end != ':') || text[n - 1] == '-') {
        return refuse(p, at, "unknown or unsupported kind of group");
    }
    p->i++;
    text[n++] = (char)end;
    text[n] = '\0';
    if (end == ':') {
        PM_TRY(push_group(p, at, text));
    } else {
        p->groups[p->depth - 1].late_flags |= late;
        PM_TRY(emit(p, n == 3 ? "" : text));
    }
    p->caseless = caseless;
    return PM_OK;
}

static pm_status open_group(parser *p) {
    static const char *const plain[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"};
    size_t at = p->i;

    p->last = 0;
    if (follows(p, "(*")) {
        return refuse(p, at, "verbs (*..) are not supported");
    }
    if (!follows(p, "(?")) {
        p->i++;
        return push_group(p, at, "(");
    }
    for (size_t k = 0; k < sizeof plain / sizeof plain[0]; k++) {
        if (follows(p, plain[k])) {
            if (plain[k][2] == '<' && p->d->lookbehind == SIZE_MAX) {
                p->d->lookbehind = at;
            }
            p->i += strlen(plain[k]);
            return push_group(p, at, plain[k]);
        }
    }
    if (follows(p, "(?<") || follows(p, "(?P<")) {
        p->i += follows(p, "(?<") ? 3 : 4;
        PM_TRY(push_group(p, at, "(?<"));
        return group_name(p, at, '>');
    }
    if (follows(p, "(?#")) {
        const uint8_t *end = memchr(p->s + p->i, ')', p->n - p->i);
        if (!end) {
            return refuse(p, at, "a comment is not closed");
        }
        p->i = (size_t)(end - p->s) + 1;
        return PM_OK;
    }
    p->i += 2;
    return flags(p, at);
}

static pm_status close_group(parser *p) {
    p->last = 0;
    if (p->depth == 1) {
        return refuse(p, p->i, "a parenthesis closes nothing");
    }
    p->caseless = p->groups[--p->depth].caseless;
    p->at_begin = false;
    p->i++;
    return emit(p, ")");
}

static pm_status alternate(parser *p) {
    if (p->groups[p->depth - 1].late_flags) {
        return refuse(p, p->i, "an alternative behind a bare (?i) belongs to it in Oniguruma only: use (?i:..)");
    }
    p->last = 0;
    p->at_begin = true;
    p->i++;
    return emit(p, "|");
}

/* ---- repeats ---- */

/* Decimal digits; UINT32_MAX: none. */
static uint32_t read_number(const parser *p, size_t *i) {
    uint64_t value = 0;
    size_t begin = *i;

    while (*i < p->n && is_digit(p->s[*i])) {
        value = value * 10 + (unsigned)(p->s[*i] - '0');
        value = value > 100000 ? 100000 : value; /* PCRE2 stops at 65535 */
        (*i)++;
    }
    return *i == begin ? UINT32_MAX : (uint32_t)value;
}

static pm_status counted_repeat(parser *p) {
    size_t i = p->i + 1, at = p->i;
    uint32_t least = read_number(p, &i), most = least;
    bool comma = i < p->n && p->s[i] == ',';

    if (comma) {
        i++;
        most = read_number(p, &i);
    }
    if (i >= p->n || p->s[i] != '}' || (least == UINT32_MAX && most == UINT32_MAX)) {
        p->i++;
        return literal(p, at, '{');
    }
    p->i = i + 1;
    p->last = 0;
    uint32_t largest = most == UINT32_MAX ? least : most;
    p->d->most = largest > p->d->most ? largest : p->d->most;
    if (peek(p, 0) == '+' && !p->published) {
        return refuse(
            p, p->i,
            "a + behind {n,m} is possessive in Rust and repeats in Oniguruma: write (?>..{n,m}) or (?:..{n,m})+");
    }
    if (peek(p, 0) == '?' && !comma) {
        return refuse(p, p->i, "a ? behind {n} means different things in Oniguruma and Rust: write (?:..{n})?");
    }
    PM_TRY(pm_buf_printf(&p->d->text, p->err, comma ? "{%u," : "{%u", least == UINT32_MAX ? 0u : (unsigned)least));
    if (comma && most != UINT32_MAX) {
        PM_TRY(pm_buf_printf(&p->d->text, p->err, "%u", (unsigned)most));
    }
    PM_TRY(emit(p, "}"));
    if (peek(p, 0) == '?' || peek(p, 0) == '+') {
        PM_TRY(emit(p, peek(p, 0) == '?' ? "?" : "+"));
        p->i++;
    }
    return PM_OK;
}

static pm_status token(parser *p) {
    size_t at = p->i;
    uint32_t cp;
    char text[2] = {(char)p->s[at], '\0'};
    bool begin = p->at_begin;

    PM_TRY(mark(p, at));
    p->at_begin = false;
    switch (p->s[at]) {
    case '\\': return escape(p);
    case '[': p->last = 0; return read_class(p);
    case '(':
        p->at_begin = begin; /* a bare (?i) or a comment leaves it so */
        return open_group(p);
    case ')': return close_group(p);
    case '|': return alternate(p);
    case '{': return counted_repeat(p);
    case '*':
    case '+':
    case '?':
    case '.':
    case '^':
    case '$':
        p->last = 0;
        p->i++;
        return emit(p, text);
    default: PM_TRY(read_char(p, &cp)); return literal(p, at, cp);
    }
}

static pm_status parse(parser *p) {
    while (p->i < p->n) {
        PM_TRY(token(p));
    }
    if (p->depth > 1) {
        return refuse(p, p->groups[p->depth - 1].at, "a parenthesis is not closed");
    }
    return mark(p, p->n);
}

pm_status pm_dialect_translate(pm_dialect *d, const char *regex, bool published, pm_error *err) {
    parser *p = pm_calloc(1, sizeof *p);
    if (!p) {
        return pm_fail_memory(err);
    }
    p->d = d;
    p->s = (const uint8_t *)regex;
    p->n = strlen(regex);
    p->published = published;
    p->at_begin = true;
    p->depth = 1; /* the whole pattern */
    p->err = err;
    d->lookbehind = SIZE_MAX;
    d->most = 1;
    pm_status status = parse(p);
    for (size_t i = 0; i < CLASSES_DEEP; i++) {
        pm_buf_release(&p->classes[i].items);
        pm_buf_release(&p->classes[i].others);
        pm_buf_release(&p->classes[i].factors);
    }
    pm_buf_release(&p->set);
    pm_properties_release(&p->properties);
    pm_free(p);
    return status;
}

void pm_dialect_release(pm_dialect *d) {
    pm_buf_release(&d->text);
    pm_free(d->marks);
    memset(d, 0, sizeof *d);
}

size_t pm_dialect_position(const pm_dialect *d, size_t out) {
    size_t low = 0, high = d->n_marks; /* the last mark at or before `out` */

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (d->marks[middle].out <= out) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return d->n_marks ? d->marks[low].in : 0;
}
