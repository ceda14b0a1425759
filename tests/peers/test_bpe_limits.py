"""BPE training within a memory limit that is far below what the text needs: the merges of Hugging Face tokenizers, and memory under the limit.

Each run is a process of its own, so that its peak is its own. `make scale` has the same for more limits, and much larger texts."""
import json
import os
import subprocess

import pytest

from bpe_train_common import growth_program, measured_run, our_options


def check(path, limit_mb, threads, sha1, **options):
    row = measured_run(path, threads=threads, memory=limit_mb and f"{limit_mb}M", options=options)
    assert row["sha1"] == sha1
    assert not limit_mb or row["above_base_mb"] < 1.1 * limit_mb, row
    return row


@pytest.mark.parametrize("name, threads, limit_mb", [("zh", 1, 28), ("zh", 2, 64), ("en", 2, 32), ("code", 2, 32)])
def test_whole_corpus(name, threads, limit_mb, corpus, expected, tmp_path):
    sha1 = next(row["sha1"] for row in expected("bpe_train") if row["corpus"] == name)
    path = tmp_path / "whole.txt"
    path.write_bytes(corpus(name))
    row = check(path, limit_mb, threads, sha1)
    assert name != "zh" or row["written_mb"] > 10, "nothing was spilled, so nothing is shown"


@pytest.mark.parametrize("number, limit_mb", [(0, 32), (1, 32), (2, None), (3, 32)])
def test_options(number, limit_mb, corpus, expected, tmp_path):
    """Number 2 has a longest piece, and no limit: pairs that may not become pieces stay frequent to the end, so they all stay in memory."""
    row = expected("bpe_limits")[number]
    path = tmp_path / "text.txt"
    if row["text"].startswith("growth-"):
        if not os.path.exists(growth_program()):
            pytest.skip(f"SKIPPED: {growth_program()} is not here")
        with open(path, "wb") as f:
            subprocess.run([growth_program(), row["text"][len("growth-"):], row["bytes"]], check=True, stdout=f)
    else:
        path.write_bytes(corpus(row["text"], int(row["bytes"])))
    options = our_options(json.loads(row["options"]))
    assert check(path, limit_mb, 2, row["sha1"], **options)["merges"] == int(row["merges"])
