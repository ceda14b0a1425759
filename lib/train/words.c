/* words.c - see words.h. */
#include "train/words.h"

#include "text/unicode.h"

/* ---------------------------------------------------------------- settings ---- */

pm_status pm_train_add_pattern(pm_buf *out, const pm_splitter *splitter, pm_error *err) {
    if (!splitter) {
        return pm_count_setting_add(out, "unicode", pm_unicode_version, err);
    }
    size_t n = pm_splitter_n_regexes(splitter);
    const char *name = pm_splitter_name(splitter), *engine = pm_splitter_engine_unicode(splitter);
    PM_TRY(pm_count_setting_add(out, "pattern", name[0] ? name : n ? "own" : "none", err));
    for (size_t i = 0; i < n; i++) {
        PM_TRY(pm_count_setting_add(out, "regex", pm_splitter_regex(splitter, i), err));
    }
    PM_TRY(pm_count_setting_add(out, "unicode", pm_unicode_version, err));
    return engine[0] ? pm_count_setting_add(out, "engine_unicode", engine, err) : PM_OK;
}

pm_status pm_train_count_settings(pm_buf *out, const pm_train_job *job, pm_error *err) {
    PM_TRY(pm_count_setting_add(out, "algorithm", "bpe", err));
    PM_TRY(pm_train_add_pattern(out, job->splitter, err));
    if (job->count_documents) {
        PM_TRY(pm_count_setting_add(out, "documents", "yes", err));
    }
    if (job->o.max_count_per_document) {
        PM_TRY(pm_count_setting_add_number(out, "max_count_per_document", job->o.max_count_per_document, err));
    }
    return pm_buf_printf(out, err, "%s", (const char *)job->corpus_settings.data); /* begins with split, which no setting before it is called */
}

const char *pm_train_corpus_settings(const char *settings) {
    const char *at = strncmp(settings, "split=", 6) == 0 ? settings : strstr(settings, "\nsplit=");
    return at ? at + (*at == '\n') : settings + strlen(settings);
}

/* The values of all lines with this key, as strings for pm_splitter_new; `text` owns them. */
static pm_status get_values(const char *settings, const char *key, pm_buf *text, const char ***values, size_t *n, pm_error *err) {
    bool found = true;
    for (*n = 0;; ++*n) {
        PM_TRY(pm_count_setting_get(settings, key, *n, text, &found, err));
        if (!found) {
            break;
        }
    }
    *values = pm_calloc(*n + 1, sizeof **values);
    if (!*values) {
        return pm_fail_memory(err);
    }
    const char *at = (const char *)text->data;
    for (size_t i = 0; i < *n; i++, at += strlen(at) + 1) {
        (*values)[i] = at;
    }
    return PM_OK;
}

/* A name stands for its scanner as long as the library's regexes under this name are those of the file. */
static bool name_means(const char *name, const char *const *regexes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const char *regex = pm_pattern_regex(name, i);
        if (!regex || strcmp(regex, regexes[i]) != 0) {
            return false;
        }
    }
    return n && !pm_pattern_regex(name, n);
}

pm_status pm_train_splitter_of(pm_train_job *job, const char *settings, pm_error *err) {
    pm_buf text = {0}, name = {0};
    const char **regexes = NULL;
    size_t n = 0;
    bool named = false;
    pm_status status = get_values(settings, "regex", &text, &regexes, &n, err);
    if (status == PM_OK) {
        status = pm_count_setting_get(settings, "pattern", 0, &name, &named, err);
    }
    if (status == PM_OK) {
        const char *one = (const char *)name.data;
        named = named && name_means(one, regexes, n);
        status = pm_splitter_new(&job->splitter, named ? &one : regexes, named ? 1 : n, err);
    }
    pm_free(regexes);
    pm_buf_release(&text);
    pm_buf_release(&name);
    return status;
}

/* split_scripts without a pattern is a claim about the file's: that it ends with the regex of `scripts`. */
static pm_status check_scripts(const pm_train_job *job, pm_error *err) {
    size_t n = pm_splitter_n_regexes(job->splitter);
    const char *last = n ? pm_splitter_regex(job->splitter, n - 1) : "";
    if (!job->o.split_scripts || strcmp(last, pm_pattern_regex("scripts", 0)) == 0) {
        return PM_OK;
    }
    return pm_fail_file(err, PM_INVALID_ARGUMENT, job->o.counts[0], PM_NO_OFFSET, "split_scripts is given, and it was counted without");
}

/* What a file must say, given what it says about documents, max_count_per_document and the corpus, equals what it says. */
static pm_status check_settings(pm_train_job *job, const char *settings, pm_error *err) {
    pm_buf expected = {0};
    pm_status status = pm_train_count_settings(&expected, job, err);
    if (status == PM_OK) {
        status = pm_count_settings_compare(settings, job->o.counts[0], (const char *)expected.data, "this call", err);
    }
    pm_buf_release(&expected);
    return status;
}

pm_status pm_train_take_max_count(pm_train_job *job, const char *settings, pm_error *err) {
    pm_buf value = {0};
    bool found;
    PM_TRY(pm_count_setting_get(settings, "max_count_per_document", 0, &value, &found, err));
    if (found && !job->o.max_count_per_document) {
        job->o.max_count_per_document = strtoull((const char *)value.data, NULL, 10);
    }
    pm_buf_release(&value);
    return PM_OK;
}

static pm_status fit_counts(pm_train_job *job, const char *settings, pm_error *err) {
    const pm_train_options *o = &job->o;
    job->count_documents = pm_count_settings_have_documents(settings);
    if (o->min_documents && !job->count_documents) {
        return pm_fail_file(err, PM_INVALID_ARGUMENT, o->counts[0], PM_NO_OFFSET, "min_documents is given, and documents were not counted");
    }
    PM_TRY(pm_train_take_max_count(job, settings, err));
    PM_TRY(pm_buf_printf(&job->corpus_settings, err, "%s", pm_train_corpus_settings(settings)));
    if (!job->splitter) {
        PM_TRY(pm_train_splitter_of(job, settings, err));
        PM_TRY(check_scripts(job, err));
    }
    return check_settings(job, settings, err);
}

pm_status pm_train_open_counts(pm_train_job *job, pm_error *err) {
    pm_buf settings;
    pm_count_totals totals;
    PM_TRY(pm_count_files_look(job->o.counts, job->o.n_counts, &settings, &totals, err));
    pm_status status = fit_counts(job, (const char *)settings.data, err);
    pm_buf_release(&settings);
    return status;
}

/* ---------------------------------------------------------------- counting ---- */

pm_count_work pm_train_count_work(pm_train_job *job) {
    return (pm_count_work){job->o.threads, job->memory.sorting, job->o.tmpdir, &job->ticker};
}

pm_count_options pm_train_count_options(const pm_train_job *job) {
    const pm_train_options *o = &job->o;
    return (pm_count_options){.splitter = job->splitter,
                              .specials = o->special_tokens,
                              .n_specials = o->n_special_tokens,
                              .threads = o->threads,
                              .memory = job->memory.tables,
                              .documents = job->count_documents,
                              .max_count_per_document = o->max_count_per_document};
}

static pm_status count_into(pm_store *store, pm_corpus *corpus, pm_train_job *job, pm_error *err) {
    pm_count_options options = pm_train_count_options(job);
    pm_word_counts words;
    PM_TRY(pm_count_words(&words, store, corpus, &options, &job->ticker, err));
    job->summary.documents = words.documents;
    job->summary.bytes = words.bytes;
    job->summary.words = words.words;
    job->summary.distinct = words.distinct;
    job->summary.documents_with_special = words.documents_with_special;
    if (!words.bytes) {
        return pm_fail(err, PM_EMPTY_CORPUS, "the corpus holds no text: %llu documents, all empty", (unsigned long long)words.documents);
    }
    return PM_OK;
}

pm_status pm_train_count(pm_store **out, pm_corpus *corpus, pm_train_job *job, pm_error *err) {
    PM_TRY(pm_store_new(out, job->memory.store, job->o.tmpdir, err));
    pm_status status = count_into(*out, corpus, job, err);
    if (status != PM_OK) {
        pm_store_free(*out);
        *out = NULL;
    }
    return status;
}

/* ---------------------------------------------------------------- the words to train from ---- */

static pm_status read_counts(pm_store **out, pm_train_job *job, pm_error *err) {
    const pm_train_options *o = &job->o;
    pm_count_work work = pm_train_count_work(job);
    pm_count_totals totals;
    PM_TRY(pm_count_files_read(out, o->counts, o->n_counts, o->min_documents, job->memory.store, &totals, &work, err));
    job->summary.documents = totals.documents;
    job->summary.bytes = totals.bytes;
    job->summary.words = totals.words;
    job->summary.distinct = totals.distinct;
    job->summary.lines_split = totals.lines_split;
    if (!totals.words) {
        pm_store_free(*out);
        *out = NULL;
        return pm_fail_file(err, PM_EMPTY_CORPUS, o->counts[0], PM_NO_OFFSET, "no words were counted");
    }
    return PM_OK;
}

pm_status pm_train_words(pm_store **out, pm_corpus *corpus, pm_train_job *job, pm_error *err) {
    *out = NULL;
    if (job->o.n_counts) {
        return read_counts(out, job, err);
    }
    job->count_documents = job->o.min_documents > 0;
    PM_TRY(pm_train_count(out, corpus, job, err));
    if (!job->count_documents) {
        return PM_OK;
    }
    pm_count_work work = pm_train_count_work(job);
    pm_store *all = *out;
    pm_status status = pm_count_store_filter(out, all, job->o.min_documents, job->memory.store, &work, err);
    pm_store_free(all);
    return status;
}
