/* words.c - counting the pre-tokens of a corpus.
 *
 * The calling thread reads blocks of documents, every thread cuts blocks into pre-tokens and counts them in a table of its own (word_table.c), so
 * that nothing is shared while it matters. A word that several threads met then stands in several tables; a last parallel pass over
 * ranges of the hash looks each word up in the tables before its own, adds it to the first that has it, and kills the double: a range of hashes is
 * a range of every index, so both are read from front to back. Then all records go to the store. */
#include "count/words.h"

#include "count/word_table.h"

enum {
    BLOCK_BYTES = 1 << 17,
    POLL_SLOTS = 1 << 16,
    SHARD_BITS = 6 /* ranges of the last pass: 64 */
};

typedef struct counting {
    pm_corpus *corpus;
    const pm_count_options *o;
    pm_ticker *ticker;
    pm_word_table *tables;
    unsigned threads;
    pm_word_counts *out; /* the calling thread's */
    struct special_count {
        uint64_t documents;
        char apart[64]; /* keeps the counters of two threads out of one cache line */
    } *with_special;
} counting;

/* ---------------------------------------------------------------- special tokens in text ---- */

static bool one_fits(const uint8_t *text, size_t len, const pm_special_token *specials, size_t n) {
    for (size_t i = 0; i < n; i++) {
        pm_bytes s = specials[i].text;
        if (s.len && s.len <= len && memcmp(text, s.data, s.len) == 0) {
            return true;
        }
    }
    return false;
}

/* How many documents of the block hold one of the texts: the first bytes are looked for in the whole block at once. */
static pm_status count_with_special(const pm_block *block, const pm_special_token *specials, size_t n, uint64_t *count, pm_error *err) {
    bool first[256] = {false};
    bool *held = pm_calloc(block->n + 1, 1);
    if (!held) {
        return pm_fail_memory(err);
    }
    for (size_t s = 0; s < n; s++) {
        uint8_t byte = specials[s].text.data[0];
        const uint8_t *p = block->text.data, *end = p + block->text.len;
        size_t doc = 0;
        while (!first[byte] && p < end && (p = memchr(p, byte, (size_t)(end - p))) != NULL) {
            size_t at = (size_t)(p - block->text.data);
            while (block->ends[doc] <= at) {
                doc++;
            }
            held[doc] = held[doc] || one_fits(p, block->ends[doc] - at, specials, n);
            p = held[doc] ? block->text.data + block->ends[doc] : p + 1;
        }
        first[byte] = true;
    }
    for (size_t i = 0; i < block->n; i++) {
        *count += held[i];
    }
    pm_free(held);
    return PM_OK;
}

/* ---------------------------------------------------------------- reading and counting ---- */

static pm_status produce(void *ctx, void *item, bool *filled, bool *more, pm_error *err) {
    counting *c = ctx;
    pm_block *block = item;
    uint64_t done, total;
    *filled = *more = false;
    if (c->o->stop && c->out->bytes >= c->o->stop) {
        return PM_OK;
    }
    PM_TRY(pm_corpus_fill(c->corpus, block, BLOCK_BYTES, err));
    *filled = *more = block->n > 0;
    c->out->ended = block->n == 0;
    c->out->documents += block->n;
    c->out->bytes += block->text.len;
    if (c->o->text_hash && block->n) {
        XXH3_64bits_update(c->o->text_hash, block->text.data, block->text.len);
        XXH3_64bits_update(c->o->text_hash, block->ends, block->n * sizeof *block->ends);
        XXH3_64bits_update(c->o->text_hash, &block->weight, sizeof block->weight);
    }
    pm_corpus_position(c->corpus, &done, &total);
    c->ticker->now.total = total;
    return pm_ticker_tick(c->ticker, done, err);
}

static pm_status consume(void *ctx, unsigned thread, void *item, pm_error *err) {
    counting *c = ctx;
    pm_word_table *t = &c->tables[thread];
    const pm_block *block = item;
    PM_TRY(pm_word_table_add(t, block, err));
    return c->o->n_specials ? count_with_special(block, c->o->specials, c->o->n_specials, &c->with_special[thread].documents, err) : PM_OK;
}

static pm_status read_all(counting *c, pm_error *err) {
    static const pm_stream_ops ops = {produce, consume};
    size_t n = c->threads > 1 ? 2 * (size_t)c->threads : 1;
    pm_block *blocks = pm_calloc(n, sizeof *blocks);
    void **pointers = pm_alloc(n, sizeof *pointers);
    pm_status status = blocks && pointers ? PM_OK : pm_fail_memory(err);
    if (status == PM_OK) {
        for (size_t i = 0; i < n; i++) {
            pointers[i] = &blocks[i];
        }
        status = pm_stream(c->threads, pointers, n, &ops, c, c->ticker, err);
    }
    for (size_t i = 0; blocks && i < n; i++) {
        pm_block_release(&blocks[i]);
    }
    pm_free(blocks);
    pm_free(pointers);
    return status;
}

/* ---------------------------------------------------------------- adding up what several threads counted ---- */

typedef struct adding {
    pm_word_table *tables;
    unsigned threads;
    uint64_t *distinct; /* of each shard */
} adding;

static void move_counts(const pm_word_table *t, pm_record *to, pm_record *from) {
    if (to->weight <= UINT32_MAX - from->weight) {
        to->weight += from->weight;
        from->weight = 0;
        if (t->per_document) {
            pm_word_documents_of(to)->documents += pm_word_documents_of(from)->documents;
        }
    }
}

/* Adds a word of table `own` to the first table before it that has it. False: none has. */
static bool give_away(const adding *a, unsigned own, pm_word_slot s) {
    pm_record *record = pm_word_record(&a->tables[own], s.ref);
    for (unsigned i = 0; i < own; i++) {
        pm_record *other = pm_word_table_find(&a->tables[i], s.tag, record);
        if (other) {
            move_counts(&a->tables[own], other, record);
            return true;
        }
    }
    return false;
}

/* The words of a shard stand in the index from its place on, and some are pushed behind its end. */
static pm_status add_shard(void *ctx, unsigned thread, size_t shard, pm_error *err) {
    const adding *a = ctx;
    for (unsigned own = 0; own < a->threads; own++) {
        const pm_word_table *t = &a->tables[own];
        size_t mask = ((size_t)1 << t->bits) - 1, n = (size_t)1 << (t->bits - SHARD_BITS), start = shard * n;
        for (size_t i = 0; i <= mask; i++) {
            pm_word_slot s = t->slots[(start + i) & mask];
            if (i >= n && !s.ref) {
                break;
            }
            if (s.ref && s.tag >> (32 - SHARD_BITS) == shard && !give_away(a, own, s)) {
                a->distinct[shard]++;
            }
            if (i % POLL_SLOTS == POLL_SLOTS - 1) {
                PM_TRY(pm_ticker_poll(a->tables->ticker, thread, err));
            }
        }
    }
    return PM_OK;
}

/* Leaves each word in one table; the number of words in *total. */
static pm_status add_up(counting *c, uint64_t *total, pm_error *err) {
    uint64_t distinct[1 << SHARD_BITS] = {0};
    adding a = {c->tables, c->threads, distinct};
    if (c->threads == 1) {
        *total = c->tables[0].n;
        return PM_OK;
    }
    PM_TRY(pm_ticker_phase(c->ticker, "add up", "shards", 1 << SHARD_BITS, err));
    PM_TRY(pm_parallel(c->threads, 1 << SHARD_BITS, add_shard, &a, c->ticker, err));
    *total = 0;
    for (size_t i = 0; i < 1 << SHARD_BITS; i++) {
        *total += distinct[i];
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- the call ---- */

static pm_status init_table(counting *c, unsigned thread, pm_store *store, pm_error *err) {
    const pm_count_options *o = c->o;
    uint64_t most = o->memory / c->threads, least = PM_COUNT_LEAST_MEMORY;
    pm_word_table *t = &c->tables[thread];
    t->store = store;
    t->memory = !o->memory ? UINT64_MAX : most < least ? least : most;
    t->documents = o->documents;
    t->per_document = o->documents || o->max_count_per_document;
    t->max_in_document = o->max_count_per_document ? o->max_count_per_document : UINT64_MAX;
    t->ticker = c->ticker;
    t->thread = thread;
    return pm_word_table_init(t, o->splitter, err);
}

static pm_status count_all(counting *c, pm_store *store, pm_error *err) {
    for (unsigned i = 0; i < c->threads; i++) {
        PM_TRY(init_table(c, i, store, err));
    }
    uint64_t done, total;
    pm_corpus_position(c->corpus, &done, &total);
    PM_TRY(pm_ticker_phase_from(c->ticker, "count words", "bytes", done, total, err));
    PM_TRY(read_all(c, err));
    PM_TRY(add_up(c, &c->out->distinct, err));
    for (unsigned i = 0; i < c->threads; i++) {
        pm_word_table *t = &c->tables[i];
        c->out->words += t->words;
        c->out->evicted += t->evicted;
        c->out->documents_with_special += c->with_special[i].documents;
        PM_TRY(pm_word_table_finish(t, err));
    }
    c->out->distinct += c->out->evicted;
    return PM_OK;
}

pm_status pm_count_words(pm_word_counts *out, pm_store *store, pm_corpus *corpus, const pm_count_options *options, pm_ticker *ticker, pm_error *err) {
    unsigned threads = options->threads ? options->threads : 1;
    counting c = {.corpus = corpus, .o = options, .ticker = ticker, .threads = threads, .out = out};
    *out = (pm_word_counts){0};
    c.tables = pm_calloc(threads, sizeof *c.tables);
    c.with_special = pm_calloc(threads, sizeof *c.with_special);
    pm_status status = c.tables && c.with_special ? count_all(&c, store, err) : pm_fail_memory(err);
    for (unsigned i = 0; c.tables && i < threads; i++) {
        pm_word_table_release(&c.tables[i]);
    }
    pm_free(c.tables);
    pm_free(c.with_special);
    return status;
}

pm_status pm_count_skip(pm_word_counts *out, pm_corpus *corpus, uint64_t bytes, XXH3_state_t *text_hash, pm_ticker *ticker, pm_error *err) {
    pm_count_options options = {.stop = bytes, .text_hash = text_hash};
    counting c = {.corpus = corpus, .o = &options, .ticker = ticker, .out = out};
    pm_block block = {0};
    bool filled, more = true;
    pm_status status = PM_OK;
    *out = (pm_word_counts){0};
    while (status == PM_OK && more) {
        status = produce(&c, &block, &filled, &more, err);
    }
    pm_block_release(&block);
    return status;
}
