"""Options that Hugging Face's BpeTrainer has too: the same vocabulary, id for id, in one tokenizer.json."""
import json
import random

import pytest

import piecemill

tokenizers = pytest.importorskip("tokenizers", reason="SKIPPED: tokenizers is not installed")

SPECIALS = ["<|endoftext|>", "[MASK]", "<pad>"]


def their_model(documents, vocab_size, pattern=None, **options):
    """The "model" and "added_tokens" of a tokenizer.json that tokenizers trained."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    tokenizer = Tokenizer(models.BPE())
    steps = [pre_tokenizers.Split(Regex(regex), "isolated") for regex in pattern or ()]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps + [byte_level])
    options.setdefault("initial_alphabet", byte_level.alphabet())
    tokenizer.train_from_iterator(documents, trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False, **options))
    return json.loads(tokenizer.to_str())


def our_model(documents, vocab_size, tmp_path, pattern="gpt2", **options):
    tok = piecemill.train_from_iterator(documents, algorithm="bpe", vocab_size=vocab_size, pattern=pattern, layout="hf", threads=2, **options)
    tok.save(str(tmp_path / "tokenizer.json"))
    return json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))


def documents(corpus, name, n):
    text = corpus(name, n, 200_000).decode()
    return [line + "\n" for line in text.split("\n")]


def assert_same(ours, theirs):
    assert ours["model"]["merges"] == theirs["model"]["merges"]
    assert ours["model"]["vocab"] == theirs["model"]["vocab"]
    assert ours["added_tokens"] == theirs["added_tokens"]


@pytest.mark.parametrize("name", ("zh", "en", "code"))
@pytest.mark.parametrize("specials,min_count,size", ((SPECIALS, 0, 1500), ([], 3, 1200), (SPECIALS[:1], 40, 100_000), (SPECIALS, 0, 259), (SPECIALS, 0, 260)))
def test_special_tokens_min_count_and_size(name, specials, min_count, size, corpus, tmp_path):
    docs = documents(corpus, name, 150_000)
    theirs = their_model(docs, size, special_tokens=specials, min_frequency=min_count)
    ours = our_model(docs, size, tmp_path, special_tokens=specials, min_count=min_count)
    assert_same(ours, theirs)
    if size == 100_000:
        assert 256 < len(ours["model"]["vocab"]) < size  # the count decided, not the size


def test_the_alphabet_is_always_all_bytes(corpus, tmp_path):
    """tokenizers with another initial alphabet has fewer ids for bytes, and the same merges."""
    docs = documents(corpus, "en", 100_000)
    ours = our_model(docs, 1000, tmp_path)
    for alphabet in ([], ["a", "z"]):
        theirs = their_model(docs, 1000, initial_alphabet=alphabet)
        merges = theirs["model"]["merges"]
        assert len(merges) > 744  # bytes that do not occur have left their place to merges
        assert merges[:744] == ours["model"]["merges"]


@pytest.mark.parametrize("pattern", ("o200k_base", "superbpe", "scripts", ["o200k_base", "scripts"]))
def test_patterns(pattern, corpus, tmp_path):
    """The regexes that piecemill wrote, in tokenizers' trainer: they count the same words."""
    docs = documents(corpus, "multi", 150_000) + documents(corpus, "en", 100_000)
    ours = our_model(docs, 2000, tmp_path, pattern=pattern)
    regexes = [step["pattern"]["Regex"] for step in ours["pre_tokenizer"]["pretokenizers"][:-1]]
    assert_same(ours, their_model(docs, 2000, pattern=regexes))
    if isinstance(pattern, list):
        tok = piecemill.train_from_iterator(docs, algorithm="bpe", vocab_size=2000, split_scripts=True)
        tok.save(str(tmp_path / "again.json"), format="hf")
        assert len(tok.merges) == len(ours["model"]["merges"])


def test_a_special_token_that_text_spells(tmp_path):
    """The one difference: there the merge has the special token's id; here no piece is spelled as a special token."""
    docs = ["<s> <s> <s>\n"] * 20
    theirs = their_model(docs, 300, pattern=[], special_tokens=["<s>"])["model"]["merges"]
    ours = our_model(docs, 300, tmp_path, pattern="", special_tokens=["<s>"])["model"]["merges"]
    assert "<s>" in ["".join(merge) for merge in theirs]
    assert "<s>" not in ["".join(merge) for merge in ours]


def test_random_corpora(tmp_path):
    draw = random.Random(11)
    for _ in range(40):
        letters = draw.choice(("ab", "ab ", "abc 1'", "aé中 ", "アa中 \n"))
        docs = ["".join(draw.choice(letters) for _ in range(draw.randrange(40))) for _ in range(draw.randrange(1, 50))]
        if not any(docs):
            continue
        specials = draw.sample(SPECIALS, draw.randrange(4))
        size, min_count = 256 + len(specials) + draw.randrange(80), draw.randrange(6)
        theirs = their_model(docs, size, special_tokens=specials, min_frequency=min_count)
        assert_same(our_model(docs, size, tmp_path, special_tokens=specials, min_count=min_count), theirs)


@pytest.mark.parametrize("name", ("zh", "en", "code"))
@pytest.mark.parametrize("most", (3, 6, 9, 13))
def test_length_of_pieces(name, most, corpus, tmp_path):
    """There the limit is one that pieces stay below, and pairs of bytes are always allowed."""
    docs = documents(corpus, name, 150_000)
    ours = our_model(docs, 1500, tmp_path, max_piece_length=most)
    assert_same(ours, their_model(docs, 1500, max_token_length=most + 1))
    assert max(map(len, ours["model"]["vocab"])) in (most, most - 1)


def test_length_of_pieces_on_random_corpora(tmp_path):
    draw = random.Random(12)
    for _ in range(60):
        letters = draw.choice(("a", "ab", "ab ", "abc 1'", "aé中 ", "アa中 \n"))
        docs = ["".join(draw.choice(letters) for _ in range(draw.randrange(60))) for _ in range(draw.randrange(1, 40))]
        if not any(docs):
            continue
        limit, min_count = draw.randrange(1, 9), draw.randrange(3)
        theirs = their_model(docs, 340, max_token_length=limit, min_frequency=min_count)
        assert_same(our_model(docs, 340, tmp_path, max_piece_length=max(limit - 1, 2), min_count=min_count), theirs)


@pytest.mark.parametrize("script", ("Han", "Hiragana", "Katakana", "Hangul", "Latin", "Common", "Inherited"))
def test_scripts_of_all_characters(script):
    """Over all characters of Unicode, a script's are those that Oniguruma has. (Before, PCRE2's version of Unicode decided.)"""
    every = "".join(chr(c) for c in (*range(0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xE0200)))
    split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(rf"\p{{{script}}}+"), "isolated")
    pieces = [piece for piece, _ in split.pre_tokenize_str(every)]
    tok = piecemill.train_from_iterator([every], algorithm="bpe", vocab_size=256, pattern=rf"\p{{{script}}}+")
    assert tok.training_summary["words"] == len(pieces)
    assert tok.training_summary["distinct"] == len(set(pieces))
