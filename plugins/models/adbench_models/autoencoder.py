"""Autoencoder: convolutions press a normal image through a narrow code and unfold it again; what does not come back is the score.

Masci, Meier, Ciresan, Schmidhuber: Stacked Convolutional Auto-Encoders for Hierarchical Feature Extraction. ICANN 2011. As an
anomaly detector with a dense code: Baur, Denner, Wiestler, Navab, Albarqouni: Autoencoders for unsupervised anomaly segmentation in
brain MR images: A comparative study. Medical Image Analysis 69, 2021; docs/models/autoencoder.md says in what it differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import ClassVar, Final, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from adbench_harness.api import (
    BuildContext,
    FitContext,
    Images,
    ModelSpec,
    OptionError,
    Options,
    Phase,
    Step,
    TrainedDetector,
    hookimpl,
)

from .optimisation import descend

adbench_api = 1

STRIDE: Final = 16
"""Four convolutions each halve the image."""
SIZES: Final = range(32, 257)
GROUPS: Final = 8
SLOPE: Final = 0.2
CODE_MAPS: Final = 16
"""Channels to which a 1x1 convolution reduces the last map before the dense layer, as Baur et al. do."""
EPOCHS: Final = 200


class AutoencoderOptions(Options):
    """Code and width are those of Baur et al.; the rest is our choice."""

    lengths: ClassVar = frozenset({"rebuild_epochs"})

    code: int = Field(128, ge=1, le=4096, description="numbers that an image is pressed into: the bottleneck")
    width: int = Field(
        32, ge=8, le=256, multiple_of=8, description="channels of the first convolution; 2, 4 and 4 times as many follow"
    )
    loss: Literal["l2", "l1"] = Field("l2", description="l2: squared residual, in training and score; l1: absolute residual")
    rebuild_epochs: int = Field(EPOCHS, ge=1, description="epochs of training, where the protocol doesn't say")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="of Adam, betas 0.9 and 0.999")


class Network(nn.Module):
    """Images (B, C, S, S) to images of that shape, through a code of (B, code). Nothing in it looks at batch mates."""

    def __init__(self, channels: int, image_size: int, width: int, code: int) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width, 4 * width)
        maps = (CODE_MAPS, image_size // STRIDE, image_size // STRIDE)
        numbers = CODE_MAPS * (image_size // STRIDE) ** 2
        down: list[nn.Module] = []
        for before, after in pairwise((channels, *widths)):
            down += [nn.Conv2d(before, after, 4, stride=2, padding=1), *_normalised(after)]
        self.encoder = nn.Sequential(*down, nn.Conv2d(widths[-1], CODE_MAPS, 1), nn.Flatten(), nn.Linear(numbers, code))
        up: list[nn.Module] = [nn.Linear(code, numbers), nn.Unflatten(1, maps), nn.Conv2d(CODE_MAPS, widths[-1], 1)]
        up += _normalised(widths[-1])
        for before, after in pairwise(reversed(widths)):
            up += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), *_normalised(after)]
        self.decoder = nn.Sequential(*up, nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructions, unbounded."""
        rebuilt: Tensor = self.decoder(self.encoder(images))
        return rebuilt


def _normalised(channels: int) -> list[nn.Module]:
    """Of each image by itself, so that a batch of one trains, and a short training leaves no running statistics half-way."""
    return [nn.GroupNorm(GROUPS, channels), nn.LeakyReLU(SLOPE, inplace=True)]


class Autoencoder(TrainedDetector):
    """One network, one phase; the score is the mean residual."""

    def __init__(self, options: AutoencoderOptions, context: BuildContext) -> None:
        size = context.image_size
        if size % STRIDE or size not in SIZES:
            raise OptionError(
                f"autoencoder needs an image size from {SIZES[0]} to {SIZES[-1]} that is divisible by {STRIDE}, not {size}"
            )
        self.options = options
        self.network = Network(context.channels, size, options.width, options.code).to(context.device, context.dtype).eval()

    def phases(self, images: Images, context: FitContext) -> Iterator[Phase]:
        """One phase: rebuild."""
        optimiser = torch.optim.Adam(self.network.parameters(), lr=self.options.learning_rate)

        def step(batch: Step) -> Mapping[str, Tensor]:
            loss = self._residual(batch.images, self.network(batch.images)).mean()
            descend(loss, optimiser)
            return {"loss": loss.detach()}

        yield Phase(
            name="rebuild",
            modules={"network": self.network},
            optimisers={"network": optimiser},
            epochs=self.options.rebuild_epochs,
            step=step,
            description="the network learns to give normal images back through its code",
        )

    def score(self, images: Tensor) -> Tensor:
        """Mean residual, shape (B,)."""
        return self.anomaly_map(images).mean(dim=(1, 2))

    def reconstruct(self, images: Tensor) -> Tensor:
        """What comes out of the code, cut to [0, 1]."""
        rebuilt: Tensor = self.network(images).clamp(0, 1)
        return rebuilt

    def anomaly_map(self, images: Tensor) -> Tensor:
        """Residual of each pixel, mean over channels, shape (B, S, S); the score is its mean."""
        return self._residual(images, self.reconstruct(images)).mean(dim=1)

    def state(self) -> dict[str, Tensor]:
        """The network."""
        return dict(self.network.state_dict())

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over a trained network."""
        self.network.load_state_dict(dict(state))
        self.network.eval()

    def _residual(self, images: Tensor, rebuilt: Tensor) -> Tensor:
        """Squared or absolute difference, same shape."""
        difference = images - rebuilt
        return difference.abs() if self.options.loss == "l1" else difference.square()


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register the autoencoder."""
    register(
        ModelSpec(
            name="autoencoder",
            title="Autoencoder",
            build=Autoencoder,
            paper=(
                "Baur, Denner, Wiestler, Navab, Albarqouni: Autoencoders for unsupervised anomaly segmentation in brain MR images: "
                "A comparative study. Medical Image Analysis 69, 2021."
            ),
            url="https://doi.org/10.1016/j.media.2020.101952",
            family="reconstruction",
            description="A convolutional network gives an image back through a narrow code that only normal images have taught it.",
            training_phase="Encoder and decoder learn together to give normal images back, by the mean squared (or absolute) difference.",
            testing_phase="The image is encoded and decoded.",
            score="Mean squared (or absolute) difference between image and reconstruction.",
            options=AutoencoderOptions,
            revision=1,
        )
    )
