/* cuts.h - the steps that cut a text and leave it as it is. Each cuts one span of a text and adds the pieces, in order. */
#ifndef PM_PRETOK_CUTS_H
#define PM_PRETOK_CUTS_H

#include "pretok/fold.h"
#include "pretok/regex.h"
#include "pretok/wellformed.h"

/* Parts: each character with one of these PM_CHAR_ bits (kinds.h), and the stretches between. */
pm_status pm_cut_kinds(pm_fold *fold, unsigned kinds, const uint8_t *text, pm_span in, pm_error *err);
/* Parts: where `what`, not empty, stands, from left to right, and the stretches between. */
pm_status pm_cut_at(pm_fold *fold, pm_bytes what, const uint8_t *text, pm_span in, pm_error *err);

/* What a regex needs while it cuts. */
typedef struct pm_cut_regex_scratch {
    pm_regex_scratch *regex;
    pm_wellformed wellformed;
    uint64_t budget; /* of the document */
} pm_cut_regex_scratch;

/* Parts: the matches of a regex, from left to right, and the stretches between. The offset of PM_LIMIT is in the text. */
pm_status pm_cut_regex(pm_fold *fold, const pm_regex *regex, pm_cut_regex_scratch *scratch, const uint8_t *text, pm_span in, pm_error *err);

/* Pieces: runs of word characters, and of what is neither that nor white space. */
pm_status pm_cut_words(pm_spans *out, const uint8_t *text, pm_span in, pm_error *err);
/* Pieces: runs of what is neither white space nor punctuation, and each character of punctuation. */
pm_status pm_cut_bert(pm_spans *out, const uint8_t *text, pm_span in, pm_error *err);
/* Pieces: runs of one script. */
pm_status pm_cut_scripts(pm_spans *out, const uint8_t *text, pm_span in, pm_error *err);
/* Pieces of so many characters, at least 1. */
pm_status pm_cut_lengths(pm_spans *out, uint64_t length, const uint8_t *text, pm_span in, pm_error *err);

#endif
