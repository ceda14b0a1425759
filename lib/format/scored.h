/* scored.h - vocabularies of scored and typed pieces: what sentencepiece's .model, llama2.c's tokenizer.bin and the "llama" vocabularies of GGUF have in common.
 * A reader adds the pieces as its file has them and says how text is treated; what comes out is a plain model where the fast encoder does just that, else a
 * general one with sentencepiece's rules (encode/core.h). A writer looks at any tokenizer that reads as such a vocabulary. */
#ifndef PM_FORMAT_SCORED_H
#define PM_FORMAT_SCORED_H

#include "format/format.h"

/* The numbers of sentencepiece and of GGUF. */
typedef enum pm_scored_type {
    PM_SCORED_NORMAL = 1,
    PM_SCORED_UNKNOWN = 2,
    PM_SCORED_CONTROL = 3,
    PM_SCORED_USER_DEFINED = 4, /* always one token where it stands in text */
    PM_SCORED_UNUSED = 5,       /* never a token, but a step to longer ones */
    PM_SCORED_BYTE = 6          /* "<0x0A>" */
} pm_scored_type;

typedef struct pm_scored_piece {
    pm_bytes text; /* as sentencepiece writes it: U+2581 for a blank */
    float score;
    int type;      /* pm_scored_type */
} pm_scored_piece;

/* What holds for the whole vocabulary. {0} needs an algorithm at least. */
typedef struct pm_scored_rules {
    pm_algorithm algorithm; /* BPE, UNIGRAM, or WORDLEVEL: words between blanks */
    bool no_merges;         /* BPE without merges: each character is a token */
    bool byte_fallback;     /* what is not known becomes the bytes' pieces, else the unknown piece */
    unsigned flags;         /* PM_STEP_DUMMY_PREFIX, _REMOVE_EXTRA_BLANKS, _ESCAPE_BLANKS, _AS_SUFFIX */
    pm_bytes charsmap;      /* sentencepiece's precompiled table; empty: none */
    pm_bytes unk_surface;   /* what the unknown piece reads as; empty data: PM_SCORED_UNK_SURFACE */
    pm_id bos, eos;         /* control pieces around a text when special tokens are asked for; PM_ID_NONE: none */
} pm_scored_rules;
#define PM_SCORED_UNK_SURFACE " \xE2\x81\x87 "

/* ---- reading ---- */

/* The next piece, into a model that was empty before the first; `offset` is where in the file it stands, for errors. Its text is copied. Errors: PM_BAD_FORMAT, PM_NO_MEMORY. */
pm_status pm_scored_add(pm_model *model, const pm_scored_piece *piece, uint64_t offset, pm_error *err);
/* Behind the last: checks what is there and decides what sort of model it is. Errors: PM_BAD_FORMAT (no unknown piece or two, byte pieces that are missing, a text
 * twice), PM_NO_MEMORY. */
pm_status pm_scored_end(pm_model *model, const pm_scored_rules *rules, pm_error *err);

/* ---- writing ---- */

typedef struct pm_scored_view {
    const pm_tokenizer *tok;
    pm_scored_rules rules;
    size_t n;         /* pieces: vocab_size, and more of a BytePiece model */
    pm_id first;      /* plain: the first piece, from which scores fall */
    double log_total; /* BytePiece; and the single bytes that are written again, as byte pieces: */
    uint8_t again[128];
    size_t n_again;
    pm_buf text;
    char name[PM_BYTE_NAME];
} pm_scored_view;

/* Looks at a tokenizer; `what` is the file's kind with an article, for errors. To be closed on failure too. Errors: PM_UNSUPPORTED with what cannot be said,
 * PM_NO_MEMORY. */
pm_status pm_scored_open(pm_scored_view *view, const pm_tokenizer *tok, const char *what, const pm_save_options *how, pm_error *err);
/* Piece i < view->n; its text lives until the next call. Errors: PM_UNSUPPORTED, PM_NO_MEMORY. */
pm_status pm_scored_get(pm_scored_view *view, size_t i, pm_scored_piece *piece, pm_error *err);
void pm_scored_close(pm_scored_view *view);

#endif
