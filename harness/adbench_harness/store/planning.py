"""What the test sets of a dataset can show, by the runs that are stored on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import duckdb
import numpy as np

from ..api import StoreError, UnknownNameError
from ..metrics.delong import PairedAreas, paired_areas
from ..metrics.power import ASSUMED_AREA, ASSUMED_CORRELATION, Design, images_needed, smallest_difference
from ..registry import unknown_name
from .contenders import Contender, StoredRun
from .scored import scored_together, tasks_of

WANTED: Final = 0.05


@dataclass(frozen=True)
class Planning:
    """A test set: a dataset, a task and a split, with what it can show."""

    dataset: str
    task: str
    protocol: str
    split: int
    design: Design
    groups: int | None
    """How many groups the images come from; None if no two are known to share one."""
    models: int
    """From how many models' runs, one seed each, area and variance are the medians; 0: area and variance are assumed."""
    pairs: int
    """From how many pairs of models the correlation is the median; 0: it is assumed."""
    inverted: int
    """How many models were left out for an area below 0.5: they err the other way, and no two good models are so unlike."""
    smallest: float
    """The smallest difference of two areas that is found with 80 % power."""
    needed: Design
    """The images that would show a difference of ``wanted``, classes in the same proportion."""
    wanted: float = WANTED


def plannings(
    db: duckdb.DuckDBPyConnection, stored: Sequence[StoredRun], dataset: str, contenders: Sequence[Contender], task: str | None
) -> list[Planning]:
    """What each test set of a dataset can show, by protocol, split and task.

    Args:
        db: the database.
        stored: every run.
        dataset: its name.
        contenders: the models whose runs are looked at; if there is none, all that are ranked, but those with an area below 0.5
            where others have a higher one. Where none is ranked, all that were trained on the dataset.
        task: its name; None for all tasks.

    Raises:
        UnknownNameError: if there are no runs on the dataset, or no such task.
        StoreError: if there is no run to look at, or no test set has both classes.
    """
    runs = [run for run in stored if run.dataset == dataset]
    if not runs:
        near = unknown_name("dataset with stored runs", dataset, {run.dataset for run in stored})
        raise UnknownNameError(f"{near} (make a run first: adbench run --model pca --dataset {dataset})")
    if contenders:
        named = {run.run_id for one in contenders for run in one.runs}
        runs = [run for run in runs if run.run_id in named]
        if not runs:
            raise StoreError(f"{', '.join(one.label for one in contenders)} has no run on {dataset}")
    else:
        runs = [run for run in runs if run.unranked is None and run.newest] or _native(db, runs)
        if not runs:
            raise StoreError(f"all runs on {dataset} are of detectors trained on another dataset; name them to look at them")
    found = [
        planning
        for own in _test_sets(runs, _images_scored(db, runs))
        for planning in _plannings(db, own, task, every=bool(contenders))
    ]
    if not found:
        raise StoreError(f"the test images of {dataset} are of one class, or have no task {task!r}; nothing can be compared")
    return found


def _native(db: duckdb.DuckDBPyConnection, runs: Sequence[StoredRun]) -> list[StoredRun]:
    """Runs of detectors that learnt from the dataset they are tested on: no others show what is to be expected there."""
    rows = db.execute("select run_id from run where (manifest->>'$.cell.trained_on') is not null").fetchall()
    transferred = {str(run_id) for (run_id,) in rows}
    return [run for run in runs if run.run_id not in transferred]


def _images_scored(db: duckdb.DuckDBPyConnection, runs: Sequence[StoredRun]) -> dict[str, tuple[int, int]]:
    """What test images each run scored, as numbers that are equal where the images and their labels are."""
    rows = db.execute(
        "select run_id, count(*), bit_xor(hash(image, label)) from score "
        "where subset = 'test' and list_contains(?::varchar[], run_id) group by run_id",
        [[run.run_id for run in runs]],
    ).fetchall()
    return {str(run_id): (int(count), int(digest)) for run_id, count, digest in rows}


def _test_sets(runs: Sequence[StoredRun], images: Mapping[str, tuple[int, int]]) -> Iterator[list[StoredRun]]:
    """Runs that scored the same images, one seed a variant; of several states of the files, or sets of images, the newest."""
    runs = [run for run in runs if run.run_id in images]
    for protocol in sorted({run.protocol for run in runs}):
        under = [run for run in runs if run.protocol == protocol]
        latest = max(under, key=lambda run: run.created)
        state = [r for r in under if (r.fit_digest, r.fingerprint) == (latest.fit_digest, latest.fingerprint)]
        for split in sorted({run.split for run in state}):
            first: dict[tuple[str, str], StoredRun] = {}
            own = [run for run in state if run.split == split]
            newest = images[max(own, key=lambda run: run.created).run_id]
            for run in sorted((run for run in own if images[run.run_id] == newest), key=lambda run: run.seed):
                first.setdefault((run.variant, run.options), run)
            yield list(first.values())


def _plannings(db: duckdb.DuckDBPyConnection, runs: Sequence[StoredRun], task: str | None, every: bool) -> Iterator[Planning]:
    together = scored_together(db, [run.run_id for run in runs])
    known = tasks_of(db, runs[0].run_id)
    for name, subtypes in known.items():
        images = together.of_task(subtypes)
        abnormal, normal = images.counts
        if (task is not None and name != task) or not abnormal or not normal:
            continue
        codes = images.codes
        areas = paired_areas(images.labels, images.scores, codes)
        upright = np.flatnonzero(areas.values >= 0.5)
        kept = np.arange(len(areas.values)) if every or not len(upright) else upright
        known_areas = replace(areas, values=areas.values[kept], covariance=areas.covariance[np.ix_(kept, kept)])
        design, models, pairs = assumed(abnormal, normal, known_areas)
        yield Planning(
            dataset=runs[0].dataset,
            task=name,
            protocol=runs[0].protocol,
            split=runs[0].split,
            design=design,
            groups=None if codes is None else len(np.unique(codes)),
            models=models,
            pairs=pairs,
            inverted=len(areas.values) - len(kept),
            smallest=smallest_difference(design),
            needed=images_needed(design, WANTED),
        )


def assumed(abnormal: int, normal: int, areas: PairedAreas) -> tuple[Design, int, int]:
    """A test set with the median area, variance and correlation of observed areas; from how many models, and how many pairs.

    What was not observed is assumed: area 0.75 with Hanley and McNeil's variance, correlation 0.5. A model whose area shows no
    variance (0 or 1) says nothing.
    """
    variances = np.diag(areas.covariance)
    telling = [int(place) for place in np.flatnonzero(variances > 0)]
    if not telling:
        return Design(abnormal, normal, ASSUMED_AREA, ASSUMED_CORRELATION), 0, 0
    area, variance = float(np.median(areas.values[telling])), float(np.median(variances[telling]))
    pairs = [areas.covariance[i, j] / np.sqrt(variances[i] * variances[j]) for i, j in combinations(telling, 2)]
    # Two models that order all images alike have correlation 1, for which no difference is too small.
    correlation = min(float(np.median(pairs)), 0.999) if pairs else ASSUMED_CORRELATION
    return Design(abnormal, normal, area, correlation, variance=variance), len(telling), len(pairs)
