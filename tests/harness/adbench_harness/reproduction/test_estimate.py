"""The mean over seeds, its interval, and where it lies from the study's figure."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr

from adbench_harness.metrics.comparison import mean_interval, seed_means
from adbench_harness.metrics.delong import paired_areas
from adbench_harness.published import Claim
from adbench_harness.reproduction.estimate import Estimate, estimate, estimate_area
from adbench_harness.reproduction.series import Measured


def alone(value: float) -> Measured:
    return Measured(value, None, None)


def test_over_seeds_it_is_student_s_interval_of_the_mean() -> None:
    found = estimate([alone(value) for value in (0.6, 0.7, 0.8)])
    half = 4.302652729911275 * 0.1 / math.sqrt(3)  # t(0.975, 2 degrees of freedom)
    assert found.value == pytest.approx(0.7)
    assert [found.low, found.high] == pytest.approx([0.7 - half, 0.7 + half])
    assert found.basis == "seeds"


def test_a_single_seed_has_the_interval_of_its_own_images() -> None:
    found = estimate([Measured(0.9, 0.7, 0.95)])
    assert [found.value, found.low, found.high] == pytest.approx([0.9, 0.7, 0.95])
    assert found.basis == "images"


def test_a_single_seed_without_one_has_none() -> None:
    found = estimate([alone(0.9)])
    assert found == Estimate(0.9, None, None, "none")
    assert found.verdict(Claim(0.9, 0.9, 0.9)) is None


def test_both_errors_are_joined_side_by_side_and_that_of_the_images_does_not_shrink_with_seeds() -> None:
    same = estimate([Measured(0.7, 0.6, 0.75)] * 5)
    assert [same.low, same.high] == pytest.approx([0.6, 0.75])
    spread = estimate([Measured(0.65, 0.55, 0.7), Measured(0.7, 0.6, 0.75), Measured(0.75, 0.65, 0.8)])
    seeds = estimate([alone(0.65), alone(0.7), alone(0.75)])
    assert seeds.high is not None
    half = seeds.high - 0.7
    assert spread.low == pytest.approx(0.7 - math.hypot(half, 0.1))
    assert spread.high == pytest.approx(0.7 + math.hypot(half, 0.05))
    assert spread.basis == "seeds and images"


def test_an_interval_that_one_run_lacks_is_left_out_for_all() -> None:
    assert estimate([Measured(0.7, 0.6, 0.8), alone(0.7)]) == Estimate(0.7, 0.7, 0.7, "seeds")


def test_it_stays_within_what_a_share_can_be() -> None:
    found = estimate([alone(0.1), alone(0.9)])
    assert (found.low, found.high) == (0.0, 1.0)


def test_a_value_outside_its_own_interval_has_no_negative_width() -> None:
    assert estimate([Measured(0.9, 0.91, 0.95)]).low == pytest.approx(0.9)


def test_of_areas_only_the_seeds_own_spread_is_added_to_the_images_error() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.array([0, 1], dtype=np.int8), [20, 100])
    scores = random.normal(size=120) + random.normal(size=(3, 120)) + labels
    areas = paired_areas(labels, scores)
    found = estimate_area(areas)
    joined = estimate([Measured(one.value, one.interval.low, one.interval.high) for one in map(areas.area, range(3))])
    known = mean_interval(seed_means(areas, [np.arange(3)]), 0)
    assert found is not None
    assert found.value == pytest.approx(joined.value)
    assert (found.low, found.high, found.basis) == (known.low, known.high, "seeds and images")
    assert found.low is not None
    assert found.high is not None
    assert joined.low is not None
    assert joined.high is not None
    assert found.high - found.low < joined.high - joined.low


def test_the_interval_of_areas_holds_the_true_one_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    labels = np.repeat(np.array([0, 1], dtype=np.int8), [30, 60])
    true = float(ndtr(1.5 / math.sqrt(4 + 0.4**2)))  # an abnormal score less a normal one has that mean and that variance
    within = 0
    for _ in range(400):
        images = random.normal(size=90)
        rows = [images + random.normal(size=90) + labels * (1.5 + 0.4 * random.normal()) for _ in range(3)]
        found = estimate_area(paired_areas(labels, np.array(rows)))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        within += found.low <= true <= found.high
    assert within / 400 == pytest.approx(0.95, abs=0.035)


def test_of_a_single_image_in_a_class_the_areas_say_nothing() -> None:
    labels = np.array([0, 1, 1], dtype=np.int8)
    assert estimate_area(paired_areas(labels, np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 2.0]]))) is None


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.6, 0.8, "inside"), (0.7005, 0.8, "inside"), (0.71, 0.8, "above"), (0.5, 0.69, "below"), (0.6995, 0.6995, "inside")],
)
def test_the_verdict_says_where_ours_lies_and_a_printed_figure_is_rounded(low: float, high: float, verdict: str) -> None:
    assert Estimate((low + high) / 2, low, high, "images").verdict(Claim(0.7, 0.6995, 0.7005)) == verdict
