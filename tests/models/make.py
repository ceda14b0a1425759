#!/usr/bin/env python3
"""Write the model files of this folder, README.md with the verdict on each, and the seeds of tests/fuzz/fuzz_load.c.

usage: make.py [--check]      --check: write nothing, fail if a file would change

The files are small and made from what a format's description says, not by piecemill: this script is a second reading
of docs/FORMAT.md. tests/unit/test_format.c loads each one and compares with the table in README.md.
"""
import base64
import ctypes
import json
import os
import re
import struct
import sys
import unicodedata

import gguf_files

HERE = os.path.dirname(os.path.abspath(__file__))

# ---------------------------------------------------------------- the models

ORDER = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
ORDER += [b for b in range(256) if b not in ORDER]
BYTE_CHAR = {b: chr(b) if i < 188 else chr(0x100 + i - 188) for i, b in enumerate(ORDER)}
SINGLE = [bytes([b]) for b in ORDER]
MERGES = [(b"t", b"h"), (b"th", b"e"), (b" ", b"the"), (b"a", b"b"), (b"ab", b"c"), (b"\xe4", b"\xb8"), (b"\xe4\xb8", b"\xad")]
PIECES = SINGLE + [a + b for a, b in MERGES]
SPECIAL = "<|end|>"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

BP = sorted([bytes([b]) for b in range(256)] + [b"the", "中".encode(), "中国".encode(), b'"\\\n', b"\xe4\xb8"],
            key=lambda k: (len(k), k))
BP_COUNT = {k: 1 + 7 * i for i, k in enumerate(BP)}

FILES = []  # (name, bytes, format, status, offset, words, reason)


def good(name, fmt, data, reason):
    FILES.append(("good-" + name, data, fmt, "PM_OK", None, "", reason))


def bad(name, fmt, data, status, offset, words, reason):
    if isinstance(offset, bytes):
        assert data.count(offset) == 1, (name, offset, data.count(offset))
        offset = data.index(offset)
    FILES.append(("bad-" + name, data, fmt, status, offset, words, reason))


# ---------------------------------------------------------------- tiktoken

def tik(entries, end=b"\n"):
    return b"".join(base64.b64encode(t) + b" " + str(r).encode() + end for t, r in entries)


RANKS = [(t, i) for i, t in enumerate(PIECES)]
SHORT = tik(RANKS[:256])


def make_tiktoken():
    name = "bpe.tiktoken"
    good(name, "tiktoken", tik(RANKS), "as the library's own files are")
    good("crlf.tiktoken", "tiktoken", tik(RANKS, b"\r\n"), "line ends of Windows")
    good("no-newline.tiktoken", "tiktoken", tik(RANKS)[:-1], "the last line is not ended")
    good("blank-end.tiktoken", "tiktoken", tik(RANKS) + b"\n", "an empty line at the end")
    good("shuffled.tiktoken", "tiktoken", tik(RANKS[::-1]), "lines in any order: the rank is written")
    good("holes.tiktoken", "tiktoken", tik([(t, r * 3 + 5) for t, r in RANKS]), "ids between the ranks that nothing has")
    good("bytes-only.tiktoken", "tiktoken", SHORT, "no merges")

    def line(name, text, at, words, reason, status="PM_BAD_FORMAT"):
        bad(name + ".tiktoken", "tiktoken", SHORT + text, status, len(SHORT) + at, words, reason)

    line("unpadded", b"dGhl 256\ndGg 257\n", 12, "base64", "base64 without its padding: tiktoken refuses it too")
    line("foreign", b"dG!l 256\n", 2, "base64", "a character that base64 does not have")
    line("bits", b"dGh= 256\n", 2, "base64", "bits behind the last byte: no encoder writes them")
    line("padding-inside", b"dGg=dGg= 256\n", 3, "base64", "padding before the end")
    line("duplicate", b"dGg= 256\ndGg= 257\n", 9, "given already, with rank 256", "an entry twice")
    line("duplicate-rank", b"dGg= 256\ndGhl 256\n", 14, "rank 256 was given already", "a rank twice")
    line("no-rank", b"dGg=\n", 4, "expected a rank", "no rank")
    line("negative", b"dGg= -1\n", 5, "expected a rank", "a rank below zero")
    line("hexadecimal", b"dGg= 0x100\n", 5, "expected a rank", "a rank that is not decimal")
    line("leading-zero", b"dGg= 0256\n", 5, "expected a rank", "a rank as no writer writes it")
    line("two-spaces", b"dGg=  256\n", 5, "expected a rank", "two spaces")
    line("trailing", b"dGg= 256 \n", 5, "expected a rank", "a space behind the rank")
    line("tab", b"dGg=\t256\n", 3, "base64", "a tab instead of the space")
    line("far", b"dGg= 4000000000\n", 5, "far beyond", "would take memory for four billion ids")
    line("overflow", b"dGg= 18446744073709551872\n", 5, "expected a rank", "2^64 + 256")
    good("whisper.tiktoken", "tiktoken", tik(RANKS) + b"= %d\n" % len(PIECES), "an entry without bytes at the end, as Whisper has it")
    line("empty-entry", b" 256\n", 0, "expected base64", "an entry without bytes")
    line("blank-inside", b"\ndGg= 256\n", 0, "empty line", "an empty line that is not at the end")
    line("nul", b"dGg= 256\0\n", 5, "expected a rank", "a NUL behind the rank")
    bad("missing-byte.tiktoken", "tiktoken", tik(RANKS[:255]), "PM_BAD_FORMAT", len(tik(RANKS[:255])), "single byte 0xAD",
        "text with this byte could not be encoded")


# ---------------------------------------------------------------- bytepiece

def bp_dump(pieces=BP, count=BP_COUNT):
    return {base64.b64encode(k).decode(): [i + 3, k.decode(errors="ignore"), count[k]] for i, k in enumerate(pieces)}


def bp_text(dump, **how):
    how = how or {"indent": 4}
    return json.dumps(dump, ensure_ascii=False, **how).encode()


def make_bytepiece():
    dump = bp_dump()
    compact = bp_text(dump, separators=(",", ":"))
    good("bytepiece.bytepiece.json", "bytepiece", bp_text(dump), "as bytepiece 0.6.3 writes it, byte for byte")
    good("compact.bytepiece.json", "bytepiece", compact, "no white space")
    good("escaped.bytepiece.json", "bytepiece", json.dumps(dict(reversed(dump.items()))).encode(), "every character above U+007F and members in another order")
    long = bp_dump([b"the " * 60] + BP, {**BP_COUNT, b"the " * 60: 9})
    good("long-first.bytepiece.json", "bytepiece", bp_text(long), "a piece of 240 bytes stands first; before, such a file was not recognized")

    def edit(name, old, new, at, words, reason):
        assert compact.count(old) == 1, (name, compact.count(old))
        data = compact.replace(old, new)
        bad(name + ".bytepiece.json", "bytepiece", data, "PM_BAD_FORMAT", compact.index(old) + at if isinstance(at, int) else at, words, reason)

    def counted(name, text, at, words, reason):
        bad(name + ".bytepiece.json", "bytepiece", text.encode(), "PM_BAD_FORMAT", text.encode().index(at), words, reason)

    counted("counted-zero", '{"the": 3, "ab": 0}', b"0}", "expected a count", "a piece that is never there")
    counted("counted-empty", '{"the": 3, "": 4}', b'""', "a piece is empty", "no text")
    counted("counted-twice", '{"the": 3, "the": 4}', b'"the": 4', "given already", "a piece twice")
    bad("counted-sum.bytepiece.json", "bytepiece", b'{"the": 9223372036854775000, "a": 9}', "PM_LIMIT", None, "2^62 bytes", "more than any text holds")
    counted("counted-mixed", '{"the": 3, "ab": [4, "ab", 5]}', b"[4", "expected a count", "an entry of the other sort")

    the = b'"dGhl":[%d,"the",%d]' % (dump["dGhl"][0], dump["dGhl"][2])
    edit("id-taken", the, b'"dGhl":[3,"the",5]', 8, "id 3 was given already", "an id twice")
    edit("id-control", the, b'"dGhl":[2,"the",5]', 8, "expected an id", "2 is <eos>")
    edit("id-far", the, b'"dGhl":[4294967290,"the",5]', 8, "expected an id", "would take memory for four billion ids")
    edit("id-real", the, b'"dGhl":[300.0,"the",5]', 8, "expected an id", "an id that is no whole number")
    edit("id-string", the, b'"dGhl":["300","the",5]', 8, "expected an id", "an id in quotes")
    edit("count-zero", the, b'"dGhl":[300,"the",0]', 18, "expected a count", "the logarithm of 0")
    edit("count-negative", the, b'"dGhl":[300,"the",-5]', 18, "expected a count", "the logarithm of -5")
    edit("count-huge", the, b'"dGhl":[300,"the",9223372036854775807]', 18, "expected a count", "the sum of counts passes 2^63")
    edit("text-missing", the, b'"dGhl":[300,5]', 7, "expected [id, text, count]", "an older form of the file")
    edit("text-number", the, b'"dGhl":[300,7,5]', 7, "expected [id, text, count]", "the text is no string")
    edit("value-number", the, b'"dGhl":300', 7, "expected [id, text, count]", "an id alone")
    edit("nested", the, b'"dGhl":[[300],"the",5]', 7, "expected [id, text, count]", "an array as id")
    edit("key-not-base64", the, b'"dGh":[300,"the",5]', 0, "not base64", "a key that Python's b64decode refuses too")
    edit("key-empty", the, b'"":[300,"the",5]', 0, "not base64", "a piece without bytes")
    edit("key-twice", the, the + b',"dGhl":[400,"the",5]', len(the) + 1, "given already", "the same key twice; Python would keep the later one")
    edit("half-surrogate", the, b'"dGhl":[300,"\\ud83d",5]', 13, "surrogate", "half a pair")
    edit("not-utf8", the, b'"dGhl":[300,"\xff",5]', 13, "UTF-8", "JSON is UTF-8")
    edit("utf8-surrogate", the, b'"dGhl":[300,"\xed\xa0\x80",5]', 13, "UTF-8", "a surrogate in UTF-8")
    edit("trailing-comma", the + b",", the + b",,", len(the) + 2, "not JSON", "two commas")
    bad("garbage-behind.bytepiece.json", "bytepiece", compact + b"x", "PM_BAD_FORMAT", len(compact) + 1, "not JSON", "something behind the object")
    bad("truncated.bytepiece.json", "bytepiece", compact[:-1], "PM_BAD_FORMAT", len(compact) - 1, "not JSON", "the last brace is missing")
    bad("array.bytepiece.json", "bytepiece", b" []", "PM_BAD_FORMAT", 1, "expected an object", "not an object")
    bad("deep.bytepiece.json", "bytepiece", b'{"AA==":' + b"[" * 5000, "PM_BAD_FORMAT", 8 + 63, "nested deeper", "5,000 brackets")
    bad("missing-byte.bytepiece.json", "bytepiece", bp_text(bp_dump(BP[1:])), "PM_BAD_FORMAT", len(bp_text(bp_dump(BP[1:]))),
        "single byte 0x00", "text with this byte could not be encoded")


# ---------------------------------------------------------------- tokenizer.json

def chars(piece):
    return "".join(BYTE_CHAR[b] for b in piece)


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
DECODER = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}


def split(regex, **more):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False, **more}


def added(content, i, **more):
    return {"id": i, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": True, **more}


def hf(full=True, merges=None, vocab=None, model=(), **top):
    """A whole tokenizer.json as an object; full=False: a short one, for errors that show before the vocabulary is read."""
    if vocab is None:
        vocab = {chars(t): i for i, t in enumerate(PIECES)} if full else {}
        if full:
            vocab[SPECIAL] = len(PIECES)
    if merges is None:
        merges = [[chars(a), chars(b)] for a, b in MERGES] if full else []
    out = {"version": "1.0", "truncation": None, "padding": None,
           "added_tokens": [added(SPECIAL, len(PIECES))] if full else [], "normalizer": None,
           "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split(GPT2), BYTE_LEVEL]},
           "post_processor": None, "decoder": DECODER,
           "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                     "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                     "vocab": vocab, "merges": merges}}
    out.update(top)
    out["model"].update(model)
    return out


def hf_text(obj, ascii=False):
    return json.dumps(obj, ensure_ascii=ascii, separators=(",", ":")).encode()


def make_hf():
    def ok(name, obj, reason, **how):
        good(name + ".tokenizer.json", "hf", hf_text(obj, **how), reason)

    full = {chars(t): i for i, t in enumerate(PIECES)}
    good("bpe.tokenizer.json", "hf", json.dumps(hf(), ensure_ascii=False, indent=2).encode(), "as tokenizers writes it")
    ok("old", hf(merges=["%s %s" % (chars(a), chars(b)) for a, b in MERGES],
                 pre_tokenizer={"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
                 post_processor={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False},
                 model={"unk_token": SPECIAL, "continuing_subword_prefix": "", "end_of_word_suffix": ""}),
       "merges as strings, the pattern by use_regex, empty affixes: GPT-2's own file", ascii=True)
    ok("outside", hf(vocab=full), "the special token is not in the vocabulary")
    ok("no-pattern", hf(pre_tokenizer=BYTE_LEVEL, added_tokens=[], vocab=full, model={"ignore_merges": True}),
       "no splitting, no special tokens, whole entries first")
    ok("three", hf(pre_tokenizer={"type": "Sequence", "pretokenizers": [split(r"\p{N}{1,3}"), split("[a-z]+"), split(r"\s+"), BYTE_LEVEL]}),
       "three regexes in turn")
    ok("like-a-name", hf(pre_tokenizer={"type": "Sequence", "pretokenizers": [split("gpt2"), BYTE_LEVEL]}),
       "a regex that is also the name of a pattern; it is a regex")

    def no(name, obj, words, reason, status="PM_UNSUPPORTED", at=None):
        bad(name + ".tokenizer.json", "hf", hf_text(obj), status, at, words, reason)

    ok("general-normalizer", hf(False, normalizer={"type": "NFC"}), "text would have to be normalized first")
    ok("general-truncation", hf(False, truncation={"direction": "Right", "max_length": 512, "strategy": "LongestFirst", "stride": 0}), "ids would be cut off")
    ok("general-padding", hf(False, padding={"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "!"}), "ids would be added")
    no("template", hf(False, post_processor={"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}),
       "holds the text 0 times", "the text would vanish")
    ok("general-decoder", hf(False, decoder=None), "decodes to characters that stand for bytes")
    ok("general-pre-null", hf(False, pre_tokenizer=None), "not byte-level")
    no("metaspace", hf(False, pre_tokenizer={"type": "Metaspace"}), "replacement of pre_tokenizer's Metaspace is missing", "a field is missing", status="PM_BAD_FORMAT")
    ok("general-no-byte-level", hf(False, pre_tokenizer={"type": "Sequence", "pretokenizers": [split("a")]}), "not byte-level")
    ok("general-byte-level-first", hf(False, pre_tokenizer={"type": "Sequence", "pretokenizers": [BYTE_LEVEL, split("a")]}), "the Split would see characters that stand for bytes")
    ok("general-removed", hf(False, pre_tokenizer={"type": "Sequence", "pretokenizers": [split("a", behavior="Removed"), BYTE_LEVEL]}), "text would be dropped")
    ok("general-invert", hf(False, pre_tokenizer={"type": "Sequence", "pretokenizers": [split("a", invert=True), BYTE_LEVEL]}), "matches would be the gaps")
    ok("general-prefix-space", hf(False, pre_tokenizer=dict(BYTE_LEVEL, add_prefix_space=True)), "a space would be added")
    ok("general-pattern-string", hf(False, pre_tokenizer={"type": "Sequence", "pretokenizers": [dict(split("a"), pattern={"String": "a"}), BYTE_LEVEL]}), "not a regex")
    no("bad-regex", hf(pre_tokenizer={"type": "Sequence", "pretokenizers": [split("a(b"), BYTE_LEVEL]}), "", "the regex lacks a parenthesis",
       status="PM_BAD_PATTERN")
    no("wordpiece", hf(False, model={"type": "WordPiece"}), "field 'dropout' of model is not known", "fields of another algorithm")
    ok("general-dropout", hf(False, model={"dropout": 0.1}), "ids would be drawn")
    ok("general-suffix", hf(False, model={"end_of_word_suffix": "</w>"}), "entries that end a word")
    ok("general-fallback", hf(False, model={"byte_fallback": True}), "entries for bytes, and blanks as blanks")
    no("unknown-field", hf(False, surprise=1), "field 'surprise' of tokenizer.json", "what it means is not known", at=b'"surprise"')
    no("version", hf(False, version="2.0"), "version", "not a version that exists", status="PM_BAD_VERSION")
    ok("general-missing-byte", hf(vocab={k: v for k, v in full.items() if v}), "the text ! would vanish")
    ok("general-not-byte-level", hf(vocab=dict(full, **{"▁the": 264})), "an entry that stands for no bytes")
    no("id-taken", hf(vocab=dict(full, **{"xy": 5})), "id 5 was given already", "an id twice", status="PM_BAD_FORMAT")
    no("id-far", hf(vocab=dict(full, **{"xy": 4294967294})), "expected an id", "would take memory for four billion ids", status="PM_BAD_FORMAT", at=b"4294967294")
    no("added-mismatch", hf(vocab=dict(full, **{SPECIAL: 300})), "has id 263 in added_tokens and 300", "two ids for one token", status="PM_BAD_FORMAT")
    no("added-taken", hf(added_tokens=[added("<x>", 5)], vocab=full), "id 5 of an added token is taken", "a piece has the id", status="PM_BAD_FORMAT")
    no("added-twice", hf(False, added_tokens=[added("<x>", 5), added("<x>", 6)]), "an added token is there twice", "two ids for one token", status="PM_BAD_FORMAT")
    ok("general-added-plain", hf(False, added_tokens=[added("<x>", 5, special=False)]), "would always match")
    ok("general-added-strip", hf(False, added_tokens=[added("<x>", 5, lstrip=True)]), "would take the spaces before it")
    ok("general-added-word", hf(False, added_tokens=[added("<x>", 5, single_word=True)]), "would match between words only")
    ok("general-added-mixed", hf(False, added_tokens=[added("<x>", 5), added("<y>", 6, normalized=True)]), "would be searched in two passes")
    ok("general-added-merged", hf(added_tokens=[added("the", 257)]), "a token with two meanings")
    no("merge-unknown", hf(merges=[["x", "y"]]), "must be entries", "the result is no entry", status="PM_BAD_FORMAT", at=b'["x","y"]')
    no("merge-one", hf(merges=["th"]), "expected a merge", "one half only", status="PM_BAD_FORMAT", at=b'"th"]')
    no("merge-three", hf(merges=["t h e"]), "must be entries", "three parts", status="PM_BAD_FORMAT")
    no("merge-empty", hf(merges=[["", "th"]]), "must be entries", "an empty half", status="PM_BAD_FORMAT")
    no("merge-twice", hf(merges=[["t", "h"], ["t", "h"]]), "merged twice", "two ranks for one pair", status="PM_BAD_FORMAT")
    text = hf_text(hf())
    data = text.replace(b'"ab":259', b'"ab":259,"a\\u0062":400')
    bad("entry-twice.tokenizer.json", "hf", data, "PM_BAD_FORMAT", data.index(b'"a\\u0062"'), "given already, with id 259", "the same entry, once with an escape")
    data = text.replace(b'"truncation":null', b'"truncation":null,"version":"1.0"')
    bad("field-twice.tokenizer.json", "hf", data, "PM_BAD_FORMAT", data.index(b'"version":"1.0","padding"'), "is there twice", "the same field twice")
    bad("truncated.tokenizer.json", "hf", text[:-1], "PM_BAD_FORMAT", len(text) - 1, "not JSON", "the last brace is missing")
    bad("array.tokenizer.json", "hf", b"[]", "PM_BAD_FORMAT", 0, "expected an object", "not an object")
    bad("number.tokenizer.json", "hf", b'{"model":3}', "PM_UNSUPPORTED", None, "type is not BPE, Unigram", "hardly anything is there")


# ---------------------------------------------------------------- BPE over characters: tokenizer.json

MARK = "\u2581"
CHARACTERS = ["<unk>", "<s>", "</s>", *("<0x%02X>" % b for b in range(256)), "th", MARK + "th", MARK + MARK, MARK, "t", "h", "\u4e2d"]
CHARACTER_MERGES = [["t", "h"], [MARK, "th"], [MARK, MARK]]
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": MARK}
UNMARK = [{"type": "Replace", "pattern": {"String": MARK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
PREPEND = {"type": "Prepend", "prepend": MARK}
METASPACE = {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "never", "split": False}


def sequence(kind, *steps):
    return {"type": "Sequence", kind: list(steps)}


def characters(vocab=CHARACTERS, model=(), **top):
    out = hf(False, vocab={t: i for i, t in enumerate(vocab)} if isinstance(vocab, list) else vocab, merges=CHARACTER_MERGES,
             model=dict({"byte_fallback": True, "unk_token": "<unk>", "fuse_unk": True}, **dict(model)),
             added_tokens=[added(CHARACTERS[i], i) for i in range(3)], normalizer=sequence("normalizers", REPLACE), pre_tokenizer=None,
             decoder=sequence("decoders", *UNMARK))
    out.update(top)
    return out


def make_characters():
    def ok(name, obj, reason, **how):
        good(name + ".tokenizer.json", "hf", hf_text(obj, **how), reason)

    def no(name, obj, words, reason, status="PM_UNSUPPORTED"):
        bad("characters-" + name + ".tokenizer.json", "hf", hf_text(obj), status, None, words, reason)

    prefix = dict(normalizer=sequence("normalizers", PREPEND, REPLACE), decoder=sequence("decoders", *UNMARK, STRIP))
    back = dict(UNMARK[0])
    ok("characters", characters(), "BPE over characters, with pieces of several blanks")
    ok("characters-prefix", characters(**prefix), "a blank before the text: as Llama 2's", ascii=True)
    ok("characters-alone", characters(normalizer=REPLACE), "a Replace that is in no Sequence")
    ok("characters-split", characters(normalizer=sequence("normalizers", back), pre_tokenizer=sequence("pretokenizers", split("[a-z]+"), METASPACE)),
       "a pattern before a Metaspace")
    ok("general-characters-normalizer", characters(normalizer=sequence("normalizers", {"type": "NFC"}, REPLACE)), "text would have to be normalized first")
    ok("general-characters-normalizer-null", characters(normalizer=None), "blanks would be byte tokens")
    no("normalizer-list", characters(normalizer={"type": "Sequence", "normalizers": 3}), "expected an array", "no list", status="PM_BAD_FORMAT")
    ok("general-characters-replace", characters(normalizer=dict(REPLACE, content="_")), "another mark")
    ok("general-characters-replace-regex", characters(normalizer=dict(REPLACE, pattern={"Regex": " "})), "not a string")
    ok("general-characters-prepend", characters(normalizer=sequence("normalizers", dict(PREPEND, prepend="x"), REPLACE)), "another prefix")
    ok("general-characters-prefix-kept", characters(normalizer=prefix["normalizer"]), "the prefix stays in the text")
    ok("general-characters-strip-alone", characters(decoder=prefix["decoder"]), "a blank of the text would go")
    ok("general-characters-strip", characters(normalizer=prefix["normalizer"], decoder=sequence("decoders", *UNMARK, dict(STRIP, stop=1))), "a blank at the end would go")
    ok("general-characters-strip-other", characters(normalizer=prefix["normalizer"], decoder=sequence("decoders", *UNMARK, dict(STRIP, content="x"))), "an x would go")
    ok("general-characters-decoder", characters(decoder={"type": "Metaspace", "replacement": MARK, "prepend_scheme": "always", "split": True}), "decodes otherwise")
    ok("general-characters-decoder-replace", characters(decoder=sequence("decoders", dict(back, content="_"), *UNMARK[1:])), "another text")
    ok("general-characters-metaspace-first", characters(normalizer=back, pre_tokenizer=dict(METASPACE, prepend_scheme="first")), "puts a blank before some texts")
    ok("general-characters-metaspace-mark", characters(normalizer=back, pre_tokenizer=dict(METASPACE, replacement="_")), "another mark")
    ok("general-characters-metaspace-split", characters(normalizer=back, pre_tokenizer=dict(METASPACE, split=True)), "a pattern that is not written down")
    ok("general-characters-pre", characters(normalizer=back, pre_tokenizer=BYTE_LEVEL), "two ways to spell")
    ok("general-characters-blank", characters(vocab=CHARACTERS + ["a b"]), "no text has it behind the normalizer")
    ok("general-characters-no-blank", characters(vocab={t: i for i, t in enumerate(CHARACTERS) if MARK not in t}, model={"merges": CHARACTER_MERGES[:1]}), "byte tokens of blanks and marks alike")
    ok("general-characters-byte-missing", characters(vocab={t: i for i, t in enumerate(CHARACTERS) if t != "<0x7F>"}), "the text would vanish")
    no("byte-taken", characters(vocab=dict({t: i for i, t in enumerate(CHARACTERS)}, th=9)), "id 9 was given already", "a byte token and a piece", status="PM_BAD_FORMAT")
    no("merge-byte", characters(model={"merges": [["t", "<0x41>"]]}), "must be entries", "a byte token in a merge", status="PM_BAD_FORMAT")
    ok("general-characters-added-normalized", characters(added_tokens=[added("<x>", 300, normalized=True)]), "would be found with a blank before it")


# ---------------------------------------------------------------- .model

def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    """A field of a protobuf message: bytes, a float, or a whole number (true is 1)."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3 | 5) + struct.pack("<f", value) if isinstance(value, float) else varint(number << 3) + varint(value & (1 << 64) - 1)


NORMAL, UNKNOWN, CONTROL_PIECE, USER_DEFINED, UNUSED, BYTE_PIECE = range(1, 7)
IDENTITY = field(1, b"identity") + field(3, 0) + field(4, 0) + field(5, 1)
BPE_TRAINER = field(3, 2) + field(35, 1)


def sp_piece(text, score=0.0, kind=NORMAL, more=b""):
    return field(1, field(1, text.encode() if isinstance(text, str) else text) + field(2, score) + (field(3, kind) if kind != NORMAL else b"") + more)


def sp_pieces(spelled=CHARACTERS):
    kinds = lambda i: UNKNOWN if i == 0 else CONTROL_PIECE if i < 3 else BYTE_PIECE if i < 259 else NORMAL
    return [sp_piece(t, -float(max(0, i - 259)), kinds(i)) for i, t in enumerate(spelled)]


def make_sentencepiece():
    ends = field(2, BPE_TRAINER) + field(3, IDENTITY)
    whole = b"".join(sp_pieces())

    def no(name, data, words, reason, status="PM_UNSUPPORTED", at=None):
        bad(name + ".model", "sentencepiece", data, status, at, words, reason)

    def with_piece(name, piece, words, reason, status="PM_UNSUPPORTED"):
        no(name, whole + piece + ends, words, reason, status, at=len(whole) + 2)

    def spec(name, trainer, normalizer, words, reason):
        no(name, whole + field(2, trainer) + field(3, normalizer), words, reason)

    good("characters.model", "sentencepiece", whole + ends, "BPE with byte fallback, and pieces of several blanks")
    good("prefix.model", "sentencepiece", field(3, IDENTITY.replace(field(3, 0), field(3, 1))) + field(2, BPE_TRAINER) + whole + field(4, field(1, b"x")),
         "a blank before the text; fields in another order, and data for a test of its own")
    good("nul.model", "sentencepiece", whole + sp_piece("\0", -9.0) + ends, "a piece that is NUL")
    no("cut", whole[:-1], "cut off", "the last byte is missing", "PM_BAD_FORMAT", at=len(b"".join(sp_pieces()[:-1])))
    no("no-trainer", whole + field(3, IDENTITY), "there is no trainer_spec", "which algorithm is not said", "PM_BAD_FORMAT")
    no("no-normalizer", whole + field(2, BPE_TRAINER), "there is no normalizer_spec", "how text is normalized is not said", "PM_BAD_FORMAT")
    no("trainer-twice", whole + ends + field(2, BPE_TRAINER), "field 2 of the file is there twice", "two trainers", "PM_BAD_FORMAT")
    no("field-six", whole + ends + field(6, b"x"), "not a field of a .model", "a field that is not known", "PM_BAD_FORMAT", at=len(whole + ends))
    no("field-number", whole + ends + field(2, 3), "not a field of a .model", "a number where a message belongs", "PM_BAD_FORMAT", at=len(whole + ends))
    no("field-endless", whole + ends + b"\xff" * 12, "not a field of a .model", "a number of more than 64 bits", "PM_BAD_FORMAT", at=len(whole + ends))
    no("field-huge", whole + ends + b"\x0a" + b"\xff" * 8 + b"\x7f", "not a field of a .model", "2^63 bytes", "PM_BAD_FORMAT", at=len(whole + ends))
    no("malformed", whole + field(1, b"\x0a\x05ab") + ends, "field 1 of the file is malformed", "a piece that ends in its text", "PM_BAD_FORMAT", at=len(whole) + 2)
    def ok(name, trainer, normalizer, more, reason):
        good(name + ".model", "sentencepiece", whole + more + field(2, trainer) + field(3, normalizer), reason)

    ok("suffix-blanks", BPE_TRAINER + field(24, 1), IDENTITY, b"", "the blank before a text stands behind it")
    ok("extra-blanks", BPE_TRAINER, IDENTITY.replace(field(4, 0), field(4, 1)), b"", "blanks at the ends and side by side go")
    ok("blanks-kept", BPE_TRAINER, IDENTITY.replace(field(5, 1), field(5, 0)), b"", "blanks are not written as U+2581")
    ok("user-defined", BPE_TRAINER, IDENTITY, sp_piece("xyz", 0.0, USER_DEFINED), "a piece that is matched before all else")
    ok("unused", BPE_TRAINER, IDENTITY, sp_piece("xyz", 0.0, UNUSED), "a piece that is taken apart again")
    ok("blank-inside", BPE_TRAINER, IDENTITY, sp_piece("t h", -9.0), "a piece that no text has")
    ok("score-rises", BPE_TRAINER, IDENTITY, sp_piece("tt", -1.0), "ids are not ranks")
    ok("character-missing", BPE_TRAINER, IDENTITY, sp_piece("xy", -9.0), "x and y are byte pieces, together they are not")
    ok("rule-file", BPE_TRAINER, IDENTITY + field(6, b""), b"", "where the rules came from, which nothing depends on")
    ok("unigram", field(3, 1) + field(35, 1), IDENTITY, b"", "the best segmentation by scores")
    ok("words", field(3, 3) + field(35, 1), IDENTITY, b"", "whole words")
    ok("letters", field(3, 4) + field(35, 1), IDENTITY, b"", "nothing is merged")
    no("charsmap", whole + field(2, BPE_TRAINER) + field(3, IDENTITY + field(2, b"\1\2")), "", "a table that ends in its length", "PM_BAD_FORMAT")
    spec("type-five", field(3, 5) + field(35, 1), IDENTITY, "trainer_spec.model_type is 5", "another algorithm")
    spec("normalizer-unknown", BPE_TRAINER, IDENTITY + field(9, 1), "has a field that is not known", "what it means is not known")
    no("denormalizer", whole + ends + field(5, field(2, b"\1")), "denormalizer_spec.precompiled_charsmap is not empty", "text would be changed when it is decoded")
    no("no-fallback", whole + field(2, field(3, 2)) + field(3, IDENTITY), "byte_fallback is false", "byte pieces that no text gets", "PM_BAD_FORMAT")
    no("byte-missing", whole.replace(sp_pieces()[9], b"") + ends, "only 255 bytes", "a byte that has no piece", "PM_BAD_FORMAT")
    no("no-unknown", whole.replace(sp_pieces()[0], b"") + ends, "no piece is the unknown one", "what is not known has no id", "PM_BAD_FORMAT")
    no("byte-twice", whole + sp_piece("<0x00>", 0.0, BYTE_PIECE) + ends, "<0x00> is there twice", "a byte twice", "PM_BAD_FORMAT")
    no("piece-twice", whole + sp_piece("th", -9.0) + ends, "piece 266 has the text of piece 259", "a piece twice", "PM_BAD_FORMAT")
    with_piece("type-none", field(1, field(1, b"x") + field(3, 9)), "piece 266 has type 9", "a type that is none", "PM_BAD_FORMAT")
    with_piece("piece-empty", sp_piece("", -9.0), "piece 266 is empty", "no text", "PM_BAD_FORMAT")
    with_piece("byte-name", sp_piece("<0x1>", 0.0, BYTE_PIECE), "is not called <0x00>", "no byte", "PM_BAD_FORMAT")
    with_piece("control-empty", sp_piece("", 0.0, CONTROL_PIECE), "piece 266 is empty", "no name", "PM_BAD_FORMAT")
    with_piece("two-unknown", sp_piece("[UNK]", 0.0, UNKNOWN), "pieces 0 and 266 are both the unknown one", "which one is it?", "PM_BAD_FORMAT")
    with_piece("score-none", sp_piece("tt", float("nan")), "the score of piece 266 is no number", "no number", "PM_BAD_FORMAT")
    with_piece("not-utf8", sp_piece(b"\xe4\xb8", -9.0), "piece 266 is not well-formed UTF-8", "a part of a character", "PM_BAD_FORMAT")


# ---------------------------------------------------------------- tekken.json, tokenizer.bin

def tekken(entries=None, special=None, size=None, n_special=4, version="v11", pattern=GPT2, config=(), **top):
    entries = [bytes([b]) for b in range(256)] + [a + b for a, b in MERGES] if entries is None else entries
    made = {"config": {"pattern": pattern, "num_vocab_tokens": len(entries), "default_vocab_size": len(entries) + n_special if size is None else size,
                       "default_num_special_tokens": n_special, "version": version, **dict(config)},
            "vocab": [{"rank": i, "token_bytes": base64.b64encode(e).decode(), "token_str": e.decode("utf-8") if e.isascii() else None} for i, e in enumerate(entries)],
            "special_tokens": [{"rank": i, "token_str": t, "is_control": True} for i, t in enumerate(["<unk>", "<s>", "</s>"] if special is None else special)], **top}
    return {k: v for k, v in made.items() if v != "none"}


def make_tekken():
    def text(made):
        return json.dumps(made, indent=1).encode()

    def no(name, made, status, at, words, reason):
        bad(name + ".tekken.json", "tekken", text(made) if isinstance(made, dict) else made, status, at, words, reason)

    def vocab(i, **fields):
        made = tekken()
        made["vocab"][i].update(fields)
        return made

    good("filler.tekken.json", "tekken", text(tekken()), "three special tokens named, one made up")
    good("cut-vocabulary.tekken.json", "tekken", text(tekken(size=262, image={"image_patch_size": 16})), "fewer entries are used than are there; images pass by")
    good("old.tekken.json", "tekken", text(tekken(special_tokens="none", version="v3", n_special=30)), "an old file, whose special tokens are known")
    no("new", tekken(special_tokens="none"), "PM_BAD_FORMAT", 0, "special_tokens, which files of later versions", "a new file without special tokens")
    no("field", tekken(colour=1), "PM_UNSUPPORTED", b'"colour"', "field 'colour' of the file is not known", "what it means is not known")
    no("no-config", {"vocab": tekken()["vocab"]}, "PM_BAD_FORMAT", None, "expected an object: config", "no sizes")
    no("version", tekken(version="3"), "PM_BAD_FORMAT", None, "config.version", "not as versions are written")
    no("pattern", tekken(pattern="(a"), "PM_BAD_PATTERN", None, "", "the regex lacks a parenthesis")
    no("size-huge", tekken(size=1 << 60), "PM_BAD_FORMAT", None, "default_vocab_size", "2^60 ids")
    no("size-many", tekken(size=1 << 20), "PM_BAD_FORMAT", None, "vocab, a list of at least", "more than there are")
    no("size-small", tekken(size=3), "PM_BAD_FORMAT", None, "up to default_vocab_size", "fewer ids than special tokens")
    no("specials-huge", tekken(n_special=1 << 30, size=1 << 31), "PM_BAD_FORMAT", None, "1,048,576", "a billion special tokens")
    no("specials-many", tekken(special=list("abcde")), "PM_BAD_FORMAT", None, "no more special tokens than", "more than the config says")
    no("special-twice", tekken(special=["a", "a"]), "PM_BAD_FORMAT", None, "same text", "a special token twice")
    no("special-empty", tekken(special=[""]), "PM_BAD_FORMAT", None, "token_str", "no text")
    no("rank", vocab(257, rank=300), "PM_BAD_FORMAT", None, "entries with their place as rank", "a hole")
    no("base64", vocab(257, token_bytes="a"), "PM_BAD_FORMAT", None, "base64", "no base64")
    no("entry-twice", vocab(257, token_bytes="dGg="), "PM_BAD_FORMAT", None, "not given already", "an entry twice")
    no("byte-order", vocab(7, token_bytes="AA=="), "PM_BAD_FORMAT", None, "256 bytes in their order", "a byte at another's place")
    no("entry-empty", vocab(257, token_bytes=""), "PM_BAD_FORMAT", None, "token_bytes", "no bytes")
    no("truncated", text(tekken())[:-2], "PM_BAD_FORMAT", None, "", "the last brace is missing")


def make_llama2c():
    def entry(text, score=0.0, length=None):
        return struct.pack("<fi", score, len(text) if length is None else length) + text

    spelled = [{"<s>": "\n<s>\n", "</s>": "\n</s>\n"}.get(t, t).encode().replace("\u2581".encode(), b" ") for t in CHARACTERS]
    parts = [entry(t, -float(max(0, i - 259))) for i, t in enumerate(spelled)]
    head, whole = struct.pack("<I", max(map(len, spelled))), b"".join(parts)
    good("bpe.bin", "llama2c", head + whole, "a vocabulary of llama2.c")

    def no(name, data, words, reason, at=None):
        bad("llama2c-" + name + ".bin", "llama2c", data, "PM_BAD_FORMAT", at, words, reason)

    no("cut", head + whole[:-1], "is cut off", "the last byte is missing", len(head + whole) - len(parts[-1]))
    no("head", b"\7\0", "cut off in the length", "two bytes", 2)
    no("length", head + parts[0] + entry(b"x", 0.0, 0x7FFFFFFF), "piece 1 is cut off", "a piece of 2 GB", 4 + len(parts[0]))
    no("negative", head + parts[0] + entry(b"x", 0.0, -1), "piece 1 is cut off", "a length below zero", 4 + len(parts[0]))
    no("order", head + parts[0] + parts[2], "piece 1 is not what all files", "</s> where <s> belongs", 4 + len(parts[0]))
    no("byte", head + b"".join(parts[:10] + parts[11:]), "piece 10 is not what all files", "a byte is missing", 4 + len(b"".join(parts[:10])))
    no("few", head + b"".join(parts[:200]), "only 200 pieces", "not all bytes")
    no("longest", struct.pack("<I", 2) + whole, "the longest piece has", "a longer piece than the head says", 0)
    no("score", head + whole + entry(b"qq", float("nan")), "is no number", "no number", len(head + whole))
    no("utf8", head + whole + entry(b"\xff", -99.0), "not well-formed UTF-8", "no character", len(head + whole))
    no("twice", head + whole + entry(b"th", -99.0), "has the text of piece", "a piece twice")


# ---------------------------------------------------------------- native

class XXH128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


def xxh128(data):
    lib = ctypes.CDLL("libxxhash.so.0")
    lib.XXH3_128bits.restype = XXH128
    lib.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    h = lib.XXH3_128bits(data, len(data))
    return struct.pack(">QQ", h.high, h.low)


HOLE, PIECE, SPECIAL_KIND, CONTROL, RESERVED, BYTE = range(6)
REQUIRED = 1


def native(sections, version=1, table=None, length=None, extra=b""):
    """sections: a list of (tag, flags, bytes). table: a function that may spoil the entries [tag, flags, offset, length, 0]."""
    at = 48 + 32 * len(sections)
    entries, body = [], b""
    for tag, flags, data in sections:
        start = (at + 63) // 64 * 64
        body += b"\0" * (start - at) + data
        entries.append([tag, flags, start, len(data), 0])
        at = start + len(data)
    if table:
        table(entries)
    behind = struct.pack("<QII", length or at + len(extra), len(entries), 0)
    behind += b"".join(struct.pack("<4sIQQQ", *e) for e in entries) + body + extra
    return b"\x89PML\r\n\x1a\n" + struct.pack("<II", version, 0) + xxh128(behind) + behind


def string(text):
    return struct.pack("<I", len(text.encode())) + text.encode() + b"\0"


def pattern(name, *regexes, unicode=""):
    return (b"PTRN", REQUIRED, struct.pack("<I", len(regexes)) + b"".join(map(string, (name, unicode) + regexes)))


def bpe_sections(pieces=PIECES, merges=MERGES, flags=0, specials=(SPECIAL.encode(),), reserved=1, counts=True, triples=None):
    ids = {t: i for i, t in enumerate(pieces)}
    rows = [(PIECE, t) for t in pieces] + [(SPECIAL_KIND, t) for t in specials] + [(RESERVED, b"")] * reserved
    if triples is None:
        triples = [(ids[a], ids[b], ids[a + b]) for a, b in merges]
    out = [(b"MODL", REQUIRED, struct.pack("<IIII", 2, flags, len(rows), len(triples))),
           (b"KIND", REQUIRED, bytes(k for k, _ in rows)),
           (b"PLEN", REQUIRED, b"".join(struct.pack("<I", len(t)) for _, t in rows)),
           (b"PBYT", REQUIRED, b"".join(t for _, t in rows))]
    if counts:
        out.append((b"CNTS", REQUIRED, b"".join(struct.pack("<Q", 100 - i + 256 if 256 <= i < len(pieces) else 0) for i in range(len(rows)))))
    if triples:
        out.append((b"MRGS", REQUIRED, b"".join(struct.pack("<III", *m) for m in triples)))
    return out


def bp_sections(flags=2, count=BP_COUNT):
    rows = [(CONTROL, b"<pad>", 0), (CONTROL, b"<bos>", 0), (CONTROL, b"<eos>", 0)] + [(PIECE, k, count[k]) for k in BP]
    return [(b"MODL", REQUIRED, struct.pack("<IIII", 1, flags, len(rows), 0)),
            (b"KIND", REQUIRED, bytes(k for k, _, _ in rows)),
            (b"PLEN", REQUIRED, b"".join(struct.pack("<I", len(t)) for _, t, _ in rows)),
            (b"PBYT", REQUIRED, b"".join(t for _, t, _ in rows)),
            (b"CNTS", REQUIRED, b"".join(struct.pack("<Q", c) for _, _, c in rows))]


def character_sections(flags=8, kind=None, spelled=CHARACTERS):
    """kind: of the byte token of NUL, another one."""
    def row(i, t):
        return (CONTROL, t.encode()) if i < 3 else (BYTE if i > 3 or kind is None else kind, bytes([i - 3])) if i < 259 else (PIECE, t.replace(MARK, " ").encode())

    rows = [row(i, t) for i, t in enumerate(spelled)]
    ids = {t: i for i, t in enumerate(CHARACTERS)}
    return [(b"MODL", REQUIRED, struct.pack("<IIII", 2, flags, len(rows), len(CHARACTER_MERGES))),
            (b"KIND", REQUIRED, bytes(k for k, _ in rows)),
            (b"PLEN", REQUIRED, b"".join(struct.pack("<I", len(t)) for _, t in rows)),
            (b"PBYT", REQUIRED, b"".join(t for _, t in rows)),
            (b"MRGS", REQUIRED, b"".join(struct.pack("<III", ids[a], ids[b], ids[a + b]) for a, b in CHARACTER_MERGES))]


def make_native():
    bpe = bpe_sections()
    gpt2 = pattern("gpt2", GPT2)
    sett = (b"SETT", 0, b"algorithm=bpe\nmin_count=0\n")
    whole = native(bpe + [gpt2, sett])
    good("bpe.piecemill", "native", whole, "everything a BPE model can hold")
    good("bytes-only.piecemill", "native", native(bpe_sections(SINGLE, [], 1, (), 0, False)), "256 bytes and nothing else")
    good("bytepiece.piecemill", "native", native(bp_sections(6)), "a BytePiece model")
    good("later-section.piecemill", "native", native(bpe + [(b"ABCD", 0, b"from the future"), gpt2, sett]), "a section that is not known and not needed")
    good("other-name.piecemill", "native", native(bpe + [pattern("later", "[a-z]+|.")]), "a pattern's name that is not known: its regexes count")
    good("characters.piecemill", "native", native(character_sections(24)), "BPE over characters, a blank before the text")
    good("two-regexes.piecemill", "native", native(bpe + [pattern("", "[a-z]+", "[aeiou]")]), "a pattern of two regexes")

    def no(name, data, words, reason, status="PM_BAD_FORMAT", at=None):
        bad(name + ".piecemill", "native", data, status, at, words, reason)

    def change(sections, tag, data):
        return [(t, f, data(d) if callable(data) else data) if t == tag else (t, f, d) for t, f, d in sections]

    def at_of(data, tag):
        return struct.unpack_from("<Q", data, data.index(tag) + 8)[0]

    def section(name, tag, new, words, reason, sections=bpe, at=0, status="PM_BAD_FORMAT"):
        data = native(change(sections, tag, new))
        no(name, data, words, reason, status, None if at is None else at_of(data, tag) + at)

    def model(name, words, reason, at, sections=bpe, **fields):
        v = dict(zip("afvm", struct.unpack("<IIII", sections[0][2])), **fields)
        section(name, b"MODL", struct.pack("<IIII", v["a"], v["f"], v["v"], v["m"]), words, reason, sections, at)

    no("magic", b"\x89PML\n\x1a\n\n" + whole[8:], "does not begin as one", "carried as text", at=0)
    no("header-only", whole[:40], "truncated", "cut in the header", at=40)
    no("version", native(bpe, version=2), "version 2", "a later version", status="PM_BAD_VERSION", at=8)
    no("truncated", whole[:-1], "truncated", "the last byte is missing", at=len(whole) - 1)
    no("longer", whole + b"\0", "corrupted", "one byte too many", at=32)
    no("checksum", whole[:100] + bytes([whole[100] ^ 1]) + whole[101:], "checksum", "one bit is another", at=16)
    no("needed-section", native(bpe + [(b"ABCD", REQUIRED, b"x")]), "a later version", "a section that is needed and not known",
       status="PM_BAD_VERSION", at=48 + 32 * len(bpe))
    no("section-twice", native(bpe + [bpe[0]]), "there twice", "a section twice", at=48 + 32 * len(bpe))
    no("section-missing", native(bpe[:2] + bpe[3:]), "PLEN is missing", "a section is missing", at=48)
    no("section-outside", native(bpe, table=lambda e: e[-1].__setitem__(3, 1 << 40)), "outside", "longer than the file", at=48 + 32 * (len(bpe) - 1) + 8)
    no("section-overlap", native(bpe, table=lambda e: e[1].__setitem__(2, e[0][2])), "outside", "two at one place", at=48 + 32 + 8)
    no("section-wraps", native(bpe, table=lambda e: e[-1].__setitem__(3, (1 << 64) - 64)), "outside", "offset + length passes 2^64", at=48 + 32 * (len(bpe) - 1) + 8)
    no("section-flags", native(bpe, table=lambda e: e[0].__setitem__(1, 3)), "reserved", "a flag that is not known", at=48 + 4)
    no("section-reserved", native(bpe, table=lambda e: e[0].__setitem__(4, 1)), "reserved", "a reserved field", at=48 + 4)
    no("behind", native(bpe, extra=b"\0" * 64), "behind the last section", "bytes in no section")
    model("algorithm", "algorithm 3", "not known", 0, a=3)
    model("flags", "flags", "normalization is BytePiece's", 4, f=2)
    model("bytepiece-merges", "BytePiece has no merges", "merges and BytePiece", 12, bp_sections(), m=1)
    data = native(change(bpe, b"MODL", lambda d: d[:8] + struct.pack("<I", 1 << 31) + d[12:]))
    no("vocab-huge", data, "section KIND has", "two billion ids", at=at_of(data, b"KIND"))
    data = native(change(bpe, b"MODL", lambda d: d[:12] + struct.pack("<I", 0xFFFFFFFF)))
    no("merges-huge", data, "section MRGS has", "four billion merges", at=at_of(data, b"MRGS"))
    section("modl-short", b"MODL", b"\2\0\0\0", "section MODL has", "4 bytes of 16")
    section("kind", b"KIND", lambda d: d[:7] + b"\5" + d[8:], "of id 7 do not fit", "a kind that is not known", at=7)
    section("kind-control", b"KIND", lambda d: d[:7] + b"\3" + d[8:], "of id 7 do not fit", "a control id in BPE", at=7)
    no("prefix-of-bytes", native(bpe_sections(flags=16)), "flags", "a blank before the text belongs to BPE over characters")
    data = native(character_sections(0))
    no("byte-tokens", data, "of id 0 do not fit", "byte tokens and control tokens belong to BPE over characters", at=at_of(data, b"KIND"))
    good("characters-byte-a-piece.piecemill", "native", native(character_sections(kind=PIECE)), "a byte that is a character needs no byte token if that is a piece")
    section("kind-hole", b"KIND", lambda d: d[:7] + b"\0" + d[8:], "of id 7 do not fit", "a hole that has bytes", at=7)
    section("last-hole", b"KIND", lambda d: d[:-1] + b"\0", "the last id is a hole", "vocab_size is the highest id + 1")
    data = native(change(bpe, b"PLEN", lambda d: struct.pack("<I", 0xFFFFFFFF) + d[4:]))
    no("length-huge", data, "of id 0 do not fit", "four billion bytes", at=at_of(data, b"KIND"))
    data = native(change(bpe, b"PLEN", lambda d: d[:4 * 256] + struct.pack("<I", 1) + d[4 * 257:]))
    no("length-sum", data, "section PBYT has", "bytes that no piece takes", at=at_of(data, b"PBYT"))
    section("counts-short", b"CNTS", lambda d: d[:-8], "section CNTS has", "a count is missing")
    section("merge-id", b"MRGS", lambda d: struct.pack("<I", 999999) + d[4:], "not a piece", "an id past the end", at=None)
    section("merge-special", b"MRGS", lambda d: struct.pack("<I", len(PIECES)) + d[4:], "not a piece", "a special token in a merge", at=None)
    section("merge-bytes", b"MRGS", lambda d: d[:8] + struct.pack("<I", 257) + d[12:], "does not give the bytes", "the result is another piece", at=None)
    section("merge-twice", b"MRGS", lambda d: d[:12] * (len(d) // 12), "merged twice", "one pair, many ranks", at=None)
    section("piece-twice", b"PBYT", lambda d: d.replace(b"abc\xe4\xb8\xe4", b"the\xe4\xb8\xe4"), "", "two pieces with the same bytes", at=None)
    no("missing-byte", native(bpe_sections([b"??" if t == b"!" else t for t in SINGLE], [], 0, (), 0, False)), "single byte 0x21", "a byte is no piece")
    no("special-twice", native(bpe_sections(specials=(b"<x>", b"<x>"))), "same text", "a special token twice")
    no("pattern-short", native(bpe + [(b"PTRN", REQUIRED, gpt2[2][:-1])]), "PTRN", "cut in a string")
    no("pattern-many", native(bpe + [(b"PTRN", REQUIRED, struct.pack("<I", 1 << 30) + gpt2[2][4:])]), "PTRN", "a billion regexes")
    no("pattern-nul", native(bpe + [(b"PTRN", REQUIRED, struct.pack("<I", 1) + string("") * 2 + string("a\0b"))]), "PTRN", "a NUL in a regex")
    no("pattern-regex", native(bpe + [pattern("", "a(b")]), "", "the regex lacks a parenthesis", status="PM_BAD_PATTERN")
    no("pattern-unicode", native(bpe + [pattern("", "[a-z]+", unicode="99.0.0")]), "Unicode 99.0.0", "the pattern may cut otherwise here", status="PM_UNSUPPORTED")
    no("settings-nul", native(bpe + [(b"SETT", 0, b"a=b\0c=d\n")]), "SETT", "a NUL in a text")
    data = native(change(bp_sections(), b"CNTS", lambda d: d[:24 + 8 * 5] + b"\0" * 8 + d[24 + 8 * 6:]))
    no("count-zero", data, "of id 8 do not fit", "the logarithm of 0", at=at_of(data, b"KIND") + 8)
    data = native(change(bp_sections(), b"CNTS", lambda d: d[:24] + struct.pack("<QQ", 1 << 62, 1 << 62) + d[40:]))
    no("count-sum", data, "of id 4 do not fit", "the sum of counts passes 2^63", at=at_of(data, b"KIND") + 4)
    data = native(change(bp_sections(), b"KIND", lambda d: d[:2] + b"\1" + d[3:]))
    no("controls", data, "of id 2 do not fit", "<eos> is an ordinary piece", at=at_of(data, b"KIND") + 2)


def make_others():
    bad("ambiguous.json", "auto", b'{"AA==":[],"model":{}}', "PM_BAD_FORMAT", 0, "may be hf or bytepiece", "fits two formats")
    bad("empty.bin", "auto", b"", "PM_BAD_FORMAT", 0, "the file is empty", "nothing there")
    bad("text.txt", "auto", b"Call me Ishmael.\n", "PM_BAD_FORMAT", 0, "not a tokenizer in a format known here", "a text")
    bad("json.json", "auto", b'{"a": 1}', "PM_BAD_FORMAT", 0, "not a tokenizer in a format known here", "some JSON")


def check_example():
    """The hex lines of docs/FORMAT.md's example are those of the file."""
    data = next(f[1] for f in FILES if f[0] == "good-bpe.piecemill")
    with open(os.path.join(HERE, "..", "..", "docs", "FORMAT.md")) as f:
        example = f.read().split("### Example")[1].split("```")[1]
    lines = 0
    for at, text in re.findall(r"^([0-9a-f]{4})  ((?:[0-9a-f]{2} +)+)", example, re.M):
        part = bytes.fromhex(text)
        if data[int(at, 16):int(at, 16) + len(part)] != part:
            sys.exit("docs/FORMAT.md: the example is another one at 0x%s" % at)
        lines += 1
    assert lines > 15


SEEDS = ["good-bpe.piecemill", "good-two-regexes.piecemill", "good-bytepiece.piecemill", "good-bpe.tiktoken", "good-old.tokenizer.json",
         "good-three.tokenizer.json", "good-characters.tokenizer.json", "good-characters-prefix.tokenizer.json", "good-compact.bytepiece.json", "bad-half-surrogate.bytepiece.json", "bad-wordpiece.tokenizer.json", "good-characters.model",
         "good-prefix.model", "bad-malformed.model", "good-user-defined.model", "good-extra-blanks.model", "good-filler.tekken.json", "bad-entry-twice.tekken.json", "good-bpe.bin",
         "good-gpt2.gguf", "good-big-endian.gguf", "good-llama.gguf", "bad-entry-twice.gguf"]


def write_seeds(folder):
    """Seeds of tests/fuzz/fuzz_load.c: a byte that names the format, then a file."""
    number = {"native": 1, "tiktoken": 2, "hf": 3, "bytepiece": 4, "sentencepiece": 5, "tekken": 8, "llama2c": 9, "gguf": 10}
    os.makedirs(folder, exist_ok=True)
    for name, data, fmt, *_ in FILES:
        if name in SEEDS:
            with open(os.path.join(folder, name), "wb") as f:
                f.write(bytes([number[fmt] | (0x80 if fmt == "native" else 0)]) + data)


README = """# Model files with their verdicts

Made by `make.py`, which is written after the formats' descriptions (docs/FORMAT.md for `.piecemill`), not by piecemill. `good-*` must load,
`bad-*` must fail with the status, at the offset, with a sentence that holds the words. tests/unit/test_format.c reads this table.
The format is the one that is named when loading; files named auto are recognized by their content, as all good ones are too.

| file | format | status | offset | sentence holds | why |
|---|---|---|---|---|---|
"""


def main():
    assert unicodedata.normalize("NFC", "中") == "中"
    make_native()
    make_tiktoken()
    make_hf()
    make_characters()
    make_sentencepiece()
    make_tekken()
    make_llama2c()
    make_bytepiece()
    gguf_files.make(good, bad, PIECES, MERGES, BYTE_CHAR, CHARACTERS, MARK)
    make_others()
    names = [f[0] for f in FILES]
    assert len(set(names)) == len(names), sorted(n for n in names if names.count(n) > 1)
    rows = "".join("| %s | %s | %s | %s | %s | %s |\n" % (name, fmt, status, "-" if offset is None else offset, words, reason)
                   for name, _, fmt, status, offset, words, reason in FILES)
    wanted = {name: data for name, data, *_ in FILES}
    wanted["README.md"] = (README + rows).encode()
    changed = []
    for name, data in wanted.items():
        path = os.path.join(HERE, name)
        if not os.path.exists(path) or open(path, "rb").read() != data:
            changed.append(name)
            if "--check" not in sys.argv:
                with open(path, "wb") as f:
                    f.write(data)
    stale = [n for n in sorted(os.listdir(HERE)) if n.startswith(("good-", "bad-")) and n not in wanted]
    check_example()
    if "--check" not in sys.argv:
        write_seeds(os.path.join(HERE, "..", "fuzz", "seeds", "fuzz_load"))
    if "--check" in sys.argv and (changed or stale):
        sys.exit("tests/models: not as make.py writes them: " + " ".join(changed + stale))
    for name in stale:
        os.remove(os.path.join(HERE, name))
    print("tests/models: %d files, %d %s" % (len(wanted), len(changed), "differ" if "--check" in sys.argv else "written"))


if __name__ == "__main__":
    main()
