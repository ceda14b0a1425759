/* memory.c - see memory.h.
 *
 * BPE:
 *
 *     counting    | reading, stacks | tables: three quarters of the rest             | store: a fifth |
 *     phases      | vocabulary      | counts: a sixth | store: an eighth | fragments and their merging |
 *
 * BytePiece:
 *
 *     n-grams     | reading, stacks  | tables and sorting: a half of the rest | spool: an eighth |
 *     model       | stacks           | what was counted: a half | model while it is made: three eighths | spool: an eighth |
 *     pieces      | runs, stacks     | model | tables of pieces: a quarter | store: an eighth | spool: an eighth |
 *     pruning     | store: an eighth | dropped ones: an eighth | sorting: a quarter, and then kept ones and their automaton |
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

static pm_status too_small(uint64_t limit, uint64_t times, unsigned threads, uint64_t at_least, pm_error *err) {
    return pm_fail(err, PM_LIMIT, "memory_limit of %llu bytes is too small: with %u threads%s it must be %llu at least",
                   (unsigned long long)(limit * times), threads, times > 1 ? " and remove_duplicates" : "",
                   (unsigned long long)(at_least * times));
}

pm_status pm_train_memory_share(pm_train_memory *out, uint64_t limit, bool halved, unsigned threads, uint32_t n_symbols,
                                pm_error *err) {
    uint64_t times = halved ? 2 : 1;
    *out = (pm_train_memory){0, UINT64_MAX, UINT64_MAX, UINT64_MAX, {UINT64_MAX, UINT64_MAX}};
    if (!limit) {
        return PM_OK;
    }
    if (limit < least(threads, n_symbols)) {
        return too_small(limit, times, threads, least(threads, n_symbols), err);
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

/* ---------------------------------------------------------------- BytePiece ---- */

enum { PIECES_LEAST = 32 << 20, PIECES_LEAST_THREAD = 8 << 20, PIECES_READING = 4 << 20, PIECES_READING_THREAD = 4 << 20 };

pm_status pm_bytepiece_memory_share(pm_bytepiece_memory *out, uint64_t limit, bool halved, unsigned threads, pm_error *err) {
    uint64_t times = halved ? 2 : 1, least = PIECES_LEAST + (uint64_t)PIECES_LEAST_THREAD * threads;
    *out = (pm_bytepiece_memory){UINT64_MAX, UINT64_MAX, UINT64_MAX, 0, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    if (!limit) {
        return PM_OK;
    }
    if (limit < least) {
        return too_small(limit, times, threads, least, err);
    }
    uint64_t free = limit - PIECES_READING - (uint64_t)PIECES_READING_THREAD * threads;
    out->ngrams = free / 2;
    out->spool = out->store = out->dropped = free / 8;
    out->model = free / 8 * 3;
    out->tables = out->sorting = free / 4;
    return PM_OK;
}
