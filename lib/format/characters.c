/* characters.c - see characters.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "format/characters.h"

#include "text/characters.h"

enum { MARK_BYTES = sizeof PM_BLANK_MARK_UTF8 - 1 };

pm_status pm_marked_append(pm_buf *out, pm_bytes piece, pm_error *err) {
    for (size_t i = 0; i < piece.len; i++) {
        bool blank = piece.data[i] == PM_BLANK;
        PM_TRY(pm_buf_append(out, blank ? (const uint8_t *)PM_BLANK_MARK_UTF8 : &piece.data[i], blank ? MARK_BYTES : 1, err));
    }
    return PM_OK;
}

bool pm_marked_decode(pm_buf *out, pm_bytes text) {
    if (memchr(text.data, PM_BLANK, text.len)) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        bool mark = text.len - i >= MARK_BYTES && memcmp(text.data + i, PM_BLANK_MARK_UTF8, MARK_BYTES) == 0;
        out->data[out->len++] = mark ? PM_BLANK : text.data[i];
        i += mark ? MARK_BYTES - 1 : 0;
    }
    return true;
}

/* ---------------------------------------------------------------- the pattern ---- */

/* No piece has a blank but at its front, or a line feed and anything else. */
static bool lie_within_words(const pm_model *model) {
    for (pm_id id = 0; id < model->vocab_size; id++) {
        pm_bytes piece = model->pieces[id];
        if (!pm_model_is_piece(model, id) || piece.len < 2) {
            continue;
        }
        if (memchr(piece.data + 1, PM_BLANK, piece.len - 1) || memchr(piece.data, '\n', piece.len)) {
            return false;
        }
    }
    return true;
}

pm_status pm_characters_set_splitter(pm_model *model, pm_error *err) {
    static const char *const pattern[] = {"sentencepiece"};
    return pm_splitter_new(&model->splitter, pattern, lie_within_words(model) ? 1 : 0, err);
}

bool pm_characters_need_no_pattern(const pm_model *model) {
    if (!model->splitter || pm_splitter_n_regexes(model->splitter) == 0) {
        return true;
    }
    return strcmp(pm_splitter_name(model->splitter), "sentencepiece") == 0 && lie_within_words(model);
}

/* ---------------------------------------------------------------- what cannot be written ---- */

/* Is the piece, as it is written, the name of another token? A special token's text must not be written with U+2581 either: it stands as it is. */
static bool clashes(const pm_tokenizer *tok, pm_bytes name) {
    if (pm_byte_from_name(name) >= 0 || pm_is_control_name(name)) {
        return true;
    }
    for (size_t i = 0; i < tok->n_specials; i++) {
        pm_bytes text = tok->specials[i].text;
        if (text.len == name.len && memcmp(text.data, name.data, name.len) == 0) {
            return true;
        }
    }
    return false;
}

static pm_status check_names(const pm_tokenizer *tok, const char *what, pm_buf *name, pm_error *err) {
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        if (!pm_model_is_piece(&tok->model, id)) {
            continue;
        }
        name->len = 0;
        PM_TRY(pm_marked_append(name, tok->model.pieces[id], err));
        if (clashes(tok, (pm_bytes){name->data, name->len})) {
            return pm_fail(err, PM_UNSUPPORTED, "piece %u reads like a token that is no text: %s cannot hold both", id, what);
        }
    }
    return PM_OK;
}

pm_status pm_characters_check(const pm_tokenizer *tok, const char *what, pm_error *err) {
    pm_buf name = {0};
    pm_id unk = 0;
    while (unk < tok->vocab_size && !((tok->model.kinds[unk] == PM_KIND_CONTROL || tok->model.kinds[unk] == PM_KIND_SPECIAL) &&
                                      tok->model.pieces[unk].len == 5 && memcmp(tok->model.pieces[unk].data, "<unk>", 5) == 0)) {
        unk++;
    }
    if (unk == tok->vocab_size) {
        return pm_fail(err, PM_UNSUPPORTED, "there is no token <unk>: %s must have one", what);
    }
    pm_status status = check_names(tok, what, &name, err);
    pm_buf_release(&name);
    return status;
}
