/* pretokenizer.c - see pretokenizer.h.
 *
 * A list of steps becomes a list of operations. Each goes over all the spans of the text in order and makes the next list of spans, so that a step
 * never sees further than the piece that the step before made, as in Hugging Face's tokenizers. There are three sorts of operations:
 *
 *   cuts      make more spans of the same text (cuts.c, fold.h);
 *   patterns  are cuts that a pm_splitter does: a regex that is one of the named patterns, where it covers its text. Such steps in a row are one
 *             splitter: the three of deepseek_v3 are its scanner. Spans that touch are given to it as documents that lie one behind another;
 *   rewrites  make a new text, and a span of it for each span (rewrites.c).
 *
 *     steps         Metaspace (always, split), Digits (individual)             text   "year 1984"
 *     operations    marks                                                      _year_1984           one span
 *                   cut at '_', merged with next                               _year|_1984
 *                   cut at numeric characters, isolated                        _year|_|1|9|8|4
 *
 * ByteLevel is up to three operations: a blank before each span, the pattern gpt2, and a character for each byte.
 *
 * Memory: the text once or twice, when it is rewritten; with origins 16 bytes a byte; 16 bytes a pre-token, twice. Nothing is allocated for one span.
 * Time: linear, but for regexes, which have a budget for each stretch (regex.h).
 *
 * Source: huggingface/tokenizers 0.23.3, tokenizers/src/pre_tokenizers. */
#include "pretok/pretokenizer.h"

#include "base/bytes.h"
#include "pretok/cuts.h"
#include "pretok/kinds.h"
#include "pretok/names.h"
#include "pretok/property.h"
#include "pretok/rewrites.h"
#include "pretok/split.h"
#include "text/utf8.h"

typedef enum op_kind {
    OP_KINDS, /* cut at characters of `kinds` */
    OP_AT,    /* at `text` */
    OP_REGEX, /* at matches of `regex` */
    OP_WORDS,
    OP_BERT,
    OP_SCRIPTS,
    OP_LENGTHS, /* of n characters */
    OP_PATTERN, /* by `splitter` */
    OP_PREFIX,
    OP_MARKS, /* `text`, put before by `prepend` */
    OP_BYTES
} op_kind;

typedef struct op {
    op_kind kind;
    pm_behavior behavior;
    bool invert;
    unsigned kinds;
    uint64_t n;
    pm_prepend prepend;
    pm_buf text;
    pm_regex *regex;
    pm_splitter *splitter;
    size_t scratch; /* which of the scratch's splitters is its own */
} op;

struct pm_pretokenizer {
    op *ops;
    size_t n_ops, cap_ops;
    size_t n_splitters;
    size_t regex_bytes;      /* of all regexes that are no splitter's; 0: there are none */
    size_t first_ends;       /* behind the last operation that asks where the text comes from; 0: there is none */
    char engine_version[24]; /* "": PCRE2's tables decide nothing */
    pm_byte_characters bytes;
};

/* ---- compiling ---- */

static pm_status new_op(pm_pretokenizer *p, op_kind kind, op **out, pm_error *err) {
    PM_TRY(pm_grow((void **)&p->ops, &p->cap_ops, p->n_ops + 1, sizeof *p->ops, err));
    *out = &p->ops[p->n_ops++];
    **out = (op){.kind = kind};
    return PM_OK;
}

static pm_status add_simple(pm_pretokenizer *p, op_kind kind, pm_error *err) {
    op *o;
    return new_op(p, kind, &o, err);
}

static pm_status add_kinds(pm_pretokenizer *p, unsigned kinds, pm_behavior behavior, pm_error *err) {
    op *o;

    PM_TRY(new_op(p, OP_KINDS, &o, err));
    o->kinds = kinds;
    o->behavior = behavior;
    return PM_OK;
}

static pm_status add_at(pm_pretokenizer *p, pm_bytes what, pm_behavior behavior, bool invert, pm_error *err) {
    op *o;

    PM_TRY(new_op(p, OP_AT, &o, err));
    o->behavior = behavior;
    o->invert = invert;
    return pm_buf_append(&o->text, what.data, what.len, err);
}

/* A splitter for n regexes, as an operation. */
static pm_status add_pattern(pm_pretokenizer *p, const char *const *regexes, size_t n, pm_error *err) {
    op *o;

    PM_TRY(new_op(p, OP_PATTERN, &o, err));
    o->scratch = p->n_splitters++;
    return pm_splitter_new(&o->splitter, regexes, n, err);
}

/* A regex with a NUL behind it. */
static pm_status read_regex(pm_bytes regex, pm_buf *out, pm_error *err) {
    const uint8_t *nul = regex.len ? memchr(regex.data, '\0', regex.len) : NULL;

    if (nul) {
        return pm_fail_at(err, PM_BAD_PATTERN, (uint64_t)(nul - regex.data), "a regex holds the character U+0000: write \\x00");
    }
    PM_TRY(pm_buf_append(out, regex.data, regex.len, err));
    return pm_buf_append(out, "", 1, err);
}

static pm_status add_regex(pm_pretokenizer *p, const char *regex, pm_behavior behavior, bool invert, pm_error *err) {
    op *o;

    PM_TRY(new_op(p, OP_REGEX, &o, err));
    o->behavior = behavior;
    o->invert = invert;
    PM_TRY(pm_regex_new(&o->regex, regex, PM_FLAVOR_ONIGURUMA, err));
    if (pm_regex_uses_engine_tables(o->regex)) {
        pm_property_engine_version(p->engine_version);
    }
    p->regex_bytes += strlen(regex) + 1;
    return PM_OK;
}

/* Whether a step is this regex, and its pieces are the matches and what is between them. A pattern that covers every text has only matches, so that those
 * alone may be kept. */
static bool is_pattern(const pm_step *step, const char *regex, bool covers) {
    bool matches_kept = step->n == PM_BEHAVIOR_ISOLATED || (covers && step->n == PM_BEHAVIOR_REMOVED && (step->flags & PM_STEP_INVERT));
    return step->type == PM_STEP_SPLIT && (step->flags & PM_STEP_REGEX) && matches_kept &&
           pm_bytes_equal(step->a, (pm_bytes){(const uint8_t *)regex, strlen(regex)});
}

/* How many steps at the begin of a list are a named pattern: the most that are one; 0: none. */
static size_t count_named(const pm_step *steps, size_t n, const pm_named_pattern **out) {
    size_t most = 0;

    for (size_t k = 0; k < pm_n_named_patterns; k++) {
        const pm_named_pattern *named = &pm_named_patterns[k];
        bool covers = named->find && !named->regexes[1]; /* the published ones of one regex do */
        size_t m = 0;
        while (named->regexes[m] && m < n && is_pattern(&steps[m], named->regexes[m], covers)) {
            m++;
        }
        if (!named->regexes[m] && m > most) {
            most = m;
            *out = named;
        }
    }
    return most;
}

static pm_status bad_step(size_t i, const char *what, pm_error *err) {
    return pm_fail(err, PM_BAD_FORMAT, "step %zu of the pre-tokenizer: %s", i + 1, what);
}

static pm_status add_split(pm_pretokenizer *p, const pm_step *step, size_t i, pm_error *err) {
    bool invert = (step->flags & PM_STEP_INVERT) != 0;
    pm_behavior behavior = (pm_behavior)step->n;

    if (step->n > PM_BEHAVIOR_CONTIGUOUS) {
        return bad_step(i, "an unknown behavior", err);
    }
    if (!(step->flags & PM_STEP_REGEX) && step->a.len) {
        return add_at(p, step->a, behavior, invert, err);
    }
    pm_buf regex = {0};
    pm_status status = read_regex(step->a, &regex, err); /* no text: it stands everywhere, as the regex "" */
    if (status == PM_OK) {
        status = add_regex(p, (const char *)regex.data, behavior, invert, err);
    }
    pm_buf_release(&regex);
    return status;
}

static pm_status add_byte_level(pm_pretokenizer *p, const pm_step *step, pm_error *err) {
    static const char *const gpt2[] = {"gpt2"};

    if (step->flags & PM_STEP_PREFIX_SPACE) {
        PM_TRY(add_simple(p, OP_PREFIX, err));
    }
    if (step->flags & PM_STEP_USE_REGEX) {
        PM_TRY(add_pattern(p, gpt2, 1, err));
    }
    return add_simple(p, OP_BYTES, err);
}

static bool is_one_character(pm_bytes text) {
    unsigned len;
    return text.len && !(pm_utf8_read(text.data, text.data + text.len, &len) == PM_BAD_BYTE && len == 1) && len == text.len;
}

static pm_status add_metaspace(pm_pretokenizer *p, const pm_step *step, size_t i, pm_error *err) {
    op *o;

    if (!is_one_character(step->a)) {
        return bad_step(i, "the replacement is not one character", err);
    }
    if (step->n > PM_PREPEND_ALWAYS) {
        return bad_step(i, "an unknown prepend_scheme", err);
    }
    PM_TRY(new_op(p, OP_MARKS, &o, err));
    o->prepend = (pm_prepend)step->n;
    PM_TRY(pm_buf_append(&o->text, step->a.data, step->a.len, err));
    if (o->prepend == PM_PREPEND_FIRST) {
        p->first_ends = p->n_ops;
    }
    return step->flags & PM_STEP_SPLITS ? add_at(p, step->a, PM_BEHAVIOR_MERGED_WITH_NEXT, false, err) : PM_OK;
}

static pm_status add_step(pm_pretokenizer *p, const pm_step *step, size_t i, pm_error *err) {
    op *o;

    switch (step->type) {
    case PM_STEP_BYTE_LEVEL: return add_byte_level(p, step, err);
    case PM_STEP_SPLIT: return add_split(p, step, i, err);
    case PM_STEP_METASPACE: return add_metaspace(p, step, i, err);
    case PM_STEP_WHITESPACE: return add_simple(p, OP_WORDS, err);
    case PM_STEP_WHITESPACE_SPLIT: return add_kinds(p, PM_CHAR_SPACE, PM_BEHAVIOR_REMOVED, err);
    case PM_STEP_PUNCTUATION:
        return step->n > PM_BEHAVIOR_CONTIGUOUS ? bad_step(i, "an unknown behavior", err)
                                                : add_kinds(p, PM_CHAR_PUNCT, (pm_behavior)step->n, err);
    case PM_STEP_DIGITS:
        return add_kinds(p, PM_CHAR_NUMERIC, step->flags & PM_STEP_INDIVIDUAL ? PM_BEHAVIOR_ISOLATED : PM_BEHAVIOR_CONTIGUOUS, err);
    case PM_STEP_BERT_SPLIT: return add_simple(p, OP_BERT, err);
    case PM_STEP_UNICODE_SCRIPTS: return add_simple(p, OP_SCRIPTS, err);
    case PM_STEP_DELIMITER:
        return is_one_character(step->a) ? add_at(p, step->a, PM_BEHAVIOR_REMOVED, false, err)
                                         : bad_step(i, "the delimiter is not one character", err);
    case PM_STEP_FIXED_LENGTH:
        PM_TRY(step->n == 0 ? bad_step(i, "a length of 0", err) : PM_OK);
        PM_TRY(new_op(p, OP_LENGTHS, &o, err));
        o->n = step->n;
        return PM_OK;
    default:
        return pm_fail(err, PM_UNSUPPORTED, "step %zu of the pre-tokenizer (of type %u) is none that cuts text", i + 1, (unsigned)step->type);
    }
}

static pm_status compile(pm_pretokenizer *p, const pm_steps *steps, pm_error *err) {
    for (size_t i = 0; i < steps->n;) {
        const pm_named_pattern *named = NULL;
        size_t n = count_named(steps->items + i, steps->n - i, &named);
        if (n) {
            PM_TRY(add_pattern(p, &named->name, 1, err));
        } else {
            PM_TRY(add_step(p, &steps->items[i], i, err));
            n = 1;
        }
        i += n;
    }
    return PM_OK;
}

pm_status pm_pretokenizer_new(pm_pretokenizer **out, const pm_steps *steps, pm_error *err) {
    pm_pretokenizer *p = pm_calloc(1, sizeof *p);
    pm_status status = p ? PM_OK : pm_fail_memory(err);

    if (p) {
        pm_byte_characters_init(&p->bytes);
        status = compile(p, steps, err);
    }
    if (status != PM_OK) {
        pm_pretokenizer_free(p);
        p = NULL;
    }
    *out = p;
    return status;
}

void pm_pretokenizer_free(pm_pretokenizer *p) {
    if (p) {
        for (size_t i = 0; i < p->n_ops; i++) {
            pm_buf_release(&p->ops[i].text);
            pm_regex_free(p->ops[i].regex);
            pm_splitter_free(p->ops[i].splitter);
        }
        pm_free(p->ops);
        pm_free(p);
    }
}

bool pm_pretokenizer_needs_origins(const pm_pretokenizer *p) { return p->first_ends > 0; }
const char *pm_pretokenizer_engine_unicode(const pm_pretokenizer *p) { return p->engine_version; }

/* ---- cutting ---- */

enum { ENDS = 256 }; /* that a splitter gives at a time */

struct pm_pretokenizer_scratch {
    const pm_pretokenizer *pretokenizer;
    pm_split_scratch **splitters; /* one for each pattern */
    pm_cut_regex_scratch regex;
    size_t *ends; /* of spans that are given to a splitter together */
    size_t cap_ends;
    pm_spans spans[2];
    pm_rewritten texts[2];
};

static pm_status new_scratch(pm_pretokenizer_scratch *s, const pm_pretokenizer *p, pm_error *err) {
    s->pretokenizer = p;
    s->splitters = pm_calloc(p->n_splitters, sizeof *s->splitters);
    if (!s->splitters) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < p->n_ops; i++) {
        if (p->ops[i].splitter) {
            PM_TRY(pm_split_scratch_new(&s->splitters[p->ops[i].scratch], p->ops[i].splitter, err));
        }
    }
    return p->regex_bytes ? pm_regex_scratch_new(&s->regex.regex, err) : PM_OK;
}

pm_status pm_pretokenizer_scratch_new(pm_pretokenizer_scratch **out, const pm_pretokenizer *p, pm_error *err) {
    pm_pretokenizer_scratch *s = pm_calloc(1, sizeof *s);
    pm_status status = s ? new_scratch(s, p, err) : pm_fail_memory(err);

    if (status != PM_OK) {
        pm_pretokenizer_scratch_free(s);
        s = NULL;
    }
    *out = s;
    return status;
}

void pm_pretokenizer_scratch_free(pm_pretokenizer_scratch *s) {
    if (!s) {
        return;
    }
    for (size_t i = 0; s->splitters && i < s->pretokenizer->n_splitters; i++) {
        pm_split_scratch_free(s->splitters[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        pm_free(s->spans[i].items);
        pm_rewritten_release(&s->texts[i]);
    }
    pm_free(s->splitters);
    pm_free(s->ends);
    pm_regex_scratch_free(s->regex.regex);
    pm_wellformed_release(&s->regex.wellformed);
    pm_free(s);
}

/* The spans' ends from spans[i] on as long as they touch, counted from where the first begins. *n of them. */
static pm_status touching_ends(pm_pretokenizer_scratch *s, const pm_spans *spans, size_t i, size_t *n, pm_error *err) {
    size_t begin = spans->items[i].begin, end = begin;

    for (*n = 0; i < spans->n && spans->items[i].begin == end; i++) {
        PM_TRY(pm_grow((void **)&s->ends, &s->cap_ends, *n + 1, sizeof *s->ends, err));
        end = spans->items[i].end;
        s->ends[(*n)++] = end - begin;
    }
    return PM_OK;
}

static pm_status cut_by_pattern(pm_pretokenizer_scratch *s, const op *o, const uint8_t *text, const pm_spans *from, pm_spans *to, pm_error *err) {
    pm_split_scratch *splitter = s->splitters[o->scratch];
    size_t n;

    for (size_t i = 0; i < from->n; i += n) {
        size_t begin = from->items[i].begin, at = begin, ends[ENDS], n_ends;
        PM_TRY(touching_ends(s, from, i, &n, err));
        pm_split_begin_documents(splitter, text + begin, s->ends, n);
        do {
            PM_TRY(pm_split_next(splitter, ends, ENDS, &n_ends, err));
            for (size_t k = 0; k < n_ends; k++) {
                PM_TRY(pm_spans_add(to, at, begin + ends[k], err));
                at = begin + ends[k];
            }
        } while (n_ends);
    }
    return PM_OK;
}

static pm_status cut_span(pm_pretokenizer_scratch *s, const op *o, pm_fold *fold, const uint8_t *text, pm_span span, pm_error *err) {
    pm_bytes what = {o->text.data, o->text.len};

    switch (o->kind) {
    case OP_KINDS: return pm_cut_kinds(fold, o->kinds, text, span, err);
    case OP_AT: return pm_cut_at(fold, what, text, span, err);
    case OP_REGEX: return pm_cut_regex(fold, o->regex, &s->regex, text, span, err);
    case OP_WORDS: return pm_cut_words(fold->out, text, span, err);
    case OP_BERT: return pm_cut_bert(fold->out, text, span, err);
    case OP_SCRIPTS: return pm_cut_scripts(fold->out, text, span, err);
    default: return pm_cut_lengths(fold->out, o->n, text, span, err);
    }
}

static pm_status cut(pm_pretokenizer_scratch *s, const op *o, const uint8_t *text, const pm_spans *from, pm_spans *to, pm_error *err) {
    if (o->kind == OP_PATTERN) {
        return cut_by_pattern(s, o, text, from, to, err);
    }
    pm_fold fold = pm_fold_new(o->behavior, o->invert, to);
    for (size_t i = 0; i < from->n; i++) {
        PM_TRY(cut_span(s, o, &fold, text, from->items[i], err));
    }
    return PM_OK;
}

static pm_status rewrite(const pm_pretokenizer *p, const op *o, const pm_working *in, const pm_spans *from, pm_rewritten *out, pm_spans *to,
                         pm_error *err) {
    switch (o->kind) {
    case OP_PREFIX: return pm_put_prefix(in, from, out, to, err);
    case OP_MARKS: return pm_put_marks(in, from, (pm_bytes){o->text.data, o->text.len}, o->prepend, out, to, err);
    default: return pm_put_byte_characters(&p->bytes, in, from, out, to, err);
    }
}

/* A regex's complaint is about a byte of the text it saw: tells where that comes from. */
static pm_status failed(const pm_working *in, pm_status status, pm_error *err) {
    if (err && status == PM_LIMIT && err->offset != PM_NO_OFFSET) {
        err->offset = in->origins ? in->origins[err->offset].begin : in->at == SIZE_MAX ? PM_NO_OFFSET : in->at + err->offset;
    }
    return status;
}

pm_status pm_pretokenize(const pm_pretokenizer *p, pm_pretokenizer_scratch *s, const pm_stretch *stretch, pm_pretokens *out, pm_error *err) {
    pm_working in = {stretch->text.data, stretch->origins, stretch->at};
    size_t len = stretch->text.len;
    pm_spans *spans = &s->spans[0], *next = &s->spans[1];
    pm_rewritten *text = &s->texts[0], *other = &s->texts[1];

    spans->n = 0;
    PM_TRY(pm_spans_add(spans, 0, len, err));
    s->regex.budget = p->regex_bytes ? pm_regex_budget(len, p->regex_bytes) : 0;
    for (size_t i = 0; i < p->n_ops && spans->n; i++) {
        const op *o = &p->ops[i];
        next->n = 0;
        if (o->kind < OP_PREFIX) {
            pm_status status = cut(s, o, in.text, spans, next, err);
            PM_TRY(status == PM_OK ? PM_OK : failed(&in, status, err));
        } else {
            text->text.len = 0;
            text->with_origins = stretch->with_origins || i + 1 < p->first_ends;
            PM_TRY(rewrite(p, o, &in, spans, text, next, err));
            in = (pm_working){text->text.data, text->with_origins ? text->origins : NULL, SIZE_MAX};
            len = text->text.len;
            pm_rewritten *swap = text;
            text = other;
            other = swap;
        }
        pm_spans *swap = spans;
        spans = next;
        next = swap;
    }
    *out = (pm_pretokens){{in.text, len}, in.origins, spans->items, spans->n};
    return PM_OK;
}
