/* test_starts.c - the search of starts (pretok/starts.h) against the scanner, which test_scan.c compares with regex
 * engines.
 *
 * Windows are made as small as they can be, so that everything meets their ends, and each version of the code runs that
 * this machine has. */
#include <stdio.h>
#include <string.h>

#include "../oracle/tricky.h"
#include "pretok/names.h"
#include "pretok/starts.h"
#include "support.h"

enum { N_PATTERNS = 7 };
static const char *const pattern_names[N_PATTERNS] = {"gpt2",   "cl100k_base", "qwen2",      "o200k_base",
                                                      "tekken", "kimi_k2",     "deepseek_v3"};

static pm_starts starts;

static void report(const pm_named_pattern *pattern, const uint8_t *text, size_t len, size_t at, size_t got,
                   size_t want) {
    fprintf(stderr, "%s, %s, window %zu, %zu bytes: the pre-token at %zu ends at %zu, not %zu:", pattern->name,
            pm_cpu_name(starts.cpu), starts.window, len, at, got, want);
    for (size_t i = at < 40 ? 0 : at - 40; i < len && i < at + 60; i++) {
        fprintf(stderr, "%s%02x", i == at ? " | " : " ", text[i]);
    }
    ck_abort_msg("%s differs", pattern->name);
}

/* The text as it lies, read in portions of `cap` ends. */
static void check_one(const pm_named_pattern *pattern, pm_cpu cpu, size_t window, size_t cap, const uint8_t *text,
                      size_t len) {
    size_t ends[256], at = 0, n;

    pm_starts_init(&starts, pattern->find, cpu);
    starts.window = window;
    pm_starts_begin(&starts, text, len);
    while ((n = pm_starts_next(&starts, ends, cap)) > 0) {
        for (size_t i = 0; i < n; i++) {
            size_t want = at < len ? pattern->scan(text, len, at) : 0;
            if (ends[i] != want) {
                report(pattern, text, len, at, ends[i], want);
            }
            at = want;
        }
    }
    if (at != len) {
        report(pattern, text, len, at, len, len);
    }
}

/* All processors' code, with windows of `window` bytes. */
static void check_window(int p, size_t window, size_t cap, const uint8_t *text, size_t len) {
    const pm_named_pattern *pattern = pm_named_pattern_find(pattern_names[p]);
    for (int cpu = 0; cpu < PM_N_CPUS; cpu++) {
        if (pm_cpu_has((pm_cpu)cpu)) {
            check_one(pattern, (pm_cpu)cpu, window, cap, text, len);
        }
    }
}

static void check_text(int p, const uint8_t *text, size_t len) {
    check_window(p, 64, 256, text, len);
    if (len > 64) {
        check_window(p, PM_WINDOW, 256, text, len);
    }
}

/* Several documents at once, each against the scanner alone. */
static void check_documents(int p, size_t window, size_t cap, const uint8_t *text, const size_t *document_ends, size_t n_documents) {
    const pm_named_pattern *pattern = pm_named_pattern_find(pattern_names[p]);
    for (int cpu = 0; cpu < PM_N_CPUS; cpu++) {
        size_t ends[256], n = 0, i = 0, begin = 0;
        if (!pm_cpu_has((pm_cpu)cpu)) {
            continue;
        }
        pm_starts_init(&starts, pattern->find, (pm_cpu)cpu);
        starts.window = window;
        pm_starts_begin_documents(&starts, text, document_ends, n_documents);
        for (size_t d = 0; d < n_documents; begin = document_ends[d++]) {
            size_t len = document_ends[d] - begin;
            for (size_t at = 0; at < len;) {
                size_t want = pattern->scan(text + begin, len, at);
                if (i == n) {
                    n = pm_starts_next(&starts, ends, cap);
                    i = 0;
                }
                if (n == 0 || ends[i] != begin + want) {
                    report(pattern, text, document_ends[n_documents - 1], begin + at, n ? ends[i] : 0, begin + want);
                }
                i++;
                at = want;
            }
        }
        if (i != n || pm_starts_next(&starts, ends, cap) != 0) {
            ck_abort_msg("%s gives more than there is", pattern->name);
        }
    }
}

static size_t append(uint8_t *out, size_t n, const char *s) {
    size_t len = strlen(s);
    memcpy(out + n, s, len);
    return n + len;
}

/* One or more characters of each class, in ASCII and beyond it. */
/* clang-format off */
static const char *const alphabet[] = {
    "a", "A", "'", "s", " ", "\n", "/", "1", ".", "\t", "\xCC\x81", "\xE4\xB8\xAD", "\xE3\x80\x80", "\xEF\xBC\x91",
    "\xE2\x80\x8C", "\xE3\x83\xBB"};
/* clang-format on */
enum { N_ALPHABET = sizeof alphabet / sizeof *alphabet };

/* Sequence number x of `length` characters. */
static size_t sequence(size_t x, unsigned length, uint8_t *out) {
    size_t n = 0;
    for (unsigned i = 0; i < length; i++, x /= N_ALPHABET) {
        n = append(out, n, alphabet[x % N_ALPHABET]);
    }
    return n;
}

/* All of up to four characters; PM_LONG=1: five. */
START_TEST(all_short_sequences) {
    const char *more = getenv("PM_LONG");
    unsigned longest = more && strcmp(more, "1") == 0 ? 5 : quick() ? 2 : 4;
    size_t number = 1;
    for (unsigned length = 1; length <= longest; length++) {
        number *= N_ALPHABET;
        for (size_t x = 0; x < number; x++) {
            uint8_t text[32];
            check_text(_i, text, sequence(x, length, text));
        }
    }
}
END_TEST

/* All triples at each place around the end of a word, between texts that go on in them. */
START_TEST(triples_across_the_ends_of_words_and_windows) {
    static const char *const fills[] = {"a", "a ", "A", "1", " ", "\n ", ". ", "\xE4\xB8\xAD", "\xCC\x81"};
    enum { N_FILLS = sizeof fills / sizeof *fills };
    size_t number = (size_t)N_ALPHABET * N_ALPHABET * N_ALPHABET;
    uint64_t state = 5;
    for (size_t x = 0; x < number; x += quick() ? 41 : 1) {
        for (size_t begin = 52; begin < 68; begin++) {
            uint8_t text[256];
            const char *fill = fills[random_word(&state) % N_FILLS];
            size_t n = 0, behind = random_word(&state) % 80;
            while (n + strlen(fill) <= begin) {
                n = append(text, n, fill);
            }
            n += sequence(x, 3, text + n);
            fill = fills[random_word(&state) % N_FILLS];
            for (size_t end = n + behind; n + strlen(fill) <= end;) {
                n = append(text, n, fill);
            }
            check_text(_i, text, n);
        }
    }
}
END_TEST

/* A random text of tricky characters, often of few of them, some repeated. */
static size_t random_text(uint64_t *state, uint8_t *text, size_t room) {
    size_t length = 1 + random_word(state) % (random_word(state) % 4 == 0 ? 300 : 50), n = 0;
    uint32_t few[6];
    bool from_few = random_word(state) % 2 == 0;
    for (size_t i = 0; i < 6; i++) {
        few[i] = (uint32_t)random_word(state) % TRICKY_N;
    }
    for (size_t i = 0; i < length; i++) {
        uint32_t number = from_few ? few[random_word(state) % 6] : (uint32_t)random_word(state) % TRICKY_N;
        size_t times = random_word(state) % 12 == 0 ? 1 + random_word(state) % 90 : 1;
        while (times-- > 0 && n + TRICKY_MAX_LENGTH <= room) {
            n += tricky_write(number, text + n);
        }
    }
    return n;
}

/* Windows of all sizes, portions of all sizes, texts in memory of their exact size. */
START_TEST(random_texts) {
    uint64_t state = 1 + (uint64_t)_i;
    for (int i = 0; i < (quick() ? 500 : 20000); i++) {
        uint8_t text[6000];
        size_t n = random_text(&state, text, sizeof text);
        uint8_t *exact = pm_alloc(n, 1);
        if (!exact) {
            ck_abort_msg("no memory");
        }
        memcpy(exact, text, n);
        check_window(_i, 64 + random_word(&state) % 200, 1 + random_word(&state) % 256, exact, n);
        check_window(_i, PM_WINDOW, 1 + random_word(&state) % 256, exact, n);
        pm_free(exact);
    }
}
END_TEST

/* All of up to three characters as documents, in several orders, among them empty ones. */
START_TEST(short_documents) {
    enum { DOCUMENTS = 5000 };
    static uint8_t text[DOCUMENTS * 12 + 4200];
    static size_t ends[DOCUMENTS];
    uint64_t state = 3;
    for (unsigned round = 0; round < (quick() ? 1 : 8); round++) {
        size_t n = 0;
        for (size_t d = 0; d < DOCUMENTS; d++) {
            size_t x = round ? random_word(&state) : d;
            n += sequence(x / 4, x % 4 ? (unsigned)(x % 4) : round > 2, text + n);
            if (d == 1000 && round > 4) { /* one that has the window for itself, or not quite */
                for (size_t k = 0; k < 4080 + 4 * round; k++) {
                    text[n++] = k % 5 ? 'a' : ' ';
                }
            }
            ends[d] = n;
        }
        check_documents(_i, PM_WINDOW, 256, text, ends, DOCUMENTS);
        check_documents(_i, 64 + random_word(&state) % 200, 1 + random_word(&state) % 256, text, ends, DOCUMENTS);
    }
}
END_TEST

/* Documents of all lengths, in memory of their exact size. */
START_TEST(random_documents) {
    uint64_t state = 100 + (uint64_t)_i;
    for (int i = 0; i < (quick() ? 100 : 1500); i++) {
        uint8_t text[20000];
        size_t ends[50], n = 0, documents = random_word(&state) % 50;
        for (size_t d = 0; d < documents; d++) {
            n += random_word(&state) % 5 ? random_text(&state, text + n, random_word(&state) % 300 + TRICKY_MAX_LENGTH) : 0;
            ends[d] = n;
        }
        uint8_t *exact = pm_alloc(n, 1);
        if (!exact) {
            ck_abort_msg("no memory");
        }
        memcpy(exact, text, n);
        check_documents(_i, 64 + random_word(&state) % 200, 1 + random_word(&state) % 256, exact, ends, documents);
        check_documents(_i, PM_WINDOW, 256, exact, ends, documents);
        pm_free(exact);
    }
}
END_TEST

/* Every code point, each behind something else. */
START_TEST(every_code_point) {
    static const char *const between[] = {"", " ", "a", "\n", "'", "1", "!", "A", "\xE4\xB8\xAD", "\xCC\x81", "'s"};
    enum { N_BETWEEN = sizeof between / sizeof *between };
    uint8_t text[64 * 8];
    for (size_t shift = 0; shift < N_BETWEEN; shift++) {
        for (uint32_t first = 0; first < 0x110000; first += quick() ? 13 * 64 : 64) {
            size_t n = 0;
            for (uint32_t cp = first; cp < first + 64; cp++) {
                n = append(text, n, between[(cp * 7 + first / 64 + shift) % N_BETWEEN]);
                n += pm_utf8_write(cp, text + n); /* surrogates are bad bytes */
            }
            check_window(_i, first % 128 ? PM_WINDOW : 64, 256, text, n);
        }
    }
}
END_TEST

/* Prose and code, whole and in short documents. */
START_TEST(samples) {
    static const char *const files[] = {"corpora/en.txt", "corpora/zh.txt", "corpora/code.txt", "corpora/mixed.txt"};
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        pm_buf file = read_file(source_path(files[f]));
        uint64_t state = f;
        check_window(_i, PM_WINDOW, 256, file.data, file.len);
        check_window(_i, 100, 77, file.data, file.len);
        for (size_t at = 0; at < file.len;) {
            size_t n = random_word(&state) % 300;
            n = n < file.len - at ? n : file.len - at;
            check_window(_i, PM_WINDOW, 256, file.data + at, n);
            at += n + 1;
        }
        pm_buf_release(&file);
    }
}
END_TEST

/* A megabyte of one thing: looked at again with each window it would take hours. */
START_TEST(long_runs_take_linear_time) {
    /* clang-format off */
    static const char *const units[] = {
        " ", "\n", "a", "A", "1", "'", "!", "/", "\x01", "\xFF", "\xCC\x81", "中", "中A", "あ", "・", "\xE3\x80\x80",
        "\xEF\xBC\x91", "\xCC\x81\x41", "'s", "\xE2\x9D\xA4\xEF\xB8\x8F", "\n "};
    /* clang-format on */
    static const char *const around[] = {"\n", "中", "\xCC\x81", "a", "!", "'", " ", "1"};
    enum { N_AROUND = sizeof around / sizeof *around };
    const size_t LEN = quick() ? 1 << 12 : 1 << 20;
    uint8_t *text = pm_alloc(LEN + 64, 1);
    ck_assert_ptr_nonnull(text);
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        for (size_t run = 4000; run <= LEN; run *= 16) {
            size_t n = 0;
            for (size_t k = u; n < LEN; k++) {
                n = append(text, n, around[k % N_AROUND]);
                n = append(text, n, around[k / N_AROUND % N_AROUND]);
                for (size_t end = n + run < LEN ? n + run : LEN; n < end;) {
                    n = append(text, n, units[u]);
                }
            }
            check_window(_i, PM_WINDOW, 256, text, n);
        }
    }
    pm_free(text);
}
END_TEST

/* What is common must not take the scanner. */
START_TEST(hard_places_are_rare) {
    static const char *const easy =
        "It's what they'll say, isn't it? \"Don't!\" -- 12345 times\n\n    if (x != y) { // why\n"
        "你好，世界。使用API接口和Python语言 iPhone手机\n\n\xE3\x80\x80\xE3\x80\x80"
        "हिन्दी में लिखना ภาษาไทยที่ Việt Nam żółć\n";
    pm_starts_init(&starts, pm_named_pattern_find(pattern_names[_i])->find, PM_CPU_PORTABLE);
    pm_starts_begin(&starts, (const uint8_t *)easy, strlen(easy));
    size_t ends[256];
    ck_assert_uint_gt(pm_starts_next(&starts, ends, 256), 40);
    ck_assert_uint_eq(starts.n_hard, 0);
}
END_TEST

START_TEST(nothing_and_no_room) {
    size_t ends[2] = {7, 7};
    pm_starts_init(&starts, pm_named_pattern_find(pattern_names[_i])->find, PM_CPU_PORTABLE);
    pm_starts_begin(&starts, NULL, 0);
    ck_assert_uint_eq(pm_starts_next(&starts, ends, 2), 0);
    pm_starts_begin(&starts, (const uint8_t *)"ab", 2);
    ck_assert_uint_eq(pm_starts_next(&starts, ends, 0), 0);
    ck_assert_uint_eq(pm_starts_next(&starts, ends, 1), 1);
    ck_assert_uint_eq(ends[0], 2);
    ck_assert_uint_eq(pm_starts_next(&starts, ends, 2), 0);
    ck_assert_uint_eq(ends[1], 7);
}
END_TEST

Suite *suite_starts(void);
Suite *suite_starts(void) {
    Suite *suite = suite_create("starts");
    TCase *tcase = tcase_create("starts");
    tcase_set_timeout(tcase, 0);
    tcase_add_loop_test(tcase, all_short_sequences, 0, N_PATTERNS);
    tcase_add_loop_test(tcase, triples_across_the_ends_of_words_and_windows, 0, N_PATTERNS);
    tcase_add_loop_test(tcase, short_documents, 0, N_PATTERNS);
    tcase_add_loop_test(tcase, random_documents, 0, N_PATTERNS);
    tcase_add_loop_test(tcase, random_texts, 0, N_PATTERNS);
    tcase_add_loop_test(tcase, every_code_point, 0, N_PATTERNS);
    tcase_add_loop_test(tcase, samples, 0, N_PATTERNS);
    tcase_add_loop_test(tcase, long_runs_take_linear_time, 0, N_PATTERNS);
    tcase_add_loop_test(tcase, hard_places_are_rare, 0, N_PATTERNS);
    tcase_add_loop_test(tcase, nothing_and_no_room, 0, N_PATTERNS);
    suite_add_tcase(suite, tcase);
    return suite;
}
