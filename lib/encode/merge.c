/* merge.c - byte-pair merging of one word or several, exact and never quadratic.
 *
 * Byte-pair encoding is defined by a loop: of all pairs of neighbours that are in the list of merges take the one of
 * lowest rank, of several equal ones the leftmost, replace the two tokens by one, and begin again (Sennrich, Haddow,
 * Birch: Neural Machine Translation of Rare Words with Subword Units, 2016). Doing that literally costs a look at
 * every pair for each merge. Here each pair is looked up once when it comes into being, and its rank is kept with its
 * left token, whose place is that of its first byte:
 *
 *     token      t    h    e    r    e         merges: 0 h+e -> he   1 t+he -> the   2 r+e -> re
 *     rank       -    0    -    2    -
 *     token      t    he        r    e         after merge 0: two new pairs, two look-ups
 *     rank       1    -         2    -
 *     token      the            r    e         after merge 1
 *     rank       -              2    -
 *     token      the            re             done: no pair has a rank
 *
 * Short words: 64 bits say at which places tokens are, a neighbour is the next bit, and the minimum is found by
 * running over all places, rank and place in one word. Quadratic in at most PM_MERGE_SHORT tokens, and faster there
 * than anything clever. What takes time is waiting for the table of pairs, so several words are merged in turn: each
 * does its merge and asks for the lines of its new pairs, then each looks them up. Nothing branches on what is found.
 *
 * Windows of long words (bpe.c says when they will do): the same with more than 64 bits, and with the minimum of each
 * block of 16 places, so that a merge renews two or three of those and looks over at most 32.
 *
 * Long words: a doubly linked list joins the living tokens, and a heap holds rank << 32 | place of each pair that ever
 * came into being, so that its minimum is the leftmost of the lowest rank. An entry that came off the heap is out of
 * date, and dropped, unless the pair at that place still has that rank. Each merge takes one entry off and puts at
 * most two on, so n merges need room for 2n entries, n log n time, and no allocation while merging. The heap has four
 * children a node: half the levels, one cache line a level.
 *
 * The order of ranks is not assumed to be sensible: a merge may make a pair of a lower rank than its own (vocabularies
 * edited by hand have such), and it is then taken next, as the definition says. */
#include "encode/merge.h"

#include "base/hash.h"

enum { ARITY = 4 };
#define NOWHERE UINT32_MAX

pm_status pm_merge_reserve(pm_merge_scratch *scratch, size_t n, pm_error *err) {
    if (n <= scratch->cap) {
        return PM_OK;
    }
    if (n >= UINT32_MAX) {
        return pm_fail(err, PM_LIMIT, "a pre-token of %zu bytes is too long: 4 GiB is the limit", n);
    }
    pm_merge_scratch_release(scratch);
    scratch->ranks = pm_alloc(n, sizeof *scratch->ranks);
    scratch->next = pm_alloc(n, sizeof *scratch->next);
    scratch->previous = pm_alloc(n, sizeof *scratch->previous);
    scratch->heap = pm_alloc(n, 2 * sizeof *scratch->heap);
    if (!scratch->ranks || !scratch->next || !scratch->previous || !scratch->heap) {
        pm_merge_scratch_release(scratch);
        return pm_fail_memory(err);
    }
    scratch->cap = n;
    return PM_OK;
}

void pm_merge_scratch_release(pm_merge_scratch *scratch) {
    pm_free(scratch->ranks);
    pm_free(scratch->next);
    pm_free(scratch->previous);
    pm_free(scratch->heap);
    *scratch = (pm_merge_scratch){0};
}

/* ---------------------------------------------------------------- short words ---- */

static inline int32_t lower(int32_t a, int32_t b) { return a < b ? a : b; }

/* The lowest of order[0..n), which goes on with three times PM_MERGE_NONE. Four at once: where the minimum is cannot
 * be predicted, and one chain of comparisons would be waited for. */
static inline int32_t lowest(const int32_t *order, size_t n) {
    int32_t a = order[0], b = order[1], c = order[2], d = order[3];
    for (size_t i = 4; i < n; i += 4) {
        a = lower(a, order[i]);
        b = lower(b, order[i + 1]);
        c = lower(c, order[i + 2]);
        d = lower(d, order[i + 3]);
    }
    return lower(lower(a, b), lower(c, d));
}

/* Does the next merge and asks for the cache lines of the pairs it made; false: there is none. */
static inline bool begin_step(const pm_pairs *pairs, pm_merge_lane *lane) {
    int32_t best = lowest(lane->order, PM_MERGE_BLOCK);
    for (size_t i = PM_MERGE_BLOCK; i < lane->n; i += PM_MERGE_BLOCK) {
        best = lower(best, lowest(lane->order + i, PM_MERGE_BLOCK));
    }

    if (best == PM_MERGE_NONE) {
        return false;
    }
    unsigned at = (unsigned)best % PM_MERGE_SHORT;
    uint64_t behind = lane->alive & (UINT64_MAX - 1) << at, ahead = lane->alive & ~(UINT64_MAX << at);
    unsigned dead = (unsigned)__builtin_ctzll(behind);
    behind &= behind - 1;
    lane->alive ^= UINT64_C(1) << dead;
    lane->order[dead] = PM_MERGE_NONE;
    pm_id joined = pm_pairs_result(pairs, (uint32_t)best / PM_MERGE_SHORT);
    lane->ids[at] = joined;
    lane->at = at;
    uint64_t here = UINT64_C(1) << at; /* stands in where there is no neighbour, so that nothing branches on it */
    lane->before = 63 - (unsigned)__builtin_clzll(ahead ? ahead : here);
    lane->left = pm_pairs_key(lane->ids[lane->before], joined);
    lane->right = pm_pairs_key(joined, lane->ids[__builtin_ctzll(behind ? behind : here)]);
    lane->left_bucket = pm_pairs_bucket(pairs, lane->left, ahead);
    lane->right_bucket = pm_pairs_bucket(pairs, lane->right, behind);
    return true;
}

static inline void set_rank(pm_merge_lane *lane, size_t at, uint32_t rank) {
    lane->order[at] = rank == PM_NO_RANK ? PM_MERGE_NONE : (int32_t)(rank << 6 | (uint32_t)at);
}

static inline void end_step(const pm_pairs *pairs, pm_merge_lane *lane) {
    set_rank(lane, lane->before, pm_pairs_look_up(pairs, lane->left_bucket, lane->left));
    set_rank(lane, lane->at,
             pm_pairs_look_up(pairs, lane->right_bucket,
                              lane->right)); /* last: without a token before, both are of one place */
}

void pm_merge_lanes(const pm_pairs *pairs, pm_merge_lane *lanes, size_t n_lanes) {
    pm_merge_lane *active[PM_MERGE_LANES];
    size_t n = 0;

    for (size_t i = 0; i < n_lanes; i++) {
        active[n++] = &lanes[i];
    }
    while (n > 0) {
        size_t left = 0;
        for (size_t i = 0; i < n; i++) {
            active[left] = active[i];
            left += begin_step(pairs, active[i]);
        }
        n = left;
        for (size_t i = 0; i < n; i++) {
            end_step(pairs, active[i]);
        }
    }
}

size_t pm_merge_lane_end(const pm_merge_lane *lane, pm_id *ids) {
    size_t n = 0;
    for (uint64_t alive = lane->alive; alive; alive &= alive - 1) {
        ids[n++] = lane->ids[__builtin_ctzll(alive)];
    }
    return n;
}

/* ---------------------------------------------------------------- windows ---- */

/* The next token behind a place, the one before it; PM_MERGE_WINDOW: none. */
static inline size_t next_token(const pm_merge_window *w, size_t at) {
    size_t word = at / 64 + 1;
    uint64_t bits = w->alive[word] & (UINT64_MAX - 1) << at % 64;
    while (!bits && word < PM_MERGE_WINDOW / 64) {
        bits = w->alive[++word];
    }
    return bits ? (word - 1) * 64 + (size_t)__builtin_ctzll(bits) : PM_MERGE_WINDOW;
}

static inline size_t token_before(const pm_merge_window *w, size_t at) {
    size_t word = at / 64 + 1;
    uint64_t bits = w->alive[word] & ~(UINT64_MAX << at % 64);
    while (!bits && word > 1) {
        bits = w->alive[--word];
    }
    return bits ? (word - 1) * 64 + 63 - (size_t)__builtin_clzll(bits) : PM_MERGE_WINDOW;
}

static inline void renew_block(pm_merge_window *w, size_t at) {
    w->lowest[at / PM_MERGE_BLOCK] = lowest(w->order + at / PM_MERGE_BLOCK * PM_MERGE_BLOCK, PM_MERGE_BLOCK);
}

static inline void set_order(pm_merge_window *w, size_t at, uint32_t rank) {
    w->order[at] = rank == PM_NO_RANK ? PM_MERGE_NONE : (int32_t)(rank * PM_MERGE_WINDOW | (uint32_t)at);
}

/* Joins the token at a place with the next one. */
static void join_in_window(const pm_pairs *pairs, pm_merge_window *w, size_t at, uint32_t rank) {
    size_t dead = next_token(w, at), behind = next_token(w, dead), before = token_before(w, at);
    pm_id joined = pm_pairs_result(pairs, rank);
    uint64_t left = before < PM_MERGE_WINDOW ? pm_pairs_key(w->ids[before], joined) : 0;
    uint64_t right = behind < PM_MERGE_WINDOW ? pm_pairs_key(joined, w->ids[behind]) : 0;
    const uint64_t *left_bucket = pm_pairs_bucket(pairs, left, before < PM_MERGE_WINDOW);
    const uint64_t *right_bucket = pm_pairs_bucket(pairs, right, behind < PM_MERGE_WINDOW);

    w->ids[at] = joined;
    w->alive[dead / 64 + 1] ^= UINT64_C(1) << dead % 64;
    w->order[dead] = PM_MERGE_NONE;
    set_order(w, at, pm_pairs_look_up(pairs, right_bucket, right));
    renew_block(w, at);
    if (dead / PM_MERGE_BLOCK != at / PM_MERGE_BLOCK) {
        renew_block(w, dead);
    }
    if (before < PM_MERGE_WINDOW) {
        set_order(w, before, pm_pairs_look_up(pairs, left_bucket, left));
        renew_block(w, before);
    }
}

size_t pm_merge_in_window(const pm_pairs *pairs, pm_merge_window *w, const uint32_t *ranks, size_t n) {
    size_t blocks = (n + PM_MERGE_BLOCK - 1) / PM_MERGE_BLOCK, left = 0;
    int32_t best;

    memset(w->alive, 0, sizeof w->alive);
    for (size_t i = 0; i < n; i++) {
        w->alive[i / 64 + 1] |= UINT64_C(1) << i % 64;
        set_order(w, i, i + 1 < n ? ranks[i] : PM_NO_RANK);
    }
    for (size_t i = n; i < blocks * PM_MERGE_BLOCK; i++) {
        w->order[i] = PM_MERGE_NONE;
    }
    for (size_t i = 0; i < blocks + 4; i++) {
        w->lowest[i] = i < blocks ? lowest(w->order + i * PM_MERGE_BLOCK, PM_MERGE_BLOCK) : PM_MERGE_NONE;
    }
    while ((best = lowest(w->lowest, blocks)) != PM_MERGE_NONE) {
        join_in_window(pairs, w, (uint32_t)best % PM_MERGE_WINDOW, (uint32_t)best / PM_MERGE_WINDOW);
    }
    for (size_t at = 0; at < PM_MERGE_WINDOW; at = next_token(w, at)) {
        w->ids[left++] = w->ids[at];
    }
    return left;
}

/* ---------------------------------------------------------------- long words ---- */

static void sift_down(uint64_t *heap, size_t n, size_t i, uint64_t item) {
    for (;;) {
        size_t child = ARITY * i + 1, end = child + ARITY < n ? child + ARITY : n;
        if (child >= n) {
            break;
        }
        size_t least = child;
        for (size_t c = child + 1; c < end; c++) {
            least = heap[c] < heap[least] ? c : least;
        }
        if (item <= heap[least]) {
            break;
        }
        heap[i] = heap[least];
        i = least;
    }
    heap[i] = item;
}

static void sift_up(uint64_t *heap, size_t i, uint64_t item) {
    while (i > 0 && item < heap[(i - 1) / ARITY]) {
        heap[i] = heap[(i - 1) / ARITY];
        i = (i - 1) / ARITY;
    }
    heap[i] = item;
}

/* The pair at a place has a new rank. */
static size_t renew(const pm_pairs *pairs, pm_merge_scratch *s, const pm_id *ids, size_t n_heap, uint32_t place) {
    uint32_t rank = pm_pairs_find(pairs, ids[place], ids[s->next[place]]);
    s->ranks[place] = rank;
    if (rank != PM_NO_RANK) {
        sift_up(s->heap, n_heap++, (uint64_t)rank << 32 | place);
    }
    return n_heap;
}

static size_t fill_heap(pm_merge_scratch *s, size_t n) {
    size_t n_heap = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        if (s->ranks[i] != PM_NO_RANK) {
            s->heap[n_heap++] = (uint64_t)s->ranks[i] << 32 | i;
        }
    }
    for (size_t i = n_heap > 1 ? (n_heap - 2) / ARITY + 1 : 0; i-- > 0;) {
        sift_down(s->heap, n_heap, i, s->heap[i]);
    }
    return n_heap;
}

/* Takes the first entry off. */
static uint64_t take(uint64_t *heap, size_t *n_heap) {
    uint64_t top = heap[0], last = heap[--*n_heap];
    if (*n_heap > 0) {
        sift_down(heap, *n_heap, 0, last);
    }
    return top;
}

static size_t begin_long(pm_merge_scratch *s, size_t n) {
    for (uint32_t i = 0; i < n; i++) {
        s->next[i] = i + 1 < n ? i + 1 : NOWHERE;
        s->previous[i] = i - 1; /* NOWHERE for the first */
    }
    s->ranks[n - 1] = PM_NO_RANK;
    return fill_heap(s, n);
}

/* Does the merge of an entry that is not out of date. Returns how many entries there are then. */
static size_t join(const pm_pairs *pairs, pm_merge_scratch *s, pm_id *ids, size_t n_heap, uint64_t entry) {
    uint32_t at = (uint32_t)entry, dead = s->next[at], after = s->next[dead], before = s->previous[at];

    ids[at] = pm_pairs_result(pairs, (uint32_t)(entry >> 32));
    s->next[at] = after;
    s->ranks[dead] = PM_NO_RANK;
    s->ranks[at] = PM_NO_RANK;
    if (after != NOWHERE) {
        s->previous[after] = at;
        n_heap = renew(pairs, s, ids, n_heap, at);
    }
    if (before != NOWHERE) {
        n_heap = renew(pairs, s, ids, n_heap, before);
    }
    return n_heap;
}

/* Puts what is left side by side. places may be NULL. */
static size_t end_long(const pm_merge_scratch *s, pm_id *ids, uint32_t *places) {
    size_t n_ids = 0;
    for (uint32_t i = 0; i != NOWHERE; i = s->next[i]) {
        if (places) {
            places[n_ids] = i;
        }
        ids[n_ids++] = ids[i];
    }
    return n_ids;
}

static inline bool is_current(const pm_merge_scratch *s, uint64_t entry) { return s->ranks[(uint32_t)entry] == entry >> 32; }

static void merge_long(const pm_pairs *pairs, pm_merge_scratch *s, pm_id *ids, size_t n) {
    size_t n_heap = begin_long(s, n);

    while (n_heap > 0) {
        uint64_t top = take(s->heap, &n_heap);
        if (is_current(s, top)) {
            n_heap = join(pairs, s, ids, n_heap, top);
        }
    }
}

size_t pm_merge_long(const pm_pairs *pairs, pm_merge_scratch *s, pm_id *ids, size_t n) {
    merge_long(pairs, s, ids, n);
    return end_long(s, ids, NULL);
}

/* ---------------------------------------------------------------- dropout ---- */

/* Uniform in [0, 1). */
static double drawn(uint64_t key, uint64_t i) {
    return (double)(pm_hash_word(key + pm_hash_word(i + UINT64_C(0x9E3779B97F4A7C15))) >> 11) * 0x1p-53;
}

/* What is passed over waits at the end of the heap's memory: with it there are never more than 2n entries. */
static void merge_dropped(const pm_pairs *pairs, pm_merge_scratch *s, pm_id *ids, size_t n, double dropout, uint64_t key) {
    size_t n_heap = begin_long(s, n), passed = 0;
    uint64_t draws = 0;

    while (n_heap > 0) {
        uint64_t top = take(s->heap, &n_heap);
        if (!is_current(s, top)) {
            continue;
        }
        if (drawn(key, draws++) < dropout) {
            s->heap[2 * n - ++passed] = top;
            continue;
        }
        for (; passed > 0; passed--) {
            sift_up(s->heap, n_heap, s->heap[2 * n - passed]);
            n_heap++;
        }
        n_heap = join(pairs, s, ids, n_heap, top);
    }
}

static pm_status look_up_pairs(const pm_pairs *pairs, pm_merge_scratch *scratch, const pm_id *ids, size_t n, pm_error *err) {
    PM_TRY(pm_merge_reserve(scratch, n, err));
    for (size_t i = 0; i + 1 < n; i++) {
        scratch->ranks[i] = pm_pairs_find(pairs, ids[i], ids[i + 1]);
    }
    return PM_OK;
}

pm_status pm_merge_dropped(const pm_pairs *pairs, pm_merge_scratch *scratch, pm_id *ids, size_t n, double dropout, uint64_t key, uint32_t *places,
                           size_t *n_ids, pm_error *err) {
    *n_ids = 0;
    if (n > 0) {
        PM_TRY(look_up_pairs(pairs, scratch, ids, n, err));
        merge_dropped(pairs, scratch, ids, n, dropout, key);
        *n_ids = end_long(scratch, ids, places);
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- words of any length ---- */

static void merge_short(const pm_pairs *pairs, pm_merge_lane *lane, const pm_id *ids, size_t n) {
    pm_merge_lane_begin(lane, n);
    for (size_t i = 0; i < n; i++) {
        pm_merge_lane_set(lane, i, ids[i], i + 1 < n ? pm_pairs_find(pairs, ids[i], ids[i + 1]) : PM_NO_RANK);
    }
    pm_merge_lanes(pairs, lane, 1);
}

pm_status pm_merge_word(const pm_pairs *pairs, pm_merge_scratch *scratch, pm_id *ids, size_t n, size_t *n_ids,
                        pm_error *err) {
    return pm_merge_placed(pairs, scratch, ids, n, NULL, n_ids, err);
}

pm_status pm_merge_placed(const pm_pairs *pairs, pm_merge_scratch *scratch, pm_id *ids, size_t n, uint32_t *places, size_t *n_ids, pm_error *err) {
    if (n <= PM_MERGE_SHORT) {
        pm_merge_lane lane;
        uint64_t alive;
        *n_ids = 0;
        if (n > 0) {
            merge_short(pairs, &lane, ids, n);
            *n_ids = pm_merge_lane_end(&lane, ids);
            alive = lane.alive;
            for (size_t i = 0; places && i < *n_ids; i++, alive &= alive - 1) {
                places[i] = (uint32_t)__builtin_ctzll(alive);
            }
        }
        return PM_OK;
    }
    PM_TRY(look_up_pairs(pairs, scratch, ids, n, err));
    merge_long(pairs, scratch, ids, n);
    *n_ids = end_long(scratch, ids, places);
    return PM_OK;
}
