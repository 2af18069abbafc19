"""Figures of a site drawn by a process beside this one: vl-convert and our own code never run at once in one process."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from types import TracebackType
from typing import Final, Self

from markupsafe import Markup

from .bundle import vega
from .figure import Figure
from .render import svg

MANY: Final = 200
"""A site of so many runs has enough figures to pay for a process, which takes a second to start."""


class Drawings:
    """Draws figures, ahead of their pages where that helps."""

    def __init__(self, runs: int) -> None:
        """Of a site of so many runs."""
        self._beside: Executor | None = None
        if runs >= MANY and (os.cpu_count() or 1) > 1:
            # Not forked: the database's threads would be missing in the copy.
            self._beside = ProcessPoolExecutor(1, get_context("spawn"))
        self._begun: dict[int, tuple[Figure, Future[Markup]]] = {}
        """By the figure's address; it is kept, so that no other figure gets the same."""
        self._bundle = self._beside.submit(vega) if self._beside else None

    def begin(self, figures: Iterable[Figure]) -> None:
        """Draw figures beside what comes next."""
        if self._beside is None:
            return
        try:
            for figure in figures:
                self._begun[id(figure)] = (figure, self._beside.submit(svg, figure))
        except BrokenExecutor:
            self._beside = None

    def svg(self, figure: Figure) -> Markup:
        """A figure as ``render.svg`` draws it."""
        _, drawn = self._begun.pop(id(figure), (None, None))
        if drawn is not None:
            try:
                return drawn.result()
            except BrokenExecutor:  # the process was killed: what it would have done is done here
                self._beside = None
        return svg(figure)

    def vega(self) -> bytes:
        """The script behind interactive figures."""
        try:
            return self._bundle.result() if self._bundle else vega()
        except BrokenExecutor:
            return vega()

    def __enter__(self) -> Self:
        """As it is."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the process; what nobody waits for is not drawn."""
        if self._beside:
            self._beside.shutdown(cancel_futures=True)
