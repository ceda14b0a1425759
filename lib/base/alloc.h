/* alloc.h - the seam that every allocation of the library goes through, and the two growable things built on it. */
#ifndef PM_BASE_ALLOC_H
#define PM_BASE_ALLOC_H

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* For tests only: when set, asked before each allocation; false makes it fail. */
extern bool (*pm_alloc_test_hook)(void);

/* NULL when memory is out or n * size does not fit a size_t. A size of 0 gives a pointer that can be freed. */
void *pm_alloc(size_t n, size_t size);
void *pm_calloc(size_t n, size_t size);
void *pm_realloc(void *old, size_t n, size_t size); /* on failure `old` stays */
void pm_free(void *p);
char *pm_strdup(const char *s);

/* Zeroed pages straight from the system for big tables, huge pages asked for before first touch; 2 MB and more begin at a multiple of 2 MB.
 * Freed with the same size, or in parts. */
void *pm_pages_alloc(size_t bytes);
void pm_pages_free(void *p, size_t bytes);

/* Moves what pm_alloc gave, or a part of it, to such pages, which are *p then whatever the result: on PM_NO_MEMORY none, NULL. */
pm_status pm_pages_move(void **p, size_t bytes, pm_error *err);

/* Makes room for `need` elements in an array of *cap, growing by half at least. PM_NO_MEMORY leaves the array as it was.
 *     PM_TRY(pm_grow((void **)&a->items, &a->cap, a->n + 1, sizeof *a->items, err)); */
pm_status pm_grow(void **items, size_t *cap, size_t need, size_t size, pm_error *err);

/* The same for a large array in pages of its own. It moves without being copied, what is new is zeroed, and room that is not yet used takes no memory: so it
 * grows by four at least. Freed by pm_pages_free(items, *cap * size). */
pm_status pm_grow_pages(void **items, size_t *cap, size_t need, size_t size, pm_error *err);

/* Growable bytes. {0} is an empty one. */
typedef struct pm_buf {
    uint8_t *data;
    size_t len, cap;
} pm_buf;

pm_status pm_buf_reserve(pm_buf *buf, size_t more, pm_error *err); /* room for `more` bytes behind len */
pm_status pm_buf_append(pm_buf *buf, const void *data, size_t len, pm_error *err);
pm_status pm_buf_printf(pm_buf *buf, pm_error *err, const char *format, ...) __attribute__((format(printf, 3, 4)));
void pm_buf_release(pm_buf *buf);

/* Small allocations that live and die together. {0} is an empty one; bytes are aligned to 8 and not zeroed. */
typedef struct pm_arena {
    struct pm_arena_chunk *chunks;
    uint8_t *next;
    size_t left;
    size_t total; /* bytes taken from the system */
} pm_arena;

void *pm_arena_alloc(pm_arena *arena, size_t bytes);                     /* NULL: out of memory */
uint8_t *pm_arena_copy(pm_arena *arena, const void *data, size_t bytes); /* unaligned; NULL: out of memory */
void pm_arena_release(pm_arena *arena);

#endif
