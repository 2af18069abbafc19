"""The reproduction page: each figure of the study's Table 3 beside ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from adbench_harness import registry
from adbench_harness.published import ROUNDING, Cell, Claim, FigureName, Numbers, published
from adbench_harness.reproduction import FIGURES, PROTOCOL, Mark, Missing, Row, compare, missing, outside

from .. import names
from ..site import File, Site
from ..templating import Templates
from ..wording import MINUS

PATH: Final = "reproduction.html"
FIRST: Final[FigureName] = "roc_auc"
"""The figure that says most, since it needs no threshold; verdicts are counted by it."""
TITLES: Final[Mapping[FigureName, str]] = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC, average precision",
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall (sensitivity)",
    "specificity": "Specificity",
}
SYMBOLS: Final[Mapping[str, str]] = {"inside": "\u2248", "above": "\u25b2", "below": "\u25bc", "not comparable": "\u2205"}
"""Beside the verdict's word, never in its place."""


@dataclass(frozen=True)
class Line:
    """A published figure, and ours if there is one."""

    cell: Cell
    figure: FigureName
    study: Claim
    row: Row | None
    """None where nothing was run."""


@dataclass(frozen=True)
class Group:
    """A dataset of the study."""

    dataset: str
    lines: Sequence[Line]
    """By figure, task and model."""
    missing: Sequence[Missing]
    conflict: str
    """Where the study's numbers contradict each other or the data; empty if they do not."""

    @property
    def tasks(self) -> list[str]:
        """In the study's order."""
        return list(dict.fromkeys(line.cell.task for line in self.lines))

    def of(self, task: str, figure: FigureName) -> list[Line]:
        """A task's lines of one figure."""
        return [line for line in self.lines if (line.cell.task, line.figure) == (task, figure)]

    @property
    def marks(self) -> list[Mark]:
        """What the words beside the verdicts mean, each once."""
        rows = [line.row for line in self.lines if line.row is not None]
        return list(dict.fromkeys(mark for row in rows for mark in (*row.barred, *row.marks)))

    @property
    def seeds(self) -> list[int]:
        """All that were run."""
        return sorted({seed for line in self.lines if line.row is not None for seed in line.row.values})


@dataclass(frozen=True)
class Tally:
    """How many cells of the study there are, are run, and lie where; each cell once, by the run nearest to what was published."""

    cells: int
    run: int
    as_published: int
    verdicts: Mapping[str, int]


def files(site: Site, templates: Templates) -> Iterator[File]:
    """The page; a site without any run has none."""
    if not site.runs:
        return
    numbers, protocol = published(), registry.protocol(PROTOCOL).spec
    study = numbers.study
    cells = list(study.cells())
    rows = compare(site.reproduction, study, cells, FIGURES)
    lacking = missing(site.reproduction, study, cells, protocol.seeds)
    yield templates.page(
        "reproduction.html",
        PATH,
        groups=list(_groups(numbers, rows, lacking)),
        tally=_tally(cells, rows),
        first=_first(rows),
        models=list(dict.fromkeys(cell.model for cell in cells)),
        outside=list(outside(site.reproduction, numbers, {(cell.dataset, cell.model) for cell in cells})),
        numbers=numbers,
        study=numbers.sources[study.source],
        protocol=PROTOCOL,
        seeds=protocol.seeds,
        run_pages={run.run_id: names.run_page(run) for run in site.runs},
        titles=TITLES,
        symbols=SYMBOLS,
        FIRST=FIRST,
        published_figure=published_figure,
        signed=signed,
    )


def _groups(numbers: Numbers, rows: Sequence[Row], lacking: Sequence[Missing]) -> Iterator[Group]:
    study = numbers.study
    cells = list(study.cells())
    for dataset in dict.fromkeys(cell.dataset for cell in cells):
        lines = [
            line
            for figure in FIGURES
            for cell in cells
            if cell.dataset == dataset
            for line in _lines(cell, figure, study.claim(cell, figure), rows)
        ]
        wanted = [item for item in lacking if item.dataset == dataset]
        yield Group(dataset, lines, wanted, study.conflicts.get(dataset, ""))


def _lines(cell: Cell, figure: FigureName, claim: Claim, rows: Iterable[Row]) -> list[Line]:
    found = [row for row in rows if (row.cell, row.figure) == (cell, figure)]
    return [Line(cell, figure, claim, row) for row in found] or [Line(cell, figure, claim, None)]


def _first(rows: Sequence[Row]) -> Mapping[Cell, Row]:
    """The first row of each cell that was run: those that can be compared stand before others, defaults before options."""
    found: dict[Cell, Row] = {}
    for row in rows:
        if row.figure == FIRST:
            found.setdefault(row.cell, row)
    return found


def _tally(cells: Sequence[Cell], rows: Sequence[Row]) -> Tally:
    first = _first(rows)
    verdicts = {verdict: sum(row.verdict == verdict for row in first.values()) for verdict in SYMBOLS}
    plain = sum(row.variant == cell.model and not row.barred for cell, row in first.items())
    return Tally(len(cells), len(first), plain, verdicts)


def published_figure(claim: Claim) -> str:
    """A figure of the study: three decimals as printed, or the range of what it may be."""
    if claim.high - claim.low > 2 * ROUNDING + 1e-9:
        return f"{claim.low:.3f}\N{EN DASH}{claim.high:.3f}"
    return f"{claim.value:.3f}"


def signed(gap: float) -> str:
    """A difference with its sign; one that rounds to nothing has none."""
    text = f"{gap:+.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", MINUS)
