"""A detector that can't say how large it is."""

from __future__ import annotations

from collections.abc import Callable

from adbench_harness.api import ModelSpec, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """A word where a number belongs."""

    def parameters(self) -> int:
        return "many"  # type: ignore[return-value]


SPEC = spec("broken-cost", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
