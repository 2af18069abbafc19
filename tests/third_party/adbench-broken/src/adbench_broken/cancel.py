"""A detector that can't be stopped."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import torch

from adbench_harness.api import FitContext, Images, InterruptedRunError, ModelSpec, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """Goes on whatever the user asks for."""

    def fit(self, images: Images, context: FitContext) -> None:
        with suppress(InterruptedRunError):
            context.progress(0, 1)
        self.mean = images.batch(torch.arange(len(images))).mean(dim=0)


SPEC = spec("broken-cancel", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
