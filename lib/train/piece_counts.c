/* piece_counts.c - see piece_counts.h.
 *
 * N-gram counts of parts of a corpus add up; pieces do not exist before all n-grams are counted. So there are two kinds of files, and the second names the first
 * (`ngrams`: a checksum of its content): pieces that were cut by different models never mix.
 *
 *     count a.txt -> a.counts (n-grams)                                count a.txt with all.counts -> a.pieces
 *                                        merge -> all.counts                                                     merge -> all.pieces -> train
 *     count b.txt -> b.counts (n-grams)                                count b.txt with all.counts -> b.pieces
 *
 * A word of the first kind is an n-gram of the highest order, or a shorter one at the end of a chunk: from them all others follow (count/ngrams.h). */
#include "train/piece_counts.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "count/countmerge.h"
#include "train/words.h"

static pm_status add_flag(pm_buf *out, const char *key, bool value, pm_error *err) {
    return pm_count_setting_add(out, key, value ? "true" : "false", err);
}

/* What both kinds begin with. */
static pm_status begin_settings(pm_buf *out, const pm_train_job *job, const char *counts, pm_error *err) {
    PM_TRY(pm_count_setting_add(out, "algorithm", "bytepiece", err));
    PM_TRY(pm_count_setting_add(out, "counts", counts, err));
    PM_TRY(pm_count_setting_add_number(out, "ngram_order", job->o.ngram_order, err));
    PM_TRY(add_flag(out, "isolate_digits", job->o.isolate_digits, err));
    return pm_train_add_pattern(out, job->splitter, err);
}

static pm_status end_settings(pm_buf *out, const pm_train_job *job, pm_error *err) {
    return pm_buf_printf(out, err, "%s", (const char *)job->corpus_settings.data);
}

pm_status pm_train_ngram_settings(pm_buf *out, const pm_train_job *job, pm_error *err) {
    PM_TRY(begin_settings(out, job, "ngrams", err));
    return end_settings(out, job, err);
}

pm_status pm_train_piece_settings(pm_buf *out, const pm_train_job *job, pm_error *err) {
    PM_TRY(begin_settings(out, job, "pieces", err));
    PM_TRY(pm_count_setting_add(out, "ngrams", job->ngrams, err));
    PM_TRY(pm_count_setting_add_number(out, "min_count", job->o.min_count, err));
    PM_TRY(add_flag(out, "ensure_unicode", job->o.ensure_unicode, err));
    if (job->count_documents) {
        PM_TRY(pm_count_setting_add(out, "documents", "yes", err));
    }
    if (job->o.max_count_per_document) {
        PM_TRY(pm_count_setting_add_number(out, "max_count_per_document", job->o.max_count_per_document, err));
    }
    return end_settings(out, job, err);
}

void pm_train_name_ngrams(pm_train_job *job, const uint64_t *sums, size_t n) {
    uint64_t name = n == 1 ? sums[0] : pm_hash(sums, n * sizeof *sums);
    snprintf(job->ngrams, sizeof job->ngrams, "%016" PRIx64, name);
}

/* ---------------------------------------------------------------- reading ---- */

/* The value of a setting in *value, ended by a NUL; "" if there is none. */
static pm_status get_value(const char *settings, const char *key, pm_buf *value, pm_error *err) {
    bool found;
    value->len = 0;
    PM_TRY(pm_count_setting_get(settings, key, 0, value, &found, err));
    return found ? PM_OK : pm_buf_append(value, "", 1, err);
}

/* The file must be one of BytePiece's, of this kind. */
static pm_status check_kind(const char *settings, const char *path, const char *counts, pm_error *err) {
    pm_buf value = {0};
    pm_status status = get_value(settings, "counts", &value, err);
    const char *found = status == PM_OK ? (const char *)value.data : "";
    if (status == PM_OK && !found[0]) {
        status = pm_fail_file(err, PM_INVALID_ARGUMENT, path, PM_NO_OFFSET, "holds pre-tokens for BPE, not counts for BytePiece");
    } else if (status == PM_OK && strcmp(found, counts) != 0) {
        status = pm_fail_file(err, PM_INVALID_ARGUMENT, path, PM_NO_OFFSET, "%s",
                              found[0] == 'n' ? "holds n-grams: count pieces with them first, and train from these"
                                              : "holds pieces, not n-grams to cut them by");
    }
    pm_buf_release(&value);
    return status;
}

/* What the options leave open is as the file says. */
static pm_status take_model(pm_train_job *job, const char *settings, pm_error *err) {
    pm_train_options *o = &job->o;
    pm_buf value = {0};
    pm_status status = get_value(settings, "ngram_order", &value, err);
    if (status == PM_OK && !o->ngram_order) {
        o->ngram_order = (uint32_t)strtoul((const char *)value.data, NULL, 10);
    }
    status = status == PM_OK ? get_value(settings, "isolate_digits", &value, err) : status;
    if (status == PM_OK) {
        o->isolate_digits |= value.data[0] == 't';
    }
    pm_buf_release(&value);
    if (status != PM_OK || o->n_patterns || o->split_scripts) {
        return status;
    }
    bool named;
    PM_TRY(pm_count_setting_get(settings, "pattern", 0, &value, &named, err));
    pm_buf_release(&value);
    return named ? pm_train_splitter_of(job, settings, err) : PM_OK;
}

static pm_status take_cutting(pm_train_job *job, const char *settings, pm_error *err) {
    pm_train_options *o = &job->o;
    pm_buf value = {0};
    pm_status status = get_value(settings, "min_count", &value, err);
    if (status == PM_OK && o->min_count == PM_MIN_COUNT_DEFAULT) {
        o->min_count = strtoull((const char *)value.data, NULL, 10);
    }
    status = status == PM_OK ? get_value(settings, "ensure_unicode", &value, err) : status;
    if (status == PM_OK) {
        o->ensure_unicode &= value.data[0] == 't';
        status = get_value(settings, "ngrams", &value, err);
    }
    if (status == PM_OK) {
        snprintf(job->ngrams, sizeof job->ngrams, "%s", (const char *)value.data);
    }
    pm_buf_release(&value);
    job->count_documents = pm_count_settings_have_documents(settings);
    return status == PM_OK ? pm_train_take_max_count(job, settings, err) : status;
}

/* What a file must say equals what it says. */
static pm_status check_settings(const pm_train_job *job, const char *settings, const char *path,
                                pm_status (*expect)(pm_buf *, const pm_train_job *, pm_error *), pm_error *err) {
    pm_buf expected = {0};
    pm_status status = expect(&expected, job, err);
    if (status == PM_OK) {
        status = pm_count_settings_compare(settings, path, (const char *)expected.data, "this call", err);
    }
    pm_buf_release(&expected);
    return status;
}

static pm_status fit_pieces(pm_train_job *job, const char *settings, pm_error *err) {
    const char *path = job->o.counts[0];
    PM_TRY(check_kind(settings, path, "pieces", err));
    PM_TRY(take_model(job, settings, err));
    PM_TRY(take_cutting(job, settings, err));
    if (job->o.min_documents && !job->count_documents) {
        return pm_fail_file(err, PM_INVALID_ARGUMENT, path, PM_NO_OFFSET, "min_documents is given, and documents were not counted");
    }
    PM_TRY(pm_buf_printf(&job->corpus_settings, err, "%s", pm_train_corpus_settings(settings)));
    return check_settings(job, settings, path, pm_train_piece_settings, err);
}

pm_status pm_train_open_pieces(pm_train_job *job, pm_error *err) {
    pm_buf settings;
    pm_count_totals totals;
    PM_TRY(pm_count_files_look(job->o.counts, job->o.n_counts, &settings, &totals, err));
    pm_status status = fit_pieces(job, (const char *)settings.data, err);
    pm_buf_release(&settings);
    return status;
}

pm_status pm_train_open_ngrams(pm_train_job *job, const char *path, pm_error *err) {
    pm_count_reader reader;
    PM_TRY(pm_count_reader_open(&reader, path, err));
    const char *settings = (const char *)reader.settings.data;
    pm_status status = check_kind(settings, path, "ngrams", err);
    if (status == PM_OK) {
        status = take_model(job, settings, err);
    }
    if (status == PM_OK) {
        status = check_settings(job, settings, path, pm_train_ngram_settings, err);
    }
    pm_train_name_ngrams(job, &reader.last_sum, 1);
    pm_count_reader_close(&reader);
    return status;
}
