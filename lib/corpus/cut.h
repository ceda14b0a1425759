/* cut.h - where the documents of plain text end. */
#ifndef PM_CORPUS_CUT_H
#define PM_CORPUS_CUT_H

#include "corpus/corpus.h"

/* How far a text has been looked at: everything before text.data[at], which has `run` newlines directly before it. */
typedef struct pm_cut {
    size_t at;
    size_t run;
} pm_cut;

/* Adds an end of a document; documents lie one behind the other, so that this is all. */
pm_status pm_block_end(pm_block *block, size_t end, pm_error *err);

/* Looks at the block's text from cut->at to its end and adds the ends of documents it can be sure of. */
pm_status pm_cut_text(pm_block *block, pm_cut *cut, pm_split split, pm_error *err);

#endif
