/* word_tables.c - see word_tables.h.
 *
 * A word that several threads met stands in several tables. A last parallel pass over ranges of the hash looks each word up in the tables before its
 * own, adds it to the first that has it, and kills the double: a range of hashes is a range of every index, so both are read from front to back. Then
 * all records go to the store. */
#include "count/word_tables.h"

enum {
    POLL_SLOTS = 1 << 16,
    SHARD_BITS = 6 /* ranges of the last pass: 64 */
};

/* ---------------------------------------------------------------- adding up what several threads counted ---- */

typedef struct added { /* what was found in a shard */
    uint64_t distinct;
    bool doubles;
} added;

typedef struct adding {
    pm_word_tables *tables;
    added shards[1 << SHARD_BITS];
} adding;

/* False: the sum does not fit, and both stay. */
static bool move_counts(const pm_word_table *t, pm_record *to, pm_record *from) {
    if (to->weight > UINT32_MAX - from->weight) {
        return false;
    }
    to->weight += from->weight;
    from->weight = 0;
    if (t->per_document) {
        pm_word_documents_of(to)->documents += pm_word_documents_of(from)->documents;
    }
    return true;
}

/* Adds a word of table `own` to the first table before it that has it, if one has. */
static void give_away(adding *a, unsigned own, pm_word_slot s, added *shard) {
    const pm_word_table *tables = a->tables->list;
    pm_record *record = pm_word_record(&tables[own], s.ref);
    for (unsigned i = 0; i < own; i++) {
        pm_record *other = pm_word_table_find(&tables[i], s.tag, record);
        if (other) {
            shard->doubles |= !move_counts(&tables[own], other, record);
            return;
        }
    }
    shard->distinct++;
}

/* The words of a shard stand in the index from its place on, and some are pushed behind its end. */
static pm_status add_shard(void *ctx, unsigned thread, size_t shard, pm_error *err) {
    adding *a = ctx;
    added sum = {0};
    for (unsigned own = 0; own < a->tables->threads; own++) {
        const pm_word_table *t = &a->tables->list[own];
        size_t mask = ((size_t)1 << t->bits) - 1, n = (size_t)1 << (t->bits - SHARD_BITS), start = shard * n;
        for (size_t i = 0; i <= mask; i++) {
            pm_word_slot s = t->slots[(start + i) & mask];
            if (i >= n && !s.ref) {
                break;
            }
            if (s.ref && s.tag >> (32 - SHARD_BITS) == shard) {
                give_away(a, own, s, &sum);
            }
            if (i % POLL_SLOTS == POLL_SLOTS - 1) {
                PM_TRY(pm_ticker_poll(a->tables->ticker, thread, err));
            }
        }
    }
    a->shards[shard] = sum;
    return PM_OK;
}

/* Leaves each word in one table. */
static pm_status add_up(pm_word_tables *t, pm_word_counts *out, pm_error *err) {
    adding a = {.tables = t};
    if (t->threads == 1) {
        out->distinct = t->list[0].n;
        return PM_OK;
    }
    PM_TRY(pm_ticker_phase(t->ticker, "add up", "shards", 1 << SHARD_BITS, err));
    PM_TRY(pm_parallel(t->threads, 1 << SHARD_BITS, add_shard, &a, t->ticker, err));
    out->distinct = 0;
    for (size_t i = 0; i < 1 << SHARD_BITS; i++) {
        out->distinct += a.shards[i].distinct;
        out->doubles |= a.shards[i].doubles;
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- the calls ---- */

static pm_status init_table(pm_word_tables *tables, unsigned thread, pm_store *store, const pm_count_options *o, pm_error *err) {
    uint64_t most = o->memory / tables->threads, least = PM_COUNT_LEAST_MEMORY;
    pm_word_table *t = &tables->list[thread];
    t->store = store;
    t->memory = !o->memory ? UINT64_MAX : most < least ? least : most;
    t->documents = o->documents;
    t->per_document = o->documents || o->max_count_per_document;
    t->max_in_document = o->max_count_per_document ? o->max_count_per_document : UINT64_MAX;
    t->ticker = tables->ticker;
    t->thread = thread;
    return pm_word_table_init(t, o->splitter, err);
}

pm_status pm_word_tables_init(pm_word_tables *t, pm_store *store, const pm_count_options *options, pm_ticker *ticker, pm_error *err) {
    *t = (pm_word_tables){.threads = options->threads ? options->threads : 1, .ticker = ticker};
    t->list = pm_calloc(t->threads, sizeof *t->list);
    if (!t->list) {
        return pm_fail_memory(err);
    }
    for (unsigned i = 0; i < t->threads; i++) {
        PM_TRY(init_table(t, i, store, options, err));
    }
    return PM_OK;
}

pm_status pm_word_tables_finish(pm_word_tables *t, pm_word_counts *out, pm_error *err) {
    PM_TRY(add_up(t, out, err));
    for (unsigned i = 0; i < t->threads; i++) {
        PM_TRY(pm_word_table_finish(&t->list[i], err));
        out->words += t->list[i].words;
        out->evicted += t->list[i].evicted;
        out->doubles |= t->list[i].doubles;
    }
    out->distinct += out->evicted;
    out->doubles |= out->evicted > 0;
    return PM_OK;
}

void pm_word_tables_release(pm_word_tables *t) {
    for (unsigned i = 0; t->list && i < t->threads; i++) {
        pm_word_table_release(&t->list[i]);
    }
    pm_free(t->list);
    *t = (pm_word_tables){0};
}
