"""A page a run: what it got right and wrong, how it was made, and how to make it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from adbench_harness.metrics.thresholds import HONEST, TRIVIAL

from .. import courses, examples, names, wording
from ..queries import ALL, Details, PartRow, Run, details
from ..reproducing import SplitDigests
from ..site import File, Site
from ..templating import Templates

RIGHTS: Final = ("sensitivity", "specificity")
COUNTS: Final = ("tp", "fn", "fp", "tn")
WHOLE: Final = "roc_auc", "pr_auc"
"""Figures of a part that need no threshold, but the counts of its images."""


@dataclass(frozen=True)
class Matrix:
    """What a threshold makes of the test images: the four counts, and the threshold."""

    rule: str
    threshold: float
    tp: float
    fn: float
    fp: float
    tn: float

    @property
    def abnormal(self) -> float:
        """Abnormal images."""
        return self.tp + self.fn

    @property
    def normal(self) -> float:
        """Normal images."""
        return self.fp + self.tn


@dataclass(frozen=True)
class Part:
    """A part of the test images with its figures."""

    name: str
    task: str
    figures: Mapping[tuple[str, str], PartRow]
    """By rule and name."""


@dataclass(frozen=True)
class Parts:
    """Parts as a table: columns that nothing has are left out."""

    lines: Sequence[Part]
    whole: Sequence[str]
    """Figures without a threshold."""
    columns: Sequence[tuple[str, Sequence[str]]]
    """Rules, and the figures at each."""


def files(site: Site, templates: Templates) -> Iterator[File]:
    """The page of every run, and the pictures on it."""
    if site.db is None:
        return
    splits = SplitDigests(site.choices.runs)
    for run, found in details(site.db, site.runs):
        gallery = examples.gallery(run, site.choices)
        yield templates.page("run.html", names.run_page(run), **_values(run, found), gallery=gallery, split_digest=splits.of(run))
        if gallery is not None:
            yield from gallery.files


def _values(run: Run, found: Details) -> dict[str, object]:
    matrices = [matrix for rule in _rules(run) if (matrix := _matrix(run, rule)) is not None]
    return {
        "run": run,
        "matrices": matrices,
        "main": matrices[0] if matrices else None,
        "refused": [rule for rule in _rules(run) if _matrix(run, rule) is None],
        "everything": _matrix(run, TRIVIAL),
        "parts": _parts(run, found.parts),
        "scores": found.scores,
        "curves": [(curve, courses.thin(curve)) for curve in found.curves],
        "phases": courses.phases(found.curves),
        "areas": wording.AREAS,
        "manifest": {name: _facts(part) for name, part in run.manifest.items() if isinstance(part, Mapping)},
        "loose": [(name, wording.plain(part)) for name, part in run.manifest.items() if not isinstance(part, Mapping)],
        "HONEST": HONEST,
    }


def _facts(part: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in wording.facts(part) if value and value != wording.NOTHING]


def _rules(run: Run) -> list[str]:
    """The run's rules but the trivial one, honest ones first."""
    return sorted((rule for rule in run.rules if rule != TRIVIAL), key=run.oracles.__contains__)


def _matrix(run: Run, rule: str) -> Matrix | None:
    found = [run.figure(name, rule) for name in ("threshold", *COUNTS)]
    known = [value for value in found if value is not None]
    return Matrix(rule, *known) if len(known) == len(found) else None


def _parts(run: Run, rows: Sequence[PartRow]) -> Parts | None:
    """The parts of a run as a table; None if it has none."""
    found: dict[tuple[str, str], dict[tuple[str, str], PartRow]] = {}
    for row in rows:
        found.setdefault((row.part, row.task), {})[row.rule, row.name] = row
    kinds = {(row.rule, row.name) for row in rows}
    columns = [(rule, [name for name in RIGHTS if (rule, name) in kinds]) for rule in _rules(run)]
    return (
        Parts(
            [Part(name, task if task != ALL else "", figures) for (name, task), figures in found.items()],
            [name for name in WHOLE if ("none", name) in kinds],
            [(rule, shown) for rule, shown in columns if shown],
        )
        if found
        else None
    )
