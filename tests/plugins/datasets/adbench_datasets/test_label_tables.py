from __future__ import annotations

from pathlib import Path

import pytest

from adbench_datasets.label_tables import and_more, read_rows
from adbench_harness.api import DataError

COLUMNS = ("id", "label")


def rows(tmp_path: Path, content: bytes) -> list[tuple[str, list[str]]]:
    (tmp_path / "t.csv").write_bytes(content)
    return list(read_rows(tmp_path / "t.csv", COLUMNS, "made"))


def test_rows_come_stripped_with_their_line_and_empty_ones_are_left_out(tmp_path: Path) -> None:
    found = rows(tmp_path, b"\xef\xbb\xbfid, label\r\n\r\n 1 ,a\r\n,\r\n2, b\r\n")
    table = tmp_path / "t.csv"
    assert found == [(f"{table}, line 3", ["1", "a"]), (f"{table}, line 5", ["2", "b"])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"expected the columns id, label, found an empty file"),
        (b"label,id\n", r"expected the columns id, label, found label, id"),
        (b"id,label\n1,a\n2\n", r"line 3: expected id, label, found '2'"),
        (b"id,label\n\xff,a\n", r"can't be read .*it holds the labels of made"),
    ],
)
def test_a_table_that_cannot_be_understood_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        rows(tmp_path, content)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.csv can't be read \(No such file or directory\)"):
        list(read_rows(tmp_path / "gone.csv", COLUMNS, "made"))


def test_how_many_more_there_are() -> None:
    assert [and_more(["a"] * count) for count in (1, 2, 5)] == ["", " and 1 more", " and 4 more"]
