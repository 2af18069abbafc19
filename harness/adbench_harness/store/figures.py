"""The figures of a run: what its protocol asks for today, from the scores that it stored.

Rules are the installed protocol's, if it is of the version that the run was made under: a rule that is added since then is
evaluated on old scores, and nothing is trained. A protocol that is not installed is taken from the run's manifest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from .. import registry
from ..api import AdbenchError, EvaluationRules, ProtocolSpec, StoreError
from ..manifest import Manifest
from ..metrics.evaluation import VERSION, Figure, ScoredImages, evaluate
from ..metrics.parts import Part, PartFigure, evaluate_parts, parts
from ..metrics.thresholds import RULES
from ..protocol import digest, evaluation_digest
from ..result import Learnt, Scores
from .leaks import Links, leaking

METRIC_SCHEMA: Final = pa.schema(
    [
        ("task", pa.string()),
        ("rule", pa.string()),
        ("oracle", pa.bool_()),
        ("name", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("method", pa.string()),
    ]
)


@dataclass(frozen=True)
class Evaluation:
    """By which rules a run's scores are judged."""

    rules: tuple[str, ...]
    digest: str
    """Of the rules; the same for all runs that may stand in one table."""

    def key(self, audit: str | None) -> str:
        """What decides the stored figures, besides the scores: the rules, their code, and the audit (by SHA-256)."""
        return digest([self.digest, VERSION, audit])


class Rulebook:
    """Finds the evaluation rules of protocols; each is looked for among the installed ones once."""

    def __init__(self) -> None:
        self._installed: dict[str, ProtocolSpec | None] = {}

    def look_up(self, protocol: str, version: int, stated: object) -> Evaluation:
        """The rules for runs of a protocol; ``stated`` are those in the run's manifest, for a protocol that is not here.

        Raises:
            StoreError: if they can't be read, or name a rule that this adbench lacks.
        """
        rules = self._of_installed(protocol, version)
        if rules is None:
            try:
                rules = EvaluationRules.model_validate(stated)
            except ValidationError as error:
                reason = error.errors(include_url=False)[0]["msg"]
                raise StoreError(f"its evaluation rules can't be read: {reason}") from None
        if unknown := set(rules.thresholds) - set(RULES):
            raise StoreError(f"its protocol asks for threshold rules that this adbench lacks: {', '.join(sorted(unknown))}")
        return Evaluation(rules.thresholds, evaluation_digest(protocol, rules))

    def of(self, manifest: Manifest) -> Evaluation:
        """The rules for a run. Raises StoreError as ``look_up``."""
        version = manifest.protocol.get("version")
        stated = manifest.protocol.get("evaluation")
        return self.look_up(manifest.cell.protocol, version if isinstance(version, int) else 0, stated)

    def _of_installed(self, protocol: str, version: int) -> EvaluationRules | None:
        if protocol not in self._installed:
            try:
                self._installed[protocol] = registry.protocol(protocol).spec
            except AdbenchError:
                self._installed[protocol] = None
        spec = self._installed[protocol]
        return spec.evaluation if spec is not None and spec.version == version else None


def figures(manifest: Manifest, scores: Scores, rules: Sequence[str]) -> list[Figure]:
    """Every figure of a run's whole test set, with its interval."""
    return evaluate(_test_images(scores), dict(tasks(manifest)), rules)


def part_figures(
    manifest: Manifest, scores: Scores, rules: Sequence[str], learnt: Sequence[Learnt], links: Links | None
) -> Iterator[tuple[str, PartFigure]]:
    """Figures of subgroups, and of the test images that nothing leaks to, each with its task; ``links`` come from an audit."""
    images = _test_images(scores)
    for figure in evaluate_parts(images, parts(images), rules):
        yield "all", figure
    tested = [image for image, subset in zip(scores.image, scores.subset, strict=True) if subset == "test"]
    for part in _without_leaks(tested, images, scores, learnt, links):
        for whole in evaluate(images.where(part.chosen), dict(tasks(manifest)), rules):
            yield whole.task, PartFigure(part.name, whole.rule, whole.name, whole.value, whole.interval)


def check_counts(manifest: Manifest, scores: Scores) -> None:
    """Compare the images that are scored with those that the manifest counts, if it does. Raises StoreError if they differ."""
    stated = manifest.dataset.get("counts")
    if not isinstance(stated, Mapping):
        return
    kinds = zip(scores.subset, scores.label.tolist(), strict=True)
    there = Counter(f"{subset}_{'abnormal' if label else 'normal'}" for subset, label in kinds)
    for name in ("test_normal", "test_abnormal", "held_out_normal"):
        if (expected := stated.get(name, 0)) != there[name]:
            raise StoreError(
                f"scores.parquet has {there[name]} images of {name.replace('_', ', ')}, the manifest {expected}; run again"
            )


def tasks(manifest: Manifest) -> Iterator[tuple[str, list[str]]]:
    """The dataset's named sets of abnormal subtypes."""
    stated = manifest.dataset.get("tasks", {})
    assert isinstance(stated, Mapping)
    for task, subtypes in stated.items():
        assert isinstance(subtypes, Sequence)
        yield task, [str(subtype) for subtype in subtypes]


def _test_images(scores: Scores) -> ScoredImages:
    test = np.asarray([subset == "test" for subset in scores.subset], dtype=bool)
    everything = ScoredImages(
        scores.label, scores.subtype, scores.score, scores.group, scores.score[~test & (scores.label == 0)], scores.attributes
    )
    return everything.where(test)


def _without_leaks(
    tested: Sequence[str], images: ScoredImages, scores: Scores, learnt: Sequence[Learnt], links: Links | None
) -> Iterator[Part]:
    """Test images that no image a detector learnt from is a duplicate of, or shares its patient with; only if there are others."""
    held_out = [place for place, subset in enumerate(scores.subset) if subset == "held_out"]
    if links is not None:
        seen = {one.image for one in learnt} | {scores.image[place] for place in held_out}
        if not learnt:  # a run of before this was kept: what was not tested counts as learnt from
            seen |= links.keys() - set(tested)
        leaks = leaking(tested, links, seen)
        yield from _part("without duplicates of training images", [image not in leaks for image in tested])
    if not learnt:
        return
    groups = {one.group for one in learnt} | {scores.group[place] for place in held_out}
    yield from _part("without patients of training images", [group is None or group not in groups for group in images.groups])


def _part(name: str, kept: Sequence[bool]) -> Iterator[Part]:
    chosen = np.asarray(kept, dtype=bool)
    if chosen.any() and not chosen.all():
        yield Part(name, chosen)


def figure_table(found: Iterable[Figure]) -> pa.Table:
    """Figures as rows of the table ``metric``, less the run."""
    return pa.Table.from_pylist([_row(f) for f in found], schema=METRIC_SCHEMA)


def part_table(found: Iterable[tuple[str, PartFigure]]) -> pa.Table:
    """Figures of parts as rows of the table ``part_metric``, less the run."""
    rows = [{"part": figure.part, **_row(figure), "task": task} for task, figure in found]
    return pa.Table.from_pylist(rows, schema=METRIC_SCHEMA.insert(0, pa.field("part", pa.string())))


def _row(figure: Figure | PartFigure) -> dict[str, object]:
    rule = RULES.get(figure.rule)
    interval = figure.interval
    return {
        "task": figure.task if isinstance(figure, Figure) else None,
        "rule": figure.rule,
        "oracle": rule is not None and rule.oracle,
        "name": figure.name,
        "value": float(figure.value),
        **({"low": interval.low, "high": interval.high, "method": interval.method} if interval is not None else {}),
    }
