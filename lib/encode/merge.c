/* merge.c - byte-pair merging of one word, exact and never quadratic.
 *
 * Byte-pair encoding is defined by a loop: of all pairs of neighbours that are in the list of merges take the one of lowest rank, of
 * several equal ones the leftmost, replace the two tokens by one, and begin again (Sennrich, Haddow, Birch: Neural Machine Translation of
 * Rare Words with Subword Units, 2016). Doing that literally costs a look at every pair for each merge. Here each pair is looked
 * up once when it comes into being, and its answer (rank << 32 | result, see pairs.h) is kept beside its left token:
 *
 *     token      t    h    e    r    e         merges: 0 h+e -> he   1 t+he -> the   2 r+e -> re
 *     answer     -    0    -    2
 *     token      t    he   r    e              after merge 0: two new pairs, two look-ups
 *     answer     1    -    2
 *     token      the  r    e                   after merge 1
 *     answer     -    2
 *     token      the  re                       done: all answers are "no merge"
 *
 * Short words: the answers lie in an array without gaps, the minimum is found by running over it, the two arrays are closed up behind the
 * merge. Quadratic in at most PM_MERGE_SHORT tokens, and faster there than anything clever.
 *
 * Long words: tokens keep the index of their first byte's place; a doubly linked list joins the living ones, and a heap holds (rank << 32 | place) of
 * each pair that ever came into being, so that its minimum is the leftmost of the lowest rank. An entry that came off the
 * heap is out of date, and dropped, unless the pair at that place still has that rank: a place whose token died, or
 * whose pair changed, has another answer. Each merge takes one entry off and puts at most two on, so n merges need room for 2n entries,
 * n log n time, and no allocation while merging. The heap has four children a node: half the levels, one cache line a level.
 *
 * The order of ranks is not assumed to be sensible: a merge may make a pair of a lower rank than its own (vocabularies
 * edited by hand have such), and it is then taken next, as the definition says. */
#include "encode/merge.h"

enum { ARITY = 4 };
#define NOWHERE UINT32_MAX

pm_status pm_merge_reserve(pm_merge_scratch *scratch, size_t n, pm_error *err) {
    if (n <= scratch->cap) {
        return PM_OK;
    }
    if (n >= UINT32_MAX) {
        return pm_fail(err, PM_LIMIT, "a pre-token of %zu bytes is too long: 4 GiB is the limit", n);
    }
    pm_merge_scratch_release(scratch);
    scratch->answers = pm_alloc(n, sizeof *scratch->answers);
    scratch->next = pm_alloc(n, sizeof *scratch->next);
    scratch->previous = pm_alloc(n, sizeof *scratch->previous);
    scratch->heap = pm_alloc(n, 2 * sizeof *scratch->heap);
    if (!scratch->answers || !scratch->next || !scratch->previous || !scratch->heap) {
        pm_merge_scratch_release(scratch);
        return pm_fail_memory(err);
    }
    scratch->cap = n;
    return PM_OK;
}

void pm_merge_scratch_release(pm_merge_scratch *scratch) {
    pm_free(scratch->answers);
    pm_free(scratch->next);
    pm_free(scratch->previous);
    pm_free(scratch->heap);
    *scratch = (pm_merge_scratch){0};
}

/* ---------------------------------------------------------------- short words ---- */

/* Where the leftmost of the lowest answers is; equal ranks are equal answers. Written so that it compiles to conditional moves: where the
 * minimum is cannot be predicted. */
static size_t lowest(const uint64_t *answers, size_t n) {
    uint64_t best = answers[0];
    size_t at = 0;
    for (size_t i = 1; i < n; i++) {
        uint64_t answer = answers[i];
        at = answer < best ? i : at;
        best = answer < best ? answer : best;
    }
    return at;
}

size_t pm_merge_short(const pm_pairs *pairs, pm_id *ids, uint64_t *answers, size_t n) {
    answers[n - 1] = PM_NO_MERGE;
    while (n > 1) {
        size_t at = lowest(answers, n - 1);
        if (answers[at] == PM_NO_MERGE) {
            break;
        }
        pm_id joined = (pm_id)answers[at];
        uint64_t left = at > 0 ? pm_pairs_key(ids[at - 1], joined) : PM_NO_PAIR;
        uint64_t right = at + 2 < n ? pm_pairs_key(joined, ids[at + 2]) : PM_NO_PAIR;
        bool left_there = pm_pairs_may_hold(pairs, left), right_there = pm_pairs_may_hold(pairs, right);
        if (left_there) {
            pm_pairs_prefetch(pairs, left);
        }
        if (right_there) {
            pm_pairs_prefetch(pairs, right);
        }
        n--;
        for (size_t i = at + 1; i < n; i++) { /* ids[at + 1] and the pair that began there are gone */
            ids[i] = ids[i + 1];
            answers[i] = answers[i + 1];
        }
        ids[at] = joined;
        answers[at] = right_there ? pm_pairs_look_up(pairs, right) : PM_NO_MERGE;
        if (at > 0) {
            answers[at - 1] = left_there ? pm_pairs_look_up(pairs, left) : PM_NO_MERGE;
        }
    }
    return n;
}

/* ---------------------------------------------------------------- long words ---- */

static void sift_down(uint64_t *heap, size_t n, size_t i, uint64_t item) {
    for (;;) {
        size_t child = ARITY * i + 1, end = child + ARITY < n ? child + ARITY : n;
        if (child >= n) {
            break;
        }
        size_t least = child;
        for (size_t c = child + 1; c < end; c++) {
            least = heap[c] < heap[least] ? c : least;
        }
        if (item <= heap[least]) {
            break;
        }
        heap[i] = heap[least];
        i = least;
    }
    heap[i] = item;
}

static void sift_up(uint64_t *heap, size_t i, uint64_t item) {
    while (i > 0 && item < heap[(i - 1) / ARITY]) {
        heap[i] = heap[(i - 1) / ARITY];
        i = (i - 1) / ARITY;
    }
    heap[i] = item;
}

/* The pair at a place has a new answer. */
static size_t renew(const pm_pairs *pairs, pm_merge_scratch *s, const pm_id *ids, size_t n_heap, uint32_t place) {
    uint64_t answer = pm_pairs_find(pairs, ids[place], ids[s->next[place]]);
    s->answers[place] = answer;
    if (answer != PM_NO_MERGE) {
        sift_up(s->heap, n_heap++, (answer & ~(uint64_t)UINT32_MAX) | place);
    }
    return n_heap;
}

static size_t fill_heap(pm_merge_scratch *s, size_t n) {
    size_t n_heap = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        if (s->answers[i] != PM_NO_MERGE) {
            s->heap[n_heap++] = (s->answers[i] & ~(uint64_t)UINT32_MAX) | i;
        }
    }
    for (size_t i = n_heap > 1 ? (n_heap - 2) / ARITY + 1 : 0; i-- > 0;) {
        sift_down(s->heap, n_heap, i, s->heap[i]);
    }
    return n_heap;
}

size_t pm_merge_long(const pm_pairs *pairs, pm_merge_scratch *s, pm_id *ids, size_t n) {
    for (uint32_t i = 0; i < n; i++) {
        s->next[i] = i + 1 < n ? i + 1 : NOWHERE;
        s->previous[i] = i - 1; /* NOWHERE for the first */
    }
    s->answers[n - 1] = PM_NO_MERGE;
    size_t n_heap = fill_heap(s, n);
    while (n_heap > 0) {
        uint64_t top = s->heap[0];
        uint64_t last = s->heap[--n_heap];
        if (n_heap > 0) {
            sift_down(s->heap, n_heap, 0, last);
        }
        uint32_t at = (uint32_t)top;
        if (s->answers[at] >> 32 != top >> 32) {
            continue;
        }
        uint32_t dead = s->next[at], after = s->next[dead], before = s->previous[at];
        ids[at] = (pm_id)s->answers[at];
        s->next[at] = after;
        s->answers[dead] = PM_NO_MERGE;
        s->answers[at] = PM_NO_MERGE;
        if (after != NOWHERE) {
            s->previous[after] = at;
            n_heap = renew(pairs, s, ids, n_heap, at);
        }
        if (before != NOWHERE) {
            n_heap = renew(pairs, s, ids, n_heap, before);
        }
    }
    size_t n_ids = 0;
    for (uint32_t i = 0; i != NOWHERE; i = s->next[i]) {
        ids[n_ids++] = ids[i];
    }
    return n_ids;
}

pm_status pm_merge_word(const pm_pairs *pairs, pm_merge_scratch *scratch, pm_id *ids, size_t n, size_t *n_ids, pm_error *err) {
    uint64_t few[PM_MERGE_SHORT];
    uint64_t *answers = few;

    if (n > PM_MERGE_SHORT) {
        PM_TRY(pm_merge_reserve(scratch, n, err));
        answers = scratch->answers;
    }
    for (size_t i = 0; i + 1 < n; i++) {
        answers[i] = pm_pairs_find(pairs, ids[i], ids[i + 1]);
    }
    *n_ids = n > PM_MERGE_SHORT ? pm_merge_long(pairs, scratch, ids, n) : pm_merge_short(pairs, ids, answers, n);
    return PM_OK;
}
