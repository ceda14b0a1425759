/* decode.c - ids to bytes.
 *
 * The engine holds a 16-byte word for each id: up to 15 bytes and their number. As long as the output has 16 bytes left, all of
 * the word is stored and the position moves on by the number: no loop, no call, one cache line read an id. */
#include "encode/inside.h"

/* The bytes of an id that is no short piece, or near the end of the output. Returns false for a hole. */
static bool put_piece(const pm_tokenizer *tok, pm_id id, uint8_t *out, size_t cap, size_t *n) {
    const pm_engine *engine = tok->engine;

    if (id >= tok->vocab_size || engine->decoded[id].len == PM_NO_PIECE) {
        return false;
    }
    pm_bytes piece = {engine->decoded[id].bytes, engine->decoded[id].len};
    if (piece.len == PM_LONG_PIECE) {
        piece = tok->model.pieces[id];
    }
    size_t room = *n < cap ? cap - *n : 0, fits = piece.len < room ? piece.len : room;
    if (fits) {
        memcpy(out + *n, piece.data, fits);
    }
    *n += piece.len;
    return true;
}

pm_status pm_decode(const pm_tokenizer *tok, const pm_id *ids, size_t n_ids, uint8_t *out, size_t cap, size_t *n_out,
                    pm_error *err) {
    const pm_decoded *decoded = ((const pm_engine *)tok->engine)->decoded;
    size_t n = 0;

    *n_out = 0;
    cap = out ? cap : 0;
    for (size_t i = 0; i < n_ids; i++) {
        pm_id id = ids[i];
        if (id < tok->vocab_size && decoded[id].len <= PM_SHORT_PIECE && n + sizeof *decoded <= cap) {
            memcpy(out + n, &decoded[id], sizeof *decoded);
            n += decoded[id].len;
        } else if (!put_piece(tok, id, out, cap, &n)) {
            return pm_fail_at(err, PM_BAD_ID, i, "id %u is not in the vocabulary", id);
        }
    }
    *n_out = n;
    if (out && n > cap) {
        return pm_fail(err, PM_NO_SPACE, "the ids give %zu bytes, there is room for %zu", n, cap);
    }
    return PM_OK;
}
