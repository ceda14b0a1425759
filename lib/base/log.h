/* log.h - the one natural logarithm that decides a model. */
#ifndef PM_BASE_LOG_H
#define PM_BASE_LOG_H

#include <stdint.h>

/* ln(n), correctly rounded to nearest even, the same on every machine; n >= 1. */
double pm_log_u64(uint64_t n);

#endif
