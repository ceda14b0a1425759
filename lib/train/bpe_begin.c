/* bpe_begin.c - the vocabulary that BPE training begins with: rules, the merges of another tokenizer, required pieces.
 *
 * Extending. The tokenizer's merges come first, in their order, and the trainer goes on as if it had made them. For that each of its pieces must come
 * of one merge of pieces that come before it; vocabularies with pieces that no merge makes, or that two make, are refused.
 *
 * Required pieces. A piece is in a vocabulary when merges make it. Which ones, BPE itself knows best: it is trained on the required pieces alone, each
 * seen once, until each is a single symbol. What they have in common is merged first and shared, and their order does not matter:
 *
 *     hello, hell, shell     e+l (3)  el+l (3)  h+ell (3)  hell+o (1)  s+hell (1)
 *
 * These merges come before all that are learned from the corpus, so nothing that is learned can keep such a piece apart: encoding it makes the same merges
 * in the same order. (Whether the pattern leaves it in one pre-token is another matter.) */
#include "train/bpe_begin.h"

#include "encode/pairs.h"
#include "model/model.h"
#include "train/bpe.h"

/* For sentences: a text of at most 60 bytes. */
#define SHOWN(text) (int)((text).len < 60 ? (text).len : 60), (const char *)(text).data

/* ---------------------------------------------------------------- extending ---- */

/* The symbols of a tokenizer's ids; PM_ID_NONE: it is not there yet. */
static pm_status bytes_of(const pm_tokenizer *tok, uint32_t **symbols, pm_error *err) {
    *symbols = pm_alloc(tok->vocab_size, sizeof **symbols);
    if (!*symbols) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < tok->vocab_size; i++) {
        (*symbols)[i] = PM_ID_NONE;
    }
    for (uint32_t i = 0; i < 256; i++) {
        (*symbols)[tok->byte_id[pm_byte_order[i]]] = i;
    }
    return PM_OK;
}

static pm_status add_merges(pm_bpe_vocab *vocab, const pm_tokenizer *tok, uint32_t *symbols, pm_error *err) {
    for (size_t i = 0; i < tok->model.n_merges; i++) {
        const pm_merge *m = &tok->model.merges[i];
        pm_bytes text = tok->model.pieces[m->result];
        if (symbols[m->left] == PM_ID_NONE || symbols[m->right] == PM_ID_NONE) {
            return pm_fail(err, PM_INVALID_ARGUMENT, "extend: merge %zu, which makes '%.*s', joins a piece that no merge before it makes", i,
                           SHOWN(text));
        }
        if (symbols[m->result] != PM_ID_NONE) {
            return pm_fail(err, PM_INVALID_ARGUMENT, "extend: two merges of the tokenizer make '%.*s'; each piece must come of one", SHOWN(text));
        }
        if (pm_bpe_vocab_excludes(vocab, text.data, text.len)) {
            return pm_fail(err, PM_INVALID_ARGUMENT, "extend: '%.*s' is a piece of the tokenizer, but is a special token or excluded now", SHOWN(text));
        }
        symbols[m->result] = (uint32_t)pm_bpe_vocab_size(vocab);
        PM_TRY(pm_bpe_vocab_add(vocab, symbols[m->left], symbols[m->right], tok->model.counts[m->result], err));
    }
    return PM_OK;
}

static pm_status check_pieces(const pm_tokenizer *tok, const uint32_t *symbols, pm_error *err) {
    for (size_t i = 0; i < tok->vocab_size; i++) {
        if (tok->model.kinds[i] == PM_KIND_PIECE && symbols[i] == PM_ID_NONE) {
            return pm_fail(err, PM_INVALID_ARGUMENT, "extend: no merge of the tokenizer makes '%.*s'; each piece must come of one",
                           SHOWN(tok->model.pieces[i]));
        }
    }
    return PM_OK;
}

static pm_status extend(pm_bpe_vocab *vocab, const pm_tokenizer *tok, size_t wanted, pm_error *err) {
    uint32_t *symbols;
    if (tok->model.n_merges > wanted) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "extend: the tokenizer has %zu merges already, the vocabulary size leaves room for %zu",
                       tok->model.n_merges, wanted);
    }
    PM_TRY(bytes_of(tok, &symbols, err));
    pm_status status = add_merges(vocab, tok, symbols, err);
    if (status == PM_OK) {
        status = check_pieces(tok, symbols, err);
    }
    pm_free(symbols);
    return status;
}

/* ---------------------------------------------------------------- required pieces ---- */

/* Each as a record of bytes, once. */
static pm_status add_required(pm_records *records, const pm_train_options *o, pm_error *err) {
    for (size_t i = 0; i < o->n_required_pieces; i++) {
        pm_bytes piece = o->required_pieces[i];
        size_t bytes = pm_record_bytes(piece.len, 1);
        pm_record *record = pm_records_reserve(records, bytes);
        if (!record) {
            return pm_fail_memory(err);
        }
        *record = (pm_record){1, (uint32_t)piece.len};
        memcpy(pm_record_cells(record), piece.data, piece.len);
        records->last->used += bytes;
    }
    return PM_OK;
}

static pm_status store_required(pm_store **store, const pm_train_options *o, pm_error *err) {
    pm_records records = {0};
    PM_TRY(pm_store_new(store, UINT64_MAX, o->tmpdir, err));
    pm_status status = add_required(&records, o, err);
    if (status == PM_OK) {
        status = pm_store_put_all(*store, &records, err);
    }
    pm_records_release(&records);
    if (status != PM_OK) {
        pm_store_free(*store);
    }
    return status;
}

/* Is there a symbol with each required text? */
static pm_status check_required(const pm_bpe_vocab *vocab, const pm_train_options *o, pm_error *err) {
    pm_bpe_rules none = {.excluded = vocab->texts, .n_excluded = pm_bpe_vocab_size(vocab)}; /* the table of texts serves any set of them */
    pm_bpe_vocab made;
    PM_TRY(pm_bpe_vocab_init(&made, &none, err));
    pm_status status = PM_OK;
    for (size_t i = 0; i < o->n_required_pieces && status == PM_OK; i++) {
        pm_bytes piece = o->required_pieces[i];
        if (!pm_bpe_vocab_excludes(&made, piece.data, piece.len)) {
            status = pm_fail(err, PM_INVALID_ARGUMENT,
                             "required piece %zu, '%.*s', cannot be made: it, or what it is made of, is a special token, is excluded, "
                             "is longer than max_piece_length or max_words, or breaks utf8_boundaries",
                             i, SHOWN(piece));
        }
    }
    pm_bpe_vocab_release(&made);
    return status;
}

static pm_status require(pm_bpe_vocab *vocab, size_t wanted, pm_train_job *job, pm_error *err) {
    const pm_train_options *o = &job->o;
    const pm_bpe_memory memory = {UINT64_MAX, UINT64_MAX};
    pm_store *store;
    size_t first = vocab->n_merges, most = first;
    for (size_t i = 0; i < o->n_required_pieces; i++) {
        most += o->required_pieces[i].len;
    }
    PM_TRY(pm_ticker_phase(&job->ticker, "required pieces", "merges", 0, err));
    most = most < PM_PAIR_LIMIT - 256 ? most : PM_PAIR_LIMIT - 256;
    PM_TRY(store_required(&store, o, err));
    PM_TRY(pm_bpe_learn(vocab, store, most, 1, 1, &pm_bpe_plan_default, &memory, &job->ticker, err));
    PM_TRY(check_required(vocab, o, err));
    if (vocab->n_merges > wanted) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "the required pieces take %zu merges; the vocabulary size leaves room for %zu", vocab->n_merges - first,
                       wanted - first);
    }
    for (size_t i = first; i < vocab->n_merges; i++) {
        vocab->merges[i].count = 0; /* those of the corpus are not known */
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- the call ---- */

static pm_status begin(pm_bpe_vocab *vocab, size_t wanted, pm_train_job *job, pm_error *err) {
    if (job->o.extend) {
        PM_TRY(extend(vocab, job->o.extend, wanted, err));
    }
    return job->o.n_required_pieces ? require(vocab, wanted, job, err) : PM_OK;
}

pm_status pm_bpe_begin(pm_bpe_vocab *vocab, size_t wanted, pm_train_job *job, pm_error *err) {
    const pm_train_options *o = &job->o;
    pm_bpe_rules rules = {o->special_tokens, o->n_special_tokens, o->excluded_pieces, o->n_excluded_pieces, o->max_piece_length, o->max_words,
                          o->utf8_boundaries, o->level == PM_LEVEL_CHARACTER};
    PM_TRY(pm_bpe_vocab_init(vocab, &rules, err));
    pm_status status = begin(vocab, wanted, job, err);
    if (status != PM_OK) {
        pm_bpe_vocab_release(vocab);
    }
    return status;
}
