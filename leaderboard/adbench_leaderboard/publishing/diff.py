"""What changed from one built site to another, read from their ``leaderboard.json``."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from adbench_harness.api import OptionError
from adbench_harness.status import HERE

from .. import wording
from ..exports.document import PATH, VERSION
from ..queries import ALL, NO_RULE

Value = float | str | None
Numbers = Sequence[Value]
"""A figure and, if it has one, the ends of its interval."""
Figures = Mapping[tuple[str, ...], Numbers]
"""By what they are called, the figure's own name last."""
Kind = Literal["board", "dataset", "model", "run", "cell", "standing", "figure"]
What = Literal["added", "removed", "changed"]
T = TypeVar("T")

COUNTS: Final = frozenset({"tp", "fn", "fp", "tn", "n_abnormal", "n_normal"})
CLOSE: Final = 1e-12
"""Relative difference of numbers that are one number, computed on two machines."""


class _Part(BaseModel):
    """Of the document what is compared; the rest is left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Dataset(_Part):
    """A state of a dataset."""

    name: str
    fingerprint: str


class Model(_Part):
    """A model with its options."""

    id: str
    variant: str
    options: Mapping[str, Any]


class Run(_Part):
    """A run with its figures by task, rule and name."""

    run_id: str
    unranked: str | None
    status: str = HERE
    figures: Mapping[str, Mapping[str, Mapping[str, Numbers]]]


class Mean(_Part):
    """A figure over the runs of a cell."""

    value: float
    low: float | None
    high: float | None


class Cell(_Part):
    """A model on a dataset."""

    model: str
    dataset: str
    fingerprint: str
    split: int
    roc_auc: Mean | None
    rules: Mapping[str, Mapping[str, Mean | None]]


class Place(_Part):
    """Where a model stands."""

    model: str
    letters: str
    ranks: tuple[int, int]


class Standing(_Part):
    """Where models stand on a split of a dataset."""

    dataset: str
    fingerprint: str
    split: int
    models: Sequence[Place]


class Board(_Part):
    """A comparison under one protocol."""

    protocol: str
    protocol_version: int
    fit_digest: str
    evaluation_digest: str
    cells: Sequence[Cell]
    standings: Sequence[Standing]

    @property
    def title(self) -> str:
        """The protocol with its version and the digests that tell its rules."""
        return f"{self.protocol} version {self.protocol_version} ({self.fit_digest[:6]}, {self.evaluation_digest[:6]})"


class Document(_Part):
    """What a site says in figures."""

    schema_version: int
    adbench: str
    datasets: Sequence[Dataset]
    models: Sequence[Model]
    boards: Sequence[Board]
    runs: Sequence[Run]

    @model_validator(mode="after")
    def _models_are_there(self) -> Self:
        known = {one.id for one in self.models}
        cells = (cell.model for board in self.boards for cell in board.cells)
        places = (place.model for board in self.boards for one in board.standings for place in one.models)
        if strangers := {*cells, *places} - known:
            raise ValueError(f"there is no model {min(strangers)!r}")
        return self


@dataclass(frozen=True)
class Change:
    """One thing that is not as it was."""

    kind: Kind
    what: What
    name: str
    before: Any = None
    after: Any = None
    size: float | None = None
    """By how much a figure itself moved; None where it is no number on both sides, or only its interval moved."""
    seen: bool = True
    """Whether it shows in figures as they are printed; else all of it lies within rounding."""


@dataclass(frozen=True)
class Diff:
    """All that changed."""

    adbench: tuple[str, str]
    """Versions that made the sites; two of them are no difference by themselves."""
    changes: list[Change] = field(default_factory=list)


def read(path: Path) -> Document:
    """The document of a built site, or of a ``leaderboard.json`` itself.

    Raises:
        OptionError: if there is none, or it is of another form.
    """
    file = path / PATH if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        what = f"the site {path} has no {PATH}; build it again from a store with runs" if path.is_dir() else f"there is no {path}"
        raise OptionError(f"{what}; give a built site or a leaderboard.json") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror or error) if isinstance(error, OSError) else error
        raise OptionError(f"{file} can't be read: {reason}; give a built site or a leaderboard.json") from None
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != VERSION:
        stated = f"is of schema version {version}" if version is not None else "states no schema version"
        raise OptionError(f"{file} {stated}, and this adbench compares version {VERSION}; build both sites with one adbench")
    try:
        return Document.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise OptionError(f"{file} is not as adbench writes it: {place}: {first['msg']}; build the site again") from None


def diff(old: Document, new: Document) -> Diff:
    """What changed, in the order of a site: boards, datasets, models, runs, then figures of cells, standings, figures of runs."""
    return Diff((old.adbench, new.adbench), [*_there(old, new), *_unranked(old, new), *_boards(old, new), *_figures(old, new)])


def _there(old: Document, new: Document) -> Iterator[Change]:
    yield from (Change("board", what, one.title) for what, one in _pairs(old.boards, new.boards, _board_key))
    datasets = _pairs(old.datasets, new.datasets, lambda one: (one.name, one.fingerprint))
    yield from (Change("dataset", what, f"{one.name} ({one.fingerprint})") for what, one in datasets)
    yield from (Change("model", what, one.variant) for what, one in _pairs(old.models, new.models, _model_key))
    yield from (Change("run", what, one.run_id) for what, one in _pairs(old.runs, new.runs, lambda one: one.run_id))


def _unranked(old: Document, new: Document) -> Iterator[Change]:
    for before, after in _both(old.runs, new.runs, lambda one: one.run_id):
        if before.unranked != after.unranked:
            yield Change("run", "changed", before.run_id, before.unranked or "may be ranked", after.unranked or "may be ranked")
        if before.status != after.status:
            yield Change("run", "changed", before.run_id, before.status, after.status)


def _boards(old: Document, new: Document) -> Iterator[Change]:
    names = [{one.id: one for one in document.models} for document in (old, new)]
    for before, after in _both(old.boards, new.boards, _board_key):
        cells = [
            {_cell_key(one, known[one.model]): one for one in board.cells}
            for board, known in zip((before, after), names, strict=True)
        ]
        for key in _order(*cells):
            was, now = (found.get(key) for found in cells)
            one = was or now
            assert one is not None
            name = f"{before.title}, {one.dataset}, {(names[0] if was else names[1])[one.model].variant}"
            if was is None or now is None:
                yield Change("cell", "added" if was is None else "removed", name)
            else:
                yield from _values("cell", name, _cell_values(was), _cell_values(now))
        yield from _standings(before, after, names)


def _standings(before: Board, after: Board, names: Sequence[Mapping[str, Model]]) -> Iterator[Change]:
    found: list[dict[Hashable, tuple[str, Place]]] = []
    for board, known in zip((before, after), names, strict=True):
        found.append(
            {
                (one.dataset, one.fingerprint, one.split, _model_key(known[place.model])): (
                    f"{board.title}, {one.dataset} split {one.split}, {known[place.model].variant}",
                    place,
                )
                for one in board.standings
                for place in one.models
            }
        )
    for key in _order(*found):
        was, now = (one.get(key) for one in found)
        if was and now and (was[1].ranks, was[1].letters) != (now[1].ranks, now[1].letters):
            yield Change("standing", "changed", was[0], _standing_words(was[1]), _standing_words(now[1]))


def _figures(old: Document, new: Document) -> Iterator[Change]:
    for before, after in _both(old.runs, new.runs, lambda one: one.run_id):
        yield from _values("figure", before.run_id, _run_values(before), _run_values(after))


def _values(kind: Kind, name: str, old: Figures, new: Figures) -> Iterator[Change]:
    for key in _order(old, new):
        was, now = old.get(key), new.get(key)
        title = f"{name}, {' '.join(part for part in key if part not in (ALL, NO_RULE))}"
        if was is None or now is None:
            yield Change(kind, "added" if was is None else "removed", title, was, now)
        elif not _same(was, now):
            seen = printed(key[-1], was) != printed(key[-1], now)
            yield Change(kind, "changed", title, was, now, _size(was[0], now[0]), seen)


def _size(old: Value, new: Value) -> float | None:
    if isinstance(old, str) or isinstance(new, str) or old is None or new is None or _equal(old, new):
        return None
    return new - old


def printed(name: str, numbers: Numbers) -> str:
    """A figure and its interval as pages print them."""
    write = wording.count if name in COUNTS else wording.number if name == "threshold" else wording.rate
    value, *ends = [one if isinstance(one, str) else write(one) for one in numbers]
    return f"{value} [{', '.join(ends)}]" if ends else value


def _cell_values(cell: Cell) -> Figures:
    means: dict[tuple[str, ...], Mean | None] = {("ROC AUC",): cell.roc_auc}
    means |= {(rule, name): mean for rule, found in cell.rules.items() for name, mean in found.items()}
    return {key: [mean.value, mean.low, mean.high] for key, mean in means.items() if mean is not None}


def _run_values(run: Run) -> Figures:
    return {
        (task, rule, name): numbers
        for task, rules in run.figures.items()
        for rule, figures in rules.items()
        for name, numbers in figures.items()
    }


def _same(old: Numbers, new: Numbers) -> bool:
    return len(old) == len(new) and all(map(_equal, old, new))


def _equal(old: Value, new: Value) -> bool:
    if isinstance(old, float | int) and isinstance(new, float | int):
        return abs(old - new) <= CLOSE * max(abs(old), abs(new), 1.0)
    return old == new


def _standing_words(place: Place) -> str:
    low, high = place.ranks
    return f"rank {low}" + (f"\N{EN DASH}{high}" if low != high else "") + (f", {place.letters}" if place.letters else "")


def _board_key(board: Board) -> Hashable:
    return board.protocol, board.protocol_version, board.fit_digest, board.evaluation_digest


def _model_key(model: Model) -> Hashable:
    return model.variant, json.dumps(model.options, sort_keys=True)


def _cell_key(cell: Cell, model: Model) -> Hashable:
    return cell.dataset, cell.fingerprint, cell.split, _model_key(model)


def _pairs(old: Iterable[T], new: Iterable[T], key: Callable[[T], Hashable]) -> Iterator[tuple[What, T]]:
    """What only one side has: first what was added, then what was removed."""
    before, after = ({key(one): one for one in side} for side in (old, new))
    yield from (("added", one) for name, one in after.items() if name not in before)
    yield from (("removed", one) for name, one in before.items() if name not in after)


def _both(old: Iterable[T], new: Iterable[T], key: Callable[[T], Hashable]) -> Iterator[tuple[T, T]]:
    after = {key(one): one for one in new}
    yield from ((one, after[key(one)]) for one in old if key(one) in after)


def _order(old: Mapping[Any, object], new: Mapping[Any, object]) -> list[Any]:
    """Keys of both, the old ones first, each once."""
    return list(dict.fromkeys((*old, *new)))


SIGNS: Final[Mapping[What, str]] = {"added": "+", "removed": "-", "changed": "~"}


def lines(found: Diff) -> Iterator[str]:
    """The changes for people: one a line, those of a run's own figures in one line a run, those within rounding as a number."""
    if found.adbench[0] != found.adbench[1]:
        yield f"made by adbench {found.adbench[0]}, then by {found.adbench[1]}"
    for change in found.changes:
        if change.seen and change.kind != "figure":
            yield _line(change)
    of_runs: dict[str, list[Change]] = {}
    for change in found.changes:
        if change.seen and change.kind == "figure":
            of_runs.setdefault(change.name.partition(", ")[0], []).append(change)
    for run, changes in of_runs.items():
        largest = max(changes, key=lambda one: abs(one.size or 0))
        rest = f"; {wording.plural(len(changes) - 1, 'more figure')} of {run}" if len(changes) > 1 else ""
        yield _line(largest) + rest
    if hidden := sum(not change.seen for change in found.changes):
        yield f"{wording.plural(hidden, 'figure')} changed within rounding"


def _line(change: Change) -> str:
    def words(side: Any) -> str:
        return side if isinstance(side, str) else printed(change.name.rpartition(" ")[2], side)

    line = f"{SIGNS[change.what]} {change.kind:<8} {change.name}"
    if change.what == "changed":
        line += f": {words(change.before)} -> {words(change.after)}"
    return line if change.size is None else f"{line} ({change.size:+.3g})"
