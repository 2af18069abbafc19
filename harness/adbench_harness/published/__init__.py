"""Published figures that adbench compares itself with: the study's, and a few of others, each with its source.

They are data, in ``numbers.toml``; nothing in it is a result of adbench. Names of datasets, tasks and models are adbench's.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..api import DataError

NUMBERS: Final = Path(__file__).with_name("numbers.toml")

ROUNDING: Final = 0.0005
"""Half a unit of the third decimal, to which Table 3 is printed."""

FigureName = Literal["roc_auc", "pr_auc", "f1", "precision", "recall", "specificity"]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class Cell(NamedTuple):
    """What a published figure is about."""

    dataset: str
    task: str
    model: str

    def __str__(self) -> str:
        return f"{self.dataset} {self.task}, {self.model}"


class Matrix(NamedTuple):
    """A confusion matrix in images; abnormal is the positive class."""

    tp: Count
    fn: Count
    fp: Count
    tn: Count


class Claim(NamedTuple):
    """A figure, and the ends of what it may be: a printed one is rounded, a recovered one may have several solutions."""

    value: float
    low: float
    high: float


class _Plain(BaseModel):
    """Frozen, and a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Plain):
    """Where figures were published."""

    reference: str
    url: str
    doi: str | None = None


class Printed(_Plain):
    """A cell of Table 3."""

    precision: Share
    recall: Share
    f1: Share
    roc_auc: Share
    pr_auc: Share


class Counts(_Plain):
    """Images of a dataset, a row of Table 1; abnormal ones by task."""

    train_normal: Count
    test_normal: Count
    test_abnormal: Mapping[str, Count]


class Study(_Plain):
    """The study that adbench reproduces."""

    source: str
    results_from: str
    counts_from: str
    rule: str
    """The threshold rule of adbench that its precision, recall and F1 belong to."""
    rule_note: str
    counts: Mapping[str, Counts]
    conflicts: Mapping[str, str]
    """By dataset: where the study's numbers contradict each other or the data."""
    testing: Mapping[str, str]
    """By model: how the public code that the study used departs from a plain test."""
    given: Mapping[str, Mapping[str, str]]
    """By model: what the study's model was given from outside."""
    results: Mapping[str, Mapping[str, Mapping[str, Printed]]]
    confusion: Mapping[str, Mapping[str, Mapping[str, tuple[Matrix, ...]]]]

    def cells(self) -> Iterator[Cell]:
        """Every cell of Table 3, in its order."""
        for dataset, tasks in self.results.items():
            for task, models in tasks.items():
                yield from (Cell(dataset, task, model) for model in models)

    def printed(self, cell: Cell) -> Printed:
        """A cell's figures as printed, three decimals. Raises KeyError for a cell that Table 3 lacks."""
        return self.results[cell.dataset][cell.task][cell.model]

    def matrices(self, cell: Cell) -> tuple[Matrix, ...]:
        """Every confusion matrix that gives a cell's precision, recall and F1; the study's is one of them."""
        return self.confusion[cell.dataset][cell.task][cell.model]

    def claim(self, cell: Cell, figure: FigureName) -> Claim:
        """A cell's figure. Specificity is not printed: it follows from the matrices. Raises KeyError for a cell that is not there."""
        if figure == "specificity":
            found = [matrix.tn / (matrix.tn + matrix.fp) for matrix in self.matrices(cell)]
            return Claim((min(found) + max(found)) / 2, min(found), max(found))
        value: float = getattr(self.printed(cell), figure)
        return Claim(value, value - ROUNDING, value + ROUNDING)

    def calls_all_abnormal(self, cell: Cell) -> bool:
        """Whether the cell's threshold is that of no detector at all: every image is called abnormal."""
        return all(matrix.fn == matrix.tn == 0 for matrix in self.matrices(cell))

    def pooled_roc_auc(self, dataset: str, model: str) -> float:
        """Area over all tasks of a dataset at once.

        Exactly the mean weighted by abnormal images, since tasks share their normals, if the scores are one model's; to rounding.
        """
        weights = self.counts[dataset].test_abnormal
        areas = {task: self.printed(Cell(dataset, task, model)).roc_auc for task in weights}
        return sum(areas[task] * weight for task, weight in weights.items()) / sum(weights.values())

    @model_validator(mode="after")
    def _cells_agree(self) -> Self:
        for cell in self.cells():
            counts = self.counts.get(cell.dataset)
            if counts is None or cell.task not in counts.test_abnormal:
                raise ValueError(f"{cell}: Table 1 has no count for it")
            try:
                found = self.matrices(cell)
            except KeyError:
                raise ValueError(f"{cell}: it has no confusion matrix") from None
            if not found:
                raise ValueError(f"{cell}: its list of confusion matrices is empty")
            wanted = (counts.test_abnormal[cell.task], counts.test_normal)
            for tp, fn, fp, tn in found:
                if (tp + fn, fp + tn) != wanted:
                    raise ValueError(
                        f"{cell}: the matrix {[tp, fn, fp, tn]} has {tp + fn} abnormal and {fp + tn} normal images, Table 1 {wanted}"
                    )
        return self


class Outside(_Plain):
    """Figures of others than the study, on the same images or nearly so."""

    source: str
    where: str
    """In the source."""
    dataset: str
    task: str
    figure: FigureName
    note: str
    values: Mapping[str, Share]
    """By model."""
    spread: Mapping[str, Share] = {}
    """What stands behind the plus-minus sign, by model, where there is one."""


class Numbers(_Plain):
    """All that the file holds."""

    sources: Mapping[str, Source]
    study: Study
    outside: tuple[Outside, ...]

    @model_validator(mode="after")
    def _sources_are_there(self) -> Self:
        for source in (self.study.source, *(entry.source for entry in self.outside)):
            if source not in self.sources:
                raise ValueError(f"there is no source {source!r}; there is: {', '.join(self.sources)}")
        for entry in self.outside:
            if strangers := set(entry.spread) - set(entry.values):
                raise ValueError(f"outside, {entry.dataset}: a spread without a value: {', '.join(sorted(strangers))}")
        return self


@cache
def published() -> Numbers:
    """The figures that ship with adbench. Raises DataError if the file is damaged."""
    return read(NUMBERS)


def read(path: Path) -> Numbers:
    """Figures from a file.

    Raises:
        DataError: naming the file, the place in it and what is wrong there.
    """
    try:
        return Numbers.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path}: {place or 'the file'}: {first['msg']} ({first['input']!r:.60}); {_MEND}") from None
    except (OSError, ValueError) as error:  # tomllib's and Unicode's errors are ValueErrors
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path} can't be read: {reason}; {_MEND}") from None


_MEND: Final = "it ships with adbench: pip install --force-reinstall adbench-harness"
