/* hf.c - tokenizer.json of Hugging Face tokenizers: recognizing and writing. hf_read.c reads.
 *
 * Written for byte-level BPE, and in the very bytes that tokenizers itself would write (Tokenizer.save, pretty): two
 * spaces a level, fields in its order, entries by id. The pipeline is a Sequence of one Split a regex (Isolated: what
 * no match covers is a pre-token too) and a ByteLevel that turns bytes into characters and splits no further; ByteLevel
 * alone where there is no pattern.
 *
 * BPE over characters is written as the files of Llama 2 are: a normalizer that puts U+2581 for blanks, and one before the text where the model does, byte_fallback,
 * and a decoder that undoes it. Where there is a pattern, its Splits come first and a Metaspace does that to each pre-token; a normalizer
 * makes a text's own U+2581 blanks before. Control tokens are added tokens like others.
 *
 * Special tokens stand in added_tokens and in the vocabulary: tokenizers gives an added token that is not in the
 * vocabulary a number of its own, which is another one when ids have holes. So one whose text is also the byte-level
 * form of a piece cannot be written. Reserved slots get no entry. Regexes are written as Oniguruma must read them to
 * cut in the same way (pretok/oniguruma.c). Counts have no place. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "format/hf.h"

#include "format/characters.h"
#include "format/json.h"
#include "format/reader.h"
#include "pretok/oniguruma.h"

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
    pm_buf text; /* of the line that is being made */
    pm_buf scratch;
} output;

static pm_status put(output *o, const char *text, pm_error *err) {
    return pm_buf_append(&o->text, text, strlen(text), err);
}

static pm_status put_string(output *o, pm_bytes text, pm_error *err) { return pm_json_quote(&o->text, text, err); }

/* A piece as such files spell it. */
static pm_status put_piece(output *o, const pm_model *model, pm_id id, pm_error *err) {
    o->scratch.len = 0;
    PM_TRY(model->characters ? pm_marked_append(&o->scratch, model->pieces[id], err)
                             : pm_byte_level_append(&o->scratch, model->pieces[id], err));
    return put_string(o, (pm_bytes){o->scratch.data, o->scratch.len}, err);
}

static pm_status put_byte_name(output *o, uint8_t byte, pm_error *err) {
    char name[PM_BYTE_NAME];
    pm_byte_name(name, byte);
    return pm_buf_printf(&o->text, err, "\"%s\"", name);
}

/* Hands what was put to the writer. */
static pm_status flush(output *o, pm_error *err) {
    size_t len = o->text.len;
    o->text.len = 0;
    return pm_writer_write(o->w, o->text.data, len, err);
}

static pm_status write_added_tokens(output *o, const pm_tokenizer *tok, pm_error *err) {
    PM_TRY(put(o, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": [",
               err));
    size_t n = 0;
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        if (tok->model.kinds[id] != PM_KIND_SPECIAL && tok->model.kinds[id] != PM_KIND_CONTROL) {
            continue;
        }
        PM_TRY(pm_buf_printf(&o->text, err, "%s\n    {\n      \"id\": %u,\n      \"content\": ", n++ ? "," : "", id));
        PM_TRY(put_string(o, tok->model.pieces[id], err));
        PM_TRY(put(o,
                   ",\n      \"single_word\": false,\n      \"lstrip\": false,\n      \"rstrip\": false,\n"
                   "      \"normalized\": false,\n      \"special\": true\n    }",
                   err));
        PM_TRY(flush(o, err));
    }
    PM_TRY(put(o, n ? "\n  ],\n" : "],\n", err));
    return flush(o, err);
}

static pm_status write_split(output *o, const char *regex, pm_error *err) {
    PM_TRY(put(o, "      {\n        \"type\": \"Split\",\n        \"pattern\": {\n          \"Regex\": ", err));
    o->scratch.len = 0;
    PM_TRY(pm_regex_to_oniguruma(&o->scratch, (pm_bytes){(const uint8_t *)regex, strlen(regex)}, err));
    PM_TRY(put_string(o, (pm_bytes){o->scratch.data, o->scratch.len}, err));
    return put(o, "\n        },\n        \"behavior\": \"Isolated\",\n        \"invert\": false\n      },\n", err);
}

static pm_status write_pre_tokenizer(output *o, const pm_splitter *splitter, pm_error *err) {
    size_t n = splitter ? pm_splitter_n_regexes(splitter) : 0;
    PM_TRY(put(o, "  \"normalizer\": null,\n  \"pre_tokenizer\": {\n", err));
    if (n == 0) {
        PM_TRY(put(o,
                   "    \"type\": \"ByteLevel\",\n    \"add_prefix_space\": false,\n    \"trim_offsets\": true,\n    "
                   "\"use_regex\": false\n  },\n",
                   err));
        return flush(o, err);
    }
    PM_TRY(put(o, "    \"type\": \"Sequence\",\n    \"pretokenizers\": [\n", err));
    for (size_t i = 0; i < n; i++) {
        PM_TRY(write_split(o, pm_splitter_regex(splitter, i), err));
    }
    PM_TRY(put(o,
               "      {\n        \"type\": \"ByteLevel\",\n        \"add_prefix_space\": false,\n        "
               "\"trim_offsets\": true,\n"
               "        \"use_regex\": false\n      }\n    ]\n  },\n",
               err));
    return flush(o, err);
}

/* ---- BPE over characters ---- */

#define REPLACE(indent, from, to)                                                                                      \
    indent "{\n" indent "  \"type\": \"Replace\",\n" indent "  \"pattern\": {\n" indent "    \"String\": \"" from    \
           "\"\n" indent "  },\n" indent "  \"content\": \"" to "\"\n" indent "}"
#define MARK "\u2581"

/* Where blanks become marks: in the normalizer where nothing is split, else in a Metaspace behind the Splits. */
static pm_status write_marks(output *o, const pm_model *model, pm_error *err) {
    if (pm_characters_need_no_pattern(model)) {
        PM_TRY(put(o, "  \"normalizer\": {\n    \"type\": \"Sequence\",\n    \"normalizers\": [\n", err));
        PM_TRY(model->add_prefix ? put(o, "      {\n        \"type\": \"Prepend\",\n        \"prepend\": \"" MARK "\"\n      },\n", err) : PM_OK);
        PM_TRY(put(o, REPLACE("      ", " ", MARK) "\n    ]\n  },\n  \"pre_tokenizer\": null,\n", err));
        return flush(o, err);
    }
    PM_TRY(put(o, "  \"normalizer\": {\n    \"type\": \"Sequence\",\n    \"normalizers\": [\n" REPLACE("      ", MARK, " ") "\n    ]\n  },\n", err));
    PM_TRY(put(o, "  \"pre_tokenizer\": {\n    \"type\": \"Sequence\",\n    \"pretokenizers\": [\n", err));
    for (size_t i = 0; i < pm_splitter_n_regexes(model->splitter); i++) {
        PM_TRY(write_split(o, pm_splitter_regex(model->splitter, i), err));
    }
    PM_TRY(put(o,
               "      {\n        \"type\": \"Metaspace\",\n        \"replacement\": \"" MARK "\",\n        \"prepend_scheme\": \"never\",\n"
               "        \"split\": false\n      }\n    ]\n  },\n",
               err));
    return flush(o, err);
}

static pm_status write_unmark(output *o, const pm_model *model, pm_error *err) {
    PM_TRY(put(o,
               "  \"post_processor\": null,\n  \"decoder\": {\n    \"type\": \"Sequence\",\n    \"decoders\": [\n" REPLACE(
                   "      ", MARK, " ") ",\n      {\n        \"type\": \"ByteFallback\"\n      },\n      {\n        \"type\": \"Fuse\"\n      }",
               err));
    if (model->add_prefix) {
        PM_TRY(put(o,
                   ",\n      {\n        \"type\": \"Strip\",\n        \"content\": \" \",\n        \"start\": 1,\n        \"stop\": 0\n      }",
                   err));
    }
    return put(o,
               "\n    ]\n  },\n  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": \"<unk>\",\n"
               "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n    \"fuse_unk\": true,\n    \"byte_fallback\": true,\n"
               "    \"ignore_merges\": ",
               err);
}

/* ---- the whole ---- */

static pm_status write_vocab(output *o, const pm_tokenizer *tok, pm_error *err) {
    const char *before = "\n";
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        pm_kind kind = (pm_kind)tok->model.kinds[id];
        pm_bytes bytes = tok->model.pieces[id];
        if (kind == PM_KIND_HOLE || kind == PM_KIND_RESERVED) {
            continue;
        }
        PM_TRY(pm_buf_printf(&o->text, err, "%s      ", before));
        PM_TRY(kind == PM_KIND_PIECE  ? put_piece(o, &tok->model, id, err)
               : kind == PM_KIND_BYTE ? put_byte_name(o, bytes.data[0], err)
                                      : put_string(o, bytes, err));
        PM_TRY(pm_buf_printf(&o->text, err, ": %u", id));
        PM_TRY(flush(o, err));
        before = ",\n";
    }
    return put(o, "\n    },\n", err);
}

static pm_status write_merges(output *o, const pm_model *model, pm_error *err) {
    PM_TRY(put(o, "    \"merges\": [", err));
    for (size_t i = 0; i < model->n_merges; i++) {
        PM_TRY(put(o, i ? ",\n      [\n        " : "\n      [\n        ", err));
        PM_TRY(put_piece(o, model, model->merges[i].left, err));
        PM_TRY(put(o, ",\n        ", err));
        PM_TRY(put_piece(o, model, model->merges[i].right, err));
        PM_TRY(put(o, "\n      ]", err));
        PM_TRY(flush(o, err));
    }
    PM_TRY(put(o, model->n_merges ? "\n    ]\n  }\n}" : "]\n  }\n}", err));
    return flush(o, err);
}

static pm_status write_byte_level(output *o, const pm_model *model, pm_error *err) {
    PM_TRY(write_pre_tokenizer(o, model->splitter, err));
    return put(
        o,
        "  \"post_processor\": null,\n  \"decoder\": {\n    \"type\": \"ByteLevel\",\n    \"add_prefix_space\": true,\n"
        "    \"trim_offsets\": true,\n    \"use_regex\": true\n  },\n  \"model\": {\n    \"type\": \"BPE\",\n    "
        "\"dropout\": null,\n"
        "    \"unk_token\": null,\n    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n"
        "    \"fuse_unk\": false,\n    \"byte_fallback\": false,\n    \"ignore_merges\": ",
        err);
}

static pm_status write_all(output *o, const pm_tokenizer *tok, pm_error *err) {
    PM_TRY(write_added_tokens(o, tok, err));
    if (tok->model.characters) {
        PM_TRY(write_marks(o, &tok->model, err));
        PM_TRY(write_unmark(o, &tok->model, err));
    } else {
        PM_TRY(write_byte_level(o, &tok->model, err));
    }
    PM_TRY(put(o, tok->model.whole_first ? "true,\n    \"vocab\": {" : "false,\n    \"vocab\": {", err));
    PM_TRY(write_vocab(o, tok, err));
    return write_merges(o, &tok->model, err);
}

/* A special token that JSON cannot hold, or that would be taken for a piece. */
static pm_status check_special(const pm_tokenizer *tok, const pm_special_token *special, pm_buf *bytes, pm_error *err) {
    size_t wrong;
    if (!pm_is_utf8(special->text, &wrong)) {
        return pm_fail(err, PM_UNSUPPORTED, "special token %u is not UTF-8: tokenizer.json cannot hold it",
                       special->id);
    }
    if (tok->model.characters) {
        return PM_OK; /* pm_characters_check has looked */
    }
    bytes->len = 0;
    PM_TRY(pm_buf_reserve(bytes, special->text.len, err));
    if (pm_byte_level_decode(bytes, special->text) &&
        pm_tokenizer_find_piece(tok, bytes->data, bytes->len) != PM_ID_NONE) {
        return pm_fail(err, PM_UNSUPPORTED,
                       "special token %u reads like a piece in byte-level characters: tokenizer.json cannot hold both",
                       special->id);
    }
    return PM_OK;
}

static pm_status check_writable(const pm_tokenizer *tok, pm_buf *scratch, pm_error *err) {
    if (tok->model.algorithm != PM_ALGORITHM_BPE) {
        return pm_fail(err, PM_UNSUPPORTED, "tokenizer.json is written for BPE only; BytePiece has no form there");
    }
    if (tok->model.characters) {
        PM_TRY(pm_characters_check(tok, "tokenizer.json", err));
        if (tok->model.add_prefix && !pm_characters_need_no_pattern(&tok->model)) {
            return pm_fail(err, PM_UNSUPPORTED, "a blank before the text and a pattern: tokenizer.json is not written with both");
        }
    }
    for (size_t i = 0; i < tok->n_specials; i++) {
        PM_TRY(check_special(tok, &tok->specials[i], scratch, err));
    }
    return PM_OK;
}

static pm_status write_hf(const pm_tokenizer *tok, pm_writer *w, const pm_save_options *how, pm_error *err) {
    (void)how;
    output o = {.w = w};
    pm_status status = check_writable(tok, &o.scratch, err);
    if (status == PM_OK) {
        status = write_all(&o, tok, err);
    }
    pm_buf_release(&o.text);
    pm_buf_release(&o.scratch);
    return status;
}

const pm_format_ops pm_format_hf = {
    PM_FORMAT_HF, "hf", "tokenizer.json", "tokenizer.json holds its pattern", recognizes, pm_hf_read, write_hf,
};
