"""The form of a bundle: which files it has, how large they may be, and the index that names them.

A bundle is a zip archive in which nothing is compressed, so that nothing in it can unfold:

    index.json                        format, runs, and size and SHA-256 of every other file
    index.json.sig                    if it is signed: an SSH signature of index.json
    runs/<run_id>/manifest.json       what the run says of itself, less the command as it was typed
    runs/<run_id>/scores.csv          image, subset, label, subtype, score
    runs/<run_id>/curves.csv          phase, epoch, name, value
    runs/<run_id>/weights.safetensors     if they were asked for
    runs/<run_id>/examples/               if they were asked for: examples.json and PNG files

Tables are text, where the run folder has Parquet: text of n bytes is n bytes once it is read, while a column of Parquet can be
packed to stand for any size, and its reader is a large program to give to strangers.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..api import DataError

FORMAT: Final = 1
INDEX: Final = "index.json"
SIGNATURE: Final = "index.json.sig"
MANIFEST: Final = "manifest.json"
SCORES: Final = "scores.csv"
CURVES: Final = "curves.csv"
WEIGHTS: Final = "weights.safetensors"
EXAMPLES: Final = "examples/examples.json"
SUFFIX: Final = ".adbench"

RUN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
PICTURE: Final = re.compile(r"examples/\d\d-(input|reconstruction|map)\.png")
ALWAYS: Final = (MANIFEST, SCORES, CURVES)
"""What every run of a bundle has."""

KIB: Final = 1 << 10
MIB: Final = 1 << 20
LARGEST: Final = {
    INDEX: 16 * MIB,
    SIGNATURE: 16 * KIB,
    MANIFEST: MIB,
    SCORES: 256 * MIB,
    CURVES: 64 * MIB,
    WEIGHTS: 4096 * MIB,
    EXAMPLES: MIB,
}
"""Bytes that a file may have; the largest dataset here has about 1 MiB of scores."""
LARGEST_PICTURE: Final = 8 * MIB
"""More than 1024 x 1024 pixels of noise."""


class Entry(BaseModel):
    """A file of a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Index(BaseModel):
    """What a bundle holds; a signature is of this, and so of all that it names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    adbench: Annotated[str, Field(max_length=50)]
    """The version that wrote it."""
    runs: tuple[str, ...]
    """Ids."""
    files: dict[str, Entry]
    """By path."""

    def of(self, run_id: str) -> dict[str, Entry]:
        """Files of a run, by their path below its folder."""
        start = f"runs/{run_id}/"
        return {name.removeprefix(start): entry for name, entry in self.files.items() if name.startswith(start)}


class _Format(BaseModel):
    format: int


def read_index(content: bytes, where: str) -> Index:
    """The index of the bundle ``where``.

    Raises:
        DataError: if it is none, is of a format that this adbench does not know, names a run twice, or a file that no bundle has.
    """
    try:
        stated = _Format.model_validate_json(content).format
    except ValidationError:
        raise DataError(f"{where}: {INDEX} is not the index of a bundle; ask the sender for another export") from None
    if stated != FORMAT:
        what = "upgrade: pip install --upgrade adbench-harness" if stated > FORMAT else "ask the sender for another export"
        raise DataError(f"{where}: a bundle of format {stated}, and this adbench reads format {FORMAT}; {what}")
    try:
        index = Index.model_validate_json(content)
    except ValidationError as error:
        raise DataError(f"{where}: {INDEX} is not the index of a bundle: {first_problem(error)}") from None
    _check(index, where)
    return index


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong with data, with its place, as text that breaks no line."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return printable(f"{place}: {first['msg']}" if place else first["msg"])


def printable(words: str, longest: int = 300) -> str:
    """Words of a stranger for a message: no control characters, not endless."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in words[:longest])
    return shown + ("…" if len(words) > longest else "")


def _check(index: Index, where: str) -> None:
    if not index.runs:
        raise DataError(f"{where}: holds no run")
    for run_id in index.runs:
        if not RUN_ID.fullmatch(run_id):
            raise DataError(f"{where}: {printable(run_id)!r} is no id of a run, refused; nothing was imported")
        if index.runs.count(run_id) > 1:
            raise DataError(f"{where}: names run {run_id} twice, refused; nothing was imported")
        if missing := [name for name in ALWAYS if name not in index.of(run_id)]:
            raise DataError(f"{where}: run {run_id} lacks {missing[0]}; ask the sender for another export")
    known = {f"runs/{run_id}/": run_id for run_id in index.runs}
    for name, entry in index.files.items():
        run = next((start for start in known if name.startswith(start)), None)
        largest = None if run is None else largest_of(name.removeprefix(run))
        if largest is None:
            raise DataError(f"{where}: {printable(name)!r} is no file of a bundle, refused; nothing was imported")
        if entry.bytes > largest:
            raise DataError(f"{where}: {name} has {entry.bytes:,} bytes, more than {largest:,}, refused; nothing was imported")


def largest_of(name: str) -> int | None:
    """Bytes that a run's file of that name may have; None if a run has no such file."""
    if PICTURE.fullmatch(name):
        return LARGEST_PICTURE
    return LARGEST.get(name) if name not in (INDEX, SIGNATURE) else None
