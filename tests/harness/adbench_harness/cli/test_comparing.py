"""adbench results compare, adbench results power."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from adbench_harness.api import OptionError
from adbench_harness.cli import cli
from adbench_harness.home import Results
from adbench_harness.manifest import Cell, Manifest
from adbench_harness.result import Scores, write_run

Adbench = Callable[..., subprocess.CompletedProcess[str]]
GAINS = {"weak": 0.3, "strong": 2.5, "steady": 2.4}


@pytest.fixture
def two_datasets(results: Results, make_manifest: Callable[..., Manifest]) -> Results:
    """Three models on two datasets, the first of two splits with patients; "weak" has two seeds."""
    for model in GAINS:
        for dataset, split, seed in (
            ("films", 0, 0),
            ("films", 1, 0),
            ("slices", 0, 0),
            *((("slices", 0, 1),) if model == "weak" else ()),
        ):
            cell = Cell(model=model, options={}, dataset=dataset, protocol="p", fit_digest="f" * 16, split=split, seed=seed)
            rules = {"thresholds": ["normal-q95", "youden"]}
            protocol = {"name": "p", "version": 1, "evaluation": rules, "evaluation_digest": "e", "overrides": {}}
            card = {"title": dataset, "fingerprint": "d" * 16, "tasks": {"spots": ["spot"]}}
            run_id = f"{model}-{dataset}-{split}{seed}"
            manifest = make_manifest(run_id, cell=cell, variant=model, protocol=protocol, dataset=card)
            write_run(results.runs, manifest, made_scores(model, dataset, split, seed), [], None)
    return results


def made_scores(model: str, dataset: str, split: int, seed: int) -> Scores:
    count = 90
    label = np.repeat([0, 1], [50, 40]).astype(np.int8)
    images = np.random.default_rng([split, *dataset.encode()]).normal(size=count)
    own = np.random.default_rng([split, seed, *f"{model} {dataset}".encode()]).normal(size=count)
    return Scores(
        image=[f"i{number:03d}" for number in range(count)],
        label=label,
        subtype=["normal"] * 50 + ["spot", "blot"] * 20,
        group=[f"g{number // 2}" if dataset == "films" else None for number in range(count)],
        subset=["held_out" if number < 20 else "test" for number in range(count)],
        score=images + own + GAINS[model] * label,
    )


def asked(capsys: pytest.CaptureFixture[str], results: Results, *words: str) -> str:
    cli.main(["results", *words, "--results", str(results.root)], standalone_mode=False)
    return capsys.readouterr().out


def test_two_models_as_a_table(capsys: pytest.CaptureFixture[str], two_datasets: Results) -> None:
    shown = asked(capsys, two_datasets, "compare", "weak", "strong")
    assert "Differences of ROC AUC, first minus second" in shown
    assert "p (Holm, 3)" in shown
    assert "Decisions at normal-q95, one detector each" in shown
    assert "Over splits, which share images: no test" in shown
    assert "Mean ROC AUC over sources (films, slices), p, split 0: paired bootstrap" in shown
    assert "letters" not in shown
    for note in (
        "note: images of one group do not count as independent on films (Obuchowski 1997)",
        "note: fewer than 20 groups in a class on films: intervals there are too narrow",
        "note: no groups are known on slices",
        "note: one seed of strong, weak",
        "note: 2 independent sources",
    ):
        assert note in shown


def test_of_more_than_two_models_it_says_who_can_be_told_apart(capsys: pytest.CaptureFixture[str], two_datasets: Results) -> None:
    shown = asked(capsys, two_datasets, "compare", "weak", "strong", "steady", "--dataset", "slices")
    lines = {line.split()[6]: line.split()[-5:] for line in shown.splitlines() if line.startswith("slices") and "logit" in line}
    assert lines["weak"][-2:] == ["b", "3"]
    assert lines["strong"][-4:] == ["a", "1", "to", "2"]


def test_as_json_everything_is_there(capsys: pytest.CaptureFixture[str], two_datasets: Results) -> None:
    found = json.loads(
        asked(capsys, two_datasets, "compare", "weak", "strong", "steady", "--task", "all", "--task", "spots", "--json")
    )
    assert found["models"] == ["weak", "strong", "steady"]
    assert [(one["dataset"], one["task"], one["split"]) for one in found["test_sets"]] == [
        ("films", "all", 0),
        ("films", "spots", 0),
        ("films", "all", 1),
        ("films", "spots", 1),
        ("slices", "all", 0),
        ("slices", "spots", 0),
    ]
    slices = found["test_sets"][4]
    assert slices["areas"][0]["runs"] == ["weak-slices-00", "weak-slices-01"]
    assert {*slices["areas"][0]["letters"]}.isdisjoint(slices["areas"][1]["letters"])
    first = slices["differences"][0]
    assert first["low"] < first["difference"] < first["high"] < 0
    assert first["p"] <= first["p_holm"] < 0.05
    assert not math.isinf(float(first["degrees_of_freedom"]))
    assert first["decisions"]["rule"] == "normal-q95"
    assert first["decisions"]["sensitivity"]["images"] == 40
    assert [(one["dataset"], len(one["differences"])) for one in found["over_splits"]] == [("films", 2)] * 6
    assert [one["source"] for one in found["over_datasets"][0]["sources"]] == ["films", "slices"]
    assert len(found["over_datasets"][0]["differences"]) == 3


def test_one_model_alone_is_no_comparison(two_datasets: Results) -> None:
    with pytest.raises(OptionError, match="needs two models"):
        cli.main(["results", "compare", "weak", "--results", str(two_datasets.root)], standalone_mode=False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("weak", "strongg"), "did you mean strong"),
        (("weak", "strong", "--rule", "youden"), "youden is an oracle"),
        (("weak", "strong-films-00", "--dataset", "slices"), "slices: strong-films-00 has no run"),
        (("weak", "strong", "--split", "1", "--dataset", "slices"), "not all have split 1"),
    ],
)
def test_as_typed_what_is_refused_is_one_line(
    adbench: Adbench, two_datasets: Results, words: tuple[str, ...], message: str
) -> None:
    said = adbench("results", "compare", *words, ADBENCH_RESULTS=str(two_datasets.root))
    assert said.returncode in (1, 2)
    assert said.stderr.startswith("adbench: error: ")
    assert message in said.stderr
    assert said.stderr.count("\n") == 1


def test_what_a_test_set_can_show(capsys: pytest.CaptureFixture[str], two_datasets: Results) -> None:
    shown = asked(capsys, two_datasets, "power", "films", "--task", "all")
    assert "smallest difference" in shown
    assert "images for 0.05 (normal + abnormal)" in shown
    assert "note: films, all, split 0: AUC and its standard error" in shown
    assert "by groups) are medians of 3 stored models, the correlation is that of 3 pairs, one seed each" in shown

    found: list[dict[str, Any]] = json.loads(asked(capsys, two_datasets, "power", "slices", "--model", "weak", "--json"))
    assert [one["task"] for one in found] == ["all", "spots"]
    assert (found[0]["models"], found[0]["pairs"], found[0]["correlation"]) == (1, 0, 0.5)
    assert found[0]["smallest_difference"] == pytest.approx(2.8 * found[0]["standard_error_of_difference"], rel=0.01)
    assert "is assumed" in asked(capsys, two_datasets, "power", "slices", "--model", "weak")
