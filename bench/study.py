#!/usr/bin/env python3
"""Does training BytePiece on more text pay? Bytes per token on text that was held out, by size of vocabulary and of training text.

usage: study.py [--mb N...] [--sizes N...] [--held-out MB] [--record]

The distinct lines of each text of the data folder beside the checkout (PM_SHARED) are shuffled by a fixed seed; the first MB are held out, vocabularies of all sizes are trained on
the first N MB of the others. "mixed" is Chinese and English in equal parts. Prints tables of Markdown; --record puts them into docs/study.md in place of those that
are there. Nothing here depends on how busy the machine is; some two minutes of processor time.
"""
import argparse
import os
import random
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, ".."))
SHARED = os.path.abspath(os.environ.get("PM_SHARED") or os.path.join(ROOT, "..", "shared"))
TEXTS = [("Chinese", ["zh"]), ("English", ["en"]), ("Mixed", ["zh", "en"])]
MARK = "<!-- tables by bench/study.py -->\n"


def lines_of(names):
    """The distinct lines of the texts, the same number of bytes of each, shuffled."""
    texts = []
    for name in names:
        text = subprocess.run(["zstd", "-dc", os.path.join(SHARED, "corpora", name + ".txt.zst")], check=True, capture_output=True).stdout
        lines = list(dict.fromkeys(text.splitlines(keepends=True)))
        random.Random(1).shuffle(lines)
        texts.append(lines)
    if len(texts) == 1:
        return texts[0]
    least = min(sum(map(len, lines)) for lines in texts)
    lines = [line for lines in texts for line in take(iter(lines), least)]
    random.Random(2).shuffle(lines)
    return lines


def take(lines, size):
    """The next lines of an iterator, as many as give so many bytes."""
    taken, total = [], 0
    while total < size:
        line = next(lines, None)
        if line is None:
            break
        taken.append(line)
        total += len(line)
    return taken


def bytes_per_token(tok, documents):
    _, offsets = tok.encode_batch(documents)
    return sum(map(len, documents)) / offsets[-1]


def study(names, mbs, sizes, held_out_mb):
    """Rows: MB of training text, then for each size bytes per token, or None where there were not enough pieces."""
    import piecemill

    lines = iter(lines_of(names))
    held_out, others = take(lines, held_out_mb * 1_000_000), list(lines)
    for mb in mbs:
        training = take(iter(others), mb * 1_000_000)
        models = piecemill.train_from_iterator(training, algorithm="bytepiece", vocab_size=sizes)
        actual = round(sum(map(len, training)) / 1e6)
        yield actual, [(bytes_per_token(tok, held_out), tok.vocab_size) for tok in models]


def table(title, rows, sizes):
    yield f"\n### {title}\n\n"
    yield "| trained on | " + " | ".join(f"{size:,}" for size in sizes) + " |\n| --- |" + " --- |" * len(sizes) + "\n"
    for mb, cells in rows:
        shown = [f"{value:.3f}" if pieces >= 0.99 * size else f"{value:.3f} ({pieces:,} ids)" for (value, pieces), size in zip(cells, sizes)]
        yield f"| {mb} MB | " + " | ".join(shown) + " |\n"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--mb", type=int, nargs="+", default=[1, 10, 40])
    ap.add_argument("--sizes", type=int, nargs="+", default=[8000, 16000, 32000, 64000])
    ap.add_argument("--held-out", type=int, default=2)
    ap.add_argument("--record", action="store_true")
    a = ap.parse_args()
    parts = []
    for title, names in TEXTS:
        for part in table(title, study(names, a.mb, a.sizes, a.held_out), a.sizes):
            print(part, end="", flush=True)
            parts.append(part)
    if a.record:
        path = os.path.join(ROOT, "docs", "study.md")
        with open(path, encoding="utf-8") as f:
            before, _, behind = f.read().split(MARK)
        with open(path, "w", encoding="utf-8") as f:
            f.write(before + MARK + "".join(parts) + "\n" + MARK + behind)


if __name__ == "__main__":
    main()
