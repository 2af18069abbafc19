"""A run before it runs: names resolved, options checked, data listed, split made, identity known."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from . import protocol as rules
from . import registry
from .api import DatasetSpec, FitRules, ModelSpec, OptionError, Options, PluginError, ProtocolSpec, Sample, Subset
from .data.duplicates import samples_to_split
from .data.listing import Listing, listing
from .home import Home
from .manifest import Cell
from .metrics.thresholds import RULES
from .protocol import ResolvedProtocol, digest
from .provenance import PluginProvenance
from .registry import Plugin

LARGEST_SEED: Final = 2**31 - 1


@dataclass(frozen=True)
class RunRequest:
    """One run as a user asks for it."""

    model: str
    dataset: str
    protocol: str
    split: int = 0
    seed: int = 0
    device: str = "auto"
    settings: Mapping[str, str] | None = None
    """``--set`` words: protocol fields or model options."""
    eval_dataset: str | None = None
    """Test the trained detector on this dataset as well."""

    @property
    def title(self) -> str:
        """What a person is told of it in one line."""
        words = "".join(f", {name}={value}" for name, value in (self.settings or {}).items())
        return f"{self.model} on {self.dataset}, {self.protocol}, split {self.split}, seed {self.seed}{words}"

    @property
    def command(self) -> str:
        """The command that asks for this run again."""
        words = ["adbench", "run", "--model", self.model, "--dataset", self.dataset, "--protocol", self.protocol]
        words += ["--split", str(self.split), "--seed", str(self.seed)]
        for name, value in (self.settings or {}).items():
            words += ["--set", f"{name}={value}"]
        if self.eval_dataset is not None:
            words += ["--eval-dataset", self.eval_dataset]
        return shlex.join(words)


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run's scores but the machine."""

    request: RunRequest
    model: Plugin[ModelSpec]
    options: Options
    dataset: Plugin[DatasetSpec]
    protocol: ResolvedProtocol
    listing: Listing
    subsets: Mapping[str, Subset]
    plugins: Mapping[str, PluginProvenance]

    @property
    def cell(self) -> Cell:
        """What the run is a measurement of."""
        return Cell(
            model=self.model.spec.name,
            options=self.options.identity(),
            dataset=self.dataset.spec.name,
            protocol=self.protocol.spec.name,
            fit_digest=self.protocol.fit_digest,
            split=self.request.split,
            seed=self.request.seed,
        )

    @property
    def off_protocol(self) -> dict[str, str]:
        """What keeps the run from being ranked: fields of the protocol, and lengths of training, that were changed."""
        return {**self.protocol.overrides, **changed_lengths(self.options)}

    @cached_property
    def run_id(self) -> str:
        """Cell, fingerprint of the data, the split itself, and whose code of which revision; the same wherever these are."""
        identity = [
            self.cell.model_dump(mode="json", exclude={"trained_on"}),
            self.listing.fingerprint,
            sorted(self.subsets.items()),
            self.plugins["model"].distribution,
            self.plugins["model"].revision,
        ]
        return f"{self.model.spec.name}-{self.dataset.spec.name}-{digest(identity)}"

    @cached_property
    def variant(self) -> str:
        """The model's name with the options that differ from its defaults."""
        words = ", ".join(f"{name}={word}" for name, word in self.options.labels().items())
        return f"{self.model.spec.name} ({words})" if words else self.model.spec.name

    def samples(self, *subsets: Subset) -> list[Sample]:
        """Samples of the given subsets, sorted by id."""
        chosen = [sample for sample in self.listing.samples if self.subsets.get(sample.id) in subsets]
        return sorted(chosen, key=lambda sample: sample.id)


def plan(
    request: RunRequest,
    home: Home,
    listings: dict[str, Listing] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Plan:
    """Resolve a request; ``listings`` are datasets by the name they were asked for, listed before, and this one is added.

    ``progress`` hears (done, in all) while images are compared, for a protocol that keeps equal ones together.

    Raises:
        PluginError, OptionError, DataError: each naming what was wrong and what there is.
    """
    if not 0 <= request.seed <= LARGEST_SEED:
        raise OptionError(f"seed {request.seed} is not between 0 and {LARGEST_SEED}")
    model = registry.model(request.model)
    dataset = registry.dataset(request.dataset)
    protocol_spec = registry.protocol(request.protocol).spec
    unknown = set(protocol_spec.evaluation.thresholds) - set(RULES)
    if unknown:
        raise PluginError(
            f"protocol {protocol_spec.name} asks for threshold rules that this adbench lacks: {', '.join(sorted(unknown))}"
        )
    protocol, options = settle(protocol_spec, model.spec, request.settings or {})
    known = listings if listings is not None else {}
    if request.dataset not in known:
        known[request.dataset] = listing(dataset.spec, home)
    found = known[request.dataset]
    with registry.blamed("protocol", protocol_spec.name, "to split"):
        samples = samples_to_split(found, home, protocol_spec, progress)
        subsets = rules.split(protocol_spec, dataset.spec.name, samples, request.split, protocol.fit.train_size)
    plugins = {
        "model": registry.provenance(model),
        "dataset": registry.provenance(dataset),
    }
    return Plan(request, model, options, dataset, protocol, found, subsets, plugins)


def settle(protocol: ProtocolSpec, model: ModelSpec, settings: Mapping[str, str]) -> tuple[ResolvedProtocol, Options]:
    """Share out ``--set`` words between the protocol's fields and the model's options.

    Raises:
        OptionError: for a name that neither has, or a value that is refused.
    """
    fields, options = set(FitRules.model_fields), set(model.options.model_fields)
    if fields & options:
        raise PluginError(f"model {model.name} declares options that are the protocol's: {', '.join(sorted(fields & options))}")
    for name in settings:
        if name not in fields | options:
            near = registry.unknown_name("option", name, fields | options)
            raise OptionError(f"{near} (see: adbench models show {model.name}; adbench protocols show {protocol.name})")
    own = model.options.parse({name: value for name, value in settings.items() if name in options})
    resolved = rules.resolve(protocol, {name: value for name, value in settings.items() if name in fields})
    lengths = changed_lengths(own)
    if lengths and resolved.fit.epochs is not None:
        raise OptionError(
            f"epochs={resolved.fit.epochs} is the length of every phase, so {', '.join(lengths)} would do nothing; leave one out"
        )
    if lengths and resolved.fit.images_presented is not None:
        raise OptionError(
            f"images_presented={resolved.fit.images_presented} is the length of training in {protocol.name}, so {', '.join(lengths)} would "
            "do nothing; change that with --set images_presented=N, or take a protocol of published lengths, such as esmaeili2023"
        )
    return resolved, own


def changed_lengths(options: Options) -> dict[str, str]:
    """Options that set how long the model trains and differ from the published default."""
    return {name: str(getattr(options, name)) for name in sorted(options.lengths) if name in options.labels()}
