/* test_split.c - splitters: names, lists, several patterns in turn, gaps, bytes that are no UTF-8, budgets, memory. */
#include <stdio.h>

#include "base/thread.h"
#include "pretok/names.h"
#include "pretok/regex.h"
#include "pretok/split.h"
#include "support.h"
#include "text/utf8.h"

#ifdef PM_HAVE_PCRE2
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#endif

/* All ends of a document, asked for `step` at a time. */
static size_t split_all(const pm_splitter *splitter, const uint8_t *text, size_t len, size_t step, size_t *ends) {
    pm_error err = {0};
    pm_split_scratch *scratch;
    size_t n = 0, m;

    assert_ok(pm_split_scratch_new(&scratch, splitter, &err));
    for (int again = 0; again < 2; again++) { /* the scratch serves a second document */
        n = 0;
        pm_split_begin(scratch, text, len);
        do {
            assert_ok(pm_split_next(scratch, ends + n, step, &m, &err));
            n += m;
        } while (m);
        assert_ok(pm_split_next(scratch, ends + n, step, &m, &err));
        ck_assert_uint_eq(m, 0);
    }
    pm_split_scratch_free(scratch);
    return n;
}

static void check(const char *const *patterns, size_t n_patterns, const char *text, size_t len, const char *pieces) {
    pm_error err = {0};
    pm_splitter *splitter;
    size_t ends[1000];
    char joined[3000] = "";
    size_t at = 0, out = 0;

    assert_ok(pm_splitter_new(&splitter, patterns, n_patterns, &err));
    for (size_t step = 1; step < 4; step++) {
        size_t n = split_all(splitter, (const uint8_t *)text, len, step, ends);
        out = at = 0;
        for (size_t i = 0; i < n; i++) {
            ck_assert_uint_gt(ends[i], at);
            memcpy(joined + out, text + at, ends[i] - at);
            out += ends[i] - at;
            joined[out++] = '|';
            at = ends[i];
        }
        joined[out] = '\0';
        ck_assert_str_eq(joined, pieces);
        ck_assert_uint_eq(at, len);
    }
    pm_splitter_free(splitter);
}

#define CHECK(text, pieces, ...)                                                                                       \
    do {                                                                                                               \
        const char *list[] = {__VA_ARGS__};                                                                            \
        check(list, sizeof list / sizeof *list, text, sizeof(text) - 1, pieces);                                       \
    } while (0)

START_TEST(no_splitting) {
    pm_error err = {0};
    pm_splitter *s;
    const char *empty = "";
    CHECK("a b\nc", "a b\nc|", "");
    CHECK("", "", "");
    for (size_t n = 0; n < 2; n++) {
        assert_ok(pm_splitter_new(&s, &empty, n, &err));
        ck_assert_str_eq(pm_splitter_name(s), "");
        ck_assert_uint_eq(pm_splitter_n_regexes(s), 0);
        ck_assert_ptr_null(pm_splitter_regex(s, 0));
        ck_assert_str_eq(pm_splitter_engine_unicode(s), "");
        pm_splitter_free(s);
    }
}
END_TEST

START_TEST(names_and_their_regexes) {
    pm_error err = {0};
    pm_splitter *s;
    ck_assert_uint_ge(pm_n_pattern_names(), 11);
    ck_assert_ptr_null(pm_pattern_name(pm_n_pattern_names()));
    ck_assert_ptr_null(pm_pattern_regex("no such name", 0));
    ck_assert_ptr_null(pm_pattern_regex(NULL, 0));
    for (size_t i = 0; i < pm_n_pattern_names(); i++) {
        const char *name = pm_pattern_name(i), *regexes[8];
        size_t n = 0;
        while ((regexes[n] = pm_pattern_regex(name, n)) != NULL) {
            n++;
        }
        assert_ok(pm_splitter_new(&s, &name, 1, &err));
        ck_assert_str_eq(pm_splitter_name(s), name);
        ck_assert_uint_eq(pm_splitter_n_regexes(s), n);
        ck_assert_str_eq(pm_splitter_regex(s, n - 1), regexes[n - 1]);
        pm_splitter_free(s);
        /* a list that equals a name's regexes has a name and its scanner: it works without PCRE2 too */
        assert_ok(pm_splitter_new(&s, regexes, n, &err));
        ck_assert_str_ne(pm_splitter_name(s), "");
        ck_assert_str_eq(pm_pattern_regex(pm_splitter_name(s), 0), regexes[0]);
        pm_splitter_free(s);
    }
    CHECK("Hello world's  x", "Hello| world|'s| | x|", "gpt2");
    CHECK("Hello world's  x", "Hello| world|'s| | x|",
          "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+");
}
END_TEST

#ifdef PM_HAVE_PCRE2

START_TEST(gaps_and_empty_matches) {
    CHECK("12ab34cd", "12|ab|34|cd|", "[a-z]+");
    CHECK("12", "12|", "[a-z]+");
    CHECK("ab12", "ab|12|", "[a-z]+");
    CHECK("baacx", "b|aa|c|x|", "a*");
    CHECK("helloWorldX", "hello|World|X|", "(?=[A-Z])");
}
END_TEST

START_TEST(several_patterns_in_turn) {
    CHECK("ab12345c", "ab|123|45|c|", "\\p{N}{1,3}", "[a-z]+");
    CHECK("ab12345c", "a|b|123|45|c|", "\\p{N}{1,3}", "[a-z]");
    /* a stage sees its piece as a text of its own */
    CHECK("aabaa", "aa|b|aa|", "b", "a+(?!b)");
    CHECK("xabx", "x|a|b|x|", "x", "(?<!x)a");
    CHECK("ab ab", "ab| |ab|", " ", "^ab$");
    CHECK("a1b22c", "a|1|b|22|c|", "\\d+", "[^\\d]", "z");
    /* names and regexes mixed */
    CHECK("it's  12345", "it|'s|  |123|45|", "\\p{N}{1,3}", "gpt2");
    CHECK("ab cd", "a|b| c|d|", "gpt2", "[bd]");
}
END_TEST

/* The twin: plain PCRE2, unanchored, without windows, budgets or just-in-time compiling. */
static size_t twin(const char *regex, const uint8_t *text, size_t len, size_t *ends) {
    int error;
    PCRE2_SIZE at;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)regex, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_DOLLAR_ENDONLY, &error, &at, NULL);
    pcre2_match_data *data = pcre2_match_data_create(10, NULL);
    size_t n = 0, begin = 0, from = 0;

    ck_assert_ptr_nonnull(code);
    while (from < len && pcre2_match(code, text, len, from, 0, data, NULL) >= 0) {
        PCRE2_SIZE *m = pcre2_get_ovector_pointer(data);
        unsigned step = 1;
        if (m[0] >= len) {
            break;
        }
        if (m[0] > begin) {
            ends[n++] = m[0];
            begin = m[0];
        }
        if (m[1] > m[0]) {
            ends[n++] = begin = from = m[1];
        } else {
            pm_utf8_read(text + m[0], text + len, &step);
            from = m[0] + step;
        }
    }
    if (begin < len) {
        ends[n++] = len;
    }
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    return n;
}

/* Texts of all lengths around the window of the first try, so that matches, lookaheads and anchors meet its end. */
START_TEST(equals_plain_pcre2_on_random_text) {
    static const char *const patterns[] = {
        "a+",         "a+(?!b)",      "a+(?=b)",    "(?:a|b)+c", "a*?b",
        "(?<=a)b+",   ".*",           "[^a]+",      "(a+)b\\1",  "a{100}",
        "a{250,300}", "(?>a+)b?",     "a+$",        "a+\\z",     "b*a|c\\Z",
        "[abc]{1,7}", "(?=a)",        "a*",         "(?:ab?)+",  "(?:a|ab)(?:c|bcd)*",
        "[^\\n]*\\n", "\\x{4E2D}+a?", "b|(?!a+b).",
    };
    uint64_t state = 7;
    static size_t ours[2000], theirs[2000];
    static uint8_t text[3000];

    for (size_t k = 0; k < sizeof patterns / sizeof patterns[0]; k++) {
        pm_error err = {0};
        pm_splitter *s;
        assert_ok(pm_splitter_new(&s, &patterns[k], 1, &err));
        for (int round = 0; round < 150; round++) {
            size_t want = random_word(&state) % (round % 3 ? 700 : 12), len = 0;
            unsigned spread = (unsigned)(random_word(&state) % 3) * 20 + 2; /* long runs of one letter in some */
            const char *letter = "a";
            while (len < want) {
                static const char *const letters[] = {"a", "b", "c", "\n", "中", "é", "a", "a"};
                if (random_word(&state) % spread == 0) {
                    letter = letters[random_word(&state) % 8];
                }
                memcpy(text + len, letter, strlen(letter));
                len += strlen(letter);
            }
            size_t n = split_all(s, text, len, 100, ours), m = twin(patterns[k], text, len, theirs);
            ck_assert_msg(n == m && memcmp(ours, theirs, n * sizeof *ours) == 0, "%s on %.*s", patterns[k], (int)len,
                          (const char *)text);
        }
        pm_splitter_free(s);
    }
}
END_TEST

START_TEST(bytes_outside_utf8_are_replacement_characters) {
    CHECK("a\xFF"
          "b",
          "a|\xFF|b|", "[a-z]");
    CHECK("a\xFF\xFE"
          "b",
          "a|\xFF\xFE|b|", "\\x{FFFD}+");
    CHECK("\xE4\xB8\xEF\xBF\xBD\xC0x", "\xE4|\xB8|\xEF\xBF\xBD|\xC0|x|", "\\x{FFFD}");
    CHECK("a\xF0\x9F\x98", "a|\xF0\x9F|\x98|", "\\p{S}{2}");
    CHECK("\xED\xA0\x80", "\xED\xA0\x80|", "\\p{So}+");
    CHECK("x\x80y z", "x|\x80|y| z|", "[^\\s\\p{L}]+", "z|\\x{FFFD}| z");
}
END_TEST

/* Random bytes: the regexes of the names cut as their scanners do. */
START_TEST(scanners_equal_regexes) {
    static const char *const bits[] = {
        " ", "  ",        "\n", "\r\n", "a",        "B",  "'s",          "'LL", "12",       "3456",         "中",
        "é", "e\xCC\x81", "!",  "\xFF", "\xE4\xB8", "\t", "ǅ",           "/",   "\xC2\x85", "\xE2\x80\x83", "ſ",
        "'", "ʰ",         "Ⅳ",  "🙂", ".,",       "の", "\xE1\xA0\x8E"};
    static size_t ours[4000], theirs[4000];
    uint64_t state = 11;

    for (size_t i = 0; i < pm_n_pattern_names(); i++) {
        const char *name = pm_pattern_name(i);
        pm_error err = {0};
        pm_splitter *scanner, *regex;
        assert_ok(pm_splitter_new(&scanner, &name, 1, &err));
        assert_ok(pm_splitter_new_regex(&regex, &name, 1, &err));
        ck_assert_str_eq(pm_splitter_name(regex), pm_splitter_name(scanner));
        for (int round = 0; round < 60; round++) {
            uint8_t text[3000];
            size_t len = 0;
            for (size_t n = random_word(&state) % 300; n > 0; n--) {
                const char *bit = bits[random_word(&state) % (sizeof bits / sizeof *bits)];
                memcpy(text + len, bit, strlen(bit));
                len += strlen(bit);
            }
            size_t n = split_all(scanner, text, len, 64, ours), m = split_all(regex, text, len, 64, theirs);
            ck_assert_msg(n == m && memcmp(ours, theirs, n * sizeof *ours) == 0, "%s", name);
        }
        pm_splitter_free(scanner);
        pm_splitter_free(regex);
    }
}
END_TEST

/* Several documents at once are split as each of them alone. */
START_TEST(documents_at_once) {
    static const char *const patterns[][2] = {{"gpt2", NULL}, {"o200k_base", NULL}, {"", NULL}, {"[ab]+|\\s", NULL}, {"\\p{N}{1,3}", "[a-z]+(?!b)"}};
    static const char *const units[] = {"a", "b", " ", "1", "\n", "'s", "\xFF", "\xC3\xA9", "", "A", " ab 12 b\n"};
    for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
        pm_error err = {0};
        pm_splitter *splitter;
        pm_split_scratch *scratch;
        uint64_t state = p;
        assert_ok(pm_splitter_new(&splitter, patterns[p], patterns[p][1] ? 2 : 1, &err));
        assert_ok(pm_split_scratch_new(&scratch, splitter, &err));
        for (unsigned round = 0; round < 60; round++) {
            uint8_t text[4000];
            size_t document_ends[20], want[4000], got[4100], n = 0, n_want = 0, n_got = 0, more, documents = random_word(&state) % 20;
            size_t step = 1 + random_word(&state) % 100;
            for (size_t d = 0; d < documents; d++) {
                size_t begin = n;
                for (uint64_t k = random_word(&state) % 20; k; k--) {
                    const char *unit = units[random_word(&state) % (sizeof units / sizeof *units)];
                    memcpy(text + n, unit, strlen(unit));
                    n += strlen(unit);
                }
                size_t here = split_all(splitter, text + begin, n - begin, 50, want + n_want);
                for (size_t i = 0; i < here; i++) {
                    want[n_want++] += begin;
                }
                document_ends[d] = n;
            }
            pm_split_begin_documents(scratch, text, document_ends, documents);
            do {
                ck_assert_uint_le(n_got + step, sizeof got / sizeof *got);
                assert_ok(pm_split_next(scratch, got + n_got, step, &more, &err));
                n_got += more;
            } while (more);
            ck_assert_uint_eq(n_got, n_want);
            ck_assert_mem_eq(got, want, n_want * sizeof *want);
        }
        pm_split_scratch_free(scratch);
        pm_splitter_free(splitter);
    }
}
END_TEST

START_TEST(an_error_says_which_pattern) {
    const char *list[] = {"a", "b(", "c"};
    pm_error err = {0};
    pm_splitter *s = (pm_splitter *)&err;
    assert_fails(pm_splitter_new(&s, list, 3, &err), PM_BAD_PATTERN, "pattern 2 of 3");
    ck_assert_ptr_null(s);
    ck_assert_uint_eq(err.offset, 1);
    ck_assert_int_eq(pm_splitter_new(&s, list, 3, NULL), PM_BAD_PATTERN);
}
END_TEST

/* What each pattern does with 100 KB of one letter: it ends, cut or refused, well within the time. Before the budget,
 * the first of these took minutes. */
START_TEST(no_pattern_hangs) {
    static const struct {
        const char *pattern;
        bool ends; /* it may not be refused */
    } cases[] = {
        {"(a*)*b", false},
        {"(?:a|aa)+c", false},
        {"a*a*a*a*b", false},
        {".(?=[\\s\\S]*Z)", false},
        {"[a-y]*z", false},
        {"(?:a{60000}b|a)", false},
        {"(a+)\\1b|.", false},
        {"(?:(?:a?){50}){50}b", false},
        {"(?:a+){30}b", false},
        {"(?:.*){20}b", false},
        {"(a?){300}a{300}b", false},
        {"(?:a|b)*c|a", false},
        {"(?!.*b)a", false},
        {"(a|b|ab)*(?=c)", false},
        {"(?<=a{200})b|c", true},
        {"(a+)+$", true},
        {"(?:a|b)+", true},
        {"a+", true},
        {"a{200}b|a", true},
        {"(?:a|b){1,9}", true},
        {"b", true},
        {".*", true},
        {"(?=a)", true},
        {"(?:aa?)+", true},
    };
    enum { LEN = 100000 };
    uint8_t *text = malloc(LEN);
    size_t *ends = malloc((LEN + 1) * sizeof *ends);

    memset(text, 'a', LEN);
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        pm_error err = {0};
        pm_splitter *splitter;
        pm_split_scratch *scratch;
        pm_status status;
        size_t n = 0, m;
        assert_ok(pm_splitter_new(&splitter, &cases[k].pattern, 1, &err));
        assert_ok(pm_split_scratch_new(&scratch, splitter, &err));
        double begin = pm_now();
        pm_split_begin(scratch, text, LEN);
        do {
            status = pm_split_next(scratch, ends + n, LEN + 1 - n, &m, &err);
            n += m;
        } while (status == PM_OK && m);
        double seconds = pm_now() - begin;
        if (getenv("PM_VERBOSE")) {
            printf("%-20s %.3f s %s\n", cases[k].pattern, seconds, status ? err.message : "");
        }
        ck_assert_msg(seconds < 20, "%s took %.1f s", cases[k].pattern,
                      seconds); /* 1 s by itself; sanitizers and busy machines need more */
        ck_assert_msg(status == PM_OK || (status == PM_LIMIT && !cases[k].ends), "%s: %s", cases[k].pattern,
                      err.message);
        ck_assert(status == PM_OK || (strstr(err.message, "too many steps here") && err.offset < LEN));
        pm_split_scratch_free(scratch);
        pm_splitter_free(splitter);
    }
    free(text);
    free(ends);
}
END_TEST

/* A long list of alternatives is tried to its end at each position of a long text; that is honest work and must not be
 * refused. */
START_TEST(a_long_pattern_is_not_refused) {
    enum { LEN = 1000000 };
    char regex[1200] = "";
    const char *pattern = regex;
    uint8_t *text = malloc(LEN);
    size_t *ends = malloc((LEN + 1) * sizeof *ends), n;
    pm_error err = {0};
    pm_splitter *splitter;
    pm_split_scratch *scratch;

    for (int i = 0; i < 70; i++) {
        snprintf(regex + strlen(regex), sizeof regex - strlen(regex), "b*%c+d?e*z|", 'a' + i % 20);
    }
    strcat(regex, "x");
    memset(text, 'x', LEN);
    assert_ok(pm_splitter_new(&splitter, &pattern, 1, &err));
    assert_ok(pm_split_scratch_new(&scratch, splitter, &err));
    pm_split_begin(scratch, text, LEN);
    assert_ok(pm_split_next(scratch, ends, LEN + 1, &n, &err));
    ck_assert_uint_eq(n, LEN);
    pm_split_scratch_free(scratch);
    pm_splitter_free(splitter);
    free(text);
    free(ends);
}
END_TEST

START_TEST(a_limit_speaks_of_the_document) {
    const char *pattern = "x|\\x{FFFD}|(?:a|aa)+$";
    char text[2000];
    size_t ends[2000], n, m = 0;
    pm_error err = {0};
    pm_splitter *splitter;
    pm_split_scratch *scratch;

    memset(text, 'a', sizeof text);
    memset(text, '\xFF', 5); /* 15 bytes in the copy that PCRE2 sees */
    text[5] = 'x';
    text[1999] = 'b';
    assert_ok(pm_splitter_new(&splitter, &pattern, 1, &err));
    assert_ok(pm_split_scratch_new(&scratch, splitter, &err));
    pm_split_begin(scratch, (const uint8_t *)text, sizeof text);
    pm_status status;
    do {
        status = pm_split_next(scratch, ends, 1, &n, &err);
        m += n;
    } while (status == PM_OK && n);
    ck_assert_int_eq(status, PM_LIMIT);
    ck_assert_uint_eq(m, 6);
    ck_assert_uint_eq(err.offset, 6);
    pm_split_begin(scratch, (const uint8_t *)text, 6); /* the scratch is as good as before */
    assert_ok(pm_split_next(scratch, ends, 100, &n, &err));
    ck_assert_uint_eq(n, 6);
    pm_split_scratch_free(scratch);
    pm_splitter_free(splitter);
}
END_TEST

static size_t allocations, fail_at;
static bool fail_the_nth(void) { return ++allocations != fail_at; }

/* The n-th allocation fails, for every n. */
START_TEST(out_of_memory_anywhere) {
    const char *patterns[] = {"\\p{N}{1,3}|(?:x|y)+", "gpt2", "[^\\P{L}a]+|\\b|[\\p{N}&&[^1]]"};
    uint8_t text[3000];
    bool done = false;

    memset(text, 'x', sizeof text);
    text[2000] = 0xFF;
    for (fail_at = 1; !done; fail_at++) {
        pm_error err = {0};
        pm_splitter *splitter;
        pm_split_scratch *scratch = NULL;
        size_t ends[100], n;
        allocations = 0;
        pm_alloc_test_hook = fail_the_nth;
        pm_status status = pm_splitter_new(&splitter, patterns, 3, &err);
        if (status == PM_OK) {
            status = pm_split_scratch_new(&scratch, splitter, &err);
        }
        if (status == PM_OK) {
            pm_split_begin(scratch, text, sizeof text);
            status = pm_split_next(scratch, ends, 100, &n, &err);
        }
        pm_alloc_test_hook = NULL;
        done = allocations < fail_at;
        ck_assert_msg(status == PM_NO_MEMORY || (status == PM_OK && n > 1), "%zu: %s", fail_at, err.message);
        ck_assert(!done || status == PM_OK);
        pm_split_scratch_free(scratch);
        pm_splitter_free(splitter);
    }
    ck_assert_uint_gt(fail_at, 30);
}
END_TEST

#else

START_TEST(without_pcre2) {
    pm_error err = {0};
    pm_splitter *s;
    const char *pattern = "a+";
    skipped("regexes: built without PCRE2");
    assert_fails(pm_splitter_new(&s, &pattern, 1, &err), PM_UNSUPPORTED, "without PCRE2");
    ck_assert_ptr_null(s);
}
END_TEST

#endif

Suite *suite_split(void);
Suite *suite_split(void) {
    Suite *suite = suite_create("split");
    TCase *tcase = tcase_create("split");
    tcase_set_timeout(tcase, 200);
    tcase_add_test(tcase, no_splitting);
    tcase_add_test(tcase, names_and_their_regexes);
#ifdef PM_HAVE_PCRE2
    tcase_add_test(tcase, gaps_and_empty_matches);
    tcase_add_test(tcase, several_patterns_in_turn);
    tcase_add_test(tcase, equals_plain_pcre2_on_random_text);
    tcase_add_test(tcase, bytes_outside_utf8_are_replacement_characters);
    tcase_add_test(tcase, scanners_equal_regexes);
    tcase_add_test(tcase, documents_at_once);
    tcase_add_test(tcase, an_error_says_which_pattern);
    tcase_add_test(tcase, no_pattern_hangs);
    tcase_add_test(tcase, a_long_pattern_is_not_refused);
    tcase_add_test(tcase, a_limit_speaks_of_the_document);
    tcase_add_test(tcase, out_of_memory_anywhere);
#else
    tcase_add_test(tcase, without_pcre2);
#endif
    suite_add_tcase(suite, tcase);
    return suite;
}
