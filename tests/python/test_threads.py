"""Threads, fork, leaks, sub-interpreters: one tokenizer under all of them."""

import gc
import os
import resource
import subprocess
import sys
import threading

import pytest

import piecemill
from conftest import environment, run_python, sample


def test_many_threads_use_one_tokenizer(tok):
    documents = [sample(name, 20_000) for name in ("en", "zh", "code")]
    expected = [tok.encode(d, disallowed_special=()) for d in documents]
    failures = []

    def work(k):
        try:
            for i in range(30):
                d = (i + k) % 3
                assert tok.encode(documents[d], disallowed_special=()) == expected[d]
                assert tok.encode("short") == tok.encode("short")
                assert tok.decode(expected[d]) == documents[d]
                assert tok.encode_batch(documents, threads=2).ids.tolist() == [i for e in expected for i in e]
        except BaseException as error:  # a thread's exception would be lost
            failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


def test_the_gil_is_released():
    """Another thread makes progress while a long document is encoded."""
    code = ("import piecemill, threading, sys\n"
            "sys.setswitchinterval(1000)\n"  # only a release lets the other thread in
            "tok = piecemill.train_from_iterator(['abc def'] * 9, 'bpe', 258)\n"
            "text = 'abc defg' * 1_000_000\n"
            "seen = threading.Event()\n"
            "entered = threading.Event()\n"
            "def other():\n"
            "    entered.wait()\n"
            "    seen.set()\n"
            "t = threading.Thread(target=other); t.start()\n"
            "entered.set()\n"
            "call = sys.argv[1]\n"
            "if call == 'encode': tok.encode(text)\n"
            "elif call == 'batch': tok.encode_batch([text])\n"
            "else: tok.decode_bytes([66] * 10_000_000)\n"
            "print(seen.is_set())\n")
    for call in ("encode", "batch", "decode"):
        done = run_python(code, call)
        assert done.stdout == b"True\n", done.stderr


def test_training_in_threads():
    made = [None] * 4

    def work(k):
        made[k] = piecemill.train_from_iterator((f"low lower lowest {i % 7}" for i in range(2000)), "bpe", 280).merges

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert made[0] and all(m == made[0] for m in made)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="SKIPPED: no fork")
def test_fork(tok):
    text = sample("zh", 50_000)
    expected = tok.encode_batch([text] * 4).ids.tolist()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            good = tok.encode_batch([text] * 4).ids.tolist() == expected and tok.encode_batch([text] * 4, threads=2).ids.tolist() == expected
            os.write(write, b"y" if good else b"n")
        finally:
            os._exit(0)
    os.close(write)
    answer = os.read(read, 1)
    os.close(read)
    os.waitpid(child, 0)
    assert answer == b"y"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_use_one_thread(method, tmp_path):
    """The default number of threads in a worker process is 1; asked for, there are more."""
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing, os, piecemill, sys, threading, time\n"
        "def threads_during(asked):\n"
        "    tok = piecemill.train_from_iterator(['abc def'] * 9, 'bpe', 258)\n"
        "    most, stop = [0], threading.Event()\n"
        "    def watch():\n"
        "        while not stop.is_set():\n"
        "            most[0] = max(most[0], len(os.listdir('/proc/self/task')))\n"
        "            time.sleep(0.002)\n"
        "    t = threading.Thread(target=watch); t.start(); time.sleep(0.05)\n"
        "    before = most[0]\n"
        "    for _ in range(5): tok.encode_batch(['abc defg ' * 100000] * 8, threads=asked)\n"
        "    stop.set(); t.join()\n"
        "    return most[0] - before\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:\n"
        "        print(pool.map(threads_during, [0, 3]))\n")
    if not os.path.exists("/proc/self/task"):
        pytest.skip("SKIPPED: no /proc")
    done = subprocess.run([sys.executable, str(script), method], env=environment(), capture_output=True, timeout=60)
    default, asked = eval(done.stdout)
    assert default == 0 and asked >= 1, done.stderr


def _leak_calls(tok, path, bad):
    documents = ["some text", "一些文字", b"\xff", "é" * 700]
    ids = tok.encode(documents[1])

    def fails(function, *arguments, **keywords):
        try:
            function(*arguments, **keywords)
        except (ValueError, TypeError, OSError, piecemill.Error):
            return
        raise AssertionError(function)

    def broken():
        yield "fine 一"
        raise ValueError

    return [
        lambda: [tok.encode(d) for d in documents],
        lambda: tok.encode("中" * 1000),
        lambda: tok.encode("<|pad|>", allowed_special={"<|pad|>"}, disallowed_special=["<|endoftext|>"]),
        lambda: [a[1:] == a[:1] for a in tok.encode_batch(documents, allowed_special="all")],
        lambda: memoryview(tok.encode_batch(documents).ids).tolist(),
        lambda: (tok.decode(ids), tok.decode_bytes(iter(ids)), tok.decode(tok.encode_batch(documents).ids)),
        lambda: (tok.special_tokens, tok.settings, tok.training_summary, tok.pattern, tok.pattern_name, tok.hash, repr(tok)),
        lambda: (tok.id_to_piece(300), tok.piece_to_id("e"), tok.piece_count(300), tok.kind(3)),
        lambda: fails(tok.encode, "<|pad|>"),
        lambda: fails(tok.encode, "中\ud800"),
        lambda: fails(tok.encode, 5),
        lambda: fails(tok.encode, "a", allowed_special={"<nobody>"}),
        lambda: fails(tok.encode_batch, ["中", "\ud800", bytearray(b"x")]),
        lambda: fails(tok.encode_batch, ["中", 5]),
        lambda: fails(tok.encode_batch, ["<|pad|>"], disallowed_special="all"),
        lambda: fails(tok.decode, [1, -1]),
        lambda: fails(tok.decode, [1, "x"]),
        lambda: fails(tok.decode, ids, 5),
        lambda: fails(piecemill.Tokenizer.load, path + ".no"),
        lambda: fails(piecemill.Tokenizer.load, bad),
        lambda: fails(piecemill.Tokenizer.load, path, special_tokens={"<a>": -1}),
        lambda: fails(tok.save, path, format="nothing"),
    ], [
        lambda: tok.merges,
        lambda: tok.save(path),
        lambda: piecemill.Tokenizer.load(path).encode("text"),
        lambda: piecemill.train_from_iterator(["low 低"] * 3, "bpe", 258, progress=lambda p: None),
        lambda: fails(piecemill.train_from_iterator, broken(), "bpe", 258),
        lambda: fails(piecemill.train_from_iterator, ["a"], "bpe", 258, special_tokens=["<a>", 5]),
        lambda: fails(piecemill.train, [path + ".no"], "bpe", 258),
    ]


def test_memory_stays_flat(tok, tmp_path):
    """Each call and each error again and again: resident memory must not grow by even some bytes a call."""
    path, bad = str(tmp_path / "t.piecemill"), str(tmp_path / "bad.piecemill")
    tok.save(path)
    with open(path, "rb") as file:
        data = file.read()
    with open(bad, "wb") as file:
        file.write(data[: len(data) // 2])
    quick, slow = _leak_calls(tok, path, bad)
    for calls, times in ((quick, 3000), (slow, 60)):
        for call in calls:
            for _ in range(times // 3):
                call()
            gc.collect()
            before = _resident()
            for _ in range(times):
                call()
            gc.collect()
            grown = _resident() - before
            # a leak of one object (48 bytes) in each of 3000 calls is 144 KB; of a tokenizer in each of 60 calls, megabytes
            assert grown < (100 << 10 if calls is quick else 2 << 20), (calls.index(call), grown)


def _resident():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_module_can_be_imported_twice():
    """Multi-phase initialisation without global state: two copies of the module live side by side."""
    code = ("import importlib.machinery, importlib.util, gc, piecemill._piecemill as first\n"
            "loader = importlib.machinery.ExtensionFileLoader('piecemill._piecemill', first.__file__)\n"
            "spec = importlib.util.spec_from_file_location('piecemill._piecemill', first.__file__, loader=loader)\n"
            "second = importlib.util.module_from_spec(spec); loader.exec_module(second)\n"
            "assert second is not first and second.Tokenizer is not first.Tokenizer\n"
            "def train(m): return m.train(documents=['low'] * 9, algorithm='bpe', vocab_sizes=[258])[0]\n"
            "assert train(first).merges == train(second).merges\n"
            "assert type(train(second)) is second.Tokenizer\n"
            "del second, spec, loader; gc.collect()\n"
            "print(train(first).vocab_size)\n")
    done = run_python(code)
    assert done.stdout == b"258\n", done.stderr


def test_subinterpreter():
    try:
        import _interpreters as interpreters  # Python 3.13 and later
    except ImportError:
        interpreters = pytest.importorskip("_xxsubinterpreters", reason="SKIPPED: no sub-interpreters in this Python")
    interpreter = interpreters.create()
    code = ("import sys; sys.path[:] = %r\n"
            "import piecemill\n"
            "tok = piecemill.train_from_iterator(['low'] * 9, 'bpe', 258)\n"
            "assert tok.decode(tok.encode('low')) == 'low'\n") % (sys.path,)
    try:
        assert interpreters.run_string(interpreter, code) is None
    finally:
        interpreters.destroy(interpreter)
