/* bpe_vocab.h - the vocabulary that BPE training grows, and what may become a piece of it. See bpe_vocab.c.
 *
 * Symbols are numbered as ranks: 0 to 255 are the bytes in the order of pm_byte_order, then the characters of the alphabet, if words are of
 * characters, then the merges in their order. */
#ifndef PM_TRAIN_BPE_VOCAB_H
#define PM_TRAIN_BPE_VOCAB_H

#include "base/alloc.h"

typedef struct pm_bpe_merge {
    uint32_t left, right;
    uint64_t count; /* 0: not known */
} pm_bpe_merge;

/* What may not become a piece; bytes themselves are pieces always. 0, false: no such rule. The texts are the caller's and must live as long as
 * the vocabulary. */
typedef struct pm_bpe_rules {
    const pm_special_token *specials; /* a text of these has an id of its own */
    size_t n_specials;
    const pm_bytes *excluded;
    size_t n_excluded;
    uint32_t max_length;  /* in bytes, or in characters */
    uint32_t max_words;   /* stretches without the white space of ASCII */
    bool utf8_boundaries; /* a piece is whole characters, or a part of one */
    bool characters;      /* words are of characters, not of bytes: see bpe_vocab.c */
} pm_bpe_rules;

/* What the rules ask of a symbol. */
typedef struct pm_bpe_trait {
    uint32_t words, length; /* as max_length counts */
    bool begins_in_word, ends_in_word;
    bool whole; /* whole characters */
} pm_bpe_trait;

typedef struct pm_bpe_vocab {
    pm_bpe_merge *merges; /* merge k makes symbol pm_bpe_vocab_base() + k */
    size_t n_merges, cap_merges;
    pm_bytes *texts; /* of every symbol */
    pm_bpe_trait *traits;
    size_t cap_texts, cap_traits;
    size_t n_characters; /* symbols 256 to 255 + n_characters */
    uint64_t *counts;    /* of each of them */
    size_t cap_counts;
    pm_arena arena;
    pm_bpe_rules rules;
    pm_bytes *excluded; /* hash table of all texts that are no pieces */
    size_t excluded_mask, longest_excluded;
    uint8_t *joined; /* room for the longest of them */
} pm_bpe_vocab;

/* `rules` may be NULL. */
pm_status pm_bpe_vocab_init(pm_bpe_vocab *vocab, const pm_bpe_rules *rules, pm_error *err);
void pm_bpe_vocab_release(pm_bpe_vocab *vocab);
/* The symbol of the first merge. */
static inline size_t pm_bpe_vocab_base(const pm_bpe_vocab *vocab) { return 256 + vocab->n_characters; }
static inline size_t pm_bpe_vocab_size(const pm_bpe_vocab *vocab) { return pm_bpe_vocab_base(vocab) + vocab->n_merges; }
/* Adds a character to the alphabet, before there are merges. */
pm_status pm_bpe_vocab_add_character(pm_bpe_vocab *vocab, uint32_t character, uint64_t count, pm_error *err);
/* Room for so many merges in all, so that adding them moves nothing; memory is touched only as they come. */
pm_status pm_bpe_vocab_reserve(pm_bpe_vocab *vocab, size_t n_merges, pm_error *err);
pm_status pm_bpe_vocab_add(pm_bpe_vocab *vocab, uint32_t left, uint32_t right, uint64_t count, pm_error *err);
/* The words of two symbols together. */
static inline uint32_t pm_bpe_vocab_words(const pm_bpe_vocab *vocab, uint32_t left, uint32_t right) {
    const pm_bpe_trait *a = &vocab->traits[left], *b = &vocab->traits[right];
    return a->words + b->words - (a->ends_in_word && b->begins_in_word);
}
/* Do the rules say that these two are never merged? Not on two threads at once. */
bool pm_bpe_vocab_forbids(pm_bpe_vocab *vocab, uint32_t left, uint32_t right);
/* Are any two symbols, of which one ends with `left` and the other begins with `right`, forbidden? Too long, too many words: more text never mends
 * that. Any number of threads. */
static inline bool pm_bpe_vocab_separates(const pm_bpe_vocab *vocab, uint32_t left, uint32_t right) {
    const pm_bpe_rules *rules = &vocab->rules;
    return (rules->max_length && (uint64_t)vocab->traits[left].length + vocab->traits[right].length > rules->max_length) ||
           (rules->max_words && pm_bpe_vocab_words(vocab, left, right) > rules->max_words);
}
/* As pm_bpe_vocab_precedes, with words of characters. */
bool pm_bpe_vocab_precedes_by_text(const pm_bpe_vocab *vocab, uint32_t left, uint32_t right, uint32_t other_left, uint32_t other_right);
/* Of two pairs with the same count: is (left, right) merged before (other_left, other_right)? */
static inline bool pm_bpe_vocab_precedes(const pm_bpe_vocab *vocab, uint32_t left, uint32_t right, uint32_t other_left, uint32_t other_right) {
    if (vocab->rules.characters) {
        return pm_bpe_vocab_precedes_by_text(vocab, left, right, other_left, other_right);
    }
    return left != other_left ? left < other_left : right < other_right;
}
/* Is this the text of a special token or an excluded piece? */
bool pm_bpe_vocab_excludes(const pm_bpe_vocab *vocab, const uint8_t *text, size_t len);

#endif
