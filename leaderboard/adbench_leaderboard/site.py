"""What all pages of a site share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import duckdb

from adbench_harness.home import Home
from adbench_harness.metrics.thresholds import RULES
from adbench_harness.published import published
from adbench_harness.registry import protocol
from adbench_harness.reproduction import PROTOCOL, Series, series_of, stored_runs

from . import names
from .atlas.collected import Atlas, collect
from .images.pictures import Source, sources
from .queries import Run
from .tables import Board, ModelKey, ProtocolKey, boards, model_key, newest
from .views.standing import Standing, standing


@dataclass(frozen=True)
class Choices:
    """What a publisher decides, and where what that needs lies."""

    with_images: frozenset[str] = frozenset()
    """Datasets whose images may be shown; only their licences can allow that."""
    runs: Path | None = None
    """The folder of run folders, which keep pictures of a few test images."""
    home: Home | None = None
    """Where the datasets' files lie."""
    engine: Sequence[File] = ()
    """The database engine that lets readers ask with SQL; empty if the site goes without."""
    audits: Path | None = None
    """The folder of audits, which say which images are duplicates of which."""


DEFAULTS: Final = Choices()


@dataclass(frozen=True)
class File:
    """A finished file of the site."""

    path: str
    """Relative to the site's root, with forward slashes."""
    content: bytes


@dataclass(frozen=True)
class Site:
    """The runs, and what follows from them alone."""

    db: duckdb.DuckDBPyConnection | None
    """The stored runs; None if there are none yet."""
    runs: Sequence[Run]
    version: str
    """Of the adbench that renders."""
    choices: Choices = DEFAULTS

    @cached_property
    def boards(self) -> list[Board]:
        """On-protocol comparisons."""
        return boards(self.runs)

    @cached_property
    def standings(self) -> dict[ProtocolKey, Standing]:
        """Who can be told apart on each board."""
        return {board.key: standing(self.db, board) for board in self.boards} if self.db is not None else {}

    @cached_property
    def atlases(self) -> Mapping[str, Atlas]:
        """What is known image by image, by dataset; of those that have a comparison."""
        if self.db is None:
            return {}
        found = {name: collect(self.db, self.boards, name, self.sources.get(name)) for name in self.datasets}
        return {name: atlas for name, atlas in found.items() if atlas.summaries}

    @cached_property
    def sources(self) -> Mapping[str, Source]:
        """The files of those datasets whose images may be shown and are here."""
        home = self.choices.home
        return sources(self.choices.with_images & set(self.datasets), home) if home is not None else {}

    @cached_property
    def reproduction(self) -> list[Series]:
        """Runs under the rules of the study that adbench reproduces, those that differ by their seed together."""
        return series_of(stored_runs(self.db), protocol(PROTOCOL).spec, published().study) if self.db is not None else []

    @cached_property
    def newest(self) -> Run | None:
        """The run that was made last."""
        return newest(self.runs) if self.runs else None

    @cached_property
    def protocols(self) -> list[str]:
        """Protocols with runs, with their versions."""
        return sorted({f"{run.protocol} version {run.protocol_version}" for run in self.runs})

    @cached_property
    def datasets(self) -> list[str]:
        """Names of the datasets with runs."""
        return sorted({run.dataset for run in self.runs})

    @cached_property
    def oracles(self) -> frozenset[str]:
        """Rules that see test labels, as stored with the runs or known to this adbench."""
        return frozenset(name for name, rule in RULES.items() if rule.oracle).union(*(run.oracles for run in self.runs))

    @cached_property
    def model_pages(self) -> dict[ModelKey, str]:
        """Where each model's page lies."""
        return dict(names.model_pages(self.runs))

    def model_page(self, run: Run) -> str:
        """Where the page of a run's model lies."""
        return self.model_pages[model_key(run)]

    def unranked(self, runs: Sequence[Run]) -> list[Run]:
        """Those of the runs that are compared with nothing, though their data is the original."""
        return [run for run in runs if run.unranked is not None and not run.is_partial]

    def partial(self, runs: Sequence[Run]) -> list[Run]:
        """Those of the runs that were made on a partial copy of their dataset."""
        return [run for run in runs if run.is_partial]
