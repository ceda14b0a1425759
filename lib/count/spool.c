/* spool.c - see spool.h.
 *
 * In the file a run is the lengths of its chunks (2 bytes each), where its documents end, then its text. The lock guards the table; reading and writing
 * go on outside it. */
#include "count/spool.h"

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

pm_status pm_chunks_end_document(pm_chunks *c, pm_error *err) {
    PM_TRY(pm_grow((void **)&c->docs, &c->cap_docs, c->n_docs + 1, sizeof *c->docs, err));
    c->docs[c->n_docs++] = (uint32_t)c->n;
    return PM_OK;
}

void pm_chunks_release(pm_chunks *c) {
    pm_free(c->text);
    pm_free(c->ends);
    pm_free(c->docs);
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
uint64_t pm_spool_section(const pm_spool *s, size_t i) { return s->runs[i].chunks.section; }
uint64_t pm_spool_bytes(const pm_spool *s, size_t i) { return s->runs[i].chunks.len; }

/* ---------------------------------------------------------------- putting ---- */

enum { LENGTH = 2 /* bytes of one in the file */ };

static uint64_t file_bytes(const pm_chunks *c) { return c->n * LENGTH + c->n_docs * sizeof *c->docs + c->len; }
static uint64_t memory_bytes(const pm_chunks *c) { return c->n * sizeof *c->ends + c->n_docs * sizeof *c->docs + c->len; }

/* Writes lengths over the ends, from the front, two bytes for four. */
static void to_lengths(pm_chunks *c) {
    uint8_t *to = (uint8_t *)c->ends;
    for (size_t i = 0, before = 0; i < c->n; i++) {
        size_t end = c->ends[i];
        uint16_t len = (uint16_t)(end - before);
        memcpy(to + LENGTH * i, &len, LENGTH);
        before = end;
    }
}

/* The lengths are in the second half of the ends' memory. */
static void from_lengths(pm_chunks *c) {
    const uint8_t *from = (const uint8_t *)c->ends + LENGTH * c->n;
    uint32_t end = 0;
    for (size_t i = 0; i < c->n; i++) {
        uint16_t len;
        memcpy(&len, from + LENGTH * i, LENGTH);
        end += len;
        c->ends[i] = end;
    }
}

static pm_status write_run(const pm_spool *s, pm_chunks *c, uint64_t offset, pm_error *err) {
    const char *name = pm_temporary_folder(s->tmpdir);
    size_t lengths = c->n * LENGTH, docs = c->n_docs * sizeof *c->docs;
    to_lengths(c);
    PM_TRY(pm_write_at(s->fd, c->ends, lengths, offset, name, err));
    PM_TRY(docs ? pm_write_at(s->fd, c->docs, docs, offset + lengths, name, err) : PM_OK);
    return pm_write_at(s->fd, c->text, c->len, offset + lengths + docs, name, err);
}

/* Gives back what the arrays are longer than needed; a failure to do so is none. */
static void trim(pm_chunks *c) {
    uint8_t *text = pm_realloc(c->text, c->len + PM_CHUNKS_PAD, 1);
    uint32_t *ends = pm_realloc(c->ends, c->n, sizeof *ends);
    c->text = text ? text : c->text;
    c->ends = ends ? ends : c->ends;
    c->cap_text = c->len + PM_CHUNKS_PAD;
    c->cap_ends = c->n;
}

/* Under the lock: a place in the table, and in memory or in the file. */
static pm_status enter(pm_spool *s, pm_chunks *c, size_t *number, bool *kept, pm_error *err) {
    uint64_t bytes = memory_bytes(c);
    PM_TRY(pm_grow((void **)&s->runs, &s->cap, s->n + 1, sizeof *s->runs, err));
    *kept = bytes <= s->memory && s->used <= s->memory - bytes;
    if (!*kept && s->fd < 0) {
        PM_TRY(pm_temporary_file(&s->fd, s->tmpdir, err));
    }
    *number = s->n++;
    s->runs[*number] = (run){{.len = c->len, .n = c->n, .weight = c->weight, .n_docs = c->n_docs, .section = c->section}, s->file_len};
    s->used += *kept ? bytes : 0;
    s->file_len += *kept ? 0 : file_bytes(c);
    return PM_OK;
}

pm_status pm_spool_put(pm_spool *s, pm_chunks *c, pm_error *err) {
    size_t number;
    bool kept;
    pthread_mutex_lock(&s->lock);
    pm_status status = enter(s, c, &number, &kept, err);
    uint64_t offset = status == PM_OK ? s->runs[number].offset : 0;
    if (status == PM_OK && kept) {
        trim(c);
        s->runs[number].chunks = *c;
        *c = (pm_chunks){0};
    }
    pthread_mutex_unlock(&s->lock);
    if (status == PM_OK && !kept) {
        status = write_run(s, c, offset, err);
        c->len = c->n = c->n_docs = 0;
    }
    return status;
}

/* ---------------------------------------------------------------- getting ---- */

static pm_status read_run(const pm_spool *s, const run *r, pm_chunks *c, pm_error *err) {
    const char *name = pm_temporary_folder(s->tmpdir);
    size_t lengths = r->chunks.n * LENGTH, docs = r->chunks.n_docs * sizeof *c->docs;
    PM_TRY(pm_grow((void **)&c->text, &c->cap_text, r->chunks.len + PM_CHUNKS_PAD, 1, err));
    PM_TRY(pm_grow((void **)&c->ends, &c->cap_ends, r->chunks.n, sizeof *c->ends, err));
    PM_TRY(pm_grow((void **)&c->docs, &c->cap_docs, r->chunks.n_docs, sizeof *c->docs, err));
    c->len = r->chunks.len;
    c->n = r->chunks.n;
    c->weight = r->chunks.weight;
    c->n_docs = r->chunks.n_docs;
    c->section = r->chunks.section;
    PM_TRY(pm_read_at(s->fd, (uint8_t *)c->ends + lengths, lengths, r->offset, name, err));
    PM_TRY(docs ? pm_read_at(s->fd, c->docs, docs, r->offset + lengths, name, err) : PM_OK);
    PM_TRY(pm_read_at(s->fd, c->text, c->len, r->offset + lengths + docs, name, err));
    memset(c->text + c->len, 0, PM_CHUNKS_PAD);
    from_lengths(c);
    return PM_OK;
}

pm_status pm_spool_get(pm_spool *s, size_t i, pm_chunks *buffer, const pm_chunks **out, pm_error *err) {
    if (s->runs[i].chunks.text) {
        *out = &s->runs[i].chunks;
        return PM_OK;
    }
    *out = buffer;
    return read_run(s, &s->runs[i], buffer, err);
}

pm_status pm_spool_take(pm_spool *s, size_t i, pm_chunks *c, pm_error *err) {
    run *r = &s->runs[i];
    if (r->chunks.text) {
        pm_chunks_release(c);
        *c = r->chunks;
        r->chunks = (pm_chunks){0};
        return PM_OK;
    }
    return read_run(s, r, c, err);
}
