"""Bars of progress for commands that are no runs: on a terminal only, and gone when the work is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

Advance = Callable[[int, int | None], None]
"""Called with (done, in all or None)."""


@contextmanager
def bar_of_bytes(title: str, quiet: bool) -> Iterator[Advance]:
    """For what is downloaded or copied."""
    from rich.progress import DownloadColumn, TransferSpeedColumn

    with _bar(title, quiet, DownloadColumn(), TransferSpeedColumn()) as advance:
        yield advance


@contextmanager
def bar_of_images(title: str, quiet: bool) -> Iterator[Advance]:
    """For what is decoded."""
    from rich.progress import MofNCompleteColumn

    with _bar(title, quiet, MofNCompleteColumn()) as advance:
        yield advance


@contextmanager
def _bar(title: str, quiet: bool, *counts: ProgressColumn) -> Iterator[Advance]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from .show import console

    screen = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), *counts, TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=quiet or not screen.is_terminal) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
