/* hf_steps.c - see hf_steps.h.
 *
 * One table says how each step is written: its type, and its fields in the order in which tokenizers writes them, each with how it is written and where it lies in a
 * pm_step. Reading and writing both go through it, so what is read is what is written. Only the template has a form of its own: it is a list.
 *
 *     {"type": "Split", "pattern": {"Regex": "\\d"}, "behavior": "Isolated", "invert": false}
 *
 *     row  Split   PATTERN a, BEHAVIOR n, FLAG INVERT          step  {SPLIT, REGEX, n = ISOLATED, a = "\\d"}
 *
 * A Sequence is the steps of its list, and a list in a list the steps of that: what tokenizers does with them is the same. */
#include "format/hf_steps.h"

#include <stdio.h>

#include "base/bytes.h"
#include "format/fields.h"
#include "format/reader.h"
#include "text/utf8.h"

typedef enum form {
    END,
    FLAG,     /* true or false: a flag */
    TEXT,     /* a */
    TEXT_B,   /* b */
    CHARACTER, /* a: a text of one character */
    NUMBER,   /* n */
    NUMBER_M, /* m */
    PATTERN,  /* a: {"String": text} or {"Regex": regex} */
    BEHAVIOR, /* n */
    SCHEME,   /* n: pm_prepend */
    BASE64,   /* a: the bytes; null: none */
    ACCENTS,  /* true, false or null: two flags */
    TOKEN,    /* a, n: [text, id] */
    TOKEN_B,  /* b, m */
    OLD       /* read and not written: see old_metaspace */
} form;

typedef struct step_rule {
    const char *name;
    form form;
    uint32_t flag;
    bool may_lack; /* then it is: */
    bool truth;
    uint64_t number;
} step_rule;

enum { MOST_RULES = 6, MOST_DEPTH = 64 };

typedef struct step_row {
    pm_hf_part part;
    const char *type;
    uint32_t step;
    step_rule rules[MOST_RULES];
} step_row;

/* clang-format off */
#define BYTE_LEVEL_RULES {{"add_prefix_space", FLAG, PM_STEP_PREFIX_SPACE, false, false, 0}, {"trim_offsets", FLAG, PM_STEP_TRIM_OFFSETS, false, false, 0}, \
                          {"use_regex", FLAG, PM_STEP_USE_REGEX, true, true, 0}}
#define REPLACE_RULES {{"pattern", PATTERN, 0, false, false, 0}, {"content", TEXT_B, 0, false, false, 0}}
#define METASPACE_RULES {{"replacement", CHARACTER, 0, false, false, 0}, {"prepend_scheme", SCHEME, 0, true, false, PM_PREPEND_ALWAYS}, \
                         {"split", FLAG, PM_STEP_SPLITS, true, true, 0}, {"add_prefix_space", OLD, 0, true, false, 0}, {"str_rep", OLD, 0, true, false, 0}}
#define ENDS_RULES {"sep", TOKEN, 0, false, false, 0}, {"cls", TOKEN_B, 0, false, false, 0}

static const step_row rows[] = {
    {PM_HF_NORMALIZER, "NFC", PM_STEP_NFC, {{0}}},
    {PM_HF_NORMALIZER, "NFD", PM_STEP_NFD, {{0}}},
    {PM_HF_NORMALIZER, "NFKC", PM_STEP_NFKC, {{0}}},
    {PM_HF_NORMALIZER, "NFKD", PM_STEP_NFKD, {{0}}},
    {PM_HF_NORMALIZER, "Lowercase", PM_STEP_LOWERCASE, {{0}}},
    {PM_HF_NORMALIZER, "StripAccents", PM_STEP_STRIP_ACCENTS, {{0}}},
    {PM_HF_NORMALIZER, "BertNormalizer", PM_STEP_BERT,
     {{"clean_text", FLAG, PM_STEP_CLEAN_TEXT, false, false, 0}, {"handle_chinese_chars", FLAG, PM_STEP_CHINESE_CHARS, false, false, 0},
      {"strip_accents", ACCENTS, 0, true, false, 0}, {"lowercase", FLAG, PM_STEP_LOWER, false, false, 0}}},
    {PM_HF_NORMALIZER, "Replace", PM_STEP_REPLACE, REPLACE_RULES},
    {PM_HF_NORMALIZER, "Prepend", PM_STEP_PREPEND, {{"prepend", TEXT, 0, false, false, 0}}},
    {PM_HF_NORMALIZER, "Strip", PM_STEP_STRIP, {{"strip_left", FLAG, PM_STEP_LEFT, false, false, 0}, {"strip_right", FLAG, PM_STEP_RIGHT, false, false, 0}}},
    {PM_HF_NORMALIZER, "Precompiled", PM_STEP_PRECOMPILED, {{"precompiled_charsmap", BASE64, 0, false, false, 0}}},
    {PM_HF_NORMALIZER, "Nmt", PM_STEP_NMT, {{0}}},
    {PM_HF_NORMALIZER, "ByteLevel", PM_STEP_BYTE_LEVEL_CHARS, {{0}}},

    {PM_HF_PRE_TOKENIZER, "ByteLevel", PM_STEP_BYTE_LEVEL, BYTE_LEVEL_RULES},
    {PM_HF_PRE_TOKENIZER, "Split", PM_STEP_SPLIT,
     {{"pattern", PATTERN, 0, false, false, 0}, {"behavior", BEHAVIOR, 0, false, false, 0}, {"invert", FLAG, PM_STEP_INVERT, false, false, 0}}},
    {PM_HF_PRE_TOKENIZER, "Metaspace", PM_STEP_METASPACE, METASPACE_RULES},
    {PM_HF_PRE_TOKENIZER, "Whitespace", PM_STEP_WHITESPACE, {{0}}},
    {PM_HF_PRE_TOKENIZER, "WhitespaceSplit", PM_STEP_WHITESPACE_SPLIT, {{0}}},
    {PM_HF_PRE_TOKENIZER, "Punctuation", PM_STEP_PUNCTUATION, {{"behavior", BEHAVIOR, 0, true, false, PM_BEHAVIOR_ISOLATED}}},
    {PM_HF_PRE_TOKENIZER, "Digits", PM_STEP_DIGITS, {{"individual_digits", FLAG, PM_STEP_INDIVIDUAL, false, false, 0}}},
    {PM_HF_PRE_TOKENIZER, "BertPreTokenizer", PM_STEP_BERT_SPLIT, {{0}}},
    {PM_HF_PRE_TOKENIZER, "UnicodeScripts", PM_STEP_UNICODE_SCRIPTS, {{0}}},
    {PM_HF_PRE_TOKENIZER, "CharDelimiterSplit", PM_STEP_DELIMITER, {{"delimiter", CHARACTER, 0, false, false, 0}}},
    {PM_HF_PRE_TOKENIZER, "FixedLength", PM_STEP_FIXED_LENGTH, {{"length", NUMBER, 0, true, false, 5}}},

    {PM_HF_POST_PROCESSOR, "ByteLevel", PM_STEP_BYTE_LEVEL, BYTE_LEVEL_RULES},
    {PM_HF_POST_PROCESSOR, "BertProcessing", PM_STEP_BERT_ENDS, {ENDS_RULES}},
    {PM_HF_POST_PROCESSOR, "RobertaProcessing", PM_STEP_ROBERTA_ENDS,
     {ENDS_RULES, {"trim_offsets", FLAG, PM_STEP_TRIM_OFFSETS, false, false, 0}, {"add_prefix_space", FLAG, PM_STEP_PREFIX_SPACE, false, false, 0}}},

    {PM_HF_DECODER, "ByteLevel", PM_STEP_BYTE_LEVEL, BYTE_LEVEL_RULES},
    {PM_HF_DECODER, "Replace", PM_STEP_REPLACE, REPLACE_RULES},
    {PM_HF_DECODER, "Metaspace", PM_STEP_METASPACE, METASPACE_RULES},
    {PM_HF_DECODER, "ByteFallback", PM_STEP_BYTE_FALLBACK, {{0}}},
    {PM_HF_DECODER, "Fuse", PM_STEP_FUSE, {{0}}},
    {PM_HF_DECODER, "Strip", PM_STEP_STRIP_EDGES,
     {{"content", CHARACTER, 0, false, false, 0}, {"start", NUMBER, 0, false, false, 0}, {"stop", NUMBER_M, 0, false, false, 0}}},
    {PM_HF_DECODER, "WordPiece", PM_STEP_WORDPIECE, {{"prefix", TEXT, 0, false, false, 0}, {"cleanup", FLAG, PM_STEP_CLEANUP, false, false, 0}}},
    {PM_HF_DECODER, "BPEDecoder", PM_STEP_BPE_SUFFIX, {{"suffix", TEXT, 0, false, false, 0}}},
    {PM_HF_DECODER, "CTC", PM_STEP_CTC,
     {{"pad_token", TEXT, 0, false, false, 0}, {"word_delimiter_token", TEXT_B, 0, false, false, 0}, {"cleanup", FLAG, PM_STEP_CLEANUP, false, false, 0}}},
};
/* clang-format on */

static const char *const behaviors[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous", NULL};
static const char *const schemes[] = {"never", "first", "always", NULL};
static const char *const names[] = {"normalizer", "pre_tokenizer", "post_processor", "decoder"};
static const char *const lists[] = {"normalizers", "pretokenizers", "processors", "decoders"};

const char *pm_hf_part_name(pm_hf_part part) { return names[part]; }

pm_status pm_steps_add(pm_steps *steps, pm_step step, pm_error *err) {
    PM_TRY(pm_grow((void **)&steps->items, &steps->cap, steps->n + 1, sizeof *steps->items, err));
    steps->items[steps->n++] = step;
    return PM_OK;
}

/* ---------------------------------------------------------------- reading ---- */

typedef struct reading {
    pm_steps *out;
    pm_arena *arena;
    const pm_json *json;
    const char *where; /* "a Split" */
} reading;

static pm_status wrong(const reading *r, const pm_json_value *value, const char *name, const char *so, pm_error *err) {
    return pm_fail_at(err, PM_BAD_FORMAT, value->offset, "%s of %s is not %s", name, r->where, so);
}

static pm_status copy(const reading *r, pm_bytes *out, pm_bytes text, pm_error *err) {
    out->len = text.len;
    out->data = text.len ? pm_arena_copy(r->arena, text.data, text.len) : NULL;
    return !text.len || out->data ? PM_OK : pm_fail_memory(err);
}

static pm_status read_text(const reading *r, pm_bytes *out, const pm_json_value *value, const char *name, pm_error *err) {
    return value->type == PM_JSON_STRING ? copy(r, out, value->text, err) : wrong(r, value, name, "a text", err);
}

static pm_status read_character(const reading *r, pm_bytes *out, const pm_json_value *value, const char *name, pm_error *err) {
    unsigned n = 0;
    if (value->type != PM_JSON_STRING || value->text.len == 0 || (pm_utf8_read(value->text.data, value->text.data + value->text.len, &n), n != value->text.len)) {
        return wrong(r, value, name, "one character", err);
    }
    return copy(r, out, value->text, err);
}

static pm_status read_word(const reading *r, uint64_t *out, const pm_json_value *value, const char *name, const char *const *words, pm_error *err) {
    for (*out = 0; words[*out]; ++*out) {
        if (pm_json_is(value, words[*out])) {
            return PM_OK;
        }
    }
    return pm_fail_at(err, PM_UNSUPPORTED, value->offset, "%s of %s is none of those known", name, r->where);
}

static pm_status read_number(const reading *r, uint64_t *out, const pm_json_value *value, const char *name, pm_error *err) {
    return pm_json_u64(value, out) ? PM_OK : wrong(r, value, name, "a whole number", err);
}

static pm_status read_pattern(const reading *r, pm_step *step, const pm_json_value *value, pm_error *err) {
    pm_field f[] = {{"String", NULL}, {"Regex", NULL}};
    PM_TRY(pm_fields_get(r->json, value, "a pattern", f, 2, err));
    const pm_json_value *text = f[0].value ? f[0].value : f[1].value;
    if (!text || text->type != PM_JSON_STRING || (f[0].value && f[1].value)) {
        return wrong(r, value, "pattern", "a String or a Regex", err);
    }
    if (f[1].value && (text->text.len == 0 || text->text.len > 100000 || memchr(text->text.data, 0, text->text.len))) {
        return pm_fail_at(err, PM_BAD_FORMAT, text->offset, "expected a regex of 1 to 100,000 bytes without NUL");
    }
    step->flags |= f[1].value ? PM_STEP_REGEX : 0;
    return copy(r, &step->a, text->text, err);
}

static pm_status read_base64(const reading *r, pm_step *step, const pm_json_value *value, const char *name, pm_error *err) {
    pm_buf bytes = {0};
    size_t at = 0;
    if (value->type == PM_JSON_NULL) {
        return PM_OK;
    }
    if (value->type != PM_JSON_STRING) {
        return wrong(r, value, name, "a text", err);
    }
    PM_TRY(pm_buf_reserve(&bytes, value->text.len / 4 * 3 + 3, err));
    pm_status status = pm_base64_decode(&bytes, value->text.data, value->text.len, &at) ? copy(r, &step->a, (pm_bytes){bytes.data, bytes.len}, err)
                                                                                       : wrong(r, value, name, "base64", err);
    pm_buf_release(&bytes);
    return status;
}

static pm_status read_token(const reading *r, pm_bytes *text, uint64_t *id, const pm_json_value *value, const char *name, pm_error *err) {
    if (value->type != PM_JSON_ARRAY || value->n != 2 || value[1].type != PM_JSON_STRING || !pm_json_u64(&value[2], id) || *id >= PM_ID_NONE) {
        return wrong(r, value, name, "a token and its id", err);
    }
    return copy(r, text, value[1].text, err);
}

static pm_status read_field(const reading *r, pm_step *step, const step_rule *rule, const pm_json_value *value, pm_error *err) {
    switch (rule->form) {
    case FLAG:
        step->flags |= value->truth ? rule->flag : 0;
        return value->type == PM_JSON_BOOL ? PM_OK : wrong(r, value, rule->name, "true or false", err);
    case TEXT: return read_text(r, &step->a, value, rule->name, err);
    case TEXT_B: return read_text(r, &step->b, value, rule->name, err);
    case CHARACTER: return read_character(r, &step->a, value, rule->name, err);
    case NUMBER: return read_number(r, &step->n, value, rule->name, err);
    case NUMBER_M: return read_number(r, &step->m, value, rule->name, err);
    case PATTERN: return read_pattern(r, step, value, err);
    case BEHAVIOR: return read_word(r, &step->n, value, rule->name, behaviors, err);
    case SCHEME: return read_word(r, &step->n, value, rule->name, schemes, err);
    case BASE64: return read_base64(r, step, value, rule->name, err);
    case ACCENTS:
        step->flags |= value->type == PM_JSON_NULL ? 0 : PM_STEP_ACCENTS_GIVEN | (value->truth ? (uint32_t)PM_STEP_ACCENTS : 0);
        return value->type == PM_JSON_BOOL || value->type == PM_JSON_NULL ? PM_OK : wrong(r, value, rule->name, "true, false or null", err);
    case TOKEN: return read_token(r, &step->a, &step->n, value, rule->name, err);
    case TOKEN_B: return read_token(r, &step->b, &step->m, value, rule->name, err);
    default: return PM_OK;
    }
}

/* Older files tell by add_prefix_space: false is the scheme never, and no other may be given then. */
static pm_status old_metaspace(const reading *r, pm_step *step, const pm_field *prefix, const pm_field *scheme, pm_error *err) {
    if (prefix->value && prefix->value->type == PM_JSON_BOOL && !prefix->value->truth) {
        if (scheme->value && step->n != PM_PREPEND_NEVER) {
            return pm_fail_at(err, PM_BAD_FORMAT, prefix->value->offset, "add_prefix_space of %s contradicts prepend_scheme", r->where);
        }
        step->n = PM_PREPEND_NEVER;
    }
    return PM_OK;
}

static pm_status read_step(reading *r, const step_row *row, const pm_json_value *object, pm_error *err) {
    pm_field f[MOST_RULES + 1] = {{"type", NULL}};
    pm_step step = {.type = row->step};
    size_t n = 0;
    for (; n < MOST_RULES && row->rules[n].form != END; n++) {
        f[n + 1].name = row->rules[n].name;
    }
    PM_TRY(pm_fields_get(r->json, object, r->where, f, n + 1, err));
    for (size_t i = 0; i < n; i++) {
        const step_rule *rule = &row->rules[i];
        const pm_json_value *value = f[i + 1].value;
        if (!value && !rule->may_lack) {
            return pm_fail_at(err, PM_BAD_FORMAT, object->offset, "%s of %s is missing", rule->name, r->where);
        }
        if (value) {
            PM_TRY(read_field(r, &step, rule, value, err));
            continue;
        }
        step.flags |= rule->form == FLAG && rule->truth ? rule->flag : 0;
        step.n = rule->number ? rule->number : step.n;
    }
    if (row->step == PM_STEP_METASPACE) {
        PM_TRY(old_metaspace(r, &step, &f[4], &f[2], err));
    }
    return pm_steps_add(r->out, step, err);
}

/* ---- the template ---- */

static pm_status read_special(reading *r, const pm_json_value *tokens, pm_step item, const pm_json_value *name, pm_error *err) {
    pm_field f[] = {{"id", NULL}, {"ids", NULL}, {"tokens", NULL}};
    const pm_json_value *special = NULL;
    for (uint32_t i = pm_json_index(r->json, tokens) + 1; i < tokens->next; i = r->json->values[i + 1].next) {
        const pm_json_value *key = &r->json->values[i];
        if (pm_bytes_equal(key->text, name->text)) {
            special = key + 1;
        }
    }
    if (!special) {
        return pm_fail_at(err, PM_BAD_FORMAT, name->offset, "a template names a token that its special_tokens lack");
    }
    PM_TRY(pm_fields_get(r->json, special, "special_tokens", f, 3, err));
    const pm_json_value *ids = f[1].value, *texts = f[2].value;
    if (!ids || !texts || ids->type != PM_JSON_ARRAY || texts->type != PM_JSON_ARRAY || ids->n != texts->n) {
        return pm_fail_at(err, PM_BAD_FORMAT, special->offset, "special_tokens: expected as many ids as tokens");
    }
    PM_TRY(copy(r, &item.a, name->text, err));
    item.m = ids->n;
    PM_TRY(pm_steps_add(r->out, item, err));
    for (uint32_t i = 0; i < ids->n; i++) {
        pm_step id = {.type = PM_STEP_ID};
        if (!pm_json_u64(&ids[1 + i], &id.n) || id.n >= PM_ID_NONE || texts[1 + i].type != PM_JSON_STRING) {
            return pm_fail_at(err, PM_BAD_FORMAT, ids[1 + i].offset, "special_tokens: expected an id and its token");
        }
        PM_TRY(copy(r, &id.a, texts[1 + i].text, err));
        PM_TRY(pm_steps_add(r->out, id, err));
    }
    return PM_OK;
}

static pm_status read_item(reading *r, const pm_json_value *tokens, const pm_json_value *object, uint32_t flags, pm_error *err) {
    pm_field kind[] = {{"Sequence", NULL}, {"SpecialToken", NULL}}, f[] = {{"id", NULL}, {"type_id", NULL}};
    pm_step item = {.type = PM_STEP_ITEM, .flags = flags};
    PM_TRY(pm_fields_get(r->json, object, "a template's item", kind, 2, err));
    bool special = kind[1].value != NULL;
    if (special == (kind[0].value != NULL)) {
        return pm_fail_at(err, PM_BAD_FORMAT, object->offset, "a template's item is a Sequence or a SpecialToken");
    }
    PM_TRY(pm_fields_get(r->json, kind[special].value, "a template's item", f, 2, err));
    const pm_json_value *id = f[0].value;
    if (!id || id->type != PM_JSON_STRING || !f[1].value || !pm_json_u64(f[1].value, &item.n) || (!special && !pm_json_is(id, "A") && !pm_json_is(id, "B"))) {
        return pm_fail_at(err, PM_BAD_FORMAT, object->offset, "a template's item lacks its id or type_id");
    }
    if (special) {
        return read_special(r, tokens, item, id, err);
    }
    PM_TRY(copy(r, &item.b, id->text, err));
    return pm_steps_add(r->out, item, err);
}

static pm_status read_template(reading *r, const pm_json_value *object, pm_error *err) {
    enum { TYPE, SINGLE, PAIR, TOKENS, N };
    pm_field f[N] = {{"type", NULL}, {"single", NULL}, {"pair", NULL}, {"special_tokens", NULL}};
    PM_TRY(pm_fields_get(r->json, object, r->where, f, N, err));
    const pm_json_value *tokens = f[TOKENS].value;
    if (!f[SINGLE].value || f[SINGLE].value->type != PM_JSON_ARRAY || !f[PAIR].value || f[PAIR].value->type != PM_JSON_ARRAY || !tokens ||
        tokens->type != PM_JSON_OBJECT) {
        return pm_fail_at(err, PM_BAD_FORMAT, object->offset, "%s lacks single, pair or special_tokens", r->where);
    }
    PM_TRY(pm_steps_add(r->out, (pm_step){.type = PM_STEP_TEMPLATE, .n = (uint64_t)f[SINGLE].value->n + f[PAIR].value->n}, err));
    for (int pair = 0; pair < 2; pair++) {
        const pm_json_value *list = f[SINGLE + pair].value;
        for (uint32_t i = pm_json_index(r->json, list) + 1; i < list->next; i = r->json->values[i].next) {
            PM_TRY(read_item(r, tokens, &r->json->values[i], pair ? PM_STEP_PAIR : 0, err));
        }
    }
    return PM_OK;
}

/* ---- lists ---- */

static const step_row *find_row(pm_hf_part part, const pm_json_value *type) {
    for (size_t i = 0; type && i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].part == part && pm_json_is(type, rows[i].type)) {
            return &rows[i];
        }
    }
    return NULL;
}

static pm_status read_one(reading *r, pm_hf_part part, const pm_json_value *object, pm_error *err) {
    const pm_json_value *type = pm_field_of(r->json, object, "type");
    char where[96];
    const step_row *row = find_row(part, type);
    bool template = part == PM_HF_POST_PROCESSOR && type && pm_json_is(type, "TemplateProcessing");
    if (!row && !template) {
        bool text = type && type->type == PM_JSON_STRING;
        int len = !text ? 0 : type->text.len < 64 ? (int)type->text.len : 64;
        return pm_fail_at(err, PM_UNSUPPORTED, type ? type->offset : object->offset, "%s: type '%.*s' is not supported", names[part], len,
                          len ? (const char *)type->text.data : "");
    }
    snprintf(where, sizeof where, "%s's %s", names[part], row ? row->type : "TemplateProcessing");
    r->where = where;
    return row ? read_step(r, row, object, err) : read_template(r, object, err);
}

/* The list of a Sequence. */
static pm_status open_sequence(const reading *r, pm_hf_part part, const pm_json_value *object, const pm_json_value **list, pm_error *err) {
    pm_field f[] = {{"type", NULL}, {lists[part], NULL}};
    PM_TRY(pm_fields_get(r->json, object, names[part], f, 2, err));
    *list = f[1].value;
    return *list && (*list)->type == PM_JSON_ARRAY
               ? PM_OK
               : pm_fail_at(err, PM_BAD_FORMAT, *list ? (*list)->offset : object->offset, "expected an array: %s of %s", lists[part], names[part]);
}

pm_status pm_hf_read_steps(pm_steps *out, pm_arena *arena, const pm_json *json, pm_hf_part part, const pm_json_value *value, pm_error *err) {
    reading r = {.out = out, .arena = arena, .json = json};
    struct {
        uint32_t next, end;
    } open[MOST_DEPTH + 1]; /* the lists that are open: as deep as JSON may be */
    size_t depth = 0;

    if (pm_field_is_null(value)) {
        return PM_OK;
    }
    open[0].next = pm_json_index(json, value);
    open[0].end = value->next;
    for (;;) {
        if (open[depth].next >= open[depth].end) {
            if (depth-- == 0) {
                return PM_OK;
            }
            continue;
        }
        const pm_json_value *object = &json->values[open[depth].next], *type = pm_field_of(json, object, "type");
        open[depth].next = object->next;
        if (!type || !pm_json_is(type, "Sequence")) {
            PM_TRY(read_one(&r, part, object, err));
            continue;
        }
        const pm_json_value *list;
        PM_TRY(open_sequence(&r, part, object, &list, err));
        if (++depth > MOST_DEPTH) {
            return pm_fail_at(err, PM_BAD_FORMAT, object->offset, "%s is nested too deeply", names[part]);
        }
        open[depth].next = pm_json_index(json, list) + 1;
        open[depth].end = list->next;
    }
}

/* ---------------------------------------------------------------- writing ---- */

static pm_status put(pm_buf *out, const char *text, pm_error *err) { return pm_buf_append(out, text, strlen(text), err); }

static pm_status put_text(pm_buf *out, pm_bytes text, pm_error *err) {
    size_t at;
    return pm_is_utf8(text, &at) ? pm_json_quote(out, text, err) : pm_fail(err, PM_UNSUPPORTED, "a step holds a text that is not UTF-8: tokenizer.json cannot hold it");
}

static pm_status put_token(pm_buf *out, pm_bytes text, uint64_t id, pm_error *err) {
    PM_TRY(put(out, "[", err));
    PM_TRY(put_text(out, text, err));
    return pm_buf_printf(out, err, ",%llu]", (unsigned long long)id);
}

static pm_status put_base64(pm_buf *out, pm_bytes bytes, pm_error *err) {
    if (bytes.len == 0) {
        return put(out, "null", err);
    }
    PM_TRY(put(out, "\"", err));
    PM_TRY(pm_base64_append(out, bytes, err));
    return put(out, "\"", err);
}

static pm_status put_truth(pm_buf *out, bool truth, pm_error *err) { return put(out, truth ? "true" : "false", err); }

static pm_status put_word(pm_buf *out, const char *const *words, uint64_t last, uint64_t i, pm_error *err) {
    return i <= last ? pm_buf_printf(out, err, "\"%s\"", words[i]) : pm_fail(err, PM_UNSUPPORTED, "a step holds a choice that is not known");
}

static pm_status put_field(pm_buf *out, const step_rule *rule, const pm_step *step, pm_error *err) {
    PM_TRY(pm_buf_printf(out, err, ",\"%s\":", rule->name));
    switch (rule->form) {
    case FLAG: return put_truth(out, step->flags & rule->flag, err);
    case TEXT:
    case CHARACTER: return put_text(out, step->a, err);
    case TEXT_B: return put_text(out, step->b, err);
    case NUMBER: return pm_buf_printf(out, err, "%llu", (unsigned long long)step->n);
    case NUMBER_M: return pm_buf_printf(out, err, "%llu", (unsigned long long)step->m);
    case PATTERN:
        PM_TRY(put(out, step->flags & PM_STEP_REGEX ? "{\"Regex\":" : "{\"String\":", err));
        PM_TRY(put_text(out, step->a, err));
        return put(out, "}", err);
    case BEHAVIOR: return put_word(out, behaviors, PM_BEHAVIOR_CONTIGUOUS, step->n, err);
    case SCHEME: return put_word(out, schemes, PM_PREPEND_ALWAYS, step->n, err);
    case BASE64: return put_base64(out, step->a, err);
    case ACCENTS: return step->flags & PM_STEP_ACCENTS_GIVEN ? put_truth(out, step->flags & PM_STEP_ACCENTS, err) : put(out, "null", err);
    case TOKEN: return put_token(out, step->a, step->n, err);
    default: return put_token(out, step->b, step->m, err);
    }
}

static pm_status put_item(pm_buf *out, const pm_step *item, pm_error *err) {
    PM_TRY(put(out, item->b.len ? "{\"Sequence\":{\"id\":" : "{\"SpecialToken\":{\"id\":", err));
    PM_TRY(put_text(out, item->b.len ? item->b : item->a, err));
    return pm_buf_printf(out, err, ",\"type_id\":%llu}}", (unsigned long long)item->n);
}

/* The items of one text or of two, of the `n` steps behind a template. */
static pm_status put_items(pm_buf *out, const pm_step *steps, size_t n, uint32_t pair, pm_error *err) {
    bool first = true;
    PM_TRY(put(out, "[", err));
    for (size_t i = 0; i < n; i++) {
        if (steps[i].type == PM_STEP_ITEM && (steps[i].flags & PM_STEP_PAIR) == pair) {
            PM_TRY(put(out, first ? "" : ",", err));
            PM_TRY(put_item(out, &steps[i], err));
            first = false;
        }
    }
    return put(out, "]", err);
}

static pm_status put_special(pm_buf *out, const pm_step *item, const pm_step *end, pm_error *err) {
    PM_TRY(put_text(out, item->a, err));
    PM_TRY(put(out, ":{\"id\":", err));
    PM_TRY(put_text(out, item->a, err));
    PM_TRY(put(out, ",\"ids\":[", err));
    for (const pm_step *id = item + 1; id < end && id->type == PM_STEP_ID; id++) {
        PM_TRY(pm_buf_printf(out, err, "%s%llu", id > item + 1 ? "," : "", (unsigned long long)id->n));
    }
    PM_TRY(put(out, "],\"tokens\":[", err));
    for (const pm_step *id = item + 1; id < end && id->type == PM_STEP_ID; id++) {
        PM_TRY(put(out, id > item + 1 ? "," : "", err));
        PM_TRY(put_text(out, id->a, err));
    }
    return put(out, "]}", err);
}


static bool is_special(const pm_step *step) { return step->type == PM_STEP_ITEM && step->b.len == 0; }

static int by_name(const pm_step *x, const pm_step *y) { return pm_bytes_compare(x->a, y->a); }

/* Each special token once, in the order of names, as tokenizers writes them. A template is short. */
static pm_status put_specials(pm_buf *out, const pm_step *steps, size_t n, pm_error *err) {
    const pm_step *last = NULL;
    PM_TRY(put(out, "{", err));
    for (;;) {
        const pm_step *next = NULL;
        for (size_t i = 0; i < n; i++) {
            if (is_special(&steps[i]) && (!last || by_name(&steps[i], last) > 0) && (!next || by_name(&steps[i], next) < 0)) {
                next = &steps[i];
            }
        }
        if (!next) {
            return put(out, "}", err);
        }
        PM_TRY(put(out, last ? "," : "", err));
        PM_TRY(put_special(out, next, steps + n, err));
        last = next;
    }
}

/* How many steps belong to the step at i. */
static size_t extent(const pm_steps *steps, size_t i) {
    size_t n = 1;
    while (steps->items[i].type == PM_STEP_TEMPLATE && i + n < steps->n && (steps->items[i + n].type == PM_STEP_ITEM || steps->items[i + n].type == PM_STEP_ID)) {
        n++;
    }
    return n;
}

static pm_status put_template(pm_buf *out, const pm_step *steps, size_t n, pm_error *err) {
    PM_TRY(put(out, "{\"type\":\"TemplateProcessing\",\"single\":", err));
    PM_TRY(put_items(out, steps, n, 0, err));
    PM_TRY(put(out, ",\"pair\":", err));
    PM_TRY(put_items(out, steps, n, PM_STEP_PAIR, err));
    PM_TRY(put(out, ",\"special_tokens\":", err));
    PM_TRY(put_specials(out, steps, n, err));
    return put(out, "}", err);
}

static pm_status put_step(pm_buf *out, pm_hf_part part, const pm_step *step, size_t n, pm_error *err) {
    if (part == PM_HF_POST_PROCESSOR && step->type == PM_STEP_TEMPLATE) {
        return put_template(out, step + 1, n - 1, err);
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const step_row *row = &rows[i];
        if (row->part != part || row->step != step->type) {
            continue;
        }
        PM_TRY(pm_buf_printf(out, err, "{\"type\":\"%s\"", row->type));
        for (size_t f = 0; f < MOST_RULES && row->rules[f].form != END; f++) {
            PM_TRY(row->rules[f].form == OLD ? PM_OK : put_field(out, &row->rules[f], step, err));
        }
        return put(out, "}", err);
    }
    return pm_fail(err, PM_UNSUPPORTED, "tokenizer.json has no %s of this kind (step %u)", names[part], step->type);
}

pm_status pm_hf_write_steps(pm_buf *out, pm_hf_part part, const pm_steps *steps, pm_error *err) {
    bool list = steps->n > 0 && extent(steps, 0) < steps->n;
    if (steps->n == 0) {
        return put(out, "null", err);
    }
    PM_TRY(list ? pm_buf_printf(out, err, "{\"type\":\"Sequence\",\"%s\":[", lists[part]) : PM_OK);
    for (size_t i = 0, n; i < steps->n; i += n) {
        n = extent(steps, i);
        PM_TRY(put(out, i ? "," : "", err));
        PM_TRY(put_step(out, part, &steps->items[i], n, err));
    }
    return list ? put(out, "]}", err) : PM_OK;
}
