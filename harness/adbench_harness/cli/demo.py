"""adbench demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from .options import DEFAULT_PROTOCOL, home_option, keep_weights_option

if TYPE_CHECKING:
    from ..retention import KeepWeights

RUNS: Final[tuple[tuple[str, dict[str, str]], ...]] = (("pca", {}), ("multikd", {"teacher": "random", "epochs": "5"}))


@click.command()
@click.option(
    "--results",
    "results_folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("adbench-demo"),
    show_default=True,
    help="Folder for the demo's runs and site.",
)
@keep_weights_option
@home_option
def demo(results_folder: Path, keep_weights: KeepWeights, home: Path | None) -> None:
    """Run, store and publish on the embedded dataset: nothing to download, a few minutes on two cores.

    PCA, and Multi-KD with a teacher of random weights for 5 epochs, which is off-protocol and weak: it shows the way, not
    what the detector can do.
    """
    from ..home import Home, Results
    from ..plan import RunRequest
    from .leaderboard import build_site
    from .results import list_runs
    from .running import make_runs

    results = Results.at(results_folder)
    requests = [RunRequest(model, "phantom", DEFAULT_PROTOCOL, settings=settings) for model, settings in RUNS]
    status = make_runs(requests, Home.at(home), results, fresh=False, keep_weights=keep_weights, quiet=False, as_json=False)
    click.echo()
    list_runs(results)
    index = build_site(results, results.root / "site")
    click.echo(f"\nleaderboard: {index}")
    raise SystemExit(status)
