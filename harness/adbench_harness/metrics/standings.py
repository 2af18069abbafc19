"""What a table of tests allows to say about an order: an interval for each model's rank, and letters for those that can't be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .ranking import Values

ALPHA: Final = 0.05

Significant = NDArray[np.bool_]
"""(M, M), symmetric: which pairs of models differ significantly after correction for being many."""


def significant(models: int, pairs: Sequence[tuple[int, int]], adjusted: Values, alpha: float = ALPHA) -> Significant:
    """Adjusted p-values (K,) of K pairs as a matrix (M, M); a pair that was not tested does not differ."""
    found = np.zeros((models, models), dtype=np.bool_)
    for (i, j), p in zip(pairs, adjusted, strict=True):
        found[i, j] = found[j, i] = p <= alpha
    return found


def rank_intervals(values: Values, differs: Significant) -> list[tuple[int, int]]:
    """Lowest and highest rank that each model may have, 1 being the best; 95 % for all of them at once.

    1 + the number of significantly better models, and M less the number of significantly worse ones: where every rejection is
    right, and in the right direction, the true rank lies between (Mogstad, Romano, Shaikh and Wilhelm 2024, Review of Economic
    Studies 91:476-518, who bound ranks by simultaneous inference on differences). Holm's procedure keeps the chance of a false
    rejection at 5 %; that this includes wrong directions is proved for independent tests (Shaffer 1980, Annals of Statistics
    8:1342-1347), and for differences of pairs it is seen in simulations.

    Args:
        values: (M,) estimates, higher is better.
        differs: (M, M) which pairs differ significantly.
    """
    better = differs & (values[None, :] > values[:, None])
    worse = differs & (values[None, :] < values[:, None])
    return [(1 + int(more.sum()), len(values) - int(less.sum())) for more, less in zip(better, worse, strict=True)]


def letters(values: Values, differs: Significant) -> list[str]:
    """Compact letter display: two models share a letter if and only if they do not differ significantly.

    Insert and absorb (Piepho 2004, Journal of Computational and Graphical Statistics 13, 456-466): one column holds all models;
    for each pair that differs, every column with both is replaced by one without the first and one without the second, and
    columns that lie within another are absorbed. Letters go to columns by their best mean, so "a" is the best group.

    Args:
        values: (M,) estimates, higher is better.
        differs: (M, M) which pairs differ significantly.

    Returns:
        (M,) letters of each model, in alphabetical order; beyond 52 columns they are numbers in brackets.
    """
    columns = [frozenset(range(len(values)))]
    for i, j in zip(*np.nonzero(np.triu(differs, 1)), strict=True):
        columns = _absorb([part for column in columns for part in _without_both(column, int(i), int(j))])
    place = {int(model): rank for rank, model in enumerate(np.argsort(-values, kind="stable"))}
    columns.sort(key=lambda column: sorted(place[model] for model in column))
    names = [ascii_letters[k] if k < len(ascii_letters) else f"({k + 1})" for k in range(len(columns))]
    return ["".join(name for name, column in zip(names, columns, strict=True) if m in column) for m in range(len(values))]


def _without_both(column: frozenset[int], i: int, j: int) -> list[frozenset[int]]:
    return [column - {i}, column - {j}] if {i, j} <= column else [column]


def _absorb(columns: Sequence[frozenset[int]]) -> list[frozenset[int]]:
    distinct = list(dict.fromkeys(columns))
    return [column for column in distinct if not any(column < other for other in distinct)]
