"""f-AnoGAN: fast unsupervised anomaly detection with generative adversarial networks.

Schlegl, Seeböck, Waldstein, Langs, Schmidt-Erfurth: f-AnoGAN. Medical Image Analysis 54, 2019.

A Wasserstein GAN learns to make normal images from noise; then an encoder learns the way back from an image to the noise that
makes it ("izi_f": image to latent to image, with the critic's features). An abnormal image comes back changed.
Networks and constants follow the public PyTorch code A03ki/f-AnoGAN (commit 900f9d6), its convolutional model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import ClassVar, Final

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every reader of PyTorch code expects
from torch.optim import Optimizer

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

from . import value_range
from .optimisation import descend, gan_adam
from .value_range import ValueRange

adbench_api = 1

LATENT: Final = 100
TRUNK_WIDTHS: Final = (16, 32, 64, 128)
STRIDE: Final = 16
"""Four convolutions of stride 2 in the trunk; the generator enlarges by 4, so the trunk decides which sizes fit."""
SMALLEST: Final = 32
"""At 16 the trunk ends in one pixel, of which a batch of one image has no variance to normalise by."""
LOOSE_EPS: Final = 0.8
"""Meant as momentum, given as epsilon (eriklindernoren/PyTorch-GAN, issue 116); part of the published behaviour."""
PENALTY_WEIGHT: Final = 10.0
CRITIC_STEPS: Final = 5
"""One generator step in every five critic steps, counted within the epoch."""
GAN_EPOCHS: Final = 300
ENCODER_EPOCHS: Final = 200
"""Published lengths of the two stages; a budget is shared out in this ratio."""


class FAnoGANOptions(Options):
    """Defaults are those of the public code."""

    lengths: ClassVar = frozenset({"gan_epochs", "encoder_epochs"})

    gan_epochs: int = Field(GAN_EPOCHS, ge=1, description="epochs of the first stage, where the protocol doesn't say")
    encoder_epochs: int = Field(ENCODER_EPOCHS, ge=1, description="epochs of the second stage, where the protocol doesn't say")
    value_range: ValueRange = Field("symmetric", description="symmetric: images in [-1, 1] as tanh gives them; unit: [0, 1]")
    feature_weight: float = Field(1.0, ge=0, le=1000, description="weight of the feature term (kappa) in encoder loss and score")
    flip_at_test: bool = Field(False, description="mirror half of the test images too, as the public code does")
    learning_rate: float = Field(2e-4, gt=0, le=1, description="of Adam for all three networks, betas 0.5 and 0.999")


class UpsampledConv2d(nn.Conv2d):
    """Nearest-neighbour enlargement by 2, then a 3x3 convolution with padding 1, as one transposed convolution.

    Both together are the transposed 4x4 convolution of stride 2 whose kernel is the sum of the 3x3 kernel at four places: the
    same numbers (to rounding), with 4/9 of the multiplications.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, 2H, 2W)."""
        kernel = self.weight.flip(2, 3).transpose(0, 1)
        places = [(left, 1 - left, top, 1 - top) for left in (0, 1) for top in (0, 1)]
        kernel = torch.stack([F.pad(kernel, place) for place in places]).sum(dim=0)
        return F.conv_transpose2d(images, kernel, self.bias, stride=2, padding=1)


class Generator(nn.Module):
    """Noise (B, 100) to images (B, C, S, S) in (-1, 1)."""

    def __init__(self, channels: int, image_size: int) -> None:
        super().__init__()
        self.start = image_size // 4
        self.project = nn.Linear(LATENT, 128 * self.start**2)
        self.enlarge = nn.Sequential(
            nn.BatchNorm2d(128),
            UpsampledConv2d(128, 128),
            nn.BatchNorm2d(128, eps=LOOSE_EPS),
            nn.LeakyReLU(0.2, inplace=True),
            UpsampledConv2d(128, 64),
            nn.BatchNorm2d(64, eps=LOOSE_EPS),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(64, channels, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Images of the noise."""
        images: Tensor = self.enlarge(self.project(noise).reshape(-1, 128, self.start, self.start))
        return images


class Critic(nn.Module):
    """A trunk of four blocks and a linear head: how real each image is, shape (B, 1), unbounded."""

    def __init__(self, channels: int, image_size: int) -> None:
        super().__init__()
        self.features = _trunk(channels)
        self.head = nn.Linear(_feature_count(image_size), 1)

    def forward(self, images: Tensor) -> Tensor:
        """Validity, shape (B, 1)."""
        validity: Tensor = self.head(self.features(images))
        return validity


class Encoder(nn.Module):
    """A trunk of its own and a linear head: images to noise, shape (B, 100), in (-1, 1)."""

    def __init__(self, channels: int, image_size: int) -> None:
        super().__init__()
        self.features = _trunk(channels)
        self.head = nn.Linear(_feature_count(image_size), LATENT)

    def forward(self, images: Tensor) -> Tensor:
        """Noise, shape (B, 100). The generator knows all of N(0, I); tanh reaches a part of it, as in the original."""
        return torch.tanh(self.head(self.features(images)))


def _trunk(channels: int) -> nn.Sequential:
    """Halves the image four times; its flattened output, after the last normalisation, is "the features"."""
    layers: list[nn.Module] = []
    for place, (before, after) in enumerate(pairwise((channels, *TRUNK_WIDTHS))):
        layers += [
            nn.Conv2d(before, after, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Dropout2d(0.25),
        ]
        if place > 0:
            layers.append(nn.BatchNorm2d(after, eps=LOOSE_EPS))
    return nn.Sequential(*layers, nn.Flatten())


def _feature_count(image_size: int) -> int:
    return TRUNK_WIDTHS[-1] * (image_size // STRIDE) ** 2


class FAnoGAN(TrainedDetector):
    """Generator, critic and encoder; images inside are in the options' value range."""

    def __init__(self, options: FAnoGANOptions, context: BuildContext) -> None:
        size = context.image_size
        if size % STRIDE or size < SMALLEST:
            raise OptionError(f"f-anogan needs an image size of {SMALLEST} or more that is divisible by {STRIDE}, not {size}")
        self.options = options
        self.generator = Generator(context.channels, size).to(context.device, context.dtype)
        self.critic = Critic(context.channels, size).to(context.device, context.dtype)
        self.encoder = Encoder(context.channels, size).to(context.device, context.dtype)
        self.networks = nn.ModuleDict({"generator": self.generator, "critic": self.critic, "encoder": self.encoder}).eval()

    def phases(self, images: Images, context: FitContext) -> Iterator[Phase]:
        """Two stages: the GAN, then the encoder, for which generator and critic stand still."""
        self.networks.requires_grad_(True)
        rate = self.options.learning_rate
        critic_optimiser, generator_optimiser = gan_adam(self.critic, rate), gan_adam(self.generator, rate)

        def gan_step(batch: Step) -> Mapping[str, Tensor]:
            real = self._training_images(batch)
            noise = torch.randn(len(real), LATENT, generator=batch.generator, device=real.device, dtype=real.dtype)
            mix = torch.rand(*real.shape[:2], 1, 1, generator=batch.generator, device=real.device, dtype=real.dtype)
            losses = self.step_critic(real, noise, mix, critic_optimiser)
            if batch.index % CRITIC_STEPS == 0:
                losses |= self.step_generator(noise, generator_optimiser)
            return losses

        yield Phase(
            name="gan",
            modules={"generator": self.generator, "critic": self.critic},
            optimisers={"generator": generator_optimiser, "critic": critic_optimiser},
            epochs=self.options.gan_epochs,
            step=gan_step,
            description="a Wasserstein GAN with gradient penalty learns to make normal images from noise",
            share=GAN_EPOCHS / (GAN_EPOCHS + ENCODER_EPOCHS),
        )
        self.generator.eval().requires_grad_(False)
        self.critic.eval().requires_grad_(False)
        encoder_optimiser = gan_adam(self.encoder, rate)
        yield Phase(
            name="encoder",
            modules={"encoder": self.encoder},
            optimisers={"encoder": encoder_optimiser},
            epochs=self.options.encoder_epochs,
            step=lambda batch: self.step_encoder(self._training_images(batch), encoder_optimiser),
            description="the encoder learns which noise the generator needs to give an image back",
            share=ENCODER_EPOCHS / (GAN_EPOCHS + ENCODER_EPOCHS),
        )
        self.encoder.eval()

    def step_critic(self, real: Tensor, noise: Tensor, mix: Tensor, optimiser: Optimizer) -> dict[str, Tensor]:
        """One optimiser step of the critic.

        Args:
            real: (B, C, S, S), in the value range.
            noise: (B, 100), standard normal.
            mix: (B, C, 1, 1) in [0, 1): the share of the real image in the one at which the gradient is held to length one,
                drawn for each image and channel.
            optimiser: of the critic's parameters.

        Each of the three forward passes is normalised by its own batch, with dropout of its own.
        """
        with torch.no_grad():
            fake = self.generator(noise)
        realness, fakeness = self.critic(real).mean(), self.critic(fake).mean()
        penalty = self._gradient_penalty(mix * real + (1 - mix) * fake)
        loss = -realness + fakeness + PENALTY_WEIGHT * penalty
        descend(loss, optimiser)
        return {"d_loss": loss.detach(), "gradient_penalty": penalty.detach()}

    def step_generator(self, noise: Tensor, optimiser: Optimizer) -> dict[str, Tensor]:
        """One optimiser step of the generator, against the critic as it is now."""
        loss = -self.critic(self.generator(noise)).mean()
        descend(loss, optimiser)
        return {"g_loss": loss.detach()}

    def step_encoder(self, images: Tensor, optimiser: Optimizer) -> dict[str, Tensor]:
        """One optimiser step of the encoder; izi_f loss: image and feature difference, means over everything."""
        image, feature = (term.mean() for term in self.distances(images))
        loss = image + self.options.feature_weight * feature
        descend(loss, optimiser)
        return {"e_loss": loss.detach(), "image": image.detach(), "feature": feature.detach()}

    def distances(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squared difference of each image and its reconstruction: of pixels, and of the critic's features; each (B,)."""
        rebuilt: Tensor = self.generator(self.encoder(images))
        with torch.no_grad():
            features = self.critic.features(images)
        feature = (self.critic.features(rebuilt) - features).square().mean(dim=1)
        return (rebuilt - images).square().flatten(1).mean(dim=1), feature

    def score(self, images: Tensor) -> Tensor:
        """Pixel plus weighted feature distance, shape (B,)."""
        image, feature = self.distances(self._test_images(images))
        score: Tensor = image + self.options.feature_weight * feature
        return score

    def reconstruct(self, images: Tensor) -> Tensor:
        """G(E(x)), in [0, 1]."""
        rebuilt = self.generator(self.encoder(value_range.enter(images, self.options.value_range)))
        return value_range.leave(rebuilt, self.options.value_range)

    def anomaly_map(self, images: Tensor) -> Tensor:
        """Absolute difference of image and reconstruction, mean over channels, shape (B, S, S); section 2.3 of the paper."""
        return value_range.residual(images, self.reconstruct(images))

    def state(self) -> dict[str, Tensor]:
        """All three networks."""
        return dict(self.networks.state_dict())

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over trained networks."""
        self.networks.load_state_dict(dict(state))
        self.networks.eval()

    def parameters(self) -> int:
        """Learnt values of all three networks."""
        return sum(parameter.numel() for parameter in self.networks.parameters())

    def _gradient_penalty(self, between: Tensor) -> Tensor:
        """Mean over images of (length of the critic's gradient - 1) squared."""
        between.requires_grad_(True)
        gradient: Tensor = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)[0]
        lengths: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
        return (lengths - 1).square().mean()

    def _training_images(self, batch: Step) -> Tensor:
        """In the value range, each mirrored with probability one half."""
        images = value_range.enter(batch.images, self.options.value_range)
        tossed = torch.rand(len(images), 1, 1, 1, generator=batch.generator, device=images.device)
        return torch.where(tossed < 0.5, images.flip(-1), images)

    def _test_images(self, images: Tensor) -> Tensor:
        """In the value range. If test images are mirrored, the parity of an image's own bytes is the coin, so that its score
        depends on nothing else."""
        entered = value_range.enter(images, self.options.value_range)
        if not self.options.flip_at_test:
            return entered
        tossed = (images * 255).round().long().sum(dim=(1, 2, 3), keepdim=True) % 2
        return torch.where(tossed == 0, entered.flip(-1), entered)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register f-AnoGAN."""
    register(
        ModelSpec(
            name="f-anogan",
            title="f-AnoGAN",
            build=FAnoGAN,
            paper=(
                "Schlegl, Seeböck, Waldstein, Langs, Schmidt-Erfurth: f-AnoGAN: Fast unsupervised anomaly detection with "
                "generative adversarial networks. Medical Image Analysis 54, 2019."
            ),
            url="https://doi.org/10.1016/j.media.2019.01.010",
            family="GAN",
            description="A GAN learns to make normal images, an encoder to find an image's place among them; an abnormal image comes back changed.",
            training_phase=(
                "First a Wasserstein GAN with gradient penalty learns to make normal images from noise; then, with it fixed, an encoder "
                "learns to give each image the noise from which the generator makes it again."
            ),
            testing_phase="The image is encoded and generated again; image and reconstruction are compared, also in the critic's features.",
            score="Mean squared difference of pixels + kappa x mean squared difference of the critic's features.",
            options=FAnoGANOptions,
            revision=1,
        )
    )
