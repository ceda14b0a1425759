"""BPE over characters with byte fallback against sentencepiece: the same vocabulary, the same ids."""
import json
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


PATTERNS = (None, "gpt2", "o200k_base", ("scripts", "sentencepiece"), r"\d|\s")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_tokenizer_json(pattern, corpus, tmp_path):
    """The same ids and texts in Hugging Face's library, and in ours when it is read back."""
    from tokenizers import Tokenizer

    path = tmp_path / "slice.txt"
    path.write_bytes(corpus("zh", 60_000) + corpus("en", 100_000))
    tok = train(path, 4000, character_coverage=0.999, special_tokens=["<|x|>"], pattern=pattern)
    tok.save(str(tmp_path / "tokenizer.json"))
    again = piecemill.Tokenizer.load(str(tmp_path / "tokenizer.json"))
    theirs = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    again.save(str(tmp_path / "again.tokenizer.json"))
    assert (tmp_path / "again.tokenizer.json").read_bytes() == (tmp_path / "tokenizer.json").read_bytes()
    assert entries(again) == entries(tok)
    assert theirs.get_vocab_size() == tok.vocab_size
    text = corpus("multi", 40_000).decode("utf-8", "ignore") + " \u2581x\u2581\u2581 <|x|> \U0001f600\u0001\t \r\n  x  <|x|>"
    for text in [text, *text.split("\n")[:300], *(line.strip() for line in text.split("\n")[:100])]:
        ids = tok.encode(text, allowed_special="all")
        assert again.encode(text, allowed_special="all") == ids
        assert theirs.encode(text).ids == ids
        assert theirs.decode(ids, skip_special_tokens=False) == again.decode(ids) == text.replace("\u2581", " ")


def hub_file(prefix, normalizers):
    """The shape of the files on the hub: Llama 2's, and without what it puts before a text."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), "\u2581\u2581", "\u2581t", "\u2581th", "\u2581\u2581\u2581\u2581", "he", "the", "\u2581the",
              *"\u2581theab"]
    pieces = list(dict.fromkeys(pieces))
    vocab = {piece: i for i, piece in enumerate(pieces)}
    merges = [(piece[:i], piece[i:]) for piece in pieces[259:] for i in range(1, len(piece)) if piece[:i] in vocab and piece[i:] in vocab]
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    steps = [{"type": "Prepend", "prepend": "\u2581"}] * prefix + [replace]
    decoders = [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    decoders += [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] * prefix
    added = [{"id": i, "content": pieces[i], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for i in range(3)]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": {"type": "Sequence", "normalizers": steps} if normalizers or prefix else replace, "pre_tokenizer": None,
            "post_processor": None, "decoder": {"type": "Sequence", "decoders": decoders},
            "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": True,
                      "byte_fallback": True, "ignore_merges": False, "vocab": vocab, "merges": [" ".join(m) for m in merges]}}


@pytest.mark.parametrize("prefix, normalizers", ((True, True), (False, True), (False, False)))
def test_files_of_the_hub(prefix, normalizers, tmp_path):
    from tokenizers import Tokenizer

    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(hub_file(prefix, normalizers)), encoding="utf-8")
    theirs, ours = Tokenizer.from_file(str(path)), piecemill.Tokenizer.load(str(path))
    ours.save(str(tmp_path / "again.tokenizer.json"))
    again = Tokenizer.from_file(str(tmp_path / "again.tokenizer.json"))
    draw = random.Random(3)
    for n in range(400):
        text = "".join(draw.choice((" ", "t", "h", "e", "the", "    ", "a", "b", "\u4e2d", "\u2581", "\n")) for _ in range(draw.randrange(40)))
        ids = theirs.encode(text, add_special_tokens=False).ids
        assert ours.encode(text) == ids == again.encode(text, add_special_tokens=False).ids, text
        assert ours.decode(ids) == theirs.decode(ids)


def texts_of(corpus):
    text = corpus("multi", 40_000).decode("utf-8", "ignore") + " \u2581x\u2581\u2581 \U0001f600\u0001\t \r\n  x  "
    return ["", " ", text, *text.split("\n")[:300], *(line.strip() for line in text.split("\n")[:100])]


def compare_with_file(ours, model, corpus):
    for text in texts_of(corpus):
        ids = model.encode(text)
        assert ours.encode(text) == ids
        assert ours.decode(ids) == model.decode(ids)
    assert ours.decode([1, *model.encode("a b"), 2]) == model.decode([1, *model.encode("a b"), 2])


@pytest.mark.parametrize("options", ({}, {"add_dummy_prefix": True}, {"split_by_whitespace": False}, {"allow_whitespace_only_pieces": True, "add_dummy_prefix": True},
                                     {"split_by_unicode_script": True, "split_by_number": True, "split_digits": True, "character_coverage": 0.99},
                                     {"pad_id": 3, "control_symbols": ["<|a|>"]}))
def test_its_files_are_read(options, corpus, tmp_path):
    path = tmp_path / "slice.txt"
    path.write_bytes(corpus("zh", 60_000) + corpus("en", 100_000))
    model = theirs.train(path, tmp_path / "model", 4000, **options)
    tok = piecemill.Tokenizer.load(str(tmp_path / "model.model"))
    assert [tok.id_to_piece(i) for i in range(tok.vocab_size)] == [text for text, _ in theirs.entries(model)]
    compare_with_file(tok, model, corpus)
    for name in ("again.model", "again.piecemill"):
        tok.save(str(tmp_path / name))
        assert piecemill.Tokenizer.load(str(tmp_path / name)).hash == tok.hash
    tok.save(str(tmp_path / "again.tokenizer.json"))  # where <s> is a special token, not a control: another tokenizer, with the same ids for all other texts
    again = piecemill.Tokenizer.load(str(tmp_path / "again.tokenizer.json"))
    for text in texts_of(corpus):
        assert again.encode(text) == tok.encode(text)
    compare_with_file(tok, theirs.load(tmp_path / "again.model"), corpus)


def test_our_files_are_read_there(corpus, tmp_path):
    path = tmp_path / "slice.txt"
    path.write_bytes(corpus("zh", 60_000) + corpus("en", 100_000))
    tok = train(path, 4000, character_coverage=0.999, special_tokens=["<|x|>", "<pad>"])
    tok.save(str(tmp_path / "ours.model"))
    model = theirs.load(tmp_path / "ours.model")
    assert entries(tok) == [text for text, _ in theirs.entries(model)]
    assert (model.unk_id(), model.bos_id(), model.eos_id(), model.pad_id()) == (0, 1, 2, 4)
    again = piecemill.Tokenizer.load(str(tmp_path / "ours.model"))
    assert again.hash == tok.hash
    compare_with_file(again, model, corpus)
