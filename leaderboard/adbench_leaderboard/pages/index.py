"""The first page: every model on every dataset, and the switch between its rules."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

from ..queries import Run
from ..site import File, Site
from ..templating import Templates
from ..views.overview import Overview, overviews

RULES: Final = "static/rules.css"
"""The switch between rules: a line for each that a board has, since a style sheet cannot count."""

EDGES: Final = (0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.9, 0.95)
"""Where the steps of the heat map meet: the third is about what guessing gives, and near 1 small differences matter."""


def files(site: Site, templates: Templates) -> Iterator[File]:
    """The page and its switch; without runs, one that says how to make some."""
    found = overviews(site)
    if site.runs:
        yield File(RULES, _switch(max((len(one.rules) for one in found), default=0)).encode())
    yield templates.page(
        "index.html",
        "index.html",
        overviews=found,
        filters=_filters(found),
        models={model for board in site.boards for model in board.models},
        ranked=[run for board in site.boards for cell in board.cells.values() for run in cell.runs],
        variants={model.variant for board in site.boards for model in board.models},
        compared={dataset.name for board in site.boards for dataset in board.datasets},
        fact=fact,
        rules=RULES,
        step=step,
        steps=_legend(),
        unranked=site.unranked(site.runs),
        partial=site.partial(site.runs),
    )


def step(area: float) -> int:
    """Which of nine steps of the heat map an area has, 1 to 9."""
    return 1 + bisect_right(EDGES, area)


def _switch(rules: int) -> str:
    """A style sheet that shows the rule which is chosen."""
    return "\n".join(
        (
            "/* The rule of a table is chosen without a script. A browser that lacks :has() shows all rules one below the other. */",
            "@supports selector(:has(*)) {",
            "  .rules:has(.pick-1:checked) ~ noscript,",
            *(f"  .rules:has(.pick-{number}:checked) ~ * .rule:not(.rule-{number})," for number in range(1, rules + 1)),
            "  .rules:not(:has(.pick-1:checked)) + .scroll:has(+ noscript) { display: none; }",
            "}\n",
        )
    )


def _legend() -> list[str]:
    return [
        f"below {EDGES[0]}",
        *(f"{low}\N{EN DASH}{high}" for low, high in pairwise(EDGES)),
        f"from {EDGES[-1]}",
    ]


def _filters(found: Iterable[Overview]) -> list[tuple[str, str, list[str]]]:
    """Name, title and choices of each filter that has more than one choice."""
    runs = [run for one in found for cell in one.board.cells.values() for run in cell.runs]
    kinds = {
        "modality": ("Modality", [fact(run, "dataset", "modality") for run in runs]),
        "organ": ("Organ", [fact(run, "dataset", "organ") for run in runs]),
        "protocol": ("Protocol", [run.protocol for run in runs]),
        "family": ("Model family", [fact(run, "model", "family") for run in runs]),
    }
    choices = {
        name: (title, sorted(set(values), key=lambda value: (value.casefold(), value))) for name, (title, values) in kinds.items()
    }
    return [(name, title, values) for name, (title, values) in choices.items() if len(values) > 1]


def fact(run: Run, *path: str) -> str:
    """What a run's manifest states at a place, or that it does not."""
    return run.text(*path) or "not stated"
