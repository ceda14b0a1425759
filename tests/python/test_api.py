"""Every function of the API on real text: what it returns, in which types."""

import copy
import inspect
import math
import os
import pickle
import sys
import weakref

import pytest

import piecemill
from conftest import sample

TEXTS = [
    "",
    " ",
    "hello world",
    "Grüße, naïve café — déjà vu",
    "天地玄黄,宇宙洪荒。",
    "emoji 😀👩‍👩‍👧 end",
    "a\0b\0\0",
    "line\r\nline\rline\n\n",
    "x" * 5000,
    "é" * 3000,
    "中" * 3000 + "a",
    "😀" * 2000,
    "\u07ff\u0800\uffff\U00010000\U0010ffff\x7f\x80\xff",
]


@pytest.fixture(params=["bpe", "bytepiece"])
def any_tok(request):
    return request.getfixturevalue("tok" if request.param == "bpe" else "bp")


def test_round_trip_of_str(any_tok):
    for text in TEXTS:
        ids = any_tok.encode(text, normalize=False)
        assert type(ids) is list and all(type(i) is int for i in ids)
        assert any_tok.decode(ids) == text
        assert any_tok.decode_bytes(ids) == text.encode()


def test_str_and_bytes_give_the_same_ids(any_tok):
    for text in TEXTS:
        assert any_tok.encode(text) == any_tok.encode(text.encode())


def test_buffers_are_documents(any_tok):
    text = "中文 and English".encode()
    ids = any_tok.encode(text)
    assert any_tok.encode(bytearray(text)) == ids
    assert any_tok.encode(memoryview(text)) == ids
    assert any_tok.encode_batch([bytearray(text), memoryview(text), text])[0].tolist() == ids * 3


def test_any_bytes_round_trip(any_tok):
    data = bytes(range(256)) * 3 + b"\xe4\xb8" + b"\xf0\x9f\x98" + b"\xff\xfe\0"
    ids = any_tok.encode(data, normalize=False)
    assert any_tok.decode_bytes(ids) == data
    assert any_tok.decode(ids) == data.decode("utf-8", "replace")
    assert any_tok.decode(ids, "surrogateescape") == data.decode("utf-8", "surrogateescape")
    with pytest.raises(UnicodeDecodeError):
        any_tok.decode(ids, errors="strict")
    with pytest.raises(LookupError):
        any_tok.decode(ids, errors="no such handler")


def test_every_width_of_str_is_converted(any_tok):
    # characters of 1, 2, 3 and 4 bytes at each distance from one another, in str of each width
    for wide in ("é", "中", "😀"):
        for n in range(20):
            for text in ("a" * n + wide + "b" * n, wide * n + "a" + wide, "é" * n + wide, "中" * n + wide + "\x7f"):
                assert any_tok.decode_bytes(any_tok.encode(text, normalize=False)) == text.encode()


def test_no_utf8_stays_in_the_users_strings(tok):
    import sys

    text = "中文" * 1000
    before = sys.getsizeof(text)
    tok.encode(text)
    tok.encode_batch([text])
    piecemill.train_from_iterator([text], algorithm="bpe", vocab_size=256)
    assert sys.getsizeof(text) == before


def test_encode_batch_equals_encode(any_tok):
    documents = TEXTS + sample("zh", 30_000).splitlines(True) + [b"\xff bytes", ""]
    ids, offsets = any_tok.encode_batch(documents)
    assert len(offsets) == len(documents) + 1 and offsets[0] == 0 and offsets[-1] == len(ids)
    for i, document in enumerate(documents):
        assert ids[offsets[i] : offsets[i + 1]].tolist() == any_tok.encode(document)


def test_encode_batch_is_the_same_on_any_number_of_threads(any_tok):
    documents = sample("mixed", 300_000).splitlines(True)
    one = any_tok.encode_batch(documents, threads=1)
    for threads in (2, 3, 0):
        more = any_tok.encode_batch(documents, threads=threads)
        assert more.ids == one.ids and more.offsets == one.offsets


def test_encode_batch_takes_iterables(tok):
    documents = ["one", "two", "三"]
    expected = tok.encode_batch(documents)
    for other in (tuple(documents), iter(documents), (d for d in documents), dict.fromkeys(documents)):
        assert tok.encode_batch(other).ids == expected.ids


def test_encode_batch_of_nothing(tok):
    for documents in ([], [""], ["", b""]):
        ids, offsets = tok.encode_batch(documents)
        assert ids.tolist() == [] and offsets.tolist() == [0] * (len(documents) + 1)
        assert memoryview(ids).tolist() == []


def test_special_tokens_in_text(tok):
    end = tok.special_tokens["<|endoftext|>"]
    pad = tok.special_tokens["<|pad|>"]
    text = "a<|endoftext|>b<|pad|>"
    with pytest.raises(piecemill.SpecialTokenError) as error:
        tok.encode("é" + text)
    assert error.value.offset == 3 and isinstance(error.value, ValueError)
    ids = tok.encode(text, allowed_special="all")
    assert ids.count(end) == 1 and ids.count(pad) == 1 and tok.decode(ids) == text
    ids = tok.encode(text, allowed_special={"<|pad|>"}, disallowed_special=())
    assert ids.count(end) == 0 and ids.count(pad) == 1 and tok.decode(ids) == text
    with pytest.raises(piecemill.SpecialTokenError):
        tok.encode(text, allowed_special={"<|pad|>"})
    with pytest.raises(piecemill.SpecialTokenError):
        tok.encode(text, disallowed_special=["<|pad|>"])
    ids = tok.encode(text, disallowed_special=())
    assert end not in ids and pad not in ids and tok.decode(ids) == text


def test_special_tokens_in_a_batch_are_ordinary_text(tok):
    documents = ["a<|endoftext|>", "b", "<|pad|><|pad|>"]
    result = tok.encode_batch(documents)
    assert result.documents_with_special == 2
    assert not set(result.ids.tolist()) & set(tok.special_tokens.values())
    allowed = tok.encode_batch(documents, allowed_special="all")
    assert allowed.documents_with_special == 0
    assert allowed.ids.tolist().count(tok.special_tokens["<|pad|>"]) == 2
    with pytest.raises(piecemill.SpecialTokenError, match="0|1"):
        tok.encode_batch(documents, disallowed_special="all")


def test_special_token_that_the_tokenizer_does_not_have(tok):
    with pytest.raises(piecemill.InvalidArgumentError):
        tok.encode("a", allowed_special={"<|nobody|>"})


def test_batch_result(tok):
    result = tok.encode_batch(["a", "b"])
    ids, offsets = result
    assert isinstance(result, tuple) and isinstance(result, piecemill.BatchResult) and len(result) == 2
    assert result.ids is ids and result[1] is offsets and result.documents_with_special == 0


def test_vocabulary(tok):
    assert tok.algorithm == "bpe" and tok.vocab_size == 1200 and tok.lossless is True
    pieces = [tok.id_to_piece(i) for i in range(tok.vocab_size)]
    assert sorted(pieces[:256]) == [bytes([b]) for b in range(256)]
    assert pieces[0] == b"!"  # 33: the order of gpt2.tiktoken
    for i, piece in enumerate(pieces[:-2]):
        assert tok.piece_to_id(piece) == i
    assert tok.piece_to_id("the") == tok.piece_to_id(b"the")
    assert tok.piece_to_id(b"\x00\x01\x02") is None
    assert [tok.kind(i) for i in (0, 1195, 1196, 1197, 1198, 1199, 1200, -1, 1 << 70)] == [
        "piece", "piece", "special", "special", "reserved", "reserved", "hole", "hole", "hole"]
    assert tok.special_tokens == {"<|endoftext|>": 1196, "<|pad|>": 1197}
    assert pieces[1198] == b"" and tok.decode([1198, 1196]) == "<|endoftext|>"


def test_merges(tok):
    merges = tok.merges
    assert len(merges) == 1200 - 256 - 4
    assert all(type(pair) is tuple and type(pair[0]) is bytes and type(pair[1]) is bytes for pair in merges)
    for i, (left, right) in enumerate(merges):
        assert tok.id_to_piece(256 + i) == left + right
    assert merges is not tok.merges and merges == tok.merges
    assert tok.piece_count(256) >= tok.piece_count(1195) > 0


def test_pattern(tok, tmp_path):
    assert tok.pattern_name == "gpt2" and isinstance(tok.pattern, str) and r"\p{L}" in tok.pattern
    train = lambda pattern: piecemill.train_from_iterator(["one two 12"] * 4, algorithm="bpe", vocab_size=260, pattern=pattern)
    assert train("").pattern == "" and train("").pattern_name is None
    assert train(None).pattern_name == "o200k_base"
    if "pcre2" in piecemill.features:
        assert train(r"\d| ?\p{L}+").pattern == r"\d| ?\p{L}+"
        assert train([r"\d", r" ?\p{L}+"]).pattern == [r"\d", r" ?\p{L}+"]
        assert train([r"\d"]).pattern_name is None


def test_bytepiece_has_neither_pattern_nor_merges(bp):
    assert bp.algorithm == "bytepiece" and bp.pattern is None and bp.pattern_name is None and bp.merges == []
    assert [bp.kind(i) for i in range(4)] == ["control"] * 3 + ["piece"]
    assert bp.decode([0, 1, 2]) == ""


def test_bytepiece_options(bp):
    text = "e\u0301tat 中文 text"
    plain = bp.encode(text)
    assert bp.decode(plain) == "\u00e9tat 中文 text"  # NFC
    assert bp.decode(bp.encode(text, normalize=False)) == text
    assert bp.encode(text, add_special_tokens=True) == [1, *plain, 2]
    assert bp.encode_batch([text], add_special_tokens=True)[0].tolist() == [1, *plain, 2]


def test_sampling(bp):
    import random

    text = sample("en", 2000)
    drawn = bp.encode(text, alpha=0.2, seed=7)
    assert drawn == bp.encode(text, alpha=0.2, seed=7) != bp.encode(text)
    assert bp.decode(drawn) == bp.decode(bp.encode(text))
    assert drawn != bp.encode(text, alpha=0.2, seed=8)
    random.seed(1)
    first = bp.encode(text, alpha=0.2)
    assert first != bp.encode(text, alpha=0.2)
    random.seed(1)
    assert first == bp.encode(text, alpha=0.2)
    batch = bp.encode_batch([text, text], alpha=0.2, seed=7, threads=2)
    assert batch.ids == bp.encode_batch([text, text], alpha=0.2, seed=7, threads=1).ids
    with pytest.raises(ValueError):
        bp.encode(text, alpha=-0.5)
    with pytest.raises(ValueError):
        bp.encode(text, alpha=float("nan"))
    with pytest.raises(ValueError, match="at most 1000000"):
        bp.encode(text, alpha=2e6)


def test_nbest(bp, tok):
    text = sample("en", 300) + "中文\n"
    best = bp.nbest(text, 20)
    assert len(best) == 20 and best[0][0] == bp.encode(text)
    assert [score for _, score in best] == sorted((score for _, score in best), reverse=True)
    assert len({tuple(ids) for ids, _ in best}) == 20
    assert {bp.decode(ids) for ids, _ in best} == {bp.decode(best[0][0])}
    assert best[:3] == bp.nbest(text, n=3)
    total = sum(bp.piece_count(i) for i in range(bp.vocab_size))
    for ids, score in best:
        assert score == pytest.approx(sum(math.log(bp.piece_count(i) / total) for i in ids))
    assert bp.nbest("", 5) == [([], 0.0)]
    assert bp.nbest("a", 5, add_special_tokens=True)[0][0] == bp.encode("a", add_special_tokens=True)
    assert len(bp.nbest("e\u0301", 1, normalize=False)[0][0]) > 0
    for wrong in (lambda: bp.nbest(text, 0), lambda: tok.nbest(text, 2), lambda: bp.nbest(text, -1)):
        with pytest.raises(ValueError):
            wrong()
    with pytest.raises(UnicodeEncodeError):
        bp.nbest("a\ud800", 2)
    with pytest.raises(TypeError):
        bp.nbest(text)


def test_marginals(bp, tok):
    text = sample("zh", 600)
    data = text.encode()
    for alpha in (0, 0.2, 1.0):
        rows = bp.marginals(text, alpha)
        covered = [0.0] * len(data)
        for begin, end, i, probability in rows:
            assert bp.id_to_piece(i) == data[begin:end] and 0 <= probability <= 1
            for at in range(begin, end):
                covered[at] += probability
        assert covered == pytest.approx([1.0] * len(data))
    assert bp.marginals(text) == rows
    draws = 400
    drawn = sum(len(bp.encode(text, alpha=0.2, seed=i)) for i in range(draws)) / draws
    assert drawn == pytest.approx(sum(p for *_, p in bp.marginals(text, alpha=0.2)), rel=0.01)
    for wrong in (lambda: bp.marginals(text, -0.1), lambda: tok.marginals(text)):
        with pytest.raises(ValueError):
            wrong()


def test_save_tells_what_is_lost(tok, bp, tmp_path):
    assert tok.save(tmp_path / "a.piecemill", lossy=False) is None
    assert tok.save(tmp_path / "a.piecemill", lossy=True) == []
    with pytest.raises(piecemill.UnsupportedError):
        bp.save(tmp_path / "a.tiktoken", lossy=True)  # nothing of it could be kept
    with pytest.raises(TypeError):
        tok.save(tmp_path / "a.piecemill", None, True)


@pytest.mark.parametrize("ending", ["t.piecemill", "t.tiktoken", "tokenizer.json"])
def test_save_and_load_bpe(tok, tmp_path, ending):
    if ending == "tokenizer.json" and "yajl" not in piecemill.features:
        pytest.skip("SKIPPED: built without yajl")
    path = tmp_path / ending
    try:
        tok.save(path)
    except piecemill.UnsupportedError:
        assert ending == "t.tiktoken"
        return
    assert os.listdir(tmp_path) == [ending]
    if ending == "t.tiktoken":
        loaded = piecemill.Tokenizer.load(path, pattern="gpt2", special_tokens=tok.special_tokens)
    else:
        loaded = piecemill.Tokenizer.load(str(path))
    for text in TEXTS:
        assert loaded.encode(text) == tok.encode(text)
    assert loaded.training_summary is None
    assert loaded.special_tokens == tok.special_tokens
    assert loaded.merges == tok.merges


def test_native_keeps_everything(tok, bp, tmp_path):
    for original in (tok, bp):
        path = tmp_path / (original.algorithm + ".piecemill")
        original.save(path)
        loaded = piecemill.Tokenizer.load(path)
        assert loaded.hash == original.hash and len(loaded.hash) == 64
        assert loaded.settings == original.settings
        assert loaded.pattern == original.pattern and loaded.pattern_name == original.pattern_name
        again = tmp_path / "again"
        loaded.save(again, format="native")
        assert again.read_bytes() == path.read_bytes()
    assert tok.hash != bp.hash


def test_bytepiece_json(bp, tmp_path):
    if "yajl" not in piecemill.features:
        pytest.skip("SKIPPED: built without yajl")
    path = tmp_path / "bp.model"
    bp.save(path, format="bytepiece")
    loaded = piecemill.Tokenizer.load(path)
    for text in TEXTS:
        assert loaded.encode(text) == bp.encode(text)


def test_load_accepts_each_kind_of_path(tok, tmp_path):
    name = str(tmp_path / "Ünïcode 中.piecemill")
    tok.save(name)
    for path in (name, os.fsencode(name), tmp_path / "Ünïcode 中.piecemill"):
        assert piecemill.Tokenizer.load(path).hash == tok.hash
    assert piecemill.Tokenizer.load(name, format="native").hash == tok.hash


def test_special_tokens_given_when_loading(tmp_path):
    tok = piecemill.train_from_iterator(["low lower lowest"] * 9, algorithm="bpe", vocab_size=260, pattern="gpt2")
    path = tmp_path / "low.tiktoken"
    tok.save(path)
    by_dict = piecemill.Tokenizer.load(path, "gpt2", {"<a>": 300, "<b>": 270})
    assert by_dict.special_tokens == {"<b>": 270, "<a>": 300} and list(by_dict.special_tokens) == ["<b>", "<a>"]
    assert by_dict.vocab_size == 301 and by_dict.kind(290) == "hole"
    assert by_dict.encode("<a>", allowed_special="all") == [300]
    by_list = piecemill.Tokenizer.load(path, pattern="gpt2", special_tokens=["<a>", "<b>"])
    assert by_list.special_tokens == {"<a>": 260, "<b>": 261}


def test_settings_and_summary(tok):
    assert isinstance(tok.settings, dict)
    assert all(type(k) is str and type(v) is str for k, v in tok.settings.items())
    summary = tok.training_summary
    assert summary["documents"] > 100 and summary["bytes"] > 290_000 and summary["vocab_size"] == tok.vocab_size
    assert summary["smaller_than_asked"] is False and type(summary["seconds"]) is float
    assert summary is not tok.training_summary


def test_copies_and_references(tok):
    assert copy.copy(tok) is tok and copy.deepcopy(tok) is tok
    assert weakref.ref(tok)() is tok
    with pytest.raises(TypeError, match="save"):
        pickle.dumps(tok)
    assert "bpe" in repr(tok) and "1200" in repr(tok) and "gpt2" in repr(tok)


def test_types_are_closed(tok):
    for cls in (piecemill.Tokenizer, piecemill.Array):
        with pytest.raises(TypeError):
            cls()
        with pytest.raises(TypeError):
            type("Sub", (cls,), {})
    with pytest.raises(AttributeError):
        tok.vocab_size = 3


def test_signatures():
    signature = inspect.signature(piecemill.Tokenizer.encode_batch)
    assert list(signature.parameters)[:3] == ["self", "documents", "threads"]
    assert inspect.signature(piecemill.Tokenizer.encode).parameters["disallowed_special"].default == "all"
    assert list(inspect.signature(piecemill.train).parameters)[:9] == [
        "files", "algorithm", "vocab_size", "pattern", "special_tokens", "threads", "memory_limit", "min_count", "progress"]
    assert list(inspect.signature(piecemill.Tokenizer.load).parameters) == ["path", "pattern", "special_tokens", "format", "any_unicode"]


def test_module(tok):
    assert isinstance(piecemill.features, frozenset) and "threads" in piecemill.features
    assert piecemill.__version__.count(".") == 2
    assert {"gpt2", "cl100k_base", "o200k_base"} <= set(piecemill.pattern_names)
    assert sorted(piecemill.__all__, key=str.lower) == sorted(
        (n for n in dir(piecemill) if n == "__version__" or (not n.startswith("_") and not inspect.ismodule(getattr(piecemill, n)))),
        key=str.lower)


def test_decode_takes_each_kind_of_ids(tok):
    import array

    ids = tok.encode("some text, 一些文字")
    text = tok.decode(ids)
    kinds = [tuple(ids), iter(ids), (i for i in ids), tok.encode_batch([text]).ids]
    kinds += [array.array(code, ids) for code in "hHiIlLqQ"]
    kinds += [memoryview(array.array("I", ids + ids))[: len(ids)], memoryview(array.array("q", [n for i in ids for n in (i, 0)]))[::2]]
    for kind in kinds:
        assert tok.decode(kind) == text
    assert tok.decode([True, False]) == tok.decode([1, 0])
    many = ids * 3000
    assert tok.decode(many) == text * 3000 and tok.decode(array.array("q", many)) == text * 3000


# The widths that a str keeps its characters in: 1 byte (ASCII), 1 (Latin-1), 2 and 4.
WIDTHS = ["plain text ", "caf\u00e9 na\u00efve ", "\u4e2d\u6587 \u0440\u0443\u0441 ", "\U0001f600 \u4e2d a ", "\uffff\u0800\u07ff\x7f\x80\U0010ffff\U00010000\ud7ff\ue000"]


@pytest.mark.parametrize("threads", [1, 3])
def test_str_equals_its_utf8(any_tok, threads):
    """Documents of every width and of lengths around the blocks that are converted at a time, in one batch."""
    documents = [(width * 30)[start:start + length] for width in WIDTHS for start in (0, 1, 7) for length in (*range(70), 200, 299)]
    documents += [width * 5000 for width in WIDTHS] + [a + b for a in WIDTHS for b in WIDTHS]
    a = any_tok.encode_batch(documents, threads=threads)
    b = any_tok.encode_batch([d.encode() for d in documents], threads=threads)
    assert a.ids == b.ids and a.offsets == b.offsets
    for document, start, end in zip(documents[::17], a.offsets.tolist()[:-1:17], a.offsets.tolist()[1::17]):
        assert any_tok.encode(document) == any_tok.encode(document.encode()) == a.ids[start:end].tolist()


def test_a_str_is_not_changed_by_encoding(tok):
    """PyUnicode_AsUTF8 would keep a second copy inside the object."""
    text = "\u4e2d\u6587" * 1000
    before = sys.getsizeof(text)
    tok.encode(text), tok.encode_batch([text])
    assert sys.getsizeof(text) == before
