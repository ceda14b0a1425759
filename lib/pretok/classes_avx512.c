/* classes_avx512.c - class bitmaps with AVX-512; the idea is in classes_block.h.
 *
 * A block is one register, a set of its bytes one 64-bit mask. Tables of 64 bytes (vpermb) and of 128 (vpermi2b) are
 * looked up for all bytes at once; both take as many low bits of an index as they need, so bytes are indices as they
 * are. */
#include "pretok/classes_block.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET PM_TARGET_AVX512
#define INLINE PM_TARGET_AVX512 static inline __attribute__((always_inline))

/* ---- tables ---- */

static const uint8_t flags_by_code[64] PM_BLOCK_TABLE = {FLAGS_BY_CODE(0), FLAGS_BY_CODE(FLAG_TOP)};

/* Index of the byte n before each, among the block before (0..63) and this one (64..127): from 64 - n on. */
static const uint8_t places[128] PM_BLOCK_TABLE = {
    0,   1,   2,   3,   4,   5,   6,   7,   8,   9,   10,  11,  12,  13,  14,  15,  16,  17,  18,  19,  20,  21,
    22,  23,  24,  25,  26,  27,  28,  29,  30,  31,  32,  33,  34,  35,  36,  37,  38,  39,  40,  41,  42,  43,
    44,  45,  46,  47,  48,  49,  50,  51,  52,  53,  54,  55,  56,  57,  58,  59,  60,  61,  62,  63,  64,  65,
    66,  67,  68,  69,  70,  71,  72,  73,  74,  75,  76,  77,  78,  79,  80,  81,  82,  83,  84,  85,  86,  87,
    88,  89,  90,  91,  92,  93,  94,  95,  96,  97,  98,  99,  100, 101, 102, 103, 104, 105, 106, 107, 108, 109,
    110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127,
};

/* ---- small words ---- */

INLINE __m512i all(unsigned byte) { return _mm512_set1_epi8((char)byte); }
INLINE uint64_t equal(__m512i v, unsigned byte) { return _mm512_cmpeq_epi8_mask(v, all(byte)); }
INLINE uint64_t from(__m512i v, unsigned byte) { return _mm512_cmpge_epu8_mask(v, all(byte)); }
INLINE uint64_t flagged(__m512i flags, unsigned flag) { return _mm512_test_epi8_mask(flags, all(flag)); }
INLINE uint64_t continues(__m512i v) { return _mm512_cmplt_epi8_mask(v, all(0xC0)); } /* 80..BF, the lowest if signed */

/* What the block before leaves: its flags, and which of its bytes begin a character of two or more, three or more, four
 * bytes. */
typedef struct before {
    __m512i flags;
    uint64_t two, three, four;
    uint64_t cjk; /* begin a character of the range */
} before;

/* ---- characters beyond ASCII ---- */

/* The characters of a block: which begin here, by length, and the class numbers found so far. */
typedef struct found {
    __m512i codes;
    uint64_t two, three, four; /* of exactly that length */
    uint64_t cjk;
} found;

/* Looks up the characters in `which` of one pair of rows: their last two bytes make the index. */
INLINE __m512i look_up(__m512i codes, uint64_t which, const uint8_t *rows, __m512i index) {
    __m512i low = _mm512_loadu_si512(rows), high = _mm512_loadu_si512(rows + 64);
    return _mm512_mask_mov_epi8(codes, which, _mm512_permutex2var_epi8(low, index, high));
}

/* The low six bits of the last byte and, as bit 6, the lowest of the byte before it. Bit 7 is anything. */
INLINE __m512i index_of(__m512i before_last, __m512i last) {
    return _mm512_ternarylogic_epi64(all(0x3F), last, _mm512_slli_epi16(before_last, 6), 0xCA);
}

/* Characters of two bytes. */
INLINE void find_two(const uint8_t *p, __m512i v, __m512i v1, found *f) {
    __m512i index = index_of(v, v1), even = _mm512_and_si512(v, all(0xFE));

    for (uint64_t rest = f->two; rest;) {
        unsigned first = p[__builtin_ctzll(rest)] & 0xFEu;
        uint64_t same = rest & equal(even, first);
        f->codes = look_up(f->codes, same, pm_rows_of((first & 0x1F) << 6), index);
        rest &= ~same;
    }
}

/* Characters of three bytes. */
INLINE void find_three(const uint8_t *p, __m512i v, __m512i v1, __m512i v2, __m512i second, found *f) {
    uint64_t rest =
        f->three & _mm512_test_epi8_mask(second, _mm512_permutexvar_epi8(v, _mm512_load_si512(pm_ideographs)));
    uint64_t e3 = f->three & equal(v, 0xE3);

    f->codes = _mm512_mask_mov_epi8(f->codes, rest, all(CODE_IDEOGRAPH));
    f->cjk = rest | (e3 & flagged(second, FROM_81_TO_83));
    rest = f->three & ~rest;
    __m512i index = index_of(v1, v2), even = _mm512_and_si512(v1, all(0xFE));
    uint64_t same = e3 & equal(even, 0x80);
    f->codes = look_up(f->codes, same, pm_rows_of(0x3000), index);
    rest &= ~same;
    same = rest & equal(v, 0xEF) & equal(even, 0xBC);
    f->codes = look_up(f->codes, same, pm_rows_of(0xFF00), index);
    rest &= ~same;
    if (!rest) {
        return;
    }
    same = rest & _mm512_test_epi8_mask(second, _mm512_permutexvar_epi8(v, _mm512_load_si512(pm_hangul)));
    f->codes = _mm512_mask_mov_epi8(f->codes, same, all(CODE_LETTER));
    rest &= ~same;
    while (rest) {
        const uint8_t *q = p + __builtin_ctzll(rest);
        unsigned a = q[0], b = q[1] & 0xFEu;
        same = rest & equal(v, a) & equal(even, b);
        f->codes = look_up(f->codes, same, pm_rows_of((a & 0x0F) << 12 | (b & 0x3F) << 6), index);
        if (a == 0xE9 && b == 0xBE) { /* U+9F80..U+9FFF: the range ends within it */
            f->cjk |= same & equal(v1, 0xBE) & ~from(v2, 0xA6);
        }
        rest &= ~same;
    }
}

/* Characters of four bytes; `first` are the bytes from F0 on. */
TARGET static __attribute__((noinline)) void find_four(const uint8_t *p, uint64_t first, found *f) {
    __m512i v = _mm512_loadu_si512(p), v1 = _mm512_loadu_si512(p + 1), v2 = _mm512_loadu_si512(p + 2);
    __m512i v3 = _mm512_loadu_si512(p + 3), index = index_of(v2, v3), even = _mm512_and_si512(v2, all(0xFE));
    uint64_t low = ~from(v1, 0x90);

    f->four = first & ~from(v, 0xF5) & continues(v1) & continues(v2) & continues(v3) & ~(equal(v, 0xF0) & low) &
              ~(equal(v, 0xF4) & ~low);
    for (uint64_t rest = f->four; rest;) {
        const uint8_t *q = p + __builtin_ctzll(rest);
        unsigned a = q[0], b = q[1], c = q[2] & 0xFEu;
        uint64_t same = rest & equal(v, a) & equal(v1, b) & equal(even, c);
        f->codes = look_up(f->codes, same, pm_rows_of((a & 7) << 18 | (b & 0x3F) << 12 | (c & 0x3F) << 6), index);
        rest &= ~same;
    }
}

/* Finds all characters of a block, then makes the lengths those of characters of at least that many bytes. */
INLINE found find(const uint8_t *p, __m512i v) {
    __m512i v1 = _mm512_loadu_si512(p + 1), v2 = _mm512_loadu_si512(p + 2);
    __m512i second = _mm512_maskz_permutexvar_epi8(continues(v1), v1, _mm512_load_si512(pm_seconds));
    __m512i first = _mm512_maskz_permutexvar_epi8(from(v, 0xC0), v, _mm512_load_si512(pm_well_formed));
    uint64_t formed = _mm512_test_epi8_mask(first, second), above = from(v, 0xE0), f0 = from(v, 0xF0);
    found f = {all(CODE_OTHER), formed & ~above, formed & above & continues(v2), 0, 0};

    if (f.two) {
        find_two(p, v, v1, &f);
    }
    if (f.three) {
        find_three(p, v, v1, v2, second, &f);
    }
    if (f0) {
        find_four(p, f0, &f);
    }
    f.three |= f.four;
    f.two |= f.three;
    return f;
}

/* A block that is not all ASCII: `flags` has those of its ASCII, `high` are the others. */
INLINE void other_block(const uint8_t *p, __m512i v, __m512i flags, uint64_t high, before *b, pm_class_word *w) {
    found f = find(p, v);
    uint64_t one_behind = f.two << 1 | b->two >> 63, two_behind = f.three << 2 | b->three >> 62;
    uint64_t three_behind = f.four << 3 | b->four >> 61;

    w->inside = one_behind | two_behind | three_behind;
    w->cjk = f.cjk | f.cjk << 1 | f.cjk << 2 | b->cjk >> 63 | b->cjk >> 62;
    uint64_t bad = high & ~f.two & ~w->inside;
    f.codes = _mm512_mask_mov_epi8(f.codes, bad, all(CODE_PUNCT));
    flags =
        _mm512_or_si512(flags, _mm512_maskz_permutexvar_epi8(f.two | bad, f.codes, _mm512_load_si512(flags_by_code)));
    __m512i one = _mm512_maskz_permutex2var_epi8(one_behind, b->flags, _mm512_loadu_si512(places + 63), flags);
    __m512i two = _mm512_maskz_permutex2var_epi8(two_behind, b->flags, _mm512_loadu_si512(places + 62), flags);
    __m512i spread = _mm512_or_si512(flags, _mm512_or_si512(one, two));
    if (three_behind) {
        __m512i three = _mm512_maskz_permutex2var_epi8(three_behind, b->flags, _mm512_loadu_si512(places + 61), flags);
        spread = _mm512_or_si512(spread, three);
    }
    *b = (before){flags, f.two, f.three, f.four, f.cjk};
    uint64_t top = flagged(spread, FLAG_TOP);
    w->upper = flagged(spread, FLAG_UPPER);
    w->lower = flagged(spread, FLAG_LOWER);
    w->letter = flagged(spread, FLAG_LETTER);
    w->mark = flagged(spread, FLAG_MARK);
    w->number = flagged(spread, FLAG_NUMBER);
    w->punct = flagged(spread, FLAG_PUNCT);
    w->space = flagged(spread, FLAG_SPACE);
    w->newline = top & ~high;
    w->han = top & high;
    w->high = high;
}

/* ---- blocks ---- */

INLINE void block(const uint8_t *p, before *b, pm_class_word *w) {
    __m512i v = _mm512_loadu_si512(p);
    uint64_t high = _mm512_movepi8_mask(v);
    __m512i flags = _mm512_maskz_permutex2var_epi8(~high, _mm512_load_si512(pm_ascii_flags), v,
                                                   _mm512_load_si512(pm_ascii_flags + 64));

    w->blank = equal(v, ' ');
    w->apostrophe = equal(v, '\'');
    w->slash = equal(v, '/');
    if (high) {
        other_block(p, v, flags, high, b, w);
        return;
    }
    b->two = b->three = b->four = b->cjk = 0;
    w->upper = flagged(flags, FLAG_UPPER);
    w->lower = flagged(flags, FLAG_LOWER);
    w->number = flagged(flags, FLAG_NUMBER);
    w->punct = flagged(flags, FLAG_PUNCT);
    w->space = flagged(flags, FLAG_SPACE);
    w->newline = flagged(flags, FLAG_TOP);
    w->letter = w->mark = w->han = w->cjk = w->high = w->inside = 0;
}

TARGET void pm_classes_avx512(const uint8_t *text, size_t len, size_t readable, pm_class_word *words) {
    before b = {_mm512_setzero_si512(), 0, 0, 0, 0};
    uint8_t padded[128];

    for (size_t at = 0; at < len; at += 64) {
        block(pm_block_at(text + at, readable - at, padded), &b, words);
        if (len - at < 64) {
            pm_class_word_keep(words, (unsigned)(len - at));
        }
        words++;
    }
}
#endif
