from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from adbench_harness.metrics import resampling
from adbench_harness.metrics.operating_point import confusion
from adbench_harness.metrics.ranking import (
    average_precision,
    fpr_at_95_tpr,
    kolmogorov_smirnov,
    partial_auc,
    pr_auc_trapezoid,
)
from adbench_harness.metrics.resampling import Resampling
from adbench_harness.metrics.thresholds import RULES, Rule

RANDOM = np.random.default_rng(3)
LABELS = np.repeat([0, 1], [40, 60]).astype(np.int8)
SCORES = np.round(RANDOM.normal(LABELS * 1.0), 1)  # with ties
ORACLES = ("best-f1", "youden", "sens-at-spec-95", "spec-at-sens-95")
NONE = np.empty(0)


def chosen(rule: str) -> tuple[Rule, float]:
    return RULES[rule], RULES[rule].choose(LABELS, SCORES, NONE)


def plainly(figure: object, replicates: int = 1000) -> tuple[float, float]:
    """A stratified bootstrap with a loop, of another seed."""

    def statistic(normal: np.ndarray, abnormal: np.ndarray) -> float:
        labels = np.repeat([0, 1], [len(normal), len(abnormal)]).astype(np.int8)
        return float(figure(labels, np.concatenate([normal, abnormal])))  # type: ignore[operator]

    interval = bootstrap(
        [SCORES[LABELS == 0], SCORES[LABELS == 1]],
        statistic,
        n_resamples=replicates,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    return float(interval.low), float(interval.high)


@pytest.mark.parametrize("rule", ORACLES)
def test_the_threshold_is_chosen_again_in_each_replicate(rule: str) -> None:
    found = Resampling(LABELS, SCORES).operating([chosen(rule)])[0]

    def sensitivity(labels: np.ndarray, scores: np.ndarray) -> float:
        return confusion(labels, scores, RULES[rule].choose(labels, scores, NONE)).sensitivity

    low, high = plainly(sensitivity)
    assert (found["sensitivity"].low, found["sensitivity"].high) == pytest.approx((low, high), abs=0.04)


def test_it_is_wider_than_with_the_threshold_kept() -> None:
    kept = [(RULES["all-positive"], chosen("youden")[1])]
    narrow, wide = (Resampling(LABELS, SCORES).operating(what)[0]["sensitivity"] for what in (kept, [chosen("youden")]))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("pr_auc", average_precision),
        ("pr_auc_trapezoid", pr_auc_trapezoid),
        ("partial_auc", partial_auc),
        ("fpr_at_95_tpr", fpr_at_95_tpr),
        ("ks", kolmogorov_smirnov),
    ],
)
def test_curves_are_resampled_as_a_plain_loop_does(name: str, figure: object) -> None:
    found = Resampling(LABELS, SCORES).curves()[name]
    assert (found.low, found.high) == pytest.approx(plainly(figure, 400), abs=0.05)


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("pr_auc", average_precision),
        ("pr_auc_trapezoid", pr_auc_trapezoid),
        ("partial_auc", partial_auc),
        ("fpr_at_95_tpr", fpr_at_95_tpr),
        ("ks", kolmogorov_smirnov),
    ],
)
def test_on_the_images_as_they_are_a_replicate_has_scikit_learn_s_figure(name: str, figure: object) -> None:
    population = Resampling(LABELS, SCORES)
    once = resampling._curve_figures(population._counts(np.ones((1, len(LABELS)))))
    assert once[name] == pytest.approx(figure(LABELS, SCORES), abs=1e-12)  # type: ignore[operator]


def test_whole_groups_are_drawn_where_they_are_known() -> None:
    """Ten copies of each image are no new images: the interval is that of the images, not a third of it."""
    labels, scores = np.repeat(LABELS, 10), np.repeat(SCORES, 10)
    groups = np.repeat(np.arange(len(LABELS)), 10)
    alone = Resampling(LABELS, SCORES).curves()["pr_auc"]
    copies = Resampling(labels, scores).curves()["pr_auc"]
    grouped = Resampling(labels, scores, groups).curves()["pr_auc"]
    width = alone.high - alone.low
    assert grouped.high - grouped.low == pytest.approx(width, rel=0.1)
    assert copies.high - copies.low < width / 2
    assert (alone.method, grouped.method) == ("bootstrap", "bootstrap of groups")


def test_groups_of_both_classes_keep_their_number() -> None:
    groups = np.arange(100) % 50  # 10 pairs of normal and abnormal, and 40 pairs of one class or two
    found = Resampling(LABELS, SCORES, groups).operating([chosen("youden")])[0]
    assert 0 <= found["sensitivity"].low < found["sensitivity"].high <= 1


def test_shares_of_the_whole_are_the_sensitivity() -> None:
    population = Resampling(LABELS, SCORES)
    whole = population.operating([chosen("youden")])[0]["sensitivity"]
    part = population.shares(*chosen("youden"), [LABELS == 1])[0]
    assert part == whole


def test_the_same_scores_have_the_same_interval() -> None:
    assert Resampling(LABELS, SCORES).curves() == Resampling(LABELS, SCORES).curves()


def test_one_image_of_each_class_leaves_nothing_to_draw() -> None:
    population = Resampling(np.array([0, 1], dtype=np.int8), np.array([0.0, 1.0]))
    assert population.curves() == {}
    assert population.operating([(RULES["youden"], 0.5)]) == [{}]
    assert population.shares(RULES["youden"], 0.5, [np.array([False, True])]) == [None]


def test_where_all_replicates_agree_there_is_no_interval() -> None:
    labels, scores = np.array([0, 1, 1, 1], dtype=np.int8), np.array([0.0, -1.0, 1.0, 2.0])
    found = Resampling(labels, scores).operating([(RULES["all-positive"], 0.0)])[0]
    assert "specificity" not in found
    assert found["sensitivity"].low < found["sensitivity"].high
