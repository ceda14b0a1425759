/* ten.h - one step of the walk over a lattice with AVX2: the best of ten scores, each added to the log-probability of a piece that ends here.
 *
 * The scores of the last ten positions stay in registers, the farthest first, so a step waits for the score before it and for nothing in memory:
 *
 *     farthest  -9 -8 -7 -6    far  -5 -4 -3 -2    near  -1  0         of the position before this one; push(x) moves all by one
 *
 * Which it was is a bit for each of the ten that has the best sum: of equal ones the lowest bit counts, the longest piece. */
#ifndef PM_ENCODE_TEN_H
#define PM_ENCODE_TEN_H

#if defined(__x86_64__)
#include <immintrin.h>

#include "base/cpu.h"

typedef struct pm_ten {
    __m256d farthest, far;
    __m128d near;
} pm_ten;

#define PM_TEN_INLINE PM_TARGET_AVX2 static inline __attribute__((always_inline))

/* The ten scores that end with *last. */
PM_TEN_INLINE pm_ten pm_ten_load(const double *last) {
    return (pm_ten){_mm256_loadu_pd(last - 9), _mm256_loadu_pd(last - 5), _mm_loadu_pd(last - 1)};
}

/* Each score and the log-probability of the piece that begins there. */
typedef struct pm_ten_sums {
    __m256d longest, longer;
    __m128d shorter;
} pm_ten_sums;

/* Log-probabilities of the eight longer pieces are at `eight`, of the others at `two`. */
PM_TEN_INLINE pm_ten_sums pm_ten_add(const pm_ten *t, const double *eight, const double *two) {
    return (pm_ten_sums){_mm256_add_pd(t->farthest, _mm256_loadu_pd(eight)), _mm256_add_pd(t->far, _mm256_loadu_pd(eight + 4)),
                         _mm_add_pd(t->near, _mm_loadu_pd(two))};
}

/* The highest, in the low half. */
PM_TEN_INLINE __m128d pm_ten_highest(const pm_ten_sums *s) {
    __m256d four = _mm256_max_pd(s->longest, s->longer);
    __m128d pair = _mm_max_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    pair = _mm_max_pd(pair, s->shorter);
    return _mm_max_sd(pair, _mm_unpackhi_pd(pair, pair));
}

/* The bits of those that are at least the number in the low half. */
PM_TEN_INLINE unsigned pm_ten_at_least(const pm_ten_sums *s, __m128d bound) {
    __m256d all = _mm256_broadcastsd_pd(bound);
    int is_longest = _mm256_movemask_pd(_mm256_cmp_pd(s->longest, all, _CMP_GE_OQ)),
        is_longer = _mm256_movemask_pd(_mm256_cmp_pd(s->longer, all, _CMP_GE_OQ)),
        is_shorter = _mm_movemask_pd(_mm_cmpge_pd(s->shorter, _mm256_castpd256_pd128(all)));
    return (unsigned)(is_longest | is_longer << 4 | is_shorter << 8);
}

/* The best sum, in the low half, and in *which the bits. */
PM_TEN_INLINE __m128d pm_ten_best(const pm_ten *t, const double *eight, const double *two, unsigned *which) {
    pm_ten_sums sums = pm_ten_add(t, eight, two);
    __m128d best = pm_ten_highest(&sums);
    *which = pm_ten_at_least(&sums, best);
    return best;
}

/* The next position has this score. */
PM_TEN_INLINE void pm_ten_push(pm_ten *t, __m128d score) {
    t->farthest = _mm256_permute4x64_pd(_mm256_blend_pd(t->farthest, t->far, 1), 0x39);
    t->far = _mm256_permute4x64_pd(_mm256_blend_pd(t->far, _mm256_castpd128_pd256(t->near), 1), 0x39);
    t->near = _mm_shuffle_pd(t->near, score, 1);
}

#endif
#endif
