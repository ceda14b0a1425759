/* byte_level.c - see byte_level.h.
 *
 * 188 bytes stand for themselves; the others, in ascending order, are U+0100 and following: 0-32, 127-160, 173. */
#include "text/byte_level.h"

#include "text/utf8.h"

enum { FIRST = 0x100, HIDDEN = 68, LOW = 33 /* 0-32 */, HIGH = 127, HIGH_N = 34 /* 127-160 */, SOFT_HYPHEN = 173 };

static bool is_visible(uint32_t b) { return (b >= 33 && b <= 126) || (b >= 161 && b <= 255 && b != SOFT_HYPHEN); }

uint32_t pm_byte_character(uint8_t byte) {
    uint32_t b = byte;
    return is_visible(b) ? b : FIRST + (b < LOW ? b : b < SOFT_HYPHEN ? b - HIGH + LOW : LOW + HIGH_N);
}

int pm_byte_of_character(uint32_t character) {
    if (character < FIRST) {
        return is_visible(character) ? (int)character : -1;
    }
    uint32_t rank = character - FIRST;
    return rank >= HIDDEN ? -1 : (int)(rank < LOW ? rank : rank < LOW + HIGH_N ? rank - LOW + HIGH : SOFT_HYPHEN);
}

pm_status pm_byte_level_append(pm_buf *out, pm_bytes bytes, pm_error *err) {
    if (bytes.len > SIZE_MAX / 4) {
        return pm_fail_memory(err);
    }
    PM_TRY(pm_buf_reserve(out, bytes.len * 4, err));
    for (size_t i = 0; i < bytes.len; i++) {
        out->len += pm_utf8_write(pm_byte_character(bytes.data[i]), out->data + out->len);
    }
    return PM_OK;
}

bool pm_byte_level_decode(pm_buf *out, pm_bytes text) {
    size_t start = out->len;
    unsigned len;
    for (size_t i = 0; i < text.len; i += len) {
        int byte = pm_byte_of_character(pm_utf8_read(text.data + i, text.data + text.len, &len));
        if (byte < 0) {
            out->len = start;
            return false;
        }
        out->data[out->len++] = (uint8_t)byte;
    }
    return true;
}
