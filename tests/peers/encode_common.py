"""The vocabularies, documents and tiktoken encodings that test_encode.py and make_expected_encode.py share."""
import base64
import functools
import json

VOCABS = ("gpt2", "cl100k_base", "o200k_base")
CORPORA = ("zh", "en", "code", "multi")


def documents(text):
    """Cuts at blank lines into documents of more than 4000 characters."""
    docs, current, n = [], [], 0
    for part in text.split("\n\n"):
        current.append(part)
        n += len(part)
        if n > 4000:
            docs.append("\n\n".join(current))
            current, n = [], 0
    if current:
        docs.append("\n\n".join(current))
    return docs


@functools.lru_cache(maxsize=None)
def metadata(json_path):
    with open(json_path) as f:
        return json.load(f)


@functools.lru_cache(maxsize=None)
def tiktoken_encoding(name, ranks_path, json_path):
    import tiktoken

    with open(ranks_path, "rb") as f:
        ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, f)}
    meta = metadata(json_path)
    return tiktoken.Encoding(
        name, pat_str=meta["pat_str"], mergeable_ranks=ranks, special_tokens=meta["special_tokens"]
    )
