#!/usr/bin/env python3
"""Writes expected/bpe_train.tsv: the SHA-1 of the merges that Hugging Face tokenizers makes of each whole corpus, in order.

About ten minutes on one processor. PM_SHARED is the data folder (default: ../shared beside the checkout).
"""
import os
import subprocess
import tempfile

import tokenizers

from bpe_train_common import CORPORA, N_HASHED, VOCAB_SIZE, hash_of, hf_merges

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get("PM_SHARED") or os.path.join(HERE, "..", "..", "..", "shared")


def main():
    rows = []
    for corpus in CORPORA:
        with tempfile.NamedTemporaryFile(suffix=".txt") as f:
            packed = os.path.join(SHARED, "corpora", corpus + ".txt.zst")
            subprocess.run(["zstd", "-dc", packed], check=True, stdout=f)
            size = os.path.getsize(f.name)
            merges = hf_merges(f.name, VOCAB_SIZE)
        rows.append((corpus, size, VOCAB_SIZE, min(len(merges), N_HASHED), hash_of(merges)))
        print(*rows[-1], flush=True)
    with open(os.path.join(HERE, "expected", "bpe_train.tsv"), "w") as f:
        f.write(f"# tokenizers {tokenizers.__version__}, gpt2 pattern, lines; made by tests/peers/make_expected_bpe_train.py\n")
        f.write("corpus\tbytes\tvocab_size\tmerges\tsha1\n")
        for row in rows:
            f.write("\t".join(map(str, row)) + "\n")


if __name__ == "__main__":
    main()
