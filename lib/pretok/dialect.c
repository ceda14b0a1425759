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
 *   \p{..} \pL  General categories and scripts as our own tables have them (property.h), of one version of Unicode on
 *               every machine. Alphabetic, Uppercase, Lowercase and Emoji are PCRE2's, and `engine_tables` is set. A
 *               script is Script, not PCRE2's Script_Extensions. Long names, any case, spaces and underscores as in
 *               the other engines.
 *   \s \d \h    White_Space (with U+0085, without U+180E); Nd; a hexadecimal digit (in PCRE2, a space).
 *   [a[b]] &&   Union and intersection of classes, by alternatives and lookaheads.
 *   \v {,n}     U+000B; {0,n}. \uHHHH \UHHHHHHHH \u{H} are code points.
 *
 * Where the engines differ
 *
 *                common                             Rust                  Oniguruma
 *   ^ $          ends of the text                   the same              of each line; ^ not behind a \n that ends it
 *   \w \b        Alphabetic, M, Nd, Pc, joiners     the same              joiners not, B2 B3 B9 BC BD BE outside of [..]
 *   {n,m}+       refused                            possessive            a repeat of the repeat
 *   {n}?         refused                            lazy                  the repeat or nothing
 *   [[:alpha:]]  refused                            refused (ASCII)       Unicode: set_posix()
 *   \p{alnum}    refused, and its like              refused               as [:alnum:]
 *   (?m)         refused                            refused (lines)       the dot matches \n: PCRE2's (?s)
 *   a(?i)b|c     refused                            (?i) is for c too     a(?i:b|c)
 *   (?x)         refused                            refused               blanks and comments outside of [..] are left out
 *   (?i:\p{Lu})  refused, with other properties     refused (it widens)   \p{Lu}; in [..] refused (it widens there)
 *                that folding widens
 *   (?i:ss)      refused, with what else folds      two letters           refused (matches U+00DF)
 *                to several letters in Oniguruma
 *   [\b]         refused                            refused               U+0008
 *   \R \N \O     refused                            refused               a line break, not \n, any character
 *
 * What is refused in all: \xHH from 80 on without braces (a byte or a character). -- ~~ as class operators. \G \K \C \X
 * \Q..\E, callouts, verbs (*..), recursion and subroutine calls, conditions, branch reset.
 *
 * A set item is either a list for inside of [..] or the negation of one. Negations cannot stand in a list ([\W_]): they
 * become alternatives, (?:[_]|[^..]). Classes nest to 8 levels on a stack of our own; groups to 250, PCRE2's own limit.
 *
 * Sources: Oniguruma's doc/RE, the documentation of Rust's regex and fancy-regex, pcre2pattern(3); every line was tried
 * in tokenizers 0.23.3 and tiktoken 0.14 (tests/peers/test_dialect.py, test_pretokenizers.py), Oniguruma's sets over all
 * code points. */
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
    bool extended;   /* this too */
    bool looks;      /* a look-around is in it, or it is one */
    unsigned closes; /* groups that a bare (?i) opened inside, to be closed with it */
    size_t out;      /* where it begins in the translated text */
    bool late_flags; /* a bare (?i) stood behind the begin of an alternative */
    size_t at;
} group;

/* One class being read: [ factor && factor .. ], a factor being items and alternatives in union. */
typedef struct class_level {
    bool negated;
    pm_buf items;        /* what stands inside of [..] */
    pm_buf others;       /* alternatives, each with a '|' behind it: nested classes and negated items */
    pm_buf factors;      /* "(?=..)" of each factor before the last && */
    size_t at;
} class_level;

typedef struct parser {
    pm_dialect *d;
    const uint8_t *s;
    size_t n, i;
    pm_flavor flavor;
    bool caseless;
    bool extended; /* (?x): blanks and comments say nothing */
    size_t atom;   /* where the last thing that can be repeated begins in the translated text */
    bool looks;    /* that is a group with a look-around in it */
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

static bool is_oniguruma(const parser *p) { return p->flavor == PM_FLAVOR_ONIGURUMA; }

/* Puts a group around what a repeat is about and the repeat, so that another repeat can follow. */
static pm_status wrap_repeat(parser *p) {
    static const char open[] = "(?:";
    const size_t n = sizeof open - 1;
    pm_dialect *d = p->d;

    PM_TRY(pm_buf_reserve(&d->text, n, p->err));
    memmove(d->text.data + p->atom + n, d->text.data + p->atom, d->text.len - p->atom);
    memcpy(d->text.data + p->atom, open, n);
    d->text.len += n;
    for (size_t i = d->n_marks; i > 0 && d->marks[i - 1].out > p->atom; i--) {
        d->marks[i - 1].out += n;
    }
    return emit(p, ")");
}

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
    if (p->flavor != PM_FLAVOR_RUST && folds_to_several(first, last)) {
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
    {"lm", "Lm", 0}, {"modifierletter", "Lm", 0},
    {"lo", "Lo", 0}, {"otherletter", "Lo", 0},
    {"m", "M", 0}, {"mark", "M", 0}, {"combiningmark", "M", 0},
    {"mn", "Mn", 0}, {"nonspacingmark", "Mn", 0},
    {"mc", "Mc", TAKES_PART}, {"spacingmark", "Mc", TAKES_PART},
    {"me", "Me", TAKES_PART}, {"enclosingmark", "Me", TAKES_PART},
    {"n", "N", TAKES_PART}, {"number", "N", TAKES_PART},
    {"nd", "Nd", TAKES_PART}, {"decimalnumber", "Nd", TAKES_PART}, {"digit", "Nd", TAKES_PART},
    {"nl", "Nl", TAKES_PART}, {"letternumber", "Nl", TAKES_PART},
    {"no", "No", TAKES_PART}, {"othernumber", "No", TAKES_PART},
    {"p", "P", TAKES_PART}, {"punctuation", "P", TAKES_PART}, {"punct", "P", TAKES_PART},
    {"pc", "Pc", TAKES_PART}, {"connectorpunctuation", "Pc", TAKES_PART},
    {"pd", "Pd", TAKES_PART}, {"dashpunctuation", "Pd", TAKES_PART},
    {"ps", "Ps", TAKES_PART}, {"openpunctuation", "Ps", TAKES_PART},
    {"pe", "Pe", TAKES_PART}, {"closepunctuation", "Pe", TAKES_PART},
    {"pi", "Pi", TAKES_PART}, {"initialpunctuation", "Pi", TAKES_PART},
    {"pf", "Pf", TAKES_PART}, {"finalpunctuation", "Pf", TAKES_PART},
    {"po", "Po", TAKES_PART}, {"otherpunctuation", "Po", TAKES_PART},
    {"s", "S", TAKES_PART}, {"symbol", "S", TAKES_PART},
    {"sm", "Sm", TAKES_PART}, {"mathsymbol", "Sm", TAKES_PART},
    {"sc", "Sc", TAKES_PART}, {"currencysymbol", "Sc", TAKES_PART},
    {"sk", "Sk", TAKES_PART}, {"modifiersymbol", "Sk", TAKES_PART},
    {"so", "So", TAKES_PART}, {"othersymbol", "So", TAKES_PART},
    {"z", "\\p{Z}", TAKES_PART | STABLE}, {"separator", "\\p{Z}", TAKES_PART | STABLE},
    {"zs", "\\p{Zs}", TAKES_PART | STABLE}, {"spaceseparator", "\\p{Zs}", TAKES_PART | STABLE},
    {"zl", "\\p{Zl}", TAKES_PART | STABLE}, {"lineseparator", "\\p{Zl}", TAKES_PART | STABLE},
    {"zp", "\\p{Zp}", TAKES_PART | STABLE}, {"paragraphseparator", "\\p{Zp}", TAKES_PART | STABLE},
    {"c", "C", TAKES_PART}, {"other", "C", TAKES_PART},
    {"cc", "\\p{Cc}", TAKES_PART | STABLE}, {"control", "\\p{Cc}", TAKES_PART | STABLE},
    {"cf", "Cf", TAKES_PART}, {"format", "Cf", TAKES_PART},
    {"co", "\\p{Co}", TAKES_PART | STABLE}, {"privateuse", "\\p{Co}", TAKES_PART | STABLE},
    {"cn", "Cn", TAKES_PART}, {"unassigned", "Cn", TAKES_PART},
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

/* A property under (?i) that folding does not touch: escape() puts it outside. */
static bool stays_as_it_is(const parser *p) { return is_oniguruma(p) && p->n_classes == 0; }

static pm_status set_property(parser *p, size_t at, const property_name *known) {
    bool found;

    if (known->flags & REFUSED) {
        return refuse(p, at, "this property is not the same in Oniguruma and Rust: write the class out");
    }
    if (p->caseless && !(known->flags & TAKES_PART) && !stays_as_it_is(p)) {
        return refuse(p, at, "under (?i) this property is not the same in Oniguruma and Rust: move it out of (?i)");
    }
    PM_TRY(pm_property_items(&p->properties, known->item, &p->set, &found, p->err));
    if (!found) {
        p->d->engine_tables |= !(known->flags & STABLE);
        PM_TRY(put(p, &p->set, known->item));
    }
    return PM_OK;
}

/* A name that is in no list of ours: a script. */
static pm_status set_script(parser *p, size_t at, const char *name) {
    char text[NAME_MAX_BYTES + 16] = "\\p{sc:";
    bool known;
    size_t len = p->set.len;

    PM_TRY(pm_property_script(&p->properties, name, &p->set, &known, p->err));
    if (known && !(p->caseless && !stays_as_it_is(p))) {
        return PM_OK;
    }
    p->set.len = len;
    strcat(text, name);
    strcat(text, "}");
    PM_TRY(pm_property_known(text, &known, p->err));
    if (!known) {
        return refuse(p, at, "unknown property");
    }
    if (p->caseless && !stays_as_it_is(p)) {
        return refuse(p, at, "under (?i) this property is not the same in Oniguruma and Rust: move it out of (?i)");
    }
    p->d->engine_tables = true;
    return put(p, &p->set, text);
}

/* Alphabetic beside letters, marks and letter numbers: circled and squared letters. */
#define CIRCLED "\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}"

/* What \w is; Oniguruma's is another one in a class. */
static pm_status set_word(parser *p, bool in_class) {
    static const char *const parts[] = {"L", "M", "Nd", "Nl", "Pc"};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        PM_TRY(add_known(p, parts[i]));
    }
    PM_TRY(put(p, &p->set, CIRCLED));
    if (p->flavor != PM_FLAVOR_ONIGURUMA) {
        return put(p, &p->set, "\\x{200C}\\x{200D}");
    }
    return in_class ? PM_OK : put(p, &p->set, "\\x{B2}\\x{B3}\\x{B9}\\x{BC}\\x{BD}\\x{BE}");
}

/* The classes that POSIX names, as Oniguruma has them. False in *found: none is called so. */
static pm_status set_posix(parser *p, const char *name, bool bracket, bool *found) {
    static const struct {
        const char *name, *parts[4], *text;
    } sets[] = {
        {"alnum", {"Nd"}, "\\p{Alphabetic}"},
        {"alpha", {NULL}, "\\p{Alphabetic}"},
        {"blank", {NULL}, "\\p{Zs}\\x{9}"},
        {"cntrl", {NULL}, "\\p{Cc}"},
        {"digit", {"Nd"}, ""},
        {"graph", {"L", "M", "N", "Cf"}, "\\p{Co}"},
        {"lower", {NULL}, "\\p{Lowercase}"},
        {"print", {"L", "M", "N", "Cf"}, "\\p{Co}\\p{Zs}"},
        {"punct", {"P"}, ""},
        {"space", {NULL}, WHITE_SPACE},
        {"upper", {NULL}, "\\p{Uppercase}"},
        {"xdigit", {NULL}, HEX_DIGIT},
        {"ascii", {NULL}, "\\x{0}-\\x{7F}"},
        {"word", {NULL}, ""},
    };
    size_t i = 0, n = sizeof sets / sizeof *sets;

    while (i < n && strcmp(sets[i].name, name) != 0) {
        i++;
    }
    *found = i < n;
    if (i == n) {
        return PM_OK;
    }
    for (size_t k = 0; k < 4 && sets[i].parts[k]; k++) {
        PM_TRY(add_known(p, sets[i].parts[k]));
    }
    if (name[0] == 'g' || (name[0] == 'p' && (name[1] == 'r' || bracket))) { /* graph, print, [:punct:] */
        PM_TRY(name[1] == 'u' ? PM_OK : add_known(p, "P"));
        PM_TRY(add_known(p, "S"));
    }
    p->d->engine_tables |= strstr(sets[i].text, "case}") || strstr(sets[i].text, "Alphabetic");
    return name[0] == 'w' ? set_word(p, p->n_classes > 0) : put(p, &p->set, sets[i].text);
}

static pm_status set_named(parser *p, size_t at, const char *name, item *it) {
    static const char *const category[] = {"gc=", "generalcategory="}, *const script[] = {"sc=", "script="};

    for (size_t i = 0; i < 2; i++) {
        if (strncmp(name, category[i], strlen(category[i])) == 0) {
            const property_name *known = find_property(name + strlen(category[i]));
            return known ? set_property(p, at, known) : refuse(p, at, "unknown property");
        }
        if (strncmp(name, script[i], strlen(script[i])) == 0) {
            name += strlen(script[i]);
            const property_name *known = find_property(name);
            return known && (known->flags & SCRIPT) ? set_property(p, at, known) : set_script(p, at, name);
        }
    }
    if (strcmp(name, "lc") == 0 || strcmp(name, "casedletter") == 0) {
        PM_TRY(set_property(p, at, find_property("lu")));
        PM_TRY(add_known(p, "Ll"));
        return put(p, &p->set, "\\p{Lt}");
    }
    if (strcmp(name, "assigned") == 0) {
        it->negated = !it->negated;
        name = "cn";
    }
    const property_name *known = find_property(name);
    if (known && (known->flags & REFUSED) && is_oniguruma(p)) {
        bool found;
        PM_TRY(set_posix(p, name, false, &found));
        return found ? PM_OK : refuse(p, at, "unknown property");
    }
    return known ? set_property(p, at, known) : set_script(p, at, name);
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
    case 'D': return add_known(p, "Nd");
    case 'w':
    case 'W': return set_word(p, p->n_classes > 0);
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
    c->negated = false;
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

/* Oniguruma's "[:^alpha:]", at "[:". */
static pm_status posix_item(parser *p) {
    char name[16] = "";
    size_t n = 0, at = p->i;
    item it = {.kind = ITEM_SET};
    bool found;

    p->i += 2;
    it.negated = peek(p, 0) == '^';
    p->i += it.negated;
    while (is_letter(peek(p, 0)) && n + 1 < sizeof name) {
        name[n++] = (char)p->s[p->i++];
    }
    p->set.len = 0;
    PM_TRY(set_posix(p, name, true, &found));
    if (!found || !follows(p, ":]")) {
        return refuse(p, at, "unknown class in [:..:]");
    }
    if (p->caseless && strcmp(name, "lower") != 0 && strcmp(name, "upper") != 0 && strcmp(name, "ascii") != 0) {
        p->d->engine_tables = true; /* folding leads to no other character */
    } else if (p->caseless) {
        return refuse(p, at, "under (?i) this class is not supported: move it out of (?i)");
    }
    p->i += 2;
    return add_set(p, &it);
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
        if (is_oniguruma(p)) {
            p->i++;
            *it = (item){.kind = ITEM_CHAR, .cp = 8};
            return PM_OK;
        }
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
        if (range_follows(p) && !is_oniguruma(p)) { /* there it stands for itself */
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
        } else if (is_posix(p) && is_oniguruma(p)) {
            PM_TRY(posix_item(p));
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
    if (p->caseless && p->flavor != PM_FLAVOR_RUST && p->last && pair_folds(p->last, cp)) {
        return refuse(p, at, "under (?i) these two letters equal a ligature in Oniguruma: put (?:) between them");
    }
    p->last = cp;
    return put_char(p, &p->d->text, cp);
}

/* \b and \B in terms of \w. */
static pm_status boundary(parser *p, bool negated) {
    static const char *const format = "(?:(?<=[%.*s])(?%c[%.*s])|(?<![%.*s])(?%c[%.*s]))";
    p->set.len = 0;
    PM_TRY(set_word(p, false));
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
    case 'R':
    case 'N':
    case 'O':
        if (is_oniguruma(p)) {
            return emit(p, c == 'N' ? "[^\\n]" : c == 'O' ? ANY : "(?>\\r\\n|[\\n-\\r\\x{85}\\x{2028}\\x{2029}])");
        }
        return refuse(p, at, "unknown or unsupported escape");
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
    bool apart = p->caseless && stays_as_it_is(p);
    PM_TRY(emit(p, apart ? "(?-i:" : ""));
    PM_TRY(emit(p, it.negated ? "[^" : "["));
    PM_TRY(put_buf(p, &p->d->text, &p->set));
    return emit(p, apart ? "])" : "]");
}

/* ---- groups ---- */

static pm_status push_group(parser *p, size_t at, const char *text) {
    if (p->depth == GROUPS_DEEP) {
        return refuse(p, at, "groups are nested too deep");
    }
    p->groups[p->depth++] = (group){.caseless = p->caseless, .extended = p->extended, .out = p->d->text.len, .at = at};
    p->at_begin = true;
    return emit(p, text);
}

/* What a flag of a group turns on or off. */
static pm_status one_flag(parser *p, size_t at, int c, bool on, bool *caseless, bool *extended, char *emitted) {
    *emitted = (char)c;
    if (c == 'i') {
        *caseless = on;
    } else if (c == 'm') {
        if (!is_oniguruma(p)) {
            return refuse(p, at, "(?m) means different things in Oniguruma and Rust");
        }
        *emitted = 's';
    } else if (c == 'x') {
        if (!is_oniguruma(p)) {
            return refuse(p, at, "(?x) is not supported: write the pattern without spaces");
        }
        *extended = on;
        *emitted = '\0';
    } else if (c == 'u') {
        if (!on) {
            return refuse(p, at, "unsupported flags");
        }
        *emitted = '\0';
    }
    return PM_OK;
}

/* "(?i)", "(?s-i:": behind "(?". A bare one of Oniguruma is a group up to the end of the one around it, alternatives and all. */
static pm_status flags(parser *p, size_t at) {
    bool on = true, caseless = p->caseless, extended = p->extended, late = !p->at_begin;
    char text[16] = "(?", emitted;
    size_t n = 2;

    for (; peek(p, 0) > 0 && strchr("imxsu-", peek(p, 0)); p->i++) {
        int c = peek(p, 0);
        PM_TRY(one_flag(p, at, c, on, &caseless, &extended, &emitted));
        if ((c == '-' && !on) || n > 10) {
            return refuse(p, at, "unsupported flags");
        }
        on = on && c != '-';
        if (emitted) {
            text[n++] = emitted;
        }
    }
    int end = peek(p, 0);
    n -= text[n - 1] == '-' && is_oniguruma(p); /* "-x", which is ours */
    if ((end != ')' && end != ':') || text[n - 1] == '-') {
        return refuse(p, at, "unknown or unsupported kind of group");
    }
    p->i++;
    if (end == ')' && is_oniguruma(p)) {
        text[n] = ':';
        p->groups[p->depth - 1].closes++;
        PM_TRY(emit(p, text));
    } else if (end == ':') {
        text[n] = ':';
        PM_TRY(push_group(p, at, text));
    } else {
        text[n] = ')';
        p->groups[p->depth - 1].late_flags |= late && p->flavor == PM_FLAVOR_COMMON;
        PM_TRY(emit(p, n == 2 ? "" : text));
    }
    p->caseless = caseless;
    p->extended = extended;
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
            PM_TRY(push_group(p, at, plain[k]));
            p->groups[p->depth - 1].looks = plain[k][2] != ':' && plain[k][2] != '>';
            return PM_OK;
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

/* Closes the groups of bare flags. */
static pm_status close_flags(parser *p, group *g) {
    for (; g->closes; g->closes--) {
        PM_TRY(emit(p, ")"));
    }
    return PM_OK;
}

static pm_status close_group(parser *p) {
    p->last = 0;
    if (p->depth == 1) {
        return refuse(p, p->i, "a parenthesis closes nothing");
    }
    group *g = &p->groups[--p->depth];
    PM_TRY(close_flags(p, g));
    p->caseless = g->caseless;
    p->extended = g->extended;
    p->atom = g->out;
    p->looks = g->looks;
    p->groups[p->depth - 1].looks |= g->looks;
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
        p->atom = p->d->text.len;
        return literal(p, at, '{');
    }
    p->i = i + 1;
    p->last = 0;
    uint32_t largest = most == UINT32_MAX ? least : most;
    p->d->most = largest > p->d->most ? largest : p->d->most;
    if (peek(p, 0) == '+' && p->flavor == PM_FLAVOR_COMMON) {
        return refuse(
            p, p->i,
            "a + behind {n,m} is possessive in Rust and repeats in Oniguruma: write (?>..{n,m}) or (?:..{n,m})+");
    }
    if (is_oniguruma(p) && p->looks && least > 1) {
        return refuse(p, at, "a counted repeat of a group with a look-around, which Oniguruma looks for only once: write the group out");
    }
    if (peek(p, 0) == '?' && !comma && p->flavor == PM_FLAVOR_COMMON) {
        return refuse(p, p->i, "a ? behind {n} means different things in Oniguruma and Rust: write (?:..{n})?");
    }
    PM_TRY(pm_buf_printf(&p->d->text, p->err, comma ? "{%u," : "{%u", least == UINT32_MAX ? 0u : (unsigned)least));
    if (comma && most != UINT32_MAX) {
        PM_TRY(pm_buf_printf(&p->d->text, p->err, "%u", (unsigned)most));
    }
    PM_TRY(emit(p, "}"));
    if (is_oniguruma(p) && (peek(p, 0) == '+' || (peek(p, 0) == '?' && !comma))) {
        return wrap_repeat(p); /* it is a repeat of the repeat */
    }
    if (peek(p, 0) == '?' || peek(p, 0) == '+') {
        PM_TRY(emit(p, peek(p, 0) == '?' ? "?" : "+"));
        p->i++;
    }
    return PM_OK;
}

/* In (?x): past a blank or a comment; false: neither is here. */
static bool skip_extended(parser *p) {
    int c = peek(p, 0);

    if (!p->extended || (c != '#' && !(c == ' ' || (c >= '\t' && c <= '\r')))) {
        return false;
    }
    const uint8_t *end = c == '#' ? memchr(p->s + p->i, '\n', p->n - p->i) : p->s + p->i;
    p->i = end ? (size_t)(end - p->s) + 1 : p->n;
    return true;
}

/* ^ $ and what else means no character of its own. */
static pm_status sign(parser *p) {
    char text[2] = {(char)p->s[p->i++], '\0'};

    p->last = 0;
    if (is_oniguruma(p) && (text[0] == '^' || text[0] == '$')) {
        return emit(p, text[0] == '^' ? "(?:\\A|(?<=\\n)(?!\\z))" : "(?=\\n|\\z)");
    }
    return emit(p, text);
}

static pm_status token(parser *p) {
    size_t at = p->i;
    uint32_t cp;
    bool begin = p->at_begin;

    if (skip_extended(p)) {
        return PM_OK;
    }
    PM_TRY(mark(p, at));
    p->at_begin = false;
    switch (p->s[at]) {
    case '(':
        p->at_begin = begin; /* a bare (?i) or a comment leaves it so */
        return open_group(p);
    case ')': return close_group(p);
    case '|': return alternate(p);
    case '{': return counted_repeat(p);
    case '*':
    case '+':
    case '?': return sign(p);
    default: break;
    }
    p->atom = p->d->text.len;
    p->looks = false;
    switch (p->s[at]) {
    case '\\': return escape(p);
    case '[': p->last = 0; return read_class(p);
    case '.':
    case '^':
    case '$': return sign(p);
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
    PM_TRY(close_flags(p, &p->groups[0]));
    return mark(p, p->n);
}

pm_status pm_dialect_translate(pm_dialect *d, const char *regex, pm_flavor flavor, pm_error *err) {
    parser *p = pm_calloc(1, sizeof *p);
    if (!p) {
        return pm_fail_memory(err);
    }
    p->d = d;
    p->s = (const uint8_t *)regex;
    p->n = strlen(regex);
    p->flavor = flavor;
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
