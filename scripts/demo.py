#!/usr/bin/env python3
"""The demonstration of ./bootstrap demo: train BytePiece and BPE on corpora/, encode and decode with them, print a table.

Uses the Python package only, as a person would; run it with the Python that has it.
"""
import os
import time

import piecemill

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SAMPLES = ["zh.txt", "en.txt", "code.txt", "mixed.txt"]
VOCAB_SIZE = 8000


def path(name):
    return os.path.join(ROOT, "corpora", name)


def train(algorithm, **options):
    start = time.perf_counter()
    tok = piecemill.train([path("zh.txt"), path("en.txt")], algorithm=algorithm, vocab_size=VOCAB_SIZE, progress=True, **options)
    seconds = time.perf_counter() - start
    print(f"{algorithm}: {tok.vocab_size} entries from {sum(os.path.getsize(path(n)) for n in SAMPLES[:2]) / 1e6:.1f} MB in {seconds:.1f} s")
    return tok


def longest(tok, n=6):
    pieces = []
    for i in range(tok.vocab_size):
        try:
            pieces.append(tok.id_to_piece(i).decode())
        except (UnicodeDecodeError, piecemill.Error, KeyError):
            continue
    han = [p for p in pieces if p and all("\u4e00" <= c <= "\u9fff" for c in p)]
    return "  ".join(sorted(han, key=lambda p: (-len(p), p))[:n])


def row(tok, name):
    text = open(path(name), "rb").read().decode()
    start = time.perf_counter()
    ids, offsets = tok.encode_batch([text])
    seconds = time.perf_counter() - start
    same = tok.decode(ids.tolist()) == text
    size = len(text.encode())
    return [name, tok.algorithm, f"{size:,}", f"{len(ids):,}", f"{size / len(ids):.2f}", f"{size / seconds / 1e6:.0f}",
            "yes" if same else "no (NFC)"]


tokenizers = [train("bytepiece"), train("bpe", pattern="o200k_base")]
table = [["text", "algorithm", "bytes", "tokens", "bytes/token", "MB/s", "same text back"]]
table += [row(tok, name) for name in SAMPLES for tok in tokenizers]
widths = [max(len(r[i]) for r in table) for i in range(len(table[0]))]
print()
for r in table:
    print("  ".join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))))
print()
for tok in tokenizers:
    print(f"longest Chinese pieces of {tok.algorithm}: {longest(tok)}")
sentence = "机器学习和深度学习 are not the same."
for tok in tokenizers:
    ids = tok.encode(sentence)
    print(f"{tok.algorithm}: " + " | ".join(tok.id_to_piece(i).decode(errors="replace") for i in ids))
