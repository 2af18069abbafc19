"""A detector that gives normal images the higher scores."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from adbench_harness.api import ModelSpec, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """A likelihood where a distance belongs."""

    def score(self, images: Tensor) -> Tensor:
        return -super().score(images)


SPEC = spec("broken-direction", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
