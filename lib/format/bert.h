/* bert.h - BERT's pipeline, which vocab.txt and GGUF do not describe because it is always the same but for case and accents. */
#ifndef PM_FORMAT_BERT_H
#define PM_FORMAT_BERT_H

#include "format/format.h"

typedef enum pm_bert_accents { PM_BERT_ACCENTS_FOLLOW /* lowercase */, PM_BERT_ACCENTS_STRIP, PM_BERT_ACCENTS_KEEP } pm_bert_accents;

/* A model whose entries and unknown token are set becomes WordPiece with BERT's steps, [CLS] before and [SEP] behind a text (PM_ID_NONE: neither). Errors: PM_NO_MEMORY. */
pm_status pm_bert_finish(pm_model *model, bool lowercase, pm_bert_accents accents, pm_id cls, pm_id sep, pm_error *err);

/* What a tokenizer that is BERT's says of case and accents; else PM_UNSUPPORTED with what differs: `what` is the file's kind with an article. cls and sep: PM_ID_NONE: none. */
pm_status pm_bert_look(const pm_tokenizer *tok, const char *what, const pm_save_options *how, bool *lowercase, bool *accents, pm_id *cls, pm_id *sep, pm_error *err);

#endif
