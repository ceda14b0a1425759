/* once_runs.h - the part of a set of 128-bit hashes that lies on disk, in sorted runs. */
#ifndef PM_CORPUS_ONCE_RUNS_H
#define PM_CORPUS_ONCE_RUNS_H

#include "base/hash.h"
#include "base/thread.h"

typedef struct pm_once_runs pm_once_runs;

/* The order of hashes here: the top three bits of high64, then low64, then the rest of high64. */
static inline int pm_once_compare(const XXH128_hash_t *a, const XXH128_hash_t *b) {
    uint64_t x = a->high64 >> 61, y = b->high64 >> 61;
    if (x != y) {
        return x < y ? -1 : 1;
    }
    if (a->low64 != b->low64) {
        return a->low64 < b->low64 ? -1 : 1;
    }
    return a->high64 < b->high64 ? -1 : a->high64 > b->high64;
}

/* `filter` bytes of memory say which hashes cannot be there; ticker (may be NULL) is polled in long work; both it and tmpdir, as in
 * pm_train_options, are borrowed. Files are made when something is put. */
pm_status pm_once_runs_new(pm_once_runs **out, uint64_t filter, const char *tmpdir, pm_ticker *ticker, pm_error *err);
void pm_once_runs_free(pm_once_runs *runs);

/* A run is put in parts: each is sorted and follows the one before. Between the first part and pm_once_runs_end nothing else is called. */
pm_status pm_once_runs_put(pm_once_runs *runs, const XXH128_hash_t *hashes, size_t n, pm_error *err);
pm_status pm_once_runs_end(pm_once_runs *runs, pm_error *err);

/* Asks for the filter's memory, some time before. */
void pm_once_runs_prefetch(const pm_once_runs *runs, XXH128_hash_t hash);
/* Was it put? */
pm_status pm_once_runs_find(pm_once_runs *runs, XXH128_hash_t hash, bool *found, pm_error *err);

/* Bytes of memory that grow with what was put: one for 64 hashes at most. */
uint64_t pm_once_runs_memory(const pm_once_runs *runs);

#endif
