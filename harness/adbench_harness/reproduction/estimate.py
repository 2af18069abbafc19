"""What several seeds say of a figure: their mean, and an interval that joins two errors.

The spread over seeds, by Student's t, and that of the test images, by the runs' own intervals, have nothing to do with each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from scipy.stats import t as student

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
    mean as a root of squares.
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


def _half_width(values: Sequence[float]) -> float:
    """Of Student's interval of the mean of two or more values."""
    quantile = float(student.ppf((1 + LEVEL) / 2, len(values) - 1))
    return quantile * stdev(values) / math.sqrt(len(values))
