/* counts.c - the public side of count files: pm_count and pm_counts_*. */
#include "train/passes.h"
#include "train/piece_counts.h"
#include "train/words.h"

struct pm_counts {
    pm_count_reader reader;
};

/* ---------------------------------------------------------------- writing ---- */

/* Options of other kinds of counts. */
static pm_status check_kind(const pm_counts_options *o, pm_error *err) {
    bool bytepiece = o->algorithm == PM_ALGORITHM_BYTEPIECE, ngrams = bytepiece && !o->ngrams;
    const struct {
        const char *name;
        bool given, fits;
        const char *of;
    } options[] = {{"ngrams", o->ngrams != NULL, bytepiece, "BytePiece"},
                   {"ngram_order", o->ngram_order > 0, bytepiece, "BytePiece"},
                   {"isolate_digits", o->isolate_digits, bytepiece, "BytePiece"},
                   {"min_count", o->min_count != PM_MIN_COUNT_DEFAULT, bytepiece && !ngrams, "BytePiece's pieces"},
                   {"ensure_unicode=false", !o->ensure_unicode, bytepiece && !ngrams, "BytePiece's pieces"},
                   {"documents", o->documents, !ngrams, "pre-tokens and pieces, not of n-grams"},
                   {"max_count_per_document", o->max_count_per_document > 0, !ngrams, "pre-tokens and pieces, not of n-grams"}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (options[i].given && !options[i].fits) {
            return pm_fail(err, PM_INVALID_ARGUMENT, "%s is an option of counting %s", options[i].name, options[i].of);
        }
    }
    return o->ngram_order <= 7 ? PM_OK : pm_fail(err, PM_INVALID_ARGUMENT, "ngram_order is %u; it is 1 to 7", o->ngram_order);
}

static pm_status set_options(pm_train_job *job, const pm_counts_options *options, const char **ngrams, pm_error *err) {
    pm_counts_options o = PM_COUNTS_OPTIONS_INIT;
    pm_train_options defaults = PM_TRAIN_OPTIONS_INIT;
    if (options && (options->size < sizeof options->size || options->size > sizeof o)) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "the options are of another version: begin with PM_COUNTS_OPTIONS_INIT");
    }
    if (options) {
        memcpy(&o, options, options->size);
    }
    job->o = defaults;
    job->o.algorithm = o.algorithm ? o.algorithm : PM_ALGORITHM_BPE;
    if (job->o.algorithm != PM_ALGORITHM_BPE && job->o.algorithm != PM_ALGORITHM_BYTEPIECE) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "algorithm %d is not known", (int)o.algorithm);
    }
    PM_TRY(check_kind(&o, err));
    *ngrams = o.ngrams;
    job->o.ngram_order = o.ngram_order || o.ngrams ? o.ngram_order : 6;
    job->o.isolate_digits = o.isolate_digits;
    job->o.min_count = o.min_count == PM_MIN_COUNT_DEFAULT ? 2 : o.min_count;
    job->o.ensure_unicode = o.ensure_unicode;
    job->o.patterns = o.patterns;
    job->o.n_patterns = o.n_patterns;
    job->o.split_scripts = o.split_scripts;
    job->o.max_count_per_document = o.max_count_per_document;
    job->o.threads = o.threads ? o.threads : pm_default_threads();
    job->o.memory_limit = o.memory_limit;
    job->o.tmpdir = o.tmpdir;
    job->o.progress = o.progress;
    job->o.progress_user = o.progress_user;
    job->o.summary = o.summary;
    job->count_documents = o.documents;
    return PM_OK;
}

static void set_summary(pm_train_job *job, const pm_count_totals *totals) {
    pm_train_summary *s = &job->summary;
    s->documents = totals->documents;
    s->bytes = totals->bytes;
    s->words = totals->words;
    s->distinct = totals->distinct;
    s->lines_split = totals->lines_split;
    s->seconds = pm_ticker_seconds(&job->ticker);
    if (job->o.summary) {
        *job->o.summary = *s;
    }
}

/* The words of the store, which is used up, to the file. */
static pm_status write_store(const char *path, pm_store *store, pm_train_job *job, pm_error *err) {
    pm_count_totals totals = {.documents = job->summary.documents, .bytes = job->summary.bytes, .lines_split = job->summary.lines_split};
    pm_count_work work = pm_train_count_work(job);
    pm_buf settings = {0};
    pm_status status = pm_train_count_settings(&settings, job, err);
    if (status == PM_OK) {
        status = pm_count_store_write(store, path, (const char *)settings.data, &totals, &work, err);
    }
    if (status == PM_OK) {
        set_summary(job, &totals);
    }
    pm_buf_release(&settings);
    return status;
}

static pm_status count_words(const char *path, pm_corpus *corpus, pm_train_job *job, pm_error *err) {
    pm_store *store;
    PM_TRY(pm_train_count(&store, corpus, job, err));
    pm_status status = write_store(path, store, job, err);
    pm_store_free(store);
    return status;
}

/* ---------------------------------------------------------------- writing BytePiece's ---- */

static pm_count_totals totals_of(const pm_train_job *job) {
    const pm_train_summary *s = &job->summary;
    return (pm_count_totals){.documents = s->documents, .bytes = s->bytes, .lines_split = s->lines_split};
}

static pm_status count_ngrams(const char *path, pm_passes *p, const char *settings, pm_error *err) {
    PM_TRY(pm_passes_read(p, UINT64_MAX, true, false, err));
    PM_TRY(pm_passes_ended(p, err));
    pm_count_totals totals = totals_of(p->job);
    PM_TRY(pm_passes_write_ngrams(p, path, settings, &totals, err));
    set_summary(p->job, &totals);
    return PM_OK;
}

static pm_status write_pieces(const char *path, pm_passes *p, pm_store *store, const char *settings, pm_error *err) {
    const pm_train_job *job = p->job;
    const pm_count_work work = {job->o.threads, job->bytepiece_memory.sorting, job->o.tmpdir, &p->job->ticker};
    pm_count_totals totals = totals_of(job);
    PM_TRY(pm_passes_pieces(p, 0, UINT64_MAX, store, err));
    PM_TRY(pm_count_store_write(store, path, settings, &totals, &work, err));
    set_summary(p->job, &totals);
    return PM_OK;
}

static pm_status count_pieces(const char *path, pm_passes *p, const char *ngrams, const char *settings, pm_error *err) {
    const pm_train_job *job = p->job;
    pm_store *store;
    PM_TRY(pm_passes_read(p, UINT64_MAX, false, true, err));
    PM_TRY(pm_passes_ended(p, err));
    PM_TRY(pm_passes_model_from(p, &ngrams, 1, err));
    PM_TRY(pm_store_new(&store, job->bytepiece_memory.store, job->o.tmpdir, err));
    pm_status status = write_pieces(path, p, store, settings, err);
    pm_store_free(store);
    return status;
}

static pm_status count_bytepiece(const char *path, pm_corpus *corpus, pm_train_job *job, const char *ngrams, pm_error *err) {
    pm_passes passes = {0};
    pm_buf settings = {0};
    pm_status status = ngrams ? pm_train_open_ngrams(job, ngrams, err) : PM_OK;
    if (status == PM_OK) {
        status = (ngrams ? pm_train_piece_settings : pm_train_ngram_settings)(&settings, job, err);
    }
    if (status == PM_OK) {
        status = pm_passes_init(&passes, corpus, job, err);
    }
    if (status == PM_OK) {
        const char *text = (const char *)settings.data;
        status = ngrams ? count_pieces(path, &passes, ngrams, text, err) : count_ngrams(path, &passes, text, err);
    }
    pm_passes_release(&passes);
    pm_buf_release(&settings);
    return status;
}

pm_status pm_count(const char *path, pm_corpus *corpus, const pm_counts_options *options, pm_error *err) {
    pm_train_job job = {0};
    const char *ngrams;
    PM_TRY(set_options(&job, options, &ngrams, err));
    if (!corpus) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "no corpus is given");
    }
    if (pm_corpus_has_temperature(corpus)) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "temperature is an option of training: a count file holds a part of a corpus, which does not tell weights");
    }
    pm_status status = pm_train_job_begin(&job, corpus, err);
    if (status == PM_OK) {
        status = job.o.algorithm == PM_ALGORITHM_BPE ? count_words(path, corpus, &job, err) : count_bytepiece(path, corpus, &job, ngrams, err);
    }
    pm_train_job_end(&job, corpus);
    return status;
}

/* ---------------------------------------------------------------- merging ---- */

pm_status pm_counts_merge(const char *path, const char *const *paths, size_t n, const pm_counts_options *options, pm_error *err) {
    pm_train_job job = {0};
    const char *ngrams;
    if (!n) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "no count files are given");
    }
    PM_TRY(set_options(&job, options, &ngrams, err));
    pm_ticker_init(&job.ticker, job.o.progress, job.o.progress_user, job.o.memory_limit);
    pm_count_work work = pm_train_count_work(&job);
    pm_count_totals totals;
    PM_TRY(pm_count_files_merge(path, paths, n, &totals, &work, err));
    set_summary(&job, &totals);
    return PM_OK;
}

/* ---------------------------------------------------------------- reading ---- */

pm_status pm_counts_open(pm_counts **out, const char *path, pm_error *err) {
    pm_counts *c = *out = pm_calloc(1, sizeof *c);
    if (!c) {
        return pm_fail_memory(err);
    }
    pm_status status = pm_count_reader_open(&c->reader, path, err);
    if (status != PM_OK) {
        pm_free(c);
        *out = NULL;
    }
    return status;
}

void pm_counts_free(pm_counts *c) {
    if (c) {
        pm_count_reader_close(&c->reader);
        pm_free(c);
    }
}

pm_counts_totals pm_counts_get_totals(const pm_counts *c) {
    const pm_count_totals *t = &c->reader.totals;
    return (pm_counts_totals){t->documents, t->bytes, t->words, t->distinct, c->reader.documents, t->lines_split};
}

const char *pm_counts_settings(const pm_counts *c) { return (const char *)c->reader.settings.data; }

pm_status pm_counts_next(pm_counts *c, pm_counted_word *word, bool *more, pm_error *err) {
    *word = (pm_counted_word){0};
    *more = false;
    PM_TRY(pm_count_reader_next(&c->reader, err));
    *word = (pm_counted_word){{c->reader.word.data, c->reader.word.len}, c->reader.count, c->reader.in_documents};
    *more = word->text.len > 0;
    return PM_OK;
}
