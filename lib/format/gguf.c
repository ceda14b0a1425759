/* gguf.c - see gguf.h. A GGUF file, in little-endian byte order unless its version reads as one in the other:
 *
 *     "GGUF"  u32 version  u64 tensors  u64 keys                     then for each key:
 *     u64 length  bytes of the key  u32 type  value                  a string: u64 length, bytes; an array: u32 type of the items, u64 how many, items
 *
 *     47 47 55 46  03 00 00 00  00 .. 00  01 00 .. 00                no tensors, one key
 *     14 00 .. 00  "tokenizer.ggml.model"  08 00 00 00  04 00 .. 00  "gpt2"
 *
 * The values are walked once, each string's length and each array's size held against what is left of the file. A file of many gigabytes costs no more than its keys:
 * tensors are not looked at. */
#include "format/gguf.h"

#include <string.h>

enum { HEAD = 24, N_TYPES = 13, SHORTEST_PAIR = 13 /* the length of an empty key, a type, one byte */ };

static const uint8_t sizes[N_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

static uint64_t get_bits(const pm_gguf *g, uint64_t at, unsigned bytes) {
    uint64_t bits = 0;
    for (unsigned i = 0; i < bytes; i++) {
        bits |= (uint64_t)g->data[at + i] << (8 * (g->big_endian ? bytes - 1 - i : i));
    }
    return bits;
}

static pm_status cut_off(uint64_t at, const char *what, pm_error *err) {
    return pm_fail_at(err, PM_BAD_FORMAT, at, "%s goes beyond the end of the file", what);
}

static pm_status take(const pm_gguf *g, uint64_t *at, unsigned bytes, const char *what, uint64_t *out, pm_error *err) {
    if (g->len - *at < bytes) {
        return cut_off(*at, what, err);
    }
    *out = get_bits(g, *at, bytes);
    *at += bytes;
    return PM_OK;
}

static pm_status take_string(const pm_gguf *g, uint64_t *at, const char *what, pm_bytes *out, pm_error *err) {
    uint64_t n;
    PM_TRY(take(g, at, 8, what, &n, err));
    if (n > g->len - *at) {
        return cut_off(*at - 8, what, err);
    }
    *out = (pm_bytes){g->data + *at, (size_t)n};
    *at += n;
    return PM_OK;
}

static pm_status take_type(const pm_gguf *g, uint64_t *at, uint32_t *out, pm_error *err) {
    uint64_t type;
    PM_TRY(take(g, at, 4, "a value's type", &type, err));
    *out = (uint32_t)type;
    return type < N_TYPES ? PM_OK : pm_fail_at(err, PM_BAD_FORMAT, *at - 4, "type %u of a value is not known", *out);
}

/* Walks over the items of a value. */
static pm_status skip_items(const pm_gguf *g, const pm_gguf_value *v, uint64_t *at, pm_error *err) {
    uint32_t type = v->type == PM_GGUF_ARRAY ? v->item : v->type;
    if (type == PM_GGUF_STRING) {
        pm_bytes text;
        for (uint64_t i = 0; i < v->n; i++) {
            PM_TRY(take_string(g, at, "a string", &text, err));
        }
        return PM_OK;
    }
    if (v->n > (g->len - *at) / sizes[type]) {
        return cut_off(*at, "a value", err);
    }
    *at += v->n * sizes[type];
    return PM_OK;
}

static pm_status take_pair(pm_gguf *g, uint64_t *at, pm_error *err) {
    pm_gguf_value v = {.n = 1};
    PM_TRY(take_string(g, at, "a key", &v.key, err));
    PM_TRY(take_type(g, at, &v.type, err));
    if (v.type == PM_GGUF_ARRAY) {
        PM_TRY(take_type(g, at, &v.item, err));
        PM_TRY(take(g, at, 8, "an array", &v.n, err));
        if (v.item == PM_GGUF_ARRAY) {
            return pm_fail_at(err, PM_UNSUPPORTED, *at, "an array of arrays: that is not supported");
        }
    }
    v.offset = *at;
    PM_TRY(skip_items(g, &v, at, err));
    PM_TRY(pm_grow((void **)&g->values, &g->cap, g->n + 1, sizeof *g->values, err));
    g->values[g->n++] = v;
    return PM_OK;
}

pm_status pm_gguf_parse(pm_gguf *out, const uint8_t *data, size_t len, pm_error *err) {
    uint64_t at = 4, version, n;
    *out = (pm_gguf){.data = data, .len = len};
    if (len < HEAD || memcmp(data, "GGUF", 4) != 0) {
        return pm_fail_at(err, PM_BAD_FORMAT, 0, "does not begin as a GGUF file");
    }
    out->big_endian = (get_bits(out, 4, 4) & 0xFFFF) == 0;
    PM_TRY(take(out, &at, 4, "the version", &version, err));
    if (version != 2 && version != 3) {
        return pm_fail_at(err, PM_BAD_VERSION, 4, "version %llu of GGUF; 2 and 3 are read here", (unsigned long long)version);
    }
    PM_TRY(take(out, &at, 8, "the number of tensors", &n, err));
    PM_TRY(take(out, &at, 8, "the number of keys", &n, err));
    if (n > (len - HEAD) / SHORTEST_PAIR) {
        return pm_fail_at(err, PM_BAD_FORMAT, 16, "%llu keys are more than the file has room for", (unsigned long long)n);
    }
    for (uint64_t i = 0; i < n; i++) {
        PM_TRY(take_pair(out, &at, err));
    }
    return PM_OK;
}

void pm_gguf_release(pm_gguf *gguf) {
    pm_free(gguf->values);
    *gguf = (pm_gguf){0};
}

static bool is_key(const pm_gguf_value *value, const char *name) { return value->key.len == strlen(name) && memcmp(value->key.data, name, value->key.len) == 0; }

pm_status pm_gguf_get(const pm_gguf *gguf, pm_gguf_field *fields, size_t n, pm_error *err) {
    for (size_t i = 0; i < gguf->n; i++) {
        const pm_gguf_value *value = &gguf->values[i];
        for (size_t f = 0; f < n; f++) {
            if (!is_key(value, fields[f].name)) {
                continue;
            }
            if (fields[f].value) {
                return pm_fail_at(err, PM_BAD_FORMAT, value->offset, "key %s is there twice", fields[f].name);
            }
            fields[f].value = value;
        }
    }
    return PM_OK;
}

bool pm_gguf_is_array(const pm_gguf_value *value, pm_gguf_type item) { return value && value->type == PM_GGUF_ARRAY && value->item == (uint32_t)item; }

pm_bytes pm_gguf_next_string(const pm_gguf *gguf, uint64_t *at) {
    uint64_t n = get_bits(gguf, *at, 8);
    pm_bytes text = {gguf->data + *at + 8, (size_t)n};
    *at += 8 + n;
    return text;
}

uint64_t pm_gguf_next_bits(const pm_gguf *gguf, uint32_t type, uint64_t *at) {
    unsigned bytes = sizes[type];
    uint64_t bits = get_bits(gguf, *at, bytes), sign = UINT64_C(1) << (8 * bytes - 1);
    bool is_signed = type == PM_GGUF_I8 || type == PM_GGUF_I16 || type == PM_GGUF_I32;
    *at += bytes;
    return is_signed ? (bits ^ sign) - sign : bits;
}

float pm_gguf_next_float(const pm_gguf *gguf, uint64_t *at) {
    uint32_t bits = (uint32_t)get_bits(gguf, *at, 4);
    float value;
    memcpy(&value, &bits, sizeof value);
    *at += 4;
    return value;
}
