#!/usr/bin/env python3
"""Measure piecemill and its peers on the same work, in turn, in one run, each in a fresh process; print ratios.

usage: bench.py [--rounds N] [--record] [WHAT...]      WHAT: encode bpe bytepiece (default: all)

Uses the referee scripts and the texts of the data folder beside the checkout (PM_SHARED), with this Python, which must have the package
and the peers (bench/requirements.txt). Each pair runs N times in turn; the fastest of each counts. A speed is printed only when
the results are the same. --record adds the rows to bench/RESULTS.md with machine, commit and date.
"""
import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..")
SHARED = os.environ.get("PM_SHARED") or os.path.join(ROOT, "..", "shared")
REFEREE = os.path.join(SHARED, "referee")

ENCODE_PEERS = ["tiktoken", "gigatoken", "quicktok"]
BPE_PEERS = ["rustbpe", "gigabpe"]


def texts(folder):
    """Unpacks the corpora once; name -> path. In processes of their own: a child's peak memory counts from its parent's."""
    out = {}
    for name in ("zh", "en", "code"):
        out[name] = os.path.join(folder, name + ".txt")
        with open(out[name], "wb") as f:
            subprocess.run(["zstd", "-dc", os.path.join(SHARED, "corpora", name + ".txt.zst")], check=True, stdout=f)
    for name, size in (("zh", 20_000_000), ("en", 17_000_000)):
        out[name + "-part"] = os.path.join(folder, f"{name}-{size // 1_000_000}MB.txt")
        cut = "import sys; f = open(sys.argv[1], 'rb').read(int(sys.argv[3])); open(sys.argv[2], 'wb').write(f[: f.rindex(b'\\n') + 1])"
        subprocess.run([sys.executable, "-c", cut, out[name], out[name + "-part"], str(size)], check=True)
    return out


def referee(script, *arguments):
    """One run in a fresh process: the row it printed, or None when the library is not installed."""
    run = subprocess.run([sys.executable, os.path.join(REFEREE, script), *map(str, arguments), "--json"], capture_output=True, text=True)
    if run.returncode != 0:
        if "ModuleNotFoundError" in run.stderr:
            return None
        sys.exit(run.stderr)
    return json.loads(run.stdout.splitlines()[-1])


def race(rounds, script, libraries, arguments, same, better):
    """Runs the libraries in turn; library -> best row by each key of `better` (key -> max or min). All must agree on `same`."""
    best = {}
    for _ in range(rounds):
        for library in libraries:
            row = referee(script, library, *arguments(library))
            if row is None:
                print(f"# {library} is not installed: left out")
                continue
            held = best.setdefault(library, row)
            for key, choose in better.items():
                held[key] = choose(held[key], row[key])
    ours = best[libraries[0]]
    for library, row in list(best.items()):
        if any(row[key] is None for key in same):
            print(f"# the result of {library} cannot be read, so it is not compared")
        elif any(row[key] != ours[key] for key in same):
            print(f"# {library} gives another result: no speed for it ({', '.join(f'{k} {row[k]} / {ours[k]}' for k in same)})")
            del best[library]
    return best


def rows_for(what, text, best, columns):
    """One printed row a peer: ours, the peer's and the ratio of each column (higher is better; seconds and memory are inverted)."""
    ours = best.get("piecemill")
    for library, row in best.items():
        if library == "piecemill" or ours is None:
            continue
        for column, label, inverted in columns:
            a, b = ours[column], row[column]
            ratio = (b / a if inverted else a / b) if a and b else float("nan")
            yield [what, os.path.basename(text), label, f"{a:g}", library, f"{b:g}", f"{ratio:.2f}"]


def bench_encode(paths, rounds):
    for name in ("en", "zh", "code"):
        best = race(rounds, "encode.py", ["piecemill"] + ENCODE_PEERS, lambda _: ["o200k_base", paths[name]],
                    ["sha1"], {"cold_mb_s": max, "warm_mb_s": max})
        yield from rows_for("encode o200k_base, 1 thread", paths[name], best,
                            [("cold_mb_s", "cold MB/s", False), ("warm_mb_s", "warm MB/s", False)])


def bench_bpe(paths, rounds):
    for name in ("en-part", "zh-part"):
        best = race(rounds, "train_bpe.py", ["piecemill"] + BPE_PEERS, lambda _: [paths[name], 32000, "--threads", 2],
                    ["sha1"], {"seconds": min, "above_base_mb": min})
        yield from rows_for("train BPE 32,000, 2 threads", paths[name], best,
                            [("seconds", "seconds", True), ("above_base_mb", "memory MB", True)])


def bench_bytepiece(paths, rounds):
    for name in ("zh", "en"):
        best = race(rounds, "train_bytepiece.py", ["piecemill", "bytepiece"], lambda _: [paths[name], 16000, "--bytes", 1_000_000],
                    ["model_sha1", "ids_sha1"], {"train_mb_s": max, "encode_mb_s": max, "above_base_mb": min})
        yield from rows_for("BytePiece 16,000 on 1 MB, 1 thread", paths[name], best,
                            [("train_mb_s", "training MB/s", False), ("encode_mb_s", "encoding MB/s", False),
                             ("above_base_mb", "training memory MB", True)])


def processor():
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.split(":")[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def record(rows):
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip() or "?"
    where = f"{processor()}, {os.cpu_count()} cores | {commit} | {datetime.date.today()}"
    with open(os.path.join(HERE, "RESULTS.md"), "a") as f:
        f.writelines("| " + " | ".join(r) + f" | {where} |\n" for r in rows)


ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("what", nargs="*", choices=["encode", "bpe", "bytepiece", []])
ap.add_argument("--rounds", type=int, default=3)
ap.add_argument("--record", action="store_true")
a = ap.parse_args()
if not os.path.isdir(REFEREE):
    sys.exit(f"bench.py: {REFEREE} is not here: nothing can be measured")
rows = []
with tempfile.TemporaryDirectory() as folder:
    paths = texts(folder)
    for what, bench in (("encode", bench_encode), ("bpe", bench_bpe), ("bytepiece", bench_bytepiece)):
        if not a.what or what in a.what:
            for r in bench(paths, a.rounds):
                print("  ".join(r), flush=True)
                rows.append(r)
if a.record:
    record(rows)
