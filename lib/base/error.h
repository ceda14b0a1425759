/* error.h - how a function says what went wrong: fill the caller's pm_error, return its status. */
#ifndef PM_BASE_ERROR_H
#define PM_BASE_ERROR_H

#include <stdarg.h>

#include "include/piecemill.h"

/* Each fills *err (unless NULL) with a formatted sentence and returns `status`, so that a caller writes
 * `return pm_fail(err, PM_INVALID_ARGUMENT, "vocab_size %u is below 256", n);`. */
pm_status pm_fail(pm_error *err, pm_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
pm_status pm_fail_at(pm_error *err, pm_status status, uint64_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* As above and names a file; offset may be PM_NO_OFFSET. */
pm_status pm_fail_file(pm_error *err, pm_status status, const char *file, uint64_t offset, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
pm_status pm_fail_memory(pm_error *err);
/* "<what>: <reason of errno_value>"; the status goes by errno: PM_NOT_FOUND, PM_NO_MEMORY, else PM_IO. */
pm_status pm_fail_errno(pm_error *err, const char *file, int errno_value, const char *what);

/* Names the file of an error that does not name one yet. Returns status. */
pm_status pm_error_in_file(pm_error *err, pm_status status, const char *file);

/* Forwards a failure. The only macro that returns. */
#define PM_TRY(call)                            \
    do {                                        \
        pm_status pm_try_status = (call);       \
        if (pm_try_status != PM_OK) {           \
            return pm_try_status;               \
        }                                       \
    } while (0)

#endif
