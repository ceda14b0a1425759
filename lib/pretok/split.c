/* split.c - see split.h.
 *
 * A named pattern alone is the work of starts.c, where that knows it. Else a splitter is a chain of stages, each a name's scanner or a regex,
 * applied in turn to the pieces of the former. Every stage knows the piece it works on and how far it is; the next
 * pre-token comes from the last stage whose piece is not used up, and each piece that a stage gives is handed down to
 * the next. So stages advance lazily, nothing is stored per piece, and a stage sees its piece as a text of its own:
 * lookaheads end and lookbehinds begin with it.
 *
 *     patterns   \p{N}{1,3}  then  [a-z]+             text   "ab12345c"
 *     stage 1    "ab" | "123" | "45" | "c"
 *     stage 2    "ab"   "1" "2" "3" are not matched: what no match covers is a pre-token of its own: "123"   "45"   "c"
 *
 * An empty match gives no pre-token, but it ends the uncovered stretch before it: `(?=[A-Z])` cuts "helloWorld" in two,
 * as it does in Hugging Face tokenizers.
 *
 * Scanners read any bytes. PCRE2 needs well-formed UTF-8, so where a stage is a regex the document is looked through
 * once, when its first pre-token is asked for, and one that is not well-formed is copied (wellformed.h). This copy, and
 * PCRE2's own memory (regex.c), are all that grows with a document. */
#include "pretok/split.h"

#include "base/cpu.h"
#include "pretok/names.h"
#include "pretok/property.h"
#include "pretok/regex.h"
#include "pretok/wellformed.h"
#include "text/utf8.h"

typedef struct stage_plan {
    const pm_named_pattern *named; /* NULL: regex */
    pm_regex *regex;
} stage_plan;

struct pm_splitter {
    char *name;
    char **regexes;
    size_t n_regexes, cap_regexes;
    stage_plan *stages;
    size_t n_stages, cap_stages;
    bool has_regex;
    size_t regex_bytes;      /* of all regexes that are stages */
    char engine_version[24]; /* "": PCRE2's tables decide nothing */
    pm_cpu cpu;              /* whose code splits */
};

/* ---- compiling ---- */

static pm_status add_regex_text(pm_splitter *s, const char *regex, pm_error *err) {
    PM_TRY(pm_grow((void **)&s->regexes, &s->cap_regexes, s->n_regexes + 1, sizeof *s->regexes, err));
    char *copy = pm_strdup(regex);
    if (!copy) {
        return pm_fail_memory(err);
    }
    s->regexes[s->n_regexes++] = copy;
    return PM_OK;
}

static pm_status add_stage(pm_splitter *s, const pm_named_pattern *named, pm_regex *regex, pm_error *err) {
    pm_status status = pm_grow((void **)&s->stages, &s->cap_stages, s->n_stages + 1, sizeof *s->stages, err);
    if (status != PM_OK) {
        pm_regex_free(regex);
        return status;
    }
    s->stages[s->n_stages++] = (stage_plan){named, regex};
    s->has_regex |= regex != NULL;
    return PM_OK;
}

/* Compiles the last of s->regexes; an error says which of several it is. */
static pm_status add_regex_stage(pm_splitter *s, pm_flavor flavor, size_t i, size_t n, pm_error *err) {
    pm_regex *regex;
    pm_status status = pm_regex_new(&regex, s->regexes[s->n_regexes - 1], flavor, err);

    if (status == PM_BAD_PATTERN && err && n > 1) {
        return pm_fail_at(err, status, err->offset, "pattern %zu of %zu: %s", i + 1, n, err->message);
    }
    PM_TRY(status);
    s->regex_bytes += strlen(s->regexes[s->n_regexes - 1]);
    if (pm_regex_uses_engine_tables(regex)) {
        pm_property_engine_version(s->engine_version);
    }
    return add_stage(s, NULL, regex, err);
}

static size_t count_regexes(const pm_named_pattern *named) {
    size_t n = 0;
    while (named->regexes[n]) {
        n++;
    }
    return n;
}

/* A name's regexes, with its scanner or, for tests, without. */
static pm_status add_named(pm_splitter *s, const pm_named_pattern *named, bool scanners, pm_error *err) {
    size_t n = count_regexes(named);

    for (size_t i = 0; i < n; i++) {
        PM_TRY(add_regex_text(s, named->regexes[i], err));
        if (!scanners) {
            PM_TRY(add_regex_stage(s, PM_FLAVOR_RUST, i, n, err));
        }
    }
    return scanners ? add_stage(s, named, NULL, err) : PM_OK;
}

/* The name, or the pattern whose regexes these are; NULL if neither. Of several names for the same regexes, the first.
 */
static const pm_named_pattern *find_named(const char *const *patterns, size_t n) {
    const pm_named_pattern *named = n == 1 ? pm_named_pattern_find(patterns[0]) : NULL;

    for (size_t k = 0; k < pm_n_named_patterns && !named; k++) {
        const pm_named_pattern *candidate = &pm_named_patterns[k];
        bool same = count_regexes(candidate) == n;
        for (size_t i = 0; i < n && same; i++) {
            same = strcmp(candidate->regexes[i], patterns[i]) == 0;
        }
        named = same ? candidate : NULL;
    }
    return named;
}

static pm_status build(pm_splitter *s, const char *const *patterns, size_t n, bool scanners, pm_error *err) {
    const char *name = "";

    if (n == 1 && patterns[0][0] == '\0') {
        n = 0;
    }
    const pm_named_pattern *whole = n ? find_named(patterns, n) : NULL;
    if (whole) {
        name = whole->name;
        PM_TRY(add_named(s, whole, scanners, err));
        n = 0;
    }
    for (size_t i = 0; i < n; i++) {
        const pm_named_pattern *named = find_named(&patterns[i], 1); /* names and regexes may be mixed */
        if (named) {
            PM_TRY(add_named(s, named, scanners, err));
        } else {
            PM_TRY(add_regex_text(s, patterns[i], err));
            PM_TRY(add_regex_stage(s, PM_FLAVOR_COMMON, i, n, err));
        }
    }
    s->name = pm_strdup(name);
    return s->name ? PM_OK : pm_fail_memory(err);
}

static pm_status new_splitter(pm_splitter **out, const char *const *patterns, size_t n, bool scanners, pm_error *err) {
    pm_splitter *s = pm_calloc(1, sizeof *s);
    pm_status status = s ? pm_cpu_choose(&s->cpu, err) : pm_fail_memory(err);

    if (status == PM_OK) {
        status = build(s, patterns, n, scanners, err);
    }

    if (status != PM_OK) {
        pm_splitter_free(s);
        s = NULL;
    }
    *out = s;
    return status;
}

pm_status pm_splitter_new(pm_splitter **out, const char *const *patterns, size_t n, pm_error *err) {
    return new_splitter(out, patterns, n, true, err);
}

pm_status pm_splitter_new_regex(pm_splitter **out, const char *const *patterns, size_t n, pm_error *err) {
    return new_splitter(out, patterns, n, false, err);
}

void pm_splitter_free(pm_splitter *s) {
    if (s) {
        for (size_t i = 0; i < s->n_regexes; i++) {
            pm_free(s->regexes[i]);
        }
        for (size_t i = 0; i < s->n_stages; i++) {
            pm_regex_free(s->stages[i].regex);
        }
        pm_free(s->regexes);
        pm_free(s->stages);
        pm_free(s->name);
        pm_free(s);
    }
}

const char *pm_splitter_name(const pm_splitter *splitter) { return splitter->name; }
size_t pm_splitter_n_regexes(const pm_splitter *splitter) { return splitter->n_regexes; }
const char *pm_splitter_regex(const pm_splitter *splitter, size_t i) {
    return i < splitter->n_regexes ? splitter->regexes[i] : NULL;
}
const char *pm_splitter_engine_unicode(const pm_splitter *splitter) { return splitter->engine_version; }

size_t pm_n_pattern_names(void) { return pm_n_named_patterns; }
const char *pm_pattern_name(size_t i) { return i < pm_n_named_patterns ? pm_named_patterns[i].name : NULL; }

const char *pm_pattern_regex(const char *name, size_t i) {
    const pm_named_pattern *named = name ? pm_named_pattern_find(name) : NULL;
    return named && i < count_regexes(named) ? named->regexes[i] : NULL;
}

/* ---- splitting ---- */

/* A stage at work on text[begin .. end): text[pos .. end) is still to be given. */
typedef struct stage {
    size_t begin, end, pos;
    size_t match_end; /* a match that begins at pos is known to end here; 0: not known */
} stage;

struct pm_split_scratch {
    const pm_splitter *splitter;
    const uint8_t *text; /* what is split: the document, or its well-formed copy */
    size_t len;
    bool ready;
    bool whole_left; /* without stages: the document is still to be given */
    stage *stages;
    pm_starts *starts;       /* a named pattern alone, else NULL */
    pm_regex_scratch *regex; /* NULL when no stage is a regex */
    uint64_t budget;

    pm_wellformed wellformed; /* where a stage is a regex */

    const uint8_t *all;  /* several documents; */
    const size_t *ends;  /* where they end, */
    size_t doc, n_docs;  /* the next one, and how many there are */
    size_t begin;        /* where the one at hand begins */
};

/* A named pattern alone, one with a search of all starts. */
static bool is_named_alone(const pm_splitter *s) {
    return s->n_stages == 1 && s->stages[0].named && s->stages[0].named->find;
}

pm_status pm_split_scratch_new(pm_split_scratch **out, const pm_splitter *splitter, pm_error *err) {
    pm_split_scratch *s = pm_calloc(1, sizeof *s);
    pm_status status = PM_OK;

    *out = NULL;
    if (!s || !(s->stages = pm_calloc(splitter->n_stages, sizeof *s->stages))) {
        status = pm_fail_memory(err);
    } else if (splitter->has_regex) {
        status = pm_regex_scratch_new(&s->regex, err);
    } else if (is_named_alone(splitter)) {
        s->starts = pm_alloc(1, sizeof *s->starts);
        status = s->starts ? PM_OK : pm_fail_memory(err);
    }
    if (status != PM_OK) {
        pm_split_scratch_free(s);
        return status;
    }
    if (s->starts) {
        pm_starts_init(s->starts, splitter->stages[0].named->find, splitter->cpu);
    }
    s->splitter = splitter;
    *out = s;
    return PM_OK;
}

void pm_split_scratch_free(pm_split_scratch *s) {
    if (s) {
        pm_regex_scratch_free(s->regex);
        pm_wellformed_release(&s->wellformed);
        pm_free(s->starts);
        pm_free(s->stages);
        pm_free(s);
    }
}

/* Without starts. */
static void begin_document(pm_split_scratch *s, const uint8_t *text, size_t len) {
    s->text = text;
    s->len = len;
    s->ready = false;
    s->whole_left = len > 0;
    s->budget = s->regex ? pm_regex_budget(len, s->splitter->regex_bytes) : 0;
    for (size_t i = 0; i < s->splitter->n_stages; i++) {
        s->stages[i] = (stage){0};
    }
}

void pm_split_begin(pm_split_scratch *s, const uint8_t *text, size_t len) {
    if (s->starts) {
        pm_starts_begin(s->starts, text, len);
    } else {
        begin_document(s, text, len);
        s->begin = s->doc = s->n_docs = 0;
    }
}

void pm_split_begin_documents(pm_split_scratch *s, const uint8_t *text, const size_t *ends, size_t n) {
    if (s->starts) {
        pm_starts_begin_documents(s->starts, text, ends, n);
        return;
    }
    begin_document(s, text, n ? ends[0] : 0);
    s->all = text;
    s->ends = ends;
    s->begin = 0;
    s->doc = 1;
    s->n_docs = n;
}

static pm_status get_ready(pm_split_scratch *s, pm_error *err) {
    if (s->regex) {
        PM_TRY(pm_wellformed_begin(&s->wellformed, s->text, s->len, err));
        s->text = s->wellformed.text;
        s->len = s->wellformed.len;
    }
    if (s->splitter->n_stages) {
        s->stages[0] = (stage){0, s->len, 0, 0};
    }
    s->ready = true;
    return PM_OK;
}

/* The next end of a regex stage, into st->pos. */
static pm_status advance_regex(pm_split_scratch *s, const pm_regex *regex, stage *st, pm_error *err) {
    const uint8_t *piece = s->text + st->begin;
    size_t len = st->end - st->begin, at = st->pos - st->begin, pos = at;

    if (st->match_end) {
        st->pos = st->match_end;
        st->match_end = 0;
        return PM_OK;
    }
    while (pos < len) {
        size_t end;
        unsigned n;
        pm_status status = pm_regex_match(regex, s->regex, piece, len, pos, &end, &s->budget, err);
        if (status != PM_OK) {
            if (err && err->offset != PM_NO_OFFSET) {
                err->offset = pm_wellformed_position(&s->wellformed, st->begin + pos);
            }
            return status;
        }
        bool empty = end == pos, none = end == SIZE_MAX;
        if (!none && !empty && pos == at) {
            st->pos = st->begin + end;
            return PM_OK;
        }
        if (!none && pos > at) {
            st->pos = st->begin + pos; /* what was not covered ends here */
            st->match_end = empty ? 0 : st->begin + end;
            return PM_OK;
        }
        pm_utf8_read(piece + pos, piece + len, &n);
        pos += n;
    }
    st->pos = st->end;
    return PM_OK;
}

static pm_status advance(pm_split_scratch *s, size_t k, pm_error *err) {
    stage *st = &s->stages[k];
    const stage_plan *plan = &s->splitter->stages[k];

    if (!plan->named) {
        return advance_regex(s, plan->regex, st, err);
    }
    st->pos = st->begin + plan->named->scan(s->text + st->begin, st->end - st->begin, st->pos - st->begin);
    return PM_OK;
}

/* The end of the next pre-token, 0 at the end of the document. */
static pm_status next_of_chain(pm_split_scratch *s, size_t *end, pm_error *err) {
    size_t last = s->splitter->n_stages - 1, k = last;

    for (;;) {
        stage *st = &s->stages[k];
        if (st->pos == st->end) {
            if (k == 0) {
                *end = 0;
                return PM_OK;
            }
            k--;
            continue;
        }
        size_t begin = st->pos;
        PM_TRY(advance(s, k, err));
        if (k == last) {
            *end = st->pos;
            return PM_OK;
        }
        k++;
        s->stages[k] = (stage){begin, st->pos, begin, 0};
    }
}

/* The next pre-tokens of the document at hand. */
static pm_status next_of_document(pm_split_scratch *s, size_t *ends, size_t cap, size_t *n, pm_error *err) {
    *n = 0;
    if (!s->ready) {
        PM_TRY(get_ready(s, err));
    }
    if (s->splitter->n_stages == 0) {
        if (s->whole_left && cap) {
            ends[(*n)++] = s->begin + s->len;
            s->whole_left = false;
        }
        return PM_OK;
    }
    for (size_t i = 0; i < cap; i++) {
        size_t end;
        pm_status status = next_of_chain(s, &end, err);
        if (status != PM_OK) {
            *n = 0;
            return status;
        }
        if (end == 0) {
            break;
        }
        ends[(*n)++] = s->begin + (s->regex ? pm_wellformed_position(&s->wellformed, end) : end);
    }
    return PM_OK;
}

pm_status pm_split_next(pm_split_scratch *s, size_t *ends, size_t cap, size_t *n, pm_error *err) {
    if (s->starts) {
        *n = pm_starts_next(s->starts, ends, cap);
        return PM_OK;
    }
    PM_TRY(next_of_document(s, ends, cap, n, err));
    while (*n == 0 && cap && s->doc < s->n_docs) {
        s->begin = s->ends[s->doc - 1];
        begin_document(s, s->all + s->begin, s->ends[s->doc] - s->begin);
        s->doc++;
        PM_TRY(next_of_document(s, ends, cap, n, err));
    }
    return PM_OK;
}
