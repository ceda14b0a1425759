/* template.c - see template.h. Steps as in the processors of Hugging Face's tokenizers.
 *
 *     TemplateProcessing  [CLS] $A [SEP]     before: its ids up to the text, before what is there; behind: the others
 *     BertProcessing, RobertaProcessing      cls before, sep behind
 *     ByteLevel, RobertaProcessing           white space is trimmed */
#include "encode/template.h"

enum { MOST = 65536 };

/* The ids of one step for one text, in order; the text stands behind `text` of them. */
typedef struct ends {
    pm_id *ids;
    size_t n, cap;
    size_t text, n_texts;
} ends;

static pm_status add_id(ends *e, uint64_t id, uint32_t vocab_size, pm_error *err) {
    if (id >= vocab_size) {
        return pm_fail(err, PM_BAD_FORMAT, "the post-processor adds id %llu, which is not in the vocabulary", (unsigned long long)id);
    }
    PM_TRY(pm_grow((void **)&e->ids, &e->cap, e->n + 1, sizeof *e->ids, err));
    e->ids[e->n++] = (pm_id)id;
    return PM_OK;
}

static void add_text(ends *e) {
    e->text = e->n;
    e->n_texts++;
}

/* A template's steps begin at i; *next: behind them. */
static pm_status read_template(ends *e, const pm_steps *steps, size_t i, size_t *next, uint32_t vocab_size, pm_error *err) {
    bool single = false; /* the ids belong to an item of the template for one text */
    for (i++; i < steps->n; i++) {
        const pm_step *step = &steps->items[i];
        if (step->type == PM_STEP_ITEM) {
            single = !(step->flags & PM_STEP_PAIR);
            if (single && step->b.len) {
                if (step->b.data[0] != 'A') {
                    return pm_fail(err, PM_UNSUPPORTED, "a template for one text has a second one: that is not supported");
                }
                add_text(e);
            }
        } else if (step->type != PM_STEP_ID) {
            break;
        } else if (single) {
            PM_TRY(add_id(e, step->n, vocab_size, err));
        }
    }
    *next = i;
    return PM_OK;
}

static pm_status read_ends(ends *e, const pm_step *step, uint32_t vocab_size, pm_error *err) {
    PM_TRY(add_id(e, step->m, vocab_size, err));
    add_text(e);
    return add_id(e, step->n, vocab_size, err);
}

/* The step's ids around those that are there. */
static pm_status put_around(pm_template *t, const ends *e, pm_error *err) {
    if (e->n_texts != 1) {
        return pm_fail(err, PM_UNSUPPORTED, "a template holds the text %zu times: that is not supported", e->n_texts);
    }
    if (e->n == 0) {
        return PM_OK;
    }
    if (t->n + e->n > MOST) {
        return pm_fail(err, PM_LIMIT, "the post-processor adds more than %d ids", MOST);
    }
    pm_id *ids = pm_alloc(t->n + e->n, sizeof *ids), *to = ids;
    if (!ids) {
        return pm_fail_memory(err);
    }
    memcpy(to, e->ids, e->text * sizeof *ids);
    to += e->text;
    if (t->n) {
        memcpy(to, t->ids, t->n * sizeof *ids);
    }
    memcpy(to + t->n, e->ids + e->text, (e->n - e->text) * sizeof *ids);
    pm_free(t->ids);
    t->ids = ids;
    t->n_before += e->text;
    t->n += e->n;
    return PM_OK;
}

static pm_status add_trim(pm_template *t, const pm_step *step, pm_error *err) {
    if (!(step->flags & PM_STEP_TRIM_OFFSETS)) {
        return PM_OK;
    }
    uint8_t *trims = pm_realloc(t->trims, t->n_trims + 1, sizeof *trims);
    if (!trims) {
        return pm_fail_memory(err);
    }
    t->trims = trims;
    t->trims[t->n_trims++] = (step->flags & PM_STEP_PREFIX_SPACE) != 0;
    return PM_OK;
}

static pm_status add_step(pm_template *t, const pm_steps *steps, size_t i, size_t *next, uint32_t vocab_size, pm_error *err) {
    const pm_step *step = &steps->items[i];
    ends e = {0};
    pm_status status = PM_OK;
    *next = i + 1;
    switch (step->type) {
    case PM_STEP_BYTE_LEVEL: return add_trim(t, step, err);
    case PM_STEP_ROBERTA_ENDS: status = add_trim(t, step, err); /* fall through */
    case PM_STEP_BERT_ENDS: status = status == PM_OK ? read_ends(&e, step, vocab_size, err) : status; break;
    case PM_STEP_TEMPLATE: status = read_template(&e, steps, i, next, vocab_size, err); break;
    default: return pm_fail(err, PM_UNSUPPORTED, "step %u is none of a post-processor", step->type);
    }
    status = status == PM_OK ? put_around(t, &e, err) : status;
    pm_free(e.ids);
    return status;
}

pm_status pm_template_init(pm_template *out, const pm_steps *steps, uint32_t vocab_size, pm_error *err) {
    *out = (pm_template){0};
    for (size_t i = 0; i < steps->n;) {
        PM_TRY(add_step(out, steps, i, &i, vocab_size, err));
    }
    return PM_OK;
}

void pm_template_release(pm_template *t) {
    pm_free(t->ids);
    pm_free(t->trims);
    *t = (pm_template){0};
}
