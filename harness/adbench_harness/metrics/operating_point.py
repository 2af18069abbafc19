"""What a threshold does: the confusion matrix and the figures read off it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .ranking import Labels, Values


@dataclass(frozen=True)
class Confusion:
    """Counts at one threshold; abnormal is the positive class."""

    tp: int
    fn: int
    fp: int
    tn: int

    @property
    def sensitivity(self) -> float:
        """Share of abnormal images that are called abnormal (recall); nan without abnormal images."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """Share of normal images that are called normal; nan without normal images."""
        return _share(self.tn, self.tn + self.fp)

    @property
    def precision(self) -> float:
        """Share of images called abnormal that are; 0 where none is called so, as scikit-learn's zero_division=0."""
        return _share(self.tp, self.tp + self.fp) if self.tp + self.fp else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and sensitivity."""
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def confusion(labels: Labels, scores: Values, threshold: float) -> Confusion:
    """Counts when an image is called abnormal if and only if its score > threshold."""
    called = scores > threshold
    abnormal = labels == 1
    tp = int(np.count_nonzero(called & abnormal))
    fp = int(np.count_nonzero(called & ~abnormal))
    return Confusion(tp, int(np.count_nonzero(abnormal)) - tp, fp, int(np.count_nonzero(~abnormal)) - fp)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
