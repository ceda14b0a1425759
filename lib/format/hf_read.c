/* hf_read.c - reading tokenizer.json of Hugging Face tokenizers: byte-level BPE, and BPE over characters.
 *
 * A tokenizer.json is a pipeline in JSON. This reader takes those whose ids depend on nothing but byte-level BPE, and
 * refuses any other by the name of the field, so that no file is read as something that it is not:
 *
 *   - normalizer, truncation, padding: null
 *
 *   - pre_tokenizer: ByteLevel; or a Sequence of Splits (Regex, behavior Isolated) with a ByteLevel at its end.
 *     use_regex true is the pattern of gpt2. add_prefix_space must be false.
 *
 *   - model: BPE without dropout, prefix, suffix and byte_fallback; merges as "a b" or ["a", "b"]. ignore_merges is
 *     our whole_first. unk_token is never used, because all 256 bytes must be there.
 *
 *   - post_processor: null or ByteLevel, which moves offsets only
 *
 *   - decoder: ByteLevel
 *
 *   - added_tokens: special, and plain: nothing stripped, no whole words
 *
 * With byte_fallback, and then only, BPE over characters, whose blanks are U+2581 and whose other bytes have names:
 *
 *   - normalizer: a Replace of blanks by U+2581, perhaps behind a Prepend of one, in a Sequence or alone, and pre_tokenizer null; or one of
 *     U+2581 by blanks, and pre_tokenizer Splits with a Metaspace at the end that puts nothing before
 *
 *   - decoder: a Sequence that undoes it: Replace, ByteFallback, Fuse, and a Strip of a first blank where there is a Prepend
 *
 *   - added_tokens that are not normalized
 *
 * Pieces are written in characters that stand for bytes (reader.h). An added token may stand in the vocabulary too,
 * with the same id, but not as a part of merges: it has one meaning here. Its id is the one written in added_tokens.
 * (tokenizers numbers one that is not in the vocabulary itself, from the number of entries; files whose ids agree are
 * the rule, and those it writes.) */
#include "format/hf.h"

#include "base/bytes.h"
#include "format/characters.h"
#include "format/json.h"
#include "format/reader.h"
#include "pretok/oniguruma.h"
#include "text/characters.h"

typedef struct added {
    pm_bytes content;
    pm_id id;
    bool in_vocab;
    uint64_t offset;
} added;

typedef struct reader {
    pm_model *model;
    pm_json json;
    pm_piece_index index;
    pm_buf bytes; /* scratch */
    added *added; /* sorted by content */
    size_t n_added;
    bool characters; /* byte_fallback: pieces are of characters */
    char **patterns; /* NUL-terminated copies */
    size_t n_patterns;
} reader;

/* ---------------------------------------------------------------- fields ---- */

typedef struct field {
    const char *name;
    const pm_json_value *value; /* found, or NULL */
} field;

/* Finds the members of an object; one that is not in the list, or twice there, is an error that names it. */
static pm_status get_fields(const reader *r, const pm_json_value *object, const char *where, field *fields, size_t n,
                            pm_error *err) {
    if (!object || object->type != PM_JSON_OBJECT) {
        return pm_fail_at(err, PM_BAD_FORMAT, object ? object->offset : PM_NO_OFFSET, "expected an object: %s", where);
    }
    for (uint32_t i = (uint32_t)(object - r->json.values) + 1; i < object->next; i = r->json.values[i + 1].next) {
        const pm_json_value *key = &r->json.values[i];
        size_t f = 0;
        while (f < n && !pm_json_is(key, fields[f].name)) {
            f++;
        }
        if (f == n) {
            int len = key->text.len < 64 ? (int)key->text.len : 64;
            return pm_fail_at(err, PM_UNSUPPORTED, key->offset, "field '%.*s' of %s is not known", len,
                              (const char *)key->text.data, where);
        }
        if (fields[f].value) {
            return pm_fail_at(err, PM_BAD_FORMAT, key->offset, "field '%s' of %s is there twice", fields[f].name,
                              where);
        }
        fields[f].value = key + 1;
    }
    return PM_OK;
}

static bool is_null(const pm_json_value *value) { return !value || value->type == PM_JSON_NULL; }
static bool is_false(const pm_json_value *value) {
    return is_null(value) || (value->type == PM_JSON_BOOL && !value->truth);
}
static bool is_empty(const pm_json_value *value) { return is_null(value) || pm_json_is(value, ""); }

/* The field must be as this reader can do it. */
static pm_status demand(bool is_so, const field *f, const char *where, const char *so, pm_error *err) {
    return is_so ? PM_OK
                 : pm_fail_at(err, PM_UNSUPPORTED, f->value ? f->value->offset : PM_NO_OFFSET,
                              "%s%s is not %s: that is not supported", where, f->name, so);
}

/* The "type" of an object, or NULL. */
static const pm_json_value *type_of(const reader *r, const pm_json_value *object) {
    if (is_null(object) || object->type != PM_JSON_OBJECT) {
        return NULL;
    }
    for (uint32_t i = (uint32_t)(object - r->json.values) + 1; i < object->next; i = r->json.values[i + 1].next) {
        if (pm_json_is(&r->json.values[i], "type")) {
            return &r->json.values[i + 1];
        }
    }
    return NULL;
}

static bool is_type(const reader *r, const pm_json_value *object, const char *type) {
    const pm_json_value *value = type_of(r, object);
    return value && pm_json_is(value, type);
}

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

static pm_status read_added(reader *r, const pm_json_value *object, bool *normalized, uint64_t n, pm_error *err) {
    enum { ID, CONTENT, SINGLE_WORD, LSTRIP, RSTRIP, NORMALIZED, SPECIAL, N };
    field f[N] = {{"id", NULL},     {"content", NULL},    {"single_word", NULL}, {"lstrip", NULL},
                  {"rstrip", NULL}, {"normalized", NULL}, {"special", NULL}};
    added *token = &r->added[r->n_added];
    PM_TRY(get_fields(r, object, "an added token", f, N, err));
    PM_TRY(demand(is_false(f[SINGLE_WORD].value), &f[SINGLE_WORD], "an added token's ", "false", err));
    PM_TRY(demand(is_false(f[LSTRIP].value), &f[LSTRIP], "an added token's ", "false", err));
    PM_TRY(demand(is_false(f[RSTRIP].value), &f[RSTRIP], "an added token's ", "false", err));
    PM_TRY(demand(!is_false(f[SPECIAL].value), &f[SPECIAL], "an added token's ", "true", err));
    if (!f[CONTENT].value || f[CONTENT].value->type != PM_JSON_STRING || f[CONTENT].value->text.len == 0) {
        return pm_fail_at(err, PM_BAD_FORMAT, object->offset, "an added token has no content");
    }
    PM_TRY(read_id(f[ID].value, n, &token->id, err));
    token->content = f[CONTENT].value->text;
    token->offset = f[CONTENT].value->offset;
    *normalized = !is_false(f[NORMALIZED].value);
    r->n_added++;
    return PM_OK;
}

static pm_status read_added_tokens(reader *r, const pm_json_value *array, uint64_t n, pm_error *err) {
    bool first = false;
    if (is_null(array)) {
        return PM_OK;
    }
    if (array->type != PM_JSON_ARRAY) {
        return pm_fail_at(err, PM_BAD_FORMAT, array->offset, "added_tokens is not an array");
    }
    r->added = pm_calloc(array->n, sizeof *r->added);
    if (!r->added) {
        return pm_fail_memory(err);
    }
    for (uint32_t i = (uint32_t)(array - r->json.values) + 1; i < array->next; i = r->json.values[i].next) {
        bool normalized = false;
        PM_TRY(read_added(r, &r->json.values[i], &normalized, n, err));
        first = r->n_added == 1 ? normalized : first;
        if (r->characters && normalized && !pm_is_control_name(r->added[r->n_added - 1].content)) {
            return pm_fail_at(err, PM_UNSUPPORTED, r->json.values[i].offset, "an added token is normalized: that is not supported");
        }
        if (normalized != first) { /* tokenizers looks for the two kinds one after the other */
            return pm_fail_at(err, PM_UNSUPPORTED, r->json.values[i].offset,
                              "added tokens of which some are normalized and some are not: that is not supported");
        }
    }
    qsort(r->added, r->n_added, sizeof *r->added, by_content);
    for (size_t i = 1; i < r->n_added; i++) {
        if (by_content(&r->added[i - 1], &r->added[i]) == 0) {
            return pm_fail_at(err, PM_BAD_FORMAT, r->added[i].offset, "an added token is there twice");
        }
    }
    return PM_OK;
}

static pm_status set_added_tokens(reader *r, pm_error *err) {
    for (size_t i = 0; i < r->n_added; i++) {
        const added *a = &r->added[i];
        if (a->id < r->model->vocab_size && r->model->kinds[a->id] != PM_KIND_HOLE) {
            return pm_fail_at(err, PM_BAD_FORMAT, a->offset, "id %u of an added token is taken", a->id);
        }
        pm_kind kind = r->characters ? pm_characters_kind(a->content) : PM_KIND_SPECIAL;
        PM_TRY(pm_model_set(r->model, a->id, kind, a->content, 0, false, err));
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- the pattern ---- */

static pm_status add_pattern(reader *r, const char *before, pm_bytes text, const char *behind, pm_error *err) {
    char **grown = pm_realloc(r->patterns, r->n_patterns + 1, sizeof *grown);
    if (!grown) {
        return pm_fail_memory(err);
    }
    r->patterns = grown;
    pm_buf copy = {0};
    pm_status status = pm_buf_printf(&copy, err, "%s%.*s%s", before, (int)text.len, (const char *)text.data, behind);
    if (status != PM_OK) {
        pm_buf_release(&copy);
        return status;
    }
    r->patterns[r->n_patterns++] = (char *)copy.data;
    return PM_OK;
}

static pm_status read_split(reader *r, const pm_json_value *object, pm_error *err) {
    enum { TYPE, PATTERN, BEHAVIOR, INVERT, N };
    field f[N] = {{"type", NULL}, {"pattern", NULL}, {"behavior", NULL}, {"invert", NULL}};
    field regex = {"Regex", NULL};
    PM_TRY(get_fields(r, object, "a Split", f, N, err));
    PM_TRY(demand(f[BEHAVIOR].value && pm_json_is(f[BEHAVIOR].value, "Isolated"), &f[BEHAVIOR], "a Split's ",
                  "Isolated", err));
    PM_TRY(demand(is_false(f[INVERT].value), &f[INVERT], "a Split's ", "false", err));
    PM_TRY(get_fields(r, f[PATTERN].value, "a Split's pattern", &regex, 1, err));
    const pm_json_value *text = regex.value;
    if (!text || text->type != PM_JSON_STRING || text->text.len == 0 || text->text.len > 100000 ||
        memchr(text->text.data, 0, text->text.len)) {
        return pm_fail_at(err, PM_BAD_FORMAT, text ? text->offset : object->offset,
                          "expected a regex of 1 to 100,000 bytes without NUL");
    }
    r->bytes.len = 0;
    PM_TRY(pm_regex_from_oniguruma(&r->bytes, text->text, err));
    pm_bytes ours = {r->bytes.data, r->bytes.len};
    PM_TRY(add_pattern(r, "", ours, "", err));
    if (pm_pattern_regex(r->patterns[r->n_patterns - 1],
                         0)) { /* a regex that reads like a pattern's name is still a regex */
        pm_free(r->patterns[--r->n_patterns]);
        return add_pattern(r, "(?:", ours, ")", err);
    }
    return PM_OK;
}

static pm_status read_byte_level(reader *r, const pm_json_value *object, pm_error *err) {
    enum { TYPE, ADD_PREFIX_SPACE, TRIM_OFFSETS, USE_REGEX, N };
    field f[N] = {{"type", NULL}, {"add_prefix_space", NULL}, {"trim_offsets", NULL}, {"use_regex", NULL}};
    PM_TRY(get_fields(r, object, "a ByteLevel", f, N, err));
    const pm_json_value *space = f[ADD_PREFIX_SPACE].value;
    PM_TRY(demand(space && space->type == PM_JSON_BOOL && !space->truth, &f[ADD_PREFIX_SPACE], "pre_tokenizer's ",
                  "false", err));
    if (f[USE_REGEX].value && is_false(f[USE_REGEX].value)) {
        return PM_OK;
    }
    const char *regex = pm_pattern_regex("gpt2", 0);
    return add_pattern(r, "", (pm_bytes){(const uint8_t *)regex, regex ? strlen(regex) : 0}, "", err);
}

static pm_status read_pre_tokenizer(reader *r, const pm_json_value *value, pm_error *err) {
    enum { TYPE, PRETOKENIZERS, N };
    field f[N] = {{"type", NULL}, {"pretokenizers", NULL}};
    field self = {"pre_tokenizer", value};
    uint32_t i = value ? (uint32_t)(value - r->json.values) : 0;
    uint32_t end = value ? value->next : 0;
    if (is_type(r, value, "Sequence")) {
        PM_TRY(get_fields(r, value, "pre_tokenizer", f, N, err));
        const pm_json_value *list = f[PRETOKENIZERS].value;
        PM_TRY(demand(list && list->type == PM_JSON_ARRAY, &f[PRETOKENIZERS], "pre_tokenizer's ", "an array", err));
        i = (uint32_t)(list - r->json.values) + 1;
        end = list->next;
    }
    for (; i < end && is_type(r, &r->json.values[i], "Split"); i = r->json.values[i].next) {
        PM_TRY(read_split(r, &r->json.values[i], err));
    }
    bool last = i < end && is_type(r, &r->json.values[i], "ByteLevel") && r->json.values[i].next == end;
    PM_TRY(demand(last, &self, "", "Splits followed by one ByteLevel", err));
    return read_byte_level(r, &r->json.values[i], err);
}

/* ---------------------------------------------------------------- BPE over characters ---- */

static bool is_mark(const pm_json_value *value) { return value && pm_json_is(value, PM_BLANK_MARK_UTF8); }
static bool is_blank(const pm_json_value *value) { return value && pm_json_is(value, " "); }

/* The steps of a Sequence, or the one thing itself. */
static pm_status get_steps(const reader *r, const pm_json_value *value, const char *where, const char *list, uint32_t *first, uint32_t *end, pm_error *err) {
    field f[] = {{"type", NULL}, {list, NULL}};
    *first = value ? (uint32_t)(value - r->json.values) : 0;
    *end = value ? value->next : 0;
    if (is_null(value)) {
        *end = *first;
        return PM_OK;
    }
    if (!is_type(r, value, "Sequence")) {
        return PM_OK;
    }
    PM_TRY(get_fields(r, value, where, f, 2, err));
    const pm_json_value *steps = f[1].value;
    if (!steps || steps->type != PM_JSON_ARRAY) {
        return pm_fail_at(err, PM_BAD_FORMAT, value->offset, "expected an array: %s of %s", list, where);
    }
    *first = (uint32_t)(steps - r->json.values) + 1;
    *end = steps->next;
    return PM_OK;
}

/* Is it a Replace of a string, of marks by blanks or the other way round? */
static pm_status read_replace(const reader *r, const pm_json_value *object, const char *where, bool to_marks, pm_error *err) {
    enum { TYPE, PATTERN, CONTENT, N };
    field f[N] = {{"type", NULL}, {"pattern", NULL}, {"content", NULL}}, string = {"String", NULL};
    PM_TRY(get_fields(r, object, "a Replace", f, N, err));
    PM_TRY(get_fields(r, f[PATTERN].value, "a Replace's pattern", &string, 1, err));
    bool from = to_marks ? is_blank(string.value) : is_mark(string.value), to = to_marks ? is_mark(f[CONTENT].value) : is_blank(f[CONTENT].value);
    return from && to ? PM_OK
                      : pm_fail_at(err, PM_UNSUPPORTED, object->offset, "%s's Replace is not one of %s: that is not supported", where,
                                   to_marks ? "blanks by U+2581" : "U+2581 by blanks");
}

static pm_status read_prepend(reader *r, const pm_json_value *object, pm_error *err) {
    enum { TYPE, PREPEND, N };
    field f[N] = {{"type", NULL}, {"prepend", NULL}};
    PM_TRY(get_fields(r, object, "a Prepend", f, N, err));
    PM_TRY(demand(is_mark(f[PREPEND].value), &f[PREPEND], "normalizer's ", "U+2581", err));
    r->model->add_prefix = true;
    return PM_OK;
}

/* to_marks: nothing is split; else a Metaspace makes the marks. */
static pm_status read_normalizer(reader *r, const pm_json_value *value, bool to_marks, pm_error *err) {
    field self = {"normalizer", value};
    uint32_t i, end;
    PM_TRY(get_steps(r, value, "normalizer", "normalizers", &i, &end, err));
    if (to_marks && i < end && is_type(r, &r->json.values[i], "Prepend")) {
        PM_TRY(read_prepend(r, &r->json.values[i], err));
        i = r->json.values[i].next;
    }
    bool one = i < end && is_type(r, &r->json.values[i], "Replace") && r->json.values[i].next == end;
    PM_TRY(demand(one, &self, "", to_marks ? "a Replace, or a Prepend and a Replace" : "a Replace", err));
    return read_replace(r, &r->json.values[i], "normalizer", to_marks, err);
}

static pm_status read_metaspace(const reader *r, const pm_json_value *object, pm_error *err) {
    enum { TYPE, REPLACEMENT, SCHEME, SPLIT, N };
    field f[N] = {{"type", NULL}, {"replacement", NULL}, {"prepend_scheme", NULL}, {"split", NULL}};
    PM_TRY(get_fields(r, object, "a Metaspace", f, N, err));
    PM_TRY(demand(is_mark(f[REPLACEMENT].value), &f[REPLACEMENT], "a Metaspace's ", "U+2581", err));
    PM_TRY(demand(f[SCHEME].value && pm_json_is(f[SCHEME].value, "never"), &f[SCHEME], "a Metaspace's ", "never", err));
    return demand(f[SPLIT].value && is_false(f[SPLIT].value), &f[SPLIT], "a Metaspace's ", "false", err);
}

static pm_status read_marks(reader *r, const pm_json_value *normalizer, const pm_json_value *pre_tokenizer, pm_error *err) {
    field self = {"pre_tokenizer", pre_tokenizer};
    uint32_t i, end;
    PM_TRY(read_normalizer(r, normalizer, is_null(pre_tokenizer), err));
    if (is_null(pre_tokenizer)) {
        return PM_OK;
    }
    PM_TRY(get_steps(r, pre_tokenizer, "pre_tokenizer", "pretokenizers", &i, &end, err));
    for (; i < end && is_type(r, &r->json.values[i], "Split"); i = r->json.values[i].next) {
        PM_TRY(read_split(r, &r->json.values[i], err));
    }
    bool last = i < end && is_type(r, &r->json.values[i], "Metaspace") && r->json.values[i].next == end;
    PM_TRY(demand(last, &self, "", "null, or Splits followed by one Metaspace", err));
    return read_metaspace(r, &r->json.values[i], err);
}

static pm_status read_strip(const reader *r, const pm_json_value *object, pm_error *err) {
    enum { TYPE, CONTENT, START, STOP, N };
    field f[N] = {{"type", NULL}, {"content", NULL}, {"start", NULL}, {"stop", NULL}};
    uint64_t start = 0, stop = 1;
    PM_TRY(get_fields(r, object, "a Strip", f, N, err));
    PM_TRY(demand(is_blank(f[CONTENT].value), &f[CONTENT], "a Strip's ", "a blank", err));
    bool first = f[START].value && pm_json_u64(f[START].value, &start) && start == 1 && f[STOP].value && pm_json_u64(f[STOP].value, &stop) && stop == 0;
    return demand(first, &f[START], "a Strip's ", "1, and its stop 0", err);
}

static pm_status read_unmark(const reader *r, const pm_json_value *value, pm_error *err) {
    static const char *const types[] = {"Replace", "ByteFallback", "Fuse", "Strip"};
    field self = {"decoder", value};
    uint32_t i, end;
    size_t n = 0;
    PM_TRY(get_steps(r, value, "decoder", "decoders", &i, &end, err));
    for (; i < end && n < 4 && is_type(r, &r->json.values[i], types[n]); i = r->json.values[i].next, n++) {
        PM_TRY(n == 0   ? read_replace(r, &r->json.values[i], "decoder", false, err)
               : n == 3 ? read_strip(r, &r->json.values[i], err)
                        : PM_OK);
    }
    bool whole = i == end && n == (r->model->add_prefix ? 4 : 3);
    return demand(whole, &self, "", r->model->add_prefix ? "Replace, ByteFallback, Fuse and Strip" : "Replace, ByteFallback and Fuse", err);
}

/* What is looked at before all else. */
static bool has_byte_fallback(const reader *r, const pm_json_value *object) {
    if (is_null(object) || object->type != PM_JSON_OBJECT) {
        return false;
    }
    for (uint32_t i = (uint32_t)(object - r->json.values) + 1; i < object->next; i = r->json.values[i + 1].next) {
        if (pm_json_is(&r->json.values[i], "byte_fallback")) {
            return r->json.values[i + 1].type == PM_JSON_BOOL && r->json.values[i + 1].truth;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- the model ---- */

/* Appends what a spelling in the file stands for, when it is one of a piece. Room was reserved. */
static bool decode_piece(reader *r, pm_bytes text) {
    return r->characters ? pm_marked_decode(&r->bytes, text) : pm_byte_level_decode(&r->bytes, text);
}

static pm_status check_free(const reader *r, const pm_json_value *key, pm_id id, pm_error *err) {
    if (id < r->model->vocab_size && r->model->kinds[id] != PM_KIND_HOLE) {
        return pm_fail_at(err, PM_BAD_FORMAT, key[1].offset, "id %u was given already", id);
    }
    return PM_OK;
}

static pm_status set_byte(reader *r, const pm_json_value *key, pm_id id, uint8_t byte, pm_error *err) {
    PM_TRY(check_free(r, key, id, err));
    return pm_model_set(r->model, id, PM_KIND_BYTE, (pm_bytes){&byte, 1}, 0, false, err);
}

static pm_status read_entry(reader *r, const pm_json_value *key, uint64_t n, pm_error *err) {
    pm_id id;
    PM_TRY(read_id(key + 1, n, &id, err));
    added *special = find_added(r, key->text);
    if (special) {
        if (special->id != id || special->in_vocab) {
            return pm_fail_at(err, PM_BAD_FORMAT, key->offset,
                              "an added token has id %u in added_tokens and %u in the vocabulary", special->id, id);
        }
        special->in_vocab = true;
        return PM_OK;
    }
    int byte = r->characters ? pm_byte_from_name(key->text) : -1;
    if (byte >= 0) {
        return set_byte(r, key, id, (uint8_t)byte, err);
    }
    r->bytes.len = 0;
    PM_TRY(pm_buf_reserve(&r->bytes, key->text.len, err));
    if (key->text.len == 0 || !decode_piece(r, key->text)) {
        return pm_fail_at(err, PM_UNSUPPORTED, key->offset, "an entry of the vocabulary %s: that is not supported",
                          r->characters ? "is empty or holds a blank" : "is not in byte-level characters");
    }
    pm_bytes piece = {r->bytes.data, r->bytes.len};
    pm_id other = pm_piece_index_find(&r->index, r->model, piece);
    if (other != PM_ID_NONE) {
        return pm_fail_at(err, PM_BAD_FORMAT, key->offset, "this entry was given already, with id %u", other);
    }
    PM_TRY(check_free(r, key, id, err));
    PM_TRY(pm_model_set(r->model, id, PM_KIND_PIECE, piece, 0, false, err));
    pm_piece_index_add(&r->index, r->model, id);
    return PM_OK;
}

static pm_status read_vocab(reader *r, const pm_json_value *vocab, pm_error *err) {
    PM_TRY(pm_piece_index_init(&r->index, vocab->n, err));
    for (uint32_t i = (uint32_t)(vocab - r->json.values) + 1; i < vocab->next; i = r->json.values[i + 1].next) {
        PM_TRY(read_entry(r, &r->json.values[i], vocab->n, err));
    }
    int missing = r->characters ? -1 : pm_missing_byte(&r->index, r->model); /* byte tokens are counted when the tokenizer is made */
    if (missing >= 0) {
        return pm_fail_at(err, PM_UNSUPPORTED, vocab->offset,
                          "the vocabulary lacks the single byte 0x%02X: that is not supported", (unsigned)missing);
    }
    return PM_OK;
}

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

/* left + right decoded one behind the other in r->bytes: so the result's bytes are all of it. */
static pm_status read_merge(reader *r, const pm_json_value *value, pm_error *err) {
    pm_bytes left, right;
    if (!merge_halves(value, &left, &right)) {
        return pm_fail_at(err, PM_BAD_FORMAT, value->offset, "expected a merge: \"a b\" or [\"a\", \"b\"]");
    }
    r->bytes.len = 0;
    PM_TRY(pm_buf_reserve(&r->bytes, left.len + right.len, err));
    bool decoded = decode_piece(r, left);
    size_t half = r->bytes.len;
    decoded = decoded && decode_piece(r, right);
    pm_bytes a = {r->bytes.data, half}, b = {r->bytes.data + half, r->bytes.len - half},
             all = {r->bytes.data, r->bytes.len};
    pm_id ids[3] = {PM_ID_NONE, PM_ID_NONE, PM_ID_NONE};
    if (decoded && a.len && b.len) {
        ids[0] = pm_piece_index_find(&r->index, r->model, a);
        ids[1] = pm_piece_index_find(&r->index, r->model, b);
        ids[2] = pm_piece_index_find(&r->index, r->model, all);
    }
    if (ids[0] == PM_ID_NONE || ids[1] == PM_ID_NONE || ids[2] == PM_ID_NONE) {
        return pm_fail_at(err, PM_BAD_FORMAT, value->offset,
                          "a merge's parts and result must be entries of the vocabulary, and no added tokens");
    }
    return pm_model_add_merge(r->model, ids[0], ids[1], ids[2], err);
}

static pm_status read_merges(reader *r, const pm_json_value *merges, pm_error *err) {
    for (uint32_t i = (uint32_t)(merges - r->json.values) + 1; i < merges->next; i = r->json.values[i].next) {
        PM_TRY(read_merge(r, &r->json.values[i], err));
    }
    return PM_OK;
}

static pm_status read_model(reader *r, const pm_json_value *object, const pm_json_value *added_tokens, pm_error *err) {
    enum { TYPE, DROPOUT, UNK, PREFIX, SUFFIX, FUSE_UNK, BYTE_FALLBACK, IGNORE_MERGES, VOCAB, MERGES, N };
    field f[N] = {{"type", NULL},
                  {"dropout", NULL},
                  {"unk_token", NULL},
                  {"continuing_subword_prefix", NULL},
                  {"end_of_word_suffix", NULL},
                  {"fuse_unk", NULL},
                  {"byte_fallback", NULL},
                  {"ignore_merges", NULL},
                  {"vocab", NULL},
                  {"merges", NULL}};
    field type = {"type", type_of(r, object)};
    PM_TRY(demand(type.value && pm_json_is(type.value, "BPE"), &type, "model's ", "BPE", err));
    PM_TRY(get_fields(r, object, "model", f, N, err));
    PM_TRY(demand(is_null(f[DROPOUT].value), &f[DROPOUT], "model's ", "null", err));
    PM_TRY(demand(is_empty(f[PREFIX].value), &f[PREFIX], "model's ", "null", err));
    PM_TRY(demand(is_empty(f[SUFFIX].value), &f[SUFFIX], "model's ", "null", err));
    PM_TRY(demand(r->characters || is_false(f[BYTE_FALLBACK].value), &f[BYTE_FALLBACK], "model's ", "true or false", err));
    PM_TRY(demand(f[VOCAB].value && f[VOCAB].value->type == PM_JSON_OBJECT, &f[VOCAB], "model's ", "an object", err));
    PM_TRY(demand(f[MERGES].value && f[MERGES].value->type == PM_JSON_ARRAY, &f[MERGES], "model's ", "an array", err));
    r->model->algorithm = PM_ALGORITHM_BPE;
    r->model->characters = r->model->normalize = r->characters;
    r->model->whole_first = !is_false(f[IGNORE_MERGES].value);
    uint64_t n = (uint64_t)f[VOCAB].value->n + (is_null(added_tokens) ? 0 : added_tokens->n);
    PM_TRY(read_added_tokens(r, added_tokens, n, err));
    PM_TRY(read_vocab(r, f[VOCAB].value, err));
    PM_TRY(set_added_tokens(r, err));
    return read_merges(r, f[MERGES].value, err);
}

/* ---------------------------------------------------------------- the file ---- */

static pm_status read_root(reader *r, pm_error *err) {
    enum { VERSION, TRUNCATION, PADDING, ADDED, NORMALIZER, PRE_TOKENIZER, POST_PROCESSOR, DECODER, MODEL, N };
    field f[N] = {{"version", NULL},        {"truncation", NULL}, {"padding", NULL},
                  {"added_tokens", NULL},   {"normalizer", NULL}, {"pre_tokenizer", NULL},
                  {"post_processor", NULL}, {"decoder", NULL},    {"model", NULL}};
    PM_TRY(get_fields(r, &r->json.values[0], "tokenizer.json", f, N, err));
    if (f[VERSION].value && !pm_json_is(f[VERSION].value, "1.0")) {
        return pm_fail_at(err, PM_BAD_VERSION, f[VERSION].value->offset, "version is not \"1.0\"");
    }
    PM_TRY(demand(is_null(f[TRUNCATION].value), &f[TRUNCATION], "", "null", err));
    PM_TRY(demand(is_null(f[PADDING].value), &f[PADDING], "", "null", err));
    r->characters = has_byte_fallback(r, f[MODEL].value);
    PM_TRY(demand(r->characters || is_null(f[NORMALIZER].value), &f[NORMALIZER], "", "null", err));
    PM_TRY(demand(is_null(f[POST_PROCESSOR].value) || is_type(r, f[POST_PROCESSOR].value, "ByteLevel"),
                  &f[POST_PROCESSOR], "", "null or ByteLevel", err));
    if (r->characters) {
        PM_TRY(read_marks(r, f[NORMALIZER].value, f[PRE_TOKENIZER].value, err));
        PM_TRY(read_unmark(r, f[DECODER].value, err));
    } else {
        PM_TRY(demand(is_type(r, f[DECODER].value, "ByteLevel"), &f[DECODER], "", "ByteLevel", err));
        PM_TRY(read_pre_tokenizer(r, f[PRE_TOKENIZER].value, err));
    }
    PM_TRY(read_model(r, f[MODEL].value, f[ADDED].value, err));
    if (r->characters && !r->n_patterns) {
        return pm_characters_set_splitter(r->model, err);
    }
    const char *const *patterns = (const char *const *)r->patterns;
    return pm_splitter_new(&r->model->splitter, patterns, r->n_patterns, err);
}

static void release(reader *r) {
    for (size_t i = 0; i < r->n_patterns; i++) {
        pm_free(r->patterns[i]);
    }
    pm_free(r->patterns);
    pm_free(r->added);
    pm_json_release(&r->json);
    pm_piece_index_release(&r->index);
    pm_buf_release(&r->bytes);
}

pm_status pm_hf_read(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err) {
    reader r = {.model = model};
    (void)options;
    pm_status status = pm_json_parse(&r.json, file->data, file->len, err);
    if (status == PM_OK) {
        status = read_root(&r, err);
    }
    release(&r);
    return status;
}
