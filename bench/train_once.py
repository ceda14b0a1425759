#!/usr/bin/env python3
"""Train one vocabulary with piecemill in this process and print what it took as one line of JSON.

usage: train_once.py [--algorithm bpe|bytepiece] [--vocab-size N] [--threads N] [--memory SIZE] [--options JSON] FILE

FILE may be - for standard input. --memory is memory_limit; --options are further arguments of piecemill.train. The row:

    seconds, cpu_seconds    wall clock, and processor time of all threads, of the one call
    above_base_mb           peak resident memory during the call less resident memory before it, as memory_limit counts it (MB are 1024 * 1024 bytes)
    read_mb, written_mb     what was read and written by system calls, the text and temporary files both
    spilled_mb              the most that unnamed temporary files held at one time, as seen ten times a second
    phases                  seconds of wall clock by phase of the progress
    bytes, distinct         of the text; distinct pre-tokens (BytePiece: pieces)
    merges, sha1            BPE: their number; the hash of the first VOCAB_SIZE - 456 of them, as tests/peers/expected has it
    pieces, sha1            BytePiece: their number; the hash of all with their counts, in the order of ids
"""
import argparse
import hashlib
import json
import os
import resource
import stat
import sys
import time

MB = 1 << 20


def of_file(path, names):
    """Numbers behind names in a file of lines "name: number ..."."""
    with open(path) as f:
        rows = dict(line.split(":", 1) for line in f if ":" in line)
    return [int(rows[name].split()[0]) for name in names]


def resident():
    """Resident memory now and its peak, MB; the kernel tells them in KiB."""
    return [n / 1024 for n in of_file("/proc/self/status", ("VmRSS", "VmHWM"))]


def processor_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def unnamed_files(process="self"):
    """Bytes on the disk of a process's open files that have no name."""
    total = 0
    for fd in os.listdir(f"/proc/{process}/fd"):
        try:
            info = os.stat(f"/proc/{process}/fd/{fd}")
        except OSError:  # the folder's own
            continue
        if stat.S_ISREG(info.st_mode) and info.st_nlink == 0:
            total += info.st_blocks * 512
    return total


class Watch:
    """A progress callback that keeps the seconds of each phase and the most that temporary files held."""

    def __init__(self):
        self.phases, self.spilled, self.phase, self.last = {}, 0, "begin", 0.0

    def until(self, phase, seconds):
        """Time since the last look is the phase's that was on then."""
        self.phases[self.phase] = self.phases.get(self.phase, 0) + seconds - self.last
        self.phase, self.last = phase, seconds

    def __call__(self, progress):
        self.until(progress.phase, progress.seconds)
        self.spilled = max(self.spilled, unnamed_files())


def hash_of_bpe(tok, vocab_size):
    merges = [(bytes(left), bytes(right)) for left, right in tok.merges]
    hashed = merges[: vocab_size - 456]
    return {"merges": len(merges), "sha1": hashlib.sha1(b"\0".join(left + b"\1" + right for left, right in hashed)).hexdigest()}


def hash_of_bytepiece(tok):
    ids = [i for i in range(tok.vocab_size) if tok.kind(i) == "piece"]
    rows = (b"%d %d " % (i, tok.piece_count(i)) + tok.id_to_piece(i) for i in ids)
    return {"pieces": len(ids), "sha1": hashlib.sha1(b"\0".join(rows)).hexdigest()}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("file")
    ap.add_argument("--algorithm", choices=["bpe", "bytepiece"], default="bpe")
    ap.add_argument("--vocab-size", type=int, default=32000)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--memory")
    ap.add_argument("--options", type=json.loads, default={})
    a = ap.parse_args()
    import piecemill

    watch = Watch()
    base, _ = resident()
    io = of_file("/proc/self/io", ("rchar", "wchar"))
    begun, cpu = time.perf_counter(), processor_seconds()
    options = {"pattern": "gpt2", **a.options} if a.algorithm == "bpe" else a.options
    tok = piecemill.train([a.file], algorithm=a.algorithm, vocab_size=a.vocab_size, threads=a.threads, memory_limit=a.memory, progress=watch, **options)
    seconds, cpu = time.perf_counter() - begun, processor_seconds() - cpu
    read, written = (b - a for a, b in zip(io, of_file("/proc/self/io", ("rchar", "wchar"))))
    _, peak = resident()
    watch.until("", seconds)
    summary = tok.training_summary
    print(json.dumps({
        "file": os.path.basename(a.file), "algorithm": a.algorithm, "vocab_size": a.vocab_size, "threads": a.threads, "memory": a.memory, "options": a.options,
        "bytes": summary["bytes"], "distinct": summary["distinct"], "seconds": round(seconds, 3), "cpu_seconds": round(cpu, 3),
        "mb_s": round(summary["bytes"] / seconds / 1e6, 2), "above_base_mb": round(peak - base, 1), "read_mb": round(read / MB, 1), "written_mb": round(written / MB, 1),
        "spilled_mb": round(watch.spilled / MB, 1), "phases": {name: round(s, 3) for name, s in watch.phases.items()},
        **(hash_of_bpe(tok, a.vocab_size) if a.algorithm == "bpe" else hash_of_bytepiece(tok))}))


if __name__ == "__main__":
    sys.exit(main())
