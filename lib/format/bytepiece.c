/* bytepiece.c - the JSON of bytepiece 0.6.3.
 *
 * One object; a member for each piece, whose key is the base64 of the bytes and whose value is [id, text, count]:
 *
 *     {
 *         "AA==": [
 *             3,
 *             "\u0000",
 *             1
 *         ],
 *         ...
 *
 * The text is the bytes decoded as UTF-8 with everything else left out; it is for people, nothing reads it. Ids 0, 1
 * and 2 are <pad>, <bos> and <eos> and not in the file. The weight of a piece is log(count / sum of counts).
 *
 * Written byte for byte as Python's json.dump(dump, indent=4, ensure_ascii=False) writes it: four spaces a level, ","
 * at line ends, ": ", no newline at the end. What it has no place for is refused: special tokens, reserved slots, a
 * model without normalization. Whether digits were isolated in training is not in it either; that changes no id.
 *
 * Pieces without ids, as bytepiece's convert_to_bytepiece takes them from elsewhere, are read too where the format is named (such a file looks like a vocab.json):
 *
 *     {"the": 1200, "中国": 77, ...}
 *
 * The key is the text itself, the value its count. As there, single bytes that are missing get the count 1, pieces that others put together beat are dropped and
 * their counts given to those others until none is, and ids go by length, then by bytes.
 *
 * Read: any order of members; ids as given, from 3. Python lets the later of two equal keys win and takes base64 with
 * foreign characters in it; both are errors here, as is a single byte that is missing: no text holding it could be
 * encoded. */
#include "base/bytes.h"
#include "base/thread.h"
#include "format/format.h"
#include "format/json.h"
#include "format/reader.h"
#include "text/utf8.h"
#include "train/prune.h"

enum { CONTROLS = 3 };
static const char *const control_names[CONTROLS] = {"<pad>", "<bos>", "<eos>"};

/* ---------------------------------------------------------------- reading ---- */

typedef struct reader {
    pm_model *model;
    pm_model given; /* pieces without ids, so that one that is there twice is found */
    pm_json json;
    pm_piece_index index;
    pm_buf bytes;
    uint64_t total;
} reader;

/* Checks [id, text, count]. */
static pm_status read_value(reader *r, const pm_json_value *array, uint64_t *id, uint64_t *count, pm_error *err) {
    const pm_json_value *item = array + 1; /* three plain values follow each other */
    if (array->type != PM_JSON_ARRAY || array->n != 3 || item[1].type != PM_JSON_STRING) {
        return pm_fail_at(err, PM_BAD_FORMAT, array->offset, "expected [id, text, count]");
    }
    if (!pm_json_u64(&item[0], id) || *id < CONTROLS || !pm_id_is_near(*id, r->json.values[0].n)) {
        return pm_fail_at(err, PM_BAD_FORMAT, item[0].offset,
                          "expected an id: a whole number from %d, not far beyond the number of pieces", CONTROLS);
    }
    if (*id < r->model->vocab_size && r->model->kinds[*id] != PM_KIND_HOLE) {
        return pm_fail_at(err, PM_BAD_FORMAT, item[0].offset, "id %llu was given already", (unsigned long long)*id);
    }
    if (!pm_json_u64(&item[2], count) || *count == 0 || *count > INT64_MAX - r->total) {
        return pm_fail_at(err, PM_BAD_FORMAT, item[2].offset,
                          "expected a count: a whole number from 1, all of them below 2^63 in sum");
    }
    return PM_OK;
}

static pm_status read_member(reader *r, const pm_json_value *key, pm_error *err) {
    uint64_t id, count;
    size_t wrong;
    PM_TRY(read_value(r, key + 1, &id, &count, err));
    r->bytes.len = 0;
    PM_TRY(pm_buf_reserve(&r->bytes, key->text.len + 3, err));
    if (key->text.len == 0 || !pm_base64_decode(&r->bytes, key->text.data, key->text.len, &wrong)) {
        return pm_fail_at(err, PM_BAD_FORMAT, key->offset, "the key is not base64 as RFC 4648 writes it");
    }
    pm_bytes piece = {r->bytes.data, r->bytes.len};
    if (pm_piece_index_find(&r->index, r->model, piece) != PM_ID_NONE) {
        return pm_fail_at(err, PM_BAD_FORMAT, key->offset, "this piece was given already");
    }
    PM_TRY(pm_model_set(r->model, (pm_id)id, PM_KIND_PIECE, piece, count, false, err));
    pm_piece_index_add(&r->index, r->model, (pm_id)id);
    r->total += count;
    return PM_OK;
}

/* ---------------------------------------------------------------- reading: pieces with counts alone ---- */

typedef struct counted {
    pm_bytes piece;
    uint64_t count;
} counted;

static int by_length_and_bytes(const void *a, const void *b) {
    pm_bytes x = ((const counted *)a)->piece, y = ((const counted *)b)->piece;
    return x.len != y.len ? (x.len > y.len) - (x.len < y.len) : pm_bytes_compare(x, y);
}

/* The pieces that pruning left, by length and bytes. */
static pm_status set_pruned(reader *r, const pm_pruned *pruned, pm_error *err) {
    counted *list = pm_alloc(pruned->n, sizeof *list);
    size_t n = 0;
    pm_status status = list ? PM_OK : pm_fail_memory(err);
    for (size_t i = 0; list && i < pruned->n; i++) {
        if (pruned->counts[0][i]) {
            list[n++] = (counted){pruned->pieces[i], pruned->counts[0][i]};
        }
    }
    if (list) {
        qsort(list, n, sizeof *list, by_length_and_bytes);
    }
    for (size_t i = 0; i < n && status == PM_OK; i++) {
        status = pm_model_set(r->model, (pm_id)(CONTROLS + i), PM_KIND_PIECE, list[i].piece, list[i].count, false, err);
    }
    pm_free(list);
    return status;
}

static pm_status add_counted(reader *r, pm_pruner *pruner, bool *is_there, pm_error *err) {
    const pm_json_value *values = r->json.values;
    for (uint32_t i = 1; i < r->json.n; i += 2) {
        pm_bytes piece = values[i].text;
        uint64_t count;
        if (piece.len == 0) {
            return pm_fail_at(err, PM_BAD_FORMAT, values[i].offset, "a piece is empty");
        }
        if (!pm_json_u64(&values[i + 1], &count) || count == 0 || count > INT64_MAX - 256 - r->total) {
            return pm_fail_at(err, PM_BAD_FORMAT, values[i + 1].offset, "expected a count: a whole number from 1, all of them below 2^63 in sum");
        }
        if (pm_piece_index_find(&r->index, &r->given, piece) != PM_ID_NONE) {
            return pm_fail_at(err, PM_BAD_FORMAT, values[i].offset, "this piece was given already");
        }
        PM_TRY(pm_model_set(&r->given, r->given.vocab_size, PM_KIND_PIECE, piece, count, true, err));
        pm_piece_index_add(&r->index, &r->given, r->given.vocab_size - 1);
        r->total += count;
        if (piece.len == 1) {
            is_there[piece.data[0]] = true;
        }
        PM_TRY(pm_pruner_add(pruner, piece, count, err));
    }
    return PM_OK;
}

static pm_status prune(reader *r, pm_pruner *pruner, pm_error *err) {
    bool is_there[256] = {false};
    size_t size = (size_t)r->json.values[0].n + 256;
    pm_pruned pruned;
    PM_TRY(add_counted(r, pruner, is_there, err));
    for (unsigned b = 0; b < 256; b++) {
        uint8_t byte = (uint8_t)b;
        PM_TRY(is_there[b] ? PM_OK : pm_pruner_add(pruner, (pm_bytes){&byte, 1}, 1, err));
    }
    PM_TRY(pm_pruner_run(pruner, &pruned, &size, 1, err));
    pm_status status = set_pruned(r, &pruned, err);
    pm_pruned_release(&pruned);
    return status;
}

static pm_status read_counted(reader *r, pm_error *err) {
    pm_prune_options options = {.max_length = SIZE_MAX, .min_count = 1, .threads = 1, .memory = UINT64_MAX};
    pm_pruner *pruner;
    pm_ticker ticker;
    pm_ticker_init(&ticker, NULL, NULL, 0);
    PM_TRY(pm_pruner_new(&pruner, &options, &ticker, err));
    pm_status status = prune(r, pruner, err);
    pm_pruner_free(pruner);
    return status;
}

/* ---------------------------------------------------------------- reading: the file ---- */

static pm_status read_json(reader *r, const pm_file *file, pm_error *err) {
    PM_TRY(pm_json_parse(&r->json, file->data, file->len, err));
    const pm_json_value *values = r->json.values;
    if (values[0].type != PM_JSON_OBJECT) {
        return pm_fail_at(err, PM_BAD_FORMAT, values[0].offset, "expected an object of pieces");
    }
    PM_TRY(pm_piece_index_init(&r->index, values[0].n, err));
    for (pm_id i = 0; i < CONTROLS; i++) {
        pm_bytes name = {(const uint8_t *)control_names[i], strlen(control_names[i])};
        PM_TRY(pm_model_set(r->model, i, PM_KIND_CONTROL, name, 0, false, err));
    }
    if (values[0].n && values[2].type == PM_JSON_NUMBER) {
        return read_counted(r, err);
    }
    for (uint32_t i = 1; i < r->json.n; i = values[i + 1].next) {
        PM_TRY(read_member(r, &values[i], err));
    }
    int missing = pm_missing_byte(&r->index, r->model);
    if (missing >= 0) {
        return pm_fail_at(err, PM_BAD_FORMAT, file->len, "no piece is the single byte 0x%02X", (unsigned)missing);
    }
    return PM_OK;
}

static pm_status read_bytepiece(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err) {
    reader r = {.model = model};
    (void)options;
    model->algorithm = PM_ALGORITHM_BYTEPIECE;
    model->normalize = true;
    pm_status status = read_json(&r, file, err);
    pm_json_release(&r.json);
    pm_piece_index_release(&r.index);
    pm_model_release(&r.given);
    pm_buf_release(&r.bytes);
    return status;
}

/* Whether text is base64, tried in stretches that fit into a room of fixed size: a piece may have any length. */
static bool is_base64(const uint8_t *text, size_t len) {
    uint8_t room[96];
    for (size_t i = 0; i < len; i += sizeof room) {
        pm_buf bytes = {room, 0, sizeof room};
        size_t n = len - i < sizeof room ? len - i : sizeof room, wrong;
        if (!pm_base64_decode(&bytes, text + i, n, &wrong)) {
            return false;
        }
    }
    return len > 0;
}

/* An object whose first key is base64 with an array behind it. */
static bool recognizes(const uint8_t *data, size_t len) {
    size_t i = pm_json_skip_space(data, len, 0);
    if (i == len || data[i] != '{') {
        return false;
    }
    i = pm_json_skip_space(data, len, i + 1);
    const uint8_t *quote = i < len && data[i] == '"' ? memchr(data + i + 1, '"', len - i - 1) : NULL;
    if (!quote) {
        return false;
    }
    size_t key = i + 1, end = (size_t)(quote - data);
    if (!is_base64(data + key, end - key)) {
        return false;
    }
    i = pm_json_skip_space(data, len, end + 1);
    if (i == len || data[i] != ':') {
        return false;
    }
    i = pm_json_skip_space(data, len, i + 1);
    return i < len && data[i] == '[';
}

/* ---------------------------------------------------------------- writing ---- */

static pm_status check_id(const pm_model *model, pm_id id, pm_error *err) {
    pm_kind kind = (pm_kind)model->kinds[id];
    if ((id < CONTROLS) != (kind == PM_KIND_CONTROL)) {
        return pm_fail(err, PM_UNSUPPORTED,
                       "bytepiece's <pad>, <bos> and <eos> are ids 0, 1 and 2; here id %u is otherwise", id);
    }
    if (kind == PM_KIND_SPECIAL || kind == PM_KIND_RESERVED) {
        return pm_fail(err, PM_UNSUPPORTED,
                       "bytepiece files have no place for special tokens and reserved slots, as id %u is", id);
    }
    if (kind == PM_KIND_PIECE && model->counts[id] == 0) {
        return pm_fail(err, PM_UNSUPPORTED, "bytepiece files need the count of each piece; that of id %u is unknown",
                       id);
    }
    return PM_OK;
}

static pm_status check_writable(const pm_tokenizer *tok, pm_error *err) {
    if (tok->model.algorithm != PM_ALGORITHM_BYTEPIECE) {
        return pm_fail(err, PM_UNSUPPORTED, "bytepiece files hold BytePiece models only");
    }
    if (!tok->model.normalize) {
        return pm_fail(err, PM_UNSUPPORTED, "bytepiece always normalizes text; this model does not");
    }
    if (pm_tokenizer_n_patterns(tok)) {
        return pm_fail(err, PM_UNSUPPORTED, "bytepiece files have no room for a pattern; this model has one");
    }
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        PM_TRY(check_id(&tok->model, id, err));
    }
    return PM_OK;
}

/* Python's bytes.decode(errors='ignore'). */
static pm_status append_valid(pm_buf *out, pm_bytes bytes, pm_error *err) {
    for (size_t i = 0; i < bytes.len;) {
        unsigned len;
        pm_utf8_read(bytes.data + i, bytes.data + bytes.len, &len);
        if (len > 1 || bytes.data[i] < 0x80) {
            PM_TRY(pm_buf_append(out, bytes.data + i, len, err));
        }
        i += len;
    }
    return PM_OK;
}

typedef struct member {
    pm_buf line, text;
} member;

static pm_status format_member(member *m, const pm_model *model, pm_id id, const char *before, pm_error *err) {
    m->line.len = m->text.len = 0;
    PM_TRY(pm_buf_printf(&m->line, err, "%s    \"", before));
    PM_TRY(pm_base64_append(&m->line, model->pieces[id], err));
    PM_TRY(pm_buf_printf(&m->line, err, "\": [\n        %u,\n        ", id));
    PM_TRY(append_valid(&m->text, model->pieces[id], err));
    PM_TRY(pm_json_quote(&m->line, (pm_bytes){m->text.data, m->text.len}, err));
    return pm_buf_printf(&m->line, err, ",\n        %llu\n    ]", (unsigned long long)model->counts[id]);
}

static pm_status write_bytepiece(const pm_tokenizer *tok, pm_writer *w, const pm_save_options *how, pm_error *err) {
    (void)how;
    PM_TRY(check_writable(tok, err));
    member m = {{0}, {0}};
    const char *before = "{\n";
    pm_status status = PM_OK;
    for (pm_id id = CONTROLS; id < tok->vocab_size && status == PM_OK; id++) {
        if (tok->model.kinds[id] == PM_KIND_PIECE) {
            status = format_member(&m, &tok->model, id, before, err);
            if (status == PM_OK) {
                status = pm_writer_write(w, m.line.data, m.line.len, err);
            }
            before = ",\n";
        }
    }
    pm_buf_release(&m.line);
    pm_buf_release(&m.text);
    PM_TRY(status);
    return pm_writer_write(w, "\n}", 2, err);
}

const pm_format_ops pm_format_bytepiece = {
    PM_FORMAT_BYTEPIECE, "bytepiece",     NULL, "BytePiece has no splitting pattern", recognizes,
    read_bytepiece,      write_bytepiece,
};
