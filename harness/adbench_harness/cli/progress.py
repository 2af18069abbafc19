"""What a run shows while it works: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..plan import RunRequest
from ..training import Moment
from .show import console

LINE_SECONDS: Final = 30.0
FEWEST_LINES: Final = 3
UNITS: Final = {"compare": "images", "prepare": "images", "score": "images"}


class RunProgress:
    """Listens to the stages of a run; call ``start`` before each run and ``stop`` after it. As a context it stops in any case."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self._console = console(stderr=True)
        self._bar = _bar(self._console, quiet, TextColumn("{task.fields[losses]}"))
        self._stage = self._title = ""
        self._said = 0.0

    def start(self, title: str) -> None:
        """A run begins."""
        self._stage, self._title = "", title
        for task in self._bar.task_ids:
            self._bar.remove_task(task)
        self._bar.start()

    def stop(self) -> None:
        """Take the bar away, so that others can print."""
        self._bar.stop()

    def __enter__(self) -> Self:
        """Nothing is shown yet."""
        return self

    def __exit__(self, *error: object) -> None:
        """Take the bar away before an error is printed."""
        self.stop()

    def __call__(self, moment: Moment) -> None:
        """One moment of a run."""
        if self._title and not self.quiet:  # only now is it sure that there is something to do
            self._console.print(self._title, markup=False)
            self._title = ""
        losses = "  ".join(f"{name} {value:.4g}" for name, value in moment.losses.items())
        if not self._bar.disable:
            self._update(moment, losses)
        elif not self.quiet:
            self._line(moment, losses)

    def _update(self, moment: Moment, losses: str) -> None:
        if moment.phase != self._stage:
            self._bar.add_task(moment.phase, total=moment.total, losses="")
            self._stage = moment.phase
        self._bar.update(self._bar.task_ids[-1], completed=moment.done, total=moment.total, losses=losses)

    def _line(self, moment: Moment, losses: str) -> None:
        now = time.monotonic()
        new = moment.phase != self._stage
        if new or moment.done == moment.total or now - self._said >= LINE_SECONDS:
            unit = UNITS.get(moment.phase, "")
            self._console.print(f"  {moment.phase} {moment.done}/{moment.total} {unit} {losses}".rstrip(), markup=False)
            self._stage, self._said = moment.phase, now


class MatrixProgress:
    """Of many runs at a time: a bar over all and a line for each that is being made on a terminal, now and then a line elsewhere."""

    def __init__(self, requests: Sequence[RunRequest], quiet: bool = False) -> None:
        self.quiet = quiet
        self._titles = [request.title for request in requests]
        self._console = console(stderr=True)
        self._bar = _bar(self._console, quiet)
        self._all = self._bar.add_task("all runs", total=len(requests))
        self._lines: dict[int, TaskID] = {}
        self._said: dict[int, float] = {}

    def __enter__(self) -> Self:
        """Show it."""
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Take it away."""
        self._bar.stop()

    def heard(self, number: int, phase: str, done: int, total: int) -> None:
        """How far a run is, by its place among the requests; the phase is empty as it begins."""
        title = self._titles[number]
        if number not in self._lines:
            self._lines[number] = self._bar.add_task(title, total=None, visible=False)
            self._said[number] = time.monotonic()
            self._show()
        if phase and not self._bar.disable:
            self._bar.update(self._lines[number], description=f"{title}: {phase}", completed=done, total=total)
        elif phase and not self.quiet and time.monotonic() - self._said[number] >= LINE_SECONDS:
            self._console.print(f"  {title}: {phase} {done}/{total}", markup=False)
            self._said[number] = time.monotonic()

    def ended(self, number: int) -> None:
        """A run is done, or has failed."""
        self._bar.advance(self._all)
        if (line := self._lines.pop(number, None)) is not None:
            self._bar.remove_task(line)
            self._show()

    def _show(self) -> None:
        """As many lines as the terminal has room for, those of the oldest runs; the first says how many there are."""
        room = max(FEWEST_LINES, self._console.height - 2)
        for place, line in enumerate(self._lines.values()):
            self._bar.update(line, visible=place < room)
        hidden = max(0, len(self._lines) - room)
        words = f"all runs, {len(self._lines)} being made" + (f", {room} of them below" if hidden else "")
        self._bar.update(self._all, description=words)


def _bar(screen: Console, quiet: bool, *more: ProgressColumn) -> Progress:
    """How far, how long it took and will take; nothing where there is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        *more,
        console=screen,
        transient=True,
        disable=quiet or not screen.is_terminal,
    )
