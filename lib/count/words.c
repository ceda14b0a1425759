/* words.c - counting pre-tokens.
 *
 * Idea. The calling thread reads blocks of documents, every thread cuts blocks into pre-tokens and counts them in a table
 * of its own, so that nothing is shared while it matters. A word that several threads met then stands in several
 * tables; a last parallel pass over ranges of the hash adds those up and kills the doubles.
 *
 * A table is two things. The words lie one behind the other as records (records.h): weight, length, bytes, filled up with
 * zeros to 8 bytes. These records are what the call returns: nothing is copied at the end. Over them lies an index
 * of 8 bytes a slot, open addressing with linear probing: 32 bits of the hash (`tag`), and where the record is (`ref`: its place in
 * units of 8 bytes, counted through all chunks of the thread; 0 is an empty slot). A slot's home is the top bits of
 * its tag. So
 *     - a look-up touches one line of the index and, where all 32 bits agree, one of the records;
 *     - doubling the index reads it once from front to back and writes the new one from front to back;
 *     - the words of a range of hashes are a range of the index, which is what lets the last pass run in parallel.
 *
 *     "the" with count 7 at ref 4 (byte 32 of the first chunk):   07 00 00 00  03 00 00 00  74 68 65 00 00 00 00 00
 *
 * Words are collected in a queue of some hundred with their hashes, and the index line is asked for ahead of need: a Chinese
 * corpus of 50 MB has a million distinct words, and its index fits no cache.
 *
 * A weight that reaches 2^32 - 1 is left behind as a record of its own, outside the index, and counting begins again at zero: records
 * of the same word add up, so counts are 64-bit and more.
 *
 * Cost: one hash and about one cache miss a pre-token; memory: the distinct words, 8 bytes each and rounded up to 8, and 12
 * to 23 bytes of index for each. */
#include "count/words.h"

#include "base/hash.h"

enum {
    BLOCK_BYTES = 1 << 19,
    QUEUE = 256,       /* words looked up together */
    ENDS = 256,        /* pre-tokens asked of the splitter at once */
    POLL_BYTES = 1 << 20, /* of one document between two looks at the ticker */
    FIRST_BITS = 12,   /* of the index */
    MAX_BITS = 31,
    SHARD_BITS = 6,    /* ranges of the last pass: 64 */
    REF_SHIFT = 3,     /* a ref counts 8 bytes */
    PAGE_SHIFT = 18 - REF_SHIFT /* refs in a page of PM_CHUNK_BYTES */
};

typedef struct slot {
    uint32_t tag, ref;
} slot;

typedef struct queued {
    const uint8_t *text;
    uint32_t len, tag;
} queued;

/* One thread's words. */
typedef struct table {
    slot *slots;
    unsigned bits;
    size_t n;          /* slots in use */
    pm_records records;
    uint8_t **pages;   /* page p begins at ref p << PAGE_SHIFT; a long chunk is several pages */
    size_t n_pages, cap_pages;
    pm_split_scratch *scratch;
    queued queue[QUEUE];
    size_t n_queue;
    uint64_t words, documents, bytes, documents_with_special;
    char apart[64]; /* keeps the counters of two threads out of one cache line */
} table;

/* ---------------------------------------------------------------- the table ---- */

static pm_record *record_of(const table *t, uint32_t ref) {
    return (pm_record *)(t->pages[ref >> PAGE_SHIFT] + ((size_t)(ref & ((1u << PAGE_SHIFT) - 1)) << REF_SHIFT));
}

static size_t index_bytes(unsigned bits) { return sizeof(slot) << bits; }

static pm_status table_init(table *t, const pm_splitter *splitter, pm_error *err) {
    t->bits = FIRST_BITS;
    t->slots = pm_pages_alloc(index_bytes(t->bits));
    return t->slots ? pm_split_scratch_new(&t->scratch, splitter, err) : pm_fail_memory(err);
}

/* Everything but the records. */
static void table_release_index(table *t) {
    if (t->slots) {
        pm_pages_free(t->slots, index_bytes(t->bits));
    }
    t->slots = NULL;
    pm_free(t->pages);
    t->pages = NULL;
    pm_split_scratch_free(t->scratch);
    t->scratch = NULL;
}

static pm_status grow_index(table *t, pm_error *err) {
    unsigned bits = t->bits + 1;
    if (bits > MAX_BITS) {
        return pm_fail(err, PM_LIMIT, "more than 2^%d distinct pre-tokens", MAX_BITS);
    }
    slot *slots = pm_pages_alloc(index_bytes(bits));
    if (!slots) {
        return pm_fail_memory(err);
    }
    size_t mask = ((size_t)1 << bits) - 1;
    for (size_t i = 0; i < (size_t)1 << t->bits; i++) {
        slot s = t->slots[i];
        if (s.ref) {
            size_t at = s.tag >> (32 - bits);
            while (slots[at].ref) {
                at = (at + 1) & mask;
            }
            slots[at] = s;
        }
    }
    pm_pages_free(t->slots, index_bytes(t->bits));
    t->slots = slots;
    t->bits = bits;
    return PM_OK;
}

/* Names the pages of the chunk that was just added. */
static pm_status add_pages(table *t, pm_error *err) {
    const pm_chunk *chunk = t->records.last;
    size_t n = chunk->size / PM_CHUNK_BYTES;
    if (t->n_pages + n > (size_t)1 << (32 - PAGE_SHIFT)) {
        return pm_fail(err, PM_LIMIT, "more than 32 GiB of distinct pre-tokens in one thread");
    }
    PM_TRY(pm_grow((void **)&t->pages, &t->cap_pages, t->n_pages + n, sizeof *t->pages, err));
    for (size_t i = 0; i < n; i++) {
        t->pages[t->n_pages++] = (uint8_t *)chunk + i * PM_CHUNK_BYTES;
    }
    return PM_OK;
}

/* Appends a record. Its ref in *ref. */
static pm_status add_record(table *t, const uint8_t *text, uint32_t len, uint32_t weight, uint32_t *ref, pm_error *err) {
    size_t bytes = pm_record_bytes(len, 1);
    const pm_chunk *before = t->records.last;
    pm_record *record = pm_records_reserve(&t->records, bytes);
    if (!record) {
        return pm_fail_memory(err);
    }
    pm_chunk *chunk = t->records.last;
    if (chunk != before) {
        PM_TRY(add_pages(t, err));
    }
    size_t first_page = t->n_pages - chunk->size / PM_CHUNK_BYTES;
    *ref = (uint32_t)((first_page << PAGE_SHIFT) + (chunk->used >> REF_SHIFT));
    record->weight = weight;
    record->n = len;
    memcpy(pm_record_cells(record), text, len); /* the padding is zero already: chunks are new pages */
    chunk->used += bytes;
    return PM_OK;
}

static inline uint64_t load8(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, 8);
    return x;
}

static inline uint32_t load4(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, 4);
    return x;
}

/* memcmp(a, b, n) == 0 without a call; n > 0. The last step overlaps the one before it. */
static inline bool equal(const uint8_t *a, const uint8_t *b, size_t n) {
    if (n >= 8) {
        size_t i = 0;
        for (; i + 8 < n; i += 8) {
            if (load8(a + i) != load8(b + i)) {
                return false;
            }
        }
        return load8(a + n - 8) == load8(b + n - 8);
    }
    if (n >= 4) {
        return load4(a) == load4(b) && load4(a + n - 4) == load4(b + n - 4);
    }
    return a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1];
}

static pm_status count_one(table *t, const queued *q, pm_error *err) {
    size_t mask = ((size_t)1 << t->bits) - 1;
    size_t at = q->tag >> (32 - t->bits);
    for (; t->slots[at].ref; at = (at + 1) & mask) {
        if (t->slots[at].tag != q->tag) {
            continue;
        }
        pm_record *record = record_of(t, t->slots[at].ref);
        if (record->n == q->len && equal(pm_record_cells(record), q->text, q->len)) {
            if (record->weight == UINT32_MAX) {
                uint32_t unused;
                PM_TRY(add_record(t, q->text, q->len, UINT32_MAX, &unused, err));
                record->weight = 0;
            }
            record->weight++;
            return PM_OK;
        }
    }
    uint32_t ref;
    PM_TRY(add_record(t, q->text, q->len, 1, &ref, err));
    t->slots[at] = (slot){q->tag, ref};
    t->n++;
    return t->n > mask - mask / 3 ? grow_index(t, err) : PM_OK;
}

static pm_status flush(table *t, pm_error *err) {
    for (size_t i = 0; i < t->n_queue; i++) {
        PM_TRY(count_one(t, &t->queue[i], err));
    }
    t->words += t->n_queue;
    t->n_queue = 0;
    return PM_OK;
}

static inline pm_status count_word(table *t, const uint8_t *text, size_t len, pm_error *err) {
    if (len >= UINT32_MAX) {
        return pm_fail(err, PM_LIMIT, "a pre-token of %zu bytes: at most 2^32 - 2 are possible", len);
    }
    uint32_t tag = (uint32_t)(pm_hash(text, len) >> 32);
    __builtin_prefetch(&t->slots[tag >> (32 - t->bits)]);
    t->queue[t->n_queue++] = (queued){text, (uint32_t)len, tag};
    return t->n_queue == QUEUE ? flush(t, err) : PM_OK;
}

static pm_status count_document(table *t, pm_ticker *ticker, unsigned thread, const uint8_t *text, size_t len,
                                pm_error *err) {
    size_t ends[ENDS], n, start = 0, polled = 0;
    pm_split_begin(t->scratch, text, len);
    do {
        PM_TRY(pm_split_next(t->scratch, ends, ENDS, &n, err));
        for (size_t i = 0; i < n; i++) {
            PM_TRY(count_word(t, text + start, ends[i] - start, err));
            start = ends[i];
        }
        if (start - polled >= POLL_BYTES) {
            PM_TRY(pm_ticker_poll(ticker, thread, err));
            polled = start;
        }
    } while (n);
    return PM_OK;
}

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

typedef struct counting {
    pm_corpus *corpus;
    const pm_special_token *specials;
    size_t n_specials;
    pm_ticker *ticker;
    table *tables;
    unsigned threads;
} counting;

static pm_status produce(void *ctx, void *block, bool *filled, bool *more, pm_error *err) {
    counting *c = ctx;
    uint64_t done, total;
    PM_TRY(pm_corpus_fill(c->corpus, block, BLOCK_BYTES, err));
    *filled = *more = ((pm_block *)block)->n > 0;
    pm_corpus_position(c->corpus, &done, &total);
    c->ticker->now.total = total;
    return pm_ticker_tick(c->ticker, done, err);
}

static pm_status consume(void *ctx, unsigned thread, void *item, pm_error *err) {
    counting *c = ctx;
    table *t = &c->tables[thread];
    const pm_block *block = item;
    size_t start = 0;
    for (size_t i = 0; i < block->n; i++) {
        if (block->ends[i] > start) {
            PM_TRY(count_document(t, c->ticker, thread, block->text.data + start, block->ends[i] - start, err));
        }
        start = block->ends[i];
    }
    t->documents += block->n;
    t->bytes += block->text.len;
    PM_TRY(flush(t, err)); /* the queue points into the block */
    return c->n_specials ? count_with_special(block, c->specials, c->n_specials, &t->documents_with_special, err) : PM_OK;
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

typedef struct found {
    uint32_t tag;
    unsigned thread;
    pm_record *record; /* NULL: empty */
} found;

typedef struct adding {
    table *tables;
    unsigned threads;
    uint64_t *distinct; /* of each shard */
} adding;

/* The words of one shard, of all threads. */
typedef struct gather {
    const table *t; /* whose words are visited */
    unsigned thread;
    found *slots;
    size_t mask, n; /* n: words in all tables */
    uint64_t distinct;
} gather;

/* Calls visit for the words of a shard: those from the shard's place in the index on, and those pushed behind its end. */
static void each_of_shard(const table *t, uint32_t shard, void (*visit)(gather *, slot), gather *g) {
    size_t mask = ((size_t)1 << t->bits) - 1;
    size_t start = (size_t)shard << (t->bits - SHARD_BITS), n = (size_t)1 << (t->bits - SHARD_BITS);
    for (size_t i = 0; i <= mask; i++) {
        slot s = t->slots[(start + i) & mask];
        if (i >= n && !s.ref) {
            return;
        }
        if (s.ref && s.tag >> (32 - SHARD_BITS) == shard) {
            visit(g, s);
        }
    }
}

static void count_word_of_shard(gather *g, slot s) {
    (void)s;
    g->n++;
}

/* Adds the word to an equal one of another thread that is there already, or puts it in. */
static void gather_word(gather *g, slot s) {
    pm_record *record = record_of(g->t, s.ref);
    size_t at = (s.tag * UINT32_C(0x9E3779B1)) & g->mask; /* the top bits are alike in a shard */
    for (; g->slots[at].record; at = (at + 1) & g->mask) {
        pm_record *other = g->slots[at].record;
        if (g->slots[at].tag == s.tag && g->slots[at].thread != g->thread && other->n == record->n &&
            equal(pm_record_cells(other), pm_record_cells(record), record->n)) {
            if (other->weight <= UINT32_MAX - record->weight) {
                other->weight += record->weight;
                record->weight = 0;
            }
            return;
        }
    }
    g->slots[at] = (found){s.tag, g->thread, record};
    g->distinct++;
}

static pm_status add_shard(void *ctx, unsigned thread, size_t shard, pm_error *err) {
    adding *a = ctx;
    gather g = {0};
    (void)thread;
    for (unsigned i = 0; i < a->threads; i++) {
        each_of_shard(&a->tables[i], (uint32_t)shard, count_word_of_shard, &g);
    }
    size_t cap = 16;
    while (cap < 2 * g.n) {
        cap *= 2;
    }
    g.slots = pm_calloc(cap, sizeof *g.slots);
    if (!g.slots) {
        return pm_fail_memory(err);
    }
    g.mask = cap - 1;
    for (unsigned i = 0; i < a->threads; i++) {
        g.t = &a->tables[i];
        g.thread = i;
        each_of_shard(g.t, (uint32_t)shard, gather_word, &g);
    }
    a->distinct[shard] = g.distinct;
    pm_free(g.slots);
    return PM_OK;
}

static pm_status add_up(table *tables, unsigned threads, pm_ticker *ticker, uint64_t *total, pm_error *err) {
    uint64_t distinct[1 << SHARD_BITS] = {0};
    adding a = {tables, threads, distinct};
    if (threads == 1) {
        *total = tables[0].n;
        return PM_OK;
    }
    PM_TRY(pm_ticker_phase(ticker, "add up", "shards", 1 << SHARD_BITS, err));
    PM_TRY(pm_parallel(threads, 1 << SHARD_BITS, add_shard, &a, ticker, err));
    *total = 0;
    for (size_t i = 0; i < 1 << SHARD_BITS; i++) {
        *total += distinct[i];
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- the call ---- */

static pm_status count_all(pm_word_counts *out, counting *c, const pm_splitter *splitter, pm_error *err) {
    for (unsigned i = 0; i < c->threads; i++) {
        PM_TRY(table_init(&c->tables[i], splitter, err));
    }
    PM_TRY(pm_ticker_phase(c->ticker, "count words", "bytes", 0, err));
    PM_TRY(read_all(c, err));
    PM_TRY(add_up(c->tables, c->threads, c->ticker, &out->distinct, err));
    for (unsigned i = 0; i < c->threads; i++) {
        table *t = &c->tables[i];
        out->words += t->words;
        out->documents += t->documents;
        out->bytes += t->bytes;
        out->documents_with_special += t->documents_with_special;
        pm_records_join(&out->records, &t->records);
    }
    return PM_OK;
}

pm_status pm_count_words(pm_word_counts *out, pm_corpus *corpus, const pm_splitter *splitter, const pm_special_token *specials, size_t n_specials,
                         unsigned threads, pm_ticker *ticker, pm_error *err) {
    counting c = {corpus, specials, n_specials, ticker, NULL, threads ? threads : 1};
    *out = (pm_word_counts){0};
    c.tables = pm_calloc(c.threads, sizeof *c.tables);
    if (!c.tables) {
        return pm_fail_memory(err);
    }
    pm_status status = count_all(out, &c, splitter, err);
    for (unsigned i = 0; i < c.threads; i++) {
        table_release_index(&c.tables[i]);
        pm_records_release(&c.tables[i].records);
    }
    pm_free(c.tables);
    if (status != PM_OK) {
        pm_word_counts_release(out);
    }
    return status;
}

void pm_word_counts_release(pm_word_counts *words) {
    pm_records_release(&words->records);
    *words = (pm_word_counts){0};
}
