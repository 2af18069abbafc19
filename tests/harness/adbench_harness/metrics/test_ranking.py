from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp, somersd

from adbench_harness.metrics.ranking import (
    average_precision,
    fpr_at_95_tpr,
    kolmogorov_smirnov,
    partial_auc,
    pr_auc_trapezoid,
    roc_auc,
    somers_d,
)

PAIRS = st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3)), min_size=2).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


def arrays(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([label for label, _ in rows], dtype=np.int8), np.array([score for _, score in rows], dtype=float)


@given(PAIRS)
def test_roc_auc_is_the_share_of_pairs_in_order(rows: list[tuple[int, int]]) -> None:
    labels, scores = arrays(rows)
    differences = scores[labels == 1][:, None] - scores[labels == 0][None, :]
    assert roc_auc(labels, scores) == pytest.approx(float(np.mean((differences > 0) + 0.5 * (differences == 0))), abs=1e-12)


@given(PAIRS)
def test_the_lowest_false_positive_rate_is_that_of_some_threshold(rows: list[tuple[int, int]]) -> None:
    labels, scores = arrays(rows)
    reached = []
    for threshold in [-np.inf, *scores]:
        called = scores > threshold
        if called[labels == 1].mean() >= 0.95:
            reached.append(called[labels == 0].mean())
    assert fpr_at_95_tpr(labels, scores) == pytest.approx(min(reached))


@given(PAIRS)
def test_rank_statistics_agree_with_scipy(rows: list[tuple[int, int]]) -> None:
    labels, scores = arrays(rows)
    both = ks_2samp(scores[labels == 0], scores[labels == 1], alternative="greater", method="asymp")
    assert kolmogorov_smirnov(labels, scores) == pytest.approx(both.statistic, abs=1e-12)
    if np.ptp(scores) > 0:  # scipy has none for one score
        assert somers_d(roc_auc(labels, scores)) == pytest.approx(somersd(labels, scores).statistic, abs=1e-12)


def test_known_areas() -> None:
    labels, scores = np.array([1, 0, 1, 0], dtype=np.int8), np.array([0.9, 0.8, 0.7, 0.1])
    assert roc_auc(labels, scores) == 0.75
    assert average_precision(labels, scores) == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)
    assert pr_auc_trapezoid(labels, scores) == pytest.approx(0.5 * 1 + 0.5 * (1 / 2 + 2 / 3) / 2)
    # Up to a false positive rate of 0.1 the curve is at 0.5: 0.05 of at most 0.1, of which chance has 0.005.
    assert partial_auc(labels, scores) == pytest.approx(0.5 * (1 + (0.05 - 0.005) / (0.1 - 0.005)))
