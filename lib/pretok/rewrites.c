/* rewrites.c - see rewrites.h.
 *
 * Spans are written one behind the other; what lay between them is gone. What is put before a span has the origin of the span's first character, what stands for
 * something has the origin of that, as the alignments of Hugging Face's tokenizers have it.
 *
 *     Metaspace, prepend always     "  ab" "c"      U+2581 U+2581 a b | U+2581 c       origins  0 1 2 3 | 4 4
 *     byte-level characters         "é"  C3 A9      C3 83 C2 A9 (two characters)       both are the whole é's */
#include "pretok/rewrites.h"

#include "text/byte_level.h"
#include "text/utf8.h"

void pm_rewritten_release(pm_rewritten *out) {
    pm_buf_release(&out->text);
    pm_free(out->origins);
    *out = (pm_rewritten){0};
}

/* Room for n more bytes. */
static pm_status reserve(pm_rewritten *out, size_t n, pm_error *err) {
    PM_TRY(pm_buf_reserve(&out->text, n, err));
    return out->with_origins ? pm_grow((void **)&out->origins, &out->cap_origins, out->text.len + n, sizeof *out->origins, err) : PM_OK;
}

/* The origin of the character at in->text[at], len bytes long. */
static pm_origin origin_at(const pm_working *in, size_t at, size_t len) {
    return in->origins ? in->origins[at] : (pm_origin){in->at + at, in->at + at + len};
}

/* Bytes that all come from one place. */
static pm_status put(pm_rewritten *out, pm_bytes bytes, pm_origin origin, pm_error *err) {
    PM_TRY(reserve(out, bytes.len, err));
    memcpy(out->text.data + out->text.len, bytes.data, bytes.len);
    for (size_t i = 0; i < bytes.len && out->with_origins; i++) {
        out->origins[out->text.len + i] = origin;
    }
    out->text.len += bytes.len;
    return PM_OK;
}

/* Bytes as they are. */
static pm_status copy(pm_rewritten *out, const pm_working *in, size_t begin, size_t end, pm_error *err) {
    PM_TRY(reserve(out, end - begin, err));
    if (begin < end) {
        memcpy(out->text.data + out->text.len, in->text + begin, end - begin);
    }
    if (out->with_origins) {
        pm_origin *to = out->origins + out->text.len;
        unsigned len;
        for (size_t at = begin; at < end; at += len) {
            pm_utf8_read(in->text + at, in->text + end, &len);
            for (unsigned i = 0; i < len; i++) {
                *to++ = in->origins ? in->origins[at + i] : origin_at(in, at, len);
            }
        }
    }
    out->text.len += end - begin;
    return PM_OK;
}

/* What comes before a span: bytes with the origin of its first character. */
static pm_status put_before(pm_rewritten *out, const pm_working *in, pm_span span, pm_bytes bytes, pm_error *err) {
    unsigned len;

    pm_utf8_read(in->text + span.begin, in->text + span.end, &len);
    return put(out, bytes, origin_at(in, span.begin, len), err);
}

pm_status pm_put_prefix(const pm_working *in, const pm_spans *spans, pm_rewritten *out, pm_spans *to, pm_error *err) {
    const pm_bytes blank = {(const uint8_t *)" ", 1};

    for (size_t i = 0; i < spans->n; i++) {
        pm_span span = spans->items[i];
        size_t begin = out->text.len;
        PM_TRY(in->text[span.begin] == ' ' ? PM_OK : put_before(out, in, span, blank, err));
        PM_TRY(copy(out, in, span.begin, span.end, err));
        PM_TRY(pm_spans_add(to, begin, out->text.len, err));
    }
    return PM_OK;
}

static bool begins_with(const uint8_t *text, pm_span span, pm_bytes what) {
    return span.end - span.begin >= what.len && memcmp(text + span.begin, what.data, what.len) == 0;
}

static pm_status put_marks(const pm_working *in, pm_span span, pm_bytes mark, pm_rewritten *out, pm_error *err) {
    size_t begin = span.begin;
    const uint8_t *blank;

    while (begin < span.end && (blank = memchr(in->text + begin, ' ', span.end - begin)) != NULL) {
        size_t at = (size_t)(blank - in->text);
        PM_TRY(copy(out, in, begin, at, err));
        PM_TRY(put(out, mark, origin_at(in, at, 1), err));
        begin = at + 1;
    }
    return copy(out, in, begin, span.end, err);
}

pm_status pm_put_marks(const pm_working *in, const pm_spans *spans, pm_bytes mark, pm_prepend prepend, pm_rewritten *out, pm_spans *to, pm_error *err) {
    for (size_t i = 0; i < spans->n; i++) {
        pm_span span = spans->items[i];
        size_t begin = out->text.len;
        bool wanted = prepend == PM_PREPEND_ALWAYS || (prepend == PM_PREPEND_FIRST && pm_working_is_first(in, span));
        if (wanted && in->text[span.begin] != ' ' && !begins_with(in->text, span, mark)) {
            PM_TRY(put_before(out, in, span, mark, err));
        }
        PM_TRY(put_marks(in, span, mark, out, err));
        PM_TRY(pm_spans_add(to, begin, out->text.len, err));
    }
    return PM_OK;
}

void pm_byte_characters_init(pm_byte_characters *table) {
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t utf8[4];
        table->len[byte] = (uint8_t)pm_utf8_write(pm_byte_character((uint8_t)byte), utf8);
        memcpy(table->utf8[byte], utf8, 2);
    }
}

pm_status pm_put_byte_characters(const pm_byte_characters *table, const pm_working *in, const pm_spans *spans, pm_rewritten *out, pm_spans *to,
                                 pm_error *err) {
    for (size_t k = 0; k < spans->n; k++) {
        pm_span span = spans->items[k];
        size_t begin = out->text.len, bytes = span.end - span.begin;
        PM_TRY(reserve(out, bytes > SIZE_MAX / 2 ? SIZE_MAX : bytes * 2, err));
        uint8_t *write = out->text.data + begin;
        unsigned len;
        for (size_t at = span.begin; at < span.end; at += len) {
            pm_utf8_read(in->text + at, in->text + span.end, &len);
            for (unsigned i = 0; i < len; i++) {
                uint8_t byte = in->text[at + i];
                memcpy(write, table->utf8[byte], 2);
                write += table->len[byte];
            }
            if (out->with_origins) {
                pm_origin origin = origin_at(in, at, len);
                for (; out->text.len < (size_t)(write - out->text.data); out->text.len++) {
                    out->origins[out->text.len] = origin;
                }
            }
        }
        out->text.len = (size_t)(write - out->text.data);
        PM_TRY(pm_spans_add(to, begin, out->text.len, err));
    }
    return PM_OK;
}
