"""Whether a dataset's files are the original: each by its SHA-256, against the shipped manifest of each edition."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .. import registry
from ..api import DataError, DatasetSpec
from ..home import Home
from .hashes import hash_files
from .original import Comparison, Original, lies_in_litter
from .record import read_record


@dataclass(frozen=True)
class Verification:
    """What was found in a folder."""

    folder: Path
    files: tuple[str, ...]
    """Those that are compared, by their paths in the folder."""
    comparisons: tuple[Comparison, ...]
    """One an edition, the nearest first."""
    others: tuple[str, ...]
    """Files that are in none of the original's folders, and second copies; they don't count."""

    @property
    def edition(self) -> str | None:
        """The edition that the folder holds, whole and unaltered; None if it holds none."""
        return next((comparison.edition for comparison in self.comparisons if comparison.matches), None)


@dataclass(frozen=True)
class Standing:
    """What a copy may be called in a run."""

    edition: str | None
    """None for a partial copy, and for a dataset whose original is not known."""
    partial: str | None
    """How a copy that was taken in as partial differs from the nearest edition; None if it does not."""


UNKNOWN_ORIGINAL: Final = Standing(None, None)


def owner(spec: DatasetSpec) -> DatasetSpec:
    """The dataset that has the files: itself, or the one whose files it reads."""
    return registry.dataset(spec.storage).spec if spec.storage is not None else spec


def verify_folder(spec: DatasetSpec, root: Path, home: Home, needed_only: bool = False) -> Verification:
    """Compare the files of a folder with every edition; ``needed_only`` leaves out what no sample needs.

    Raises:
        DataError: if a file can't be read, or the dataset has no manifest.
    """
    if not spec.editions:
        raise DataError(f"dataset {spec.name} has no manifest of an original to compare with")
    original = Original(spec)
    placed: dict[str, str] = {}
    others: list[str] = []
    for path in _files(root):
        place = original.place(path)
        if place is None or place in placed:
            others.append(path)
        elif not (needed_only and original.is_optional(place)):
            placed[place] = path
    hashes = hash_files(root, placed.values(), home.hashes)
    comparisons = original.compare({place: hashes[path] for place, path in placed.items()})
    return Verification(root, tuple(placed.values()), tuple(comparisons), tuple(sorted(others)))


def _files(root: Path) -> list[str]:
    """Every file below a folder, the outermost first, so that of two copies the outer one counts."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename or root}: {error.strerror or error}") from None

    found: list[str] = []
    for folder, _, names in os.walk(root, onerror=refuse):
        inside = Path(folder).relative_to(root).as_posix()
        found += [name if inside == "." else f"{inside}/{name}" for name in names]
    return sorted((path for path in found if not lies_in_litter(path)), key=lambda path: (path.count("/"), path))


def standing(spec: DatasetSpec, root: Path, home: Home) -> Standing:
    """Whether a run on these files is one on the original.

    Raises:
        DataError: if they differ from every edition and were not taken in as a partial copy.
    """
    own = owner(spec)
    if own.embedded is not None or not own.editions:
        return UNKNOWN_ORIGINAL
    found = verify_folder(own, root, home, needed_only=True)
    if found.edition is not None:
        return Standing(found.edition, None)
    nearest = found.comparisons[0]
    record = read_record(own, home)
    if record is None or not record.partial:
        raise DataError(
            f"{root} is not the original of {own.name}: {nearest.summary()}; "
            f"see every file: adbench datasets verify {own.name}; then import it again, or take it as it is with --allow-partial"
        )
    return Standing(None, nearest.brief())
