/* tiktoken.c - .tiktoken files: the mergeable ranks of a BPE vocabulary.
 *
 * Each line is the base64 of an entry's bytes, a space and its rank in decimal, and the rank is the id:
 *
 *     IQ== 0
 *     Ig== 1
 *     ...
 *     IHQ= 256
 *
 * That is all a file holds. Merges are not in it: BPE joins the two neighbours whose joined bytes have the lowest rank,
 * so the merge of an entry is what the lower ranks leave of its bytes (encode/derive.c finds it). A pre-token that is
 * an entry is that entry at once. The pattern and the special tokens belong to the program that uses the file: they are
 * load options here, and nothing of them, nor counts, nor reserved slots, is written.
 *
 * Read: any order of lines, holes between ranks, CRLF, empty lines at the end only. An entry or a rank twice, a single
 * byte that is missing, base64 that another writer would not write: an error with its position. tiktoken itself is
 * laxer (it skips empty lines everywhere and lets the later of two equal entries win); no file that is in use needs
 * that. Whisper's multilingual.tiktoken ends in an entry without bytes, "= 50256": a rank that no text has and that decodes to nothing, so a reserved slot.
 *
 * Written: only what reads back as the same tokenizer. The ids must be ranks: the merges that they imply are derived
 * and compared with those of the tokenizer. */
#include "encode/derive.h"
#include "format/format.h"
#include "format/reader.h"

/* Where in the file a line and its parts lie. */
typedef struct line {
    size_t start, token_end, rank, end, next;
} line;

/* Splits at the space and the line's end; false: the line is empty. */
static bool split_line(const uint8_t *data, size_t len, size_t start, line *l) {
    const uint8_t *newline = memchr(data + start, '\n', len - start);
    l->start = start;
    l->end = newline ? (size_t)(newline - data) : len;
    l->next = newline ? l->end + 1 : len;
    if (newline && l->end > start && data[l->end - 1] == '\r') {
        l->end--;
    }
    const uint8_t *space = memchr(data + start, ' ', l->end - start);
    l->token_end = space ? (size_t)(space - data) : l->end;
    l->rank = space ? l->token_end + 1 : l->end;
    return l->end > start;
}

/* A decimal number without sign or leading zeros, filling data[at .. end). */
static bool read_rank(const uint8_t *data, size_t at, size_t end, uint64_t *rank) {
    *rank = 0;
    if (at >= end || end - at > 10 || (data[at] == '0' && end - at > 1)) {
        return false;
    }
    for (; at < end; at++) {
        if (data[at] < '0' || data[at] > '9') {
            return false;
        }
        *rank = *rank * 10 + (uint64_t)(data[at] - '0');
    }
    return true;
}

typedef struct reader {
    pm_model *model;
    const uint8_t *data;
    size_t len;
    size_t n_lines;
    pm_piece_index index;
    pm_buf token;
} reader;

static pm_status read_line(reader *r, const line *l, pm_error *err) {
    uint64_t rank;
    size_t wrong;
    r->token.len = 0;
    PM_TRY(pm_buf_reserve(&r->token, l->token_end - l->start + 3, err));
    if (l->token_end == l->start) {
        return pm_fail_at(err, PM_BAD_FORMAT, l->start, "expected base64, a space and a rank");
    }
    bool nothing = l->token_end - l->start == 1 && r->data[l->start] == '=';
    if (!nothing && !pm_base64_decode(&r->token, r->data + l->start, l->token_end - l->start, &wrong)) {
        return pm_fail_at(err, PM_BAD_FORMAT, l->start + wrong, "not base64 as RFC 4648 writes it");
    }
    if (!read_rank(r->data, l->rank, l->end, &rank)) {
        return pm_fail_at(err, PM_BAD_FORMAT, l->rank, "expected a rank, in decimal, behind the base64 and one space");
    }
    if (!pm_id_is_near(rank, r->n_lines)) {
        return pm_fail_at(err, PM_BAD_FORMAT, l->rank, "rank %llu is far beyond the number of entries, %zu",
                          (unsigned long long)rank, r->n_lines);
    }
    pm_bytes piece = {r->token.data, r->token.len};
    pm_id other = pm_piece_index_find(&r->index, r->model, piece);
    if (other != PM_ID_NONE) {
        return pm_fail_at(err, PM_BAD_FORMAT, l->start, "this entry was given already, with rank %u", other);
    }
    if (rank < r->model->vocab_size && r->model->kinds[rank] != PM_KIND_HOLE) {
        return pm_fail_at(err, PM_BAD_FORMAT, l->rank, "rank %llu was given already", (unsigned long long)rank);
    }
    PM_TRY(pm_model_set(r->model, (pm_id)rank, nothing ? PM_KIND_RESERVED : PM_KIND_PIECE, piece, 0, false, err));
    if (!nothing) {
        pm_piece_index_add(&r->index, r->model, (pm_id)rank);
    }
    return PM_OK;
}

static size_t count_lines(const uint8_t *data, size_t len) {
    size_t n = 1;
    for (size_t i = 0; i < len; i++) {
        n += data[i] == '\n';
    }
    return n;
}

static pm_status read_lines(reader *r, pm_error *err) {
    size_t blank = SIZE_MAX;
    line l = {0};
    for (size_t at = 0; at < r->len; at = l.next) {
        if (!split_line(r->data, r->len, at, &l)) {
            blank = blank == SIZE_MAX ? at : blank;
            continue;
        }
        if (blank != SIZE_MAX) {
            return pm_fail_at(err, PM_BAD_FORMAT, blank, "an empty line before the end");
        }
        PM_TRY(read_line(r, &l, err));
    }
    int missing = pm_missing_byte(&r->index, r->model);
    if (missing >= 0) {
        return pm_fail_at(err, PM_BAD_FORMAT, r->len, "no entry is the single byte 0x%02X", (unsigned)missing);
    }
    return PM_OK;
}

static pm_status read_tiktoken(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err) {
    reader r = {model, file->data, file->len, count_lines(file->data, file->len), {0}, {0}};
    model->algorithm = PM_ALGORITHM_BPE;
    model->whole_first = true;
    pm_status status = pm_piece_index_init(&r.index, r.n_lines, err);
    if (status == PM_OK) {
        status = read_lines(&r, err);
    }
    pm_piece_index_release(&r.index);
    pm_buf_release(&r.token);
    PM_TRY(status);
    PM_TRY(pm_bpe_derive_merges(model, err));
    return pm_splitter_new(&model->splitter, options->patterns, options->n_patterns, err);
}

/* The first line that is not empty must be one of ours. */
static bool recognizes(const uint8_t *data, size_t len) {
    line l;
    uint64_t rank;
    if (len == 0 || !split_line(data, len, 0, &l) || l.token_end == l.start || (l.token_end - l.start) % 4) {
        return false;
    }
    for (size_t i = l.start; i < l.token_end; i++) {
        uint8_t c = data[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && !(c >= '0' && c <= '9') && c != '+' && c != '/' && c != '=') {
            return false;
        }
    }
    return read_rank(data, l.rank, l.end, &rank);
}

/* ---------------------------------------------------------------- writing ---- */

/* The merges that the ids imply when they are read as ranks, into an empty model. */
static pm_status implied_merges(pm_model *model, const pm_tokenizer *tok, pm_error *err) {
    model->algorithm = PM_ALGORITHM_BPE;
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        if (pm_model_is_piece(&tok->model, id)) {
            PM_TRY(pm_model_set(model, id, PM_KIND_PIECE, tok->model.pieces[id], 0, true, err));
        }
    }
    return pm_bpe_derive_merges(model, err);
}

/* Compares the tokenizer with what a reader would make of its ids. */
static pm_status check_ranks(const pm_tokenizer *tok, const pm_model *implied, size_t n_pieces, pm_error *err) {
    const pm_model *model = &tok->model;
    for (size_t i = 0; i < implied->n_merges || i < model->n_merges; i++) {
        if (i >= implied->n_merges || i >= model->n_merges ||
            memcmp(&implied->merges[i], &model->merges[i], sizeof *model->merges) != 0) {
            return pm_fail(err, PM_UNSUPPORTED,
                           "tiktoken files hold no merges but ranks, and the ids of this vocabulary are not the ranks "
                           "of its merges "
                           "(merge %zu differs)",
                           i);
        }
    }
    /* Every entry the result of a merge of its own bytes: then it makes no difference whether whole entries go first.
     */
    if (!model->whole_first && n_pieces - 256 != model->n_merges) {
        return pm_fail(err, PM_UNSUPPORTED,
                       "tiktoken takes an entry that is a whole pre-token before any merge; this vocabulary "
                       "does not and has entries that its merges cannot make");
    }
    return PM_OK;
}

static pm_status check_writable(const pm_tokenizer *tok, const pm_save_options *how, pm_error *err) {
    if (tok->model.algorithm != PM_ALGORITHM_BPE) {
        return pm_fail(err, PM_UNSUPPORTED, "tiktoken files hold BPE vocabularies only");
    }
    if (tok->model.characters || tok->model.general) {
        return pm_fail(err, PM_UNSUPPORTED, "tiktoken files hold BPE over bytes; this one is %s", tok->model.general ? "a pipeline of its own" : "over characters");
    }
    if (tok->model.normalize) {
        PM_TRY(pm_lose(how, err, "tiktoken files do not say that text is normalized (NFC)"));
    }
    pm_model implied = {0};
    size_t n_pieces = 0;
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        n_pieces += pm_model_is_piece(&tok->model, id);
        if (tok->model.kinds[id] == PM_KIND_PIECE && pm_model_is_alone(&tok->model, id)) {
            PM_TRY(pm_lose(how, err, "tiktoken files do not hold token %u, which is always found in text", id));
        }
    }
    pm_status status = implied_merges(&implied, tok, err);
    if (status == PM_OK) {
        status = check_ranks(tok, &implied, n_pieces, err);
    }
    pm_model_release(&implied);
    return status;
}

static pm_status write_tiktoken(const pm_tokenizer *tok, pm_writer *w, const pm_save_options *how, pm_error *err) {
    PM_TRY(check_writable(tok, how, err));
    pm_buf text = {0};
    pm_status status = PM_OK;
    for (pm_id id = 0; id < tok->vocab_size && status == PM_OK; id++) {
        if (!pm_model_is_piece(&tok->model, id)) {
            continue;
        }
        text.len = 0;
        status = pm_base64_append(&text, tok->model.pieces[id], err);
        if (status == PM_OK) {
            status = pm_buf_printf(&text, err, " %u\n", id);
        }
        if (status == PM_OK) {
            status = pm_writer_write(w, text.data, text.len, err);
        }
    }
    pm_buf_release(&text);
    return status;
}

const pm_format_ops pm_format_tiktoken = {
    PM_FORMAT_TIKTOKEN, "tiktoken", ".tiktoken", NULL, recognizes, read_tiktoken, write_tiktoken,
};
