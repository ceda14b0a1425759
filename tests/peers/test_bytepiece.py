"""BytePiece models and ids equal those of bytepiece 0.6.3: live on slices, by committed hashes on a megabyte."""
import pytest

import piecemill
from make_expected_bytepiece import TEXTS, ids_hash, model_hash, text_of

CONTROLS = 3


def dump_of(tok, tmp_path):
    """bytepiece's own view of our model: what its JSON holds."""
    import base64
    import json

    path = str(tmp_path / "model.json")
    tok.save(path, format="bytepiece")
    with open(path, encoding="utf-8") as f:
        model = json.load(f)
    return path, {base64.b64decode(k): (v[0], v[-1]) for k, v in model.items()}


@pytest.fixture(scope="module")
def bytepiece():
    return pytest.importorskip("bytepiece", reason="SKIPPED: bytepiece is not installed")


class Documents:
    """An iterable that can be read twice, which bytepiece needs."""

    def __init__(self, documents):
        self.documents = documents

    def __iter__(self):
        return iter(self.documents)


def both(bytepiece, documents, sizes, **options):
    theirs = dict(options)
    if "ngram_order" in theirs:
        theirs["order"] = theirs.pop("ngram_order")
    trainer = bytepiece.Trainer(max_vocab_size=list(sizes), **theirs)
    trainer.train(Documents(documents))
    ours = piecemill.train_from_iterator(documents, algorithm="bytepiece", vocab_size=list(sizes), threads=2, **options)
    return dict(zip(trainer.max_vocab_size, trainer.pieces)), dict(zip(sizes, ours))


LIVE = [
    ("zh", 0, 100_000, [2000, 600], {}),
    ("en", 1_000_000, 100_000, [1000, 500], {}),
    ("code", 500_000, 60_000, [1500, 400], {"isolate_digits": True}),
    ("multi", 200_000, 80_000, [3000], {"ngram_order": 3}),
    ("zh", 2_000_000, 40_000, [1000], {"ngram_order": 7, "min_count": 1}),
    ("en", 3_000_000, 40_000, [700], {"ngram_order": 2, "min_count": 4, "max_piece_length": 7}),
    ("zh", 3_000_000, 50_000, [900, 300], {"ensure_unicode": False}),
    ("code", 0, 40_000, [600], {"ngram_order": 1}),
]


@pytest.mark.parametrize("name,start,size,sizes,options", LIVE)
def test_models_and_ids_equal_live(bytepiece, corpus, tmp_path, name, start, size, sizes, options):
    text = corpus(name, size, start).decode()
    theirs, ours = both(bytepiece, text.split("\n"), sizes, **options)
    for vocab_size in sizes:
        path, pieces = dump_of(ours[vocab_size], tmp_path)
        assert {k: count for k, (_, count) in pieces.items()} == theirs[vocab_size]
        peer = bytepiece.Tokenizer(path)
        assert peer.encode(text) == ours[vocab_size].encode(text)
        assert {k: i for k, (i, _) in pieces.items()} == {k: v for k, v in peer._piece2id.items() if v >= CONTROLS}
        assert ours[vocab_size].decode(ours[vocab_size].encode(text)) == peer.decode(peer.encode(text))


def test_documents_with_newlines_marks_and_long_lines(bytepiece, tmp_path):
    """NFC, runs of more than 100 newlines, lines of more than 10,000 characters, digits of other scripts."""
    documents = [
        "e\u0301te\u0301 \u1100\u1161\u11a8 " * 50,
        "a\n" + "\n" * 250 + "b",
        "中文" * 6000 + "\n" + "x" * 10_000 + "\n\n",
        "١٢٣ 123 ９９ " * 40 + "\n",
        "",
        "\n",
        "\x00\x01\x00" * 30,
    ]
    for options in ({}, {"isolate_digits": True}):
        theirs, ours = both(bytepiece, documents, [400], **options)
        _, pieces = dump_of(ours[400], tmp_path)
        assert {k: count for k, (_, count) in pieces.items()} == theirs[400]


@pytest.mark.parametrize("name,memory_limit", [(name, None) for name in TEXTS] + [(name, "48M") for name in TEXTS if name.endswith("-4MB")])
def test_models_and_ids_equal_the_committed_hashes(corpus, expected, tmp_path, name, memory_limit):
    corpus("zh", 1)  # skips when the data is not there
    text, (_, sizes, options) = text_of(name), TEXTS[name]
    rows = {int(row["size"]): row for row in expected("bytepiece") if row["text"] == name}
    options = {"ngram_order": 6, "min_count": 2, "max_piece_length": 36, **options}
    models = piecemill.train_from_iterator(text.split("\n"), algorithm="bytepiece", vocab_size=sizes, memory_limit=memory_limit, **options)
    for size, tok in zip(sizes, models):
        _, pieces = dump_of(tok, tmp_path)
        assert len(pieces) == int(rows[size]["pieces"])
        assert model_hash([(k, count) for k, (_, count) in pieces.items()]) == rows[size]["model_sha1"]
        if memory_limit is None:
            ids = tok.encode(text)
            assert len(ids) == int(rows[size]["tokens"])
            assert ids_hash(ids) == rows[size]["ids_sha1"]


def test_lines_of_a_file_keep_their_newline(bytepiece, corpus, tmp_path):
    text = corpus("en", 60_000)
    path = tmp_path / "text.txt"
    path.write_bytes(text)
    tok = piecemill.train([str(path)], algorithm="bytepiece", vocab_size=600)
    trainer = bytepiece.Trainer(max_vocab_size=600)
    lines = text.decode().split("\n")
    trainer.train(Documents([line + "\n" for line in lines[:-1]] + lines[-1:]))
    _, pieces = dump_of(tok, tmp_path)
    assert {k: count for k, (_, count) in pieces.items()} == trainer.pieces[0]


def chi_squares(marginals, draws, n_bytes):
    """For each byte of a text: chi-square over the pieces that cover it in the draws, and its degrees of freedom. draws: lists of lengths of pieces."""
    seen = {}
    for lengths in draws:
        begin = 0
        for length in lengths:
            seen[begin, begin + length] = seen.get((begin, begin + length), 0) + 1
            begin += length
    possible = {(begin, end): probability for begin, end, _, probability in marginals}
    assert set(seen) <= set(possible)  # nothing is drawn that cannot be
    for at in range(n_bytes):
        cells, rare = [], [0.0, 0]
        for (begin, end), probability in possible.items():
            if begin <= at < end:
                cell = [probability * len(draws), seen.get((begin, end), 0)]
                if cell[0] >= 8:
                    cells.append(cell)
                else:
                    rare = [rare[0] + cell[0], rare[1] + cell[1]]
        cells += [rare] if rare[0] >= 8 else []
        yield sum((count - mean) ** 2 / mean for mean, count in cells), len(cells) - 1


@pytest.mark.parametrize("name,alpha", [("zh", 0.1), ("en", 0.3), ("zh", 1.0)])
def test_both_draw_from_the_marginals(bytepiece, corpus, tmp_path, name, alpha):
    """Which piece covers each byte of a sentence, in some thousand draws of either library, against the exact probabilities."""
    text = corpus(name, 60_000).decode("utf-8", "ignore")
    tok = piecemill.train_from_iterator(text.split("\n"), algorithm="bytepiece", vocab_size=1500)
    path, _ = dump_of(tok, tmp_path)
    peer = bytepiece.Tokenizer(path, seed=7)
    sample = max(text.split("\n"), key=len)[:60]
    marginals, n_bytes, n = tok.marginals(sample, alpha), len(sample.encode()), 3000
    theirs = [[len(piece) for piece in peer.tokenize(sample, alpha=alpha)] for _ in range(n)]
    ours = [[len(tok.id_to_piece(i)) for i in tok.encode(sample, alpha=alpha, seed=seed)] for seed in range(n)]
    for draws in (ours, theirs):
        for chi, degrees in chi_squares(marginals, draws, n_bytes):
            assert chi < degrees + 5 * (2 * degrees) ** 0.5 + 8
    longer = chi_squares(tok.marginals(sample, alpha * 1.5), ours, n_bytes)  # and another alpha is told apart
    assert any(chi > degrees + 5 * (2 * degrees) ** 0.5 + 8 for chi, degrees in longer)
