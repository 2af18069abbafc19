from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from adbench_harness.result import Cell, CurvePoint, Manifest, Scores, write_run

MakeRun = Callable[..., Manifest]


@pytest.fixture
def make_manifest() -> Callable[..., Manifest]:
    def make(run_id: str = "pca-made-0001", **changes: Any) -> Manifest:
        plain: dict[str, Any] = {
            "run_id": run_id,
            "cell": Cell(model="pca", options={"grid": 64}, dataset="made", protocol="p", fit_digest="f" * 16, split=0, seed=0),
            "variant": "pca",
            "command": "adbench run --model pca --dataset made",
            "created": "2026-01-02T03:04:05Z",
            "protocol": {
                "name": "p",
                "version": 1,
                "evaluation": {"thresholds": ["youden"]},
                "evaluation_digest": "e",
                "overrides": {},
            },
            "dataset": {"title": "Made", "fingerprint": "d" * 16, "tasks": {"spots": ["spot"]}},
            "model": {"title": "PCA", "parameters": 10},
            "plugins": {},
            "compute": {"device": "cpu", "device_name": "a CPU", "threads": 2},
            "environment": {},
            "timings": {"train": 1.5, "score": 0.5},
            "training": {"images": 3},
            "files": {},
        }
        return Manifest(**{**plain, **changes})

    return make


@pytest.fixture
def scores() -> Scores:
    return Scores(
        image=["n1", "n2", "a1", "a2"],
        label=np.array([0, 0, 1, 1], dtype=np.int8),
        subtype=["normal", "normal", "spot", "blot"],
        group=["g1", None, "g2", "g2"],
        subset=["test"] * 4,
        score=np.array([0.1, 0.4, 0.35, 0.8]),
    )


@pytest.fixture
def make_run(results: Any, make_manifest: Callable[..., Manifest], scores: Scores) -> MakeRun:
    """Writes a run folder into the results folder."""

    def make(run_id: str = "pca-made-0001", **changes: Any) -> Manifest:
        manifest = make_manifest(run_id, **changes)
        write_run(results.runs, manifest, scores, [CurvePoint("fit", 0, "loss", 0.5)], None)
        return manifest

    return make
