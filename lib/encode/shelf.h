/* shelf.h - memory of released results that the next one takes. */
#ifndef PM_ENCODE_SHELF_H
#define PM_ENCODE_SHELF_H

#include "base/alloc.h"

/* Belongs to everybody who holds it: the engine, and each result whose memory came from it. Any thread may use it. */
typedef struct pm_shelf pm_shelf;

pm_status pm_shelf_new(pm_shelf **out, pm_error *err); /* the maker holds it */
pm_shelf *pm_shelf_hold(pm_shelf *shelf);
void pm_shelf_drop(pm_shelf *shelf); /* by each holder; NULL is fine */

/* Pages for a result, which may hold anything; *bytes is rounded up. NULL: the system gives no more. */
void *pm_shelf_take(pm_shelf *shelf, size_t *bytes);
/* Gives the pages behind the first `used` bytes back to the system; returns the bytes that are left. */
size_t pm_shelf_shrink(void *pages, size_t bytes, size_t used);
/* Ends the use of pages: some stay on the shelf. */
void pm_shelf_give(pm_shelf *shelf, void *pages, size_t bytes);

#endif
