"""Two detectors on the same images: what differs, by how much, and whether chance alone would do it.

What is compared here was measured on the same images of one split. Splits and seeds are no images: several seeds of a detector
enter as a second source of variation, and splits are never pooled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit, ndtr, ndtri, stdtr, stdtrit
from scipy.stats import binomtest

from .delong import PairedAreas, difference, newcombe
from .groups import Groups
from .intervals import LEVEL, Interval
from .ranking import Values

Hits = NDArray[np.bool_]
"""(N,): which images of one class a detector decides rightly."""


@dataclass(frozen=True)
class Discordance:
    """How the decisions of two detectors differ on the images of one class."""

    first_only: int
    """Images that only the first detector decides rightly."""
    second_only: int
    images: int
    p: float
    """Two-sided, exact; 1 where the detectors never differ."""
    method: str

    @property
    def difference(self) -> float:
        """Sensitivity or specificity, first minus second; nan without images."""
        return (self.first_only - self.second_only) / self.images if self.images else math.nan


def mcnemar(first: Hits, second: Hits, groups: Groups | None = None) -> Discordance:
    """McNemar's exact test (1947) of two detectors' decisions on the same images of one class.

    Abnormal images compare sensitivities, normal ones specificities. Thresholds must have been chosen without these images:
    an oracle's fit the very images that are then counted, and the test would be of the fit.

    With groups, each whole group's differences keep or change their sign together, which they do with equal probability if
    the detectors are exchangeable within groups. The distribution of their sum is computed exactly; with groups of one image
    it is the binomial one.

    Args:
        first: (N,) images that the first detector decides rightly.
        second: (N,) images that the second one does.
        groups: (N,) which images are not independent of each other.
    """
    more, less = first & ~second, second & ~first
    here, there = int(more.sum()), int(less.sum())
    if here + there == 0:
        return Discordance(0, 0, len(first), 1.0, "McNemar, exact")
    if groups is None:
        p = float(binomtest(here, here + there).pvalue)
        return Discordance(here, there, len(first), p, "McNemar, exact")
    of = np.unique(groups, return_inverse=True)[1]
    sums = np.bincount(of, weights=more.astype(float) - less).astype(np.int64)
    return Discordance(here, there, len(first), sign_flip(sums), "McNemar, exact, by groups")


def sign_flip(differences: NDArray[np.int64]) -> float:
    """Two-sided exact p of the sum of whole numbers, each of which may as well have had the other sign (Fisher 1935, section 21).

    Args:
        differences: (K,) one a group; zeros change nothing.
    """
    sizes = np.abs(differences[differences != 0])
    reach = int(sizes.sum())
    chance = np.zeros(2 * reach + 1)
    chance[reach] = 1.0
    for size in sizes:
        moved = np.zeros_like(chance)
        moved[size:] += chance[:-size] / 2
        moved[:-size] += chance[size:] / 2
        chance = moved
    sums = np.arange(-reach, reach + 1)
    return min(1.0, float(chance[np.abs(sums) >= abs(int(differences.sum()))].sum()))


def holm(p: ArrayLike) -> Values:
    """P-values adjusted for being many, by Holm's step-down procedure (1979); valid whatever their dependence.

    Rejecting what is adjusted to 0.05 or less keeps the chance of a single false rejection at 5 % or less.

    Args:
        p: (K,) raw p-values, finite.

    Returns:
        (K,) in the same order, at most 1, and in the order of the raw ones.
    """
    raw = np.asarray(p, dtype=np.float64)
    order = np.argsort(raw, kind="stable")
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1)))
    return adjusted


@dataclass(frozen=True)
class SeedMeans:
    """Mean area of each model over its seeds, on the same images of one split."""

    areas: PairedAreas
    """Of M models: (M,) means, and their covariance (M, M) over draws of the images and, where there are several, of the seeds."""
    spread: Values
    """(M,) observed variance of the area between seeds, over their number; 0 for a single seed."""
    seeds: NDArray[np.int64]
    """(M,)"""


@dataclass(frozen=True)
class Contrast:
    """The difference of two mean areas."""

    value: float
    """First minus second."""
    interval: Interval
    p: float
    """Two-sided."""
    freedom: float
    """Degrees of freedom of the t distribution that it is judged by; inf for the normal one."""


def seed_means(areas: PairedAreas, members: Sequence[NDArray[np.intp]]) -> SeedMeans:
    """Average the areas of each model's seeds; both images and seeds count as drawn.

    Seeds are readers in the words of Obuchowski and Rockette (1995), nested within models: seed 0 of one model has nothing in
    common with seed 0 of another. The covariance of the means over draws of the images is that of the S areas' linear
    combination (DeLong's placement values average linearly). The variance s^2 that is seen between the seeds of a model holds
    the seeds' own variance and, since each makes other errors on these images, V - C: the mean variance of a seed's area less
    the mean covariance of two. So the seeds' own is estimated by max(0, s^2 - (V - C)), and a model's mean has it over S added.
    This is the random-reader, random-case analysis of Obuchowski and Rockette, carried over to readers nested within tests (for
    other designs see Hillis 2014, Statistics in Medicine 33:330-360), with each model's own covariances in place of pooled
    ones. A model with one seed has nothing added: what is said is then said about that trained detector.

    Args:
        areas: of R score rows on the same images.
        members: for each of M models the rows that are its seeds.
    """
    weights = np.zeros((len(members), len(areas.values)))
    spread, own = np.zeros(len(members)), np.zeros(len(members))
    for model, rows in enumerate(members):
        weights[model, rows] = 1 / len(rows)
        if len(rows) > 1:
            block = areas.covariance[np.ix_(rows, rows)]
            variance = float(np.trace(block)) / len(rows)
            between = (float(block.sum()) - float(np.trace(block))) / (len(rows) * (len(rows) - 1))
            spread[model], own[model] = between_seeds(areas.values[rows], variance - between)
    covariance = weights @ areas.covariance @ weights.T + np.diag(own)
    means = replace(areas, values=weights @ areas.values, covariance=covariance)
    return SeedMeans(means, spread, np.asarray([len(rows) for rows in members], dtype=np.int64))


def between_seeds(areas: Values, by_images: float) -> tuple[float, float]:
    """What seeds add to the variance of their mean area: as it is seen between them, and their own part of it.

    Args:
        areas: (S,) of 2 seeds at least, on the same images.
        by_images: V - C, by which the areas of two seeds differ on given images though the seeds' own are equal.
    """
    seen = float(np.var(areas, ddof=1))
    return seen / len(areas), max(0.0, seen - by_images) / len(areas)


def contrast(means: SeedMeans, first: int, second: int) -> Contrast:
    """The difference of two models' mean areas, with its interval and p-value.

    Judged as ``delong.difference`` does where each model has one seed. Else by the t distribution with Satterthwaite's degrees
    of freedom (as Hillis 2007, Statistics in Medicine 26:596-619, for readers): of what makes up the variance, that seen
    between seeds alone has few.
    """
    plain = difference(means.areas, first, second)
    pair = means.areas.covariance[np.ix_([first, second], [first, second])]
    variance = float(pair[0, 0] + pair[1, 1] - 2 * pair[0, 1])
    freedom = _freedom(variance, means, [first, second])
    if math.isinf(freedom) or not variance > 0:  # nan too
        return Contrast(plain.value, plain.interval, plain.p, math.inf)
    return by_t(plain.value, variance, freedom, f"{means.areas.method} and seeds, paired")


def by_t(value: float, variance: float, freedom: float, method: str) -> Contrast:
    """A difference of areas judged by t, of infinite degrees of freedom by the normal distribution.

    Args:
        value: in [-1, 1].
        variance: > 0.
        freedom: >= 1.
        method: what the interval is by.
    """
    error = math.sqrt(variance)
    half, ratio = _width(freedom) * error, -abs(value) / error
    p = float(2 * (ndtr(ratio) if math.isinf(freedom) else stdtr(freedom, ratio)))
    return Contrast(value, Interval(max(-1.0, value - half), min(1.0, value + half), method), p, freedom)


def mean_interval(means: SeedMeans, model: int) -> Interval:
    """The 95 % interval of a model's mean area, made as in ``delong.roc_area`` and, of several seeds, by t as in ``contrast``."""
    value, variance = float(means.areas.values[model]), float(means.areas.covariance[model, model])
    if not (variance > 0 and 0 < value < 1):
        found = newcombe(value, means.areas.abnormal, means.areas.normal)
        return replace(found, method=f"{found.method}, groups counted") if means.areas.grouped else found
    freedom = _freedom(variance, means, [model])
    half = _width(freedom) * math.sqrt(variance) / (value * (1 - value))
    low, high = expit(logit(value) - half), expit(logit(value) + half)
    seeds = "" if math.isinf(freedom) else " and seeds"
    return Interval(float(low), float(high), f"{means.areas.method}{seeds}, logit")


def _freedom(variance: float, means: SeedMeans, models: Sequence[int]) -> float:
    return satterthwaite(
        variance, sum(float(means.spread[m]) ** 2 / (int(means.seeds[m]) - 1) for m in models if means.seeds[m] > 1)
    )


def satterthwaite(variance: float, parts: float) -> float:
    """Degrees of freedom of a variance; ``parts`` are the squares of its parts that have few, each over its own, added up."""
    return max(1.0, variance**2 / parts) if parts > 0 else math.inf


def _width(freedom: float) -> float:
    """Half the width of a 95 % interval, in standard errors."""
    half = (1 + LEVEL) / 2
    return float(ndtri(half) if math.isinf(freedom) else stdtrit(freedom, half))
