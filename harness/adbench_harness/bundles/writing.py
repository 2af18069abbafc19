"""Runs into a bundle: the same runs give the same bytes, whenever and wherever they are written."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .. import __version__
from ..api import OptionError, StoreError, UnknownNameError, file_sha256
from ..home import Results, put_in_place
from ..manifest import Manifest
from ..result import WEIGHTS as WEIGHTS_FILE
from ..result import check_files, read_curves, read_examples, read_manifest, read_scores, run_folders
from .form import CURVES, EXAMPLES, INDEX, LARGEST, MANIFEST, SCORES, SIGNATURE, WEIGHTS, Entry, Index
from .signing import sign
from .tables import curves_text, scores_text

EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The time of every file of a bundle; a zip archive knows no earlier one."""
UNIX: Final = 3
PLAIN_FILE: Final = 0o100644 << 16

Content = bytes | Path


@dataclass(frozen=True)
class Wanted:
    """What goes along with the scores."""

    weights: bool = False
    images: bool = False
    key: Path | None = None
    """Sign with it."""
    where_kept: bool = False
    """Whether a run that keeps no weights goes without them; else it is refused."""


@dataclass(frozen=True)
class Written:
    """A bundle that was written."""

    path: Path
    sha256: str
    bytes: int
    runs: tuple[str, ...]
    without_images: tuple[str, ...]
    """Of those, the runs that keep no pictures although they were asked for."""
    without_weights: tuple[str, ...]
    """Of those, the runs that keep no weights although they were asked for."""


def stored(results: Results, beginning: str) -> str:
    """The one run whose id begins so. Raises UnknownNameError if there is none, or more than one."""
    ids = [folder.name for folder in run_folders(results.runs) if folder.name.startswith(beginning)]
    if beginning in ids:
        return beginning
    if len(ids) != 1:
        hint = "see: adbench results list" if not ids else f"it may be {', '.join(ids[:5])}"
        raise UnknownNameError(f"{len(ids) or 'no'} runs begin with {beginning!r}; {hint}")
    return ids[0]


def bundled(results: Results) -> list[str]:
    """Ids of all runs that a bundle may have. Raises StoreError if there is none, or one can't be read."""
    found = [folder.name for folder in run_folders(results.runs) if read_manifest(folder).cell.trained_on is None]
    if not found:
        raise StoreError(f"{results.root} has no run to export; make one first")
    return found


def write_bundle(results: Results, runs: Sequence[str], out: Path, wanted: Wanted) -> Written:
    """Write runs, each given by its whole id, into a bundle.

    Raises:
        OptionError: if ``out`` is there already, or the key can't be used.
        StoreError: if a run was altered, is one that no bundle may have, or lacks what was asked for; or the disk is full.
    """
    if out.exists():
        raise OptionError(f"{out} is there already; remove it, or choose another --out")
    contents: dict[str, Content] = {}
    without: list[str] = []
    weightless: list[str] = []
    chosen = sorted(set(runs))
    for run_id in chosen:
        files = _files(results.runs / run_id, run_id, wanted)
        contents |= {f"runs/{run_id}/{name}": content for name, content in files.items()}
        if wanted.images and EXAMPLES not in files:
            without.append(run_id)
        if wanted.weights and WEIGHTS not in files:
            weightless.append(run_id)
    entries = {name: _entry(content) for name, content in sorted(contents.items())}
    index = Index(adbench=__version__, runs=tuple(chosen), files=entries)
    head = {INDEX: (index.model_dump_json(indent=1) + "\n").encode()}
    if wanted.key is not None:
        head[SIGNATURE] = sign(head[INDEX], wanted.key)
    try:
        with put_in_place(out) as unfinished:
            _write(unfinished, {**head, **dict(sorted(contents.items()))})
        with out.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        return Written(out, sha256, out.stat().st_size, tuple(chosen), tuple(without), tuple(weightless))
    except OSError as error:
        raise StoreError(f"cannot write {out}: {error.strerror or error}; free space, or choose another --out") from None


def _files(folder: Path, run_id: str, wanted: Wanted) -> dict[str, Content]:
    """A run's files as a bundle has them."""
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    if manifest.run_id != run_id:
        raise StoreError(f"{folder} holds run {manifest.run_id}; rename the folder back")
    if manifest.cell.trained_on is not None:
        raise StoreError(
            f"run {run_id} tests on {manifest.cell.dataset} what {manifest.cell.trained_on} taught; such runs are never ranked and "
            "don't go in bundles"
        )
    found: dict[str, Content] = {
        MANIFEST: _manifest(manifest),
        SCORES: scores_text(read_scores(folder)),
        CURVES: curves_text(read_curves(folder)),
    }
    if wanted.weights and ((folder / WEIGHTS_FILE).is_file() or not wanted.where_kept):
        found[WEIGHTS] = _weights(folder, manifest)
    pictures = read_examples(folder, manifest.files, pictures=True) if wanted.images else None
    if pictures is not None:
        listed = [example.model_dump(mode="json", exclude_none=True) for example in pictures.listed]
        found[EXAMPLES] = (json.dumps(listed, indent=1) + "\n").encode()
        found |= {f"examples/{name}": content for name, content in pictures.files.items()}
    for name, content in found.items():
        if isinstance(content, bytes) and len(content) > (largest := LARGEST.get(name, len(content))):
            raise StoreError(f"run {run_id}: {name} has {len(content):,} bytes, more than the {largest:,} that a bundle takes")
    return found


def _manifest(manifest: Manifest) -> bytes:
    """What the run says of itself, less the command as typed, which tells paths, what is true of this folder alone, and figures.

    Figures of maps are not made from scores, so whoever imports has no means to compute them.
    """
    plain = manifest.model_copy(update={"command": "", "files": {}, "received": None, "pixels": None})
    return (plain.model_dump_json(indent=1) + "\n").encode()


def _weights(folder: Path, manifest: Manifest) -> Path:
    path = folder / WEIGHTS_FILE
    if not path.is_file() or WEIGHTS_FILE not in manifest.files:
        raise StoreError(
            f"run {manifest.run_id} keeps no weights; leave out --with-weights, or remove its folder and run again with --keep-weights all"
        )
    if file_sha256(path) != manifest.files[WEIGHTS_FILE]:
        raise StoreError(f"{path} is not the file that the run wrote; restore it from a copy, or leave out --with-weights")
    if path.stat().st_size > LARGEST[WEIGHTS]:
        raise StoreError(f"{path} has {path.stat().st_size:,} bytes, more than the {LARGEST[WEIGHTS]:,} that a bundle takes")
    return path


def _entry(content: Content) -> Entry:
    if isinstance(content, Path):
        return Entry(bytes=content.stat().st_size, sha256=file_sha256(content))
    return Entry(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def _write(path: Path, contents: Mapping[str, Content]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in contents.items():
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system, info.external_attr = UNIX, PLAIN_FILE
            archive.writestr(info, content.read_bytes() if isinstance(content, Path) else content)
