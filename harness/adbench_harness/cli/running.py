"""Make runs for a command: progress, signals, the database, and what is printed at the end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, replace
from types import FrameType
from typing import Any

import click
import duckdb

from ..api import AdbenchError, StoreError
from ..checkpoint import IfMoved
from ..executors.attempts import Attempt, execute
from ..executors.driving import Driver
from ..home import Home, Results
from ..metrics.evaluation import ALL, NO_RULE, RANDOM, Figure
from ..metrics.thresholds import FEWEST_HELD_OUT, TRIVIAL
from ..plan import RunRequest
from ..retention import KeepWeights
from ..runner import Conditions, Outcome
from ..store.audits import audit_files
from ..store.database import reading
from ..store.evaluated import evaluate_run
from ..store.figures import Rulebook
from ..store.intake import Intake
from ..store.queries import figures_of
from .progress import MatrixProgress, RunProgress
from .show import duration, estimate, figure, print_json, print_rows, rule_words


def make_runs(
    requests: list[RunRequest],
    home: Home,
    results: Results,
    *,
    fresh: bool,
    keep_weights: KeepWeights,
    quiet: bool,
    as_json: bool,
    time_limit: float | None = None,
    if_moved: IfMoved = "refuse",
    fail_fast: bool = False,
    driver: Driver | None = None,
    again: Callable[[RunRequest], str] = lambda request: request.command,
) -> int:
    """Make runs, take each into the database, print what came out; the exit status.

    Args:
        requests: the runs.
        home: where the data lies.
        results: where runs go.
        fresh: whether to start over where there is a checkpoint.
        keep_weights: whose weights stay.
        quiet: whether to show no progress.
        as_json: whether to print JSON.
        time_limit: seconds for a run.
        if_moved: what to do with a checkpoint of other hardware, threads or versions.
        fail_fast: whether one that fails ends it all.
        driver: makes them elsewhere; None makes them in this process, one after another.
        again: the command that makes one of them again.

    Raises:
        AdbenchError: if the only run fails. Of several, each failure is said and the others go on.
    """
    tried, failed = 0, list[tuple[RunRequest, AdbenchError]]()  # of thousands of runs no more than that is held
    plain: list[dict[str, Any]] = []
    with stop_on_signal() as stop:
        conditions = Conditions(home, results, fresh, keep_weights, stop=stop.asked, time_limit=time_limit, if_moved=if_moved)
        with _taking_in(results) as intake, _making(requests, conditions, driver, quiet) as made:
            for number, attempt in made:
                if attempt.error is not None and len(requests) == 1:
                    raise attempt.error
                _let_go(attempt.error)
                ended = _ends(attempt, requests[number])
                tried += ended
                found = _take_in(attempt, intake)
                if as_json:
                    plain.append(_plain(attempt, found))
                else:
                    _print_attempt(attempt, tried if ended else tried + 1, len(requests), found)
                if attempt.error is not None:
                    failed.append((attempt.request, attempt.error))
                    if fail_fast:
                        break
    if as_json:
        print_json(plain)
    if failed and not as_json:
        _print_failures(failed, tried, len(requests), again)
    return max((error.exit_code for _, error in failed), default=0)


def _ends(attempt: Attempt, request: RunRequest) -> bool:
    """Whether it is the last of its request: where it is to be tested on another dataset as well, the run alone comes first."""
    return attempt.error is not None or attempt.request.eval_dataset == request.eval_dataset


def _let_go(error: BaseException | None) -> None:
    """Keep an error's words alone: its frames, and those of what caused it, hold the detector and the images of a run, on a GPU perhaps."""
    if error is not None:
        error.__traceback__ = error.__cause__ = error.__context__ = None


@contextmanager
def _making(
    requests: Sequence[RunRequest], conditions: Conditions, driver: Driver | None, quiet: bool
) -> Iterator[Iterator[tuple[int, Attempt]]]:
    """Attempts as they are done, with the place of the request, while it is shown how far they are."""
    if driver is None:
        with RunProgress(quiet) as progress:
            yield _one_by_one(requests, replace(conditions, listen=progress), progress)
    else:
        with MatrixProgress(requests, quiet) as board, closing(_at_a_time(requests, conditions, driver, board)) as made:
            yield made


def _one_by_one(requests: Sequence[RunRequest], conditions: Conditions, progress: RunProgress) -> Iterator[tuple[int, Attempt]]:
    left: list[int] = []  # begun and not ended; once all have begun, those that another process makes, in order
    place = -1

    def announced() -> Iterator[RunRequest]:
        nonlocal place
        for number, request in enumerate(requests):
            progress.start(request.title)
            left.append(number)
            yield request
        place = 0

    for attempt in execute(announced(), conditions):
        progress.stop()
        number = left[place]
        if _ends(attempt, requests[number]):
            left.pop(place)
        yield number, attempt


def _at_a_time(
    requests: Sequence[RunRequest], conditions: Conditions, driver: Driver, board: MatrixProgress
) -> Generator[tuple[int, Attempt]]:
    for number, attempt in driver.attempts(requests, conditions, board.heard):
        if _ends(attempt, requests[number]):
            board.ended(number)
        yield number, attempt


@contextmanager
def _taking_in(results: Results) -> Iterator[Intake]:
    """Whatever ends the command, the runs that it made are taken in; but at a second Ctrl-C nothing is waited for, and the next one does it."""
    intake, at_once = Intake(results, _warn), False
    try:
        yield intake
    except KeyboardInterrupt:
        at_once = True
        raise
    finally:
        if not at_once:
            intake.write()


def _warn(words: str) -> None:
    click.echo(f"adbench: warning: {words}", err=True)


def _print_failures(
    failed: Sequence[tuple[RunRequest, AdbenchError]], tried: int, asked: int, again: Callable[[RunRequest], str]
) -> None:
    """Each failure with its reason, and what makes that run alone."""
    untried = f", {left} {'was' if left == 1 else 'were'} not tried (--fail-fast)" if (left := asked - tried) else ""
    click.echo(f"adbench: {len(failed)} of {tried} runs failed{untried}:", err=True)
    for request, error in failed:
        click.echo(f"  {request.title}: {error}\n    {again(request)}", err=True)


class _Stop:
    """Set by the first Ctrl-C or SIGTERM: the run saves a checkpoint and ends. The second ends it at once."""

    def __init__(self) -> None:
        self._asked = False

    def asked(self) -> bool:
        return self._asked

    def signal(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        click.echo("adbench: stopping at the next step (again to stop at once)", err=True)


@contextmanager
def stop_on_signal() -> Iterator[_Stop]:
    """Whether the user has asked to stop, once; while it lasts a signal asks, and does not end the process."""
    stop = _Stop()
    before = {number: signal.signal(number, stop.signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _take_in(attempt: Attempt, intake: Intake) -> Sequence[Figure]:
    """Have the database take a run in, and say what did not work; the run's figures."""
    if attempt.outcome is None:
        return ()
    for warning in attempt.outcome.warnings:
        _warn(warning)
    outcome, evaluated = attempt.outcome, attempt.evaluated
    if evaluated is None and outcome.already_done:
        with suppress(StoreError, duckdb.Error), reading(intake.results.database) as db:
            if found := figures_of(db, outcome.manifest.run_id):
                return found
    try:
        evaluated = evaluated or evaluate_run(outcome.folder, audit_files(intake.results.audits)[0], Rulebook())
    except StoreError as error:
        _warn(f"{outcome.manifest.run_id} is not in the database: {error}")
        return ()
    intake.add(outcome.manifest.run_id, evaluated)
    return evaluated.figures


def _print_attempt(attempt: Attempt, number: int, runs: int, found: Sequence[Figure]) -> None:
    """A line of many, or all of the only one."""
    if runs > 1:
        _print_line(attempt, f"{number:>{len(str(runs))}}/{runs}", found)
    elif attempt.outcome is not None:
        _print_outcome(attempt.outcome, found)


def _print_line(attempt: Attempt, place: str, found: Sequence[Figure]) -> None:
    """One of many runs."""
    if attempt.outcome is None:
        click.echo(f"{place} {attempt.request.title}: failed: {attempt.error}")
        return
    manifest = attempt.outcome.manifest
    area = next((f for f in found if (f.task, f.rule, f.name) == (ALL, NO_RULE, "roc_auc")), None)
    elsewhere = f", tested on {attempt.request.eval_dataset}" if attempt.request.eval_dataset is not None else ""
    took = "already done" if attempt.outcome.already_done else duration(sum(manifest.timings.values()))
    unranked = f"; never ranked ({manifest.unranked})" if manifest.unranked is not None else ""
    click.echo(f"{place} {attempt.request.title}{elsewhere}: ROC AUC {_inline(area)}; {took}{unranked}")


def _inline(found: Figure | None) -> str:
    if found is None or found.interval is None:
        return figure(found.value if found is not None else None)
    return f"{found.value:.3f} [{found.interval.low:.3f}, {found.interval.high:.3f}]"


def _print_outcome(outcome: Outcome, found: Sequence[Figure]) -> None:
    manifest = outcome.manifest
    rules = Rulebook().of(manifest).rules
    learnt = f", trained on {manifest.cell.trained_on}" if manifest.cell.trained_on is not None else ""
    title = f"{manifest.variant} on {manifest.cell.dataset}{learnt}"
    areas = ["task", "normal", "abnormal", "ROC AUC", "PR AUC", "PR AUC\nof random scores"]
    print_rows(areas, _area_rows(found), title=f"{title}: values [95 % interval]", right=areas[1:])
    columns = ["task", "threshold rule", "sens.", "spec.", "prec.", "F1", "F1\nof random scores"]
    print_rows(columns, _rule_rows(found, rules), right=columns[2:])
    if manifest.unranked is not None:
        click.echo(f"stored and shown, never ranked ({manifest.unranked})")
    if outcome.already_done and manifest.received is not None:
        click.echo(f"came in a bundle {manifest.received.imported}, nothing was run: {outcome.folder}")
        click.echo(f"train it here with: adbench results verify {manifest.run_id} --retrain")
    elif outcome.already_done:
        click.echo(f"already done {manifest.created}, nothing to do: {outcome.folder}")
    else:
        click.echo(f"stored in {outcome.folder}")


def _area_rows(found: Sequence[Figure]) -> Iterator[list[object]]:
    at = {(f.task, f.rule, f.name): f for f in found}
    for task in dict.fromkeys(f.task for f in found):
        counts = [str(int(at[task, NO_RULE, name].value)) for name in ("n_normal", "n_abnormal")]
        areas = [with_interval(at.get((task, NO_RULE, name))) for name in ("roc_auc", "pr_auc", f"{RANDOM}pr_auc")]
        yield [task, *counts, *areas]


def _rule_rows(found: Sequence[Figure], rules: Sequence[str]) -> Iterator[list[object]]:
    """A row for each task and rule, the trivial one last."""
    at = {(f.task, f.rule, f.name): f for f in found}
    for task in dict.fromkeys(f.task for f in found):
        first = task
        for rule in dict.fromkeys([*rules, TRIVIAL]):
            if (task, rule, "threshold") in at:
                names = ("sensitivity", "specificity", "precision", "f1", f"{RANDOM}f1")
                yield [first, rule_words(rule), *(with_interval(at.get((task, rule, name))) for name in names)]
            else:
                yield [first, rule_words(rule), why_refused(rule, at, task), "", "", "", ""]
            first = ""


def why_refused(rule: str, at: Mapping[tuple[str, str, str], Figure], task: str) -> str:
    """Why a rule has no figures for a task."""
    held_out = at.get((task, NO_RULE, "n_held_out"))
    if (task, NO_RULE, "roc_auc") not in at:
        return "refused: one class only"
    return f"refused: {int(held_out.value) if held_out else 0} held-out normals, {FEWEST_HELD_OUT} are needed"


def with_interval(found: Figure | None) -> str:
    """A figure and its interval."""
    if found is None:
        return figure(None)
    return estimate(found.value, found.interval.low, found.interval.high) if found.interval else figure(found.value)


def _plain(attempt: Attempt, found: Sequence[Figure]) -> dict[str, Any]:
    if attempt.outcome is None:
        error = attempt.error or AdbenchError("not run")
        return {"request": attempt.request.command, "error": str(error)}
    outcome = attempt.outcome
    return {
        "run_id": outcome.manifest.run_id,
        "already_done": outcome.already_done,
        "imported": outcome.manifest.received is not None,
        "folder": str(outcome.folder),
        "unranked": outcome.manifest.unranked,
        "warnings": list(outcome.warnings),
        "metrics": [asdict(f) for f in found],
    }
