/* offsets.c - where in a document its ids are from.
 *
 * The pipeline of a general tokenizer knows (pipeline.c). The pieces of a plain one put together are the text that was encoded, so adding up their lengths tells where each
 * is in that; what was done to the text before is gone through beside it: U+2581 became a blank, a blank was put before, or NFC, whose origins a normalizer tells.
 *
 *     text  "a\u2581b"   encoded " a b"     ids  " a"   " b"       lengths 2, 2       places  [0, 1)  [1, 5)
 *
 * A place is of whole characters: it is widened where a token holds a part of one. What a tokenizer.json trims is done last. */
#include "encode/inside.h"
#include "encode/normalizer.h"
#include "text/characters.h"
#include "text/unicode.h"
#include "text/utf8.h"

enum { MARK_BYTES = sizeof PM_BLANK_MARK_UTF8 - 1, LONGEST_CHARACTER = 4 };

/* ---------------------------------------------------------------- characters ---- */

/* The begin and length of the character that holds the byte at `at` < text.len. */
static size_t around(pm_bytes text, size_t at, unsigned *len) {
    for (size_t back = 0; back < LONGEST_CHARACTER && back <= at; back++) {
        size_t begin = at - back;
        if ((text.data[begin] & 0xC0) != 0x80) {
            pm_utf8_read(text.data + begin, text.data + text.len, len);
            return begin + *len > at ? begin : (*len = 1, at);
        }
    }
    *len = 1;
    return at;
}

size_t pm_character_begin(pm_bytes text, size_t at) {
    unsigned len;
    return at < text.len ? around(text, at, &len) : text.len;
}

size_t pm_character_end(pm_bytes text, size_t at) {
    unsigned len;
    if (at == 0 || at > text.len) {
        return at ? text.len : 0;
    }
    size_t begin = around(text, at - 1, &len);
    return begin + len;
}

/* ---------------------------------------------------------------- plain tokenizers ---- */

/* A place in what was encoded, and where that is from. */
typedef struct cursor {
    pm_bytes text;            /* the document's, up to the end of the stretch */
    size_t at;                /* in it */
    size_t prefix;            /* bytes that were put before and are still to come */
    bool marks;               /* U+2581 became a blank */
    const pm_origin *origins; /* of what was encoded, if not NULL */
    size_t passed, n;         /* of those */
} cursor;

static size_t here(const cursor *c) {
    return !c->origins ? c->at : c->passed < c->n ? c->origins[c->passed].begin : c->text.len;
}

/* Passes len bytes of what was encoded; returns where the last of them ends. */
static size_t pass(cursor *c, size_t len) {
    if (c->origins) {
        c->passed = len < c->n - c->passed ? c->passed + len : c->n;
        return c->passed ? c->origins[c->passed - 1].end : c->at;
    }
    for (; len > 0; len--) {
        size_t left = c->text.len - c->at;
        bool mark = c->marks && left >= MARK_BYTES && memcmp(c->text.data + c->at, PM_BLANK_MARK_UTF8, MARK_BYTES) == 0;
        if (c->prefix) {
            c->prefix--;
        } else {
            c->at += mark ? MARK_BYTES : left > 0;
        }
    }
    return c->at;
}

static pm_status place_ids(const pm_model *model, cursor *c, const pm_id *ids, size_t n, pm_out *out, pm_error *err) {
    for (size_t i = 0; i < n; i++) {
        size_t begin = here(c), end = pass(c, model->pieces[ids[i]].len);
        begin = begin < end ? pm_character_begin(c->text, begin) : begin;
        end = begin < end ? pm_character_end(c->text, end) : begin;
        PM_TRY(pm_out_place(out, (pm_token){ids[i], begin, end}, err));
    }
    return PM_OK;
}

/* Where NFC changes the stretch: its origins. */
static pm_status place_normalized(const pm_model *model, cursor *c, const pm_id *ids, size_t n, pm_out *out, pm_error *err) {
    pm_step nfc = {.type = PM_STEP_NFC};
    pm_steps steps = {&nfc, 1, 1};
    pm_normalizer *normalizer;
    pm_normalizer_scratch *scratch = NULL;
    pm_normalized made = {0};
    PM_TRY(pm_normalizer_new(&normalizer, &steps, NULL, 0, err));
    pm_status status = pm_normalizer_scratch_new(&scratch, normalizer, err);
    if (status == PM_OK) {
        status = pm_normalize(normalizer, scratch, (pm_bytes){c->text.data + c->at, c->text.len - c->at}, c->at, true, &made, err);
    }
    if (status == PM_OK) {
        c->origins = made.origins;
        c->n = made.text.len;
        status = place_ids(model, c, ids, n, out, err);
    }
    pm_normalized_release(&made);
    pm_normalizer_scratch_free(scratch);
    pm_normalizer_free(normalizer);
    return status;
}

pm_status pm_place_stretch(pm_encoder *enc, const pm_plan *plan, pm_bytes text, size_t start, uint64_t number, pm_out *out, pm_error *err) {
    const pm_model *model = &enc->tok->model;
    size_t most = pm_plan_bound(plan, text.len - start);
    cursor c = {.text = text, .at = start, .prefix = plan->normalize && model->add_prefix, .marks = plan->normalize && model->characters};
    pm_out ids = {.cap = most};
    if (most > SIZE_MAX - PM_BPE_SLACK) {
        return pm_fail_memory(err);
    }
    ids.ids = pm_alloc(most + PM_BPE_SLACK, sizeof *ids.ids);
    if (!ids.ids) {
        return pm_fail_memory(err);
    }
    pm_status status = pm_encode_stretch(enc, plan, text.data, start, text.len, number, &ids, err);
    if (status == PM_OK) {
        bool changed = plan->normalize && !model->characters && !pm_nfc_quick_check(text.data + start, text.len - start);
        status = changed ? place_normalized(model, &c, ids.ids, ids.n, out, err) : place_ids(model, &c, ids.ids, ids.n, out, err);
    }
    pm_free(ids.ids);
    return status;
}

/* ---------------------------------------------------------------- trimming ---- */

enum { BLANK_OF_BYTE_LEVEL = 0x120 };

/* A plain piece over bytes holds a blank where tokenizers sees U+0120. */
static bool is_blank(const pm_model *model, pm_id id, uint32_t c) {
    bool bytes = !model->general && model->kinds[id] == PM_KIND_PIECE && !model->characters;
    return bytes ? c == ' ' : c == BLANK_OF_BYTE_LEVEL || (pm_class(c) & (PM_CLASS_SPACE | PM_CLASS_NEWLINE)) != 0;
}

/* White space characters at the begin or end of an id's text. That of an added token is what was found, with the white space that it took along. */
static size_t count_blanks(const pm_model *model, pm_bytes document, const pm_token *token, bool at_end) {
    pm_id id = token->id;
    bool added = model->kinds[id] == PM_KIND_SPECIAL || (model->added && (model->added[id] & PM_ADDED));
    pm_bytes text = added ? (pm_bytes){document.data + token->begin, (size_t)(token->end - token->begin)} : model->pieces[id];
    size_t blanks = 0;
    unsigned len;
    for (size_t i = 0; i < text.len; i += len) {
        bool blank = is_blank(model, id, pm_utf8_read(text.data + i, text.data + text.len, &len));
        if (!blank && !at_end) {
            return blanks;
        }
        blanks = blank ? blanks + 1 : 0;
    }
    return blanks;
}

static void trim(const pm_model *model, pm_bytes text, pm_token *token, bool first, bool prefix) {
    size_t before = count_blanks(model, text, token, false), behind = count_blanks(model, text, token, true);
    unsigned len;
    if (before == 1 && prefix && (first || token->begin == 0)) {
        before = 0; /* it was put there */
    }
    for (; before > 0 && token->begin < token->end; before--) {
        pm_utf8_read(text.data + token->begin, text.data + text.len, &len);
        token->begin += len;
    }
    for (; behind > 0 && token->begin < token->end; behind--) {
        token->end = pm_character_begin(text, (size_t)token->end - 1);
    }
}

void pm_trim_offsets(const pm_encoder *enc, pm_bytes text, pm_tokens *tokens, size_t first) {
    const pm_template *t = &enc->engine->template;
    for (size_t k = 0; k < t->n_trims; k++) {
        for (size_t i = first; i < tokens->n; i++) {
            trim(&enc->tok->model, text, &tokens->items[i], i == first, t->trims[k]);
        }
    }
}

/* ---------------------------------------------------------------- the call ---- */

pm_status pm_encode_offsets(pm_encoder *enc, pm_text text, const pm_encode_options *options, pm_tokens *out, pm_error *err) {
    pm_plan plan;
    pm_out to = {.tokens = out};
    bool noticed;

    *out = (pm_tokens){0};
    pm_status status = pm_plan_init(&plan, enc->tok, options, false, err);
    if (status == PM_OK) {
        status = pm_encode_document(enc, &plan, text, plan.document, &to, &noticed, err);
    }
    pm_plan_release(&plan);
    if (status != PM_OK) {
        pm_tokens_release(out);
    }
    return status;
}

void pm_tokens_release(pm_tokens *tokens) {
    if (tokens) {
        pm_free(tokens->items);
        *tokens = (pm_tokens){0};
    }
}
