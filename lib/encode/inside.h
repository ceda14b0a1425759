/* inside.h - what the files of encode/ share: the engine behind a tokenizer, the plan of a call, one document's encoding. */
#ifndef PM_ENCODE_INSIDE_H
#define PM_ENCODE_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "encode/bpe.h"
#include "encode/decoder.h"
#include "encode/lattice.h"
#include "encode/pipeline.h"
#include "encode/shelf.h"
#include "encode/special.h"
#include "encode/template.h"
#include "model/model.h"
#include "text/nfc.h"
#include "text/transcode.h"

/* What an id decodes to: its bytes in one 16-byte word, so that a copy is a load and a store. */
enum { PM_SHORT_PIECE = 15, PM_LONG_PIECE = 254, PM_NO_PIECE = 255 };
typedef struct pm_decoded {
    uint8_t bytes[PM_SHORT_PIECE];
    uint8_t len; /* or PM_LONG_PIECE: see the model; PM_NO_PIECE: a hole */
} pm_decoded;

/* Encoders that nobody uses at the moment; see encoder.c. */
enum { PM_IDLE_MOST = 64 };
typedef struct pm_idle {
    _Atomic(pm_encoder *) slots[PM_IDLE_MOST];
    unsigned n; /* in use */
} pm_idle;
void pm_idle_init(pm_idle *idle);
void pm_idle_release(pm_idle *idle);

/* Made by pm_tokenizer_make; immutable but for `idle` and `shelf`, which no result depends on, and for `bpe` of a trained tokenizer, which is there when an
 * encoder is. */
typedef struct pm_engine {
    pm_bpe *bpe;           /* BPE, else NULL */
    pm_pipeline *pipeline; /* general tokenizers, else NULL; so the decoder */
    pm_decoder *decoder;
    atomic_bool complete;  /* `bpe` is there, if there is to be one; */
    pthread_mutex_t completing; /* held while it is made */
    pm_lattice *lattice;   /* BytePiece, else NULL */
    pm_id bos, eos;        /* PM_ID_NONE where there is none */
    /* What is found in text: special tokens, and added tokens that are none, which always match. First those that are looked for in the text as it is, n_raw of them,
     * then those that are looked for in what is left between, when it is normalized. */
    pm_special_token *matched;
    bool *always; /* of each */
    size_t n_matched, n_raw, n_always;
    pm_specials *specials[2]; /* NULL: there are none */
    pm_template template;
    pm_decoded *decoded;   /* for each id, and a hole behind the last */
    pm_cpu cpu;            /* what converts texts */
    pm_idle idle;
    pm_shelf *shelf;       /* of results of batches */
} pm_engine;

/* Makes what an encoder needs, unless it is there. Any thread. */
pm_status pm_engine_complete(pm_engine *engine, const pm_tokenizer *tok, pm_error *err);

struct pm_encoder {
    const pm_tokenizer *tok;
    pm_engine *engine;
    pm_split_scratch *split;
    pm_bpe_scratch *bpe;
    pm_lattice_scratch *lattice;
    pm_pipeline_scratch *pipeline;
    pm_buf utf8; /* of a document in another form */
    pm_buf normalized;
    pm_id *spill; /* ids of a block that might not fit */
    size_t spill_cap;
    size_t longest; /* document since it was last idle, in bytes that its UTF-8 may have */
};

/* The options of a call, checked. */
typedef struct pm_plan {
    pm_special_rules rules;
    uint8_t *each; /* owned; rules.each */
    bool scan;     /* some token has a bit */
    bool normalize;
    unsigned growth; /* a document gives at most so many ids a byte */
    bool add_special_tokens;
    size_t ends; /* a document gives at most so many ids more: those that are added */
    bool sample;
    double alpha;
    uint64_t seed, document;
    unsigned threads;
} pm_plan;

/* `batch`: the defaults of pm_encode_batch. Released with pm_plan_release, on failure too. */
pm_status pm_plan_init(pm_plan *plan, const pm_tokenizer *tok, const pm_encode_options *options, bool batch, pm_error *err);
void pm_plan_release(pm_plan *plan);

/* The most ids that a document of len bytes can give; SIZE_MAX: more than a size_t holds. */
size_t pm_plan_bound(const pm_plan *plan, size_t len);

/* Who looks at a document's chunks himself: alternatives.c. */
typedef struct pm_visitor pm_visitor;
struct pm_visitor {
    pm_status (*chunk)(pm_visitor *v, pm_encoder *enc, pm_bytes chunk, pm_error *err); /* in NFC, if the plan says so */
    pm_status (*token)(pm_visitor *v, pm_id id, size_t len, pm_error *err); /* matched in so many bytes of text; 0: <bos>, <eos> */
};

/* Where ids go: the first `cap` of them are written, all are counted. */
typedef struct pm_out {
    pm_id *ids;
    size_t cap, n;
    pm_status (*grow)(struct pm_out *out, size_t need, pm_error *err); /* general tokenizers: makes room for `need` ids in all; NULL: what there is no room for is counted only */
    void *owner;                                                       /* what `grow` looks at */
    pm_visitor *visitor; /* NULL, or what comes in place of all that */
    pm_tokens *tokens;   /* likewise: ids with their places */
} pm_out;

/* Appends ids. */
pm_status pm_out_put(pm_out *out, const pm_id *ids, size_t n, pm_error *err);
/* Appends an id to out->tokens. */
pm_status pm_out_place(pm_out *out, pm_token token, pm_error *err);
/* Appends the id of a special or added token that stands at some place in the text: to whatever there is. */
pm_status pm_out_token(pm_out *out, pm_token token, pm_error *err);

/* Where the character begins that holds the byte at `at`, and where that ends that holds the byte before; `at` itself in what is not UTF-8. */
size_t pm_character_begin(pm_bytes text, size_t at);
size_t pm_character_end(pm_bytes text, size_t at);

/* A plain tokenizer's ids of a stretch without special tokens, text[start .. end); and the same with their places, into out->tokens. */
pm_status pm_encode_stretch(pm_encoder *enc, const pm_plan *plan, const uint8_t *text, size_t start, size_t end, uint64_t number, pm_out *out, pm_error *err);
pm_status pm_place_stretch(pm_encoder *enc, const pm_plan *plan, pm_bytes text, size_t start, uint64_t number, pm_out *out, pm_error *err);

/* Takes the white space that the template trims out of the places of the tokens from number `first` on. */
void pm_trim_offsets(const pm_encoder *enc, pm_bytes text, pm_tokens *tokens, size_t first);

/* Appends one document's ids. `number` is its index (it seeds sampling). *noticed: it held a token with PM_SPECIAL_NOTICE. */
pm_status pm_encode_document(pm_encoder *enc, const pm_plan *plan, pm_text text, uint64_t number, pm_out *out, bool *noticed,
                             pm_error *err);

#endif
