/* decoder.h - from the ids of a general tokenizer to text, by the steps of its decoder. */
#ifndef PM_ENCODE_DECODER_H
#define PM_ENCODE_DECODER_H

#include "model/model.h"

typedef struct pm_decoder pm_decoder; /* immutable; borrows the model */

/* Errors: PM_UNSUPPORTED (a step that is none of a decoder, a regex without PCRE2), PM_BAD_PATTERN, PM_NO_MEMORY. */
pm_status pm_decoder_new(pm_decoder **out, const pm_model *model, pm_error *err);
/* An id reads as another text than its own: the normalized one of an added token that is looked for in normalized text, which is what tokenizers gives for it. In order of ids. The
 * text is copied. Errors: PM_NO_MEMORY. */
pm_status pm_decoder_set_text(pm_decoder *decoder, pm_id id, pm_bytes text, pm_error *err);
void pm_decoder_free(pm_decoder *decoder);

/* Appends the text of ids. Without steps tokens are put together with a blank between, as tokenizers does. O(bytes) a step. Errors: PM_BAD_ID (with the index), PM_LIMIT (a
 * regex needs too many steps), PM_NO_MEMORY. */
pm_status pm_decoder_run(const pm_decoder *decoder, const pm_id *ids, size_t n, pm_buf *out, pm_error *err);

#endif
