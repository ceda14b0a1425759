/* replace.h - the step Replace: each match of a text or regex gives way to another text. A normalizer and a decoder. */
#ifndef PM_ENCODE_REPLACE_H
#define PM_ENCODE_REPLACE_H

#include "model/steps.h"

typedef struct pm_replacer pm_replacer;                 /* immutable */
typedef struct pm_replacer_scratch pm_replacer_scratch; /* one thread's, for any replacers */

/* From a PM_STEP_REPLACE, whose texts are copied. An empty text is found nowhere but matches between all characters as Oniguruma's empty regex does.
 * Errors: PM_BAD_PATTERN (offset in the regex), PM_UNSUPPORTED (no PCRE2), PM_NO_MEMORY. */
pm_status pm_replacer_new(pm_replacer **out, const pm_step *step, pm_error *err);
void pm_replacer_free(pm_replacer *replacer);
bool pm_replacer_uses_engine_tables(const pm_replacer *replacer); /* see pretok/regex.h */

pm_status pm_replacer_scratch_new(pm_replacer_scratch **out, pm_error *err);
void pm_replacer_scratch_free(pm_replacer_scratch *scratch);

/* The next match at or behind *at: text[*begin .. *end) goes, pm_replacer_by comes. Begin with *at = 0 and the budget pm_replacer_budget(text.len); false in
 * *found: no more. Errors: PM_LIMIT with the offset, PM_NO_MEMORY. */
pm_status pm_replacer_next(const pm_replacer *replacer, pm_replacer_scratch *scratch, pm_bytes text, size_t *at, uint64_t *budget, bool *found, size_t *begin,
                           size_t *end, pm_error *err);
uint64_t pm_replacer_budget(const pm_replacer *replacer, size_t len);
pm_bytes pm_replacer_by(const pm_replacer *replacer);

/* Appends a text with all matches replaced. Errors: as above. */
pm_status pm_replace(const pm_replacer *replacer, pm_replacer_scratch *scratch, pm_bytes text, pm_buf *out, pm_error *err);

#endif
