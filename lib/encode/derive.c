/* derive.c - the merge behind each entry of a ranked vocabulary.
 *
 * tiktoken's files hold no merges. Its rule is: of all neighbours whose bytes put together are an entry, join those whose
 * entry has the lowest rank, the leftmost of equals. The library's encoder wants merges (left, right) -> result, which it finds
 * by one look-up of two ids, without touching bytes. For every entry t there is at most one pair that can become t:
 *
 *     Look at the moment when two neighbours x, y with xy = t are about to be joined. Nothing was joined across the ends of
 *     t's stretch of text before. So all joins inside the stretch happened as if the stretch stood alone: the lowest of the
 *     whole text, when it lies inside, is the lowest inside. The state inside is therefore one that the rule reaches on t
 *     alone, and of those only one has two tokens.
 *
 * So: run the rule on the bytes of t, without t itself; if it ends with two tokens, they are t's merge, else t has none and can only come
 * about by looking up a whole pre-token (which tiktoken does first). What is joined on the way is shorter than t. Going through
 * the entries from short to long, all merges that the run needs are known already - also those of a rank above t's, which
 * a vocabulary edited by hand may have:
 *
 *     entries   a b c   ab (rank 9)   abc (rank 7)
 *     "ab"      a b: no merge yet, two tokens left          -> (a, b) -> ab, rank 9
 *     "abc"     a b c: a+b joined at rank 9, two left       -> (ab, c) -> abc, rank 7
 *
 * The run with t itself is the same one and a last step if two tokens are left: so an entry encodes to itself when it got a merge or is a byte,
 * and else not.
 *
 * Where a text begins as characters (sentencepiece's BPE, whose rule is the same one), the run begins with them instead of bytes; each must be an
 * entry itself.
 *
 * The answers in the table carry the entry's id as rank; at the end the merges are listed in the order of ids. Cost: one short BPE
 * run an entry: 0.1 s for o200k_base. */
#include "encode/derive.h"

#include "encode/first.h"
#include "encode/merge.h"

typedef struct derivation {
    pm_model *model;
    pm_id byte_id[256]; /* or, where a text begins as characters: */
    pm_characters characters;
    pm_id *order;     /* entries from short to long, of one length in order of id */
    size_t n;
    size_t longest;
    pm_merge *of;     /* of[id]: its merge; result is PM_ID_NONE when it has none */
    pm_id *ids;       /* room for the longest entry */
    pm_pairs pairs;
    pm_merge_scratch scratch;
} derivation;

static void derivation_release(derivation *d) {
    pm_characters_release(&d->characters);
    pm_free(d->order);
    pm_free(d->of);
    pm_free(d->ids);
    pm_pairs_release(&d->pairs);
    pm_merge_scratch_release(&d->scratch);
}

static bool is_piece(const pm_model *model, pm_id id) { return pm_model_is_piece(model, id) && model->pieces[id].len > 0; }

static pm_status find_bytes(derivation *d, pm_error *err) {
    const pm_model *model = d->model;

    for (int b = 0; b < 256; b++) {
        d->byte_id[b] = PM_ID_NONE;
    }
    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (is_piece(model, id)) {
            d->n++;
            d->longest = model->pieces[id].len > d->longest ? model->pieces[id].len : d->longest;
            if (model->pieces[id].len == 1 && !model->characters) {
                d->byte_id[model->pieces[id].data[0]] = id;
            }
        }
    }
    for (int b = 0; b < 256 && !model->characters; b++) {
        if (d->byte_id[b] == PM_ID_NONE) {
            return pm_fail(err, PM_BAD_FORMAT, "the single byte 0x%02X is not an entry", (unsigned)b);
        }
    }
    return model->characters ? pm_first_fill(&d->characters, model, err) : PM_OK;
}

/* Counting sort by length; going through the ids in order keeps it stable. */
static pm_status sort_by_length(derivation *d, pm_error *err) {
    const pm_model *model = d->model;
    size_t *start = pm_calloc(d->longest + 2, sizeof *start);

    d->order = pm_alloc(d->n, sizeof *d->order);
    if (!start || !d->order) {
        pm_free(start);
        return pm_fail_memory(err);
    }
    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (is_piece(model, id)) {
            start[model->pieces[id].len + 1]++;
        }
    }
    for (size_t len = 1; len <= d->longest; len++) {
        start[len] += start[len - 1];
    }
    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (is_piece(model, id)) {
            d->order[start[model->pieces[id].len]++] = id;
        }
    }
    pm_free(start);
    return PM_OK;
}

/* The first tokens of an entry. */
static pm_status begin_piece(derivation *d, pm_id id, size_t *n, pm_error *err) {
    pm_bytes piece = d->model->pieces[id];
    if (!d->model->characters) {
        for (*n = 0; *n < piece.len; ++*n) {
            d->ids[*n] = d->byte_id[piece.data[*n]];
        }
        return PM_OK;
    }
    *n = pm_first_tokens(&d->characters, d->byte_id, piece.data, piece.len, d->ids);
    for (size_t i = 0; i < *n; i++) {
        if (d->ids[i] == PM_ID_NONE) {
            return pm_fail(err, PM_UNSUPPORTED, "piece %u holds a character that is no piece itself: that is not supported", id);
        }
    }
    return PM_OK;
}

static pm_status derive_one(derivation *d, pm_id id, pm_error *err) {
    size_t n;

    if (pm_first_is_one(d->model, d->model->pieces[id])) {
        return PM_OK;
    }
    PM_TRY(begin_piece(d, id, &n, err));
    PM_TRY(pm_merge_word(&d->pairs, &d->scratch, d->ids, n, &n, err));
    if (n == 2) {
        d->of[id] = (pm_merge){d->ids[0], d->ids[1], id};
        pm_pairs_add(&d->pairs, d->ids[0], d->ids[1], id, id);
    }
    return PM_OK;
}

static pm_status derive_all(derivation *d, pm_error *err) {
    pm_model *model = d->model;

    PM_TRY(find_bytes(d, err));
    PM_TRY(sort_by_length(d, err));
    PM_TRY(pm_pairs_init(&d->pairs, d->n, model->vocab_size, err));
    d->of = pm_alloc(model->vocab_size, sizeof *d->of);
    d->ids = pm_alloc(d->longest, sizeof *d->ids);
    if (!d->of || !d->ids) {
        return pm_fail_memory(err);
    }
    for (pm_id id = 0; id < model->vocab_size; id++) {
        d->of[id].result = PM_ID_NONE;
    }
    for (size_t i = 0; i < d->n; i++) {
        PM_TRY(derive_one(d, d->order[i], err));
    }
    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (d->of[id].result != PM_ID_NONE) {
            PM_TRY(pm_model_add_merge(model, d->of[id].left, d->of[id].right, id, err));
        }
    }
    return PM_OK;
}

pm_status pm_bpe_derive_merges(pm_model *model, pm_error *err) {
    derivation d = {.model = model};

    model->whole_first = !model->characters;
    pm_status status = derive_all(&d, err);
    model->derived = status == PM_OK;
    derivation_release(&d);
    return status;
}
