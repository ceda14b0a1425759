/* gguf_read.c - the vocabulary in a GGUF file's metadata.
 *
 *     tokenizer.ggml.model   gpt2: BPE over bytes, entries in byte-level characters, merges; llama: sentencepiece's BPE, scores; t5: its Unigram, scores and a table for
 *                            normalizing; bert: WordPiece, where entries that begin a word begin with U+2581 and others have lost their "##"
 *     tokenizer.ggml.pre     for gpt2: how text is split (gguf_pre.c); a pattern that the caller gives goes before it
 *     tokenizer.ggml.tokens, scores, token_type, merges, the ids of <bos>, <eos> and others, add_bos_token, add_eos_token, add_space_prefix, ...
 *
 * Token types: CONTROL and UNKNOWN become special tokens, USER_DEFINED ones are always found in text, UNUSED are the slots without text that llama.cpp's converter puts
 * where ids were missing. The chat template and the tokens' roles are kept (roles.h). */
#include "format/gguf_vocab.h"

#include "encode/derive.h"
#include "format/merges.h"
#include "format/roles.h"
#include "format/scored.h"
#include "text/characters.h"

const char *const pm_gguf_field_names[PM_GGUF_FIELDS] = {
    [PM_GGUF_MODEL] = "tokenizer.ggml.model",
    [PM_GGUF_PRE] = "tokenizer.ggml.pre",
    [PM_GGUF_TOKENS] = "tokenizer.ggml.tokens",
    [PM_GGUF_SCORES] = "tokenizer.ggml.scores",
    [PM_GGUF_TYPES] = "tokenizer.ggml.token_type",
    [PM_GGUF_MERGES] = "tokenizer.ggml.merges",
    [PM_GGUF_BOS] = "tokenizer.ggml.bos_token_id",
    [PM_GGUF_EOS] = "tokenizer.ggml.eos_token_id",
    [PM_GGUF_UNK] = "tokenizer.ggml.unknown_token_id",
    [PM_GGUF_SEP] = "tokenizer.ggml.seperator_token_id", /* so it is called */
    [PM_GGUF_PAD] = "tokenizer.ggml.padding_token_id",
    [PM_GGUF_CLS] = "tokenizer.ggml.cls_token_id",
    [PM_GGUF_MASK] = "tokenizer.ggml.mask_token_id",
    [PM_GGUF_ADD_BOS] = "tokenizer.ggml.add_bos_token",
    [PM_GGUF_ADD_EOS] = "tokenizer.ggml.add_eos_token",
    [PM_GGUF_ADD_PREFIX] = "tokenizer.ggml.add_space_prefix",
    [PM_GGUF_REMOVE_BLANKS] = "tokenizer.ggml.remove_extra_whitespaces",
    [PM_GGUF_ESCAPE_BLANKS] = "tokenizer.ggml.escape_whitespaces",
    [PM_GGUF_AS_SUFFIX] = "tokenizer.ggml.treat_whitespace_as_suffix",
    [PM_GGUF_CHARSMAP] = "tokenizer.ggml.precompiled_charsmap",
    [PM_GGUF_LOWERCASE] = "tokenizer.ggml.normalizer.lowercase",
    [PM_GGUF_ACCENTS] = "tokenizer.ggml.normalizer.strip_accents",
    [PM_GGUF_TEMPLATE] = "tokenizer.chat_template",
};

typedef struct reader {
    pm_model *model;
    pm_gguf gguf;
    pm_gguf_field fields[PM_GGUF_FIELDS];
    pm_piece_index index;
    pm_buf scratch;
    const pm_load_options *options;
    uint32_t n; /* tokens */
} reader;

/* ---------------------------------------------------------------- fields ---- */

static const pm_gguf_value *value_of(const reader *r, pm_gguf_key key) { return r->fields[key].value; }

static pm_status fail_type(const reader *r, pm_gguf_key key, const char *wanted, pm_error *err) {
    const pm_gguf_value *v = value_of(r, key);
    return pm_fail_at(err, PM_BAD_FORMAT, v ? v->offset : PM_NO_OFFSET, v ? "%s is not %s" : "%s is missing: it should be %s", pm_gguf_field_names[key], wanted);
}

/* A text; one that is not there is empty. */
static pm_status get_text(const reader *r, pm_gguf_key key, pm_bytes *out, pm_error *err) {
    const pm_gguf_value *v = value_of(r, key);
    *out = (pm_bytes){NULL, 0};
    if (v && v->type != PM_GGUF_STRING) {
        return fail_type(r, key, "a string", err);
    }
    if (v) {
        uint64_t at = v->offset;
        *out = pm_gguf_next_string(&r->gguf, &at);
    }
    return PM_OK;
}

static pm_status get_truth(const reader *r, pm_gguf_key key, bool otherwise, bool *out, pm_error *err) {
    const pm_gguf_value *v = value_of(r, key);
    *out = otherwise;
    if (v && v->type != PM_GGUF_BOOL) {
        return fail_type(r, key, "true or false", err);
    }
    if (v) {
        uint64_t at = v->offset;
        *out = pm_gguf_next_bits(&r->gguf, v->type, &at) != 0;
    }
    return PM_OK;
}

/* An id that the vocabulary has; PM_ID_NONE: the file does not say. */
static pm_status get_id(const reader *r, pm_gguf_key key, pm_id *out, pm_error *err) {
    const pm_gguf_value *v = value_of(r, key);
    *out = PM_ID_NONE;
    if (!v) {
        return PM_OK;
    }
    if (v->type == PM_GGUF_STRING || v->type == PM_GGUF_ARRAY || v->type == PM_GGUF_BOOL || v->type == PM_GGUF_F32 || v->type == PM_GGUF_F64) {
        return fail_type(r, key, "a whole number", err);
    }
    uint64_t at = v->offset, id = pm_gguf_next_bits(&r->gguf, v->type, &at);
    if ((v->type == PM_GGUF_I32 || v->type == PM_GGUF_I64) && id == UINT64_MAX) {
        return PM_OK; /* -1 */
    }
    if (id >= r->n) {
        return pm_fail_at(err, PM_BAD_FORMAT, v->offset, "%s is not in the vocabulary", pm_gguf_field_names[key]);
    }
    *out = (pm_id)id;
    return PM_OK;
}

/* An array with an item for each token, or none. */
static pm_status check_array(const reader *r, pm_gguf_key key, pm_gguf_type item, const char *wanted, pm_error *err) {
    const pm_gguf_value *v = value_of(r, key);
    return !v || (pm_gguf_is_array(v, item) && v->n >= r->n) ? PM_OK : fail_type(r, key, wanted, err);
}

/* ---------------------------------------------------------------- tokens ---- */

typedef struct token {
    pm_bytes text;
    uint64_t offset;
    int64_t type;
    float score;
} token;

/* Walks over the three arrays at once. */
typedef struct tokens {
    const reader *r;
    uint64_t text, type, score; /* where the next item is; 0: there is no such array */
} tokens;

static tokens begin_tokens(const reader *r) {
    const pm_gguf_value *types = value_of(r, PM_GGUF_TYPES), *scores = value_of(r, PM_GGUF_SCORES);
    return (tokens){r, value_of(r, PM_GGUF_TOKENS)->offset, types ? types->offset : 0, scores ? scores->offset : 0};
}

static token next_token(tokens *t) {
    token out = {.offset = t->text, .type = PM_SCORED_NORMAL};
    out.text = pm_gguf_next_string(&t->r->gguf, &t->text);
    out.type = t->type ? (int64_t)pm_gguf_next_bits(&t->r->gguf, PM_GGUF_I32, &t->type) : out.type;
    out.score = t->score ? pm_gguf_next_float(&t->r->gguf, &t->score) : 0;
    return out;
}

static pm_status check_arrays(reader *r, pm_error *err) {
    const pm_gguf_value *v = value_of(r, PM_GGUF_TOKENS);
    if (!pm_gguf_is_array(v, PM_GGUF_STRING)) {
        return fail_type(r, PM_GGUF_TOKENS, "an array of strings", err);
    }
    if (v->n >= PM_ID_NONE) {
        return pm_fail_at(err, PM_BAD_FORMAT, v->offset, "more tokens than there are ids");
    }
    r->n = (uint32_t)v->n;
    PM_TRY(check_array(r, PM_GGUF_TYPES, PM_GGUF_I32, "an array of 32-bit numbers, one a token", err));
    return check_array(r, PM_GGUF_SCORES, PM_GGUF_F32, "an array of 32-bit floats, one a token", err);
}

static pm_status no_type(pm_id id, const token *t, pm_error *err) {
    return pm_fail_at(err, PM_BAD_FORMAT, t->offset, "token %u has type %lld, which does not go with this vocabulary", id, (long long)t->type);
}

static pm_status set_named(pm_model *model, pm_id id, pm_kind kind, uint8_t flags, const token *t, pm_error *err) {
    if (!t->text.len) {
        return pm_fail_at(err, PM_BAD_FORMAT, t->offset, "token %u is empty", id);
    }
    PM_TRY(pm_model_set(model, id, kind, t->text, 0, false, err));
    return flags ? pm_model_set_added(model, id, flags, err) : PM_OK;
}

/* ---------------------------------------------------------------- gpt2 ---- */

static pm_status set_entry(reader *r, pm_id id, const token *t, pm_error *err) {
    switch (t->type) {
    case PM_SCORED_NORMAL: return pm_byte_level_entry(r->model, &r->index, &r->scratch, id, t->text, t->offset, err);
    case PM_SCORED_CONTROL:
    case PM_SCORED_UNKNOWN: return set_named(r->model, id, PM_KIND_SPECIAL, 0, t, err);
    case PM_SCORED_USER_DEFINED: return set_named(r->model, id, PM_KIND_PIECE, PM_ADDED | PM_ADDED_ALONE, t, err);
    case PM_SCORED_UNUSED: return pm_model_set(r->model, id, PM_KIND_RESERVED, (pm_bytes){NULL, 0}, 0, false, err);
    default: return no_type(id, t, err);
    }
}

static pm_status read_merges(reader *r, pm_error *err) {
    const pm_gguf_value *v = value_of(r, PM_GGUF_MERGES);
    if (!v) { /* the rule of ranks: the lowest id goes first */
        return pm_bpe_derive_merges(r->model, err);
    }
    if (!pm_gguf_is_array(v, PM_GGUF_STRING)) {
        return fail_type(r, PM_GGUF_MERGES, "an array of strings", err);
    }
    uint64_t at = v->offset;
    for (uint64_t i = 0; i < v->n; i++) {
        uint64_t offset = at;
        pm_bytes left, right, text = pm_gguf_next_string(&r->gguf, &at);
        if (!pm_merge_halves(text, &left, &right)) {
            return pm_fail_at(err, PM_BAD_FORMAT, offset, "merge %llu is not of the form \"a b\"", (unsigned long long)i);
        }
        PM_TRY(pm_byte_level_merge(r->model, &r->index, &r->scratch, left, right, offset, err));
    }
    return PM_OK;
}

/* The row of the name in the file; NULL: the caller gives patterns, and the name is not known. */
static pm_status find_pre(const reader *r, const pm_gguf_pre **pre, pm_error *err) {
    pm_bytes name;
    PM_TRY(get_text(r, PM_GGUF_PRE, &name, err));
    *pre = pm_gguf_pre_find(name.len ? name : (pm_bytes){(const uint8_t *)"default", 7});
    if (*pre || r->options->n_patterns) {
        return PM_OK;
    }
    int len = name.len < 64 ? (int)name.len : 64;
    return pm_fail_at(err, PM_UNSUPPORTED, value_of(r, PM_GGUF_PRE)->offset, "tokenizer.ggml.pre '%.*s' is not known here: a pattern must be given", len,
                      (const char *)name.data);
}

static pm_status read_ends(reader *r, bool add_bos, bool add_eos, pm_error *err) {
    pm_id bos, eos;
    PM_TRY(get_truth(r, PM_GGUF_ADD_BOS, add_bos, &add_bos, err));
    PM_TRY(get_truth(r, PM_GGUF_ADD_EOS, add_eos, &add_eos, err));
    PM_TRY(get_id(r, PM_GGUF_BOS, &bos, err));
    PM_TRY(get_id(r, PM_GGUF_EOS, &eos, err));
    return pm_ends_set(r->model, add_bos ? bos : PM_ID_NONE, add_eos ? eos : PM_ID_NONE, err);
}

static pm_status read_gpt2(reader *r, pm_error *err) {
    const pm_gguf_pre *pre;
    const char *regexes[PM_GGUF_MOST_REGEXES];
    tokens walk = begin_tokens(r);
    PM_TRY(find_pre(r, &pre, err));
    PM_TRY(pm_piece_index_init(&r->index, r->n, err));
    r->model->algorithm = PM_ALGORITHM_BPE;
    for (pm_id id = 0; id < r->n; id++) {
        token t = next_token(&walk);
        PM_TRY(set_entry(r, id, &t, err));
    }
    int missing = pm_missing_byte(&r->index, r->model);
    if (missing >= 0) {
        return pm_fail_at(err, PM_UNSUPPORTED, value_of(r, PM_GGUF_TOKENS)->offset, "the vocabulary lacks the single byte 0x%02X: that is not supported",
                          (unsigned)missing);
    }
    PM_TRY(read_merges(r, err));
    r->model->whole_first |= pre && pre->whole_first;
    PM_TRY(read_ends(r, pre && pre->bos, false, err));
    if (r->options->n_patterns) {
        return pm_splitter_new(&r->model->splitter, r->options->patterns, r->options->n_patterns, err);
    }
    size_t n = pm_gguf_pre_regexes(pre, regexes);
    return pm_splitter_new(&r->model->splitter, regexes, n, err);
}

/* ---------------------------------------------------------------- llama and t5 ---- */

static pm_status get_flag(const reader *r, pm_gguf_key key, bool otherwise, unsigned flag, unsigned *flags, pm_error *err) {
    bool truth;
    PM_TRY(get_truth(r, key, otherwise, &truth, err));
    *flags |= truth ? flag : 0;
    return PM_OK;
}

static pm_status get_charsmap(const reader *r, pm_bytes *out, pm_error *err) {
    const pm_gguf_value *v = value_of(r, PM_GGUF_CHARSMAP);
    *out = (pm_bytes){NULL, 0};
    if (v && !pm_gguf_is_array(v, PM_GGUF_U8) && !pm_gguf_is_array(v, PM_GGUF_I8)) {
        return fail_type(r, PM_GGUF_CHARSMAP, "an array of bytes", err);
    }
    *out = v ? (pm_bytes){r->gguf.data + v->offset, (size_t)v->n} : *out;
    return PM_OK;
}

static pm_status read_rules(reader *r, bool unigram, pm_scored_rules *rules, pm_error *err) {
    *rules = (pm_scored_rules){.algorithm = unigram ? PM_ALGORITHM_UNIGRAM : PM_ALGORITHM_BPE, .bos = PM_ID_NONE, .eos = PM_ID_NONE};
    PM_TRY(get_flag(r, PM_GGUF_ADD_PREFIX, !unigram, PM_STEP_DUMMY_PREFIX, &rules->flags, err));
    PM_TRY(get_flag(r, PM_GGUF_REMOVE_BLANKS, false, PM_STEP_REMOVE_EXTRA_BLANKS, &rules->flags, err));
    PM_TRY(get_flag(r, PM_GGUF_ESCAPE_BLANKS, true, PM_STEP_ESCAPE_BLANKS, &rules->flags, err));
    PM_TRY(get_flag(r, PM_GGUF_AS_SUFFIX, false, PM_STEP_AS_SUFFIX, &rules->flags, err));
    return get_charsmap(r, &rules->charsmap, err);
}

static pm_status read_scored(reader *r, bool unigram, pm_error *err) {
    pm_scored_rules rules;
    tokens walk = begin_tokens(r);
    PM_TRY(read_rules(r, unigram, &rules, err));
    for (pm_id id = 0; id < r->n; id++) {
        token t = next_token(&walk);
        pm_scored_piece piece = {t.text, t.score, t.type < 0 || t.type > PM_SCORED_BYTE ? 0 : (int)t.type};
        PM_TRY(pm_scored_add(r->model, &piece, t.offset, err));
        rules.byte_fallback |= t.type == PM_SCORED_BYTE;
    }
    PM_TRY(pm_scored_end(r->model, &rules, err));
    return read_ends(r, !unigram, unigram, err);
}

/* ---------------------------------------------------------------- bert ---- */

enum { MARK_BYTES = sizeof PM_BLANK_MARK_UTF8 - 1, BERT_WORD = 100 };

/* "\u2581play" -> "play", "ing" -> "##ing". */
static pm_status set_wordpiece(reader *r, pm_id id, const token *t, pm_error *err) {
    pm_bytes text = t->text;
    bool begins = text.len > MARK_BYTES && memcmp(text.data, PM_BLANK_MARK_UTF8, MARK_BYTES) == 0;
    r->scratch.len = 0;
    if (!text.len) {
        return pm_fail_at(err, PM_BAD_FORMAT, t->offset, "token %u is empty", id);
    }
    PM_TRY(begins ? PM_OK : pm_buf_append(&r->scratch, "##", 2, err));
    PM_TRY(pm_buf_append(&r->scratch, text.data + (begins ? MARK_BYTES : 0), text.len - (begins ? MARK_BYTES : 0), err));
    pm_bytes piece = {r->scratch.data, r->scratch.len};
    pm_id other = pm_piece_index_find(&r->index, r->model, piece);
    if (other != PM_ID_NONE) {
        return pm_fail_at(err, PM_BAD_FORMAT, t->offset, "token %u has the text of token %u", id, other);
    }
    PM_TRY(pm_model_set(r->model, id, PM_KIND_PIECE, piece, 0, false, err));
    pm_piece_index_add(&r->index, r->model, id);
    return PM_OK;
}

static pm_status set_bert(reader *r, pm_id id, const token *t, pm_error *err) {
    switch (t->type) {
    case PM_SCORED_NORMAL: return set_wordpiece(r, id, t, err);
    case PM_SCORED_CONTROL:
    case PM_SCORED_UNKNOWN: return set_named(r->model, id, PM_KIND_SPECIAL, PM_ADDED, t, err);
    case PM_SCORED_USER_DEFINED: return set_named(r->model, id, PM_KIND_PIECE, PM_ADDED, t, err);
    case PM_SCORED_UNUSED: return pm_model_set(r->model, id, PM_KIND_RESERVED, (pm_bytes){NULL, 0}, 0, false, err);
    default: return no_type(id, t, err);
    }
}

static pm_status read_bert(reader *r, pm_error *err) {
    bool lowercase, accents;
    pm_id cls, sep;
    tokens walk = begin_tokens(r);
    PM_TRY(get_truth(r, PM_GGUF_LOWERCASE, true, &lowercase, err));
    PM_TRY(get_truth(r, PM_GGUF_ACCENTS, lowercase, &accents, err));
    PM_TRY(pm_piece_index_init(&r->index, r->n, err));
    for (pm_id id = 0; id < r->n; id++) {
        token t = next_token(&walk);
        PM_TRY(set_bert(r, id, &t, err));
    }
    PM_TRY(get_id(r, PM_GGUF_UNK, &r->model->unknown, err));
    PM_TRY(get_id(r, value_of(r, PM_GGUF_BOS) ? PM_GGUF_BOS : PM_GGUF_CLS, &cls, err));
    PM_TRY(get_id(r, value_of(r, PM_GGUF_SEP) ? PM_GGUF_SEP : PM_GGUF_EOS, &sep, err));
    if (r->model->unknown == PM_ID_NONE) {
        return fail_type(r, PM_GGUF_UNK, "a token's id", err);
    }
    return pm_bert_finish(r->model, lowercase, lowercase == accents ? PM_BERT_ACCENTS_FOLLOW : accents ? PM_BERT_ACCENTS_STRIP : PM_BERT_ACCENTS_KEEP, cls, sep, err);
}

/* ---------------------------------------------------------------- the file ---- */

/* Who is who, where the file says so, and the chat template. */
static pm_status keep_roles(reader *r, pm_error *err) {
    static const pm_gguf_key keys[PM_N_ROLES] = {PM_GGUF_BOS, PM_GGUF_EOS, PM_GGUF_UNK, PM_GGUF_SEP, PM_GGUF_PAD, PM_GGUF_CLS, PM_GGUF_MASK};
    pm_bytes template;
    for (pm_role role = 0; role < PM_N_ROLES; role++) {
        pm_id id;
        PM_TRY(get_id(r, keys[role], &id, err));
        if (id != PM_ID_NONE && r->model->pieces[id].len) {
            PM_TRY(pm_setting_set_text(r->model, pm_role_names[role], r->model->pieces[id], err));
        }
    }
    PM_TRY(get_text(r, PM_GGUF_TEMPLATE, &template, err));
    return template.len ? pm_setting_set_text(r->model, PM_CHAT_TEMPLATE, template, err) : PM_OK;
}

static bool is_name(pm_bytes name, const char *text) { return name.len == strlen(text) && memcmp(name.data, text, name.len) == 0; }

static pm_status read_all(reader *r, pm_error *err) {
    pm_bytes name;
    for (size_t i = 0; i < PM_GGUF_FIELDS; i++) {
        r->fields[i].name = pm_gguf_field_names[i];
    }
    PM_TRY(pm_gguf_get(&r->gguf, r->fields, PM_GGUF_FIELDS, err));
    if (!value_of(r, PM_GGUF_MODEL)) {
        return fail_type(r, PM_GGUF_MODEL, "the name of an algorithm", err);
    }
    PM_TRY(get_text(r, PM_GGUF_MODEL, &name, err));
    PM_TRY(check_arrays(r, err));
    bool gpt2 = is_name(name, "gpt2"), unigram = is_name(name, "t5"), bert = is_name(name, "bert");
    if (!gpt2 && !unigram && !bert && !is_name(name, "llama")) {
        int len = name.len < 64 ? (int)name.len : 64;
        return pm_fail_at(err, PM_UNSUPPORTED, value_of(r, PM_GGUF_MODEL)->offset, "tokenizer.ggml.model '%.*s' is not supported; gpt2, llama, t5 and bert are", len,
                          (const char *)name.data);
    }
    if (r->options->n_patterns && !gpt2) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "a pattern was given, but a vocabulary of this kind (%.*s) has none", (int)name.len, (const char *)name.data);
    }
    PM_TRY(gpt2 ? read_gpt2(r, err) : bert ? read_bert(r, err) : read_scored(r, unigram, err));
    return keep_roles(r, err);
}

pm_status pm_gguf_read(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err) {
    reader r = {.model = model, .options = options};
    pm_status status = pm_gguf_parse(&r.gguf, file->data, file->len, err);
    if (status == PM_OK) {
        status = read_all(&r, err);
    }
    pm_gguf_release(&r.gguf);
    pm_piece_index_release(&r.index);
    pm_buf_release(&r.scratch);
    return status;
}
