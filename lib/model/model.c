/* model.c - the builder's half of model.h: giving ids their meaning. */
#include "model/model.h"

#include <stdio.h>

#include "base/bytes.h"

const uint8_t pm_byte_order[256] = {
    33,  34,  35,  36,  37,  38,  39,  40,  41,  42,  43,  44,  45,  46,  47,  48,  49,  50,  51,  52,  53,  54,
    55,  56,  57,  58,  59,  60,  61,  62,  63,  64,  65,  66,  67,  68,  69,  70,  71,  72,  73,  74,  75,  76,
    77,  78,  79,  80,  81,  82,  83,  84,  85,  86,  87,  88,  89,  90,  91,  92,  93,  94,  95,  96,  97,  98,
    99,  100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120,
    121, 122, 123, 124, 125, 126, 161, 162, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 174, 175, 176, 177,
    178, 179, 180, 181, 182, 183, 184, 185, 186, 187, 188, 189, 190, 191, 192, 193, 194, 195, 196, 197, 198, 199,
    200, 201, 202, 203, 204, 205, 206, 207, 208, 209, 210, 211, 212, 213, 214, 215, 216, 217, 218, 219, 220, 221,
    222, 223, 224, 225, 226, 227, 228, 229, 230, 231, 232, 233, 234, 235, 236, 237, 238, 239, 240, 241, 242, 243,
    244, 245, 246, 247, 248, 249, 250, 251, 252, 253, 254, 255, 0,   1,   2,   3,   4,   5,   6,   7,   8,   9,
    10,  11,  12,  13,  14,  15,  16,  17,  18,  19,  20,  21,  22,  23,  24,  25,  26,  27,  28,  29,  30,  31,
    32,  127, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140, 141, 142, 143, 144, 145, 146, 147,
    148, 149, 150, 151, 152, 153, 154, 155, 156, 157, 158, 159, 160, 173,
};

const char *const pm_control_names[PM_N_CONTROLS] = {"<unk>", "<s>", "</s>", "<pad>", "<bos>", "<eos>"};

bool pm_is_control_name(pm_bytes text) {
    for (size_t i = 0; i < PM_N_CONTROLS; i++) {
        if (pm_bytes_equal(text, (pm_bytes){(const uint8_t *)pm_control_names[i], strlen(pm_control_names[i])})) {
            return true;
        }
    }
    return false;
}

void pm_byte_name(char out[PM_BYTE_NAME], uint8_t byte) { snprintf(out, PM_BYTE_NAME, "<0x%02X>", byte); }

static int digit(uint8_t c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

int pm_byte_from_name(pm_bytes name) {
    if (name.len != PM_BYTE_NAME - 2 || memcmp(name.data, "<0x", 3) != 0 || name.data[5] != '>') {
        return -1;
    }
    int high = digit(name.data[3]), low = digit(name.data[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Makes room for ids below `need`; new ones are holes. */
static pm_status grow_ids(pm_model *model, size_t need, pm_error *err) {
    if (need <= model->cap) {
        return PM_OK;
    }
    size_t cap = model->cap + model->cap / 2;
    cap = cap < need ? need : cap;
    cap = cap < 256 ? 256 : cap;

    uint8_t *kinds = pm_realloc(model->kinds, cap, sizeof *kinds);
    model->kinds = kinds ? kinds : model->kinds;
    uint64_t *counts = kinds ? pm_realloc(model->counts, cap, sizeof *counts) : NULL;
    model->counts = counts ? counts : model->counts;
    pm_bytes *pieces = counts ? pm_realloc(model->pieces, cap, sizeof *pieces) : NULL;
    model->pieces = pieces ? pieces : model->pieces;
    uint8_t *added = pieces && model->added ? pm_realloc(model->added, cap, sizeof *added) : model->added;
    model->added = added ? added : model->added;
    double *scores = pieces && model->scores ? pm_realloc(model->scores, cap, sizeof *scores) : model->scores;
    model->scores = scores ? scores : model->scores;
    if (!pieces || (model->added && !added) || (model->scores && !scores)) {
        return pm_fail_memory(err);
    }
    for (size_t i = model->cap; i < cap; i++) {
        if (added) {
            added[i] = 0;
        }
        if (scores) {
            scores[i] = 0;
        }
        kinds[i] = PM_KIND_HOLE;
        counts[i] = 0;
        pieces[i] = (pm_bytes){NULL, 0};
    }
    model->cap = cap;
    return PM_OK;
}

pm_status pm_model_set(pm_model *model, pm_id id, pm_kind kind, pm_bytes bytes, uint64_t count, bool borrowed,
                       pm_error *err) {
    if (id == PM_ID_NONE) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "id %u is reserved to mean none", id);
    }
    if (id < model->vocab_size && model->kinds[id] != PM_KIND_HOLE) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "id %u is given twice", id);
    }
    PM_TRY(grow_ids(model, (size_t)id + 1, err));
    if (!borrowed && bytes.len) {
        bytes.data = pm_arena_copy(&model->arena, bytes.data, bytes.len);
        if (!bytes.data) {
            return pm_fail_memory(err);
        }
    }
    model->kinds[id] = (uint8_t)kind;
    model->counts[id] = count;
    model->pieces[id] = bytes;
    if (id >= model->vocab_size) {
        model->vocab_size = id + 1;
    }
    return PM_OK;
}

pm_status pm_model_set_added(pm_model *model, pm_id id, uint8_t flags, pm_error *err) {
    if (!model->added) {
        model->added = pm_calloc(model->cap, sizeof *model->added);
    }
    if (!model->added) {
        return pm_fail_memory(err);
    }
    model->added[id] = flags;
    return PM_OK;
}

pm_status pm_model_set_score(pm_model *model, pm_id id, double score, pm_error *err) {
    if (!model->scores) {
        model->scores = pm_calloc(model->cap, sizeof *model->scores);
    }
    if (!model->scores) {
        return pm_fail_memory(err);
    }
    model->scores[id] = score;
    return PM_OK;
}

pm_status pm_model_add_merge(pm_model *model, pm_id left, pm_id right, pm_id result, pm_error *err) {
    PM_TRY(pm_grow((void **)&model->merges, &model->cap_merges, model->n_merges + 1, sizeof *model->merges, err));
    model->merges[model->n_merges++] = (pm_merge){left, right, result};
    return PM_OK;
}

/* The id of a special token with this text, or PM_ID_NONE. */
static pm_id find_special(const pm_model *model, pm_bytes text) {
    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (model->kinds[id] == PM_KIND_SPECIAL && pm_bytes_equal(model->pieces[id], text)) {
            return id;
        }
    }
    return PM_ID_NONE;
}

static pm_id first_reserved(const pm_model *model) {
    pm_id id = 0;
    while (id < model->vocab_size && model->kinds[id] != PM_KIND_RESERVED) {
        id++;
    }
    return id;
}

static pm_status add_special(pm_model *model, const pm_special_token *token, pm_error *err) {
    int len = token->text.len < 200 ? (int)token->text.len : 200;
    const char *text = (const char *)token->text.data;

    if (token->text.len == 0) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "a special token is empty");
    }
    pm_id known = find_special(model, token->text);
    if (known != PM_ID_NONE) {
        return token->id == PM_ID_NONE || token->id == known
                   ? PM_OK
                   : pm_fail(err, PM_INVALID_ARGUMENT, "special token '%.*s' has id %u already, not %u", len, text, known,
                             token->id);
    }
    pm_id id = token->id != PM_ID_NONE ? token->id : first_reserved(model);
    if (id > model->vocab_size * (uint64_t)64 + (1u << 20)) { /* memory is taken for the highest id */
        return pm_fail(err, PM_INVALID_ARGUMENT, "id %u of special token '%.*s' is far beyond the vocabulary", id, len, text);
    }
    if (id < model->vocab_size && model->kinds[id] == PM_KIND_RESERVED) {
        model->kinds[id] = PM_KIND_HOLE;
    }
    if (id < model->vocab_size && model->kinds[id] != PM_KIND_HOLE) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "id %u of special token '%.*s' is taken", id, len, text);
    }
    return pm_model_set(model, id, PM_KIND_SPECIAL, token->text, 0, false, err);
}

pm_status pm_model_add_special_tokens(pm_model *model, const pm_special_token *tokens, size_t n, pm_error *err) {
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            if (pm_bytes_equal(tokens[i].text, tokens[j].text)) {
                return pm_fail(err, PM_INVALID_ARGUMENT, "special token '%.*s' is given twice",
                               (int)(tokens[i].text.len < 200 ? tokens[i].text.len : 200), (const char *)tokens[i].text.data);
            }
        }
    }
    /* Those with an id first, so that the others find the places that are left. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < n; i++) {
            if ((tokens[i].id == PM_ID_NONE) == (pass == 1)) {
                PM_TRY(add_special(model, &tokens[i], err));
            }
        }
    }
    return PM_OK;
}

pm_status pm_model_add_reserved(pm_model *model, uint32_t n, pm_error *err) {
    for (uint32_t i = 0; i < n; i++) {
        PM_TRY(pm_model_set(model, model->vocab_size, PM_KIND_RESERVED, (pm_bytes){0}, 0, false, err));
    }
    return PM_OK;
}

pm_status pm_model_setting(pm_model *model, const char *key, const char *value, pm_error *err) {
    return pm_buf_printf(&model->settings, err, "%s=%s\n", key, value);
}

pm_status pm_model_setting_number(pm_model *model, const char *key, uint64_t value, pm_error *err) {
    return pm_buf_printf(&model->settings, err, "%s=%llu\n", key, (unsigned long long)value);
}

void pm_model_release(pm_model *model) {
    pm_free(model->kinds);
    pm_free(model->counts);
    pm_free(model->pieces);
    pm_free(model->merges);
    pm_free(model->normalizer.items);
    pm_free(model->pre_tokenizer.items);
    pm_free(model->post_processor.items);
    pm_free(model->decoder.items);
    pm_free(model->added);
    pm_free(model->scores);
    pm_splitter_free(model->splitter);
    pm_buf_release(&model->settings);
    pm_arena_release(&model->arena);
    pm_file_close(&model->file);
    *model = (pm_model){0};
}
