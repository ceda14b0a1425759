/* shelf.c - see shelf.h.
 *
 * Fresh pages cost: the system clears each before the first write, and a text of 50 MB gives as much of ids, so clearing takes a tenth of the time that a
 * pass over known text takes. A program that encodes batch after batch releases one result before or soon after it asks for the next; so
 * up to KEEP_BYTES of a released result stay on a shelf. They are marked as free (MADV_FREE): the system takes them when it is short of memory,
 * and otherwise they are there at the next write, without a fault and without being cleared.
 *
 * A result is first given address space for all that it might become, far more than is used; what the shelf holds is moved to its beginning, which
 * moves no bytes: entries of the page table, one for 2 MB if both addresses are aligned to that:
 *
 *     shelf  [######]                       new space  |................................|
 *                                           mremap     [######|.........................|
 *
 * There is one place on a shelf, behind a state that is changed by compare-and-exchange: who finds it busy does without, so nobody waits. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mremap */
#endif
#include "encode/shelf.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

static const size_t KEEP_BYTES = (size_t)64 << 20, HUGE_PAGE = (size_t)2 << 20;

typedef enum state { EMPTY, BUSY, FULL } state;

struct pm_shelf {
    atomic_size_t holders;
    _Atomic(state) state; /* of what follows */
    void *pages;
    size_t bytes;
};

/* ---------------------------------------------------------------- holders ---- */

pm_status pm_shelf_new(pm_shelf **out, pm_error *err) {
    pm_shelf *shelf = *out = pm_calloc(1, sizeof *shelf);
    if (!shelf) {
        return pm_fail_memory(err);
    }
    atomic_init(&shelf->holders, 1);
    atomic_init(&shelf->state, EMPTY);
    return PM_OK;
}

pm_shelf *pm_shelf_hold(pm_shelf *shelf) {
    atomic_fetch_add_explicit(&shelf->holders, 1, memory_order_relaxed);
    return shelf;
}

void pm_shelf_drop(pm_shelf *shelf) {
    if (shelf && atomic_fetch_sub_explicit(&shelf->holders, 1, memory_order_acq_rel) == 1) {
        pm_pages_free(shelf->pages, shelf->bytes);
        pm_free(shelf);
    }
}

/* ---------------------------------------------------------------- the place on the shelf ---- */

static bool change(pm_shelf *shelf, state from, state to) {
    return atomic_compare_exchange_strong_explicit(&shelf->state, &from, to, memory_order_acquire, memory_order_relaxed);
}

static void *take_down(pm_shelf *shelf, size_t *bytes) {
    void *pages = NULL;
    if (change(shelf, FULL, BUSY)) {
        pages = shelf->pages;
        *bytes = shelf->bytes;
        shelf->pages = NULL;
        atomic_store_explicit(&shelf->state, EMPTY, memory_order_release);
    }
    return pages;
}

static bool put_up(pm_shelf *shelf, void *pages, size_t bytes) {
    if (!change(shelf, EMPTY, BUSY)) {
        return false;
    }
    shelf->pages = pages;
    shelf->bytes = bytes;
    atomic_store_explicit(&shelf->state, FULL, memory_order_release);
    return true;
}

/* ---------------------------------------------------------------- pages ---- */

static size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

size_t pm_shelf_shrink(void *pages, size_t bytes, size_t used) {
    long page = sysconf(_SC_PAGESIZE);
    size_t unit = used >= HUGE_PAGE ? HUGE_PAGE : page > 0 ? (size_t)page : (size_t)1 << 16; /* part of a huge page is no less memory */
    used = round_up(used ? used : 1, unit);
    if (used < bytes) {
        pm_pages_free((uint8_t *)pages + used, bytes - used);
        return used;
    }
    return bytes;
}

#if defined(MREMAP_FIXED) && defined(MADV_FREE)

/* Moves what is on the shelf to the beginning of `pages`. False: there may be holes in them now. */
static bool move_to(pm_shelf *shelf, void *pages, size_t bytes) {
    size_t kept;
    void *old = take_down(shelf, &kept);
    if (!old) {
        return true;
    }
    kept = kept > bytes ? pm_shelf_shrink(old, kept, bytes) : kept;
    if (mremap(old, kept, kept, MREMAP_MAYMOVE | MREMAP_FIXED, pages) == MAP_FAILED) {
        pm_pages_free(old, kept);
        return false;
    }
    return true;
}

void *pm_shelf_take(pm_shelf *shelf, size_t *bytes) {
    if (*bytes < HUGE_PAGE) {
        return pm_pages_alloc(*bytes);
    }
    if (*bytes > PTRDIFF_MAX - HUGE_PAGE) {
        return NULL;
    }
    *bytes = round_up(*bytes, HUGE_PAGE);
    void *pages = pm_pages_alloc(*bytes);
    if (pages && !move_to(shelf, pages, *bytes)) {
        pm_pages_free(pages, *bytes);
        pages = pm_pages_alloc(*bytes);
    }
    return pages;
}

void pm_shelf_give(pm_shelf *shelf, void *pages, size_t bytes) {
    size_t keep = bytes < KEEP_BYTES ? bytes / HUGE_PAGE * HUGE_PAGE : KEEP_BYTES;
    if (keep < bytes) {
        pm_pages_free((uint8_t *)pages + keep, bytes - keep);
    }
    if (keep && (madvise(pages, keep, MADV_FREE) != 0 || !put_up(shelf, pages, keep))) {
        pm_pages_free(pages, keep);
    }
}

#else

void *pm_shelf_take(pm_shelf *shelf, size_t *bytes) {
    (void)shelf;
    return pm_pages_alloc(*bytes);
}

void pm_shelf_give(pm_shelf *shelf, void *pages, size_t bytes) {
    (void)shelf;
    pm_pages_free(pages, bytes);
}
#endif
