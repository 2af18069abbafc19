"""Many runs asked for at once: models x options x datasets x protocols x splits x seeds, spread out into one request a run.

The order is split by split, and seed by seed within it, so that a matrix that is stopped half-way has some splits of everything, not
every split of some models.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Final, Literal

from . import registry
from .api import DataError, FitRules, NotImportedError, OptionError
from .data.listing import folder
from .home import Home
from .plan import RunRequest

All = Literal["all"]
ALL: Final = "all"


@dataclass(frozen=True)
class Setting:
    """One ``--set``: an option's word, for one model or for all that have the option."""

    name: str
    word: str
    model: str | None = None


@dataclass(frozen=True)
class Matrix:
    """What is asked for; the runs are every combination."""

    models: Sequence[str] | All
    datasets: Sequence[str] | All
    protocols: Sequence[str] | All
    splits: Sequence[int] | All = (0,)
    seeds: Sequence[int] | All = (0,)
    settings: Sequence[Setting] = ()
    """Several words of one option are as many variants of the model."""
    device: str = "auto"
    eval_dataset: str | None = None
    train_size: int | None = None


@dataclass
class Requests:
    """The runs of a matrix, in order."""

    runs: list[RunRequest] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """Datasets that "all" does not take in, and what to type to have them."""


def spread(matrix: Matrix, home: Home) -> Requests:
    """One request a run.

    Raises:
        UnknownNameError: if no model, dataset or protocol is called so.
        OptionError: for an option that none of the models, nor a protocol, has.
        DataError: if all datasets are asked for, and none is here.
    """
    models = _names("model", matrix.models)
    datasets, left_out = _datasets(matrix.datasets, home)
    made = Requests(left_out=left_out)
    variants = {model: _variants(model, matrix) for model in models}
    _check_used(matrix.settings, models)
    for protocol in _names("protocol", matrix.protocols):
        spec = registry.protocol(protocol).spec
        splits = range(spec.splits) if matrix.splits == ALL else matrix.splits
        seeds = spec.seeds if matrix.seeds == ALL else matrix.seeds
        made.runs += [
            RunRequest(model, dataset, protocol, int(split), int(seed), matrix.device, words, matrix.eval_dataset)
            for split, seed, dataset, model in product(splits, seeds, datasets, models)
            for words in variants[model]
        ]
    return made


def _names(kind: registry.Kind, given: Sequence[str] | All) -> list[str]:
    if given == ALL:
        return [plugin.name for plugin in registry.names(kind)]
    for name in given:
        registry.find(kind, name)
    return list(dict.fromkeys(given))


def _datasets(given: Sequence[str] | All, home: Home) -> tuple[list[str], dict[str, str]]:
    """Names, and those that are left out of "all": what is not here, and what is a path and no name."""
    if given != ALL:
        for name in given:
            registry.dataset(name)
        return list(dict.fromkeys(given)), {}
    here, left_out = list[str](), dict[str, str]()
    for plugin in registry.names("dataset"):
        spec = registry.dataset(plugin.name).spec
        if spec.at is not None:
            continue
        try:
            folder(spec, home)
        except NotImportedError as error:
            left_out[plugin.name] = str(error)
        else:
            here.append(plugin.name)
    if not here:
        raise DataError(f"no dataset is here; {next(iter(left_out.values()), 'none is installed')}")
    return here, left_out


def _variants(model: str, matrix: Matrix) -> list[Mapping[str, str]]:
    """Words of each variant of a model: the options that it has, every word of one with every word of the others."""
    words: dict[str, list[str]] = {}
    several = len(matrix.models) > 1 or matrix.models == ALL
    for setting in matrix.settings:
        if setting.model in (None, model) and (setting.model or not several or _has(model, setting.name)):
            words.setdefault(setting.name, []).append(setting.word)
    if matrix.train_size is not None:
        words["train_size"] = [str(matrix.train_size)]
    names = list(words)
    return [dict(zip(names, chosen, strict=True)) for chosen in product(*(dict.fromkeys(words[name]) for name in names))]


def _has(model: str, option: str) -> bool:
    return option in FitRules.model_fields or option in registry.model(model).spec.options.model_fields


def _check_used(settings: Iterable[Setting], models: Sequence[str]) -> None:
    """Whether each setting is for somebody. A single model's options are checked with its plan, which knows the nearest name."""
    for setting in settings:
        if setting.model is not None and setting.model not in models:
            raise OptionError(f"--set {setting.model}:{setting.name} is for a model that is not among {', '.join(models)}")
        if setting.model is None and len(models) > 1 and not any(_has(model, setting.name) for model in models):
            raise OptionError(f"none of {', '.join(models)} has an option {setting.name!r}, nor has a protocol")
