#!/usr/bin/env python3
"""Writes lib/pretok/kinds_table.h: what Hugging Face's tokenizers take each character for.

    python3 -m venv v && v/bin/pip install tokenizers==0.23.3
    v/bin/python scripts/make_kinds_table.py > lib/pretok/kinds_table.h

The library draws its classes from four places (the regex crate's \\w, the standard library's is_numeric, the crate unicode_categories, a script table of
its own), each of another version of Unicode. So it is asked, character by character: each stands between two letters, and where the library cuts tells
the class. Blocks of BLOCK code points that are equal are stored once.

kinds: the bits of kinds.h. scripts: 0 is a character that never begins a new piece (UnicodeScripts calls it Any), the other numbers are scripts in the
order in which they first appear.
"""
import sys

import tokenizers
from tokenizers import pre_tokenizers

VERSION = "0.23.3"
WORD, NUMERIC, PUNCT, SPACE = 1, 2, 4, 8
N_CODE_POINTS = 0x110000
BLOCK = 128  # 1 << PM_KINDS_SHIFT
SURROGATES = range(0xD800, 0xE000)


def all_characters(step=4096):
    """Lists of code points that text can hold."""
    points = [cp for cp in range(N_CODE_POINTS) if cp not in SURROGATES]
    return [points[i:i + step] for i in range(0, len(points), step)]


def cut_before(pre_tokenizer, before, behind=""):
    """The characters before which it cuts, when they stand between these."""
    found, width = set(), len(before) + 1 + len(behind)
    for points in all_characters():
        spans = pre_tokenizer.pre_tokenize_str("".join(before + chr(cp) + behind for cp in points))
        begins = {begin for _, (begin, _) in spans}
        found.update(cp for i, cp in enumerate(points) if i * width + len(before) in begins)
    return found


def left_out(pre_tokenizer):
    """The characters that are in no piece."""
    found = set()
    for points in all_characters():
        spans = pre_tokenizer.pre_tokenize_str("".join("b" + chr(cp) for cp in points))
        covered = {at for _, (begin, end) in spans for at in range(begin, end)}
        found.update(cp for i, cp in enumerate(points) if i * 2 + 1 not in covered)
    return found


def kinds():
    """A byte of bits for each code point."""
    space = left_out(pre_tokenizers.WhitespaceSplit())
    no_word = cut_before(pre_tokenizers.Whitespace(), "b", "b")
    numeric = cut_before(pre_tokenizers.Digits(True), "b", "b")
    punct = cut_before(pre_tokenizers.Punctuation(), "b", "b")
    table = bytearray(N_CODE_POINTS)
    for points in all_characters():
        for cp in points:
            word = cp not in no_word and cp not in space
            table[cp] = WORD * word | NUMERIC * (cp in numeric) | PUNCT * (cp in punct) | SPACE * (cp in space)
    return bytes(table)


def scripts():
    """The number of its script for each code point."""
    step = pre_tokenizers.UnicodeScripts()

    def together(a, b):
        return len(step.pre_tokenize_str(chr(a) + chr(b))) == 1

    never = set(range(N_CODE_POINTS)) - cut_before(step, "a") - cut_before(step, "\u4e2d")
    table, first, last = bytearray(N_CODE_POINTS), [], 0
    for points in all_characters():
        for cp in points:
            if cp in never:
                continue
            if not first or not together(first[last], cp):
                last = next((i for i, other in enumerate(first) if together(other, cp)), len(first))
                if last == len(first):
                    first.append(cp)
            table[cp] = last + 1
    assert len(first) < 256, "a script's number no longer fits a byte"
    return bytes(table)


def write(name, codes):
    """Two stages in C."""
    seen, first = {}, []
    for i in range(0, len(codes), BLOCK):
        first.append(seen.setdefault(codes[i:i + BLOCK], len(seen)))
    assert len(seen) <= 256, "block numbers no longer fit a byte"
    for part, values in ((name + "_blocks", first), (name + "_codes", b"".join(seen))):
        print(f"const uint8_t pm_{part}[{len(values)}] = {{")
        for i in range(0, len(values), 32):
            print("    " + ", ".join(map(str, values[i:i + 32])) + ",")
        print("};")


def main():
    if tokenizers.__version__ != VERSION:
        sys.exit(f"make_kinds_table.py: needs tokenizers {VERSION}; see the top of this file")
    print(f"/* Made by scripts/make_kinds_table.py from Hugging Face's tokenizers {VERSION}. Do not edit. */")
    print("/* clang-format off */")
    write("kinds", kinds())
    write("kinds_script", scripts())


if __name__ == "__main__":
    main()
