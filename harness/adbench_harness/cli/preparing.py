"""adbench run --prepare-only: the images of runs decoded once, for machines that then only read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..data.listing import Listing
    from ..home import Home
    from ..plan import RunRequest


def prepare_all(requests: Sequence[RunRequest], home: Home, quiet: bool) -> int:
    """Have every image that the runs will need in the home's cache; the exit status is that of the worst that can't be."""
    from ..api import AdbenchError, InterruptedRunError
    from ..training import Moment
    from .progress import RunProgress
    from .running import stop_on_signal

    listings: dict[str, Listing] = {}
    said: set[str] = set()
    status = 0
    with RunProgress(quiet) as progress, stop_on_signal() as stop:

        def advance(stage: str, done: int, total: int) -> None:
            progress(Moment(stage, done, total))
            if stop.asked():
                raise InterruptedRunError(f"stopped during {stage}; the same command goes on")

        for request in requests:
            title = f"{request.dataset}, {request.protocol}, split {request.split}"
            progress.start(title)
            found: list[str] = []
            try:
                found += (f"{title}{words}" for words in _prepared(request, home, listings, advance))
            except InterruptedRunError:
                raise
            except AdbenchError as error:
                found.append(f"{title}: {error}")
                status = max(status, error.exit_code)
            progress.stop()
            for line in found:
                if line not in said:  # one line for all models
                    said.add(line)
                    click.echo(line)
    return status


def _prepared(
    request: RunRequest, home: Home, listings: dict[str, Listing], advance: Callable[[str, int, int], None]
) -> Iterator[str]:
    """What was prepared for a run, and for its test on another dataset: just what each asks for, since an entry is found by its images."""
    from ..data.prepare import prepare
    from ..plan import plan
    from ..transfer import check_other, elsewhere, left_of

    def compared(done: int, total: int) -> None:
        advance("compare", done, total)

    def prepared(done: int, total: int) -> None:
        advance("prepare", done, total)

    base = plan(request, home, listings, compared)
    samples = base.samples("train", "held_out", "test")
    yield f": {len(samples)} images in {prepare(base.listing, samples, base.protocol.fit, home, prepared).folder}"
    if request.eval_dataset is not None:
        other = plan(elsewhere(request, request.eval_dataset), home, listings, compared)
        check_other(base, other)
        tested = left_of(base, other, home, compared).test
        place = prepare(other.listing, tested, base.protocol.fit, home, prepared).folder
        yield f", tested on {request.eval_dataset}: {len(tested)} images in {place}"
