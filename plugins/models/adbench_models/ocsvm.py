"""One-class SVM: a boundary around the pooled deep features of normal images.

Schölkopf, Platt, Shawe-Taylor, Smola, Williamson: Estimating the Support of a High-Dimensional Distribution. Neural Computation
13(7), 2001. scikit-learn (libsvm) finds the boundary; what it found is kept as tensors and evaluated here, so no pickle is.
The features are a frozen VGG-16's, averaged over the image, of the depths that PaDiM takes: what differs is the method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from pydantic import Field
from torch import Tensor

from adbench_harness.api import BuildContext, FitContext, FittedDetector, Images, Json, ModelSpec, hookimpl

from .frozen_features import DEPTHS_MEANING, Backbone, BackboneOptions, Depths, Scaler, pooled, standardised

adbench_api = 1


class OneClassSVMOptions(BackboneOptions):
    """The paper leaves nu and the kernel's width to the user; ours are the usual ones."""

    depths: Depths = Field("pool2,pool3,pool4", description=DEPTHS_MEANING)
    nu: float = Field(0.1, gt=0, le=1, description="at most this part of the training images lies outside the boundary")
    gamma: float | None = Field(None, gt=0, description="of the kernel exp(-gamma d^2); unset = 1 / number of features")
    fit_images: int = Field(5000, ge=1, le=50_000, description="training images learnt from, at most, drawn at random")


class OneClassSVM(FittedDetector):
    """Support vectors, their weights and the threshold rho, in float64 on the CPU."""

    def __init__(self, options: OneClassSVMOptions, context: BuildContext) -> None:
        self.options = options
        self.backbone = Backbone(options, options.depths, context)
        width = sum(self.backbone.channels)
        self.gamma = options.gamma if options.gamma is not None else 1 / width
        self.scaler = Scaler(torch.zeros(width, dtype=torch.float64), torch.ones(width, dtype=torch.float64))
        self.vectors = torch.zeros(0, width, dtype=torch.float64)
        self.weights = torch.zeros(0, dtype=torch.float64)
        self.rho = torch.ones(1, dtype=torch.float64)

    def fit(self, images: Images, context: FitContext) -> None:
        """Find the boundary (section 3 of the paper); weights sum to 1, as there."""
        from sklearn.svm import OneClassSVM as Boundary

        features, self.scaler = standardised(self.backbone, images, self.options.fit_images, context)
        context.progress(len(features), len(features), "boundary")
        boundary = Boundary(kernel="rbf", gamma=self.gamma, nu=self.options.nu)
        boundary.random_state = 0  # a seed that libsvm is given and has no use for here; unset, NumPy's global generator is asked
        found = boundary.fit(features.numpy())
        weights = torch.from_numpy(found.dual_coef_[0].copy())
        self.vectors = features[torch.from_numpy(found.support_).long()].clone()
        self.weights = weights / weights.sum()
        self.rho = torch.from_numpy(found.offset_ / weights.sum().numpy())

    def score(self, images: Tensor) -> Tensor:
        """log(rho) - log(sum of weighted kernels), shape (B,): 0 on the boundary, positive outside.

        The paper's decision function, sum - rho, orders images alike; far outside it is -rho for all, and this is not.
        """
        return self.backbone.apply(images, self._scores).to(images)

    def state(self) -> dict[str, Tensor]:
        """The boundary, and what scales features; the backbone is known by its hash."""
        return {
            "mean": self.scaler.mean,
            "spread": self.scaler.spread,
            "vectors": self.vectors,
            "weights": self.weights,
            "rho": self.rho,
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave."""
        kept = {name: tensor.to("cpu", torch.float64) for name, tensor in state.items()}
        self.scaler = Scaler(kept["mean"], kept["spread"])
        self.vectors, self.weights, self.rho = kept["vectors"], kept["weights"], kept["rho"]

    def provenance(self) -> dict[str, Json]:
        """Which backbone it was."""
        return {"backbone": self.backbone.facts}

    def _scores(self, features: list[Tensor]) -> Tensor:
        found = self.scaler.apply(pooled(features).cpu().double())
        squares = torch.cdist(found, self.vectors, compute_mode="donot_use_mm_for_euclid_dist").square()
        return self.rho.log() - torch.logsumexp(self.weights.log() - self.gamma * squares, dim=1)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register the one-class SVM."""
    register(
        ModelSpec(
            name="ocsvm",
            title="One-class SVM",
            build=OneClassSVM,
            paper=(
                "Schölkopf, Platt, Shawe-Taylor, Smola, Williamson: Estimating the Support of a High-Dimensional Distribution. "
                "Neural Computation 13(7), 2001."
            ),
            url="https://doi.org/10.1162/089976601750264965",
            family="boundary",
            description="A boundary around normal images, each described by the mean features of an ImageNet VGG-16.",
            training_phase="A one-class support vector machine with a Gaussian kernel on the standardised mean features of the training images.",
            testing_phase="The image's mean features are compared with the support vectors.",
            score="Logarithm of the threshold minus that of the weighted sum of kernels: positive outside the boundary.",
            options=OneClassSVMOptions,
            revision=1,
        )
    )
