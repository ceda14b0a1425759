/* transcode.h - texts in other forms to UTF-8 as the definition of each form reads: one character after the other. */
#ifndef PM_ORACLE_TRANSCODE_H
#define PM_ORACLE_TRANSCODE_H

#include <string.h>

#include "text/transcode.h"
#include "text/utf8.h"

static inline unsigned oracle_unit_bytes(pm_text_form form) {
    return form == PM_TEXT_UTF32 ? 4 : form == PM_TEXT_UCS2 || form == PM_TEXT_UTF16 ? 2 : 1;
}

static inline uint32_t oracle_unit(pm_text text, size_t i) {
    unsigned width = oracle_unit_bytes(text.form);
    uint16_t two;
    uint32_t four;
    if (width == 1) {
        return ((const uint8_t *)text.data)[i];
    }
    if (width == 2) {
        memcpy(&two, (const uint8_t *)text.data + 2 * i, 2);
        return two;
    }
    memcpy(&four, (const uint8_t *)text.data + 4 * i, 4);
    return four;
}

/* As pm_transcode. */
static inline pm_transcoded oracle_transcode(pm_text text, uint8_t *out, size_t cap) {
    pm_transcoded t = {0};
    while (t.read < text.len) {
        uint32_t c = oracle_unit(text, t.read), low = 0;
        size_t units = 1;
        if (text.form == PM_TEXT_UTF16 && c >= 0xD800 && c <= 0xDBFF && t.read + 1 < text.len &&
            (low = oracle_unit(text, t.read + 1)) >= 0xDC00 && low <= 0xDFFF) {
            c = 0x10000 + (c - 0xD800) * 0x400 + (low - 0xDC00);
            units = 2;
        }
        if ((c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF) {
            t.bad = true;
            return t;
        }
        uint8_t bytes[4];
        unsigned n = pm_utf8_write(c, bytes);
        if (n > cap - t.written) {
            return t;
        }
        memcpy(out + t.written, bytes, n);
        t.read += units;
        t.written += n;
    }
    return t;
}

#endif
