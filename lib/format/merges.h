/* merges.h - merges of byte-level BPE as files spell them: two entries in byte-level characters, one behind the other. */
#ifndef PM_FORMAT_MERGES_H
#define PM_FORMAT_MERGES_H

#include "format/reader.h"

/* Sets an entry, which must be in byte-level characters and new; `offset` is where it stands. `scratch` is used. Errors: PM_UNSUPPORTED (empty, other characters),
 * PM_BAD_FORMAT (given already), PM_NO_MEMORY. */
pm_status pm_byte_level_entry(pm_model *model, pm_piece_index *index, pm_buf *scratch, pm_id id, pm_bytes text, uint64_t offset, pm_error *err);

/* The halves of "a b". False: it is not that. */
bool pm_merge_halves(pm_bytes text, pm_bytes *left, pm_bytes *right);
/* Adds the merge of two spellings. Errors: PM_BAD_FORMAT (a part or the result is no entry), PM_NO_MEMORY. */
pm_status pm_byte_level_merge(pm_model *model, const pm_piece_index *index, pm_buf *scratch, pm_bytes left, pm_bytes right, uint64_t offset, pm_error *err);

#endif
