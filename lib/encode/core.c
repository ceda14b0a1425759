/* core.c - see core.h: which algorithm it is, words as it is given them, and the shortest one, WordLevel. */
#include "encode/core_inside.h"

/* ---------------------------------------------------------------- WordLevel ---- */

static pm_status wordlevel_make(pm_core *core, pm_error *err) {
    const pm_model *model = core->model;
    pm_texts *texts = core->tables = pm_calloc(1, sizeof *texts);

    if (!texts) {
        return pm_fail_memory(err);
    }
    PM_TRY(pm_texts_init(texts, model->pieces, model->vocab_size, err));
    for (pm_id id = model->vocab_size; id-- > 0;) { /* of equal words the last has the name */
        if (pm_core_has(core, id)) {
            pm_texts_add(texts, id);
        }
    }
    return PM_OK;
}

static void wordlevel_release(void *tables) {
    pm_texts_release(tables);
    pm_free(tables);
}

/* Appends the words of sentencepiece's model of words (word_model.cc): one begins at each U+2581. */
static pm_status add_words(const pm_core *core, pm_bytes text, pm_core_tokens *out, pm_error *err) {
    size_t first = out->n, begin = 0, end;

    for (; begin < text.len; begin = end) {
        end = pm_core_next_mark(text, begin + 1);
        pm_id id = pm_texts_find(core->tables, text.data + begin, end - begin);
        if (id != PM_ID_NONE && !pm_core_is(core, id, PM_UNUSED)) {
            PM_TRY(pm_core_add(out, id, begin, end, err));
        } else {
            PM_TRY(pm_core_add_unknown(core, text, begin, end, first, out, err));
        }
    }
    return PM_OK;
}

static pm_status wordlevel_encode(const pm_core *core, pm_core_scratch *scratch, pm_bytes word, const pm_core_draw *draw, pm_core_tokens *out, pm_error *err) {
    pm_id id;

    (void)scratch;
    (void)draw;
    if (core->sentencepiece) {
        return add_words(core, word, out, err);
    }
    id = pm_texts_find(core->tables, word.data, word.len);
    if (id == PM_ID_NONE) {
        PM_TRY(pm_core_unknown(core, 0, &id, err));
    }
    return pm_core_add(out, id, 0, word.len, err);
}

static const pm_core_algorithm wordlevel = {wordlevel_make, wordlevel_release, wordlevel_encode, 0, NULL};

/* ---------------------------------------------------------------- what is unknown ---- */

pm_status pm_core_unknown(const pm_core *core, size_t at, pm_id *id, pm_error *err) {
    *id = core->model->unknown;
    if (!core->model->has_unknown) {
        return pm_fail_at(err, PM_INVALID_ARGUMENT, at, "what stands here is not in the vocabulary, which has no unknown token");
    }
    if (*id == PM_ID_NONE) {
        return pm_fail_at(err, PM_INVALID_ARGUMENT, at, "what stands here is not in the vocabulary, and neither is its unknown token");
    }
    return PM_OK;
}

bool pm_core_has_bytes(const pm_core *core, pm_bytes text) {
    bool all = core->model->byte_fallback;
    for (size_t i = 0; all && i < text.len; i++) {
        all = core->byte_id[text.data[i]] != PM_ID_NONE;
    }
    return all;
}

pm_status pm_core_add_unknown(const pm_core *core, pm_bytes word, size_t begin, size_t end, size_t first, pm_core_tokens *out, pm_error *err) {
    pm_id id;

    if (pm_core_has_bytes(core, (pm_bytes){word.data + begin, end - begin})) {
        for (size_t i = begin; i < end; i++) {
            PM_TRY(pm_core_add(out, core->byte_id[word.data[i]], begin, i + 1 < end ? begin : end, err));
        }
        return PM_OK;
    }
    PM_TRY(pm_core_unknown(core, begin, &id, err));
    if (out->n > first && out->items[out->n - 1].id == id) {
        out->items[out->n - 1].end = (uint32_t)end;
        return PM_OK;
    }
    return pm_core_add(out, id, begin, end, err);
}

/* ---------------------------------------------------------------- making one ---- */

static bool is_sentencepiece(const pm_model *model) {
    for (size_t i = 0; i < model->normalizer.n; i++) {
        if (model->normalizer.items[i].type == PM_STEP_SENTENCEPIECE) {
            return true;
        }
    }
    return false;
}

static const pm_core_algorithm *algorithm_of(const pm_model *model) {
    switch (model->algorithm) {
    case PM_ALGORITHM_UNIGRAM:
        return &pm_core_unigram;
    case PM_ALGORITHM_WORDPIECE:
        return &pm_core_wordpiece;
    case PM_ALGORITHM_WORDLEVEL:
        return &wordlevel;
    case PM_ALGORITHM_BPE:
        return is_sentencepiece(model) ? &pm_core_scored : &pm_core_bpe;
    case PM_ALGORITHM_BYTEPIECE:
        break;
    }
    return NULL;
}

/* A byte token is known by its kind, in a tokenizer.json by its name alone. */
static void find_bytes(pm_core *core) {
    const pm_model *model = core->model;

    for (size_t b = 0; b < 256; b++) {
        core->byte_id[b] = PM_ID_NONE;
    }
    for (pm_id id = 0; model->byte_fallback && id < model->vocab_size; id++) {
        pm_bytes piece = model->pieces[id];
        bool is_byte = model->kinds[id] == PM_KIND_BYTE;
        int byte = is_byte && piece.len == 1 ? piece.data[0] : pm_byte_from_name(piece);
        if (byte >= 0 && (is_byte || (!core->sentencepiece && pm_core_has(core, id)))) {
            core->byte_id[byte] = id;
        }
    }
}

pm_status pm_core_new(pm_core **out, const pm_model *model, pm_error *err) {
    const pm_core_algorithm *algorithm = algorithm_of(model);

    *out = NULL;
    if (!algorithm) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "algorithm %d is none of words", (int)model->algorithm);
    }
    if (model->has_unknown && model->unknown != PM_ID_NONE && model->unknown >= model->vocab_size) {
        return pm_fail(err, PM_BAD_FORMAT, "the unknown token's id %u is not in the vocabulary", model->unknown);
    }
    pm_core *core = pm_calloc(1, sizeof *core);
    if (!core) {
        return pm_fail_memory(err);
    }
    *core = (pm_core){.model = model, .algorithm = algorithm, .sentencepiece = is_sentencepiece(model)};
    find_bytes(core);
    pm_status status = algorithm->make(core, err);
    if (status != PM_OK) {
        pm_core_free(core);
        return status;
    }
    *out = core;
    return PM_OK;
}

void pm_core_free(pm_core *core) {
    if (core) {
        if (core->tables) {
            core->algorithm->release(core->tables);
        }
        pm_free(core);
    }
}

/* ---------------------------------------------------------------- scratch ---- */

pm_status pm_core_scratch_new(pm_core_scratch **out, pm_error *err) {
    *out = NULL;
    pm_core_scratch *scratch = pm_calloc(1, sizeof *scratch);
    if (!scratch) {
        return pm_fail_memory(err);
    }
    pm_status status = pm_lattice_scratch_new(&scratch->lattice, err);
    if (status != PM_OK) {
        pm_core_scratch_free(scratch);
        return status;
    }
    *out = scratch;
    return PM_OK;
}

/* All but what was learnt. */
static void forget(pm_core_scratch *s) {
    pm_merge_scratch_release(&s->merge);
    pm_free(s->ids);
    pm_free(s->places);
    pm_free(s->symbols);
    pm_free(s->agenda);
    pm_free(s->stack);
    pm_free(s->listed.items);
    *s = (pm_core_scratch){.lattice = s->lattice, .memo = s->memo};
}

void pm_core_scratch_free(pm_core_scratch *scratch) {
    if (scratch) {
        forget(scratch);
        pm_lattice_scratch_free(scratch->lattice);
        pm_memo_release(&scratch->memo);
        pm_free(scratch);
    }
}

void pm_core_scratch_trim(pm_core_scratch *scratch) {
    enum { KEPT = 1 << 16 }; /* symbols */
    if (scratch->cap_ids > KEPT || scratch->cap_symbols > KEPT || scratch->cap_agenda > KEPT || scratch->listed.cap > KEPT) {
        forget(scratch);
    }
}

/* ---------------------------------------------------------------- words ---- */

static pm_status encode(const pm_core *core, pm_core_scratch *scratch, pm_bytes word, const pm_core_draw *draw, pm_core_tokens *out, pm_error *err) {
    size_t n = out->n;

    if (word.len >= UINT32_MAX) {
        return pm_fail(err, PM_LIMIT, "a word of %zu bytes is too long: 4 GiB is the limit", word.len);
    }
    pm_status status = word.len ? core->algorithm->encode(core, scratch, word, draw, out, err) : PM_OK;
    out->n = status == PM_OK ? out->n : n;
    return status;
}

pm_status pm_core_encode(const pm_core *core, pm_core_scratch *scratch, pm_bytes word, pm_core_tokens *out, pm_error *err) {
    return encode(core, scratch, word, NULL, out, err);
}

pm_status pm_core_sample(const pm_core *core, pm_core_scratch *scratch, pm_bytes word, double alpha, uint64_t key, pm_core_tokens *out, pm_error *err) {
    double most = core->algorithm->most_alpha;
    pm_core_draw draw = {alpha, key};

    if (most == 0) {
        return encode(core, scratch, word, NULL, out, err);
    }
    if (!(alpha >= 0 && alpha <= most)) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "alpha must be from 0 to %.0f", most);
    }
    return encode(core, scratch, word, &draw, out, err);
}

pm_status pm_core_nbest(const pm_core *core, pm_core_scratch *scratch, pm_bytes word, size_t most, pm_core_sink sink, void *user, pm_error *err) {
    if (!core->algorithm->nbest) {
        return pm_fail(err, PM_UNSUPPORTED, "only a Unigram model has several segmentations of a text");
    }
    if (word.len >= UINT32_MAX) {
        return pm_fail(err, PM_LIMIT, "a word of %zu bytes is too long: 4 GiB is the limit", word.len);
    }
    return core->algorithm->nbest(core, scratch, word, most, sink, user, err);
}
