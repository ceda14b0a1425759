"""The table tests/cases/added.txt, which the unit tests hold the search for added tokens against, is what Hugging Face's tokenizers say today."""
from pathlib import Path

import make_added_cases

TABLE = Path(__file__).resolve().parents[1] / "cases" / "added.txt"


def test_the_table_is_the_librarys():
    wanted = TABLE.read_text(encoding="utf-8").split("\n")
    assert list(make_added_cases.table()) + [""] == wanted
