"""A detector that keeps an average that no checkpoint holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from adbench_harness.api import BuildContext, FitContext, Images, ModelSpec, Options, Phase, Step, TrainedDetector, hookimpl

from .base import spec

adbench_api = 1


class Broken(TrainedDetector):
    """Learns the mean image by gradient, and scores with an average of it over steps."""

    def __init__(self, options: Options, context: BuildContext) -> None:
        size = context.channels, context.image_size, context.image_size
        self.network = nn.ParameterDict({"mean": nn.Parameter(torch.zeros(size, dtype=context.dtype, device=context.device))})
        self.average = torch.zeros_like(self.network["mean"])

    def phases(self, images: Images, context: FitContext) -> Iterator[Phase]:
        optimiser = torch.optim.SGD(self.network.parameters(), lr=50.0)

        def step(batch: Step) -> dict[str, Tensor]:
            loss = (batch.images - self.network["mean"]).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            self.average = 0.9 * self.average + 0.1 * self.network["mean"].detach()
            return {"loss": loss.detach()}

        yield Phase("mean", {"network": self.network}, {"sgd": optimiser}, epochs=5, step=step)

    def score(self, images: Tensor) -> Tensor:
        return (images - self.average).square().mean(dim=(1, 2, 3))

    def state(self) -> dict[str, Tensor]:
        return {"average": self.average}

    def load(self, state: Mapping[str, Tensor]) -> None:
        self.average = state["average"].to(self.average)


SPEC = spec("broken-resume", Broken)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register it."""
    register(SPEC)
