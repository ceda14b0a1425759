#!/usr/bin/env python3
"""Writes tests/cases/normalizers.txt: what Hugging Face's tokenizers and sentencepiece make of texts under lists of normalizers.

    python3 -m venv v && v/bin/pip install tokenizers==0.23.3 sentencepiece==0.2.3
    v/bin/python tests/peers/make_normalizer_cases.py ../shared > tests/cases/normalizers.txt

The random ones are the same in every run. tests/peers/test_normalizers.py asks the libraries again and compares.
"""
import io
import random
import struct
import sys
import unicodedata
import zlib
from pathlib import Path

import sentencepiece
from tokenizers import Regex, Tokenizer, models, normalizers as N

HEAD = """# Normalizers: made by tests/peers/make_normalizer_cases.py with Hugging Face's tokenizers 0.23.3 and sentencepiece 0.2.3. Do not edit.
#
# Lines that begin with "=" are a list: four fields a step, its name, its flags as a number, its texts a and b. "@" stands for the charsmap of
# ../shared/models/sentencepiece/test_model.model. "+" lines behind it are what sentencepiece keeps. Then its cases, with the bytes of the text that
# each character of the result comes from:
#   text   result   begin-end begin-end ...
# and "*", two numbers: the CRC-32 of the results of all characters between "a" and "b", 5,000 in a text, and of the origins of every 20th text.
# In texts \\\\n \\\\r \\\\t \\\\\\\\ and \\\\u{H} are escapes.
""".replace("\\\\", "\\")
LEFT, RIGHT, CLEAN, CHINESE, LOWER, ACCENTS_GIVEN, ACCENTS = (1 << i for i in range(2, 9))
DUMMY, EXTRA, ESCAPE, SUFFIX = (1 << i for i in range(9, 13))
CORES = list("aab b. ``\t\n ABÉéÅ中文日がﾊﾞﾊﾞﬁ①İK각ᄀ가ẞǅ▁\u3000\r\0\u200b\ufeff\ufffd\u0300\u0301\u0323\u0338\u094dक्ष👨\u200d👩\U0001F1E6\U0001F1E7\u0130")
WORDS = ["", "a", " ", "  ", "\x01a", "\x01", "a\x01b", "\r\n", "\r\n\r\n", " a  b ", "``a``", "é", "①", "㍿\x01a", "▁a b▁ ", "a" * 20 + "\u0301" * 40]
ALL = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def escape(text):
    """The table's escapes, for all that is no visible ASCII."""
    plain = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}
    return "".join(plain.get(c) or (c if " " <= c <= "~" else f"\\u{{{ord(c):X}}}") for c in text)


def byte_places(text):
    """The byte at which each character begins, and the end."""
    places = [0]
    for c in text:
        places.append(places[-1] + len(c.encode()))
    return places


class HuggingFace:
    """A normalizer of tokenizers."""

    def __init__(self, normalizer):
        self.text = normalizer.normalize_str
        self.tokenizer = Tokenizer(models.BPE(vocab={"?": 0}, merges=[], unk_token="?", fuse_unk=False))  # each character is a token
        self.tokenizer.normalizer = normalizer

    def origins(self, text):
        """(begin, end) in bytes for each character of the result."""
        places = byte_places(text)
        return [(places[b], places[e]) for b, e in self.tokenizer.encode(text).offsets]


class SentencePiece:
    """sentencepiece's normalizer, or a processor's."""

    def __init__(self, normalize):
        self.normalize = normalize

    def text(self, text):
        return self.normalize(text.encode()).decode()

    def origins(self, text):
        out, offsets = self.normalize(text.encode(), with_offsets=True)
        places = byte_places(out.decode())
        return [(offsets[b], offsets[e]) for b, e in zip(places, places[1:])]


def replace(a, b, regex=False):
    return ("Replace", int(regex), a, b), N.Replace(Regex(a) if regex else a, b)


def bert(clean, chinese, accents, lower):
    flags = clean * CLEAN | chinese * CHINESE | lower * LOWER | (accents is not None) * ACCENTS_GIVEN | bool(accents) * ACCENTS
    return ("BertNormalizer", flags), N.BertNormalizer(bool(clean), bool(chinese), accents, bool(lower))


def single(charsmap):
    """Every normalizer alone, with its settings: (step, normalizer)."""
    for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel"):
        yield (name, 0), getattr(N, name)()
    yield ("Precompiled", 0, "@"), N.Precompiled(charsmap)
    yield from (bert(c, z, a, l) for c in (0, 1) for z in (0, 1) for a in (None, False, True) for l in (0, 1))
    yield from ((("Strip", l * LEFT | r * RIGHT), N.Strip(bool(l), bool(r))) for l, r in ((0, 1), (1, 0), (1, 1)))
    yield from ((("Prepend", 0, p), N.Prepend(p)) for p in ("▁", "ab", "", "é"))
    yield from (replace(a, b) for a, b in ((" ", "▁"), ("a", ""), ("", "x"), ("``", '"'), ("é", "ee"), ("aa", "a"), (".", "..")))
    yield from (replace(a, b, True) for a, b in ((r"\s+", " "), ("a*", "-"), ("(?=a)", "|"), ("$", "!"), ("^", ">"), (r"\p{L}", ""), (" {2,}", " "),
                                                 ("(?<=b)a", "é"), ("", "")))


def lists(charsmap):
    """Steps and the peer, for tokenizers."""
    for step, normalizer in single(charsmap):
        yield [step], normalizer
    for parts in ([replace("``", '"'), (("NFKD", 0), N.NFKD()), (("StripAccents", 0), N.StripAccents()), (("Lowercase", 0), N.Lowercase()),
                   replace(" {2,}", " ", True)],
                  [(("Prepend", 0, "▁"), N.Prepend("▁")), replace(" ", "▁")],
                  [(("Nmt", 0), N.Nmt()), (("NFKC", 0), N.NFKC()), replace(" {2,}", " ", True)],
                  [(("Precompiled", 0, "@"), N.Precompiled(charsmap)), (("Strip", LEFT | RIGHT), N.Strip()), replace(" {2,}", "▁", True)],
                  [(("Strip", LEFT | RIGHT), N.Strip()), (("NFC", 0), N.NFC()), (("Lowercase", 0), N.Lowercase()), (("ByteLevel", 0), N.ByteLevel()),
                   (("NFKC", 0), N.NFKC())]):
        yield [step for step, _ in parts], N.Sequence([n for _, n in parts])


def kept_model(kept, **options):
    """A processor that keeps these symbols, and changes no characters."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["a small text"] * 20), model_writer=model, vocab_size=30, hard_vocab_limit=False,
                                             normalization_rule_name="identity", user_defined_symbols=kept, minloglevel=2, **options)
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def sentencepiece_lists(path):
    """(step, what is kept, the peer)."""
    for flags in (0, DUMMY, EXTRA, ESCAPE, DUMMY | EXTRA | ESCAPE, DUMMY | ESCAPE, EXTRA | ESCAPE):
        normalizer = sentencepiece.SentencePieceNormalizer(model_file=path, add_dummy_prefix=bool(flags & DUMMY), escape_whitespaces=bool(flags & ESCAPE),
                                                           remove_extra_whitespaces=bool(flags & EXTRA))
        yield ("SentencePiece", flags, "@"), [], SentencePiece(normalizer.Normalize)
    kept = ["a b", "``", "é中", "b", "  ", "ab", "abc"]
    yield ("SentencePiece", DUMMY | EXTRA | ESCAPE), kept, SentencePiece(kept_model(kept).Normalize)
    yield ("SentencePiece", DUMMY | EXTRA | ESCAPE | SUFFIX), kept, SentencePiece(kept_model(kept, treat_whitespace_as_suffix=True).Normalize)
    yield ("SentencePiece", DUMMY | ESCAPE), kept, SentencePiece(kept_model(kept, remove_extra_whitespaces=False).Normalize)


def charsmap_of(path):
    """precompiled_charsmap: field 2 of field 3 of the protocol buffer."""
    def fields(data):
        at = 0

        def varint():
            nonlocal at
            value = shift = 0
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value

        while at < len(data):
            key = varint()
            size = {0: 0, 2: None, 5: 4}[key & 7]
            size = varint() if size is None else size
            yield key >> 3, data[at:at + size] if key & 7 else varint()
            at += size

    spec = dict(fields(Path(path).read_bytes()))[3]
    return dict(fields(spec))[2]


def texts(rng, count):
    """Random ones: short, of characters that do something beside each other."""
    marks = [c for c in ALL if unicodedata.combining(c)]
    decomposed = [c for c in ALL if unicodedata.decomposition(c)]
    for _ in range(count):
        pools = [CORES, CORES, CORES, marks, decomposed, ALL]
        yield "".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(1, 10)))


def digest(peer):
    """The "*" line."""
    crc_text = crc_origins = 0
    for i in range(0, len(ALL), 5000):
        text = "".join("a" + c + "b" for c in ALL[i:i + 5000])
        crc_text = zlib.crc32(peer.text(text).encode(), crc_text)
        if i % 100000 == 0:
            crc_origins = zlib.crc32(b"".join(struct.pack("<II", *o) for o in peer.origins(text)), crc_origins)
    return f"*\t{crc_text}\t{crc_origins}"


def section(steps, kept, peer, cases, with_digest):
    """The lines of one list."""
    yield "=\t" + "\t".join("\t".join((s[0], str(s[1]), escape(s[2]) if len(s) > 2 else "", escape(s[3]) if len(s) > 3 else "")) for s in steps)
    yield from ("+" + escape(k) for k in kept)
    for text in cases:
        yield "\t".join((escape(text), escape(peer.text(text)), " ".join(f"{b}-{e}" for b, e in peer.origins(text))))
    if with_digest:
        yield digest(peer)


def table(shared):
    """All lines."""
    path = str(Path(shared) / "models/sentencepiece/test_model.model")
    rng = random.Random(8)
    cases = WORDS + list(texts(rng, 30))
    digested = {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel", "Precompiled"}
    yield from HEAD.split("\n")[:-1]
    for steps, normalizer in lists(charsmap_of(path)):
        full = ("BertNormalizer", CLEAN | CHINESE | LOWER)
        yield from section(steps, [], HuggingFace(normalizer), cases, len(steps) == 1 and (steps[0][0] in digested or steps[0] == full))
    for step, kept, peer in sentencepiece_lists(path):
        yield from section([step], kept, peer, cases, step[1] == DUMMY | EXTRA | ESCAPE and not kept)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.stdout.reconfigure(encoding="utf-8")
    for line in table(sys.argv[1]):
        print(line)
