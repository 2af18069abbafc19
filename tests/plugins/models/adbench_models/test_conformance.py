"""The built-in detectors keep the rules that they ask of others. Minutes: `pytest -m slow`, or `adbench models check NAME`."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest
import torch

from adbench_harness.conformance.checking import check_model

WITHOUT_WEIGHTS = {"multikd": {"teacher": "random"}} | {
    name: {"backbone": "random"} for name in ("padim", "patchcore", "ocsvm", "isolation-forest")
}
"""Options with which a detector needs no download."""
BUILT_IN = sorted(point.name for point in entry_points(group="adbench.models") if point.value.startswith("adbench_models."))
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_detector_keeps_every_rule(name: str, device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    report = check_model(name, WITHOUT_WEIGHTS.get(name), device)
    assert report.passed, {result.check: result.message for result in report.results if result.status == "failed"}


def test_statistics_of_the_test_batch_break_the_rule_of_the_batch_and_no_other() -> None:
    assert check_model("ganomaly", {"bn_at_test": "batch"}, "cpu").failed == ["batch"]
