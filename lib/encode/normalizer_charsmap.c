/* normalizer_charsmap.c - the two ways to read sentencepiece's charsmap: as tokenizers does (Precompiled) and as
 * sentencepiece itself, with all it does to blanks. The same file gives different texts:
 *
 *     rules "e" + U+0301 -> U+00E9 and "e" -> "E"
 *     sentencepiece    at each place the longest rule replaces what it says
 *     tokenizers       a grapheme cluster of less than 6 bytes, looked at as one, gives way as a whole to the text of
 * the shortest rule at its begin ("e" + U+0301 gives "E"); if there is none, and in longer clusters, each character
 * does */
#include "encode/normalizer_ops.h"

#include "base/bytes.h"
#include "text/characters.h"
#include "text/grapheme.h"

/* ---- tokenizers ---- */

enum { SHORT_CLUSTER = 6 };

/* A stretch of ASCII in which each character is a cluster of its own and has no rule: returns its end. */
static size_t skip_inert(const pm_op *op, pm_bytes text, size_t pos) {
    const uint8_t *p = text.data;

    while (pos < text.len && op->inert[p[pos]] && (pos + 1 == text.len || p[pos + 1] < 0x80)) {
        pos++;
    }
    return pos;
}

/* One character's rule. A bad byte is U+FFFD. */
static bool rule_of(const pm_op *op, pm_bytes text, size_t pos, unsigned *n, pm_bytes *by) {
    uint32_t c = pm_rewrite_read(text, pos, n);
    pm_bytes part = c & PM_RAW_BYTE ? (pm_bytes){(const uint8_t *)"\xEF\xBF\xBD", 3} : (pm_bytes){text.data + pos, *n};

    return pm_charsmap_shortest(&op->charsmap, part, by);
}

size_t pm_op_precompiled_first(const pm_op *op, pm_bytes text) {
    for (size_t pos = skip_inert(op, text, 0), end; pos < text.len; pos = skip_inert(op, text, end)) {
        pm_bytes by;
        end = pm_grapheme_end(text.data, text.len, pos);
        if (end - pos < SHORT_CLUSTER &&
            pm_charsmap_shortest(&op->charsmap, (pm_bytes){text.data + pos, end - pos}, &by)) {
            return pos;
        }
        unsigned n;
        for (size_t i = pos; i < end; i += n) {
            if (rule_of(op, text, i, &n, &by)) {
                return pos;
            }
        }
    }
    return text.len;
}

/* What is written, one character late: a text that is removed is added to what the last one did, and that decides its
 * origin if it was put in. */
typedef struct late {
    bool holds;
    uint32_t c;
    int64_t change;
} late;

static pm_status flush(late *l, pm_rewrite *w, pm_error *err) {
    if (l->holds) {
        l->holds = false;
        PM_TRY(pm_rewrite_room(w, 4, err));
        pm_rewrite_emit(w, l->c, l->change);
    }
    return PM_OK;
}

static pm_status add(late *l, pm_rewrite *w, uint32_t c, int64_t change, pm_error *err) {
    PM_TRY(flush(l, w, err));
    *l = (late){true, c, change};
    return PM_OK;
}

/* Copies in[from .. to), which no rule changes. */
static pm_status copy(late *l, pm_rewrite *w, size_t from, size_t to, pm_error *err) {
    PM_TRY(flush(l, w, err));
    if (!w->in_origins) {
        w->pos = from;
    }
    if (w->pos == from) {
        return pm_rewrite_copy(w, to, err);
    }
    for (unsigned n; from < to; from += n) {
        PM_TRY(pm_rewrite_room(w, 4, err));
        pm_rewrite_emit(w, pm_rewrite_read(w->in, from, &n), 0);
    }
    return PM_OK;
}

static size_t count(pm_bytes text) {
    size_t n = 0;

    for (unsigned len, i = 0; i < text.len; i += len, n++) {
        pm_utf8_read(text.data + i, text.data + text.len, &len);
    }
    return n;
}

/* Writes `by` in place of n characters. */
static pm_status replace(late *l, pm_rewrite *w, size_t n, pm_bytes by, pm_error *err) {
    size_t n_by = count(by), done = 0;

    for (size_t i = 0; i < by.len; done++) {
        unsigned len;
        uint32_t c = pm_rewrite_read(by, i, &len);
        PM_TRY(add(l, w, c, n_by > n && done >= n, err));
        i += len;
    }
    if (n_by < n) {
        int64_t removed = (int64_t)(n - n_by);
        if (l->holds) {
            l->change -= removed;
        } else if (w->out->len) {
            pm_rewrite_skip(w, (size_t)removed);
        } /* else tokenizers forgets it, and what follows has the origins of what was before it */
    }
    return PM_OK;
}

static pm_status cluster(const pm_op *op, late *l, pm_rewrite *w, size_t pos, size_t end, pm_error *err) {
    pm_bytes by, whole = {w->in.data + pos, end - pos};

    if (whole.len < SHORT_CLUSTER && pm_charsmap_shortest(&op->charsmap, whole, &by)) {
        return replace(l, w, count(whole), by, err);
    }
    for (unsigned n; pos < end; pos += n) {
        if (rule_of(op, w->in, pos, &n, &by)) {
            PM_TRY(replace(l, w, 1, by, err));
        } else {
            PM_TRY(copy(l, w, pos, pos + n, err));
        }
    }
    return PM_OK;
}

pm_status pm_op_precompiled_run(const pm_op *op, pm_rewrite *w, pm_error *err) {
    late l = {0};

    for (size_t pos = w->pos; pos < w->in.len;) {
        size_t end = skip_inert(op, w->in, pos);
        if (end > pos) {
            PM_TRY(copy(&l, w, pos, end, err));
        } else {
            end = pm_grapheme_end(w->in.data, w->in.len, pos);
            PM_TRY(cluster(op, &l, w, pos, end, err));
        }
        pos = end;
    }
    PM_TRY(flush(&l, w, err));
    w->pos = w->in.len;
    return PM_OK;
}

/* ---- what is kept ---- */

static int compare(const void *a, const void *b) {
    return pm_bytes_compare(*(const pm_bytes *)a, *(const pm_bytes *)b);
}

pm_status pm_kept_init(pm_kept *kept, const pm_bytes *texts, size_t n, pm_error *err) {
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        bytes += texts[i].len;
    }
    kept->texts = pm_alloc(n, sizeof *kept->texts);
    kept->bytes = pm_alloc(bytes, 1);
    if (!kept->texts || !kept->bytes) {
        return pm_fail_memory(err);
    }
    uint8_t *to = kept->bytes;
    for (size_t i = 0; i < n; i++) {
        if (texts[i].len) {
            memcpy(to, texts[i].data, texts[i].len);
            kept->texts[kept->n++] = (pm_bytes){to, texts[i].len};
            to += texts[i].len;
        }
    }
    if (kept->n) {
        qsort(kept->texts, kept->n, sizeof *kept->texts, compare);
    }
    for (size_t b = 0, i = 0; b < 256; b++) {
        while (i < kept->n && kept->texts[i].data[0] == b) {
            i++;
        }
        kept->first[b + 1] = i;
    }
    return PM_OK;
}

void pm_kept_release(pm_kept *kept) {
    pm_free(kept->texts);
    pm_free(kept->bytes);
}

/* The first of texts[low .. high), which agree before byte i, whose byte i is at least b. */
static size_t lower_bound(const pm_kept *kept, size_t low, size_t high, size_t i, unsigned b) {
    while (low < high) {
        size_t middle = (low + high) / 2;
        pm_bytes text = kept->texts[middle];
        if (text.len <= i || text.data[i] < b) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The length of the longest kept text that text begins with, or 0. Texts that begin alike stand together: each byte
 * narrows the range. */
static size_t kept_at(const pm_kept *kept, pm_bytes text) {
    size_t longest = 0, low = kept->first[text.data[0]], high = kept->first[text.data[0] + 1];

    for (size_t i = 1; low < high; i++) {
        if (kept->texts[low].len == i) { /* the shortest goes first */
            longest = i;
        }
        if (i == text.len) {
            break;
        }
        low = lower_bound(kept, low, high, i, text.data[i]);
        high = lower_bound(kept, low, high, i, text.data[i] + 1u);
    }
    return longest;
}

/* ---- sentencepiece ---- */

enum { WORDS = 4096 /* bytes for which room is made at once */ };

/* What the text begins with is replaced by *by; returns its length. */
static size_t prefix(const pm_op *op, pm_bytes text, pm_bytes *by) {
    size_t n = op->kept.n ? kept_at(&op->kept, text) : 0;
    unsigned len;

    *by = (pm_bytes){text.data, n};
    if (n) {
        return n;
    }
    n = pm_charsmap_may_begin(&op->charsmap, text.data, text.len) ? pm_charsmap_longest(&op->charsmap, text, by) : 0;
    if (n) {
        return n;
    }
    uint32_t c = pm_rewrite_read(text, 0, &len);
    *by = c & PM_RAW_BYTE ? (pm_bytes){(const uint8_t *)"\xEF\xBF\xBD", 3} : (pm_bytes){text.data, len};
    return len;
}

static pm_bytes rest(const pm_rewrite *w, size_t pos) { return (pm_bytes){w->in.data + pos, w->in.len - pos}; }

/* Writes bytes that come from `pos`; blanks as `blank` has them. Ends of origins come later. */
static pm_status write(pm_rewrite *w, pm_bytes text, pm_bytes blank, size_t pos, pm_error *err) {
    pm_origin origin = {w->at + pos, 0};

    if (!memchr(text.data, ' ', text.len)) {
        PM_TRY(pm_rewrite_room(w, text.len, err));
        pm_rewrite_put(w, text.data, text.len, origin);
        return PM_OK;
    }
    for (size_t i = 0; i < text.len; i++) {
        pm_bytes part = text.data[i] == ' ' ? blank : (pm_bytes){text.data + i, 1};
        PM_TRY(pm_rewrite_room(w, part.len, err));
        pm_rewrite_put(w, part.data, part.len, origin);
    }
    return PM_OK;
}

/* Takes blanks from the end of what was written; returns the place in the text that the result ends before. */
static size_t strip_end(pm_rewrite *w, pm_bytes blank, size_t end) {
    while (w->out->len >= blank.len && memcmp(w->out->data + w->out->len - blank.len, blank.data, blank.len) == 0) {
        w->out->len -= blank.len;
        end = w->in_origins ? (*w->origins)[w->out->len].begin - w->at : 0;
    }
    return end;
}

/* The end of a run of characters that nothing touches: op->inert before ASCII, and those that no rule and nothing kept
 * begins with. */
static size_t skip_untouched(const pm_op *op, pm_bytes text, size_t pos) {
    const uint8_t *p = text.data;

    while (pos < text.len) {
        if (p[pos] < 0x80) {
            if (!op->inert[p[pos]] || (pos + 1 < text.len && p[pos + 1] >= 0x80 &&
                                       pm_charsmap_may_begin(&op->charsmap, p + pos, text.len - pos))) {
                break;
            }
            pos++;
            continue;
        }
        unsigned n;
        if (pm_charsmap_may_begin(&op->charsmap, p + pos, text.len - pos) ||
            op->kept.first[p[pos]] != op->kept.first[p[pos] + 1]) {
            break;
        }
        pm_utf8_read(p + pos, p + text.len, &n);
        if (n == 1) { /* a bad byte */
            break;
        }
        pos += n;
    }
    return pos;
}

static pm_status write_untouched(pm_rewrite *w, size_t pos, size_t end, pm_error *err) {
    PM_TRY(pm_rewrite_room(w, end - pos, err));
    memcpy(w->out->data + w->out->len, w->in.data + pos, end - pos);
    if (!w->in_origins) {
        w->out->len += end - pos;
        return PM_OK;
    }
    while (pos < end) {
        unsigned n;
        pm_utf8_read(w->in.data + pos, w->in.data + end, &n);
        for (unsigned i = 0; i < n; i++) {
            (*w->origins)[w->out->len + i].begin = w->at + pos;
        }
        w->out->len += n;
        pos += n;
    }
    return PM_OK;
}

/* Words of ASCII and the blanks between, up to a character that something may touch. */
static pm_status write_words(const pm_op *op, pm_rewrite *w, pm_bytes blank, size_t *at, bool *was_blank,
                             pm_error *err) {
    const uint8_t *p = w->in.data;
    size_t pos = *at, end = w->in.len - pos < WORDS ? w->in.len : pos + WORDS;

    PM_TRY(pm_rewrite_room(w, (end - pos) * blank.len, err));
    for (; pos < end && p[pos] < 0x80 && (pos + 1 == w->in.len || p[pos + 1] < 0x80); pos++) {
        if (op->inert[p[pos]]) {
            if (w->in_origins) {
                (*w->origins)[w->out->len].begin = w->at + pos;
            }
            w->out->data[w->out->len++] = p[pos];
            *was_blank = false;
        } else if (p[pos] == ' ' && op->inert_blank) {
            if (!*was_blank) {
                pm_rewrite_put(w, blank.data, blank.len, (pm_origin){w->at + pos, 0});
            }
            *was_blank = op->flags & PM_STEP_REMOVE_EXTRA_BLANKS;
        } else {
            break;
        }
    }
    *at = pos;
    return PM_OK;
}

/* The text from pos on. */
static pm_status write_all(const pm_op *op, pm_rewrite *w, pm_bytes blank, size_t pos, pm_error *err) {
    bool extra = op->flags & PM_STEP_REMOVE_EXTRA_BLANKS, was_blank = extra;

    while (pos < w->in.len) {
        size_t begin = pos, end;
        if (w->in.data[pos] < 0x80) {
            PM_TRY(write_words(op, w, blank, &pos, &was_blank, err));
        }
        end = skip_untouched(op, w->in, pos);
        if (end > pos) {
            PM_TRY(write_untouched(w, pos, end, err));
            was_blank = false;
            pos = end;
            continue;
        }
        if (pos > begin) {
            continue;
        }
        pm_bytes by;
        size_t n = prefix(op, rest(w, pos), &by);
        while (was_blank && by.len && by.data[0] == ' ') {
            by.data++;
            by.len--;
        }
        if (by.len) {
            PM_TRY(write(w, by, blank, pos, err));
            was_blank = extra && by.data[by.len - 1] == ' ';
        }
        pos += n;
    }
    return PM_OK;
}

/* Each byte's origin ends where the next one's begins. */
static void end_origins(pm_rewrite *w, size_t end) {
    for (size_t i = 0; w->in_origins && i < w->out->len; i++) {
        (*w->origins)[i].end = i + 1 < w->out->len ? (*w->origins)[i + 1].begin : w->at + end;
    }
}

pm_status pm_op_sentencepiece_run(const pm_op *op, pm_rewrite *w, bool *same, pm_error *err) {
    pm_bytes mark = {(const uint8_t *)PM_BLANK_MARK_UTF8, 3}, space = {(const uint8_t *)" ", 1}, by;
    pm_bytes blank = op->flags & PM_STEP_ESCAPE_BLANKS ? mark : space;
    bool extra = op->flags & PM_STEP_REMOVE_EXTRA_BLANKS;
    size_t pos = 0, n;

    *same = w->in.len == 0;
    while (extra && pos < w->in.len) {
        n = prefix(op, rest(w, pos), &by);
        if (!pm_bytes_equal(by, space)) {
            break;
        }
        pos += n;
    }
    if (pos == w->in.len) {
        return PM_OK;
    }
    bool dummy = op->flags & PM_STEP_DUMMY_PREFIX, suffix = op->flags & PM_STEP_AS_SUFFIX;
    if (dummy && !suffix) {
        PM_TRY(write(w, space, blank, pos, err));
    }
    PM_TRY(write_all(op, w, blank, pos, err));
    size_t end = extra ? strip_end(w, blank, w->in.len) : w->in.len;
    if (dummy && suffix) {
        PM_TRY(write(w, space, blank, end, err));
    }
    end_origins(w, end);
    return PM_OK;
}
