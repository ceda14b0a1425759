/* normalizer.h - what a tokenizer does to a text before it is taken apart, as a list of steps (model/steps.h).
 *
 * A pm_normalizer is immutable and shared by threads; a scratch is one thread's. Whatever the steps and the text, time
 * is linear (up to a log factor), and text that no step changes is given back as it is, after a look at it.
 *
 * Steps of tokenizer.json answer as Hugging Face's tokenizers does, with its tables of Unicode (text/forms.h), and
 * PM_STEP_SENTENCEPIECE as sentencepiece. A byte outside well-formed UTF-8, which those libraries are never given,
 * stays as it is; where a step would do something to U+FFFD it does that to the byte. (To sentencepiece such a byte is
 * U+FFFD, and comes out as that.) */
#ifndef PM_ENCODE_NORMALIZER_H
#define PM_ENCODE_NORMALIZER_H

#include "model/steps.h"
#include "text/origin.h"

typedef struct pm_normalizer pm_normalizer;
typedef struct pm_normalizer_scratch pm_normalizer_scratch;

/* What came out. {0} at first; its room is kept from text to text. */
typedef struct pm_normalized {
    pm_bytes text; /* the text that was given, where nothing changed; else it lies in `room`, until the next call */
    const pm_origin *origins; /* of each byte of text; NULL: not asked for, or `text` is the text that was given */
    pm_buf room;
    pm_origin *origin_room;
    size_t origin_cap;
} pm_normalized;

void pm_normalized_release(pm_normalized *normalized);

/* No steps: nothing changes. `kept` are n texts that PM_STEP_SENTENCEPIECE leaves as they are wherever they stand
 * (user-defined symbols; the longest goes first); they are copied. Charsmaps are borrowed as long as the normalizer
 * lives, other texts of steps until this returns. Errors: PM_UNSUPPORTED (a step that is none of a normalizer, a regex
 * without PCRE2), PM_BAD_PATTERN (a regex, with the offset in it), PM_BAD_FORMAT (a charsmap that is broken, or leads a
 * text outside of it), PM_NO_MEMORY. */
pm_status pm_normalizer_new(pm_normalizer **out, const pm_steps *steps, const pm_bytes *kept, size_t n, pm_error *err);
void pm_normalizer_free(pm_normalizer *normalizer);

/* Nothing ever changes: there is no step. */
bool pm_normalizer_is_empty(const pm_normalizer *normalizer);
/* The version of PCRE2's tables, where a regex depends on them: see pm_splitter_engine_unicode. */
const char *pm_normalizer_engine_unicode(const pm_normalizer *normalizer);

pm_status pm_normalizer_scratch_new(pm_normalizer_scratch **out, const pm_normalizer *normalizer, pm_error *err);
void pm_normalizer_scratch_free(pm_normalizer_scratch *scratch);

/* Normalizes a stretch of a document that begins at its byte `at`: origins are bytes of the document. A stretch is a
 * text of its own (Prepend puts its text before each). What tokenizers calls alignments, they are: a text [i, j) of the
 * result is from origins[i].begin to origins[j - 1].end; with PM_STEP_SENTENCEPIECE it is that of sentencepiece
 * (norm_to_orig[i] to norm_to_orig[j]). `scratch` is one for this normalizer. Errors: PM_LIMIT (a regex needs too many
 * steps; a text that grows past all bounds), PM_NO_MEMORY. */
pm_status pm_normalize(const pm_normalizer *normalizer, pm_normalizer_scratch *scratch, pm_bytes text, size_t at,
                       bool with_origins, pm_normalized *out, pm_error *err);

#endif
