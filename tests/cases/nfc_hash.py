#!/usr/bin/env python3
"""Prints the two constants of tests/unit/test_nfc.c: hashes of Python's NFC of every code point and of 30,000 random strings.

The strings are drawn as test_nfc.c draws them, from ranges in which Unicode 14 to 16 agree, so any Python from 3.11 on prints the same.
"""
import unicodedata

MASK = (1 << 64) - 1
RANGES = [  # keep equal to test_nfc.c
    (0x300, 0x36F), (0x300, 0x36F), (0x61, 0x7A), (0x1100, 0x11FF), (0xAC00, 0xD7A3), (0xC0, 0x24F), (0x1E00, 0x1FFF), (0x900, 0x963),
    (0x9BC, 0x9D7), (0xB3C, 0xB57), (0xDCA, 0xDDF), (0x3040, 0x30FF), (0xF900, 0xFA6D), (0x2100, 0x214F), (0x591, 0x5C2), (0xF40, 0xF84),
    (0x64B, 0x655), (0x1D15E, 0x1D172), (0x1161, 0x1175), (0x11A7, 0x11C2),
]
state = 1


def draw(n):
    global state
    state = (state + 0x9E3779B97F4A7C15) & MASK
    z = state
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return (z ^ (z >> 31)) % n


def fnv(data, h):
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


h = 0xCBF29CE484222325
for cp in range(0x110000):
    if not 0xD800 <= cp < 0xE000:
        h = fnv(unicodedata.normalize("NFC", chr(cp)).encode(), h)
print(f"every code point: {h:016X}")

h = 0xCBF29CE484222325
for _ in range(30000):
    text = ""
    for _ in range(1 + draw(12)):
        first, last = RANGES[draw(len(RANGES))]
        text += chr(first + draw(last - first + 1))
    h = fnv(unicodedata.normalize("NFC", text).encode(), h)
print(f"random strings: {h:016X}")
