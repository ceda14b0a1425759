"""train and train_from_iterator: the arguments of both, checked and handed to the C side."""

import os
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union, overload

from . import _piecemill
from ._errors import InvalidArgumentError
from ._piecemill import Progress, Tokenizer

Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
Text = Union[str, bytes, bytearray, memoryview]
Pattern = Union[str, Sequence[str]]
SpecialTokens = Union[Sequence[str], Mapping[str, int]]
ProgressArgument = Union[None, bool, Callable[[Progress], object]]

_OPTIONS = {
    "bpe": ("split_scripts", "extend", "required_pieces", "excluded_pieces", "max_piece_length", "max_words", "utf8_boundaries", "level", "character_coverage",
            "layout", "reserve", "round_to", "split", "field", "max_window", "tmpdir", "checkpoint", "mix", "sample", "seed", "remove_duplicates",
            "temperature", "temperature_by", "counts", "min_documents", "max_count_per_document"),
    "bytepiece": ("ngram_order", "max_piece_length", "ensure_unicode", "isolate_digits", "split_scripts", "required_pieces", "excluded_pieces",
                  "reserve", "round_to", "split", "field", "max_window", "tmpdir", "checkpoint", "mix", "sample", "seed", "remove_duplicates",
                  "temperature", "temperature_by", "counts", "min_documents", "max_count_per_document"),
}
_OF_FILES = ("split", "field", "max_window", "mix", "temperature", "temperature_by", "counts")
_OF_TEXT = ("split", "field", "max_window", "mix", "sample", "seed", "remove_duplicates", "temperature", "temperature_by")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def _memory(value: Union[None, int, str], name: str = "memory_limit") -> Optional[int]:
    """Bytes from an int or from "512M", "2G", "2GB", "2GiB" (powers of 1024); None is no limit."""
    if value is None or not isinstance(value, str):
        return value
    text = value.strip().upper()
    number = text.rstrip("KMGTIB")
    unit = text[len(number):]
    if unit.endswith("IB"):
        unit = unit[:-2]
    elif unit.endswith("B"):
        unit = unit[:-1]
    try:
        size = float(number) * _UNITS[unit]
        if not 0 <= size < 1 << 63:
            raise ValueError
    except (ValueError, KeyError):
        raise InvalidArgumentError(f"{name} {value!r} is not a size such as 2G or 512M", 1) from None
    return int(size)


def _sample(value: Union[int, float, str]) -> Tuple[str, int]:
    """The option and its value: a share ("10%", 0.1) in millionths, a size (20_000_000_000, "20GB") in bytes."""
    percent = isinstance(value, str) and value.strip().endswith("%")
    if not percent and not isinstance(value, float):
        size = _memory(value, "sample")  # type: ignore[arg-type]
        if size == 0:
            raise InvalidArgumentError("sample 0: nothing would be taken", 1)
        return "sample_bytes", size  # type: ignore[return-value]
    try:
        share = float(value.strip()[:-1]) / 100 if percent else value  # type: ignore[union-attr]
        millionths = round(share * 1_000_000) if 0 < share <= 1 else 0
    except ValueError:
        millionths = 0
    if not millionths:
        raise InvalidArgumentError(f"sample {value!r} is not a share from 0.0001% to 100% or a size such as 20GB", 1)
    return "sample_ppm", millionths


def _mixed(files: List[bytes], mix: Mapping[Path, int]) -> Tuple[List[bytes], List[int]]:
    """The files with those that only mix names behind them, and the weights of all."""
    weights = {os.fsencode(path): weight for path, weight in mix.items()}
    files = files + [path for path in weights if path not in files]
    return files, [weights.get(path, 1) for path in files]


def _options(algorithm: str, given: Mapping[str, Any], from_files: bool) -> Mapping[str, Any]:
    if algorithm not in _OPTIONS:
        raise InvalidArgumentError(f"algorithm must be 'bytepiece' or 'bpe', not {algorithm!r}", 1)
    known = [name for name in _OPTIONS[algorithm] if from_files or name not in _OF_FILES]
    for name in given:
        if name not in known:
            where = "" if from_files else " from an iterator"
            raise TypeError(f"training {algorithm}{where} has no option {name!r}; it has {', '.join(known)}")
    return given


def _load_extended(path: Path, pattern: Optional[Pattern]) -> Tokenizer:
    if pattern is None and os.fsencode(path).endswith(b".tiktoken"):
        raise InvalidArgumentError(f"extend: {os.fsdecode(path)} holds no pattern; give one", 1)
    return Tokenizer.load(path)


def _source(source: Mapping[str, Any], options: Dict[str, Any]) -> Tuple[Mapping[str, Any], Dict[str, Any]]:
    """Options that speak of the corpus and of folders, as the C side takes them."""
    for folder in ("tmpdir", "checkpoint"):
        if options.get(folder) is not None:
            options[folder] = os.fsencode(options[folder])
    if options.get("counts") is not None:
        if source:
            raise InvalidArgumentError("files and counts are given: training is from one or the other", 1)
        for name in _OF_TEXT:
            if options.pop(name, None) is not None:
                raise InvalidArgumentError(f"{name} is about text, and training is from counts", 1)
        options["counts"] = _paths(options["counts"])
        if not options["counts"]:
            raise InvalidArgumentError("counts is empty", 1)
        return {}, options
    options.pop("counts", None)
    if not source:
        raise TypeError("files, or counts, must be given")
    if "max_window" in options:
        options["max_window"] = _memory(options["max_window"], "max_window")
    if options.get("sample") is not None:
        name, number = _sample(options.pop("sample"))
        options[name] = number
    options.pop("sample", None)
    mix = options.pop("mix", None)
    if mix:
        files, options["weights"] = _mixed(source["files"], mix)
        source = {"files": files}
    elif source.get("files") == []:
        raise InvalidArgumentError("files is empty", 1)
    return source, options


def _reporter(progress: ProgressArgument) -> Any:
    if progress is True:
        from ._progress import Bar

        return Bar()
    if progress and not callable(progress):
        raise TypeError("progress must be None, a bool or a callable")
    return progress or None


def _train(source: Mapping[str, Any], algorithm: str, vocab_size: Union[int, Iterable[int]], pattern: Optional[Pattern],
           special_tokens: SpecialTokens, threads: int, memory_limit: Union[None, int, str], min_count: Optional[int],
           progress: ProgressArgument, options: Mapping[str, Any]) -> Union[Tokenizer, List[Tokenizer]]:
    options = dict(_options(algorithm, options, "documents" not in source))
    source, options = _source(source, options)
    if isinstance(options.get("extend"), (str, bytes, os.PathLike)):
        options["extend"] = _load_extended(options["extend"], pattern)
    single = hasattr(vocab_size, "__index__")
    sizes = [vocab_size] if single else list(vocab_size)  # type: ignore[arg-type]
    if not sizes:
        raise InvalidArgumentError("vocab_size is an empty list", 1)
    report = _reporter(progress)
    try:
        made: List[Tokenizer] = _piecemill.train(
            algorithm=algorithm, vocab_sizes=sizes, pattern=pattern, special_tokens=special_tokens, threads=threads,
            memory_limit=_memory(memory_limit), min_count=min_count, progress=report, **source, **options)
    finally:
        if progress is True:
            report.close()
    return made[0] if single else made


def _paths(files: Union[Path, Iterable[Path]]) -> List[bytes]:
    if isinstance(files, (str, bytes, os.PathLike)):
        files = [files]
    return [os.fsencode(path) for path in files]


@overload
def train(files: Union[Path, Iterable[Path], None] = ..., algorithm: str = ..., vocab_size: int = ...,
          pattern: Optional[Pattern] = ..., special_tokens: SpecialTokens = ..., threads: int = ...,
          memory_limit: Union[None, int, str] = ..., min_count: Optional[int] = ..., progress: ProgressArgument = ...,
          **algorithm_options: Any) -> Tokenizer: ...
@overload
def train(files: Union[Path, Iterable[Path], None] = ..., algorithm: str = ..., vocab_size: Sequence[int] = ...,
          pattern: Optional[Pattern] = ..., special_tokens: SpecialTokens = ..., threads: int = ...,
          memory_limit: Union[None, int, str] = ..., min_count: Optional[int] = ..., progress: ProgressArgument = ...,
          **algorithm_options: Any) -> List[Tokenizer]: ...
def train(files: Union[Path, Iterable[Path], None] = None, algorithm: str = "bytepiece",
          vocab_size: Union[int, Sequence[int]] = 32000, pattern: Optional[Pattern] = None,
          special_tokens: SpecialTokens = (), threads: int = 0, memory_limit: Union[None, int, str] = None,
          min_count: Optional[int] = None, progress: ProgressArgument = None,
          **algorithm_options: Any) -> Union[Tokenizer, List[Tokenizer]]:
    """Trains a tokenizer from text files; the same input and options give the same result on any machine.

    files: one path or an iterable of them, "-" for standard input; .txt and others are text, .jsonl is one JSON object
    a line, .gz and .zst are decompressed.
    algorithm: "bytepiece" or "bpe".
    vocab_size: entries in all, special tokens and reserved slots included; what comes back may be smaller (a corpus
    that gives no more, and BytePiece drops pieces that are never used). BytePiece takes a list too and gives a list
    back, for little more than the time of one; each model is pruned from the next larger one, as bytepiece does it.
    pattern (bpe): how text is split first: a name ("o200k_base", the default at level "byte"; see piecemill.pattern_names), a regex, a
    list of regexes applied in turn, or "" for no splitting.
    special_tokens: their texts; they get the ids behind the pieces. Where a document holds such text, training takes
    it as ordinary text, and tok.training_summary["documents_with_special"] counts the documents.
    threads: 0 is as many as the machine gives (1 in a worker process). memory_limit: bytes, or "2G", above what the
    process holds at the start: bpe goes on in temporary files and gives the same result (it wants 24 MB and 4 MB a
    thread), bytepiece stops with LimitError.
    min_count: what is seen less often is not used; None is 0 for bpe and 2 for bytepiece.
    progress: True draws a bar on standard error; a callable is called with a Progress some twenty times a second. An
    exception that it raises ends the training and reaches the caller, as Ctrl-C does.

    More options, by name. Of both: split ("line", the default: each line of a text file is a document, its newline
    kept; "paragraph"; "document": the file), field (the field of JSONL records that holds the text, "text"),
    max_window (the largest window of a zstd frame that is accepted, 128M unless given, up to 2G), reserve (slots for
    special tokens to come), round_to (more such slots until the size is a multiple), tmpdir. Of bpe: split_scripts (False; True
    splits Latin, Han, kana, Hangul and other scripts apart, by the pattern "scripts" behind the given one), extend (a Tokenizer or
    a path: its merges come first, and its pattern and special tokens are used where none are given), required_pieces (pieces that
    must be in the vocabulary: merges that make them come before those learned), excluded_pieces (that must not be in it),
    max_piece_length (bytes; no limit unless given), max_words (no piece of more words, between white space), utf8_boundaries
    (False; True: a piece is whole characters or a part of one), checkpoint (a folder where the run leaves what it needs to go on:
    the same call with the same corpus goes on after it was killed at any moment, and gives the same result), layout ("default", or "hf": special tokens first),
    level ("byte", or "char": words are of characters, as sentencepiece's are, and characters that are no pieces become byte tokens; the pattern is
    "sentencepiece" then unless one is given, and max_piece_length is in characters, 16), character_coverage (of level "char": the most frequent characters are
    the alphabet, until they are this share of all, 0.9995). Of bytepiece:
    ngram_order (6), max_piece_length (36 bytes), ensure_unicode (True), isolate_digits (False).

    Which documents are taken: sample (a share, "10%" or 0.1, or about so many bytes of text, "20GB" or an int; which
    ones depends on a hash of each document's text and of seed, 0, alone, so the same share is taken of each file; for
    a size, packed files and JSONL are read twice), remove_duplicates (of equal documents the first; 21 to 43 bytes
    of memory for each that is taken, with memory_limit no more than half of it, then temporary files). Of bpe: mix, a dict of paths to whole numbers up to 2**20: the documents of that file
    count so many times; files need not name them again. temperature: languages count as much as the temperature-th root of their sizes, so
    that small ones get more pieces (1 or more; packed files and JSONL are read twice); temperature_by says what a language is, "file" or "folder" (all files of
    one). training_summary["sources"] and ["scripts"] tell what was taken, a source's "share" being that of all that was counted, weights included.

    Which words are taken, of bpe: min_documents (words found in fewer documents are left out), max_count_per_document (of a word's
    occurrences in one document no more are counted). counts, in the place of files: paths of count files (count_corpus, merge_counts) to
    train from; the pattern is theirs.

    Raises NotFoundError, FileError, CorpusError (no text, a damaged file, one that was changed meanwhile), PatternError with the .offset in the
    regex, InvalidArgumentError (a size too small, a special token twice), LimitError, TypeError (no such option).

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "corpus.txt")
    >>> with open(path, "w") as f:
    ...     _ = f.write("low lower lowest\\n" * 9)
    >>> piecemill.train(path, algorithm="bpe", vocab_size=262, pattern="gpt2").vocab_size
    262
    """
    return _train({} if files is None else {"files": _paths(files)}, algorithm, vocab_size, pattern, special_tokens, threads, memory_limit,
                  min_count, progress, algorithm_options)


@overload
def train_from_iterator(documents: Iterable[Text], algorithm: str = ..., vocab_size: int = ...,
                        pattern: Optional[Pattern] = ..., special_tokens: SpecialTokens = ..., threads: int = ...,
                        memory_limit: Union[None, int, str] = ..., min_count: Optional[int] = ...,
                        progress: ProgressArgument = ..., **algorithm_options: Any) -> Tokenizer: ...
@overload
def train_from_iterator(documents: Iterable[Text], algorithm: str = ..., vocab_size: Sequence[int] = ...,
                        pattern: Optional[Pattern] = ..., special_tokens: SpecialTokens = ..., threads: int = ...,
                        memory_limit: Union[None, int, str] = ..., min_count: Optional[int] = ...,
                        progress: ProgressArgument = ..., **algorithm_options: Any) -> List[Tokenizer]: ...
def train_from_iterator(documents: Iterable[Text], algorithm: str = "bytepiece",
                        vocab_size: Union[int, Sequence[int]] = 32000, pattern: Optional[Pattern] = None,
                        special_tokens: SpecialTokens = (), threads: int = 0,
                        memory_limit: Union[None, int, str] = None, min_count: Optional[int] = None,
                        progress: ProgressArgument = None, **algorithm_options: Any) -> Union[Tokenizer, List[Tokenizer]]:
    """Trains a tokenizer from an iterable of documents (str, bytes or buffers); each is whole and is not split further.

    Arguments, result and errors are those of train, without split, field, max_window, mix, temperature and a sample in bytes. The documents
    are read once, on the calling thread; an exception that the iterator raises ends the training and reaches the caller. A str with a lone
    surrogate raises UnicodeEncodeError.

    >>> tok = piecemill.train_from_iterator(["low lower lowest"] * 9, algorithm="bpe", vocab_size=262, pattern="gpt2")
    >>> tok.training_summary["documents"]
    9
    """
    if isinstance(documents, (str, bytes)):
        raise TypeError("documents must be an iterable of documents, not one str or bytes")
    return _train({"documents": documents}, algorithm, vocab_size, pattern, special_tokens, threads, memory_limit,
                  min_count, progress, algorithm_options)
