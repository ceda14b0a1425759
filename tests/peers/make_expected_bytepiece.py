#!/usr/bin/env python3
"""Writes tests/peers/expected/bytepiece.tsv with bytepiece 0.6.3 itself: hashes of models and ids for Chinese, English and mixed text of several sizes
and with several options (five minutes). Documents are lines without their newline, as in ../shared/referee/train_bytepiece.py, and the hashes are
computed as there.

usage: python make_expected_bytepiece.py [NAME...]  (PM_SHARED names the data folder; bytepiece and zstd must be installed)

NAME: of TEXTS; only these rows are made again.
"""
import base64
import hashlib
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get("PM_SHARED") or os.path.join(HERE, "..", "..", "..", "shared")
SIZES = [16000, 4000, 1000]
LARGE = [32000, 16000, 8000]
SMALL = [3000, 1000, 500]


def mixed(size):
    return [("zh", size * 4 // 10), ("en", size * 4 // 10), ("code", size // 10), ("multi", size // 10)]


# Name -> parts of text, vocabulary sizes, options by piecemill's names.
TEXTS = {
    "zh": ([("zh", 1_000_000)], SIZES, {}),
    "en": ([("en", 1_000_000)], SIZES, {}),
    "mixed": (mixed(1_000_000), SIZES, {}),
    "zh-4MB": ([("zh", 4_000_000)], LARGE, {}),
    "en-4MB": ([("en", 4_000_000)], LARGE, {}),
    "mixed-4MB": (mixed(4_000_000), LARGE, {}),
    "zh-bytes": ([("zh", 500_000)], SMALL, {"ensure_unicode": False, "ngram_order": 5}),
    "en-short": ([("en", 500_000)], SMALL, {"max_piece_length": 8, "min_count": 3, "ngram_order": 4}),
    "mixed-digits": (mixed(500_000), SMALL, {"isolate_digits": True, "min_count": 5}),
    "mixed-long": (mixed(300_000), SMALL, {"ngram_order": 7, "min_count": 1}),
}


def corpus(name, size):
    path = os.path.join(SHARED, "corpora", name + ".txt.zst")
    text = subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout
    return text[:size].decode("utf-8", "ignore")


def text_of(name):
    return "\n".join(corpus(part, size) for part, size in TEXTS[name][0])


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

    path = os.path.join(HERE, "expected", "bytepiece.tsv")
    wanted = sys.argv[1:] or list(TEXTS)
    rows = {}
    if sys.argv[1:] and os.path.exists(path):
        with open(path) as f:
            rows = {tuple(line.split("\t")[:2]): line.rstrip("\n") for line in f.readlines()[2:]}
    for name in wanted:
        text, (_, sizes, options) = text_of(name), TEXTS[name]
        trainer = bytepiece.Trainer(max_vocab_size=sizes, **{"order" if key == "ngram_order" else key: value for key, value in options.items()})
        trainer.train(Documents(text))
        for size, pieces in zip(trainer.max_vocab_size, trainer.pieces):
            dump = trainer.dump(pieces)
            ids = bytepiece.Tokenizer(dump).encode(text)
            pairs = [(base64.b64decode(k), v[-1]) for k, v in dump.items()]
            rows[name, str(size)] = f"{name}\t{size}\t{len(pairs)}\t{model_hash(pairs)}\t{len(ids)}\t{ids_hash(ids)}"
            print(rows[name, str(size)], file=sys.stderr)
    with open(path, "w") as f:
        f.write("# bytepiece 0.6.3, order 6, min_count 2, max_piece_length 36 but for the options in tests/peers/make_expected_bytepiece.py, which makes it again\n")
        f.write("text\tsize\tpieces\tmodel_sha1\ttokens\tids_sha1\n")
        f.writelines(rows[name, str(size)] + "\n" for name, (_, sizes, _) in TEXTS.items() for size in sizes if (name, str(size)) in rows)


if __name__ == "__main__":
    main()
