"""A detector that has anomaly maps with negative values."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from adbench_harness.api import ModelSpec, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """A difference where a distance belongs."""

    def anomaly_map(self, images: Tensor) -> Tensor:
        return (images - self.mean).mean(dim=1)


SPEC = spec("broken-pictures", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
