"""tests/cases/dialect.txt says what a regex cuts. Here the peers are asked whether they cut the same.

The C tests run the same table over the library, so a row that both pass is an equality. In the last field `h` is Hugging Face tokenizers
(Oniguruma) and `t` tiktoken (fancy-regex), which leaves out what no match covers.
"""
import re
from pathlib import Path

import pytest

TABLE = Path(__file__).resolve().parents[1] / "cases" / "dialect.txt"


def unescape(field):
    def one(m):
        c = m.group(1)
        return chr(int(c[2:-1], 16)) if c[0] == "u" else {"n": "\n", "t": "\t", "r": "\r"}.get(c, c)

    return re.sub(r"\\(u\{[0-9A-Fa-f]+\}|.)", one, field, flags=re.S)


def cases(peer):
    for line in TABLE.read_text(encoding="utf-8").split("\n"):
        fields = line.split("\t")
        if line.startswith("#") or len(fields) != 4 or peer not in fields[3]:
            continue
        pattern, text, pieces = fields[:3]
        pieces = [unescape(p) for p in re.split(r"(?<!\\)\|", pieces)]
        yield pytest.param(pattern, unescape(text), pieces, id=pattern)


@pytest.mark.parametrize("pattern,text,pieces", list(cases("h")))
def test_tokenizers(pattern, text, pieces):
    tokenizers = pytest.importorskip("tokenizers")
    split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    assert [p for p, _ in split.pre_tokenize_str(text)] == pieces


@pytest.mark.parametrize("pattern,text,pieces", list(cases("t")))
def test_tiktoken(pattern, text, pieces):
    tiktoken = pytest.importorskip("tiktoken")
    ranks = {bytes([b]): b for b in range(256)}
    for i in range(len(text)):  # every stretch of the text is a token, so a match is one token
        for j in range(i + 1, len(text) + 1):
            ranks.setdefault(text[i:j].encode(), len(ranks))
    encoding = tiktoken.Encoding("dialect", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    matches = [encoding.decode_single_token_bytes(i).decode() for i in encoding.encode_ordinary(text)]
    assert matches
    rest = iter(pieces)
    assert all(m in rest for m in matches), (matches, pieces)
