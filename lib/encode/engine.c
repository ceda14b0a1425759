/* engine.c - see engine.h. */
#include "encode/engine.h"

#include <math.h>

#include "base/bytes.h"
#include "base/cpu.h"
#include "base/log.h"
#include "encode/bpe_mapped.h"
#include "encode/inside.h"

static void engine_free(void *p) {
    pm_engine *engine = p;
    if (engine) {
        pm_idle_release(&engine->idle);
        pm_shelf_drop(engine->shelf);
        pm_bpe_free(engine->bpe);
        pm_pipeline_free(engine->pipeline);
        pm_decoder_free(engine->decoder);
        pm_lattice_free(engine->lattice);
        pm_specials_free(engine->specials[0]);
        pm_specials_free(engine->specials[1]);
        pm_template_release(&engine->template);
        pm_free(engine->matched);
        pm_free(engine->always);
        pm_free(engine->decoded);
        pthread_mutex_destroy(&engine->completing);
        pm_free(engine);
    }
}

/* The first control token that has one of two names, or PM_ID_NONE. */
static pm_id find_control(const pm_model *model, const char *name, const char *other) {
    pm_bytes wanted = {(const uint8_t *)name, strlen(name)}, or_this = {(const uint8_t *)other, strlen(other)};
    for (pm_id id = 0; id < model->vocab_size; id++) {
        pm_bytes piece = model->pieces[id];
        if (model->kinds[id] == PM_KIND_CONTROL && (pm_bytes_equal(piece, wanted) || pm_bytes_equal(piece, or_this))) {
            return id;
        }
    }
    return PM_ID_NONE;
}

/* ---------------------------------------------------------------- BytePiece ---- */

/* Sums the counts; bytepiece's models hold each byte, with a count, so that every text has a segmentation. */
static pm_status check_counts(const pm_tokenizer *tok, size_t *n, uint64_t *total, pm_error *err) {
    const pm_model *model = &tok->model;

    *n = 0;
    *total = 0;
    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (model->kinds[id] == PM_KIND_PIECE) {
            ++*n;
            if (__builtin_add_overflow(*total, model->counts[id], total)) {
                return pm_fail(err, PM_BAD_FORMAT, "the pieces' counts add up to 2^64 or more");
            }
        }
    }
    for (unsigned b = 0; b < 256; b++) {
        pm_id id = tok->byte_id[b];
        if (id == PM_ID_NONE || model->counts[id] == 0) {
            return pm_fail(err, PM_BAD_FORMAT, "the single byte 0x%02X is not a piece with a count", b);
        }
    }
    return PM_OK;
}

/* A piece's log-probability is log(count) - log(total), rounded after each operation, as bytepiece computes it. */
static pm_status make_lattice(pm_engine *engine, const pm_tokenizer *tok, pm_error *err) {
    const pm_model *model = &tok->model;
    size_t n;
    uint64_t total;

    PM_TRY(check_counts(tok, &n, &total, err));
    double log_total = pm_log_u64(total);
    pm_bytes *pieces = pm_alloc(n, sizeof *pieces);
    double *logp = pm_alloc(n, sizeof *logp);
    pm_id *ids = pm_alloc(n, sizeof *ids);
    pm_status status = pieces && logp && ids ? PM_OK : pm_fail_memory(err);
    if (status == PM_OK) {
        size_t i = 0;
        for (pm_id id = 0; id < model->vocab_size; id++) {
            if (model->kinds[id] == PM_KIND_PIECE) {
                pieces[i] = model->pieces[id];
                logp[i] = model->counts[id] ? pm_log_u64(model->counts[id]) - log_total : -INFINITY;
                ids[i++] = id;
            }
        }
        status = pm_lattice_new(&engine->lattice, pieces, ids, logp, n, err);
    }
    pm_free(pieces);
    pm_free(logp);
    pm_free(ids);
    return status;
}

/* ---------------------------------------------------------------- both ---- */

static pm_status fill_decoded(pm_engine *engine, const pm_model *model, pm_error *err) {
    engine->decoded = pm_calloc((size_t)model->vocab_size + 1, sizeof *engine->decoded);
    if (!engine->decoded) {
        return pm_fail_memory(err);
    }
    engine->decoded[model->vocab_size].len = PM_NO_PIECE;
    for (pm_id id = 0; id < model->vocab_size; id++) {
        pm_decoded *d = &engine->decoded[id];
        pm_bytes piece = model->pieces[id];
        if (model->kinds[id] == PM_KIND_HOLE) {
            d->len = PM_NO_PIECE;
        } else if (model->kinds[id] == PM_KIND_PIECE || model->kinds[id] == PM_KIND_SPECIAL || model->kinds[id] == PM_KIND_BYTE) {
            d->len = piece.len <= PM_SHORT_PIECE ? (uint8_t)piece.len : PM_LONG_PIECE;
            if (d->len <= PM_SHORT_PIECE) {
                memcpy(d->bytes, piece.data, piece.len);
            }
        }
    }
    return PM_OK;
}

static bool is_normalized(const pm_model *model, pm_id id) { return model->added && (model->added[id] & PM_ADDED_NORMALIZED); }

/* Is the id's text looked for, and in normalized text or not? */
static bool is_matched(const pm_model *model, pm_id id, bool normalized) {
    bool sentencepiece = model->normalizer.n && model->normalizer.items[0].type == PM_STEP_SENTENCEPIECE; /* its user-defined symbols are the algorithm's */
    bool added = model->kinds[id] == PM_KIND_PIECE && model->added && (model->added[id] & PM_ADDED) && !sentencepiece;
    return (model->kinds[id] == PM_KIND_SPECIAL || added) && is_normalized(model, id) == normalized;
}

static pm_status fill_matched(pm_engine *engine, const pm_tokenizer *tok, pm_error *err) {
    const pm_model *model = &tok->model;
    size_t n = 0;
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        n += is_matched(model, id, is_normalized(model, id));
    }
    engine->matched = pm_alloc(n, sizeof *engine->matched);
    engine->always = pm_alloc(n, sizeof *engine->always);
    if (!engine->matched || !engine->always) {
        return pm_fail_memory(err);
    }
    for (int normalized = 0; normalized < 2; normalized++) {
        for (pm_id id = 0; id < tok->vocab_size; id++) {
            if (is_matched(model, id, normalized)) {
                engine->always[engine->n_matched] = model->kinds[id] == PM_KIND_PIECE;
                engine->n_always += engine->always[engine->n_matched];
                engine->matched[engine->n_matched++] = (pm_special_token){model->pieces[id], id};
            }
        }
        engine->n_raw = normalized ? engine->n_raw : engine->n_matched;
    }
    return PM_OK;
}

static pm_status make_finders(pm_engine *engine, pm_error *err) {
    size_t n = engine->n_matched - engine->n_raw;
    PM_TRY(engine->n_raw ? pm_specials_new(&engine->specials[0], engine->matched, engine->n_raw, err) : PM_OK);
    return n ? pm_specials_new(&engine->specials[1], engine->matched + engine->n_raw, n, err) : PM_OK;
}

static pm_status fill_engine(pm_engine *engine, const pm_tokenizer *tok, pm_error *err) {
    PM_TRY(pm_cpu_choose(&engine->cpu, err)); /* a wrong PIECEMILL_CPU is told whatever the algorithm */
    PM_TRY(pm_shelf_new(&engine->shelf, err));
    PM_TRY(fill_decoded(engine, &tok->model, err));
    engine->bos = find_control(&tok->model, "<bos>", "<s>");
    engine->eos = find_control(&tok->model, "<eos>", "</s>");
    PM_TRY(pm_template_init(&engine->template, &tok->model.post_processor, tok->vocab_size, err));
    PM_TRY(fill_matched(engine, tok, err));
    if (tok->model.general) {
        PM_TRY(pm_decoder_new(&engine->decoder, &tok->model, err));
        return pm_pipeline_new(&engine->pipeline, tok, engine, err);
    }
    PM_TRY(make_finders(engine, err));
    return tok->model.algorithm == PM_ALGORITHM_BYTEPIECE ? make_lattice(engine, tok, err) : PM_OK;
}

static pm_status make_bpe(pm_engine *engine, const pm_tokenizer *tok, pm_error *err) {
    if (tok->model.tables.len) {
        PM_TRY(pm_bpe_map(&engine->bpe, tok, tok->model.tables, err));
    }
    return engine->bpe ? PM_OK : pm_bpe_new(&engine->bpe, tok, err);
}

pm_status pm_engine_complete(pm_engine *engine, const pm_tokenizer *tok, pm_error *err) {
    pm_status status = PM_OK;
    if (atomic_load_explicit(&engine->complete, memory_order_acquire)) {
        return PM_OK;
    }
    pthread_mutex_lock(&engine->completing);
    if (!atomic_load_explicit(&engine->complete, memory_order_relaxed)) {
        status = tok->model.algorithm == PM_ALGORITHM_BPE && !tok->model.general ? make_bpe(engine, tok, err) : PM_OK;
        atomic_store_explicit(&engine->complete, status == PM_OK, memory_order_release);
    }
    pthread_mutex_unlock(&engine->completing);
    return status;
}

static pm_status make(pm_tokenizer **out, pm_model *model, bool complete, pm_error *err) {
    pm_tokenizer *tok;

    *out = NULL;
    PM_TRY(pm_tokenizer_from_model(&tok, model, err));
    pm_engine *engine = pm_calloc(1, sizeof *engine);
    if (!engine) {
        pm_tokenizer_free(tok);
        return pm_fail_memory(err);
    }
    pm_idle_init(&engine->idle);
    atomic_init(&engine->complete, false);
    pthread_mutex_init(&engine->completing, NULL);
    tok->engine = engine;
    tok->engine_free = engine_free;
    pm_status status = fill_engine(engine, tok, err);
    if (status == PM_OK && complete) {
        status = pm_engine_complete(engine, tok, err);
    }
    if (status != PM_OK) {
        pm_tokenizer_free(tok);
        return status;
    }
    *out = tok;
    return PM_OK;
}

pm_status pm_tokenizer_make(pm_tokenizer **out, pm_model *model, pm_error *err) { return make(out, model, true, err); }
pm_status pm_tokenizer_make_trained(pm_tokenizer **out, pm_model *model, pm_error *err) { return make(out, model, false, err); }

pm_status pm_tokenizer_append_tables(const pm_tokenizer *tok, pm_buf *out, pm_error *err) {
    pm_engine *engine = tok->engine;
    if (tok->model.general || tok->model.algorithm != PM_ALGORITHM_BPE) {
        return pm_fail(err, PM_UNSUPPORTED, "only BPE behind a pattern has ready-made tables");
    }
    PM_TRY(pm_engine_complete(engine, tok, err));
    return pm_bpe_append_tables(engine->bpe, out, err);
}
