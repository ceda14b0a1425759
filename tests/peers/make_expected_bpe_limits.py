#!/usr/bin/env python3
"""Writes expected/bpe_limits.tsv: the SHA-1 of the merges that Hugging Face tokenizers makes of texts large enough to spill, with options of its trainer.

usage: make_expected_bpe_limits.py [ROW...]      rows by number, 0 the first; the others stay as they are

A minute a row on one processor. Texts are the first bytes of a corpus of the data folder, or of what corpora/make_growth writes.
"""
import json
import os
import subprocess
import sys
import tempfile

import tokenizers

from bpe_train_common import VOCAB_SIZE, growth_program, hash_of, hf_merges

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get("PM_SHARED") or os.path.join(HERE, "..", "..", "..", "shared")
PATH = os.path.join(HERE, "expected", "bpe_limits.tsv")

# text, bytes, options of tokenizers' trainer
ROWS = (
    ("growth-zh", 16 << 20, {}),
    ("growth-zh", 16 << 20, {"min_frequency": 120}),
    ("zh", 20_000_000, {"max_token_length": 9}),
    ("en", 17_000_000, {"special_tokens": ["<|endoftext|>", "<|pad|>"], "min_frequency": 50}),
)


def text(name, size):
    if name.startswith("growth-"):
        return subprocess.run([growth_program(), name[len("growth-"):], str(size)], check=True, capture_output=True).stdout
    whole = subprocess.run(["zstd", "-dc", os.path.join(SHARED, "corpora", name + ".txt.zst")], check=True, capture_output=True).stdout
    return whole[:size].decode("utf-8", "ignore").encode()


def make(name, size, options):
    with tempfile.NamedTemporaryFile(suffix=".txt") as f:
        f.write(text(name, size))
        f.flush()
        merges = hf_merges(f.name, VOCAB_SIZE, **options)
    return [name, str(size), str(VOCAB_SIZE), json.dumps(options), str(len(merges)), hash_of(merges)]


def main():
    rows = {}
    if os.path.exists(PATH):
        with open(PATH) as f:
            rows = {tuple(row[:4]): row for row in (line.rstrip("\n").split("\t") for line in f if not line.startswith("#"))}
    wanted = [int(i) for i in sys.argv[1:]] or range(len(ROWS))
    for i in wanted:
        row = make(*ROWS[i])
        rows[tuple(row[:4])] = row
        print(*row, flush=True)
    with open(PATH, "w") as f:
        f.write(f"# tokenizers {tokenizers.__version__}, gpt2 pattern, lines; made by tests/peers/make_expected_bpe_limits.py\n")
        f.write("text\tbytes\tvocab_size\toptions\tmerges\tsha1\n")
        for name, size, options in ROWS:
            row = rows.get((name, str(size), str(VOCAB_SIZE), json.dumps(options)))
            if row:
                f.write("\t".join(row) + "\n")


if __name__ == "__main__":
    main()
