/* reader.h - what the readers of text formats share: base64, and a look-up of the pieces read so far. */
#ifndef PM_FORMAT_READER_H
#define PM_FORMAT_READER_H

#include "model/model.h"
#include "text/byte_level.h"

/* ---- base64 (RFC 4648, section 4) ---- */

/* Appends the base64 of the bytes, padded. */
pm_status pm_base64_append(pm_buf *out, pm_bytes bytes, pm_error *err);
/* Appends the bytes of a base64 text. Strict: only the alphabet, padded to a multiple of four, unused bits zero. False:
 * it is not that, and *wrong is the position; out keeps its length. Room must have been reserved: 3 bytes for each 4
 * characters. */
bool pm_base64_decode(pm_buf *out, const uint8_t *text, size_t len, size_t *wrong);

/* ---- pieces by their bytes, while a model is being filled ---- */

typedef struct pm_piece_index {
    pm_vocab_slot *slots; /* open addressing, at most half full */
    size_t mask;
} pm_piece_index;

pm_status pm_piece_index_init(pm_piece_index *index, size_t n, pm_error *err); /* for at most n pieces */
void pm_piece_index_release(pm_piece_index *index);
/* The id that was added for these bytes, or PM_ID_NONE. */
pm_id pm_piece_index_find(const pm_piece_index *index, const pm_model *model, pm_bytes piece);
/* model->pieces[id] must be set and its bytes not be in the index. */
void pm_piece_index_add(pm_piece_index *index, const pm_model *model, pm_id id);

/* ---- ids ---- */

/* A file of n entries may leave holes between its ids, but memory is taken for the highest one: ids far beyond n are
 * refused. */
static inline bool pm_id_is_near(uint64_t id, uint64_t n) {
    return id < n * 64 + (UINT64_C(1) << 20) && id < PM_ID_NONE;
}

/* The first single byte that is no piece, or -1. Needs every piece in the index. */
int pm_missing_byte(const pm_piece_index *index, const pm_model *model);

#endif
