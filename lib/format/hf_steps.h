/* hf_steps.h - the steps of a pipeline as tokenizer.json writes them. */
#ifndef PM_FORMAT_HF_STEPS_H
#define PM_FORMAT_HF_STEPS_H

#include "format/json.h"
#include "model/steps.h"

typedef enum pm_hf_part { PM_HF_NORMALIZER, PM_HF_PRE_TOKENIZER, PM_HF_POST_PROCESSOR, PM_HF_DECODER } pm_hf_part;

/* Appends a part's steps, Sequences laid flat; NULL and null: none. Texts are copied into the arena. Errors: PM_UNSUPPORTED (a type or a field that is not known),
 * PM_BAD_FORMAT (a field that is missing or of another type), both with the position; PM_NO_MEMORY. */
pm_status pm_hf_read_steps(pm_steps *out, pm_arena *arena, const pm_json *json, pm_hf_part part, const pm_json_value *value, pm_error *err);

/* Appends a part as JSON without blanks: null, the one step, or a Sequence of several. Errors: PM_UNSUPPORTED (a step that tokenizer.json does not have there, a text that is
 * not UTF-8), PM_NO_MEMORY. */
pm_status pm_hf_write_steps(pm_buf *out, pm_hf_part part, const pm_steps *steps, pm_error *err);

pm_status pm_steps_add(pm_steps *steps, pm_step step, pm_error *err);

/* The names of files and those of messages. */
const char *pm_hf_part_name(pm_hf_part part);

#endif
