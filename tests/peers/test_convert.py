"""Conversions, each held against the library that reads the result: tokenizers, transformers, gguf."""
import json
import os
import random

import pytest
import tokenizers

import piecemill

gguf = pytest.importorskip("gguf", reason="SKIPPED: gguf is not installed")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

ATOMS = ["a", "b", "the", " ", "  ", "\n", "\n\n", "\r\n", "\t", "中", "国", "中国", "é", "e\u0301", "\u0301\u0323", "가", "\u1100\u1161", "===", "1", "23", "😀", "<pad>", "<bos>",
         "<|end|>", "<|en", "\0", "\u3000", "\u2581", "\u0130", "'S", "\ufeff", "\U0001e900", "\x7f", "\u200d"]


def hostile(n, seed=1):
    r = random.Random(seed)
    return ["".join(r.choice(ATOMS) if r.random() < 0.9 else chr(r.choice((r.randrange(0x20, 0xD800), r.randrange(0xE000, 0x2FFFF)))) for _ in range(r.randrange(1, 30)))
            for _ in range(n)]


def encode(tok, text):
    return tok.encode(text, disallowed_special=())


@pytest.fixture(scope="module")
def texts(corpus):
    return [corpus(name, 150_000).decode() for name in ("zh", "en", "code")]


@pytest.fixture(scope="module")
def small(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("convert") / "small.txt"
    path.write_text("".join(texts))
    return path


# ---- BytePiece

@pytest.mark.parametrize("arguments", [{}, {"pattern": "gpt2", "special_tokens": ["<|end|>"], "reserve": 3}], ids=["plain", "pattern"])
def test_bytepiece_in_tokenizers(small, texts, tmp_path, arguments):
    """Unigram over byte-level characters gives the ids of BytePiece, on text of any kind."""
    tok = piecemill.train([small], algorithm="bytepiece", vocab_size=4000, **arguments)
    assert tok.save(tmp_path / "tokenizer.json") is None
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert theirs.get_vocab_size() == tok.vocab_size
    allowed = "all" if arguments else ()
    for text in texts + hostile(2000):
        assert theirs.encode(text).ids == tok.encode(text, allowed_special=allowed, disallowed_special=())
    # Every code point of the first planes alone and between letters, in lines.
    wrong = []
    for start in range(0, 0x30000, 0x400):
        points = [chr(c) for c in range(start, start + 0x400) if not 0xD800 <= c < 0xE000]
        text = "\n".join(p + " a" + p + "b" for p in points)
        mine, other = encode(tok, text), theirs.encode(text).ids
        if mine != other:
            wrong += [c for c in range(start, start + 0x400) if not 0xD800 <= c < 0xE000 and encode(tok, f"{chr(c)} a{chr(c)}b") != theirs.encode(f"{chr(c)} a{chr(c)}b").ids]
    print([hex(c) for c in wrong])
    assert wrong == []


def test_bytepiece_folder(small, texts, tmp_path):
    transformers = pytest.importorskip("transformers", reason="SKIPPED: transformers is not installed")
    tok = piecemill.train([small], algorithm="bytepiece", vocab_size=3000)
    tok.save(tmp_path, format="hf")
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    for text in texts + hostile(200):
        assert theirs.encode(text) == encode(tok, text)


# ---- BPE: folders, vocab.json

def test_bpe_folder(small, texts, tmp_path):
    transformers = pytest.importorskip("transformers", reason="SKIPPED: transformers is not installed")
    made = piecemill.train([small], algorithm="bpe", vocab_size=3000, pattern="cl100k_base", special_tokens=["<|end|>", "<|pad|>"])
    made.save(tmp_path / "tokenizer.json")
    config = {"eos_token": "<|end|>", "pad_token": {"content": "<|pad|>", "__type": "AddedToken"}, "model_max_length": 512,
              "chat_template": "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}\n{% endfor %}"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    tok = piecemill.Tokenizer.load(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    tok.save(other)
    theirs = transformers.AutoTokenizer.from_pretrained(str(other))
    assert (theirs.eos_token, theirs.pad_token, theirs.bos_token, theirs.model_max_length) == ("<|end|>", "<|pad|>", None, 512)
    assert theirs.chat_template == config["chat_template"]
    for text in texts + hostile(500):
        assert theirs.encode(text) == tok.encode(text, allowed_special="all")
        assert theirs.decode(theirs.encode(text)) == tok.decode(tok.encode(text, allowed_special="all"))


def test_vocab_and_merges(small, tmp_path):
    tok = piecemill.train([small], algorithm="bpe", vocab_size=2000, pattern="gpt2", special_tokens=["<|endoftext|>"])
    tok.save(tmp_path / "vocab.json")
    model = tokenizers.models.BPE.from_file(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    theirs = tokenizers.Tokenizer(model)
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    (tmp_path / "theirs").mkdir()
    model.save(str(tmp_path / "theirs"))
    for name in ("vocab.json", "merges.txt"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()
    again = piecemill.Tokenizer.load(tmp_path / "vocab.json")
    for text in hostile(300):
        assert theirs.encode(text).ids == encode(tok, text) == encode(again, text)


# ---- GGUF

def fields_of(path):
    reader = gguf.GGUFReader(str(path))
    return {name: field.contents() for name, field in reader.fields.items()}


def byte_level(data):
    chars = {b: chr(b) for b in list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))}
    hidden = [b for b in range(256) if b not in chars]
    chars.update({b: chr(256 + i) for i, b in enumerate(hidden)})
    return "".join(chars[b] for b in data)


PRE = {"gpt2": "gpt-2", "cl100k_base": "llama-bpe", "o200k_base": "gpt-4o", "qwen2": "qwen2", "deepseek_v3": "deepseek-v3", "tekken": "tekken", "kimi_k2": "kimi-k2"}


@pytest.mark.parametrize("pattern", sorted(PRE))
def test_gguf_is_read_by_gguf(small, texts, tmp_path, pattern):
    tok = piecemill.train([small], algorithm="bpe", vocab_size=1500, pattern=pattern, special_tokens=["<|end|>"], reserve=2)
    tok.save(tmp_path / "a.gguf")
    fields = fields_of(tmp_path / "a.gguf")
    assert fields["tokenizer.ggml.model"] == "gpt2"
    assert fields["tokenizer.ggml.pre"] == PRE[pattern]
    tokens, types = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    assert len(tokens) == len(types) == len(set(tokens)) == tok.vocab_size == 1500
    assert [byte_level(tok.id_to_piece(i)) for i in range(tok.vocab_size - 3)] == tokens[:-3]
    assert tokens[-3] == "<|end|>" and types[-3:] == [3, 5, 5] and set(types[:-3]) == {1}
    merges = [byte_level(left) + " " + byte_level(right) for left, right in tok.merges]
    assert fields["tokenizer.ggml.merges"] == merges
    again = piecemill.Tokenizer.load(tmp_path / "a.gguf")
    for text in texts + hostile(200):
        assert encode(again, text) == encode(tok, text)


def test_gguf_of_a_pattern_without_a_name(small, tmp_path):
    tok = piecemill.train([small], algorithm="bpe", vocab_size=600, pattern=r"\p{L}+|\s+")
    with pytest.raises(piecemill.UnsupportedError, match="gpt2.*o200k_base"):
        tok.save(tmp_path / "a.gguf")
    assert not (tmp_path / "a.gguf").exists()


def test_gguf_written_by_gguf(small, texts, tmp_path):
    """What llama.cpp's own converter writes, with its own library."""
    tok = piecemill.train([small], algorithm="bpe", vocab_size=1500, pattern="gpt2", special_tokens=["<|end|>"])
    writer = gguf.GGUFWriter(str(tmp_path / "b.gguf"), "gpt2", endianess=gguf.GGUFEndian.BIG)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([byte_level(tok.id_to_piece(i)) for i in range(1499)] + ["<|end|>", "[PAD1500]"])
    writer.add_token_types([gguf.TokenType.NORMAL] * 1499 + [gguf.TokenType.CONTROL, gguf.TokenType.UNUSED])
    writer.add_token_merges([byte_level(left) + " " + byte_level(right) for left, right in tok.merges])
    writer.add_eos_token_id(1499)
    writer.add_chat_template("{{ messages }}\n")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    again = piecemill.Tokenizer.load(tmp_path / "b.gguf")
    assert again.vocab_size == 1501 and again.special_tokens == {"<|end|>": 1499}
    for text in texts + hostile(200):
        assert encode(again, text) == encode(tok, text)
    again.save(tmp_path / "c.gguf")
    assert fields_of(tmp_path / "c.gguf")["tokenizer.chat_template"] == "{{ messages }}\n"
    assert fields_of(tmp_path / "c.gguf")["tokenizer.ggml.eos_token_id"] == 1499


def test_gguf_of_characters(small, texts, tmp_path):
    tok = piecemill.train([small], algorithm="bpe", vocab_size=3000, level="char")
    tok.save(tmp_path / "a.gguf")
    fields = fields_of(tmp_path / "a.gguf")
    assert fields["tokenizer.ggml.model"] == "llama"
    assert fields["tokenizer.ggml.tokens"][:3] == ["<unk>", "<s>", "</s>"] and fields["tokenizer.ggml.token_type"][:4] == [2, 3, 3, 6]
    scores = [s for s, t in zip(fields["tokenizer.ggml.scores"], fields["tokenizer.ggml.token_type"]) if t == 1]
    assert scores == sorted(scores, reverse=True)
    again = piecemill.Tokenizer.load(tmp_path / "a.gguf")
    for text in texts + hostile(200):
        assert encode(again, text) == encode(tok, text)


# ---- WordPiece and Unigram

@pytest.mark.parametrize("lowercase", [True, False])
def test_bert(small, texts, tmp_path, lowercase):
    """vocab.txt with and without a configuration beside it, and GGUF."""
    theirs = tokenizers.BertWordPieceTokenizer(lowercase=lowercase)
    theirs.train([str(small)], vocab_size=3000, min_frequency=2, show_progress=False)
    theirs.save_model(str(tmp_path))
    if not lowercase:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, "pad_token": "[PAD]", "model_max_length": 512}))
    tok = piecemill.Tokenizer.load(tmp_path)
    tok.save(tmp_path / "a.gguf")
    fields = fields_of(tmp_path / "a.gguf")
    assert fields["tokenizer.ggml.model"] == "bert"
    assert fields["tokenizer.ggml.tokens"][:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] and fields["tokenizer.ggml.token_type"][:5] == [3] * 5
    again = piecemill.Tokenizer.load(tmp_path / "a.gguf")
    for text in texts + hostile(500):
        wanted = theirs.encode(text, add_special_tokens=False).ids
        assert tok.encode(text, allowed_special="all") == wanted
        assert again.encode(text, allowed_special="all") == wanted
    if lowercase:
        (tmp_path / "other").mkdir()
        tok.save(tmp_path / "other", format="bert")
        assert (tmp_path / "other" / "vocab.txt").read_bytes() == (tmp_path / "vocab.txt").read_bytes()
    else:
        with pytest.raises(piecemill.UnsupportedError, match="case"):
            tok.save(tmp_path / "other-vocab.txt", format="bert")


def test_unigram_in_gguf(small, texts, tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece", reason="SKIPPED: sentencepiece is not installed")
    sentencepiece.SentencePieceTrainer.train(input=str(small), model_prefix=str(tmp_path / "u"), vocab_size=2000, model_type="unigram", minloglevel=2, num_threads=1)
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "u.model"))
    tok = piecemill.Tokenizer.load(tmp_path / "u.model")
    tok.save(tmp_path / "u.gguf")
    fields = fields_of(tmp_path / "u.gguf")
    assert fields["tokenizer.ggml.model"] == "t5" and len(fields["tokenizer.ggml.precompiled_charsmap"]) > 1000
    again = piecemill.Tokenizer.load(tmp_path / "u.gguf")
    for text in texts[0].split("\n")[:300] + texts[1].split("\n")[:300]:
        assert encode(again, text) == theirs.encode(text)


# ---- there and back

def test_there_and_back(small, texts, tmp_path):
    made = [("bpe", dict(pattern="gpt2", special_tokens=["<|endoftext|>"])), ("bpe", dict(level="char")), ("bytepiece", {})]
    for i, (algorithm, arguments) in enumerate(made):
        tok = piecemill.train([small], algorithm=algorithm, vocab_size=2000, **arguments)
        wanted = [encode(tok, text) for text in texts + hostile(100)]
        written = 0
        for name in ("a.piecemill", "a.tiktoken", "tokenizer.json", "a.model", "a.gguf", "vocab.json"):
            path = tmp_path / f"{i}-{name}"
            try:
                tok.save(path)
            except piecemill.UnsupportedError:
                continue
            again = piecemill.Tokenizer.load(path, pattern="gpt2" if name == "a.tiktoken" else None)
            assert [encode(again, text) for text in texts + hostile(100)] == wanted, name
            written += 1
        assert written >= (5, 4, 2)[i]
