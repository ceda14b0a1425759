/* lattice_table.h - the inside of pm_lattice, for lattice_build.c, lattice.c and sample.c. */
#ifndef PM_ENCODE_LATTICE_TABLE_H
#define PM_ENCODE_LATTICE_TABLE_H

#include "base/cpu.h"
#include "encode/lattice.h"

#define PM_LATTICE_NONE UINT32_MAX

/* Symbols: 0 .. 255 are the bytes; then, where steps are characters, PM_LATTICE_STRANGE for those that stand in no
 * piece, and the others. */
enum { PM_LATTICE_STRANGE = 256, PM_LATTICE_SYMBOLS_MAX = 65535, PM_LATTICE_PLANE_BITS = 6 };

/* A step of the automaton: the cell at base + symbol, if its check is base. */
typedef struct pm_lattice_cell {
    uint32_t check;
    uint32_t node; /* number of the state while it is built */
    uint64_t to;   /* the state: which of pm_lattice.ends are its, and above 32 bits its base; 0: its steps are those of
                    * its last symbol */
} pm_lattice_cell;

/* The lengths, in symbols, of the pieces that are found by position: 1 and 2 in the record, 3 .. 10 in a row of eight.
 * Longer ones are in a list. */
enum { PM_LATTICE_NEAR = 2, PM_LATTICE_ROW = 8, PM_LATTICE_INLINE = PM_LATTICE_NEAR + PM_LATTICE_ROW };

/* The pieces that end where a state is reached. */
typedef struct pm_lattice_ends {
    double near[PM_LATTICE_NEAR]; /* log-probability of the piece of two symbols, and of the one of one */
    uint32_t row;                 /* of pm_lattice.rows: log-probabilities for the lengths 10, 9 .. 3; 0: none */
    uint32_t ids;                 /* in pm_lattice.ids: of the pieces of one symbol, of two, ... */
    uint32_t longer;              /* in pm_lattice.longer: the longest piece; 0: none above PM_LATTICE_INLINE */
    uint32_t last;                /* code point of the last symbol, or PM_LATTICE_BYTE; and PM_LATTICE_RARE */
} pm_lattice_ends;

#define PM_LATTICE_RARE                                                                                                \
    UINT32_C(0x80000000) /* there are longer pieces, or the last character may be spelled in bytes */
#define PM_LATTICE_BYTE UINT32_C(0x00200000) /* the last symbol is a byte: it has no other spelling */
#define PM_LATTICE_CODE UINT32_C(0x001FFFFF)
#define PM_LATTICE_STOP UINT32_MAX /* in place of a state's ends: a text is at its end */

typedef struct pm_lattice_longer {
    double logp;
    uint32_t len, id;
    uint32_t next, rank; /* the next shorter one; 0: none. rank: how many there are, with this one */
} pm_lattice_longer;

/* How a piece ends at a position. Up to PM_LATTICE_INLINE symbols, a set of bits, of which the lowest counts: bit k for
 * PM_LATTICE_INLINE - k symbols. PM_LATTICE_SPELLED: the last character in bytes, or the end of a text. More than that:
 * the k-th of the longer ones, counted from 1. */
typedef uint16_t pm_lattice_code;
#define PM_LATTICE_SPELLED 0x8000u

/* Chooses how a piece ends at each of the next n <= pm_lattice_block positions. */
typedef void (*pm_lattice_walk)(const pm_lattice *lattice, void *state, const uint32_t *ends, size_t n,
                                pm_lattice_code *codes);

struct pm_lattice {
    pm_lattice_walk walk; /* of the best segmentation */
    bool characters;      /* steps are characters of UTF-8; else bytes */
    bool every_byte;      /* each of the 256 single bytes is a piece with a log-probability */
    bool only_unknown;    /* a character that is a piece has no spelling in bytes */
    size_t n_pieces, n_symbols;
    size_t longest;    /* symbols of the longest piece */
    uint16_t *planes;  /* by code point >> 6: which 64 symbols of `symbols` */
    uint16_t *symbols; /* by the six low bits */
    size_t n_planes;
    pm_lattice_cell *cells;
    size_t n_cells;
    bool paged;            /* cells are from pm_pages_alloc */
    uint32_t *pairs;       /* of each symbol: the base for steps to pieces that begin with it; 0: none */
    pm_lattice_ends *ends; /* [0]: of a strange character; [1 + s]: of symbol s alone */
    size_t n_ends;
    double (*rows)[PM_LATTICE_ROW]; /* aligned to a row; [0]: no pieces */
    void *rows_memory;
    uint32_t *row_ids; /* of each row: where in `ids` its first is, the piece of three symbols */
    size_t n_rows;
    uint32_t *ids;
    size_t n_ids;
    pm_lattice_longer *longer; /* [0] is not used */
    size_t n_longer;
    double bytes[256];     /* log-probabilities */
    uint32_t byte_id[256]; /* PM_LATTICE_NONE: no piece */
};

/* Some symbols of the text, and what is known of the positions behind them. */
typedef struct pm_lattice_window {
    uint32_t *ends;         /* of the state reached; PM_LATTICE_RARE | code point for a strange character */
    pm_lattice_code *codes; /* of the piece chosen */
    size_t n, cap;
} pm_lattice_window;

struct pm_lattice_scratch {
    pm_lattice_window window;
    double *scores;  /* lattice.c: of pm_lattice_reach positions, the one a block begins at, and the block's */
    double *taken;   /* lattice_floats.c: the same */
    void *positions; /* sample.c: the same */
    size_t cap_scores, cap_taken, cap_positions;
    void *ways; /* to one position: pm_lattice_room_for_ways */
    size_t cap_ways;
    uint32_t *out; /* ids, filled from the back */
    size_t cap_out;
    uint8_t *marks;
    size_t cap_marks;
};

enum { PM_LATTICE_BLOCK = 512, PM_LATTICE_WINDOW = 1 << 13 };

/* How far back a piece can begin, in symbols. */
static inline size_t pm_lattice_reach(const pm_lattice *l) {
    return l->longest > PM_LATTICE_INLINE ? l->longest : PM_LATTICE_INLINE;
}

/* Symbols that are worked on at once: so many that keeping pm_lattice_reach of them costs little. */
static inline size_t pm_lattice_block(const pm_lattice *l) {
    return pm_lattice_reach(l) > PM_LATTICE_BLOCK ? pm_lattice_reach(l) : PM_LATTICE_BLOCK;
}

pm_lattice_walk pm_lattice_walk_for(pm_cpu cpu);

/* For walks that keep scores in scratch->scores, pm_lattice_reach + 1 of them before those of a block: room for them, 0 for what lies before the texts; and
 * behind a block of n, its last ones come to the front. */
pm_status pm_lattice_room_for_scores(const pm_lattice *lattice, pm_lattice_scratch *scratch, pm_error *err);
static inline void pm_lattice_keep_scores(const pm_lattice *lattice, double *scores, size_t n) {
    memmove(scores, scores + n, (pm_lattice_reach(lattice) + 1) * sizeof *scores);
}

/* Reads the texts, walks over them and gives out the paths chosen. */
pm_status pm_lattice_run(const pm_lattice *lattice, pm_lattice_scratch *scratch, const pm_bytes *texts, size_t n,
                         pm_lattice_walk walk, void *state, pm_lattice_sink sink, void *user, pm_error *err);

/* Leaves the states of a whole text in scratch->window.ends, window.n of them: one for each symbol. */
pm_status pm_lattice_read(const pm_lattice *lattice, pm_lattice_scratch *scratch, pm_bytes text, pm_error *err);

/* Room for 4 more ids before the n at the back of scratch->out. */
pm_status pm_lattice_make_room(pm_lattice_scratch *scratch, size_t n, pm_error *err);

/* Gives back what a long text needed. */
void pm_lattice_forget_long(pm_lattice_scratch *scratch);

#endif
