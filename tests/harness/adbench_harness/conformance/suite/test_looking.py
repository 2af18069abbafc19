from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from adbench_harness.api import NotImportedError, UnknownNameError
from adbench_harness.conformance.report import Report, Result
from adbench_harness.conformance.rules import dataset_checks
from adbench_harness.conformance.suite.looking import Looking, asked_for

Config = Callable[..., pytest.Config]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """The options of a command line, as pytest would know them."""

    def made(**changes: Any) -> pytest.Config:
        plain = {"model": [], "dataset": [], "set": [], "device": "cpu", "image_size": 32, "budget": 96, "home": str(tmp_path)}
        options = {f"adbench_{name}": value for name, value in {**plain, **changes}.items()}
        return cast(pytest.Config, type("Config", (), {"getoption": staticmethod(options.__getitem__)})())

    return made


def test_each_plugin_that_is_named_is_looked_at(config: Config) -> None:
    asked = asked_for(config(model=["pca"], dataset=["phantom"]))
    assert [looking.name for looking in asked] == ["pca", "phantom"]
    assert asked[1].checks == [check.name for check in dataset_checks()]


def test_who_names_nothing_is_told_how(config: Config) -> None:
    with pytest.raises(pytest.Collector.CollectError, match="--adbench-model NAME or --adbench-dataset NAME"):
        asked_for(config())


def test_a_setting_is_a_pair(config: Config) -> None:
    with pytest.raises(pytest.Collector.CollectError, match=r"--adbench-set grid: must be NAME=VALUE"):
        asked_for(config(model=["pca"], set=["grid"]))


def test_what_is_not_here_is_told_once(config: Config) -> None:
    with pytest.raises(UnknownNameError, match="did you mean pca"):
        asked_for(config(model=["pcaa"]))
    with pytest.raises(NotImportedError, match="datasets import head-ct"):
        asked_for(config(dataset=["head-ct"]))


def test_all_chosen_checks_are_looked_at_together() -> None:
    looks: list[Sequence[str]] = []

    def look(chosen: Sequence[str]) -> Report:
        looks.append(chosen)
        results = [Result(name, "a rule", "passed", "seen") for name in chosen]
        return Report("model", "made", "made 1", {}, "cpu", "", results)

    looking = Looking("made", ["one", "two", "three"], look)
    assert looking.result("three", ["one", "three"]).check == "three"
    assert looking.result("one", ["one", "three"]).status == "passed"
    assert looks == [["one", "three"]]
