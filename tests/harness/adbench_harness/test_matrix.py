from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adbench_harness import registry
from adbench_harness.api import DataError, OptionError, UnknownNameError
from adbench_harness.home import Home
from adbench_harness.matrix import Matrix, Setting, spread

ONE = Matrix(["pca"], ["phantom"], ["adbench-v1"])


def cells(matrix: Matrix, home: Home) -> list[tuple[Any, ...]]:
    return [(r.model, r.dataset, r.protocol, r.split, r.seed, dict(r.settings or {})) for r in spread(matrix, home).runs]


def test_every_combination_once_split_by_split(home: Home) -> None:
    matrix = replace(ONE, models=["pca", "histogram", "pca"], splits=[1, 0], seeds=[3])
    assert [(m, s, k) for m, _, _, s, k, _ in cells(matrix, home)] == [
        ("pca", 1, 3),
        ("histogram", 1, 3),
        ("pca", 0, 3),
        ("histogram", 0, 3),
    ]


def test_all_is_what_is_installed_here_and_has_a_name(home: Home) -> None:
    asked = spread(replace(ONE, models="all", datasets="all", protocols="all", splits="all", seeds="all"), home)
    assert {run.model for run in asked.runs} == {plugin.name for plugin in registry.names("model")}
    assert {run.protocol for run in asked.runs} == {plugin.name for plugin in registry.names("protocol")}
    datasets = {run.dataset for run in asked.runs}
    assert "phantom" in datasets
    assert "folder" not in datasets | asked.left_out.keys()
    assert datasets | asked.left_out.keys() == {plugin.name for plugin in registry.names("dataset")} - {"folder"}
    assert "adbench datasets import head-ct" in asked.left_out["head-ct"]
    splits = {(run.protocol, run.split) for run in asked.runs}
    assert len([split for protocol, split in splits if protocol == "adbench-v1"]) == 5
    assert len([split for protocol, split in splits if protocol == "esmaeili2023"]) == 1


def test_options_go_to_those_who_have_them_and_several_words_are_variants(home: Home) -> None:
    settings = [
        Setting("components", "16"),
        Setting("components", "64"),
        Setting("image_size", "32"),
        Setting("teacher", "random", "multikd"),
    ]
    found = cells(replace(ONE, models=["pca", "multikd"], settings=settings), home)
    assert [(model, words) for model, *_, words in found] == [
        ("pca", {"components": "16", "image_size": "32"}),
        ("pca", {"components": "64", "image_size": "32"}),
        ("multikd", {"image_size": "32", "teacher": "random"}),
    ]
    assert cells(replace(ONE, train_size=40), home)[0][-1] == {"train_size": "40"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": ["pcaa"]}, "no model is called 'pcaa'; did you mean pca?"),
        ({"datasets": ["phantm"]}, "did you mean phantom?"),
        ({"protocols": ["v1"]}, "no protocol is called 'v1'"),
        ({"settings": [Setting("x", "1", "multikd")]}, "--set multikd:x is for a model that is not among pca"),
        ({"models": ["pca", "histogram"], "settings": [Setting("x", "1")]}, "none of pca, histogram has an option 'x'"),
    ],
)
def test_what_nobody_has_is_refused(home: Home, change: dict[str, Any], message: str) -> None:
    with pytest.raises((OptionError, UnknownNameError), match=message):
        spread(replace(ONE, **change), home)


def test_all_datasets_where_none_is(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    names = registry.names
    monkeypatch.setattr(registry, "names", lambda kind: [one for one in names(kind) if one.name == "head-ct"])
    with pytest.raises(DataError, match="no dataset is here; dataset head-ct is not in"):
        spread(replace(ONE, models=[], datasets="all"), home)


def test_a_name_with_a_distribution(tiny: Path, home: Home) -> None:
    assert cells(replace(ONE, models=["adbench-tiny:tiny-autoencoder"]), home)[0][0] == "adbench-tiny:tiny-autoencoder"
