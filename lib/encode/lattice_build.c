/* lattice_build.c - from pieces to the automaton of lattice.c.
 *
 * The pieces, sorted, become a trie; its nodes are numbered by depth, so that a node comes behind its parent and behind
 * its longest proper suffix that is a node (`fail`). In that order
 *   - a node of depth 3 and more gets its steps: to its children, and for other symbols those of its suffix. (All steps
 * of the suffixes down to depth 3; what is left, states of 1, 2 and 3 symbols, lattice.c finds without the state. Were
 * it only 1 and 2, there would be three times as many steps; with fail links in place of the suffixes' steps, branches
 * that cannot be predicted.) A node without children shares its suffix's steps. Nodes of depths 1 and 2 have only their
 * children;
 *   - steps are placed in the double array (placer.c);
 *   - a node that is a piece gets a record of what ends there: its suffix's, and itself. Other nodes share their
 * suffix's.
 *
 * A row of log-probabilities is shared by all records whose pieces of 3 to 10 symbols are the same, the list of longer
 * ones by its tail. So all tables together have some 50 bytes a piece and 16 a step. */
#include <math.h>

#include "base/bytes.h"
#include "encode/lattice_table.h"
#include "encode/placer.h"
#include "text/utf8.h"

typedef struct found { /* a node of the trie at depth 2 or more, in the order of the sorted pieces */
    uint32_t parent;   /* at depth 2 a symbol, else a number of another */
    uint32_t depth, piece;
    uint32_t symbol;
} found;

typedef struct node { /* a state; those of depth 1 are the symbols, then by depth */
    uint32_t symbol, depth, piece;
    uint32_t fail; /* the longest proper suffix; until steps are made, the parent */
    uint32_t first_child, n_children;
    uint32_t first_step, n_steps; /* in builder.steps: those that lead to depth 3 and more; of a symbol: to depth 2 */
    uint32_t base, ends;
} node;

enum { LONGER_MAX = 32000, HUGE_PAGE = 1 << 21 };
enum { DENSE = 3 }; /* from this depth on a node has the steps of its suffixes too */

typedef struct builder {
    const pm_bytes *pieces;
    size_t n_pieces;
    pm_lattice *lattice;
    uint32_t *sorted; /* numbers of the pieces, by their bytes */
    found *found;
    size_t n_found, cap_found;
    uint32_t *path, *path_symbols; /* the nodes that lead to the last piece */
    size_t path_len, cap_path, cap_path_symbols;
    uint32_t *piece_of_symbol;
    node *nodes;
    size_t n_nodes;
    pm_step *steps;
    size_t n_steps, cap_steps;
    uint32_t *stamp; /* of each symbol: the node whose steps have it */
    pm_placer placer;
    size_t cap_cells, cap_planes, cap_ends, cap_rows, cap_row_ids, cap_ids, cap_longer;
} builder;

/* ---------------------------------------------------------------- symbols ---- */

static inline uint32_t symbol_of(const pm_lattice *l, const uint8_t *p, const uint8_t *end, unsigned *len) {
    *len = 1;
    if (*p < 0x80 || !l->characters) {
        return *p;
    }
    uint32_t cp = pm_utf8_read(p, end, len);
    if (*len == 1) {
        return *p;
    }
    return l->symbols[(size_t)l->planes[cp >> PM_LATTICE_PLANE_BITS] << PM_LATTICE_PLANE_BITS | (cp & 63)];
}

static pm_status add_plane(builder *b, pm_error *err) {
    pm_lattice *l = b->lattice;
    PM_TRY(pm_grow((void **)&l->symbols, &b->cap_planes, l->n_planes + 1, sizeof *l->symbols << PM_LATTICE_PLANE_BITS,
                   err));
    for (size_t i = 0; i < 1u << PM_LATTICE_PLANE_BITS; i++) {
        l->symbols[(l->n_planes << PM_LATTICE_PLANE_BITS) + i] = PM_LATTICE_STRANGE;
    }
    l->n_planes++;
    return PM_OK;
}

static pm_status add_symbol(builder *b, uint32_t cp, pm_error *err) {
    pm_lattice *l = b->lattice;
    uint16_t *plane = &l->planes[cp >> PM_LATTICE_PLANE_BITS];
    if (*plane == 0) {
        PM_TRY(add_plane(b, err));
        *plane = (uint16_t)(l->n_planes - 1);
    }
    uint16_t *symbol = &l->symbols[(size_t)*plane << PM_LATTICE_PLANE_BITS | (cp & 63)];
    if (*symbol == PM_LATTICE_STRANGE) {
        *symbol = (uint16_t)l->n_symbols++;
    }
    return PM_OK;
}

/* Steps are characters when every piece of two bytes and more is well-formed UTF-8. */
static pm_status choose_symbols(builder *b, pm_error *err) {
    pm_lattice *l = b->lattice;

    l->n_symbols = PM_LATTICE_STRANGE + 1;
    l->planes = pm_calloc(0x110000 >> PM_LATTICE_PLANE_BITS, sizeof *l->planes);
    if (!l->planes) {
        return pm_fail_memory(err);
    }
    PM_TRY(add_plane(b, err)); /* number 0: strange characters only */
    l->characters = true;
    for (size_t i = 0; i < b->n_pieces && l->characters; i++) {
        const uint8_t *p = b->pieces[i].data, *end = p + b->pieces[i].len;
        unsigned len;
        for (; b->pieces[i].len > 1 && p < end && l->characters; p += len) {
            uint32_t cp = pm_utf8_read(p, end, &len);
            if (cp >= 0x80) {
                l->characters = len > 1 && l->n_symbols < PM_LATTICE_SYMBOLS_MAX;
                PM_TRY(add_symbol(b, cp, err));
            }
        }
    }
    if (!l->characters) {
        l->n_symbols = PM_LATTICE_STRANGE + 1;
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- the trie ---- */

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

static pm_status sort_all(builder *b, pm_error *err) {
    uint32_t *spare = pm_alloc(b->n_pieces, sizeof *spare);
    b->sorted = pm_alloc(b->n_pieces, sizeof *b->sorted);
    if (!spare || !b->sorted) {
        pm_free(spare);
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < b->n_pieces; i++) {
        b->sorted[i] = (uint32_t)i;
    }
    sort_pieces(b->pieces, b->sorted, spare, b->n_pieces);
    pm_free(spare);
    return PM_OK;
}

/* One symbol further down; depth counts from 1. */
static pm_status descend(builder *b, size_t depth, uint32_t symbol, pm_error *err) {
    if (depth <= b->path_len && b->path_symbols[depth] == symbol) {
        return PM_OK;
    }
    PM_TRY(pm_grow((void **)&b->path, &b->cap_path, depth + 1, sizeof *b->path, err));
    PM_TRY(pm_grow((void **)&b->path_symbols, &b->cap_path_symbols, depth + 1, sizeof *b->path_symbols, err));
    b->path_symbols[depth] = symbol;
    b->path[depth] = symbol;
    b->path_len = depth;
    if (depth > 1) {
        if (b->n_found >= PM_LATTICE_NONE - PM_LATTICE_SYMBOLS_MAX - 1) {
            return pm_fail(err, PM_LIMIT, "the vocabulary's pieces are too many for an automaton of 2^32 states");
        }
        PM_TRY(pm_grow((void **)&b->found, &b->cap_found, b->n_found + 1, sizeof *b->found, err));
        b->path[depth] = (uint32_t)b->n_found;
        b->found[b->n_found++] = (found){b->path[depth - 1], (uint32_t)depth, PM_LATTICE_NONE, symbol};
    }
    return PM_OK;
}

static pm_status grow_trie(builder *b, pm_error *err) {
    pm_lattice *l = b->lattice;

    b->piece_of_symbol = pm_alloc(l->n_symbols, sizeof *b->piece_of_symbol);
    if (!b->piece_of_symbol) {
        return pm_fail_memory(err);
    }
    for (size_t s = 0; s < l->n_symbols; s++) {
        b->piece_of_symbol[s] = PM_LATTICE_NONE;
    }
    for (size_t i = 0; i < b->n_pieces; i++) {
        uint32_t number = b->sorted[i];
        const uint8_t *p = b->pieces[number].data, *end = p + b->pieces[number].len;
        size_t depth = 0;
        unsigned len;
        for (; p < end; p += len) {
            PM_TRY(descend(b, ++depth, symbol_of(l, p, end, &len), err));
        }
        if (depth == 1) {
            b->piece_of_symbol[b->path_symbols[1]] = number;
        } else {
            b->found[b->path[depth]].piece = number;
        }
        l->longest = depth > l->longest ? depth : l->longest;
    }
    return PM_OK;
}

/* Nodes by depth; then the children of a node stand together, since in the order of the sorted pieces only deeper
 * nodes stand between them. */
static pm_status order_nodes(builder *b, pm_error *err) {
    pm_lattice *l = b->lattice;
    uint32_t *number = pm_alloc(b->n_found, sizeof *number), *next = pm_calloc(l->longest + 2, sizeof *next);

    b->n_nodes = l->n_symbols + b->n_found;
    b->nodes = pm_calloc(b->n_nodes, sizeof *b->nodes);
    if (!number || !next || !b->nodes) {
        pm_free(number);
        pm_free(next);
        return pm_fail_memory(err);
    }
    for (size_t s = 0; s < l->n_symbols; s++) {
        b->nodes[s] = (node){.symbol = (uint32_t)s, .depth = 1, .piece = b->piece_of_symbol[s]};
    }
    for (size_t i = 0; i < b->n_found; i++) {
        next[b->found[i].depth + 1]++;
    }
    next[2] = (uint32_t)l->n_symbols;
    for (size_t depth = 3; depth <= l->longest; depth++) {
        next[depth] += next[depth - 1];
    }
    for (size_t i = 0; i < b->n_found; i++) {
        const found *f = &b->found[i];
        uint32_t parent = f->depth == 2 ? f->parent : number[f->parent], n = number[i] = next[f->depth]++;
        b->nodes[n] = (node){.symbol = f->symbol, .depth = f->depth, .piece = f->piece, .fail = parent};
        b->nodes[parent].first_child = b->nodes[parent].n_children ? b->nodes[parent].first_child : n;
        b->nodes[parent].n_children++;
    }
    pm_free(number);
    pm_free(next);
    pm_free(b->found);
    b->found = NULL;
    return PM_OK;
}

/* ---------------------------------------------------------------- cells ---- */

/* Cells behind every base up to `base`. */
static pm_status cells_reserve(builder *b, uint32_t base, pm_error *err) {
    pm_lattice *l = b->lattice;
    size_t need = (size_t)base + 1 + l->n_symbols;

    PM_TRY(pm_grow((void **)&l->cells, &b->cap_cells, need, sizeof *l->cells, err));
    for (; l->n_cells < need; l->n_cells++) {
        l->cells[l->n_cells] = (pm_lattice_cell){PM_LATTICE_NONE, PM_LATTICE_NONE, 0};
    }
    return PM_OK;
}

static pm_status place_steps(builder *b, const pm_step *steps, size_t n, uint32_t *base, pm_error *err) {
    PM_TRY(pm_placer_place(&b->placer, steps, n, base, err));
    PM_TRY(cells_reserve(b, *base, err));
    for (size_t i = 0; i < n; i++) {
        b->lattice->cells[*base + steps[i].symbol] = (pm_lattice_cell){*base, steps[i].node, 0};
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- steps ---- */

/* The child of `from` for a symbol: of a node of depth 3 and more, or of one of its suffixes of that depth. */
static uint32_t child_of(const builder *b, uint32_t from, uint32_t symbol) {
    uint32_t base = b->nodes[from].base;
    const pm_lattice_cell *cell = &b->lattice->cells[base + symbol];
    return base && cell->check == base ? cell->node : PM_LATTICE_NONE;
}

/* The longest suffix of `from` and a symbol behind it that is a node. */
static uint32_t go(const builder *b, uint32_t from, uint32_t symbol) {
    for (;; from = b->nodes[from].fail) {
        uint32_t child = child_of(b, from, symbol);
        if (child != PM_LATTICE_NONE) {
            return child;
        }
        if (b->nodes[from].depth == 1) {
            return symbol;
        }
    }
}

static pm_status add_step(builder *b, uint32_t symbol, uint32_t to, pm_error *err) {
    PM_TRY(pm_grow((void **)&b->steps, &b->cap_steps, b->n_steps + 1, sizeof *b->steps, err));
    b->steps[b->n_steps++] = (pm_step){symbol, to};
    return PM_OK;
}

/* The steps of node n: to its children and, where it has none, as from the longest suffix. */
static pm_status link_node(builder *b, uint32_t n, pm_error *err) {
    size_t n_symbols = b->lattice->n_symbols;
    node *q = &b->nodes[n];
    const node *f = n < n_symbols ? NULL : &b->nodes[q->fail];
    bool inherits = f && f->depth >= DENSE;

    if (q->n_children == 0) {
        if (inherits) {
            q->base = f->base;
            q->first_step = f->first_step;
            q->n_steps = f->n_steps;
        }
        return PM_OK;
    }
    q->first_step = (uint32_t)b->n_steps;
    for (uint32_t c = q->first_child; c < q->first_child + q->n_children; c++) {
        b->stamp[b->nodes[c].symbol] = n;
        PM_TRY(add_step(b, b->nodes[c].symbol, c, err));
    }
    for (uint32_t i = 0; inherits && i < f->n_steps; i++) {
        pm_step s = b->steps[f->first_step + i];
        if (b->stamp[s.symbol] != n) {
            PM_TRY(add_step(b, s.symbol, s.node, err));
        }
    }
    q->n_steps = (uint32_t)b->n_steps - q->first_step;
    return place_steps(b, b->steps + q->first_step, q->n_steps, &q->base, err);
}

static pm_status link_nodes(builder *b, pm_error *err) {
    pm_lattice *l = b->lattice;

    b->stamp = pm_alloc(l->n_symbols, sizeof *b->stamp);
    l->pairs = pm_calloc(l->n_symbols, sizeof *l->pairs);
    if (!b->stamp || !l->pairs) {
        return pm_fail_memory(err);
    }
    memset(b->stamp, 0xFF, l->n_symbols * sizeof *b->stamp);
    PM_TRY(cells_reserve(b, 0, err));
    b->placer = (pm_placer){.n_symbols = l->n_symbols, .most = PM_LATTICE_NONE / sizeof *l->cells};
    for (uint32_t n = 0; n < b->n_nodes; n++) {
        node *q = &b->nodes[n];
        if (n >= l->n_symbols) { /* `fail` is the parent until now */
            q->fail = q->fail < l->n_symbols ? q->symbol : go(b, b->nodes[q->fail].fail, q->symbol);
        }
        PM_TRY(link_node(b, n, err));
        if (n < l->n_symbols) {
            l->pairs[n] = q->base;
        }
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- what ends where ---- */

static pm_status add_ids(builder *b, const uint32_t *from, size_t n, size_t room, uint32_t *at, pm_error *err) {
    pm_lattice *l = b->lattice;
    PM_TRY(pm_grow((void **)&l->ids, &b->cap_ids, l->n_ids + room, sizeof *l->ids, err));
    *at = (uint32_t)l->n_ids;
    for (size_t i = 0; i < room; i++) {
        l->ids[l->n_ids++] = i < n ? from[i] : PM_LATTICE_NONE;
    }
    return PM_OK;
}

/* The ids of `e` become its own. */
static pm_status own_ids(builder *b, pm_lattice_ends *e, size_t room, pm_error *err) {
    uint32_t old[PM_LATTICE_INLINE];
    size_t n = e->row ? PM_LATTICE_INLINE : PM_LATTICE_NEAR;
    memcpy(old, b->lattice->ids + e->ids, n * sizeof *old);
    return add_ids(b, old, n, room, &e->ids, err);
}

static pm_status add_row(builder *b, pm_lattice_ends *e, pm_error *err) {
    pm_lattice *l = b->lattice;
    PM_TRY(own_ids(b, e, PM_LATTICE_INLINE, err));
    PM_TRY(pm_grow((void **)&l->row_ids, &b->cap_row_ids, l->n_rows + 1, sizeof *l->row_ids, err));
    l->row_ids[l->n_rows] = e->ids + PM_LATTICE_NEAR;
    e->row = (uint32_t)l->n_rows++;
    return PM_OK;
}

static pm_status add_longer(builder *b, pm_lattice_ends *e, uint32_t depth, uint32_t piece, pm_error *err) {
    pm_lattice *l = b->lattice;
    uint32_t rank = e->longer ? l->longer[e->longer].rank + 1 : 1;

    if (rank > LONGER_MAX) {
        return pm_fail(err, PM_LIMIT, "more than %d pieces are each the end of the next", LONGER_MAX);
    }
    PM_TRY(pm_grow((void **)&l->longer, &b->cap_longer, l->n_longer + 1, sizeof *l->longer, err));
    l->longer[l->n_longer] = (pm_lattice_longer){-INFINITY, depth, piece, e->longer, rank};
    e->longer = (uint32_t)l->n_longer++;
    return PM_OK;
}

/* The ends of a node that is a piece: those of its longest suffix, and itself. */
static pm_status add_piece(builder *b, const node *q, uint32_t *at, pm_error *err) {
    pm_lattice *l = b->lattice;
    pm_lattice_ends e = l->ends[b->nodes[q->fail].ends];

    if (q->depth > PM_LATTICE_INLINE) {
        PM_TRY(add_longer(b, &e, q->depth, q->piece, err));
    } else {
        if (q->depth > PM_LATTICE_NEAR) {
            PM_TRY(add_row(b, &e, err));
        } else {
            PM_TRY(own_ids(b, &e, PM_LATTICE_NEAR, err));
        }
        l->ids[e.ids + q->depth - 1] = q->piece;
    }
    PM_TRY(pm_grow((void **)&l->ends, &b->cap_ends, l->n_ends + 1, sizeof *l->ends, err));
    *at = (uint32_t)l->n_ends;
    l->ends[l->n_ends++] = e;
    return PM_OK;
}

static pm_status end_symbols(builder *b, pm_error *err) {
    pm_lattice *l = b->lattice;
    PM_TRY(pm_grow((void **)&l->ends, &b->cap_ends, l->n_symbols, sizeof *l->ends, err));
    PM_TRY(pm_grow((void **)&l->row_ids, &b->cap_row_ids, 1, sizeof *l->row_ids, err));
    PM_TRY(pm_grow((void **)&l->longer, &b->cap_longer, 1, sizeof *l->longer, err));
    PM_TRY(add_ids(b, NULL, 0, PM_LATTICE_INLINE, &l->row_ids[0], err));
    l->n_rows = l->n_longer = 1;
    for (uint32_t s = 0; s < l->n_symbols; s++) {
        pm_lattice_ends *e = &l->ends[l->n_ends++];
        *e = (pm_lattice_ends){.last = PM_LATTICE_BYTE};
        PM_TRY(add_ids(b, &b->nodes[s].piece, 1, PM_LATTICE_NEAR, &e->ids, err));
        b->nodes[s].ends = s;
    }
    for (uint32_t cp = 0x80; l->characters && cp < 0x110000; cp++) {
        uint32_t plane = l->planes[cp >> PM_LATTICE_PLANE_BITS];
        if (plane == 0) {
            cp |= (1u << PM_LATTICE_PLANE_BITS) - 1;
            continue;
        }
        uint32_t s = l->symbols[plane << PM_LATTICE_PLANE_BITS | (cp & 63)];
        l->ends[s].last = s == PM_LATTICE_STRANGE ? PM_LATTICE_BYTE : cp;
    }
    return PM_OK;
}

static pm_status end_nodes(builder *b, pm_error *err) {
    PM_TRY(end_symbols(b, err));
    for (size_t n = b->lattice->n_symbols; n < b->n_nodes; n++) {
        node *q = &b->nodes[n];
        q->ends = b->nodes[q->fail].ends;
        if (q->piece != PM_LATTICE_NONE) {
            PM_TRY(add_piece(b, q, &q->ends, err));
        }
    }
    return PM_OK;
}

/* Cells come to hold what a step needs to know of its state. */
static void finish_cells(builder *b) {
    pm_lattice *l = b->lattice;
    for (size_t s = 0; s < l->n_symbols; s++) {
        l->pairs[s] *= (uint32_t)sizeof *l->cells;
    }
    for (size_t i = 0; i < l->n_cells; i++) {
        if (l->cells[i].check != PM_LATTICE_NONE) {
            const node *q = &b->nodes[l->cells[i].node];
            l->cells[i].check *= (uint32_t)sizeof *l->cells;
            l->cells[i].to = (uint64_t)(q->base * sizeof *l->cells) << 32 | q->ends;
        }
    }
}

/* A large table of steps goes to huge pages: nearly every step of it is on another page. */
static pm_status move_cells(pm_lattice *l, pm_error *err) {
    size_t bytes = l->n_cells * sizeof *l->cells;
    l->paged = bytes >= HUGE_PAGE;
    return l->paged ? pm_pages_move((void **)&l->cells, bytes, err) : PM_OK;
}

/* ---------------------------------------------------------------- log-probabilities ---- */

static double logp_of(const double *logp, uint32_t piece) { return piece == PM_LATTICE_NONE ? -INFINITY : logp[piece]; }

/* Can the character that ends here be better as its single bytes? Not if the piece is more likely by a good margin:
 * sums below 2^46 (2^40 bytes of text, log-probabilities above -64) are off by less than 0.1. */
static bool may_be_spelled(const pm_lattice *l, const pm_lattice_ends *e, bool bounded) {
    uint8_t bytes[4];
    double sum = 0;

    if (e->last & PM_LATTICE_BYTE) {
        return false;
    }
    for (unsigned i = 0, n = pm_utf8_write(e->last & PM_LATTICE_CODE, bytes); i < n; i++) {
        sum += l->bytes[bytes[i]];
    }
    return !(bounded && e->near[1] - sum > 0.25);
}

void pm_lattice_set(pm_lattice *l, const double *logp) {
    bool bounded = true;

    l->every_byte = true;
    for (unsigned c = 0; c < 256; c++) {
        l->bytes[c] = logp_of(logp, l->byte_id[c]);
        l->every_byte = l->every_byte && l->bytes[c] > -INFINITY;
    }
    for (size_t i = 0; i < l->n_pieces; i++) {
        bounded = bounded && (logp[i] == -INFINITY || (logp[i] >= -64 && logp[i] <= 64));
    }
    for (size_t i = 1; i < l->n_rows; i++) {
        for (size_t k = 0; k < PM_LATTICE_ROW; k++) {
            l->rows[i][PM_LATTICE_ROW - 1 - k] = logp_of(logp, l->ids[l->row_ids[i] + k]);
        }
    }
    for (size_t i = 1; i < l->n_longer; i++) {
        l->longer[i].logp = logp[l->longer[i].id];
    }
    for (size_t i = 0; i < l->n_ends; i++) {
        pm_lattice_ends *e = &l->ends[i];
        e->near[1] = logp_of(logp, l->ids[e->ids]);
        e->near[0] = logp_of(logp, l->ids[e->ids + 1]);
        bool rare = e->longer || i == PM_LATTICE_STRANGE || may_be_spelled(l, e, bounded);
        e->last = (e->last & ~PM_LATTICE_RARE) | (rare ? PM_LATTICE_RARE : 0);
    }
}

void pm_lattice_spell_only_unknown(pm_lattice *l) { l->only_unknown = true; }

/* ---------------------------------------------------------------- all ---- */

static pm_status make_rows(pm_lattice *l, pm_error *err) {
    size_t row = sizeof *l->rows;
    l->rows_memory = pm_alloc(l->n_rows + 1, row);
    if (!l->rows_memory) {
        return pm_fail_memory(err);
    }
    l->rows = (void *)(((uintptr_t)l->rows_memory + row - 1) & ~(uintptr_t)(row - 1));
    for (size_t k = 0; k < PM_LATTICE_ROW; k++) {
        l->rows[0][k] = -INFINITY;
    }
    return PM_OK;
}

/* What only building needs, but for piece_of_symbol. */
static void forget_building(builder *b) {
    void *all[] = {b->sorted, b->found, b->path, b->path_symbols, b->nodes, b->steps, b->stamp};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        pm_free(all[i]);
    }
    b->sorted = b->path = b->path_symbols = b->stamp = NULL;
    b->found = NULL;
    b->nodes = NULL;
    b->steps = NULL;
    pm_placer_release(&b->placer);
}

static pm_status build(builder *b, pm_error *err) {
    pm_cpu cpu;

    PM_TRY(pm_cpu_choose(&cpu, err));
    b->lattice->walk = pm_lattice_walk_for(cpu);
    PM_TRY(choose_symbols(b, err));
    PM_TRY(sort_all(b, err));
    PM_TRY(grow_trie(b, err));
    PM_TRY(order_nodes(b, err));
    PM_TRY(link_nodes(b, err));
    pm_free(b->steps);
    b->steps = NULL;
    PM_TRY(end_nodes(b, err));
    finish_cells(b);
    forget_building(b);
    PM_TRY(move_cells(b->lattice, err));
    return make_rows(b->lattice, err);
}

static void rename_pieces(pm_lattice *l, const uint32_t *ids) {
    for (size_t i = 0; i < l->n_ids; i++) {
        l->ids[i] = l->ids[i] == PM_LATTICE_NONE ? PM_LATTICE_NONE : ids[l->ids[i]];
    }
    for (size_t i = 1; i < l->n_longer; i++) {
        l->longer[i].id = ids[l->longer[i].id];
    }
    for (unsigned c = 0; c < 256; c++) {
        l->byte_id[c] = l->byte_id[c] == PM_LATTICE_NONE ? PM_LATTICE_NONE : ids[l->byte_id[c]];
    }
}

pm_status pm_lattice_new(pm_lattice **out, const pm_bytes *pieces, const uint32_t *ids, const double *logp, size_t n,
                         pm_error *err) {
    builder b = {.pieces = pieces, .n_pieces = n};

    *out = NULL;
    if (n >= PM_LATTICE_NONE) {
        return pm_fail(err, PM_LIMIT, "more than 2^32 - 1 pieces");
    }
    b.lattice = pm_calloc(1, sizeof *b.lattice);
    if (!b.lattice) {
        return pm_fail_memory(err);
    }
    b.lattice->n_pieces = n;
    pm_status status = build(&b, err);
    for (unsigned c = 0; c < 256 && status == PM_OK; c++) {
        b.lattice->byte_id[c] = b.piece_of_symbol[c];
    }
    forget_building(&b);
    pm_free(b.piece_of_symbol);
    if (status != PM_OK) {
        pm_lattice_free(b.lattice);
        return status;
    }
    pm_lattice_set(b.lattice, logp);
    if (ids) {
        rename_pieces(b.lattice, ids);
    }
    *out = b.lattice;
    return PM_OK;
}

void pm_lattice_free(pm_lattice *l) {
    if (l) {
        pm_free(l->planes);
        pm_free(l->symbols);
        if (l->paged) {
            pm_pages_free(l->cells, l->n_cells * sizeof *l->cells);
        } else {
            pm_free(l->cells);
        }
        pm_free(l->pairs);
        pm_free(l->ends);
        pm_free(l->rows_memory);
        pm_free(l->row_ids);
        pm_free(l->ids);
        pm_free(l->longer);
        pm_free(l);
    }
}
