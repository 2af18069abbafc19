"""PaDiM: a Gaussian of deep features at each position of the image.

Defard, Setkov, Loesch, Audigier: PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and Localization. ICPR
Workshops 2020, arXiv:2011.08785.

Features of three depths, put side by side at each position (section III-A) and thinned to a random choice (IV), have a mean and a
covariance there among normal images (III-B, eq. 1); the Mahalanobis distance (III-C, eq. 2) is the map, its maximum the score. The
backbone is VGG-16 where the paper has ResNets: its max-pools 2 to 4 have their strides, 4, 8 and 16.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every reader of PyTorch code expects

from adbench_harness.api import (
    BuildContext,
    FitContext,
    FittedDetector,
    Images,
    Json,
    ModelSpec,
    OptionError,
    TrainingError,
    hookimpl,
)

from .frozen_features import DEPTHS_MEANING, Backbone, BackboneOptions, Depths, Enlarge

adbench_api = 1

LARGEST: Final = 2**31
"""Bytes that all covariances may take; fitting takes twice as many."""
TOGETHER: Final = 64
"""Covariances that are inverted at once."""


class PaDiMOptions(BackboneOptions):
    """Defaults are the paper's for its smaller network (ResNet-18, d = 100), where VGG-16 has an analogue."""

    depths: Depths = Field("pool2,pool3,pool4", description=DEPTHS_MEANING)
    features: int = Field(100, ge=1, le=2816, description="features kept of those of all depths, drawn at random (the paper's d)")
    grid: int = Field(
        32, ge=1, le=128, description="positions in height and width: those of the shallowest depth, averaged down if more"
    )
    epsilon: float = Field(
        0.01, gt=0, le=100, description="added to each variance, in units of the mean square of the features of its depth"
    )


class PaDiM(FittedDetector):
    """Mean and covariance at each position; the map is the distance to them, the score the map's maximum."""

    def __init__(self, options: PaDiMOptions, context: BuildContext) -> None:
        self.options = options
        self.backbone = Backbone(options, options.depths, context)
        self.enlarge = Enlarge(context)
        self.grid = min(options.grid, self.backbone.sides[0])
        self.kept = min(options.features, sum(self.backbone.channels))
        like = torch.empty(0, dtype=context.dtype, device=context.device)
        if (size := self.grid**2 * self.kept**2 * like.element_size()) > LARGEST:
            raise OptionError(
                f"features={self.kept} at {self.grid} x {self.grid} positions take {size / 2**30:.1f} GiB, more than "
                f"{LARGEST / 2**30:g}; lower features or grid"
            )
        self.chosen = torch.arange(self.kept, device=context.device)
        self.mean = like.new_zeros(self.grid**2, self.kept)
        self.whitening = like.new_zeros(0, self.kept, self.kept)

    def fit(self, images: Images, context: FitContext) -> None:
        """One pass: mean and covariance of each position, batch by batch (Chan, Golub, LeVeque 1979, which loses no digits)."""
        channels = sum(self.backbone.channels)
        self.chosen = torch.randperm(channels, generator=context.generator)[: self.kept].sort().values.to(self.mean.device)
        self.mean = torch.zeros_like(self.mean)
        spread = self.mean.new_zeros(self.grid**2, self.kept, self.kept)
        squares = self.mean.new_zeros(self.kept)
        seen = 0
        for batch in self.backbone.walk(images, torch.arange(len(images)), context, self._embed):
            found = batch.transpose(0, 1)  # (positions, images, features)
            new = found.shape[1]
            centre = found.mean(dim=1)
            off, shift = found - centre[:, None], centre - self.mean
            spread.baddbmm_(off.transpose(1, 2), off)
            spread.baddbmm_(shift[:, :, None], shift[:, None, :], alpha=seen * new / (seen + new))
            self.mean += shift * (new / (seen + new))
            squares += found.square().mean(dim=0).sum(dim=0)
            seen += new
        spread /= max(seen - 1, 1)
        spread.diagonal(dim1=1, dim2=2).add_(self.options.epsilon * self._of_depths(squares / seen))
        self.whitening = self._inverted(spread, context)

    def score(self, images: Tensor) -> Tensor:
        """Maximum of the map, shape (B,)."""
        return self.anomaly_map(images).amax(dim=(1, 2))

    def anomaly_map(self, images: Tensor) -> Tensor:
        """Mahalanobis distance at each position (eq. 2), enlarged and smoothed; shape (B, H, W)."""
        return self.backbone.apply(images, lambda features: self.enlarge(self._distances(self._embed(features))))

    def state(self) -> dict[str, Tensor]:
        """Which features, their means, and the inverse Cholesky factor of each covariance; the backbone is known by its hash."""
        return {"chosen": self.chosen, "mean": self.mean, "whitening": self.whitening}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave."""
        self.chosen = state["chosen"].to(self.chosen)
        self.mean = state["mean"].to(self.mean)
        self.whitening = state["whitening"].to(self.whitening)

    def provenance(self) -> dict[str, Json]:
        """Which backbone it was."""
        return {"backbone": self.backbone.facts}

    def parameters(self) -> int:
        """Means, and covariances by their half."""
        return self.mean.numel() + len(self.whitening) * self.kept * (self.kept + 1) // 2

    def _embed(self, features: list[Tensor]) -> Tensor:
        """The chosen features of each position, shape (b, positions, features); a deeper one counts for all positions that it covers."""
        size = (self.grid, self.grid)
        placed = [
            F.adaptive_avg_pool2d(depth, size) if depth.shape[-1] > self.grid else F.interpolate(depth, size, mode="nearest")
            for depth in features
        ]
        return torch.cat(placed, dim=1).index_select(1, self.chosen).flatten(2).transpose(1, 2)

    def _distances(self, found: Tensor) -> Tensor:
        """Mahalanobis distances of embedded images, shape (b, grid, grid)."""
        off = (found - self.mean).permute(1, 2, 0)
        lengths: Tensor = torch.linalg.vector_norm(torch.bmm(self.whitening, off), dim=1)
        return lengths.T.reshape(-1, self.grid, self.grid)

    def _of_depths(self, squares: Tensor) -> Tensor:
        """Mean square of a depth's chosen features for each of them; 1 where all are 0."""
        bounds = torch.tensor(self.backbone.channels, device=self.chosen.device).cumsum(0)
        depth = torch.bucketize(self.chosen, bounds, right=True)
        found = torch.ones_like(squares)
        for number in range(len(bounds)):
            if bool((own := depth == number).any()) and float(mean := squares[own].mean()) > 0:
                found[own] = mean
        return found

    def _inverted(self, covariances: Tensor, context: FitContext) -> Tensor:
        """In place, from each covariance S = L L' the inverse of L: the length of its product with a vector is the distance."""
        unit = torch.eye(self.kept, dtype=covariances.dtype, device=covariances.device)
        for start in range(0, len(covariances), TOGETHER):
            context.progress(start, len(covariances), "covariances")
            part = covariances[start : start + TOGETHER]
            factor, failed = torch.linalg.cholesky_ex(part)
            if bool(failed.any()):
                raise TrainingError(
                    f"a covariance can't be inverted at epsilon={self.options.epsilon:g}; raise it with --set epsilon=0.01"
                )
            part.copy_(torch.linalg.solve_triangular(factor, unit.expand_as(part), upper=False))
        return covariances


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register PaDiM."""
    register(
        ModelSpec(
            name="padim",
            title="PaDiM",
            build=PaDiM,
            paper=(
                "Defard, Setkov, Loesch, Audigier: PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and Localization. "
                "ICPR Workshops 2020."
            ),
            url="https://arxiv.org/abs/2011.08785",
            family="feature distribution",
            description="At each position, normal features of an ImageNet VGG-16 are a Gaussian; far from it, the image is abnormal.",
            training_phase="Mean and covariance of 100 features, drawn at random from three depths, at each position of the training images.",
            testing_phase="The image's features at each position are compared with the Gaussian there.",
            score="Maximum over the image of the smoothed Mahalanobis distances.",
            options=PaDiMOptions,
            revision=1,
        )
    )
