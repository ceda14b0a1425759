/* bpe_merge.c - byte-pair merging done exactly, on fragments that fit in memory.
 *
 * Layout. All symbols stand in one array of cells, fragment behind fragment, a border symbol before the first and behind each. A
 * merge keeps its symbol in the first cell of the two it joins and leaves the other cells dead: below a bit that tells so, the second and the last
 * cell of a symbol hold how many cells it has, so that both neighbours are found without lists. The fragment's weight is in each cell too: what
 * a merge must know about a place lies in one or two cache lines, at 8 bytes a cell.
 *
 *     index      0   1   2   3   4   5        (l, l) -> ll    0   1   2   3   4   5      (e, ll) -> ell    0   1   2   3   4   5
 *     symbols    |   h   e   l   l   |                        |   h   e   ll  -2  |                        |   h   ell -3  -3  |
 *
 * Pairs. Only pairs that have the threshold when they are born are tracked: a pair's count never grows after the merge (or the
 * beginning) that made its symbols meet, because every later meeting would need one of its two symbols to be made again. A tracked pair has
 * the list of its places at birth in rising order; places die (one of the symbols went into another merge) and are
 * recognised when the list is used. A heap orders pairs by (count, left, right); counts in it are those at the time of the push, so the top is
 * compared with the present count and goes where it belongs when it is stale. Since the best count only falls, pairs that are not
 * near their turn wait in lists, one for each count from the threshold up, and come into the heap when it has run empty down to their count: most pairs lose
 * more than once before their turn, if it comes at all, and moving one to another list is cheap.
 *
 * One merge of (a, b) into c goes over the list once, and adds up by neighbour:
 *
 *     x a b y  ->  x c y       the pair (x, c) is born and (x, a) lost, as often; (c, y) is born and (b, y) lost
 *     a b a b  ->  c c         going from the left, the second place finds c in front: what was (c, a) a moment ago is (c, c), and (b, a) is lost
 *     a a a    ->  c a         (b, y) is then (a, a), the pair that is being merged: what it loses does not matter
 *
 * So the losses are known with the births, and each distinct neighbour costs one look-up of a pair. Pairs born with the threshold get a list,
 * filled in order by a second walk over the places where c stands now; most merges near the end have none, and no second walk.
 *
 * The beginning is the same thing without hashing: places are sorted by their left symbol (counting sort, which keeps them in order), and each
 * symbol's places are added up by right neighbour, several symbols at once by several threads. The order in which pairs are found does not matter: the heap has an order of its own.
 *
 * Counts are those of neighbouring places, overlapping ones included (aaa has two), as in Hugging Face tokenizers' BpeTrainer
 * (tokenizers/src/models/bpe/trainer.rs and word.rs), whose order of merges this is. There a pair is never met twice, here
 * neither, so that its re-use of an id for equal text does not arise: the text between two borders that no merge has crossed is
 * always merged in the same way, hence a text is made from one pair only.
 *
 * Cost: each place of a tracked pair is visited twice at most; memory: 8 bytes a cell, 4 a place, 4 a cell more at the beginning. */
#include "base/hash.h"
#include "train/bpe.h"

enum { NONE = -1, TICK = 64, AHEAD = 12 /* places */, LOOK = 1 << 16, QUEUES = 1 << 13, FIRST_BITS = 10, QUICK_BITS = 14 /* below, the map grows four times */,
       PARTS = 16 /* tasks */, MANY = 1 << 12 /* cells are worth several threads */ };
#define BORDER ((uint32_t)PM_BPE_BORDER)
#define DEAD (UINT32_C(1) << 31) /* and below it how many cells the symbol has */

typedef struct pair {
    uint64_t count;
    uint32_t *places;
    uint32_t n_places, left, right;
} pair;

typedef struct heap_item {
    uint64_t count;
    uint32_t left, right;
    uint32_t pair;
} heap_item;

/* Open addressing over pairs. */
typedef struct pair_slot {
    uint32_t tag, index; /* half of the hash; index + 1 of the pair, 0: empty */
} pair_slot;

typedef struct pair_map {
    pair_slot *slots;
    unsigned bits;
} pair_map;

enum { LEFT, RIGHT };

/* The pair that a neighbour forms with the new symbol. */
typedef struct birth {
    uint64_t count;
    uint32_t neighbour, n; /* places */
    uint32_t pair;         /* when it is tracked, else NONE */
} birth;

/* The births on one side. */
typedef struct births {
    birth *items;
    size_t n, cap;
    uint32_t *number; /* of each symbol's birth, + 1; 0: it has none */
    size_t cap_symbols;
} births;

typedef struct merger {
    pm_bpe_vocab *vocab;
    pm_bpe_cell *cells;
    size_t n_cells;
    const uint64_t *heavy; /* weights */
    uint64_t threshold;
    pair *pairs;
    uint32_t *next; /* of each pair, in the list of its count; NONE: it is the last */
    size_t n_pairs, cap_pairs, cap_next;
    pair_map map;
    heap_item *heap; /* pairs whose count is threshold + n_queues or more */
    size_t n_heap, cap_heap;
    uint32_t *queues; /* by count less threshold: the first pair of the list */
    size_t n_queues;
    uint32_t *first_places; /* of the pairs that are there at the beginning, by left symbol; */
    pm_arena places;        /* of those that are born */
    births births[2]; /* on the left, on the right */
    pm_ticker *ticker;
    size_t work;      /* places and the like since the ticker was looked at */
} merger;

/* One merge may have all cells of a corpus: loops over cells, places, pairs count here what they do, and look at the ticker every so often. */
static inline pm_status add_work(merger *m, size_t work, pm_error *err) {
    m->work += work;
    if (m->work < LOOK) {
        return PM_OK;
    }
    m->work = 0;
    return pm_ticker_poll(m->ticker, 0, err);
}

static inline uint64_t weight_of(const merger *m, const pm_bpe_cell *x) {
    return __builtin_expect(x->weight < PM_BPE_HEAVY, 1) ? x->weight : m->heavy[x->weight - PM_BPE_HEAVY];
}

/* First cells of the symbols beside the one that begins at x. */
static inline pm_bpe_cell *before(pm_bpe_cell *x) {
    uint32_t last = x[-1].symbol;
    return x - (last & DEAD ? last & ~DEAD : 1);
}
static inline pm_bpe_cell *behind(pm_bpe_cell *x) {
    uint32_t second = x[1].symbol;
    return x + (second & DEAD ? second & ~DEAD : 1);
}

/* ---------------------------------------------------------------- map ---- */

static inline uint32_t tag_of(uint32_t left, uint32_t right) {
    uint64_t x = ((uint64_t)left << 32 | right) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)((x ^ x >> 32) * UINT64_C(0xD6E8FEB86659FD93) >> 32);
}

/* Where to look for a pair first. */
static inline pair_slot *home_of(const merger *m, uint32_t tag) { return &m->map.slots[tag >> (32 - m->map.bits)]; }

/* The slot of a pair, or the empty one where it would be. */
static inline pair_slot *map_find(const merger *m, uint32_t left, uint32_t right) {
    uint32_t tag = tag_of(left, right);
    size_t mask = ((size_t)1 << m->map.bits) - 1, at = tag >> (32 - m->map.bits);
    for (;; at = (at + 1) & mask) {
        pair_slot *slot = &m->map.slots[at];
        if (!slot->index) {
            return slot;
        }
        if (slot->tag == tag) {
            const pair *p = &m->pairs[slot->index - 1];
            if (p->left == left && p->right == right) {
                return slot;
            }
        }
    }
}

static inline void map_enter(merger *m, size_t number) {
    uint32_t tag = tag_of(m->pairs[number].left, m->pairs[number].right);
    size_t mask = ((size_t)1 << m->map.bits) - 1, at = tag >> (32 - m->map.bits);
    while (m->map.slots[at].index) {
        at = (at + 1) & mask;
    }
    m->map.slots[at] = (pair_slot){tag, (uint32_t)number + 1};
}

/* An empty map. */
static pm_status map_init(merger *m, unsigned bits, pm_error *err) {
    if (bits > 32) {
        return pm_fail(err, PM_LIMIT, "more than 2^31 frequent pairs");
    }
    m->map.slots = pm_calloc((size_t)1 << bits, sizeof *m->map.slots);
    m->map.bits = bits;
    return m->map.slots ? PM_OK : pm_fail_memory(err);
}

/* Puts the newest pair in. */
static pm_status map_add(merger *m, pm_error *err) {
    size_t n = m->n_pairs - 1;
    if (2 * n >= (size_t)1 << m->map.bits) {
        pm_free(m->map.slots);
        PM_TRY(map_init(m, m->map.bits + (m->map.bits < QUICK_BITS ? 2 : 1), err));
        for (size_t i = 0; i < n; i++) {
            map_enter(m, i);
            PM_TRY(add_work(m, 1, err));
        }
    }
    map_enter(m, n);
    return PM_OK;
}

/* ---------------------------------------------------------------- heap ---- */

static inline bool goes_first(const merger *m, const heap_item *a, const heap_item *b) {
    return a->count != b->count ? a->count > b->count : pm_bpe_vocab_precedes(m->vocab, a->left, a->right, b->left, b->right);
}

static void sift_down(merger *m, size_t at) {
    heap_item item = m->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= m->n_heap) {
            break;
        }
        if (child + 1 < m->n_heap && goes_first(m, &m->heap[child + 1], &m->heap[child])) {
            child++;
        }
        if (!goes_first(m, &m->heap[child], &item)) {
            break;
        }
        m->heap[at] = m->heap[child];
        at = child;
    }
    m->heap[at] = item;
}

/* Puts a pair that has the threshold where its count belongs. */
static pm_status push(merger *m, uint32_t number, pm_error *err) {
    pair *p = &m->pairs[number];
    if (p->count - m->threshold < m->n_queues) {
        uint32_t *queue = &m->queues[p->count - m->threshold];
        m->next[number] = *queue;
        *queue = number;
        return PM_OK;
    }
    heap_item item = {p->count, p->left, p->right, number};
    PM_TRY(pm_grow((void **)&m->heap, &m->cap_heap, m->n_heap + 1, sizeof *m->heap, err));
    size_t at = m->n_heap++;
    while (at && goes_first(m, &item, &m->heap[(at - 1) / 2])) {
        m->heap[at] = m->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    m->heap[at] = item;
    return PM_OK;
}

/* Takes up to AHEAD pairs off a list; their memory is asked for. */
static size_t take_off(const merger *m, uint32_t *first, uint32_t taken[AHEAD]) {
    size_t n = 0;
    for (; n < AHEAD && *first != (uint32_t)NONE; *first = m->next[*first]) {
        __builtin_prefetch(&m->pairs[*first]);
        taken[n++] = *first;
    }
    return n;
}

/* Fills the empty heap from the list of the highest count. */
static pm_status refill(merger *m, pm_error *err) {
    while (!m->n_heap && m->n_queues) {
        uint32_t first = m->queues[--m->n_queues], taken[AHEAD];
        for (size_t n; (n = take_off(m, &first, taken)) > 0;) {
            for (size_t i = 0; i < n; i++) {
                if (m->pairs[taken[i]].count >= m->threshold) {
                    PM_TRY(push(m, taken[i], err));
                }
            }
            PM_TRY(add_work(m, n, err));
        }
    }
    return PM_OK;
}

/* The number of the pair to merge next, taken out; NONE when no pair has the threshold. */
static pm_status pop_best(merger *m, uint32_t *number, pm_error *err) {
    for (;;) {
        PM_TRY(refill(m, err));
        if (!m->n_heap) {
            *number = (uint32_t)NONE;
            return PM_OK;
        }
        heap_item top = m->heap[0];
        m->heap[0] = m->heap[--m->n_heap];
        if (m->n_heap) {
            sift_down(m, 0);
        }
        if (m->pairs[top.pair].count == top.count) {
            *number = top.pair;
            return PM_OK;
        }
        if (m->pairs[top.pair].count >= m->threshold) {
            PM_TRY(push(m, top.pair, err));
        }
    }
}

/* ---------------------------------------------------------------- births ---- */

/* Room for births beside symbols below n, at most n on each side: pages that are touched only when there are so many. */
static pm_status make_births(births *b, size_t n, pm_error *err) {
    PM_TRY(pm_grow_pages((void **)&b->items, &b->cap, n, sizeof *b->items, err));
    return pm_grow_pages((void **)&b->number, &b->cap_symbols, n, sizeof *b->number, err);
}

static void release_births(births *b) {
    pm_pages_free(b->items, b->cap * sizeof *b->items);
    pm_pages_free(b->number, b->cap_symbols * sizeof *b->number);
}

/* The birth beside this neighbour; `known` is a pair that it will have to look up. */
static inline birth *birth_beside(births *b, uint32_t neighbour) {
    uint32_t *number = &b->number[neighbour];
    if (!*number) {
        b->items[b->n] = (birth){0, neighbour, 0, (uint32_t)NONE};
        *number = (uint32_t)++b->n;
    }
    return &b->items[*number - 1];
}

static void forget_births(births *b) {
    for (size_t i = 0; i < b->n; i++) {
        b->number[b->items[i].neighbour] = 0;
    }
    b->n = 0;
}

/* Tracks a pair, under a number. */
static pm_status adopt(merger *m, const pair *p, uint32_t *number, pm_error *err) {
    PM_TRY(pm_grow_pages((void **)&m->pairs, &m->cap_pairs, m->n_pairs + 1, sizeof *m->pairs, err));
    PM_TRY(pm_grow_pages((void **)&m->next, &m->cap_next, m->n_pairs + 1, sizeof *m->next, err));
    *number = (uint32_t)m->n_pairs;
    m->pairs[m->n_pairs++] = *p;
    PM_TRY(map_add(m, err));
    return push(m, *number, err);
}

/* Tracks a pair with this count and room for its places; *number is NONE when it may not be merged. */
static pm_status track(merger *m, uint32_t left, uint32_t right, uint64_t count, size_t n_places, uint32_t *number, pm_error *err) {
    *number = (uint32_t)NONE;
    if (pm_bpe_vocab_forbids(m->vocab, left, right)) {
        return PM_OK;
    }
    uint32_t *places = pm_arena_alloc(&m->places, n_places * sizeof *places);
    return places ? adopt(m, &(pair){count, places, 0, left, right}, number, err) : pm_fail_memory(err);
}

/* Tracks the births beside c that have the threshold; *any: there are some. */
static pm_status track_births(merger *m, int side, uint32_t c, bool *any, pm_error *err) {
    births *all = &m->births[side];
    for (size_t i = 0; i < all->n; i++) {
        birth *b = &all->items[i];
        if (b->count >= m->threshold) {
            uint32_t left = side == LEFT ? b->neighbour : c, right = side == LEFT ? c : b->neighbour;
            PM_TRY(track(m, left, right, b->count, b->n, &b->pair, err));
            *any |= b->pair != (uint32_t)NONE;
        }
    }
    return PM_OK;
}

/* Adds a place to the pair that a symbol there forms with this neighbour, if it is one of `pairs`. */
static inline void add_place(pair *pairs, const births *b, uint32_t neighbour, size_t place) {
    uint32_t number = b->items[b->number[neighbour] - 1].pair;
    if (number != (uint32_t)NONE) {
        pair *p = &pairs[number];
        p->places[p->n_places++] = (uint32_t)place;
    }
}

/* ---------------------------------------------------------------- the beginning ---- */

static inline bool begins_pair(const merger *m, size_t i) { return m->cells[i].symbol != BORDER && m->cells[i + 1].symbol != BORDER; }

/* Where the part of a list ends that begins at `from` and is worked on before the ticker is looked at. */
static inline size_t part_end(size_t from, size_t n) { return n - from < LOOK ? n : from + LOOK; }

/* What a thread has to find the pairs of left symbols. */
typedef struct beginner {
    births births;
    pair *pairs; /* found */
    size_t n_pairs, cap_pairs;
    uint32_t *copy; /* of a symbol's places */
    size_t cap_copy;
    char apart[64];
} beginner;

typedef struct beginning {
    merger *m;
    beginner *beginners;
    unsigned threads;
    const uint32_t *ends; /* of each symbol's places */
    uint32_t bounds[PARTS + 1]; /* symbols: each part has about as many places */
} beginning;

static void count_rights(const merger *m, births *right, const uint32_t *places, size_t from, size_t to, size_t n) {
    for (size_t i = from; i < to; i++) {
        __builtin_prefetch(&m->cells[places[i + AHEAD < n ? i + AHEAD : i]]);
        const pm_bpe_cell *cell = &m->cells[places[i]];
        birth *b = birth_beside(right, cell[1].symbol);
        b->count += weight_of(m, cell);
        b->n++;
    }
}

static void add_rights(const merger *m, pair *pairs, const births *right, const uint32_t *places, size_t from, size_t to, size_t n) {
    for (size_t i = from; i < to; i++) {
        __builtin_prefetch(&m->cells[places[i + AHEAD < n ? i + AHEAD : i]]);
        add_place(pairs, right, m->cells[places[i] + 1].symbol, places[i]);
    }
}

/* Lists the pairs that have the threshold; their places will lie one behind the other from `places` on. */
static pm_status find_pairs(const merger *m, beginner *k, uint32_t left, uint32_t *places, pm_error *err) {
    for (size_t i = 0; i < k->births.n; i++) {
        birth *b = &k->births.items[i];
        if (b->count >= m->threshold) {
            PM_TRY(pm_grow_pages((void **)&k->pairs, &k->cap_pairs, k->n_pairs + 1, sizeof *k->pairs, err));
            b->pair = (uint32_t)k->n_pairs;
            k->pairs[k->n_pairs++] = (pair){b->count, places, 0, left, b->neighbour};
            places += b->n;
        }
    }
    return PM_OK;
}

/* The pairs of one left symbol, from its places, in whose memory the places of these pairs then are. */
static pm_status begin_symbol(const merger *m, beginner *k, unsigned thread, uint32_t left, uint32_t *places, size_t n, pm_error *err) {
    size_t before = k->n_pairs;
    for (size_t from = 0, to; from < n; from = to) {
        to = part_end(from, n);
        count_rights(m, &k->births, places, from, to, n);
        PM_TRY(to < n ? pm_ticker_poll(m->ticker, thread, err) : PM_OK);
    }
    PM_TRY(find_pairs(m, k, left, places, err));
    if (k->n_pairs > before) {
        PM_TRY(pm_grow_pages((void **)&k->copy, &k->cap_copy, n, sizeof *places, err));
        memcpy(k->copy, places, n * sizeof *places);
        for (size_t from = 0, to; from < n; from = to) {
            to = part_end(from, n);
            add_rights(m, k->pairs, &k->births, k->copy, from, to, n);
            PM_TRY(to < n ? pm_ticker_poll(m->ticker, thread, err) : PM_OK);
        }
    }
    forget_births(&k->births);
    return PM_OK;
}

static pm_status begin_part(void *ctx, unsigned thread, size_t part, pm_error *err) {
    beginning *g = ctx;
    merger *m = g->m;
    for (uint32_t s = g->bounds[part]; s < g->bounds[part + 1]; s++) {
        size_t from = s ? g->ends[s - 1] : 0;
        PM_TRY(begin_symbol(m, &g->beginners[thread], thread, s, m->first_places + from, g->ends[s] - from, err));
    }
    return pm_ticker_poll(m->ticker, thread, err);
}

static pm_status make_beginners(beginning *g, size_t n_symbols, pm_error *err) {
    size_t n_places = g->ends[n_symbols - 1];
    for (uint32_t s = 0, part = 0; part <= PARTS; part++) {
        while (s < n_symbols && (part == PARTS || g->ends[s] <= n_places / PARTS * part)) {
            s++;
        }
        g->bounds[part] = part ? s : 0;
    }
    g->beginners = pm_calloc(g->threads, sizeof *g->beginners);
    for (unsigned t = 0; g->beginners && t < g->threads; t++) {
        PM_TRY(make_births(&g->beginners[t].births, n_symbols, err));
    }
    return g->beginners ? PM_OK : pm_fail_memory(err);
}

/* Finds the pairs that are there, by all threads, and tracks those that may be merged. */
static pm_status find_all(beginning *g, size_t n_symbols, pm_error *err) {
    merger *m = g->m;
    uint32_t number;
    PM_TRY(make_beginners(g, n_symbols, err));
    PM_TRY(pm_parallel_part(g->threads, PARTS, begin_part, g, m->ticker, err));
    for (unsigned t = 0; t < g->threads; t++) {
        const beginner *k = &g->beginners[t];
        for (size_t i = 0; i < k->n_pairs; i++) {
            const pair *p = &k->pairs[i];
            PM_TRY(pm_bpe_vocab_forbids(m->vocab, p->left, p->right) ? PM_OK : adopt(m, p, &number, err));
            PM_TRY(add_work(m, 1, err));
        }
    }
    return PM_OK;
}

static void release_beginners(beginning *g) {
    for (unsigned t = 0; g->beginners && t < g->threads; t++) {
        beginner *k = &g->beginners[t];
        release_births(&k->births);
        pm_pages_free(k->pairs, k->cap_pairs * sizeof *k->pairs);
        pm_pages_free(k->copy, k->cap_copy * sizeof *k->copy);
    }
    pm_free(g->beginners);
}

/* Writes the places of pairs by left symbol; ends[s] is where those of s end. */
static pm_status sort_places(merger *m, uint32_t *places, uint32_t *ends, size_t n_symbols, pm_error *err) {
    size_t last = m->n_cells ? m->n_cells - 1 : 0;
    uint32_t sum = 0;
    for (size_t from = 0, to; from < last; from = to) {
        to = part_end(from, last);
        for (size_t i = from; i < to; i++) {
            if (begins_pair(m, i)) {
                ends[m->cells[i].symbol]++;
            }
        }
        PM_TRY(add_work(m, to - from, err));
    }
    for (size_t s = 0; s < n_symbols; s++) {
        uint32_t n = ends[s];
        ends[s] = sum;
        sum += n;
    }
    for (size_t from = 0, to; from < last; from = to) {
        to = part_end(from, last);
        for (size_t i = from; i < to; i++) {
            if (begins_pair(m, i)) {
                places[ends[m->cells[i].symbol]++] = (uint32_t)i;
            }
        }
        PM_TRY(add_work(m, to - from, err));
    }
    return PM_OK;
}

static pm_status begin(merger *m, unsigned threads, pm_error *err) {
    size_t n_symbols = pm_bpe_vocab_size(m->vocab);
    uint32_t *ends = pm_calloc(n_symbols, sizeof *ends);
    beginning g = {.m = m, .threads = m->n_cells < MANY ? 1 : threads, .ends = ends};
    m->first_places = pm_alloc(m->n_cells, sizeof *m->first_places);
    m->queues = pm_alloc(QUEUES, sizeof *m->queues);
    pm_status status = m->first_places && ends && m->queues ? map_init(m, FIRST_BITS, err) : pm_fail_memory(err);
    if (status == PM_OK) {
        m->n_queues = QUEUES;
        memset(m->queues, 0xFF, QUEUES * sizeof *m->queues); /* NONE */
        status = sort_places(m, m->first_places, ends, n_symbols, err);
    }
    if (status == PM_OK) {
        status = find_all(&g, n_symbols, err);
    }
    release_beginners(&g);
    pm_free(ends);
    return status;
}

/* ---------------------------------------------------------------- one merge ---- */

static inline void lose(merger *m, uint32_t left, uint32_t right, uint64_t weight) {
    const pair_slot *slot = map_find(m, left, right);
    if (slot->index) {
        m->pairs[slot->index - 1].count -= weight;
    }
}

/* Joins what still is a b at the places [from, to); those where c stands then are left in p->places from *kept on, the births in m->births. Returns
 * the weight of what is c c now. */
static uint64_t join_places(merger *m, const pair *p, uint32_t c, size_t from, size_t to, size_t *kept) {
    births *left = &m->births[LEFT], *right = &m->births[RIGHT];
    uint32_t a = p->left, b = p->right;
    size_t n = *kept;
    uint64_t doubled = 0;
    for (size_t i = from; i < to; i++) {
        __builtin_prefetch(&m->cells[p->places[i + AHEAD < p->n_places ? i + AHEAD : i]], 1);
        pm_bpe_cell *x = &m->cells[p->places[i]], *y = behind(x);
        if (x->symbol != a || y->symbol != b) {
            continue;
        }
        pm_bpe_cell *z = behind(y);
        uint32_t l = before(x)->symbol, r = z->symbol, span = (uint32_t)(z - x);
        uint64_t weight = weight_of(m, x);
        if (l == c) {
            birth *was = birth_beside(right, a), *is;
            was->count -= weight;
            was->n--;
            is = birth_beside(right, c);
            is->count += weight;
            is->n++;
            doubled += weight;
        } else if (l != BORDER) {
            birth *is = birth_beside(left, l);
            is->count += weight;
            is->n++;
        }
        if (r != BORDER) {
            birth *is = birth_beside(right, r);
            is->count += weight;
            is->n++;
        }
        x->symbol = c;
        y->symbol = x[1].symbol = z[-1].symbol = DEAD | span;
        p->places[n++] = p->places[i];
    }
    *kept = n;
    return doubled;
}

static pm_status join_all(merger *m, pair *p, uint32_t c, uint64_t *doubled, pm_error *err) {
    size_t n = 0;
    *doubled = 0;
    for (size_t from = 0, to; from < p->n_places; from = to) {
        to = part_end(from, p->n_places);
        *doubled += join_places(m, p, c, from, to, &n);
        PM_TRY(add_work(m, to - from, err));
    }
    p->n_places = (uint32_t)n;
    return PM_OK;
}

/* Asks for the memory of the pairs that lose_all and track_births will look up. */
static void look_for_births(const merger *m, uint32_t a, uint32_t b, uint32_t c) {
    const births *left = &m->births[LEFT], *right = &m->births[RIGHT];
    for (size_t i = 0; i < left->n; i++) {
        const birth *x = &left->items[i];
        __builtin_prefetch(home_of(m, tag_of(x->neighbour, a)));
        if (x->count >= m->threshold) {
            __builtin_prefetch(home_of(m, tag_of(x->neighbour, c)), 1);
        }
    }
    for (size_t i = 0; i < right->n; i++) {
        const birth *x = &right->items[i];
        __builtin_prefetch(home_of(m, tag_of(b, x->neighbour)));
        if (x->count >= m->threshold) {
            __builtin_prefetch(home_of(m, tag_of(c, x->neighbour)), 1);
        }
    }
}

/* What the births took away: (x, a) and (b, y). */
static void lose_all(merger *m, uint32_t a, uint32_t b, uint32_t c, uint64_t doubled) {
    const births *left = &m->births[LEFT], *right = &m->births[RIGHT];
    for (size_t i = 0; i < left->n; i++) {
        lose(m, left->items[i].neighbour, a, left->items[i].count);
    }
    for (size_t i = 0; i < right->n; i++) {
        uint32_t r = right->items[i].neighbour;
        if (r != c) {
            lose(m, b, r, right->items[i].count + (r == a ? doubled : 0));
        }
    }
}

static void add_neighbours(merger *m, const uint32_t *places, size_t from, size_t to, size_t n, uint32_t c) {
    for (size_t i = from; i < to; i++) {
        __builtin_prefetch(&m->cells[places[i + AHEAD < n ? i + AHEAD : i]]);
        pm_bpe_cell *x = &m->cells[places[i]], *l = before(x);
        uint32_t r = behind(x)->symbol;
        if (l->symbol != BORDER && l->symbol != c) {
            add_place(m->pairs, &m->births[LEFT], l->symbol, (size_t)(l - m->cells));
        }
        if (r != BORDER) {
            add_place(m->pairs, &m->births[RIGHT], r, places[i]);
        }
    }
}

/* Fills the lists of the pairs that were born. */
static pm_status fill_lists(merger *m, const uint32_t *places, size_t n, uint32_t c, pm_error *err) {
    for (size_t from = 0, to; from < n; from = to) {
        to = part_end(from, n);
        add_neighbours(m, places, from, to, n, c);
        PM_TRY(add_work(m, to - from, err));
    }
    return PM_OK;
}

static pm_status merge_pair(merger *m, uint32_t number, pm_error *err) {
    pair *p = &m->pairs[number];
    const uint32_t *places = p->places;
    uint32_t c = (uint32_t)pm_bpe_vocab_size(m->vocab);
    bool any = false;
    if (m->vocab->texts[p->left].len + m->vocab->texts[p->right].len >= DEAD) {
        return pm_fail(err, PM_LIMIT, "a piece of 2 GiB or more");
    }
    PM_TRY(pm_bpe_vocab_add(m->vocab, p->left, p->right, p->count, err));
    uint64_t doubled;
    PM_TRY(join_all(m, p, c, &doubled, err));
    size_t n = p->n_places;
    look_for_births(m, p->left, p->right, c);
    lose_all(m, p->left, p->right, c, doubled);
    PM_TRY(track_births(m, LEFT, c, &any, err)); /* m->pairs may move: p is not used behind this */
    PM_TRY(track_births(m, RIGHT, c, &any, err));
    if (any) {
        PM_TRY(fill_lists(m, places, n, c, err));
    }
    PM_TRY(add_work(m, m->births[LEFT].n + m->births[RIGHT].n, err));
    forget_births(&m->births[LEFT]);
    forget_births(&m->births[RIGHT]);
    return PM_OK;
}

/* ---------------------------------------------------------------- the call ---- */

/* Moves the living symbols to the front of the memory of the cells, 4 bytes each: no symbol is written where a cell has not been read. */
static pm_status compact(merger *m, pm_fragments *f, pm_error *err) {
    size_t n = 0;
    f->symbols = (uint32_t *)f->cells;
    for (size_t i = 0; i < f->n; i++) {
        pm_fragment *fragment = &f->items[i];
        const pm_bpe_cell *x = &f->cells[fragment->at], *end = x + fragment->n;
        fragment->at = n;
        while (x < end) {
            uint32_t symbol = x->symbol, second = x[1].symbol;
            x += second & DEAD ? second & ~DEAD : 1;
            f->symbols[n++] = symbol;
            PM_TRY(n % LOOK ? PM_OK : add_work(m, LOOK, err));
        }
        fragment->n_after = (uint32_t)(n - fragment->at);
    }
    return PM_OK;
}

/* Asks for the memory of what comes next, most likely: what stands on top of the heap, one level deeper for each step of the way from a pair to its cells. */
static void look_ahead(const merger *m) {
    size_t n = m->n_heap;
    for (size_t at = 0; at < 3 && at < n; at++) {
        const pair *p = &m->pairs[m->heap[at].pair];
        for (uint32_t i = 0; i < p->n_places && i < AHEAD; i++) {
            __builtin_prefetch(&m->cells[p->places[i]]);
        }
    }
    for (size_t at = 3; at < 7 && at < n; at++) {
        __builtin_prefetch(m->pairs[m->heap[at].pair].places);
    }
    for (size_t at = 7; at < 15 && at < n; at++) {
        __builtin_prefetch(&m->pairs[m->heap[at].pair]);
    }
}

static pm_status merge_all(merger *m, uint32_t left_end, size_t wanted, pm_ticker *ticker, pm_error *err) {
    while (m->vocab->n_merges < wanted) {
        uint32_t number;
        PM_TRY(pop_best(m, &number, err));
        if (number == (uint32_t)NONE || m->pairs[number].left >= left_end) {
            break;
        }
        look_ahead(m);
        PM_TRY(merge_pair(m, number, err));
        if (m->vocab->n_merges % TICK == 0) {
            PM_TRY(pm_ticker_tick(ticker, m->vocab->n_merges, err));
        }
    }
    return PM_OK;
}

pm_status pm_bpe_merge_fragments(pm_bpe_vocab *vocab, pm_fragments *fragments, uint64_t threshold, uint32_t left_end, size_t wanted, unsigned threads,
                                 pm_ticker *ticker, pm_error *err) {
    merger m = {.vocab = vocab, .cells = fragments->cells, .n_cells = fragments->n_cells, .heavy = fragments->heavy, .threshold = threshold, .ticker = ticker};
    if (fragments->n_cells > UINT32_MAX - 2) {
        return pm_fail(err, PM_LIMIT, "more than 2^32 symbols to merge at once");
    }
    size_t n_symbols = pm_bpe_vocab_base(vocab) + (wanted > vocab->n_merges ? wanted : vocab->n_merges);
    pm_status status = make_births(&m.births[LEFT], n_symbols, err);
    if (status == PM_OK) {
        status = make_births(&m.births[RIGHT], n_symbols, err);
    }
    if (status == PM_OK) {
        status = begin(&m, threads, err);
    }
    if (status == PM_OK) {
        status = merge_all(&m, left_end, wanted, ticker, err);
    }
    if (status == PM_OK) {
        status = compact(&m, fragments, err);
    }
    for (int side = LEFT; side <= RIGHT; side++) {
        release_births(&m.births[side]);
    }
    pm_pages_free(m.pairs, m.cap_pairs * sizeof *m.pairs);
    pm_pages_free(m.next, m.cap_next * sizeof *m.next);
    pm_free(m.first_places);
    pm_free(m.map.slots);
    pm_free(m.heap);
    pm_free(m.queues);
    pm_arena_release(&m.places);
    return status;
}
