from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from adbench_harness.metrics.delong import PairedAreas, difference, hanley_mcneil, newcombe, paired_areas, roc_area
from adbench_harness.metrics.groups import Groups
from adbench_harness.metrics.ranking import Labels, Values, roc_auc

Z = 1.959963984540054
ON_A_BUSY_MACHINE_TOO = settings(deadline=None)

# label, scores of two models, group: few values, so that ties and groups of both classes are common
ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(-2, 3), st.integers(-2, 3), st.integers(0, 5)), min_size=4, max_size=30)

# Hanley & McNeil 1982, Radiology 143:29-36, table I: 109 CT images, rated from definitely normal to definitely abnormal.
RATED_NORMAL, RATED_ABNORMAL = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)

# DeLong, DeLong & Clarke-Pearson 1988: albumin, total protein, Krebs-Goplerud score and benefit from surgery of the 43 patients
# for whom all are known, as listed in the SAS/STAT 14.1 User's Guide, The LOGISTIC Procedure, example 72.8.
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
3.7 6.7 6 1   3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0   3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
4.3 6.5 4 1   3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0   2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""


def as_labels(values: list[int]) -> Labels:
    return np.array(values, dtype=np.int8)


def arrays(rows: list[tuple[int, int, int, int]]) -> tuple[Labels, Values, Groups]:
    label, first, second, group = zip(*rows, strict=True)
    return as_labels(list(label)), np.array([first, second], dtype=np.float64), np.array(group, dtype=np.int64)


def naive(labels: Labels, scores: Values, groups: Groups | None) -> tuple[Values, Values]:
    """Areas and covariance from all pairs, as the papers write them: DeLong et al. 1988, or with groups Obuchowski 1997."""
    x, y = scores[:, labels == 1], scores[:, labels == 0]
    order = (x[:, :, None] > y[:, None, :]) + 0.5 * (x[:, :, None] == y[:, None, :])
    area = order.mean(axis=(1, 2))
    v10, v01 = order.mean(axis=2) - area[:, None], order.mean(axis=1) - area[:, None]
    m, n = x.shape[1], y.shape[1]
    if groups is None:
        return area, v10 @ v10.T / (m - 1) / m + v01 @ v01.T / (n - 1) / n
    names = np.unique(groups)
    of_x, of_y = groups[labels == 1], groups[labels == 0]
    sum10 = np.array([v10[:, of_x == name].sum(axis=1) for name in names]).T
    sum01 = np.array([v01[:, of_y == name].sum(axis=1) for name in names]).T
    i10, i01, i = len(np.unique(of_x)), len(np.unique(of_y)), len(names)
    s10 = i10 / ((i10 - 1) * m) * sum10 @ sum10.T
    s01 = i01 / ((i01 - 1) * n) * sum01 @ sum01.T
    s11 = i / (i - 1) * sum10 @ sum01.T
    return area, s10 / m + s01 / n + (s11 + s11.T) / (m * n)


def two_of_each(labels: Labels, groups: Groups) -> bool:
    return all(len(np.unique(groups[labels == label])) > 1 for label in (0, 1))


@ON_A_BUSY_MACHINE_TOO
@given(ROWS)
def test_delong_is_that_of_all_pairs(rows: list[tuple[int, int, int, int]]) -> None:
    labels, scores, _ = arrays(rows)
    assume(two_of_each(labels, np.arange(len(labels))))
    found = paired_areas(labels, scores)
    area, covariance = naive(labels, scores, None)
    np.testing.assert_allclose(found.values, area, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.covariance, covariance, rtol=0, atol=1e-12)
    assert found.values[0] == pytest.approx(roc_auc(labels, scores[0]), abs=1e-12)


@ON_A_BUSY_MACHINE_TOO
@given(ROWS)
def test_obuchowski_is_that_of_all_pairs(rows: list[tuple[int, int, int, int]]) -> None:
    labels, scores, groups = arrays(rows)
    assume(two_of_each(labels, groups))
    found = paired_areas(labels, scores, groups)
    np.testing.assert_allclose(found.covariance, naive(labels, scores, groups)[1], rtol=0, atol=1e-12)
    assert np.all(found.covariance.diagonal() >= 0)
    assert np.linalg.eigvalsh(found.covariance).min() > -1e-15


@ON_A_BUSY_MACHINE_TOO
@given(ROWS)
def test_a_group_an_image_is_no_group(rows: list[tuple[int, int, int, int]]) -> None:
    labels, scores, _ = arrays(rows)
    assume(two_of_each(labels, np.arange(len(labels))))
    plain = paired_areas(labels, scores).covariance
    np.testing.assert_array_equal(paired_areas(labels, scores, 7 + np.arange(len(labels))).covariance, plain)
    np.testing.assert_allclose(paired_areas(labels, scores, -np.arange(len(labels))).covariance, plain, rtol=0, atol=1e-15)


@ON_A_BUSY_MACHINE_TOO
@given(ROWS, st.booleans())
def test_the_diagonal_is_the_variance_of_each(rows: list[tuple[int, int, int, int]], grouped: bool) -> None:
    labels, scores, groups = arrays(rows)
    assume(0 < labels.sum() < len(labels))
    given_groups = groups if grouped else None
    found = paired_areas(labels, scores, given_groups)
    each = [roc_area(labels, row, given_groups) for row in scores]
    np.testing.assert_allclose(found.covariance.diagonal(), [area.variance for area in each], rtol=1e-12, atol=1e-18)
    np.testing.assert_array_equal(found.values, [area.value for area in each])
    assert all(0 <= area.interval.low <= area.value <= area.interval.high <= 1 for area in each)


@ON_A_BUSY_MACHINE_TOO
@given(ROWS)
def test_only_the_order_of_scores_counts(rows: list[tuple[int, int, int, int]]) -> None:
    labels, scores, groups = arrays(rows)
    assume(0 < labels.sum() < len(labels))
    plain, moved = roc_area(labels, scores[0], groups), roc_area(labels, np.exp(3 * scores[0]) - 7, groups)
    assert plain == moved or (math.isnan(plain.variance) and plain.interval == moved.interval)


@ON_A_BUSY_MACHINE_TOO
@given(ROWS, st.booleans())
def test_negated_scores_or_swapped_labels_mirror_the_area(rows: list[tuple[int, int, int, int]], swap: bool) -> None:
    labels, scores, groups = arrays(rows)
    assume(0 < labels.sum() < len(labels))
    area = roc_area(labels, scores[0], groups)
    mirror = roc_area(1 - labels, scores[0], groups) if swap else roc_area(labels, -scores[0], groups)
    assert mirror.value == pytest.approx(1 - area.value, abs=1e-12)
    assert mirror.variance == pytest.approx(area.variance, abs=1e-15, nan_ok=True)
    assert (mirror.interval.low, mirror.interval.high) == pytest.approx((1 - area.interval.high, 1 - area.interval.low), abs=1e-9)
    assert mirror.interval.method == area.interval.method


def test_hanley_and_mcneil_ratings() -> None:
    """Area .893 with SE .032 by their formula (1982); Stata's roctab, by DeLong's: .8932, SE .0307, .83295 to .95339."""
    scores = np.repeat(np.tile(np.arange(5.0), 2), RATED_NORMAL + RATED_ABNORMAL)
    labels = np.repeat(as_labels([0, 1]), [58, 51])
    area = roc_area(labels, scores)
    error = math.sqrt(area.variance)
    assert area.value == pytest.approx(0.8932, abs=5e-5)
    assert error == pytest.approx(0.0307, abs=5e-5)
    assert (area.value - Z * error, area.value + Z * error) == pytest.approx((0.83295, 0.95339), abs=5e-6)
    assert math.sqrt(hanley_mcneil(area.value, 51, 58)) == pytest.approx(0.032, abs=5e-4)
    half = Z * error / (area.value * (1 - area.value))
    odds = area.value / (1 - area.value)
    low, high = (odds * math.exp(side) / (1 + odds * math.exp(side)) for side in (-half, half))
    assert (area.interval.low, area.interval.high) == pytest.approx((low, high), abs=1e-12)
    assert area.interval.method == "DeLong, logit"


def test_three_indices_of_ovarian_cancer() -> None:
    """What SAS's PROC LOGISTIC prints for these patients: areas, standard errors, contrasts with K-G, and their chi-square."""
    albumin, protein, score, benefit = np.array(OVARIAN.split(), dtype=np.float64).reshape(-1, 4).T
    paired = paired_areas(benefit.astype(np.int8), np.stack([albumin, protein, 10 - score]))
    assert paired.values == pytest.approx([0.7366, 0.6478, 0.7258], abs=5e-5)
    assert np.sqrt(paired.covariance.diagonal()) == pytest.approx([0.0927, 0.1000, 0.1028], abs=5e-5)
    for row, expected in ((0, (0.0108, -0.1761, 0.1976, 0.9102)), (1, (-0.0780, -0.2830, 0.1271, 0.4561))):
        found = difference(paired, row, 2)
        assert (found.value, found.interval.low, found.interval.high, found.p) == pytest.approx(expected, abs=5.1e-5)
        assert found.interval.method == "DeLong, paired"
    contrast = np.array([[1, 0, -1], [0, 1, -1]])
    apart = contrast @ paired.values
    chi_square = apart @ np.linalg.solve(contrast @ paired.covariance @ contrast.T, apart)
    assert chi_square == pytest.approx(2.5340, abs=5e-5)


def in_order(abnormal: Values, normal: Values) -> float:
    return float(np.mean(abnormal[:, None] > normal[None, :]))


def test_delong_agrees_with_the_bootstrap() -> None:
    generator = np.random.default_rng(20)
    normal, abnormal = generator.normal(size=60), generator.normal(1.2, 1.3, size=80)
    found = bootstrap(
        (abnormal, normal), in_order, n_resamples=4000, vectorized=False, method="percentile", random_state=generator
    )
    expected = roc_area(np.repeat(as_labels([0, 1]), [60, 80]), np.concatenate([normal, abnormal]))
    assert math.sqrt(expected.variance) == pytest.approx(found.standard_error, rel=0.06)
    assert (expected.interval.low, expected.interval.high) == pytest.approx(found.confidence_interval, abs=0.02)


@pytest.mark.parametrize("mixed", [True, False])
def test_obuchowski_agrees_with_the_bootstrap_of_groups(mixed: bool) -> None:
    generator = np.random.default_rng(22)
    groups = np.repeat(np.arange(80), generator.integers(2, 7, size=80))
    labels = (generator.integers(0, 2, size=len(groups)) if mixed else groups % 2).astype(np.int8)
    scores = labels + 0.9 * generator.normal(size=80)[groups] + 0.4 * generator.normal(size=len(groups))
    abnormal, normal = ([scores[(groups == group) & (labels == label)] for group in range(80)] for label in (1, 0))

    def area(drawn: Groups) -> float:
        return in_order(np.concatenate([abnormal[group] for group in drawn]), np.concatenate([normal[group] for group in drawn]))

    everything = (np.arange(80),)
    found = bootstrap(everything, area, n_resamples=4000, vectorized=False, method="percentile", random_state=generator)
    expected = roc_area(labels, scores, groups)
    assert math.sqrt(expected.variance) == pytest.approx(found.standard_error, rel=0.06)
    assert (expected.interval.low, expected.interval.high) == pytest.approx(found.confidence_interval, abs=0.02)
    # What is left out matters here: the covariance of a group's two classes if mixed, else groups altogether.
    without = roc_area(labels, scores, 2 * groups + labels) if mixed else roc_area(labels, scores)
    assert math.sqrt(without.variance) != pytest.approx(found.standard_error, rel=0.2)


@pytest.mark.parametrize("grouped", [False, True])
def test_perfect_and_inverse_order(grouped: bool) -> None:
    labels, scores = np.repeat(as_labels([0, 1]), [20, 100]), np.arange(120.0)
    groups = np.arange(120) // 2 if grouped else None
    perfect, inverse = roc_area(labels, scores, groups), roc_area(labels, -scores, groups)
    counts = (50, 10) if grouped else (100, 20)
    assert (perfect.value, perfect.variance, perfect.interval.high) == (1, 0, 1)
    assert perfect.interval.low == newcombe(1, *counts).low
    assert (inverse.value, inverse.variance, inverse.interval.low) == (0, 0, 0)
    assert inverse.interval.high == pytest.approx(1 - perfect.interval.low, abs=1e-12)
    assert perfect.interval.method == "Newcombe 2006, method 5" + (", groups counted" if grouped else "")


def test_equal_scores_have_no_variance_but_a_width() -> None:
    area = roc_area(as_labels([0, 0, 0, 1, 1]), np.full(5, 0.3))
    assert (area.value, area.variance) == (0.5, 0)
    assert area.interval == newcombe(0.5, 2, 3)
    assert area.interval.low < 0.2


def test_what_cancels_within_groups_has_no_variance() -> None:
    labels, groups = as_labels([0, 1, 0, 1]), np.array([7, 7, 9, 9])
    area = roc_area(labels, np.array([0.0, 0.0, 1.0, 1.0]), groups)
    assert (area.value, area.variance) == (0.5, 0)
    assert area.interval.method == "Newcombe 2006, method 5, groups counted"


@pytest.mark.parametrize("scores", [[1, 2, 3, 0], [0, 1, 2, 3], [0, 1, 1, 1]])
def test_one_abnormal_image_is_counted_not_measured(scores: list[int]) -> None:
    area = roc_area(as_labels([0, 0, 0, 1]), np.array(scores, dtype=np.float64))
    assert math.isnan(area.variance)
    assert area.interval == newcombe(area.value, 1, 3)


def test_one_group_of_a_class_is_counted_not_measured() -> None:
    labels, groups = as_labels([0, 0, 1, 1, 1]), np.array([1, 2, 3, 3, 3])
    area = roc_area(labels, np.array([0.0, 2.0, 1.0, 3.0, 4.0]), groups)
    assert math.isnan(area.variance)
    assert (area.interval.low, area.interval.high) == (newcombe(area.value, 1, 2).low, newcombe(area.value, 1, 2).high)
    assert not np.isfinite(paired_areas(labels, np.zeros((2, 5)), groups).covariance).any()


@ON_A_BUSY_MACHINE_TOO
@given(st.floats(0, 1), st.integers(1, 2000), st.integers(1, 2000))
def test_newcombe_solves_its_equation(area: float, abnormal: int, normal: int) -> None:
    found = newcombe(area, abnormal, normal)
    assert 0 <= found.low <= area <= found.high <= 1
    star = (abnormal + normal) / 2 - 1
    for theta in (found.low, found.high):
        inner = 1 + star * (1 - theta) / (2 - theta) + star * theta / (1 + theta)
        variance = theta * (1 - theta) * inner / (abnormal * normal)
        assert (area - theta) ** 2 == pytest.approx(Z**2 * variance, abs=1e-9)
    assert found.high - found.low > 1e-6  # never nothing
    mirror = newcombe(1 - area, normal, abnormal)
    assert (mirror.low, mirror.high) == pytest.approx((1 - found.high, 1 - found.low), abs=1e-9)


def test_newcombe_of_one_pair_is_wilson_of_one_trial() -> None:
    assert newcombe(1, 1, 1).low == pytest.approx(1 / (1 + Z**2), abs=1e-12)


@ON_A_BUSY_MACHINE_TOO
@given(st.floats(0, 1), st.integers(1, 500), st.integers(1, 500))
def test_hanley_mcneil_as_it_is_written(area: float, abnormal: int, normal: int) -> None:
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    written = area * (1 - area) + (abnormal - 1) * (q1 - area**2) + (normal - 1) * (q2 - area**2)
    assert hanley_mcneil(area, abnormal, normal) == pytest.approx(written / (abnormal * normal), abs=1e-12)
    assert hanley_mcneil(1 - area, normal, abnormal) == pytest.approx(hanley_mcneil(area, abnormal, normal), abs=1e-12)


def test_hanley_mcneil_foresees_exponential_scores() -> None:
    """DeLong's variance is near, on the average of samples, for the distribution whose Q1 and Q2 it uses: P(x > y) = 3 / 4."""
    generator, labels = np.random.default_rng(24), np.repeat(as_labels([0, 1]), [50, 70])
    scale = np.repeat([1.0, 3.0], [50, 70])
    mean = np.mean(paired_areas(labels, scale * generator.exponential(size=(400, 120))).covariance.diagonal())
    assert mean == pytest.approx(hanley_mcneil(0.75, 70, 50), rel=0.05)


@pytest.mark.parametrize(("area", "abnormal", "normal"), [(-0.1, 5, 5), (1.1, 5, 5), (math.nan, 5, 5), (0.7, 0, 5), (0.7, 5, 0)])
def test_impossible_counts_are_refused(area: float, abnormal: int, normal: int) -> None:
    for figure in (hanley_mcneil, newcombe):
        with pytest.raises(ValueError, match="no variance of an area"):
            figure(area, abnormal, normal)


def two_models(first: list[float], second: list[float], labels: list[int]) -> PairedAreas:
    return paired_areas(as_labels(labels), np.array([first, second]))


@ON_A_BUSY_MACHINE_TOO
@given(ROWS)
def test_a_difference_is_antisymmetric(rows: list[tuple[int, int, int, int]]) -> None:
    labels, scores, groups = arrays(rows)
    assume(0 < labels.sum() < len(labels))
    paired = paired_areas(labels, scores, groups)
    one, other = difference(paired, 0, 1), difference(paired, 1, 0)
    assert one.value == -other.value
    assert one.p == pytest.approx(other.p)
    assert (one.interval.low, one.interval.high) == pytest.approx((-other.interval.high, -other.interval.low), abs=1e-9)
    assert one.interval.low <= one.value <= one.interval.high
    assert 0 < one.p <= 1
    assert (one.p < 0.05) == (one.interval.low > 0 or one.interval.high < 0)


def test_models_of_one_order_do_not_differ() -> None:
    scores = [0.1, 0.5, 0.2, 0.6, 0.3, 0.9]
    found = difference(two_models(scores, [math.exp(score) for score in scores], [0, 0, 0, 1, 1, 1]), 0, 1)
    assert (found.value, found.p, found.interval.low, found.interval.high) == (0, 1, 0, 0)


def test_two_perfect_models_are_not_known_to_be_equal() -> None:
    found = difference(two_models([0, 1, 2, 3], [1, 0, 3, 2], [0, 0, 1, 1]), 0, 1)
    width = 1 - newcombe(1, 2, 2).low
    assert (found.value, found.p) == (0, 1)
    assert (found.interval.low, found.interval.high) == pytest.approx((-width, width))
    assert found.interval.method == "Newcombe 2006, method 5, squared and added"


def test_a_difference_without_variance_is_not_certain() -> None:
    few = difference(two_models([0, 1, 2, 3], [0, 0, 0, 0], [0, 0, 1, 1]), 0, 1)
    assert few.value == 0.5
    assert few.p > 0.05
    assert few.interval.low < 0
    halves = [0] * 50 + [1] * 50
    many = difference(two_models([float(label) for label in halves], [0.0] * 100, halves), 0, 1)
    assert many.p < 1e-6
    assert many.interval.low > 0.3


def test_a_difference_with_one_abnormal_image_is_not_certain() -> None:
    found = difference(two_models([0, 1, 2, 3], [0, 1, 3, 2], [0, 0, 0, 1]), 0, 1)
    assert found.value == pytest.approx(1 / 3)
    assert found.interval.low < 0
    assert found.p > 0.05


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_refused(label: int) -> None:
    with pytest.raises(ValueError, match=rf"both classes: {3 * label} of 3 are abnormal"):
        roc_area(as_labels([label] * 3), np.arange(3.0))


def test_nan_and_wrong_lengths_are_refused() -> None:
    labels = as_labels([0, 1, 1])
    with pytest.raises(ValueError, match="a score is nan"):
        roc_area(labels, np.array([0, math.nan, 1]))
    with pytest.raises(ValueError, match="one entry an image"):
        roc_area(labels, np.arange(4.0))
    with pytest.raises(ValueError, match="one entry an image"):
        paired_areas(labels, np.zeros((2, 3)), np.arange(2))


def test_memory_grows_with_images_not_with_pairs() -> None:
    generator, size = np.random.default_rng(25), 40_000
    labels, scores = generator.integers(0, 2, size).astype(np.int8), generator.normal(size=size)
    tracemalloc.start()
    roc_area(labels, scores, np.arange(size) // 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400 * size  # bytes; all pairs, at a byte each, are 10,000 * size
