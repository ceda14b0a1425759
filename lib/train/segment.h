/* segment.h - the segmentation of chunks under a model of byte n-grams: how BytePiece finds its pieces. */
#ifndef PM_TRAIN_SEGMENT_H
#define PM_TRAIN_SEGMENT_H

#include "count/ngram_model.h"
#include "count/word_table.h"

typedef struct pm_segmenter { /* one thread's; {0} is an empty one */
    uint8_t *routes;
    size_t cap_routes;
    pm_span *spans; /* the pieces found last */
    size_t n, cap;
} pm_segmenter;

/* Cuts each chunk (chunk i is text[ends[i - 1] .. ends[i])) into the pieces of its best path and puts them into
 * g->spans, chunk by chunk, in each from the last to the first. 8 bytes behind the text must be readable.
 * ensure_unicode: no piece begins with a byte 80 .. BF, except where no path is possible. */
pm_status pm_segment(pm_segmenter *g, const pm_ngram_model *model, bool ensure_unicode, const uint8_t *text,
                     const uint32_t *ends, size_t n, pm_error *err);
void pm_segmenter_release(pm_segmenter *g);

#endif
