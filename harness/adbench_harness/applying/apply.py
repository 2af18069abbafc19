"""Scores and anomaly maps of new images, made as the run made those of its test images."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..api import AdbenchError, OptionError, StoreError
from ..data.images import DeviceImages
from ..data.prepare import Prepared
from ..device import DTYPES, reproducible
from ..drawing import draw_maps, png
from ..home import put_in_place
from ..registry import blamed
from ..result import read_examples
from ..scoring import score_images
from .detector import StoredDetector
from .files import read_images

TOGETHER: Final = 256
"""Images that are read at a time: bounds the memory."""
ENDING: Final = ".map.png"

Progress = Callable[[int, int], None]


@dataclass
class Applied:
    """What a detector makes of new images."""

    scores: dict[Path, float] = field(default_factory=dict)
    maps: dict[Path, NDArray[np.float32]] = field(default_factory=dict)
    """(size, size) each; empty if they were not asked for, or the detector makes none."""
    failed: dict[Path, str] = field(default_factory=dict)
    """Files that can't be read, and why."""


def apply(stored: StoredDetector, paths: Sequence[Path], *, maps: bool = False, progress: Progress | None = None) -> Applied:
    """Score images, and with ``maps`` draw where they are abnormal. A file that can't be read is named, and the others go on.

    Raises:
        AdbenchError: if the detector fails.
    """
    done = Applied()
    for start in range(0, len(paths), TOGETHER):
        pixels, read, failed = read_images(paths[start : start + TOGETHER], stored.rules)
        done.failed |= failed
        if read:
            _apply(stored, pixels, read, done, maps)
        if progress is not None:
            progress(min(start + TOGETHER, len(paths)), len(paths))
    return done


def _apply(stored: StoredDetector, pixels: NDArray[np.uint8], paths: Sequence[Path], done: Applied, maps: bool) -> None:
    rows = {str(number): number for number in range(len(paths))}
    images = DeviceImages(Prepared(pixels, rows, stored.folder), list(rows), stored.device, DTYPES[stored.rules.precision])
    batch, seed = stored.rules.batch_size, stored.manifest.cell.seed
    spread = float(np.ptp(stored.scores.score)) if len(stored.scores.score) else 0.0
    with reproducible(), blamed("model", stored.source, "in scoring"):
        scores = score_images(stored.detector, images, batch, stored.device, None, seed, may_be_equal=True, spread=spread)
        drawn = draw_maps(stored.detector, images, batch, stored.device, seed) if maps else None
    done.scores |= dict(zip(paths, scores.tolist(), strict=True))
    if drawn is not None:
        done.maps |= dict(zip(paths, drawn.astype(np.float32), strict=True))


def maps_folder(folder: Path, images: Sequence[Path]) -> Path:
    """Make the folder for maps, before anything is scored.

    Raises:
        OptionError: if it lies among the images, where maps would be taken for images the next time.
        AdbenchError: if it can't be written.
    """
    inside = folder.absolute()
    if among := [place for place in images if place.is_dir() and inside.is_relative_to(place.absolute())]:
        raise OptionError(f"--maps {folder} lies in {among[0]}, where maps would be taken for images; choose a folder elsewhere")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError as error:
        raise AdbenchError(f"cannot make the folder of maps {folder}: {error.strerror}; choose another with --maps") from None
    if not writable:
        raise AdbenchError(f"the folder of maps {folder} is not writable; choose another with --maps")
    return folder


def white_of(stored: StoredDetector, done: Applied) -> tuple[float, bool]:
    """The value that white stands for, and whether it is that of the run's own pictures, which any two calls share.

    Where the run keeps no pictures of maps, white is the highest value of the maps that were made.
    """
    with suppress(StoreError):
        kept = read_examples(stored.folder, stored.manifest.files, pictures=False)
        whites = [example.map_white for example in kept.listed if example.map_white is not None] if kept is not None else []
        if whites:
            return whites[0], True
    return max((float(drawn.max()) for drawn in done.maps.values()), default=0.0) or 1.0, False


def write_maps(folder: Path, names: Mapping[Path, str], done: Applied, white: float) -> dict[Path, Path]:
    """Write each map as a gray PNG of the size of prepared images, ``NAME.map.png``; returns the files by image.

    Raises:
        AdbenchError: if one can't be written.
    """
    written = {}
    for path, drawn in done.maps.items():
        target = folder / f"{names[path]}{ENDING}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with put_in_place(target) as unfinished:
                unfinished.write_bytes(png(drawn[None].astype(np.float64) / white))
        except OSError as error:
            raise AdbenchError(
                f"cannot write {target}: {error.strerror or error}; free space, or choose another --maps"
            ) from None
        written[path] = target
    return written
