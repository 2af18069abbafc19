"""What lifts an imported run: its scores are made here again, from the sent weights or from nothing, and compared image by image."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from pydantic import BaseModel, JsonValue
from safetensors import SafetensorError
from safetensors.torch import load_file

from .. import __version__
from ..agreement import agreement
from ..api import DataError, OptionError, PluginError, StoreError, file_sha256
from ..device import reproducible
from ..home import Results
from ..locking import claimed
from ..manifest import Manifest
from ..plan import Plan
from ..provenance import PluginProvenance
from ..registry import blamed
from ..result import WEIGHTS, Scores, find_run, read_scores
from ..runner import Conditions, Work, run_one
from ..status import Check, Checks, Lifted, Status, read_checks, status_of, write_checks
from .options import file_hash
from .planning import Claim, Surroundings, plan_of
from .stated import MOMENT

TOLERANCE: Final[Mapping[Lifted, float]] = {"re-scored": 1e-3, "re-trained": 1e-2}
"""The largest difference of two scores of an image that agrees, as a share of the interquartile range of the sent scores."""


@dataclass(frozen=True)
class Verified:
    """What a check found, and what it made of the run."""

    run_id: str
    check: Check
    before: Status
    after: Status


def verify(run_id: str, kind: Lifted, around: Surroundings, conditions: Conditions) -> Verified:
    """Make an imported run's scores here again, and keep beside it how they compare.

    Args:
        run_id: the whole id.
        kind: "re-scored" from the weights that came with it, or "re-trained" from nothing.
        around: where its data and files are, and the device.
        conditions: the results folder, whom to tell how far it is, and whether to stop.

    Raises:
        StoreError: if the run is not here, was made here, or its weights are not here.
        DataError: if its data is not here; PluginError: if its model's code is another here.
        AdbenchError: whatever goes wrong in training or scoring; nothing is recorded then.
    """
    results = conditions.results
    folder = results.runs / run_id
    manifest = find_run(results.runs, run_id)
    if manifest is None:
        raise StoreError(f"run {run_id} was altered or can't be read: {folder}; restore it, or remove it and import it again")
    if manifest.received is None:
        raise StoreError(f"run {run_id} was run here; there is nothing to verify")
    checks = read_checks(folder, run_id)
    plan = _plan(manifest, around)
    with claimed(f"{run_id}.verify", results), reproducible():
        make = _rescored if kind == "re-scored" else _retrained
        scores, device = make(plan, manifest, conditions)
    check = compare(read_scores(folder), scores, kind, device)
    after = Checks(run_id=run_id, checks=(*checks.checks, check))
    write_checks(folder, after)
    return Verified(run_id, check, status_of(manifest, checks), status_of(manifest, after))


def compare(sent: Scores, made: Scores, kind: Lifted, device: str) -> Check:
    """Scores that were sent beside those that were made here. Raises StoreError if they are of other images."""
    try:
        found = agreement(sent, made)
    except StoreError:
        raise StoreError("other images were scored here than in the bundle; was the dataset changed meanwhile?") from None
    return Check(
        **found.model_dump(),
        kind=kind,
        agrees=found.max_difference <= TOLERANCE[kind] * found.spread,
        date=datetime.now(UTC).strftime(MOMENT),
        device=device,
        adbench=__version__,
        tolerance=TOLERANCE[kind],
    )


def _plan(manifest: Manifest, around: Surroundings) -> Plan:
    """The plan of the stored run by the code that is installed here.

    Raises:
        PluginError: if the model's code is another here than the sender's.
        OptionError: if a file is needed that was not given.
        DataError: if the sender called a file by another name than the model does.
    """
    stated = _Stored.model_validate(manifest.model_dump())
    claim = Claim(
        manifest.run_id,
        manifest.cell,
        stated.protocol.fit,
        stated.protocol.version,
        stated.dataset.fingerprint,
        stated.plugins["model"],
    )
    plan = plan_of(claim, around, our_code=True)
    ours, theirs = plan.plugins["model"], claim.plugin
    if ours.revision != theirs.revision:
        raise PluginError(
            f"{claim.what} was made by {theirs.distribution} {theirs.version}, {theirs.name} revision {theirs.revision}, and here is "
            f"{ours.distribution} {ours.version}, revision {ours.revision}; only the same code can verify it: install that one"
        )
    if type(plan.options) is not plan.model.spec.options:
        hashes = {name: found for name, value in manifest.cell.options.items() if (found := file_hash(value))}
        needed = [f"--set {name}=FILE (SHA-256 {value})" for name, value in hashes.items()]
        raise OptionError(f"{claim.what} needs a file to be made again; say where it is: {', '.join(needed)}")
    if plan.variant != manifest.variant:
        raise DataError(f"{claim.what} calls itself {manifest.variant!r}, and is {plan.variant!r}; remove it")
    if plan.run_id != manifest.run_id:
        raise StoreError(f"{claim.what} would be {plan.run_id} here: split or options are worked out otherwise by this adbench")
    return plan


def _rescored(plan: Plan, manifest: Manifest, conditions: Conditions) -> tuple[Scores, str]:
    """Scores by the weights that came with the run, and what they were made on."""
    path = conditions.results.runs / manifest.run_id / WEIGHTS
    if not path.is_file():
        raise StoreError(
            f"run {manifest.run_id} came without weights, or they were removed; ask for a bundle exported with --with-weights, remove "
            f"{path.parent} and import that, or verify with --retrain"
        )
    if file_sha256(path) != manifest.files.get(WEIGHTS):
        raise StoreError(f"{path} is not the file that was imported; remove the run, then import its bundle again")
    work = Work(plan, replace(conditions, keep_weights="none"))
    try:
        state = load_file(path, device=str(work.device))
    except (SafetensorError, OSError) as error:
        raise StoreError(f"{path}: cannot be read: {error}") from None
    with blamed("model", plan.model.source.qualified, f"while the weights of {manifest.run_id} were loaded"):
        work.detector.load(state)
    _check_kind(manifest, work.detector.transductive is not None)
    work.prepare()
    return work.score(), work.compute.device_name


def _retrained(plan: Plan, manifest: Manifest, conditions: Conditions) -> tuple[Scores, str]:
    """Scores of the run made from nothing, in a folder of its own, and what they were made on; an interrupted training goes on."""
    apart = Results(conditions.results.running / f"{manifest.run_id}.verify")
    made = run_one(plan, replace(conditions, results=apart, keep_weights="none"))
    _check_kind(manifest, bool(made.manifest.model.get("transductive")))
    scores = read_scores(made.folder)
    shutil.rmtree(apart.root, ignore_errors=True)
    return scores, str(made.manifest.compute["device_name"])


def _check_kind(manifest: Manifest, transductive: bool) -> None:
    """Whether scores depend on batch mates only the detector knows; if they do, a run is not ranked. Raises DataError if it lied."""
    if transductive != bool(manifest.model.get("transductive")):
        raise DataError(
            f"run {manifest.run_id} {'hides' if transductive else 'states'} that its scores depend on the other images of a batch, and "
            f"the detector here says {'that they do' if transductive else 'they do not'}; remove the run"
        )


class _Rules(BaseModel):
    version: int
    fit: dict[str, JsonValue]


class _Data(BaseModel):
    fingerprint: str


class _Stored(BaseModel):
    """What is asked of a stored manifest, which was written here."""

    protocol: _Rules
    dataset: _Data
    plugins: dict[str, PluginProvenance]
