"""adbench results export, import and verify: runs that go to others, and runs that come from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .bars import bar_of_images
from .options import Device, Setting, home_option, json_option, results_option

if TYPE_CHECKING:
    from ..bundles.importing import Imported
    from ..bundles.verifying import Verified

dataset_option = click.option(
    "--dataset",
    "-d",
    "datasets",
    multiple=True,
    metavar="NAME:PATH",
    help="Where a run's dataset lies that is a folder of your own.",
)
set_option = click.option(
    "--set",
    "settings",
    type=Setting(),
    multiple=True,
    help="Where the file lies that an option of the model is, such as teacher.",
)


@click.command("export")
@click.argument("runs", metavar="RUN…", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every run that a bundle may have, instead of naming them.")
@click.option(
    "--out", "-o", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The bundle's file; must be new."
)
@click.option("--with-weights", is_flag=True, help="Take the weights along, so that others can score again.")
@click.option(
    "--with-images", is_flag=True, help="Take the example pictures along; they are the dataset's images, under its licence."
)
@click.option("--sign", "key", type=click.Path(path_type=Path), help="Sign with this SSH key (ssh-keygen -Y sign).")
@results_option
@json_option
def export_runs(
    runs: tuple[str, ...],
    everything: bool,
    out: Path,
    with_weights: bool,
    with_images: bool,
    key: Path | None,
    results_folder: Path | None,
    as_json: bool,
) -> None:
    """Write runs into a bundle, a file of data that others import and verify.

    The beginning of a run's id is enough. The same runs give the same bytes. A bundle tells what runs say of themselves, image ids
    and scores; not the commands as typed, and no groups of patients.

    \b
    Examples:
      adbench results export pca-phantom-e73c --out pca.adbench
      adbench results export --all --out ours.adbench --with-weights --sign ~/.ssh/id_ed25519
    """
    from ..bundles.writing import Wanted, bundled, stored, write_bundle
    from ..home import Results
    from .show import print_json
    from .stored import must_exist

    if bool(runs) == everything:
        raise click.UsageError("name the runs (see: adbench results list), or say --all")
    results = must_exist(Results.at(results_folder))
    chosen = bundled(results) if everything else [stored(results, run) for run in runs]
    done = write_bundle(results, chosen, out, Wanted(with_weights, with_images, key, where_kept=everything))
    if as_json:
        print_json({**vars(done), "path": str(done.path), "signed": key is not None})
        return
    for run_id in done.without_images:
        click.echo(f"adbench: {run_id} keeps no pictures, so none go along", err=True)
    if done.without_weights:
        click.echo(
            f"adbench: {len(done.without_weights)} of {len(done.runs)} runs keep no weights (see --keep-weights), so none go along",
            err=True,
        )
    number = len(done.runs)
    signed = "signed" if key is not None else "not signed"
    click.echo(f"{done.path}: {number} {'run' if number == 1 else 'runs'}, {done.bytes:,} bytes, {signed}, SHA-256 {done.sha256}")


@click.command("import")
@click.argument("bundles", metavar="BUNDLE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--signers",
    type=click.Path(path_type=Path),
    help="Keys to trust (an SSH allowed_signers file); refuses all others, and unsigned.",
)
@click.option("--with-images", is_flag=True, help="Take the sender's pictures in; look at them before you publish them.")
@dataset_option
@set_option
@home_option
@results_option
@json_option
def import_bundles(
    bundles: tuple[Path, ...],
    signers: Path | None,
    with_images: bool,
    datasets: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    home: Path | None,
    results_folder: Path | None,
    as_json: bool,
) -> None:
    """Take in runs that others made, as self-reported.

    A bundle is data: nothing of it is run. Labels, groups and split come from your own copy of the dataset, every figure is computed
    here from the scores, and what does not fit refuses the bundle as a whole. `adbench results verify` then lifts a run.

    \b
    Examples:
      adbench results import pca.adbench
      adbench results import theirs.adbench --signers allowed_signers
    """
    from ..api import AdbenchError
    from ..bundles.importing import Trust, import_bundle
    from ..bundles.planning import Surroundings
    from ..home import Home, Results
    from .show import print_json
    from .stored import take_in

    results = Results.at(results_folder)
    found: list[Imported] = []
    failed: list[tuple[Path, AdbenchError]] = []
    with bar_of_images("compare images", as_json) as advance:
        around = Surroundings(Home.at(home), datasets, dict(settings), progress=advance)
        for path in bundles:
            try:
                found.append(import_bundle(path, results, around, Trust(signers, with_images)))
            except AdbenchError as error:
                if len(bundles) == 1:
                    raise
                failed.append((path, error))
    if found:
        take_in(results)
    if as_json:
        print_json({"bundles": [_plain(one) for one in found], "refused": {str(path): str(error) for path, error in failed}})
    else:
        _print_imported(found)
    for _, reason in failed:
        click.echo(f"adbench: error: {reason}", err=True)
    if failed:
        raise SystemExit(max(reason.exit_code for _, reason in failed))


def _print_imported(found: Sequence[Imported]) -> None:
    for bundle in found:
        click.echo(f"{bundle.path}: {_signature(bundle)}")
        for run in bundle.runs:
            said = [] if run.already_there else ["imported, self-reported"]
            click.echo(f"  {run.run_id}: {'; '.join([*said, *run.notes])}")
            if not run.already_there:
                how = "--rescore" if run.has_weights else "--retrain"
                click.echo(f"    lift it with: adbench results verify {run.run_id} {how}")


def _signature(bundle: Imported) -> str:
    if bundle.signature is None:
        return "signed, but by whom was not looked at: ssh-keygen is not installed" if bundle.signed else "not signed"
    if bundle.signature.signer is None:
        return f"signed with key {bundle.signature.key}, which may be anybody's; --signers tells whose it must be"
    return f"signed by {bundle.signature.signer}, key {bundle.signature.key}"


def _plain(bundle: Imported) -> dict[str, Any]:
    signature = vars(bundle.signature) if bundle.signature else None
    runs = [{**vars(run), "folder": str(run.folder), "notes": list(run.notes)} for run in bundle.runs]
    return {"path": str(bundle.path), "sha256": bundle.sha256, "signed": bundle.signed, "signature": signature, "runs": runs}


@click.command("verify")
@click.argument("run_id", metavar="RUN")
@click.option("--rescore", "kind", flag_value="re-scored", help="Score the images with the weights that came with the run.")
@click.option("--retrain", "kind", flag_value="re-trained", help="Train the same run here from nothing; takes as long as a run.")
@click.option("--device", type=Device(), default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@dataset_option
@set_option
@home_option
@results_option
@json_option
def verify_run(
    run_id: str,
    kind: str | None,
    device: str,
    quiet: bool,
    datasets: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    home: Path | None,
    results_folder: Path | None,
    as_json: bool,
) -> None:
    """Make an imported run's scores here again, and lift its status if they agree. Exit status 1 if they don't.

    Needs the code that made the run, of the very revision, and runs it. What was found is kept beside the run, in status.json.

    \b
    Examples:
      adbench results verify pca-phantom-e73c --rescore
      adbench results verify multikd-mias-1f3a --retrain --set teacher=vgg16.pth
    """
    if kind is None:
        raise click.UsageError("say how: --rescore, or --retrain")
    from ..bundles.planning import Surroundings
    from ..bundles.verifying import verify
    from ..bundles.writing import stored
    from ..home import Home, Results
    from ..runner import Conditions
    from .progress import RunProgress
    from .running import stop_on_signal
    from .show import print_json
    from .stored import must_exist, take_in

    results, place = must_exist(Results.at(results_folder)), Home.at(home)
    chosen: Any = kind
    progress = RunProgress(quiet or as_json)
    with progress, stop_on_signal() as stop:
        progress.start(f"verify {run_id}")
        around = Surroundings(place, datasets, dict(settings), device)
        found = verify(stored(results, run_id), chosen, around, Conditions(place, results, listen=progress, stop=stop.asked))
    take_in(results)
    if as_json:
        check = {**found.check.model_dump(mode="json"), "share": found.check.share}
        print_json({"run_id": found.run_id, "before": found.before, "after": found.after, "check": check})
    else:
        _print_verified(found)
    raise SystemExit(0 if found.check.agrees else 1)


def _print_verified(found: Verified) -> None:
    check = found.check
    click.echo(f"{found.run_id}: {check.words}")
    click.echo(f"status: {found.after}" + (f", before {found.before}" if found.before != found.after else ", as before"))
