/* characters.h - what the formats of BPE over characters share: tokenizer.json and sentencepiece's .model. In both a blank is written as U+2581 and the byte
 * tokens have names. */
#ifndef PM_FORMAT_CHARACTERS_H
#define PM_FORMAT_CHARACTERS_H

#include "model/model.h"

/* Appends a piece with U+2581 for each blank. */
pm_status pm_marked_append(pm_buf *out, pm_bytes piece, pm_error *err);
/* Appends a piece with a blank for each U+2581. False, and out keeps its length: it holds a blank, which no text has there. Room for text.len bytes
 * must have been reserved. */
bool pm_marked_decode(pm_buf *out, pm_bytes text);

/* These formats split nothing, and no merge of theirs crosses the borders of the pattern sentencepiece when all pieces lie within them. Then that is the splitter,
 * which makes encoding faster and the tokenizer equal to the one that was trained; else there is none. */
pm_status pm_characters_set_splitter(pm_model *model, pm_error *err);
/* May the pattern be left out of such a file? */
bool pm_characters_need_no_pattern(const pm_model *model);

/* Refuses what such a file, called `what`, cannot hold: a piece with the name of a byte token or the text of another token, no "<unk>". Errors: PM_UNSUPPORTED,
 * PM_NO_MEMORY. */
pm_status pm_characters_check(const pm_tokenizer *tok, const char *what, pm_error *err);

/* What a token of a file with this name, which is no piece, is: a control token or a special one. */
static inline pm_kind pm_characters_kind(pm_bytes name) { return pm_is_control_name(name) ? PM_KIND_CONTROL : PM_KIND_SPECIAL; }

#endif
