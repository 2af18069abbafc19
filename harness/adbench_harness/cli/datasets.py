"""adbench datasets."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import home_option, json_option

if TYPE_CHECKING:
    from ..registry import PluginName


@click.group()
def datasets() -> None:
    """Datasets: what is here, and how to bring what is not.

    \b
    Example:
      adbench datasets import mias all-mias.tar.gz
    """


@datasets.command("list")
@home_option
@json_option
def list_datasets(home: Path | None, as_json: bool) -> None:
    """Every dataset, whether it is on this machine, and where to get it.

    \b
    Example:
      adbench datasets list
    """
    from ..home import Home
    from ..registry import names
    from .show import print_json, print_rows

    rows = [_dataset_row(source, Home.at(home)) for source in names("dataset")]
    if as_json:
        print_json(rows)
    else:
        print_rows(
            ["name", "title", "modality", "state"], [[row["name"], row["title"], row["modality"], row["state"]] for row in rows]
        )


def _dataset_row(source: PluginName, home: Any) -> dict[str, Any]:
    from ..api import DatasetSpec, NotImportedError, PluginError
    from ..data.listing import folder
    from ..registry import load

    row: dict[str, Any] = {"name": source.name, "title": None, "modality": None, "folder": None}
    try:
        spec = load(source, DatasetSpec).spec
        row |= {"title": spec.title, "modality": spec.modality, "licence": spec.licence, "source": spec.source}
        row["folder"] = str(folder(spec, home))
        row["state"] = "ships with adbench" if spec.embedded else "here"
    except NotImportedError:
        row["state"] = f"missing; adbench datasets import {spec.folder_name} PATH"
    except PluginError as error:
        row["state"] = str(error)
    return row


@datasets.command("show")
@click.argument("name")
@home_option
@json_option
def show_dataset(name: str, home: Path | None, as_json: bool) -> None:
    """A dataset's card: what it is, where it comes from, and what is here.

    \b
    Example:
      adbench datasets show mias-patches
    """
    from .. import registry
    from ..api import NotImportedError
    from ..data.listing import listing
    from ..home import Home
    from .show import print_facts, print_json

    spec = registry.dataset(name).spec
    facts: dict[str, object] = {
        "name": spec.name,
        "title": spec.title,
        "description": spec.description,
        "modality": spec.modality,
        "organ": spec.organ,
        "citation": spec.citation,
        "licence": spec.licence,
        "source": spec.source,
        "url": spec.url,
        "groups": spec.group_rule,
        "tasks": {task: list(subtypes) for task, subtypes in spec.tasks.items()},
        "expected": dict(spec.expected),
    }
    try:
        found = listing(spec, Home.at(home))
    except NotImportedError as error:
        facts["here"] = f"no: {error}"
    else:
        facts |= {"here": str(found.root), "counts": found.counts(), "fingerprint": found.fingerprint}
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)


@datasets.command("import")
@click.argument("name")
@click.argument("source", type=click.Path(path_type=Path))
@home_option
@json_option
def import_dataset(name: str, source: Path, home: Path | None, as_json: bool) -> None:
    """Copy a dataset from an archive or folder into the home, checked file by file against the original's manifest.

    \b
    Examples:
      adbench datasets import mias all-mias.tar.gz
      adbench datasets import mias ~/Downloads/mias
    """
    from rich.progress import Progress

    from .. import registry
    from ..data.importing import import_dataset as bring
    from ..home import Home
    from .show import console, print_json

    spec = registry.dataset(name).spec
    if spec.storage is not None:
        spec = registry.dataset(spec.storage).spec
    screen = console(stderr=True)
    with Progress(console=screen, transient=True, disable=as_json or not screen.is_terminal) as bar:
        task = bar.add_task(f"import {spec.name}", total=None)
        done = bring(spec, source, Home.at(home), lambda at, total: bar.update(task, completed=at, total=total))
    if as_json:
        print_json(vars(done))
        return
    what = "is already imported" if done.already_there else "imported"
    click.echo(f"{done.dataset} {what}: {done.files} files, {done.bytes:,} bytes, edition {done.edition!r}, in {done.folder}")
    click.echo(f"licence: {spec.licence}")


@datasets.command("path")
@click.argument("name")
@home_option
def dataset_path(name: str, home: Path | None) -> None:
    """Print the folder that holds a dataset's files.

    \b
    Example:
      adbench datasets path phantom
    """
    from .. import registry
    from ..data.listing import folder
    from ..home import Home

    click.echo(folder(registry.dataset(name).spec, Home.at(home)))


@datasets.command("split")
@click.argument("name")
@click.option("--protocol", default="esmaeili2023", show_default=True, help="Rules of the comparison.")
@click.option("--split", "number", type=int, default=0, show_default=True, help="Number of the split.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write here instead of to the screen.")
@home_option
@json_option
def export_split(name: str, protocol: str, number: int, out: Path | None, home: Path | None, as_json: bool) -> None:
    """The exact list of training, held-out and test samples, as tab-separated values; the same on every platform.

    \b
    Example:
      adbench datasets split mias-patches --protocol esmaeili2023 --out split.tsv
    """
    from .. import registry
    from ..data.listing import listing
    from ..home import Home
    from ..protocol import split
    from .show import json_text

    spec = registry.dataset(name).spec
    found = listing(spec, Home.at(home))
    subsets = split(registry.protocol(protocol).spec, spec.name, found.samples, number)
    rows = [
        {
            "id": s.id,
            "subset": subsets[s.id],
            "label": s.label,
            "subtype": s.subtype,
            "group": s.group,
            "path": s.path,
            "sha256": found.hashes[s.path],
        }
        for s in sorted(found.samples, key=lambda sample: sample.id)
        if s.id in subsets
    ]
    text = json_text(rows) if as_json else _tab_separated(rows)
    if out is None:
        click.echo(text, nl=False)
        return
    unfinished = out.with_name(f".{out.name}.tmp")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
    click.echo(f"{len(rows)} samples in {out}", err=True)


def _tab_separated(rows: list[dict[str, Any]]) -> str:
    import csv

    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
