/* normalizer.c - see normalizer.h. Steps become operations (BertNormalizer is five); each goes over the text once.
 *
 * An operation first looks for the place of its first change. Where there is none, which is the usual case, the text
 * goes on to the next operation as it is; else what lies before is copied, and the rest is written to the other of two
 * buffers, with origins where they are asked for (rewrite.h). The first change gives the text the origins that each
 * character has of itself.
 *
 *     "Ünser  Text", BertNormalizer     clean: nothing; Chinese: nothing; form D from 0 on: "U" + U+0308 "nser  Text";
 * nonspacing: "Unser  Text"; lower: "unser  text" */
#include "encode/normalizer.h"

#include "base/bytes.h"
#include "encode/normalizer_ops.h"
#include "pretok/property.h"
#include "text/unicode.h"

struct pm_normalizer {
    pm_op *ops;
    size_t n, cap;
    char engine_version[24];
};

struct pm_normalizer_scratch {
    pm_op_scratch op;
    pm_buf text;
    pm_origin *origins;
    size_t cap;
};

enum { GROWTH = 1024, GROWTH_FREE = 1 << 20 };

/* ---- making one ---- */

static pm_status add_op(pm_normalizer *z, pm_op_kind kind, uint32_t flags, pm_op **out, pm_error *err) {
    PM_TRY(pm_grow((void **)&z->ops, &z->cap, z->n + 1, sizeof *z->ops, err));
    pm_op *op = &z->ops[z->n++];
    *op = (pm_op){.kind = kind, .flags = flags};
    if (kind <= PM_OP_BYTES) {
        pm_op_characters_init(op);
    }
    if (out) {
        *out = op;
    }
    return PM_OK;
}

static pm_status add_form(pm_normalizer *z, pm_form form, pm_error *err) {
    pm_op *op;

    PM_TRY(add_op(z, PM_OP_FORM, 0, &op, err));
    op->form = form;
    return PM_OK;
}

static pm_status add_bert(pm_normalizer *z, uint32_t flags, pm_error *err) {
    bool lower = flags & PM_STEP_LOWER, accents = flags & PM_STEP_ACCENTS_GIVEN ? flags & PM_STEP_ACCENTS : lower;

    if (flags & PM_STEP_CLEAN_TEXT) {
        PM_TRY(add_op(z, PM_OP_CLEAN, 0, NULL, err));
    }
    if (flags & PM_STEP_CHINESE_CHARS) {
        PM_TRY(add_op(z, PM_OP_CHINESE, 0, NULL, err));
    }
    if (accents) {
        PM_TRY(add_form(z, PM_FORM_D, err));
        PM_TRY(add_op(z, PM_OP_NONSPACING, 0, NULL, err));
    }
    return lower ? add_op(z, PM_OP_LOWER, 0, NULL, err) : PM_OK;
}

static pm_status add_replace(pm_normalizer *z, const pm_step *step, pm_error *err) {
    pm_op *op;

    PM_TRY(add_op(z, PM_OP_REPLACE, 0, &op, err));
    PM_TRY(pm_replacer_new(&op->replacer, step, err));
    if (pm_replacer_uses_engine_tables(op->replacer)) {
        pm_property_engine_version(z->engine_version);
    }
    return PM_OK;
}

static pm_status add_precompiled(pm_normalizer *z, const pm_step *step, pm_error *err) {
    pm_op *op;

    PM_TRY(add_op(z, PM_OP_PRECOMPILED, 0, &op, err));
    PM_TRY(pm_charsmap_init(&op->charsmap, step->a, true, err));
    for (unsigned c = 0; c < 0x80; c++) {
        uint8_t byte = (uint8_t)c;
        pm_bytes by;
        op->inert[c] = c != '\r' && !pm_charsmap_shortest(&op->charsmap, (pm_bytes){&byte, 1}, &by);
    }
    return PM_OK;
}

static pm_status add_sentencepiece(pm_normalizer *z, const pm_step *step, const pm_bytes *kept, size_t n,
                                   pm_error *err) {
    pm_op *op;

    PM_TRY(add_op(z, PM_OP_SENTENCEPIECE, step->flags, &op, err));
    if (step->a.len) {
        PM_TRY(pm_charsmap_init(&op->charsmap, step->a, false, err));
    }
    PM_TRY(pm_kept_init(&op->kept, kept, n, err));
    for (unsigned c = 0; c < 0x80; c++) { /* what no rule of ASCII alone begins with */
        bool rule = false;
        for (uint8_t pair[2] = {(uint8_t)c, 0}; pair[1] < 0x80; pair[1]++) {
            rule |= pm_charsmap_may_begin(&op->charsmap, pair, 2);
        }
        op->inert[c] = !rule && op->kept.first[c] == op->kept.first[c + 1];
    }
    op->inert_blank = op->inert[' '];
    op->inert[' '] = false;
    return PM_OK;
}

static pm_status add_step(pm_normalizer *z, const pm_step *step, const pm_bytes *kept, size_t n_kept, pm_error *err) {
    pm_op *op;

    switch (step->type) {
    case PM_STEP_NFC: return add_form(z, PM_FORM_C, err);
    case PM_STEP_NFD: return add_form(z, PM_FORM_D, err);
    case PM_STEP_NFKC: return add_form(z, PM_FORM_KC, err);
    case PM_STEP_NFKD: return add_form(z, PM_FORM_KD, err);
    case PM_STEP_LOWERCASE: return add_op(z, PM_OP_LOWER, 0, NULL, err);
    case PM_STEP_STRIP_ACCENTS: return add_op(z, PM_OP_ACCENTS, 0, NULL, err);
    case PM_STEP_BERT: return add_bert(z, step->flags, err);
    case PM_STEP_REPLACE: return add_replace(z, step, err);
    case PM_STEP_PREPEND:
        PM_TRY(add_op(z, PM_OP_PREPEND, 0, &op, err));
        return pm_buf_append(&op->text, step->a.data, step->a.len, err);
    case PM_STEP_STRIP: return add_op(z, PM_OP_STRIP, step->flags, NULL, err);
    case PM_STEP_PRECOMPILED: return add_precompiled(z, step, err);
    case PM_STEP_NMT: return add_op(z, PM_OP_NMT, 0, NULL, err);
    case PM_STEP_BYTE_LEVEL_CHARS: return add_op(z, PM_OP_BYTES, 0, NULL, err);
    case PM_STEP_SENTENCEPIECE: return add_sentencepiece(z, step, kept, n_kept, err);
    default: return pm_fail(err, PM_UNSUPPORTED, "a step of type %u is none of a normalizer", step->type);
    }
}

static pm_status fill(pm_normalizer *z, const pm_steps *steps, const pm_bytes *kept, size_t n, pm_error *err) {
    for (size_t i = 0; i < steps->n; i++) {
        if (steps->items[i].type == PM_STEP_SENTENCEPIECE && steps->n > 1) {
            return pm_fail(err, PM_UNSUPPORTED, "sentencepiece's normalization stands alone, without other steps");
        }
        PM_TRY(add_step(z, &steps->items[i], kept, n, err));
    }
    return PM_OK;
}

pm_status pm_normalizer_new(pm_normalizer **out, const pm_steps *steps, const pm_bytes *kept, size_t n, pm_error *err) {
    pm_normalizer *z = *out = pm_calloc(1, sizeof *z);

    if (!z) {
        return pm_fail_memory(err);
    }
    pm_status status = fill(z, steps, kept, n, err);
    if (status != PM_OK) {
        pm_normalizer_free(z);
        *out = NULL;
    }
    return status;
}

void pm_normalizer_free(pm_normalizer *z) {
    if (z) {
        for (size_t i = 0; i < z->n; i++) {
            pm_buf_release(&z->ops[i].text);
            pm_replacer_free(z->ops[i].replacer);
            pm_kept_release(&z->ops[i].kept);
        }
        pm_free(z->ops);
        pm_free(z);
    }
}

bool pm_normalizer_is_empty(const pm_normalizer *z) { return z->n == 0; }
const char *pm_normalizer_engine_unicode(const pm_normalizer *z) { return z->engine_version; }

pm_status pm_normalizer_scratch_new(pm_normalizer_scratch **out, const pm_normalizer *z, pm_error *err) {
    pm_normalizer_scratch *s = *out = pm_calloc(1, sizeof *s);
    pm_status status = s ? PM_OK : pm_fail_memory(err);

    for (size_t i = 0; status == PM_OK && i < z->n; i++) {
        if (z->ops[i].kind == PM_OP_REPLACE && !s->op.replacer) {
            status = pm_replacer_scratch_new(&s->op.replacer, err);
        }
    }
    if (status != PM_OK) {
        pm_normalizer_scratch_free(s);
        *out = NULL;
    }
    return status;
}

void pm_normalizer_scratch_free(pm_normalizer_scratch *s) {
    if (s) {
        pm_form_block_release(&s->op.block);
        pm_replacer_scratch_free(s->op.replacer);
        pm_buf_release(&s->text);
        pm_free(s->origins);
        pm_free(s);
    }
}

void pm_normalized_release(pm_normalized *normalized) {
    pm_buf_release(&normalized->room);
    pm_free(normalized->origin_room);
    *normalized = (pm_normalized){0};
}

/* ---- operations of the whole text ---- */

/* White space at the begin of text, or at its end, by Unicode's White_Space. */
static size_t blanks_at_begin(pm_bytes text) {
    size_t pos = 0;

    while (pos < text.len) {
        unsigned n;
        if (!(pm_class(pm_utf8_read(text.data + pos, text.data + text.len, &n)) &
              (PM_CLASS_SPACE | PM_CLASS_NEWLINE))) {
            break;
        }
        pos += n;
    }
    return pos;
}

static size_t blanks_at_end(pm_bytes text) {
    size_t end = text.len;

    while (end > 0) {
        size_t begin = end - 1;
        while (begin > 0 && end - begin < 3 && (text.data[begin] & 0xC0) == 0x80) {
            begin--;
        }
        unsigned n;
        uint32_t c = pm_utf8_read(text.data + begin, text.data + end, &n);
        if (n != end - begin || !(pm_class(c) & (PM_CLASS_SPACE | PM_CLASS_NEWLINE))) {
            break;
        }
        end = begin;
    }
    return text.len - end;
}

static pm_status run_strip(const pm_op *op, pm_rewrite *w, pm_error *err) {
    size_t left = op->flags & PM_STEP_LEFT ? blanks_at_begin(w->in) : 0;
    size_t right = left < w->in.len && op->flags & PM_STEP_RIGHT ? blanks_at_end(w->in) : 0;

    w->pos = left;
    return pm_rewrite_copy(w, w->in.len - right, err);
}

/* All of it has the origin of the first character; with an empty text, that character has none: so it is in tokenizers.
 */
static pm_status run_prepend(const pm_op *op, pm_rewrite *w, pm_error *err) {
    unsigned n;
    pm_origin origin = pm_rewrite_origin(w, 0);

    PM_TRY(pm_rewrite_room(w, op->text.len + 4, err));
    if (op->text.len) {
        pm_rewrite_put(w, op->text.data, op->text.len, origin);
    } else {
        origin = pm_rewrite_before(w, 0);
    }
    pm_utf8_read(w->in.data, w->in.data + w->in.len, &n);
    pm_rewrite_put(w, w->in.data, n, origin);
    w->pos = n;
    return pm_rewrite_copy(w, w->in.len, err);
}

/* The replacement has the origin of the byte before the match's end. */
static pm_status run_replace(const pm_op *op, pm_op_scratch *s, pm_rewrite *w, pm_error *err) {
    pm_bytes by = pm_replacer_by(op->replacer);

    while (s->match.begin != SIZE_MAX) {
        PM_TRY(pm_rewrite_copy(w, s->match.begin, err));
        PM_TRY(pm_rewrite_room(w, by.len, err));
        if (by.len) {
            pm_rewrite_put(w, by.data, by.len, pm_rewrite_before(w, s->match.end));
        }
        w->pos = s->match.end;
        PM_TRY(pm_replacer_next(s->replacer, &s->match, err));
    }
    return pm_rewrite_copy(w, w->in.len, err);
}

static pm_status run_form(const pm_op *op, pm_op_scratch *s, pm_rewrite *w, pm_error *err) {
    while (s->trouble < w->in.len) {
        size_t end;
        PM_TRY(pm_rewrite_copy(w, s->boundary, err));
        PM_TRY(pm_form_block_make(&s->block, op->form, w->in.data, w->in.len, s->boundary, s->trouble, &end, err));
        PM_TRY(pm_rewrite_room(w, 4 * s->block.n, err));
        for (size_t i = 0; i < s->block.n; i++) {
            pm_rewrite_emit(w, s->block.items[i].character, s->block.items[i].change);
        }
        w->pos = end;
        s->trouble = pm_form_skip(op->form, w->in.data, w->in.len, end, &s->boundary);
    }
    return pm_rewrite_copy(w, w->in.len, err);
}

/* ---- running them ---- */

/* Where the first change is; text.len: nothing changes. */
static pm_status find_first(const pm_op *op, pm_op_scratch *s, pm_bytes text, size_t *first, pm_error *err) {
    *first = 0;
    switch (op->kind) {
    case PM_OP_FORM:
        s->trouble = pm_form_skip(op->form, text.data, text.len, 0, &s->boundary);
        *first = s->trouble == text.len ? text.len : s->boundary;
        return PM_OK;
    case PM_OP_STRIP:
        if (!(op->flags & PM_STEP_LEFT && blanks_at_begin(text)) &&
            !(op->flags & PM_STEP_RIGHT && blanks_at_end(text))) {
            *first = text.len;
        }
        return PM_OK;
    case PM_OP_REPLACE:
        PM_TRY(pm_replacer_begin(op->replacer, s->replacer, text, err));
        PM_TRY(pm_replacer_next(s->replacer, &s->match, err));
        *first = s->match.begin == SIZE_MAX ? text.len : 0;
        return PM_OK;
    case PM_OP_PRECOMPILED: *first = pm_op_precompiled_first(op, text); return PM_OK;
    case PM_OP_PREPEND:
    case PM_OP_SENTENCEPIECE: return PM_OK;
    default: *first = pm_op_characters_first(op, text); return PM_OK;
    }
}

/* Writes the rest, of which the first change is at w->pos. */
static pm_status run(const pm_op *op, pm_op_scratch *s, pm_rewrite *w, bool *same, pm_error *err) {
    *same = false;
    switch (op->kind) {
    case PM_OP_FORM: return run_form(op, s, w, err);
    case PM_OP_STRIP: return run_strip(op, w, err);
    case PM_OP_PREPEND: return run_prepend(op, w, err);
    case PM_OP_REPLACE: return run_replace(op, s, w, err);
    case PM_OP_PRECOMPILED: return pm_op_precompiled_run(op, w, err);
    case PM_OP_SENTENCEPIECE: return pm_op_sentencepiece_run(op, w, same, err);
    default: return pm_op_characters_run(op, w, err);
    }
}

/* Gives each byte of the document's own text the character it belongs to. */
static pm_status own_origins(pm_bytes text, size_t at, pm_origin **origins, size_t *cap, pm_error *err) {
    PM_TRY(pm_grow((void **)origins, cap, text.len, sizeof **origins, err));
    for (size_t pos = 0; pos < text.len;) {
        unsigned n;
        pm_utf8_read(text.data + pos, text.data + text.len, &n);
        for (unsigned i = 0; i < n; i++) {
            (*origins)[pos + i] = (pm_origin){at + pos, at + pos + n};
        }
        pos += n;
    }
    return PM_OK;
}

/* The text that came and the two buffers change places: out's is written, then holds the text. */
static void swap(pm_normalizer_scratch *s, pm_normalized *out) {
    pm_buf text = s->text;
    pm_origin *origins = s->origins;
    size_t cap = s->cap;

    s->text = out->room;
    s->origins = out->origin_room;
    s->cap = out->origin_cap;
    out->room = text;
    out->origin_room = origins;
    out->origin_cap = cap;
}

static pm_status apply(const pm_op *op, pm_normalizer_scratch *s, size_t first, size_t at, size_t most,
                       bool with_origins, pm_normalized *out, pm_error *err) {
    if (with_origins && !out->origins) {
        PM_TRY(own_origins(out->text, at, &out->origin_room, &out->origin_cap, err));
        out->origins = out->origin_room;
    }
    bool same;
    pm_rewrite w = {out->text, with_origins ? out->origins : NULL, 0, &s->text, &s->origins, &s->cap, at, most};
    s->text.len = 0;
    PM_TRY(pm_rewrite_copy(&w, first, err));
    PM_TRY(run(op, &s->op, &w, &same, err));
    if (!same) {
        swap(s, out);
        out->text = (pm_bytes){out->room.data, out->room.len};
        out->origins = with_origins ? out->origin_room : NULL;
    }
    return PM_OK;
}

pm_status pm_normalize(const pm_normalizer *z, pm_normalizer_scratch *s, pm_bytes text, size_t at, bool with_origins,
                       pm_normalized *out, pm_error *err) {
    size_t most = text.len > (SIZE_MAX - GROWTH_FREE) / GROWTH / sizeof(pm_origin) ? SIZE_MAX / sizeof(pm_origin)
                                                                                   : text.len * GROWTH + GROWTH_FREE;

    out->text = text;
    out->origins = NULL;
    for (size_t i = 0; i < z->n && out->text.len > 0; i++) {
        size_t first;
        PM_TRY(find_first(&z->ops[i], &s->op, out->text, &first, err));
        if (first < out->text.len) {
            PM_TRY(apply(&z->ops[i], s, first, at, most, with_origins, out, err));
        }
    }
    return PM_OK;
}
