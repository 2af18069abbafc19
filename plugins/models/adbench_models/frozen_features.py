"""Features of a frozen VGG-16, as the detectors take them that learn what normal features are and train no network.

Their papers take a ResNet's features as they come. VGG-16 has no batch normalisation, so its depths have no common scale (at the
fourth max-pool the mean square is a hundredth of that at the second), and that of the Caffe weights is arbitrary. Each detector
therefore measures features in units of what the training images have at the same depth: multiplying all weights of the network by a
number changes no score.

An image's features never depend on other images, to the last bit: a CPU convolves images one at a time, another device in chunks of
one size, filled up where images are missing, so that the same kernels run whatever the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final, Self

import torch
from pydantic import AfterValidator, Field, model_validator
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every reader of PyTorch code expects

from adbench_harness.api import BuildContext, FitContext, Images, Json, OptionError, Options, TrainingError

from . import vgg16

DEPTHS: Final = tuple(f"{kind}{number}" for number in range(1, 6) for kind in ("block", "pool"))
"""From shallow to deep."""
DEPTHS_MEANING: Final = "of VGG-16, with commas: block1-block5 (a block's last convolution), pool1-pool5 (its max-pool)"
CHUNK: Final = 32
"""Images that a device other than the CPU convolves at once, at most."""
CHUNK_PIXELS: Final = 32 * 128 * 128
"""Of all of them; the widest features take 256 times as many bytes in float32."""
MAP_SIGMA: Final = 4 / 224
"""Of the image's width, by which a map is smoothed: PaDiM's and PatchCore's 4 pixels of 224."""
LEAST_SPREAD: Final = 0.01
"""Of a depth's usual spread. A feature that hardly ever varies among normal images shall not decide alone."""

ROUNDING: Final = 1e-9
"""Of a feature's size: a spread below it is none, but the last bits of a mean."""


def _sorted_depths(words: str) -> str:
    given = {word.strip() for word in words.split(",")}
    if unknown := sorted(given - set(DEPTHS)):
        raise ValueError(f"no depth {', '.join(map(repr, unknown))}")
    return ",".join(depth for depth in DEPTHS if depth in given)


Depths = Annotated[str, AfterValidator(_sorted_depths)]
"""Type of an option that says at which depths features are taken; sorted from shallow to deep."""


class BackboneOptions(Options):
    """The frozen network: the choices that Multi-KD has for its teacher, given what the weights were trained for by default."""

    backbone: vgg16.Source = Field("imagenet", description=vgg16.SOURCE_MEANING)
    backbone_kind: vgg16.Pretrained | None = Field(None, description=vgg16.KIND_MEANING)
    backbone_input: vgg16.Input = Field(
        "trained",
        description="trained: what the weights were trained for; plain: images in [0, 1], all that a random one can have",
    )

    @property
    def choice(self) -> vgg16.Choice:
        """The backbone's weights and input."""
        given: vgg16.Input = "plain" if self.backbone == "random" else self.backbone_input
        return vgg16.Choice("backbone", self.backbone, self.backbone_kind, given)

    @model_validator(mode="after")
    def _inputs_make_sense(self) -> Self:
        if "backbone_input" in self.model_fields_set:
            vgg16.Choice("backbone", self.backbone, self.backbone_kind, self.backbone_input).check()
        return self

    def identity(self) -> dict[str, Json]:
        """All options, weights by their content."""
        return self.choice.identity(super().identity())

    def labels(self) -> dict[str, str]:
        """A backbone from a file is named by what it is and its hash."""
        return self.choice.labels(super().labels())


class Backbone:
    """A frozen VGG-16 that gives its features at some depths."""

    def __init__(self, options: BackboneOptions, depths: str, context: BuildContext) -> None:
        self.depths = depths.split(",")
        if context.image_size < (least := 2 ** _halvings(self.depths[-1])):
            raise OptionError(
                f"depths={depths} needs images of {least} pixels or more, not {context.image_size}: nothing is left of them so deep"
            )
        network, facts = options.choice.network(context.generator)
        self.network = network.to(context.device, context.dtype)
        self.facts = {name: fact for name, fact in facts.items() if name != "as_in_the_study"}
        self.sides = [context.image_size >> _halvings(depth) for depth in self.depths]
        """Height and width of the features at each depth."""
        self.channels = [vgg16.BLOCKS[int(depth[-1]) - 1][-1] for depth in self.depths]

    def apply(self, images: Tensor, head: Callable[[list[Tensor]], Tensor]) -> Tensor:
        """What ``head`` makes of the features, a list of (b, C, h, w) for each depth; shape (B, ...).

        ``head`` gets images chunk by chunk, so that it runs alike whatever the batch.
        """
        pixels = images.shape[-2] * images.shape[-1]
        size = 1 if images.device.type == "cpu" else max(1, min(CHUNK, CHUNK_PIXELS // pixels))
        found = []
        with torch.no_grad():
            for part in torch.split(images, size):
                full = F.pad(part, (0, 0, 0, 0, 0, 0, 0, size - len(part))).expand(-1, 3, -1, -1)
                found.append(head(self.network.outputs(full, self.depths))[: len(part)])
        return torch.cat(found)

    def walk(self, images: Images, rows: Tensor, context: FitContext, head: Callable[[list[Tensor]], Tensor]) -> Iterator[Tensor]:
        """What ``head`` makes of the training images at ``rows``, a batch of the protocol's size at a time; says how far it is.

        Raises:
            TrainingError: if there is no image, or a feature is not finite.
        """
        if len(rows) == 0:
            raise TrainingError("there is no training image")
        for start in range(0, len(rows), context.batch_size):
            context.progress(start, len(rows), "features")
            found = self.apply(images.batch(rows[start : start + context.batch_size]), head)
            if not bool(torch.isfinite(found).all()):
                raise TrainingError(
                    "features of the training images are not finite; are these weights right? (--set backbone=imagenet has torchvision's)"
                )
            yield found


def pooled(features: list[Tensor]) -> Tensor:
    """Mean over positions of all channels of all depths, shape (b, sum of channels)."""
    return torch.cat([depth.mean(dim=(2, 3)) for depth in features], dim=1)


def drawn(count: int, most: int, generator: torch.Generator) -> Tensor:
    """All of ``count`` rows, or ``most`` of them drawn at random; sorted, int64."""
    if count <= most:
        return torch.arange(count)
    return torch.randperm(count, generator=generator)[:most].sort().values


@dataclass(frozen=True)
class Scaler:
    """Features minus the training images' mean, divided by their spread."""

    mean: Tensor
    spread: Tensor
    """Standard deviation; at least LEAST_SPREAD of its depth's, which is the root mean square over the depth's channels."""

    @classmethod
    def of(cls, features: Tensor, channels: Sequence[int]) -> Scaler:
        """From features (N, C) of training images, the depths side by side. Where no image differs, the size of features is the spread."""
        mean = features.mean(dim=0)
        spread = features.std(dim=0, correction=0)
        usual, size = _of_depths(spread, channels), _of_depths(mean, channels)
        unvaried = torch.where(size > 0, size, torch.ones_like(size))
        least = torch.where(usual > ROUNDING * size, LEAST_SPREAD * usual, unvaried)
        spread = torch.maximum(spread, least)
        return cls(mean, spread)

    def apply(self, features: Tensor) -> Tensor:
        """Standardised features, shape and dtype as given."""
        return (features - self.mean) / self.spread


def standardised(backbone: Backbone, images: Images, most: int, context: FitContext) -> tuple[Tensor, Scaler]:
    """Pooled features of at most ``most`` training images, drawn at random, (N, C) in float64 on the CPU, and what scales them."""
    rows = drawn(len(images), most, context.generator)
    features = torch.cat([found.cpu() for found in backbone.walk(images, rows, context, pooled)]).double()
    scaler = Scaler.of(features, backbone.channels)
    return scaler.apply(features), scaler


class Enlarge:
    """Maps of a coarse grid at the images' size: bilinear, then smoothed by a Gaussian of MAP_SIGMA."""

    def __init__(self, context: BuildContext) -> None:
        self.size = context.image_size
        self.smoothing = _gaussian(self.size).to(context.dtype).to(context.device)

    def __call__(self, maps: Tensor) -> Tensor:
        """From (B, h, w) to (B, H, W); what was not negative stays so."""
        large = F.interpolate(maps[:, None], size=(self.size, self.size), mode="bilinear", align_corners=False)[:, 0]
        return self.smoothing @ large @ self.smoothing.T


@lru_cache(maxsize=4)
def _gaussian(size: int) -> Tensor:
    """The matrix that smooths columns of ``size`` pixels, float64."""
    import numpy as np
    from scipy.ndimage import gaussian_filter1d

    return torch.from_numpy(gaussian_filter1d(np.eye(size), MAP_SIGMA * size, axis=0, mode="nearest"))


def _of_depths(values: Tensor, channels: Sequence[int]) -> Tensor:
    """Root mean square over the channels of each depth, repeated for each of them."""
    parts = torch.split(values, list(channels))
    return torch.cat([part.square().mean().sqrt().expand_as(part) for part in parts])


def _halvings(depth: str) -> int:
    """How often an image has been halved at a depth."""
    return int(depth[-1]) - depth.startswith("block")
