/* test_added.c - the table tests/cases/added.txt, which Hugging Face's tokenizers made; rules; what is refused; long white space. */
#include <stdio.h>

#include "base/bytes.h"
#include "encode/added.h"
#include "model/model.h"
#include "support.h"

enum { TOKENS = 16, LONG = 1024 };

typedef struct list {
    pm_special_token tokens[TOKENS];
    uint8_t texts[TOKENS][64], flags[TOKENS], bits[TOKENS];
    bool special[TOKENS];
    size_t n;
    pm_added *added;
} list;

static void read_token(list *l, const char *line) {
    ck_assert_uint_lt(l->n, TOKENS);
    const char *text = strchr(line, ' ') + 1;
    uint8_t flags = 0;
    for (const char *c = line; *c != ' '; c++) {
        flags |= *c == 'w' ? PM_ADDED_SINGLE_WORD : *c == 'l' ? PM_ADDED_LSTRIP : *c == 'r' ? PM_ADDED_RSTRIP : 0;
        l->special[l->n] |= *c == 's';
    }
    size_t len = unescape(&text, l->texts[l->n], '\0');
    l->tokens[l->n] = (pm_special_token){.id = (pm_id)(l->n + 1), .text = {l->texts[l->n], len}};
    l->flags[l->n] = flags;
    l->bits[l->n] = PM_SPECIAL_MATCH;
    l->n++;
}

/* Writes what is found as the table has it: what refuses or is noticed is text. */
static void find(const list *l, pm_special_rules rules, pm_bytes text, char *out, size_t cap) {
    pm_added_place place = {0};
    pm_added_match match;
    size_t n = 0;

    out[0] = '\0';
    for (;;) {
        size_t from = place.end, to = text.len;
        bool found = pm_added_next(l->added, rules, text, &place, &match);
        if (found && !(match.bits & PM_SPECIAL_MATCH)) {
            continue;
        }
        to = found ? match.begin : to;
        if (from < to) {
            n += (size_t)snprintf(out + n, cap - n, "%s0:%zu-%zu", n ? "|" : "", from, to);
        }
        if (!found) {
            break;
        }
        n += (size_t)snprintf(out + n, cap - n, "%s%u:%zu-%zu", n ? "|" : "", (unsigned)l->tokens[match.token].id, match.begin, match.end);
        ck_assert_uint_lt(n, cap);
    }
}

static void check_case(list *l, const char *field, const char *wanted) {
    uint8_t text[LONG];
    char is[8 * LONG];
    const char *line = field;
    pm_error err = {0};

    if (!l->added) {
        assert_ok(pm_added_new(&l->added, l->tokens, l->flags, l->n, &err));
        ck_assert_uint_eq(pm_added_count(l->added), l->n);
    }
    ck_assert_uint_lt(strlen(field), LONG);
    size_t len = unescape(&field, text, '\0');
    find(l, (pm_special_rules){.each = l->bits}, (pm_bytes){text, len}, is, sizeof is);
    ck_assert_msg(strcmp(is, wanted) == 0, "line \"%s\": %s", line, is);
}

START_TEST(table_of_cases) {
    pm_buf file = read_file(source_path("tests/cases/added.txt"));
    list l = {0};
    size_t n_cases = 0;

    ck_assert(file.len > 0 && file.data[file.len - 1] == '\n');
    file.data[file.len - 1] = '\0';
    for (char *line = (char *)file.data, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) {
            *next++ = '\0';
        }
        char *tab = strchr(line, '\t');
        if (tab) {
            *tab++ = '\0';
            check_case(&l, line, tab);
            n_cases++;
        } else if (*line == '=') {
            if (l.added) {
                pm_added_free(l.added);
                l = (list){0};
            }
            if (strcmp(line, "= ordinary") == 0) {
                for (size_t i = 0; i < l.n; i++) {
                    l.bits[i] = l.special[i] ? 0 : PM_SPECIAL_MATCH;
                }
            } else {
                read_token(&l, line + 2);
            }
        }
    }
    pm_added_free(l.added);
    ck_assert_uint_gt(n_cases, 1000);
    pm_buf_release(&file);
}
END_TEST

static list two_tokens(const char *first, uint8_t first_flags, const char *second, uint8_t second_flags) {
    list l = {.n = 2, .flags = {first_flags, second_flags}};
    pm_error err = {0};
    l.tokens[0] = (pm_special_token){.id = 1, .text = {(const uint8_t *)first, strlen(first)}};
    l.tokens[1] = (pm_special_token){.id = 2, .text = {(const uint8_t *)second, strlen(second)}};
    assert_ok(pm_added_new(&l.added, l.tokens, l.flags, 2, &err));
    return l;
}

/* One that is refused or noticed is reported and stays text; one that nobody asks about hides what stands in it. */
START_TEST(rules) {
    list l = two_tokens("<a", 0, "ab", 0);
    static const uint8_t refuse[2] = {PM_SPECIAL_REFUSE, PM_SPECIAL_MATCH}, nothing[2] = {0, PM_SPECIAL_MATCH};
    pm_bytes text = {(const uint8_t *)"<ab ab", 6};
    pm_added_place place = {0};
    pm_added_match match;

    ck_assert(pm_added_next(l.added, (pm_special_rules){.each = refuse}, text, &place, &match));
    ck_assert(match.bits == PM_SPECIAL_REFUSE && match.token == 0 && match.begin == 0 && match.end == 2 && place.end == 0);
    ck_assert(pm_added_next(l.added, (pm_special_rules){.each = refuse}, text, &place, &match));
    ck_assert(match.bits == PM_SPECIAL_MATCH && match.token == 1 && match.begin == 4 && place.end == 6);
    ck_assert(!pm_added_next(l.added, (pm_special_rules){.each = refuse}, text, &place, &match));

    place = (pm_added_place){0};
    ck_assert(pm_added_next(l.added, (pm_special_rules){.each = nothing}, text, &place, &match));
    ck_assert_uint_eq(match.begin, 4);
    pm_added_free(l.added);
}
END_TEST

/* Bytes that are no UTF-8 are neither words nor white space. */
START_TEST(bad_bytes) {
    list l = two_tokens("a", PM_ADDED_SINGLE_WORD, "b", PM_ADDED_LSTRIP | PM_ADDED_RSTRIP);
    char is[256];
    find(&l, (pm_special_rules){.all = PM_SPECIAL_MATCH}, (pm_bytes){(const uint8_t *)"\xFF" "a\xE4\xB8 b \xC2", 8}, is, sizeof is);
    ck_assert_str_eq(is, "0:0-1|1:1-2|0:2-4|2:4-7|0:7-8");
    pm_added_free(l.added);
}
END_TEST

/* White space that many tokens take along is gone over once: a million tokens in a row of blanks, each with the rest behind it. */
START_TEST(long_white_space) {
    size_t len = quick() ? 100000 : 1000000, n = 0;
    list l = two_tokens(" ", PM_ADDED_RSTRIP, "\n", PM_ADDED_LSTRIP | PM_ADDED_RSTRIP);
    uint8_t *text = malloc(len);
    pm_added_place place = {0};
    pm_added_match match;

    memset(text, ' ', len);
    while (pm_added_next(l.added, (pm_special_rules){.all = PM_SPECIAL_MATCH}, (pm_bytes){text, len}, &place, &match)) {
        ck_assert(match.begin == n && match.end == len);
        n++;
    }
    ck_assert_uint_eq(n, len);
    free(text);
    pm_added_free(l.added);
}
END_TEST

START_TEST(refused_tokens) {
    pm_special_token tokens[2] = {{.id = 7, .text = {(const uint8_t *)"a", 1}}, {.id = 9, .text = {(const uint8_t *)"", 0}}};
    const uint8_t flags[2] = {0};
    pm_error err = {0};
    pm_added *added;

    assert_fails(pm_added_new(&added, tokens, flags, 2, &err), PM_BAD_FORMAT, "added token 9 is empty");
    ck_assert_ptr_null(added);
    tokens[1].text = tokens[0].text;
    assert_fails(pm_added_new(&added, tokens, flags, 2, &err), PM_BAD_FORMAT, "same text");
    assert_ok(pm_added_new(&added, tokens, flags, 0, &err));
    pm_added_place place = {0};
    pm_added_match match;
    ck_assert(!pm_added_next(added, (pm_special_rules){.all = PM_SPECIAL_MATCH}, tokens[0].text, &place, &match));
    pm_added_free(added);
}
END_TEST

Suite *suite_added(void) {
    Suite *suite = suite_create("added");
    TCase *tcase = tcase_create("added");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, table_of_cases);
    tcase_add_test(tcase, rules);
    tcase_add_test(tcase, bad_bytes);
    tcase_add_test(tcase, long_white_space);
    tcase_add_test(tcase, refused_tokens);
    suite_add_tcase(suite, tcase);
    return suite;
}
