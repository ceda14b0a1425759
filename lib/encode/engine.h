/* engine.h - from a model to a tokenizer that encodes. Called by every reader of a format and by the trainers. */
#ifndef PM_ENCODE_ENGINE_H
#define PM_ENCODE_ENGINE_H

#include "model/model.h"

/* pm_tokenizer_from_model, then builds the tables of its algorithm's encoder. Takes the model over, on failure too. */
pm_status pm_tokenizer_make(pm_tokenizer **out, pm_model *model, pm_error *err);
/* The same for a BPE model that was trained, which nothing can be wrong with: the tables are built when the first encoder is made. Who trains and
 * saves needs none. */
pm_status pm_tokenizer_make_trained(pm_tokenizer **out, pm_model *model, pm_error *err);

/* Appends the tables of a tokenizer's encoder as a file may hold them, for model->tables. Errors: PM_UNSUPPORTED (it has none that can lie in a
 * file; big-endian machines), PM_NO_MEMORY. */
pm_status pm_tokenizer_append_tables(const pm_tokenizer *tok, pm_buf *out, pm_error *err);

#endif
