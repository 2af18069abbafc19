"""Whether every model keeps adbench's rules. Minutes a model, most of them the import of anomalib in new processes."""

from __future__ import annotations

from importlib.metadata import distribution

import pytest

from adbench_harness.conformance.checking import check_model

SMALL = {"weights": "random", "backbone": "resnet18"}
SETTINGS = {"anomalib-ganomaly": {"width": "16"}}
IMAGE_SIZE = {"anomalib-dfm": 64, "anomalib-reverse-distillation": 64}
"""Where the suite's 32 pixels are too few."""


@pytest.mark.parametrize("name", sorted(distribution("adbench-anomalib").entry_points.names))
def test_it_keeps_the_rules(name: str) -> None:
    report = check_model(name, SETTINGS.get(name, SMALL), device="cpu", image_size=IMAGE_SIZE.get(name, 32))
    assert report.passed, {result.check: result.message for result in report.results if result.status == "failed"}
