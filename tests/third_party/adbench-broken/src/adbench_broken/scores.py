"""A detector that has no score for some images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from adbench_harness.api import ModelSpec, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """Not a number where an image is bright."""

    def score(self, images: Tensor) -> Tensor:
        scores = super().score(images)
        return torch.where(images.amax(dim=(1, 2, 3)) > 0.9, torch.nan, scores)


SPEC = spec("broken-scores", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
