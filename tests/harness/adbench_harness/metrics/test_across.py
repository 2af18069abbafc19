from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from adbench_harness.metrics.across import ScoredSet, across, unit_names
from adbench_harness.metrics.comparison import contrast, seed_means
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


def seeds_of(seed: int, labels: NDArray[np.int8], seeds: int, unlike: float) -> Scores:
    """One model's seeds, whose separations differ by so much."""
    random = np.random.default_rng(seed)
    own = random.normal(size=len(labels))
    return np.array([own + random.normal(size=len(labels)) + labels * (1.5 + unlike * random.normal()) for _ in range(seeds)])


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
    found = across([made("a", labels, [scores, scores * 2])]).difference(0, 1)
    assert (found.value, found.interval.low, found.interval.high, found.p) == (0, 0, 0, 1)
    thrice = across([made("a", labels, [scores, np.repeat(scores, 3, axis=0)])]).difference(0, 1)  # but for rounding
    assert (thrice.interval.low, thrice.interval.high, thrice.p) == (0, 0, 1)


def test_where_no_replicate_differs_nothing_is_known() -> None:
    labels = labels_of(15, 25)
    perfect, blind = labels[None].astype(float), np.zeros((1, len(labels)))
    found = across([made(name, labels, [perfect, perfect, blind]) for name in "ab"], replicates=50)
    for other, value in ((1, 0.0), (2, 0.5)):
        said = found.difference(0, other)
        assert (said.value, said.interval.low, said.interval.high, said.p) == (value, -1, 1, 1)


def test_one_dataset_alone_has_about_the_interval_of_delong() -> None:
    labels = labels_of(60, 80)
    scores = scored(4, labels, 0.6)
    found = across([made("a", labels, scores)]).difference(0, 1)
    known = difference(paired_areas(labels, np.concatenate(scores)), 0, 1)
    assert found.interval.high - found.interval.low == pytest.approx(known.interval.high - known.interval.low, rel=0.1)
    assert found.p == pytest.approx(known.p, abs=0.02)
    assert (found.freedom, found.interval.method) == (np.inf, "paired bootstrap")


@pytest.mark.parametrize("unlike", [0.0, 1.0])
def test_one_dataset_alone_has_about_the_seeds_variance_and_degrees_of_freedom_of_the_test_on_it(unlike: float) -> None:
    labels = labels_of(60, 80)
    members = [np.arange(3), np.arange(3, 5)]
    rows = seeds_of(1, labels, 5, unlike)
    found = across([made("a", labels, [rows[own] for own in members])])
    known = seed_means(paired_areas(labels, rows), members)
    plain, said = contrast(known, 0, 1), found.difference(0, 1)
    assert said.value == pytest.approx(plain.value)
    assert said.interval.high - said.interval.low == pytest.approx(plain.interval.high - plain.interval.low, rel=0.1)
    assert said.p == pytest.approx(plain.p, abs=0.03)
    assert said.freedom == pytest.approx(plain.freedom, rel=0.25)
    assert said.interval.method == "paired bootstrap and seeds"


def test_seeds_that_are_one_detector_add_nothing() -> None:
    labels = labels_of(40, 40)
    scores = scored(8, labels, 0.5)
    once = across([made(name, labels, scores) for name in "ab"])
    thrice = across([made(name, labels, [np.repeat(row, 3, axis=0) for row in scores]) for name in "ab"])
    assert thrice.replicates == pytest.approx(once.replicates)
    assert thrice.difference(0, 1).p == pytest.approx(once.difference(0, 1).p)
    assert thrice.own == pytest.approx(0, abs=1e-12)


def test_seeds_of_several_datasets_are_independent_and_those_of_tasks_are_the_same_detectors() -> None:
    labels = labels_of(50, 50)
    rows = [seeds_of(3, labels, 3, 2.0)]
    alone = across([made("a", labels, rows)])
    tasks = across([made("a", labels, rows), made("a", labels, rows)])
    datasets = across([made("a", labels, rows, "s"), made("b", labels, rows, "s")])
    sources = across([made("a", labels, rows), made("b", labels, rows)])
    assert alone.own[0] > 0.001
    assert tasks.own == pytest.approx(alone.own)
    assert tasks.parts == pytest.approx(alone.parts)
    for apart in (datasets, sources):
        assert apart.own == pytest.approx(alone.own / 2, rel=0.02)
        assert apart.parts == pytest.approx(alone.parts / 8)


def test_what_seeds_gain_on_one_task_and_lose_on_another_cancels() -> None:
    labels = labels_of(50, 50)
    first, second = seeds_of(3, labels, 2, 2.0)
    tasks = across([made("a", labels, [np.stack([first, second])]), made("a", labels, [np.stack([second, first])])])
    assert across([made("a", labels, [np.stack([first, second])])]).own[0] > 0
    assert tasks.own[0] == tasks.parts[0] == 0


@pytest.mark.parametrize("unlike", [0.0, 0.4])
def test_the_variance_with_two_seeds_is_right_on_average(unlike: float) -> None:
    labels = labels_of(20, 30)
    differences, variances = [], []
    for trial in range(150):
        models = [[seeds_of(1000 * trial + 10 * place + model, labels, 2, unlike) for model in (0, 1)] for place in (0, 1)]
        found = across([made(name, labels, own) for name, own in zip("ab", models, strict=True)], replicates=100)
        differences.append(found.difference(0, 1).value)
        variances.append((found.replicates[:, 0] - found.replicates[:, 1]).var() + found.own.sum())
    assert np.mean(variances) / np.var(differences) == pytest.approx(1.1, abs=0.3)


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
    other = one[:, ::-1]
    alike = across([made("a", labels, [np.concatenate([one, one]), other])]).difference(0, 1).interval
    unlike = across([made("a", labels, [np.concatenate([one, one + noise]), other])]).difference(0, 1).interval
    assert unlike.high - unlike.low > alike.high - alike.low


def test_a_clear_difference_is_found() -> None:
    labels = labels_of(60, 60)
    found = across([made(name, labels, scored(seed, labels, 4)) for seed, name in enumerate("abc")], replicates=200)
    said = found.difference(1, 0)
    assert said.value > 0 < said.interval.low
    assert said.p < 1e-6
