"""A detector that keeps every rule; the others derive from it and break one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from adbench_harness.api import BuildContext, Detector, FitContext, FittedDetector, Images, ModelSpec, Options


class MeanImage(FittedDetector):
    """Mean squared difference to the mean of the training images."""

    def __init__(self, options: Options, context: BuildContext) -> None:
        size = context.channels, context.image_size, context.image_size
        self.mean = torch.zeros(size, dtype=context.dtype, device=context.device)

    def fit(self, images: Images, context: FitContext) -> None:
        """Learn the mean."""
        context.progress(0, 1)
        self.mean = images.batch(torch.arange(len(images))).mean(dim=0)

    def score(self, images: Tensor) -> Tensor:
        """Shape (B,)."""
        return (images - self.mean).square().mean(dim=(1, 2, 3))

    def anomaly_map(self, images: Tensor) -> Tensor:
        """Shape (B, H, W)."""
        return (images - self.mean).square().mean(dim=1)

    def state(self) -> dict[str, Tensor]:
        """The mean."""
        return {"mean": self.mean}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over the mean."""
        self.mean = state["mean"].to(self.mean)


def spec(name: str, build: Callable[[Any, BuildContext], Detector], paper: str = "No paper; an example.") -> ModelSpec:
    """A spec in which nothing is missing."""
    return ModelSpec(
        name=name,
        title=name.replace("-", " "),
        build=build,
        paper=paper,
        family="example",
        training_phase="The mean of the training images.",
        testing_phase="The image is compared with the mean.",
        score="Mean squared difference.",
        revision=1,
    )
