"""ROC and precision-recall curves at fixed places, with bands: what the finite number of test images leaves open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from adbench_harness.metrics.groups import Groups
from adbench_harness.metrics.intervals import LEVEL
from adbench_harness.metrics.ranking import Labels, Values
from adbench_harness.metrics.resampling import Resampling
from adbench_harness.metrics.thresholds import Counts, candidates

REPLICATES: Final = 200
"""Enough for a band of some pixels' height; figures have intervals of many more."""
PLACES: Final[Values] = np.linspace(0, 1, 51)
"""Shares at which curves are read: a panel has three pixels for each."""

Reading = Callable[[Counts], Values]
"""Counts (..., K + 1) to a curve's heights at ``PLACES`` (..., 51)."""


@dataclass(frozen=True)
class Band:
    """A curve over some runs on the same images; all (51,), at ``PLACES``."""

    mean: Values
    """Of the runs' curves."""
    low: Values
    """Pointwise 95 % over draws of test images, by patients where these are known."""
    high: Values
    lowest: Values
    """The lowest of the runs at each place."""
    highest: Values


def roc_points(at: Counts) -> tuple[Values, Values]:
    """False positive rates and sensitivities of all thresholds, ascending; ties of the two classes make a slope."""
    return (at.fp / at.normal)[..., ::-1], (at.tp / at.abnormal)[..., ::-1]


def sensitivities(at: Counts) -> Values:
    """Sensitivity at each false positive rate of ``PLACES``, the highest where several thresholds have the same."""
    rates, found = roc_points(at)
    # Of equal rates numpy takes the last, which is the highest: a stair is read at its top.
    lines = (np.interp(PLACES, x, y) for x, y in zip(np.atleast_2d(rates), np.atleast_2d(found), strict=True))
    return np.stack(list(lines)).reshape(*rates.shape[:-1], len(PLACES))


def precisions(at: Counts) -> Values:
    """Precision at the highest threshold with each sensitivity of ``PLACES`` at least; average precision sums these heights.

    At sensitivity 0 it is that of the highest threshold that calls any image abnormal.
    """
    called = np.atleast_2d(at.tp + at.fp)
    precision = np.divide(np.atleast_2d(at.tp), called, out=np.ones_like(called), where=called > 0)
    found = np.atleast_2d(at.tp / at.abnormal)[:, ::-1]
    # Shares are quotients of floats, so a place is met from just below.
    steps = np.stack([np.searchsorted(row, PLACES - 1e-9) for row in found])
    calling = np.count_nonzero(called > 0, axis=1)[:, None]
    last = np.minimum(called.shape[1] - 1 - steps, calling - 1)
    return np.take_along_axis(precision, last, 1).reshape(*at.tp.shape[:-1], len(PLACES))


def band(labels: Labels, scores: Values, groups: Groups | None, reading: Reading) -> Band:
    """The curve of R runs on the same N images: ``labels`` (N,) with both classes, ``scores`` (R, N), ``groups`` (N,)."""
    curves = np.stack([reading(candidates(labels, row).counts) for row in scores])
    # Each run meets the same draws of images.
    drawn = sum(reading(Resampling(labels, row, groups).drawn(REPLICATES)) for row in scores) / len(scores)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return Band(curves.mean(0), low, high, curves.min(0), curves.max(0))
