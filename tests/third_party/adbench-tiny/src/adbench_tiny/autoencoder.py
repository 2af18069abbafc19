"""An autoencoder of two layers, trained in two phases with dropout and noise: all that resuming must get right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from adbench_harness.api import BuildContext, FitContext, Images, ModelSpec, Options, Phase, Step, TrainedDetector, hookimpl

adbench_api = 1


class TinyOptions(Options):
    """Options of the tiny autoencoder."""

    width: int = Field(8, ge=1, le=64, description="hidden units")
    explode: int = Field(0, ge=0, description="make the loss infinite from this epoch of the second phase on; 0 = never")


class TinyAutoencoder(TrainedDetector):
    """Mean squared error of an image averaged down to 8 x 8."""

    def __init__(self, options: TinyOptions, context: BuildContext) -> None:
        self.options = options
        self.encoder = nn.Linear(64, options.width).to(context.device, context.dtype)
        self.decoder = nn.Linear(options.width, 64).to(context.device, context.dtype)
        self.dropout = nn.Dropout(0.2)

    def phases(self, images: Images, context: FitContext) -> Iterator[Phase]:
        """Both layers first, then the decoder alone."""
        yield self._phase("both", {"encoder": self.encoder, "decoder": self.decoder}, noise=0.1)
        self.encoder.requires_grad_(False)
        yield self._phase("decoder", {"decoder": self.decoder}, noise=0.0)

    def _phase(self, name: str, modules: Mapping[str, nn.Module], noise: float) -> Phase:
        parameters = [parameter for module in modules.values() for parameter in module.parameters()]
        optimiser = torch.optim.Adam(parameters, lr=1e-2)

        def step(batch: Step) -> Mapping[str, Tensor]:
            x = self._pixels(batch.images)
            noisy = x + noise * torch.randn(x.shape, generator=batch.generator, dtype=x.dtype, device=x.device)
            loss = (self.decoder(self.dropout(self.encoder(noisy))) - x).square().mean()
            if name == "decoder" and 0 < self.options.explode <= batch.epoch + 1:
                loss = loss * torch.inf
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            return {"mse": loss.detach()}

        return Phase(name, modules, {"adam": optimiser}, epochs=4, step=step, drop_last=name == "both", share=0.5)

    def score(self, images: Tensor) -> Tensor:
        """Mean squared error, shape (B,)."""
        x = self._pixels(images)
        scores: Tensor = (self.decoder(self.encoder(x)) - x).square().mean(dim=1)
        return scores

    def state(self) -> dict[str, Tensor]:
        """Both layers."""
        return {
            f"{name}.{key}": tensor for name in ("encoder", "decoder") for key, tensor in getattr(self, name).state_dict().items()
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over both layers."""
        for name in ("encoder", "decoder"):
            own = {key.removeprefix(f"{name}."): tensor for key, tensor in state.items() if key.startswith(f"{name}.")}
            getattr(self, name).load_state_dict(own)

    def _pixels(self, images: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(images.mean(dim=1, keepdim=True), 8).flatten(1)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register the tiny autoencoder."""
    register(
        ModelSpec(
            name="tiny-autoencoder",
            title="Tiny autoencoder",
            build=TinyAutoencoder,
            paper="none",
            family="reconstruction",
            training_phase="An autoencoder of two linear layers, then its decoder alone.",
            testing_phase="The image is rebuilt.",
            score="Mean squared error.",
            options=TinyOptions,
            revision=1,
        )
    )
