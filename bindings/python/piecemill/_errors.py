"""The exceptions of piecemill: one class for each status of the library, each also of the built-in kind that fits."""

import errno
from typing import Any, Optional, Tuple


class Error(Exception):
    """What every failure of the library raises.

    status: the library's number of the error (pinned for ever). message: the sentence alone. offset: the byte position
    that the sentence speaks of (in a file, a pattern or a text; for BadIdError the index), None when there is none.
    file: the file it speaks of, None when there is none.

    >>> try:
    ...     piecemill.Tokenizer.load("no-such-file.piecemill")
    ... except piecemill.Error as error:
    ...     print(type(error).__name__, error.file)
    NotFoundError no-such-file.piecemill
    """

    def __init__(self, message: str = "", status: int = 0, offset: Optional[int] = None,
                 file: Optional[str] = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.offset = offset
        self.file = file

    def __str__(self) -> str:
        where = self.file or ""
        if self.offset is not None:
            where += f":{self.offset}" if where else f"at {self.offset}"
        return f"{where}: {self.message}" if where else self.message

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self.message, self.status, self.offset, self.file)


class InvalidArgumentError(Error, ValueError):
    """An option or argument is out of its range or contradicts another."""


class OutOfMemoryError(Error, MemoryError):
    """An allocation failed; everything made so far was released."""


class FileError(Error, OSError):
    """Reading or writing a file failed; the sentence holds the system's reason."""

    def __init__(self, message: str = "", status: int = 3, offset: Optional[int] = None,
                 file: Optional[str] = None) -> None:
        super().__init__(message, status, offset, file)
        self.filename = file


class NotFoundError(FileError, FileNotFoundError):
    """The file does not exist."""

    def __init__(self, message: str = "", status: int = 4, offset: Optional[int] = None,
                 file: Optional[str] = None) -> None:
        super().__init__(message, status, offset, file)
        self.errno = errno.ENOENT


class FormatError(Error, ValueError):
    """A model file is malformed, truncated or corrupted, at .offset."""


class VersionError(FormatError):
    """A model file is of a version that this library does not read."""


class PatternError(Error, ValueError):
    """A regex has a syntax error or a construct that cannot be translated, at .offset in the pattern."""


class LimitError(Error, RuntimeError):
    """A limit was passed: the matching steps of a regex (.offset in the text) or memory_limit."""


class BadIdError(Error, ValueError):
    """An id is not in the vocabulary; .offset is its index."""


class SpecialTokenError(Error, ValueError):
    """Text holds a special token that is not allowed, at .offset bytes."""


class CorpusError(Error, ValueError):
    """The corpus is empty or a file of it is damaged."""


class CancelledError(Error, RuntimeError):
    """A callback asked to stop."""


class UnsupportedError(Error, ValueError):
    """Not compiled in, or the target format cannot express this tokenizer."""


#: The class of each status, by its number; the C side looks here.
by_status = (
    Error,
    InvalidArgumentError,
    OutOfMemoryError,
    FileError,
    NotFoundError,
    FormatError,
    VersionError,
    PatternError,
    LimitError,
    BadIdError,
    SpecialTokenError,
    CorpusError,
    CancelledError,
    CorpusError,
    UnsupportedError,
    InvalidArgumentError,
)
