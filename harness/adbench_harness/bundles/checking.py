"""Is a run of a bundle what it says? Its cell, rules, data and split are worked out here again; of the bundle only scores remain."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..api import DataError, Sample, Subset
from ..cards import dataset_card, model_card, protocol_card
from ..manifest import Manifest
from ..plan import Plan
from ..result import CurvePoint, Examples, Learnt, Scores
from ..runner import scores_of
from .form import CURVES, MANIFEST, SCORES, WEIGHTS, printable
from .opening import Bundle
from .options import file_hash
from .pictures import read_pictures
from .planning import Claim, Surroundings, plan_of
from .stated import Stated, read_stated
from .tables import SentScore, read_curves, read_scores

SHOWN: Final = 3
"""Images that a message names."""
FILE_WORD: Final = r"[\w@:.+-]{1,80}"
"""What a model may call a file: a word without a space."""


@dataclass(frozen=True)
class Checked:
    """A run of a bundle that is what it says, as it would be stored here."""

    manifest: Manifest
    scores: Scores
    curves: Sequence[CurvePoint]
    learnt: Sequence[Learnt]
    examples: Examples | None
    has_weights: bool
    notes: tuple[str, ...]
    """What its reader should know."""


def check(bundle: Bundle, run_id: str, around: Surroundings, *, with_images: bool) -> Checked:
    """Look into one run of a bundle.

    Raises:
        AdbenchError: naming the first thing that is not as it should be.
    """
    where = f"{bundle.path}: run {run_id}"
    stated = read_stated(bundle.read(run_id, MANIFEST), f"{where}, {MANIFEST}")
    if stated.run_id != run_id:
        raise DataError(f"{where}: its manifest is of run {printable(stated.run_id)}")
    claim = Claim(run_id, stated.cell, stated.rules.fit, stated.rules.version, stated.data.fingerprint, stated.plugin)
    plan = plan_of(claim, around)
    _check_rules(stated, plan, where)
    held_out, test = plan.samples("held_out"), plan.samples("test")
    sent = read_scores(bundle.read(run_id, SCORES), f"{where}, {SCORES}")
    _check_images(sent, held_out, test, f"{where}, {SCORES}")
    _check_identity(stated, plan, where)
    scores = scores_of(held_out, test, np.asarray([sent[sample.id].score for sample in (*held_out, *test)]))
    if len(set(scores.score[len(held_out) :].tolist())) == 1:
        raise DataError(f"{where}, {SCORES}: all {len(test)} test images have the same score; the detector has learnt nothing")
    curves = read_curves(bundle.read(run_id, CURVES), f"{where}, {CURVES}")
    values = dict(zip(scores.image, scores.score.tolist(), strict=True))
    pictures = read_pictures(bundle, run_id, {sample.id: sample for sample in test}, values) if with_images else None
    return Checked(
        _manifest(stated, plan, where),
        scores,
        curves,
        [Learnt(sample.id, sample.group) for sample in plan.samples("train")],
        pictures,
        bundle.has(run_id, WEIGHTS),
        tuple(_notes(stated, plan)),
    )


def _check_rules(stated: Stated, plan: Plan, where: str) -> None:
    if stated.rules.fit_digest != plan.protocol.fit_digest:
        raise DataError(
            f"{where}: its manifest states fit digest {printable(stated.rules.fit_digest)}, and its rules have {plan.protocol.fit_digest}"
        )
    ours = dataset_card(plan)["counts"]
    if stated.data.counts != ours:
        raise DataError(
            f"{where}: its manifest counts {_words(stated.data.counts)}; by our files and split there are {_words(ours)}"
        )
    if stated.trained.images != len(plan.samples("train")):
        raise DataError(
            f"{where}: it states {stated.trained.images} training images; by our files and split there are {len(plan.samples('train'))}"
        )


def _check_images(sent: dict[str, SentScore], held_out: Sequence[Sample], test: Sequence[Sample], where: str) -> None:
    """Whether just the images of our split are scored, with our labels; the sender's are looked at for nothing else."""
    subsets: dict[str, Subset] = {**{s.id: "held_out" for s in held_out}, **{s.id: "test" for s in test}}
    if strange := sorted(sent.keys() - subsets.keys()):
        raise DataError(f"{where}: scores {_some(strange)} not held out or tested in our split")
    if missing := sorted(subsets.keys() - sent.keys()):
        raise DataError(f"{where}: lacks scores of {_some(missing)} held out or tested in our split")
    if moved := sorted(image for image, subset in subsets.items() if sent[image].subset != subset):
        raise DataError(f"{where}: {_some(moved)} in another subset than in our split ({moved[0]!r} is {subsets[moved[0]]} here)")
    for sample in (*held_out, *test):
        theirs = sent[sample.id]
        if (theirs.label, theirs.subtype) != (str(sample.label), sample.subtype):
            differing = [s.id for s in (*held_out, *test) if (sent[s.id].label, sent[s.id].subtype) != (str(s.label), s.subtype)]
            raise DataError(
                f"{where}: {_some(differing)} with another label than the dataset has here ({sample.id!r}: label {printable(theirs.label)}, "
                f"{printable(theirs.subtype)} in the bundle; {sample.label}, {sample.subtype} here); labels are taken from the dataset alone"
            )


def _check_identity(stated: Stated, plan: Plan, where: str) -> None:
    if stated.cell != plan.cell:
        theirs, ours = stated.cell.model_dump(), plan.cell.model_dump()
        name = next(name for name in ours if theirs[name] != ours[name])
        raise DataError(f"{where}: its cell states {name} as {printable(str(theirs[name]))}; it is {ours[name]}")
    if stated.run_id != plan.run_id:
        raise DataError(
            f"{where}: its id does not match its cell, data, split and code, whose run is {plan.run_id}; it is not what it says"
        )


def _manifest(stated: Stated, plan: Plan, where: str) -> Manifest:
    """Ours: what can be known here is from here, and the rest is what was stated and looked at."""
    detector = stated.detector
    return Manifest(
        run_id=plan.run_id,
        cell=plan.cell,
        variant=_variant(stated, plan, where),
        command=plan.request.command,
        created=stated.created,
        protocol=protocol_card(plan),
        dataset=dataset_card(plan),
        model=model_card(plan.model.spec, detector.parameters, detector.given, detector.transductive),
        plugins={name: plugin.model_dump(mode="json") for name, plugin in plan.plugins.items()},
        compute=stated.computed.model_dump(mode="json"),
        environment=stated.environment,
        timings=stated.timings,
        training=stated.trained.model_dump(mode="json"),
        files={},
    )


def _variant(stated: Stated, plan: Plan, where: str) -> str:
    """Our name for the options. What a model calls a file that is not here only the sender knows; the other words must be ours.

    Raises:
        DataError: if the sender's name says anything else.
    """
    if type(plan.options) is plan.model.spec.options:
        return plan.variant
    words = plan.options.labels().items()
    parts = (
        rf"{re.escape(name)}={FILE_WORD}, "
        if file_hash(plan.cell.options[name])
        else rf"(?:{re.escape(name)}={re.escape(word)}, )?"
        for name, word in words
    )
    name = stated.variant.removeprefix(f"{plan.model.spec.name} (").removesuffix(")")
    if stated.variant != f"{plan.model.spec.name} ({name})" or not re.fullmatch("".join(parts), f"{name}, "):
        raise DataError(
            f"{where}: it calls itself {printable(stated.variant)!r}, which are not the options it states ({plan.variant})"
        )
    return stated.variant


def _notes(stated: Stated, plan: Plan) -> list[str]:
    notes = []
    if stated.rules.evaluation_digest != plan.protocol.evaluation_digest:
        notes.append(f"evaluated by the rules that {plan.protocol.spec.name} has here, which are not the sender's")
    return notes


def _words(counts: object) -> str:
    assert isinstance(counts, dict)
    return ", ".join(f"{count} {printable(str(name), 40).replace('_', ' ')}" for name, count in sorted(Counter(counts).items()))


def _some(images: Sequence[str]) -> str:
    named = ", ".join(repr(printable(image, 80)) for image in images[:SHOWN])
    more = ", …" if len(images) > SHOWN else ""
    return f"{len(images)} {'image' if len(images) == 1 else 'images'} ({named}{more})"
