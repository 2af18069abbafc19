from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from adbench_harness import registry
from adbench_harness.conformance.checks import run_checks
from adbench_harness.conformance.report import Result
from adbench_harness.conformance.rules import model_checks
from adbench_harness.conformance.subject import BUDGET, ModelSubject

Look = Callable[..., dict[str, Result]]

BROKEN = [
    "described",
    "builds",
    "training-data",
    "scores",
    "direction",
    "batch",
    "reload",
    "seed",
    "resume",
    "channels",
    "small-sets",
    "device",
    "pictures",
    "files",
    "global-state",
    "processes",
    "output",
    "cost",
]


@pytest.fixture
def look(broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Runs the checks of an installed model in this process."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    (tmp_path / "user").mkdir()
    (tmp_path / "run").mkdir()

    def run(name: str, *only: str, budget: int = BUDGET, **settings: str) -> dict[str, Result]:
        plugin = registry.model(name)
        options = plugin.spec.options.parse(settings)
        subject = ModelSubject(plugin, options, settings, torch.device("cpu"), tmp_path / "run", budget=budget)
        checks = [check for check in model_checks() if not only or check.name in only]
        return {event.check: event for event in run_checks(checks, subject, plugin.module) if isinstance(event, Result)}

    return run


def failed(results: dict[str, Result]) -> list[str]:
    return [name for name, result in results.items() if result.status == "failed"]


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        (lambda self: {"bins": 32, "library": "1.0"}, "states library, which is no option, so a stored run can't be read again"),
        (lambda self: {"bins": "many"}, "its options refuse what their own `identity` states: "),
        (lambda self: {"bins": self.bins + 1}, "have another identity"),
    ],
    ids=["more", "refused", "other"],
)
def test_options_are_to_be_had_again_from_their_identity(
    look: Look, monkeypatch: pytest.MonkeyPatch, identity: Any, message: str
) -> None:
    monkeypatch.setattr(registry.model("histogram").spec.options, "identity", identity)
    results = look("histogram", "described")
    assert failed(results) == ["described"]
    assert message in results["described"].message


@pytest.mark.parametrize(
    ("score", "kind"), [(lambda self, images: images.numpy(), "ndarray"), (lambda self, images: iter(images), "iter")]
)
def test_what_is_no_tensor_is_told_by_the_check_of_scores(
    look: Look, monkeypatch: pytest.MonkeyPatch, score: Any, kind: str
) -> None:
    monkeypatch.setattr(registry.model("histogram").spec.build, "score", score)
    results = look("histogram", "training-data", "scores")
    assert failed(results) == ["scores"]
    assert kind in results["scores"].message


def test_every_rule_has_a_detector_that_breaks_it() -> None:
    assert [check.name for check in model_checks()] == BROKEN


def test_a_sound_detector_passes_all(look: Look) -> None:
    results = look("sound")
    assert {name: result.message for name, result in results.items() if result.status != "passed"} == {}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_detector_that_breaks_a_rule_fails_its_check_and_no_other(look: Look, rule: str) -> None:
    results = look(f"broken-{rule}")
    assert failed(results) == [rule], {name: results[name].message for name in failed(results)}
    if rule == "processes":
        started = importlib.import_module("adbench_broken.processes").Broken.started
        started.communicate()


def test_a_fit_that_catches_the_stop_can_t_be_stopped(look: Look) -> None:
    results = look("broken-cancel")
    assert failed(results) == ["resume"]
    assert "InterruptedRunError" in results["resume"].message


def test_what_is_said_of_a_broken_rule(look: Look) -> None:
    assert "weights.bin" in look("broken-builds", "builds")["builds"].message
    assert "torch.cuda.is_available" in look("broken-device", "builds", "training-data", "scores", "device")["device"].message


def test_what_needs_a_failed_check_is_not_looked_at(look: Look) -> None:
    results = look("broken-builds")
    assert results["training-data"].status == "skipped"
    assert results["training-data"].message == "not looked at, since builds failed"
    assert results["batch"].status == "skipped"


def test_a_published_test_that_mixes_the_batch_is_named(look: Look) -> None:
    results = look("ganomaly", "builds", "training-data", "scores", "batch", budget=32, bn_at_test="batch")
    assert failed(results) == ["batch"]
    assert "it declares so" in results["batch"].message
