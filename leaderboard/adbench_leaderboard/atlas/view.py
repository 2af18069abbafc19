"""Models side by side on the test images of one split of one dataset, under one protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adbench_harness.metrics.groups import Groups, group_codes
from adbench_harness.metrics.thresholds import HONEST

from ..names import slug
from ..queries import Run
from ..tables import Board, DatasetKey, ModelKey
from .agreement import Calls

PREFERRED: Final = (HONEST, "youden")
"""The order of rules; behind them come the protocol's others."""


@dataclass(frozen=True)
class Image:
    """What is known of a test image."""

    id: str
    label: int
    kind: str
    group: str | None
    attributes: Mapping[str, str | float | int]


@dataclass(frozen=True)
class Entrant:
    """A model of a view: its runs, one a seed."""

    key: ModelKey
    runs: Sequence[Run]
    rows: slice
    """Where its runs stand in arrays over all runs."""


@dataclass(frozen=True)
class View:
    """One split: nothing of another split, protocol, or state of the files is in it."""

    board: Board
    state: DatasetKey
    split: int
    models: Sequence[Entrant]
    images: Sequence[Image]
    """(N,) by id."""
    half_ranks: NDArray[np.int32]
    """(R, N): twice the mid-rank of each image's score among the run's test images, from 2 to 2 N."""
    cuts: Mapping[str, NDArray[np.int32]]
    """(R,) by rule: how many images lie at or below the run's threshold. Only rules that all runs have, in the protocol's order."""
    left_out: Sequence[Run]
    """Runs that scored other images than the newest one, which nothing can be said of here."""

    @cached_property
    def code(self) -> str:
        """Names the view in addresses: a digest of all that tells it from others."""
        key = "\n".join(map(str, (*self.board.key, *self.state, self.split)))
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12]

    @property
    def path(self) -> str:
        """Where the view's data lies."""
        protocol = f"{slug(self.board.key.name)}-{self.board.key.version}-split-{self.split}"
        return f"data/{slug(self.state.name)}/{protocol}.{self.code}.js"

    @property
    def runs(self) -> list[Run]:
        """(R,) all runs, model by model."""
        return [run for model in self.models for run in model.runs]

    @cached_property
    def labels(self) -> NDArray[np.int8]:
        """(N,) 0 normal, 1 abnormal."""
        return np.asarray([image.label for image in self.images], dtype=np.int8)

    @cached_property
    def groups(self) -> Groups | None:
        """(N,) images that are not independent of each other; None if all are."""
        return group_codes([image.group for image in self.images])

    @cached_property
    def percentiles(self) -> NDArray[np.float64]:
        """(M, N): the share of test images with a lower score, ties half, mean over a model's seeds."""
        return self._means((self.half_ranks - 1) / (2 * len(self.images)))

    @cached_property
    def hardness(self) -> NDArray[np.float64]:
        """(N,): how wrong an image's place is, mean over models: 1 for an abnormal one below all others."""
        place = self.percentiles.mean(0)
        hardness: NDArray[np.float64] = np.where(self.labels == 1, 1 - place, place)
        return hardness

    @property
    def rules(self) -> list[str]:
        """The rules that all runs have, first the one that readers are shown unless they choose another."""
        return [*(rule for rule in PREFERRED if rule in self.cuts), *(rule for rule in self.cuts if rule not in PREFERRED)]

    def verdicts(self, rule: str) -> NDArray[np.bool_]:
        """(R, N): whether each run calls each image abnormal."""
        above: NDArray[np.bool_] = self.half_ranks > 2 * self.cuts[rule][:, None]
        return above

    def calls(self, rule: str) -> Calls:
        """(M, N): the share of a model's seeds that call each image abnormal."""
        return self._means(self.verdicts(rule).astype(np.float64))

    def _means(self, of_runs: NDArray[np.float64]) -> NDArray[np.float64]:
        if len(of_runs) == len(self.models):
            return of_runs
        return np.stack([of_runs[model.rows].mean(0) for model in self.models])
