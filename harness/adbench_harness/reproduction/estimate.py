"""What several seeds say of a figure: their mean, and an interval that joins two errors, of the seeds and of the test images.

Seeds err in different ways on the same images, so a part of what is seen between them is the images' error, seen a second time. Of
ROC areas that part is known, and taken out. Of other figures it is not known: both errors are joined as they are, and the interval
is conservative.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

import numpy as np
from scipy.stats import t as student

from ..metrics.comparison import mean_interval, seed_means
from ..metrics.delong import PairedAreas
from ..metrics.intervals import LEVEL
from ..published import Claim
from .series import Measured

Verdict = Literal["inside", "above", "below", "not comparable"]
Basis = Literal["seeds and images", "seeds", "images", "none"]


@dataclass(frozen=True)
class Estimate:
    """The mean over seeds and its 95 % interval, within [0, 1]; None for an end that nothing is known of."""

    value: float
    low: float | None
    high: float | None
    basis: Basis

    def verdict(self, claim: Claim) -> Verdict | None:
        """Where ours lies, seen from the study's figure; None without an interval."""
        if self.low is None or self.high is None:
            return None
        if self.low > claim.high + 1e-9:
            return "above"
        return "below" if self.high < claim.low - 1e-9 else "inside"


def estimate(measured: Sequence[Measured]) -> Estimate:
    """The mean of one figure over runs that differ by their seed, at least one, and its interval.

    All runs are tested on the same images, so that error does not shrink with their number: the distances to the ends of their
    own intervals are averaged, which is as much as it can be. Each side is joined with the half-width of Student's interval of the
    mean as a root of squares. Of several runs this is conservative, by the part of the images' error in which they differ: it
    is in both. Where areas of several seeds are known with their covariance, ``estimate_area`` has neither fault.
    """
    values = [figure.value for figure in measured]
    mean = fmean(values)
    seeds = _half_width(values) if len(values) > 1 else None
    below = [max(0.0, figure.value - figure.low) for figure in measured if figure.low is not None]
    above = [max(0.0, figure.high - figure.value) for figure in measured if figure.high is not None]
    images = (fmean(below), fmean(above)) if len(below) == len(above) == len(values) else None
    if seeds is None and images is None:
        return Estimate(mean, None, None, "none")
    down, up = images or (0.0, 0.0)
    basis: Basis = "seeds and images" if seeds is not None and images else "images" if images else "seeds"
    low, high = mean - math.hypot(down, seeds or 0.0), mean + math.hypot(up, seeds or 0.0)
    return Estimate(mean, max(0.0, low), min(1.0, high), basis)


def estimate_area(areas: PairedAreas) -> Estimate | None:
    """The mean ROC area of detectors that differ by their seed, two at least, and its interval by the seeds' own variance.

    See ``comparison.seed_means``. None where a class has a single image, or group: how areas vary together is not known then.
    """
    if not np.isfinite(areas.covariance).all():
        return None
    means = seed_means(areas, [np.arange(len(areas.values))])
    interval = mean_interval(means, 0)
    return Estimate(float(means.areas.values[0]), interval.low, interval.high, "seeds and images")


def _half_width(values: Sequence[float]) -> float:
    """Of Student's interval of the mean of two or more values."""
    quantile = float(student.ppf((1 + LEVEL) / 2, len(values) - 1))
    return quantile * stdev(values) / math.sqrt(len(values))
