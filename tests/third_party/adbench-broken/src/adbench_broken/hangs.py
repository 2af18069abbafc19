"""A detector that never ends."""

from __future__ import annotations

import time
from collections.abc import Callable

from adbench_harness.api import FitContext, Images, ModelSpec, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """Waits for something that does not come."""

    def fit(self, images: Images, context: FitContext) -> None:
        while True:
            time.sleep(1)


SPEC = spec("broken-hangs", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
