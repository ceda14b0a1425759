"""The algorithms of general tokenizers against their libraries: random small models of every kind, ties in scores, all settings; and models that the
libraries train. Ids are equal. What differs on purpose is said in docs/decisions/0011-cores.md."""
import random
import struct

import piecemill
import pytest
import sentencepiece
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

ALPHABETS = ["ab", "abc", "abé", "aé中", "ab中😀", "abcd▁"]
SEEDS = range(12)


def text_of(r, alphabet, length):
    return "".join(r.choice(alphabet) for _ in range(length))


def words_of(r, alphabet, strange):
    return [text_of(r, alphabet + strange, r.randint(1, 14)) for _ in range(30)] + [text_of(r, alphabet, 300)]


def pieces_of(r, alphabet, share=0.8):
    pieces = [c for c in alphabet if r.random() < share]
    for _ in range(r.randint(1, 30)):
        piece = text_of(r, alphabet, r.randint(1, r.choice([2, 4, 14])))
        if piece not in pieces:
            pieces.append(piece)
    return pieces


def byte_tokens(r, share):
    return [f"<0x{b:02X}>" for b in range(256) if r.random() < share]


def score_of(r):
    return -r.choice([r.randint(0, 3), r.random() * 10])


def same_as_tokenizers(model, words, path, **parts):
    theirs = tokenizers.Tokenizer(model)
    for name, part in parts.items():
        setattr(theirs, name, part)
    theirs.save(str(path))
    theirs = tokenizers.Tokenizer.from_file(str(path)) # reading rounds scores once more
    ours = piecemill.Tokenizer.load(str(path))
    for word in words:
        assert ours.encode(word) == theirs.encode(word, add_special_tokens=False).ids, (word, open(path).read())


@pytest.mark.parametrize("seed", SEEDS)
def test_unigram(seed, tmp_path):
    r = random.Random(seed)
    alphabet = r.choice(ALPHABETS)
    fallback = r.random() < 0.4
    pieces = pieces_of(r, alphabet) + (byte_tokens(r, r.choice([1, 0.99])) if fallback else [])
    vocab = [("<unk>", 0.0)] + [(p, score_of(r)) for p in pieces]
    words = words_of(r, alphabet, r.choice(["", "xz", "€😀"])) + ["a<unk>b", "x<unk>", "<unk><unk>é"]
    same_as_tokenizers(models.Unigram(vocab, 0, fallback), words, tmp_path / "tokenizer.json")


@pytest.mark.parametrize("seed", SEEDS)
def test_wordpiece(seed, tmp_path):
    r = random.Random(seed)
    alphabet, prefix = r.choice(ALPHABETS), r.choice(["##", "##", "@", ""])
    pieces = sorted({"[UNK]"} | {r.choice(["", prefix]) + p for p in pieces_of(r, alphabet)})
    model = models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]", continuing_subword_prefix=prefix,
                             max_input_chars_per_word=r.choice([100, 5]))
    same_as_tokenizers(model, words_of(r, alphabet, r.choice(["", "x#"])), tmp_path / "tokenizer.json")


@pytest.mark.parametrize("seed", SEEDS)
def test_wordlevel(seed, tmp_path):
    r = random.Random(seed)
    pieces = pieces_of(r, "ab") + ["<unk>"]
    same_as_tokenizers(models.WordLevel({p: i for i, p in enumerate(pieces)}, unk_token="<unk>"), words_of(r, "ab", ""), tmp_path / "tokenizer.json")


@pytest.mark.parametrize("seed", range(30))
def test_bpe(seed, tmp_path):
    r = random.Random(seed)
    alphabet, prefix, suffix = r.choice(ALPHABETS), r.choice(["", "", "##"]), r.choice(["", "", "</w>"])
    options = {"fuse_unk": r.random() < 0.5, "byte_fallback": r.random() < 0.4, "ignore_merges": r.random() < 0.3}
    vocab = {}
    if r.random() < 0.7:
        options["unk_token"] = "<unk>"
        vocab["<unk>"] = 0
    if options["byte_fallback"]:
        for token in byte_tokens(r, r.choice([1, 0.99])):
            vocab[token] = len(vocab)
    for c in alphabet:
        for token in (c, prefix + c, c + suffix, prefix + c + suffix):
            if r.random() < 0.9:
                vocab.setdefault(token, len(vocab))
    merges = []
    for _ in range(r.randint(0, 40)):
        parts = [t for t in vocab if not t.startswith("<")]
        if len(parts) < 2:
            break
        left, right = r.choice(parts), r.choice(parts)
        if right.startswith(prefix) and not (suffix and left.endswith(suffix)) and len(left + right) < 16:
            vocab.setdefault(left + right[len(prefix):], len(vocab))
            merges.append((left, right))
    if r.random() < 0.3:
        r.shuffle(merges)
    if prefix:
        options["continuing_subword_prefix"] = prefix
    if suffix:
        options["end_of_word_suffix"] = suffix
    vocab = vocab or {"a": 0}
    same_as_tokenizers(models.BPE(vocab, merges, **options), words_of(r, alphabet, r.choice(["", "xz", "€😀"])), tmp_path / "tokenizer.json")


def trained_text(corpus):
    return corpus("multi", 60_000, start=20_000).decode("utf-8", "ignore") + corpus("en", 60_000).decode("utf-8", "ignore")


@pytest.mark.parametrize("kind", ["unigram", "wordpiece", "wordlevel", "bpe-suffix", "bpe-prefix"])
def test_trained_by_tokenizers(kind, corpus, tmp_path):
    text = trained_text(corpus)
    lines = text.split("\n")
    model, trainer, parts = {
        "unigram": (models.Unigram(), trainers.UnigramTrainer(vocab_size=1500, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False),
                    {"pre_tokenizer": pre_tokenizers.Metaspace(), "normalizer": normalizers.NFKC()}),
        "wordpiece": (models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(vocab_size=1500, special_tokens=["[UNK]"], limit_alphabet=200, show_progress=False),
                      {"pre_tokenizer": pre_tokenizers.BertPreTokenizer(), "normalizer": normalizers.BertNormalizer()}),
        "wordlevel": (models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(vocab_size=500, special_tokens=["<unk>"], show_progress=False),
                      {"pre_tokenizer": pre_tokenizers.Whitespace()}),
        "bpe-suffix": (models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"),
                       trainers.BpeTrainer(vocab_size=1500, special_tokens=["<unk>"], end_of_word_suffix="</w>", limit_alphabet=200, show_progress=False),
                       {"pre_tokenizer": pre_tokenizers.WhitespaceSplit(), "normalizer": normalizers.Lowercase()}),
        "bpe-prefix": (models.BPE(unk_token="<unk>", continuing_subword_prefix="##", fuse_unk=True),
                       trainers.BpeTrainer(vocab_size=1500, special_tokens=["<unk>"], continuing_subword_prefix="##", limit_alphabet=200, show_progress=False),
                       {"pre_tokenizer": pre_tokenizers.BertPreTokenizer()}),
    }[kind]
    theirs = tokenizers.Tokenizer(model)
    for name, part in parts.items():
        setattr(theirs, name, part)
    theirs.train_from_iterator(lines, trainer)
    path = tmp_path / "tokenizer.json"
    theirs.save(str(path))
    theirs = tokenizers.Tokenizer.from_file(str(path)) # reading rounds scores once more
    ours = piecemill.Tokenizer.load(str(path))
    for line in [text, *lines[:600], "\u2581 \U0001f600\u0001\t x  "]:
        assert ours.encode(line) == theirs.encode(line, add_special_tokens=False).ids


# ---- sentencepiece: the .model is written here, since its trainer makes no ties, no UNUSED pieces, and large scores


def number(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(n, content):
    return number(n << 3 | 2) + number(len(content)) + content


def model_file(pieces, model_type, byte_fallback):
    out = b"".join(field(1, field(1, p.encode()) + number(2 << 3 | 5) + struct.pack("<f", s) + number(3 << 3) + number(t)) for p, s, t in pieces)
    out += field(2, number(3 << 3) + number(model_type) + number(35 << 3) + number(int(byte_fallback)))
    return out + field(3, field(1, b"identity") + b"".join(number(n << 3) + b"\0" for n in (3, 4, 5)))


@pytest.mark.parametrize("model_type", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(20))
def test_sentencepiece(model_type, seed, tmp_path):
    r = random.Random(seed * 5 + model_type)
    alphabet, fallback = r.choice(ALPHABETS), r.random() < 0.4
    pieces = [("<unk>", 0.0, 2), ("<s>", 0.0, 3)] + ([(t, 0.0, 6) for t in byte_tokens(r, 1)] if fallback else [])
    ties, large = r.random() < 0.4, r.choice([1, 1, 1000])
    defined, unused = r.choice([0, 0, 0.1]), r.choice([0, 0, 0.2])
    for i, piece in enumerate(pieces_of(r, alphabet, 0.9)):
        kind = 4 if r.random() < defined else 5 if r.random() < unused else 1
        score = -float(r.randint(0, 4) if ties else i) if model_type == 2 else score_of(r) * large
        pieces.append((piece, score if model_type < 3 else 0.0, kind if model_type < 3 or len(piece) == 1 else 1))
    if model_type == 4:
        pieces = [p for p in pieces if len(p[0]) == 1 or p[2] in (2, 3, 6)]
    path = tmp_path / "random.model"
    path.write_bytes(model_file(pieces, model_type, fallback))
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(path))
    ours = piecemill.Tokenizer.load(str(path))
    for word in words_of(r, alphabet, r.choice(["", "xz", "€😀"])) + [text_of(r, alphabet, 3000)]:
        assert ours.encode(word) == theirs.encode(word), (word, pieces)


@pytest.mark.parametrize("name", ["en", "zh"])
def test_trained_by_sentencepiece(name, corpus, tmp_path):
    text = corpus(name, 200_000, start=50_000).decode("utf-8", "ignore")
    (tmp_path / "text").write_text(text)
    for kind in ("unigram", "word", "char"):
        prefix = str(tmp_path / kind)
        sentencepiece.SentencePieceTrainer.train(input=str(tmp_path / "text"), model_prefix=prefix, vocab_size=2000, model_type=kind, minloglevel=2,
                                                 hard_vocab_limit=False, use_all_vocab=kind == "char", byte_fallback=kind == "unigram", num_threads=2)
        theirs = sentencepiece.SentencePieceProcessor(model_file=prefix + ".model")
        ours = piecemill.Tokenizer.load(prefix + ".model")
        other = corpus(name, 150_000, start=900_000).decode("utf-8", "ignore")
        for line in [other, *other.split("\n")[:500]]: # the whole passes a score of -100,000
            assert ours.encode(line) == theirs.encode(line)
