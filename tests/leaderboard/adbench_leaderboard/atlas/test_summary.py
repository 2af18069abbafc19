from __future__ import annotations

import numpy as np
import pytest

from adbench_leaderboard.atlas.hard import SHOWN, hard
from adbench_leaderboard.atlas.summary import SHOWN_PAIRS, Summary
from adbench_leaderboard.atlas.view import View

from .conftest import Store


@pytest.fixture
def view(filled: Store) -> View:
    return next(view for view in filled.views() if len(view.models) == 3)


def test_lists(view: View) -> None:
    assert [model.key.variant for model in view.models] == ["gan", "kd", "pca"]
    found = {one.name: [(view.images[place].id, model) for place, model in one.shown] for one in hard(view, "youden")}
    # The seeds of gan are split over n3, which then is nobody's; kd is model 1.
    assert found == {"missed": [("a6", None)], "alarms": [("n0", None)], "single": [("a5", 1)]}


def test_lists_go_by_the_place_among_all_images(store: Store) -> None:
    store.add("kd-0", "kd", (0.9, 0.8, 0.95, 0.1, 0.3, 0.4, 0.2))
    (view,) = store.views()
    missed, alarms = hard(view, "youden")
    assert [view.images[place].id for place in missed.places] == ["a6", "a4", "a5"]
    assert [view.images[place].id for place in alarms.places] == ["n2", "n0", "n1"]


def test_a_page_holds_the_hardest_of_a_long_list_and_the_list_all(store: Store) -> None:
    names = [f"i{number:02}" for number in range(60)]
    store.add("kd-0", "kd", [0.9] + [0.0] * 59, names=names)
    (view,) = store.views()
    missed = hard(view, "youden")[0]
    assert (len(missed.places), len(missed.shown)) == (56, SHOWN)


def test_lists_do_not_go_by_models_that_call_all_images_the_same(filled: Store) -> None:
    scores = (0.1, 0.2, 0.3, 0.4, 0.7, 0.8, 0.9)
    for seed in (0, 1, 2):
        # Two of three seeds of off call nothing abnormal, so most of them call all images normal.
        filled.add(f"off-{seed}", "off", scores, seed=seed, thresholds={"youden": 0.5 if seed == 2 else float("inf")})
        filled.add(f"on-{seed}", "on", scores, seed=seed, thresholds={"youden": float("-inf")})
    for seed in (0, 1):
        filled.add(f"torn-{seed}", "torn", scores, seed=seed, thresholds={"youden": float("inf") if seed else float("-inf")})
    summary = Summary(next(view for view in filled.views() if len(view.models) == 6), {})
    names = [model.key.variant for model in summary.view.models]
    assert [(names[one.model], one.verdict) for one in summary.uniform] == [
        ("off", "normal"),
        ("on", "abnormal"),
        ("torn", "split"),
    ]
    found = {one.name: [(summary.view.images[place].id, model) for place, model in one.shown] for one in summary.lists}
    assert found == {"missed": [("a6", None)], "alarms": [("n0", None)], "single": [("a5", names.index("kd"))]}


def test_with_one_model_that_tells_images_apart_none_is_alone_and_with_none_there_is_no_list(store: Store) -> None:
    store.add("kd-0", "kd", (0.9, 0.1, 0.2, 0.3, 0.8, 0.7, 0.0))
    store.add("off-0", "off", (0.0,) * 7, dataset="phantom")
    store.add("off-1", "off", (0.0,) * 7, dataset="mias")
    (one,), (other,) = store.views(), store.views("mias")
    assert [found.name for found in hard(one, "youden")] == ["missed", "alarms"]
    assert hard(other, "youden") == []


def test_seed_flips_and_agreement(view: View) -> None:
    summary = Summary(view, {})
    assert [estimate.value if estimate else None for estimate in summary.flips] == [pytest.approx(1 / 7), 0, 0]
    assert [(pair.one, pair.other) for pair in summary.pairs] == [(0, 1), (0, 2), (1, 2)]
    assert [estimate is not None for estimate in summary.pairs[2].kappas] == [True, True, True]
    assert summary.counts == {"all": 7, "abnormal": 3, "normal": 4}
    assert summary.together is not None


def test_one_model_has_no_pairs_and_is_never_alone(filled: Store) -> None:
    summary = Summary(next(view for view in filled.views() if view.split == 1), {})
    assert [found.name for found in summary.lists] == ["missed", "alarms"]
    assert (summary.pairs, summary.together, summary.flips) == ([], None, [None])


def test_of_many_pairs_those_that_agree_least_and_most_are_shown(store: Store) -> None:
    generator = np.random.default_rng(1)
    for number in range(9):
        store.add(f"m{number}", f"m{number}", generator.random(40).tolist(), names=[f"i{place:02}" for place in range(40)])
    (view,) = store.views()
    summary = Summary(view, {})
    upper = summary.kappas[0].value[np.triu_indices(9, 1)]
    shown = [pair.kappas[0].value for pair in summary.pairs if pair.kappas[0] is not None]
    assert summary.pair_count == 36
    assert shown == sorted(upper)[: SHOWN_PAIRS // 2] + sorted(upper)[-SHOWN_PAIRS // 2 :]
