/* filter.h - which documents of a corpus are taken: a sample of them, and each text once. */
#ifndef PM_CORPUS_FILTER_H
#define PM_CORPUS_FILTER_H

#include "corpus/corpus.h"
#include "corpus/once.h"

typedef struct pm_filter {
    bool sample; /* only texts whose hash with the seed is at most `last` are taken */
    bool unique; /* only the first of equal texts is taken */
    uint64_t seed, last;
    pm_once seen;
} pm_filter;

/* Takes the part/whole of all texts, at least one hash of 2^64; part >= whole: all. */
void pm_filter_set_share(pm_filter *filter, uint64_t part, uint64_t whole);

/* Drops documents from the block's first-th on, and adds to the row what came and what was taken. Errors: PM_LIMIT,
 * PM_NO_MEMORY. */
pm_status pm_filter_block(pm_filter *filter, pm_block *block, size_t first, pm_source_report *row, pm_error *err);

#endif
