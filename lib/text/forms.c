/* forms.c - see forms.h. Normal forms as Hugging Face's tokenizers makes them, with the count of what became of each
 * character.
 *
 * Idea. As in nfc.c: nearly all text is in its form already; where it may not be, a block between two boundaries is
 * taken out, decomposed, put in order and composed. A boundary is a character of class 0 that is its own form and joins
 * with nothing before it, and each byte outside well-formed UTF-8.
 *
 *     "e" U+0323 U+0302, form C       a block; decomposed e, U+0323 (class 220), U+0302 (230): in order
 *                                     e + U+0323 is U+1EB9, + U+0302 is U+1EC7: one item, which stands for three
 * characters: change -2
 *
 * What is not as there: the tables are the library's, there are four forms, and each item carries its change (forms.h).
 * A character's parts have 0, 1, 1, ..; marks keep theirs when they change places; joined to a starter of change k, a
 * character of change c leaves k + c - 1. Their sum is kept, so that a block's items stand for its characters and none
 * besides.
 *
 * Cost: linear; marks of one run are sorted by counting. Source: Unicode Standard Annex 15; the crate
 * unicode-normalization-alignments. */
#include "text/forms.h"

#include "text/utf8.h"

#include "text/forms_table.h"

_Static_assert(sizeof blocks / sizeof *blocks == 0x110000 >> PM_FORMS_SHIFT,
               "the table was made for another block size");

enum {
    L_BASE = 0x1100,
    V_BASE = 0x1161,
    T_BASE = 0x11A7,
    S_BASE = 0xAC00,
    L_COUNT = 19,
    V_COUNT = 21,
    T_COUNT = 28,
    S_COUNT = 11172,
    CHARACTER = 0xFFFFFF
};

const pm_form_record *pm_form_of(uint32_t c) {
    return &pm_form_records[codes[(size_t)blocks[c >> PM_FORMS_SHIFT] << PM_FORMS_SHIFT |
                                  (c & ((1u << PM_FORMS_SHIFT) - 1))]];
}

static inline bool is_syllable(uint32_t c) { return c - S_BASE < S_COUNT; }
static inline bool composes(pm_form form) { return form == PM_FORM_C || form == PM_FORM_KC; }

/* Whether a character may have to change, whatever stands around it but for the order of marks. */
static inline bool is_suspect(pm_form form, uint32_t c, const pm_form_record *r) {
    switch (form) {
    case PM_FORM_C: return r->flags & (PM_FORM_JOINS | PM_FORM_NFC_SUSPECT);
    case PM_FORM_KC: return r->flags & (PM_FORM_JOINS | PM_FORM_NFKC_SUSPECT);
    case PM_FORM_D: return r->n_canonical || is_syllable(c);
    default: return r->n_compatible || is_syllable(c);
    }
}

/* The character that a and b join to, or 0. */
static uint32_t compose(uint32_t a, uint32_t b) {
    if (a - L_BASE < L_COUNT && b - V_BASE < V_COUNT) {
        return S_BASE + ((a - L_BASE) * V_COUNT + (b - V_BASE)) * T_COUNT;
    }
    if (is_syllable(a) && (a - S_BASE) % T_COUNT == 0 && b - (T_BASE + 1) < T_COUNT - 1) {
        return a + (b - T_BASE);
    }
    if (!(pm_form_of(b)->flags & PM_FORM_JOINS)) {
        return 0;
    }
    size_t low = 0, high = sizeof pairs / sizeof *pairs;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (pairs[middle][0] < a || (pairs[middle][0] == a && pairs[middle][1] < b)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < sizeof pairs / sizeof *pairs && pairs[low][0] == a && pairs[low][1] == b ? pairs[low][2] : 0;
}

/* Do U+4000 .. U+9FFF begin here? They are boundaries in every form, and most of Chinese text. */
static inline bool is_ideograph(const uint8_t *p, size_t left) {
    return left >= 3 && p[0] >= 0xE4 && p[0] <= 0xE9 && (p[1] & 0xC0) == 0x80 && (p[2] & 0xC0) == 0x80;
}

size_t pm_form_skip(pm_form form, const uint8_t *text, size_t len, size_t pos, size_t *boundary) {
    uint8_t last_class = 0;

    *boundary = pos;
    while (pos < len) {
        size_t begin = pos;
        if (text[pos] < 0x80) {
            pos = pm_utf8_skip_ascii(text, pos, len);
            *boundary = pos - 1;
            last_class = 0;
            continue;
        }
        while (is_ideograph(text + pos, len - pos)) {
            pos += 3;
        }
        if (pos > begin) {
            *boundary = pos - 3;
            last_class = 0;
            continue;
        }
        unsigned n;
        uint32_t c = pm_utf8_read(text + pos, text + len, &n);
        const pm_form_record *r = pm_form_of(c); /* U+FFFD for a bad byte: nothing happens to it */
        if (is_suspect(form, c, r) || (r->combining_class && r->combining_class < last_class)) {
            return pos;
        }
        last_class = r->combining_class;
        if (last_class == 0) {
            *boundary = n > 1 ? pos : pos + 1; /* a bad byte takes no part in anything */
        }
        pos += n;
    }
    return len;
}

/* ---- blocks ---- */

void pm_form_block_release(pm_form_block *b) {
    pm_free(b->items);
    pm_free(b->sorted);
    *b = (pm_form_block){0};
}

static inline uint32_t class_of(pm_form_item item) { return item.character >> 24; }

static inline void add(pm_form_block *b, uint32_t c, int32_t change) {
    b->items[b->n++] = (pm_form_item){(uint32_t)pm_form_of(c)->combining_class << 24 | c, change};
}

/* The full decomposition of a character. */
static pm_status add_parts(pm_form_block *b, pm_form form, uint32_t c, const pm_form_record *r, pm_error *err) {
    bool compatible = form == PM_FORM_KC || form == PM_FORM_KD;
    size_t n = compatible ? r->n_compatible : r->n_canonical;
    const uint32_t *parts = pm_form_parts + (compatible ? r->compatible : r->canonical);

    PM_TRY(pm_grow((void **)&b->items, &b->cap, b->n + (n < 3 ? 3 : n), sizeof *b->items, err));
    if (is_syllable(c)) {
        uint32_t s = c - S_BASE;
        add(b, L_BASE + s / (V_COUNT * T_COUNT), 0);
        add(b, V_BASE + s % (V_COUNT * T_COUNT) / T_COUNT, 1);
        if (s % T_COUNT) {
            add(b, T_BASE + s % T_COUNT, 1);
        }
    } else if (n == 0) {
        add(b, c, 0);
    }
    for (size_t i = 0; i < n; i++) {
        add(b, parts[i], i > 0);
    }
    return PM_OK;
}

/* The characters of text[pos ..) up to the next boundary behind `trouble`. */
static pm_status fill(pm_form_block *b, pm_form form, const uint8_t *text, size_t len, size_t pos, size_t trouble,
                      size_t *end, pm_error *err) {
    b->n = 0;
    while (pos < len) {
        unsigned n;
        uint32_t c = pm_utf8_read(text + pos, text + len, &n);
        const pm_form_record *r = pm_form_of(c);
        if ((c == PM_BAD_BYTE && n == 1) || (pos > trouble && r->combining_class == 0 && !is_suspect(form, c, r))) {
            break;
        }
        PM_TRY(add_parts(b, form, c, r, err));
        pos += n;
    }
    *end = pos;
    return PM_OK;
}

/* Sorts n marks stably by class. */
static pm_status sort_marks(pm_form_block *b, pm_form_item *marks, size_t n, pm_error *err) {
    if (n <= 16) {
        for (size_t i = 1; i < n; i++) {
            pm_form_item mark = marks[i];
            size_t j = i;
            for (; j > 0 && class_of(marks[j - 1]) > class_of(mark); j--) {
                marks[j] = marks[j - 1];
            }
            marks[j] = mark;
        }
        return PM_OK;
    }
    size_t begins[256] = {0}, sum = 0;
    PM_TRY(pm_grow((void **)&b->sorted, &b->sorted_cap, n, sizeof *b->sorted, err));
    for (size_t i = 0; i < n; i++) {
        begins[class_of(marks[i])]++;
    }
    for (size_t c = 0; c < 256; c++) {
        size_t count = begins[c];
        begins[c] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++) {
        b->sorted[begins[class_of(marks[i])]++] = marks[i];
    }
    memcpy(marks, b->sorted, n * sizeof *marks);
    return PM_OK;
}

static pm_status sort(pm_form_block *b, pm_error *err) {
    for (size_t i = 0; i < b->n;) {
        size_t begin = i;
        while (i < b->n && class_of(b->items[i])) {
            i++;
        }
        PM_TRY(sort_marks(b, b->items + begin, i - begin, err));
        i += i < b->n;
    }
    return PM_OK;
}

/* Composes in place. `before` is the class of the last character kept behind the starter, -1 when there is none. */
static void compose_all(pm_form_block *b) {
    size_t kept = 0, starter = SIZE_MAX;
    int before = -1;

    for (size_t i = 0; i < b->n; i++) {
        pm_form_item item = b->items[i];
        int c = (int)class_of(item);
        if (starter != SIZE_MAX && c > before) {
            pm_form_item *s = &b->items[starter];
            uint32_t joined = compose(s->character & CHARACTER, item.character & CHARACTER);
            if (joined) {
                *s = (pm_form_item){joined, s->change + item.change - 1}; /* a starter: class 0 */
                continue;
            }
        }
        if (c == 0) {
            starter = kept;
        }
        before = c ? c : -1;
        b->items[kept++] = item;
    }
    b->n = kept;
}

pm_status pm_form_block_make(pm_form_block *b, pm_form form, const uint8_t *text, size_t len, size_t boundary,
                             size_t trouble, size_t *end, pm_error *err) {
    PM_TRY(fill(b, form, text, len, boundary, trouble, end, err));
    PM_TRY(sort(b, err));
    if (composes(form)) {
        compose_all(b);
    }
    for (size_t i = 0; i < b->n; i++) {
        b->items[i].character &= CHARACTER;
    }
    return PM_OK;
}
