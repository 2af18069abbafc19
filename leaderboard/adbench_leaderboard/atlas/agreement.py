"""How far models agree image by image, and how far the seeds of one do.

A model is a row of calls (N,): for each image the share of its seeds that call it abnormal, 0 or 1 where there is one seed.
Agreement is then that of one seed of each model, drawn at random; with a seed each it is the textbook's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import t

from adbench_harness.metrics.groups import Groups
from adbench_harness.metrics.intervals import LEVEL, wilson

Calls = NDArray[np.float64]
"""(M, N) in [0, 1]: models by images."""
FEWEST: Final = 2
"""Images or groups that an interval needs."""


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval; None where the images can't tell how sure it is."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Pairwise:
    """Cohen's kappa of each pair of models, (M, M), the upper triangle; NaN where it is not defined."""

    value: NDArray[np.float64]
    half: NDArray[np.float64]
    """Half the width of the 95 % interval; NaN where there is none."""

    @property
    def low(self) -> NDArray[np.float64]:
        """Lower ends of the intervals."""
        return np.maximum(self.value - self.half, -1.0)

    @property
    def high(self) -> NDArray[np.float64]:
        """Upper ends of the intervals."""
        return np.minimum(self.value + self.half, 1.0)


def cohen(calls: Calls, groups: Groups | None) -> Pairwise:
    """Cohen's kappa (1960) of each pair: agreement beyond what the two shares of abnormal calls give by chance.

    It is not defined where a model says the same of all images. The variance is the delta method's (Fleiss, Cohen and Everitt
    1969), by what each image adds to kappa; what images of a group add is summed first, so that a patient counts once.

    Args:
        calls: (M, N).
        groups: (N,) which images are not independent of each other; None if all are.
    """
    models, images = calls.shape
    value, half = np.full((models, models), np.nan), np.full((models, models), np.nan)
    if not images:
        return Pairwise(value, half)
    varies, units = np.ptp(calls, 1) > 0, _Units.of(groups, images)
    for one in np.flatnonzero(varies).tolist():
        others = np.flatnonzero(varies[one + 1 :]) + one + 1
        if len(others):
            value[one, others], half[one, others] = _kappa(*_parts(calls[one], calls[others]), units)
    return Pairwise(value, half)


def cohen_of(calls: Calls, groups: Groups | None, pairs: Sequence[tuple[int, int]]) -> list[Estimate | None]:
    """Cohen's kappa of some pairs alone, as ``cohen`` has it; None where it is not defined."""
    if not calls.shape[1] or not pairs:
        return [None] * len(pairs)
    varies, ends = np.ptp(calls, 1) > 0, np.asarray(pairs)
    defined = varies[ends].all(1)
    value, half = np.full(len(pairs), np.nan), np.full(len(pairs), np.nan)
    if defined.any():
        mine, theirs = (calls[ends[defined, side]] for side in (0, 1))
        value[defined], half[defined] = _kappa(*_parts(mine, theirs), _Units.of(groups, calls.shape[1]))
    return [_estimate(*of) for of in zip(value.tolist(), half.tolist(), strict=True)]


def cohen_values(calls: Calls) -> NDArray[np.float64]:
    """Cohen's kappa of each pair, (M, M), the upper triangle, without intervals, which are most of the work; NaN where it is not defined."""
    models, images = calls.shape
    if not images:
        return np.full((models, models), np.nan)
    rate, varies = calls.mean(1), np.ptp(calls, 1) > 0
    agreed = (calls @ calls.T + (1 - calls) @ (1 - calls).T) / images
    chance = np.outer(rate, rate) + np.outer(1 - rate, 1 - rate)
    defined = np.outer(varies, varies)
    value: NDArray[np.float64] = np.where(defined, (agreed - chance) / np.where(defined, 1 - chance, 1.0), np.nan)
    return value


def _parts(
    mine: NDArray[np.float64], theirs: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """How far each image is called the same, (K, N), what chance gives, (K, 1), and what each image adds to that, (K, N).

    Args:
        mine: (N,) calls of one model, or (K, N) of one for each other.
        theirs: (K, N) calls of others.
    """
    p, q = mine.mean(-1, keepdims=True), theirs.mean(1, keepdims=True)
    same = mine * theirs + (1 - mine) * (1 - theirs)
    drift = (mine - p) * (2 * q - 1) + (theirs - q) * (2 * p - 1)
    return same, p * q + (1 - p) * (1 - q), drift


def fleiss(calls: Calls, groups: Groups | None) -> Estimate | None:
    """Fleiss' kappa (1971) over all models, the raters; None where all say the same of all images.

    Its interval is made as Cohen's.
    """
    models, images = calls.shape
    if not images:
        return None
    raised = calls.sum(0)
    same = ((raised**2 - (calls**2).sum(0)) + ((models - raised) ** 2 - ((1 - calls) ** 2).sum(0))) / (models * (models - 1))
    share = raised / models
    p = share.mean()
    if p in (0.0, 1.0):
        return None
    drift = 2 * (2 * p - 1) * (share - p)
    value, half = _kappa(same[None], np.array([[p**2 + (1 - p) ** 2]]), drift[None], _Units.of(groups, images))
    return _estimate(float(value[0]), float(half[0]))


def flips(seeds: NDArray[np.bool_], groups: Groups | None) -> Estimate | None:
    """The share of images whose verdict differs between two seeds of a model, over all pairs of them; None for a single seed.

    Args:
        seeds: (S, N) whether each seed calls each image abnormal.
        groups: (N,) which images are not independent of each other; None if all are.
    """
    number, images = seeds.shape
    if number < 2:
        return None
    raised = seeds.sum(0)
    differing = 2 * raised * (number - raised) / (number * (number - 1))
    found = wilson(differing, np.arange(images) if groups is None else groups)
    return Estimate(float(differing.mean()), (found.low, found.high) if found else None)


@dataclass(frozen=True)
class _Units:
    """What is independent: images, or groups of them."""

    number: int
    matrix: csr_array | None
    """(N, U) which image is of which group; None where each is a unit of its own."""
    times: float
    """Standard errors in half an interval: Student's t, since groups may be few; NaN where there are too few."""

    @classmethod
    def of(cls, groups: Groups | None, images: int) -> _Units:
        if groups is None:
            return cls(images, None, _times(images))
        unit = np.unique(groups, return_inverse=True)[1]
        number = int(unit.max(initial=-1)) + 1
        return cls(number, csr_array((np.ones(images), (np.arange(images), unit)), shape=(images, number)), _times(number))

    def half(self, added: NDArray[np.float64]) -> NDArray[np.float64]:
        """Half the width of the interval of a mean of N images, (K,), by what each adds, (K, N)."""
        sums = added if self.matrix is None else added @ self.matrix
        variance = self.number / max(self.number - 1, 1) * (sums**2).sum(1) / added.shape[1] ** 2
        # Where no image adds anything, as when all agree, the images don't say how sure that is.
        half: NDArray[np.float64] = self.times * np.sqrt(np.where(variance < np.finfo(float).eps, np.nan, variance))
        return half


def _times(units: int) -> float:
    return float(t.ppf((1 + LEVEL) / 2, units - 1)) if units >= FEWEST else float("nan")


def _kappa(
    same: NDArray[np.float64], chance: NDArray[np.float64], drift: NDArray[np.float64], units: _Units
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Kappa of K pairs and half the width of each interval, (K,).

    Args:
        same: (K, N) how far each image is called the same.
        chance: (K, 1) what chance gives.
        drift: (K, N) what each image adds to ``chance``.
        units: what is independent.
    """
    agreed = same.mean(1, keepdims=True)
    value: NDArray[np.float64] = ((agreed - chance) / (1 - chance))[:, 0]
    added = ((same - agreed) * (1 - chance) - (1 - agreed) * drift) / (1 - chance) ** 2
    return value, units.half(added)


def _estimate(value: float, half: float) -> Estimate | None:
    if np.isnan(value):
        return None
    return Estimate(value, None if np.isnan(half) else (max(-1.0, value - half), min(1.0, value + half)))
