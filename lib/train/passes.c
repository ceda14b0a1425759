/* passes.c - see passes.h.
 *
 * A corpus may be a stream that is read once, so chunks are kept in a spool (count/spool.h) for the second pass. Threads take blocks of documents, and later
 * runs of chunks, in any order: all that comes of it are sums of integers and sets, so results do not depend on it.
 *
 * A model in parts writes some ten bytes for each byte of text to a file before pieces are counted (segment.c), so that is done for a window of the text at a
 * time. Pieces go to the store after each: their tables have no memory while the parts of the model have it. */
#include "train/passes.h"

#include "count/word_tables.h"
#include "train/segment.h"

static const uint64_t spool_memory = UINT64_C(1) << 30; /* without a limit */

static pm_count_work work_with(const pm_passes *p, uint64_t memory) {
    return (pm_count_work){p->job->o.threads, memory, p->job->o.tmpdir, &p->job->ticker};
}

pm_status pm_passes_init(pm_passes *p, pm_corpus *corpus, pm_train_job *job, pm_error *err) {
    *p = (pm_passes){.job = job};
    PM_TRY(pm_chunker_init(&p->chunker, corpus, job, err));
    p->chunker.whole_documents = job->count_documents || job->o.max_count_per_document;
    return PM_OK;
}

void pm_passes_release(pm_passes *p) {
    pm_chunker_release(&p->chunker);
    pm_ngram_counter_free(p->counter);
    pm_spool_free(p->spool);
    pm_ngram_model_free(p->model);
    *p = (pm_passes){0};
}

/* ---------------------------------------------------------------- reading ---- */

static pm_status count_run(void *ctx, unsigned thread, pm_chunks *run, pm_error *err) {
    pm_passes *p = ctx;
    return pm_ngram_count(p->counter, thread, run, err);
}

static pm_status keep_run(void *ctx, unsigned thread, pm_chunks *run, pm_error *err) {
    pm_passes *p = ctx;
    (void)thread;
    return run->section < p->first_section ? PM_OK : pm_spool_put(p->spool, run, err);
}

static pm_status count_and_keep_run(void *ctx, unsigned thread, pm_chunks *run, pm_error *err) {
    PM_TRY(count_run(ctx, thread, run, err));
    return keep_run(ctx, thread, run, err);
}

pm_status pm_passes_read(pm_passes *p, uint64_t stop, bool count, bool keep, pm_error *err) {
    const pm_train_options *o = &p->job->o;
    uint64_t limited = p->job->bytepiece_memory.spool;
    uint64_t done, total;
    if (count && !p->counter) {
        const pm_count_work work = work_with(p, p->job->bytepiece_memory.ngrams);
        PM_TRY(pm_ngram_counter_new(&p->counter, o->ngram_order, &work, err));
    }
    if (keep && !p->spool) {
        PM_TRY(pm_spool_new(&p->spool, o->memory_limit ? limited : spool_memory, o->tmpdir, err));
    }
    pm_corpus_position(p->chunker.corpus, &done, &total);
    PM_TRY(pm_ticker_phase_from(&p->job->ticker, count ? "count n-grams" : "read", "bytes", done, total, err));
    return pm_chunker_read(&p->chunker, stop, count && keep ? count_and_keep_run : count ? count_run : keep ? keep_run : NULL, p, err);
}

pm_status pm_passes_ended(pm_passes *p, pm_error *err) {
    pm_train_summary *sum = &p->job->summary;
    sum->documents = p->chunker.documents;
    sum->bytes = p->chunker.bytes;
    sum->words = p->chunker.chunks;
    sum->documents_with_special = p->chunker.with_special;
    return sum->bytes ? PM_OK
                      : pm_fail(err, PM_EMPTY_CORPUS, "the corpus holds no text: %llu documents, all empty",
                                (unsigned long long)sum->documents);
}

/* ---------------------------------------------------------------- n-grams ---- */

static pm_status write_ngram(void *ctx, const pm_ngram *ngram, pm_error *err) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(ngram->word >> (56 - 8 * i));
    }
    return pm_count_writer_add(ctx, bytes, ngram->len, ngram->count, 0, err);
}

pm_status pm_passes_write_ngrams(pm_passes *p, const char *path, const char *settings, pm_count_totals *totals, pm_error *err) {
    const pm_count_work work = work_with(p, p->job->bytepiece_memory.ngrams);
    pm_count_writer writer;
    pm_status status = pm_count_writer_open(&writer, path, NULL, settings, err);
    if (status == PM_OK) {
        status = pm_ngram_counter_stream(p->counter, &work, write_ngram, &writer, err);
    }
    pm_ngram_counter_free(p->counter);
    p->counter = NULL;
    return pm_count_writer_close(&writer, status, totals, err);
}

pm_status pm_passes_model(pm_passes *p, pm_error *err) {
    const pm_count_work work = work_with(p, p->job->bytepiece_memory.model);
    pm_status status = pm_ngram_model_new(&p->model, p->counter, p->job->o.min_count, &work, err);
    pm_ngram_counter_free(p->counter);
    p->counter = NULL;
    return status;
}

/* A word of a count file as an n-gram; longer ones are for the builder to refuse. */
static pm_ngram ngram_of(const pm_counted_word *word) {
    pm_ngram ngram = {.len = word->text.len < 8 ? (unsigned)word->text.len : 8, .count = word->count};
    for (size_t i = 0; i < ngram.len; i++) {
        ngram.word |= (uint64_t)word->text.data[i] << (56 - 8 * i);
    }
    return ngram;
}

static pm_status add_words(pm_ngram_builder *builder, pm_count_stream *stream, pm_error *err) {
    pm_counted_word word;
    bool more;
    for (;;) {
        PM_TRY(pm_count_stream_next(stream, &word, &more, err));
        if (!more) {
            return PM_OK;
        }
        const pm_ngram ngram = ngram_of(&word);
        PM_TRY(pm_ngram_builder_add(builder, &ngram, err));
    }
}

static pm_status build_from(pm_passes *p, pm_count_stream *stream, pm_error *err) {
    const pm_count_work work = work_with(p, p->job->bytepiece_memory.model);
    pm_ngram_builder *builder;
    PM_TRY(pm_ngram_builder_new(&builder, p->job->o.ngram_order, p->job->o.min_count, &work, err));
    pm_status status = add_words(builder, stream, err);
    if (status == PM_OK) {
        status = pm_ngram_builder_finish(&p->model, builder, err);
    }
    pm_ngram_builder_free(builder);
    return status;
}

pm_status pm_passes_model_from(pm_passes *p, const char *const *paths, size_t n, pm_error *err) {
    const pm_count_work work = work_with(p, 0);
    pm_count_stream *stream;
    pm_count_totals totals;
    PM_TRY(pm_ticker_phase(&p->job->ticker, "read n-grams", "n-grams", 0, err));
    PM_TRY(pm_count_stream_files(&stream, paths, n, &totals, &work, err));
    pm_status status = build_from(p, stream, err);
    pm_count_stream_free(stream);
    return status;
}

/* ---------------------------------------------------------------- pieces ---- */

/* The spans of a run, chunk by chunk, document by document. */
static pm_status take_spans(void *ctx, unsigned thread, const pm_chunks *run, const pm_span *spans, size_t n, pm_error *err) {
    pm_word_table *table = &((pm_word_tables *)ctx)->list[thread];
    const uint8_t *end = run->text + run->len + PM_CHUNKS_PAD;
    uint32_t weight = pm_chunks_weight(run);
    size_t at = 0;
    for (size_t d = 0; d < run->n_docs; d++) {
        size_t stop = run->docs[d] ? run->ends[run->docs[d] - 1] : 0, begin = at;
        while (at < n && spans[at].at < stop) {
            at++;
        }
        PM_TRY(pm_word_table_add_spans(table, run->text, end, spans + begin, at - begin, weight, true, err));
    }
    return run->n_docs ? PM_OK : pm_word_table_add_spans(table, run->text, end, spans, n, weight, false, err);
}

static pm_status cut_runs(pm_passes *p, const size_t *runs, size_t n, pm_store *store, pm_error *err) {
    const pm_train_job *job = p->job;
    const pm_count_work work = work_with(p, job->bytepiece_memory.model);
    pm_count_options options = {.threads = job->o.threads,
                                .memory = job->bytepiece_memory.tables,
                                .documents = job->count_documents,
                                .max_count_per_document = job->o.max_count_per_document};
    pm_word_tables tables = {0};
    pm_word_counts found = {0};
    pm_status status = pm_word_tables_init(&tables, store, &options, &p->job->ticker, err);
    if (status == PM_OK) {
        status = pm_segment_spool(p->model, p->spool, runs, n, job->o.ensure_unicode, &work, take_spans, &tables, err);
    }
    if (status == PM_OK) {
        status = pm_word_tables_finish(&tables, &found, err);
    }
    pm_word_tables_release(&tables);
    p->pieces.doubles |= found.doubles || p->pieces.distinct; /* those of the window before */
    p->pieces.words += found.words;
    p->pieces.distinct += found.distinct;
    p->pieces.evicted += found.evicted;
    return status;
}

/* How many of n runs are cut before their pieces go to the store. */
static size_t window(const pm_passes *p, const size_t *runs, size_t n) {
    uint64_t bytes = 0;
    size_t i = 0;
    while (i < n && (p->model->n_parts == 1 || bytes < p->job->window)) {
        bytes += pm_spool_bytes(p->spool, runs[i++]);
    }
    return i;
}

static pm_status cut_all(pm_passes *p, const size_t *runs, size_t n, pm_store *store, pm_error *err) {
    p->pieces = (pm_word_counts){0};
    for (size_t at = 0, some; at < n; at += some) {
        some = window(p, runs + at, n - at);
        PM_TRY(cut_runs(p, runs + at, some, store, err));
    }
    return PM_OK;
}

/* The runs of these sections, whose number is *n. To be freed. */
static size_t *choose_runs(const pm_spool *spool, uint64_t from, uint64_t to, size_t *n) {
    size_t all = pm_spool_size(spool);
    size_t *runs = pm_alloc(all, sizeof *runs);
    *n = 0;
    for (size_t i = 0; runs && i < all; i++) {
        uint64_t section = pm_spool_section(spool, i);
        if (section >= from && section < to) {
            runs[(*n)++] = i;
        }
    }
    return runs;
}

pm_status pm_passes_pieces(pm_passes *p, uint64_t from, uint64_t to, pm_store *store, pm_error *err) {
    size_t n, *runs = choose_runs(p->spool, from, to, &n);
    pm_status status = runs ? cut_all(p, runs, n, store, err) : pm_fail_memory(err);
    pm_free(runs);
    if (to == UINT64_MAX) {
        pm_ngram_model_free(p->model);
        pm_spool_free(p->spool);
        p->model = NULL;
        p->spool = NULL;
    }
    return status;
}
