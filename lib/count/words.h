/* words.h - the distinct pre-tokens of a corpus and how often each occurs. */
#ifndef PM_COUNT_WORDS_H
#define PM_COUNT_WORDS_H

#include "base/thread.h"
#include "corpus/corpus.h"
#include "count/records.h"
#include "pretok/split.h"

typedef struct pm_word_counts {
    pm_records records;              /* cells are bytes (width 1). A word with a count above 32 bits has several records; dead ones are left */
    uint64_t words, distinct;        /* pre-tokens, and distinct ones */
    uint64_t documents, bytes;       /* read */
    uint64_t documents_with_special; /* that held one of the texts in `specials` */
} pm_word_counts;

/* Reads the corpus to its end on the calling thread and counts its pre-tokens on `threads` threads. The set of words with their summed
 * weights depends on the documents and the splitter only; the order of records does not. On failure *out is empty. Errors:
 * those of pm_corpus_fill, pm_split_next (the offset is in the document) and the ticker, PM_LIMIT (a pre-token of 4 GiB or more), PM_NO_MEMORY. */
pm_status pm_count_words(pm_word_counts *out, pm_corpus *corpus, const pm_splitter *splitter, const pm_special_token *specials, size_t n_specials,
                         unsigned threads, pm_ticker *ticker, pm_error *err);
void pm_word_counts_release(pm_word_counts *words);

#endif
