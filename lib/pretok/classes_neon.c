/* classes_neon.c - class bitmaps with NEON (64-bit ARM); the idea is in classes_block.h.
 *
 * A block is four registers, a set of its bytes another four: FF for a byte in it, 00 for one that is not. Tables of 64
 * bytes are looked up at once (vqtbl4q), and an index from 64 on gives 0: so `byte ^ 0x80` looks up bytes 80..BF only,
 * and `byte ^ 0xC0` bytes C0..FF. */
#include "pretok/classes_block.h"

#ifdef PM_HAVE_NEON
#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))

/* ---- small words, on 64 bytes ---- */

typedef struct bytes {
    uint8x16_t v[4];
} bytes;

/* Returns the four values of an expression in i. */
#define EACH(expression)                                                                                               \
    bytes each;                                                                                                        \
    _Pragma("GCC unroll 4") for (unsigned i = 0; i < 4; i++) { each.v[i] = (expression); }                             \
    return each

INLINE bytes load(const uint8_t *p) { EACH(vld1q_u8(p + 16 * i)); }
INLINE bytes constant(unsigned byte) { EACH(vdupq_n_u8((uint8_t)byte)); }
INLINE bytes both(bytes x, bytes y) { EACH(vandq_u8(x.v[i], y.v[i])); }
INLINE bytes either(bytes x, bytes y) { EACH(vorrq_u8(x.v[i], y.v[i])); }
INLINE bytes without(bytes x, bytes y) { EACH(vbicq_u8(x.v[i], y.v[i])); }
INLINE bytes equal(bytes x, unsigned byte) { EACH(vceqq_u8(x.v[i], vdupq_n_u8((uint8_t)byte))); }
INLINE bytes from(bytes x, unsigned byte) { EACH(vcgeq_u8(x.v[i], vdupq_n_u8((uint8_t)byte))); }
INLINE bytes below(bytes x, unsigned byte) { EACH(vcltq_u8(x.v[i], vdupq_n_u8((uint8_t)byte))); }
INLINE bytes flipped(bytes x, unsigned bits) { EACH(veorq_u8(x.v[i], vdupq_n_u8((uint8_t)bits))); }
INLINE bytes common(bytes x, bytes y) { EACH(vtstq_u8(x.v[i], y.v[i])); } /* have they a bit in common? */
INLINE bytes flagged(bytes x, unsigned bits) { return common(x, constant(bits)); }
INLINE bytes choose(bytes x, bytes y, bytes which) { EACH(vbslq_u8(which.v[i], y.v[i], x.v[i])); }

/* The lowest bit from each byte of a set. */
INLINE uint64_t mask(bytes set) {
    const uint8x16_t weights = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    bytes x;
#pragma GCC unroll 4
    for (unsigned i = 0; i < 4; i++) {
        x.v[i] = vandq_u8(set.v[i], weights);
    }
    uint8x16_t sums = vpaddq_u8(vpaddq_u8(x.v[0], x.v[1]), vpaddq_u8(x.v[2], x.v[3]));
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)), 0);
}

INLINE bytes look_up_64(const uint8_t *table, bytes index) {
    const uint8x16x4_t t = {{vld1q_u8(table), vld1q_u8(table + 16), vld1q_u8(table + 32), vld1q_u8(table + 48)}};
    EACH(vqtbl4q_u8(t, index.v[i]));
}

/* x moved up by n bytes, behind the last bytes of `before`. */
#define MOVED(x, before, n)                                                                                            \
    (bytes) {                                                                                                          \
        {                                                                                                              \
            vextq_u8((before), (x).v[0], 16 - (n)), vextq_u8((x).v[0], (x).v[1], 16 - (n)),                            \
                vextq_u8((x).v[1], (x).v[2], 16 - (n)), vextq_u8((x).v[2], (x).v[3], 16 - (n))                         \
        }                                                                                                              \
    }

/* ---- characters beyond ASCII ---- */

/* What the block before leaves: the last register of the flags of its first bytes of characters of two or more, three
 * or more, four bytes, and which of its bytes are those. */
typedef struct before {
    uint8x16_t flags_two, flags_three, flags_four;
    uint64_t two, three, four;
    uint64_t cjk; /* begin a character of the range */
} before;

/* The characters of a block: which begin here, by length, and the class numbers found so far. */
typedef struct found {
    bytes codes, two, three, four; /* of exactly that length */
    uint64_t cjk;
} found;

INLINE const uint8_t *row_of(uint32_t cp) { return pm_rows_of(cp) + (cp & 64); }

/* Looks up the characters in `which` in one row; `last` are their last bytes without the top bit. */
INLINE bytes look_up(bytes codes, bytes which, const uint8_t *row, bytes last) {
    return choose(codes, look_up_64(row, last), which);
}

/* Characters of two bytes; `rest` are their first bytes. */
INLINE void find_two(const uint8_t *p, bytes v, bytes v1, uint64_t rest, found *f) {
    bytes last = flipped(v1, 0x80);

    while (rest) {
        unsigned first = p[__builtin_ctzll(rest)];
        bytes same = both(f->two, equal(v, first));
        f->codes = look_up(f->codes, same, row_of((first & 0x1F) << 6), last);
        rest &= ~mask(same);
    }
}

/* Characters of three bytes; `first` are the bytes from C0 on as they are looked up, `second` what the next can be. */
INLINE void find_three(const uint8_t *p, bytes v, bytes v1, bytes v2, bytes first, bytes second, found *f) {
    bytes e3 = both(f->three, equal(v, 0xE3));
    bytes same = both(f->three, common(look_up_64(pm_ideographs, first), second));
    f->codes = choose(f->codes, constant(CODE_IDEOGRAPH), same);
    f->cjk = mask(either(same, both(e3, flagged(second, FROM_81_TO_83))));
    uint64_t rest = mask(without(f->three, same));
    bytes last = flipped(v2, 0x80);
    same = both(e3, equal(v1, 0x80));
    f->codes = look_up(f->codes, same, row_of(0x3000), last);
    rest &= ~mask(same);
    same = both(f->three, both(equal(v, 0xEF), equal(v1, 0xBC)));
    f->codes = look_up(f->codes, same, row_of(0xFF00), last);
    rest &= ~mask(same);
    if (!rest) {
        return;
    }
    same = both(f->three, common(look_up_64(pm_hangul, first), second));
    f->codes = choose(f->codes, constant(CODE_LETTER), same);
    rest &= ~mask(same);
    while (rest) {
        const uint8_t *q = p + __builtin_ctzll(rest);
        unsigned a = q[0], b = q[1];
        same = both(f->three, both(equal(v, a), equal(v1, b)));
        f->codes = look_up(f->codes, same, row_of((a & 0x0F) << 12 | (b & 0x3F) << 6), last);
        if (a == 0xE9 && b == 0xBE) { /* U+9F80..U+9FBF: the range ends within it */
            f->cjk |= mask(both(same, below(v2, 0xA6)));
        }
        rest &= ~mask(same);
    }
}

INLINE bytes continues(bytes x) { return below(flipped(x, 0x80), 0x40); }

/* Characters of four bytes; `first` are the bytes F0..F4. */
static __attribute__((noinline)) void find_four(const uint8_t *p, bytes first, found *f) {
    bytes v = load(p), v1 = load(p + 1), v2 = load(p + 2), v3 = load(p + 3), low = below(v1, 0x90);
    bytes last = flipped(v3, 0x80), four = both(both(first, continues(v1)), both(continues(v2), continues(v3)));

    four = without(four, both(equal(v, 0xF0), low));
    f->four = four = without(four, without(equal(v, 0xF4), low));
    for (uint64_t rest = mask(four); rest;) {
        const uint8_t *q = p + __builtin_ctzll(rest);
        unsigned a = q[0], b = q[1], c = q[2];
        bytes same = both(both(four, equal(v, a)), both(equal(v1, b), equal(v2, c)));
        f->codes = look_up(f->codes, same, row_of((a & 7) << 18 | (b & 0x3F) << 12 | (c & 0x3F) << 6), last);
        rest &= ~mask(same);
    }
}

/* Finds all. `b` and the word get what follows from the lengths. */
INLINE void find(const uint8_t *p, bytes v, found *f, uint64_t *bad, before *b, pm_class_word *w) {
    bytes v1 = load(p + 1), v2 = load(p + 2), first = flipped(v, 0xC0), e0 = from(v, 0xE0);
    bytes second = look_up_64(pm_seconds, flipped(v1, 0x80));
    bytes formed = common(look_up_64(pm_well_formed, first), second);
    bytes f0 = both(from(v, 0xF0), below(v, 0xF5));

    f->two = without(formed, e0);
    f->three = both(both(formed, e0), continues(v2));
    f->codes = constant(CODE_OTHER);
    f->cjk = 0;
    uint64_t two = mask(f->two), three = mask(f->three), four = 0;
    if (two) {
        find_two(p, v, v1, two, f);
    }
    if (three) {
        find_three(p, v, v1, v2, first, second, f);
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
    static const uint8_t flags_by_code[64] PM_BLOCK_TABLE = {FLAGS_BY_CODE(0), FLAGS_BY_CODE(FLAG_TOP)};
    found f;
    uint64_t bad;

    find(p, v, &f, &bad, b, w);
    bytes flags = look_up_64(flags_by_code, f.codes);
    bytes two = both(flags, f.two), three = both(flags, f.three), four = both(flags, f.four);
    bytes spread = either(either(two, MOVED(two, b->flags_two, 1)),
                          either(MOVED(three, b->flags_three, 2), MOVED(four, b->flags_four, 3)));
    b->flags_two = two.v[3];
    b->flags_three = three.v[3];
    b->flags_four = four.v[3];
    w->upper |= mask(flagged(spread, FLAG_UPPER));
    w->lower |= mask(flagged(spread, FLAG_LOWER));
    w->letter = mask(flagged(spread, FLAG_LETTER));
    w->mark = mask(flagged(spread, FLAG_MARK));
    w->number |= mask(flagged(spread, FLAG_NUMBER));
    w->punct |= mask(flagged(spread, FLAG_PUNCT)) | bad;
    w->space |= mask(flagged(spread, FLAG_SPACE));
    w->han = mask(flagged(spread, FLAG_TOP));
}

/* ---- blocks ---- */

INLINE void block(const uint8_t *p, before *b, pm_class_word *w) {
    bytes v = load(p);
    bytes flags = either(look_up_64(pm_ascii_flags, v), look_up_64(pm_ascii_flags + 64, flipped(v, 0x40)));

    w->upper = mask(flagged(flags, FLAG_UPPER));
    w->lower = mask(flagged(flags, FLAG_LOWER));
    w->number = mask(flagged(flags, FLAG_NUMBER));
    w->punct = mask(flagged(flags, FLAG_PUNCT));
    w->space = mask(flagged(flags, FLAG_SPACE));
    w->newline = mask(flagged(flags, FLAG_TOP));
    w->blank = mask(equal(v, ' '));
    w->apostrophe = mask(equal(v, '\''));
    w->slash = mask(equal(v, '/'));
    w->high = mask(from(v, 0x80));
    if (w->high) {
        other_block(p, v, b, w);
        return;
    }
    w->letter = w->mark = w->han = w->cjk = w->inside = 0;
    *b = (before){vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0), 0, 0, 0, 0};
}

void pm_classes_neon(const uint8_t *text, size_t len, size_t readable, pm_class_word *words) {
    before b = {vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0), 0, 0, 0, 0};
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
