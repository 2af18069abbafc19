from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np
import pytest

from adbench_harness.home import Results
from adbench_harness.store.contenders import contender, meetings, stored_runs
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_harness.store.pairwise import compare
from adbench_leaderboard import queries
from adbench_leaderboard.site import Site
from adbench_leaderboard.views.standing import Standing

MakeRun = Callable[..., str]
OpenSite = Callable[[], Site]


@pytest.fixture
def open_site(results: Results) -> Iterator[OpenSite]:
    with ExitStack() as stack:

        def opened() -> Site:
            ingest(results)
            db = stack.enter_context(reading(results.database))
            return Site(db, queries.runs(db), "0.1.0")

        yield opened


def scores(shift: float, split: int, seed: int, count: int = 40) -> list[float]:
    """As many normal images as abnormal ones, which lie higher by a shift; seeds differ little."""
    images = np.random.default_rng(split).normal(size=2 * count)
    own = 0.1 * np.random.default_rng(seed).normal(size=2 * count)
    return [*(images + own + np.repeat([0.0, shift], count)).tolist()]


KINDS = ("bleed",) * 40
COUNTS = {"test_normal": 40, "test_abnormal": 40}


def the(site: Site) -> Standing:
    (found,) = site.standings.values()
    return found


def test_letters_and_ranks_are_those_of_the_comparison(make_run: MakeRun, open_site: OpenSite) -> None:
    for model, shift in (("good", 2.5), ("fair", 2.2), ("poor", 0.0)):
        for dataset, split, seed in (("mias", 0, 0), ("mias", 0, 1), ("phantom", 1, 0)):
            own = {"scores": scores(shift, split, seed), "subtypes": KINDS, "counts": COUNTS, "thresholds": ("youden",)}
            make_run(f"{model}-{dataset}-{split}-{seed}", model, dataset, split=split, seed=seed, **own)
    site = open_site()
    assert site.db is not None
    stored = stored_runs(site.db)
    contenders = [contender(name, stored) for name in ("fair", "good", "poor")]
    report = compare(site.db, contenders, meetings(contenders).found, ["all"])
    expected = {
        (bout.meeting.setting.dataset, bout.meeting.split, label): (area.value, area.interval.low, area.letters, area.ranks)
        for bout in report.bouts
        for label, area in zip(report.labels, bout.areas, strict=True)
    }
    standing = the(site)
    found = {
        (dataset.name, split.number, model.variant): (place.area, place.interval[0], place.letters, place.ranks)
        for dataset, splits in standing.splits.items()
        for split in splits
        for model, place in split.places.items()
    }
    assert found == expected
    assert standing.tests == 6
    best = standing.at(next(iter(standing.splits)))
    assert {model.variant for model in best.leaders} == {
        model.variant for model, place in best.places.items() if "a" in place.letters
    }
    assert "poor" not in {model.variant for model in best.leaders}


def test_a_single_model_has_an_area_and_no_letters(make_run: MakeRun, open_site: OpenSite) -> None:
    make_run("a")
    standing = the(open_site())
    (split,) = next(iter(standing.splits.values()))
    (place,) = split.places.values()
    assert (place.letters, split.leaders, split.note, standing.tests) == ("", frozenset(), "", 0)
    assert place.interval[0] < place.area < place.interval[1]


def test_a_model_that_was_not_run_everywhere_is_compared_where_it_was(make_run: MakeRun, open_site: OpenSite) -> None:
    make_run("a", "pca", "mias")
    make_run("b", "kd", "mias")
    make_run("c", "kd", "phantom")
    standing = the(open_site())
    names = {key.name: [model.variant for model in splits[0].places] for key, splits in standing.splits.items()}
    assert names == {"mias": ["kd", "pca"], "phantom": ["kd"]}
    assert standing.tests == 1


def test_runs_on_other_images_are_not_compared_and_it_is_said_why(make_run: MakeRun, open_site: OpenSite) -> None:
    make_run("a", "pca")
    make_run("b", "kd", scores=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6), counts={"test_normal": 3, "test_abnormal": 3})
    (split,) = next(iter(the(open_site()).splits.values()))
    assert not split.places
    assert "did not score the same test images" in split.note


def test_one_class_is_not_compared_and_it_is_said_why(make_run: MakeRun, open_site: OpenSite) -> None:
    make_run("a", subtypes=(), counts={"test_normal": 7})
    (split,) = next(iter(the(open_site()).splits.values()))
    assert "normal images only" in split.note


def test_the_split_that_is_shown_is_the_lowest_of_those_that_most_have(make_run: MakeRun, open_site: OpenSite) -> None:
    for model, splits in (("pca", (0, 1, 2)), ("kd", (1, 2))):
        for split in splits:
            make_run(f"{model}-{split}", model, split=split)
    standing = the(open_site())
    (dataset,) = standing.splits
    assert standing.shown[dataset] == standing.at(dataset).number == 1
    assert [model.variant for model in standing.order(dataset)] == ["kd", "pca"]
