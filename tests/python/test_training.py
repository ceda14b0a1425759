"""train and train_from_iterator: sources, options, progress."""

import io
import json
import os
import subprocess
import sys

import pytest

import piecemill
from conftest import sample
from piecemill._progress import Bar


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "mixed.txt"
    path.write_text(sample("en", 60_000) + sample("zh", 60_000), encoding="utf-8", newline="")
    return path


def same(a, b):
    return a.merges == b.merges and [a.id_to_piece(i) for i in range(a.vocab_size)] == [b.id_to_piece(i) for i in range(b.vocab_size)]


@pytest.mark.parametrize("algorithm", ["bpe", "bytepiece"])
def test_files_and_iterators_agree(corpus, algorithm):
    by_file = piecemill.train(corpus, algorithm, 600)
    text = corpus.read_bytes()
    lines = text.split(b"\n")
    lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    for documents in (lines, (line for line in lines), [line.decode() for line in lines], [bytearray(line) for line in lines]):
        made = piecemill.train_from_iterator(documents, algorithm, 600)
        assert same(made, by_file)
        assert made.training_summary["documents"] == by_file.training_summary["documents"] == len(lines)
        assert made.training_summary["bytes"] == len(text)
    assert by_file.training_summary["lines_split"] is True and made.training_summary["lines_split"] is False


@pytest.mark.parametrize("algorithm", ["bpe", "bytepiece"])
def test_threads_do_not_matter(corpus, algorithm, tmp_path):
    files = []
    for threads in (1, 2, 5):
        path = tmp_path / f"{threads}.piecemill"
        piecemill.train([corpus], algorithm, 700, threads=threads).save(path)
        files.append(path.read_bytes())
    assert files[0] == files[1] == files[2]


def test_kinds_of_files(corpus, tmp_path):
    import gzip
    import json

    text = corpus.read_bytes()
    expected = piecemill.train(str(corpus), "bpe", 500)
    assert same(piecemill.train(os.fsencode(corpus), "bpe", 500), expected)
    if "zlib" in piecemill.features:
        packed = tmp_path / "c.txt.gz"
        packed.write_bytes(gzip.compress(text[:1000]) + gzip.compress(text[1000:]))
        assert same(piecemill.train([packed], "bpe", 500), expected)
    records = tmp_path / "c.jsonl"
    lines = text.decode().split("\n")
    records.write_text("".join(json.dumps({"id": i, "body": line + "\n"}) + "\n" for i, line in enumerate(lines)))
    assert same(piecemill.train([records], "bpe", 500, field="body"), piecemill.train_from_iterator([line + "\n" for line in lines], "bpe", 500))
    with pytest.raises(piecemill.CorpusError):
        piecemill.train([records], "bpe", 500, field="absent")


def test_split(corpus):
    lines = piecemill.train(corpus, "bpe", 500, pattern="", split="line")
    whole = piecemill.train(corpus, "bpe", 500, pattern="", split="document")
    assert lines.training_summary["documents"] > 10 and whole.training_summary["documents"] == 1
    paragraphs = piecemill.train(corpus, "bpe", 500, pattern="", split="paragraph")
    assert 1 < paragraphs.training_summary["documents"] < lines.training_summary["documents"]
    with pytest.raises(piecemill.InvalidArgumentError, match="split"):
        piecemill.train(corpus, "bpe", 500, split="word")


def test_windows_line_ends_and_nul(tmp_path):
    path = tmp_path / "crlf.txt"
    path.write_bytes(b"one\r\ntwo\r\n\0three\0\r\n" * 50)
    tok = piecemill.train(path, "bpe", 280, pattern="")
    assert tok.training_summary["documents"] == 150
    assert tok.decode_bytes(tok.encode(b"\0three\0\r\n")) == b"\0three\0\r\n"
    assert any(b"\r\n" in a + b for a, b in tok.merges) and any(b"\0" in a + b for a, b in tok.merges)


def test_special_tokens_and_slots():
    documents = ["low lower <|end|>"] * 9 + ["plain"]
    tok = piecemill.train_from_iterator(documents, "bpe", 272, special_tokens=["<|end|>", "<|pad|>"], reserve=3, pattern="gpt2")
    assert tok.training_summary["documents_with_special"] == 9
    assert list(tok.special_tokens) == ["<|end|>", "<|pad|>"]
    kinds = [tok.kind(i) for i in range(tok.vocab_size)]
    assert kinds[-5:] == ["special"] * 2 + ["reserved"] * 3
    rounded = piecemill.train_from_iterator(documents, "bpe", 272, special_tokens=["<|end|>"], round_to=64, pattern="gpt2")
    assert rounded.vocab_size % 64 == 0
    first = piecemill.train_from_iterator(documents, "bpe", 272, special_tokens=["<|end|>"], layout="hf", pattern="gpt2")
    assert first.special_tokens == {"<|end|>": 0} and first.merges == piecemill.train_from_iterator(
        documents, "bpe", first.vocab_size, special_tokens=["<|end|>"], pattern="gpt2").merges


def test_bytepiece_options(corpus):
    short = piecemill.train(corpus, vocab_size=600, max_piece_length=6, ngram_order=4, min_count=3)
    assert max(len(short.id_to_piece(i)) for i in range(3, short.vocab_size)) <= 6
    digits = piecemill.train_from_iterator(["in 1984 and 1985"] * 50, vocab_size=400, isolate_digits=True)
    pieces = [digits.id_to_piece(i) for i in range(3, digits.vocab_size)]
    assert not [p for p in pieces if len(p) > 1 and any(48 <= b < 58 for b in p)]
    loose = piecemill.train(corpus, vocab_size=600, ensure_unicode=False)
    assert loose.hash != piecemill.train(corpus, vocab_size=600).hash


def test_split_scripts():
    text = ["LINEで漢字を LINEで漢字を"] * 9
    tok = piecemill.train_from_iterator(text, "bpe", 280, split_scripts=True)
    assert same(tok, piecemill.train_from_iterator(text, "bpe", 280, pattern=["o200k_base", "scripts"]))
    pieces = {tok.id_to_piece(i).decode("utf-8", "replace") for i in range(tok.vocab_size)}
    assert {"漢字", "LINE"} <= pieces and "で漢" not in "".join(pieces)
    whole = piecemill.train_from_iterator(text, "bpe", 280)
    assert "で漢" in "".join(whole.id_to_piece(i).decode("utf-8", "replace") for i in range(whole.vocab_size))
    pieces = piecemill.train_from_iterator(text, "bytepiece", 280, split_scripts=True)
    assert same(pieces, piecemill.train_from_iterator(text, "bytepiece", 280, pattern="scripts"))
    assert {"superbpe", "scripts"} <= set(piecemill.pattern_names)


def test_rules_about_pieces():
    text = ["low lower lowest slower 中文和中国"] * 9
    pieces = lambda **options: [tok.id_to_piece(i) for tok in [piecemill.train_from_iterator(text, "bpe", 300, pattern="", **options)]
                                for i in range(256, tok.vocab_size)]
    assert max(map(len, pieces())) > 12
    assert max(map(len, pieces(max_piece_length=5))) == 5
    assert max(len(p.split()) for p in pieces()) > 2
    assert max(len(p.split()) for p in pieces(max_words=2)) == 2
    assert b"low" in pieces() and b"low" not in pieces(excluded_pieces=["low", b"er"])
    for piece in pieces(utf8_boundaries=True):
        assert piece.decode("utf-8", "ignore") == "" or piece.decode("utf-8")
    first = pieces(required_pieces=["west", "中文", b"\xff\x00"])
    assert {b"west", "中文".encode(), b"\xff\x00"} <= set(first[:9])
    for bad, words in (({"excluded_pieces": ["x"]}, "a single byte"), ({"required_pieces": ["abc"], "max_piece_length": 2}, "cannot be made"),
                       ({"required_pieces": ["abc"], "excluded_pieces": ["abc"]}, "cannot be made"), ({"max_words": -1}, "max_words")):
        with pytest.raises(piecemill.InvalidArgumentError, match=words):
            pieces(**bad)
    for option in ("extend", "max_words", "utf8_boundaries"):
        with pytest.raises(TypeError, match=option):
            piecemill.train_from_iterator(text, "bytepiece", 300, **{option: 1})


def test_extending(corpus, tmp_path):
    whole = piecemill.train(corpus, "bpe", 600, pattern="gpt2", special_tokens=["<|end|>"])
    base = piecemill.train(corpus, "bpe", 400, pattern="gpt2", special_tokens=["<|end|>"])
    base.save(str(tmp_path / "base.tiktoken"))
    base.save(str(tmp_path / "base.piecemill"))
    for extend in (base, str(tmp_path / "base.piecemill"), tmp_path / "base.piecemill"):
        assert same(piecemill.train(corpus, "bpe", 600, extend=extend), whole)
    ranks = piecemill.train(corpus, "bpe", 600, extend=tmp_path / "base.tiktoken", pattern="gpt2", special_tokens=["<|end|>"])
    assert ranks.merges == whole.merges
    second = piecemill.train(corpus, "bpe", 600, extend=base, pattern="superbpe", max_words=3, required_pieces=["of the people"])
    assert second.merges[:len(base.merges)] == base.merges and second.piece_to_id(b"of the people") is not None
    assert piecemill.Tokenizer.load(str(tmp_path / "base.piecemill")).hash == base.hash
    with pytest.raises(piecemill.InvalidArgumentError, match="holds no pattern"):
        piecemill.train(corpus, "bpe", 600, extend=tmp_path / "base.tiktoken")
    with pytest.raises(piecemill.NotFoundError):
        piecemill.train(corpus, "bpe", 600, extend=tmp_path / "none.piecemill")
    with pytest.raises(piecemill.InvalidArgumentError, match="leaves room for"):
        piecemill.train(corpus, "bpe", 300, extend=base)
    with pytest.raises(TypeError, match="extend must be"):
        piecemill.train(corpus, "bpe", 600, extend=7)


def test_several_sizes(corpus):
    sizes = [500, 400, 700]
    many = piecemill.train(corpus, vocab_size=sizes)
    for size, made in zip(sizes, many):
        assert size - 20 < made.vocab_size <= size
        assert made.training_summary["vocab_size"] == made.vocab_size
        assert made.training_summary["smaller_than_asked"] is (made.vocab_size < size)
    # as in bytepiece, each model is pruned from the next larger one: only the largest is what it would be alone
    assert same(many[2], piecemill.train(corpus, vocab_size=700))
    for made, again in zip(many, reversed(piecemill.train(corpus, vocab_size=sizes[::-1]))):
        assert same(made, again)
    assert type(piecemill.train(corpus, vocab_size=(500,))) is list


def test_min_count():
    documents = ["low"] * 9 + ["zq"] * 3
    assert len(piecemill.train_from_iterator(documents, "bpe", 300, min_count=4).merges) == 2
    assert len(piecemill.train_from_iterator(documents, "bpe", 300).merges) == 3


def test_progress_callable(corpus):
    seen = []
    piecemill.train(corpus, "bpe", 600, progress=seen.append)
    assert len({p.phase for p in seen}) >= 2 and all(isinstance(p, piecemill.Progress) for p in seen)
    assert [p.seconds for p in seen] == sorted(p.seconds for p in seen)
    assert all(type(p.done) is int and type(p.total) is int and type(p.memory) is int and p.unit for p in seen)
    phase, done, total, unit, seconds, memory = seen[-1]
    assert phase == seen[-1].phase


def test_progress_bar(corpus, capsys):
    piecemill.train(corpus, "bpe", 600, progress=True)
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("piecemill: ")
    piecemill.train(corpus, "bpe", 600, progress=False)
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bar_on_a_terminal():
    stream = Terminal()
    bar = Bar(stream)
    bar(piecemill.Progress(("read", 0, 1 << 30, "bytes", 0.0, 0)))
    bar(piecemill.Progress(("read", 1 << 29, 1 << 30, "bytes", 2.0, 300 << 20)))
    bar(piecemill.Progress(("merge", 500, 0, "merges", 3.0, 0)))
    bar.close()
    lines = stream.getvalue().split("\r")
    assert "50%" in lines[2] and "256MB/s" in lines[2] and "ETA 0:02" in lines[2] and "300MB memory" in lines[2]
    assert lines[3].startswith("merge  500 merges") and stream.getvalue().endswith("\n")
    assert len(lines[3].rstrip("\n")) >= len(lines[2])  # the longer line before it is wiped out


def test_an_iterator_is_read_once_and_lazily():
    alive = []

    class Documents:
        def __iter__(self):
            for i in range(3000):
                alive.append(i)
                yield f"document {i} " * 20

    tok = piecemill.train_from_iterator(Documents(), "bpe", 300)
    assert len(alive) == 3000 and tok.training_summary["documents"] == 3000


# ---- which documents are taken


def test_mix_counts_files_several_times(tmp_path):
    a, b = tmp_path / "a.txt", tmp_path / "b.txt"
    a.write_text(sample("en", 30_000), encoding="utf-8")
    b.write_text(sample("zh", 30_000), encoding="utf-8")
    expected = piecemill.train([a, b, b, b], "bpe", 600)
    for files, mix in (([a], {b: 3}), ([a, b], {str(b): 3}), ((), {a: 1, os.fsencode(b): 3}), ([], {a: 1, b: 3})):
        made = piecemill.train(files, "bpe", 600, mix=mix)
        assert same(made, expected) and made.training_summary["bytes"] == a.stat().st_size + b.stat().st_size
        assert [(row["name"], row["weight"]) for row in made.training_summary["sources"]] == [(str(a), 1), (str(b), 3)]
    assert not same(piecemill.train([a, b], "bpe", 600), expected)
    assert same(piecemill.train([a, b], "bpe", 600, mix={}), piecemill.train([a, b], "bpe", 600))
    with pytest.raises(piecemill.InvalidArgumentError, match="b.txt: a weight of 0"):
        piecemill.train([a], "bpe", 600, mix={b: 0})
    with pytest.raises(piecemill.InvalidArgumentError, match="from 0 to"):
        piecemill.train([a], "bpe", 600, mix={b: -1})
    with pytest.raises(piecemill.InvalidArgumentError, match="a weight of 1048577"):
        piecemill.train([a], "bpe", 600, mix={b: 2**20 + 1})
    with pytest.raises(TypeError, match="whole number"):
        piecemill.train([a], "bpe", 600, mix={b: 1.5})
    made, expected = piecemill.train([a], "bytepiece", 600, mix={b: 2}), piecemill.train([a, b, b], "bytepiece", 600)
    assert made.hash == expected.hash
    with pytest.raises(TypeError, match="no option 'mix'"):
        piecemill.train_from_iterator(["a"], "bpe", 600, mix={b: 2})
    with pytest.raises(piecemill.InvalidArgumentError, match="files is empty"):
        piecemill.train([], "bpe", 600, mix={})


@pytest.mark.parametrize("algorithm", ["bpe", "bytepiece"])
def test_samples_and_duplicates(corpus, algorithm, tmp_path):
    lines = corpus.read_text(encoding="utf-8").split("\n")
    lines = [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    once = list(dict.fromkeys(lines))
    assert len(once) < len(lines)
    made = piecemill.train([corpus, corpus], algorithm, 500, remove_duplicates=True)
    assert same(made, piecemill.train_from_iterator(once, algorithm, 500))
    summary = made.training_summary
    assert summary["documents"] == len(once) and [row["duplicates"] for row in summary["sources"]] == [len(lines) - len(once), len(lines)]
    assert sum(summary["scripts"].values()) == summary["bytes"] == summary["sources"][0]["taken_bytes"]
    assert made.settings["remove_duplicates"] == "true" and "sample" not in made.settings

    half = piecemill.train(corpus, algorithm, 400, sample="50%", seed=9)
    assert same(half, piecemill.train_from_iterator(lines, algorithm, 400, sample=0.5, seed=9, threads=3))
    assert half.settings["sample"] == "500000 of 1000000" and half.settings["seed"] == "9"
    assert half.hash != piecemill.train(corpus, algorithm, 400, sample="50%", seed=10).hash
    size = corpus.stat().st_size
    sized = piecemill.train(corpus, algorithm, 400, sample=size // 2)
    assert size / 4 < sized.training_summary["bytes"] < size * 3 / 4
    assert same(sized, piecemill.train(corpus, algorithm, 400, sample=f"{size / 2048}K"))
    assert half.training_summary["sources"] is not half.training_summary["sources"]
    assert piecemill.train(corpus, algorithm, 400).training_summary["scripts"] is None
    with pytest.raises(piecemill.InvalidArgumentError, match="can be read twice"):
        piecemill.train_from_iterator(lines, algorithm, 400, sample=1000)


@pytest.mark.parametrize("sample", ["0%", "101%", "x%", "%", 0.0, -0.5, 1.5, float("nan"), "0.00001%", 0, "0", "1X", "", -1])
def test_bad_samples(corpus, sample):
    with pytest.raises(piecemill.InvalidArgumentError):
        piecemill.train(corpus, "bpe", 400, sample=sample)


def test_a_file_that_changes(corpus, tmp_path):
    path = tmp_path / "growing.txt"
    path.write_bytes(corpus.read_bytes() * 20)

    def grow(progress):
        with open(path, "ab") as f:
            f.write(b"more\n")

    with pytest.raises(piecemill.CorpusError, match="growing.txt.*was changed while the corpus was read"):
        piecemill.train(path, "bpe", 400, progress=grow)


def test_a_checkpoint_is_gone_on_with(corpus, tmp_path):
    """An exception of the callback leaves a folder that the same call goes on from; another corpus is refused."""
    folder = tmp_path / "checkpoint"
    plain = piecemill.train(corpus, "bpe", 600)
    for stop_in in ("count words", "merge"):
        def stop(progress):
            if progress.phase == stop_in:
                raise KeyError(stop_in)

        with pytest.raises(KeyError):
            piecemill.train(corpus, "bpe", 600, progress=stop, checkpoint=folder)
        assert (folder / "checkpoint").is_file()
    for where in (folder, str(folder), os.fsencode(folder)):
        assert same(piecemill.train(corpus, "bpe", 600, checkpoint=where), plain)
    with pytest.raises(piecemill.InvalidArgumentError, match="other settings: min_count"):
        piecemill.train(corpus, "bpe", 600, min_count=2, checkpoint=folder)
    with pytest.raises(piecemill.CorpusError, match="not the one that this checkpoint was begun with"):
        piecemill.train_from_iterator(["another text"], "bpe", 600, checkpoint=folder)
    with pytest.raises(piecemill.InvalidArgumentError, match="algorithm is 'bpe' here and 'bytepiece' in this call"):
        piecemill.train(corpus, "bytepiece", 600, checkpoint=folder)


def test_a_checkpoint_of_an_iterator(tmp_path):
    documents = ["low lower lowest", "new newer"] * 50
    plain = piecemill.train_from_iterator(documents, "bpe", 270)
    for _ in range(2):
        assert same(piecemill.train_from_iterator(iter(documents), "bpe", 270, checkpoint=tmp_path / "it"), plain)
    with pytest.raises(piecemill.CorpusError, match="not the one"):  # the same text, cut into documents in another way
        piecemill.train_from_iterator(["low lower lowestn", "ew newer"] * 50, "bpe", 270, checkpoint=tmp_path / "it")


# ---- BytePiece beyond bytepiece


def test_bytepiece_inside_words(tmp_path):
    text = [sample("en", 30_000)]
    tok = piecemill.train_from_iterator(text, vocab_size=700, pattern="gpt2")
    assert tok.pattern_name == "gpt2" and tok.decode(tok.encode(text[0])) == text[0]
    assert not any(b" " in piece[1:].rstrip(b" ") for piece in map(tok.id_to_piece, range(3, tok.vocab_size)) if len(piece) > 1)
    tok.save(tmp_path / "words.piecemill")
    again = piecemill.Tokenizer.load(tmp_path / "words.piecemill")
    assert again.hash == tok.hash and again.encode(text[0]) == tok.encode(text[0])
    with pytest.raises(piecemill.UnsupportedError, match="no room for a pattern"):
        tok.save(tmp_path / "words.model", format="bytepiece")


def test_bytepiece_takes_required_and_excluded_pieces(tmp_path):
    text = [sample("en", 30_000)]
    plain = piecemill.train_from_iterator(text, vocab_size=500)
    frequent = max((i for i in range(259, plain.vocab_size) if len(plain.id_to_piece(i)) > 1), key=plain.piece_count)
    tok = piecemill.train_from_iterator(text, vocab_size=500, required_pieces=["never seen here"], excluded_pieces=[plain.id_to_piece(frequent)])
    assert tok.piece_to_id("never seen here") is not None and plain.piece_to_id("never seen here") is None
    assert tok.piece_to_id(plain.id_to_piece(frequent)) is None


def test_bytepiece_goes_on_from_a_checkpoint(tmp_path):
    text = tmp_path / "t.txt"
    text.write_text(sample("zh", 60_000), encoding="utf-8")
    expected = piecemill.train(text, vocab_size=700).hash
    for threads in (1, 2):
        assert piecemill.train(text, vocab_size=700, checkpoint=tmp_path / "kept", threads=threads).hash == expected
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "checkpoint", "checkpoint-0001.counts", "checkpoint-lock", "checkpoint-pieces-0001.counts"]


@pytest.mark.parametrize("algorithm", ["bpe", "bytepiece"])
def test_temperature(algorithm, tmp_path):
    paths = [tmp_path / "many" / "en.txt", tmp_path / "few" / "zh.txt"]
    for path, text in zip(paths, ("low lower lowest\n" * 400, "\u6df1\u5ea6\u5b66\u4e60\n" * 20)):
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
    made = piecemill.train(paths, algorithm, 280, temperature=1e9, temperature_by="folder")
    assert [round(row["share"], 2) for row in made.training_summary["sources"]] == [0.5, 0.5]
    assert made.training_summary["sources"][0]["weight"] == 64
    assert made.settings["temperature"] == "1e+09 by folder"
    for wrong in ({"temperature": 0.5}, {"temperature": 0}, {"temperature": 2, "temperature_by": "script"}, {"temperature_by": "folder"}):
        with pytest.raises(piecemill.InvalidArgumentError, match="temperature"):
            piecemill.train(paths, algorithm, 280, **wrong)
    with pytest.raises(TypeError, match="temperature"):
        piecemill.train_from_iterator(["a"], algorithm, 280, temperature=2)


@pytest.mark.parametrize("algorithm", ["bpe", "bytepiece"])
@pytest.mark.parametrize("counted", [False, True])
def test_pieces_report(algorithm, counted, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on \u03b1\u03b2ab\n" * 40 + "casino " * 90 + "\n" + "\u6771\u4eac\u306f \u65e5\u672c\n" * 30, encoding="utf-8")
    tok = piecemill.train(text, algorithm, 300, min_count=2)
    tok.save(tmp_path / "m.piecemill")
    argv = [sys.executable, "-m", "piecemill", "inspect", "-q", "--json", "--report", "7", tmp_path / "m.piecemill"] + ([text] if counted else [])
    told = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)["report"]
    lines = text.read_text(encoding="utf-8").splitlines(keepends=True)
    report = piecemill.pieces_report(tok, lines if counted else None, most=7)
    told.pop("documents_at_most", None)
    for rows in (told[name] for name in ("longest", "rarest", "mixed")):
        for row in rows:
            row["piece"] = bytes.fromhex(row.pop("hex"))
            assert row.pop("len") == len(row["piece"]) and row.pop("text")
    assert report == told and report["n_longest"] > 1
