"""A detector that takes colour images alone."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from adbench_harness.api import ModelSpec, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """Weighs red, green and blue."""

    def score(self, images: Tensor) -> Tensor:
        gray = images[:, 0] * 0.3 + images[:, 1] * 0.6 + images[:, 2] * 0.1
        return (gray - self.mean.mean(dim=0)).square().mean(dim=(1, 2))


SPEC = spec("broken-channels", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
