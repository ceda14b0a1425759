/* gguf_write.c - a GGUF file with a vocabulary and nothing else: no tensors. gguf_read.c tells what is where.
 *
 * BPE over bytes is written as gpt2, and needs a name for its pattern (gguf_pre.c); what reads as pieces with scores (scored.h) as llama or, Unigram, as t5; BERT's WordPiece as
 * bert. llama.cpp wants each token's text once: an id without text is written as an UNUSED "[PAD12]", as its own converter does. */
#include "base/bytes.h"
#include "format/gguf_vocab.h"
#include "format/json.h"
#include "format/reader.h"
#include "format/roles.h"
#include "format/scored.h"
#include "text/byte_level.h"
#include "text/characters.h"

typedef struct output {
    const pm_tokenizer *tok;
    const pm_save_options *how;
    pm_buf body; /* keys and values */
    uint64_t n;  /* keys */
    pm_buf text; /* scratch */
} output;

/* ---------------------------------------------------------------- keys and values ---- */

static pm_status put_bits(pm_buf *out, uint64_t bits, unsigned bytes, pm_error *err) {
    uint8_t little[8];
    for (unsigned i = 0; i < bytes; i++) {
        little[i] = (uint8_t)(bits >> (8 * i));
    }
    return pm_buf_append(out, little, bytes, err);
}

static pm_status put_string(output *o, pm_bytes text, pm_error *err) {
    PM_TRY(put_bits(&o->body, text.len, 8, err));
    return pm_buf_append(&o->body, text.data, text.len, err);
}

static pm_bytes bytes_of(const char *text) { return (pm_bytes){(const uint8_t *)text, strlen(text)}; }

static pm_status put_name(output *o, const char *name, pm_gguf_type type, pm_error *err) {
    o->n++;
    PM_TRY(put_string(o, bytes_of(name), err));
    return put_bits(&o->body, type, 4, err);
}

static pm_status put_key(output *o, pm_gguf_key key, pm_gguf_type type, pm_error *err) { return put_name(o, pm_gguf_field_names[key], type, err); }

static pm_status put_array(output *o, pm_gguf_key key, pm_gguf_type item, uint64_t n, pm_error *err) {
    PM_TRY(put_key(o, key, PM_GGUF_ARRAY, err));
    PM_TRY(put_bits(&o->body, item, 4, err));
    return put_bits(&o->body, n, 8, err);
}

static pm_status put_text(output *o, pm_gguf_key key, pm_bytes text, pm_error *err) {
    PM_TRY(put_key(o, key, PM_GGUF_STRING, err));
    return put_string(o, text, err);
}

static pm_status put_truth(output *o, pm_gguf_key key, bool truth, pm_error *err) {
    PM_TRY(put_key(o, key, PM_GGUF_BOOL, err));
    return put_bits(&o->body, truth, 1, err);
}

static pm_status put_id(output *o, pm_gguf_key key, pm_id id, pm_error *err) {
    if (id == PM_ID_NONE) {
        return PM_OK;
    }
    PM_TRY(put_key(o, key, PM_GGUF_U32, err));
    return put_bits(&o->body, id, 4, err);
}

/* ---------------------------------------------------------------- what all kinds have ---- */

static pm_status put_head(output *o, const char *model, pm_error *err) {
    PM_TRY(put_name(o, "general.architecture", PM_GGUF_STRING, err));
    PM_TRY(put_string(o, bytes_of(model), err));
    return put_text(o, PM_GGUF_MODEL, bytes_of(model), err);
}

static pm_status put_roles(output *o, pm_error *err) {
    static const pm_gguf_key keys[PM_N_ROLES] = {PM_GGUF_BOS, PM_GGUF_EOS, PM_GGUF_UNK, PM_GGUF_SEP, PM_GGUF_PAD, PM_GGUF_CLS, PM_GGUF_MASK};
    for (pm_role role = 0; role < PM_N_ROLES; role++) {
        pm_id id;
        PM_TRY(pm_role_id(o->tok, role, &id, err));
        PM_TRY(put_id(o, keys[role], id, err));
    }
    return PM_OK;
}

static pm_status put_template(output *o, pm_error *err) {
    bool there;
    o->text.len = 0;
    PM_TRY(pm_setting_get_text(&o->tok->model, PM_CHAT_TEMPLATE, &o->text, &there, err));
    return there ? put_text(o, PM_GGUF_TEMPLATE, (pm_bytes){o->text.data, o->text.len}, err) : PM_OK;
}

/* <bos> and <eos> around a text. Their ids are those of the roles: put_roles. */
static pm_status put_ends(output *o, pm_error *err) {
    pm_id before, behind, bos, eos;
    bool ends = pm_ends_get(&o->tok->model.post_processor, &before, &behind);
    PM_TRY(pm_role_id(o->tok, PM_ROLE_BOS, &bos, err));
    PM_TRY(pm_role_id(o->tok, PM_ROLE_EOS, &eos, err));
    if (!ends || (before != PM_ID_NONE && before != bos) || (behind != PM_ID_NONE && behind != eos)) {
        PM_TRY(pm_lose(o->how, err, "a GGUF file has no place for this post-processor: <bos> before a text and <eos> behind it are what it knows"));
        before = behind = PM_ID_NONE;
    }
    PM_TRY(put_truth(o, PM_GGUF_ADD_BOS, before != PM_ID_NONE, err));
    return put_truth(o, PM_GGUF_ADD_EOS, behind != PM_ID_NONE, err);
}

/* "[PAD12]": the text of an id that has none. No piece may be called so. */
static pm_status put_unused(output *o, pm_id id, pm_error *err) {
    o->text.len = 0;
    PM_TRY(pm_buf_printf(&o->text, err, "[PAD%u]", id));
    while (pm_tokenizer_find(o->tok, (pm_bytes){o->text.data, o->text.len}) != PM_ID_NONE) {
        PM_TRY(pm_buf_append(&o->text, "_", 1, err));
    }
    return put_string(o, (pm_bytes){o->text.data, o->text.len}, err);
}

static bool has_no_text(const pm_model *model, pm_id id) { return model->kinds[id] == PM_KIND_HOLE || model->kinds[id] == PM_KIND_RESERVED; }

/* ---------------------------------------------------------------- gpt2 ---- */

static bool is_added(const pm_model *model, pm_id id) {
    return model->kinds[id] == PM_KIND_SPECIAL || model->kinds[id] == PM_KIND_CONTROL || pm_model_is_alone(model, id);
}

/* A token that is found in text as it stands would be taken for the piece that is spelt so. */
static pm_status check_added(output *o, pm_id id, pm_error *err) {
    pm_bytes text = o->tok->model.pieces[id];
    size_t wrong;
    if (!pm_is_utf8(text, &wrong)) {
        return pm_fail(err, PM_UNSUPPORTED, "token %u is not UTF-8: a GGUF file cannot hold it", id);
    }
    o->text.len = 0;
    PM_TRY(pm_buf_reserve(&o->text, text.len, err));
    if (pm_byte_level_decode(&o->text, text) && pm_tokenizer_find_piece(o->tok, o->text.data, o->text.len) != PM_ID_NONE) {
        return pm_fail(err, PM_UNSUPPORTED, "token %u reads like a piece in byte-level characters: a GGUF file cannot hold both", id);
    }
    return PM_OK;
}

static pm_status check_gpt2(output *o, pm_error *err) {
    const pm_model *model = &o->tok->model;
    const unsigned particular = PM_ADDED_SINGLE_WORD | PM_ADDED_LSTRIP | PM_ADDED_RSTRIP;
    bool told = false;
    if (model->normalize) {
        PM_TRY(pm_lose(o->how, err, "a GGUF file has no place for normalization (NFC)"));
    }
    for (pm_id id = 0; id < o->tok->vocab_size; id++) {
        PM_TRY(is_added(model, id) ? check_added(o, id, err) : PM_OK);
        if (model->added && (model->added[id] & particular) && !told) {
            PM_TRY(pm_lose(o->how, err, "a GGUF file has no place for added tokens that look at what stands beside them"));
            told = true;
        }
    }
    return PM_OK;
}

static pm_status find_pre(output *o, const pm_gguf_pre **pre, pm_error *err) {
    const pm_model *model = &o->tok->model;
    size_t pieces = 0;
    for (pm_id id = 0; id < o->tok->vocab_size; id++) {
        pieces += model->kinds[id] == PM_KIND_PIECE && !is_added(model, id);
    }
    /* Every entry the result of a merge of its own: then it makes no difference whether whole entries go first. */
    bool either = model->derived && pieces - 256 == model->n_merges;
    *pre = pm_gguf_pre_of(model->splitter, model->whole_first, either);
    if (*pre) {
        return PM_OK;
    }
    if (pm_gguf_pre_of(model->splitter, false, true)) {
        return pm_fail(err, PM_UNSUPPORTED, "llama.cpp has a name for this pattern only where %s", model->whole_first ? "merges go before whole entries" : "whole entries go before merges");
    }
    return pm_fail(err, PM_UNSUPPORTED, "a GGUF file holds no regex, only a name of llama.cpp's list, which has none for this pattern; those to train with are %s", pm_gguf_pre_patterns);
}

static pm_status put_entries(output *o, pm_error *err) {
    const pm_model *model = &o->tok->model;
    PM_TRY(put_array(o, PM_GGUF_TOKENS, PM_GGUF_STRING, o->tok->vocab_size, err));
    for (pm_id id = 0; id < o->tok->vocab_size; id++) {
        o->text.len = 0;
        if (has_no_text(model, id)) {
            PM_TRY(put_unused(o, id, err));
        } else if (is_added(model, id)) {
            PM_TRY(put_string(o, model->pieces[id], err));
        } else {
            PM_TRY(pm_byte_level_append(&o->text, model->pieces[id], err));
            PM_TRY(put_string(o, (pm_bytes){o->text.data, o->text.len}, err));
        }
    }
    PM_TRY(put_array(o, PM_GGUF_TYPES, PM_GGUF_I32, o->tok->vocab_size, err));
    for (pm_id id = 0; id < o->tok->vocab_size; id++) {
        unsigned type = has_no_text(model, id)               ? PM_SCORED_UNUSED
                        : model->kinds[id] != PM_KIND_PIECE ? PM_SCORED_CONTROL
                        : is_added(model, id)               ? PM_SCORED_USER_DEFINED
                                                            : PM_SCORED_NORMAL;
        PM_TRY(put_bits(&o->body, type, 4, err));
    }
    return PM_OK;
}

static pm_status put_merges(output *o, pm_error *err) {
    const pm_model *model = &o->tok->model;
    PM_TRY(put_array(o, PM_GGUF_MERGES, PM_GGUF_STRING, model->n_merges, err));
    for (size_t i = 0; i < model->n_merges; i++) {
        o->text.len = 0;
        PM_TRY(pm_byte_level_append(&o->text, model->pieces[model->merges[i].left], err));
        PM_TRY(pm_buf_append(&o->text, " ", 1, err));
        PM_TRY(pm_byte_level_append(&o->text, model->pieces[model->merges[i].right], err));
        PM_TRY(put_string(o, (pm_bytes){o->text.data, o->text.len}, err));
    }
    return PM_OK;
}

static pm_status put_gpt2(output *o, pm_error *err) {
    const pm_gguf_pre *pre;
    PM_TRY(find_pre(o, &pre, err));
    PM_TRY(check_gpt2(o, err));
    PM_TRY(put_head(o, "gpt2", err));
    PM_TRY(put_text(o, PM_GGUF_PRE, bytes_of(pre->name), err));
    PM_TRY(put_entries(o, err));
    PM_TRY(put_merges(o, err));
    PM_TRY(put_roles(o, err));
    return put_ends(o, err);
}

/* ---------------------------------------------------------------- bert ---- */

enum { MARK_BYTES = sizeof PM_BLANK_MARK_UTF8 - 1 };

/* "play" -> "\u2581play", "##ing" -> "ing", into o->text. */
static pm_status spell_wordpiece(output *o, pm_id id, pm_error *err) {
    pm_bytes text = o->tok->model.pieces[id];
    bool inside = text.len > 2 && text.data[0] == '#' && text.data[1] == '#';
    o->text.len = 0;
    if (has_no_text(&o->tok->model, id)) {
        return PM_OK;
    }
    if (is_added(&o->tok->model, id) || (o->tok->model.added && o->tok->model.added[id])) {
        return pm_buf_append(&o->text, text.data, text.len, err);
    }
    PM_TRY(inside ? PM_OK : pm_buf_append(&o->text, PM_BLANK_MARK_UTF8, MARK_BYTES, err));
    return pm_buf_append(&o->text, text.data + (inside ? 2 : 0), text.len - (inside ? 2 : 0), err);
}

/* No two spellings are equal, and none is empty. */
static pm_status check_wordpieces(output *o, pm_error *err) {
    pm_model spelt = {0};
    pm_piece_index index;
    pm_status status = pm_piece_index_init(&index, o->tok->vocab_size, err);
    for (pm_id id = 0; id < o->tok->vocab_size && status == PM_OK; id++) {
        if (has_no_text(&o->tok->model, id)) {
            continue;
        }
        status = spell_wordpiece(o, id, err);
        pm_bytes text = {o->text.data, o->text.len};
        if (status == PM_OK && pm_piece_index_find(&index, &spelt, text) != PM_ID_NONE) {
            status = pm_fail(err, PM_UNSUPPORTED, "entry %u is spelt like another one in a GGUF file", id);
        }
        if (status == PM_OK) {
            status = pm_model_set(&spelt, id, PM_KIND_PIECE, text, 0, false, err);
        }
        if (status == PM_OK) {
            pm_piece_index_add(&index, &spelt, id);
        }
    }
    pm_piece_index_release(&index);
    pm_model_release(&spelt);
    return status;
}

static pm_status put_wordpieces(output *o, pm_error *err) {
    const pm_model *model = &o->tok->model;
    PM_TRY(put_array(o, PM_GGUF_TOKENS, PM_GGUF_STRING, o->tok->vocab_size, err));
    for (pm_id id = 0; id < o->tok->vocab_size; id++) {
        PM_TRY(spell_wordpiece(o, id, err));
        PM_TRY(has_no_text(model, id) ? put_unused(o, id, err) : put_string(o, (pm_bytes){o->text.data, o->text.len}, err));
    }
    PM_TRY(put_array(o, PM_GGUF_TYPES, PM_GGUF_I32, o->tok->vocab_size, err));
    for (pm_id id = 0; id < o->tok->vocab_size; id++) {
        unsigned type = has_no_text(model, id)                 ? PM_SCORED_UNUSED
                        : model->kinds[id] != PM_KIND_PIECE   ? PM_SCORED_CONTROL
                        : model->added && model->added[id]    ? PM_SCORED_USER_DEFINED
                                                              : PM_SCORED_NORMAL;
        PM_TRY(put_bits(&o->body, type, 4, err));
    }
    return PM_OK;
}

static pm_status put_bert(output *o, pm_error *err) {
    bool lowercase, accents;
    pm_id cls, sep, bos;
    PM_TRY(pm_bert_look(o->tok, "a GGUF file", o->how, &lowercase, &accents, &cls, &sep, err));
    PM_TRY(check_wordpieces(o, err));
    PM_TRY(put_head(o, "bert", err));
    PM_TRY(put_wordpieces(o, err));
    PM_TRY(put_truth(o, PM_GGUF_LOWERCASE, lowercase, err));
    PM_TRY(put_truth(o, PM_GGUF_ACCENTS, accents, err));
    PM_TRY(put_roles(o, err));
    PM_TRY(pm_role_id(o->tok, PM_ROLE_BOS, &bos, err));
    return bos == PM_ID_NONE ? put_id(o, PM_GGUF_BOS, cls, err) : PM_OK; /* llama.cpp puts <bos> before a text, which is [CLS] here */
}

/* ---------------------------------------------------------------- llama and t5 ---- */

static pm_status put_pieces(output *o, pm_scored_view *view, pm_error *err) {
    pm_scored_piece piece;
    PM_TRY(put_array(o, PM_GGUF_TOKENS, PM_GGUF_STRING, view->n, err));
    for (size_t i = 0; i < view->n; i++) {
        PM_TRY(pm_scored_get(view, i, &piece, err));
        PM_TRY(put_string(o, piece.text, err));
    }
    PM_TRY(put_array(o, PM_GGUF_SCORES, PM_GGUF_F32, view->n, err));
    for (size_t i = 0; i < view->n; i++) {
        uint32_t bits;
        PM_TRY(pm_scored_get(view, i, &piece, err));
        memcpy(&bits, &piece.score, sizeof bits);
        PM_TRY(put_bits(&o->body, bits, 4, err));
    }
    PM_TRY(put_array(o, PM_GGUF_TYPES, PM_GGUF_I32, view->n, err));
    for (size_t i = 0; i < view->n; i++) {
        PM_TRY(pm_scored_get(view, i, &piece, err));
        PM_TRY(put_bits(&o->body, (uint64_t)piece.type, 4, err));
    }
    return PM_OK;
}

static pm_status put_rules(output *o, const pm_scored_rules *rules, pm_error *err) {
    PM_TRY(put_truth(o, PM_GGUF_ADD_PREFIX, (rules->flags & PM_STEP_DUMMY_PREFIX) != 0, err));
    PM_TRY(put_truth(o, PM_GGUF_REMOVE_BLANKS, (rules->flags & PM_STEP_REMOVE_EXTRA_BLANKS) != 0, err));
    PM_TRY(rules->flags & PM_STEP_ESCAPE_BLANKS ? PM_OK : put_truth(o, PM_GGUF_ESCAPE_BLANKS, false, err));
    PM_TRY(rules->flags & PM_STEP_AS_SUFFIX ? put_truth(o, PM_GGUF_AS_SUFFIX, true, err) : PM_OK);
    if (rules->charsmap.len) {
        PM_TRY(put_array(o, PM_GGUF_CHARSMAP, PM_GGUF_U8, rules->charsmap.len, err));
        PM_TRY(pm_buf_append(&o->body, rules->charsmap.data, rules->charsmap.len, err));
    }
    return PM_OK;
}

static pm_status put_view(output *o, pm_scored_view *view, pm_error *err) {
    const pm_scored_rules *rules = &view->rules;
    bool unigram = rules->algorithm == PM_ALGORITHM_UNIGRAM;
    if (!unigram && (rules->algorithm != PM_ALGORITHM_BPE || rules->no_merges)) {
        return pm_fail(err, PM_UNSUPPORTED, "a GGUF file holds no vocabulary of words or characters");
    }
    PM_TRY(put_head(o, unigram ? "t5" : "llama", err));
    PM_TRY(unigram ? PM_OK : put_text(o, PM_GGUF_PRE, bytes_of("default"), err));
    PM_TRY(put_pieces(o, view, err));
    PM_TRY(put_rules(o, rules, err));
    PM_TRY(put_roles(o, err));
    return put_ends(o, err);
}

static pm_status put_scored(output *o, pm_error *err) {
    pm_scored_view view;
    pm_status status = pm_scored_open(&view, o->tok, "a GGUF file", o->how, err);
    if (status == PM_OK) {
        status = put_view(o, &view, err);
    }
    pm_scored_close(&view);
    return status;
}

/* ---------------------------------------------------------------- the file ---- */

static pm_status put_all(output *o, pm_error *err) {
    const pm_model *model = &o->tok->model;
    PM_TRY(!model->general && !model->characters && model->algorithm == PM_ALGORITHM_BPE ? put_gpt2(o, err)
           : model->algorithm == PM_ALGORITHM_WORDPIECE                                  ? put_bert(o, err)
                                                                                         : put_scored(o, err));
    return put_template(o, err);
}

static pm_status write_head(const output *o, pm_writer *w, pm_error *err) {
    pm_buf head = {0};
    pm_status status = pm_buf_append(&head, "GGUF", 4, err);
    status = status == PM_OK ? put_bits(&head, 3, 4, err) : status; /* version */
    status = status == PM_OK ? put_bits(&head, 0, 8, err) : status; /* tensors */
    status = status == PM_OK ? put_bits(&head, o->n, 8, err) : status;
    status = status == PM_OK ? pm_writer_write(w, head.data, head.len, err) : status;
    pm_buf_release(&head);
    return status;
}

static pm_status write_gguf(const pm_tokenizer *tok, pm_writer *w, const pm_save_options *how, pm_error *err) {
    output o = {.tok = tok, .how = how};
    pm_status status = put_all(&o, err);
    if (status == PM_OK) {
        status = write_head(&o, w, err);
    }
    if (status == PM_OK) {
        status = pm_writer_write(w, o.body.data, o.body.len, err);
    }
    pm_buf_release(&o.body);
    pm_buf_release(&o.text);
    return status;
}

static bool recognizes(const uint8_t *data, size_t len) { return len >= 4 && memcmp(data, "GGUF", 4) == 0; }

const pm_format_ops pm_format_gguf = {
    PM_FORMAT_GGUF, "gguf", ".gguf", NULL, recognizes, pm_gguf_read, write_gguf,
};
