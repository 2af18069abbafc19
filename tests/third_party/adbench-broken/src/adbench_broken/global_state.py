"""A detector that seeds numpy for the whole process."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from adbench_harness.api import FitContext, Images, ModelSpec, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """So that everybody's draws repeat."""

    def fit(self, images: Images, context: FitContext) -> None:
        super().fit(images, context)
        np.random.seed(0)


SPEC = spec("broken-global-state", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
