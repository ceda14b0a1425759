/* test_classes.c - class bitmaps: every version that this machine has against the twin in tests/oracle/classes.h. */
#include <stdio.h>
#include <stdlib.h>

#include "../oracle/classes.h"
#include "../oracle/tricky.h"
#include "support.h"

enum { MAX_TEXT = 4096, MAX_WORDS = MAX_TEXT / 64 + 1 };

static void report(const char *name, const uint8_t *text, size_t len, size_t readable, const pm_class_word *got,
                   const pm_class_word *wanted) {
    fprintf(stderr, "%s, %zu of %zu bytes:", name, len, readable);
    for (size_t i = 0; i < readable; i++) {
        fprintf(stderr, " %02x", text[i]);
    }
    for (size_t k = 0; k < (len + 63) / 64; k++) {
        const uint64_t *a = (const uint64_t *)&got[k], *b = (const uint64_t *)&wanted[k];
        for (size_t field = 0; field < sizeof *got / sizeof *a; field++) {
            if (a[field] != b[field]) {
                fprintf(stderr, "\nword %zu field %zu: %016llx, not %016llx", k, field, (unsigned long long)a[field],
                        (unsigned long long)b[field]);
            }
        }
    }
    ck_abort_msg("%s differs", name);
}

/* All versions on a text as it lies, its words in memory of their exact size. */
static void check_here(const uint8_t *text, size_t len, size_t readable) {
    pm_class_word wanted[MAX_WORDS];
    size_t n = (len + 63) / 64;

    oracle_classes(text, len, readable, wanted);
    for (pm_cpu cpu = PM_CPU_PORTABLE; cpu < PM_N_CPUS; cpu++) {
        if (!pm_cpu_has(cpu)) {
            continue;
        }
        pm_class_word *got = malloc(n ? n * sizeof *got : 1);
        memset(got, 0xA5, n * sizeof *got);
        pm_classes_for(cpu)(text, len, readable, got);
        if (n && memcmp(got, wanted, n * sizeof *got) != 0) {
            report(pm_cpu_name(cpu), text, len, readable, got, wanted);
        }
        free(got);
    }
}

/* The same on a copy of the readable bytes that ends with its memory and begins `shift` bytes into it. */
static void check_copy(const uint8_t *text, size_t len, size_t readable, size_t shift) {
    uint8_t *copy = malloc(shift + readable + (shift + readable == 0));

    memcpy(copy + shift, text, readable);
    check_here(copy + shift, len, readable);
    free(copy);
}

/* ---- every character, every pair of bytes ---- */

START_TEST(each_code_point_alone_and_between_others) {
    static const char *const around[] = {"", "a", " ", "\xC3\xA9", "\xE4\xB8\xAD", "\xF0\x9F\x98\x80", "\x80", "\xE4"};
    enum { N_AROUND = sizeof around / sizeof *around };
    uint8_t text[64];

    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        if (cp >= 0xD800 && cp < 0xE000) {
            continue; /* no UTF-8; see ill_formed_sequences */
        }
        uint8_t utf8[4];
        unsigned n = pm_utf8_write(cp, utf8);
        for (size_t k = quick() ? cp % N_AROUND : 0; k < N_AROUND; k += quick() ? N_AROUND : 1) {
            size_t len = strlen(around[k]);
            memcpy(text, around[k], len);
            memcpy(text + len, utf8, n);
            memcpy(text + len + n, around[k], len);
            check_here(text, 2 * len + n, 2 * len + n);
        }
    }
}
END_TEST

START_TEST(code_points_in_order) {
    uint8_t text[MAX_TEXT];

    for (unsigned shift = 0; shift < 4; shift++) {
        size_t len = shift;
        memset(text, 'x', shift);
        for (uint32_t cp = 0; cp < 0x110000; cp++) {
            len += pm_utf8_write(cp, text + len); /* surrogates too: three bad bytes */
            if (len + 4 > MAX_TEXT || cp == 0x10FFFF) {
                check_here(text, len, len);
                len = shift;
            }
        }
    }
}
END_TEST

START_TEST(pairs_of_bytes) {
    static const size_t places[] = {0, 1, 61, 62, 63, 64};
    for (unsigned pair = 0; pair < 0x10000; pair += quick() ? 13 : 1) {
        for (size_t k = 0; k < sizeof places / sizeof *places; k++) {
            uint8_t text[140];
            memset(text, 'x', sizeof text);
            text[places[k]] = (uint8_t)(pair >> 8);
            text[places[k] + 1] = (uint8_t)pair;
            check_here(text, places[k] + 2, places[k] + 2);
            check_here(text, sizeof text, sizeof text);
        }
    }
}
END_TEST

/* Each first byte with second, third and fourth bytes at the borders of what is well-formed. */
START_TEST(ill_formed_sequences) {
    static const uint8_t second[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xE4, 0xFF};
    static const uint8_t later[] = {0x41, 0x7F, 0x80, 0xBF, 0xC0, 0xE4};
    enum { N_SECOND = sizeof second, N_LATER = sizeof later };
    for (unsigned first = 0x80; first < 0x100; first++) {
        for (size_t k = 0; k < N_SECOND * N_LATER * N_LATER; k += quick() ? 5 : 1) {
            const uint8_t bytes[4] = {(uint8_t)first, second[k % N_SECOND], later[k / N_SECOND % N_LATER],
                                      later[k / N_SECOND / N_LATER]};
            uint8_t text[200];
            for (size_t i = 0; i < sizeof text; i += 4) {
                memcpy(text + i, bytes, 4);
            }
            for (size_t n = 1; n <= 4; n++) {
                check_here(bytes, n, n);
            }
            for (size_t skip = 0; skip < 4; skip++) {
                check_here(text + skip, 130, 130 + k % 5);
            }
        }
    }
}
END_TEST

/* ---- random texts ---- */

static uint64_t below(uint64_t *state, uint64_t n) { return random_word(state) % n; }

/* One character of script number `script`, or a bad byte. */
static unsigned random_character(uint64_t *state, unsigned script, uint8_t out[4]) {
    static const uint32_t ranges[][2] = {{0x20, 0x7E},      {0, 0x7F},          {0xA0, 0x17F},      {0x370, 0x3FF},
                                         {0x400, 0x47F},    {0x5D0, 0x6FF},     {0x900, 0x97F},     {0xE00, 0xE7F},
                                         {0x1E00, 0x1EFF},  {0x2000, 0x206F},   {0x3000, 0x30FF},   {0x4E00, 0x9FFF},
                                         {0x4E00, 0x9FFF},  {0xAC00, 0xD7A3},   {0xFF00, 0xFFEF},   {0x1F300, 0x1FAFF},
                                         {0x3400, 0x4DBF},  {0x20000, 0x2A6FF}, {0x10400, 0x10D7F}, {0x80, 0xD7FF},
                                         {0xE000, 0x10FFFF}};
    enum { N_RANGES = sizeof ranges / sizeof *ranges };
    unsigned which = script % (N_RANGES + 2);

    if (which == N_RANGES) {
        return tricky_write((uint32_t)random_word(state), out);
    }
    if (which == N_RANGES + 1) {
        *out = (uint8_t)below(state, 256);
        return 1;
    }
    uint32_t first = ranges[which][0], last = ranges[which][1];
    return pm_utf8_write(first + (uint32_t)below(state, last - first + 1), out);
}

/* Runs of one script or two in turn; with `damage`, some bytes are replaced. Returns the length, at most `most`. */
static size_t random_text(uint64_t *state, uint8_t *text, size_t most, bool damage) {
    size_t len = 0;
    unsigned scripts[2] = {0, 0};

    while (len + 4 <= most) {
        if (below(state, 16) == 0) {
            scripts[below(state, 2)] = (unsigned)random_word(state) & 0xFF;
        }
        len += random_character(state, scripts[below(state, 8) == 0], text + len);
    }
    for (size_t i = damage ? below(state, 4) : 0; i && len; i--) {
        text[below(state, len)] = (uint8_t)random_word(state);
    }
    return len;
}

START_TEST(random_mixtures) {
    uint64_t state = 1;
    uint8_t text[MAX_TEXT];

    for (unsigned i = 0; i < (quick() ? 10000 : 100000); i++) {
        size_t readable = random_text(&state, text, 4 + below(&state, 200), i % 2);
        check_copy(text, readable - below(&state, readable + 1) / (1 + below(&state, 20)), readable, i % 64);
    }
    for (unsigned i = 0; i < 500; i++) {
        size_t readable = random_text(&state, text, MAX_TEXT, i % 2);
        check_copy(text, readable, readable, i % 64);
    }
}
END_TEST

START_TEST(random_bytes) {
    uint64_t state = 2;
    uint8_t text[300];

    for (unsigned i = 0; i < (quick() ? 10000 : 100000); i++) {
        uint8_t low = (uint8_t)(i % 4 ? 0 : 0x80);
        for (size_t k = 0; k < sizeof text; k++) {
            text[k] = (uint8_t)random_word(&state) | low;
        }
        size_t len = below(&state, 201);
        check_copy(text, len, len + below(&state, 70) / (1 + below(&state, 20)), i % 64);
    }
}
END_TEST

/* Each length, each alignment, and each number of readable bytes behind. */
START_TEST(lengths_and_alignments) {
    uint64_t state = 3;
    uint8_t text[MAX_TEXT];

    for (size_t len = 0; len <= 200; len++) {
        for (size_t shift = 0; shift < 64; shift += quick() ? 5 : 1) {
            random_text(&state, text, 300, true);
            check_copy(text, len, len + shift % 8, shift);
        }
    }
}
END_TEST

/* A character that begins before len and ends behind it has its class when it can be read, and is a bad byte when not.
 */
START_TEST(characters_that_cross_the_end) {
    const uint8_t text[] = "x\xF0\x9F\x98\x80\xE4\xB8\xAD\xC3\xA9";
    pm_class_word word;

    for (size_t len = 0; len <= sizeof text; len++) {
        for (size_t readable = len; readable <= sizeof text; readable++) {
            check_copy(text, len, readable, 0);
        }
    }
    pm_classes_portable(text, 6, 8, &word); /* ends behind the ideograph's first byte */
    ck_assert_uint_eq(word.letter, 0x20);
    ck_assert_uint_eq(word.inside, 0x1C);
    ck_assert_uint_eq(word.punct, 0x1E);
    pm_classes_portable(text, 6, 7, &word); /* the ideograph is cut off */
    ck_assert_uint_eq(word.letter, 0);
    ck_assert_uint_eq(word.punct, 0x3E);
}
END_TEST

Suite *suite_classes(void);
Suite *suite_classes(void) {
    Suite *suite = suite_create("classes");
    TCase *tcase = tcase_create("classes");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, each_code_point_alone_and_between_others);
    tcase_add_test(tcase, code_points_in_order);
    tcase_add_test(tcase, pairs_of_bytes);
    tcase_add_test(tcase, ill_formed_sequences);
    tcase_add_test(tcase, random_mixtures);
    tcase_add_test(tcase, random_bytes);
    tcase_add_test(tcase, lengths_and_alignments);
    tcase_add_test(tcase, characters_that_cross_the_end);
    suite_add_tcase(suite, tcase);
    return suite;
}
