#!/usr/bin/env python3
"""Cut the samples of this folder and MANIFEST.tsv from the larger corpora that the developers measure with.

usage: cut_samples.py FOLDER        FOLDER holds zh.txt.zst, en.txt.zst and code.txt.zst

Only ranges whose licence lets them ship are used (public domain, CC0, MIT, Apache-2.0, BSD-3-Clause). A range begins and ends at a blank line.
"""
import hashlib
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

# sample, corpus, first byte, bytes, what it is, licence
RANGES = [
    ("zh.txt", "zh", 36_400_000, 500_000, "d2l-ai/d2l-zh, a deep-learning book", "Apache-2.0"),
    ("zh.txt", "zh", 39_000_000, 200_000, "chinese-poetry/chinese-poetry, classical poems", "MIT"),
    ("en.txt", "en", 16_000_000, 400_000, "python/peps, Python enhancement proposals", "public domain or CC0-1.0"),
    ("en.txt", "en", 30_000_000, 300_000, "ethereum/EIPs, Ethereum improvement proposals", "CC0-1.0"),
    ("code.txt", "code", 15_400_000, 300_000, "facebook/zstd, C sources", "BSD-3-Clause"),
    ("mixed.txt", "zh", 37_300_000, 150_000, "d2l-ai/d2l-zh", "Apache-2.0"),
    ("mixed.txt", "en", 20_000_000, 150_000, "python/peps", "public domain or CC0-1.0"),
    ("mixed.txt", "code", 16_400_000, 100_000, "facebook/zstd", "BSD-3-Clause"),
]


def cut(text, first, size):
    begin = text.index(b"\n\n", first) + 2
    return text[begin : text.rindex(b"\n\n", begin, begin + size) + 2]


def interleave(parts):
    """A paragraph of each in turn, until all are used up."""
    lists = [p.split(b"\n\n") for p in parts]
    longest = max(map(len, lists))
    return b"\n\n".join(x[i] for i in range(longest) for x in lists if i < len(x))


corpora = {
    name: subprocess.run(["zstd", "-dc", os.path.join(sys.argv[1], name + ".txt.zst")], check=True, capture_output=True).stdout
    for name in ("zh", "en", "code")
}
rows = []
for sample in ("zh.txt", "en.txt", "code.txt", "mixed.txt"):
    mine = [r for r in RANGES if r[0] == sample]
    parts = [cut(corpora[r[1]], r[2], r[3]) for r in mine]
    text = interleave(parts) if sample == "mixed.txt" else b"".join(parts)
    text.decode()
    with open(os.path.join(HERE, sample), "wb") as f:
        f.write(text)
    sources = "; ".join(r[4] for r in mine)
    licences = "; ".join(dict.fromkeys(r[5] for r in mine))
    rows.append([sample, str(len(text)), hashlib.sha256(text).hexdigest(), sources, licences])
with open(os.path.join(HERE, "MANIFEST.tsv"), "w") as f:
    f.write("file\tbytes\tsha256\tsource\tlicence\n")
    f.writelines("\t".join(r) + "\n" for r in rows)
