"""The plan of a run that was made elsewhere, from our own plugins, files, rules and split; only its cell is the sender's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue, ValidationError

from .. import protocol as rules
from .. import registry
from ..api import DataError, DatasetSpec, FitRules, ModelSpec, NotImportedError, OptionError, Subset, UnknownNameError
from ..data.duplicates import samples_to_split
from ..data.listing import Listing, listing
from ..home import Home
from ..manifest import Cell
from ..plan import LARGEST_SEED, Plan, RunRequest
from ..protocol import ResolvedProtocol
from ..provenance import PluginProvenance, plugin_provenance, revision_like
from ..registry import Plugin
from .form import first_problem, printable
from .options import Files, file_hash, options_of

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Claim:
    """What a run says it is of."""

    run_id: str
    cell: Cell
    fit: Mapping[str, JsonValue]
    """The rules of training."""
    protocol_version: int
    fingerprint: str
    """Of the dataset."""
    plugin: PluginProvenance
    """Whose code of which revision made it."""

    @property
    def what(self) -> str:
        """The run, for a message."""
        return f"run {printable(self.run_id)}"


@dataclass
class Surroundings:
    """Where a claim is looked into; datasets that were listed once are kept."""

    home: Home
    datasets: tuple[str, ...] = ()
    """Datasets by the names that they are asked for by, where a run's name does not tell: ``folder:/path``."""
    files: Files = field(default_factory=dict)
    """Files that are options of models."""
    device: str = "cpu"
    progress: Progress | None = None
    listings: dict[str, Listing] = field(default_factory=dict)


def plan_of(claim: Claim, around: Surroundings, *, our_code: bool = False) -> Plan:
    """What would be run here for a cell; that it is the run that is claimed is the caller's to check, by its id.

    Args:
        claim: the run.
        around: where to look.
        our_code: whether the plan is of the model's code as it is installed here, or as the sender had it.

    Raises:
        UnknownNameError: naming the model, dataset or protocol that is not installed, and how to get it.
        NotImportedError: naming the dataset that is to be imported first.
        DataError: if the data, the rules or the options are others here.
    """
    cell = claim.cell
    if cell.trained_on is not None:
        raise DataError(
            f"{claim.what} tests on {cell.dataset} what {cell.trained_on} taught; such runs are never ranked and don't go in bundles"
        )
    if not 0 <= cell.seed <= LARGEST_SEED:
        raise DataError(f"{claim.what}: seed {cell.seed} is not between 0 and {LARGEST_SEED}")
    model, protocol = _model(claim), _protocol(claim)
    asked, dataset = _dataset(claim, around)
    # Of several runs that are imported not each has an option that is a file; of the one that is verified a mistyped name is told.
    wanted = [name for name in around.files if our_code or file_hash(cell.options.get(name))]
    options = options_of(model.spec.options, cell.options, {name: around.files[name] for name in wanted}, claim.what)
    found = _listing(claim, asked, dataset, around)
    subsets = _split(claim, protocol, found, around)
    ours = plugin_provenance(model.source.name, model.source.distribution, model.module, model.spec.revision)
    of_data = plugin_provenance(dataset.source.name, dataset.source.distribution, dataset.module, dataset.spec.revision)
    same = revision_like(claim.plugin, ours, model.module) == claim.plugin.revision
    plugins = {"model": ours if our_code and not same else claim.plugin, "dataset": of_data}
    words = {name: "FILE" if file_hash(cell.options.get(name)) else word for name, word in options.labels().items()}
    settings = {**words, **protocol.overrides}
    request = RunRequest(cell.model, asked, cell.protocol, cell.split, cell.seed, around.device, settings)
    return Plan(request, model, options, dataset, protocol, found, subsets, plugins)


def _model(claim: Claim) -> Plugin[ModelSpec]:
    plugin = claim.plugin
    try:
        return registry.model(f"{plugin.distribution}:{claim.cell.model}")
    except UnknownNameError:
        raise UnknownNameError(
            f"{claim.what} is of model {printable(claim.cell.model)!r} of {printable(plugin.distribution)} {printable(plugin.version)}, "
            f"which is not installed here; install what you trust, then import again (see: adbench models list)"
        ) from None


def _protocol(claim: Claim) -> ResolvedProtocol:
    """The protocol with what the run changed of it."""
    cell = claim.cell
    try:
        spec = registry.protocol(cell.protocol).spec
    except UnknownNameError as error:
        raise UnknownNameError(f"{claim.what} is under a protocol that is not installed here: {error}") from None
    if spec.version != claim.protocol_version:
        raise DataError(
            f"{claim.what} is under {spec.name} version {claim.protocol_version}, and here is version {spec.version}; "
            "only runs under the same rules can be compared"
        )
    try:
        fit = FitRules.model_validate_json(json.dumps(dict(claim.fit)))
        changed = {name: str(value) for name, value in fit.model_dump().items() if value != getattr(spec.fit, name)}
        found = rules.resolve(spec, changed)
    except (ValidationError, OptionError) as error:
        reason = first_problem(error) if isinstance(error, ValidationError) else error
        raise DataError(f"{claim.what}: its rules of training are none of {spec.name}: {reason}") from None
    if found.fit != fit or found.fit_digest != cell.fit_digest:
        raise DataError(
            f"{claim.what}: its fit digest is {printable(cell.fit_digest)}, and {spec.name} with the rules that it states has "
            f"{found.fit_digest} here; only runs under the same rules can be compared"
        )
    return found


def _dataset(claim: Claim, around: Surroundings) -> tuple[str, Plugin[DatasetSpec]]:
    """The dataset, and the name by which it is asked for here."""
    name = claim.cell.dataset
    for asked in around.datasets:
        if (plugin := registry.dataset(asked)).spec.name == name:
            return asked, plugin
    try:
        return name, registry.dataset(name)
    except UnknownNameError as error:
        raise UnknownNameError(
            f"{claim.what} is on a dataset that is not here: {error}; if it is a folder of yours, say where: --dataset folder:/path"
        ) from None


def _split(claim: Claim, protocol: ResolvedProtocol, found: Listing, around: Surroundings) -> Mapping[str, Subset]:
    spec = protocol.spec
    try:
        with registry.blamed("protocol", spec.name, "to split"):
            samples = samples_to_split(found, around.home, spec, around.progress)
            return rules.split(spec, found.spec.name, samples, claim.cell.split, protocol.fit.train_size)
    except OptionError as error:
        raise DataError(f"{claim.what}: {error}") from None


def _listing(claim: Claim, asked: str, dataset: Plugin[DatasetSpec], around: Surroundings) -> Listing:
    if asked not in around.listings:
        try:
            around.listings[asked] = listing(dataset.spec, around.home)
        except NotImportedError as error:
            raise NotImportedError(f"{claim.what} can't be checked without its data: {error}") from None
    found = around.listings[asked]
    if found.fingerprint != claim.fingerprint:
        raise DataError(
            f"{claim.what} is on {dataset.spec.name} with fingerprint {printable(claim.fingerprint)}, and that of the files here is "
            f"{found.fingerprint}: another edition, a partial copy, or other labels or groups (see: adbench datasets verify {asked})"
        )
    return found
