"""The easy case: discs with soft edges, and the same with a bright square; anyone sees which are abnormal.

Made from a seed, at the size and in the colours that are asked for, so that a check needs no data. A detector that can't tell
these apart after the stated budget has its scores the wrong way round, or learns nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NAME: Final = "bright-square"
TRAIN: Final = 48
NORMAL: Final = 24
ABNORMAL: Final = 24
"""Images to learn from (all normal), and of either kind to score."""
SQUARE: Final = 0.3
"""Side of the square, of the image's."""


@dataclass(frozen=True)
class CaseImages:
    """Images as a detector gets them: no label, no name, nothing of other images."""

    pixels: Tensor
    """uint8, shape (N, C, H, W)."""
    device: torch.device
    dtype: torch.dtype = torch.float32

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.pixels)

    def batch(self, indices: Tensor) -> Tensor:
        """Images at ``indices`` (int64, (B,)) as float (B, C, H, W) in [0, 1]."""
        return self.pixels[indices.to(self.pixels.device)].to(self.device, self.dtype).div_(255)


class GivenImages:
    """Training images of which whatever else is asked for is refused, and told."""

    def __init__(self, images: CaseImages, told: list[str]) -> None:
        self.batch = lambda indices: images.batch(_within(indices, len(images), told))
        self._count = len(images)
        self._told = told

    def __len__(self) -> int:
        """How many images there are."""
        return self._count

    def __getattr__(self, name: str) -> object:
        """Refuse what an author's code has no right to."""
        self._told.append(name)
        raise AttributeError(f"training images have a length and `batch`, and no {name!r}")


def _within(indices: Tensor, count: int, told: list[str]) -> Tensor:
    outside = indices[(indices < 0) | (indices >= count)]
    if len(outside):
        told.append(f"image {int(outside[0])} of {count}")
        raise IndexError(f"there are {count} training images, and image {int(outside[0])} was asked for")
    return indices


@dataclass(frozen=True)
class EasyCase:
    """Pixels of the case, uint8 (N, C, H, W)."""

    train: Tensor
    test: Tensor
    """Normal images first, then abnormal ones."""
    labels: NDArray[np.int8]
    """Of the test images; never given to a detector."""


def easy_case(image_size: int, channels: int, train: int = TRAIN) -> EasyCase:
    """The case at a size in pixels, with 1 or 3 channels; the same wherever it is made."""
    random = np.random.default_rng(20231)
    normal = [_disc(random, image_size) for _ in range(TRAIN + NORMAL)]
    abnormal = [_with_square(random, _disc(random, image_size)) for _ in range(ABNORMAL)]
    test = normal[TRAIN:] + abnormal
    labels = np.repeat(np.asarray([0, 1], dtype=np.int8), [NORMAL, ABNORMAL])
    return EasyCase(_tensor(normal[:train], channels, image_size), _tensor(test, channels, image_size), labels)


def _disc(random: np.random.Generator, size: int) -> NDArray[np.float64]:
    """A gray disc on black, a little elsewhere, larger and brighter each time, with faint noise."""
    rows, columns = np.mgrid[0:size, 0:size] / size
    centre = random.normal(0.5, 0.02, 2)
    radius, gray = random.normal(0.36, 0.02), random.normal(0.35, 0.03)
    distance = np.hypot(rows - centre[0], columns - centre[1])
    disc = gray / (1 + np.exp((distance - radius) * 60))
    return np.asarray(disc + random.normal(0, 0.01, (size, size)))


def _with_square(random: np.random.Generator, image: NDArray[np.float64]) -> NDArray[np.float64]:
    """A white square somewhere on the disc."""
    size = len(image)
    side = max(round(SQUARE * size), 1)
    top, left = random.integers(round(0.2 * size), round(0.8 * size) - side + 1, 2)
    changed = image.copy()
    changed[top : top + side, left : left + side] = 1.0
    return changed


def _tensor(images: list[NDArray[np.float64]], channels: int, size: int) -> Tensor:
    stacked = np.asarray(images).reshape(len(images), 1, size, size)
    pixels = np.rint(stacked.clip(0, 1) * 255).astype(np.uint8)
    return torch.from_numpy(np.repeat(pixels, channels, axis=1))
