/* classes.c - see classes.h: the portable version.
 *
 * Idea. Two steps a block of 64 bytes. The first is the same for every byte and has no branch: a table gives each byte
 * a row of eight bytes, one for each thing that can be said of it, each 0 or 1. Eight bytes of text shifted by their
 * places and added up make eight small bitmaps side by side,
 *
 *     text          "I", " ", "a", "m" ...
 *     rows          upper       lower       blank                  (a byte each)
 *     sum of row << i   0b0001      0b1100      0b0010
 *
 * and transposing eight such sums as a matrix of 8 x 8 bytes makes eight bitmaps of 64. One of them says which bytes
 * are not ASCII. The second step walks over those, character by character, and sets bits by the character's class
 * (text/unicode.h); a run of ideographs is walked without the table and set at once. A character that reaches into the
 * next block is remembered as its class and the number of bytes that are left.
 *
 * Cost. ASCII: some five operations a byte. Other text: a look-up a character.
 *
 * The vector versions are in classes_block.h. */
#include "pretok/classes.h"

#include <stdbool.h>
#include <string.h>

#include "text/unicode.h"
#include "text/utf8.h"

/* ---- ASCII: rows ---- */

/* What a row's bytes are. Two more facts are pairs of these, so that eight suffice. */
enum { UPPER, LOWER, NUMBER, PUNCT, SPACE, NEWLINE, HIGH, CHOSEN, ROWS };
#define ROW(fact) (UINT64_C(1) << 8 * (fact))

static const uint64_t rows[256] = {
    ['A' ... 'Z'] = ROW(UPPER),
    ['a' ... 'z'] = ROW(LOWER),
    ['0' ... '9'] = ROW(NUMBER),
    ['!' ... '&'] = ROW(PUNCT),
    ['\''] = ROW(PUNCT) | ROW(CHOSEN), /* apostrophe */
    ['(' ... '.'] = ROW(PUNCT),
    ['/'] = ROW(PUNCT) | ROW(NEWLINE), /* slash */
    [':' ... '@'] = ROW(PUNCT),
    ['[' ... '`'] = ROW(PUNCT),
    ['{' ... '~'] = ROW(PUNCT),
    ['\t'] = ROW(SPACE),
    ['\v' ... '\f'] = ROW(SPACE),
    [' '] = ROW(SPACE) | ROW(CHOSEN), /* blank */
    ['\n'] = ROW(NEWLINE),
    ['\r'] = ROW(NEWLINE),
    [0x80 ... 0xFF] = ROW(HIGH),
};

/* One stage of transposing: swaps, in each pair of sums `distance` apart, the bytes off the diagonal. */
static inline void swap_stage(uint64_t m[8], unsigned distance, uint64_t mask) {
#pragma GCC unroll 8
    for (unsigned i = 0; i < 8; i++) {
        if ((i & distance) == 0) {
            uint64_t t = (m[i] >> 8 * distance ^ m[i + distance]) & mask;
            m[i + distance] ^= t;
            m[i] ^= t << 8 * distance;
        }
    }
}

/* The bitmaps of 64 bytes, by fact. */
static inline void facts_of(const uint8_t *p, uint64_t facts[ROWS]) {
#pragma GCC unroll 8
    for (unsigned i = 0; i < 8; i++) {
        uint64_t sum = 0;
#pragma GCC unroll 8
        for (unsigned k = 0; k < 8; k++) {
            sum |= rows[p[8 * i + k]] << k;
        }
        facts[i] = sum;
    }
    swap_stage(facts, 4, UINT64_C(0x00000000FFFFFFFF));
    swap_stage(facts, 2, UINT64_C(0x0000FFFF0000FFFF));
    swap_stage(facts, 1, UINT64_C(0x00FF00FF00FF00FF));
}

/* Everything about a block of ASCII; other bytes get no bit. Returns which they are. */
static inline uint64_t ascii_block(const uint8_t *p, pm_class_word *w) {
    uint64_t facts[ROWS];

    facts_of(p, facts);
    memset(w, 0, sizeof *w);
    w->upper = facts[UPPER];
    w->lower = facts[LOWER];
    w->number = facts[NUMBER];
    w->punct = facts[PUNCT];
    w->space = facts[SPACE];
    w->newline = facts[NEWLINE] & ~facts[PUNCT];
    w->blank = facts[CHOSEN] & facts[SPACE];
    w->apostrophe = facts[CHOSEN] & facts[PUNCT];
    w->slash = facts[NEWLINE] & facts[PUNCT];
    return facts[HIGH];
}

/* ---- other characters ---- */

/* On top of the classes: pm_is_cjk(). */
enum { CJK = 1 << 11 };

/* True when U+4E00..U+9F7F begins at p: class LO, Han and CJK, three bytes. */
static inline bool ideograph_at(const uint8_t *p, const uint8_t *end) {
    if (end - p < 3) {
        return false;
    }
    unsigned lead = (unsigned)p[0] << 8 | p[1];
    return lead - 0xE4B8u <= 0xE9BDu - 0xE4B8u && (p[1] & 0xC0) == 0x80 && (p[2] & 0xC0) == 0x80;
}

static inline void set_class(pm_class_word *w, uint32_t class, uint64_t bits) {
    if (class & PM_CLASS_LO) {
        w->letter |= bits;
    } else if (class & PM_CLASS_LL) {
        w->lower |= bits;
    } else if (class & PM_CLASS_LU) {
        w->upper |= bits;
    } else if (class & (PM_CLASS_PUNCT | PM_CLASS_SYMBOL)) {
        w->punct |= bits;
    } else if (class & PM_CLASS_MARK) {
        w->mark |= bits;
    } else if (class & PM_CLASS_NUMBER) {
        w->number |= bits;
    } else if (class & PM_CLASS_SPACE) {
        w->space |= bits;
    }
    w->han |= class & PM_CLASS_HAN ? bits : 0;
    w->cjk |= class & CJK ? bits : 0;
}

/* A character at work: its class and how many of its bytes lie in the next block. */
typedef struct crossing {
    uint32_t class;
    unsigned left;
} crossing;

/* Sets the bits of the characters that begin in the block p; `high` are its bytes that are not ASCII. */
static void other_characters(const uint8_t *p, const uint8_t *end, uint64_t high, pm_class_word *w, crossing *c) {
    uint64_t inside = (UINT64_C(1) << c->left) - 1;

    set_class(w, c->class, inside);
    w->high = high;
    high &= ~inside;
    c->left = 0;
    while (high) {
        unsigned at = (unsigned)__builtin_ctzll(high), stop = at, n;
        uint64_t firsts = 0;
        while (stop < 64 && ideograph_at(p + stop, end)) {
            firsts |= UINT64_C(1) << stop;
            stop += 3;
        }
        uint32_t class = PM_CLASS_LO | PM_CLASS_HAN | CJK;
        if (stop == at) {
            uint32_t cp = pm_utf8_read(p + at, end, &n);
            class = pm_class(cp) | (pm_is_cjk(cp) ? CJK : 0);
            firsts = UINT64_C(1) << at;
            stop += n;
        }
        uint64_t bits = UINT64_MAX << at;
        if (stop >= 64) {
            *c = (crossing){class, stop - 64};
            high = 0;
        } else {
            bits &= ~(UINT64_MAX << stop);
            high &= UINT64_MAX << stop;
        }
        set_class(w, class, bits);
        inside |= bits & ~firsts;
    }
    w->inside = inside;
}

/* ---- blocks ---- */

/* Takes away the bits from n on. */
static void keep_first(pm_class_word *w, unsigned n) {
    uint64_t keep = (UINT64_C(1) << n) - 1;

    w->upper &= keep;
    w->lower &= keep;
    w->letter &= keep;
    w->mark &= keep;
    w->number &= keep;
    w->punct &= keep;
    w->space &= keep;
    w->han &= keep;
    w->cjk &= keep;
    w->inside &= keep;
}

void pm_classes_portable(const uint8_t *text, size_t len, size_t readable, pm_class_word *words) {
    const uint8_t *end = text + readable;
    crossing c = {0, 0};
    size_t at = 0;

    for (; len - at >= 64; at += 64, words++) {
        uint64_t high = ascii_block(text + at, words);
        if (high) {
            other_characters(text + at, end, high, words, &c);
        }
    }
    if (at < len) {
        uint8_t padded[64] = {0}; /* NUL has no bit */
        memcpy(padded, text + at, len - at);
        uint64_t high = ascii_block(padded, words);
        if (high) {
            other_characters(text + at, end, high, words, &c);
            keep_first(words, (unsigned)(len - at));
        }
    }
}

pm_classes_fn pm_classes_for(pm_cpu cpu) {
    switch (cpu) {
#if defined(__x86_64__)
    case PM_CPU_AVX2: return pm_classes_avx2;
    case PM_CPU_AVX512: return pm_classes_avx512;
#elif defined(PM_HAVE_NEON)
    case PM_CPU_NEON: return pm_classes_neon;
#endif
    default: return pm_classes_portable;
    }
}
