/* test_transcode.c - texts in other forms than UTF-8: each way of converting against the twin. */
#include <stdlib.h>

#include "support.h"
#include "transcode.h"

static const pm_text_form forms[] = {PM_TEXT_LATIN1, PM_TEXT_UCS2, PM_TEXT_UTF16, PM_TEXT_UTF32};
enum { N_FORMS = sizeof forms / sizeof *forms };

/* A text of its own memory, which ends where the text does and begins `shift` bytes behind an aligned place. */
typedef struct sample {
    uint8_t *memory;
    pm_text text;
} sample;

static sample sample_new(pm_text_form form, const uint32_t *units, size_t n, size_t shift) {
    unsigned width = oracle_unit_bytes(form);
    sample s = {malloc(n * width + shift + 1), {NULL, n, form}};
    ck_assert_ptr_nonnull(s.memory);
    s.memory = realloc(s.memory, n * width + shift ? n * width + shift : 1);
    for (size_t i = 0; i < n; i++) {
        uint16_t two = (uint16_t)units[i];
        uint8_t one = (uint8_t)units[i];
        memcpy(s.memory + shift + i * width, width == 1 ? (void *)&one : width == 2 ? (void *)&two : (void *)&units[i], width);
    }
    s.text.data = s.memory + shift;
    return s;
}

static void compare(pm_cpu cpu, pm_text text, size_t cap) {
    if (!pm_cpu_has(cpu)) {
        return;
    }
    uint8_t *wanted = malloc(cap + 1), *out = malloc(cap ? cap : 1);
    pm_transcoded w = oracle_transcode(text, wanted, cap), t = pm_transcode(cpu, text, out, cap);
    ck_assert_msg(w.read == t.read && w.written == t.written && w.bad == t.bad,
                  "%s, form %d: %zu units, room for %zu: read %zu, written %zu, bad %d instead of %zu, %zu, %d", pm_cpu_name(cpu),
                  (int)text.form, text.len, cap, t.read, t.written, t.bad, w.read, w.written, w.bad);
    ck_assert_mem_eq(out, wanted, t.written);
    free(wanted);
    free(out);
}

/* With ample room, with exactly enough, and with less. */
static void compare_all(pm_text text, uint64_t *state) {
    uint8_t *out = malloc(4 * text.len + PM_TRANSCODE_SLACK);
    size_t need = oracle_transcode(text, out, 4 * text.len).written;
    free(out);
    for (pm_cpu cpu = PM_CPU_PORTABLE; cpu < PM_N_CPUS; cpu++) {
        compare(cpu, text, pm_transcode_bound(text) + PM_TRANSCODE_SLACK);
        compare(cpu, text, need);
        compare(cpu, text, need ? need - 1 : 0);
        compare(cpu, text, random_word(state) % (need + 1));
    }
}

/* A unit of a text in which kinds of characters change as they do in real ones, some of them rarely. */
static uint32_t random_unit(unsigned kind, uint64_t *state) {
    static const uint32_t edges[] = {0,      0x7F,   0x80,   0xFF,   0x100,  0x7FF,    0x800,    0xD7FF,     0xD800,     0xDBFF,     0xDC00,
                                     0xDFFF, 0xE000, 0xFFFD, 0xFFFF, 0x10000, 0x10FFFF, 0x110000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    uint32_t r = (uint32_t)random_word(state);
    switch (kind) {
    case 0: return r % 0x80;
    case 1: return 0x80 + r % 0x780;
    case 2: return 0x4E00 + r % 0x5000;
    case 3: return 0x1F300 + r % 0x200;
    case 4: return r % 2 ? 0xD800 + r / 2 % 0x400 : 0xDC00 + r / 2 % 0x400;
    case 5: return edges[r % (sizeof edges / sizeof *edges)];
    default: return r % 5 ? 'a' : r / 5 % 0xD800;
    }
}

static void random_units(uint32_t *units, size_t n, pm_text_form form, uint64_t *state) {
    unsigned kind = 0;
    bool errors = random_word(state) % 4 == 0;
    for (size_t i = 0; i < n; i++) {
        if (random_word(state) % 12 == 0) {
            kind = (unsigned)random_word(state) % 7;
            kind = !errors && (kind == 4 || kind == 5) ? 2 : kind;
            kind = form != PM_TEXT_UTF32 && !errors && kind == 3 ? 1 : kind;
        }
        units[i] = random_unit(kind, state);
        if (form == PM_TEXT_UTF16 && kind == 4 && i > 0 && random_word(state) % 4) { /* mostly whole pairs */
            units[i - 1] = 0xD800 + units[i] % 0x400;
            units[i] = 0xDC00 + units[i] / 3 % 0x400;
        }
    }
}

START_TEST(each_way_equals_the_twin) {
    uint64_t state = (uint64_t)_i + 1;
    uint32_t units[3000];
    for (size_t n = 0; n <= 200; n++) {
        for (size_t f = 0; f < N_FORMS; f++) {
            random_units(units, n, forms[f], &state);
            sample s = sample_new(forms[f], units, n, random_word(&state) % 9);
            compare_all(s.text, &state);
            free(s.memory);
        }
    }
    for (size_t f = 0; f < N_FORMS; f++) {
        random_units(units, 3000, forms[f], &state);
        sample s = sample_new(forms[f], units, 3000, 1);
        compare_all(s.text, &state);
        free(s.memory);
    }
}
END_TEST

/* Each unit at each place of a block, among neighbours of each length. */
START_TEST(every_unit) {
    uint64_t state = 5;
    uint32_t units[33];
    for (uint32_t c = 0; c <= 0x110100; c += quick() ? 97 : c < 0x11000 ? 1 : 37) {
        for (size_t i = 0; i < 33; i++) {
            units[i] = random_unit((c + (uint32_t)i / 8) % 4, &state) & (c % 3 ? UINT32_MAX : 0xFF);
        }
        units[c % 33] = c;
        for (size_t f = 0; f < N_FORMS; f++) {
            sample s = sample_new(forms[f], units, 33, 0);
            for (pm_cpu cpu = PM_CPU_PORTABLE; cpu < PM_N_CPUS; cpu++) {
                compare(cpu, s.text, 33 * 4 + PM_TRANSCODE_SLACK);
            }
            free(s.memory);
        }
    }
}
END_TEST

START_TEST(a_text_is_written_measured_and_refused) {
    pm_error err = {0};
    uint16_t pair[] = {'a', 0xD83D, 0xDE00, 0x4E2D}, lone[] = {'a', 'b', 0xDC00};
    uint32_t far[] = {'a', 0x110000};
    uint8_t out[16];
    size_t n;
    assert_ok(pm_text_to_utf8((pm_text){pair, 4, PM_TEXT_UTF16}, out, sizeof out, &n, &err));
    ck_assert_uint_eq(n, 8);
    ck_assert_mem_eq(out, "a\xF0\x9F\x98\x80\xE4\xB8\xAD", 8);
    assert_ok(pm_text_to_utf8((pm_text){pair, 4, PM_TEXT_UTF16}, NULL, 0, &n, &err));
    ck_assert_uint_eq(n, 8);
    assert_fails(pm_text_to_utf8((pm_text){pair, 4, PM_TEXT_UTF16}, out, 7, &n, &err), PM_NO_SPACE, "8 bytes");
    ck_assert_uint_eq(n, 8);
    assert_ok(pm_text_to_utf8((pm_text){pair, 4, PM_TEXT_UTF16}, out, 8, &n, &err));
    assert_fails(pm_text_to_utf8((pm_text){pair, 4, PM_TEXT_UCS2}, out, sizeof out, &n, &err), PM_BAD_INPUT, "U+D83D");
    ck_assert_uint_eq(err.offset, 1);
    ck_assert_uint_eq(n, 0);
    assert_fails(pm_text_to_utf8((pm_text){lone, 3, PM_TEXT_UTF16}, out, 1, &n, &err), PM_BAD_INPUT, "surrogate");
    ck_assert_uint_eq(err.offset, 2);
    assert_fails(pm_text_to_utf8((pm_text){far, 2, PM_TEXT_UTF32}, NULL, 0, &n, &err), PM_BAD_INPUT, "no code point");
    assert_fails(pm_text_to_utf8((pm_text){far, 2, (pm_text_form)7}, NULL, 0, &n, &err), PM_INVALID_ARGUMENT, "form");
    assert_ok(pm_text_to_utf8((pm_text){NULL, 0, PM_TEXT_UTF32}, NULL, 0, &n, &err));
    assert_ok(pm_text_to_utf8((pm_text){"a\xff", 2, PM_TEXT_UTF8}, out, 2, &n, &err));
    ck_assert_mem_eq(out, "a\xff", 2);
    assert_fails(pm_text_to_utf8((pm_text){"a\xff", 2, PM_TEXT_UTF8}, out, 1, &n, &err), PM_NO_SPACE, "2 bytes");
    ck_assert_uint_eq(pm_transcode_bound((pm_text){"", SIZE_MAX / 2, PM_TEXT_UTF32}), SIZE_MAX);
}
END_TEST

Suite *suite_transcode(void) {
    Suite *suite = suite_create("transcode");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, each_way_equals_the_twin, 0, quick() ? 2 : 20);
    tcase_add_test(all, every_unit);
    tcase_add_test(all, a_text_is_written_measured_and_refused);
    suite_add_tcase(suite, all);
    return suite;
}
