"""adbench score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .bars import bar_of_images
from .bundles import set_option
from .options import Device, json_option, results_option

if TYPE_CHECKING:
    from ..applying.apply import Applied
    from ..applying.detector import StoredDetector
    from ..applying.files import Found
    from ..applying.verdicts import Threshold
    from ..metrics.ranking import Values

NO_DEVICE: Final = "Research software, not a medical device: no score and no verdict here is a diagnosis."


@click.command()
@click.argument("images", metavar="IMAGES…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--run", "-r", "wanted", metavar="RUN", required=True, help="Id of a run, the beginning of it, or its folder.")
@click.option("--rule", help="The threshold's rule.  [default: normal-q95, where the run held out enough normal images]")
@click.option("--maps", type=click.Path(path_type=Path, file_okay=False), help="Write anomaly maps as PNG into this folder.")
@click.option("--device", type=Device(), default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@set_option
@results_option
@json_option
def score(
    images: tuple[Path, ...],
    wanted: str,
    rule: str | None,
    maps: Path | None,
    device: str,
    settings: tuple[tuple[str, str], ...],
    results_folder: Path | None,
    as_json: bool,
) -> None:
    """Score images, or all images in folders, with the trained detector of a run.

    They are prepared as the run's protocol says; any format goes that a dataset may have, DICOM too. An image that can't be read is
    named, the others are scored, and the exit status is 1.

    \b
    Examples:
      adbench score --run pca-phantom-e73c scan.png more-scans/
      adbench score --run multikd-mias-patches-1f3a scans/ --maps maps --json
    """
    from ..applying.apply import apply, maps_folder
    from ..applying.detector import find_stored, load_stored
    from ..applying.files import find_images
    from ..applying.verdicts import choose_threshold
    from ..home import Results

    stored = load_stored(find_stored(Results.at(results_folder), wanted), dict(settings), device)
    threshold = choose_threshold(stored.manifest.run_id, stored.scores, rule)
    place = maps_folder(maps, images) if maps is not None else None
    found = find_images(images)
    with bar_of_images("score", as_json) as advance:
        done = apply(stored, list(found.images), maps=place is not None, progress=advance)
    answer = _answer(stored, threshold, found, done, place)
    if as_json:
        from .show import print_json

        print_json(answer)
    else:
        _print(answer, threshold)
    if answer["failed"]:
        raise SystemExit(1)


def _answer(
    stored: StoredDetector, threshold: Threshold | None, found: Found, done: Applied, place: Path | None
) -> dict[str, Any]:
    """All that is said, as plain data."""
    from ..applying.apply import white_of, write_maps
    from ..applying.verdicts import held_out
    from ..status import read_checks, status_of

    manifest, normal = stored.manifest, held_out(stored.scores)
    white, shared = white_of(stored, done)
    written = write_maps(place, found.images, done, white) if place is not None else {}
    return {
        "run_id": manifest.run_id,
        "variant": manifest.variant,
        "status": status_of(manifest, read_checks(stored.folder, manifest.run_id)),
        "detector": _detector(stored),
        "rule": threshold.rule if threshold is not None else None,
        "oracle": threshold.oracle if threshold is not None else None,
        "threshold": threshold.value if threshold is not None else None,
        "held_out": len(normal),
        "images": _rows(done, threshold, normal, written),
        "failed": [{"image": _shown(path), "error": reason} for path, reason in {**found.refused, **done.failed}.items()],
        "passed_over": found.passed_over,
        "maps": {"folder": _shown(place), "files": len(written), "white": white, "white_of_the_run": shared} if written else None,
        "warnings": _warnings(stored, threshold, normal, bool(done.scores) and place is not None and not written),
        "note": NO_DEVICE,
    }


def _rows(done: Applied, threshold: Threshold | None, normal: Values, written: dict[Path, Path]) -> list[dict[str, Any]]:
    import numpy as np

    from ..applying.verdicts import percentiles

    values = np.asarray(list(done.scores.values()))
    ranks: Sequence[float | None] = percentiles(normal, values).tolist() if len(normal) else [None] * len(values)
    return [
        {
            "image": _shown(path),
            "score": value,
            "verdict": None if threshold is None else "abnormal" if value > threshold.value else "normal",
            "percentile": rank,
            "map": _shown(written[path]) if path in written else None,
        }
        for (path, value), rank in zip(done.scores.items(), ranks, strict=True)
    ]


def _detector(stored: StoredDetector) -> str:
    """What it was trained on."""
    manifest = stored.manifest
    data, cell = manifest.dataset, manifest.cell
    unranked = f"; unranked ({manifest.unranked})" if manifest.unranked is not None else ""
    return (
        f"{manifest.variant}, trained on {manifest.training.get('images')} normal images of {data.get('title')} ({data.get('modality')}, "
        f"{data.get('organ')}) by {cell.protocol}, split {cell.split}, seed {cell.seed}{unranked}. It knows no others: an image of another "
        "scanner, organ or kind may score high for that alone."
    )


def _warnings(stored: StoredDetector, threshold: Threshold | None, normal: Values, mapless: bool) -> list[str]:
    from ..metrics.thresholds import FEWEST_HELD_OUT, HONEST
    from ..status import MEANINGS, doubt, read_checks, status_of

    manifest, found = stored.manifest, []
    if manifest.received is not None:
        checks = read_checks(stored.folder, manifest.run_id)
        status = status_of(manifest, checks)
        found.append(f"the detector came in a bundle and is {status}: {doubt(manifest, checks) or MEANINGS[status]}")
    if threshold is None:
        found.append(
            f"no verdicts: {HONEST} needs {FEWEST_HELD_OUT} held-out normal images, and the run has {len(normal)}; --rule youden takes a "
            "threshold from test labels (oracle)"
        )
    elif threshold.oracle:
        found.append(
            f"{threshold.rule} is an oracle rule: its threshold saw the labels of the run's test images, so it fits those better than yours"
        )
    if mapless:
        found.append(f"{manifest.cell.model} makes no anomaly maps, so none were written")
    return found


def _print(answer: dict[str, Any], threshold: Threshold | None) -> None:
    from .show import NONE, print_rows, rule_words

    rule = f"threshold\n{rule_words(threshold.rule)}" if threshold is not None else "threshold"
    rank = f"percentile of {answer['held_out']}\nheld-out normals"
    rows = [
        [
            row["image"],
            row["score"],
            answer["threshold"],
            row["verdict"],
            NONE if row["percentile"] is None else f"{row['percentile']:.1f}",
        ]
        for row in answer["images"]
    ]
    if rows:
        print_rows(["image", "score", rule, "verdict", rank], rows, right=["score", rule, rank])
        click.echo(answer["detector"])
        click.echo(NO_DEVICE)
    if (maps := answer["maps"]) is not None:
        whose = "the run's own pictures" if maps["white_of_the_run"] else "these maps"
        click.echo(f"anomaly maps in {maps['folder']}: {maps['files']}; black is 0, white {maps['white']:.4g} as in {whose}")
    if answer["passed_over"]:
        click.echo(
            f"adbench: {answer['passed_over']} files in folders are no images by their names, and were passed over", err=True
        )
    for warning in answer["warnings"]:
        click.echo(f"adbench: warning: {warning}", err=True)
    for one in answer["failed"]:
        click.echo(f"adbench: error: {one['image']}: {one['error']}", err=True)


def _shown(path: Path | None) -> str:
    """A path as text that can be printed, whatever bytes it is of."""
    return str(path).encode("utf-8", "backslashreplace").decode()
