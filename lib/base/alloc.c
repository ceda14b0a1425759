/* alloc.c - see alloc.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mremap */
#endif
#include "base/alloc.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

bool (*pm_alloc_test_hook)(void);

enum { CHUNK_BYTES = 1 << 18, HUGE_PAGE = 1 << 21, LEAST_PAGES = 1 << 16 };

struct pm_arena_chunk {
    struct pm_arena_chunk *next;
    uint64_t align_;
};

static bool refused(void) { return pm_alloc_test_hook && !pm_alloc_test_hook(); }

static bool product(size_t n, size_t size, size_t *bytes) {
    if (__builtin_mul_overflow(n, size, bytes) || *bytes > PTRDIFF_MAX) {
        return false;
    }
    *bytes += *bytes == 0;
    return true;
}

void *pm_alloc(size_t n, size_t size) {
    size_t bytes;
    return product(n, size, &bytes) && !refused() ? malloc(bytes) : NULL;
}

void *pm_calloc(size_t n, size_t size) {
    size_t bytes;
    return product(n, size, &bytes) && !refused() ? calloc(1, bytes) : NULL;
}

void *pm_realloc(void *old, size_t n, size_t size) {
    size_t bytes;
    return product(n, size, &bytes) && !refused() ? realloc(old, bytes) : NULL;
}

void pm_free(void *p) { free(p); }

char *pm_strdup(const char *s) {
    size_t bytes = strlen(s) + 1;
    char *copy = pm_alloc(bytes, 1);
    return copy ? memcpy(copy, s, bytes) : NULL;
}

/* Fresh pages, of which the first has an address that is a multiple of HUGE_PAGE if there are enough for one: half a huge page would be 256 small ones. */
static uint8_t *map_pages(size_t bytes) {
    size_t extra = bytes >= HUGE_PAGE ? HUGE_PAGE : 0;
    uint8_t *p = mmap(NULL, bytes + extra + (bytes == 0), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED || !extra) {
        return p == MAP_FAILED ? NULL : p;
    }
    long page = sysconf(_SC_PAGESIZE);
    size_t unit = page > 0 && page <= HUGE_PAGE ? (size_t)page : HUGE_PAGE, before = (size_t)(-(uintptr_t)p & (HUGE_PAGE - 1));
    size_t used = (before + bytes + unit - 1) / unit * unit;
    if (before) {
        munmap(p, before);
    }
    if (used < bytes + extra) {
        munmap(p + used, bytes + extra - used);
    }
    return p + before;
}

void *pm_pages_alloc(size_t bytes) {
    if (refused() || bytes > PTRDIFF_MAX - HUGE_PAGE) {
        return NULL;
    }
    uint8_t *p = map_pages(bytes);
#ifdef MADV_HUGEPAGE
    if (p && bytes >= HUGE_PAGE) {
        (void)madvise(p, bytes, MADV_HUGEPAGE); /* a wish: without it the pages are small */
    }
#endif
    return p;
}

void pm_pages_free(void *p, size_t bytes) {
    if (p) {
        munmap(p, bytes + (bytes == 0));
    }
}

pm_status pm_pages_move(void **p, size_t bytes, pm_error *err) {
    void *moved = pm_pages_alloc(bytes);
    if (moved) {
        memcpy(moved, *p, bytes);
    }
    pm_free(*p);
    *p = moved;
    return moved ? PM_OK : pm_fail_memory(err);
}

pm_status pm_grow(void **items, size_t *cap, size_t need, size_t size, pm_error *err) {
    if (need <= *cap) {
        return PM_OK;
    }
    size_t wanted = *cap + *cap / 2;
    if (wanted < need) {
        wanted = need < 8 ? 8 : need;
    }
    void *grown = pm_realloc(*items, wanted, size);
    if (!grown) {
        return pm_fail_memory(err);
    }
    *items = grown;
    *cap = wanted;
    return PM_OK;
}

/* gcc's name and clang's question. The thread sanitizer does not see that mremap leaves the old addresses to others, and calls what they do there a race. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(MREMAP_MAYMOVE) && !defined(__SANITIZE_THREAD__) && !__has_feature(thread_sanitizer)
#define MOVES_PAGES
#endif

/* Pages moved to where there is room for more; the old ones are left alone on failure. */
static void *move_pages(void *old, size_t bytes, size_t more) {
#ifdef MOVES_PAGES
    void *p = old ? mremap(old, bytes, more, MREMAP_MAYMOVE) : map_pages(more);
    return p == MAP_FAILED ? NULL : p;
#else
    void *p = map_pages(more);
    if (p && old) {
        memcpy(p, old, bytes);
        munmap(old, bytes);
    }
    return p;
#endif
}

pm_status pm_grow_pages(void **items, size_t *cap, size_t need, size_t size, pm_error *err) {
    size_t wanted = need / 4 < *cap ? *cap * 4 : need, bytes;
    if (need <= *cap) {
        return PM_OK;
    }
    wanted = wanted < LEAST_PAGES / size ? LEAST_PAGES / size : wanted;
    void *grown = product(wanted, size, &bytes) && !refused() ? move_pages(*items, *cap * size, bytes) : NULL;
    if (!grown) {
        return pm_fail_memory(err);
    }
    *items = grown;
    *cap = wanted;
    return PM_OK;
}

pm_status pm_buf_reserve(pm_buf *buf, size_t more, pm_error *err) {
    if (more > SIZE_MAX - buf->len) {
        return pm_fail_memory(err);
    }
    return pm_grow((void **)&buf->data, &buf->cap, buf->len + more, 1, err);
}

pm_status pm_buf_append(pm_buf *buf, const void *data, size_t len, pm_error *err) {
    PM_TRY(pm_buf_reserve(buf, len, err));
    if (len) {
        memcpy(buf->data + buf->len, data, len);
    }
    buf->len += len;
    return PM_OK;
}

pm_status pm_buf_printf(pm_buf *buf, pm_error *err, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    pm_status status = n < 0 ? pm_fail_memory(err) : pm_buf_reserve(buf, (size_t)n + 1, err);
    if (status == PM_OK) {
        vsnprintf((char *)buf->data + buf->len, (size_t)n + 1, format, again);
        buf->len += (size_t)n;
    }
    va_end(again);
    return status;
}

void pm_buf_release(pm_buf *buf) {
    pm_free(buf->data);
    *buf = (pm_buf){0};
}

/* Takes `bytes` from the open chunk, or from a new one that is at least as large. */
static uint8_t *arena_take(pm_arena *arena, size_t bytes) {
    if (bytes > arena->left) {
        size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        if (room > SIZE_MAX - sizeof(struct pm_arena_chunk)) {
            return NULL;
        }
        struct pm_arena_chunk *chunk = pm_alloc(sizeof *chunk + room, 1);
        if (!chunk) {
            return NULL;
        }
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->total += sizeof *chunk + room;
        if (room - bytes < arena->left) {
            return (uint8_t *)(chunk + 1); /* a big one: the open chunk has more left, keep it open */
        }
        arena->next = (uint8_t *)(chunk + 1);
        arena->left = room;
    }
    uint8_t *p = arena->next;
    arena->next += bytes;
    arena->left -= bytes;
    return p;
}

void *pm_arena_alloc(pm_arena *arena, size_t bytes) {
    size_t skip = (size_t)(-(uintptr_t)arena->next & 7);
    if (skip > arena->left) {
        arena->left = 0;
    } else if (skip) { /* an empty arena has no pointer to add to */
        arena->next += skip;
        arena->left -= skip;
    }
    return arena_take(arena, bytes);
}

uint8_t *pm_arena_copy(pm_arena *arena, const void *data, size_t bytes) {
    uint8_t *p = arena_take(arena, bytes);
    if (p && bytes) {
        memcpy(p, data, bytes);
    }
    return p;
}

void pm_arena_release(pm_arena *arena) {
    while (arena->chunks) {
        struct pm_arena_chunk *next = arena->chunks->next;
        pm_free(arena->chunks);
        arena->chunks = next;
    }
    *arena = (pm_arena){0};
}
