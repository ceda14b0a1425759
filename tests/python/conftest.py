"""What the tests of the Python package share: where the checkout is, samples of text, small tokenizers."""

import os
import signal
import subprocess
import sys

import pytest

import piecemill

# A shell starts what runs in its background with SIGINT ignored; the tests of Ctrl-C, and the processes that they start, need it.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))


def sample(name, size=None):
    """The first bytes of corpora/NAME.txt as str."""
    with open(os.path.join(ROOT, "corpora", name + ".txt"), "rb") as file:
        return file.read(-1 if size is None else size).decode("utf-8", "ignore")


def run_python(code, *arguments, **options):
    """Runs code in a fresh interpreter that finds the same package; gives the finished process."""
    return subprocess.run([sys.executable, "-c", code, *arguments], env=environment(), capture_output=True, timeout=60, **options)


def environment():
    package = os.path.dirname(os.path.dirname(os.path.abspath(piecemill.__file__)))
    return {**os.environ, "PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])}


@pytest.fixture(scope="session")
def tok():
    """BPE with two special tokens and two reserved slots."""
    return piecemill.train_from_iterator(sample("en", 200_000).splitlines(True) + sample("zh", 100_000).splitlines(True),
                                         algorithm="bpe", vocab_size=1200, pattern="gpt2",
                                         special_tokens=["<|endoftext|>", "<|pad|>"], reserve=2)


@pytest.fixture(scope="session")
def bp():
    """BytePiece."""
    if "utf8proc" not in piecemill.features:
        pytest.skip("SKIPPED: built without utf8proc")
    return piecemill.train_from_iterator(sample("zh", 100_000).splitlines() + sample("en", 100_000).splitlines(),
                                         vocab_size=1000)
