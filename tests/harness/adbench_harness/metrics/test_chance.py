from __future__ import annotations

import pytest

from adbench_harness.metrics.chance import random_areas, random_figures


def test_random_scores_have_chance_areas() -> None:
    found = random_areas(155, 18)
    mean, band = found["roc_auc"]
    assert mean == pytest.approx(0.5, abs=0.01)
    # The null standard deviation of the Mann-Whitney statistic, 1.96 times.
    assert band.high - mean == pytest.approx(1.96 * ((155 + 18 + 1) / (12 * 155 * 18)) ** 0.5, abs=0.015)
    assert found["pr_auc"][0] == pytest.approx(155 / 173, abs=0.01)


def test_an_oracle_gives_random_scores_the_trivial_f1() -> None:
    """On Brain Tumor MRI's counts: what the study printed for one of its detectors, .945, is what noise has."""
    assert random_figures("best-f1", 155, 18)["f1"][0] == pytest.approx(0.945, abs=0.002)


def test_an_honest_threshold_gives_random_scores_one_in_twenty() -> None:
    found = random_figures("normal-q95", 1219, 648, 680)
    assert found["sensitivity"][0] == pytest.approx(0.05, abs=0.005)
    assert found["specificity"][0] == pytest.approx(0.95, abs=0.005)


def test_without_enough_held_out_normals_there_is_nothing_to_say() -> None:
    assert random_figures("normal-q95", 10, 10, 18) == {}


def test_everything_abnormal_is_what_it_is() -> None:
    found = random_figures("all-positive", 30, 10)
    assert {name: mean for name, (mean, _) in found.items()} == pytest.approx(
        {"sensitivity": 1, "specificity": 0, "precision": 0.75, "f1": 6 / 7, "balanced_accuracy": 0.5, "mcc": 0}
    )
