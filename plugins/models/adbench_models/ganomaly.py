"""GANomaly: semi-supervised anomaly detection via adversarial training.

Akcay, Atapour-Abarghouei, Breckon: GANomaly. ACCV 2018.

An encoder, a decoder and a second encoder in a row learn to give normal images back, against a discriminator. On an abnormal
image the code of what comes back is unlike the code of the image.
Networks and constants follow the authors' public code (commit 78da4ea).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar, Final, Literal, NamedTuple

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
    Transductive,
    hookimpl,
)

from . import value_range
from .optimisation import descend, gan_adam
from .value_range import ValueRange

adbench_api = 1

LATENT: Final = 100
WIDTH: Final = 64
"""Channels at half the image's size; doubled each time the image is halved."""
SMALLEST_MAP: Final = 4
ADVERSARIAL_WEIGHT: Final = 1.0
CONTEXTUAL_WEIGHT: Final = 50.0
ENCODER_WEIGHT: Final = 1.0
COLLAPSED: Final = 1e-5
"""A discriminator whose loss is below this has stopped teaching, and begins anew."""
INITIAL_STD: Final = 0.02
PUBLISHED_BATCH: Final = 32
"""The study's batch size, which the public code uses for its test too."""


class GANomalyOptions(Options):
    """Defaults are those of the public code, but for bn_at_test."""

    lengths: ClassVar = frozenset({"adversarial_epochs"})

    adversarial_epochs: int = Field(15, ge=1, description="epochs of training, where the protocol doesn't say")
    value_range: ValueRange = Field("symmetric", description="symmetric: images in [-1, 1] as tanh gives them; unit: [0, 1]")
    bn_at_test: Literal["running", "batch"] = Field(
        "running",
        description="running: normalised by the training's statistics; batch: by those of the test batch, as the public code "
        "does (32 images in seeded random order), so that a score depends on the other images: never ranked",
    )
    learning_rate: float = Field(2e-4, gt=0, le=1, description="of Adam for generator and discriminator, betas 0.5 and 0.999")


def encoder(channels: int, image_size: int, outputs: int) -> nn.Sequential:
    """Images (B, C, S, S) to (B, outputs, 1, 1): halved until 4 x 4 is left, then one convolution over it."""
    layers: list[nn.Module] = [nn.Conv2d(channels, WIDTH, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
    width, size = WIDTH, image_size // 2
    while size > SMALLEST_MAP:
        layers += [
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        width, size = 2 * width, size // 2
    return nn.Sequential(*layers, nn.Conv2d(width, outputs, SMALLEST_MAP, bias=False))


def decoder(channels: int, image_size: int) -> nn.Sequential:
    """Codes (B, 100, 1, 1) to images (B, C, S, S) in (-1, 1): the encoder's way back, with plain ReLU."""
    width = WIDTH * (image_size // 2 // SMALLEST_MAP)
    layers: list[nn.Module] = [
        nn.ConvTranspose2d(LATENT, width, SMALLEST_MAP, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    ]
    while width > WIDTH:
        layers += [
            nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width // 2),
            nn.ReLU(inplace=True),
        ]
        width //= 2
    return nn.Sequential(*layers, nn.ConvTranspose2d(WIDTH, channels, 4, 2, 1, bias=False), nn.Tanh())


class Rebuilt(NamedTuple):
    """What the generator makes of images."""

    images: Tensor
    """(B, C, S, S)."""
    code: Tensor
    """Of the images given, (B, 100, 1, 1)."""
    code_again: Tensor
    """Of the images made, (B, 100, 1, 1)."""


class Generator(nn.Module):
    """Encoder, decoder, and an encoder of its own for what the decoder made."""

    def __init__(self, channels: int, image_size: int) -> None:
        super().__init__()
        self.encoder1 = encoder(channels, image_size, LATENT)
        self.decoder = decoder(channels, image_size)
        self.encoder2 = encoder(channels, image_size, LATENT)

    def forward(self, images: Tensor) -> Rebuilt:
        """Image to code to image to code."""
        code = self.encoder1(images)
        rebuilt = self.decoder(code)
        return Rebuilt(rebuilt, code, self.encoder2(rebuilt))


class Discriminator(nn.Module):
    """An encoder with one output; the features are what enters its last convolution."""

    def __init__(self, channels: int, image_size: int) -> None:
        super().__init__()
        *features, last = encoder(channels, image_size, 1)
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(last, nn.Sigmoid())

    def forward(self, images: Tensor) -> Tensor:
        """Probability that each image is real, shape (B,)."""
        probability: Tensor = self.classifier(self.features(images)).flatten()
        return probability


def cross_entropy(probability: Tensor, truth: float) -> Tensor:
    """Mean binary cross-entropy, 0-d. NaN goes through as NaN: torch's own function would end the process on a GPU."""
    known = probability.nan_to_num(nan=0.5)
    loss = F.binary_cross_entropy(known, torch.full_like(known, truth))
    return torch.where(probability.isnan().any(), torch.nan, loss)


class GANomaly(TrainedDetector):
    """Generator and discriminator; images inside are in the options' value range."""

    def __init__(self, options: GANomalyOptions, context: BuildContext) -> None:
        size = context.image_size
        if size < 4 * SMALLEST_MAP or size & (size - 1):
            raise OptionError(f"ganomaly needs an image size of 16, 32, 64, 128, 256 or a higher power of two, not {size}")
        self.options = options
        self.generator = Generator(context.channels, size)
        self.discriminator = Discriminator(context.channels, size)
        for network in (self.generator, self.discriminator):
            network.to(context.dtype)
            for parameter, drawn in zip(network.parameters(), _initial(network, context.generator), strict=True):
                parameter.data.copy_(drawn)
            network.to(context.device).eval()

    def phases(self, images: Images, context: FitContext) -> Iterator[Phase]:
        """One phase, in which generator and discriminator take turns at every step."""
        rate = self.options.learning_rate
        generator_optimiser, discriminator_optimiser = gan_adam(self.generator, rate), gan_adam(self.discriminator, rate)

        def step(batch: Step) -> Mapping[str, Tensor]:
            real = value_range.enter(batch.images, self.options.value_range)
            losses = self.step(real, generator_optimiser, discriminator_optimiser)
            restarted = self.restart_if_collapsed(losses["err_d"], batch.generator)
            return losses | {"restarts": restarted}

        yield Phase(
            name="adversarial",
            modules={"generator": self.generator, "discriminator": self.discriminator},
            optimisers={"generator": generator_optimiser, "discriminator": discriminator_optimiser},
            epochs=self.options.adversarial_epochs,
            step=step,
            drop_last=True,
            description="the generator learns to give images and their codes back, against a discriminator",
        )
        self.generator.eval()

    def step(self, real: Tensor, generator_optimiser: Optimizer, discriminator_optimiser: Optimizer) -> dict[str, Tensor]:
        """One optimiser step of each network on ``real`` (B, C, S, S), in the value range; returns all loss terms.

        The discriminator is normalised by the batch in each of its four passes, and its probabilities are those from before
        the generator's step.
        """
        rebuilt = self.generator(real)
        realness, fakeness = self.discriminator(real), self.discriminator(rebuilt.images.detach())
        with torch.no_grad():
            features = self.discriminator.features(real)
        adversarial = F.mse_loss(self.discriminator.features(rebuilt.images), features)
        contextual = F.l1_loss(rebuilt.images, real)
        encoding = F.mse_loss(rebuilt.code_again, rebuilt.code)
        generator_loss = ADVERSARIAL_WEIGHT * adversarial + CONTEXTUAL_WEIGHT * contextual + ENCODER_WEIGHT * encoding
        descend(generator_loss, generator_optimiser)
        on_real, on_fake = cross_entropy(realness, 1.0), cross_entropy(fakeness, 0.0)
        discriminator_loss = (on_real + on_fake) / 2
        descend(discriminator_loss, discriminator_optimiser)
        losses = {
            "err_d": discriminator_loss,
            "err_d_real": on_real,
            "err_d_fake": on_fake,
            "err_g": generator_loss,
            "err_g_adv": adversarial,
            "err_g_con": contextual,
            "err_g_enc": encoding,
        }
        return {name: loss.detach() for name, loss in losses.items()}

    def restart_if_collapsed(self, err_d: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the discriminator's weights anew if its loss says that it has collapsed; 1 if so, else 0, as a 0-d tensor.

        Optimiser moments and running statistics stay, as in the public code. The loss is not looked at by the host, which
        would have to wait for the device: new weights are drawn at every step, and the device chooses.
        """
        collapsed = err_d < COLLAPSED
        with torch.no_grad():
            for parameter, drawn in zip(self.discriminator.parameters(), _initial(self.discriminator, generator), strict=True):
                parameter.copy_(torch.where(collapsed, drawn, parameter))
        return collapsed.to(err_d.dtype)

    def score(self, images: Tensor) -> Tensor:
        """Mean squared difference of the two codes, shape (B,)."""
        with self._normalised_at_test():
            rebuilt: Rebuilt = self.generator(value_range.enter(images, self.options.value_range))
        return (rebuilt.code - rebuilt.code_again).square().flatten(1).mean(dim=1)

    def reconstruct(self, images: Tensor) -> Tensor:
        """The generator's image, in [0, 1]."""
        entered = value_range.enter(images, self.options.value_range)
        return value_range.leave(self.generator.decoder(self.generator.encoder1(entered)), self.options.value_range)

    def anomaly_map(self, images: Tensor) -> Tensor:
        """Absolute difference of image and reconstruction, mean over channels, shape (B, S, S)."""
        return value_range.residual(images, self.reconstruct(images))

    @property
    def transductive(self) -> Transductive | None:
        """The public code's test normalises by the test batch."""
        if self.options.bn_at_test == "running":
            return None
        return Transductive(PUBLISHED_BATCH, "batch normalisation by the statistics of the test batch")

    def state(self) -> dict[str, Tensor]:
        """The generator; the discriminator has no part in the score."""
        return dict(self.generator.state_dict())

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over a trained generator."""
        self.generator.load_state_dict(dict(state))
        self.generator.eval()

    def parameters(self) -> int:
        """Learnt values of both networks."""
        return sum(p.numel() for network in (self.generator, self.discriminator) for p in network.parameters())

    @contextmanager
    def _normalised_at_test(self) -> Iterator[None]:
        """By the option's statistics. Those of training stay as they are; the public code goes on moving them, unused."""
        norms = [module for module in self.generator.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.train(self.options.bn_at_test == "batch")
            norm.track_running_stats = self.options.bn_at_test == "running"
        try:
            yield
        finally:
            for norm in norms:
                norm.eval()
                norm.track_running_stats = True


def _initial(network: nn.Module, generator: torch.Generator) -> Iterator[Tensor]:
    """Initial values of a network's parameters, in order, on the generator's device: convolutions N(0, 0.02), gamma N(1, 0.02), beta 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            yield torch.empty_like(module.weight, device=generator.device).normal_(0, INITIAL_STD, generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            yield torch.empty_like(module.weight, device=generator.device).normal_(1, INITIAL_STD, generator=generator)
            yield torch.zeros_like(module.bias, device=generator.device)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register GANomaly."""
    register(
        ModelSpec(
            name="ganomaly",
            title="GANomaly",
            build=GANomaly,
            paper=(
                "Akcay, Atapour-Abarghouei, Breckon: GANomaly: Semi-Supervised Anomaly Detection via Adversarial Training. ACCV 2018."
            ),
            url="https://arxiv.org/abs/1805.06725",
            family="GAN",
            description="An autoencoder with a second encoder learns to give normal images back; an abnormal image's code changes on the way.",
            training_phase=(
                "Encoder, decoder and second encoder learn to give back each image (mean absolute difference), its code, and the features "
                "that a discriminator sees in it, while the discriminator learns to tell the two apart."
            ),
            testing_phase="The image is encoded, decoded and encoded again; the two codes are compared.",
            score="Mean squared difference of the two codes of 100 values.",
            options=GANomalyOptions,
            revision=1,
        )
    )
