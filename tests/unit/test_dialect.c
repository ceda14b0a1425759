/* test_dialect.c - the table tests/cases/dialect.txt; and that positions and translated text hold together. */
#include <stdio.h>

#include "pretok/dialect.h"
#include "pretok/oniguruma.h"
#include "pretok/property.h"
#include "pretok/regex.h"
#include "pretok/split.h"
#include "support.h"
#include "text/unicode.h"
#include "text/utf8.h"

#define LIST "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}"

/* Before, tokenizer.json's ^ and $ were taken for the ends of the text, as they are here, and \w for ours: other ids.
 */
START_TEST(regexes_of_tokenizer_json_in_our_words) {
    static const struct {
        const char *regex, *here, *there; /* NULL: as it is */
    } cases[] = {
        {"\\s+$", "\\s+(?=\\n|\\z)", "\\s+\\z"},
        {"^a|b", "(?:\\A|(?<=\\n)(?!\\z))a|b", "\\Aa|b"},
        {"[^^$][]^$][^]^$]\\^\\$(?#^$)\\p{^L}\\\\", NULL, NULL},
        {"[a[^\\w]&&b]", "[a[^" LIST "]&&b]", "[a[^" LIST "\\x{200C}\\x{200D}]&&b]"},
        {"[\\W]", "[[^" LIST "]]", "[[^" LIST "\\x{200C}\\x{200D}]]"},
        {"[\\]\\w]$", "[\\]" LIST "](?=\\n|\\z)", "[\\]" LIST "\\x{200C}\\x{200D}]\\z"},
        {"\\w", "(?-i:[" LIST "\\x{B2}\\x{B3}\\x{B9}\\x{BC}\\x{BD}\\x{BE}])", "(?-i:[" LIST "\\x{200C}\\x{200D}])"},
        {"\\p{L", NULL, NULL},
        {"(?#", NULL, NULL},
        {"[", NULL, NULL},
        {"\\", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *regex = cases[i].regex;
        pm_bytes in = {(const uint8_t *)regex, strlen(regex)};
        pm_buf here = {0}, there = {0};
        ck_assert(pm_regex_from_oniguruma(&here, in, NULL) == PM_OK &&
                  pm_regex_to_oniguruma(&there, in, NULL) == PM_OK);
        ck_assert(pm_buf_append(&here, "", 1, NULL) == PM_OK && pm_buf_append(&there, "", 1, NULL) == PM_OK);
        ck_assert_str_eq((const char *)here.data, cases[i].here ? cases[i].here : regex);
        ck_assert_str_eq((const char *)there.data, cases[i].there ? cases[i].there : regex);
        pm_buf_release(&here);
        pm_buf_release(&there);
    }
}
END_TEST

#ifdef PM_HAVE_PCRE2

static void check_pieces(const char *pattern, const char *text_field, const char *pieces) {
    uint8_t text[512], piece[512];
    size_t len = unescape(&text_field, text, '\0'), ends[512], n, at = 0;
    pm_error err = {0};
    pm_splitter *splitter;
    pm_split_scratch *scratch;

    pm_status status = pm_splitter_new(&splitter, &pattern, 1, &err);
    ck_assert_msg(status == PM_OK, "%s: %s (at %llu)", pattern, err.message, (unsigned long long)err.offset);
    assert_ok(pm_split_scratch_new(&scratch, splitter, &err));
    pm_split_begin(scratch, text, len);
    assert_ok(pm_split_next(scratch, ends, 512, &n, &err));
    for (size_t i = 0; i < n; i++) {
        ck_assert_msg(*pieces != '\0', "%s on %s: too many pre-tokens", pattern, text_field);
        size_t m = unescape(&pieces, piece, '|');
        pieces += *pieces == '|';
        ck_assert_msg(m == ends[i] - at && memcmp(piece, text + at, m) == 0,
                      "%s: pre-token %zu is \"%.*s\", not \"%.*s\"", pattern, i, (int)(ends[i] - at),
                      (const char *)text + at, (int)m, (const char *)piece);
        at = ends[i];
    }
    ck_assert_msg(*pieces == '\0' && at == len, "%s: too few pre-tokens", pattern);
    pm_split_scratch_free(scratch);
    pm_splitter_free(splitter);
}

static void check_refused(const char *pattern, const char *offset, const char *words) {
    pm_error err = {0};
    pm_splitter *splitter;
    pm_status status = pm_splitter_new(&splitter, &pattern, 1, &err);

    ck_assert_msg(status == PM_BAD_PATTERN && !splitter, "%s: %s", pattern, pm_status_name(status));
    ck_assert_msg(strstr(err.message, words) != NULL, "%s: %s", pattern, err.message);
    ck_assert_msg(err.offset == strtoull(offset, NULL, 10), "%s: refused at %llu: %s", pattern,
                  (unsigned long long)err.offset, err.message);
}

START_TEST(table_of_cases) {
    pm_buf file = read_file(source_path("tests/cases/dialect.txt"));
    size_t n_cases = 0;

    ck_assert(file.len > 0 && file.data[file.len - 1] == '\n');
    file.data[file.len - 1] = '\0';
    for (char *line = (char *)file.data, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) {
            *next++ = '\0';
        }
        if (*line == '#' || *line == '\0') {
            continue;
        }
        char *second = strchr(line, '\t'), *third = second ? strchr(second + 1, '\t') : NULL;
        ck_assert_msg(third != NULL, "malformed case: %s", line);
        *second++ = '\0';
        *third++ = '\0';
        char *fourth = strchr(third, '\t');
        if (fourth) {
            *fourth = '\0';
        }
        if (*second == '!') {
            check_refused(line, second + 1, third);
        } else {
            check_pieces(line, second, third);
        }
        n_cases++;
    }
    ck_assert_uint_gt(n_cases, 100);
    pm_buf_release(&file);
}
END_TEST

/* Every property that the table knows cuts as pm_class says, on every code point. */
START_TEST(properties_are_those_of_the_table) {
    static const struct {
        const char *pattern;
        uint32_t mask;
    } cases[] = {
        {"\\p{L}", PM_CLASS_LETTER},
        {"[\\p{Lu}\\p{Lt}]", PM_CLASS_LU},
        {"\\p{Ll}", PM_CLASS_LL},
        {"[\\p{Lm}\\p{Lo}]", PM_CLASS_LO},
        {"\\p{M}", PM_CLASS_MARK},
        {"\\p{N}", PM_CLASS_NUMBER},
        {"\\p{P}", PM_CLASS_PUNCT},
        {"\\p{S}", PM_CLASS_SYMBOL},
        {"\\p{Han}", PM_CLASS_HAN},
        {"\\s", PM_CLASS_SPACE | PM_CLASS_NEWLINE},
        {"[^\\S\\r\\n]", PM_CLASS_SPACE},
        {"[^\\P{L}]", PM_CLASS_LETTER},
        {"[\\p{L}\\p{N}&&[^\\p{Han}\\p{N}]]", 0},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        pm_error err = {0};
        pm_regex *regex;
        pm_regex_scratch *scratch;
        assert_ok(pm_regex_new(&regex, cases[k].pattern, PM_FLAVOR_COMMON, &err));
        assert_ok(pm_regex_scratch_new(&scratch, &err));
        ck_assert(!pm_regex_uses_engine_tables(regex));
        for (uint32_t cp = 0; cp <= 0x10FFFF; cp += cp == 0xD7FF ? 0x801 : 1) {
            uint8_t text[4];
            size_t len = pm_utf8_write(cp, text), end;
            uint64_t budget = 1000;
            uint32_t c = pm_class(cp);
            bool in = cases[k].mask ? (c & cases[k].mask) != 0 : (c & PM_CLASS_LETTER) != 0 && !(c & PM_CLASS_HAN);
            if (pm_regex_match(regex, scratch, text, len, 0, &end, &budget, &err) != PM_OK || (end == len) != in) {
                ck_abort_msg("%s on U+%04X", cases[k].pattern, cp); /* an assertion a code point would take a minute */
            }
        }
        pm_regex_scratch_free(scratch);
        pm_regex_free(regex);
    }
}
END_TEST

START_TEST(engine_tables_are_reported) {
    static const char *const uses[] = {"\\p{Alphabetic}", "\\p{Grek}", "\\p{Emoji}", "[\\p{Lowercase}]", "(?i)é"};
    static const char *const free_of[] = {
        "\\p{L}", "[\\p{Lm}\\p{Lo}]", "\\s", "\\p{Zs}", "(?i:'s)", "\\p{Han}", "\\p{Latin}\\p{sc=Common}[\\p{Hiragana}\\p{Script=Hangul}]", "[\\p{Lm}[\\p{Lo}\\p{Lm}]\\p{Lo}]",
        "\\p{Lm}", "\\p{Greek}", "\\w", "\\d", "\\b", "[\\p{Lo}]", "\\p{Nd}", "\\p{Cn}", "\\p{old italic}"};
    char version[24];
    pm_error err = {0};
    pm_splitter *s;

    pm_property_engine_version(version);
    ck_assert_uint_ge(strlen(version), 4);
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
        assert_ok(pm_splitter_new(&s, &uses[i], 1, &err));
        ck_assert_msg(strcmp(pm_splitter_engine_unicode(s), version) == 0, "%s", uses[i]);
        pm_splitter_free(s);
    }
    for (size_t i = 0; i < sizeof free_of / sizeof free_of[0]; i++) {
        assert_ok(pm_splitter_new(&s, &free_of[i], 1, &err));
        ck_assert_msg(pm_splitter_engine_unicode(s)[0] == '\0', "%s", free_of[i]);
        pm_splitter_free(s);
    }
}
END_TEST

START_TEST(positions_lead_back) {
    pm_error err = {0};
    pm_dialect d = {0};
    const char *regex = "a\\p{L}(\\h)";
    assert_ok(pm_dialect_translate(&d, regex, PM_FLAVOR_COMMON, &err));
    const char *group = memchr(d.text.data, '(', d.text.len);
    size_t at = (size_t)(group - (const char *)d.text.data);
    ck_assert_uint_eq(pm_dialect_position(&d, 0), 0);
    ck_assert_uint_eq(pm_dialect_position(&d, 5), 1); /* inside of the property's ranges */
    ck_assert_uint_eq(pm_dialect_position(&d, at), 6);
    ck_assert_uint_eq(pm_dialect_position(&d, at + 1), 7);
    ck_assert_uint_eq(pm_dialect_position(&d, d.text.len), strlen(regex));
    pm_dialect_release(&d);
}
END_TEST

START_TEST(deep_nesting_is_refused) {
    char regex[4000];
    pm_error err = {0};
    pm_dialect d = {0};
    memset(regex, '(', sizeof regex - 1);
    regex[sizeof regex - 1] = '\0';
    assert_fails(pm_dialect_translate(&d, regex, PM_FLAVOR_COMMON, &err), PM_BAD_PATTERN, "too deep");
    pm_dialect_release(&d);
    memset(regex, '[', sizeof regex - 1);
    assert_fails(pm_dialect_translate(&d, regex, PM_FLAVOR_COMMON, &err), PM_BAD_PATTERN, "too deep");
    pm_dialect_release(&d);
    assert_fails(pm_dialect_translate(&d, "a\xFF", PM_FLAVOR_COMMON, &err), PM_BAD_PATTERN, "UTF-8");
    ck_assert_uint_eq(err.offset, 1);
    pm_dialect_release(&d);
}
END_TEST

#else

START_TEST(without_pcre2) { skipped("built without PCRE2"); }
END_TEST

#endif

Suite *suite_dialect(void);
Suite *suite_dialect(void) {
    Suite *suite = suite_create("dialect");
    TCase *tcase = tcase_create("dialect");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, regexes_of_tokenizer_json_in_our_words);
#ifdef PM_HAVE_PCRE2
    tcase_add_test(tcase, table_of_cases);
    tcase_add_test(tcase, properties_are_those_of_the_table);
    tcase_add_test(tcase, engine_tables_are_reported);
    tcase_add_test(tcase, positions_lead_back);
    tcase_add_test(tcase, deep_nesting_is_refused);
#else
    tcase_add_test(tcase, without_pcre2);
#endif
    suite_add_tcase(suite, tcase);
    return suite;
}
