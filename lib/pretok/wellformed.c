/* wellformed.c - see wellformed.h. */
#include "pretok/wellformed.h"

#include "text/utf8.h"

/* Where the first bad byte is; len: nowhere. */
static size_t find_bad_byte(const uint8_t *text, size_t len) {
    size_t pos = 0;
    unsigned n;

    while (pos < len) {
        pos = pm_utf8_skip_ascii(text, pos, len);
        if (pos == len || (pm_utf8_read(text + pos, text + len, &n) == PM_BAD_BYTE && n == 1)) {
            break;
        }
        pos += n;
    }
    return pos;
}

static pm_status make_copy(pm_wellformed *w, size_t bad, pm_error *err) {
    static const uint8_t replacement[3] = {0xEF, 0xBF, 0xBD};
    const uint8_t *text = w->text;
    size_t pos = 0;

    w->copy.len = 0;
    PM_TRY(pm_buf_reserve(&w->copy, w->len, err));
    for (;;) {
        PM_TRY(pm_buf_append(&w->copy, text + pos, bad - pos, err));
        if (bad == w->len) {
            break;
        }
        PM_TRY(pm_buf_append(&w->copy, replacement, sizeof replacement, err));
        pos = bad + 1;
        bad = pos + find_bad_byte(text + pos, w->len - pos);
    }
    w->document = text;
    w->document_len = w->len;
    w->text_at = w->document_at = 0;
    w->text = w->copy.data;
    w->len = w->copy.len;
    return PM_OK;
}

pm_status pm_wellformed_begin(pm_wellformed *w, const uint8_t *document, size_t len, pm_error *err) {
    size_t bad = find_bad_byte(document, len);

    w->text = document;
    w->len = len;
    w->document = NULL;
    return bad < len ? make_copy(w, bad, err) : PM_OK;
}

size_t pm_wellformed_position(pm_wellformed *w, size_t pos) {
    if (!w->document) {
        return pos;
    }
    while (w->text_at < pos) {
        unsigned n;
        bool bad =
            pm_utf8_read(w->document + w->document_at, w->document + w->document_len, &n) == PM_BAD_BYTE && n == 1;
        w->document_at += n;
        w->text_at += bad ? 3 : n;
    }
    return w->document_at;
}

void pm_wellformed_release(pm_wellformed *w) {
    pm_buf_release(&w->copy);
    *w = (pm_wellformed){0};
}
