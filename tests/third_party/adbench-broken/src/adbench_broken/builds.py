"""A detector that can't be built."""

from __future__ import annotations

from collections.abc import Callable

from adbench_harness.api import BuildContext, ModelSpec, Options, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """Wants a file that nobody has."""

    def __init__(self, options: Options, context: BuildContext) -> None:
        super().__init__(options, context)
        raise FileNotFoundError("weights.bin")


SPEC = spec("broken-builds", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
