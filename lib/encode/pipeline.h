/* pipeline.h - encoding by steps: what a general tokenizer does with a text.
 *
 *     text -> added tokens -> normalizer -> added tokens of normalized text -> pre-tokenizer -> algorithm -> ids
 */
#ifndef PM_ENCODE_PIPELINE_H
#define PM_ENCODE_PIPELINE_H

#include "encode/core.h"
#include "encode/special.h"
#include "model/model.h"

typedef struct pm_pipeline pm_pipeline;                 /* immutable; borrows the model */
typedef struct pm_pipeline_scratch pm_pipeline_scratch; /* one thread's, for one pipeline: it remembers words */

struct pm_engine;
struct pm_plan;
struct pm_out;

/* From a general tokenizer's model. What is to be found in text are the engine's `matched`; of those that are looked for in normalized text the pipeline drops the ones that
 * normalization leaves nothing of, or makes equal to another: they are never found. Errors: those of pm_normalizer_new, pm_pretokenizer_new and pm_core_new. */
pm_status pm_pipeline_new(pm_pipeline **out, const pm_tokenizer *tok, struct pm_engine *engine, pm_error *err);
void pm_pipeline_free(pm_pipeline *pipeline);
const pm_core *pm_pipeline_core(const pm_pipeline *pipeline);

pm_status pm_pipeline_scratch_new(pm_pipeline_scratch **out, const pm_pipeline *pipeline, pm_error *err);
void pm_pipeline_scratch_free(pm_pipeline_scratch *scratch);
void pm_pipeline_scratch_trim(pm_pipeline_scratch *scratch); /* gives back what a long document needed */
pm_core_scratch *pm_pipeline_core_scratch(pm_pipeline_scratch *scratch);

/* Encodes a document's text. Errors as pm_encode; offsets are bytes of the text. */
pm_status pm_pipeline_encode(pm_encoder *enc, const struct pm_plan *plan, pm_bytes text, uint64_t number, struct pm_out *out, bool *noticed, pm_error *err);

#endif
