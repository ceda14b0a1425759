/* oniguruma.h - regexes of tokenizer.json, which Oniguruma reads, and ours: the few constructs that mean something else
 * there. */
#ifndef PM_PRETOK_ONIGURUMA_H
#define PM_PRETOK_ONIGURUMA_H

#include "base/alloc.h"

/* Appends to *out, without a NUL, a regex that cuts here as `regex` cuts in Oniguruma. Most come out as they are.
 * PM_NO_MEMORY is the only error: what neither reads is passed on, for pm_splitter_new to refuse. */
pm_status pm_regex_from_oniguruma(pm_buf *out, pm_bytes regex, pm_error *err);

/* The other way: a regex that cuts in Oniguruma as `regex`, which pm_splitter_new accepted, cuts here. */
pm_status pm_regex_to_oniguruma(pm_buf *out, pm_bytes regex, pm_error *err);

#endif
