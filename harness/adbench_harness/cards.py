"""What a manifest says of a run's protocol, dataset and model: facts from the plugins, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from .api import Json, ModelSpec, Options
from .plan import Plan


def protocol_card(plan: Plan) -> dict[str, Json]:
    """What a manifest says of a protocol."""
    protocol = plan.protocol
    return {
        "name": protocol.spec.name,
        "version": protocol.spec.version,
        "title": protocol.spec.title,
        "fit": protocol.fit.model_dump(mode="json"),
        "evaluation": protocol.evaluation.model_dump(mode="json"),
        "split_rule": protocol.spec.split_rule,
        "fit_digest": protocol.fit_digest,
        "evaluation_digest": protocol.evaluation_digest,
        "overrides": dict(plan.off_protocol),
    }


def dataset_card(plan: Plan) -> dict[str, Json]:
    """What a manifest says of a dataset."""
    spec = plan.dataset.spec
    counts = Counter(
        f"{plan.subsets[s.id]}_{'abnormal' if s.label else 'normal'}" for s in plan.samples("train", "held_out", "test")
    )
    return {
        "title": spec.title,
        "modality": spec.modality,
        "organ": spec.organ,
        "description": spec.description,
        "citation": spec.citation,
        "licence": spec.licence,
        "source": spec.source,
        "url": spec.url,
        "group_rule": spec.group_rule,
        "independent_source": spec.independent_source or spec.name,
        "fingerprint": plan.listing.fingerprint,
        "edition": plan.listing.standing.edition,
        "partial": plan.listing.standing.partial,
        "subtypes": {**plan.listing.counts()},
        "counts": {**counts},
        "tasks": {task: list(subtypes) for task, subtypes in spec.tasks.items()},
    }


def model_card(spec: ModelSpec, parameters: int, given: Mapping[str, Json], transductive: str | None) -> dict[str, Json]:
    """What a manifest says of a model.

    Args:
        spec: the model.
        parameters: number of learnt values.
        given: what the detector was given from outside.
        transductive: why a score depends on its batch mates; None if it does not.
    """
    return {
        "title": spec.title,
        "family": spec.family,
        "description": spec.description,
        "paper": spec.paper,
        "url": spec.url,
        "training_phase": spec.training_phase,
        "testing_phase": spec.testing_phase,
        "score": spec.score,
        "options": _option_card(spec.options),
        "parameters": parameters,
        "given": {**given},
        "transductive": transductive,
    }


def _option_card(options: type[Options]) -> dict[str, Json]:
    """What each option means, and its default if it has one."""
    defaults = options.model_construct().model_dump(mode="json", warnings=False)
    return {
        name: {"meaning": field.description or "", **({"default": defaults[name]} if name in defaults else {})}
        for name, field in options.model_fields.items()
    }
