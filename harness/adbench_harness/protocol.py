"""The rules of a comparison, resolved: overrides applied, digests taken, splits made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import ValidationError

from .api import DataError, EvaluationRules, FitRules, OptionError, ProtocolSpec, Sample, Subset, hash_order, units

LATER: Final = frozenset({"images_presented", "train_size"})
"""Fields that came when there were digests already: unset, they have no part in one, so that those digests stay."""


@dataclass(frozen=True)
class ResolvedProtocol:
    """A protocol with a user's overrides."""

    spec: ProtocolSpec
    fit: FitRules
    overrides: Mapping[str, str]
    """Fields whose value differs from the protocol's; empty for a run on protocol."""

    @property
    def on_protocol(self) -> bool:
        """Whether the run may be ranked."""
        return not self.overrides

    @property
    def fit_digest(self) -> str:
        """Digest of everything that decides scores: preparation, split rule, batch size, budget, precision."""
        spec = self.spec
        counts = {name: list(pair) for name, pair in sorted(spec.split_counts.items())}
        fit = {name: value for name, value in self.fit.model_dump(mode="json").items() if value is not None or name not in LATER}
        return digest([spec.name, spec.version, fit, spec.split_rule, counts, spec.splits])

    @property
    def evaluation_digest(self) -> str:
        """Digest of everything that is computed from scores."""
        return evaluation_digest(self.spec.name, self.spec.evaluation)

    @property
    def evaluation(self) -> EvaluationRules:
        """What is computed from scores."""
        return self.spec.evaluation


def resolve(spec: ProtocolSpec, settings: Mapping[str, str]) -> ResolvedProtocol:
    """A protocol with fields overridden by ``name=value`` words.

    Raises:
        OptionError: for a value that the field refuses.
    """
    plain: dict[str, Any] = spec.fit.model_dump()
    try:
        fit = FitRules.model_validate_strings({**{k: str(v) for k, v in plain.items() if v is not None}, **settings})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        hint = FitRules.model_fields[name].description if name in FitRules.model_fields else ""
        raise OptionError(f"protocol field {name}={first['input']}: {first['msg'].lower()} ({hint})") from None
    changed = {name: str(value) for name, value in fit.model_dump().items() if value != plain[name]}
    return ResolvedProtocol(spec, fit, changed)


def split(
    spec: ProtocolSpec, dataset: str, samples: Sequence[Sample], number: int, train_size: int | None = None
) -> dict[str, Subset]:
    """Which subset each sample is in; of the training images only ``train_size``, if that is said.

    Raises:
        OptionError: if the protocol has no split of that number, or its split has fewer training images.
        DataError: if the split leaves nothing to train on or nothing to test, or trains on an abnormal sample.
    """
    if not 0 <= number < spec.splits:
        there = "0" if spec.splits == 1 else f"0..{spec.splits - 1}"
        raise OptionError(f"protocol {spec.name} has no split {number}; it has {there}")
    assigned = dict(spec.assign(dataset, samples, number))
    strange = set(assigned) - {sample.id for sample in samples} | {s for s in assigned.values() if s not in get_args(Subset)}
    if strange:
        raise DataError(f"protocol {spec.name} assigns unknown samples or subsets of {dataset}: {', '.join(sorted(strange)[:5])}")
    for subset in ("train", "test"):
        if subset not in assigned.values():
            raise DataError(
                f"protocol {spec.name} leaves no {subset} image of {dataset} ({len(samples)} samples); is the copy complete?"
            )
    leaked = [sample.id for sample in samples if sample.label == 1 and assigned.get(sample.id) == "train"]
    if leaked:
        raise DataError(f"protocol {spec.name} would train on abnormal samples of {dataset}: {', '.join(leaked[:5])}")
    if train_size is not None:
        kept = set(_first_of_training(spec, dataset, samples, number, assigned, train_size))
        assigned = {sample: subset for sample, subset in assigned.items() if subset != "train" or sample in kept}
    return assigned


def _first_of_training(
    spec: ProtocolSpec, dataset: str, samples: Sequence[Sample], number: int, assigned: Mapping[str, Subset], size: int
) -> list[str]:
    """The first training images in the order of a hash of their units, each unit whole but the last: a smaller size's are among them."""
    parts = {unit[0]: [sample for sample in unit if assigned.get(sample) == "train"] for unit in units(samples)}
    order = [sample for key in hash_order(list(parts), spec.name, number) for sample in parts[key]]
    if size > len(order):
        raise OptionError(f"train_size={size}: {dataset} has {len(order)} training images in split {number} of {spec.name}")
    return order[:size]


def evaluation_digest(protocol: str, rules: EvaluationRules) -> str:
    """Digest of what is computed from scores under a protocol."""
    return digest([protocol, rules.model_dump(mode="json")])


def digest(value: Any) -> str:
    """First 16 hex digits of SHA-256 over the canonical JSON of plain data."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
