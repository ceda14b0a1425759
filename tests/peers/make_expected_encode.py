#!/usr/bin/env python3
"""Writes expected/encode.tsv: what tiktoken makes of the whole corpora, as a number of tokens and the SHA-1 of all ids as little-endian uint32.

About two minutes on one processor. PM_SHARED is the data folder (default: ../shared beside the checkout).
"""
import hashlib
import os
import subprocess

import numpy
import tiktoken

from encode_common import CORPORA, VOCABS, documents, tiktoken_encoding

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get("PM_SHARED") or os.path.join(HERE, "..", "..", "..", "shared")


def main():
    rows = []
    for corpus in CORPORA:
        path = os.path.join(SHARED, "corpora", corpus + ".txt.zst")
        text = subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout.decode()
        docs = documents(text)
        for vocab in VOCABS:
            base = os.path.join(SHARED, "vocabs", vocab)
            encoding = tiktoken_encoding(vocab, base + ".tiktoken", base + ".json")
            sha1, tokens = hashlib.sha1(), 0
            for doc in docs:
                ids = numpy.asarray(encoding.encode_ordinary(doc), dtype="<u4")
                sha1.update(ids.tobytes())
                tokens += len(ids)
            rows.append((vocab, corpus, len(docs), sum(len(d.encode()) for d in docs), tokens, sha1.hexdigest()))
            print(*rows[-1], flush=True)
    with open(os.path.join(HERE, "expected", "encode.tsv"), "w") as f:
        f.write(f"# tiktoken {tiktoken.__version__}; made by tests/peers/make_expected_encode.py\n")
        f.write("vocab\tcorpus\tdocuments\tbytes\ttokens\tsha1\n")
        for row in rows:
            f.write("\t".join(map(str, row)) + "\n")


if __name__ == "__main__":
    main()
