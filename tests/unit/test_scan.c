/* test_scan.c - the scanners of the named patterns against the table of cases, the slow twin of
 * tests/oracle/split_regex.h and PCRE2.
 *
 * Each ck_assert writes to a file, so inner loops ask first and fail with ck_abort_msg.
 * PM_FULL=1 in the environment compares every code point in every context (minutes); else those where something
 * changes, and each alone. */
#include <stdio.h>

#include "../oracle/split_regex.h"
#include "../oracle/tricky.h"
#include "pretok/names.h"
#include "pretok/split.h"
#include "support.h"
#include "text/script.h"

enum { N_SCANNERS = 10, MAX_CASE = 4096 };
static const char *const scanner_names[N_SCANNERS] = {"gpt2",    "cl100k_base", "qwen2",    "o200k_base", "tekken",
                                                      "kimi_k2", "deepseek_v3", "superbpe", "scripts",
                                                      "sentencepiece"};

/* ---- ways to split ---- */

/* Writes the ends of the pre-tokens of text by pattern number p (room for len + 1 of them); returns their number. */
typedef size_t (*split_fn)(int p, const uint8_t *text, size_t len, size_t *ends);

static size_t split_by_scanner(int p, const uint8_t *text, size_t len, size_t *ends) {
    pm_scan_fn scan = pm_named_pattern_find(scanner_names[p])->scan;
    size_t n = 0;
    for (size_t pos = 0; pos < len;) {
        size_t end = scan(text, len, pos);
        if (end <= pos || end > len) {
            ck_abort_msg("%s gave %zu at %zu of %zu", scanner_names[p], end, pos, len);
        }
        ends[n++] = pos = end;
    }
    return n;
}

static size_t split_by_oracle(int p, const uint8_t *text, size_t len, size_t *ends) {
    static oracle_regex *regexes[N_SCANNERS][4]; /* kept for the process, reachable */
    static size_t n_regexes[N_SCANNERS];
    if (n_regexes[p] == 0) {
        const pm_named_pattern *pattern = pm_named_pattern_find(scanner_names[p]);
        while (pattern->regexes[n_regexes[p]]) {
            regexes[p][n_regexes[p]] = oracle_regex_new(pattern->regexes[n_regexes[p]]);
            n_regexes[p]++;
        }
    }
    return oracle_split(regexes[p], n_regexes[p], text, len, ends);
}

static size_t split_by_starts(int p, const uint8_t *text, size_t len, size_t *ends) {
    static pm_starts starts;
    pm_cpu cpu;
    pm_cpu_choose(&cpu, NULL);
    pm_find_fn find = pm_named_pattern_find(scanner_names[p])->find;
    if (!find) {
        return split_by_scanner(p, text, len, ends);
    }
    pm_starts_init(&starts, find, cpu);
    pm_starts_begin(&starts, text, len);
    return pm_starts_next(&starts, ends, len + 1);
}

#ifdef PM_HAVE_PCRE2
static size_t split_by_pcre2(int p, const uint8_t *text, size_t len, size_t *ends) {
    static pm_splitter *splitters[N_SCANNERS]; /* kept for the process, reachable */
    static pm_split_scratch *scratches[N_SCANNERS];
    pm_error err;
    if (!splitters[p]) {
        assert_ok(pm_splitter_new_regex(&splitters[p], &scanner_names[p], 1, &err));
        assert_ok(pm_split_scratch_new(&scratches[p], splitters[p], &err));
    }
    size_t n = 0, more;
    pm_split_begin(scratches[p], text, len);
    do {
        if (pm_split_next(scratches[p], ends + n, len - n, &more, &err) != PM_OK) {
            ck_abort_msg("%s: %s", scanner_names[p], err.message);
        }
        n += more;
    } while (more != 0 && n < len);
    return n;
}
#endif

static const struct {
    const char *name;
    split_fn split;
} ways[] = {
    {"scanner", split_by_scanner},
    {"starts", split_by_starts},
    {"oracle", split_by_oracle},
#ifdef PM_HAVE_PCRE2
    {"PCRE2", split_by_pcre2},
#endif
};
enum { N_WAYS = sizeof ways / sizeof *ways };

/* Bytes in hexadecimal, in a static buffer. */
static const char *hex(const uint8_t *text, size_t len) {
    static char out[3 * 256 + 4];
    size_t n = len < 256 ? len : 256;
    out[0] = 0;
    for (size_t i = 0; i < n; i++) {
        sprintf(out + 3 * i, "%02x ", text[i]);
    }
    return out;
}

/* The ends of ways a and b must be the same for the text. */
static void assert_same(int p, split_fn split, const uint8_t *text, size_t len) {
    size_t *want = pm_alloc(len + 1, sizeof *want), *got = pm_alloc(len + 1, sizeof *got);
    if (!want || !got) {
        ck_abort_msg("no memory");
    }
    size_t n_want = split(p, text, len, want), n_got = split_by_scanner(p, text, len, got), i = 0;
    while (i < n_want && i < n_got && want[i] == got[i]) {
        i++;
    }
    if (i < n_want || i < n_got) {
        size_t begin = i == 0 ? 0 : got[i - 1], behind = len - begin < 40 ? len : begin + 40;
        ck_abort_msg("%s: at %zu the scanner's pre-token ends at %zu instead of %zu; from there on: %s",
                     scanner_names[p], begin, i < n_got ? got[i] : len, i < n_want ? want[i] : len,
                     hex(text + begin, behind - begin));
    }
    pm_free(want);
    pm_free(got);
}

/* ---- classes and names ---- */

START_TEST(classes_are_those_of_unicode_16) {
    /* Sizes as Rust's regex-syntax 0.8.12 has them, whose tables come from Unicode 16.0 by another way; White_Space is
     * 25 with CR and LF. */
    static const struct {
        uint32_t mask;
        unsigned n;
    } sizes[] = {{PM_CLASS_LU, 1889},     {PM_CLASS_LL, 2258},  {PM_CLASS_LO, 136881}, {PM_CLASS_MARK, 2501},
                 {PM_CLASS_NUMBER, 1911}, {PM_CLASS_SPACE, 23}, {PM_CLASS_NEWLINE, 2}, {PM_CLASS_PUNCT, 855},
                 {PM_CLASS_SYMBOL, 8514}, {PM_CLASS_HAN, 99030}};
    ck_assert_str_eq(pm_unicode_version, "16.0.0");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned n = 0;
        for (uint32_t cp = 0; cp < 0x110000; cp++) {
            n += (pm_class(cp) & sizes[i].mask) != 0;
        }
        ck_assert_msg(n == sizes[i].n, "class %x has %u code points instead of %u", sizes[i].mask, n, sizes[i].n);
    }
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        if (__builtin_popcount(pm_class(cp) & ~(uint32_t)PM_CLASS_HAN) != 1) {
            ck_abort_msg("U+%04X has class %x", cp, pm_class(cp));
        }
    }
}
END_TEST

START_TEST(classes_of_single_characters) {
    static const struct {
        uint32_t cp, class;
    } some[] = {{'A', PM_CLASS_LU},
                {0x1C5, PM_CLASS_LU},
                {'z', PM_CLASS_LL},
                {0xAA, PM_CLASS_LO},
                {0x2B0, PM_CLASS_LO},
                {0x301, PM_CLASS_MARK},
                {0x20DD, PM_CLASS_MARK},
                {0xBD, PM_CLASS_NUMBER},
                {' ', PM_CLASS_SPACE},
                {0x85, PM_CLASS_SPACE},
                {0x2028, PM_CLASS_SPACE},
                {0x180E, PM_CLASS_OTHER},
                {0x200B, PM_CLASS_OTHER},
                {'\r', PM_CLASS_NEWLINE},
                {'\n', PM_CLASS_NEWLINE},
                {0x0B, PM_CLASS_SPACE},
                {'_', PM_CLASS_PUNCT},
                {'$', PM_CLASS_SYMBOL},
                {0xFFFD, PM_CLASS_SYMBOL},
                {0xD800, PM_CLASS_OTHER},
                {0xE000, PM_CLASS_OTHER},
                {0x10FFFF, PM_CLASS_OTHER},
                {0x10D50, PM_CLASS_LU},    /* new in 16 */
                {0x323B0, PM_CLASS_OTHER}, /* a letter only since 17 */
                {0x4E00, PM_CLASS_LO | PM_CLASS_HAN},
                {0x3007, PM_CLASS_NUMBER | PM_CLASS_HAN},
                {0x2E80, PM_CLASS_SYMBOL | PM_CLASS_HAN},
                {0x16FF0, PM_CLASS_MARK | PM_CLASS_HAN},
                {0x3042, PM_CLASS_LO}};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        ck_assert_msg(pm_class(some[i].cp) == some[i].class, "U+%04X is %x", some[i].cp, pm_class(some[i].cp));
    }
}
END_TEST

START_TEST(numbers_of_scripts_are_those_of_the_table) {
    ck_assert_str_eq(pm_script_name(PM_SCRIPT_COMMON), "Common");
    ck_assert_str_eq(pm_script_name(PM_SCRIPT_INHERITED), "Inherited");
    ck_assert_str_eq(pm_script_name(PM_SCRIPT_LATIN), "Latin");
    ck_assert_str_eq(pm_script_name(PM_SCRIPT_HAN), "Han");
    ck_assert_str_eq(pm_script_name(PM_SCRIPT_HIRAGANA), "Hiragana");
    ck_assert_str_eq(pm_script_name(PM_SCRIPT_KATAKANA), "Katakana");
    ck_assert_str_eq(pm_script_name(PM_SCRIPT_HANGUL), "Hangul");
}
END_TEST

START_TEST(names_are_found) {
    ck_assert_ptr_null(pm_named_pattern_find("gpt3"));
    ck_assert_ptr_null(pm_named_pattern_find(""));
    for (size_t i = 0; i < pm_n_named_patterns; i++) {
        ck_assert_ptr_eq(pm_named_pattern_find(pm_named_patterns[i].name), &pm_named_patterns[i]);
    }
    ck_assert(pm_named_pattern_find("p50k_base")->scan == pm_named_pattern_find("gpt2")->scan);
    ck_assert(pm_named_pattern_find("r50k_base")->scan == pm_named_pattern_find("gpt2")->scan);
    ck_assert(pm_named_pattern_find("o200k_harmony")->scan == pm_named_pattern_find("o200k_base")->scan);
    ck_assert_str_eq(scanner_names[7], "superbpe");
    ck_assert_str_eq(scanner_names[3], "o200k_base");
    ck_assert(pm_named_pattern_find("llama3")->scan == pm_named_pattern_find("cl100k_base")->scan);
}
END_TEST

START_TEST(regexes_equal_the_published_ones) {
    static const char *const names[] = {"gpt2", "cl100k_base", "o200k_base"};
    for (size_t i = 0; i < 3; i++) {
        char name[64], pattern[1024], *out = pattern;
        snprintf(name, sizeof name, "vocabs/%s.json", names[i]);
        const char *path = shared(name);
        if (!path) {
            return;
        }
        pm_buf json = read_file(path);
        ck_assert_int_eq(pm_buf_append(&json, "", 1, NULL), PM_OK);
        const char *p = strstr((const char *)json.data, "\"pat_str\": \"");
        ck_assert_ptr_nonnull(p);
        for (p += strlen("\"pat_str\": \""); *p != '"'; p++) {
            p += *p == '\\'; /* the file has \\ and \" only */
            *out++ = *p;
        }
        *out = 0;
        ck_assert_str_eq(pm_named_pattern_find(names[i])->regexes[0], pattern);
        ck_assert_ptr_null(pm_named_pattern_find(names[i])->regexes[1]);
        pm_buf_release(&json);
    }
}
END_TEST

/* ---- table of cases ---- */

typedef struct table_case {
    uint8_t text[MAX_CASE];
    size_t len, ends[MAX_CASE], n_ends;
} table_case;

/* Appends what an escape means; p is behind the backslash. Returns what follows it. */
static const char *read_escape(const char *p, table_case *c) {
    char *end = NULL;
    switch (*p++) {
    case 'n': c->text[c->len++] = '\n'; return p;
    case 'r': c->text[c->len++] = '\r'; return p;
    case 't': c->text[c->len++] = '\t'; return p;
    case 'x': {
        char digits[3] = {p[0], p[1], 0};
        c->text[c->len++] = (uint8_t)strtoul(digits, &end, 16);
        ck_assert_ptr_eq(end, digits + 2);
        return p + 2;
    }
    case 'u':
        ck_assert_int_eq(*p, '{');
        c->len += pm_utf8_write((uint32_t)strtoul(p + 1, &end, 16), c->text + c->len);
        ck_assert_int_eq(*end, '}');
        return end + 1;
    default: c->text[c->len++] = (uint8_t)p[-1]; return p;
    }
}

/* Reads `"piece" "piece" ...` up to the end of the line. */
static void read_pieces(const char *p, table_case *c) {
    c->len = c->n_ends = 0;
    while (*p == '"') {
        for (p++; *p != '"';) {
            ck_assert(*p != 0 && *p != '\n' && c->len + 8 < MAX_CASE);
            if (*p == '\\') {
                p = read_escape(p + 1, c);
            } else {
                c->text[c->len++] = (uint8_t)*p++;
            }
        }
        c->ends[c->n_ends++] = c->len;
        p++;
        p += *p == ' ';
    }
    ck_assert_int_eq(*p, '\n');
}

/* Runs a case for pattern number p over every implementation. */
static void run_case(int p, const table_case *c, unsigned line) {
    size_t got[MAX_CASE + 1];
    for (int w = 0; w < N_WAYS; w++) {
        size_t n = ways[w].split(p, c->text, c->len, got);
        bool same = n == c->n_ends && memcmp(got, c->ends, n * sizeof *got) == 0;
        ck_assert_msg(same, "split.txt:%u: %s does not split so by %s", line, scanner_names[p], ways[w].name);
    }
}

START_TEST(table_of_cases) {
    static table_case c;
    pm_buf file = read_file(source_path("tests/cases/split.txt"));
    ck_assert_int_eq(pm_buf_append(&file, "", 1, NULL), PM_OK);
    unsigned line = 0, n_cases = 0;
    char *names = NULL, *next;
    for (char *p = (char *)file.data; *p; p = next) {
        next = strchr(p, '\n') + 1;
        line++;
        if (*p == '#' || *p == '\n') {
            continue;
        }
        if (*p != '"') {
            names = p;
            continue;
        }
        read_pieces(p, &c);
        p[-1] = 0; /* the end of the line of names */
        for (char *save = NULL, *name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
            int i = 0;
            while (i < N_SCANNERS && strcmp(scanner_names[i], name) != 0) {
                i++;
            }
            ck_assert_msg(i < N_SCANNERS, "split.txt:%u: no pattern %s", line - 1, name);
            run_case(i, &c, line);
            n_cases++;
        }
    }
    ck_assert_uint_gt(n_cases, 400);
    pm_buf_release(&file);
}
END_TEST

/* ---- comparison with the twins ---- */

/* What stands before and behind a code point. One text holds a code point in all of them. */
static const char *const contexts[][2] = {{"", ""},
                                          {"a", "b"},
                                          {"A", "B"},
                                          {"1", "2"},
                                          {" ", " "},
                                          {"\n", "\n"},
                                          {"'", "x"},
                                          {" ", "a"},
                                          {"中", "中"},
                                          {"あ", "・"},
                                          {".", "."},
                                          {"\xCC\x81", "\xCC\x81"},
                                          {"  ", "  a"},
                                          {"x's", "'s"},
                                          {" ", "1"},
                                          {"\x01", "\x01"
                                                   "a"},
                                          {"-", "a"},
                                          {"A", "a"},
                                          {"'", ""},
                                          {"\xE4\xB8", "\xA4"},
                                          {"!", "\n/"},
                                          {"a ", " b"},
                                          {"a's ", "b c"},
                                          {"中.", ".é"},
                                          {"ア", "ー"}};
enum { N_CONTEXTS = sizeof contexts / sizeof *contexts };

static size_t append(uint8_t *out, size_t n, const char *s) {
    size_t len = strlen(s);
    memcpy(out + n, s, len);
    return n + len;
}

/* The code point in each context as a text of its own. */
static void compare_in_contexts(int p, uint32_t cp, split_fn split) {
    uint8_t text[64];
    for (int k = 0; k < N_CONTEXTS; k++) {
        size_t n = append(text, 0, contexts[k][0]);
        n += pm_utf8_write(cp, text + n);
        n = append(text, n, contexts[k][1]);
        assert_same(p, split, text, n);
    }
}

/* Whether this code point may behave unlike the one before it: its class differs, a range of a pattern or of a short
 * cut begins or ends. */
static bool may_differ(uint32_t cp) {
    static const uint32_t ends[] = {0x80,   0x800,  0x3040,  0x3100, 0x3400, 0x4E00, 0x9FA6,
                                    0xA000, 0xE000, 0x10000, 0x17F,  0x180,  0x212A};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (cp == ends[i] || cp + 1 == ends[i]) {
            return true;
        }
    }
    return cp < 0x300 || cp % 0x1000 == 0xFFF || pm_class(cp) != pm_class(cp - 1) ||
           pm_script(cp) != pm_script(cp - 1);
}

static void compare_code_points(int p, split_fn split) {
    const char *full = getenv("PM_FULL");
    bool all = full && strcmp(full, "1") == 0;
    for (uint32_t cp = 0; cp < 0x110000; cp += quick() ? 11 : 1) {
        if ((cp < 0xD800 || cp >= 0xE000) && (all || may_differ(cp))) {
            compare_in_contexts(p, cp, split);
        }
    }
}

START_TEST(code_points_in_contexts_as_the_oracle) { compare_code_points(_i, split_by_oracle); }
END_TEST

/* Every code point, with its neighbours: one text for 64 of them, each behind something else. */
START_TEST(every_code_point_as_the_oracle) {
    static const char *const between[] = {"", " ", "a", "\n", "'", "1", "!", "A"};
    uint8_t text[64 * 8];
    for (uint32_t first = 0; first < 0x110000; first += quick() ? 8 * 64 : 64) {
        size_t n = 0;
        for (uint32_t cp = first; cp < first + 64 && (first < 0xD800 || first >= 0xE000); cp++) {
            n = append(text, n, between[(cp * 5 + first / 64) % 8]);
            n += pm_utf8_write(cp, text + n);
        }
        assert_same(_i, split_by_oracle, text, n);
    }
}
END_TEST

/* A random text of tricky characters, some repeated, often from a small neighbourhood of the list. */
static size_t random_text(uint64_t *state, uint8_t *text, size_t room) {
    size_t length = 1 + random_word(state) % 24, n = 0;
    uint32_t base = (uint32_t)(random_word(state) % TRICKY_N), spread = random_word(state) % 4 == 0 ? 6 : TRICKY_N;
    for (size_t i = 0; i < length; i++) {
        uint32_t number = base + (uint32_t)(random_word(state) % spread);
        size_t times = random_word(state) % 8 == 0 ? 1 + random_word(state) % 12 : 1;
        while (times-- > 0 && n + TRICKY_MAX_LENGTH <= room) {
            n += tricky_write(number, text + n);
        }
    }
    return n;
}

static void compare_random_texts(int p, split_fn split, unsigned n_texts) {
    uint64_t state = 1 + (uint64_t)p;
    for (unsigned i = 0; i < (quick() ? n_texts / 20 : n_texts); i++) {
        uint8_t text[1024];
        size_t n = random_text(&state, text, sizeof text);
        assert_same(p, split, text, n);
    }
}

START_TEST(random_texts_as_the_oracle) { compare_random_texts(_i, split_by_oracle, 20000); }
END_TEST

#ifdef PM_HAVE_PCRE2
START_TEST(code_points_in_contexts_as_pcre2) { compare_code_points(_i, split_by_pcre2); }
END_TEST

START_TEST(random_texts_as_pcre2) { compare_random_texts(_i, split_by_pcre2, 20000); }
END_TEST
#endif

/* ---- the scanners' own promises ---- */

/* Each pre-token of superbpe is some of o200k_base's put together, so pieces of a first stage can all be used in the second. */
START_TEST(superbpe_cuts_only_where_o200k_base_does) {
    uint64_t state = 5;
    for (int i = 0; i < (quick() ? 1000 : 20000); i++) {
        uint8_t text[1024];
        size_t ends[1024], cuts[1024], n = random_text(&state, text, sizeof text);
        size_t n_ends = split_by_scanner(7, text, n, ends), n_cuts = split_by_scanner(3, text, n, cuts);
        for (size_t e = 0, c = 0; e < n_ends; e++) {
            while (c < n_cuts && cuts[c] < ends[e]) {
                c++;
            }
            if (c == n_cuts || cuts[c] != ends[e]) {
                ck_abort_msg("superbpe cuts at %zu of %s", ends[e], hex(text, n));
            }
        }
    }
}
END_TEST

/* A pre-token depends on what follows it alone: not on what stands before, and no byte behind the text is read (a
 * sanitizer sees it). */
START_TEST(a_scan_depends_on_the_rest_of_the_text_only) {
    pm_scan_fn scan = pm_named_pattern_find(scanner_names[_i])->scan;
    uint64_t state = 99;
    for (int i = 0; i < (quick() ? 300 : 3000); i++) {
        uint8_t text[1024];
        size_t n = random_text(&state, text, sizeof text), end;
        for (size_t pos = 0; pos < n; pos = end) {
            uint8_t *rest = pm_alloc(n - pos, 1);
            if (!rest) {
                ck_abort_msg("no memory");
            }
            memcpy(rest, text + pos, n - pos);
            end = scan(text, n, pos);
            if (end <= pos || pos + scan(rest, n - pos, 0) != end) {
                ck_abort_msg("%s: another end than %zu from %s", scanner_names[_i], end - pos, hex(rest, n - pos));
            }
            pm_free(rest);
        }
    }
}
END_TEST

/* Each byte that is no UTF-8 splits as U+FFFD: the text with them replaced has the same pre-tokens. */
START_TEST(bad_bytes_split_as_the_replacement_character) {
    uint64_t state = 7;
    for (int i = 0; i < (quick() ? 300 : 3000); i++) {
        uint8_t text[512], replaced[3 * 512];
        size_t map[3 * 512 + 1], ends[512], ends_replaced[3 * 512], n_replaced = 0;
        size_t n = random_text(&state, text, sizeof text);
        for (size_t at = 0; at < n;) {
            unsigned len;
            uint32_t cp = pm_utf8_read(text + at, text + n, &len);
            n_replaced += pm_utf8_write(cp, replaced + n_replaced);
            map[n_replaced] = at += len;
        }
        size_t n_ends = split_by_scanner(_i, text, n, ends);
        bool same = split_by_scanner(_i, replaced, n_replaced, ends_replaced) == n_ends;
        for (size_t k = 0; k < n_ends && same; k++) {
            same = map[ends_replaced[k]] == ends[k];
        }
        if (!same) {
            ck_abort_msg("%s: other pre-tokens with U+FFFD in %s", scanner_names[_i], hex(text, n));
        }
    }
}
END_TEST

/* A megabyte of what could make a scanner look at the same run again and again. Quadratic, each of these would take
 * hours. */
START_TEST(hostile_texts_take_linear_time) {
    /* clang-format off */
    static const char *const units[] = {
        " ", "\n", "\r", "\t\n", "a", "A", "Ab", "1", "'", "'s", "!", "/", "\x01", "\xFF", "\xE4\xB8",
        "\xCC\x81", "\xCC\x81\x41", "中", "中A", "あ", "・", "\xE3\x81\x80", "\xE1\xA0\x8E", "\xE3\x80\x80",
        "\xC7\x85", "\xE2\x80\x8B", "\xF0\x9F\x98\x80", " \n", "\n ", " a", "'S'\xC5\xBF"};
    /* clang-format on */
    static const char *const begins[] = {"", "\n", "中", "\xCC\x81", "a", "!", "'", " ", "\x01"};
    static const char *const ends[] = {"", "a", "\n", "1", "A", "中", "!", "'s"};
    const size_t LEN = quick() ? 1 << 12 : 1 << 20;
    uint8_t *text = pm_alloc(LEN + 16, 1);
    size_t *out = pm_alloc(LEN + 16, sizeof *out);
    ck_assert(text && out);
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        size_t unit = strlen(units[u]);
        for (size_t b = u % 3; b < sizeof begins / sizeof *begins; b += 3) {
            size_t n = append(text, 0, begins[b]);
            while (n + unit <= LEN) {
                n = append(text, n, units[u]);
            }
            n = append(text, n, ends[(b + u) % (sizeof ends / sizeof *ends)]);
            size_t n_ends = split_by_scanner(_i, text, n, out);
            ck_assert_uint_eq(out[n_ends - 1], n);
        }
    }
    pm_free(text);
    pm_free(out);
}
END_TEST

/* Long runs with one odd character every so often: each pre-token looks ahead over a run that the next one walks again.
 */
START_TEST(long_runs_between_odd_characters_take_linear_time) {
    static const char *const runs[] = {"A", " ", "\xCC\x81", "中", "1", "!", "\n", "\x01"};
    static const char *const odd[] = {"中", "\n", "\xCC\x81", "a", "'s", "1", "\xE3\x83\xBB", " "};
    enum { RUN = 1 << 14 };
    const size_t LEN = quick() ? 1 << 12 : 1 << 20;
    uint8_t *text = pm_alloc(LEN + RUN * 4, 1);
    size_t *out = pm_alloc(LEN + RUN * 4, sizeof *out);
    ck_assert(text && out);
    for (size_t i = 0; i < 64; i++) {
        size_t n = 0;
        while (n < LEN) {
            n = append(text, n, odd[i % 8]);
            for (int k = 0; k < RUN; k++) {
                n = append(text, n, runs[i / 8]);
            }
        }
        size_t n_ends = split_by_scanner(_i, text, n, out);
        ck_assert_uint_eq(out[n_ends - 1], n);
    }
    pm_free(text);
    pm_free(out);
}
END_TEST

Suite *suite_scan(void);
Suite *suite_scan(void) {
    Suite *suite = suite_create("scan");
    TCase *tcase = tcase_create("scan");
    tcase_set_timeout(tcase, 0);
    tcase_add_test(tcase, classes_are_those_of_unicode_16);
    tcase_add_test(tcase, classes_of_single_characters);
    tcase_add_test(tcase, numbers_of_scripts_are_those_of_the_table);
    tcase_add_test(tcase, names_are_found);
    tcase_add_test(tcase, regexes_equal_the_published_ones);
    tcase_add_test(tcase, table_of_cases);
    tcase_add_loop_test(tcase, code_points_in_contexts_as_the_oracle, 0, N_SCANNERS);
    tcase_add_loop_test(tcase, every_code_point_as_the_oracle, 0, N_SCANNERS);
    tcase_add_loop_test(tcase, random_texts_as_the_oracle, 0, N_SCANNERS);
#ifdef PM_HAVE_PCRE2
    tcase_add_loop_test(tcase, code_points_in_contexts_as_pcre2, 0, N_SCANNERS);
    tcase_add_loop_test(tcase, random_texts_as_pcre2, 0, N_SCANNERS);
#endif
    tcase_add_test(tcase, superbpe_cuts_only_where_o200k_base_does);
    tcase_add_loop_test(tcase, a_scan_depends_on_the_rest_of_the_text_only, 0, N_SCANNERS);
    tcase_add_loop_test(tcase, bad_bytes_split_as_the_replacement_character, 0, N_SCANNERS);
    tcase_add_loop_test(tcase, hostile_texts_take_linear_time, 0, N_SCANNERS);
    tcase_add_loop_test(tcase, long_runs_between_odd_characters_take_linear_time, 0, N_SCANNERS);
    suite_add_tcase(suite, tcase);
    return suite;
}
