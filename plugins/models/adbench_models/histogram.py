"""Histogram: how unlike any normal image's the gray values of an image are, wherever they stand. A control, not a detector.

Swain & Ballard: Color indexing. International Journal of Computer Vision 7(1), 1991, who find images again by their histograms
alone; Cover & Hart: Nearest neighbor pattern classification. IEEE Transactions on Information Theory 13(1), 1967. It knows no edge,
shape or place: a dataset that it decides is decided by brightness, exposure or the size of the dark border, and a detector that
does not beat it there has shown nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt
from typing import Final

import torch
from pydantic import Field
from torch import Tensor

from adbench_harness.api import BuildContext, FitContext, FittedDetector, Images, ModelSpec, Options, hookimpl

adbench_api = 1

BATCH: Final = 256
LEVELS: Final = 256
"""Gray levels of an 8-bit image; all others are rounded to them, so that no rounding error decides a bin."""


class HistogramOptions(Options):
    """Our choice; no published detector fixes it."""

    bins: int = Field(32, ge=2, le=LEVELS, description="bins of the histogram of gray values, all of the same width or nearly")


class HistogramDetector(FittedDetector):
    """Hellinger distance of an image's histogram from the nearest one of a training image.

    All is computed on the CPU in double precision once pixels are counted, and a bin is an integer: a GPU gives the same score.
    """

    def __init__(self, options: HistogramOptions, context: BuildContext) -> None:
        self.bins = options.bins
        self.roots = torch.zeros(0, self.bins, dtype=torch.float64)

    def fit(self, images: Images, context: FitContext) -> None:
        """Keep the square roots of the training images' histograms, each set of equal ones once."""
        rows = []
        for start in range(0, len(images), BATCH):
            context.progress(start, len(images))
            rows.append(self.histograms(images.batch(torch.arange(start, min(start + BATCH, len(images))))).sqrt())
        self.roots = torch.unique(torch.cat(rows), dim=0)

    def score(self, images: Tensor) -> Tensor:
        """Hellinger distance, shape (B,): 0 for the histogram of a training image, 1 where no bin is shared with any."""
        roots = self.histograms(images).sqrt()
        # Differences, not products: of an image in the training set the distance is 0, not a rounding error.
        distances = torch.cdist(roots, self.roots, compute_mode="donot_use_mm_for_euclid_dist")
        return (distances.amin(dim=1) / sqrt(2)).to(images)

    def histograms(self, images: Tensor) -> Tensor:
        """The share of an image's pixels in each bin of gray values (mean over channels), float64 (B, bins), on the CPU."""
        levels = (images.mean(dim=1) * (LEVELS - 1)).round().clamp(0, LEVELS - 1).long().flatten(1)
        places = levels * self.bins // LEVELS + self.bins * torch.arange(len(images), device=images.device)[:, None]
        counts = torch.bincount(places.flatten(), minlength=self.bins * len(images)).reshape(len(images), self.bins)
        return counts.cpu().double() / levels.shape[1]

    def state(self) -> dict[str, Tensor]:
        """Square roots of the training images' histograms."""
        return {"roots": self.roots}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what was kept of the training images."""
        self.roots = state["roots"].cpu().double()


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register the histogram."""
    register(
        ModelSpec(
            name="histogram",
            title="Histogram",
            build=HistogramDetector,
            paper="Swain & Ballard: Color indexing. International Journal of Computer Vision 7(1), 1991.",
            url="https://doi.org/10.1007/BF00130487",
            family="control",
            description=(
                "How unlike any normal image's the gray values of an image are, wherever they stand: what brightness alone decides, and "
                "what every other detector must beat."
            ),
            training_phase="The histogram of gray values of each training image is kept.",
            testing_phase="The image's histogram is compared with each of them.",
            score="Hellinger distance from the nearest.",
            options=HistogramOptions,
            revision=1,
        )
    )
