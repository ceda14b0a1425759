/* transcode.h - texts in other forms than UTF-8 become UTF-8. */
#ifndef PM_TEXT_TRANSCODE_H
#define PM_TEXT_TRANSCODE_H

#include "base/cpu.h"

enum { PM_TRANSCODE_SLACK = 64 }; /* room behind the bound with which every block of a text takes the fast way */

/* PM_INVALID_ARGUMENT for a form that is none. The functions below want it checked. */
pm_status pm_transcode_check(pm_text text, pm_error *err);

/* The most bytes of UTF-8 that a text can give; SIZE_MAX: more than a size_t holds. */
size_t pm_transcode_bound(pm_text text);

typedef struct pm_transcoded {
    size_t read;    /* units */
    size_t written; /* bytes */
    bool bad;       /* the unit at `read` is no text: a lone surrogate, a number above U+10FFFF */
} pm_transcoded;

/* Converts from the beginning until all is read, the next character does not fit into what is left of `cap`, or a unit is bad. Never
 * writes part of a character; may write anything into the rest of `cap`. The form is not PM_TEXT_UTF8; `cpu` is one that pm_cpu_has. */
pm_transcoded pm_transcode(pm_cpu cpu, pm_text text, uint8_t *out, size_t cap);

/* PM_BAD_INPUT for the unit at `at` of a text. */
pm_status pm_transcode_fail(pm_text text, size_t at, pm_error *err);

#endif
