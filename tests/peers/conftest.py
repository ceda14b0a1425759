"""What the comparisons with other libraries share: where the data is, and slices of it."""
import functools
import os
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
SHARED = os.environ.get("PM_SHARED") or os.path.join(ROOT, "..", "shared")


@functools.lru_cache(maxsize=None)
def _corpus(name):
    path = os.path.join(SHARED, "corpora", name + ".txt.zst")
    if not os.path.exists(path):
        pytest.skip(f"SKIPPED: {path} is not here")
    return subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout


@pytest.fixture(scope="session")
def corpus():
    """corpus(name, size=None, start=0) -> bytes: a slice that begins and ends between characters."""

    def get(name, size=None, start=0):
        text = _corpus(name)
        if size is None and start == 0:
            return text
        return text[start : None if size is None else start + size].decode("utf-8", "ignore").encode()

    return get


@pytest.fixture(scope="session")
def vocab_path():
    """vocab_path("gpt2.tiktoken") -> path in ../shared/vocabs, or skips."""

    def get(name):
        path = os.path.join(SHARED, "vocabs", name)
        if not os.path.exists(path):
            pytest.skip(f"SKIPPED: {path} is not here")
        return path

    return get


@pytest.fixture(scope="session")
def expected():
    """expected("bpe_train") -> rows of tests/peers/expected/NAME.tsv as dicts; lines that begin with # tell how it is made again."""

    def get(name):
        with open(os.path.join(HERE, "expected", name + ".tsv")) as f:
            lines = [line.rstrip("\n").split("\t") for line in f if not line.startswith("#")]
        return [dict(zip(lines[0], line)) for line in lines[1:]]

    return get
