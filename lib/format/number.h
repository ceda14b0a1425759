/* number.h - numbers of JSON, whatever the locale. */
#ifndef PM_FORMAT_NUMBER_H
#define PM_FORMAT_NUMBER_H

#include "base/alloc.h"

/* Reads a JSON number as serde_json does, the library that Hugging Face's tokenizers reads its files with: that rounds twice, and so is off by the last bit now and then. What
 * a file's scores are there, which decides between segmentations that are nearly as good as each other. False: it is longer than 63 characters. */
bool pm_number_read(pm_bytes text, double *number);

/* Appends the shortest text that reads as this finite number, with a point or an exponent: "-1.0", "1e-7"; where serde_json would read that as another number, a text of up to 20
 * digits that both read alike, if there is one (for about one logarithm in a thousand there is none; then it is off there by the last bit). */
pm_status pm_number_append(pm_buf *out, double number, pm_error *err);

#endif
