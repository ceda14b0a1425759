/* normalizer_ops.h - the inside of a normalizer: its steps, taken apart into operations that each go over the text
 * once. */
#ifndef PM_ENCODE_NORMALIZER_OPS_H
#define PM_ENCODE_NORMALIZER_OPS_H

#include "encode/replace.h"
#include "encode/rewrite.h"
#include "text/charsmap.h"
#include "text/forms.h"

typedef enum pm_op_kind {
    /* characters, one by one */
    PM_OP_LOWER,
    PM_OP_ACCENTS,
    PM_OP_NONSPACING,
    PM_OP_CLEAN,
    PM_OP_CHINESE,
    PM_OP_NMT,
    PM_OP_BYTES,
    /* others */
    PM_OP_FORM,
    PM_OP_STRIP,
    PM_OP_PREPEND,
    PM_OP_REPLACE,
    PM_OP_PRECOMPILED,
    PM_OP_SENTENCEPIECE
} pm_op_kind;

/* Texts that are left as they are, in order, so that those with one first byte stand together. */
typedef struct pm_kept {
    pm_bytes *texts;
    size_t n;
    size_t first[257]; /* texts[first[b] .. first[b + 1]) begin with the byte b */
    uint8_t *bytes;
} pm_kept;

typedef struct pm_op {
    pm_op_kind kind;
    pm_form form;
    uint32_t flags;   /* the step's */
    bool inert[256];  /* of characters: ASCII that stays as it is */
    bool inert_blank; /* SENTENCEPIECE: a blank before ASCII is one, and nothing kept begins with it */
    bool ideographs;  /* and U+4000 .. U+9FFF */
    pm_buf text;      /* PREPEND */
    pm_replacer *replacer;
    pm_charsmap charsmap; /* {0}: none, no rule begins anywhere */
    pm_kept kept;
} pm_op;

typedef struct pm_op_scratch {
    pm_form_block block;
    pm_replacer_scratch *replacer;
    pm_replacer_match match;
    size_t boundary, trouble; /* a form's */
} pm_op_scratch;

/* normalizer_characters.c. Where the first change is, len: nowhere. */
void pm_op_characters_init(pm_op *op);
size_t pm_op_characters_first(const pm_op *op, pm_bytes text);
pm_status pm_op_characters_run(const pm_op *op, pm_rewrite *w, pm_error *err); /* from a change at w->pos on */

/* normalizer_charsmap.c */
size_t pm_op_precompiled_first(const pm_op *op, pm_bytes text);
pm_status pm_op_precompiled_run(const pm_op *op, pm_rewrite *w, pm_error *err);
pm_status pm_kept_init(pm_kept *kept, const pm_bytes *texts, size_t n, pm_error *err);
void pm_kept_release(pm_kept *kept);
/* All of the text; `same`: it was left as it is, and nothing was written. */
pm_status pm_op_sentencepiece_run(const pm_op *op, pm_rewrite *w, bool *same, pm_error *err);

#endif
