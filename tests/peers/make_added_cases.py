#!/usr/bin/env python3
"""Writes tests/cases/added.txt: where Hugging Face's tokenizers find added tokens.

    python3 -m venv v && v/bin/pip install tokenizers==0.23.3
    v/bin/python tests/peers/make_added_cases.py > tests/cases/added.txt

The model knows nothing but an unknown token, so each stretch between added tokens is one; ids are 1 and on for the added tokens. The random ones are the
same in every run. tests/peers/test_added.py asks the library again and compares.
"""
import os
import random
import sys

import tokenizers
from tokenizers import AddedToken, Tokenizer, models

from make_pretokenizer_cases import VERSION, escape, in_bytes

HEAD = f"""# Added tokens: made by tests/peers/make_added_cases.py with Hugging Face's tokenizers {VERSION}. Do not edit.
#
# Lines that begin with "= " are the tokens of a list, from number 1 on, each "= FLAGS TEXT": w single_word, l lstrip, r rstrip, s special, - none.
# "= ordinary": special tokens are ordinary text. The lines behind them are cases, in bytes of the text, 0 being the stretches between:
#   text   number:begin-end|number:begin-end...
# In texts \\n \\r \\t \\\\ \\| and \\u{{H}} are escapes.
"""
PARTS = ["a", "b", " ", "  ", "\n", "<s>", "</s>", "<m>", "é", "中", "▁", "_", "1", ".", "\u00a0", "-", "\u0301", "<", "s>", "A", "\u200d", "\t", "ⓐ"]


def some(r, n):
    return "".join(r.choice(PARTS) for _ in range(n))


def rows(tokens, texts, ordinary=False):
    """The lines of one list; texts over which the library panics are left out."""
    made = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.add_tokens(tokens)
    made.encode_special_tokens = ordinary
    for t in tokens:
        flags = "w" * t.single_word + "l" * t.lstrip + "r" * t.rstrip + "s" * t.special
        yield f"= {flags or '-'} " + escape(t.content).replace(" ", "\\u{20}")
    if ordinary:
        yield "= ordinary"
    for text in texts:
        try:
            found = made.encode(text)
        except BaseException:  # pyo3's PanicException is no Exception
            continue
        yield escape(text) + "\t" + "|".join(f"{i}:{in_bytes(text, b)}-{in_bytes(text, e)}" for i, (b, e) in zip(found.ids, found.offsets))


def table():
    """All lines of the file."""
    r = random.Random(9)
    yield from HEAD.splitlines()
    nested = [AddedToken(t, normalized=False) for t in ("<|end|>", "<|endoftext|>", "<|", "end", "  ", " ")]
    yield from rows(nested, ["<|endoftext|>", "<|endoftex", "<|end|", "a<|end|>b", "    ", "x   <|", "", "endend"])
    for _ in range(150):
        contents = {r.choice([some(r, 1), some(r, 2), some(r, 3), "<s>", "</s>", "<m>"]): None for _ in range(r.randrange(1, 7))}
        tokens = [AddedToken(t, single_word=r.random() < .3, lstrip=r.random() < .3, rstrip=r.random() < .3, normalized=False, special=r.random() < .5)
                  for t in contents]
        texts = [some(r, r.choice([1, 2, 4, 8, 20])) for _ in range(3)]
        texts += [some(r, 3) + r.choice(tokens).content + some(r, r.choice([0, 1, 3])) for _ in range(5)]
        yield from rows(tokens, texts, ordinary=r.random() < .3)


if __name__ == "__main__":
    if tokenizers.__version__ != VERSION:
        sys.exit(f"make_added_cases.py: needs tokenizers {VERSION}")
    os.environ["RUST_BACKTRACE"] = "0"
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    for line in table():
        print(line)
