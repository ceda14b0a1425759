/* regex.h - one compiled regex, matched at a position with a bound on the work. */
#ifndef PM_PRETOK_REGEX_H
#define PM_PRETOK_REGEX_H

#include "pretok/dialect.h"

typedef struct pm_regex pm_regex;                 /* immutable, shared by threads */
typedef struct pm_regex_scratch pm_regex_scratch; /* one thread's, for any regexes */

/* Translates (dialect.h) and compiles. Errors: PM_BAD_PATTERN with the offset in `regex`, PM_UNSUPPORTED (no PCRE2),
 * PM_NO_MEMORY. */
pm_status pm_regex_new(pm_regex **out, const char *regex, pm_flavor flavor, pm_error *err);
void pm_regex_free(pm_regex *regex);

/* The result depends on the version of PCRE2's Unicode tables. */
bool pm_regex_uses_engine_tables(const pm_regex *regex);

pm_status pm_regex_scratch_new(pm_regex_scratch **out, pm_error *err);
void pm_regex_scratch_free(pm_regex_scratch *scratch);

/* Steps that a document of `len` bytes may cost under patterns of pattern_len bytes in all: taken once, and spent by
 * its matches. */
uint64_t pm_regex_budget(size_t len, size_t pattern_len);

/* Matches at text[pos], pos < len; the text is well-formed UTF-8 and pos the begin of a character. *end is the match's
 * end (pos: an empty match) or SIZE_MAX when there is none. Takes the steps from *budget. Errors: PM_LIMIT (budget or
 * the engine's memory, with offset pos), PM_NO_MEMORY. */
pm_status pm_regex_match(const pm_regex *regex, pm_regex_scratch *scratch, const uint8_t *text, size_t len, size_t pos,
                         size_t *end, uint64_t *budget, pm_error *err);

#endif
