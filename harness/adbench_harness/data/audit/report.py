"""What an audit says, as plain data, and the file that keeps it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from ...api import AdbenchError
from ...home import make_folder, put_in_place

FORMAT: Final = 1

Severity = Literal["serious", "warning", "note"]
"""Serious: a figure measured so is wrong. Warning: it may be. Note: a fact to know."""
SEVERITIES: Final[tuple[Severity, ...]] = ("serious", "warning", "note")


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True)


class Finding(_Plain):
    """One thing to know about the data."""

    kind: str
    severity: Severity
    title: str
    detail: str
    images: tuple[str, ...]
    """Ids of all samples that it concerns, sorted."""
    numbers: dict[str, int | float | str]


class NearDuplicate(_Plain):
    """Two pictures that are near duplicates; each stands for all of equal pixels."""

    first: str
    second: str
    orientation: str
    """What is done to the second to get the first, in words."""
    distance: int
    """Bits of 256 in which the perceptual hashes differ."""
    correlation: float
    """Of the thumbnails' detail, -1 to 1."""


class DuplicateLists(_Plain):
    """Every duplicate, by sample id."""

    byte_equal: tuple[tuple[str, ...], ...]
    pixel_equal: tuple[tuple[str, ...], ...]
    near: tuple[NearDuplicate, ...]


class Shortcut(_Plain):
    """How well one trivial feature alone tells normal from abnormal."""

    feature: str
    normal: int
    """Images measured."""
    abnormal: int
    auc: float
    """The larger of AUC and 1 - AUC, 0.5 to 1."""
    higher: Literal["normal", "abnormal"]
    """Which images have the higher values."""
    low: float
    """95 % interval of the AUC by Hanley and McNeil's standard error."""
    high: float
    flagged: bool


class Category(_Plain):
    """How many normal and abnormal images are of one mode, or of one file format."""

    feature: Literal["mode", "format"]
    value: str
    normal: int
    abnormal: int
    chance: float
    """Probability that as many images, drawn at random, would all be of one label; 1 if both labels occur."""
    flagged: bool


class Shared(_Plain):
    """Of the images of one subtype, how many are in another dataset as well."""

    subtype: str
    images: int
    byte_equal: int
    pixel_equal: int
    """Equal pixels, but no equal file."""
    near: int
    """A near duplicate, but no equal pixels."""


class Overlap(_Plain):
    """What a dataset shares with another one."""

    other: str
    fingerprint: str
    """Of the other dataset."""
    own: tuple[Shared, ...]
    """This dataset's images, by subtype."""
    theirs: tuple[Shared, ...]
    """The other's."""


class Audit(_Plain):
    """Everything that an audit of a dataset found; the same for the same files, protocol and versions of libraries."""

    format: int = FORMAT
    dataset: str
    fingerprint: str
    samples: int
    counts: dict[str, int]
    """Samples by subtype."""
    protocol: str
    split: int
    method: dict[str, JsonValue]
    """Thresholds, and versions of the libraries that decide what is found."""
    findings: tuple[Finding, ...]
    """The serious ones first."""
    shortcuts: tuple[Shortcut, ...]
    categories: tuple[Category, ...]
    overlaps: tuple[Overlap, ...]
    duplicates: DuplicateLists


def save(audit: Audit, folder: Path) -> Path:
    """Write ``<dataset>-<fingerprint>.json`` beside its place and rename it; an earlier audit of the same data is replaced.

    Raises:
        AdbenchError: if the folder can't be written.
    """
    make_folder(folder, "results folder's part for audits")
    place = folder / f"{audit.dataset}-{audit.fingerprint}.json"
    try:
        with put_in_place(place) as unfinished, unfinished.open("w", encoding="utf-8") as stream:
            stream.write(audit.model_dump_json(indent=1) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise AdbenchError(f"cannot write {place}: {error.strerror or error}; choose another folder with --results") from None
    return place
