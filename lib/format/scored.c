/* scored.c - see scored.h.
 *
 * Pieces are kept as the file writes them while they come in. At the end is known whether the fast encoder (BPE over characters with byte fallback, encode/bpe.c) gives
 * the same ids; what it needs:
 *
 *     BPE, byte fallback and all 256 bytes; no table for normalizing, no removal of blanks, blanks written as U+2581 and before words
 *     no user-defined and no unused pieces, and the unknown one is called "<unk>"
 *     each character of a piece is a piece, U+2581 too, and none is a blank
 *     scores fall with the ids of the pieces of more than one character: then the place of a piece is its rank, and encode/derive.c finds its merge
 *
 * Such a model becomes a plain one, whose pieces hold blanks for U+2581, and no scores are kept. Everything else is a general model: the pieces, scores and types as they are,
 * and one step that stands for sentencepiece's whole normalization, one for its decoding. Both take the other road back when they are written. */
#include "format/scored.h"

#include <math.h>

#include "base/bytes.h"
#include "base/log.h"
#include "encode/derive.h"
#include "encode/first.h"
#include "format/characters.h"
#include "format/hf_steps.h"
#include "format/json.h"
#include "format/reader.h"
#include "format/roles.h"
#include "text/characters.h"

static pm_bytes bytes_of(const char *text) { return (pm_bytes){(const uint8_t *)text, strlen(text)}; }

/* ---------------------------------------------------------------- reading ---- */

static pm_status check_piece(const pm_model *model, const pm_scored_piece *piece, uint64_t offset, pm_error *err) {
    pm_id id = model->vocab_size;
    size_t wrong;
    if (!piece->text.len) {
        return pm_fail_at(err, PM_BAD_FORMAT, offset, "piece %u is empty", id);
    }
    if (!pm_is_utf8(piece->text, &wrong)) {
        return pm_fail_at(err, PM_BAD_FORMAT, offset, "piece %u is not well-formed UTF-8", id);
    }
    if (!isfinite(piece->score)) {
        return pm_fail_at(err, PM_BAD_FORMAT, offset, "the score of piece %u is no number", id);
    }
    if (piece->type == PM_SCORED_UNKNOWN && model->has_unknown) {
        return pm_fail_at(err, PM_BAD_FORMAT, offset, "pieces %u and %u are both the unknown one", model->unknown, id);
    }
    return PM_OK;
}

pm_status pm_scored_add(pm_model *model, const pm_scored_piece *piece, uint64_t offset, pm_error *err) {
    pm_id id = model->vocab_size;
    int byte = pm_byte_from_name(piece->text);
    uint8_t value = (uint8_t)byte;
    pm_bytes text = piece->text;
    pm_kind kind = PM_KIND_PIECE;
    uint8_t marks = 0;

    PM_TRY(check_piece(model, piece, offset, err));
    switch (piece->type) {
    case PM_SCORED_NORMAL: break;
    case PM_SCORED_USER_DEFINED: marks = PM_ADDED; break;
    case PM_SCORED_UNUSED: marks = PM_UNUSED; break;
    case PM_SCORED_UNKNOWN:
        kind = PM_KIND_CONTROL;
        model->has_unknown = true;
        model->unknown = id;
        break;
    case PM_SCORED_CONTROL: kind = pm_characters_kind(text); break;
    case PM_SCORED_BYTE:
        if (byte < 0) {
            return pm_fail_at(err, PM_BAD_FORMAT, offset, "byte piece %u is not called <0x00> to <0xFF>", id);
        }
        kind = PM_KIND_BYTE;
        text = (pm_bytes){&value, 1};
        break;
    default: return pm_fail_at(err, PM_BAD_FORMAT, offset, "piece %u has type %d, which is none", id, piece->type);
    }
    PM_TRY(pm_model_set(model, id, kind, text, 0, false, err));
    PM_TRY(marks ? pm_model_set_added(model, id, marks, err) : PM_OK);
    return pm_model_set_score(model, id, (double)piece->score, err);
}

/* No text is there twice among those found in words, each byte at most once, and all of them where they are needed. */
static pm_status check_texts(const pm_model *model, bool byte_fallback, pm_piece_index *index, pm_error *err) {
    bool seen[256] = {false};
    unsigned n = 0;
    for (pm_id id = 0; id < model->vocab_size; id++) {
        pm_bytes text = model->pieces[id];
        if (model->kinds[id] == PM_KIND_BYTE) {
            if (seen[text.data[0]]) {
                return pm_fail(err, PM_BAD_FORMAT, "the byte piece <0x%02X> is there twice", text.data[0]);
            }
            seen[text.data[0]] = true;
            n++;
        }
        if (model->kinds[id] == PM_KIND_PIECE) {
            pm_id other = pm_piece_index_find(index, model, text);
            if (other != PM_ID_NONE) {
                return pm_fail(err, PM_BAD_FORMAT, "piece %u has the text of piece %u", id, other);
            }
            pm_piece_index_add(index, model, id);
        }
    }
    return n == (byte_fallback ? 256 : 0) ? PM_OK
           : byte_fallback                ? pm_fail(err, PM_BAD_FORMAT, "byte_fallback is asked for, but only %u bytes of 256 have a piece", n)
                                          : pm_fail(err, PM_BAD_FORMAT, "there are byte pieces, but byte_fallback is false");
}

static bool are_rules_plain(const pm_scored_rules *r) {
    unsigned but_prefix = r->flags & ~(unsigned)PM_STEP_DUMMY_PREFIX;
    return r->algorithm == PM_ALGORITHM_BPE && !r->no_merges && r->byte_fallback && !r->charsmap.len && but_prefix == PM_STEP_ESCAPE_BLANKS;
}

/* Is each of its characters a piece, and none a blank? */
static bool is_made_of(const pm_characters *map, pm_bytes piece) {
    unsigned n;
    for (size_t at = 0; at < piece.len; at += n) {
        uint32_t c = pm_utf8_read(piece.data + at, piece.data + piece.len, &n);
        if (c == PM_BLANK || pm_characters_get(map, c) == PM_NO_CHARACTER) {
            return false;
        }
    }
    return true;
}

static bool are_pieces_plain(const pm_model *model, const pm_characters *map) {
    double last = INFINITY;
    if (model->added || !pm_bytes_equal(model->pieces[model->unknown], bytes_of("<unk>")) || pm_characters_get(map, PM_BLANK_MARK) == PM_NO_CHARACTER) {
        return false;
    }
    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (model->kinds[id] != PM_KIND_PIECE) {
            continue;
        }
        bool one = pm_first_is_one(model, model->pieces[id]);
        if (!is_made_of(map, model->pieces[id]) || (!one && !(model->scores[id] < last))) {
            return false;
        }
        last = one ? last : model->scores[id];
    }
    return true;
}

/* The same pieces with blanks, in place: they only get shorter. */
static void unmark_pieces(pm_model *model) {
    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (model->kinds[id] == PM_KIND_PIECE) {
            pm_buf out = {(uint8_t *)(uintptr_t)model->pieces[id].data, 0, model->pieces[id].len};
            pm_marked_decode(&out, model->pieces[id]);
            model->pieces[id].len = out.len;
        }
    }
}

static pm_status make_plain(pm_model *model, const pm_scored_rules *rules, pm_error *err) {
    unmark_pieces(model);
    pm_free(model->scores);
    model->scores = NULL;
    model->has_unknown = false;
    model->unknown = 0;
    model->normalize = true;
    model->add_prefix = (rules->flags & PM_STEP_DUMMY_PREFIX) != 0;
    PM_TRY(pm_bpe_derive_merges(model, err));
    return pm_characters_set_splitter(model, err);
}

/* ---------------------------------------------------------------- reading: general models ---- */

/* A step whose text is copied. */
static pm_status add_step(pm_model *model, pm_steps *steps, pm_step step, pm_error *err) {
    step.a.data = step.a.len ? pm_arena_copy(&model->arena, step.a.data, step.a.len) : NULL;
    return step.a.data || !step.a.len ? pm_steps_add(steps, step, err) : pm_fail_memory(err);
}

static pm_status make_general(pm_model *model, const pm_scored_rules *rules, pm_error *err) {
    unsigned blanks = PM_STEP_DUMMY_PREFIX | PM_STEP_REMOVE_EXTRA_BLANKS;
    pm_bytes surface = rules->unk_surface.data ? rules->unk_surface : bytes_of(PM_SCORED_UNK_SURFACE);

    model->general = true;
    model->characters = false;
    model->algorithm = rules->algorithm;
    model->byte_fallback = rules->byte_fallback;
    model->fuse_unknown = true;
    if (rules->no_merges || rules->algorithm == PM_ALGORITHM_WORDLEVEL) {
        pm_free(model->scores);
        model->scores = NULL;
    }
    PM_TRY(add_step(model, &model->normalizer, (pm_step){.type = PM_STEP_SENTENCEPIECE, .flags = rules->flags, .a = rules->charsmap}, err));
    PM_TRY(add_step(model, &model->decoder, (pm_step){.type = PM_STEP_SENTENCEPIECE, .flags = rules->flags & blanks, .a = surface}, err));
    return pm_ends_set(model, rules->bos, rules->eos, err);
}

pm_status pm_scored_end(pm_model *model, const pm_scored_rules *rules, pm_error *err) {
    pm_piece_index index;
    pm_characters map = {0};
    if (!model->has_unknown) {
        return pm_fail(err, PM_BAD_FORMAT, "no piece is the unknown one");
    }
    pm_status status = pm_piece_index_init(&index, model->vocab_size, err);
    if (status == PM_OK) {
        status = check_texts(model, rules->byte_fallback, &index, err);
    }
    pm_piece_index_release(&index);
    PM_TRY(status);
    model->algorithm = PM_ALGORITHM_BPE;
    model->characters = true; /* so that pm_first_... look at characters */
    status = are_rules_plain(rules) ? pm_first_fill(&map, model, err) : PM_OK;
    if (status == PM_OK) {
        status = are_rules_plain(rules) && are_pieces_plain(model, &map) ? make_plain(model, rules, err) : make_general(model, rules, err);
    }
    pm_characters_release(&map);
    return status;
}

/* ---------------------------------------------------------------- writing: what can be said ---- */

static pm_status refuse(pm_error *err, const char *what, const char *reason) { return pm_fail(err, PM_UNSUPPORTED, "%s has no place for %s", what, reason); }

static pm_status check_ids(const pm_model *model, const char *what, pm_error *err) {
    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (model->kinds[id] == PM_KIND_HOLE || model->kinds[id] == PM_KIND_RESERVED) {
            return pm_fail(err, PM_UNSUPPORTED, "id %u is %s: %s has none", id, model->kinds[id] == PM_KIND_HOLE ? "a hole" : "a reserved slot", what);
        }
    }
    return PM_OK;
}

/* Each derived merge must be one of the model's, in the same order; what others it has can never apply (derive.c). */
static pm_status compare_merges(const pm_model *model, const pm_model *derived, const char *what, pm_error *err) {
    size_t at = 0;
    for (size_t i = 0; i < derived->n_merges; i++) {
        const pm_merge *m = &derived->merges[i];
        while (at < model->n_merges && (model->merges[at].left != m->left || model->merges[at].right != m->right)) {
            at++;
        }
        if (at == model->n_merges) {
            return pm_fail(err, PM_UNSUPPORTED, "the merges are not those that follow from the order of the pieces (piece %u): %s has no others", m->result, what);
        }
    }
    return PM_OK;
}

static pm_status check_merges(const pm_model *model, const char *what, pm_error *err) {
    pm_model derived = {.algorithm = PM_ALGORITHM_BPE, .characters = true};
    pm_status status = PM_OK;
    for (pm_id id = 0; id < model->vocab_size && status == PM_OK; id++) {
        status = pm_model_set(&derived, id, (pm_kind)model->kinds[id], model->pieces[id], 0, true, err);
    }
    if (status == PM_OK) {
        status = pm_bpe_derive_merges(&derived, err);
    }
    if (status == PM_OK) {
        status = compare_merges(model, &derived, what, err);
    }
    pm_model_release(&derived);
    return status;
}

/* The first control token with one of two names, PM_ID_NONE: none. */
static pm_id find_control(const pm_model *model, const char *name, const char *other) {
    for (pm_id id = 0; id < model->vocab_size; id++) {
        pm_bytes piece = model->pieces[id];
        if (model->kinds[id] == PM_KIND_CONTROL && (pm_bytes_equal(piece, bytes_of(name)) || pm_bytes_equal(piece, bytes_of(other)))) {
            return id;
        }
    }
    return PM_ID_NONE;
}

static pm_status open_plain(pm_scored_view *view, const char *what, pm_error *err) {
    const pm_model *model = &view->tok->model;
    if (model->whole_first || !pm_characters_need_no_pattern(model)) {
        return refuse(err, what, model->whole_first ? "whole pieces first" : "a pattern");
    }
    PM_TRY(pm_characters_check(view->tok, what, err));
    PM_TRY(check_ids(model, what, err));
    PM_TRY(check_merges(model, what, err));
    size_t bytes = 0;
    for (pm_id id = 0; id < model->vocab_size; id++) {
        bytes += model->kinds[id] == PM_KIND_BYTE;
    }
    if (bytes != 256) {
        return refuse(err, what, "byte tokens of some bytes only"); /* byte_fallback there wants them all */
    }
    while (view->first < model->vocab_size && model->kinds[view->first] != PM_KIND_PIECE) {
        view->first++;
    }
    view->rules = (pm_scored_rules){.algorithm = PM_ALGORITHM_BPE,
                                    .byte_fallback = true,
                                    .flags = PM_STEP_ESCAPE_BLANKS | (model->add_prefix ? (unsigned)PM_STEP_DUMMY_PREFIX : 0),
                                    .bos = find_control(model, "<s>", "<bos>"),
                                    .eos = find_control(model, "</s>", "<eos>")};
    return PM_OK;
}

static bool is_one_step(const pm_steps *steps) { return steps->n == 1 && steps->items[0].type == PM_STEP_SENTENCEPIECE; }

static pm_status open_general(pm_scored_view *view, const char *what, pm_error *err) {
    const pm_model *model = &view->tok->model;
    pm_scored_rules *rules = &view->rules;
    enum { MARKS = PM_ADDED | PM_UNUSED };
    if (!is_one_step(&model->normalizer) || !is_one_step(&model->decoder) || model->pre_tokenizer.n) {
        return refuse(err, what, "a pipeline that is not sentencepiece's: the ids would be others");
    }
    if (!pm_ends_get(&model->post_processor, &rules->bos, &rules->eos)) {
        return refuse(err, what, "this post-processor: it holds one token before a text and one behind it, at most");
    }
    PM_TRY(check_ids(model, what, err));
    for (pm_id id = 0; model->added && id < model->vocab_size; id++) {
        if (model->added[id] & ~MARKS) {
            return refuse(err, what, "added tokens that look at what stands beside them, or that the vocabulary does not know");
        }
    }
    rules->algorithm = model->algorithm;
    rules->no_merges = model->algorithm == PM_ALGORITHM_BPE && !model->scores;
    rules->byte_fallback = model->byte_fallback;
    rules->flags = model->normalizer.items[0].flags;
    rules->charsmap = model->normalizer.items[0].a;
    rules->unk_surface = model->decoder.items[0].a;
    rules->unk_surface.data = rules->unk_surface.len ? rules->unk_surface.data : (const uint8_t *)"";
    return PM_OK;
}

/* ---------------------------------------------------------------- writing: BytePiece ----
 *
 * As bytepiece's own convert_to_sentencepiece lays it out: <unk>, <s> and </s> for <pad>, <bos> and <eos>; a piece's score is its log-probability; a single byte is a
 * byte piece, but a printable character (the backslash excepted, which that function overlooks) is a piece, and a byte piece of score -100 behind all others. */

enum { CONTROLS = 3 };
static const char *const sentencepiece_names[CONTROLS] = {"<unk>", "<s>", "</s>"};

static bool is_printable(pm_bytes piece) { return piece.len == 1 && piece.data[0] >= 0x20 && piece.data[0] < 0x7F && piece.data[0] != '\\'; }

static pm_status tell_losses(const pm_tokenizer *tok, const pm_save_options *how, pm_error *err) {
    PM_TRY(pm_lose(how, err, "scores become 32-bit numbers: where two segmentations are nearly as good as each other, the other one may win"));
    PM_TRY(pm_lose(how, err, "a blank and U+2581 become the same"));
    PM_TRY(pm_lose(how, err, "bytes stand only for characters that are no piece, which makes a difference where pieces begin or end inside characters"));
    PM_TRY(pm_lose(how, err, "a segmentation goes across line ends"));
    PM_TRY(tok->model.normalize ? pm_lose(how, err, "text is not brought into NFC") : PM_OK);
    return pm_tokenizer_n_patterns(tok) ? pm_lose(how, err, "the pattern is left out") : PM_OK;
}

static pm_status open_bytepiece(pm_scored_view *view, const char *what, const pm_save_options *how, pm_error *err) {
    const pm_model *model = &view->tok->model;
    uint64_t total = 0;
    PM_TRY(check_ids(model, what, err));
    for (pm_id id = 0; id < model->vocab_size; id++) {
        pm_bytes piece = model->pieces[id];
        if ((id < CONTROLS) != (model->kinds[id] == PM_KIND_CONTROL)) {
            return pm_fail(err, PM_UNSUPPORTED, "ids 0, 1 and 2 must be <pad>, <bos> and <eos>, and no other id a control token; here id %u is otherwise", id);
        }
        total += model->kinds[id] == PM_KIND_PIECE ? model->counts[id] : 0;
        if (model->kinds[id] == PM_KIND_PIECE && is_printable(piece)) {
            view->again[view->n_again++] = piece.data[0];
        }
    }
    PM_TRY(tell_losses(view->tok, how, err));
    view->log_total = pm_log_u64(total);
    view->n += view->n_again;
    view->rules = (pm_scored_rules){.algorithm = PM_ALGORITHM_UNIGRAM, .byte_fallback = true, .flags = PM_STEP_ESCAPE_BLANKS, .bos = 1, .eos = 2};
    return PM_OK;
}

static pm_status get_bytepiece(pm_scored_view *view, size_t i, pm_scored_piece *out, pm_error *err) {
    const pm_model *model = &view->tok->model;
    size_t wrong;
    if (i < CONTROLS) {
        *out = (pm_scored_piece){bytes_of(sentencepiece_names[i]), 0, i ? PM_SCORED_CONTROL : PM_SCORED_UNKNOWN};
        return PM_OK;
    }
    if (i >= model->vocab_size) {
        pm_byte_name(view->name, view->again[i - model->vocab_size]);
        *out = (pm_scored_piece){bytes_of(view->name), -100, PM_SCORED_BYTE};
        return PM_OK;
    }
    pm_bytes piece = model->pieces[i];
    if (model->kinds[i] == PM_KIND_SPECIAL) {
        *out = (pm_scored_piece){piece, 0, PM_SCORED_CONTROL};
        return PM_OK;
    }
    float score = (float)(pm_log_u64(model->counts[i]) - view->log_total);
    if (piece.len == 1 && !is_printable(piece)) {
        pm_byte_name(view->name, piece.data[0]);
        *out = (pm_scored_piece){bytes_of(view->name), score, PM_SCORED_BYTE};
        return PM_OK;
    }
    if (!pm_is_utf8(piece, &wrong)) {
        return pm_fail(err, PM_UNSUPPORTED, "piece %zu is not made of whole characters, as those of a .model file are", i);
    }
    PM_TRY(pm_marked_append(&view->text, piece, err));
    *out = (pm_scored_piece){{view->text.data, view->text.len}, score, PM_SCORED_NORMAL};
    return PM_OK;
}

/* ---------------------------------------------------------------- writing ---- */

static pm_status get_plain(pm_scored_view *view, pm_id id, pm_scored_piece *out, pm_error *err) {
    const pm_model *model = &view->tok->model;
    pm_bytes piece = model->pieces[id];
    switch (model->kinds[id]) {
    case PM_KIND_PIECE:
        PM_TRY(pm_marked_append(&view->text, piece, err));
        *out = (pm_scored_piece){{view->text.data, view->text.len}, -(float)(id - view->first), PM_SCORED_NORMAL};
        return PM_OK;
    case PM_KIND_BYTE:
        pm_byte_name(view->name, piece.data[0]);
        *out = (pm_scored_piece){bytes_of(view->name), 0, PM_SCORED_BYTE};
        return PM_OK;
    default:
        *out = (pm_scored_piece){piece, 0, pm_bytes_equal(piece, bytes_of("<unk>")) ? PM_SCORED_UNKNOWN : PM_SCORED_CONTROL};
        return PM_OK;
    }
}

static pm_status get_general(pm_scored_view *view, pm_id id, pm_scored_piece *out) {
    const pm_model *model = &view->tok->model;
    unsigned marks = model->added ? model->added[id] : 0;
    pm_kind kind = (pm_kind)model->kinds[id];
    *out = (pm_scored_piece){model->pieces[id], model->scores ? (float)model->scores[id] : 0, PM_SCORED_CONTROL};
    if (kind == PM_KIND_PIECE) {
        out->type = marks & PM_ADDED ? PM_SCORED_USER_DEFINED : marks & PM_UNUSED ? PM_SCORED_UNUSED : PM_SCORED_NORMAL;
    } else if (kind == PM_KIND_BYTE) {
        pm_byte_name(view->name, model->pieces[id].data[0]);
        out->text = bytes_of(view->name);
        out->type = PM_SCORED_BYTE;
    } else if (model->has_unknown && id == model->unknown) {
        out->type = PM_SCORED_UNKNOWN;
    }
    return PM_OK;
}

pm_status pm_scored_open(pm_scored_view *view, const pm_tokenizer *tok, const char *what, const pm_save_options *how, pm_error *err) {
    const pm_model *model = &tok->model;
    *view = (pm_scored_view){.tok = tok, .n = tok->vocab_size};
    if (model->general) {
        return open_general(view, what, err);
    }
    if (model->algorithm == PM_ALGORITHM_BYTEPIECE) {
        return open_bytepiece(view, what, how, err);
    }
    if (!model->characters) {
        return pm_fail(err, PM_UNSUPPORTED, "%s holds pieces of characters, with scores; this vocabulary is BPE over bytes", what);
    }
    return open_plain(view, what, err);
}

pm_status pm_scored_get(pm_scored_view *view, size_t i, pm_scored_piece *piece, pm_error *err) {
    const pm_model *model = &view->tok->model;
    view->text.len = 0;
    return model->general                                ? get_general(view, (pm_id)i, piece)
           : model->algorithm == PM_ALGORITHM_BYTEPIECE ? get_bytepiece(view, i, piece, err)
                                                        : get_plain(view, (pm_id)i, piece, err);
}

void pm_scored_close(pm_scored_view *view) { pm_buf_release(&view->text); }
