/* folder.c - see folder.h.
 *
 * The tokenizer is the first of these that is there: tokenizer.json, vocab.json (and merges.txt), vocab.txt, sentencepiece's or Mistral's file, ranks. What else stands in
 * tokenizer_config.json is for the classes of transformers, and is not read. Written are tokenizer.json and a tokenizer_config.json that transformers' AutoTokenizer takes, with which it gives the same
 * ids: tokens are named there only when they are added tokens of tokenizer.json, for transformers would add others, and find them in text. */
#include "format/folder.h"

#include <errno.h>
#include <sys/stat.h>

#include "format/fields.h"
#include "format/roles.h"

static const struct {
    const char *name;
    pm_format format; /* AUTO: the content tells */
} names[] = {
    {"tokenizer.json", PM_FORMAT_HF},
    {"vocab.json", PM_FORMAT_HF_VOCAB},
    {"vocab.txt", PM_FORMAT_BERT},
    {"tokenizer.model", PM_FORMAT_SENTENCEPIECE},
    {"spiece.model", PM_FORMAT_SENTENCEPIECE},
    {"sentencepiece.bpe.model", PM_FORMAT_SENTENCEPIECE},
    {"spm.model", PM_FORMAT_SENTENCEPIECE},
    {"tekken.json", PM_FORMAT_TEKKEN},
    {"tokenizer.bin", PM_FORMAT_LLAMA2C},
    {"tokenizer.tiktoken", PM_FORMAT_TIKTOKEN},
    {"qwen.tiktoken", PM_FORMAT_TIKTOKEN},
};
enum { N_NAMES = sizeof names / sizeof *names };

static const char config_name[] = "tokenizer_config.json", template_name[] = "chat_template.jinja", max_length[] = "model_max_length";

bool pm_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool is_file(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && !S_ISDIR(info.st_mode);
}

/* NULL: out of memory. */
static char *path_in(const char *folder, const char *name) {
    size_t n = strlen(folder), k = strlen(name) + 1;
    bool slash = n > 0 && folder[n - 1] != '/';
    char *out = pm_alloc(n + slash + k, 1);
    if (out) {
        memcpy(out, folder, n);
        memcpy(out + n, "/", slash);
        memcpy(out + n + slash, name, k);
    }
    return out;
}

/* ---------------------------------------------------------------- reading ---- */

pm_status pm_folder_find(char **out, const char *folder, pm_format format, pm_error *err) {
    *out = NULL;
    for (size_t i = 0; i < N_NAMES; i++) {
        if (format != PM_FORMAT_AUTO && names[i].format != format) {
            continue;
        }
        char *path = path_in(folder, names[i].name);
        if (!path) {
            return pm_fail_memory(err);
        }
        if (is_file(path)) {
            *out = path;
            return PM_OK;
        }
        pm_free(path);
    }
    return pm_fail_file(err, PM_NOT_FOUND, folder, PM_NO_OFFSET, "the folder holds no tokenizer%s that is known by its name (tokenizer.json, vocab.json, vocab.txt, tokenizer.model, ...)",
                        format == PM_FORMAT_AUTO ? "" : " of this format");
}

/* A token's text: a string, or an object with its content. */
static const pm_json_value *token_text(const pm_json *json, const pm_json_value *value) {
    const pm_json_value *text = value && value->type == PM_JSON_OBJECT ? pm_field_of(json, value, "content") : value;
    return text && text->type == PM_JSON_STRING && text->text.len ? text : NULL;
}

/* vocab.txt says nothing of case. */
static void fold_case(pm_model *model, const pm_json *json) {
    pm_step *step = model->normalizer.n ? &model->normalizer.items[0] : NULL;
    const pm_json_value *lower = pm_field_of(json, json->values, "do_lower_case"), *accents = pm_field_of(json, json->values, "strip_accents");
    const pm_json_value *chinese = pm_field_of(json, json->values, "tokenize_chinese_chars");
    if (!step || step->type != PM_STEP_BERT) {
        return;
    }
    if (lower && lower->type == PM_JSON_BOOL) {
        step->flags = (step->flags & ~(unsigned)PM_STEP_LOWER) | (lower->truth ? (unsigned)PM_STEP_LOWER : 0);
    }
    if (accents && accents->type == PM_JSON_BOOL) {
        step->flags |= PM_STEP_ACCENTS_GIVEN | (accents->truth ? (unsigned)PM_STEP_ACCENTS : 0);
    }
    if (chinese && chinese->type == PM_JSON_BOOL && !chinese->truth) {
        step->flags &= ~(unsigned)PM_STEP_CHINESE_CHARS;
    }
}

static pm_status take_config(pm_model *model, const pm_json *json, bool vocab_txt, pm_error *err) {
    const pm_json_value *root = json->values;
    if (root->type != PM_JSON_OBJECT) {
        return pm_fail_at(err, PM_BAD_FORMAT, root->offset, "expected an object");
    }
    for (pm_role role = 0; role < PM_N_ROLES; role++) {
        const pm_json_value *text = token_text(json, pm_field_of(json, root, pm_role_names[role]));
        PM_TRY(text ? pm_setting_set_text(model, pm_role_names[role], text->text, err) : PM_OK);
    }
    const pm_json_value *template = pm_field_of(json, root, PM_CHAT_TEMPLATE), *longest = pm_field_of(json, root, max_length);
    if (template && template->type == PM_JSON_STRING) {
        PM_TRY(pm_setting_set_text(model, PM_CHAT_TEMPLATE, template->text, err));
    }
    if (longest && longest->type == PM_JSON_NUMBER) {
        PM_TRY(pm_setting_set_text(model, max_length, longest->text, err));
    }
    if (vocab_txt) {
        fold_case(model, json);
    }
    return PM_OK;
}

static pm_status read_config(pm_model *model, const char *path, bool vocab_txt, pm_error *err) {
    pm_file file;
    pm_json json = {0};
    PM_TRY(pm_file_open(&file, path, true, err));
    pm_status status = pm_json_parse(&json, file.data, file.len, err);
    if (status == PM_OK) {
        status = take_config(model, &json, vocab_txt, err);
    }
    pm_json_release(&json);
    pm_file_close(&file);
    return status;
}

static pm_status read_template(pm_model *model, const char *path, pm_error *err) {
    pm_file file;
    PM_TRY(pm_file_open(&file, path, true, err));
    pm_status status = pm_setting_set_text(model, PM_CHAT_TEMPLATE, (pm_bytes){file.data, file.len}, err);
    pm_file_close(&file);
    return status;
}

pm_status pm_folder_config(pm_model *model, const char *folder, bool vocab_txt, pm_error *err) {
    char *paths[] = {path_in(folder, config_name), path_in(folder, template_name)};
    pm_status status = paths[0] && paths[1] ? PM_OK : pm_fail_memory(err);
    if (status == PM_OK && is_file(paths[1])) { /* goes before the one in the configuration */
        status = pm_error_in_file(err, read_template(model, paths[1], err), paths[1]);
    }
    if (status == PM_OK && is_file(paths[0])) {
        status = pm_error_in_file(err, read_config(model, paths[0], vocab_txt, err), paths[0]);
    }
    pm_free(paths[0]);
    pm_free(paths[1]);
    return status;
}

/* ---------------------------------------------------------------- writing ---- */

pm_status pm_folder_path(char **out, const char *folder, pm_format format, pm_error *err) {
    size_t i = 0;
    *out = NULL;
    while (i < N_NAMES && names[i].format != format) {
        i++;
    }
    if (i == N_NAMES) {
        return pm_fail_file(err, PM_IO, folder, PM_NO_OFFSET, "is a folder, not a file (in folders hf, hf-vocab, bert and sentencepiece have names for theirs)");
    }
    if (!pm_is_folder(folder) && mkdir(folder, 0777) != 0) {
        return pm_fail_errno(err, folder, errno, "cannot make the folder");
    }
    *out = path_in(folder, names[i].name);
    return *out ? PM_OK : pm_fail_memory(err);
}

/* Is it an added token of the tokenizer.json beside it? */
static bool is_added(const pm_model *model, pm_id id) {
    return model->kinds[id] == PM_KIND_SPECIAL || (model->kinds[id] == PM_KIND_CONTROL && model->algorithm != PM_ALGORITHM_BYTEPIECE) ||
           (model->added && (model->added[id] & PM_ADDED));
}

static pm_status put_role(pm_buf *out, const pm_tokenizer *tok, pm_role role, pm_error *err) {
    pm_id id;
    PM_TRY(pm_role_id(tok, role, &id, err));
    if (id == PM_ID_NONE || !is_added(&tok->model, id)) {
        return PM_OK;
    }
    PM_TRY(pm_buf_printf(out, err, "  \"%s\": ", pm_role_names[role]));
    PM_TRY(pm_json_quote(out, tok->model.pieces[id], err));
    return pm_buf_printf(out, err, ",\n");
}

static pm_status put_template(pm_buf *out, pm_buf *text, const pm_model *model, pm_error *err) {
    bool there;
    size_t wrong;
    PM_TRY(pm_setting_get_text(model, PM_CHAT_TEMPLATE, text, &there, err));
    if (!there || !pm_is_utf8((pm_bytes){text->data, text->len}, &wrong)) {
        return PM_OK;
    }
    PM_TRY(pm_buf_printf(out, err, "  \"%s\": ", PM_CHAT_TEMPLATE));
    PM_TRY(pm_json_quote(out, (pm_bytes){text->data, text->len}, err));
    return pm_buf_printf(out, err, ",\n");
}

static pm_status put_config(pm_buf *out, pm_buf *text, const pm_tokenizer *tok, pm_error *err) {
    bool there;
    PM_TRY(pm_buf_printf(out, err, "{\n"));
    for (pm_role role = 0; role < PM_N_ROLES; role++) {
        PM_TRY(put_role(out, tok, role, err));
    }
    PM_TRY(put_template(out, text, &tok->model, err));
    text->len = 0;
    PM_TRY(pm_setting_get_text(&tok->model, max_length, text, &there, err));
    PM_TRY(pm_buf_printf(out, err, "  \"clean_up_tokenization_spaces\": false,\n  \"%s\": %.*s,\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\"\n}\n", max_length,
                         there ? (int)text->len : 31, there ? (const char *)text->data : "1000000000000000019884624838656"));
    return PM_OK;
}

pm_status pm_folder_write_config(const pm_tokenizer *tok, const char *folder, pm_error *err) {
    pm_buf out = {0}, text = {0};
    pm_writer w;
    char *path = path_in(folder, config_name);
    pm_status status = path ? put_config(&out, &text, tok, err) : pm_fail_memory(err);
    if (status == PM_OK) {
        status = pm_writer_open(&w, path, err);
        status = status == PM_OK ? pm_writer_write(&w, out.data, out.len, err) : status;
        status = pm_error_in_file(err, pm_writer_close(&w, status, err), path);
    }
    pm_buf_release(&out);
    pm_buf_release(&text);
    pm_free(path);
    return status;
}
