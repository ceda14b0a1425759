/* format.h - the table of formats: one reader and one writer a file. */
#ifndef PM_FORMAT_FORMAT_H
#define PM_FORMAT_FORMAT_H

#include "base/file.h"
#include "model/model.h"

typedef struct pm_format_ops {
    pm_format format;
    const char *name;
    const char *ending;  /* of a path, with its dot or whole ("tokenizer.json"); NULL: must be named */
    const char *pattern; /* NULL: the pattern comes from the load options; else why it cannot: "tokenizer.json holds its
                            pattern" */
    /* Looks at the whole header (or content) of a file: may it be this format? */
    bool (*recognizes)(const uint8_t *data, size_t len);
    /* Fills an empty model (kinds, pieces, merges, pattern); `file` is moved into model->file when pieces are borrowed
     * from it. Positions in errors are byte offsets in the file. NULL: cannot be read. */
    pm_status (*read)(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err);
    pm_status (*write)(const pm_tokenizer *tok, pm_writer *w, const pm_save_options *how, pm_error *err); /* NULL: cannot be written */
} pm_format_ops;

/* What a format cannot carry, as a sentence: PM_UNSUPPORTED with it; or, where the caller asked for PM_SAVE_LOSSY and the writer goes on without, PM_OK after the
 * caller was told. */
pm_status pm_lose(const pm_save_options *how, pm_error *err, const char *format, ...) __attribute__((format(printf, 3, 4)));

extern const pm_format_ops pm_format_native, pm_format_tiktoken, pm_format_hf, pm_format_bytepiece, pm_format_sentencepiece, pm_format_hf_vocab, pm_format_bert, pm_format_tekken, pm_format_llama2c,
    pm_format_gguf;

#endif
