/* bpe_tables.c - filling the tables that BPE encoding reads: pairs, pieces by their bytes, certain breaks, which
 * pieces are reachable. */
#include "encode/bpe_tables.h"

static pm_status fill_pairs(pm_bpe *bpe, pm_error *err) {
    const pm_model *model = &bpe->tok->model;

    for (pm_id id = PM_PAIR_LIMIT; id < model->vocab_size; id++) {
        if (pm_model_is_piece(model, id)) {
            return pm_fail(err, PM_LIMIT, "a piece has the id %u: BPE has room for ids below %u", id,
                           (unsigned)PM_PAIR_LIMIT);
        }
    }
    PM_TRY(pm_pairs_init(&bpe->pairs, model->n_merges, model->n_merges, err));
    for (size_t i = 0; i < model->n_merges; i++) {
        const pm_merge *m = &model->merges[i];
        pm_pairs_add(&bpe->pairs, m->left, m->right, (uint32_t)i, m->result);
    }
    if (model->characters) {
        bpe->characters = pm_calloc(1, sizeof *bpe->characters);
        return bpe->characters ? pm_first_fill(bpe->characters, model, err) : pm_fail_memory(err);
    }
    bpe->byte_pairs = pm_alloc(PM_BYTE_PAIRS, sizeof *bpe->byte_pairs);
    if (!bpe->byte_pairs) {
        return pm_fail_memory(err);
    }
    const pm_id *byte_id = bpe->tok->byte_id;
    for (unsigned i = 0; i < PM_BYTE_PAIRS; i++) {
        bpe->byte_pairs[i] = pm_pairs_find(&bpe->pairs, byte_id[i >> 8], byte_id[i & 0xFF]);
    }
    return PM_OK;
}

/* Finds out whether ranks rise: see bpe.c on long units. */
static pm_status find_rising(pm_bpe *bpe, pm_error *err) {
    const pm_model *model = &bpe->tok->model;
    uint32_t *first =
        pm_calloc(model->vocab_size, sizeof *first); /* rank above all merges that make a piece; 0: none does */

    if (!first) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < model->n_merges; i++) {
        first[model->merges[i].result] = (uint32_t)i + 1;
    }
    bpe->rising = true;
    for (size_t i = 0; i < model->n_merges; i++) {
        bpe->rising &= first[model->merges[i].left] <= i && first[model->merges[i].right] <= i;
    }
    pm_free(first);
    return PM_OK;
}

static void mark_unreachable(pm_bpe *bpe, pm_id id) { bpe->unreachable[id >> 3] |= (uint8_t)(1u << (id & 7)); }

/* Of a piece longer than PM_MERGE_SHORT. */
static pm_status merge_long_piece(pm_bpe *bpe, pm_merge_scratch *scratch, pm_id id, pm_id *ids, pm_error *err) {
    pm_bytes piece = bpe->tok->model.pieces[id];
    size_t n;

    PM_TRY(pm_merge_reserve(scratch, piece.len, err));
    n = pm_bpe_begin_unit(bpe, piece.data, piece.len, ids, scratch->ranks);
    PM_TRY(pm_merge_word(&bpe->pairs, scratch, ids, n, &n, err));
    if (n != 1 || ids[0] != id) {
        mark_unreachable(bpe, id);
    }
    return PM_OK;
}

/* Short pieces, several at once. */
static void merge_pieces(pm_bpe *bpe, pm_merge_lane *lanes, const pm_id *ids, size_t n) {
    pm_id left[PM_MERGE_SHORT];

    pm_merge_lanes(&bpe->pairs, lanes, n);
    for (size_t i = 0; i < n; i++) {
        if (pm_merge_lane_end(&lanes[i], left) != 1 || left[0] != ids[i]) {
            mark_unreachable(bpe, ids[i]);
        }
    }
}

/* By merging each piece. `lanes` has PM_MERGE_LANES. */
static pm_status merge_each(pm_bpe *bpe, pm_merge_lane *lanes, pm_merge_scratch *scratch, pm_id *long_ids,
                            pm_error *err) {
    const pm_model *model = &bpe->tok->model;
    pm_id ids[PM_MERGE_LANES];
    size_t n = 0;

    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (!pm_model_is_piece(model, id)) {
            continue;
        }
        if (model->pieces[id].len > PM_MERGE_SHORT) {
            PM_TRY(merge_long_piece(bpe, scratch, id, long_ids, err));
            continue;
        }
        pm_bpe_begin_merge(bpe, model->pieces[id].data, model->pieces[id].len, &lanes[n]);
        ids[n++] = id;
        if (n == PM_MERGE_LANES) {
            merge_pieces(bpe, lanes, ids, n);
            n = 0;
        }
    }
    merge_pieces(bpe, lanes, ids, n);
    return PM_OK;
}

static pm_status find_by_merging(pm_bpe *bpe, pm_error *err) {
    pm_merge_scratch scratch = {0};
    pm_merge_lane *lanes = pm_alloc(PM_MERGE_LANES, sizeof *lanes);
    pm_id *long_ids = pm_alloc(bpe->longest, sizeof *long_ids);
    pm_status status = lanes && long_ids ? merge_each(bpe, lanes, &scratch, long_ids, err) : pm_fail_memory(err);

    pm_free(lanes);
    pm_free(long_ids);
    pm_merge_scratch_release(&scratch);
    return status;
}

/* By the merges there are: derive.c says why. */
static void find_underived(pm_bpe *bpe) {
    const pm_model *model = &bpe->tok->model;

    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (pm_model_is_piece(model, id) && !pm_first_is_one(model, model->pieces[id])) {
            mark_unreachable(bpe, id);
        }
    }
    for (size_t i = 0; i < model->n_merges; i++) {
        pm_id id = model->merges[i].result;
        bpe->unreachable[id >> 3] &= (uint8_t) ~(1u << (id & 7));
    }
}

/* Marks the pieces that merging does not lead to. */
static pm_status find_unreachable(pm_bpe *bpe, pm_error *err) {
    size_t size = (size_t)bpe->tok->model.vocab_size / 8 + 1, i = 0;

    bpe->unreachable = pm_calloc(size, 1);
    if (!bpe->unreachable) {
        return pm_fail_memory(err);
    }
    if (bpe->tok->model.derived) {
        find_underived(bpe);
    } else {
        PM_TRY(find_by_merging(bpe, err));
    }
    while (i < size && bpe->unreachable[i] == 0) {
        i++;
    }
    if (i == size) {
        pm_free(bpe->unreachable);
        bpe->unreachable = NULL;
    }
    return PM_OK;
}

static pm_status fill_words(pm_bpe *bpe, pm_error *err) {
    const pm_model *model = &bpe->tok->model;
    size_t n = 0;

    for (pm_id id = 0; id < model->vocab_size; id++) {
        n += pm_model_is_piece(model, id);
    }
    PM_TRY(pm_words_init(&bpe->words, n, err));
    bpe->long_filter = pm_calloc(PM_LONG_FILTER_BYTES, 1);
    if (!bpe->long_filter) {
        return pm_fail_memory(err);
    }
    for (pm_id id = 0; id < model->vocab_size; id++) {
        pm_bytes piece = model->pieces[id];
        if (!pm_model_is_piece(model, id) || !pm_bpe_may_look_up(bpe, id, false)) {
            continue;
        }
        if (piece.len <= PM_WORD_MAX) {
            pm_words_add(&bpe->words, pm_word_key_of(piece.data, piece.len, piece.len), id);
        } else {
            uint32_t hash = pm_bpe_long_hash(piece.data, piece.len);
            bpe->long_filter[hash >> 3] |= (uint8_t)(1u << (hash & 7));
        }
    }
    return PM_OK;
}

/* All pieces, those that merging does not lead to as well: whole_first may have them. */
static pm_status find_breaks(pm_bpe *bpe, pm_error *err) {
    const pm_model *model = &bpe->tok->model;

    bpe->breaks = pm_calloc(1, sizeof *bpe->breaks);
    if (!bpe->breaks) {
        return pm_fail_memory(err);
    }
    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (pm_model_is_piece(model, id)) {
            pm_breaks_add(bpe->breaks, model->pieces[id].data, model->pieces[id].len);
        }
    }
    return PM_OK;
}

static pm_status build(pm_bpe *bpe, pm_error *err) {
    const pm_model *model = &bpe->tok->model;

    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (pm_model_is_piece(model, id) && model->pieces[id].len > bpe->longest) {
            bpe->longest = model->pieces[id].len;
        }
    }
    PM_TRY(fill_pairs(bpe, err));
    PM_TRY(find_rising(bpe, err));
    PM_TRY(find_unreachable(bpe, err));
    PM_TRY(find_breaks(bpe, err));
    return fill_words(bpe, err);
}

pm_status pm_bpe_new(pm_bpe **out, const pm_tokenizer *tok, pm_error *err) {
    *out = NULL;
    pm_bpe *bpe = pm_calloc(1, sizeof *bpe);
    if (!bpe) {
        return pm_fail_memory(err);
    }
    bpe->tok = tok;
    pm_status status = build(bpe, err);
    if (status != PM_OK) {
        pm_bpe_free(bpe);
        return status;
    }
    *out = bpe;
    return PM_OK;
}

void pm_bpe_free(pm_bpe *bpe) {
    if (bpe && bpe->mapped) {
        pm_free(bpe);
    } else if (bpe) {
        pm_words_release(&bpe->words);
        pm_pairs_release(&bpe->pairs);
        pm_free(bpe->byte_pairs);
        if (bpe->characters) {
            pm_characters_release(bpe->characters);
            pm_free(bpe->characters);
        }
        pm_free(bpe->breaks);
        pm_free(bpe->unreachable);
        pm_free(bpe->long_filter);
        pm_free(bpe);
    }
}

bool pm_bpe_reachable(const pm_bpe *bpe, pm_id id) { return pm_bpe_is_reachable(bpe, id); }
