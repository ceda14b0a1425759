/* replace.c - see replace.h. Matches are those of the crate onig's find_iter, which tokenizers goes through, with a
 * regex or with a text's own characters: from left to right, each behind the last one; an empty match right behind
 * another is passed over, with the character that follows.
 *
 *     "x*" in "axb"      "" at 0, "x" at 1, "" at 3: the empty one at 2 stands right behind "x"
 *     "" in "ab"         "" at 0, 1 and 2 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "encode/replace.h"

#include "base/bytes.h"
#include "pretok/regex.h"
#include "pretok/wellformed.h"
#include "text/utf8.h"

struct pm_replacer {
    pm_bytes what, by; /* the texts; what: of a regex, as it is compiled */
    pm_regex *regex;   /* NULL: what is a text */
    pm_buf bytes;      /* where they lie */
};

struct pm_replacer_scratch {
    const pm_replacer *replacer;
    pm_regex_scratch *regex;
    pm_wellformed wellformed; /* the text for a regex */
    const uint8_t *text;      /* that, or the text itself */
    size_t len, at;
    size_t last; /* end of the last match, SIZE_MAX: none yet */
    uint64_t budget;
};

static pm_status compile(pm_replacer *r, const pm_step *step, pm_error *err) {
    if (!(step->flags & PM_STEP_REGEX)) {
        PM_TRY(pm_buf_append(&r->bytes, step->a.data, step->a.len, err));
        r->what.len = r->bytes.len;
    } else {
        const uint8_t *nul = step->a.len ? memchr(step->a.data, 0, step->a.len) : NULL;
        if (nul) {
            return pm_fail_at(err, PM_BAD_PATTERN, (uint64_t)(nul - step->a.data),
                              "a regex holds the character U+0000: write \\x00");
        }
        PM_TRY(pm_buf_append(&r->bytes, step->a.data, step->a.len, err));
        r->what.len = r->bytes.len;
        PM_TRY(pm_buf_append(&r->bytes, "", 1, err));
        PM_TRY(pm_regex_new(&r->regex, (const char *)r->bytes.data, PM_FLAVOR_ONIGURUMA, err));
    }
    size_t by = r->bytes.len;
    PM_TRY(pm_buf_append(&r->bytes, step->b.data, step->b.len, err));
    PM_TRY(pm_buf_reserve(&r->bytes, 1, err)); /* so that there is an address */
    r->what.data = r->bytes.data;
    r->by = (pm_bytes){r->bytes.data + by, step->b.len};
    return PM_OK;
}

pm_status pm_replacer_new(pm_replacer **out, const pm_step *step, pm_error *err) {
    pm_replacer *r = *out = pm_calloc(1, sizeof *r);

    if (!r) {
        return pm_fail_memory(err);
    }
    pm_status status = compile(r, step, err);
    if (status != PM_OK) {
        pm_replacer_free(r);
        *out = NULL;
    }
    return status;
}

void pm_replacer_free(pm_replacer *r) {
    if (r) {
        pm_regex_free(r->regex);
        pm_buf_release(&r->bytes);
        pm_free(r);
    }
}

bool pm_replacer_uses_engine_tables(const pm_replacer *r) { return r->regex && pm_regex_uses_engine_tables(r->regex); }
pm_bytes pm_replacer_by(const pm_replacer *r) { return r->by; }

pm_status pm_replacer_scratch_new(pm_replacer_scratch **out, pm_error *err) {
    pm_replacer_scratch *s = *out = pm_calloc(1, sizeof *s);

    if (!s) {
        return pm_fail_memory(err);
    }
    pm_status status = pm_regex_scratch_new(&s->regex, err);
    if (status != PM_OK) {
        pm_replacer_scratch_free(s);
        *out = NULL;
    }
    return status;
}

void pm_replacer_scratch_free(pm_replacer_scratch *s) {
    if (s) {
        pm_regex_scratch_free(s->regex);
        pm_wellformed_release(&s->wellformed);
        pm_free(s);
    }
}

pm_status pm_replacer_begin(const pm_replacer *r, pm_replacer_scratch *s, pm_bytes text, pm_error *err) {
    s->replacer = r;
    s->text = text.data;
    s->len = text.len;
    s->at = text.len ? 0 : 1; /* nothing stands in an empty text, not even an empty match */
    s->last = SIZE_MAX;
    if (r->regex) {
        PM_TRY(pm_wellformed_begin(&s->wellformed, text.data, text.len, err));
        s->text = s->wellformed.text;
        s->len = s->wellformed.len;
        s->budget = pm_regex_budget(s->len, r->what.len);
    }
    return PM_OK;
}

/* The first match at or behind s->at: moves that there. SIZE_MAX in *end: there is none. */
static pm_status find(pm_replacer_scratch *s, size_t *end, pm_error *err) {
    pm_bytes what = s->replacer->what;

    if (!s->replacer->regex) {
        const uint8_t *found = s->at <= s->len ? memmem(s->text + s->at, s->len - s->at, what.data, what.len) : NULL;
        s->at = found ? (size_t)(found - s->text) : s->at;
        *end = found ? s->at + what.len : SIZE_MAX;
        return PM_OK;
    }
    *end = SIZE_MAX;
    while (s->at <= s->len) {
        unsigned n = 1;
        PM_TRY(pm_regex_match(s->replacer->regex, s->regex, s->text, s->len, s->at, end, &s->budget, err));
        if (*end != SIZE_MAX) {
            break;
        }
        if (s->at < s->len) {
            pm_utf8_read(s->text + s->at, s->text + s->len, &n);
        }
        s->at += n;
    }
    return PM_OK;
}

pm_status pm_replacer_next(pm_replacer_scratch *s, pm_replacer_match *match, pm_error *err) {
    size_t end = SIZE_MAX;

    for (;;) {
        pm_status status = s->at <= s->len ? find(s, &end, err) : PM_OK;
        if (status != PM_OK) {
            if (err && err->offset != PM_NO_OFFSET) {
                err->offset = pm_wellformed_position(&s->wellformed, s->at);
            }
            return status;
        }
        if (end == SIZE_MAX || !(end == s->at && end == s->last)) {
            break;
        }
        unsigned n = 1; /* an empty match right behind another: on to the next character */
        if (s->at < s->len) {
            pm_utf8_read(s->text + s->at, s->text + s->len, &n);
        }
        s->at += n;
        end = SIZE_MAX;
    }
    *match = (pm_replacer_match){SIZE_MAX, SIZE_MAX};
    if (end != SIZE_MAX) {
        bool copied = s->replacer->regex != NULL;
        match->begin = copied ? pm_wellformed_position(&s->wellformed, s->at) : s->at;
        match->end = copied ? pm_wellformed_position(&s->wellformed, end) : end;
        s->at = s->last = end;
    } else {
        s->at = s->len + 1;
    }
    return PM_OK;
}

pm_status pm_replace(const pm_replacer *r, pm_replacer_scratch *s, pm_bytes text, pm_buf *out, pm_error *err) {
    size_t at = 0;

    PM_TRY(pm_replacer_begin(r, s, text, err));
    for (;;) {
        pm_replacer_match match;
        PM_TRY(pm_replacer_next(s, &match, err));
        if (match.begin == SIZE_MAX) {
            return pm_buf_append(out, text.data + at, text.len - at, err);
        }
        PM_TRY(pm_buf_append(out, text.data + at, match.begin - at, err));
        PM_TRY(pm_buf_append(out, r->by.data, r->by.len, err));
        at = match.end;
    }
}
