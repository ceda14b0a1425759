/* special.h - finding special tokens in text. */
#ifndef PM_ENCODE_SPECIAL_H
#define PM_ENCODE_SPECIAL_H

#include "base/alloc.h"

typedef struct pm_specials pm_specials; /* immutable; borrows the tokens */

/* What is to be done about a token, as bits; 0: nobody asks for it. */
enum {
    PM_SPECIAL_MATCH = 1,  /* it is allowed: it becomes its id */
    PM_SPECIAL_REFUSE = 2, /* it is an error */
    PM_SPECIAL_NOTICE = 4  /* it is ordinary text, but the caller wants to know */
};

typedef struct pm_special_rules {
    const uint8_t *each; /* the bits of token i; NULL: `all` for each */
    uint8_t all;
} pm_special_rules;

/* What begins at `at`: for each bit the longest token that has it, by its index, or PM_ID_NONE. */
typedef struct pm_special_hit {
    size_t at;
    uint32_t match, refuse, notice;
} pm_special_hit;

/* A finder for n distinct tokens that are not empty. */
pm_status pm_specials_new(pm_specials **out, const pm_special_token *tokens, size_t n, pm_error *err);
void pm_specials_free(pm_specials *specials);

/* The first place at or behind `from` where a token begins that has a bit; false: there is none. O(1) a byte, times the
 * longest token where its beginning is repeated over and over. */
bool pm_specials_next(const pm_specials *specials, pm_special_rules rules, const uint8_t *text, size_t len, size_t from,
                      pm_special_hit *hit);

#endif
