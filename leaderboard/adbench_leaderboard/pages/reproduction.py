"""The reproduction page: each figure of the study's Table 3 beside ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from adbench_harness import registry
from adbench_harness.published import ROUNDING, Cell, Claim, FigureName, Numbers, published
from adbench_harness.reproduction import FIGURES, PROTOCOL, Mark, Missing, Row, missing, outside

from .. import names
from ..site import File, Site
from ..templating import Templates
from ..views.beside import Beside, beside, unranked
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
    ours: Beside | None
    """None where nothing was run, or nothing that may be ranked."""
    nothing: str = ""
    """Why there is nothing."""

    @property
    def row(self) -> Row | None:
        """Both figures, if there is one of ours."""
        return self.ours.row if self.ours else None


@dataclass(frozen=True)
class Group:
    """A dataset of the study."""

    dataset: str
    lines: Sequence[Line]
    """Of runs that may be ranked, and of what was not run: by figure, task and model."""
    unranked: Sequence[Line]
    """Of runs that are compared with nothing, in the same order."""
    missing: Sequence[Missing]
    conflict: str
    """Where the study's numbers contradict each other or the data; empty if they do not."""

    @property
    def tasks(self) -> list[str]:
        """In the study's order."""
        return list(dict.fromkeys(line.cell.task for line in self.lines))

    def of(self, task: str, figure: FigureName) -> list[Line]:
        """A task's lines of one figure, of what may be ranked."""
        return [line for line in self.lines if (line.cell.task, line.figure) == (task, figure)]

    def unranked_of(self, task: str, figure: FigureName) -> list[Line]:
        """A task's lines of one figure, of runs that may not be ranked."""
        return [line for line in self.unranked if (line.cell.task, line.figure) == (task, figure)]

    @property
    def rows(self) -> list[Beside]:
        """All that was run."""
        return [line.ours for line in (*self.lines, *self.unranked) if line.ours is not None]

    @property
    def marks(self) -> list[Mark]:
        """What the words beside the verdicts mean, each once."""
        return meanings(self.rows)

    @property
    def seeds(self) -> list[int]:
        """All that were run."""
        return sorted({seed for one in self.rows for seed in one.row.values})


@dataclass(frozen=True)
class Tally:
    """How many cells of the study there are, are run, and lie where; each cell once, by the run nearest to what was published."""

    cells: int
    run: int
    as_published: int
    """With the study's settings, as far as it says."""
    whole: int
    """Those of them with every seed of the protocol."""
    verdicts: Mapping[str, int]


def files(site: Site, templates: Templates) -> Iterator[File]:
    """The page; a site without any run has none."""
    if not site.runs:
        return
    numbers, protocol = published(), registry.protocol(PROTOCOL).spec
    study = numbers.study
    cells = list(study.cells())
    rows = beside(site, cells, FIGURES)
    lacking = missing(site.reproduction, study, cells, protocol.seeds)
    comparable = [one for one in site.reproduction if not unranked(one)]
    yield templates.page(
        "reproduction.html",
        PATH,
        groups=list(_groups(numbers, rows, lacking)),
        tally=_tally(cells, rows, lacking),
        first=_first(rows),
        models=list(dict.fromkeys(cell.model for cell in cells)),
        outside=list(outside(comparable, numbers, {(cell.dataset, cell.model) for cell in cells})),
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


def meanings(rows: Iterable[Beside]) -> list[Mark]:
    """What the words beside the verdicts of some rows mean, each once."""
    return list(dict.fromkeys(mark for row in rows for mark in row.marks))


def _groups(numbers: Numbers, rows: Sequence[Beside], lacking: Sequence[Missing]) -> Iterator[Group]:
    study = numbers.study
    for dataset in study.results:
        cells = [cell for cell in study.cells() if cell.dataset == dataset]
        ranked: list[Line] = []
        others: list[Line] = []
        for figure in FIGURES:
            for cell in cells:
                claim = study.claim(cell, figure)
                found = [one for one in rows if (one.row.cell, one.row.figure) == (cell, figure)]
                shown = [Line(cell, figure, claim, one) for one in found if not one.unranked]
                ranked += shown or [Line(cell, figure, claim, None, "no ranked run" if found else "no run")]
                others += [Line(cell, figure, claim, one) for one in found if one.unranked]
        wanted = [item for item in lacking if item.dataset == dataset]
        yield Group(dataset, ranked, others, wanted, study.conflicts.get(dataset, ""))


def _first(rows: Sequence[Beside]) -> Mapping[Cell, Beside]:
    """The first row of each cell that was run: ranked ones before others, those that can be compared, defaults before options."""
    found: dict[Cell, Beside] = {}
    for one in rows:
        if one.row.figure == FIRST:
            found.setdefault(one.row.cell, one)
    return found


def _tally(cells: Sequence[Cell], rows: Sequence[Beside], lacking: Sequence[Missing]) -> Tally:
    first = _first(rows)
    said: list[str] = [one.verdict for one in first.values()]
    plain = [cell for cell, one in first.items() if one.series.as_published]
    short = {(item.dataset, item.model) for item in lacking}
    whole = sum((cell.dataset, cell.model) not in short for cell in plain)
    return Tally(len(cells), len(first), len(plain), whole, {verdict: said.count(verdict) for verdict in SYMBOLS})


def published_figure(claim: Claim) -> str:
    """A figure of the study: three decimals as printed, or the range of what it may be."""
    if claim.high - claim.low > 2 * ROUNDING + 1e-9:
        return f"{claim.low:.3f}\N{EN DASH}{claim.high:.3f}"
    return f"{claim.value:.3f}"


def signed(gap: float) -> str:
    """A difference with its sign; one that rounds to nothing has none."""
    text = f"{gap:+.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", MINUS)
