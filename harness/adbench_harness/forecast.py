"""What runs would do before they do it: which are done, which go on from a checkpoint, and how long the others may take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Literal

import duckdb

from .api import AdbenchError, StoreError
from .data.listing import Listing
from .device import choose_device, describe
from .home import Home, Results
from .plan import Plan, RunRequest, plan
from .result import find_run
from .store.database import reading

State = Literal["done", "goes on", "to do", "fails"]


@dataclass(frozen=True)
class Forecast:
    """One run."""

    request: RunRequest
    state: State
    variant: str
    run_id: str | None = None
    error: AdbenchError | None = None
    """Why it can't be made."""
    seconds: float | None = None
    """What it may take, from past runs on such a device; None if there was none like it, or nothing is to do."""
    alike: bool = False
    """Whether that is from runs on other datasets."""


@dataclass(frozen=True)
class PastTimes:
    """Seconds of stored runs on one kind of device, by model with its options, rules of training, and dataset."""

    device: str
    seconds: dict[tuple[str, str, str], list[float]]

    @classmethod
    def of(cls, results: Results, device: str) -> PastTimes:
        """Of runs in the database on a device of that name; none if there is no database."""
        found: dict[tuple[str, str, str], list[float]] = {}
        with suppress(StoreError, duckdb.Error), reading(results.database) as db:
            rows = db.execute("select variant, fit_digest, dataset, seconds from run where device = ?", [device]).fetchall()
            for variant, digest, dataset, seconds in rows:
                found.setdefault((variant, digest, dataset), []).append(seconds)
        return cls(device, found)

    def estimate(self, made: Plan) -> tuple[float | None, bool]:
        """Median seconds of runs like this one, and whether they were on other datasets."""
        variant, digest, dataset = made.variant, made.cell.fit_digest, made.cell.dataset
        if own := self.seconds.get((variant, digest, dataset)):
            return median(own), False
        others = [value for (v, d, _), values in self.seconds.items() if (v, d) == (variant, digest) for value in values]
        return (median(others), True) if others else (None, False)


def forecast(requests: Iterable[RunRequest], home: Home, results: Results, device: str) -> Iterator[Forecast]:
    """Each run, in order; nothing is trained, prepared or written.

    Raises:
        OptionError: if there is no such device.
    """
    past = PastTimes.of(results, describe(choose_device(device), "float32").device_name)
    listings: dict[str, Listing] = {}
    for request in requests:
        try:
            made = plan(request, home, listings)
        except AdbenchError as error:
            yield Forecast(request, "fails", request.model, error=error)
            continue
        if find_run(results.runs, made.run_id) is not None:
            yield Forecast(request, "done", made.variant, made.run_id)
            continue
        state: State = "goes on" if results.checkpoint(made.run_id).exists() else "to do"
        seconds, alike = past.estimate(made)
        yield Forecast(request, state, made.variant, made.run_id, None, seconds, alike)
