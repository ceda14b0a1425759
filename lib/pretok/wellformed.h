/* wellformed.h - a text that a regex engine can read, and the way back to the text as it is.
 *
 * PCRE2 needs well-formed UTF-8. A text that is not is copied with U+FFFD in place of each bad byte, at most 3 times its size; positions go back
 * by walking both texts side by side, once. */
#ifndef PM_PRETOK_WELLFORMED_H
#define PM_PRETOK_WELLFORMED_H

#include "base/alloc.h"

/* {0} is an empty one, used for one text after another. */
typedef struct pm_wellformed {
    const uint8_t *text; /* what is read: the document itself, or the copy */
    size_t len;
    pm_buf copy;
    const uint8_t *document; /* NULL: text is the document itself */
    size_t document_len;
    size_t text_at, document_at; /* the same place in both */
} pm_wellformed;

/* Begins a document, which is borrowed. Errors: PM_NO_MEMORY. */
pm_status pm_wellformed_begin(pm_wellformed *w, const uint8_t *document, size_t len, pm_error *err);
/* Where the text's position is in the document. Positions come in rising order. */
size_t pm_wellformed_position(pm_wellformed *w, size_t pos);
void pm_wellformed_release(pm_wellformed *w);

#endif
