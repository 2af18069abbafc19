"""A detector that leaves a process running."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from adbench_harness.api import FitContext, Images, ModelSpec, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """Starts it once."""

    started: subprocess.Popen[bytes] | None = None

    def fit(self, images: Images, context: FitContext) -> None:
        super().fit(images, context)
        if Broken.started is None:
            Broken.started = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


SPEC = spec("broken-processes", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
