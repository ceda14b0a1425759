/* engine.h - what regex.c and property.c share: PCRE2 with memory from the library's seam. */
#ifndef PM_PRETOK_ENGINE_H
#define PM_PRETOK_ENGINE_H

#ifdef PM_HAVE_PCRE2
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/alloc.h"

static inline void *pm_engine_malloc(PCRE2_SIZE size, void *user) {
    (void)user;
    return pm_alloc(1, size);
}

static inline void pm_engine_free(void *p, void *user) {
    (void)user;
    pm_free(p);
}

static inline pcre2_general_context *pm_engine_context(void) {
    return pcre2_general_context_create(pm_engine_malloc, pm_engine_free, NULL);
}

/* Compile errors that are the machine's, not the pattern's. */
static inline bool pm_engine_out_of_memory(int code) { return code == PCRE2_ERROR_NOMEMORY || code == 121; }

#endif
#endif
