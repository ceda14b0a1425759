#!/usr/bin/env python3
"""Write lib/base/log_table.h: the constants of lib/base/log.c, computed with integers only.

usage: python3 scripts/make_log_table.py > lib/base/log_table.h
"""
BITS = 200  # fraction bits of the working precision


def ln_ratio(a, b):
    """ln(a / b) in fixed point with BITS fraction bits, by 2 atanh((a - b) / (a + b)); a and b within a factor of 2."""
    num, den = a - b, a + b
    term = (num << BITS) // den
    total, k = 0, 1
    while term:
        total += term // k
        term = term * num * num // (den * den)
        k += 2
    return 2 * total


def rounded(value, bits):
    return (value + (1 << (BITS - bits - 1))) >> (BITS - bits)


def words(value, n):
    return ", ".join("UINT64_C(0x%016x)" % (value >> (64 * i) & (2**64 - 1)) for i in range(n))


LN2 = ln_ratio(2, 1)
print("/* log_table.h - made by scripts/make_log_table.py; do not edit. Words go from the lowest up. */")
print("static const uint64_t ln2_q120[2] = {%s};" % words(rounded(LN2, 120), 2))
print("\n/* reciprocal = ceil(2^10 / (1 + i / 256)); minus_log = -ln(reciprocal / 2^10), 120 fraction bits. */")
print("static const struct {\n    uint64_t minus_log[2];\n    uint64_t reciprocal;\n} first_table[256] = {")
for i in range(256):
    r = -(-(2**10 * 256) // (256 + i))
    print("    {{%s}, %d}," % (words(rounded(ln_ratio(1024, r), 120), 2), r))
print("};")
