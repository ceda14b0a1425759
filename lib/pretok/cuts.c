/* cuts.c - see cuts.h.
 *
 * All go over a span once, character by character; a byte outside well-formed UTF-8 is a character of its own, of no kind and no script. What they do
 * is what the steps of the same names do in Hugging Face's tokenizers 0.23.3 (tokenizers/src/pre_tokenizers, tokenizer/pattern.rs), among it:
 *
 *   - A search for a regex goes on behind the last match, and sees all of the span before it. An empty match is taken, but not right behind another
 *     one: `a*` in "baac" finds "" at 0, "aa" and nothing more, since at 3 and 4 it is empty again and 3 is where "aa" ended.
 *         parts:  (empty) b | aa | c        4 is found too, at the end, where it changes nothing
 *   - Scripts: characters that go with any (a blank) stay with what was before them; those before the first character that has a script are in no piece. */
#define _GNU_SOURCE /* memmem */
#include "pretok/cuts.h"

#include "pretok/kinds.h"
#include "text/utf8.h"

/* The kinds of the character at p, and its length. */
static inline unsigned kinds_at(const uint8_t *p, const uint8_t *end, unsigned *len) {
    *len = 1;
    if (*p < 0x80) {
        return pm_char_kinds(*p);
    }
    return pm_char_kinds(pm_utf8_read(p, end, len));
}

pm_status pm_cut_kinds(pm_fold *fold, unsigned kinds, const uint8_t *text, pm_span in, pm_error *err) {
    size_t begin = in.begin, at = in.begin;

    while (at < in.end) {
        unsigned len;
        if (kinds_at(text + at, text + in.end, &len) & kinds) {
            PM_TRY(begin < at ? pm_fold_add(fold, begin, at, false, err) : PM_OK);
            PM_TRY(pm_fold_add(fold, at, at + len, true, err));
            begin = at + len;
        }
        at += len;
    }
    PM_TRY(begin < at ? pm_fold_add(fold, begin, at, false, err) : PM_OK);
    return pm_fold_end(fold, err);
}

pm_status pm_cut_at(pm_fold *fold, pm_bytes what, const uint8_t *text, pm_span in, pm_error *err) {
    size_t begin = in.begin;
    const uint8_t *found;

    while ((found = memmem(text + begin, in.end - begin, what.data, what.len)) != NULL) {
        size_t at = (size_t)(found - text);
        PM_TRY(begin < at ? pm_fold_add(fold, begin, at, false, err) : PM_OK);
        PM_TRY(pm_fold_add(fold, at, at + what.len, true, err));
        begin = at + what.len;
    }
    PM_TRY(begin < in.end ? pm_fold_add(fold, begin, in.end, false, err) : PM_OK);
    return pm_fold_end(fold, err);
}

/* The next match at or behind *pos that is not empty at `last`, SIZE_MAX: none. *pos is where the search goes on if it fails. */
static pm_status next_match(const pm_regex *regex, pm_cut_regex_scratch *s, size_t last, size_t *pos, size_t *end, pm_error *err) {
    const pm_wellformed *w = &s->wellformed;

    for (unsigned len; *pos < w->len; *pos += len) {
        PM_TRY(pm_regex_match(regex, s->regex, w->text, w->len, *pos, end, &s->budget, err));
        if (*end != SIZE_MAX && !(*end == *pos && *pos == last)) {
            return PM_OK;
        }
        pm_utf8_read(w->text + *pos, w->text + w->len, &len);
    }
    *end = SIZE_MAX;
    return PM_OK;
}

pm_status pm_cut_regex(pm_fold *fold, const pm_regex *regex, pm_cut_regex_scratch *s, const uint8_t *text, pm_span in, pm_error *err) {
    pm_wellformed *w = &s->wellformed;
    size_t pos = 0, last = SIZE_MAX, begin = in.begin; /* the first two in w, the third in the text */

    PM_TRY(pm_wellformed_begin(w, text + in.begin, in.end - in.begin, err));
    for (;;) {
        size_t end;
        pm_status status = next_match(regex, s, last, &pos, &end, err);
        if (status != PM_OK) {
            if (err && err->offset != PM_NO_OFFSET) {
                err->offset = in.begin + pm_wellformed_position(w, pos);
            }
            return status;
        }
        if (end == SIZE_MAX) {
            break;
        }
        size_t at = in.begin + pm_wellformed_position(w, pos);
        PM_TRY(begin < at ? pm_fold_add(fold, begin, at, false, err) : PM_OK);
        begin = in.begin + pm_wellformed_position(w, end);
        PM_TRY(pm_fold_add(fold, at, begin, true, err));
        last = pos = end;
    }
    PM_TRY(begin < in.end ? pm_fold_add(fold, begin, in.end, false, err) : PM_OK);
    return pm_fold_end(fold, err);
}

pm_status pm_cut_words(pm_spans *out, const uint8_t *text, pm_span in, pm_error *err) {
    const unsigned both = PM_CHAR_WORD | PM_CHAR_SPACE;
    size_t begin = in.begin, at = in.begin;
    unsigned run = PM_CHAR_SPACE, len; /* PM_CHAR_WORD, PM_CHAR_SPACE, or 0: neither */

    for (; at < in.end; at += len) {
        unsigned kind = kinds_at(text + at, text + in.end, &len) & both;
        if (kind != run) {
            PM_TRY(run == PM_CHAR_SPACE ? PM_OK : pm_spans_add(out, begin, at, err));
            begin = at;
            run = kind;
        }
    }
    return run == PM_CHAR_SPACE ? PM_OK : pm_spans_add(out, begin, at, err);
}

pm_status pm_cut_bert(pm_spans *out, const uint8_t *text, pm_span in, pm_error *err) {
    size_t begin = in.begin, at = in.begin;
    unsigned len;

    for (; at < in.end; at += len) {
        unsigned kind = kinds_at(text + at, text + in.end, &len);
        if (kind & (PM_CHAR_SPACE | PM_CHAR_PUNCT)) {
            PM_TRY(pm_spans_add(out, begin, at, err));
            PM_TRY(kind & PM_CHAR_PUNCT ? pm_spans_add(out, at, at + len, err) : PM_OK);
            begin = at + len;
        }
    }
    return pm_spans_add(out, begin, at, err);
}

pm_status pm_cut_scripts(pm_spans *out, const uint8_t *text, pm_span in, pm_error *err) {
    size_t begin = 0, at = in.begin;
    unsigned run = 0, len; /* 0: no character with a script yet */

    for (; at < in.end; at += len) {
        uint32_t cp = pm_utf8_read(text + at, text + in.end, &len);
        unsigned script = pm_char_script(cp);
        if (script != 0 && script != run) {
            PM_TRY(run ? pm_spans_add(out, begin, at, err) : PM_OK);
            begin = at;
            run = script;
        }
    }
    return run ? pm_spans_add(out, begin, at, err) : PM_OK;
}

pm_status pm_cut_lengths(pm_spans *out, uint64_t length, const uint8_t *text, pm_span in, pm_error *err) {
    size_t begin = in.begin, at = in.begin;
    uint64_t n = 0;
    unsigned len;

    for (; at < in.end; at += len) {
        if (n == length) {
            PM_TRY(pm_spans_add(out, begin, at, err));
            begin = at;
            n = 0;
        }
        pm_utf8_read(text + at, text + in.end, &len);
        n++;
    }
    return pm_spans_add(out, begin, at, err);
}
