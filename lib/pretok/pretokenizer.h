/* pretokenizer.h - cutting a text into pre-tokens by a list of steps, as tokenizer.json describes them (model/steps.h).
 *
 * What split.h does for one pattern whose pre-tokens cover the text, this does for any list: steps may leave stretches out (white space) and
 * change the text (a blank becomes U+2581, a byte becomes the character that stands for it). A pm_pretokenizer is immutable and shared by
 * threads; a scratch is one thread's. */
#ifndef PM_PRETOK_PRETOKENIZER_H
#define PM_PRETOK_PRETOKENIZER_H

#include "model/steps.h"
#include "text/origin.h"

typedef struct pm_pretokenizer pm_pretokenizer;
typedef struct pm_pretokenizer_scratch pm_pretokenizer_scratch;

/* A stretch of text, normalized already, between two added tokens. */
typedef struct pm_stretch {
    pm_bytes text;
    const pm_origin *origins; /* of each byte; NULL: the text is the document's own, from its byte `at` on */
    size_t at;                /* without origins */
    bool with_origins;        /* the caller wants those of the pre-tokens */
} pm_stretch;

typedef struct pm_span {
    size_t begin, end;
} pm_span;

/* The pre-tokens, none of them empty, in order: bytes spans[i].begin .. spans[i].end of text. All of it is the scratch's, or the stretch's,
 * until the next call. */
typedef struct pm_pretokens {
    pm_bytes text;
    const pm_origin *origins; /* of each byte of text; NULL: not asked for, or the text is the document's own still, from its byte `at` on */
    const pm_span *spans;
    size_t n;
} pm_pretokens;

/* No steps: a stretch is one pre-token. The steps' texts are borrowed until this returns. Errors: PM_UNSUPPORTED (a step that is none of a
 * pre-tokenizer, or a regex without PCRE2), PM_BAD_PATTERN (a regex, with the offset in it), PM_BAD_FORMAT (a field that makes no sense),
 * PM_NO_MEMORY. */
pm_status pm_pretokenizer_new(pm_pretokenizer **out, const pm_steps *steps, pm_error *err);
void pm_pretokenizer_free(pm_pretokenizer *pretokenizer);

/* What is done depends on where text comes from (Metaspace with PM_PREPEND_FIRST): give origins wherever a normalizer ran. */
bool pm_pretokenizer_needs_origins(const pm_pretokenizer *pretokenizer);
/* The version of PCRE2's tables, where a regex depends on them: see pm_splitter_engine_unicode. */
const char *pm_pretokenizer_engine_unicode(const pm_pretokenizer *pretokenizer);

pm_status pm_pretokenizer_scratch_new(pm_pretokenizer_scratch **out, const pm_pretokenizer *pretokenizer, pm_error *err);
void pm_pretokenizer_scratch_free(pm_pretokenizer_scratch *scratch);

/* Takes the stretch apart. Errors: PM_LIMIT (a regex needs too many steps; the offset is that of the document where it is known),
 * PM_NO_MEMORY. */
pm_status pm_pretokenize(const pm_pretokenizer *pretokenizer, pm_pretokenizer_scratch *scratch, const pm_stretch *stretch, pm_pretokens *out,
                         pm_error *err);

#endif
