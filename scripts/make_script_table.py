#!/usr/bin/env python3
"""Writes lib/text/script_table.h: the script of each code point, one byte in two stages, and the scripts' names.

    python3 -m venv v && v/bin/pip install fonttools==4.56.0
    v/bin/python scripts/make_script_table.py > lib/text/script_table.h

The Script property comes from fontTools' copy of Scripts.txt, which must be of VERSION or nothing is written. Numbers: 0 is what is no UTF-8
(which the table does not hold), then FIRST, then the other scripts by name.
"""
import sys
from bisect import bisect_right

from fontTools.unicodedata import Scripts

VERSION = "16.0.0"
FIRST = ["Zyyy", "Zinh", "Zzzz"]  # Common, Inherited, Unknown
N_CODE_POINTS = 0x110000
BLOCK = 256  # 1 << SHIFT in script.c


def rows(values, per_row):
    """C initialisers, per_row of them a line."""
    for i in range(0, len(values), per_row):
        print("    " + ", ".join(map(str, values[i:i + per_row])) + ",")


def main():
    with open(Scripts.__file__, encoding="utf-8") as f:
        if f"Scripts-{VERSION}.txt" not in f.read(500):
            sys.exit(f"make_script_table.py: needs fontTools with Unicode {VERSION}; see the top of this file")
    scripts = FIRST + sorted(set(Scripts.VALUES) - set(FIRST), key=Scripts.NAMES.get)
    number = {script: i + 1 for i, script in enumerate(scripts)}
    codes = bytes(number[Scripts.VALUES[bisect_right(Scripts.RANGES, cp) - 1]] for cp in range(N_CODE_POINTS))
    seen, first = {}, []
    for i in range(0, N_CODE_POINTS, BLOCK):
        first.append(seen.setdefault(codes[i:i + BLOCK], len(seen)))
    assert len(seen) <= 256, "block numbers no longer fit a byte"

    print(f"/* Made by scripts/make_script_table.py from Unicode {VERSION}. Do not edit. */")
    print("/* clang-format off */")
    print("static const char *const script_names[] = {")
    rows(['"not UTF-8"'] + [f'"{Scripts.NAMES[script]}"' for script in scripts], 8)
    print("};")
    print("/* Which block the code points cp with one cp >> SHIFT have. */")
    print("static const uint8_t script_blocks[] = {")
    rows(first, 32)
    print("};")
    print("/* The blocks' bytes: the number of the script, its place among the names. */")
    print("static const uint8_t script_codes[] = {")
    rows(b"".join(seen), 64)
    print("};")


if __name__ == "__main__":
    main()
