"""adbench results reproduce, as typed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from adbench_harness import registry, reproduction
from adbench_harness.api import InterruptedRunError, StoreError, TrainingError
from adbench_harness.cli import cli, reproducing, running
from adbench_harness.home import Results
from adbench_harness.manifest import Cell, Manifest
from adbench_harness.plan import RunRequest
from adbench_harness.protocol import resolve
from adbench_harness.result import Scores, write_run

Adbench = Callable[..., subprocess.CompletedProcess[str]]
Store = Callable[..., None]
Show = Callable[..., str]
PROTOCOL = "esmaeili2023"
WIDTH = 100


@pytest.fixture
def store(results: Results, make_manifest: Callable[..., Manifest]) -> Store:
    """Writes a small run folder: 5 normal and 10 abnormal images, of which the detector finds most."""

    def write(detector: str, images: str, seed: int, variant: str | None = None, **more: Mapping[str, Any]) -> None:
        digest = resolve(registry.protocol(PROTOCOL).spec, {}).fit_digest
        cell = Cell(
            model=detector, options={"v": variant}, dataset=images, protocol=PROTOCOL, fit_digest=digest, split=0, seed=seed
        )
        evaluation = {"thresholds": ["best-f1", "youden"]}
        plain: dict[str, Any] = {
            "protocol": {"name": PROTOCOL, "version": 1, "evaluation": evaluation, "evaluation_digest": "e", "overrides": {}},
            "dataset": {"fingerprint": "d" * 16, "tasks": {}, "partial": None},
            "model": {"parameters": 1, "given": {}, "transductive": None},
        }
        changed = {name: {**facts, **more.get(name, {})} for name, facts in plain.items()}
        name = f"{detector}-{images}-{seed}-{len(list(results.runs.glob('*')))}"
        manifest = make_manifest(name, cell=cell, variant=variant or detector, **changed)
        label = np.array([0] * 5 + [1] * 10, dtype=np.int8)
        score = label + np.random.default_rng(seed).normal(size=15)
        scores = Scores(
            [f"i{n}" for n in range(15)], label, ["normal"] * 5 + ["x"] * 10, [None] * 15, ["test"] * 15, score.astype(np.float64)
        )
        write_run(results.runs, manifest, scores, [], None)

    return write


def done(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    return result.stdout


def typed(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main(["results", "reproduce", *words], standalone_mode=False)
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def show(results: Results, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Show:
    """What the command prints, in this process, where it succeeds."""
    monkeypatch.setenv("ADBENCH_RESULTS", str(results.root))

    def shown(*words: str) -> str:
        capfd.readouterr()
        assert typed(*words) == 0
        return capfd.readouterr().out

    return shown


def test_the_study_s_figures_stand_beside_ours_and_missing_runs_have_their_command(adbench: Adbench, store: Store) -> None:
    for seed in range(3):
        store("multikd", "head-ct", seed)
    table = done(adbench("results", "reproduce"))
    areas, f1 = [line.split() for line in table.splitlines() if line.startswith("head-ct ")]
    assert areas[:3] == ["head-ct", "multikd", "0.698"]
    assert areas[5] == "3"
    assert f1[2] == "0.922"
    assert "other counts" in " ".join(areas[7:])
    assert "head-ct: 5 normal test images, the study 20, 10 abnormal test images, the study 100" in table
    assert "3 of 5 seeds  adbench run --model multikd --dataset head-ct --protocol esmaeili2023 --seed 3,4" in table
    assert "no run        adbench run --model ganomaly --dataset c-nmc --protocol esmaeili2023 --seed all" in table
    assert table.count("adbench run --model") == 21  # OCT's three tasks come from one run
    assert "doi.org/10.1109/ACCESS.2023.3244741" in table


def test_what_can_t_be_compared_says_why_and_what_differs_is_marked(show: Show, store: Store) -> None:
    store("multikd", "mias-patches", 0, dataset={"partial": "3 files are missing"})
    store("ganomaly", "mias-patches", 0, "ganomaly (bn_at_test=batch)", model={"transductive": "statistics of the test batch"})
    teacher = {"given": {"teacher": {"kind": "random", "as_in_the_study": False}}}
    store("multikd", "head-ct", 0, "multikd (teacher=random)", model=teacher)
    answer = json.loads(show("--json", "--figure", "roc_auc"))
    rows = {(row["dataset"], row["variant"]): row for row in answer["rows"]}
    partial = rows["mias-patches", "multikd"]
    assert (partial["verdict"], partial["gap"], partial["why_not"][0]["word"]) == ("not comparable", None, "partial copy")
    batch = rows["mias-patches", "ganomaly (bn_at_test=batch)"]
    assert batch["verdict"] != "not comparable"
    assert batch["marks"][0]["word"] == "transductive"
    assert rows["head-ct", "multikd (teacher=random)"]["marks"][0]["word"] == "other teacher"
    assert "117" in answer["conflicts"]["mias-patches"]
    table = show()
    assert "not comparable: partial copy" in table
    assert "never ranked" in table
    assert "annotation file has 119 lesions" in table


def test_filters_figures_and_figures_of_others(show: Show, store: Store) -> None:
    for seed in (0, 1):
        store("multikd", "head-ct", seed)
        store("f-anogan", "br35h", seed)
    words = ("--figure", "all", "--outside", "--dataset", "head-ct", "--model", "multikd")
    answer = json.loads(show("--json", *words))
    assert [row["figure"] for row in answer["rows"]] == list(reproduction.FIGURES)
    assert {(row["dataset"], row["model"]) for row in answer["rows"]} == {("head-ct", "multikd")}
    assert [(item["model"], item["dataset"], item["seeds"]) for item in answer["missing"]] == [("multikd", "head-ct", [2, 3, 4])]
    (other,) = answer["outside"]
    assert (other["value"], other["source"]["url"]) == (
        0.608,
        "https://github.com/rohban-lab/Knowledge_Distillation_AD/issues/10",
    )
    table = show(*words)
    assert "Measured by others" in table
    assert "Specificity at best-f1 (oracle); the study's is computed from its Table 3" in table


def test_an_empty_store_lists_what_is_missing_and_none_is_an_error(adbench: Adbench, results: Results) -> None:
    missing = adbench("results", "reproduce")
    assert (missing.returncode, "there is no results folder" in missing.stderr) == (StoreError.exit_code, True)
    results.root.mkdir()
    table = done(adbench("results", "reproduce"))
    assert "no run of these cells is stored yet" in table
    assert table.count("adbench run --model") == 21


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--dataset", "head-tc"), "no dataset of the study is called 'head-tc'; did you mean head-ct?"),
        (("--model", "pca"), "no model of the study is called 'pca'"),
        (("--figure", "auc"), "'auc' is not one of"),
    ],
)
def test_unknown_names_are_told_with_what_there_is(adbench: Adbench, words: tuple[str, ...], message: str) -> None:
    result = adbench("results", "reproduce", *words)
    assert result.returncode == 2
    assert message in result.stderr


def test_run_skips_what_is_not_here_and_says_how_to_get_it(adbench: Adbench, results: Results) -> None:
    result = adbench("results", "reproduce", "--run", "--json")
    answer = json.loads(done(result))
    assert "skipped head-ct: dataset head-ct is not in" in result.stderr
    assert "0 runs to make" in result.stderr
    assert {item["dataset"] for item in answer["skipped"]} == {item["dataset"] for item in answer["missing"]}
    assert not results.root.exists()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, results: Results, store: Store) -> list[RunRequest]:
    """Requests that --run makes, with head-ct the only dataset that is here; seed 4 fails."""
    requests: list[RunRequest] = []

    def make_runs(asked: list[RunRequest], *places: object, as_json: bool, **how: object) -> int:
        requests.extend(asked)
        assert not as_json
        if len(asked) == 1:
            raise TrainingError("the loss is nan")
        for request in asked[:-1]:
            store(request.model, request.dataset, request.seed)
        click.echo("a table of the run")
        return 1

    monkeypatch.setattr(running, "make_runs", make_runs)
    monkeypatch.setattr(reproduction, "obstacle", lambda dataset, home: None if dataset == "head-ct" else "not here")
    monkeypatch.setenv("ADBENCH_RESULTS", str(results.root))
    return requests


def test_run_makes_missing_seeds_by_the_same_path_as_run(
    made: list[RunRequest], store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    store("multikd", "head-ct", 1)
    assert typed("--run", "--json", "--model", "multikd", "--device", "cpu") == 1
    assert made == [RunRequest("multikd", "head-ct", PROTOCOL, seed=seed, device="cpu") for seed in (0, 2, 3, 4)]
    said = capfd.readouterr()
    answer = json.loads(said.out)
    assert answer["missing"][0]["seeds"] == [4]
    assert "a table of the run" in said.err
    assert "4 runs to make" in said.err


def test_where_the_only_run_fails_the_table_is_shown_all_the_same(
    made: list[RunRequest], store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    for seed in range(4):
        store("multikd", "head-ct", seed)
    assert typed("--run", "--model", "multikd", "--dataset", "head-ct") == TrainingError.exit_code
    said = capfd.readouterr()
    assert "error: the loss is nan" in said.err
    assert "4 of 5 seeds" in said.out
    assert len(made) == 1


def test_a_stop_by_the_user_is_a_stop(made: list[RunRequest], monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*given: object, **how: object) -> int:
        raise InterruptedRunError("stopped")

    monkeypatch.setattr(running, "make_runs", stopped)
    with pytest.raises(InterruptedRunError):
        cli.main(["results", "reproduce", "--run", "--dataset", "head-ct"], standalone_mode=False)


def test_the_figures_that_can_be_asked_for_are_all_that_there_are() -> None:
    assert list(reproduction.FIGURES) == list(reproducing.FIGURES) == list(reproducing.TITLES)


def test_a_terminal_of_100_columns_holds_a_row_in_a_line(
    store: Store, results: Results, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store("f-anogan", "brain-tumor-mri", 0, dataset={"partial": "some"})
    monkeypatch.setenv("ADBENCH_RESULTS", str(results.root))
    monkeypatch.setattr("adbench_harness.cli.show.WIDE", WIDTH)
    assert typed("--figure", "roc_auc") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("brain-tumor-mri")]
    assert len(lines) == 1
    assert "not comparable: partial copy" in lines[0]


def test_a_results_folder_can_be_named(adbench: Adbench, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert "no run" in done(adbench("results", "reproduce", "--results", str(tmp_path / "mine")))
