/* core_scored.c - the BPE of sentencepiece 0.2.3 (bpe_model.cc): of all neighbours that are a piece when put together, the pair whose piece has the highest score is
 * joined, the leftmost of equals, and again.
 *
 * It goes by texts: whatever two symbols are, they are joined if their bytes together are a piece. So characters that are no pieces can be joined too, and
 * the scores, not a list of merges, say what goes first. (Most models of this kind come down to merges and are plain: format/sentencepiece.c. This is for the
 * others.) A user-defined symbol is found first, the longest that begins at a place, and is never joined to anything. A piece that is UNUSED takes part in
 * merging and is taken apart again at the end:
 *
 *     pieces   a  b  c   ab (unused, -1)   abc (-2)         "abc" -> ab c -> abc          "abd" -> ab d -> a b d
 *
 * into the two halves of the pair that was looked at last for its text, anywhere in the word, as the library remembers them by text; here by id. It stops
 * a hundred halves deep, and gives the piece as it is; a character that is UNUSED is unknown.
 *
 * Symbols are stretches of the word in a list. The agenda is a heap of order << 32 | left symbol; `order` is the place of a piece's score among all scores
 * from the highest down (0 is above -0, as there), so equal scores go by place. An entry whose two symbols are not what they were is dropped: they no longer have its length together. Each
 * join adds at most two entries: n log n.
 *
 * A model of characters is the same without scores, and nothing is joined. Dropout: an entry that comes up is dropped for good with probability alpha.
 * A text is cut first where core_cut.c says that it may be. */
#include "encode/core_inside.h"
#include "encode/special.h"
#include "text/utf8.h"

#define NO_SYMBOL UINT32_MAX

typedef struct scored {
    pm_texts texts;
    uint32_t *order;            /* of each id: of its score; NULL: nothing is joined */
    pm_special_token *defined;  /* user-defined symbols */
    pm_specials *find_defined;  /* NULL: there are none */
    bool unused;                /* there are pieces that are not given out */
    bool cuts;
} scored;

typedef struct symbol {
    uint32_t begin, len; /* len 0: it was joined to the one before */
    uint32_t previous, next;
    bool whole; /* user-defined: never joined */
} symbol;

typedef struct pair {
    uint64_t key;   /* order << 32 | left */
    uint32_t right; /* the other symbol */
    uint32_t len;   /* of both */
} pair;

/* ---------------------------------------------------------------- making it ---- */

typedef struct by_score {
    uint32_t score; /* the bits of a float, changed so that they are in its order */
    pm_id id;
} by_score;

static uint32_t ordered(float score) {
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    return bits >> 31 ? ~bits : bits | UINT32_C(1) << 31;
}

static int highest_first(const void *x, const void *y) {
    uint32_t a = ((const by_score *)x)->score, b = ((const by_score *)y)->score;
    return (a < b) - (a > b);
}

static pm_status set_order(const pm_core *core, scored *t, pm_error *err) {
    const pm_model *model = core->model;
    by_score *all = pm_alloc(model->vocab_size, sizeof *all);
    uint32_t order = 0;

    t->order = pm_calloc(model->vocab_size, sizeof *t->order);
    if (!all || !t->order) {
        pm_free(all);
        return pm_fail_memory(err);
    }
    for (pm_id id = 0; id < model->vocab_size; id++) {
        all[id] = (by_score){ordered((float)model->scores[id]), id};
        if (model->scores[id] != model->scores[id]) {
            pm_free(all);
            return pm_fail(err, PM_BAD_FORMAT, "the score of piece %u is no number", id);
        }
    }
    qsort(all, model->vocab_size, sizeof *all, highest_first);
    for (pm_id i = 0; i < model->vocab_size; i++) {
        order += i > 0 && all[i].score < all[i - 1].score;
        t->order[all[i].id] = order;
    }
    pm_free(all);
    return PM_OK;
}

static pm_status find_defined(const pm_core *core, scored *t, pm_error *err) {
    const pm_model *model = core->model;
    size_t n = 0;

    t->defined = pm_alloc(model->vocab_size, sizeof *t->defined);
    if (!t->defined) {
        return pm_fail_memory(err);
    }
    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (pm_core_has(core, id) && pm_core_is(core, id, PM_ADDED)) {
            t->defined[n++] = (pm_special_token){model->pieces[id], id};
        }
    }
    return n ? pm_specials_new(&t->find_defined, t->defined, n, err) : PM_OK;
}

static pm_status make(pm_core *core, pm_error *err) {
    const pm_model *model = core->model;
    scored *t = core->tables = pm_calloc(1, sizeof *t);

    if (!t) {
        return pm_fail_memory(err);
    }
    PM_TRY(pm_texts_init(&t->texts, model->pieces, model->vocab_size, err));
    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (!pm_core_has(core, id)) {
            continue;
        }
        pm_id other = pm_texts_add(&t->texts, id);
        if (other != id) {
            return pm_fail(err, PM_BAD_FORMAT, "pieces %u and %u are equal", other, id);
        }
        t->unused = t->unused || pm_core_is(core, id, PM_UNUSED);
    }
    if (model->scores) {
        PM_TRY(set_order(core, t, err));
    }
    PM_TRY(find_defined(core, t, err));
    t->cuts = model->has_unknown && pm_core_may_cut(core);
    return PM_OK;
}

static void release(void *tables) {
    scored *t = tables;
    pm_texts_release(&t->texts);
    pm_free(t->order);
    pm_free(t->defined);
    pm_specials_free(t->find_defined);
    pm_free(t);
}

/* ---------------------------------------------------------------- the agenda ---- */

static void push(pair *heap, size_t i, pair item) {
    while (i > 0 && item.key < heap[(i - 1) / 2].key) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = item;
}

static pair pop(pair *heap, size_t n) {
    pair top = heap[0], last = heap[n - 1];
    size_t i = 0;

    for (size_t child; (child = 2 * i + 1) < n - 1; i = child) {
        child += child + 1 < n - 1 && heap[child + 1].key < heap[child].key;
        if (last.key <= heap[child].key) {
            break;
        }
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

/* ---------------------------------------------------------------- merging ---- */

/* What is still to be given out, up to `end`, and how many halves deep. */
typedef struct half {
    uint32_t end, depth;
} half;

typedef struct merging {
    const pm_core *core;
    const scored *tables;
    pm_bytes word;
    symbol *symbols;
    size_t n;
    pair *heap;
    size_t n_heap;
    half *stack;
    uint32_t *halves; /* of each id that is UNUSED: how long the left half of its pair is; NULL: there are none */
} merging;

/* Puts the pair of two neighbours on the agenda, if they make a piece. */
static void look_at(merging *m, uint32_t left, uint32_t right) {
    if (left == NO_SYMBOL || right == NO_SYMBOL || m->symbols[left].whole || m->symbols[right].whole) {
        return;
    }
    const symbol *a = &m->symbols[left], *b = &m->symbols[right];
    pm_id id = pm_texts_find(&m->tables->texts, m->word.data + a->begin, (size_t)a->len + b->len);
    if (id == PM_ID_NONE) {
        return;
    }
    push(m->heap, m->n_heap++, (pair){(uint64_t)m->tables->order[id] << 32 | left, right, a->len + b->len});
    if (m->halves) {
        m->halves[id] = a->len;
    }
}

static void join(merging *m, pair p) {
    uint32_t left = (uint32_t)p.key;
    symbol *a = &m->symbols[left], *b = &m->symbols[p.right];

    a->len += b->len;
    a->next = b->next;
    if (b->next != NO_SYMBOL) {
        m->symbols[b->next].previous = left;
    }
    b->len = 0;
    look_at(m, a->previous, left);
    look_at(m, left, a->next);
}

static void merge(merging *m, const pm_core_draw *draw) {
    uint64_t draws = 0;

    for (uint32_t i = 1; i < m->n; i++) {
        look_at(m, i - 1, i);
    }
    while (m->n_heap > 0) {
        pair p = pop(m->heap, m->n_heap--);
        const symbol *a = &m->symbols[(uint32_t)p.key], *b = &m->symbols[p.right];
        bool current = a->len > 0 && b->len > 0 && (uint64_t)a->len + b->len == p.len;
        if (current && !(draw && pm_core_drawn(draw->key, draws++) < draw->alpha)) {
            join(m, p);
        }
    }
}

/* The word's characters and user-defined symbols. */
static void begin_word(merging *m) {
    const scored *t = m->tables;
    const pm_special_rules rules = {NULL, PM_SPECIAL_MATCH};
    pm_special_hit hit = {.at = 0};
    bool found = t->find_defined && pm_specials_next(t->find_defined, rules, m->word.data, m->word.len, 0, &hit);

    for (size_t at = 0; at < m->word.len;) {
        bool whole = found && hit.at == at;
        unsigned len;
        pm_utf8_read(m->word.data + at, m->word.data + m->word.len, &len);
        size_t bytes = whole ? t->defined[hit.match].text.len : len;
        uint32_t i = (uint32_t)m->n++;
        m->symbols[i] = (symbol){(uint32_t)at, (uint32_t)bytes, i - 1, i + 1, whole}; /* NO_SYMBOL before the first */
        at += bytes;
        if (found && hit.at < at) {
            found = pm_specials_next(t->find_defined, rules, m->word.data, m->word.len, at, &hit);
        }
    }
    m->symbols[m->n - 1].next = NO_SYMBOL;
}

/* ---------------------------------------------------------------- giving out ---- */

/* Appends a symbol; of one that is UNUSED the halves, and theirs. The next half is on top of the stack. */
static pm_status give_out(merging *m, const symbol *whole, size_t base, size_t first, pm_core_tokens *out, pm_error *err) {
    enum { DEEPEST = 100 };
    size_t n = 0, begin = whole->begin;

    m->stack[n++] = (half){whole->begin + whole->len, 0};
    while (n > 0) {
        half top = m->stack[n - 1];
        pm_id id = pm_texts_find(&m->tables->texts, m->word.data + begin, top.end - begin);
        bool unused = id != PM_ID_NONE && m->halves && pm_core_is(m->core, id, PM_UNUSED) && top.depth <= DEEPEST;
        if (unused && m->halves[id]) {
            m->stack[n - 1].depth = top.depth + 1;
            m->stack[n++] = (half){(uint32_t)begin + m->halves[id], top.depth + 1};
            continue;
        }
        if (id != PM_ID_NONE && !unused) {
            PM_TRY(pm_core_add(out, id, base + begin, base + top.end, err));
        } else {
            pm_bytes text = {m->word.data - base, base + m->word.len};
            PM_TRY(pm_core_add_unknown(m->core, text, base + begin, base + top.end, first, out, err));
        }
        begin = top.end;
        n--;
    }
    return PM_OK;
}

static pm_status room(merging *m, pm_core_scratch *s, pm_error *err) {
    size_t n = m->word.len;

    PM_TRY(pm_grow(&s->symbols, &s->cap_symbols, n, sizeof(symbol), err));
    PM_TRY(pm_grow(&s->agenda, &s->cap_agenda, 2 * n + 1, sizeof(pair), err));
    PM_TRY(pm_grow(&s->stack, &s->cap_stack, n + 1, sizeof(half), err));
    if (m->tables->unused) {
        size_t ids = m->core->model->vocab_size;
        PM_TRY(pm_grow((void **)&s->ids, &s->cap_ids, ids, sizeof *s->ids, err));
        memset(s->ids, 0, ids * sizeof *s->ids);
        m->halves = s->ids;
    }
    m->symbols = s->symbols;
    m->heap = s->agenda;
    m->stack = s->stack;
    return PM_OK;
}

/* word[0 .. len) stands at `base` in what it is a part of. */
static pm_status encode_part(const pm_core *core, pm_core_scratch *s, pm_bytes word, size_t base, const pm_core_draw *draw, pm_core_tokens *out,
                             pm_error *err) {
    merging m = {.core = core, .tables = core->tables, .word = word};
    size_t first = out->n;

    PM_TRY(room(&m, s, err));
    begin_word(&m);
    if (m.tables->order) {
        merge(&m, draw);
    }
    for (uint32_t i = 0; i != NO_SYMBOL; i = m.symbols[i].next) {
        PM_TRY(give_out(&m, &m.symbols[i], base, first, out, err));
    }
    return PM_OK;
}

static pm_status part(const pm_core *core, pm_core_scratch *s, pm_bytes word, size_t base, pm_core_tokens *out, pm_error *err) {
    return encode_part(core, s, word, base, NULL, out, err);
}

static pm_status encode(const pm_core *core, pm_core_scratch *s, pm_bytes word, const pm_core_draw *draw, pm_core_tokens *out, pm_error *err) {
    const scored *t = core->tables;
    return t->cuts && !draw ? pm_core_cut(core, s, word, part, out, err) : encode_part(core, s, word, 0, draw, out, err);
}

const pm_core_algorithm pm_core_scored = {make, release, encode, 1, NULL};
