/* replace.h - the step Replace: each match of a text or regex gives way to another text. A normalizer and a decoder. */
#ifndef PM_ENCODE_REPLACE_H
#define PM_ENCODE_REPLACE_H

#include "model/steps.h"

typedef struct pm_replacer pm_replacer;                 /* immutable */
typedef struct pm_replacer_scratch pm_replacer_scratch; /* one thread's, for any replacers */

/* From a PM_STEP_REPLACE, whose texts are copied. A regex is Oniguruma's (pretok/oniguruma.h). An empty text stands
 * between all characters, as it does in tokenizers. Errors: PM_BAD_PATTERN (offset in the regex), PM_UNSUPPORTED (no
 * PCRE2), PM_NO_MEMORY. */
pm_status pm_replacer_new(pm_replacer **out, const pm_step *step, pm_error *err);
void pm_replacer_free(pm_replacer *replacer);
bool pm_replacer_uses_engine_tables(const pm_replacer *replacer); /* see pretok/regex.h */
pm_bytes pm_replacer_by(const pm_replacer *replacer);

pm_status pm_replacer_scratch_new(pm_replacer_scratch **out, pm_error *err);
void pm_replacer_scratch_free(pm_replacer_scratch *scratch);

typedef struct pm_replacer_match {
    size_t begin, end; /* of the text; begin == SIZE_MAX: there is no more */
} pm_replacer_match;

/* Begins a text, which is borrowed until its last match; then match by match, from left to right. An empty match does
 * not stand right behind another one. A byte outside well-formed UTF-8 is U+FFFD to a regex. Errors: PM_LIMIT (the
 * regex needs too many steps; offset in the text), PM_NO_MEMORY. */
pm_status pm_replacer_begin(const pm_replacer *replacer, pm_replacer_scratch *scratch, pm_bytes text, pm_error *err);
pm_status pm_replacer_next(pm_replacer_scratch *scratch, pm_replacer_match *match, pm_error *err);

/* Appends a text with all matches replaced. Errors: as above. */
pm_status pm_replace(const pm_replacer *replacer, pm_replacer_scratch *scratch, pm_bytes text, pm_buf *out,
                     pm_error *err);

#endif
