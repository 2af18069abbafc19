from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from adbench_harness.metrics.across import ScoredSet, across, unit_names
from adbench_harness.metrics.delong import difference, paired_areas
from adbench_harness.metrics.ranking import roc_auc

Scores = NDArray[np.float64]


def labels_of(normal: int, abnormal: int) -> NDArray[np.int8]:
    return np.repeat(np.array([0, 1], dtype=np.int8), [normal, abnormal])


def scored(seed: int, labels: NDArray[np.int8], better: float = 0.0) -> list[Scores]:
    """Two models, one seed each, the second better."""
    random = np.random.default_rng(seed)
    images = random.normal(size=len(labels))
    return [(images + random.normal(size=len(labels)) + labels * (1 + gain))[None] for gain in (0.0, better)]


def made(
    name: str,
    labels: NDArray[np.int8],
    scores: Sequence[Scores],
    source: str | None = None,
    groups: Sequence[str | None] | None = None,
) -> ScoredSet:
    images = [f"image-{number}" for number in range(len(labels))]
    units = list(unit_names(name, images, groups or [None] * len(labels)))
    return ScoredSet(source or name, labels, units, name, scores)


def test_every_source_has_one_vote() -> None:
    labels = labels_of(20, 30)
    scores = [scored(seed, labels, 0.5) for seed in range(3)]
    sets = [made("a", labels, scores[0]), made("b", labels, scores[1], "twin"), made("c", labels, scores[2], "twin")]
    found = across(sets, replicates=10)
    own = [[roc_auc(labels, model[0]) for model in one] for one in scores]
    assert found.sources == ["a", "twin"]
    assert found.by_source == pytest.approx(np.array([own[0], np.mean(own[1:], axis=0)]))
    assert found.means == pytest.approx(found.by_source.mean(axis=0))


def test_ties_count_half_and_seeds_are_averaged() -> None:
    labels = labels_of(3, 3)
    rows = np.array([[1, 2, 3, 2, 3, 4], [5, 5, 5, 5, 5, 5]], dtype=float)
    found = across([made("a", labels, [rows])], replicates=5)
    assert found.means[0] == pytest.approx((roc_auc(labels, rows[0]) + 0.5) / 2)


def test_models_that_score_alike_are_the_same_in_every_replicate() -> None:
    labels = labels_of(15, 25)
    scores = scored(0, labels)[0]
    value, interval, p = across([made("a", labels, [scores, scores * 2])]).difference(0, 1)
    assert (value, interval.low, interval.high, p) == (0, 0, 0, 1)


def test_one_dataset_alone_has_about_the_interval_of_delong() -> None:
    labels = labels_of(60, 80)
    scores = scored(4, labels, 0.6)
    _, interval, p = across([made("a", labels, scores)]).difference(0, 1)
    known = difference(paired_areas(labels, np.concatenate(scores)), 0, 1)
    assert interval.high - interval.low == pytest.approx(known.interval.high - known.interval.low, rel=0.1)
    assert p == pytest.approx(known.p, abs=0.02)


def test_whole_groups_are_drawn() -> None:
    labels = labels_of(60, 60)
    random = np.random.default_rng(2)
    groups = [f"{label}-{number // 6}" for number, label in enumerate(labels)]
    shared = {group: random.normal(size=2) for group in groups}
    scores: list[Scores] = [np.array([[shared[group][model] for group in groups]]) + labels for model in range(2)]
    alone = across([made("a", labels, scores)]).replicates
    grouped = across([made("a", labels, scores, groups=groups)]).replicates
    assert grouped.std(axis=0).min() > 1.5 * alone.std(axis=0).max()


def test_patients_that_two_datasets_share_are_drawn_together() -> None:
    labels = labels_of(40, 40)
    scores = scored(3, labels, 0.5)
    groups = [f"patient-{number}" for number in range(len(labels))]

    def spread(first: Sequence[str], second: Sequence[str]) -> float:
        sets = [made("whole", labels, scores, "s", first), made("patches", labels, scores, "s", second)]
        return float(across(sets).replicates[:, 0].std())

    together = spread(groups, groups)
    apart = spread(groups, [f"other-{name}" for name in groups])
    assert together == pytest.approx(apart * np.sqrt(2), rel=0.1)


def test_tasks_of_a_dataset_share_the_draws_of_their_images() -> None:
    labels = labels_of(30, 30)
    scores = scored(5, labels)
    once = across([made("a", labels, scores)]).replicates
    twice = across([made("a", labels, scores), made("a", labels, scores)]).replicates
    assert twice == pytest.approx(once)


def test_both_classes_are_in_every_replicate_even_of_a_tiny_set() -> None:
    labels = labels_of(2, 2)
    found = across([made("a", labels, scored(1, labels), groups=["x", "y", "x", "z"])])
    assert np.isfinite(found.replicates).all()


def test_seeds_that_differ_widen_the_interval() -> None:
    labels = labels_of(50, 50)
    one = scored(6, labels)[0]
    noise = np.random.default_rng(0).normal(size=one.shape) * 3
    alike = across([made("a", labels, [np.concatenate([one, one])])]).replicates.std()
    unlike = across([made("a", labels, [np.concatenate([one, one + noise])])]).replicates.std()
    assert unlike > alike


def test_a_clear_difference_has_the_smallest_p_there_is() -> None:
    labels = labels_of(60, 60)
    found = across([made(name, labels, scored(seed, labels, 4)) for seed, name in enumerate("abc")], replicates=200)
    value, interval, p = found.difference(1, 0)
    assert value > 0 < interval.low
    assert p == pytest.approx(2 / 201)
