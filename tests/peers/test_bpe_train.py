"""BPE training against Hugging Face tokenizers: the same merges in the same order."""
import random

import piecemill
import pytest

from bpe_train_common import CORPORA, N_HASHED, hash_of, hf_merges


def our_merges(path, vocab_size, **options):
    tok = piecemill.train([str(path)], algorithm="bpe", vocab_size=vocab_size, **options)
    return [(bytes(left), bytes(right)) for left, right in tok.merges]


@pytest.mark.parametrize("name", CORPORA)
def test_slice_of_a_corpus(name, corpus, tmp_path):
    path = tmp_path / "slice.txt"
    path.write_bytes(corpus(name, 1_500_000, start=300_000))
    theirs = hf_merges(path, 4000)
    assert our_merges(path, 4000, pattern="gpt2", threads=2) == theirs
    assert len(theirs) == 4000 - 256


@pytest.mark.parametrize("name", ("zh", "en"))
def test_lines_as_words(name, corpus, tmp_path):
    path = tmp_path / "slice.txt"
    path.write_bytes(corpus(name, 100_000))
    assert our_merges(path, 2000, pattern="", threads=2) == hf_merges(path, 2000, use_regex=False)


def test_min_count(corpus, tmp_path):
    path = tmp_path / "slice.txt"
    path.write_bytes(corpus("en", 200_000))
    theirs = hf_merges(path, 30000, min_frequency=7)
    assert our_merges(path, 30000, pattern="gpt2", min_count=7) == theirs
    assert 500 < len(theirs) < 29000


@pytest.mark.parametrize("use_regex", (True, False))
def test_small_random_corpora(use_regex, tmp_path):
    """Few letters: runs, ties, and corpora that are used up."""
    draw = random.Random(5)
    for round in range(60):
        letters = draw.choice(("a", "ab", "ab ", "abc 1'", "aé中 ", "\0\x01\xff\n "))
        lines = ["".join(draw.choice(letters) for _ in range(draw.randrange(30))) for _ in range(draw.randrange(1, 60))]
        path = tmp_path / f"{round}.txt"
        path.write_bytes("\n".join(lines).encode() + b"\n")
        size = 256 + draw.randrange(1, 80)
        theirs = hf_merges(path, size, use_regex)
        assert our_merges(path, size, pattern="gpt2" if use_regex else "", threads=1 + round % 3) == theirs, (round, lines)


@pytest.mark.parametrize("name", CORPORA)
def test_whole_corpus(name, corpus, expected, tmp_path):
    row = next(row for row in expected("bpe_train") if row["corpus"] == name)
    path = tmp_path / "whole.txt"
    path.write_bytes(corpus(name))
    assert path.stat().st_size == int(row["bytes"])
    merges = our_merges(path, int(row["vocab_size"]), pattern="gpt2")
    assert min(len(merges), N_HASHED) == int(row["merges"])
    assert hash_of(merges) == row["sha1"]
