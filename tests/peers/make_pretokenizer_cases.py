#!/usr/bin/env python3
"""Writes tests/cases/pretokenizers.txt: what Hugging Face's tokenizers make of texts under lists of pre-tokenizers.

    python3 -m venv v && v/bin/pip install tokenizers==0.23.3
    v/bin/python tests/peers/make_pretokenizer_cases.py > tests/cases/pretokenizers.txt

The random ones are the same in every run. tests/peers/test_pretokenizers.py asks the library again and compares.
"""
import random
import sys

import tokenizers
from tokenizers import Regex, pre_tokenizers as P

VERSION = "0.23.3"
HEAD = f"""# Pre-tokenizers: made by tests/peers/make_pretokenizer_cases.py with Hugging Face's tokenizers {VERSION}. Do not edit.
#
# Lines that begin with "= " are the steps of a list (none: an empty "="), the lines behind them its cases:
#   text   begin-end:piece|begin-end:piece...      bytes of the text
# In arguments, texts and pieces \\n \\r \\t \\\\ \\| and \\u{{H}} are escapes.
"""
BEHAVIORS = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
REGEXES = [
    r"\s+", r"\s", r"\d", r"\d+", r"[0-9]", r"\p{N}{1,3}", r"\p{L}+", r"a*", r"(?=[A-Z])", r"\b", "", r"x?", r"[^\r\n\p{L}\p{N}]?\p{L}+",
    r" ?[^(\s|[.,!?…。，、।۔،])]+", r"\w+|[^\w\s]+", r"(?<=a)b?", r"$", r"^", r"[\r\n]", r"\n+", r"[a-z]+|[A-Z]", r"\p{Han}", "[一-龥]", ".",
    r"(?<!\n)\n", r"[^\s]+|\s", r"\p{P}", r"\W", r"[^\W_]",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
]
# What means something else in Oniguruma than in PCRE2 or Rust, or is written in its own way.
ONIGURUMA = [
    r"(?m).+", r"(?i)a(?m:.)b", r"[\b]", r"a{2}?", r"a{1,2}+b", r"(?:ab){1,2}+", r"a{,2}", r"a++b", r"(?x) a b # c", "(?x)a\n\tb[ ]", r"a(?i)b|c", r"x(?i:a|b)c",
    r"(?im-x:a.b)", r"(?-i)a", r"\R+", r"\N+", r"\O{2}", r"[[:^alpha:]]+", r"[[:alpha:]_-]+", r"[[:punct:]]", r"[[:graph:]]+", r"[[:print:]]+", r"[[:word:]]+",
    r"[[:blank:]]+", r"[[:cntrl:]]+", r"[[:xdigit:]]+", r"[[:upper:]][[:lower:]]+", r"[^[:space:][:digit:]]+", r"\p{Alnum}+", r"\p{Word}+", r"[\p{Word}]+",
    r"\p{Graph}+", r"\p{Print}+", r"\p{Blank}", r"\p{Punct}", r"\w", r"[\w]", r"\W+", r"[^\w]+", r"\b", r"\B", r"\bx", r"^.", r".$", r"\s*$", r"\A.", r".\z", r".\Z",
    r"(?i)\p{Lu}+", r"(?i:k)", r"\h+", r"\H+", r"[a-c&&[^b]]+", r"[^a[b-d]]+", r"[]a]+", r"[a-c-e]+", r"\p{^L}+", r"\P{L}+", r"\p{Greek}+", r"\p{Cn}",
    r"\p{Nd}+", r"\p{Mn}", r"\p{So}", r"\p{Lm}+", r"\u00e9|\x{E9}", r"(?<x>a)\k<x>", r"(a)\1", r"(?<!a)b", r"(?>a{1,2})b", r"a(?#note)b", r"\d{2}+\d",
]
WORDS = list("abcXYZ019 \n\t\r.,-_'▁#$") + [
    "  ", " ", " ", "é", "中", "文", "あ", "ア", "ー", "🙂", "\u0301", "e\u0301", "\u200d", "\u00a0", "\u3000", "½", "٣", "Ⅳ", "ⓐ", "\U00011de1", "ß", "ſ",
    "\u212a", "한", "א", "ع", "।", "«", "—", "…", "\ufffd", "\u2028", "'s", "'ll", "don't", "👨\u200d👩\u200d👧", "\x00", "\x1f", "\x85", "\U00011f50",
    "\U0001f130", "ǅ", "ʰ", "\u166d", "\u0589", "\u0953", "\U0001fae8"]
LETTERS = list("aaabbBcxAK12 -_.,\n\r\tzß") + ["é", "É", "中", "\u212a", "Ⅳ", "ⓐ", "\u0301", "\r\n", "α", "٣", "²", "½", "\u200d", "\U00011f50", "\x07", "…", "ʰ", "€", "\u2028"]
FIXED = ["Hello  world, it's 1984!\n\n  ¿Qué tal?", "the-final--countdown", "  leading", "trailing  ", " ", "\n", "中文abc日本語ひらがなカタカナー한국어", "▁a▁ b",
         "ab12cd  345 ½٣Ⅳ", "e\u0301\u0301x\u200dy", "I'LL we're They'Ve"]


def escape(text):
    """With the escapes that the table's reader undoes."""
    out = []
    for c in text:
        if c in "\n\r\t\\|":
            out.append({"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", "|": "\\|"}[c])
        elif c == " " or (c.isprintable() and not 0x300 <= ord(c) < 0x370):
            out.append(c)
        else:
            out.append(f"\\u{{{ord(c):X}}}")
    return "".join(out)


class Step:
    """One pre-tokenizer and its line."""

    def __init__(self, made, *words, argument=""):
        self.made = made
        self.line = "= " + " ".join(words) + (" " + escape(argument).replace(" ", "\\u{20}") if argument else "")


def split(pattern, regex, behavior, invert):
    return Step(P.Split(Regex(pattern) if regex else pattern, behavior, invert), "Split", "regex" if regex else "text", behavior,
                "invert" if invert else "plain", argument=pattern)


def byte_level(prefix, regex):
    return Step(P.ByteLevel(add_prefix_space=prefix, use_regex=regex), "ByteLevel", "prefix" if prefix else "plain", "regex" if regex else "whole")


def metaspace(mark, scheme, splits):
    return Step(P.Metaspace(mark, scheme, splits), "Metaspace", scheme, "split" if splits else "whole", argument=mark)


def plain(name, *arguments, words=(), argument=""):
    return Step(getattr(P, name)(*arguments), name, *words, argument=argument)


def every():
    """Each pre-tokenizer in each of its ways."""
    for prefix in (False, True):
        for regex in (False, True):
            yield byte_level(prefix, regex)
    for behavior in BEHAVIORS:
        for invert in (False, True):
            for text in (" ", "-", "aa", ""):
                yield split(text, False, behavior, invert)
            for regex in (r"\s+", r"\d", r"(?=[A-Z])", r"a*", REGEXES[-2], REGEXES[-1]):
                yield split(regex, True, behavior, invert)
        yield plain("Punctuation", behavior, words=(behavior,))
    for scheme in ("always", "never", "first"):
        for splits in (False, True):
            yield metaspace("▁", scheme, splits)
    for name in ("Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts"):
        yield plain(name)
    yield plain("Digits", False, words=("together",))
    yield plain("Digits", True, words=("individual",))
    for c in " -中":
        yield plain("CharDelimiterSplit", c, argument=c)
    for n in (1, 2, 5):
        yield plain("FixedLength", n, words=(str(n),))


def some(r):
    """Any of them, by chance."""
    kind = r.randrange(8)
    if kind < 2:
        return split(r.choice(REGEXES), True, r.choice(BEHAVIORS), r.random() < .3)
    if kind == 2:
        return split(r.choice([" ", "a", "ab", "▁", "\n", "中", "e\u0301", " a", "🙂"]), False, r.choice(BEHAVIORS), r.random() < .3)
    if kind == 3:
        return metaspace(r.choice("▁_ é"), r.choice(["always", "never", "first"]), r.random() < .7)
    return r.choice(list(every()))


def text(r):
    """A text of pieces that matter, and now and then any character."""
    out = []
    for _ in range(r.choice([1, 2, 3, 5, 8, 13, 25])):
        any_character = chr(r.choice([r.randrange(0x20, 0x3000), r.randrange(0xE000, 0x110000)]))
        out.append(r.choice(WORDS) if r.random() < .95 else any_character)
    return "".join(out)


def in_bytes(source, at):
    return len(source[:at].encode())


def rows(steps, texts):
    """The lines of one list."""
    made = P.Sequence([s.made for s in steps])
    yield from ([s.line for s in steps] or ["="])
    for t in texts:
        pieces = [f"{in_bytes(t, b)}-{in_bytes(t, e)}:{escape(p)}" for p, (b, e) in made.pre_tokenize_str(t)]
        yield escape(t) + "\t" + "|".join(pieces)


def table():
    """All lines of the file."""
    r = random.Random(8)
    yield from HEAD.splitlines()
    for step in every():
        yield from rows([step], FIXED[:] if r.random() < .3 else r.sample(FIXED, 4) + [text(r)])
    for regex in ONIGURUMA:
        texts = ["aab aB b\na-b\r\n\tbc", "xA.B 1a½²_\u200db\n"] + ["".join(r.choice(LETTERS) for _ in range(25)) for _ in range(3)]
        yield from rows([split(regex, True, "isolated", False)], texts)
    for _ in range(200):
        yield from rows([some(r) for _ in range(r.randrange(5))], [text(r) for _ in range(5)])


if __name__ == "__main__":
    if tokenizers.__version__ != VERSION:
        sys.exit(f"make_pretokenizer_cases.py: needs tokenizers {VERSION}")
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    for line in table():
        print(line)
