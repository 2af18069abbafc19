from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adbench_harness.api import StoreError
from adbench_harness.home import Results
from adbench_harness.result import read_scores
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_harness.store.scored import scored_together, tasks_of, thresholds_at


def test_scores_of_runs_stand_in_one_order(results: Results, score: Any) -> None:
    runs = [score("a", seed=seed, groups=True) for seed in (1, 0)]
    ingest(results)
    with reading(results.database) as db:
        found = scored_together(db, runs)
    assert list(found.images) == sorted(found.images)
    assert found.counts == (36, 24)
    for run_id, row in zip(runs, found.scores, strict=True):
        own = read_scores(results.runs / run_id)
        assert dict(zip(found.images, row, strict=True)) == {
            image: value for image, subset, value in zip(own.image, own.subset, own.score, strict=True) if subset == "test"
        }
    assert found.codes is not None
    assert len(np.unique(found.codes)) == 21


def test_a_task_keeps_all_normal_images_and_its_own_abnormal_ones(results: Results, score: Any) -> None:
    run_id = score("a")
    ingest(results)
    with reading(results.database) as db:
        found, tasks = scored_together(db, [run_id]), tasks_of(db, run_id)
    assert tasks == {"all": None, "spots": ["spot"]}
    spots = found.of_task(tasks["spots"])
    assert spots.counts == (18, 24)
    assert set(spots.subtypes) == {"normal", "spot"}
    assert spots.scores.shape == (1, 42)
    assert spots.codes is None


@pytest.mark.parametrize("other", [{"prefix": "j"}, {"abnormal": 34}])
def test_runs_of_other_images_are_refused_with_an_example(results: Results, score: Any, other: dict[str, Any]) -> None:
    runs = [score("a"), score("b", **other)]
    ingest(results)
    with (
        reading(results.database) as db,
        pytest.raises(StoreError, match=r"a-made-00 and b-made-00 did not score.*instance [ij]\d"),
    ):
        scored_together(db, runs)


def test_thresholds_by_run(results: Results, score: Any) -> None:
    runs = [score("a"), score("b", thresholds=["youden"])]
    ingest(results)
    with reading(results.database) as db:
        assert list(thresholds_at(db, runs, "normal-q95", "all")) == [runs[0]]
        assert set(thresholds_at(db, runs, "youden", "spots")) == set(runs)


def test_a_run_without_test_images_is_refused(results: Results, score: Any) -> None:
    score("a")
    ingest(results)
    with reading(results.database) as db, pytest.raises(StoreError, match="no scores"):
        scored_together(db, ["unknown"])
