/* test_pretokenizer.c - the table tests/cases/pretokenizers.txt, which Hugging Face's tokenizers made; what steps are refused; origins. */
#include <stdio.h>

#include "base/bytes.h"
#include "pretok/pretokenizer.h"
#include "support.h"

enum { STEPS = 8, LONG = 4096 };

/* A list of steps with the texts that they hold. */
typedef struct list {
    pm_step steps[STEPS];
    uint8_t texts[STEPS][256];
    size_t n;
} list;

/* ---- reading the table ---- */

/* Takes the next word of a line. */
static const char *word(char **line) {
    char *begin = *line, *end = begin + strcspn(begin, " ");
    *line = *end ? end + 1 : end;
    *end = '\0';
    return begin;
}

static bool word_is(char **line, const char *wanted) { return strcmp(word(line), wanted) == 0; }

static uint64_t behavior(const char *name) {
    static const char *const names[] = {"removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"};
    for (uint64_t i = 0; i < 5; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    ck_abort_msg("no behavior: %s", name);
    return 0;
}

/* The rest of a line as the step's text. */
static void argument(list *l, pm_step *step, const char *line) {
    uint8_t *text = l->texts[l->n];
    ck_assert_uint_lt(strlen(line), sizeof l->texts[0]);
    step->a = (pm_bytes){text, unescape(&line, text, '\0')};
}

static pm_step read_step(list *l, char *line) {
    pm_step step = {0};
    const char *name = word(&line);

    if (strcmp(name, "ByteLevel") == 0) {
        step.type = PM_STEP_BYTE_LEVEL;
        step.flags = word_is(&line, "prefix") ? PM_STEP_PREFIX_SPACE : 0;
        step.flags |= word_is(&line, "regex") ? PM_STEP_USE_REGEX : 0;
    } else if (strcmp(name, "Split") == 0) {
        step.type = PM_STEP_SPLIT;
        step.flags = word_is(&line, "regex") ? PM_STEP_REGEX : 0;
        step.n = behavior(word(&line));
        step.flags |= word_is(&line, "invert") ? PM_STEP_INVERT : 0;
        argument(l, &step, line);
    } else if (strcmp(name, "Metaspace") == 0) {
        step.type = PM_STEP_METASPACE;
        const char *scheme = word(&line);
        step.n = *scheme == 'a' ? PM_PREPEND_ALWAYS : *scheme == 'f' ? PM_PREPEND_FIRST : PM_PREPEND_NEVER;
        step.flags = word_is(&line, "split") ? PM_STEP_SPLITS : 0;
        argument(l, &step, line);
    } else if (strcmp(name, "Punctuation") == 0) {
        step.type = PM_STEP_PUNCTUATION;
        step.n = behavior(word(&line));
    } else if (strcmp(name, "Digits") == 0) {
        step.type = PM_STEP_DIGITS;
        step.flags = word_is(&line, "individual") ? PM_STEP_INDIVIDUAL : 0;
    } else if (strcmp(name, "CharDelimiterSplit") == 0) {
        step.type = PM_STEP_DELIMITER;
        argument(l, &step, line);
    } else if (strcmp(name, "FixedLength") == 0) {
        step.type = PM_STEP_FIXED_LENGTH;
        step.n = strtoull(line, NULL, 10);
    } else {
        step.type = strcmp(name, "Whitespace") == 0 ? PM_STEP_WHITESPACE
                    : strcmp(name, "WhitespaceSplit") == 0 ? PM_STEP_WHITESPACE_SPLIT
                    : strcmp(name, "BertPreTokenizer") == 0 ? PM_STEP_BERT_SPLIT
                                                            : PM_STEP_UNICODE_SCRIPTS;
    }
    return step;
}

/* ---- running ---- */

typedef struct machine {
    pm_pretokenizer *pretokenizer;
    pm_pretokenizer_scratch *scratch;
} machine;

static machine machine_new(list *l) {
    pm_error err = {0};
    machine m;
    assert_ok(pm_pretokenizer_new(&m.pretokenizer, &(pm_steps){l->steps, l->n, STEPS}, &err));
    assert_ok(pm_pretokenizer_scratch_new(&m.scratch, m.pretokenizer, &err));
    return m;
}

static void machine_free(machine *m) {
    pm_pretokenizer_scratch_free(m->scratch);
    pm_pretokenizer_free(m->pretokenizer);
    *m = (machine){0};
}

static pm_pretokens run(const machine *m, pm_bytes text, const pm_origin *origins, bool with_origins) {
    pm_error err = {0};
    pm_pretokens out;
    pm_stretch stretch = {.text = text, .origins = origins, .with_origins = with_origins};
    assert_ok(pm_pretokenize(m->pretokenizer, m->scratch, &stretch, &out, &err));
    return out;
}

static pm_span origin_of(const pm_pretokens *out, size_t i) {
    pm_span span = out->spans[i];
    return out->origins ? (pm_span){out->origins[span.begin].begin, out->origins[span.end - 1].end} : span;
}

/* Checks one text: with origins, without, and with origins given. */
static void check_case(const machine *m, const char *line, const char *field, const char *pieces) {
    static uint8_t text[LONG], piece[LONG];
    static pm_origin origins[LONG];
    pm_bytes in = {text, 0};
    ck_assert_uint_lt(strlen(field), LONG);
    in.len = unescape(&field, text, '\0');
    for (int way = 0; way < 3; way++) {
        const char *wanted = pieces;
        for (size_t i = 0, next; way == 2 && i < in.len; i = next) {
            for (next = i + 1; next < in.len && (text[next] & 0xC0) == 0x80; next++) {
            }
            for (size_t k = i; k < next; k++) {
                origins[k] = (pm_origin){i, next};
            }
        }
        pm_pretokens out = run(m, in, way == 2 ? origins : NULL, way > 0);
        for (size_t i = 0; i < out.n; i++) {
            char *colon;
            ck_assert_msg(*wanted, "line \"%s\" has more pieces", line);
            size_t begin = strtoull(wanted, &colon, 10), end = strtoull(colon + 1, &colon, 10);
            wanted = colon + 1;
            size_t n = unescape(&wanted, piece, '|');
            wanted += *wanted == '|';
            pm_bytes is = {out.text.data + out.spans[i].begin, out.spans[i].end - out.spans[i].begin};
            ck_assert_msg(pm_bytes_equal(is, (pm_bytes){piece, n}), "line \"%s\": piece %zu is \"%.*s\"", line, i, (int)is.len, (const char *)is.data);
            pm_span from = origin_of(&out, i);
            ck_assert_msg(way == 0 || (from.begin == begin && from.end == end), "line \"%s\": piece %zu comes from %zu-%zu", line, i, from.begin, from.end);
        }
        ck_assert_msg(*wanted == '\0', "line \"%s\" has fewer pieces", line);
    }
}

START_TEST(table_of_cases) {
    pm_buf file = read_file(source_path("tests/cases/pretokenizers.txt"));
    list l = {0};
    machine m = {0};
    size_t n_cases = 0, n_lines = 0;

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
            if (!m.scratch) {
                m = machine_new(&l);
            }
            check_case(&m, line, line, tab);
            n_cases++;
        } else if (*line == '=') {
            if (m.scratch) {
                machine_free(&m);
                l.n = 0;
            }
            if (line[1]) {
                ck_assert_uint_lt(l.n, STEPS);
                l.steps[l.n] = read_step(&l, line + 2);
                l.n++;
            }
        }
        n_lines++;
    }
    machine_free(&m);
    ck_assert_uint_gt(n_cases, 1000);
    ck_assert_uint_gt(n_lines, n_cases);
    pm_buf_release(&file);
}
END_TEST

/* ---- what the table cannot say ---- */

static pm_bytes bytes(const char *text) { return (pm_bytes){(const uint8_t *)text, strlen(text)}; }

/* Bytes that are no UTF-8 are characters of their own, and come out as they are. */
START_TEST(bad_bytes) {
    list l = {.n = 2};
    l.steps[0] = (pm_step){.type = PM_STEP_SPLIT, .flags = PM_STEP_REGEX, .n = PM_BEHAVIOR_MERGED_WITH_NEXT, .a = bytes("[b\\x{FFFD}]")};
    l.steps[1] = (pm_step){.type = PM_STEP_FIXED_LENGTH, .n = 2};
    machine m = machine_new(&l);
    pm_pretokens out = run(&m, (pm_bytes){(const uint8_t *)"a\xFF\xFE" "bcde\xE4\xB8", 9}, NULL, true);
    static const size_t ends[] = {1, 2, 3, 5, 7, 8, 9};
    ck_assert_uint_eq(out.n, 7);
    for (size_t i = 0; i < out.n; i++) {
        ck_assert_uint_eq(out.spans[i].end, ends[i]);
    }
    machine_free(&m);
}
END_TEST

/* Metaspace's "first" is the first of the document, not of the stretch: it goes by where the text comes from. */
START_TEST(first_of_the_document) {
    list l = {.n = 2};
    l.steps[0] = (pm_step){.type = PM_STEP_PUNCTUATION, .n = PM_BEHAVIOR_ISOLATED};
    l.steps[1] = (pm_step){.type = PM_STEP_METASPACE, .n = PM_PREPEND_FIRST, .a = bytes("_")};
    machine m = machine_new(&l);
    pm_error err = {0};
    ck_assert(pm_pretokenizer_needs_origins(m.pretokenizer));
    for (size_t at = 0; at < 2; at++) {
        for (int given = 0; given < 2; given++) {
            pm_origin origins[2] = {{at, at + 1}, {0, 0}}; /* the second was put in */
            pm_stretch stretch = {.text = bytes("a."), .origins = given ? origins : NULL, .at = at, .with_origins = true};
            pm_pretokens out;
            assert_ok(pm_pretokenize(m.pretokenizer, m.scratch, &stretch, &out, &err));
            const char *wanted = at == 0 ? given ? "_a_." : "_a." : given ? "a_." : "a.";
            ck_assert_uint_eq(out.n, 2);
            ck_assert(pm_bytes_equal(out.text, bytes(wanted)));
            ck_assert_uint_eq(out.origins[0].begin, at);
        }
    }
    machine_free(&m);
}
END_TEST

/* The text is not looked at beyond its end, nor are bytes lost, whatever the bytes and the steps. */
START_TEST(any_bytes) {
    static const uint32_t types[] = {PM_STEP_BYTE_LEVEL,  PM_STEP_METASPACE, PM_STEP_WHITESPACE,      PM_STEP_WHITESPACE_SPLIT, PM_STEP_PUNCTUATION,
                                     PM_STEP_DIGITS,      PM_STEP_BERT_SPLIT, PM_STEP_UNICODE_SCRIPTS, PM_STEP_FIXED_LENGTH,     PM_STEP_SPLIT};
    uint64_t state = 5;

    for (int round = 0; round < (quick() ? 50 : 1000); round++) {
        list l = {.n = 1 + random_word(&state) % 3};
        for (size_t i = 0; i < l.n; i++) {
            uint64_t r = random_word(&state);
            l.steps[i] = (pm_step){.type = types[r % 10], .flags = (uint32_t)(r >> 32) & ~(uint32_t)PM_STEP_REGEX, .n = 1 + (r >> 8) % 2, .a = bytes("_")};
        }
        machine m = machine_new(&l);
        size_t len = random_word(&state) % 40;
        uint8_t *text = malloc(len + 1);
        for (size_t i = 0; i < len; i++) {
            uint64_t r = random_word(&state);
            text[i] = r & 1 ? (uint8_t)(r >> 8) : (uint8_t)(" a1._\xE4\xB8\xAD"[(r >> 8) % 8]);
        }
        pm_pretokens out = run(&m, (pm_bytes){text, len}, NULL, true);
        size_t at = 0;
        for (size_t i = 0; i < out.n; i++) {
            ck_assert(at <= out.spans[i].begin && out.spans[i].begin < out.spans[i].end && out.spans[i].end <= out.text.len);
            at = out.spans[i].end;
            pm_span from = origin_of(&out, i);
            ck_assert(from.begin < from.end && from.end <= len);
        }
        free(text);
        machine_free(&m);
    }
}
END_TEST

START_TEST(refused_steps) {
    static const struct {
        pm_step step;
        pm_status status;
        const char *words;
    } cases[] = {
        {{.type = PM_STEP_NFC}, PM_UNSUPPORTED, "step 1 of the pre-tokenizer"},
        {{.type = 12345}, PM_UNSUPPORTED, "12345"},
        {{.type = PM_STEP_SPLIT, .n = 5}, PM_BAD_FORMAT, "behavior"},
        {{.type = PM_STEP_PUNCTUATION, .n = 5}, PM_BAD_FORMAT, "behavior"},
        {{.type = PM_STEP_METASPACE, .n = 0}, PM_BAD_FORMAT, "replacement"},
        {{.type = PM_STEP_METASPACE, .n = 0, .a = {(const uint8_t *)"__", 2}}, PM_BAD_FORMAT, "replacement"},
        {{.type = PM_STEP_METASPACE, .n = 3, .a = {(const uint8_t *)"_", 1}}, PM_BAD_FORMAT, "prepend_scheme"},
        {{.type = PM_STEP_DELIMITER, .a = {(const uint8_t *)"\xFF", 1}}, PM_BAD_FORMAT, "delimiter"},
        {{.type = PM_STEP_FIXED_LENGTH}, PM_BAD_FORMAT, "length of 0"},
#ifdef PM_HAVE_PCRE2
        {{.type = PM_STEP_SPLIT, .flags = PM_STEP_REGEX, .a = {(const uint8_t *)"a(b", 3}}, PM_BAD_PATTERN, "not closed"},
        {{.type = PM_STEP_SPLIT, .flags = PM_STEP_REGEX, .a = {(const uint8_t *)"a\0b", 3}}, PM_BAD_PATTERN, "U+0000"},
#endif
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pm_error err = {0};
        pm_step step = cases[i].step;
        pm_pretokenizer *p;
        assert_fails(pm_pretokenizer_new(&p, &(pm_steps){&step, 1, 1}, &err), cases[i].status, cases[i].words);
        ck_assert_ptr_null(p);
    }
}
END_TEST

#ifdef PM_HAVE_PCRE2
/* A regex that takes too long says where, in bytes of the document. */
START_TEST(too_many_steps) {
    static uint8_t text[200000];
    list l = {.n = 2};
    l.steps[0] = (pm_step){.type = PM_STEP_METASPACE, .n = PM_PREPEND_ALWAYS, .a = bytes("_")};
    l.steps[1] = (pm_step){.type = PM_STEP_SPLIT, .flags = PM_STEP_REGEX, .n = PM_BEHAVIOR_ISOLATED, .a = bytes("(?:a*)*(?:a*)*b")};
    machine m = machine_new(&l);
    memset(text, 'a', sizeof text);
    pm_error err = {0};
    pm_pretokens out;
    for (int origins = 0; origins < 2; origins++) {
        pm_stretch stretch = {.text = {text, sizeof text}, .at = 7, .with_origins = origins};
        assert_fails(pm_pretokenize(m.pretokenizer, m.scratch, &stretch, &out, &err), PM_LIMIT, "too");
        ck_assert(origins ? err.offset >= 7 && err.offset < 7 + sizeof text : err.offset == PM_NO_OFFSET);
    }
    machine_free(&m);
}
END_TEST
#endif

Suite *suite_pretokenizer(void) {
    Suite *suite = suite_create("pretokenizer");
    TCase *tcase = tcase_create("pretokenizer");
    tcase_set_timeout(tcase, 300);
#ifdef PM_HAVE_PCRE2
    tcase_add_test(tcase, table_of_cases);
    tcase_add_test(tcase, bad_bytes);
    tcase_add_test(tcase, too_many_steps);
#endif
    tcase_add_test(tcase, first_of_the_document);
    tcase_add_test(tcase, any_bytes);
    tcase_add_test(tcase, refused_steps);
    suite_add_tcase(suite, tcase);
    return suite;
}
