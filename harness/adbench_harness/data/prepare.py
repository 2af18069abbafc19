"""The cache of prepared images: decoded and resized once, in parallel, found again by content.

An entry is a folder named by the digest of all that decides its pixels. It is written beside its place and renamed, so that
two processes that prepare the same thing each write a whole entry, and one of them stays.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from ..api import DataError, FitRules, Sample
from ..home import Home, beside, make_folder
from ..protocol import digest
from .decode import decode, decoders
from .decoding import EachFile, Progress
from .listing import Listing

FORMAT: Final = 1


@dataclass(frozen=True)
class Prepared:
    """Prepared images, read through a memory map."""

    pixels: NDArray[np.uint8]
    """(N, size, size, channels)."""
    rows: dict[str, int]
    """Sample id to row of ``pixels``."""
    folder: Path


def prepare(
    listing: Listing, samples: Sequence[Sample], rules: FitRules, home: Home, progress: Progress | None = None
) -> Prepared:
    """Prepared images of ``samples``, from the cache or made now.

    Raises:
        DataError: naming each image that is missing or corrupt (the first few), with its dataset.
        AdbenchError: if the home can't be written.
    """
    ordered = sorted(samples, key=lambda sample: sample.id)
    place = home.prepared / cache_key(listing, ordered, rules)
    ids = [sample.id for sample in ordered]
    if (found := _open(place, ids, rules)) is not None:
        return found
    make_folder(home.prepared, "home's cache folder")
    _make(listing, ordered, rules, place, progress)
    made = _open(place, ids, rules)
    if made is None:
        raise DataError(f"prepared images in {place} can't be read back; is the disk sound?")
    return made


def _open(place: Path, ids: list[str], rules: FitRules) -> Prepared | None:
    """A whole entry, or None: one that is missing or damaged is made again."""
    shape = (len(ids), rules.image_size, rules.image_size, 3 if rules.colour == "rgb" else 1)
    try:
        pixels = np.load(place / "images.npy", mmap_mode="r")
        kept = json.loads((place / "index.json").read_text())["ids"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if kept != ids or pixels.shape != shape or pixels.dtype != np.uint8:
        return None
    return Prepared(pixels, {sample_id: row for row, sample_id in enumerate(ids)}, place)


def cache_key(listing: Listing, ordered: Sequence[Sample], rules: FitRules) -> str:
    """Digest of everything that decides the pixels of an entry."""
    settings = rules.model_dump(mode="json", include={"image_size", "resize", "resize_filter", "colour"})
    crops = [
        [s.id, listing.hashes[s.path], [s.box.left, s.box.top, s.box.right, s.box.bottom] if s.box else None] for s in ordered
    ]
    return digest([FORMAT, settings, decoders(listing.root / sample.path for sample in ordered), crops])


def _make(listing: Listing, ordered: Sequence[Sample], rules: FitRules, place: Path, progress: Progress | None) -> None:
    ids = [sample.id for sample in ordered]
    unfinished = beside(place)
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        _write_pixels(listing, ordered, rules, unfinished / "images.npy", progress)
        (unfinished / "index.json").write_text(json.dumps({"dataset": listing.spec.name, "ids": ids}))
        for path in unfinished.iterdir():
            _sync(path)
        _put(unfinished, place, lambda: _open(place, ids, rules) is not None)
    except OSError as error:
        raise DataError(
            f"cannot write prepared images to {unfinished}: {error.strerror or error}; free space or choose another --home"
        ) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _put(unfinished: Path, place: Path, whole: Callable[[], bool]) -> None:
    """Rename into place; if another process was faster, its entry has the same content and stays."""
    if place.exists() and not whole():
        shutil.rmtree(place)
    try:
        unfinished.rename(place)
    except OSError:
        if not whole():
            raise


def _write_pixels(listing: Listing, ordered: Sequence[Sample], rules: FitRules, target: Path, progress: Progress | None) -> None:
    channels = 3 if rules.colour == "rgb" else 1
    rows_of: dict[str, list[int]] = {}
    for row, sample in enumerate(ordered):
        rows_of.setdefault(sample.path, []).append(row)
    shape = (len(ordered), rules.image_size, rules.image_size, channels)
    with _PixelFile(target, shape) as pixels:

        def work(path: str) -> int:
            rows = rows_of[path]
            pixels.write(rows, decode(listing.root / path, [ordered[row].box for row in rows], rules))
            return len(rows)

        each_file = EachFile(work)
        done = 0
        for made in each_file(list(rows_of)):
            done += made
            if progress is not None:
                progress(done, len(ordered))
    each_file.refuse(listing.spec.name)


class _PixelFile:
    """A ``.npy`` file of uint8 whose rows are written in any order.

    Not through a memory map: its pages count as ours, so a large set would seem to fill the memory.
    """

    def __init__(self, target: Path, shape: tuple[int, int, int, int]) -> None:
        made = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint8, shape=shape)
        self._start, self._row = int(made.offset), int(made[0].nbytes)
        del made
        _reserve(target)
        self._stream, self._lock = target.open("r+b"), threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def write(self, rows: Sequence[int], pixels: NDArray[np.uint8]) -> None:
        """Put ``pixels`` (len(rows), size, size, channels) at their rows. Raises OSError."""
        with self._lock:
            for row, values in zip(rows, pixels, strict=True):
                self._stream.seek(self._start + row * self._row)
                self._stream.write(values.tobytes())


def _reserve(target: Path) -> None:
    """Take the disk space now: a memory map that meets a full disk kills the process, an allocation raises OSError."""
    if hasattr(os, "posix_fallocate"):
        with target.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, target.stat().st_size)


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
