#!/usr/bin/env python3
"""Makes cases for the JSONL scanner, each with the verdict of Python's json:

    python3 tests/cases/make_jsonl.py [COUNT [SEED]] > tests/cases/jsonl.tsv

A case is a line in hexadecimal, a tab, and what reading its field "text" must give: "=" and the text in hexadecimal, "-" for an
error, "blank" for no document, "+" for a document whose text Python cannot tell (the line is not UTF-8). Where the library differs on
purpose (half a surrogate pair in the text is an error) the verdict is the library's.
"""
import json
import random
import sys

HAND = r'''
{"text":"a"}|{}|[]|""|1|null|{"text":1}|{"text":null}|{"text":["a"]}|{"text":{"text":"a"}}|{"text":"a"} |  {"text":"a"}
{"text":"a"}x|{"text":"a"}{}|{"text":"a",}|{"text":"a"|{"text":"a|{"text":|{"text"|{"text|{"|{|{"text" "a"}|{text:"a"}|{'text':'a'}
{"text":"a","text":"b"}|{"text":"a","text":1}|{"text":1,"text":"b"}|{"a":{"text":"no"},"text":"yes"}|{"text":"yes","a":[{"text":"no"}]}
{"Text":"a"}|{"text ":"a"}|{"":"a","text":""}|{"t\u0065xt":"a"}|{"\u0074\u0065\u0078\u0074":"a"}|{"text\u0000":"a"}|{"\ud800":1,"text":"a"}
{"text":"\u00e9"}|{"text":"\u4e2d\u6587"}|{"text":"\ud83d\ude00"}|{"text":"\uD83D\uDE00"}|{"text":"\ud83d"}|{"text":"\ude00"}|{"text":"\ude00\ud83d"}
{"text":"\ud83dx\ude00"}|{"text":"\ud83d\n"}|{"text":"\ud83d\u0041"}|{"text":"\ud83d\ud83d\ude00"}|{"text":"a\ud83d\ude00b"}|{"o":"\ud83d","text":"a"}
{"text":"\u000"}|{"text":"\u00g0"}|{"text":"\u"}|{"text":"\x41"}|{"text":"\'"}|{"text":"\"\\\/\b\f\n\r\t"}|{"text":"\u0000"}|{"text":"\u0022"}
{"text":"\ud83d","text":"b"}|{"text":"a","b":[1,2,[3,{"c":[]}]]}|{"text":"a","b":[1,]}|{"text":"a","b":[,1]}|{"text":"a","b":[1 2]}|{"text":"a","b":]}
{"text":"a","b":[}|{"text":"a","b":{]}|{"text":"a","b":{"c"}}|{"text":"a","b":{"c":}}|{"text":"a","b":{"c":1,}}|{"text":"a","b":{}}|{"text":"a","b":[]}
{"text":"a","b":0}|{"text":"a","b":00}|{"text":"a","b":01}|{"text":"a","b":-0}|{"text":"a","b":-}|{"text":"a","b":1.}|{"text":"a","b":.5}|{"text":"a","b":1.5e3}
{"text":"a","b":1e}|{"text":"a","b":1e+}|{"text":"a","b":1E-5}|{"text":"a","b":+1}|{"text":"a","b":0x1}|{"text":"a","b":1_0}|{"text":"a","b":123456789012345678901234567890}
{"text":"a","b":true}|{"text":"a","b":True}|{"text":"a","b":truex}|{"text":"a","b":nul}|{"text":"a","b":NaN}|{"text":"a","b":-NaN}|{"text":"a","b":Infinity}|{"text":"a","b":-Infinity}
{"text":"a"}//|{"text":"a"/**/}|{"text":"12345678"}|{"text":"1234567\""}|{"text":"12345678\""}|{"text":"123456\\"}|{"text":"1234567\\"}|{"text":"\\"}|{"text":"\\\\"}
'''


def verdict(line):
    """What the library must make of this line."""
    if not line.strip(b" \t\r"):
        return "blank"
    utf8 = True
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        text, utf8 = line.decode("latin-1"), False
    try:
        value = json.loads(text, parse_int=len, parse_float=len)
    except ValueError:
        return "-"
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        return "-"
    try:
        out = value["text"].encode("utf-8")
    except UnicodeEncodeError:
        return "-"
    return "=" + out.hex() if utf8 else "+"


def value(r, depth):
    kind = r.randrange(9 if depth < 4 else 7)
    if kind < 3:
        return string(r)
    if kind == 3:
        return r.choice([0, -1, 10**r.randrange(25), 1.5, -2e-7, 1e300])
    if kind == 4:
        return r.choice([None, True, False])
    if kind < 7:
        return r.choice(["", float("nan"), float("-inf"), [], {}])
    if kind == 7:
        return [value(r, depth + 1) for _ in range(r.randrange(4))]
    return {string(r): value(r, depth + 1) for _ in range(r.randrange(4))}


def string(r):
    if r.random() < 0.2:
        return "text"
    alphabet = r.choice(["ab", "\"\\/", "\b\f\n\r\t\0\x1f\x7f", "é中文ё", "😀🏳️‍🌈", "a\\\"é中😀\n"])
    return "".join(r.choice(alphabet) for _ in range(r.randrange(r.choice([3, 12, 40]))))


def line(r):
    """A JSON object written somehow, then perhaps damaged."""
    items = [(string(r), value(r, 1)) for _ in range(r.randrange(4))]
    if r.random() < 0.85:
        items.insert(r.randrange(len(items) + 1), ("text", string(r) if r.random() < 0.9 else value(r, 1)))
    ascii_only = r.random() < 0.5
    dump = lambda v: json.dumps(v, ensure_ascii=ascii_only, separators=r.choice([(",", ":"), (", ", ": "), (" ,\t", " : ")]))
    text = "{" + ",".join(dump(k) + ":" + dump(v) for k, v in items) + "}"
    data = bytearray(text.encode("utf-8"))
    for _ in range(r.choice([0, 0, 1, 1, 2, 4])):
        i = r.randrange(len(data)) if data else 0
        what = r.randrange(4)
        if what == 0:
            del data[i:i + r.randrange(1, 4)]
        elif what == 1:
            data[i:i] = r.choice([b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\\ud83d", b"\\u0041", b"1", b"\x00", b"\xff", b"\r"])
        elif what == 2 and data:
            data[i] = r.choice(b'"\\{}[],:0123456789eE+-. \ttrufalsn')
        elif what == 3:
            j = r.randrange(len(data)) if data else 0
            data[i:i] = data[j:j + r.randrange(8)]
    return bytes(data).replace(b"\n", b" ")


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
    r = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    print("# made by tests/cases/make_jsonl.py; see there")
    cases = [case.encode() for row in HAND.strip("\n").split("\n") for case in row.split("|")]
    cases += [b"", b" ", b"\t \r", b'\xef\xbb\xbf{"text":"a"}', b'{"text":"\x01"}', b'{"text":"a\tb"}', b'{"text":"\x7f"}', b'{"text":"a"}\r', b'\x00',
              b'{"text":"\xff"}', b'{"text":"\xed\xa0\x80"}', b'{"text":"a"}\x00', b'{"text":"' + b"x" * 1000 + b'"}']
    for case in cases + [line(r) for _ in range(count)]:
        print(case.hex() + "\t" + verdict(case))


main()
