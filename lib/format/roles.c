/* roles.c - see roles.h. */
#include "format/roles.h"

#include "base/bytes.h"

const char *const pm_role_names[PM_N_ROLES] = {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};

static pm_bytes bytes_of(const char *text) { return (pm_bytes){(const uint8_t *)text, strlen(text)}; }

/* ---------------------------------------------------------------- settings ---- */

/* The value of a setting as it stands in its line. */
static bool find_line(const pm_model *model, const char *key, pm_bytes *value) {
    const uint8_t *p = model->settings.data, *end = p ? p + model->settings.len : NULL;
    size_t n = strlen(key);
    while (p < end) {
        const uint8_t *line_end = memchr(p, '\n', (size_t)(end - p));
        line_end = line_end ? line_end : end;
        if ((size_t)(line_end - p) > n && memcmp(p, key, n) == 0 && p[n] == '=') {
            *value = (pm_bytes){p + n + 1, (size_t)(line_end - p) - n - 1};
            return true;
        }
        p = line_end + (line_end < end);
    }
    return false;
}

pm_status pm_setting_set_text(pm_model *model, const char *key, pm_bytes text, pm_error *err) {
    pm_buf *out = &model->settings;
    pm_bytes old;
    if (find_line(model, key, &old)) {
        return PM_OK;
    }
    PM_TRY(pm_buf_printf(out, err, "%s=", key));
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        const char *written = c == '\n' ? "\\n" : c == '\\' ? "\\\\" : c == '\0' ? "\\0" : NULL;
        PM_TRY(written ? pm_buf_append(out, written, 2, err) : pm_buf_append(out, &c, 1, err));
    }
    return pm_buf_append(out, "\n", 1, err);
}

pm_status pm_setting_get_text(const pm_model *model, const char *key, pm_buf *out, bool *there, pm_error *err) {
    pm_bytes value;
    *there = find_line(model, key, &value);
    if (!*there) {
        return PM_OK;
    }
    PM_TRY(pm_buf_reserve(out, value.len, err));
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        if (c == '\\' && i + 1 < value.len) {
            i++;
            c = value.data[i] == 'n' ? '\n' : value.data[i] == '0' ? '\0' : value.data[i];
        }
        out->data[out->len++] = c;
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- roles ---- */

/* The token with this text that is no ordinary piece, if there is one; else the piece. */
static pm_id find_token(const pm_tokenizer *tok, pm_bytes text) {
    for (pm_id id = 0; id < tok->vocab_size; id++) {
        pm_kind kind = (pm_kind)tok->model.kinds[id];
        if ((kind == PM_KIND_SPECIAL || kind == PM_KIND_CONTROL) && pm_bytes_equal(tok->model.pieces[id], text)) {
            return id;
        }
    }
    return pm_tokenizer_find(tok, text);
}

static pm_id find_control(const pm_tokenizer *tok, const char *const *names) {
    for (; *names; names++) {
        for (pm_id id = 0; id < tok->vocab_size; id++) {
            if (tok->model.kinds[id] == PM_KIND_CONTROL && pm_bytes_equal(tok->model.pieces[id], bytes_of(*names))) {
                return id;
            }
        }
    }
    return PM_ID_NONE;
}

/* What the model itself tells. */
static pm_id implied(const pm_tokenizer *tok, pm_role role) {
    static const char *const controls[PM_N_ROLES][3] = {[PM_ROLE_BOS] = {"<s>", "<bos>"}, [PM_ROLE_EOS] = {"</s>", "<eos>"}, [PM_ROLE_UNK] = {"<unk>"}, [PM_ROLE_PAD] = {"<pad>"}};
    const pm_model *model = &tok->model;
    pm_id before = PM_ID_NONE, behind = PM_ID_NONE;
    bool bert = model->algorithm == PM_ALGORITHM_WORDPIECE;
    if (pm_ends_get(&model->post_processor, &before, &behind)) {
        pm_id id = role == (bert ? PM_ROLE_CLS : PM_ROLE_BOS) ? before : role == (bert ? PM_ROLE_SEP : PM_ROLE_EOS) ? behind : PM_ID_NONE;
        if (id != PM_ID_NONE) {
            return id;
        }
    }
    if (role == PM_ROLE_UNK && model->has_unknown) {
        return model->unknown;
    }
    return find_control(tok, controls[role]);
}

pm_status pm_role_id(const pm_tokenizer *tok, pm_role role, pm_id *id, pm_error *err) {
    pm_buf text = {0};
    bool there;
    pm_status status = pm_setting_get_text(&tok->model, pm_role_names[role], &text, &there, err);
    if (status == PM_OK) {
        *id = there ? find_token(tok, (pm_bytes){text.data, text.len}) : implied(tok, role);
    }
    pm_buf_release(&text);
    return status;
}

/* ---------------------------------------------------------------- the ends of a text ---- */

/* The i-th step and what belongs to it, of a template: false, it is none of these. */
static bool read_item(const pm_steps *steps, size_t *i, bool *text, pm_id *before, pm_id *behind) {
    const pm_step *item = &steps->items[*i];
    pm_id *end = *text ? behind : before;
    *i += 1;
    if (item->flags & PM_STEP_PAIR) {
        *i += item->a.len ? (size_t)item->m : 0;
        return true;
    }
    if (!item->a.len) {
        bool first = !*text && pm_bytes_equal(item->b, bytes_of("A"));
        *text = true;
        return first;
    }
    if (item->m != 1 || *i >= steps->n || steps->items[*i].type != PM_STEP_ID || *end != PM_ID_NONE) {
        return false;
    }
    *end = (pm_id)steps->items[*i].n;
    *i += 1;
    return true;
}

static bool read_template(const pm_steps *steps, size_t *i, pm_id *before, pm_id *behind) {
    uint64_t items = steps->items[*i].n;
    bool text = false;
    *i += 1;
    for (uint64_t k = 0; k < items; k++) {
        if (*i >= steps->n || steps->items[*i].type != PM_STEP_ITEM || !read_item(steps, i, &text, before, behind)) {
            return false;
        }
    }
    return text;
}

bool pm_ends_get(const pm_steps *steps, pm_id *before, pm_id *behind) {
    bool ends = false;
    *before = *behind = PM_ID_NONE;
    for (size_t i = 0; i < steps->n;) {
        const pm_step *step = &steps->items[i];
        if (step->type == PM_STEP_BYTE_LEVEL) { /* moves offsets only */
            i++;
            continue;
        }
        if (ends) {
            return false;
        }
        ends = true;
        if (step->type == PM_STEP_BERT_ENDS || step->type == PM_STEP_ROBERTA_ENDS) {
            *before = (pm_id)step->m;
            *behind = (pm_id)step->n;
            i++;
        } else if (step->type != PM_STEP_TEMPLATE || !read_template(steps, &i, before, behind)) {
            return false;
        }
    }
    return true;
}

static pm_status add_step(pm_model *model, pm_step step, pm_error *err) {
    pm_steps *steps = &model->post_processor;
    PM_TRY(pm_grow((void **)&steps->items, &steps->cap, steps->n + 1, sizeof *steps->items, err));
    steps->items[steps->n++] = step;
    return PM_OK;
}

static pm_status add_end(pm_model *model, pm_id id, pm_error *err) {
    if (id == PM_ID_NONE) {
        return PM_OK;
    }
    PM_TRY(add_step(model, (pm_step){.type = PM_STEP_ITEM, .a = model->pieces[id], .m = 1}, err));
    return add_step(model, (pm_step){.type = PM_STEP_ID, .a = model->pieces[id], .n = id}, err);
}

pm_status pm_ends_set(pm_model *model, pm_id before, pm_id behind, pm_error *err) {
    if (before == PM_ID_NONE && behind == PM_ID_NONE) {
        return PM_OK;
    }
    PM_TRY(add_step(model, (pm_step){.type = PM_STEP_TEMPLATE, .n = (uint64_t)1 + (before != PM_ID_NONE) + (behind != PM_ID_NONE)}, err));
    PM_TRY(add_end(model, before, err));
    PM_TRY(add_step(model, (pm_step){.type = PM_STEP_ITEM, .b = bytes_of("A")}, err));
    return add_end(model, behind, err);
}
