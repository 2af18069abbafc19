"""adbench datasets audit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .bars import bar_of_images
from .options import home_option, json_option, protocol_option, results_option

if TYPE_CHECKING:
    from ..data.audit.report import Audit, Shared


@click.command("audit")
@click.argument("name")
@click.option("--against", "others", metavar="NAME", multiple=True, help="Another dataset to look for its images in; repeatable.")
@protocol_option("Rules whose split is checked.")
@click.option("--split", "number", type=int, default=0, show_default=True, help="Number of the split.")
@home_option
@results_option
@json_option
def audit_dataset(
    name: str,
    others: tuple[str, ...],
    protocol: str,
    number: int,
    home: Path | None,
    results_folder: Path | None,
    as_json: bool,
) -> None:
    """What is wrong with a dataset: duplicates, patients on both sides of a split, features that give the label away.

    The audit is kept in the results folder and its database; an earlier one of the same data is replaced.

    \b
    Examples:
      adbench datasets audit head-ct
      adbench datasets audit brain-tumor-mri --against br35h
    """
    from .. import registry
    from ..api import StoreError
    from ..data.audit import audit
    from ..data.audit.report import save
    from ..data.listing import listing
    from ..home import Home, Results
    from ..store.ingest import ingest
    from .show import print_json

    place, results = Home.at(home), Results.at(results_folder)
    rules = registry.protocol(protocol).spec
    own = listing(registry.dataset(name).spec, place)
    against = [listing(registry.dataset(other).spec, place) for other in dict.fromkeys(others) if other != name]
    with bar_of_images(f"measure {own.spec.name}", as_json) as progress:
        found = audit(own, place, rules, number, against, progress)
    file = save(found, results.audits)
    try:
        ingest(results)
    except StoreError as error:  # the audit is safe in its file
        click.echo(f"adbench: warning: {error}", err=True)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    _print(found)
    click.echo(f"written to {file}")


def _print(audit: Audit) -> None:
    from .show import print_facts, print_rows

    print_facts(
        {
            "dataset": audit.dataset,
            "samples": audit.samples,
            "counts": audit.counts,
            "fingerprint": audit.fingerprint,
            "split": f"{audit.protocol} {audit.split}",
        }
    )
    click.echo()
    if audit.findings:
        print_rows(["severity", "finding", "detail"], [[f.severity, f.title, f.detail] for f in audit.findings])
    else:
        click.echo("nothing was found")
    if audit.shortcuts:
        click.echo()
        print_rows(
            ["feature", "AUC", "95 % interval", "higher in", "normal", "abnormal"],
            [
                [s.feature, f"{s.auc:.3f}", f"{s.low:.3f} to {s.high:.3f}", s.higher, s.normal, s.abnormal]
                for s in sorted(audit.shortcuts, key=lambda one: -one.auc)
            ],
            title="A trivial feature alone, normal against abnormal",
            right=["AUC", "normal", "abnormal"],
        )
    if audit.categories:
        click.echo()
        print_rows(
            ["feature", "value", "normal", "abnormal"],
            [[c.feature, c.value, c.normal, c.abnormal] for c in audit.categories],
            title="Images by file",
            right=["normal", "abnormal"],
        )
    _print_overlaps(audit)


def _print_overlaps(audit: Audit) -> None:
    from .show import print_rows

    columns = ["dataset", "subtype", "images", "equal files", "equal pixels", "near duplicates"]
    for overlap in audit.overlaps:
        click.echo()
        rows = [_shared_row(audit.dataset, one) for one in overlap.own] + [
            _shared_row(overlap.other, one) for one in overlap.theirs
        ]
        print_rows(
            columns, rows, title=f"Images of {audit.dataset} and {overlap.other} that the other has as well", right=columns[2:]
        )


def _shared_row(dataset: str, shared: Shared) -> list[object]:
    return [dataset, shared.subtype, shared.images, shared.byte_equal, shared.pixel_equal, shared.near]
