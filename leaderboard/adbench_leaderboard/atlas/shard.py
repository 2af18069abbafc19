"""A view as a file that its page loads when an image is asked for: all images, all models, all lists.

It is a script, since a page that is opened from a folder may load no other kind of file. What it calls takes one argument, plain
JSON. Places of images and models are numbers from 0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import wording
from ..names import printable
from ..queries import Run
from .agreement import Estimate
from .summary import POPULATIONS, Ruled, Summary

ABOUT = (
    "Each image's place among the test images of each run. ranks: one row a run, in the order of models and their seeds; twice the "
    "mid-rank of the image's score, so that (rank - 1) / (2 * images) is the share of images with a lower score, ties half. rules: "
    "the first is the one that the page goes by before a reader chooses another. Of each, cuts: one a run, how many images lie at or "
    "below its threshold; an image is called abnormal where rank > 2 * cut. lists: images by number, the hardest first, and where one "
    "model alone is right, that model. uniform: models, by number, that the lists do not go by, since at this rule they call all images "
    "the same. pairs: two models and Cohen's kappa of each population; of many pairs those that agree least and most. together: Fleiss' "
    "kappa of all models. flips: one a model. Each is a figure and the ends of its 95 % interval, which are missing where there is none. "
    "cohen: kappa of each model with those behind it at the first rule, all pairs."
)
DIGITS: Final = 4
"""Decimals of the kappas of all pairs, which are many."""
PRINTED_DIGITS: Final = 9
"""Decimals of figures that a page rounds to three: of a figure rounded before it might print another last one than its template."""

FactT = TypeVar("FactT", bound=Hashable)


def shard(summary: Summary, model_page: Callable[[Run], str], run_page: Callable[[Run], str], oracles: frozenset[str]) -> bytes:
    """The file's content; the same for the same runs."""
    view = summary.view
    content = {
        "about": ABOUT,
        "dataset": view.state.name,
        "fingerprint": view.state.fingerprint,
        "protocol": view.board.key._asdict(),
        "split": view.split,
        "models": [
            {
                "name": model.key.variant,
                "page": model_page(model.runs[0]),
                "seeds": [run.seed for run in model.runs],
                "runs": [run_page(run) for run in model.runs],
            }
            for model in view.models
        ],
        "rules": [_rule(ruled, ruled.rule in oracles) for ruled in summary.ruled],
        "populations": POPULATIONS,
        "counts": [summary.counts[name] for name in POPULATIONS],
        "grouped": view.groups is not None,
        "images": _images(summary),
        "ranks": view.half_ranks.tolist(),
        "cohen": _all_pairs(summary.ruled[0]) if summary.ruled else None,
    }
    text = json.dumps(_printable(content), sort_keys=True, separators=(",", ":"))
    # Only inside text can there be such a character, and there this spells it.
    return f'adbenchAtlas("{view.code}",{text.replace("<", chr(92) + "u003c")});\n'.encode("ascii")


def _rule(ruled: Ruled, oracle: bool) -> dict[str, Any]:
    return {
        "name": ruled.rule,
        "title": wording.rule_title(ruled.rule),
        "oracle": oracle,
        "cuts": ruled.view.cuts[ruled.rule].tolist(),
        "lists": {found.name: {"images": found.places, "models": found.models} for found in ruled.lists},
        "uniform": [[one.model, one.verdict] for one in ruled.uniform],
        "pairs": [[pair.one, pair.other, list(map(_rounded, pair.kappas))] for pair in ruled.pairs],
        "pair_count": ruled.pair_count,
        "together": None if ruled.together is None else list(map(_rounded, ruled.together)),
        "flips": list(map(_rounded, ruled.flips)),
    }


def _images(summary: Summary) -> dict[str, Any]:
    images = summary.view.images
    kinds, kind = _numbered(image.kind for image in images)
    groups, group = _numbered(image.group for image in images)
    facts, fact = _numbered(tuple(sorted((name, str(value)) for name, value in image.attributes.items())) for image in images)
    return {
        "ids": [image.id for image in images],
        "labels": [image.label for image in images],
        "kinds": kinds,
        "kind": kind,
        "groups": groups,
        "group": group,
        "facts": facts,
        "fact": fact,
        "pictures": {
            str(place): summary.pictures[image.id] for place, image in enumerate(images) if image.id in summary.pictures
        },
    }


def _numbered(values: Iterable[FactT]) -> tuple[list[FactT], list[int]]:
    """Distinct values in order of appearance, and the number of each."""
    numbers: dict[FactT, int] = {}
    places = [numbers.setdefault(value, len(numbers)) for value in values]
    return list(numbers), places


def _all_pairs(ruled: Ruled) -> dict[str, Any]:
    return {
        "value": [_triangle(found.value) for found in ruled.kappas],
        "low": [_triangle(found.low) for found in ruled.kappas],
        "high": [_triangle(found.high) for found in ruled.kappas],
    }


def _triangle(values: NDArray[np.float64]) -> list[list[float | None]]:
    """For each model its values with those behind it, None where there is none."""
    plain = np.round(values, DIGITS).astype(object)
    plain[np.isnan(values)] = None
    return [plain[row, row + 1 :].tolist() for row in range(len(plain))]


def _rounded(estimate: Estimate | None) -> Sequence[float] | None:
    """A figure and the ends of its interval, where there is one."""
    return None if estimate is None else [round(value, PRINTED_DIGITS) for value in (estimate.value, *(estimate.interval or ()))]


def _printable(value: Any) -> Any:
    """Plain data whose text turns no line around, as the pages print it."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {name: _printable(part) for name, part in value.items()}
    # Numbers are most of it, and need no look.
    if isinstance(value, list | tuple) and value and not isinstance(value[0], int | float):
        return [_printable(part) for part in value]
    return value
