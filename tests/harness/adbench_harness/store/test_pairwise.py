from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from adbench_harness.api import OptionError, StoreError, UnknownNameError
from adbench_harness.home import Results
from adbench_harness.metrics.comparison import holm
from adbench_harness.metrics.delong import difference, paired_areas
from adbench_harness.store.contenders import contender, meetings, stored_runs
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_harness.store.pairwise import Report, compare, independent_source
from adbench_harness.store.scored import scored_together


def compared(results: Results, *models: str, tasks: Sequence[str] = ("all",), rule: str | None = None) -> Report:
    ingest(results)
    with reading(results.database) as db:
        stored = stored_runs(db)
        contenders = [contender(word, stored) for word in models]
        return compare(db, contenders, meetings(contenders).found, tasks, rule)


def test_two_runs_are_tested_on_the_same_images(results: Results, score: Any) -> None:
    runs = [score("a", gain=0.5), score("b", gain=2.5)]
    report = compared(results, "a", "b")
    with reading(results.database) as db:
        images = scored_together(db, runs)
    plain = difference(paired_areas(images.labels, images.scores), 0, 1)
    (bout,) = report.bouts
    (pair,) = bout.pairs
    assert (bout.normal, bout.abnormal, bout.groups) == (24, 36, None)
    assert (pair.contrast.value, pair.contrast.p, pair.adjusted) == pytest.approx((plain.value, plain.p, plain.p))
    assert [area.letters for area in bout.areas] == ["b", "a"]
    assert [area.ranks for area in bout.areas] == [(2, 2), (1, 1)]


def test_p_is_corrected_over_the_whole_table(results: Results, score: Any) -> None:
    for dataset in ("one", "two"):
        for model, gain in (("a", 0.5), ("b", 1.5), ("c", 2.0)):
            score(model, dataset, gain=gain)
    report = compared(results, "a", "b", "c", tasks=("all", "spots"))
    pairs = [pair for bout in report.bouts for pair in bout.pairs]
    assert len(pairs) == 12
    assert [pair.adjusted for pair in pairs] == pytest.approx(holm([pair.contrast.p for pair in pairs]))


def test_groups_that_are_known_are_used(results: Results, score: Any) -> None:
    score("a", groups=True)
    score("b", groups=True)
    (bout,) = compared(results, "a", "b").bouts
    assert bout.groups == 21
    assert bout.areas[0].interval.method == "Obuchowski, logit"
    assert bout.pairs[0].decisions is not None
    assert bout.pairs[0].decisions.sensitivity.method in ("McNemar, exact, by groups", "McNemar, exact")


def test_seeds_are_averaged_and_splits_are_not(results: Results, score: Any) -> None:
    for split in (0, 1):
        for seed in (0, 1, 2):
            score("a", split=split, seed=seed)
        score("b", split=split)
    report = compared(results, "a", "b")
    assert [bout.meeting.split for bout in report.bouts] == [0, 1]
    assert report.bouts[0].areas[0].seeds == [0, 1, 2]
    assert np.isfinite(report.bouts[0].pairs[0].contrast.freedom)
    assert not report.overall


def test_decisions_are_those_of_single_detectors_at_the_honest_threshold(results: Results, score: Any) -> None:
    for seed in (0, 1):
        score("a", gain=0.5, seed=seed)
    score("b", gain=3.0, seed=1)
    (bout,) = compared(results, "a", "b").bouts
    found = bout.pairs[0].decisions
    assert found is not None
    assert found.runs == ("a-made-01", "b-made-01")
    assert (found.sensitivity.images, found.specificity.images) == (36, 24)
    assert found.sensitivity.second_only > found.sensitivity.first_only
    assert found.sensitivity.p < 0.01
    assert found.adjusted == pytest.approx(tuple(holm([found.sensitivity.p, found.specificity.p])))


def test_without_honest_thresholds_decisions_are_left_out_or_refused(results: Results, score: Any) -> None:
    score("a", thresholds=["youden"])
    score("b")
    report = compared(results, "a", "b")
    assert report.bouts[0].pairs[0].decisions is None
    assert "no test of decisions on made" in report.notes[0]
    with pytest.raises(StoreError, match="not all runs on made have a threshold at normal-q95"):
        compared(results, "a", "b", rule="normal-q95")


@pytest.mark.parametrize(
    ("rule", "error", "message"),
    [
        ("youden", OptionError, "oracle.*labels of these very images"),
        ("all-positive", OptionError, "decides alike"),
        ("normal-q59", UnknownNameError, "did you mean normal-q95"),
    ],
)
def test_decisions_are_only_compared_at_honest_rules(
    results: Results, score: Any, rule: str, error: type[Exception], message: str
) -> None:
    score("a")
    score("b")
    with pytest.raises(error, match=message):
        compared(results, "a", "b", rule=rule)


def test_one_class_and_unknown_tasks_are_said(results: Results, score: Any) -> None:
    for model in ("a", "b"):
        score(model, "plain", abnormal=0)
    with pytest.raises(StoreError, match="plain, task all, split 0: the test set has normal images only"):
        compared(results, "a", "b")
    for model in ("a", "b"):
        score(model)
    report = compared(results, "a", "b", tasks=("all", "dots"))
    assert [bout.task for bout in report.bouts] == ["all"]
    assert any("no such task, only all, spots" in note for note in report.notes)


def test_across_datasets_each_source_has_one_vote(results: Results, score: Any) -> None:
    for model, gain in (("a", 0.5), ("b", 2.5)):
        score(model, "whole", gain=gain, source="films")
        score(model, "patches", gain=gain, source="films")
        score(model, "other", gain=gain)
    (overall,) = compared(results, "a", "b").overall
    assert overall.found.sources == ["other", "films"]
    (pair,) = overall.pairs
    assert pair.difference == pytest.approx(overall.found.means[0] - overall.found.means[1])
    assert pair.interval.high < 0
    assert pair.adjusted == pair.p < 0.01


def test_over_datasets_p_is_corrected_over_all_splits_together(results: Results, score: Any) -> None:
    for split in (0, 1):
        for model, gain in (("a", 1.0), ("b", 1.4)):
            for dataset in ("one", "two"):
                score(model, dataset, gain=gain, split=split)
    overall = compared(results, "a", "b").overall
    pairs = [pair for one in overall for pair in one.pairs]
    assert [(one.split, len(one.pairs)) for one in overall] == [(0, 1), (1, 1)]
    assert [pair.adjusted for pair in pairs] == pytest.approx(holm([pair.p for pair in pairs]))


def test_over_datasets_seeds_count_as_in_the_test_on_each(results: Results, score: Any) -> None:
    for seed in (0, 1):
        for model, gain in (("a", 0.5), ("b", 1.5)):
            for dataset in ("one", "two"):
                score(model, dataset, gain=gain, seed=seed)
    report = compared(results, "a", "b", tasks=("all", "spots"))
    (pair,) = report.overall[0].pairs
    assert pair.interval.method == "paired bootstrap and seeds"
    assert 1 <= pair.freedom < np.inf


def test_the_source_is_the_run_s_else_the_dataset_s_else_its_name(results: Results, score: Any) -> None:
    runs = [score("a", "made", source="films"), score("a", "mias-patches"), score("a", "nobody-s")]
    ingest(results)
    with reading(results.database) as db:
        datasets = ("made", "mias-patches", "nobody-s")
        found = [independent_source(db, run_id, dataset) for run_id, dataset in zip(runs, datasets, strict=True)]
    assert found == ["films", "mias", "nobody-s"]
