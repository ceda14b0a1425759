/* lattice.c - the best segmentation of bytes under a unigram model: a double-array trie and a forward Viterbi.
 *
 * Idea. score[e] is the best sum of log-probabilities of pieces that spell text[0 .. e). Starts s are taken from the
 * left; when s's turn comes score[s] is final, and the trie is walked along text[s ..]: each piece text[s .. e) found
 * there offers score[s] + logp to e.
 *
 * Equality with bytepiece's faster.pyx rests on four details:
 *   - the sum is in double precision, absolute from the start of the chunk, one addition a piece, never renormalized;
 *   - an offer replaces what e has only if it is strictly greater;
 *   - bytepiece walks ends and, for each, the pieces that end there from the longest down (the order of Aho-Corasick's
 *     suffix links). For one e, starts from the left give the same order, so of equal offers the longest piece stays;
 *   - a log-probability is ln(count) - ln(sum of counts), both rounded, then the difference.
 *
 * The trie is a double array: the child of node t for byte c is t.base ^ c, valid if its parent is t. With XOR the
 * children of a node lie in one block of 256. A node holds its log-probability, so a step is one access of 16 bytes.
 * Example, pieces "a", "ab":
 *
 *     node 0 (root)  base 256      node 256 ^ 97 = 353 (a)  parent 0, logp of "a", base 512
 *                                  node 512 ^ 98 = 610 (ab) parent 353, logp of "ab"
 *
 * Invariant of the build: bases are chosen so that all children fall on nodes that are free; free nodes are chained,
 * and only the last few blocks are searched for a node with several children, so that building takes linear time.
 *
 * Two shortcuts do not change what is offered to whom: a byte that begins nothing longer needs no walk (in Chinese text
 * two bytes of three), and from a character of three bytes one table leads straight to its node, unless some piece ends
 * inside of characters that begin like it.
 *
 * Memory. The text is worked in a window of positions. A position that no piece crosses (the furthest end of all pieces
 * found so far is that position) lies on every path, so everything before it is final: when the window is full the path
 * up to the last such position is given out and the window moves there. Without such a position the window doubles.
 *
 * Cost: one step of the trie a byte of each piece or prefix of a piece found, at most `longest` a position. */
#include "encode/lattice_table.h"

#include <math.h>

#include "base/bytes.h"

/* ---------------------------------------------------------------- building the trie ---- */

enum { BLOCK = 256, OPEN_BLOCKS = 16, MANY_WIDE = 500 };

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
    uint32_t *next_free,
        *prev_free; /* chain of free nodes of the open blocks, through their indices; head at first_free */
    uint32_t first_free, last_free;
    range *stack;
    size_t n_stack, cap_stack;
} builder;

/* Merge sort of the pieces' numbers; `spare` has the same length. */
static void sort_pieces(const pm_bytes *pieces, uint32_t *items, uint32_t *spare, size_t n) {
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t at = 0; at < n; at += 2 * width) {
            size_t i = at, mid = at + width < n ? at + width : n, j = mid,
                   end = at + 2 * width < n ? at + 2 * width : n;
            if (mid == end || pm_bytes_compare(pieces[items[mid - 1]], pieces[items[mid]]) <= 0) {
                memcpy(spare + at, items + at, (end - at) * sizeof *items);
                continue;
            }
            for (size_t k = at; k < end; k++) {
                bool left = i < mid && (j == end || pm_bytes_compare(pieces[items[i]], pieces[items[j]]) <= 0);
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
    l->ends_at = pm_alloc(n, sizeof *l->ends_at);
    if (!spare || !b->sorted || !l->ends_at) {
        pm_free(spare);
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < n; i++) {
        b->sorted[i] = (uint32_t)i;
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

static uint32_t child_of(const pm_lattice *l, uint32_t node, uint32_t byte) {
    uint32_t child = l->nodes[node].base ^ byte;
    return l->nodes[child].parent == node ? child : PM_NODE_NONE;
}

/* The node of a 3-byte character, by the 16 bits of its code point. `lead` is the node of its first byte. */
static void fill_jumps(pm_lattice *l, uint32_t lead, uint32_t byte) {
    for (uint32_t b = 0; b < 64; b++) {
        uint32_t second = child_of(l, lead, 0x80 | b);
        for (uint32_t c = 0; c < 64; c++) {
            l->jump[(byte & 15) << 12 | b << 6 | c] =
                second == PM_NODE_NONE ? PM_NODE_NONE : child_of(l, second, 0x80 | c);
        }
    }
}

/* The tables of first bytes. */
static pm_status index_starts(pm_lattice *l, const pm_bytes *pieces, pm_error *err) {
    size_t n_wide = 0; /* pieces that begin with E0 .. EF */
    for (uint32_t c = 0; c < 256; c++) {
        l->byte_node[c] = child_of(l, 0, c);
        l->start[c] = PM_START_BYTE;
    }
    for (size_t i = 0; i < l->n_pieces; i++) {
        uint8_t lead = pieces[i].data[0];
        n_wide += lead >> 4 == 0xE;
        l->start[lead] = pieces[i].len > 1 && l->start[lead] == PM_START_BYTE ? PM_START_JUMP : l->start[lead];
        l->start[lead] = pieces[i].len == 2 || (pieces[i].len > 1 && lead >> 4 != 0xE) ? PM_START_TRIE : l->start[lead];
    }
    if (n_wide >= MANY_WIDE) {
        l->jump = pm_alloc(1 << 16, sizeof *l->jump);
        if (!l->jump) {
            return pm_fail_memory(err);
        }
    }
    for (uint32_t c = 0; c < 256; c++) {
        if (l->start[c] == PM_START_JUMP && l->jump) {
            fill_jumps(l, l->byte_node[c], c);
        } else if (l->start[c] == PM_START_JUMP) {
            l->start[c] = PM_START_TRIE;
        }
        l->bytes[c] = l->byte_node[c] == PM_NODE_NONE ? (pm_lattice_node){0, 0, -INFINITY} : l->nodes[l->byte_node[c]];
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
    if (status == PM_OK) {
        status = index_starts(b.lattice, pieces, err);
    }
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
        uint32_t node = lattice->byte_node[c];
        lattice->bytes[c].logp = node == PM_NODE_NONE ? -INFINITY : lattice->nodes[node].logp;
        lattice->every_byte = lattice->every_byte && lattice->bytes[c].logp > -INFINITY;
    }
}

void pm_lattice_free(pm_lattice *lattice) {
    if (lattice) {
        pm_free(lattice->nodes);
        pm_free(lattice->piece);
        pm_free(lattice->ends_at);
        pm_free(lattice->jump);
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
        pm_free(scratch->window.cells);
        pm_free(scratch->window.power);
        pm_free(scratch->out);
        pm_free(scratch);
    }
}

pm_status pm_lattice_check(const pm_lattice *lattice, const uint8_t *text, size_t len, pm_error *err) {
    for (size_t i = 0; !lattice->every_byte && i < len; i++) {
        if (!(lattice->bytes[text[i]].logp > -INFINITY)) {
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
    pm_lattice_cell *cells = pm_realloc(w->cells, cap, sizeof *cells);
    w->cells = cells ? cells : w->cells;
    int64_t *power = powers || w->power ? pm_realloc(w->power, cap, sizeof *power) : NULL;
    w->power = power ? power : w->power;
    if (!cells || (!power && powers)) {
        return pm_fail_memory(err);
    }
    w->cap = cap;
    return PM_OK;
}

pm_status pm_lattice_emit(const pm_lattice *lattice, pm_lattice_scratch *scratch, pm_lattice_place *place, size_t end,
                          size_t moved, bool powers, pm_lattice_sink sink, void *user, pm_error *err) {
    pm_lattice_window *w = &scratch->window;
    size_t at = end - place->from, n = 0;

    PM_TRY(pm_grow((void **)&scratch->out, &scratch->cap_out, at, sizeof *scratch->out, err));
    uint32_t *top = scratch->out + scratch->cap_out;
    while (at > 0) {
        *(top - ++n) = lattice->piece[w->cells[at].node];
        at -= w->cells[at].len;
    }
    if (moved) {
        at = end - place->from;
        memmove(w->cells, w->cells + at, moved * sizeof *w->cells);
        if (powers) {
            memmove(w->power, w->power + at, moved * sizeof *w->power);
        }
    }
    place->from = place->gap = end;
    return n ? sink(user, top - n, n, err) : PM_OK;
}

/* ---------------------------------------------------------------- the best segmentation ---- */

static inline void offer(pm_lattice_cell *cell, double score, uint32_t node, size_t len) {
    if (score > cell->score) {
        *cell = (pm_lattice_cell){score, node, (uint32_t)len};
    }
}

/* Where a start goes on behind its first byte: the node reached and, in *e, the end of the bytes that lead to it;
 * PM_NODE_NONE: nowhere. */
static inline uint32_t begin(const pm_lattice *l, const uint8_t *text, size_t text_end, size_t s, size_t *e) {
    uint8_t start = l->start[text[s]];
    if (start == PM_START_JUMP && s + 2 < text_end && (text[s + 1] & 0xC0) == 0x80 && (text[s + 2] & 0xC0) == 0x80) {
        *e = s + 3;
        return l->jump[(text[s] & 15u) << 12 | (text[s + 1] & 63u) << 6 | (text[s + 2] & 63u)];
    }
    *e = s + 1;
    return start == PM_START_BYTE ? PM_NODE_NONE : l->byte_node[text[s]];
}

/* All starts from place->next to `stop`; the window holds every end that they can reach. Positions here count from
 * place->from. */
static void walk(const pm_lattice *lattice, pm_lattice_window *window, pm_lattice_place *place, const uint8_t *text,
                 size_t len, size_t stop) {
    const pm_lattice_node *nodes = lattice->nodes;
    const size_t from = place->from, text_end = len - from, starts_end = stop - from;
    pm_lattice_cell *cells = window->cells;
    size_t reach = place->reach - from, gap = place->gap - from;

    text += from;
    for (size_t s = place->next - from; s < starts_end; s++) {
        double sum = cells[s].score;
        size_t e, last = s + 1;
        offer(&cells[s + 1], sum + lattice->bytes[text[s]].logp, lattice->byte_node[text[s]], 1);
        uint32_t parent = begin(lattice, text, text_end, s, &e);
        gap = reach <= s ? s : gap;
        if (parent != PM_NODE_NONE) {
            const pm_lattice_node *node = &nodes[parent];
            if (e > s + 1) {
                offer(&cells[e], sum + node->logp, parent, e - s);
                last = node->logp > -INFINITY ? e : last;
            }
            while (e < text_end) {
                uint32_t child = node->base ^ text[e];
                node = &nodes[child];
                if (node->parent != parent) {
                    break;
                }
                e++;
                offer(&cells[e], sum + node->logp, child, e - s);
                last = node->logp > -INFINITY ? e : last;
                parent = child;
            }
        }
        reach = last > reach ? last : reach;
    }
    place->reach = from + reach;
    place->gap = from + gap;
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
            scratch->window.cells[ready].score = ready ? -INFINITY : 0.0;
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
