"""Render the site into a folder: only what changed is written, only what was ours is removed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path, PurePosixPath
from typing import Final

import duckdb

from adbench_harness import __version__
from adbench_harness.api import StoreError
from adbench_harness.store.database import reading

from .contents import files
from .site import DEFAULTS, Choices

MARKER: Final = ".adbench-site"
"""Lists the files that we wrote, so that nothing else is ever removed."""
SUFFIXES: Final = frozenset({".bib", ".css", ".csv", ".gz", ".html", ".jpg", ".js", ".json", ".parquet", ".png", ".svg", ".txt"})
"""Of the files that we write."""


def build(database: Path, out: Path, choices: Choices = DEFAULTS) -> Path:
    """Render the site of a database into a folder; path of its index page.

    The same store gives the same bytes. A database that does not exist yet gives a page that says how to make a run.

    Raises:
        StoreError: if the database can't be read, the folder is not a site and not empty, or it can't be written.
    """
    written = _written(out)
    found = dict(_files(database, choices))
    try:
        _write(out, found, written)
    except OSError as error:
        raise StoreError(f"cannot write the site {out}: {error.strerror or error}; choose another folder with --out") from None
    return out / "index.html"


def _files(database: Path, choices: Choices) -> Iterator[tuple[str, bytes]]:
    try:
        with reading(database) if database.is_file() else nullcontext() as db:
            for file in files(db, __version__, choices):
                yield file.path, file.content
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0]
        raise StoreError(f"{database} can't be read ({reason}); it is made from the runs: adbench results rebuild") from None


def _written(out: Path) -> set[str]:
    """The files of the site that is there already."""
    try:
        entries = list(out.iterdir()) if out.exists() else []
        if not entries:
            return set()
        if not (out / MARKER).is_file():
            raise StoreError(f"{out} is not empty and not a site of adbench; choose a new or empty folder with --out")
        return {name for name in (out / MARKER).read_text(encoding="utf-8").splitlines() if _inside(name)}
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"cannot use {out} for the site: {error}; choose another folder with --out") from None


def _inside(name: str) -> bool:
    """Whether a name from the marker stays in the site, wherever the marker comes from."""
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and path.suffix in SUFFIXES


def _write(out: Path, found: Mapping[str, bytes], written: set[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    # Before the first page, so that a build that is cut off is known as ours and cleaned up by the next one.
    _put(out / MARKER, _listing(written | set(found)))
    for name, content in found.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        _put(out / name, content)
    for name in sorted(written - set(found)):
        (out / name).unlink(missing_ok=True)
    _put(out / MARKER, _listing(set(found)))


def _listing(names: set[str]) -> bytes:
    return "".join(f"{name}\n" for name in sorted(names)).encode()


def _put(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
