/* normalizer_characters.c - the operations of a normalizer that look at one character at a time: it stays, goes, or
 * gives way to others.
 *
 * Each has a table of the ASCII characters that stay; a run of those is one loop over bytes, and ideographs, which only
 * PM_OP_CHINESE and PM_OP_BYTES touch, another. What remains is looked up in the table of forms.h. All that comes in a
 * character's place has its origin. */
#include "encode/normalizer_ops.h"

#include "text/byte_level.h"

#define GONE UINT32_MAX

/* tokenizers' list, which leaves out some ideographs that are younger, and U+2B820 .. U+2B91F. */
static bool is_chinese(uint32_t c) {
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
           (c >= 0x2F800 && c <= 0x2FA1F);
}

static uint32_t nmt(uint32_t c) {
    if ((c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F) {
        return GONE;
    }
    bool blank = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                 c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
    return blank ? ' ' : c;
}

/* What becomes of a character: itself, another, or GONE. PM_OP_CHINESE: itself, or anything else for one that gets
 * blanks around it. */
static inline uint32_t outcome(pm_op_kind kind, uint32_t c) {
    const pm_form_record *r = pm_form_of(c);

    switch (kind) {
    case PM_OP_LOWER: return (uint32_t)((int32_t)c + r->lower);
    case PM_OP_ACCENTS: return r->flags & PM_FORM_ACCENT ? GONE : c;
    case PM_OP_NONSPACING: return r->flags & PM_FORM_NONSPACING ? GONE : c;
    case PM_OP_CLEAN: return r->flags & PM_FORM_CONTROL ? GONE : r->flags & PM_FORM_BLANK ? ' ' : c;
    case PM_OP_CHINESE: return is_chinese(c) ? GONE : c;
    case PM_OP_NMT: return nmt(c);
    default: return GONE; /* PM_OP_BYTES */
    }
}

void pm_op_characters_init(pm_op *op) {
    for (uint32_t c = 0; c < 0x80; c++) {
        op->inert[c] = op->kind == PM_OP_BYTES ? pm_byte_character((uint8_t)c) == c : outcome(op->kind, c) == c;
    }
    op->ideographs = op->kind != PM_OP_CHINESE && op->kind != PM_OP_BYTES;
}

/* Where the next change is, at or behind pos. */
static inline size_t next_change(const pm_op *op, pm_bytes text, size_t pos) {
    const uint8_t *p = text.data;

    while (pos < text.len) {
        if (p[pos] < 0x80) {
            if (!op->inert[p[pos]]) {
                return pos;
            }
            pos++;
            continue;
        }
        if (op->ideographs && p[pos] >= 0xE4 && p[pos] <= 0xE9 && text.len - pos >= 3 && (p[pos + 1] & 0xC0) == 0x80 &&
            (p[pos + 2] & 0xC0) == 0x80) {
            pos += 3;
            continue;
        }
        unsigned n;
        uint32_t c = pm_utf8_read(p + pos, p + text.len, &n);
        if (outcome(op->kind, c) != c) {
            return pos;
        }
        pos += n;
    }
    return pos;
}

size_t pm_op_characters_first(const pm_op *op, pm_bytes text) { return next_change(op, text, 0); }

/* All bytes of a character as the characters that stand for them, for as long as they change. */
static pm_status write_bytes(pm_rewrite *w, size_t to, pm_error *err) {
    PM_TRY(pm_rewrite_room(w, 2 * (to - w->pos), err));
    for (; w->pos < to; w->pos++) {
        uint8_t utf8[4];
        unsigned n = pm_utf8_write(pm_byte_character(w->in.data[w->pos]), utf8);
        pm_rewrite_put(w, utf8, n, pm_rewrite_origin(w, w->pos));
    }
    return PM_OK;
}

pm_status pm_op_characters_run(const pm_op *op, pm_rewrite *w, pm_error *err) {
    while (w->pos < w->in.len) {
        unsigned n;
        uint8_t utf8[4];
        uint32_t read = pm_rewrite_read(w->in, w->pos, &n), c = pm_rewrite_seen(read);
        pm_origin origin = pm_rewrite_origin(w, w->pos);
        if (op->kind == PM_OP_BYTES) {
            PM_TRY(write_bytes(w, w->pos + n, err));
        } else {
            uint32_t to = outcome(op->kind, c);
            PM_TRY(pm_rewrite_room(w, 8, err));
            if (op->kind == PM_OP_CHINESE) {
                pm_rewrite_put(w, " ", 1, origin);
                pm_rewrite_put(w, w->in.data + w->pos, n, origin);
                pm_rewrite_put(w, " ", 1, origin);
            } else if (to != GONE) {
                pm_rewrite_put(w, utf8, pm_utf8_write(to, utf8), origin);
                if (op->kind == PM_OP_LOWER && c == 0x130) {
                    pm_rewrite_put(w, "\xCC\x87", 2, origin); /* U+0130 is i and U+0307 */
                }
            }
            w->pos += n;
        }
        PM_TRY(pm_rewrite_copy(w, next_change(op, w->in, w->pos), err));
    }
    return PM_OK;
}
