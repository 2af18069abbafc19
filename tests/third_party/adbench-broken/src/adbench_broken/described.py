"""A detector that says nothing of its paper."""

from __future__ import annotations

from collections.abc import Callable

from adbench_harness.api import ModelSpec, hookimpl

from .base import MeanImage, spec

adbench_api = 1


SPEC = spec("broken-described", MeanImage, paper=" ")


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
