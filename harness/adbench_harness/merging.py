"""Stores of one user into one: runs that are not here are copied, unequal results of one run id are kept as replicates.

The other store is only read. Runs are copied one after the other, each beside its place, synced, manifest last, and renamed: a kill
leaves whole runs, and merging again goes on.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from .api import AdbenchError, StoreError
from .home import Results, beside, make_folder, put_in_place
from .locking import claimed
from .placing import sync
from .replicates import Comparison, WholeRun, compared, replicate_folders, whole_run
from .result import EXAMPLES, MANIFEST, WEIGHTS, read_manifest
from .status import FILE as STATUS
from .status import read_checks
from .store.audits import audit_files

What = Literal["new", "same", "replicate"]
WhatAudit = Literal["new", "same", "differs"]
CHUNK: Final = 1 << 20
"""Bytes that are read at a time."""


@dataclass(frozen=True)
class Taken:
    """What became of a run of another store."""

    run_id: str
    source: Path
    """Its folder there."""
    what: What
    """"same" if its scores are here already, as the run or as a replicate."""
    folder: Path
    """Where it is here."""
    left_out: tuple[str, ...] = ()
    """Weights and pictures that were not copied, since they are not what the run wrote."""
    comparison: Comparison | None = None
    """Of what is kept as a replicate, now or before, beside the run here."""


@dataclass
class Merged:
    """What a merge did, or would do."""

    runs: list[Taken] = field(default_factory=list)
    audits: dict[Path, WhatAudit] = field(default_factory=dict)
    """By file of the other store; one that differs from ours was not taken."""
    refused: dict[Path, str] = field(default_factory=dict)
    """What was not taken, and why."""

    def of(self, what: What) -> list[Taken]:
        """Those of which that became."""
        return [one for one in self.runs if one.what == what]

    @property
    def unequal(self) -> list[Taken]:
        """Replicates, kept now or before; those that differ most first."""
        found = [(one.comparison.agreement.share, one) for one in self.runs if one.comparison]
        return [one for _, one in sorted(found, key=lambda pair: (-pair[0], pair[1].run_id, str(pair[1].folder)))]


def merge(
    others: Sequence[Results], into: Results, *, dry_run: bool = False, advance: Callable[[int, int | None], None] | None = None
) -> Merged:
    """Take in what others have and ``into`` lacks; nothing that is here is changed.

    Args:
        others: results folders, in the order in which they are taken.
        into: made if it is not there.
        dry_run: write nothing, and say what would be done.
        advance: called with (folders looked at, all folders).

    Raises:
        StoreError: if one of the others is no results folder, or this one can't be written (full disk); what was taken is whole.
    """
    for other in others:
        _check(other, into)
    if not dry_run:
        make_folder(into.runs, "results folder")
    done, planned = Merged(), dict[str, list[WholeRun]]()
    folders = [(folder, run_id) for other in others for folder, run_id in _folders(other)]
    try:
        for number, (folder, run_id) in enumerate(folders):
            if advance:
                advance(number, len(folders))
            try:
                done.runs.append(_plan(folder, run_id, into, planned) if dry_run else _take(folder, run_id, into))
            except AdbenchError as error:
                done.refused[folder] = str(error)
        _take_audits(others, into, done, dry_run)
    except OSError as error:
        raise StoreError(
            f"cannot write to {into.root}: {error.strerror or error}; what was merged so far is whole: free space, then merge again"
        ) from None
    return done


def _check(other: Results, into: Results) -> None:
    if not other.root.exists():
        raise StoreError(f"there is no results folder {other.root}")
    if not other.root.is_dir():
        raise StoreError(f"{other.root} is no results folder; bundles come in with: adbench results import")
    if into.root.exists() and other.root.samefile(into.root):
        raise StoreError(f"{other.root} is the results folder itself; name another, or say with --results into which to merge")
    if not other.runs.is_dir():
        raise StoreError(f"{other.root} is no results folder: it has no folder {other.runs.name} of finished runs")
    try:
        list(other.runs.iterdir())
    except OSError as error:
        raise StoreError(f"{other.runs} cannot be read: {error.strerror}") from None


def _folders(other: Results) -> Iterator[tuple[Path, str]]:
    """Every folder that should be a run, with its id: the runs first, so that they stand for their ids, then the replicates."""
    runs = [path for path in sorted(other.runs.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    yield from ((folder, folder.name) for folder in runs)
    replicated = sorted(other.replicates.iterdir()) if other.replicates.is_dir() else []
    for run in (path for path in replicated if not path.name.startswith(".")):
        yield from ((folder, run.name) for folder in replicate_folders(other, run.name))


def _plan(folder: Path, run_id: str, into: Results, planned: dict[str, list[WholeRun]]) -> Taken:
    """What would become of a run, after those that were ``planned`` before."""
    found = whole_run(folder, run_id)
    before = planned.setdefault(run_id, [])
    taken = _judge(found, [*_here(into, run_id), *before], into)
    if taken.what != "same":
        before.append(found)
    return taken


def _take(folder: Path, run_id: str, into: Results) -> Taken:
    """Copy what is not here. Raises AdbenchError if it is damaged or can't be read, OSError if it can't be written."""
    found = whole_run(folder, run_id)
    taken = _judge(found, _here(into, run_id), into)
    if taken.what == "same":
        return taken
    with claimed(run_id, into):
        taken = _judge(found, _here(into, run_id), into)  # once more: another process may have made it meanwhile
        if taken.what == "same":
            return taken
        left_out = _copy(found, into, taken.folder)
    return Taken(run_id, folder, taken.what, taken.folder, left_out, taken.comparison)


def _here(into: Results, run_id: str) -> list[WholeRun]:
    """The run as it is here, then its replicates; nothing if the run is not here. Raises StoreError if one of them is damaged."""
    place = into.runs / run_id
    if not os.path.lexists(place):
        return []
    folders = [place, *replicate_folders(into, run_id)]
    try:
        return [whole_run(folder, run_id) for folder in folders]
    except StoreError as error:
        raise StoreError(f"what is here of run {run_id} is damaged: {error}; restore or remove it, then merge again") from None


def _judge(found: WholeRun, here: Sequence[WholeRun], into: Results) -> Taken:
    """What a run is beside what is here of its id."""
    run_id, place = found.manifest.run_id, into.runs / found.manifest.run_id
    if here and found.equals(here[0]):
        return Taken(run_id, found.folder, "same", place)
    scores = found.scores
    if not here:
        return Taken(run_id, found.folder, "new", place)
    what: What = "same" if scores in {one.scores for one in here[1:]} else "replicate"
    return Taken(run_id, found.folder, what, into.replicates / run_id / scores, comparison=compared(here[0], found))


def _copy(found: WholeRun, into: Results, place: Path) -> tuple[str, ...]:
    """Copy a run, whole or not at all; which weights and pictures were left out."""
    # Always below `runs`: what a kill leaves there has a name that `prune` knows.
    unfinished = beside(into.runs / found.manifest.run_id)
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        left_out = _copy_files(found, unfinished)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.rename(place)
        except OSError:
            if place.exists():
                raise StoreError(f"run {place.name} was made by another process meanwhile; merge again") from None
            raise
        for folder in (place.parent, place.parent.parent, into.root):
            sync(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return left_out


def _copy_files(found: WholeRun, unfinished: Path) -> tuple[str, ...]:
    unfinished.mkdir(parents=True)
    folders, left_out = {unfinished}, []
    for name, sha256 in sorted(found.manifest.files.items()):
        source, target = found.folder / name, unfinished / name
        optional = name == WEIGHTS or name.startswith(f"{EXAMPLES}/")
        if optional and not source.is_file():  # removed by a rule
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        folders.add(target.parent)
        if _copy_file(source, target) == sha256:
            continue
        if not optional:
            raise StoreError(f"{source} was changed while it was copied; merge again")
        target.unlink()
        left_out.append(name)
    if (found.folder / STATUS).exists():
        _copy_file(found.folder / STATUS, unfinished / STATUS)
    read_checks(unfinished, found.manifest.run_id)
    for folder in folders:
        sync(folder)
    _copy_file(found.folder / MANIFEST, unfinished / MANIFEST)
    if read_manifest(unfinished) != found.manifest:
        raise StoreError(f"{found.folder / MANIFEST} was changed while it was copied; merge again")
    sync(unfinished)
    return tuple(left_out)


def _copy_file(source: Path, target: Path) -> str:
    """Copy and sync; the SHA-256 of what was written. Raises StoreError if it can't be read, OSError if it can't be written."""
    sha256 = hashlib.sha256()
    with target.open("wb") as stream:
        for chunk in _chunks(source):
            sha256.update(chunk)
            stream.write(chunk)
        stream.flush()
        os.fsync(stream.fileno())
    return sha256.hexdigest()


def _chunks(source: Path) -> Iterator[bytes]:
    try:
        with source.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except OSError as error:
        raise StoreError(f"{source}: cannot be read: {error.strerror or error}") from None


def _take_audits(others: Sequence[Results], into: Results, done: Merged, dry_run: bool) -> None:
    """Copy the audits of copies of datasets that were not audited here; where both have one, ours stays."""
    ours = {path.name: path.read_bytes() for path in into.audits.glob("*.json")}
    for other in others:
        files, refused = audit_files(other.audits)
        done.refused |= {other.root / name: f"{other.root / name}: {reason}" for name, reason in refused.items()}
        for name, file in files.items():
            if name in ours:
                done.audits[other.audits / name] = "same" if ours[name] == file.content else "differs"
                continue
            done.audits[other.audits / name] = "new"
            ours[name] = file.content
            if not dry_run:
                _put_audit(into.audits / name, file.content)


def _put_audit(place: Path, content: bytes) -> None:
    make_folder(place.parent, "results folder")
    with put_in_place(place) as unfinished, unfinished.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    sync(place.parent)
