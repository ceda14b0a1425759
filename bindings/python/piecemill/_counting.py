"""count_corpus and merge_counts: counting apart from training."""

import os
from typing import Any, Dict, Iterable, Optional, Union

from . import _piecemill
from ._errors import InvalidArgumentError
from ._training import Path, Pattern, ProgressArgument, _memory, _paths, _reporter, _source

_OPTIONS = ("split_scripts", "split", "field", "max_window", "tmpdir", "mix", "sample", "seed", "remove_duplicates")


_OF_NGRAMS = ("ngram_order", "isolate_digits")
_OF_PIECES = ("min_count", "ensure_unicode")


def _count(progress: ProgressArgument, out: Path, algorithm: str = "bpe", **arguments: Any) -> Dict[str, Any]:
    report = _reporter(progress)
    try:
        return _piecemill.count(algorithm=algorithm, vocab_sizes=(), out=os.fsencode(out), progress=report, **arguments)
    finally:
        if progress is True:
            report.close()


def count_corpus(files: Union[Path, Iterable[Path]], out: Path, algorithm: str = "bpe", pattern: Optional[Pattern] = None,
                 documents: bool = False, max_count_per_document: Optional[int] = None, threads: int = 0,
                 memory_limit: Union[None, int, str] = None, progress: ProgressArgument = None, pieces: Optional[Path] = None,
                 **options: Any) -> Dict[str, Any]:
    """Counts the words of text files, as train would, into a count file `out`, and returns a summary.

    For a corpus that lies on several machines, grows, or is trained from more than once: count its parts, add the counts up with
    merge_counts, and train(counts=...) gives the tokenizer that training from all the text would have given. What decides which
    words there are is recorded in the file. Counts reads one.

    algorithm: "bpe" counts pre-tokens. "bytepiece" counts n-grams; when those of all parts are merged, count the parts again with
    pieces=FILE_OF_NGRAMS, merge these counts, and train from them.
    documents: count too in how many documents each word is, for train(min_documents=...).
    max_count_per_document: of a word's occurrences in one document no more are counted.
    pieces: the count file of n-grams whose model cuts the text into pieces.
    files, pattern, threads, memory_limit, progress, and more options by name, are those of train: split_scripts, split, field, max_window,
    mix, sample, seed, remove_duplicates (within these files), tmpdir; for BytePiece ngram_order and isolate_digits, which with pieces are as
    in that file unless given, and with pieces min_count and ensure_unicode.

    >>> import os, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> for name in ("a", "b"):
    ...     with open(os.path.join(folder, name), "w") as f:
    ...         _ = f.write("low lower lowest\\n" * 9)
    ...     _ = piecemill.count_corpus(f.name, f.name + ".counts", pattern="gpt2")
    >>> both = os.path.join(folder, "both.counts")
    >>> piecemill.merge_counts([os.path.join(folder, name + ".counts") for name in ("a", "b")], both)["documents"]
    18
    >>> piecemill.train(counts=both, algorithm="bpe", vocab_size=262).vocab_size
    262
    """
    if algorithm not in ("bpe", "bytepiece"):
        raise InvalidArgumentError(f"algorithm must be 'bytepiece' or 'bpe', not {algorithm!r}", 1)
    known = _OPTIONS + (() if algorithm == "bpe" else _OF_NGRAMS if pieces is None else _OF_NGRAMS + _OF_PIECES)
    for name in options:
        if name not in known:
            raise TypeError(f"counting has no option {name!r} here; it has {', '.join(known)}")
    if pieces is not None:
        options["ngrams"] = os.fsencode(pieces)
    source, options = _source({"files": _paths(files)}, dict(options))
    return _count(progress, out, algorithm, pattern=pattern, count_documents=documents, max_count_per_document=max_count_per_document,
                  threads=threads, memory_limit=_memory(memory_limit), **source, **options)


def merge_counts(paths: Union[Path, Iterable[Path]], out: Path, progress: ProgressArgument = None,
                 tmpdir: Optional[Path] = None) -> Dict[str, Any]:
    """Adds up count files into one at `out`, which may be one of them, and returns a summary.

    Files of any size are read and written as a stream. They must have been counted with equal settings, else InvalidArgumentError tells
    which differs. In whatever order and grouping they are merged, the bytes are those of one count_corpus over all the text.
    """
    counts = _paths(paths)
    if not counts:
        raise InvalidArgumentError("paths is empty", 1)
    return _count(progress, out, counts=counts, tmpdir=None if tmpdir is None else os.fsencode(tmpdir))
