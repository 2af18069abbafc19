"""Each published figure beside ours, and the runs that are missing."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..metrics.delong import newcombe
from ..metrics.evaluation import ALL, NO_RULE
from ..plan import RunRequest
from ..published import Cell, Claim, Counts, FigureName, Numbers, Study
from .estimate import Basis, Estimate, Verdict, estimate, estimate_area
from .series import PROTOCOL, Mark, Measured, Series, StoredRun

FIGURES: Final[Mapping[FigureName, str]] = {
    "roc_auc": "roc_auc",
    "pr_auc": "pr_auc",
    "f1": "f1",
    "precision": "precision",
    "recall": "sensitivity",
    "specificity": "specificity",
}
"""Figures by the study's name, and as the store calls them."""
AREAS: Final[Collection[FigureName]] = ("roc_auc", "pr_auc")
"""Those that need no threshold."""


@dataclass(frozen=True)
class Row:
    """A published figure beside ours."""

    cell: Cell
    figure: FigureName
    variant: str
    study: Claim
    ours: Estimate | None
    values: Mapping[int, float]
    """By seed."""
    runs: Mapping[int, str]
    """Ids, by seed."""
    verdict: Verdict
    barred: tuple[Mark, ...]
    """Why there is no verdict."""
    marks: tuple[Mark, ...]

    @property
    def gap(self) -> float | None:
        """Ours less the study's; None where they can't be compared."""
        return None if self.ours is None or self.barred else self.ours.value - self.study.value


@dataclass(frozen=True)
class Missing:
    """Runs of a model on a dataset that the table lacks."""

    model: str
    dataset: str
    seeds: tuple[int, ...]
    state: str
    """How much is there."""
    command: str
    """What to type for them."""

    def requests(self, device: str = "auto") -> list[RunRequest]:
        """The runs to make."""
        return [RunRequest(self.model, self.dataset, PROTOCOL, seed=seed, device=device) for seed in self.seeds]


@dataclass(frozen=True)
class OutsideRow:
    """A figure of somebody else beside the study's and ours."""

    cell: Cell
    figure: FigureName
    value: float
    spread: float | None
    study: float | None
    ours: tuple[tuple[str, Estimate], ...]
    """By variant."""
    source: str
    where: str
    note: str


def compare(series: Sequence[Series], study: Study, cells: Iterable[Cell], figures: Iterable[FigureName]) -> list[Row]:
    """A row for each figure, cell and series of runs; a cell without a run has none."""
    wanted = list(cells)
    return [
        _row(one, study, cell, figure)
        for figure in figures
        for cell in wanted
        for one in series
        if (one.manifest.cell.dataset, one.manifest.cell.model) == (cell.dataset, cell.model)
    ]


def missing(series: Sequence[Series], study: Study, cells: Iterable[Cell], seeds: Sequence[int]) -> list[Missing]:
    """What the protocol asks for and is not there as published; the datasets with the fewest training images first."""
    found = []
    for model, dataset in dict.fromkeys((cell.model, cell.dataset) for cell in cells):
        there = [one for one in series if (one.manifest.cell.model, one.manifest.cell.dataset) == (model, dataset)]
        done = {seed for one in there if one.as_published for seed in one.seeds}
        lacking = tuple(seed for seed in seeds if seed not in done)
        if lacking:
            state = f"{len(seeds) - len(lacking)} of {len(seeds)} seeds" if there else "no run"
            words = "all" if len(lacking) == len(seeds) else ",".join(str(seed) for seed in lacking)
            command = f"adbench run --model {model} --dataset {dataset} --protocol {PROTOCOL} --seed {words}"
            found.append(Missing(model, dataset, lacking, state, command))
    return sorted(found, key=lambda one: study.counts[one.dataset].train_normal)


def outside(series: Sequence[Series], numbers: Numbers, wanted: Collection[tuple[str, str]]) -> Iterator[OutsideRow]:
    """Figures of others; ``wanted`` are pairs of dataset and model."""
    for entry in numbers.outside:
        for model, value in entry.values.items():
            if (entry.dataset, model) not in wanted:
                continue
            name, rule = FIGURES[entry.figure], _rule(entry.figure, numbers.study)
            ours = tuple(
                (one.manifest.variant, _estimate(one, entry.task, name, measured))
                for one in series
                if (one.manifest.cell.dataset, one.manifest.cell.model) == (entry.dataset, model) and not one.barred
                if (measured := one.measured(entry.task, name, rule))
            )
            cell = Cell(entry.dataset, entry.task, model)
            said = _said_outside(numbers.study, cell, entry.figure)
            spread = entry.spread.get(model)
            yield OutsideRow(cell, entry.figure, value, spread, said, ours, entry.source, entry.where, entry.note)


def _row(series: Series, study: Study, cell: Cell, figure: FigureName) -> Row:
    said = study.claim(cell, figure)
    rule, name = _rule(figure, study), FIGURES[figure]
    found = {run.manifest.cell.seed: run.figures[key] for run in series.runs if (key := (cell.task, rule, name)) in run.figures}
    ours = _estimate(series, cell.task, name, list(found.values())) if found else None
    barred, marks = list(series.barred), [*series.marks, *_counts(series.runs[0], study, cell)]
    if rule != NO_RULE:
        marks += _trivial(series, study, cell)
    if ours is None:
        barred.append(Mark("no figure", f"the runs have no {name} for task {cell.task}"))
    elif ours.basis == "none":
        barred.append(Mark("one seed", "one seed, and no interval over images: nothing to judge by"))
    elif ours.basis != "seeds and images":
        marks.append(_PARTS[ours.basis])
    verdict = ours.verdict(said) if ours is not None and not barred else None
    if figure == "roc_auc" and ours is not None and verdict in ("above", "below"):
        marks += _within_both(ours, said, study.counts[cell.dataset], cell.task)
    return Row(
        cell=cell,
        figure=figure,
        variant=series.manifest.variant,
        study=said,
        ours=ours,
        values={seed: one.value for seed, one in found.items()},
        runs={run.manifest.cell.seed: run.run_id for run in series.runs if run.manifest.cell.seed in found},
        verdict=verdict or "not comparable",
        barred=tuple(barred),
        marks=tuple(marks),
    )


def _estimate(series: Series, task: str, name: str, measured: Sequence[Measured]) -> Estimate:
    """By the covariance of the seeds' areas where that is known, else by each run's own interval."""
    areas = series.areas(task) if name == "roc_auc" else None
    return (estimate_area(areas) if areas is not None else None) or estimate(measured)


def _trivial(series: Series, study: Study, cell: Cell) -> Iterator[Mark]:
    """Whether a threshold calls every image abnormal: its figures follow from how many images there are."""
    if study.calls_all_abnormal(cell):
        yield Mark("study trivial", "the study's threshold calls every image abnormal, as no detector at all would")
    found, spared = (series.measured(cell.task, name, study.rule) for name in ("sensitivity", "specificity"))
    if found and all(one.value == 1 for one in found) and all(one.value == 0 for one in spared):
        yield Mark("ours trivial", "our threshold calls every image abnormal whatever the seed, as no detector at all would")


def _within_both(ours: Estimate, said: Claim, counts: Counts, task: str) -> Iterator[Mark]:
    """Whether a gap is no larger than what the study's own test images explain besides; it had as few as ours, and one run."""
    theirs = newcombe(said.value, counts.test_abnormal[task], counts.test_normal)
    assert ours.low is not None
    assert ours.high is not None
    above = ours.value > said.value
    ends = (ours.value - ours.low, theirs.high - said.value) if above else (ours.high - ours.value, said.value - theirs.low)
    if abs(ours.value - said.value) <= math.hypot(*ends):
        yield Mark("within both errors", "the study's own area has an error, too; the gap is no larger than both together")


_PARTS: Final[Mapping[Basis, Mark]] = {
    "images": Mark("one seed", "one seed: the interval is over test images alone, and too narrow by the spread over seeds"),
    "seeds": Mark("seeds only", "the interval is over seeds alone, and too narrow by the error of the test images"),
}


def _counts(run: StoredRun, study: Study, cell: Cell) -> Iterator[Mark]:
    """Where a run's images are not as many as Table 1 has."""
    theirs, stated = study.counts[cell.dataset], run.manifest.dataset.get("counts")
    tested = {name: run.figures.get((cell.task, NO_RULE, name)) for name in ("n_normal", "n_abnormal")}
    train = stated.get("train_normal") if isinstance(stated, Mapping) else None
    pairs = [
        ("normal training images", train, theirs.train_normal),
        ("normal test images", tested["n_normal"] and tested["n_normal"].value, theirs.test_normal),
        ("abnormal test images", tested["n_abnormal"] and tested["n_abnormal"].value, theirs.test_abnormal[cell.task]),
    ]
    other = [(what, int(ours), study) for what, ours, study in pairs if isinstance(ours, int | float) and ours != study]
    if other:
        word = f"{other[0][1]} for {other[0][2]}" if len(other) == 1 else "other counts"
        yield Mark(word, f"{cell.dataset}: " + ", ".join(f"{ours} {what}, the study {study}" for what, ours, study in other))


def _rule(figure: FigureName, study: Study) -> str:
    return NO_RULE if figure in AREAS else study.rule


def _said_outside(study: Study, cell: Cell, figure: FigureName) -> float | None:
    """The study's figure of a cell, or the pooled one of all tasks of a dataset."""
    if cell in study.cells():
        return study.claim(cell, figure).value
    return study.pooled_roc_auc(cell.dataset, cell.model) if (cell.task, figure) == (ALL, "roc_auc") else None
