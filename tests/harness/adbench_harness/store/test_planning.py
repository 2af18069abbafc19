from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from adbench_harness.api import StoreError, UnknownNameError
from adbench_harness.home import Results
from adbench_harness.metrics.delong import PairedAreas, paired_areas
from adbench_harness.metrics.power import smallest_difference
from adbench_harness.store.contenders import contender, stored_runs
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_harness.store.planning import Planning, assumed, plannings
from adbench_harness.store.scored import scored_together


def planned(results: Results, dataset: str, *models: str, task: str | None = None) -> list[Planning]:
    ingest(results)
    with reading(results.database) as db:
        stored = stored_runs(db)
        return plannings(db, stored, dataset, [contender(word, stored) for word in models], task)


def test_area_and_correlation_are_the_medians_of_stored_models(results: Results, score: Any) -> None:
    runs = [score(model, gain=gain) for model, gain in (("a", 0.8), ("b", 1.0), ("c", 1.5))]
    score("a", gain=0.8, seed=1)
    found = planned(results, "made")
    with reading(results.database) as db:
        images = scored_together(db, runs)
    areas = paired_areas(images.labels, images.scores)
    whole, spots = found
    assert (whole.task, spots.task) == ("all", "spots")
    assert (whole.models, whole.pairs) == (3, 3)
    assert whole.design.area == pytest.approx(np.median(areas.values))
    assert whole.design.variance == pytest.approx(np.median(np.diag(areas.covariance)))
    assert spots.design.abnormal == 18
    assert spots.smallest > whole.smallest
    assert smallest_difference(whole.needed) <= 0.05
    assert whole.needed.abnormal / whole.needed.normal == pytest.approx(1.5, rel=0.01)


def test_of_one_model_the_correlation_is_assumed(results: Results, score: Any) -> None:
    score("a", groups=True)
    (found,) = planned(results, "made", task="all")
    assert (found.models, found.pairs, found.design.correlation, found.groups) == (1, 0, 0.5, 21)


def test_without_variance_everything_is_assumed() -> None:
    perfect = PairedAreas(np.array([1.0]), np.zeros((1, 1)), 10, 10, False)
    design, models, pairs = assumed(10, 10, perfect)
    assert (design.area, design.correlation, design.variance, models, pairs) == (0.75, 0.5, None, 0, 0)


def test_models_below_chance_are_left_out_unless_they_are_named(results: Results, score: Any) -> None:
    for model, gain in (("a", 1.0), ("b", 1.2), ("c", -1.5)):
        score(model, gain=gain)
    (usual,), (named,) = planned(results, "made", task="all"), planned(results, "made", "a", "b", "c", task="all")
    assert (usual.models, usual.inverted, named.models, named.inverted) == (2, 1, 3, 0)
    assert usual.design.area > named.design.area
    assert planned(results, "made", "c", task="all")[0].design.area < 0.5


def test_without_ranked_runs_others_are_looked_at_but_never_detectors_trained_elsewhere(results: Results, score: Any) -> None:
    score("a", trained_on="other", created="2026-02-02T00:00:00Z")
    with pytest.raises(StoreError, match="all runs on made are of detectors trained on another dataset"):
        planned(results, "made")
    for model in ("b", "c"):
        score(model, overrides={"epochs": "1"})
    (found,) = planned(results, "made", task="all")
    assert (found.models, found.pairs) == (2, 1)
    (named,) = planned(results, "made", "a-made-00-from-other", task="all")
    assert named.models == 1


def test_runs_on_other_test_images_than_the_newest_are_left_out(results: Results, score: Any) -> None:
    score("a", prefix="old")
    score("b")
    score("c", created="2026-02-02T00:00:00Z")
    for split in (0, 1):
        score("d", split=split, abnormal=30, created="2026-01-01T00:00:00Z")
    whole, other = planned(results, "made", task="all")
    assert (whole.split, whole.design.abnormal, whole.models) == (0, 36, 2)
    assert (other.split, other.design.abnormal, other.models) == (1, 30, 1)


@pytest.mark.parametrize(
    ("words", "task", "error", "message"),
    [
        (("maade",), None, UnknownNameError, "did you mean made.*adbench run --model pca --dataset maade"),
        (("made", "b"), None, StoreError, "b has no run on made"),
        (("made",), "dots", StoreError, "no task 'dots'"),
        (("plain",), None, StoreError, "of one class"),
    ],
)
def test_what_can_t_be_planned_is_said(
    results: Results, score: Any, words: Sequence[str], task: str | None, error: type[Exception], message: str
) -> None:
    score("a")
    score("b", "plain", abnormal=0)
    with pytest.raises(error, match=message):
        planned(results, *words, task=task)
