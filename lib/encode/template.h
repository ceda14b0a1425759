/* template.h - what stands around a text's ids when special tokens are added, and what is left out of its tokens' offsets: the post-processor. */
#ifndef PM_ENCODE_TEMPLATE_H
#define PM_ENCODE_TEMPLATE_H

#include "model/model.h"

/* {0} is an empty one: nothing is added. */
typedef struct pm_template {
    pm_id *ids; /* n_before of them before the text, the others behind it */
    size_t n_before, n;
    uint8_t *trims; /* for each step that leaves white space at tokens' ends out of their offsets: is a blank put before texts? */
    size_t n_trims;
} pm_template;

/* Puts the steps for one text together, in their order: each stands around what the one before made. Errors: PM_UNSUPPORTED (a template without the text or with it more than
 * once, a step that is none of a post-processor), PM_BAD_FORMAT (an id that the vocabulary does not have), PM_LIMIT (more than 65536 ids), PM_NO_MEMORY. */
pm_status pm_template_init(pm_template *out, const pm_steps *steps, uint32_t vocab_size, pm_error *err);
void pm_template_release(pm_template *t);

#endif
