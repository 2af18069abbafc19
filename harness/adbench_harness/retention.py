"""What may go from a results folder: weights by a rule, pictures, and what killed processes have left behind.

Scores, curves and manifests never go. Two processes may work on one folder: whatever has vanished meanwhile is fine, and of the
weights that a rule keeps the same are kept whoever looks.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, Literal

from filelock import Timeout

from .api import StoreError
from .home import MACHINE, Results
from .locking import held
from .manifest import Cell, Manifest
from .placing import Unfinished, unfinished_folders
from .protocol import digest
from .result import EXAMPLES, WEIGHTS, find_run, read_manifest, run_folders

KeepWeights = Literal["newest", "all", "none"]
"""Of the runs of a variant (model, options, dataset, protocol; any split or seed), whose weights are kept."""

OLD_SECONDS: Final = 24 * 3600.0

Kind = Literal["weights", "examples", "unfinished run", "checkpoint", "lock"]


@dataclass(frozen=True)
class Removable:
    """A file or folder that may go, with all that is in it."""

    kind: Kind
    run_id: str
    path: Path
    bytes: int
    written: int
    """When anything in it was last written, nanoseconds by the clock of its disk."""


def superseded(holders: Iterable[Manifest], keep: KeepWeights) -> set[str]:
    """Ids of the runs whose weights go under a rule, of ``holders``, which all have weights."""
    in_order = sorted(holders, key=lambda manifest: (manifest.created, manifest.run_id))
    newest = {_variant(manifest.cell): manifest.run_id for manifest in in_order}
    everyone = {manifest.run_id for manifest in in_order}
    kept: dict[KeepWeights, set[str]] = {"newest": set(newest.values()), "all": everyone, "none": set()}
    return everyone - kept[keep]


def superseded_weights(results: Results, keep: KeepWeights, like: Cell | None = None) -> list[Removable]:
    """Weights that go under a rule; with ``like`` only those of its variant. A folder that can't be read keeps its weights."""
    if keep == "all":
        return []
    holders = []
    for folder in run_folders(results.runs):
        with suppress(StoreError):
            if (folder / WEIGHTS).is_file() and (manifest := read_manifest(folder)).run_id == folder.name:
                holders.append(manifest)
    if keep == "newest":  # weights from a bundle are what it is verified by: newer ones don't replace them, nor they our own
        holders = [manifest for manifest in holders if manifest.received is None]
    if like is not None:
        holders = [manifest for manifest in holders if _variant(manifest.cell) == _variant(like)]
    return [_removable("weights", run_id, results.runs / run_id / WEIGHTS) for run_id in sorted(superseded(holders, keep))]


def removable(results: Results, keep: KeepWeights, *, examples: bool = False, checkpoints: bool = False) -> list[Removable]:
    """All that may go from a results folder; nothing of a run that is being made now.

    With ``examples`` all pictures, with ``checkpoints`` those of unfinished runs too, which are work.
    """
    found = superseded_weights(results, keep)
    if examples:
        folders = [folder for folder in run_folders(results.runs) if (folder / EXAMPLES).exists()]
        found += [_removable("examples", folder.name, folder / EXAMPLES) for folder in folders]
    return [*found, *_leftovers(results, checkpoints)]


def remove(results: Results, item: Removable) -> bool:
    """Remove it; False if it had gone already, or if somebody has taken the lock or makes the run meanwhile, or did. Raises OSError if it can't be."""
    if item.kind == "lock":
        return _remove_lock(item.path)
    if item.kind in ("checkpoint", "unfinished run"):  # found a while ago: the run may have begun since then, and been stopped
        with _unclaimed(results.lock(item.run_id)) as free:
            return free and _removable(item.kind, item.run_id, item.path) == item and _remove(item.path)
    return _remove(item.path)


def _remove(path: Path) -> bool:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        return False
    return True


def _leftovers(results: Results, checkpoints: bool) -> Iterator[Removable]:
    for left in unfinished_folders(results.runs):
        if _abandoned(left) and not _is_claimed(results.lock(left.run_id)):
            yield _removable("unfinished run", left.run_id, left.path)
    running = sorted(results.running.iterdir()) if results.running.is_dir() else []
    for folder in (path for path in running if path.is_dir() and not path.name.startswith(".")):
        if _is_claimed(results.lock(folder.name)):
            continue
        unfinished = results.checkpoint(folder.name).is_file() and find_run(results.runs, folder.name) is None
        for path in sorted(folder.glob("*.tmp")) if unfinished and not checkpoints else [folder]:
            yield _removable("checkpoint", folder.name, path)
    for path in running:
        run_id = path.name[1:].removesuffix(".lock")
        if path == results.lock(run_id) and not _is_claimed(path):
            yield _removable("lock", run_id, path)


def _variant(cell: Cell) -> str:
    return digest(cell.model_dump(mode="json", exclude={"split", "seed"}))


def _removable(kind: Kind, run_id: str, path: Path) -> Removable:
    size = written = 0
    for part in (path, *path.rglob("*")) if path.is_dir() and not path.is_symlink() else (path,):
        with suppress(FileNotFoundError):
            state = part.lstat()
            size += state.st_size if part.is_symlink() or not part.is_dir() else 0
            written = max(written, state.st_mtime_ns)
    return Removable(kind, run_id, path, size, written)


def _abandoned(left: Unfinished) -> bool:
    """Whether nobody goes on writing it. Process numbers of other machines tell nothing, so theirs has to be old, by the clock of the
    file system and not by those of the machines."""
    if left.machine == MACHINE:
        return not _alive(left.process)
    try:
        with TemporaryFile(dir=left.path.parent) as now:
            return os.fstat(now.fileno()).st_mtime - left.path.stat().st_mtime > OLD_SECONDS
    except OSError:  # gone meanwhile, or a folder that is not ours
        return False


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _is_claimed(lock: Path) -> bool:
    """Whether a process is making the run. It may be on another machine, where process numbers tell nothing."""
    if not lock.exists():
        return False
    try:
        with held(lock, needed=True):
            return False
    except OSError:  # it is taken, or nobody can tell; and what is not ours to open is not ours to clear away
        return True


@contextmanager
def _unclaimed(lock: Path) -> Iterator[bool]:
    """Whether no process is making the run; if so none begins to until the end. A lock that was not there is not there afterwards."""
    known = lock.exists()
    with ExitStack() as stack:
        try:
            stack.enter_context(held(lock, needed=known))
            free = True
        except OSError as error:
            if not known and not isinstance(error, Timeout):
                raise
            free = False
        try:
            yield free
        finally:
            if free and not known:
                lock.unlink(missing_ok=True)


def _remove_lock(path: Path) -> bool:
    """Only who holds a lock may remove its file: two processes could hold two files of one name."""
    if not path.exists():
        return False
    try:
        with held(path, needed=True):
            path.unlink(missing_ok=True)
    except OSError:
        return False
    return True
