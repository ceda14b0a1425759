"""Normalization through the BytePiece encoder equals Python's unicodedata: decode(encode(x)) is the NFC form of x.

Characters that came after this Python's Unicode are left out; the library's data is utf8proc's (2.8: Unicode 15).
"""
import random
import unicodedata

import pytest

piecemill = pytest.importorskip("piecemill")


@pytest.fixture(scope="module")
def tok():
    return piecemill.train_from_iterator(["a small text, and a small text again"] * 4, algorithm="bytepiece", vocab_size=300, min_count=1)


def check(tok, text):
    assert tok.decode_bytes(tok.encode(text)) == unicodedata.normalize("NFC", text).encode()


def assigned():
    return [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) not in ("Cn", "Co")]


def test_every_character(tok):
    characters = assigned()
    for i in range(0, len(characters), 4096):
        check(tok, "\n".join(characters[i : i + 4096]))


def test_pairs_that_compose(tok):
    pairs = {}
    for c in assigned():
        parts = unicodedata.decomposition(c).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            pairs.setdefault(chr(int(parts[1], 16)), []).append(chr(int(parts[0], 16)))
    firsts = sorted({first for some in pairs.values() for first in some})
    for second in pairs:
        check(tok, "\n".join(first + second for first in firsts))
        check(tok, "\n".join(first + "\u0327\u0301" + second for first in firsts))
    jamo = [chr(c) for c in range(0x1100, 0x1200)]
    check(tok, "\n".join(a + b + c for a in jamo[:20] for b in jamo[0x60:0x78] for c in jamo[0xA6:0xC4]))


def test_random_strings(tok):
    rng = random.Random(1)
    marks = [c for c in assigned() if unicodedata.combining(c)]
    others = rng.sample(assigned(), 3000)
    for _ in range(300):
        check(tok, "".join(rng.choice(marks if rng.random() < 0.6 else others) for _ in range(400)))
    check(tok, "a" + "\u0301\u0327" * 2000)  # Python itself is quadratic here


def test_without_normalization(tok):
    text = "cafe\u0301"
    assert tok.decode_bytes(tok.encode(text, normalize=False)) == text.encode()
