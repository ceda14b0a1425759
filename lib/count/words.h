/* words.h - the distinct pre-tokens of a corpus and how often each occurs. */
#ifndef PM_COUNT_WORDS_H
#define PM_COUNT_WORDS_H

#include "base/hash.h"
#include "base/thread.h"
#include "corpus/corpus.h"
#include "count/store.h"
#include "pretok/split.h"

/* Zeros leave things out. */
typedef struct pm_count_options {
    const pm_splitter *splitter;
    const pm_special_token *specials; /* in how many documents is one of their texts? */
    size_t n_specials;
    unsigned threads;
    uint64_t memory;                 /* bytes that tables may take: rare words go to the store when they are full; 0: any number */
    uint64_t stop;                   /* reading stops when so many bytes of text were read, at the end of a block; 0: at the end of the corpus */
    bool documents;                  /* behind the cells of each record stand 8 bytes more (pm_word_record_bytes): in how many documents it was */
    uint64_t max_count_per_document; /* of a word's occurrences in a document no more are counted; 0: all */
    XXH3_state_t *text_hash;         /* updated with all text that is read, the ends of its documents and their weights; NULL: none */
} pm_count_options;

enum { PM_COUNT_LEAST_MEMORY = 1 << 20 }; /* of `memory`, for each thread: less is taken for this much */

typedef struct pm_word_counts {
    uint64_t words;                  /* pre-tokens met, each document once whatever its weight */
    uint64_t distinct;               /* distinct ones; if `evicted`, records, which are more */
    uint64_t documents, bytes;       /* read */
    uint64_t documents_with_special; /* that held one of the texts in `specials` */
    uint64_t evicted;                /* records that went to the store before the end, because `memory` was full */
    bool doubles;                    /* some words may stand in several records: `evicted`, or a weight above 32 bits */
    bool ended;                      /* the corpus is at its end */
} pm_word_counts;

/* Bytes of a record in the store, with and without its number of documents. */
static inline size_t pm_word_record_bytes(size_t n, bool documents) { return pm_record_bytes(n, 1) + (documents ? sizeof(uint64_t) : 0); }
static inline uint64_t pm_word_record_documents(const pm_record *r) {
    uint64_t x;
    memcpy(&x, (const uint8_t *)r + pm_record_bytes(r->n, 1), sizeof x);
    return x;
}

/* Reads the corpus on the calling thread and counts its pre-tokens on `threads` threads, into the store: records with cells of 1 byte. A
 * document of weight w counts as w equal ones. The same word may stand in several records; weights and documents add up. Dead records
 * are left. The set of words with their summed weights depends on the documents and the splitter only; the order of records does not.
 * With `stop`, the call can be repeated with the same corpus and goes on where it was; where it stops does not depend on the number of
 * threads. On failure the store holds a part of the words. Errors: those of pm_corpus_fill, pm_split_next (the offset is in the
 * document), pm_store_put and the ticker, PM_LIMIT (a pre-token of 4 GiB or more), PM_NO_MEMORY. */
pm_status pm_count_words(pm_word_counts *out, pm_store *store, pm_corpus *corpus, const pm_count_options *options, pm_ticker *ticker, pm_error *err);

/* Reads the corpus as calls of the above would until at least `bytes` bytes of text were read, or to its end, and counts nothing but documents and
 * bytes: to go on behind what was counted before. `text_hash` is updated in the same way. */
pm_status pm_count_skip(pm_word_counts *out, pm_corpus *corpus, uint64_t bytes, XXH3_state_t *text_hash, pm_ticker *ticker, pm_error *err);

#endif
