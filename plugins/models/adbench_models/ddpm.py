"""DDPM: an image is made noisy half-way and cleaned by a network that knows normal images; what it cleans away is the score.

Wyatt, Leach, Schmon, Willcocks: AnoDDPM: Anomaly Detection with Denoising Diffusion Probabilistic Models using Simplex Noise. CVPR
Workshops 2022; Ho, Jain, Abbeel: Denoising Diffusion Probabilistic Models. NeurIPS 2020; Song, Meng, Ermon: Denoising Diffusion
Implicit Models. ICLR 2021, whose few steps without fresh noise make it bearable. In the spirit of AnoDDPM, not at parity with it:
docs/models/ddpm.md says in what it differs.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import ClassVar, Final, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every reader of PyTorch code expects

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
from .optimisation import descend
from .unet import STRIDE, UNet

adbench_api = 1

LEVELS: Final = 1000
"""T, as in both papers."""
FIRST_BETA: Final = 1e-4
LAST_BETA: Final = 0.02
"""Of the linear schedule, as in both papers."""
SIZES: Final = range(32, 257)
COARSEST: Final = 4.0
"""Waves across an image in the coarsest octave: AnoDDPM's simplex noise has cells of 64 pixels in an image of 256."""
MEMORY: Final = 0.999
"""What the running mean of the network's values keeps at a step, once training is long; less at first."""
EPOCHS: Final = 400


class DDPMOptions(Options):
    """Persistence is AnoDDPM's. The others are ours: what two cores can do, as measured on the phantom (docs/models/ddpm.md)."""

    lengths: ClassVar = frozenset({"denoise_epochs"})

    noise: Literal["octaves", "gaussian"] = Field(
        "octaves", description="octaves: noise of many scales, as AnoDDPM's simplex noise; gaussian: independent pixels"
    )
    persistence: float = Field(
        0.8, gt=0, le=2, description="of octaves: amplitude of each octave, of that of the next coarser one"
    )
    level: int = Field(
        100, ge=1, le=LEVELS, description="how far a test image is made noisy (lambda), of 1000; training goes so far too"
    )
    steps: int = Field(2, ge=1, le=LEVELS, description="steps in which it is cleaned; at most level")
    fields: int = Field(4, ge=1, le=64, description="fixed noise fields, over whose reconstructions the mean is taken")
    width: int = Field(
        24,
        ge=8,
        le=256,
        multiple_of=8,
        description="channels at the finest resolution of the U-Net; 2 and 4 times as many follow",
    )
    denoise_epochs: int = Field(EPOCHS, ge=1, description="epochs of training, where the protocol doesn't say")
    learning_rate: float = Field(2e-3, gt=0, le=1, description="of Adam, betas 0.9 and 0.999")


class DDPM(TrainedDetector):
    """A U-Net, the running mean of its values (which scores), and noise fields that are the same for every image.

    Inside, images are in [-1, 1]. ``clean[t]`` and ``noisy[t]`` are the shares of image and noise at level t, from 0 to LEVELS.
    """

    def __init__(self, options: DDPMOptions, context: BuildContext) -> None:
        size = context.image_size
        if size % STRIDE or size not in SIZES:
            raise OptionError(
                f"ddpm needs an image size from {SIZES[0]} to {SIZES[-1]} that is divisible by {STRIDE}, not {size}"
            )
        if options.steps > options.level:
            raise OptionError(
                f"ddpm can't take {options.steps} steps down from level {options.level}; lower steps or raise level"
            )
        self.options = options
        self.unet = UNet(context.channels, options.width).to(context.device, context.dtype).eval()
        self.mean = Mean(self.unet)
        self.colour = _colour(size, options).to(context.device, context.dtype)
        self.clean, self.noisy = (share.to(context.device, context.dtype) for share in shares())
        # From the run's own CPU generator: the same on every device.
        shape = (options.fields, context.channels, size, size)
        white = torch.randn(shape, generator=context.generator, dtype=torch.float64)
        self.fields = coloured(white, _colour(size, options)).to(context.device, context.dtype)

    def phases(self, images: Images, context: FitContext) -> Iterator[Phase]:
        """One phase: denoise."""
        optimiser = torch.optim.Adam(self.unet.parameters(), lr=self.options.learning_rate)

        def step(batch: Step) -> Mapping[str, Tensor]:
            loss = self.loss(batch.images, batch.generator)
            descend(loss, optimiser)
            self.mean.follow(self.unet)
            return {"loss": loss.detach()}

        yield Phase(
            name="denoise",
            modules={"unet": self.unet, "mean": self.mean},
            optimisers={"unet": optimiser},
            epochs=self.options.denoise_epochs,
            step=step,
            description="the U-Net learns to tell the noise from a normal image, at every level that a test image will be at",
        )

    def loss(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Mean squared difference of the noise and what the U-Net takes for it, 0-d (Ho et al., equation 14)."""
        levels = torch.randint(1, self.options.level + 1, (len(images),), generator=random, device=images.device)
        white = torch.randn(images.shape, generator=random, device=images.device, dtype=images.dtype)
        noise = coloured(white, self.colour)
        return F.mse_loss(self.noise_in(self.made_noisy(images, noise, levels), levels, self.unet), noise)

    def made_noisy(self, images: Tensor, noise: Tensor, levels: Tensor) -> Tensor:
        """Images in [0, 1] at noise levels (B,), in the U-Net's range (Ho et al., equation 4)."""
        clean, noisy = self._shares_at(levels)
        return clean * value_range.enter(images, "symmetric") + noisy * noise

    def noise_in(self, x: Tensor, levels: Tensor, network: nn.Module) -> Tensor:
        """What a network takes for the noise in noisy images at levels (B,).

        It gives v (Salimans & Ho, appendix D), of which noise is a known share of v and x: a network that knows nothing yet, and gives
        0, then takes the noisier half of x for noise, not none of it, and a short training gets further.
        """
        clean, noisy = self._shares_at(levels)
        noise: Tensor = noisy * x + clean * network(x, levels)
        return noise

    def cleaned(self, images: Tensor, field: Tensor) -> Tensor:
        """Images in [0, 1], made noisy by one field (C, S, S) and cleaned in a few steps without fresh noise, in [-1, 1].

        Song et al., equation 12 with sigma = 0. What a step takes for the image is cut to its range first.
        """
        stations = [round(self.options.level * (1 - k / self.options.steps)) for k in range(self.options.steps + 1)]
        ones = torch.ones(len(images), dtype=torch.long, device=images.device)
        x = self.made_noisy(images, field, ones * stations[0])
        for here, there in pairwise(stations):
            noise = self.noise_in(x, ones * here, self.mean.network)
            image = ((x - self.noisy[here] * noise) / self.clean[here]).clamp(-1, 1)
            noise = (x - self.clean[here] * image) / self.noisy[here]
            x = self.clean[there] * image + self.noisy[there] * noise
        return x

    def reconstruct(self, images: Tensor) -> Tensor:
        """Mean of what is left after cleaning over the noise fields, in [0, 1]."""
        left = torch.stack([self.cleaned(images, field) for field in self.fields]).mean(dim=0)
        return value_range.leave(left, "symmetric")

    def anomaly_map(self, images: Tensor) -> Tensor:
        """Squared difference of image and reconstruction, mean over channels, shape (B, S, S)."""
        return (images - self.reconstruct(images)).square().mean(dim=1)

    def score(self, images: Tensor) -> Tensor:
        """Mean of the anomaly map, shape (B,)."""
        return self.anomaly_map(images).mean(dim=(1, 2))

    def state(self) -> dict[str, Tensor]:
        """The running mean of the network, and the noise fields."""
        return {"fields": self.fields, **{f"unet.{name}": tensor for name, tensor in self.mean.network.state_dict().items()}}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over a trained network and the noise fields it is to score with."""
        self.fields = state["fields"].to(self.fields)
        self.mean.network.load_state_dict(
            {name.removeprefix("unet."): tensor for name, tensor in state.items() if name != "fields"}
        )
        self.mean.eval()

    def parameters(self) -> int:
        """Learnt values of the U-Net."""
        return sum(parameter.numel() for parameter in self.unet.parameters())

    def _shares_at(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Of image and noise at levels (B,), each (B, 1, 1, 1)."""
        return self.clean[levels][:, None, None, None], self.noisy[levels][:, None, None, None]


class Mean(nn.Module):
    """A running mean of a network's values over its training, which swings less than the network itself."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.seen: Tensor
        self.register_buffer("seen", torch.zeros((), device=next(network.parameters()).device))

    @torch.no_grad()
    def follow(self, network: nn.Module) -> None:
        """Move a little towards the network as it is now; at first much, so that a short training does not score with its start."""
        self.seen += 1
        share = 1 - torch.clamp((1 + self.seen) / (10 + self.seen), max=MEMORY)
        for mean, value in zip(self.network.parameters(), network.parameters(), strict=True):
            mean.lerp_(value, share.to(mean.dtype))


def shares() -> tuple[Tensor, Tensor]:
    """Of image and of noise at each level, 0 to LEVELS, float64 (LEVELS + 1,); their squares sum to 1."""
    betas = torch.linspace(FIRST_BETA, LAST_BETA, LEVELS, dtype=torch.float64)
    left = torch.cat([torch.ones(1, dtype=torch.float64), (1 - betas).cumprod(dim=0)])
    return left.sqrt(), (1 - left).sqrt()


def coloured(white: Tensor, colour: Tensor) -> Tensor:
    """Gaussian noise of variance 1 and of that spectrum, from white noise (..., S, S) and factors (S, S // 2 + 1)."""
    noise: Tensor = torch.fft.irfft2(torch.fft.rfft2(white) * colour, s=white.shape[-2:])
    return noise


def octaves(size: int, persistence: float) -> Tensor:
    """Factors of the spectrum of noise of many scales, float64 (size, size // 2 + 1); mean square 1 over the whole plane.

    From COARSEST waves across the image on, an octave has ``persistence`` times the amplitude of the one below: an octave at f has an
    area of the plane in proportion to f squared, so amplitude at f goes with f ** (log2(persistence) - 1). Below it is even, and the
    mean of the image is left alone.
    """
    across = torch.fft.fftfreq(size, 1 / size, dtype=torch.float64)
    waves = torch.hypot(across[:, None], across[None, :])
    plane: Tensor = waves.clamp(min=COARSEST) ** (math.log2(persistence) - 1)
    plane[0, 0] = 0
    half: Tensor = (plane / plane.square().mean().sqrt())[:, : size // 2 + 1]
    return half


def _colour(size: int, options: DDPMOptions) -> Tensor:
    if options.noise == "gaussian":
        return torch.ones(size, size // 2 + 1, dtype=torch.float64)
    return octaves(size, options.persistence)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register the diffusion detector."""
    register(
        ModelSpec(
            name="ddpm",
            title="DDPM",
            build=DDPM,
            paper=(
                "Wyatt, Leach, Schmon, Willcocks: AnoDDPM: Anomaly Detection with Denoising Diffusion Probabilistic Models using Simplex "
                "Noise. CVPR Workshops 2022."
            ),
            url="https://doi.org/10.1109/CVPRW56347.2022.00080",
            family="diffusion",
            description="A normal image that was made noisy can be cleaned again by a network that knows normal images; a lesion is cleaned away.",
            training_phase="A U-Net learns to tell the noise from the image, on normal images at all noise levels up to lambda.",
            testing_phase="The image is made noisy up to level lambda by fixed noise fields of many scales, and cleaned in a few steps.",
            score="Mean squared difference between image and what is left after cleaning.",
            options=DDPMOptions,
            revision=1,
        )
    )
