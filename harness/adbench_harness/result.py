"""A finished run as a folder, and as plain data: the one place that knows the files' form.

runs/<run_id>/
    manifest.json         written last: a folder without it is no run
    scores.parquet        image, label, subtype, group_id, subset, score, attributes (JSON): one row an image
    training.parquet      image, group_id: what the detector learnt from
    curves.parquet        phase, epoch, name, value
    weights.safetensors   what the detector needs to score again; a retention rule may remove it
    examples/             pictures of a few test images, and examples.json that says what they are; may be removed too

The folder is written beside its place, synced and renamed, so that a kill leaves either a whole run or none.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from .api import StoreError, Subset
from .manifest import FORMAT, Manifest
from .placing import placing, sync

if TYPE_CHECKING:
    from torch import Tensor

MANIFEST: Final = "manifest.json"
TRAINING: Final = "training.parquet"
WEIGHTS: Final = "weights.safetensors"
EXAMPLES: Final = "examples"
PNG: Final = b"\x89PNG\r\n\x1a\n"
"""How such a picture begins."""

SCORES_SCHEMA: Final = pa.schema(
    [
        pa.field("image", pa.string(), nullable=False),
        pa.field("label", pa.int8(), nullable=False),
        pa.field("subtype", pa.string(), nullable=False),
        pa.field("group_id", pa.string()),
        pa.field("subset", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("attributes", pa.string()),
    ]
)
TRAINING_SCHEMA: Final = pa.schema([pa.field("image", pa.string(), nullable=False), pa.field("group_id", pa.string())])
CURVES_SCHEMA: Final = pa.schema(
    [
        pa.field("phase", pa.string(), nullable=False),
        pa.field("epoch", pa.int64(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Scores:
    """Scores of a run's images, in one order; arrays of equal length."""

    image: Sequence[str]
    label: NDArray[np.int8]
    subtype: Sequence[str]
    group: Sequence[str | None]
    subset: Sequence[Subset]
    score: NDArray[np.float64]
    attributes: Sequence[Mapping[str, str | float | int]] = ()
    """Facts about each image; empty if none are known."""

    def table(self) -> pa.Table:
        """As Arrow. Raises StoreError for a score that is not finite, or an image that is scored twice."""
        if not np.isfinite(self.score).all():
            where = int(np.flatnonzero(~np.isfinite(self.score))[0])
            raise StoreError(f"the score of image {self.image[where]!r} is {self.score[where]}; only finite scores are kept")
        if len(set(self.image)) != len(self.image):
            raise StoreError("an image is scored twice")
        facts = [json.dumps(dict(one), sort_keys=True) if one else None for one in self.attributes] or [None] * len(self.image)
        columns = [self.image, self.label, self.subtype, self.group, self.subset, self.score, facts]
        return pa.table([pa.array(c, type=f.type) for c, f in zip(columns, SCORES_SCHEMA, strict=True)], schema=SCORES_SCHEMA)


@dataclass(frozen=True)
class Learnt:
    """One image that a detector learnt from."""

    image: str
    group: str | None


@dataclass(frozen=True)
class CurvePoint:
    """One value of a training curve."""

    phase: str
    epoch: int
    name: str
    value: float


class Example(BaseModel):
    """One test image in pictures."""

    model_config = ConfigDict(frozen=True)

    image: str
    label: int
    subtype: str
    score: float
    files: dict[Literal["input", "reconstruction", "map"], str]
    """Names of the PNG files that there are, in the folder of examples."""
    map_white: float | None = None
    """The value of the anomaly map that white stands for, black being 0; one for all maps of a run."""


@dataclass(frozen=True)
class Examples:
    """Pictures of a few test images."""

    listed: Sequence[Example]
    files: Mapping[str, bytes]
    """Content by file name."""


def write_run(
    runs: Path,
    manifest: Manifest,
    scores: Scores,
    curves: Sequence[CurvePoint],
    weights: Mapping[str, Tensor] | None,
    examples: Examples | None = None,
    learnt: Sequence[Learnt] = (),
) -> Path:
    """Write a run folder atomically; returns its path. Without ``weights`` or ``examples`` the run is whole all the same.

    Raises:
        StoreError: if it can't be written (full disk, no permission); nothing half-written stays under the run's name.
    """
    place = runs / manifest.run_id
    with placing(place, lambda: find_run(runs, manifest.run_id) is not None) as unfinished:
        _write_files(unfinished, scores, curves, weights, learnt)
        if examples is not None:
            _write_examples(unfinished / EXAMPLES, examples)
        _seal(unfinished, manifest)
    return place


def _write_files(
    folder: Path,
    scores: Scores,
    curves: Sequence[CurvePoint],
    weights: Mapping[str, Tensor] | None,
    learnt: Sequence[Learnt],
) -> None:
    pq.write_table(scores.table(), folder / "scores.parquet", compression="zstd")
    rows: list[dict[str, Any]] = [{"phase": c.phase, "epoch": c.epoch, "name": c.name, "value": c.value} for c in curves]
    pq.write_table(pa.Table.from_pylist(rows, schema=CURVES_SCHEMA), folder / "curves.parquet", compression="zstd")
    images = {"image": [one.image for one in learnt], "group_id": [one.group for one in learnt]}
    pq.write_table(pa.Table.from_pydict(images, schema=TRAINING_SCHEMA), folder / TRAINING, compression="zstd")
    if weights is not None:
        from safetensors.torch import save

        # Written by us: safetensors' own writer reports a full disk by an error of its own, which is no OSError.
        content = save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()})
        (folder / WEIGHTS).write_bytes(content)


def _write_examples(folder: Path, examples: Examples) -> None:
    folder.mkdir()
    for name, content in examples.files.items():
        (folder / name).write_bytes(content)
    listed = [example.model_dump(mode="json", exclude_none=True) for example in examples.listed]
    (folder / f"{EXAMPLES}.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


def _seal(folder: Path, manifest: Manifest) -> None:
    """Sync all that is there, then write the manifest with its hashes."""
    paths = sorted(folder.rglob("*"))
    files = {path.relative_to(folder).as_posix(): _sha256(path) for path in paths if path.is_file()}
    for path in paths:
        sync(path)
    (folder / MANIFEST).write_text(
        manifest.model_copy(update={"files": files}).model_dump_json(indent=1) + "\n", encoding="utf-8"
    )
    sync(folder / MANIFEST)
    sync(folder)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a run folder.

    Raises:
        StoreError: if it is missing, unreadable, or written by a newer adbench.
    """
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except OSError as error:
        raise StoreError(f"{folder}: no run here ({error.strerror})") from None
    except ValidationError as error:
        raise StoreError(f"{folder / MANIFEST}: not a manifest: {error.errors(include_url=False)[0]['msg']}") from None
    if manifest.format > FORMAT:
        raise StoreError(
            f"{folder}: written by a newer adbench (format {manifest.format}); upgrade: pip install --upgrade adbench-harness"
        )
    return manifest


def check_files(folder: Path, manifest: Manifest) -> None:
    """Compare the folder's files with the manifest's hashes.

    Weights and examples may have been removed, linked to another disk or changed since: no figure depends on them, and a run is
    not made again because of them. Whoever reads them checks them.

    Raises:
        StoreError: naming the file that is missing or altered, or that lies outside the folder.
    """
    for name, sha256 in manifest.files.items():
        _plain(folder, name)
        if name == WEIGHTS or name.startswith(f"{EXAMPLES}/"):
            continue
        path = _inside(folder, name)
        if not path.is_file():
            raise StoreError(f"{path} is missing; run again, or restore it from a copy")
        if _sha256(path) != sha256:
            raise StoreError(f"{path} is not the file that the run wrote; run again, or restore it from a copy")


def _plain(folder: Path, name: str) -> PurePosixPath:
    """A file's name as a path below the folder. Raises StoreError for one that leads out of it."""
    relative = PurePosixPath(name)
    plain = str(relative) == name and not relative.is_absolute() and not {"..", "."} & set(relative.parts)
    if not plain or re.search(r"[\\:\0]", name):
        raise StoreError(f"{folder / MANIFEST} names a file outside its folder: {name!r}")
    return relative


def _inside(folder: Path, name: str) -> Path:
    """The file of that name below the folder. Raises StoreError for a name or a link that leads out of it."""
    relative = _plain(folder, name)
    path = folder / name
    if any((folder / part).is_symlink() for part in (relative, *relative.parents[:-1])):
        raise StoreError(f"{path} is a link; put the file itself there")
    return path


def read_scores(folder: Path) -> Scores:
    """Scores of a run folder. Raises StoreError if the file can't be read."""
    try:
        table = pq.read_table(folder / "scores.parquet", schema=SCORES_SCHEMA)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{folder / 'scores.parquet'}: cannot be read: {error}") from None
    column = table.to_pydict()
    return Scores(
        image=column["image"],
        label=np.asarray(column["label"], dtype=np.int8),
        subtype=column["subtype"],
        group=column["group_id"],
        subset=column["subset"],
        score=np.asarray(column["score"], dtype=np.float64),
        attributes=[json.loads(facts) if facts else {} for facts in column["attributes"]],
    )


def read_learnt(folder: Path) -> list[Learnt]:
    """What the detector of a run learnt from; nothing for a run of before this was kept. Raises StoreError for a damaged file."""
    if not (folder / TRAINING).is_file():
        return []
    try:
        column = pq.read_table(folder / TRAINING, schema=TRAINING_SCHEMA).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{folder / TRAINING}: cannot be read: {error}") from None
    return [Learnt(*row) for row in zip(column["image"], column["group_id"], strict=True)]


def read_curves(folder: Path) -> pa.Table:
    """Curves of a run folder, in CURVES_SCHEMA. Raises StoreError if the file can't be read."""
    try:
        return pq.read_table(folder / "curves.parquet").cast(CURVES_SCHEMA)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise StoreError(f"{folder / 'curves.parquet'}: cannot be read: {error}") from None


def read_examples(folder: Path, files: Mapping[str, str], pictures: bool) -> Examples | None:
    """The examples of a run folder; None if it keeps none, or no longer.

    Args:
        files: SHA-256 of the folder's files by path, as its manifest states them.
        pictures: whether to read these too, or only what is said of them.

    Raises:
        StoreError: for a file that is not what the run wrote, a link, or a picture that is no PNG.
    """
    listing = f"{EXAMPLES}/{EXAMPLES}.json"
    if listing not in files or not (folder / listing).is_file():
        return None
    try:
        listed = TypeAdapter(list[Example]).validate_json(_read_written(folder, listing, files))
    except ValidationError as error:
        raise StoreError(f"{folder / listing}: not a list of examples: {error.errors(include_url=False)[0]['msg']}") from None
    wanted = {name for example in listed for name in example.files.values()} if pictures else set()
    content = {name: _read_written(folder, f"{EXAMPLES}/{name}", files) for name in sorted(wanted)}
    if strange := [name for name, found in content.items() if not found.startswith(PNG)]:
        raise StoreError(f"{folder / EXAMPLES / strange[0]} is no PNG")
    return Examples(listed, content)


def _read_written(folder: Path, name: str, files: Mapping[str, str]) -> bytes:
    """The content of a file that the run wrote. Raises StoreError if it is another now."""
    path = _inside(folder, name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from None
    if hashlib.sha256(content).hexdigest() != files.get(name):
        raise StoreError(f"{path} is not the file that the run wrote; run again, or restore it from a copy")
    return content


def find_run(runs: Path, run_id: str) -> Manifest | None:
    """The manifest of a finished, unaltered run, or None."""
    folder = runs / run_id
    try:
        manifest = read_manifest(folder)
        check_files(folder, manifest)
    except StoreError:
        return None
    return manifest


def run_folders(runs: Path) -> Iterator[Path]:
    """Every folder that claims to be a finished run, sorted by name."""
    if runs.is_dir():
        yield from sorted(path for path in runs.iterdir() if not path.name.startswith(".") and (path / MANIFEST).is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
