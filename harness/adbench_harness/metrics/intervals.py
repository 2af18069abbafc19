"""Intervals: what every figure has beside it. The level is 95 %, two-sided, throughout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from .groups import Groups

LEVEL: Final = 0.95


@dataclass(frozen=True)
class Interval:
    """A 95 % interval and how it was made."""

    low: float
    high: float
    method: str
    """In a few words, for instance "Wilson" or "DeLong, logit"."""


def wilson(hits: NDArray[np.bool_], groups: Groups | None = None) -> Interval | None:
    """The score interval of a proportion (Wilson 1927); None without an image.

    With groups the number of images is replaced by the effective one, p (1 - p) over the variance of p between groups (Korn
    and Graubard 1998, less their correction for degrees of freedom), which is never more than the images; where all are hits or
    none, by the number of groups.

    Args:
        hits: (N,) whether each image is one.
        groups: (N,) which images are not independent of each other.
    """
    if len(hits) == 0:
        return None
    if groups is None:
        found = binomtest(int(hits.sum()), len(hits)).proportion_ci(LEVEL, method="wilson")
        return Interval(float(found.low), float(found.high), "Wilson")
    low, high = _score_interval(float(hits.mean()), _effective_size(hits, groups))
    return Interval(low, high, "Wilson, effective size")


def _effective_size(hits: NDArray[np.bool_], groups: Groups) -> float:
    of = np.unique(groups, return_inverse=True)[1]
    number, share = int(of.max()) + 1, float(hits.mean())
    if share in (0.0, 1.0) or number == 1:
        return float(number)
    residuals = np.bincount(of, weights=hits - share)
    variance = number / (number - 1) * float((residuals**2).sum()) / len(hits) ** 2
    return min(float(len(hits)), share * (1 - share) / variance) if variance > 0 else float(len(hits))


def _score_interval(share: float, size: float) -> tuple[float, float]:
    """Wilson's formula for a size that is no whole number, which scipy's has to be."""
    z = float(norm.ppf((1 + LEVEL) / 2))
    centre = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * float(np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2)))
    # Without a hit the interval begins at 0, and with nothing else it ends at 1, but for rounding.
    return (0.0 if share == 0 else max(0.0, centre - half)), (1.0 if share == 1 else min(1.0, centre + half))
