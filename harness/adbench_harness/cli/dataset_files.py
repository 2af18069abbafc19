"""adbench datasets fetch, import, verify and remove: the files of a dataset, from the source to the home and out of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .bars import bar_of_bytes
from .options import home_option, json_option

if TYPE_CHECKING:
    from ..api import DatasetSpec
    from ..data.importing import Imported
    from ..data.original import Comparison
    from ..home import Home


@click.command("fetch")
@click.argument("name")
@click.option("--accept-licence", is_flag=True, help="Accept the licence that is shown, without being asked.")
@home_option
@json_option
def fetch_dataset(name: str, accept_licence: bool, home: Path | None, as_json: bool) -> None:
    """Download a dataset from its source and import it. A download that was cut off goes on.

    \b
    Examples:
      adbench datasets fetch mias
      adbench datasets fetch mias --accept-licence
    """
    from ..home import Home
    from .show import print_json

    done = fetch_and_import(_files_of(name), Home.at(home), accept_licence, quiet=as_json)
    if as_json:
        print_json(_plain(done))
    else:
        _print_import(done)


def fetch_and_import(spec: DatasetSpec, home: Home, accept_licence: bool, quiet: bool = False) -> Imported:
    """Show the licence, have it accepted, download, import, and remove the download."""
    from ..api import DataError
    from ..data.fetching import fetch
    from ..data.importing import import_dataset as bring

    if not spec.downloads:
        raise DataError(f"dataset {spec.name} can't be fetched by a program; get it yourself ({spec.source}) and import it")
    click.echo(f"{spec.title}\nlicence: {spec.licence}\ncite: {spec.citation}\nfrom: {spec.downloads[0].url}", err=True)
    if not accept_licence and not _asked("Do you accept the licence?"):
        raise DataError(
            f"the licence of {spec.name} was not accepted; nothing was downloaded (--accept-licence accepts it in a script)"
        )
    with bar_of_bytes(f"download {spec.name}", quiet) as advance:
        found = fetch(spec, home, advance)
    with bar_of_bytes(f"import {spec.name}", quiet) as advance:
        try:
            done = bring(spec, found.path, home, advance)
        except DataError as error:
            raise DataError(f"{error}; the download is kept as {found.path}") from None
    if found.ours:
        found.path.unlink(missing_ok=True)
    else:
        click.echo(f"kagglehub keeps its own copy in {found.path}; remove it if you need the space", err=True)
    return done


def offer_fetch(name: str, home: Home) -> None:
    """Where someone can answer: ask whether a dataset that a run needs and that is not here should be fetched."""
    from rich.filesize import decimal

    from ..api import NotImportedError
    from ..data.listing import folder

    spec = _files_of(name)
    if spec.at is not None or not spec.downloads:
        return
    try:
        folder(spec, home)
    except NotImportedError:
        size = size_of(spec)
        if _asked(
            f"{spec.title} is not here. Fetch it from {spec.downloads[0].url} ({decimal(size) if size else 'size unknown'})?"
        ):
            _print_import(fetch_and_import(spec, home, accept_licence=False))


def _asked(question: str) -> bool:
    return sys.stdin.isatty() and click.confirm(question, err=True)


@click.command("import")
@click.argument("name")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--link", "how", flag_value="linked", help="Link to the files of the folder instead of copying them.")
@click.option("--in-place", "how", flag_value="in place", help="Use the folder where it is; nothing is copied or linked.")
@click.option("--allow-partial", is_flag=True, help="Take in a copy that is not the original; its runs are never ranked.")
@home_option
@json_option
def import_dataset(name: str, source: Path, how: str | None, allow_partial: bool, home: Path | None, as_json: bool) -> None:
    """Take a dataset in from an archive or folder, compared file by file with the manifest of each edition.

    \b
    Examples:
      adbench datasets import mias all-mias.tar.gz
      adbench datasets import retinal-oct ~/OCT2017 --link
      adbench datasets import c-nmc part-of-it.zip --allow-partial
    """
    from ..data.importing import import_dataset as bring
    from ..home import Home
    from .show import print_json

    chosen: Any = how or "copied"
    spec = _files_of(name)
    with bar_of_bytes(f"import {spec.name}", as_json) as advance:
        done = bring(spec, source, Home.at(home), advance, how=chosen, allow_partial=allow_partial)
    if as_json:
        print_json(_plain(done))
        return
    _print_import(done)
    click.echo(f"licence: {spec.licence}")


def _print_import(done: Imported) -> None:
    record = done.record
    for line in _differences(done.comparison):
        click.echo(line)
    what = "is already imported" if done.already_there else "imported"
    form = (
        f"edition {record.edition!r}"
        if record.edition
        else f"PARTIAL copy, {done.comparison.differences} differences from {done.comparison.edition!r}"
    )
    click.echo(
        f"{record.dataset} {what} ({record.how}): {record.files} files, {record.bytes:,} bytes, {form}, in {record.folder}"
    )


def _plain(done: Imported) -> dict[str, Any]:
    return {
        **done.record.model_dump(mode="json"),
        "partial": done.record.partial,
        "already_there": done.already_there,
        **done.comparison.by_kind,
        "miscounted": done.comparison.miscounted,
    }


@click.command("verify")
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Look here instead of in the home.")
@click.option("--present", is_flag=True, help="Name the files that are right, too.")
@home_option
@json_option
def verify_dataset(name: str, folder: Path | None, present: bool, home: Path | None, as_json: bool) -> None:
    """Compare a dataset's files with the original, each by its SHA-256. Exit status 1 if they are no known edition.

    \b
    Examples:
      adbench datasets verify head-ct
      adbench datasets verify retinal-oct --folder ~/OCT2017
    """
    from ..data.listing import folder as folder_of
    from ..data.verifying import verify_folder
    from ..home import Home
    from .show import print_json

    spec, place = _files_of(name), Home.at(home)
    found = verify_folder(spec, (folder or folder_of(spec, place)).absolute(), place)
    if as_json:
        editions = [{**vars(comparison), "matches": comparison.matches} for comparison in found.comparisons]
        print_json(
            {
                "dataset": spec.name,
                "folder": str(found.folder),
                "edition": found.edition,
                "editions": editions,
                "others": found.others,
            }
        )
    else:
        _print_verification(found.comparisons, present)
        if found.others:
            click.echo(
                f"{len(found.others)} other files, which don't count ({', '.join(found.others[:3])}{', …' if len(found.others) > 3 else ''})"
            )
        click.echo(f"{spec.name} in {found.folder}: {f'edition {found.edition!r}' if found.edition else 'NO known edition'}")
    raise SystemExit(0 if found.edition else 1)


def _print_verification(comparisons: tuple[Comparison, ...], present: bool) -> None:
    nearest, *further = comparisons
    for line in _differences(nearest):
        click.echo(line)
    for path in nearest.present if present else ():
        click.echo(f"present     {path}")
    for comparison in (nearest, *further):
        counts = {
            "present": len(comparison.present),
            **{word: len(paths) for word, paths in comparison.by_kind.items()},
            "counted otherwise": len(comparison.miscounted),
            "left out, which no sample needs": comparison.left_out,
        }
        told = ", ".join(f"{count} {word}" for word, count in counts.items() if count or word == "present")
        click.echo(f"edition {comparison.edition}: {told}")


def _differences(comparison: Comparison) -> Iterator[str]:
    """One line for each file that is not as in the original."""
    for word, paths in comparison.by_kind.items():
        yield from (f"{word:<11} {path}" for path in paths)
    for folder, (found, wanted) in comparison.miscounted.items():
        yield f"{'counted':<11} {folder}/ holds {found} files instead of {wanted}"


@click.command("remove")
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@home_option
@json_option
def remove_dataset(name: str, yes: bool, home: Path | None, as_json: bool) -> None:
    """Remove an imported dataset from the home. Runs stay; a folder that is used in place stays, too.

    \b
    Example:
      adbench datasets remove mias --yes
    """
    from ..api import DataError, NotImportedError
    from ..data.record import remove_import
    from ..home import Home
    from .show import print_json

    spec, place = _files_of(name), Home.at(home)
    if not yes and not _asked(f"Remove {spec.name} from {place.root}?"):
        raise DataError(f"{spec.name} was not removed (--yes removes it without asking)")
    gone = remove_import(spec, place)
    if gone is None:
        raise NotImportedError(f"dataset {spec.name} is not in {place.root}; there is nothing to remove")
    if as_json:
        print_json({"dataset": spec.name, "removed": str(gone)})
    else:
        click.echo(f"removed {gone}")


def _files_of(name: str) -> DatasetSpec:
    """The dataset that has the files of the named one."""
    from .. import registry
    from ..data.verifying import owner

    return owner(registry.dataset(name).spec)


def size_of(spec: DatasetSpec) -> int | None:
    """Bytes of a dataset's files, else of its download; None if neither is known."""
    from ..data.original import Original

    known = Original(spec).known_bytes if spec.editions else None
    return known or next((download.bytes for download in spec.downloads if download.bytes), None)
