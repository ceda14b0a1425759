/* number.h - numbers of JSON, whatever the locale. */
#ifndef PM_FORMAT_NUMBER_H
#define PM_FORMAT_NUMBER_H

#include "base/alloc.h"

/* Reads a JSON number, correctly rounded. False: it is longer than 63 characters. */
bool pm_number_read(pm_bytes text, double *number);

/* Appends the shortest text that reads as this finite number, with a point or an exponent: "-1.0", "1e-7". */
pm_status pm_number_append(pm_buf *out, double number, pm_error *err);

#endif
