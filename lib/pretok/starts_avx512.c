/* starts_avx512.c - starts.c with AVX-512: the algebra on eight words of the bitmaps side by side. */
#include "pretok/starts.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define INLINE PM_TARGET_AVX512 static inline __attribute__((always_inline))

#define LANES 8
typedef uint64_t set __attribute__((vector_size(64)));

typedef struct sets {
    set upper, lower, letter, mark, number, punct, space, newline, han, cjk, high, inside, blank, apostrophe, slash;
} sets;

/* Eight rows of eight numbers, as columns. */
INLINE void transpose(const __m512i row[8], __m512i column[8]) {
    __m512i pair[8], four[8];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        pair[i] = _mm512_unpacklo_epi64(row[i], row[i + 1]);     /* columns 0, 2, 4, 6 of two rows */
        pair[i + 1] = _mm512_unpackhi_epi64(row[i], row[i + 1]); /* columns 1, 3, 5, 7 */
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
#pragma GCC unroll 2
        for (int odd = 0; odd < 2; odd++) {
            __m512i one = pair[i + odd], two = pair[i + 2 + odd];
            four[i + odd] = _mm512_shuffle_i64x2(one, two, 0x88);     /* columns 0 and 4, or 1 and 5 */
            four[i + 2 + odd] = _mm512_shuffle_i64x2(one, two, 0xDD); /* columns 2 and 6, or 3 and 7 */
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        column[i] = _mm512_shuffle_i64x2(four[i], four[i + 4], 0x88);
        column[i + 4] = _mm512_shuffle_i64x2(four[i], four[i + 4], 0xDD);
    }
}

/* Fifteen fields a word: two rows of eight that share the field `newline`. */
INLINE sets load_sets(const pm_class_word *words) {
    _Static_assert(sizeof *words == 15 * 8 && offsetof(pm_class_word, newline) == 7 * 8, "two rows a word");
    __m512i first[8], second[8], a[8], b[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        first[i] = _mm512_loadu_si512(&words[i].upper);
        second[i] = _mm512_loadu_si512(&words[i].newline);
    }
    transpose(first, a);
    transpose(second, b);
    return (sets){(set)a[0], (set)a[1], (set)a[2], (set)a[3], (set)a[4], (set)a[5], (set)a[6], (set)a[7],
                  (set)b[1], (set)b[2], (set)b[3], (set)b[4], (set)b[5], (set)b[6], (set)b[7]};
}

INLINE set before(set x, set past) { return (set)_mm512_alignr_epi64((__m512i)x, (__m512i)past, 7); }
#define behind(x, past, n) ((set)_mm512_shldi_epi64((__m512i)(x), (__m512i)before(x, past), n))
INLINE bool any(set x) { return _mm512_test_epi64_mask((__m512i)x, (__m512i)x) != 0; }
INLINE set less(set a, set b) { return (set)(a < b); }
INLINE set load_words(const uint64_t *p) { return (set)_mm512_loadu_si512(p); }
INLINE void put(uint64_t *p, set x) { _mm512_storeu_si512(p, (__m512i)x); }

INLINE set bytes_below(size_t len, size_t k) {
    set bytes = ~(set){0};
    if (k + LANES > len / 64) {
        uint64_t words[LANES] = {0};
        for (size_t i = 0; k + i <= len / 64 && i < LANES; i++) {
            words[i] = k + i < len / 64 ? UINT64_MAX : (UINT64_C(1) << len % 64) - 1;
        }
        memcpy(&bytes, words, sizeof bytes);
    }
    return bytes;
}

INLINE bool is_last_in(set x, size_t len) {
    uint64_t words[LANES];
    memcpy(words, &x, sizeof words);
    return (words[(len - 1) / 64 % LANES] >> (len - 1) % 64 & 1) != 0;
}

INLINE void put_starts(uint64_t *p, set starts, set back) {
    set next = (set)_mm512_alignr_epi64(_mm512_setzero_si512(), (__m512i)back, 1);
    p[-1] |= back[0] << 63;
    put(p, starts | (set)_mm512_shrdi_epi64((__m512i)back, (__m512i)next, 1));
}

INLINE size_t count_bits(uint64_t x) { return (size_t)__builtin_popcountll(x); }
INLINE uint64_t without(uint64_t x, uint64_t gaps) { return _pext_u64(x, ~gaps); }

#include "pretok/starts_body.h"

#define DEFINE_STARTS(name, ...)                                                                                       \
    PM_TARGET_AVX512 size_t pm_starts_avx512_##name(pm_starts *s) {                                                    \
        static const pm_rules r = {__VA_ARGS__};                                                                       \
        return find_window(s, &r, pm_scan_##name);                                                                     \
    }
PM_RULES(DEFINE_STARTS)

PM_TARGET_AVX512 void pm_starts_unpack_avx512(pm_starts *s, size_t len) { unpack_documents(s, len); }

/* The numbers of the bits as bytes, then eight of them at a time as 64 bits. */
PM_TARGET_AVX512 size_t pm_starts_give_avx512(pm_starts *s, size_t *ends, size_t cap) {
    uint8_t order[64];
    size_t n = 0;

    for (unsigned i = 0; i < 64; i++) {
        order[i] = (uint8_t)i;
    }
    const __m512i places = _mm512_loadu_si512(order);
    for (; s->word < s->n_words && cap - n >= 64; s->word++) {
        uint64_t bits = s->bits[s->word + 1];
        size_t more = (size_t)__builtin_popcountll(bits), i = 0;
        __m512i base = _mm512_set1_epi64((long long)(s->at + 64 * s->word));
        __m512i found = _mm512_maskz_compress_epi8(bits, places);
        do {
            __m128i eight = _mm512_castsi512_si128(found), next = _mm_srli_si128(eight, 8);
            _mm512_storeu_si512(ends + n + i, _mm512_add_epi64(base, _mm512_cvtepu8_epi64(eight)));
            _mm512_storeu_si512(ends + n + i + 8, _mm512_add_epi64(base, _mm512_cvtepu8_epi64(next)));
            found = _mm512_alignr_epi32(_mm512_setzero_si512(), found, 4);
            i += 16;
        } while (i < more);
        n += more;
    }
    return n;
}
#else
typedef int pm_no_avx512; /* a file must not be empty */
#endif
