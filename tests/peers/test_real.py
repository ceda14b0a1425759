"""tokenizer.json files of today's models: ids, tokens, offsets and decoded text are those of Hugging Face's library."""
import functools

import pytest

import encode_common
import real_common
from real_common import CODE_POINTS, HOSTILE, LONE_CODE_POINTS, TOKENIZERS

piecemill = pytest.importorskip("piecemill", reason="SKIPPED: the piecemill module is not built")

NAMES = list(TOKENIZERS)


@functools.lru_cache(maxsize=1)
def ours(name):
    return piecemill.Tokenizer.load(real_common.real_path(TOKENIZERS[name]))


def ids_of_batch(tok, docs, **options):
    """Lists of ids, a document each."""
    ids, offsets = tok.encode_batch(docs, allowed_special="all", **options)
    flat, ends = ids.tolist(), offsets.tolist()
    return [flat[a:b] for a, b in zip(ends, ends[1:])]


def compare(name, docs, add_special_tokens=False):
    """All documents give the same ids; else the first that do not are told."""
    wanted = [e.ids for e in real_common.theirs(name).encode_batch_fast(docs, add_special_tokens=add_special_tokens)]
    got = ids_of_batch(ours(name), docs, add_special_tokens=add_special_tokens)
    wrong = [(d[:80], g[:40], w[:40]) for d, g, w in zip(docs, got, wanted) if g != w]
    assert not wrong, f"{len(wrong)} of {len(docs)} documents differ: {wrong[:5]}"
    return got


def compare_decoded(name, encoded):
    """The ids decode to the same text, special tokens with it."""
    their = real_common.theirs(name)
    tok = ours(name)
    wrong = [(ids[:20], tok.decode(ids)[:80], t[:80])
             for ids, t in zip(encoded, their.decode_batch(encoded, skip_special_tokens=False)) if tok.decode(ids) != t]
    assert not wrong, f"{len(wrong)} of {len(encoded)} decode differently: {wrong[:5]}"


@functools.lru_cache(maxsize=None)
def _documents(corpus):
    return [doc for name in ("zh", "en", "code", "multi") for doc in encode_common.documents(corpus(name, 200_000, 100_000).decode())]


@pytest.mark.parametrize("name", NAMES)
def test_corpora(name, corpus):
    docs = _documents(corpus)
    compare_decoded(name, compare(name, docs))
    compare(name, docs[:40], add_special_tokens=True)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_texts(name):
    docs = HOSTILE + real_common.random_texts(3000)
    compare_decoded(name, compare(name, docs))
    compare(name, docs[:200], add_special_tokens=True)


@pytest.mark.parametrize("name", NAMES)
def test_added_tokens_in_and_beside_text(name):
    added = [t.content for t in real_common.theirs(name).get_added_tokens_decoder().values()]
    docs = real_common.special_texts(added)
    compare_decoded(name, compare(name, docs))
    compare(name, docs[:50], add_special_tokens=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_code_point(name):
    compare(name, real_common.lone(LONE_CODE_POINTS))
    compare(name, real_common.between(CODE_POINTS))


@pytest.mark.parametrize("name", NAMES)
def test_tokens(name):
    """Each id has the same token; byte-level ones are told in bytes here."""
    their = real_common.theirs(name)
    tok = ours(name)
    assert tok.vocab_size == max(their.get_vocab(with_added_tokens=True).values()) + 1
    added = their.get_added_tokens_decoder()
    wrong = []
    for i in range(tok.vocab_size):
        token = their.id_to_token(i)
        if token is None:
            assert tok.kind(i) in ("hole", "reserved"), i
        elif tok.id_to_piece(i) != real_common.bytes_of_token(name, token, i in added):
            wrong.append((i, token, tok.id_to_piece(i)))
    assert not wrong, f"{len(wrong)} tokens differ: {wrong[:5]}"


@pytest.mark.parametrize("name", NAMES)
def test_offsets(name, corpus):
    """In characters of the text, as their Python gives them."""
    their = real_common.theirs(name)
    tok = ours(name)
    added = [t.content for t in their.get_added_tokens_decoder().values()]
    docs = _documents(corpus)[::6] + HOSTILE + real_common.random_texts(1500, seed=11) + real_common.special_texts(added, n=15)
    wrong = []
    for doc, wanted in zip(docs, their.encode_batch(docs, add_special_tokens=False)):
        ids, offsets = tok.encode_with_offsets(doc, allowed_special="all")
        if list(ids) != wanted.ids or [tuple(o) for o in offsets] != wanted.offsets:
            first = next((i for i, (a, b) in enumerate(zip(offsets, wanted.offsets)) if tuple(a) != b), None)
            wrong.append((doc[:60], first, first is not None and (wanted.tokens[first], tuple(offsets[first]), wanted.offsets[first])))
    assert not wrong, f"{len(wrong)} of {len(docs)} documents differ: {wrong[:5]}"
