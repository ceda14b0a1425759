"""Two stages of training (SuperBPE): tokenizers gives the ids that piecemill gives, for the saved file of the second."""
import pytest

import piecemill

tokenizers = pytest.importorskip("tokenizers", reason="SKIPPED: tokenizers is not installed")


def train(docs, **options):
    return piecemill.train_from_iterator(docs, algorithm="bpe", **options)


@pytest.mark.parametrize("first_pattern,max_words,split_scripts", (("o200k_base", 4, False), ("gpt2", 3, False), ("o200k_base", 2, True)))
def test_ids_of_both(first_pattern, max_words, split_scripts, corpus, tmp_path):
    docs = [line + "\n" for name, n in (("en", 400_000), ("multi", 80_000), ("zh", 80_000)) for line in corpus(name, n).decode().split("\n")]
    first = train(docs, vocab_size=1500, pattern=first_pattern, special_tokens=["<|end|>"], split_scripts=split_scripts)
    second = train(docs, vocab_size=2500, extend=first, pattern="superbpe", max_words=max_words, split_scripts=split_scripts)
    assert second.merges[:len(first.merges)] == first.merges and second.special_tokens == {"<|end|>": 2499}
    words = [len(second.id_to_piece(i).split()) for i in range(256 + len(first.merges), second.vocab_size - 1)]
    assert 2 <= max(words) <= max_words and sum(w > 1 for w in words) > 100
    path = str(tmp_path / "tokenizer.json")
    second.save(path)
    theirs = tokenizers.Tokenizer.from_file(path)
    texts = docs[::7] + ["", " a", "It's  the end\tof the  123 4567 world.\n\nAnd so on it goes", "\u65e5\u672c \u8a9e abc\u30fc "]
    assert [e.ids for e in theirs.encode_batch(texts)] == [second.encode(text) for text in texts]
    again = piecemill.Tokenizer.load(path)
    assert again.encode_batch(texts)[0].tolist() == second.encode_batch(texts)[0].tolist()
    assert second.encode_batch(docs)[0].nbytes < first.encode_batch(docs)[0].nbytes
