/* encode.c - one document to ids.
 *
 * A document is cut at the special tokens that are allowed; what lies between is encoded stretch by stretch, each as if it were a
 * document of its own (a lookahead does not see past a special token, as in tiktoken). A stretch goes through the splitter and BPE in
 * blocks of pre-tokens, where it begins as characters with blanks for U+2581 and perhaps one before it; or for BytePiece in chunks
 * `[^\n]*\n+|[^\n]+` through NFC and the lattice; where a BytePiece tokenizer has a pattern, the stretch is brought to NFC, as a document is in
 * training, and the chunks are its pre-tokens.
 *
 * Ids are written where the caller wants them as long as they surely fit (a block gives at most as many as it has bytes), and
 * through a buffer of the encoder's where they might not: so a caller may have room for exactly the ids there are, or for none. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "base/hash.h"
#include "encode/inside.h"
#include "text/characters.h"

enum { BLOCK = 1024 /* pre-tokens */, CHUNKS = 128, CHUNKS_BYTES = 1 << 14 };

/* ---------------------------------------------------------------- output ---- */

static size_t room(const pm_out *out) { return out->n < out->cap ? out->cap - out->n : 0; }

static void put(pm_out *out, const pm_id *ids, size_t n) {
    size_t fits = n < room(out) ? n : room(out);
    if (fits) {
        memcpy(out->ids + out->n, ids, fits * sizeof *ids);
    }
    out->n += n;
}

pm_status pm_out_put(pm_out *out, const pm_id *ids, size_t n, pm_error *err) {
    PM_TRY(out->grow && n > room(out) ? out->grow(out, out->n + n, err) : PM_OK);
    put(out, ids, n);
    return PM_OK;
}

pm_status pm_out_place(pm_out *out, pm_token token, pm_error *err) {
    PM_TRY(pm_grow((void **)&out->tokens->items, &out->tokens->cap, out->tokens->n + 1, sizeof *out->tokens->items, err));
    out->tokens->items[out->tokens->n++] = token;
    return PM_OK;
}

pm_status pm_out_token(pm_out *out, pm_token token, pm_error *err) {
    return out->visitor  ? out->visitor->token(out->visitor, token.id, (size_t)(token.end - token.begin), err)
           : out->tokens ? pm_out_place(out, token, err)
                         : pm_out_put(out, &token.id, 1, err);
}

/* ---------------------------------------------------------------- BPE ---- */

static pm_status encode_block(pm_encoder *enc, const uint8_t *text, size_t len, size_t start, const size_t *ends, size_t n,
                              pm_out *out, pm_error *err) {
    size_t most = ends[n - 1] - start, n_ids;

    if (out->cap == 0 || most + PM_BPE_SLACK <= room(out)) {
        pm_id *ids = out->cap ? out->ids + out->n : NULL;
        PM_TRY(pm_bpe_encode_words(enc->engine->bpe, enc->bpe, text, len, start, ends, n, ids, &n_ids, err));
        out->n += n_ids;
        return PM_OK;
    }
    PM_TRY(pm_grow((void **)&enc->spill, &enc->spill_cap, most + PM_BPE_SLACK, sizeof *enc->spill, err));
    PM_TRY(pm_bpe_encode_words(enc->engine->bpe, enc->bpe, text, len, start, ends, n, enc->spill, &n_ids, err));
    put(out, enc->spill, n_ids);
    return PM_OK;
}

static pm_status encode_bpe(pm_encoder *enc, const uint8_t *text, size_t len, pm_out *out, pm_error *err) {
    size_t ends[BLOCK], start = 0, n;

    if (!enc->split) {
        return len ? encode_block(enc, text, len, 0, &len, 1, out, err) : PM_OK;
    }
    pm_split_begin(enc->split, text, len);
    for (;;) {
        PM_TRY(pm_split_next(enc->split, ends, BLOCK, &n, err));
        if (n == 0) {
            return PM_OK;
        }
        PM_TRY(encode_block(enc, text, len, start, ends, n, out, err));
        start = ends[n - 1];
    }
}

/* ---------------------------------------------------------------- BPE over characters ---- */

enum { MARK_BYTES = sizeof PM_BLANK_MARK_UTF8 - 1 };

/* Appends text[0..len) with blanks for U+2581. */
static void append_with_blanks(pm_buf *out, const uint8_t *text, size_t len) {
    const uint8_t *end = text + len, *mark;
    while ((mark = memmem(text, (size_t)(end - text), PM_BLANK_MARK_UTF8, MARK_BYTES)) != NULL) {
        memcpy(out->data + out->len, text, (size_t)(mark - text));
        out->len += (size_t)(mark - text);
        out->data[out->len++] = PM_BLANK;
        text = mark + MARK_BYTES;
    }
    memcpy(out->data + out->len, text, (size_t)(end - text));
    out->len += (size_t)(end - text);
}

/* Where text[0..len) is when it is normalized up to `at`, of which `prefix` were put before it. */
static size_t place_in_text(const uint8_t *text, size_t len, size_t at, size_t prefix) {
    size_t place = 0;
    for (size_t i = prefix; i < at && place < len; i++) {
        place += len - place >= MARK_BYTES && memcmp(text + place, PM_BLANK_MARK_UTF8, MARK_BYTES) == 0 ? MARK_BYTES : 1;
    }
    return place;
}

/* In NFC, if the plan says so; *chunk may come to lie in the encoder. */
static pm_status normalize_chunk(pm_encoder *enc, const pm_plan *plan, pm_bytes *chunk, pm_error *err) {
    if (plan->normalize && !pm_nfc_quick_check(chunk->data, chunk->len)) {
        enc->normalized.len = 0;
        PM_TRY(pm_nfc_append(&enc->normalized, chunk->data, chunk->len, err));
        *chunk = (pm_bytes){enc->normalized.data, enc->normalized.len};
    }
    return PM_OK;
}

/* As encode_bpe; in NFC, if the plan says so. */
static pm_status encode_bytes(pm_encoder *enc, const pm_plan *plan, pm_bytes text, pm_out *out, pm_error *err) {
    PM_TRY(normalize_chunk(enc, plan, &text, err));
    return encode_bpe(enc, text.data, text.len, out, err);
}

/* As encode_bpe; in a copy with a blank before it, and blanks for U+2581, where the plan says so and there is something to do. */
static pm_status encode_characters(pm_encoder *enc, const pm_plan *plan, const uint8_t *text, size_t len, pm_out *out, pm_error *err) {
    size_t prefix = enc->tok->model.add_prefix;
    if (!plan->normalize || (!prefix && !memmem(text, len, PM_BLANK_MARK_UTF8, MARK_BYTES))) {
        return encode_bpe(enc, text, len, out, err);
    }
    enc->normalized.len = 0;
    PM_TRY(pm_buf_reserve(&enc->normalized, len + prefix, err));
    memset(enc->normalized.data, PM_BLANK, prefix);
    enc->normalized.len = prefix;
    append_with_blanks(&enc->normalized, text, len);
    pm_status status = encode_bpe(enc, enc->normalized.data, enc->normalized.len, out, err);
    if (status == PM_LIMIT && err && err->offset != PM_NO_OFFSET) {
        err->offset = place_in_text(text, len, (size_t)err->offset, prefix);
    }
    return status;
}

/* ---------------------------------------------------------------- BytePiece ---- */

/* Appends ids without the marks behind texts. */
static pm_status take_ids(void *user, const uint32_t *ids, size_t n, pm_error *err) {
    pm_out *out = user;

    (void)err;
    if (n <= room(out)) {
        pm_id *to = out->ids + out->n;
        for (size_t i = 0; i < n; i++) {
            *to = ids[i];
            to += ids[i] != PM_LATTICE_END;
        }
        out->n = (size_t)(to - out->ids);
        return PM_OK;
    }
    for (size_t i = 0; i < n; i++) {
        put(out, &ids[i], ids[i] != PM_LATTICE_END);
    }
    return PM_OK;
}

/* The end of the chunk that begins at text[start]: behind its first run of newlines. */
static size_t chunk_end(const uint8_t *text, size_t len, size_t start) {
    const uint8_t *newline = memchr(text + start, '\n', len - start);
    if (!newline) {
        return len;
    }
    size_t end = (size_t)(newline - text);
    while (end < len && text[end] == '\n') {
        end++;
    }
    return end;
}

/* The draws of a chunk depend on the seed, the document's number and the chunk's place, not on the thread. */
static uint64_t chunk_key(uint64_t seed, uint64_t number, uint64_t place) {
    uint64_t key = pm_hash_word(seed + UINT64_C(0x9E3779B97F4A7C15));
    key = pm_hash_word(key ^ (number + UINT64_C(0xD1B54A32D192ED03)));
    return pm_hash_word(key ^ (place + UINT64_C(0x8CB92BA72F3D8DD7)));
}

/* Chunks that stand one behind the other. Nearly always all are in NFC. */
static pm_status encode_chunks(pm_encoder *enc, const pm_plan *plan, const pm_bytes *chunks, size_t n, size_t bytes, pm_out *out,
                               pm_error *err) {
    const pm_lattice *lattice = enc->engine->lattice;

    if (!plan->normalize || pm_nfc_quick_check(chunks[0].data, bytes)) {
        return pm_lattice_best(lattice, enc->lattice, chunks, n, take_ids, out, err);
    }
    for (size_t i = 0; i < n; i++) {
        pm_bytes chunk = chunks[i];
        PM_TRY(normalize_chunk(enc, plan, &chunk, err));
        PM_TRY(pm_lattice_best(lattice, enc->lattice, &chunk, 1, take_ids, out, err));
    }
    return PM_OK;
}

/* One chunk, in NFC, that begins at `place` of the document: is drawn from, or shown to the visitor. */
static pm_status visit_chunk(pm_encoder *enc, const pm_plan *plan, pm_bytes chunk, size_t place, uint64_t number, pm_out *out,
                             pm_error *err) {
    uint64_t key = chunk_key(plan->seed, number, place);
    if (out->visitor) {
        return out->visitor->chunk(out->visitor, enc, chunk, err);
    }
    return pm_lattice_sample(enc->engine->lattice, enc->lattice, chunk, plan->alpha, key, take_ids, out, err);
}

static pm_status visit_lines(pm_encoder *enc, const pm_plan *plan, pm_bytes text, size_t place, uint64_t number, pm_out *out,
                             pm_error *err) {
    for (size_t start = 0, end; start < text.len; start = end) {
        end = chunk_end(text.data, text.len, start);
        pm_bytes chunk = {text.data + start, end - start};
        PM_TRY(normalize_chunk(enc, plan, &chunk, err));
        PM_TRY(visit_chunk(enc, plan, chunk, place + start, number, out, err));
    }
    return PM_OK;
}

/* Pre-tokens of a pattern. */
static pm_status encode_split(pm_encoder *enc, const pm_plan *plan, pm_bytes text, size_t place, uint64_t number, pm_out *out,
                              pm_error *err) {
    size_t ends[CHUNKS], start = 0, n;
    pm_bytes chunks[CHUNKS];

    PM_TRY(normalize_chunk(enc, plan, &text, err));
    pm_split_begin(enc->split, text.data, text.len);
    for (;;) {
        PM_TRY(pm_split_next(enc->split, ends, CHUNKS, &n, err));
        if (n == 0) {
            return PM_OK;
        }
        bool visited = plan->sample || out->visitor;
        for (size_t i = 0; i < n; start = ends[i++]) {
            chunks[i] = (pm_bytes){text.data + start, ends[i] - start};
            if (visited) {
                PM_TRY(visit_chunk(enc, plan, chunks[i], place + start, number, out, err));
            }
        }
        if (!visited) {
            PM_TRY(pm_lattice_best(enc->engine->lattice, enc->lattice, chunks, n, take_ids, out, err));
        }
    }
}

static pm_status encode_bytepiece(pm_encoder *enc, const pm_plan *plan, const uint8_t *text, size_t len, size_t place,
                                  uint64_t number, pm_out *out, pm_error *err) {
    pm_bytes chunks[CHUNKS];

    if (enc->split) {
        return encode_split(enc, plan, (pm_bytes){text, len}, place, number, out, err);
    }
    if (plan->sample || out->visitor) {
        return visit_lines(enc, plan, (pm_bytes){text, len}, place, number, out, err);
    }
    for (size_t start = 0, end; start < len; start = end) {
        size_t n = 0;
        for (end = start; end < len && n < CHUNKS && end - start < CHUNKS_BYTES; n++) {
            size_t begin = end;
            end = chunk_end(text, len, begin);
            chunks[n] = (pm_bytes){text + begin, end - begin};
        }
        PM_TRY(encode_chunks(enc, plan, chunks, n, end - start, out, err));
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- documents ---- */

/* A stretch without special tokens, text[start..end). Positions in errors become positions in the document. */
pm_status pm_encode_stretch(pm_encoder *enc, const pm_plan *plan, const uint8_t *text, size_t start, size_t end, uint64_t number, pm_out *out, pm_error *err) {
    if (start == end) {
        return PM_OK;
    }
    if (out->tokens) {
        return pm_place_stretch(enc, plan, (pm_bytes){text, end}, start, number, out, err);
    }
    pm_status status = enc->engine->lattice
                           ? encode_bytepiece(enc, plan, text + start, end - start, start, number, out, err)
                       : enc->tok->model.characters ? encode_characters(enc, plan, text + start, end - start, out, err)
                                                    : encode_bytes(enc, plan, (pm_bytes){text + start, end - start}, out, err);
    if (status == PM_LIMIT && err && err->offset != PM_NO_OFFSET) {
        err->offset += start;
    }
    return status;
}

static pm_status refuse(pm_bytes text, size_t at, pm_error *err) {
    return pm_fail_at(err, PM_SPECIAL_IN_TEXT, at, "the text holds the special token '%.*s', which is not allowed",
                      (int)(text.len < 200 ? text.len : 200), (const char *)text.data);
}

/* Cuts text[start..end) at the special tokens that finder number `which` finds, and what is between at those of the next. A refused one counts wherever it begins, an allowed
 * one where no other reaches. */
static pm_status encode_between(pm_encoder *enc, const pm_plan *plan, int which, const uint8_t *text, size_t start, size_t end, uint64_t number, pm_out *out,
                                bool *noticed, pm_error *err) {
    const pm_engine *engine = enc->engine;
    const pm_special_token *tokens = engine->matched + (which ? engine->n_raw : 0);
    pm_special_rules rules = {plan->rules.each ? plan->rules.each + (which ? engine->n_raw : 0) : NULL, plan->rules.all};
    pm_special_hit hit;

    if (which == 2) {
        return pm_encode_stretch(enc, plan, text, start, end, number, out, err);
    }
    for (size_t from = start; plan->scan && engine->specials[which] && pm_specials_next(engine->specials[which], rules, text, end, from, &hit); from = hit.at + 1) {
        if (hit.refuse != PM_ID_NONE) {
            return refuse(tokens[hit.refuse].text, hit.at, err);
        }
        if (hit.at < start) {
            continue;
        }
        if (hit.match != PM_ID_NONE) {
            PM_TRY(encode_between(enc, plan, which + 1, text, start, hit.at, number, out, noticed, err));
            size_t behind = hit.at + tokens[hit.match].text.len;
            PM_TRY(pm_out_token(out, (pm_token){tokens[hit.match].id, hit.at, behind}, err));
            start = behind;
        } else {
            *noticed = true;
        }
    }
    return encode_between(enc, plan, which + 1, text, start, end, number, out, noticed, err);
}

/* The document as UTF-8: as it is, or converted into the encoder's buffer, where it stays in the cache for what comes next. */
static pm_status to_utf8(pm_encoder *enc, pm_text text, pm_bytes *utf8, pm_error *err) {
    PM_TRY(pm_transcode_check(text, err));
    size_t bound = pm_transcode_bound(text);
    enc->longest = bound > enc->longest ? bound : enc->longest;
    if (text.form == PM_TEXT_UTF8) {
        *utf8 = (pm_bytes){text.data, text.len};
        return PM_OK;
    }
    if (bound > PTRDIFF_MAX - PM_TRANSCODE_SLACK) {
        return pm_fail_memory(err);
    }
    PM_TRY(pm_buf_reserve(&enc->utf8, bound + PM_TRANSCODE_SLACK, err));
    pm_transcoded t = pm_transcode(enc->engine->cpu, text, enc->utf8.data, enc->utf8.cap);
    *utf8 = (pm_bytes){enc->utf8.data, t.written};
    return t.bad ? pm_transcode_fail(text, t.read, err) : PM_OK;
}

/* What stands before the text (or behind it): the template's ids; where there is no post-processor <bos> (<eos>). */
static pm_status put_ends(const pm_encoder *enc, bool behind, pm_out *out, pm_error *err) {
    const pm_engine *engine = enc->engine;
    const pm_template *t = &engine->template;
    pm_id control = behind ? engine->eos : engine->bos;
    for (size_t i = behind ? t->n_before : 0; i < (behind ? t->n : t->n_before); i++) {
        PM_TRY(pm_out_token(out, (pm_token){t->ids[i], 0, 0}, err));
    }
    return control != PM_ID_NONE && enc->tok->model.post_processor.n == 0 ? pm_out_token(out, (pm_token){control, 0, 0}, err) : PM_OK;
}

pm_status pm_encode_document(pm_encoder *enc, const pm_plan *plan, pm_text text, uint64_t number, pm_out *out, bool *noticed,
                             pm_error *err) {
    pm_bytes utf8 = {NULL, 0};

    *noticed = false;
    PM_TRY(to_utf8(enc, text, &utf8, err));
    PM_TRY(plan->add_special_tokens ? put_ends(enc, false, out, err) : PM_OK);
    size_t first = out->tokens ? out->tokens->n : 0;
    PM_TRY(enc->engine->pipeline ? pm_pipeline_encode(enc, plan, utf8, number, out, noticed, err)
                                 : encode_between(enc, plan, 0, utf8.data, 0, utf8.len, number, out, noticed, err));
    if (out->tokens) {
        pm_trim_offsets(enc, utf8, out->tokens, first);
    }
    return plan->add_special_tokens ? put_ends(enc, true, out, err) : PM_OK;
}

pm_status pm_encode_text(pm_encoder *enc, pm_text text, const pm_encode_options *options, pm_id *ids, size_t cap, size_t *n_ids,
                         pm_error *err) {
    pm_plan plan;
    pm_out out = {.ids = ids, .cap = ids ? cap : 0};
    bool noticed;

    *n_ids = 0;
    pm_status status = pm_plan_init(&plan, enc->tok, options, false, err);
    if (status == PM_OK) {
        status = pm_encode_document(enc, &plan, text, plan.document, &out, &noticed, err);
    }
    pm_plan_release(&plan);
    if (status != PM_OK) {
        return status;
    }
    *n_ids = out.n;
    if (out.n > out.cap && ids) {
        return pm_fail(err, PM_NO_SPACE, "the text gives %zu ids, there is room for %zu", out.n, cap);
    }
    return PM_OK;
}

pm_status pm_encode(pm_encoder *enc, pm_bytes text, const pm_encode_options *options, pm_id *ids, size_t cap, size_t *n_ids,
                    pm_error *err) {
    return pm_encode_text(enc, (pm_text){text.data, text.len, PM_TEXT_UTF8}, options, ids, cap, n_ids, err);
}
