"""Files that piecemill writes are read by the libraries they are for, with the same ids; and theirs by piecemill."""
import json
import os
import random
import subprocess
import sys

import pytest

import encode_common

piecemill = pytest.importorskip("piecemill", reason="SKIPPED: the piecemill module is not built")

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(HERE, "..", "models")
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
SPECIAL = ["<|end|>", "<|é中|>"]


def texts(corpus):
    """Slices of the corpora, cut into documents, and some that cross the borders of classes."""
    docs = []
    for name in ("zh", "en", "code", "multi"):
        docs += encode_common.documents(corpus(name, 150_000, 400_000).decode())
    rng = random.Random(1)
    alphabet = "ab Z9 \n\r\t'sS.,\u00a0\u0301中国がア\u30fc\ud55cя\u00b5\U0001f600\u200d_-<|"
    docs += ["".join(rng.choice(alphabet) for _ in range(rng.randrange(40))) for _ in range(500)]
    return docs + [""]


@pytest.fixture(scope="module")
def bpe(corpus):
    """Trained with each of these patterns; holes between ids and special tokens with characters of all kinds."""
    made = {}

    def get(pattern):
        if pattern not in made:
            docs = encode_common.documents(corpus("en", 300_000).decode() + corpus("zh", 300_000).decode())
            made[pattern] = piecemill.train_from_iterator(
                docs, algorithm="bpe", vocab_size=2000, pattern=pattern if isinstance(pattern, str) else list(pattern),
                special_tokens=SPECIAL)
        return made[pattern]

    return get


PATTERNS = ["", "gpt2", "cl100k_base", "o200k_base", "llama3", "qwen2", "deepseek_v3", "kimi_k2", "tekken",
            "superbpe", "scripts", ("o200k_base", "scripts"), (r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))", "gpt2"), (r"\p{N}", r"[a-z]+|\s+"), r"(?i:'s)|\p{Lu}?\p{Ll}+|\s+(?!\S)|[^\s]"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_tokenizer_json_gives_the_same_ids(pattern, bpe, corpus, tmp_path):
    tokenizers = pytest.importorskip("tokenizers", reason="SKIPPED: tokenizers is not installed")
    tok = bpe(pattern)
    path = str(tmp_path / "tokenizer.json")
    tok.save(path)
    theirs = tokenizers.Tokenizer.from_file(path)
    docs = texts(corpus)
    for doc, wanted in zip(docs, theirs.encode_batch(docs)):
        assert tok.encode(doc) == wanted.ids, doc[:200]
    text = "one<|end|> two<|é中|>three"
    ids = theirs.encode(text).ids
    assert tok.encode(text, allowed_special="all") == ids
    assert tok.special_tokens["<|é中|>"] in ids
    for doc in docs[:200]:
        assert tok.decode(tok.encode(doc)) == theirs.decode(theirs.encode(doc).ids, skip_special_tokens=False)
    # The bytes are those that tokenizers would write itself.
    assert theirs.to_str(pretty=True) == open(path, encoding="utf-8").read()
    again = piecemill.Tokenizer.load(path)
    assert again.merges == tok.merges and again.special_tokens == tok.special_tokens and again.pattern == tok.pattern
    assert again.encode_batch(docs)[0].tolist() == tok.encode_batch(docs)[0].tolist()


@pytest.mark.parametrize("vocab", encode_common.VOCABS)
def test_real_vocabulary_as_tokenizer_json(vocab, vocab_path, corpus, tmp_path):
    tokenizers = pytest.importorskip("tokenizers", reason="SKIPPED: tokenizers is not installed")
    special = encode_common.metadata(vocab_path(vocab + ".json"))["special_tokens"]
    tok = piecemill.Tokenizer.load(vocab_path(vocab + ".tiktoken"), pattern=vocab, special_tokens=special)
    path = str(tmp_path / "tokenizer.json")
    tok.save(path)
    theirs = tokenizers.Tokenizer.from_file(path)
    docs = texts(corpus)
    for doc, wanted in zip(docs, theirs.encode_batch(docs)):
        assert tok.encode(doc) == wanted.ids, doc[:200]
    for content, i in special.items():
        assert theirs.token_to_id(content) == i
        assert theirs.encode(content).ids == tok.encode(content, allowed_special="all") == [i]


# Added tokens that are no entries, with ids that do not go on where the entries end: tokenizers gives them others and warns (decision 0010).
RENUMBERED = ("good-general-missing-byte.tokenizer.json", "good-general-not-byte-level.tokenizer.json")


@pytest.mark.parametrize("name", sorted(n for n in os.listdir(MODELS) if n.startswith("good-") and n.endswith("tokenizer.json")))
def test_tokenizer_json_of_others(name, corpus):
    """Forms that piecemill reads but does not write."""
    tokenizers = pytest.importorskip("tokenizers", reason="SKIPPED: tokenizers is not installed")
    path = os.path.join(MODELS, name)
    tok, theirs = piecemill.Tokenizer.load(path), tokenizers.Tokenizer.from_file(path)
    theirs.no_truncation()  # the settings are carried, not applied
    theirs.no_padding()
    docs = texts(corpus)[:40] + ["the abc 中 the"] + ["the<|end|>abab"] * (name not in RENUMBERED)
    if "characters" in name:  # control tokens are no text here, as in sentencepiece; tokenizers finds them in text (decision 0007)
        docs = [doc for doc in docs if not any(control in doc for control in ("<unk>", "<s>", "</s>"))]
    assert len(docs) >= 30
    for doc in docs:
        assert tok.encode(doc, allowed_special="all") == theirs.encode(doc).ids, doc[:200]


def test_tiktoken_file(bpe, corpus, tmp_path):
    tiktoken = pytest.importorskip("tiktoken", reason="SKIPPED: tiktoken is not installed")
    from tiktoken.load import load_tiktoken_bpe

    tok = bpe("cl100k_base")
    path = str(tmp_path / "x.tiktoken")
    tok.save(path)
    ranks = load_tiktoken_bpe(path)
    encoding = tiktoken.Encoding("x", pat_str=CL100K, mergeable_ranks=ranks, special_tokens={})
    again = piecemill.Tokenizer.load(path, pattern="cl100k_base")
    assert again.merges == tok.merges
    for doc in texts(corpus):
        assert tok.encode(doc) == again.encode(doc) == encoding.encode_ordinary(doc), doc[:200]


BYTEPIECE = """
import json, sys
import bytepiece
tok = bytepiece.Tokenizer(sys.argv[1])
docs = json.load(open(sys.argv[2], encoding="utf-8"))
trainer = bytepiece.Trainer()
trainer.max_vocab_size, trainer.pieces = [0], [tok._pieces]
trainer.save(sys.argv[3])
json.dump([tok.encode(d, add_bos=True, add_eos=True) for d in docs], sys.stdout)
"""


def test_bytepiece_file(corpus, tmp_path):
    python = os.environ.get("PM_BYTEPIECE_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import bytepiece"], capture_output=True).returncode:
        pytest.skip("SKIPPED: bytepiece is not installed")
    docs = encode_common.documents(corpus("zh", 200_000).decode() + corpus("en", 200_000).decode())
    tok = piecemill.train_from_iterator(docs, algorithm="bytepiece", vocab_size=3000)
    ours, theirs, questions = (str(tmp_path / n) for n in ("ours.json", "theirs.json", "docs.json"))
    tok.save(ours, format="bytepiece")
    docs = [d for d in texts(corpus) if d]
    with open(questions, "w", encoding="utf-8") as f:
        json.dump(docs, f)
    answers = subprocess.run([python, "-c", BYTEPIECE, ours, questions, theirs], check=True, stdout=subprocess.PIPE).stdout
    assert open(ours, "rb").read() == open(theirs, "rb").read()
    again = piecemill.Tokenizer.load(ours)
    for doc, wanted in zip(docs, json.loads(answers)):
        assert again.encode(doc, add_special_tokens=True) == wanted, doc[:200]


def test_models_are_as_their_script_makes_them():
    subprocess.run([sys.executable, os.path.join(MODELS, "make.py"), "--check"], check=True)


LINES_AND_WORDS = [
    r"\s+$|\S+", r"^\s+|.", r"\w+|\W+", r"[\w]+", r"[^\W_]+", r"[\W_]+", r"\b.", r"\Bx+", r"^.|.$", r"(?i:\w+)", r"[^\w\s]+$",
    r"[^^$]+|[$^]", r"a\^|\$+|[]^]+", r"(?#^$)\w{2}", r"\p{^L}+$", r"(?<=\w)b|(?!$).", r"(?:^|\s)\w+", r"\W\b\w",
]


@pytest.mark.parametrize("regex", LINES_AND_WORDS)
def test_lines_and_words_of_oniguruma(regex, tmp_path):
    """Before, ^ $ \\w \\b in a tokenizer.json (such as `\\s+$` of deepseek-coder) cut as they do in tiktoken, and were written as they stood."""
    tokenizers = pytest.importorskip("tokenizers")
    from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

    rng = random.Random(regex)
    parts = ["a", "b", "x", "_", "\u00b2", "\u00bd", "\u200d", "\u0301", "\n", "\n\n", "\r\n", " ", "  ", "-", "^", "$", "]", "\u4e2d", "'"]
    docs = ["".join(rng.choice(parts) for _ in range(rng.randrange(60))) for _ in range(150)] + ["\n", "a\n", "\u200d", "a \n \n", ""]
    hf = tokenizers.Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    hf.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated"), byte_level])
    hf.decoder = decoders.ByteLevel()
    hf.train_from_iterator(docs, trainers.BpeTrainer(vocab_size=500, initial_alphabet=byte_level.alphabet(), show_progress=False))
    path = str(tmp_path / "tokenizer.json")
    hf.save(path)
    loaded = piecemill.Tokenizer.load(path)
    assert [loaded.encode(d) for d in docs] == [hf.encode(d).ids for d in docs]
    loaded.save(path)
    again = tokenizers.Tokenizer.from_file(path)
    assert [again.encode(d).ids for d in docs] == [hf.encode(d).ids for d in docs]
    ours = piecemill.train_from_iterator(docs, algorithm="bpe", vocab_size=500, pattern=regex)
    ours.save(path)
    theirs = tokenizers.Tokenizer.from_file(path)
    assert [theirs.encode(d).ids for d in docs] == [ours.encode(d) for d in docs]
