#!/usr/bin/env python3
"""Show where the nanoseconds a byte of encoding go: shares by phase and by function, cold and warm, beside the machine's own limits.

usage: phases.py [--program PATH] [--pattern NAME] [--form str|bytes] [--record] [TEXT...]      TEXT: zh en code multi (default: all), or a file

bench_c (--program; `make bench_c`, with debugging symbols, which is the default) notes where it is 4,000 times a second; addr2line of binutils turns addresses
into functions, inlined ones too. A sample belongs to the first phase in the table PHASES that the innermost of its functions has. Cold passes
are made in fresh processes until there are samples enough. Output is Markdown; --record writes it into docs/performance.md, in place of
what stands below "## Measured". Run it on a quiet machine.
"""
import argparse
import collections
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile

import bench

ENOUGH = 4000  # samples of a text and pass
MOST_RUNS = 40

# (phase, file, function): regular expressions that the innermost function with a known file is held against. Files without a phase, such as
# those of base/ and of the compiler, count for the function that they are inlined into.
PHASES = [
    ("conversion from Python's str", r"text/transcode", r""),
    ("special tokens", r"encode/(special|added)", r""),
    ("normalizing", r"encode/(normalizer|replace|rewrite)|text/(forms|grapheme|charsmap)", r""),
    ("algorithms of general tokenizers", r"encode/(core|texts|wordpiece)", r""),
    ("other steps of general tokenizers", r"encode/(pipeline|offsets|template|decoder)", r""),
    ("classes of characters", r"pretok/classes|text/unicode", r""),
    ("starts of pre-tokens", r"pretok/", r""),
    ("cutting at certain breaks", r"encode/breaks", r""),
    ("cutting at certain breaks", r"encode/bpe", r"^add_(segments|marked)|cut|break"),
    ("making keys", r"encode/words", r"key"),
    ("making keys", r"encode/bpe", r"^(prepare|fill_|is_likely|key_of|add_whole)"),
    ("look-ups of units seen before", r"encode/memo", r""),
    ("look-ups of entries", r"encode/words", r""),
    ("look-ups of entries", r"encode/bpe", r"hash|look|find"),
    ("merging", r"encode/(merge|pairs|first)", r""),
    ("merging", r"encode/bpe", r"merge|pair|encode_new"),
    ("writing ids and the loop around", r"encode/(bpe|encode|batch|engine|plan|inside|shelf)", r""),
    ("lattice (BytePiece)", r"encode/(lattice|sample|alternatives|heads|placer|ten|ways|weight)|text/nfc", r""),
]


def phase_of(frames):
    """The phase of a sample; frames: (function, file) from the innermost outwards."""
    for function, file in frames:
        for phase, file_pattern, function_pattern in PHASES:
            if re.search(file_pattern, file) and re.search(function_pattern, function):
                return phase
    return "other"


def shown(frames):
    """The name under which a sample is counted by function: the innermost function of ours, else the innermost."""
    for function, file in frames:
        found = re.search(r"/lib/((?:base|text|pretok|model|encode)/[\w.]+)$", file)
        if found:
            return f"{function} ({found.group(1)})"
    return f"{frames[0][0]} ({os.path.basename(frames[0][1])})"


def frames_of(counts):
    """(file, address, symbol) -> frames, for the keys of counts."""
    out = {}
    by_file = collections.defaultdict(list)
    for file, address, symbol in counts:
        by_file[file].append((address, symbol))
    for file, places in by_file.items():
        answers = {}
        if os.path.exists(file):
            run = subprocess.run(["addr2line", "-a", "-f", "-i", "-e", file], input="".join(f"{a}\n" for a, _ in places), capture_output=True, text=True, check=True)
            for block in re.split(r"^0x0*(?=[0-9a-f])", run.stdout, flags=re.M)[1:]:
                lines = block.split("\n")
                pairs = zip(lines[1::2], lines[2::2])
                answers[lines[0]] = [(f, os.path.normpath(where.rsplit(":", 1)[0])) for f, where in pairs]
        for address, symbol in places:
            frames = answers.get(address, [])
            out[file, address, symbol] = frames if frames and frames[0][0] != "??" else [(symbol, file)]
    return out


class Profile:
    """Samples of one text and pass, by phase and by function, in nanoseconds of processor time a byte."""

    def __init__(self, counts, rows):
        frames = frames_of(counts)
        total = sum(counts.values()) or 1
        passes = sum(r["passes"] for r in rows)
        mean = lambda key: sum(r[key] * r["passes"] for r in rows) / passes
        self.ns, self.faults = mean("cpu_ns_byte"), mean("page_faults")
        self.phases, self.functions = collections.Counter(), collections.Counter()
        for place, count in counts.items():
            self.phases[phase_of(frames[place])] += count / total * self.ns
            self.functions[shown(frames[place])] += count / total * self.ns


def measure(program, model, form, text, cold, folder):
    counts, rows = collections.Counter(), []
    passes = 1
    while sum(counts.values()) < ENOUGH and len(rows) < MOST_RUNS:
        out = os.path.join(folder, "samples")
        run = subprocess.run([program, "sample", "-f", form, "-o", out, *(["-c"] if cold else ["-n", str(passes)]), *model, text], capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"phases.py: {run.stderr}")
        rows.append(json.loads(run.stdout))
        with open(out) as f:
            counts.update(tuple(line.rstrip("\n").rsplit(" ", 2)) for line in f)
        passes = min(200, passes * max(2, ENOUGH // max(1, rows[-1]["samples"] // 2)))
    return Profile(counts, rows)


def from_str(text, pattern, model):
    """Nanoseconds a byte of encode_batch for documents that are str and for the same as bytes, warm, in one process; None without the package."""
    code = """
import json, sys, time
import piecemill
path, pattern, text = sys.argv[1:]
tok = piecemill.Tokenizer.load(path, pattern=pattern)
docs = [d for d in open(text, encoding="utf-8", errors="replace", newline="").read().split("\\n\\n")]
docs = ["\\n\\n".join(docs[i : i + 20]) for i in range(0, len(docs), 20)]
raw = [d.encode() for d in docs]
def best(x):
    times = []
    for _ in range(7):
        t = time.perf_counter(); tok.encode_batch(x, threads=1); times.append(time.perf_counter() - t)
    return min(times) / sum(map(len, raw)) * 1e9
print(json.dumps([best(docs), best(raw)]))
"""
    run = subprocess.run([sys.executable, "-c", code, model, pattern, text], capture_output=True, text=True)
    return json.loads(run.stdout) if run.returncode == 0 else None


def report(name, cold, warm, python):
    """Markdown: a table of phases and one of functions."""
    phases = [p for p in dict.fromkeys(p for p, _, _ in PHASES) if cold.phases[p] or warm.phases[p]] + ["other"]
    cells = lambda profile, x: [f"{x:.3f}", f"{100 * x / profile.ns:.0f} %"]
    rows = [[p, *cells(cold, cold.phases[p]), *cells(warm, warm.phases[p])] for p in phases]
    rows.append(["together", *cells(cold, cold.ns), *cells(warm, warm.ns)])
    out = f"### {name}\n\n{1e3 / cold.ns:.0f} MB/s cold, {1e3 / warm.ns:.0f} warm; {cold.faults:.0f} page faults in the first pass, {warm.faults:.0f} in a later one"
    if python:
        out += f"; called from Python, warm, {python[0]:.2f} ns a byte from str, {python[1]:.2f} from bytes"
    out += ".\n\n" + bench.table(["phase", "cold, ns a byte", "share", "warm, ns a byte", "share"], rows)
    functions = [f for f, _ in (cold.functions + warm.functions).most_common(12)]
    return out + "\n" + bench.table(["function", "cold, ns a byte", "share", "warm, ns a byte", "share"],
                                    [[f, *cells(cold, cold.functions[f]), *cells(warm, warm.functions[f])] for f in functions])


def limits(program):
    rows = [json.loads(line) for line in subprocess.run([program, "limits"], capture_output=True, text=True, check=True).stdout.splitlines()]
    by_what = collections.defaultdict(list)
    for r in rows:
        size = f"{r['bytes'] / (1 << 20):g} MiB" if r["bytes"] >= 1 << 20 else f"{r['bytes'] >> 10} KiB"
        by_what[r["what"]].append(f"{r['value']:.3g} {r['unit']} in {size}")
    return "### The machine's limits\n\n" + bench.table(["what", "measured"], [[what, "; ".join(cells)] for what, cells in by_what.items()])


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("texts", nargs="*", default=bench.TEXTS)
    ap.add_argument("--program", default=os.path.join(bench.ROOT, "build", "bench_c"))
    ap.add_argument("--pattern", default=bench.MAIN)
    ap.add_argument("--form", default="str", choices=["str", "bytes"])
    ap.add_argument("--record", action="store_true")
    a = ap.parse_args()
    model = bench.model(a.pattern)
    form = "the form of Python's str" if a.form == "str" else "bytes"
    sections = [f"{a.pattern}, one thread, long documents, from {form}. {', '.join(bench.machine())}. Processor time, sampled every 250 microseconds.\n", limits(a.program)]
    with tempfile.TemporaryDirectory() as folder:
        for text in a.texts:
            path = text
            if text in bench.TEXTS:
                path = os.path.join(folder, text + ".txt")
                bench.unpack(text, path)
            cold, warm = (measure(a.program, model, a.form, path, cold, folder) for cold in (True, False))
            sections.append(report(text, cold, warm, from_str(path, a.pattern, model[-1])))
            print(sections[-1], flush=True)
    print(sections[1])
    if a.record:
        path = os.path.join(bench.ROOT, "docs", "performance.md")
        with open(path) as f:
            head = f.read().split("## Measured\n")[0]
        with open(path, "w") as f:
            f.write(head + "## Measured\n\n" + "\n".join(sections))


if __name__ == "__main__":
    main()
