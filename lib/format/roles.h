/* roles.h - what files say of a tokenizer besides its ids: which tokens stand before and behind a text, which is for padding, the chat template. None of it changes an
 * id of text; the names and the template are kept as settings, so that they go from format to format. */
#ifndef PM_FORMAT_ROLES_H
#define PM_FORMAT_ROLES_H

#include "model/model.h"

typedef enum pm_role { PM_ROLE_BOS, PM_ROLE_EOS, PM_ROLE_UNK, PM_ROLE_SEP, PM_ROLE_PAD, PM_ROLE_CLS, PM_ROLE_MASK, PM_N_ROLES } pm_role;

/* As tokenizer_config.json calls them: "bos_token". */
extern const char *const pm_role_names[PM_N_ROLES];
/* The setting of the chat template, Jinja's text. */
#define PM_CHAT_TEMPLATE "chat_template"

/* A setting whose value is a text of any bytes: a line feed is written "\n" there, NUL "\0", a backslash "\\". One that is there already stays as it is. Errors: PM_NO_MEMORY. */
pm_status pm_setting_set_text(pm_model *model, const char *key, pm_bytes text, pm_error *err);
/* Appends a setting's text to *out; *there is false when there is none. Errors: PM_NO_MEMORY. */
pm_status pm_setting_get_text(const pm_model *model, const char *key, pm_buf *out, bool *there, pm_error *err);

/* The id that plays a role: by the settings, else by what the model itself tells (the post-processor, the unknown token, control tokens' names). PM_ID_NONE: none. Errors:
 * PM_NO_MEMORY. */
pm_status pm_role_id(const pm_tokenizer *tok, pm_role role, pm_id *id, pm_error *err);

/* What a post-processor puts before and behind a single text: one token at most each, PM_ID_NONE: none. False: it does something else. */
bool pm_ends_get(const pm_steps *post_processor, pm_id *before, pm_id *behind);
/* Makes the post-processor that puts these around a text. Errors: PM_NO_MEMORY. */
pm_status pm_ends_set(pm_model *model, pm_id before, pm_id behind, pm_error *err);

#endif
