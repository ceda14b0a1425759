/* thread.c - see thread.h. POSIX threads. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include "base/thread.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"

/* ---------------------------------------------------------------- how many ---- */

/* Reads a file of a few numbers; returns how many of at most two were read ("max" is none). */
static int read_numbers(const char *path, long long *a, long long *b) {
    FILE *f = fopen(path, "re");
    int n = 0;
    if (f) {
        n = fscanf(f, "%lld %lld", a, b);
        fclose(f);
    }
    return n;
}

/* Processors that the cgroup's quota allows, rounded up; 0 without a quota. */
static unsigned cgroup_processors(void) {
    long long quota = 0, period = 0, unused;
    if (read_numbers("/sys/fs/cgroup/cpu.max", &quota, &period) != 2) {
        if (read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", &quota, &unused) < 1 ||
            read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_period_us", &period, &unused) < 1) {
            return 0;
        }
    }
    return quota > 0 && period > 0 ? (unsigned)((quota + period - 1) / period) : 0;
}

unsigned pm_default_threads(void) {
    unsigned n = 0;
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        n = (unsigned)CPU_COUNT(&set);
    }
#endif
    if (n == 0) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        n = online > 0 ? (unsigned)online : 1;
    }
    unsigned quota = cgroup_processors();
    if (quota && quota < n) {
        n = quota;
    }
    const char *wish = getenv("PIECEMILL_NUM_THREADS");
    if (wish) {
        char *end;
        unsigned long asked = strtoul(wish, &end, 10);
        if (*end == '\0' && asked > 0 && asked < n) {
            n = (unsigned)asked;
        }
    }
    return n;
}

/* ---------------------------------------------------------------- progress ---- */

double pm_ticker_seconds_between = 0.05; /* a call that is cancelled ends within 0.2 s: this is a quarter of it */

double pm_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

uint64_t pm_resident_memory(void) {
    long long total = 0, resident = 0;
    long page = sysconf(_SC_PAGESIZE);
    return read_numbers("/proc/self/statm", &total, &resident) == 2 && page > 0 ? (uint64_t)resident * (uint64_t)page : 0;
}

void pm_ticker_init(pm_ticker *t, pm_progress_fn fn, void *user, uint64_t memory_limit) {
    *t = (pm_ticker){.fn = fn, .user = user, .memory_limit = memory_limit, .base_memory = pm_resident_memory(), .start = pm_now()};
    t->last = t->start;
    t->now.phase = "";
    t->now.unit = "";
}

double pm_ticker_seconds(const pm_ticker *t) { return pm_now() - t->start; }

/* Calls the callback and looks at the memory. */
static pm_status ask(pm_ticker *t, double now, pm_error *err) {
    uint64_t resident = pm_resident_memory();

    t->last = now;
    t->now.seconds = now - t->start;
    t->now.memory = resident > t->base_memory ? resident - t->base_memory : 0;
    if (t->memory_limit && t->now.memory > t->memory_limit + t->memory_limit / 10) { /* a tenth: what is resident is not known to the byte */
        return pm_fail(err, PM_LIMIT, "memory_limit of %llu bytes is too small for this corpus: %s needs more than %llu",
                       (unsigned long long)t->memory_limit, t->now.phase, (unsigned long long)t->now.memory);
    }
    if (t->fn && t->fn(t->user, &t->now) != 0) {
        return pm_fail(err, PM_CANCELLED, "cancelled by the progress callback during: %s", t->now.phase);
    }
    return PM_OK;
}

static pm_status report(pm_ticker *t, double now, pm_error *err) {
    pm_error error = {0};
    pm_status status = ask(t, now, &error);
    if (status == PM_OK) {
        return PM_OK;
    }
    if (!atomic_load_explicit(&t->failed, memory_order_relaxed)) {
        t->error = error;
        atomic_store_explicit(&t->failed, true, memory_order_release);
    }
    if (err) {
        *err = error;
    }
    return status;
}

pm_status pm_ticker_phase_from(pm_ticker *t, const char *phase, const char *unit, uint64_t done, uint64_t total, pm_error *err) {
    t->now.phase = phase;
    t->now.unit = unit;
    t->now.done = done;
    t->now.total = total;
    return report(t, pm_now(), err);
}

pm_status pm_ticker_phase(pm_ticker *t, const char *phase, const char *unit, uint64_t total, pm_error *err) {
    return pm_ticker_phase_from(t, phase, unit, 0, total, err);
}

pm_status pm_ticker_tick(pm_ticker *t, uint64_t done, pm_error *err) {
    t->now.done = done;
    if (!t->fn && !t->memory_limit) {
        return PM_OK;
    }
    if (atomic_load_explicit(&t->failed, memory_order_relaxed)) { /* once is enough, and whoever comes by must hear of it */
        if (err) {
            *err = t->error;
        }
        return t->error.status;
    }
    double now = pm_now();
    return now - t->last < pm_ticker_seconds_between ? PM_OK : report(t, now, err);
}

pm_status pm_ticker_poll(pm_ticker *t, unsigned thread, pm_error *err) {
    if (thread == 0) {
        return pm_ticker_tick(t, t->now.done, err);
    }
    if (!atomic_load_explicit(&t->failed, memory_order_acquire)) {
        return PM_OK;
    }
    if (err) {
        *err = t->error;
    }
    return t->error.status;
}

/* ---------------------------------------------------------------- crew: threads that share one failure ---- */

typedef struct crew {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pm_status status; /* the first failure */
    pm_error error;
    atomic_bool stop;
} crew;

static void crew_init(crew *c) {
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
    c->status = PM_OK;
    c->error = (pm_error){0};
    atomic_init(&c->stop, false);
}

static void crew_release(crew *c) {
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
}

static void crew_fail(crew *c, pm_status status, const pm_error *error) {
    pthread_mutex_lock(&c->lock);
    if (c->status == PM_OK) {
        c->status = status;
        c->error = *error;
    }
    atomic_store(&c->stop, true);
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static pm_status crew_result(const crew *c, pm_error *err) {
    if (c->status != PM_OK && err) {
        *err = c->error;
    }
    return c->status;
}

/* ---------------------------------------------------------------- tasks by number ---- */

typedef struct parallel {
    crew crew;
    atomic_size_t next, finished;
    size_t n_tasks;
    unsigned running; /* other threads; under the crew's lock */
    pm_ticker *ticker;
    bool counted;     /* the ticker gets the number of finished tasks */
    pm_task_fn task;
    void *ctx;
} parallel;

typedef struct worker {
    void *job;
    unsigned index;
    pthread_t thread;
} worker;

static void work_tasks(parallel *p, unsigned index) {
    pm_error error = {0};
    while (!atomic_load_explicit(&p->crew.stop, memory_order_relaxed)) {
        size_t i = atomic_fetch_add(&p->next, 1);
        if (i >= p->n_tasks) {
            return;
        }
        pm_status status = p->task(p->ctx, index, i, &error);
        size_t finished = atomic_fetch_add(&p->finished, 1) + 1;
        if (status == PM_OK && p->ticker && index == 0) {
            status = p->counted ? pm_ticker_tick(p->ticker, finished, &error) : pm_ticker_poll(p->ticker, 0, &error);
        }
        if (status != PM_OK) {
            crew_fail(&p->crew, status, &error);
        }
    }
}

static void *parallel_main(void *arg) {
    worker *w = arg;
    parallel *p = w->job;
    work_tasks(p, w->index);
    pthread_mutex_lock(&p->crew.lock);
    p->running--;
    pthread_cond_broadcast(&p->crew.changed);
    pthread_mutex_unlock(&p->crew.lock);
    return NULL;
}

/* Starts up to n threads; fewer when the system gives no more: the work is done all the same. */
static unsigned start_workers(worker *workers, unsigned n, void *job, void *(*run)(void *)) {
    unsigned started = 0;
    for (; started < n; started++) {
        workers[started].job = job;
        workers[started].index = started + 1;
        if (pthread_create(&workers[started].thread, NULL, run, &workers[started]) != 0) {
            break;
        }
    }
    return started;
}

static void join_workers(worker *workers, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        pthread_join(workers[i].thread, NULL);
    }
}

enum { WAIT_NS = 50 * 1000 * 1000 };

/* Waits for a change, at most WAIT_NS if there is a ticker, which is polled then. The crew's lock is held, but not while the callback runs. */
static void wait_and_tick(crew *c, pm_ticker *ticker) {
    struct timespec until;
    if (!ticker || atomic_load(&c->stop)) {
        pthread_cond_wait(&c->changed, &c->lock);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &until); /* the condition's clock; one that is set back only delays a tick */
    until.tv_nsec += WAIT_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (pthread_cond_timedwait(&c->changed, &c->lock, &until) != ETIMEDOUT) {
        return;
    }
    pthread_mutex_unlock(&c->lock);
    pm_error error = {0};
    pm_status status = pm_ticker_poll(ticker, 0, &error);
    if (status != PM_OK) {
        crew_fail(c, status, &error);
    }
    pthread_mutex_lock(&c->lock);
}

static void wait_for_others(parallel *p) {
    pthread_mutex_lock(&p->crew.lock);
    while (p->running) {
        wait_and_tick(&p->crew, p->ticker);
    }
    pthread_mutex_unlock(&p->crew.lock);
}

static pm_status run_tasks(parallel p, unsigned threads, pm_error *err) {
    size_t n_tasks = p.n_tasks;
    unsigned others = threads > 1 ? threads - 1 : 0;
    worker *workers = NULL;

    if (n_tasks < 2) {
        others = 0;
    } else if (others > n_tasks - 1) {
        others = (unsigned)(n_tasks - 1);
    }
    if (others) {
        workers = pm_calloc(others, sizeof *workers);
        if (!workers) {
            return pm_fail_memory(err);
        }
    }
    crew_init(&p.crew);
    atomic_init(&p.next, 0);
    atomic_init(&p.finished, 0);
    p.running = others;
    unsigned started = start_workers(workers, others, &p, parallel_main);
    pthread_mutex_lock(&p.crew.lock);
    p.running -= others - started;
    pthread_mutex_unlock(&p.crew.lock);
    work_tasks(&p, 0);
    wait_for_others(&p);
    join_workers(workers, started);
    pm_status status = crew_result(&p.crew, err);
    crew_release(&p.crew);
    pm_free(workers);
    return status;
}

pm_status pm_parallel(unsigned threads, size_t n_tasks, pm_task_fn task, void *ctx, pm_ticker *ticker, pm_error *err) {
    return run_tasks((parallel){.n_tasks = n_tasks, .task = task, .ctx = ctx, .ticker = ticker, .counted = true}, threads, err);
}

pm_status pm_parallel_part(unsigned threads, size_t n_tasks, pm_task_fn task, void *ctx, pm_ticker *ticker, pm_error *err) {
    return run_tasks((parallel){.n_tasks = n_tasks, .task = task, .ctx = ctx, .ticker = ticker}, threads, err);
}

/* ---------------------------------------------------------------- a stream of blocks ---- */

/* Blocks move between two stacks under one lock: empty ones to the producer, full ones to the consumers. */
typedef struct stream {
    crew crew;
    void **empty, **full;
    size_t n_empty, n_full, n_blocks;
    bool ended;
    pm_ticker *ticker; /* NULL: none */
    const pm_stream_ops *ops;
    void *ctx;
} stream;

static void consume_one(stream *s, unsigned index, void *block) {
    pm_error error = {0};
    pm_status status = s->ops->consume(s->ctx, index, block, &error);
    if (status != PM_OK) {
        crew_fail(&s->crew, status, &error);
    }
    pthread_mutex_lock(&s->crew.lock);
    s->empty[s->n_empty++] = block;
    pthread_cond_broadcast(&s->crew.changed);
    pthread_mutex_unlock(&s->crew.lock);
}

/* Waits for a change; the calling thread (thread 0) looks after the ticker meanwhile. */
static void wait_for_change(stream *s, unsigned thread) { wait_and_tick(&s->crew, thread ? NULL : s->ticker); }

/* A full block, or NULL when there will be none. Waits. */
static void *take_full(stream *s, unsigned thread) {
    void *block = NULL;
    pthread_mutex_lock(&s->crew.lock);
    while (s->n_full == 0 && !s->ended && !atomic_load(&s->crew.stop)) {
        wait_for_change(s, thread);
    }
    if (s->n_full && !atomic_load(&s->crew.stop)) {
        block = s->full[--s->n_full];
    }
    pthread_mutex_unlock(&s->crew.lock);
    return block;
}

static void *stream_main(void *arg) {
    worker *w = arg;
    stream *s = w->job;
    void *block;
    while ((block = take_full(s, w->index)) != NULL) {
        consume_one(s, w->index, block);
    }
    return NULL;
}

/* The calling thread: produce while there is an empty block, else help. */
static void produce_all(stream *s) {
    bool more = true;
    while (more && !atomic_load(&s->crew.stop)) {
        pthread_mutex_lock(&s->crew.lock);
        void *block = s->n_empty ? s->empty[--s->n_empty] : NULL;
        void *help = !block && s->n_full ? s->full[--s->n_full] : NULL;
        if (!block && !help) {
            wait_for_change(s, 0);
        }
        pthread_mutex_unlock(&s->crew.lock);
        if (help) {
            consume_one(s, 0, help);
        }
        if (!block) {
            continue;
        }
        pm_error error = {0};
        bool filled = false;
        pm_status status = s->ops->produce(s->ctx, block, &filled, &more, &error);
        if (status != PM_OK) {
            crew_fail(&s->crew, status, &error);
        }
        pthread_mutex_lock(&s->crew.lock);
        if (status == PM_OK && filled) {
            s->full[s->n_full++] = block;
        } else {
            s->empty[s->n_empty++] = block;
        }
        s->ended = !more;
        pthread_cond_broadcast(&s->crew.changed);
        pthread_mutex_unlock(&s->crew.lock);
    }
}

/* The calling thread when all was produced: helps, then waits until the others have given their last blocks back. */
static void finish_all(stream *s) {
    void *block;
    while ((block = take_full(s, 0)) != NULL) {
        consume_one(s, 0, block);
    }
    pthread_mutex_lock(&s->crew.lock);
    while (s->n_empty < s->n_blocks && !atomic_load(&s->crew.stop)) {
        wait_for_change(s, 0);
    }
    pthread_mutex_unlock(&s->crew.lock);
}

pm_status pm_stream(unsigned threads, void **blocks, size_t n_blocks, const pm_stream_ops *ops, void *ctx, pm_ticker *ticker,
                    pm_error *err) {
    stream s = {.ops = ops, .ctx = ctx, .n_empty = n_blocks, .n_blocks = n_blocks, .ticker = ticker};
    unsigned others = threads > 1 ? threads - 1 : 0;
    worker *workers = pm_calloc(others + 1, sizeof *workers);

    s.empty = pm_alloc(n_blocks, sizeof *s.empty);
    s.full = pm_alloc(n_blocks, sizeof *s.full);
    if (!workers || !s.empty || !s.full) {
        pm_free(workers);
        pm_free(s.empty);
        pm_free(s.full);
        return pm_fail_memory(err);
    }
    memcpy(s.empty, blocks, n_blocks * sizeof *blocks);
    crew_init(&s.crew);
    unsigned started = start_workers(workers, others, &s, stream_main);
    produce_all(&s);
    finish_all(&s);
    join_workers(workers, started);
    pm_status status = crew_result(&s.crew, err);
    crew_release(&s.crew);
    pm_free(workers);
    pm_free(s.empty);
    pm_free(s.full);
    return status;
}
