/* nfc.c - Unicode normalization form C, in time that is linear in the text whatever the text is.
 *
 * Idea. Nearly all text is in NFC already, so the work is to find that out quickly and to leave such text alone. Only
 * where a character may change, or may join with what stands before it, a block is taken out, decomposed, put in order
 * and composed.
 *
 *     "cafe" + U+0301 + " x"
 *      copy "caf" | block "e" U+0301 -> U+00E9 | copy " x"
 *
 * A boundary is a character that nothing can happen to from the left: its combining class is 0, it never joins with a
 * character before it and it is its own normal form. A block begins at the last boundary before the trouble and ends
 * before the next boundary; what lies outside of blocks is copied as it is. A byte outside well-formed UTF-8 is a
 * boundary too, and is copied.
 *
 * Within a block:
 *   1. every character is decomposed fully (utf8proc's data; Hangul by arithmetic);
 *   2. each run of marks (combining class other than 0) is sorted stably by class: by counting, so that a megabyte of
 *      marks in the worst order costs two passes. A library routine that exchanges neighbours is quadratic here: 11 s
 *      for 128 KB;
 *   3. one pass composes: a character joins with the last starter unless a mark of the same or a higher class stands
 *      between them.
 *
 * Which characters may join with one before them (quick check "maybe") is the table `joins` below, from
 * DerivedNormalizationProps.txt of Unicode 16 (NFC_QC=M); tests hold it against utf8proc's compositions. A table newer
 * than utf8proc's data only makes blocks longer, never wrong.
 *
 * Memory: a block's code points, 4 bytes each, twice; a block is a few characters except in text made to be hostile.
 * Source: Unicode Standard Annex 15, sections 1.3 and 9; the Unicode Standard, section 3.11 and 3.12 (Hangul). */
#include "text/nfc.h"

#include "text/utf8.h"

#ifdef PM_HAVE_UTF8PROC
#include <utf8proc.h>
#endif

/* What the quick check knows of a character. */
typedef struct character {
    uint8_t combining_class;
    bool suspect; /* may change, or may join with what stands before it */
} character;

enum {
    L_BASE = 0x1100,
    V_BASE = 0x1161,
    T_BASE = 0x11A7,
    S_BASE = 0xAC00,
    L_COUNT = 19,
    V_COUNT = 21,
    T_COUNT = 28,
    S_COUNT = 11172
};

/* Latin, general punctuation and CJK: every character here is a boundary. The stretch of ideographs, kana, bopomofo and
 * Yi leaves out U+302A-302F (marks) and U+3099-309A (they join); Hangul syllables and full-width forms are boundaries
 * as well. */
static bool is_plain(uint32_t cp) {
    if (cp < 0x300) {
        return true;
    }
    if (cp < 0x3000) {
        return (cp >= 0x1E00 && cp < 0x1F00) || (cp >= 0x2010 && cp < 0x2070);
    }
    if (cp < 0xA640) {
        return cp < 0x302A || (cp >= 0x3030 && cp < 0x3099) || cp > 0x309A;
    }
    return (cp >= S_BASE && cp < S_BASE + S_COUNT) || (cp >= 0xFF01 && cp < 0xFF70);
}

#ifdef PM_HAVE_UTF8PROC

/* First and last of each range of characters that may join with one before them. */
static const uint32_t joins[][2] = {
    {0x0300, 0x0304},   {0x0306, 0x030C},   {0x030F, 0x030F},   {0x0311, 0x0311},   {0x0313, 0x0314},
    {0x031B, 0x031B},   {0x0323, 0x0328},   {0x032D, 0x032E},   {0x0330, 0x0331},   {0x0338, 0x0338},
    {0x0342, 0x0342},   {0x0345, 0x0345},   {0x0653, 0x0655},   {0x093C, 0x093C},   {0x09BE, 0x09BE},
    {0x09D7, 0x09D7},   {0x0B3E, 0x0B3E},   {0x0B56, 0x0B57},   {0x0BBE, 0x0BBE},   {0x0BD7, 0x0BD7},
    {0x0C56, 0x0C56},   {0x0CC2, 0x0CC2},   {0x0CD5, 0x0CD6},   {0x0D3E, 0x0D3E},   {0x0D57, 0x0D57},
    {0x0DCA, 0x0DCA},   {0x0DCF, 0x0DCF},   {0x0DDF, 0x0DDF},   {0x102E, 0x102E},   {0x1161, 0x1175},
    {0x11A8, 0x11C2},   {0x1B35, 0x1B35},   {0x3099, 0x309A},   {0x110BA, 0x110BA}, {0x11127, 0x11127},
    {0x1133E, 0x1133E}, {0x11357, 0x11357}, {0x113B8, 0x113B8}, {0x113BB, 0x113BB}, {0x113C2, 0x113C2},
    {0x113C5, 0x113C5}, {0x113C7, 0x113C9}, {0x114B0, 0x114B0}, {0x114BA, 0x114BA}, {0x114BD, 0x114BD},
    {0x115AF, 0x115AF}, {0x11930, 0x11930}, {0x1611E, 0x16129}, {0x16D67, 0x16D68},
};

static bool may_join(uint32_t cp) {
    size_t low = 0, high = sizeof joins / sizeof joins[0];

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cp > joins[middle][1]) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < sizeof joins / sizeof joins[0] && cp >= joins[low][0];
}

enum { DECOMPOSED_MAX = 4 }; /* the longest full canonical decomposition of one character; stable by Unicode's policy */

/* The full canonical decomposition of cp, into at most DECOMPOSED_MAX code points; returns how many. */
static size_t decompose(uint32_t cp, uint32_t out[DECOMPOSED_MAX]) {
    if (cp >= S_BASE && cp < S_BASE + S_COUNT) {
        uint32_t s = cp - S_BASE;
        out[0] = L_BASE + s / (V_COUNT * T_COUNT);
        out[1] = V_BASE + s % (V_COUNT * T_COUNT) / T_COUNT;
        out[2] = T_BASE + s % T_COUNT;
        return s % T_COUNT ? 3 : 2;
    }
    utf8proc_int32_t parts[DECOMPOSED_MAX];
    int boundclass = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)cp, parts, DECOMPOSED_MAX,
                                                 UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, &boundclass);
    if (n < 1 || n > DECOMPOSED_MAX) {
        out[0] = cp;
        return 1;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        out[i] = (uint32_t)parts[i];
    }
    return (size_t)n;
}

/* The character that a (a starter) and b join to, or 0. */
static uint32_t compose(uint32_t a, uint32_t b) {
    if (a >= L_BASE && a < L_BASE + L_COUNT) {
        return b >= V_BASE && b < V_BASE + V_COUNT ? S_BASE + ((a - L_BASE) * V_COUNT + (b - V_BASE)) * T_COUNT : 0;
    }
    if (a >= S_BASE && a < S_BASE + S_COUNT) {
        return (a - S_BASE) % T_COUNT == 0 && b > T_BASE && b < T_BASE + T_COUNT ? a + (b - T_BASE) : 0;
    }
    if (!may_join(b)) {
        return 0;
    }
    utf8proc_int32_t pair[2] = {(utf8proc_int32_t)a, (utf8proc_int32_t)b};
    utf8proc_ssize_t n = utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    return n == 1 ? (uint32_t)pair[0] : 0;
}

static uint8_t combining_class(uint32_t cp) {
    return (uint8_t)utf8proc_get_property((utf8proc_int32_t)cp)->combining_class;
}

/* Is the character its own normal form? True for one without a canonical decomposition and for one that composition
 * gives back. */
static bool is_own_form(uint32_t cp) {
    const utf8proc_property_t *property = utf8proc_get_property((utf8proc_int32_t)cp);
    uint32_t parts[DECOMPOSED_MAX];

    if (property->decomp_type || property->decomp_seqindex == UINT16_MAX) {
        return true; /* none, or a compatibility mapping, which this form leaves alone */
    }
    /* Composed again, it is the same character, unless its decomposition is single (U+212B, U+1F71), excluded, or
     * begins with a mark. */
    size_t n = decompose(cp, parts);
    uint32_t joined = parts[0];
    for (size_t i = 1; i < n && joined; i++) {
        joined = compose(joined, parts[i]);
    }
    return joined == cp;
}

static character look_up(uint32_t cp) {
    character c = {combining_class(cp), false};

    c.suspect = may_join(cp) || !is_own_form(cp);
    return c;
}

#else

/* Without utf8proc nothing is known of a character that is not plain. */
static character look_up(uint32_t cp) {
    (void)cp;
    return (character){0, true};
}

#endif

/* Do U+4000 .. U+9FFF begin here? All are plain, and most of Chinese text. */
static inline bool is_ideograph(const uint8_t *p, size_t left) {
    return left >= 3 && p[0] >= 0xE4 && p[0] <= 0xE9 && (p[1] & 0xC0) == 0x80 && (p[2] & 0xC0) == 0x80;
}

/* Walks over text that is in normal form already. Returns where the first trouble is (len: nowhere) and in *boundary
 * the last boundary at or before it, where a block would begin. */
static size_t skip_normal(const uint8_t *text, size_t len, size_t pos, size_t *boundary) {
    uint8_t last_class = 0;

    *boundary = pos;
    while (pos < len) {
        if (text[pos] < 0x80) {
            do {
                pos++;
            } while (pos < len && text[pos] < 0x80);
            *boundary = pos - 1;
            last_class = 0;
            continue;
        }
        if (is_ideograph(text + pos, len - pos)) {
            do {
                pos += 3;
            } while (is_ideograph(text + pos, len - pos));
            *boundary = pos - 3;
            last_class = 0;
            continue;
        }
        unsigned n;
        uint32_t cp = pm_utf8_read(text + pos, text + len, &n);
        if (n > 1 && !is_plain(cp)) {
            character c = look_up(cp);
            if (c.suspect || (c.combining_class && c.combining_class < last_class)) {
                return pos;
            }
            last_class = c.combining_class;
        } else {
            last_class = 0;
        }
        if (last_class == 0) {
            *boundary = n > 1 ? pos : pos + 1; /* a bad byte takes no part in anything */
        }
        pos += n;
    }
    return len;
}

bool pm_nfc_quick_check(const uint8_t *text, size_t len) {
    size_t boundary;
    return skip_normal(text, len, 0, &boundary) == len;
}

#ifdef PM_HAVE_UTF8PROC

/* A block's code points with their classes, as item = class << 24 | code point; and room to sort them. */
typedef struct block {
    uint32_t *items, *sorted;
    size_t n, cap, sorted_cap;
} block;

static inline uint32_t item_of(uint32_t cp) { return (uint32_t)combining_class(cp) << 24 | cp; }
static inline uint32_t cp_of(uint32_t item) { return item & 0xFFFFFF; }
static inline uint32_t class_of(uint32_t item) { return item >> 24; }

static void block_release(block *b) {
    pm_free(b->items);
    pm_free(b->sorted);
}

static pm_status block_add(block *b, uint32_t cp, pm_error *err) {
    uint32_t parts[DECOMPOSED_MAX];
    size_t n = decompose(cp, parts);

    PM_TRY(pm_grow((void **)&b->items, &b->cap, b->n + n, sizeof *b->items, err));
    for (size_t i = 0; i < n; i++) {
        b->items[b->n++] = item_of(parts[i]);
    }
    return PM_OK;
}

/* Sorts n marks stably by class. */
static pm_status sort_marks(block *b, uint32_t *marks, size_t n, pm_error *err) {
    if (n <= 16) {
        for (size_t i = 1; i < n; i++) {
            uint32_t mark = marks[i];
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

static pm_status block_sort(block *b, pm_error *err) {
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
static void block_compose(block *b) {
    size_t kept = 0, starter = SIZE_MAX;
    int before = -1;

    for (size_t i = 0; i < b->n; i++) {
        uint32_t item = b->items[i];
        int c = (int)class_of(item);
        if (starter != SIZE_MAX && c > before) {
            uint32_t joined = compose(cp_of(b->items[starter]), cp_of(item));
            if (joined) {
                b->items[starter] = joined; /* a starter: class 0 */
                continue;
            }
        }
        if (c == 0) {
            starter = kept;
            before = -1;
        } else {
            before = c;
        }
        b->items[kept++] = item;
    }
    b->n = kept;
}

static pm_status block_write(const block *b, pm_buf *out, pm_error *err) {
    PM_TRY(pm_buf_reserve(out, 4 * b->n, err));
    for (size_t i = 0; i < b->n; i++) {
        out->len += pm_utf8_write(cp_of(b->items[i]), out->data + out->len);
    }
    return PM_OK;
}

/* Takes the characters of text[pos..) into the block up to the next boundary at or behind `trouble`; returns where that
 * is in *end. */
static pm_status block_fill(block *b, const uint8_t *text, size_t len, size_t pos, size_t trouble, size_t *end,
                            pm_error *err) {
    b->n = 0;
    while (pos < len) {
        unsigned n;
        uint32_t cp = pm_utf8_read(text + pos, text + len, &n);
        if (cp == PM_BAD_BYTE && n == 1) {
            break;
        }
        if (pos > trouble) {
            if (is_plain(cp)) {
                break;
            }
            character c = look_up(cp);
            if (!c.suspect && c.combining_class == 0) {
                break;
            }
        }
        PM_TRY(block_add(b, cp, err));
        pos += n;
    }
    *end = pos;
    return PM_OK;
}

static pm_status normalize(block *b, pm_buf *out, const uint8_t *text, size_t len, pm_error *err) {
    size_t done = 0;

    while (done < len) {
        size_t boundary, trouble = skip_normal(text, len, done, &boundary);
        if (trouble == len) {
            boundary = len;
        }
        PM_TRY(pm_buf_append(out, text + done, boundary - done, err));
        if (boundary == len) {
            return PM_OK;
        }
        PM_TRY(block_fill(b, text, len, boundary, trouble, &done, err));
        PM_TRY(block_sort(b, err));
        block_compose(b);
        PM_TRY(block_write(b, out, err));
    }
    return PM_OK;
}

pm_status pm_nfc_append(pm_buf *out, const uint8_t *text, size_t len, pm_error *err) {
    size_t before = out->len;
    block b = {0};
    pm_status status = normalize(&b, out, text, len, err);

    block_release(&b);
    if (status != PM_OK) {
        out->len = before;
    }
    return status;
}

#else

pm_status pm_nfc_append(pm_buf *out, const uint8_t *text, size_t len, pm_error *err) {
    if (pm_nfc_quick_check(text, len)) {
        return pm_buf_append(out, text, len, err);
    }
    return pm_fail(err, PM_UNSUPPORTED,
                   "this text needs Unicode normalization and piecemill was built without utf8proc");
}

#endif
