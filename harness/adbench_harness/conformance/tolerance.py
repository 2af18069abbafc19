"""How far two scores may be apart and still count as the same."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SAME: Final = 1e-5
"""Of the scores' interquartile range."""
SAME_ON_GPU: Final = 1e-2
"""Of that range, between two trainings on a GPU, whose sums are made in another order each time."""
ROUNDED: Final = 16 * float(np.finfo(np.float32).eps)
"""Of the largest score."""


def interquartile_range(scores: NDArray[np.float64]) -> float:
    """Of scores (N,)."""
    low, high = np.quantile(scores, [0.25, 0.75])
    return float(high - low)


def allowed(scores: NDArray[np.float64], share: float = SAME) -> float:
    """By how much one of the scores (N,) may change: a share of their interquartile range, and what float32 rounds away."""
    return share * interquartile_range(scores) + ROUNDED * float(np.abs(scores).max())
