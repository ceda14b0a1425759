/* bpe.c - pre-tokens to ids: look the whole word up, merge only what is not there.
 *
 * Nine of ten pre-tokens of English are vocabulary entries. Their ids come from one look-up, and where that is allowed depends:
 *
 *   - whole_first: the vocabulary's own library looks first (tiktoken, Hugging Face's ignore_merges), so every piece may be
 *     found so, whatever the merges say.
 *   - otherwise a piece may be found so when merging its bytes gives that piece and nothing else ("reachable"); then both ways
 *     give the same id. That is found out here, once, by merging each piece. A piece that is not reachable is never looked up.
 *
 * Where no piece reaches across, a pre-token is cut first (breaks.c); what is looked up are its segments. That makes Chinese, whose pre-tokens are
 * clauses, a stream of look-ups that succeed. A segment must be found as reachable pieces only, whole_first or not; a pre-token that is a piece,
 * reachable or not, has no place where it could be cut.
 *
 * Words of up to 15 bytes are in the table of words.h, longer ones are looked up in the tokenizer's own hash table, if a small
 * filter does not rule them out. What is not found is merged (merge.h), beginning with its bytes; the answers for pairs of two bytes
 * come from a table of all 65,536, without hashing.
 *
 * Short words that had to be merged are remembered, each encoder for itself, in a table of a fixed size (4 MB) where a word's place is given by its
 * hash and the last one that came stays. Names, numbers and endings come again: English 105 -> 119 MB/s, code 111 -> 129 (with 1 MB). Longer
 * words hardly ever do, so there is none for them.
 *
 * Work goes by groups of units, pre-tokens or segments: first all keys and buckets are computed and their cache lines asked for, then
 * they are looked at, so that the misses of a group overlap; then those that were found nowhere are merged. */
#include "encode/bpe.h"

#include "base/hash.h"
#include "encode/breaks.h"
#include "encode/merge.h"
#include "encode/words.h"

enum { GROUP = 64 /* bits of `parts` */, BYTE_PAIRS = 1 << 16, LONG_FILTER_BITS = 17 };
enum { CACHE_LINES = 1 << 16, CACHE_IDS = 11, CACHE_AFTER = 256 /* merged words */ };

struct pm_bpe {
    const pm_tokenizer *tok;
    pm_words words;
    pm_pairs pairs;
    uint64_t *byte_pairs; /* the answer for bytes a, b at [a << 8 | b] */
    pm_breaks *breaks;
    uint8_t *unreachable; /* a bit for each id: merging does not lead to this piece; NULL: to all */
    uint8_t *long_filter; /* a bit for each hash (long_hash) of a piece longer than PM_WORD_MAX */
    size_t longest;       /* piece */
};

/* A short word that is no piece, and its ids: one cache line. */
typedef struct cached {
    pm_word_key key; /* {0, 0}: none */
    uint32_t n;
    pm_id ids[CACHE_IDS];
} cached;

struct pm_bpe_scratch {
    pm_merge_scratch merge;
    cached *cache;   /* CACHE_LINES of them, or NULL */
    unsigned merged; /* words, until there is a cache */
};

/* ---------------------------------------------------------------- merging ---- */

static pm_status merge_bytes(const pm_bpe *bpe, pm_bpe_scratch *scratch, const uint8_t *word, size_t len, pm_id *ids,
                             size_t *n_ids, pm_error *err) {
    uint64_t few[PM_MERGE_SHORT];
    uint64_t *answers = few;

    if (len > PM_MERGE_SHORT) {
        PM_TRY(pm_merge_reserve(&scratch->merge, len, err));
        answers = scratch->merge.answers;
    }
    ids[0] = bpe->tok->byte_id[word[0]];
    for (size_t i = 1; i < len; i++) {
        ids[i] = bpe->tok->byte_id[word[i]];
        answers[i - 1] = bpe->byte_pairs[(unsigned)word[i - 1] << 8 | word[i]];
    }
    *n_ids = len > PM_MERGE_SHORT ? pm_merge_long(&bpe->pairs, &scratch->merge, ids, len)
                                  : pm_merge_short(&bpe->pairs, ids, answers, len);
    return PM_OK;
}

static bool is_reachable(const pm_bpe *bpe, pm_id id) { return !bpe->unreachable || !(bpe->unreachable[id >> 3] >> (id & 7) & 1); }

/* Whether a unit may be found as the piece `id`. `part`: it is a segment of a pre-token. */
static bool may_look_up(const pm_bpe *bpe, pm_id id, bool part) {
    return is_reachable(bpe, id) || (bpe->tok->model.whole_first && !part);
}

/* Of a word longer than PM_WORD_MAX, from its length, its first and its last eight bytes. */
static uint32_t long_hash(const uint8_t *word, size_t len) {
    uint64_t first, last;
    memcpy(&first, word, sizeof first);
    memcpy(&last, word + len - sizeof last, sizeof last);
    return (uint32_t)(pm_hash_word(first + last * UINT64_C(0x9E3779B97F4A7C15) + len) >> (64 - LONG_FILTER_BITS));
}

/* The id of a word longer than PM_WORD_MAX that may be looked up, or PM_ID_NONE. Few are pieces, and the filter knows most that are none. */
static pm_id find_long(const pm_bpe *bpe, const uint8_t *word, size_t len, bool part) {
    if (len > bpe->longest) {
        return PM_ID_NONE;
    }
    uint32_t hash = long_hash(word, len);
    if (!(bpe->long_filter[hash >> 3] >> (hash & 7) & 1)) {
        return PM_ID_NONE;
    }
    pm_id id = pm_tokenizer_find_piece(bpe->tok, word, len);
    return id != PM_ID_NONE && may_look_up(bpe, id, part) ? id : PM_ID_NONE;
}

/* A word longer than PM_WORD_MAX. */
static pm_status encode_long(const pm_bpe *bpe, pm_bpe_scratch *scratch, const uint8_t *word, size_t len, bool part, pm_id *ids,
                              size_t *n_ids, pm_error *err) {
    pm_id id = find_long(bpe, word, len, part);
    if (id != PM_ID_NONE) {
        ids[0] = id;
        *n_ids = 1;
        return PM_OK;
    }
    return merge_bytes(bpe, scratch, word, len, ids, n_ids, err);
}

/* The place of a short word in the cache; NULL while there is none. A cache is made when an encoder has work; without memory for it, all
 * goes on without. */
static cached *cache_line(pm_bpe_scratch *scratch, size_t bucket) {
    if (!scratch->cache && scratch->merged < CACHE_AFTER && ++scratch->merged == CACHE_AFTER) {
        scratch->cache = pm_pages_alloc(CACHE_LINES * sizeof *scratch->cache);
    }
    return scratch->cache ? &scratch->cache[bucket & (CACHE_LINES - 1)] : NULL;
}

/* The id of a short unit, or PM_ID_NONE. */
static inline pm_id find_short(const pm_bpe *bpe, pm_word_key key, size_t bucket, bool part) {
    pm_id id = pm_words_find(&bpe->words, key, bucket);
    return bpe->unreachable && id != PM_ID_NONE && !may_look_up(bpe, id, part) ? PM_ID_NONE : id;
}

/* A short pre-token that was not cut before. */
static pm_status cut_and_encode(const pm_bpe *bpe, pm_bpe_scratch *scratch, const uint8_t *word, size_t len, pm_id *ids,
                                size_t *n_ids, pm_error *err) {
    size_t ends[PM_WORD_MAX + 1], start = 0;
    size_t n = pm_breaks_cut(bpe->breaks, word, len, 0, len, ends, PM_WORD_MAX);
    pm_id *out = ids;

    for (size_t i = 0; i < n; i++) {
        size_t size = ends[i] - start, more = 1;
        pm_word_key key = pm_word_key_of(word + start, size, len - start);
        *out = n > 1 ? find_short(bpe, key, pm_words_bucket(&bpe->words, key), true) : PM_ID_NONE;
        if (*out == PM_ID_NONE) {
            PM_TRY(merge_bytes(bpe, scratch, word + start, size, out, &more, err));
        }
        out += more;
        start = ends[i];
    }
    *n_ids = (size_t)(out - ids);
    return PM_OK;
}

static bool is_ascii(pm_word_key key) { return ((key.low | key.high) & UINT64_C(0x8080808080808080)) == 0; }

/* A short unit that is not in the table. Letters of ASCII nearly all stand together in some piece: cutting between them costs more than it saves. */
static pm_status encode_short(const pm_bpe *bpe, pm_bpe_scratch *scratch, pm_word_key key, size_t bucket, const uint8_t *word,
                              size_t len, bool part, pm_id *ids, size_t *n_ids, pm_error *err) {
    cached *line = cache_line(scratch, bucket);
    if (line && line->key.low == key.low && line->key.high == key.high) {
        *n_ids = line->n;
        for (size_t i = 0; i < line->n; i++) {
            ids[i] = line->ids[i];
        }
        return PM_OK;
    }
    PM_TRY((part || is_ascii(key) ? merge_bytes : cut_and_encode)(bpe, scratch, word, len, ids, n_ids, err));
    if (line && *n_ids <= CACHE_IDS) {
        line->key = key;
        line->n = (uint32_t)*n_ids;
        memcpy(line->ids, ids, *n_ids * sizeof *ids);
    }
    return PM_OK;
}

pm_status pm_bpe_encode(const pm_bpe *bpe, pm_bpe_scratch *scratch, const uint8_t *word, size_t len, pm_id *ids,
                        size_t *n_ids, pm_error *err) {
    return pm_bpe_encode_words(bpe, scratch, word, len, 0, &len, 1, ids, n_ids, err);
}

/* Pre-tokens that are not yet encoded. */
typedef struct source {
    const uint8_t *text;
    size_t len, start; /* of the first one, or of what is left of it */
    const size_t *ends, *ends_end;
    bool part; /* something of the first one is encoded */
} source;

/* What is looked up: pre-tokens and segments of some. */
typedef struct group {
    size_t n, start;
    uint64_t parts; /* a bit for each unit: a segment */
    size_t ends[GROUP + 1];
    pm_word_key keys[GROUP]; /* of the short ones; NO_WORD for the long ones */
    size_t buckets[GROUP];
    pm_id found[GROUP];
} group;

static const pm_word_key NO_WORD = {UINT64_MAX, UINT64_MAX};

static bool is_part(const group *g, size_t i) { return g->parts >> i & 1; }

static bool is_ascii_text(const uint8_t *text, size_t len) {
    unsigned all = 0;
    for (size_t i = 0; i < len; i++) {
        all |= text[i];
    }
    return all < 0x80;
}

/* Whether a pre-token is looked up before it is cut. Short ones are mostly in the table as they are, except runs of ideographs and kana: their
 * first or second byte would be E3 to E9. Of long ones only those of ASCII are not cut, while merging them is cheap. */
static inline bool is_likely_whole(const uint8_t *word, size_t len) {
    if (len <= PM_WORD_MAX) {
        return len <= 3 || ((uint8_t)(word[0] - 0xE3) > 6 && (uint8_t)(word[1] - 0xE3) > 6);
    }
    return len <= PM_MERGE_SHORT && is_ascii_text(word, len);
}

/* Computes the key of unit i and asks for its cache line. */
static inline void prepare(const pm_bpe *bpe, group *g, size_t i, const uint8_t *word, size_t len, size_t readable) {
    if (len > PM_WORD_MAX) {
        g->keys[i] = NO_WORD;
        g->buckets[i] = 0;
        return;
    }
    g->keys[i] = pm_word_key_of(word, len, readable);
    g->buckets[i] = pm_words_bucket(&bpe->words, g->keys[i]);
    __builtin_prefetch(&bpe->words.buckets[g->buckets[i]]);
}

/* Cuts the first pre-token, or as much of it as there is room for. */
static void add_segments(const pm_bpe *bpe, group *g, source *s) {
    size_t end = *s->ends, first = g->n, start = s->start;

    g->n += pm_breaks_cut(bpe->breaks, s->text, s->len, start, end, g->ends + first, GROUP - first);
    for (size_t i = first; i < g->n; i++) {
        prepare(bpe, g, i, s->text + start, g->ends[i] - start, s->len - start);
        start = g->ends[i];
    }
    if (s->part || g->ends[first] < end) {
        g->parts |= (UINT64_MAX << first) & (UINT64_MAX >> (GROUP - g->n)); /* bits first to n - 1 */
    }
    s->part = start < end;
    s->ends += start == end;
    s->start = start;
}

/* Adds pre-tokens that are not cut, up to one that is. */
static void add_whole(const pm_bpe *bpe, group *g, source *s) {
    size_t n = g->n, start = s->start;
    const size_t *ends = s->ends, *ends_end = s->ends_end;

    for (; ends < ends_end && n < GROUP; ends++) {
        size_t end = *ends, size = end - start;
        if (!is_likely_whole(s->text + start, size)) {
            break;
        }
        prepare(bpe, g, n, s->text + start, size, s->len - start);
        g->ends[n++] = end;
        start = end;
    }
    g->n = n;
    s->start = start;
    s->ends = ends;
}

/* Fills a group with units, so that their cache lines come together. */
static void fill_group(const pm_bpe *bpe, group *g, source *s) {
    g->n = 0;
    g->parts = 0;
    g->start = s->start;
    while (s->ends < s->ends_end && g->n < GROUP) {
        if (!s->part) {
            add_whole(bpe, g, s);
        }
        if (s->ends < s->ends_end && g->n < GROUP) {
            add_segments(bpe, g, s);
        }
    }
}

/* Looks the short units up; what is not found may be in the cache, whose lines are asked for. */
static void find_group(const pm_bpe *bpe, const pm_bpe_scratch *scratch, group *g) {
    for (size_t i = 0; i < g->n; i++) {
        pm_id id = find_short(bpe, g->keys[i], g->buckets[i], is_part(g, i));
        g->found[i] = id;
        if (id == PM_ID_NONE && scratch->cache) {
            __builtin_prefetch(&scratch->cache[g->buckets[i] & (CACHE_LINES - 1)]);
        }
    }
}

/* Unit i was not found. */
static pm_status encode_unit(const pm_bpe *bpe, pm_bpe_scratch *scratch, const group *g, size_t i, const uint8_t *text, pm_id *ids,
                             size_t *n_ids, pm_error *err) {
    size_t start = i > 0 ? g->ends[i - 1] : g->start, size = g->ends[i] - start;
    return size > PM_WORD_MAX
               ? encode_long(bpe, scratch, text + start, size, is_part(g, i), ids, n_ids, err)
               : encode_short(bpe, scratch, g->keys[i], g->buckets[i], text + start, size, is_part(g, i), ids, n_ids, err);
}

pm_status pm_bpe_encode_words(const pm_bpe *bpe, pm_bpe_scratch *scratch, const uint8_t *text, size_t len, size_t start,
                              const size_t *ends, size_t n, pm_id *ids, size_t *n_ids, pm_error *err) {
    source s = {text, len, start, ends, ends + n, false};
    group g;
    pm_id *out = ids;

    for (fill_group(bpe, &g, &s); g.n > 0; fill_group(bpe, &g, &s)) {
        find_group(bpe, scratch, &g);
        for (size_t i = 0; i < g.n; i++) {
            size_t more = 1;
            *out = g.found[i];
            if (*out == PM_ID_NONE) {
                PM_TRY(encode_unit(bpe, scratch, &g, i, text, out, &more, err));
            }
            out += more;
        }
    }
    *n_ids = (size_t)(out - ids);
    return PM_OK;
}

/* ---------------------------------------------------------------- building ---- */

static pm_status fill_pairs(pm_bpe *bpe, pm_error *err) {
    const pm_model *model = &bpe->tok->model;

    PM_TRY(pm_pairs_init(&bpe->pairs, model->n_merges, err));
    if (model->n_merges >= UINT32_MAX) {
        return pm_fail(err, PM_LIMIT, "%zu merges are too many", model->n_merges);
    }
    for (size_t i = 0; i < model->n_merges; i++) {
        const pm_merge *m = &model->merges[i];
        pm_pairs_add(&bpe->pairs, m->left, m->right, (uint32_t)i, m->result);
    }
    bpe->byte_pairs = pm_alloc(BYTE_PAIRS, sizeof *bpe->byte_pairs);
    if (!bpe->byte_pairs) {
        return pm_fail_memory(err);
    }
    const pm_id *byte_id = bpe->tok->byte_id;
    for (unsigned i = 0; i < BYTE_PAIRS; i++) {
        bpe->byte_pairs[i] = pm_pairs_find(&bpe->pairs, byte_id[i >> 8], byte_id[i & 0xFF]);
    }
    return PM_OK;
}

static void mark_unreachable(pm_bpe *bpe, pm_id id) { bpe->unreachable[id >> 3] |= (uint8_t)(1u << (id & 7)); }

/* By merging each piece. */
static pm_status merge_each(pm_bpe *bpe, pm_error *err) {
    const pm_model *model = &bpe->tok->model;
    pm_bpe_scratch scratch = {0};
    pm_id *ids = pm_alloc(bpe->longest, sizeof *ids);
    pm_status status = PM_OK;

    if (!ids) {
        status = pm_fail_memory(err);
    }
    for (pm_id id = 0; id < model->vocab_size && status == PM_OK; id++) {
        if (model->kinds[id] == PM_KIND_PIECE) {
            size_t n;
            status = merge_bytes(bpe, &scratch, model->pieces[id].data, model->pieces[id].len, ids, &n, err);
            if (status == PM_OK && (n != 1 || ids[0] != id)) {
                mark_unreachable(bpe, id);
            }
        }
    }
    pm_free(ids);
    pm_merge_scratch_release(&scratch.merge);
    return status;
}

/* By the merges there are: derive.c says why. */
static void find_underived(pm_bpe *bpe) {
    const pm_model *model = &bpe->tok->model;

    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (model->kinds[id] == PM_KIND_PIECE && model->pieces[id].len > 1) {
            mark_unreachable(bpe, id);
        }
    }
    for (size_t i = 0; i < model->n_merges; i++) {
        pm_id id = model->merges[i].result;
        bpe->unreachable[id >> 3] &= (uint8_t)~(1u << (id & 7));
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
        PM_TRY(merge_each(bpe, err));
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
        n += model->kinds[id] == PM_KIND_PIECE;
    }
    PM_TRY(pm_words_init(&bpe->words, n, err));
    bpe->long_filter = pm_calloc(((size_t)1 << LONG_FILTER_BITS) / 8, 1);
    if (!bpe->long_filter) {
        return pm_fail_memory(err);
    }
    for (pm_id id = 0; id < model->vocab_size; id++) {
        pm_bytes piece = model->pieces[id];
        if (model->kinds[id] != PM_KIND_PIECE || !may_look_up(bpe, id, false)) {
            continue;
        }
        if (piece.len <= PM_WORD_MAX) {
            pm_words_add(&bpe->words, pm_word_key_of(piece.data, piece.len, piece.len), id);
        } else {
            uint32_t hash = long_hash(piece.data, piece.len);
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
        if (model->kinds[id] == PM_KIND_PIECE) {
            pm_breaks_add(bpe->breaks, model->pieces[id].data, model->pieces[id].len);
        }
    }
    return PM_OK;
}

static pm_status build(pm_bpe *bpe, pm_error *err) {
    const pm_model *model = &bpe->tok->model;

    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (model->kinds[id] == PM_KIND_PIECE && model->pieces[id].len > bpe->longest) {
            bpe->longest = model->pieces[id].len;
        }
    }
    PM_TRY(fill_pairs(bpe, err));
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
    if (bpe) {
        pm_words_release(&bpe->words);
        pm_pairs_release(&bpe->pairs);
        pm_free(bpe->byte_pairs);
        pm_free(bpe->breaks);
        pm_free(bpe->unreachable);
        pm_free(bpe->long_filter);
        pm_free(bpe);
    }
}

pm_status pm_bpe_scratch_new(pm_bpe_scratch **out, pm_error *err) {
    *out = pm_calloc(1, sizeof **out);
    return *out ? PM_OK : pm_fail_memory(err);
}

void pm_bpe_scratch_free(pm_bpe_scratch *scratch) {
    if (scratch) {
        pm_merge_scratch_release(&scratch->merge);
        pm_pages_free(scratch->cache, CACHE_LINES * sizeof *scratch->cache);
        pm_free(scratch);
    }
}

bool pm_bpe_reachable(const pm_bpe *bpe, pm_id id) { return is_reachable(bpe, id); }
