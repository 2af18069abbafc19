"""A detector as its run left it: its weights are those that the run wrote, and its code is the code that learnt them."""

from __future__ import annotations

import difflib
import json
import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import torch
from pydantic import JsonValue, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file

from .. import registry
from ..api import (
    AdbenchError,
    FitRules,
    ModelSpec,
    OptionError,
    Options,
    PluginError,
    StoreError,
    UnknownNameError,
    WeightsError,
    file_sha256,
)
from ..building import Learner, build_detector
from ..bundles.options import Files, file_hash, options_of
from ..device import choose_device
from ..home import Results
from ..manifest import Manifest
from ..provenance import PluginProvenance, plugin_provenance, revision_like
from ..registry import Plugin, blamed
from ..result import MANIFEST, WEIGHTS, Scores, check_files, read_manifest, read_scores, run_folders


@dataclass(frozen=True)
class StoredDetector:
    """A trained detector, ready to score."""

    manifest: Manifest
    folder: Path
    """The run's."""
    source: str
    """Distribution and name of the plugin."""
    rules: FitRules
    """How images are prepared for it."""
    detector: Learner
    device: torch.device
    scores: Scores
    """What the run scored."""


def find_stored(results: Results, given: str) -> Path:
    """The folder of the run that is meant: its id, the beginning of it, or the folder's path.

    Raises:
        UnknownNameError: if no run is called so, with the nearest ones, or if several are.
        StoreError: if there is no results folder, or no run at the path.
    """
    if os.sep in given or (os.altsep and os.altsep in given):
        folder = Path(given).expanduser()
        if not (folder / MANIFEST).is_file():
            raise StoreError(
                f"{folder}: no run there; name a run (see: adbench results list), or the folder that holds its {MANIFEST}"
            )
        return folder
    if not results.root.is_dir():
        raise StoreError(f"there is no results folder {results.root}; make a run first, or name another with --results")
    ids = [folder.name for folder in run_folders(results.runs)]
    found = [given] if given in ids else [run_id for run_id in ids if run_id.startswith(given)]
    if len(found) > 1:
        raise UnknownNameError(f"{len(found)} runs begin with {given!r}; it may be {', '.join(found[:5])}")
    if not found:
        near = difflib.get_close_matches(given, ids, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "see: adbench results list"
        raise UnknownNameError(f"no run is called {given!r}; {hint}")
    return results.runs / found[0]


def load_stored(folder: Path, files: Files, device: str) -> StoredDetector:
    """The detector of a run.

    Args:
        folder: the run's.
        files: where the files lie that options of the model are, by name; what the run's command names is found without.
        device: a word for it.

    Raises:
        StoreError: if the run or its weights were altered, or it keeps no weights; with what to type.
        OptionError: if its scores depend on their batch, or a file is needed that was not named.
        PluginError, UnknownNameError: if the model's code is another here, or not here.
        WeightsError: if the detector would be given other pretrained weights than it had.
    """
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    _check_use(manifest.model.get("transductive"), manifest)
    weights = _weights(folder, manifest)
    plugin = _plugin(manifest)
    chosen = choose_device(device)
    options = _options(manifest, plugin.spec.options, files)
    try:
        rules = FitRules.model_validate_json(json.dumps(manifest.protocol["fit"]))
    except (KeyError, ValidationError):
        raise StoreError(f"{folder / MANIFEST} does not say how images are to be prepared; {_again(manifest)}") from None
    detector = build_detector(plugin, options, rules, manifest.cell.seed, chosen)
    _check_use(detector.transductive.reason if detector.transductive is not None else None, manifest)
    with blamed("model", plugin.source.qualified, "while it was asked what it was given"):
        _check_given(json.loads(json.dumps(detector.provenance())), manifest)
    try:
        state = load_file(weights, device=str(chosen))
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{weights}: cannot be read: {error}") from None
    with blamed("model", plugin.source.qualified, f"while the weights of {manifest.run_id} were loaded"):
        detector.load(state)
    return StoredDetector(manifest, folder, plugin.source.qualified, rules, detector, chosen, read_scores(folder))


def _check_use(reason: object, manifest: Manifest) -> None:
    if reason:
        raise OptionError(
            f"run {manifest.run_id} is transductive ({reason}): an image's score depends on the images beside it, so a new image has none; "
            "name a run of a detector that scores each image alone"
        )


def _weights(folder: Path, manifest: Manifest) -> Path:
    """The run's weights, which are known to be those that it wrote."""
    path = folder / WEIGHTS
    if WEIGHTS not in manifest.files or not path.is_file():
        _refuse_without_weights(folder, manifest)
    try:
        same = file_sha256(path) == manifest.files[WEIGHTS]
    except OptionError as error:
        raise StoreError(str(error)) from None
    if not same:
        raise StoreError(f"{path} is not the file that the run wrote; restore it from a copy, or {_again(manifest, folder)}")
    return path


def _refuse_without_weights(folder: Path, manifest: Manifest) -> NoReturn:
    what = f"run {manifest.run_id} keeps no weights"
    if manifest.cell.trained_on is not None:
        learnt = manifest.dataset.get("trained_on")
        base = learnt.get("run") if isinstance(learnt, Mapping) else None
        raise StoreError(f"{what}: it tests elsewhere what another run trained; name that one: --run {base or 'RUN'}")
    if manifest.received is not None:
        raise StoreError(f"{what}: it came in a bundle without them; ask for one exported with --with-weights")
    others = [other.name for other in run_folders(folder.parent) if other != folder and _is_like(other, manifest)]
    instead = f"; or take {others[-1]}, which has some of the same model on the same data" if others else ""
    raise StoreError(f"{what} (newer ones replace them unless --keep-weights all is said); {_again(manifest, folder)}{instead}")


def _is_like(folder: Path, manifest: Manifest) -> bool:
    with suppress(StoreError):
        if (folder / WEIGHTS).is_file():
            ours = manifest.cell.model_dump(exclude={"split", "seed"})
            return read_manifest(folder).cell.model_dump(exclude={"split", "seed"}) == ours
    return False


def _again(manifest: Manifest, folder: Path | None = None) -> str:
    """What to type to have the run again; one that would be found done is to be removed first."""
    first = f"remove {folder}, then make it again" if folder is not None else "make it again"
    where = f" --results {shlex.quote(str(folder.parent.parent))}" if folder is not None else ""
    return f"{first}: {manifest.command} --keep-weights all{where}"


def _plugin(manifest: Manifest) -> Plugin[ModelSpec]:
    """The model's plugin, of the same code as the run's."""
    try:
        stated = PluginProvenance.model_validate(manifest.plugins.get("model"))
    except ValidationError:
        raise StoreError(f"run {manifest.run_id} does not say whose code made it; {_again(manifest)}") from None
    what = f"run {manifest.run_id} was made by {stated.name} of {stated.distribution} {stated.version}"
    try:
        plugin = registry.model(f"{stated.distribution}:{stated.name}")
    except UnknownNameError:
        install = f"pip install {shlex.quote(f'{stated.distribution}=={stated.version}')}"
        raise UnknownNameError(f"{what}, which is not installed here; try: {install}") from None
    here = plugin_provenance(plugin.source.name, plugin.source.distribution, plugin.module, plugin.spec.revision)
    revision = revision_like(stated, here, plugin.module)
    if revision != stated.revision:
        raise PluginError(
            f"{what}, revision {stated.revision}, and here is {here.distribution} {here.version}, revision {revision}: weights are of use to "
            f"the code that learnt them alone. Install that one, or train with this one, which is another run: {manifest.command}"
        )
    return plugin


def _options(manifest: Manifest, cls: type[Options], files: Files) -> Options:
    """The run's options. A file is looked for where the command names it, and is the file only if its hash is the run's."""
    what = f"run {manifest.run_id}"
    hashes = {name: found for name, value in manifest.cell.options.items() if (found := file_hash(value)) is not None}
    remembered = {name: path for name, path in _typed(manifest.command).items() if _has_hash(path, hashes.get(name))}
    options = options_of(cls, manifest.cell.options, {**remembered, **files}, what)
    if type(options) is not cls:
        needed = [f"--set {name}=FILE (SHA-256 {value})" for name, value in hashes.items() if name not in {**remembered, **files}]
        raise OptionError(f"{what} was given a file that is not where it was; say where it is: {', '.join(needed)}")
    return options


def _typed(command: str) -> dict[str, str]:
    """What ``--set`` said in a command."""
    words: list[str] = []
    with suppress(ValueError):  # a quote that nobody closed
        words = shlex.split(command)
    said = [word.partition("=") for before, word in pairwise(words) if before == "--set"]
    return {name: value for name, equals, value in said if equals}


def _has_hash(path: str, sha256: str | None) -> bool:
    with suppress(AdbenchError):
        return sha256 is not None and Path(path).is_file() and file_sha256(Path(path)) == sha256
    return False


def _check_given(here: Mapping[str, JsonValue], manifest: Manifest) -> None:
    """Whether pretrained weights are those that the run had. Raises WeightsError."""
    given = manifest.model.get("given")
    before = given if isinstance(given, Mapping) else {}
    if differing := sorted(name for name in {*before, *here} if before.get(name) != here.get(name)):
        name = differing[0]
        raise WeightsError(
            f"run {manifest.run_id} was given another {name} than there is here: {_words(before.get(name))} then, {_words(here.get(name))} "
            "now; what it learnt is of use with the same one alone"
        )


def _words(facts: object) -> str:
    if isinstance(facts, Mapping):
        return ", ".join(f"{name} {value}" for name, value in facts.items())
    return "none" if facts is None else str(facts)
