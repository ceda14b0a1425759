/* parts.c - the best segmentation of many short texts.
 *
 * The encoder's automaton (encode/lattice.c) knows at each position all pieces that end there, at the price of steps copied along suffixes: 40 MB for
 * the 109,000 pieces that 40 MB of English have at first, and each symbol is a cache miss or two. Here is the plain trie of the pieces, 10 MB,
 * and all starts of many texts go down in it together, one symbol a level:
 *
 *     texts "abc", "ab"             symbols      a b c . a b .           . stands behind each text and has no steps
 *     level 1, every position       going on     a b     a b             c begins no longer piece
 *     level 2, the one behind it                 ab bc   ab .            "bc" is a piece: its log-probability goes where it ends
 *     level 3                                    abc                     ...
 *
 * Nothing here waits for anything else, and whether a start goes on is the addition of 0 or 1 to a number, not a branch: it would be mispredicted once a position.
 * What is found lies in ten log-probabilities at each position, of the pieces that end there, longest first. Then the walk, as lattice.c has
 * it: score[e] is the highest of score[e - len] + logp, of equal ones that of the longest piece. The few starts that are still going on after
 * ten symbols go on by themselves when the walk comes to them.
 *
 * The details that equality with bytepiece rests on, and why steps may be characters, are told in lattice.c: sums from the start of the text, one
 * addition a piece; of equal sums the longest piece; the spelling of a character in bytes comes last, and needs no look where its piece is more likely by
 * more than rounding can be off (texts here are so short that the sums are off by less than 1e-6).
 *
 * Cost: a symbol takes as many look-ups as the longest beginning of a piece there has symbols, and is 3.7 on average in English, 2.3 in Chinese; 200 bytes of
 * memory for each symbol that waits, 20 for each node of the trie (550,000 for those 109,000 pieces). */
#include "train/parts.h"

#include <math.h>

#include "base/cpu.h"
#include "base/hash.h"
#include "encode/placer.h"
#include "encode/ten.h"
#include "text/utf8.h"

enum {
    STOP = 256,     /* the symbol of a character that stands in no piece, and of the place behind a text */
    SYMBOLS_MAX = 65535,
    ROW = 10,       /* symbols of the longest piece that is found by level */
    WAITING = 256,   /* symbols: so many are split together */
    CODES = 0x110000,
    NODES = 3,      /* for each piece, at least, most likely */
    POLL = 1 << 14  /* pieces or nodes */
};

#define NONE UINT32_MAX

/* Where a step is: base + symbol, in bytes: the symbols of texts are multiplied beforehand. */
typedef struct cell {
    uint32_t step; /* the symbol times STEP, if there is a step; no two nodes have the same base */
    uint32_t base; /* for the steps behind it; 0: none */
    double logp;   /* of the piece that ends here */
} cell;

enum { STEP = sizeof(cell) };

typedef struct letter { /* what is known of a symbol */
    double logp;    /* as a piece */
    uint32_t base;  /* for the steps behind it; 0: none */
    uint32_t piece; /* NONE: it is none */
    uint32_t cp;    /* the character */
    uint32_t flags; /* of each place where it stands: SPELLED */
} letter;

typedef void (*walk_fn)(const pm_parts *parts, pm_parts_splitter *s);

struct pm_parts {
    walk_fn walk;
    bool characters;
    size_t n_pieces, n_symbols;
    uint16_t *symbols; /* by code point; 0: stands in no piece */
    letter *letters;   /* by symbol */
    cell *cells;
    bool paged;       /* cells are from pm_pages_alloc */
    uint32_t *pieces; /* of each cell; NONE: no piece ends here */
    size_t n_cells, cap_cells, cap_pieces;
    uint32_t *where; /* of each piece: its cell, or its symbol when it has one alone */
    bool *alone;
};

/* Flags of a position. */
enum {
    SPELLED = 1, /* the character may be better in bytes */
    STRANGE = 2, /* it stands in no piece */
    END = 4,     /* of a text */
    DEEP = 8,    /* the start here goes on after ROW symbols */
    LONGER = 16  /* a piece of more than ROW symbols ends here */
};

/* How the best path comes to a position: a set of bits, of which the lowest counts, bit k for a piece of ROW - k symbols; or one of these. */
enum { BY_BYTES = 0x8000, BY_LONGER = 0x8001 };

typedef struct longer { /* the best piece of more than ROW symbols that ends at a position */
    double score;
    uint32_t piece, len;
} longer;

typedef struct position {
    double logp[ROW];    /* of the pieces that end here, the longest first */
    uint32_t found[ROW]; /* their cells */
    uint32_t step;       /* symbol times STEP */
    uint8_t flags;
    uint16_t code;       /* how the best path comes here */
} position;

/* One that goes on, in one number: the position that comes next and the cell to look at, both in bytes (low and high half). */
typedef uint64_t start;

typedef struct waiting {
    size_t end; /* the position behind its last symbol */
    uint64_t weight;
} waiting;

struct pm_parts_splitter {
    const pm_parts *parts;
    uint64_t *counts;
    waiting *texts;
    size_t n_texts, cap_texts;
    size_t n, cap; /* positions: symbols and ends */
    position *positions;
    uint32_t *cps;  /* where a symbol is STRANGE */
    double *scores; /* with ROW + 1 more before the first: those no path begins at, and the one where the first text begins */
    longer *longer; /* where flags have LONGER */
    start *starts;  /* after ROW symbols: those that go on */
    size_t n_starts;
};

/* ---------------------------------------------------------------- symbols ---- */

/* The next symbol of a text. */
static inline uint32_t symbol_of(const pm_parts *parts, const uint8_t *p, const uint8_t *end, unsigned *len, uint32_t *cp) {
    *len = 1;
    if (*p < 0x80 || !parts->characters) {
        return *p;
    }
    *cp = pm_utf8_read(p, end, len);
    if (*len == 1) {
        return *p;
    }
    uint32_t symbol = parts->symbols[*cp];
    return symbol ? symbol : STOP;
}

/* Symbols are characters when every piece of two bytes and more is well-formed UTF-8. */
static pm_status choose_symbols(pm_parts *parts, const pm_bytes *pieces, size_t n, pm_error *err) {
    parts->n_symbols = STOP + 1;
    parts->characters = true;
    parts->symbols = pm_calloc(CODES, sizeof *parts->symbols);
    if (!parts->symbols) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < n && parts->characters; i++) {
        const uint8_t *p = pieces[i].data, *end = p + pieces[i].len;
        unsigned len;
        for (; pieces[i].len > 1 && p < end && parts->characters; p += len) {
            uint32_t cp = pm_utf8_read(p, end, &len);
            if (cp >= 0x80 && !(len > 1 && parts->symbols[cp])) {
                parts->characters = len > 1 && parts->n_symbols < SYMBOLS_MAX;
                parts->symbols[cp] = (uint16_t)parts->n_symbols++;
            }
        }
    }
    parts->n_symbols = parts->characters ? parts->n_symbols : STOP + 1;
    return PM_OK;
}

/* ---------------------------------------------------------------- the trie ---- */

typedef struct node { /* those of one symbol are numbered by it */
    uint32_t parent, symbol, piece;
} node;

typedef struct builder {
    pm_parts *parts;
    pm_ticker *ticker;
    node *nodes;
    size_t n, cap;
    uint32_t *table; /* nodes by parent and symbol; 0: free */
    unsigned bits;
    uint32_t *first; /* of each node: its first child in `children`; one more than nodes */
    pm_step *children;
    pm_placer placer;
} builder;

static size_t slot_of(const builder *b, uint32_t parent, uint32_t symbol) {
    return (size_t)(pm_hash_word((uint64_t)parent << 16 | symbol) >> (64 - b->bits));
}

static pm_status grow_table(builder *b, pm_error *err) {
    pm_free(b->table);
    b->bits++;
    b->table = pm_calloc((size_t)1 << b->bits, sizeof *b->table);
    if (!b->table) {
        return pm_fail_memory(err);
    }
    size_t mask = ((size_t)1 << b->bits) - 1;
    for (size_t i = b->parts->n_symbols; i < b->n; i++) {
        size_t at = slot_of(b, b->nodes[i].parent, b->nodes[i].symbol);
        while (b->table[at]) {
            at = (at + 1) & mask;
        }
        b->table[at] = (uint32_t)i;
    }
    return PM_OK;
}

/* The child of a node, made if it is not there. */
static pm_status descend(builder *b, uint32_t *at, uint32_t symbol, pm_error *err) {
    if (b->n >= (size_t)1 << b->bits >> 1) {
        PM_TRY(grow_table(b, err));
    }
    size_t mask = ((size_t)1 << b->bits) - 1, i = slot_of(b, *at, symbol);
    for (; b->table[i]; i = (i + 1) & mask) {
        const node *n = &b->nodes[b->table[i]];
        if (n->parent == *at && n->symbol == symbol) {
            *at = b->table[i];
            return PM_OK;
        }
    }
    if (b->n >= NONE - 1) {
        return pm_fail(err, PM_LIMIT, "the pieces are too many for a trie of 2^32 nodes");
    }
    PM_TRY(pm_grow_pages((void **)&b->nodes, &b->cap, b->n + 1, sizeof *b->nodes, err));
    b->nodes[b->n] = (node){*at, symbol, NONE};
    *at = b->table[i] = (uint32_t)b->n++;
    return PM_OK;
}

static pm_status add_piece(builder *b, pm_bytes piece, uint32_t number, pm_error *err) {
    const uint8_t *p = piece.data, *end = p + piece.len;
    unsigned len;
    uint32_t cp = 0, at = symbol_of(b->parts, p, end, &len, &cp);
    for (p += len; p < end; p += len) {
        PM_TRY(descend(b, &at, symbol_of(b->parts, p, end, &len, &cp), err));
    }
    b->nodes[at].piece = number;
    return PM_OK;
}

static pm_status grow_trie(builder *b, const pm_bytes *pieces, size_t n, pm_error *err) {
    size_t n_symbols = b->parts->n_symbols;
    PM_TRY(pm_grow_pages((void **)&b->nodes, &b->cap, n_symbols + n, sizeof *b->nodes, err));
    for (b->n = 0; b->n < n_symbols; b->n++) {
        b->nodes[b->n] = (node){NONE, (uint32_t)b->n, NONE};
    }
    for (b->bits = 9; (size_t)1 << b->bits < 2 * NODES * n; b->bits++) {
    }
    PM_TRY(grow_table(b, err));
    for (size_t i = 0; i < n; i++) {
        PM_TRY(add_piece(b, pieces[i], (uint32_t)i, err));
        PM_TRY(i % POLL ? PM_OK : pm_ticker_poll(b->ticker, 0, err));
    }
    return PM_OK;
}

/* The children of each node one behind the other. */
static pm_status sort_children(builder *b, pm_error *err) {
    size_t n_symbols = b->parts->n_symbols;
    b->first = pm_calloc(b->n + 2, sizeof *b->first);
    b->children = pm_alloc(b->n, sizeof *b->children);
    if (!b->first || !b->children) {
        return pm_fail_memory(err);
    }
    for (size_t i = n_symbols; i < b->n; i++) {
        b->first[b->nodes[i].parent + 2]++;
    }
    for (size_t i = 2; i < b->n + 2; i++) {
        b->first[i] += b->first[i - 1];
    }
    for (size_t i = n_symbols; i < b->n; i++) {
        b->children[b->first[b->nodes[i].parent + 1]++] = (pm_step){b->nodes[i].symbol, (uint32_t)i};
    }
    return PM_OK;
}

/* Cells behind every base up to `base`. */
static pm_status cells_reserve(pm_parts *parts, uint32_t base, pm_error *err) {
    size_t need = (size_t)base + 1 + parts->n_symbols;
    PM_TRY(pm_grow((void **)&parts->cells, &parts->cap_cells, need, sizeof *parts->cells, err));
    PM_TRY(pm_grow((void **)&parts->pieces, &parts->cap_pieces, need, sizeof *parts->pieces, err));
    for (; parts->n_cells < need; parts->n_cells++) {
        parts->cells[parts->n_cells] = (cell){NONE, 0, -INFINITY};
        parts->pieces[parts->n_cells] = NONE;
    }
    return PM_OK;
}

/* Puts the steps of a node into cells. */
static pm_status place_node(builder *b, size_t n, uint32_t *base, pm_error *err) {
    pm_parts *parts = b->parts;
    const pm_step *steps = b->children + b->first[n];
    size_t n_steps = b->first[n + 1] - b->first[n];
    *base = 0;
    if (!n_steps) {
        return PM_OK;
    }
    PM_TRY(pm_placer_place(&b->placer, steps, n_steps, base, err));
    PM_TRY(cells_reserve(parts, *base, err));
    for (size_t i = 0; i < n_steps; i++) {
        size_t at = *base + steps[i].symbol;
        uint32_t piece = b->nodes[steps[i].node].piece;
        parts->cells[at].step = steps[i].symbol * STEP;
        parts->pieces[at] = piece;
        if (piece != NONE) {
            parts->where[piece] = (uint32_t)at;
        }
        b->nodes[steps[i].node].piece = (uint32_t)at; /* what is needed of it now */
    }
    return PM_OK;
}

/* Nodes come behind their parents. */
static pm_status place_all(builder *b, pm_error *err) {
    pm_parts *parts = b->parts;
    b->placer = (pm_placer){.n_symbols = parts->n_symbols, .most = UINT32_MAX / sizeof *parts->cells};
    PM_TRY(cells_reserve(parts, 0, err));
    for (size_t n = 0; n < b->n; n++) {
        uint32_t base, at = b->nodes[n].piece;
        PM_TRY(place_node(b, n, &base, err));
        if (n < parts->n_symbols) {
            parts->letters[n].base = base * STEP;
        } else {
            parts->cells[at].base = base * STEP;
        }
        PM_TRY(n % POLL ? PM_OK : pm_ticker_poll(b->ticker, 0, err));
    }
    return PM_OK;
}

static pm_status make_letters(builder *b, pm_error *err) {
    pm_parts *parts = b->parts;
    parts->letters = pm_calloc(parts->n_symbols, sizeof *parts->letters);
    parts->where = pm_alloc(parts->n_pieces, sizeof *parts->where);
    parts->alone = pm_calloc(parts->n_pieces, sizeof *parts->alone);
    if (!parts->letters || !parts->where || !parts->alone) {
        return pm_fail_memory(err);
    }
    for (uint32_t s = 0; s < parts->n_symbols; s++) {
        uint32_t piece = b->nodes[s].piece;
        parts->letters[s] = (letter){.logp = -INFINITY, .piece = piece};
        if (piece != NONE) {
            parts->where[piece] = s;
            parts->alone[piece] = true;
        }
    }
    for (uint32_t cp = 0x80; parts->characters && cp < CODES; cp++) {
        if (parts->symbols[cp]) {
            parts->letters[parts->symbols[cp]].cp = cp;
        }
    }
    return PM_OK;
}

static pm_status build(builder *b, const pm_bytes *pieces, size_t n, pm_error *err) {
    PM_TRY(choose_symbols(b->parts, pieces, n, err));
    PM_TRY(grow_trie(b, pieces, n, err));
    PM_TRY(make_letters(b, err));
    PM_TRY(sort_children(b, err));
    PM_TRY(place_all(b, err));
    pm_parts *parts = b->parts;
    parts->paged = true; /* nearly every look-up is on another page */
    return pm_pages_move((void **)&parts->cells, parts->n_cells * sizeof *parts->cells, err);
}

/* ---------------------------------------------------------------- log-probabilities ---- */

static double spell(const pm_parts *parts, uint32_t cp, double score) {
    uint8_t bytes[4];
    for (unsigned i = 0, n = pm_utf8_write(cp, bytes); i < n; i++) {
        score += parts->letters[bytes[i]].logp;
    }
    return score;
}

void pm_parts_set(pm_parts *parts, const double *logp) {
    for (size_t i = 0; i < parts->n_pieces; i++) {
        if (parts->alone[i]) {
            parts->letters[parts->where[i]].logp = logp[i];
        } else {
            parts->cells[parts->where[i]].logp = logp[i];
        }
    }
    for (size_t s = STOP + 1; s < parts->n_symbols; s++) {
        letter *l = &parts->letters[s];
        l->flags = l->logp - spell(parts, l->cp, 0) > 0.25 ? 0 : SPELLED;
    }
}

/* ---------------------------------------------------------------- what is found by level ---- */

/* Where no piece ends, a position has a number below all sums of log-probabilities, -2.4e303, whose bytes are alike. */
enum { NOTHING_BYTE = 0xFE };
static const uint64_t nothing = UINT64_C(0x0101010101010101) * NOTHING_BYTE;

/* c's log-probability, or that, without a branch. */
static inline void set_logp(double *logp, const cell *c, bool there) {
    uint64_t bits, mask = -(uint64_t)there;
    memcpy(&bits, &c->logp, sizeof bits);
    bits = (bits & mask) | (nothing & ~mask);
    memcpy(logp, &bits, sizeof bits);
}

static inline const cell *cell_at(const pm_parts *parts, uint32_t at) { return (const void *)((const uint8_t *)parts->cells + at); }
static inline position *position_at(const pm_parts_splitter *s, uint32_t at) { return (void *)((uint8_t *)s->positions + at); }

/* Asks for the cell that comes next. */
static inline start go_on(const pm_parts *parts, const pm_parts_splitter *s, uint32_t at, uint32_t base) {
    uint32_t where = base + position_at(s, at)->step;
    __builtin_prefetch(cell_at(parts, where));
    return (uint64_t)where << 32 | at;
}

/* The first level: every symbol. Returns how many starts go on. */
static size_t level_one(const pm_parts *parts, pm_parts_splitter *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        position *p = &s->positions[i];
        const letter *l = &parts->letters[p->step / STEP];
        memset(p->logp, NOTHING_BYTE, sizeof p->logp);
        p->logp[ROW - 1] = l->logp;
        p->flags |= (uint8_t)l->flags;
        s->starts[n] = go_on(parts, s, (uint32_t)((i + 1) * sizeof *p), l->base);
        n += l->base != 0;
    }
    return n;
}

/* Another symbol of each of n starts; returns how many go on. */
static size_t next_level(const pm_parts *parts, pm_parts_splitter *s, size_t n, unsigned level) {
    const unsigned k = ROW - level;
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t where = (uint32_t)(s->starts[i] >> 32), at = (uint32_t)s->starts[i];
        position *p = position_at(s, at);
        const cell *c = cell_at(parts, where);
        bool there = c->step == p->step;
        set_logp(&p->logp[k], c, there);
        p->found[k] = where;
        s->starts[left] = go_on(parts, s, at + (uint32_t)sizeof *p, c->base);
        left += there & (c->base != 0);
    }
    return left;
}

static void find_pieces(const pm_parts *parts, pm_parts_splitter *s) {
    size_t n = level_one(parts, s);
    for (unsigned level = 2; level <= ROW && n; level++) {
        n = next_level(parts, s, n, level);
    }
    s->n_starts = n;
    for (size_t i = 0; i < n; i++) {
        position_at(s, (uint32_t)s->starts[i])[-ROW].flags |= DEEP;
    }
}

/* ---------------------------------------------------------------- the walk ---- */

/* One of the starts that go on, whose text has the score `before`: looks for pieces of more than ROW symbols. */
static void go_deep(const pm_parts *parts, pm_parts_splitter *s, start from, double before) {
    size_t at = (uint32_t)from / sizeof *s->positions;
    const cell *c = cell_at(parts, (uint32_t)(from >> 32));
    for (uint32_t len = ROW + 1; c->step == s->positions[at].step; len++) {
        double score = before + c->logp;
        if (c->logp > -INFINITY && (!(s->positions[at].flags & LONGER) || score > s->longer[at].score)) {
            s->longer[at] = (longer){score, parts->pieces[c - parts->cells], len};
            s->positions[at].flags |= LONGER;
        }
        if (!c->base) {
            return;
        }
        c = cell_at(parts, c->base + s->positions[++at].step);
    }
}

/* What the common steps leave out at position i. scores[0] is that of the position before it. */
static double step_rare(const pm_parts *parts, pm_parts_splitter *s, size_t i, size_t *next_start, const double *scores, double best) {
    position *p = &s->positions[i];
    unsigned flags = p->flags;
    if (flags & END) {
        return 0;
    }
    if (flags & DEEP) {
        go_deep(parts, s, s->starts[(*next_start)++], scores[0]);
    }
    if (flags & LONGER && s->longer[i].score >= best) {
        best = s->longer[i].score;
        p->code = BY_LONGER;
    }
    if (flags & (SPELLED | STRANGE)) {
        double spelled = spell(parts, flags & STRANGE ? s->cps[i] : parts->letters[p->step / STEP].cp, scores[0]);
        if (spelled > best) {
            best = spelled;
            p->code = BY_BYTES;
        }
    }
    return best;
}

static void walk_plain(const pm_parts *parts, pm_parts_splitter *s) {
    double *scores = s->scores + ROW;
    size_t next_start = 0;
    for (size_t i = 0; i < s->n; i++, scores++) {
        position *p = &s->positions[i];
        double best = -INFINITY;
        unsigned which = 0;
        for (unsigned k = 0; k < ROW; k++) {
            double score = scores[(ptrdiff_t)k - (ROW - 1)] + p->logp[k];
            which = score > best ? k : which;
            best = score > best ? score : best;
        }
        p->code = (uint16_t)(1u << which);
        scores[1] = p->flags ? step_rare(parts, s, i, &next_start, scores, best) : best;
    }
}

#if defined(__x86_64__)
PM_TARGET_AVX2 static void walk_avx2(const pm_parts *parts, pm_parts_splitter *s) {
    double *scores = s->scores + ROW;
    pm_ten ten = pm_ten_load(scores);
    size_t next_start = 0;

    for (size_t i = 0; i < s->n; i++, scores++) {
        position *p = &s->positions[i];
        unsigned which;
        __m128d best = pm_ten_best(&ten, p->logp, p->logp + ROW - 2, &which);
        p->code = (uint16_t)which;
        if (__builtin_expect(p->flags != 0, 0)) {
            best = _mm_set_sd(step_rare(parts, s, i, &next_start, scores, _mm_cvtsd_f64(best)));
        }
        _mm_store_sd(scores + 1, best);
        pm_ten_push(&ten, best);
    }
}
#endif

static walk_fn walk_for(pm_cpu cpu) {
#if defined(__x86_64__)
    if (cpu == PM_CPU_AVX2 || cpu == PM_CPU_AVX512) {
        return walk_avx2;
    }
#endif
    (void)cpu;
    return walk_plain;
}

/* ---------------------------------------------------------------- giving out ---- */

/* The path of the text at positions begin .. end, from the back. */
static void give_weight(pm_parts_splitter *s, size_t begin, size_t end, uint64_t weight) {
    const pm_parts *parts = s->parts;
    while (end > begin) {
        const position *p = &s->positions[end - 1];
        if (p->code < BY_BYTES) {
            uint32_t k = (uint32_t)__builtin_ctz(p->code);
            s->counts[k == ROW - 1 ? parts->letters[p->step / STEP].piece : parts->pieces[p->found[k] / STEP]] += weight;
            end -= ROW - k;
        } else if (p->code == BY_LONGER) {
            s->counts[s->longer[end - 1].piece] += weight;
            end -= s->longer[end - 1].len;
        } else {
            uint8_t bytes[4];
            unsigned n = pm_utf8_write(p->flags & STRANGE ? s->cps[end - 1] : parts->letters[p->step / STEP].cp, bytes);
            for (unsigned b = 0; b < n; b++) {
                s->counts[parts->letters[bytes[b]].piece] += weight;
            }
            end--;
        }
    }
}

void pm_parts_finish(pm_parts_splitter *s) {
    if (!s->n) {
        return;
    }
    find_pieces(s->parts, s);
    s->parts->walk(s->parts, s);
    for (size_t t = 0, begin = 0; t < s->n_texts; begin = s->texts[t++].end + 1) {
        give_weight(s, begin, s->texts[t].end, s->texts[t].weight);
    }
    s->n = s->n_texts = 0;
}

/* ---------------------------------------------------------------- taking texts ---- */

static pm_status grow_array(void **items, size_t n, size_t size, pm_error *err) {
    void *more = pm_realloc(*items, n, size);
    if (!more) {
        return pm_fail_memory(err);
    }
    *items = more;
    return PM_OK;
}

/* Room for n positions. */
static pm_status reserve(pm_parts_splitter *s, size_t n, pm_error *err) {
    if (n <= s->cap) {
        return PM_OK;
    }
    PM_TRY(grow_array((void **)&s->positions, n + 1, sizeof *s->positions, err)); /* the step of the one behind is read */
    PM_TRY(grow_array((void **)&s->cps, n, sizeof *s->cps, err));
    PM_TRY(grow_array((void **)&s->longer, n, sizeof *s->longer, err));
    PM_TRY(grow_array((void **)&s->starts, n, sizeof *s->starts, err));
    PM_TRY(grow_array((void **)&s->scores, n + ROW + 1, sizeof *s->scores, err));
    memset(s->scores, 0, (ROW + 1) * sizeof *s->scores);
    s->cap = n;
    return PM_OK;
}

pm_status pm_parts_split(pm_parts_splitter *s, pm_bytes text, uint64_t weight, pm_error *err) {
    const pm_parts *parts = s->parts;
    if (text.len > PM_PARTS_MAX_BYTES) {
        return pm_fail(err, PM_LIMIT, "a piece of %zu bytes: at most %d are possible", text.len, PM_PARTS_MAX_BYTES);
    }
    PM_TRY(reserve(s, s->n + text.len + 1, err));
    PM_TRY(pm_grow((void **)&s->texts, &s->cap_texts, s->n_texts + 1, sizeof *s->texts, err));
    size_t n = s->n;
    for (const uint8_t *p = text.data, *end = p + text.len; p < end; n++) {
        unsigned len;
        uint32_t cp = 0, symbol = symbol_of(parts, p, end, &len, &cp);
        p += len;
        s->positions[n].step = symbol * STEP;
        s->positions[n].flags = symbol == STOP ? STRANGE : 0;
        if (symbol == STOP) {
            s->cps[n] = cp;
        }
    }
    s->positions[n].step = STOP * STEP;
    s->positions[n].flags = END;
    s->positions[n + 1].step = 0;
    s->texts[s->n_texts++] = (waiting){n, weight};
    s->n = n + 1;
    if (s->n >= WAITING) {
        pm_parts_finish(s);
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- life ---- */

static void builder_release(builder *b) {
    pm_pages_free(b->nodes, b->cap * sizeof *b->nodes);
    pm_free(b->table);
    pm_free(b->first);
    pm_free(b->children);
    pm_placer_release(&b->placer);
}

pm_status pm_parts_new(pm_parts **out, const pm_bytes *pieces, size_t n, pm_ticker *ticker, pm_error *err) {
    pm_cpu cpu;
    *out = NULL;
    PM_TRY(pm_cpu_choose(&cpu, err));
    if (n >= NONE) {
        return pm_fail(err, PM_LIMIT, "more than 2^32 - 1 pieces");
    }
    builder b = {.parts = pm_calloc(1, sizeof *b.parts), .ticker = ticker};
    if (!b.parts) {
        return pm_fail_memory(err);
    }
    b.parts->walk = walk_for(cpu);
    b.parts->n_pieces = n;
    pm_status status = build(&b, pieces, n, err);
    builder_release(&b);
    if (status != PM_OK) {
        pm_parts_free(b.parts);
        return status;
    }
    *out = b.parts;
    return PM_OK;
}

void pm_parts_free(pm_parts *parts) {
    if (parts) {
        pm_free(parts->symbols);
        pm_free(parts->letters);
        if (parts->paged) {
            pm_pages_free(parts->cells, parts->n_cells * sizeof *parts->cells);
        } else {
            pm_free(parts->cells);
        }
        pm_free(parts->pieces);
        pm_free(parts->where);
        pm_free(parts->alone);
        pm_free(parts);
    }
}

pm_status pm_parts_splitter_new(pm_parts_splitter **out, const pm_parts *parts, pm_error *err) {
    pm_parts_splitter *s = *out = pm_calloc(1, sizeof *s);
    if (!s) {
        return pm_fail_memory(err);
    }
    s->parts = parts;
    s->counts = pm_calloc(parts->n_pieces, sizeof *s->counts);
    pm_status status = s->counts ? reserve(s, 2 * WAITING, err) : pm_fail_memory(err);
    if (status != PM_OK) {
        pm_parts_splitter_free(s);
        *out = NULL;
    }
    return status;
}

void pm_parts_splitter_free(pm_parts_splitter *s) {
    if (s) {
        void *all[] = {s->counts, s->texts, s->positions, s->cps, s->scores, s->longer, s->starts, s};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            pm_free(all[i]);
        }
    }
}

uint64_t *pm_parts_counts(pm_parts_splitter *s) { return s->counts; }
