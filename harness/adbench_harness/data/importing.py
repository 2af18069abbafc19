"""Bring a dataset's files under the home, checked against the manifest of the original, all or nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from ..api import DataError, DatasetSpec, Edition, ManifestEntry
from ..home import Home, make_folder
from .archive import Member, members
from .hashes import hash_files

Progress = Callable[[int, int], None]
CHUNK: Final = 1 << 20
SHOWN: Final = 5


@dataclass(frozen=True)
class Imported:
    """What an import did."""

    dataset: str
    folder: Path
    files: int
    bytes: int
    edition: str
    already_there: bool = False


def import_dataset(spec: DatasetSpec, source: Path, home: Home, progress: Progress | None = None) -> Imported:
    """Copy the files that the manifest names from an archive or folder into the home.

    Files are recognised by their place below any enclosing folders, so nested copies of an archive work. Other files in the
    source are left where they are.

    Raises:
        DataError: naming the files that are missing from the source or differ from the original; nothing is imported then.
        ArchiveError: if the archive holds what must not be unpacked.
    """
    edition = _edition(spec)
    wanted = {entry.path: entry for entry in edition.files()}
    place = home.dataset(spec.folder_name)
    total = sum(entry.bytes for entry in wanted.values())
    if not source.exists():
        raise DataError(f"{source}: no such file or folder")
    if place.is_dir() and _holds(place, wanted, home):
        return Imported(spec.folder_name, place, len(wanted), total, edition.name, already_there=True)
    make_folder(place.parent, "home's dataset folder")
    unfinished = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        hashes = _copy(source, wanted, unfinished, progress)
        _compare(spec, source, wanted, hashes)
        _replace(unfinished, place)
    except OSError as error:
        raise DataError(f"cannot write {error.filename or unfinished}: {error.strerror or error}; nothing was imported") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Imported(spec.folder_name, place, len(wanted), total, edition.name)


def _edition(spec: DatasetSpec) -> Edition:
    if spec.embedded is not None:
        raise DataError(f"dataset {spec.name} ships with adbench; there is nothing to import")
    if not spec.editions:
        raise DataError(f"dataset {spec.name} has no manifest to check an import against")
    return spec.editions[0]


def _holds(place: Path, wanted: Mapping[str, ManifestEntry], home: Home) -> bool:
    """Whether an earlier import is complete and unaltered."""
    try:
        hashes = hash_files(place, wanted, home.hashes)
    except DataError:
        return False
    return all(hashes[path] == entry.sha256 for path, entry in wanted.items())


def _copy(source: Path, wanted: Mapping[str, ManifestEntry], target: Path, progress: Progress | None) -> dict[str, str]:
    """Copy the wanted members; SHA-256 of each by its manifest path."""
    target.mkdir(parents=True)
    hashes: dict[str, str] = {}
    done = 0
    with members(source) as found:
        for member in found:
            path = _manifest_path(member.path, wanted)
            if path is None or hashes.get(path) == wanted[path].sha256:
                continue
            hashes[path] = _write(member, target / path)
            done += member.size
            if progress is not None:
                progress(done, sum(entry.bytes for entry in wanted.values()))
    return hashes


def _manifest_path(found: PurePosixPath, wanted: Mapping[str, ManifestEntry]) -> str | None:
    """The manifest's path of a member, whatever folders enclose it."""
    parts = [part for part in found.parts if part != "."]
    for start in range(len(parts)):
        candidate = "/".join(parts[start:])
        if candidate in wanted:
            return candidate
    return None


def _write(member: Member, target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    sha256 = hashlib.sha256()
    with target.open("wb", buffering=0) as out:
        while chunk := member.stream.read(CHUNK):
            sha256.update(chunk)
            try:
                out.write(chunk)
            except OSError as error:  # told apart from a damaged archive, which reading reports
                raise DataError(f"cannot write {target}: {error.strerror}; nothing was imported") from None
    return sha256.hexdigest()


def _compare(spec: DatasetSpec, source: Path, wanted: Mapping[str, ManifestEntry], hashes: Mapping[str, str]) -> None:
    missing = sorted(set(wanted) - set(hashes))
    altered = sorted(path for path, sha256 in hashes.items() if sha256 != wanted[path].sha256)
    if len(missing) == len(wanted):
        raise DataError(f"{source}: none of the {len(wanted)} files of {spec.folder_name} is in it; is it the right one?")
    if missing or altered:
        told = [f"{len(paths)} {word} ({_some(paths)})" for word, paths in (("missing", missing), ("altered", altered)) if paths]
        raise DataError(f"{source}: not the original of {spec.folder_name}: {' and '.join(told)}; nothing was imported")


def _some(paths: list[str]) -> str:
    return ", ".join(paths[:SHOWN]) + (", …" if len(paths) > SHOWN else "")


def _replace(unfinished: Path, place: Path) -> None:
    aside = place.with_name(f".{place.name}.{os.getpid()}.old")
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        place.rename(aside)
    unfinished.rename(place)
    shutil.rmtree(aside, ignore_errors=True)
