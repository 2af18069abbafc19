"""PCA: how badly an image is rebuilt from the principal components of normal images.

Pearson: On lines and planes of closest fit to systems of points in space. Philosophical Magazine 2(11), 1901. As an anomaly
detector: Jackson & Mudholkar: Control Procedures for Residuals Associated With Principal Component Analysis. Technometrics
21(3), 1979. It needs no weights and a second of time: the baseline that a learnt detector must beat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import torch
from pydantic import Field
from sklearn.decomposition import PCA
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every reader of PyTorch code expects

from adbench_harness.api import BuildContext, FitContext, FittedDetector, Images, ModelSpec, Options, TrainingError, hookimpl

adbench_api = 1

BATCH: Final = 256


class PCAOptions(Options):
    """Both are our choice; no published detector fixes them."""

    components: int = Field(64, ge=1, le=4096, description="principal components kept; at most one fewer than training images")
    grid: int = Field(64, ge=8, le=512, description="images are averaged down to grid x grid gray pixels first; never enlarged")


class PCADetector(FittedDetector):
    """Mean squared residual of the gray image, averaged down to a grid, after projection on the components."""

    def __init__(self, options: PCAOptions, context: BuildContext) -> None:
        self.options = options
        self.device = context.device
        self.grid = min(options.grid, context.image_size)
        self.mean = torch.zeros(self.grid**2, dtype=context.dtype, device=context.device)
        self.components = torch.zeros(0, self.grid**2, dtype=context.dtype, device=context.device)

    def fit(self, images: Images, context: FitContext) -> None:
        """Learn mean and components; scikit-learn's randomised solver, seeded by the run."""
        if len(images) < 2:
            raise TrainingError("pca needs at least two training images")
        rows = []
        for start in range(0, len(images), BATCH):
            context.progress(start, len(images))
            rows.append(self._pixels(images.batch(torch.arange(start, min(start + BATCH, len(images))))).cpu().numpy())
        data = np.concatenate(rows)
        kept = min(self.options.components, len(images) - 1, data.shape[1])
        seed = int(torch.randint(2**31 - 1, (1,), generator=context.generator))
        pca = PCA(kept, svd_solver="randomized", random_state=seed).fit(data)
        for number, share in enumerate(np.cumsum(pca.explained_variance_ratio_), 1):
            context.log("explained variance", share, number)
        self.mean = torch.as_tensor(pca.mean_).to(self.mean)
        self.components = torch.as_tensor(pca.components_).to(self.components)

    def score(self, images: Tensor) -> Tensor:
        """Mean squared residual, shape (B,)."""
        return self._residual(images).square().mean(dim=1)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Gray images from the components, enlarged again; the same gray in each channel."""
        rebuilt = self._pixels(images) - self._residual(images)
        return self._enlarged(rebuilt, images).clamp(0, 1).expand_as(images)

    def anomaly_map(self, images: Tensor) -> Tensor:
        """Squared residual of each pixel of the grid, enlarged; the score is its mean before that."""
        return self._enlarged(self._residual(images).square(), images)[:, 0]

    def state(self) -> dict[str, Tensor]:
        """Mean and components."""
        return {"mean": self.mean, "components": self.components}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over mean and components."""
        self.mean = state["mean"].to(self.mean)
        self.components = state["components"].to(self.components)

    def _residual(self, images: Tensor) -> Tensor:
        """What the components leave over, shape (B, grid * grid)."""
        centred = self._pixels(images) - self.mean
        return centred - (centred @ self.components.T) @ self.components

    def _enlarged(self, pixels: Tensor, images: Tensor) -> Tensor:
        """Pixels of the grid at the images' size, shape (B, 1, H, W)."""
        grid = pixels.reshape(-1, 1, self.grid, self.grid)
        return F.interpolate(grid, size=images.shape[2:], mode="bilinear", align_corners=False)

    def _pixels(self, images: Tensor) -> Tensor:
        """Gray pixels of the grid, shape (B, grid * grid)."""
        return F.adaptive_avg_pool2d(images.mean(dim=1, keepdim=True), self.grid).flatten(1)


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register PCA."""
    register(
        ModelSpec(
            name="pca",
            title="PCA",
            build=PCADetector,
            paper="Jackson & Mudholkar: Control Procedures for Residuals Associated With Principal Component Analysis. Technometrics 21(3), 1979.",
            url="https://doi.org/10.1080/00401706.1979.10489779",
            family="reconstruction",
            description="An image is rebuilt from the principal components of normal images; what is left over is the score.",
            training_phase="Mean and principal components of the training images, averaged down to a grid of gray pixels.",
            testing_phase="The image is projected on the components and rebuilt.",
            score="Mean squared difference between image and reconstruction.",
            options=PCAOptions,
            revision=1,
        )
    )
