/* bpe_mapped.c - see bpe_mapped.h.
 *
 * The tables (bpe_tables.h) hold no pointers, so they can lie in a file as they lie in memory: processes that load it share its pages, and none of the work is
 * done that making them takes (o200k_base: 60 ms, of which 40 find out which pieces merging leads to).
 *
 *     0    u32 "PMT1" as a number, so that another byte order reads another one; u32 LAYOUT; u64 vocabulary, merges; u64 longest, base, pairs; u32 rising, plain
 *     64   for each array u64 offset from the start, u64 length
 *     ...  the arrays, each at a multiple of 64
 *
 * LAYOUT changes whenever a table or a hash does: then they are made as if the file had none.
 *
 * None of it is believed. What an encoder follows is an id, a rank or the way to the next bucket: ids and ranks are compared with the vocabulary, and in
 * each table there must be a place where a search ends. Wrong contents within these bounds give wrong ids, as wrong pieces in the file do. */
#include "encode/bpe_mapped.h"

#include "encode/bpe_tables.h"

enum { MAGIC = 0x31544D50, LAYOUT = 1, ALIGNMENT = 64 };

typedef enum array { WORDS, PAIRS, FILTER, RESULTS, BYTE_PAIRS, BREAKS, UNREACHABLE, LONG_FILTER, N_ARRAYS } array;

typedef struct front {
    uint32_t magic, layout;
    uint64_t vocab_size, n_merges;
    uint64_t longest, base, n_pairs;
    uint32_t rising, is_plain;
    uint64_t zero;
    struct {
        uint64_t offset, len;
    } arrays[N_ARRAYS];
} front;

static uint64_t round_up(uint64_t n) { return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

/* ---------------------------------------------------------------- writing ---- */

pm_status pm_bpe_append_tables(const pm_bpe *bpe, pm_buf *out, pm_error *err) {
    const pm_model *model = &bpe->tok->model;
    const pm_pairs *pairs = &bpe->pairs;
    const size_t buckets = pairs->mask + 1;
    front f = {.magic = MAGIC, .layout = LAYOUT, .vocab_size = model->vocab_size, .n_merges = model->n_merges, .longest = bpe->longest,
               .base = pairs->base, .n_pairs = pairs->n, .rising = bpe->rising, .is_plain = pairs->is_plain};
    const pm_bytes arrays[N_ARRAYS] = {
        [WORDS] = {(const uint8_t *)bpe->words.buckets, (bpe->words.mask + 1) * sizeof *bpe->words.buckets},
        [PAIRS] = {(const uint8_t *)pairs->slots, (buckets + 1) * PM_PAIRS_IN_BUCKET * sizeof *pairs->slots},
        [FILTER] = {(const uint8_t *)pairs->filter, buckets / 4 * sizeof *pairs->filter},
        [RESULTS] = {(const uint8_t *)pairs->results, pairs->is_plain ? 0 : model->n_merges * sizeof *pairs->results},
        [BYTE_PAIRS] = {(const uint8_t *)bpe->byte_pairs, PM_BYTE_PAIRS * sizeof *bpe->byte_pairs},
        [BREAKS] = {(const uint8_t *)bpe->breaks, sizeof *bpe->breaks},
        [UNREACHABLE] = {bpe->unreachable, bpe->unreachable ? (size_t)model->vocab_size / 8 + 1 : 0},
        [LONG_FILTER] = {bpe->long_filter, PM_LONG_FILTER_BYTES},
    };
    static const uint8_t zeros[ALIGNMENT];
    const uint32_t one = 1;
    uint8_t first;
    uint64_t at = round_up(sizeof f);

    memcpy(&first, &one, 1);
    if (!first || bpe->characters) {
        return pm_fail(err, PM_UNSUPPORTED, "ready-made tables are not written %s", first ? "for BPE over characters" : "on big-endian machines");
    }
    for (int i = 0; i < N_ARRAYS; i++) {
        f.arrays[i].offset = at;
        f.arrays[i].len = arrays[i].len;
        at = round_up(at + arrays[i].len);
    }
    PM_TRY(pm_buf_append(out, &f, sizeof f, err));
    PM_TRY(pm_buf_append(out, zeros, (size_t)(round_up(sizeof f) - sizeof f), err));
    for (int i = 0; i < N_ARRAYS; i++) {
        PM_TRY(pm_buf_append(out, arrays[i].data, arrays[i].len, err));
        PM_TRY(pm_buf_append(out, zeros, (size_t)(round_up(arrays[i].len) - arrays[i].len), err));
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- mapping ---- */

static pm_status bad(const char *what, pm_error *err) { return pm_fail(err, PM_BAD_FORMAT, "corrupted: ready-made tables: %s", what); }

/* Where an array is; it must have this length. */
static const void *find(const front *f, pm_bytes tables, array i, uint64_t len) {
    const uint64_t offset = f->arrays[i].offset;
    return f->arrays[i].len == len && offset % ALIGNMENT == 0 && offset <= tables.len && len <= tables.len - offset ? tables.data + offset : NULL;
}

/* A search goes from bucket to bucket while `more` says so. */
static bool check_words(const pm_words *w, uint32_t vocab_size) {
    uint32_t wrong = 0;
    bool ends = false;
    for (size_t i = 0; i <= w->mask; i++) {
        const pm_word_bucket *b = &w->buckets[i];
        for (int k = 0; k < PM_WORDS_IN_BUCKET; k++) {
            wrong |= b->ids[k] >= vocab_size; /* 0 where there is no word */
        }
        ends |= !b->more;
    }
    return !wrong && ends;
}

/* A search ends at a bucket whose last slot is free; the bucket behind the others is empty. */
static bool check_pairs(const pm_pairs *p, uint64_t n_merges) {
    const uint64_t rank = PM_PAIR_LIMIT - 1;
    const size_t n = (p->mask + 1) * PM_PAIRS_IN_BUCKET;
    uint32_t wrong = 0;
    bool ends = false;
    for (size_t i = 0; i < n; i++) {
        wrong |= (p->slots[i] & rank) >= n_merges && p->slots[i] != PM_NO_PAIR;
    }
    for (size_t i = PM_PAIRS_IN_BUCKET - 1; i < n; i += PM_PAIRS_IN_BUCKET) {
        ends |= p->slots[i] == PM_NO_PAIR;
    }
    for (size_t i = n; i < n + PM_PAIRS_IN_BUCKET; i++) {
        wrong |= p->slots[i] != PM_NO_PAIR;
    }
    return !wrong && ends;
}

static bool check_ids(const uint32_t *ids, size_t n, uint64_t bound, bool or_none) {
    uint32_t wrong = 0;
    for (size_t i = 0; i < n; i++) {
        wrong |= ids[i] >= bound && !(or_none && ids[i] == UINT32_MAX);
    }
    return !wrong;
}

/* What a merge gives is an id, by its rank and a number or by a list. */
static bool check_results(const pm_pairs *p, uint64_t n_merges, uint64_t vocab_size) {
    if (!p->is_plain) {
        return check_ids(p->results, n_merges, vocab_size, false);
    }
    return n_merges == 0 || (p->base < vocab_size && n_merges <= vocab_size - p->base);
}

static pm_status map_arrays(pm_bpe *bpe, const front *f, pm_bytes tables, pm_error *err) {
    const pm_model *model = &bpe->tok->model;
    pm_pairs *p = &bpe->pairs;
    pm_words *w = &bpe->words;
    size_t n_pieces = 0;

    for (pm_id id = 0; id < model->vocab_size; id++) {
        n_pieces += model->kinds[id] == PM_KIND_PIECE;
    }
    pm_words_shape(w, n_pieces);
    pm_pairs_shape(p, model->n_merges);
    p->is_plain = f->is_plain;
    p->base = (pm_id)f->base;
    p->n = (size_t)f->n_pairs;
    bpe->longest = (size_t)f->longest;
    bpe->rising = f->rising;
    w->buckets = (pm_word_bucket *)(uintptr_t)find(f, tables, WORDS, (w->mask + 1) * sizeof *w->buckets);
    p->slots = (uint64_t *)(uintptr_t)find(f, tables, PAIRS, (p->mask + 2) * PM_PAIRS_IN_BUCKET * sizeof *p->slots);
    p->filter = (uint64_t *)(uintptr_t)find(f, tables, FILTER, (p->mask + 1) / 4 * sizeof *p->filter);
    p->results = (pm_id *)(uintptr_t)find(f, tables, RESULTS, p->is_plain ? 0 : model->n_merges * sizeof *p->results);
    bpe->byte_pairs = (uint32_t *)(uintptr_t)find(f, tables, BYTE_PAIRS, PM_BYTE_PAIRS * sizeof *bpe->byte_pairs);
    bpe->breaks = (pm_breaks *)(uintptr_t)find(f, tables, BREAKS, sizeof *bpe->breaks);
    bpe->long_filter = (uint8_t *)(uintptr_t)find(f, tables, LONG_FILTER, PM_LONG_FILTER_BYTES);
    if (f->arrays[UNREACHABLE].len) {
        bpe->unreachable = (uint8_t *)(uintptr_t)find(f, tables, UNREACHABLE, (uint64_t)model->vocab_size / 8 + 1);
    }
    if (!w->buckets || !p->slots || !p->filter || !p->results || !bpe->byte_pairs || !bpe->breaks || !bpe->long_filter ||
        (f->arrays[UNREACHABLE].len && !bpe->unreachable)) {
        return bad("one lies outside its place", err);
    }
    if (!check_words(w, model->vocab_size)) {
        return bad("a word has no id", err);
    }
    if (!check_pairs(p, model->n_merges) || !check_ids(bpe->byte_pairs, PM_BYTE_PAIRS, model->n_merges, true)) {
        return bad("a pair has no merge", err);
    }
    return check_results(p, model->n_merges, model->vocab_size) ? PM_OK : bad("a merge gives no id", err);
}

pm_status pm_bpe_map(pm_bpe **out, const pm_tokenizer *tok, pm_bytes tables, pm_error *err) {
    front f;
    *out = NULL;
    if (tables.len < sizeof f) {
        return bad("they are cut short", err);
    }
    memcpy(&f, tables.data, sizeof f);
    /* Another machine or version; or tokens were added to the vocabulary when it was loaded. */
    if (f.magic != MAGIC || f.layout != LAYOUT || tok->model.characters || f.vocab_size != tok->model.vocab_size || f.n_merges != tok->model.n_merges ||
        (uintptr_t)tables.data % sizeof(uint64_t)) {
        return PM_OK;
    }
    if (f.vocab_size > PM_PAIR_LIMIT || f.n_merges > PM_PAIR_LIMIT || f.base > UINT32_MAX || f.longest > SIZE_MAX || f.rising > 1 || f.is_plain > 1) {
        return bad("a number is too large", err);
    }
    pm_bpe *bpe = pm_calloc(1, sizeof *bpe);
    if (!bpe) {
        return pm_fail_memory(err);
    }
    bpe->tok = tok;
    bpe->mapped = true;
    pm_status status = map_arrays(bpe, &f, tables, err);
    if (status != PM_OK) {
        pm_bpe_free(bpe);
        return status;
    }
    *out = bpe;
    return PM_OK;
}
