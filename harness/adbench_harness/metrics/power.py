"""What a test set can show: the smallest difference of two areas, and how many images a difference needs.

Two detectors are compared on the same images; their areas, of variance V each, have correlation r, so that the difference has
the standard error sqrt(2 V (1 - r)) (Hanley and McNeil 1983). V is stated, or that of Hanley and McNeil 1982 for an assumed
area, times a design effect where images come in groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from scipy.special import ndtr, ndtri

from .delong import hanley_mcneil
from .standings import ALPHA

POWER: Final = 0.8
ASSUMED_AREA: Final = 0.75
ASSUMED_CORRELATION: Final = 0.5
MOST_IMAGES: Final = 10**9


@dataclass(frozen=True)
class Design:
    """A test set, and what is assumed about the two detectors."""

    abnormal: int
    """Images, 1 at least; so the normal ones."""
    normal: int
    area: float = ASSUMED_AREA
    """Of either detector, in (0, 1); of the weaker one, if the other's is to be higher."""
    correlation: float = ASSUMED_CORRELATION
    """Of the two estimated areas over draws of images, in [-1, 1)."""
    design_effect: float = 1.0
    """By how much dependence within groups multiplies the variance, above 0."""
    variance: float | None = None
    """Of one estimated area on exactly these images, as observed; then area and design effect have no influence."""

    def __post_init__(self) -> None:
        if self.abnormal < 1 or self.normal < 1:
            raise ValueError("a comparison of areas needs abnormal and normal images")
        if not (0 < self.area < 1 and -1 <= self.correlation < 1 and self.design_effect > 0):
            raise ValueError("area must lie in (0, 1), correlation in [-1, 1), the design effect above 0")

    def standard_error(self) -> float:
        """Of the difference of the two areas."""
        single = self.variance
        if single is None:
            single = hanley_mcneil(self.area, self.abnormal, self.normal) * self.design_effect
        return math.sqrt(2 * single * (1 - self.correlation))

    def scaled(self, images: int) -> Design:
        """The same with another number of images in all, classes in the same proportion, at least one of each."""
        now = self.abnormal + self.normal
        abnormal = min(max(1, round(images * self.abnormal / now)), images - 1)
        variance = None if self.variance is None else self.variance * now / images
        return replace(self, abnormal=abnormal, normal=images - abnormal, variance=variance)


def smallest_difference(design: Design, power: float = POWER, alpha: float = ALPHA) -> float:
    """The difference of areas that a two-sided test at ``alpha`` finds with probability ``power``: (z + z') x standard error.

    It may be more than the area leaves room for; then the test set can show no difference of such detectors.
    """
    return float(ndtri(1 - alpha / 2) + ndtri(power)) * design.standard_error()


def power_of(design: Design, difference: float, alpha: float = ALPHA) -> float:
    """The probability that a two-sided test at ``alpha`` finds a difference of areas, in the right direction."""
    return float(ndtr(abs(difference) / design.standard_error() - ndtri(1 - alpha / 2)))


def images_needed(design: Design, difference: float, power: float = POWER, alpha: float = ALPHA) -> Design:
    """The smallest test set with classes in the same proportion that finds a difference with probability ``power``.

    Raises:
        ValueError: if the difference is not positive, or a thousand million images would not do.
    """
    if difference <= 0:
        raise ValueError("a difference to be found must be positive")

    def enough(images: int) -> bool:
        return smallest_difference(design.scaled(images), power, alpha) <= difference

    high = 2
    while not enough(high):
        high *= 2
        if high > MOST_IMAGES:
            raise ValueError(f"more than {MOST_IMAGES} images would be needed")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return design.scaled(high)
