"""BPE over characters with byte fallback against sentencepiece: the same vocabulary, the same ids."""
import random

import piecemill
import pytest

import sentencepiece_common as theirs


def entries(tok):
    return [tok.id_to_piece(i) for i in range(tok.vocab_size)]


def train(path, vocab_size, **options):
    return piecemill.train(str(path), "bpe", vocab_size, level="char", **options)


@pytest.mark.parametrize("name, size, vocab_size, coverage", (("en", 250_000, 4000, 1.0), ("zh", 150_000, 5000, 1.0), ("zh", 150_000, 3000, 0.98),
                                                             ("code", 200_000, 3000, 0.9995), ("multi", 200_000, 3500, 1.0)))
def test_vocabulary_and_ids(name, size, vocab_size, coverage, corpus, tmp_path):
    path = tmp_path / "slice.txt"
    path.write_bytes(corpus(name, size, start=100_000).decode("utf-8", "ignore").encode())
    model = theirs.train(path, tmp_path / "model", vocab_size, character_coverage=coverage)
    tok = train(path, vocab_size, character_coverage=coverage, threads=2)
    assert entries(tok) == [text for text, _ in theirs.entries(model)]
    assert tok.vocab_size == vocab_size
    other = corpus(name, 60_000, start=1_000_000).decode("utf-8", "ignore") + "\u2581 \u2581\u2581\U0001f600\u0001\t \t x  "
    for text in [other, *other.split("\n")[:400]]:
        assert tok.encode(text) == model.encode(text)
        assert tok.decode(tok.encode(text)) == text.replace("\u2581", " ")


@pytest.mark.parametrize("options, ours", (({"max_sentencepiece_length": 4}, {"max_piece_length": 4}),
                                           ({"control_symbols": ["<|a|>", "<|b|>"]}, {"special_tokens": ["<|a|>", "<|b|>"]})))
def test_options(options, ours, corpus, tmp_path):
    path = tmp_path / "slice.txt"
    path.write_bytes(corpus("en", 100_000))
    model = theirs.train(path, tmp_path / "model", 2000, **options)
    assert entries(train(path, 2000, character_coverage=1, **ours)) == [text for text, _ in theirs.entries(model)]


def test_small_random_corpora(tmp_path):
    """Few letters: runs and ties. Where no pair is left, sentencepiece goes on with pairs that do not occur: what we made is compared."""
    draw = random.Random(7)
    letters = ("a", "ab", "ab ", "a\u2581 b", "\u4e2d\u6587 \u56fd", "\0a ", "\ufffda b", "\ra b", "a\x0bb\x85\u2028 ", "e\u0301 \u00e0", "\U0001f600a b", "\ufeffa")
    for round in range(60):
        chosen = draw.choice(letters) if round % 3 else " " + "".join(draw.choice(letters) for _ in range(3))
        chosen = chosen if " " in chosen else chosen + " "
        lines = [" " + "".join(draw.choice(chosen) for _ in range(draw.randrange(30))) for _ in range(draw.randrange(2, 60))]
        path = tmp_path / "corpus.txt"
        path.write_bytes("".join(line + "\n" for line in lines).encode())
        size, coverage = 259 + len(set(chosen)) + draw.randrange(1, 60), draw.choice((1.0, 1.0, 0.99, 0.98))
        model = theirs.train(path, tmp_path / "model", size, character_coverage=coverage)
        tok = train(path, size, character_coverage=coverage, threads=1 + round % 3)
        small = tok.training_summary["smaller_than_asked"]
        n = 259 + len(tok.merges) if small else size
        assert entries(tok)[:n] == [text for text, _ in theirs.entries(model)][:n], (round, lines)
        for line in lines if not small else ():
            assert tok.encode(line) == model.encode(line), (round, line)
