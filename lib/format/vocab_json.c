/* vocab_json.c - vocab.json and merges.txt, the two files of GPT-2's vocabulary and those after it.
 *
 *     vocab.json   {"!":0,"\"":1,...,"Ġthe":262,...}     entries in byte-level characters
 *     merges.txt   #version: 0.2                          then a merge a line, in the order of ranks
 *                  Ġ t
 *
 * Either may be named; the other one lies beside it, "merges.txt" for "vocab.json" at the end of the name. They say nothing of how text is split: as GPT-2 does, unless a
 * pattern is given. Nor which tokens are special: those that are given, and entries with the names that GPT-2 and RoBERTa have for them. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "base/bytes.h"
#include "format/fields.h"
#include "format/format.h"
#include "format/merges.h"
#include "text/byte_level.h"

static const char vocab_name[] = "vocab.json", merges_name[] = "merges.txt";

static const char *const special_names[] = {"<|endoftext|>", "<s>", "<pad>", "</s>", "<unk>", "<mask>"};
enum { N_SPECIALS = sizeof special_names / sizeof *special_names };

typedef struct reader {
    pm_model *model;
    const pm_load_options *options;
    pm_piece_index index;
    pm_buf scratch;
} reader;

/* ---------------------------------------------------------------- the two paths ---- */

static bool ends_with(const char *path, const char *ending) {
    size_t len = strlen(path), n = strlen(ending);
    return len >= n && strcmp(path + len - n, ending) == 0;
}

/* The path of the file beside `path`: "x-merges.txt" for "x-vocab.json", else "merges.txt" in the same folder. To be freed; NULL: out of memory. */
static char *path_beside(const char *path, const char *from, const char *to) {
    const char *slash = strrchr(path, '/');
    size_t keep = ends_with(path, from) ? strlen(path) - strlen(from) : slash ? (size_t)(slash - path) + 1 : 0, n = strlen(to) + 1;
    char *out = pm_alloc(keep + n, 1);
    if (out) {
        memcpy(out, path, keep);
        memcpy(out + keep, to, n);
    }
    return out;
}

/* ---------------------------------------------------------------- reading ---- */

/* An object that begins with a text and a number, and has an entry for the blank, as every such vocabulary must. */
static bool is_vocab(const uint8_t *data, size_t len) {
    static const char blank[] = "\"\u0120\"", escaped[] = "\"\\u0120\"";
    size_t i = pm_json_skip_space(data, len, 0);
    if (i == len || data[i] != '{') {
        return false;
    }
    i = pm_json_skip_space(data, len, i + 1);
    if (i == len || data[i] != '"') {
        return false;
    }
    for (i++; i < len && data[i] != '"'; i++) {
        i += data[i] == '\\';
    }
    i = i < len ? pm_json_skip_space(data, len, i + 1) : len;
    i = i < len && data[i] == ':' ? pm_json_skip_space(data, len, i + 1) : len;
    return i < len && data[i] >= '0' && data[i] <= '9' && (memmem(data, len, blank, sizeof blank - 1) || memmem(data, len, escaped, sizeof escaped - 1));
}

static bool is_merges(const uint8_t *data, size_t len) { return len >= 9 && memcmp(data, "#version:", 9) == 0; }

static bool recognizes(const uint8_t *data, size_t len) { return is_vocab(data, len) || is_merges(data, len); }

static bool is_special(const reader *r, pm_bytes text) {
    for (size_t i = 0; i < N_SPECIALS; i++) {
        if (pm_bytes_equal(text, (pm_bytes){(const uint8_t *)special_names[i], strlen(special_names[i])})) {
            return true;
        }
    }
    for (size_t i = 0; i < r->options->n_special_tokens; i++) {
        if (pm_bytes_equal(text, r->options->special_tokens[i].text)) {
            return true;
        }
    }
    return false;
}

static pm_status read_entry(reader *r, const pm_json_value *key, uint64_t n, pm_error *err) {
    uint64_t id;
    if (!pm_json_u64(key + 1, &id) || !pm_id_is_near(id, n)) {
        return pm_fail_at(err, PM_BAD_FORMAT, key[1].offset, "expected an id: a whole number, not far beyond the number of entries");
    }
    if (id < r->model->vocab_size && r->model->kinds[id] != PM_KIND_HOLE) {
        return pm_fail_at(err, PM_BAD_FORMAT, key[1].offset, "id %u was given already", (pm_id)id);
    }
    return is_special(r, key->text) ? pm_model_set(r->model, (pm_id)id, PM_KIND_SPECIAL, key->text, 0, false, err)
                                    : pm_byte_level_entry(r->model, &r->index, &r->scratch, (pm_id)id, key->text, key->offset, err);
}

static pm_status read_entries(reader *r, const pm_json *json, pm_error *err) {
    const pm_json_value *root = json->values;
    if (root->type != PM_JSON_OBJECT) {
        return pm_fail_at(err, PM_BAD_FORMAT, root->offset, "expected an object of entries and their ids");
    }
    PM_TRY(pm_piece_index_init(&r->index, root->n, err));
    for (uint32_t i = 1; i < root->next; i = json->values[i + 1].next) {
        PM_TRY(read_entry(r, &json->values[i], root->n, err));
    }
    int missing = pm_missing_byte(&r->index, r->model);
    return missing < 0 ? PM_OK
                       : pm_fail_at(err, PM_UNSUPPORTED, root->offset, "the vocabulary lacks the single byte 0x%02X: that is not supported", (unsigned)missing);
}

static pm_status read_vocab(reader *r, const pm_file *file, const char *path, pm_error *err) {
    pm_json json = {0};
    pm_status status = pm_json_parse(&json, file->data, file->len, err);
    if (status == PM_OK) {
        status = read_entries(r, &json, err);
    }
    pm_json_release(&json);
    return pm_error_in_file(err, status, path);
}

static pm_status read_line(reader *r, pm_bytes line, uint64_t offset, pm_error *err) {
    static const uint8_t word_end[] = "</w>";
    pm_bytes left, right;
    if (!pm_merge_halves(line, &left, &right)) {
        return pm_fail_at(err, PM_BAD_FORMAT, offset, "expected a merge: \"a b\"");
    }
    if (right.len > 4 && memcmp(right.data + right.len - 4, word_end, 4) == 0) {
        return pm_fail_at(err, PM_UNSUPPORTED, offset, "entries end in </w>, as where words have an end of their own: only a tokenizer.json tells how text is treated then");
    }
    return pm_byte_level_merge(r->model, &r->index, &r->scratch, left, right, offset, err);
}

static pm_status read_merges(reader *r, const pm_file *file, const char *path, pm_error *err) {
    pm_status status = PM_OK;
    for (size_t at = 0; at < file->len && status == PM_OK;) {
        const uint8_t *line = file->data + at, *end = memchr(line, '\n', file->len - at);
        size_t n = end ? (size_t)(end - line) : file->len - at, offset = at;
        at += n + (end != NULL);
        n -= n > 0 && line[n - 1] == '\r';
        if (n > 0 && !(offset == 0 && is_merges(line, n))) {
            status = read_line(r, (pm_bytes){line, n}, offset, err);
        }
    }
    return pm_error_in_file(err, status, path);
}

static pm_status read_both(reader *r, const pm_file *file, pm_error *err) {
    pm_file beside;
    bool vocab = !is_merges(file->data, file->len);
    char *path = vocab ? path_beside(file->path, vocab_name, merges_name) : path_beside(file->path, merges_name, vocab_name);
    if (!path) {
        return pm_fail_memory(err);
    }
    pm_status status = pm_file_open(&beside, path, (r->options->flags & PM_LOAD_COPY) != 0, err);
    if (status == PM_OK) {
        status = read_vocab(r, vocab ? file : &beside, vocab ? file->path : path, err);
        status = status == PM_OK ? read_merges(r, vocab ? &beside : file, vocab ? path : file->path, err) : status;
        pm_file_close(&beside);
    }
    pm_free(path);
    return status;
}

static pm_status read_hf_vocab(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err) {
    static const char *const gpt2[] = {"gpt2"};
    reader r = {.model = model, .options = options};
    model->algorithm = PM_ALGORITHM_BPE;
    pm_status status = read_both(&r, file, err);
    pm_piece_index_release(&r.index);
    pm_buf_release(&r.scratch);
    PM_TRY(status);
    bool given = options->n_patterns > 0;
    return pm_splitter_new(&model->splitter, given ? options->patterns : gpt2, given ? options->n_patterns : 1, err);
}

/* ---------------------------------------------------------------- writing ---- */

static bool is_known_special(pm_bytes text) {
    static const pm_load_options none = PM_LOAD_OPTIONS_INIT;
    reader r = {.options = &none};
    return is_special(&r, text);
}

static pm_status check_special(const pm_tokenizer *tok, const pm_save_options *how, pm_buf *scratch, pm_bytes text, pm_error *err) {
    scratch->len = 0;
    PM_TRY(pm_buf_reserve(scratch, text.len, err));
    if (pm_byte_level_decode(scratch, text) && pm_tokenizer_find_piece(tok, scratch->data, scratch->len) != PM_ID_NONE) {
        return pm_fail(err, PM_UNSUPPORTED, "a special token reads like a piece in byte-level characters: vocab.json cannot hold both");
    }
    size_t wrong;
    if (!pm_is_utf8(text, &wrong)) {
        return pm_fail(err, PM_UNSUPPORTED, "a special token is not UTF-8: vocab.json cannot hold it");
    }
    return is_known_special(text) ? PM_OK : pm_lose(how, err, "vocab.json does not say that %.*s is a special token", text.len < 64 ? (int)text.len : 64, (const char *)text.data);
}

static pm_status check_writable(const pm_tokenizer *tok, const pm_save_options *how, pm_buf *scratch, pm_error *err) {
    const pm_model *model = &tok->model;
    size_t pieces = 0;
    if (model->algorithm != PM_ALGORITHM_BPE || model->general || model->characters) {
        return pm_fail(err, PM_UNSUPPORTED, "vocab.json and merges.txt are for BPE over bytes");
    }
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        pieces += model->kinds[id] == PM_KIND_PIECE;
        if (model->kinds[id] == PM_KIND_PIECE && pm_model_is_alone(model, id)) {
            PM_TRY(pm_lose(how, err, "vocab.json does not say that token %u is always found in text", id));
        }
    }
    if (model->whole_first && !(model->derived && pieces - 256 == model->n_merges)) {
        PM_TRY(pm_lose(how, err, "vocab.json and merges.txt do not say that a whole entry goes before any merge"));
    }
    if (strcmp(pm_tokenizer_pattern_name(tok), "gpt2") != 0) {
        PM_TRY(pm_lose(how, err, "vocab.json and merges.txt hold no pattern: text is split as GPT-2 does"));
    }
    if (model->normalize) {
        PM_TRY(pm_lose(how, err, "vocab.json and merges.txt do not say that text is normalized"));
    }
    for (size_t i = 0; i < tok->n_specials; i++) {
        PM_TRY(check_special(tok, how, scratch, tok->specials[i].text, err));
    }
    return PM_OK;
}

static bool is_entry(const pm_model *model, pm_id id) { return model->kinds[id] == PM_KIND_PIECE || model->kinds[id] == PM_KIND_SPECIAL; }

static bool is_as_it_stands(const pm_model *model, pm_id id) { return model->kinds[id] == PM_KIND_SPECIAL || pm_model_is_alone(model, id); }

static pm_status write_vocab(const pm_tokenizer *tok, pm_writer *w, pm_buf *line, pm_buf *spelt, pm_error *err) {
    const pm_model *model = &tok->model;
    const char *before = "{";
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        if (!is_entry(model, id)) {
            continue;
        }
        pm_bytes text = model->pieces[id];
        line->len = spelt->len = 0;
        if (!is_as_it_stands(model, id)) {
            PM_TRY(pm_byte_level_append(spelt, text, err));
            text = (pm_bytes){spelt->data, spelt->len};
        }
        PM_TRY(pm_buf_append(line, before, 1, err));
        PM_TRY(pm_json_quote(line, text, err));
        PM_TRY(pm_buf_printf(line, err, ":%u", id));
        PM_TRY(pm_writer_write(w, line->data, line->len, err));
        before = ",";
    }
    return pm_writer_write(w, "}", 1, err);
}

static pm_status write_merges(const pm_tokenizer *tok, pm_writer *w, pm_buf *line, pm_error *err) {
    const pm_model *model = &tok->model;
    PM_TRY(pm_writer_write(w, "#version: 0.2\n", 14, err));
    for (size_t i = 0; i < model->n_merges; i++) {
        line->len = 0;
        PM_TRY(pm_byte_level_append(line, model->pieces[model->merges[i].left], err));
        PM_TRY(pm_buf_append(line, " ", 1, err));
        PM_TRY(pm_byte_level_append(line, model->pieces[model->merges[i].right], err));
        PM_TRY(pm_buf_append(line, "\n", 1, err));
        PM_TRY(pm_writer_write(w, line->data, line->len, err));
    }
    return PM_OK;
}

static pm_status write_merges_beside(const pm_tokenizer *tok, const pm_writer *w, pm_buf *line, pm_error *err) {
    pm_writer merges;
    char *path = path_beside(w->path, vocab_name, merges_name);
    if (!path) {
        return pm_fail_memory(err);
    }
    pm_status status = pm_writer_open(&merges, path, err);
    if (status == PM_OK) {
        status = write_merges(tok, &merges, line, err);
    }
    status = pm_error_in_file(err, pm_writer_close(&merges, status, err), path);
    pm_free(path);
    return status;
}

/* The merges are in place before the vocabulary is: two files cannot change at once. */
static pm_status write_hf_vocab(const pm_tokenizer *tok, pm_writer *w, const pm_save_options *how, pm_error *err) {
    pm_buf line = {0}, spelt = {0};
    pm_status status = check_writable(tok, how, &spelt, err);
    status = status == PM_OK ? write_vocab(tok, w, &line, &spelt, err) : status;
    status = status == PM_OK ? write_merges_beside(tok, w, &line, err) : status;
    pm_buf_release(&line);
    pm_buf_release(&spelt);
    return status;
}

const pm_format_ops pm_format_hf_vocab = {
    PM_FORMAT_HF_VOCAB, "hf-vocab", "vocab.json", NULL, recognizes, read_hf_vocab, write_hf_vocab,
};
