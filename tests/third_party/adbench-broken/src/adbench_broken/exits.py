"""A detector that ends the process."""

from __future__ import annotations

import os
from collections.abc import Callable

from torch import Tensor

from adbench_harness.api import ModelSpec, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """As a crash in a library's own code would."""

    def anomaly_map(self, images: Tensor) -> Tensor:
        os._exit(7)


SPEC = spec("broken-exits", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
