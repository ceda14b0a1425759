/* json.h - a JSON text as a flat list of values, read by libyajl; and strings written as JSON. */
#ifndef PM_FORMAT_JSON_H
#define PM_FORMAT_JSON_H

#include "base/alloc.h"

typedef enum pm_json_type {
    PM_JSON_NULL,
    PM_JSON_BOOL,
    PM_JSON_NUMBER,
    PM_JSON_STRING,
    PM_JSON_ARRAY,
    PM_JSON_OBJECT
} pm_json_type;

/* Values stand in the order of the text. An array's items follow it; an object is followed by key, value, key, value;
 * the value at `next` is the first behind it and all it holds. */
typedef struct pm_json_value {
    pm_bytes text;   /* STRING: its bytes, unescaped, well-formed UTF-8, NUL allowed; NUMBER: as written */
    uint64_t offset; /* of the value's first byte in the text */
    uint32_t next;
    uint32_t n;   /* ARRAY: items; OBJECT: members */
    uint8_t type; /* pm_json_type */
    bool truth;   /* BOOL */
} pm_json_value;

typedef struct pm_json {
    pm_json_value *values; /* [0] is the root */
    size_t n, cap;
    pm_arena strings; /* those that had escapes; the others lie in the text */
} pm_json;

/* Parses a whole text, which must stay while *out is used. Strict: one value, well-formed UTF-8, surrogates in pairs,
 * at most 64 levels. Errors: PM_BAD_FORMAT with the position, PM_UNSUPPORTED (no yajl compiled in), PM_NO_MEMORY. *out
 * is to be released on failure too. */
pm_status pm_json_parse(pm_json *out, const uint8_t *data, size_t len, pm_error *err);
void pm_json_release(pm_json *json);

/* A NUMBER that is a whole number from 0 to UINT64_MAX, written in digits only. */
bool pm_json_u64(const pm_json_value *value, uint64_t *n);
bool pm_json_is(const pm_json_value *value, const char *text); /* the STRING `text` */

/* Appends "..." with the escapes that Python's json (ensure_ascii=False) and Rust's serde_json both write. `text` must
 * be well-formed UTF-8. */
pm_status pm_json_quote(pm_buf *out, pm_bytes text, pm_error *err);

/* Appends a value and all that it holds as JSON: on one line without blanks, or as Rust's serde_json makes it pretty, the lines behind the first `indent`
 * levels of two blanks deep. */
enum { PM_JSON_ONE_LINE = -1 };
pm_status pm_json_write(pm_buf *out, const pm_json *json, const pm_json_value *value, int indent, pm_error *err);

/* Where JSON's white space that begins at data[i] ends; i <= len. */
size_t pm_json_skip_space(const uint8_t *data, size_t len, size_t i);

/* No byte is outside well-formed UTF-8. Else *wrong is the first that is. */
bool pm_is_utf8(pm_bytes text, size_t *wrong);

#endif
