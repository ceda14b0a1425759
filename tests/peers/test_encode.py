"""The ids of byte-pair vocabularies equal tiktoken's."""
import hashlib
import itertools
import random

import pytest

import encode_common
from encode_common import CORPORA, VOCABS

piecemill = pytest.importorskip("piecemill", reason="SKIPPED: the piecemill module is not built")
pytest.importorskip("tiktoken", reason="SKIPPED: tiktoken is not installed")
numpy = pytest.importorskip("numpy", reason="SKIPPED: numpy is not installed")


@pytest.fixture(scope="module")
def ours(vocab_path):
    made = {}

    def get(name):
        if name not in made:
            special = encode_common.metadata(vocab_path(name + ".json"))["special_tokens"]
            made[name] = piecemill.Tokenizer.load(
                vocab_path(name + ".tiktoken"), pattern=name, special_tokens=special
            )
        return made[name]

    return get


@pytest.fixture(scope="module")
def theirs(vocab_path):
    return lambda name: encode_common.tiktoken_encoding(
        name, vocab_path(name + ".tiktoken"), vocab_path(name + ".json")
    )


def assert_equal_ids(tok, encoding, docs):
    ids, offsets = tok.encode_batch(docs)
    ids, offsets = numpy.asarray(ids), numpy.asarray(offsets)
    wanted = [encoding.encode_ordinary(doc) for doc in docs]
    flat = numpy.fromiter(itertools.chain.from_iterable(wanted), dtype=numpy.uint32)
    if len(ids) == len(flat) and (ids == flat).all():
        ends = numpy.cumsum([len(w) for w in wanted], dtype=numpy.uint64)
        assert (offsets[1:] == ends).all()
        return
    for i, (doc, want) in enumerate(zip(docs, wanted)):
        got = ids[int(offsets[i]) : int(offsets[i + 1])].tolist()
        assert got == want, f"document {i}: {doc[:200]!r}"
    raise AssertionError("the documents are equal, the flat array is not")


@pytest.mark.parametrize("vocab", VOCABS)
@pytest.mark.parametrize("name", CORPORA)
def test_slices_of_corpora(vocab, name, ours, theirs, corpus):
    text = corpus(name, 1_000_000, 2_000_000 if name != "multi" else 500_000).decode()
    assert_equal_ids(ours(vocab), theirs(vocab), encode_common.documents(text) + [text[:300_000]])


@pytest.mark.parametrize("vocab", VOCABS)
def test_whole_corpora(vocab, ours, corpus, expected):
    rows = [row for row in expected("encode") if row["vocab"] == vocab]
    assert len(rows) == len(CORPORA)
    for row in rows:
        docs = encode_common.documents(corpus(row["corpus"]).decode())
        ids, offsets = ours(vocab).encode_batch(docs)
        ids = numpy.asarray(ids).astype("<u4")
        assert len(docs) == int(row["documents"])
        assert (len(ids), hashlib.sha1(ids.tobytes()).hexdigest()) == (int(row["tokens"]), row["sha1"]), row["corpus"]


CONTEXTS = {
    "letters": ("a", ""),
    "capitals": ("aA", "Aa"),
    "digits": ("1", ""),
    "spaces": (" ", ""),
    "two spaces": ("  ", "x"),
    "newlines": ("\n", ""),
    "spaces and newlines": (" \n ", ""),
    "punctuation": ("!", ""),
    "apostrophe": ("a'", " "),
    "apostrophe and letters": ("a'", "e"),
    "Han": ("\u4e2d", ""),
    "marks": ("\u0301", ""),
}


def code_points():
    return itertools.chain(range(0xD800), range(0xE000, 0x110000))


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("vocab", VOCABS)
def test_every_code_point_between(vocab, context, ours, theirs):
    before, after = CONTEXTS[context]
    # Planes 3 to 16 hold only a few hundred characters: every 17th code point there, all below.
    points = [c for c in code_points() if c < 0x32400 or 0xE0000 <= c < 0xE0200 or c % 17 == 0]
    docs = [
        "".join(before + chr(c) + after for c in points[i : i + 4096]) + before for i in range(0, len(points), 4096)
    ]
    assert_equal_ids(ours(vocab), theirs(vocab), docs)


@pytest.mark.parametrize("vocab", VOCABS)
def test_every_code_point_alone(vocab, ours, theirs):
    docs = [chr(c) for c in code_points() if vocab == "o200k_base" or c < 0x32400 or c % 17 == 0]
    assert_equal_ids(ours(vocab), theirs(vocab), docs)


@pytest.mark.parametrize("vocab", VOCABS)
def test_random_texts(vocab, ours, theirs):
    rng = random.Random(vocab)
    parts = [
        " ", "  ", "\n", "\r\n", "\t", "'s", "'S", "'\u017f", "'ll", "'", "a", "A", "Ab", "aB", "1", "23", "4567", "!", "...",
        "/", "//", "\u4e2d\u6587", "\u3002", "\u0301", "\u00e9", "\u01c5", "\u02b0", "\u00b2", "\u2028", "\u3000", "\u180e", "\u200b",
        "\ufffd", "\U0001f600", "\u0627", "\u0e01\u0e33", "\x00", "\x7f", "\u0085",
    ]
    docs = ["".join(rng.choice(parts) for _ in range(rng.randrange(1, 60))) for _ in range(20000)]
    assert_equal_ids(ours(vocab), theirs(vocab), docs)


@pytest.mark.parametrize("vocab", VOCABS)
def test_invalid_utf8_round_trip(vocab, ours):
    rng = random.Random(vocab)
    tok = ours(vocab)
    docs = [bytes(rng.randrange(256) for _ in range(rng.randrange(300))) for _ in range(500)]
    docs += [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xe4\xb8", b"a\xf4\x90\x80\x80b", b"\x80" * 100]
    docs += ["\u4e2d\u6587 text 123\n".encode()[:i] for i in range(20)]
    ids, offsets = tok.encode_batch(docs)
    for i, doc in enumerate(docs):
        assert tok.decode_bytes(ids[offsets[i] : offsets[i + 1]]) == doc
        assert tok.encode(doc, disallowed_special=()) == ids[offsets[i] : offsets[i + 1]].tolist()


def outcome(encode, text, **options):
    try:
        return encode(text, **options)
    except ValueError:  # piecemill's errors of the text and tiktoken's are
        return "refused"


@pytest.mark.parametrize("vocab", VOCABS)
def test_special_tokens(vocab, ours, theirs):
    tok, encoding = ours(vocab), theirs(vocab)
    special = sorted(encoding.special_tokens_set)
    rng = random.Random(vocab)
    parts = special + ["<|", "|>", "<", "endoftext", "<|endoftext|", " ", "\n", "a's", "12", "\u4e2d", "  "]
    subsets = [set(), "all", set(special[:1]), set(special[-1:]), set(special)]
    refused = 0
    for _ in range(3000):
        text = "".join(rng.choice(parts) for _ in range(rng.randrange(8)))
        options = dict(allowed_special=rng.choice(subsets), disallowed_special=rng.choice(subsets))
        wanted = outcome(encoding.encode, text, **options)
        assert outcome(tok.encode, text, **options) == wanted, (text, options)
        refused += wanted == "refused"
    assert 300 < refused < 2700
    batch = tok.encode_batch(["a<|endoftext|>", "b", special[0] + special[-1]])
    assert batch.ids.tolist() == encoding.encode_ordinary("a<|endoftext|>") + encoding.encode_ordinary(
        "b"
    ) + encoding.encode_ordinary(special[0] + special[-1])
    assert batch.documents_with_special == 2


@pytest.mark.parametrize("vocab", VOCABS)
def test_every_entry(vocab, ours, theirs):
    """Each entry is its id, and joined in random pairs they are split and merged as tiktoken does."""
    tok, encoding = ours(vocab), theirs(vocab)
    entries = [tok.id_to_piece(i) for i in range(encoding.max_token_value + 1) if tok.kind(i) == "piece"]
    assert len(entries) == len(encoding.token_byte_values())
    assert len(tok.merges) == len(entries) - 256
    rng = random.Random(vocab)
    texts = []
    for _ in range(30000):
        text = b"".join(rng.choice(entries) for _ in range(rng.randrange(1, 4)))
        texts.append(text.decode("utf-8", "replace"))
    assert_equal_ids(tok, encoding, texts)
