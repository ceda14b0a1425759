/* lattice_nbest.c - the n best segmentations of a text, best first.
 *
 * Idea. What the Viterbi of lattice.c does with one score at each position is done with a list of up to n: the best
 * sums over segmentations of what lies before, in order. A segmentation of text[0 .. e) ends with a piece text[s .. e)
 * and begins with one of text[0 .. s); adding the piece's log-probability does not turn the order of the list at s
 * around (rounded sums are monotonic), so the list at e is the beginning of a merge of the lists at each s, one for
 * each piece that ends at e. What is not among the n best at s cannot be among the n best at e.
 *
 * Order. Scores are summed from the left in double precision, as lattice.c does. Of equal ones the segmentation whose
 * last piece is longer comes first, and of those with equal last pieces the one whose beginning comes first. So the
 * first is the one that pm_lattice_best gives.
 *
 * Example, with the pieces a, b, ab and scores -1, -1, -3: at 1 (-1: a), at 2 (-2: b behind the first of 1; -3: ab).
 *
 * Cost: n log p for each symbol of the text, where p is the number of pieces that end there; and 16 n bytes for each,
 * since all lists are kept until the paths are followed back. Source: k-best Viterbi, as in Huang and Chiang, Better
 * k-best parsing, 2005 (their algorithm 2 on a lattice). */
#include "encode/heads.h"
#include "encode/ways.h"

/* One of a position's list. */
typedef struct entry {
    double score;
    uint32_t rank; /* in the list where its last piece begins */
    pm_lattice_code code;
} entry;

typedef struct lists {
    entry *entries;
    size_t n, cap;
    size_t *first; /* of each position, in entries; and the end */
    pm_lattice_way *ways;
    pm_head *heads; /* the list's number: of the way */
} lists;

static void release(lists *t) {
    pm_free(t->entries);
    pm_free(t->first);
    pm_free(t->heads);
}

/* The head of way w to the position behind symbol `at`, number p from 0; false: its list is at an end. */
static bool head_of(const pm_lattice *l, const lists *t, size_t p, uint32_t at, uint32_t w, uint32_t rank,
                    pm_head *head) {
    const pm_lattice_way *way = &t->ways[w];
    size_t from = p + 1 - way->len, i = t->first[from] + rank;
    if (i == t->first[from + 1]) {
        return false;
    }
    double before = t->entries[i].score;
    bool spelled = way->code == PM_LATTICE_SPELLED;
    *head = (pm_head){spelled ? pm_lattice_spell(l, pm_lattice_last(l, at), before) : before + way->logp, w, rank};
    return true;
}

/* Appends the list behind symbol number p. */
static pm_status merge_ways(const pm_lattice *l, lists *t, size_t p, uint32_t at, size_t most, pm_error *err) {
    size_t n_ways = pm_lattice_ways(l, at, t->ways), n = 0;

    for (uint32_t w = 0; w < n_ways; w++) {
        n += head_of(l, t, p, at, w, 0, &t->heads[n]);
    }
    pm_heads_begin(t->heads, n);
    for (size_t taken = 0; n > 0 && taken < most; taken++) {
        pm_head best = t->heads[0];
        PM_TRY(pm_grow((void **)&t->entries, &t->cap, t->n + 1, sizeof *t->entries, err));
        t->entries[t->n++] = (entry){best.score, best.rank, t->ways[best.list].code};
        if (!head_of(l, t, p, at, best.list, best.rank + 1, &t->heads[0])) {
            t->heads[0] = t->heads[--n];
        }
        pm_heads_sink(t->heads, n, 0);
    }
    t->first[p + 2] = t->n;
    return PM_OK;
}

static pm_status fill(const pm_lattice *l, pm_lattice_scratch *scratch, lists *t, size_t most, pm_error *err) {
    const pm_lattice_window *w = &scratch->window;
    size_t reach = pm_lattice_reach(l) + 2;

    PM_TRY(pm_lattice_room_for_ways(l, scratch, &t->ways, err));
    t->first = pm_alloc(w->n + 2, sizeof *t->first);
    t->heads = pm_alloc(reach, sizeof *t->heads);
    if (!t->first || !t->heads) {
        return pm_fail_memory(err);
    }
    PM_TRY(pm_grow((void **)&t->entries, &t->cap, w->n + 1, sizeof *t->entries, err));
    t->entries[t->n++] = (entry){0, 0, PM_LATTICE_SPELLED};
    t->first[0] = 0;
    t->first[1] = 1;
    for (size_t p = 0; p < w->n; p++) {
        PM_TRY(merge_ways(l, t, p, w->ends[p], most, err));
    }
    return PM_OK;
}

/* Gives out the segmentation that is number `rank` at the end. */
static pm_status follow(const pm_lattice *l, pm_lattice_scratch *scratch, const lists *t, uint32_t rank,
                        pm_nbest_sink sink, void *user, pm_error *err) {
    const pm_lattice_window *w = &scratch->window;
    double score = t->entries[t->first[w->n] + rank].score;
    size_t n = 0;

    for (size_t at = w->n; at > 0;) {
        const entry *e = &t->entries[t->first[at] + rank];
        uint32_t len;
        PM_TRY(pm_lattice_make_room(scratch, n, err));
        n += pm_lattice_put(l, w->ends[at - 1], e->code, scratch->out + scratch->cap_out - n, &len);
        rank = e->rank;
        at -= len;
    }
    return sink(user, scratch->out + scratch->cap_out - n, n, score, err);
}

pm_status pm_lattice_nbest(const pm_lattice *lattice, pm_lattice_scratch *scratch, pm_bytes text, size_t most,
                           pm_nbest_sink sink, void *user, pm_error *err) {
    lists t = {0};

    most = most < UINT32_MAX ? most : UINT32_MAX;
    PM_TRY(pm_lattice_read(lattice, scratch, text, err));
    pm_status status = fill(lattice, scratch, &t, most, err);
    size_t n = status == PM_OK ? t.n - t.first[scratch->window.n] : 0;
    for (size_t i = 0; i < n && status == PM_OK; i++) {
        status = follow(lattice, scratch, &t, (uint32_t)i, sink, user, err);
    }
    release(&t);
    pm_lattice_forget_long(scratch);
    return status;
}
