/* added.h - finding added tokens in a text, as the tries of Hugging Face's tokenizers do.
 *
 * A tokenizer has two finders: one for the tokens as they are written, over the text as it came, and one for the tokens with
 * PM_ADDED_NORMALIZED, put through the normalizer, over the normalized stretches between. The caller makes both.
 *
 *     pm_added_place place = {0};
 *     for (;;) {
 *         size_t from = place.end;
 *         if (!pm_added_next(added, rules, text, &place, &match)) { text[from .. text.len) is the last stretch, it may be empty; break; }
 *         if (!(match.bits & PM_SPECIAL_MATCH)) { refuse or count it: it is part of a stretch; continue; }
 *         if (from < match.begin) { text[from .. match.begin) is a stretch }
 *         then the token, which is text[match.begin .. match.end)
 *     } */
#ifndef PM_ENCODE_ADDED_H
#define PM_ENCODE_ADDED_H

#include "encode/special.h"

typedef struct pm_added pm_added; /* immutable */

typedef struct pm_added_place {
    size_t at;                     /* the search goes on here */
    size_t end;                    /* of the last token that was taken: the next stretch begins here */
    size_t blanks_begin, blanks_end; /* white space that a token looked over already */
} pm_added_place;

typedef struct pm_added_match {
    uint32_t token;    /* its index */
    uint8_t bits;      /* what the rules say about it, not 0 */
    size_t begin, end; /* with the white space that it takes along. Both may lie before the end of the last one: a token in white
                        * space that the last one took, as in the original */
} pm_added_match;

/* A finder for n tokens: their texts, which are not empty and distinct, and their flags (PM_ADDED_...; model/model.h). Both are copied. Errors:
 * PM_BAD_FORMAT (an empty text, or two equal ones), PM_NO_MEMORY. */
pm_status pm_added_new(pm_added **out, const pm_special_token *tokens, const uint8_t *flags, size_t n, pm_error *err);
void pm_added_free(pm_added *added);
size_t pm_added_count(const pm_added *added);

/* The next token, from left to right, the longest that begins at a place. One whose bits are 0, or that is no single word where it must be,
 * is passed over with all its text: nothing else is found in it, as in the original. Only one with PM_SPECIAL_MATCH moves place->end. */
bool pm_added_next(const pm_added *added, pm_special_rules rules, pm_bytes text, pm_added_place *place, pm_added_match *match);

#endif
