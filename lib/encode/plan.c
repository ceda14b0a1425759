/* plan.c - from a caller's options to a checked plan: which special tokens are matched, refused or noticed. */
#include <math.h>

#include "base/bytes.h"
#include "encode/inside.h"

/* An options struct of an older header is shorter: what it lacks has its default. */
static pm_status copy_options(pm_encode_options *o, const pm_encode_options *options, pm_error *err) {
    *o = (pm_encode_options)PM_ENCODE_OPTIONS_INIT;
    if (!options) {
        return PM_OK;
    }
    if (options->size < sizeof options->size || options->size > sizeof *o) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "encode options have size %zu: initialise them with PM_ENCODE_OPTIONS_INIT",
                       options->size);
    }
    memcpy(o, options, options->size);
    if ((unsigned)o->allowed > PM_SPECIAL_LIST || (unsigned)o->disallowed > PM_SPECIAL_LIST) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "encode options have an unknown mode of special tokens");
    }
    return PM_OK;
}

static pm_status mark(pm_plan *plan, const pm_engine *engine, pm_bytes text, uint8_t bit, const char *list, pm_error *err) {
    for (size_t i = 0; i < engine->n_matched; i++) {
        if (!engine->always[i] && pm_bytes_equal(engine->matched[i].text, text)) {
            plan->each[i] |= bit;
            return PM_OK;
        }
    }
    return pm_fail(err, PM_INVALID_ARGUMENT, "the %s special token '%.*s' is not one of this tokenizer", list,
                   (int)(text.len < 200 ? text.len : 200), text.len ? (const char *)text.data : "");
}

/* Lists are given, or some tokens always match: each token has bits of its own. */
static pm_status mark_each(pm_plan *plan, const pm_engine *engine, const pm_encode_options *o, bool refuse_rest, bool notice,
                           pm_error *err) {
    size_t n = engine->n_matched;

    plan->each = pm_calloc(n, 1);
    if (!plan->each) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < o->n_allowed && o->allowed == PM_SPECIAL_LIST; i++) {
        PM_TRY(mark(plan, engine, o->allowed_list[i], PM_SPECIAL_MATCH, "allowed", err));
    }
    for (size_t i = 0; i < o->n_disallowed && o->disallowed == PM_SPECIAL_LIST; i++) {
        PM_TRY(mark(plan, engine, o->disallowed_list[i], PM_SPECIAL_REFUSE, "disallowed", err));
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t *bits = &plan->each[i];
        if (o->allowed == PM_SPECIAL_ALL || engine->always[i]) {
            *bits |= PM_SPECIAL_MATCH;
        }
        if (*bits == 0) {
            *bits = refuse_rest ? PM_SPECIAL_REFUSE : notice ? PM_SPECIAL_NOTICE : 0;
        }
        plan->scan |= *bits != 0;
    }
    plan->rules.each = plan->each;
    return PM_OK;
}

/* What can be drawn: segmentations of BytePiece and Unigram, merges of BPE in a general tokenizer. */
static pm_status check_alpha(const pm_tokenizer *tok, double alpha, pm_error *err) {
    pm_algorithm algorithm = tok->model.algorithm;
    if (algorithm == PM_ALGORITHM_BYTEPIECE || algorithm == PM_ALGORITHM_UNIGRAM) {
        return PM_OK;
    }
    if (algorithm != PM_ALGORITHM_BPE || !tok->model.general) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "alpha is for BytePiece: this tokenizer is %s", algorithm == PM_ALGORITHM_BPE ? "BPE" : "none that can be drawn from");
    }
    return alpha <= 1 ? PM_OK : pm_fail(err, PM_INVALID_ARGUMENT, "alpha is the share of merges that are left out: at most 1");
}

pm_status pm_plan_init(pm_plan *plan, const pm_tokenizer *tok, const pm_encode_options *options, bool batch, pm_error *err) {
    const pm_engine *engine = tok->engine;
    pm_encode_options o;

    *plan = (pm_plan){0};
    PM_TRY(copy_options(&o, options, err));
    if (isnan(o.alpha) || isinf(o.alpha)) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "alpha must be a finite number");
    }
    if (o.alpha > PM_ALPHA_MAX) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "alpha must be at most %.0f: for the best segmentation leave it out", PM_ALPHA_MAX);
    }
    PM_TRY(o.alpha >= 0 ? check_alpha(tok, o.alpha, err) : PM_OK);
    plan->normalize = (tok->model.normalize || tok->model.general) && !o.no_normalize;
    plan->growth = !plan->normalize ? 1 : !tok->model.characters ? 3 : tok->model.add_prefix ? 2 : 1;
    plan->add_special_tokens = o.add_special_tokens;
    plan->ends = o.add_special_tokens ? 2 + engine->template.n : 0;
    plan->sample = o.alpha >= 0;
    plan->alpha = o.alpha;
    plan->seed = o.seed;
    plan->document = o.document;
    plan->threads = o.threads ? o.threads : batch ? pm_default_threads() : 1;

    bool refuse_rest = o.disallowed == PM_SPECIAL_ALL || (o.disallowed == PM_SPECIAL_DEFAULT && !batch);
    if (o.allowed == PM_SPECIAL_LIST || o.disallowed == PM_SPECIAL_LIST || engine->n_always) {
        return mark_each(plan, engine, &o, refuse_rest, batch, err);
    }
    plan->rules.all = o.allowed == PM_SPECIAL_ALL ? PM_SPECIAL_MATCH
                      : refuse_rest               ? PM_SPECIAL_REFUSE
                      : batch                     ? PM_SPECIAL_NOTICE
                                                  : 0;
    plan->scan = plan->rules.all != 0 && engine->n_matched > 0;
    return PM_OK;
}

void pm_plan_release(pm_plan *plan) {
    pm_free(plan->each);
    *plan = (pm_plan){0};
}

size_t pm_plan_bound(const pm_plan *plan, size_t len) {
    size_t ids;
    if (__builtin_mul_overflow(len, plan->growth, &ids) ||
        __builtin_add_overflow(ids, plan->ends, &ids)) {
        return SIZE_MAX;
    }
    return ids;
}
