"""count_corpus, merge_counts, Counts, train(counts=...)."""

import collections
import re
import threading

import pytest

import piecemill
from conftest import sample


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("counts")
    for name, language in (("a", "zh"), ("b", "en"), ("c", "mixed")):
        (folder / f"{name}.txt").write_text(sample(language, 40_000), encoding="utf-8", newline="")
    return folder


def count(folder, names, out, **options):
    return piecemill.count_corpus([folder / f"{name}.txt" for name in names], folder / out, **options)


def test_merging_is_counting_all(parts):
    for name in "abc":
        count(parts, name, f"{name}.counts", threads=1)
    summary = count(parts, "abc", "all.counts", tmpdir=parts)
    whole = (parts / "all.counts").read_bytes()
    assert piecemill.merge_counts([parts / f"{n}.counts" for n in "cab"], parts / "cab.counts")["distinct"] == summary["distinct"]
    assert (parts / "cab.counts").read_bytes() == whole
    piecemill.merge_counts([parts / "b.counts", parts / "c.counts"], parts / "bc.counts")
    piecemill.merge_counts([parts / "bc.counts", parts / "a.counts"], parts / "bc.counts", progress=lambda p: None)
    assert (parts / "bc.counts").read_bytes() == whole
    assert summary["documents"] == sum(len((parts / f"{n}.txt").read_bytes().splitlines()) for n in "abc")
    assert len(summary["sources"]) == 3 and summary["lines_split"] is True


@pytest.mark.parametrize("options", [{}, {"min_documents": 3}, {"max_count_per_document": 1}, {"split_scripts": True}])
def test_training_from_counts_is_training_from_text(parts, tmp_path, options):
    text = [parts / f"{n}.txt" for n in "abc"]
    piecemill.train(text, "bpe", 1500, pattern="gpt2", **options).save(tmp_path / "text.piecemill")
    counting = {k: v for k, v in options.items() if k != "min_documents"}
    paths = []
    for name in "abc":
        paths.append(tmp_path / f"{name}.counts")
        piecemill.count_corpus(parts / f"{name}.txt", paths[-1], pattern="gpt2", documents="min_documents" in options, **counting)
    made = piecemill.train(counts=paths, algorithm="bpe", vocab_size=1500, **options)
    made.save(tmp_path / "counts.piecemill")
    assert (tmp_path / "counts.piecemill").read_bytes() == (tmp_path / "text.piecemill").read_bytes()
    assert made.pattern_name == (None if "split_scripts" in options else "gpt2")
    assert made.training_summary["lines_split"] is True and not made.training_summary["sources"]


@pytest.mark.parametrize("ngrams, pieces, both", [
    ({}, {}, {}),
    ({"ngram_order": 4, "isolate_digits": True, "split": "document"}, {"min_count": 3, "ensure_unicode": False}, {}),
    ({"pattern": "gpt2"}, {"documents": True, "max_count_per_document": 2}, {"min_documents": 2})])
def test_bytepiece_from_counts_is_bytepiece_from_text(parts, tmp_path, ngrams, pieces, both):
    text = [parts / f"{n}.txt" for n in "abc"]
    options = {k: v for k, v in {**ngrams, **pieces}.items() if k != "documents"}
    piecemill.train(text, vocab_size=900, **options, **both).save(tmp_path / "text.piecemill")
    pieces = {**pieces, **{k: v for k, v in ngrams.items() if k == "split"}}
    for name in "abc":
        piecemill.count_corpus(parts / f"{name}.txt", tmp_path / f"{name}.ngrams", "bytepiece", **ngrams)
    piecemill.merge_counts([tmp_path / f"{n}.ngrams" for n in "abc"], tmp_path / "all.ngrams")
    for name in "abc":
        piecemill.count_corpus(parts / f"{name}.txt", tmp_path / f"{name}.pieces", "bytepiece", pieces=tmp_path / "all.ngrams", **pieces)
    counts = [tmp_path / f"{n}.pieces" for n in "cab"]
    piecemill.train(counts=counts, vocab_size=900, **both).save(tmp_path / "counts.piecemill")
    assert (tmp_path / "counts.piecemill").read_bytes() == (tmp_path / "text.piecemill").read_bytes()
    assert piecemill.Counts(counts[0]).settings["counts"] == "pieces"


def test_counts_are_those_of_a_dict(tmp_path):
    documents = ["to be or not to be\n", "b\u00e9 \u6211\u4eec\n", "be to\n"] * 3
    (tmp_path / "t.txt").write_text("".join(documents), encoding="utf-8", newline="")
    piecemill.count_corpus(tmp_path / "t.txt", tmp_path / "t.counts", pattern=["[a-z]+|\\s+|.", "b"], documents=True)
    expected, inside = collections.Counter(), collections.Counter()
    for document in documents:
        words = [w for part in re.findall(r"[a-z]+|\s+|.", document) for w in re.findall("b|[^b]+", part)]
        expected.update(words)
        inside.update(set(words))
    counts = piecemill.Counts(tmp_path / "t.counts")
    assert counts.has_documents and counts.documents == 9 and counts.distinct == len(expected) and counts.words == sum(expected.values())
    assert counts.bytes == len("".join(documents).encode())
    assert counts.settings["regex"] == ["[a-z]+|\\s+|.", "b"] and counts.settings["documents"] == "yes" and counts.settings["split"] == "line"
    got = list(counts)
    assert got == sorted((w.encode(), n, inside[w]) for w, n in expected.items())
    assert list(counts) == [] and next(counts, None) is None
    piecemill.count_corpus(tmp_path / "t.txt", tmp_path / "t.counts", pattern="a\nb|c")
    assert piecemill.Counts(tmp_path / "t.counts").settings["regex"] == ["a\nb|c"]


def test_wrong_calls(parts, tmp_path):
    count(parts, "a", "gpt2.counts", pattern="gpt2")
    count(parts, "a", "plain.counts")
    with pytest.raises(piecemill.InvalidArgumentError, match="pattern is 'o200k_base' here and 'gpt2' in") as error:
        piecemill.merge_counts([parts / "gpt2.counts", parts / "plain.counts"], tmp_path / "x")
    assert error.value.file == str(parts / "plain.counts")
    with pytest.raises(piecemill.InvalidArgumentError, match="and 'cl100k_base' in this call"):
        piecemill.train(counts=parts / "gpt2.counts", algorithm="bpe", vocab_size=300, pattern="cl100k_base")
    with pytest.raises(piecemill.InvalidArgumentError, match="documents were not counted"):
        piecemill.train(counts=parts / "gpt2.counts", algorithm="bpe", vocab_size=300, min_documents=2)
    with pytest.raises(piecemill.InvalidArgumentError, match="one or the other"):
        piecemill.train(parts / "a.txt", counts=parts / "gpt2.counts", algorithm="bpe", vocab_size=300)
    with pytest.raises(piecemill.InvalidArgumentError, match="split is about text"):
        piecemill.train(counts=parts / "gpt2.counts", algorithm="bpe", vocab_size=300, split="line")
    with pytest.raises(TypeError, match="files, or counts"):
        piecemill.train(algorithm="bpe", vocab_size=300)
    with pytest.raises(piecemill.InvalidArgumentError, match="holds pre-tokens for BPE"):
        piecemill.train(counts=parts / "gpt2.counts", vocab_size=300)
    with pytest.raises(TypeError, match="no option 'counts'"):
        piecemill.train_from_iterator(["a"], "bpe", 300, counts=parts / "gpt2.counts")
    with pytest.raises(piecemill.InvalidArgumentError, match="must be 'bytepiece' or 'bpe'"):
        count(parts, "a", "x.counts", algorithm="unigram")
    with pytest.raises(TypeError, match="no option 'min_count' here"):
        count(parts, "a", "x.counts", algorithm="bytepiece", min_count=3)
    with pytest.raises(piecemill.InvalidArgumentError, match="holds pre-tokens for BPE"):
        count(parts, "a", "x.counts", algorithm="bytepiece", pieces=parts / "gpt2.counts")
    with pytest.raises(TypeError, match="counting has no option 'layout'"):
        count(parts, "a", "x.counts", layout="hf")
    for empty in ({"counts": []}, {"files": []}):
        with pytest.raises(piecemill.InvalidArgumentError, match="is empty"):
            piecemill.train(algorithm="bpe", vocab_size=300, **empty)
    with pytest.raises(piecemill.InvalidArgumentError, match="paths is empty"):
        piecemill.merge_counts([], tmp_path / "x")
    assert not list(tmp_path.iterdir()) and not (parts / "x.counts").exists()


def test_damaged_files(parts, tmp_path):
    count(parts, "b", "good.counts")
    good = (parts / "good.counts").read_bytes()
    bad = tmp_path / "bad.counts"
    bad.write_bytes(good[:-1])
    with pytest.raises(piecemill.FormatError, match="truncated"):
        piecemill.Counts(bad)
    bad.write_bytes(good[:2000] + b"x" + good[2001:])
    with pytest.raises(piecemill.FormatError, match="damaged") as error:
        list(piecemill.Counts(bad))
    assert error.value.file == str(bad) and error.value.offset < len(good)
    for use in (lambda: piecemill.merge_counts(bad, tmp_path / "x"), lambda: piecemill.train(counts=bad, algorithm="bpe", vocab_size=300)):
        with pytest.raises(piecemill.FormatError, match="damaged"):
            use()
    bad.write_bytes(good[:8] + b"\2" + good[9:])
    with pytest.raises(piecemill.VersionError, match="version 2"):
        piecemill.Counts(bad)
    with pytest.raises(piecemill.NotFoundError):
        piecemill.Counts(tmp_path / "none")
    with pytest.raises(piecemill.FileError, match="folder"):
        piecemill.Counts(tmp_path)
    assert not (tmp_path / "x").exists()


def test_progress_ends_counting(parts, tmp_path):
    def stop(progress):
        raise KeyError(progress.phase)

    with pytest.raises(KeyError):
        piecemill.count_corpus(parts / "a.txt", tmp_path / "x", progress=stop)
    count(parts, "a", "one.counts")
    with pytest.raises(KeyError):
        piecemill.merge_counts(parts / "one.counts", tmp_path / "x", progress=stop)
    with pytest.raises(TypeError, match="progress must be"):
        piecemill.merge_counts(parts / "one.counts", tmp_path / "x", progress=3)
    assert not list(tmp_path.iterdir())


def test_threads_share_a_reader(parts):
    count(parts, "abc", "shared.counts")
    counts = piecemill.Counts(parts / "shared.counts")
    found = []
    threads = [threading.Thread(target=lambda: found.extend(counts)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(piecemill.Counts(parts / "shared.counts"))
