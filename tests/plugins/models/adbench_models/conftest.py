from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adbench_harness.api import BuildContext, FitRules, Phase, Step, TrainedDetector
from adbench_harness.checkpoint import CheckpointFile
from adbench_harness.device import describe
from adbench_harness.training import Training

MakeContext = Callable[..., BuildContext]


@pytest.fixture
def make_context() -> MakeContext:
    def make(**changes: Any) -> BuildContext:
        plain: dict[str, Any] = {
            "device": torch.device("cpu"),
            "dtype": torch.float32,
            "channels": 3,
            "image_size": 32,
            "generator": torch.Generator().manual_seed(1),
        }
        return BuildContext(**{**plain, **changes})

    return make


class FixedImages:
    """Images that are all there."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: Tensor) -> Tensor:
        return self.images[indices]


class Context:
    """What the loop lends."""

    batch_size = 2
    generator = torch.Generator()

    def log(self, name: str, value: float, step: int = 0) -> None: ...

    def progress(self, done: int, total: int, what: str = "fit") -> None: ...


@pytest.fixture
def phases() -> Callable[[TrainedDetector, Tensor], Iterator[Phase]]:
    """The phases of a detector's training on some images."""
    return lambda detector, images: detector.phases(FixedImages(images), Context())


@pytest.fixture
def make_step() -> Callable[..., Step]:
    """A step on a whole batch, at an index of its epoch, with a random stream of its own."""

    def make(images: Tensor, index: int = 0, seed: int = 0) -> Step:
        return Step(images, torch.arange(len(images)), index, 0, torch.Generator().manual_seed(seed))

    return make


@pytest.fixture
def discs() -> Callable[..., Tensor]:
    """Smooth gray discs on black, RGB; with ``squares`` a white square on every second one."""

    def make(count: int, squares: bool = False, size: int = 32) -> Tensor:
        draw = torch.Generator().manual_seed(count)
        places = torch.rand(2, count, 1, 1, generator=draw) * 0.2 - 0.1
        radii = torch.rand(count, 1, 1, generator=draw) * 0.2 + 0.5
        along = torch.linspace(-1, 1, size)
        pixels = 0.4 * torch.sigmoid(20 * (radii - torch.hypot(along[:, None] - places[0], along - places[1])))
        if squares:
            pixels[1::2, size // 3 : size // 2, size // 3 : size // 2] = 1.0
        return pixels[:, None].repeat(1, 3, 1, 1)

    return make


@pytest.fixture
def train_on(tmp_path: Path) -> Callable[..., Training]:
    """Train a detector in the harness's loop, on images and for a length given as fields of the protocol."""

    def train(detector: TrainedDetector, images: Tensor, **rules: Any) -> Training:
        cpu = torch.device("cpu")
        file = CheckpointFile(tmp_path / "checkpoint.pt", describe(cpu, "float32"))
        made = Training(FixedImages(images), FitRules(**{"batch_size": 8, **rules}), 1, cpu, file)
        made.run(detector)
        return made

    return train
