#!/usr/bin/env python3
"""The long forms of training within a memory limit: `make scale`. Prints a row a run; ends with 1 if merges differ or memory passed the limit by a tenth.

usage: scale.py limits [--limits 28M,32M,...] [--threads 1,2]
       scale.py stages [--limits 32M,48M] [--threads 2]
       scale.py growth [--kind zh|en] [--size 1G] [--memory 256M] [--threads 2] [--tmpdir DIR] [--beside LIBRARY | --beside-itself] [--record]

limits    each whole corpus of the data folder and each text of expected/bpe_limits.tsv, with each limit and number of threads: the merges are
          those of Hugging Face tokenizers. A limit below 24M + 4M a thread is left out: there the error that names it is tested elsewhere.
stages    a second stage with the pattern superbpe over whole corpora: the merges under each limit are those without one
growth    text of natural growth of any size, piped from make_growth to the command; memory is that of its whole process. --beside gigabpe (or rustbpe,
          tokenizers): the merges are those of this library, while it has memory enough (a few hundred MB); --beside-itself: those of a run without a limit.
          --record writes rows to bench/RESULTS.md.

Needs what ./bootstrap check makes: the package, the peers, make_growth beside the command (PM_COMMAND). PM_SHARED is the data folder.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import piecemill

from bpe_train_common import CORPORA, N_HASHED, VOCAB_SIZE, growth_program, hash_of, measured_run, our_options

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
SHARED = os.environ.get("PM_SHARED") or os.path.join(ROOT, "..", "shared")
COMMAND = os.environ.get("PM_COMMAND") or os.path.join(ROOT, "build", "piecemill")
MB = 1 << 20
sys.path.insert(0, os.path.join(ROOT, "bench"))
import bench  # noqa: E402
import train_once  # noqa: E402


def size_of(text):
    """Bytes of "32M", "10G"."""
    return int(text.rstrip("KMG")) << {"K": 10, "M": 20, "G": 30}.get(text[-1], 0)


def expected_rows(name):
    with open(os.path.join(HERE, "expected", name + ".tsv")) as f:
        lines = [line.rstrip("\n").split("\t") for line in f if not line.startswith("#")]
    return [dict(zip(lines[0], line)) for line in lines[1:]]


def tell(what, row, failures):
    """Prints what a run took and what is wrong with it, which is returned."""
    print(f"{what}: {row['seconds']:.2f} s ({row['cpu_seconds']:.2f} s of processors), {row['mb_s']:.1f} MB/s, peak {row['above_base_mb']:.1f} MB, "
          f"read {row['read_mb']:.0f} MB, written {row['written_mb']:.0f} MB, on disk {row['spilled_mb']:.0f} MB{''.join('; FAILED: ' + f for f in failures)}", flush=True)
    return failures


def too_much(row, limit):
    """Peak memory is the limit and a tenth at most."""
    allowed = 1.1 * size_of(limit) / MB if limit else 0
    return [f"more memory than {allowed:.1f} MB"] if limit and row["above_base_mb"] > allowed else []


def texts():
    """(name, bytes or None for all, options of tokenizers, hash)"""
    for row in expected_rows("bpe_train"):
        yield row["corpus"], None, {}, row["sha1"]
    for row in expected_rows("bpe_limits"):
        yield row["text"], int(row["bytes"]), json.loads(row["options"]), row["sha1"]


def write_text(name, size, path):
    with open(path, "wb") as f:
        if name in CORPORA:
            subprocess.run(["zstd", "-dc", os.path.join(SHARED, "corpora", name + ".txt.zst")], check=True, stdout=f)
        else:
            subprocess.run([growth_program(), name[len("growth-"):], str(size)], check=True, stdout=f)
    if name in CORPORA and size:
        with open(path, "rb") as f:
            text = f.read(size).decode("utf-8", "ignore").encode()
        with open(path, "wb") as f:
            f.write(text)


def limits(a):
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "text.txt")
        for name, size, options, sha1 in texts():
            write_text(name, size, path)
            for threads in map(int, a.threads.split(",")):
                # Pairs longer than a piece may be stay frequent to the end, so with a longest piece they all stay in memory: no limit there.
                for limit in [None] if "max_token_length" in options else a.limits.split(","):
                    if limit and size_of(limit) < (24 + 4 * threads) * MB:
                        continue
                    row = measured_run(path, threads=threads, memory=limit, options=our_options(options))
                    wrong = too_much(row, limit) + (["other merges than those of tokenizers"] if row["sha1"] != sha1 else [])
                    failed += bool(tell(f"{name} {options or ''} {threads} threads, limit {limit}", row, wrong))
    return failed


def stages(a):
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        path, first = os.path.join(folder, "text.txt"), os.path.join(folder, "first.piecemill")
        options = {"extend": first, "pattern": "superbpe", "max_words": 4}
        for name in CORPORA:
            write_text(name, None, path)
            piecemill.train(path, "bpe", vocab_size=VOCAB_SIZE // 2, pattern="o200k_base").save(first)
            threads = int(a.threads.split(",")[-1])
            free = measured_run(path, threads=threads, options=options)
            tell(f"{name}, second stage", free, [])
            for limit in a.limits.split(","):
                if size_of(limit) >= (24 + 4 * threads) * MB:
                    row = measured_run(path, threads=threads, memory=limit, options=options)
                    wrong = too_much(row, limit) + (["other merges than without a limit"] if row["sha1"] != free["sha1"] else [])
                    failed += bool(tell(f"{name}, second stage, limit {limit}", row, wrong))
    return failed


def growth_run(a, limit):
    """A run of the command as a row with the keys of train_once.py; what it reads from the maker is in read_mb, the maker's processor time in none."""
    maker = subprocess.Popen([growth_program(), a.kind, a.size], stdout=subprocess.PIPE)
    with tempfile.TemporaryDirectory(dir=a.tmpdir) as folder:
        model = os.path.join(folder, "model.piecemill")
        call = [COMMAND, "train", "-q", "--json", "-a", "bpe", "-p", "gpt2", "-v", str(VOCAB_SIZE), "--threads", a.threads, "-o", model, "-",
                *(["--memory", limit] if limit else []), *(["--tmpdir", a.tmpdir] if a.tmpdir else [])]
        command = subprocess.Popen(call, stdin=maker.stdout, stdout=subprocess.PIPE)
        maker.stdout.close()
        spilled = read = written = ended = 0
        while not ended:  # what the process holds and did is looked at until it ends
            time.sleep(0.05)
            try:
                read, written = train_once.of_file(f"/proc/{command.pid}/io", ("rchar", "wchar"))
                spilled = max(spilled, train_once.unnamed_files(command.pid))
            except (OSError, KeyError):  # it just ended
                pass
            ended, status, usage = os.wait4(command.pid, os.WNOHANG)
        command.returncode = os.waitstatus_to_exitcode(status)
        summary = command.stdout.read()
        assert command.returncode == 0 and maker.wait() == 0, command.returncode
        merges = piecemill.Tokenizer.load(model).merges
    row = json.loads(summary)
    assert 0 <= size_of(a.size) - row["bytes"] < 4096, row
    row.update(cpu_seconds=usage.ru_utime + usage.ru_stime, mb_s=row["bytes"] / row["seconds"] / 1e6, above_base_mb=usage.ru_maxrss / 1024, read_mb=read / MB,
               written_mb=written / MB, spilled_mb=spilled / MB, merges=len(merges), sha1=hash_of([(bytes(left), bytes(right)) for left, right in merges[:N_HASHED]]))
    return row


def beside(a):
    """The hash that a peer gives of the same text, by the referee of the data folder (12 digits)."""
    with tempfile.TemporaryDirectory(dir=a.tmpdir) as folder:
        path = os.path.join(folder, "text.txt")
        with open(path, "wb") as f:
            subprocess.run([growth_program(), a.kind, a.size], check=True, stdout=f)
        referee = [sys.executable, os.path.join(SHARED, "referee", "train_bpe.py"), a.beside, path, str(VOCAB_SIZE), "--threads", a.threads, "--json"]
        row = json.loads(subprocess.run(referee, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    print(f"{a.beside}: {row['seconds']:.2f} s, peak {row['above_base_mb']} MB", flush=True)
    return row["sha1"]


def growth(a):
    what = f"growth {a.kind} {a.size}, {a.threads} threads"
    row = growth_run(a, a.memory)
    wrong = too_much(row, a.memory)
    if a.beside and not row["sha1"].startswith(beside(a)):
        wrong.append(f"other merges than those of {a.beside}")
    if a.beside_itself:
        free = growth_run(a, None)
        tell(what + ", no limit", free, [])
        if free["sha1"] != row["sha1"]:
            wrong.append("other merges than without a limit")
    tell(f"{what}, limit {a.memory}", row, wrong)
    print(json.dumps(row))
    if a.record and not wrong:
        record(f"train BPE 32,000, {a.threads} threads, limit {a.memory}", f"growth {a.kind} {a.size}", row)
    return len(wrong)


def record(work, text, row):
    figures = [("distinct pre-tokens", row["distinct"]), ("seconds", row["seconds"]), ("seconds of processors", row["cpu_seconds"]), ("MB/s", row["mb_s"]),
               ("memory of the process MB", row["above_base_mb"]), ("temporary files MB", row["spilled_mb"]), ("read MB", row["read_mb"]), ("written MB", row["written_mb"])]
    bench.record(os.path.join(ROOT, "bench", "RESULTS.md"), [[work, text, measure, f"{value:.6g}", "", "", ""] for measure, value in figures], {}, bench.machine())


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=["limits", "stages", "growth"])
    ap.add_argument("--limits", default="28M,32M,48M,64M,128M")
    ap.add_argument("--threads")
    ap.add_argument("--kind", default="zh", choices=["zh", "en"])
    ap.add_argument("--size", default="1G")
    ap.add_argument("--memory", default="256M")
    ap.add_argument("--tmpdir")
    ap.add_argument("--beside")
    ap.add_argument("--beside-itself", action="store_true")
    ap.add_argument("--record", action="store_true")
    a = ap.parse_args()
    a.threads = a.threads or ("1,2" if a.what == "limits" else "2")
    failed = {"limits": limits, "stages": stages, "growth": growth}[a.what](a)
    print(f"scale: {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
