/* lattice.c - the best segmentation of bytes under a unigram model: a double-array trie and a forward Viterbi.
 *
 * Idea. score[e] is the best sum of log-probabilities of pieces that spell text[0 .. e). Starts s are taken from the left; when s's turn
 * comes score[s] is final, and the trie is walked along text[s ..]: each piece text[s .. e) found there offers score[s] + logp to e.
 *
 * Equality with bytepiece's faster.pyx rests on four details:
 *   - the sum is in double precision, absolute from the start of the chunk, one addition a piece, never renormalized;
 *   - an offer replaces what e has only if it is strictly greater;
 *   - bytepiece walks ends and, for each, the pieces that end there from the longest down (the order of Aho-Corasick's suffix links). For one e, starts
 *     from the left give the same order, so of equal offers the longest piece stays;
 *   - a log-probability is ln(count) - ln(sum of counts), both rounded, then the difference.
 *
 * The trie is a double array: the child of node t for byte c is t.base ^ c, valid if its parent is t. With XOR the children of a node lie
 * in one block of 256. A node holds its log-probability, so a step is one access of 16 bytes. Example, pieces "a", "ab":
 *
 *     node 0 (root)  base 256      node 256 ^ 97 = 353 (a)  parent 0, logp of "a", base 512
 *                                  node 512 ^ 98 = 610 (ab) parent 353, logp of "ab"
 *
 * Invariant of the build: bases are chosen so that all children fall on nodes that are free; free nodes are chained, and only the last few
 * blocks are searched for a node with several children, so that building takes linear time.
 *
 * Memory. The text is worked in a window of positions. A position that no piece crosses (the furthest end of all pieces found so far is that
 * position) lies on every path, so everything before it is final: when the window is full the path up to the last such position is given out and
 * the window moves there. Without such a position the window doubles.
 *
 * Cost: one step of the trie a byte of each piece or prefix of a piece found, at most `longest` a position. */
#include "encode/lattice_table.h"

#include <math.h>

/* ---------------------------------------------------------------- building the trie ---- */

enum { BLOCK = 256, OPEN_BLOCKS = 16 };

/* Pieces sorted[first .. last) share the `depth` bytes that lead to `node`. */
typedef struct range {
    size_t first, last, depth;
    uint32_t node;
} range;

typedef struct builder {
    const pm_bytes *pieces;
    uint32_t *sorted; /* numbers of the pieces, by their bytes */
    pm_lattice *lattice;
    size_t cap_nodes;
    uint32_t *next_free, *prev_free; /* chain of free nodes of the open blocks, through their indices; head at first_free */
    uint32_t first_free, last_free;
    range *stack;
    size_t n_stack, cap_stack;
} builder;

static int compare_bytes(pm_bytes a, pm_bytes b) {
    int c = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

/* Merge sort of the pieces' numbers; `spare` has the same length. */
static void sort_pieces(const pm_bytes *pieces, uint32_t *items, uint32_t *spare, size_t n) {
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t at = 0; at < n; at += 2 * width) {
            size_t i = at, mid = at + width < n ? at + width : n, j = mid, end = at + 2 * width < n ? at + 2 * width : n;
            if (mid == end || compare_bytes(pieces[items[mid - 1]], pieces[items[mid]]) <= 0) {
                memcpy(spare + at, items + at, (end - at) * sizeof *items);
                continue;
            }
            for (size_t k = at; k < end; k++) {
                bool left = i < mid && (j == end || compare_bytes(pieces[items[i]], pieces[items[j]]) <= 0);
                spare[k] = left ? items[i++] : items[j++];
            }
        }
        memcpy(items, spare, n * sizeof *items);
    }
}

static void chain_remove(builder *b, uint32_t i) {
    uint32_t next = b->next_free[i], prev = b->prev_free[i];
    if (prev == PM_NODE_NONE) {
        b->first_free = next;
    } else {
        b->next_free[prev] = next;
    }
    if (next == PM_NODE_NONE) {
        b->last_free = prev;
    } else {
        b->prev_free[next] = prev;
    }
}

static void chain_append(builder *b, uint32_t i) {
    b->next_free[i] = PM_NODE_NONE;
    b->prev_free[i] = b->last_free;
    if (b->last_free == PM_NODE_NONE) {
        b->first_free = i;
    } else {
        b->next_free[b->last_free] = i;
    }
    b->last_free = i;
}

/* A new block of free nodes at the end; the block that is OPEN_BLOCKS back is closed: its free nodes stay unused. */
static pm_status add_block(builder *b, pm_error *err) {
    pm_lattice *l = b->lattice;
    size_t need = l->n_nodes + BLOCK;
    if (need >= PM_NODE_NONE) {
        return pm_fail(err, PM_LIMIT, "the vocabulary's pieces are too many for a trie of 2^32 nodes");
    }
    if (need > b->cap_nodes) {
        size_t caps[4] = {b->cap_nodes, b->cap_nodes, b->cap_nodes, b->cap_nodes};
        PM_TRY(pm_grow((void **)&l->nodes, &caps[0], need, sizeof *l->nodes, err));
        PM_TRY(pm_grow((void **)&l->piece, &caps[1], need, sizeof *l->piece, err));
        PM_TRY(pm_grow((void **)&b->next_free, &caps[2], need, sizeof *b->next_free, err));
        PM_TRY(pm_grow((void **)&b->prev_free, &caps[3], need, sizeof *b->prev_free, err));
        b->cap_nodes = caps[0];
    }
    size_t block = l->n_nodes / BLOCK;
    for (uint32_t i = (uint32_t)l->n_nodes; i < need; i++) {
        l->nodes[i] = (pm_lattice_node){0, PM_NODE_NONE, -INFINITY};
        l->piece[i] = PM_NODE_NONE;
        chain_append(b, i);
    }
    l->n_nodes = need;
    if (block >= OPEN_BLOCKS) {
        size_t closed = (block - OPEN_BLOCKS) * BLOCK;
        while (b->first_free != PM_NODE_NONE && b->first_free < closed + BLOCK) {
            chain_remove(b, b->first_free);
        }
    }
    return PM_OK;
}

static bool is_free(const builder *b, uint32_t i) { return b->lattice->nodes[i].parent == PM_NODE_NONE && i != 0; }

/* A base under which all n labels fall on free nodes. */
static pm_status find_base(builder *b, const uint8_t *labels, size_t n, uint32_t *base, pm_error *err) {
    for (uint32_t f = b->first_free; f != PM_NODE_NONE; f = b->next_free[f]) {
        size_t i = 1;
        *base = f ^ labels[0];
        while (i < n && is_free(b, *base ^ labels[i])) {
            i++;
        }
        if (i == n) {
            return PM_OK;
        }
    }
    *base = (uint32_t)b->lattice->n_nodes;
    return add_block(b, err);
}

static pm_status push(builder *b, range r, pm_error *err) {
    PM_TRY(pm_grow((void **)&b->stack, &b->cap_stack, b->n_stack + 1, sizeof *b->stack, err));
    b->stack[b->n_stack++] = r;
    return PM_OK;
}

/* Gives the node of a range its piece, and its children nodes of their own, which are pushed. */
static pm_status place_children(builder *b, range r, pm_error *err) {
    pm_lattice *l = b->lattice;
    uint8_t labels[256];
    size_t begins[257], n = 0, i = r.first;
    uint32_t base;

    while (i < r.last && b->pieces[b->sorted[i]].len == r.depth) {
        l->piece[r.node] = b->sorted[i];
        l->ends_at[b->sorted[i]] = r.node;
        i++;
    }
    for (; i < r.last; i++) {
        uint8_t c = b->pieces[b->sorted[i]].data[r.depth];
        if (n == 0 || labels[n - 1] != c) {
            labels[n] = c;
            begins[n++] = i;
        }
    }
    if (n == 0) {
        return PM_OK;
    }
    begins[n] = r.last;
    PM_TRY(find_base(b, labels, n, &base, err));
    l->nodes[r.node].base = base;
    for (size_t k = 0; k < n; k++) {
        l->nodes[base ^ labels[k]].parent = r.node;
        chain_remove(b, base ^ labels[k]);
    }
    for (size_t k = n; k-- > 0;) {
        PM_TRY(push(b, (range){begins[k], begins[k + 1], r.depth + 1, base ^ labels[k]}, err));
    }
    return PM_OK;
}

static pm_status build(builder *b, size_t n, pm_error *err) {
    pm_lattice *l = b->lattice;
    uint32_t *spare = pm_alloc(n, sizeof *spare);

    b->sorted = pm_alloc(n, sizeof *b->sorted);
    l->lengths = pm_alloc(n, sizeof *l->lengths);
    l->ends_at = pm_alloc(n, sizeof *l->ends_at);
    if (!spare || !b->sorted || !l->lengths || !l->ends_at) {
        pm_free(spare);
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < n; i++) {
        b->sorted[i] = (uint32_t)i;
        l->lengths[i] = (uint32_t)b->pieces[i].len;
        l->longest = b->pieces[i].len > l->longest ? b->pieces[i].len : l->longest;
    }
    sort_pieces(b->pieces, b->sorted, spare, n);
    pm_free(spare);
    PM_TRY(add_block(b, err));
    chain_remove(b, 0);
    PM_TRY(push(b, (range){0, n, 0, 0}, err));
    while (b->n_stack) {
        PM_TRY(place_children(b, b->stack[--b->n_stack], err));
    }
    return PM_OK;
}

pm_status pm_lattice_new(pm_lattice **out, const pm_bytes *pieces, const double *logp, size_t n, pm_error *err) {
    builder b = {.pieces = pieces, .first_free = PM_NODE_NONE, .last_free = PM_NODE_NONE};

    *out = NULL;
    if (n >= PM_NODE_NONE) {
        return pm_fail(err, PM_LIMIT, "more than 2^32 - 1 pieces");
    }
    b.lattice = pm_calloc(1, sizeof *b.lattice);
    if (!b.lattice) {
        return pm_fail_memory(err);
    }
    b.lattice->n_pieces = n;
    pm_status status = build(&b, n, err);
    pm_free(b.sorted);
    pm_free(b.next_free);
    pm_free(b.prev_free);
    pm_free(b.stack);
    if (status != PM_OK) {
        pm_lattice_free(b.lattice);
        return status;
    }
    pm_lattice_set(b.lattice, logp);
    *out = b.lattice;
    return PM_OK;
}

void pm_lattice_set(pm_lattice *lattice, const double *logp) {
    for (size_t i = 0; i < lattice->n_pieces; i++) {
        lattice->nodes[lattice->ends_at[i]].logp = logp[i];
    }
    lattice->every_byte = true;
    for (uint32_t c = 0; c < 256; c++) {
        const pm_lattice_node *node = &lattice->nodes[lattice->nodes[0].base ^ c];
        lattice->every_byte = lattice->every_byte && node->parent == 0 && node->logp > -INFINITY;
    }
}

void pm_lattice_free(pm_lattice *lattice) {
    if (lattice) {
        pm_free(lattice->nodes);
        pm_free(lattice->piece);
        pm_free(lattice->lengths);
        pm_free(lattice->ends_at);
        pm_free(lattice);
    }
}

/* ---------------------------------------------------------------- the window ---- */

pm_status pm_lattice_scratch_new(pm_lattice_scratch **out, pm_error *err) {
    *out = pm_calloc(1, sizeof **out);
    return *out ? PM_OK : pm_fail_memory(err);
}

void pm_lattice_scratch_free(pm_lattice_scratch *scratch) {
    if (scratch) {
        pm_free(scratch->window.score);
        pm_free(scratch->window.power);
        pm_free(scratch->window.node);
        pm_free(scratch->out);
        pm_free(scratch);
    }
}

pm_status pm_lattice_check(const pm_lattice *lattice, const uint8_t *text, size_t len, pm_error *err) {
    for (size_t i = 0; !lattice->every_byte && i < len; i++) {
        const pm_lattice_node *node = &lattice->nodes[lattice->nodes[0].base ^ text[i]];
        if (node->parent != 0 || !(node->logp > -INFINITY)) {
            return pm_fail_at(err, PM_INVALID_ARGUMENT, i, "byte 0x%02X is not a piece of the vocabulary", text[i]);
        }
    }
    return PM_OK;
}

pm_status pm_lattice_room(pm_lattice_scratch *scratch, size_t need, bool powers, pm_error *err) {
    pm_lattice_window *w = &scratch->window;
    if (need <= w->cap && (w->power || !powers)) {
        return PM_OK;
    }
    /* Each array is grown for itself and cap set last: after a failure all are at least as long as cap says. */
    size_t cap = need > w->cap ? need : w->cap;
    double *score = pm_realloc(w->score, cap, sizeof *score);
    w->score = score ? score : w->score;
    uint32_t *node = pm_realloc(w->node, cap, sizeof *node);
    w->node = node ? node : w->node;
    int64_t *power = powers || w->power ? pm_realloc(w->power, cap, sizeof *power) : NULL;
    w->power = power ? power : w->power;
    if (!score || !node || (!power && powers)) {
        return pm_fail_memory(err);
    }
    w->cap = cap;
    return PM_OK;
}

pm_status pm_lattice_emit(const pm_lattice *lattice, pm_lattice_scratch *scratch, pm_lattice_place *place, size_t end, size_t moved, bool powers,
                          pm_lattice_sink sink, void *user, pm_error *err) {
    pm_lattice_window *w = &scratch->window;
    size_t at = end - place->from, n = 0;

    PM_TRY(pm_grow((void **)&scratch->out, &scratch->cap_out, at, sizeof *scratch->out, err));
    uint32_t *top = scratch->out + scratch->cap_out;
    while (at > 0) {
        uint32_t piece = lattice->piece[w->node[at]];
        *(top - ++n) = piece;
        at -= lattice->lengths[piece];
    }
    if (moved) {
        at = end - place->from;
        memmove(w->score, w->score + at, moved * sizeof *w->score);
        memmove(w->node, w->node + at, moved * sizeof *w->node);
        if (powers) {
            memmove(w->power, w->power + at, moved * sizeof *w->power);
        }
    }
    place->from = place->gap = end;
    return n ? sink(user, top - n, n, err) : PM_OK;
}

/* ---------------------------------------------------------------- the best segmentation ---- */

/* All starts from place->next to `stop`; the window holds every end that they can reach. */
static void walk(const pm_lattice *lattice, pm_lattice_window *window, pm_lattice_place *place, const uint8_t *text, size_t len, size_t stop) {
    const pm_lattice_node *nodes = lattice->nodes;
    const uint32_t root = nodes[0].base;
    double *score = window->score;
    uint32_t *back = window->node;
    size_t reach = place->reach, gap = place->gap, from = place->from;

    for (size_t s = place->next; s < stop; s++) {
        double sum = score[s - from];
        uint32_t base = root, parent = 0;
        size_t e = s, last = s;
        gap = reach <= s ? s : gap;
        do {
            uint32_t child = base ^ text[e];
            const pm_lattice_node *node = &nodes[child];
            if (node->parent != parent) {
                break;
            }
            e++;
            double offer = sum + node->logp;
            if (offer > score[e - from]) {
                score[e - from] = offer;
                back[e - from] = child;
            }
            last = node->logp > -INFINITY ? e : last;
            base = node->base;
            parent = child;
        } while (e < len);
        reach = last > reach ? last : reach;
    }
    place->reach = reach;
    place->gap = gap;
    place->next = stop;
}

pm_status pm_lattice_best(const pm_lattice *lattice, pm_lattice_scratch *scratch, const uint8_t *text, size_t len,
                          pm_lattice_sink sink, void *user, pm_error *err) {
    pm_lattice_place place = {0};
    size_t room = PM_LATTICE_WINDOW, ready = 0; /* ready: window positions whose score is set */

    PM_TRY(pm_lattice_check(lattice, text, len, err));
    while (place.next < len) {
        size_t left = len - place.from, wanted = left < room ? left : room;
        size_t ends = left - wanted > lattice->longest ? wanted + lattice->longest : left;
        PM_TRY(pm_lattice_room(scratch, ends + 1, false, err));
        for (; ready <= ends; ready++) {
            scratch->window.score[ready] = ready ? -INFINITY : 0.0;
        }
        walk(lattice, &scratch->window, &place, text, len, place.from + wanted);
        if (place.next == len) {
            return pm_lattice_emit(lattice, scratch, &place, len, 0, false, sink, user, err);
        }
        if (place.gap > place.from) {
            ready -= place.gap - place.from;
            PM_TRY(pm_lattice_emit(lattice, scratch, &place, place.gap, ready, false, sink, user, err));
        } else {
            room *= 2;
        }
    }
    return PM_OK;
}
