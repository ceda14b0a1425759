/* words.c - counting the pre-tokens of a corpus.
 *
 * The calling thread reads blocks of documents, every thread cuts blocks into pre-tokens and counts them in a table of its own (word_tables.c), so
 * that nothing is shared while it matters. */
#include "count/words.h"

#include "count/word_tables.h"

enum { BLOCK_BYTES = 1 << 17 };

typedef struct counting {
    pm_corpus *corpus;
    const pm_count_options *o;
    pm_ticker *ticker;
    pm_word_tables tables;
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
    pm_word_table *t = &c->tables.list[thread];
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

/* ---------------------------------------------------------------- the call ---- */

static pm_status count_all(counting *c, pm_store *store, pm_error *err) {
    PM_TRY(pm_word_tables_init(&c->tables, store, c->o, c->ticker, err));
    uint64_t done, total;
    pm_corpus_position(c->corpus, &done, &total);
    PM_TRY(pm_ticker_phase_from(c->ticker, "count words", "bytes", done, total, err));
    PM_TRY(read_all(c, err));
    for (unsigned i = 0; i < c->threads; i++) {
        c->out->documents_with_special += c->with_special[i].documents;
    }
    return pm_word_tables_finish(&c->tables, c->out, err);
}

pm_status pm_count_words(pm_word_counts *out, pm_store *store, pm_corpus *corpus, const pm_count_options *options, pm_ticker *ticker, pm_error *err) {
    unsigned threads = options->threads ? options->threads : 1;
    counting c = {.corpus = corpus, .o = options, .ticker = ticker, .threads = threads, .out = out};
    *out = (pm_word_counts){0};
    c.with_special = pm_calloc(threads, sizeof *c.with_special);
    pm_status status = c.with_special ? count_all(&c, store, err) : pm_fail_memory(err);
    pm_word_tables_release(&c.tables);
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
