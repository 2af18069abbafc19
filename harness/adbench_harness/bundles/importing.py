"""A bundle into the results folder: all of its runs, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load

from ..api import DataError, StoreError
from ..home import Results, make_folder
from ..locking import claimed
from ..manifest import Manifest, Received
from ..result import Scores, find_run, read_scores, write_run
from ..status import read_checks, status_of
from .checking import Checked, check
from .form import EXAMPLES, WEIGHTS
from .opening import Bundle, opened
from .planning import Surroundings
from .signing import Signature, check_signature
from .stated import MOMENT

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Trust:
    """What an importer lets in."""

    signers: Path | None = None
    """A list of keys; a bundle must be signed with one of them."""
    with_images: bool = False
    """Take the sender's pictures."""


@dataclass(frozen=True)
class Taken:
    """A run of a bundle that is here now."""

    run_id: str
    folder: Path
    already_there: bool
    has_weights: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Imported:
    """What came of a bundle."""

    path: Path
    sha256: str
    signature: Signature | None
    signed: bool
    """Whether it has a signature, looked at or not."""
    runs: tuple[Taken, ...]


def import_bundle(path: Path, results: Results, around: Surroundings, trust: Trust) -> Imported:
    """Check a bundle as a whole, then store its runs as self-reported.

    A run that is here already with the very same scores is left as it is.

    Raises:
        DataError: if the bundle is not what it says, or its data is not here.
        StoreError: if one of its runs is here already with other scores; nothing is overwritten, and nothing was imported.
    """
    with opened(path) as bundle, ExitStack() as claims:
        signature = check_signature(bundle, trust.signers)
        checked = [check(bundle, run_id, around, with_images=trust.with_images) for run_id in bundle.index.runs]
        for one in checked:
            _tensors(bundle, one)
        make_folder(results.runs, "results folder")
        for one in checked:
            claims.enter_context(claimed(one.manifest.run_id, results))
        there = [_there_already(results, one, path) for one in checked]
        received = Received(
            bundle=bundle.sha256,
            imported=datetime.now(UTC).strftime(MOMENT),
            signer=signature.signer if signature else None,
            key=signature.key if signature else None,
        )
        runs = [
            _taken(results, bundle, one, here) if here else _store(results, bundle, one, received)
            for one, here in zip(checked, there, strict=True)
        ]
        return Imported(path, bundle.sha256, signature, bundle.signature is not None, tuple(runs))


def _store(results: Results, bundle: Bundle, one: Checked, received: Received) -> Taken:
    manifest = one.manifest.model_copy(update={"received": received})
    folder = write_run(results.runs, manifest, one.scores, one.curves, _tensors(bundle, one), one.examples, one.learnt)
    notes = list(one.notes)
    if one.examples is None and bundle.has(manifest.run_id, EXAMPLES):
        notes.append("its pictures were left out; --with-images takes them")
    return Taken(manifest.run_id, folder, False, one.has_weights, tuple(notes))


def _taken(results: Results, bundle: Bundle, one: Checked, here: Manifest) -> Taken:
    folder = results.runs / here.run_id
    notes = [f"it is here already with the same scores ({_status(folder, here)}), nothing to do"]
    if one.has_weights and not (folder / WEIGHTS).is_file():
        notes.append(f"its weights are not here and are not taken either; to have them remove {folder}, then import again")
    return Taken(here.run_id, folder, True, (folder / WEIGHTS).is_file(), tuple(notes))


def _tensors(bundle: Bundle, one: Checked) -> Mapping[str, Tensor] | None:
    """The weights as plain tensors; safetensors holds nothing else, and nothing that could be run. Raises DataError."""
    if not one.has_weights:
        return None
    content = bundle.read(one.manifest.run_id, WEIGHTS)
    try:
        return load(content)
    except (SafetensorError, ValueError, KeyError, RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{bundle.path}: run {one.manifest.run_id}, {WEIGHTS}: not safetensors ({reason}), refused") from None


def _there_already(results: Results, one: Checked, path: Path) -> Manifest | None:
    """The run as it is here with the same scores; None if it is not here. Raises StoreError if it is here and differs."""
    run_id = one.manifest.run_id
    folder = results.runs / run_id
    here = find_run(results.runs, run_id)
    if here is None:
        if folder.exists():
            raise StoreError(
                f"{path}: run {run_id} is here already, altered or unreadable: {folder}; restore or remove it, then import again"
            )
        return None
    if difference := _difference(read_scores(folder), one.scores):
        raise StoreError(
            f"{path}: run {run_id} is here already ({_status(folder, here)}, made {here.created}) with other scores than the bundle's "
            f"(made {one.manifest.created}): {difference}. Nothing was overwritten or imported; to take the bundle's, remove {folder}"
        )
    return here


def _difference(ours: Scores, theirs: Scores) -> str | None:
    """In what two runs of one id differ; None if every bit is the same."""
    mine = dict(zip(ours.image, zip(ours.subset, ours.score.tolist(), strict=True), strict=True))
    sent = dict(zip(theirs.image, zip(theirs.subset, theirs.score.tolist(), strict=True), strict=True))
    if mine == sent:
        return None
    if {image: subset for image, (subset, _) in mine.items()} != {image: subset for image, (subset, _) in sent.items()}:
        return "other images were scored"
    changes = {image: abs(mine[image][1] - sent[image][1]) for image in mine if mine[image] != sent[image]}
    worst = max(changes, key=lambda image: (changes[image], image))
    return (
        f"{len(changes)} of {len(mine)} differ, by at most {changes[worst]:.6g} "
        f"(image {worst!r}: {mine[worst][1]!r} here, {sent[worst][1]!r} in the bundle)"
    )


def _status(folder: Path, manifest: Manifest) -> str:
    return status_of(manifest, read_checks(folder, manifest.run_id))


def received_runs(found: Sequence[Imported]) -> list[str]:
    """Ids of the runs that were stored just now."""
    return [one.run_id for bundle in found for one in bundle.runs if not one.already_there]
