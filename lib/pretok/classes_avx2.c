/* classes_avx2.c - class bitmaps with AVX2; the idea is in classes_block.h.
 *
 * A block is two registers, a set of its bytes another two: FF for a byte in it, 00 for one that is not. ASCII needs no
 * table: a range of bytes is an addition, which moves its end to 7F, and a signed comparison. Look-ups are of 16 bytes
 * (vpshufb), so a row of 64 is four look-ups, of which bits 4 and 5 of the index choose. */
#include "pretok/classes_block.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET PM_TARGET_AVX2
#define INLINE PM_TARGET_AVX2 static inline __attribute__((always_inline))

/* ---- small words, on 64 bytes ---- */

typedef struct bytes {
    __m256i a, b;
} bytes;

INLINE __m256i all(unsigned byte) { return _mm256_set1_epi8((char)byte); }
INLINE bytes load(const uint8_t *p) {
    return (bytes){_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)(p + 32))};
}
INLINE bytes both(bytes x, bytes y) { return (bytes){_mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b)}; }
INLINE bytes either(bytes x, bytes y) { return (bytes){_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)}; }
INLINE bytes without(bytes x, bytes y) { return (bytes){_mm256_andnot_si256(y.a, x.a), _mm256_andnot_si256(y.b, x.b)}; }
INLINE bytes equal(bytes x, unsigned byte) {
    return (bytes){_mm256_cmpeq_epi8(x.a, all(byte)), _mm256_cmpeq_epi8(x.b, all(byte))};
}
/* As signed numbers: 80..FF are below 00..7F. */
INLINE bytes above(bytes x, unsigned byte) {
    return (bytes){_mm256_cmpgt_epi8(x.a, all(byte)), _mm256_cmpgt_epi8(x.b, all(byte))};
}
INLINE bytes below(bytes x, unsigned byte) {
    return (bytes){_mm256_cmpgt_epi8(all(byte), x.a), _mm256_cmpgt_epi8(all(byte), x.b)};
}
INLINE bytes plus(bytes x, unsigned byte) {
    return (bytes){_mm256_add_epi8(x.a, all(byte)), _mm256_add_epi8(x.b, all(byte))};
}
/* first..last, at most 128 of them. */
INLINE bytes range(bytes x, unsigned first, unsigned last) {
    return above(plus(x, 0x7F - last), 0x7F - (last - first + 1));
}
/* Bit 7 - n of each byte as its bit 7; the others are anything. */
INLINE bytes raised(bytes x, int n) { return (bytes){_mm256_slli_epi16(x.a, n), _mm256_slli_epi16(x.b, n)}; }
/* x where the top bit of `which` is 0, y where it is 1. */
INLINE bytes choose(bytes x, bytes y, bytes which) {
    return (bytes){_mm256_blendv_epi8(x.a, y.a, which.a), _mm256_blendv_epi8(x.b, y.b, which.b)};
}
INLINE bytes constant(unsigned byte) { return (bytes){all(byte), all(byte)}; }
INLINE bytes continues(bytes x) { return below(x, 0xC0); }
INLINE uint64_t mask(bytes x) { /* of the top bits */
    return (uint32_t)_mm256_movemask_epi8(x.a) | (uint64_t)(uint32_t)_mm256_movemask_epi8(x.b) << 32;
}
INLINE uint64_t bit(bytes x, int n) { return mask(raised(x, 7 - n)); }

/* x moved up by n bytes, behind the last bytes of `before`. */
#define MOVED(x, before, n)                                                                                            \
    (bytes) {                                                                                                          \
        _mm256_alignr_epi8((x).a, _mm256_permute2x128_si256((before), (x).a, 0x21), 16 - (n)),                         \
            _mm256_alignr_epi8((x).b, _mm256_permute2x128_si256((x).a, (x).b, 0x21), 16 - (n))                         \
    }

/* ---- characters beyond ASCII ---- */

/* What the block before leaves: flags of its first bytes of characters of two or more, three or more, four bytes (the
 * second register's), and the same as masks. */
typedef struct before {
    __m256i flags_two, flags_three, flags_four;
    uint64_t two, three, four;
    uint64_t cjk; /* begin a character of the range */
} before;

/* The characters of a block: which begin here, by length, and the class numbers found so far. */
typedef struct found {
    bytes codes, two, three, four; /* of exactly that length */
    uint64_t cjk;
} found;

/* What a byte says as the index in a row: the low four bits, and bits 4 and 5 as top bits. */
typedef struct place {
    bytes low, bit4, bit5;
} place;

INLINE place place_of(bytes last) { return (place){both(last, constant(0x0F)), raised(last, 3), raised(last, 2)}; }

INLINE bytes look_up_16(const uint8_t *table, bytes index) {
    __m256i t = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
    return (bytes){_mm256_shuffle_epi8(t, index.a), _mm256_shuffle_epi8(t, index.b)};
}

/* Looks up the characters in `which` in one row. */
INLINE bytes look_up(bytes codes, bytes which, const uint8_t *row, const place *at) {
    bytes low = choose(look_up_16(row, at->low), look_up_16(row + 16, at->low), at->bit4);
    bytes high = choose(look_up_16(row + 32, at->low), look_up_16(row + 48, at->low), at->bit4);
    return choose(codes, choose(low, high, at->bit5), which);
}

INLINE const uint8_t *row_of(uint32_t cp) { return pm_rows_of(cp) + (cp & 64); }

/* Characters of two bytes; `rest` are their first bytes. */
INLINE void find_two(const uint8_t *p, bytes v, bytes v1, uint64_t rest, found *f) {
    place at = place_of(v1);

    while (rest) {
        unsigned first = p[__builtin_ctzll(rest)];
        bytes same = both(f->two, equal(v, first));
        f->codes = look_up(f->codes, same, row_of((first & 0x1F) << 6), &at);
        rest &= ~mask(same);
    }
}

/* Characters of three bytes. */
INLINE void find_three(const uint8_t *p, bytes v, bytes v1, bytes v2, found *f) {
    bytes e3 = both(f->three, equal(v, 0xE3)), e9 = equal(v, 0xE9);
    bytes same = either(range(v, 0xE5, 0xE8), both(equal(v, 0xE4), above(v1, 0xB7)));
    same = both(f->three, either(same, both(e9, below(v1, 0xBE))));
    f->codes = choose(f->codes, constant(CODE_IDEOGRAPH), same);
    f->cjk = mask(either(same, both(e3, range(v1, 0x81, 0x83))));
    uint64_t rest = mask(without(f->three, same));
    place at = place_of(v2);
    same = both(e3, equal(v1, 0x80));
    f->codes = look_up(f->codes, same, row_of(0x3000), &at);
    rest &= ~mask(same);
    same = both(f->three, both(equal(v, 0xEF), equal(v1, 0xBC)));
    f->codes = look_up(f->codes, same, row_of(0xFF00), &at);
    rest &= ~mask(same);
    if (!rest) {
        return;
    }
    same = either(range(v, 0xEB, 0xEC),
                  either(both(equal(v, 0xEA), above(v1, 0xAF)), both(equal(v, 0xED), below(v1, 0x9E))));
    same = both(f->three, same);
    f->codes = choose(f->codes, constant(CODE_LETTER), same);
    rest &= ~mask(same);
    while (rest) {
        const uint8_t *q = p + __builtin_ctzll(rest);
        unsigned a = q[0], b = q[1];
        same = both(f->three, both(equal(v, a), equal(v1, b)));
        f->codes = look_up(f->codes, same, row_of((a & 0x0F) << 12 | (b & 0x3F) << 6), &at);
        if (a == 0xE9 && b == 0xBE) { /* U+9F80..U+9FBF: the range ends within it */
            f->cjk |= mask(both(same, below(v2, 0xA6)));
        }
        rest &= ~mask(same);
    }
}

/* Characters of four bytes; `first` are the bytes F0..F4. */
TARGET static __attribute__((noinline)) void find_four(const uint8_t *p, bytes first, found *f) {
    bytes v = load(p), v1 = load(p + 1), v2 = load(p + 2), v3 = load(p + 3), low = below(v1, 0x90);
    place at = place_of(v3);
    bytes four = both(both(first, continues(v1)), both(continues(v2), continues(v3)));

    four = without(four, both(equal(v, 0xF0), low));
    f->four = four = without(four, without(equal(v, 0xF4), low));
    for (uint64_t rest = mask(four); rest;) {
        const uint8_t *q = p + __builtin_ctzll(rest);
        unsigned a = q[0], b = q[1], c = q[2];
        bytes same = both(both(four, equal(v, a)), both(equal(v1, b), equal(v2, c)));
        f->codes = look_up(f->codes, same, row_of((a & 7) << 18 | (b & 0x3F) << 12 | (c & 0x3F) << 6), &at);
        rest &= ~mask(same);
    }
}

/* Finds all. `b` and the word get what follows from the lengths. */
INLINE void find(const uint8_t *p, bytes v, found *f, uint64_t *bad, before *b, pm_class_word *w) {
    bytes v1 = load(p + 1), v2 = load(p + 2), second = continues(v1);
    bytes ill = choose(equal(v, 0xE0), equal(v, 0xED), raised(v1, 2)); /* E0 before 80..9F, ED before A0..BF */
    bytes f0 = range(v, 0xF0, 0xF4);

    f->two = both(range(v, 0xC2, 0xDF), second);
    f->three = both(both(range(v, 0xE0, 0xEF), without(second, ill)), continues(v2));
    f->codes = constant(CODE_OTHER);
    f->cjk = 0;
    uint64_t two = mask(f->two), three = mask(f->three), four = 0;
    if (two) {
        find_two(p, v, v1, two, f);
    }
    if (three) {
        find_three(p, v, v1, v2, f);
    }
    f->four = constant(0);
    if (mask(f0)) {
        find_four(p, f0, f);
        four = mask(f->four);
    }
    three |= four; /* from here on: of at least that length */
    two |= three;
    f->three = either(f->three, f->four);
    f->two = either(f->two, f->three);
    w->inside = two << 1 | b->two >> 63 | three << 2 | b->three >> 62 | four << 3 | b->four >> 61;
    w->cjk = f->cjk | f->cjk << 1 | f->cjk << 2 | b->cjk >> 63 | b->cjk >> 62;
    *bad = w->high & ~two & ~w->inside;
    b->two = two;
    b->three = three;
    b->four = four;
    b->cjk = f->cjk;
}

/* Adds, to a word that has its ASCII, the other characters. */
INLINE void other_block(const uint8_t *p, bytes v, before *b, pm_class_word *w) {
    static const uint8_t flags_by_code[16] = {FLAGS_BY_CODE(0)};
    found f;
    uint64_t bad;

    find(p, v, &f, &bad, b, w);
    bytes flags = either(look_up_16(flags_by_code, f.codes), both(raised(f.codes, 3), constant(FLAG_TOP)));
    bytes two = both(flags, f.two), three = both(flags, f.three);
    bytes spread = either(either(two, MOVED(two, b->flags_two, 1)), MOVED(three, b->flags_three, 2));
    bytes four = both(flags, f.four);
    spread = either(spread, MOVED(four, b->flags_four, 3));
    b->flags_two = two.b;
    b->flags_three = three.b;
    b->flags_four = four.b;
    w->upper |= bit(spread, 0);
    w->lower |= bit(spread, 1);
    w->letter = bit(spread, 2);
    w->mark = bit(spread, 3);
    w->number |= bit(spread, 4);
    w->punct |= bit(spread, 5) | bad;
    w->space |= bit(spread, 6);
    w->han = mask(spread);
}

/* ---- blocks ---- */

INLINE void block(const uint8_t *p, before *b, pm_class_word *w) {
    bytes v = load(p);
    uint64_t alpha = mask(range(either(v, constant(0x20)), 'a', 'z'));
    uint64_t small = bit(v, 5);
    uint64_t newline = mask(either(equal(v, '\n'), equal(v, '\r')));

    w->upper = alpha & ~small;
    w->lower = alpha & small;
    w->number = mask(range(v, '0', '9'));
    w->punct = mask(range(v, '!', '~')) & ~alpha & ~w->number;
    w->blank = mask(equal(v, ' '));
    w->space = w->blank | (mask(range(v, '\t', '\r')) & ~newline);
    w->newline = newline;
    w->apostrophe = mask(equal(v, '\''));
    w->slash = mask(equal(v, '/'));
    w->high = mask(v);
    if (w->high) {
        other_block(p, v, b, w);
        return;
    }
    w->letter = w->mark = w->han = w->cjk = w->inside = 0;
    *b = (before){_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), 0, 0, 0, 0};
}

TARGET void pm_classes_avx2(const uint8_t *text, size_t len, size_t readable, pm_class_word *words) {
    before b = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), 0, 0, 0, 0};
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
