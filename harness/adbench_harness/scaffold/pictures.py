"""Images that a new dataset starts with: gray discs, some with a bright spot. To be replaced by its author's own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE: Final = 48
"""Pixels."""
NORMAL: Final = 90
ABNORMAL: Final = 30


def write_pictures(folder: Path) -> None:
    """PNG files in normal/ and abnormal/spot/; the same each time."""
    random = np.random.default_rng(1)
    for kind, count in (("normal", NORMAL), ("abnormal/spot", ABNORMAL)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.fromarray(_disc(random, spot=kind != "normal")).save(folder / kind / f"{number:03}.png")


def _disc(random: np.random.Generator, spot: bool) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    centre = random.normal(0.5, 0.02, 2)
    gray = random.normal(0.4, 0.03) / (1 + np.exp((np.hypot(rows - centre[0], columns - centre[1]) - 0.38) * 50))
    if spot:
        place = random.uniform(0.35, 0.65, 2)
        gray += 0.4 * (np.hypot(rows - place[0], columns - place[1]) < random.uniform(0.05, 0.1))
    noisy = gray + random.normal(0, 0.01, gray.shape)
    return np.asarray(np.rint(noisy.clip(0, 1) * 255), dtype=np.uint8)
