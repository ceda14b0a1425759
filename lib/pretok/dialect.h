/* dialect.h - a regex in PCRE2's words, meaning what it means to the engine that it was written for.
 *
 * A user's regex is for both Oniguruma (Hugging Face tokenizers) and Rust (tiktoken): where the two agree, that is the meaning; where they differ, the
 * construct is refused with its position, but for three that are written down in dialect.c (^ and $, \w). What is refused always has another way to be
 * written, and the sentence says which. A regex from a file means what the engine of that file makes of it, and little of it is refused. */
#ifndef PM_PRETOK_DIALECT_H
#define PM_PRETOK_DIALECT_H

#include "base/alloc.h"

/* The translated text from byte `out` on comes from the user's byte `in`. */
typedef struct pm_dialect_mark {
    size_t out, in;
} pm_dialect_mark;

typedef struct pm_dialect {
    pm_buf text; /* for pcre2_compile with PCRE2_UTF and not PCRE2_UCP */
    pm_dialect_mark *marks;
    size_t n_marks, cap_marks;
    bool engine_tables; /* PCRE2's own Unicode tables decide something: the result depends on their version */
    bool references;    /* has backreferences */
    size_t lookbehind;  /* where the first lookbehind begins */
    uint32_t most;      /* the largest number in a counted repeat, at least 1 */
} pm_dialect;

typedef enum pm_flavor {
    PM_FLAVOR_COMMON,    /* a user's: what Oniguruma and Rust agree about */
    PM_FLAVOR_RUST,      /* fancy-regex: named patterns, tiktoken */
    PM_FLAVOR_ONIGURUMA  /* tokenizer.json */
} pm_flavor;

/* Fills an empty *d. Errors: PM_BAD_PATTERN with the offset in `regex`, PM_NO_MEMORY; *d
 * is released by the caller in any case. */
pm_status pm_dialect_translate(pm_dialect *d, const char *regex, pm_flavor flavor, pm_error *err);
void pm_dialect_release(pm_dialect *d);

/* Where the translated text's byte `out` comes from. */
size_t pm_dialect_position(const pm_dialect *d, size_t out);

#endif
