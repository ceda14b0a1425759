/* names.h - the named patterns: their regexes as published, and the scanner that does the same without a regex engine. */
#ifndef PM_PRETOK_NAMES_H
#define PM_PRETOK_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "pretok/starts.h"

typedef struct pm_named_pattern {
    const char *name;
    const char *const *regexes; /* one or more, ended by NULL */
    pm_scan_fn scan;
    pm_find_fn find; /* the same pre-tokens, many at a time; NULL: the scanner alone knows them */
} pm_named_pattern;

extern const pm_named_pattern pm_named_patterns[];
extern const size_t pm_n_named_patterns;

const pm_named_pattern *pm_named_pattern_find(const char *name); /* NULL: unknown */

#endif
