"""adbench run."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click
from click.core import ParameterSource

from .executing import CHOOSING, driver_of, executor_options
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
    from ..plan import RunRequest
    from .asking import Said


AUTO: Final = "auto"
MANNER: Final = ("fresh", "if_moved", "keep_weights", "time_limit")
"""Options that say how each run is made."""
REPEATED: Final = frozenset(["home", "results_folder", *CHOOSING, *MANNER]) - {"fresh"}
"""Options that say where and how runs are made, and not what they are. To start over again would throw away what a checkpoint holds."""


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
@click.option("--prepare-only", is_flag=True, help="Decode the images of all runs into the home's cache; train nothing.")
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(1, 1024),
    help="Runs at a time.  [default: one a GPU, else one; as many as a cluster has room for; a single run is made in this process]",
)
@executor_options
@click.option("--keep-going/--fail-fast", default=True, show_default=True, help="Whether the others go on when one fails.")
@click.option(
    "--time-limit", type=Duration(), help="For one run: 90s, 15m, 2h. Then its checkpoint is kept, and the status is 124."
)
@click.option(
    "--if-moved",
    type=click.Choice(["refuse", "restart", "go-on"]),
    default="refuse",
    show_default=True,
    help="What to do with a checkpoint of other hardware, threads or versions. What goes on is said in the run's manifest.",
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
    prepare_only: bool,
    jobs: int | None,
    keep_going: bool,
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
      adbench run --model all --dataset all --split all --seed 0..4 --dry-run
      adbench run --model pca,multikd --dataset phantom --set multikd:teacher=random --set components=16 --set components=64
      adbench run --model multikd --dataset brain-tumor-mri --eval-dataset head-ct
      adbench run matrix.toml --seed 0..4 --executor ray --address auto --gpus 0.5
      adbench run matrix.toml --executor slurm --partition gpu --gpus 1 --walltime 4h --dry-run
    """
    from ..home import Home, Results
    from .asking import matrix_of

    chosen, manner = ({name: words.pop(name) for name in some} for some in (CHOOSING, MANNER))
    matrix, place, results = matrix_of(_said(**words), file), Home.at(home), Results.at(results_folder)
    asked = _spread(matrix, place, offer=not as_json and not dry_run)
    if prepare_only:
        from .preparing import prepare_all

        raise SystemExit(prepare_all(asked, place, quiet))
    driver = driver_of(chosen, jobs, len(asked))
    if dry_run:
        from .dry_run import show

        raise SystemExit(show(asked, place, results, matrix.device, as_json, driver))
    from .running import make_runs

    raise SystemExit(
        make_runs(
            asked,
            place,
            results,
            quiet=quiet or as_json,
            as_json=as_json,
            fail_fast=not keep_going,
            driver=driver,
            again=_again(click.get_current_context()),
            **manner,
        )
    )


def _spread(matrix: Matrix, home: Home, offer: bool) -> list[RunRequest]:
    """The runs; perhaps with an offer to fetch what is not here, and a word of what "all" leaves out."""
    from ..matrix import spread

    if offer:
        _offer(matrix, home)
    asked = spread(matrix, home)
    for name, reason in asked.left_out.items():
        click.echo(f"adbench: {name} is left out: {reason}", err=True)
    return asked.runs


def _again(context: click.Context) -> Callable[[RunRequest], str]:
    """The command that makes one run as this one makes it: on its device, which a file may name, and with what is said of place and manner."""
    words: list[str] = []
    for option in context.command.params:
        value = context.params[option.name or ""]
        given = context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
        if given and isinstance(option, click.Option) and option.name in REPEATED:
            for one in value if option.multiple else [value]:
                words += [option.opts[0], _typed(one)]

    def again(request: RunRequest) -> str:
        device = [] if request.device == AUTO else ["--device", request.device]
        return " ".join(filter(None, (request.command, shlex.join([*device, *words]))))

    return again


def _typed(value: object) -> str:
    """An option's value as it would be typed."""
    if isinstance(value, float):  # seconds; no unit, no exponent
        return f"{value:f}".rstrip("0").rstrip(".")
    return "=".join(value) if isinstance(value, tuple) else str(value)


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
