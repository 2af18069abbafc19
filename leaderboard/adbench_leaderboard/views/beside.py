"""The study's figures beside ours, and which of ours may be ranked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from adbench_harness.published import Cell, FigureName, published
from adbench_harness.reproduction import FIGURES, Mark, Row, Series, compare
from adbench_harness.reproduction.estimate import Verdict

from ..queries import NO_RULE
from ..site import Site
from ..wording import AREAS

WITHIN: Final = "within both errors"
"""The mark that says how far a verdict is to be believed."""


@dataclass(frozen=True)
class Beside:
    """A published figure beside that of one series of runs."""

    row: Row
    series: Series
    """Runs that differ by their seed alone."""

    @property
    def unranked(self) -> str:
        """Why its runs are compared with nothing; empty if they may be ranked."""
        return unranked(self.series)

    @property
    def verdict(self) -> Verdict:
        """Where ours lies, seen from the study's figure; of runs that are compared with nothing there is no verdict, only a gap."""
        return "not comparable" if self.unranked else self.row.verdict

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Why there is no verdict, and what must be known of the figure; where there is none, nothing that explains one."""
        known = (mark for mark in self.row.marks if not (self.unranked and mark.word == WITHIN))
        return (*self.row.barred, *known)

    @property
    def why(self) -> str:
        """``unranked`` without the word of the mark that begins it."""
        return next(
            (said for mark in self.marks if (said := self.unranked.removeprefix(f"{mark.word}: ")) != self.unranked),
            self.unranked,
        )

    @property
    def rule(self) -> str:
        """The threshold rule of both figures; "none" for one that needs none."""
        return NO_RULE if FIGURES[self.row.figure] in AREAS else published().study.rule


def unranked(series: Series) -> str:
    """Why runs are compared with nothing, the reason of the first that is not; empty if all may be ranked."""
    return next((reason for run in series.runs if (reason := run.manifest.unranked)), "")


def beside(site: Site, cells: Iterable[Cell], figures: Iterable[FigureName]) -> list[Beside]:
    """A row for each figure, cell and series of runs, in this order, unranked runs behind the others of their cell."""
    wanted, names = list(cells), list(figures)
    study = published().study
    place = {(name, cell): number for number, (name, cell) in enumerate((name, cell) for name in names for cell in wanted)}
    found = [Beside(row, one) for one in site.reproduction for row in compare([one], study, wanted, names)]
    return sorted(found, key=lambda one: (place[one.row.figure, one.row.cell], bool(one.unranked)))
