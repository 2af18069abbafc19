"""Runs one after another in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..api import AdbenchError, InterruptedRunError
from ..data.listing import Listing
from ..plan import RunRequest, plan
from ..runner import Conditions, Outcome, run_one


@dataclass(frozen=True)
class Attempt:
    """What became of one request."""

    request: RunRequest
    outcome: Outcome | None
    error: AdbenchError | None = None


def execute(requests: Iterable[RunRequest], conditions: Conditions) -> Iterator[Attempt]:
    """Make each run; one that fails does not stop the others, a stop by the user does."""
    listings: dict[
        str, Listing
    ] = {}  # a large dataset takes seconds to list and compare, and every run of it is on the same files
    for request in requests:
        try:
            yield Attempt(request, run_one(plan(request, conditions.home, listings), conditions))
        except InterruptedRunError:
            raise
        except AdbenchError as error:
            yield Attempt(request, None, error)
