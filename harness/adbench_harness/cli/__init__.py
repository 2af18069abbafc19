"""The command line: one module a noun. Only click is imported here; each command imports what it needs in its body."""

from __future__ import annotations

import os
import sys

import click

from .. import __version__
from .datasets import datasets
from .demo import demo
from .leaderboard import leaderboard
from .models import models
from .plugins import plugins
from .protocols import protocols
from .results import results
from .run import run
from .scaffolding import new_dataset, new_model
from .score import score
from .standard_output import ours_alone


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="adbench")
def cli() -> None:
    """Evaluation harness for medical anomaly detection.

    Train a detector on normal images, score every test image, keep every score, publish a leaderboard.

    \b
    Example:
      adbench run --model pca --dataset phantom
      adbench results list
      adbench leaderboard build --out site
    """


for command in (run, score, demo, models, datasets, protocols, plugins, results, leaderboard):
    cli.add_command(command)
models.add_command(new_model)
datasets.add_command(new_dataset)


def main() -> None:
    """Run the command line; every error that we foresee is one line on stderr and an exit status."""
    # Before torch is imported anywhere: idle OpenMP threads that spin slow two busy processes by up to 200 times.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        with ours_alone():
            status = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        status = _say("interrupted", 130)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except KeyboardInterrupt:
        status = _say("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone; nothing more to flush
        status = 0
    except Exception as error:
        status = _foreseen(error)
    sys.exit(status if isinstance(status, int) else 0)


def _foreseen(error: Exception) -> int:
    """Exit status of an error with a message for the user; any other is a defect of ours, and is raised."""
    from ..api import AdbenchError

    if os.environ.get("ADBENCH_DEBUG"):
        raise error
    if isinstance(error, AdbenchError):
        return _say(f"error: {error}", error.exit_code)
    if isinstance(error, OSError):
        return _say(f"error: {error}", 1)
    raise error


def _say(message: str, status: int) -> int:
    click.echo(f"adbench: {message}", err=True)
    return status
