/* encoder.c - encoders, and those that wait with their tokenizer for the next call.
 *
 * What an encoder has learnt (words it merged) and grown (buffers) is worth keeping, also from one pm_encode_batch to the next. So a freed encoder is
 * left in one of the engine's slots, and a new one is first looked for there. A slot is a pointer: it is emptied by exchange and filled by
 * compare-and-exchange, so an encoder in a slot belongs to nobody and one outside to one thread; there is no lock that a thread could sleep on or a
 * fork could copy in its locked state. A child of fork has the idle encoders' pages as they were and changes its own copies.
 *
 * There are as many slots as processors this process may use: more encoders than that do not run at once, and are freed for good.
 * Memory that one long document has grown is not kept: buffers, and what else holds nothing learnt.
 *
 * Results do not depend on any of this: an encoder that remembers gives the ids that a fresh one would. */
#include "base/thread.h"
#include "encode/inside.h"

static const size_t KEEP_BYTES = 1 << 20; /* of a buffer; and of a document, for what grows with it */

/* ---------------------------------------------------------------- slots ---- */

void pm_idle_init(pm_idle *idle) {
    unsigned processors = pm_default_threads();
    idle->n = processors < PM_IDLE_MOST ? processors : PM_IDLE_MOST;
    for (unsigned i = 0; i < PM_IDLE_MOST; i++) {
        atomic_init(&idle->slots[i], NULL);
    }
}

static pm_encoder *take(pm_idle *idle) {
    for (unsigned i = 0; i < idle->n; i++) {
        if (atomic_load_explicit(&idle->slots[i], memory_order_relaxed)) { /* a look is cheaper than an exchange */
            pm_encoder *enc = atomic_exchange_explicit(&idle->slots[i], NULL, memory_order_acquire);
            if (enc) {
                return enc;
            }
        }
    }
    return NULL;
}

/* False: all slots are full. */
static bool give(pm_idle *idle, pm_encoder *enc) {
    for (unsigned i = 0; i < idle->n; i++) {
        pm_encoder *empty = NULL;
        if (atomic_compare_exchange_strong_explicit(&idle->slots[i], &empty, enc, memory_order_release, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- encoders ---- */

static void destroy(pm_encoder *enc) {
    if (enc) {
        pm_split_scratch_free(enc->split);
        pm_bpe_scratch_free(enc->bpe);
        pm_lattice_scratch_free(enc->lattice);
        pm_pipeline_scratch_free(enc->pipeline);
        pm_buf_release(&enc->utf8);
        pm_buf_release(&enc->normalized);
        pm_free(enc->spill);
        pm_free(enc);
    }
}

/* Makes the parts that the encoder lacks. */
static pm_status complete(pm_encoder *enc, pm_error *err) {
    const pm_splitter *splitter = enc->tok->model.splitter;
    PM_TRY(pm_engine_complete(enc->engine, enc->tok, err));
    if (enc->engine->lattice && !enc->lattice) {
        PM_TRY(pm_lattice_scratch_new(&enc->lattice, err));
    }
    if (enc->engine->pipeline && !enc->pipeline) {
        PM_TRY(pm_pipeline_scratch_new(&enc->pipeline, enc->engine->pipeline, err));
    }
    if (enc->engine->bpe && !enc->bpe) {
        PM_TRY(pm_bpe_scratch_new(&enc->bpe, err));
    }
    return enc->split || !splitter ? PM_OK : pm_split_scratch_new(&enc->split, splitter, err);
}

pm_status pm_encoder_new(pm_encoder **out, const pm_tokenizer *tok, pm_error *err) {
    pm_engine *engine = tok->engine;
    pm_encoder *enc = take(&engine->idle);

    *out = NULL;
    if (!enc) {
        enc = pm_calloc(1, sizeof *enc);
        if (!enc) {
            return pm_fail_memory(err);
        }
        enc->tok = tok;
        enc->engine = engine;
    }
    pm_status status = complete(enc, err);
    if (status != PM_OK) {
        destroy(enc);
        return status;
    }
    *out = enc;
    return PM_OK;
}

static void forget_large(pm_encoder *enc) {
    if (enc->longest <= KEEP_BYTES) {
        return;
    }
    enc->longest = 0;
    pm_split_scratch_free(enc->split);
    pm_lattice_scratch_free(enc->lattice);
    enc->split = NULL;
    enc->lattice = NULL;
    if (enc->bpe) {
        pm_bpe_scratch_trim(enc->bpe);
    }
    if (enc->pipeline) {
        pm_pipeline_scratch_trim(enc->pipeline);
    }
    pm_buf_release(&enc->utf8);
    pm_buf_release(&enc->normalized);
    pm_free(enc->spill);
    enc->spill = NULL;
    enc->spill_cap = 0;
}

void pm_encoder_free(pm_encoder *enc) {
    if (enc) {
        forget_large(enc);
        if (!give(&enc->engine->idle, enc)) {
            destroy(enc);
        }
    }
}

void pm_idle_release(pm_idle *idle) {
    for (unsigned i = 0; i < PM_IDLE_MOST; i++) {
        destroy(atomic_exchange_explicit(&idle->slots[i], NULL, memory_order_acquire));
    }
}
