"""How sure a ROC area is, and the difference of two: DeLong's variance, and Obuchowski's where images come in groups.

An area is the share of pairs (abnormal image, normal image) in which the abnormal one scores higher, ties counting half. One
image is in many pairs, so pairs aren't independent; both variances look at images instead: how much of its pairs each one wins.
DeLong's is Obuchowski's with every image a group of its own, and there is one code for both.

- DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837-845; by midranks, in O(n log n), as Sun & Xu 2014, IEEE Signal
  Processing Letters 21:1389-1393.
- Obuchowski 1997, Biometrics 53:567-578.
- Newcombe 2006, Statistics in Medicine 25:559-573: where the two have nothing to say.
- Hanley & McNeil 1982, Radiology 143:29-36: a variance from an area and counts alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtr, ndtri
from scipy.stats import rankdata

from .groups import Groups
from .intervals import LEVEL, Interval
from .ranking import Labels, Values

_Z: Final = float(ndtri(0.5 + LEVEL / 2))
_ROUNDING: Final = 1e-13
"""A difference's variance below this share of the variances it is made of is 0 but for rounding."""


@dataclass(frozen=True)
class Area:
    """A ROC area, in [0, 1], and how sure it is."""

    value: float
    variance: float
    """>= 0; nan where a class has a single image (a single group, if grouped): one can't vary."""
    interval: Interval


@dataclass(frozen=True)
class PairedAreas:
    """ROC areas of M models that scored the same images."""

    values: Values
    """(M,), in [0, 1]."""
    covariance: Values
    """(M, M), symmetric, no negative eigenvalue; all nan where a class has a single image (group)."""
    abnormal: int
    """Abnormal images; if grouped, groups that hold one."""
    normal: int
    """Normal images; if grouped, groups that hold one."""
    grouped: bool

    @property
    def method(self) -> str:
        """Whose variance it is."""
        return "Obuchowski" if self.grouped else "DeLong"

    def area(self, row: int) -> Area:
        """What `roc_area` says of one model."""
        value, variance = float(self.values[row]), float(self.covariance[row, row])
        if not variance > 0:  # nan too
            return Area(value, variance, _counted(self, value))
        half = _Z * math.sqrt(variance) / (value * (1 - value))
        low, high = expit(logit(value) - half), expit(logit(value) + half)
        return Area(value, variance, Interval(float(low), float(high), f"{self.method}, logit"))


@dataclass(frozen=True)
class Difference:
    """One area minus another, in [-1, 1], and the two-sided p of no difference."""

    value: float
    interval: Interval
    p: float


def roc_area(labels: Labels, scores: Values, groups: Groups | None = None) -> Area:
    """The area under the ROC curve with its variance and 95 % interval.

    The interval is symmetric on the logit scale, as near 1 the area's distribution is skewed and 1 is an end. Where the variance
    is 0 (an area of 1 or 0, all scores equal) or undefined (one image, or one group, in a class), there is nothing to scale, and
    the interval is `newcombe`'s, with counts of images, or of groups.

    Args:
        labels: (N,) int8, 1 abnormal, 0 normal.
        scores: (N,) float, no nan; higher is more abnormal. Only their order matters.
        groups: (N,) int64, images of one number were not drawn independently; None if all were.

    Raises:
        ValueError: a class is absent, a score is nan, or lengths differ.
    """
    return paired_areas(labels, scores[np.newaxis], groups).area(0)


def paired_areas(labels: Labels, scores: Values, groups: Groups | None = None) -> PairedAreas:
    """The areas of M models on the same images, and how they vary together.

    DeLong's S = S10 / m + S01 / n (1988, section 2) for m abnormal and n normal images; if grouped, Obuchowski's (1997) sums over
    groups in the place of images, and her S11, how the two classes vary together in groups that hold both.

    Args:
        labels: (N,) int8, 1 abnormal, 0 normal.
        scores: (M, N) float, no nan; a row is a model.
        groups: (N,) int64, images of one number were not drawn independently; None if all were.

    Raises:
        ValueError: a class is absent, a score is nan, or lengths differ.
    """
    count = _checked(labels, scores, groups)
    abnormal = labels == 1
    m = int(np.count_nonzero(abnormal))
    n = count - m
    group = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1]
    below, above = np.empty((len(scores), m)), np.empty((len(scores), n))
    # Row by row, since ranking takes several times the memory of what it ranks.
    for row, own in enumerate(scores):
        ranks = rankdata(own)
        # A rank among all less the rank within the class counts the other class's images that lie below, ties half.
        below[row] = ranks[abnormal] - rankdata(own[abnormal])
        above[row] = m - (ranks[~abnormal] - rankdata(own[~abnormal]))
        del ranks
    number = int(group.max()) + 1
    of_abnormal, of_normal = _share(below, group[abnormal], number), _share(above, group[~abnormal], number)
    covariance = _covariance(of_abnormal, of_normal)
    return PairedAreas(below.sum(axis=1) / (m * n), covariance, of_abnormal.groups, of_normal.groups, groups is not None)


def difference(paired: PairedAreas, i: int, j: int) -> Difference:
    """The area of model i minus that of model j, tested by z on the same images (DeLong 1988, section 2).

    The interval is value +- 1.96 standard errors. Two cases have no standard error:

    - Both models order the images alike: each area has a variance, their difference is 0 without any. [0, 0] and p = 1.
    - Any other variance of 0, or an undefined one: two areas of 1, say, or 1 against .5 of a model that gives all images the same
      score, or one image in a class. Divided by 0, p would be 0, certainty from images that show no variation at all. Instead the
      models are taken as if each had scored images of its own, which is too cautious where they tend to agree: the interval is
      made of both areas' `newcombe` bounds by adding squared distances (Newcombe 1998, Statistics in Medicine 17:873-890,
      method 10), and p is that of the standard error which its bound on the side of 0 implies, so that p < .05 if and only if the
      interval leaves 0 out.

    Args:
        paired: areas on the same images.
        i: row of the first model.
        j: row of the second.

    Raises:
        IndexError: no such row.
    """
    first, second = float(paired.values[i]), float(paired.values[j])
    value = first - second
    own = float(paired.covariance[i, i] + paired.covariance[j, j])
    variance = own - 2 * float(paired.covariance[i, j])
    if variance > _ROUNDING * own:  # false if nan
        error = math.sqrt(variance)
        interval = Interval(value - _Z * error, value + _Z * error, f"{paired.method}, paired")
        return Difference(value, interval, _two_sided(value / error))
    if value == 0 and own > 0:
        return Difference(0.0, Interval(0.0, 0.0, f"{paired.method}, paired"), 1.0)
    one, other = _counted(paired, first), _counted(paired, second)
    low = value - math.hypot(first - one.low, other.high - second)
    high = value + math.hypot(one.high - first, second - other.low)
    towards_0 = value - low if value > 0 else high - value
    return Difference(value, Interval(low, high, f"{one.method}, squared and added"), _two_sided(_Z * value / towards_0))


def hanley_mcneil(area: float, abnormal: int, normal: int) -> float:
    """The variance that an area would have, before any image is scored: for planning, not for reporting.

    Hanley & McNeil 1982, equations 1 and 2: their Q1 and Q2 are those of negative exponential scores. An area of 1 - area with
    the classes swapped has the same.

    Args:
        area: in [0, 1].
        abnormal: number of abnormal images, >= 1.
        normal: number of normal images, >= 1.

    Raises:
        ValueError: outside these.
    """
    _refuse_impossible(area, abnormal, normal)
    return _exponential_variance(area, abnormal, normal, abnormal - 1, normal - 1)


def newcombe(area: float, abnormal: int, normal: int) -> Interval:
    """The 95 % interval of an area from counts alone: all areas that are within 1.96 standard errors of their own.

    Newcombe 2006, method 5: the bounds solve (area - theta)^2 = z^2 V(theta), where V is Hanley & McNeil's variance with both
    classes' counts less one replaced by their mean, N* - 1 = (abnormal + normal) / 2 - 1. At an area of 1 it still has a width.

    Args:
        area: in [0, 1].
        abnormal: number of abnormal images (or groups), >= 1.
        normal: number of normal images (or groups), >= 1.

    Raises:
        ValueError: outside these.
    """
    _refuse_impossible(area, abnormal, normal)
    low = _newcombe_low(area, abnormal, normal)
    # V(theta) = V(1 - theta), so the upper bound is the lower one of the mirrored area.
    high = 1 - _newcombe_low(1 - area, abnormal, normal)
    return Interval(min(low, area), max(high, area), "Newcombe 2006, method 5")


def _checked(labels: Labels, scores: Values, groups: Groups | None) -> int:
    if scores.ndim != 2 or labels.shape != scores.shape[1:] or (groups is not None and groups.shape != labels.shape):
        shapes = f"labels {labels.shape}, scores {scores.shape}, groups {None if groups is None else groups.shape}"
        raise ValueError(f"labels, scores and groups need one entry an image: {shapes}")
    if np.isnan(scores).any():
        raise ValueError("a score is nan, which has no place in an order")
    abnormal, count = int(np.count_nonzero(labels == 1)), len(labels)
    if not 0 < abnormal < count:
        raise ValueError(f"a ROC area needs images of both classes: {abnormal} of {count} are abnormal")
    return count


@dataclass(frozen=True)
class _Share:
    """What the images of one class have in each of G groups."""

    held: Values
    """(G,) how many images there are."""
    won: Values
    """(M, G) how many of their pairs are in order, ties half."""

    @property
    def groups(self) -> int:
        return int(np.count_nonzero(self.held))


def _share(won: Values, group: NDArray[np.intp], groups: int) -> _Share:
    held = np.bincount(group, minlength=groups).astype(np.float64)
    return _Share(held, np.stack([np.bincount(group, row, groups) for row in won]))


def _covariance(abnormal: _Share, normal: _Share) -> Values:
    """(M, M) of the areas, nan where a class is in a single group."""
    held = abnormal.held + normal.held
    counts = abnormal.groups, normal.groups, int(np.count_nonzero(held))
    if min(counts) == 1:
        return np.full((len(abnormal.won), len(abnormal.won)), np.nan)
    m, n = abnormal.held.sum(), normal.held.sum()
    total = abnormal.won.sum(axis=1, keepdims=True)
    # How far a group moves the area, by its abnormal images, its normal ones, and both. Up to the division all are multiples of
    # one half, so that what cancels, cancels to 0.
    by_abnormal = (m * abnormal.won - total * abnormal.held) / (m * m * n)
    by_normal = (n * normal.won - total * normal.held) / (m * n * n)
    by_both = (m * n * (abnormal.won + normal.won) - total * (n * abnormal.held + m * normal.held)) / (m * n) ** 2
    # S10 / m + S01 / n + (S11 + S11') / mn, sorted into squares: those of by_both hold S11. A factor I / (I - 1) falls with I,
    # and no class is in more groups than there are, so no difference of factors is negative, and no variance.
    c10, c01, c11 = (count / (count - 1) for count in counts)
    found: Values = (
        (c10 - c11) * (by_abnormal @ by_abnormal.T) + (c01 - c11) * (by_normal @ by_normal.T) + c11 * (by_both @ by_both.T)
    )
    return found


def _counted(paired: PairedAreas, value: float) -> Interval:
    found = newcombe(value, paired.abnormal, paired.normal)
    return Interval(found.low, found.high, f"{found.method}, groups counted") if paired.grouped else found


def _two_sided(z: float) -> float:
    return float(2 * ndtr(-abs(z)))


def _refuse_impossible(area: float, abnormal: int, normal: int) -> None:
    if not (0 <= area <= 1 and abnormal >= 1 and normal >= 1):
        raise ValueError(f"no variance of an area of {area} with {abnormal} abnormal and {normal} normal images")


def _exponential_variance(area: float, abnormal: int, normal: int, abnormal_rest: float, normal_rest: float) -> float:
    """Hanley & McNeil's with Q1 - area^2 written as area (1 - area) (1 - area) / (2 - area), Q2 likewise: 0 comes out as 0."""
    inner = 1 + abnormal_rest * (1 - area) / (2 - area) + normal_rest * area / (1 + area)
    return area * (1 - area) * inner / (abnormal * normal)


def _newcombe_low(area: float, abnormal: int, normal: int) -> float:
    mean = (abnormal + normal) / 2 - 1

    def excess(theta: float) -> float:
        return (area - theta) ** 2 - _Z**2 * _exponential_variance(theta, abnormal, normal, mean, mean)

    if area == 0:
        return 0.0
    # Below an area of 1 the excess is negative, and at 1 it is 0 without being the bound.
    return float(brentq(excess, 0.0, min(area, 1 - 1e-12), xtol=1e-15))
