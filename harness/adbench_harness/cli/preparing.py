"""adbench run --prepare-only: the images of runs decoded once, for machines that then only read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..data.listing import Listing
    from ..home import Home
    from ..plan import RunRequest


def prepare_all(requests: Sequence[RunRequest], home: Home, quiet: bool) -> int:
    """Have every image that the runs will need in the home's cache; the exit status is that of the worst that can't be."""
    from ..api import AdbenchError, InterruptedRunError
    from ..data.prepare import prepare
    from ..plan import plan
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
            try:
                made = plan(request, home, listings, lambda done, total: advance("compare", done, total))
                samples = made.samples("train", "held_out", "test")
                found = prepare(
                    made.listing, samples, made.protocol.fit, home, lambda done, total: advance("prepare", done, total)
                )
                words = f"{title}: {len(samples)} images in {found.folder}"
            except InterruptedRunError:
                raise
            except AdbenchError as error:
                words, status = f"{title}: {error}", max(status, error.exit_code)
            progress.stop()
            if words not in said:  # one line for all models
                said.add(words)
                click.echo(words)
    return status
