"""Finished runs into the database as a command makes them: several at a time, since each time the whole file is copied."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ..api import StoreError
from ..home import Results
from .evaluated import Evaluated
from .ingest import ingest

SECONDS: Final = 2.0
"""Runs wait at least so long for others, unless the command ends."""
SHARE: Final = 20.0
"""After a write runs wait for so many times as long as it took: a large database takes no more than a twentieth of the time."""


MOST_SECONDS: Final = 30.0
"""No longer than that: what many that wait take is their own, and would have still more wait for the next."""


@dataclass
class Intake:
    """Runs that wait to be taken in. They are safe in their folders: one that can't be is a warning, and the next command takes it in.

    While the database can't be written, the same reason is said once.
    """

    results: Results
    warn: Callable[[str], None]
    _waiting: dict[str, Evaluated | None] = field(default_factory=dict)
    _due: float = 0.0
    _said: str = ""

    def add(self, run_id: str, evaluated: Evaluated | None) -> None:
        """Take a run in, now or with others; with its rows, if they are known."""
        self._waiting[run_id] = evaluated
        if time.monotonic() >= self._due:
            self.write()

    def write(self) -> None:
        """Take in all that wait."""
        if not self._waiting:
            return
        start = time.monotonic()
        waiting, self._waiting = self._waiting, {}
        try:
            done = ingest(self.results, waiting)
        except StoreError as error:
            if self._said != (reason := str(error)):
                self.warn(reason)
            self._said = reason
        else:
            self._said = ""
            for words in done.warnings:
                self.warn(words)
            for run_id in waiting.keys() & done.refused.keys():
                self.warn(f"{run_id} is not in the database: {done.refused[run_id]}")
        now = time.monotonic()
        self._due = now + min(max(SECONDS, SHARE * (now - start)), MOST_SECONDS)
