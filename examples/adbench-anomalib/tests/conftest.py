"""A detector as adbench builds it, and images to learn from."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import pytest
import torch
from torch import Tensor

from adbench_harness.api import BuildContext, ModelSpec, Step


class FixedImages:
    """Images that are all there; it keeps which were asked for."""

    def __init__(self, images: Tensor) -> None:
        self.images = images
        self.seen: list[int] = []

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: Tensor) -> Tensor:
        self.seen += indices.tolist()
        return self.images[indices]


class Lent:
    """What the loop lends."""

    batch_size = 4

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(3)

    def log(self, name: str, value: float, step: int = 0) -> None: ...

    def progress(self, done: int, total: int, what: str = "fit") -> None: ...


@pytest.fixture
def spec_of() -> Callable[[str], ModelSpec]:
    """What the module behind an entry point registers, by its name."""

    def load(name: str) -> ModelSpec:
        (point,) = entry_points(group="adbench.models", name=name)
        found: list[ModelSpec] = []
        point.load().register_models(found.append)
        (spec,) = found
        return spec

    return load


@pytest.fixture
def build(spec_of: Callable[[str], ModelSpec]) -> Callable[..., Any]:
    """Build a small detector that needs no download; ``settings`` are added to its options, ``changes`` go to the context."""

    def make(name: str, settings: dict[str, str] | None = None, **changes: Any) -> Any:
        small = {"width": "8"} if name == "anomalib-ganomaly" else {"weights": "random", "backbone": "resnet18"}
        plain: dict[str, Any] = {
            "device": torch.device("cpu"),
            "dtype": torch.float32,
            "channels": 3,
            "image_size": 64,
            "generator": torch.Generator().manual_seed(1),
        }
        spec = spec_of(name)
        torch.manual_seed(2)
        return spec.build(spec.options.parse(small | (settings or {})), BuildContext(**{**plain, **changes}))

    return make


@pytest.fixture
def images() -> Tensor:
    """Twelve images of smooth noise, (12, 3, 64, 64) in [0, 1]."""
    noise = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(4))
    return torch.nn.functional.interpolate(noise, (64, 64), mode="bilinear")


@pytest.fixture
def learn() -> Callable[[Any, Tensor], list[int]]:
    """Have a detector learn, in one pass or three steps; tells which images it asked for itself."""

    def run(detector: Any, images: Tensor) -> list[int]:
        given = FixedImages(images)
        if hasattr(detector, "fit"):
            detector.fit(given, Lent())
            return given.seen
        for phase in detector.phases(given, Lent()):
            for module in phase.modules.values():
                module.train()
            for index in range(3):
                phase.step(Step(images, torch.arange(len(images)), index, 0, torch.Generator()))
            for module in phase.modules.values():
                module.eval()
        return given.seen

    return run
