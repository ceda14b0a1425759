/* hf.c - tokenizer.json of Hugging Face tokenizers: recognizing and writing. hf_read.c reads.
 *
 * Written in the very bytes that tokenizers itself would write (Tokenizer.save, pretty): two spaces a level, fields in its order, entries by id. A plain model is first
 * put into steps (hf_plain.c): a Split a regex (Isolated: what no match covers is a pre-token too) and a ByteLevel that turns bytes into characters and splits no further; BPE
 * over characters as the files of Llama 2 are. A general model's steps are written as they are.
 *
 * Special tokens of a plain model stand in added_tokens and in the vocabulary: tokenizers gives an added token that is not in the vocabulary a number of its own, which is another
 * one when ids have holes. So one whose text is also the byte-level form of a piece cannot be written. Of a general model they stand where they were; those that are only added are
 * written if tokenizers would number them so. Reserved slots get no entry. Counts have no place. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "format/hf.h"

#include <stdio.h>

#include "base/bytes.h"
#include "format/characters.h"
#include "format/hf_plain.h"
#include "format/hf_steps.h"
#include "format/json.h"
#include "format/number.h"
#include "format/reader.h"
#include "format/unigram.h"

/* An object that holds "model": {...}. */
static bool recognizes(const uint8_t *data, size_t len) {
    static const char key[] = "\"model\"";
    size_t i = pm_json_skip_space(data, len, 0);
    if (i == len || data[i] != '{') {
        return false;
    }
    const uint8_t *p = data + i, *end = data + len;
    while ((p = memmem(p, (size_t)(end - p), key, sizeof key - 1)) != NULL) {
        p += sizeof key - 1;
        const uint8_t *q = p;
        while (q < end && (*q == ' ' || *q == '\n' || *q == '\r' || *q == '\t' || (*q == ':' && q[-1] != ':'))) {
            q++;
        }
        if (q < end && *q == '{' && memchr(p, ':', (size_t)(q - p))) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- writing ---- */

typedef struct output {
    pm_writer *w;
    const pm_tokenizer *tok;
    pm_model steps; /* of a plain model: its steps alone, and their texts */
    pm_buf text;    /* of the line that is being made */
    pm_buf scratch;
} output;

static pm_status put(output *o, const char *text, pm_error *err) {
    return pm_buf_append(&o->text, text, strlen(text), err);
}

static pm_status put_string(output *o, pm_bytes text, pm_error *err) { return pm_json_quote(&o->text, text, err); }

/* A piece as such files spell it. */
static pm_status put_piece(output *o, pm_id id, pm_error *err) {
    const pm_model *model = &o->tok->model;
    if (model->kinds[id] == PM_KIND_BYTE) {
        char name[PM_BYTE_NAME];
        pm_byte_name(name, model->pieces[id].data[0]);
        return pm_buf_printf(&o->text, err, "\"%s\"", name);
    }
    if (model->general || model->kinds[id] != PM_KIND_PIECE || pm_model_is_alone(model, id)) {
        return put_string(o, model->pieces[id], err);
    }
    o->scratch.len = 0;
    PM_TRY(model->characters ? pm_marked_append(&o->scratch, model->pieces[id], err)
                             : pm_byte_level_append(&o->scratch, model->pieces[id], err));
    return put_string(o, (pm_bytes){o->scratch.data, o->scratch.len}, err);
}

/* Hands what was put to the writer. */
static pm_status flush(output *o, pm_error *err) {
    size_t len = o->text.len;
    o->text.len = 0;
    return pm_writer_write(o->w, o->text.data, len, err);
}

/* ---- what goes around the model ---- */

/* JSON on one line, as it is written: pretty, a member of the root. */
static pm_status put_pretty(output *o, const char *name, pm_bytes line, pm_error *err) {
    pm_json json = {0};
    PM_TRY(pm_buf_printf(&o->text, err, "  \"%s\": ", name));
    pm_status status = pm_json_parse(&json, line.data, line.len, err);
    status = status == PM_OK ? pm_json_write(&o->text, &json, &json.values[0], 1, err) : status;
    pm_json_release(&json);
    PM_TRY(status);
    return put(o, ",\n", err);
}

/* A setting that the file had: truncation, padding. */
static pm_status write_kept(output *o, const char *name, pm_error *err) {
    static const uint8_t null[] = "null";
    pm_bytes line;
    if (!pm_hf_setting(&o->tok->model, name, &line)) {
        line = (pm_bytes){null, sizeof null - 1};
    }
    return put_pretty(o, name, line, err);
}

static pm_status write_part(output *o, pm_hf_part part, const pm_steps *steps, pm_error *err) {
    o->scratch.len = 0;
    PM_TRY(pm_hf_write_steps(&o->scratch, part, steps, err));
    PM_TRY(put_pretty(o, pm_hf_part_name(part), (pm_bytes){o->scratch.data, o->scratch.len}, err));
    return flush(o, err);
}

static bool is_added(const pm_model *model, pm_id id) {
    return model->kinds[id] == PM_KIND_SPECIAL || model->kinds[id] == PM_KIND_CONTROL || (model->added && (model->added[id] & PM_ADDED));
}

static const char *truth(bool is_so) { return is_so ? "true" : "false"; }

static pm_status write_added_tokens(output *o, pm_error *err) {
    const pm_model *model = &o->tok->model;
    size_t n = 0;
    PM_TRY(put(o, "  \"added_tokens\": [", err));
    for (pm_id id = 0; id < o->tok->vocab_size; id++) {
        if (!is_added(model, id)) {
            continue;
        }
        unsigned flags = model->added ? model->added[id] : 0;
        PM_TRY(pm_buf_printf(&o->text, err, "%s\n    {\n      \"id\": %u,\n      \"content\": ", n++ ? "," : "", id));
        PM_TRY(put_string(o, model->pieces[id], err));
        PM_TRY(pm_buf_printf(&o->text, err,
                             ",\n      \"single_word\": %s,\n      \"lstrip\": %s,\n      \"rstrip\": %s,\n"
                             "      \"normalized\": %s,\n      \"special\": %s\n    }",
                             truth(flags & PM_ADDED_SINGLE_WORD), truth(flags & PM_ADDED_LSTRIP), truth(flags & PM_ADDED_RSTRIP),
                             truth(flags & PM_ADDED_NORMALIZED), truth(model->kinds[id] != PM_KIND_PIECE)));
        PM_TRY(flush(o, err));
    }
    PM_TRY(put(o, n ? "\n  ],\n" : "],\n", err));
    return flush(o, err);
}

static pm_status write_pipeline(output *o, pm_error *err) {
    const pm_model *model = &o->tok->model, *steps = model->general ? model : &o->steps;
    PM_TRY(put(o, "{\n  \"version\": \"1.0\",\n", err));
    PM_TRY(write_kept(o, "truncation", err));
    PM_TRY(write_kept(o, "padding", err));
    PM_TRY(write_added_tokens(o, err));
    PM_TRY(write_part(o, PM_HF_NORMALIZER, &steps->normalizer, err));
    PM_TRY(write_part(o, PM_HF_PRE_TOKENIZER, &steps->pre_tokenizer, err));
    PM_TRY(write_part(o, PM_HF_POST_PROCESSOR, &model->post_processor, err));
    return write_part(o, PM_HF_DECODER, &steps->decoder, err);
}

/* ---- the model ---- */

static bool is_entry(const pm_model *model, pm_id id) {
    pm_kind kind = (pm_kind)model->kinds[id];
    return kind != PM_KIND_HOLE && kind != PM_KIND_RESERVED && !(model->general && pm_model_is_alone(model, id));
}

static pm_status write_vocab(output *o, pm_error *err) {
    const char *before = "\n";
    PM_TRY(put(o, "    \"vocab\": {", err));
    for (pm_id id = 0; id < o->tok->vocab_size; id++) {
        if (!is_entry(&o->tok->model, id)) {
            continue;
        }
        PM_TRY(pm_buf_printf(&o->text, err, "%s      ", before));
        PM_TRY(put_piece(o, id, err));
        PM_TRY(pm_buf_printf(&o->text, err, ": %u", id));
        PM_TRY(flush(o, err));
        before = ",\n";
    }
    return put(o, *before == ',' ? "\n    }" : "}", err);
}

static pm_status write_merges(output *o, pm_error *err) {
    const pm_model *model = &o->tok->model;
    PM_TRY(put(o, ",\n    \"merges\": [", err));
    for (size_t i = 0; i < model->n_merges; i++) {
        PM_TRY(put(o, i ? ",\n      [\n        " : "\n      [\n        ", err));
        PM_TRY(put_piece(o, model->merges[i].left, err));
        PM_TRY(put(o, ",\n        ", err));
        PM_TRY(put_piece(o, model->merges[i].right, err));
        PM_TRY(put(o, "\n      ]", err));
        PM_TRY(flush(o, err));
    }
    return put(o, model->n_merges ? "\n    ]" : "]", err);
}

static pm_status put_member(output *o, const char *name, pm_bytes text, pm_error *err) {
    PM_TRY(pm_buf_printf(&o->text, err, "    \"%s\": ", name));
    PM_TRY(text.len ? put_string(o, text, err) : put(o, "null", err));
    return put(o, ",\n", err);
}

static pm_status put_truth(output *o, const char *name, bool is_so, pm_error *err) {
    return pm_buf_printf(&o->text, err, "    \"%s\": %s,\n", name, truth(is_so));
}

/* The unknown token: an entry, or the name of one that is none. */
static pm_status put_unknown(output *o, pm_error *err) {
    const pm_model *model = &o->tok->model;
    pm_bytes text = {0};
    if (model->characters) {
        text = (pm_bytes){(const uint8_t *)"<unk>", 5};
    } else if (model->has_unknown && model->unknown != PM_ID_NONE) {
        text = model->pieces[model->unknown];
    } else if (model->has_unknown) {
        pm_hf_setting(model, "unk_token", &text);
    }
    return put_member(o, "unk_token", text, err);
}

static pm_status write_bpe(output *o, pm_error *err) {
    const pm_model *model = &o->tok->model;
    PM_TRY(put(o, "    \"dropout\": ", err));
    PM_TRY(model->dropout > 0 ? pm_number_append(&o->text, model->dropout, err) : put(o, "null", err));
    PM_TRY(put(o, ",\n", err));
    PM_TRY(put_unknown(o, err));
    PM_TRY(put_member(o, "continuing_subword_prefix", model->prefix, err));
    PM_TRY(put_member(o, "end_of_word_suffix", model->suffix, err));
    PM_TRY(put_truth(o, "fuse_unk", model->fuse_unknown || model->characters, err));
    PM_TRY(put_truth(o, "byte_fallback", model->byte_fallback || model->characters, err));
    PM_TRY(put_truth(o, "ignore_merges", model->whole_first, err));
    PM_TRY(write_vocab(o, err));
    return write_merges(o, err);
}

static pm_status write_unigram(output *o, pm_error *err) {
    const pm_model *model = &o->tok->model;
    const char *before = "\n";
    PM_TRY(put(o, "    \"unk_id\": ", err));
    PM_TRY(model->has_unknown ? pm_buf_printf(&o->text, err, "%u", model->unknown) : put(o, "null", err));
    PM_TRY(put(o, ",\n    \"vocab\": [", err));
    for (pm_id id = 0; id < o->tok->vocab_size; id++) {
        if (!is_entry(model, id)) {
            continue;
        }
        PM_TRY(pm_buf_printf(&o->text, err, "%s      [\n        ", before));
        PM_TRY(put_piece(o, id, err));
        PM_TRY(put(o, ",\n        ", err));
        PM_TRY(pm_number_append(&o->text, model->scores[id], err));
        PM_TRY(put(o, "\n      ]", err));
        PM_TRY(flush(o, err));
        before = ",\n";
    }
    return pm_buf_printf(&o->text, err, "%s,\n    \"byte_fallback\": %s", *before == ',' ? "\n    ]" : "]", truth(model->byte_fallback));
}

static pm_status write_word_piece(output *o, pm_error *err) {
    const pm_model *model = &o->tok->model;
    PM_TRY(put_unknown(o, err));
    PM_TRY(put(o, "    \"continuing_subword_prefix\": ", err));
    PM_TRY(put_string(o, model->prefix, err));
    PM_TRY(pm_buf_printf(&o->text, err, ",\n    \"max_input_chars_per_word\": %u,\n", model->max_word));
    return write_vocab(o, err);
}

static pm_status write_word_level(output *o, pm_error *err) {
    PM_TRY(write_vocab(o, err));
    PM_TRY(put(o, ",\n    \"unk_token\": ", err));
    pm_bytes text = {0};
    const pm_model *model = &o->tok->model;
    if (model->has_unknown && model->unknown != PM_ID_NONE) {
        text = model->pieces[model->unknown];
    } else {
        pm_hf_setting(model, "unk_token", &text);
    }
    return put_string(o, text, err);
}

static pm_status write_model(output *o, pm_error *err) {
    static const char *const types[] = {"", "", "BPE", "Unigram", "WordPiece", "WordLevel"};
    pm_algorithm algorithm = o->tok->model.algorithm;
    PM_TRY(pm_buf_printf(&o->text, err, "  \"model\": {\n    \"type\": \"%s\",\n", types[algorithm]));
    PM_TRY(algorithm == PM_ALGORITHM_BPE         ? write_bpe(o, err)
           : algorithm == PM_ALGORITHM_UNIGRAM   ? write_unigram(o, err)
           : algorithm == PM_ALGORITHM_WORDPIECE ? write_word_piece(o, err)
                                                 : write_word_level(o, err));
    PM_TRY(put(o, "\n  }\n}", err));
    return flush(o, err);
}

/* ---- what cannot be written ---- */

/* A special token that would be taken for a piece. */
static pm_status check_special(output *o, const pm_special_token *special, pm_error *err) {
    if (o->tok->model.general || o->tok->model.characters) {
        return PM_OK; /* pm_characters_check has looked */
    }
    o->scratch.len = 0;
    PM_TRY(pm_buf_reserve(&o->scratch, special->text.len, err));
    if (pm_byte_level_decode(&o->scratch, special->text) &&
        pm_tokenizer_find_piece(o->tok, o->scratch.data, o->scratch.len) != PM_ID_NONE) {
        return pm_fail(err, PM_UNSUPPORTED,
                       "special token %u reads like a piece in byte-level characters: tokenizer.json cannot hold both",
                       special->id);
    }
    return PM_OK;
}

/* Every text that is written as it is. */
static pm_status check_texts(const pm_tokenizer *tok, pm_error *err) {
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        size_t wrong;
        bool as_it_is = tok->model.kinds[id] == PM_KIND_SPECIAL || pm_model_is_alone(&tok->model, id) || (tok->model.general && tok->model.kinds[id] != PM_KIND_BYTE);
        if (as_it_is && !pm_is_utf8(tok->model.pieces[id], &wrong)) {
            return pm_fail(err, PM_UNSUPPORTED, "%s %u is not UTF-8: tokenizer.json cannot hold it",
                           tok->model.kinds[id] == PM_KIND_SPECIAL ? "special token" : "piece", id);
        }
    }
    return PM_OK;
}

/* tokenizers numbers tokens that are only added from the number of entries on, or behind the highest of those before. Unigram's entries are numbered as they stand. */
static pm_status check_numbers(const pm_tokenizer *tok, pm_error *err) {
    const pm_model *model = &tok->model;
    uint64_t entries = 0, next;
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        entries += is_entry(model, id);
        if (model->algorithm == PM_ALGORITHM_UNIGRAM && is_entry(model, id) && entries != (uint64_t)id + 1) {
            return pm_fail(err, PM_UNSUPPORTED, "id %u stands behind ids that are no entries: tokenizer.json numbers Unigram's entries from 0", id);
        }
    }
    next = entries;
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        if (!is_added(model, id)) {
            continue;
        }
        if (pm_model_is_alone(model, id) && id != next) {
            return pm_fail(err, PM_UNSUPPORTED, "added token %u would have id %llu in tokenizer.json", id, (unsigned long long)next);
        }
        next = id >= entries ? (uint64_t)id + 1 : next;
    }
    return PM_OK;
}

static pm_status check_writable(output *o, pm_error *err) {
    const pm_tokenizer *tok = o->tok;
    PM_TRY(check_texts(tok, err));
    if (tok->model.general) {
        return check_numbers(tok, err);
    }
    if (tok->model.characters) {
        PM_TRY(pm_characters_check(tok, "tokenizer.json", err));
    }
    for (size_t i = 0; i < tok->n_specials; i++) {
        PM_TRY(check_special(o, &tok->specials[i], err));
    }
    return pm_hf_plain_steps(&o->steps, &tok->model, err);
}

static pm_status write_tokenizer(const pm_tokenizer *tok, pm_writer *w, pm_error *err) {
    output o = {.w = w, .tok = tok};
    pm_status status = check_writable(&o, err);
    status = status == PM_OK ? write_pipeline(&o, err) : status;
    status = status == PM_OK ? write_model(&o, err) : status;
    pm_model_release(&o.steps);
    pm_buf_release(&o.text);
    pm_buf_release(&o.scratch);
    return status;
}

/* BytePiece has no form there: what is written is the Unigram model that gives the same ids. */
static pm_status write_bytepiece(const pm_tokenizer *tok, pm_writer *w, pm_error *err) {
    pm_tokenizer unigram = {.vocab_size = tok->vocab_size};
    pm_status status = pm_bytepiece_to_unigram(&unigram.model, tok, err);
    if (status == PM_OK) {
        status = write_tokenizer(&unigram, w, err);
    }
    pm_model_release(&unigram.model);
    return status;
}

static pm_status write_hf(const pm_tokenizer *tok, pm_writer *w, const pm_save_options *how, pm_error *err) {
    (void)how;
    return tok->model.algorithm == PM_ALGORITHM_BYTEPIECE ? write_bytepiece(tok, w, err) : write_tokenizer(tok, w, err);
}

const pm_format_ops pm_format_hf = {
    PM_FORMAT_HF, "hf", "tokenizer.json", "tokenizer.json holds its pattern", recognizes, pm_hf_read, write_hf,
};
