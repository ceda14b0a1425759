/* unigram.c - see unigram.h.
 *
 * BytePiece finds the segmentation with the highest sum of log-probabilities, over bytes, a line with its newlines at a time; of equal sums the one whose last piece is longer.
 * Unigram in Hugging Face's tokenizers does the same over characters, one pre-token at a time, in 64-bit numbers too and with the same rule for equal ones. So with each byte written as
 * the character that stands for it (ByteLevel), and a Split that makes a line a pre-token, the ids are the same:
 *
 *     "ab\ncd"   NFC -> Split [^\n]*\n+|[^\n]+ -> "ab\n", "cd" -> ByteLevel -> "abĊ", "cd" -> Unigram
 *
 * Unigram numbers its entries from 0 without a gap. Ids that no text gives (control tokens, slots, holes, pieces that were never counted) are entries with a score so low
 * that any way around them is better, under a name that no piece has. Control tokens are no added tokens: those would be found in text. */
#include "format/unigram.h"

#include "base/bytes.h"
#include "base/log.h"
#include "format/hf_steps.h"
#include "format/reader.h"
#include "pretok/oniguruma.h"
#include "text/byte_level.h"

#define NEVER (-1e300)
#define LINES "[^\\n]*\\n+|[^\\n]+"

typedef struct conversion {
    pm_model *out;
    const pm_tokenizer *tok;
    pm_piece_index index;
    pm_buf text;
    double log_total;
} conversion;

static pm_bytes text_of(const conversion *c) { return (pm_bytes){c->text.data, c->text.len}; }

static pm_status add_entry(conversion *c, pm_id id, pm_kind kind, double score, pm_error *err) {
    PM_TRY(pm_model_set(c->out, id, kind, text_of(c), 0, false, err));
    PM_TRY(pm_model_set_score(c->out, id, score, err));
    pm_piece_index_add(&c->index, c->out, id);
    return PM_OK;
}

static pm_status add_piece(conversion *c, pm_id id, pm_error *err) {
    const pm_model *model = &c->tok->model;
    c->text.len = 0;
    PM_TRY(pm_byte_level_append(&c->text, model->pieces[id], err));
    return add_entry(c, id, PM_KIND_PIECE, model->counts[id] ? pm_log_u64(model->counts[id]) - c->log_total : NEVER, err);
}

static pm_status add_special(conversion *c, pm_id id, pm_error *err) {
    pm_bytes text = c->tok->model.pieces[id];
    c->text.len = 0;
    PM_TRY(pm_buf_append(&c->text, text.data, text.len, err));
    if (pm_piece_index_find(&c->index, c->out, text) != PM_ID_NONE) {
        return pm_fail(err, PM_UNSUPPORTED, "special token %u reads like a piece in byte-level characters: the target cannot hold both", id);
    }
    PM_TRY(add_entry(c, id, PM_KIND_SPECIAL, NEVER, err));
    return pm_model_set_added(c->out, id, PM_ADDED, err);
}

/* An id that no text gives: under its own name, or a made one. */
static pm_status add_unused(conversion *c, pm_id id, pm_error *err) {
    pm_bytes name = c->tok->model.pieces[id];
    c->text.len = 0;
    PM_TRY(name.len ? pm_buf_append(&c->text, name.data, name.len, err) : pm_buf_printf(&c->text, err, "<unused%u>", id));
    while (pm_piece_index_find(&c->index, c->out, text_of(c)) != PM_ID_NONE) {
        PM_TRY(pm_buf_append(&c->text, "_", 1, err));
    }
    return add_entry(c, id, PM_KIND_PIECE, NEVER, err);
}

/* Pieces first, so that the names of the others can be held against them. */
static pm_status add_entries(conversion *c, pm_error *err) {
    const pm_model *model = &c->tok->model;
    for (int pass = 0; pass < 3; pass++) {
        for (pm_id id = 0; id < model->vocab_size; id++) {
            pm_kind kind = (pm_kind)model->kinds[id];
            int turn = kind == PM_KIND_PIECE ? 0 : kind == PM_KIND_SPECIAL ? 1 : 2;
            if (turn == pass) {
                PM_TRY(pass == 0 ? add_piece(c, id, err) : pass == 1 ? add_special(c, id, err) : add_unused(c, id, err));
            }
        }
    }
    return PM_OK;
}

static pm_status add_split(conversion *c, const char *regex, pm_error *err) {
    c->text.len = 0;
    PM_TRY(pm_regex_to_oniguruma(&c->text, (pm_bytes){(const uint8_t *)regex, strlen(regex)}, err));
    uint8_t *copy = pm_arena_copy(&c->out->arena, c->text.data, c->text.len);
    if (!copy) {
        return pm_fail_memory(err);
    }
    pm_step step = {.type = PM_STEP_SPLIT, .flags = PM_STEP_REGEX, .n = PM_BEHAVIOR_ISOLATED, .a = {copy, c->text.len}};
    return pm_steps_add(&c->out->pre_tokenizer, step, err);
}

static pm_status add_steps(conversion *c, pm_error *err) {
    size_t n = pm_tokenizer_n_patterns(c->tok);
    pm_step bytes = {.type = PM_STEP_BYTE_LEVEL, .flags = PM_STEP_TRIM_OFFSETS};
    PM_TRY(c->tok->model.normalize ? pm_steps_add(&c->out->normalizer, (pm_step){.type = PM_STEP_NFC}, err) : PM_OK);
    PM_TRY(n ? PM_OK : add_split(c, LINES, err));
    for (size_t i = 0; i < n; i++) {
        PM_TRY(add_split(c, pm_tokenizer_pattern(c->tok, i), err));
    }
    PM_TRY(pm_steps_add(&c->out->pre_tokenizer, bytes, err));
    return pm_steps_add(&c->out->decoder, bytes, err);
}

pm_status pm_bytepiece_to_unigram(pm_model *out, const pm_tokenizer *tok, pm_error *err) {
    conversion c = {.out = out, .tok = tok};
    uint64_t total = 0;
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        total += tok->model.kinds[id] == PM_KIND_PIECE ? tok->model.counts[id] : 0; /* was checked to be below 2^64 */
    }
    c.log_total = pm_log_u64(total);
    out->algorithm = PM_ALGORITHM_UNIGRAM;
    out->general = true;
    pm_status status = pm_piece_index_init(&c.index, tok->vocab_size, err);
    status = status == PM_OK ? add_entries(&c, err) : status;
    status = status == PM_OK ? add_steps(&c, err) : status;
    pm_piece_index_release(&c.index);
    pm_buf_release(&c.text);
    return status;
}
