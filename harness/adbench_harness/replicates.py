"""Unequal results of one run id: one stands as the run, the others are kept apart as its replicates, and are never ranked.

replicates/<run_id>/<digest of the scores>/     a whole run folder, as below runs/

The same cell may give other scores on another device or with other versions. Results are unequal if a score is: the digest is of
image, label, subset and score, in the order of the images' names.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from .agreement import agreement
from .api import StoreError
from .home import Results
from .manifest import Manifest
from .metrics.delong import roc_area
from .protocol import digest
from .result import Scores, check_files, read_manifest, read_scores
from .status import Agreement, Status, read_checks, status_of

SCORES: Final = "scores.parquet"


@dataclass(frozen=True)
class WholeRun:
    """A run folder whose manifest reads and whose files are those that the run wrote."""

    folder: Path
    manifest: Manifest
    status: Status

    @cached_property
    def scores(self) -> str:
        """Digest of the scores. Raises StoreError if they can't be read."""
        return scores_digest(read_scores(self.folder))

    def equals(self, other: WholeRun) -> bool:
        """Whether every image has the same label, subset and score. Raises StoreError if scores can't be read."""
        if self.manifest.files.get(SCORES) == other.manifest.files.get(SCORES):
            return True
        return self.scores == other.scores  # the file may also differ by groups, or by the version that wrote it


@dataclass(frozen=True)
class Side:
    """What a reader wants to know of one of two unequal results."""

    created: str
    """UTC, ISO 8601."""
    status: Status
    device: str
    threads: int | None
    adbench: str
    torch: str
    roc_auc: float | None
    """Over all test images; None if they are of one kind."""


@dataclass(frozen=True)
class Comparison:
    """A replicate beside the run."""

    agreement: Agreement
    """Measured by the interquartile range of the run's scores."""
    run: Side
    replicate: Side


@dataclass(frozen=True)
class Replicate:
    """One that is kept here."""

    scores: str
    """Digest of its scores."""
    folder: Path
    comparison: Comparison


def scores_digest(scores: Scores) -> str:
    """What two results have in common if they are equal, 16 hexadecimal digits; the order of the images does not matter.

    Raises:
        StoreError: for a score that is not finite, or an image that is scored twice.
    """
    scores.table()
    rows = zip(scores.image, scores.label.tolist(), scores.subset, (scores.score + 0.0).tolist(), strict=True)  # no -0.0
    return digest(sorted(rows))


def whole_run(folder: Path, run_id: str) -> WholeRun:
    """The run in a folder. Raises StoreError if it is damaged, or another run's."""
    manifest = read_manifest(folder)
    if manifest.run_id != run_id:
        raise StoreError(f"{folder} holds run {manifest.run_id}; rename the folder back")
    try:
        check_files(folder, manifest)
    except OSError as error:
        raise StoreError(f"{error.filename}: cannot be read: {error.strerror or error}") from None
    return WholeRun(folder, manifest, status_of(manifest, read_checks(folder, run_id)))


def compared(run: WholeRun, replicate: WholeRun) -> Comparison:
    """Two results of one run id. Raises StoreError if they are of other images, labels or subsets: no run id has both."""
    ours, others = read_scores(run.folder), read_scores(replicate.folder)
    if _images(ours) != _images(others):
        raise StoreError(
            f"{replicate.folder} scores other images, labels or subsets than {run.folder}; one of them is not what it says"
        )
    return Comparison(agreement(ours, others), _side(run, ours), _side(replicate, others))


def replicate_folders(results: Results, run_id: str) -> list[Path]:
    """Folders of a run's replicates, whole or not, sorted by name."""
    place = results.replicates / run_id
    return sorted(path for path in place.iterdir() if _is_shown(path)) if place.is_dir() else []


def replicates_counted(results: Results) -> Counter[str]:
    """How many replicates each run has that has any."""
    runs = results.replicates.iterdir() if results.replicates.is_dir() else ()
    return Counter({run.name: len(found) for run in runs if _is_shown(run) and (found := replicate_folders(results, run.name))})


def replicates_of(results: Results, run_id: str) -> tuple[list[Replicate], dict[Path, str]]:
    """The replicates of a run, the newest last, and why others can't be told.

    One that has the very scores of the run is left out: the run was made again since.

    Raises:
        StoreError: if there are replicates, and the run's own folder is damaged.
    """
    folders = replicate_folders(results, run_id)
    found: list[Replicate] = []
    refused: dict[Path, str] = {}
    run = whole_run(results.runs / run_id, run_id) if folders else None
    for folder in folders if run else ():
        try:
            replicate = whole_run(folder, run_id)
            if run and not run.equals(replicate):
                found.append(Replicate(replicate.scores, folder, compared(run, replicate)))
        except StoreError as error:
            refused[folder] = str(error)
    return sorted(found, key=lambda one: (one.comparison.replicate.created, one.scores)), refused


def _is_shown(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _images(scores: Scores) -> dict[str, tuple[int, str]]:
    return dict(zip(scores.image, zip(scores.label.tolist(), scores.subset, strict=True), strict=True))


def _side(run: WholeRun, scores: Scores) -> Side:
    manifest = run.manifest
    compute, threads = manifest.compute, manifest.compute.get("threads")
    test = np.asarray([subset == "test" for subset in scores.subset])
    labels = scores.label[test]
    return Side(
        created=manifest.created,
        status=run.status,
        device=str(compute.get("device_name", "unknown")),
        threads=threads if isinstance(threads, int) else None,
        adbench=manifest.environment.get("adbench", "unknown"),
        torch=str(compute.get("torch") or manifest.environment.get("torch", "unknown")),
        roc_auc=roc_area(labels, scores.score[test]).value if len(np.unique(labels)) > 1 else None,
    )
