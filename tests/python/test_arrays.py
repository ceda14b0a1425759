"""Array: the buffers that a batch gives."""

import gc

import pytest

import piecemill

TEXTS = ["one", "two three", "四五六", ""]


def test_sequence(tok):
    ids, offsets = tok.encode_batch(TEXTS)
    plain = ids.tolist()
    assert list(ids) == plain and len(ids) == len(plain) and [ids[i] for i in range(len(ids))] == plain
    assert ids[-1] == plain[-1] and ids[-len(plain)] == plain[0]
    assert type(ids[0]) is int and plain[0] in ids
    for bad in (len(plain), -len(plain) - 1, 1 << 80):
        with pytest.raises(IndexError):
            ids[bad]
    with pytest.raises(TypeError):
        ids["0"]
    with pytest.raises(TypeError):
        ids[0] = 1
    assert offsets.itemsize == 8 and offsets.nbytes == 8 * len(offsets) and offsets.dtype == "uint64"
    assert ids.itemsize == 4 and ids.dtype == "uint32"
    with pytest.raises(TypeError):
        hash(ids)


def test_slices_share_the_memory(tok):
    ids = tok.encode_batch(TEXTS).ids
    plain = ids.tolist()
    for cut in (slice(None), slice(1, 3), slice(-2, None), slice(3, 1), slice(0, 100)):
        assert ids[cut].tolist() == plain[cut] and type(ids[cut]) is piecemill.Array
    part = ids[1:3]
    memoryview(ids)[1] = 77
    assert part[0] == 77
    with pytest.raises(ValueError, match="step"):
        ids[::2]


def test_equality(tok):
    a, b = tok.encode_batch(TEXTS), tok.encode_batch(TEXTS)
    assert a.ids == b.ids and not a.ids != b.ids and a == b
    assert a.ids != a.offsets and a.ids[:1] != a.ids[:2] and a.ids != a.ids.tolist()


def test_repr(tok):
    ids = tok.encode_batch(["a " * 100]).ids
    assert repr(ids[:2]).startswith("<piecemill.Array uint32[2] [") and "..." in repr(ids)


def test_memoryview(tok):
    ids, offsets = tok.encode_batch(TEXTS)
    view = memoryview(ids)
    assert view.format == "I" and view.itemsize == 4 and view.shape == (len(ids),) and not view.readonly
    assert view.contiguous and view.tolist() == ids.tolist() and bytes(view) == bytes(ids)
    view = memoryview(offsets)
    assert view.itemsize == 8 and view.tolist() == offsets.tolist()


def test_memory_lives_as_long_as_its_last_user(tok):
    ids, offsets = tok.encode_batch(TEXTS * 1000)
    plain = ids.tolist()
    view = memoryview(ids[5:])
    del ids
    gc.collect()
    assert offsets[-1] == len(plain)
    del offsets
    gc.collect()
    tok.encode_batch(TEXTS * 1000)
    assert view.tolist() == plain[5:]


def test_numpy_without_a_copy(tok):
    np = pytest.importorskip("numpy", reason="SKIPPED: numpy is not installed")
    ids, offsets = tok.encode_batch(TEXTS)
    a, o = np.asarray(ids), np.asarray(offsets)
    assert a.dtype == np.uint32 and o.dtype == np.uint64 and a.tolist() == ids.tolist()
    assert np.shares_memory(a, np.asarray(ids)) and a.flags.writeable and a.flags.c_contiguous and not a.flags.owndata
    plain = ids.tolist()
    del ids, offsets
    gc.collect()
    assert a.tolist() == plain and o[-1] == len(plain)
    assert tok.decode(a) == "".join(TEXTS)
    assert tok.decode(a[::2]) == tok.decode(plain[::2])
    assert tok.decode(a.astype(np.int64)) == tok.decode(a.astype(">i4")) == tok.decode(a.astype(np.uint16)) == "".join(TEXTS)
    assert tok.decode(list(a)) == "".join(TEXTS)
    assert tok.id_to_piece(a[0]) == tok.id_to_piece(plain[0])
    with pytest.raises(TypeError):
        tok.decode(a.astype(float))
    with pytest.raises(TypeError):
        tok.decode(a.reshape(1, -1))
    assert tok.encode_batch(np.array(TEXTS)).ids.tolist() == plain


def test_a_result_outlives_its_tokenizer_and_its_memory_is_used_again(tok, tmp_path):
    """Large results: their pages go back to the tokenizer, or to the system when it is gone."""
    path = str(tmp_path / "t.piecemill")
    tok.save(path)
    other = piecemill.Tokenizer.load(path)
    documents = TEXTS * 40_000
    expected = tok.encode_batch(TEXTS)
    kept = other.encode_batch(documents)
    assert kept.ids[-len(expected.ids):].tolist() == expected.ids.tolist()
    del other
    gc.collect()
    for threads in (1, 2, 1):
        assert tok.encode_batch(documents, threads=threads).ids == kept.ids
    assert kept.ids[: len(expected.ids)].tolist() == expected.ids.tolist()
