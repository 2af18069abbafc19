"""A detector that takes a GPU where there is one, whatever it is given."""

from __future__ import annotations

from collections.abc import Callable

import torch

from adbench_harness.api import BuildContext, ModelSpec, Options, hookimpl

from .base import MeanImage, spec

adbench_api = 1


class Broken(MeanImage):
    """As many public codes do."""

    def __init__(self, options: Options, context: BuildContext) -> None:
        super().__init__(options, context)
        self.mean = self.mean.to("cuda" if torch.cuda.is_available() else "cpu")


SPEC = spec("broken-device", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
