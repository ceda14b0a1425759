/* hf.h - the two halves of tokenizer.json. */
#ifndef PM_FORMAT_HF_H
#define PM_FORMAT_HF_H

#include "format/format.h"

pm_status pm_hf_read(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err);

#endif
