"""Runs of detectors whose scores are made up, for what compares them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from adbench_harness.home import Results
from adbench_harness.manifest import Cell, Manifest
from adbench_harness.result import Scores, write_run

Score = Callable[..., str]


@pytest.fixture
def score(results: Results, make_manifest: Callable[..., Manifest]) -> Score:
    """Writes a run of a model on a dataset: 24 normal and 36 abnormal test images, of two kinds, and 25 held out."""

    def write(
        model: str,
        dataset: str = "made",
        *,
        gain: float = 1.0,
        split: int = 0,
        seed: int = 0,
        abnormal: int = 36,
        groups: bool = False,
        prefix: str = "i",
        thresholds: Sequence[str] = ("normal-q95", "youden"),
        source: str | None = None,
        trained_on: str | None = None,
        created: str = "2026-01-02T03:04:05Z",
        overrides: Mapping[str, str] | None = None,
    ) -> str:
        run_id = f"{model}-{dataset}-{split}{seed}" + (f"-from-{trained_on}" if trained_on else "")
        cell = Cell(
            model=model,
            options={},
            dataset=dataset,
            protocol="p",
            fit_digest="f" * 16,
            split=split,
            seed=seed,
            trained_on=trained_on,
        )
        protocol = {
            "name": "p",
            "version": 1,
            "evaluation": {"thresholds": list(thresholds)},
            "evaluation_digest": "e",
            "overrides": dict(overrides or {}),
        }
        card = {"title": "Made", "fingerprint": "d" * 16, "tasks": {"spots": ["spot"]}, "independent_source": source}
        manifest = make_manifest(run_id, cell=cell, variant=model, protocol=protocol, dataset=card, created=created)
        write_run(results.runs, manifest, _scores(model, dataset, split, seed, gain, abnormal, groups, prefix), [], None)
        return run_id

    return write


def _scores(model: str, dataset: str, split: int, seed: int, gain: float, abnormal: int, groups: bool, prefix: str) -> Scores:
    held_out, normal = 25, 24
    count = held_out + normal + abnormal
    label = np.repeat([0, 1], [held_out + normal, abnormal]).astype(np.int8)
    images = np.random.default_rng([split, *dataset.encode()]).normal(size=count)
    own = np.random.default_rng([split, seed, *f"{model} {dataset}".encode()]).normal(size=count)
    return Scores(
        image=[f"{prefix}{number:03d}" for number in range(count)],
        label=label,
        subtype=["normal"] * (held_out + normal) + ["spot", "blot"] * (abnormal // 2),
        group=[f"g{number // 3}" if groups else None for number in range(count)],
        subset=["held_out" if number < held_out else "test" for number in range(count)],
        score=images + own + gain * label,
    )
