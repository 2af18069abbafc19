"""Multi-KD: multiresolution knowledge distillation.

Salehi, Sadjadi, Baselizadeh, Rohban, Rabiee: Multiresolution Knowledge Distillation for Anomaly Detection. CVPR 2021.

A small cloner learns, from normal images alone, to give the same features as a VGG-16 trained on ImageNet at four depths.
On an abnormal image the two disagree, in direction and in value. Constants follow the authors' public code (commit 5e08e2d).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import ClassVar, Final, Literal, Self

import torch
from pydantic import Field, model_validator
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every reader of PyTorch code expects

from adbench_harness.api import (
    BuildContext,
    FitContext,
    Images,
    Json,
    ModelSpec,
    OptionError,
    Options,
    Phase,
    Step,
    TrainedDetector,
    hookimpl,
)

from . import vgg16
from .optimisation import descend

adbench_api = 1

SMALL: Final = ((16, 16), (16, 128), (16, 16, 256), (16, 16, 512), (16, 16, 512))
EQUAL: Final = vgg16.BLOCKS
EPOCHS: Final = 202
"""The public configuration says 201, and its loop runs one more."""
MAP_SIGMA: Final = 4.0
"""Pixels of a 128 x 128 image, by which an anomaly map is smoothed."""
STRIDE: Final = 32
"""Five max-pools each halve the image."""


class MultiKDOptions(Options):
    """Defaults are those of the public code's configuration."""

    lengths: ClassVar = frozenset({"distil_epochs"})

    teacher: vgg16.Source = Field("imagenet", description=vgg16.SOURCE_MEANING)
    teacher_kind: vgg16.Pretrained | None = Field(None, description=vgg16.KIND_MEANING)
    teacher_input: vgg16.Input = Field(
        "plain", description="plain: images in [0, 1] as the public code gives them; trained: what the weights were trained for"
    )
    cloner: Literal["small", "equal"] = Field(
        "small", description="small: 16 channels but where compared; equal: VGG-16's widths"
    )
    value_weight: float = Field(0.01, ge=0, le=100, description="weight of the value term (lambda) in loss and score")
    direction_only: bool = Field(False, description="leave the value term out of loss and score")
    score_layers: int = Field(
        3, ge=3, le=4, description="max-pools in the score: 3 = the last three, as the public code; 4 = all of the loss"
    )
    cloner_bias: bool = Field(False, description="give the cloner's convolutions a bias")
    distil_epochs: int = Field(EPOCHS, ge=1, description="epochs of training, where the protocol doesn't say")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="of Adam, betas 0.9 and 0.999")
    feature_cache_mib: int = Field(
        2048,
        ge=0,
        le=1_000_000,
        description="memory for the teacher's features of the training images, which never change; 0 = none",
    )

    @property
    def choice(self) -> vgg16.Choice:
        """The teacher's weights and input."""
        return vgg16.Choice("teacher", self.teacher, self.teacher_kind, self.teacher_input)

    @model_validator(mode="after")
    def _inputs_make_sense(self) -> Self:
        self.choice.check()
        return self

    def identity(self) -> dict[str, Json]:
        """How much is cached changes time, not results."""
        return self.choice.identity({name: value for name, value in super().identity().items() if name != "feature_cache_mib"})

    def labels(self) -> dict[str, str]:
        """A teacher from a file is named by what it is and its hash."""
        return self.choice.labels({name: word for name, word in super().labels().items() if name != "feature_cache_mib"})


class Cloner(nn.Module):
    """VGG-16's plan with batch normalisation after every convolution but the last of each block."""

    def __init__(self, blocks: tuple[tuple[int, ...], ...], bias: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        channels = 3
        for widths in blocks:
            layers: list[nn.Module] = []
            for place, width in enumerate(widths, 1):
                layers.append(nn.Conv2d(channels, width, 3, padding=1, bias=bias))
                if place < len(widths):
                    layers.append(nn.BatchNorm2d(width))
                layers.append(nn.ReLU(inplace=True))
                channels = width
            self.blocks.append(nn.Sequential(*layers, nn.MaxPool2d(2, 2)))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Outputs of the second to fifth max-pool."""
        pools: list[Tensor] = []
        x = images
        for block in self.blocks:
            x = block(x)
            pools.append(x)
        return pools[1:]


def direction(teacher: Tensor, cloner: Tensor) -> Tensor:
    """1 - cosine similarity of the flattened activations of each image, shape (B,)."""
    return 1 - F.cosine_similarity(teacher.flatten(1), cloner.flatten(1), dim=1, eps=1e-8)


def value(teacher: Tensor, cloner: Tensor) -> Tensor:
    """Mean squared difference of the activations of each image, shape (B,)."""
    return (teacher - cloner).square().flatten(1).mean(dim=1)


class MultiKD(TrainedDetector):
    """Teacher and cloner. The loss compares four max-pools, the score the last three."""

    def __init__(self, options: MultiKDOptions, context: BuildContext) -> None:
        if context.image_size % STRIDE:
            raise OptionError(f"multikd needs an image size divisible by {STRIDE}, not {context.image_size}")
        self.options = options
        self.weight = 0.0 if options.direction_only else options.value_weight
        teacher, self._teacher_facts = options.choice.network(context.generator)
        self.teacher = teacher.to(context.device, context.dtype)
        self.cloner = Cloner(SMALL if options.cloner == "small" else EQUAL, options.cloner_bias)
        vgg16.xavier(self.cloner, context.generator)
        self.cloner.to(context.device, context.dtype).eval()

    def phases(self, images: Images, context: FitContext) -> Iterator[Phase]:
        """One phase: distil."""
        optimiser = torch.optim.Adam(self.cloner.parameters(), lr=self.options.learning_rate, betas=(0.9, 0.999))
        teach = self._teaching(images, context)

        def step(batch: Step) -> Mapping[str, Tensor]:
            losses = self.losses(teach(batch), self.cloner(_three_channels(batch.images)))
            descend(losses["loss"], optimiser)
            return {name: loss.detach() for name, loss in losses.items()}

        yield Phase(
            name="distil",
            modules={"cloner": self.cloner},
            optimisers={"cloner": optimiser},
            epochs=self.options.distil_epochs,
            step=step,
            description="the cloner learns the teacher's features of normal images",
        )
        self.cloner.eval()

    def losses(self, teacher: list[Tensor], cloner: list[Tensor]) -> dict[str, Tensor]:
        """Training loss and its two terms, 0-d: sums over four max-pools of means over the batch.

        A value term without weight is logged and takes no part, so that it costs nothing and may overflow.
        """
        pairs = list(zip(teacher, cloner, strict=True))
        directions = torch.stack([direction(t, c).mean() for t, c in pairs]).sum()
        if self.weight == 0:
            values = torch.stack([value(t, c.detach()).mean() for t, c in pairs]).sum()
            return {"loss": directions, "direction": directions, "value": values}
        values = torch.stack([value(t, c).mean() for t, c in pairs]).sum()
        return {"loss": directions + self.weight * values, "direction": directions, "value": values}

    def score(self, images: Tensor) -> Tensor:
        """Direction plus weighted value term, summed over the score's max-pools; shape (B,)."""
        x = _three_channels(images)
        pairs = list(zip(self.teacher(x), self.cloner(x), strict=True))[-self.options.score_layers :]
        terms = [direction(t, c) if self.weight == 0 else direction(t, c) + self.weight * value(t, c) for t, c in pairs]
        return torch.stack(terms).sum(dim=0)

    def anomaly_map(self, images: Tensor) -> Tensor:
        """How much each pixel moves the score: absolute gradient, summed over channels, smoothed; shape (B, H, W).

        The public code's "gradients" (its sigma of 4 pixels is for 128), without its rescaling image by image.
        """
        with torch.enable_grad():
            x = images.detach().clone().requires_grad_(True)
            gradient = torch.autograd.grad(self.score(x).sum(), x)[0]
        rough = gradient.abs().sum(dim=1).cpu().numpy()
        sigma = MAP_SIGMA * images.shape[-1] / 128
        return torch.from_numpy(gaussian_filter(rough, sigma=(0, sigma, sigma))).to(images)

    def state(self) -> dict[str, Tensor]:
        """The cloner; the teacher is known by its hash. A random teacher is made anew from the seed."""
        return dict(self.cloner.state_dict())

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over a trained cloner."""
        self.cloner.load_state_dict(dict(state))
        self.cloner.eval()

    def provenance(self) -> dict[str, Json]:
        """Which teacher it was."""
        return {"teacher": self._teacher_facts}

    def parameters(self) -> int:
        """Learnt values: the cloner's."""
        return sum(parameter.numel() for parameter in self.cloner.parameters())

    def _teaching(self, images: Images, context: FitContext) -> Callable[[Step], list[Tensor]]:
        """The teacher's features of a batch: looked up where all of them fit into memory, since images and teacher are fixed."""
        if self._features_mib(images) <= self.options.feature_cache_mib:
            with suppress(torch.OutOfMemoryError):
                cached = self._all_features(images, context)
                return lambda batch: [features[batch.indices] for features in cached]
        return lambda batch: self._teach(batch.images)

    def _all_features(self, images: Images, context: FitContext) -> list[Tensor]:
        cached: list[Tensor] = []
        for start in range(0, len(images), context.batch_size):
            context.progress(start, len(images), "teacher features")
            rows = torch.arange(start, min(start + context.batch_size, len(images)))
            for layer, features in enumerate(self._teach(images.batch(rows))):
                if start == 0:
                    cached.append(features.new_empty(len(images), *features.shape[1:]))
                cached[layer][start : start + len(rows)] = features
        return cached

    def _teach(self, images: Tensor) -> list[Tensor]:
        with torch.no_grad():
            features: list[Tensor] = self.teacher(_three_channels(images))
        return features

    def _features_mib(self, images: Images) -> float:
        sample = self._teach(images.batch(torch.arange(1)))
        return len(images) * sum(features.nbytes for features in sample) / 2**20


def _three_channels(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register Multi-KD."""
    register(
        ModelSpec(
            name="multikd",
            title="Multi-KD",
            build=MultiKD,
            paper=(
                "Salehi, Sadjadi, Baselizadeh, Rohban, Rabiee: Multiresolution Knowledge Distillation for Anomaly Detection. CVPR 2021."
            ),
            url="https://arxiv.org/abs/2011.11108",
            family="knowledge distillation",
            description="A small network learns the features of an ImageNet VGG-16 on normal images; where they disagree, the image is abnormal.",
            training_phase="The cloner learns to give the teacher's features at four max-pools, in direction (cosine) and value (mean squared error).",
            testing_phase="Teacher and cloner see the image; their features at the last three max-pools are compared.",
            score="Sum over three max-pools of (1 - cosine similarity) + lambda x mean squared difference.",
            options=MultiKDOptions,
            revision=2,
        )
    )
