/* unigram.h - BytePiece as steps that other libraries have. */
#ifndef PM_FORMAT_UNIGRAM_H
#define PM_FORMAT_UNIGRAM_H

#include "model/model.h"

/* Makes of a BytePiece tokenizer the general model that gives the same ids: NFC, lines (or pre-tokens of its pattern), byte-level characters, Unigram. *out is empty
 * before, and to be released on failure too. Errors: PM_UNSUPPORTED (a special token that is spelt like a piece), PM_NO_MEMORY. */
pm_status pm_bytepiece_to_unigram(pm_model *out, const pm_tokenizer *tok, pm_error *err);

#endif
