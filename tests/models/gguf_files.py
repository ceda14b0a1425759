"""The GGUF files of this folder: called by make.py. Written after the description of the container in ggml's docs/gguf.md."""
import struct

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
FORMATS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?", U64: "Q", I64: "q", F64: "d"}


def text(s, order="<"):
    data = s.encode() if isinstance(s, str) else s
    return struct.pack(order + "Q", len(data)) + data


def item(kind, value, order):
    return text(value, order) if kind == STRING else struct.pack(order + FORMATS[kind], value)


def pair(key, kind, value, order="<"):
    out = text(key, order)
    if isinstance(kind, tuple):
        return out + struct.pack(order + "IIQ", ARRAY, kind[0], len(value)) + b"".join(item(kind[0], v, order) for v in value)
    return out + struct.pack(order + "I", kind) + item(kind, value, order)


def gguf(pairs, order="<", version=3, tensors=0, n=None, behind=b""):
    body = b"".join(p if isinstance(p, bytes) else pair(*p, order=order) for p in pairs)
    return b"GGUF" + struct.pack(order + "IQQ", version, tensors, len(pairs) if n is None else n) + body + behind


T = "tokenizer.ggml."


def make(good, bad, pieces, merges, byte_char, characters, mark):
    chars = lambda piece: "".join(byte_char[b] for b in piece)
    entries = [chars(p) for p in pieces]
    spelled = [chars(a) + " " + chars(b) for a, b in merges]
    specials = ["<|end|>", "<think>", "[PAD265]"]
    tokens = entries + specials
    types = [1] * len(entries) + [3, 4, 5]

    def gpt2(tokens=tokens, types=types, merges=spelled, pre="gpt-2", more=()):
        out = [("general.architecture", STRING, "gpt2"), (T + "model", STRING, "gpt2")]
        out += [(T + "pre", STRING, pre)] if pre else []
        out += [(T + "tokens", (STRING,), tokens)]
        out += [(T + "token_type", (I32,), types)] if types else []
        return out + ([(T + "merges", (STRING,), merges)] if merges is not None else []) + list(more)

    def no(name, pairs, words, reason, status="PM_BAD_FORMAT", at=None, **how):
        bad(name + ".gguf", "gguf", pairs if isinstance(pairs, bytes) else gguf(pairs, **how), status, at, words, reason)

    template = "{% for m in messages %}\n{{ m['content'] }}\\n{% endfor %}"
    good("gpt2.gguf", "gguf", gguf(gpt2(more=[(T + "bos_token_id", U32, 263), (T + "eos_token_id", U32, 263), (T + "add_bos_token", BOOL, True),
                                              ("tokenizer.chat_template", STRING, template)])), "BPE over bytes, a special token, one that is always found, an id without text")
    good("big-endian.gguf", "gguf", gguf(gpt2(), order=">"), "the same in the other byte order")
    good("version-two.gguf", "gguf", gguf(gpt2(), version=2), "version 2")
    good("ranks.gguf", "gguf", gguf(gpt2(merges=None, pre="kimi-k2")), "no merges: the ids are the ranks")
    good("default.gguf", "gguf", gguf(gpt2(pre=None, types=None, tokens=entries)), "no name of a pattern, no types")
    good("tensors.gguf", "gguf", gguf(gpt2(more=[("a.u8", U8, 1), ("a.i64", I64, -1), ("a.f64", F64, 0.5), ("a.list", (U16,), [1, 2])]), tensors=1, behind=b"\0" * 64),
         "keys that are of no concern, and tensors behind")
    scores = [0.0] * 259 + [-float(i) for i in range(len(characters) - 259)]
    kinds = [2, 3, 3] + [6] * 256 + [1] * (len(characters) - 259)
    llama = lambda scores=scores, kinds=kinds, more=(): [(T + "model", STRING, "llama"), (T + "tokens", (STRING,), characters), (T + "scores", (F32,), scores),
                                                         (T + "token_type", (I32,), kinds), (T + "bos_token_id", U32, 1), (T + "eos_token_id", U32, 2)] + list(more)
    good("llama.gguf", "gguf", gguf(llama(more=[(T + "add_space_prefix", BOOL, False)])), "BPE over characters, by scores")
    good("llama-prefix.gguf", "gguf", gguf(llama()), "a blank before the text, as where the file does not say")

    whole = gguf(gpt2())
    no("magic", b"GGUX" + whole[4:], "does not begin as", "another file", at=0)
    no("head", whole[:20], "does not begin as", "cut in the head", at=0)
    no("version", gguf(gpt2(), version=1), "version 1 of GGUF", "lengths of 32 bits", "PM_BAD_VERSION", at=4)
    no("keys-huge", gguf([], n=1 << 60), "more than the file has room for", "many keys", at=16)
    no("key-huge", gguf([text("k")[:-1].replace(b"\1", b"\xff") + b"k"], n=1, behind=b"\0" * 20), "a key goes beyond", "a key of many bytes")
    no("string-huge", gguf([text("k") + struct.pack("<IQ", STRING, 1 << 31)]), "a string goes beyond", "2 GB claimed")
    no("array-huge", gguf([text("k") + struct.pack("<IIQ", ARRAY, U32, 1 << 62)]), "a value goes beyond", "an array that wraps around")
    no("array-strings", gguf([text("k") + struct.pack("<IIQ", ARRAY, STRING, 1 << 62)]), "a string goes beyond", "an array of many strings")
    no("array-deep", gguf([text("k") + struct.pack("<IIQ", ARRAY, ARRAY, 1), text("l") + struct.pack("<I", 0)]), "array of arrays", "nested", "PM_UNSUPPORTED")
    no("value-type", gguf([text("k") + struct.pack("<II", 13, 0)]), "type 13 of a value", "no such type")
    no("cut", whole[:-3], "goes beyond the end", "the last bytes are missing")
    no("key-twice", gpt2(more=[(T + "model", STRING, "gpt2")]), "is there twice", "a key twice")
    no("no-model", [("general.architecture", STRING, "gpt2")], "tokenizer.ggml.model is missing", "no vocabulary")
    no("model-number", [(T + "model", U32, 1), (T + "tokens", (STRING,), ["a"])], "is not a string", "a number where a name belongs")
    no("model-name", [(T + "model", STRING, "rwkv"), (T + "tokens", (STRING,), ["a"])], "'rwkv' is not supported", "another algorithm", "PM_UNSUPPORTED")
    no("no-tokens", [(T + "model", STRING, "gpt2")], "tokenizer.ggml.tokens is missing", "no tokens")
    no("tokens-numbers", [(T + "model", STRING, "gpt2"), (T + "tokens", (U32,), [1])], "is not an array of strings", "tokens that are numbers")
    no("types-short", gpt2(types=[1]), "token_type is not an array", "a type for one token")
    no("type-none", gpt2(types=types[:-1] + [9]), "has type 9", "a type that is none")
    no("type-byte", gpt2(types=types[:-1] + [6]), "has type 6", "a byte token in BPE over bytes")
    no("pre", gpt2(pre="nobody"), "'nobody' is not known here", "a pattern that is not known", "PM_UNSUPPORTED")
    no("entry-twice", gpt2(tokens=entries + ["!"], types=None), "given already, with id 0", "an entry twice")
    no("entry-empty", gpt2(tokens=entries + [""], types=None), "empty or not in byte-level", "an empty entry", "PM_UNSUPPORTED")
    no("entry-raw", gpt2(tokens=entries + ["a b"], types=None), "empty or not in byte-level", "a blank in an entry", "PM_UNSUPPORTED")
    no("special-empty", gpt2(tokens=entries + ["", "", "x"]), "token 263 is empty", "a special token without text")
    no("lacks-a-byte", gpt2(tokens=entries[1:256], types=None, merges=[]), "lacks the single byte 0x21", "255 bytes", "PM_UNSUPPORTED")
    no("merge-one", gpt2(merges=["ab"]), "not of the form", "a merge of one")
    no("merge-unknown", gpt2(merges=["z q"]), "must be entries", "a merge whose result is no entry")
    no("merges-numbers", [p for p in gpt2() if "merges" not in p[0]] + [(T + "merges", (I32,), [1])], "merges is not an array of strings", "merges that are numbers")
    no("id-far", gpt2(more=[(T + "bos_token_id", U32, 5000)]), "is not in the vocabulary", "a token that is not there")
    no("id-real", gpt2(more=[(T + "bos_token_id", F32, 1.0)]), "is not a whole number", "an id that is no number")
    no("truth", gpt2(more=[(T + "add_bos_token", U32, 1)]), "is not true or false", "a number where a truth belongs")
    no("scores-short", llama(scores=[0.0]), "scores is not an array", "a score for one token")
    no("charsmap", llama(more=[(T + "precompiled_charsmap", STRING, "x")]), "is not an array of bytes", "a table that is a text")
