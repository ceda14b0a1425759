/* memory.c - see memory.h.
 *
 *     counting    | reading, stacks | tables: three quarters of the rest             | store: a fifth |
 *     phases      | vocabulary      | counts: a sixth | store: an eighth | fragments and their merging |
 *
 * A store is only there for speed, and the system's own cache holds files as well; fragments save phases. What the
 * parts take is not known to the byte, so a little is left over, and pm_ticker (base/thread.h) allows for a tenth more
 * than the limit. */
#include "train/memory.h"

enum {
    LEAST = 24 << 20,
    LEAST_THREAD = 4 << 20,
    READING = 5 << 20,        /* what is read, decompressed, split; */
    READING_THREAD = 3 << 19, /* blocks, chunks, stacks */
    MERGING = 3 << 20,
    MERGING_THREAD = 3 << 18,
    SYMBOL = 100,           /* in the growing vocabulary and beside it */
    USUAL_SYMBOLS = 1 << 16 /* are in LEAST */
};

static uint64_t least(unsigned threads, uint32_t n_symbols) {
    uint64_t more = n_symbols > USUAL_SYMBOLS ? n_symbols - USUAL_SYMBOLS : 0;
    return LEAST + (uint64_t)LEAST_THREAD * threads + more * 2 * SYMBOL;
}

pm_status pm_train_memory_share(pm_train_memory *out, uint64_t limit, bool halved, unsigned threads, uint32_t n_symbols,
                                pm_error *err) {
    uint64_t times = halved ? 2 : 1;
    *out = (pm_train_memory){0, UINT64_MAX, UINT64_MAX, UINT64_MAX, {UINT64_MAX, UINT64_MAX}};
    if (!limit) {
        return PM_OK;
    }
    if (limit < least(threads, n_symbols)) {
        return pm_fail(err, PM_LIMIT,
                       "memory_limit of %llu bytes is too small: with %u threads%s it must be %llu at least",
                       (unsigned long long)(limit * times), threads, halved ? " and remove_duplicates" : "",
                       (unsigned long long)(least(threads, n_symbols) * times));
    }
    uint64_t free = limit - READING - (uint64_t)READING_THREAD * threads;
    out->tables = out->sorting = free / 4 * 3;
    out->store = free / 5;
    free = limit - MERGING - (uint64_t)MERGING_THREAD * threads - (uint64_t)SYMBOL * n_symbols;
    out->later_store = free / 8;
    out->phases.counts = free / 6;
    out->phases.fragments = free - out->later_store - out->phases.counts;
    return PM_OK;
}
