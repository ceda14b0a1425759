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
 * A double near ln n has its last bit at 2^-53 or above, and at 2^-47 or below, so one value in 2^26 to 2^32 lies
 * within 2^-80 of a midpoint between two doubles: one in 2^31 from 8,900,000 (e^16) on.
 *
 * Second step, with words of 64 bits, 4 at first: F = 64 words - 6 fraction bits. m is multiplied up to 2 by factors 1
 * + 2^-j, j = 1 .. F/2, each at most once: a factor is taken when the product stays at or below 2. Before step j the
 * product is above 2 / (1 + 2^-(j-1)), and (1 + 2^-j)^2 > 1 + 2^-(j-1), so once is enough. Then ln m = ln 2 - (sum of
 * ln(1 + 2^-j) taken) - e, where the product is 2 (1 - e), e < 2^-(F/2), and e^2/2 < 2^-F. A multiplication is a shift
 * and an addition. ln(1 + 2^-j) is the series 2^-j - 2^-2j / 2 + 2^-3j / 3 - ..., ln 2 the series 2^-1 + 2^-2 / 2 +
 * 2^-3 / 3 + ...: divisions of a power of two by a small number, and no table. Errors, in units of 2^-F: one for each
 * multiplication, F/2; one for each term, and one for what comes behind the last: F/j + 1 for each j, together below F
 * (ln F + 2), and F + 1 for ln 2; e, 2. With at most 64 words F < 4096 and all is below 14 F < 2^16 units; 2^20 are
 * taken.
 *
 * Rounding. Each step knows the value to within its error, so the value less the error and the value plus the error are
 * both rounded; when they agree, that is the rounded logarithm, since rounding does not turn the order around. If not,
 * the next step is taken: the second step again with twice as many words.
 *
 * Why it ends. ln n is irrational for n > 1 (Hermite, 1873), so it is never a midpoint, and with words enough the two
 * agree. How many are enough is known for each n that is a double, so for all counts below 2^53: Lefevre and Muller
 * went through all doubles, and nowhere do as many as 70 equal bits follow the rounding bit of a logarithm, so 4 words
 * are. Beyond 2^53 nobody has looked. There four words leave one n of 2^170 undecided if bits behave as random ones
 * do, and what is decided is proven; the theorems that hold without looking (Nesterenko and Waldschmidt, 1996) need
 * millions of bits. 64 words are the most that is tried: behind them the value is rounded as it is.
 *
 * Cost: some 30 ns; the second step some 50 us, for one n in 2^31.
 *
 * Sources: CORE-MATH (Sibidanov, Zimmermann, Glondu, 2022), https://core-math.gitlabpages.inria.fr/; steps that are
 * taken again with more bits: Ziv, Fast evaluation of elementary mathematical functions with correctly rounded last
 * bit, 1991; worst cases: Lefevre and Muller, Worst cases for correct rounding of the elementary functions in double
 * precision, 2001; shift-and-add logarithms: Briggs, Arithmetica logarithmica, 1624. The code is our own. */
#include "base/log.h"

#include <stdbool.h>
#include <string.h>

#include "base/log_table.h"

typedef unsigned __int128 u128;

static const u128 FIRST_ERROR = (u128)1 << 40; /* units of 2^-120 */

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

/* 2^(exponent - 53) head as a double, where head has 54 bits, of which the last one is the one to round by; up when it
 * is set. */
static double round_bits(uint64_t head, int exponent) {
    uint64_t mantissa = (head >> 1) + (head & 1); /* 53 bits; 2^53 rounds up to the next power and is right as it is */
    uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    bits += mantissa - (UINT64_C(1) << 52);
    double result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

/* Of a number with 120 fraction bits, 2^-1 or more. */
static double round_first(u128 x) {
    int top = 127 - __builtin_clzll((uint64_t)(x >> 64));
    return round_bits((uint64_t)(x >> (top - 53)), top - 120);
}

/* ---------------------------------------------------------------- the second step ---- */

enum { WORDS = 4, WORDS_MOST = 64 };
static const uint64_t SECOND_ERROR = UINT64_C(1) << 20; /* units of the last bit */

/* A number below 64 with 64 n - 6 fraction bits, words from the lowest up. */
typedef struct wide {
    unsigned n;
    uint64_t w[WORDS_MOST];
} wide;

static unsigned fraction_bits(const wide *a) { return 64 * a->n - 6; }

/* a + b, or a - b. */
static wide wide_sum(const wide *a, const wide *b, bool minus) {
    wide r = {.n = a->n};
    u128 carry = minus;
    for (unsigned i = 0; i < a->n; i++) {
        carry += (u128)a->w[i] + (minus ? ~b->w[i] : b->w[i]);
        r.w[i] = (uint64_t)carry;
        carry >>= 64;
    }
    return r;
}

static wide wide_half(const wide *a, unsigned times) {
    wide r = {.n = a->n};
    unsigned words = times / 64, bits = times % 64;
    for (unsigned i = 0; i + words < a->n; i++) {
        r.w[i] = a->w[i + words] >> bits;
        if (bits && i + words + 1 < a->n) {
            r.w[i] |= a->w[i + words + 1] << (64 - bits);
        }
    }
    return r;
}

/* scale 2^-power / divisor, rounded down; 1 <= power <= fraction_bits, scale <= 64. */
static wide wide_fraction(unsigned n, unsigned scale, unsigned power, unsigned divisor) {
    wide r = {.n = n};
    unsigned at = fraction_bits(&r) - power, word = at / 64, bit = at % 64;
    u128 dividend = (u128)scale << bit; /* of two words */
    if (word + 1 < n) {
        r.w[word + 1] = (uint64_t)(dividend >> 64);
    }
    r.w[word] = (uint64_t)dividend;
    u128 rest = 0;
    for (unsigned i = word + 2 < n ? word + 2 : n; i-- > 0;) {
        rest = rest << 64 | r.w[i];
        r.w[i] = (uint64_t)(rest / divisor);
        rest %= divisor;
    }
    return r;
}

static bool at_most_two(const wide *a) {
    unsigned top = a->n - 1;
    uint64_t two = UINT64_C(1) << 59, below = 0;
    for (unsigned i = 0; i < top; i++) {
        below |= a->w[i];
    }
    return a->w[top] < two || (a->w[top] == two && below == 0);
}

/* ln(2^k m) with n words; m is normalized. */
static wide second_step(unsigned k, uint64_t m, unsigned n) {
    wide sum = {.n = n}, x = {.n = n};

    for (unsigned i = 1; i <= fraction_bits(&sum); i++) { /* (k + 1) ln 2 */
        wide term = wide_fraction(n, k + 1, i, i);
        sum = wide_sum(&sum, &term, false);
    }
    x.w[n - 1] = m >> 5; /* m has 63 fraction bits, the top word 58 */
    x.w[n - 2] = m << 59;
    for (unsigned j = 1; j <= fraction_bits(&x) / 2; j++) {
        wide part = wide_half(&x, j), y = wide_sum(&x, &part, false);
        if (!at_most_two(&y)) {
            continue;
        }
        x = y;
        for (unsigned i = 1; i * j <= fraction_bits(&x); i++) { /* less ln(1 + 2^-j) */
            wide term = wide_fraction(n, 1, i * j, i);
            sum = wide_sum(&sum, &term, i % 2 == 1);
        }
    }
    wide two = {.n = n};
    two.w[n - 1] = UINT64_C(1) << 59;
    wide e = wide_sum(&two, &x, true);
    e = wide_half(&e, 1);
    return wide_sum(&sum, &e, true);
}

/* Of a number from 2^-1 on. */
static double round_wide(const wide *a) {
    int top = 64 * (int)a->n - 1 - __builtin_clzll(a->w[a->n - 1]); /* 2^57 and more in the top word */
    wide head = wide_half(a, (unsigned)(top - 53));
    return round_bits(head.w[0], top - (int)fraction_bits(a));
}

double pm_log_slow(uint64_t n, unsigned words) {
    unsigned zeros = (unsigned)__builtin_clzll(n);
    for (;; words *= 2) {
        wide sum = second_step(63 - zeros, n << zeros, words), error = {.n = words, .w = {SECOND_ERROR}};
        wide low = wide_sum(&sum, &error, true), high = wide_sum(&sum, &error, false);
        double result = round_wide(&low);
        if (result == round_wide(&high) || words > WORDS_MOST / 2) {
            return result;
        }
    }
}

double pm_log_u64(uint64_t n) {
    if (n <= 1) {
        return 0.0;
    }
    unsigned zeros = (unsigned)__builtin_clzll(n);
    u128 sum = first_step(63 - zeros, n << zeros);
    double result = round_first(sum - FIRST_ERROR);
    return result == round_first(sum + FIRST_ERROR) ? result : pm_log_slow(n, WORDS);
}
