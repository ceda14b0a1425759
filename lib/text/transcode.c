/* transcode.c - Latin-1, UCS-2, UTF-16 and UTF-32 to UTF-8, at some bytes a cycle.
 *
 * Strings of Python, Java, JavaScript, .NET lie in memory as units of 8, 16 or 32 bits. They are converted right before they are
 * encoded, a document at a time, so what counts is the rate from cache to cache.
 *
 * A character of L bytes has its 6-bit groups moved to the top of a 24-bit number, whatever L is; then the bytes are in fixed places
 * and all four are made alike. With x = code point << 6 * (4 - L):
 *
 *     byte 0 = lead(L) | x >> 18      lead: 00 C0 E0 F0           U+4E2D, L = 3:  x = 4E2D << 6
 *     byte 1 = 80 | (x >> 12 & 3F)                                bytes E4 B8 AD (80): the first 3 count
 *     byte 2 = 80 | (x >> 6 & 3F)
 *     byte 3 = 80 | (x & 3F)
 *
 * L is 1 plus the number of the bounds 80, 800, 10000 that the code point reaches, so masks of three comparisons give the shift, the lead
 * and the bytes that count. (AVX-512 needs no x: one of its instructions takes each byte from any bit of its word.) A vector of 4, 8 or 16
 * such characters is closed up: AVX-512 has an instruction for it; AVX2 and NEON take two characters (8 bytes) at a time and look a shuffle up
 * by their two lengths, 16 of them. Blocks of ASCII alone are narrowed.
 *
 * A fast way takes blocks of 16 units as long as the widest result of one fits into the output, and stops before a block with a surrogate or a
 * number above 10FFFF; up to 16 units then go one at a time with every check, which is also how the last few go. So pairs of UTF-16, errors
 * and ends are handled in one place.
 *
 * Cost on Chinese: AVX-512 about 1 cycle a unit, AVX2 2.5, portable 4; on ASCII in wide units 0.3, 0.6, 1.5. */
#include "text/transcode.h"

#include <string.h>

#include "text/utf8.h"

enum { BLOCK = 16, BLOCK_BYTES = 4 * BLOCK };

/* What is left of a conversion. */
typedef struct run {
    const uint8_t *in;
    size_t n; /* units */
    uint8_t *out;
    size_t room;
} run;

typedef void (*fast_fn)(run *r);

static unsigned width_of(pm_text_form form) { return form == PM_TEXT_UTF32 ? 4 : form == PM_TEXT_LATIN1 ? 1 : 2; }

static inline void advance(run *r, unsigned width, size_t units, size_t bytes) {
    r->in += units * width;
    r->n -= units;
    r->out += bytes;
    r->room -= bytes;
}

static inline bool has_block(const run *r) { return r->n >= BLOCK && r->room >= BLOCK_BYTES; }

static inline uint32_t unit_at(const uint8_t *in, unsigned width, size_t i) {
    uint16_t two;
    uint32_t four;
    if (width == 1) {
        return in[i];
    }
    if (width == 2) {
        memcpy(&two, in + 2 * i, 2);
        return two;
    }
    memcpy(&four, in + 4 * i, 4);
    return four;
}

static inline bool is_surrogate(uint32_t c) { return (c & UINT32_C(0xFFFFF800)) == 0xD800; }

/* ---------------------------------------------------------------- one unit at a time ---- */

/* The character at r->in and its units; false: bad. */
static inline bool read_character(const run *r, pm_text_form form, uint32_t *c, unsigned *units) {
    unsigned width = width_of(form);
    *c = unit_at(r->in, width, 0);
    *units = 1;
    if (!is_surrogate(*c)) {
        return *c <= 0x10FFFF;
    }
    if (form != PM_TEXT_UTF16 || *c >= 0xDC00 || r->n < 2) {
        return false;
    }
    uint32_t low = unit_at(r->in, width, 1);
    if (low < 0xDC00 || !is_surrogate(low)) {
        return false;
    }
    *c = 0x10000 + ((*c - 0xD800) << 10) + (low - 0xDC00);
    *units = 2;
    return true;
}

/* Up to `most` characters. False: it stopped at a bad one (*bad) or at one that does not fit. */
static bool take_slowly(run *r, pm_text_form form, size_t most, bool *bad) {
    for (; r->n && most; most--) {
        uint32_t c;
        unsigned units;
        uint8_t bytes[4];
        if (!read_character(r, form, &c, &units)) {
            *bad = true;
            return false;
        }
        unsigned len = pm_utf8_write(c, bytes);
        if (len > r->room) {
            return false;
        }
        memcpy(r->out, bytes, len);
        advance(r, width_of(form), units, len);
    }
    return true;
}

/* ---------------------------------------------------------------- portable ---- */

/* One character that is no surrogate into room for four bytes; its length. Constant lengths of copying keep this a few stores. */
static inline unsigned put(uint8_t *out, uint32_t c) {
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    return pm_utf8_write(c, out);
}

/* Whether a word of units that are all below 80 hex begins at `in`. */
static inline bool is_ascii_word(const uint8_t *in, unsigned width) {
    static const uint64_t above[] = {0, UINT64_C(0x8080808080808080), UINT64_C(0xFF80FF80FF80FF80), 0, UINT64_C(0xFFFFFF80FFFFFF80)};
    uint64_t word;
    memcpy(&word, in, 8);
    return (word & above[width]) == 0;
}

static inline __attribute__((always_inline)) void portable(run *r, unsigned width) {
    size_t step = 8 / width;
    while (has_block(r)) {
        size_t i = 0;
        uint8_t *out = r->out;
        while (i + step <= BLOCK && is_ascii_word(r->in + i * width, width)) {
            for (size_t k = 0; k < step; k++) {
                *out++ = (uint8_t)unit_at(r->in, width, i++);
            }
        }
        for (; i < BLOCK; i++) {
            uint32_t c = unit_at(r->in, width, i);
            if (is_surrogate(c) || c > 0x10FFFF) {
                advance(r, width, i, (size_t)(out - r->out));
                return;
            }
            out += put(out, c);
        }
        advance(r, width, BLOCK, (size_t)(out - r->out));
    }
}

static void portable1(run *r) { portable(r, 1); }
static void portable2(run *r) { portable(r, 2); }
static void portable4(run *r) { portable(r, 4); }

/* ---------------------------------------------------------------- closing up two characters ---- */

#if defined(__x86_64__) || defined(PM_HAVE_NEON)
/* Row L0 - 1 | (L1 - 1) << 2: where the bytes of two characters in 4 bytes each come from. */
static const uint8_t close_up[16][8] = {
    {0, 4},       {0, 1, 4},       {0, 1, 2, 4},       {0, 1, 2, 3, 4},       /* L1 = 1 */
    {0, 4, 5},    {0, 1, 4, 5},    {0, 1, 2, 4, 5},    {0, 1, 2, 3, 4, 5},    /* 2 */
    {0, 4, 5, 6}, {0, 1, 4, 5, 6}, {0, 1, 2, 4, 5, 6}, {0, 1, 2, 3, 4, 5, 6}, /* 3 */
    {0, 4, 5, 6, 7}, {0, 1, 4, 5, 6, 7}, {0, 1, 2, 4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7},
};
static inline size_t closed_length(uint64_t row) { return 2 + (row & 3) + (row >> 2); }
#endif

#if defined(__x86_64__)
#include <immintrin.h>

/* ---------------------------------------------------------------- AVX2 ---- */

#define AVX2_INLINE static inline __attribute__((always_inline)) PM_TARGET_AVX2

AVX2_INLINE __m256i load8(const uint8_t *in, unsigned width) {
    return width == 1   ? _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)in))
           : width == 2 ? _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)in))
                        : _mm256_loadu_si256((const __m256i *)in);
}

/* What the three comparisons say of 8 characters: masks. */
typedef struct reached8 {
    __m256i two, three, four;
} reached8;

AVX2_INLINE reached8 reach8(__m256i c) {
    return (reached8){_mm256_cmpgt_epi32(c, _mm256_set1_epi32(0x7F)), _mm256_cmpgt_epi32(c, _mm256_set1_epi32(0x7FF)),
                      _mm256_cmpgt_epi32(c, _mm256_set1_epi32(0xFFFF))};
}

AVX2_INLINE __m256i group8(__m256i x, int shift) { return _mm256_and_si256(_mm256_srli_epi32(x, shift), _mm256_set1_epi32(0x3F)); }

/* The four bytes of each character; `more` is minus the number of those that count behind the first. */
AVX2_INLINE __m256i spread8(__m256i c, reached8 r, __m256i more, unsigned width) {
    __m256i six = _mm256_add_epi32(_mm256_slli_epi32(more, 2), _mm256_slli_epi32(more, 1));
    __m256i x = _mm256_sllv_epi32(c, _mm256_add_epi32(_mm256_set1_epi32(18), six));
    __m256i lead = _mm256_or_si256(_mm256_and_si256(r.two, _mm256_set1_epi32(0xC0)), _mm256_and_si256(r.three, _mm256_set1_epi32(0x20)));
    lead = width > 2 ? _mm256_or_si256(lead, _mm256_and_si256(r.four, _mm256_set1_epi32(0x10))) : lead;
    __m256i low = _mm256_or_si256(_mm256_srli_epi32(x, 18), _mm256_slli_epi32(group8(x, 12), 8));
    __m256i high = _mm256_or_si256(_mm256_slli_epi32(group8(x, 6), 16), _mm256_slli_epi32(x, 24));
    high = _mm256_and_si256(high, _mm256_set1_epi32(0x3FFF0000));
    return _mm256_or_si256(_mm256_or_si256(lead, _mm256_set1_epi32((int)0x80808000)), _mm256_or_si256(low, high));
}

/* Whether one of 8 is a surrogate or (signed: also from 2^31 on) above 10FFFF. */
AVX2_INLINE bool any_bad8(__m256i c, unsigned width) {
    __m256i bad = _mm256_cmpeq_epi32(_mm256_and_si256(c, _mm256_set1_epi32(~0x7FF)), _mm256_set1_epi32(0xD800));
    if (width == 4) {
        bad = _mm256_or_si256(bad, _mm256_cmpgt_epi32(c, _mm256_set1_epi32(0x10FFFF)));
        bad = _mm256_or_si256(bad, c);
    }
    return width > 1 && _mm256_movemask_ps(_mm256_castsi256_ps(bad)) != 0;
}

AVX2_INLINE void put_pair(run *r, __m128i pair, uint64_t row) {
    __m128i order = _mm_loadl_epi64((const __m128i *)close_up[row]);
    _mm_storel_epi64((__m128i *)r->out, _mm_shuffle_epi8(pair, order));
    r->out += closed_length(row);
}

AVX2_INLINE void put_half(run *r, __m128i bytes, __m128i rows) {
    put_pair(r, bytes, (uint64_t)_mm_cvtsi128_si64(rows));
    put_pair(r, _mm_unpackhi_epi64(bytes, bytes), (uint64_t)_mm_extract_epi64(rows, 1));
}

/* All 8 have three bytes. */
AVX2_INLINE void put_threes(run *r, __m256i bytes) {
    const __m256i order = _mm256_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1, 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1,
                                           -1, -1, -1);
    __m256i closed = _mm256_shuffle_epi8(bytes, order);
    _mm_storeu_si128((__m128i *)r->out, _mm256_castsi256_si128(closed));
    _mm_storeu_si128((__m128i *)(r->out + 12), _mm256_extracti128_si256(closed, 1));
    r->out += 24;
}

/* 8 characters; false: one of them is bad and nothing was done. */
AVX2_INLINE bool take8(run *r, const uint8_t *in, unsigned width) {
    __m256i c = load8(in, width);
    reached8 reached = reach8(c);
    if (any_bad8(c, width)) {
        return false;
    }
    if (_mm256_testz_si256(reached.two, reached.two)) {
        __m256i packed = _mm256_packus_epi16(_mm256_packus_epi32(c, c), c);
        uint32_t low = (uint32_t)_mm256_extract_epi32(packed, 0), high = (uint32_t)_mm256_extract_epi32(packed, 4);
        memcpy(r->out, &low, 4);
        memcpy(r->out + 4, &high, 4);
        r->out += 8;
        return true;
    }
    __m256i more = _mm256_add_epi32(reached.two, reached.three);
    more = width > 2 ? _mm256_add_epi32(more, reached.four) : more;
    __m256i bytes = spread8(c, reached, more, width);
    if (width > 1 && _mm256_movemask_epi8(_mm256_cmpeq_epi32(more, _mm256_set1_epi32(-2))) == -1) {
        put_threes(r, bytes);
        return true;
    }
    __m256i len = _mm256_sub_epi32(_mm256_setzero_si256(), more);
    __m256i rows = _mm256_and_si256(_mm256_or_si256(len, _mm256_srli_epi64(len, 30)), _mm256_set1_epi64x(15));
    put_half(r, _mm256_castsi256_si128(bytes), _mm256_castsi256_si128(rows));
    put_half(r, _mm256_extracti128_si256(bytes, 1), _mm256_extracti128_si256(rows, 1));
    return true;
}

AVX2_INLINE void avx2(run *rest, unsigned width) {
    run r = *rest; /* in registers */
    size_t taken = BLOCK;
    while (has_block(&r) && taken == BLOCK) {
        uint8_t *before = r.out;
        taken = take8(&r, r.in, width) ? take8(&r, r.in + 8 * width, width) ? 16 : 8 : 0;
        size_t bytes = (size_t)(r.out - before);
        r.out = before;
        advance(&r, width, taken, bytes);
    }
    *rest = r;
}

PM_TARGET_AVX2 static void avx2_1(run *r) { avx2(r, 1); }
PM_TARGET_AVX2 static void avx2_2(run *r) { avx2(r, 2); }
PM_TARGET_AVX2 static void avx2_4(run *r) { avx2(r, 4); }

/* ---------------------------------------------------------------- AVX-512 ---- */

#define AVX512_INLINE static inline __attribute__((always_inline)) PM_TARGET_AVX512

AVX512_INLINE __m512i load16(const uint8_t *in, unsigned width) {
    return width == 1   ? _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)in))
           : width == 2 ? _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)in))
                        : _mm512_loadu_si512(in);
}

AVX512_INLINE bool any_bad16(__m512i c, unsigned width) {
    __mmask16 bad = _mm512_cmpeq_epi32_mask(_mm512_and_si512(c, _mm512_set1_epi32(~0x7FF)), _mm512_set1_epi32(0xD800));
    if (width == 4) {
        bad |= _mm512_cmpgt_epu32_mask(c, _mm512_set1_epi32(0x10FFFF));
    }
    return width > 1 && bad;
}

/* The same four bytes for each of 16 characters. */
AVX512_INLINE __m512i each16(unsigned b0, unsigned b1, unsigned b2, unsigned b3) {
    return _mm512_set1_epi32((int)(b0 | b1 << 8 | b2 << 16 | b3 << 24));
}

/* Closes up 16 characters, some of which are not ASCII; their length. One instruction takes 8 bits at any place of a 64-bit word for each
 * byte; the places go by a character's length, as do what is cleared and what is set in the bytes. */
AVX512_INLINE size_t put16(uint8_t *out, __m512i c, __mmask16 two, unsigned width) {
    const __m512i second = _mm512_set1_epi64((int64_t)UINT64_C(0x2020202000000000)); /* of two in a word: 32 bits on */
    __m512i place = each16(0, 0, 0, 0), clear = each16(0x7F, 0, 0, 0), set = each16(0, 0, 0, 0);
    place = _mm512_mask_mov_epi32(place, two, each16(6, 0, 0, 0));
    clear = _mm512_mask_mov_epi32(clear, two, each16(0x1F, 0x3F, 0, 0));
    set = _mm512_mask_mov_epi32(set, two, each16(0xC0, 0x80, 0, 0));
    if (width > 1) {
        __mmask16 three = _mm512_cmpgt_epu32_mask(c, _mm512_set1_epi32(0x7FF));
        place = _mm512_mask_mov_epi32(place, three, each16(12, 6, 0, 0));
        clear = _mm512_mask_mov_epi32(clear, three, each16(0x0F, 0x3F, 0x3F, 0));
        set = _mm512_mask_mov_epi32(set, three, each16(0xE0, 0x80, 0x80, 0));
    }
    if (width > 2) {
        __mmask16 four = _mm512_cmpgt_epu32_mask(c, _mm512_set1_epi32(0xFFFF));
        place = _mm512_mask_mov_epi32(place, four, each16(18, 12, 6, 0));
        clear = _mm512_mask_mov_epi32(clear, four, each16(0x07, 0x3F, 0x3F, 0x3F));
        set = _mm512_mask_mov_epi32(set, four, each16(0xF0, 0x80, 0x80, 0x80));
    }
    __m512i bytes = _mm512_multishift_epi64_epi8(_mm512_or_si512(place, second), c);
    bytes = _mm512_ternarylogic_epi64(bytes, clear, set, 0xEA); /* bytes & clear | set */
    __mmask64 counts = _mm512_movepi8_mask(set) | UINT64_C(0x1111111111111111);
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi8(counts, bytes)); /* compressing into memory is slow on some machines */
    return (size_t)__builtin_popcountll(counts);
}

AVX512_INLINE void avx512(run *rest, unsigned width) {
    run r = *rest; /* in registers */
    while (has_block(&r)) {
        __m512i c = load16(r.in, width);
        __mmask16 two = _mm512_cmpgt_epu32_mask(c, _mm512_set1_epi32(0x7F));
        size_t bytes = BLOCK;
        if (any_bad16(c, width)) {
            break;
        }
        if (two) {
            bytes = put16(r.out, c, two, width);
        } else {
            _mm_storeu_si128((__m128i *)r.out, _mm512_cvtepi32_epi8(c));
        }
        advance(&r, width, BLOCK, bytes);
    }
    *rest = r;
}

PM_TARGET_AVX512 static void avx512_1(run *r) { avx512(r, 1); }
PM_TARGET_AVX512 static void avx512_2(run *r) { avx512(r, 2); }
PM_TARGET_AVX512 static void avx512_4(run *r) { avx512(r, 4); }
#endif

#if defined(PM_HAVE_NEON)
#include <arm_neon.h>

/* ---------------------------------------------------------------- NEON ---- */

static inline uint32x4_t load4(const uint8_t *in, unsigned width) {
    uint32_t four;
    if (width == 1) {
        memcpy(&four, in, 4);
        return vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(four))));
    }
    return width == 2 ? vmovl_u16(vreinterpret_u16_u8(vld1_u8(in))) : vreinterpretq_u32_u8(vld1q_u8(in));
}

static inline bool any_bad4(uint32x4_t c, unsigned width) {
    uint32x4_t bad = vceqq_u32(vandq_u32(c, vdupq_n_u32(~UINT32_C(0x7FF))), vdupq_n_u32(0xD800));
    bad = vorrq_u32(bad, vcgtq_u32(c, vdupq_n_u32(0x10FFFF)));
    return width > 1 && vmaxvq_u32(bad) != 0;
}

static inline uint32x4_t group4(uint32x4_t x) { return vandq_u32(x, vdupq_n_u32(0x3F)); }

static inline void put_pair(run *r, uint8x8_t pair, uint64_t row) {
    vst1_u8(r->out, vtbl1_u8(pair, vld1_u8(close_up[row])));
    r->out += closed_length(row);
}

/* Four characters; false: one of them is bad and nothing was done. */
static inline bool take4(run *r, const uint8_t *in, unsigned width) {
    uint32x4_t c = load4(in, width);
    uint32x4_t two = vcgtq_u32(c, vdupq_n_u32(0x7F)), three = vcgtq_u32(c, vdupq_n_u32(0x7FF)), four = vcgtq_u32(c, vdupq_n_u32(0xFFFF));
    if (any_bad4(c, width)) {
        return false;
    }
    if (vmaxvq_u32(two) == 0) {
        uint8x8_t narrow = vmovn_u16(vcombine_u16(vmovn_u32(c), vdup_n_u16(0)));
        uint32_t bytes = vget_lane_u32(vreinterpret_u32_u8(narrow), 0);
        memcpy(r->out, &bytes, 4);
        r->out += 4;
        return true;
    }
    int32x4_t more = vaddq_s32(vaddq_s32(vreinterpretq_s32_u32(two), vreinterpretq_s32_u32(three)), vreinterpretq_s32_u32(four));
    uint32x4_t x = vshlq_u32(c, vmlaq_n_s32(vdupq_n_s32(18), more, 6));
    uint32x4_t lead = vorrq_u32(vandq_u32(two, vdupq_n_u32(0xC0)), vandq_u32(three, vdupq_n_u32(0x20)));
    lead = vorrq_u32(vorrq_u32(lead, vandq_u32(four, vdupq_n_u32(0x10))), vdupq_n_u32(UINT32_C(0x80808000)));
    uint32x4_t low = vorrq_u32(vshrq_n_u32(x, 18), vshlq_n_u32(group4(vshrq_n_u32(x, 12)), 8));
    uint32x4_t high = vorrq_u32(vshlq_n_u32(group4(vshrq_n_u32(x, 6)), 16), vshlq_n_u32(group4(x), 24));
    uint8x16_t bytes = vreinterpretq_u8_u32(vorrq_u32(lead, vorrq_u32(low, high)));
    uint64x2_t len = vreinterpretq_u64_s32(vnegq_s32(more));
    uint64x2_t rows = vandq_u64(vorrq_u64(len, vshrq_n_u64(len, 30)), vdupq_n_u64(15));
    put_pair(r, vget_low_u8(bytes), vgetq_lane_u64(rows, 0));
    put_pair(r, vget_high_u8(bytes), vgetq_lane_u64(rows, 1));
    return true;
}

static inline __attribute__((always_inline)) void neon(run *r, unsigned width) {
    while (has_block(r)) {
        uint8_t *before = r->out;
        size_t taken = 0;
        while (taken < BLOCK && take4(r, r->in + taken * width, width)) {
            taken += 4;
        }
        size_t bytes = (size_t)(r->out - before);
        r->out = before;
        advance(r, width, taken, bytes);
        if (taken < BLOCK) {
            return;
        }
    }
}

static void neon1(run *r) { neon(r, 1); }
static void neon2(run *r) { neon(r, 2); }
static void neon4(run *r) { neon(r, 4); }
#endif

/* ---------------------------------------------------------------- the choice ---- */

/* For units of 1, 2 and 4 bytes. */
static const fast_fn ways[PM_N_CPUS][3] = {
    [PM_CPU_PORTABLE] = {portable1, portable2, portable4},
#if defined(__x86_64__)
    [PM_CPU_AVX2] = {avx2_1, avx2_2, avx2_4},
    [PM_CPU_AVX512] = {avx512_1, avx512_2, avx512_4},
#elif defined(PM_HAVE_NEON)
    [PM_CPU_NEON] = {neon1, neon2, neon4},
#endif
};

pm_transcoded pm_transcode(pm_cpu cpu, pm_text text, uint8_t *out, size_t cap) {
    run r = {text.data, text.len, out, cap};
    fast_fn fast = ways[cpu][width_of(text.form) / 2];
    bool bad = false;

    do {
        if (has_block(&r)) {
            fast(&r);
        }
    } while (r.n && take_slowly(&r, text.form, BLOCK, &bad));
    return (pm_transcoded){text.len - r.n, cap - r.room, bad};
}

pm_status pm_transcode_check(pm_text text, pm_error *err) {
    if ((unsigned)text.form > PM_TEXT_UTF32) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "a text has the unknown form %d", (int)text.form);
    }
    return PM_OK;
}

/* A text is memory that exists, at most SIZE_MAX / 2 bytes: what overflows is no text. */
size_t pm_transcode_bound(pm_text text) {
    static const uint8_t most[] = {1, 2, 3, 3, 4}; /* bytes a unit, by form */
    size_t bytes;
    return __builtin_mul_overflow(text.len, (size_t)most[text.form], &bytes) ? SIZE_MAX : bytes;
}

pm_status pm_transcode_fail(pm_text text, size_t at, pm_error *err) {
    uint32_t unit = unit_at(text.data, width_of(text.form), at);
    return pm_fail_at(err, PM_BAD_INPUT, at, is_surrogate(unit) ? "U+%04X is a lone surrogate, which has no UTF-8" : "%#x is no code point: the last one is U+10FFFF", unit);
}

/* ---------------------------------------------------------------- public ---- */

/* The bytes that the rest of a text would give, or *bad. */
static size_t measure(pm_cpu cpu, pm_text rest, size_t *read, bool *bad) {
    uint8_t piece[1024];
    size_t bytes = 0;

    *read = 0;
    for (*bad = false; *read < rest.len && !*bad;) {
        pm_text from = {(const uint8_t *)rest.data + *read * width_of(rest.form), rest.len - *read, rest.form};
        pm_transcoded t = pm_transcode(cpu, from, piece, sizeof piece);
        *read += t.read;
        bytes += t.written;
        *bad = t.bad;
    }
    return bytes;
}

static size_t copy_utf8(pm_text text, uint8_t *out, size_t cap) {
    size_t fits = text.len < cap ? text.len : cap;
    if (fits) {
        memcpy(out, text.data, fits);
    }
    return text.len;
}

pm_status pm_text_to_utf8(pm_text text, uint8_t *out, size_t cap, size_t *n_out, pm_error *err) {
    size_t n;
    pm_cpu cpu;

    *n_out = 0;
    cap = out ? cap : 0;
    PM_TRY(pm_transcode_check(text, err));
    PM_TRY(pm_cpu_choose(&cpu, err));
    if (text.form == PM_TEXT_UTF8) {
        n = copy_utf8(text, out, cap);
    } else {
        pm_transcoded t = pm_transcode(cpu, text, out, cap);
        pm_text rest = {(const uint8_t *)text.data + t.read * width_of(text.form), text.len - t.read, text.form};
        size_t read = 0;
        n = t.written;
        if (!t.bad) {
            n += measure(cpu, rest, &read, &t.bad);
        }
        if (t.bad) {
            return pm_transcode_fail(text, t.read + read, err);
        }
    }
    *n_out = n;
    return out && n > cap ? pm_fail(err, PM_NO_SPACE, "the text has %zu bytes of UTF-8, there is room for %zu", n, cap) : PM_OK;
}
