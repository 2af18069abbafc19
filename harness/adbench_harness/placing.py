"""Folders of runs put in their place: written beside it, synced and renamed, so that a kill leaves either a whole run or none."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .api import StoreError
from .home import beside


@contextmanager
def placing(place: Path, whole: Callable[[], bool]) -> Iterator[Path]:
    """A folder to write a run's files to, which becomes its place at the end; whoever fills it syncs what it writes.

    Args:
        place: the run's.
        whole: whether a whole run stands there. It was made meanwhile, where locks don't keep two processes apart, and stays; what is no
            whole run is set aside.

    Raises:
        StoreError: if it can't be written (full disk, no permission); nothing half-written stays under the run's name.
    """
    unfinished = beside(place)
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        _put(unfinished, place, whole)
        sync(place.parent)
    except OSError as error:
        raise StoreError(
            f"cannot write run {place}: {error.strerror or error}; free space or choose another --results, then run again"
        ) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _put(unfinished: Path, place: Path, whole: Callable[[], bool]) -> None:
    if whole():
        return
    if place.exists():  # unreadable or altered
        place.rename(set_aside(place))
    try:
        unfinished.rename(place)
    except OSError:
        if not whole():
            raise


def set_aside(place: Path) -> Path:
    """Where what stood in a run's place is kept when the run is written anew."""
    aside, number = beside(place, "replaced"), 2
    while aside.exists():  # in containers machines and processes may have the names of those before them
        aside = aside.with_name(f".{place.name}.again{number}-{os.getpid()}.replaced")
        number += 1
    return aside


@dataclass(frozen=True)
class Unfinished:
    """A folder that was not put in place, or not yet removed."""

    path: Path
    run_id: str
    machine: str
    process: int


def unfinished_folders(runs: Path) -> Iterator[Unfinished]:
    """Each of them, with who made it."""
    for path in sorted(runs.iterdir()) if runs.is_dir() else ():
        if found := re.fullmatch(r"\.(.+)\.([\w-]+)-(\d+)\.(?:tmp|replaced)", path.name):
            yield Unfinished(path, found[1], found[2], int(found[3]))


def sync_all(folder: Path) -> None:
    """Have a folder and all that is in it on the disk. Raises OSError."""
    for path in (*sorted(folder.rglob("*")), folder):
        sync(path)


def sync(path: Path) -> None:
    """Have a file, or a folder's list of names, on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
