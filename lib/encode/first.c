/* first.c - see first.h. */
#include "encode/first.h"

pm_status pm_first_fill(pm_characters *map, const pm_model *model, pm_error *err) {
    for (pm_id id = 0; id < model->vocab_size; id++) {
        pm_bytes piece = model->pieces[id];
        if (!pm_model_is_piece(model, id)) {
            continue;
        }
        if (pm_first_is_one(model, piece)) {
            unsigned n;
            PM_TRY(pm_characters_set(map, pm_utf8_read(piece.data, piece.data + piece.len, &n), id, err));
        }
    }
    return PM_OK;
}
