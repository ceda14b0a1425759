/* tekken.c - tekken.json, the file of Mistral's tokenizers: tiktoken's ranks with a pattern, and special tokens before them.
 *
 *     {"config": {"pattern": "...", "num_vocab_tokens": 150000, "default_vocab_size": 131072, "default_num_special_tokens": 1000, "version": "v3"},
 *      "vocab": [{"rank": 0, "token_bytes": "AA==", "token_str": "\u0000"}, ...],
 *      "special_tokens": [{"rank": 0, "token_str": "<unk>", "is_control": true}, ...]}
 *
 * Ids are as mistral-common (tekken.py) makes them: the special tokens have the ids 0 to default_num_special_tokens - 1, those that the file does not name are
 * <SPECIAL_n>; the entry of rank r has the id r + default_num_special_tokens, and only so many are used that all are default_vocab_size. Files up to version 7 may be
 * without special_tokens: then they are the twenty below. What the files say of images and audio changes no id and is passed over.
 *
 * <s> and </s> stand around a text when special tokens are asked for. Files of this format are read only. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <stdio.h>

#include "encode/derive.h"
#include "format/fields.h"
#include "format/format.h"
#include "format/reader.h"
#include "format/roles.h"

static const char *const old_special_tokens[] = {
    "<unk>",          "<s>",          "</s>", "[INST]", "[/INST]",     "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",  "[TOOL_CALLS]",
    "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"};
enum { N_OLD = sizeof old_special_tokens / sizeof *old_special_tokens, LAST_WITHOUT_SPECIALS = 7, MOST_SPECIALS = 1 << 20 };

typedef struct reader {
    pm_model *model;
    pm_json json;
    pm_piece_index index;
    pm_buf bytes;
    uint64_t n_special, n_entries;
    pm_id bos, eos;
} reader;

static pm_status expect(bool is_so, const pm_json_value *value, const char *what, pm_error *err) {
    return is_so ? PM_OK : pm_fail_at(err, PM_BAD_FORMAT, value ? value->offset : 0, "expected %s", what);
}

/* ---------------------------------------------------------------- config ---- */

enum { PATTERN, N_VOCAB, SIZE, N_SPECIAL, VERSION, N_CONFIG };

/* "v3", "v11": a number behind a v. */
static bool read_version(const pm_json_value *value, unsigned *version) {
    *version = 0;
    if (!value || value->type != PM_JSON_STRING || value->text.len < 2 || value->text.len > 4 || value->text.data[0] != 'v') {
        return false;
    }
    for (size_t i = 1; i < value->text.len; i++) {
        if (value->text.data[i] < '0' || value->text.data[i] > '9') {
            return false;
        }
        *version = *version * 10 + (unsigned)(value->text.data[i] - '0');
    }
    return true;
}

static pm_status read_sizes(reader *r, const pm_field *fields, pm_error *err) {
    uint64_t size;
    PM_TRY(expect(fields[SIZE].value && pm_json_u64(fields[SIZE].value, &size) && size < PM_ID_NONE, fields[SIZE].value, "config.default_vocab_size, a whole number", err));
    PM_TRY(expect(fields[N_SPECIAL].value && pm_json_u64(fields[N_SPECIAL].value, &r->n_special) && r->n_special <= MOST_SPECIALS && r->n_special <= size,
                  fields[N_SPECIAL].value, "config.default_num_special_tokens, a whole number up to default_vocab_size and 1,048,576", err));
    r->n_entries = size - r->n_special;
    return PM_OK;
}

static pm_status make_splitter(reader *r, const pm_json_value *pattern, pm_error *err) {
    char *text = pm_calloc(pattern->text.len + 1, 1);
    if (!text) {
        return pm_fail_memory(err);
    }
    memcpy(text, pattern->text.data, pattern->text.len);
    pm_status status = pm_splitter_new(&r->model->splitter, (const char *const[]){text}, 1, err);
    pm_free(text);
    if (status != PM_OK && err) {
        err->offset = pattern->offset; /* of the pattern in the file, not in the pattern */
    }
    return status;
}

static pm_status read_config(reader *r, const pm_json_value *config, unsigned *version, pm_error *err) {
    pm_field fields[N_CONFIG] = {{"pattern", NULL}, {"num_vocab_tokens", NULL}, {"default_vocab_size", NULL}, {"default_num_special_tokens", NULL}, {"version", NULL}};
    PM_TRY(pm_fields_get(&r->json, config, "config", fields, N_CONFIG, err));
    const pm_json_value *pattern = fields[PATTERN].value;
    PM_TRY(expect(pattern && pattern->type == PM_JSON_STRING && !memchr(pattern->text.data, '\0', pattern->text.len), pattern, "config.pattern, a string without NUL", err));
    PM_TRY(expect(read_version(fields[VERSION].value, version), fields[VERSION].value, "config.version, such as \"v3\"", err));
    PM_TRY(read_sizes(r, fields, err));
    return make_splitter(r, pattern, err);
}

/* ---------------------------------------------------------------- special tokens ---- */

static pm_status add_special(reader *r, pm_bytes text, pm_error *err) {
    pm_id id = r->model->vocab_size;
    r->bos = text.len == 3 && memcmp(text.data, "<s>", 3) == 0 ? id : r->bos;
    r->eos = text.len == 4 && memcmp(text.data, "</s>", 4) == 0 ? id : r->eos;
    return pm_model_set(r->model, id, PM_KIND_SPECIAL, text, 0, false, err);
}

static pm_status read_special(reader *r, const pm_json_value *object, pm_error *err) {
    enum { RANK, TEXT, CONTROL, N };
    pm_field fields[N] = {{"rank", NULL}, {"token_str", NULL}, {"is_control", NULL}};
    uint64_t rank;
    PM_TRY(pm_fields_get(&r->json, object, "special_tokens", fields, N, err));
    PM_TRY(expect(fields[RANK].value && pm_json_u64(fields[RANK].value, &rank) && rank == r->model->vocab_size, object, "special tokens with their place as rank", err));
    PM_TRY(expect(rank < r->n_special, object, "no more special tokens than config.default_num_special_tokens", err));
    const pm_json_value *text = fields[TEXT].value;
    PM_TRY(expect(text && text->type == PM_JSON_STRING && text->text.len, object, "token_str, a string that is not empty", err));
    return add_special(r, text->text, err);
}

static pm_status read_specials(reader *r, const pm_json_value *list, unsigned version, pm_error *err) {
    if (pm_field_is_null(list)) {
        PM_TRY(expect(version <= LAST_WITHOUT_SPECIALS, list, "special_tokens, which files of later versions than v7 have", err));
        for (size_t i = 0; i < N_OLD && i < r->n_special; i++) {
            PM_TRY(add_special(r, (pm_bytes){(const uint8_t *)old_special_tokens[i], strlen(old_special_tokens[i])}, err));
        }
    } else {
        PM_TRY(expect(list->type == PM_JSON_ARRAY, list, "a list of special tokens", err));
        for (uint32_t i = pm_json_index(&r->json, list) + 1; i < list->next; i = r->json.values[i].next) {
            PM_TRY(read_special(r, &r->json.values[i], err));
        }
    }
    while (r->model->vocab_size < r->n_special) {
        char name[32];
        int len = snprintf(name, sizeof name, "<SPECIAL_%u>", r->model->vocab_size);
        PM_TRY(add_special(r, (pm_bytes){(const uint8_t *)name, (size_t)len}, err));
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- entries ---- */

static pm_status read_entry(reader *r, const pm_json_value *object, uint64_t i, pm_error *err) {
    enum { RANK, BYTES, TEXT, N };
    pm_field fields[N] = {{"rank", NULL}, {"token_bytes", NULL}, {"token_str", NULL}};
    uint64_t rank;
    size_t wrong;
    PM_TRY(pm_fields_get(&r->json, object, "vocab", fields, N, err));
    PM_TRY(expect(fields[RANK].value && pm_json_u64(fields[RANK].value, &rank) && rank == i, object, "entries with their place as rank", err));
    const pm_json_value *text = fields[BYTES].value;
    PM_TRY(expect(text && text->type == PM_JSON_STRING && text->text.len, object, "token_bytes, a string that is not empty", err));
    r->bytes.len = 0;
    PM_TRY(pm_buf_reserve(&r->bytes, text->text.len + 3, err));
    PM_TRY(expect(pm_base64_decode(&r->bytes, text->text.data, text->text.len, &wrong), text, "base64 as RFC 4648 writes it", err));
    pm_bytes piece = {r->bytes.data, r->bytes.len};
    PM_TRY(expect(i >= 256 || (piece.len == 1 && piece.data[0] == i), text, "the 256 bytes in their order at the front", err));
    PM_TRY(expect(pm_piece_index_find(&r->index, r->model, piece) == PM_ID_NONE, text, "an entry that was not given already", err));
    pm_id id = r->model->vocab_size;
    PM_TRY(pm_model_set(r->model, id, PM_KIND_PIECE, piece, 0, false, err));
    pm_piece_index_add(&r->index, r->model, id);
    return PM_OK;
}

static pm_status read_entries(reader *r, const pm_json_value *list, pm_error *err) {
    uint64_t i = 0;
    PM_TRY(expect(list && list->type == PM_JSON_ARRAY && list->n >= r->n_entries && r->n_entries >= 256, list,
                  "vocab, a list of at least default_vocab_size - default_num_special_tokens entries, and these at least 256", err));
    PM_TRY(pm_piece_index_init(&r->index, (size_t)r->n_entries, err));
    for (uint32_t at = pm_json_index(&r->json, list) + 1; at < list->next && i < r->n_entries; at = r->json.values[at].next) {
        PM_TRY(read_entry(r, &r->json.values[at], i++, err));
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- the file ---- */

static pm_status read_json(reader *r, const pm_file *file, pm_error *err) {
    enum { CONFIG, VOCAB, SPECIALS, IMAGE, MULTIMODAL, AUDIO, SETTINGS, FILE_VERSION, TYPE, N };
    pm_field fields[N] = {{"config", NULL}, {"vocab", NULL}, {"special_tokens", NULL}, {"image", NULL}, {"multimodal", NULL},
                          {"audio", NULL},  {"model_settings_builder", NULL}, {"version", NULL}, {"type", NULL}};
    unsigned version;
    PM_TRY(pm_json_parse(&r->json, file->data, file->len, err));
    PM_TRY(pm_fields_get(&r->json, &r->json.values[0], "the file", fields, N, err));
    PM_TRY(read_config(r, fields[CONFIG].value, &version, err));
    PM_TRY(read_specials(r, fields[SPECIALS].value, version, err));
    PM_TRY(read_entries(r, fields[VOCAB].value, err));
    PM_TRY(pm_bpe_derive_merges(r->model, err));
    return pm_ends_set(r->model, r->bos, r->eos, err);
}

static pm_status read_tekken(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err) {
    reader r = {.model = model, .bos = PM_ID_NONE, .eos = PM_ID_NONE};
    (void)options;
    model->algorithm = PM_ALGORITHM_BPE;
    pm_status status = read_json(&r, file, err);
    pm_json_release(&r.json);
    pm_piece_index_release(&r.index);
    pm_buf_release(&r.bytes);
    return status;
}

/* An object that speaks of default_num_special_tokens or token_bytes near its beginning, whichever of its members is first. */
static bool recognizes(const uint8_t *data, size_t len) {
    static const char *const words[] = {"\"default_num_special_tokens\"", "\"token_bytes\""};
    size_t i = pm_json_skip_space(data, len, 0), near = len < 1 << 16 ? len : 1 << 16;
    bool is_object = i < len && data[i] == '{', found = false;
    for (size_t w = 0; is_object && w < sizeof words / sizeof *words; w++) {
        found |= memmem(data, near, words[w], strlen(words[w])) != NULL;
    }
    return found;
}

const pm_format_ops pm_format_tekken = {
    PM_FORMAT_TEKKEN, "tekken", NULL, "tekken.json holds its pattern", recognizes, read_tekken, NULL,
};
