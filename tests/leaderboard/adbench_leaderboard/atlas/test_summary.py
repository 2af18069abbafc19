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
    (ruled,) = Summary(next(view for view in filled.views() if len(view.models) == 6), {}).ruled
    names = [model.key.variant for model in ruled.view.models]
    assert [(names[one.model], one.verdict) for one in ruled.uniform] == [
        ("off", "normal"),
        ("on", "abnormal"),
        ("torn", "split"),
    ]
    found = {one.name: [(ruled.view.images[place].id, model) for place, model in one.shown] for one in ruled.lists}
    assert found == {"missed": [("a6", None)], "alarms": [("n0", None)], "single": [("a5", names.index("kd"))]}


def test_with_one_model_that_tells_images_apart_none_is_alone_and_with_none_there_is_no_list(store: Store) -> None:
    store.add("kd-0", "kd", (0.9, 0.1, 0.2, 0.3, 0.8, 0.7, 0.0))
    store.add("off-0", "off", (0.0,) * 7, dataset="phantom")
    store.add("off-1", "off", (0.0,) * 7, dataset="mias")
    (one,), (other,) = store.views(), store.views("mias")
    assert [found.name for found in hard(one, "youden")] == ["missed", "alarms"]
    assert hard(other, "youden") == []


def test_seed_flips_and_agreement(view: View) -> None:
    (ruled,) = Summary(view, {}).ruled
    assert [estimate.value if estimate else None for estimate in ruled.flips] == [pytest.approx(1 / 7), 0, 0]
    assert [(pair.one, pair.other) for pair in ruled.pairs] == [(0, 1), (0, 2), (1, 2)]
    assert [estimate is not None for estimate in ruled.pairs[2].kappas] == [True, True, True]
    assert Summary(view, {}).counts == {"all": 7, "abnormal": 3, "normal": 4}
    assert ruled.together is not None


def test_one_model_has_no_pairs_and_is_never_alone(filled: Store) -> None:
    (ruled,) = Summary(next(view for view in filled.views() if view.split == 1), {}).ruled
    assert [found.name for found in ruled.lists] == ["missed", "alarms"]
    assert (ruled.pairs, ruled.together, ruled.flips) == ([], None, [None])


def test_of_many_pairs_those_that_agree_least_and_most_are_shown(store: Store) -> None:
    generator = np.random.default_rng(1)
    for number in range(9):
        store.add(f"m{number}", f"m{number}", generator.random(40).tolist(), names=[f"i{place:02}" for place in range(40)])
    (view,) = store.views()
    (ruled,) = Summary(view, {}).ruled
    upper = ruled.kappas[0].value[np.triu_indices(9, 1)]
    shown = [pair.kappas[0].value for pair in ruled.pairs if pair.kappas[0] is not None]
    assert ruled.pair_count == 36
    assert shown == sorted(upper)[: SHOWN_PAIRS // 2] + sorted(upper)[-SHOWN_PAIRS // 2 :]


def test_each_rule_has_lists_of_its_own(store: Store) -> None:
    store.add("kd-0", "kd", (0.9, 0.1, 0.2, 0.3, 0.8, 0.7, 0.0), thresholds={"youden": 0.5, "normal-q95": 0.85})
    (view,) = store.views()
    missed = {one.rule: [view.images[place].id for place in one.lists[0].places] for one in Summary(view, {}).ruled}
    assert list(missed) == ["normal-q95", "youden"]
    assert missed == {"normal-q95": ["a6", "a5", "a4"], "youden": ["a6"]}
