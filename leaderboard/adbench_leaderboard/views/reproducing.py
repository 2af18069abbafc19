"""What one compares after making a run again."""

from __future__ import annotations

from pathlib import Path

from adbench_harness.api import StoreError
from adbench_harness.protocol import digest
from adbench_harness.result import read_learnt, read_scores

from ..queries import Run


class SplitDigests:
    """Digests of who was trained, held out and tested on, read from run folders once a split."""

    def __init__(self, runs: Path | None) -> None:
        self._runs = runs
        self._known: dict[tuple[object, ...], str] = {}

    def of(self, run: Run) -> str:
        """A run's digest, as the published ones are made; empty where its folder does not say who was trained on, or is not at hand."""
        if self._runs is None or run.mapping("cell").get("trained_on") or "training.parquet" not in run.mapping("files"):
            return ""
        changes = tuple(sorted((name, repr(value)) for name, value in run.mapping("protocol", "overrides").items()))
        key = (run.dataset, run.fingerprint, run.protocol, run.fit_digest, run.split, changes)
        if key not in self._known:
            self._known[key] = _split_digest(self._runs / run.run_id)
        return self._known[key]


def _split_digest(folder: Path) -> str:
    try:
        scores, learnt = read_scores(folder), read_learnt(folder)
    except StoreError:
        return ""
    if not learnt:
        return ""
    return digest(sorted([*zip(scores.image, scores.subset, strict=True), *((one.image, "train") for one in learnt)]))
