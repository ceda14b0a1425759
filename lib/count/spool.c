/* spool.c - see spool.h. In the file a run is its ends, then its text. */
#include "count/spool.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/file.h"

typedef struct run {
    pm_chunks chunks; /* text is NULL: in the file */
    uint64_t offset;
} run;

struct pm_spool {
    pthread_mutex_t lock;
    run *runs;
    size_t n, cap;
    uint64_t memory, used, file_len;
    const char *tmpdir;
    int fd; /* -1: none yet */
};

pm_status pm_chunks_add(pm_chunks *c, const uint8_t *text, size_t len, pm_error *err) {
    if (len > UINT32_MAX - c->len) {
        return pm_fail(err, PM_LIMIT, "a run of chunks is longer than 4 GB");
    }
    PM_TRY(pm_grow((void **)&c->text, &c->cap_text, c->len + len + PM_CHUNKS_PAD, 1, err));
    PM_TRY(pm_grow((void **)&c->ends, &c->cap_ends, c->n + 1, sizeof *c->ends, err));
    memcpy(c->text + c->len, text, len);
    memset(c->text + c->len + len, 0, PM_CHUNKS_PAD);
    c->len += len;
    c->ends[c->n++] = (uint32_t)c->len;
    return PM_OK;
}

void pm_chunks_release(pm_chunks *c) {
    pm_free(c->text);
    pm_free(c->ends);
    *c = (pm_chunks){0};
}

pm_status pm_spool_new(pm_spool **out, uint64_t memory, const char *tmpdir, pm_error *err) {
    pm_spool *s = *out = pm_calloc(1, sizeof *s);
    if (!s) {
        return pm_fail_memory(err);
    }
    pthread_mutex_init(&s->lock, NULL);
    s->memory = memory;
    s->tmpdir = tmpdir;
    s->fd = -1;
    return PM_OK;
}

void pm_spool_free(pm_spool *s) {
    if (s) {
        for (size_t i = 0; i < s->n; i++) {
            pm_chunks_release(&s->runs[i].chunks);
        }
        if (s->fd >= 0) {
            close(s->fd);
        }
        pm_free(s->runs);
        pthread_mutex_destroy(&s->lock);
        pm_free(s);
    }
}

size_t pm_spool_size(const pm_spool *s) { return s->n; }

static const char file_name[] = "temporary file";

static pm_status to_file(pm_spool *s, const pm_chunks *c, pm_error *err) {
    if (s->fd < 0) {
        PM_TRY(pm_temporary_file(&s->fd, s->tmpdir, err));
    }
    PM_TRY(pm_write(s->fd, c->ends, c->n * sizeof *c->ends, file_name, err));
    PM_TRY(pm_write(s->fd, c->text, c->len, file_name, err));
    s->file_len += c->n * sizeof *c->ends + c->len;
    return PM_OK;
}

/* Gives back what the arrays are longer than needed; a failure to do so is none. */
static void trim(pm_chunks *c) {
    uint8_t *text = pm_realloc(c->text, c->len + PM_CHUNKS_PAD, 1);
    uint32_t *ends = pm_realloc(c->ends, c->n, sizeof *ends);
    c->text = text ? text : c->text;
    c->ends = ends ? ends : c->ends;
}

static pm_status put(pm_spool *s, pm_chunks *c, pm_error *err) {
    run *r;
    uint64_t bytes = c->len + c->n * sizeof *c->ends;

    PM_TRY(pm_grow((void **)&s->runs, &s->cap, s->n + 1, sizeof *s->runs, err));
    r = &s->runs[s->n];
    if (s->used + bytes <= s->memory) {
        s->used += bytes;
        trim(c);
        *r = (run){.chunks = *c};
        *c = (pm_chunks){0};
    } else {
        *r = (run){.chunks = {.len = c->len, .n = c->n}, .offset = s->file_len};
        PM_TRY(to_file(s, c, err));
        c->len = c->n = 0;
    }
    s->n++;
    return PM_OK;
}

pm_status pm_spool_put(pm_spool *s, pm_chunks *c, pm_error *err) {
    pthread_mutex_lock(&s->lock);
    pm_status status = put(s, c, err);
    pthread_mutex_unlock(&s->lock);
    return status;
}

static pm_status from_file(pm_spool *s, const run *r, pm_chunks *c, pm_error *err) {
    size_t n_ends = r->chunks.n * sizeof *c->ends, got;

    PM_TRY(pm_grow((void **)&c->text, &c->cap_text, r->chunks.len + PM_CHUNKS_PAD, 1, err));
    PM_TRY(pm_grow((void **)&c->ends, &c->cap_ends, r->chunks.n, sizeof *c->ends, err));
    if (lseek(s->fd, (off_t)r->offset, SEEK_SET) < 0) {
        return pm_fail_errno(err, file_name, errno, "cannot seek");
    }
    PM_TRY(pm_read(s->fd, c->ends, n_ends, &got, file_name, err));
    if (got == n_ends) {
        PM_TRY(pm_read(s->fd, c->text, r->chunks.len, &got, file_name, err));
    }
    if (got != r->chunks.len) {
        return pm_fail_file(err, PM_IO, file_name, r->offset, "is shorter than what was written");
    }
    memset(c->text + r->chunks.len, 0, PM_CHUNKS_PAD);
    c->len = r->chunks.len;
    c->n = r->chunks.n;
    return PM_OK;
}

pm_status pm_spool_take(pm_spool *s, size_t i, pm_chunks *c, pm_error *err) {
    run *r = &s->runs[i];
    if (r->chunks.text) {
        pm_chunks_release(c);
        *c = r->chunks;
        c->cap_text = c->len + PM_CHUNKS_PAD;
        c->cap_ends = c->n;
        r->chunks = (pm_chunks){0};
        return PM_OK;
    }
    pthread_mutex_lock(&s->lock);
    pm_status status = from_file(s, r, c, err);
    pthread_mutex_unlock(&s->lock);
    return status;
}
