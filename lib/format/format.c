/* format.c - loading and saving a tokenizer: which format it is, and what is the same for all of them. */
#include "format/format.h"

#include <stdio.h>

#include "encode/engine.h"
#include "format/folder.h"

static const pm_format_ops *const formats[] = {&pm_format_native, &pm_format_tiktoken, &pm_format_hf,
                                               &pm_format_bytepiece, &pm_format_sentencepiece, &pm_format_hf_vocab, &pm_format_bert,
                                               &pm_format_tekken, &pm_format_llama2c, &pm_format_gguf};
enum { N_FORMATS = sizeof formats / sizeof *formats };

static const char known_formats[] = "native, tiktoken, hf, bytepiece, sentencepiece, hf-vocab, bert, tekken, llama2c, gguf";

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
            return pm_fail_at(err, PM_BAD_FORMAT, 0, "may be %s or %s: the format must be named", (*out)->name,
                              formats[i]->name);
        }
        *out = formats[i];
    }
    return *out ? PM_OK
                : pm_fail_at(err, PM_BAD_FORMAT, 0, "%s (known formats: %s)",
                             file->len ? "not a tokenizer in a format known here" : "the file is empty", known_formats);
}

static pm_status choose_format(const pm_format_ops **out, const pm_file *file, const pm_load_options *options,
                               pm_error *err) {
    if (options->format == PM_FORMAT_AUTO) {
        PM_TRY(detect(out, file, err));
    } else {
        *out = find_format(options->format);
        if (!*out) {
            return pm_fail(err, PM_INVALID_ARGUMENT, "format %d is not known (known formats: %s)", (int)options->format,
                           known_formats);
        }
    }
    if (options->n_patterns && (*out)->pattern) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "a pattern was given, but %s", (*out)->pattern);
    }
    return PM_OK;
}

/* Merge i repeats an earlier one. Those with the same result hang in a list: latest[result] and before[i] are indices
 * + 1. The model was checked: k different merges with one result have k different prefixes of it on their left, pieces
 * of 1 to k bytes or more. So the walks take no longer than reading the file did. */
static bool repeats(const pm_model *model, size_t i, uint32_t *latest, uint32_t *before) {
    const pm_merge *m = &model->merges[i];
    for (uint32_t k = latest[m->result]; k > 0; k = before[k - 1]) {
        if (model->merges[k - 1].left == m->left && model->merges[k - 1].right == m->right) {
            return true;
        }
    }
    before[i] = latest[m->result];
    latest[m->result] = (uint32_t)i + 1;
    return false;
}

/* Two merges of the same pair contradict each other. The same pair has the same result: no two pieces have the same
 * bytes. */
static pm_status check_pairs(const pm_model *model, pm_error *err) {
    uint32_t *latest = pm_calloc(model->vocab_size, sizeof *latest),
             *before = pm_alloc(model->n_merges, sizeof *before);
    pm_status status = latest && before ? PM_OK : pm_fail_memory(err);
    for (size_t i = 0; i < model->n_merges && status == PM_OK; i++) {
        if (repeats(model, i, latest, before)) {
            status = pm_fail(err, PM_BAD_FORMAT, "ids %u and %u are merged twice", model->merges[i].left,
                             model->merges[i].right);
        }
    }
    pm_free(latest);
    pm_free(before);
    return status;
}

/* Fills the model from the file and what the caller adds. */
static pm_status read_model(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err) {
    const pm_format_ops *ops;
    PM_TRY(choose_format(&ops, file, options, err));
    PM_TRY(ops->read(model, file, options, err));
    return pm_model_add_special_tokens(model, options->special_tokens, options->n_special_tokens, err);
}

static pm_status read_file(pm_model *model, const char *path, const pm_load_options *options, pm_error *err) {
    pm_file file;
    PM_TRY(pm_file_open(&file, path, (options->flags & PM_LOAD_COPY) != 0, err));
    pm_status status = read_model(model, &file, options, err);
    pm_file_close(&file);
    model->file.path = NULL;
    return pm_error_in_file(err, status, path);
}

static pm_status read_folder(pm_model *model, const char *folder, const pm_load_options *options, pm_error *err) {
    char *path;
    PM_TRY(pm_folder_find(&path, folder, options->format, err));
    bool vocab_txt = options->format == PM_FORMAT_BERT || strcmp(strrchr(path, '/'), "/vocab.txt") == 0;
    pm_status status = read_file(model, path, options, err);
    pm_free(path);
    return status == PM_OK ? pm_folder_config(model, folder, vocab_txt, err) : status;
}

static pm_status make_tokenizer(pm_tokenizer **out, pm_model *model, pm_error *err) {
    PM_TRY(pm_tokenizer_make(out, model, err));
    pm_status status = check_pairs(&(*out)->model, err);
    if (status != PM_OK) {
        pm_tokenizer_free(*out);
        *out = NULL;
    }
    return status;
}

/* A caller's struct may be an older, shorter one. */
static pm_status take_options(pm_load_options *out, const pm_load_options *options, pm_error *err) {
    *out = (pm_load_options)PM_LOAD_OPTIONS_INIT;
    if (!options) {
        return PM_OK;
    }
    if (options->size < sizeof options->size || options->size > sizeof *out) {
        return pm_fail(err, PM_INVALID_ARGUMENT,
                       "pm_load_options has size %zu: initialise it with PM_LOAD_OPTIONS_INIT", options->size);
    }
    memcpy(out, options, options->size);
    if (out->flags & ~(unsigned)(PM_LOAD_COPY | PM_LOAD_ANY_UNICODE)) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "flags 0x%X are not all known", out->flags);
    }
    return PM_OK;
}

pm_status pm_tokenizer_load(pm_tokenizer **out, const char *path, const pm_load_options *options, pm_error *err) {
    pm_load_options o;
    pm_model model = {0};
    *out = NULL;
    if (err) {
        err->file[0] = '\0';
    }
    PM_TRY(take_options(&o, options, err));
    pm_status status = pm_is_folder(path) ? read_folder(&model, path, &o, err) : read_file(&model, path, &o, err);
    if (status == PM_OK) {
        status = make_tokenizer(out, &model, err);
    } else {
        pm_model_release(&model);
    }
    return pm_error_in_file(err, status, path);
}

/* ---------------------------------------------------------------- saving ---- */

/* ".tiktoken" ends a path; "tokenizer.json" is its last name or stands behind a "." or "-" there
 * ("gpt2.tokenizer.json"). */
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
                        "the ending names no format (.piecemill, .tiktoken, .model, .gguf, tokenizer.json, vocab.json and vocab.txt do): name one of %s",
                        known_formats);
}

/* A caller's struct may be an older, shorter one. */
static pm_status take_save_options(pm_save_options *out, const pm_save_options *options, pm_error *err) {
    *out = (pm_save_options)PM_SAVE_OPTIONS_INIT;
    if (!options) {
        return PM_OK;
    }
    if (options->size < sizeof options->size || options->size > sizeof *out) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "pm_save_options has size %zu: initialise it with PM_SAVE_OPTIONS_INIT", options->size);
    }
    memcpy(out, options, options->size);
    return out->flags & ~(unsigned)(PM_SAVE_LOSSY | PM_SAVE_TABLES) ? pm_fail(err, PM_INVALID_ARGUMENT, "flags 0x%X are not all known", out->flags) : PM_OK;
}

pm_status pm_lose(const pm_save_options *how, pm_error *err, const char *format, ...) {
    char sentence[sizeof err->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    if (!(how->flags & PM_SAVE_LOSSY)) {
        return pm_fail(err, PM_UNSUPPORTED, "%s (a lossy conversion goes on without)", sentence);
    }
    if (how->lost) {
        how->lost(how->lost_user, sentence);
    }
    return PM_OK;
}

static pm_status save_file(const pm_tokenizer *tok, const char *path, const pm_save_options *how, pm_error *err) {
    const pm_format_ops *ops = find_format(how->format);
    pm_writer w;
    if (how->format == PM_FORMAT_AUTO) {
        PM_TRY(format_of_path(&ops, path, err));
    }
    if (!ops || !ops->write) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "format %d cannot be written (known formats: %s)", (int)how->format,
                       known_formats);
    }
    if (how->flags & PM_SAVE_TABLES && ops->format != PM_FORMAT_NATIVE) {
        return pm_fail_file(err, PM_INVALID_ARGUMENT, path, PM_NO_OFFSET, "ready-made tables go with the native format only, not with %s", ops->name);
    }
    pm_status status = pm_writer_open(&w, path, err);
    if (status == PM_OK) {
        status = ops->write(tok, &w, how, err);
    }
    return pm_error_in_file(err, pm_writer_close(&w, status, err), path);
}

static pm_status save_folder(const pm_tokenizer *tok, const char *folder, const pm_save_options *options, pm_error *err) {
    pm_save_options how = *options;
    char *path;
    how.format = how.format == PM_FORMAT_AUTO ? PM_FORMAT_HF : how.format;
    PM_TRY(pm_folder_path(&path, folder, how.format, err));
    pm_status status = save_file(tok, path, &how, err);
    pm_free(path);
    return status == PM_OK && how.format == PM_FORMAT_HF ? pm_folder_write_config(tok, folder, err) : status;
}

pm_status pm_tokenizer_save_with(const pm_tokenizer *tok, const char *path, const pm_save_options *options, pm_error *err) {
    pm_save_options how;
    if (err) {
        err->file[0] = '\0';
    }
    PM_TRY(take_save_options(&how, options, err));
    size_t n = strlen(path);
    return pm_is_folder(path) || (n > 0 && path[n - 1] == '/') ? save_folder(tok, path, &how, err) : save_file(tok, path, &how, err);
}

pm_status pm_tokenizer_save(const pm_tokenizer *tok, const char *path, pm_format format, pm_error *err) {
    pm_save_options options = PM_SAVE_OPTIONS_INIT;
    options.format = format;
    return pm_tokenizer_save_with(tok, path, &options, err);
}
