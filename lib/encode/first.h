/* first.h - the tokens that a text begins as where they are characters: a character's piece, or a byte token for each of its bytes. */
#ifndef PM_ENCODE_FIRST_H
#define PM_ENCODE_FIRST_H

#include "model/model.h"
#include "text/characters.h"
#include "text/utf8.h"

/* Fills a map with the pieces that are one character. To be released on failure too. */
pm_status pm_first_fill(pm_characters *map, const pm_model *model, pm_error *err);

/* Is a piece one character, or one byte? */
static inline bool pm_first_is_one(const pm_model *model, pm_bytes piece) {
    unsigned n = 1;
    if (model->characters) {
        (void)pm_utf8_read(piece.data, piece.data + piece.len, &n);
    }
    return piece.len == n;
}

/* Writes the tokens of text[0..len), at most len; returns how many. byte_id: of the byte tokens. */
static inline size_t pm_first_tokens(const pm_characters *map, const pm_id *byte_id, const uint8_t *text, size_t len, pm_id *ids) {
    size_t n = 0;
    for (const uint8_t *at = text, *end = text + len; at < end;) {
        unsigned bytes;
        uint32_t c = pm_utf8_read(at, end, &bytes);
        pm_id id = c == PM_BAD_BYTE && bytes == 1 ? PM_ID_NONE : pm_characters_get(map, c);
        if (id != PM_ID_NONE) {
            ids[n++] = id;
        }
        for (unsigned i = 0; id == PM_ID_NONE && i < bytes; i++) {
            ids[n++] = byte_id[at[i]];
        }
        at += bytes;
    }
    return n;
}

#endif
