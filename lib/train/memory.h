/* memory.h - how memory_limit is shared out among the parts of training. See memory.c. */
#ifndef PM_TRAIN_MEMORY_H
#define PM_TRAIN_MEMORY_H

#include "base/error.h"

/* What the passes over words may take, in bytes, beside the store: UINT64_MAX is no bound. */
typedef struct pm_bpe_memory {
    uint64_t counts;    /* the arrays of counts of all threads; 256 KB a thread at least */
    uint64_t fragments; /* and their merging */
} pm_bpe_memory;

/* In bytes. Without a limit `tables` is 0, which is no bound there, and all others UINT64_MAX. */
typedef struct pm_train_memory {
    uint64_t tables; /* of counting, and afterwards what sorting of counts may take */
    uint64_t sorting;
    uint64_t store;       /* while there are tables: what is above it goes to the file */
    uint64_t later_store; /* in the phases */
    pm_bpe_memory phases;
} pm_train_memory;

/* For a limit of so many bytes (0: none). PM_LIMIT when that is too small to work in; the sentence says the least that
 * works. With `halved`, the limit is half of what the caller was given, and that is what the sentence speaks of. */
pm_status pm_train_memory_share(pm_train_memory *out, uint64_t limit, bool halved, unsigned threads, uint32_t n_symbols,
                                pm_error *err);

/* In bytes. Without a limit `tables` is 0, which is no bound there, and all others UINT64_MAX. */
typedef struct pm_bytepiece_memory {
    uint64_t ngrams; /* counting them, beside the spool */
    uint64_t spool;
    uint64_t model;  /* beside spool, tables of pieces, and store */
    uint64_t tables; /* of pieces */
    uint64_t store;  /* of pieces */
    uint64_t sorting; /* of pieces, beside the store */
    uint64_t dropped; /* pieces that wait to be split; what is left is for those that are kept */
} pm_bytepiece_memory;

/* As pm_train_memory_share. */
pm_status pm_bytepiece_memory_share(pm_bytepiece_memory *out, uint64_t limit, bool halved, unsigned threads, pm_error *err);

#endif
