"""Tables of labels that lie beside a dataset's images, read line by line so that an error can name the line."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from adbench_harness.api import DataError

from .image_folders import REPAIR


def read_rows(table: Path, columns: Sequence[str], dataset: str) -> Iterator[tuple[str, list[str]]]:
    """Each row below the header that says something: the file and line in words for an error, and its stripped fields.

    Raises:
        DataError: naming the file, if it can't be read or its header is another one; or the line, if it has other columns.
    """
    try:
        # A table that was saved again by a spreadsheet starts with a byte-order mark.
        with table.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            rows = [(reader.line_num, [field.strip() for field in row]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{table} can't be read ({reason}); it holds the labels of {dataset}: {REPAIR}") from None
    if not rows or rows[0][1] != list(columns):
        found = ", ".join(rows[0][1]) if rows else "an empty file"
        raise DataError(f"{table}: expected the columns {', '.join(columns)}, found {found}; {REPAIR}")
    for line, row in rows[1:]:
        where = f"{table}, line {line}"
        if not any(row):
            continue
        if len(row) != len(columns):
            raise DataError(f"{where}: expected {', '.join(columns)}, found {', '.join(row)!r}; {REPAIR}")
        yield where, row


def and_more(names: Collection[object]) -> str:
    """How many there are besides the first, in words."""
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
