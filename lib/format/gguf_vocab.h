/* gguf_vocab.h - the keys of a vocabulary in GGUF, which reader and writer share. */
#ifndef PM_FORMAT_GGUF_VOCAB_H
#define PM_FORMAT_GGUF_VOCAB_H

#include "format/bert.h"
#include "format/format.h"
#include "format/gguf.h"

typedef enum pm_gguf_key {
    PM_GGUF_MODEL,
    PM_GGUF_PRE,
    PM_GGUF_TOKENS,
    PM_GGUF_SCORES,
    PM_GGUF_TYPES,
    PM_GGUF_MERGES,
    PM_GGUF_BOS,
    PM_GGUF_EOS,
    PM_GGUF_UNK,
    PM_GGUF_SEP,
    PM_GGUF_PAD,
    PM_GGUF_CLS,
    PM_GGUF_MASK,
    PM_GGUF_ADD_BOS,
    PM_GGUF_ADD_EOS,
    PM_GGUF_ADD_PREFIX,
    PM_GGUF_REMOVE_BLANKS,
    PM_GGUF_ESCAPE_BLANKS,
    PM_GGUF_AS_SUFFIX,
    PM_GGUF_CHARSMAP,
    PM_GGUF_LOWERCASE,
    PM_GGUF_ACCENTS,
    PM_GGUF_TEMPLATE,
    PM_GGUF_FIELDS /* how many */
} pm_gguf_key;

extern const char *const pm_gguf_field_names[PM_GGUF_FIELDS];

pm_status pm_gguf_read(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err);

#endif
