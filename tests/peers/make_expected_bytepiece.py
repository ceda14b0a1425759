#!/usr/bin/env python3
"""Writes tests/peers/expected/bytepiece.tsv with bytepiece 0.6.3 itself: hashes of models and ids for the first megabyte of Chinese, English and
mixed text (about three minutes). Documents are lines without their newline, as in ../shared/referee/train_bytepiece.py, and the hashes are
computed as there.

usage: python make_expected_bytepiece.py            (PM_SHARED names the data folder; bytepiece and zstd must be installed)
"""
import base64
import hashlib
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get("PM_SHARED") or os.path.join(HERE, "..", "..", "..", "shared")
SIZES = [16000, 4000, 1000]
TEXTS = {
    "zh": [("zh", 1_000_000)],
    "en": [("en", 1_000_000)],
    "mixed": [("zh", 400_000), ("en", 400_000), ("code", 100_000), ("multi", 100_000)],
}


def corpus(name, size):
    path = os.path.join(SHARED, "corpora", name + ".txt.zst")
    text = subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout
    return text[:size].decode("utf-8", "ignore")


def text_of(name):
    return "\n".join(corpus(part, size) for part, size in TEXTS[name])


def model_hash(pairs):
    """pairs: (piece, count) of all pieces."""
    return hashlib.sha1(repr(sorted(pairs)).encode()).hexdigest()[:12]


def ids_hash(ids):
    return hashlib.sha1(repr([int(i) for i in ids]).encode()).hexdigest()[:12]


def main():
    import bytepiece

    class Documents:
        def __init__(self, text):
            self.text = text

        def __iter__(self):
            return iter(self.text.split("\n"))

    rows = ["text\tsize\tpieces\tmodel_sha1\ttokens\tids_sha1"]
    for name in TEXTS:
        text = text_of(name)
        trainer = bytepiece.Trainer(order=6, max_vocab_size=SIZES, min_count=2)
        trainer.train(Documents(text))
        for size, pieces in zip(trainer.max_vocab_size, trainer.pieces):
            dump = trainer.dump(pieces)
            ids = bytepiece.Tokenizer(dump).encode(text)
            pairs = [(base64.b64decode(k), v[-1]) for k, v in dump.items()]
            rows.append(f"{name}\t{size}\t{len(pairs)}\t{model_hash(pairs)}\t{len(ids)}\t{ids_hash(ids)}")
            print(rows[-1], file=sys.stderr)
    with open(os.path.join(HERE, "expected", "bytepiece.tsv"), "w") as f:
        f.write("# bytepiece 0.6.3, order 6, min_count 2, max_piece_length 36; made again by tests/peers/make_expected_bytepiece.py\n")
        f.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
