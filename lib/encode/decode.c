/* decode.c - ids to bytes.
 *
 * The engine holds a 16-byte word for each id: up to 15 bytes and their number; behind the last there is one more, a hole, which every id past
 * the end is read as. As long as the output has room for 16 bytes an id, all of the word is stored and the position moves on by the number: no loop, no
 * call, one cache line read an id, and one branch, which an id that is long or a hole takes:
 *
 *     id       464          3290              out  t h e . . . . . . . . . . . . .      n = 3
 *     word     t h e 3      _ c a t 4                    _ c a t . . . . . . . . .      n = 7
 *
 * Those, and the last ids, go one at a time with every check. Measuring adds up the numbers alone.
 *
 * Cost: about 1 ns an id, most of it for words that are not in the nearest cache. */
#include "encode/inside.h"

enum { BLOCK = 16 }; /* ids */

/* The words, copied out of the tokenizer: to the compiler, a byte stored into the output might change what lies there. */
typedef struct words {
    const pm_decoded *all;
    pm_id n; /* the hole behind the last */
} words;

static inline const pm_decoded *word_of(words w, pm_id id) { return &w.all[id < w.n ? id : w.n]; }

/* One id, whatever it is: writes of its bytes what fits. False for a hole. */
static bool put_piece(const pm_tokenizer *tok, words w, pm_id id, uint8_t *out, size_t cap, size_t *n) {
    const pm_decoded *word = word_of(w, id);
    if (word->len == PM_NO_PIECE) {
        return false;
    }
    pm_bytes piece = word->len == PM_LONG_PIECE ? tok->model.pieces[id] : (pm_bytes){word->bytes, word->len};
    size_t room = *n < cap ? cap - *n : 0, fits = piece.len < room ? piece.len : room;
    if (fits) {
        memcpy(out + *n, piece.data, fits);
    }
    *n += piece.len;
    return true;
}

/* Writes the bytes of up to BLOCK short ids; returns how many ids that were. There is room for a word each. */
static inline size_t put_block(words w, const pm_id *ids, uint8_t *out, size_t *n) {
    uint8_t *at = out + *n;
    size_t i = 0;
    for (; i < BLOCK; i++) {
        const pm_decoded *word = word_of(w, ids[i]);
        if (word->len > PM_SHORT_PIECE) {
            break;
        }
        memcpy(at, word, sizeof *word);
        at += word->len;
    }
    *n = (size_t)(at - out);
    return i;
}

/* Adds up the lengths of up to BLOCK short ids; returns how many ids that were. */
static inline size_t measure_block(words w, const pm_id *ids, size_t *n) {
    size_t i = 0;
    for (; i < BLOCK; i++) {
        const pm_decoded *word = word_of(w, ids[i]);
        if (word->len > PM_SHORT_PIECE) {
            break;
        }
        *n += word->len;
    }
    return i;
}

/* As many whole blocks as there are and as fit; returns how many ids that were. */
static size_t put_blocks(words w, const pm_id *ids, size_t n_ids, uint8_t *out, size_t cap, size_t *n) {
    size_t i = 0, done = BLOCK;
    while (done == BLOCK && n_ids - i >= BLOCK && *n <= cap && cap - *n >= BLOCK * sizeof(pm_decoded)) {
        done = put_block(w, ids + i, out, n);
        i += done;
    }
    return i;
}

static size_t measure_blocks(words w, const pm_id *ids, size_t n_ids, size_t *n) {
    size_t i = 0, done = BLOCK;
    while (done == BLOCK && n_ids - i >= BLOCK) {
        done = measure_block(w, ids + i, n);
        i += done;
    }
    return i;
}

/* Where a blank was put before the text: the ids up to the first that gives anything, that one without a blank at its front. Returns how many ids those are. */
static size_t put_first(const pm_tokenizer *tok, words w, const pm_id *ids, size_t n_ids, uint8_t *out, size_t cap, size_t *n) {
    size_t i = 0;
    while (i < n_ids && word_of(w, ids[i])->len == 0) {
        i++;
    }
    if (i == n_ids || ids[i] >= w.n || tok->model.kinds[ids[i]] != PM_KIND_PIECE || tok->model.pieces[ids[i]].data[0] != ' ') {
        return i;
    }
    pm_bytes piece = tok->model.pieces[ids[i]];
    *n = piece.len - 1;
    if (*n && cap) {
        memcpy(out, piece.data + 1, *n < cap ? *n : cap);
    }
    return i + 1;
}

/* By the steps of a general tokenizer: into memory, and from there what fits. */
static pm_status decode_steps(const pm_decoder *decoder, const pm_id *ids, size_t n_ids, uint8_t *out, size_t cap, size_t *n, pm_error *err) {
    pm_buf text = {0};
    pm_status status = pm_decoder_run(decoder, ids, n_ids, &text, err);
    if (status == PM_OK) {
        *n = text.len;
        if (cap && text.len) {
            memcpy(out, text.data, text.len < cap ? text.len : cap);
        }
    }
    pm_buf_release(&text);
    return status;
}

pm_status pm_decode(const pm_tokenizer *tok, const pm_id *ids, size_t n_ids, uint8_t *out, size_t cap, size_t *n_out,
                    pm_error *err) {
    const words w = {((const pm_engine *)tok->engine)->decoded, tok->vocab_size};
    size_t n = 0;

    *n_out = 0;
    cap = out ? cap : 0;
    if (tok->model.general) {
        PM_TRY(decode_steps(((const pm_engine *)tok->engine)->decoder, ids, n_ids, out, cap, &n, err));
        n_ids = 0;
    }
    for (size_t i = tok->model.add_prefix ? put_first(tok, w, ids, n_ids, out, cap, &n) : 0; i < n_ids; i++) {
        i += out ? put_blocks(w, ids + i, n_ids - i, out, cap, &n) : measure_blocks(w, ids + i, n_ids - i, &n);
        if (i < n_ids && !put_piece(tok, w, ids[i], out, cap, &n)) {
            return pm_fail_at(err, PM_BAD_ID, i, "id %u is not in the vocabulary", ids[i]);
        }
    }
    *n_out = n;
    if (out && n > cap) {
        return pm_fail(err, PM_NO_SPACE, "the ids give %zu bytes, there is room for %zu", n, cap);
    }
    return PM_OK;
}
