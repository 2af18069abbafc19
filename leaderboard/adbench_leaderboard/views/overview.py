"""A board as one table: a row a model, a few figures a dataset, all of the split that stands for the dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from adbench_harness.reproduction import PROTOCOL

from .. import names, wording
from ..queries import NO_RULE, Run
from ..site import Site
from ..tables import Board, Cell, DatasetKey, ModelKey, Spread, newest
from .standing import Place, Split, Standing


@dataclass(frozen=True)
class Overview:
    """What the first page says of a board, and what is exported of it."""

    board: Board
    standing: Standing
    oracles: frozenset[str]
    """Rules that see test labels."""

    @property
    def anchor(self) -> str:
        """What the board is called in addresses and file names."""
        return names.board_anchor(self.board.key)

    @property
    def csv(self) -> str:
        """Where the file of its figures lies."""
        return f"data/board/{self.anchor}.csv"

    @property
    def rules(self) -> Sequence[str]:
        """The rules, those first that see no test label."""
        return sorted(self.board.rules, key=lambda rule: rule in self.oracles)

    @property
    def sees_labels(self) -> bool:
        """Whether all its rules see test labels."""
        return bool(self.rules) and self.oracles.issuperset(self.rules)

    @property
    def repeats_study(self) -> bool:
        """Whether the protocol is that of the published study which adbench reproduces."""
        return self.board.key.name == PROTOCOL

    @property
    def notes(self) -> list[str]:
        """Why models of a dataset could not be compared."""
        found = ((dataset, self.split(dataset)) for dataset in self.board.datasets)
        return [f"{dataset.name}, split {split.number}: not compared, as {split.note}" for dataset, split in found if split.note]

    @cached_property
    def _cards(self) -> dict[DatasetKey | ModelKey, Run]:
        found: dict[DatasetKey | ModelKey, list[Run]] = {}
        for (model, dataset), cell in self.board.cells.items():
            for key in (model, dataset):
                found.setdefault(key, []).extend(cell.runs)
        return {key: newest(runs) for key, runs in found.items()}

    def card(self, key: DatasetKey | ModelKey) -> Run:
        """The newest run of a dataset or a model on the board, which describes it."""
        return self._cards[key]

    def describe(self, dataset: DatasetKey) -> str:
        """What stands behind the figures of a dataset."""
        card, trivial = self.card(dataset), self.trivial(dataset)
        kind = ", ".join(filter(None, (card.text("dataset", "modality"), card.text("dataset", "organ"))))
        counts = [trivial.shown[0].figure(name) for name in ("n_abnormal", "n_normal")]
        images = f"{wording.count(counts[0])} abnormal, {wording.count(counts[1])} normal"
        return " · ".join(filter(None, (kind, images, f"split {self.split(dataset).number}")))

    def missing(self, model: ModelKey, dataset: DatasetKey) -> str:
        """Why a model has no figures on a dataset."""
        if (model, dataset) not in self.board.cells:
            return "no run"
        return "\N{EN DASH}" if self.cell(model, dataset) else f"not on split {self.board.splits[dataset]}"

    def split(self, dataset: DatasetKey) -> Split:
        """The split that stands for a dataset."""
        return self.standing.at(dataset)

    def cell(self, model: ModelKey, dataset: DatasetKey) -> Cell | None:
        """A model's runs on a dataset, if there are some at the split that stands for it."""
        cell = self.board.cells.get((model, dataset))
        return cell if cell and cell.shown else None

    def trivial(self, dataset: DatasetKey) -> Cell:
        """All runs on a dataset, to read off what takes no skill."""
        return self._trivial[dataset]

    @cached_property
    def _trivial(self) -> dict[DatasetKey, Cell]:
        return {dataset: self.board.trivial(dataset) for dataset in self.board.datasets}

    def rate(self, model: ModelKey, dataset: DatasetKey, name: str, rule: str) -> Spread | None:
        """A figure at the split that stands for a dataset: mean over seeds and interval; its range is that of all splits and seeds."""
        cell = self.cell(model, dataset)
        return cell.spread(name, rule) if cell else None

    def area(self, model: ModelKey, dataset: DatasetKey) -> Spread | None:
        """ROC AUC, as ``rate``; its interval is for the number of images and of seeds, where the models could be compared."""
        found, place = self.rate(model, dataset, "roc_auc", NO_RULE), self.place(model, dataset)
        return replace(found, mean=place.area, interval=place.interval) if found and place else found

    def place(self, model: ModelKey, dataset: DatasetKey) -> Place | None:
        """Where a model stands on a dataset, at the split that stands for it."""
        return self.split(dataset).places.get(model)

    def leads(self, model: ModelKey, dataset: DatasetKey) -> bool:
        """Whether no model is significantly better, where there are others."""
        return model in self.split(dataset).leaders

    def all_runs(self, model: ModelKey) -> list[Run]:
        """All runs of a model on the board."""
        return self._runs[model]

    @cached_property
    def _runs(self) -> dict[ModelKey, list[Run]]:
        found: dict[ModelKey, list[Run]] = {}
        for (model, _), cell in self.board.cells.items():
            found.setdefault(model, []).extend(cell.runs)
        return found

    def updated(self, model: ModelKey) -> str:
        """When the newest run of a model was made."""
        return newest(self.all_runs(model)).created


def overviews(site: Site) -> list[Overview]:
    """One a board."""
    return [Overview(board, site.standings[board.key], site.oracles) for board in site.boards]
