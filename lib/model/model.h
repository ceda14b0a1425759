/* model.h - the inside of a tokenizer: an immutable table of ids, and the builder that makes one.
 *
 * Readers of formats and trainers fill a pm_model and call pm_tokenizer_make() (encode/engine.h), which checks it, takes it over and
 * builds what encoding needs. Nothing changes afterwards. */
#ifndef PM_MODEL_MODEL_H
#define PM_MODEL_MODEL_H

#include "base/alloc.h"
#include "base/file.h"
#include "model/steps.h"
#include "pretok/split.h"

typedef struct pm_merge {
    pm_id left, right, result;
} pm_merge;

/* What an id is beside its kind: added_tokens of tokenizer.json. */
enum {
    PM_ADDED = 1,             /* found in text before the model sees it: a special token when it is allowed, any other always */
    PM_ADDED_SINGLE_WORD = 2, /* only between characters that are no letters or digits */
    PM_ADDED_LSTRIP = 4,      /* takes the white space before it along */
    PM_ADDED_RSTRIP = 8,      /* and behind it */
    PM_ADDED_NORMALIZED = 16, /* found in normalized text */
    PM_ADDED_ALONE = 32,      /* not in the vocabulary of the algorithm, which never gives it: an id that only added_tokens has */
    PM_UNUSED = 64,           /* sentencepiece's UNUSED: a step of merging, never given out */
    PM_ADDED_FLAGS = 127      /* all of these */
};

/* What a tokenizer is made of. {0} is an empty one; pm_model_release frees what it holds.
 *
 * There are two sorts. A plain one is what the fast encoders do: BytePiece, or BPE over bytes or characters behind a splitter; its steps are
 * empty but for post_processor. A general one (`general`) is a pipeline of steps around any algorithm, and its pieces are texts as its file
 * writes them ("\xC4\xA0the", "##ing", "\xE2\x96\x81the"); a reader fills it when the plain sort cannot say the same. */
typedef struct pm_model {
    pm_algorithm algorithm;

    /* Ids 0 .. vocab_size-1. Set with pm_model_set. */
    uint32_t vocab_size;
    uint8_t *kinds;      /* pm_kind of each id */
    uint64_t *counts;    /* of each id, 0 unknown */
    pm_bytes *pieces;    /* of each id; the bytes lie in `arena` or in `file` */
    size_t cap;

    /* BPE: merges in rank order. A merge applies where left and right stand side by side; the lowest index goes first. */
    pm_merge *merges;
    size_t n_merges, cap_merges;
    bool whole_first; /* a pre-token that is a piece is that piece whatever the merges say (tiktoken; HF's ignore_merges) */
    bool characters;  /* a text begins as characters, each a piece, those that are none as byte tokens; U+2581 is a blank, and pieces hold blanks */
    bool add_prefix;  /* with characters: a blank before a text, and a first blank is not decoded (sentencepiece's add_dummy_prefix) */
    bool derived;     /* the results of merges and the bytes encode to themselves, no other piece does: the merges are derive.c's, or were trained */

    pm_splitter *splitter; /* the pattern; NULL for BytePiece without one */
    bool normalize;        /* BytePiece: NFC before anything else; with characters: U+2581 to a blank, and the prefix */
    bool isolate_digits;   /* recorded from training, for information: bytepiece's encoder does not isolate digits */
    pm_buf settings;       /* "key=value\n" lines, NUL-terminated when not empty */

    bool general;
    pm_steps normalizer, pre_tokenizer, post_processor, decoder;
    uint8_t *added;             /* PM_ADDED... of each id, or NULL: special tokens as PM_ADDED, no others */
    double *scores;             /* Unigram: log-probability of each id; sentencepiece's BPE: the highest is merged first */
    pm_id unknown;              /* the id of what is not in the vocabulary, if has_unknown; PM_ID_NONE: it has a name but no id, and is an error when needed */
    bool has_unknown, fuse_unknown, byte_fallback;
    pm_bytes prefix, suffix;    /* continuing_subword_prefix, end_of_word_suffix */
    uint32_t max_word;          /* WordPiece: characters of the longest word that is looked at */
    double dropout;             /* BPE: 0 none; carried, and used where the caller asks for sampling */

    pm_bytes tables; /* of a plain BPE model: what encode/bpe_mapped.h wrote, in `file`; empty: they are to be made */

    pm_arena arena; /* the pieces' bytes */
    pm_file file;   /* a mapped file that they may lie in instead */
} pm_model;

/* Gives id a meaning; ids in between that were never set are holes. The bytes are copied, or borrowed when `borrowed` (they
 * lie in model->file). Errors: PM_INVALID_ARGUMENT (the id is taken, or PM_ID_NONE), PM_NO_MEMORY. */
pm_status pm_model_set(pm_model *model, pm_id id, pm_kind kind, pm_bytes bytes, uint64_t count, bool borrowed, pm_error *err);
/* What an id that was set is besides (PM_ADDED...), and its score. `added` and `scores` are made here, with room for every id, and grow with the ids. Errors:
 * PM_NO_MEMORY. */
pm_status pm_model_set_added(pm_model *model, pm_id id, uint8_t flags, pm_error *err);
pm_status pm_model_set_score(pm_model *model, pm_id id, double score, pm_error *err);
pm_status pm_model_add_merge(pm_model *model, pm_id left, pm_id right, pm_id result, pm_error *err);
/* Adds a caller's special tokens: at their ids; those with PM_ID_NONE at the first reserved slot, else behind the last id. A text that
 * is a special token already must have the same id. Errors: PM_INVALID_ARGUMENT (empty, twice, id taken). */
pm_status pm_model_add_special_tokens(pm_model *model, const pm_special_token *tokens, size_t n, pm_error *err);
/* Appends n reserved slots behind the last id. Errors: as pm_model_set. */
pm_status pm_model_add_reserved(pm_model *model, uint32_t n, pm_error *err);
/* Appends a "key=value\n" line to settings. Errors: PM_NO_MEMORY. */
pm_status pm_model_setting(pm_model *model, const char *key, const char *value, pm_error *err);
pm_status pm_model_setting_number(pm_model *model, const char *key, uint64_t value, pm_error *err);
void pm_model_release(pm_model *model);

/* ---- the finished thing ---- */

typedef struct pm_vocab_slot {
    uint32_t hash; /* high bits of the piece's hash */
    pm_id id;      /* PM_ID_NONE: empty */
} pm_vocab_slot;

struct pm_tokenizer {
    pm_model model;
    uint32_t vocab_size;

    /* bytes -> id of pieces (kind PM_KIND_PIECE): open addressing, power of two, at most half full. */
    pm_vocab_slot *slots;
    size_t slot_mask;
    pm_id byte_id[256]; /* the id of each single byte, with characters of its byte token; PM_ID_NONE where there is none */

    pm_special_token *specials; /* in order of id */
    size_t n_specials;

    void *engine; /* what encode/ made from it, and how to free that */
    void (*engine_free)(void *engine);
};

/* Checks a model, takes it over (it is empty afterwards, on failure too) and makes the tables above; without an engine. Checks: no two pieces with
 * equal bytes, merges in range with result == left + right, BPE: each of the 256 bytes is a piece; no special token equal to another. General models need not have
 * every byte, and the right part of their merges loses its prefix.
 * Errors: PM_BAD_FORMAT with a sentence, PM_NO_MEMORY. Use pm_tokenizer_make (encode/engine.h). */
pm_status pm_tokenizer_from_model(pm_tokenizer **out, pm_model *model, pm_error *err);

/* Is an id one that only added_tokens has? */
static inline bool pm_model_is_alone(const pm_model *model, pm_id id) { return model->added && (model->added[id] & PM_ADDED_ALONE); }

/* Is it a piece of the algorithm's? */
static inline bool pm_model_is_piece(const pm_model *model, pm_id id) { return model->kinds[id] == PM_KIND_PIECE && !pm_model_is_alone(model, id); }

/* The id of a piece that the algorithm has (not a special token, nor one that is only added), or PM_ID_NONE. */
pm_id pm_tokenizer_find_piece(const pm_tokenizer *tok, const uint8_t *data, size_t len);

/* The names that control tokens have where a text begins as characters (sentencepiece, Gemma): "<unk>", ... */
enum { PM_N_CONTROLS = 6, PM_N_TRAINED_CONTROLS = 3 /* the first ones, which a model trained here has */ };
extern const char *const pm_control_names[PM_N_CONTROLS];
bool pm_is_control_name(pm_bytes text);
/* The name of a byte token, "<0x0A>", and back (-1: it is none). */
enum { PM_BYTE_NAME = 8 };
void pm_byte_name(char out[PM_BYTE_NAME], uint8_t byte);
int pm_byte_from_name(pm_bytes name);

/* The order of the 256 bytes: 33-126, 161-172, 174-255, then the others ascending. byte_order[i] is the byte of rank i. */
extern const uint8_t pm_byte_order[256];

#endif
