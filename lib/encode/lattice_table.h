/* lattice_table.h - the inside of pm_lattice, for lattice.c and sample.c. */
#ifndef PM_ENCODE_LATTICE_TABLE_H
#define PM_ENCODE_LATTICE_TABLE_H

#include "encode/lattice.h"

#define PM_NODE_NONE UINT32_MAX

/* A node of the trie. The child for byte c is node base ^ c if that node's parent is this one. 16 bytes: one access a
 * step. */
typedef struct pm_lattice_node {
    uint32_t base, parent;
    double logp; /* of the piece that ends here; -INFINITY: none does */
} pm_lattice_node;

/* What begins with a byte. */
enum {
    PM_START_BYTE = 0, /* nothing longer than the byte itself */
    PM_START_TRIE = 1, /* whatever the trie says */
    PM_START_JUMP = 2  /* nothing of two bytes; the node of three bytes is in `jump` */
};

struct pm_lattice {
    pm_lattice_node *nodes; /* node 0 is the root; a multiple of 256 of them */
    uint32_t *piece;        /* of each node: the number of the piece that ends here */
    uint32_t *ends_at;      /* of each piece: its node */
    size_t n_nodes, n_pieces, longest;
    pm_lattice_node bytes[256]; /* copies of the nodes of single bytes; a byte that has none: logp -INFINITY */
    uint32_t byte_node[256];    /* PM_NODE_NONE: none */
    uint8_t start[256];
    uint32_t *jump;  /* NULL, or the node of each character of three bytes, by the 16 bits of its code point */
    bool every_byte; /* each of the 256 single bytes is a piece with a log-probability */
};

/* A position of the text. */
typedef struct pm_lattice_cell {
    double score;       /* best sum up to here; sample.c: mantissa of the sum of weights */
    uint32_t node, len; /* of the piece that ends here on the path chosen */
} pm_lattice_cell;

/* Positions of a window of the text: [0] is where the emitted part ends. */
typedef struct pm_lattice_window {
    pm_lattice_cell *cells;
    int64_t *power; /* sample.c: the exponent of each score */
    size_t cap;
} pm_lattice_window;

struct pm_lattice_scratch {
    pm_lattice_window window;
    uint32_t *out; /* numbers of pieces, filled from the back */
    size_t cap_out;
};

enum { PM_LATTICE_WINDOW = 1 << 14 };

/* What of the text is in the window. */
typedef struct pm_lattice_place {
    size_t from;  /* text position of window[0] */
    size_t next;  /* the next start to go on from */
    size_t reach; /* the furthest end of a piece that began before `next` */
    size_t gap;   /* the last position > from that no piece crosses; from: none yet */
} pm_lattice_place;

pm_status pm_lattice_check(const pm_lattice *lattice, const uint8_t *text, size_t len, pm_error *err);
/* Room for `need` positions, with exponents if asked. */
pm_status pm_lattice_room(pm_lattice_scratch *scratch, size_t need, bool powers, pm_error *err);
/* Gives the pieces of the path that ends at text position `end` to the sink and makes `end` window[0]; `moved`
 * positions from there on are kept. */
pm_status pm_lattice_emit(const pm_lattice *lattice, pm_lattice_scratch *scratch, pm_lattice_place *place, size_t end,
                          size_t moved, bool powers, pm_lattice_sink sink, void *user, pm_error *err);

#endif
