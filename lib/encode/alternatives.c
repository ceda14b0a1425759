/* alternatives.c - the n best segmentations of a document, and the probabilities of its pieces, from those of its
 * chunks.
 *
 * No piece crosses the end of a chunk or a special token, so a document's segmentation is one of each of its chunks in
 * turn, and its score the sum of theirs. The n best of the document up to a chunk are made of the n best up to the one
 * before (the paths) and the n best of the chunk (the candidates): of each candidate's list of sums with the paths, in
 * order, the beginning of their merge. A path keeps its last candidate and the path it goes on from, so it costs 24
 * bytes a chunk. A special token is a chunk with one candidate, whose score is 0.
 *
 * Cost: n log n a chunk beside that of the lattice (lattice_nbest.c). */
#include "encode/heads.h"
#include "encode/inside.h"

/* ---------------------------------------------------------------- the n best ---- */

typedef struct candidate {
    size_t begin, end; /* in nbest.ids */
    double score;
} candidate;

typedef struct path {
    size_t before, candidate; /* in nbest.paths and nbest.candidates; NONE for the path of nothing */
    double score;
} path;

static const size_t NONE = SIZE_MAX;

typedef struct nbest {
    pm_visitor visitor;
    size_t most;
    pm_id *ids;
    size_t n_ids, cap_ids;
    candidate *candidates;
    size_t n_candidates, cap_candidates;
    path *paths;
    size_t first, n_paths, cap_paths; /* from `first` on: the best so far */
    pm_head *heads;                   /* the list's number: of the candidate, from the chunk's first */
    size_t cap_heads;
} nbest;

static void release_nbest(nbest *b) {
    pm_free(b->ids);
    pm_free(b->candidates);
    pm_free(b->paths);
    pm_free(b->heads);
}

static pm_status add_path(nbest *b, path p, pm_error *err) {
    PM_TRY(pm_grow((void **)&b->paths, &b->cap_paths, b->n_paths + 1, sizeof *b->paths, err));
    b->paths[b->n_paths++] = p;
    return PM_OK;
}

static pm_status add_candidate(void *user, const uint32_t *ids, size_t n, double score, pm_error *err) {
    nbest *b = user;
    PM_TRY(pm_grow((void **)&b->ids, &b->cap_ids, b->n_ids + n, sizeof *b->ids, err));
    PM_TRY(pm_grow((void **)&b->candidates, &b->cap_candidates, b->n_candidates + 1, sizeof *b->candidates, err));
    memcpy(b->ids + b->n_ids, ids, n * sizeof *ids);
    b->candidates[b->n_candidates++] = (candidate){b->n_ids, b->n_ids + n, score};
    b->n_ids += n;
    return PM_OK;
}

/* Extends the paths by the candidates from number `chunk` on. */
static pm_status extend(nbest *b, size_t chunk, pm_error *err) {
    size_t old = b->first, n_old = b->n_paths - old, n = b->n_candidates - chunk;

    b->first = b->n_paths;
    PM_TRY(pm_grow((void **)&b->heads, &b->cap_heads, n, sizeof *b->heads, err));
    for (size_t i = 0; i < n; i++) {
        b->heads[i] = (pm_head){b->paths[old].score + b->candidates[chunk + i].score, (uint32_t)i, 0};
    }
    pm_heads_begin(b->heads, n);
    while (n > 0 && b->n_paths - b->first < b->most) {
        pm_head *best = &b->heads[0];
        size_t which = chunk + best->list;
        PM_TRY(add_path(b, (path){old + best->rank, which, best->score}, err));
        if (++best->rank < n_old) {
            best->score = b->paths[old + best->rank].score + b->candidates[which].score;
        } else {
            *best = b->heads[--n];
        }
        pm_heads_sink(b->heads, n, 0);
    }
    return PM_OK;
}

/* A segmentation of a word of a general tokenizer. */
static pm_status add_tokens(void *user, const pm_core_token *tokens, size_t n, double score, pm_error *err) {
    nbest *b = user;
    PM_TRY(pm_grow((void **)&b->ids, &b->cap_ids, b->n_ids + n, sizeof *b->ids, err));
    PM_TRY(pm_grow((void **)&b->candidates, &b->cap_candidates, b->n_candidates + 1, sizeof *b->candidates, err));
    b->candidates[b->n_candidates++] = (candidate){b->n_ids, b->n_ids + n, score};
    for (size_t i = 0; i < n; i++) {
        b->ids[b->n_ids++] = tokens[i].id;
    }
    return PM_OK;
}

static pm_status nbest_chunk(pm_visitor *v, pm_encoder *enc, pm_bytes chunk, pm_error *err) {
    nbest *b = (nbest *)v;
    size_t first = b->n_candidates;
    PM_TRY(enc->engine->pipeline
               ? pm_core_nbest(pm_pipeline_core(enc->engine->pipeline), pm_pipeline_core_scratch(enc->pipeline), chunk, b->most, add_tokens, b, err)
               : pm_lattice_nbest(enc->engine->lattice, enc->lattice, chunk, b->most, add_candidate, b, err));
    return extend(b, first, err);
}

static pm_status nbest_token(pm_visitor *v, pm_id id, size_t len, pm_error *err) {
    nbest *b = (nbest *)v;
    (void)len;
    PM_TRY(add_candidate(b, &id, 1, 0, err));
    return extend(b, b->n_candidates - 1, err);
}

/* The ids of a path, the last one before `end`; returns where the first is. end NULL: counts only. */
static pm_id *put_path(const nbest *b, size_t p, pm_id *end, size_t *n) {
    for (; b->paths[p].before != NONE; p = b->paths[p].before) {
        const candidate *c = &b->candidates[b->paths[p].candidate];
        *n += c->end - c->begin;
        if (end) {
            end -= c->end - c->begin;
            memcpy(end, b->ids + c->begin, (c->end - c->begin) * sizeof *end);
        }
    }
    return end;
}

static pm_status give_paths(const nbest *b, pm_batch *out, double *scores, pm_error *err) {
    size_t n = b->n_paths - b->first, n_ids = 0;

    out->offsets = pm_alloc(n + 1, sizeof *out->offsets);
    if (!out->offsets) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < n; i++) {
        out->offsets[i] = n_ids;
        (void)put_path(b, b->first + i, NULL, &n_ids);
    }
    out->offsets[n] = n_ids;
    out->ids = pm_alloc(n_ids, sizeof *out->ids);
    if (!out->ids) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < n; i++) {
        (void)put_path(b, b->first + i, out->ids + out->offsets[i + 1], &n_ids);
        if (scores) {
            scores[i] = b->paths[b->first + i].score;
        }
    }
    out->n_docs = n;
    return PM_OK;
}

/* ---------------------------------------------------------------- marginals ---- */

typedef struct marginals {
    pm_visitor visitor;
    pm_marginals *out;
    uint64_t place; /* bytes before the chunk */
    double alpha;
} marginals;

static pm_status marginals_chunk(pm_visitor *v, pm_encoder *enc, pm_bytes chunk, pm_error *err) {
    marginals *m = (marginals *)v;
    size_t first = m->out->n;
    PM_TRY(pm_lattice_marginals(enc->engine->lattice, enc->lattice, chunk, m->alpha, m->out, err));
    for (size_t i = first; i < m->out->n; i++) {
        m->out->items[i].begin += m->place;
        m->out->items[i].end += m->place;
    }
    m->place += chunk.len;
    return PM_OK;
}

static pm_status marginals_token(pm_visitor *v, pm_id id, size_t len, pm_error *err) {
    marginals *m = (marginals *)v;
    if (len > 0) {
        PM_TRY(pm_grow((void **)&m->out->items, &m->out->cap, m->out->n + 1, sizeof *m->out->items, err));
        m->out->items[m->out->n++] = (pm_marginal){m->place, m->place + len, id, 1};
        m->place += len;
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- calls ---- */

/* Shows a document's chunks to a visitor. */
static pm_status visit(pm_encoder *enc, pm_text text, const pm_plan *plan, pm_visitor *visitor, pm_error *err) {
    pm_out out = {.visitor = visitor};
    bool noticed;
    bool unigram = enc->engine->pipeline && enc->tok->model.algorithm == PM_ALGORITHM_UNIGRAM && visitor->chunk != marginals_chunk;
    if (!enc->engine->lattice && !unigram) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "segmentations have probabilities in BytePiece only: this tokenizer is %s",
                       enc->tok->model.algorithm == PM_ALGORITHM_BPE ? "BPE" : "of another kind");
    }
    return pm_encode_document(enc, plan, text, 0, &out, &noticed, err);
}

static pm_status run_nbest(pm_encoder *enc, pm_text text, const pm_plan *plan, nbest *b, pm_batch *out, double *scores,
                           pm_error *err) {
    if (b->most == 0) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "the number of segmentations must not be 0");
    }
    if (plan->sample) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "the best segmentations are not drawn: alpha has no meaning here");
    }
    PM_TRY(add_path(b, (path){NONE, NONE, 0}, err));
    PM_TRY(visit(enc, text, plan, &b->visitor, err));
    return give_paths(b, out, scores, err);
}

pm_status pm_encode_nbest(pm_encoder *enc, pm_text text, size_t n, const pm_encode_options *options, pm_batch *out,
                          double *scores, pm_error *err) {
    nbest b = {.visitor = {nbest_chunk, nbest_token}, .most = n};
    pm_plan plan;

    *out = (pm_batch){0};
    pm_status status = pm_plan_init(&plan, enc->tok, options, false, err);
    if (status == PM_OK) {
        status = run_nbest(enc, text, &plan, &b, out, scores, err);
    }
    pm_plan_release(&plan);
    release_nbest(&b);
    if (status != PM_OK) {
        pm_batch_release(out);
    }
    return status;
}

pm_status pm_encode_marginals(pm_encoder *enc, pm_text text, const pm_encode_options *options, pm_marginals *out,
                              pm_error *err) {
    pm_plan plan;

    *out = (pm_marginals){0};
    pm_status status = pm_plan_init(&plan, enc->tok, options, false, err);
    if (status == PM_OK) {
        marginals m = {
            .visitor = {marginals_chunk, marginals_token}, .out = out, .alpha = plan.sample ? plan.alpha : 1};
        status = visit(enc, text, &plan, &m.visitor, err);
    }
    pm_plan_release(&plan);
    if (status != PM_OK) {
        pm_marginals_release(out);
    }
    return status;
}

void pm_marginals_release(pm_marginals *m) {
    if (m) {
        pm_free(m->items);
        *m = (pm_marginals){0};
    }
}
