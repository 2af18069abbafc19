from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from adbench_harness.api import BuildContext, Phase, Step, TrainedDetector

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
