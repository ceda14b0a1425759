/* fuzz_regex.c - libFuzzer entry: the first line is a pattern, the rest a text. No input may crash, hang or leave text
 * uncovered; and what comes out equals plain PCRE2 on the translated pattern, searched without anchors, windows and
 * budgets. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "pretok/dialect.h"
#include "pretok/split.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LONGEST = 4096 };

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            __builtin_trap();                                                                                          \
        }                                                                                                              \
    } while (0)

static size_t split(const pm_splitter *splitter, const uint8_t *text, size_t len, size_t *ends, pm_status *status) {
    pm_error err;
    pm_split_scratch *scratch;
    size_t n = 0, m = 0;

    *status = pm_split_scratch_new(&scratch, splitter, &err);
    REQUIRE(*status == PM_OK);
    pm_split_begin(scratch, text, len);
    do {
        *status = pm_split_next(scratch, ends + n, 7, &m, &err);
        n += m;
    } while (*status == PM_OK && m);
    REQUIRE(*status == PM_OK || (*status == PM_LIMIT && err.offset < len));
    pm_split_scratch_free(scratch);
    return n;
}

static bool is_utf8(const uint8_t *text, size_t len) {
    for (size_t pos = 0; pos < len;) {
        unsigned n;
        if (pm_utf8_read(text + pos, text + len, &n) == PM_BAD_BYTE && n == 1) {
            return false;
        }
        pos += n;
    }
    return true;
}

/* The twin; false when plain PCRE2 gives up. */
static bool twin(const char *regex, const uint8_t *text, size_t len, size_t *ends, size_t *n_ends) {
    pm_dialect d = {0};
    pm_error err;
    int error, rc = 0;
    PCRE2_SIZE at;
    size_t n = 0, begin = 0, from = 0;

    REQUIRE(pm_dialect_translate(&d, regex, PM_FLAVOR_COMMON, &err) == PM_OK);
    pcre2_code *code = pcre2_compile(d.text.data ? d.text.data : (PCRE2_SPTR) "", d.text.len,
                                     PCRE2_UTF | PCRE2_DOLLAR_ENDONLY, &error, &at, NULL);
    REQUIRE(code);
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(context, 100000);
    while (from < len && (rc = pcre2_match(code, text, len, from, 0, match, context)) >= 0) {
        PCRE2_SIZE *m = pcre2_get_ovector_pointer(match);
        unsigned step;
        if (m[0] >= len) {
            break;
        }
        if (m[0] > begin) {
            ends[n++] = begin = m[0];
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
    *n_ends = n;
    pcre2_match_data_free(match);
    pcre2_match_context_free(context);
    pcre2_code_free(code);
    pm_dialect_release(&d);
    return rc >= 0 || rc == PCRE2_ERROR_NOMATCH;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    size_t ends[LONGEST + 8], wanted[LONGEST + 8], n_wanted;
    pm_splitter *splitter;
    pm_error err;
    char regex[512];

    if (!line || size > LONGEST || (size_t)(line - data) >= sizeof regex) {
        return 0;
    }
    size_t regex_len = (size_t)(line - data), len = size - regex_len - 1;
    memcpy(regex, data, regex_len);
    regex[regex_len] = '\0';
    regex_len = strlen(regex);
    const char *patterns[] = {regex};
    const uint8_t *text = line + 1;
    pm_status status = pm_splitter_new(&splitter, patterns, 1, &err);
    if (status != PM_OK) {
        REQUIRE(status == PM_BAD_PATTERN && err.offset <= regex_len);
        return 0;
    }
    size_t n = split(splitter, text, len, ends, &status);
    for (size_t i = 0; i < n; i++) {
        REQUIRE(ends[i] > (i ? ends[i - 1] : 0) && ends[i] <= len);
    }
    REQUIRE(status != PM_OK || len == 0 || ends[n - 1] == len);
    if (status == PM_OK && pm_splitter_n_regexes(splitter) == 1 && pm_splitter_name(splitter)[0] == '\0' &&
        is_utf8(text, len) && twin(regex, text, len, wanted, &n_wanted)) {
        REQUIRE(n == n_wanted && memcmp(ends, wanted, n * sizeof *ends) == 0);
    }
    pm_splitter_free(splitter);
    return 0;
}
