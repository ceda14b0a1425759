"""The table tests/cases/normalizers.txt, which the unit tests hold the steps against, is what tokenizers and sentencepiece say today."""
import os
from pathlib import Path

import make_normalizer_cases
import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("PM_SHARED", ROOT.parent / "shared"))


def test_the_table_is_the_libraries():
    if not SHARED.is_dir():
        pytest.skip("no ../shared")
    wanted = (ROOT / "tests" / "cases" / "normalizers.txt").read_text(encoding="utf-8").split("\n")
    assert list(make_normalizer_cases.table(SHARED)) + [""] == wanted
