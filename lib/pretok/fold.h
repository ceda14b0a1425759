/* fold.h - the pieces that matches make of a text: what a Split does with what it finds.
 *
 * A finder gives the parts of a text in order, those that match and those between, without a gap. A fold makes pieces of them as they come:
 *
 *     the parts of "the-final--countdown", found '-'      the|-|final|-|-|countdown
 *     REMOVED                                             the|final|countdown
 *     ISOLATED                                            the|-|final|-|-|countdown
 *     MERGED_WITH_PREVIOUS                                the-|final-|-|countdown
 *     MERGED_WITH_NEXT                                    the|-final|-|-countdown
 *     CONTIGUOUS                                          the|-|final|--|countdown
 *
 * Parts may be empty (a lookahead matches nothing and still cuts); pieces never are. A fold holds back one piece, which the next part may
 * belong to. */
#ifndef PM_PRETOK_FOLD_H
#define PM_PRETOK_FOLD_H

#include "pretok/pretokenizer.h"

/* Growable. {0} is an empty one. */
typedef struct pm_spans {
    pm_span *items;
    size_t n, cap;
} pm_spans;

static inline pm_status pm_spans_add(pm_spans *spans, size_t begin, size_t end, pm_error *err) {
    if (begin == end) {
        return PM_OK;
    }
    if (spans->n == spans->cap) {
        PM_TRY(pm_grow((void **)&spans->items, &spans->cap, spans->n + 1, sizeof *spans->items, err));
    }
    spans->items[spans->n++] = (pm_span){begin, end};
    return PM_OK;
}

typedef struct pm_fold {
    pm_behavior behavior;
    bool invert; /* what matches and what does not change places */
    pm_spans *out;
    pm_span held;
    bool holds, last_matched;
} pm_fold;

/* A fold for one text after another; pieces go to *out. */
static inline pm_fold pm_fold_new(pm_behavior behavior, bool invert, pm_spans *out) {
    return (pm_fold){.behavior = behavior, .invert = invert, .out = out};
}

static inline pm_status pm_fold_end(pm_fold *fold, pm_error *err) {
    bool holds = fold->holds;

    fold->holds = fold->last_matched = false;
    return holds ? pm_spans_add(fold->out, fold->held.begin, fold->held.end, err) : PM_OK;
}

/* Whether the part goes with the piece that is held back. */
static inline bool pm_fold_joins(const pm_fold *fold, bool matched) {
    switch (fold->behavior) {
    case PM_BEHAVIOR_MERGED_WITH_PREVIOUS: return matched && !fold->last_matched;
    case PM_BEHAVIOR_MERGED_WITH_NEXT: return !matched && fold->last_matched;
    case PM_BEHAVIOR_CONTIGUOUS: return matched == fold->last_matched;
    default: return false;
    }
}

/* The next part. */
static inline pm_status pm_fold_add(pm_fold *fold, size_t begin, size_t end, bool matched, pm_error *err) {
    matched ^= fold->invert;
    if (fold->behavior == PM_BEHAVIOR_ISOLATED || fold->behavior == PM_BEHAVIOR_REMOVED) {
        return matched && fold->behavior == PM_BEHAVIOR_REMOVED ? PM_OK : pm_spans_add(fold->out, begin, end, err);
    }
    if (fold->holds && pm_fold_joins(fold, matched)) {
        fold->held.end = end;
    } else {
        PM_TRY(fold->holds ? pm_spans_add(fold->out, fold->held.begin, fold->held.end, err) : PM_OK);
        fold->held = (pm_span){begin, end};
        fold->holds = true;
    }
    fold->last_matched = matched;
    return PM_OK;
}

#endif
