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

/* Segments runs of the spool, those with n numbers (NULL: all), which are taken out of it, and hands its pieces (as
 * pm_segment gives them) over, on the thread that found them. With a model in parts the spool is read once more for
 * each part, and what was looked up goes to a temporary file; the model has no tables afterwards. Phases of the ticker:
 * "look up n-grams" for each part, "count pieces". */
typedef pm_status (*pm_segment_fn)(void *ctx, unsigned thread, const pm_chunks *run, const pm_span *spans, size_t n,
                                   pm_error *err);
pm_status pm_segment_spool(pm_ngram_model *model, pm_spool *spool, const size_t *numbers, size_t n, bool ensure_unicode,
                           const pm_count_work *work, pm_segment_fn fn, void *ctx, pm_error *err);

#endif
