"""adbench run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from .options import (
    ALL,
    DEFAULT_PROTOCOL,
    Device,
    Duration,
    Names,
    Numbers,
    Setting,
    home_option,
    json_option,
    keep_weights_option,
    named,
    results_option,
)

if TYPE_CHECKING:
    from ..home import Home
    from ..matrix import Matrix
    from ..matrix import Setting as ForModel
    from ..retention import KeepWeights
    from .asking import Said


@click.command()
@click.argument("file", metavar="[MATRIX.toml]", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--model", "-m", "models", type=Names(), multiple=True, help="Name of a model, a,b or all; see `adbench models list`."
)
@click.option(
    "--dataset", "-d", "datasets", type=Names(), multiple=True, help="Name of a dataset, a,b or all; see `adbench datasets list`."
)
@click.option(
    "--protocol",
    "protocols",
    type=Names(),
    multiple=True,
    help=f"Rules of the comparison, a,b or all.  [default: {DEFAULT_PROTOCOL}]",
)
@click.option("--split", "splits", type=Numbers(), help="0, 0,2, 0..4 or all.  [default: 0]")
@click.option("--seed", "seeds", type=Numbers(), help="0, 0,2, 0..4 or all.  [default: 0]")
@click.option("--device", type=Device(), help="auto, cpu, cuda, cuda:N or mps.  [default: auto]")
@click.option(
    "--set",
    "settings",
    type=Setting(),
    multiple=True,
    help="A model option, or a protocol field (then off-protocol). MODEL:NAME=VALUE is for one model; several values are several runs.",
)
@click.option("--train-size", type=int, help="Only so many of the training images, for a learning curve; never ranked.")
@click.option("--eval-dataset", help="Test the trained detector on this dataset as well; never ranked.")
@click.option("--dry-run", is_flag=True, help="Show what is done, what is to do and how long it may take; run nothing.")
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(1, 1024),
    help="Processes, each making a run at a time.  [default: one a GPU, else one; a single run is made in this one]",
)
@click.option("--keep-going/--fail-fast", default=True, show_default=True, help="Whether the others go on when one fails.")
@click.option(
    "--time-limit", type=Duration(), help="For one run: 90s, 15m, 2h. Then its checkpoint is kept, and the status is 124."
)
@click.option("--fresh", is_flag=True, help="Start over instead of going on from a checkpoint.")
@keep_weights_option
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@home_option
@results_option
@json_option
def run(
    file: Path | None,
    dry_run: bool,
    jobs: int | None,
    keep_going: bool,
    time_limit: float | None,
    fresh: bool,
    keep_weights: KeepWeights,
    quiet: bool,
    home: Path | None,
    results_folder: Path | None,
    as_json: bool,
    **words: Any,
) -> None:
    """Train detectors on a dataset's normal images and score its test images.

    Every combination of what is named is a run; a file may name it, with these options as its keys. A run that is done is not done
    again. One that was interrupted goes on from its checkpoint.

    \b
    Examples:
      adbench run --model pca --dataset phantom
      adbench run --model multikd --dataset mias-patches --seed 0..4
      adbench run --model all --dataset all --split all --dry-run
      adbench run --model pca,multikd --dataset phantom --set multikd:teacher=random --set components=16 --set components=64
      adbench run --model multikd --dataset brain-tumor-mri --eval-dataset head-ct
      adbench run matrix.toml --seed 0..4
    """
    from ..home import Home, Results
    from .asking import matrix_of

    matrix, place, results = matrix_of(_said(**words), file), Home.at(home), Results.at(results_folder)
    if not as_json and not dry_run:
        _offer(matrix, place)
    from ..matrix import spread

    asked = spread(matrix, place)
    for name, reason in asked.left_out.items():
        click.echo(f"adbench: {name} is left out: {reason}", err=True)
    if dry_run:
        from .dry_run import show

        raise SystemExit(show(asked.runs, place, results, matrix.device, as_json))
    from ..executors.processes import devices
    from .running import make_runs

    status = make_runs(
        asked.runs,
        place,
        results,
        fresh=fresh,
        keep_weights=keep_weights,
        quiet=quiet or as_json,
        as_json=as_json,
        time_limit=time_limit,
        fail_fast=not keep_going,
        devices=devices(matrix.device, jobs) if jobs is not None or len(asked.runs) > 1 else None,
    )
    raise SystemExit(status)


def _said(
    models: Sequence[Sequence[str]],
    datasets: Sequence[Sequence[str]],
    protocols: Sequence[Sequence[str]],
    splits: Sequence[int] | Literal["all"] | None,
    seeds: Sequence[int] | Literal["all"] | None,
    settings: Sequence[tuple[str, str]],
    device: str | None,
    eval_dataset: str | None,
    train_size: int | None,
) -> Said:
    """What the options of a matrix say."""
    from .asking import Said

    names = (named(models), named(datasets), named(protocols))
    return Said(*names, splits or (), seeds or (), _settings(settings), device, eval_dataset, train_size)


def _offer(matrix: Matrix, home: Home) -> None:
    """Ask whether datasets that are named and not here should be fetched."""
    from .dataset_files import offer_fetch

    for name in (*(() if matrix.datasets == ALL else matrix.datasets), *filter(None, (matrix.eval_dataset,))):
        offer_fetch(name, home)


def _settings(words: Sequence[tuple[str, str]]) -> list[ForModel]:
    """``NAME=VALUE`` and ``MODEL:NAME=VALUE``."""
    from ..matrix import Setting as ForModel

    found = []
    for left, word in words:
        model, colon, name = left.rpartition(":")
        found.append(ForModel(name, word, model if colon else None))
    return found
