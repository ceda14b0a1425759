/* test_normalizer.c - the table tests/cases/normalizers.txt, which tokenizers and sentencepiece made; bytes that are no
 * UTF-8; charsmaps that are broken; texts that would be slow or without end. */
#include <stdio.h>

#include "base/bytes.h"
#include "encode/normalizer.h"
#include "format/format.h"
#include "support.h"
#include "text/charsmap.h"
#include "text/utf8.h"

enum { STEPS = 8, KEPT = 16, FIELD = 256, LONG = 4096 };

/* A list of steps with the texts that they hold, and what is kept. */
typedef struct list {
    pm_step steps[STEPS];
    uint8_t texts[STEPS][2][FIELD];
    size_t n;
    pm_bytes kept[KEPT];
    uint8_t kept_texts[KEPT][FIELD];
    size_t n_kept;
} list;

static pm_normalizer *normalizer;
static pm_normalizer_scratch *scratch;
static pm_normalized out;

static void make(const list *l) {
    pm_error err = {0};
    pm_steps steps = {(pm_step *)(uintptr_t)l->steps, l->n, l->n};
    assert_ok(pm_normalizer_new(&normalizer, &steps, l->kept, l->n_kept, &err));
    assert_ok(pm_normalizer_scratch_new(&scratch, normalizer, &err));
}

static void make_one(pm_step step) {
    list l = {.steps = {step}, .n = 1};
    make(&l);
}

static void release(void) {
    pm_normalizer_free(normalizer);
    pm_normalizer_scratch_free(scratch);
    normalizer = NULL;
    scratch = NULL;
    pm_normalized_release(&out);
}

static void run(pm_bytes text, size_t at, bool with_origins) {
    pm_error err = {0};
    assert_ok(pm_normalize(normalizer, scratch, text, at, with_origins, &out, &err));
    ck_assert(!out.origins || with_origins);
    ck_assert(!with_origins || out.origins || out.text.len == 0 || out.text.data == text.data);
}

/* The text without origins is the same. */
static void run_both(pm_bytes text, size_t at) {
    pm_buf plain = {0};
    pm_error err = {0};
    run(text, at, false);
    ck_assert(!out.origins);
    assert_ok(pm_buf_append(&plain, out.text.data, out.text.len, &err));
    run(text, at, true);
    ck_assert(pm_bytes_equal(out.text, (pm_bytes){plain.data, plain.len}));
    pm_buf_release(&plain);
}

#ifdef PM_HAVE_PROTOBUF /* which reads the charsmap */
/* ---- reading the table ---- */

/* Where a character of the result comes from. */
static pm_origin origin_of(size_t begin, size_t end, size_t at) {
    if (!out.origins) {
        return (pm_origin){at + begin, at + end};
    }
    return (pm_origin){out.origins[begin].begin, out.origins[end - 1].end};
}

static const struct {
    const char *name;
    uint32_t type;
} names[] = {{"NFC", PM_STEP_NFC},
             {"NFD", PM_STEP_NFD},
             {"NFKC", PM_STEP_NFKC},
             {"NFKD", PM_STEP_NFKD},
             {"Lowercase", PM_STEP_LOWERCASE},
             {"StripAccents", PM_STEP_STRIP_ACCENTS},
             {"BertNormalizer", PM_STEP_BERT},
             {"Replace", PM_STEP_REPLACE},
             {"Prepend", PM_STEP_PREPEND},
             {"Strip", PM_STEP_STRIP},
             {"Precompiled", PM_STEP_PRECOMPILED},
             {"Nmt", PM_STEP_NMT},
             {"ByteLevel", PM_STEP_BYTE_LEVEL_CHARS},
             {"SentencePiece", PM_STEP_SENTENCEPIECE}};

/* Takes a field of a line and undoes its escapes. */
static pm_bytes field(const char **line, uint8_t *to) {
    size_t len = unescape(line, to, '\t');
    *line += **line == '\t';
    return (pm_bytes){to, len};
}

/* Takes a text of a step, or the charsmap. */
static pm_bytes step_text(const char **line, uint8_t *to, pm_bytes charsmap) {
    pm_bytes text = field(line, to);
    return text.len == 1 && text.data[0] == '@' ? charsmap : text;
}

static void read_list(list *l, const char *line, pm_bytes charsmap) {
    memset(l, 0, sizeof *l);
    while (*line) {
        uint8_t name[FIELD];
        pm_step *step = &l->steps[l->n];
        ck_assert(l->n < STEPS);
        name[field(&line, name).len] = '\0';
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            step->type = strcmp((const char *)name, names[i].name) == 0 ? names[i].type : step->type;
        }
        ck_assert_msg(step->type != 0, "%s", (const char *)name);
        step->flags = (uint32_t)strtoul(line, NULL, 10);
        line += strcspn(line, "\t");
        line += *line == '\t';
        step->a = step_text(&line, l->texts[l->n][0], charsmap);
        step->b = step_text(&line, l->texts[l->n][1], charsmap);
        l->n++;
    }
}

static void check_case(const char *line, const char *list_name) {
    uint8_t in[LONG], wanted[LONG];
    pm_bytes text = field(&line, in), result = field(&line, wanted);

    for (size_t at = 0; at <= 7; at += 7) {
        const char *origins = line;
        run_both(text, at);
        ck_assert_msg(pm_bytes_equal(out.text, result), "%s: \"%.*s\" gave \"%.*s\"", list_name, (int)text.len,
                      (const char *)in, (int)out.text.len, (const char *)out.text.data);
        for (size_t i = 0; i < result.len;) {
            unsigned n, begin, end;
            pm_utf8_read(wanted + i, wanted + result.len, &n);
            ck_assert(sscanf(origins, "%u-%u", &begin, &end) == 2);
            pm_origin got = origin_of(i, i + n, at);
            ck_assert_msg(got.begin == at + begin && got.end == at + end, "%s: \"%.*s\" byte %zu: %zu-%zu", list_name,
                          (int)text.len, (const char *)in, i, got.begin, got.end);
            origins += strcspn(origins, " ");
            origins += *origins == ' ';
            i += n;
        }
    }
}

static uint32_t crc32_of(uint32_t crc, const void *data, size_t len) {
    const uint8_t *p = data;
    static uint32_t table[256];

    for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) {
            c = c & 1 ? UINT32_C(0xEDB88320) ^ c >> 1 : c >> 1;
        }
        table[i] = c;
    }
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc = table[(crc ^ p[i]) & 0xFF] ^ crc >> 8;
    }
    return ~crc;
}

/* All characters between "a" and "b". */
static void check_digest(const char *line, const char *list_name) {
    static uint8_t text[30000];
    uint32_t crc_text = 0, crc_origins = 0, c = 0;

    for (size_t i = 0; c < 0x110000; i++) {
        size_t len = 0;
        for (size_t k = 0; k < 5000 && c < 0x110000; k++, c++) {
            c = c == 0xD800 ? 0xE000 : c;
            text[len++] = 'a';
            len += pm_utf8_write(c, text + len);
            text[len++] = 'b';
        }
        run_both((pm_bytes){text, len}, 0);
        crc_text = crc32_of(crc_text, out.text.data, out.text.len);
        for (size_t pos = 0; i % 20 == 0 && pos < out.text.len;) {
            unsigned n;
            pm_utf8_read(out.text.data + pos, out.text.data + out.text.len, &n);
            pm_origin o = origin_of(pos, pos + n, 0);
            uint8_t packed[8];
            for (int b = 0; b < 4; b++) {
                packed[b] = (uint8_t)(o.begin >> 8 * b);
                packed[4 + b] = (uint8_t)(o.end >> 8 * b);
            }
            crc_origins = crc32_of(crc_origins, packed, sizeof packed);
            pos += n;
        }
    }
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%u\t%u", crc_text, crc_origins);
    ck_assert_msg(strcmp(wanted, line) == 0, "%s: %s instead of %s", list_name, wanted, line);
}

/* One line; `l` is the list that it belongs to. */
static void check_line(char *line, list *l, char *name, pm_bytes charsmap) {
    if (*line == '=') {
        release();
        snprintf(name, LONG, "%s", line);
        read_list(l, line + 2, charsmap);
    } else if (*line == '+' && !normalizer) {
        const char *text = line + 1;
        ck_assert(l->n_kept < KEPT);
        l->kept[l->n_kept] = field(&text, l->kept_texts[l->n_kept]);
        l->n_kept++;
    } else if (*line != '#' && *line != '\0') {
        if (!normalizer) {
            make(l);
        }
        if (*line != '*') {
            check_case(line, name);
        } else if (!quick()) {
            check_digest(line + 2, name);
        }
    }
}

START_TEST(table) {
    static list l;
    static char name[LONG];
    const char *path = shared("models/sentencepiece/test_model.model");
    pm_error err = {0};
    pm_load_options options = PM_LOAD_OPTIONS_INIT;
    pm_model model = {0};
    pm_file file = {0};
    if (!path) {
        return;
    }
    assert_ok(pm_file_open(&file, path, false, &err));
    assert_ok(pm_format_sentencepiece.read(&model, &file, &options, &err));
    ck_assert(model.normalizer.n == 1 && model.normalizer.items[0].a.len > 100000);
    pm_buf cases = read_file(source_path("tests/cases/normalizers.txt"));
    assert_ok(pm_buf_append(&cases, "", 1, &err));
    size_t lines = 0;
    for (char *line = (char *)cases.data; *line; lines++) {
        char *end = line + strcspn(line, "\n");
        *end = '\0';
        check_line(line, &l, name, model.normalizer.items[0].a);
        line = end + 1;
    }
    ck_assert(lines > 3000);
    release();
    pm_buf_release(&cases);
    pm_model_release(&model);
    pm_file_close(&file);
}
END_TEST
#endif

/* ---- what no peer answers ---- */

static pm_bytes bytes_of(const char *text) { return (pm_bytes){(const uint8_t *)text, strlen(text)}; }

static void check(const char *text, size_t len, const char *wanted, size_t wanted_len, pm_step step) {
    make_one(step);
    run_both((pm_bytes){(const uint8_t *)text, len}, 3);
    ck_assert_msg(pm_bytes_equal(out.text, (pm_bytes){(const uint8_t *)wanted, wanted_len}), "%.*s", (int)out.text.len,
                  (const char *)out.text.data);
    release();
}

/* What a step, in the fields behind, makes of a text. */
#define CHECK(text, wanted, ...) check(text, sizeof(text) - 1, wanted, sizeof(wanted) - 1, (pm_step){__VA_ARGS__})
#define TEXT(text)                                                                                                     \
    { (const uint8_t *)(text), sizeof(text) - 1 }

START_TEST(bad_bytes_stay) {
    CHECK("\xFF"
          "e\xCC\x81\xC3 e\xCC\x80\xE4\xB8",
          "\xFF\xC3\xA9\xC3 \xC3\xA8\xE4\xB8", .type = PM_STEP_NFC);
    CHECK("e\xFF\xCC\x81", "e\xFF\xCC\x81", .type = PM_STEP_NFC); /* nothing joins over it */
    CHECK("A\xC3Z\x80", "a\xC3z\x80", .type = PM_STEP_LOWERCASE);
    CHECK("\xCC\xCC\x81\x81", "\xCC\x81", .type = PM_STEP_STRIP_ACCENTS);
    CHECK("a\xFF ", "a\xC3\xBF\xC4\xA0", .type = PM_STEP_BYTE_LEVEL_CHARS);
    CHECK(" \x80 a \xE3\x80 \xE3\x80\x80", "\x80 a \xE3\x80", .type = PM_STEP_STRIP,
          .flags = PM_STEP_LEFT | PM_STEP_RIGHT);
    CHECK("\xFF", "_\xFF", .type = PM_STEP_PREPEND, .a = TEXT("_"));
    CHECK("\xC3"
          "a\xFF",
          "\xC3"
          "bc\xFF",
          .type = PM_STEP_REPLACE, .a = TEXT("a"), .b = TEXT("bc"));
    /* what happens to U+FFFD happens to them */
    CHECK("a\xFF\xEF\xBF\xBDz", "az", .type = PM_STEP_BERT, .flags = PM_STEP_CLEAN_TEXT);
    CHECK("z\xFFz", "z z", .type = PM_STEP_NMT);
    CHECK("a\xFF\xE4", "a\xEF\xBF\xBD\xEF\xBF\xBD", .type = PM_STEP_SENTENCEPIECE);
}
END_TEST

#ifdef PM_HAVE_PCRE2
START_TEST(a_regex_sees_bad_bytes_as_one_character) {
    CHECK("\xC3\xC3xay\xFFx\xFF", "\xC3!ay!\xFF", .type = PM_STEP_REPLACE, .flags = PM_STEP_REGEX, .a = TEXT(".x"),
          .b = TEXT("!"));
}
END_TEST

START_TEST(a_regex_runs_into_its_limit) {
    const char *regex = "(a*)*b|.(?=[\\s\\S]*Z)";
    static uint8_t text[200000];
    pm_error err = {0};
    memset(text, 'a', sizeof text);
    make_one((pm_step){.type = PM_STEP_REPLACE, .flags = PM_STEP_REGEX, .a = bytes_of(regex)});
    assert_fails(pm_normalize(normalizer, scratch, (pm_bytes){text, sizeof text}, 0, false, &out, &err), PM_LIMIT, "");
    run((pm_bytes){text, 1}, 0, true); /* and can be used again */
    release();
}
END_TEST
#endif

START_TEST(nothing_to_do_is_nothing_done) {
    static const uint32_t types[] = {PM_STEP_NFC,       PM_STEP_NFKC,          PM_STEP_NFD, PM_STEP_NFKD,
                                     PM_STEP_LOWERCASE, PM_STEP_STRIP_ACCENTS, PM_STEP_NMT};
    pm_steps none = {0};
    pm_error err = {0};
    pm_bytes text = bytes_of("plain text, \u4E2D\u6587\u7684 and more");
    assert_ok(pm_normalizer_new(&normalizer, &none, NULL, 0, &err));
    ck_assert(pm_normalizer_is_empty(normalizer) && strcmp(pm_normalizer_engine_unicode(normalizer), "") == 0);
    pm_normalizer_free(normalizer);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        make_one((pm_step){.type = types[i]});
        ck_assert(!pm_normalizer_is_empty(normalizer));
        run(text, 0, true);
        ck_assert(out.text.data == text.data && out.text.len == text.len && !out.origins);
        run((pm_bytes){NULL, 0}, 0, true);
        ck_assert(out.text.len == 0);
        release();
    }
}
END_TEST

START_TEST(steps_that_are_refused) {
    pm_error err = {0};
    pm_step steps[2] = {{.type = PM_STEP_SPLIT}, {.type = PM_STEP_SENTENCEPIECE}};
    assert_fails(pm_normalizer_new(&normalizer, &(pm_steps){steps, 1, 1}, NULL, 0, &err), PM_UNSUPPORTED,
                 "none of a normalizer");
    ck_assert(!normalizer);
    steps[0].type = PM_STEP_NFC;
    assert_fails(pm_normalizer_new(&normalizer, &(pm_steps){steps, 2, 2}, NULL, 0, &err), PM_UNSUPPORTED,
                 "stands alone");
    steps[0] = (pm_step){.type = PM_STEP_PRECOMPILED};
    assert_fails(pm_normalizer_new(&normalizer, &(pm_steps){steps, 1, 1}, NULL, 0, &err), PM_BAD_FORMAT, "too short");
#ifdef PM_HAVE_PCRE2
    steps[0] = (pm_step){.type = PM_STEP_REPLACE, .flags = PM_STEP_REGEX, .a = bytes_of("a(")};
    assert_fails(pm_normalizer_new(&normalizer, &(pm_steps){steps, 1, 1}, NULL, 0, &err), PM_BAD_PATTERN, "");
    steps[0].a = (pm_bytes){(const uint8_t *)"a\0b", 3};
    assert_fails(pm_normalizer_new(&normalizer, &(pm_steps){steps, 1, 1}, NULL, 0, &err), PM_BAD_PATTERN, "U+0000");
    ck_assert_uint_eq(err.offset, 1);
#endif
}
END_TEST

START_TEST(growth_has_an_end) {
    pm_error err = {0};
    list l = {.n = STEPS};
    static uint8_t many[200];
    memset(many, 'a', sizeof many);
    for (size_t i = 0; i < STEPS; i++) { /* 200^8 times */
        l.steps[i] = (pm_step){.type = PM_STEP_REPLACE, .a = bytes_of("a"), .b = {many, sizeof many}};
    }
    make(&l);
    assert_fails(pm_normalize(normalizer, scratch, bytes_of("a"), 0, true, &out, &err), PM_LIMIT, "1,024 times");
    run(bytes_of("b"), 0, true);
    release();
}
END_TEST

/* Texts in which something that is done again and again would take hours. */
START_TEST(long_texts_take_linear_time) {
    enum { N = 1 << 20 };
    static const char *const units[] = {"\u0301\u0323", "a\u0301", "\u1100\u1161", "  ", "\u0915\u094D",
                                        "\U0001F1E6",   "\u200D",  "\u0301",       "`",  "A",
                                        "\xFF"};
    static const uint32_t types[] = {PM_STEP_NFC,           PM_STEP_NFKD, PM_STEP_LOWERCASE,
                                     PM_STEP_STRIP_ACCENTS, PM_STEP_NMT,  PM_STEP_BYTE_LEVEL_CHARS};
    size_t len = quick() ? N / 16 : N;
    uint8_t *text = malloc(len);
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        size_t n = strlen(units[u]);
        for (size_t i = 0; i < len; i++) {
            text[i] = (uint8_t)units[u][i % n];
        }
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
            make_one((pm_step){.type = types[i], .flags = PM_STEP_LEFT});
            run((pm_bytes){text, len}, 0, i < 2);
            release();
        }
        make_one((pm_step){.type = PM_STEP_BERT, .flags = PM_STEP_CLEAN_TEXT | PM_STEP_CHINESE_CHARS | PM_STEP_LOWER});
        run((pm_bytes){text, len}, 0, false);
        release();
        make_one((pm_step){.type = PM_STEP_SENTENCEPIECE,
                           .flags = PM_STEP_DUMMY_PREFIX | PM_STEP_REMOVE_EXTRA_BLANKS | PM_STEP_ESCAPE_BLANKS});
        run((pm_bytes){text, len}, 0, true);
        release();
    }
    free(text);
}
END_TEST

/* ---- charsmaps ---- */

enum { UNITS = 512, BLOB = 4 + 4 * UNITS + 16 };

/* A trie of two blocks: the root's children at base 256, and there 'a' with the value 0 ("A"), below it at base 257 'b'
 * with the value 2 ("BB"). */
typedef struct blob {
    uint8_t bytes[BLOB];
    size_t len;
} blob;

static void put32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> 8 * i);
    }
}

static void put_unit(blob *b, size_t i, uint32_t unit) { put32(b->bytes + 4 + 4 * i, unit); }
static uint32_t node(char label, size_t place, size_t base, bool ends) {
    return (uint32_t)((place ^ base) << 10) | (uint32_t)ends << 8 | (uint8_t)label;
}
static uint32_t value(uint32_t v) { return UINT32_C(1) << 31 | v; }

static blob good_blob(void) {
    blob b = {.len = 4 + 4 * UNITS + 5};
    put32(b.bytes, 4 * UNITS);
    for (size_t i = 1; i < UNITS; i++) {
        put_unit(&b, i, value(0)); /* no child */
    }
    put_unit(&b, 0, node(0, 0, 256, false));
    put_unit(&b, 256 ^ 'a', node('a', 256 ^ 'a', 258, true));
    put_unit(&b, 258, value(0));
    put_unit(&b, 258 ^ 'b', node('b', 258 ^ 'b', 260, true));
    put_unit(&b, 260, value(2));
    memcpy(b.bytes + 4 + 4 * UNITS, "A\0BB\0", 5);
    return b;
}

static pm_status open_blob(const blob *b, size_t len, bool characters, pm_error *err) {
    pm_charsmap map;
    uint8_t *exact = malloc(len ? len : 1); /* so that a byte behind it is noticed */
    memcpy(exact, b->bytes, len);
    pm_status status = pm_charsmap_init(&map, (pm_bytes){exact, len}, characters, err);
    for (unsigned c = 0; status == PM_OK && c < 256; c++) {
        uint8_t text[3] = {(uint8_t)c, 'b', 'a'};
        pm_bytes by;
        pm_charsmap_longest(&map, (pm_bytes){text, 3}, &by);
        pm_charsmap_shortest(&map, (pm_bytes){text, 3}, &by);
    }
    free(exact);
    return status;
}

START_TEST(a_charsmap_is_searched) {
    blob b = good_blob();
    pm_charsmap map;
    pm_error err = {0};
    pm_bytes by;
    assert_ok(pm_charsmap_init(&map, (pm_bytes){b.bytes, b.len}, true, &err));
    ck_assert(map.begins['a'] && !map.begins['b'] && !map.begins[0]);
    ck_assert(pm_charsmap_longest(&map, bytes_of("abc"), &by) == 2 && pm_bytes_equal(by, bytes_of("BB")));
    ck_assert(pm_charsmap_longest(&map, bytes_of("acb"), &by) == 1 && pm_bytes_equal(by, bytes_of("A")));
    ck_assert(pm_charsmap_longest(&map, bytes_of("b"), &by) == 0);
    ck_assert(pm_charsmap_shortest(&map, bytes_of("abc"), &by) && pm_bytes_equal(by, bytes_of("A")));
    ck_assert(!pm_charsmap_shortest(&map, bytes_of("ba"), &by));
}
END_TEST

START_TEST(broken_charsmaps_are_refused) {
    pm_error err = {0};
    blob b = good_blob();
    for (size_t len = 0; len < b.len; len++) {
        if (len != b.len - 3) { /* there the texts end with "A" */
            ck_assert_int_eq(open_blob(&b, len, false, &err), PM_BAD_FORMAT);
        }
    }
    put32(b.bytes, 4 * UNITS - 4);
    assert_fails(open_blob(&b, b.len, false, &err), PM_BAD_FORMAT, "length of its trie");
    b = good_blob();
    put_unit(&b, 260, value(5));
    assert_fails(open_blob(&b, b.len, false, &err), PM_BAD_FORMAT, "out of its texts");
    ck_assert_uint_eq(err.offset, 4 + 4 * 260);
    b = good_blob();
    put_unit(&b, 258 ^ 'b', node('b', 0, 512, true));
    assert_fails(open_blob(&b, b.len, false, &err), PM_BAD_FORMAT, "out of the trie");
    b = good_blob();
    put_unit(&b, 260, node('c', 260, 260, false));
    assert_fails(open_blob(&b, b.len, false, &err), PM_BAD_FORMAT, "has no value");
    b = good_blob();
    put_unit(&b, 0, value(0));
    ck_assert_int_eq(open_blob(&b, b.len, false, &err), PM_BAD_FORMAT);
    b = good_blob();
    put_unit(&b, 258 ^ 'b', node('b', 258 ^ 'b', 256, false)); /* back to the root's children */
    assert_fails(open_blob(&b, b.len, false, &err), PM_BAD_FORMAT, "longer than 1,024");
    b = good_blob();
    b.bytes[4 + 4 * UNITS + 2] = 0xC3; /* "\xC3B" */
    assert_ok(open_blob(&b, b.len, false, &err));
    assert_fails(open_blob(&b, b.len, true, &err), PM_BAD_FORMAT, "no UTF-8");
    b.bytes[4 + 4 * UNITS + 3] = 0xA9;
    assert_ok(open_blob(&b, b.len, true, &err));
    put_unit(&b, 260, value(3));
    assert_ok(open_blob(&b, b.len, false, &err));
    assert_fails(open_blob(&b, b.len, true, &err), PM_BAD_FORMAT, "into a character");
}
END_TEST

START_TEST(any_charsmap_is_safe) {
    uint64_t seed = 8;
    size_t taken = 0;
    for (int i = 0; i < (quick() ? 2000 : 20000); i++) {
        pm_error err = {0};
        blob b = good_blob();
        for (uint64_t k = random_word(&seed) % 6 + 1; k > 0; k--) {
            uint64_t r = random_word(&seed);
            size_t place = r % 3 ? (r >> 8) % b.len : 4 + 4 * (256 + (r >> 8) % 256) + (r >> 32) % 4;
            b.bytes[place] = (uint8_t)(random_word(&seed) >> 8);
        }
        taken += open_blob(&b, b.len, i % 2, &err) == PM_OK;
    }
    ck_assert(taken > 0);
}
END_TEST

Suite *suite_normalizer(void);
Suite *suite_normalizer(void) {
    Suite *suite = suite_create("normalizer");
    TCase *tcase = tcase_create("normalizer");
    tcase_set_timeout(tcase, 300);
#ifdef PM_HAVE_PROTOBUF
    tcase_add_test(tcase, table);
#endif
    tcase_add_test(tcase, bad_bytes_stay);
#ifdef PM_HAVE_PCRE2
    tcase_add_test(tcase, a_regex_sees_bad_bytes_as_one_character);
    tcase_add_test(tcase, a_regex_runs_into_its_limit);
#endif
    tcase_add_test(tcase, nothing_to_do_is_nothing_done);
    tcase_add_test(tcase, steps_that_are_refused);
    tcase_add_test(tcase, growth_has_an_end);
    tcase_add_test(tcase, long_texts_take_linear_time);
    tcase_add_test(tcase, a_charsmap_is_searched);
    tcase_add_test(tcase, broken_charsmaps_are_refused);
    tcase_add_test(tcase, any_charsmap_is_safe);
    suite_add_tcase(suite, tcase);
    return suite;
}
