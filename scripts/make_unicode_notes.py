#!/usr/bin/env python3
"""Writes docs/unicode.md: which version of Unicode each class of characters is from, and where Hugging Face's tokenizers differ.

    python3 -m venv v && v/bin/pip install unicodedata2==16.0.0 tokenizers==0.23.3
    v/bin/python scripts/make_unicode_notes.py > docs/unicode.md

The kinds are those of make_kinds_table.py, asked of the library again.
"""
import unicodedata2

from make_kinds_table import NUMERIC, PUNCT, SURROGATES, WORD, kinds, scripts

HEAD = """# Unicode versions

Made by scripts/make_unicode_notes.py from Unicode {version} and Hugging Face's tokenizers {peer}. Do not edit.

piecemill's own classes (general categories, scripts, white space; `lib/text/unicode_table.h`, `category_table.h`, `script_table.h`) are of Unicode {version} on every
machine. Named patterns, users' regexes and the regexes of a `tokenizer.json` use them. The Oniguruma in tokenizers {peer} is of the same version: it was asked
over all code points. Where a regex asks for something else (`\\p{{Alphabetic}}`, `\\p{{Uppercase}}`, `\\p{{Lowercase}}`, `\\p{{Emoji}}`, the other case of a letter beyond ASCII), the
tables of the installed PCRE2 decide; files record their version.

The pre-tokenizers of tokenizers are no regexes, and take their classes from elsewhere: the standard library of Rust, the crates regex and unicode_categories, and a list
of scripts of their own. Where these differ from Unicode {version}, piecemill does as they do (`lib/pretok/kinds_table.h`), so that ids match.

| step | class | of it, not in Unicode {version}'s | of Unicode {version}'s, missing |
| --- | --- | --- | --- |
"""


def ranges(points):
    """'41-5A 61' for code points."""
    out = []
    for cp in sorted(points):
        if out and out[-1][1] == cp - 1:
            out[-1][1] = cp
        else:
            out.append([cp, cp])
    return " ".join(f"{a:04X}" if a == b else f"{a:04X}-{b:04X}" for a, b in out) or "-"


def main():
    import tokenizers
    points = [cp for cp in range(0x110000) if cp not in SURROGATES]
    category = {cp: unicodedata2.category(chr(cp)) for cp in points}
    table, script = kinds(), scripts()
    ascii_signs = {ord(c) for c in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"}
    wanted = [
        ("Whitespace; added tokens with single_word", "`\\w`: L, M, Nd, Nl, Pc, 200C, 200D", WORD,
         {cp for cp in points if category[cp][0] in "LM" or category[cp] in ("Nd", "Nl", "Pc") or cp in (0x200C, 0x200D)}),
        ("Digits", "N", NUMERIC, {cp for cp in points if category[cp][0] == "N"}),
        ("Punctuation, BertPreTokenizer", "P and the signs of ASCII", PUNCT, {cp for cp in points if category[cp][0] == "P"} | ascii_signs),
    ]
    print(HEAD.format(version=unicodedata2.unidata_version, peer=tokenizers.__version__), end="")
    for step, name, bit, ours in wanted:
        theirs = {cp for cp in points if table[cp] & bit}
        print(f"| {step} | {name} | {ranges(theirs - ours)} | {ranges(ours - theirs)} |")
    never = {cp for cp in points if script[cp] == 0 and category[cp] not in ("Cn", "Co")}
    print(f"""
(The additions to `\\w` are the circled and squared letters, which are Alphabetic.)

UnicodeScripts has the scripts of an older Unicode: {len(never):,} assigned characters belong to none and stay with what is before them, as the blank does. Hiragana and
Katakana are Han, and so is 30FC.""")


if __name__ == "__main__":
    main()
