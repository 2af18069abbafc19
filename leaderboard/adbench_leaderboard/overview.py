"""A board as one table: a row a model, a few figures a dataset, all of the split that stands for the dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from . import names
from .queries import NO_RULE
from .site import Site
from .standing import Place, Split, Standing
from .tables import Board, Cell, DatasetKey, ModelKey, Spread, newest


@dataclass(frozen=True)
class Overview:
    """What the first page says of a board, and what is exported of it."""

    board: Board
    standing: Standing

    @property
    def anchor(self) -> str:
        """What the board is called in addresses and file names."""
        return names.board_anchor(self.board.key)

    @property
    def rules(self) -> Sequence[str]:
        """The rules, those first that see no test label."""
        return sorted(self.board.rules, key=lambda rule: rule in self.board.newest.oracles)

    def split(self, dataset: DatasetKey) -> Split:
        """The split that stands for a dataset."""
        return self.standing.at(dataset)

    def cell(self, model: ModelKey, dataset: DatasetKey) -> Cell | None:
        """A model's runs at the split that stands for a dataset."""
        return self._at_split(self.board.cells.get((model, dataset)), dataset)

    def trivial(self, dataset: DatasetKey) -> Cell | None:
        """All runs at the split that stands for a dataset, to read off what takes no skill."""
        return self._at_split(self.board.trivial(dataset), dataset)

    def rate(self, model: ModelKey, dataset: DatasetKey, name: str, rule: str) -> Spread | None:
        """A figure at the split that stands for a dataset: mean over seeds and interval; its range is that of all splits and seeds."""
        shown = self.cell(model, dataset)
        found = shown.spread(name, rule) if shown else None
        every = self.board.cells[model, dataset].spread(name, rule) if found else None
        return replace(found, low=every.low, high=every.high, count=every.count) if found and every else None

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

    def all_runs(self, model: ModelKey) -> Cell:
        """All runs of a model on the board."""
        return Cell([run for (of, _), cell in self.board.cells.items() if of == model for run in cell.runs])

    def updated(self, model: ModelKey) -> str:
        """When the newest run of a model was made."""
        return newest(self.all_runs(model).runs).created

    def _at_split(self, cell: Cell | None, dataset: DatasetKey) -> Cell | None:
        runs = [run for run in cell.runs if run.split == self.standing.shown[dataset]] if cell else []
        return Cell(runs) if runs else None


def overviews(site: Site) -> list[Overview]:
    """One a board."""
    return [Overview(board, site.standings[board.key]) for board in site.boards]
