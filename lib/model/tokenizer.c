/* tokenizer.c - the finished half of model.h: checks, look-up by bytes, and the accessors of the public header. */
#include "base/bytes.h"
#include "base/hash.h"
#include "base/sha256.h"
#include "model/model.h"
#include "text/byte_level.h"
#include "text/characters.h"
#include "text/utf8.h"

/* ---------------------------------------------------------------- look-up by bytes ---- */

static bool slot_matches(const pm_tokenizer *tok, const pm_vocab_slot *slot, uint32_t hash, const uint8_t *data, size_t len) {
    if (slot->hash != hash) {
        return false;
    }
    const pm_bytes *piece = &tok->model.pieces[slot->id];
    return piece->len == len && memcmp(piece->data, data, len) == 0;
}

/* The slot of these bytes, or the empty one where they would go. */
static pm_vocab_slot *find_slot(const pm_tokenizer *tok, const uint8_t *data, size_t len, uint32_t *high) {
    uint64_t hash = pm_hash(data, len);
    size_t i = hash & tok->slot_mask;

    *high = (uint32_t)(hash >> 32);
    while (tok->slots[i].id != PM_ID_NONE && !slot_matches(tok, &tok->slots[i], *high, data, len)) {
        i = (i + 1) & tok->slot_mask;
    }
    return &tok->slots[i];
}

pm_id pm_tokenizer_find_piece(const pm_tokenizer *tok, const uint8_t *data, size_t len) {
    uint32_t high;
    return find_slot(tok, data, len, &high)->id;
}

static pm_status take_byte(pm_tokenizer *tok, pm_id id, pm_error *err) {
    pm_bytes byte = tok->model.pieces[id];
    if (!(tok->model.characters || tok->model.general) || byte.len != 1) {
        return pm_fail(err, PM_BAD_FORMAT, "id %u is a byte token, but this model has none, or it is no single byte", id);
    }
    pm_id *slot = &tok->byte_id[byte.data[0]];
    if (*slot != PM_ID_NONE) {
        return pm_fail(err, PM_BAD_FORMAT, "byte tokens %u and %u are the same byte", *slot, id);
    }
    *slot = id;
    return PM_OK;
}

enum { AHEAD = 16 }; /* pieces */

/* Asks for the slot of a piece that is added soon. */
static void ask_for_slot(const pm_tokenizer *tok, size_t id) {
    if (id < tok->vocab_size) {
        __builtin_prefetch(&tok->slots[pm_hash(tok->model.pieces[id].data, tok->model.pieces[id].len) & tok->slot_mask], 1);
    }
}

static pm_status fill_slots(pm_tokenizer *tok, pm_error *err) {
    size_t n = 16;
    while (n < 2 * (size_t)tok->vocab_size) {
        n *= 2;
    }
    tok->slots = pm_alloc(n, sizeof *tok->slots);
    if (!tok->slots) {
        return pm_fail_memory(err);
    }
    memset(tok->slots, 0xFF, n * sizeof *tok->slots); /* PM_ID_NONE everywhere */
    tok->slot_mask = n - 1;
    memset(tok->byte_id, 0xFF, sizeof tok->byte_id);
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        pm_bytes piece = tok->model.pieces[id];
        ask_for_slot(tok, (size_t)id + AHEAD);
        if (tok->model.kinds[id] == PM_KIND_BYTE) {
            PM_TRY(take_byte(tok, id, err));
        }
        if (tok->model.kinds[id] != PM_KIND_PIECE || pm_model_is_alone(&tok->model, id) || (tok->model.general && piece.len == 0)) {
            continue;
        }
        if (piece.len == 0) {
            return pm_fail(err, PM_BAD_FORMAT, "piece %u is empty", id);
        }
        uint32_t high;
        pm_vocab_slot *slot = find_slot(tok, piece.data, piece.len, &high);
        if (slot->id != PM_ID_NONE) {
            return pm_fail(err, PM_BAD_FORMAT, "pieces %u and %u have the same bytes", slot->id, id);
        }
        *slot = (pm_vocab_slot){high, id};
        if (piece.len == 1 && !tok->model.characters && !tok->model.general) {
            tok->byte_id[piece.data[0]] = id;
        }
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- checks ---- */

static int by_text(const void *a, const void *b) {
    return pm_bytes_compare(((const pm_special_token *)a)->text, ((const pm_special_token *)b)->text);
}

static int by_id(const void *a, const void *b) {
    pm_id x = ((const pm_special_token *)a)->id, y = ((const pm_special_token *)b)->id;
    return (x > y) - (x < y);
}

static pm_status collect_specials(pm_tokenizer *tok, pm_error *err) {
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        tok->n_specials += tok->model.kinds[id] == PM_KIND_SPECIAL;
    }
    tok->specials = pm_alloc(tok->n_specials, sizeof *tok->specials);
    if (!tok->specials) {
        return pm_fail_memory(err);
    }
    size_t n = 0;
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        if (tok->model.kinds[id] == PM_KIND_SPECIAL) {
            if (tok->model.pieces[id].len == 0) {
                return pm_fail(err, PM_BAD_FORMAT, "special token %u is empty", id);
            }
            tok->specials[n++] = (pm_special_token){tok->model.pieces[id], id};
        }
    }
    qsort(tok->specials, n, sizeof *tok->specials, by_text);
    for (size_t i = 1; i < n; i++) {
        if (by_text(&tok->specials[i - 1], &tok->specials[i]) == 0) {
            return pm_fail(err, PM_BAD_FORMAT, "special tokens %u and %u have the same text", tok->specials[i - 1].id,
                           tok->specials[i].id);
        }
    }
    qsort(tok->specials, n, sizeof *tok->specials, by_id);
    return PM_OK;
}

/* What merges join: pieces; in a general model any entry, since its special tokens may be entries too. */
static bool is_part(const pm_tokenizer *tok, pm_id id) {
    return id < tok->vocab_size && (tok->model.general ? tok->model.kinds[id] != PM_KIND_HOLE : tok->model.kinds[id] == PM_KIND_PIECE);
}

static bool joins(const pm_model *model, const pm_merge *m) {
    pm_bytes a = model->pieces[m->left], b = model->pieces[m->right], c = model->pieces[m->result];
    size_t cut = model->prefix.len; /* of what continues a word */
    if (b.len < cut) {
        return false;
    }
    return a.len + b.len - cut == c.len && (a.len == 0 || memcmp(a.data, c.data, a.len) == 0) &&
           (b.len == cut || memcmp(b.data + cut, c.data + a.len, b.len - cut) == 0);
}

static pm_status check_merges(const pm_tokenizer *tok, pm_error *err) {
    const pm_model *model = &tok->model;
    for (size_t i = 0; i < model->n_merges; i++) {
        const pm_merge *m = &model->merges[i];
        if (!is_part(tok, m->left) || !is_part(tok, m->right) || !is_part(tok, m->result)) {
            return pm_fail(err, PM_BAD_FORMAT, "merge %zu names an id that is not a piece", i);
        }
        if (!joins(model, m)) {
            return pm_fail(err, PM_BAD_FORMAT, "merge %zu does not give the bytes of piece %u", i, m->result);
        }
    }
    return PM_OK;
}

/* What only general models have. */
static pm_status check_general(const pm_tokenizer *tok, pm_error *err) {
    const pm_model *model = &tok->model;
    if (model->has_unknown && model->unknown != PM_ID_NONE && (model->unknown >= tok->vocab_size || model->kinds[model->unknown] == PM_KIND_HOLE)) {
        return pm_fail(err, PM_BAD_FORMAT, "the unknown token's id %u is not in the vocabulary", model->unknown);
    }
    if (model->algorithm == PM_ALGORITHM_UNIGRAM && !model->scores && tok->vocab_size) {
        return pm_fail(err, PM_BAD_FORMAT, "the pieces have no scores");
    }
    return PM_OK;
}

static pm_status check_bytes(const pm_tokenizer *tok, pm_error *err) {
    for (unsigned b = 0; b < 256; b++) {
        if (tok->byte_id[b] == PM_ID_NONE) {
            return pm_fail(err, PM_BAD_FORMAT, "the single byte 0x%02X is not a %s", b, tok->model.characters ? "byte token" : "piece");
        }
    }
    return PM_OK;
}

/* Where a text begins as characters, a byte that is a character needs no byte token if the character is a piece (Gemma has none for a tab). */
static void spare_byte_tokens(pm_tokenizer *tok) {
    for (uint8_t b = 0; b < 0x80; b++) {
        tok->byte_id[b] = tok->byte_id[b] == PM_ID_NONE ? pm_tokenizer_find_piece(tok, &b, 1) : tok->byte_id[b];
    }
}

/* Where a text begins as characters, pieces are made of them, and a blank is one (how else would the byte tokens of a blank be told from those of U+2581?). */
static pm_status check_characters(const pm_tokenizer *tok, pm_error *err) {
    static const uint8_t blank = PM_BLANK;
    if (tok->model.characters && pm_tokenizer_find_piece(tok, &blank, 1) == PM_ID_NONE) {
        return pm_fail(err, PM_BAD_FORMAT, "a blank is not a piece");
    }
    for (pm_id id = 0; tok->model.characters && id < tok->vocab_size; id++) {
        pm_bytes piece = tok->model.pieces[id];
        unsigned n;
        for (size_t at = 0; tok->model.kinds[id] == PM_KIND_PIECE && at < piece.len; at += n) {
            uint32_t c = pm_utf8_read(piece.data + at, piece.data + piece.len, &n);
            if ((c == PM_BAD_BYTE && n == 1) || c == PM_BLANK_MARK) {
                return pm_fail(err, PM_BAD_FORMAT, "piece %u is not made of characters, or holds U+2581 for a blank", id);
            }
        }
    }
    return PM_OK;
}

static pm_status complete(pm_tokenizer *tok, pm_error *err) {
    if (tok->model.n_merges > UINT32_MAX - 1) {
        return pm_fail(err, PM_BAD_FORMAT, "too many merges");
    }
    if (tok->model.settings.len) { /* a string for people: end it */
        PM_TRY(pm_buf_append(&tok->model.settings, "", 1, err));
        tok->model.settings.len--;
    }
    PM_TRY(fill_slots(tok, err));
    PM_TRY(collect_specials(tok, err));
    if (tok->model.general) {
        PM_TRY(check_general(tok, err));
    } else {
        if (tok->model.characters) {
            spare_byte_tokens(tok);
        }
        PM_TRY(check_bytes(tok, err));
        PM_TRY(check_characters(tok, err));
    }
    return check_merges(tok, err);
}

pm_status pm_tokenizer_from_model(pm_tokenizer **out, pm_model *model, pm_error *err) {
    pm_tokenizer *tok = pm_calloc(1, sizeof *tok);
    *out = NULL;
    if (!tok) {
        pm_model_release(model);
        return pm_fail_memory(err);
    }
    tok->model = *model;
    *model = (pm_model){0};
    tok->vocab_size = tok->model.vocab_size;
    pm_status status = complete(tok, err);
    if (status != PM_OK) {
        pm_tokenizer_free(tok);
        return status;
    }
    *out = tok;
    return PM_OK;
}

void pm_tokenizer_free(pm_tokenizer *tok) {
    if (!tok) {
        return;
    }
    if (tok->engine_free) {
        tok->engine_free(tok->engine);
    }
    pm_free(tok->slots);
    pm_free(tok->specials);
    pm_model_release(&tok->model);
    pm_free(tok);
}

/* ---------------------------------------------------------------- accessors ---- */

pm_algorithm pm_tokenizer_algorithm(const pm_tokenizer *tok) { return tok->model.algorithm; }

uint32_t pm_tokenizer_vocab_size(const pm_tokenizer *tok) { return tok->vocab_size; }

/* Every byte becomes a character and stays where it is, and the decoder makes bytes of characters again. */
static bool is_byte_level(const pm_model *model) {
    const pm_steps *steps = &model->pre_tokenizer;
    bool bytes = false;
    for (size_t i = 0; i < steps->n; i++) {
        const pm_step *step = &steps->items[i];
        bool splits = step->type == PM_STEP_SPLIT && step->n != PM_BEHAVIOR_REMOVED;
        bool last = step->type == PM_STEP_BYTE_LEVEL && !(step->flags & PM_STEP_PREFIX_SPACE) && i + 1 == steps->n;
        if (!splits && !last) {
            return false;
        }
        bytes = last;
    }
    return bytes && model->normalizer.n == 0 && model->decoder.n == 1 && model->decoder.items[0].type == PM_STEP_BYTE_LEVEL;
}

/* Byte-level BPE that has every byte loses nothing, unless its added tokens take blanks along. */
static bool general_is_lossless(const pm_tokenizer *tok) {
    if (tok->model.algorithm != PM_ALGORITHM_BPE || tok->model.prefix.len || tok->model.suffix.len || !is_byte_level(&tok->model)) {
        return false;
    }
    for (uint32_t b = 0; b < 256; b++) {
        uint8_t character[4];
        unsigned len = pm_utf8_write(pm_byte_character((uint8_t)b), character);
        if (pm_tokenizer_find_piece(tok, character, len) == PM_ID_NONE) {
            return false;
        }
    }
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        if (tok->model.added && (tok->model.added[id] & (PM_ADDED_LSTRIP | PM_ADDED_RSTRIP))) {
            return false;
        }
    }
    return true;
}

bool pm_tokenizer_lossless(const pm_tokenizer *tok) {
    return tok->model.general ? general_is_lossless(tok) : !tok->model.normalize && !tok->model.add_prefix;
}

pm_kind pm_tokenizer_kind(const pm_tokenizer *tok, pm_id id) {
    return id < tok->vocab_size ? (pm_kind)tok->model.kinds[id] : PM_KIND_HOLE;
}

pm_bytes pm_tokenizer_piece(const pm_tokenizer *tok, pm_id id) {
    return id < tok->vocab_size ? tok->model.pieces[id] : (pm_bytes){NULL, 0};
}

pm_id pm_tokenizer_find(const pm_tokenizer *tok, pm_bytes piece) {
    pm_id id = piece.len ? pm_tokenizer_find_piece(tok, piece.data, piece.len) : PM_ID_NONE;
    id = id == PM_ID_NONE && piece.len == 1 ? tok->byte_id[piece.data[0]] : id;
    for (pm_id i = 0; id == PM_ID_NONE && piece.len && i < tok->vocab_size; i++) {
        bool named = tok->model.kinds[i] == PM_KIND_SPECIAL || tok->model.kinds[i] == PM_KIND_CONTROL || pm_model_is_alone(&tok->model, i);
        if (named && pm_bytes_equal(tok->model.pieces[i], piece)) {
            id = i;
        }
    }
    return id;
}

uint64_t pm_tokenizer_count(const pm_tokenizer *tok, pm_id id) {
    return id < tok->vocab_size ? tok->model.counts[id] : 0;
}

uint32_t pm_tokenizer_n_merges(const pm_tokenizer *tok) { return (uint32_t)tok->model.n_merges; }

bool pm_tokenizer_merge(const pm_tokenizer *tok, uint32_t i, pm_id *left, pm_id *right, pm_id *result) {
    if (i >= tok->model.n_merges) {
        return false;
    }
    *left = tok->model.merges[i].left;
    *right = tok->model.merges[i].right;
    *result = tok->model.merges[i].result;
    return true;
}

size_t pm_tokenizer_n_special_tokens(const pm_tokenizer *tok) { return tok->n_specials; }

pm_special_token pm_tokenizer_special_token(const pm_tokenizer *tok, size_t i) {
    return i < tok->n_specials ? tok->specials[i] : (pm_special_token){{NULL, 0}, PM_ID_NONE};
}

const char *pm_tokenizer_pattern_name(const pm_tokenizer *tok) {
    return tok->model.splitter ? pm_splitter_name(tok->model.splitter) : "";
}

size_t pm_tokenizer_n_patterns(const pm_tokenizer *tok) {
    return tok->model.splitter ? pm_splitter_n_regexes(tok->model.splitter) : 0;
}

const char *pm_tokenizer_pattern(const pm_tokenizer *tok, size_t i) {
    return i < pm_tokenizer_n_patterns(tok) ? pm_splitter_regex(tok->model.splitter, i) : NULL;
}

const char *pm_tokenizer_settings(const pm_tokenizer *tok) {
    return tok->model.settings.len ? (const char *)tok->model.settings.data : "";
}

/* ---------------------------------------------------------------- identity ---- */

/* The canonical form is a list of numbers, of eight bytes, and strings, whose length stands before them: what decides ids and text, and nothing of the file it
 * came from. */
static void hash_number(pm_sha256 *hash, uint64_t n) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(n >> (8 * i));
    }
    pm_sha256_update(hash, bytes, sizeof bytes);
}

static void hash_string(pm_sha256 *hash, pm_bytes text) {
    hash_number(hash, text.len);
    pm_sha256_update(hash, text.data, text.len);
}

static void hash_steps(pm_sha256 *hash, const pm_steps *steps) {
    hash_number(hash, steps->n);
    for (size_t i = 0; i < steps->n; i++) {
        const pm_step *s = &steps->items[i];
        const uint64_t numbers[] = {s->type, s->flags, s->n, s->m};
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
            hash_number(hash, numbers[k]);
        }
        hash_string(hash, s->a);
        hash_string(hash, s->b);
    }
}

/* What a plain model lacks. The score that decides is hashed by its bits. */
static void hash_general(pm_sha256 *hash, const pm_model *model) {
    hash_steps(hash, &model->normalizer);
    hash_steps(hash, &model->pre_tokenizer);
    hash_steps(hash, &model->decoder);
    hash_number(hash, model->has_unknown ? model->unknown + UINT64_C(1) : 0);
    hash_number(hash, (uint64_t)model->fuse_unknown | (uint64_t)model->byte_fallback << 1 | (uint64_t)model->whole_first << 2);
    hash_number(hash, model->max_word);
    hash_string(hash, model->prefix);
    hash_string(hash, model->suffix);
    for (pm_id id = 0; id < model->vocab_size; id++) {
        uint64_t bits = 0;
        if (model->scores) {
            memcpy(&bits, &model->scores[id], sizeof bits);
        }
        hash_number(hash, bits);
        hash_number(hash, model->added ? model->added[id] : 0);
    }
}

void pm_tokenizer_hash(const pm_tokenizer *tok, char hex[PM_HASH_HEX]) {
    pm_sha256 hash;
    const pm_model *model = &tok->model;

    pm_sha256_init(&hash);
    hash_number(&hash, model->algorithm);
    hash_number(&hash, (uint64_t)model->normalize | (uint64_t)model->characters << 1 | (uint64_t)model->add_prefix << 2 | (uint64_t)model->general << 3);
    hash_number(&hash, tok->vocab_size);
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        hash_number(&hash, model->kinds[id]);
        hash_string(&hash, model->pieces[id]);
        /* A BPE piece's count is a remark; a BytePiece piece's decides the segmentation. */
        hash_number(&hash, model->algorithm == PM_ALGORITHM_BYTEPIECE ? model->counts[id] : 0);
    }
    hash_number(&hash, model->n_merges);
    for (size_t i = 0; i < model->n_merges; i++) {
        hash_number(&hash, model->merges[i].left);
        hash_number(&hash, model->merges[i].right);
        hash_number(&hash, model->merges[i].result);
    }
    hash_number(&hash, pm_tokenizer_n_patterns(tok));
    for (size_t i = 0; i < pm_tokenizer_n_patterns(tok); i++) {
        const char *regex = pm_tokenizer_pattern(tok, i);
        hash_string(&hash, (pm_bytes){(const uint8_t *)regex, strlen(regex)});
    }
    if (model->general) {
        hash_general(&hash, model);
    }
    pm_sha256_hex(&hash, hex);
}
