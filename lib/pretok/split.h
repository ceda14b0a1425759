/* split.h - cutting a document into pre-tokens. The seam between patterns and everything that works on pre-tokens.
 *
 * A pm_splitter is a compiled pattern: immutable, shared by threads. A pm_split_scratch is one thread's memory for it.
 * The pre-tokens of a document cover it without gap: what no match covers is a pre-token of its own. A pre-token is
 * never empty. */
#ifndef PM_PRETOK_SPLIT_H
#define PM_PRETOK_SPLIT_H

#include "base/alloc.h"

typedef struct pm_splitter pm_splitter;
typedef struct pm_split_scratch pm_split_scratch;

/* One name (see names.h), or n regexes applied in turn to the pieces of the former. n == 0, or one empty string: no
 * splitting, a document is one pre-token. A list that equals the regexes of a name gets the name's scanner. Errors:
 * PM_BAD_PATTERN (offset in the regex, the sentence says which of several), PM_UNSUPPORTED (no PCRE2), PM_NO_MEMORY. */
pm_status pm_splitter_new(pm_splitter **out, const char *const *patterns, size_t n, pm_error *err);
/* As above but never a scanner: PCRE2 for named patterns too. The twin in tests. */
pm_status pm_splitter_new_regex(pm_splitter **out, const char *const *patterns, size_t n, pm_error *err);
void pm_splitter_free(pm_splitter *splitter);

const char *pm_splitter_name(const pm_splitter *splitter);            /* "" for other patterns and none */
size_t pm_splitter_n_regexes(const pm_splitter *splitter);            /* 0: no splitting */
const char *pm_splitter_regex(const pm_splitter *splitter, size_t i); /* as the user wrote it, or the name's */
/* The Unicode version of PCRE2's tables ("14.0.0") when the pattern asks for a property that only those know
 * (dialect.h): the same pattern may cut otherwise with another version. "" for named patterns and all others. Models
 * and count files record it. */
const char *pm_splitter_engine_unicode(const pm_splitter *splitter);

pm_status pm_split_scratch_new(pm_split_scratch **out, const pm_splitter *splitter, pm_error *err);
void pm_split_scratch_free(pm_split_scratch *scratch);

/* Begins a document; the text is borrowed until its last pre-token was given. */
void pm_split_begin(pm_split_scratch *scratch, const uint8_t *text, size_t len);
/* Begins n documents that lie one behind the other: the first is text[0 .. ends[0]). Each is split as if it were alone, and the ends of all
 * pre-tokens are given as those of one text (so documents' ends are among them). Much faster than one by one when they are short. */
void pm_split_begin_documents(pm_split_scratch *scratch, const uint8_t *text, const size_t *ends, size_t n);
/* Gives the ends (byte offsets in the document) of the next pre-tokens, at most cap; the first begins where the last
 * ended. *n is 0 at the end of the document. Errors: PM_LIMIT with the position in the document,
 * PM_NO_MEMORY. */
pm_status pm_split_next(pm_split_scratch *scratch, size_t *ends, size_t cap, size_t *n, pm_error *err);

#endif
