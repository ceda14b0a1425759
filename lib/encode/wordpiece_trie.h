/* wordpiece_trie.h - the two tries of core_wordpiece.c, and what to do where they have no step. */
#ifndef PM_ENCODE_WORDPIECE_TRIE_H
#define PM_ENCODE_WORDPIECE_TRIE_H

#include "base/alloc.h"

#define PM_WORDPIECE_NONE UINT32_MAX
enum { PM_WORDPIECE_GOING_ON = 0, PM_WORDPIECE_FRONT = 1 }; /* the roots: of pieces that go on a word, and of all */

typedef struct pm_wordpiece_cell {
    uint32_t base, node; /* of which node's steps it is, by their base, and where it leads; base 0: free */
} pm_wordpiece_cell;

typedef struct pm_wordpiece_node {
    uint32_t base; /* its steps: cells base + byte; 0: it has none */
    uint32_t fail; /* where to go on, or PM_WORDPIECE_NONE */
    uint32_t pops; /* the last of the pieces that are certain then; 0: none */
    pm_id id;      /* the piece that ends here, or PM_ID_NONE */
} pm_wordpiece_node;

typedef struct pm_wordpiece_link {
    pm_id id;
    uint32_t before; /* 0: it is the first */
} pm_wordpiece_link;

/* {0} is an empty one, and can be released. */
typedef struct pm_wordpiece_trie {
    pm_wordpiece_cell *cells;
    pm_wordpiece_node *nodes;
    pm_wordpiece_link *links; /* [0] is not used */
    size_t n_cells, n_nodes, n_links, cap_cells, cap_nodes, cap_links;
} pm_wordpiece_trie;

/* The tries of the pieces of n distinct ids, of which those that begin with `prefix` and are longer go on a word. To be released on failure too. Errors:
 * PM_LIMIT (2^32 bytes), PM_NO_MEMORY. */
pm_status pm_wordpiece_trie_init(pm_wordpiece_trie *trie, const pm_bytes *pieces, const pm_id *ids, size_t n, pm_bytes prefix, pm_error *err);
void pm_wordpiece_trie_release(pm_wordpiece_trie *trie);

/* The step from a node by a byte, or PM_WORDPIECE_NONE. */
static inline uint32_t pm_wordpiece_step(const pm_wordpiece_trie *trie, uint32_t node, uint8_t byte) {
    uint32_t base = trie->nodes[node].base;
    const pm_wordpiece_cell *cell = &trie->cells[(size_t)base + byte];
    return base && cell->base == base ? cell->node : PM_WORDPIECE_NONE;
}

#endif
