#!/usr/bin/env python3
"""Writes lib/text/digit_table.h: where each run of ten decimal digits (category Nd) of Unicode begins.

    python3 -m venv v && v/bin/pip install unicodedata2==16.0.0
    v/bin/python scripts/make_digit_table.py > lib/text/digit_table.h
"""
import sys

import unicodedata2 as u

VERSION = "16.0.0"
if u.unidata_version != VERSION:
    sys.exit("make_digit_table.py: needs unicodedata2 with Unicode " + VERSION)
digits = [c for c in range(0x110000) if u.category(chr(c)) == "Nd"]
zeros = digits[::10]
assert digits == [z + i for z in zeros for i in range(10)] and all(u.decimal(chr(z)) == 0 for z in zeros)
print("/* digit_table.h - Unicode %s; made by scripts/make_digit_table.py; do not edit. */" % VERSION)
print("static const uint32_t digit_zeros[%d] = {" % len(zeros))
for i in range(0, len(zeros), 12):
    print("    " + " ".join("0x%04X," % z for z in zeros[i:i + 12]))
print("};")
