/* hf_plain.c - see hf_plain.h. The pipelines that are plain:
 *
 *     over bytes        normalizer     nothing, or NFC (then no added token is looked for in normalized text)
 *                       pre_tokenizer  Splits by a regex, Isolated; ByteLevel at the end, without add_prefix_space; its use_regex is the pattern gpt2
 *                       decoder        ByteLevel
 *
 *     over characters   normalizer     Prepend U+2581 or not; Replace " " by U+2581          and no pre_tokenizer
 *                       or             Replace U+2581 by " ", and pre_tokenizer Splits as above, Metaspace at the end that puts nothing before and splits nothing
 *                       decoder        Replace U+2581 by " ", ByteFallback, Fuse, and where there is a Prepend a Strip of one blank in front
 *                       model          byte_fallback
 *
 * and in both BPE without dropout, prefix and suffix, and added tokens that are found as they stand. unk_token and fuse_unk do nothing where every byte is there. */
#include "format/hf_plain.h"

#include "format/characters.h"
#include "format/hf_steps.h"
#include "pretok/oniguruma.h"
#include "text/characters.h"

static bool is_text(pm_bytes a, const char *text) { return a.len == strlen(text) && memcmp(a.data, text, a.len) == 0; }

static bool is_type(const pm_steps *steps, size_t i, pm_step_type type) { return i < steps->n && steps->items[i].type == (uint32_t)type; }

static bool replaces(const pm_steps *steps, size_t i, const char *what, const char *by) {
    return is_type(steps, i, PM_STEP_REPLACE) && !(steps->items[i].flags & PM_STEP_REGEX) && is_text(steps->items[i].a, what) &&
           is_text(steps->items[i].b, by);
}

/* How many Splits are in front, each of the kind that a splitter does. */
static size_t count_splits(const pm_steps *steps) {
    size_t n = 0;
    while (is_type(steps, n, PM_STEP_SPLIT) && steps->items[n].flags == PM_STEP_REGEX && steps->items[n].n == PM_BEHAVIOR_ISOLATED) {
        n++;
    }
    return n;
}

static bool is_bytes(const pm_model *model, uint8_t added_flags) {
    const pm_steps *before = &model->normalizer, *pre = &model->pre_tokenizer;
    size_t n = count_splits(pre);
    bool nfc = before->n == 1 && is_type(before, 0, PM_STEP_NFC);
    return (before->n == 0 || (nfc && !(added_flags & PM_ADDED_NORMALIZED))) && is_type(pre, n, PM_STEP_BYTE_LEVEL) && n + 1 == pre->n &&
           !(pre->items[n].flags & PM_STEP_PREFIX_SPACE) && model->decoder.n == 1 && is_type(&model->decoder, 0, PM_STEP_BYTE_LEVEL) && !model->byte_fallback;
}

static bool puts_blank_before(const pm_model *model) {
    return is_type(&model->normalizer, 0, PM_STEP_PREPEND) && is_text(model->normalizer.items[0].a, PM_BLANK_MARK_UTF8);
}

static bool undoes_marks(const pm_steps *decoder, bool prefix) {
    bool strips = prefix && is_type(decoder, 3, PM_STEP_STRIP_EDGES) && is_text(decoder->items[3].a, " ") && decoder->items[3].n == 1 && decoder->items[3].m == 0;
    return replaces(decoder, 0, PM_BLANK_MARK_UTF8, " ") && is_type(decoder, 1, PM_STEP_BYTE_FALLBACK) && is_type(decoder, 2, PM_STEP_FUSE) &&
           (prefix ? strips && decoder->n == 4 : decoder->n == 3);
}

static bool is_characters(const pm_model *model, uint8_t added_flags) {
    const pm_steps *before = &model->normalizer, *pre = &model->pre_tokenizer;
    bool prefix = puts_blank_before(model);
    size_t n = count_splits(pre), at = prefix;
    bool whole = pre->n == 0 && replaces(before, at, " ", PM_BLANK_MARK_UTF8) && before->n == at + 1;
    bool split = pre->n == n + 1 && is_type(pre, n, PM_STEP_METASPACE) && is_text(pre->items[n].a, PM_BLANK_MARK_UTF8) && pre->items[n].n == PM_PREPEND_NEVER &&
                 !(pre->items[n].flags & PM_STEP_SPLITS) && before->n == 1 && replaces(before, 0, PM_BLANK_MARK_UTF8, " ");
    return (whole || split) && undoes_marks(&model->decoder, prefix) && model->byte_fallback && !(added_flags & PM_ADDED_NORMALIZED);
}

pm_hf_form pm_hf_form_of(const pm_model *model, uint8_t added_flags) {
    const uint8_t particular = PM_ADDED_SINGLE_WORD | PM_ADDED_LSTRIP | PM_ADDED_RSTRIP;
    if ((added_flags & particular) || model->dropout > 0 || model->prefix.len || model->suffix.len) {
        return PM_HF_GENERAL;
    }
    return is_bytes(model, added_flags) ? PM_HF_BYTES : is_characters(model, added_flags) ? PM_HF_CHARACTERS : PM_HF_GENERAL;
}

/* ---------------------------------------------------------------- the splitter ---- */

typedef struct patterns {
    char **items; /* NUL-terminated; of more than one */
    size_t n;
} patterns;

static pm_status add_pattern(patterns *p, const char *before, pm_bytes text, const char *behind, pm_error *err) {
    pm_buf copy = {0};
    pm_status status = pm_buf_printf(&copy, err, "%s%.*s%s", before, (int)text.len, (const char *)text.data, behind);
    if (status != PM_OK) {
        pm_buf_release(&copy);
        return status;
    }
    p->items[p->n++] = (char *)copy.data;
    return PM_OK;
}

/* A Split's regex in our dialect. One that reads like a pattern's name is still a regex. */
static pm_status add_split(patterns *p, pm_bytes regex, pm_error *err) {
    pm_buf ours = {0};
    pm_status status = pm_regex_from_oniguruma(&ours, regex, err);
    status = status == PM_OK ? add_pattern(p, "", (pm_bytes){ours.data, ours.len}, "", err) : status;
    if (status == PM_OK && pm_pattern_regex(p->items[p->n - 1], 0)) {
        pm_free(p->items[--p->n]);
        status = add_pattern(p, "(?:", (pm_bytes){ours.data, ours.len}, ")", err);
    }
    pm_buf_release(&ours);
    return status;
}

static pm_status add_patterns(patterns *p, const pm_steps *pre, pm_error *err) {
    for (size_t i = 0; i < pre->n; i++) {
        const pm_step *step = &pre->items[i];
        if (step->type == PM_STEP_SPLIT) {
            PM_TRY(add_split(p, step->a, err));
        } else if (step->type == PM_STEP_BYTE_LEVEL && (step->flags & PM_STEP_USE_REGEX)) {
            const char *regex = pm_pattern_regex("gpt2", 0);
            PM_TRY(add_pattern(p, "", (pm_bytes){(const uint8_t *)regex, regex ? strlen(regex) : 0}, "", err));
        }
    }
    return PM_OK;
}

static pm_status make_splitter(pm_model *model, pm_error *err) {
    patterns p = {.items = pm_alloc(model->pre_tokenizer.n + 1, sizeof *p.items)};
    pm_status status = p.items ? add_patterns(&p, &model->pre_tokenizer, err) : pm_fail_memory(err);
    if (status == PM_OK) {
        status = pm_splitter_new(&model->splitter, (const char *const *)p.items, p.n, err);
    }
    for (size_t i = 0; i < p.n; i++) {
        pm_free(p.items[i]);
    }
    pm_free(p.items);
    return status;
}

static void drop_steps(pm_steps *steps) {
    pm_free(steps->items);
    *steps = (pm_steps){0};
}

pm_status pm_hf_make_plain(pm_model *model, pm_hf_form form, pm_error *err) {
    model->characters = form == PM_HF_CHARACTERS;
    model->add_prefix = model->characters && puts_blank_before(model);
    model->normalize = model->characters || model->normalizer.n > 0;
    PM_TRY(model->characters && model->pre_tokenizer.n == 0 ? pm_characters_set_splitter(model, err) : make_splitter(model, err));
    model->fuse_unknown = model->byte_fallback = false;
    drop_steps(&model->normalizer);
    drop_steps(&model->pre_tokenizer);
    drop_steps(&model->decoder);
    return PM_OK;
}

/* ---------------------------------------------------------------- back to steps ---- */

static pm_bytes text_of(const char *text) { return (pm_bytes){(const uint8_t *)text, strlen(text)}; }

static pm_status add_splits(pm_model *steps, const pm_splitter *splitter, pm_error *err) {
    size_t n = splitter ? pm_splitter_n_regexes(splitter) : 0;
    pm_buf regex = {0};
    pm_status status = PM_OK;
    for (size_t i = 0; i < n && status == PM_OK; i++) {
        pm_step step = {.type = PM_STEP_SPLIT, .flags = PM_STEP_REGEX, .n = PM_BEHAVIOR_ISOLATED};
        regex.len = 0;
        status = pm_regex_to_oniguruma(&regex, text_of(pm_splitter_regex(splitter, i)), err);
        if (status == PM_OK) {
            step.a = (pm_bytes){pm_arena_copy(&steps->arena, regex.data, regex.len), regex.len};
            status = step.a.data ? pm_steps_add(&steps->pre_tokenizer, step, err) : pm_fail_memory(err);
        }
    }
    pm_buf_release(&regex);
    return status;
}

static pm_status bytes_steps(pm_model *steps, const pm_model *model, pm_error *err) {
    PM_TRY(model->normalize ? pm_steps_add(&steps->normalizer, (pm_step){.type = PM_STEP_NFC}, err) : PM_OK);
    PM_TRY(add_splits(steps, model->splitter, err));
    PM_TRY(pm_steps_add(&steps->pre_tokenizer, (pm_step){.type = PM_STEP_BYTE_LEVEL, .flags = PM_STEP_TRIM_OFFSETS}, err));
    return pm_steps_add(&steps->decoder, (pm_step){.type = PM_STEP_BYTE_LEVEL, .flags = PM_STEP_PREFIX_SPACE | PM_STEP_TRIM_OFFSETS | PM_STEP_USE_REGEX}, err);
}

/* Blanks become marks in the normalizer where nothing is split, else in a Metaspace behind the Splits, and a normalizer makes a text's own U+2581 blanks before. */
static pm_status characters_steps(pm_model *steps, const pm_model *model, pm_error *err) {
    pm_bytes mark = text_of(PM_BLANK_MARK_UTF8), blank = text_of(" ");
    pm_step to_mark = {.type = PM_STEP_REPLACE, .a = blank, .b = mark}, to_blank = {.type = PM_STEP_REPLACE, .a = mark, .b = blank};
    bool whole = pm_characters_need_no_pattern(model);
    if (model->add_prefix && !whole) {
        return pm_fail(err, PM_UNSUPPORTED, "a blank before the text and a pattern: tokenizer.json is not written with both");
    }
    PM_TRY(model->add_prefix ? pm_steps_add(&steps->normalizer, (pm_step){.type = PM_STEP_PREPEND, .a = mark}, err) : PM_OK);
    PM_TRY(pm_steps_add(&steps->normalizer, whole ? to_mark : to_blank, err));
    if (!whole) {
        PM_TRY(add_splits(steps, model->splitter, err));
        PM_TRY(pm_steps_add(&steps->pre_tokenizer, (pm_step){.type = PM_STEP_METASPACE, .a = mark, .n = PM_PREPEND_NEVER}, err));
    }
    PM_TRY(pm_steps_add(&steps->decoder, to_blank, err));
    PM_TRY(pm_steps_add(&steps->decoder, (pm_step){.type = PM_STEP_BYTE_FALLBACK}, err));
    PM_TRY(pm_steps_add(&steps->decoder, (pm_step){.type = PM_STEP_FUSE}, err));
    return model->add_prefix ? pm_steps_add(&steps->decoder, (pm_step){.type = PM_STEP_STRIP_EDGES, .a = blank, .n = 1}, err) : PM_OK;
}

pm_status pm_hf_plain_steps(pm_model *steps, const pm_model *model, pm_error *err) {
    return model->characters ? characters_steps(steps, model, err) : bytes_steps(steps, model, err);
}

bool pm_hf_setting(const pm_model *model, const char *name, pm_bytes *value) {
    size_t n = strlen(name);
    for (size_t at = 0; at < model->settings.len;) {
        const uint8_t *line = model->settings.data + at, *end = memchr(line, '\n', model->settings.len - at);
        size_t len = end ? (size_t)(end - line) : model->settings.len - at;
        if (len > n && memcmp(line, name, n) == 0 && line[n] == '=') {
            *value = (pm_bytes){line + n + 1, len - n - 1};
            return true;
        }
        at += len + 1;
    }
    return false;
}
