"""A detector that draws from the clock."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from adbench_harness.api import FitContext, Images, ModelSpec, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """Adds noise to what it has learnt, another each time."""

    def fit(self, images: Images, context: FitContext) -> None:
        super().fit(images, context)
        noise = torch.Generator().manual_seed(time.time_ns() % 2**40)
        self.mean = self.mean + 0.01 * torch.rand(self.mean.shape, generator=noise).to(self.mean)


SPEC = spec("broken-seed", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
