"""A page a run: what it got right and wrong, how it was made, and how to make it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from adbench_harness.metrics.thresholds import HONEST, TRIVIAL
from adbench_harness.status import checks_of

from .. import names, wording
from ..images import examples
from ..queries import Details, Run, details
from ..site import File, Site
from ..templating import Templates
from ..views import courses, parts
from ..views.reproducing import SplitDigests

COUNTS: Final = ("tp", "fn", "fp", "tn")


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
        "parts": parts.tables(found.parts, _rules(run)),
        "scores": found.scores,
        "curves": [(curve, courses.thin(curve)) for curve in found.curves],
        "phases": courses.phases(found.curves),
        "manifest": {name: _facts(part) for name, part in run.manifest.items() if isinstance(part, Mapping)},
        "loose": [(name, wording.plain(part)) for name, part in run.manifest.items() if not isinstance(part, Mapping)],
        "checks": checks_of(run.checks_json),
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
