from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adbench_harness.metrics.delong import difference, hanley_mcneil, paired_areas
from adbench_harness.metrics.power import Design, images_needed, power_of, smallest_difference


@pytest.mark.parametrize(("area", "images"), [(0.70, 652), (0.75, 565), (0.80, 463)])
def test_the_table_of_hanley_and_mcneil(area: float, images: int) -> None:
    """1982, Table III: images a class for areas 0.05 apart, independent samples, one-sided 5 %, 80 % power.

    The table lets the variance fall as the better area rises; here both have that of the weaker one, which asks for slightly more.
    """
    needed = images_needed(Design(100, 100, area, correlation=0.0), 0.05, alpha=0.10)
    assert abs(needed.abnormal - needed.normal) <= 1
    assert needed.normal == pytest.approx(images, rel=0.05)
    assert needed.normal >= images


designs = st.builds(
    Design,
    abnormal=st.integers(5, 400),
    normal=st.integers(5, 400),
    area=st.floats(0.55, 0.95),
    correlation=st.floats(-0.3, 0.9),
    design_effect=st.floats(1, 4),
)


@settings(max_examples=40, deadline=None)
@given(designs, st.floats(0.01, 0.3))
def test_images_needed_is_the_inverse_of_the_smallest_difference(design: Design, wanted: float) -> None:
    needed = images_needed(design, wanted)
    assert smallest_difference(needed) <= wanted
    total = needed.abnormal + needed.normal
    assert total == 2 or smallest_difference(design.scaled(total - 1)) > wanted


@given(designs)
def test_the_smallest_difference_is_found_four_times_in_five(design: Design) -> None:
    assert power_of(design, smallest_difference(design)) == pytest.approx(0.8)
    assert power_of(design, smallest_difference(design, power=0.9)) == pytest.approx(0.9)


@given(designs)
def test_more_images_and_more_correlation_show_smaller_differences(design: Design) -> None:
    now = smallest_difference(design)
    assert smallest_difference(replace(design, abnormal=2 * design.abnormal, normal=2 * design.normal)) < now
    assert smallest_difference(replace(design, correlation=design.correlation + 0.05)) < now
    assert smallest_difference(replace(design, design_effect=2 * design.design_effect)) == pytest.approx(now * np.sqrt(2))


def test_an_observed_variance_takes_the_place_of_the_assumed_one_and_falls_with_the_images() -> None:
    observed = Design(40, 20, variance=0.004)
    assert observed.standard_error() == pytest.approx(np.sqrt(2 * 0.004 * 0.5))
    assert observed.scaled(240).standard_error() == pytest.approx(observed.standard_error() / 2)
    assumed = Design(40, 20, 0.8, 0.3)
    assert assumed.standard_error() == pytest.approx(np.sqrt(2 * hanley_mcneil(0.8, 40, 20) * 0.7))


def test_simulated_pairs_are_found_as_often_as_promised() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.array([0, 1], dtype=np.int8), [60, 60])
    found, values, covariances = 0, [], []
    for _ in range(300):
        images = random.normal(size=len(labels))
        scores = np.stack([images + random.normal(size=len(labels)) + labels * shift for shift in (0.9, 1.65)])
        areas = paired_areas(labels, scores)
        found += difference(areas, 0, 1).p <= 0.05
        values.append(areas.values)
        covariances.append(areas.covariance)
    covariance = np.mean(covariances, axis=0)
    variances = np.diag(covariance)
    design = Design(60, 60, correlation=covariance[0, 1] / np.sqrt(variances.prod()), variance=variances.mean())
    gap = float(np.diff(np.mean(values, axis=0))[0])
    assert 0.6 < found / 300 < 0.95
    assert found / 300 == pytest.approx(power_of(design, gap), abs=0.06)


@pytest.mark.parametrize("changes", [{"abnormal": 0}, {"area": 1.0}, {"correlation": 1.0}, {"design_effect": 0.0}])
def test_what_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needs abnormal|must lie"):
        replace(Design(10, 10), **changes)


def test_a_difference_of_nothing_would_need_endless_images() -> None:
    with pytest.raises(ValueError, match="positive"):
        images_needed(Design(10, 10), 0.0)
    with pytest.raises(ValueError, match="more than"):
        images_needed(Design(10, 10), 1e-7)
