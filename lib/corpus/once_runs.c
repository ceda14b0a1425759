/* once_runs.c - see once_runs.h.
 *
 * A log-structured merge tree (O'Neil and others, 1996) of 16 bytes a hash. Each run is a temporary file of hashes in order. When a run
 * is put, it is merged with the one before as long as that one is not twice as long, so lengths at least halve from run to run and there are few runs, the
 * logarithm of their number; each hash is written as often again:
 *
 *     put a    a
 *     put b    ab                    (a and b are merged)
 *     put c    ab c
 *     put d    ab cd  ->  abcd
 *
 * Nearly all that is asked for is not there. A Bloom filter answers that from one cache line: a block of 512 bits by low64, in
 * which six bits stand for high64. With ten bits of it a hash one answer in a hundred is wrong, which costs looks at the runs. They are looked at from the
 * youngest: the first hash of each page of 8 KB is in memory (8 bytes of it: its rank), halving finds the page, which is read and halved in turn.
 *
 * Cost: a hash costs some 30 ns for each merge it goes through, a found one a read of a page for each run. Memory: the filter, one part in a thousand or two
 * of the files, three buffers of 64 KB. Disk: 16 bytes a hash, twice that while the longest runs are merged. */
#include "corpus/once_runs.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

enum {
    PAGE = 512,                /* hashes */
    BUFFER = 8 * PAGE,         /* hashes; whole pages, so that each page is in one buffer when its first hash is noted */
    BLOCK = 64,                /* bytes of the filter */
    FILTER_BITS = 6,
    MOST_RUNS = 64
};

typedef struct run {
    int fd;
    uint64_t n;
    uint64_t *ranks; /* of the first hash of each page */
    size_t n_ranks, cap;
} run;

typedef struct buffer {
    XXH128_hash_t *hashes;
    size_t at, n;
    uint64_t read; /* of its run's */
} buffer;

struct pm_once_runs {
    uint8_t *filter;
    uint64_t n_blocks;
    const char *tmpdir;
    pm_ticker *ticker;
    run runs[MOST_RUNS]; /* lengths at least halve */
    size_t n;
    run fresh;           /* that is being written; fd -1: none */
    buffer out, in[2];   /* out: the end of `fresh`; in[0] also holds a page that is looked at */
};

/* Ascends with the hash. */
static uint64_t rank_of(const XXH128_hash_t *hash) { return hash->high64 >> 61 << 61 | hash->low64 >> 3; }

static const char *folder(const pm_once_runs *r) { return pm_temporary_folder(r->tmpdir); }

static void close_run(run *one) {
    if (one->fd >= 0) {
        close(one->fd);
    }
    pm_free(one->ranks);
    *one = (run){.fd = -1};
}

void pm_once_runs_free(pm_once_runs *r) {
    if (!r) {
        return;
    }
    for (size_t i = 0; i < r->n; i++) {
        close_run(&r->runs[i]);
    }
    close_run(&r->fresh);
    if (r->filter) {
        pm_pages_free(r->filter, r->n_blocks * BLOCK);
    }
    pm_free(r->out.hashes);
    pm_free(r->in[0].hashes);
    pm_free(r->in[1].hashes);
    pm_free(r);
}

pm_status pm_once_runs_new(pm_once_runs **out, uint64_t filter, const char *tmpdir, pm_ticker *ticker, pm_error *err) {
    pm_once_runs *r = *out = pm_calloc(1, sizeof *r);
    if (!r) {
        return pm_fail_memory(err);
    }
    r->n_blocks = filter / BLOCK ? filter / BLOCK : 1;
    r->tmpdir = tmpdir;
    r->ticker = ticker;
    r->fresh.fd = -1;
    r->filter = pm_pages_alloc(r->n_blocks * BLOCK);
    r->out.hashes = pm_alloc(BUFFER, sizeof *r->out.hashes);
    r->in[0].hashes = pm_alloc(BUFFER, sizeof *r->in[0].hashes);
    r->in[1].hashes = pm_alloc(BUFFER, sizeof *r->in[1].hashes);
    if (!r->filter || !r->out.hashes || !r->in[0].hashes || !r->in[1].hashes) {
        pm_once_runs_free(r);
        *out = NULL;
        return pm_fail_memory(err);
    }
    return PM_OK;
}

uint64_t pm_once_runs_memory(const pm_once_runs *r) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < r->n; i++) {
        bytes += r->runs[i].cap * sizeof *r->runs[i].ranks;
    }
    return bytes;
}

/* ---------------------------------------------------------------- the filter ---- */

static uint8_t *block_of(const pm_once_runs *r, XXH128_hash_t hash) {
    return r->filter + (uint64_t)((unsigned __int128)hash.low64 * r->n_blocks >> 64) * BLOCK;
}

void pm_once_runs_prefetch(const pm_once_runs *r, XXH128_hash_t hash) { __builtin_prefetch(block_of(r, hash)); }

static void filter_add(pm_once_runs *r, XXH128_hash_t hash) {
    uint8_t *block = block_of(r, hash);
    for (unsigned i = 0; i < FILTER_BITS; i++, hash.high64 >>= 9) {
        block[(hash.high64 & 511) / 8] |= (uint8_t)(1 << (hash.high64 & 7));
    }
}

static bool filter_has(const pm_once_runs *r, XXH128_hash_t hash) {
    const uint8_t *block = block_of(r, hash);
    bool has = true;
    for (unsigned i = 0; i < FILTER_BITS; i++, hash.high64 >>= 9) {
        has = has && block[(hash.high64 & 511) / 8] >> (hash.high64 & 7) & 1;
    }
    return has;
}

/* ---------------------------------------------------------------- writing a run ---- */

/* The buffer goes to the end of the fresh run. */
static pm_status flush(pm_once_runs *r, pm_error *err) {
    run *fresh = &r->fresh;
    size_t n = r->out.n;
    if (fresh->fd < 0) {
        PM_TRY(pm_temporary_file(&fresh->fd, r->tmpdir, err));
    }
    PM_TRY(pm_grow((void **)&fresh->ranks, &fresh->cap, fresh->n_ranks + n / PAGE + 1, sizeof *fresh->ranks, err));
    for (size_t i = 0; i < n; i += PAGE) {
        fresh->ranks[fresh->n_ranks++] = rank_of(&r->out.hashes[i]);
    }
    PM_TRY(pm_write_at(fresh->fd, r->out.hashes, n * sizeof *r->out.hashes, fresh->n * sizeof *r->out.hashes, folder(r), err));
    fresh->n += n;
    r->out.n = 0;
    return r->ticker ? pm_ticker_poll(r->ticker, 0, err) : PM_OK;
}

static pm_status write_hash(pm_once_runs *r, const XXH128_hash_t *hash, pm_error *err) {
    r->out.hashes[r->out.n++] = *hash;
    return r->out.n == BUFFER ? flush(r, err) : PM_OK;
}

pm_status pm_once_runs_put(pm_once_runs *r, const XXH128_hash_t *hashes, size_t n, pm_error *err) {
    for (size_t i = 0; i < n; i++) {
        filter_add(r, hashes[i]);
        PM_TRY(write_hash(r, &hashes[i], err));
    }
    return PM_OK;
}

/* The fresh run is the last of all. */
static pm_status end_run(pm_once_runs *r, pm_error *err) {
    PM_TRY(r->out.n ? flush(r, err) : PM_OK);
    if (!r->fresh.n) {
        return PM_OK;
    }
    r->runs[r->n++] = r->fresh;
    r->fresh = (run){.fd = -1};
    return PM_OK;
}

/* ---------------------------------------------------------------- merging ---- */

/* The next hash of a run, NULL at its end. */
static pm_status peek(pm_once_runs *r, const run *from, buffer *b, const XXH128_hash_t **hash, pm_error *err) {
    if (b->at == b->n && b->read < from->n) {
        uint64_t left = from->n - b->read;
        b->n = left < BUFFER ? (size_t)left : BUFFER;
        b->at = 0;
        PM_TRY(pm_read_at(from->fd, b->hashes, b->n * sizeof *b->hashes, b->read * sizeof *b->hashes, folder(r), err));
        b->read += b->n;
    }
    *hash = b->at < b->n ? &b->hashes[b->at] : NULL;
    return PM_OK;
}

/* Writes both runs as one; what is in both once. */
static pm_status merge_into_fresh(pm_once_runs *r, const run *a, const run *b, pm_error *err) {
    const XXH128_hash_t *x, *y;
    r->in[0] = (buffer){.hashes = r->in[0].hashes};
    r->in[1] = (buffer){.hashes = r->in[1].hashes};
    for (;;) {
        PM_TRY(peek(r, a, &r->in[0], &x, err));
        PM_TRY(peek(r, b, &r->in[1], &y, err));
        if (!x && !y) {
            return PM_OK;
        }
        int order = !x ? 1 : !y ? -1 : pm_once_compare(x, y);
        PM_TRY(write_hash(r, order <= 0 ? x : y, err));
        r->in[0].at += order <= 0;
        r->in[1].at += order >= 0;
    }
}

static pm_status merge_last(pm_once_runs *r, pm_error *err) {
    PM_TRY(merge_into_fresh(r, &r->runs[r->n - 2], &r->runs[r->n - 1], err));
    close_run(&r->runs[--r->n]);
    close_run(&r->runs[--r->n]);
    return end_run(r, err);
}

pm_status pm_once_runs_end(pm_once_runs *r, pm_error *err) {
    PM_TRY(end_run(r, err));
    while (r->n > 1 && r->runs[r->n - 2].n / 2 < r->runs[r->n - 1].n) {
        PM_TRY(merge_last(r, err));
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- looking ---- */

/* The first page that may hold the rank: it, or the one behind it, begins with that much or more. */
static size_t first_page(const run *one, uint64_t rank) {
    size_t low = 0, high = one->n_ranks; /* pages below low begin below the rank, those from high on do not */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (one->ranks[middle] < rank) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low ? low - 1 : 0;
}

static bool is_in(const XXH128_hash_t *hashes, size_t n, const XXH128_hash_t *hash) {
    size_t low = 0;
    while (low < n) {
        size_t middle = low + (n - low) / 2;
        int order = pm_once_compare(&hashes[middle], hash);
        if (order == 0) {
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            n = middle;
        }
    }
    return false;
}

static pm_status find_in_run(pm_once_runs *r, const run *one, const XXH128_hash_t *hash, bool *found, pm_error *err) {
    uint64_t rank = rank_of(hash);
    *found = false;
    for (size_t page = first_page(one, rank); !*found && page < one->n_ranks && one->ranks[page] <= rank; page++) {
        uint64_t begin = (uint64_t)page * PAGE;
        size_t n = one->n - begin < PAGE ? (size_t)(one->n - begin) : PAGE;
        PM_TRY(pm_read_at(one->fd, r->in[0].hashes, n * sizeof *hash, begin * sizeof *hash, folder(r), err));
        *found = is_in(r->in[0].hashes, n, hash);
    }
    return PM_OK;
}

pm_status pm_once_runs_find(pm_once_runs *r, XXH128_hash_t hash, bool *found, pm_error *err) {
    *found = false;
    for (size_t i = filter_has(r, hash) ? r->n : 0; i > 0 && !*found; i--) {
        PM_TRY(find_in_run(r, &r->runs[i - 1], &hash, found, err));
    }
    return PM_OK;
}
