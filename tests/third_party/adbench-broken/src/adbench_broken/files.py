"""A detector that leaves a file in the user's home."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adbench_harness.api import FitContext, Images, ModelSpec, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """A cache that nobody asked for."""

    def fit(self, images: Images, context: FitContext) -> None:
        super().fit(images, context)
        (Path.home() / "cache.txt").write_text("images seen")


SPEC = spec("broken-files", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
