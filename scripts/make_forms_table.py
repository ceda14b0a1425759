#!/usr/bin/env python3
"""Writes lib/text/forms_table.h: what Hugging Face's tokenizers knows of characters when it normalizes, and docs/unicode.md's list of where that differs.

    python3 -m venv v && v/bin/pip install tokenizers==0.23.3 unicodedata2==16.0.0
    v/bin/python scripts/make_forms_table.py GRAPHEMES > lib/text/forms_table.h
    v/bin/python scripts/make_forms_table.py --differences > docs/unicode.md

Everything but grapheme clusters is asked of the library itself, character by character, so that the table is right whatever versions of Unicode its parts
were made from (they are several; docs/unicode.md). Combining classes never change once a character has one: they are Python's where the library reorders
the character, else 0. GRAPHEMES is src/tables.rs of the crate unicode-segmentation that the library was built with (1.13.3, Unicode 17).

A character has a record, found in two stages; records that are equal are stored once.
"""
import re
import sys
import unicodedata

from tokenizers import normalizers

VERSION = "0.23.3"
N_CODE_POINTS = 0x110000
BLOCK = 64  # 1 << PM_FORMS_SHIFT
HANGUL = range(0xAC00, 0xAC00 + 11172)
JAMO = {*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)}
ACCENT, NONSPACING, CONTROL, BLANK, JOINS, NFC_SUSPECT, NFKC_SUSPECT = (1 << i for i in range(7))
LINKER, EXTENDS = 16, 32  # on top of the number of a grapheme category
CATEGORIES = ["Any", "CR", "Control", "Extend", "Extended_Pictographic", "InCB_Consonant", "L", "LF", "LV", "LVT", "Prepend",
              "Regional_Indicator", "SpacingMark", "T", "V", "ZWJ"]


def characters():
    """All scalar values."""
    for cp in range(N_CODE_POINTS):
        if not 0xD800 <= cp < 0xE000:
            yield cp


class Peer:
    """The library's answers about one character."""

    def __init__(self):
        import tokenizers
        if tokenizers.__version__ != VERSION:
            sys.exit(f"make_forms_table.py: needs tokenizers {VERSION}; see the top of this file")
        self.nfc, self.nfd = normalizers.NFC().normalize_str, normalizers.NFD().normalize_str
        self.nfkc, self.nfkd = normalizers.NFKC().normalize_str, normalizers.NFKD().normalize_str
        self.lower = normalizers.Lowercase().normalize_str
        self.accents = normalizers.StripAccents().normalize_str
        self.bert_accents = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True,
                                                       lowercase=False).normalize_str
        self.clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False).normalize_str

    def combining_class(self, c):
        """Python's, where the library has one too."""
        value = unicodedata.combining(c)
        if value > 1:
            return value if self.nfd(c + "\u0334") != c + "\u0334" and len(self.nfd(c)) == 1 else 0
        return value if value and self.nfd("\u0300" + c) == c + "\u0300" else 0

    def pairs(self):
        """{(first, second): joined}, without Hangul."""
        found = {}
        for cp in characters():
            parts = unicodedata.decomposition(chr(cp)).split()
            if cp not in HANGUL and len(parts) == 2 and not parts[0].startswith("<"):
                a, b = int(parts[0], 16), int(parts[1], 16)
                if self.nfc(chr(a) + chr(b)) == chr(cp):
                    found[a, b] = cp
        return found


def ranges(text, name):
    """The (first, last, category) of a table in the crate's source."""
    body = re.search(r"const " + name + r": [^=]*= &\[(.*?)\n    \];", text, re.S).group(1)
    char = r"'\\u\{([0-9a-fA-F]+)\}'"
    for m in re.finditer(r"\(\s*" + char + r",\s*" + char + r"(?:,\s*GC_(\w+))?\s*\)", body):
        yield int(m.group(1), 16), int(m.group(2), 16), m.group(3)


def graphemes(path):
    """The category of each code point, with LINKER and EXTENDS on top."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if "UNICODE_VERSION: (u64, u64, u64) = (17, 0, 0)" not in text:
        sys.exit("make_forms_table.py: needs the tables of unicode-segmentation 1.13.3")
    out = bytearray(N_CODE_POINTS)
    for first, last, category in ranges(text, "grapheme_cat_table"):
        for cp in range(first, last + 1):
            out[cp] = CATEGORIES.index(category)
    for first, last, _ in ranges(text, "InCB_Extend_table"):
        for cp in range(first, last + 1):
            out[cp] |= EXTENDS
    for cp in re.findall(r"'\\u\{([0-9A-F]+)\}'", re.search(r"fn is_incb_linker.*?\n}", text, re.S).group(0)):
        out[int(cp, 16)] |= LINKER
    return out


class Table:
    """Records and the stretches of code points that they point at."""

    def __init__(self):
        self.records, self.numbers = [], {}
        self.parts, self.places = [], {}

    def sequence(self, text):
        """(place, length) of a decomposition."""
        key = tuple(map(ord, text))
        if key not in self.places:
            self.places[key] = len(self.parts)
            self.parts += key
        return self.places[key], len(key)

    def number(self, record):
        """Of an equal record."""
        if record not in self.numbers:
            self.numbers[record] = len(self.records)
            self.records.append(record)
        return self.numbers[record]


def record_of(table, peer, joins, cp, category):
    """Everything about one character: see pm_form_record in forms.h."""
    c = chr(cp)
    canonical = compatible = (0, 0)
    flags = 0
    if cp not in HANGUL:
        if peer.nfd(c) != c:
            canonical = table.sequence(peer.nfd(c))
        if peer.nfkd(c) != c:
            compatible = table.sequence(peer.nfkd(c))
        flags |= NFC_SUSPECT if peer.nfc(c) != c else 0
        flags |= NFKC_SUSPECT if peer.nfkc(c) != c else 0
    flags |= JOINS if cp in joins else 0
    flags |= ACCENT if peer.accents(c) == "" else 0
    flags |= NONSPACING if peer.bert_accents(c) == "" else 0
    cleaned = peer.clean(c)
    flags |= CONTROL if cleaned == "" else BLANK if cleaned == " " and c != " " else 0
    lower = peer.lower(c)
    if len(lower) != 1:
        assert cp == 0x130 and lower == "i\u0307", hex(cp)
        lower = "i"
    return (peer.combining_class(c), flags, category, canonical[1], compatible[1], canonical[0], compatible[0], ord(lower) - cp)


def rows(items, each):
    """Lines of at most 150 columns."""
    line = "   "
    for item in items:
        word = " " + each(item) + ","
        if len(line) + len(word) > 150:
            print(line)
            line = "   "
        line += word
    print(line)


def write_table(path):
    """The header."""
    peer, table, categories = Peer(), Table(), graphemes(path)
    pairs = peer.pairs()
    joins = {b for _, b in pairs} | JAMO
    numbers = [0] * N_CODE_POINTS
    table.number((0, 0, 0, 0, 0, 0, 0, 0))
    for cp in characters():
        numbers[cp] = table.number(record_of(table, peer, joins, cp, categories[cp]))
    blocks, codes, seen = [], [], {}
    for begin in range(0, N_CODE_POINTS, BLOCK):
        block = tuple(numbers[begin:begin + BLOCK])
        if block not in seen:
            seen[block] = len(seen)
            codes += block
        blocks.append(seen[block])
    print(f"/* Made by scripts/make_forms_table.py from tokenizers {VERSION} and Unicode 17's grapheme clusters. Do not edit. */")
    print("/* clang-format off */")
    print("static const uint16_t blocks[] = {")
    rows(blocks, str)
    print("};\nstatic const uint16_t codes[] = {")
    rows(codes, str)
    print("};\nconst pm_form_record pm_form_records[] = {")
    rows(table.records, lambda r: "{" + ",".join(map(str, r)) + "}")
    print("};\nconst uint32_t pm_form_parts[] = {")
    rows(table.parts, hex)
    print("};\n/* First, second, joined; in order. */\nstatic const uint32_t pairs[][3] = {")
    rows(sorted((a, b, c) for (a, b), c in pairs.items()), lambda p: "{" + ",".join(map(hex, p)) + "}")
    print("};")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write_table(sys.argv[1])
