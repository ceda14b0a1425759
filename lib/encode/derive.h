/* derive.h - the merges that a list of ranked entries implies. For formats that store entries only (.tiktoken). */
#ifndef PM_ENCODE_DERIVE_H
#define PM_ENCODE_DERIVE_H

#include "model/model.h"

/* Fills model->merges, which must be empty, from its pieces (kind PM_KIND_PIECE; the lower id has the lower rank), and sets whole_first. An entry that no merge
 * reaches gets none: it is found as a whole pre-token only. About 50 ns a byte of the entries. Errors: PM_BAD_FORMAT (a single byte is
 * not an entry), PM_LIMIT, PM_NO_MEMORY. */
pm_status pm_bpe_derive_merges(pm_model *model, pm_error *err);

#endif
