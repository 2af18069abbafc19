from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from .conftest import NAMES, Store


def test_nothing_meets_across_splits_digests_and_states_of_the_files(filled: Store) -> None:
    found = filled.views()
    runs = sorted(sorted(run.run_id for run in view.runs) for view in found)
    assert runs == [["gan-0", "gan-1", "kd-0", "kd-1", "pca-0", "pca-1"], ["kd-digest"], ["kd-files"], ["kd-split"]]
    assert len({view.code for view in found}) == len({view.path for view in found}) == 4


def test_percentiles_are_scipys_midranks(store: Store) -> None:
    one, other = (0.5, 0.1, 0.5, -0.0, 0.0, 0.5, 0.7), (0.9, 0.1, 0.2, 0.3, 0.8, 0.7, 0.0)
    store.add("kd-0", "kd", one)
    store.add("kd-1", "kd", other, seed=1)
    (view,) = store.views()
    order = np.argsort(NAMES)
    ranks = np.stack([rankdata(one), rankdata(other)])[:, order]
    assert [image.id for image in view.images] == sorted(NAMES)
    assert np.array_equal(view.half_ranks, 2 * ranks)
    assert view.percentiles[0] == pytest.approx((ranks.mean(0) - 0.5) / 7)
    assert view.hardness == pytest.approx(np.where(view.labels == 1, 1 - view.percentiles[0], view.percentiles[0]))


@pytest.mark.parametrize("threshold", [-np.inf, 0.0, 0.05, 0.1, 0.5, 0.6, 0.7, np.inf])
def test_verdicts_are_those_of_the_threshold_itself(store: Store, threshold: float) -> None:
    scores = (0.5, 0.1, 0.5, -0.0, 0.0, 0.5, 0.7)
    store.add("kd-0", "kd", scores, thresholds={"youden": threshold})
    (view,) = store.views()
    known = dict(zip(NAMES, scores, strict=True))
    assert view.verdicts("youden")[0].tolist() == [known[image.id] > threshold for image in view.images]


def test_the_honest_rule_goes_first_where_all_runs_have_it(store: Store) -> None:
    scores = (0.9, 0.1, 0.2, 0.3, 0.8, 0.7, 0.0)
    store.add("kd-0", "kd", scores, thresholds={"youden": 0.5, "normal-q95": 0.6})
    assert [view.rules for view in store.views()] == [["normal-q95", "youden"]]
    store.add("kd-1", "kd", scores, seed=1)
    assert [(view.rules, list(view.cuts)) for view in store.views()] == [(["youden"], ["youden"])]
    store.add("kd-2", "kd", scores, seed=2, thresholds={})
    assert [view.rules for view in store.views()] == [[]]


def test_a_run_with_other_test_images_is_left_out(store: Store) -> None:
    scores = (0.9, 0.1, 0.2, 0.3, 0.8, 0.7, 0.0)
    store.add("pca-0", "pca", scores, names=["other", *NAMES[1:]])
    store.add("gan-0", "gan", scores[:-1], names=NAMES[:-1])
    store.add("kd-0", "kd", scores, created="2026-02-02 03:04:05")
    (view,) = store.views()
    assert [run.run_id for run in view.runs] == ["kd-0"]
    assert [run.run_id for run in view.left_out] == ["gan-0", "pca-0"]


def test_a_dataset_of_unranked_runs_has_no_atlas(store: Store) -> None:
    store.add("kd-0", "kd", (0.9, 0.1, 0.2, 0.3, 0.8, 0.7, 0.0), unranked="partial copy")
    assert store.views() == []
