#!/usr/bin/env python3
"""Writes lib/text/unicode_table.h: one byte a code point, in two stages.

    python3 -m venv v && v/bin/pip install unicodedata2==16.0.0 fonttools==4.56.0
    v/bin/python scripts/make_unicode_table.py > lib/text/unicode_table.h

General categories come from unicodedata2, the Han script from fontTools' copy of Scripts.txt; both must be of VERSION or nothing is
written. White_Space is the list of PropList.txt, which has not changed since Unicode 6.3.

The byte is a class number (the bit numbers of PM_CLASS_* in unicode.h) plus 16 for Han. Blocks of BLOCK code points that are equal are
stored once; 128 makes the two stages smallest together (41 KB) and block numbers fit a byte.
"""
import sys
from bisect import bisect_right

import unicodedata2
from fontTools.unicodedata import Scripts

VERSION = "16.0.0"
WHITE_SPACE = {*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
CLASSES = {"Lu": 0, "Lt": 0, "Ll": 1, "Lm": 2, "Lo": 2, "M": 3, "N": 4, "P": 7, "S": 8}
SPACE, NEWLINE, OTHER, HAN = 5, 6, 9, 16
N_CODE_POINTS = 0x110000
BLOCK = 128  # 1 << PM_UNICODE_SHIFT


def check_versions():
    """Data of another version must not slip in silently."""
    with open(Scripts.__file__, encoding="utf-8") as f:
        header = f.read(500)
    if unicodedata2.unidata_version != VERSION or f"Scripts-{VERSION}.txt" not in header:
        sys.exit(f"make_unicode_table.py: needs unicodedata2 and fontTools with Unicode {VERSION}; see the top of this file")


def table_byte(cp):
    """The byte of one code point."""
    if cp in (10, 13):
        return NEWLINE
    if cp in WHITE_SPACE:
        return SPACE
    category = unicodedata2.category(chr(cp))
    number = CLASSES.get(category, CLASSES.get(category[0], OTHER))
    return number + (HAN if script(cp) == "Hani" else 0)


def script(cp):
    """The value of the Script property: Scripts.RANGES holds where each range begins."""
    return Scripts.VALUES[bisect_right(Scripts.RANGES, cp) - 1]


def stages(codes, block):
    """(numbers of blocks, distinct blocks) of this block size."""
    seen, first = {}, []
    for i in range(0, len(codes), block):
        first.append(seen.setdefault(codes[i:i + block], len(seen)))
    return first, list(seen)


def rows(values, per_row):
    """C initialisers, per_row numbers a line."""
    for i in range(0, len(values), per_row):
        print("    " + ", ".join(map(str, values[i:i + per_row])) + ",")


def main():
    check_versions()
    codes = bytes(map(table_byte, range(N_CODE_POINTS)))
    first, blocks = stages(codes, BLOCK)
    assert len(blocks) <= 256, "block numbers no longer fit a byte"

    print(f"/* Made by scripts/make_unicode_table.py from Unicode {VERSION}. Do not edit. */")
    print("/* clang-format off */")
    print(f"const char pm_unicode_version[] = \"{VERSION}\";")
    print("/* Which block the code points cp with one cp >> PM_UNICODE_SHIFT have. */")
    print(f"const uint8_t pm_unicode_blocks[{N_CODE_POINTS} >> PM_UNICODE_SHIFT] = {{")
    rows(first, 32)
    print("};")
    print("/* The blocks' bytes: class number, plus 16 for Han. */")
    print(f"const uint8_t pm_unicode_codes[{len(blocks)} << PM_UNICODE_SHIFT] = {{")
    rows(b"".join(blocks), 64)
    print("};")


if __name__ == "__main__":
    main()
