/* bpe_merge.c - byte-pair merging done exactly, on fragments that fit in memory.
 *
 * Layout. All symbols stand in one array, fragment behind fragment, a border symbol before the first and behind each. A
 * merge keeps its symbol in the first cell of the two it joins and leaves the other cells dead; `span` holds a symbol's number of
 * cells in its first and in its last cell, so that both neighbours are found without lists:
 *
 *     index      0   1   2   3   4   5        merge (l, l) -> ll          0   1   2   3   4   5
 *     symbols    |   h   e   l   l   |                                    |   h   e   ll  -   |
 *     span       1   1   1   1   1   1                                    1   1   1   2   2   1
 *
 * Pairs. Only pairs that have the threshold when they are born are tracked: a pair's count never grows after the merge (or the
 * beginning) that made its symbols meet, because every later meeting would need one of its two symbols to be made again. A tracked pair has
 * the list of its places at birth in rising order; places die (one of the symbols went into another merge) and are
 * recognised when the list is used. A heap orders pairs by (count, left, right); counts in it are those at the time of the push, so the top is
 * compared with the present count and pushed again when it is stale.
 *
 * One merge of (a, b) into c goes over the list three times:
 *     1. join what still is a b, from the left, so that a run aaa gives aa a; the pairs that vanish, (x, a) on the left and (b, y) on the
 *        right, lose the fragment's weight. A left neighbour that is c itself was joined a moment ago: the pair between was (b, a), and
 *        is taken back already. A right neighbour a in a run of a's belongs to the pair that is being merged.
 *     2. count the pairs that are born, (x, c) and (c, y), by neighbour; c c is counted once, from its left c.
 *     3. those that reach the threshold get a list, filled in order.
 * So counts are those of neighbouring places, overlapping ones included (aaa has two), as in Hugging Face tokenizers' BpeTrainer
 * (tokenizers/src/models/bpe/trainer.rs and word.rs), whose order of merges this is. There a pair is never met twice, here
 * neither, so that its re-use of an id for equal text does not arise: the text between two borders that no merge has crossed is
 * always merged in the same way, hence a text is made from one pair only.
 *
 * Cost: each place of a tracked pair is visited three times at most; memory: 12 bytes a cell and 4 a place. */
#include "base/hash.h"
#include "train/bpe.h"

enum { NONE = -1, TICK = 64 };
#define BORDER ((uint32_t)PM_BPE_BORDER)
#define DEAD ((uint32_t)-2)

typedef struct pair {
    uint64_t count;
    uint32_t left, right;
    uint32_t *places;
    size_t n_places;
} pair;

typedef struct heap_item {
    uint64_t count;
    uint32_t left, right;
    uint32_t pair;
} heap_item;

/* Open addressing: (left, right) -> a number. */
typedef struct pair_slot {
    uint32_t left, right;
    uint32_t value; /* + 1; 0: empty */
} pair_slot;

typedef struct pair_map {
    pair_slot *slots;
    size_t mask, n;
} pair_map;

/* The pairs that a neighbour symbol forms with the new symbol. */
typedef struct birth {
    uint64_t count;
    uint32_t n, pair; /* pair + 1 when it is tracked */
} birth;

typedef struct merger {
    pm_bpe_vocab *vocab;
    uint32_t *symbols, *span, *owner; /* of each cell; owner is its fragment */
    const pm_fragment *fragments;
    size_t n_fragments, n_cells;
    uint64_t threshold;
    pair *pairs;
    size_t n_pairs, cap_pairs;
    pair_map map;
    heap_item *heap;
    size_t n_heap, cap_heap;
    pm_arena places;
    birth *births[2]; /* by neighbour: on the left, on the right */
    uint32_t *born[2]; /* which neighbours have a birth */
    size_t n_born[2], cap_births[2], cap_born[2], n_births;
} merger;

/* ---------------------------------------------------------------- map ---- */

static inline size_t map_home(uint32_t left, uint32_t right, size_t mask) {
    uint64_t x = ((uint64_t)left << 32 | right) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(x >> 32 ^ x >> 12) & mask;
}

static pm_status map_init(pair_map *map, size_t cap, pm_error *err) {
    map->n = 0;
    map->mask = cap - 1;
    map->slots = pm_calloc(cap, sizeof *map->slots);
    return map->slots ? PM_OK : pm_fail_memory(err);
}

static inline pair_slot *map_find(const pair_map *map, uint32_t left, uint32_t right) {
    size_t at = map_home(left, right, map->mask);
    while (map->slots[at].value && (map->slots[at].left != left || map->slots[at].right != right)) {
        at = (at + 1) & map->mask;
    }
    return &map->slots[at];
}

static pm_status map_grow(pair_map *map, pm_error *err) {
    pair_map bigger;
    PM_TRY(map_init(&bigger, 2 * (map->mask + 1), err));
    for (size_t i = 0; i <= map->mask; i++) {
        if (map->slots[i].value) {
            *map_find(&bigger, map->slots[i].left, map->slots[i].right) = map->slots[i];
        }
    }
    bigger.n = map->n;
    pm_free(map->slots);
    *map = bigger;
    return PM_OK;
}

/* Puts a pair in that is not there. */
static pm_status map_add(pair_map *map, uint32_t left, uint32_t right, uint32_t value, pm_error *err) {
    if (2 * map->n > map->mask) {
        PM_TRY(map_grow(map, err));
    }
    *map_find(map, left, right) = (pair_slot){left, right, value + 1};
    map->n++;
    return PM_OK;
}

/* ---------------------------------------------------------------- heap ---- */

static inline bool goes_first(const heap_item *a, const heap_item *b) {
    if (a->count != b->count) {
        return a->count > b->count;
    }
    return a->left != b->left ? a->left < b->left : a->right < b->right;
}

static void sift_down(merger *m, size_t at) {
    heap_item item = m->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= m->n_heap) {
            break;
        }
        if (child + 1 < m->n_heap && goes_first(&m->heap[child + 1], &m->heap[child])) {
            child++;
        }
        if (!goes_first(&m->heap[child], &item)) {
            break;
        }
        m->heap[at] = m->heap[child];
        at = child;
    }
    m->heap[at] = item;
}

static pm_status push(merger *m, uint32_t number, pm_error *err) {
    const pair *p = &m->pairs[number];
    heap_item item = {p->count, p->left, p->right, number};
    PM_TRY(pm_grow((void **)&m->heap, &m->cap_heap, m->n_heap + 1, sizeof *m->heap, err));
    size_t at = m->n_heap++;
    while (at && goes_first(&item, &m->heap[(at - 1) / 2])) {
        m->heap[at] = m->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    m->heap[at] = item;
    return PM_OK;
}

/* The number of the pair to merge next, taken out; NONE when no pair has the threshold. */
static uint32_t pop_best(merger *m) {
    while (m->n_heap) {
        heap_item *top = &m->heap[0];
        uint64_t count = m->pairs[top->pair].count;
        uint32_t number = top->pair;
        bool fresh = count == top->count;
        if (!fresh && count >= m->threshold) {
            top->count = count;
        } else {
            *top = m->heap[--m->n_heap];
        }
        if (m->n_heap) {
            sift_down(m, 0);
        }
        if (fresh) {
            return number;
        }
    }
    return (uint32_t)NONE;
}

/* ---------------------------------------------------------------- pairs ---- */

/* Tracks a pair with this count and room for its places; *number is NONE when it may not be merged. */
static pm_status track(merger *m, uint32_t left, uint32_t right, uint64_t count, size_t n_places, uint32_t *number, pm_error *err) {
    *number = (uint32_t)NONE;
    if (pm_bpe_vocab_forbids(m->vocab, left, right)) {
        return PM_OK;
    }
    PM_TRY(pm_grow((void **)&m->pairs, &m->cap_pairs, m->n_pairs + 1, sizeof *m->pairs, err));
    uint32_t *places = pm_arena_alloc(&m->places, n_places * sizeof *places);
    if (!places) {
        return pm_fail_memory(err);
    }
    *number = (uint32_t)m->n_pairs;
    m->pairs[m->n_pairs++] = (pair){count, left, right, places, 0};
    PM_TRY(map_add(&m->map, left, right, *number, err));
    return push(m, *number, err);
}

/* Counts all pairs, exactly. In `all` a pair's value is its number in *counts and *places. */
static pm_status count_all(const merger *m, pair_map *all, uint64_t **counts, uint32_t **places, pm_error *err) {
    size_t cap_counts = 0, cap_places = 0;
    for (size_t i = 1; i + 1 < m->n_cells; i++) {
        if (m->symbols[i] == BORDER || m->symbols[i + 1] == BORDER) {
            continue;
        }
        pair_slot *slot = map_find(all, m->symbols[i], m->symbols[i + 1]);
        size_t number = slot->value ? slot->value - 1 : all->n;
        if (!slot->value) {
            PM_TRY(pm_grow((void **)counts, &cap_counts, number + 1, sizeof **counts, err));
            PM_TRY(pm_grow((void **)places, &cap_places, number + 1, sizeof **places, err));
            (*counts)[number] = 0;
            (*places)[number] = 0;
            PM_TRY(map_add(all, m->symbols[i], m->symbols[i + 1], (uint32_t)number, err));
        }
        (*counts)[number] += m->fragments[m->owner[i]].weight;
        (*places)[number]++;
    }
    return PM_OK;
}

/* Tracks the pairs that have the threshold and lists their places. */
static pm_status track_all(merger *m, const pair_map *all, const uint64_t *counts, const uint32_t *places, pm_error *err) {
    for (size_t i = 0; i <= all->mask; i++) {
        const pair_slot *slot = &all->slots[i];
        uint32_t number;
        if (slot->value && counts[slot->value - 1] >= m->threshold) {
            PM_TRY(track(m, slot->left, slot->right, counts[slot->value - 1], places[slot->value - 1], &number, err));
        }
    }
    for (size_t i = 1; i + 1 < m->n_cells; i++) {
        if (m->symbols[i] != BORDER && m->symbols[i + 1] != BORDER) {
            const pair_slot *slot = map_find(&m->map, m->symbols[i], m->symbols[i + 1]);
            if (slot->value) {
                pair *p = &m->pairs[slot->value - 1];
                p->places[p->n_places++] = (uint32_t)i;
            }
        }
    }
    return PM_OK;
}

static pm_status begin(merger *m, pm_error *err) {
    pair_map all;
    uint64_t *counts = NULL;
    uint32_t *places = NULL;
    PM_TRY(map_init(&m->map, 1 << 10, err));
    PM_TRY(map_init(&all, 1 << 12, err));
    pm_status status = count_all(m, &all, &counts, &places, err);
    if (status == PM_OK) {
        status = track_all(m, &all, counts, places, err);
    }
    pm_free(all.slots);
    pm_free(counts);
    pm_free(places);
    return status;
}

/* ---------------------------------------------------------------- one merge ---- */

static inline void lose(merger *m, uint32_t left, uint32_t right, uint64_t weight) {
    const pair_slot *slot = map_find(&m->map, left, right);
    if (slot->value) {
        m->pairs[slot->value - 1].count -= weight;
    }
}

/* First cells of the symbols beside the one that begins at x. */
static inline size_t before(const merger *m, size_t x) { return x - m->span[x - 1]; }
static inline size_t behind(const merger *m, size_t x) { return x + m->span[x]; }

/* Step 1. The places where the new symbol stands are left in p->places. */
static void join_places(merger *m, pair *p, uint32_t c) {
    uint32_t a = p->left, b = p->right;
    size_t n = 0;
    for (size_t i = 0; i < p->n_places; i++) {
        size_t x = p->places[i];
        if (m->symbols[x] != a) {
            continue;
        }
        size_t y = behind(m, x);
        if (m->symbols[y] != b) {
            continue;
        }
        uint64_t weight = m->fragments[m->owner[x]].weight;
        uint32_t l = m->symbols[before(m, x)], r = m->symbols[behind(m, y)];
        if (l != BORDER && l != c) {
            lose(m, l, a, weight);
        }
        if (r != BORDER && !(a == b && r == a)) {
            lose(m, b, r, weight);
        }
        uint32_t cells = m->span[x] + m->span[y];
        m->symbols[x] = c;
        m->symbols[y] = DEAD;
        m->span[x] = m->span[x + cells - 1] = cells;
        p->places[n++] = (uint32_t)x;
    }
    p->n_places = n;
}

static inline void be_born(merger *m, int side, uint32_t neighbour, uint64_t weight) {
    birth *b = &m->births[side][neighbour];
    if (!b->n) {
        m->born[side][m->n_born[side]++] = neighbour;
    }
    b->count += weight;
    b->n++;
}

/* Step 2. */
static void count_births(merger *m, const pair *p, uint32_t c) {
    for (size_t i = 0; i < p->n_places; i++) {
        size_t x = p->places[i];
        uint64_t weight = m->fragments[m->owner[x]].weight;
        uint32_t l = m->symbols[before(m, x)], r = m->symbols[behind(m, x)];
        if (l != BORDER && l != c) {
            be_born(m, 0, l, weight);
        }
        if (r != BORDER) {
            be_born(m, 1, r, weight);
        }
    }
}

/* Step 3. */
static pm_status track_births(merger *m, const uint32_t *places, size_t n_places, uint32_t c, pm_error *err) {
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < m->n_born[side]; i++) {
            uint32_t neighbour = m->born[side][i], number = (uint32_t)NONE;
            birth *b = &m->births[side][neighbour];
            if (b->count >= m->threshold) {
                PM_TRY(track(m, side ? c : neighbour, side ? neighbour : c, b->count, b->n, &number, err));
            }
            b->pair = number + 1;
        }
    }
    for (size_t i = 0; i < n_places; i++) {
        size_t x = places[i], left = before(m, x);
        uint32_t l = m->symbols[left], r = m->symbols[behind(m, x)];
        if (l != BORDER && l != c && m->births[0][l].pair) {
            pair *p = &m->pairs[m->births[0][l].pair - 1];
            p->places[p->n_places++] = (uint32_t)left;
        }
        if (r != BORDER && m->births[1][r].pair) {
            pair *p = &m->pairs[m->births[1][r].pair - 1];
            p->places[p->n_places++] = (uint32_t)x;
        }
    }
    return PM_OK;
}

static void forget_births(merger *m) {
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < m->n_born[side]; i++) {
            m->births[side][m->born[side][i]] = (birth){0};
        }
        m->n_born[side] = 0;
    }
}

/* Room for the births beside symbols below n. */
static pm_status grow_births(merger *m, size_t n, pm_error *err) {
    for (int side = 0; side < 2; side++) {
        PM_TRY(pm_grow((void **)&m->births[side], &m->cap_births[side], n, sizeof **m->births, err));
        PM_TRY(pm_grow((void **)&m->born[side], &m->cap_born[side], n, sizeof **m->born, err));
    }
    size_t cap = m->cap_births[0] < m->cap_births[1] ? m->cap_births[0] : m->cap_births[1];
    for (int side = 0; side < 2; side++) {
        memset(m->births[side] + m->n_births, 0, (cap - m->n_births) * sizeof **m->births);
    }
    m->n_births = cap;
    return PM_OK;
}

static pm_status merge_pair(merger *m, uint32_t number, pm_error *err) {
    pair *p = &m->pairs[number];
    uint32_t c = (uint32_t)pm_bpe_vocab_size(m->vocab);
    if (c >= m->n_births) {
        PM_TRY(grow_births(m, (size_t)c + 1, err));
    }
    PM_TRY(pm_bpe_vocab_add(m->vocab, p->left, p->right, p->count, err));
    join_places(m, p, c);
    count_births(m, p, c);
    pm_status status = track_births(m, p->places, p->n_places, c, err); /* m->pairs may move: p is not used behind this */
    forget_births(m);
    return status;
}

/* ---------------------------------------------------------------- the call ---- */

static pm_status prepare(merger *m, const pm_fragments *f, pm_error *err) {
    m->span = pm_alloc(f->n_symbols, sizeof *m->span);
    m->owner = pm_alloc(f->n_symbols, sizeof *m->owner);
    if (!m->span || !m->owner) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < f->n_symbols; i++) {
        m->span[i] = 1;
    }
    for (size_t i = 0; i < f->n; i++) {
        for (size_t k = 0; k <= f->items[i].n; k++) {
            m->owner[f->items[i].at + k] = (uint32_t)i;
        }
    }
    m->owner[0] = 0;
    return grow_births(m, pm_bpe_vocab_size(m->vocab), err);
}

/* Moves the living symbols of each fragment to its front. */
static void compact(const merger *m, pm_fragments *f) {
    for (size_t i = 0; i < f->n; i++) {
        pm_fragment *fragment = &f->items[i];
        size_t x = fragment->at, end = x + fragment->n;
        uint32_t n = 0;
        for (; x < end; x = behind(m, x)) {
            f->symbols[fragment->at + n++] = f->symbols[x];
        }
        fragment->n_after = n;
    }
}

static pm_status merge_all(merger *m, size_t wanted, pm_ticker *ticker, pm_error *err) {
    uint32_t number;
    while (m->vocab->n_merges < wanted && (number = pop_best(m)) != (uint32_t)NONE) {
        PM_TRY(merge_pair(m, number, err));
        if (m->vocab->n_merges % TICK == 0) {
            PM_TRY(pm_ticker_tick(ticker, m->vocab->n_merges, err));
        }
    }
    return PM_OK;
}

pm_status pm_bpe_merge_fragments(pm_bpe_vocab *vocab, pm_fragments *fragments, uint64_t threshold, size_t wanted, pm_ticker *ticker,
                                 pm_error *err) {
    merger m = {.vocab = vocab, .symbols = fragments->symbols, .fragments = fragments->items, .n_fragments = fragments->n,
                .n_cells = fragments->n_symbols, .threshold = threshold};
    if (fragments->n_symbols > UINT32_MAX - 2) {
        return pm_fail(err, PM_LIMIT, "more than 2^32 symbols to merge at once");
    }
    pm_status status = prepare(&m, fragments, err);
    if (status == PM_OK) {
        status = begin(&m, err);
    }
    if (status == PM_OK) {
        status = merge_all(&m, wanted, ticker, err);
    }
    if (status == PM_OK) {
        compact(&m, fragments);
    }
    pm_free(m.span);
    pm_free(m.owner);
    for (int side = 0; side < 2; side++) {
        pm_free(m.births[side]);
        pm_free(m.born[side]);
    }
    pm_free(m.pairs);
    pm_free(m.map.slots);
    pm_free(m.heap);
    pm_arena_release(&m.places);
    return status;
}
