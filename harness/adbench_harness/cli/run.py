"""adbench run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import (
    Device,
    Duration,
    Numbers,
    Setting,
    home_option,
    json_option,
    keep_weights_option,
    protocol_option,
    results_option,
)

if TYPE_CHECKING:
    from ..retention import KeepWeights


@click.command()
@click.option("--model", "-m", required=True, help="Name of a model; see `adbench models list`.")
@click.option("--dataset", "-d", required=True, help="Name of a dataset; see `adbench datasets list`.")
@protocol_option("Rules of the comparison.")
@click.option("--split", "splits", type=Numbers(), default="0", show_default=True, help="0, 0,2, 0..4 or all.")
@click.option("--seed", "seeds", type=Numbers(), default="0", show_default=True, help="0, 0,2, 0..4 or all.")
@click.option("--device", type=Device(), default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--set", "settings", type=Setting(), multiple=True, help="A model option, or a protocol field (then off-protocol).")
@click.option("--train-size", type=int, help="Only so many of the training images, for a learning curve; never ranked.")
@click.option("--eval-dataset", help="Test the trained detector on this dataset as well; never ranked.")
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
    model: str,
    dataset: str,
    protocol: str,
    splits: tuple[int, ...] | str,
    seeds: tuple[int, ...] | str,
    device: str,
    settings: tuple[tuple[str, str], ...],
    train_size: int | None,
    eval_dataset: str | None,
    time_limit: float | None,
    fresh: bool,
    keep_weights: KeepWeights,
    quiet: bool,
    home: Path | None,
    results_folder: Path | None,
    as_json: bool,
) -> None:
    """Train a detector on a dataset's normal images and score its test images.

    A run that is done is not done again. One that was interrupted goes on from its checkpoint.

    \b
    Examples:
      adbench run --model pca --dataset phantom
      adbench run --model multikd --dataset mias-patches --seed 0..4
      adbench run --model pca --dataset phantom --train-size 40
      adbench run --model multikd --dataset brain-tumor-mri --eval-dataset head-ct
      adbench run --model multikd --dataset phantom --set teacher=random --set epochs=5
    """
    from .. import registry
    from ..home import Home, Results

    registry.find("model", model)  # a mistyped name is told at once
    for name in filter(None, (dataset, eval_dataset)):
        registry.dataset(name)
    from ..plan import RunRequest
    from .dataset_files import offer_fetch
    from .running import make_runs

    spec = registry.protocol(protocol).spec
    words = dict(settings)
    if train_size is not None:
        words["train_size"] = str(train_size)
    chosen_splits = range(spec.splits) if isinstance(splits, str) else splits
    chosen_seeds = spec.seeds if isinstance(seeds, str) else seeds
    requests = [
        RunRequest(model, dataset, protocol, split, seed, device, words, eval_dataset)
        for split in chosen_splits
        for seed in chosen_seeds
    ]
    if not as_json:
        for name in filter(None, (dataset, eval_dataset)):
            offer_fetch(name, Home.at(home))
    status = make_runs(
        requests,
        Home.at(home),
        Results.at(results_folder),
        time_limit=time_limit,
        fresh=fresh,
        keep_weights=keep_weights,
        quiet=quiet or as_json,
        as_json=as_json,
    )
    raise SystemExit(status)
