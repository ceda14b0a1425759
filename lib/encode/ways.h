/* ways.h - how a segmentation can end at a position, for what follows paths through a lattice: lattice.c, sample.c,
 * lattice_nbest.c, lattice_marginals.c. */
#ifndef PM_ENCODE_WAYS_H
#define PM_ENCODE_WAYS_H

#include <math.h>

#include "encode/lattice_table.h"
#include "text/utf8.h"

/* A way to a position: by the piece of `len` symbols that ends there, or by the last character as single bytes (code
 * PM_LATTICE_SPELLED, len 1, logp the sum of the bytes'). */
typedef struct pm_lattice_way {
    double logp;
    uint32_t len;
    pm_lattice_code code;
} pm_lattice_way;

/* The scratch's room for pm_lattice_ways. */
pm_status pm_lattice_room_for_ways(const pm_lattice *lattice, pm_lattice_scratch *scratch, pm_lattice_way **ways,
                                   pm_error *err);

/* The code point of the last symbol at a state's end, which is not PM_LATTICE_STOP; or PM_LATTICE_BYTE. */
static inline uint32_t pm_lattice_last(const pm_lattice *l, uint32_t at) {
    return at & PM_LATTICE_RARE ? at & PM_LATTICE_CODE : l->ends[at].last & (PM_LATTICE_CODE | PM_LATTICE_BYTE);
}

/* How many bytes that symbol has. */
static inline unsigned pm_lattice_last_bytes(const pm_lattice *l, uint32_t at) {
    uint32_t last = pm_lattice_last(l, at);
    uint8_t bytes[4];
    return last & PM_LATTICE_BYTE ? 1 : pm_utf8_write(last, bytes);
}

/* The score behind the character cp when it is spelled in single bytes. */
static inline double pm_lattice_spell(const pm_lattice *l, uint32_t cp, double score) {
    uint8_t bytes[4];
    for (unsigned i = 0, n = pm_utf8_write(cp, bytes); i < n; i++) {
        score += l->bytes[bytes[i]];
    }
    return score;
}

static inline size_t pm_lattice_add_way(pm_lattice_way *ways, size_t n, double logp, size_t len, unsigned code) {
    ways[n] = (pm_lattice_way){logp, (uint32_t)len, (pm_lattice_code)code};
    return n + (logp > -INFINITY);
}

/* All ways to where a text is at the state `at`, which is not PM_LATTICE_STOP, the longest first, spelling last. Room
 * for pm_lattice_reach + 2. Returns how many. */
static inline size_t pm_lattice_ways(const pm_lattice *l, uint32_t at, pm_lattice_way *ways) {
    const pm_lattice_ends *e = &l->ends[at & PM_LATTICE_RARE ? PM_LATTICE_STRANGE : at];
    uint32_t last = pm_lattice_last(l, at);
    unsigned k = PM_LATTICE_SPELLED;
    size_t n = 0;

    for (uint32_t i = e->longer; i; i = l->longer[i].next) {
        n = pm_lattice_add_way(ways, n, l->longer[i].logp, l->longer[i].len, ++k);
    }
    for (unsigned len = PM_LATTICE_INLINE; e->row && len > PM_LATTICE_NEAR; len--) {
        n = pm_lattice_add_way(ways, n, l->rows[e->row][PM_LATTICE_INLINE - len], len, 1u << (PM_LATTICE_INLINE - len));
    }
    for (unsigned len = PM_LATTICE_NEAR; len > 0; len--) {
        n = pm_lattice_add_way(ways, n, e->near[PM_LATTICE_NEAR - len], len, 1u << (PM_LATTICE_INLINE - len));
    }
    bool spelled = !(last & PM_LATTICE_BYTE) && !(l->only_unknown && e->near[PM_LATTICE_NEAR - 1] > -INFINITY);
    return !spelled ? n : pm_lattice_add_way(ways, n, pm_lattice_spell(l, last, 0), 1, PM_LATTICE_SPELLED);
}

/* The length, in symbols, of the piece that a code names at a state's end, which is not PM_LATTICE_SPELLED; and its id.
 */
static inline uint32_t pm_lattice_piece(const pm_lattice *l, uint32_t at, pm_lattice_code code, uint32_t *id) {
    if (code < PM_LATTICE_SPELLED) {
        uint32_t len = PM_LATTICE_INLINE - (uint32_t)__builtin_ctz(code);
        *id = l->ids[l->ends[at].ids + len - 1];
        return len;
    }
    uint32_t i = l->ends[at].longer;
    for (unsigned k = PM_LATTICE_SPELLED + 1; k < code; k++) {
        i = l->longer[i].next;
    }
    *id = l->longer[i].id;
    return l->longer[i].len;
}

/* Puts the ids of what a code names before `top`, at most 4; returns how many. *len: its symbols. */
static inline unsigned pm_lattice_put(const pm_lattice *l, uint32_t at, pm_lattice_code code, uint32_t *top,
                                      uint32_t *len) {
    if (code != PM_LATTICE_SPELLED) {
        *len = pm_lattice_piece(l, at, code, top - 1);
        return 1;
    }
    uint8_t bytes[4];
    unsigned n = pm_utf8_write(pm_lattice_last(l, at), bytes);
    for (unsigned i = 0; i < n; i++) {
        top[(ptrdiff_t)i - (ptrdiff_t)n] = l->byte_id[bytes[i]];
    }
    *len = 1;
    return n;
}

#endif
