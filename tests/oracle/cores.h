/* cores.h - the algorithms of general tokenizers as the libraries' sources read: every look-up goes through the whole vocabulary, every choice through
 * all there is to choose from. */
#ifndef PM_ORACLE_CORES_H
#define PM_ORACLE_CORES_H

#include "encode/core.h"

/* Appends a word's tokens; out->items has room for all (8 a byte and more). False: an unknown character without an unknown token. Words of at most
 * ORACLE_CORE_WORD bytes, of well-formed UTF-8. */
enum { ORACLE_CORE_WORD = 4096 };
bool oracle_unigram(const pm_model *model, pm_bytes word, pm_core_tokens *out);                /* tokenizers: unigram/model.rs */
bool oracle_unigram_in_floats(const pm_model *model, pm_bytes word, pm_core_tokens *out);      /* sentencepiece: unigram_model.cc */
bool oracle_wordpiece(const pm_model *model, pm_bytes word, pm_core_tokens *out);              /* tokenizers: wordpiece/mod.rs */
bool oracle_bpe(const pm_model *model, pm_bytes word, pm_core_tokens *out);                    /* tokenizers: bpe/model.rs */
bool oracle_scored_bpe(const pm_model *model, pm_bytes word, pm_core_tokens *out);             /* sentencepiece: bpe_model.cc */

#endif
