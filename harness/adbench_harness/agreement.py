"""How far two sets of scores of one run agree, image by image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from .api import StoreError
from .result import Scores
from .status import Agreement


def agreement(ours: Scores, others: Scores) -> Agreement:
    """``others`` beside ``ours``, whose interquartile range is the measure; the order of images does not matter.

    Raises:
        StoreError: if they are of other images.
    """
    found = dict(zip(others.image, others.score.tolist(), strict=True))
    if found.keys() != set(ours.image):
        raise StoreError("other images were scored")
    first, second = ours.score, np.asarray([found[image] for image in ours.image])
    low, high = np.percentile(first, [25, 75])
    test = np.asarray([subset == "test" for subset in ours.subset])
    return Agreement(
        images=len(first),
        max_difference=float(np.abs(first - second).max()),
        spread=float(high - low),
        rank_correlation=_rank_correlation(first[test], second[test]),
    )


def _rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(spearmanr(first, second).statistic)
