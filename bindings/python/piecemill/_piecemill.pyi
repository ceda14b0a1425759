import os
from typing import (
    Any, Dict, Final, FrozenSet, Iterable, Iterator, List, Literal, Mapping, Optional, Sequence, SupportsIndex, Tuple, Union,
    final, overload,
)

from typing_extensions import Buffer

_Path = Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]
_Text = Union[str, Buffer]
_SpecialSet = Union[Literal["all"], Iterable[str], None]
_Ids = Union[Iterable[SupportsIndex], Buffer]

features: FrozenSet[str]
pattern_names: Tuple[str, ...]
version: str

def train(**arguments: Any) -> List[Tokenizer]: ...
def count(**arguments: Any) -> Dict[str, Any]: ...
def text_scripts(text: bytes, /) -> Dict[str, int]: ...
def cli_main(arguments: Sequence[Union[str, bytes]], /) -> int: ...

@final
class Array:
    """Unsigned numbers in one flat block of memory: the ids (uint32) or offsets (uint64) of a batch."""

    def tolist(self, /) -> List[int]: ...
    @property
    def itemsize(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def dtype(self) -> str: ...
    def __len__(self, /) -> int: ...
    @overload
    def __getitem__(self, key: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, key: slice, /) -> Array: ...
    def __iter__(self, /) -> Iterator[int]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    __hash__: None  # type: ignore[assignment]

@final
class BatchResult(Tuple[Array, Array]):
    """What Tokenizer.encode_batch returns: a pair (ids, offsets) that knows documents_with_special too."""

    n_fields: Final[int]
    n_sequence_fields: Final[int]
    n_unnamed_fields: Final[int]
    __match_args__: Final = ("ids", "offsets")
    def __new__(cls, sequence: Iterable[Any], dict: Dict[str, Any] = ...) -> BatchResult: ...
    @property
    def ids(self) -> Array: ...
    @property
    def offsets(self) -> Array: ...
    @property
    def documents_with_special(self) -> int: ...

class Counts:
    """A count file, read from front to back: an iterator over (word, count) or (word, count, documents)."""

    def __new__(cls, path: _Path) -> Counts: ...
    def __iter__(self, /) -> Counts: ...
    def __next__(self, /) -> Tuple[Any, ...]: ...
    @property
    def settings(self) -> Dict[str, Any]: ...
    @property
    def documents(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def words(self) -> int: ...
    @property
    def distinct(self) -> int: ...
    @property
    def has_documents(self) -> bool: ...

@final
class Progress(Tuple[str, int, int, str, float, int]):
    """How far a training is: what the callable given as progress= is called with."""

    n_fields: Final[int]
    n_sequence_fields: Final[int]
    n_unnamed_fields: Final[int]
    __match_args__: Final = ("phase", "done", "total", "unit", "seconds", "memory")
    def __new__(cls, sequence: Iterable[Any], dict: Dict[str, Any] = ...) -> Progress: ...
    @property
    def phase(self) -> str: ...
    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def unit(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def memory(self) -> int: ...

@final
class Tokenizer:
    """A vocabulary and its rules: text to ids and back. Made by Tokenizer.load, train and train_from_iterator."""

    @classmethod
    def load(
        cls,
        path: _Path,
        /,
        pattern: Union[str, Sequence[str], None] = None,
        special_tokens: Union[Mapping[str, int], Sequence[str], None] = None,
        format: Optional[str] = None,
        *,
        any_unicode: bool = False,
    ) -> Tokenizer: ...
    @overload
    def save(self, path: _Path, /, format: Optional[str] = None, *, lossy: Literal[False] = False, tables: bool = False) -> None: ...
    @overload
    def save(self, path: _Path, /, format: Optional[str] = None, *, lossy: bool, tables: bool = False) -> Optional[List[str]]: ...
    def encode(
        self,
        text: _Text,
        /,
        *,
        allowed_special: _SpecialSet = (),
        disallowed_special: _SpecialSet = "all",
        add_special_tokens: bool = False,
        alpha: Optional[float] = None,
        seed: Optional[int] = None,
        normalize: bool = True,
    ) -> List[int]: ...
    def encode_batch(
        self,
        documents: Iterable[_Text],
        /,
        threads: int = 0,
        *,
        allowed_special: _SpecialSet = (),
        disallowed_special: _SpecialSet = (),
        add_special_tokens: bool = False,
        alpha: Optional[float] = None,
        seed: Optional[int] = None,
        normalize: bool = True,
    ) -> BatchResult: ...
    def encode_with_offsets(
        self,
        text: _Text,
        /,
        *,
        allowed_special: _SpecialSet = (),
        disallowed_special: _SpecialSet = "all",
        add_special_tokens: bool = False,
        normalize: bool = True,
    ) -> Tuple[List[int], List[Tuple[int, int]]]: ...
    def nbest(
        self,
        text: _Text,
        /,
        n: int,
        *,
        allowed_special: _SpecialSet = (),
        disallowed_special: _SpecialSet = "all",
        add_special_tokens: bool = False,
        normalize: bool = True,
    ) -> List[Tuple[List[int], float]]: ...
    def marginals(
        self,
        text: _Text,
        /,
        alpha: float = 1.0,
        *,
        allowed_special: _SpecialSet = (),
        disallowed_special: _SpecialSet = "all",
        normalize: bool = True,
    ) -> List[Tuple[int, int, int, float]]: ...
    def decode(self, ids: _Ids, /, errors: str = "replace") -> str: ...
    def decode_bytes(self, ids: _Ids, /) -> bytes: ...
    def id_to_piece(self, id: SupportsIndex, /) -> bytes: ...
    def piece_to_id(self, piece: Union[str, bytes], /) -> Optional[int]: ...
    def piece_count(self, id: SupportsIndex, /) -> int: ...
    def kind(self, id: SupportsIndex, /) -> str: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def merges(self) -> List[Tuple[bytes, bytes]]: ...
    @property
    def pattern(self) -> Union[str, List[str], None]: ...
    @property
    def pattern_name(self) -> Optional[str]: ...
    @property
    def special_tokens(self) -> Dict[str, int]: ...
    @property
    def lossless(self) -> bool: ...
    @property
    def settings(self) -> Dict[str, str]: ...
    @property
    def hash(self) -> str: ...
    @property
    def training_summary(self) -> Optional[Dict[str, Any]]: ...
    def __copy__(self, /) -> Tokenizer: ...
    def __deepcopy__(self, memo: Any, /) -> Tokenizer: ...
