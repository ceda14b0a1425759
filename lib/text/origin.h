/* origin.h - where a byte of a changed text comes from in the original one.
 *
 * Steps of a pipeline change the text (a normalizer, a blank put before it); ids' offsets speak of the text that came in. A text with origins
 * has one for each of its bytes; all bytes of a character have the same. */
#ifndef PM_TEXT_ORIGIN_H
#define PM_TEXT_ORIGIN_H

#include <stddef.h>

/* Bytes of the original text, counted from the begin of the document. begin == end: it was put in. */
typedef struct pm_origin {
    size_t begin, end;
} pm_origin;

#endif
