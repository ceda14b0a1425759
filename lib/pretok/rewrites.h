/* rewrites.h - the steps that change the text: spans go in and spans of another text come out, one for each. */
#ifndef PM_PRETOK_REWRITES_H
#define PM_PRETOK_REWRITES_H

#include "pretok/fold.h"

/* A text and where its bytes come from; origins NULL: it is the document's own from byte `at` on. */
typedef struct pm_working {
    const uint8_t *text;
    const pm_origin *origins;
    size_t at;
} pm_working;

/* What a rewrite writes. {0} is an empty one. */
typedef struct pm_rewritten {
    pm_buf text;
    pm_origin *origins;
    size_t cap_origins;
    bool with_origins;
} pm_rewritten;

void pm_rewritten_release(pm_rewritten *out);

/* Whether a span comes from the document's first byte. */
static inline bool pm_working_is_first(const pm_working *in, pm_span span) {
    return (in->origins ? in->origins[span.begin].begin : in->at + span.begin) == 0;
}

/* A blank before each span that begins with none. */
pm_status pm_put_prefix(const pm_working *in, const pm_spans *spans, pm_rewritten *out, pm_spans *to, pm_error *err);
/* `mark` for each blank, and by `prepend` before a span that begins with none. */
pm_status pm_put_marks(const pm_working *in, const pm_spans *spans, pm_bytes mark, pm_prepend prepend, pm_rewritten *out, pm_spans *to, pm_error *err);
/* The UTF-8 of the character that stands for each byte in byte-level vocabularies (text/byte_level.h). */
typedef struct pm_byte_characters {
    uint8_t utf8[256][2], len[256];
} pm_byte_characters;

void pm_byte_characters_init(pm_byte_characters *table);

/* For each byte its character. */
pm_status pm_put_byte_characters(const pm_byte_characters *table, const pm_working *in, const pm_spans *spans, pm_rewritten *out, pm_spans *to,
                                 pm_error *err);

#endif
