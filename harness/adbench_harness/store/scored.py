"""Scores of several runs on the same test images, from the database straight into arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import duckdb
import numpy as np
from numpy.typing import NDArray

from ..api import StoreError
from ..metrics.evaluation import ALL, in_task
from ..metrics.groups import Groups, group_codes
from ..metrics.ranking import Labels, Values


@dataclass(frozen=True)
class ScoredTogether:
    """Test images in one order, and what each of R runs gave them."""

    runs: Sequence[str]
    """(R,) ids."""
    images: Sequence[str]
    """(N,) sorted."""
    labels: Labels
    """(N,)"""
    subtypes: Sequence[str]
    """(N,)"""
    groups: Sequence[str | None]
    """(N,) patient, eye or film pair; None where it is not known."""
    scores: Values
    """(R, N)"""

    @property
    def codes(self) -> Groups | None:
        """(N,) groups as numbers; None if no two images share one."""
        return group_codes(self.groups)

    @property
    def counts(self) -> tuple[int, int]:
        """Abnormal and normal images."""
        abnormal = int(np.count_nonzero(self.labels == 1))
        return abnormal, len(self.labels) - abnormal

    def of_task(self, subtypes: Sequence[str] | None) -> ScoredTogether:
        """The images of a task: all normal ones and the abnormal ones of the given kinds; None stands for all."""
        if subtypes is None:
            return self
        kept: list[int] = np.flatnonzero(in_task(self.labels, self.subtypes, subtypes)).tolist()
        return replace(
            self,
            images=[self.images[place] for place in kept],
            labels=self.labels[kept],
            subtypes=[self.subtypes[place] for place in kept],
            groups=[self.groups[place] for place in kept],
            scores=self.scores[:, kept],
        )


def scored_together(db: duckdb.DuckDBPyConnection, runs: Sequence[str]) -> ScoredTogether:
    """The test scores of runs that saw the same test images: two queries, whatever the number of runs.

    Raises:
        StoreError: if a run has other test images, or another label for one, than the first run has.
    """
    facts = db.execute(
        "select image, label, subtype, group_id from score where run_id = ? and subset = 'test' order by image", [runs[0]]
    ).fetchall()
    if not facts:
        raise StoreError(f"run {runs[0]} has no scores of test images")
    images, labels, subtypes, groups = zip(*facts, strict=True)
    # Places instead of names: comparing 50 runs would otherwise make a Python string of each of their images.
    found = db.execute(
        """
        with place as (
            select image, label, row_number() over (order by image) - 1 as place
            from score where run_id = ? and subset = 'test')
        select list_position(?::varchar[], run_id)::integer - 1 as run, coalesce(place, -1)::integer as place, score
        from score left join place using (image, label)
        where subset = 'test' and list_contains(?::varchar[], run_id)
        """,
        [runs[0], list(runs), list(runs)],
    ).fetchnumpy()
    run, place = np.asarray(found["run"]), np.asarray(found["place"])
    _check_same_images(db, runs, len(images), run, place)
    scores = np.empty((len(runs), len(images)))
    scores[run, place] = found["score"]
    return ScoredTogether(list(runs), images, np.asarray(labels, dtype=np.int8), subtypes, groups, scores)


def _check_same_images(
    db: duckdb.DuckDBPyConnection, runs: Sequence[str], count: int, run: NDArray[np.int32], place: NDArray[np.int32]
) -> None:
    for number, run_id in enumerate(runs):
        of_run = place[run == number]
        if len(of_run) == count and (of_run >= 0).all():
            continue  # an image stands in a run once, which is checked when it is written
        differing = db.execute(
            """
            select image from (select * from score where run_id = ? and subset = 'test') a
            full join (select * from score where run_id = ? and subset = 'test') b using (image, label)
            where a.run_id is null or b.run_id is null order by image limit 1
            """,
            [runs[0], run_id],
        ).fetchone()
        example = f", for instance {differing[0]}" if differing is not None else ""
        raise StoreError(
            f"runs {runs[0]} and {run_id} did not score the same test images{example}; only the same images can be compared"
        )


def tasks_of(db: duckdb.DuckDBPyConnection, run_id: str) -> dict[str, list[str] | None]:
    """The named sets of abnormal subtypes of a run's dataset; "all" comes first and is None, which is every one."""
    rows = db.execute("select task, subtype from task where run_id = ? order by rowid", [run_id]).fetchall()
    found: dict[str, list[str]] = {}
    for task, subtype in rows:
        found.setdefault(str(task), []).append(str(subtype))
    return {ALL: None, **found}


def thresholds_at(db: duckdb.DuckDBPyConnection, runs: Sequence[str], rule: str, task: str) -> dict[str, float]:
    """The threshold that a rule chose, by run; runs without one are left out."""
    rows = db.execute(
        "select run_id, value from metric "
        "where list_contains(?::varchar[], run_id) and rule = ? and task = ? and name = 'threshold'",
        [list(runs), rule, task],
    ).fetchall()
    return {str(run_id): float(value) for run_id, value in rows}
