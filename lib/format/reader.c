/* reader.c - see reader.h. */
#include "format/reader.h"

#include "base/hash.h"

/* ---------------------------------------------------------------- base64 ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pm_status pm_base64_append(pm_buf *out, pm_bytes bytes, pm_error *err) {
    if (bytes.len > SIZE_MAX / 2) {
        return pm_fail_memory(err);
    }
    PM_TRY(pm_buf_reserve(out, (bytes.len + 2) / 3 * 4, err));
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t word = (uint32_t)bytes.data[i] << 16;
        word |= n > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        word |= n > 2 ? bytes.data[i + 2] : 0;
        uint8_t *p = out->data + out->len;
        p[0] = (uint8_t)alphabet[word >> 18];
        p[1] = (uint8_t)alphabet[word >> 12 & 63];
        p[2] = (uint8_t)(n > 1 ? alphabet[word >> 6 & 63] : '=');
        p[3] = (uint8_t)(n > 2 ? alphabet[word & 63] : '=');
        out->len += 4;
    }
    return PM_OK;
}

/* The value of a character of the alphabet, or -1. */
static int value_of(uint8_t c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes one group of four characters of which `n` are not padding. False: *wrong is the first bad one. */
static bool decode_group(uint8_t *out, const uint8_t *text, size_t n, size_t *wrong) {
    uint32_t word = 0;
    for (size_t i = 0; i < 4; i++) {
        int v = i < n ? value_of(text[i]) : text[i] == '=' ? 0 : -1;
        if (v < 0) {
            *wrong = i;
            return false;
        }
        word = word << 6 | (uint32_t)v;
    }
    *wrong = n - 1;
    if ((n == 2 && (word & 0xFFFF)) || (n == 3 && (word & 0xFF))) {
        return false; /* bits that no byte takes */
    }
    out[0] = (uint8_t)(word >> 16);
    if (n > 2) {
        out[1] = (uint8_t)(word >> 8);
    }
    if (n > 3) {
        out[2] = (uint8_t)word;
    }
    return true;
}

bool pm_base64_decode(pm_buf *out, const uint8_t *text, size_t len, size_t *wrong) {
    size_t start = out->len;
    for (size_t i = 0; i < len; i += 4) {
        if (len - i < 4) {
            *wrong = len;
            out->len = start;
            return false;
        }
        size_t n = 4;
        if (i + 4 == len && text[i + 3] == '=') {
            n = text[i + 2] == '=' ? 2 : 3;
        }
        if (!decode_group(out->data + out->len, text + i, n, wrong)) {
            *wrong += i;
            out->len = start;
            return false;
        }
        out->len += n - 1;
    }
    return true;
}

/* ---------------------------------------------------------------- pieces ---- */

pm_status pm_piece_index_init(pm_piece_index *index, size_t n, pm_error *err) {
    size_t slots = 16;
    *index = (pm_piece_index){0};
    while (slots / 2 < n) {
        if (slots > SIZE_MAX / 4) {
            return pm_fail_memory(err);
        }
        slots *= 2;
    }
    index->slots = pm_alloc(slots, sizeof *index->slots);
    if (!index->slots) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < slots; i++) {
        index->slots[i] = (pm_vocab_slot){0, PM_ID_NONE};
    }
    index->mask = slots - 1;
    return PM_OK;
}

void pm_piece_index_release(pm_piece_index *index) {
    pm_free(index->slots);
    *index = (pm_piece_index){0};
}

/* The slot that holds these bytes, or the empty one where they would go. */
static size_t slot_of(const pm_piece_index *index, const pm_model *model, pm_bytes piece, uint64_t hash) {
    uint32_t high = (uint32_t)(hash >> 32);
    size_t i = (size_t)hash & index->mask;
    for (;; i = (i + 1) & index->mask) {
        pm_vocab_slot slot = index->slots[i];
        if (slot.id == PM_ID_NONE) {
            return i;
        }
        pm_bytes other = model->pieces[slot.id];
        if (slot.hash == high && other.len == piece.len && memcmp(other.data, piece.data, piece.len) == 0) {
            return i;
        }
    }
}

pm_id pm_piece_index_find(const pm_piece_index *index, const pm_model *model, pm_bytes piece) {
    return piece.len ? index->slots[slot_of(index, model, piece, pm_hash(piece.data, piece.len))].id : PM_ID_NONE;
}

void pm_piece_index_add(pm_piece_index *index, const pm_model *model, pm_id id) {
    pm_bytes piece = model->pieces[id];
    uint64_t hash = pm_hash(piece.data, piece.len);
    index->slots[slot_of(index, model, piece, hash)] = (pm_vocab_slot){(uint32_t)(hash >> 32), id};
}

int pm_missing_byte(const pm_piece_index *index, const pm_model *model) {
    for (int b = 0; b < 256; b++) {
        uint8_t byte = (uint8_t)b;
        if (pm_piece_index_find(index, model, (pm_bytes){&byte, 1}) == PM_ID_NONE) {
            return b;
        }
    }
    return -1;
}
