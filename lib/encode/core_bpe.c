/* core_bpe.c - byte-pair encoding as tokenizers has it, with all that a tokenizer.json can ask for.
 *
 * A word begins as its characters. Each is looked up with continuing_subword_prefix before it, unless it is the first, and end_of_word_suffix behind it, if it
 * is the last; there are at most four maps from characters to ids for that. Then pairs are merged, lowest rank first (merge.c). What is no piece:
 *
 *   - with byte_fallback the byte tokens of all its bytes - with prefix and suffix - if all are there;
 *   - else the unknown token, if the model names one; with fuse_unknown one token for characters side by side;
 *   - else nothing: it is left out.
 *
 * Offsets are sums of lengths, as in the library: a character's is its bytes' without prefix and suffix, a byte token's is 1. So what is left out moves what
 * follows to the left. The library keeps the last unknown character back until a piece or another unknown one comes, and byte tokens do not count as that: they
 * come before it. Both are done here as they are done there, since ids and offsets are to be equal.
 *
 *     vocabulary  <unk>  a  <0xC3>  <0xA9>       "xéa": <unk> is kept back, <0xC3> <0xA9> are added, <unk> is added before a
 *                                                tokens <0xC3> 0..1  <0xA9> 1..2  <unk> 2..3  a 3..4
 *
 * Equal merges: the last counts, since the library keeps them in a map. With dropout, whole_first does not count.
 *
 * A whole text as one word (no pre-tokenizer, as Llama 2 has it) is cut before runs of U+2581 where core_cut.c says that it may be. The library merges all
 * of the text in one heap.
 *
 * Cost: linear for what is remembered, else n log n for n characters. */
#include "encode/core_inside.h"
#include "text/characters.h"
#include "text/utf8.h"

enum { FOLLOWS = 1, LAST = 2, VARIANTS = 4 }; /* which map: of characters behind another, of the last one */

typedef struct tables {
    pm_characters maps[VARIANTS];
    unsigned variants; /* FOLLOWS with a prefix, LAST with a suffix */
    pm_texts whole;    /* with whole_first */
    pm_pairs pairs;
    bool cuts;         /* words are cut: core_cut.c */
} tables;

/* ---------------------------------------------------------------- making it ---- */

static bool begins_with(pm_bytes text, pm_bytes with) { return text.len >= with.len && (with.len == 0 || memcmp(text.data, with.data, with.len) == 0); }

static bool ends_with(pm_bytes text, pm_bytes with) {
    return text.len >= with.len && (with.len == 0 || memcmp(text.data + text.len - with.len, with.data, with.len) == 0);
}

/* Puts a piece that is prefix, one character and suffix into the map of a variant. */
static pm_status map_piece(const pm_core *core, tables *t, unsigned variant, pm_id id, pm_error *err) {
    const pm_model *model = core->model;
    pm_bytes piece = model->pieces[id], none = {NULL, 0}, prefix = variant & FOLLOWS ? model->prefix : none, suffix = variant & LAST ? model->suffix : none;
    unsigned len;

    if (piece.len <= prefix.len + suffix.len || !begins_with(piece, prefix) || !ends_with(piece, suffix)) {
        return PM_OK;
    }
    const uint8_t *at = piece.data + prefix.len, *end = piece.data + piece.len - suffix.len;
    uint32_t c = pm_utf8_read(at, end, &len);
    if (at + len != end || (c == PM_BAD_BYTE && len == 1)) {
        return PM_OK;
    }
    return pm_characters_set(&t->maps[variant], c, id, err);
}

static pm_status add_merges(const pm_core *core, tables *t, pm_error *err) {
    const pm_model *model = core->model;

    if (model->vocab_size > PM_PAIR_LIMIT) {
        return pm_fail(err, PM_LIMIT, "%u ids are too many for BPE: %u is the limit", model->vocab_size, (unsigned)PM_PAIR_LIMIT);
    }
    PM_TRY(pm_pairs_init(&t->pairs, model->n_merges, model->n_merges, err));
    for (size_t i = model->n_merges; i-- > 0;) {
        pm_merge m = model->merges[i];
        if (m.left >= model->vocab_size || m.right >= model->vocab_size || m.result >= model->vocab_size) {
            return pm_fail(err, PM_BAD_FORMAT, "merge %zu has an id that is not in the vocabulary", i);
        }
        pm_pairs_add(&t->pairs, m.left, m.right, (uint32_t)i, m.result);
    }
    return PM_OK;
}

static bool nothing_is_left_out(const pm_core *core) {
    bool all = core->model->byte_fallback;
    for (size_t b = 0; all && b < 256; b++) {
        all = core->byte_id[b] != PM_ID_NONE;
    }
    return all || core->model->has_unknown;
}

static pm_status make(pm_core *core, pm_error *err) {
    const pm_model *model = core->model;
    tables *t = core->tables = pm_calloc(1, sizeof *t);

    if (!t) {
        return pm_fail_memory(err);
    }
    t->variants = (model->prefix.len ? FOLLOWS : 0) | (model->suffix.len ? LAST : 0);
    PM_TRY(add_merges(core, t, err));
    if (model->whole_first) {
        PM_TRY(pm_texts_init(&t->whole, model->pieces, model->vocab_size, err));
    }
    for (pm_id id = 0; id < model->vocab_size; id++) {
        for (unsigned v = 0; v < VARIANTS && pm_core_has(core, id); v++) {
            if ((v & ~t->variants) == 0) {
                PM_TRY(map_piece(core, t, v, id, err));
            }
        }
    }
    for (pm_id id = model->vocab_size; model->whole_first && id-- > 0;) {
        if (pm_core_has(core, id)) {
            pm_texts_add(&t->whole, id);
        }
    }
    t->cuts = !t->variants && !model->whole_first && nothing_is_left_out(core) && pm_core_may_cut(core);
    return PM_OK;
}

static void release(void *tables_) {
    tables *t = tables_;
    for (unsigned v = 0; v < VARIANTS; v++) {
        pm_characters_release(&t->maps[v]);
    }
    pm_texts_release(&t->whole);
    if (t->pairs.slots) {
        pm_pairs_release(&t->pairs);
    }
    pm_free(t);
}

/* ---------------------------------------------------------------- first tokens ---- */

/* A word's first tokens, and where each begins; behind the last, where it ends. */
typedef struct beginning {
    const pm_core *core;
    pm_id *ids;
    uint32_t *places;
    size_t n, at;
    pm_id unknown;      /* kept back */
    size_t unknown_len; /* 0: nothing is */
} beginning;

static void put(beginning *b, pm_id id, size_t len) {
    b->ids[b->n] = id;
    b->places[b->n++] = (uint32_t)b->at;
    b->at += len;
}

static void put_unknown(beginning *b) {
    if (b->unknown_len) {
        put(b, b->unknown, b->unknown_len);
        b->unknown_len = 0;
    }
}

static void put_bytes(beginning *b, pm_bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        put(b, b->core->byte_id[text.data[i]], 1);
    }
}

/* A character that is no piece. */
static pm_status put_strange(beginning *b, pm_bytes word, size_t at, size_t len, unsigned variant, pm_error *err) {
    const pm_model *model = b->core->model;
    pm_bytes none = {NULL, 0}, prefix = variant & FOLLOWS ? model->prefix : none, suffix = variant & LAST ? model->suffix : none;
    pm_bytes character = {word.data + at, len};

    if (pm_core_has_bytes(b->core, character) && pm_core_has_bytes(b->core, prefix) && pm_core_has_bytes(b->core, suffix)) {
        put_bytes(b, prefix);
        put_bytes(b, character);
        put_bytes(b, suffix);
        return PM_OK;
    }
    if (!model->has_unknown) {
        return PM_OK;
    }
    PM_TRY(pm_core_unknown(b->core, at, &b->unknown, err));
    if (!model->fuse_unknown) {
        put_unknown(b);
    }
    b->unknown_len += len;
    return PM_OK;
}

static pm_status begin_word(beginning *b, const tables *t, pm_bytes word, pm_error *err) {
    unsigned len;

    for (size_t at = 0; at < word.len; at += len) {
        uint32_t c = pm_utf8_read(word.data + at, word.data + word.len, &len);
        unsigned variant = ((at > 0 ? FOLLOWS : 0) | (at + len == word.len ? LAST : 0)) & t->variants;
        pm_id id = c == PM_BAD_BYTE && len == 1 ? PM_ID_NONE : pm_characters_get(&t->maps[variant], c);
        if (id != PM_ID_NONE) {
            put_unknown(b);
            put(b, id, len);
        } else {
            PM_TRY(put_strange(b, word, at, len, variant, err));
        }
    }
    put_unknown(b);
    b->places[b->n] = (uint32_t)b->at;
    return PM_OK;
}

/* The most first tokens that a word can have: a character is one token, or its bytes' with prefix and suffix. */
static size_t most_tokens(const pm_core *core, pm_bytes word) {
    return word.len + (core->model->byte_fallback ? word.len * core->model->prefix.len + core->model->suffix.len : 0) + 1;
}

/* ---------------------------------------------------------------- words ---- */

static pm_status room(const pm_core *core, pm_core_scratch *s, pm_bytes word, pm_error *err) {
    size_t most;

    if (core->model->prefix.len >= UINT32_MAX || core->model->suffix.len >= UINT32_MAX) {
        return pm_fail(err, PM_LIMIT, "the prefix or suffix of pieces is too long");
    }
    most = most_tokens(core, word);
    if (most >= UINT32_MAX) {
        return pm_fail(err, PM_LIMIT, "a word of %zu bytes has too many tokens: 2^32 is the limit", word.len);
    }
    PM_TRY(pm_grow((void **)&s->ids, &s->cap_ids, most, sizeof *s->ids, err));
    return pm_grow((void **)&s->places, &s->cap_places, 2 * most, sizeof *s->places, err);
}

static uint32_t within(size_t at, pm_bytes word) { return (uint32_t)(at < word.len ? at : word.len); }

/* Appends the tokens of word[0..len), which stand at `base` in what they are a part of. */
static pm_status merge(const pm_core *core, pm_core_scratch *s, pm_bytes word, size_t base, const pm_core_draw *draw, pm_core_tokens *out, pm_error *err) {
    const tables *t = core->tables;
    size_t n;

    PM_TRY(room(core, s, word, err));
    beginning b = {.core = core, .ids = s->ids, .places = s->places};
    PM_TRY(begin_word(&b, t, word, err));
    uint32_t *from = s->places + b.n + 1;
    if (draw) {
        PM_TRY(pm_merge_dropped(&t->pairs, &s->merge, s->ids, b.n, draw->alpha, draw->key, from, &n, err));
    } else {
        PM_TRY(pm_merge_placed(&t->pairs, &s->merge, s->ids, b.n, from, &n, err));
    }
    for (size_t i = 0; i < n; i++) {
        size_t end = b.places[i + 1 < n ? from[i + 1] : b.n];
        PM_TRY(pm_core_add(out, s->ids[i], base + within(b.places[from[i]], word), base + within(end, word), err));
    }
    return PM_OK;
}

static pm_status part(const pm_core *core, pm_core_scratch *s, pm_bytes word, size_t base, pm_core_tokens *out, pm_error *err) {
    return merge(core, s, word, base, NULL, out, err);
}

static pm_status encode(const pm_core *core, pm_core_scratch *s, pm_bytes word, const pm_core_draw *draw, pm_core_tokens *out, pm_error *err) {
    const tables *t = core->tables;
    draw = draw && draw->alpha > 0 ? draw : NULL;
    pm_id id = t->whole.slots && !draw ? pm_texts_find(&t->whole, word.data, word.len) : PM_ID_NONE;

    if (id != PM_ID_NONE) {
        return pm_core_add(out, id, 0, word.len, err);
    }
    return t->cuts && !draw ? pm_core_cut(core, s, word, part, out, err) : merge(core, s, word, 0, draw, out, err);
}

const pm_core_algorithm pm_core_bpe = {make, release, encode, 1, NULL};
