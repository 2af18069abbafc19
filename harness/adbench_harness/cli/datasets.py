"""adbench datasets."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .audit import audit_dataset
from .dataset_files import fetch_dataset, import_dataset, remove_dataset, size_of, verify_dataset
from .options import check_limit_option, home_option, json_option, protocol_option

if TYPE_CHECKING:
    from ..api import DatasetSpec
    from ..data.listing import Listing
    from ..home import Home
    from ..registry import PluginName

REPRODUCTION: Final = "esmaeili2023"
"""The protocol whose split has the counts of the study's Table 1."""


@click.group()
def datasets() -> None:
    """Datasets: what is here, and how to bring what is not.

    \b
    Example:
      adbench datasets import mias all-mias.tar.gz
    """


for _command in (fetch_dataset, import_dataset, verify_dataset, remove_dataset, audit_dataset):
    datasets.add_command(_command)


@datasets.command("list")
@home_option
@json_option
def list_datasets(home: Path | None, as_json: bool) -> None:
    """Every dataset: whether it is on this machine, how to get it, its size and licence.

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
        return
    columns = ["name", "modality", "size", "licence", "state"]
    print_rows(columns, [[_short(row, name) for name in columns] for row in rows], right=["size"])


def _short(row: dict[str, Any], column: str) -> object:
    from rich.filesize import decimal

    value = row.get(column)
    if column == "size":
        return "?" if row["bytes"] is None else decimal(row["bytes"])
    return value.partition(";")[0].partition(" (")[0] if column == "licence" and value else value


def _dataset_row(source: PluginName, home: Any) -> dict[str, Any]:
    from ..api import AdbenchError, DatasetSpec
    from ..data.verifying import owner
    from ..registry import load

    row: dict[str, Any] = {"name": source.name, "title": None, "modality": None, "folder": None, "bytes": None}
    try:
        spec = load(source, DatasetSpec).spec
        files = owner(spec)
        row |= {"title": spec.title, "modality": spec.modality, "licence": spec.licence, "source": spec.source}
        row["editions"] = [edition.name for edition in files.editions]
        row["fetchable"] = [download.url for download in files.downloads]
        row["bytes"] = size_of(files)
        row |= _where(spec, files, home)
    except AdbenchError as error:
        row["state"] = str(error)
    return row


def _where(spec: DatasetSpec, files: DatasetSpec, home: Home) -> dict[str, Any]:
    """Where the files lie and what they are, as it was found at the import; or how to get them."""
    from ..api import NotImportedError
    from ..data.listing import folder
    from ..data.record import read_record

    if spec.at is not None:
        return {"state": f"yours: {spec.name}:/path"}
    if spec.embedded is not None:
        return {"folder": str(spec.embedded), "state": "ships with adbench"}
    try:
        place = str(folder(spec, home))
    except NotImportedError:
        ways = [f"fetch {files.name}"] if files.downloads else []
        return {"state": f"missing; adbench datasets {' | '.join([*ways, f'import {files.name} PATH'])}"}
    record = read_record(files, home)
    if record is None:
        return {"folder": place, "state": "here, not verified"}
    what = f"partial ({record.how})" if record.partial else f"complete ({record.edition}, {record.how})"
    return {"folder": place, "state": what, "edition": record.edition, "partial": record.partial}


@datasets.command("show")
@click.argument("name")
@click.option("--montage", type=click.Path(path_type=Path, dir_okay=False), help="Write a PNG with a few images of each kind.")
@home_option
@json_option
def show_dataset(name: str, montage: Path | None, home: Path | None, as_json: bool) -> None:
    """A dataset's card: what it is, where it comes from, what is here, and its counts beside the study's.

    \b
    Examples:
      adbench datasets show mias-patches
      adbench datasets show head-ct --montage head-ct.png
    """
    from .. import registry
    from ..api import NotImportedError
    from ..data.listing import listing
    from ..data.montage import write_montage
    from ..data.verifying import owner
    from ..home import Home
    from .show import print_facts, print_json

    spec = registry.dataset(name).spec
    facts = _card(spec)
    try:
        found = listing(spec, Home.at(home))
    except NotImportedError as error:
        if montage is not None:
            raise
        facts["here"] = f"no: {error}"
    else:
        facts |= _what_is_here(found)
        edition = next((e for e in owner(spec).editions if e.name == found.standing.edition), None)
        facts["expected"] = dict((edition.expected if edition else None) or spec.expected)
    if montage is not None:
        write_montage(found, montage)
        facts["montage"] = str(montage)
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)


def _card(spec: DatasetSpec) -> dict[str, object]:
    from ..data.verifying import owner

    return {
        "name": spec.name,
        "title": spec.title,
        "description": spec.description,
        "modality": spec.modality,
        "organ": spec.organ,
        "citation": spec.citation,
        "licence": spec.licence,
        "source": spec.source,
        "url": spec.url,
        "editions": [f"{edition.name} ({edition.title})" if edition.title else edition.name for edition in owner(spec).editions],
        "groups": spec.group_rule,
        "tasks": {task: list(subtypes) for task, subtypes in spec.tasks.items()},
        "expected": dict(spec.expected),
    }


def _what_is_here(found: Listing) -> dict[str, object]:
    """Counts of the copy on this machine, and of its reproduction split beside Table 1 of the study."""
    from .. import registry
    from ..api import DataError
    from ..protocol import split

    here: dict[str, object] = {
        "here": str(found.root),
        "edition": found.standing.edition,
        "partial": found.standing.partial,
        "counts": found.counts(),
        "fingerprint": found.fingerprint,
    }
    stated = found.spec.split_counts
    if stated is None:
        return here
    kinds = ("train normal", "test normal", "test abnormal")
    here["study's Table 1"] = dict(zip(kinds, stated, strict=True))
    try:
        subsets = split(registry.protocol(REPRODUCTION).spec, found.spec.name, found.samples, 0)
    except DataError as error:
        here[REPRODUCTION] = str(error)
    else:
        labels = ("normal", "abnormal")
        tally = Counter(f"{subsets[s.id]} {labels[s.label]}" for s in found.samples if s.id in subsets)
        here[REPRODUCTION] = {kind: tally[kind] for kind in kinds}
    return here


@datasets.command("path")
@click.argument("name")
@home_option
@json_option
def dataset_path(name: str, home: Path | None, as_json: bool) -> None:
    """Print the folder that holds a dataset's files.

    \b
    Example:
      adbench datasets path phantom
    """
    from .. import registry
    from ..data.listing import folder
    from ..home import Home
    from .show import print_json

    place = str(folder(registry.dataset(name).spec, Home.at(home)))
    if as_json:
        print_json({"dataset": name, "folder": place})
    else:
        click.echo(place)


@datasets.command("check")
@click.argument("name")
@click.option("--only", multiple=True, metavar="CHECK", help="This check, and what it needs; again for each.")
@check_limit_option
@home_option
@json_option
def check_dataset(name: str, only: tuple[str, ...], time_limit: float, home: Path | None, as_json: bool) -> None:
    """Look whether a dataset keeps the rules, on the copy that is here: before you publish it, and before anybody trains on it.

    It is listed in a process of its own. The exit status is 1 if a rule is broken.

    \b
    Examples:
      adbench datasets check phantom
      adbench datasets check folder:my-images --only groups --only splits
    """
    from .. import registry
    from ..conformance.checking import check_dataset as check
    from ..data.listing import folder
    from ..home import Home
    from .checking import finish, print_heading, print_result

    place = Home.at(home)
    files = folder(registry.dataset(name).spec, place)
    if not as_json:
        print_heading(name, [str(files)])
    report = check(name, place.root, only, time_limit, (lambda result: None) if as_json else print_result)
    finish([report], as_json)


@datasets.command("split")
@click.argument("name")
@protocol_option("Rules of the comparison.")
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
    from ..data.duplicates import samples_to_split
    from ..data.listing import listing
    from ..home import Home, put_in_place
    from ..protocol import split
    from .bars import bar_of_images
    from .show import json_text

    spec = registry.dataset(name).spec
    place, rules = Home.at(home), registry.protocol(protocol).spec
    found = listing(spec, place)
    with bar_of_images(f"measure {spec.name}", as_json) as progress:
        subsets = split(rules, spec.name, samples_to_split(found, place, rules, progress), number)
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
    with put_in_place(out) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    click.echo(f"{len(rows)} samples in {out}", err=True)


def _tab_separated(rows: list[dict[str, Any]]) -> str:
    import csv

    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
