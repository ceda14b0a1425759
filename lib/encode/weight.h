/* weight.h - positive numbers from far below to far above what a double reaches: a mantissa and an exponent of 64 bits.
 * For sums over all segmentations. exp is our own, so that what is drawn is the same on every machine. */
#ifndef PM_ENCODE_WEIGHT_H
#define PM_ENCODE_WEIGHT_H

#include <stdint.h>
#include <string.h>

/* mantissa 2^power; {0, 0} is nothing. */
typedef struct pm_weight {
    double mantissa;
    int64_t power;
} pm_weight;

/* 2^n for n <= 1023; 0 far below. */
static inline double pm_weight_two_to(int64_t n) {
    if (n < -1022) {
        return 0.0;
    }
    uint64_t bits = (uint64_t)(n + 1023) << 52;
    double result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

/* exp(x), by reduction by ln 2 and the series to degree 13: about one unit in the last place, and 2^-53 |x| for large
 * x. |x| up to 2^30, so that the power is exact and the rest within half of ln 2. */
static inline pm_weight pm_weight_exp(double x) {
    static const double one_by[] = {
        1.0,        1.0,         1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,       1.0 / 720,
        1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
    int64_t power = (int64_t)(x * 1.44269504088896338700e+00 + (x < 0 ? -0.5 : 0.5));
    double rest = (x - (double)power * 6.93147180369123816490e-01) - (double)power * 1.90821492927058770002e-10;
    double sum = one_by[13];
    for (int i = 12; i >= 0; i--) {
        sum = sum * rest + one_by[i];
    }
    return (pm_weight){sum, power};
}

static inline pm_weight pm_weight_times(pm_weight a, pm_weight b) {
    return (pm_weight){a.mantissa * b.mantissa, a.power + b.power};
}

/* Adds a term, and brings the term to the sum's power. */
static inline void pm_weight_add(pm_weight *sum, pm_weight *term) {
    int64_t apart = term->power - sum->power;
    if (sum->mantissa == 0.0) {
        sum->power = term->power;
    } else if (apart > 0) {
        sum->mantissa *= pm_weight_two_to(-apart);
        sum->power = term->power;
    } else {
        term->mantissa *= pm_weight_two_to(apart);
        term->power = sum->power;
    }
    sum->mantissa += term->mantissa;
}

/* Brings the mantissa into [1, 2). */
static inline pm_weight pm_weight_normalized(pm_weight w) {
    uint64_t bits;
    memcpy(&bits, &w.mantissa, sizeof bits);
    int64_t exponent = (int64_t)(bits >> 52 & 0x7FF) - 1023;
    bits = (bits & ~(UINT64_C(0x7FF) << 52)) | UINT64_C(1023) << 52;
    memcpy(&w.mantissa, &bits, sizeof bits);
    w.power += exponent;
    return w;
}

#endif
