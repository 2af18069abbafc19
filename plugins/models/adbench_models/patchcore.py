"""PatchCore: how far the patches of an image are from the nearest patches of normal images.

Roth, Pemula, Zepeda, Schölkopf, Brox, Gehler: Towards Total Recall in Industrial Anomaly Detection. CVPR 2022, arXiv:2106.08265.

Mid-level features, averaged over their neighbourhood (section 3.1), of all normal images make a memory bank, which is thinned to the
patches that cover the others best (3.2, algorithm 1). The distance to the nearest is the map; its maximum, weighted by how
usual that nearest patch is, the score (3.3, eq. 6 and 7). The backbone is VGG-16 where the paper has ResNets: its max-pools 3 and
4 have the strides of the paper's depths, 8 and 16.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch
from pydantic import Field, field_validator
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every reader of PyTorch code expects

from adbench_harness.api import BuildContext, FitContext, FittedDetector, Images, Json, ModelSpec, hookimpl

from .frozen_features import DEPTHS_MEANING, Backbone, BackboneOptions, Depths, Enlarge, drawn

adbench_api = 1

TOGETHER: Final = 1024
"""Patches that are compared with the bank at once."""
SETTLED: Final = 4
"""Nearest patches by a fast distance that rounds, among which an exact one decides."""
TELL: Final = 100
"""How often the coreset says how far it is."""


class PatchCoreOptions(BackboneOptions):
    """Defaults are the paper's, where it states them; ``neighbours`` and ``patches`` are ours."""

    depths: Depths = Field("pool3,pool4", description=DEPTHS_MEANING)
    neighbourhood: int = Field(3, ge=1, le=9, description="features are averaged over so many positions in height and width; odd")
    coreset: float = Field(0.1, gt=0, le=1, description="part of the patches that the bank keeps")
    patches: int = Field(
        50_000, ge=16, le=2_000_000, description="patches to choose from, at most; as many of each image, drawn at random"
    )
    projection: int = Field(128, ge=1, le=4096, description="dimensions of the random projection in which the coreset is chosen")
    reweighting: bool = Field(True, description="weight the score by how usual the nearest patch is (eq. 7)")
    neighbours: int = Field(
        9, ge=2, le=100, description="patches nearest to the nearest that the weight looks at (the paper's b)"
    )

    @field_validator("neighbourhood")
    @classmethod
    def _has_a_middle(cls, width: int) -> int:
        if width % 2 == 0:
            raise ValueError("an even neighbourhood has no middle")
        return width


class PatchCore(FittedDetector):
    """A bank of normal patches. Of each depth, patches have a mean squared length of 1, so that depths weigh alike."""

    def __init__(self, options: PatchCoreOptions, context: BuildContext) -> None:
        self.options = options
        self.backbone = Backbone(options, options.depths, context)
        self.enlarge = Enlarge(context)
        self.grid = self.backbone.sides[0]
        width = sum(self.backbone.channels)
        self.scale = torch.ones(width, dtype=context.dtype, device=context.device)
        self.bank = self.scale.new_zeros(0, width)
        self.beside = torch.zeros(0, 0, dtype=torch.int64, device=context.device)

    def fit(self, images: Images, context: FitContext) -> None:
        """Collect patches, choose the bank, and find what is near to what in it."""
        patches = self._collected(images, context)
        self.scale = self._lengths(patches)
        patches /= self.scale
        # A bank must hold the neighbours that eq. 7 looks at, or it gives every patch the weight 0.
        size = min(max(round(self.options.coreset * len(patches)), self.options.neighbours + 1), len(patches))
        seen = _projected(patches, self.options.projection, context.generator)
        first = int(torch.randint(len(patches), (1,), generator=context.generator))
        self.bank = patches[greedy_centres(seen, size, first, context)]
        self.beside = self._neighbours(context)

    def score(self, images: Tensor) -> Tensor:
        """Distance of the patch that is farthest from the bank (eq. 6), weighted (eq. 7); shape (B,)."""
        return self.backbone.apply(images, self._scores)

    def anomaly_map(self, images: Tensor) -> Tensor:
        """Distance of each patch to the bank, enlarged and smoothed; shape (B, H, W)."""

        def enlarged(features: list[Tensor]) -> Tensor:
            distances, _ = self.nearest(self._embed(features).flatten(0, 1) / self.scale)
            return self.enlarge(distances.reshape(-1, self.grid, self.grid))

        return self.backbone.apply(images, enlarged)

    def nearest(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Distance to, and row of, the nearest patch of the bank, each of shape (n,), for patches (n, D)."""
        lengths = self.bank.square().sum(dim=1)
        found = []
        for part in torch.split(patches, TOGETHER):
            rough = torch.addmm(lengths[None], part, self.bank.T, alpha=-2)  # short of the patch's own squared length
            rows = rough.topk(min(SETTLED, len(self.bank)), dim=1, largest=False).indices
            exact = torch.linalg.vector_norm(part[:, None] - self.bank[rows], dim=2)
            distance, place = exact.min(dim=1)
            found.append((distance, rows.gather(1, place[:, None])[:, 0]))
        return torch.cat([distance for distance, _ in found]), torch.cat([row for _, row in found])

    def state(self) -> dict[str, Tensor]:
        """The bank and the neighbours in it; the backbone is known by its hash."""
        return {"bank": self.bank, "beside": self.beside, "scale": self.scale}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave."""
        self.bank = state["bank"].to(self.bank)
        self.beside = state["beside"].to(self.beside)
        self.scale = state["scale"].to(self.scale)

    def provenance(self) -> dict[str, Json]:
        """Which backbone it was."""
        return {"backbone": self.backbone.facts}

    def parameters(self) -> int:
        """The bank's values."""
        return self.bank.numel()

    def _embed(self, features: list[Tensor]) -> Tensor:
        """Locally averaged features of all depths at each position (3.1), shape (b, positions, D); the border has fewer neighbours."""
        width = self.options.neighbourhood
        averaged = [F.avg_pool2d(depth, width, 1, width // 2, count_include_pad=False) for depth in features]
        size = (self.grid, self.grid)
        same = [averaged[0], *(F.interpolate(depth, size, mode="bilinear", align_corners=False) for depth in averaged[1:])]
        return torch.cat(same, dim=1).flatten(2).transpose(1, 2)

    def _collected(self, images: Images, context: FitContext) -> Tensor:
        """Patches of the training images, at most as many as the options say, and as many of each image that is drawn; (n, D)."""
        rows = drawn(len(images), self.options.patches, context.generator)
        own = min(self.options.patches // max(len(rows), 1), self.grid**2)
        patches = self.bank.new_empty(len(rows) * own, self.bank.shape[1])
        filled = 0
        for found in self.backbone.walk(images, rows, context, self._embed):
            kept = torch.rand(found.shape[:2], generator=context.generator).argsort(dim=1)[:, :own].sort(dim=1).values
            part = found.gather(1, kept.to(found.device)[:, :, None].expand(-1, -1, found.shape[2])).flatten(0, 1)
            patches[filled : filled + len(part)] = part
            filled += len(part)
        return patches

    def _lengths(self, patches: Tensor) -> Tensor:
        """Root mean squared length of a depth's part of a patch, for each feature of it; 1 where all are 0."""
        parts = torch.split(patches.square().mean(dim=0), self.backbone.channels)
        lengths = [part.sum().sqrt().expand_as(part) for part in parts]
        found = torch.cat(lengths)
        return torch.where(found > 0, found, torch.ones_like(found))

    def _neighbours(self, context: FitContext) -> Tensor:
        """Rows of the patches of the bank nearest to each, itself first; shape (M, b)."""
        count = min(self.options.neighbours, len(self.bank))
        rows = []
        for start in range(0, len(self.bank), TOGETHER):
            context.progress(start, len(self.bank), "neighbours")
            part = self.bank[start : start + TOGETHER]
            distances = torch.cdist(part, self.bank)
            own = torch.arange(start, start + len(part), device=part.device)
            distances[own - start, own] = -1.0
            rows.append(distances.topk(count, dim=1, largest=False).indices)
        return torch.cat(rows)

    def _scores(self, features: list[Tensor]) -> Tensor:
        patches = self._embed(features) / self.scale
        distances, rows = (found.reshape(patches.shape[:2]) for found in self.nearest(patches.flatten(0, 1)))
        farthest, place = distances.max(dim=1)
        if not self.options.reweighting or self.beside.shape[1] < 2:
            return farthest
        patch = patches.gather(1, place[:, None, None].expand(-1, 1, patches.shape[2]))
        row = rows.gather(1, place[:, None])[:, 0]
        around = torch.linalg.vector_norm(patch - self.bank[self.beside[row]], dim=2)
        # The nearest patch is the first of its own neighbours: the quotient of eq. 7 is its share of a softmax.
        return (1 - torch.softmax(around, dim=1)[:, 0]) * farthest


def greedy_centres(points: Tensor, count: int, first: int, context: FitContext) -> Tensor:
    """Rows of ``count`` points (n, d) that cover the others: each is the farthest from those before it (algorithm 1).

    Gonzalez 1985: the largest distance to the chosen is at most twice the least possible. Nothing is read back to the host
    but where progress is told.
    """
    points = points - points.mean(dim=0)  # shorter vectors round less below
    squares = points.square().sum(dim=1)
    left = torch.full_like(squares, torch.inf)
    chosen = torch.empty(count, dtype=torch.int64, device=points.device)
    row = torch.tensor([first], device=points.device)
    every = max(count // TELL, 1)
    for number in range(count):
        chosen[number : number + 1] = row
        distances = squares + squares[row] - 2 * (points @ points[row][0])
        left = torch.minimum(left, distances).index_fill(0, row, -torch.inf)
        farthest, row = left.max(dim=0, keepdim=True)
        if number % every == 0 and number + 1 < count:
            context.progress(number, count, "coreset")
            context.log("coreset radius", float(farthest.clamp(min=0).sqrt()), number + 1)
    return chosen


def _projected(patches: Tensor, width: int, generator: torch.Generator) -> Tensor:
    """Patches in a random projection that nearly keeps distances (Johnson & Lindenstrauss 1984); as they are if not wider."""
    if patches.shape[1] <= width:
        return patches
    axes = torch.randn(patches.shape[1], width, generator=generator) / width**0.5
    return torch.mm(patches, axes.to(patches.dtype).to(patches.device))


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register PatchCore."""
    register(
        ModelSpec(
            name="patchcore",
            title="PatchCore",
            build=PatchCore,
            paper="Roth, Pemula, Zepeda, Schölkopf, Brox, Gehler: Towards Total Recall in Industrial Anomaly Detection. CVPR 2022.",
            url="https://arxiv.org/abs/2106.08265",
            family="feature bank",
            description="Patches of normal images, as an ImageNet VGG-16 describes them, are kept; a patch far from all of them is abnormal.",
            training_phase="Patch features of two depths are collected, and a tenth that covers the others (greedy k-centre) is kept.",
            testing_phase="Each patch of the image is compared with the nearest patch of the bank.",
            score="Largest distance of a patch to the bank, weighted by how usual the nearest patch is among its neighbours.",
            options=PatchCoreOptions,
            revision=1,
        )
    )
