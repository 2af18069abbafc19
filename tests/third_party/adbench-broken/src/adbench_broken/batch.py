"""A detector that normalises scores over the batch."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from adbench_harness.api import ModelSpec, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """As code does that was written for one large test batch."""

    def score(self, images: Tensor) -> Tensor:
        scores = super().score(images)
        return scores / scores.max()


SPEC = spec("broken-batch", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
