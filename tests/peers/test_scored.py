"""Files of scored pieces and of ranks besides tiktoken's: ids, texts and files equal those of sentencepiece, mistral-common and bytepiece."""
import itertools
import json
import os
import random

import piecemill
import pytest

import real_common as real

SHARED = os.environ.get("PM_SHARED") or os.path.join(real.ROOT, "..", "shared")

TEXTS = [t for t in real.HOSTILE if t.isprintable() or len(t) < 100] + real.random_texts(150) + ["hello <x> world<x><y>", "<x", "xx<x>\u2581<y> <x>", "the  of \u3000 and"]


def sentencepiece():
    return pytest.importorskip("sentencepiece", reason="SKIPPED: sentencepiece is not installed")


def compare(path, texts, tmp_path):
    """Ids, ids with both ends and decoded texts, of the file and of what we write after reading it."""
    theirs = sentencepiece().SentencePieceProcessor(model_file=str(path))
    ours = piecemill.Tokenizer.load(str(path))
    ours.save(str(tmp_path / "again.model"))
    again = piecemill.Tokenizer.load(str(tmp_path / "again.model"))
    back = sentencepiece().SentencePieceProcessor(model_file=str(tmp_path / "again.model"))
    ends = ([theirs.bos_id()] if theirs.bos_id() >= 0 else []), ([theirs.eos_id()] if theirs.eos_id() >= 0 else [])
    assert ours.vocab_size == theirs.get_piece_size()
    for text in texts:
        ids = theirs.encode(text)
        assert ours.encode(text, disallowed_special=()) == ids, text
        assert again.encode(text, disallowed_special=()) == ids, text
        assert back.encode(text) == ids, text
        assert ours.encode(text, disallowed_special=(), add_special_tokens=True) == ends[0] + ids + ends[1], text
        if theirs.unk_id() not in ids or not theirs.is_byte(theirs.unk_id() + 3):
            assert ours.decode(ids) == theirs.decode(ids), text
    return theirs, ours


SHARED_MODELS = ("test_model.model", "test_ja_model.model")


@pytest.mark.parametrize("name", SHARED_MODELS)
def test_models_of_sentencepieces_own_tests(name, corpus, tmp_path):
    path = os.path.join(SHARED, "models", "sentencepiece", name)
    if not os.path.exists(path):
        pytest.skip(f"SKIPPED: {path} is not here")
    long = [corpus(c, 30_000, start=70_000).decode("utf-8", "ignore") for c in ("en", "zh", "code", "multi")]
    compare(path, TEXTS + long + real.between(real.CODE_POINTS[: 0x3000 : 3]), tmp_path)


MISTRAL = ("tokenizer.model.v1", "mistral_instruct_tokenizer_240216.model.v2", "mistral_instruct_tokenizer_240323.model.v3", "mistral_instruct_tokenizer_241114.model.v7")


def mistral_path(name):
    common = pytest.importorskip("mistral_common", reason="SKIPPED: mistral-common is not installed")
    return os.path.join(os.path.dirname(common.__file__), "data", name)


@pytest.mark.parametrize("name", MISTRAL)
def test_models_of_mistral(name, corpus, tmp_path):
    long = [corpus(c, 30_000, start=70_000).decode("utf-8", "ignore") for c in ("en", "zh", "code", "multi")]
    compare(mistral_path(name), TEXTS + long + [" " * n + "a" + " " * (40 - n) for n in range(40)] + ["[REF] [INST] <s>[/REF]x [REFERENCE_DOC_1]"], tmp_path)


@pytest.mark.parametrize("name", ("tekken_240718.json", "tekken_240911.json"))
def test_tekken(name, corpus):
    tekken = pytest.importorskip("mistral_common.tokens.tokenizers.tekken", reason="SKIPPED: mistral-common is not installed")
    theirs, ours = tekken.Tekkenizer.from_file(mistral_path(name)), piecemill.Tokenizer.load(mistral_path(name))
    long = [corpus(c, 50_000, start=70_000).decode("utf-8", "ignore") for c in ("en", "zh", "code", "multi")]
    assert ours.vocab_size == theirs.n_words
    for text in TEXTS + long + real.between(real.CODE_POINTS[: 0x3000 : 3]):
        ids = theirs.encode(text, False, False)
        assert ours.encode(text, disallowed_special=()) == ids
        assert ours.encode(text, disallowed_special=(), add_special_tokens=True) == theirs.encode(text, True, True)
        assert ours.decode(ids) == theirs.decode(ids)
    keep = tekken.SpecialTokenPolicy.KEEP
    assert all(ours.id_to_piece(i) == theirs.id_to_byte_piece(i, keep) for i in itertools.chain(range(2000), range(2000, theirs.n_words, 97)))


KINDS = [
    ("unigram", {}),
    ("unigram", {"byte_fallback": True, "normalization_rule_name": "nmt_nfkc_cf"}),
    ("unigram", {"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "user_defined_symbols": ["<x>", "<y>", "the of"]}),
    ("unigram", {"treat_whitespace_as_suffix": True, "unk_surface": "?!", "bos_id": -1}),
    ("unigram", {"add_dummy_prefix": False, "split_by_whitespace": False, "pad_id": 3, "control_symbols": ["<x>"]}),
    ("bpe", {}),
    ("bpe", {"normalization_rule_name": "nfkc_cf", "byte_fallback": True, "user_defined_symbols": ["<x>", "<y>"]}),
    ("bpe", {"treat_whitespace_as_suffix": True, "normalization_rule_name": "identity"}),
    ("bpe", {"remove_extra_whitespaces": False, "add_dummy_prefix": False, "split_by_whitespace": False}),
    ("word", {}),
    ("word", {"user_defined_symbols": ["<x>"], "remove_extra_whitespaces": False}),
    ("word", {"treat_whitespace_as_suffix": True}),
    ("char", {}),
    ("char", {"byte_fallback": True, "user_defined_symbols": ["<x>", "<y>"]}),
]


@pytest.fixture(scope="module")
def small_corpus(corpus, tmp_path_factory):
    path = tmp_path_factory.mktemp("scored") / "corpus.txt"
    path.write_bytes(corpus("en", 60_000) + b"\n" + corpus("zh", 15_000) + b"\n" + corpus("multi", 15_000))
    return path


@pytest.mark.parametrize("kind,options", KINDS)
def test_trained_models(kind, options, small_corpus, corpus, tmp_path):
    sentencepiece().SentencePieceTrainer.train(input=str(small_corpus), model_prefix=str(tmp_path / "made"), model_type=kind, vocab_size=2400, hard_vocab_limit=False,
                                               minloglevel=2, num_threads=1, max_sentence_length=1 << 20, **options)
    long = [corpus(c, 8_000, start=70_000).decode("utf-8", "ignore") for c in ("en", "zh", "code", "multi")]
    compare(tmp_path / "made.model", TEXTS + long, tmp_path)


def test_tokenizer_bin(tmp_path):
    """stories260K's vocabulary against the .model that it becomes, and the file again byte for byte but for scores, which are numbers of places there."""
    path = os.path.join(SHARED, "models", "llama2c", "tok512.bin")
    if not os.path.exists(path):
        pytest.skip(f"SKIPPED: {path} is not here")
    ours = piecemill.Tokenizer.load(path)
    ours.save(str(tmp_path / "tok512.model"))
    theirs = sentencepiece().SentencePieceProcessor(model_file=str(tmp_path / "tok512.model"))
    ours.save(str(tmp_path / "again.bin"), format="llama2c")
    assert (tmp_path / "again.bin").read_bytes() == open(path, "rb").read()
    for text in TEXTS + ["Once upon a time, there was a little girl named Lily."]:
        assert ours.encode(text) == theirs.encode(text), text
        assert ours.decode(ours.encode(text)) == theirs.decode(theirs.encode(text)), text


def test_bytepiece_to_sentencepiece(corpus, tmp_path):
    """The very file that bytepiece's convert_to_sentencepiece writes."""
    bytepiece = pytest.importorskip("bytepiece", reason="SKIPPED: bytepiece is not installed")
    pytest.importorskip("google.protobuf", reason="SKIPPED: protobuf is not installed")
    sentencepiece()
    tok = piecemill.train_from_iterator([corpus("multi", 200_000).decode("utf-8", "ignore") + " \\ \u4e2d\u56fd"], "bytepiece", 1500)
    tok.save(str(tmp_path / "a.json"), format="bytepiece")
    with pytest.raises(piecemill.UnsupportedError):
        tok.save(str(tmp_path / "ours.model"))
    assert "NFC" in " ".join(tok.save(str(tmp_path / "ours.model"), lossy=True))
    bytepiece.Tokenizer(str(tmp_path / "a.json")).convert_to_sentencepiece(str(tmp_path / "theirs.model"))
    assert (tmp_path / "ours.model").read_bytes() == (tmp_path / "theirs.model").read_bytes()


@pytest.mark.parametrize("n", (3, 50, 300))
def test_pieces_with_counts_alone(n, tmp_path):
    """The very file that bytepiece's convert_to_bytepiece writes."""
    bytepiece = pytest.importorskip("bytepiece", reason="SKIPPED: bytepiece is not installed")
    rng = random.Random(n)
    pieces = {"".join(rng.choice("ab\u4e2d\u56fd\u00e9 c") for _ in range(rng.randrange(1, 8))): rng.randrange(1, 1000) for _ in range(n)}
    (tmp_path / "in.json").write_text(json.dumps(pieces, ensure_ascii=False), encoding="utf-8")
    bytepiece.convert_to_bytepiece(pieces, str(tmp_path / "theirs.json"))
    piecemill.Tokenizer.load(str(tmp_path / "in.json"), format="bytepiece").save(str(tmp_path / "ours.json"), format="bytepiece")
    assert (tmp_path / "ours.json").read_bytes() == (tmp_path / "theirs.json").read_bytes()
