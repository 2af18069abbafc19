"""The rules that a dataset keeps: what it says of itself, and what it lists.

A message never repeats a group: it may name a person.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from ..api import NORMAL, AdbenchError, Box, DataError, Sample
from .checks import BrokenRuleError, Checks, NotApplicableError, Seen, some
from .dataset_subject import DatasetSubject

ALL: Final = "all"
"""The task that every dataset has."""
OFFICIAL_SPLITS: Final = (None, "train", "test")

CHECKS: Final = Checks[DatasetSubject]()


@CHECKS.add("described", "says what it is")
def _described(subject: DatasetSubject) -> Seen:
    spec = subject.spec
    words = ("title", "modality", "organ", "citation", "licence", "source", "group_rule")
    missing = [word for word in words if not str(getattr(spec, word)).strip()]
    if missing:
        raise BrokenRuleError(f"the DatasetSpec says nothing under {', '.join(missing)}; the site shows these")
    if not isinstance(spec.revision, int) or spec.revision < 1:
        raise BrokenRuleError(f"the DatasetSpec's revision is {spec.revision!r}; it counts from 1")
    return Seen(f"{spec.title}: {spec.modality}, {spec.organ}")


@CHECKS.add("lists", "lists samples, normal ones among them")
def _lists(subject: DatasetSubject) -> Seen:
    given = subject.given
    if not isinstance(given, tuple):
        raise BrokenRuleError(f"samples returns {_shown(given)}; a sequence of Sample is needed")
    if not given:
        raise BrokenRuleError(f"it lists nothing in {subject.root}; what is missing there is to be said with a DataError")
    for sample in given:
        if not isinstance(sample, Sample):
            raise BrokenRuleError(f"it lists {_shown(sample)}, a {type(sample).__name__}; each must be a Sample")
        if wrong := _wrong_form(sample):
            raise BrokenRuleError(f"sample {sample.id!r}: {wrong}")
    normal = sum(sample.label == 0 for sample in given)
    if not normal:
        raise BrokenRuleError(f"none of {len(given)} samples has label 0; a detector learns from normal images alone")
    return Seen(f"{len(given)} samples, {normal} of them normal", {"samples": len(given), "normal": normal})


def _wrong_form(sample: Sample) -> str | None:
    """Which field of a sample is not of the type that it must be of; None if all are."""
    texts = {name: getattr(sample, name) for name in ("id", "path", "subtype")}
    optional = {name: getattr(sample, name) for name in ("group", "mask")}
    for name, value in {**texts, **{name: value for name, value in optional.items() if value is not None}}.items():
        if not isinstance(value, str) or not value.strip():
            return f"{name} is {'an empty text' if isinstance(value, str) else f'a {type(value).__name__}'}; it must be a text"
    if not isinstance(sample.label, int):
        return f"label is a {type(sample.label).__name__}; it must be an int, 0 or 1"
    if sample.official_split not in OFFICIAL_SPLITS:
        return f"official_split is {_shown(sample.official_split)}; it must be 'train', 'test' or None"
    if sample.box is not None and not _is_box(sample.box):
        return f"box is {_shown(sample.box)}; it must be a Box of four integers"
    if sample.cluster is not None:
        return "cluster is set; the harness finds out itself which images are equal"
    return _wrong_attribute(sample.attributes)


def _is_box(box: Any) -> bool:
    return isinstance(box, Box) and all(isinstance(getattr(box, field.name), int) for field in fields(Box))


def _wrong_attribute(attributes: Any) -> str | None:
    if not isinstance(attributes, Mapping):
        return f"attributes is a {type(attributes).__name__}; it must be a mapping"
    for name, value in attributes.items():
        number = isinstance(value, int | float) and math.isfinite(value)
        if not isinstance(name, str) or not (number or isinstance(value, str)):
            return f"attribute {name!r} is {_shown(value)}; it must be a text or a finite number"
    return None


@CHECKS.add("empty-folder", "does not break down in an empty folder")
def _empty_folder(subject: DatasetSubject) -> Seen:
    place = subject.folder / "empty"
    place.mkdir(exist_ok=True)
    try:
        listed = list(subject.spec.samples(place))
    except AdbenchError as refusal:
        return Seen(f"refused: {str(refusal).replace(str(place), 'FOLDER')}")
    except Exception as error:
        raise BrokenRuleError(
            f"in an empty folder it fails with {type(error).__name__}: {error}; raise DataError with words that say what is missing"
        ) from error
    return Seen("its files are missed when they are read" if listed else "it lists nothing, which is refused")


@CHECKS.add("ids", "names each sample once, and the same wherever the files lie", needs="lists")
def _ids(subject: DatasetSubject) -> Seen:
    samples = subject.samples
    repeated = [name for name, count in Counter(sample.id for sample in samples).items() if count > 1]
    if repeated:
        raise BrokenRuleError(f"two samples have the id {some(repeated)}")
    for sample in samples:
        if reason := _unfit(sample.id):
            raise BrokenRuleError(
                f"the id {sample.id!r} {reason}; it must be the same on every machine: the path below the folder with forward slashes, or "
                "a name from the dataset's own table"
            )
    again = tuple(subject.spec.samples(subject.root))
    if difference := _difference(samples, again):
        raise BrokenRuleError(f"a second listing of the same folder is another: {difference}")
    try:
        elsewhere = subject.elsewhere
    except Exception as error:
        raise BrokenRuleError(f"a copy of its folder can't be listed: {type(error).__name__}: {error}") from error
    if elsewhere is None:
        return Seen(
            "unique, the same twice; not looked at in a copy, which would take too much space: set TMPDIR to a folder on its disk"
        )
    if difference := _difference(samples, elsewhere):
        raise BrokenRuleError(
            f"a copy of its folder, of which the file system gives names in another order, is listed otherwise: {difference}; sort what "
            "os.listdir, glob or iterdir give, and leave out where the folder lies"
        )
    return Seen("unique, the same twice, and the same in a copy elsewhere")


def _unfit(name: str) -> str | None:
    """Why a text can't be an id."""
    if name.startswith(("/", "file:")) or re.match(r"[A-Za-z]:[\\/]", name):
        return "is a path on this machine"
    if "\\" in name:
        return "has a backslash"
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name):
        return "has a character that can't be written into a table"
    if not unicodedata.is_normalized("NFC", name):
        return "has an accent as a character of its own, in which systems differ (unicodedata.normalize('NFC', ...))"
    return None


def _difference(first: Sequence[Sample], second: Sequence[Sample]) -> str | None:
    """In what two listings differ; None if they don't."""
    if len(first) != len(second):
        return f"{len(second)} samples instead of {len(first)}"
    for one, other in zip(first, second, strict=True):
        if one != other:
            names = [field.name for field in fields(Sample) if getattr(one, field.name) != getattr(other, field.name)]
            if "id" in names:
                return f"{other.id!r} instead of {one.id!r}"
            return f"sample {one.id!r} has another {' and another '.join(names)}"
    return None


@CHECKS.add("labels", "label and subtype agree, and each subtype is an expected one", needs="lists")
def _labels(subject: DatasetSubject) -> Seen:
    for sample in subject.samples:
        if sample.label not in (0, 1):
            raise BrokenRuleError(f"sample {sample.id!r} has label {sample.label}; 0 is normal, 1 abnormal")
        if (sample.label == 0) != (sample.subtype == NORMAL):
            raise BrokenRuleError(
                f"sample {sample.id!r} has label {sample.label} and subtype {sample.subtype!r}; {NORMAL!r} is the subtype of label 0, "
                "and of no other"
            )
    listed = {sample.subtype for sample in subject.samples}
    if ALL in listed:
        raise BrokenRuleError(f"a subtype is called {ALL!r}, which is the task of all abnormal images; call it otherwise")
    expected = _expected_subtypes(subject)
    strange = sorted(listed - expected) if expected else []
    if strange:
        raise BrokenRuleError(f"it lists {some(strange)}, which `expected` doesn't count; it has {', '.join(sorted(expected))}")
    return Seen(", ".join(sorted(listed)))


def _expected_subtypes(subject: DatasetSubject) -> set[str]:
    """Subtypes of which any original of the dataset has a stated number."""
    return set(subject.spec.expected).union(*(edition.expected for edition in subject.spec.editions))


@CHECKS.add("groups", "says which images belong together, or that this is unknown", needs="lists")
def _groups(subject: DatasetSubject) -> Seen:
    rule = subject.spec.group_rule.strip().lower()
    without = [sample.id for sample in subject.samples if sample.group is None]
    groups = {sample.group for sample in subject.samples} - {None}
    if rule.startswith("unknown"):
        if groups:
            raise BrokenRuleError("group_rule says that groups are unknown, and samples have one; say there what a group is")
        raise NotApplicableError("group_rule says that they are unknown, so a patient may be on both sides of a split")
    if without and "unknown" not in rule:
        raise BrokenRuleError(
            f"{len(without)} of {len(subject.samples)} samples have no group ({some(without)}), but group_rule says what one is; where it "
            "isn't known, group_rule says 'unknown'"
        )
    return Seen(f"{len(groups)} groups" + (f", {len(without)} samples without one" if without else ""), {"groups": len(groups)})


@CHECKS.add("counts", "lists as many images of each subtype as it says", needs="labels")
def _counts(subject: DatasetSubject) -> Seen:
    spec = subject.spec
    found = dict(sorted(Counter(sample.subtype for sample in subject.samples).items()))
    words = ", ".join(f"{count} {name}" for name, count in found.items())
    try:
        partial = subject.partial
        edition = subject.verification.edition if subject.verification else None
    except DataError:  # the check "manifest" tells it
        partial = edition = None
    if partial is not None:
        raise NotApplicableError(f"a partial copy ({partial}): {words}")
    # A dataset that reads another's files has numbers of its own, whatever the edition.
    stated = [dict(e.expected or spec.expected) for e in spec.editions if edition in (None, e.name)] or [dict(spec.expected)]
    if not any(stated):
        raise NotApplicableError(f"it states no `expected` numbers: {words}")
    if found not in stated:
        wanted = " or ".join(", ".join(f"{count} {name}" for name, count in sorted(numbers.items())) for numbers in stated)
        raise BrokenRuleError(f"it lists {words}, where `expected` says {wanted}")
    return Seen(words, {**found})


@CHECKS.add("tasks", "names known subtypes in its tasks", needs="labels")
def _tasks(subject: DatasetSubject) -> Seen:
    tasks = subject.spec.tasks
    if not tasks:
        raise NotApplicableError(f"it has the task {ALL!r} alone, as every dataset has")
    known = {sample.subtype for sample in subject.samples} | _expected_subtypes(subject)
    for task, subtypes in tasks.items():
        if task == ALL or not task.strip():
            raise BrokenRuleError(f"a task is called {task!r}; {ALL!r} is every dataset's task of all abnormal images")
        if isinstance(subtypes, str) or not subtypes:
            raise BrokenRuleError(f"task {task!r} is {subtypes!r}; a tuple of subtypes is needed, such as ('{task}',)")
        strange = [subtype for subtype in subtypes if subtype == NORMAL or subtype not in known]
        if strange:
            abnormal = ", ".join(sorted(known - {NORMAL}))
            raise BrokenRuleError(f"task {task!r} names {some(strange)}; subtypes of abnormal images are {abnormal}")
    return Seen(", ".join(tasks))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
