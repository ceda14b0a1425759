/* balance.h - weights that bring the shares of languages nearer to each other. */
#ifndef PM_CORPUS_BALANCE_H
#define PM_CORPUS_BALANCE_H

#include "base/alloc.h"

/* A source of the corpus. */
typedef struct pm_balanced {
    const char *path;
    uint64_t bytes;  /* of text in it */
    uint32_t weight; /* in: its own; out: times what its language counts, in parts of PM_TEMPERATURE_UNIT */
    bool folder;     /* it belongs to the language of its folder; else it is one by itself */
} pm_balanced;

/* temperature >= 1. Errors: PM_INVALID_ARGUMENT (with the file: its weight would be above PM_WEIGHT_MAX), PM_NO_MEMORY. */
pm_status pm_balance(pm_balanced *sources, size_t n, double temperature, pm_error *err);

#endif
