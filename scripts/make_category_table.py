#!/usr/bin/env python3
"""Writes lib/text/category_table.h: the general category of each code point, one byte in two stages.

    python3 -m venv v && v/bin/pip install unicodedata2==16.0.0
    v/bin/python scripts/make_category_table.py > lib/text/category_table.h

The byte is the place of the category in CATEGORIES, the order of category.h. Blocks of BLOCK code points that are equal are stored once.
"""
import sys

import unicodedata2

VERSION = "16.0.0"
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split()
N_CODE_POINTS = 0x110000
BLOCK = 256  # 1 << SHIFT in category.c


def rows(values):
    """C initialisers, 32 a line."""
    for i in range(0, len(values), 32):
        print("    " + ", ".join(map(str, values[i:i + 32])) + ",")


def main():
    if unicodedata2.unidata_version != VERSION:
        sys.exit(f"make_category_table.py: needs unicodedata2 with Unicode {VERSION}; see the top of this file")
    codes = bytes(CATEGORIES.index(unicodedata2.category(chr(cp))) for cp in range(N_CODE_POINTS))
    seen, first = {}, []
    for i in range(0, N_CODE_POINTS, BLOCK):
        first.append(seen.setdefault(codes[i:i + BLOCK], len(seen)))
    assert len(seen) <= 256, "block numbers no longer fit a byte"
    print(f"/* Made by scripts/make_category_table.py from Unicode {VERSION}. Do not edit. */")
    print("/* clang-format off */")
    print(f"static const uint8_t category_blocks[{len(first)}] = {{")
    rows(first)
    print("};")
    print(f"static const uint8_t category_codes[{len(seen) * BLOCK}] = {{")
    rows(b"".join(seen))
    print("};")


if __name__ == "__main__":
    main()
