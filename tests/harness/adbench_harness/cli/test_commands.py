"""Every command, as typed."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from adbench_harness.cli import cli

Adbench = Callable[..., subprocess.CompletedProcess[str]]
TINY = ("--model", "tiny-autoencoder", "--dataset", "tiny-discs", "--protocol", "tiny-protocol")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name, command in group.commands.items():
        found.append(((*path, name), command))
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
    return found


@pytest.mark.parametrize(
    ("path", "command"), commands(cli), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_says_what_it_does_with_an_example(path: tuple[str, ...], command: click.Command) -> None:
    assert command.help
    assert f"adbench {path[0]}" in command.help or path == ("demo",)
    assert all(getattr(parameter, "help", "x") is not None for parameter in command.params if isinstance(parameter, click.Option))


def done(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    return result.stdout


def test_a_newcomer_s_first_run_and_what_can_be_asked_about_it(tiny: Path, adbench: Adbench, tmp_path: Path) -> None:
    first = adbench("run", *TINY)
    assert "tiny-autoencoder on tiny-discs, tiny-protocol, split 0, seed 0" in first.stderr
    table = done(first)
    assert "youden (oracle)" in table
    assert "everything abnormal" in table
    assert "stored in" in table
    assert "already done" in done(adbench("run", *TINY))

    answer = json.loads(done(adbench("results", "sql", "select count(*) as n from score", "--json")))
    assert answer == [{"n": 40}]
    rows = json.loads(done(adbench("results", "list", "--json")))
    assert len(rows) == 1
    assert {name: rate["value"] for name, rate in rows[0]["rates"]["all-positive"].items()} == {
        "sensitivity": 1.0,
        "specificity": 0.0,
    }
    shown = json.loads(done(adbench("results", "show", rows[0]["run_id"][:20], "--json")))
    assert shown["cell"]["model"] == "tiny-autoencoder"
    assert {metric["name"] for metric in shown["metrics"]} >= {
        "roc_auc",
        "pr_auc",
        "sensitivity",
        "specificity",
        "precision",
        "f1",
    }
    assert "1 runs in" in done(adbench("results", "rebuild"))
    assert "tiny-autoencoder" in done(adbench("results", "list"))
    done(adbench("leaderboard", "build", "--out", "site"))
    assert "tiny-autoencoder" in (tmp_path / "site" / "index.html").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_a_checkpoint_and_says_so(tiny: Path, tmp_path: Path, number: signal.Signals) -> None:
    own = {"ADBENCH_HOME": str(tmp_path / "home"), "ADBENCH_RESULTS": str(tmp_path / "results")}
    command = [sys.executable, "-c", "from adbench_harness.cli import main; main()", "run", *TINY, "--set", "epochs=100000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **own}) as run:
        assert run.stderr is not None
        while "both" not in run.stderr.readline():
            assert run.poll() is None
        run.send_signal(number)
        said = run.stderr.read()
    assert run.returncode == 130
    assert "stopped in phase both, epoch" in said
    assert "the same command goes on from there" in said
    assert "Traceback" not in said
    assert len(list((tmp_path / "results" / "running").rglob("checkpoint.pt"))) == 1


def test_several_seeds_and_splits_in_one_command(tiny: Path, adbench: Adbench) -> None:
    made = json.loads(done(adbench("run", *TINY, "--seed", "all", "--split", "0,1", "--set", "epochs=1", "--json")))
    assert len({run["run_id"] for run in made}) == 4
    assert {run["unranked"] for run in made} == {"off protocol: epochs=1"}
    cells = json.loads(done(adbench("results", "sql", "select split, seed from run order by all", "--json")))
    assert [(cell["split"], cell["seed"]) for cell in cells] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_of_several_runs_one_that_fails_is_said_and_the_others_go_on(tiny: Path, adbench: Adbench) -> None:
    result = adbench("run", *TINY, "--split", "0,7", "--set", "epochs=1")
    assert result.returncode == 2
    assert "tiny-protocol has no split 7; it has 0..1" in result.stderr
    assert "1 of 2 runs failed" in result.stderr
    made, failed = result.stdout.splitlines()
    assert re.fullmatch(
        r"1/2 tiny-autoencoder on .* split 0, seed 0, epochs=1: ROC AUC \d.*; \d+ s; never ranked \(off protocol: epochs=1\)",
        made,
    )
    assert failed.startswith("2/2 tiny-autoencoder on tiny-discs, tiny-protocol, split 7, seed 0, epochs=1: failed: ")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["run", "-m", "multikdd", "-d", "phantom"], 2, "no model is called 'multikdd'; did you mean multikd?"),
        (["run", "-m", "pca", "-d", "phantm"], 2, "no dataset is called 'phantm'; did you mean phantom?"),
        (
            ["run", "-m", "pca", "-d", "phantom", "--protocol", "x"],
            2,
            "no protocol is called 'x'; there is: adbench-v1, esmaeili2023",
        ),
        (["run", "-m", "pca", "-d", "phantom", "--seed", "one"], 2, "'one' is not an integer; use 0, 0,2, 0..4 or all"),
        (["run", "-m", "pca", "-d", "phantom", "--seed", "-1"], 2, "names no number from 0 on"),
        (["run", "-m", "pca", "-d", "phantom", "--split", "5"], 2, "protocol adbench-v1 has no split 5; it has 0..4"),
        (["run", "-m", "pca", "-d", "phantom", "--device", "gpu"], 2, "'gpu' is no device; use auto, cpu, cuda, cuda:N or mps"),
        (["run", "-m", "pca", "-d", "phantom", "--set", "grit=9"], 2, "no option is called 'grit'; did you mean grid"),
        (["run", "-m", "pca", "-d", "phantom", "--set", "grid=many"], 2, "option grid=many: input should be a valid integer"),
        (
            ["run", "-m", "pca", "-d", "phantom", "--set", "grid=4"],
            2,
            "option grid=4: input should be greater than or equal to 8",
        ),
        (["run", "-m", "pca", "-d", "phantom", "--set", "epochs=0"], 2, "protocol field epochs=0"),
        (["run", "-m", "pca", "-d", "phantom", "--set", "grid"], 2, "'grid' is not NAME=VALUE"),
        (["run", "-m", "pca", "-d", "phantom", "--train-size", "0"], 2, "protocol field train_size=0: input should be greater"),
        (["run", "-m", "pca", "-d", "phantom", "--train-size", "999"], 2, "train_size=999: phantom has 152 training images"),
        (
            ["run", "-m", "ganomaly", "-d", "phantom", "--set", "adversarial_epochs=2"],
            2,
            "so adversarial_epochs would do nothing",
        ),
        (["run", "-m", "pca", "-d", "mias-patches"], 1, "type: adbench datasets import mias PATH"),
        (["run", "-m", "pca", "-d", "phantom", "--results", "/proc/no"], 1, "cannot make the results folder /proc/no"),
        (["run", "-m", "pca", "-d", "phantom", "--home", "/proc/no"], 1, "choose another with --home or ADBENCH_HOME"),
        (["run", "-m", "pca", "-d", "phantom", "--seed", "3000000000"], 2, "seed 3000000000 is not between 0 and 2147483647"),
        (["run", "-m", "pca", "-d", "phantom", "--seed", "0..99999999999"], 2, "are more than 10000 numbers"),
        (["run", "-m", "pca", "-d", "phantom", "--results", "what?"], 2, "a path with a question mark"),
        (["run", "-m", "pca", "-d", "phantom", "--home", "~nobody-of-that-name/x"], 2, "~nobody-of-that-name"),
        (["results", "rebuild", "--results", "mistyped"], 1, "there is no results folder"),
        (["leaderboard", "build", "--results", "mistyped"], 1, "there is no results folder"),
        (["results", "list"], 1, "make a run first"),
        (["datasets", "import", "mias", "gone.tar.gz"], 1, "gone.tar.gz: no such file or folder"),
        (["datasets", "import", "phantom", "."], 1, "ships with adbench; there is nothing to import"),
        (["datasets", "path", "mias"], 1, "adbench datasets import mias PATH"),
        (["datasets", "split", "phantom", "--split", "9"], 2, "has no split 9"),
        (["models", "show", "zzz"], 2, "there is: autoencoder, ddpm, f-anogan, ganomaly, "),
        (["frobnicate"], 2, "No such command 'frobnicate'"),
    ],
)
def test_bad_input_gets_one_clear_error(adbench: Adbench, words: list[str], status: int, message: str) -> None:
    result = adbench(*words)
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert (result.returncode, result.stdout) == (status, "")


def test_no_network_when_weights_are_needed(adbench: Adbench) -> None:
    result = adbench("run", "-m", "multikd", "-d", "phantom", https_proxy="http://127.0.0.1:9", HTTPS_PROXY="http://127.0.0.1:9")
    assert result.returncode == 1
    assert "cannot get VGG-16 weights 'imagenet'" in result.stderr
    assert "--set teacher=/path/to/vgg16.pth" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_query_that_is_wrong_or_would_write_is_refused(tiny: Path, adbench: Adbench) -> None:
    done(adbench("run", *TINY, "--set", "epochs=1"))
    for query, message in (("select nothing", "Binder Error"), ("drop table run", "read-only"), ("", "")):
        result = adbench("results", "sql", query)
        assert message in result.stderr
        assert "Traceback" not in result.stderr
        assert result.returncode == (2 if message else 0)


def test_what_is_installed_is_listed(tiny: Path, adbench: Adbench) -> None:
    for noun, names in (
        ("models", {"f-anogan", "ganomaly", "multikd", "pca", "tiny-autoencoder"}),
        ("protocols", {"adbench-v1", "esmaeili2023", "tiny-protocol"}),
    ):
        rows = json.loads(done(adbench(noun, "list", "--json")))
        assert {row["name"] for row in rows} >= names
    rows = json.loads(done(adbench("datasets", "list", "--json")))
    states = {row["name"]: row["state"] for row in rows}
    assert states["phantom"] == "ships with adbench"
    assert states["mias-patches"] == "missing; adbench datasets fetch mias | import mias PATH"
    assert "teacher" in done(adbench("models", "show", "multikd"))
    assert json.loads(done(adbench("models", "show", "pca", "--json")))["options"]["grid"]["default"] == 64
    assert "fit digest" in done(adbench("protocols", "show", "esmaeili2023"))
    assert json.loads(done(adbench("protocols", "show", "esmaeili2023", "--json")))["fit"]["image_size"] == 128
    assert json.loads(done(adbench("datasets", "show", "phantom", "--json")))["counts"]["normal"] == 240
    assert "here         no" in done(adbench("datasets", "show", "mias"))


def test_a_broken_plugin_is_shown_and_leaves_the_rest_working(fake_distribution: Any, adbench: Adbench) -> None:
    fake_distribution(
        "bad-plugin", "0.1", {"bad_plugin": "import nowhere_to_be_found"}, {"adbench.models": {"bad": "bad_plugin"}}
    )
    listed = adbench("plugins", "list", "--json")
    assert listed.returncode == 1
    rows = json.loads(listed.stdout)
    errors = {row["name"]: row["error"] for row in rows}
    assert "No module named 'nowhere_to_be_found'; mend it, or: pip uninstall bad-plugin" in errors.pop("bad")
    assert set(errors.values()) == {None}
    assert "bad " in done(adbench("models", "list"))
    result = adbench("run", "-m", "bad", "-d", "phantom")
    assert result.returncode == 1
    assert "model plugin bad-plugin:bad 0.1 failed to load" in result.stderr


def test_a_split_is_exported_file_by_file(adbench: Adbench, tmp_path: Path) -> None:
    text = done(adbench("datasets", "split", "phantom", "--protocol", "esmaeili2023"))
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    assert len(rows) == 360
    assert sum(row["subset"] == "train" for row in rows) == 192
    assert not any(row["subset"] == "train" and row["label"] == "1" for row in rows)
    folder = Path(done(adbench("datasets", "path", "phantom")).strip())
    assert hashlib.sha256((folder / rows[0]["path"]).read_bytes()).hexdigest() == rows[0]["sha256"]
    done(adbench("datasets", "split", "phantom", "--protocol", "esmaeili2023", "--out", "split.tsv"))
    assert (tmp_path / "split.tsv").read_text() == text
    default = json.loads(done(adbench("datasets", "split", "phantom", "--split", "4", "--json")))
    assert Counter(row["subset"] for row in default) == {"train": 152, "held_out": 40, "test": 168}


def test_a_matrix_is_planned_run_and_found_done(tiny: Path, adbench: Adbench, tmp_path: Path) -> None:
    (tmp_path / "matrix.toml").write_text(
        'model = ["tiny-autoencoder", "histogram"]\ndataset = "tiny-discs"\nprotocol = "tiny-protocol"\nseed = "0..1"\n[set]\nbins = [8, 1]\n'
    )
    plan = done_but(2, adbench("run", "matrix.toml", "--dry-run"))
    assert plan.stdout.splitlines()[-1] == "6 runs: 4 to do, 2 can't be made; no past run tells how long 4 would take"
    assert "error: histogram on tiny-discs: option bins=1: input should be greater than or equal to 2" in plan.stderr
    assert not (tmp_path / "results").exists()
    made = done_but(2, adbench("run", "matrix.toml", "--quiet"))
    assert made.stdout.count("ROC AUC") == 4
    assert made.stdout.count(": failed: option bins=1") == 2
    assert "adbench: 2 of 6 runs failed:" in made.stderr
    assert (
        "    adbench run --model histogram --dataset tiny-discs --protocol tiny-protocol --split 0 --seed 0 --set bins=1"
        in made.stderr
    )
    assert done_but(2, adbench("run", "matrix.toml", "--jobs", "2", "--quiet")).stdout.count("already done") == 4
    fast = done_but(2, adbench("run", "matrix.toml", "--quiet", "--fail-fast", "--set", "bins=1"))
    assert "adbench: 1 of 3 runs failed, 1 was not tried (--fail-fast):" in fast.stderr
    again = json.loads(done(adbench("run", "matrix.toml", "--dry-run", "--set", "bins=8", "--seed", "0..2", "--json")))
    assert [run["state"] for run in again] == ["done"] * 4 + ["to do"] * 2
    assert all(run["seconds"] > 0 for run in again[4:])


def done_but(status: int, result: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert result.returncode == status, result.stderr
    assert "Traceback" not in result.stderr
    return result


def test_a_learning_curve_is_stored_and_tagged(tiny: Path, adbench: Adbench) -> None:
    made = [
        json.loads(done(adbench("run", *TINY, "--set", "epochs=1", "--json", *more)))[0] for more in ([], ["--train-size", "16"])
    ]
    assert made[0]["run_id"] != made[1]["run_id"]
    assert [run["unranked"] for run in made] == [
        "off protocol: epochs=1",
        "learning curve: 16 training images; off protocol: epochs=1",
    ]
