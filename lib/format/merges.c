/* merges.c - see merges.h. */
#include "format/merges.h"

#include "text/byte_level.h"

pm_status pm_byte_level_entry(pm_model *model, pm_piece_index *index, pm_buf *scratch, pm_id id, pm_bytes text, uint64_t offset, pm_error *err) {
    scratch->len = 0;
    PM_TRY(pm_buf_reserve(scratch, text.len, err));
    if (!text.len || !pm_byte_level_decode(scratch, text)) {
        return pm_fail_at(err, PM_UNSUPPORTED, offset, "entry %u is empty or not in byte-level characters: that is not supported", id);
    }
    pm_bytes piece = {scratch->data, scratch->len};
    pm_id other = pm_piece_index_find(index, model, piece);
    if (other != PM_ID_NONE) {
        return pm_fail_at(err, PM_BAD_FORMAT, offset, "entry %u was given already, with id %u", id, other);
    }
    PM_TRY(pm_model_set(model, id, PM_KIND_PIECE, piece, 0, false, err));
    pm_piece_index_add(index, model, id);
    return PM_OK;
}

bool pm_merge_halves(pm_bytes text, pm_bytes *left, pm_bytes *right) {
    const uint8_t *space = text.len ? memchr(text.data, ' ', text.len) : NULL;
    if (!space) {
        return false;
    }
    size_t at = (size_t)(space - text.data);
    *left = (pm_bytes){text.data, at};
    *right = (pm_bytes){space + 1, text.len - at - 1};
    return left->len > 0 && right->len > 0;
}

/* Both are decoded one behind the other: so the result's bytes are all of it. */
pm_status pm_byte_level_merge(pm_model *model, const pm_piece_index *index, pm_buf *scratch, pm_bytes left, pm_bytes right, uint64_t offset, pm_error *err) {
    scratch->len = 0;
    PM_TRY(pm_buf_reserve(scratch, left.len + right.len, err));
    bool decoded = pm_byte_level_decode(scratch, left);
    size_t half = scratch->len;
    decoded = decoded && pm_byte_level_decode(scratch, right);
    pm_id ids[3] = {PM_ID_NONE, PM_ID_NONE, PM_ID_NONE};
    if (decoded && half && scratch->len > half) {
        ids[0] = pm_piece_index_find(index, model, (pm_bytes){scratch->data, half});
        ids[1] = pm_piece_index_find(index, model, (pm_bytes){scratch->data + half, scratch->len - half});
        ids[2] = pm_piece_index_find(index, model, (pm_bytes){scratch->data, scratch->len});
    }
    if (ids[0] == PM_ID_NONE || ids[1] == PM_ID_NONE || ids[2] == PM_ID_NONE) {
        return pm_fail_at(err, PM_BAD_FORMAT, offset, "a merge's parts and result must be entries of the vocabulary");
    }
    return pm_model_add_merge(model, ids[0], ids[1], ids[2], err);
}
