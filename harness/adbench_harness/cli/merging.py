"""adbench results merge, and how replicates are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .options import json_option, results_option

if TYPE_CHECKING:
    from ..home import Results
    from ..merging import Merged, Taken
    from ..replicates import Comparison, Replicate, Side
    from ..status import Agreement

SHOWN: Final = 20
"""Unequal results that are told one by one."""


@click.command("merge")
@click.argument("others", metavar="OTHER…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@results_option
@json_option
def merge_results(others: tuple[Path, ...], dry_run: bool, results_folder: Path | None, as_json: bool) -> None:
    """Take in the runs of other results folders of yours, say those of other clusters. Exit status 1 if some can't be taken.

    OTHER is only read. A run that is not here is copied; one that is here with the same scores is left as it is; other scores of a run
    are kept beside it as a replicate, which `results show` shows and which is never ranked. What others send you are bundles, see
    `results import`.

    \b
    Examples:
      adbench results merge /mnt/cluster-b/adbench-results
      adbench results merge a b --results all --dry-run
    """
    from ..home import Results
    from ..merging import merge
    from .bars import bar_of_images
    from .show import print_json
    from .stored import take_in

    into = Results.at(results_folder)
    with bar_of_images("merge runs", as_json) as advance:
        done = merge([Results.at(other) for other in others], into, dry_run=dry_run, advance=advance)
    if not dry_run:
        take_in(into)
    if as_json:
        print_json(_plain(done, into, dry_run))
    else:
        _print_merged(done, into, dry_run)
    for reason in done.refused.values():
        click.echo(f"adbench: error: left out: {reason}", err=True)
    if done.refused:
        raise SystemExit(1)


def print_replicates(found: Sequence[Replicate]) -> None:
    """Other results of a run, beside it."""
    from ..status import HERE
    from .show import figure, print_rows

    both: list[tuple[str, Side, Agreement | None]] = [("the run", found[0].comparison.run, None)]
    both += [(one.scores, one.comparison.replicate, one.comparison.agreement) for one in found]
    rows = [
        [
            name,
            side.created[:10],
            figure(side.roc_auc),
            f"{agreement.share:.3g}" if agreement else None,
            f"{agreement.rank_correlation:.4f}" if agreement and agreement.rank_correlation is not None else None,
            f"{'' if side.status == HERE else f'{side.status}; '}{_device(side)}, adbench {side.adbench}, torch {side.torch}",
        ]
        for name, side, agreement in both
    ]
    columns = ["replicate", "made", "ROC\nAUC", "of\nIQR", "rank\ncorr.", "on"]
    print_rows(columns, rows, right=["ROC\nAUC", "of\nIQR", "rank\ncorr."])
    click.echo(
        "Other results of this run id, never ranked; of IQR: the largest difference of two scores of an image, as a share of the "
        "interquartile range of the run's."
    )


def plain_replicate(one: Replicate) -> dict[str, Any]:
    """A replicate as JSON."""
    return {"scores": one.scores, "folder": str(one.folder), **_plain_comparison(one.comparison)}


def _print_merged(done: Merged, into: Results, dry_run: bool) -> None:
    new, same, kept = done.of("new"), done.of("same"), done.of("replicate")
    audits = {what: sum(one == what for one in done.audits.values()) for what in ("new", "differs")}
    counts = [
        f"{len(new)} new {'run' if len(new) == 1 else 'runs'}",
        f"{len(same)} here already",
        f"{len(kept)} kept as {'a replicate' if len(kept) == 1 else 'replicates'}",
        *([f"{audits['new']} new {'audit' if audits['new'] == 1 else 'audits'}"] if audits["new"] else []),
        *([f"{len(done.refused)} left out"] if done.refused else []),
    ]
    click.echo(f"{'would be merged' if dry_run else 'merged'} into {into.root}: {', '.join(counts)}")
    for one in (one for one in done.runs if one.left_out):
        several = "" if len(one.left_out) == 1 else f" and {len(one.left_out) - 1} more"
        click.echo(f"{one.run_id}: {one.left_out[0]}{several} left out: not what the run wrote")
    for path in (path for path, what in done.audits.items() if what == "differs"):
        click.echo(
            f"{path} is another audit than {into.audits / path.name}, which stays; remove that, and merge again to have the other"
        )
    if unequal := done.unequal:
        _print_unequal(unequal, into)


def _print_unequal(unequal: Sequence[Taken], into: Results) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from .show import console

    screen = console()
    click.echo(f"\nother scores than the run here ({len(unequal)}), the largest difference first:")
    for one in unequal[:SHOWN]:
        click.echo(f"\n{one.run_id}")
        for line in _lines(one, into):
            screen.print(Padding(Text(line), (0, 0, 0, 2), expand=False))
    if len(unequal) > SHOWN:
        click.echo(f"\nand {len(unequal) - SHOWN} more: --json has them all")


def _lines(one: Taken, into: Results) -> Iterator[str]:
    from .show import figure

    found = one.comparison
    if found is None:
        return
    here, there = found.run, found.replicate
    yield f"{found.agreement.largest}{found.agreement.correlation}"
    yield f"ROC AUC {figure(here.roc_auc)} here, {figure(there.roc_auc)} there; made {here.created[:10]} and {there.created[:10]}"
    facts = {
        "device": (_device(here), _device(there)),
        "adbench": (here.adbench, there.adbench),
        "torch": (here.torch, there.torch),
        "status": (here.status, there.status),
    }
    differing = [f"{name}: {ours} here, {theirs} there" for name, (ours, theirs) in facts.items() if ours != theirs]
    yield "; ".join(differing) or f"both on {_device(here)}, with adbench {here.adbench} and torch {here.torch}"
    before = ", as before" if one.what == "same" else ""
    yield f"kept in {one.folder.relative_to(into.root)}{before}"


def _device(side: Side) -> str:
    if side.threads is None:
        return side.device
    return f"{side.device} ({side.threads} {'thread' if side.threads == 1 else 'threads'})"


def _plain(done: Merged, into: Results, dry_run: bool) -> dict[str, Any]:
    runs = [
        {
            "run_id": one.run_id,
            "source": str(one.source),
            "what": one.what,
            "folder": str(one.folder),
            "left_out": list(one.left_out),
            "comparison": _plain_comparison(one.comparison) if one.comparison else None,
        }
        for one in done.runs
    ]
    audits = {str(path): what for path, what in done.audits.items()}
    refused = {str(path): reason for path, reason in done.refused.items()}
    return {"results": str(into.root), "dry_run": dry_run, "runs": runs, "audits": audits, "refused": refused}


def _plain_comparison(found: Comparison) -> dict[str, Any]:
    agreement = {**found.agreement.model_dump(mode="json"), "share": found.agreement.share}
    return {"agreement": agreement, "run": vars(found.run), "replicate": vars(found.replicate)}
