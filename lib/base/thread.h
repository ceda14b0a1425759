/* thread.h - the two shapes of parallel work in the library, and progress with cancelling.
 *
 * In both, the calling thread does work too and is the only one on which callbacks run; the first failure stops the
 * others at their next task and is what the call returns. With one thread no thread is made. */
#ifndef PM_BASE_THREAD_H
#define PM_BASE_THREAD_H

#include <stdatomic.h>

#include "base/error.h"

/* ---- progress: one ticker for each long call ---- */

/* For tests only: how long a callback is not called again; 0: each look at the ticker calls it. */
extern double pm_ticker_seconds_between;

typedef struct pm_ticker {
    pm_progress_fn fn;
    void *user;
    uint64_t memory_limit; /* 0: none */
    uint64_t base_memory;
    double start, last;
    pm_progress now;
    atomic_bool failed;
    pm_error error; /* why; written once, before `failed` is set */
} pm_ticker;

void pm_ticker_init(pm_ticker *t, pm_progress_fn fn, void *user, uint64_t memory_limit);
/* Begins a phase: `phase` and `unit` are static strings. Calls the callback at once. */
pm_status pm_ticker_phase(pm_ticker *t, const char *phase, const char *unit, uint64_t total, pm_error *err);
/* One that goes on where `done` is. */
pm_status pm_ticker_phase_from(pm_ticker *t, const char *phase, const char *unit, uint64_t done, uint64_t total, pm_error *err);
/* Says how far the phase is. Cheap: looks at the clock, calls the callback twenty times a second. Returns PM_CANCELLED when the
 * callback asked for it, PM_LIMIT when resident memory grew past the limit. Calling thread only. */
pm_status pm_ticker_tick(pm_ticker *t, uint64_t done, pm_error *err);
/* For work that goes on for long on some thread, every megabyte or so. On the calling thread (`thread` is 0) a tick that
 * leaves `done` as it is, on the others a look whether a tick failed: that failure again. */
pm_status pm_ticker_poll(pm_ticker *t, unsigned thread, pm_error *err);
double pm_ticker_seconds(const pm_ticker *t);

double pm_now(void);               /* monotonic seconds */
uint64_t pm_resident_memory(void); /* bytes; 0 if the system does not tell */

/* ---- tasks by number ---- */

/* Runs task(ctx, thread, i, err) for every i < n_tasks, each once, in rising order of start, on at most `threads` threads;
 * `thread` < threads tells which scratch memory to use. `ticker` may be NULL; else it is ticked with the number of
 * finished tasks between those of the calling thread, so tasks should take well under 100 ms. */
typedef pm_status (*pm_task_fn)(void *ctx, unsigned thread, size_t i, pm_error *err);
pm_status pm_parallel(unsigned threads, size_t n_tasks, pm_task_fn task, void *ctx, pm_ticker *ticker, pm_error *err);
/* The same for a part of a phase whose progress is not a number of tasks: the ticker is polled between tasks of the calling thread, and while that
 * waits for the others. A task that may take long calls pm_ticker_poll itself. */
pm_status pm_parallel_part(unsigned threads, size_t n_tasks, pm_task_fn task, void *ctx, pm_ticker *ticker, pm_error *err);

/* ---- a stream of blocks ---- */

/* The calling thread fills blocks with produce (false in *more at the end, with or without a last block filled), the
 * threads consume them, in any order; when all blocks are full, the calling thread consumes one itself. `blocks` is an
 * array of n_blocks pointers to the caller's blocks (2 * threads is a good number; 1 suffices for one thread). Progress is
 * the producer's to tell; `ticker` (may be NULL) is polled while the calling thread waits for the others. A consume that
 * may take long calls pm_ticker_poll itself. */
typedef struct pm_stream_ops {
    pm_status (*produce)(void *ctx, void *block, bool *filled, bool *more, pm_error *err);
    pm_status (*consume)(void *ctx, unsigned thread, void *block, pm_error *err);
} pm_stream_ops;
pm_status pm_stream(unsigned threads, void **blocks, size_t n_blocks, const pm_stream_ops *ops, void *ctx, pm_ticker *ticker,
                    pm_error *err);

#endif
