"""Which runs a comparison is between: names become runs, and runs that may not meet are kept apart, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import duckdb

from ..api import OptionError, StoreError, UnknownNameError
from ..registry import unknown_name
from ..status import rank_sql


@dataclass(frozen=True)
class StoredRun:
    """What decides with which runs a run may be compared."""

    run_id: str
    model: str
    variant: str
    options: str
    dataset: str
    fingerprint: str
    protocol: str
    fit_digest: str
    unranked: str | None
    split: int
    seed: int
    created: str
    newest: bool
    """Whether it represents its cell."""


@dataclass(frozen=True)
class Contender:
    """One side of a comparison."""

    label: str
    """As it is shown: a variant, or a run id."""
    runs: Sequence[StoredRun]
    by_id: bool = False
    """Whether the user named this very run, which is then compared even if it is not ranked."""


class Setting(NamedTuple):
    """What runs must share to be compared."""

    dataset: str
    protocol: str
    fit_digest: str
    fingerprint: str


@dataclass(frozen=True)
class Meeting:
    """Runs of every contender on the same images of one split."""

    setting: Setting
    split: int
    runs: Sequence[Sequence[StoredRun]]
    """(M,) for each contender its runs by seed."""


@dataclass(frozen=True)
class Meetings:
    """All meetings of some contenders."""

    found: Sequence[Meeting]
    notes: Sequence[str]
    """What was left out, and why."""


def stored_runs(db: duckdb.DuckDBPyConnection) -> list[StoredRun]:
    """Every run, by dataset, variant, split and seed."""
    rows = db.execute(
        """
        select run_id, model, variant, options, dataset, fingerprint, protocol, fit_digest, unranked, split, seed, created::varchar,
            row_number() over (
                partition by model, options, dataset, fingerprint, protocol, fit_digest, unranked, split, seed
                order by {known} desc, created desc, run_id desc
            ) = 1
        from run order by dataset, lower(variant), variant, split, seed, created""".format(known=rank_sql("status"))
    ).fetchall()
    return [StoredRun(*row) for row in rows]


def contender(word: str, stored: Sequence[StoredRun]) -> Contender:
    """Who is meant: a variant, else a model, else a run by its id or the beginning of it.

    Raises:
        UnknownNameError: if nobody is, or more than one.
        OptionError: if all runs of that name are unranked.
    """
    named = [run for run in stored if run.variant == word] or [run for run in stored if run.model == word]
    if named:
        return _by_name(word, named)
    begun = [run for run in stored if run.run_id.startswith(word)]
    exact = [run for run in begun if run.run_id == word]
    if len(exact or begun) == 1:
        return Contender((exact or begun)[0].run_id, exact or begun, by_id=True)
    if begun:
        raise UnknownNameError(f"{len(begun)} runs begin with {word!r}; it may be {', '.join(run.run_id for run in begun[:5])}")
    near = unknown_name("model, variant or run", word, {name for run in stored for name in (run.model, run.variant)})
    raise UnknownNameError(f"{near} (see: adbench results list)")


def _by_name(word: str, named: Sequence[StoredRun]) -> Contender:
    ranked = [run for run in named if run.unranked is None and run.newest]
    if not ranked:
        reason = next(run.unranked for run in named if run.unranked is not None)
        raise OptionError(f"{word} has only runs that are not ranked ({reason}); to compare them all the same, give run ids")
    variants = sorted({run.variant for run in ranked})
    if len(variants) > 1:
        raise UnknownNameError(f"model {word} has {len(variants)} variants; name one: {', '.join(map(repr, variants))}")
    # Defaults that a later release changed give one name to two sets of options; the newest is what the name means now.
    options = max(ranked, key=lambda run: run.created).options
    return Contender(variants[0], [run for run in ranked if run.options == options])


def meetings(
    contenders: Sequence[Contender], dataset: str | None = None, split: int | None = None, protocol: str | None = None
) -> Meetings:
    """Where all contenders have runs under the same rules on the same data: by dataset and split.

    Raises:
        UnknownNameError: if the dataset or protocol is one that no contender has a run of.
        OptionError: if it must be said which protocol is meant.
        StoreError: if they meet nowhere, or not where it was asked for; the message says why.
    """
    twice = sorted({one.label for one in contenders if [other.label for other in contenders].count(one.label) > 1})
    if twice:
        raise OptionError(f"{twice[0]} is named twice; a comparison is between different models")
    datasets = sorted({run.dataset for one in contenders for run in one.runs})
    _check_known("dataset", dataset, datasets)
    # Who names a run names its dataset, too.
    named = {run.dataset for one in contenders if one.by_id for run in one.runs}
    if dataset is None and len(named) > 1:
        there = _listed(contenders, [", ".join(sorted({run.dataset for run in one.runs})) for one in contenders])
        raise StoreError(f"nothing can be compared: the runs are on different datasets ({there})")
    _check_known("protocol", protocol, {run.protocol for one in contenders for run in one.runs})
    found: list[Meeting] = []
    refused: list[str] = []
    notes: list[str] = []
    for name in [dataset] if dataset is not None else sorted(named) or datasets:
        try:
            met, said = _on(name, contenders, split, protocol)
        except StoreError as error:
            refused.append(str(error))
        else:
            found += met
            notes += said
    if not found:
        raise StoreError(f"nothing can be compared: {'; '.join(refused)}")
    return Meetings(found, [*refused, *notes])


def _check_known(what: str, name: str | None, known: Iterable[str]) -> None:
    if name is not None and name not in known:
        raise UnknownNameError(f"{unknown_name(what, name, known)} (of those that the models have runs of)")


def _on(
    dataset: str, contenders: Sequence[Contender], split: int | None, protocol: str | None
) -> tuple[list[Meeting], list[str]]:
    runs = [
        [run for run in one.runs if run.dataset == dataset and (protocol is None or run.protocol == protocol)]
        for one in contenders
    ]
    for one, own in zip(contenders, runs, strict=True):
        if not own:
            under = "" if protocol is None else f" under {protocol}"
            raise StoreError(f"{dataset}: {one.label} has no run{under}")
    setting, notes = _common_setting(dataset, contenders, runs)
    runs = [[run for run in own if _setting(run) == setting] for own in runs]
    splits = [{run.split for run in own} for own in runs]
    common = set.intersection(*splits)
    chosen = sorted(common if split is None else common & {split})
    if not chosen:
        there = _listed(contenders, [", ".join(map(str, sorted(own))) for own in splits])
        asked = "no split in common" if split is None else f"not all have split {split}"
        raise StoreError(f"{dataset}: {asked}, and different splits test on different images (splits: {there})")
    if split is None and (others := set.union(*splits) - common):
        notes.append(f"{dataset}: left out, as not all have a run of it: split {', '.join(map(str, sorted(others)))}")
    met = [
        Meeting(setting, number, [sorted((r for r in own if r.split == number), key=lambda r: r.seed) for own in runs])
        for number in chosen
    ]
    return met, notes


def _setting(run: StoredRun) -> Setting:
    return Setting(run.dataset, run.protocol, run.fit_digest, run.fingerprint)


def _common_setting(
    dataset: str, contenders: Sequence[Contender], runs: Sequence[Sequence[StoredRun]]
) -> tuple[Setting, list[str]]:
    settings = [{_setting(run) for run in own} for own in runs]
    common = set.intersection(*settings)
    if not common:
        raise StoreError(f"{dataset}: {_why_apart(contenders, settings)}")
    protocols = sorted({setting.protocol for setting in common})
    if len(protocols) > 1:
        raise OptionError(f"{dataset}: there are runs under {' and '.join(protocols)}; choose with --protocol")
    if len(common) == 1:
        return common.pop(), []
    latest = max((run for own in runs for run in own if _setting(run) in common), key=lambda run: run.created)
    note = f"{dataset}: {len(common)} states of its files or of {protocols[0]} are stored; compared is the one of {latest.run_id}"
    return _setting(latest), [note]


def _why_apart(contenders: Sequence[Contender], settings: Sequence[set[Setting]]) -> str:
    """The first thing that no setting of one shares with the others, in words."""
    reasons: Mapping[str, str] = {
        "protocol": "the runs are under different protocols",
        "fit_digest": "the runs were trained under different rules (fit digests differ)",
        "fingerprint": "the runs are on different states of the files (fingerprints differ)",
    }
    for field, reason in reasons.items():
        values = [{str(getattr(setting, field)) for setting in own} for own in settings]
        if not set.intersection(*values):
            return f"{reason}: {_listed(contenders, [', '.join(sorted(own)) for own in values])}"
    return "no run of one has rules and files in common with all the others"


def _listed(contenders: Sequence[Contender], words: Sequence[str]) -> str:
    return "; ".join(f"{one.label}: {word}" for one, word in zip(contenders, words, strict=True))


def by_id_notes(contenders: Sequence[Contender]) -> list[str]:
    """What has to be said of runs that were named by id and are not ranked."""
    return [
        f"{one.label} is not ranked ({run.unranked}); it is compared because it was named by its id"
        for one in contenders
        for run in one.runs
        if one.by_id and run.unranked is not None
    ]


def only_seed(contender_runs: Sequence[Sequence[StoredRun]]) -> list[StoredRun]:
    """One run of each contender, for what compares single detectors: the lowest seed that all have, else each one's lowest."""
    shared = set.intersection(*({run.seed for run in runs} for runs in contender_runs))
    return [
        next(run for run in runs if run.seed == min(shared)) if shared else min(runs, key=lambda run: run.seed)
        for runs in contender_runs
    ]
