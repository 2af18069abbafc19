"""Where runs are made: the options that choose an executor, and say what it is to be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from .options import CommandT, Setting

if TYPE_CHECKING:
    from ..executors.driving import Driver

LOCAL: Final = "local"
NAMED: Final[Mapping[str, str]] = {
    "address": "Ray: address of a cluster; auto finds one on this machine.  [default: a new one on this machine]",
    "gpus": "Ray, SLURM: GPUs for each run; with Ray a part of one, such as 0.25.",
    "cpus": "Ray, SLURM: processor cores for each run.",
    "retries": "Ray: how often a run that was lost with its machine is made again.",
    "partition": "SLURM: partition.",
    "account": "SLURM: account.",
    "walltime": "SLURM: time of a job: 90m, 4h. A run that needs longer goes on in the next.",
}
"""Options of executors that have a name of their own."""
CHOOSING: Final = ("executor", "executor_settings", *NAMED)
"""All that ``executor_options`` gives a command."""


def executor_options(command: CommandT) -> CommandT:
    """``--executor`` and what goes with it."""
    command = click.option(
        "--executor-option",
        "executor_settings",
        type=Setting(),
        multiple=True,
        help="Any other option of the executor; see `adbench plugins show`.",
    )(command)
    for name, words in reversed([*NAMED.items()]):
        command = click.option(f"--{name}", help=words)(command)
    return click.option("--executor", help="Where runs are made: local, ray, slurm, or a plugin's.  [default: local]")(command)


def driver_of(chosen: Mapping[str, Any], jobs: int | None, runs: int) -> Driver | None:
    """The executor that is asked for, or one that is needed; None where a single run is made in this process.

    Args:
        chosen: what the options of ``CHOOSING`` say.
        jobs: runs at a time.
        runs: how many there are.

    Raises:
        UnknownNameError, PluginError: if there is no such executor, or it is broken.
        OptionError: for an option that it lacks, or a value that it refuses.
    """
    executor, words = chosen["executor"], {name: chosen[name] for name in NAMED if chosen[name] is not None}
    words |= dict(chosen["executor_settings"])
    if executor is None and jobs is None and runs == 1 and not words:
        return None
    from .. import registry
    from ..executors.driving import Driver

    plugin = registry.executor(executor or LOCAL)
    return Driver(plugin, plugin.spec.options.parse(words), jobs)
