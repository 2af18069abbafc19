from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from adbench_harness.metrics.comparison import contrast, holm, mcnemar, mean_interval, seed_means, sign_flip
from adbench_harness.metrics.delong import PairedAreas, difference, paired_areas, roc_area

Rows = list[NDArray[np.intp]]


def hits(*parts: tuple[int, bool]) -> NDArray[np.bool_]:
    return np.concatenate([np.full(count, value) for count, value in parts])


def test_mcnemar_is_the_binomial_test_of_images_on_which_the_detectors_differ() -> None:
    first, second = hits((10, True), (2, False), (30, True)), hits((10, False), (2, True), (30, True))
    found = mcnemar(first, second)
    assert (found.first_only, found.second_only, found.images) == (10, 2, 42)
    assert found.p == pytest.approx(2 * (1 + 12 + 66) / 2**12)
    assert found.difference == pytest.approx(8 / 42)


def test_detectors_that_never_differ_are_no_evidence() -> None:
    same = hits((3, True), (4, False))
    assert mcnemar(same, same).p == 1.0
    assert mcnemar(same, same, np.zeros(7, dtype=np.int64)).p == 1.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_groups_of_one_image_change_nothing(decisions: list[tuple[bool, bool]]) -> None:
    first, second = np.asarray(decisions, dtype=np.bool_).T
    assert mcnemar(first, second, np.arange(len(first))).p == pytest.approx(mcnemar(first, second).p)


@settings(deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_the_sign_flip_p_is_the_share_of_all_sign_patterns(differences: list[int]) -> None:
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    share = np.mean([abs(one) >= abs(sum(differences)) for one in sums])
    assert sign_flip(np.asarray(differences, dtype=np.int64)) == pytest.approx(share)


def test_images_of_one_group_are_less_evidence_than_as_many_of_their_own() -> None:
    first, second = hits((12, True)), hits((12, False))
    assert mcnemar(first, second).p == pytest.approx(2 / 2**12)
    assert mcnemar(first, second, np.repeat(np.arange(3), 4)).p == pytest.approx(2 / 2**3)


def test_holm_as_r_p_adjust_does() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert len(holm([])) == 0


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_the_raw_p_and_bonferroni_and_keeps_their_order(p: list[float]) -> None:
    raw, adjusted = np.asarray(p), holm(p)
    assert (adjusted >= raw).all()
    assert (adjusted <= np.minimum(1, raw * len(raw)) + 1e-12).all()
    order = np.argsort(raw)
    assert (np.diff(adjusted[order]) >= 0).all()


def scored(
    random: np.random.Generator, seeds: int, spread: float, images: NDArray[np.float64], labels: NDArray[np.int8]
) -> list[NDArray[np.float64]]:
    model = random.normal(size=len(labels))
    return [images + model + random.normal(size=len(labels)) + labels * (2 + random.normal() * spread) for _ in range(seeds)]


def case(
    random: np.random.Generator, seeds: tuple[int, int], spread: float = 0.0
) -> tuple[NDArray[np.int8], NDArray[np.float64], Rows]:
    labels = np.repeat(np.array([0, 1], dtype=np.int8), [25, 40])
    images = random.normal(size=len(labels))
    rows = [row for count in seeds for row in scored(random, count, spread, images, labels)]
    return labels, np.asarray(rows), [np.arange(seeds[0]), np.arange(seeds[0], sum(seeds))]


def test_of_one_seed_each_the_contrast_is_the_paired_test_of_delong() -> None:
    labels, rows, members = case(np.random.default_rng(1), (1, 1))
    areas = paired_areas(labels, rows)
    found, plain = contrast(seed_means(areas, members), 0, 1), difference(areas, 0, 1)
    assert (found.value, found.interval, found.p) == (plain.value, plain.interval, plain.p)
    assert np.isinf(found.freedom)
    own, plain_own = mean_interval(seed_means(areas, members), 0), roc_area(labels, rows[0]).interval
    assert (own.low, own.high) == pytest.approx((plain_own.low, plain_own.high))
    assert own.method == plain_own.method


def test_seeds_add_what_their_spread_exceeds_the_images_part_by() -> None:
    covariance = np.array([[4.0, 1.0, 0.5], [1.0, 4.0, 0.5], [0.5, 0.5, 2.0]]) * 1e-4
    areas = PairedAreas(np.array([0.6, 0.8, 0.75]), covariance, 50, 50, False)
    means = seed_means(areas, [np.array([0, 1]), np.array([2])])
    seen, by_images = 0.02, (4 - 1) * 1e-4
    images = (4 + 4 + 2 * 1) / 4 * 1e-4
    assert means.areas.values == pytest.approx([0.7, 0.75])
    assert means.areas.covariance[0, 0] == pytest.approx(images + (seen - by_images) / 2)
    assert means.areas.covariance[0, 1] == pytest.approx(0.5e-4)
    assert means.areas.covariance[1, 1] == pytest.approx(2e-4)
    variance = means.areas.covariance[0, 0] + 2e-4 - 1e-4
    assert contrast(means, 0, 1).freedom == pytest.approx(variance**2 / (seen / 2) ** 2)


def test_seeds_that_agree_more_than_images_would_let_them_take_nothing_away() -> None:
    covariance = np.array([[4.0, 1.0], [1.0, 4.0]]) * 1e-4
    areas = PairedAreas(np.array([0.7, 0.7]), covariance, 50, 50, False)
    assert seed_means(areas, [np.array([0, 1])]).areas.covariance[0, 0] == pytest.approx(2.5e-4)


@pytest.mark.parametrize("spread", [0.0, 0.4])
def test_the_variance_of_the_difference_of_means_is_right_on_average(spread: float) -> None:
    random = np.random.default_rng(7)
    differences, variances = [], []
    for _ in range(300):
        labels, rows, members = case(random, (4, 3), spread)
        means = seed_means(paired_areas(labels, rows), members)
        differences.append(contrast(means, 0, 1).value)
        variances.append(means.areas.covariance[0, 0] + means.areas.covariance[1, 1] - 2 * means.areas.covariance[0, 1])
    assert np.mean(variances) / np.var(differences) == pytest.approx(1, abs=0.25)


def test_few_seeds_widen_the_interval_beyond_the_normal_one() -> None:
    labels, rows, members = case(np.random.default_rng(3), (2, 2), spread=1.0)
    means = seed_means(paired_areas(labels, rows), members)
    found = contrast(means, 0, 1)
    pair = means.areas.covariance
    error = np.sqrt(pair[0, 0] + pair[1, 1] - 2 * pair[0, 1])
    assert found.interval.method == "DeLong and seeds, paired"
    assert found.interval.high - found.interval.low > 2 * norm.ppf(0.975) * error
    assert found.p > 2 * norm.sf(abs(found.value) / error)


def test_detectors_without_an_error_still_have_an_interval_with_a_width() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1], dtype=np.int8)
    means = seed_means(
        paired_areas(labels, np.array([labels, labels * 2, labels * 3], dtype=float)), [np.array([0, 1]), np.array([2])]
    )
    assert contrast(means, 0, 1).p == 1.0
    assert mean_interval(means, 0).low < 0.9
