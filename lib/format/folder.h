/* folder.h - a folder as Hugging Face's libraries have them: a tokenizer, and tokenizer_config.json beside it. */
#ifndef PM_FORMAT_FOLDER_H
#define PM_FORMAT_FOLDER_H

#include "format/format.h"

bool pm_is_folder(const char *path);

/* The tokenizer's file in a folder, of this format or any (PM_FORMAT_AUTO). *out is to be freed. Errors: PM_NOT_FOUND, PM_NO_MEMORY. */
pm_status pm_folder_find(char **out, const char *folder, pm_format format, pm_error *err);

/* Takes from tokenizer_config.json and chat_template.jinja, where they are, what goes with a model that was read: which tokens are bos, eos, pad, ..., model_max_length, the
 * chat template; and for vocab.txt whether case is folded. Errors: PM_BAD_FORMAT with file and position, PM_IO, PM_UNSUPPORTED (no yajl), PM_NO_MEMORY. */
pm_status pm_folder_config(pm_model *model, const char *folder, bool vocab_txt, pm_error *err);

/* Where a tokenizer of this format lies in a folder, which is made if it is not there. *out is to be freed. Errors: PM_IO (also: the format has no name there), PM_NOT_FOUND, PM_NO_MEMORY. */
pm_status pm_folder_path(char **out, const char *folder, pm_format format, pm_error *err);
/* Writes tokenizer_config.json there. */
pm_status pm_folder_write_config(const pm_tokenizer *tok, const char *folder, pm_error *err);

#endif
