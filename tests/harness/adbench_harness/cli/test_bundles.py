"""adbench results export, import and verify, as typed: from one lab's runs to another's site."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adbench_harness.api import AdbenchError
from adbench_harness.cli import cli

Adbench = Callable[..., Result]
FIGURES = (
    "select task, rule, name, value, low, high, method from metric where name not in ('pixel_roc_auc', 'aupro') union all "
    "select part || task, rule, name, value, low, high, method from part_metric order by all"
)
"""All that is made from scores; figures of anomaly maps are not."""
RUN = ("run", "-m", "pca", "-d", "phantom", "--protocol", "esmaeili2023", "-q")


@pytest.fixture
def adbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Adbench:
    """Commands in this process: twenty processes that import torch would take a minute."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, at: str = "ours") -> Result:
        own = {"ADBENCH_HOME": str(tmp_path / "home"), "ADBENCH_RESULTS": str(tmp_path / at)}
        return CliRunner().invoke(cli, words, env=own)

    return run


def done(result: Result) -> str:
    assert result.exit_code == 0, (result.exception, result.stderr)
    return result.stdout


def said_of(result: Result) -> str:
    """What an error says, whether click or we found it; ``main`` prints ours on one line."""
    assert result.exit_code != 0
    return f"{result.stderr}{result.exception if isinstance(result.exception, AdbenchError) else ''}"


def test_from_one_lab_s_run_to_another_s_site(adbench: Adbench, tmp_path: Path) -> None:
    done(adbench(*RUN))
    said = done(adbench("results", "export", "pca-phantom", "--out", "pca.adbench", "--with-weights"))
    assert "pca.adbench: 1 run, " in said
    assert "not signed" in said
    said = done(adbench("results", "import", "pca.adbench", at="theirs"))
    assert "pca.adbench: not signed\n" in said
    assert "imported, self-reported" in said
    assert "lift it with: adbench results verify pca-phantom-" in said
    sql = ("results", "sql", FIGURES, "--json")
    assert done(adbench(*sql)) == done(adbench(*sql, at="theirs"))  # every figure and interval, to the bit
    done(adbench("leaderboard", "build", "--out", "site", at="theirs"))
    site = tmp_path / "site"
    assert '<span class="tag sent">self-reported</span>' in (site / "index.html").read_text()
    assert "This run came in a bundle: the scores are as somebody else sent them" in next(site.glob("run/*.html")).read_text()
    assert json.loads((site / "data" / "leaderboard.json").read_text())["runs"][0]["status"] == "self-reported"
    assert "train it here with: adbench results verify" in done(adbench(*RUN, at="theirs"))
    assert "status: re-scored, before self-reported" in done(
        adbench("results", "verify", "pca-ph", "--rescore", "-q", at="theirs")
    )
    verified = json.loads(done(adbench("results", "verify", "pca-ph", "--retrain", "--json", at="theirs")))
    assert (verified["before"], verified["after"], verified["check"]["agrees"]) == ("re-scored", "re-trained", True)
    assert "re-trained" in done(adbench("results", "list", at="theirs"))
    shown = json.loads(done(adbench("results", "show", "pca-ph", "--json", at="theirs")))
    assert (shown["status"], [check["kind"] for check in shown["checks"]]) == ("re-trained", ["re-scored", "re-trained"])
    assert "status       re-trained: the same run was trained here" in done(adbench("results", "show", "pca-ph", at="theirs"))
    assert done(adbench(*sql)) == done(adbench(*sql, at="theirs"))


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["export", "--out", "x.adbench"], 2, "name the runs (see: adbench results list), or say --all"),
        (["export", "x", "--all", "--out", "x.adbench"], 2, "name the runs (see: adbench results list), or say --all"),
        (["export", "x", "--out", "x.adbench"], 1, "there is no results folder"),
        (["import"], 2, "Missing argument 'BUNDLE…'"),
        (["import", "none.adbench"], 1, "none.adbench: no such file"),
        (["import", "a.adbench", "b.adbench"], 1, "a.adbench: no such file"),
        (["verify", "x"], 2, "say how: --rescore, or --retrain"),
        (["verify", "x", "--rescore"], 1, "there is no results folder"),
    ],
)
def test_what_is_asked_for_wrongly(adbench: Adbench, words: list[str], status: int, message: str, tmp_path: Path) -> None:
    result = adbench("results", *words)
    assert message in said_of(result)
    assert (result.exception.exit_code if isinstance(result.exception, AdbenchError) else result.exit_code) == status
    assert not (tmp_path / "ours").exists()


def test_of_several_bundles_one_that_is_refused_is_said_and_the_others_come_in(
    adbench: Adbench, tiny: Path, tmp_path: Path
) -> None:
    request = ("run", "-m", "pca", "-d", "tiny-discs", "--protocol", "tiny-protocol", "--set", "components=4", "-q")
    made: list[dict[str, Any]] = json.loads(done(adbench(*request, "--json")))
    done(adbench("results", "export", "--all", "--out", "good.adbench", "--json"))
    (tmp_path / "cut.adbench").write_bytes((tmp_path / "good.adbench").read_bytes()[:-9])
    result = adbench("results", "import", "cut.adbench", "good.adbench", "--json", at="theirs")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert [run["run_id"] for run in answer["bundles"][0]["runs"]] == [made[0]["run_id"]]
    assert "damaged, cut off" in answer["refused"]["cut.adbench"]
    assert result.stderr.count("\n") == 1
    assert "nothing to do" in done(adbench("results", "import", "good.adbench", at="theirs"))
