/* word_tables.h - a table of words for each thread, whose words become one store. For pre-tokens words.c feeds them, for pieces the BytePiece trainer. */
#ifndef PM_COUNT_WORD_TABLES_H
#define PM_COUNT_WORD_TABLES_H

#include "count/word_table.h"
#include "count/words.h"

typedef struct pm_word_tables {
    pm_word_table *list; /* fed with pm_word_table_add or pm_word_table_add_spans, each by one thread at a time */
    unsigned threads;
    pm_ticker *ticker;
} pm_word_tables;

/* Of the options, splitter, threads, memory, documents and max_count_per_document matter here; the splitter may be NULL for words that are cut elsewhere. */
pm_status pm_word_tables_init(pm_word_tables *t, pm_store *store, const pm_count_options *options, pm_ticker *ticker, pm_error *err);
/* Adds up what the threads counted and puts everything into the store; fills in words, distinct, evicted and doubles. */
pm_status pm_word_tables_finish(pm_word_tables *t, pm_word_counts *out, pm_error *err);
void pm_word_tables_release(pm_word_tables *t); /* after a failure too; {0} is an empty one */

#endif
