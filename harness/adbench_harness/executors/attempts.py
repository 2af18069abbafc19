"""Runs one after another in this process, and what became of each: the same wherever the process is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..api import AdbenchError, BusyRunError, InterruptedRunError, StoreError
from ..data.listing import Listing
from ..plan import RunRequest, plan
from ..runner import Conditions, Outcome, run_one
from ..store.audits import audit_files
from ..store.evaluated import Evaluated, evaluate_run
from ..store.figures import Rulebook
from ..training import Moment
from ..transfer import check_other, elsewhere, transfer


@dataclass(frozen=True)
class Attempt:
    """What became of one request."""

    request: RunRequest
    outcome: Outcome | None
    error: AdbenchError | None = None
    evaluated: Evaluated | None = None
    """The run's rows for the database, if it was made just now."""


def execute(requests: Iterable[RunRequest], conditions: Conditions) -> Iterator[Attempt]:
    """Make each run; one that fails does not stop the others, a stop by the user does.

    A request to test on another dataset as well gives two attempts. A run that another process makes is waited for at the end.
    """
    listings: dict[str, Listing] = {}
    busy: list[RunRequest] = []
    for request in requests:
        for attempt in attempts_of(request, conditions, listings):
            if isinstance(attempt.error, BusyRunError):
                busy.append(request)
            else:
                yield attempt
    for request in busy:
        yield from attempts_of(request, replace(conditions, wait=True), listings)


def attempts_of(request: RunRequest, conditions: Conditions, listings: dict[str, Listing]) -> Iterator[Attempt]:
    """Make one run.

    Args:
        request: the run.
        conditions: where and how it is made.
        listings: datasets that this process has listed, by name: a large one takes seconds, and every run of it is on the same files.

    Raises:
        InterruptedRunError: if the user has asked to stop. Any other error is the attempt's.
    """

    def compared(done: int, total: int) -> None:
        conditions.listen(Moment("compare", done, total))
        if conditions.stop():
            raise InterruptedRunError("stopped while images were compared; the same command goes on with those that are left")

    try:
        base = plan(replace(request, eval_dataset=None), conditions.home, listings, compared)
        other = None
        if request.eval_dataset is not None:  # what can't be tested is said before anything is trained
            other = plan(elsewhere(request, request.eval_dataset), conditions.home, listings, compared)
            check_other(base, other)
        yield _evaluated(Attempt(base.request, run_one(base, conditions)), conditions)
        if other is not None:
            yield _evaluated(Attempt(request, transfer(base, other, conditions)), conditions)
    except InterruptedRunError:
        raise
    except AdbenchError as error:
        yield Attempt(request, None, error)


def _evaluated(attempt: Attempt, conditions: Conditions) -> Attempt:
    """With the figures, which take longer than all else that the database needs."""
    if attempt.outcome is None or attempt.outcome.already_done:
        return attempt
    try:
        audits, _ = audit_files(conditions.results.audits)
        return replace(attempt, evaluated=evaluate_run(attempt.outcome.folder, audits, Rulebook()))
    except StoreError:  # whoever takes the run in says so
        return attempt
