/* log.c - ln(n) of a 64-bit integer, correctly rounded, with integer arithmetic only.
 *
 * Idea. A logarithm that is wrong in the last place now and then changes which of two nearly equal segmentations wins,
 * and so the model; and the libraries' logarithms do differ. With integers there is nothing that a compiler, a
 * processor or a libm could do differently. The method is that of the CORE-MATH project (a fast step with a proven
 * error bound; where the bound cannot decide the rounding, a step so precise that it does), here in fixed point because
 * the argument is an integer.
 *
 * Write n = 2^k m with 1 <= m < 2. ln n = k ln 2 + ln m.
 *
 * First step, error below 2^-80. The top eight bits of m's fraction choose a reciprocal r of eleven bits, so that m r =
 * 1 + z with 0 <= z < 2^-7, exactly (75 bits). ln m = -ln r + ln(1 + z), the first from a table, the second by its
 * series
 *
 *     z - z^2/2 + z^3 (1/3 - z (1/4 - z (1/5 - ... - z/11)))
 *
 * z and z^2 carry 120 bits behind the point, the rest 64 bits below 2^-21. Errors: the table and k ln 2, at most 64
 * units of 2^-121 together; z^2, two units of 2^-120; z^3 and its factor, below 4 units of 2^-85 (each of the two
 * truncated products loses less than one, the factor less than 2^-60 of itself); the series after z^11, less than 2^-84
 * / 12. Sum: less than 2^-82.
 *
 * A double near ln n has its last bit at 2^-47 or above 2^-53, so two values in 2^32 or fewer lie within 2^-80 of a
 * midpoint between two doubles. Those go to the
 *
 * Second step, error below 2^-240. m is multiplied up to 2 by factors 1 + 2^-j, j = 1 .. 128, each at most once: a
 * factor is taken when the product stays at or below 2. Before step j the product is above 2 / (1 + 2^-(j-1)), and (1 +
 * 2^-j)^2 > 1 + 2^-(j-1), so once is enough. Then ln m = ln 2 - (sum of ln(1 + 2^-j) taken) - e, where the product is 2
 * (1 - e), e < 2^-128, and e^2/2 is far below the error. A multiplication is a shift and an addition: 128 truncations
 * below 2^-250 each.
 *
 * Why that is enough: ln n is irrational for n > 1, so it never is a midpoint; that one of 2^64 values comes nearer to
 * a midpoint than 2^-240 has, if their bits behave as random ones do, a probability of about 2^-128.
 *
 * Cost: some 30 ns, the second step a microsecond or so. Source of the method: CORE-MATH (Sibidanov, Zimmermann,
 * Glondu, 2022), https://core-math.gitlabpages.inria.fr/; shift-and-add logarithms: Briggs, Arithmetica logarithmica,
 * 1624. The code is our own. */
#include "base/log.h"

#include <stdbool.h>
#include <string.h>

#include "base/log_table.h"

typedef unsigned __int128 u128;

static inline u128 join(const uint64_t w[2]) { return (u128)w[1] << 64 | w[0]; }
static inline uint64_t mul_high(uint64_t a, uint64_t b) { return (uint64_t)((u128)a * b >> 64); }

/* 1/3 - z (1/4 - z (1/5 - ...)), 64 fraction bits; z = u 2^-71. */
static inline uint64_t series_tail(uint64_t u) {
    uint64_t sum = UINT64_MAX / 11;
    for (uint64_t d = 10; d >= 3; d--) {
        sum = UINT64_MAX / d - (mul_high(u, sum) >> 7);
    }
    return sum;
}

/* ln(2^k m) with 120 fraction bits, to within 2^-80; m is normalized: its top bit is set. */
static u128 first_step(unsigned k, uint64_t m) {
    unsigned i = (unsigned)(m >> 55 & 0xFF);
    u128 z = (u128)m * first_table[i].reciprocal - ((u128)1 << 73); /* 73 fraction bits, below 2^66 */
    uint64_t u = (uint64_t)(z >> 2);
    u128 square = (u128)u * u + ((u128)u * (uint64_t)(z & 3) >> 1); /* 142 fraction bits */
    uint64_t cube = mul_high((uint64_t)(square >> 64), u);          /* 85 fraction bits */

    return k * join(ln2_q120) + join(first_table[i].minus_log) + (z << 47) - (square >> 23) +
           ((u128)mul_high(cube, series_tail(u)) << 35);
}

/* ---------------------------------------------------------------- 256-bit numbers, 250 fraction bits ---- */

typedef struct wide {
    uint64_t w[4];
} wide;

static wide wide_add(wide a, const uint64_t b[4]) {
    u128 carry = 0;
    for (int i = 0; i < 4; i++) {
        carry += (u128)a.w[i] + b[i];
        a.w[i] = (uint64_t)carry;
        carry >>= 64;
    }
    return a;
}

static wide wide_subtract(wide a, const uint64_t b[4]) {
    uint64_t borrow = 0;
    for (int i = 0; i < 4; i++) {
        u128 d = (u128)a.w[i] - b[i] - borrow;
        a.w[i] = (uint64_t)d;
        borrow = (uint64_t)(d >> 64) & 1;
    }
    return a;
}

static wide wide_shift_right(wide a, unsigned by) {
    wide r = {{0}};
    unsigned words = by / 64, bits = by % 64;
    for (unsigned i = 0; i + words < 4; i++) {
        r.w[i] = a.w[i + words] >> bits;
        if (bits && i + words + 1 < 4) {
            r.w[i] |= a.w[i + words + 1] << (64 - bits);
        }
    }
    return r;
}

static const uint64_t wide_two[4] = {0, 0, 0, UINT64_C(1) << 59};

static bool at_most_two(wide a) {
    return a.w[3] < wide_two[3] || (a.w[3] == wide_two[3] && (a.w[2] | a.w[1] | a.w[0]) == 0);
}

static wide second_step(unsigned k, uint64_t m) {
    wide sum = {{0}}, x = {{0, 0, m << 59, m >> 5}}; /* m has 63 fraction bits; 250 - 63 = 2 * 64 + 59 */

    for (unsigned i = 0; i <= k; i++) {
        sum = wide_add(sum, ln2_q250);
    }
    for (unsigned j = 1; j <= 128; j++) {
        wide y = wide_add(x, wide_shift_right(x, j).w);
        if (at_most_two(y)) {
            x = y;
            sum = wide_subtract(sum, second_table[j - 1]);
        }
    }
    wide e = {{wide_two[0], wide_two[1], wide_two[2], wide_two[3]}};
    return wide_subtract(sum, wide_shift_right(wide_subtract(e, x.w), 1).w);
}

/* ---------------------------------------------------------------- rounding ---- */

/* head 2^-scale as a double, head having exactly its top bit of 54 set and its lowest bit being the one to round by
 * (never a tie). */
static double round_bits(uint64_t head, int exponent) {
    uint64_t mantissa = (head >> 1) + (head & 1); /* 53 bits; 2^53 rounds up to the next power and is right as it is */
    uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    bits += mantissa - (UINT64_C(1) << 52);
    double result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

double pm_log_u64(uint64_t n) {
    if (n <= 1) {
        return 0.0;
    }
    unsigned zeros = (unsigned)__builtin_clzll(n), k = 63 - zeros;
    uint64_t m = n << zeros;
    u128 sum = first_step(k, m);
    int top = 127 - __builtin_clzll((uint64_t)(sum >> 64)); /* ln 2 > 2^-1: the high word is not 0 */
    int below = top - 53;                                   /* bits behind the rounding bit */
    u128 rest = sum & (((u128)1 << (below + 1)) - 1);       /* the rounding bit and all behind it */
    u128 half = (u128)1 << below, slack = (u128)1 << 40;
    /* Sure when the true value is on the same side of the midpoint, and no power of two lies in the way. */
    if (rest + slack < half || (rest > half + slack)) {
        return round_bits((uint64_t)(sum >> below), top - 120);
    }
    wide exact = second_step(k, m);
    int high = exact.w[3] ? 255 - __builtin_clzll(exact.w[3]) : 191 - __builtin_clzll(exact.w[2]);
    return round_bits(wide_shift_right(exact, (unsigned)(high - 53)).w[0], high - 250);
}
