/* decoder.c - see decoder.h. Steps as in the decoders of Hugging Face's tokenizers, and sentencepiece's whole decoding as one.
 *
 * A decoder is a chain: each step makes of a list of tokens another one, and what the last leaves is put together. A list is the tokens' texts one behind the other, and their ends;
 * steps go from one list to another and back, so nothing is allocated for a token.
 *
 *     ids            ["<0xE4>", "<0xBD>", "<0xA0>", "▁ok"]
 *     ByteFallback   ["你", "▁ok"]                 Replace   ["你", " ok"]
 *
 * Bytes that are no UTF-8 stay as they are behind ByteLevel; who decodes them puts U+FFFD where tokenizers does. */
#include "encode/decoder.h"

#include "base/bytes.h"
#include "encode/replace.h"
#include "text/byte_level.h"
#include "text/characters.h"
#include "text/utf8.h"

struct pm_decoder {
    const pm_model *model;
    pm_replacer **replacers; /* of each step; NULL where it is no Replace */
    pm_special_token *texts; /* of ids that read otherwise than they are written, in order of ids */
    size_t n_texts, cap_texts;
    pm_arena arena;
    bool by_ids;             /* the first step is sentencepiece's, which looks at what ids are */
};

typedef struct list {
    pm_buf text;
    size_t *ends;
    size_t n, cap;
} list;

static const uint8_t BAD[] = {0xEF, 0xBF, 0xBD}; /* U+FFFD */

static void list_release(list *l) {
    pm_buf_release(&l->text);
    pm_free(l->ends);
}

static pm_bytes token(const list *l, size_t i) {
    size_t begin = i ? l->ends[i - 1] : 0;
    return (pm_bytes){l->text.data + begin, l->ends[i] - begin};
}

/* What was appended to the text since the last token is a token. */
static pm_status end_token(list *l, pm_error *err) {
    PM_TRY(pm_grow((void **)&l->ends, &l->cap, l->n + 1, sizeof *l->ends, err));
    l->ends[l->n++] = l->text.len;
    return PM_OK;
}

static pm_status put(list *l, pm_bytes text, pm_error *err) { return pm_buf_append(&l->text, text.data, text.len, err); }

static bool begins_with(pm_bytes text, pm_bytes with) { return text.len >= with.len && (with.len == 0 || memcmp(text.data, with.data, with.len) == 0); }

/* Appends a text with `by` for each `what`, from the left; an empty one is nowhere. */
static pm_status put_replaced(pm_buf *out, pm_bytes text, pm_bytes what, pm_bytes by, pm_error *err) {
    size_t from = 0;
    for (size_t i = 0; what.len && i + what.len <= text.len;) {
        if (text.data[i] != what.data[0] || memcmp(text.data + i, what.data, what.len) != 0) {
            i++;
            continue;
        }
        PM_TRY(pm_buf_append(out, text.data + from, i - from, err));
        PM_TRY(pm_buf_append(out, by.data, by.len, err));
        from = i += what.len;
    }
    return pm_buf_append(out, text.len ? text.data + from : NULL, text.len - from, err);
}

/* ---------------------------------------------------------------- steps ---- */

/* Each token's characters are bytes, where all of them are. One token comes out. */
static pm_status byte_level(const list *in, list *out, pm_error *err) {
    PM_TRY(pm_buf_reserve(&out->text, in->text.len, err));
    for (size_t i = 0; i < in->n; i++) {
        if (!pm_byte_level_decode(&out->text, token(in, i))) {
            PM_TRY(put(out, token(in, i), err));
        }
    }
    return end_token(out, err);
}

static int hex(uint8_t c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

/* The byte of "<0x0A>", or -1. Rust's from_str_radix takes small letters and a plus too. */
static int byte_of(pm_bytes t) {
    if (t.len != 6 || memcmp(t.data, "<0x", 3) != 0 || t.data[5] != '>') {
        return -1;
    }
    int high = t.data[3] == '+' ? 0 : hex(t.data[3]), low = hex(t.data[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* The bytes behind out->text.data[begin] are a token if they are UTF-8, else each gives U+FFFD. */
static pm_status end_bytes(list *out, size_t begin, pm_error *err) {
    size_t n = out->text.len - begin;
    bool whole = true;
    unsigned len;
    for (size_t i = begin; i < out->text.len && whole; i += len) {
        whole = !(pm_utf8_read(out->text.data + i, out->text.data + out->text.len, &len) == PM_BAD_BYTE && len == 1);
    }
    if (n == 0 || whole) {
        return n ? end_token(out, err) : PM_OK;
    }
    out->text.len = begin;
    for (size_t i = 0; i < n; i++) {
        PM_TRY(pm_buf_append(&out->text, BAD, sizeof BAD, err));
        PM_TRY(end_token(out, err));
    }
    return PM_OK;
}

static pm_status byte_fallback(const list *in, list *out, pm_error *err) {
    size_t begin = 0; /* of the bytes that are being put together */
    for (size_t i = 0; i < in->n; i++) {
        int b = byte_of(token(in, i));
        if (b >= 0) {
            uint8_t byte = (uint8_t)b;
            PM_TRY(pm_buf_append(&out->text, &byte, 1, err));
            continue;
        }
        PM_TRY(end_bytes(out, begin, err));
        PM_TRY(put(out, token(in, i), err));
        PM_TRY(end_token(out, err));
        begin = out->text.len;
    }
    return end_bytes(out, begin, err);
}

static pm_status fuse(const list *in, list *out, pm_error *err) {
    PM_TRY(pm_buf_append(&out->text, in->text.data, in->text.len, err));
    return end_token(out, err);
}

static pm_status strip_edges(const pm_step *step, const list *in, list *out, pm_error *err) {
    for (size_t i = 0; i < in->n; i++) {
        pm_bytes t = token(in, i);
        for (uint64_t k = 0; k < step->n && step->a.len && begins_with(t, step->a); k++) {
            t = (pm_bytes){t.data + step->a.len, t.len - step->a.len};
        }
        for (uint64_t k = 0; k < step->m && step->a.len && t.len >= step->a.len && memcmp(t.data + t.len - step->a.len, step->a.data, step->a.len) == 0; k++) {
            t.len -= step->a.len;
        }
        PM_TRY(put(out, t, err));
        PM_TRY(end_token(out, err));
    }
    return PM_OK;
}

/* Marks become blanks; those of the first token go, where a blank was put before the text. */
static pm_status metaspace(const pm_step *step, const list *in, list *out, pm_error *err) {
    static const uint8_t blank = PM_BLANK;
    for (size_t i = 0; i < in->n; i++) {
        bool gone = i == 0 && step->n != PM_PREPEND_NEVER;
        PM_TRY(put_replaced(&out->text, token(in, i), step->a, (pm_bytes){&blank, !gone}, err));
        PM_TRY(end_token(out, err));
    }
    return PM_OK;
}

/* The blanks that tokens of English were given. */
static pm_status clean_up(pm_buf *out, pm_bytes text, pm_error *err) {
    static const char *const pairs[][2] = {{" .", "."},     {" ?", "?"},     {" !", "!"},   {" ,", ","},     {" ' ", "'"}, {" n't", "n't"},
                                           {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    pm_buf buffers[2] = {{0}, {0}};
    pm_status status = pm_buf_append(&buffers[0], text.data, text.len, err);
    size_t at = 0;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs && status == PM_OK; i++, at ^= 1) {
        pm_bytes what = {(const uint8_t *)pairs[i][0], strlen(pairs[i][0])}, by = {(const uint8_t *)pairs[i][1], strlen(pairs[i][1])};
        buffers[at ^ 1].len = 0;
        status = put_replaced(&buffers[at ^ 1], (pm_bytes){buffers[at].data, buffers[at].len}, what, by, err);
    }
    status = status == PM_OK ? pm_buf_append(out, buffers[at].data, buffers[at].len, err) : status;
    pm_buf_release(&buffers[0]);
    pm_buf_release(&buffers[1]);
    return status;
}

static bool has_blank(pm_bytes text) { return text.len && memchr(text.data, ' ', text.len); }

static pm_status put_clean(list *out, size_t begin, bool clean, pm_error *err) {
    pm_bytes made = {out->text.data + begin, out->text.len - begin};
    if (!clean || !has_blank(made)) {
        return end_token(out, err);
    }
    pm_buf copy = {0};
    pm_status status = clean_up(&copy, made, err);
    out->text.len = begin;
    status = status == PM_OK ? pm_buf_append(&out->text, copy.data, copy.len, err) : status;
    pm_buf_release(&copy);
    return status == PM_OK ? end_token(out, err) : status;
}

static pm_status word_piece(const pm_step *step, const list *in, list *out, pm_error *err) {
    for (size_t i = 0; i < in->n; i++) {
        pm_bytes t = token(in, i);
        size_t begin = out->text.len;
        if (i > 0 && begins_with(t, step->a)) {
            t = (pm_bytes){t.data + step->a.len, t.len - step->a.len};
        } else if (i > 0) {
            PM_TRY(pm_buf_append(&out->text, " ", 1, err));
        }
        PM_TRY(put(out, t, err));
        PM_TRY(put_clean(out, begin, step->flags & PM_STEP_CLEANUP, err));
    }
    return PM_OK;
}

static pm_status bpe_suffix(const pm_step *step, const list *in, list *out, pm_error *err) {
    static const uint8_t blank = PM_BLANK;
    for (size_t i = 0; i < in->n; i++) {
        PM_TRY(put_replaced(&out->text, token(in, i), step->a, (pm_bytes){&blank, i + 1 < in->n}, err));
        PM_TRY(end_token(out, err));
    }
    return PM_OK;
}

/* Equal tokens side by side are one; the pad goes, the delimiter is a blank. */
static pm_status ctc(const pm_step *step, const list *in, list *out, pm_error *err) {
    pm_buf text = {0};
    pm_status status = PM_OK;
    for (size_t i = 0; i < in->n && status == PM_OK; i++) {
        if (i > 0 && pm_bytes_equal(token(in, i), token(in, i - 1))) {
            continue;
        }
        size_t begin = out->text.len;
        text.len = 0;
        status = put_replaced(&text, token(in, i), step->a, (pm_bytes){NULL, 0}, err);
        if (status == PM_OK && (step->flags & PM_STEP_CLEANUP)) {
            pm_buf clean = {0};
            status = clean_up(&clean, (pm_bytes){text.data, text.len}, err);
            status = status == PM_OK ? put_replaced(&out->text, (pm_bytes){clean.data, clean.len}, step->b, (pm_bytes){(const uint8_t *)" ", 1}, err) : status;
            pm_buf_release(&clean);
        } else if (status == PM_OK) {
            status = pm_buf_append(&out->text, text.data, text.len, err);
        }
        status = status == PM_OK && out->text.len > begin ? end_token(out, err) : status;
    }
    pm_buf_release(&text);
    return status;
}

static pm_status replace(const pm_replacer *replacer, const list *in, list *out, pm_error *err) {
    pm_replacer_scratch *scratch;
    PM_TRY(pm_replacer_scratch_new(&scratch, err));
    pm_status status = PM_OK;
    for (size_t i = 0; i < in->n && status == PM_OK; i++) {
        status = pm_replace(replacer, scratch, token(in, i), &out->text, err);
        status = status == PM_OK ? end_token(out, err) : status;
    }
    pm_replacer_scratch_free(scratch);
    return status;
}

/* ---------------------------------------------------------------- sentencepiece ---- */

/* Bytes of byte tokens: what is no UTF-8 among them is U+FFFD, each. */
static pm_status put_bytes(list *out, pm_buf *bytes, pm_error *err) {
    unsigned len;
    for (size_t i = 0; i < bytes->len; i += len) {
        bool bad = pm_utf8_read(bytes->data + i, bytes->data + bytes->len, &len) == PM_BAD_BYTE && len == 1;
        PM_TRY(bad ? pm_buf_append(&out->text, BAD, sizeof BAD, err) : pm_buf_append(&out->text, bytes->data + i, len, err));
    }
    bytes->len = 0;
    return PM_OK;
}

/* As sentencepiece's Decode: controls give nothing, the unknown piece its surface, marks blanks but for those that were put before the text. */
static pm_status put_pieces(const pm_model *model, const pm_step *step, const pm_id *ids, size_t n, list *out, pm_buf *bytes, pm_error *err) {
    const pm_bytes mark = {(const uint8_t *)PM_BLANK_MARK_UTF8, sizeof PM_BLANK_MARK_UTF8 - 1}, blank = {(const uint8_t *)" ", 1};
    bool first = true, seen = false; /* no text yet; a blank of the text's begin was taken */
    for (size_t i = 0; i < n; i++) {
        pm_bytes piece = model->pieces[ids[i]];
        pm_kind kind = (pm_kind)model->kinds[ids[i]];
        if (kind == PM_KIND_BYTE) {
            PM_TRY(pm_buf_append(bytes, piece.data, piece.len, err));
            continue;
        }
        PM_TRY(put_bytes(out, bytes, err));
        first = first && !seen && out->text.len == 0;
        seen = false;
        if (model->has_unknown && ids[i] == model->unknown) {
            PM_TRY(put(out, step->a, err));
        } else if (kind == PM_KIND_SPECIAL) {
            PM_TRY(put(out, piece, err));
        } else if (kind == PM_KIND_PIECE) {
            if (first && (step->flags & (PM_STEP_DUMMY_PREFIX | PM_STEP_REMOVE_EXTRA_BLANKS)) && begins_with(piece, mark)) {
                piece = (pm_bytes){piece.data + mark.len, piece.len - mark.len};
                seen = !(step->flags & PM_STEP_REMOVE_EXTRA_BLANKS);
            }
            PM_TRY(put_replaced(&out->text, piece, mark, blank, err));
        }
    }
    PM_TRY(put_bytes(out, bytes, err));
    return end_token(out, err);
}

static pm_status from_pieces(const pm_model *model, const pm_id *ids, size_t n, list *out, pm_error *err) {
    pm_buf bytes = {0};
    pm_status status = put_pieces(model, &model->decoder.items[0], ids, n, out, &bytes, err);
    pm_buf_release(&bytes);
    return status;
}

/* ---------------------------------------------------------------- the chain ---- */

static bool is_step(uint32_t type) {
    return type == PM_STEP_BYTE_LEVEL || type == PM_STEP_REPLACE || type == PM_STEP_METASPACE || (type >= PM_STEP_BYTE_FALLBACK && type <= PM_STEP_CTC);
}

static pm_status run_step(const pm_decoder *d, size_t i, const list *in, list *out, pm_error *err) {
    const pm_step *step = &d->model->decoder.items[i];
    switch (step->type) {
    case PM_STEP_BYTE_LEVEL: return byte_level(in, out, err);
    case PM_STEP_REPLACE: return replace(d->replacers[i], in, out, err);
    case PM_STEP_METASPACE: return metaspace(step, in, out, err);
    case PM_STEP_BYTE_FALLBACK: return byte_fallback(in, out, err);
    case PM_STEP_FUSE: return fuse(in, out, err);
    case PM_STEP_STRIP_EDGES: return strip_edges(step, in, out, err);
    case PM_STEP_WORDPIECE: return word_piece(step, in, out, err);
    case PM_STEP_BPE_SUFFIX: return bpe_suffix(step, in, out, err);
    default: return ctc(step, in, out, err);
    }
}

pm_status pm_decoder_new(pm_decoder **out, const pm_model *model, pm_error *err) {
    const pm_steps *steps = &model->decoder;
    *out = NULL;
    pm_decoder *d = pm_calloc(1, sizeof *d);
    if (!d) {
        return pm_fail_memory(err);
    }
    d->model = model;
    d->by_ids = steps->n && steps->items[0].type == PM_STEP_SENTENCEPIECE;
    d->replacers = pm_calloc(steps->n, sizeof(pm_replacer *));
    pm_status status = d->replacers ? PM_OK : pm_fail_memory(err);
    for (size_t i = d->by_ids; i < steps->n && status == PM_OK; i++) {
        status = !is_step(steps->items[i].type)                ? pm_fail(err, PM_UNSUPPORTED, "step %u is none of a decoder", steps->items[i].type)
                 : steps->items[i].type == PM_STEP_REPLACE ? pm_replacer_new(&d->replacers[i], &steps->items[i], err)
                                                               : PM_OK;
    }
    if (status != PM_OK) {
        pm_decoder_free(d);
        return status;
    }
    *out = d;
    return PM_OK;
}

void pm_decoder_free(pm_decoder *d) {
    if (d) {
        for (size_t i = 0; d->replacers && i < d->model->decoder.n; i++) {
            pm_replacer_free(d->replacers[i]);
        }
        pm_free(d->replacers);
        pm_free(d->texts);
        pm_arena_release(&d->arena);
        pm_free(d);
    }
}

pm_status pm_decoder_set_text(pm_decoder *d, pm_id id, pm_bytes text, pm_error *err) {
    PM_TRY(pm_grow((void **)&d->texts, &d->cap_texts, d->n_texts + 1, sizeof *d->texts, err));
    const uint8_t *copy = pm_arena_copy(&d->arena, text.data, text.len);
    if (!copy) {
        return pm_fail_memory(err);
    }
    d->texts[d->n_texts++] = (pm_special_token){{copy, text.len}, id};
    return PM_OK;
}

static int by_id(const void *a, const void *b) {
    pm_id x = ((const pm_special_token *)a)->id, y = ((const pm_special_token *)b)->id;
    return (x > y) - (x < y);
}

static pm_bytes text_of(const pm_decoder *d, pm_id id) {
    pm_special_token key = {.id = id};
    const pm_special_token *other = d->n_texts ? bsearch(&key, d->texts, d->n_texts, sizeof key, by_id) : NULL;
    return other ? other->text : d->model->pieces[id];
}

/* The tokens' texts, as the file writes them. */
static pm_status from_texts(const pm_decoder *d, const pm_id *ids, size_t n, list *out, pm_error *err) {
    const pm_model *model = d->model;
    for (size_t i = 0; i < n; i++) {
        pm_kind kind = (pm_kind)model->kinds[ids[i]];
        if (kind == PM_KIND_CONTROL || kind == PM_KIND_RESERVED) {
            continue;
        }
        if (kind == PM_KIND_BYTE) {
            char name[PM_BYTE_NAME];
            pm_byte_name(name, model->pieces[ids[i]].data[0]);
            PM_TRY(pm_buf_append(&out->text, name, strlen(name), err));
        } else {
            PM_TRY(put(out, text_of(d, ids[i]), err));
        }
        PM_TRY(end_token(out, err));
    }
    return PM_OK;
}

static pm_status put_together(const pm_decoder *d, const list *l, pm_buf *out, pm_error *err) {
    if (d->model->decoder.n) {
        return pm_buf_append(out, l->text.data, l->text.len, err);
    }
    for (size_t i = 0; i < l->n; i++) {
        PM_TRY(pm_buf_append(out, " ", i > 0, err));
        PM_TRY(pm_buf_append(out, token(l, i).data, token(l, i).len, err));
    }
    return PM_OK;
}

static pm_status run(const pm_decoder *d, const pm_id *ids, size_t n, list lists[2], pm_buf *out, pm_error *err) {
    size_t at = 0;
    PM_TRY(d->by_ids ? from_pieces(d->model, ids, n, &lists[0], err) : from_texts(d, ids, n, &lists[0], err));
    for (size_t i = d->by_ids; i < d->model->decoder.n; i++, at ^= 1) {
        lists[at ^ 1].text.len = lists[at ^ 1].n = 0;
        PM_TRY(run_step(d, i, &lists[at], &lists[at ^ 1], err));
    }
    return put_together(d, &lists[at], out, err);
}

pm_status pm_decoder_run(const pm_decoder *d, const pm_id *ids, size_t n, pm_buf *out, pm_error *err) {
    list lists[2] = {{{0}, NULL, 0, 0}, {{0}, NULL, 0, 0}};
    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= d->model->vocab_size || d->model->kinds[ids[i]] == PM_KIND_HOLE) {
            return pm_fail_at(err, PM_BAD_ID, i, "id %u is not in the vocabulary", ids[i]);
        }
    }
    pm_status status = run(d, ids, n, lists, out, err);
    list_release(&lists[0]);
    list_release(&lists[1]);
    return status;
}
