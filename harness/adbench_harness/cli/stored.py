"""The results folder that a command reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..home import Results


def must_exist(folder: Results) -> Results:
    """The results folder, if there is one. Raises StoreError: a mistyped path must not make an empty store."""
    from ..api import StoreError

    if not folder.root.is_dir():
        raise StoreError(f"there is no results folder {folder.root}; make a run first, or name another with --results")
    return folder


def take_in(folder: Results) -> None:
    """Ingest what other processes left; what can't be taken in is said, and the rest is shown."""
    from ..api import StoreError
    from ..store.ingest import ingest

    try:
        done = ingest(folder)
    except StoreError as error:
        click.echo(f"adbench: warning: {error}", err=True)
    else:
        for words in done.warnings:
            click.echo(f"adbench: warning: {words}", err=True)
        for run_id, reason in done.refused.items():
            click.echo(f"adbench: warning: {run_id} left out: {reason}", err=True)
