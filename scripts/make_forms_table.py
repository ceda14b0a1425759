#!/usr/bin/env python3
"""Writes lib/text/forms_table.h: what Hugging Face's tokenizers knows of characters when it normalizes; and docs/normalization.md: where it differs from Unicode 16.

    python3 -m venv v && v/bin/pip install tokenizers==0.23.3 sentencepiece==0.2.3 unicodedata2==16.0.0
    v/bin/python scripts/make_forms_table.py GRAPHEMES > lib/text/forms_table.h
    v/bin/python scripts/make_forms_table.py --differences > docs/normalization.md

Everything but grapheme clusters is asked of the library itself, character by character, so that the table is right whatever versions of Unicode its parts
were made from (they are several; docs/normalization.md). Combining classes never change once a character has one: they are Python's where the library reorders
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


def ranges_of(codes):
    """"U+0041-0043, U+0050" of a rising list."""
    out = []
    for cp in codes:
        if out and out[-1][1] == cp - 1:
            out[-1][1] = cp
        else:
            out.append([cp, cp])
    return ", ".join(f"U+{a:04X}" + (f"-{b:04X}" if b > a else "") for a, b in out)


DIFFERENCES = """# Unicode: whose tables decide

Libraries carry tables of different versions of Unicode, so the same text becomes different tokens. A vocabulary was made with its own library's tables, and
those decide for it here:

| files of | what | version |
| --- | --- | --- |
| tiktoken, and patterns by name | classes of characters in patterns | 16 (`lib/text/unicode_table.h`) |
| tokenizers 0.23.3 | NFC, NFD, NFKC, NFKD, StripAccents | 9 (`lib/text/forms_table.h`) |
| tokenizers 0.23.3 | BertNormalizer's controls and accents | 8 |
| tokenizers 0.23.3 | Lowercase | 17 |
| tokenizers 0.23.3 | grapheme clusters in Precompiled | 17 |
| sentencepiece | everything | in the model file itself (`precompiled_charsmap`) |
| bytepiece | NFC | its Python's there, utf8proc's here (`lib/text/nfc.c`) |

Below: every code point at which tokenizers answers otherwise than the Unicode 16 tables would, asked character by character by
`scripts/make_forms_table.py --differences`; of sentencepiece's own rules, which and how many.

Bytes outside well-formed UTF-8 never reach these libraries (they are U+FFFD to sentencepiece); `lib/encode/normalizer.h` says what happens to them.
"""


def write_differences():
    """docs/normalization.md."""
    import sentencepiece
    import unicodedata2 as u
    if u.unidata_version != "16.0.0":
        sys.exit("make_forms_table.py: needs unicodedata2 16.0.0")
    peer = Peer()
    blank = {c for c in map(chr, characters()) if c.isspace()} - set(map(chr, range(0x1C, 0x20)))

    def clean(c):
        if c in "\t\n\r":
            return " "
        return "" if c in "\0\ufffd" or u.category(c) in ("Cc", "Cf", "Co") else " " if c in blank else c

    def accents(c, kinds):
        return "" if u.category(c) in kinds else c

    def without_nonspacing(c):
        return "".join(x for x in u.normalize("NFD", c) if u.category(x) != "Mn")

    rows = [("NFC", peer.nfc, lambda c: u.normalize("NFC", c)), ("NFD", peer.nfd, lambda c: u.normalize("NFD", c)),
            ("NFKC", peer.nfkc, lambda c: u.normalize("NFKC", c)), ("NFKD", peer.nfkd, lambda c: u.normalize("NFKD", c)),
            ("StripAccents (M)", peer.accents, lambda c: accents(c, ("Mn", "Mc", "Me"))),
            ("BertNormalizer, strip_accents (NFD without Mn)", peer.bert_accents, without_nonspacing),
            ("BertNormalizer, clean_text (without Cc, Cf, Co; white space is a blank)", peer.clean, clean),
            ("order of marks (canonical combining class)", peer.combining_class, u.combining)]
    print(DIFFERENCES)
    print("## Hugging Face's tokenizers\n\n| step | code points | which |\n| --- | --- | --- |")
    for name, ask, ours in rows:
        different = [cp for cp in characters() if ask(chr(cp)) != ours(chr(cp)) and not (ours == u.combining and len(peer.nfd(chr(cp))) > 1)]
        print(f"| {name} | {len(different):,} | {ranges_of(different)} |")
    print("\n## sentencepiece\n\nCharacters that its own rules write otherwise than NFKC of Unicode 16 (version 0.2.3):\n\n| rule | code points |\n| --- | --- |")
    for rule in ("nfkc", "nmt_nfkc"):
        normalizer = sentencepiece.SentencePieceNormalizer(rule_name=rule, add_dummy_prefix=False, escape_whitespaces=False, remove_extra_whitespaces=False)
        different = [cp for cp in characters() if normalizer.Normalize(chr(cp)) != u.normalize("NFKC", chr(cp))]
        print(f"| {rule} | {len(different):,}" + (f": {ranges_of(different)}" if len(different) < 2000 else "") + " |")
    print("""
## Where tokenizers has a fault

`Replace` by a regex that matches nothing at the very begin of a text (`^`, `a*`), or `Prepend` of an empty text, leaves characters that come from nowhere; a
later normalizer of that list (NFC, Lowercase, ...) then stops with a panic or writes them twice. Here they stay as they are. No known file does this.""")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--differences":
        write_differences()
    else:
        write_table(sys.argv[1])
