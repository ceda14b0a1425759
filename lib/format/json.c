/* json.c - see json.h.
 *
 * libyajl tokenizes and checks the structure; this file keeps what it says as a list. Three things are done around it:
 *
 *   - The text is looked at once before: UTF-8 must be well-formed (yajl lets surrogates and overlong forms pass) and
 *     \u escapes of surrogates must come in pairs (yajl writes "?" for others). So what yajl gets it reads as any other
 *     parser does.
 *   - yajl does not check what its allocator returns. Ours does not return when memory is out: it jumps back to run(),
 *     the only place that calls yajl. Every block that yajl took hangs in a list, so that all of them are freed whatever
 *     happened.
 *   - Positions: yajl tells where it stands (behind the token); the token's first byte follows from that. */
#include "format/json.h"

#include "text/utf8.h"

size_t pm_json_skip_space(const uint8_t *data, size_t len, size_t i) {
    while (i < len && (data[i] == ' ' || data[i] == '\n' || data[i] == '\r' || data[i] == '\t')) {
        i++;
    }
    return i;
}

bool pm_is_utf8(pm_bytes text, size_t *wrong) {
    const uint8_t *end = text.len ? text.data + text.len : text.data;
    for (size_t i = 0; i < text.len;) {
        unsigned len = 1;
        if (text.data[i] >= 0x80) {
            pm_utf8_read(text.data + i, end, &len);
            if (len == 1) { /* no character above U+007F has one byte */
                *wrong = i;
                return false;
            }
        }
        i += len;
    }
    return true;
}

bool pm_json_u64(const pm_json_value *value, uint64_t *n) {
    *n = 0;
    if (value->type != PM_JSON_NUMBER || value->text.len == 0) {
        return false;
    }
    for (size_t i = 0; i < value->text.len; i++) {
        uint8_t c = value->text.data[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(*n, UINT64_C(10), n) ||
            __builtin_add_overflow(*n, (uint64_t)(c - '0'), n)) {
            return false;
        }
    }
    return true;
}

bool pm_json_is(const pm_json_value *value, const char *text) {
    size_t len = strlen(text);
    return value->type == PM_JSON_STRING && value->text.len == len &&
           (len == 0 || memcmp(value->text.data, text, len) == 0);
}

static pm_status append_escape(pm_buf *out, uint8_t c, pm_error *err) {
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    const char *p = c ? strchr(from, c) : NULL;
    return p ? pm_buf_printf(out, err, "\\%c", to[p - from]) : pm_buf_printf(out, err, "\\u%04x", c);
}

pm_status pm_json_quote(pm_buf *out, pm_bytes text, pm_error *err) {
    size_t start = 0;
    PM_TRY(pm_buf_append(out, "\"", 1, err));
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c < 0x20 || c == '"' || c == '\\') {
            PM_TRY(pm_buf_append(out, text.data + start, i - start, err));
            PM_TRY(append_escape(out, c, err));
            start = i + 1;
        }
    }
    PM_TRY(pm_buf_append(out, text.len ? text.data + start : NULL, text.len - start, err));
    return pm_buf_append(out, "\"", 1, err);
}

static pm_status put(pm_buf *out, const char *text, pm_error *err) { return pm_buf_append(out, text, strlen(text), err); }

static pm_status new_line(pm_buf *out, int level, pm_error *err) {
    return level < 0 ? PM_OK : pm_buf_printf(out, err, "\n%*s", 2 * level, "");
}

/* A value that holds no other, or the bracket that opens one that does. */
static pm_status put_value(pm_buf *out, const pm_json_value *value, pm_error *err) {
    switch (value->type) {
    case PM_JSON_NULL: return put(out, "null", err);
    case PM_JSON_BOOL: return put(out, value->truth ? "true" : "false", err);
    case PM_JSON_NUMBER: return pm_buf_append(out, value->text.data, value->text.len, err);
    case PM_JSON_STRING: return pm_json_quote(out, value->text, err);
    case PM_JSON_ARRAY: return put(out, value->n ? "[" : "[]", err);
    default: return put(out, value->n ? "{" : "{}", err);
    }
}

enum { MAX_DEPTH = 64 };

pm_status pm_json_write(pm_buf *out, const pm_json *json, const pm_json_value *value, int indent, pm_error *err) {
    const pm_json_value *open[MAX_DEPTH + 1];
    size_t depth = 0;
    uint32_t first = (uint32_t)(value - json->values);

    for (uint32_t i = first; i < value->next; i++) {
        const pm_json_value *v = &json->values[i], *in = depth ? open[depth - 1] : NULL;
        int level = indent < 0 ? indent : indent + (int)depth;
        bool object = in && in->type == PM_JSON_OBJECT;
        if (in) {
            PM_TRY(put(out, v > in + 1 ? "," : "", err));
            PM_TRY(new_line(out, level, err));
        }
        PM_TRY(put_value(out, v, err));
        if (object) { /* that was the key */
            PM_TRY(put(out, indent < 0 ? ":" : ": ", err));
            v = &json->values[++i];
            PM_TRY(put_value(out, v, err));
        }
        if ((v->type == PM_JSON_ARRAY || v->type == PM_JSON_OBJECT) && v->n) {
            open[depth++] = v;
        }
        while (depth && i + 1 == open[depth - 1]->next) {
            depth--;
            PM_TRY(new_line(out, indent < 0 ? indent : indent + (int)depth, err));
            PM_TRY(put(out, open[depth]->type == PM_JSON_OBJECT ? "}" : "]", err));
        }
    }
    return PM_OK;
}

void pm_json_release(pm_json *json) {
    pm_free(json->values);
    pm_arena_release(&json->strings);
    *json = (pm_json){0};
}

#ifdef PM_HAVE_YAJL

#include <setjmp.h>
#include <yajl/yajl_parse.h>

/* A block of yajl's, in a list. */
typedef struct block {
    struct block *next, *previous;
} block;

typedef struct parser {
    pm_json *out;
    const uint8_t *data;
    size_t len;
    yajl_handle yajl;
    uint32_t open[MAX_DEPTH]; /* the arrays and objects that are open */
    unsigned depth;
    pm_status status;
    pm_error *err;
    block *blocks;
    jmp_buf no_memory;
} parser;

/* ---- yajl's memory ---- */

static void link_block(parser *p, block *b) {
    b->previous = NULL;
    b->next = p->blocks;
    if (b->next) {
        b->next->previous = b;
    }
    p->blocks = b;
}

static void unlink_block(parser *p, block *b) {
    if (b->previous) {
        b->previous->next = b->next;
    } else {
        p->blocks = b->next;
    }
    if (b->next) {
        b->next->previous = b->previous;
    }
}

static void *take(void *ctx, size_t bytes) {
    parser *p = ctx;
    block *b = bytes > SIZE_MAX - sizeof *b ? NULL : pm_alloc(sizeof *b + bytes, 1);
    if (!b) {
        longjmp(p->no_memory, 1);
    }
    link_block(p, b);
    return b + 1;
}

static void give(void *ctx, void *data) {
    if (data) {
        block *b = (block *)data - 1;
        unlink_block(ctx, b);
        pm_free(b);
    }
}

static void *retake(void *ctx, void *data, size_t bytes) {
    parser *p = ctx;
    if (!data) {
        return take(ctx, bytes);
    }
    block *b = (block *)data - 1;
    unlink_block(p, b);
    block *grown = bytes > SIZE_MAX - sizeof *b ? NULL : pm_realloc(b, sizeof *b + bytes, 1);
    link_block(p, grown ? grown : b);
    if (!grown) {
        longjmp(p->no_memory, 1);
    }
    return grown + 1;
}

/* ---- what yajl says ---- */

/* Appends a value; the innermost open array or object counts it. NULL: p->status says why not. */
static pm_json_value *push(parser *p, pm_json_type type, uint64_t offset) {
    pm_json *json = p->out;
    if (json->n >= UINT32_MAX) {
        p->status = pm_fail_at(p->err, PM_BAD_FORMAT, offset, "too many values");
        return NULL;
    }
    p->status = pm_grow((void **)&json->values, &json->cap, json->n + 1, sizeof *json->values, p->err);
    if (p->status != PM_OK) {
        return NULL;
    }
    if (p->depth) {
        json->values[p->open[p->depth - 1]].n++;
    }
    pm_json_value *value = &json->values[json->n++];
    *value = (pm_json_value){.offset = offset, .next = (uint32_t)json->n, .type = (uint8_t)type};
    return value;
}

static uint64_t here(const parser *p) { return yajl_get_bytes_consumed(p->yajl); }

static int on_null(void *ctx) { return push(ctx, PM_JSON_NULL, here(ctx) - 4) != NULL; }

static int on_bool(void *ctx, int truth) {
    pm_json_value *value = push(ctx, PM_JSON_BOOL, here(ctx) - (truth ? 4 : 5));
    if (value) {
        value->truth = truth != 0;
    }
    return value != NULL;
}

static int on_number(void *ctx, const char *text, size_t len) {
    parser *p = ctx;
    const uint8_t *data = (const uint8_t *)text; /* all of the text was given at once: it lies there */
    pm_json_value *value = push(p, PM_JSON_NUMBER, (uint64_t)(data - p->data));
    if (value) {
        value->text = (pm_bytes){data, len};
    }
    return value != NULL;
}

/* The opening quote of the string whose closing quote is at `end`: the one before that no odd number of backslashes
 * precedes. */
static size_t opening_quote(const uint8_t *data, size_t end) {
    for (size_t i = end; i-- > 0;) {
        size_t slashes = 0;
        while (data[i] == '"' && slashes < i && data[i - 1 - slashes] == '\\') {
            slashes++;
        }
        if (data[i] == '"' && slashes % 2 == 0) {
            return i;
        }
    }
    return 0;
}

static int on_string(void *ctx, const unsigned char *text, size_t len) {
    parser *p = ctx;
    pm_json_value *value = push(p, PM_JSON_STRING, opening_quote(p->data, here(p) - 1));
    if (!value) {
        return 0;
    }
    uintptr_t at = (uintptr_t)text, start = (uintptr_t)p->data;
    if (at < start || at - start > p->len) { /* it had escapes: yajl's buffer */
        text = pm_arena_copy(&p->out->strings, text, len);
        if (!text) {
            p->status = pm_fail_memory(p->err);
            return 0;
        }
    }
    value->text = (pm_bytes){text, len};
    return 1;
}

static int open_value(parser *p, pm_json_type type) {
    uint64_t at = here(p) - 1;
    if (p->depth == MAX_DEPTH) {
        p->status = pm_fail_at(p->err, PM_BAD_FORMAT, at, "nested deeper than %d levels", MAX_DEPTH);
        return 0;
    }
    if (!push(p, type, at)) {
        return 0;
    }
    p->open[p->depth++] = (uint32_t)(p->out->n - 1);
    return 1;
}

static int on_close(void *ctx) {
    parser *p = ctx;
    pm_json_value *value = &p->out->values[p->open[--p->depth]];
    value->next = (uint32_t)p->out->n;
    if (value->type == PM_JSON_OBJECT) {
        value->n /= 2; /* keys were counted too */
    }
    return 1;
}

static int on_array(void *ctx) { return open_value(ctx, PM_JSON_ARRAY); }
static int on_object(void *ctx) { return open_value(ctx, PM_JSON_OBJECT); }

static const yajl_callbacks callbacks = {
    on_null, on_bool, NULL, NULL, on_number, on_string, on_object, on_string, on_close, on_array, on_close,
};

/* ---- before yajl ---- */

static int hex4(const uint8_t *p, const uint8_t *end) {
    int value = 0;
    if (end - p < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int c = p[i] | 0x20;
        int digit = p[i] >= '0' && p[i] <= '9' ? p[i] - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

/* The length of the escape at p (a backslash): 2, 6, or 12 for a pair of surrogates; 0: half of a pair. Malformed ones
 * are left to yajl. */
static size_t escape_length(const uint8_t *p, const uint8_t *end) {
    if (end - p < 2 || p[1] != 'u') {
        return 2;
    }
    int first = hex4(p + 2, end);
    if (first < 0xD800 || first > 0xDFFF) {
        return 2;
    }
    if (first > 0xDBFF || end - p < 12 || p[6] != '\\' || p[7] != 'u') {
        return 0;
    }
    int second = hex4(p + 8, end);
    return second >= 0xDC00 && second <= 0xDFFF ? 12 : 0;
}

static pm_status check_text(const uint8_t *data, size_t len, pm_error *err) {
    size_t wrong;
    if (!pm_is_utf8((pm_bytes){data, len}, &wrong)) {
        return pm_fail_at(err, PM_BAD_FORMAT, wrong, "not well-formed UTF-8");
    }
    const uint8_t *p = data, *end = data + len;
    while (len && (p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
        size_t n = escape_length(p, end);
        if (n == 0) {
            return pm_fail_at(err, PM_BAD_FORMAT, (uint64_t)(p - data), "half of a surrogate pair");
        }
        p = (size_t)(end - p) > n ? p + n : end;
    }
    return PM_OK;
}

/* ---- the parse ---- */

/* Says what yajl found wrong, with its own words: "parse error: premature EOF". */
static pm_status yajl_failure(parser *p, size_t at) {
    unsigned char *text = yajl_get_error(p->yajl, 0, p->data, p->len);
    int n = (int)strcspn((const char *)text, "\n");
    pm_status status =
        pm_fail_at(p->err, PM_BAD_FORMAT, at < p->len ? at : p->len, "not JSON: %.*s", n, (const char *)text);
    yajl_free_error(p->yajl, text);
    return status;
}

/* A function of its own, without variables: longjmp comes back here. */
static pm_status run(parser *p) {
    yajl_alloc_funcs memory = {take, retake, give, p};
    if (setjmp(p->no_memory)) {
        return pm_fail_memory(p->err);
    }
    p->yajl = yajl_alloc(&callbacks, &memory, p);
    if (yajl_parse(p->yajl, p->data, p->len) != yajl_status_ok) {
        return p->status == PM_OK ? yajl_failure(p, yajl_get_bytes_consumed(p->yajl)) : p->status;
    }
    if (yajl_complete_parse(p->yajl) !=
        yajl_status_ok) { /* it may still wait for the end of a number or of an object */
        return p->status == PM_OK ? yajl_failure(p, p->len) : p->status;
    }
    return p->status;
}

pm_status pm_json_parse(pm_json *out, const uint8_t *data, size_t len, pm_error *err) {
    *out = (pm_json){0};
    PM_TRY(check_text(data, len, err));
    if (len == 0) {
        return pm_fail_at(err, PM_BAD_FORMAT, 0, "not JSON: it is empty");
    }
    parser p = {.out = out, .data = data, .len = len, .err = err};
    pm_status status = run(&p);
    while (p.blocks) {
        block *b = p.blocks;
        p.blocks = b->next;
        pm_free(b);
    }
    return status;
}

#else

pm_status pm_json_parse(pm_json *out, const uint8_t *data, size_t len, pm_error *err) {
    *out = (pm_json){0};
    (void)data;
    (void)len;
    return pm_fail(err, PM_UNSUPPORTED, "this build reads no JSON: libyajl was not compiled in");
}

#endif
