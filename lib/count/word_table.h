/* word_table.h - one thread's pre-tokens and how often each occurs. words.c drives one for each thread. */
#ifndef PM_COUNT_WORD_TABLE_H
#define PM_COUNT_WORD_TABLE_H

#include "corpus/corpus.h"
#include "count/store.h"
#include "pretok/split.h"

/* Words are looked up together, so many at a time. */
enum { PM_WORD_QUEUE = 256 };

typedef struct pm_word_slot {
    uint32_t tag, ref; /* the highest 32 bits of the hash; where the record is, in units of 8 bytes through all chunks; 0: empty */
} pm_word_slot;

typedef struct pm_queued_word {
    const uint8_t *text;
    uint32_t len, tag;
    uint64_t head[2]; /* a short word's bytes, filled up with zeros */
} pm_queued_word;

/* Behind the cells of a record where documents matter (pm_word_table.per_document). */
typedef struct pm_word_documents {
    uint64_t documents;           /* in which the word was found */
    uint64_t last, count_in_last; /* the number of the last one, and how often it was counted there */
} pm_word_documents;

typedef struct pm_span { /* text[at .. at + len) */
    uint32_t at, len;
} pm_span;

typedef struct pm_word_table {
    /* settings */
    pm_store *store;        /* where words go that are evicted, and all of them at the end */
    uint64_t memory;        /* that index and records may take; UINT64_MAX: any */
    bool documents;         /* records in the store have the number of documents behind their cells */
    bool per_document;      /* records here have a pm_word_documents there */
    uint64_t max_in_document; /* occurrences of a word that count in one document */
    pm_ticker *ticker;
    unsigned thread;

    pm_word_slot *slots;
    unsigned bits;
    size_t n;               /* slots in use */
    pm_records records;
    size_t record_bytes;    /* of all chunks of `records` */
    uint8_t **pages;        /* page p begins at ref p << PAGE_SHIFT; a long chunk is several pages */
    size_t n_pages, cap_pages;
    pm_chunk *leaving;      /* records that are not in the index any more, on their way to the store */
    pm_chunk *spare;        /* emptied ordinary chunks */
    pm_split_scratch *scratch;
    pm_queued_word queue[PM_WORD_QUEUE];
    size_t n_queue;
    uint32_t weight;        /* of the document at hand */
    uint64_t words, document, evicted; /* met; the number of the document at hand; records that were evicted */
    bool doubles;           /* some word stands in two records, though none were evicted: its weight is above 32 bits */
    char apart[64];         /* keeps the counters of two threads out of one cache line */
} pm_word_table;

/* Makes index and scratch memory; the settings are there. splitter NULL: only pm_word_table_add_spans will be called. */
pm_status pm_word_table_init(pm_word_table *t, const pm_splitter *splitter, pm_error *err);
/* Counts the words of a block of documents. */
pm_status pm_word_table_add(pm_word_table *t, const pm_block *block, pm_error *err);
/* Counts words that were cut elsewhere, none of them empty. `end`: so far the memory can be read that the text is in. Where documents matter, all words are of
 * one, which goes on in the next call unless that says that one begins. */
pm_status pm_word_table_add_spans(pm_word_table *t, const uint8_t *text, const uint8_t *end, const pm_span *spans, size_t n, uint32_t weight, bool begins,
                                  pm_error *err);
/* Puts all that is left into the store. */
pm_status pm_word_table_finish(pm_word_table *t, pm_error *err);
void pm_word_table_release(pm_word_table *t);

pm_record *pm_word_record(const pm_word_table *t, uint32_t ref);
static inline pm_word_documents *pm_word_documents_of(const pm_record *r) { return (void *)((uint8_t *)r + pm_record_bytes(r->n, 1)); }
/* The table's record of the word that another table's record is of; NULL: it has none. */
pm_record *pm_word_table_find(const pm_word_table *t, uint32_t tag, const pm_record *word);

#endif
