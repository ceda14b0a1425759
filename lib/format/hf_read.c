/* hf_read.c - reading tokenizer.json of Hugging Face tokenizers.
 *
 * A tokenizer.json is a pipeline in JSON. Its steps are read as they stand (hf_steps.c), then looked at (hf_plain.c): where they amount to what the fast encoders do
 * - Splits and ByteLevel before BPE over bytes; blanks as U+2581 before BPE over characters with byte_fallback - the vocabulary is read in their form, bytes. Where it does not have
 * that form (a byte is missing, an entry is not in byte-level characters), and for any other pipeline, entries are read as texts, and the model is a general one.
 *
 * A field that is not known, or asks for something else than this library does, is an error that names it, so that no file is read as something that it is not.
 *
 * An added token that is an entry of the vocabulary too has the same id there. (tokenizers numbers one that is not in the vocabulary itself, from the number of entries; files
 * whose ids agree are the rule, and those it writes.) Truncation and padding are the settings of whoever calls: they are kept, as JSON, in the model's settings, and written again. */
#include "format/hf.h"

#include "base/bytes.h"
#include "format/characters.h"
#include "format/fields.h"
#include "format/hf_plain.h"
#include "format/hf_steps.h"
#include "format/number.h"
#include "format/reader.h"
#include "text/characters.h"

typedef struct added {
    pm_bytes content;
    pm_id id;
    uint8_t flags;
    bool special, in_vocab;
    uint64_t offset;
} added;

typedef struct reader {
    pm_model *model;
    pm_json json;
    pm_hf_form form;
    pm_piece_index index;
    pm_buf bytes; /* scratch */
    added *added; /* sorted by content */
    size_t n_added;
} reader;

enum { VERSION, TRUNCATION, PADDING, ADDED, NORMALIZER, PRE_TOKENIZER, POST_PROCESSOR, DECODER, MODEL, N_ROOT };

static pm_status read_id(const pm_json_value *value, uint64_t n, pm_id *id, pm_error *err) {
    uint64_t number;
    if (!value || !pm_json_u64(value, &number) || !pm_id_is_near(number, n)) {
        return pm_fail_at(err, PM_BAD_FORMAT, value ? value->offset : PM_NO_OFFSET,
                          "expected an id: a whole number, not far beyond the number of entries");
    }
    *id = (pm_id)number;
    return PM_OK;
}

/* ---------------------------------------------------------------- added tokens ---- */

static int by_content(const void *a, const void *b) {
    return pm_bytes_compare(((const added *)a)->content, ((const added *)b)->content);
}

static added *find_added(const reader *r, pm_bytes content) {
    added key = {.content = content};
    return r->n_added ? bsearch(&key, r->added, r->n_added, sizeof key, by_content) : NULL;
}

static pm_status read_added(reader *r, const pm_json_value *object, uint64_t n, pm_error *err) {
    enum { ID, CONTENT, SINGLE_WORD, LSTRIP, RSTRIP, NORMALIZED, SPECIAL, N };
    static const uint8_t flags[N] = {0, 0, PM_ADDED_SINGLE_WORD, PM_ADDED_LSTRIP, PM_ADDED_RSTRIP, PM_ADDED_NORMALIZED, 0};
    pm_field f[N] = {{"id", NULL}, {"content", NULL}, {"single_word", NULL}, {"lstrip", NULL}, {"rstrip", NULL}, {"normalized", NULL}, {"special", NULL}};
    added *token = &r->added[r->n_added];
    PM_TRY(pm_fields_get(&r->json, object, "an added token", f, N, err));
    token->flags = PM_ADDED;
    for (int i = SINGLE_WORD; i <= SPECIAL; i++) {
        if (f[i].value && f[i].value->type != PM_JSON_BOOL) {
            return pm_fail_at(err, PM_BAD_FORMAT, f[i].value->offset, "%s of an added token is not true or false", f[i].name);
        }
        token->flags |= pm_field_is_true(f[i].value) ? flags[i] : 0;
    }
    if (!f[CONTENT].value || f[CONTENT].value->type != PM_JSON_STRING || f[CONTENT].value->text.len == 0) {
        return pm_fail_at(err, PM_BAD_FORMAT, object->offset, "an added token has no content");
    }
    PM_TRY(read_id(f[ID].value, n, &token->id, err));
    token->special = pm_field_is_true(f[SPECIAL].value);
    token->content = f[CONTENT].value->text;
    token->offset = f[CONTENT].value->offset;
    r->n_added++;
    return PM_OK;
}

static pm_status read_added_tokens(reader *r, const pm_json_value *array, uint64_t n, pm_error *err) {
    if (pm_field_is_null(array)) {
        return PM_OK;
    }
    if (array->type != PM_JSON_ARRAY) {
        return pm_fail_at(err, PM_BAD_FORMAT, array->offset, "added_tokens is not an array");
    }
    r->added = pm_calloc(array->n, sizeof *r->added);
    if (!r->added) {
        return pm_fail_memory(err);
    }
    for (uint32_t i = pm_json_index(&r->json, array) + 1; i < array->next; i = r->json.values[i].next) {
        PM_TRY(read_added(r, &r->json.values[i], n + array->n, err));
    }
    qsort(r->added, r->n_added, sizeof *r->added, by_content);
    for (size_t i = 1; i < r->n_added; i++) {
        if (by_content(&r->added[i - 1], &r->added[i]) == 0) {
            return pm_fail_at(err, PM_BAD_FORMAT, r->added[i].offset, "an added token is there twice");
        }
    }
    return PM_OK;
}

/* Do some flags of added tokens go beyond `known`? */
static uint8_t added_flags(const reader *r) {
    uint8_t all = 0;
    for (size_t i = 0; i < r->n_added; i++) {
        all |= r->added[i].flags;
    }
    return all;
}

/* Those that are no entries get their ids, and all their flags. A plain model has none of special tokens that are found as they stand: that is what they are without. */
static pm_status set_added_tokens(reader *r, pm_error *err) {
    bool plain = r->form != PM_HF_GENERAL;
    for (size_t i = 0; i < r->n_added; i++) {
        const added *a = &r->added[i];
        uint8_t flags = a->flags | (a->in_vocab ? 0 : PM_ADDED_ALONE);
        if (plain || !a->in_vocab) {
            if (a->id < r->model->vocab_size && r->model->kinds[a->id] != PM_KIND_HOLE) {
                return pm_fail_at(err, PM_BAD_FORMAT, a->offset, "id %u of an added token is taken", a->id);
            }
            PM_TRY(pm_model_set(r->model, a->id, a->special ? PM_KIND_SPECIAL : PM_KIND_PIECE, a->content, 0, false, err));
            flags |= PM_ADDED_ALONE;
        }
        if (!plain || !a->special || (flags & PM_ADDED_NORMALIZED)) {
            PM_TRY(pm_model_set_added(r->model, a->id, flags, err));
        }
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- the vocabulary ---- */

/* Appends what a spelling in the file stands for, when it is one of a piece. Room was reserved. */
static bool decode_piece(reader *r, pm_bytes text) {
    return r->form == PM_HF_CHARACTERS ? pm_marked_decode(&r->bytes, text) : pm_byte_level_decode(&r->bytes, text);
}

/* A spelling's piece: borrowed from the file, or from r->bytes. */
static pm_status get_piece(reader *r, const pm_json_value *value, pm_bytes *piece, pm_error *err) {
    *piece = value->text;
    if (r->form == PM_HF_GENERAL) {
        return PM_OK;
    }
    r->bytes.len = 0;
    PM_TRY(pm_buf_reserve(&r->bytes, value->text.len, err));
    if (value->text.len == 0 || !decode_piece(r, value->text)) {
        return pm_fail_at(err, PM_UNSUPPORTED, value->offset, "an entry of the vocabulary has not the form of a piece");
    }
    *piece = (pm_bytes){r->bytes.data, r->bytes.len};
    return PM_OK;
}

static pm_status set_entry(reader *r, const pm_json_value *value, pm_id id, pm_kind kind, pm_bytes piece, pm_error *err) {
    if (id < r->model->vocab_size && r->model->kinds[id] != PM_KIND_HOLE) {
        return pm_fail_at(err, PM_BAD_FORMAT, value->offset, "id %u was given already", id);
    }
    return pm_model_set(r->model, id, kind, piece, 0, false, err);
}

/* One entry: `value` is its text. */
static pm_status read_entry(reader *r, const pm_json_value *value, pm_id id, pm_error *err) {
    added *token = find_added(r, value->text);
    int byte = r->form == PM_HF_CHARACTERS ? pm_byte_from_name(value->text) : -1;
    pm_bytes piece;
    if (token) {
        if (token->id != id || token->in_vocab) {
            return pm_fail_at(err, PM_BAD_FORMAT, value->offset, "an added token has id %u in added_tokens and %u in the vocabulary", token->id, id);
        }
        token->in_vocab = true;
    }
    if (token && r->form != PM_HF_GENERAL) {
        return PM_OK; /* it has one meaning in a plain model */
    }
    if (byte >= 0) {
        uint8_t b = (uint8_t)byte;
        return set_entry(r, value, id, PM_KIND_BYTE, (pm_bytes){&b, 1}, err);
    }
    PM_TRY(get_piece(r, value, &piece, err));
    pm_id other = pm_piece_index_find(&r->index, r->model, piece);
    if (other != PM_ID_NONE) {
        return pm_fail_at(err, PM_BAD_FORMAT, value->offset, "this entry was given already, with id %u", other);
    }
    PM_TRY(set_entry(r, value, id, token && token->special ? PM_KIND_SPECIAL : PM_KIND_PIECE, piece, err));
    if (piece.len) {
        pm_piece_index_add(&r->index, r->model, id);
    }
    return PM_OK;
}

/* {"piece": id, ...} */
static pm_status read_vocab(reader *r, const pm_json_value *vocab, pm_error *err) {
    PM_TRY(pm_piece_index_init(&r->index, vocab->n, err));
    for (uint32_t i = pm_json_index(&r->json, vocab) + 1; i < vocab->next; i = r->json.values[i + 1].next) {
        pm_id id;
        PM_TRY(read_id(&r->json.values[i + 1], (uint64_t)vocab->n + r->n_added, &id, err));
        PM_TRY(read_entry(r, &r->json.values[i], id, err));
    }
    return PM_OK;
}

/* Every byte is a byte token, or a character of its own that is a piece; a blank is that. */
static bool has_byte_tokens(const reader *r) {
    bool there[256] = {false};
    for (pm_id id = 0; id < r->model->vocab_size; id++) {
        if (r->model->kinds[id] == PM_KIND_BYTE) {
            there[r->model->pieces[id].data[0]] = true;
        }
    }
    for (unsigned b = 0; b < 256; b++) {
        uint8_t byte = (uint8_t)b;
        bool piece = b < 0x80 && pm_piece_index_find(&r->index, r->model, (pm_bytes){&byte, 1}) != PM_ID_NONE;
        if (!(there[b] && b != PM_BLANK) && !piece) {
            return false;
        }
    }
    return true;
}

/* A plain model has all bytes. */
static pm_status check_plain(const reader *r, const pm_json_value *vocab, pm_error *err) {
    if (r->form == PM_HF_BYTES) {
        int missing = pm_missing_byte(&r->index, r->model);
        return missing < 0 ? PM_OK : pm_fail_at(err, PM_UNSUPPORTED, vocab->offset, "the vocabulary lacks the single byte 0x%02X", (unsigned)missing);
    }
    return r->form == PM_HF_GENERAL || has_byte_tokens(r) ? PM_OK : pm_fail_at(err, PM_UNSUPPORTED, vocab->offset, "the vocabulary lacks a byte token or a blank");
}

static pm_status read_score(const pm_json_value *value, double *score, pm_error *err) {
    return value->type == PM_JSON_NUMBER && pm_number_read(value->text, score) ? PM_OK : pm_fail_at(err, PM_BAD_FORMAT, value->offset, "expected a score: a number");
}

/* [["piece", score], ...] */
static pm_status read_scored(reader *r, const pm_json_value *vocab, pm_error *err) {
    pm_id id = 0;
    PM_TRY(pm_piece_index_init(&r->index, vocab->n, err));
    for (uint32_t i = pm_json_index(&r->json, vocab) + 1; i < vocab->next; i = r->json.values[i].next, id++) {
        const pm_json_value *pair = &r->json.values[i];
        double score;
        if (pair->type != PM_JSON_ARRAY || pair->n != 2 || pair[1].type != PM_JSON_STRING) {
            return pm_fail_at(err, PM_BAD_FORMAT, pair->offset, "expected a piece and its score: [\"a\", -1.5]");
        }
        PM_TRY(read_score(&pair[2], &score, err));
        PM_TRY(read_entry(r, &pair[1], id, err));
        PM_TRY(pm_model_set_score(r->model, id, score, err));
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- merges ---- */

/* The two halves of "a b" or ["a", "b"]. */
static bool merge_halves(const pm_json_value *value, pm_bytes *left, pm_bytes *right) {
    if (value->type == PM_JSON_ARRAY && value->n == 2 && value[1].type == PM_JSON_STRING &&
        value[2].type == PM_JSON_STRING) {
        *left = value[1].text;
        *right = value[2].text;
        return true;
    }
    const uint8_t *space = value->type == PM_JSON_STRING ? memchr(value->text.data, ' ', value->text.len) : NULL;
    if (!space) {
        return false;
    }
    size_t at = (size_t)(space - value->text.data);
    *left = (pm_bytes){value->text.data, at};
    *right = (pm_bytes){space + 1, value->text.len - at - 1};
    return true;
}

/* The id of an entry, written as in the file. */
static pm_id find_entry(reader *r, pm_bytes text) {
    if (r->form == PM_HF_GENERAL) {
        return pm_piece_index_find(&r->index, r->model, text);
    }
    r->bytes.len = 0;
    return text.len && decode_piece(r, text) ? pm_piece_index_find(&r->index, r->model, (pm_bytes){r->bytes.data, r->bytes.len}) : PM_ID_NONE;
}

/* left + right, without the prefix of what continues a word. */
static pm_status join(reader *r, pm_bytes left, pm_bytes right, pm_id *result, pm_error *err) {
    size_t cut = r->model->prefix.len;
    pm_buf all = {0};
    if (right.len < cut) {
        *result = PM_ID_NONE;
        return PM_OK;
    }
    PM_TRY(pm_buf_append(&all, left.data, left.len, err));
    pm_status status = pm_buf_append(&all, right.data + cut, right.len - cut, err);
    *result = status == PM_OK ? find_entry(r, (pm_bytes){all.data, all.len}) : PM_ID_NONE;
    pm_buf_release(&all);
    return status;
}

static pm_status read_merge(reader *r, const pm_json_value *value, pm_error *err) {
    pm_bytes left, right;
    pm_id result = PM_ID_NONE;
    if (!merge_halves(value, &left, &right)) {
        return pm_fail_at(err, PM_BAD_FORMAT, value->offset, "expected a merge: \"a b\" or [\"a\", \"b\"]");
    }
    PM_TRY(pm_buf_reserve(&r->bytes, left.len + right.len, err));
    r->bytes.len = 0;
    pm_id a = find_entry(r, left), b = find_entry(r, right);
    if (a != PM_ID_NONE && b != PM_ID_NONE) {
        PM_TRY(join(r, left, right, &result, err));
    }
    if (result == PM_ID_NONE) {
        return pm_fail_at(err, PM_BAD_FORMAT, value->offset, "a merge's parts and result must be entries of the vocabulary%s",
                          r->form == PM_HF_GENERAL ? "" : ", and no added tokens");
    }
    return pm_model_add_merge(r->model, a, b, result, err);
}

static pm_status read_merges(reader *r, const pm_json_value *merges, pm_error *err) {
    for (uint32_t i = pm_json_index(&r->json, merges) + 1; i < merges->next; i = r->json.values[i].next) {
        PM_TRY(read_merge(r, &r->json.values[i], err));
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- the model ---- */

static pm_status copy_text(reader *r, pm_bytes *out, const pm_field *f, pm_error *err) {
    if (pm_field_is_null(f->value)) {
        return PM_OK;
    }
    if (f->value->type != PM_JSON_STRING) {
        return pm_fail_at(err, PM_BAD_FORMAT, f->value->offset, "model's %s is not a text", f->name);
    }
    out->len = f->value->text.len;
    out->data = out->len ? pm_arena_copy(&r->model->arena, f->value->text.data, out->len) : NULL;
    return !out->len || out->data ? PM_OK : pm_fail_memory(err);
}

static pm_status need(const pm_field *f, pm_json_type type, const char *so, pm_error *err) {
    return f->value && f->value->type == type
               ? PM_OK
               : pm_fail_at(err, PM_BAD_FORMAT, f->value ? f->value->offset : PM_NO_OFFSET, "model's %s is not %s", f->name, so);
}

static pm_status read_truth(const pm_field *f, bool *out, pm_error *err) {
    *out = pm_field_is_true(f->value);
    return pm_field_is_null(f->value) || f->value->type == PM_JSON_BOOL
               ? PM_OK
               : pm_fail_at(err, PM_BAD_FORMAT, f->value->offset, "model's %s is not true or false", f->name);
}

/* The unknown token by its text. One that is no entry is known by name only; a text that needs it is an error then, as in tokenizers. */
static pm_status read_unknown(reader *r, const pm_field *f, pm_error *err) {
    if (pm_field_is_null(f->value)) {
        return PM_OK;
    }
    PM_TRY(need(f, PM_JSON_STRING, "a text", err));
    r->model->has_unknown = true;
    r->model->unknown = pm_piece_index_find(&r->index, r->model, f->value->text);
    if (r->model->unknown != PM_ID_NONE) {
        return PM_OK;
    }
    if (memchr(f->value->text.data, '\n', f->value->text.len) || memchr(f->value->text.data, 0, f->value->text.len)) {
        return pm_fail_at(err, PM_UNSUPPORTED, f->value->offset, "model's unk_token is not in the vocabulary, and holds a line feed or NUL: that is not supported");
    }
    return pm_buf_printf(&r->model->settings, err, "unk_token=%.*s\n", (int)f->value->text.len, (const char *)f->value->text.data);
}

static pm_status read_bpe(reader *r, const pm_json_value *object, pm_error *err) {
    enum { TYPE, DROPOUT, UNK, PREFIX, SUFFIX, FUSE_UNK, BYTE_FALLBACK, IGNORE_MERGES, VOCAB, MERGES, N };
    pm_field f[N] = {{"type", NULL},          {"dropout", NULL},       {"unk_token", NULL},     {"continuing_subword_prefix", NULL}, {"end_of_word_suffix", NULL}, {"fuse_unk", NULL},
                     {"byte_fallback", NULL}, {"ignore_merges", NULL}, {"vocab", NULL},         {"merges", NULL}};
    pm_model *model = r->model;
    PM_TRY(pm_fields_get(&r->json, object, "model", f, N, err));
    PM_TRY(need(&f[VOCAB], PM_JSON_OBJECT, "an object", err));
    PM_TRY(need(&f[MERGES], PM_JSON_ARRAY, "an array", err));
    PM_TRY(pm_field_is_null(f[DROPOUT].value) ? PM_OK : read_score(f[DROPOUT].value, &model->dropout, err));
    if (!(model->dropout >= 0 && model->dropout <= 1)) {
        return pm_fail_at(err, PM_BAD_FORMAT, f[DROPOUT].value->offset, "model's dropout is not between 0 and 1");
    }
    PM_TRY(copy_text(r, &model->prefix, &f[PREFIX], err));
    PM_TRY(copy_text(r, &model->suffix, &f[SUFFIX], err));
    PM_TRY(read_truth(&f[FUSE_UNK], &model->fuse_unknown, err));
    PM_TRY(read_truth(&f[BYTE_FALLBACK], &model->byte_fallback, err));
    PM_TRY(read_truth(&f[IGNORE_MERGES], &model->whole_first, err));
    r->form = r->form == PM_HF_GENERAL ? r->form : pm_hf_form_of(model, added_flags(r));
    PM_TRY(read_vocab(r, f[VOCAB].value, err));
    PM_TRY(check_plain(r, f[VOCAB].value, err));
    PM_TRY(r->form == PM_HF_GENERAL ? read_unknown(r, &f[UNK], err) : PM_OK);
    return read_merges(r, f[MERGES].value, err);
}

static pm_status read_unigram(reader *r, const pm_json_value *object, pm_error *err) {
    enum { TYPE, UNK, VOCAB, BYTE_FALLBACK, N };
    pm_field f[N] = {{"type", NULL}, {"unk_id", NULL}, {"vocab", NULL}, {"byte_fallback", NULL}};
    uint64_t unknown = 0;
    PM_TRY(pm_fields_get(&r->json, object, "model", f, N, err));
    PM_TRY(need(&f[VOCAB], PM_JSON_ARRAY, "an array", err));
    PM_TRY(read_truth(&f[BYTE_FALLBACK], &r->model->byte_fallback, err));
    PM_TRY(read_scored(r, f[VOCAB].value, err));
    if (pm_field_is_null(f[UNK].value)) {
        return PM_OK;
    }
    if (!pm_json_u64(f[UNK].value, &unknown) || unknown >= f[VOCAB].value->n) {
        return pm_fail_at(err, PM_BAD_FORMAT, f[UNK].value->offset, "model's unk_id is not an id of the vocabulary");
    }
    r->model->has_unknown = true;
    r->model->unknown = (pm_id)unknown;
    return PM_OK;
}

static pm_status read_word_piece(reader *r, const pm_json_value *object, pm_error *err) {
    enum { TYPE, UNK, PREFIX, MOST, VOCAB, N };
    pm_field f[N] = {{"type", NULL}, {"unk_token", NULL}, {"continuing_subword_prefix", NULL}, {"max_input_chars_per_word", NULL}, {"vocab", NULL}};
    uint64_t most = 0;
    PM_TRY(pm_fields_get(&r->json, object, "model", f, N, err));
    PM_TRY(need(&f[VOCAB], PM_JSON_OBJECT, "an object", err));
    PM_TRY(need(&f[UNK], PM_JSON_STRING, "a text", err));
    PM_TRY(need(&f[PREFIX], PM_JSON_STRING, "a text", err));
    if (!f[MOST].value || !pm_json_u64(f[MOST].value, &most)) {
        return pm_fail_at(err, PM_BAD_FORMAT, object->offset, "model's max_input_chars_per_word is not a whole number");
    }
    r->model->max_word = most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
    PM_TRY(copy_text(r, &r->model->prefix, &f[PREFIX], err));
    PM_TRY(read_vocab(r, f[VOCAB].value, err));
    return read_unknown(r, &f[UNK], err);
}

static pm_status read_word_level(reader *r, const pm_json_value *object, pm_error *err) {
    enum { TYPE, UNK, VOCAB, N };
    pm_field f[N] = {{"type", NULL}, {"unk_token", NULL}, {"vocab", NULL}};
    PM_TRY(pm_fields_get(&r->json, object, "model", f, N, err));
    PM_TRY(need(&f[VOCAB], PM_JSON_OBJECT, "an object", err));
    PM_TRY(need(&f[UNK], PM_JSON_STRING, "a text", err));
    PM_TRY(read_vocab(r, f[VOCAB].value, err));
    return read_unknown(r, &f[UNK], err);
}

static const struct {
    const char *type;
    const char *telling; /* the field that tells where there is no type, as in older files */
    pm_algorithm algorithm;
    pm_status (*read)(reader *r, const pm_json_value *object, pm_error *err);
} models[] = {
    {"BPE", "merges", PM_ALGORITHM_BPE, read_bpe},
    {"WordPiece", "max_input_chars_per_word", PM_ALGORITHM_WORDPIECE, read_word_piece},
    {"Unigram", "unk_id", PM_ALGORITHM_UNIGRAM, read_unigram},
    {"WordLevel", "unk_token", PM_ALGORITHM_WORDLEVEL, read_word_level},
};
enum { N_MODELS = sizeof models / sizeof *models };

static pm_status read_model(reader *r, const pm_json_value *object, pm_error *err) {
    const pm_json_value *type = pm_field_of(&r->json, object, "type");
    size_t m = 0;
    while (m < N_MODELS && !(type ? pm_json_is(type, models[m].type) : pm_field_of(&r->json, object, models[m].telling) != NULL)) {
        m++;
    }
    if (m == N_MODELS) {
        pm_field self = {"type", type ? type : object};
        return pm_field_demand(false, &self, "model's ", "BPE, Unigram, WordPiece or WordLevel", err);
    }
    r->model->algorithm = models[m].algorithm;
    r->form = models[m].algorithm == PM_ALGORITHM_BPE ? r->form : PM_HF_GENERAL;
    PM_TRY(models[m].read(r, object, err));
    return set_added_tokens(r, err);
}

/* ---------------------------------------------------------------- the file ---- */

/* Truncation or padding, as it stands but for blanks, as a setting. */
static pm_status keep(reader *r, const pm_field *f, pm_error *err) {
    if (pm_field_is_null(f->value)) {
        return PM_OK;
    }
    PM_TRY(pm_buf_printf(&r->model->settings, err, "%s=", f->name));
    PM_TRY(pm_json_write(&r->model->settings, &r->json, f->value, PM_JSON_ONE_LINE, err));
    return pm_buf_append(&r->model->settings, "\n", 1, err);
}

static pm_status read_parts(reader *r, const pm_field *f, pm_error *err) {
    pm_model *model = r->model;
    PM_TRY(keep(r, &f[TRUNCATION], err));
    PM_TRY(keep(r, &f[PADDING], err));
    PM_TRY(pm_hf_read_steps(&model->normalizer, &model->arena, &r->json, PM_HF_NORMALIZER, f[NORMALIZER].value, err));
    PM_TRY(pm_hf_read_steps(&model->pre_tokenizer, &model->arena, &r->json, PM_HF_PRE_TOKENIZER, f[PRE_TOKENIZER].value, err));
    PM_TRY(pm_hf_read_steps(&model->post_processor, &model->arena, &r->json, PM_HF_POST_PROCESSOR, f[POST_PROCESSOR].value, err));
    PM_TRY(pm_hf_read_steps(&model->decoder, &model->arena, &r->json, PM_HF_DECODER, f[DECODER].value, err));
    PM_TRY(read_model(r, f[MODEL].value, err));
    if (r->form != PM_HF_GENERAL) {
        return pm_hf_make_plain(model, r->form, err);
    }
    model->general = true;
    return PM_OK;
}

static pm_status read_root(reader *r, pm_error *err) {
    pm_field f[N_ROOT] = {{"version", NULL},       {"truncation", NULL},     {"padding", NULL}, {"added_tokens", NULL}, {"normalizer", NULL},
                          {"pre_tokenizer", NULL}, {"post_processor", NULL}, {"decoder", NULL}, {"model", NULL}};
    PM_TRY(pm_fields_get(&r->json, &r->json.values[0], "tokenizer.json", f, N_ROOT, err));
    if (f[VERSION].value && !pm_json_is(f[VERSION].value, "1.0")) {
        return pm_fail_at(err, PM_BAD_VERSION, f[VERSION].value->offset, "version is not \"1.0\"");
    }
    const pm_json_value *vocab = pm_field_of(&r->json, f[MODEL].value, "vocab");
    PM_TRY(read_added_tokens(r, f[ADDED].value, vocab ? vocab->n : 0, err));
    pm_status status = read_parts(r, f, err);
    if (r->form != PM_HF_GENERAL && (status == PM_UNSUPPORTED || status == PM_BAD_FORMAT)) { /* not as plain as it looked, or wrong: then that is said next */
        pm_model_release(r->model);
        pm_piece_index_release(&r->index);
        for (size_t i = 0; i < r->n_added; i++) {
            r->added[i].in_vocab = false;
        }
        r->form = PM_HF_GENERAL;
        status = read_parts(r, f, err);
    }
    return status;
}

static void release(reader *r) {
    pm_free(r->added);
    pm_json_release(&r->json);
    pm_piece_index_release(&r->index);
    pm_buf_release(&r->bytes);
}

pm_status pm_hf_read(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err) {
    reader r = {.model = model, .form = PM_HF_UNKNOWN};
    (void)options;
    pm_status status = pm_json_parse(&r.json, file->data, file->len, err);
    if (status == PM_OK) {
        status = read_root(&r, err);
    }
    release(&r);
    return status;
}
