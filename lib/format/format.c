/* format.c - loading and saving a tokenizer: which format it is, and what is the same for all of them. */
#include "format/format.h"

#include "encode/engine.h"

static const pm_format_ops *const formats[] = {&pm_format_native, &pm_format_tiktoken, &pm_format_hf, &pm_format_bytepiece};
enum { N_FORMATS = sizeof formats / sizeof *formats };

static const char known_formats[] = "native, tiktoken, hf, bytepiece";

static const pm_format_ops *find_format(pm_format format) {
    for (size_t i = 0; i < N_FORMATS; i++) {
        if (formats[i]->format == format) {
            return formats[i];
        }
    }
    return NULL;
}

const char *pm_format_name(pm_format format) {
    const pm_format_ops *ops = find_format(format);
    return ops ? ops->name : format == PM_FORMAT_AUTO ? "auto" : "?";
}

bool pm_format_from_name(const char *name, pm_format *format) {
    for (size_t i = 0; name && i < N_FORMATS; i++) {
        if (strcmp(formats[i]->name, name) == 0) {
            *format = formats[i]->format;
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- loading ---- */

/* The one format that the content may be. */
static pm_status detect(const pm_format_ops **out, const pm_file *file, pm_error *err) {
    *out = NULL;
    for (size_t i = 0; i < N_FORMATS; i++) {
        if (!formats[i]->recognizes(file->data, file->len)) {
            continue;
        }
        if (*out) {
            return pm_fail_at(err, PM_BAD_FORMAT, 0, "may be %s or %s: the format must be named", (*out)->name, formats[i]->name);
        }
        *out = formats[i];
    }
    return *out ? PM_OK
                : pm_fail_at(err, PM_BAD_FORMAT, 0, "%s (known formats: %s)",
                             file->len ? "not a tokenizer in a format known here" : "the file is empty", known_formats);
}

static pm_status choose_format(const pm_format_ops **out, const pm_file *file, const pm_load_options *options, pm_error *err) {
    if (options->format == PM_FORMAT_AUTO) {
        PM_TRY(detect(out, file, err));
    } else {
        *out = find_format(options->format);
        if (!*out) {
            return pm_fail(err, PM_INVALID_ARGUMENT, "format %d is not known (known formats: %s)", (int)options->format, known_formats);
        }
    }
    if (options->n_patterns && (*out)->pattern) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "a pattern was given, but %s", (*out)->pattern);
    }
    return PM_OK;
}

static int compare_pairs(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Two merges of the same pair contradict each other. */
static pm_status check_pairs(const pm_model *model, pm_error *err) {
    uint64_t *pairs = pm_alloc(model->n_merges, sizeof *pairs);
    pm_status status = PM_OK;
    if (!pairs) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < model->n_merges; i++) {
        pairs[i] = (uint64_t)model->merges[i].left << 32 | model->merges[i].right;
    }
    qsort(pairs, model->n_merges, sizeof *pairs, compare_pairs);
    for (size_t i = 1; i < model->n_merges && status == PM_OK; i++) {
        if (pairs[i] == pairs[i - 1]) {
            status = pm_fail(err, PM_BAD_FORMAT, "ids %u and %u are merged twice", (pm_id)(pairs[i] >> 32), (pm_id)pairs[i]);
        }
    }
    pm_free(pairs);
    return status;
}

/* Fills the model from the file and what the caller adds. */
static pm_status read_model(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err) {
    const pm_format_ops *ops;
    PM_TRY(choose_format(&ops, file, options, err));
    PM_TRY(ops->read(model, file, options, err));
    PM_TRY(check_pairs(model, err));
    return pm_model_add_special_tokens(model, options->special_tokens, options->n_special_tokens, err);
}

/* A caller's struct may be an older, shorter one. */
static pm_status take_options(pm_load_options *out, const pm_load_options *options, pm_error *err) {
    *out = (pm_load_options)PM_LOAD_OPTIONS_INIT;
    if (!options) {
        return PM_OK;
    }
    if (options->size < sizeof options->size || options->size > sizeof *out) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "pm_load_options has size %zu: initialise it with PM_LOAD_OPTIONS_INIT", options->size);
    }
    memcpy(out, options, options->size);
    if (out->flags & ~(unsigned)(PM_LOAD_COPY | PM_LOAD_ANY_UNICODE)) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "flags 0x%X are not all known", out->flags);
    }
    return PM_OK;
}

pm_status pm_tokenizer_load(pm_tokenizer **out, const char *path, const pm_load_options *options, pm_error *err) {
    pm_load_options o;
    pm_file file;
    pm_model model = {0};
    *out = NULL;
    if (err) {
        err->file[0] = '\0';
    }
    PM_TRY(take_options(&o, options, err));
    PM_TRY(pm_file_open(&file, path, (o.flags & PM_LOAD_COPY) != 0, err));
    pm_status status = read_model(&model, &file, &o, err);
    if (status == PM_OK) {
        status = pm_tokenizer_make(out, &model, err);
    } else {
        pm_model_release(&model);
    }
    pm_file_close(&file);
    return pm_error_in_file(err, status, path);
}

/* ---------------------------------------------------------------- saving ---- */

/* ".tiktoken" ends a path; "tokenizer.json" is its last name or stands behind a "." or "-" there ("gpt2.tokenizer.json"). */
static bool has_ending(const char *path, const char *ending) {
    size_t len = strlen(path), n = strlen(ending);
    if (len < n || strcmp(path + len - n, ending) != 0) {
        return false;
    }
    return ending[0] == '.' ? len > n : len == n || strchr("/.-_", path[len - n - 1]) != NULL;
}

static pm_status format_of_path(const pm_format_ops **out, const char *path, pm_error *err) {
    for (size_t i = 0; i < N_FORMATS; i++) {
        if (formats[i]->ending && has_ending(path, formats[i]->ending)) {
            *out = formats[i];
            return PM_OK;
        }
    }
    return pm_fail_file(err, PM_INVALID_ARGUMENT, path, PM_NO_OFFSET,
                        "the ending names no format (.piecemill, .tiktoken and tokenizer.json do): name one of %s", known_formats);
}

pm_status pm_tokenizer_save(const pm_tokenizer *tok, const char *path, pm_format format, pm_error *err) {
    const pm_format_ops *ops = find_format(format);
    pm_writer w;
    if (err) {
        err->file[0] = '\0';
    }
    if (format == PM_FORMAT_AUTO) {
        PM_TRY(format_of_path(&ops, path, err));
    }
    if (!ops || !ops->write) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "format %d cannot be written (known formats: %s)", (int)format, known_formats);
    }
    pm_status status = pm_writer_open(&w, path, err);
    if (status == PM_OK) {
        status = ops->write(tok, &w, err);
    }
    return pm_error_in_file(err, pm_writer_close(&w, status, err), path);
}
