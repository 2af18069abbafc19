"""A detector that divides by the number of training images less one."""

from __future__ import annotations

from collections.abc import Callable

import torch

from adbench_harness.api import FitContext, Images, ModelSpec, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """A variance of one image is not a number."""

    def fit(self, images: Images, context: FitContext) -> None:
        super().fit(images, context)
        self.mean = self.mean + 0 * images.batch(torch.arange(len(images))).var(dim=0)


SPEC = spec("broken-small-sets", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
