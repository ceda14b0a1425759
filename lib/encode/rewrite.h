/* rewrite.h - writing a changed text and, where asked for, where each of its bytes comes from.
 *
 * A step reads `in` from left to right and writes `out`. What it says about origins is what tokenizers' transform says,
 * so they come out equal: a character is written with a change (text/forms.h), and takes the origin of
 *
 *     change <= 0     the next character of `in`, which is passed over, and -change more
 *     change > 0      the byte before: it was put in
 *
 * `pos` is the place that is meant by "next". Steps keep it where they read; Precompiled lets it lag where tokenizers
 * does. */
#ifndef PM_ENCODE_REWRITE_H
#define PM_ENCODE_REWRITE_H

#include "base/alloc.h"
#include "text/origin.h"
#include "text/utf8.h"

#define PM_RAW_BYTE UINT32_C(0x80000000) /* with a byte outside well-formed UTF-8: that, in place of a character */

typedef struct pm_rewrite {
    pm_bytes in;
    const pm_origin *in_origins; /* of each byte; NULL: not asked for */
    size_t pos;
    pm_buf *out;
    pm_origin **origins; /* with in_origins: those of out, *cap of them */
    size_t *cap;
    size_t at;   /* where the stretch begins in the document: the origin of what was put in before anything */
    size_t most; /* out is never longer */
} pm_rewrite;

/* Room for `more` bytes. Errors: PM_LIMIT, PM_NO_MEMORY. */
static inline pm_status pm_rewrite_room(pm_rewrite *w, size_t more, pm_error *err) {
    if (more > w->most - w->out->len) {
        return pm_fail(err, PM_LIMIT, "normalizing makes this text longer than 1,024 times what it was");
    }
    if (w->out->cap - w->out->len < more ||
        (w->in_origins && (*w->cap < w->out->len || *w->cap - w->out->len < more))) {
        PM_TRY(pm_buf_reserve(w->out, more, err));
        if (w->in_origins) {
            PM_TRY(pm_grow((void **)w->origins, w->cap, w->out->len + more, sizeof **w->origins, err));
        }
    }
    return PM_OK;
}

/* Copies up to `to`. */
static inline pm_status pm_rewrite_copy(pm_rewrite *w, size_t to, pm_error *err) {
    size_t n = to - w->pos;

    PM_TRY(pm_rewrite_room(w, n, err));
    if (n) {
        memcpy(w->out->data + w->out->len, w->in.data + w->pos, n);
        if (w->in_origins) {
            memcpy(*w->origins + w->out->len, w->in_origins + w->pos, n * sizeof **w->origins);
        }
    }
    w->out->len += n;
    w->pos = to;
    return PM_OK;
}

/* Writes bytes for which there is room. */
static inline void pm_rewrite_put(pm_rewrite *w, const void *bytes, size_t n, pm_origin origin) {
    memcpy(w->out->data + w->out->len, bytes, n);
    for (size_t i = 0; w->in_origins && i < n; i++) {
        (*w->origins)[w->out->len + i] = origin;
    }
    w->out->len += n;
}

static inline pm_origin pm_rewrite_origin(const pm_rewrite *w, size_t pos) {
    return w->in_origins ? w->in_origins[pos] : (pm_origin){0, 0};
}

/* Of what is put in at pos. */
static inline pm_origin pm_rewrite_before(const pm_rewrite *w, size_t pos) {
    return pos ? pm_rewrite_origin(w, pos - 1) : (pm_origin){w->at, w->at};
}

/* The character at pos, or PM_RAW_BYTE with its byte. */
static inline uint32_t pm_rewrite_read(pm_bytes text, size_t pos, unsigned *len) {
    uint32_t c = pm_utf8_read(text.data + pos, text.data + text.len, len);
    return c == PM_BAD_BYTE && *len == 1 ? PM_RAW_BYTE | text.data[pos] : c;
}

/* What a step takes it for. */
static inline uint32_t pm_rewrite_seen(uint32_t c) { return c & PM_RAW_BYTE ? PM_BAD_BYTE : c; }

static inline unsigned pm_rewrite_utf8(uint32_t c, uint8_t out[4]) {
    if (c & PM_RAW_BYTE) {
        out[0] = (uint8_t)c;
        return 1;
    }
    return pm_utf8_write(c, out);
}

/* Passes over n characters. */
static inline void pm_rewrite_skip(pm_rewrite *w, size_t n) {
    for (; n && w->pos < w->in.len; n--) {
        unsigned len;
        pm_utf8_read(w->in.data + w->pos, w->in.data + w->in.len, &len);
        w->pos += len;
    }
}

/* Writes a character with its change; there is room for 4 bytes. */
static inline void pm_rewrite_emit(pm_rewrite *w, uint32_t c, int64_t change) {
    uint8_t bytes[4];
    unsigned n = pm_rewrite_utf8(c, bytes);

    if (change > 0 || w->pos == w->in.len) {
        pm_rewrite_put(w, bytes, n, pm_rewrite_before(w, w->pos));
    } else {
        pm_rewrite_put(w, bytes, n, pm_rewrite_origin(w, w->pos));
        pm_rewrite_skip(w, (size_t)(1 - change));
    }
}

#endif
