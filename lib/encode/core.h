/* core.h - the algorithm of a general tokenizer over one word: what the pre-tokenizer gave, a whole text where there is none.
 *
 * Which rules hold goes by where the file is from: where PM_STEP_SENTENCEPIECE stands in the model's normalizer they are sentencepiece's, else those of
 * Hugging Face's tokenizers. What the fields of pm_model mean to each:
 *
 *                tokenizers (core_*.c say more)                              sentencepiece
 *     UNIGRAM    scores in double; unknown, byte_fallback;                    scores as floats; unknown, byte_fallback
 *                unknown characters side by side are always one
 *     BPE        merges, unknown, fuse_unknown, byte_fallback, whole_first,   scores: the best pair first; NULL: nothing is merged, as a
 *                prefix, suffix                                               model of characters has it; unknown, byte_fallback
 *     WORDPIECE  prefix, max_word, unknown                                    -
 *     WORDLEVEL  unknown                                                      unknown, byte_fallback; cuts its text before each U+2581, and unknown
 *                                                                             words side by side are one
 *
 * A word holds pieces of PM_KIND_PIECE and, with byte_fallback, gets those of PM_KIND_BYTE (and, from tokenizers, pieces that are called "<0x0A>"); special
 * tokens and controls are never found in a word, whatever their text. Of `added`: PM_ADDED_ALONE is not known to the model; with sentencepiece's rules PM_ADDED
 * is a user-defined symbol, which is always taken whole, and PM_UNUSED a piece that is only a step to longer ones. Where has_unknown is set and `unknown` is
 * PM_ID_NONE, the file names an unknown token that it does not hold: a word that needs it is an error. */
#ifndef PM_ENCODE_CORE_H
#define PM_ENCODE_CORE_H

#include "model/model.h"

typedef struct pm_core pm_core;                 /* immutable; borrows the model */
typedef struct pm_core_scratch pm_core_scratch; /* one thread's, for one core: it remembers what it saw */

/* What stands at word[begin .. end). Tokens come in order, but need not cover the word (a character that no token stands for), nor be apart (the
 * bytes of a character), nor hold anything. */
typedef struct pm_core_token {
    pm_id id;
    uint32_t begin, end;
} pm_core_token;

/* {0} is an empty one; items is pm_free'd by its owner. */
typedef struct pm_core_tokens {
    pm_core_token *items;
    size_t n, cap;
} pm_core_tokens;

/* Errors: PM_BAD_FORMAT (what the algorithm needs is not there, or contradicts itself), PM_LIMIT, PM_NO_MEMORY. */
pm_status pm_core_new(pm_core **out, const pm_model *model, pm_error *err);
void pm_core_free(pm_core *core);

pm_status pm_core_scratch_new(pm_core_scratch **out, pm_error *err);
void pm_core_scratch_free(pm_core_scratch *scratch);
void pm_core_scratch_trim(pm_core_scratch *scratch); /* gives back what long words needed */

/* Appends a word's tokens to *out. They depend on the word alone. Any bytes; one outside well-formed UTF-8 is a character of its own. O(len log len). Errors:
 * PM_INVALID_ARGUMENT (a character that is not in the vocabulary, and no unknown token; offset: where in the word), PM_LIMIT (a word of 4 GiB or more),
 * PM_NO_MEMORY. On failure *out is as it was but for its room. */
pm_status pm_core_encode(const pm_core *core, pm_core_scratch *scratch, pm_bytes word, pm_core_tokens *out, pm_error *err);

/* As above, drawn at random: `key` seeds it, and same key and word give the same tokens. UNIGRAM: segmentations with probability proportional to
 * exp(alpha * score), 0 <= alpha <= PM_ALPHA_MAX. BPE: each merge is left out with probability alpha, 0 to 1 (dropout), as the library of the rules does it. Others: as
 * pm_core_encode. Errors: as above, and PM_INVALID_ARGUMENT for alpha. */
pm_status pm_core_sample(const pm_core *core, pm_core_scratch *scratch, pm_bytes word, double alpha, uint64_t key, pm_core_tokens *out, pm_error *err);

/* Called with the next best tokens of a word and their score. */
typedef pm_status (*pm_core_sink)(void *user, const pm_core_token *tokens, size_t n, double score, pm_error *err);

/* UNIGRAM: the `most` segmentations of highest score, or all if there are fewer, best first. Time and memory grow with len * most. Others: PM_UNSUPPORTED. */
pm_status pm_core_nbest(const pm_core *core, pm_core_scratch *scratch, pm_bytes word, size_t most, pm_core_sink sink, void *user, pm_error *err);

#endif
