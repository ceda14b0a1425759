#!/usr/bin/env python3
"""Write texts that break tokenizers: one file a kind, the same bytes on every machine.

usage: make_hostile.py FOLDER [BYTES]      BYTES of each file, 1048576 unless told; characters are never cut

Run-away merges and quadratic splitting show on runs of one character; wrong positions on bytes that are no UTF-8 and on marks; lost
text on zero bytes and line ends.
"""
import os
import random
import sys


def repeated(unit):
    return lambda size, r: unit * (size // len(unit))


def drawn(units):
    """Units drawn one by one; a byte string is a list of bytes too."""
    pool = [bytes([u]) if isinstance(u, int) else u for u in units]

    def make(size, r):
        out, n = [], 0
        while n < size:
            out.append(pool[r.randrange(len(pool))])
            n += len(out[-1])
        return b"".join(out)[:size] if max(map(len, pool)) == 1 else b"".join(out[:-1])

    return make


def u(text):
    return text.encode("utf-8")


# Half of each are valid beginnings, half are continuation bytes, overlong forms, surrogates and values past the last code point.
BROKEN = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe4\xb8", b"\xf0\x9f\x98", b"\x80", u("中"), b"a", b" ", b"\xc3"]

KINDS = {
    "letters.txt": repeated(b"a"),
    "carets.txt": repeated(b"^"),
    "one_han.txt": repeated(u("的")),
    "spaces.txt": repeated(b" "),
    "zeros.bin": repeated(b"\0"),
    "newlines.txt": repeated(b"\n"),
    "crlf.txt": repeated(b"\r\n"),
    "lines_crlf.txt": drawn([b"word", b" ", b"\r\n", b"\r", b"\n"]),
    "marks.txt": repeated(u("\u0301\u0327")),  # classes 230 and 202 in turn: sorting them one by one is quadratic
    "marks_on_letters.txt": drawn([u("a"), u("\u0301"), u("\u0327"), u("\u0323"), u("e\u0308")]),
    "hangul_parts.txt": repeated(u("\u1100\u1161\u11a8")),
    "zwj.txt": repeated(u("\U0001F469\u200D\U0001F469\u200D\U0001F467\u200D\U0001F466")),
    "emoji.txt": drawn([u(chr(c)) for c in [*range(0x1F300, 0x1F650), *range(0x1F680, 0x1F6C6), *range(0x1F90C, 0x1FA00)]]),
    "flags.txt": repeated(u("\U0001F1E9\U0001F1EA")),
    "broken_utf8.bin": drawn(BROKEN),
    "random.bin": drawn(range(256)),
    "han_without_end.txt": drawn([u(chr(c)) for c in range(0x4E00, 0x9FA6)]),
    "url.txt": lambda size, r: (b"https://example.org/" + drawn(b"abcdefghijklmnopqrstuvwxyz0123456789/-_%=&?.")(size, r))[:size],
    "digits.txt": drawn(b"0123456789"),
    "base64.txt": drawn(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"),
    "apostrophes.txt": drawn([b"'", b"s", b"'s", b"'LL", u("'\u017f"), u("\u2019"), b" ", b"d"]),
    "space_kinds.txt": drawn([u(c) for c in " \t\u00a0\u2003\u3000\u0085\u180e\u200b\u2028\ufeff"] + [b"x"]),
    "specials.txt": repeated(b"<|endoftext|>"),
    "half_specials.txt": repeated(b"<|endoftext|<|endoftext"),
    "right_to_left.txt": drawn([u(c) for c in "אבגدهو\u202e\u202c\u200f "]),
}


def main():
    folder = sys.argv[1]
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 1 << 20
    os.makedirs(folder, exist_ok=True)
    for name, make in KINDS.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(make(size, random.Random(name)))


main()
