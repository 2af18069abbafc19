"""Which images of a folder show the same patient: as its table says, else as its DICOM files say."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from adbench_harness.api import DataError, is_dicom

TABLE: Final = "groups.csv"
COLUMNS: Final = ["path", "group"]


def groups(root: Path, images: Mapping[str, Path]) -> dict[str, str | None]:
    """The group of each image by its id, None where nobody says.

    Raises:
        DataError: naming the line of the table that is wrong, or the DICOM file that can't be read.
    """
    stated = read_table(root / TABLE, images) if (root / TABLE).exists() else {}
    return {
        image: stated[image] if image in stated else patient(path) if is_readable_dicom(path) else None
        for image, path in images.items()
    }


def read_table(table: Path, images: Mapping[str, Path]) -> dict[str, str | None]:
    """The groups that a table with the columns path and group states. No message repeats a group: it may name a person."""
    stated: dict[str, str | None] = {}
    for line, path, group in _rows(table):
        image = unicodedata.normalize("NFC", path)
        if not image:
            raise DataError(f"{table}, line {line}: no path")
        if image not in images:
            raise DataError(f"{table}, line {line}: no image {path!r}; a path is relative to the folder, with forward slashes")
        if image in stated:
            raise DataError(f"{table}, line {line}: {path!r} has a group already; remove one of the lines")
        stated[image] = group or None
    return stated


def _rows(table: Path) -> Iterator[tuple[int, str, str]]:
    """Number, path and group of each line below the header."""
    line = 1
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.reader(stream, strict=True)
            header = [word.strip().lower() for word in next(rows, [])]
            if header != COLUMNS:
                raise DataError(f"{table}, line 1: must be {','.join(COLUMNS)}, columns separated by commas")
            for row in rows:
                line = rows.line_num
                if not any(word.strip() for word in row):
                    continue
                if len(row) != len(COLUMNS):
                    raise DataError(f"{table}, line {line}: {len(row)} columns, not {len(COLUMNS)} ({','.join(COLUMNS)})")
                yield line, row[0].strip(), row[1].strip()
    except csv.Error as error:
        raise DataError(f"{table}, after line {line}: {error}") from None
    except UnicodeDecodeError:
        raise DataError(f"{table}: not UTF-8; save it as CSV in UTF-8") from None
    except OSError as error:
        raise DataError(f"{table} can't be read ({error.strerror})") from None


def is_readable_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its content. Raises DataError if it can't be read."""
    try:
        return is_dicom(path)
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror})") from None


def patient(path: Path) -> str | None:
    """The patient id in the header of a DICOM file; pixels are not read.

    Raises:
        DataError: naming the file, if pydicom is not installed or can't read it.
    """
    try:
        import pydicom
    except ImportError:
        raise DataError(f"{path}: a DICOM file, which needs pydicom: pip install 'adbench-harness[dicom]'") from None
    try:
        # A warning about a value that breaks the standard would show the value, which names a person.
        with pydicom.config.disable_value_validation():
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"])
            return str(header.get("PatientID") or "").strip() or None
    except Exception as error:  # pydicom has no error of its own for a broken file; its words may repeat a value
        raise DataError(f"{path}: corrupt DICOM file: its header can't be read ({type(error).__name__})") from None
