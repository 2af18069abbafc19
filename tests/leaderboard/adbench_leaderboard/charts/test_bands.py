from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from adbench_harness.metrics.thresholds import candidates
from adbench_leaderboard.charts.bands import PLACES, band, precisions, roc_points, sensitivities

RANDOM = np.random.default_rng(1)
LABELS = (RANDOM.random(60) < 0.4).astype(np.int8)
TIED = np.round(RANDOM.normal(LABELS, 1.0), 0)
"""Few distinct scores, most of both classes."""


@pytest.mark.parametrize("scores", [TIED, RANDOM.normal(LABELS, 1.0), np.zeros(60)])
def test_roc_points_are_those_of_scikit_learn(scores: np.ndarray) -> None:
    rates, found = roc_points(candidates(LABELS, scores).counts)
    expected_rates, expected, _ = roc_curve(LABELS, scores, drop_intermediate=False)
    np.testing.assert_allclose(rates, expected_rates)
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("scores", [TIED, RANDOM.normal(LABELS, 1.0)])
def test_precision_is_that_of_the_highest_threshold_which_finds_enough(scores: np.ndarray) -> None:
    precision, recall, _ = precision_recall_curve(LABELS, scores)
    # scikit-learn's are ascending in the threshold, the last being that which calls nothing.
    expected = [precision[:-1][recall[:-1] >= place - 1e-9][-1] for place in PLACES]
    np.testing.assert_allclose(precisions(candidates(LABELS, scores).counts), expected)


def test_a_stair_is_read_at_its_top() -> None:
    labels, scores = np.asarray([1, 0, 1, 0], dtype=np.int8), np.asarray([4.0, 3.0, 2.0, 1.0])
    found = sensitivities(candidates(labels, scores).counts)
    assert [found[0], found[24], found[25], found[50]] == [0.5, 0.5, 1.0, 1.0]


def test_the_band_lies_around_the_mean_of_the_runs() -> None:
    scores = np.stack([RANDOM.normal(LABELS, 1.0) for _ in range(3)])
    for reading in (sensitivities, precisions):
        found = band(LABELS, scores, None, reading)
        alone = np.stack([reading(candidates(LABELS, row).counts) for row in scores])
        np.testing.assert_allclose(found.mean, alone.mean(0))
        np.testing.assert_allclose([found.lowest, found.highest], [alone.min(0), alone.max(0)])
        assert (found.low <= found.high).all()
        assert np.mean((found.low <= found.mean) & (found.mean <= found.high)) > 0.9


def test_patients_widen_the_band() -> None:
    labels = np.repeat(np.asarray([0, 1], dtype=np.int8), 40)
    patients = np.repeat(np.arange(10), 8)
    scores = (labels + np.random.default_rng(3).normal(0, 1.0, 10)[patients])[None]
    alone, together = (band(labels, scores, groups, sensitivities) for groups in (None, patients))
    assert (together.high - together.low).mean() > 1.3 * (alone.high - alone.low).mean()
