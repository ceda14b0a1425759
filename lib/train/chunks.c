/* chunks.c - see chunks.h.
 *
 * A document is brought to NFC, split by the pattern if there is one, and cut into chunks (text/chunk.c). Chunks are collected into runs of about 256
 * KB, one for each thread; a run ends too where the next document has another weight or begins in another section of the corpus. Which chunks a section
 * has depends on the documents only, neither on threads nor on the blocks that documents are read in: so counting may be done section by section
 * and go on at any of them (checkpoint.c). */
#include "train/chunks.h"

#include "text/chunk.h"
#include "text/nfc.h"

enum { BLOCK_BYTES = 1 << 18, RUN_BYTES = 1 << 18, SLICE_BYTES = 1 << 20, ENDS = 256 };

typedef struct pm_chunker_thread {
    pm_chunks run;
    pm_buf normal;
    pm_split_scratch *split; /* NULL: there is no pattern */
    uint64_t chunks, with_special;
    char apart[64]; /* keeps the counters of two threads out of one cache line */
} crafter;

typedef struct placed_block {
    pm_block block;
    uint64_t at; /* bytes of text before it */
} placed_block;

/* ---------------------------------------------------------------- runs ---- */

static pm_status finish_run(pm_chunker *c, unsigned thread, pm_error *err) {
    pm_chunks *run = &c->threads[thread].run;
    if (!run->n && !run->n_docs) {
        return PM_OK;
    }
    PM_TRY(pm_ticker_poll(&c->job->ticker, thread, err)); /* a document may have thousands of runs */
    PM_TRY(c->take(c->ctx, thread, run, err));
    run->len = run->n = run->n_docs = 0;
    return PM_OK;
}

/* Documents of this weight and section come next. */
static pm_status turn_run(pm_chunker *c, unsigned thread, uint32_t weight, uint64_t section, pm_error *err) {
    pm_chunks *run = &c->threads[thread].run;
    if (pm_chunks_weight(run) != weight || run->section != section) {
        PM_TRY(finish_run(c, thread, err));
    }
    run->weight = weight;
    run->section = section;
    return PM_OK;
}

/* Cuts a text into chunks. */
static pm_status take_text(pm_chunker *c, unsigned thread, const uint8_t *text, size_t len, pm_error *err) {
    crafter *own = &c->threads[thread];
    uint64_t section = own->run.section;
    for (size_t at = 0, end; at < len; at = end) {
        end = at + pm_chunk_next(text + at, len - at, c->job->o.isolate_digits);
        PM_TRY(pm_chunks_add(&own->run, text + at, end - at, err));
        own->chunks++;
        if (own->run.len >= RUN_BYTES && !c->whole_documents) {
            uint32_t weight = own->run.weight;
            PM_TRY(finish_run(c, thread, err));
            PM_TRY(turn_run(c, thread, weight, section, err));
        }
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- documents ---- */

/* Where a slice of the document ends: before an ASCII character, with which nothing to its left joins. */
static size_t slice_end(pm_bytes doc, size_t begin) {
    size_t end = doc.len - begin > SLICE_BYTES ? begin + SLICE_BYTES : doc.len;
    while (end < doc.len && doc.data[end] >= 0x80) {
        end++;
    }
    return end;
}

/* The document in NFC: itself, or a copy in the thread's memory. In slices, so that a long document can be given up. */
static pm_status normalize(pm_chunker *c, unsigned thread, pm_bytes doc, pm_bytes *text, pm_error *err) {
    pm_buf *normal = &c->threads[thread].normal;
    bool copied = false;

    normal->len = 0;
    for (size_t at = 0, end; at < doc.len; at = end) {
        end = slice_end(doc, at);
        if (at) {
            PM_TRY(pm_ticker_poll(&c->job->ticker, thread, err));
        }
        if (!copied) {
            if (pm_nfc_quick_check(doc.data + at, end - at)) {
                continue;
            }
            PM_TRY(pm_buf_append(normal, doc.data, at, err));
            copied = true;
        }
        PM_TRY(pm_nfc_append(normal, doc.data + at, end - at, err));
    }
    *text = copied ? (pm_bytes){normal->data, normal->len} : doc;
    return PM_OK;
}

/* Splits the text by the pattern. */
static pm_status take_words(pm_chunker *c, unsigned thread, pm_bytes text, pm_error *err) {
    pm_split_scratch *split = c->threads[thread].split;
    size_t ends[ENDS], start = 0, n;
    if (!split) {
        return take_text(c, thread, text.data, text.len, err);
    }
    pm_split_begin(split, text.data, text.len);
    for (;;) {
        PM_TRY(pm_split_next(split, ends, ENDS, &n, err));
        if (n == 0) {
            return PM_OK;
        }
        for (size_t i = 0; i < n; start = ends[i++]) {
            PM_TRY(take_text(c, thread, text.data + start, ends[i] - start, err));
        }
    }
}

static pm_status take_document(pm_chunker *c, unsigned thread, pm_bytes doc, pm_error *err) {
    crafter *own = &c->threads[thread];
    pm_special_hit hit;
    pm_bytes text;

    if (doc.len) {
        if (c->specials) {
            own->with_special +=
                pm_specials_next(c->specials, (pm_special_rules){NULL, PM_SPECIAL_NOTICE}, doc.data, doc.len, 0, &hit);
        }
        PM_TRY(normalize(c, thread, doc, &text, err));
        PM_TRY(take_words(c, thread, text, err));
    }
    if (!c->whole_documents) {
        return PM_OK;
    }
    PM_TRY(pm_chunks_end_document(&own->run, err));
    return own->run.len >= RUN_BYTES ? finish_run(c, thread, err) : PM_OK;
}

/* ---------------------------------------------------------------- reading ---- */

static void hash_block(XXH3_state_t *hash, const pm_block *b) {
    XXH3_64bits_update(hash, b->text.data, b->text.len);
    XXH3_64bits_update(hash, b->ends, b->n * sizeof *b->ends);
    XXH3_64bits_update(hash, &b->weight, sizeof b->weight);
}

static pm_status produce(void *ctx, void *item, bool *filled, bool *more, pm_error *err) {
    pm_chunker *c = ctx;
    placed_block *p = item;
    uint64_t done, total;

    *filled = *more = false;
    if (c->bytes >= c->stop) {
        return PM_OK;
    }
    PM_TRY(pm_corpus_fill(c->corpus, &p->block, BLOCK_BYTES, err));
    *filled = *more = p->block.n > 0;
    c->ended = p->block.n == 0;
    p->at = c->bytes;
    c->documents += p->block.n;
    c->bytes += p->block.text.len;
    if (c->hash && p->block.n) {
        hash_block(c->hash, &p->block);
    }
    pm_corpus_position(c->corpus, &done, &total);
    c->job->ticker.now.total = total;
    return pm_ticker_tick(&c->job->ticker, done, err);
}

static pm_status consume(void *ctx, unsigned thread, void *item, pm_error *err) {
    pm_chunker *c = ctx;
    const placed_block *p = item;
    const pm_block *b = &p->block;
    for (size_t i = 0; c->take && i < b->n; i++) {
        size_t begin = i ? b->ends[i - 1] : 0, len = b->ends[i] - begin;
        PM_TRY(turn_run(c, thread, b->weight, c->section_bytes ? (p->at + begin) / c->section_bytes : 0, err));
        PM_TRY(take_document(c, thread, (pm_bytes){len ? b->text.data + begin : NULL, len}, err));
    }
    return PM_OK;
}

static pm_status read_blocks(pm_chunker *c, pm_error *err) {
    unsigned threads = c->job->o.threads;
    size_t n = threads > 1 ? 2 * (size_t)threads : 1;
    static const pm_stream_ops ops = {produce, consume};
    placed_block *blocks = pm_calloc(n, sizeof *blocks);
    void **pointers = pm_alloc(n, sizeof *pointers);
    pm_status status = blocks && pointers ? PM_OK : pm_fail_memory(err);

    for (size_t i = 0; status == PM_OK && i < n; i++) {
        pointers[i] = &blocks[i];
    }
    if (status == PM_OK) {
        status = pm_stream(threads, pointers, n, &ops, c, &c->job->ticker, err);
    }
    for (size_t i = 0; blocks && i < n; i++) {
        pm_block_release(&blocks[i].block);
    }
    pm_free(blocks);
    pm_free(pointers);
    return status;
}

pm_status pm_chunker_read(pm_chunker *c, uint64_t stop, pm_run_fn take, void *ctx, pm_error *err) {
    c->stop = stop;
    c->take = take;
    c->ctx = ctx;
    PM_TRY(read_blocks(c, err));
    for (unsigned i = 0; i < c->job->o.threads; i++) {
        crafter *own = &c->threads[i];
        PM_TRY(finish_run(c, i, err));
        c->chunks += own->chunks;
        c->with_special += own->with_special;
        own->chunks = own->with_special = 0;
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- life ---- */

pm_status pm_chunker_init(pm_chunker *c, pm_corpus *corpus, pm_train_job *job, pm_error *err) {
    const pm_train_options *o = &job->o;
    *c = (pm_chunker){.corpus = corpus, .job = job};
    c->threads = pm_calloc(o->threads, sizeof *c->threads);
    if (!c->threads) {
        return pm_fail_memory(err);
    }
    for (unsigned i = 0; job->splitter && i < o->threads; i++) {
        PM_TRY(pm_split_scratch_new(&c->threads[i].split, job->splitter, err));
    }
    return o->n_special_tokens ? pm_specials_new(&c->specials, o->special_tokens, o->n_special_tokens, err) : PM_OK;
}

void pm_chunker_release(pm_chunker *c) {
    for (unsigned i = 0; c->threads && i < c->job->o.threads; i++) {
        pm_chunks_release(&c->threads[i].run);
        pm_buf_release(&c->threads[i].normal);
        pm_split_scratch_free(c->threads[i].split);
    }
    pm_free(c->threads);
    pm_specials_free(c->specials);
    *c = (pm_chunker){0};
}
