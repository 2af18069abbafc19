"""Contenders compared with each other wherever they meet: areas, pairwise tests, decisions, and the mean over datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import duckdb
import numpy as np

from .. import registry
from ..api import AdbenchError, OptionError, StoreError, UnknownNameError
from ..metrics.across import Across, ScoredSet, across, unit_names
from ..metrics.comparison import Contrast, Discordance, SeedMeans, contrast, holm, mcnemar, mean_interval, seed_means
from ..metrics.delong import paired_areas
from ..metrics.groups import FEW, fewest
from ..metrics.intervals import Interval
from ..metrics.standings import letters, rank_intervals, significant
from ..metrics.thresholds import HONEST, RULES, TRIVIAL
from .contenders import Contender, Meeting, only_seed
from .queries import manifest_of
from .scored import ScoredTogether, scored_together, tasks_of, thresholds_at


@dataclass(frozen=True)
class ModelArea:
    """A model's mean ROC AUC over its seeds on one test set, and where that places it."""

    value: float
    interval: Interval
    seeds: Sequence[int]
    runs: Sequence[str]
    letters: str = ""
    """Models of the test set that share one can't be told apart."""
    ranks: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Decisions:
    """What two single detectors call abnormal at an honest threshold each."""

    rule: str
    runs: tuple[str, str]
    sensitivity: Discordance
    specificity: Discordance
    adjusted: tuple[float, float] = (1.0, 1.0)
    """Of sensitivity and specificity, by Holm over all that were tested."""


@dataclass(frozen=True)
class Pair:
    """Two models on one test set."""

    first: int
    """Place among the contenders."""
    second: int
    contrast: Contrast
    adjusted: float = 1.0
    """p by Holm over every pair of every test set."""
    decisions: Decisions | None = None


@dataclass(frozen=True)
class Bout:
    """All models on one test set: a dataset, a task and a split."""

    meeting: Meeting
    task: str
    source: str
    abnormal: int
    normal: int
    groups: int | None
    """How many groups the images come from; None if no two are known to share one."""
    areas: Sequence[ModelArea]
    pairs: Sequence[Pair]
    images: ScoredTogether

    @property
    def has_few_groups(self) -> bool:
        """Whether a class has images of so few groups that intervals by groups are too narrow."""
        codes = self.images.codes
        return codes is not None and fewest(self.images.labels, codes) < FEW


@dataclass(frozen=True)
class AcrossPair:
    """Two models over the sources of one split."""

    first: int
    second: int
    difference: float
    interval: Interval
    p: float
    freedom: float
    """Degrees of freedom of the t distribution that it is judged by; inf for the normal one."""
    adjusted: float = 1.0
    """p by Holm over every pair over datasets, of all splits."""


@dataclass(frozen=True)
class Overall:
    """Models over several datasets, one vote a source."""

    protocol: str
    split: int
    tasks: Sequence[tuple[str, str]]
    """(dataset, task) of each test set."""
    found: Across
    pairs: Sequence[AcrossPair]


@dataclass(frozen=True)
class Report:
    """Everything that is said about some contenders."""

    labels: Sequence[str]
    bouts: Sequence[Bout]
    overall: Sequence[Overall]
    notes: Sequence[str]


def compare(
    db: duckdb.DuckDBPyConnection,
    contenders: Sequence[Contender],
    met: Sequence[Meeting],
    tasks: Sequence[str],
    rule: str | None = None,
) -> Report:
    """Compare contenders wherever they meet.

    Args:
        db: the database.
        contenders: M of them, 2 at least.
        met: where they meet.
        tasks: names of tasks; a dataset without a task is left out of it, which is said.
        rule: honest threshold rule for decisions; None for the usual one, where the runs have it.

    Raises:
        OptionError, UnknownNameError: if decisions at that rule can't be compared.
        StoreError: if no test set is left; the message says why each is not.
    """
    _check_rule(rule)
    bouts: list[Bout] = []
    notes: list[str] = []
    for meeting in met:
        try:
            bouts += bouts_of(db, meeting, tasks, notes)
        except StoreError as error:
            notes.append(f"{meeting.setting.dataset}, split {meeting.split}: {error}")
    if not bouts:
        raise StoreError(f"nothing can be compared: {'; '.join(notes)}")
    bouts = placed(bouts)
    bouts = _decided(db, bouts, rule or HONEST)
    missing = sorted({bout.meeting.setting.dataset for bout in bouts if any(pair.decisions is None for pair in bout.pairs)})
    if missing and rule is not None:
        raise StoreError(f"not all runs on {', '.join(missing)} have a threshold at {rule}; their protocol does not ask for it")
    if missing:
        notes.append(f"no test of decisions on {', '.join(missing)}: not all runs have a threshold at the honest rule {HONEST}")
    return Report([one.label for one in contenders], bouts, _corrected(list(_overall(bouts))), notes)


def _check_rule(rule: str | None) -> None:
    if rule is None:
        return
    if rule not in RULES:
        raise UnknownNameError(registry.unknown_name("threshold rule", rule, RULES))
    if RULES[rule].oracle:
        raise OptionError(
            f"{rule} is an oracle: it chose each detector's threshold on the labels of these very images, so a test of the "
            f"decisions would be one of the fit; use an honest rule such as {HONEST}"
        )
    if rule == TRIVIAL:
        raise OptionError(f"{rule} decides alike for every detector; there is nothing to compare")


def bouts_of(db: duckdb.DuckDBPyConnection, meeting: Meeting, tasks: Sequence[str], notes: list[str]) -> Iterator[Bout]:
    """A meeting's areas and pairs, a bout a task, not yet corrected for being many; says in ``notes`` which task is left out, and why.

    Raises:
        StoreError: if the runs did not score the same test images.
    """
    runs = [run.run_id for own in meeting.runs for run in own]
    together = scored_together(db, runs)
    known = tasks_of(db, runs[0])
    source = independent_source(db, runs[0], meeting.setting.dataset)
    for task in tasks:
        where = f"{meeting.setting.dataset}, task {task}, split {meeting.split}"
        if task not in known:
            notes.append(f"{where}: there is no such task, only {', '.join(known)}")
            continue
        images = together.of_task(known[task])
        abnormal, normal = images.counts
        if not abnormal or not normal:
            there = "abnormal" if abnormal else "normal"
            notes.append(f"{where}: the test set has {there} images only, which no detector can tell apart")
            continue
        yield _bout(meeting, task, source, images)


def _bout(meeting: Meeting, task: str, source: str, images: ScoredTogether) -> Bout:
    codes = images.codes
    means = seed_means(paired_areas(images.labels, images.scores, codes), list(members(meeting)))
    pairs = [Pair(i, j, contrast(means, i, j)) for i, j in combinations(range(len(meeting.runs)), 2)]
    groups = None if codes is None else len(np.unique(codes))
    abnormal, normal = images.counts
    return Bout(meeting, task, source, abnormal, normal, groups, _model_areas(meeting, means), pairs, images)


def members(meeting: Meeting) -> Iterator[np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """For each contender the rows that its runs have in the scores of a meeting."""
    start = 0
    for own in meeting.runs:
        yield np.arange(start, start + len(own))
        start += len(own)


def _model_areas(meeting: Meeting, means: SeedMeans) -> list[ModelArea]:
    return [
        ModelArea(
            float(means.areas.values[place]),
            mean_interval(means, place),
            [run.seed for run in own],
            [run.run_id for run in own],
        )
        for place, own in enumerate(meeting.runs)
    ]


def placed(bouts: Sequence[Bout]) -> list[Bout]:
    """Correct over every pair of every test set, then say what order that allows on each."""
    adjusted = iter(holm([pair.contrast.p for bout in bouts for pair in bout.pairs]).tolist())
    corrected = [replace(bout, pairs=[replace(pair, adjusted=next(adjusted)) for pair in bout.pairs]) for bout in bouts]
    return [_in_order(bout) for bout in corrected]


def _in_order(bout: Bout) -> Bout:
    values = np.asarray([area.value for area in bout.areas])
    pairs = [(pair.first, pair.second) for pair in bout.pairs]
    differs = significant(len(values), pairs, np.asarray([pair.adjusted for pair in bout.pairs]))
    places = zip(bout.areas, letters(values, differs), rank_intervals(values, differs), strict=True)
    return replace(bout, areas=[replace(area, letters=name, ranks=ranks) for area, name, ranks in places])


def _decided(db: duckdb.DuckDBPyConnection, bouts: Sequence[Bout], rule: str) -> list[Bout]:
    found = [_decisions_of(bout, rule, thresholds_at(db, bout.images.runs, rule, bout.task)) for bout in bouts]
    raw = [p for row in found for one in row if one is not None for p in (one.sensitivity.p, one.specificity.p)]
    adjusted = iter(holm(raw).tolist())

    def corrected(one: Decisions | None) -> Decisions | None:
        return None if one is None else replace(one, adjusted=(next(adjusted), next(adjusted)))

    return [
        replace(bout, pairs=[replace(pair, decisions=corrected(one)) for pair, one in zip(bout.pairs, row, strict=True)])
        for bout, row in zip(bouts, found, strict=True)
    ]


def _decisions_of(bout: Bout, rule: str, thresholds: Mapping[str, float]) -> list[Decisions | None]:
    codes = bout.images.codes
    rightly = {
        run: (scores > thresholds[run]) == (bout.images.labels == 1)
        for run, scores in zip(bout.images.runs, bout.images.scores, strict=True)
        if run in thresholds
    }

    def decisions(pair: Pair) -> Decisions | None:
        """Of single detectors: a decision is made by one, and an average of seeds decides nothing."""
        one, other = (run.run_id for run in only_seed([bout.meeting.runs[pair.first], bout.meeting.runs[pair.second]]))
        if one not in rightly or other not in rightly:
            return None
        sensitivity, specificity = (
            mcnemar(rightly[one][kind], rightly[other][kind], codes[kind] if codes is not None else None)
            for kind in (bout.images.labels == 1, bout.images.labels == 0)
        )
        return Decisions(rule, (one, other), sensitivity, specificity)

    return [decisions(pair) for pair in bout.pairs]


def _overall(bouts: Sequence[Bout]) -> Iterator[Overall]:
    keys = dict.fromkeys((b.meeting.setting.protocol, b.meeting.setting.fit_digest, b.meeting.split) for b in bouts)
    for protocol, digest, split in keys:
        own = [
            b
            for b in bouts
            if (b.meeting.setting.protocol, b.meeting.setting.fit_digest, b.meeting.split) == (protocol, digest, split)
        ]
        if len({bout.meeting.setting.dataset for bout in own}) < 2:
            continue
        found = across([_scored_set(bout) for bout in own])
        pairs = [_across_pair(found, i, j) for i, j in combinations(range(len(own[0].areas)), 2)]
        yield Overall(protocol, split, [(bout.meeting.setting.dataset, bout.task) for bout in own], found, pairs)


def _across_pair(found: Across, first: int, second: int) -> AcrossPair:
    one = found.difference(first, second)
    return AcrossPair(first, second, one.value, one.interval, one.p, one.freedom)


def _corrected(overall: Sequence[Overall]) -> list[Overall]:
    """Correct over every pair of every line: who looks at several splits has as many chances to find one that differs."""
    adjusted = iter(holm([pair.p for one in overall for pair in one.pairs]).tolist())
    return [replace(one, pairs=[replace(pair, adjusted=next(adjusted)) for pair in one.pairs]) for one in overall]


def _scored_set(bout: Bout) -> ScoredSet:
    images, dataset = bout.images, bout.meeting.setting.dataset
    units = list(unit_names(dataset, images.images, images.groups))
    return ScoredSet(bout.source, images.labels, units, dataset, [images.scores[rows] for rows in members(bout.meeting)])


def independent_source(db: duckdb.DuckDBPyConnection, run_id: str, dataset: str) -> str:
    """What a run's images come from: as its manifest says, else as the installed dataset does, else the dataset's name."""
    stated = manifest_of(db, run_id)["dataset"].get("independent_source")
    if isinstance(stated, str) and stated:
        return stated
    try:
        return registry.dataset(dataset).spec.independent_source or dataset
    except AdbenchError:
        return dataset
