/* ngram_tables.h - the records of a model of n-grams, shard by shard, in memory or in a file, and the tables made of
 * them. Inside of ngram_model.h. */
#ifndef PM_COUNT_NGRAM_TABLES_H
#define PM_COUNT_NGRAM_TABLES_H

#include <stdatomic.h>

#include "base/file.h"
#include "count/ngram_model.h"

enum { PM_NGRAM_MAX_RANKS = PM_NGRAM_MAX_ORDER - 1 };

/* An n-gram and the codes of the counts of its prefixes of 2 .. bytes; code 0: too rare. */
typedef struct pm_ngram_record {
    uint64_t key;
    uint32_t codes[PM_NGRAM_MAX_RANKS];
} pm_ngram_record;

typedef struct pm_ngram_record_list {
    pm_ngram_record *items;
    size_t n, cap;
} pm_ngram_record_list;

typedef struct pm_ngram_extent { /* records in the file */
    uint64_t offset;
    size_t n;
} pm_ngram_extent;

typedef struct pm_ngram_shard_records {
    pm_ngram_record_list memory;
    pm_ngram_extent *extents;
    size_t n_extents, cap_extents;
    uint64_t n; /* in the file */
} pm_ngram_shard_records;

typedef struct pm_ngram_records {
    pm_ngram_shard_records shards[PM_NGRAM_SHARDS][2]; /* whole, part */
    pm_scratch_file file;
    uint32_t *ranks; /* of each code */
    uint64_t memory; /* that records, and later tables, may take */
} pm_ngram_records;

pm_status pm_ngram_records_new(pm_ngram_records **out, uint64_t memory, const char *tmpdir, pm_error *err);
void pm_ngram_records_free(pm_ngram_records *records);

/* Moves the records in memory to the file. The list keeps its memory. */
pm_status pm_ngram_records_write(pm_ngram_records *records, pm_ngram_shard_records *shard, pm_ngram_record_list *list,
                                 pm_error *err);

/* Makes the tables of a model that has all but them; order, wide and logs are there. The records are its own afterwards
 * when it is in parts, else gone: *records is NULL. */
pm_status pm_ngram_tables_make(pm_ngram_model *model, pm_ngram_records **records, const pm_count_work *work,
                               pm_error *err);

#endif
