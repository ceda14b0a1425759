#!/usr/bin/env python3
"""Measure piecemill and its peers on the same work, in turn, each in a fresh process; print ratios, and which targets are met.

usage: bench.py [--rounds N] [--record] [--program PATH] [--mb N] [WHAT...]

WHAT (default: all)
    encode      str -> ids by the referee: piecemill, gigatoken, quicktok; tiktoken and tokenizers on 5 MB of each text
    c           from bytes by bench_c (--program): vocabularies, short documents, threads, calls, loading, memory, hostile texts
    bytepiece   training and encoding against bytepiece at 1 MB, and how training goes on to 40 MB, with one thread and two
    bytepiece_large  BytePiece training on 1 and 10 GB of make_growth's text, without and within memory limits, one round: half an hour, 11 GB of disk
    bpe         training against gigabpe at growing sizes, and what a memory limit costs
    bpe_slow    training against rustbpe, tokenizers and sentencepiece at growing sizes, one round of theirs: a quarter of an hour
    targets     encode, c and bytepiece, without the slow peers

Uses the referee scripts and the texts of the data folder beside the checkout (PM_SHARED), with this Python, which must have the package
and the peers (bench/requirements.txt). Each runs N times in turn (default 3) and the best counts. A speed is printed only when the ids are the same.
Tables of targets end the output where they were measured. --record writes rows and tables to bench/RESULTS.md with machine, commit and date, in place of older
rows of the same kind, and draws the growth of training (plot.py). --mb N: only the first N MB of each text: a trial run, whose figures say little.
"""
import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile

import plot

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, ".."))
SHARED = os.path.abspath(os.environ.get("PM_SHARED") or os.path.join(ROOT, "..", "shared"))

TEXTS = ["zh", "en", "code", "multi"]
MAIN = "o200k_base"
FAST_PEERS = ["gigatoken", "quicktok"]
SLOW_PEERS = ["tiktoken", "tokenizers"]
FAST_TRAINERS = ["gigabpe"]
SLOW_TRAINERS = ["rustbpe", "tokenizers", "sentencepiece"]

# MB of text that BPE is trained on; targets are for some of them. LIMITED_MB of make_growth's text for the cost of limits, which are parts of what an
# unlimited run takes.
TRAIN_MB = {"zh": [5, 10, 20, 40, 47], "en": [5, 10, 17, 20, 39]}
SLOW_TRAIN_MB = {"zh": [5, 10, 20, 40], "en": [5, 10, 20, 39]}
BYTEPIECE_MB = {"zh": [1, 10, 40], "en": [1, 10, 39]}
LIMITED_MB = 256
LIMIT_PARTS = [2, 4, 10]

# The vocabularies at hand are OpenAI's. Of the other models only the pattern is used, with the ranks of the one that is nearest: llama3's and qwen2's
# own began as cl100k_base; deepseek_v3's has Chinese pieces, as o200k_base has.
VOCABS = {MAIN: MAIN, "cl100k_base": "cl100k_base", "gpt2": "gpt2", "llama3": "cl100k_base", "qwen2": "cl100k_base", "deepseek_v3": MAIN}

# Texts of corpora/make_hostile.py; no_space is English without white space, 10 MB.
HOSTILE = ["random.bin", "broken_utf8.bin", "emoji.txt", "zwj.txt", "flags.txt", "letters.txt", "carets.txt", "one_han.txt", "spaces.txt", "newlines.txt", "zeros.bin",
           "digits.txt", "base64.txt", "marks.txt", "marks_on_letters.txt", "hangul_parts.txt", "han_without_end.txt", "apostrophes.txt", "space_kinds.txt", "no_space.txt"]
HOSTILE_MB = 2

# Siblings of the portable code that are measured beside the one that this machine takes by itself.
CPUS = ["portable", "avx2"] if platform.machine() in ("x86_64", "AMD64") else ["portable"]


# ---- rows and facts ----
#
# A row is what is printed and recorded: [work, text, measure, ours, peer, the peer's, ratio]. A fact is a number under a key, which the
# targets are computed from: ("python", text, threads, library, "cold") and so on.


def ratio(ours, peers, inverted=False):
    """How many times better ours is; inverted: less is better (seconds, memory). NaN where one is missing or zero."""
    if not ours or not peers:
        return float("nan")
    return peers / ours if inverted else ours / peers


def agreeing(rows, keys, ours="piecemill"):
    """Splits library -> row into those whose results are those of `ours`, and sentences about the others."""
    good, complaints = {}, []
    for library, row in rows.items():
        if any(row.get(key) is None for key in keys):
            complaints.append(f"the result of {library} cannot be read, so it is not compared")
            good[library] = row
        elif library != ours and any(row[key] != rows[ours].get(key) for key in keys):
            differ = ", ".join(f"{key} {row[key]} / {rows[ours].get(key)}" for key in keys if row[key] != rows[ours].get(key))
            complaints.append(f"{library} and {ours} give different results: no speed for this pair ({differ})")
        else:
            good[library] = row
    return good, complaints


def keep_best(best, row, better):
    """Merges a new row into the best one so far; better: key -> max or min. Results must not change from run to run."""
    for key in ("sha1", "ids_sha1", "model_sha1"):
        if best.get(key) != row.get(key):
            sys.exit(f"bench.py: two runs of the same work give different results: {best}, {row}")
    for key, choose in better.items():
        if row.get(key) is not None:
            best[key] = choose(best[key], row[key])
    return best


def beside(what, text, best, columns):
    """One row a peer and column: ours, the peer's and the ratio. columns: (key, label, inverted)."""
    ours = best.get("piecemill")
    for library, row in best.items():
        if library != "piecemill" and ours is not None:
            for key, label, inverted in columns:
                yield [what, os.path.basename(text), label, f"{ours[key]:.4g}", library, f"{row[key]:.4g}", f"{ratio(ours[key], row[key], inverted):.2f}"]


# ---- running ----


def unpack(name, path):
    """Writes a text of the data folder to a file."""
    with open(path, "wb") as f:
        subprocess.run(["zstd", "-dc", os.path.join(SHARED, "corpora", name + ".txt.zst")], check=True, stdout=f)


def model(pattern):
    """The arguments that name a vocabulary to bench_c; the last is its file."""
    ranks = VOCABS[pattern]
    with open(os.path.join(SHARED, "vocabs", ranks + ".json")) as f:
        special = json.load(f)["special_tokens"]
    return ["-p", pattern, *[x for text, i in special.items() for x in ("-s", f"{text}={i}")], os.path.join(SHARED, "vocabs", ranks + ".tiktoken")]


class Bench:
    def __init__(self, folder, rounds, program, mb):
        self.folder, self.rounds, self.program, self.mb = folder, rounds, program, mb
        self.rows, self.facts, self.hashes = [], {}, {}
        self.paths = {}
        self.referee_folder = os.path.join(folder, "data", "referee")
        self.unpack()

    def unpack(self):
        """The texts, and a data folder in which a tokenizer.json may be written. In processes of their own: a child's peak memory counts from its parent's."""
        for name in TEXTS:
            path = self.paths[name] = os.path.join(self.folder, name + ".txt")
            unpack(name, path)
            if self.mb:
                os.replace(self.head(name, self.mb), path)
        for part in ("referee", "vocabs"):
            os.makedirs(os.path.join(self.folder, "data", part))
            for name in os.listdir(os.path.join(SHARED, part)):
                os.symlink(os.path.join(SHARED, part, name), os.path.join(self.folder, "data", part, name))

    def head(self, name, mb):
        """The first MB of a text, up to a line's end."""
        path = os.path.join(self.folder, f"{name}-{mb}MB.txt")
        cut = "import sys; f = open(sys.argv[1], 'rb').read(int(sys.argv[3])); open(sys.argv[2], 'wb').write(f[: f.rindex(b'\\n') + 1])"
        subprocess.run([sys.executable, "-c", cut, self.paths[name], path, str(mb * 1_000_000)], check=True)
        return path

    def add(self, rows):
        for row in rows:
            print("  ".join(row), flush=True)
            self.rows.append(row)

    def referee(self, script, *arguments):
        """One run in a fresh process: the row it printed, or None when the library is not installed or fails, which is told."""
        run = subprocess.run([sys.executable, os.path.join(self.referee_folder, script), *map(str, arguments), "--json"], capture_output=True, text=True)
        if run.returncode != 0:
            print(f"# {script} {' '.join(map(str, arguments))}: {(run.stderr.strip() or str(run.returncode)).splitlines()[-1]}", flush=True)
            return None
        return json.loads(run.stdout.splitlines()[-1])

    def race(self, rounds, script, libraries, arguments, same, better, once=()):
        """Runs the libraries in turn, those of `once` in the first round only; library -> best row, of those that agree with piecemill on `same`."""
        best = {}
        for i in range(rounds):
            for library in [library for library in libraries if i == 0 or library not in once]:
                row = self.referee(script, library, *arguments)
                if row is None and library == "piecemill":
                    sys.exit(f"bench.py: {sys.executable} has no package piecemill, or it fails")
                if row is not None:
                    best[library] = keep_best(best[library], row, better) if library in best else row
        good, complaints = agreeing(best, same)
        for complaint in complaints:
            print("#", complaint)
        return good

    # ---- str -> ids ----

    def encode_race(self, vocab, path, threads, libraries, rounds, passes):
        return self.race(rounds, "encode.py", libraries, [vocab, path, "--threads", threads, "--passes", passes], ["sha1"],
                         {"cold_mb_s": max, "warm_mb_s": max})

    def encode(self, slow=True):
        columns = [("cold_mb_s", "cold MB/s", False), ("warm_mb_s", "warm MB/s", False)]
        for threads in (1, 2):
            work = f"encode {MAIN}, {threads} thread{'s' * (threads > 1)}"
            for name in TEXTS:
                best = self.encode_race(MAIN, self.paths[name], threads, ["piecemill"] + FAST_PEERS, self.rounds, 3)
                self.add(beside(work, self.paths[name], best, columns))
                for library, row in best.items():
                    for key in ("cold", "warm"):
                        self.facts["python", name, threads, library, key] = row[key + "_mb_s"]
                if len(best) > 1:
                    self.hashes[MAIN, name] = best["piecemill"]["sha1"]
        if slow:
            subprocess.run([sys.executable, os.path.join(self.referee_folder, "make_tokenizer_json.py"), MAIN], check=True, stdout=subprocess.DEVNULL)
            for threads in (1, 2):
                for name in TEXTS:
                    path = self.head(name, 5)
                    best = self.encode_race(MAIN, path, threads, ["piecemill"] + SLOW_PEERS, 1, 1)
                    self.add(beside(f"encode {MAIN}, {threads} thread{'s' * (threads > 1)}", path, best, columns))

    # ---- bytes -> ids ----

    def peers_hash(self, vocab, name):
        """The hash of the ids that a peer gives, None if none does."""
        if (vocab, name) not in self.hashes:
            row = self.referee("encode.py", "gigatoken", vocab, self.paths[name], "--passes", 0)
            self.hashes[vocab, name] = row and row["sha1"]
        return self.hashes[vocab, name]

    def cpus(self):
        """Those of CPUS that this machine can run."""
        can = lambda cpu: subprocess.run([self.program, "load", "-n", "1", *model("gpt2")], env={**os.environ, "PIECEMILL_CPU": cpu}, capture_output=True).returncode == 0
        return [cpu for cpu in CPUS if can(cpu)]

    def run_c(self, what, *arguments, cpu=None):
        """The rows of one run of bench_c; none when it fails, which is told."""
        environment = {**os.environ, "PIECEMILL_CPU": cpu} if cpu else None
        run = subprocess.run([self.program, what, *map(str, arguments)], capture_output=True, text=True, env=environment)
        if run.returncode != 0:
            print(f"# bench_c {what} {' '.join(map(str, arguments))}: ends with {run.returncode}, {run.stderr.strip()}", flush=True)
            return []
        return [json.loads(line) for line in run.stdout.splitlines()]

    def c_jobs(self):
        """What bench_c is asked: key of facts -> arguments."""
        jobs = {}
        main = model(MAIN)
        cpus = self.cpus()
        for name in TEXTS:
            path = self.paths[name]
            for pattern in VOCABS:
                jobs["c", pattern, name, 1] = ["encode", "-n", 3 if pattern == MAIN else 2, *model(pattern), path]
            jobs["c", MAIN, name, 2] = ["encode", "-t", 2, *main, path]
            for cpu in cpus:
                jobs["cpu", MAIN, name, cpu] = ["encode", "-n", 2, *main, path]
            jobs["str", MAIN, name] = ["encode", "-f", "str", *main, path]
            jobs["short", MAIN, name] = ["encode", "-d", "short", *main, path]
            jobs["single", MAIN, name] = ["single", *main, path]
            jobs["normal", name] = ["single", "-d", "one", "-b", HOSTILE_MB * 1_000_000, *main, path]
        for name in ("en", "zh"):
            jobs["calls", name] = ["calls", *main, self.paths[name]]
            jobs["bytepiece", name] = ["encode", self.bytepiece_model(name), self.paths[name]]
        for pattern in VOCABS:
            if pattern == VOCABS[pattern]:
                jobs["load", pattern] = ["load", *model(pattern)]
        for name in HOSTILE:
            jobs["hostile", name] = ["single", "-d", "one", *main, os.path.join(self.folder, "hostile", name)]
        return jobs

    def bytepiece_model(self, name):
        """A BytePiece vocabulary of 16,000 from the first MB of a text, its lines being the documents, as a native file."""
        path = os.path.join(self.folder, name + ".piecemill")
        train = "import sys, piecemill; piecemill.train([sys.argv[1]], algorithm='bytepiece', vocab_size=16000).save(sys.argv[2])"
        subprocess.run([sys.executable, "-c", train, self.head(name, 1), path], check=True)
        return path

    def make_hostile(self):
        folder = os.path.join(self.folder, "hostile")
        subprocess.run([sys.executable, os.path.join(ROOT, "corpora", "make_hostile.py"), folder, str(HOSTILE_MB * 1_000_000)], check=True)
        strip = "import sys; open(sys.argv[2], 'wb').write(b''.join(open(sys.argv[1], 'rb').read(14_000_000).split())[:10_000_000])"
        subprocess.run([sys.executable, "-c", strip, self.paths["en"], os.path.join(folder, "no_space.txt")], check=True)

    def c(self):
        self.make_hostile()
        limits = self.run_c("limits")
        jobs, best = self.c_jobs(), {}
        for _ in range(self.rounds):
            self.peers_beside()
            for key, arguments in jobs.items():
                for row in self.run_c(*arguments, cpu=key[3] if key[0] == "cpu" else None):
                    better = {k: max if k.endswith("_mb_s") or k == "beyond_mb" else min for k in row if k.endswith(("_mb_s", "_ms", "_ns", "_mb"))}
                    best[key] = keep_best(best[key], row, better) if key in best else row
        best = self.refuse(best)
        self.facts.update(best)
        self.add(c_rows(best, limits))

    def peers_beside(self):
        """The peers' speed on Chinese in the same minutes, by their own clock from str."""
        for library in FAST_PEERS:
            row = self.referee("encode.py", library, MAIN, self.paths["zh"])
            if row and row["sha1"] == self.peers_hash(MAIN, "zh"):
                for k in ("cold", "warm"):
                    fact = "beside", "zh", 1, library, k
                    self.facts[fact] = max(row[k + "_mb_s"], self.facts.get(fact, 0))

    def refuse(self, best):
        """Leaves out rows whose ids are not those of a peer, or not the same in each way of asking."""
        good = {}
        for key, row in best.items():
            if key[0] in ("c", "cpu", "str", "single"):
                pattern, name = key[1], key[2]
                vocab = "cl100k_base" if pattern == "llama3" else pattern  # the same splitting and the same ranks
                expected = self.peers_hash(vocab, name) if vocab == VOCABS[pattern] else best.get(("c", pattern, name, 1), row)["sha1"]
                if expected is None:
                    print(f"# no peer gives ids for {pattern} on {name}: not compared")
                elif row["sha1"] != expected:
                    print(f"# {key}: other ids than the peer's, no speed (sha1 {row['sha1']} / {expected})")
                    continue
            good[key] = row
        return good

    # ---- training ----

    def bpe(self, sizes, peers, once=()):
        for name in sizes:
            for mb in sizes[name]:
                path = self.head(name, min(mb, self.mb or mb))
                best = self.race(self.rounds, "train_bpe.py", ["piecemill"] + peers, [path, 32000, "--threads", 2], ["sha1"], {"seconds": min, "above_base_mb": min}, once)
                self.add(beside(plot.WORK, f"{name}-{mb}MB.txt", best, [("seconds", "seconds", True), ("above_base_mb", "memory MB", True)]))
                for library, row in best.items():
                    self.facts["bpe", name, mb, library] = row
                os.remove(path)

    def train_once(self, path, memory=None, threads=2, rounds=None, more=()):
        """The best of the rounds of train_once.py. more: further arguments of it."""
        best = None
        for _ in range(rounds or self.rounds):
            call = [sys.executable, os.path.join(HERE, "train_once.py"), path, "--threads", str(threads), *(["--memory", str(memory)] if memory else []), *more]
            run = subprocess.run(call, capture_output=True, text=True)
            if run.returncode != 0:
                print(f"# {' '.join(call[1:])}: {(run.stderr.strip() or str(run.returncode)).splitlines()[-1]}", flush=True)
                return None
            row = json.loads(run.stdout)
            best = keep_best(best, row, {"seconds": min, "cpu_seconds": min, "above_base_mb": max}) if best else row
        return best

    def limits(self):
        """What memory_limit costs: Chinese of 47 MB with the limit of the targets and the least; text of natural growth with parts of the memory of a free run."""
        for threads, limit in ((2, "64M"), (1, "28M")):
            row = self.train_once(self.paths["zh"], limit, threads)
            free = self.train_once(self.paths["zh"], None, threads)
            self.add(limit_rows("zh.txt", threads, limit, row, free))
            self.facts["limit", "zh", limit] = row
        mb = min(LIMITED_MB, self.mb or LIMITED_MB)
        path = self.make_growth(mb)
        free = self.train_once(path)
        for part in LIMIT_PARTS:
            limit = free and int(free["above_base_mb"] / part)
            if limit and limit >= 32:
                self.add(limit_rows(f"growth zh {mb}M", 2, f"{limit}M", self.train_once(path, f"{limit}M"), free))
        os.remove(path)

    def make_growth(self, mb):
        path = os.path.join(self.folder, "growth.txt")
        with open(path, "wb") as f:
            subprocess.run([os.path.join(os.path.dirname(os.path.abspath(self.program)), "make_growth"), "zh", str(mb << 20)], check=True, stdout=f)
        return path

    def bytepiece(self):
        for name in BYTEPIECE_MB:
            for mb in BYTEPIECE_MB[name]:
                path = self.head(name, min(mb, self.mb or mb))
                for threads in (1, 2):
                    peers = ["bytepiece"] if mb == 1 and threads == 1 else []
                    best = self.race(self.rounds, "train_bytepiece.py", ["piecemill"] + peers, [path, 16000, "--bytes", mb * 1_000_000, "--threads", threads],
                                     ["model_sha1", "ids_sha1"], {"train_s": min, "train_mb_s": max, "encode_mb_s": max, "above_base_mb": min})
                    for library, row in best.items():
                        self.facts["train bytepiece", name, mb, threads, library] = row
                    self.add(bytepiece_rows(self.facts, name, mb, threads))
                os.remove(path)

    def bytepiece_large(self):
        once = lambda path, threads, memory, **options: self.train_once(
            path, memory, threads, 1, ["--algorithm", "bytepiece", "--vocab-size", "16000", "--options", json.dumps(options)])
        for mb, runs in ((1024, [(1, None), (2, None), (2, "512M")]), (10240, [(2, "1G")])):
            path = self.make_growth(min(mb, self.mb or mb))
            options = {"min_count": 32} if mb == 10240 else {}
            free = None
            for threads, memory in runs:
                row = once(path, threads, memory, **options)
                free = free or row
                self.facts["large bytepiece", mb, threads, memory] = row
                self.add(large_rows(f"growth zh {mb}M", threads, memory, options, row, free))
            os.remove(path)


def bytepiece_rows(facts, name, mb, threads):
    """Training of BytePiece at one size: beside bytepiece where it was trained on the same, else beside its rate on 1 MB, or beside one thread."""
    ours, work, text = facts["train bytepiece", name, mb, threads, "piecemill"], plot.BYTEPIECE[threads], f"{name}-{mb}MB.txt"
    one, peer = (facts.get(("train bytepiece", name, *rest)) for rest in ((mb, 1, "piecemill"), (1, 1, "bytepiece")))
    if one["model_sha1"] != ours["model_sha1"]:
        sys.exit(f"bench.py: other models with two threads than with one: {one}, {ours}")
    same = mb == 1 and threads == 1
    for key, label, inverted in (("train_s", "seconds", True), ("train_mb_s", "training MB/s", False), ("above_base_mb", "memory MB", True), ("encode_mb_s", "encoding MB/s", False)):
        rate = label.endswith("MB/s") and not (key == "encode_mb_s" and threads > 1)  # encoding is always with one thread
        if peer and (same or rate):
            yield [work, text, label, f"{ours[key]:.4g}", "bytepiece" if same else "bytepiece, 1 MB", f"{peer[key]:.4g}", f"{ratio(ours[key], peer[key], inverted):.2f}"]
        elif key != "encode_mb_s" or threads == 1:
            yield [work, text, label, f"{ours[key]:.4g}", "", "", ""]
    if threads > 1:
        yield [work, text, "training MB/s", f"{ours['train_mb_s']:.4g}", "1 thread", f"{one['train_mb_s']:.4g}", f"{ratio(ours['train_mb_s'], one['train_mb_s']):.2f}"]


def large_rows(text, threads, memory, options, row, free):
    """A run over large text; free: the first one over this text, whose model it must have."""
    if row is None:
        return
    if free and free["sha1"] != row["sha1"]:
        sys.exit(f"bench.py: another model than before: {row}, {free}")
    work = plot.BYTEPIECE[threads] + (f", memory_limit {memory}" if memory else "") + "".join(f", {key} {value}" for key, value in options.items())
    for key, label in (("seconds", "seconds"), ("mb_s", "training MB/s"), ("above_base_mb", "memory MB"), ("spilled_mb", "temporary files MB")):
        yield [work, text, label, f"{row[key]:.4g}", "", "", ""]


def limit_rows(text, threads, limit, row, free):
    """A run under a limit beside one without."""
    if row is None or free is None:
        return
    if row["sha1"] != free["sha1"]:
        sys.exit(f"bench.py: other merges with a memory limit than without: {row}, {free}")
    work = f"train BPE 32,000, {threads} thread{'s' * (threads > 1)}, memory_limit {limit}"
    for key, label in (("seconds", "seconds"), ("cpu_seconds", "seconds of processors"), ("above_base_mb", "memory MB")):
        yield [work, text, label, f"{row[key]:.4g}", "no limit", f"{free[key]:.4g}", f"{ratio(row[key], free[key], True):.2f}"]
    yield [work, text, "temporary files MB", f"{row['spilled_mb']:.4g}", "", "", ""]


def c_rows(best, limits):
    """Rows of bench_c: figures of ours alone, compared with other rows of it where that is the question."""

    def row(work, text, measure, value, other="", others=None, inverted=False):
        compared = [other, f"{others:.4g}", f"{ratio(value, others, inverted):.2f}"] if others else ["", "", ""]
        return [work, text, measure, f"{value:.4g}", *compared]

    for fact in limits:
        yield row("the machine", f"{fact['bytes'] / (1 << 20):g} MiB", f"{fact['what']}, {fact['unit']}", fact["value"])
    for key, r in best.items():
        kind, text = key[0], r.get("text", "")
        if kind == "c":
            pattern, name, threads = key[1:]
            ranks = "" if VOCABS[pattern] == pattern else f" with the ranks of {VOCABS[pattern]}"
            main = best.get(("c", MAIN, name, 1))
            for k in ("cold", "warm"):
                yield row(f"C: {pattern}{ranks}, {threads} thread{'s' * (threads > 1)}", text, f"{k} MB/s", r[k + "_mb_s"],
                          *([f"{MAIN}, 1 thread", main[k + "_mb_s"]] if main and main is not r else []))
            if pattern == MAIN:
                yield row(f"C: {pattern}, {threads} thread{'s' * (threads > 1)}", text, "memory beyond text and ids, MB", r["beyond_mb"])
        elif kind == "cpu":
            for k in ("cold", "warm"):
                main = best.get(("c", MAIN, key[2], 1))
                yield row(f"C: {MAIN}, 1 thread, PIECEMILL_CPU={key[3]}", text, f"{k} MB/s", r[k + "_mb_s"], "as by itself", main and main[k + "_mb_s"])
        elif kind == "str":
            for k in ("cold", "warm"):
                bytes_ = best.get(("c", MAIN, key[2], 1))
                yield row("C: from the form of Python's str", text, f"{k} MB/s", r[k + "_mb_s"], "from bytes", bytes_ and bytes_[k + "_mb_s"])
        elif kind == "short":
            for k in ("cold", "warm"):
                long = best.get(("c", MAIN, key[2], 1))
                yield row("C: documents of 200 bytes", text, f"{k} MB/s", r[k + "_mb_s"], "long documents", long and long[k + "_mb_s"])
        elif kind == "single":
            for k in ("cold", "warm", "count", "decode"):
                yield row("C: one encoder, a document a call", text, f"{k} MB/s", r[k + "_mb_s"], *(["warm", r["warm_mb_s"]] if k == "count" else []))
        elif kind == "calls":
            yield row("C: a string of 20 tokens a call", text, "1,000 strings in turn, ns", r["different_ns"])
            yield row("C: a string of 20 tokens a call", text, "one string again and again, ns", r["repeated_ns"])
        elif kind == "load":
            yield row("C: loading", key[1], ".tiktoken, ms", r["load_ms"])
            yield row("C: loading", key[1], "native, ms", r["native_ms"])
        elif kind == "bytepiece":
            for k in ("cold", "warm"):
                yield row("C: BytePiece 16,000, 1 thread", text, f"{k} MB/s", r[k + "_mb_s"])
        elif kind == "hostile":
            for k in ("cold", "warm"):
                yield row("C: hostile text, one document", text, f"{k} ns/byte", 1e3 / r[k + "_mb_s"], "mean of zh, en, code", normal_ns(best, k), True)


def normal_ns(facts, k):
    """Nanoseconds a byte of normal text: the mean of Chinese, English and code, each as one document of the size of the hostile ones."""
    rows = [facts.get(("normal", name)) for name in ("zh", "en", "code")]
    return sum(1e3 / r[k + "_mb_s"] for r in rows) / len(rows) if all(rows) else None


# ---- targets ----


def targets(facts):
    """The targets of encoding: rows [what, asked, measured, met], met being "yes", "no" or "not measured". `facts` as Bench collects them."""
    rows = []

    def at_least(what, asked, measured, note=""):
        add(what, f"at least {asked:g}", measured, measured is not None and measured >= asked, note)

    def at_most(what, asked, measured, note=""):
        add(what, f"at most {asked:g}", measured, measured is not None and measured <= asked, note)

    def add(what, asked, measured, met, note):
        rows.append([what, asked, "" if measured is None else f"{measured:.3g}{' (' + note + ')' if note else ''}",
                     "not measured" if measured is None else "yes" if met else "no"])

    def against_peer(what, asked, ours, kind, name, key):
        rates = [(facts[k], k[3]) for k in facts if k[:3] == (kind, name, 1) and k[4:] == (key,) and k[3] != "piecemill"]
        peer, library = max(rates, default=(None, ""))
        measured = ours / peer if ours and peer else None
        at_least(what, asked, measured, f"{ours:.4g} MB/s, {library} {peer:.4g}" if measured else "")

    def lowest(what, asked, pairs):
        """The lowest ratio of (name, numerator, denominator); one that is missing makes it not measured."""
        found = [(a / b, name) for name, a, b in pairs if a and b]
        measured, name = min(found) if found and len(found) == len(pairs) else (None, "")
        at_least(what, asked, measured, name)

    def c(*key, measure):
        row = facts.get(key)
        return row and row.get(measure)

    asked = {"zh": (6, 2.3), "en": (2, 1.15), "code": (2.2, 1.15), "multi": (3, 1.2)}
    for name, (cold, warm) in asked.items():
        for key, times in (("cold", cold), ("warm", warm)):
            against_peer(f"{name} {key}, from str, times the best peer", times, facts.get(("python", name, 1, "piecemill", key)), "python", name, key)
    for key, times in (("cold", 7), ("warm", 2.5)):
        against_peer(f"zh {key}, from bytes in C, times the best peer", times, c("c", MAIN, "zh", 1, measure=key + "_mb_s"), "beside", "zh", key)

    passes = ("cold", "warm")
    for pattern in VOCABS:
        if pattern != MAIN:
            lowest(f"{pattern} against {MAIN}, lowest of texts and passes", 0.85,
                   [(f"{name} {k}", c("c", pattern, name, 1, measure=k + "_mb_s"), c("c", MAIN, name, 1, measure=k + "_mb_s"))
                    for name in TEXTS for k in passes])
    for k in passes:
        lowest(f"two threads against one, from bytes, {k}, lowest of texts", 1.85,
               [(name, c("c", MAIN, name, 2, measure=k + "_mb_s"), c("c", MAIN, name, 1, measure=k + "_mb_s")) for name in TEXTS])
    for k in passes:
        lowest(f"two threads against one, from str, {k}, lowest of texts", 1.85,
               [(name, facts.get(("python", name, 2, "piecemill", k)), facts.get(("python", name, 1, "piecemill", k))) for name in TEXTS])
    for k in passes:
        lowest(f"documents of 200 bytes against long ones, {k}, lowest of texts", 0.6,
               [(name, c("short", MAIN, name, measure=k + "_mb_s"), c("c", MAIN, name, 1, measure=k + "_mb_s")) for name in TEXTS])
    for name in ("en", "zh"):
        at_most(f"a string of 20 tokens in C, ns, {name}, 1,000 strings in turn", 300, c("calls", name, measure="different_ns"))
        at_most(f"a string of 20 tokens in C, ns, {name}, one string again and again", 300, c("calls", name, measure="repeated_ns"))
    for threads in (1, 2):
        memory = [c("c", MAIN, name, threads, measure="beyond_mb") for name in TEXTS]
        at_most(f"memory beyond text and ids, MB, {threads} thread{'s' * (threads > 1)}", 64, None if None in memory else max(memory))
    at_most("reading a native file and building the encoder, ms", 100, c("load", MAIN, measure="native_ms"))
    for name in HOSTILE:
        rates = [(c("hostile", name, measure=k + "_mb_s"), normal_ns(facts, k), k) for k in passes]
        measured, k = max((1e3 / rate / normal, k) for rate, normal, k in rates) if all(r and n for r, n, _ in rates) else (None, "")
        at_most(f"hostile text {name}, times normal text's time a byte", 3, measured, k)
    for name, times in (("zh", 20), ("en", 15)):
        ours, peer = (c("train bytepiece", name, 1, 1, library, measure="encode_mb_s") for library in ("piecemill", "bytepiece"))
        at_least(f"BytePiece {name}, times bytepiece", times, ours / peer if ours and peer else None, f"{ours:.4g} MB/s" if ours else "")
    decoded = [c("single", MAIN, name, measure="decode_mb_s") for name in TEXTS]
    at_least("decoding, MB/s, lowest of texts", 1000, None if None in decoded else min(decoded))
    lowest("count against encode, warm, lowest of texts", 1,
           [(name, c("single", MAIN, name, measure="count_mb_s"), c("single", MAIN, name, measure="warm_mb_s")) for name in TEXTS])
    return rows


def training_targets(facts):
    """The targets of BPE training, as targets() has those of encoding."""
    rows = []

    def add(what, asked, measured, met, note=""):
        rows.append([what, asked, "" if measured is None else f"{measured:.3g}{note}", "not measured" if measured is None else "yes" if met else "no"])

    for name, mb, faster, smaller in (("zh", 20, 10, 5), ("zh", 47, 10, 7), ("en", 17, 3.5, 2), ("en", 39, 3.5, 2)):
        ours, peer = (facts.get(("bpe", name, mb, library)) for library in ("piecemill", "gigabpe"))
        for key, what, asked in (("seconds", "times faster than gigabpe", faster), ("above_base_mb", "times less memory than gigabpe", smaller)):
            times = peer[key] / ours[key] if ours and peer and ours[key] else None
            add(f"BPE, {name} {mb} MB, {what}", f"at least {asked:g}", times, times and times >= asked, f" ({ours[key]:.4g} against {peer[key]:.4g})" if times else "")
    row, peer = facts.get(("limit", "zh", "64M")), facts.get(("bpe", "zh", 47, "gigabpe"))
    times = peer["seconds"] / row["seconds"] if row and peer else None
    add("BPE, zh 47 MB with a limit of 64 MB, times faster than gigabpe", "at least 4", times, times and times >= 4)
    for limit, mb in (("64M", 64), ("28M", 28)):
        row = facts.get(("limit", "zh", limit))
        memory = row and row["above_base_mb"]
        add(f"BPE, zh 47 MB with a limit of {mb} MB, memory in MB", f"at most {mb * 1.1:.3g}", memory, memory and memory <= mb * 1.1)
    return rows


def bytepiece_targets(facts):
    """The targets of BytePiece, as targets() has those of encoding."""
    rows = []

    def add(what, asked, measured, met, note=""):
        rows.append([what, asked, "" if measured is None else f"{measured:.3g}{note}", "not measured" if measured is None else "yes" if met else "no"])

    def figure(name, mb, threads, library, key):
        row = facts.get(("train bytepiece", name, mb, threads, library))
        return row and row[key]

    for name, faster, encoding in (("zh", 120, 25), ("en", 110, 18)):
        peer = figure(name, 1, 1, "bytepiece", "train_mb_s")
        for mb in BYTEPIECE_MB[name]:
            one, two, memory = (figure(name, mb, *rest) for rest in ((1, "piecemill", "train_mb_s"), (2, "piecemill", "train_mb_s"), (2, "piecemill", "above_base_mb")))
            if mb > 1:
                times = one / peer if one and peer else None
                add(f"BytePiece, {name} {mb} MB, times bytepiece on 1 MB", f"at least {faster}", times, times and times >= faster, f" ({one:.4g} against {peer:.4g} MB/s)" if times else "")
                times = two / one if one and two else None
                add(f"BytePiece, {name} {mb} MB, two threads against one", "at least 1.7", times, times and times >= 1.7)
            most = 20 if mb == 1 else 8 * mb
            if mb != 10:
                add(f"BytePiece, {name} {mb} MB, memory in MB, 2 threads", f"at most {most}", memory, memory is not None and memory <= most)
        ours, its = (figure(name, 1, 1, library, "encode_mb_s") for library in ("piecemill", "bytepiece"))
        times = ours / its if ours and its else None
        add(f"BytePiece, {name}, encoding, times bytepiece", f"at least {encoding}", times, times and times >= encoding, f" ({ours:.4g} against {its:.4g} MB/s)" if times else "")
    for mb, memory, most in ((1024, "512M", 512), (10240, "1G", 1024)):
        row = facts.get(("large bytepiece", mb, 2, memory))
        used = row and row["above_base_mb"]
        add(f"BytePiece, {mb >> 10} GB with a limit of {most} MB, memory in MB", f"at most {most * 1.1:.4g}", used, used and used <= most * 1.1)
    return rows


# ---- the record ----

HEAD = """# Measured

Made by `make bench BENCH_FLAGS=--record` (bench/bench.py): project and peer in turn in one run, each in a fresh process, the best of each, only
where the results are the same. The ratio is ours to the peer's, above 1 in our favour (for seconds, nanoseconds and memory the peer's to ours). Texts are
those of the data folder beside the checkout. Machines are noisy: compare ratios, not figures of different rows.
Of each kind of row only the newest is kept here; older ones are in the history of this file. Growth of training with the text: training.svg (BPE), bytepiece.svg.
"""
COLUMNS = ["work", "text", "measure", "piecemill", "beside", "its", "ratio", "machine", "commit", "date"]
TARGET_COLUMNS = ["target", "asked", "measured", "met"]


def table(columns, rows):
    return "".join("| " + " | ".join(cells) + " |\n" for cells in [columns, ["---"] * len(columns), *rows])


def read_table(text, width):
    """The rows of the tables of so many columns in a Markdown text, without their heads."""
    rows = [[cell.strip() for cell in line.strip("|\n ").split("|")] if line.startswith("| ") else [] for line in text.split("\n")]
    return [row for i, row in enumerate(rows) if len(row) == width and row[0] != "---" and not (i + 1 < len(rows) and rows[i + 1][:1] == ["---"])]


def merged(old, new):
    """Old rows, in their order, but for those of the same work, text, measure and peer as a new one, which takes their place; then the other new ones."""
    kind = lambda row: (row[0], row[1], row[2], row[4])
    by_kind = {kind(row): row for row in old}
    by_kind.update({kind(row): row for row in new})
    return list(by_kind.values())


def record(path, rows, target_tables, where):
    """Writes rows into the file at `path`, and tables of targets in place of older ones with the same title; returns all rows. where: [machine, commit, date]."""
    text = ""
    if os.path.exists(path):
        with open(path) as f:
            text = f.read()
    sections = dict(part.split("\n", 1) for part in text.split("\n## ")[1:])
    for title, target_rows in target_tables.items():
        if target_rows:
            sections[title] = f"\n{', '.join(where)}\n\n" + table(TARGET_COLUMNS, target_rows)
    rows = merged(read_table(text, len(COLUMNS)), [row + where for row in rows])
    sections.pop("Rows", None)
    with open(path, "w") as f:
        f.write(HEAD + "".join(f"\n## {title}\n{body.rstrip()}\n" for title, body in sections.items()) + "\n## Rows\n\n" + table(COLUMNS, rows))
    return rows


def machine():
    try:
        with open("/proc/cpuinfo") as f:
            name = next(line.split(":")[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.machine()
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip() or "?"
    return [f"{name}, {os.cpu_count()} cores", commit, str(datetime.date.today())]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", nargs="*", choices=["encode", "c", "bytepiece", "bytepiece_large", "bpe", "bpe_slow", "targets", []])
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--record", action="store_true")
    ap.add_argument("--program", default=os.path.join(ROOT, "build", "bench_c"))
    ap.add_argument("--mb", type=int, default=0)
    a = ap.parse_args()
    if a.record and a.mb:
        ap.error("--record is not for trial runs (--mb)")
    what = set(a.what or ["encode", "c", "bytepiece", "bpe", "bpe_slow"])
    if not os.path.isdir(os.path.join(SHARED, "referee")):
        sys.exit(f"bench.py: {SHARED}/referee is not here: nothing can be measured")
    if what & {"c", "targets", "bpe", "bytepiece_large"} and not os.path.exists(a.program):
        sys.exit(f"bench.py: {a.program} is not here: make bench_c make_growth")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(folder, a.rounds, a.program, a.mb)
        if what & {"encode", "targets"}:
            bench.encode(slow="encode" in what)
        if what & {"c", "targets"}:
            bench.c()
        if what & {"bytepiece", "targets"}:
            bench.bytepiece()
        if "bytepiece_large" in what:
            bench.bytepiece_large()
        if "bpe" in what:
            bench.bpe(TRAIN_MB, FAST_TRAINERS)
            bench.limits()
        if "bpe_slow" in what:
            bench.bpe(SLOW_TRAIN_MB, SLOW_TRAINERS, once=SLOW_TRAINERS)
    tables = {}
    if "targets" in what or {"encode", "c", "bytepiece"} <= what:
        tables["Targets"] = targets(bench.facts)
    if "bpe" in what:
        tables["Targets of training"] = training_targets(bench.facts)
    if what & {"bytepiece", "bytepiece_large", "targets"}:
        tables["Targets of BytePiece"] = bytepiece_targets(bench.facts)
    for rows in tables.values():
        print("\n" + table(TARGET_COLUMNS, rows))
    if a.record:
        rows = record(os.path.join(HERE, "RESULTS.md"), bench.rows, tables, machine())
        plot.draw(rows, HERE)


if __name__ == "__main__":
    main()
