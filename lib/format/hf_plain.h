/* hf_plain.h - which pipelines of tokenizer.json are what the fast encoders do. */
#ifndef PM_FORMAT_HF_PLAIN_H
#define PM_FORMAT_HF_PLAIN_H

#include "model/model.h"

typedef enum pm_hf_form {
    PM_HF_UNKNOWN,
    PM_HF_GENERAL,   /* entries are texts */
    PM_HF_BYTES,     /* entries are in byte-level characters: BPE over bytes */
    PM_HF_CHARACTERS /* blanks are U+2581, bytes have names: BPE over characters */
} pm_hf_form;

/* What a BPE model's steps and fields amount to; added_flags: those that some added token has. */
pm_hf_form pm_hf_form_of(const pm_model *model, uint8_t added_flags);

/* Makes a model whose vocabulary was read in a plain form a plain one: its splitter, and no steps but the post-processor's. Errors: those of pm_splitter_new. */
pm_status pm_hf_make_plain(pm_model *model, pm_hf_form form, pm_error *err);

/* The other way: the steps of a plain model, but the post-processor's, in an empty pm_model that the caller releases. Errors: PM_UNSUPPORTED, PM_NO_MEMORY. */
pm_status pm_hf_plain_steps(pm_model *steps, const pm_model *model, pm_error *err);

/* The value of a "name=value" line of a model's settings. */
bool pm_hf_setting(const pm_model *model, const char *name, pm_bytes *value);

#endif
