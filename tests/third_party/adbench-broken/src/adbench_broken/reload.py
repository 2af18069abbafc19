"""A detector that forgets to store what it has learnt."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from adbench_harness.api import BuildContext, FitContext, Images, ModelSpec, Options, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """Scores with a spread that is not in its state."""

    def __init__(self, options: Options, context: BuildContext) -> None:
        super().__init__(options, context)
        self.spread = 1.0

    def fit(self, images: Images, context: FitContext) -> None:
        super().fit(images, context)
        self.spread = float(images.batch(torch.arange(len(images))).std()) if len(images) else 1.0

    def score(self, images: Tensor) -> Tensor:
        return super().score(images) / self.spread


SPEC = spec("broken-reload", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
