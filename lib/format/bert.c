/* bert.c - vocab.txt of BERT: an entry a line, its id the line's number from 0; and the pipeline that goes with it.
 *
 *     [PAD]
 *     [UNK]
 *     play
 *     ##ing
 *
 * The file says nothing of the rest, which is BERT's (bert.h); case is folded, as BertTokenizer does unless it is told do_lower_case=False. [PAD], [UNK], [CLS], [SEP] and
 * [MASK] are its special tokens. White space at a line's end is no part of an entry. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "format/bert.h"

#include "base/bytes.h"
#include "format/hf_steps.h"
#include "format/json.h"
#include "format/reader.h"
#include "format/roles.h"

enum { MAX_WORD = 100, N_SPECIALS = 5 };

static const char *const special_names[N_SPECIALS] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

static pm_bytes bytes_of(const char *text) { return (pm_bytes){(const uint8_t *)text, strlen(text)}; }

static bool is_special_name(pm_bytes text) {
    for (size_t i = 0; i < N_SPECIALS; i++) {
        if (pm_bytes_equal(text, bytes_of(special_names[i]))) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- the pipeline ---- */

static pm_status set_ends(pm_model *model, pm_id cls, pm_id sep, pm_error *err) {
    if (cls == PM_ID_NONE || sep == PM_ID_NONE) {
        return pm_ends_set(model, cls, sep, err);
    }
    pm_step ends = {.type = PM_STEP_BERT_ENDS, .a = model->pieces[sep], .n = sep, .b = model->pieces[cls], .m = cls};
    return pm_steps_add(&model->post_processor, ends, err);
}

pm_status pm_bert_finish(pm_model *model, bool lowercase, pm_bert_accents accents, pm_id cls, pm_id sep, pm_error *err) {
    unsigned flags = PM_STEP_CLEAN_TEXT | PM_STEP_CHINESE_CHARS | (lowercase ? (unsigned)PM_STEP_LOWER : 0);
    flags |= accents == PM_BERT_ACCENTS_FOLLOW ? 0 : PM_STEP_ACCENTS_GIVEN;
    flags |= accents == PM_BERT_ACCENTS_STRIP ? (unsigned)PM_STEP_ACCENTS : 0;
    model->algorithm = PM_ALGORITHM_WORDPIECE;
    model->general = true;
    model->has_unknown = true;
    model->prefix = bytes_of("##");
    model->max_word = MAX_WORD;
    PM_TRY(pm_steps_add(&model->normalizer, (pm_step){.type = PM_STEP_BERT, .flags = flags}, err));
    PM_TRY(pm_steps_add(&model->pre_tokenizer, (pm_step){.type = PM_STEP_BERT_SPLIT}, err));
    PM_TRY(pm_steps_add(&model->decoder, (pm_step){.type = PM_STEP_WORDPIECE, .a = bytes_of("##"), .flags = PM_STEP_CLEANUP}, err));
    return set_ends(model, cls, sep, err);
}

static bool is_one(const pm_steps *steps, pm_step_type type) { return steps->n == 1 && steps->items[0].type == (uint32_t)type; }

pm_status pm_bert_look(const pm_tokenizer *tok, const char *what, const pm_save_options *how, bool *lowercase, bool *accents, pm_id *cls, pm_id *sep, pm_error *err) {
    const pm_model *model = &tok->model;
    const unsigned always = PM_STEP_CLEAN_TEXT | PM_STEP_CHINESE_CHARS;
    if (!model->general || model->algorithm != PM_ALGORITHM_WORDPIECE || !model->has_unknown) {
        return pm_fail(err, PM_UNSUPPORTED, "%s holds WordPiece vocabularies only, with an unknown token", what);
    }
    if (!is_one(&model->normalizer, PM_STEP_BERT) || (model->normalizer.items[0].flags & always) != always || !is_one(&model->pre_tokenizer, PM_STEP_BERT_SPLIT) ||
        !pm_bytes_equal(model->prefix, bytes_of("##"))) {
        PM_TRY(pm_lose(how, err, "%s has no place for a pipeline that is not BERT's", what));
    }
    if (model->max_word != MAX_WORD) {
        PM_TRY(pm_lose(how, err, "%s has no place for the length of the longest word: it is 100 characters", what));
    }
    if (!is_one(&model->decoder, PM_STEP_WORDPIECE)) {
        PM_TRY(pm_lose(how, err, "%s has no place for a decoder that is not BERT's", what));
    }
    if (!pm_ends_get(&model->post_processor, cls, sep)) {
        PM_TRY(pm_lose(how, err, "%s has no place for this post-processor", what));
        *cls = *sep = PM_ID_NONE;
    }
    for (pm_id id = 0; model->added && id < tok->vocab_size; id++) {
        if (model->added[id] & ~(unsigned)PM_ADDED) {
            PM_TRY(pm_lose(how, err, "%s has no place for added tokens that look at what stands beside them", what));
            break;
        }
    }
    unsigned flags = is_one(&model->normalizer, PM_STEP_BERT) ? model->normalizer.items[0].flags : PM_STEP_LOWER;
    *lowercase = (flags & PM_STEP_LOWER) != 0;
    *accents = flags & PM_STEP_ACCENTS_GIVEN ? (flags & PM_STEP_ACCENTS) != 0 : *lowercase;
    return PM_OK;
}

/* ---------------------------------------------------------------- reading ---- */

static bool is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* The line at *at, without white space at its end; *at moves behind it. */
static pm_bytes next_line(const pm_file *file, size_t *at) {
    const uint8_t *begin = file->data + *at, *end = memchr(begin, '\n', file->len - *at);
    size_t n = end ? (size_t)(end - begin) : file->len - *at;
    *at += n + (end != NULL);
    while (n > 0 && is_space(begin[n - 1])) {
        n--;
    }
    return (pm_bytes){begin, n};
}

static bool recognizes(const uint8_t *data, size_t len) {
    const uint8_t *p = len ? memmem(data, len, "[UNK]", 5) : NULL;
    size_t at = p ? (size_t)(p - data) : 0;
    return p && data[0] != '{' && (at == 0 || data[at - 1] == '\n') && (at + 5 == len || data[at + 5] == '\n' || data[at + 5] == '\r');
}

static pm_status read_line(pm_model *model, pm_piece_index *index, pm_bytes text, uint64_t offset, pm_error *err) {
    pm_id id = model->vocab_size;
    size_t wrong;
    if (!text.len || !pm_is_utf8(text, &wrong)) {
        return pm_fail_at(err, PM_BAD_FORMAT, text.len ? offset + wrong : offset, "entry %u is %s", id, text.len ? "not well-formed UTF-8" : "empty");
    }
    pm_id other = pm_piece_index_find(index, model, text);
    if (other != PM_ID_NONE) {
        return pm_fail_at(err, PM_BAD_FORMAT, offset, "entry %u was given already, with id %u", id, other);
    }
    bool special = is_special_name(text);
    PM_TRY(pm_model_set(model, id, special ? PM_KIND_SPECIAL : PM_KIND_PIECE, text, 0, false, err));
    pm_piece_index_add(index, model, id);
    return special ? pm_model_set_added(model, id, PM_ADDED, err) : PM_OK;
}

static pm_status read_lines(pm_model *model, pm_piece_index *index, const pm_file *file, pm_error *err) {
    size_t n = 1;
    for (size_t i = 0; i < file->len; i++) {
        n += file->data[i] == '\n';
    }
    PM_TRY(pm_piece_index_init(index, n, err));
    for (size_t at = 0; at < file->len;) {
        uint64_t offset = at;
        pm_bytes text = next_line(file, &at);
        PM_TRY(read_line(model, index, text, offset, err));
    }
    model->unknown = pm_piece_index_find(index, model, bytes_of("[UNK]"));
    if (model->unknown == PM_ID_NONE) {
        return pm_fail_at(err, PM_BAD_FORMAT, 0, "there is no entry [UNK]");
    }
    pm_id cls = pm_piece_index_find(index, model, bytes_of("[CLS]")), sep = pm_piece_index_find(index, model, bytes_of("[SEP]"));
    return pm_bert_finish(model, true, PM_BERT_ACCENTS_FOLLOW, cls, sep, err);
}

static pm_status read_bert(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err) {
    pm_piece_index index = {0};
    (void)options;
    pm_status status = read_lines(model, &index, file, err);
    pm_piece_index_release(&index);
    return status;
}

/* ---------------------------------------------------------------- writing ---- */

static pm_status check_entry(const pm_model *model, pm_id id, const pm_save_options *how, pm_error *err) {
    pm_bytes text = model->pieces[id];
    pm_kind kind = (pm_kind)model->kinds[id];
    if (kind == PM_KIND_HOLE || kind == PM_KIND_RESERVED || !text.len) {
        return pm_fail(err, PM_UNSUPPORTED, "id %u has no text: vocab.txt cannot leave one out", id);
    }
    if (memchr(text.data, '\n', text.len) || is_space(text.data[text.len - 1])) {
        return pm_fail(err, PM_UNSUPPORTED, "entry %u holds a line feed, or white space at its end: vocab.txt cannot hold it", id);
    }
    bool added = kind != PM_KIND_PIECE || (model->added && (model->added[id] & PM_ADDED));
    return added == is_special_name(text) ? PM_OK
           : added                        ? pm_lose(how, err, "entry %u is an added token: vocab.txt has those of BERT only", id)
                                          : pm_lose(how, err, "entry %u has the name of a special token, and is none", id);
}

static pm_status check_writable(const pm_tokenizer *tok, const pm_save_options *how, pm_error *err) {
    bool lowercase, accents;
    pm_id cls, sep;
    const pm_model *model = &tok->model;
    PM_TRY(pm_bert_look(tok, "vocab.txt", how, &lowercase, &accents, &cls, &sep, err));
    if (!lowercase || !accents) {
        PM_TRY(pm_lose(how, err, "vocab.txt does not say that case or accents are kept"));
    }
    if (model->unknown >= tok->vocab_size || !pm_bytes_equal(model->pieces[model->unknown], bytes_of("[UNK]"))) {
        return pm_fail(err, PM_UNSUPPORTED, "the unknown token is not called [UNK], as it is in vocab.txt");
    }
    if (cls == PM_ID_NONE || sep == PM_ID_NONE || !pm_bytes_equal(model->pieces[cls], bytes_of("[CLS]")) || !pm_bytes_equal(model->pieces[sep], bytes_of("[SEP]"))) {
        PM_TRY(pm_lose(how, err, "vocab.txt does not say that other tokens than [CLS] and [SEP], or none, are put around a text"));
    }
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        PM_TRY(check_entry(model, id, how, err));
    }
    return PM_OK;
}

static pm_status write_bert(const pm_tokenizer *tok, pm_writer *w, const pm_save_options *how, pm_error *err) {
    PM_TRY(check_writable(tok, how, err));
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        PM_TRY(pm_writer_write(w, tok->model.pieces[id].data, tok->model.pieces[id].len, err));
        PM_TRY(pm_writer_write(w, "\n", 1, err));
    }
    return PM_OK;
}

const pm_format_ops pm_format_bert = {
    PM_FORMAT_BERT, "bert", "vocab.txt", "vocab.txt splits as BERT does", recognizes, read_bert, write_bert,
};
