/* steps.h - the pipeline of a tokenizer as its file describes it: small steps in a list, each a type, flags, numbers and texts.
 *
 * Readers of formats write steps down as they find them; writers write them out again; the native format and the tokenizer's identity take
 * any list as it stands. What a step does is known where it is done, and nowhere else:
 *
 *     normalizer      encode/normalizer.c        text -> text
 *     pre_tokenizer   pretok/pretokenizer.c      text -> pre-tokens
 *     post_processor  encode/template.c          ids -> ids with those that stand around them
 *     decoder         encode/decoder.c           pieces -> text
 *
 * A tokenizer whose steps amount to what the fast encoders do (a known Split and ByteLevel before BPE, say) is compiled to them and keeps no steps for that:
 * see pm_model in model.h. The names of types, flags and fields are those of tokenizer.json; sentencepiece's rules are one step. */
#ifndef PM_MODEL_STEPS_H
#define PM_MODEL_STEPS_H

#include "base/alloc.h"

/* The numbers stand in native files: they never change and are never reused. */
typedef enum pm_step_type {
    /* normalizers */
    PM_STEP_NFC = 1,
    PM_STEP_NFD = 2,
    PM_STEP_NFKC = 3,
    PM_STEP_NFKD = 4,
    PM_STEP_LOWERCASE = 5,
    PM_STEP_STRIP_ACCENTS = 6,
    PM_STEP_BERT = 7,          /* flags CLEAN_TEXT, CHINESE_CHARS, LOWERCASE, ACCENTS_GIVEN, STRIP_ACCENTS */
    PM_STEP_REPLACE = 8,       /* a: what, a text or with REGEX a regex; b: by what. A decoder too */
    PM_STEP_PREPEND = 9,       /* a */
    PM_STEP_STRIP = 10,        /* flags LEFT, RIGHT */
    PM_STEP_PRECOMPILED = 11,  /* a: sentencepiece's precompiled_charsmap, raw bytes */
    PM_STEP_NMT = 12,
    PM_STEP_BYTE_LEVEL_CHARS = 13, /* normalizer ByteLevel: each byte as the character that stands for it */
    PM_STEP_SENTENCEPIECE = 14, /* sentencepiece's whole normalization. a: charsmap or empty; flags DUMMY_PREFIX, REMOVE_EXTRA_BLANKS, ESCAPE_BLANKS, AS_SUFFIX.
                                   A decoder too, its whole decoding. a: what the unknown piece reads as; flags DUMMY_PREFIX, REMOVE_EXTRA_BLANKS */

    /* pre-tokenizers */
    PM_STEP_BYTE_LEVEL = 32,   /* flags PREFIX_SPACE, TRIM_OFFSETS, USE_REGEX. A decoder and a post-processor too */
    PM_STEP_SPLIT = 33,        /* a: a text or with REGEX a regex; n: pm_behavior; flag INVERT */
    PM_STEP_METASPACE = 34,    /* a: what stands for a blank; n: pm_prepend; flag SPLIT. A decoder too */
    PM_STEP_WHITESPACE = 35,
    PM_STEP_WHITESPACE_SPLIT = 36,
    PM_STEP_PUNCTUATION = 37,  /* n: pm_behavior */
    PM_STEP_DIGITS = 38,       /* flag INDIVIDUAL */
    PM_STEP_BERT_SPLIT = 39,
    PM_STEP_UNICODE_SCRIPTS = 40,
    PM_STEP_DELIMITER = 41,    /* a: one character */
    PM_STEP_FIXED_LENGTH = 42, /* n: characters */

    /* post-processors */
    PM_STEP_TEMPLATE = 64,     /* followed by n PM_STEP_ITEM: flag PAIR tells those of the template for two texts */
    PM_STEP_ITEM = 65,         /* a: empty for a text, "A" or "B" in b; else the name of special tokens, whose ids are the following m PM_STEP_IDs; n: type id */
    PM_STEP_ID = 66,           /* n: an id; a: its token */
    PM_STEP_BERT_ENDS = 67,    /* BertProcessing. a: sep, n: its id; b: cls, m: its id */
    PM_STEP_ROBERTA_ENDS = 68, /* the same; flags TRIM_OFFSETS, PREFIX_SPACE */

    /* decoders */
    PM_STEP_BYTE_FALLBACK = 96,
    PM_STEP_FUSE = 97,
    PM_STEP_STRIP_EDGES = 98,  /* Strip. a: one character; n: from the start, m: from the end, at most */
    PM_STEP_WORDPIECE = 99,    /* a: prefix; flag CLEANUP */
    PM_STEP_BPE_SUFFIX = 100,  /* a: suffix */
    PM_STEP_CTC = 101          /* a: pad token, b: word delimiter; flag CLEANUP */
} pm_step_type;

enum { /* flags of steps; the numbers stand in native files */
    PM_STEP_REGEX = 1 << 0,
    PM_STEP_INVERT = 1 << 1,
    PM_STEP_LEFT = 1 << 2,
    PM_STEP_RIGHT = 1 << 3,
    PM_STEP_CLEAN_TEXT = 1 << 4,
    PM_STEP_CHINESE_CHARS = 1 << 5,
    PM_STEP_LOWER = 1 << 6,
    PM_STEP_ACCENTS_GIVEN = 1 << 7, /* strip_accents is not null; null follows lowercase */
    PM_STEP_ACCENTS = 1 << 8,
    PM_STEP_DUMMY_PREFIX = 1 << 9,
    PM_STEP_REMOVE_EXTRA_BLANKS = 1 << 10,
    PM_STEP_ESCAPE_BLANKS = 1 << 11,
    PM_STEP_AS_SUFFIX = 1 << 12, /* treat_whitespace_as_suffix */
    PM_STEP_PREFIX_SPACE = 1 << 13,
    PM_STEP_TRIM_OFFSETS = 1 << 14,
    PM_STEP_USE_REGEX = 1 << 15,
    PM_STEP_SPLITS = 1 << 16,
    PM_STEP_INDIVIDUAL = 1 << 17,
    PM_STEP_PAIR = 1 << 18,
    PM_STEP_CLEANUP = 1 << 19
};

typedef enum pm_behavior { /* of the delimiter in a Split */
    PM_BEHAVIOR_REMOVED = 0,
    PM_BEHAVIOR_ISOLATED = 1,
    PM_BEHAVIOR_MERGED_WITH_PREVIOUS = 2,
    PM_BEHAVIOR_MERGED_WITH_NEXT = 3,
    PM_BEHAVIOR_CONTIGUOUS = 4
} pm_behavior;

typedef enum pm_prepend { PM_PREPEND_NEVER = 0, PM_PREPEND_FIRST = 1, PM_PREPEND_ALWAYS = 2 } pm_prepend;

typedef struct pm_step {
    uint32_t type;  /* pm_step_type */
    uint32_t flags;
    uint64_t n, m;
    pm_bytes a, b;  /* the model's arena's, or the file's */
} pm_step;

/* {0} is an empty list. The array is pm_free'd by its owner. */
typedef struct pm_steps {
    pm_step *items;
    size_t n, cap;
} pm_steps;

#endif
