"""Bad input: the right class, the sentence, the position; nothing lost, nothing left behind."""

import os
import pickle
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import time

import pytest

import piecemill
from conftest import ROOT, environment, run_python, sample

LOW = ["low lower lowest"] * 9


def train(documents=LOW, algorithm="bpe", vocab_size=260, **options):
    return piecemill.train_from_iterator(documents, algorithm, vocab_size, **options)


# ---- classes ----


def test_classes():
    for cls in (piecemill.InvalidArgumentError, piecemill.FormatError, piecemill.VersionError, piecemill.PatternError,
                piecemill.SpecialTokenError, piecemill.BadIdError, piecemill.CorpusError, piecemill.UnsupportedError):
        assert issubclass(cls, ValueError) and issubclass(cls, piecemill.Error)
    assert issubclass(piecemill.FileError, OSError) and issubclass(piecemill.NotFoundError, FileNotFoundError)
    assert issubclass(piecemill.OutOfMemoryError, MemoryError)


def test_an_error_can_be_pickled(tmp_path):
    with pytest.raises(piecemill.NotFoundError) as caught:
        piecemill.Tokenizer.load(tmp_path / "no")
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is piecemill.NotFoundError and str(again) == str(caught.value)
    assert again.__dict__ == caught.value.__dict__ and again.file == str(tmp_path / "no")


# ---- files ----


def test_missing_file(tmp_path):
    path = str(tmp_path / "missing")
    for call in (lambda: piecemill.Tokenizer.load(path), lambda: piecemill.train([path], vocab_size=300)):
        with pytest.raises(FileNotFoundError) as caught:
            call()
        error = caught.value
        assert isinstance(error, piecemill.NotFoundError) and error.status == 4
        assert error.file == error.filename == path and path in str(error)


def test_folder(tmp_path):
    with pytest.raises(OSError, match="folder|directory") as caught:
        piecemill.train(tmp_path, vocab_size=300)
    assert isinstance(caught.value, piecemill.FileError) and caught.value.status == 3
    with pytest.raises(piecemill.NotFoundError, match="the folder holds no tokenizer"):  # one may be in it
        piecemill.Tokenizer.load(tmp_path)


def test_unreadable_file(tmp_path):
    path = tmp_path / "secret"
    path.write_text("text")
    path.chmod(0)
    if os.geteuid() == 0:  # root reads every file, but nobody reads the first page of a process
        path = "/proc/self/mem"
    for call in (lambda: piecemill.train(path, vocab_size=300), lambda: piecemill.Tokenizer.load(path)):
        with pytest.raises(piecemill.FileError) as caught:
            call()
        assert caught.value.file == str(path)


def test_save_where_nothing_can_be_written(tok, tmp_path):
    with pytest.raises(OSError):
        tok.save(tmp_path / "no" / "such" / "folder.piecemill")
    with pytest.raises(ValueError):
        tok.save(tmp_path / "unknown.ending")
    with pytest.raises(piecemill.InvalidArgumentError, match="format"):
        tok.save(tmp_path / "t", format="parquet")
    assert os.listdir(tmp_path) == []


def test_save_to_a_full_disk(tok):
    if not os.path.exists("/dev/full"):
        pytest.skip("SKIPPED: no /dev/full")
    with pytest.raises(piecemill.FileError):
        tok.save("/dev/full", format="native")


def test_save_to_a_disk_that_fills_up(tok, tmp_path):
    """In the middle of a model: the old file stays and nothing lies beside it. A limit on the size of files stands for the disk."""
    path = tmp_path / "old.piecemill"
    path.write_bytes(b"old")
    tok.save(tmp_path / "model.piecemill")
    code = ("import piecemill, resource, sys\n"
            "tok = piecemill.Tokenizer.load(sys.argv[1])\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
            "try: tok.save(sys.argv[2])\n"
            "except piecemill.FileError as error: print(type(error).__name__, error.file, isinstance(error, OSError))\n")
    done = run_python(code, str(tmp_path / "model.piecemill"), str(path))
    assert done.stdout.decode().split() == ["FileError", str(path), "True"], done.stderr
    assert path.read_bytes() == b"old" and sorted(os.listdir(tmp_path)) == ["model.piecemill", "old.piecemill"]


def test_save_to_a_closed_pipe(tok):
    if not os.path.exists("/dev/fd"):
        pytest.skip("SKIPPED: no /dev/fd")
    reader, writer = os.pipe()
    os.close(reader)
    try:
        with pytest.raises(piecemill.FileError, match="Broken pipe"):
            tok.save(f"/dev/fd/{writer}", format="native")
    finally:
        os.close(writer)


def test_format_that_cannot_carry(tok, bp, tmp_path):
    with pytest.raises(piecemill.UnsupportedError):
        tok.save(tmp_path / "x", format="bytepiece")
    with pytest.raises(piecemill.UnsupportedError):
        bp.save(tmp_path / "x", format="tiktoken")
    assert os.listdir(tmp_path) == []


def test_broken_model_files(tok, tmp_path):
    good = tmp_path / "good.piecemill"
    bad = tmp_path / "bad.piecemill"
    tok.save(good)
    data = good.read_bytes()
    for cut in (0, 1, 7, 8, 40, len(data) // 2, len(data) - 1):
        bad.write_bytes(data[:cut])
        with pytest.raises(piecemill.FormatError) as caught:
            piecemill.Tokenizer.load(bad, format="native")
        assert caught.value.file == str(bad)
    for at in range(16, len(data), max(1, len(data) // 50)):
        broken = bytearray(data)
        broken[at] ^= 0x40
        bad.write_bytes(broken)
        with pytest.raises(piecemill.FormatError):
            piecemill.Tokenizer.load(bad)
    bad.write_bytes(data + b"\0")
    with pytest.raises(piecemill.FormatError):
        piecemill.Tokenizer.load(bad)
    bad.write_bytes(b"hello, this is no model\n")
    with pytest.raises(ValueError):
        piecemill.Tokenizer.load(bad)


def test_wrong_version_of_a_model_file(tok, tmp_path):
    path = tmp_path / "future.piecemill"
    tok.save(path)
    data = bytearray(path.read_bytes())
    versions = 0
    for at in range(4, 24):  # the version is in the head of the file; which byte is FORMAT.md's business
        broken = bytearray(data)
        broken[at] = 99
        path.write_bytes(broken)
        try:
            piecemill.Tokenizer.load(path, format="native")
        except piecemill.VersionError:
            versions += 1
        except piecemill.FormatError:
            pass
    assert versions >= 1


def models():
    """The table of tests/models/README.md: (file, format, status, offset, words)."""
    with open(os.path.join(ROOT, "tests", "models", "README.md"), encoding="utf-8") as file:
        rows = [[cell.strip() for cell in line.split("|")[1:6]] for line in file if line.startswith(("| good-", "| bad-"))]
    assert len(rows) > 100
    return rows


def test_every_model_file_gets_its_verdict():
    classes = {"PM_BAD_FORMAT": piecemill.FormatError, "PM_BAD_VERSION": piecemill.VersionError, "PM_UNSUPPORTED": piecemill.UnsupportedError,
               "PM_BAD_PATTERN": piecemill.PatternError, "PM_LIMIT": piecemill.LimitError}
    for name, kind, status, offset, words in models():
        path = os.path.join(ROOT, "tests", "models", name)
        load = lambda: piecemill.Tokenizer.load(path, format=None if kind == "auto" else kind)
        if status == "PM_OK":
            assert isinstance(load(), piecemill.Tokenizer)  # some hold no vocabulary
            continue
        with pytest.raises(classes[status]) as caught:
            load()
        assert type(caught.value) is classes[status], name
        assert words in str(caught.value) and (offset == "-" or caught.value.offset == int(offset)), (name, str(caught.value))


def test_model_of_another_unicode_version():
    needs_pcre2()
    path = os.path.join(ROOT, "tests", "models", "bad-pattern-unicode.piecemill")
    for options in ({}, {"any_unicode": False}):
        with pytest.raises(piecemill.UnsupportedError, match="any_unicode"):
            piecemill.Tokenizer.load(path, **options)
    tok = piecemill.Tokenizer.load(path, any_unicode=True)
    assert tok.pattern == "[a-z]+" and tok.decode(tok.encode("some text")) == "some text"
    with pytest.raises(TypeError):
        piecemill.Tokenizer.load(path, None, None, None, True)


def test_broken_tiktoken_file(tmp_path):
    path = tmp_path / "bad.tiktoken"
    path.write_bytes(b"IQ== 0\nIg== 1\n***\n")
    with pytest.raises(piecemill.FormatError) as caught:
        piecemill.Tokenizer.load(path, format="tiktoken")
    assert caught.value.offset is not None and f"bad.tiktoken:{caught.value.offset}: " in str(caught.value)


def test_broken_gzip_corpus(tmp_path):
    import gzip

    if "zlib" not in piecemill.features:
        pytest.skip("SKIPPED: built without zlib")
    path = tmp_path / "c.txt.gz"
    data = gzip.compress(b"some text to train from\n" * 1000)
    for broken in (data[:-5], data + b"garbage"):
        path.write_bytes(broken)
        with pytest.raises(piecemill.CorpusError) as caught:
            piecemill.train(path, "bpe", 300)
        assert caught.value.file == str(path)
    path.write_bytes(data)
    assert piecemill.train(path, "bpe", 270).training_summary["documents"] == 1000


def test_zstd_window(tmp_path):
    """A frame with a window of 2^31 bytes (2^10 times 2^21) that holds "text\\n" in one raw block."""
    if "zstd" not in piecemill.features:
        pytest.skip("SKIPPED: built without zstd")
    path = tmp_path / "c.txt.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes([0x00, 21 << 3]) + (5 << 3 | 1).to_bytes(3, "little") + b"text\n")
    with pytest.raises(piecemill.LimitError, match="max_window") as caught:
        piecemill.train(path, "bpe", 258)
    assert caught.value.file == str(path)
    for size in (1 << 31, "2G"):
        assert piecemill.train(path, "bpe", 258, max_window=size).training_summary["bytes"] == 5
    for bad in ((1 << 31) + 1, "3G", 3, -1, "wide"):
        with pytest.raises(ValueError, match="max_window"):
            piecemill.train(path, "bpe", 258, max_window=bad)
    with pytest.raises(TypeError, match="max_window"):
        train(max_window="2G")


# ---- training arguments ----


def test_empty_corpus(tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_bytes(b"")
    for algorithm in ("bpe", "bytepiece"):
        for call in (lambda: piecemill.train(empty, algorithm, 300), lambda: train([], algorithm, 300),
                     lambda: train(["", b""], algorithm, 300)):
            with pytest.raises(piecemill.CorpusError, match="(?i)empty|no document"):
                call()


def test_vocabulary_too_small():
    for size in (0, 1, 255):
        with pytest.raises(piecemill.InvalidArgumentError, match=str(size)):
            train(vocab_size=size)
    with pytest.raises(piecemill.InvalidArgumentError):
        train(vocab_size=257, special_tokens=["<a>", "<b>"])
    with pytest.raises(piecemill.InvalidArgumentError):
        train(algorithm="bytepiece", vocab_size=3)


@pytest.mark.parametrize("size", [-1, 1 << 32, 1 << 70])
def test_vocabulary_out_of_range(size):
    with pytest.raises(ValueError, match="vocab_size"):
        train(vocab_size=size)


@pytest.mark.parametrize("algorithm", ["bpe", "bytepiece"])
def test_corpus_too_small_for_the_size(algorithm):
    tok = train(algorithm=algorithm, vocab_size=50_000)
    assert tok.vocab_size < 400 and tok.training_summary["smaller_than_asked"] is True
    assert tok.training_summary["vocab_size"] == tok.vocab_size


@pytest.mark.parametrize("tokens", [["<a>", "<b>", "<a>"], [""]])
def test_bad_special_tokens(tokens, tmp_path):
    says = "empty" if tokens == [""] else "'<a>' is given twice"
    for algorithm in ("bpe", "bytepiece"):
        with pytest.raises(piecemill.InvalidArgumentError, match=says):
            train(algorithm=algorithm, vocab_size=300, special_tokens=tokens)
    train(pattern="gpt2").save(tmp_path / "t.tiktoken")
    with pytest.raises(piecemill.InvalidArgumentError, match=says):
        piecemill.Tokenizer.load(tmp_path / "t.tiktoken", pattern="gpt2", special_tokens=tokens)


def test_special_tokens_of_the_wrong_type():
    for tokens in ("<a>", b"<a>", [1], 5):
        with pytest.raises(TypeError):
            train(special_tokens=tokens)


def test_wrong_arguments():
    with pytest.raises(piecemill.InvalidArgumentError, match="algorithm"):
        train(algorithm="wordpiece")
    with pytest.raises(TypeError, match="ngram_order"):
        train(ngram_order=3)
    with pytest.raises(TypeError, match="nonsense"):
        train(algorithm="bytepiece", nonsense=1)
    with pytest.raises(TypeError, match="split"):
        train(split="line")
    with pytest.raises(TypeError, match="max_words"):
        train(algorithm="bytepiece", max_words=2)
    with pytest.raises(piecemill.InvalidArgumentError, match="layout"):
        train(layout="sideways")
    with pytest.raises(TypeError, match="threads"):
        train(threads="2")
    with pytest.raises(ValueError, match="threads"):
        train(threads=-1)
    with pytest.raises(TypeError):
        piecemill.train_from_iterator("one str", vocab_size=300)
    with pytest.raises(TypeError):
        piecemill.train_from_iterator(5, vocab_size=300)
    with pytest.raises(TypeError):
        train(vocab_size=300.5)
    with pytest.raises(ValueError):
        train(vocab_size=[])
    with pytest.raises(ValueError):
        piecemill.train([], vocab_size=300)
    with pytest.raises(ValueError, match="ngram_order"):
        train(algorithm="bytepiece", ngram_order=8)
    with pytest.raises(TypeError, match="progress"):
        train(progress=3)


def test_bpe_takes_one_size():
    with pytest.raises(piecemill.InvalidArgumentError):
        train(vocab_size=[258, 260])
    assert [t.vocab_size for t in train(vocab_size=[258])] == [258]


@pytest.mark.parametrize("text, size", [("2G", 2 << 30), ("512M", 512 << 20), ("1.5k", 1536), ("7", 7), ("2GiB", 2 << 30), ("3 MB", 3 << 20)])
def test_memory_limit_words(text, size):
    from piecemill._training import _memory

    assert _memory(text) == size and _memory(size) == size and _memory(None) is None


@pytest.mark.parametrize("text", ["", "G", "2X", "-1G", "1e400", "2GM", "nan"])
def test_bad_memory_limit(text):
    with pytest.raises(ValueError, match="memory_limit"):
        train(memory_limit=text)


def test_a_line_longer_than_the_memory_limit(tmp_path):
    path = tmp_path / "long.txt"
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    for algorithm in ("bpe", "bytepiece"):
        with pytest.raises(piecemill.LimitError, match="memory_limit is too small for the document"):
            piecemill.train(path, algorithm, 300, memory_limit="40M", threads=1)


def test_a_memory_limit_too_small_to_work_in():
    with pytest.raises(piecemill.LimitError, match="with 2 threads it must be 33554432 at least"):
        train(vocab_size=300, memory_limit="1M", threads=2)
    with pytest.raises(piecemill.LimitError, match="with 1 threads and remove_duplicates it must be 58720256 at least"):
        train(vocab_size=300, memory_limit="32M", threads=1, remove_duplicates=True)


def test_a_memory_limit_that_needs_files(tmp_path):
    letters = bytes.maketrans(b"0123456789", b"ghijklmnop")  # a pre-token is letters or digits
    lines = [b" ".join(b"%x" % ((i * 200 + k) * 2654435761 % (1 << 40)) for k in range(200)).translate(letters) + b"\n" for i in range(4000)]
    small = piecemill.train_from_iterator(lines, "bpe", 2000, pattern="gpt2", memory_limit="32M", threads=2, tmpdir=tmp_path)
    assert small.merges == piecemill.train_from_iterator(lines, "bpe", 2000, pattern="gpt2").merges
    with pytest.raises(FileNotFoundError, match="none"):
        piecemill.train_from_iterator(lines, "bpe", 2000, pattern="gpt2", memory_limit="32M", threads=2, tmpdir=tmp_path / "none")


# ---- patterns ----


def needs_pcre2():
    if "pcre2" not in piecemill.features:
        pytest.skip("SKIPPED: built without pcre2")


def test_bad_regex():
    needs_pcre2()
    with pytest.raises(piecemill.PatternError) as caught:
        train(pattern=r"\p{L}+|[abc")
    assert caught.value.offset is not None and 0 < caught.value.offset <= 11 and isinstance(caught.value, ValueError)
    with pytest.raises(piecemill.PatternError):
        train(pattern=[r"\d", "("])
    with pytest.raises(ValueError, match="NUL"):
        train(pattern="a\0b")


def test_catastrophic_regex_ends():
    needs_pcre2()
    start = time.monotonic()
    with pytest.raises(piecemill.LimitError) as caught:
        train(["b" + "a" * 100_000 + "c"], pattern="(?:(?:a+)+)+$")
    assert time.monotonic() - start < 20 and caught.value.status == 8


def test_catastrophic_regex_in_encode():
    needs_pcre2()
    tok = train(["low"], pattern="(?:(?:a+)+)+$|low")
    start = time.monotonic()
    with pytest.raises(piecemill.LimitError) as caught:
        tok.encode("low" + "a" * 100_000 + "c")
    assert time.monotonic() - start < 20
    assert caught.value.offset is not None
    with pytest.raises(piecemill.LimitError, match="1"):
        tok.encode_batch(["low", "a" * 100_000 + "c"])
    assert tok.decode(tok.encode("low")) == "low"


# ---- documents and ids ----


@pytest.mark.parametrize("text", ["\ud800", "中\udfff", "ok" * 2000 + "\udc80", "😀\ud83d", "é\udcff" * 9])
def test_lone_surrogates(tok, text):
    for call in (lambda: tok.encode(text), lambda: tok.encode_batch(["fine", text]), lambda: train(["fine", text]),
                 lambda: tok.piece_to_id(text)):
        with pytest.raises(UnicodeEncodeError) as caught:
            call()
        assert caught.value.start == next(i for i, c in enumerate(text) if 0xD800 <= ord(c) < 0xE000)
    with pytest.raises(UnicodeEncodeError) as caught:
        tok.encode_batch(["fine", "é", text])
    assert "document 2" in "".join(caught.value.__notes__)
    with pytest.raises(UnicodeEncodeError) as caught:
        train(["fine"] * 1000 + [text])
    assert "document 1000" in "".join(caught.value.__notes__)


@pytest.mark.parametrize("document", [None, 5, ["a"], 1.5])
def test_documents_of_the_wrong_type(tok, document):
    for call in (lambda: tok.encode(document), lambda: tok.encode_batch(["a", document]), lambda: train(["a", document])):
        with pytest.raises(TypeError, match="str or bytes"):
            call()


def test_batch_of_one_str_is_a_mistake(tok):
    for documents in ("text", b"text"):
        with pytest.raises(TypeError, match="encode"):
            tok.encode_batch(documents)
    with pytest.raises(TypeError):
        tok.encode_batch(None)


def test_wrong_arguments_of_encode(tok):
    with pytest.raises(TypeError, match="text"):
        tok.encode()
    with pytest.raises(TypeError):
        tok.encode("a", "b")
    with pytest.raises(TypeError, match="nonsense"):
        tok.encode("a", nonsense=1)
    with pytest.raises(TypeError, match="twice"):
        tok.encode("a", text="b")
    with pytest.raises(TypeError, match="all"):
        tok.encode("a", allowed_special="<|pad|>")
    with pytest.raises(TypeError):
        tok.encode("a", allowed_special=3)
    with pytest.raises(TypeError):
        tok.encode_batch(["a"], threads=1.5)
    with pytest.raises(ValueError):
        tok.encode_batch(["a"], threads=-1)


@pytest.mark.parametrize("bad", [-1, 1200, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 80, -(1 << 80)])
def test_ids_out_of_range(tok, bad):
    import array

    calls = [lambda: tok.decode([0, 1, bad]), lambda: tok.decode_bytes(iter([0, 1, bad]))]
    if abs(bad) < 1 << 63:
        calls.append(lambda: tok.decode(array.array("q", [0, 1, bad])))
    for call in calls:
        with pytest.raises(piecemill.BadIdError) as caught:
            call()
        assert caught.value.offset == 2 and caught.value.status == 9
    with pytest.raises(piecemill.BadIdError):
        tok.id_to_piece(bad)
    with pytest.raises(piecemill.BadIdError):
        tok.piece_count(bad)


@pytest.mark.parametrize("ids", ["text", b"text", bytearray(b"text"), 5, None, ["a"], [1.5], [[1]]])
def test_ids_of_the_wrong_type(tok, ids):
    with pytest.raises(TypeError):
        tok.decode(ids)


def test_a_very_long_line(tmp_path):
    """64 MB in one line between two short ones, 1 GB with PM_LONG=1: nothing lost, in training and encoding, from a file and from memory."""
    long = 1 << 30 if os.environ.get("PM_LONG") == "1" else 64 << 20
    line = sample("en").replace("\n", " ").encode()
    line = (line * (long // len(line) + 1))[:long] + b"\n"
    path = tmp_path / "long.txt"
    with open(path, "wb") as file:
        file.writelines([b"first\n", line, b"last\n"])
    for algorithm in ("bpe", "bytepiece"):
        start = time.monotonic()
        tok = piecemill.train(path, algorithm, 1000)
        trained = time.monotonic()
        assert tok.training_summary["documents"] == 3 and tok.training_summary["bytes"] == long + 12
        ids, offsets = tok.encode_batch([b"first\n", line, b"last\n"], normalize=False)
        encoded = time.monotonic()
        assert len(offsets) == 4 and offsets[3] == len(ids)
        assert tok.decode_bytes(ids[offsets[1] : offsets[2]]) == line and tok.decode_bytes(ids[offsets[2] :]) == b"last\n"
        if long >> 30:
            print(f"{algorithm}: trained in {trained - start:.1f} s, encoded in {encoded - trained:.1f} s, "
                  f"decoded in {time.monotonic() - encoded:.1f} s, {len(ids)} ids")
        del ids, offsets
    path.unlink()


# ---- memory ----


def run_out(tmp_path, name, code):
    """Runs code in which `call()` is tried until the n-th allocation does not fail any more, for every n."""
    library = tmp_path / "nth_malloc.so"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    command = [compiler, "-shared", "-fPIC", "-o", str(library), os.path.join(ROOT, "tests", "faults", "nth_malloc.c")]
    if shutil.which(compiler) is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("SKIPPED: nothing can be compiled that makes allocations fail")
    loop = ("import ctypes, sys, piecemill\n"
            "nth = ctypes.CDLL(sys.argv[1])\n"
            "nth.nth_malloc_disarm.restype = ctypes.c_long\n"
            "arm, disarm = nth.nth_malloc_arm, nth.nth_malloc_disarm\n"
            f"{code}\n"
            "as_ever = call()\n"
            "n = failed = 0\n"
            "while True:\n"
            "    n += 1\n"
            "    got = None\n"
            "    arm(n)\n"
            "    try: got = call()\n"
            "    except MemoryError: pass\n"
            "    finally: struck = disarm() >= n\n"
            "    assert got is None or got == as_ever, (n, got)\n"
            "    failed += got is None\n"
            "    if not struck: break\n"
            "assert got == as_ever\n"
            "print(failed)\n")
    done = subprocess.run([sys.executable, "-c", loop, str(library), str(tmp_path / name)], capture_output=True, timeout=120,
                          env={**environment(), "LD_PRELOAD": str(library)})
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return int(done.stdout)


@pytest.mark.parametrize("algorithm", ["bpe", "bytepiece"])
def test_every_allocation_of_training_may_fail(tmp_path, algorithm):
    code = (f"def call(): return piecemill.train_from_iterator(['low lower lowest'] * 9, {algorithm!r}, 280, special_tokens=['<a>'],"
            " threads=1).hash")
    assert run_out(tmp_path, "unused", code) > 50


def test_every_allocation_of_using_a_tokenizer_may_fail(tok, tmp_path):
    tok.save(tmp_path / "t.piecemill")
    code = ("def call():\n"
            "    tok = piecemill.Tokenizer.load(sys.argv[2])\n"
            "    ids = tok.encode('some text, \u4e2d<|pad|>' * 9, allowed_special='all')\n"
            "    batch = tok.encode_batch(['one', 'two'] * 9, threads=1)\n"
            "    tok.save(sys.argv[2] + '.again', format='native')\n"
            "    return ids, batch.ids.tolist(), tok.decode(ids), len(tok.merges), tok.settings, tok.special_tokens\n")
    assert run_out(tmp_path, "t.piecemill", code) > 20
    assert sorted(os.listdir(tmp_path)) == ["nth_malloc.so", "t.piecemill", "t.piecemill.again"]


# ---- the environment ----


@pytest.mark.parametrize("value, error", [("abacus", piecemill.InvalidArgumentError), (None, piecemill.UnsupportedError)])
def test_processor_that_is_not_there(tmp_path, monkeypatch, value, error):
    train(["some text"] * 9, "bytepiece", 300).save(tmp_path / "t.piecemill")
    value = value or ("avx2" if platform.machine() == "aarch64" else "neon")
    monkeypatch.setenv("PIECEMILL_CPU", value)
    for call in (lambda: piecemill.Tokenizer.load(tmp_path / "t.piecemill"), lambda: train(["some text"], "bpe", 300)):
        with pytest.raises(error, match=f"PIECEMILL_CPU={value}.*portable"):
            call()
    monkeypatch.setenv("PIECEMILL_CPU", "portable")
    assert piecemill.Tokenizer.load(tmp_path / "t.piecemill").decode([]) == ""


# ---- interruption ----


class Mine(Exception):
    pass


def test_exception_in_the_users_iterator():
    def documents(n):
        for i in range(n):
            yield "text " * 100
        raise Mine("from inside")

    for n in (0, 1, 1000):
        for algorithm in ("bpe", "bytepiece"):
            with pytest.raises(Mine, match="from inside"):
                train(documents(n), algorithm, 300)


def test_exception_in_progress():
    seen = []

    def progress(p):
        seen.append(p)
        if len(seen) == 2:
            raise Mine(p.phase)

    with pytest.raises(Mine):
        train(progress=progress)
    assert len(seen) == 2


@pytest.mark.parametrize("algorithm", ["bpe", "bytepiece"])
def test_ctrl_c_in_each_phase(algorithm):
    documents = sample("en", 100_000).splitlines(True)
    seen = []
    train(documents, algorithm, 600, progress=lambda p: seen.append(p.phase))
    assert len(set(seen)) > 1
    for phase in dict.fromkeys(seen):

        def progress(p):
            if p.phase == phase:
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            train(documents, algorithm, 600, progress=progress)


@pytest.mark.parametrize("algorithm", ["bpe", "bytepiece"])
def test_ctrl_c_while_training(tmp_path, algorithm):
    """SIGINT during a training that would never end: KeyboardInterrupt, no file left."""
    out = tmp_path / "out"
    temporary = tmp_path / "tmp"
    out.mkdir()
    temporary.mkdir()
    code = ("import piecemill, sys\n"
            "def documents():\n"
            "    print('ready', flush=True)\n"
            "    while True:\n"
            "        yield 'the same words again and again, ' * 100\n"
            "tok = piecemill.train_from_iterator(documents(), sys.argv[1], 60000, tmpdir=sys.argv[2])\n"
            "tok.save(sys.argv[3] + '/model.piecemill')\n")
    for wait in (0.0, 0.3):
        process = subprocess.Popen([sys.executable, "-c", code, algorithm, str(temporary), str(out)],
                                   env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert b"KeyboardInterrupt" in errors and process.returncode != 0
        assert os.listdir(out) == [] and os.listdir(temporary) == []


def test_ctrl_c_leaves_the_process_usable():
    code = ("import os, signal, piecemill\n"
            "def stop(p): os.kill(os.getpid(), signal.SIGINT)\n"
            "for _ in range(50):\n"
            "    try: piecemill.train_from_iterator(['low'] * 9, 'bpe', 258, progress=stop)\n"
            "    except KeyboardInterrupt: pass\n"
            "    else: raise SystemExit('not interrupted')\n"
            "print(piecemill.train_from_iterator(['low'] * 9, 'bpe', 258).vocab_size)\n")
    done = run_python(code)
    assert done.stdout == b"258\n", done.stderr
