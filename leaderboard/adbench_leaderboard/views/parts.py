"""Parts of the test images as tables: where a detector fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..queries import ALL, NO_RULE, PartRow

SIDES: Final = (("sensitivity", "n_abnormal", ("roc_auc", "pr_auc")), ("specificity", "n_normal", ()))
"""What is asked of abnormal and of normal images: at a threshold, their number, and without a threshold."""


@dataclass(frozen=True)
class Part:
    """A part of the test images with its figures."""

    name: str
    task: str
    """Empty for all abnormal images."""
    images: float
    figures: Mapping[tuple[str, str], PartRow]
    """By rule and name."""


@dataclass(frozen=True)
class Parts:
    """The parts that have abnormal images, or normal ones."""

    figure: str
    """What each rule gives: sensitivity or specificity."""
    lines: Sequence[Part]
    rules: Sequence[str]
    """Those at which any part has the figure."""
    whole: Sequence[str]
    """Figures without a threshold that any part has."""
    several: bool
    """Whether figures are means over several runs."""


def tables(rows: Sequence[PartRow], rules: Sequence[str]) -> list[Parts]:
    """The parts in their order, with the figures at the rules in theirs; those of abnormal images first."""
    found: dict[tuple[str, str], dict[tuple[str, str], PartRow]] = {}
    for row in rows:
        found.setdefault((row.part, row.task), {})[row.rule, row.name] = row
    kinds = {(row.rule, row.name) for row in rows}
    several = any(row.runs is not None for row in rows)
    made = []
    for figure, number, whole in SIDES:
        lines = [
            Part(name, "" if task == ALL else task, images.value, figures)
            for (name, task), figures in found.items()
            if (images := figures.get((NO_RULE, number))) is not None and images.value
        ]
        shown = [rule for rule in rules if (rule, figure) in kinds]
        if lines and shown:
            made.append(Parts(figure, lines, shown, [name for name in whole if (NO_RULE, name) in kinds], several))
    return made
