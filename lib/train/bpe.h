/* bpe.h - the three parts of the BPE trainer: the plan (bpe.c), passes over all words (bpe_cut.c), exact merging of few (bpe_merge.c). */
#ifndef PM_TRAIN_BPE_H
#define PM_TRAIN_BPE_H

#include "base/thread.h"
#include "count/store.h"
#include "train/bpe_vocab.h"
#include "train/memory.h"

/* ---- fragments: what is left of the words when they are cut at every rare pair, equal ones added up ---- */

typedef struct pm_fragment {
    uint64_t weight;
    union {
        uint64_t key[2]; /* while fragments are met: bpe_fragments.h */
        size_t at;       /* before merging cells[at .. at + n), after it symbols[at .. at + n_after) */
    };
    uint32_t n, n_after;
} pm_fragment;

/* A symbol where it is merged; its fragment's weight is in each cell, or, from PM_BPE_HEAVY on, where in `heavy` that is. */
typedef struct pm_bpe_cell {
    uint32_t symbol, weight;
} pm_bpe_cell;
enum { PM_BPE_BORDER = INT32_MAX }; /* where a fragment begins and ends: above all symbols */
#define PM_BPE_ALL UINT32_MAX
#define PM_BPE_HEAVY (UINT32_C(1) << 31)

typedef struct pm_fragment_slot {
    uint32_t tag, index; /* index + 1 of the fragment; 0: empty */
} pm_fragment_slot;

typedef struct pm_fragments {
    pm_fragment *items;
    size_t n, cap;
    uint64_t sum; /* of all n + 1 */
    pm_buf keys;  /* those that are too long for an item */
    pm_fragment_slot *slots; /* hash table over the keys */
    unsigned bits;
    pm_bpe_cell *cells;
    size_t n_cells, cap_cells;
    uint64_t *heavy; /* weights that do not fit a cell */
    size_t n_heavy, cap_heavy;
    uint32_t *symbols; /* after merging, in the memory of the cells */
} pm_fragments;

/* Merges within the fragments, the pair with the highest count first (of equals the one that pm_bpe_vocab_precedes says), until no
 * pair has `threshold` (at least 1), or the best one is of left_end or more on its left, or the vocabulary has `wanted` merges. Every fragment has a symbol PM_BPE_BORDER in front
 * and behind: cells[0], and cells[at + n] of each. The cells become the symbols that are left. Memory besides them: 8 bytes a cell at the beginning, then 4 for
 * each place of a pair when it is born with the threshold, and some 60 for each such pair. Errors: PM_CANCELLED, PM_LIMIT, PM_NO_MEMORY. */
pm_status pm_bpe_merge_fragments(pm_bpe_vocab *vocab, pm_fragments *fragments, uint64_t threshold, uint32_t left_end, size_t wanted, unsigned threads,
                                 pm_ticker *ticker, pm_error *err);

/* ---- passes over all words ---- */

typedef struct pm_bpe_words pm_bpe_words;

/* Takes over a store with records of bytes (width 1), also on failure. Brings them to the vocabulary's merges, if it has any, and counts the pairs
 * for the first time. The vocabulary's rules are asked as long as the words live. */
pm_status pm_bpe_words_new(pm_bpe_words **out, pm_store *store, const pm_bpe_vocab *vocab, unsigned threads, const pm_bpe_memory *memory,
                           pm_ticker *ticker, pm_error *err);
void pm_bpe_words_free(pm_bpe_words *words);
/* Cells in all words that have more than one. */
uint64_t pm_bpe_words_cells(const pm_bpe_words *words);
/* Of the last counting, roughly: the sum of the counts of all pairs that have `from`; the smallest threshold above which that is `mass` at most;
 * and an upper bound of the highest count of a pair (UINT32_MAX: that or more). */
uint64_t pm_bpe_words_mass(const pm_bpe_words *words, uint32_t from);
uint32_t pm_bpe_words_threshold(const pm_bpe_words *words, uint64_t mass);
uint32_t pm_bpe_words_highest(const pm_bpe_words *words);
/* Cuts all words at pairs with a count below *threshold, which is raised when the fragments would take too much memory; no pair has `end`. When even those of the count end - 1 alone take too much,
 * *left_end is a symbol, and pairs are left together whose left symbol is below it; else it is PM_BPE_ALL. Fragments are ready for merging down to *threshold (and *left_end), and belong to `words`. When *threshold is `end` or more afterwards, all was for nothing, and the next call is more careful. PM_LIMIT when
 * it was already as careful as can be. */
pm_status pm_bpe_words_cut(pm_bpe_words *words, uint32_t *threshold, uint32_t end, uint32_t *left_end, pm_ticker *ticker, pm_fragments **fragments,
                           pm_error *err);
/* After merging: counts the pairs anew, for a threshold not much below next_threshold (a hint). n_symbols are in use now; no pair has a count of
 * `below` or more. */
pm_status pm_bpe_words_count(pm_bpe_words *words, size_t n_symbols, uint32_t below, uint64_t next_threshold, pm_ticker *ticker, pm_error *err);

/* Cuts all words for good at pairs that have less than `bound`, of those that were counted last; equal pieces are added up where that is easy. Right until a
 * threshold below `bound` is wanted; then restore brings the whole words back, unless they were shed for_good. May be called again, with the same bound or a
 * higher one. Both count the pairs, for thresholds as above. */
pm_status pm_bpe_words_shed(pm_bpe_words *words, uint32_t bound, bool for_good, uint32_t below, uint64_t next_threshold, pm_ticker *ticker,
                            pm_error *err);
pm_status pm_bpe_words_restore(pm_bpe_words *words, uint32_t below, uint64_t next_threshold, pm_ticker *ticker, pm_error *err);

/* ---- the plan ---- */

/* Decides speed only: the merges are the same whatever it says. */
typedef struct pm_bpe_plan {
    double share;         /* of all pairs' counts that may lie at or above a phase's threshold, 0 to 1 */
    uint32_t ratio;       /* a phase's threshold is at least the last one's divided by this, 2 or more */
    uint64_t small_cells; /* with fewer cells than this, one phase does all */
    uint64_t few_cells;   /* with fewer than this, steps are larger: passes over all words cost more then than long fragments */
    double shed;          /* words are shed at the count that the last merge may have, times this; 0: never */
    double shed_share;    /* as soon as pairs that have it are at most such a share of all counts, and memory is short; 1: at once, always */
} pm_bpe_plan;

extern const pm_bpe_plan pm_bpe_plan_default;

/* Adds merges to the vocabulary until it has `wanted`, from a store with records of bytes, which it takes over, also on failure. A pair is merged
 * when its count is at least min_count and 1. The phase of the ticker is the caller's; done is the number of merges. */
pm_status pm_bpe_learn(pm_bpe_vocab *vocab, pm_store *store, size_t wanted, uint64_t min_count, unsigned threads, const pm_bpe_plan *plan,
                       const pm_bpe_memory *memory, pm_ticker *ticker, pm_error *err);

#endif
