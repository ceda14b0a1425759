/* sentencepiece.c - .model, the file of sentencepiece: BPE over characters with byte fallback.
 *
 * A .model is a protobuf message: pieces with scores in the order of their ids, how the model was trained, how text is normalized. It is walked here field by field, so
 * that an error has a position; protobuf-c reads and writes what is inside one.
 *
 *     0A 0E   0A 07 E2 96 81 t h e   15 00 00 40 C0   18 01      field 1, 14 bytes: piece "▁the", score -3.0, type 1 (left out when normal)
 *
 * The file holds no merges. sentencepiece joins the neighbours whose text put together is the piece with the highest score, the leftmost of equals: encode/derive.c
 * finds the one merge that leads to each piece, when scores fall with the ids of the pieces that have more than one character, as its trainer writes them.
 * Written is what that gives back: merges that are derived from the pieces, in the order of their ids. A score is the piece's number, counted from the first piece,
 * with a minus, as the trainer has it.
 *
 * Read are models whose ids this library gives: BPE, byte_fallback, without a table for normalizing (the rule identity) and without the removal of blanks. All else
 * is refused by the name of its field. UNKNOWN, and CONTROL with the name of a control token (model.h), are control tokens; other CONTROL tokens become
 * special ones, which can be matched in text here. */
#include "format/format.h"

#include "encode/derive.h"
#include "encode/first.h"
#include "format/characters.h"
#include "format/reader.h"
#include "format/sentencepiece.pb-c.h"

enum { PIECES = 1, TRAINER_SPEC = 2, NORMALIZER_SPEC = 3, SELF_TEST_DATA = 4, DENORMALIZER_SPEC = 5, LAST_FIELD = DENORMALIZER_SPEC };

/* ---------------------------------------------------------------- the outer message ---- */

/* A field: its number, and its bytes. */
typedef struct part {
    unsigned field;
    const uint8_t *data;
    size_t len;
} part;

/* False: no number of at most 63 bits begins at data[*at]. */
static bool read_number(const uint8_t *data, size_t len, size_t *at, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; *at < len && shift < 63; shift += 7) {
        uint8_t byte = data[(*at)++];
        *out |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

/* The field at data[*at], *at < len, which moves behind it. False: this is no field of a .model. */
static bool read_part(const uint8_t *data, size_t len, size_t *at, part *p) {
    uint64_t key, bytes;
    if (!read_number(data, len, at, &key) || (key & 7) != 2 || key >> 3 == 0 || key >> 3 > LAST_FIELD) {
        return false;
    }
    if (!read_number(data, len, at, &bytes) || bytes > len - *at) {
        return false;
    }
    *p = (part){(unsigned)(key >> 3), data + *at, (size_t)bytes};
    *at += (size_t)bytes;
    return true;
}

static bool recognizes(const uint8_t *data, size_t len) {
    bool pieces = false;
    part p;
    for (size_t at = 0; at < len;) {
        if (!read_part(data, len, &at, &p)) {
            return false;
        }
        pieces |= p.field == PIECES;
    }
    return pieces;
}

#ifdef PM_HAVE_PROTOBUF

/* ---------------------------------------------------------------- memory ---- */

/* protobuf-c gives NULL for a malformed message and when memory is out: which it was, the allocator knows. */
static void *take(void *failed, size_t size) {
    void *p = pm_alloc(size, 1);
    *(bool *)failed |= !p;
    return p;
}

static void give(void *failed, void *p) {
    (void)failed;
    pm_free(p);
}

static ProtobufCAllocator allocator_for(bool *failed) { return (ProtobufCAllocator){take, give, failed}; }

/* ---------------------------------------------------------------- reading ---- */

typedef struct reader {
    pm_model *model;
    const uint8_t *data; /* of the file */
    size_t len;
    pm_buf bytes;
    pm_piece_index index; /* of pieces by their text */
    float last;           /* score of a piece of more than one character; the next is lower */
    bool any, trainer, normalizer;
} reader;

static uint64_t place(const reader *r, const part *p) { return (uint64_t)(p->data - r->data); }

/* A message, which is to be freed with the same allocator. */
static pm_status unpack(const reader *r, const ProtobufCMessageDescriptor *kind, const part *p, ProtobufCAllocator *allocator, ProtobufCMessage **out,
                        pm_error *err) {
    *out = protobuf_c_message_unpack(kind, allocator, p->len, p->data);
    if (*out) {
        return PM_OK;
    }
    return *(bool *)allocator->allocator_data ? pm_fail_memory(err)
                                              : pm_fail_at(err, PM_BAD_FORMAT, place(r, p), "field %u of the file is malformed", p->field);
}

static pm_status demand(const reader *r, const part *p, bool is_so, const char *field, const char *what, pm_error *err) {
    return is_so ? PM_OK : pm_fail_at(err, PM_UNSUPPORTED, place(r, p), "%s %s: that is not supported", field, what);
}

static pm_status check_trainer(const reader *r, const part *p, const Sp__TrainerSpec *spec, pm_error *err) {
    PM_TRY(demand(r, p, spec->model_type == SP__TRAINER_SPEC__MODEL_TYPE__BPE, "trainer_spec.model_type", "is not BPE", err));
    PM_TRY(demand(r, p, spec->byte_fallback, "trainer_spec.byte_fallback", "is false", err));
    return demand(r, p, !spec->treat_whitespace_as_suffix, "trainer_spec.treat_whitespace_as_suffix", "is true", err);
}

static pm_status check_normalizer(reader *r, const part *p, const Sp__NormalizerSpec *spec, pm_error *err) {
    PM_TRY(demand(r, p, spec->precompiled_charsmap.len == 0, "normalizer_spec.precompiled_charsmap", "is not empty", err));
    PM_TRY(demand(r, p, !spec->remove_extra_whitespaces, "normalizer_spec.remove_extra_whitespaces", "is true", err));
    PM_TRY(demand(r, p, spec->escape_whitespaces, "normalizer_spec.escape_whitespaces", "is false", err));
    PM_TRY(demand(r, p, spec->base.n_unknown_fields == 0, "normalizer_spec", "has a field that is not known", err));
    r->model->add_prefix = spec->add_dummy_prefix;
    return PM_OK;
}

static pm_status check_denormalizer(const reader *r, const part *p, const Sp__NormalizerSpec *spec, pm_error *err) {
    return demand(r, p, spec->precompiled_charsmap.len == 0, "denormalizer_spec.precompiled_charsmap", "is not empty", err);
}

static pm_status check_spec(reader *r, const part *p, const ProtobufCMessage *spec, pm_error *err) {
    return p->field == TRAINER_SPEC      ? check_trainer(r, p, (const Sp__TrainerSpec *)spec, err)
           : p->field == NORMALIZER_SPEC ? check_normalizer(r, p, (const Sp__NormalizerSpec *)spec, err)
                                         : check_denormalizer(r, p, (const Sp__NormalizerSpec *)spec, err);
}

static pm_status read_spec(reader *r, const part *p, pm_error *err) {
    bool failed = false, *seen = p->field == TRAINER_SPEC ? &r->trainer : p->field == NORMALIZER_SPEC ? &r->normalizer : NULL;
    ProtobufCAllocator allocator = allocator_for(&failed);
    ProtobufCMessage *spec;
    if (seen && *seen) {
        return pm_fail_at(err, PM_BAD_FORMAT, place(r, p), "field %u of the file is there twice", p->field);
    }
    PM_TRY(unpack(r, p->field == TRAINER_SPEC ? &sp__trainer_spec__descriptor : &sp__normalizer_spec__descriptor, p, &allocator, &spec, err));
    pm_status status = check_spec(r, p, spec, err);
    protobuf_c_message_free_unpacked(spec, &allocator);
    if (seen) {
        *seen = true;
    }
    return status;
}

/* Scores must fall, so that the rank of a piece is its place. */
static pm_status check_score(reader *r, const part *p, pm_id id, float score, pm_error *err) {
    if (pm_first_is_one(r->model, r->model->pieces[id])) {
        return PM_OK;
    }
    if (r->any && !(score < r->last)) {
        return pm_fail_at(err, PM_UNSUPPORTED, place(r, p), "the score of piece %u is not below that of the one before: that is not supported", id);
    }
    r->any = true;
    r->last = score;
    return PM_OK;
}

static pm_status set_text(reader *r, const part *p, const Sp__SentencePiece *piece, pm_bytes text, pm_error *err) {
    pm_id id = r->model->vocab_size;
    r->bytes.len = 0;
    PM_TRY(pm_buf_reserve(&r->bytes, text.len, err));
    if (!text.len || !pm_marked_decode(&r->bytes, text)) {
        return pm_fail_at(err, PM_UNSUPPORTED, place(r, p), "piece %u is empty or holds a blank: that is not supported", id);
    }
    pm_bytes bytes = {r->bytes.data, r->bytes.len};
    pm_id other = pm_piece_index_find(&r->index, r->model, bytes);
    if (other != PM_ID_NONE) {
        return pm_fail_at(err, PM_BAD_FORMAT, place(r, p), "piece %u has the text of piece %u", id, other);
    }
    PM_TRY(pm_model_set(r->model, id, PM_KIND_PIECE, bytes, 0, false, err));
    pm_piece_index_add(&r->index, r->model, id);
    return check_score(r, p, id, piece->score, err);
}

static pm_status set_piece(reader *r, const part *p, const Sp__SentencePiece *piece, pm_error *err) {
    pm_id id = r->model->vocab_size;
    pm_bytes text = {piece->piece.data, piece->piece.len};
    int byte = pm_byte_from_name(text);
    uint8_t value = (uint8_t)byte;
    switch (piece->type) {
    case SP__SENTENCE_PIECE__TYPE__NORMAL: return set_text(r, p, piece, text, err);
    case SP__SENTENCE_PIECE__TYPE__UNKNOWN:
        PM_TRY(demand(r, p, text.len == 5 && memcmp(text.data, "<unk>", 5) == 0, "the unknown piece", "is not called <unk>", err));
        return pm_model_set(r->model, id, PM_KIND_CONTROL, text, 0, false, err);
    case SP__SENTENCE_PIECE__TYPE__CONTROL:
        return text.len ? pm_model_set(r->model, id, pm_characters_kind(text), text, 0, false, err)
                        : pm_fail_at(err, PM_BAD_FORMAT, place(r, p), "control piece %u is empty", id);
    case SP__SENTENCE_PIECE__TYPE__BYTE:
        return byte >= 0 ? pm_model_set(r->model, id, PM_KIND_BYTE, (pm_bytes){&value, 1}, 0, false, err)
                         : pm_fail_at(err, PM_BAD_FORMAT, place(r, p), "byte piece %u is not called <0x00> to <0xFF>", id);
    case SP__SENTENCE_PIECE__TYPE__USER_DEFINED: return demand(r, p, false, "a piece's type", "is USER_DEFINED", err);
    case SP__SENTENCE_PIECE__TYPE__UNUSED: return demand(r, p, false, "a piece's type", "is UNUSED", err);
    default: return pm_fail_at(err, PM_BAD_FORMAT, place(r, p), "piece %u has type %d, which is none", id, (int)piece->type);
    }
}

static pm_status read_piece(reader *r, const part *p, pm_error *err) {
    bool failed = false;
    ProtobufCAllocator allocator = allocator_for(&failed);
    ProtobufCMessage *piece;
    PM_TRY(unpack(r, &sp__sentence_piece__descriptor, p, &allocator, &piece, err));
    pm_status status = set_piece(r, p, (const Sp__SentencePiece *)piece, err);
    protobuf_c_message_free_unpacked(piece, &allocator);
    return status;
}

/* pieces: how many there are, so that the index has room. */
static pm_status read_parts(reader *r, bool only_pieces, size_t *n_pieces, pm_error *err) {
    part p;
    for (size_t at = 0; at < r->len;) {
        size_t begin = at;
        if (!read_part(r->data, r->len, &at, &p)) {
            return pm_fail_at(err, PM_BAD_FORMAT, begin, "not a field of a .model file, or it is cut off");
        }
        *n_pieces += p.field == PIECES;
        if (!only_pieces && p.field != PIECES && p.field != SELF_TEST_DATA) {
            PM_TRY(read_spec(r, &p, err));
        }
        if (only_pieces && p.field == PIECES) {
            PM_TRY(read_piece(r, &p, err));
        }
    }
    return PM_OK;
}

static pm_status read_all(reader *r, pm_error *err) {
    size_t n = 0;
    PM_TRY(read_parts(r, false, &n, err));
    if (!r->trainer || !r->normalizer) {
        return pm_fail_at(err, PM_BAD_FORMAT, r->len, "there is no %s", r->trainer ? "normalizer_spec" : "trainer_spec");
    }
    PM_TRY(pm_piece_index_init(&r->index, n, err));
    PM_TRY(read_parts(r, true, &n, err));
    PM_TRY(pm_bpe_derive_merges(r->model, err));
    return pm_characters_set_splitter(r->model, err);
}

static pm_status read_sentencepiece(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err) {
    reader r = {.model = model, .data = file->data, .len = file->len};
    (void)options;
    model->algorithm = PM_ALGORITHM_BPE;
    model->characters = model->normalize = true;
    pm_status status = read_all(&r, err);
    pm_buf_release(&r.bytes);
    pm_piece_index_release(&r.index);
    return status;
}

/* ---------------------------------------------------------------- what can be written ---- */

static pm_status check_ids(const pm_model *model, pm_error *err) {
    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (model->kinds[id] == PM_KIND_HOLE || model->kinds[id] == PM_KIND_RESERVED) {
            return pm_fail(err, PM_UNSUPPORTED, "id %u is %s: a .model file has none", id, model->kinds[id] == PM_KIND_HOLE ? "a hole" : "a reserved slot");
        }
    }
    return PM_OK;
}

/* Each derived merge must be one of the model's, in the same order; what others it has can never apply (derive.c). */
static pm_status compare_merges(const pm_model *model, const pm_model *derived, pm_error *err) {
    size_t at = 0;
    for (size_t i = 0; i < derived->n_merges; i++) {
        const pm_merge *m = &derived->merges[i];
        while (at < model->n_merges && (model->merges[at].left != m->left || model->merges[at].right != m->right)) {
            at++;
        }
        if (at == model->n_merges) {
            return pm_fail(err, PM_UNSUPPORTED, "the merges are not those that follow from the order of the pieces (piece %u): a .model file has no others",
                           m->result);
        }
    }
    return PM_OK;
}

static pm_status check_merges(const pm_model *model, pm_error *err) {
    pm_model derived = {.algorithm = PM_ALGORITHM_BPE, .characters = true};
    pm_status status = PM_OK;
    for (pm_id id = 0; id < model->vocab_size && status == PM_OK; id++) {
        status = pm_model_set(&derived, id, (pm_kind)model->kinds[id], model->pieces[id], 0, true, err);
    }
    if (status == PM_OK) {
        status = pm_bpe_derive_merges(&derived, err);
    }
    if (status == PM_OK) {
        status = compare_merges(model, &derived, err);
    }
    pm_model_release(&derived);
    return status;
}

static pm_status check_writable(const pm_tokenizer *tok, pm_error *err) {
    const pm_model *model = &tok->model;
    if (!model->characters) {
        return pm_fail(err, PM_UNSUPPORTED, ".model files hold BPE over characters only (level char)");
    }
    if (model->whole_first || !pm_characters_need_no_pattern(model)) {
        return pm_fail(err, PM_UNSUPPORTED, ".model files have no place for %s", model->whole_first ? "whole pieces first" : "a pattern");
    }
    PM_TRY(pm_characters_check(tok, "a .model file", err));
    PM_TRY(check_ids(model, err));
    return check_merges(model, err);
}

/* ---------------------------------------------------------------- writing ---- */

static void put_number(uint8_t *out, size_t *n, uint64_t number) {
    for (; number >= 0x80; number >>= 7) {
        out[(*n)++] = (uint8_t)(number | 0x80);
    }
    out[(*n)++] = (uint8_t)number;
}

static pm_status write_message(pm_writer *w, pm_buf *bytes, unsigned field, const ProtobufCMessage *message, pm_error *err) {
    uint8_t head[12];
    size_t n = 0, len = protobuf_c_message_get_packed_size(message);
    put_number(head, &n, field << 3 | 2);
    put_number(head, &n, len);
    bytes->len = 0;
    PM_TRY(pm_buf_reserve(bytes, len, err));
    protobuf_c_message_pack(message, bytes->data);
    PM_TRY(pm_writer_write(w, head, n, err));
    return pm_writer_write(w, bytes->data, len, err);
}

static ProtobufCBinaryData data_of(const void *data, size_t len) { return (ProtobufCBinaryData){len, (uint8_t *)(uintptr_t)data}; }

static bool is_called(pm_bytes text, const char *name) { return text.len == strlen(name) && memcmp(text.data, name, text.len) == 0; }

static pm_status write_piece(pm_writer *w, pm_buf *bytes, pm_buf *text, const pm_model *model, pm_id id, pm_id first, pm_error *err) {
    Sp__SentencePiece piece = SP__SENTENCE_PIECE__INIT;
    pm_kind kind = (pm_kind)model->kinds[id];
    char name[PM_BYTE_NAME];
    text->len = 0;
    PM_TRY(kind == PM_KIND_PIECE ? pm_marked_append(text, model->pieces[id], err) : PM_OK);
    pm_byte_name(name, kind == PM_KIND_BYTE ? model->pieces[id].data[0] : 0);
    piece.has_piece = piece.has_score = true;
    piece.piece = kind == PM_KIND_PIECE  ? data_of(text->data, text->len)
                  : kind == PM_KIND_BYTE ? data_of(name, strlen(name))
                                         : data_of(model->pieces[id].data, model->pieces[id].len);
    piece.score = kind == PM_KIND_PIECE ? -(float)(id - first) : 0;
    piece.has_type = kind != PM_KIND_PIECE;
    piece.type = kind == PM_KIND_BYTE                           ? SP__SENTENCE_PIECE__TYPE__BYTE
                 : is_called(model->pieces[id], "<unk>")        ? SP__SENTENCE_PIECE__TYPE__UNKNOWN
                                                                : SP__SENTENCE_PIECE__TYPE__CONTROL;
    return write_message(w, bytes, PIECES, &piece.base, err);
}

/* The first control token with this name, -1: none. */
static int32_t find_control(const pm_model *model, const char *name) {
    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (model->kinds[id] == PM_KIND_CONTROL && is_called(model->pieces[id], name)) {
            return (int32_t)id;
        }
    }
    return -1;
}

/* <s> or <bos>, whichever there is. */
static int32_t name_control(const pm_model *model, const char *usual, const char *other, protobuf_c_boolean *has_name, ProtobufCBinaryData *name) {
    int32_t id = find_control(model, usual);
    if (id < 0 && find_control(model, other) >= 0) {
        *has_name = true;
        *name = data_of(other, strlen(other));
        return find_control(model, other);
    }
    return id;
}

static pm_status write_trainer(pm_writer *w, pm_buf *bytes, const pm_tokenizer *tok, pm_error *err) {
    const pm_model *model = &tok->model;
    Sp__TrainerSpec spec = SP__TRAINER_SPEC__INIT;
    ProtobufCBinaryData *symbols = pm_alloc(tok->n_specials, sizeof *symbols);
    if (!symbols) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < tok->n_specials; i++) {
        symbols[i] = data_of(tok->specials[i].text.data, tok->specials[i].text.len);
    }
    spec.has_model_type = spec.has_vocab_size = spec.has_byte_fallback = true;
    spec.model_type = SP__TRAINER_SPEC__MODEL_TYPE__BPE;
    spec.vocab_size = (int32_t)model->vocab_size;
    spec.byte_fallback = true;
    spec.has_split_by_unicode_script = spec.has_split_by_number = true;
    spec.split_by_unicode_script = spec.split_by_number = false;
    spec.n_control_symbols = tok->n_specials;
    spec.control_symbols = symbols;
    spec.has_unk_id = spec.has_bos_id = spec.has_eos_id = spec.has_pad_id = true;
    spec.unk_id = find_control(model, "<unk>");
    spec.bos_id = name_control(model, "<s>", "<bos>", &spec.has_bos_piece, &spec.bos_piece);
    spec.eos_id = name_control(model, "</s>", "<eos>", &spec.has_eos_piece, &spec.eos_piece);
    spec.pad_id = find_control(model, "<pad>");
    pm_status status = write_message(w, bytes, TRAINER_SPEC, &spec.base, err);
    pm_free(symbols);
    return status;
}

static pm_status write_normalizer(pm_writer *w, pm_buf *bytes, const pm_model *model, pm_error *err) {
    static const char name[] = "identity";
    Sp__NormalizerSpec spec = SP__NORMALIZER_SPEC__INIT;
    spec.has_name = spec.has_precompiled_charsmap = true;
    spec.name = data_of(name, sizeof name - 1);
    spec.precompiled_charsmap = data_of(NULL, 0);
    spec.has_add_dummy_prefix = spec.has_remove_extra_whitespaces = spec.has_escape_whitespaces = true;
    spec.add_dummy_prefix = model->add_prefix;
    spec.remove_extra_whitespaces = false;
    spec.escape_whitespaces = true;
    return write_message(w, bytes, NORMALIZER_SPEC, &spec.base, err);
}

static pm_status write_parts(pm_writer *w, pm_buf *bytes, pm_buf *text, const pm_tokenizer *tok, pm_error *err) {
    const pm_model *model = &tok->model;
    pm_id first = 0;
    while (first < model->vocab_size && model->kinds[first] != PM_KIND_PIECE) {
        first++;
    }
    for (pm_id id = 0; id < model->vocab_size; id++) {
        PM_TRY(write_piece(w, bytes, text, model, id, first, err));
    }
    PM_TRY(write_trainer(w, bytes, tok, err));
    return write_normalizer(w, bytes, model, err);
}

static pm_status write_sentencepiece(const pm_tokenizer *tok, pm_writer *w, const pm_save_options *how, pm_error *err) {
    (void)how;
    pm_buf bytes = {0}, text = {0};
    PM_TRY(check_writable(tok, err));
    pm_status status = write_parts(w, &bytes, &text, tok, err);
    pm_buf_release(&bytes);
    pm_buf_release(&text);
    return status;
}

#else

static pm_status read_sentencepiece(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err) {
    (void)model;
    (void)file;
    (void)options;
    return pm_fail(err, PM_UNSUPPORTED, "this build reads no .model files: libprotobuf-c was not compiled in");
}

static pm_status write_sentencepiece(const pm_tokenizer *tok, pm_writer *w, const pm_save_options *how, pm_error *err) {
    (void)how;
    (void)tok;
    (void)w;
    return pm_fail(err, PM_UNSUPPORTED, "this build writes no .model files: libprotobuf-c was not compiled in");
}

#endif

const pm_format_ops pm_format_sentencepiece = {
    PM_FORMAT_SENTENCEPIECE, "sentencepiece", ".model", "a .model file splits nothing", recognizes, read_sentencepiece, write_sentencepiece,
};
