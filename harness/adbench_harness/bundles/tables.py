"""Scores and curves as text: exact, sorted, and read back only if written just so."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from ..api import DataError
from ..result import CurvePoint, Scores
from .form import printable

SCORE_COLUMNS: Final = ("image", "subset", "label", "subtype", "score")
CURVE_COLUMNS: Final = ("phase", "epoch", "name", "value")
LONGEST: Final = 200
"""Characters of a curve's name."""


@dataclass(frozen=True)
class SentScore:
    """One image as the sender has it."""

    subset: str
    label: str
    subtype: str
    score: float


def scores_text(scores: Scores) -> bytes:
    """Scores as CSV, by subset and image. Groups and facts of images stay out: whoever imports has them from the dataset."""
    rows = zip(scores.image, scores.subset, scores.label.tolist(), scores.subtype, map(repr, scores.score.tolist()), strict=True)
    return _text(SCORE_COLUMNS, sorted(rows, key=lambda row: (row[1], row[0])))


def curves_text(curves: pa.Table) -> bytes:
    """Curves as CSV, in the order in which they were logged."""
    columns = curves.to_pydict()
    return _text(
        CURVE_COLUMNS, zip(columns["phase"], columns["epoch"], columns["name"], map(repr, columns["value"]), strict=True)
    )


def read_scores(content: bytes, where: str) -> dict[str, SentScore]:
    """What was sent, by image.

    Raises:
        DataError: if it is no such table, has an image twice, or a score that is not finite; naming line and image.
    """
    found: dict[str, SentScore] = {}
    for line, (image, subset, label, subtype, score) in _rows(content, SCORE_COLUMNS, where):
        value = _number(score, f"{where}, line {line}: the score of image {printable(image)!r}")
        if not math.isfinite(value):
            raise DataError(
                f"{where}, line {line}: the score of image {printable(image)!r} is {value}; only finite scores are kept"
            )
        if image in found:
            raise DataError(f"{where}, line {line}: image {printable(image)!r} is scored twice")
        found[image] = SentScore(subset, label, subtype, value)
    return found


def read_curves(content: bytes, where: str) -> list[CurvePoint]:
    """Training curves as sent. Raises DataError naming the line that is no point of one."""
    found: list[CurvePoint] = []
    for line, (phase, epoch, name, value) in _rows(content, CURVE_COLUMNS, where):
        if not epoch.isdecimal() or not epoch.isascii() or len(epoch) > 18:
            raise DataError(f"{where}, line {line}: {printable(epoch, 30)!r} is no number of an epoch")
        if max(len(phase), len(name)) > LONGEST or not (phase + name).isprintable():
            raise DataError(f"{where}, line {line}: a name has unprintable characters, or more than {LONGEST}")
        found.append(CurvePoint(phase, int(epoch), name, _number(value, f"{where}, line {line}: the value")))
    return found


def _text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO()
    # As RFC 4180 says, and because Python quotes only characters of its line end: an id may hold a lone CR.
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue().encode()


def _rows(content: bytes, columns: Sequence[str], where: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with the numbers of their lines."""
    try:
        reader = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
        if next(reader, None) != list(columns):
            raise DataError(f"{where}: its first line is not {','.join(columns)}")
        for row in reader:
            if len(row) != len(columns):
                raise DataError(f"{where}, line {reader.line_num}: {len(row)} values instead of {len(columns)}")
            yield reader.line_num, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{where}: no table of text: {printable(str(error))}") from None


def _number(text: str, what: str) -> float:
    """A number written as we write it, which no other text stands for. Raises DataError."""
    try:
        value = float(text)
    except ValueError:
        raise DataError(f"{what} is no number: {printable(text, 30)!r}") from None
    if repr(value) != text:
        raise DataError(f"{what} is not written as adbench writes it: {printable(text, 30)!r} instead of {value!r}")
    return value
