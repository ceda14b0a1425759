/* llama2c.c - tokenizer.bin, the vocabulary of llama2.c: sentencepiece's BPE with byte fallback, bare.
 *
 *     07 00 00 00                                        uint32: the bytes of the longest piece
 *     00 00 00 00   05 00 00 00   < u n k >              of each piece: float32 score, int32 length, bytes; to the end of the file
 *     00 00 00 00   05 00 00 00   \n < s > \n
 *     00 00 00 00   06 00 00 00   \n < / s > \n
 *     00 00 00 00   06 00 00 00   < 0 x 0 0 >            ids 3 to 258: the bytes
 *     00 00 00 80   02 00 00 00   ' ' t                  and the pieces, with blanks for U+2581
 *
 * Numbers are little-endian. Types are not written: run.c knows the first 259 ids by their places, so no file with others there is one. Neither is the rest of what
 * sentencepiece knows; run.c puts a blank before a text and joins the pair with the highest score. The file reads as the .model that it was made from: U+2581 in a text is
 * a blank, where run.c has bytes.
 *
 * Written are vocabularies of just that sort. Control tokens beyond the first three, and user-defined ones, lose what they are: with PM_SAVE_LOSSY only. */
#include "format/characters.h"
#include "format/format.h"
#include "format/scored.h"

#include "base/bytes.h"

enum { NAMED = 3, FIRST_PIECE = NAMED + 256, HEAD = 4, ENTRY = 8 };
static const char *const names[NAMED] = {"<unk>", "<s>", "</s>"}, *const spelled[NAMED] = {"<unk>", "\n<s>\n", "\n</s>\n"};

static pm_bytes bytes_of(const char *text) { return (pm_bytes){(const uint8_t *)text, strlen(text)}; }

/* ---------------------------------------------------------------- reading ---- */

static uint32_t read_u32(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }

static float read_float(const uint8_t *p) {
    uint32_t bits = read_u32(p);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The entry at data[at]. False: it is cut off. */
static bool read_entry(const uint8_t *data, size_t len, size_t at, pm_scored_piece *piece) {
    if (len - at < ENTRY || read_u32(data + at + 4) > len - at - ENTRY) {
        return false;
    }
    *piece = (pm_scored_piece){{data + at + ENTRY, read_u32(data + at + 4)}, read_float(data + at), PM_SCORED_NORMAL};
    return true;
}

/* Is it what stands at this id in every file? Then it gets its type and sentencepiece's name. */
static bool take_place(pm_scored_piece *piece, uint32_t id) {
    if (id < NAMED) {
        bool is = pm_bytes_equal(piece->text, bytes_of(spelled[id]));
        *piece = (pm_scored_piece){bytes_of(names[id]), piece->score, id ? PM_SCORED_CONTROL : PM_SCORED_UNKNOWN};
        return is;
    }
    if (id < FIRST_PIECE) {
        piece->type = PM_SCORED_BYTE;
        return pm_byte_from_name(piece->text) == (int)(id - NAMED);
    }
    return true;
}

/* The first 259 entries are what they must be. */
static bool recognizes(const uint8_t *data, size_t len) {
    size_t at = HEAD;
    if (len < HEAD) {
        return false;
    }
    for (uint32_t id = 0; id < FIRST_PIECE; id++) {
        pm_scored_piece piece;
        if (!read_entry(data, len, at, &piece)) {
            return false;
        }
        at += ENTRY + piece.text.len;
        if (!take_place(&piece, id)) {
            return false;
        }
    }
    return true;
}

static pm_status read_pieces(pm_model *model, const pm_file *file, pm_buf *text, pm_error *err) {
    uint32_t longest = 0, id = 0;
    if (file->len < HEAD) {
        return pm_fail_at(err, PM_BAD_FORMAT, file->len, "cut off in the length of the longest piece");
    }
    for (size_t at = HEAD, next; at < file->len; at = next, id++) {
        pm_scored_piece piece;
        if (!read_entry(file->data, file->len, at, &piece)) {
            return pm_fail_at(err, PM_BAD_FORMAT, at, "piece %u is cut off", id);
        }
        next = at + ENTRY + piece.text.len;
        longest = piece.text.len > longest ? (uint32_t)piece.text.len : longest;
        if (!take_place(&piece, id)) {
            return pm_fail_at(err, PM_BAD_FORMAT, at, "piece %u is not what all files of llama2.c have there: <unk>, <s>, </s>, then the bytes", id);
        }
        text->len = 0;
        PM_TRY(piece.type == PM_SCORED_NORMAL ? pm_marked_append(text, piece.text, err) : PM_OK);
        piece.text = piece.type == PM_SCORED_NORMAL ? (pm_bytes){text->data, text->len} : piece.text;
        PM_TRY(pm_scored_add(model, &piece, at, err));
    }
    if (read_u32(file->data) < longest) {
        return pm_fail_at(err, PM_BAD_FORMAT, 0, "the longest piece has %u bytes, not %u", longest, read_u32(file->data));
    }
    return id >= FIRST_PIECE ? PM_OK : pm_fail_at(err, PM_BAD_FORMAT, file->len, "only %u pieces of 259 at least", id);
}

static pm_status read_llama2c(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err) {
    static const pm_scored_rules rules = {
        .algorithm = PM_ALGORITHM_BPE, .byte_fallback = true, .flags = PM_STEP_DUMMY_PREFIX | PM_STEP_ESCAPE_BLANKS, .bos = 1, .eos = 2};
    pm_buf text = {0};
    (void)options;
    pm_status status = read_pieces(model, file, &text, err);
    pm_buf_release(&text);
    PM_TRY(status);
    return pm_scored_end(model, &rules, err);
}

/* ---------------------------------------------------------------- writing ---- */

static const char what[] = "a tokenizer.bin";

static pm_status check_rules(const pm_scored_view *view, const pm_save_options *how, pm_error *err) {
    const pm_scored_rules *r = &view->rules;
    if (r->algorithm != PM_ALGORITHM_BPE || r->no_merges || !r->byte_fallback) {
        return pm_fail(err, PM_UNSUPPORTED, "%s holds BPE over characters with byte fallback only", what);
    }
    PM_TRY(r->charsmap.len || r->flags & PM_STEP_REMOVE_EXTRA_BLANKS ? pm_lose(how, err, "%s holds no normalization of text", what) : PM_OK);
    PM_TRY(r->flags & PM_STEP_DUMMY_PREFIX && !(r->flags & PM_STEP_AS_SUFFIX) ? PM_OK : pm_lose(how, err, "a blank comes before every text"));
    return r->flags & PM_STEP_ESCAPE_BLANKS ? PM_OK : pm_lose(how, err, "blanks and U+2581 are the same in %s", what);
}

/* The piece's text as it goes into the file. */
static pm_status spell(pm_scored_piece *piece, size_t id, pm_buf *text, const pm_save_options *how, pm_error *err) {
    text->len = 0;
    PM_TRY(pm_buf_reserve(text, piece->text.len, err));
    if (id < FIRST_PIECE) {
        bool is = id < NAMED ? piece->type == (id ? PM_SCORED_CONTROL : PM_SCORED_UNKNOWN) && pm_bytes_equal(piece->text, bytes_of(names[id]))
                             : piece->type == PM_SCORED_BYTE && pm_byte_from_name(piece->text) == (int)(id - NAMED);
        piece->text = is && id < NAMED ? bytes_of(spelled[id]) : piece->text;
        return is ? PM_OK : pm_fail(err, PM_UNSUPPORTED, "id %zu of %s must be %s; here it is another", id, what, id < NAMED ? names[id] : "a byte token");
    }
    if (piece->type != PM_SCORED_NORMAL) {
        return pm_lose(how, err, "piece %zu is not found by merging alone, but everything in %s is", id, what);
    }
    if (!pm_marked_decode(text, piece->text)) {
        return pm_fail(err, PM_UNSUPPORTED, "piece %zu holds a blank beside U+2581: they would be the same in %s", id, what);
    }
    piece->text = (pm_bytes){text->data, text->len};
    return PM_OK;
}

static void put_u32(uint8_t *p, uint32_t n) {
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(n >> 8 * i);
    }
}

static pm_status put_piece(pm_buf *out, const pm_scored_piece *piece, uint32_t *longest, pm_error *err) {
    uint8_t head[ENTRY];
    uint32_t bits;
    if (piece->text.len > INT32_MAX) {
        return pm_fail(err, PM_UNSUPPORTED, "a piece is longer than 2 GiB");
    }
    memcpy(&bits, &piece->score, sizeof bits);
    put_u32(head, bits);
    put_u32(head + 4, (uint32_t)piece->text.len);
    *longest = piece->text.len > *longest ? (uint32_t)piece->text.len : *longest;
    PM_TRY(pm_buf_append(out, head, sizeof head, err));
    return pm_buf_append(out, piece->text.data, piece->text.len, err);
}

static pm_status put_pieces(pm_scored_view *view, pm_buf *out, pm_buf *text, const pm_save_options *how, pm_error *err) {
    uint32_t longest = 0;
    PM_TRY(check_rules(view, how, err));
    PM_TRY(pm_buf_append(out, "\0\0\0\0", HEAD, err));
    for (size_t i = 0; i < view->n; i++) {
        pm_scored_piece piece;
        PM_TRY(pm_scored_get(view, i, &piece, err));
        PM_TRY(spell(&piece, i, text, how, err));
        PM_TRY(put_piece(out, &piece, &longest, err));
    }
    put_u32(out->data, longest);
    return PM_OK;
}

static pm_status write_llama2c(const pm_tokenizer *tok, pm_writer *w, const pm_save_options *how, pm_error *err) {
    pm_buf out = {0}, text = {0};
    pm_scored_view view;
    pm_status status = pm_scored_open(&view, tok, what, how, err);
    if (status == PM_OK) {
        status = put_pieces(&view, &out, &text, how, err);
    }
    if (status == PM_OK) {
        status = pm_writer_write(w, out.data, out.len, err);
    }
    pm_scored_close(&view);
    pm_buf_release(&out);
    pm_buf_release(&text);
    return status;
}

const pm_format_ops pm_format_llama2c = {
    PM_FORMAT_LLAMA2C, "llama2c", NULL, "a tokenizer.bin splits nothing", recognizes, read_llama2c, write_llama2c,
};
