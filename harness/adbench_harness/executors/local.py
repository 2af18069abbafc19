"""Runs one after another in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..api import AdbenchError, InterruptedRunError
from ..data.listing import Listing
from ..plan import RunRequest, plan
from ..runner import Conditions, Outcome, run_one
from ..training import Moment
from ..transfer import check_other, transfer


@dataclass(frozen=True)
class Attempt:
    """What became of one request."""

    request: RunRequest
    outcome: Outcome | None
    error: AdbenchError | None = None


def execute(requests: Iterable[RunRequest], conditions: Conditions) -> Iterator[Attempt]:
    """Make each run; one that fails does not stop the others, a stop by the user does.

    A request to test on another dataset as well gives two attempts.
    """
    listings: dict[
        str, Listing
    ] = {}  # a large dataset takes seconds to list and compare, and every run of it is on the same files

    def compared(done: int, total: int) -> None:
        conditions.listen(Moment("compare", done, total))
        if conditions.stop():
            raise InterruptedRunError("stopped while images were compared; the same command goes on with those that are left")

    for request in requests:
        try:
            base = plan(replace(request, eval_dataset=None), conditions.home, listings, compared)
            other = None
            if request.eval_dataset is not None:  # what can't be tested is said before anything is trained
                settings = {name: value for name, value in (request.settings or {}).items() if name != "train_size"}
                elsewhere = replace(request, dataset=request.eval_dataset, eval_dataset=None, settings=settings)
                other = plan(elsewhere, conditions.home, listings, compared)
                check_other(base, other)
            yield Attempt(base.request, run_one(base, conditions))
            if other is not None:
                yield Attempt(request, transfer(base, other, conditions))
        except InterruptedRunError:
            raise
        except AdbenchError as error:
            yield Attempt(request, None, error)
