"""Isolation forest: how few random cuts set an image's pooled deep features apart from those of normal images.

Liu, Ting, Zhou: Isolation Forest. ICDM 2008. scikit-learn grows the trees; they are kept as tensors and walked here, so no pickle
is. The features are a frozen VGG-16's, averaged over the image, of the depths that PaDiM takes: what differs is the method.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from adbench_harness.api import BuildContext, FitContext, FittedDetector, Images, Json, ModelSpec, TrainingError, hookimpl

from .frozen_features import DEPTHS_MEANING, Backbone, BackboneOptions, Depths, Scaler, pooled, standardised

adbench_api = 1

FEWEST: Final = 3
FOREST: Final = {
    "feature": torch.int64,
    "threshold": torch.float64,
    "left": torch.int64,
    "right": torch.int64,
    "path": torch.float64,
}
"""A forest as tensors (trees, nodes): what a node cuts and where, its two children (itself if it is a leaf), and h of what ends there."""


class IsolationForestOptions(BackboneOptions):
    """Defaults are the paper's (section 4)."""

    depths: Depths = Field("pool2,pool3,pool4", description=DEPTHS_MEANING)
    trees: int = Field(100, ge=1, le=10_000, description="trees in the forest (the paper's t)")
    subsample: int = Field(
        256, ge=FEWEST, le=65_536, description="training images a tree sees, drawn at random (the paper's psi)"
    )
    fit_images: int = Field(20_000, ge=FEWEST, le=1_000_000, description="training images to draw from, at most, drawn at random")


class IsolationForest(FittedDetector):
    """Random trees that isolate training images; what they isolate soon is abnormal."""

    def __init__(self, options: IsolationForestOptions, context: BuildContext) -> None:
        self.options = options
        self.backbone = Backbone(options, options.depths, context)
        width = sum(self.backbone.channels)
        self.scaler = Scaler(torch.zeros(width, dtype=torch.float64), torch.ones(width, dtype=torch.float64))
        self.forest = {name: torch.zeros(0, 1, dtype=dtype) for name, dtype in FOREST.items()}
        self.usual = torch.ones(1, dtype=torch.float64)

    def fit(self, images: Images, context: FitContext) -> None:
        """Grow the forest; heights are limited to log2 of what a tree sees (algorithm 1 and 2)."""
        from sklearn.ensemble import IsolationForest as Forest

        if len(images) < FEWEST:
            raise TrainingError(
                f"isolation-forest needs at least {FEWEST} training images, not {len(images)}: every cut isolates one of two"
            )
        features, self.scaler = standardised(self.backbone, images, self.options.fit_images, context)
        seen = min(self.options.subsample, len(features))
        seed = int(torch.randint(2**31 - 1, (1,), generator=context.generator))
        context.progress(len(features), len(features), "forest")
        grown = Forest(n_estimators=self.options.trees, max_samples=seen, random_state=seed).fit(features.numpy())
        self.forest = _as_tensors([tree.tree_ for tree in grown.estimators_])
        self.usual = torch.tensor([average_path(seen)], dtype=torch.float64)

    def score(self, images: Tensor) -> Tensor:
        """2^(-E(h) / c(psi)) (eq. 2), shape (B,): near 1 for what is isolated at once, 0.5 for the average."""
        return self.backbone.apply(images, self._scores).to(images)

    def state(self) -> dict[str, Tensor]:
        """The forest, and what scales features; the backbone is known by its hash."""
        return {**self.forest, "usual": self.usual, "mean": self.scaler.mean, "spread": self.scaler.spread}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave."""
        self.forest = {name: state[name].to("cpu", dtype) for name, dtype in FOREST.items()}
        self.usual, mean, spread = (state[name].to("cpu", torch.float64) for name in ("usual", "mean", "spread"))
        self.scaler = Scaler(mean, spread)

    def provenance(self) -> dict[str, Json]:
        """Which backbone it was."""
        return {"backbone": self.backbone.facts}

    def parameters(self) -> int:
        """Where each node cuts what, and how long paths are that end in its leaves: two numbers a cut, one a leaf."""
        leaves = int((self.forest["path"] > 0).sum())
        return 2 * (leaves - len(self.forest["path"])) + leaves

    def _scores(self, features: list[Tensor]) -> Tensor:
        # Trees cut float32 features, as scikit-learn's do.
        found = self.scaler.apply(pooled(features).cpu().double()).float().double()
        trees = torch.arange(len(self.forest["path"]))
        node = torch.zeros(len(found), len(trees), dtype=torch.int64)
        while True:
            low = found.gather(1, self.forest["feature"][trees, node]) <= self.forest["threshold"][trees, node]
            after = torch.where(low, self.forest["left"][trees, node], self.forest["right"][trees, node])
            if torch.equal(after, node):
                return torch.exp2(-self.forest["path"][trees, node].mean(dim=1) / self.usual)
            node = after


def average_path(count: int) -> float:
    """c(n) (eq. 1): average length of an unsuccessful search in a binary tree of ``count`` values; 1 for two, 0 for one."""
    if count <= 2:
        return float(max(count - 1, 0))
    return 2 * (math.log(count - 1) + float(np.euler_gamma)) - 2 * (count - 1) / count


def _as_tensors(trees: list[Any]) -> dict[str, Tensor]:
    """scikit-learn's trees side by side, filled up to the largest."""
    nodes = max(tree.node_count for tree in trees)
    forest = {name: torch.zeros(len(trees), nodes, dtype=dtype) for name, dtype in FOREST.items()}
    for number, tree in enumerate(trees):
        leaf = tree.children_left < 0
        own = np.arange(tree.node_count)
        arrays = {
            "feature": np.where(leaf, 0, tree.feature),
            "threshold": np.where(leaf, 0.0, tree.threshold),
            "left": np.where(leaf, own, tree.children_left),
            "right": np.where(leaf, own, tree.children_right),
            "path": np.where(leaf, _depths(tree) + [average_path(int(n)) for n in tree.n_node_samples], 0.0),
        }
        for name, values in arrays.items():
            forest[name][number, : len(values)] = torch.from_numpy(values)
    return forest


def _depths(tree: Any) -> NDArray[np.int64]:
    """Cuts above each node; a parent comes before its children."""
    depths = np.zeros(tree.node_count, dtype=np.int64)
    for node in range(tree.node_count):
        if (left := tree.children_left[node]) >= 0:
            depths[left] = depths[tree.children_right[node]] = depths[node] + 1
    return depths


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register the isolation forest."""
    register(
        ModelSpec(
            name="isolation-forest",
            title="Isolation forest",
            build=IsolationForest,
            paper="Liu, Ting, Zhou: Isolation Forest. ICDM 2008.",
            url="https://doi.org/10.1109/ICDM.2008.17",
            family="isolation",
            description="Random cuts through the mean features of an ImageNet VGG-16 set an abnormal image apart sooner than normal ones.",
            training_phase="100 random trees, each on up to 256 training images, described by their mean features.",
            testing_phase="The image's mean features are followed down every tree.",
            score="2 to the power of minus the mean path length, in units of that of an average search.",
            options=IsolationForestOptions,
            revision=1,
        )
    )
