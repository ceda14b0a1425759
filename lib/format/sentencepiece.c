/* sentencepiece.c - .model, the file of sentencepiece.
 *
 * A .model is a protobuf message: pieces with scores and types in the order of their ids, how the model was trained, how text is normalized. It is walked here field by
 * field, so that an error has a position; protobuf-c reads and writes what is inside one.
 *
 *     0A 0E   0A 07 E2 96 81 t h e   15 00 00 40 C0   18 01      field 1, 14 bytes: piece "▁the", score -3.0, type 1 (left out when normal)
 *
 * What the pieces mean is in scored.c, which llama2.c's files and GGUF's share. The file says four algorithms: UNIGRAM, BPE (the pair whose text together has the
 * highest score is joined first, the leftmost of equals), WORD (blanks cut, nothing else) and CHAR. How a vocabulary was trained, and the samples that sentencepiece tests
 * itself with, are passed over: no id depends on them. A denormalizer with a table is refused, as are fields of normalizer_spec that are not known.
 *
 * Written is every vocabulary of scored pieces. Where a tokenizer has merges and no scores (trained here, or plain), they must follow from the order of the pieces; a score
 * is then the piece's number, counted from the first piece, with a minus, as the trainer has it. A BytePiece model is written with PM_SAVE_LOSSY only, byte for byte as
 * bytepiece's convert_to_sentencepiece writes it. */
#include "format/format.h"
#include "format/scored.h"
#include "format/sentencepiece.pb-c.h"

#include "base/bytes.h"

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

/* ---------------------------------------------------------------- reading ---- */

typedef struct reader {
    pm_model *model;
    const uint8_t *data; /* of the file */
    size_t len;
    bool failed; /* memory is out */
    ProtobufCAllocator allocator;
    ProtobufCMessage *specs[LAST_FIELD + 1]; /* of the fields that hold one */
} reader;

static uint64_t place(const reader *r, const part *p) { return (uint64_t)(p->data - r->data); }

/* A message, which is to be freed with r->allocator. */
static pm_status unpack(reader *r, const ProtobufCMessageDescriptor *kind, const part *p, ProtobufCMessage **out, pm_error *err) {
    *out = protobuf_c_message_unpack(kind, &r->allocator, p->len, p->data);
    if (*out) {
        return PM_OK;
    }
    return r->failed ? pm_fail_memory(err) : pm_fail_at(err, PM_BAD_FORMAT, place(r, p), "field %u of the file is malformed", p->field);
}

static pm_status demand(const reader *r, const part *p, bool is_so, const char *field, const char *what, pm_error *err) {
    return is_so ? PM_OK : pm_fail_at(err, PM_UNSUPPORTED, place(r, p), "%s %s: that is not supported", field, what);
}

static pm_status check_spec(const reader *r, const part *p, const ProtobufCMessage *message, pm_error *err) {
    const Sp__NormalizerSpec *spec = (const Sp__NormalizerSpec *)message;
    if (p->field == NORMALIZER_SPEC) {
        return demand(r, p, spec->base.n_unknown_fields == 0, "normalizer_spec", "has a field that is not known", err);
    }
    return p->field == TRAINER_SPEC ? PM_OK
                                    : demand(r, p, spec->precompiled_charsmap.len == 0, "denormalizer_spec.precompiled_charsmap", "is not empty", err);
}

static pm_status read_spec(reader *r, const part *p, pm_error *err) {
    const ProtobufCMessageDescriptor *kind = p->field == TRAINER_SPEC ? &sp__trainer_spec__descriptor : &sp__normalizer_spec__descriptor;
    if (r->specs[p->field]) {
        return pm_fail_at(err, PM_BAD_FORMAT, place(r, p), "field %u of the file is there twice", p->field);
    }
    PM_TRY(unpack(r, kind, p, &r->specs[p->field], err));
    return check_spec(r, p, r->specs[p->field], err);
}

static pm_status read_piece(reader *r, const part *p, pm_error *err) {
    ProtobufCMessage *message;
    PM_TRY(unpack(r, &sp__sentence_piece__descriptor, p, &message, err));
    const Sp__SentencePiece *piece = (const Sp__SentencePiece *)message;
    pm_scored_piece scored = {{piece->piece.data, piece->piece.len}, piece->score, (int)piece->type};
    pm_status status = pm_scored_add(r->model, &scored, place(r, p), err);
    protobuf_c_message_free_unpacked(message, &r->allocator);
    return status;
}

/* The fields that hold no pieces. */
static pm_status read_specs(reader *r, pm_error *err) {
    part p;
    for (size_t at = 0; at < r->len;) {
        size_t begin = at;
        if (!read_part(r->data, r->len, &at, &p)) {
            return pm_fail_at(err, PM_BAD_FORMAT, begin, "not a field of a .model file, or it is cut off");
        }
        PM_TRY(p.field == PIECES || p.field == SELF_TEST_DATA ? PM_OK : read_spec(r, &p, err));
    }
    for (unsigned field = TRAINER_SPEC; field <= NORMALIZER_SPEC; field++) {
        if (!r->specs[field]) {
            return pm_fail_at(err, PM_BAD_FORMAT, r->len, "there is no %s", field == TRAINER_SPEC ? "trainer_spec" : "normalizer_spec");
        }
    }
    return PM_OK;
}

static pm_status read_pieces(reader *r, pm_error *err) {
    part p;
    for (size_t at = 0; at < r->len && read_part(r->data, r->len, &at, &p);) {
        PM_TRY(p.field == PIECES ? read_piece(r, &p, err) : PM_OK);
    }
    return PM_OK;
}

static pm_bytes bytes_of(ProtobufCBinaryData data) { return (pm_bytes){data.data, data.len}; }

static pm_id find_control(const pm_model *model, pm_bytes name) {
    pm_id id = 0;
    while (id < model->vocab_size && !((model->kinds[id] == PM_KIND_CONTROL || model->kinds[id] == PM_KIND_SPECIAL) &&
                                       pm_bytes_equal(model->pieces[id], name) && !(model->has_unknown && id == model->unknown))) {
        id++;
    }
    return id < model->vocab_size ? id : PM_ID_NONE;
}

static pm_scored_rules rules_of(const reader *r) {
    const Sp__TrainerSpec *t = (const Sp__TrainerSpec *)r->specs[TRAINER_SPEC];
    const Sp__NormalizerSpec *n = (const Sp__NormalizerSpec *)r->specs[NORMALIZER_SPEC];
    return (pm_scored_rules){
        .algorithm = t->model_type == SP__TRAINER_SPEC__MODEL_TYPE__UNIGRAM ? PM_ALGORITHM_UNIGRAM
                     : t->model_type == SP__TRAINER_SPEC__MODEL_TYPE__WORD  ? PM_ALGORITHM_WORDLEVEL
                                                                            : PM_ALGORITHM_BPE,
        .no_merges = t->model_type == SP__TRAINER_SPEC__MODEL_TYPE__CHAR,
        .byte_fallback = t->byte_fallback,
        .flags = (n->add_dummy_prefix ? (unsigned)PM_STEP_DUMMY_PREFIX : 0) | (n->remove_extra_whitespaces ? (unsigned)PM_STEP_REMOVE_EXTRA_BLANKS : 0) |
                 (n->escape_whitespaces ? (unsigned)PM_STEP_ESCAPE_BLANKS : 0) | (t->treat_whitespace_as_suffix ? (unsigned)PM_STEP_AS_SUFFIX : 0),
        .charsmap = bytes_of(n->precompiled_charsmap),
        .unk_surface = {t->unk_surface.len ? t->unk_surface.data : (const uint8_t *)"", t->unk_surface.len},
        .bos = find_control(r->model, bytes_of(t->bos_piece)),
        .eos = find_control(r->model, bytes_of(t->eos_piece)),
    };
}

static pm_status check_algorithm(const reader *r, pm_error *err) {
    int type = (int)((const Sp__TrainerSpec *)r->specs[TRAINER_SPEC])->model_type;
    return type >= SP__TRAINER_SPEC__MODEL_TYPE__UNIGRAM && type <= SP__TRAINER_SPEC__MODEL_TYPE__CHAR
               ? PM_OK
               : pm_fail(err, PM_UNSUPPORTED, "trainer_spec.model_type is %d: that is not supported", type);
}

static pm_status read_all(reader *r, pm_error *err) {
    PM_TRY(read_specs(r, err));
    PM_TRY(check_algorithm(r, err));
    PM_TRY(read_pieces(r, err));
    pm_scored_rules rules = rules_of(r);
    return pm_scored_end(r->model, &rules, err);
}

static pm_status read_sentencepiece(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err) {
    reader r = {.model = model, .data = file->data, .len = file->len};
    (void)options;
    r.allocator = (ProtobufCAllocator){take, give, &r.failed};
    pm_status status = read_all(&r, err);
    for (unsigned field = 0; field <= LAST_FIELD; field++) {
        if (r.specs[field]) {
            protobuf_c_message_free_unpacked(r.specs[field], &r.allocator);
        }
    }
    return status;
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

static ProtobufCBinaryData data_of(pm_bytes bytes) { return (ProtobufCBinaryData){bytes.len, (uint8_t *)(uintptr_t)bytes.data}; }

static pm_status write_piece(pm_writer *w, pm_buf *bytes, const pm_scored_piece *scored, pm_error *err) {
    Sp__SentencePiece piece = SP__SENTENCE_PIECE__INIT;
    piece.has_piece = piece.has_score = true;
    piece.piece = data_of(scored->text);
    piece.score = scored->score;
    piece.has_type = scored->type != PM_SCORED_NORMAL;
    piece.type = (Sp__SentencePiece__Type)scored->type;
    return write_message(w, bytes, PIECES, &piece.base, err);
}

static bool is_called(pm_bytes text, const char *name) { return text.len == strlen(name) && memcmp(text.data, name, text.len) == 0; }

/* Where <s> or the like stands, and its name if that is another than the usual one. */
static int32_t name_control(const pm_model *model, pm_id id, const char *usual, protobuf_c_boolean *has_name, ProtobufCBinaryData *name) {
    if (id != PM_ID_NONE && !is_called(model->pieces[id], usual)) {
        *has_name = true;
        *name = data_of(model->pieces[id]);
    }
    return id == PM_ID_NONE ? -1 : (int32_t)id;
}

static Sp__TrainerSpec__ModelType type_of(const pm_scored_rules *rules) {
    return rules->algorithm == PM_ALGORITHM_UNIGRAM     ? SP__TRAINER_SPEC__MODEL_TYPE__UNIGRAM
           : rules->algorithm == PM_ALGORITHM_WORDLEVEL ? SP__TRAINER_SPEC__MODEL_TYPE__WORD
           : rules->no_merges                           ? SP__TRAINER_SPEC__MODEL_TYPE__CHAR
                                                        : SP__TRAINER_SPEC__MODEL_TYPE__BPE;
}

static void fill_ids(Sp__TrainerSpec *spec, const pm_scored_view *view) {
    const pm_model *model = &view->tok->model;
    static const pm_bytes unk = {(const uint8_t *)"<unk>", 5}, pad = {(const uint8_t *)"<pad>", 5};
    spec->has_split_by_number = true;
    spec->split_by_number = false;
    spec->has_unk_id = spec->has_bos_id = spec->has_eos_id = spec->has_pad_id = true;
    spec->unk_id = (int32_t)(model->has_unknown ? model->unknown : find_control(model, unk));
    spec->bos_id = name_control(model, view->rules.bos, "<s>", &spec->has_bos_piece, &spec->bos_piece);
    spec->eos_id = name_control(model, view->rules.eos, "</s>", &spec->has_eos_piece, &spec->eos_piece);
    spec->pad_id = (int32_t)find_control(model, pad);
}

static pm_status write_trainer(pm_writer *w, pm_buf *bytes, const pm_scored_view *view, pm_error *err) {
    const pm_scored_rules *rules = &view->rules;
    const pm_tokenizer *tok = view->tok;
    Sp__TrainerSpec spec = SP__TRAINER_SPEC__INIT;
    ProtobufCBinaryData *symbols = pm_alloc(tok->n_specials, sizeof *symbols);
    if (!symbols) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < tok->n_specials; i++) {
        symbols[i] = data_of(tok->specials[i].text);
    }
    spec.has_model_type = spec.has_vocab_size = spec.has_byte_fallback = spec.has_split_by_unicode_script = true;
    spec.model_type = type_of(rules);
    spec.vocab_size = (int32_t)view->n;
    spec.byte_fallback = rules->byte_fallback;
    spec.split_by_unicode_script = false;
    spec.has_treat_whitespace_as_suffix = spec.treat_whitespace_as_suffix = (rules->flags & PM_STEP_AS_SUFFIX) != 0;
    spec.n_control_symbols = tok->n_specials;
    spec.control_symbols = symbols;
    if (rules->unk_surface.data && !is_called(rules->unk_surface, PM_SCORED_UNK_SURFACE)) {
        spec.has_unk_surface = true;
        spec.unk_surface = data_of(rules->unk_surface);
    }
    if (tok->model.algorithm != PM_ALGORITHM_BYTEPIECE) {
        fill_ids(&spec, view);
    }
    pm_status status = write_message(w, bytes, TRAINER_SPEC, &spec.base, err);
    pm_free(symbols);
    return status;
}

static pm_status write_normalizer(pm_writer *w, pm_buf *bytes, const pm_scored_view *view, pm_error *err) {
    static const pm_bytes identity = {(const uint8_t *)"identity", 8}, other = {(const uint8_t *)"user_defined", 12};
    const pm_scored_rules *rules = &view->rules;
    Sp__NormalizerSpec spec = SP__NORMALIZER_SPEC__INIT;
    spec.has_name = spec.has_precompiled_charsmap = true;
    spec.name = data_of(rules->charsmap.len ? other : identity);
    spec.precompiled_charsmap = data_of(rules->charsmap);
    spec.has_add_dummy_prefix = spec.has_remove_extra_whitespaces = true;
    spec.add_dummy_prefix = (rules->flags & PM_STEP_DUMMY_PREFIX) != 0;
    spec.remove_extra_whitespaces = (rules->flags & PM_STEP_REMOVE_EXTRA_BLANKS) != 0;
    spec.has_escape_whitespaces = view->tok->model.algorithm != PM_ALGORITHM_BYTEPIECE;
    spec.escape_whitespaces = (rules->flags & PM_STEP_ESCAPE_BLANKS) != 0;
    return write_message(w, bytes, NORMALIZER_SPEC, &spec.base, err);
}

static pm_status write_parts(pm_writer *w, pm_buf *bytes, pm_scored_view *view, pm_error *err) {
    for (size_t i = 0; i < view->n; i++) {
        pm_scored_piece piece;
        PM_TRY(pm_scored_get(view, i, &piece, err));
        PM_TRY(write_piece(w, bytes, &piece, err));
    }
    PM_TRY(write_trainer(w, bytes, view, err));
    return write_normalizer(w, bytes, view, err);
}

static pm_status write_sentencepiece(const pm_tokenizer *tok, pm_writer *w, const pm_save_options *how, pm_error *err) {
    pm_buf bytes = {0};
    pm_scored_view view;
    pm_status status = pm_scored_open(&view, tok, "a .model file", how, err);
    if (status == PM_OK) {
        status = write_parts(w, &bytes, &view, err);
    }
    pm_scored_close(&view);
    pm_buf_release(&bytes);
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
