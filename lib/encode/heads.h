/* heads.h - the best of several lists that are sorted, best first, taken one by one: a binary heap of their heads. */
#ifndef PM_ENCODE_HEADS_H
#define PM_ENCODE_HEADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first of a list that is not taken yet: its score, and its place in the list. */
typedef struct pm_head {
    double score;
    uint32_t list, rank;
} pm_head;

/* Higher scores first; of equal ones the list with the lower number. */
static inline bool pm_head_before(pm_head a, pm_head b) {
    return a.score > b.score || (a.score == b.score && a.list < b.list);
}

/* Puts heads[i] right where all below it are. */
static inline void pm_heads_sink(pm_head *heads, size_t n, size_t i) {
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        child += child + 1 < n && pm_head_before(heads[child + 1], heads[child]);
        if (!pm_head_before(heads[child], heads[i])) {
            return;
        }
        pm_head moved = heads[i];
        heads[i] = heads[child];
        heads[child] = moved;
    }
}

static inline void pm_heads_begin(pm_head *heads, size_t n) {
    for (size_t i = n / 2; i-- > 0;) {
        pm_heads_sink(heads, n, i);
    }
}

#endif
