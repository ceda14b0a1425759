#!/usr/bin/env python3
"""Write tests/unit/log_cases.h: correctly rounded logarithms by Python's decimal with 60 digits (float() of a Decimal rounds correctly).

usage: python3 scripts/make_log_cases.py > tests/unit/log_cases.h        (about a minute)
"""
import decimal
import random
import struct

decimal.getcontext().prec = 60
MASK = 2**64 - 1
LAST = 2_000_000


def bits(n):
    return struct.unpack("<Q", struct.pack("<d", float(decimal.Decimal(n).ln())))[0]


def fnv(h, word):
    return ((h ^ word) * 0x100000001B3) & MASK


def distance(n):
    """How far ln n is from a midpoint of two doubles, in units of the last place."""
    exact = decimal.Decimal(n).ln()
    low = decimal.Decimal(float(exact))
    step = decimal.Decimal(2) ** (struct.unpack("<Q", struct.pack("<d", float(exact)))[0] // 2**52 - 1023 - 52)
    return abs(abs(exact - low) / step - decimal.Decimal("0.5"))


def near_midpoint(tries):
    """Integers whose logarithm is within 2^-80 of a midpoint, so that the first step of lib/base/log.c cannot round it: the nearest to exp of a midpoint, where
    that is nearly an integer."""
    with decimal.localcontext() as ctx:
        ctx.prec = 28
        for _ in range(tries):
            midpoint = decimal.Decimal(2 * random.randrange(int(43.6 * 2**47), int(44.36 * 2**47)) + 1) / 2**48
            power = midpoint.exp()
            n = round(power)
            if abs(power - n) < n * decimal.Decimal(2) ** -81:
                yield n


random.seed(1)
h = 0xCBF29CE484222325
with decimal.localcontext() as ctx:
    ctx.prec = 40
    for n in range(1, LAST + 1):
        h = fnv(h, bits(n))
cases = {2, 3, 2**63, 2**64 - 1, 2**64 - 2, 2**53 + 1, 2**32 - 1, 2**32, 2**32 + 1}
cases |= {2**k for k in range(1, 64, 7)} | {random.getrandbits(random.randrange(20, 65)) | 1 for _ in range(40)}
# the nearest to a midpoint among some thousand, where a sloppy logarithm is wrong
cases |= set(sorted((random.getrandbits(64) for _ in range(20000)), key=distance)[:30])
cases |= set(near_midpoint(2_000_000))
print("/* log_cases.h - made by scripts/make_log_cases.py; do not edit. */")
print("enum { LOG_LAST = %d };" % LAST)
print("static const uint64_t log_hash = UINT64_C(0x%016x); /* FNV-1a over the bits of ln 1 .. ln LOG_LAST as words */" % h)
print("static const struct {\n    uint64_t n, bits;\n} log_cases[] = {")
for n in sorted(cases):
    print("    {UINT64_C(%d), UINT64_C(0x%016x)}," % (n, bits(n)))
print("};")
