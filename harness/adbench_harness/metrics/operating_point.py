"""What a threshold does: the confusion matrix and the figures read off it, for one matrix or for arrays of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from .ranking import Labels, Values


@dataclass(frozen=True)
class Matrices:
    """Counts at a threshold each, arrays of equal shape; abnormal is the positive class."""

    tp: Values
    fn: Values
    fp: Values
    tn: Values

    def sensitivity(self) -> Values:
        """Share of abnormal images that are called abnormal (recall); nan without abnormal images."""
        return _share(self.tp, self.tp + self.fn, np.nan)

    def specificity(self) -> Values:
        """Share of normal images that are called normal; nan without normal images."""
        return _share(self.tn, self.tn + self.fp, np.nan)

    def precision(self) -> Values:
        """Share of images called abnormal that are; 0 where none is called so, as scikit-learn's zero_division=0."""
        return _share(self.tp, self.tp + self.fp, 0.0)

    def f1(self) -> Values:
        """Harmonic mean of precision and sensitivity; nan without abnormal images or calls."""
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn, np.nan)

    def balanced_accuracy(self) -> Values:
        """Mean of sensitivity and specificity; nan without a class."""
        return (self.sensitivity() + self.specificity()) / 2

    def mcc(self) -> Values:
        """Matthews' correlation coefficient (1975), -1 to 1; 0 where all images are called alike or are alike, as scikit-learn."""
        product = (self.tp + self.fp) * (self.tp + self.fn) * (self.tn + self.fp) * (self.tn + self.fn)
        return _share(self.tp * self.tn - self.fp * self.fn, np.sqrt(product), 0.0)


FIGURES: Final[Mapping[str, Callable[[Matrices], Values]]] = {
    "sensitivity": Matrices.sensitivity,
    "specificity": Matrices.specificity,
    "precision": Matrices.precision,
    "f1": Matrices.f1,
    "balanced_accuracy": Matrices.balanced_accuracy,
    "mcc": Matrices.mcc,
}
"""What is read off a confusion matrix, by name."""


@dataclass(frozen=True)
class Confusion:
    """Counts at one threshold; abnormal is the positive class."""

    tp: int
    fn: int
    fp: int
    tn: int

    def figures(self) -> dict[str, float]:
        """Every figure by its name; nan where it is not defined."""
        matrices = Matrices(*(np.asarray(float(count)) for count in (self.tp, self.fn, self.fp, self.tn)))
        return {name: float(figure(matrices)) for name, figure in FIGURES.items()}

    @property
    def sensitivity(self) -> float:
        """See ``Matrices.sensitivity``."""
        return self.figures()["sensitivity"]

    @property
    def specificity(self) -> float:
        """See ``Matrices.specificity``."""
        return self.figures()["specificity"]

    @property
    def precision(self) -> float:
        """See ``Matrices.precision``."""
        return self.figures()["precision"]

    @property
    def f1(self) -> float:
        """See ``Matrices.f1``."""
        return self.figures()["f1"]


def confusion(labels: Labels, scores: Values, threshold: float) -> Confusion:
    """Counts when an image is called abnormal if and only if its score > threshold."""
    called = scores > threshold
    abnormal = labels == 1
    tp = int(np.count_nonzero(called & abnormal))
    fp = int(np.count_nonzero(called & ~abnormal))
    return Confusion(tp, int(np.count_nonzero(abnormal)) - tp, fp, int(np.count_nonzero(~abnormal)) - fp)


def _share(part: ArrayLike, whole: ArrayLike, empty: float) -> Values:
    part, whole = np.asarray(part, dtype=float), np.asarray(whole, dtype=float)
    shares: Values = np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, empty), where=whole != 0)
    return shares
