"""piecemill trains tokenizer vocabularies (BytePiece, BPE) and tokenizes text with them, as fast as the machine allows.

    train, train_from_iterator     a corpus -> Tokenizer
    count_corpus, merge_counts     a corpus -> a count file, for train(counts=...); Counts reads it
    Tokenizer.load, tok.save       a file <-> Tokenizer
    tok.encode, tok.encode_batch   text -> ids
    tok.decode, tok.decode_bytes   ids -> text
    Error and its subclasses       what goes wrong

>>> import piecemill
>>> tok = piecemill.train_from_iterator(["low lower lowest"] * 9, algorithm="bpe", vocab_size=262, pattern="gpt2")
>>> tok.decode(tok.encode("slow"))
'slow'
"""

from ._errors import (
    BadIdError,
    CancelledError,
    CorpusError,
    Error,
    FileError,
    FormatError,
    InvalidArgumentError,
    LimitError,
    NotFoundError,
    OutOfMemoryError,
    PatternError,
    SpecialTokenError,
    UnsupportedError,
    VersionError,
)
from ._counting import count_corpus, merge_counts
from ._piecemill import Array, BatchResult, Counts, Progress, Tokenizer, features, pattern_names
from ._piecemill import version as __version__
from ._pieces import pieces_report
from ._training import train, train_from_iterator

__all__ = [
    "Array",
    "BadIdError",
    "BatchResult",
    "CancelledError",
    "CorpusError",
    "Counts",
    "Error",
    "FileError",
    "FormatError",
    "InvalidArgumentError",
    "LimitError",
    "NotFoundError",
    "OutOfMemoryError",
    "PatternError",
    "Progress",
    "SpecialTokenError",
    "Tokenizer",
    "UnsupportedError",
    "VersionError",
    "__version__",
    "count_corpus",
    "features",
    "merge_counts",
    "pattern_names",
    "pieces_report",
    "train",
    "train_from_iterator",
]
