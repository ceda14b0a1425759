/* bytes.h - comparing runs of bytes. An empty one may have no data. */
#ifndef PM_BASE_BYTES_H
#define PM_BASE_BYTES_H

#include <string.h>

#include "include/piecemill.h"

static inline bool pm_bytes_equal(pm_bytes a, pm_bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Below, at or above 0, as memcmp; a prefix goes before what it is a prefix of. */
static inline int pm_bytes_compare(pm_bytes a, pm_bytes b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.data, b.data, n) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

#endif
