"""A detector that prints where a command's answer belongs."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from adbench_harness.api import ModelSpec, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """Tells how it is doing."""

    def score(self, images: Tensor) -> Tensor:
        print("scoring", len(images), "images")  # noqa: T201 - that is what is wrong with it
        return super().score(images)


SPEC = spec("broken-output", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
