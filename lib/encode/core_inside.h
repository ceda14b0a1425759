/* core_inside.h - what the algorithms behind core.h share: core.c, core_*.c. */
#ifndef PM_ENCODE_CORE_INSIDE_H
#define PM_ENCODE_CORE_INSIDE_H

#include "encode/core.h"
#include "encode/lattice.h"
#include "encode/memo.h"
#include "encode/merge.h"
#include "encode/texts.h"

/* How a word is drawn; NULL in its place: the one result. */
typedef struct pm_core_draw {
    double alpha;
    uint64_t key;
} pm_core_draw;

/* An algorithm. `make` fills core->tables, and what it made is given back by `release`, on failure too. `encode` appends; core.c takes back what was appended
 * before a failure. Words are below 4 GiB and not empty. */
typedef struct pm_core_algorithm {
    pm_status (*make)(pm_core *core, pm_error *err);
    void (*release)(void *tables);
    pm_status (*encode)(const pm_core *core, pm_core_scratch *scratch, pm_bytes word, const pm_core_draw *draw, pm_core_tokens *out, pm_error *err);
    double most_alpha; /* 0: it draws nothing */
    pm_status (*nbest)(const pm_core *core, pm_core_scratch *scratch, pm_bytes word, size_t most, pm_core_sink sink, void *user, pm_error *err); /* or NULL */
} pm_core_algorithm;

extern const pm_core_algorithm pm_core_unigram, pm_core_wordpiece, pm_core_bpe, pm_core_scored;

struct pm_core {
    const pm_model *model;
    const pm_core_algorithm *algorithm;
    bool sentencepiece;  /* whose rules */
    pm_id byte_id[256];  /* with byte_fallback, else PM_ID_NONE */
    void *tables;        /* the algorithm's */
};

struct pm_core_scratch {
    pm_lattice_scratch *lattice; /* Unigram */
    pm_merge_scratch merge;      /* BPE, as what follows */
    pm_id *ids;
    uint32_t *places; /* of each first token, where it begins; then of each last one, which first one it begins with */
    size_t cap_ids, cap_places;
    void *symbols, *agenda, *stack; /* BPE by scores */
    size_t cap_symbols, cap_agenda, cap_stack;
    pm_memo memo;                /* BPE: what was seen, ids and lengths in turn */
    pm_core_tokens listed;       /* n-best: the segmentation at hand */
};

/* Is this an entry of the algorithm's vocabulary, and one that text can hold? */
static inline bool pm_core_has(const pm_core *core, pm_id id) {
    const pm_model *model = core->model;
    uint8_t kind = model->kinds[id], flags = model->added ? model->added[id] : 0;
    return (kind == PM_KIND_PIECE || (kind == PM_KIND_BYTE && !core->sentencepiece)) && model->pieces[id].len > 0 && !(flags & PM_ADDED_ALONE);
}

/* With sentencepiece's rules: a user-defined symbol, a piece that is never given out. */
static inline bool pm_core_is(const pm_core *core, pm_id id, uint8_t flag) { return core->model->added && core->model->added[id] & flag; }

static inline pm_status pm_core_add(pm_core_tokens *out, pm_id id, size_t begin, size_t end, pm_error *err) {
    if (__builtin_expect(out->n == out->cap, 0)) {
        PM_TRY(pm_grow((void **)&out->items, &out->cap, out->n + 1, sizeof *out->items, err));
    }
    out->items[out->n++] = (pm_core_token){id, (uint32_t)begin, (uint32_t)end};
    return PM_OK;
}

/* The unknown token, for what is at a place of the word. Errors: PM_INVALID_ARGUMENT: there is none. */
pm_status pm_core_unknown(const pm_core *core, size_t at, pm_id *id, pm_error *err);

/* Has each byte of these a byte token? */
bool pm_core_has_bytes(const pm_core *core, pm_bytes text);

/* Appends the unknown character word[begin .. end) as sentencepiece does: as byte tokens, of which the last has all of it, or as the unknown token,
 * one with that of the character before. `first`: the first token of the word in *out. */
pm_status pm_core_add_unknown(const pm_core *core, pm_bytes word, size_t begin, size_t end, size_t first, pm_core_tokens *out, pm_error *err);

/* Appends the tokens of one part of a word, which stands at `base` in it. */
typedef pm_status (*pm_core_part)(const pm_core *core, pm_core_scratch *scratch, pm_bytes part, size_t base, pm_core_tokens *out, pm_error *err);

/* Where the next U+2581 at or behind `from` <= text.len begins, or text.len. */
size_t pm_core_next_mark(pm_bytes text, size_t from);

/* Whether words may be cut before runs of U+2581, and a word taken in parts: core_cut.c. */
bool pm_core_may_cut(const pm_core *core);
pm_status pm_core_cut(const pm_core *core, pm_core_scratch *scratch, pm_bytes word, pm_core_part part, pm_core_tokens *out, pm_error *err);

/* Uniform in [0, 1), the i-th of a key. */
static inline double pm_core_drawn(uint64_t key, uint64_t i) { return (double)(pm_hash_word(key + pm_hash_word(i + UINT64_C(0x9E3779B97F4A7C15))) >> 11) * 0x1p-53; }

#endif
