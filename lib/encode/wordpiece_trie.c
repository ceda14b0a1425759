/* wordpiece_trie.c - see core_wordpiece.c for what it is.
 *
 * The texts, sorted, become nodes level by level: a node stands for the run of texts that share its bytes, its children for the runs among them that share
 * one byte more. So a node comes behind its parent, and the second trie's nodes before the first's of the same depth do not matter: the second trie is
 * made whole before. */
#include "encode/wordpiece_trie.h"

#include "base/bytes.h"
#include "encode/placer.h"

typedef struct entry {
    pm_bytes text;
    pm_id id;
} entry;

/* A node to open: the texts [lo, hi) share `depth` bytes. */
typedef struct run {
    uint32_t lo, hi, depth, node;
} run;

typedef struct builder {
    pm_wordpiece_trie *trie;
    entry *entries;
    size_t n;
    run *runs; /* by depth */
    size_t n_runs, cap_runs;
    uint32_t *chain; /* the pops of a node, from the last to the first */
    size_t cap_chain;
    pm_placer placer;
} builder;

static int by_text(const void *x, const void *y) { return pm_bytes_compare(((const entry *)x)->text, ((const entry *)y)->text); }

static pm_status add_node(builder *b, uint32_t *node, pm_error *err) {
    pm_wordpiece_trie *t = b->trie;

    if (t->n_nodes >= PM_WORDPIECE_NONE) {
        return pm_fail(err, PM_LIMIT, "the pieces are longer than 4 GiB");
    }
    PM_TRY(pm_grow((void **)&t->nodes, &t->cap_nodes, t->n_nodes + 1, sizeof *t->nodes, err));
    *node = (uint32_t)t->n_nodes;
    t->nodes[t->n_nodes++] = (pm_wordpiece_node){0, PM_WORDPIECE_NONE, 0, PM_ID_NONE};
    return PM_OK;
}

static pm_status reserve_cells(builder *b, size_t need, pm_error *err) {
    pm_wordpiece_trie *t = b->trie;

    PM_TRY(pm_grow((void **)&t->cells, &t->cap_cells, need, sizeof *t->cells, err));
    if (need > t->n_cells) {
        memset(t->cells + t->n_cells, 0, (need - t->n_cells) * sizeof *t->cells);
        t->n_cells = need;
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- what is certain ---- */

static pm_status add_link(pm_wordpiece_trie *t, pm_id id, uint32_t before, uint32_t *link, pm_error *err) {
    if (t->n_links >= UINT32_MAX) {
        return pm_fail(err, PM_LIMIT, "the pieces are longer than 4 GiB");
    }
    PM_TRY(pm_grow((void **)&t->links, &t->cap_links, t->n_links + 1, sizeof *t->links, err));
    t->links[t->n_links] = (pm_wordpiece_link){id, before};
    *link = (uint32_t)t->n_links++;
    return PM_OK;
}

/* Puts the pops of `from` behind *pops. */
static pm_status add_pops(builder *b, uint32_t from, uint32_t *pops, pm_error *err) {
    pm_wordpiece_trie *t = b->trie;
    size_t n = 0;

    for (uint32_t i = t->nodes[from].pops; i; i = t->links[i].before) {
        PM_TRY(pm_grow((void **)&b->chain, &b->cap_chain, n + 1, sizeof *b->chain, err));
        b->chain[n++] = i;
    }
    while (n-- > 0) {
        PM_TRY(add_link(t, t->links[b->chain[n]].id, *pops, pops, err));
    }
    return PM_OK;
}

/* fail and pops of a node that its parent reaches by a byte. */
static pm_status set_fail(builder *b, uint32_t node, uint32_t parent, uint8_t byte, pm_error *err) {
    pm_wordpiece_trie *t = b->trie;
    uint32_t pops = t->nodes[parent].pops, z = t->nodes[parent].fail, next = PM_WORDPIECE_NONE;

    if (t->nodes[node].id != PM_ID_NONE) {
        PM_TRY(add_link(t, t->nodes[node].id, 0, &pops, err));
        t->nodes[node].pops = pops;
        t->nodes[node].fail = PM_WORDPIECE_GOING_ON;
        return PM_OK;
    }
    while (z != PM_WORDPIECE_NONE && (next = pm_wordpiece_step(t, z, byte)) == PM_WORDPIECE_NONE) {
        PM_TRY(add_pops(b, z, &pops, err));
        z = t->nodes[z].fail;
    }
    if (z != PM_WORDPIECE_NONE) {
        t->nodes[node].pops = pops;
        t->nodes[node].fail = next;
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- the tries ---- */

/* Gives a run's node its piece, and its children nodes, runs and cells. */
static pm_status open_run(builder *b, size_t number, pm_error *err) {
    pm_wordpiece_trie *t = b->trie;
    run r = b->runs[number];
    pm_step steps[256];
    size_t n = 0, first = b->n_runs;
    uint32_t base;

    for (uint32_t at = r.lo; at < r.hi;) {
        uint8_t byte = b->entries[at].text.data[r.depth];
        uint32_t lo = at, node;
        while (at < r.hi && b->entries[at].text.data[r.depth] == byte) {
            at++;
        }
        PM_TRY(add_node(b, &node, err));
        if (b->entries[lo].text.len == r.depth + 1) { /* the shortest sorts first, and is the only one */
            t->nodes[node].id = b->entries[lo++].id;
        }
        PM_TRY(pm_grow((void **)&b->runs, &b->cap_runs, b->n_runs + 1, sizeof *b->runs, err));
        b->runs[b->n_runs++] = (run){lo, at, r.depth + 1, node};
        steps[n++] = (pm_step){byte, node};
    }
    if (n == 0) {
        return PM_OK;
    }
    PM_TRY(pm_placer_place(&b->placer, steps, n, &base, err));
    PM_TRY(reserve_cells(b, (size_t)base + 256, err));
    t->nodes[r.node].base = base;
    for (size_t i = 0; i < n; i++) {
        t->cells[base + steps[i].symbol] = (pm_wordpiece_cell){base, steps[i].node};
    }
    for (size_t i = 0; i < n; i++) {
        PM_TRY(set_fail(b, b->runs[first + i].node, r.node, (uint8_t)steps[i].symbol, err));
    }
    return PM_OK;
}

static pm_status grow_trie(builder *b, uint32_t root, pm_error *err) {
    qsort(b->entries, b->n, sizeof *b->entries, by_text);
    b->n_runs = 0;
    PM_TRY(pm_grow((void **)&b->runs, &b->cap_runs, 1, sizeof *b->runs, err));
    b->runs[b->n_runs++] = (run){0, (uint32_t)b->n, 0, root};
    for (size_t i = 0; i < b->n_runs; i++) {
        PM_TRY(open_run(b, i, err));
    }
    return PM_OK;
}

static pm_status build(builder *b, const pm_bytes *pieces, const pm_id *ids, size_t n, pm_bytes prefix, pm_error *err) {
    uint32_t root, link;

    b->entries = pm_alloc(n, sizeof *b->entries);
    if (!b->entries) {
        return pm_fail_memory(err);
    }
    PM_TRY(add_link(b->trie, PM_ID_NONE, 0, &link, err)); /* [0] */
    PM_TRY(add_node(b, &root, err));
    PM_TRY(add_node(b, &root, err));
    PM_TRY(reserve_cells(b, 256, err));
    for (size_t i = 0; i < n; i++) {
        pm_bytes piece = pieces[ids[i]];
        if (piece.len > prefix.len && (prefix.len == 0 || memcmp(piece.data, prefix.data, prefix.len) == 0)) {
            b->entries[b->n++] = (entry){{piece.data + prefix.len, piece.len - prefix.len}, ids[i]};
        }
    }
    PM_TRY(grow_trie(b, PM_WORDPIECE_GOING_ON, err));
    for (size_t i = 0; i < n; i++) {
        b->entries[i] = (entry){pieces[ids[i]], ids[i]};
    }
    b->n = n;
    return grow_trie(b, PM_WORDPIECE_FRONT, err);
}

pm_status pm_wordpiece_trie_init(pm_wordpiece_trie *trie, const pm_bytes *pieces, const pm_id *ids, size_t n, pm_bytes prefix, pm_error *err) {
    builder b = {.trie = trie, .placer = {.n_symbols = 256, .most = UINT32_MAX}};

    *trie = (pm_wordpiece_trie){0};
    pm_status status = build(&b, pieces, ids, n, prefix, err);
    pm_free(b.entries);
    pm_free(b.runs);
    pm_free(b.chain);
    pm_placer_release(&b.placer);
    return status;
}

void pm_wordpiece_trie_release(pm_wordpiece_trie *trie) {
    pm_free(trie->cells);
    pm_free(trie->nodes);
    pm_free(trie->links);
    *trie = (pm_wordpiece_trie){0};
}
