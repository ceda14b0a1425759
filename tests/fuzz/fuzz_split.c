/* fuzz_split.c - the scanners of the named patterns against the slow twin and PCRE2, and the search of starts against
 * the scanners, on the input's bytes as they are and on the text that its bytes spell in the alphabet of tricky
 * characters. A scanner must also look at the rest of the text only: each is run on a copy of it. */
#include <stdio.h>

#include "../oracle/split_regex.h"
#include "../oracle/tricky.h"
#include "pretok/names.h"
#include "pretok/split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_SCANNERS = 10, MAX_INPUT = 1024, MAX_TEXT = MAX_INPUT * TRICKY_MAX_LENGTH };
static const char *const names[N_SCANNERS] = {"gpt2",    "cl100k_base", "qwen2",    "o200k_base", "tekken",
                                              "kimi_k2", "deepseek_v3", "superbpe", "scripts",
                                              "sentencepiece"};

static void differ(int p, const char *way, size_t at) {
    fprintf(stderr, "%s: the scanner and %s differ at %zu\n", names[p], way, at);
    abort();
}

static size_t by_oracle(int p, const uint8_t *text, size_t len, size_t *ends) {
    static oracle_regex *regexes[N_SCANNERS][4];
    static size_t n[N_SCANNERS];
    const pm_named_pattern *pattern = pm_named_pattern_find(names[p]);
    while (pattern->regexes[n[p]]) {
        regexes[p][n[p]] = oracle_regex_new(pattern->regexes[n[p]]);
        n[p]++;
    }
    return oracle_split(regexes[p], n[p], text, len, ends);
}

static size_t by_pcre2(int p, const uint8_t *text, size_t len, size_t *ends) {
#ifdef PM_HAVE_PCRE2
    static pm_splitter *splitters[N_SCANNERS];
    static pm_split_scratch *scratches[N_SCANNERS];
    size_t n = 0, more = 1;
    if (!scratches[p] && (pm_splitter_new_regex(&splitters[p], &names[p], 1, NULL) != PM_OK ||
                          pm_split_scratch_new(&scratches[p], splitters[p], NULL) != PM_OK)) {
        abort();
    }
    pm_split_begin(scratches[p], text, len);
    while (more > 0 && n < len) {
        if (pm_split_next(scratches[p], ends + n, len - n, &more, NULL) != PM_OK) {
            abort();
        }
        n += more;
    }
    return n;
#else
    return by_oracle(p, text, len, ends);
#endif
}

/* Splits a copy without a byte to spare, each pre-token from a text that begins with it. */
static size_t by_scanner(int p, const uint8_t *text, size_t len, size_t *ends) {
    pm_scan_fn scan = pm_named_pattern_find(names[p])->scan;
    size_t n = 0;
    for (size_t pos = 0; pos < len; n++) {
        uint8_t *rest = oracle_check(malloc(len - pos));
        memcpy(rest, text + pos, len - pos);
        size_t end = scan(text, len, pos);
        if (end <= pos || end > len || pos + scan(rest, len - pos, 0) != end) {
            differ(p, "the scanner on the rest", pos);
        }
        free(rest);
        ends[n] = pos = end;
    }
    return n;
}

/* The search of starts, with smallest and with usual windows, must end pre-tokens where the scanner does. */
static void check_starts(int p, pm_cpu cpu, const uint8_t *text, size_t len, const size_t *want, size_t n) {
    static pm_starts starts;
    static size_t got[MAX_TEXT + 1];
    for (size_t window = 64; window <= PM_WINDOW; window *= PM_WINDOW / 64) {
        pm_starts_init(&starts, pm_named_pattern_find(names[p])->find, cpu);
        starts.window = window;
        pm_starts_begin(&starts, text, len);
        size_t n_got = pm_starts_next(&starts, got, MAX_TEXT + 1);
        for (size_t i = 0; i < n || i < n_got; i++) {
            if (i >= n || i >= n_got || got[i] != want[i]) {
                differ(p, "the search of starts", i < n ? want[i] : len);
            }
        }
    }
}

/* The lines as documents, at once: each as the scanner splits it alone. */
static void check_documents(int p, pm_cpu cpu, const uint8_t *text, size_t len) {
    static pm_starts starts;
    static size_t got[MAX_TEXT + 1], ends[MAX_TEXT + 1];
    const pm_named_pattern *pattern = pm_named_pattern_find(names[p]);
    size_t lines = 0, n = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n' || i + 1 == len) {
            ends[lines++] = i + 1;
        }
    }
    pm_starts_init(&starts, pattern->find, cpu);
    pm_starts_begin_documents(&starts, text, ends, lines);
    size_t n_got = pm_starts_next(&starts, got, MAX_TEXT + 1);
    for (size_t d = 0, begin = 0; d < lines; begin = ends[d++]) {
        for (size_t at = 0; at < ends[d] - begin; n++) {
            at = pattern->scan(text + begin, ends[d] - begin, at);
            if (n >= n_got || got[n] != begin + at) {
                differ(p, "the search of starts in documents", begin + at);
            }
        }
    }
    if (n != n_got) {
        differ(p, "the number of starts in documents", n);
    }
}

static void compare(const uint8_t *text, size_t len) {
    static size_t got[MAX_TEXT], want[2][MAX_TEXT];
    static const char *const ways[2] = {"the oracle", "PCRE2"};
    for (int p = 0; p < N_SCANNERS; p++) {
        size_t n = by_scanner(p, text, len, got);
        for (int cpu = 0; cpu < PM_N_CPUS; cpu++) {
            if (pm_cpu_has((pm_cpu)cpu) && pm_named_pattern_find(names[p])->find) {
                check_starts(p, (pm_cpu)cpu, text, len, got, n);
                check_documents(p, (pm_cpu)cpu, text, len);
            }
        }
        size_t n_want[2] = {by_oracle(p, text, len, want[0]), by_pcre2(p, text, len, want[1])};
        for (int w = 0; w < 2; w++) {
            for (size_t i = 0; i < n || i < n_want[w]; i++) {
                if (i >= n || i >= n_want[w] || got[i] != want[w][i]) {
                    differ(p, ways[w], i < n ? got[i] : len);
                }
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t text[MAX_TEXT];
    size_t n = 0;
    size = size < MAX_INPUT ? size : MAX_INPUT;
    compare(data, size);
    for (size_t i = 0; i < size; i++) {
        n += tricky_write(data[i], text + n);
    }
    compare(text, n);
    return 0;
}
