/* store.c - see store.h.
 *
 * The file is a row of slots as large as an ordinary chunk; a long chunk has several in a row. Slots of chunks that
 * were taken are used again, so that a pass which takes and puts needs little more of the disk than what it began with:
 *
 *     slots    0   1   2   3   4            free
 *     put a    a                            -
 *     put B    a   B   B                    -           (B is long)
 *     take B   a   .   .                    2 1
 *     put c    a   .   c                    1           (a long one goes behind the end)
 *
 * The lock guards the table; reading and writing go on outside it. */
#include "count/store.h"

#include <pthread.h>
#include <unistd.h>

#include "base/file.h"

enum { SLOT = PM_CHUNK_BYTES };

typedef struct entry {
    pm_chunk *chunk;   /* NULL: in the file, or taken */
    uint64_t slot;     /* in the file: the first one, */
    size_t size, used; /* of the chunk, and what is in the file; used is 0: taken */
} entry;

struct pm_store {
    pthread_mutex_t lock;
    entry *entries;
    size_t n, cap;
    uint64_t memory, in_memory, bytes;
    const char *tmpdir;
    int fd; /* -1: none yet */
    uint64_t n_slots, *free_slots;
    size_t n_free, cap_free;
};

pm_status pm_store_new(pm_store **out, uint64_t memory, const char *tmpdir, pm_error *err) {
    pm_store *s = *out = pm_calloc(1, sizeof *s);
    if (!s) {
        return pm_fail_memory(err);
    }
    pthread_mutex_init(&s->lock, NULL);
    s->memory = memory;
    s->tmpdir = tmpdir;
    s->fd = -1;
    return PM_OK;
}

pm_status pm_store_new_like(pm_store **out, const pm_store *s, pm_error *err) {
    return pm_store_new(out, s->memory, s->tmpdir, err);
}

void pm_store_free(pm_store *s) {
    if (s) {
        for (size_t i = 0; i < s->n; i++) {
            pm_chunk_free(s->entries[i].chunk);
        }
        if (s->fd >= 0) {
            close(s->fd);
        }
        pm_free(s->entries);
        pm_free(s->free_slots);
        pthread_mutex_destroy(&s->lock);
        pm_free(s);
    }
}

void pm_store_set_memory(pm_store *s, uint64_t memory) { s->memory = memory; }
uint64_t pm_store_bound(const pm_store *s) { return s->memory; }
size_t pm_store_size(const pm_store *s) { return s->n; }
uint64_t pm_store_bytes(const pm_store *s) { return s->bytes; }
uint64_t pm_store_memory(const pm_store *s) { return s->in_memory; }
uint64_t pm_store_file_bytes(const pm_store *s) { return s->n_slots * SLOT; }

/* ---------------------------------------------------------------- slots ---- */

static size_t slots_of(size_t used) { return (used + SLOT - 1) / SLOT; }

/* Under the lock. */
static pm_status find_slots(pm_store *s, size_t n, uint64_t *slot, pm_error *err) {
    if (s->fd < 0) {
        PM_TRY(pm_temporary_file(&s->fd, s->tmpdir, err));
    }
    if (n == 1 && s->n_free) {
        *slot = s->free_slots[--s->n_free];
        return PM_OK;
    }
    /* room for the day when all are free: giving back never fails */
    PM_TRY(pm_grow((void **)&s->free_slots, &s->cap_free, s->n_slots + n, sizeof *s->free_slots, err));
    *slot = s->n_slots;
    s->n_slots += n;
    return PM_OK;
}

static void give_back(pm_store *s, uint64_t slot, size_t n) {
    while (n) {
        s->free_slots[s->n_free++] = slot + --n;
    }
}

/* ---------------------------------------------------------------- putting ---- */

/* Under the lock: a place in the table, in memory if there is room. */
static pm_status enter(pm_store *s, pm_chunk *chunk, size_t *number, bool *kept, pm_error *err) {
    PM_TRY(pm_grow((void **)&s->entries, &s->cap, s->n + 1, sizeof *s->entries, err));
    entry e = {.size = chunk->size, .used = chunk->used};
    *kept = s->in_memory <= s->memory && chunk->size <= s->memory - s->in_memory;
    if (*kept) {
        e.chunk = chunk;
        s->in_memory += chunk->size;
    } else {
        PM_TRY(find_slots(s, slots_of(chunk->used), &e.slot, err));
    }
    s->bytes += chunk->used - sizeof *chunk;
    *number = s->n++;
    s->entries[*number] = e;
    return PM_OK;
}

/* What cannot be written is not there; its place in the table is that of a chunk that was taken. */
static void leave(pm_store *s, size_t number) {
    entry *e = &s->entries[number];
    give_back(s, e->slot, slots_of(e->used));
    s->bytes -= e->used - sizeof(pm_chunk);
    *e = (entry){0};
}

pm_status pm_store_put(pm_store *s, pm_chunk **chunk, pm_error *err) {
    size_t number;
    bool kept;
    pthread_mutex_lock(&s->lock);
    pm_status status = enter(s, *chunk, &number, &kept, err);
    uint64_t slot = status == PM_OK ? s->entries[number].slot : 0;
    pthread_mutex_unlock(&s->lock);
    PM_TRY(status);
    if (kept) {
        *chunk = NULL;
        return PM_OK;
    }
    status = pm_write_at(s->fd, *chunk, (*chunk)->used, slot * SLOT, pm_temporary_folder(s->tmpdir), err);
    if (status != PM_OK) {
        pthread_mutex_lock(&s->lock);
        leave(s, number);
        pthread_mutex_unlock(&s->lock);
        return status;
    }
    (*chunk)->used = sizeof **chunk;
    return PM_OK;
}

pm_status pm_store_spill(pm_store *s, pm_error *err) {
    s->memory = 0;
    for (size_t i = 0; i < s->n; i++) {
        entry *e = &s->entries[i];
        if (!e->chunk) {
            continue;
        }
        PM_TRY(find_slots(s, slots_of(e->used), &e->slot, err));
        pm_status status = pm_write_at(s->fd, e->chunk, e->used, e->slot * SLOT, pm_temporary_folder(s->tmpdir), err);
        if (status != PM_OK) {
            give_back(s, e->slot, slots_of(e->used));
            return status;
        }
        pm_chunk_free(e->chunk);
        e->chunk = NULL;
        s->in_memory -= e->size;
    }
    return PM_OK;
}

pm_status pm_store_put_all(pm_store *s, pm_records *records, pm_error *err) {
    pm_status status = PM_OK;
    while (status == PM_OK && records->first) {
        pm_chunk *chunk = records->first;
        records->first = chunk->next;
        chunk->next = NULL;
        status = pm_store_put(s, &chunk, err);
        pm_chunk_free(chunk);
    }
    if (status != PM_OK) {
        pm_records_release(records);
    }
    *records = (pm_records){0};
    return status;
}

/* ---------------------------------------------------------------- getting ---- */

/* Makes *buffer an unlinked chunk of at least `size` bytes. */
static pm_status make_room(pm_chunk **buffer, size_t size, pm_error *err) {
    if (!*buffer || (*buffer)->size < size + PM_RECORDS_PAD) {
        pm_records one = {0};
        pm_chunk_free(*buffer);
        *buffer = pm_records_add_chunk(&one, size - sizeof(pm_chunk));
    }
    return *buffer ? PM_OK : pm_fail_memory(err);
}

static pm_status read_entry(pm_store *s, const entry *e, pm_chunk *chunk, pm_error *err) {
    size_t size = chunk->size;
    PM_TRY(pm_read_at(s->fd, chunk, e->used, e->slot * SLOT, pm_temporary_folder(s->tmpdir), err));
    chunk->next = NULL;
    chunk->size = size;
    return PM_OK;
}

static entry look(pm_store *s, size_t i) {
    pthread_mutex_lock(&s->lock);
    entry e = s->entries[i];
    pthread_mutex_unlock(&s->lock);
    return e;
}

pm_status pm_store_get(pm_store *s, size_t i, pm_chunk **buffer, const pm_chunk **chunk, pm_error *err) {
    entry e = look(s, i);
    *chunk = e.chunk;
    if (e.chunk) {
        return PM_OK;
    }
    PM_TRY(make_room(buffer, e.used, err));
    *chunk = *buffer;
    return read_entry(s, &e, *buffer, err);
}

pm_status pm_store_take(pm_store *s, size_t i, pm_chunk **spare, pm_chunk **chunk, pm_error *err) {
    entry e = look(s, i);
    *chunk = e.chunk;
    if (!e.chunk) {
        bool fits = *spare && (*spare)->size >= e.used + PM_RECORDS_PAD;
        *chunk = fits ? *spare : NULL;
        *spare = fits ? NULL : *spare;
        PM_TRY(make_room(chunk, e.used, err));
        pm_status status = read_entry(s, &e, *chunk, err);
        if (status != PM_OK) {
            pm_chunk_free(*chunk);
            *chunk = NULL;
            return status;
        }
    }
    pthread_mutex_lock(&s->lock);
    s->entries[i] = (entry){0};
    s->bytes -= (*chunk)->used - sizeof **chunk;
    if (e.chunk) {
        s->in_memory -= e.size;
    } else {
        give_back(s, e.slot, slots_of(e.used));
    }
    pthread_mutex_unlock(&s->lock);
    return PM_OK;
}

void pm_store_compact(pm_store *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->entries[i].used) {
            s->entries[n++] = s->entries[i];
        }
    }
    s->n = n;
}
