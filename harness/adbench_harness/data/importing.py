"""Bring a dataset's files under the home, compared with the manifest of each edition, all or nothing."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ..api import DataError, DatasetSpec
from ..home import Home, beside, make_folder
from ..registry import blamed
from .archive import Member, members
from .original import Comparison, Original, lies_in_litter
from .record import How, ImportRecord, read_record, write_record
from .verifying import verify_folder

Progress = Callable[[int, int | None], None]
"""Called with (bytes done, bytes in all or None)."""
CHUNK: Final = 1 << 20
ARCHIVES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".rar", ".7z")


@dataclass(frozen=True)
class Imported:
    """What an import did."""

    record: ImportRecord
    comparison: Comparison
    """With the edition that it is, or is nearest to."""
    already_there: bool = False


def import_dataset(
    spec: DatasetSpec,
    source: Path,
    home: Home,
    progress: Progress | None = None,
    *,
    how: How = "copied",
    allow_partial: bool = False,
) -> Imported:
    """Take a dataset in from an archive or folder.

    Files are recognised by their place below any enclosing folders, so nested copies of an archive work. Files of which the
    original has no folder are left where they are. ``how`` "linked" and "in place" need a folder; then nothing is copied, and
    the folder must stay.

    Raises:
        DataError: naming the files that are missing from the source or differ from the original, unless ``allow_partial``;
            or what the plugin can't list. Nothing is imported then.
        ArchiveError: if the archive holds what must not be unpacked.
    """
    _check_possible(spec, source, how)
    if (there := _already_there(spec, source, home, how)) is not None:
        return there
    place = home.dataset(spec.folder_name)
    make_folder(place.parent, "home's dataset folder")
    unfinished = beside(place)
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        root, comparison, size = _take(spec, source, home, unfinished, how, progress)
        _judge(spec, source, comparison, allow_partial)
        with blamed("dataset", spec.name, "to list its samples"):
            spec.samples(root)
        if how != "in place":
            _replace(unfinished, place)
        else:
            _remove(place)
        record = _record(spec, source, root if how == "in place" else place, how, comparison, size)
        write_record(record, spec, home)
    except OSError as error:
        raise DataError(f"cannot write {error.filename or unfinished}: {error.strerror or error}; nothing was imported") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Imported(record, comparison)


def _check_possible(spec: DatasetSpec, source: Path, how: How) -> None:
    if spec.embedded is not None:
        raise DataError(f"dataset {spec.name} ships with adbench; there is nothing to import")
    if spec.at is not None:
        raise DataError(f"dataset {spec.name} is not imported; name the folder in its place: {spec.name}:{source}")
    if not spec.editions:
        raise DataError(f"dataset {spec.name} has no manifest to check an import against")
    if not source.exists():
        raise DataError(f"{source}: no such file or folder")
    if how != "copied" and not source.is_dir():
        raise DataError(f"{source}: only a folder can be {how.replace('in place', 'used in place')}; unpack the archive first")


def _already_there(spec: DatasetSpec, source: Path, home: Home, how: How) -> Imported | None:
    """An earlier import of the same kind that is complete and unaltered."""
    try:
        record = read_record(spec, home)
        if record is None or record.how != how or (how != "copied" and record.source != source.absolute()):
            return None
        found = verify_folder(spec, record.folder, home)
    except DataError:
        return None
    nearest = found.comparisons[0]
    return Imported(record, nearest, already_there=True) if nearest.matches and record.edition == nearest.edition else None


def _take(
    spec: DatasetSpec, source: Path, home: Home, unfinished: Path, how: How, progress: Progress | None
) -> tuple[Path, Comparison, int]:
    """Where the files lie now, the edition they are nearest to, and their size in bytes."""
    if how == "in place":
        root = source.absolute()
        found = verify_folder(spec, root, home)
        return root, found.comparisons[0], sum((root / path).stat().st_size for path in found.files)
    taken = _Taken(Original(spec), unfinished, link=how == "linked", progress=progress)
    taken.take(source)
    if not taken.hashes:
        raise DataError(_nothing_found(spec, source, taken))
    return unfinished, taken.original.compare(taken.hashes)[0], taken.bytes


@dataclass
class _Taken:
    """The files that are brought from a source, under the original's paths."""

    original: Original
    target: Path
    link: bool
    progress: Progress | None
    hashes: dict[str, str] = field(default_factory=dict)
    archives: list[str] = field(default_factory=list)
    bytes: int = 0

    def take(self, source: Path) -> None:
        self.target.mkdir(parents=True)
        with members(source) as found:
            for member in found:
                if lies_in_litter(str(member.path)):
                    continue
                place = self.original.place(str(member.path))
                if place is None:
                    self.archives += [str(member.path)] if member.path.name.lower().endswith(ARCHIVES) else []
                # A second copy counts only where the first is not the original's.
                elif place not in self.hashes or not self.original.is_right(place, self.hashes[place]):
                    self._bring(member, place, source)

    def _bring(self, member: Member, place: str, source: Path) -> None:
        target = self.target / place
        first = place not in self.hashes
        beside = target if first else target.with_name(f"{target.name}.second")
        beside.parent.mkdir(parents=True, exist_ok=True)
        sha256 = _link(member, beside, source) if self.link else _write(member, beside)
        if not first and not self.original.is_right(place, sha256):
            beside.unlink()
            return
        beside.replace(target)
        self.hashes[place] = sha256
        self.bytes += member.size if first else 0
        if self.progress is not None:
            self.progress(self.bytes, self.original.known_bytes)


def _link(member: Member, target: Path, source: Path) -> str:
    """Link to a file of a folder; the digest of what it holds."""
    file = (source / member.path).resolve()
    target.symlink_to(file)
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write(member: Member, target: Path) -> str:
    sha256 = hashlib.sha256()
    with target.open("wb", buffering=0) as out:
        while chunk := member.stream.read(CHUNK):
            sha256.update(chunk)
            try:
                out.write(chunk)
            except OSError as error:  # told apart from a damaged archive, which reading reports
                raise DataError(f"cannot write {target}: {error.strerror}; nothing was imported") from None
    return sha256.hexdigest()


def _nothing_found(spec: DatasetSpec, source: Path, taken: _Taken) -> str:
    if taken.archives:
        return (
            f"{source} holds none of the files of {spec.folder_name}, but an archive ({taken.archives[0]}); "
            "unpack that one and import what is in it"
        )
    return f"{source}: none of the files of {spec.folder_name} is in it; is it the right one?"


def _judge(spec: DatasetSpec, source: Path, comparison: Comparison, allow_partial: bool) -> None:
    if not comparison.present:
        raise DataError(
            f"{source}: none of the files of {spec.folder_name} is in it, at most others of the same names; is it the right one?"
        )
    if not comparison.matches and not allow_partial:
        raise DataError(
            f"{source}: not the original of {spec.folder_name} (edition {comparison.edition}): {comparison.summary()}; "
            "nothing was imported (--allow-partial takes it in as a partial copy, whose runs are never ranked)"
        )


def _record(spec: DatasetSpec, source: Path, folder: Path, how: How, comparison: Comparison, size: int) -> ImportRecord:
    return ImportRecord(
        dataset=spec.folder_name,
        how=how,
        folder=folder,
        source=source.absolute(),
        imported=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        edition=comparison.edition if comparison.matches else None,
        files=len(comparison.present) + len(comparison.altered) + len(comparison.unexpected),
        bytes=size,
    )


def _replace(unfinished: Path, place: Path) -> None:
    aside = beside(place, "old")
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        place.rename(aside)
    unfinished.rename(place)
    shutil.rmtree(aside, ignore_errors=True)


def _remove(place: Path) -> None:
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)
