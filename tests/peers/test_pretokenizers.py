"""The table tests/cases/pretokenizers.txt, which the unit tests hold the steps against, is what Hugging Face's tokenizers say today."""
from pathlib import Path

import make_pretokenizer_cases

TABLE = Path(__file__).resolve().parents[1] / "cases" / "pretokenizers.txt"


def test_the_table_is_the_librarys():
    wanted = TABLE.read_text(encoding="utf-8").split("\n")
    assert list(make_pretokenizer_cases.table()) + [""] == wanted
