/* jsonl.c - one pass over a line of JSON that checks all of it and keeps one string.
 *
 * A corpus of JSONL is read for one field of each line; the rest (urls, dates, scores) is thrown away. A parser that builds what it
 * reads spends its time on that rest, so this one builds nothing: it walks the line with a stack of one bit for each open bracket,
 * remembers where the value of the wanted top-level field lies, and decodes that alone at the end of the line.
 *
 *     {"id": [1, {"text": "no"}], "t\u0065xt": "a\tb"}
 *      depth 1: key "id"     a value that is not ours: brackets are pushed and popped, "text" at depth 3 is not looked at
 *      depth 1: key "text"   its escape is decoded to compare it; the value's place is kept
 *      end of line           a, tab, b are appended
 *
 * What is JSON here is what Python's json.loads takes for the same line (a fuzzer compares): RFC 8259, besides NaN, Infinity and
 * -Infinity, which Python writes; of equal keys the last counts. Two things differ on purpose: half a surrogate pair in the wanted value is an error, because
 * it cannot become UTF-8 (in other strings nobody needs it to), and bytes that are no UTF-8 are kept, as everywhere in this library.
 *
 * Strings are passed eight bytes at a time; a bracket costs a bit, so nesting is limited by memory only. */
#include "corpus/jsonl.h"

#include "text/utf8.h"

enum { POLL_BYTES = 1 << 20 };

typedef struct scan {
    pm_jsonl *j;
    const uint8_t *line;
    size_t len, at;
    size_t depth;
    pm_error *err;
    bool ours;               /* the value that comes next belongs to the wanted field */
    bool found, is_string;   /* the wanted field was seen; its last value is a string */
    size_t value, value_end; /* that value: within the quotes */
    bool value_escaped;
    size_t fence;            /* the end, or in a long line where the ticker is looked at next */
    pm_status stopped;       /* what it said: the line ends where we are then, and *err is not to be changed */
} scan;

typedef enum step { STEP_VALUE, STEP_KEY, STEP_AFTER, STEP_DONE } step;

void pm_jsonl_init(pm_jsonl *j, const char *field) { *j = (pm_jsonl){.field = field, .field_len = strlen(field)}; }

void pm_jsonl_release(pm_jsonl *j) {
    pm_buf_release(&j->stack);
    pm_buf_release(&j->key);
}

static size_t next_fence(const scan *s) { return s->len - s->at < POLL_BYTES ? s->len : s->at + POLL_BYTES; }

/* Every loop over the line comes by here when it is at the fence or past it. False: the line ends. */
static __attribute__((noinline, cold)) bool pass_fence(scan *s) {
    if (s->fence == s->len) {
        return false;
    }
    if (s->j->ticker) {
        s->stopped = pm_ticker_poll(s->j->ticker, 0, s->err);
        s->len = s->stopped == PM_OK ? s->len : s->at;
    }
    s->fence = next_fence(s);
    return s->at < s->len;
}

static pm_status wrong(const scan *s, size_t at, const char *what) {
    if (s->stopped != PM_OK) {
        return s->stopped;
    }
    return pm_fail_at(s->err, PM_BAD_INPUT, at, "not JSON: %s", at < s->len ? what : "the line ends too early");
}

static void skip_space(scan *s) {
    while (s->at < s->fence || pass_fence(s)) {
        uint8_t c = s->line[s->at];
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
            break;
        }
        s->at++;
    }
}

static bool next_is(const scan *s, uint8_t c) { return s->at < s->len && s->line[s->at] == c; }

/* ---------------------------------------------------------------- strings ---- */

static uint64_t load_word(const uint8_t *p) {
    uint64_t w;
    memcpy(&w, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    return w;
}

/* The first of '"', '\\' and the control characters in p .. end. A byte's top bit in `hits` says that it is one; carries can make
 * false hits above a true one only, and the lowest is what is asked for. */
static const uint8_t *find_end_of_plain(const uint8_t *p, const uint8_t *end) {
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    for (; end - p >= 8; p += 8) {
        uint64_t w = load_word(p), quote = w ^ ones * '"', slash = w ^ ones * '\\';
        uint64_t hits = (((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & tops;
        if (hits) {
            return p + (__builtin_ctzll(hits) >> 3);
        }
    }
    while (p < end && *p >= 0x20 && *p != '"' && *p != '\\') {
        p++;
    }
    return p;
}

/* The value of a hexadecimal digit and 16; 0 for anything else. */
static const uint8_t hex_value[256] = {
    ['0'] = 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, ['A'] = 26, 27, 28, 29, 30, 31, ['a'] = 26, 27, 28, 29, 30, 31,
};

/* What an escape of one letter stands for, 0: nothing. */
static const uint8_t escape_value[256] = {
    ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t',
};

/* Four hexadecimal digits; above 0xFFFF when one of them is none. */
static uint32_t hex4(const uint8_t *p) {
    uint32_t a = hex_value[p[0]], b = hex_value[p[1]], c = hex_value[p[2]], d = hex_value[p[3]];
    return (a & b & c & d & 16) ? (a & 15) << 12 | (b & 15) << 8 | (c & 15) << 4 | (d & 15) : UINT32_MAX;
}

/* Passes an escape, s->at at its backslash. */
static pm_status pass_escape(scan *s) {
    const uint8_t *p = s->line + s->at;
    size_t left = s->len - s->at;
    if (left >= 2 && escape_value[p[1]]) {
        s->at += 2;
        return PM_OK;
    }
    if (left >= 6 && p[1] == 'u' && hex4(p + 2) <= 0xFFFF) {
        s->at += 6;
        return PM_OK;
    }
    if (left < 2 || p[1] != 'u') {
        return wrong(s, left < 2 ? s->len : s->at, "unknown escape in a string");
    }
    for (s->at += 2; s->at < s->len && hex_value[s->line[s->at]]; s->at++) {
    }
    return wrong(s, s->at, "expected four hexadecimal digits after \\u");
}

/* Passes a string, s->at at its first quote: line[*start .. *end) is what stands between the quotes. */
static pm_status pass_string(scan *s, size_t *start, size_t *end, bool *escaped) {
    *start = ++s->at;
    *escaped = false;
    for (;;) {
        s->at = (size_t)(find_end_of_plain(s->line + s->at, s->line + s->fence) - s->line);
        if (s->at >= s->fence) {
            if (!pass_fence(s)) {
                return wrong(s, s->at, "");
            }
            continue;
        }
        uint8_t c = s->line[s->at];
        if (c == '"') {
            *end = s->at++;
            return PM_OK;
        }
        if (c != '\\') {
            return wrong(s, s->at, "a control character in a string must be escaped");
        }
        *escaped = true;
        do { /* where one escape is, there are often more */
            PM_TRY(pass_escape(s));
        } while (s->at < s->fence && s->line[s->at] == '\\');
    }
}

/* Decodes the escape at p (known to be good) into out: returns its length in the line, *n that of its UTF-8; *n is 0 for half a
 * surrogate pair. */
static size_t decode_escape(const uint8_t *p, const uint8_t *end, uint8_t out[4], unsigned *n) {
    if (p[1] != 'u') {
        out[0] = escape_value[p[1]];
        *n = 1;
        return 2;
    }
    uint32_t cp = hex4(p + 2);
    if ((cp & 0xF800) != 0xD800) {
        *n = pm_utf8_write(cp, out);
        return 6;
    }
    *n = 0;
    if (cp < 0xDC00 && end - p >= 12 && p[6] == '\\' && p[7] == 'u') {
        uint32_t low = hex4(p + 8);
        if ((low & 0xFC00) == 0xDC00) {
            *n = pm_utf8_write(0x10000 + ((cp & 0x3FF) << 10 | (low & 0x3FF)), out);
            return 12;
        }
    }
    return 6;
}

/* Appends the decoded string line[start .. end) to *out. No escape is shorter than what it stands for. */
static pm_status decode(const scan *s, size_t start, size_t end, pm_buf *out) {
    const uint8_t *p = s->line + start, *stop = s->line + end;
    PM_TRY(pm_buf_reserve(out, end - start + 4, s->err));
    uint8_t *to = out->data + out->len;
    for (const uint8_t *far = p; p < stop;) {
        if (p >= far) {
            far = stop - p < POLL_BYTES ? stop : p + POLL_BYTES;
            PM_TRY(s->j->ticker ? pm_ticker_poll(s->j->ticker, 0, s->err) : PM_OK);
        }
        const uint8_t *slash = memchr(p, '\\', (size_t)(far - p));
        size_t plain = (size_t)((slash ? slash : far) - p);
        memcpy(to, p, plain);
        to += plain;
        p += plain;
        while (p < far && *p == '\\') {
            unsigned n;
            size_t used = decode_escape(p, stop, to, &n);
            if (n == 0) {
                return pm_fail_at(s->err, PM_BAD_INPUT, (uint64_t)(p - s->line), "half a surrogate pair cannot be written as UTF-8");
            }
            to += n;
            p += used;
        }
    }
    out->len = (size_t)(to - out->data);
    return PM_OK;
}

/* ---------------------------------------------------------------- numbers and words ---- */

static bool pass_digits(scan *s) {
    size_t start = s->at;
    while ((s->at < s->fence || pass_fence(s)) && s->line[s->at] >= '0' && s->line[s->at] <= '9') {
        s->at++;
    }
    return s->at > start;
}

static pm_status pass_number(scan *s) {
    s->at += next_is(s, '-');
    if (next_is(s, '0')) {
        s->at++;
    } else if (!pass_digits(s)) {
        return wrong(s, s->at, "expected a value");
    }
    if (next_is(s, '.')) {
        s->at++;
        if (!pass_digits(s)) {
            return wrong(s, s->at, "expected a digit");
        }
    }
    if (next_is(s, 'e') || next_is(s, 'E')) {
        s->at++;
        s->at += next_is(s, '+') || next_is(s, '-');
        if (!pass_digits(s)) {
            return wrong(s, s->at, "expected a digit");
        }
    }
    return PM_OK;
}

static pm_status pass_scalar(scan *s) {
    static const char *const words[] = {"null", "true", "false", "NaN", "Infinity", "-Infinity"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);
        if (s->len - s->at >= n && memcmp(s->line + s->at, words[i], n) == 0) {
            s->at += n;
            return PM_OK;
        }
    }
    return pass_number(s);
}

/* ---------------------------------------------------------------- structure ---- */

static pm_status push(scan *s, bool object) {
    pm_buf *stack = &s->j->stack;
    size_t byte = s->depth / 8;
    if (byte >= stack->cap) {
        PM_TRY(pm_grow((void **)&stack->data, &stack->cap, byte + 1, 1, s->err));
    }
    uint8_t bit = (uint8_t)(1u << s->depth % 8);
    if (s->depth % 8 == 0) {
        stack->data[byte] = 0;
    }
    stack->data[byte] = (uint8_t)(object ? stack->data[byte] | bit : stack->data[byte] & ~bit);
    s->depth++;
    return PM_OK;
}

static bool in_object(const scan *s) { return s->j->stack.data[(s->depth - 1) / 8] >> (s->depth - 1) % 8 & 1; }

static pm_status open_bracket(scan *s, step *next) {
    bool object = s->line[s->at++] == '{';
    PM_TRY(push(s, object));
    skip_space(s);
    if (next_is(s, object ? '}' : ']')) {
        *next = STEP_AFTER; /* which closes it */
    } else {
        *next = object ? STEP_KEY : STEP_VALUE;
    }
    return PM_OK;
}

static pm_status pass_value(scan *s, step *next) {
    bool ours = s->ours;
    s->ours = false;
    *next = STEP_AFTER;
    if (ours) {
        s->found = true;
        s->is_string = next_is(s, '"');
        s->value = s->at;
    }
    if (next_is(s, '{') || next_is(s, '[')) {
        return open_bracket(s, next);
    }
    if (next_is(s, '"')) {
        size_t start, end;
        bool escaped;
        PM_TRY(pass_string(s, &start, &end, &escaped));
        if (ours) {
            s->value = start;
            s->value_end = end;
            s->value_escaped = escaped;
        }
        return PM_OK;
    }
    return pass_scalar(s);
}

static pm_status is_wanted(scan *s, size_t start, size_t end, bool escaped, bool *wanted) {
    const uint8_t *key = s->line + start;
    size_t len = end - start;
    *wanted = false;
    if (escaped) {
        s->j->key.len = 0;
        pm_status status = decode(s, start, end, &s->j->key);
        if (status != PM_OK) {
            /* Half a surrogate pair is no error in a key: no field has that name. */
            return status == PM_BAD_INPUT ? PM_OK : status;
        }
        key = s->j->key.data;
        len = s->j->key.len;
    }
    *wanted = len == s->j->field_len && memcmp(key, s->j->field, len) == 0;
    return PM_OK;
}

static pm_status pass_key(scan *s, step *next) {
    size_t start, end;
    bool escaped;
    if (!next_is(s, '"')) {
        return wrong(s, s->at, "expected a key in double quotes");
    }
    PM_TRY(pass_string(s, &start, &end, &escaped));
    if (s->depth == 1) {
        PM_TRY(is_wanted(s, start, end, escaped, &s->ours));
    }
    skip_space(s);
    if (!next_is(s, ':')) {
        return wrong(s, s->at, "expected a colon after the key");
    }
    s->at++;
    *next = STEP_VALUE;
    return PM_OK;
}

static pm_status after_value(scan *s, step *next) {
    if (s->depth == 0) {
        *next = STEP_DONE;
        return s->at == s->len ? PM_OK : wrong(s, s->at, "something follows the object");
    }
    bool object = in_object(s);
    if (next_is(s, object ? '}' : ']')) {
        s->at++;
        s->depth--;
        return PM_OK;
    }
    if (!next_is(s, ',')) {
        return wrong(s, s->at, object ? "expected a comma or a closing brace" : "expected a comma or a closing bracket");
    }
    s->at++;
    *next = object ? STEP_KEY : STEP_VALUE;
    return PM_OK;
}

static pm_status walk(scan *s) {
    step next = STEP_VALUE;
    while (next != STEP_DONE) {
        skip_space(s);
        switch (next) {
        case STEP_VALUE: PM_TRY(pass_value(s, &next)); break;
        case STEP_KEY: PM_TRY(pass_key(s, &next)); break;
        case STEP_AFTER: PM_TRY(after_value(s, &next)); break;
        case STEP_DONE: break;
        }
    }
    return PM_OK;
}

pm_status pm_jsonl_read(pm_jsonl *j, const uint8_t *line, size_t len, pm_buf *out, bool *found, pm_error *err) {
    scan s = {.j = j, .line = line, .len = len, .err = err};
    *found = false;
    s.fence = next_fence(&s);
    skip_space(&s);
    PM_TRY(s.stopped);
    if (s.at == len) {
        return PM_OK;
    }
    if (line[s.at] != '{') {
        return pm_fail_at(err, PM_BAD_INPUT, s.at, "each line must be a JSON object");
    }
    PM_TRY(walk(&s));
    PM_TRY(s.stopped);
    if (!s.found) {
        return pm_fail_at(err, PM_BAD_INPUT, 0, "the object has no field \"%s\"", j->field);
    }
    if (!s.is_string) {
        return pm_fail_at(err, PM_BAD_INPUT, s.value, "the field \"%s\" is not a string", j->field);
    }
    *found = true;
    return s.value_escaped || s.value_end - s.value > POLL_BYTES ? decode(&s, s.value, s.value_end, out)
                                                                   : pm_buf_append(out, line + s.value, s.value_end - s.value, err);
}
