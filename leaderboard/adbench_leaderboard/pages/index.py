"""The first page: every model on every dataset."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

from ..queries import Run
from ..site import File, Site
from ..templating import Templates
from ..views.overview import Overview, overviews

EDGES: Final = (0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.9, 0.95)
"""Where the steps of the heat map meet: the third is about what guessing gives, and near 1 small differences matter."""


def files(site: Site, templates: Templates) -> Iterator[File]:
    """The page; without runs, one that says how to make some."""
    found = overviews(site)
    yield templates.page(
        "index.html",
        "index.html",
        overviews=found,
        filters=_filters(found),
        models={model for board in site.boards for model in board.models},
        ranked=[run for board in site.boards for cell in board.cells.values() for run in cell.runs],
        fact=fact,
        step=step,
        steps=_legend(),
        unranked=site.unranked(site.runs),
        partial=site.partial(site.runs),
    )


def step(area: float) -> int:
    """Which of nine steps of the heat map an area has, 1 to 9."""
    return 1 + bisect_right(EDGES, area)


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
