"""pieces_report: which pieces of a vocabulary want a look."""

from collections import Counter
from typing import Any, Dict, Iterable, Iterator, List, Optional

from . import _piecemill
from ._piecemill import Tokenizer
from ._training import Text

_BATCH = 4 << 20  # bytes or characters
_NO_SCRIPT = {"not UTF-8", "Common", "Inherited", "Unknown"}
_JAPANESE = {"Han", "Hiragana", "Katakana"}  # stand together every day: no mixture


def _batches(documents: Iterable[Text]) -> Iterator[List[Text]]:
    batch: List[Text] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def pieces_report(tok: Tokenizer, documents: Optional[Iterable[Text]] = None, most: int = 20) -> Dict[str, Any]:
    """Which pieces want a look: the longest, those found in the fewest documents, those that mix scripts; as `piecemill inspect --report`.

    Text of the web is full of what is repeated inside few documents, and it becomes pieces that are of no use elsewhere. documents: an iterable
    of str or bytes, which are encoded; without it the counts of training tell, and no more documents than that held the piece. most: rows of a list.

    The result has n_longest and longest, n_rarest and rarest, n_mixed and mixed: how many there are, and rows with id, piece (bytes), count (in training) and
    scripts; with documents also documents and tokens, in each row those that use the piece, in all their numbers, and n_unused: pieces that none uses.

    >>> tok = piecemill.train_from_iterator(["low lower lowest"] * 9, "bpe", 262, pattern="gpt2")
    >>> piecemill.pieces_report(tok, ["low", "lower"], most=2)["longest"][0]["piece"]
    b' lower'
    """
    used: Counter[int] = Counter()
    holders: Counter[int] = Counter()
    n_documents = 0
    for batch in () if documents is None else _batches(documents):
        encoded = tok.encode_batch(batch)
        ids, offsets = encoded.ids.tolist(), encoded.offsets.tolist()
        used.update(ids)
        for begin, end in zip(offsets, offsets[1:]):
            holders.update(set(ids[begin:end]))
        n_documents += len(batch)
    rows = []
    for id in range(tok.vocab_size):
        if tok.kind(id) != "piece" or len(tok.id_to_piece(id)) < 2:  # single bytes have to be there
            continue
        scripts = [name for name in _piecemill.text_scripts(tok.id_to_piece(id)) if name not in _NO_SCRIPT]
        row: Dict[str, Any] = {"id": id, "piece": tok.id_to_piece(id), "count": tok.piece_count(id), "scripts": scripts}
        if documents is not None:
            row.update(documents=holders[id], tokens=used[id])
        rows.append(row)
    uses, spread = ("count", "count") if documents is None else ("tokens", "documents")
    lists = {"longest": sorted(rows, key=lambda row: (-len(row["piece"]), -row[uses], row["id"])),
             "rarest": sorted((row for row in rows if row[spread]), key=lambda row: (row[spread], -row[uses], row["id"])),
             "mixed": sorted((row for row in rows if len(row["scripts"]) > 1 and not _JAPANESE.issuperset(row["scripts"])),
                             key=lambda row: (-row[uses], row["id"]))}
    report: Dict[str, Any] = {}
    if documents is not None:
        report = {"documents": n_documents, "tokens": sum(used.values()), "n_unused": sum(not row["documents"] for row in rows)}
    for name, found in lists.items():
        report["n_" + name] = len(found)
        report[name] = found[:most]
    return report
